//! Baselines: what a scenario said when it was last approved, beside it in a file that a person can read in a diff.

use super::results::{Estimate, Results};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The version of the baseline's format.
const FORMAT: u32 = 1;
/// Fingerprints kept for each variant; all replicates beyond are covered by the measures.
const FINGERPRINTS: usize = 4;

/// What a scenario said when it was last approved.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// The version of the format.
    pub baseline: u32,
    /// The hash of the scenario that was run.
    pub scenario_hash: String,
    /// The seed.
    pub seed: u64,
    /// How many replicates.
    pub replicates: u32,
    /// What each variant said.
    pub variants: BTreeMap<String, VariantBaseline>,
}

/// What a variant said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariantBaseline {
    /// The fingerprints of its first replicates.
    pub fingerprints: Vec<String>,
    /// Its key measures: the mean over the replicates, rounded to nine digits.
    pub measures: BTreeMap<String, f64>,
}

/// What moved between a baseline and results.
#[derive(Debug, Clone, PartialEq)]
pub enum Moved {
    /// The scenario isn't the one that was approved.
    Scenario {
        /// Its hash then.
        was: String,
        /// Its hash now.
        is: String,
    },
    /// Another seed or another number of replicates was run.
    Settings(String),
    /// A variant came or went.
    Variant(String),
    /// A run's events differ.
    Fingerprint {
        /// The variant.
        variant: String,
        /// The replicate.
        replicate: usize,
        /// The fingerprint then.
        was: String,
        /// The fingerprint now.
        is: String,
    },
    /// A measure differs.
    Measure {
        /// The variant.
        variant: String,
        /// The measure.
        measure: String,
        /// Its mean then; `None`: it had none.
        was: Option<f64>,
        /// Its mean now.
        is: Option<f64>,
    },
}

/// A baseline that can't be read.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// It isn't one.
    #[error("not a baseline: {0}")]
    Malformed(String),
    /// It's of another version.
    #[error("a baseline of format {0}, but this version reads format {FORMAT}: bless it again")]
    Format(u32),
}

impl Baseline {
    /// The baseline that these results make.
    pub fn of(results: &Results) -> Self {
        let variants = results.variants.iter().map(|variant| {
            let fingerprints = variant
                .runs
                .iter()
                .take(FINGERPRINTS)
                .map(|run| run.fingerprint.clone())
                .collect();
            let measures = variant.measures.iter().filter(|(name, _)| is_key(name));
            let measures = measures
                .map(|(name, estimate)| (name.clone(), rounded(estimate)))
                .collect();
            (variant.name.clone(), VariantBaseline { fingerprints, measures })
        });
        Self {
            baseline: FORMAT,
            scenario_hash: results.scenario_hash.clone(),
            seed: results.seed,
            replicates: results.replicates,
            variants: variants.collect(),
        }
    }

    /// Reads a baseline.
    ///
    /// # Errors
    /// If the text isn't one.
    pub fn read(text: &str) -> Result<Self, BaselineError> {
        let baseline: Self = ron::from_str(text).map_err(|error| BaselineError::Malformed(error.to_string()))?;
        if baseline.baseline != FORMAT {
            return Err(BaselineError::Format(baseline.baseline));
        }
        Ok(baseline)
    }

    /// The baseline as text: one line a number, so that a diff shows what moved.
    pub fn to_text(&self) -> String {
        let pretty = ron::ser::PrettyConfig::new()
            .indentor("  ")
            .new_line("\n")
            .struct_names(false);
        let body = ron::ser::to_string_pretty(self, pretty).expect("a baseline is plain data");
        format!("// Made by `quorate test --bless`; read it in a diff.\n{body}\n")
    }

    /// What moved since. Empty: nothing.
    pub fn moved(&self, results: &Results) -> Vec<Moved> {
        let now = Self::of(results);
        let mut moved = Vec::new();
        if self.scenario_hash != now.scenario_hash {
            moved.push(Moved::Scenario {
                was: self.scenario_hash.clone(),
                is: now.scenario_hash.clone(),
            });
        }
        if (self.seed, self.replicates) != (now.seed, now.replicates) {
            let (was, is) = ((self.seed, self.replicates), (now.seed, now.replicates));
            moved.push(Moved::Settings(format!(
                "seed {}, {} replicates -> seed {}, {} replicates",
                was.0, was.1, is.0, is.1
            )));
        }
        let all: std::collections::BTreeSet<&String> = self.variants.keys().chain(now.variants.keys()).collect();
        for name in all {
            match (self.variants.get(name), now.variants.get(name)) {
                (Some(was), Some(is)) => compare(name, was, is, &mut moved),
                _ => moved.push(Moved::Variant(name.clone())),
            }
        }
        moved
    }
}

fn compare(variant: &str, was: &VariantBaseline, is: &VariantBaseline, moved: &mut Vec<Moved>) {
    for (replicate, (was, is)) in was.fingerprints.iter().zip(&is.fingerprints).enumerate() {
        if was != is {
            moved.push(Moved::Fingerprint {
                variant: variant.into(),
                replicate,
                was: was.clone(),
                is: is.clone(),
            });
        }
    }
    let all: std::collections::BTreeSet<&String> = was.measures.keys().chain(is.measures.keys()).collect();
    for measure in all {
        let (was, is) = (was.measures.get(measure).copied(), is.measures.get(measure).copied());
        if was != is {
            moved.push(Moved::Measure {
                variant: variant.into(),
                measure: measure.clone(),
                was,
                is,
            });
        }
    }
}

/// Whether a measure belongs into a baseline: the headline numbers, not those of single services and tasks.
fn is_key(name: &str) -> bool {
    const GROUPS: [&str; 6] = ["task.", "calls.", "state.", "herd.", "traffic.", "latency_trap."];
    GROUPS.iter().any(|group| name.starts_with(group)) && name.split('.').count() <= 3
}

/// Nine significant digits: enough to see any real change, and few enough to read.
fn rounded(estimate: &Estimate) -> f64 {
    format!("{:.8e}", estimate.mean).parse().unwrap_or(estimate.mean)
}
