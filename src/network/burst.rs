//! The two states of a bursty link (Gilbert-Elliott): good and bad times follow each other for ever.
//!
//! It is a trajectory of time alone: good and bad times are exponential, the number `k` of them is drawn at the address
//! (link key, `k`), and the state at time 0 is drawn from the stationary law. Who asks, and how often, changes nothing.

use crate::kernel::{Key, Purpose, SimDuration, SimTime};
use crate::random::standard_exponential;
use serde::Serialize;

/// The draws of the good and bad times; number 0 of [`STATE`] is the state at time 0.
const SOJOURN: Purpose = Purpose(0x4e10);
const STATE: Purpose = Purpose(0x4e11);

/// Where a link is on its trajectory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Burst {
    /// How many times have begun: 0 before the first question.
    begun: u64,
    bad: bool,
    /// When the current time ends.
    until: SimTime,
}

impl Burst {
    /// Whether the link is bad at `now`. Questions come in the order of time.
    #[inline]
    pub fn is_bad(&mut self, key: Key, good: SimDuration, bad: SimDuration, now: SimTime) -> bool {
        while self.begun == 0 || now >= self.until {
            self.step(key, good, bad);
        }
        self.bad
    }

    /// Goes on to the next time.
    fn step(&mut self, key: Key, good: SimDuration, bad: SimDuration) {
        let (good, bad) = (good.as_nanos() as f64, bad.as_nanos() as f64);
        self.bad = match self.begun {
            0 => key.stream(STATE, 0).chance(bad / (good + bad)),
            _ => !self.bad,
        };
        let mean = if self.bad { bad } else { good };
        // At least a nanosecond, so that the trajectory always gets on.
        let length = (standard_exponential(&mut key.stream(SOJOURN, self.begun)) * mean).max(1.0);
        self.until = self.until.saturating_add(SimDuration::from_nanos_f64(length));
        self.begun += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::Burst;
    use crate::kernel::{Key, SimDuration, SimTime};

    const GOOD: SimDuration = SimDuration::from_millis(900);
    const BAD: SimDuration = SimDuration::from_millis(100);

    fn at_ms(ms: u64) -> SimTime {
        SimTime::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn the_state_is_a_function_of_time_alone() {
        let key = Key::root(1, 0).child("link");
        let (mut often, mut seldom) = (Burst::default(), Burst::default());
        for ms in 0..200_000 {
            let bad = often.is_bad(key, GOOD, BAD, at_ms(ms));
            if ms % 997 == 0 {
                assert_eq!(bad, seldom.is_bad(key, GOOD, BAD, at_ms(ms)), "at {ms} ms");
            }
        }
        assert_eq!(often, {
            seldom.is_bad(key, GOOD, BAD, at_ms(199_999));
            seldom
        });
    }

    #[test]
    fn the_state_at_the_start_is_stationary() {
        let root = Key::root(2, 0);
        let bad = (0..40_000)
            .filter(|&i| Burst::default().is_bad(root.member(i), GOOD, BAD, SimTime::ZERO))
            .count();
        // Standard error 60.
        assert!((bad as f64 - 4_000.0).abs() < 240.0, "{bad} of 40000 start bad");
    }

    #[test]
    fn good_and_bad_times_have_their_means() {
        let key = Key::root(3, 0);
        let (mut burst, mut was, mut since) = (Burst::default(), None, 0_u64);
        let mut lengths = [Vec::new(), Vec::new()];
        for tick in 0..4_000_000_u64 {
            let bad = burst.is_bad(key, GOOD, BAD, at_ms(tick));
            if was.is_some_and(|was| was != bad) {
                lengths[usize::from(!bad)].push((tick - since) as f64);
                since = tick;
            }
            was = Some(bad);
        }
        for (state, mean) in [(0, 900.0), (1, 100.0)] {
            let times = &lengths[state];
            let found = times.iter().sum::<f64>() / times.len() as f64;
            // An exponential's standard deviation is its mean; a tick of 1 ms rounds by less than one.
            let allowed = 4.0 * mean / (times.len() as f64).sqrt() + 1.0;
            assert!(
                (found - mean).abs() < allowed,
                "state {state}: a mean of {found} over {} times",
                times.len()
            );
        }
    }
}
