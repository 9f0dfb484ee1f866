//! Where the stamps of last-write-wins come from: a wall clock, or a logical one that every stamp heard of moves on.
//!
//! Guarantees: under either logical rule an update is stamped above all that its replica had heard of, so it is never outranked
//! by what it had seen; under the wall clock it may be, as soon as clocks are wrong.

use crate::kernel::SimTime;
use crate::state::Clock;
use serde::{Deserialize, Serialize};

/// The bits of a hybrid stamp that count within one reading of the clock, which is so many nanoseconds coarse (Kulkarni et al.,
/// "Logical Physical Clocks", OPODIS 2014, section 6, keeps 48 bits of NTP time and 16 of the counter in one word).
const COUNTER_BITS: u32 = 16;

/// How a replica stamps the updates that it accepts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stamping {
    /// By its wall clock, whatever that reads.
    #[default]
    Wall,
    /// By a Lamport clock: one more than the highest stamp that it has given or heard of (Lamport, CACM 1978).
    Lamport,
    /// By a hybrid logical clock: its wall clock where that is ahead of all that it has heard of, else one more than that.
    Hybrid,
}

/// The stamps of one replica.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Stamps {
    pub(super) clock: Clock,
    rule: Stamping,
    /// The highest stamp given or heard of, under a logical rule.
    highest: i64,
}

impl Stamps {
    pub(super) fn new(clock: Clock, rule: Stamping) -> Self {
        let highest = 0;
        Self { clock, rule, highest }
    }

    /// The stamp of an update that is accepted now.
    pub(super) fn next(&mut self, now: SimTime) -> i64 {
        self.highest = match self.rule {
            Stamping::Wall => return self.clock.reading(now),
            Stamping::Lamport => self.highest.saturating_add(1),
            Stamping::Hybrid => {
                let coarse = self.clock.reading(now) >> COUNTER_BITS << COUNTER_BITS;
                // A counter that overflows carries into the time, as it should: the stamp stays the highest.
                coarse.max(self.highest.saturating_add(1))
            }
        };
        self.highest
    }

    /// A stamp that another replica gave has come.
    pub(super) fn hear(&mut self, stamp: Option<i64>) {
        if let Some(stamp) = stamp {
            self.highest = self.highest.max(stamp);
        }
    }

    /// What was heard is lost with the replica's state.
    pub(super) fn forget(&mut self) {
        self.highest = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(nanos: u64) -> SimTime {
        SimTime::from_nanos(nanos)
    }

    #[test]
    fn a_lamport_clock_counts_and_takes_over_what_it_hears() {
        let mut stamps = Stamps::new(Clock::default(), Stamping::Lamport);
        assert_eq!((stamps.next(at(900)), stamps.next(at(901))), (1, 2));
        stamps.hear(Some(40));
        stamps.hear(Some(7));
        stamps.hear(None);
        assert_eq!(stamps.next(at(1_000)), 41);
        stamps.forget();
        assert_eq!(stamps.next(at(2_000)), 1);
    }

    #[test]
    fn a_hybrid_clock_follows_the_wall_clock_and_never_falls_behind_what_it_hears() {
        let mut stamps = Stamps::new(Clock::default(), Stamping::Hybrid);
        let tick = 1 << COUNTER_BITS;
        assert_eq!(stamps.next(at(5 * tick as u64 + 17)), 5 * tick);
        assert_eq!(stamps.next(at(5 * tick as u64 + 18)), 5 * tick + 1);
        stamps.hear(Some(90 * tick));
        assert_eq!(stamps.next(at(6 * tick as u64)), 90 * tick + 1);
        assert_eq!(stamps.next(at(91 * tick as u64)), 91 * tick);
    }

    proptest! {
        #[test]
        fn a_logical_stamp_is_above_all_that_was_heard(
            hybrid: bool,
            skew in -1_000_000_000i64..1_000_000_000,
            steps in prop::collection::vec((0u64..1_000_000, prop::option::of(0i64..2_000_000_000)), 1..50),
        ) {
            let rule = if hybrid { Stamping::Hybrid } else { Stamping::Lamport };
            let mut stamps = Stamps::new(Clock::new(skew, 0).unwrap(), rule);
            let (mut now, mut highest) = (0, 0);
            for (gap, heard) in steps {
                now += gap;
                stamps.hear(heard);
                highest = highest.max(heard.unwrap_or(0));
                let stamp = stamps.next(at(now));
                prop_assert!(stamp > highest);
                let drawn_on = stamp == highest + 1 || hybrid && stamp <= now as i64 + skew;
                prop_assert!(drawn_on, "{stamp} after {highest} at {now}");
                highest = stamp;
            }
        }
    }
}
