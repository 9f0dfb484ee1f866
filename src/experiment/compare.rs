//! Holds the results of two folders together: what is identical, what moved within its interval, what differs.

use super::statistics::{Level, Paired, Summary, discoveries, student_t_quantile, two_sided_p};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

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
    /// The 95 % interval of the difference, in pairs where seeds are equal.
    pub low: Option<f64>,
    /// The interval's upper end.
    pub high: Option<f64>,
    /// The difference in standard deviations of what was compared: of the differences of the pairs, or of the replicates.
    /// `None` where there is no deviation: one replicate, or every pair differs by the same.
    pub standardised: Option<f64>,
    /// The probability of a difference at least as large by chance (two-sided, Student's t); `None` with one replicate.
    pub chance: Option<f64>,
    /// Whether the difference is beyond chance, at a false discovery rate of 5 % over all numbers that were compared.
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
    /// The numbers that moved, the clearest first: by the standardised difference.
    pub rows: Vec<Row>,
    /// How many numbers were compared.
    pub compared: usize,
}

/// The false discovery rate: what part of the numbers called different is expected to be chance.
pub const FALSE_DISCOVERIES: f64 = 0.05;

/// Compares two results.
pub fn compare(before: &Written, after: &Written) -> Comparison {
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
        match after.variants.iter().find(|other| other.name == variant.name) {
            Some(other) => compare_variant(variant, other, &mut comparison),
            None => comparison.unmatched.push(variant.name.clone()),
        }
    }
    comparison.identical &= comparison.unmatched.is_empty();
    // A row without a probability can't be told from chance.
    let chances: Vec<f64> = comparison.rows.iter().map(|row| row.chance.unwrap_or(1.0)).collect();
    let found = discoveries(&chances, comparison.compared, FALSE_DISCOVERIES);
    for (row, found) in comparison.rows.iter_mut().zip(found) {
        row.differs = found && row.chance.is_some();
    }
    comparison.rows.sort_by(|a, b| clearness(b).total_cmp(&clearness(a)));
    comparison
}

/// How clear a difference is: its standardised size, without limit where every pair differs by the same.
fn clearness(row: &Row) -> f64 {
    match (row.standardised, row.chance) {
        (Some(size), _) => size.abs(),
        (None, Some(_)) => f64::INFINITY,
        (None, None) => -1.0,
    }
}

fn compare_variant(variant: &WrittenVariant, other: &WrittenVariant, comparison: &mut Comparison) {
    let prints =
        |variant: &WrittenVariant| -> Vec<String> { variant.runs.iter().map(|run| run.fingerprint.clone()).collect() };
    comparison.identical &= prints(variant) == prints(other);
    let names: BTreeSet<&String> = variant.runs.iter().flat_map(|run| run.measures.keys()).collect();
    for name in names {
        let values = |variant: &WrittenVariant| -> Vec<f64> {
            let of = |run: &WrittenRun| run.measures.get(name).copied();
            variant.runs.iter().filter_map(of).collect()
        };
        let (was, is) = (values(variant), values(other));
        let (Some(first), Some(second)) = (Summary::of(&was, Level::P95), Summary::of(&is, Level::P95)) else {
            continue;
        };
        comparison.compared += 1;
        if was == is {
            continue;
        }
        let in_pairs = (comparison.paired && was.len() == is.len())
            .then(|| Paired::of(&was, &is, Level::P95).ok().flatten())
            .flatten();
        let apart = match in_pairs {
            Some(pairs) => Apart::in_pairs(&pairs.difference),
            None => Apart::of_two(&first, &second),
        };
        let half = apart.half_width();
        comparison.rows.push(Row {
            variant: variant.name.clone(),
            measure: name.clone(),
            before: first.mean,
            after: second.mean,
            low: half.map(|half| apart.difference - half),
            high: half.map(|half| apart.difference + half),
            standardised: apart.deviation.filter(|sd| *sd > 0.0).map(|sd| apart.difference / sd),
            chance: apart.chance(),
            differs: false,
        });
    }
}

/// How far two means are apart.
struct Apart {
    difference: f64,
    /// The standard deviation of what was compared.
    deviation: Option<f64>,
    /// The standard error of the difference, with its degrees of freedom.
    error: Option<(f64, f64)>,
}

impl Apart {
    fn in_pairs(difference: &Summary) -> Self {
        let n = difference.n as f64;
        Self {
            difference: difference.mean,
            deviation: difference.sd,
            error: difference.sd.map(|sd| (sd / libm::sqrt(n), n - 1.0)),
        }
    }

    /// Of two independent means (Welch 1947, with Satterthwaite's degrees of freedom).
    fn of_two(first: &Summary, second: &Summary) -> Self {
        let variances = first.sd.zip(second.sd).map(|(a, b)| (a * a, b * b));
        let (n, m) = (first.n as f64, second.n as f64);
        let error = variances.map(|(a, b)| {
            let (a, b) = (a / n, b / m);
            let freedom = (a + b) * (a + b) / (a * a / (n - 1.0) + b * b / (m - 1.0));
            // Without any variance both counts stand for themselves.
            let freedom = if freedom.is_finite() { freedom } else { n + m - 2.0 };
            (libm::sqrt(a + b), freedom)
        });
        Self {
            difference: second.mean - first.mean,
            deviation: variances.map(|(a, b)| libm::sqrt((a + b) / 2.0)),
            error,
        }
    }

    fn half_width(&self) -> Option<f64> {
        self.error
            .map(|(error, freedom)| student_t_quantile(0.975, freedom) * error)
    }

    fn chance(&self) -> Option<f64> {
        let (error, freedom) = self.error?;
        if self.difference == 0.0 {
            return Some(1.0);
        }
        two_sided_p(self.difference / error, freedom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(seed: u64, measures: &[(&str, &[f64])]) -> Written {
        let runs = (0..measures[0].1.len()).map(|run| WrittenRun {
            replicate: run as u32,
            fingerprint: format!("{seed}-{run}-{:?}", measures),
            measures: measures
                .iter()
                .map(|(name, values)| (name.to_string(), values[run]))
                .collect(),
        });
        let variant = WrittenVariant {
            name: "base".into(),
            runs: runs.collect(),
        };
        Written {
            schema: 1,
            scenario: "s".into(),
            scenario_hash: String::new(),
            seed,
            variants: vec![variant],
        }
    }

    #[test]
    fn the_clearest_difference_comes_first() {
        let before = written(
            1,
            &[
                ("a", &[1.0, 2.0, 3.0, 4.0]),
                ("b", &[1.0, 2.0, 3.0, 4.0]),
                ("c", &[1.0, 2.0, 3.0, 4.0]),
                ("d", &[5.0; 4]),
            ],
        );
        let after = written(
            1,
            &[
                ("a", &[1.5, 1.5, 3.5, 3.9]),
                ("b", &[2.0, 3.1, 4.0, 5.1]),
                ("c", &[2.0, 3.0, 4.0, 5.0]),
                ("d", &[5.0; 4]),
            ],
        );
        let said = compare(&before, &after);
        assert_eq!((said.compared, said.rows.len(), said.identical), (4, 3, false));
        let names: Vec<&str> = said.rows.iter().map(|row| row.measure.as_str()).collect();
        assert_eq!(names, ["c", "b", "a"], "every pair of c differs by the same");
        let differs: Vec<bool> = said.rows.iter().map(|row| row.differs).collect();
        assert_eq!(differs, [true, true, false]);
        assert_eq!((said.rows[0].standardised, said.rows[0].chance), (None, Some(0.0)));
        // With other seeds nothing is paired, and the same move drowns in the spread of the replicates.
        let said = compare(&before, &Written { seed: 2, ..after });
        assert!(said.rows.iter().all(|row| !row.differs), "{:?}", said.rows);
        let b = said.rows.iter().find(|row| row.measure == "b").unwrap();
        assert!(
            (b.standardised.unwrap() - 1.05 / libm::sqrt((5.0 + 5.21) / 6.0)).abs() < 1e-12,
            "{b:?}"
        );
    }

    #[test]
    fn chance_alone_is_seldom_called_a_difference() {
        use crate::kernel::{Key, Purpose};
        // Two hundred numbers of ten replicates, none of which moved but by chance: at 5 % each about ten would differ.
        let values = |salt: u64, name: u64| -> Vec<f64> {
            let key = Key::root(salt, name);
            (0..10)
                .map(|n| key.draw(Purpose(0), n) as f64 / u64::MAX as f64)
                .collect()
        };
        let names: Vec<String> = (0..200).map(|name| format!("m{name:03}")).collect();
        let all = |seed: u64| {
            let values: Vec<Vec<f64>> = (0..200).map(|name| values(seed, name)).collect();
            let measures: Vec<(&str, &[f64])> = names
                .iter()
                .zip(&values)
                .map(|(name, values)| (name.as_str(), values.as_slice()))
                .collect();
            written(seed, &measures)
        };
        let said = compare(&all(1), &all(2));
        let single = said
            .rows
            .iter()
            .filter(|row| row.chance.is_some_and(|chance| chance < 0.05))
            .count();
        let called = said.rows.iter().filter(|row| row.differs).count();
        assert_eq!(said.compared, 200);
        assert!((3..=20).contains(&single), "{single} of 200 by chance");
        assert_eq!(called, 0, "of {single} that alone would be beyond chance");
    }
}
