//! `state`: stores, their keys and their models.

use super::Resolver;
use crate::kernel::SimTime;
use crate::network::SiteId;
use crate::random::Law;
use crate::scenario::language::Store;
use crate::scenario::language::state::{Blind as NoContext, Keys, MergeRule as Rule, Model, RegisterType as Registers};
use crate::scenario::plan::{MOST_COPIES, StorePlan};
use crate::scenario::syntax::{Code, Diagnostic, Spanned};
use crate::state::crdt::RegisterType;
use crate::state::siblings::{Blind, MergeRule, MergeRules};
use crate::state::{Clock, Crdt, DottedVersionVectors, KeyType, LastWriteWins, VersionVectors};
use crate::stores::{AntiEntropy, Model as Built, Replication, StoreSpec};
use std::sync::Arc;

/// The keys of one name in one store.
#[derive(Debug, Clone, Copy)]
pub(super) struct KeyPlace {
    /// The store's number.
    pub store: u16,
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
    /// The sites of its replicas, in the order of their names.
    pub sites: Vec<SiteId>,
}

impl Keys {
    fn parts(&self) -> (KeyType, u32) {
        match self {
            Self::Register { count } => (KeyType::Register, **count),
            Self::Counter { count } => (KeyType::Counter, **count),
            Self::Set { count } => (KeyType::Set, **count),
        }
    }
}

impl Resolver<'_, '_> {
    /// The stores by name, with their keys numbered by name.
    pub(super) fn stores(&mut self) -> Vec<StorePlan> {
        let file = self.file;
        let mut plans = Vec::new();
        for (name, store) in file.state.canonical() {
            let sites = self.replica_sites(store);
            let model = self.model(store);
            self.check_model(store, &model);
            let keys = self.number_keys(name, store, sites.len(), plans.len() as u16);
            plans.push(StorePlan {
                name: name.value.clone(),
                model,
                spec: Arc::new(self.store_spec(store, keys, &sites)),
                sites: sites.clone(),
            });
            self.stores.push(StoreShape {
                name: name.value.clone(),
                sites,
            });
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
    ) -> Vec<(String, KeyType)> {
        let total: u64 = store.keys.canonical().map(|(_, keys)| u64::from(keys.parts().1)).sum();
        self.copies = self.copies.saturating_add(total.saturating_mul(replicas as u64));
        let too_many = self.copies > MOST_COPIES;
        if too_many {
            let message = format!(
                "with {total} keys in {replicas} replicas there are {} copies of keys in all; at most {MOST_COPIES} fit",
                self.copies
            );
            self.error(Code::TooMany, name.span, message);
        }
        if total == 0 {
            self.error(Code::EmptyGroup, name.span, "a store needs at least one key");
        }
        let mut all = Vec::new();
        for (key, keys) in store.keys.canonical() {
            let (key_type, count) = keys.parts();
            let place = KeyPlace {
                store: number,
                first: all.len() as u32,
                count,
                key_type,
            };
            self.keys.entry(key.value.clone()).or_default().push(place);
            match count {
                _ if too_many => {}
                1 => all.push((key.value.clone(), key_type)),
                _ => all.extend((0..count).map(|n| (format!("{}[{n}]", key.value), key_type))),
            }
        }
        all
    }

    /// The sites of a store's replicas, by name, each once.
    fn replica_sites(&mut self, store: &Store) -> Vec<SiteId> {
        let mut sites = self.sites(&store.at).unwrap_or_default();
        let names = &store.at.value.0;
        for (n, name) in names.iter().enumerate() {
            if let Some(first) = names[..n].iter().find(|other| other.value == name.value) {
                let problem = Diagnostic::error(Code::NamedTwice, name.span, "a site has one replica of a store");
                self.out.push(problem.label(first.span, "it stood here first"));
            }
        }
        sites.sort_unstable();
        sites.dedup();
        sites
    }

    fn model(&mut self, store: &Store) -> Built {
        let blind = |blind: &NoContext| match blind {
            NoContext::Sibling => Blind::Sibling,
            NoContext::Overwrite => Blind::Overwrite,
        };
        let mut rules = |register: &Rule, counter: &Rule, set: &Rule| MergeRules {
            register: self.merge_rule(register, store),
            counter: self.merge_rule(counter, store),
            set: self.merge_rule(set, store),
        };
        match &store.model.value {
            Model::LastWriteWins => Built::LastWriteWins(LastWriteWins),
            Model::VersionVectors {
                register,
                counter,
                set,
                blind: no_context,
            } => Built::VersionVectors(VersionVectors {
                rules: rules(register, counter, set),
                blind: blind(no_context),
            }),
            Model::DottedVersionVectors {
                register,
                counter,
                set,
                blind: no_context,
            } => Built::DottedVersionVectors(DottedVersionVectors {
                rules: rules(register, counter, set),
                blind: blind(no_context),
            }),
            Model::Crdt {
                register,
                blind: no_context,
            } => Built::Crdt(Crdt {
                register: match register {
                    Registers::MultiValue => RegisterType::MultiValue,
                    Registers::LastWriter => RegisterType::LastWriter,
                },
                blind: blind(no_context),
            }),
        }
    }

    fn store_spec(&mut self, store: &Store, keys: Vec<(String, KeyType)>, sites: &[SiteId]) -> StoreSpec {
        let mut spec = StoreSpec::new(keys, sites.iter().copied());
        for (name, clock) in store.clocks.canonical() {
            let site = self.site(name);
            let clock = match Clock::new(clock.skew.0, clock.drift.0) {
                Ok(clock) => clock,
                Err(error) => {
                    self.error(Code::QuantityRange, clock.drift.span, error.to_string());
                    continue;
                }
            };
            let Some(site) = site else { continue };
            match spec.replicas.iter_mut().find(|replica| replica.site == site) {
                Some(replica) => replica.clock = clock,
                None if sites.is_empty() => {}
                None => self.error(
                    Code::UnknownSite,
                    name.span,
                    "the store has no replica at this site, and so no clock",
                ),
            }
        }
        spec.replication = Replication {
            delay: store.replication.delay.as_ref().and_then(|law| self.time(law)),
            batch: store.replication.batch.map(|batch| *batch),
        };
        spec.anti_entropy = store.anti_entropy.as_ref().map(|exchange| AntiEntropy {
            every: *exchange.every,
            jitter: exchange.jitter.as_ref().and_then(|law| self.time(law)),
            until: exchange.until.map(|until| SimTime::ZERO.saturating_add(until)),
        });
        spec.value_bytes = store.value.0;
        spec.processing = self.time(&store.time).filter(|law| *law != Law::Constant(0.0));
        spec
    }

    fn check_model(&mut self, store: &Store, model: &Built) {
        for (name, keys) in store.keys.canonical() {
            if let Err(refusal) = model.supports(keys.parts().0) {
                let problem = Diagnostic::error(Code::ModelRefusesKey, name.span, refusal.to_string());
                self.out.push(problem.label(store.model.span, "the model"));
            }
        }
    }

    fn merge_rule(&mut self, rule: &Rule, store: &Store) -> MergeRule {
        match rule {
            Rule::KeepAll => MergeRule::KeepAll,
            Rule::Max => MergeRule::Max,
            Rule::Min => MergeRule::Min,
            Rule::Union => MergeRule::Union,
            Rule::Sum => MergeRule::Sum,
            Rule::PreferSite(name) => MergeRule::PreferReplica(self.replica(name, store).unwrap_or(0)),
        }
    }

    /// The number of the replica in a site.
    pub(super) fn replica(&mut self, site: &Spanned<String>, store: &Store) -> Option<u16> {
        self.site(site)?;
        let mut names: Vec<&str> = store.at.value.0.iter().map(|name| name.value.as_str()).collect();
        names.sort_unstable();
        names.dedup();
        let found = names.iter().position(|name| *name == site.value);
        if found.is_none() {
            let what = "replica of the store at";
            crate::scenario::syntax::unknown_name(site, names, Code::UnknownSite, what, self.out);
        }
        found.and_then(|at| u16::try_from(at).ok())
    }
}
