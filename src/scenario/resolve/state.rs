//! `state`: stores, their keys and their models.

use super::Resolver;
use crate::network::SiteId;
use crate::scenario::language::Store;
use crate::scenario::language::state::{Blind as NoContext, Keys, MergeRule as Rule, Model, RegisterType as Registers};
use crate::scenario::plan::StorePlan;
use crate::scenario::syntax::{Code, Diagnostic, Spanned};
use crate::state::crdt::RegisterType;
use crate::state::siblings::{Blind, MergeRule, MergeRules};
use crate::state::{
    Clock, Crdt, DottedVersionVectors, KeyType, LastWriteWins, Realisation, Refusal, Resolution, VersionVectors,
};
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
            let number = plans.len() as u16;
            let sites = self.replica_sites(store);
            let mut first = 0_u32;
            for (key, keys) in store.keys.canonical() {
                let (key_type, count) = keys.parts();
                let place = KeyPlace {
                    store: number,
                    first,
                    count,
                    key_type,
                };
                self.keys.entry(key.value.clone()).or_default().push(place);
                match first.checked_add(count) {
                    Some(next) => first = next,
                    None => self.error(Code::TooMany, key.span, "a store has less than 2^32 keys"),
                }
            }
            if store.keys.is_empty() {
                self.error(Code::EmptyGroup, name.span, "a store needs at least one key");
            }
            let model = self.model(store);
            self.check_model(store);
            self.check_replication(store, &sites);
            plans.push(StorePlan {
                name: name.value.clone(),
                model,
                spec: Arc::new(self.store_spec(store, &sites)),
                sites: sites.clone(),
            });
            self.stores.push(StoreShape {
                name: name.value.clone(),
                sites,
            });
        }
        plans
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

    fn model(&mut self, store: &Store) -> crate::stores::Model {
        use crate::stores::Model as Built;
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

    fn store_spec(&mut self, store: &Store, sites: &[SiteId]) -> crate::stores::StoreSpec {
        let mut keys = Vec::new();
        for (name, of) in store.keys.canonical() {
            let (key_type, count) = of.parts();
            keys.extend((0..count).map(|n| match count {
                1 => (name.value.clone(), key_type),
                _ => (format!("{}[{n}]", name.value), key_type),
            }));
        }
        let mut spec = crate::stores::StoreSpec::new(keys, sites.iter().copied());
        for (name, clock) in store.clocks.canonical() {
            if let (Some(site), Ok(built)) = (self.site(name), Clock::new(clock.skew.0, clock.drift.0))
                && let Some(replica) = spec.replicas.iter_mut().find(|replica| replica.site == site)
            {
                replica.clock = built;
            }
        }
        spec.replication.delay = store.replication.delay.as_ref().and_then(|law| self.time(law));
        spec.replication.batch = store.replication.batch.as_ref().map(|batch| **batch);
        spec.anti_entropy = store.anti_entropy.as_ref().map(|of| crate::stores::AntiEntropy {
            every: *of.every,
            jitter: of.jitter.as_ref().and_then(|law| self.time(law)),
            until: of.until.map(|until| crate::kernel::SimTime::ZERO + until),
        });
        spec.value_bytes = store.value.0;
        spec.processing = self
            .time(&store.time)
            .filter(|law| *law != crate::random::Law::Constant(0.0));
        spec
    }

    fn check_model(&mut self, store: &Store) {
        let blind = |blind: &NoContext| match blind {
            NoContext::Sibling => Blind::Sibling,
            NoContext::Overwrite => Blind::Overwrite,
        };
        let mut rules = |register: &Rule, counter: &Rule, set: &Rule| MergeRules {
            register: self.merge_rule(register, store),
            counter: self.merge_rule(counter, store),
            set: self.merge_rule(set, store),
        };
        let supports: Box<dyn Fn(KeyType) -> Result<Realisation, Refusal>> = match &store.model.value {
            Model::LastWriteWins => Box::new(|key| LastWriteWins.supports(key)),
            Model::VersionVectors {
                register,
                counter,
                set,
                blind: no_context,
            } => {
                let model = VersionVectors {
                    rules: rules(register, counter, set),
                    blind: blind(no_context),
                };
                Box::new(move |key| model.supports(key))
            }
            Model::DottedVersionVectors {
                register,
                counter,
                set,
                blind: no_context,
            } => {
                let model = DottedVersionVectors {
                    rules: rules(register, counter, set),
                    blind: blind(no_context),
                };
                Box::new(move |key| model.supports(key))
            }
            Model::Crdt {
                register,
                blind: no_context,
            } => {
                let model = Crdt {
                    register: match register {
                        Registers::MultiValue => RegisterType::MultiValue,
                        Registers::LastWriter => RegisterType::LastWriter,
                    },
                    blind: blind(no_context),
                };
                Box::new(move |key| model.supports(key))
            }
        };
        for (name, keys) in store.keys.canonical() {
            if let Err(refusal) = supports(keys.parts().0) {
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

    fn check_replication(&mut self, store: &Store, sites: &[SiteId]) {
        if let Some(delay) = &store.replication.delay {
            self.time(delay);
        }
        if let Some(jitter) = store
            .anti_entropy
            .as_ref()
            .and_then(|anti_entropy| anti_entropy.jitter.as_ref())
        {
            self.time(jitter);
        }
        self.time(&store.time);
        for (name, clock) in store.clocks.canonical() {
            if let Some(site) = self.site(name)
                && !sites.contains(&site)
                && !sites.is_empty()
            {
                self.error(
                    Code::UnknownSite,
                    name.span,
                    "the store has no replica at this site, and so no clock",
                );
            }
            if let Err(error) = Clock::new(clock.skew.0, clock.drift.0) {
                self.error(Code::QuantityRange, clock.drift.span, error.to_string());
            }
        }
    }
}
