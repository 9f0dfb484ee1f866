//! Laws of random numbers, of durations and of plain numbers.

use crate::scenario::syntax::Spanned;
use crate::scenario::syntax::quantity::{Duration, Probability, Rate, SignedDuration};

/// Declares a type of law over one kind of quantity, from the same list of laws.
macro_rules! laws {
    (
        $(#[doc = $doc:literal])* $name:ident, $value:ty, $signed:ty, $rate:ty, $unit:ty $(= $default:expr)?,
        own { $( $(#[doc = $vdoc:literal])* $variant:ident { $( $(#[doc = $fdoc:literal])* $field:ident : $fty:ty $(= $fdefault:expr)? ),* } ),* $(,)? }
    ) => {
        crate::language! {
            $(#[doc = $doc])*
            pub enum $name {
                /// Always the same; the value alone means this.
                Constant($value) as bare,
                /// Uniform between two values.
                Uniform {
                    /// The least value.
                    low: $value,
                    /// The greatest.
                    high: $value,
                },
                /// Exponential, by its mean or by its rate.
                Exponential {
                    /// The mean.
                    mean: Option<$value>,
                    /// One over the mean.
                    rate: Option<$rate>,
                },
                /// Normal. A duration that comes out negative counts as zero: truncate the law where that matters.
                Normal {
                    /// The mean.
                    mean: $value,
                    /// The standard deviation.
                    sd: $value,
                },
                /// Log-normal: by `median` and `sigma`, by `mean` and `sd`, or by two of the quantiles.
                LogNormal {
                    /// The median.
                    median: Option<$value>,
                    /// The standard deviation of the logarithm.
                    sigma: Option<f64>,
                    /// The mean.
                    mean: Option<$value>,
                    /// The standard deviation.
                    sd: Option<$value>,
                    /// The 10 % quantile.
                    p10: Option<$value>,
                    /// The 50 % quantile.
                    p50: Option<$value>,
                    /// The 90 % quantile.
                    p90: Option<$value>,
                    /// The 95 % quantile.
                    p95: Option<$value>,
                    /// The 99 % quantile.
                    p99: Option<$value>,
                },
                /// Pareto: P(X > x) = (`scale` / x)^`shape` from `scale` on. Its mean is infinite up to a shape of 1.
                Pareto {
                    /// The least value.
                    scale: $value,
                    /// How fast the tail falls.
                    shape: f64,
                },
                /// Weibull: P(X > x) = exp(-(x / `scale`)^`shape`).
                Weibull {
                    /// The 63 % quantile.
                    scale: $value,
                    /// Below 1 heavier than exponential, above 1 lighter.
                    shape: f64,
                },
                /// Gamma of mean `shape` times `scale`.
                Gamma {
                    /// The number of exponential parts, if it is whole.
                    shape: f64,
                    /// The mean of each.
                    scale: $value,
                },
                /// Beta, stretched over an interval.
                Beta {
                    /// The first shape.
                    a: f64,
                    /// The second shape.
                    b: f64,
                    /// The least value.
                    low: $value,
                    /// The greatest.
                    high: $value,
                },
                /// One of several laws, with probabilities in proportion to the weights: `Mixture([(9, "1ms"), (1, "20ms")])`.
                Mixture(Vec<(f64, $name)>),
                /// A law's value plus a constant.
                Shifted {
                    /// What is added.
                    by: $signed,
                    /// The law.
                    law: Box<$name>,
                },
                /// A constant times a plain number drawn by a law.
                Scaled {
                    /// What is multiplied.
                    by: $value,
                    /// The law of the factor.
                    law: Box<NumberLaw>,
                },
                /// A law, given that its value lies in an interval.
                Truncated {
                    /// The least value; without it there is none.
                    low: Option<$value>,
                    /// The greatest; without it there is none.
                    high: Option<$value>,
                    /// The law.
                    law: Box<$name>,
                },
                /// The absolute value of a law's.
                Absolute(Box<$name>),
                /// A random row of a data set's column.
                Empirical {
                    /// The data set.
                    data: Spanned<String>,
                    /// Its column.
                    column: Spanned<String>,
                    /// What a 1 in the column means.
                    unit: $unit $(= $default)?,
                },
                /// The rows of a data set's column in their order, from the start again after the last.
                Replay {
                    /// The data set.
                    data: Spanned<String>,
                    /// Its column.
                    column: Spanned<String>,
                    /// What a 1 in the column means.
                    unit: $unit $(= $default)?,
                },
                $( $(#[doc = $vdoc])* $variant { $( $(#[doc = $fdoc])* $field: $fty $(= $fdefault)? ),* }, )*
            }
        }
    };
}

laws! {
    /// The law of a duration: a duration alone (`"175ms"`), or a law such as `LogNormal(median: "175ms", sigma: 0.25)`.
    TimeLaw, Duration, SignedDuration, Rate, Duration,
    own {}
}

laws! {
    /// The law of a plain number: a number alone, or a law such as `Uniform(low: 1, high: 6)`.
    NumberLaw, f64, f64, f64, f64 = 1.0,
    own {
        /// The number of independent events where `mean` are expected.
        Poisson {
            /// The mean.
            mean: f64
        },
        /// A rank from 1 to `n`, the probability falling as a power of the rank.
        Zipf {
            /// The number of ranks.
            n: u64,
            /// The power.
            exponent: f64
        },
        /// 1 with probability `p`, else 0.
        Bernoulli {
            /// The probability of 1.
            p: Probability
        },
    }
}
