//! `expect`: what must hold, typed and checked.

use crate::measures;
use crate::scenario::language::Scenario;
use crate::scenario::language::compare::{Amount, Bound, Expect, Statistic};
use crate::scenario::syntax::{Code, Diagnostic, Diagnostics, Part, SourceMap, Spanned, suggest, to_text, write};

/// The most measures that answer a question.
const MOST_ANSWERS: usize = 16;

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

    /// What else to say where there is nothing of this name.
    fn note(&self, _what: What) -> Option<String> {
        None
    }
}

/// What kind of value a measure has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// How many, or a yes or no: a plain number.
    Count,
    /// A part of a whole, or a ratio: a plain number or a percentage.
    Ratio,
    /// A duration.
    Time,
    /// Money.
    Money,
    /// How often something happens.
    Rate,
    /// A size.
    Bytes,
}

impl Kind {
    /// Whether a bound of such a measure can be this.
    pub fn takes(self, amount: Amount) -> bool {
        match self {
            Self::Count => matches!(amount, Amount::Number(_)),
            Self::Ratio => matches!(amount, Amount::Number(_) | Amount::Share(_)),
            Self::Time => matches!(amount, Amount::Time(_)),
            Self::Money => matches!(amount, Amount::Money(_)),
            Self::Rate => matches!(amount, Amount::Rate(_)),
            Self::Bytes => matches!(amount, Amount::Bytes(_)),
        }
    }

    /// What such a measure is, and how a bound of it is written.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Self::Count => ("counted", "a plain number such as 3"),
            Self::Ratio => (
                "a share or a ratio",
                "a number such as 0.02, or a percentage such as \"2%\"",
            ),
            Self::Time => ("a time", "a duration such as \"5.25s\""),
            Self::Money => ("money", "an amount such as \"3 USD\""),
            Self::Rate => ("a rate", "a rate such as \"40/s\""),
            Self::Bytes => ("a size", "a size such as \"64KiB\""),
        }
    }

    /// What stands behind a number so that it is of this kind, in the unit in which files have it.
    fn suffix(self) -> Option<&'static str> {
        match self {
            Self::Count | Self::Ratio => None,
            Self::Time => Some("s"),
            Self::Money => Some(" USD"),
            Self::Rate => Some("/s"),
            Self::Bytes => Some("B"),
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

/// Knows what the registries know: measures ([`crate::measures::find`]), invariants and events
/// ([`crate::measures::invariants`]).
#[derive(Debug, Clone, Copy, Default)]
pub struct Registry;

impl Measures for Registry {
    fn knows(&self, what: What, name: &str) -> Known {
        let found = match what {
            What::Measure => measures::find(name).is_some(),
            What::Event => measures::invariants::event(name).is_some(),
            What::Invariant => measures::invariants::invariant_named(name).is_some(),
        };
        if found {
            return Known::Yes;
        }
        Known::No(match what {
            What::Measure => measures::suggest(name),
            What::Event => measures::suggest(name).filter(|near| measures::invariants::event(near).is_some()),
            What::Invariant => {
                let of_measure = measures::INVARIANTS.iter().find(|invariant| invariant.measure == name);
                let near = of_measure.map(|invariant| invariant.name);
                near.or_else(|| suggest::nearest(name, invariants()))
                    .map(str::to_string)
            }
        })
    }

    fn kind(&self, name: &str) -> Option<Kind> {
        use measures::Unit;
        measures::find(name).map(|info| match info.unit {
            Unit::Seconds => Kind::Time,
            Unit::PerSecond => Kind::Rate,
            Unit::Bytes => Kind::Bytes,
            Unit::Dollars => Kind::Money,
            Unit::Share | Unit::Ratio => Kind::Ratio,
            Unit::Count | Unit::Tokens | Unit::Verdict => Kind::Count,
        })
    }

    fn note(&self, what: What) -> Option<String> {
        Some(match what {
            What::Measure => "`quorate reference measures` lists all measures".into(),
            What::Event => {
                "an event is a measure that counts, or a yes or no: `quorate reference measures` lists them".into()
            }
            What::Invariant => format!("the invariants are {}", suggest::listed(invariants())),
        })
    }
}

fn invariants() -> impl Iterator<Item = &'static str> {
    measures::INVARIANTS.iter().map(|invariant| invariant.name)
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
// A scenario expects a few things, and nearly all of them are of measures.
#[allow(clippy::large_enum_variant)]
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
        /// The variant; `None`: any, the runs of all count together.
        variant: Option<String>,
        /// How often at least.
        at_least: u64,
    },
}

impl Expected {
    /// Whether it is about all variants together, so that it says nothing where only some of them are run.
    pub fn is_of_all(&self) -> bool {
        matches!(self, Self::Sometimes { variant: None, .. })
    }

    /// The variants that it names.
    pub fn variants(&self) -> impl Iterator<Item = &str> {
        let named = match self {
            Self::Measure { variant, over, .. } => [variant.as_deref(), over.as_deref()],
            Self::Sometimes { variant, .. } => [variant.as_deref(), None],
            Self::Always { .. } => [None, None],
        };
        named.into_iter().flatten()
    }
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
                let measure = name.get().and_then(|name| Some((name.as_str(), known.kind(name)?)));
                check_bound(is, measure, out);
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

/// The measures that answer the question, and what they are called.
pub(in crate::scenario) fn answers(
    file: &Scenario,
    known: &dyn Measures,
    out: &mut Diagnostics,
) -> Vec<(String, String)> {
    let mut answers: Vec<(String, String)> = Vec::new();
    let all = file.answer.get().map_or(&[][..], Vec::as_slice);
    for answer in all.iter().filter_map(Part::get) {
        let Some(name) = answer.measure.get() else { continue };
        check_name(What::Measure, name, known, out);
        if answers.iter().any(|(other, _)| *other == name.value) {
            out.push(Diagnostic::error(Code::NamedTwice, name.span, "a measure answers once"));
        }
        if answers.len() == MOST_ANSWERS {
            let message = format!("at most {MOST_ANSWERS} measures can be read beside each other");
            out.push(Diagnostic::error(Code::TooMany, answer.span, message));
            break;
        }
        let called = answer
            .called
            .get()
            .cloned()
            .flatten()
            .unwrap_or_else(|| name.value.clone());
        answers.push((name.value.clone(), called));
    }
    answers
}

pub(super) fn check_name(what: What, name: &Spanned<String>, known: &dyn Measures, out: &mut Diagnostics) {
    let Known::No(near) = known.knows(what, name) else {
        return;
    };
    let kind = what;
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
    if let Some(note) = known.note(kind) {
        problem = problem.note(note);
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

/// The bound's values, in the order in which they are written.
fn amounts(bound: &Bound) -> Vec<&Spanned<Amount>> {
    match bound {
        Bound::Between(low, high) => vec![low, high],
        Bound::AtMost(value) | Bound::AtLeast(value) => vec![value],
        Bound::Near { value, within, .. } => std::iter::once(value).chain(within).collect(),
    }
}

/// A value of another dimension than the measure's.
pub(super) fn wrong_unit(measure: &str, kind: Kind, wrong: &Spanned<Amount>) -> Diagnostic {
    let (what, written) = kind.words();
    let message = format!(
        "{} is {what}, and this bound is {}",
        write::quoted(measure),
        wrong.kind()
    );
    let problem = Diagnostic::error(Code::WrongMeasureUnit, wrong.span, message);
    match (kind.suffix(), wrong.value) {
        // A number of three hundred digits is no help.
        (Some(suffix), Amount::Number(number)) if number == 0.0 || (1e-6..1e12).contains(&number.abs()) => {
            let meant = write::quoted(&format!("{number}{suffix}"));
            problem.replace(format!("write {written}; did you mean {meant}?"), wrong.span, meant)
        }
        _ => problem.help(format!("write {written}")),
    }
}

/// Checks a bound of a measure; `None`: which measure that is, or what kind of value it has, isn't known.
pub(super) fn check_bound(bound: &Spanned<Bound>, measure: Option<(&str, Kind)>, out: &mut Diagnostics) {
    if let Some((measure, kind)) = measure {
        let all = amounts(&bound.value);
        let wrong: Vec<_> = all.iter().filter(|amount| !kind.takes(amount.value)).collect();
        if !wrong.is_empty() {
            return wrong
                .into_iter()
                .for_each(|amount| out.push(wrong_unit(measure, kind, amount)));
        }
    }
    // Shares are written as numbers or as percentages; nothing else has two forms.
    let form = |amount: &Amount| match amount {
        Amount::Share(_) => std::mem::discriminant(&Amount::Number(0.0)),
        other => std::mem::discriminant(other),
    };
    let alike = |a: &Amount, b: &Amount| form(a) == form(b);
    let problem = match &bound.value {
        Bound::Between(low, high) if !alike(low, high) => Some(format!(
            "the lower end is {}, and the upper one is {}",
            low.kind(),
            high.kind()
        )),
        Bound::Between(low, high) if low.base() > high.base() => Some(format!(
            "the lower end {} is above the upper end {}",
            low.value, high.value
        )),
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
