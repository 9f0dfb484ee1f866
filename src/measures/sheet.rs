//! The sheet on which the measures of one run are written.

use crate::kernel::SimTime;
use crate::world::call::Parts;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// What was measured in one run.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Sheet {
    /// Numbers by name, in the unit of the registry. A number that can't be given (a quantile of too few) is absent.
    pub numbers: BTreeMap<String, f64>,
    /// Series over time, by name.
    pub series: BTreeMap<String, Series>,
    /// Samples for distributions, by name.
    pub samples: BTreeMap<String, Sample>,
    /// Tasks, in the order in which they ended.
    pub tasks: Vec<TaskRow>,
    /// How many tasks aren't listed because there were too many.
    pub tasks_unlisted: u64,
    /// Intervals during which a fault was on: name, start, end.
    pub bands: Vec<(String, SimTime, SimTime)>,
    /// The same for each of those whom a fault hits by themselves.
    pub faults: Vec<FaultSpan>,
    /// What is to be said of the run beside numbers: a sentence each.
    pub notes: Vec<String>,
}

/// A time during which a fault was on for somebody.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FaultSpan {
    /// When it began.
    pub start: SimTime,
    /// The fault's name.
    pub fault: String,
    /// Which of its targets it hit, by name; empty where all are hit together, or nobody in particular.
    pub target: String,
    /// Which member of the target, from 0; `None` where all of it is hit.
    pub member: Option<u32>,
    /// When it ended, with the run at the latest.
    pub end: SimTime,
}

impl Sheet {
    /// Writes a number, unless it's none.
    pub fn number(&mut self, name: impl Into<String>, value: Option<f64>) {
        if let Some(value) = value.filter(|value| value.is_finite()) {
            self.numbers.insert(name.into(), value);
        }
    }

    /// Writes how many there were.
    pub fn count(&mut self, name: impl Into<String>, value: u64) {
        self.numbers.insert(name.into(), value as f64);
    }

    /// Writes the mean, the quantiles 50, 90, 95 and 99 % and the greatest of durations in nanoseconds, as seconds.
    pub fn durations(&mut self, name: &str, recorder: &crate::statistics::Recorder) {
        let distribution = recorder.distribution();
        self.number(format!("{name}.mean"), recorder.mean().map(|ns| ns / 1e9));
        for (quantile, label) in [(0.5, "p50"), (0.9, "p90"), (0.95, "p95"), (0.99, "p99")] {
            let value = distribution.quantile(quantile).value();
            self.number(format!("{name}.{label}"), value.map(|ns| ns as f64 / 1e9));
        }
        self.number(format!("{name}.max"), recorder.greatest().map(|ns| ns as f64 / 1e9));
    }

    /// Writes the observations of durations in nanoseconds, as seconds: all, or `most` order statistics.
    pub fn sample(&mut self, name: impl Into<String>, recorder: &crate::statistics::Recorder, most: usize) {
        if recorder.count() == 0 {
            return;
        }
        let values = recorder.distribution().order_statistics(most);
        let values = values.into_iter().map(|ns| ns as f64 / 1e9).collect();
        let count = recorder.count();
        self.samples.insert(name.into(), Sample { count, values });
    }
}

/// Values in consecutive windows of equal length, from time zero on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Series {
    /// The length of a window in nanoseconds.
    pub window: u64,
    /// One value for each whole window, in the unit of the registry; NaN (`null` in files) where a window has none.
    #[serde(with = "gaps")]
    pub values: Vec<f64>,
}

/// NaN as `null`, which JSON has and reads back.
mod gaps {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(values.iter().map(|value| value.is_finite().then_some(*value)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        let values = Vec::<Option<f64>>::deserialize(deserializer)?;
        Ok(values.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect())
    }
}

/// The observations of a distribution, ascending, in the unit of the registry; thinned evenly where there were very many.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    /// How many there were.
    pub count: u64,
    /// The observations, ascending: all, or evenly spaced order statistics of them (the least and the greatest included).
    pub values: Vec<f64>,
}

/// One task.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRow {
    /// The group of its agent.
    pub group: String,
    /// The task's name; empty for the program itself.
    pub name: String,
    /// Its identity within the group: the agent's ordinal, its run, its step. Tasks of two variants with one identity are pairs.
    /// Where not all tasks are listed, the same identities are in every variant.
    pub identity: u64,
    /// When it began.
    pub began: SimTime,
    /// When it ended.
    pub ended: SimTime,
    /// How: `done`, `failed`, `aborted` or `stopped`.
    pub outcome: TaskOutcome,
    /// Where its time went.
    pub parts: Parts,
}

/// How a task ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TaskOutcome {
    /// All of its steps were done.
    Done,
    /// A step failed beyond its policy.
    Failed,
    /// Its agent crashed and lost its state, or its branch was thrown away.
    Aborted,
    /// Its agent's budget was spent.
    Stopped,
}
