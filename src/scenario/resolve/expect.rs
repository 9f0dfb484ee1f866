//! `expect`: what must hold, typed and checked.

use crate::scenario::language::Scenario;
use crate::scenario::language::compare::{Amount, Bound, Expect, Statistic};
use crate::scenario::syntax::{Code, Diagnostic, Diagnostics, Part, SourceMap, Spanned, to_text, write};

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

    /// What kind of value a measure of this name has; `None` if that isn't known, and any will do.
    fn kind(&self, _name: &str) -> Option<Kind> {
        None
    }
}

/// What kind of value a measure has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A plain number.
    Number,
    /// A duration.
    Time,
    /// Money.
    Money,
    /// How often something happens: a rate, or a plain number in a second.
    Rate,
    /// A size.
    Bytes,
}

impl Kind {
    fn takes(self, amount: Amount) -> bool {
        match self {
            Self::Number => matches!(amount, Amount::Number(_)),
            Self::Time => matches!(amount, Amount::Time(_)),
            Self::Money => matches!(amount, Amount::Money(_)),
            Self::Rate => matches!(amount, Amount::Rate(_) | Amount::Number(_)),
            Self::Bytes => matches!(amount, Amount::Bytes(_) | Amount::Number(_)),
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Number => "a plain number",
            Self::Time => "a duration such as \"5.25s\"",
            Self::Money => "money such as \"3 USD\"",
            Self::Rate => "a rate such as \"40/s\"",
            Self::Bytes => "a size such as \"64KiB\"",
        }
    }
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

    fn kind(&self, name: &str) -> Option<Kind> {
        use crate::measures::Unit;
        crate::measures::find(name).map(|info| match info.unit {
            Unit::Seconds => Kind::Time,
            Unit::PerSecond => Kind::Rate,
            Unit::Bytes => Kind::Bytes,
            Unit::Dollars => Kind::Money,
            Unit::Count | Unit::Share | Unit::Ratio | Unit::Tokens | Unit::Verdict => Kind::Number,
        })
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
    let written = file.expect.get().map_or(&[][..], Vec::as_slice);
    for expect in written.iter().filter_map(Part::get) {
        if let Some(expected) = expectation(&expect.value, file, known, out) {
            all.push(Expectation {
                expected,
                place: map.locate(expect.span),
                text: to_text(&expect.value),
            });
        }
    }
    all
}

/// What an expectation says. `None`: a part of it is unread.
fn expectation(expect: &Expect, file: &Scenario, known: &dyn Measures, out: &mut Diagnostics) -> Option<Expected> {
    match expect {
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
            if let Some(name) = name.get() {
                check_name(What::Measure, name, known, out);
            }
            check_variant(file, variant, out);
            check_variant(file, over, out);
            if let Some(is) = is.get() {
                check_bound(is, name.get().and_then(|name| known.kind(name)), out);
            }
            if let Some(confidence) = confidence.given()
                && !(0.5..1.0).contains(&confidence.get())
            {
                let message = "a confidence lies at or above 0.5 and below 1";
                out.push(Diagnostic::error(Code::QuantityRange, confidence.span, message));
            }
            if let (Some(variant), Some(over)) = (variant.given(), over.given())
                && variant.value == over.value
            {
                let problem = Diagnostic::error(Code::Conflicting, over.span, "a variant is compared with itself");
                out.push(problem.label(variant.span, "the other one"));
            }
            let text = |name: &Option<Spanned<String>>| name.as_ref().map(|name| name.value.clone());
            let source = source.get()?;
            Some(Expected::Measure {
                name: name.get()?.value.clone(),
                variant: variant.get().map(text)?,
                over: over.get().map(text)?,
                stat: stat.get()?.clone(),
                bound: is.get()?.value.clone(),
                confidence: confidence.get()?.map(|confidence| confidence.get()),
                known: row.get()?.clone().map(|row| (row, source.clone().unwrap_or_default())),
            })
        }
        Expect::Always(name) => {
            check_name(What::Invariant, name, known, out);
            Some(Expected::Always {
                name: name.value.clone(),
            })
        }
        Expect::Sometimes {
            event,
            variant,
            at_least,
        } => {
            if let Some(event) = event.get() {
                check_name(What::Event, event, known, out);
            }
            check_variant(file, variant, out);
            Some(Expected::Sometimes {
                event: event.get()?.value.clone(),
                variant: variant.get()?.as_ref().map(|name| name.value.clone()),
                at_least: **at_least.get()?,
            })
        }
    }
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

fn check_variant(file: &Scenario, name: &Part<Option<Spanned<String>>>, out: &mut Diagnostics) {
    let Some(name) = name.given().filter(|name| name.value != "base") else {
        return;
    };
    let variants = &file.variants.0;
    if variants.is_whole() && variants.get(name).is_none() {
        let names = std::iter::once("base").chain(variants.names());
        crate::scenario::syntax::unknown_name(name, names, Code::UnknownVariantName, "variant", out);
    }
}

fn check_bound(bound: &Spanned<Bound>, kind: Option<Kind>, out: &mut Diagnostics) {
    let amounts = match &bound.value {
        Bound::Between(low, high) => vec![*low, *high],
        Bound::AtMost(value) | Bound::AtLeast(value) => vec![*value],
        Bound::Near { value, within, .. } => std::iter::once(*value).chain(*within).collect(),
    };
    if let Some(kind) = kind
        && let Some(wrong) = amounts.iter().find(|amount| !kind.takes(**amount))
    {
        let message = format!("the measure is {}, and the bound is {}", kind.words(), wrong.kind());
        out.push(Diagnostic::error(Code::WrongMeasureUnit, bound.span, message));
        return;
    }
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
