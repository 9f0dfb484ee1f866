//! Holds results against what a scenario expects of them.

mod claims;

pub use claims::claims;

use super::results::{Added, Results, RunResults, VariantResults};
use super::statistics::{Level, Summary};
use serde::Serialize;

/// Something that a scenario expects.
#[derive(Debug, Clone, PartialEq)]
pub struct Claim {
    /// What the scenario calls it: the measure, the invariant or the event.
    pub name: String,
    /// The measure.
    pub measure: String,
    /// The variant that it's about; `None`: each of them, or all of them [`Scope::Together`].
    pub variant: Option<String>,
    /// The variant that it's compared with, in pairs: then the difference is meant.
    pub over: Option<String>,
    /// What must be so.
    pub bound: Bound,
    /// In which runs.
    pub scope: Scope,
    /// Where the scenario says so, for messages.
    pub place: String,
    /// The name of a known answer that this is, and where that comes from.
    pub known: Option<(String, String)>,
}

/// What is made of the replicates before it's held against the bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scope {
    /// Their mean; with a confidence, its whole interval.
    Mean {
        /// The confidence asked for.
        confidence: Option<f64>,
    },
    /// Their median (the lower of two).
    Median,
    /// The least of them.
    Min,
    /// The greatest of them.
    Max,
    /// Their sum.
    Sum,
    /// Every one of them.
    Each,
    /// The sum over the replicates of all variants that the claim is about: one verdict on all of them.
    Together,
    /// None: it is about the exponent of the power law with this number in [`Results::scaling`], with the whole of its interval.
    Scaling(usize),
}

/// What must be so of a number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Bound {
    /// low <= x <= high.
    Between(f64, f64),
    /// x <= high.
    AtMost(f64),
    /// x >= low.
    AtLeast(f64),
}

impl Bound {
    fn ends(self) -> (f64, f64) {
        match self {
            Self::Between(low, high) => (low, high),
            Self::AtMost(high) => (f64::NEG_INFINITY, high),
            Self::AtLeast(low) => (low, f64::INFINITY),
        }
    }

    fn holds(self, value: f64) -> bool {
        let (low, high) = self.ends();
        low <= value && value <= high
    }
}

/// Whether a claim holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It does.
    Holds,
    /// The results don't suffice to say.
    Undecided,
    /// It doesn't.
    Fails,
}

/// A claim and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Judgement {
    /// The variant; [`ANY`] where the runs of several count together.
    pub variant: String,
    /// The variant that it was compared with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub over: Option<String>,
    /// What the scenario calls it: the measure, the invariant or the event.
    pub name: String,
    /// The measure.
    pub measure: String,
    /// The least that was wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_least: Option<f64>,
    /// The most that was wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at_most: Option<f64>,
    /// What was found, or why nothing was.
    pub found: Found,
    /// Whether it holds.
    pub verdict: Verdict,
    /// Where the scenario says so. It isn't part of results: the layout of a scenario changes nothing in them.
    #[serde(skip)]
    pub place: String,
    /// The name of a known answer that this is, and where that comes from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub known: Option<(String, String)>,
}

/// What was found about a claim.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// A value, and its interval.
    Value {
        /// The value.
        value: f64,
        /// The interval's lower end.
        low: Option<f64>,
        /// The interval's upper end.
        high: Option<f64>,
    },
    /// So many of the replicates satisfy it.
    Replicates {
        /// Those that do.
        satisfied: u32,
        /// All that have the number.
        of: u32,
        /// The value farthest from satisfying it.
        worst: f64,
    },
    /// Nothing: the number isn't there.
    Nothing {
        /// Why.
        why: String,
    },
}

/// Stands in a [`Judgement`] where it doesn't matter in which variant something happens.
pub const ANY: &str = "any";

/// Judges every claim for every variant that it is about.
pub fn judge(results: &Results, claims: &[Claim]) -> Vec<Judgement> {
    let mut judgements = Vec::new();
    for claim in claims {
        let meant = |variant: &&VariantResults| claim.variant.as_ref().is_none_or(|name| *name == variant.name);
        // A comparison with a variant that wasn't run, because only others were asked for, says nothing.
        if claim.over.as_ref().is_some_and(|over| results.variant(over).is_none()) {
            continue;
        }
        if let Scope::Scaling(number) = claim.scope {
            judgements.push(judge_scaling(results, number, claim));
            continue;
        }
        if claim.scope == Scope::Together {
            let variants: Vec<&VariantResults> = results.variants.iter().filter(meant).collect();
            judgements.extend(judge_together(&variants, claim));
            continue;
        }
        for variant in results.variants.iter().filter(meant) {
            // A comparison of everything with one variant leaves that variant itself out.
            if claim.variant.is_none() && claim.over.as_ref() == Some(&variant.name) {
                continue;
            }
            judgements.push(judge_one(results, variant, claim));
        }
    }
    judgements
}

/// The verdict on all: the worst of them.
pub fn overall(judgements: &[Judgement]) -> Verdict {
    judgements
        .iter()
        .map(|judgement| judgement.verdict)
        .max()
        .unwrap_or(Verdict::Holds)
}

fn judge_one(results: &Results, variant: &VariantResults, claim: &Claim) -> Judgement {
    let (found, verdict) = match &claim.over {
        None => of_values(&values(&variant.runs, &claim.measure), variant, claim),
        Some(over) => match results.variant(over) {
            None => nothing(format!("there is no variant '{over}' in these results")),
            Some(than) => difference(variant, than, claim),
        },
    };
    // What a run that was stopped would have come to, nobody knows.
    let than = claim.over.as_ref().and_then(|over| results.variant(over));
    let verdict = if variant.was_stopped() || than.is_some_and(VariantResults::was_stopped) {
        Verdict::Undecided
    } else {
        verdict
    };
    judgement(variant.name.clone(), claim, found, verdict)
}

/// The verdict on something that may happen in any of these variants; none without variants.
fn judge_together(variants: &[&VariantResults], claim: &Claim) -> Option<Judgement> {
    let first = variants.first()?;
    let runs = variants.iter().flat_map(|variant| variant.runs.iter());
    let values: Vec<f64> = runs
        .filter_map(|run| run.measures.get(&claim.measure).copied())
        .collect();
    let (found, verdict) = one_of_all(&values, claim, Scope::Sum);
    // What has happened in the other runs stays, whatever one that was stopped would have come to.
    let stopped = variants.iter().any(|variant| variant.was_stopped());
    let verdict = match stopped && verdict == Verdict::Fails {
        true => Verdict::Undecided,
        false => verdict,
    };
    let name = if variants.len() == 1 { &first.name } else { ANY };
    Some(judgement(name.to_string(), claim, found, verdict))
}

/// The verdict on an exponent.
fn judge_scaling(results: &Results, number: usize, claim: &Claim) -> Judgement {
    let scaling = results.scaling.get(number);
    let fit = scaling.and_then(|scaling| scaling.fit);
    let (found, verdict) = match fit {
        None => nothing("no two sizes have values with a logarithm".to_string()),
        Some(fit) => {
            let value = fit.exponent;
            let (low, high) = (fit.low, fit.high);
            let verdict = match low.zip(high) {
                None => Verdict::Undecided,
                Some((low, high)) => within(claim.bound, low, high),
            };
            (Found::Value { value, low, high }, verdict)
        }
    };
    let sizes = scaling.map_or(&[][..], |scaling| &scaling.sizes);
    let is_stopped = |name: &str| results.variant(name).is_some_and(VariantResults::was_stopped);
    let verdict = match sizes.iter().any(|size| is_stopped(&size.variant)) {
        true => Verdict::Undecided,
        false => verdict,
    };
    let called = scaling.map_or(ANY, |scaling| &scaling.called);
    judgement(called.to_string(), claim, found, verdict)
}

/// Whether an interval lies wholly within a bound, wholly outside, or across its end.
fn within(bound: Bound, low: f64, high: f64) -> Verdict {
    let (least, most) = bound.ends();
    if least <= low && high <= most {
        Verdict::Holds
    } else if high < least || low > most {
        Verdict::Fails
    } else {
        Verdict::Undecided
    }
}

fn judgement(variant: String, claim: &Claim, found: Found, verdict: Verdict) -> Judgement {
    let finite = |end: f64| end.is_finite().then_some(end);
    let (low, high) = claim.bound.ends();
    Judgement {
        variant,
        over: claim.over.clone(),
        name: claim.name.clone(),
        measure: claim.measure.clone(),
        at_least: finite(low),
        at_most: finite(high),
        found,
        verdict,
        place: claim.place.clone(),
        known: claim.known.clone(),
    }
}

fn nothing(why: String) -> (Found, Verdict) {
    (Found::Nothing { why }, Verdict::Undecided)
}

fn values(runs: &[RunResults], measure: &str) -> Vec<f64> {
    runs.iter()
        .filter_map(|run| run.measures.get(measure).copied())
        .collect()
}

fn mean(values: &[f64], claim: &Claim, confidence: Option<f64>) -> (Found, Verdict) {
    let level = confidence.and_then(Level::new).unwrap_or(Level::P95);
    let Some(summary) = Summary::of(values, level) else {
        return nothing(format!("no run has a value of '{}'", claim.measure));
    };
    verdict_of(&summary, claim.bound, confidence.is_some())
}

fn verdict_of(summary: &Summary, bound: Bound, confident: bool) -> (Found, Verdict) {
    let interval = summary.interval;
    let (low, high) = (interval.map(|i| i.low), interval.map(|i| i.high));
    let found = Found::Value {
        value: summary.mean,
        low,
        high,
    };
    if !confident {
        return (
            found,
            if bound.holds(summary.mean) {
                Verdict::Holds
            } else {
                Verdict::Fails
            },
        );
    }
    // With a confidence, the interval must lie wholly within the bound to hold, and wholly outside to fail.
    let verdict = match interval {
        None => Verdict::Undecided,
        Some(interval) => within(bound, interval.low, interval.high),
    };
    (found, verdict)
}

/// What the replicates' values say under the claim's scope.
fn of_values(values: &[f64], variant: &VariantResults, claim: &Claim) -> (Found, Verdict) {
    match claim.scope {
        Scope::Mean { confidence } => mean(values, claim, confidence),
        Scope::Each => each(values, variant.runs.len() as u32, claim),
        scope => one_of_all(values, claim, scope),
    }
}

/// The same of the differences to another variant, replicate by replicate; of added time task by task.
fn difference(variant: &VariantResults, than: &VariantResults, claim: &Claim) -> (Found, Verdict) {
    if let Some(of_added) = claim.measure.strip_prefix("latency_trap.added") {
        let confidence = match claim.scope {
            Scope::Mean { confidence } => confidence,
            _ => None,
        };
        return match variant.added.get(&than.name) {
            None => nothing("no task was done in both variants".to_string()),
            Some(added) => added_verdict(added, of_added, claim, confidence),
        };
    }
    let both = variant.runs.iter().zip(&than.runs);
    let differences =
        both.filter_map(|(here, there)| Some(here.measures.get(&claim.measure)? - there.measures.get(&claim.measure)?));
    of_values(&differences.collect::<Vec<f64>>(), variant, claim)
}

fn added_verdict(added: &Added, which: &str, claim: &Claim, confidence: Option<f64>) -> (Found, Verdict) {
    let one = |value: f64| {
        let verdict = if claim.bound.holds(value) {
            Verdict::Holds
        } else {
            Verdict::Fails
        };
        (
            Found::Value {
                value,
                low: None,
                high: None,
            },
            verdict,
        )
    };
    match which {
        ".min" => one(added.least),
        ".max" => one(added.greatest),
        ".unpaired" => one(added.unpaired as f64),
        _ => {
            let interval = added.low.zip(added.high);
            let found = Found::Value {
                value: added.mean,
                low: added.low,
                high: added.high,
            };
            let (low, high) = claim.bound.ends();
            let verdict = match (confidence, interval) {
                (None, _) => return one_with(found, claim.bound.holds(added.mean)),
                (Some(_), None) => Verdict::Undecided,
                (Some(_), Some((from, to))) if low <= from && to <= high => Verdict::Holds,
                (Some(_), Some((from, to))) if to < low || from > high => Verdict::Fails,
                _ => Verdict::Undecided,
            };
            (found, verdict)
        }
    }
}

fn one_with(found: Found, holds: bool) -> (Found, Verdict) {
    (found, if holds { Verdict::Holds } else { Verdict::Fails })
}

fn each(all: &[f64], of: u32, claim: &Claim) -> (Found, Verdict) {
    let Some(first) = all.first() else {
        return nothing(format!("no run has a value of '{}'", claim.measure));
    };
    let satisfied = all.iter().filter(|value| claim.bound.holds(**value)).count() as u32;
    let (low, high) = claim.bound.ends();
    let distance = |value: f64| (low - value).max(value - high);
    let worst = all.iter().copied().fold(*first, |worst, value| {
        if distance(value) > distance(worst) {
            value
        } else {
            worst
        }
    });
    // A run without the number neither satisfies nor breaks the claim.
    let verdict = if satisfied == of {
        Verdict::Holds
    } else if satisfied == all.len() as u32 {
        Verdict::Undecided
    } else {
        Verdict::Fails
    };
    (Found::Replicates { satisfied, of, worst }, verdict)
}

fn one_of_all(values: &[f64], claim: &Claim, scope: Scope) -> (Found, Verdict) {
    let mut all = values.to_vec();
    all.sort_by(f64::total_cmp);
    let value = match scope {
        Scope::Median => all.get(all.len().saturating_sub(1) / 2).copied(),
        Scope::Min => all.first().copied(),
        Scope::Max => all.last().copied(),
        Scope::Sum | Scope::Together | Scope::Mean { .. } | Scope::Each | Scope::Scaling(_) => Some(all.iter().sum()),
    };
    match value {
        None => nothing(format!("no run has a value of '{}'", claim.measure)),
        Some(value) => one_with(
            Found::Value {
                value,
                low: None,
                high: None,
            },
            claim.bound.holds(value),
        ),
    }
}

/// The exit code of a command: part of its interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// All expectations hold.
    Ok = 0,
    /// Some don't.
    Failed = 1,
    /// The scenario or the command line is wrong.
    Usage = 2,
    /// It couldn't be decided.
    Undecided = 3,
}

impl From<Verdict> for ExitCode {
    fn from(verdict: Verdict) -> Self {
        match verdict {
            Verdict::Holds => Self::Ok,
            Verdict::Fails => Self::Failed,
            Verdict::Undecided => Self::Undecided,
        }
    }
}
