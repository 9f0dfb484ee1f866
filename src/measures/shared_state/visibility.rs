//! t-visibility: how long after an acknowledgement reads show what was acknowledged.
//!
//! Reads are counted by their age, the time from the latest acknowledgement of an update of their key to their beginning, and
//! by whether they were stale. From which age on are no more than a part `p` stale, if staleness falls with age? First the
//! crossing of the isotonic regression, which is where the sum over reads up to an age of (1 if stale, else 0) - p is highest (the
//! switch relation: Groeneboom, 1985). Unlike the first age at which a noisy share falls below p it isn't biased low. Then, for a
//! smaller error, the crossing of a power law that is fitted to the reads within half an octave of it (local likelihood:
//! Tibshirani and Hastie, JASA 1987): stale reads as a Poisson number in each bucket, with the logarithm of their share linear in
//! that of the age.

use crate::random::math::{exp, ln};
use std::collections::BTreeMap;

/// Each octave of ages has so many buckets, as a power of two: they are 1.6 % wide at most.
const BITS: u32 = 6;

/// Reads by age. Its size depends on how many orders of magnitude the ages span, not on the number of reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Visibility {
    /// By bucket: reads, and stale ones.
    buckets: BTreeMap<u32, (u64, u64)>,
}

fn bucket_of(age: u64) -> u32 {
    let octave = (u64::BITS - age.leading_zeros()).saturating_sub(BITS + 1);
    (octave << BITS) + (age >> octave) as u32
}

/// The middle of a bucket.
fn middle(bucket: u32) -> u64 {
    let octave = (bucket >> BITS).saturating_sub(1);
    let low = u64::from(bucket - (octave << BITS)) << octave;
    low + ((1u64 << octave) >> 1)
}

impl Visibility {
    /// A read began so many nanoseconds after the latest acknowledgement of an update of its key.
    pub fn add(&mut self, age: u64, stale: bool) {
        let (reads, stales) = self.buckets.entry(bucket_of(age)).or_default();
        *reads += 1;
        *stales += u64::from(stale);
    }

    /// The age in nanoseconds from which on a part `p` of the reads is stale, or less. `None` with fewer than ten stale reads, or
    /// with fewer than ten over `p` reads of greater age: then it isn't known.
    pub fn age(&self, p: f64) -> Option<u64> {
        let (mut sum, mut best, mut at, mut beyond) = (0.0, 0.0, 0, 0);
        for (bucket, (reads, stale)) in &self.buckets {
            sum += *stale as f64 - p * *reads as f64;
            beyond += reads;
            if sum > best {
                (best, at, beyond) = (sum, middle(*bucket), 0);
            }
        }
        let stale: u64 = self.buckets.values().map(|(_, stale)| stale).sum();
        (stale >= 10 && beyond as f64 * p >= 10.0).then(|| self.fitted(p, at).unwrap_or(at))
    }

    /// Where a power law through the reads of about this age crosses `p`. `None` if it doesn't fall, or crosses further off.
    fn fitted(&self, p: f64, about: u64) -> Option<u64> {
        let near = self.buckets.range(bucket_of(about * 5 / 7)..=bucket_of(about * 7 / 5));
        let near = near.map(|(bucket, (reads, stale))| {
            let distance = ln(middle(*bucket).max(1) as f64 / about.max(1) as f64);
            (distance, *reads as f64, *stale as f64)
        });
        let near: Vec<(f64, f64, f64)> = near.collect();
        let (all, stale) = near
            .iter()
            .fold((0.0, 0.0), |(all, stale), it| (all + it.1, stale + it.2));
        if stale < 10.0 {
            return None;
        }
        // Newton's method for the maximum of the likelihood, which is concave.
        let (mut level, mut slope) = (ln(stale / all), 0.0);
        for _ in 0..30 {
            let (mut gradient, mut curve) = ([0.0; 2], [0.0; 3]);
            for (x, reads, stale) in &near {
                let expected = reads * exp(level + slope * x);
                let rest = stale - expected;
                gradient = [gradient[0] + rest, gradient[1] + rest * x];
                curve = [
                    curve[0] + expected,
                    curve[1] + expected * x,
                    curve[2] + expected * x * x,
                ];
            }
            let determinant = curve[0] * curve[2] - curve[1] * curve[1];
            if determinant <= 0.0 {
                return None;
            }
            let step = [
                (curve[2] * gradient[0] - curve[1] * gradient[1]) / determinant,
                (curve[0] * gradient[1] - curve[1] * gradient[0]) / determinant,
            ];
            (level, slope) = (level + step[0], slope + step[1]);
            if step[0].abs() + step[1].abs() < 1e-9 {
                break;
            }
        }
        let distance = (ln(p) - level) / slope;
        let fits = slope < 0.0 && distance.abs() <= ln(1.4);
        fits.then(|| (about as f64 * exp(distance)) as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Key, Purpose};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn buckets_are_narrow_and_in_order(age in 0u64..1 << 60) {
            let near = middle(bucket_of(age));
            prop_assert!(near.abs_diff(age) as f64 <= age as f64 / 128.0 + 0.5, "{age} {near}");
            prop_assert!(bucket_of(age + 1) >= bucket_of(age));
            prop_assert!(bucket_of(age + 1) <= bucket_of(age) + 1);
        }
    }

    /// What is found of reads whose ages are spread around the crossing, from 0.6 to 1.6 times it.
    fn found(seed: u64, reads: u64, crossing: f64, p: f64, share: impl Fn(f64) -> f64) -> f64 {
        let mut visibility = Visibility::default();
        let mut stream = Key::root(seed, 0).stream(Purpose(0x7100), 0);
        for _ in 0..reads {
            let age = crossing * (0.6 + stream.unit());
            visibility.add(age as u64, stream.unit() < share(age));
        }
        visibility.age(p).unwrap() as f64
    }

    #[test]
    fn the_age_is_that_of_the_law() {
        let p = 0.001;
        for seed in 0..5 {
            // A power law is fitted as it is. Of the reads 7/5 - 5/7 in 1 are near enough to count, and the error of the logarithm
            // of the share there is one over the root of the stale ones; the slope turns it into one of the age.
            let (crossing, slope) = (50e6, 1.5);
            let age = found(seed, 500_000, crossing, p, |age| p * exp(-slope * ln(age / crossing)));
            let error = 4.0 / (500_000.0 * 0.68 * p).sqrt() / slope;
            assert!((age / crossing - 1.0).abs() < error, "{age} {crossing} {error}");
            // An exponential one is steeper and bends: by less than 2 % within half an octave, where it falls as the third power.
            let (mean, crossing) = (10e6, -ln(p / 0.02) * 10e6);
            let age = found(seed, 500_000, crossing, p, |age| 0.02 * exp(-age / mean));
            let error = 4.0 / (500_000.0 * 0.68 * p).sqrt() / (crossing / mean) + 0.02;
            assert!((age / crossing - 1.0).abs() < error, "{age} {crossing} {error}");
        }
    }

    #[test]
    fn too_few_reads_say_nothing() {
        let mut visibility = Visibility::default();
        (0..9).for_each(|_| visibility.add(5, true));
        (0..200).for_each(|_| visibility.add(9, false));
        assert_eq!(visibility.age(0.1), None);
        visibility.add(5, true);
        assert_eq!((visibility.age(0.1), visibility.age(0.01)), (Some(5), None));
    }
}
