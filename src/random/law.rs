//! The laws of random numbers: what a scenario writes where a quantity varies.
//!
//! Every law samples from the stream of one address, knows its mean, variance, distribution function and quantile, and
//! says what is wrong with its parameters. Only [`Law::validate`]d laws give meaningful numbers; the others never panic or
//! hang, but may give NaN.

mod analysis;
mod valid;

pub(super) use analysis::{Tails, variance_of};
pub use valid::LawError;

use super::continuous::{beta, gamma, weibull};
use super::discrete::{Zipf, poisson};
use super::empirical::Column;
use super::math::{exp, ln, ln_1p, normal_quantile};
use super::truncated::Truncated;
use super::ziggurat::{standard_exponential, standard_normal};
use crate::kernel::{SimDuration, Stream};
use std::sync::Arc;

/// The distribution of one number, in whatever base unit the caller means (nanoseconds for durations).
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // Of the fields: each is explained in the line of its variant.
pub enum Law {
    /// Always the same value.
    Constant(f64),
    /// Uniform between `low` and `high`.
    Uniform { low: f64, high: f64 },
    /// Exponential of the given mean (0: always 0).
    Exponential { mean: f64 },
    /// Normal of the given mean and standard deviation. As a duration its negative values count as 0: truncate it, or take
    /// its absolute value, where that matters.
    Normal { mean: f64, sd: f64 },
    /// The absolute value of another law's.
    Absolute(Box<Law>),
    /// Log-normal: `median` · exp(`sigma` Z) for a standard normal Z. (The usual mu is ln `median`; see
    /// [`Law::log_normal`] and its neighbours for other parameters.)
    LogNormal { median: f64, sigma: f64 },
    /// Pareto: above `scale`, P(X > x) = (`scale` / x)^`shape`. Its mean is infinite up to a shape of 1, its variance up
    /// to 2.
    Pareto { scale: f64, shape: f64 },
    /// Weibull: P(X > x) = exp(-(x / `scale`)^`shape`).
    Weibull { scale: f64, shape: f64 },
    /// Gamma of mean `shape` · `scale`.
    Gamma { shape: f64, scale: f64 },
    /// Beta of shapes `a` and `b`, stretched from [0, 1] to [`low`, `high`].
    Beta { a: f64, b: f64, low: f64, high: f64 },
    /// The number of independent events where `mean` are expected.
    Poisson { mean: f64 },
    /// A rank from 1 to n, with a probability falling as a power of the rank.
    Zipf(Zipf),
    /// 1 with probability `p`, else 0.
    Bernoulli { p: f64 },
    /// One of several laws, chosen with a probability proportional to its weight.
    Mixture(Vec<(f64, Law)>),
    /// Another law's value plus `by`.
    Shifted { by: f64, law: Box<Law> },
    /// Another law's value times `by` (not negative).
    Scaled { by: f64, law: Box<Law> },
    /// Another law, given that its value lies in an interval; see [`Law::truncated`].
    Truncated(Box<Truncated>),
    /// A random row of a measured column.
    Empirical(Arc<Column>),
    /// The rows of a measured column in their order: draw number n takes row n, from the start again after the last.
    Replay(Arc<Column>),
}

impl Law {
    /// The log-normal whose logarithm has mean `mu` and standard deviation `sigma`.
    pub fn log_normal(mu: f64, sigma: f64) -> Self {
        Self::LogNormal { median: exp(mu), sigma }
    }

    /// The log-normal of the given mean and standard deviation.
    pub fn log_normal_from_mean(mean: f64, sd: f64) -> Self {
        let square = (sd / mean) * (sd / mean);
        Self::LogNormal {
            median: mean / (1.0 + square).sqrt(),
            sigma: ln_1p(square).sqrt(),
        }
    }

    /// The log-normal with quantiles `x1` at `p1` and `x2` at `p2`.
    ///
    /// # Errors
    /// Refuses levels that aren't strictly between 0 and 1 and rising, and values that aren't above 0 and rising.
    pub fn log_normal_from_quantiles(p1: f64, x1: f64, p2: f64, x2: f64) -> Result<Self, LawError> {
        let bad = LawError::Quantiles { p1, x1, p2, x2 };
        let levels = 0.0 < p1 && p1 < p2 && p2 < 1.0;
        let values = 0.0 < x1 && x1 <= x2 && x2.is_finite();
        if !(levels && values) {
            return Err(bad);
        }
        let (z1, z2) = (normal_quantile(p1), normal_quantile(p2));
        let sigma = ln(x2 / x1) / (z2 - z1);
        let law = Self::LogNormal {
            median: x1 * exp(-sigma * z1),
            sigma,
        };
        law.validate().map_err(|_| bad)?;
        Ok(law)
    }

    /// The beta law on [0, 1].
    pub fn beta(a: f64, b: f64) -> Self {
        Self::Beta {
            a,
            b,
            low: 0.0,
            high: 1.0,
        }
    }

    /// Zipf's law on the ranks 1 to `n`.
    pub fn zipf(n: u64, exponent: f64) -> Self {
        Self::Zipf(Zipf::new(n, exponent))
    }

    /// This law given that its value lies in [low, high]; either end may be infinite.
    pub fn truncated(self, low: f64, high: f64) -> Self {
        Self::Truncated(Box::new(Truncated::new(low, high, self)))
    }

    /// This law's value plus `by`.
    pub fn shifted(self, by: f64) -> Self {
        Self::Shifted {
            by,
            law: Box::new(self),
        }
    }

    /// The absolute value of this law's.
    pub fn absolute(self) -> Self {
        Self::Absolute(Box::new(self))
    }

    /// A sample. It takes what it needs from `stream`; `number` says which draw this is, and only [`Law::Replay`] reads it.
    ///
    /// Of a valid law it is finite and within [`Law::support`].
    #[inline]
    pub fn sample(&self, stream: &mut Stream, number: u64) -> f64 {
        match self {
            Self::Constant(value) => *value,
            // The product may round up to the whole width, and the sum past the end.
            Self::Uniform { low, high } => (low + (high - low) * stream.unit()).min(*high),
            Self::Exponential { mean } => mean * standard_exponential(stream),
            _ => self.sample_other(stream, number),
        }
    }

    /// The laws that cost more than a call.
    #[inline(never)]
    fn sample_other(&self, stream: &mut Stream, number: u64) -> f64 {
        match self {
            Self::Normal { mean, sd } => mean + sd * standard_normal(stream),
            Self::LogNormal { median, sigma } => median * exp(sigma * standard_normal(stream)),
            Self::Pareto { scale, shape } => scale * exp(standard_exponential(stream) / shape),
            Self::Weibull { scale, shape } => scale * weibull(stream, *shape),
            Self::Gamma { shape, scale } => scale * gamma(stream, *shape),
            Self::Beta { a, b, low, high } => (low + (high - low) * beta(stream, *a, *b)).min(*high),
            Self::Poisson { mean } => poisson(stream, *mean),
            Self::Zipf(zipf) => zipf.sample(stream),
            Self::Bernoulli { p } => f64::from(u8::from(stream.chance(*p))),
            Self::Absolute(law) => law.sample(stream, number).abs(),
            Self::Mixture(parts) => {
                let total: f64 = parts.iter().map(|(weight, _)| weight).sum();
                let mut rest = stream.unit() * total;
                let mut chosen = None;
                for (weight, law) in parts.iter().filter(|(weight, _)| *weight > 0.0) {
                    chosen = Some(law);
                    if rest < *weight {
                        break;
                    }
                    rest -= weight;
                }
                chosen.map_or(f64::NAN, |law| law.sample(stream, number))
            }
            Self::Shifted { by, law } => by + law.sample(stream, number),
            Self::Scaled { by, law } => by * law.sample(stream, number),
            Self::Truncated(truncated) => truncated.sample(stream),
            Self::Empirical(column) => column.value(stream.below(column.len() as u64) as usize),
            Self::Replay(column) => column.value((number % column.len() as u64) as usize),
            Self::Constant(_) | Self::Uniform { .. } | Self::Exponential { .. } => self.sample(stream, number),
        }
    }

    /// A sample as a duration: the value in nanoseconds, rounded to the nearest, and 0 if it is negative.
    #[inline]
    pub fn sample_duration(&self, stream: &mut Stream, number: u64) -> SimDuration {
        SimDuration::from_nanos_f64(self.sample(stream, number))
    }

    /// The law of this one's value times `factor` (not negative), drawn from the same bits.
    ///
    /// For a power of two every sample is multiplied exactly, whatever the law (unless it leaves the range of normal
    /// numbers); for other factors up to rounding.
    pub fn scaled(&self, factor: f64) -> Self {
        if factor == 0.0 {
            return Self::Constant(0.0);
        }
        match self {
            Self::Constant(value) => Self::Constant(value * factor),
            Self::Uniform { low, high } => Self::Uniform {
                low: low * factor,
                high: high * factor,
            },
            Self::Exponential { mean } => Self::Exponential { mean: mean * factor },
            Self::Normal { mean, sd } => Self::Normal {
                mean: mean * factor,
                sd: sd * factor,
            },
            Self::LogNormal { median, sigma } => Self::LogNormal {
                median: median * factor,
                sigma: *sigma,
            },
            Self::Pareto { scale, shape } => Self::Pareto {
                scale: scale * factor,
                shape: *shape,
            },
            Self::Weibull { scale, shape } => Self::Weibull {
                scale: scale * factor,
                shape: *shape,
            },
            Self::Gamma { shape, scale } => Self::Gamma {
                shape: *shape,
                scale: scale * factor,
            },
            Self::Beta { a, b, low, high } => Self::Beta {
                a: *a,
                b: *b,
                low: low * factor,
                high: high * factor,
            },
            Self::Absolute(law) => Self::Absolute(Box::new(law.scaled(factor))),
            Self::Mixture(parts) => Self::Mixture(parts.iter().map(|(w, law)| (*w, law.scaled(factor))).collect()),
            Self::Shifted { by, law } => Self::Shifted {
                by: by * factor,
                law: Box::new(law.scaled(factor)),
            },
            Self::Scaled { by, law } => Self::Scaled {
                by: by * factor,
                law: law.clone(),
            },
            Self::Truncated(truncated) => Self::Truncated(Box::new(truncated.scaled(factor))),
            Self::Poisson { .. } | Self::Zipf(_) | Self::Bernoulli { .. } | Self::Empirical(_) | Self::Replay(_) => {
                Self::Scaled {
                    by: factor,
                    law: Box::new(self.clone()),
                }
            }
        }
    }
}
