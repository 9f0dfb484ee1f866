//! The grid of a scenario: every variant over its replicates, in parallel, with results in index order.
//!
//! Replicate `r` of every variant has the same draws (common random numbers), so variants are compared in pairs. Nothing in a
//! cell's result depends on which thread ran it, or on the other cells.

use super::ordered::in_order;
use crate::agents::step::Action;
use crate::check::recording::{Recorder, Recording, RecordingError};
use crate::kernel::{Checkpoint, End, Focus, Handled, Perturbation, Print, SimTime, Ticket};
use crate::measures::editing::EditedText;
use crate::measures::shared_state::{Watched, WatchedStore};
use crate::measures::{self, Setting, Sheet, Watch};
use crate::scenario::Plan;
use crate::scenario::build::{Drain, Extra, Run, RunEnd, build, build_with};
use crate::services::Abandoned;
use crate::world::population::Halt;
use crate::world::record::{Batch, Mask, Observer, What};
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How a grid is run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The seed.
    pub seed: u64,
    /// How many replicates.
    pub replicates: u32,
    /// How many threads; 0: as many as there are processors.
    pub jobs: usize,
    /// The most entries that a run may handle.
    pub max_events: u64,
    /// Whether anything is measured; fingerprints are the same either way.
    pub measured: bool,
    /// A deliberate fault, for the tests of `verify`: the cell, and what is spoilt in it.
    pub perturb: Option<(usize, u32, Perturbation)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            seed: 0,
            replicates: 1,
            jobs: 0,
            max_events: u64::MAX,
            measured: true,
            perturb: None,
        }
    }
}

/// One run of the grid: a variant's replicate.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The variant's place.
    pub variant: usize,
    /// The replicate.
    pub replicate: u32,
    /// Why it ended.
    pub end: End,
    /// The simulated time at the end of what is measured.
    pub now: SimTime,
    /// What came after it.
    pub drain: Drain,
    /// Entries handled.
    pub handled: u64,
    /// The fingerprint.
    pub print: Print,
    /// The fingerprint's checkpoints.
    pub checkpoints: Vec<Checkpoint>,
    /// A problem met at run time.
    pub halt: Option<Halt>,
    /// The name of whoever met it, or whose instant never ends.
    pub culprit: Option<String>,
    /// Breaches of the laws that hold in every run.
    pub breaches: Vec<String>,
    /// What was measured.
    pub sheet: Sheet,
}

impl Cell {
    /// Why it was stopped before its end, and where, if it was.
    pub fn stopped(&self) -> Option<String> {
        let who = self.culprit.as_deref().unwrap_or_default();
        match (&self.halt, self.end) {
            (Some(halt), _) => Some(format!("at {}, {who}, {}: {}", halt.at, halt.place, halt.message)),
            (None, End::Livelock { at, .. }) => Some(format!(
                "at {at}, {who}: this instant never ends, because entities react to each other without any delay"
            )),
            (None, End::EventLimit) => Some(format!(
                "at {}: the limit of {} events was reached",
                self.now, self.handled
            )),
            (None, _) => None,
        }
    }
}

/// What happens while a grid runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// A run ended after so many entries.
    RunDone {
        /// Entries handled.
        handled: u64,
    },
}

/// The grid of these plans.
#[derive(Debug)]
pub struct Grid<'a> {
    plans: &'a [Plan],
    options: Options,
}

/// The grid couldn't be run.
#[derive(Debug, thiserror::Error)]
pub enum GridError {
    /// It was interrupted.
    #[error("interrupted")]
    Interrupted,
    /// The threads couldn't be started.
    #[error("the worker threads can't be started: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

impl<'a> Grid<'a> {
    /// The grid of these plans: the variants of one scenario.
    pub fn new(plans: &'a [Plan], options: Options) -> Self {
        Self { plans, options }
    }

    /// How many runs it has.
    pub fn len(&self) -> usize {
        self.plans.len() * self.options.replicates as usize
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Runs everything. The cells come variant by variant, each replicate by replicate.
    ///
    /// # Errors
    /// If `interrupted` becomes true, or the threads can't be started.
    pub fn run(&self, interrupted: &AtomicBool, progress: &(dyn Fn(Progress) + Sync)) -> Result<Vec<Cell>, GridError> {
        let mut cells = Vec::with_capacity(self.len());
        self.for_each_replicate(interrupted, progress, &mut |of_all| cells.extend(of_all))?;
        cells.sort_by_key(|cell| (cell.variant, cell.replicate));
        Ok(cells)
    }

    /// Runs everything, and hands the cells of each replicate over, variant by variant, in the order of the replicates. Few more
    /// than the cells of one replicate are kept meanwhile.
    ///
    /// # Errors
    /// If `interrupted` becomes true, or the threads can't be started.
    pub fn for_each_replicate(
        &self,
        interrupted: &AtomicBool,
        progress: &(dyn Fn(Progress) + Sync),
        take: &mut dyn FnMut(Vec<Cell>),
    ) -> Result<(), GridError> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.options.jobs).build()?;
        let variants = self.plans.len();
        let work = |index: usize| {
            if interrupted.load(Ordering::Relaxed) {
                return None;
            }
            let (replicate, variant) = ((index / variants) as u32, index % variants);
            let cell = self.run_cell_unless(variant, replicate, interrupted)?;
            progress(Progress::RunDone { handled: cell.handled });
            Some(cell)
        };
        let mut of_one = Vec::with_capacity(variants);
        let whole = in_order(&pool, self.len(), work, |cell| {
            of_one.push(cell);
            if of_one.len() == variants {
                take(std::mem::replace(&mut of_one, Vec::with_capacity(variants)));
            }
        });
        whole.then_some(()).ok_or(GridError::Interrupted)
    }

    /// Runs these replicates of a variant, whatever the options say of how many there are: the cells in their order.
    ///
    /// # Errors
    /// If `interrupted` becomes true, or the threads can't be started.
    pub fn run_replicates(
        &self,
        variant: usize,
        replicates: Range<u32>,
        interrupted: &AtomicBool,
    ) -> Result<Vec<Cell>, GridError> {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(self.options.jobs).build()?;
        let mut cells = Vec::with_capacity(replicates.len());
        let work = |index: usize| {
            let go_on = !interrupted.load(Ordering::Relaxed);
            let replicate = replicates.start + index as u32;
            go_on.then(|| self.run_cell_unless(variant, replicate, interrupted))?
        };
        let whole = in_order(&pool, replicates.len(), work, |cell| cells.push(cell));
        whole.then_some(cells).ok_or(GridError::Interrupted)
    }

    /// Runs one cell.
    pub fn run_cell(&self, variant: usize, replicate: u32) -> Cell {
        self.run_cell_unless(variant, replicate, &AtomicBool::new(false))
            .expect("nobody interrupts")
    }

    /// Runs one cell, unless `interrupted` becomes true meanwhile.
    fn run_cell_unless(&self, variant: usize, replicate: u32, interrupted: &AtomicBool) -> Option<Cell> {
        let plan = &self.plans[variant];
        let watch = self
            .options
            .measured
            .then(|| Watch::new(measures::standard(&setting(plan))));
        let observers = watch.into_iter().map(|watch| Box::new(watch) as _).collect();
        let mut run = build(plan, self.options.seed, replicate as u64, observers);
        if let Some((at, of, spoil)) = self.options.perturb
            && (at, of) == (variant, replicate)
        {
            run.kernel.perturb(spoil);
        }
        let go_on = || !interrupted.load(Ordering::Relaxed);
        let (end, mut world, checkpoints) = run.finish_while(self.options.max_events, &go_on)?;
        let culprit = match (&end.halt, end.end) {
            (Some(halt), _) => Some(halt.entity),
            (None, End::Livelock { target, .. }) => Some(target),
            _ => None,
        };
        let culprit = culprit.map(|entity| world.shared.directory.name(entity));
        let observers = std::mem::take(&mut world.shared.records).into_observers();
        let watches = observers
            .into_iter()
            .filter_map(|observer| observer.into_any().downcast::<Watch>().ok());
        let mut sheet = watches.map(|watch| watch.finish(end.now)).next().unwrap_or_default();
        if !plan.stores.is_empty() {
            write_drain(&mut sheet, end.drain);
        }
        sheet.number("run.breaches", Some(end.breaches.len() as f64));
        sheet.number("run.events", Some(end.handled as f64));
        Some(Cell {
            variant,
            replicate,
            end: end.end,
            now: end.now,
            drain: end.drain,
            handled: end.handled,
            print: end.print,
            checkpoints,
            halt: end.halt,
            culprit,
            breaches: end.breaches,
            sheet,
        })
    }

    /// Runs one cell again and returns the entries with places in `from..to`.
    pub fn witness(&self, variant: usize, replicate: u32, from: u64, to: u64) -> Vec<Handled> {
        let mut run = self.again(variant, replicate, Vec::new(), Focus::Stretch(from, to));
        run.witness(self.options.max_events.min(to));
        run.kernel.witnessed().to_vec()
    }

    /// The causes of an entry that this cell handles, the nearest first, at most `most` of them: each scheduled the one before
    /// it. The run is made again twice for each, so that nothing has to be remembered about all others.
    pub fn causes(&self, variant: usize, replicate: u32, of: &Handled, most: usize) -> Vec<Handled> {
        let mut chain: Vec<Handled> = Vec::new();
        while chain.len() < most {
            let effect = chain.last().unwrap_or(of);
            let place = Ticket {
                rank: effect.origin,
                number: effect.number,
            };
            let hunter: Box<dyn Observer> = Box::new(Hunter { place, cause: None });
            let mut run = self.again(variant, replicate, vec![hunter], Focus::Ticket(place));
            let limit = effect.index;
            run.witness(limit);
            let observers = std::mem::take(&mut run.kernel.model_mut().shared.records).into_observers();
            let mut hunters = observers
                .into_iter()
                .filter_map(|observer| observer.into_any().downcast::<Hunter>().ok());
            // What was scheduled before the run began has no cause in it.
            let Some(cause) = hunters.next().and_then(|hunter| hunter.cause) else {
                break;
            };
            let mut run = self.again(variant, replicate, Vec::new(), Focus::Ticket(cause));
            run.witness(limit);
            match run.kernel.witnessed() {
                [cause] => chain.push(cause.clone()),
                _ => break,
            }
        }
        chain
    }

    /// A cell to be run again, under a witness.
    fn again(&self, variant: usize, replicate: u32, observers: Vec<Box<dyn Observer>>, focus: Focus) -> Run {
        let mut run = build(&self.plans[variant], self.options.seed, replicate as u64, observers);
        run.kernel.witness(focus);
        if let Some((at, of, spoil)) = self.options.perturb
            && (at, of) == (variant, replicate)
        {
            run.kernel.perturb(spoil);
        }
        run
    }
}

/// Looks for the entry that scheduled another.
struct Hunter {
    place: Ticket,
    cause: Option<Ticket>,
}

impl Observer for Hunter {
    fn wants(&self) -> Mask {
        Mask::of(&[What::Caused])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        let wanted = u64::from(self.place.rank) << 32 | u64::from(self.place.number);
        let found = batch
            .records
            .iter()
            // A timer that is put off, or a message that is held up, schedules itself again: that is no cause.
            .rfind(|record| record.what == What::Caused && record.a == wanted && record.entry != self.place);
        self.cause = found.map(|record| record.entry).or(self.cause);
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}

/// One run of a plan with further populations in it, measured as any other.
pub fn measure_with(plan: &Plan, seed: u64, replicate: u64, extras: Vec<Extra<'_>>) -> (RunEnd, Sheet) {
    let mut setting = setting(plan);
    for extra in &extras {
        setting.directory.add(extra.name, extra.count, extra.sites.clone());
    }
    let watch: Box<dyn Observer> = Box::new(Watch::new(measures::standard(&setting)));
    let (end, mut world, _) = build_with(plan, seed, replicate, vec![watch], extras).finish(u64::MAX);
    let observers = std::mem::take(&mut world.shared.records).into_observers();
    let mut watches = observers
        .into_iter()
        .filter_map(|observer| observer.into_any().downcast::<Watch>().ok());
    let mut sheet = watches.next().map(|watch| watch.finish(end.now)).unwrap_or_default();
    if !plan.stores.is_empty() {
        write_drain(&mut sheet, end.drain);
    }
    (end, sheet)
}

/// Runs one cell of a plan for the history of its shared registers, and says how the run ended.
///
/// # Errors
/// If a read returned several values.
pub fn history_of(
    plan: &Plan,
    seed: u64,
    replicate: u32,
    max_events: u64,
) -> Result<(Recording, RunEnd), RecordingError> {
    let recorder: Box<dyn Observer> = Box::new(Recorder::default());
    let (end, mut world, _) = build(plan, seed, u64::from(replicate), vec![recorder]).finish(max_events);
    let observers = std::mem::take(&mut world.shared.records).into_observers();
    let mut recorders = observers
        .into_iter()
        .filter_map(|observer| observer.into_any().downcast::<Recorder>().ok());
    let stores: Vec<_> = plan
        .stores
        .iter()
        .map(|store| (store.name.clone(), store.spec.keys.clone()))
        .collect();
    let recorder = recorders.next().expect("it has watched");
    Ok((recorder.finish(&stores)?, end))
}

fn write_drain(sheet: &mut Sheet, drain: Drain) {
    sheet.number("state.drained", Some(f64::from(u8::from(drain.at_rest))));
    sheet.number("state.drain", Some(drain.took.as_secs_f64()));
}

/// What the measures need to know of a plan.
pub fn setting(plan: &Plan) -> Setting {
    let addresses = plan.addresses();
    let services = plan.services.iter().zip(&addresses.services);
    let stores = plan.stores.iter().zip(&addresses.stores);
    let limit = |spec: &crate::services::ServiceSpec| {
        let rate = spec.limit.map(|limit| limit.count as f64 / limit.period.as_secs_f64());
        (
            rate,
            [spec.price_per_call, spec.price_per_token_in, spec.price_per_token_out],
        )
    };
    Setting {
        services: services.map(|(service, id)| (*id, service.name.clone())).collect(),
        stores: stores
            .map(|(store, id)| (*id, store.sites.len() as u32, store.name.clone()))
            .collect(),
        faults: plan
            .faults
            .iter()
            .map(|fault| {
                let partition = matches!(fault.kind, crate::faults::FaultKind::Partition { .. });
                (fault.name.clone(), partition)
            })
            .collect(),
        settled: plan
            .agents
            .iter()
            .filter(|group| !group.is_stream)
            .map(|group| group.name.clone())
            .collect(),
        surges: plan
            .agents
            .iter()
            .flat_map(|group| {
                let surges = match &group.arrivals {
                    crate::agents::Arrivals::Rates(demand) => demand.surges(),
                    _ => Vec::new(),
                };
                surges.into_iter().map(|(begin, end)| (group.name.clone(), begin, end))
            })
            .collect(),
        ticks: plan
            .agents
            .iter()
            .filter_map(|group| match group.arrivals {
                crate::agents::Arrivals::Ticks { first, every, times } => {
                    Some((group.name.clone(), first, every, times))
                }
                _ => None,
            })
            .collect(),
        targets: plan
            .faults
            .iter()
            .map(|fault| fault.targets.iter().map(|target| target.name.clone()).collect())
            .collect(),
        servers: plan.services.iter().map(|service| service.spec.servers).collect(),
        reasons: plan.services.iter().map(|service| service.spec.has_reasons()).collect(),
        guarded: plan.services.iter().map(|service| service.spec.is_guarded()).collect(),
        batching: plan
            .services
            .iter()
            .map(|service| service.spec.batching.map(|batching| batching.kv))
            .collect(),
        channels: plan
            .channels
            .iter()
            .zip(&addresses.channels)
            .map(|(channel, id)| measures::channels::Watched {
                entity: *id,
                name: channel.name.clone(),
                spec: std::sync::Arc::clone(&channel.spec),
            })
            .collect(),
        state: watched(plan, &addresses.stores),
        edited: edited(plan, &addresses.stores),
        replays: plan.agents.iter().any(|group| !group.program.replays.is_empty()),
        pursues: pursues(plan),
        budgets: budgets(plan),
        coordination: coordinated(plan, &addresses.coordination),
        limits: plan.services.iter().map(|service| limit(&service.spec)).collect(),
        warm_up: plan.warm_up,
        window: plan.window,
        horizon: plan.until.latest(),
        task_names: plan.task_names.clone(),
        directory: addresses.into_directory(),
    }
}

/// Whether clients do more about slow, refused and lost calls than timeouts and retries, or servers discard requests.
fn pursues(plan: &Plan) -> bool {
    let groups = plan.agents.iter();
    let mut policies = groups.clone().flat_map(|group| &group.policies);
    let mut asks = groups.clone().flat_map(|group| &group.program.asks);
    let mut calls = groups.flat_map(|group| &group.program.calls);
    policies.any(|policy| policy.resilience.is_some())
        || asks.any(|(_, _, propagates)| *propagates)
        || calls.any(|call| call.aim.is_some())
        || plan
            .services
            .iter()
            .any(|service| service.spec.abandoned != Abandoned::Serve)
}

/// The budgets of agents.
fn budgets(plan: &Plan) -> Vec<measures::budget::Watched> {
    let watched = |budget: &crate::scenario::plan::BudgetPlan| measures::budget::Watched {
        name: budget.name.clone(),
        per: budget.budget.per,
        allowed: budget.budget.allowed,
        groups: budget.groups.iter().map(|group| plan.directory_group(*group)).collect(),
    };
    plan.budgets.iter().map(watched).collect()
}

/// The coordination groups, whose first members are these entities.
fn coordinated(plan: &Plan, firsts: &[u32]) -> Vec<measures::coordination::Watched> {
    let watched = |(group, first): (&crate::coordination::CoordinationSpec, &u32)| measures::coordination::Watched {
        first: *first,
        count: group.sites.len() as u32,
        name: group.group.name.clone(),
        pattern: group.protocol.info().name,
        kinds: group.protocol.kinds(),
        period: group.protocol.period(),
        work: group.protocol.work().map(|graph| Arc::new(graph.clone())),
        hierarchy: match &group.protocol {
            crate::coordination::Protocol::Hierarchy(rules) => Some(Arc::new(rules.as_ref().clone())),
            _ => None,
        },
    };
    plan.coordination.iter().zip(firsts).map(watched).collect()
}

/// The texts that recorded sessions edit.
fn edited(plan: &Plan, bases: &[u32]) -> Vec<EditedText> {
    let mut all = Vec::new();
    for group in &plan.agents {
        for operation in &group.program.operations {
            let Action::Edit(edit) = operation.action else { continue };
            let store = usize::from(operation.store);
            all.push(EditedText {
                key: (store as u32, operation.keys.first),
                replicas: (bases[store]..).take(plan.stores[store].sites.len()).collect(),
                session: Arc::clone(&group.program.edits[edit as usize].0.session),
            });
        }
    }
    all
}

/// What is watched of shared state.
fn watched(plan: &Plan, bases: &[u32]) -> Option<Watched> {
    use crate::faults::{FaultKind, Keep};
    use crate::stores::Protocol;
    let stores = plan.stores.iter().zip(bases);
    let stores: Vec<_> = stores
        .enumerate()
        .map(|(place, (store, base))| WatchedStore {
            is_kept: plan
                .agents
                .iter()
                .any(|group| group.caches.get(place).is_some_and(Option::is_some)),
            blind: !plan
                .agents
                .iter()
                .flat_map(|group| &group.program.operations)
                .any(|step| {
                    step.store as usize == place && (step.carries_context || matches!(step.action, Action::Edit(_)))
                }),
            ..WatchedStore::new(&store.model, &store.spec, *base)
        })
        .collect();
    let of_cuts = plan
        .faults
        .iter()
        .zip(0u32..)
        .filter(|(fault, _)| matches!(fault.kind, FaultKind::Partition { .. }));
    let loses = |kind: &FaultKind| matches!(kind, FaultKind::Crash { keep: Keep::Nothing });
    let mut policies = plan.agents.iter().flat_map(|group| &group.policies);
    let mut classes = plan.network.classes.iter();
    // Whoever crashes may do something again that was done before.
    let crashes = |kind: &FaultKind| matches!(kind, FaultKind::Crash { .. });
    let each_once = !plan.faults.iter().any(|fault| crashes(&fault.kind))
        && policies.all(|policy| policy.attempts == Some(1))
        && classes.all(|class| class.duplication == 0.0)
        && plan
            .stores
            .iter()
            .all(|store| matches!(store.spec.protocol, Protocol::Alone));
    (!stores.is_empty()).then(|| Watched {
        stores,
        cuts: of_cuts.map(|(_, index)| index).collect(),
        may_lose_state: plan.faults.iter().any(|fault| loses(&fault.kind))
            || plan.stores.iter().any(|store| store.spec.primary().is_some()),
        each_once,
        from: plan.warm_up,
    })
}
