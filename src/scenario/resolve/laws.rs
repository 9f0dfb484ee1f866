//! Laws: from their forms in the language to [`Law`].

use super::Resolver;
use crate::random::{Law, LawError};
use crate::scenario::language::{NumberLaw, TimeLaw};
use crate::scenario::syntax::quantity::{Duration, Rate, SignedDuration};
use crate::scenario::syntax::{Code, Diagnostic, Part, Span, Spanned, write};

/// A quantity as the number that laws are made of: nanoseconds for durations.
trait Plain: Copy {
    fn plain(self) -> f64;
}

impl Plain for f64 {
    fn plain(self) -> f64 {
        self
    }
}

impl Plain for Duration {
    fn plain(self) -> f64 {
        self.as_nanos() as f64
    }
}

impl Plain for SignedDuration {
    fn plain(self) -> f64 {
        self.0 as f64
    }
}

/// The mean that belongs to a rate.
trait Gap: Copy {
    fn gap(self) -> f64;
}

impl Gap for f64 {
    fn gap(self) -> f64 {
        1.0 / self
    }
}

impl Gap for Rate {
    fn gap(self) -> f64 {
        self.mean_gap_nanos()
    }
}

/// The resolution of the laws that both types have.
macro_rules! shared_laws {
    ($resolver:ident, $law:ident, $span:ident, $ty:ident, { $($own:tt)* }) => {
        match $law {
            $ty::Constant(value) => Law::Constant(value.plain()),
            $ty::Uniform { low, high } => Law::Uniform { low: low.plain(), high: high.plain() },
            $ty::Exponential { mean: Some(mean), rate: None } => Law::Exponential { mean: mean.plain() },
            $ty::Exponential { mean: None, rate: Some(rate) } => Law::Exponential { mean: rate.gap() },
            $ty::Exponential { .. } => return $resolver.form($span, "`Exponential` takes either `mean` or `rate`"),
            $ty::Normal { mean, sd } => Law::Normal { mean: mean.plain(), sd: sd.plain() },
            $ty::LogNormal { median, sigma, mean, sd, p10, p50, p90, p95, p99 } => {
                let quantiles = [(0.1, p10), (0.5, p50), (0.9, p90), (0.95, p95), (0.99, p99)];
                let quantiles: Vec<(f64, f64)> =
                    quantiles.iter().filter_map(|(p, x)| x.as_ref().map(|x| (*p, x.plain()))).collect();
                match (median, sigma, mean, sd, quantiles.as_slice()) {
                    (Some(median), Some(sigma), None, None, []) => {
                        Law::LogNormal { median: median.plain(), sigma: *sigma }
                    }
                    (None, None, Some(mean), Some(sd), []) if mean.plain() > 0.0 => {
                        Law::log_normal_from_mean(mean.plain(), sd.plain())
                    }
                    (None, None, None, None, [(p1, x1), (p2, x2)]) => {
                        match Law::log_normal_from_quantiles(*p1, *x1, *p2, *x2) {
                            Ok(law) => law,
                            Err(error) => return $resolver.bad_law::<$ty>($span, error),
                        }
                    }
                    _ => {
                        let message = "`LogNormal` takes `median` and `sigma`, or `mean` (above zero) and `sd`, or two \
                                       of `p10`, `p50`, `p90`, `p95` and `p99`";
                        return $resolver.form($span, message);
                    }
                }
            }
            $ty::Pareto { scale, shape } => Law::Pareto { scale: scale.plain(), shape: *shape },
            $ty::Weibull { scale, shape } => Law::Weibull { scale: scale.plain(), shape: *shape },
            $ty::Gamma { shape, scale } => Law::Gamma { shape: *shape, scale: scale.plain() },
            $ty::Beta { a, b, low, high } => {
                Law::Beta { a: *a, b: *b, low: low.plain(), high: high.plain() }
            }
            $ty::Mixture(parts) => {
                let parts: Vec<Option<(f64, Law)>> =
                    parts.iter().map(|(weight, law)| Some((*weight, $resolver.raw(law, $span)?))).collect();
                Law::Mixture(parts.into_iter().collect::<Option<Vec<_>>>()?)
            }
            $ty::Shifted { by, law } => $resolver.raw(&**law, $span)?.shifted(by.plain()),
            $ty::Scaled { by, law } => $resolver.raw(&**law, $span)?.scaled(by.plain()),
            $ty::Truncated { low, high, law } => {
                let low = low.as_ref().map_or(f64::NEG_INFINITY, |low| low.plain());
                let high = high.as_ref().map_or(f64::INFINITY, |high| high.plain());
                let law = $resolver.raw(&**law, $span)?;
                if let Err(error) = law.validate() {
                    return $resolver.bad_law::<$ty>($span, error);
                }
                if low > high {
                    let error = LawError::Reversed { law: "Truncated", low, high };
                    return $resolver.bad_law::<$ty>($span, error);
                }
                law.truncated(low, high)
            }
            $ty::Absolute(law) => $resolver.raw(&**law, $span)?.absolute(),
            $ty::Empirical { data, column, unit } => {
                Law::Empirical($resolver.data.column(data, column, $resolver.out)?).scaled(unit.plain())
            }
            $ty::Replay { data, column, unit } => {
                Law::Replay($resolver.data.column(data, column, $resolver.out)?).scaled(unit.plain())
            }
            $($own)*
        }
    };
}

/// A law of the language.
pub(super) trait Form {
    /// A number of this law, as a message says it: with its unit.
    fn written(value: f64) -> String;

    fn law(&self, resolver: &mut Resolver<'_, '_>, span: Span) -> Option<Law>;
}

impl Form for TimeLaw {
    /// Laws of durations are in nanoseconds.
    fn written(value: f64) -> String {
        if libm::trunc(value) == value && value.abs() < 9e18 {
            return SignedDuration(value as i64).to_string();
        }
        match value.is_finite() {
            true if value.abs() < 1e18 => format!("{value}ns"),
            true => format!("{:e}s", value / 1e9),
            false => value.to_string(),
        }
    }

    fn law(&self, resolver: &mut Resolver<'_, '_>, span: Span) -> Option<Law> {
        Some(shared_laws!(resolver, self, span, TimeLaw, {}))
    }
}

impl Form for NumberLaw {
    fn written(value: f64) -> String {
        write::number(value)
    }

    fn law(&self, resolver: &mut Resolver<'_, '_>, span: Span) -> Option<Law> {
        Some(shared_laws!(resolver, self, span, NumberLaw, {
            NumberLaw::Poisson { mean } => Law::Poisson { mean: *mean },
            NumberLaw::Zipf { n, exponent } => Law::zipf(*n, *exponent),
            NumberLaw::Bernoulli { p } => Law::Bernoulli { p: p.get() },
        }))
    }
}

impl Resolver<'_, '_> {
    fn form(&mut self, span: Span, message: &str) -> Option<Law> {
        self.error(Code::LawForm, span, message);
        None
    }

    fn raw(&mut self, law: &impl Form, span: Span) -> Option<Law> {
        law.law(self, span)
    }

    /// The law, checked. Laws of durations are in nanoseconds.
    pub(super) fn law<L: Form>(&mut self, law: &Spanned<L>) -> Option<Law> {
        let resolved = law.value.law(self, law.span)?;
        match resolved.validate() {
            Ok(()) => Some(resolved),
            Err(error) => self.bad_law::<L>(law.span, error),
        }
    }

    fn bad_law<L: Form>(&mut self, span: Span, error: LawError) -> Option<Law> {
        let problem = Diagnostic::error(Code::BadLaw, span, error.describe(&L::written));
        self.out.push(problem);
        None
    }

    /// The law of something that can't be negative: a duration, a number of times or of tokens.
    pub(super) fn amount(&mut self, law: &Spanned<impl Form>, what: &str) -> Option<Law> {
        let resolved = self.law(law)?;
        if resolved.support().1 < 0.0 {
            let problem = Diagnostic::error(Code::BadLaw, law.span, format!("{what} can't be negative"));
            self.out.push(problem.note("the law gives nothing above zero"));
            return None;
        }
        Some(resolved)
    }

    /// The law of a duration.
    pub(super) fn time(&mut self, law: &Spanned<TimeLaw>) -> Option<Law> {
        self.amount(law, "a duration")
    }

    /// The law of something that can't be negative, if it is known.
    pub(super) fn amount_of(&mut self, law: &Part<Spanned<impl Form>>, what: &str) -> Option<Law> {
        self.amount(law.get()?, what)
    }

    /// The law of a duration, if it is known.
    pub(super) fn time_of(&mut self, law: &Part<Spanned<TimeLaw>>) -> Option<Law> {
        self.time(law.get()?)
    }
}
