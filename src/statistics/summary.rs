//! Means, paired differences and proportions, each with its confidence interval.
//!
//! Every number that comes out is finite. Sums run in index order, so equal inputs give equal bits. Sources: Student's
//! interval and the ratio of paired means (linearised, section 6.4), W. G. Cochran, "Sampling Techniques", 3rd ed., 1977;
//! proportions, E. B. Wilson, JASA 22 (1927), as recommended by Brown, Cai and DasGupta, Statistical Science 16 (2001);
//! running moments, B. P. Welford, Technometrics 4 (1962), merged after Chan, Golub and LeVeque (1979).

use super::{normal_quantile, student_t_quantile};
use serde::{Deserialize, Serialize};

/// A confidence level: a fraction strictly between 0 and 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Level(f64);

impl Level {
    /// 95 %, the level of everything that doesn't say another.
    pub const P95: Self = Self(0.95);
    /// 99 %.
    pub const P99: Self = Self(0.99);

    /// The level `fraction`, or `None` unless it lies strictly between 0 and 1.
    pub fn new(fraction: f64) -> Option<Self> {
        (fraction > 0.0 && fraction < 1.0).then_some(Self(fraction))
    }

    /// The level as a fraction.
    pub fn fraction(self) -> f64 {
        self.0
    }

    /// The probability up to which a two-sided interval of this level reaches: 0.975 for 95 %.
    fn upper(self) -> f64 {
        0.5 + self.0 / 2.0
    }
}

impl TryFrom<f64> for Level {
    type Error = String;
    fn try_from(fraction: f64) -> Result<Self, String> {
        Self::new(fraction).ok_or_else(|| format!("a confidence level lies between 0 and 1, not at {fraction}"))
    }
}

impl From<Level> for f64 {
    fn from(level: Level) -> f64 {
        level.0
    }
}

/// A two-sided confidence interval, in the unit of what it is about.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// The confidence that was asked for.
    pub level: Level,
}

impl Interval {
    /// Half the width: what stands behind ± when the interval is symmetric.
    pub fn half_width(&self) -> f64 {
        self.high / 2.0 - self.low / 2.0
    }

    /// Whether `value` lies in the interval, ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// The interval `centre` ± `half`, unless it overflows.
    fn around(centre: f64, half: f64, level: Level) -> Option<Self> {
        let (low, high) = (centre - half, centre + half);
        (low.is_finite() && high.is_finite()).then_some(Self { low, high, level })
    }
}

/// What one value from each replicate says together.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The number of replicates.
    pub n: u64,
    /// Their mean.
    pub mean: f64,
    /// Their standard deviation (divisor n - 1); `None` for one replicate.
    pub sd: Option<f64>,
    /// Student's t interval of the mean; `None` for one replicate.
    pub interval: Option<Interval>,
}

impl Summary {
    /// Summarises one value from each replicate, in index order.
    ///
    /// `None` if there are none, or if one of them (or their mean) isn't finite.
    pub fn of(values: &[f64], level: Level) -> Option<Self> {
        let mut running = Running::default();
        values.iter().for_each(|v| running.add(*v));
        let summary = running.summary(level)?;
        // Two passes where the values are at hand: the second mean takes out the rounding of the first.
        let n = summary.n as f64;
        let mean = summary.mean + values.iter().map(|v| (v - summary.mean) / n).sum::<f64>();
        let squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
        Some(Self::from_moments(summary.n, mean, squares, level))
    }

    fn from_moments(n: u64, mean: f64, squares: f64, level: Level) -> Self {
        let sd = (n > 1)
            .then(|| libm::sqrt(squares / (n - 1) as f64))
            .filter(|sd| sd.is_finite());
        let interval = sd.and_then(|sd| {
            let half = student_t_quantile(level.upper(), (n - 1) as f64) * sd / libm::sqrt(n as f64);
            Interval::around(mean, half, level)
        });
        Self { n, mean, sd, interval }
    }

    /// Half the interval's width, if there is an interval.
    pub fn half_width(&self) -> Option<f64> {
        self.interval.map(|i| i.half_width())
    }
}

/// Two vectors of unequal length were to be paired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{base} replicates of the base can't be paired with {variant} of the variant")]
pub struct UnequalLengths {
    /// The number of replicates of the base.
    pub base: usize,
    /// The number of replicates of the variant.
    pub variant: usize,
}

/// A variant less its base, replicate by replicate, on common random numbers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Paired {
    /// The mean of the base.
    pub base: f64,
    /// The mean of the variant.
    pub variant: f64,
    /// Variant less base.
    pub difference: Summary,
    /// The difference as a fraction of the base's mean; `None` where the base's mean is zero.
    pub relative: Option<f64>,
    /// The interval of `relative`: the ratio of means linearised, Student t over the replicates.
    pub relative_interval: Option<Interval>,
}

impl Paired {
    /// Compares two vectors whose equal indices are the same replicate; `None` if they are empty or not finite.
    ///
    /// # Errors
    /// [`UnequalLengths`] if they can't be paired.
    pub fn of(base: &[f64], variant: &[f64], level: Level) -> Result<Option<Self>, UnequalLengths> {
        if base.len() != variant.len() {
            return Err(UnequalLengths {
                base: base.len(),
                variant: variant.len(),
            });
        }
        let differences: Vec<f64> = base.iter().zip(variant).map(|(b, v)| v - b).collect();
        let (Some(b), Some(v), Some(difference)) = (
            Summary::of(base, level),
            Summary::of(variant, level),
            Summary::of(&differences, level),
        ) else {
            return Ok(None);
        };
        let relative = Some(difference.mean / b.mean).filter(|r| r.is_finite());
        let relative_interval = relative.and_then(|relative| {
            let ratio = 1.0 + relative;
            let residuals: Vec<f64> = base.iter().zip(variant).map(|(b, v)| v - ratio * b).collect();
            let half = Summary::of(&residuals, level)?.half_width()? / b.mean.abs();
            Interval::around(relative, half, level)
        });
        Ok(Some(Self {
            base: b.mean,
            variant: v.mean,
            difference,
            relative,
            relative_interval,
        }))
    }

    /// Whether the difference's interval leaves zero out. `false` without an interval.
    pub fn differs(&self) -> bool {
        self.difference.interval.is_some_and(|i| !i.contains(0.0))
    }
}

/// Wilson's score interval of a proportion: for one yes or no from each run.
///
/// `None` if `n` is zero or `successes` exceeds it. The interval lies in [0, 1], and reaches 0 or 1 exactly when all runs
/// agree.
pub fn wilson(successes: u64, n: u64, level: Level) -> Option<Interval> {
    if n == 0 || successes > n {
        return None;
    }
    let (count, z) = (n as f64, normal_quantile(level.upper()));
    let p = successes as f64 / count;
    let z2 = z * z / count;
    let centre = (p + z2 / 2.0) / (1.0 + z2);
    let half = libm::sqrt(z2 * (p * (1.0 - p) + z2 / 4.0)) / (1.0 + z2);
    let low = if successes == 0 { 0.0 } else { (centre - half).max(0.0) };
    let high = if successes == n { 1.0 } else { (centre + half).min(1.0) };
    Some(Interval { low, high, level })
}

/// Mean and variance of a stream of values that isn't kept.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Running {
    n: u64,
    mean: f64,
    squares: f64,
}

impl Running {
    /// Takes in one value.
    pub fn add(&mut self, value: f64) {
        self.n += 1;
        let from_old = value - self.mean;
        self.mean += from_old / self.n as f64;
        self.squares += from_old * (value - self.mean);
    }

    /// Takes in another stream's values. Merge in a fixed order where bits matter: float addition isn't associative.
    pub fn merge(&mut self, other: &Self) {
        if other.n == 0 {
            return;
        }
        let (a, b) = (self.n as f64, other.n as f64);
        let apart = other.mean - self.mean;
        self.n += other.n;
        self.mean += apart * b / (a + b);
        self.squares += other.squares + apart * apart * a * b / (a + b);
    }

    /// The number of values.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// Their mean; `None` if there are none or it isn't finite.
    pub fn mean(&self) -> Option<f64> {
        (self.n > 0 && self.mean.is_finite()).then_some(self.mean)
    }

    /// Their variance (divisor n - 1); `None` below two values.
    pub fn variance(&self) -> Option<f64> {
        (self.n > 1)
            .then(|| self.squares / (self.n - 1) as f64)
            .filter(|v| v.is_finite())
    }

    /// Mean, standard deviation and interval, for independent values only (replicates, not the tasks of one run).
    pub fn summary(&self, level: Level) -> Option<Summary> {
        Some(Summary::from_moments(self.n, self.mean()?, self.squares, level))
    }
}
