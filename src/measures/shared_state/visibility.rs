//! t-visibility: how long after an acknowledgement reads show what was acknowledged.
//!
//! Reads are counted by their age, the time from the latest acknowledgement of an update of their key to their beginning, and
//! by whether they were stale. From which age on are no more than a part `p` stale, if staleness falls with age? The crossing of
//! the isotonic regression is where the sum over reads up to an age of (1 if stale, else 0) - p is highest (the switch
//! relation: Groeneboom, 1985; Barlow et al., "Statistical Inference under Order Restrictions", 1972, section 1.2). Unlike
//! the first age at which a noisy share falls below p it isn't biased low.

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
        (stale >= 10 && beyond as f64 * p >= 10.0).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Key, Purpose};
    use crate::random::math::{exp, ln};
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

    #[test]
    fn the_age_is_that_of_the_law() {
        // Stale with probability exp(-age / 10 ms): one in a thousand after 10 ms ln(1000).
        let (mean, p) = (10e6, 0.001);
        let expected = -ln(p) * mean;
        for seed in 0..5 {
            let mut visibility = Visibility::default();
            let mut stream = Key::root(seed, 0).stream(Purpose(0x7100), 0);
            for _ in 0..400_000 {
                let age = expected * (0.5 + stream.unit());
                visibility.add(age as u64, stream.unit() < exp(-age / mean));
            }
            let found = visibility.age(p).unwrap() as f64;
            // The error of the crossing: (4 p / (n f^2))^(1/3) times a variable of standard deviation 0.52 (Chernoff's), where n
            // = 400,000 over a width of `expected` and f is the slope p / mean.
            let density = 400_000.0 / expected;
            let scale = libm::cbrt(4.0 * p / (density * (p / mean) * (p / mean)));
            assert!((found - expected).abs() < 4.0 * 0.52 * scale, "{found} {expected} {scale}");
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
