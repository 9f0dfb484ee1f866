//! `state`: stores, their keys and their models.

use super::Resolver;
use super::causal::memory;
use crate::kernel::SimTime;
use crate::network::SiteId;
use crate::random::Law;
use crate::scenario::language::Store;
use crate::scenario::language::state::{
    Blind as NoContext, CounterType as Counters, Keys, MergeRule as Rule, Model, RegisterType as Registers,
    SetType as Sets, Ship as Shipped, SiteClock, StampClock, resolution,
};
use crate::scenario::plan::{MOST_COPIES, StorePlan};
use crate::scenario::syntax::{Code, Diagnostic, Part, Span, Spanned};
use crate::state::crdt::{CounterType, RegisterType, SetType, Ship};
use crate::state::siblings::{Blind, MergeRule, MergeRules};
use crate::state::{
    Clock, Crdt, DottedVersionVectors, KeyType, LastWriteWins, Memory, OperationalTransformation, VersionVectors,
};
use crate::stores::{AntiEntropy, Model as Built, Protocol, Replication, Stamping, StoreSpec};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The keys of one name in one store.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyPlace {
    /// The store's number.
    pub store: u16,
    /// What they are; `None` where that couldn't be read.
    pub keys: Option<KeyRange>,
}

/// Keys of one name and type.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyRange {
    /// The first key.
    pub first: u32,
    /// How many.
    pub count: u32,
    /// Their type.
    pub key_type: KeyType,
}

/// A store as far as steps and faults ask.
#[derive(Debug, Clone)]
pub(super) struct StoreShape {
    pub name: String,
    /// The sites of its replicas, in the order of their names; none where they aren't known.
    pub sites: Vec<SiteId>,
    /// Whether the names of all its keys are known.
    pub keys_known: bool,
    /// Its model, where that is known.
    pub model: Option<Built>,
    /// What its clients remember.
    pub memory: Memory,
}

impl Keys {
    fn parts(&self) -> (KeyType, u32) {
        match self {
            Self::Register { count } => (KeyType::Register, **count),
            Self::Counter { count } => (KeyType::Counter, **count),
            Self::Set { count } => (KeyType::Set, **count),
            Self::Text { count } => (KeyType::Text, **count),
            Self::Map { count } => (KeyType::Map, **count),
        }
    }
}

impl Resolver<'_, '_> {
    /// The stores by name, with their keys numbered by name.
    pub(super) fn stores(&mut self) -> Vec<StorePlan> {
        let file = self.file;
        let mut plans = Vec::new();
        for (name, store) in file.state.canonical() {
            let number = self.stores.len() as u16;
            let memory = store.get().map(memory).unwrap_or_default();
            let shape = |sites: &[SiteId], keys_known, model| StoreShape {
                name: name.value.clone(),
                sites: sites.to_vec(),
                keys_known,
                model,
                memory,
            };
            let Some(store) = store.get() else {
                self.stores.push(shape(&[], false, None));
                continue;
            };
            let sites = self.replica_sites(store);
            let known = sites.as_deref().unwrap_or_default();
            let model = store
                .model
                .get()
                .and_then(|model| self.model(resolution(model)?, known, matches!(model.value, Model::Quorum { .. })));
            if let Some(model) = &model {
                self.check_model(store, model);
            }
            let keys = self.number_keys(name, store, known.len(), number);
            let spec = self.store_spec(store, keys, sites.as_deref());
            self.stores.push(shape(known, store.keys.is_whole(), model));
            if let (Some(model), Some(spec), Some(sites)) = (model, spec, sites) {
                plans.push(StorePlan {
                    name: name.value.clone(),
                    model,
                    spec: Arc::new(spec),
                    sites,
                });
            }
        }
        plans
    }

    /// The keys of a store, one by one; each name is noted for the steps that use it.
    fn number_keys(
        &mut self,
        name: &Spanned<String>,
        store: &Store,
        replicas: usize,
        number: u16,
    ) -> Option<Vec<(String, KeyType)>> {
        let total: u64 = store.keys.known().map(|(_, keys)| u64::from(keys.parts().1)).sum();
        // Where the replicas aren't known there is one at least.
        let replicas = replicas.max(1);
        self.copies = self.copies.saturating_add(total.saturating_mul(replicas as u64));
        let too_many = self.copies > MOST_COPIES;
        if too_many {
            let message = format!(
                "with {total} keys in {replicas} replicas there are {} copies of keys in all; at most {MOST_COPIES} fit",
                self.copies
            );
            self.error(Code::TooMany, name.span, message);
        }
        if store.keys.is_empty() && store.keys.is_whole() {
            self.error(Code::EmptyGroup, name.span, "a store needs at least one key");
        }
        let (mut all, mut whole) = (Vec::new(), store.keys.is_whole());
        for (key, keys) in store.keys.canonical() {
            let range = keys.get().map(|keys| {
                let (key_type, count) = keys.parts();
                let first = all.len() as u32;
                match count {
                    _ if too_many => {}
                    1 => all.push((key.value.clone(), key_type)),
                    _ => all.extend((0..count).map(|n| (format!("{}[{n}]", key.value), key_type))),
                }
                KeyRange { first, count, key_type }
            });
            whole &= range.is_some();
            let place = KeyPlace {
                store: number,
                keys: range,
            };
            let places = self.keys.entry(key.value.clone()).or_default();
            // Of a name that stands twice, which was reported, the first counts.
            let again = |place: &KeyPlace| {
                let store = self.stores.get(usize::from(place.store));
                store.is_none_or(|store| store.name == name.value)
            };
            if !places.iter().any(again) {
                places.push(place);
            }
        }
        whole.then_some(all)
    }

    /// The sites of a store's replicas, by name, each once.
    fn replica_sites(&mut self, store: &Store) -> Option<Vec<SiteId>> {
        let sites = self.sites(&store.at);
        let mut seen: BTreeMap<&str, Span> = BTreeMap::new();
        for name in store.at.get()?.value.0.iter().filter_map(Part::get) {
            let first = *seen.entry(&name.value).or_insert(name.span);
            if first != name.span {
                let problem = Diagnostic::error(Code::NamedTwice, name.span, "a site has one replica of a store");
                self.out.push(problem.label(first, "it stood here first"));
            }
        }
        let mut sites = sites?;
        sites.sort_unstable();
        sites.dedup();
        Some(sites)
    }

    fn model(&mut self, model: &Spanned<Model>, sites: &[SiteId], in_quorum: bool) -> Option<Built> {
        let blind = |blind: &Part<NoContext>| {
            blind.get().map(|blind| match blind {
                NoContext::Sibling => Blind::Sibling,
                NoContext::Overwrite => Blind::Overwrite,
            })
        };
        let mut rules = |register: &Part<Rule>, counter: &Part<Rule>, set: &Part<Rule>| {
            let rules = [register, counter, set].map(|rule| self.merge_rule(rule.get()?, sites));
            Some(MergeRules {
                register: rules[0]?,
                counter: rules[1]?,
                set: rules[2]?,
            })
        };
        Some(match &model.value {
            Model::LastWriteWins { .. } => Built::LastWriteWins(LastWriteWins),
            Model::Primary { .. } | Model::Raft { .. } if !in_quorum => Built::LastWriteWins(LastWriteWins),
            Model::VersionVectors {
                register,
                counter,
                set,
                blind: no_context,
            } => Built::VersionVectors(VersionVectors {
                rules: rules(register, counter, set)?,
                blind: blind(no_context)?,
            }),
            Model::DottedVersionVectors {
                register,
                counter,
                set,
                blind: no_context,
            } => Built::DottedVersionVectors(DottedVersionVectors {
                rules: rules(register, counter, set)?,
                blind: blind(no_context)?,
            }),
            Model::Crdt {
                register,
                counter,
                set,
                ship,
                blind: no_context,
            } => Built::Crdt(Crdt {
                register: match register.get()? {
                    Registers::MultiValue => RegisterType::MultiValue,
                    Registers::LastWriter => RegisterType::LastWriter,
                },
                counter: match counter.get()? {
                    Counters::UpAndDown => CounterType::UpAndDown,
                    Counters::GrowOnly => CounterType::GrowOnly,
                },
                set: match set.get()? {
                    Sets::AddWins => SetType::AddWins,
                    Sets::RemoveWins => SetType::RemoveWins,
                    Sets::TwoPhase => SetType::TwoPhase,
                    Sets::GrowOnly => SetType::GrowOnly,
                },
                ship: match ship.get()? {
                    Shipped::Delta => Ship::Delta,
                    Shipped::State => Ship::State,
                    Shipped::Operation => Ship::Operation,
                },
                blind: blind(no_context)?,
            }),
            Model::OperationalTransformation { .. } => {
                Built::OperationalTransformation(OperationalTransformation::default())
            }
            Model::Quorum { .. }
            | Model::Primary { .. }
            | Model::Raft { .. }
            | Model::DocumentStore { .. }
            | Model::WideColumn { .. }
            | Model::NewSql { .. }
            | Model::TimeSeries { .. }
            | Model::GraphStore { .. } => {
                let message = "conflicts are resolved by `LastWriteWins`, `VersionVectors`, `DottedVersionVectors` or `Crdt`, and \
                               by no other model";
                self.error(Code::BadQuorum, model.span, message);
                return None;
            }
            Model::Causal { .. } => {
                let message = "`Causal` is the order of a whole store, not a way to resolve conflicts";
                self.error(Code::BadOrder, model.span, message);
                return None;
            }
        })
    }

    fn store_spec(
        &mut self,
        store: &Store,
        keys: Option<Vec<(String, KeyType)>>,
        sites: Option<&[SiteId]>,
    ) -> Option<StoreSpec> {
        let clocks = self.clocks(store, sites);
        let replication = store.replication.get().and_then(|replication| {
            let delay = replication.delay.each(|law| self.time(law));
            Some(Replication {
                delay: delay?,
                batch: replication.batch.get()?.map(|batch| *batch),
            })
        });
        let anti_entropy = store.anti_entropy.each(|exchange| {
            let jitter = exchange.jitter.each(|law| self.time(law));
            Some(AntiEntropy {
                every: **exchange.every.get()?,
                jitter: jitter?,
                until: exchange.until.get()?.map(|until| SimTime::ZERO.saturating_add(until)),
            })
        });
        let protocol = self.protocol(store, keys.as_deref(), sites);
        let (processing, value_bytes) = (self.time_of(&store.time), self.bytes_of(&store.value));
        let mut spec = StoreSpec::new(keys?, sites?.iter().copied());
        for (site, clock) in clocks? {
            let of_site = |replica: &&mut crate::stores::ReplicaSpec| replica.site == site;
            spec.replicas.iter_mut().find(of_site)?.clock = clock;
        }
        spec.replication = replication?;
        spec.protocol = protocol?;
        spec.anti_entropy = anti_entropy?.filter(|_| spec.raft().is_none() && spec.primary().is_none());
        if let Model::LastWriteWins { clock } = &resolution(store.model.get()?)?.value {
            spec.stamping = match clock.get()? {
                StampClock::Wall => Stamping::Wall,
                StampClock::Lamport => Stamping::Lamport,
                StampClock::Hybrid => Stamping::Hybrid,
            };
        }
        spec.memory = memory(store);
        spec.value_bytes = u64::from(value_bytes?);
        spec.processing = processing.map(|law| Some(law).filter(|law| *law != Law::Constant(0.0)))?;
        Some(spec)
    }

    /// Which replicas of a store take part in an operation. `None`: something of it can't be.
    fn protocol(
        &mut self,
        store: &Store,
        keys: Option<&[(String, KeyType)]>,
        sites: Option<&[SiteId]>,
    ) -> Option<Protocol> {
        if let Some(primary) = self.primary(store, sites)? {
            return Some(Protocol::Primary(Box::new(primary)));
        }
        if let Some(raft) = self.raft(store, keys, sites)? {
            return Some(Protocol::Raft(Box::new(raft)));
        }
        if let Some(central) = self.central(store, sites)? {
            return Some(Protocol::Central(central));
        }
        let quorum = self.quorum(store, keys, sites)?;
        let ordering = self.ordering(store)?;
        Some(match (quorum, ordering) {
            (Some(quorum), _) => Protocol::Quorum(Box::new(quorum)),
            (None, Some(causal)) => Protocol::Causal(causal),
            (None, None) => Protocol::Alone,
        })
    }

    /// The clocks of replicas, by site.
    fn clocks(&mut self, store: &Store, sites: Option<&[SiteId]>) -> Option<Vec<(SiteId, Clock)>> {
        let mut clocks = Vec::new();
        for (name, clock) in store.clocks.canonical() {
            let site = self.site(name);
            if let (Some(site), Some(sites)) = (site, sites)
                && !sites.contains(&site)
            {
                self.error(
                    Code::UnknownSite,
                    name.span,
                    "the store has no replica at this site, and so no clock",
                );
            }
            let clock = clock.get().and_then(|clock| self.clock(clock));
            clocks.push(site.zip(clock));
        }
        clocks.into_iter().collect()
    }

    pub(super) fn clock(&mut self, clock: &SiteClock) -> Option<Clock> {
        let (skew, drift) = (clock.skew.get()?, clock.drift.get()?);
        let clock = Clock::new(skew.0, drift.0);
        clock
            .map_err(|error| self.error(Code::QuantityRange, drift.span, error.to_string()))
            .ok()
    }

    fn check_model(&mut self, store: &Store, model: &Built) {
        let place = store.model.get().map_or(Span::default(), |model| model.span);
        for (name, keys) in store.keys.known() {
            if let Err(refusal) = model.supports(keys.parts().0) {
                let problem = Diagnostic::error(Code::ModelRefusesKey, name.span, refusal.to_string());
                self.out.push(problem.label(place, "the model"));
            }
        }
    }

    fn merge_rule(&mut self, rule: &Rule, sites: &[SiteId]) -> Option<MergeRule> {
        Some(match rule {
            Rule::KeepAll => MergeRule::KeepAll,
            Rule::Max => MergeRule::Max,
            Rule::Min => MergeRule::Min,
            Rule::Union => MergeRule::Union,
            Rule::Sum => MergeRule::Sum,
            Rule::PreferSite(name) => MergeRule::PreferReplica(self.replica(name, sites)?),
        })
    }

    /// The number of the replica in a site, of those in `sites`.
    pub(super) fn replica(&mut self, site: &Spanned<String>, sites: &[SiteId]) -> Option<u16> {
        let at = self.site(site)?;
        if sites.is_empty() {
            // Where the replicas are isn't known, which was reported.
            return None;
        }
        let found = sites.binary_search(&at).ok();
        if found.is_none() {
            let named = &self.file.sites.0;
            let names = sites.iter().filter_map(|site| named.at(site.0 as usize));
            let names: Vec<&str> = names.map(|(name, _)| name.value.as_str()).collect();
            let what = "replica of the store at";
            crate::scenario::syntax::unknown_name(site, names, Code::UnknownSite, what, self.out);
        }
        found.and_then(|at| u16::try_from(at).ok())
    }
}
