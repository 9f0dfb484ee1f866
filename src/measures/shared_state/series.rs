//! Series and samples that stay small however long the run is.

use super::SharedStateJudge;
use crate::kernel::{SimDuration, SimTime};

/// The most buckets of a series.
const BUCKETS: usize = 512;
/// The most samples that are kept.
const SAMPLES: usize = 100_000;

/// A step function of time in buckets of equal width: the last and the highest value in each. Where no width is given, there are at
/// most 512 buckets, and the width doubles when they run out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Steps {
    /// Whether the width stays.
    fixed: bool,
    /// The width of a bucket, in nanoseconds.
    pub width: u64,
    /// For each bucket from time 0 the value at its end, and the highest value in it.
    pub buckets: Vec<(u64, u64)>,
}

impl Default for Steps {
    fn default() -> Self {
        Self {
            fixed: false,
            width: 1 << 20,
            buckets: vec![(0, 0)],
        }
    }
}

impl SharedStateJudge {
    /// Keeps its series in windows of this length, as many as the run has.
    pub fn in_windows(mut self, window: SimDuration) -> Self {
        self.tally.conflicts_over_time = Steps::in_windows(window);
        self.tally.diverged_over_time = Steps::in_windows(window);
        self
    }
}

impl Steps {
    /// In windows of this length, which stays: a scenario has a bounded number of them.
    pub fn in_windows(window: SimDuration) -> Self {
        Self {
            fixed: true,
            width: window.as_nanos().max(1),
            ..Self::default()
        }
    }

    /// The function takes this value at `time`, which is never before the last one.
    pub fn set(&mut self, time: SimTime, value: u64) {
        while !self.fixed && time.as_nanos() / self.width >= BUCKETS as u64 {
            let pairs = self.buckets.chunks(2);
            self.buckets = pairs
                .map(|pair| {
                    let last = pair[pair.len() - 1];
                    (last.0, pair[0].1.max(last.1))
                })
                .collect();
            self.width *= 2;
        }
        let bucket = (time.as_nanos() / self.width) as usize;
        if let Some(&(last, _)) = self.buckets.last()
            && self.buckets.len() <= bucket
        {
            self.buckets.resize(bucket + 1, (last, last));
        }
        if let Some(last) = self.buckets.last_mut() {
            *last = (value, last.1.max(value));
        }
    }
}

/// Samples in their order: all of them up to 100,000, then every second, every fourth and so on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Samples {
    /// What is kept.
    pub kept: Vec<u64>,
    /// How many there were.
    pub count: u64,
    /// The sum of all of them.
    pub sum: u128,
    /// The highest of all of them.
    pub max: u64,
    doublings: u32,
}

impl Samples {
    /// Adds a sample.
    pub fn push(&mut self, sample: u64) {
        if self.count & ((1 << self.doublings) - 1) == 0 {
            if self.kept.len() == SAMPLES {
                let mut place = 0;
                self.kept.retain(|_| {
                    place += 1;
                    place % 2 == 1
                });
                self.doublings += 1;
            }
            if self.count & ((1 << self.doublings) - 1) == 0 {
                self.kept.push(sample);
            }
        }
        self.count += 1;
        self.sum += u128::from(sample);
        self.max = self.max.max(sample);
    }

    /// The mean of all samples.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// The nearest-rank quantile of what is kept, if at least ten samples lie beyond it.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        let mut sorted = self.kept.clone();
        sorted.sort_unstable();
        let rank = (q * sorted.len() as f64).ceil().max(1.0) as usize;
        (sorted.len() >= rank + 10).then(|| sorted[rank - 1])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_keeps_the_ends_and_the_peaks_of_its_buckets() {
        let mut steps = Steps::default();
        for n in 0..5_000u64 {
            steps.set(SimTime::from_nanos(n << 20), if n == 777 { 1_000_000 } else { n });
        }
        assert_eq!(steps.width, 16 << 20);
        assert!(steps.buckets.len() <= BUCKETS);
        assert_eq!(steps.buckets[2], (47, 47));
        assert_eq!(steps.buckets[777 / 16], (783, 1_000_000));
        steps.set(SimTime::from_nanos(9_000 << 20), 3);
        assert_eq!(steps.buckets.last(), Some(&(3, 4_999)));
    }

    #[test]
    fn windows_of_a_given_length_keep_it() {
        let mut steps = Steps::in_windows(SimDuration::from_nanos(10));
        steps.set(SimTime::from_nanos(3), 2);
        steps.set(SimTime::from_nanos(5), 1);
        steps.set(SimTime::from_nanos(25), 7);
        assert_eq!(steps.buckets, [(1, 2), (1, 1), (7, 7)]);
        steps.set(SimTime::from_nanos(20_000), 0);
        assert_eq!((steps.width, steps.buckets.len()), (10, 2001));
    }

    #[test]
    fn samples_are_thinned_evenly() {
        let mut samples = Samples::default();
        (0..450_000).for_each(|n| samples.push(n));
        assert_eq!((samples.count, samples.max), (450_000, 449_999));
        assert!(samples.kept.iter().zip(0..).all(|(sample, n)| *sample == n * 8));
        assert_eq!(samples.kept.len(), 56_250);
        assert_eq!(samples.mean(), Some(224_999.5));
    }

    #[test]
    fn a_quantile_needs_ten_samples_beyond_it() {
        let mut samples = Samples::default();
        (1..=19).for_each(|n| samples.push(n));
        assert_eq!(samples.quantile(0.5), None);
        samples.push(20);
        assert_eq!(samples.quantile(0.5), Some(10));
        assert_eq!(samples.quantile(0.9), None);
    }
}
