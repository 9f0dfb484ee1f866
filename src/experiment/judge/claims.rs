//! What a scenario's expectations claim, and the names that they can use.

use super::{Bound, Claim, Scope};
use crate::measures;
use crate::scenario::language::compare as language;
use crate::scenario::language::compare::Statistic;
use crate::scenario::{Expectation, Expected, Kind, Known, Measures, Scenario, What};

/// What a scenario's expectations claim.
pub fn claims(scenario: &Scenario) -> Vec<Claim> {
    scenario.expectations.iter().map(claim).collect()
}

fn claim(expectation: &Expectation) -> Claim {
    // Results never carry paths of the machine that they were made on.
    let place = expectation
        .place
        .rsplit(['/', '\\'])
        .next()
        .unwrap_or_default()
        .to_string();
    match &expectation.expected {
        Expected::Measure {
            name,
            variant,
            over,
            stat,
            bound,
            confidence,
            known,
        } => Claim {
            name: name.clone(),
            measure: name.clone(),
            variant: variant.clone(),
            over: over.clone(),
            bound: bound_of(bound),
            scope: match stat {
                Statistic::Mean => Scope::Mean {
                    confidence: *confidence,
                },
                Statistic::Median => Scope::Median,
                Statistic::Min => Scope::Min,
                Statistic::Max => Scope::Max,
                Statistic::Sum => Scope::Sum,
                Statistic::Each => Scope::Each,
            },
            place,
            known: known.clone(),
        },
        Expected::Always { name } => {
            let measure = INVARIANTS
                .iter()
                .find(|(of, ..)| of == name)
                .map_or(name.as_str(), |(_, measure, _)| measure);
            Claim {
                name: name.clone(),
                measure: measure.to_string(),
                variant: None,
                over: None,
                bound: Bound::Between(0.0, 0.0),
                scope: Scope::Each,
                place,
                known: None,
            }
        }
        Expected::Sometimes {
            event,
            variant,
            at_least,
        } => Claim {
            name: event.clone(),
            measure: event.clone(),
            variant: variant.clone(),
            over: None,
            bound: Bound::AtLeast(*at_least as f64),
            scope: Scope::Sum,
            place,
            known: None,
        },
    }
}

fn bound_of(bound: &language::Bound) -> Bound {
    match bound {
        language::Bound::Between(low, high) => Bound::Between(low.base(), high.base()),
        language::Bound::AtMost(high) => Bound::AtMost(high.base()),
        language::Bound::AtLeast(low) => Bound::AtLeast(low.base()),
        language::Bound::Near {
            value,
            within,
            relative,
        } => {
            let value = value.base();
            let part = relative.as_ref().map(|part| part.get() * value.abs());
            let within = within.as_ref().map(|within| within.base());
            // Where both are given, the narrower one counts.
            let distance = match (part, within) {
                (Some(part), Some(within)) => part.min(within),
                (Some(one), None) | (None, Some(one)) => one,
                (None, None) => 0.0,
            };
            Bound::Between(value - distance, value + distance)
        }
    }
}

/// The invariants that a scenario can demand: name, the count that has to be zero in every run, and what it means.
pub const INVARIANTS: &[(&str, &str, &str)] = &[
    (
        "network.conservation",
        "run.breaches",
        "Sent + duplicated = delivered + lost + held + travelling. Checked in every run anyway.",
    ),
    (
        "queue.littles_law",
        "run.breaches",
        "The area under every queue is the time spent in it. Checked in every run anyway.",
    ),
    (
        "no_lost_updates",
        "state.lost_updates",
        "No acknowledged update is lost.",
    ),
    ("no_conflicts", "state.conflicts", "No two concurrent updates conflict."),
    (
        "no_stale_reads",
        "state.stale_reads",
        "No read lacks an update acknowledged before it began.",
    ),
    (
        "read_your_writes",
        "state.read_your_writes",
        "No read lacks an acknowledged update of its own agent.",
    ),
    (
        "monotonic_reads",
        "state.monotonic_reads",
        "No read lacks what an earlier read of the same agent and key returned.",
    ),
    (
        "causal",
        "state.causal_violations",
        "No read lacks an update in its agent's causal past.",
    ),
    (
        "healed",
        "state.unhealed",
        "After every cut all that was acknowledged before is on every live replica by the end.",
    ),
    (
        "available",
        "state.unavailable",
        "No operation on shared state is refused or timed out.",
    ),
    ("no_failed_tasks", "task.failed", "No task fails."),
    (
        "no_unfinished_tasks",
        "task.unfinished",
        "Every task is over when the run ends.",
    ),
    (
        "no_duplicate_effects",
        "calls.duplicate_effects",
        "No call is executed more than once.",
    ),
    (
        "no_dropped_messages",
        "messages.dropped",
        "No message is dropped by a full mailbox or for want of a reader.",
    ),
];

/// Knows the measures, invariants and events that an expectation can name.
#[derive(Debug, Clone, Copy, Default)]
pub struct Registry;

impl Measures for Registry {
    fn knows(&self, what: What, name: &str) -> Known {
        match what {
            What::Measure | What::Event if measures::find(name).is_some() => Known::Yes,
            What::Measure | What::Event => Known::No(measures::suggest(name)),
            What::Invariant => {
                let near = |of: &&(&str, &str, &str)| strsim::damerau_levenshtein(of.0, name) <= 1 + of.0.len() / 3;
                match INVARIANTS.iter().any(|(of, ..)| *of == name) {
                    true => Known::Yes,
                    false => Known::No(INVARIANTS.iter().find(near).map(|(of, ..)| of.to_string())),
                }
            }
        }
    }

    fn kind(&self, name: &str) -> Option<Kind> {
        crate::scenario::Registry.kind(name)
    }
}
