//! From the language to a [`Plan`]: names become numbers, quantities become laws, and what makes no sense is reported.
//!
//! All problems of a scenario are reported, each at its place. Everything is numbered in the order of names, so that
//! declaring things in another order gives the same plan.

mod agents;
mod checks;
mod expect;
mod faults;
mod laws;
mod network;
mod services;
mod state;
mod steps;

pub(super) use expect::expectations;
pub use expect::{Anything, Expectation, Expected, Kind, Known, Measures, Registry, What};

use super::data::DataSets;
use super::language::{self, Until as Ending};
use super::plan::{self, Addresses, Plan};
use super::syntax::{Code, Diagnostic, Diagnostics, Span, Spanned};
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
    /// Copies of keys, of all stores so far.
    copies: u64,
    network: NetworkSpec,
    until: plan::Until,
}

/// The plan of a variant. `None`: there are errors in `out`.
pub fn plan(file: &language::Scenario, variant: &str, data: &mut DataSets<'_>, out: &mut Diagnostics) -> Option<Plan> {
    let until = match file.until.value {
        Ending::At(time) => plan::Until::At(SimTime::ZERO.saturating_add(*time)),
        Ending::AllDone { within } => plan::Until::AllDone {
            within: SimTime::ZERO.saturating_add(*within),
        },
    };
    let mut resolver = Resolver {
        file,
        data,
        out,
        addresses: Addresses::default(),
        topics: BTreeMap::new(),
        tasks: BTreeMap::new(),
        keys: BTreeMap::new(),
        stores: Vec::new(),
        copies: 0,
        network: NetworkSpec::instant(file.sites.0.canonical().map(|(name, _)| name.value.clone())),
        until,
    };
    let errors = resolver.out.error_count();
    resolver.check_run();
    resolver.resolve_network();
    let services = resolver.services();
    let stores = resolver.stores();
    if !resolver.assign() {
        return None;
    }
    let agents = resolver.agents();
    let faults = resolver.faults();
    resolver.check_topics();
    resolver.check_calls();
    if resolver.out.error_count() == errors {
        resolver.check_whole(&faults);
    }
    if resolver.out.error_count() > errors {
        return None;
    }
    let mut task_names = vec![String::new()];
    task_names.extend(resolver.tasks.keys().cloned());
    Some(Plan {
        name: file.name.value.clone(),
        variant: variant.to_string(),
        question: file.question.clone(),
        until,
        drain: file.drain,
        warm_up: SimTime::ZERO.saturating_add(file.warm_up.value),
        network: Arc::new(resolver.network),
        services,
        stores,
        agents,
        faults: Arc::new(faults),
        task_names,
        topics: resolver.topics.into_keys().collect(),
        window: *file.window.value,
    })
}

impl Resolver<'_, '_> {
    fn error(&mut self, code: Code, span: super::syntax::Span, message: impl Into<String>) {
        self.out.push(Diagnostic::error(code, span, message));
    }

    fn warn(&mut self, code: Code, span: super::syntax::Span, message: impl Into<String>) {
        self.out.push(Diagnostic::warning(code, span, message));
    }

    /// The number of a site.
    fn site(&mut self, name: &Spanned<String>) -> Option<SiteId> {
        let sites = &self.file.sites.0;
        sites.look_up(name, Code::UnknownSite, "site", self.out)?;
        sites.position(name).map(|at| SiteId(at as u32))
    }

    /// The numbers of several sites, as written. An empty list is an error.
    fn sites(&mut self, names: &Spanned<super::syntax::OneOrMany<Spanned<String>>>) -> Option<Vec<SiteId>> {
        if names.value.0.is_empty() {
            self.error(
                Code::EmptyGroup,
                names.span,
                "expected at least one site, found an empty list",
            );
            return None;
        }
        let sites: Vec<Option<SiteId>> = names.value.0.iter().map(|name| self.site(name)).collect();
        sites.into_iter().collect()
    }

    fn check_run(&mut self) {
        let file = self.file;
        if file.quorate.value != 1 {
            let message = format!(
                "this is version {} of the language; this Quorate reads version 1",
                file.quorate.value
            );
            self.error(Code::WrongVersion, file.quorate.span, message);
        }
        if file.name.trim().is_empty() || file.name.contains(['/', '\\', '\0']) || file.name.starts_with('.') {
            let message = "a scenario's name is also that of its folder of results: it isn't empty, and has no slashes and no dot in front";
            self.error(Code::BadName, file.name.span, message);
        }
        if file.sites.0.is_empty() {
            self.error(Code::EmptyGroup, file.sites.span, "a scenario needs at least one site");
        }
        let end = self.until.latest();
        if SimTime::ZERO.saturating_add(file.warm_up.value) >= end {
            let problem = Diagnostic::error(
                Code::AfterTheEnd,
                file.warm_up.span,
                format!("the warm-up lasts {}, and the run is over at {end}", file.warm_up.value),
            );
            self.out.push(problem.label(file.until.span, "the end of the run"));
        }
        self.check_sizes(end);
        if file.agents.is_empty() {
            self.warn(
                Code::NothingToDo,
                file.quorate.span,
                "no agents are declared, so nothing happens",
            );
        }
    }

    /// Refuses what would exhaust memory.
    fn check_sizes(&mut self, end: SimTime) {
        let file = self.file;
        let variants = 1 + file.variants.len() as u64;
        let runs = variants * u64::from(*file.replicates.value);
        if runs > plan::MOST_RUNS {
            let message = format!(
                "{variants} variants of {} replicates are {runs} runs; there are at most {}",
                *file.replicates.value,
                plan::MOST_RUNS
            );
            self.error(Code::TooMany, file.replicates.span, message);
        }
        let window = *file.window.value;
        if end.as_nanos() / window.as_nanos().max(1) > plan::MOST_WINDOWS {
            // A window that isn't written down has no place of its own.
            let span = match file.window.span == Span::default() {
                true => file.until.span,
                false => file.window.span,
            };
            let message = format!(
                "a run until {end} has {} windows of {window}; there are at most {}",
                end.as_nanos() / window.as_nanos().max(1),
                plan::MOST_WINDOWS
            );
            let least = SimDuration::from_nanos(end.as_nanos().div_ceil(plan::MOST_WINDOWS));
            let problem = Diagnostic::error(Code::TooMany, span, message);
            self.out
                .push(problem.help(format!("a `window` of {least} is long enough")));
        }
    }

    /// What only the whole shows. These checks repeat those above in other words; they are the last line.
    fn check_whole(&mut self, faults: &[crate::faults::FaultSpec]) {
        let span = self.file.network.span;
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
