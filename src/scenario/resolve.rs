//! From the language to a [`Plan`]: names become numbers, quantities become laws, and what makes no sense is reported.
//!
//! All problems of a scenario are reported, each at its place. Everything is numbered in the order of names, so that
//! declaring things in another order gives the same plan.
//!
//! A file may have holes, where something couldn't be read. What was declared there counts as declared, with contents that
//! nobody knows: what depends on them isn't checked, and everything else is.

mod agents;
mod batching;
mod budgets;
mod byzantine;
mod caches;
mod causal;
mod central;
mod channels;
mod checks;
mod coordination;
mod doubts;
mod edits;
mod effects;
mod expect;
mod faults;
mod gateways;
mod gossip;
mod hierarchy;
mod journals;
mod knee;
mod laws;
mod ledger;
mod limits;
mod network;
mod operations;
mod policies;
mod primary;
mod quorum;
mod raft;
mod reach;
mod rows;
mod scaling;
mod servers;
mod services;
mod state;
mod steps;
mod team;
mod timeouts;
mod times;
mod voting;
mod work;

pub use expect::{Anything, Expectation, Expected, Kind, Known, Measures, Registry, What};
pub(super) use expect::{answers, expectations};
pub(super) use knee::knee;
pub use knee::{KneeSpec, amount};
pub(super) use scaling::scaling;
pub use scaling::{ScalingPoint, ScalingSpec};

use super::data::DataSets;
use super::language::{self, Until as Ending};
use super::name;
use super::plan::{self, Addresses, Plan};
use super::syntax::{Code, Diagnostic, Diagnostics, Part, Span, Spanned, write};
use crate::kernel::{SimDuration, SimTime};
use crate::network::{NetworkSpec, SiteId};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a scenario is resolved with.
pub(super) struct Resolver<'a, 'd> {
    file: &'a language::Scenario,
    data: &'a mut DataSets<'d>,
    out: &'a mut Diagnostics,
    /// The ids of the entities.
    addresses: Addresses,
    /// Numbers of topics and tasks, in the order of their names.
    topics: BTreeMap<String, u16>,
    tasks: BTreeMap<String, u16>,
    /// For each name of a key, the stores that have it.
    keys: BTreeMap<String, Vec<state::KeyPlace>>,
    stores: Vec<state::StoreShape>,
    /// The coordination groups, by name, and where their members are.
    coordinated: Vec<coordination::Placed>,
    /// The graphs of tasks, by name; `None`: there is something wrong with it.
    graphs: BTreeMap<String, Option<crate::coordination::work::TaskGraph>>,
    /// The topics by which coordination groups engage agents, and the sizes of what agents reply.
    engaged: BTreeMap<u16, u32>,
    /// Copies of keys, of all stores so far.
    copies: u64,
    /// The channels that could be resolved.
    channels: BTreeMap<String, channels::Resolved>,
    /// The services that could be resolved.
    served: BTreeMap<String, Arc<crate::services::ServiceSpec>>,
    network: NetworkSpec,
    /// Whether nothing of the network is unknown.
    network_known: bool,
    until: Option<plan::Until>,
    /// Within steps under a lock whose token updates carry: where it is named.
    fenced: Option<Span>,
    /// Within an `EachRow`: its rows.
    row: Option<rows::Scope>,
    /// Within a guess: where its `Speculate` stands.
    guess: Option<Span>,
}

/// A scenario as it was read.
#[derive(Clone, Copy)]
pub(super) struct File<'a> {
    pub scenario: &'a language::Scenario,
    /// Whether all of it could be read.
    pub whole: bool,
}

/// The plan of a variant. `None`: the file has holes, or there are errors in `out`.
pub(super) fn plan(file: File<'_>, variant: &str, data: &mut DataSets<'_>, out: &mut Diagnostics) -> Option<Plan> {
    let File { scenario: file, whole } = file;
    let until = file.until.get().map(|until| match until.value {
        Ending::At(time) => plan::Until::At(SimTime::ZERO.saturating_add(*time)),
        Ending::AllDone { within } => plan::Until::AllDone {
            within: SimTime::ZERO.saturating_add(*within),
        },
    });
    let mut resolver = Resolver {
        file,
        data,
        out,
        addresses: Addresses::default(),
        topics: BTreeMap::new(),
        tasks: BTreeMap::new(),
        keys: BTreeMap::new(),
        stores: Vec::new(),
        coordinated: Vec::new(),
        graphs: BTreeMap::new(),
        engaged: BTreeMap::new(),
        copies: 0,
        channels: BTreeMap::new(),
        served: BTreeMap::new(),
        network: NetworkSpec::instant(file.sites.0.canonical().map(|(name, _)| name.value.clone())),
        network_known: true,
        until,
        fenced: None,
        row: None,
        guess: None,
    };
    let errors = resolver.out.error_count();
    resolver.check_run();
    resolver.resolve_network();
    let mut services = resolver.services();
    let stores = resolver.stores();
    resolver.place_coordination();
    if !resolver.assign() {
        return None;
    }
    resolver.gateways(&mut services);
    let channels = resolver.channels();
    resolver.engagements();
    resolver.check_work();
    let coordination = resolver.coordination();
    let budgets = resolver.budgets();
    let spenders = resolver.spenders(&budgets);
    let agents = resolver.agents(&spenders);
    let faults = resolver.faults();
    resolver.check_topics();
    resolver.check_received();
    resolver.check_calls();
    resolver.check_operations();
    resolver.check_policies();
    resolver.check_edited();
    resolver.check_channels();
    if resolver.out.error_count() == errors {
        // What is wrong may be why something else has no effect.
        resolver.check_effects();
    }
    if whole && resolver.out.error_count() == errors {
        resolver.check_whole(&faults);
    }
    if !whole || resolver.out.error_count() > errors {
        return None;
    }
    let window = resolver.window_length()?;
    let mut task_names = vec![String::new()];
    task_names.extend(resolver.tasks.keys().cloned());
    Some(Plan {
        name: file.name.get()?.value.clone(),
        variant: variant.to_string(),
        question: file.question.get()?.clone(),
        until: until?,
        drain: *file.drain.get()?,
        warm_up: SimTime::ZERO.saturating_add(file.warm_up.get()?.value),
        network: Arc::new(resolver.network),
        services,
        stores,
        channels,
        coordination,
        presets: Vec::new(),
        agents,
        budgets: budgets::plans(budgets),
        faults: Arc::new(faults),
        task_names,
        topics: resolver.topics.into_keys().collect(),
        window,
    })
}

impl Resolver<'_, '_> {
    fn error(&mut self, code: Code, span: Span, message: impl Into<String>) {
        self.out.push(Diagnostic::error(code, span, message));
    }

    fn warn(&mut self, code: Code, span: Span, message: impl Into<String>) {
        self.out.push(Diagnostic::warning(code, span, message));
    }

    /// The number of a site.
    fn site(&mut self, name: &Spanned<String>) -> Option<SiteId> {
        let sites = &self.file.sites.0;
        if sites.is_empty() {
            // That there are none is a problem of its own.
            return None;
        }
        sites.look_up(name, Code::UnknownSite, "site", self.out)?;
        sites.position(name).map(|at| SiteId(at as u32))
    }

    /// The number of a site, if it is known which is meant.
    fn site_of(&mut self, name: &Part<Spanned<String>>) -> Option<SiteId> {
        self.site(name.get()?)
    }

    /// The numbers of several sites, as written. An empty list is an error.
    fn sites(&mut self, names: &language::Names) -> Option<Vec<SiteId>> {
        let names = names.get()?;
        if names.value.0.is_empty() {
            self.error(
                Code::EmptyGroup,
                names.span,
                "expected at least one site, found an empty list",
            );
            return None;
        }
        let sites: Vec<Option<SiteId>> = names.value.0.iter().map(|name| self.site_of(name)).collect();
        sites.into_iter().collect()
    }

    fn check_run(&mut self) {
        let file = self.file;
        if let Some(version) = file.quorate.get().filter(|version| version.value != 1) {
            let message = format!(
                "this is version {} of the language; this Quorate reads version 1",
                version.value
            );
            self.error(Code::WrongVersion, version.span, message);
        }
        if let Some(name) = file.name.get()
            && let Some(problem) = name::problem(name)
        {
            let message = format!("the folder of results can't have this name: {problem}");
            let near = write::quoted(&name::suggestion(name));
            let problem = Diagnostic::error(Code::BadName, name.span.head(40), message);
            self.out
                .push(problem.replace(format!("write {near}"), name.span, near.clone()));
        }
        if file.sites.0.is_empty() && file.sites.0.is_whole() {
            self.error(Code::EmptyGroup, file.sites.span, "a scenario needs at least one site");
        }
        if let (Some(until), Some(warm_up), Some(end)) = (file.until.get(), file.warm_up.get(), self.end())
            && SimTime::ZERO.saturating_add(warm_up.value) >= end
        {
            let problem = Diagnostic::error(
                Code::AfterTheEnd,
                warm_up.span,
                format!("the warm-up lasts {}, and the run is over at {end}", warm_up.value),
            );
            self.out.push(problem.label(until.span, "the end of the run"));
        }
        self.check_sizes();
        if file.agents.is_empty() && file.agents.is_whole() && file.coordination.is_empty() {
            let place = file.quorate.get().map_or(Span::default(), |version| version.span);
            self.warn(Code::NothingToDo, place, "no agents are declared, so nothing happens");
        }
    }

    /// When the run ends at the latest.
    fn end(&self) -> Option<SimTime> {
        self.until.map(plan::Until::latest)
    }

    /// Refuses what would exhaust memory.
    fn check_sizes(&mut self) {
        let file = self.file;
        let variants = 1 + file.variants.0.iter().count() as u64;
        if let Some(replicates) = file.replicates.get() {
            let runs = variants * u64::from(*replicates.value);
            if runs > plan::MOST_RUNS {
                let message = format!(
                    "{variants} variants of {} replicates are {runs} runs; there are at most {}",
                    *replicates.value,
                    plan::MOST_RUNS
                );
                self.error(Code::TooMany, replicates.span, message);
            }
        }
        let (Some(window), Some(end)) = (file.window.get(), self.end()) else {
            return;
        };
        let windows = end.as_nanos() / window.as_nanos().max(1);
        if windows > plan::MOST_WINDOWS && window.span != Span::default() {
            let message = format!(
                "a run until {end} has {windows} windows of {}; there are at most {}",
                *window.value,
                plan::MOST_WINDOWS
            );
            let least = SimDuration::from_nanos(end.as_nanos().div_ceil(plan::MOST_WINDOWS));
            let problem = Diagnostic::error(Code::TooMany, window.span, message);
            self.out
                .push(problem.help(format!("a `window` of {least} is long enough")));
        }
    }

    /// The length of the windows: one that isn't written down grows with a very long run, by whole seconds.
    fn window_length(&self) -> Option<SimDuration> {
        let (window, end) = (self.file.window.get()?, self.end()?);
        let least = end.as_nanos().div_ceil(plan::MOST_WINDOWS);
        Some(match window.span == Span::default() && least > window.as_nanos() {
            true => SimDuration::from_nanos(least.next_multiple_of(1_000_000_000)),
            false => *window.value,
        })
    }

    /// What only the whole shows. These checks repeat those above in other words; they are the last line.
    fn check_whole(&mut self, faults: &[crate::faults::FaultSpec]) {
        let span = self.file.network.get().map_or(Span::default(), |network| network.span);
        for problem in self.network.problems() {
            self.error(Code::BadNetwork, span, problem.to_string());
        }
        let (cuts, degradations) = (self.network.cuts.len(), self.network.degradations.len());
        for problem in faults.iter().flat_map(|fault| fault.problems(cuts, degradations)) {
            let declared = self
                .file
                .faults
                .canonical()
                .find(|(name, _)| name.value == problem.fault);
            let span = declared.map_or(span, |(name, _)| name.span);
            self.error(Code::BadNetwork, span, problem.to_string());
        }
    }
}
