//! What can be wrong with a law's parameters.

use super::Law;
use crate::random::math::{exp, pow};
use crate::random::truncated::LEAST_MASS;
use crate::random::ziggurat::{EXPONENTIAL_REACH, NORMAL_REACH};

/// The largest shape of a gamma or beta law and the largest mean of a Poisson law. Beyond it, they are a normal law for
/// every purpose.
const LARGEST_SHAPE: f64 = 1e9;
/// The smallest shape of a gamma or beta law.
const SMALLEST_SHAPE: f64 = 1e-6;
/// The largest sigma of a log-normal law, and the smallest shape of a Weibull law: beyond them the second moment leaves the
/// range of numbers.
const WIDEST_SIGMA: f64 = 15.0;
const LEAST_WEIBULL_SHAPE: f64 = 0.02;
/// The most ranks of a Zipf law: the integers that a float holds exactly.
const MOST_RANKS: u64 = 1 << 53;

/// A parameter, or a set of them, that makes no law.
#[derive(Debug, Clone, Copy, PartialEq)]
#[allow(missing_docs)] // Of the fields: each is explained in the line of its variant.
pub enum LawError {
    /// NaN or infinite.
    NotFinite {
        law: &'static str,
        parameter: &'static str,
        value: f64,
    },
    /// Zero or negative where only a positive number makes sense.
    NotPositive {
        law: &'static str,
        parameter: &'static str,
        value: f64,
    },
    /// Negative where only zero or more makes sense.
    Negative {
        law: &'static str,
        parameter: &'static str,
        value: f64,
    },
    /// A probability outside [0, 1].
    NotAProbability {
        law: &'static str,
        parameter: &'static str,
        value: f64,
    },
    /// A parameter outside the range in which the law is supported.
    OutOfRange {
        law: &'static str,
        parameter: &'static str,
        value: f64,
        least: f64,
        most: f64,
    },
    /// An interval that ends before it begins.
    Reversed { law: &'static str, low: f64, high: f64 },
    /// An interval that the truncated law (nearly) never enters.
    NoMass { low: f64, high: f64, mass: f64 },
    /// Rows replayed in order can't be conditioned on a value.
    ReplayTruncated,
    /// A mixture of nothing.
    EmptyMixture,
    /// A law whose values leave the range of numbers.
    TooWide { law: &'static str },
    /// Two quantiles that no log-normal has.
    Quantiles { p1: f64, x1: f64, p2: f64, x2: f64 },
}

/// A number as it stands in a message: very large and very small ones by their powers of ten.
fn plain(value: f64) -> String {
    let size = value.abs();
    match size == 0.0 || !size.is_finite() || (1e-9..1e17).contains(&size) {
        true => value.to_string(),
        false => format!("{value:e}"),
    }
}

/// Whether a parameter is of the kind that the law's values are of: a time, where these are times.
fn is_value(law: &str, parameter: &str) -> bool {
    match parameter {
        "low" | "high" | "value" | "mean" | "median" | "sd" => true,
        "scale" => true,
        "by" => law == "Shifted",
        _ => false,
    }
}

impl LawError {
    /// The message, in which numbers of the kind that the law's values are of are written by `value`: with their unit.
    pub fn describe(&self, value: &dyn Fn(f64) -> String) -> String {
        let written = |law: &str, parameter: &str, number: f64| match is_value(law, parameter) {
            true => value(number),
            false => plain(number),
        };
        match *self {
            Self::NotFinite { law, parameter, value } => {
                format!("{law}: {parameter} must be a finite number, not {value}")
            }
            Self::NotPositive { law, parameter, value } => {
                format!(
                    "{law}: {parameter} must be above 0, not {}",
                    written(law, parameter, value)
                )
            }
            Self::Negative { law, parameter, value } => {
                format!(
                    "{law}: {parameter} must not be negative, but is {}",
                    written(law, parameter, value)
                )
            }
            Self::NotAProbability { law, parameter, value } => format!(
                "{law}: {parameter} is a probability and must lie between 0 and 1, not at {}",
                plain(value)
            ),
            Self::OutOfRange {
                law,
                parameter,
                value,
                least,
                most,
            } => {
                let written = |number| written(law, parameter, number);
                format!(
                    "{law}: {parameter} must lie between {} and {}, not at {}",
                    written(least),
                    written(most),
                    written(value)
                )
            }
            Self::Reversed { law, low, high } => {
                format!("{law}: low ({}) must not exceed high ({})", value(low), value(high))
            }
            Self::NoMass { low, high, mass } => format!(
                "Truncated: the law gives the interval from {} to {} a probability of only {mass:e}; it needs 1e-6",
                value(low),
                value(high)
            ),
            Self::ReplayTruncated => {
                "Truncated: a replayed table can't be truncated, since its rows come in order; filter the table".into()
            }
            Self::EmptyMixture => "Mixture: needs at least one law of a weight above 0".into(),
            Self::TooWide { law } => {
                format!("{law}: its values would exceed the largest number; use a smaller spread or a larger shape")
            }
            Self::Quantiles { p1, x1, p2, x2 } => format!(
                "LogNormal: quantiles need levels rising strictly inside 0 to 1 and values above 0 that don't fall, not {} at {} \
                 and {} at {}",
                value(x1),
                plain(p1),
                value(x2),
                plain(p2)
            ),
        }
    }
}

impl std::fmt::Display for LawError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.describe(&plain))
    }
}

impl std::error::Error for LawError {}

/// The checks of one law's parameters, by its name.
struct Check(&'static str);

impl Check {
    fn finite(&self, parameter: &'static str, value: f64) -> Result<(), LawError> {
        match value.is_finite() {
            true => Ok(()),
            false => Err(LawError::NotFinite {
                law: self.0,
                parameter,
                value,
            }),
        }
    }

    fn positive(&self, parameter: &'static str, value: f64) -> Result<(), LawError> {
        self.finite(parameter, value)?;
        match value > 0.0 {
            true => Ok(()),
            false => Err(LawError::NotPositive {
                law: self.0,
                parameter,
                value,
            }),
        }
    }

    fn not_negative(&self, parameter: &'static str, value: f64) -> Result<(), LawError> {
        self.finite(parameter, value)?;
        match value >= 0.0 {
            true => Ok(()),
            false => Err(LawError::Negative {
                law: self.0,
                parameter,
                value,
            }),
        }
    }

    fn within(&self, parameter: &'static str, value: f64, least: f64, most: f64) -> Result<(), LawError> {
        self.finite(parameter, value)?;
        match least <= value && value <= most {
            true => Ok(()),
            false => Err(LawError::OutOfRange {
                law: self.0,
                parameter,
                value,
                least,
                most,
            }),
        }
    }

    fn interval(&self, low: f64, high: f64) -> Result<(), LawError> {
        self.finite("low", low)?;
        self.finite("high", high)?;
        if low > high {
            return Err(LawError::Reversed { law: self.0, low, high });
        }
        match (high - low).is_finite() {
            true => Ok(()),
            false => Err(LawError::TooWide { law: self.0 }),
        }
    }
}

impl Law {
    /// Whether the parameters make a law: all of them finite and in range, here and in every law inside.
    ///
    /// # Errors
    /// The first problem, in the order of the parameters.
    pub fn validate(&self) -> Result<(), LawError> {
        let check = Check(self.name());
        match self {
            Self::Constant(value) => check.finite("value", *value)?,
            Self::Uniform { low, high } => check.interval(*low, *high)?,
            Self::Exponential { mean } => check.not_negative("mean", *mean)?,
            Self::Normal { mean, sd } => {
                check.finite("mean", *mean)?;
                check.not_negative("sd", *sd)?;
            }
            Self::LogNormal { median, sigma } => {
                check.positive("median", *median)?;
                check.within("sigma", *sigma, 0.0, WIDEST_SIGMA)?;
            }
            Self::Pareto { scale, shape } => {
                check.positive("scale", *scale)?;
                check.positive("shape", *shape)?;
            }
            Self::Weibull { scale, shape } => {
                check.positive("scale", *scale)?;
                check.within("shape", *shape, LEAST_WEIBULL_SHAPE, LARGEST_SHAPE)?;
            }
            Self::Gamma { shape, scale } => {
                check.positive("shape", *shape)?;
                check.within("shape", *shape, SMALLEST_SHAPE, LARGEST_SHAPE)?;
                check.positive("scale", *scale)?;
            }
            Self::Beta { a, b, low, high } => {
                check.positive("a", *a)?;
                check.within("a", *a, SMALLEST_SHAPE, LARGEST_SHAPE)?;
                check.positive("b", *b)?;
                check.within("b", *b, SMALLEST_SHAPE, LARGEST_SHAPE)?;
                check.interval(*low, *high)?;
            }
            Self::Poisson { mean } => {
                check.not_negative("mean", *mean)?;
                check.within("mean", *mean, 0.0, LARGEST_SHAPE)?;
            }
            Self::Zipf(zipf) => {
                check.within("n", zipf.n() as f64, 1.0, MOST_RANKS as f64)?;
                check.not_negative("exponent", zipf.exponent())?;
                check.within("exponent", zipf.exponent(), 0.0, 100.0)?;
            }
            Self::Bernoulli { p } => {
                check.finite("p", *p)?;
                if !(0.0..=1.0).contains(p) {
                    return Err(LawError::NotAProbability {
                        law: "Bernoulli",
                        parameter: "p",
                        value: *p,
                    });
                }
            }
            Self::Mixture(parts) => {
                let mut total = 0.0;
                for (weight, law) in parts {
                    check.not_negative("weight", *weight)?;
                    law.validate()?;
                    total += weight;
                }
                if total == 0.0 {
                    return Err(LawError::EmptyMixture);
                }
                check.finite("sum of the weights", total)?;
            }
            Self::Absolute(law) => law.validate()?,
            Self::Shifted { by, law } => {
                check.finite("by", *by)?;
                law.validate()?;
            }
            Self::Scaled { by, law } => {
                check.not_negative("by", *by)?;
                law.validate()?;
            }
            Self::Truncated(truncated) => {
                let (low, high, mass) = (truncated.low(), truncated.high(), truncated.mass());
                truncated.law().validate()?;
                for (parameter, value) in [("low", low), ("high", high)] {
                    if value.is_nan() {
                        check.finite(parameter, value)?;
                    }
                }
                if low > high {
                    return Err(LawError::Reversed {
                        law: "Truncated",
                        low,
                        high,
                    });
                }
                if truncated.law().replays() {
                    return Err(LawError::ReplayTruncated);
                }
                if mass.is_nan() || mass < LEAST_MASS {
                    return Err(LawError::NoMass { low, high, mass });
                }
            }
            Self::Empirical(_) | Self::Replay(_) => {}
        }
        let (least, most) = self.reach();
        match least.is_finite() && most.is_finite() {
            true => Ok(()),
            false => Err(LawError::TooWide { law: self.name() }),
        }
    }

    /// The law's name, as an error message says it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Constant(_) => "Constant",
            Self::Uniform { .. } => "Uniform",
            Self::Exponential { .. } => "Exponential",
            Self::Normal { .. } => "Normal",
            Self::Absolute(_) => "Absolute",
            Self::LogNormal { .. } => "LogNormal",
            Self::Pareto { .. } => "Pareto",
            Self::Weibull { .. } => "Weibull",
            Self::Gamma { .. } => "Gamma",
            Self::Beta { .. } => "Beta",
            Self::Poisson { .. } => "Poisson",
            Self::Zipf(_) => "Zipf",
            Self::Bernoulli { .. } => "Bernoulli",
            Self::Mixture(_) => "Mixture",
            Self::Shifted { .. } => "Shifted",
            Self::Scaled { .. } => "Scaled",
            Self::Truncated(_) => "Truncated",
            Self::Empirical(_) => "Empirical",
            Self::Replay(_) => "Replay",
        }
    }

    /// Whether a replayed column is anywhere inside.
    pub fn replays(&self) -> bool {
        match self {
            Self::Replay(_) => true,
            Self::Absolute(law) | Self::Shifted { law, .. } | Self::Scaled { law, .. } => law.replays(),
            Self::Mixture(parts) => parts.iter().any(|(_, law)| law.replays()),
            Self::Truncated(truncated) => truncated.law().replays(),
            _ => false,
        }
    }

    /// Bounds of what the samplers can return, which are finite where the support isn't.
    fn reach(&self) -> (f64, f64) {
        match self {
            Self::Exponential { mean } => (0.0, mean * EXPONENTIAL_REACH),
            Self::Normal { mean, sd } => (mean - sd * NORMAL_REACH, mean + sd * NORMAL_REACH),
            Self::LogNormal { median, sigma } => (0.0, median * exp(sigma * NORMAL_REACH)),
            Self::Pareto { scale, shape } => (*scale, scale * exp(EXPONENTIAL_REACH / shape)),
            Self::Weibull { scale, shape } => (0.0, scale * pow(EXPONENTIAL_REACH, 1.0 / shape)),
            Self::Gamma { shape, scale } => {
                let d = shape + 1.0;
                let root = 1.0 + NORMAL_REACH / (3.0 * d.sqrt());
                (0.0, scale * (d * root * root * root))
            }
            Self::Poisson { mean } => (0.0, mean + 40.0 * mean.sqrt() + 200.0),
            Self::Absolute(law) => {
                let (least, most) = law.reach();
                (0.0, least.abs().max(most.abs()))
            }
            Self::Mixture(parts) => parts
                .iter()
                .fold((f64::INFINITY, f64::NEG_INFINITY), |(least, most), (_, law)| {
                    let part = law.reach();
                    (least.min(part.0), most.max(part.1))
                }),
            Self::Shifted { by, law } => {
                let (least, most) = law.reach();
                (by + least, by + most)
            }
            Self::Scaled { by, law } => {
                let (least, most) = law.reach();
                (by * least, by * most)
            }
            Self::Truncated(truncated) => {
                let (least, most) = truncated.law().reach();
                (least.max(truncated.low()), most.min(truncated.high()))
            }
            _ => self.support(),
        }
    }
}
