//! The results of a grid: for each variant every number with its interval, and its difference to the base, in pairs.

mod gathering;

pub use gathering::{Gathering, Room};

use super::grid::Cell;
use super::numbers::{Names, Numbers};
use super::statistics::{Level, Paired, Summary, wilson};
use crate::kernel::{End, SimDuration, SimTime};
use crate::measures::{self, Series, TaskRow, Unit};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The version of the schema of `results.json`.
pub const SCHEMA: u32 = 1;

/// Everything that a grid found out.
#[derive(Debug, Clone, Serialize)]
pub struct Results {
    /// The version of the schema.
    pub schema: u32,
    /// The version of the tool.
    pub tool_version: &'static str,
    /// The scenario's name.
    pub scenario: String,
    /// Its question.
    pub question: String,
    /// The measures that answer it, by name, and what they are called, where the scenario says so.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<(String, String)>,
    /// The hash of the scenario, its includes and its data.
    pub scenario_hash: String,
    /// The seed.
    pub seed: u64,
    /// What begins before this time isn't measured, in seconds, in the base.
    #[serde(skip_serializing_if = "is_nothing")]
    pub warm_up: f64,
    /// How many replicates each variant has.
    pub replicates: u32,
    /// Runs that aren't listed one by one because there are too many; they count in everything that is made of all.
    #[serde(skip_serializing_if = "is_zero")]
    pub runs_unlisted: usize,
    /// Of how many runs the other lists aren't written, because earlier runs have taken all the room.
    #[serde(skip_serializing_if = "Unlisted::is_nothing")]
    pub unlisted: Unlisted,
    /// The confidence of every interval.
    pub level: f64,
    /// The variants, the base first.
    pub variants: Vec<VariantResults>,
    /// How measures grow from variant to variant, where the scenario asks that.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scaling: Vec<super::scaling::Scaling>,
}

/// Of how many runs something isn't listed, though they have it: there is too much of it. The first run of each variant is listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Unlisted {
    /// Their tasks.
    pub tasks: usize,
    /// Their series over time.
    pub series: usize,
    /// Their samples of distributions.
    pub samples: usize,
    /// Their intervals of faults.
    pub faults: usize,
}

impl Unlisted {
    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

/// What a variant's replicates say together.
#[derive(Debug, Clone, Serialize)]
pub struct VariantResults {
    /// The variant's name, as scenarios and files use it.
    pub name: String,
    /// What it is called in tables and plots: a scenario can give its base a title.
    pub title: String,
    /// Its runs, by replicate.
    pub runs: Runs,
    /// Every number over the replicates.
    pub measures: BTreeMap<String, Estimate>,
    /// Every number's difference to the base, in pairs; empty for the base.
    pub differences: BTreeMap<String, Difference>,
    /// How much longer its tasks took than those of each other variant, task by task.
    pub added: BTreeMap<String, Added>,
}

/// One run.
#[derive(Debug, Clone, Serialize)]
pub struct RunResults {
    /// The replicate.
    pub replicate: u32,
    /// The fingerprint.
    pub fingerprint: String,
    /// Entries handled.
    pub events: u64,
    /// The simulated time at the end, in seconds.
    pub end_s: f64,
    /// Why it ended.
    pub ended: &'static str,
    /// Its numbers.
    pub measures: Numbers,
    /// A problem met at run time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halt: Option<String>,
    /// Breaches of the laws that hold in every run: none, or it's a bug.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub breaches: Vec<String>,
    /// What there is to say of it beside numbers: a sentence each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Series over time; none where earlier runs of the variant have taken all the room.
    #[serde(skip)]
    pub series: BTreeMap<String, Series>,
    /// Samples of distributions; none where earlier runs have taken all the room.
    #[serde(skip)]
    pub samples: BTreeMap<String, measures::Sample>,
    /// Tasks; none where earlier runs have taken all the room.
    #[serde(skip)]
    pub tasks: Vec<TaskRow>,
    /// When faults were on, and for whom; none where earlier runs have taken all the room.
    #[serde(skip)]
    pub faults: Vec<measures::FaultSpan>,
}

/// A number over the replicates.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Estimate {
    /// Replicates that have it.
    pub n: u64,
    /// Its mean.
    pub mean: f64,
    /// Its standard deviation over the replicates.
    pub sd: Option<f64>,
    /// The interval's lower end.
    pub low: Option<f64>,
    /// The interval's upper end.
    pub high: Option<f64>,
}

/// A number's difference to the base.
#[derive(Debug, Clone, Copy, Serialize)]
pub struct Difference {
    /// Replicates that have it in both.
    pub n: u64,
    /// The mean of the differences.
    pub mean: f64,
    /// The interval's lower end.
    pub low: Option<f64>,
    /// The interval's upper end.
    pub high: Option<f64>,
    /// The difference as a part of the base's mean.
    pub relative: Option<f64>,
    /// Whether the interval leaves zero out.
    pub differs: bool,
}

/// How much longer tasks took than in another variant, task by task. In seconds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Added {
    /// Replicates with pairs.
    pub n: u64,
    /// Tasks done in both.
    pub pairs: u64,
    /// Tasks done in one only, or in neither.
    pub unpaired: u64,
    /// The mean over the replicates of the mean difference.
    pub mean: f64,
    /// The interval's lower end.
    pub low: Option<f64>,
    /// The interval's upper end.
    pub high: Option<f64>,
    /// The least difference of any task.
    pub least: f64,
    /// The greatest difference of any task.
    pub greatest: f64,
}

/// Where a scenario's results come from.
#[derive(Debug, Clone)]
pub struct Provenance {
    /// The scenario's name.
    pub scenario: String,
    /// Its question.
    pub question: String,
    /// The measures that answer it, and what they are called.
    pub answers: Vec<(String, String)>,
    /// Its hash.
    pub hash: String,
    /// The seed.
    pub seed: u64,
    /// What begins before this time isn't measured, in the base.
    pub warm_up: SimTime,
    /// What the base is called in tables and plots.
    pub base_title: String,
    /// The variants' names, the base first.
    pub variants: Vec<String>,
}

/// The runs of a variant. Where there are very many, only the first are listed one by one in files.
#[derive(Debug, Clone, Default)]
pub struct Runs {
    all: Vec<RunResults>,
    listed: usize,
}

impl Runs {
    /// Those that are listed one by one.
    pub fn listed(&self) -> &[RunResults] {
        &self.all[..self.listed]
    }
}

impl std::ops::Deref for Runs {
    type Target = [RunResults];

    fn deref(&self) -> &[RunResults] {
        &self.all
    }
}

impl<'a> IntoIterator for &'a Runs {
    type Item = &'a RunResults;
    type IntoIter = std::slice::Iter<'a, RunResults>;

    fn into_iter(self) -> Self::IntoIter {
        self.all.iter()
    }
}

impl Serialize for Runs {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.listed())
    }
}

fn is_nothing(seconds: &f64) -> bool {
    *seconds == 0.0
}

fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl Results {
    /// The variant of this name.
    pub fn variant(&self, name: &str) -> Option<&VariantResults> {
        self.variants.iter().find(|variant| variant.name == name)
    }

    /// Every breach of a law that holds in every run, with where it happened.
    pub fn breaches(&self) -> Vec<String> {
        let runs = self
            .variants
            .iter()
            .flat_map(|variant| variant.runs.iter().map(move |run| (&variant.name, run)));
        runs.flat_map(|(variant, run)| {
            run.breaches
                .iter()
                .map(move |breach| format!("{variant}, replicate {}: {breach}", run.replicate))
        })
        .collect()
    }

    /// What the tables leave out because there is too much of it: a line for each table that does.
    pub fn left_out(&self) -> Vec<String> {
        let all: usize = self.variants.iter().map(|variant| variant.runs.len()).sum();
        let mut lines = Vec::new();
        if self.runs_unlisted > 0 {
            let listed = all - self.runs_unlisted;
            lines.push(format!(
                "measures.csv lists {listed} of {all} runs, the first of each variant: they have too many numbers; summary.csv is \
                 of all"
            ));
        }
        let Unlisted {
            tasks,
            series,
            samples,
            faults,
        } = self.unlisted;
        for (table, left_out) in [
            ("tasks.csv", tasks),
            ("series.csv", series),
            ("samples.csv", samples),
            ("faults.csv", faults),
        ] {
            if left_out > 0 {
                lines.push(format!(
                    "{table} leaves out {left_out} of {all} runs: the first of each variant have taken all the room"
                ));
            }
        }
        lines
    }

    /// Where replicas weren't at rest when the drain was over: a line for each variant that has such runs.
    pub fn undrained(&self) -> Vec<String> {
        let restless = |variant: &VariantResults| -> Option<String> {
            let runs = variant.runs.iter().filter(|run| run.halt.is_none());
            let waited = |run: &RunResults| {
                let at_rest = *run.measures.get("state.drained")?;
                run.measures.get("state.drain").copied().filter(|_| at_rest == 0.0)
            };
            let waited: Vec<f64> = runs.filter_map(waited).collect();
            // All runs of a variant have one bound.
            let bound = SimDuration::from_nanos_f64(waited.first()? * 1e9);
            let (count, of) = (waited.len(), variant.runs.len());
            let runs = if of == 1 { "run" } else { "runs" };
            Some(format!(
                "{}: in {count} of {of} {runs} the replicas weren't at rest {bound} after the end, which is all that `drain` \
                 allows: what is lost or differs may still change",
                variant.title
            ))
        };
        self.variants.iter().filter_map(restless).collect()
    }

    /// Every problem met at run time, with where it happened first: a line for each variant that has one.
    pub fn halts(&self) -> Vec<String> {
        let stopped = |variant: &VariantResults| -> Option<String> {
            let mut halts = variant
                .runs
                .iter()
                .filter_map(|run| Some((run.replicate, run.halt.as_ref()?)));
            let (replicate, first) = halts.next()?;
            let (count, of) = (1 + halts.count(), variant.runs.len());
            let runs = if of == 1 { "run" } else { "runs" };
            Some(format!(
                "{}: {count} of {of} {runs} stopped early; replicate {replicate} {first}",
                variant.title
            ))
        };
        self.variants.iter().filter_map(stopped).collect()
    }

    /// What there is to say of runs beside numbers, with where it was so first: a line for each variant that has something.
    pub fn notes(&self) -> Vec<String> {
        let noted = |variant: &VariantResults| -> Option<String> {
            let mut noted = variant
                .runs
                .iter()
                .filter_map(|run| Some((run.replicate, run.notes.first()?)));
            let (replicate, first) = noted.next()?;
            let (count, of) = (1 + noted.count(), variant.runs.len());
            Some(format!(
                "{}, {count} of {of}, replicate {replicate}: {first}",
                variant.title
            ))
        };
        self.variants.iter().filter_map(noted).collect()
    }
}

impl VariantResults {
    /// Whether one of its runs was stopped before its end.
    pub fn was_stopped(&self) -> bool {
        self.runs.iter().any(|run| run.halt.is_some())
    }
}

impl RunResults {
    fn of(cell: Cell, names: &mut Names) -> Self {
        let ended = match cell.end {
            End::Drained => "nothing was left to happen",
            End::TimeReached => "the time was over",
            End::Stopped if cell.halt.is_some() => "a problem stopped it",
            End::Stopped => "all tasks were done",
            End::EventLimit => "the limit of events was reached",
            End::Livelock { .. } => "an instant never ended",
        };
        let halt = cell.stopped();
        Self {
            replicate: cell.replicate,
            fingerprint: cell.print.to_string(),
            events: cell.handled,
            end_s: cell.now.as_secs_f64(),
            ended,
            measures: names.share(cell.sheet.numbers),
            halt,
            breaches: cell.breaches,
            notes: cell.sheet.notes,
            series: cell.sheet.series,
            samples: cell.sheet.samples,
            tasks: cell.sheet.tasks,
            faults: cell.sheet.faults,
        }
    }
}

/// All names that the runs have. Neighbours mostly share them.
fn names(runs: &[RunResults]) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    let mut before: Option<&Numbers> = None;
    for run in runs {
        if !before.is_some_and(|before| before.shares_names_with(&run.measures)) {
            names.extend(run.measures.keys().map(String::as_str));
        }
        before = Some(&run.measures);
    }
    names
}

fn estimates(runs: &[RunResults]) -> BTreeMap<String, Estimate> {
    let mut all = BTreeMap::new();
    for name in names(runs) {
        let values: Vec<f64> = runs.iter().filter_map(|run| run.measures.get(name).copied()).collect();
        let Some(summary) = Summary::of(&values, Level::P95) else {
            continue;
        };
        // One yes or no for each run is a proportion: Student's interval would be wrong at its ends.
        let verdict = measures::find(name).is_some_and(|info| info.unit == Unit::Verdict);
        let interval = match verdict {
            true => wilson(
                values.iter().filter(|value| **value > 0.5).count() as u64,
                summary.n,
                Level::P95,
            ),
            false => summary.interval,
        };
        let (low, high) = (interval.map(|i| i.low), interval.map(|i| i.high));
        all.insert(
            name.to_string(),
            Estimate {
                n: summary.n,
                mean: summary.mean,
                sd: summary.sd,
                low,
                high,
            },
        );
    }
    all
}

fn differences(base: &[RunResults], variant: &[RunResults]) -> BTreeMap<String, Difference> {
    let mut all = BTreeMap::new();
    for name in names(variant) {
        let both = base
            .iter()
            .zip(variant)
            .filter_map(|(base, variant)| Some((*base.measures.get(name)?, *variant.measures.get(name)?)));
        let (before, after): (Vec<f64>, Vec<f64>) = both.unzip();
        let Ok(Some(paired)) = Paired::of(&before, &after, Level::P95) else {
            continue;
        };
        let interval = paired.difference.interval;
        let difference = Difference {
            n: paired.difference.n,
            mean: paired.difference.mean,
            low: interval.map(|i| i.low),
            high: interval.map(|i| i.high),
            relative: paired.relative,
            differs: paired.differs(),
        };
        all.insert(name.to_string(), difference);
    }
    all
}
