//! `expect`: what must hold, typed and checked.

use crate::scenario::language::Scenario;
use crate::scenario::language::compare::{Amount, Bound, Expect, Statistic};
use crate::scenario::syntax::{Code, Diagnostic, Diagnostics, SourceMap, Spanned, to_text, write};

/// What a name in an expectation is the name of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// A measure.
    Measure,
    /// An invariant.
    Invariant,
    /// An event.
    Event,
}

/// Whether a name is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// It is.
    Yes,
    /// It isn't, and this one was likely meant.
    No(Option<String>),
}

/// Who knows the names of measures, invariants and events.
pub trait Measures {
    /// Whether there is something of this name.
    fn knows(&self, what: What, name: &str) -> Known;
}

/// Takes every name for known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Anything;

impl Measures for Anything {
    fn knows(&self, _: What, _: &str) -> Known {
        Known::Yes
    }
}

/// Knows the measures of the registry ([`crate::measures::find`]); takes invariants and events for known.
#[derive(Debug, Clone, Copy, Default)]
pub struct Registry;

impl Measures for Registry {
    fn knows(&self, what: What, name: &str) -> Known {
        if what != What::Measure || crate::measures::find(name).is_some() {
            return Known::Yes;
        }
        Known::No(crate::measures::suggest(name))
    }
}

/// Something that must hold after every run of a scenario.
#[derive(Debug, Clone, PartialEq)]
pub struct Expectation {
    /// What.
    pub expected: Expected,
    /// Where it stands: `file:line:column`.
    pub place: String,
    /// Its text.
    pub text: String,
}

/// What must hold.
#[derive(Debug, Clone, PartialEq)]
pub enum Expected {
    /// A bound on a measure.
    Measure {
        /// The measure.
        name: String,
        /// The variant; `None`: every one.
        variant: Option<String>,
        /// The variant whose measure is taken away.
        over: Option<String>,
        /// What is made of the replicates.
        stat: Statistic,
        /// Where it has to lie.
        bound: Bound,
        /// The confidence with which; `None`: the value itself has to.
        confidence: Option<f64>,
        /// The name of a known answer that this is, and where that comes from.
        known: Option<(String, String)>,
    },
    /// An invariant.
    Always {
        /// Its name.
        name: String,
    },
    /// An event.
    Sometimes {
        /// Its name.
        event: String,
        /// The variant; `None`: any.
        variant: Option<String>,
        /// How often at least.
        at_least: u64,
    },
}

/// The expectations of a scenario; problems are reported.
pub(in crate::scenario) fn expectations(
    file: &Scenario,
    known: &dyn Measures,
    map: &SourceMap,
    out: &mut Diagnostics,
) -> Vec<Expectation> {
    let mut all = Vec::new();
    for expect in &file.expect {
        let expected = match &expect.value {
            Expect::Measure {
                name,
                variant,
                over,
                stat,
                is,
                confidence,
                row,
                source,
            } => {
                check_name(What::Measure, name, known, out);
                check_variant(file, variant.as_ref(), out);
                check_variant(file, over.as_ref(), out);
                check_bound(is, out);
                if let Some(confidence) = confidence
                    && !(0.5..1.0).contains(&confidence.get())
                {
                    let message = "a confidence lies at or above 0.5 and below 1";
                    out.push(Diagnostic::error(Code::QuantityRange, confidence.span, message));
                }
                if let (Some(variant), Some(over)) = (variant, over)
                    && variant.value == over.value
                {
                    let problem = Diagnostic::error(Code::Conflicting, over.span, "a variant is compared with itself");
                    out.push(problem.label(variant.span, "the other one"));
                }
                Expected::Measure {
                    name: name.value.clone(),
                    variant: variant.as_ref().map(|name| name.value.clone()),
                    over: over.as_ref().map(|name| name.value.clone()),
                    stat: stat.clone(),
                    bound: is.value.clone(),
                    confidence: confidence.map(|confidence| confidence.get()),
                    known: row.clone().map(|row| (row, source.clone().unwrap_or_default())),
                }
            }
            Expect::Always(name) => {
                check_name(What::Invariant, name, known, out);
                Expected::Always {
                    name: name.value.clone(),
                }
            }
            Expect::Sometimes {
                event,
                variant,
                at_least,
            } => {
                check_name(What::Event, event, known, out);
                check_variant(file, variant.as_ref(), out);
                Expected::Sometimes {
                    event: event.value.clone(),
                    variant: variant.as_ref().map(|name| name.value.clone()),
                    at_least: **at_least,
                }
            }
        };
        all.push(Expectation {
            expected,
            place: map.locate(expect.span),
            text: to_text(&expect.value),
        });
    }
    all
}

fn check_name(what: What, name: &Spanned<String>, known: &dyn Measures, out: &mut Diagnostics) {
    let Known::No(near) = known.knows(what, name) else {
        return;
    };
    let what = match what {
        What::Measure => "measure",
        What::Invariant => "invariant",
        What::Event => "event",
    };
    let message = format!("there is no {what} {}", write::quoted(name));
    let mut problem = Diagnostic::error(Code::UnknownMeasure, name.span, message).here(format!("unknown {what}"));
    if let Some(near) = near {
        let quoted = write::quoted(&near);
        problem = problem.replace(format!("did you mean {quoted}?"), name.span, quoted);
    }
    out.push(problem);
}

fn check_variant(file: &Scenario, name: Option<&Spanned<String>>, out: &mut Diagnostics) {
    let Some(name) = name.filter(|name| name.value != "base") else {
        return;
    };
    if file.variants.get(name).is_none() {
        let names = std::iter::once("base").chain(file.variants.names());
        crate::scenario::syntax::unknown_name(name, names, Code::UnknownVariantName, "variant", out);
    }
}

fn check_bound(bound: &Spanned<Bound>, out: &mut Diagnostics) {
    let alike = |a: &Amount, b: &Amount| std::mem::discriminant(a) == std::mem::discriminant(b);
    let problem = match &bound.value {
        Bound::Between(low, high) if !alike(low, high) => Some(format!(
            "the lower end is {}, and the upper one is {}",
            low.kind(),
            high.kind()
        )),
        Bound::Between(low, high) if low.base() > high.base() => {
            Some(format!("the lower end {low} is above the upper end {high}"))
        }
        Bound::Near {
            value,
            within: Some(within),
            relative: None,
        } if !alike(value, within) => Some(format!(
            "the value is {}, and the distance is {}",
            value.kind(),
            within.kind()
        )),
        Bound::Near {
            within: Some(within),
            relative: None,
            ..
        } if within.base() < 0.0 => Some("a distance can't be negative".to_owned()),
        Bound::Near { within, relative, .. } if within.is_some() == relative.is_some() => {
            Some("`Near` has a distance: either `within` or `relative`".to_owned())
        }
        _ => None,
    };
    if let Some(problem) = problem {
        out.push(Diagnostic::error(Code::BadBound, bound.span, problem));
    }
}
