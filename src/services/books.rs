//! The books of a queue, kept twice: the area under the number in it, and the sum of the times spent in it. They are equal in
//! every run (Little's law without the limit), or something is lost.

use crate::kernel::{SimDuration, SimTime};
use serde::{Deserialize, Serialize};

/// One queue's books.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    present: u64,
    last: SimTime,
    area: u128,
    sojourns: u128,
    /// How many came.
    pub came: u64,
    /// How many left.
    pub left: u64,
}

impl Books {
    fn advance(&mut self, now: SimTime) {
        self.area += u128::from(self.present) * u128::from((now - self.last).as_nanos());
        self.last = now;
    }

    /// One came in.
    #[inline]
    pub fn enter(&mut self, now: SimTime) {
        self.advance(now);
        self.present += 1;
        self.came += 1;
    }

    /// One that had come at `since` left.
    #[inline]
    pub fn leave(&mut self, since: SimTime, now: SimTime) {
        self.advance(now);
        self.present -= 1;
        self.left += 1;
        self.sojourns += u128::from((now - since).as_nanos());
    }

    /// How many are in.
    pub fn present(&self) -> u64 {
        self.present
    }

    /// The mean number present until `end`.
    pub fn mean_present(&self, end: SimTime) -> f64 {
        let area = self.area + u128::from(self.present) * u128::from(end.since(self.last).as_nanos());
        area as f64 / end.as_nanos().max(1) as f64
    }

    /// Whether both books agree at `end`, given how long those still present have been there.
    ///
    /// # Errors
    /// What differs, in a sentence about `name`.
    pub fn audit(&self, name: &str, end: SimTime, still: impl Iterator<Item = SimDuration>) -> Result<(), String> {
        let area = self.area + u128::from(self.present) * u128::from(end.since(self.last).as_nanos());
        let (mut residual, mut count) = (0u128, 0u64);
        for sojourn in still {
            residual += u128::from(sojourn.as_nanos());
            count += 1;
        }
        if count != self.present || area != self.sojourns + residual {
            return Err(format!(
                "Little's law is broken at {name}: the area under the number present is {area} ns, the times spent there sum to \
                 {} ns; {} should be present, {count} are",
                self.sojourns + residual,
                self.present
            ));
        }
        Ok(())
    }
}
