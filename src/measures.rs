//! Floor 4: measures: observers of records that say what a design costs.
//!
//! A measure reads batches of records, and at the end of a run writes numbers, series, samples and rows into a [`Sheet`]. What
//! every number means stands in the registry ([`infos`]): tables, the data dictionary and the checks of expectations come from it.
//!
//! - [`tasks`]: how long tasks take, and where their time goes: the latency trap.
//! - [`herd`]: calls, attempts, refusals, queues, recovery: the thundering herd.
//! - [`channels`]: what becomes of messages in topics, queues and logs.
//! - [`clients`]: what clients do about slow, refused and lost calls: throttles, breakers, hedges, cancellations.
//! - [`coordination`]: what decisions cost in messages and time, and how long groups are without a leader.
//! - `hierarchy`: who decides how much in a hierarchy, what its root knows, what cuts and crashes cost.
//! - `dissemination`, `membership` and `causal_broadcast`: whom gossip reaches, how soon crashes are found out, how long events are held back.
//! - `waiting`: who waits for whom at the end, and who is deadlocked.
//! - [`editing`]: whether texts end as recorded.
//! - [`fairness`]: how evenly calls are answered, and the load that arrives over that which was meant.
//! - [`journal`]: what is written to logs of events and read from them, and how long it takes to rebuild an agent.
//! - [`gateways`]: what gateways ask of others, and how that goes;
//! - [`locks`]: how long locks are waited for and held, and what is done under those that are over.
//! - [`replay`]: what becomes of recorded runs.
//! - [`traffic`]: messages and bytes, the end of the run, the intervals of faults.
//! - [`invariants`]: the counts that have to be zero where a scenario says `Always`.
//! - [`work`]: jobs that go through graphs of tasks, and what giving out their tasks costs.
//! - [`windows`]: counts and levels in windows of time, which the others use.

pub mod budget;
mod caching;
mod causal_broadcast;
pub mod channels;
pub mod clients;
pub mod coordination;
mod dissemination;
pub mod editing;
pub mod fairness;
pub mod gateways;
pub mod herd;
mod hierarchy;
pub mod inference;
pub mod invariants;
pub mod journal;
pub mod locks;
mod membership;
mod ordering;
pub mod redone;
pub mod registry;
pub mod replay;
pub mod shared_state;
pub mod sheet;
pub mod state;
pub mod tasks;
pub mod traffic;
mod waiting;
pub mod windows;
pub mod work;

pub use invariants::{INVARIANTS, Invariant};
pub use registry::{find, infos, suggest};
pub use sheet::{FaultSpan, Sample, Series, Sheet, TaskOutcome, TaskRow};

use crate::kernel::{SimDuration, SimTime};
use crate::world::population::Directory;
use crate::world::record::{Batch, Mask, Observer};
use std::sync::Arc;

/// What a measure needs to know of the run that it watches.
#[derive(Debug, Clone)]
pub struct Setting {
    /// Who is where, and is called what.
    pub directory: Directory,
    /// What begins before this time isn't measured.
    pub warm_up: SimTime,
    /// The length of the windows in which rates over time are measured.
    pub window: SimDuration,
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
    /// The groups whose agents stay: those of a fixed number.
    pub settled: Vec<String>,
    /// The stretches of raised demand: the group that arrives, and from when to when; `None`: it stays raised.
    pub surges: Vec<(String, SimTime, Option<SimTime>)>,
    /// The groups that start at ticks: the first, the time between two, and how many; `None`: as long as the run.
    pub ticks: Vec<(String, SimTime, SimDuration, Option<u32>)>,
    /// For each fault: the names of its targets.
    pub targets: Vec<Vec<String>>,
    /// For each service, its rate limit in requests per second, and its price list in nano-dollars (call, token in, token out).
    pub limits: Vec<(Option<f64>, [u64; 3])>,
    /// For each service, how many requests it works on at once; `None`: any number.
    pub servers: Vec<Option<u32>>,
    /// For each service, whether it may refuse for more reasons than a rate limit, a full queue and a spent budget.
    pub reasons: Vec<bool>,
    /// For each service, whether it is a gateway that throttles, hedges or limits its retries.
    pub guarded: Vec<bool>,
    /// For each service, how many tokens its cache of keys and values holds, if it is an inference endpoint.
    pub batching: Vec<Option<u64>>,
    /// The channels.
    pub channels: Vec<channels::Watched>,
    /// What is watched of shared state, if there is any.
    pub state: Option<shared_state::Watched>,
    /// The texts that recorded sessions edit.
    pub edited: Vec<editing::EditedText>,
    /// Whether agents replay recorded runs.
    pub replays: bool,
    /// Whether clients do more about slow, refused and lost calls than timeouts and retries, or servers discard requests.
    pub pursues: bool,
    /// The budgets of agents.
    pub budgets: Vec<budget::Watched>,
    /// The coordination groups.
    pub coordination: Vec<coordination::Watched>,
}

/// How much is kept of what was measured, and how long a trigger's aftermath is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// How many tasks of a run are listed at most.
    pub rows: usize,
    /// How many observations of a distribution are written at most.
    pub sample: usize,
    /// How long after the end of the last fault the verdict on metastability is given; `None`: at the end of the run.
    pub recovery_horizon: Option<SimDuration>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rows: 100_000,
            sample: 2_000,
            recovery_horizon: None,
        }
    }
}

/// All measures, for a run.
pub fn standard(setting: &Setting) -> Vec<Box<dyn Measure>> {
    standard_with(setting, Options::default())
}

/// All measures, for a run, that keep as much as told.
pub fn standard_with(setting: &Setting, options: Options) -> Vec<Box<dyn Measure>> {
    let setting = Arc::new(setting.clone());
    let mut all: Vec<Box<dyn Measure>> = vec![
        Box::new(tasks::Tasks::new(Arc::clone(&setting), options)),
        Box::new(herd::Herd::new(Arc::clone(&setting), options)),
        Box::new(fairness::Fairness::new(Arc::clone(&setting))),
        Box::new(traffic::Traffic::new(Arc::clone(&setting))),
        Box::new(journal::Journals::new(Arc::clone(&setting))),
        Box::new(waiting::Waiting::new(Arc::clone(&setting))),
        Box::new(locks::Locks::new(Arc::clone(&setting))),
        Box::new(redone::Redone::new(Arc::clone(&setting))),
        Box::new(gateways::Gateways::new(Arc::clone(&setting))),
    ];
    if !setting.channels.is_empty() {
        all.push(Box::new(channels::Channels::new(&setting, options.sample)));
    }
    if setting.pursues {
        all.push(Box::new(clients::Clients::new(Arc::clone(&setting))));
    }
    let replays = setting.replays.then(|| replay::Replays::from(setting.warm_up));
    if let Some(watched) = &setting.state {
        let shared = state::SharedState::new(watched, setting.window, options.sample);
        all.push(Box::new(shared.with(replays)));
        all.push(Box::new(ordering::Ordering::new(Arc::clone(&setting))));
        all.push(Box::new(caching::Caching::new(Arc::clone(&setting))));
    } else if let Some(replays) = replays {
        all.push(Box::new(replays));
    }
    if setting.batching.iter().any(Option::is_some) {
        all.push(Box::new(inference::Inference::new(Arc::clone(&setting))));
    }
    if !setting.budgets.is_empty() {
        all.push(Box::new(budget::Budgets::new(Arc::clone(&setting))));
    }
    if !setting.coordination.is_empty() {
        all.push(Box::new(coordination::Coordination::new(Arc::clone(&setting), options)));
        all.extend(boxed(dissemination::Dissemination::of(&setting, options)));
        all.extend(boxed(membership::Membership::of(&setting, options)));
        all.extend(boxed(causal_broadcast::CausalBroadcast::of(&setting, options)));
        all.extend(boxed(hierarchy::Hierarchies::of(&setting, options)));
        if setting.coordination.iter().any(|group| group.work.is_some()) {
            all.push(Box::new(work::Works::new(Arc::clone(&setting), options)));
        }
    }
    if !setting.edited.is_empty() {
        all.push(Box::new(editing::Editing::new(&setting)));
    }
    all
}

fn boxed(measure: Option<impl Measure + 'static>) -> Option<Box<dyn Measure>> {
    Some(Box::new(measure?))
}

/// Something measured in a run.
pub trait Measure: Send {
    /// What it wants to see.
    fn wants(&self) -> Mask;
    /// The next records.
    fn batch(&mut self, batch: Batch<'_>);
    /// The measured time is over. Whether it wants to see the records of the drain as well.
    fn measured_until(&mut self, _end: SimTime) -> bool {
        false
    }
    /// Writes what was measured until `end`, which is the end of the measured time.
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

/// The groups of the directory that are services: whose service an entity is.
#[derive(Debug, Clone)]
pub(crate) struct ServiceIndex {
    of_group: Vec<u16>,
}

impl ServiceIndex {
    /// No service.
    pub(crate) const NONE: u16 = u16::MAX;

    pub(crate) fn new(setting: &Setting) -> Self {
        let mut of_group = vec![Self::NONE; setting.directory.groups().len()];
        for ((entity, _), index) in setting.services.iter().zip(0u16..) {
            of_group[setting.directory.locate(*entity).0 as usize] = index;
        }
        Self { of_group }
    }

    /// The number of the service that an entity is.
    #[inline]
    pub(crate) fn of(&self, setting: &Setting, entity: u32) -> Option<usize> {
        let (group, _) = setting.directory.locate(entity);
        let index = *self.of_group.get(group as usize)?;
        (index != Self::NONE).then_some(index as usize)
    }
}

/// Watches a run for a list of measures.
pub struct Watch {
    /// The measures, and what each still wants to see.
    measures: Vec<(Box<dyn Measure>, Mask)>,
    mask: Mask,
}

impl Watch {
    /// Watches for these.
    pub fn new(measures: Vec<Box<dyn Measure>>) -> Self {
        let mask = measures
            .iter()
            .fold(Mask::NONE, |mask, measure| mask.union(measure.wants()));
        let measures = measures.into_iter().map(|measure| {
            let wants = measure.wants();
            (measure, wants)
        });
        Self {
            measures: measures.collect(),
            mask,
        }
    }

    /// Writes what was measured until `end`, the end of the measured time.
    pub fn finish(self, end: SimTime) -> Sheet {
        let mut sheet = Sheet::default();
        for (measure, _) in self.measures {
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
        for (measure, _) in self.measures.iter_mut().filter(|(_, wants)| batch.kinds.meets(*wants)) {
            measure.batch(batch);
        }
    }

    fn measured_until(&mut self, end: SimTime) {
        for (measure, wants) in &mut self.measures {
            if !measure.measured_until(end) {
                *wants = Mask::NONE;
            }
        }
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}

/// An observer that somebody else holds on to, to read its results once the run is over.
impl<O: Observer + 'static> Observer for Arc<std::sync::Mutex<O>> {
    fn wants(&self) -> Mask {
        self.lock().unwrap_or_else(std::sync::PoisonError::into_inner).wants()
    }

    fn batch(&mut self, batch: Batch<'_>) {
        self.lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .batch(batch);
    }

    fn measured_until(&mut self, end: SimTime) {
        self.lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .measured_until(end);
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}
