//! Who waits for ever where messages are lost.

use super::Resolver;
use crate::agents::step::ReplicaChoice;
use crate::network::SiteId;
use crate::scenario::language::steps::Replica;
use crate::scenario::language::{Group, Service, Step as Written};
use crate::scenario::syntax::{Code, Diagnostic, Part, Span, Spanned, write};
use std::collections::BTreeSet;

/// What an operation on shared state says of whom it asks.
struct Asked<'s> {
    key: &'s Part<Spanned<String>>,
    store: &'s Part<Option<Spanned<String>>>,
    replica: Option<&'s Part<Option<Replica>>>,
    policy: &'s Part<Option<Spanned<String>>>,
}

/// What a step on shared state says of whom it asks; `None` of other steps.
fn asked(step: &Written) -> Option<Asked<'_>> {
    macro_rules! asked {
        ($($operation:ident)*) => {
            match step {
                $(Written::$operation { key, store, replica, policy, .. } => {
                    let replica = Some(replica);
                    Some(Asked { key, store, replica, policy })
                })*
                // Whoever replays a session has a replica of its own.
                Written::Edit { key, store, policy, .. } => {
                    let replica = None;
                    Some(Asked { key, store, replica, policy })
                }
                _ => None,
            }
        };
    }
    asked!(Read When Write Add Insert Remove Put Increase Drop InsertText DeleteText Update CompareAndSwap)
}

impl Resolver<'_, '_> {
    /// Warns of an operation on shared state without a timeout whose request or answer may be lost. Once for each group, store and
    /// policy.
    pub(super) fn check_operations(&mut self) {
        let file = self.file;
        if self.is_lossless() {
            return;
        }
        for (_, group) in file.agents.known() {
            let mut seen: BTreeSet<(usize, Option<&str>)> = BTreeSet::new();
            let mut problems = Vec::new();
            group.each_step(&mut |step| {
                let Some(asked) = asked(&step.value) else { return };
                let (Some(key), Some(named), Some(policy)) = (asked.key.get(), asked.store.get(), asked.policy.get())
                else {
                    return;
                };
                let policy = policy.as_ref();
                if !self.waits_for_ever(policy) {
                    return;
                }
                let store = match named {
                    Some(store) => file.state.position(store),
                    None => self
                        .keys
                        .get(&key.value)
                        .and_then(|places| places.first())
                        .map(|place| usize::from(place.store)),
                };
                let Some(store) = store else { return };
                if !seen.insert((store, policy.map(|policy| policy.value.as_str()))) {
                    return;
                }
                let is_lossy = sites_of(group).any(|name| {
                    let Some(here) = self.place(name) else { return false };
                    let whom = self.whom(store, asked.replica, here);
                    whom.into_iter().any(|there| self.loses_between(here, there))
                });
                if is_lossy {
                    let span = policy.map_or(key.span, |policy| policy.span);
                    problems.push((
                        format!("operations on {}", write::quoted(&self.stores[store].name)),
                        span,
                    ));
                }
            });
            for (what, span) in problems {
                self.warn_of_waiting(&what, span);
            }
        }
    }

    /// The sites of the replicas that an agent at a site may ask.
    fn whom(&self, store: usize, replica: Option<&Part<Option<Replica>>>, here: SiteId) -> Vec<SiteId> {
        let sites = &self.stores[store].sites;
        let nearest = || {
            let distance = |site: &SiteId| self.distance(here, *site);
            let near = sites.iter().copied();
            near.min_by(|a, b| distance(a).total_cmp(&distance(b)))
        };
        match replica.map(|replica| replica.get()) {
            Some(Some(Some(Replica::Random))) => sites.clone(),
            Some(Some(Some(Replica::At(site)))) => self.place(site).into_iter().collect(),
            Some(Some(None)) if self.store_choice(store as u16) == Some(ReplicaChoice::Random) => sites.clone(),
            Some(None) => Vec::new(),
            Some(Some(_)) | None => nearest().into_iter().collect(),
        }
    }

    /// Warns of calls of a service without a timeout whose request or answer may be lost.
    pub(super) fn check_timeout(
        &mut self,
        group: &Group,
        called: &Service,
        service: &Spanned<String>,
        policy: Option<&Spanned<String>>,
    ) {
        if !self.waits_for_ever(policy) || self.is_lossless() {
            return;
        }
        let Some(there) = called.at.get().and_then(|site| self.place(site)) else {
            return;
        };
        let lossy = sites_of(group)
            .filter_map(|site| self.place(site))
            .any(|here| self.loses_between(here, there));
        if lossy {
            let what = format!("calls of {}", write::quoted(service));
            self.warn_of_waiting(&what, policy.unwrap_or(service).span);
        }
    }

    fn warn_of_waiting(&mut self, what: &str, span: Span) {
        let message = format!("{what} have no timeout, and the link loses messages");
        let problem = Diagnostic::warning(Code::NoTimeout, span, message);
        self.out
            .push(problem.help("whoever loses a message waits for ever: name a policy with a `timeout`"));
    }

    fn waits_for_ever(&self, policy: Option<&Spanned<String>>) -> bool {
        let Some(policy) = policy else { return true };
        let policy = self.file.policies.known_value(policy);
        policy.is_some_and(|policy| matches!(policy.timeout.get(), Some(None)))
    }

    fn is_lossless(&self) -> bool {
        let mut classes = self.network.classes.iter();
        classes.all(|class| class.loss.mean() == 0.0)
    }

    fn loses_between(&self, here: SiteId, there: SiteId) -> bool {
        self.loses(here, there) || self.loses(there, here)
    }

    fn place(&self, name: &Spanned<String>) -> Option<SiteId> {
        let sites = &self.file.sites.0;
        sites.position(name).map(|at| SiteId(at as u32))
    }
}

/// The names of a group's sites that could be read.
fn sites_of(group: &Group) -> impl Iterator<Item = &Spanned<String>> {
    let names = group.at.get().map_or(&[][..], |names| names.value.0.as_slice());
    names.iter().filter_map(|site| site.get())
}
