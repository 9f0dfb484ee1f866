//! A site's physical clock: what it reads at a simulated time.
//!
//! The reading is a function of simulated time alone, in whole nanoseconds and integer arithmetic: offset, drift, and the
//! adjustments made at given times. The simulator's own ordering and every measure use simulated time; only models that
//! stamp by wall clock read this one.

use crate::kernel::SimTime;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Parts per billion in one.
const BILLION: i128 = 1_000_000_000;

/// What is wrong with a clock's description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ClockError {
    /// A clock that runs backwards, or stands still.
    #[error("a drift of {0} parts per billion would stop the clock or turn it back; it must be above -1000000000")]
    Backwards(i64),
    /// Adjustments come in order of time.
    #[error("a clock is adjusted at {at}, before its last adjustment at {last}")]
    OutOfOrder {
        /// When this adjustment should take place.
        at: SimTime,
        /// When the one before it did.
        last: SimTime,
    },
}

/// A stretch of time with one rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Segment {
    start: SimTime,
    /// The raw reading at `start`, ns.
    base: i64,
    /// How much faster than simulated time it runs, parts per billion.
    drift: i64,
    /// The highest raw reading before `start`, ns: what a monotonic clock doesn't fall below.
    floor: i64,
}

impl Segment {
    /// The raw reading at `time`, which is not before `start`. Rounds down, so that it never decreases, and stops at the
    /// ends of 64 bits.
    fn raw(&self, time: SimTime) -> i64 {
        let passed = i128::from(time.as_nanos()) - i128::from(self.start.as_nanos());
        let raw = i128::from(self.base) + passed + (passed * i128::from(self.drift)).div_euclid(BILLION);
        raw.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
    }
}

/// A physical clock with an offset, a drift and adjustments.
///
/// A monotonic clock holds still after a step back until the raw reading has caught up, as `CLOCK_MONOTONIC`-guarded time
/// stamps do; others go back with the step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clock {
    /// By start, the first at time 0; never empty.
    segments: Vec<Segment>,
    monotonic: bool,
}

impl Default for Clock {
    /// A perfect clock: it reads simulated time.
    fn default() -> Self {
        Self {
            segments: vec![Segment {
                start: SimTime::ZERO,
                base: 0,
                drift: 0,
                floor: i64::MIN,
            }],
            monotonic: false,
        }
    }
}

impl Clock {
    /// A clock that reads `offset` ns at time 0 and gains `drift` parts per billion (1 ppm is 1000).
    ///
    /// # Errors
    /// [`ClockError::Backwards`] if the drift is -1,000,000,000 or less.
    pub fn new(offset: i64, drift: i64) -> Result<Self, ClockError> {
        let mut clock = Self::default();
        clock.segments[0].base = offset;
        clock.segments[0].drift = checked(drift)?;
        Ok(clock)
    }

    /// The same clock, which never reads less than it has read before.
    pub fn monotonic(self) -> Self {
        Self {
            monotonic: true,
            ..self
        }
    }

    /// Adjusts the clock from `at` on: it jumps by `jump` ns and, if `drift` is given, runs at that rate (parts per billion).
    /// Several adjustments at one time add up.
    ///
    /// # Errors
    /// [`ClockError::OutOfOrder`] if an earlier call adjusted it later than `at`, and [`ClockError::Backwards`] as above.
    pub fn adjust(&mut self, at: SimTime, jump: i64, drift: Option<i64>) -> Result<(), ClockError> {
        let last = *self.last();
        let drift = drift.map_or(Ok(last.drift), checked)?;
        if at < last.start {
            return Err(ClockError::OutOfOrder { at, last: last.start });
        }
        let base = last.raw(at).saturating_add(jump);
        if at == last.start {
            let place = self.segments.len() - 1;
            self.segments[place] = Segment { base, drift, ..last };
        } else {
            let before = SimTime::from_nanos(at.as_nanos() - 1);
            let floor = last.floor.max(last.raw(before));
            self.segments.push(Segment {
                start: at,
                base,
                drift,
                floor,
            });
        }
        Ok(())
    }

    /// The reading at `now`, in nanoseconds; stops at the ends of 64 bits.
    pub fn reading(&self, now: SimTime) -> i64 {
        let last = self.last();
        let segment = if now >= last.start {
            last
        } else {
            // The first segment starts at 0, so there is always one at or before `now`.
            &self.segments[self.segments.partition_point(|segment| segment.start <= now) - 1]
        };
        let raw = segment.raw(now);
        if self.monotonic { raw.max(segment.floor) } else { raw }
    }

    /// The first time, not before `now`, at which the clock reads at least `reading`, unless it is adjusted anew in the meantime.
    pub fn when(&self, reading: i64, now: SimTime) -> SimTime {
        if reading == i64::MAX {
            return SimTime::NEVER;
        }
        if self.reading(now) >= reading {
            return now;
        }
        let current = self.segments.partition_point(|segment| segment.start <= now) - 1;
        for (place, segment) in self.segments.iter().enumerate().skip(current) {
            // The least p with p + floor(p * drift / billion) >= ahead.
            let ahead = (i128::from(reading) - i128::from(segment.base)).max(0);
            let rate = BILLION + i128::from(segment.drift);
            let passed = (ahead * BILLION + rate - 1).div_euclid(rate);
            let at = u64::try_from(i128::from(segment.start.as_nanos()) + passed).unwrap_or(u64::MAX);
            let at = SimTime::from_nanos(at).max(now);
            if self.segments.get(place + 1).is_none_or(|next| at < next.start) {
                return at;
            }
        }
        SimTime::NEVER
    }

    fn last(&self) -> &Segment {
        self.segments.last().expect("a clock has a segment")
    }
}

/// The drift, if a clock can run at that rate.
fn checked(drift: i64) -> Result<i64, ClockError> {
    if i128::from(drift) > -BILLION {
        Ok(drift)
    } else {
        Err(ClockError::Backwards(drift))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ns: u64) -> SimTime {
        SimTime::from_nanos(ns)
    }

    #[test]
    fn a_perfect_clock_reads_simulated_time() {
        assert_eq!(Clock::default().reading(at(123)), 123);
        assert_eq!(Clock::default(), Clock::new(0, 0).unwrap());
    }

    #[test]
    fn offset_and_drift_add_up_exactly() {
        // 100 ppm fast and 200 ms behind: after an hour 360 ms gained.
        let clock = Clock::new(-200_000_000, 100_000).unwrap();
        assert_eq!(clock.reading(at(3_600_000_000_000)), 3_600_160_000_000);
        // A slow clock rounds down and never goes back.
        let slow = Clock::new(0, -1).unwrap();
        assert_eq!(slow.reading(at(1)), 0);
        assert_eq!(slow.reading(at(1_000_000_000)), 999_999_999);
        assert_eq!(slow.reading(at(1_000_000_001)), 999_999_999);
    }

    #[test]
    fn steps_and_new_rates_take_effect_from_their_time_on() {
        let mut clock = Clock::new(10, 0).unwrap();
        clock.adjust(at(100), -50, None).unwrap();
        clock.adjust(at(200), 0, Some(1_000_000_000)).unwrap();
        clock.adjust(at(200), 7, None).unwrap();
        assert_eq!(
            [99, 100, 159, 160, 199].map(|t| clock.reading(at(t))),
            [109, 60, 119, 120, 159]
        );
        assert_eq!([200, 201, 210].map(|t| clock.reading(at(t))), [167, 169, 187]);
        let monotonic = clock.monotonic();
        assert_eq!(
            [99, 100, 148, 149, 150, 199].map(|t| monotonic.reading(at(t))),
            [109, 109, 109, 109, 110, 159]
        );
    }

    #[test]
    fn impossible_clocks_are_refused() {
        assert_eq!(
            Clock::new(0, -1_000_000_000),
            Err(ClockError::Backwards(-1_000_000_000))
        );
        let mut clock = Clock::default();
        clock.adjust(at(10), 1, None).unwrap();
        assert_eq!(
            clock.adjust(at(9), 1, None),
            Err(ClockError::OutOfOrder {
                at: at(9),
                last: at(10)
            })
        );
        assert_eq!(
            clock.adjust(at(11), 1, Some(i64::MIN)),
            Err(ClockError::Backwards(i64::MIN))
        );
        assert_eq!(clock.reading(at(11)), 12, "a refused adjustment changes nothing");
    }

    #[test]
    fn the_ends_of_time_saturate() {
        let clock = Clock::new(i64::MAX, i64::MAX).unwrap();
        assert_eq!(clock.reading(SimTime::NEVER), i64::MAX);
        assert_eq!(Clock::new(i64::MIN, -999_999_999).unwrap().reading(at(1)), i64::MIN);
    }

    proptest! {
        #[test]
        fn a_reading_is_reached_at_the_first_time_that_has_it(
            offset in -50i64..50,
            drift in -999_000_000i64..3_000_000_000,
            jump in -40i64..40,
            ahead in 1i64..500,
            now in 20u64..90,
        ) {
            let mut clock = Clock::new(offset, 0).unwrap();
            clock.adjust(at(20), jump, Some(drift)).unwrap();
            clock.adjust(at(60), jump.abs(), Some(0)).unwrap();
            let reading = clock.reading(at(now)) + ahead;
            let when = clock.when(reading, at(now));
            prop_assert!(clock.reading(when) >= reading);
            prop_assert!(clock.reading(at(when.as_nanos() - 1)) < reading);
            prop_assert_eq!(clock.when(reading - ahead, at(now)), at(now));
        }

        #[test]
        fn a_monotonic_clock_is_the_running_maximum(
            offset in -50i64..50,
            drift in -999_999_999i64..3_000_000_000,
            steps in prop::collection::vec((0u64..20, -40i64..40, prop::option::of(-999_999_999i64..2_000_000_000)), 0..6),
        ) {
            let mut clock = Clock::new(offset, drift).unwrap();
            let mut time = 0;
            for (gap, jump, drift) in steps {
                time += gap;
                clock.adjust(at(time), jump, drift).unwrap();
            }
            let monotonic = clock.clone().monotonic();
            let mut most = i64::MIN;
            for now in 0..200 {
                most = most.max(clock.reading(at(now)));
                prop_assert_eq!(monotonic.reading(at(now)), most);
            }
        }
    }
}
