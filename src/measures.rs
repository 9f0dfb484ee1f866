//! Floor 4: measures: observers of records that say what a design costs.
//!
//! A measure reads batches of records, and at the end of a run writes numbers, series, samples and rows into a [`Sheet`]. What
//! every number means stands in the registry ([`infos`]): tables, the data dictionary and the checks of expectations come from it.

pub mod sheet;

pub use sheet::{Sample, Series, Sheet, TaskOutcome, TaskRow};

use crate::kernel::SimTime;
use crate::world::population::Directory;
use crate::world::record::{Batch, Mask, Observer};

/// What a measure needs to know of the run that it watches.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Who is where, and is called what.
    pub directory: Directory,
    /// What begins before this time isn't measured.
    pub warm_up: SimTime,
    /// The length of the windows in which rates over time are measured.
    pub window: crate::kernel::SimDuration,
    /// The latest end of the run.
    pub horizon: SimTime,
    /// Names of tasks, by number; 0 is the program itself.
    pub task_names: Vec<String>,
    /// The entities that are services, with their names.
    pub services: Vec<(u32, String)>,
    /// The entities of the stores: the first replica of each, how many there are, and the store's name.
    pub stores: Vec<(u32, u32, String)>,
    /// For each fault: its name, and whether it is a partition.
    pub faults: Vec<(String, bool)>,
    /// For each service, its rate limit in requests per second, and its price list in nano-dollars (call, token in, token out).
    pub limits: Vec<(Option<f64>, [u64; 3])>,
}

/// Something measured in a run.
pub trait Measure: Send {
    /// What it wants to see.
    fn wants(&self) -> Mask;
    /// The next records.
    fn batch(&mut self, batch: Batch<'_>);
    /// Writes what was measured, at the end of the run.
    fn finish(self: Box<Self>, end: SimTime, sheet: &mut Sheet);
}

/// Which way a number is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Better {
    /// Less of it is better.
    Lower,
    /// More of it is better.
    Higher,
    /// Neither: it describes.
    Neither,
}

/// The unit of a number in result files. Tables show it in whatever unit reads best.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Seconds of simulated time.
    Seconds,
    /// A number of things.
    Count,
    /// A part of a whole, from 0 to 1.
    Share,
    /// A ratio of two quantities of one kind.
    Ratio,
    /// Things per second of simulated time.
    PerSecond,
    /// Bytes.
    Bytes,
    /// US dollars.
    Dollars,
    /// Language-model tokens.
    Tokens,
    /// One yes (1) or no (0) for each run.
    Verdict,
}

impl Unit {
    /// The unit's name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Seconds => "s",
            Self::Count => "count",
            Self::Share => "share",
            Self::Ratio => "ratio",
            Self::PerSecond => "1/s",
            Self::Bytes => "B",
            Self::Dollars => "USD",
            Self::Tokens => "tokens",
            Self::Verdict => "yes or no",
        }
    }
}

/// What a number is called and means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MeasureInfo {
    /// Its name in tables and files. A `*` stands for the name of a service, a task or a store.
    pub name: &'static str,
    /// Its unit.
    pub unit: Unit,
    /// Which way it's better.
    pub better: Better,
    /// What it means.
    pub doc: &'static str,
}

/// Watches a run for a list of measures.
pub struct Watch {
    measures: Vec<Box<dyn Measure>>,
    mask: Mask,
}

impl Watch {
    /// Watches for these.
    pub fn new(measures: Vec<Box<dyn Measure>>) -> Self {
        let mask = measures
            .iter()
            .fold(Mask::NONE, |mask, measure| mask.union(measure.wants()));
        Self { measures, mask }
    }

    /// Writes what was measured.
    pub fn finish(self, end: SimTime) -> Sheet {
        let mut sheet = Sheet::default();
        for measure in self.measures {
            measure.finish(end, &mut sheet);
        }
        sheet
    }
}

impl Observer for Watch {
    fn wants(&self) -> Mask {
        self.mask
    }

    fn batch(&mut self, batch: Batch<'_>) {
        for measure in &mut self.measures {
            measure.batch(batch);
        }
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}

/// All measures of a run.
pub fn standard(_setting: &Setting) -> Vec<Box<dyn Measure>> {
    Vec::new()
}

/// What a number means.
pub fn find(_name: &str) -> Option<MeasureInfo> {
    None
}
