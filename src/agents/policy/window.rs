//! Two counts over a sliding window of time.
//!
//! The window slides by whole buckets, a hundredth of it each: it holds the bucket of now and the 99 before, so between 99 and 100
//! hundredths of its length. A bucket that is over is forgotten as a whole.

use crate::kernel::{SimDuration, SimTime};
use serde::{Deserialize, Serialize};

/// How many buckets a window has.
pub const BUCKETS: usize = 100;

/// The counts of what happened in the last so long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// The length of a bucket in nanoseconds.
    width: u64,
    /// The number of the bucket of now, since the run began.
    bucket: u64,
    counts: Vec<[u32; 2]>,
    sums: [u64; 2],
}

impl Window {
    /// An empty window of this length.
    pub fn new(length: SimDuration) -> Self {
        Self {
            width: (length.as_nanos() / BUCKETS as u64).max(1),
            bucket: 0,
            counts: vec![[0; 2]; BUCKETS],
            sums: [0; 2],
        }
    }

    fn advance(&mut self, now: SimTime) {
        let bucket = now.as_nanos() / self.width;
        let over = (bucket.saturating_sub(self.bucket)).min(BUCKETS as u64);
        for further in 1..=over {
            let place = ((self.bucket + further) % BUCKETS as u64) as usize;
            let [first, second] = std::mem::take(&mut self.counts[place]);
            self.sums[0] -= u64::from(first);
            self.sums[1] -= u64::from(second);
        }
        self.bucket = self.bucket.max(bucket);
    }

    /// Adds to both counts.
    pub fn add(&mut self, now: SimTime, by: [u32; 2]) {
        self.advance(now);
        let place = (self.bucket % BUCKETS as u64) as usize;
        for (which, more) in by.into_iter().enumerate() {
            self.counts[place][which] += more;
            self.sums[which] += u64::from(more);
        }
    }

    /// Both counts over the window that ends now.
    pub fn sums(&mut self, now: SimTime) -> [u64; 2] {
        self.advance(now);
        self.sums
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.counts.fill([0; 2]);
        self.sums = [0; 2];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// The sums are those of the events in the bucket of now and in the 99 before it.
        #[test]
        fn it_holds_what_happened_in_its_buckets(gaps in prop::collection::vec((0u64..3_000, 0u32..3, 0u32..3), 1..80)) {
            let mut window = Window::new(SimDuration::from_nanos(10_000));
            let (mut now, mut all) = (0, Vec::new());
            for (gap, first, second) in gaps {
                now += gap * gap / 300;
                all.push((now, first, second));
                window.add(SimTime::from_nanos(now), [first, second]);
                let inside = all.iter().filter(|(at, ..)| at / 100 + 100 > now / 100);
                let truth = inside.fold([0, 0], |[a, b], (_, x, y)| [a + u64::from(*x), b + u64::from(*y)]);
                prop_assert_eq!(window.sums(SimTime::from_nanos(now)), truth);
            }
        }
    }
}
