//! Quantiles and distribution functions of samples: exact up to a stated number, of stated precision beyond.
//!
//! Quantiles are nearest-rank (type 1 of Hyndman and Fan, The American Statistician 50, 1996): always a value that
//! occurred. None is given with fewer than [`BEYOND`] observations beyond it. Merging recorders in any order gives equal
//! recorders.

use hdrhistogram::Histogram;

/// The observations that must lie beyond a quantile before it is given.
pub const BEYOND: u64 = 10;
/// The samples that a [`Recorder`] keeps exactly, unless told otherwise.
pub const DEFAULT_LIMIT: usize = 100_000;
/// The significant decimal digits of a histogram's values.
const DIGITS: u8 = 3;

/// A quantile, or the reason why there is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantile<T> {
    /// The value at the quantile's rank.
    Value(T),
    /// Too few observations lie beyond it.
    TooFew {
        /// How many there are.
        beyond: u64,
    },
}

impl<T> Quantile<T> {
    /// The value, if there is one.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Value(value) => Some(value),
            Self::TooFew { .. } => None,
        }
    }
}

/// The rank (from 1) of quantile `q` among `n`, if enough observations lie beyond it: above from the median on, below it
/// for lower quantiles.
///
/// `q` is taken to one part in a million, and the rank computed in integers: 0.07 of 100 is rank 7, not 8.
fn rank(q: f64, n: u64) -> Quantile<u64> {
    let millionths = libm::round(q.clamp(0.0, 1.0) * 1e6) as u128;
    let rank = (u128::from(n) * millionths).div_ceil(1_000_000).max(1) as u64;
    let beyond = if n == 0 {
        0
    } else if millionths >= 500_000 {
        n - rank
    } else {
        rank - 1
    };
    if beyond < BEYOND {
        Quantile::TooFew { beyond }
    } else {
        Quantile::Value(rank)
    }
}

/// The nearest-rank quantile `q` (0 to 1) of values in ascending order.
pub fn nearest_rank<T: Copy>(sorted: &[T], q: f64) -> Quantile<T> {
    match rank(q, sorted.len() as u64) {
        Quantile::Value(rank) => Quantile::Value(sorted[rank as usize - 1]),
        Quantile::TooFew { beyond } => Quantile::TooFew { beyond },
    }
}

/// How true a recorder's values are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// Every value as recorded.
    Exact,
    /// Values are known to this many significant digits (each is off by at most one part in a thousand).
    Digits(u8),
}

#[derive(Debug, Clone)]
enum Store {
    Exact(Vec<u64>),
    Histogram(Histogram<u64>),
}

/// A sample of whole numbers (nanoseconds, counts): exact up to a limit, an HdrHistogram of three digits beyond.
///
/// Count, mean, least and greatest are exact throughout.
#[derive(Debug, Clone)]
pub struct Recorder {
    limit: usize,
    store: Store,
    count: u64,
    sum: u128,
    least: u64,
    greatest: u64,
}

impl Default for Recorder {
    fn default() -> Self {
        Self::new(DEFAULT_LIMIT)
    }
}

impl Recorder {
    /// A recorder that keeps up to `limit` samples exactly.
    pub fn new(limit: usize) -> Self {
        Self {
            limit,
            store: Store::Exact(Vec::new()),
            count: 0,
            sum: 0,
            least: u64::MAX,
            greatest: 0,
        }
    }

    /// Records one value.
    pub fn record(&mut self, value: u64) {
        self.count += 1;
        self.sum += u128::from(value);
        self.least = self.least.min(value);
        self.greatest = self.greatest.max(value);
        match &mut self.store {
            Store::Exact(values) => values.push(value),
            Store::Histogram(histogram) => record(histogram, value),
        }
        self.fold();
    }

    /// Takes in another recorder's samples; the lower limit of the two holds from then on.
    pub fn merge(&mut self, other: &Self) {
        self.limit = self.limit.min(other.limit);
        self.count += other.count;
        self.sum += other.sum;
        self.least = self.least.min(other.least);
        self.greatest = self.greatest.max(other.greatest);
        if let Store::Histogram(_) = other.store {
            self.become_histogram();
        }
        match (&mut self.store, &other.store) {
            (Store::Exact(mine), Store::Exact(theirs)) => mine.extend_from_slice(theirs),
            (Store::Histogram(mine), Store::Exact(theirs)) => theirs.iter().for_each(|v| record(mine, *v)),
            (Store::Histogram(mine), Store::Histogram(theirs)) => {
                mine.add(theirs).expect("a histogram that resizes takes in any other");
            }
            (Store::Exact(_), Store::Histogram(_)) => unreachable!("made a histogram above"),
        }
        self.fold();
    }

    fn fold(&mut self) {
        if matches!(&self.store, Store::Exact(values) if values.len() > self.limit) {
            self.become_histogram();
        }
    }

    fn become_histogram(&mut self) {
        if let Store::Exact(values) = &self.store {
            let mut histogram = Histogram::new(DIGITS).expect("three digits are in range");
            values.iter().for_each(|v| record(&mut histogram, *v));
            self.store = Store::Histogram(histogram);
        }
    }

    /// Whether values are exact, or how precise they are.
    pub fn precision(&self) -> Precision {
        match self.store {
            Store::Exact(_) => Precision::Exact,
            Store::Histogram(_) => Precision::Digits(DIGITS),
        }
    }

    /// The number of samples.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The mean of all samples; `None` without any.
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0).then(|| self.sum as f64 / self.count as f64)
    }

    /// The least sample.
    pub fn least(&self) -> Option<u64> {
        (self.count > 0).then_some(self.least)
    }

    /// The greatest sample.
    pub fn greatest(&self) -> Option<u64> {
        (self.count > 0).then_some(self.greatest)
    }

    /// Freezes the samples for questions about their distribution: sorts once, however many are asked.
    pub fn distribution(&self) -> Distribution {
        let mut steps: Vec<(u64, u64)> = Vec::new();
        let mut push = |value: u64, times: u64| {
            let before = steps.last().map_or(0, |s| s.1);
            match steps.last_mut() {
                Some(step) if step.0 == value => step.1 += times,
                _ => steps.push((value, before + times)),
            }
        };
        match &self.store {
            Store::Exact(values) => {
                let mut sorted = values.clone();
                sorted.sort_unstable();
                sorted.into_iter().for_each(|v| push(v, 1));
            }
            Store::Histogram(histogram) => {
                for bucket in histogram.iter_recorded() {
                    // The middle of the bucket halves the error; the ends are known exactly.
                    let value = histogram.median_equivalent(bucket.value_iterated_to());
                    push(value.clamp(self.least, self.greatest), bucket.count_at_value());
                }
            }
        }
        Distribution { steps }
    }

    /// The nearest-rank quantile `q` (0 to 1). For several, ask [`Recorder::distribution`] once.
    pub fn quantile(&self, q: f64) -> Quantile<u64> {
        self.distribution().quantile(q)
    }
}

fn record(histogram: &mut Histogram<u64>, value: u64) {
    histogram
        .record(value)
        .expect("a histogram that resizes records any value");
}

/// An empirical distribution function: distinct values in ascending order, each with the samples up to and with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Distribution {
    steps: Vec<(u64, u64)>,
}

impl Distribution {
    /// The number of samples.
    pub fn count(&self) -> u64 {
        self.steps.last().map_or(0, |s| s.1)
    }

    /// The nearest-rank quantile `q` (0 to 1).
    pub fn quantile(&self, q: f64) -> Quantile<u64> {
        match rank(q, self.count()) {
            Quantile::Value(rank) => Quantile::Value(self.at_rank(rank).0),
            Quantile::TooFew { beyond } => Quantile::TooFew { beyond },
        }
    }

    /// The fraction of samples that are `value` or less; 0 without samples.
    pub fn at_most(&self, value: u64) -> f64 {
        match self.steps.partition_point(|s| s.0 <= value) {
            0 => 0.0,
            after => self.steps[after - 1].1 as f64 / self.count() as f64,
        }
    }

    /// At most `max` order statistics, evenly spaced over the ranks, the least and the greatest among them: all values, each
    /// as often as it occurred, where there are no more. `max` below 2 counts as 2.
    pub fn order_statistics(&self, max: usize) -> Vec<u64> {
        let (n, max) = (self.count(), max.max(2) as u64);
        if n <= max {
            return (1..=n).map(|rank| self.at_rank(rank).0).collect();
        }
        let rank = |index: u64| 1 + (u128::from(n - 1) * u128::from(index) / u128::from(max - 1)) as u64;
        (0..max).map(|index| self.at_rank(rank(index)).0).collect()
    }

    fn at_rank(&self, rank: u64) -> (u64, u64) {
        self.steps[self.steps.partition_point(|s| s.1 < rank).min(self.steps.len() - 1)]
    }

    /// At most `max` points (value, fraction at most it) of the distribution function, ascending in both.
    ///
    /// Half of them lie evenly over the ranks, a quarter close in on each end geometrically, so the first and the last
    /// values, and the shape of the far tails, are always there. `max` below 8 counts as 8.
    pub fn points(&self, max: usize) -> Vec<(u64, f64)> {
        let (n, max) = (self.count(), max.max(8));
        let fraction = |&(value, upto): &(u64, u64)| (value, upto as f64 / n as f64);
        if self.steps.len() <= max {
            return self.steps.iter().map(fraction).collect();
        }
        let (even, tail) = (max / 2, max / 4);
        let mut ranks: Vec<u64> = (0..even)
            .map(|i| 1 + (u128::from(n - 1) * i as u128 / (even - 1) as u128) as u64)
            .collect();
        // The distances from the end run from 0 to half the sample, growing by a constant factor.
        let growth = libm::pow(n as f64 / 2.0, 1.0 / (tail - 1) as f64);
        let mut distance = 1.0;
        for _ in 0..tail {
            let steps = (distance as u64 - 1).min(n - 1);
            ranks.extend([1 + steps, n - steps]);
            distance *= growth;
        }
        ranks.sort_unstable();
        let mut points: Vec<(u64, u64)> = ranks.into_iter().map(|rank| self.at_rank(rank)).collect();
        points.dedup();
        points.iter().map(fraction).collect()
    }
}

/// The spread of distribution functions over replicates: at each value of their pooled points, the least and the greatest
/// fraction among them. At most `max` points; empty without samples.
pub fn ecdf_band(replicates: &[Distribution], max: usize) -> Vec<(u64, f64, f64)> {
    let filled: Vec<&Distribution> = replicates.iter().filter(|d| d.count() > 0).collect();
    let mut values: Vec<u64> = filled.iter().flat_map(|d| d.points(max)).map(|p| p.0).collect();
    values.sort_unstable();
    values.dedup();
    let keep = max.max(8);
    if values.len() > keep {
        let last = values.len() - 1;
        values = (0..keep).map(|i| values[last * i / (keep - 1)]).collect();
    }
    let spread = |value: u64| {
        let fractions = filled.iter().map(|d| d.at_most(value));
        fractions.fold((1.0f64, 0.0f64), |(low, high), f| (low.min(f), high.max(f)))
    };
    values.into_iter().map(|v| (v, spread(v).0, spread(v).1)).collect()
}
