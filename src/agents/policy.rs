//! Policies: how a client behaves when a call is slow, refused or lost.
//!
//! The five laws of backoff are those of Marc Brooker, "Exponential Backoff and Jitter" (AWS Architecture Blog, 2015). What is beyond
//! timeouts and retries is in [`resilience`], and its parts are machines of their own: [`budget`], [`throttle`], [`breaker`],
//! [`latencies`].

pub mod breaker;
pub mod budget;
pub mod latencies;
pub mod resilience;
pub mod throttle;
pub mod window;

pub use resilience::Resilience;

use crate::kernel::{SimDuration, Stream};
use serde::{Deserialize, Serialize};

/// A named client behaviour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Policy {
    /// How long an attempt may take; `None`: for ever.
    pub timeout: Option<SimDuration>,
    /// How many attempts a call makes at most; `None`: until it is answered.
    pub attempts: Option<u32>,
    /// How long to wait before the next attempt.
    pub backoff: Backoff,
    /// Whether a refusal's Retry-After is waited for, at the least.
    pub honours_retry_after: bool,
    /// Whether attempts carry the call's identity, so that the server can recognise them.
    pub idempotency_key: bool,
    /// What else it does about slow, refused and lost calls.
    pub resilience: Option<Box<Resilience>>,
}

impl Default for Policy {
    /// One attempt, no timeout.
    fn default() -> Self {
        Self {
            timeout: None,
            attempts: Some(1),
            backoff: Backoff::None,
            honours_retry_after: false,
            idempotency_key: false,
            resilience: None,
        }
    }
}

impl Policy {
    /// Whether the server of an attempt that is given up is told.
    pub fn cancels(&self) -> bool {
        self.resilience.as_ref().is_some_and(|resilience| resilience.cancels)
    }
}

/// How long a client waits between two attempts. `n` is the number of the attempt that failed, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Backoff {
    /// Not at all.
    None,
    /// Always as long.
    Fixed(SimDuration),
    /// min(cap, base * 2^n).
    Exponential {
        /// The unit.
        base: SimDuration,
        /// The longest wait.
        cap: SimDuration,
    },
    /// Uniform from nothing to the exponential wait.
    FullJitter {
        /// The unit.
        base: SimDuration,
        /// The longest wait.
        cap: SimDuration,
    },
    /// Half of the exponential wait, and uniform from nothing to the other half.
    EqualJitter {
        /// The unit.
        base: SimDuration,
        /// The longest wait.
        cap: SimDuration,
    },
    /// min(cap, uniform from base to three times the last wait); the first wait counts base as the last.
    DecorrelatedJitter {
        /// The unit, and the shortest wait.
        base: SimDuration,
        /// The longest wait.
        cap: SimDuration,
    },
}

impl Backoff {
    /// The wait after the attempt number `failed`, where `last` is the wait before it (zero for none).
    pub fn wait(&self, failed: u32, last: SimDuration, stream: &mut Stream) -> SimDuration {
        match *self {
            Self::None => SimDuration::ZERO,
            Self::Fixed(wait) => wait,
            Self::Exponential { base, cap } => exponential(base, cap, failed),
            Self::FullJitter { base, cap } => uniform(stream, SimDuration::ZERO, exponential(base, cap, failed)),
            Self::EqualJitter { base, cap } => {
                let whole = exponential(base, cap, failed);
                let half = SimDuration::from_nanos(whole.as_nanos() / 2);
                half + uniform(stream, SimDuration::ZERO, whole - half)
            }
            Self::DecorrelatedJitter { base, cap } => {
                let last = if last == SimDuration::ZERO { base } else { last };
                let high = SimDuration::from_nanos(last.as_nanos().saturating_mul(3));
                uniform(stream, base.min(high), high).min(cap)
            }
        }
    }
}

fn exponential(base: SimDuration, cap: SimDuration, n: u32) -> SimDuration {
    let factor = 1u64.checked_shl(n).unwrap_or(u64::MAX);
    SimDuration::from_nanos(base.as_nanos().saturating_mul(factor)).min(cap)
}

/// Uniform in [low, high), to the nanosecond.
fn uniform(stream: &mut Stream, low: SimDuration, high: SimDuration) -> SimDuration {
    let width = (high - low).as_nanos() as f64;
    low + SimDuration::from_nanos_f64(stream.unit() * width)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Key, Purpose};

    const MS: fn(u64) -> SimDuration = SimDuration::from_millis;

    #[test]
    fn the_first_exponential_wait_is_twice_the_base_and_the_cap_holds() {
        let law = Backoff::Exponential {
            base: MS(5),
            cap: MS(2000),
        };
        let mut stream = Key::root(1, 0).stream(Purpose(1), 0);
        let waits: Vec<_> = (1..=12).map(|n| law.wait(n, SimDuration::ZERO, &mut stream)).collect();
        assert_eq!(waits[0], MS(10));
        assert_eq!(waits[7], MS(1280));
        assert_eq!(waits[8..], [MS(2000); 4]);
        assert_eq!(law.wait(u32::MAX, SimDuration::ZERO, &mut stream), MS(2000));
    }

    #[test]
    fn jitters_stay_in_their_ranges_and_have_their_means() {
        let (base, cap) = (MS(5), MS(2000));
        let n = 20_000u64;
        let mean = |law: Backoff, failed, last| {
            let waits = (0..n).map(|number| {
                let mut stream = Key::root(2, 0).stream(Purpose(1), number);
                law.wait(failed, last, &mut stream).as_millis_f64()
            });
            let (mut low, mut high, mut sum) = (f64::MAX, f64::MIN, 0.0);
            for wait in waits {
                (low, high, sum) = (low.min(wait), high.max(wait), sum + wait);
            }
            (low, high, sum / n as f64)
        };
        // Four standard errors of a uniform of width w over n draws: 4 w / sqrt(12 n).
        let error = |width: f64| 4.0 * width / (12.0 * n as f64).sqrt();
        let (low, high, middle) = mean(Backoff::FullJitter { base, cap }, 3, SimDuration::ZERO);
        assert!(
            low >= 0.0 && high <= 40.0 && (middle - 20.0).abs() < error(40.0),
            "{low} {middle} {high}"
        );
        let (low, high, middle) = mean(Backoff::EqualJitter { base, cap }, 3, SimDuration::ZERO);
        assert!(
            low >= 20.0 && high <= 40.0 && (middle - 30.0).abs() < error(20.0),
            "{low} {middle} {high}"
        );
        let (low, high, middle) = mean(Backoff::DecorrelatedJitter { base, cap }, 3, MS(20));
        assert!(
            low >= 5.0 && high <= 60.0 && (middle - 32.5).abs() < error(55.0),
            "{low} {middle} {high}"
        );
    }
}
