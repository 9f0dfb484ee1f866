//! Holds the results of two folders together: what is identical, what moved within its interval, what differs.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The part of `results.json` that a comparison reads.
#[derive(Debug, Clone, Deserialize)]
pub struct Written {
    /// The version of the schema.
    pub schema: u32,
    /// The scenario's name.
    pub scenario: String,
    /// The hash of the scenario.
    pub scenario_hash: String,
    /// The seed.
    pub seed: u64,
    /// The variants.
    pub variants: Vec<WrittenVariant>,
}

/// A variant in `results.json`.
#[derive(Debug, Clone, Deserialize)]
pub struct WrittenVariant {
    /// Its name.
    pub name: String,
    /// Its runs.
    pub runs: Vec<WrittenRun>,
}

/// A run in `results.json`.
#[derive(Debug, Clone, Deserialize)]
pub struct WrittenRun {
    /// The replicate.
    pub replicate: u32,
    /// The fingerprint.
    pub fingerprint: String,
    /// Its numbers.
    pub measures: BTreeMap<String, f64>,
}

/// One number of one variant in both.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Row {
    /// The variant.
    pub variant: String,
    /// The measure.
    pub measure: String,
    /// Its mean in the first.
    pub before: f64,
    /// Its mean in the second.
    pub after: f64,
    /// The interval of the difference, in pairs where seeds are equal.
    pub low: Option<f64>,
    /// The interval's upper end.
    pub high: Option<f64>,
    /// Whether the difference is beyond chance at 95 %.
    pub differs: bool,
}

/// What two results say together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Comparison {
    /// Whether every fingerprint is the same.
    pub identical: bool,
    /// Variants that only one of them has.
    pub unmatched: Vec<String>,
    /// Whether replicates were paired: the seeds are equal.
    pub paired: bool,
    /// The numbers that moved.
    pub rows: Vec<Row>,
    /// How many numbers were compared.
    pub compared: usize,
}

/// Compares two results.
pub fn compare(before: &Written, after: &Written) -> Comparison {
    use super::statistics::{Level, Paired, Summary};
    let paired = before.seed == after.seed;
    let mut comparison = Comparison {
        identical: true,
        unmatched: Vec::new(),
        paired,
        rows: Vec::new(),
        compared: 0,
    };
    for variant in &after.variants {
        if !before.variants.iter().any(|other| other.name == variant.name) {
            comparison.unmatched.push(variant.name.clone());
        }
    }
    for variant in &before.variants {
        let Some(other) = after.variants.iter().find(|other| other.name == variant.name) else {
            comparison.unmatched.push(variant.name.clone());
            continue;
        };
        let prints = |variant: &WrittenVariant| -> Vec<String> {
            variant.runs.iter().map(|run| run.fingerprint.clone()).collect()
        };
        comparison.identical &= prints(variant) == prints(other);
        let names: std::collections::BTreeSet<&String> =
            variant.runs.iter().flat_map(|run| run.measures.keys()).collect();
        for name in names {
            let values = |variant: &WrittenVariant| -> Vec<f64> {
                variant
                    .runs
                    .iter()
                    .filter_map(|run| run.measures.get(name).copied())
                    .collect()
            };
            let (was, is) = (values(variant), values(other));
            let (Some(first), Some(second)) = (Summary::of(&was, Level::P95), Summary::of(&is, Level::P95)) else {
                continue;
            };
            comparison.compared += 1;
            if was == is {
                continue;
            }
            let in_pairs = (paired && was.len() == is.len()).then(|| Paired::of(&was, &is, Level::P95).ok().flatten());
            let interval = match in_pairs.flatten() {
                Some(pairs) => pairs.difference.interval.map(|i| (i.low, i.high)),
                None => apart(&first, &second),
            };
            comparison.rows.push(Row {
                variant: variant.name.clone(),
                measure: name.clone(),
                before: first.mean,
                after: second.mean,
                low: interval.map(|i| i.0),
                high: interval.map(|i| i.1),
                differs: interval.is_some_and(|(low, high)| low > 0.0 || high < 0.0),
            });
        }
    }
    comparison.identical &= comparison.unmatched.is_empty();
    comparison
}

/// The interval of the difference of two independent means (Welch 1947, with Satterthwaite's degrees of freedom).
fn apart(first: &super::statistics::Summary, second: &super::statistics::Summary) -> Option<(f64, f64)> {
    let square = |summary: &super::statistics::Summary| summary.sd.map(|sd| sd * sd / summary.n as f64);
    let (a, b) = (square(first)?, square(second)?);
    let difference = second.mean - first.mean;
    if a + b == 0.0 {
        return Some((difference, difference));
    }
    let freedom = (a + b) * (a + b) / (a * a / (first.n - 1) as f64 + b * b / (second.n - 1) as f64);
    let half = super::statistics::student_t_quantile(0.975, freedom) * (a + b).sqrt();
    Some((difference - half, difference + half))
}
