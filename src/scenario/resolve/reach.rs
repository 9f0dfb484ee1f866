//! Which services requests get to: those that calls name, those behind them, and those that are asked in their stead.

use super::Resolver;
use crate::scenario::language::budgets::Spent;
use crate::scenario::language::meshes::outbound;
use crate::scenario::language::{Group, Step as Written};
use crate::scenario::syntax::{Part, Spanned};
use std::collections::{BTreeMap, BTreeSet};

/// What is known of the requests that get to a service.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked<'s> {
    /// Who makes them.
    pub groups: BTreeSet<&'s str>,
    /// Whether one says what it is about.
    pub about: bool,
    /// Whether one says how many tokens it has, by itself or by a gateway that has said so.
    pub tokens: bool,
    /// Whether one is cancelled, or has a deadline.
    pub given_up: bool,
}

/// What of a request goes on with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Says {
    about: bool,
    tokens: bool,
    given_up: bool,
}

impl<'s> Resolver<'s, '_> {
    /// The services that a request to this one may be passed on to, or is sent to instead.
    fn next(&self, name: &str) -> Vec<&'s str> {
        let file = self.file;
        let mut next = Vec::new();
        let service = file.services.known_value(name);
        if let Some(to) = service
            .and_then(|service| service.forwards.given())
            .and_then(|passes| passes.value.to.get())
        {
            next.extend(to.value.0.iter().filter_map(Part::get).map(|name| name.value.as_str()));
        }
        for (_, budget) in file.budgets.known() {
            if let Some(Spent::Degrade(cheaper)) = budget.value.then.get().map(|then| &then.value)
                && let Some(to) = cheaper.known_value(name)
            {
                next.push(&to.value);
            }
        }
        next
    }

    /// The services that a call of this name asks: itself, or a route's proxies. None, if there is no such service.
    fn called_so(&self, name: &str) -> Vec<&'s str> {
        let file = self.file;
        let places: Vec<usize> = match file.is_route(name) {
            false => file.services.position(name).into_iter().collect(),
            true => {
                let sites = file.sites.0.canonical();
                sites
                    .filter_map(|(site, _)| file.services.position(&outbound(name, site)))
                    .collect()
            }
        };
        let services = places.into_iter().filter_map(|at| file.services.at(at));
        services.map(|(name, _)| name.value.as_str()).collect()
    }

    /// All services that a call of this one may get to. None, if there is no such service.
    pub(super) fn reached(&self, name: &str) -> BTreeSet<&'s str> {
        let (mut seen, mut open) = (BTreeSet::new(), self.called_so(name));
        while let Some(here) = open.pop() {
            if seen.insert(here) {
                open.extend(self.next(here));
            }
        }
        seen
    }

    /// What is known of the requests to each service; `None` where some of those who ask couldn't be read.
    pub(super) fn asked(&self) -> Option<BTreeMap<&'s str, Asked<'s>>> {
        let file = self.file;
        let readable = file.agents.canonical().all(|(_, group)| group.get().is_some())
            && file.services.canonical().all(|(_, service)| service.get().is_some());
        let mut known = readable && file.agents.is_whole() && file.services.is_whole() && file.policies.is_whole();
        let mut all: BTreeMap<&str, Asked<'_>> = BTreeMap::new();
        let inherits = self.deadlines_are_inherited();
        for (name, group) in file.agents.known() {
            let mut calls: Vec<(&str, Says)> = Vec::new();
            known &= group.each_step(&mut |step| {
                let Written::Call {
                    service,
                    policy,
                    tokens,
                    about,
                    ..
                } = &step.value
                else {
                    return;
                };
                let says = Says {
                    about: about.given().is_some(),
                    tokens: tokens.given().is_some(),
                    given_up: inherits || self.gives_up(policy),
                };
                let named = service.get().into_iter().flat_map(|names| &names.value.0);
                calls.extend(named.filter_map(Part::get).map(|name| (name.value.as_str(), says)));
            });
            calls.extend(log_of(group).map(|log| (log, Says::default())));
            for (service, says) in calls {
                self.follow(&name.value, self.called_so(service), says, &mut all);
            }
        }
        known.then_some(all)
    }

    /// Whether a client by this policy cancels, or says a deadline.
    fn gives_up(&self, policy: &Part<Option<Spanned<String>>>) -> bool {
        let policy = policy.given().and_then(|policy| self.file.policies.known_value(policy));
        policy.is_some_and(|policy| {
            policy.deadline.given().is_some()
                || policy.cancels.get().is_none_or(|cancels| cancels.value)
                || policy.hedge.given().is_some_and(|hedge| hedge.value.tied)
        })
    }

    /// Whether calls may have the deadline of something around them.
    fn deadlines_are_inherited(&self) -> bool {
        let mut found = false;
        for (_, group) in self.file.agents.known() {
            group.each_step(&mut |step| {
                if let Written::Ask { propagate, .. } = &step.value {
                    found |= propagate.get().is_none_or(|propagate| propagate.value);
                }
            });
        }
        found
    }

    /// Notes a group's request wherever it gets to.
    fn follow(&self, group: &'s str, first: Vec<&'s str>, says: Says, all: &mut BTreeMap<&'s str, Asked<'s>>) {
        let mut seen: BTreeSet<(&str, Says)> = BTreeSet::new();
        let mut open: Vec<(&str, Says)> = first.into_iter().map(|name| (name, says)).collect();
        while let Some((here, mut says)) = open.pop() {
            if !seen.insert((here, says)) {
                continue;
            }
            let asked = all.entry(here).or_default();
            asked.groups.insert(group);
            asked.about |= says.about;
            asked.tokens |= says.tokens;
            asked.given_up |= says.given_up;
            if let Some(service) = self.file.services.known_value(here) {
                says.tokens |= service.tokens.given().is_some();
                let passes = service.forwards.given();
                says.given_up |= passes.is_some_and(|passes| self.gives_up(&passes.value.policy));
            }
            open.extend(self.next(here).into_iter().map(|name| (name, says)));
        }
    }
}

/// The service that keeps a group's log.
fn log_of(group: &Group) -> Option<&str> {
    let journal = group.journal.given()?;
    Some(journal.value.log.get()?.value.as_str())
}
