//! What suits a queue: how wide its buckets are, how many entries they hold and how many of them there are.

use crate::kernel::entry::Entry;
use crate::kernel::time::SimDuration;

/// The ring never has fewer buckets than this, as a power of two.
pub(super) const MIN_RING_BITS: u32 = 8;
/// The ring never has more buckets than this, as a power of two.
const MAX_RING_BITS: u32 = 16;
/// The narrowest bucket, as a power of two of nanoseconds; with it, even the bucket behind the last one has a number.
const MIN_WIDTH_BITS: u32 = 1;
/// The widest bucket, as a power of two of nanoseconds: about 13 days.
const MAX_WIDTH_BITS: u32 = 50;
/// How many entries leave the queue between two looks at its tuning, at the least.
pub(super) const PERIOD: u64 = 2048;
/// Under this many entries, one sorted run is the best queue.
pub(super) const FEW: u64 = 64;
/// One sorted run holds at most this many: more only if they come in their order, and then they needn't.
pub(super) const RUN: usize = 1024;

/// Buckets are made narrower by at most this, as a power of two.
const MOST_NARROWING: u32 = 4;

/// How many entries a bucket should hold: few enough that few come late for it, many enough that the places where buckets
/// are being written stay in the cache and in the table of pages. `narrowing` halves it, where too many came late.
fn occupancy(waiting: u64, narrowing: u32) -> u64 {
    ((waiting / 256).clamp(64, 4096) >> narrowing).max(64)
}

/// What went through a queue since the last look at its tuning.
#[derive(Debug, Clone, Default)]
pub(super) struct Traffic {
    /// Entries that became current with their bucket.
    pub(super) taken: u64,
    /// Buckets that became current.
    pub(super) buckets: u64,
    /// Entries that came late for their bucket.
    pub(super) late: u64,
    /// Those of them that met a large heap, and needn't have: they belonged to a later instant.
    pub(super) deep: u64,
}

impl Traffic {
    /// Whether so many come late that narrower buckets would be worth their cost. Late entries are compared one by one, and
    /// nobody prefetches what they are for.
    fn is_late(&self) -> bool {
        16 * self.late > self.taken + self.late
    }

    /// Whether most of it passed through a large heap.
    pub(super) fn is_deep(&self) -> bool {
        2 * self.deep > self.taken + self.late
    }
}

/// What to do about a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Advice {
    /// It does well.
    Keep,
    /// Another width or size would serve better: see what waits.
    Rebuild,
    /// One sorted run would serve better.
    Run,
    /// Buckets of half as many entries.
    Narrow,
    /// Buckets of this width.
    Width(u32),
}

/// The shape of a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    /// The width of a bucket, as a power of two of nanoseconds.
    pub(super) width_bits: u32,
    /// The number of buckets, as a power of two.
    pub(super) ring_bits: u32,
    /// How often buckets were made to hold half as many entries.
    pub(super) narrowing: u32,
}

/// Looks at the traffic of `elapsed` through a queue of this shape that holds `waiting` entries.
pub(super) fn advise(traffic: &Traffic, elapsed: SimDuration, waiting: u64, shape: Shape) -> Advice {
    let Shape {
        width_bits,
        ring_bits,
        narrowing,
    } = shape;
    let passed = traffic.taken + traffic.late;
    if waiting < FEW {
        return Advice::Run;
    }
    let buckets = traffic.buckets.max(1);
    let (target, wanted) = (occupancy(waiting, narrowing), ring_bits_for(waiting, narrowing));
    let (early, total) = (traffic.taken / buckets, passed / buckets);
    if traffic.is_deep() {
        // What happens happens among some entries, in front of many that wait long.
        let width = u128::from(elapsed.as_nanos()) * u128::from(target) / u128::from(passed);
        let narrower = width.max(1).ilog2().max(MIN_WIDTH_BITS);
        return if narrower < width_bits {
            Advice::Width(narrower)
        } else {
            Advice::Keep
        };
    }
    if traffic.is_late() && narrowing < MOST_NARROWING && target > 64 {
        return Advice::Narrow;
    }
    if early > target * 3 || total < target / 4 || wanted > ring_bits || wanted + 2 < ring_bits {
        return Advice::Rebuild;
    }
    Advice::Keep
}

/// The size of the ring for so many entries: a few times the buckets that they fill.
pub(super) fn ring_bits_for(waiting: u64, narrowing: u32) -> u32 {
    (4 * waiting / occupancy(waiting, narrowing))
        .max(1)
        .next_power_of_two()
        .ilog2()
        .clamp(MIN_RING_BITS, MAX_RING_BITS)
}

/// The bucket width that suits these entries: as wide as the nearer half of them needs for the target occupancy. None if they
/// all have one time.
pub(super) fn width_bits_for<B>(all: &[Entry<B>], narrowing: u32) -> Option<u32> {
    let waiting = all.len() as u64;
    let stride = (all.len() / 1024).max(1);
    let mut times: Vec<u64> = all.iter().step_by(stride).map(|entry| entry.time.as_nanos()).collect();
    times.sort_unstable();
    let (first, middle, last) = (*times.first()?, times[times.len() / 2], *times.last()?);
    let near = if middle > first { middle - first } else { last - first };
    let half = u128::from(waiting / 2).max(1);
    let width = u64::try_from(u128::from(near) * u128::from(occupancy(waiting, narrowing)) / half).unwrap_or(u64::MAX);
    (width > 0).then(|| width.ilog2().clamp(MIN_WIDTH_BITS, MAX_WIDTH_BITS))
}
