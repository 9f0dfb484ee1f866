//! What is known of a law without sampling it: moments, distribution function, quantile, support.

use super::Law;
use crate::random::math::{
    before, exp, exp_m1, gamma, incomplete_beta, incomplete_gamma, least, ln, ln_1p, normal_cdf, normal_density,
    normal_quantile_of, normal_survival, pow,
};

/// The two tails of a law at a point, P(X <= x) and P(X > x): each with its own digits.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tails {
    /// P(X <= x).
    pub below: f64,
    /// P(X > x).
    pub above: f64,
}

impl Tails {
    /// No probability at all: what an invalid law gets.
    pub const NOTHING: Self = Self { below: 0.0, above: 0.0 };

    /// A point mass: everything is below from `at` on.
    fn step(x: f64, at: f64) -> Self {
        if x >= at {
            Self { below: 1.0, above: 0.0 }
        } else {
            Self { below: 0.0, above: 1.0 }
        }
    }

    fn new((below, above): (f64, f64)) -> Self {
        Self { below, above }
    }
}

/// A standard normal's tails at `z`.
fn normal_tails(z: f64) -> Tails {
    Tails {
        below: normal_cdf(z),
        above: normal_survival(z),
    }
}

/// ln q, from whichever of p and q = 1 - p is smaller.
fn ln_above(p: f64, q: f64) -> f64 {
    if p < q { ln_1p(-p) } else { ln(q) }
}

/// The greatest float that a rising function takes to `x` or below. Found by halving, not by the inverse function, whose
/// rounding would put a step of the law on the wrong side now and then.
fn preimage(x: f64, function: impl Fn(f64) -> f64) -> f64 {
    if x.is_nan() || x == f64::INFINITY {
        return x;
    }
    before(least(f64::NEG_INFINITY, f64::INFINITY, |y| function(y) > x))
}

impl Law {
    /// The mean, exact up to rounding; infinite for a Pareto law of a shape up to 1.
    pub fn mean(&self) -> f64 {
        self.moments().0
    }

    /// The variance, exact up to rounding; infinite for a Pareto law of a shape up to 2.
    pub fn variance(&self) -> f64 {
        self.moments().1
    }

    fn moments(&self) -> (f64, f64) {
        match self {
            Self::Constant(value) => (*value, 0.0),
            Self::Uniform { low, high } => (low + 0.5 * (high - low), (high - low) * (high - low) / 12.0),
            Self::Exponential { mean } => (*mean, mean * mean),
            Self::Normal { mean, sd } => (*mean, sd * sd),
            Self::LogNormal { median, sigma } => {
                let mean = median * exp(0.5 * sigma * sigma);
                (mean, mean * mean * exp_m1(sigma * sigma))
            }
            Self::Pareto { scale, shape: a } => {
                let mean = if *a > 1.0 { scale * a / (a - 1.0) } else { f64::INFINITY };
                let variance = scale * scale * a / ((a - 1.0) * (a - 1.0) * (a - 2.0));
                (mean, if *a > 2.0 { variance } else { f64::INFINITY })
            }
            Self::Weibull { scale, shape } => {
                let (first, second) = (gamma(1.0 + 1.0 / shape), gamma(1.0 + 2.0 / shape));
                let variance = if second.is_finite() {
                    scale * scale * (second - first * first).max(0.0)
                } else {
                    second
                };
                (scale * first, variance)
            }
            Self::Gamma { shape, scale } => (shape * scale, shape * scale * scale),
            Self::Beta { a, b, low, high } => {
                let (width, n) = (high - low, a + b);
                (low + width * (a / n), width * width * ((a / n) * (b / n) / (n + 1.0)))
            }
            Self::Poisson { mean } => (*mean, *mean),
            Self::Zipf(zipf) => {
                let mean = zipf.partial(zipf.n() as f64, 1.0);
                (mean, (zipf.partial(zipf.n() as f64, 2.0) - mean * mean).max(0.0))
            }
            Self::Bernoulli { p } => (*p, p * (1.0 - p)),
            Self::Absolute(_) => {
                let [_, first, second] = self.partial(f64::INFINITY);
                (first, variance_of(first, second))
            }
            Self::Mixture(parts) => {
                let total: f64 = parts.iter().map(|(weight, _)| weight).sum();
                let parts = || parts.iter().filter(|(weight, _)| *weight > 0.0);
                let mean: f64 = parts().map(|(weight, law)| weight / total * law.mean()).sum();
                if mean.is_infinite() {
                    return (mean, f64::INFINITY);
                }
                let spread = |law: &Law| law.variance() + (law.mean() - mean) * (law.mean() - mean);
                (mean, parts().map(|(weight, law)| weight / total * spread(law)).sum())
            }
            Self::Shifted { by, law } => (by + law.mean(), law.variance()),
            Self::Scaled { by, .. } if *by == 0.0 => (0.0, 0.0),
            Self::Scaled { by, law } => (by * law.mean(), by * by * law.variance()),
            Self::Truncated(truncated) => truncated.moments(),
            Self::Empirical(column) | Self::Replay(column) => (column.mean(), column.variance()),
        }
    }

    /// P(X <= x). A replayed column counts as its rows in any order.
    pub fn cdf(&self, x: f64) -> f64 {
        self.tails(x).below
    }

    /// The smallest x with P(X <= x) >= `u`: the lower end of the support (which may be -∞) at 0, the upper one at 1.
    ///
    /// In closed form where there is one; for gamma, beta, Poisson, Zipf, absolute and mixed laws by halving the floats
    /// between the ends of the support: at most 64 evaluations of the distribution function. `None` only for a `u` that is
    /// no probability.
    pub fn quantile(&self, u: f64) -> Option<f64> {
        (0.0..=1.0).contains(&u).then(|| self.inverse(u, 1.0 - u))
    }

    /// The least and the greatest value that the law can give; either may be infinite.
    pub fn support(&self) -> (f64, f64) {
        match self {
            Self::Constant(value) => (*value, *value),
            Self::Uniform { low, high } | Self::Beta { low, high, .. } => (*low, *high),
            Self::Exponential { mean } if *mean == 0.0 => (0.0, 0.0),
            Self::Poisson { mean } if *mean == 0.0 => (0.0, 0.0),
            Self::Normal { mean, sd } if *sd == 0.0 => (*mean, *mean),
            Self::LogNormal { median, sigma } if *sigma == 0.0 => (*median, *median),
            Self::Normal { .. } => (f64::NEG_INFINITY, f64::INFINITY),
            Self::Exponential { .. }
            | Self::LogNormal { .. }
            | Self::Weibull { .. }
            | Self::Gamma { .. }
            | Self::Poisson { .. } => (0.0, f64::INFINITY),
            Self::Pareto { scale, .. } => (*scale, f64::INFINITY),
            Self::Zipf(zipf) => (1.0, zipf.n() as f64),
            Self::Bernoulli { p } => (f64::from(u8::from(*p >= 1.0)), f64::from(u8::from(*p > 0.0))),
            Self::Absolute(law) => {
                let (low, high) = law.support();
                let nearest = if low > 0.0 {
                    low
                } else if high < 0.0 {
                    -high
                } else {
                    0.0
                };
                (nearest, low.abs().max(high.abs()))
            }
            Self::Mixture(parts) => {
                let ends = parts
                    .iter()
                    .filter(|(weight, _)| *weight > 0.0)
                    .map(|(_, law)| law.support());
                ends.fold((f64::INFINITY, f64::NEG_INFINITY), |all, part| {
                    (all.0.min(part.0), all.1.max(part.1))
                })
            }
            Self::Shifted { by, law } => {
                let (low, high) = law.support();
                (by + low, by + high)
            }
            Self::Scaled { by, .. } if *by == 0.0 => (0.0, 0.0),
            Self::Scaled { by, law } => {
                let (low, high) = law.support();
                (by * low, by * high)
            }
            Self::Truncated(truncated) => {
                let (low, high) = truncated.law().support();
                (low.max(truncated.low()), high.min(truncated.high()))
            }
            Self::Empirical(column) | Self::Replay(column) => (column.least(), column.greatest()),
        }
    }

    /// Whether the quantile is in closed form (or a look into a table), and so about as cheap as a sample.
    pub(in crate::random) fn has_fast_quantile(&self) -> bool {
        match self {
            Self::Gamma { .. }
            | Self::Beta { .. }
            | Self::Poisson { .. }
            | Self::Zipf(_)
            | Self::Absolute(_)
            | Self::Mixture(_) => false,
            Self::Shifted { law, .. } | Self::Scaled { law, .. } => law.has_fast_quantile(),
            Self::Truncated(truncated) => truncated.law().has_fast_quantile(),
            _ => true,
        }
    }

    /// Both tails at `x`.
    pub(in crate::random) fn tails(&self, x: f64) -> Tails {
        match self {
            Self::Constant(value) => Tails::step(x, *value),
            Self::Uniform { low, high } if x < *low || x >= *high => Tails::step(x, *high),
            Self::Uniform { low, high } => {
                let width = high - low;
                Tails {
                    below: (x - low) / width,
                    above: (high - x) / width,
                }
            }
            Self::Exponential { mean } if *mean == 0.0 || x < 0.0 => Tails::step(x, 0.0),
            Self::Exponential { mean } => Tails {
                below: -exp_m1(-x / mean),
                above: exp(-x / mean),
            },
            Self::Normal { mean, sd } if *sd == 0.0 => Tails::step(x, *mean),
            Self::Normal { mean, sd } => normal_tails((x - mean) / sd),
            Self::LogNormal { median, sigma } if *sigma == 0.0 => Tails::step(x, *median),
            Self::LogNormal { median, sigma } if x > 0.0 => normal_tails(ln(x / median) / sigma),
            Self::Pareto { scale, shape } if x >= *scale => {
                let t = -shape * ln(x / scale);
                Tails {
                    below: -exp_m1(t),
                    above: exp(t),
                }
            }
            Self::Weibull { scale, shape } if x > 0.0 => {
                let t = -pow(x / scale, *shape);
                Tails {
                    below: -exp_m1(t),
                    above: exp(t),
                }
            }
            Self::Gamma { shape, scale } => Tails::new(incomplete_gamma(*shape, x / scale)),
            Self::Beta { low, high, .. } if x < *low || x >= *high => Tails::step(x, *high),
            Self::Beta { a, b, low, high } => {
                let width = high - low;
                Tails::new(incomplete_beta(*a, *b, (x - low) / width, (high - x) / width))
            }
            Self::Poisson { mean } if *mean == 0.0 => Tails::step(x, 0.0),
            Self::Poisson { mean } if x >= 0.0 => {
                let (above, below) = incomplete_gamma(x.floor() + 1.0, *mean);
                Tails { below, above }
            }
            Self::LogNormal { .. } | Self::Pareto { .. } | Self::Weibull { .. } | Self::Poisson { .. } => {
                Tails { below: 0.0, above: 1.0 }
            }
            Self::Zipf(zipf) => {
                let below = zipf.partial(x, 0.0);
                Tails {
                    below,
                    above: 1.0 - below,
                }
            }
            Self::Bernoulli { p } if (0.0..1.0).contains(&x) => Tails {
                below: 1.0 - p,
                above: *p,
            },
            Self::Bernoulli { .. } => Tails::step(x, 1.0),
            Self::Absolute(_) if x < 0.0 => Tails { below: 0.0, above: 1.0 },
            Self::Absolute(law) => {
                let (right, left) = (law.tails(x), law.tails(before(-x)));
                let below = if left.below > 0.5 {
                    left.above - right.above
                } else {
                    right.below - left.below
                };
                Tails {
                    below: below.max(0.0),
                    above: right.above + left.below,
                }
            }
            Self::Mixture(parts) => {
                let total: f64 = parts.iter().map(|(weight, _)| weight).sum();
                parts.iter().fold(Tails::NOTHING, |sum, (weight, law)| {
                    let part = law.tails(x);
                    let share = weight / total;
                    Tails {
                        below: sum.below + share * part.below,
                        above: sum.above + share * part.above,
                    }
                })
            }
            Self::Shifted { by, law } => law.tails(preimage(x, |y| by + y)),
            Self::Scaled { by, .. } if *by == 0.0 => Tails::step(x, 0.0),
            Self::Scaled { by, law } => law.tails(preimage(x, |y| by * y)),
            Self::Truncated(truncated) => truncated.tails(x),
            Self::Empirical(column) | Self::Replay(column) => {
                let (below, n) = (column.count_up_to(x) as f64, column.len() as f64);
                Tails {
                    below: below / n,
                    above: (n - below) / n,
                }
            }
        }
    }

    /// The quantile at lower tail `p` and upper tail `q` = 1 - p.
    pub(in crate::random) fn inverse(&self, p: f64, q: f64) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Uniform { low, high } if p < q => (low + (high - low) * p).min(*high),
            Self::Uniform { low, high } => (high - (high - low) * q).max(*low),
            Self::Exponential { mean } if *mean == 0.0 => 0.0,
            Self::Exponential { mean } => -mean * ln_above(p, q),
            Self::Normal { mean, sd } if *sd == 0.0 => *mean,
            Self::Normal { mean, sd } => mean + sd * normal_quantile_of(p, q),
            Self::LogNormal { median, sigma } if *sigma == 0.0 => *median,
            Self::LogNormal { median, sigma } => median * exp(sigma * normal_quantile_of(p, q)),
            Self::Pareto { scale, shape } => scale * exp(-ln_above(p, q) / shape),
            Self::Weibull { scale, shape } => scale * pow(-ln_above(p, q), 1.0 / shape),
            Self::Bernoulli { p: one } => f64::from(u8::from(q < *one || *one >= 1.0)),
            Self::Shifted { by, law } => by + law.inverse(p, q),
            Self::Scaled { by, .. } if *by == 0.0 => 0.0,
            Self::Scaled { by, law } => by * law.inverse(p, q),
            Self::Truncated(truncated) => truncated.inverse(p, q),
            Self::Empirical(column) | Self::Replay(column) => column.quantile(p),
            // In units of the scale, so that scaling the law scales its quantiles exactly.
            Self::Gamma { shape, scale } if *scale != 1.0 => {
                scale
                    * Self::Gamma {
                        shape: *shape,
                        scale: 1.0,
                    }
                    .inverse(p, q)
            }
            Self::Beta { a, b, low, high } if (*low, *high) != (0.0, 1.0) => {
                (low + (high - low) * Self::beta(*a, *b).inverse(p, q)).min(*high)
            }
            Self::Gamma { .. }
            | Self::Beta { .. }
            | Self::Poisson { .. }
            | Self::Zipf(_)
            | Self::Absolute(_)
            | Self::Mixture(_) => self.searched_inverse(p, q),
        }
    }

    /// The quantile by halving the floats between the ends of the support.
    fn searched_inverse(&self, p: f64, q: f64) -> f64 {
        let (low, high) = self.support();
        if p <= 0.0 {
            return low;
        }
        if q <= 0.0 {
            return high;
        }
        let found = least(low.max(-f64::MAX), high.min(f64::MAX), |x| {
            let at = self.tails(x);
            if p < q { at.below >= p } else { at.above <= q }
        });
        // The search may end on the negative zero.
        found + 0.0
    }

    /// The point about which [`Law::partial`] takes its moments: near the values where they're narrow, so that a small
    /// variance far from zero keeps its digits.
    pub(in crate::random) fn anchor(&self) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Uniform { low, .. } | Self::Beta { low, .. } => *low,
            Self::Normal { mean, .. } => *mean,
            Self::LogNormal { median, .. } => *median,
            Self::Pareto { scale, .. } => *scale,
            Self::Shifted { by, law } => by + law.anchor(),
            Self::Scaled { by, law } => by * law.anchor(),
            Self::Truncated(truncated) => truncated.law().anchor(),
            Self::Empirical(column) | Self::Replay(column) => column.mean(),
            _ => 0.0,
        }
    }

    /// E[(X - anchor)^k; X <= x] for k = 0, 1, 2.
    pub(in crate::random) fn partial(&self, x: f64) -> [f64; 3] {
        let below = self.tails(x).below;
        if below == 0.0 {
            return [0.0; 3];
        }
        let (first, second) = match self {
            Self::Constant(_) | Self::Bernoulli { .. } if x < 1.0 => (0.0, 0.0),
            Self::Constant(_) => (0.0, 0.0),
            Self::Bernoulli { p } => (*p, *p),
            Self::Uniform { low, high } => {
                let width = high - low;
                (width * below * below / 2.0, width * width * below * below * below / 3.0)
            }
            Self::Exponential { mean } if *mean == 0.0 => (0.0, 0.0),
            Self::Exponential { mean } => {
                let t = x / mean;
                (
                    mean * incomplete_gamma(2.0, t).0,
                    2.0 * mean * mean * incomplete_gamma(3.0, t).0,
                )
            }
            Self::Normal { sd, .. } if *sd == 0.0 => (0.0, 0.0),
            Self::Normal { mean, sd } => {
                let z = (x - mean) / sd;
                let density = normal_density(z);
                let lever = if density == 0.0 { 0.0 } else { z * density };
                (-sd * density, sd * sd * (below - lever))
            }
            Self::LogNormal { sigma, .. } if *sigma == 0.0 => (0.0, 0.0),
            Self::LogNormal { median, sigma } => {
                let z = ln(x / median) / sigma;
                let raw = |k: f64| exp(0.5 * k * k * sigma * sigma) * normal_cdf(z - k * sigma);
                about(1.0, *median, below, raw(1.0), raw(2.0))
            }
            Self::Pareto { scale, shape } => {
                let log = ln(x / scale);
                let raw = |k: f64| {
                    let rate = k - shape;
                    if rate == 0.0 {
                        shape * log
                    } else {
                        shape * (exp_m1(rate * log) / rate)
                    }
                };
                about(1.0, *scale, below, raw(1.0), raw(2.0))
            }
            Self::Weibull { scale, shape } => {
                let t = pow(x / scale, *shape);
                let raw = |k: f64| gamma(1.0 + k / shape) * incomplete_gamma(1.0 + k / shape, t).0;
                about(0.0, *scale, below, raw(1.0), raw(2.0))
            }
            Self::Gamma { shape, scale } => {
                let t = x / scale;
                let first = shape * incomplete_gamma(shape + 1.0, t).0;
                let second = shape * (shape + 1.0) * incomplete_gamma(shape + 2.0, t).0;
                about(0.0, *scale, below, first, second)
            }
            Self::Beta { a, b, low, high } => {
                let (width, n) = (high - low, a + b);
                let (near, far) = if x >= *high {
                    (1.0, 0.0)
                } else {
                    ((x - low) / width, (high - x) / width)
                };
                let first = a / n * incomplete_beta(a + 1.0, *b, near, far).0;
                let second = a / n * ((a + 1.0) / (n + 1.0)) * incomplete_beta(a + 2.0, *b, near, far).0;
                about(0.0, width, below, first, second)
            }
            Self::Poisson { mean } => {
                let first = mean * self.tails(x - 1.0).below;
                (first, mean * mean * self.tails(x - 2.0).below + first)
            }
            Self::Zipf(zipf) => (zipf.partial(x, 1.0), zipf.partial(x, 2.0)),
            Self::Absolute(law) => {
                // The positive part of the law less its negative part, moved from its anchor to zero.
                let raw = |at: f64| {
                    let [mass, first, second] = law.partial(at);
                    let anchor = law.anchor();
                    (
                        first + anchor * mass,
                        second + 2.0 * anchor * first + anchor * anchor * mass,
                    )
                };
                let (left, zero, right) = (raw(before(-x)), raw(0.0), raw(x));
                ((right.0 - zero.0) - (zero.0 - left.0), right.1 - left.1)
            }
            Self::Mixture(parts) => {
                let total: f64 = parts.iter().map(|(weight, _)| weight).sum();
                parts
                    .iter()
                    .filter(|(weight, _)| *weight > 0.0)
                    .fold((0.0, 0.0), |sum, (weight, law)| {
                        let ([mass, first, second], anchor, share) = (law.partial(x), law.anchor(), weight / total);
                        let moved = second + 2.0 * anchor * first + anchor * anchor * mass;
                        (sum.0 + share * (first + anchor * mass), sum.1 + share * moved)
                    })
            }
            Self::Shifted { by, law } => {
                let [_, first, second] = law.partial(preimage(x, |y| by + y));
                (first, second)
            }
            Self::Scaled { by, .. } if *by == 0.0 => (0.0, 0.0),
            Self::Scaled { by, law } => {
                let [_, first, second] = law.partial(preimage(x, |y| by * y));
                (by * first, by * by * second)
            }
            Self::Truncated(truncated) => {
                let [_, first, second] = truncated.partial(x);
                (first, second)
            }
            Self::Empirical(column) | Self::Replay(column) => column.partial(x),
        };
        [below, first, second]
    }
}

/// The variance from the first two moments about one point; infinite if the second is.
pub(in crate::random) fn variance_of(first: f64, second: f64) -> f64 {
    if second.is_infinite() {
        f64::INFINITY
    } else {
        (second - first * first).max(0.0)
    }
}

/// The first two moments in units of `scale`, moved from zero to `anchor` (0 or 1 such units) and scaled.
fn about(anchor: f64, scale: f64, below: f64, first: f64, second: f64) -> (f64, f64) {
    let infinite = first.is_infinite() || second.is_infinite();
    let moved = if infinite {
        f64::INFINITY
    } else {
        second - 2.0 * anchor * first + anchor * anchor * below
    };
    (scale * (first - anchor * below), scale * scale * moved)
}
