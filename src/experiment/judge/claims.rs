//! What a scenario's expectations claim.

use super::{Bound, Claim, Scope};
use crate::measures::invariants::invariant_named;
use crate::scenario::language::compare as language;
use crate::scenario::language::compare::Statistic;
use crate::scenario::{Expectation, Expected, Scenario};

/// What a scenario's expectations claim.
pub fn claims(scenario: &Scenario) -> Vec<Claim> {
    let scaling = scenario.scaling.iter().enumerate();
    let exponents = scaling.filter_map(|(number, spec)| {
        let bound = spec.bound.as_ref()?;
        let name = format!("exponent of {}", spec.measure);
        Some(Claim {
            measure: name.clone(),
            name,
            variant: None,
            over: None,
            bound: bound_of(bound),
            scope: Scope::Scaling(number),
            place: file_of(&spec.place),
            known: None,
        })
    });
    scenario.expectations.iter().map(claim).chain(exponents).collect()
}

/// Results never carry paths of the machine that they were made on.
fn file_of(place: &str) -> String {
    place.rsplit(['/', '\\']).next().unwrap_or_default().to_string()
}

fn claim(expectation: &Expectation) -> Claim {
    let place = file_of(&expectation.place);
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
            let measure = invariant_named(name).map_or(name.as_str(), |invariant| invariant.measure);
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
            scope: Scope::Together,
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
