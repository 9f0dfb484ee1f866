//! Circuit breakers: a client that has seen too much fail stops asking for a while, and then tries carefully.
//!
//! Closed, it lets everything pass and counts failures; open, nothing, for a stated time; half-open, a few probes: enough successes
//! close it, one failure opens it again (M. Nygard, "Release It!", 2007). What an attempt comes to counts only in the phase in which
//! it was let pass, so that a late failure of before doesn't open what has just closed.

use super::window::Window;
use crate::kernel::{SimDuration, SimTime};
use serde::{Deserialize, Serialize};

/// A breaker as described.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BreakerSpec {
    /// What opens it.
    pub trips: Trip,
    /// How long it stays open.
    pub open: SimDuration,
    /// How many attempts may be under way while it is half-open.
    pub probes: u32,
    /// How many of them have to succeed, with none that fails, to close it.
    pub closes_after: u32,
}

/// What opens a breaker.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Trip {
    /// So many failures without a success between them.
    Consecutive(u32),
    /// A share of what has ended in a window of time, once there were so many.
    Rate {
        /// The share of failures that opens it.
        share: f64,
        /// How long what happened counts.
        window: SimDuration,
        /// How many must have ended in it.
        least: u32,
    },
}

/// What a breaker does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Phase {
    /// It lets everything pass.
    Closed,
    /// It lets nothing pass until then.
    Open {
        /// When it becomes half-open.
        until: SimTime,
    },
    /// It lets probes pass.
    HalfOpen {
        /// How many are under way.
        under_way: u32,
        /// How many have succeeded.
        succeeded: u32,
    },
}

/// What an attempt came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Came {
    /// It was answered.
    Success,
    /// It was refused, or given up as too slow.
    Failure,
    /// Nobody knows: it was given up for another reason.
    Nothing,
}

/// A breaker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    phase: Phase,
    /// Raised with every change of the phase.
    generation: u32,
    /// Failures since the last success.
    consecutive: u32,
    /// What has ended, and what of it failed; there is one if a rate opens it.
    window: Option<Window>,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(spec: &BreakerSpec) -> Self {
        Self {
            phase: Phase::Closed,
            generation: 0,
            consecutive: 0,
            window: match spec.trips {
                Trip::Rate { window, .. } => Some(Window::new(window)),
                Trip::Consecutive(_) => None,
            },
        }
    }

    /// What it does.
    pub fn phase(&self) -> Phase {
        self.phase
    }

    fn change(&mut self, phase: Phase) {
        self.phase = phase;
        self.generation = self.generation.wrapping_add(1);
        self.consecutive = 0;
        if let Some(window) = &mut self.window {
            window.clear();
        }
    }

    /// Whether it would let an attempt pass.
    pub fn would_admit(&self, spec: &BreakerSpec, now: SimTime) -> bool {
        match self.phase {
            Phase::Closed => true,
            Phase::Open { until } => now >= until,
            Phase::HalfOpen { under_way, .. } => under_way < spec.probes,
        }
    }

    /// Lets an attempt pass, or doesn't: the generation by which what it comes to is reported, and whether the phase has changed.
    pub fn admit(&mut self, spec: &BreakerSpec, now: SimTime) -> (Option<u32>, bool) {
        let mut changed = false;
        if let Phase::Open { until } = self.phase
            && now >= until
        {
            self.change(Phase::HalfOpen {
                under_way: 0,
                succeeded: 0,
            });
            changed = true;
        }
        let passes = self.would_admit(spec, now);
        if passes && let Phase::HalfOpen { under_way, .. } = &mut self.phase {
            *under_way += 1;
        }
        (passes.then_some(self.generation), changed)
    }

    /// An attempt that was let pass in this generation has come to something; whether the phase has changed.
    pub fn report(&mut self, spec: &BreakerSpec, now: SimTime, generation: u32, came: Came) -> bool {
        if generation != self.generation {
            return false;
        }
        let reopened = Phase::Open {
            until: now.saturating_add(spec.open),
        };
        match &mut self.phase {
            // Nothing is let pass in this phase, so nothing comes back to it.
            Phase::Open { .. } => false,
            Phase::HalfOpen { under_way, succeeded } => {
                *under_way = under_way.saturating_sub(1);
                *succeeded += u32::from(came == Came::Success);
                let closes = *succeeded >= spec.closes_after;
                if came == Came::Failure {
                    self.change(reopened);
                } else if closes {
                    self.change(Phase::Closed);
                }
                came == Came::Failure || closes
            }
            Phase::Closed if came == Came::Nothing => false,
            Phase::Closed => {
                let failed = came == Came::Failure;
                self.consecutive = if failed { self.consecutive.saturating_add(1) } else { 0 };
                let trips = match spec.trips {
                    Trip::Consecutive(most) => self.consecutive >= most,
                    Trip::Rate { share, window, least } => {
                        let window = self.window.get_or_insert_with(|| Window::new(window));
                        window.add(now, [1, u32::from(failed)]);
                        let [ended, failures] = window.sums(now);
                        failed && ended >= u64::from(least) && failures as f64 >= share * ended as f64
                    }
                };
                if trips {
                    self.change(reopened);
                }
                trips
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> SimTime {
        SimTime::from_nanos(ms * 1_000_000)
    }

    fn spec(trips: Trip) -> BreakerSpec {
        BreakerSpec {
            trips,
            open: SimDuration::from_millis(100),
            probes: 2,
            closes_after: 3,
        }
    }

    #[test]
    fn consecutive_failures_open_it_and_successes_close_it_again() {
        let spec = spec(Trip::Consecutive(3));
        let mut breaker = Breaker::new(&spec);
        for came in [
            Came::Failure,
            Came::Failure,
            Came::Success,
            Came::Failure,
            Came::Failure,
        ] {
            assert!(!breaker.report(&spec, at(1), 0, came));
        }
        assert!(!breaker.report(&spec, at(1), 0, Came::Nothing));
        assert!(breaker.report(&spec, at(2), 0, Came::Failure));
        assert_eq!(breaker.phase(), Phase::Open { until: at(102) });
        assert_eq!(breaker.admit(&spec, at(101)), (None, false));
        // A late success of before doesn't close it, and is no probe.
        assert!(!breaker.report(&spec, at(101), 0, Came::Success));
        let (first, changed) = breaker.admit(&spec, at(102));
        assert!(first.is_some() && changed);
        let generation = first.unwrap();
        assert_eq!(breaker.admit(&spec, at(102)), (Some(generation), false));
        assert_eq!(breaker.admit(&spec, at(102)), (None, false), "two probes at once");
        assert!(!breaker.report(&spec, at(103), generation, Came::Success));
        assert!(!breaker.report(&spec, at(103), generation, Came::Nothing));
        for ms in [104, 105] {
            assert_eq!(breaker.admit(&spec, at(ms)), (Some(generation), false));
            assert_eq!(breaker.report(&spec, at(ms), generation, Came::Success), ms == 105);
        }
        assert_eq!(breaker.phase(), Phase::Closed);
        assert_eq!(breaker.admit(&spec, at(106)), (Some(generation + 1), false));
    }

    #[test]
    fn a_failed_probe_opens_it_again_for_the_whole_time() {
        let spec = spec(Trip::Consecutive(1));
        let mut breaker = Breaker::new(&spec);
        assert!(breaker.report(&spec, at(0), 0, Came::Failure));
        let (generation, _) = breaker.admit(&spec, at(150));
        assert!(breaker.report(&spec, at(160), generation.unwrap(), Came::Failure));
        assert_eq!(breaker.phase(), Phase::Open { until: at(260) });
    }

    #[test]
    fn a_rate_opens_it_once_there_are_enough_in_the_window() {
        let spec = spec(Trip::Rate {
            share: 0.5,
            window: SimDuration::from_millis(1_000),
            least: 4,
        });
        let mut breaker = Breaker::new(&spec);
        for _ in 0..3 {
            assert!(!breaker.report(&spec, at(0), 0, Came::Failure));
        }
        // Those have left the window.
        assert!(!breaker.report(&spec, at(2_000), 0, Came::Failure));
        assert!(!breaker.report(&spec, at(2_000), 0, Came::Success));
        assert!(!breaker.report(&spec, at(2_000), 0, Came::Success));
        assert!(breaker.report(&spec, at(2_000), 0, Came::Failure), "two of four");
    }
}
