//! Floor 3: stores: what agents share, replicated at sites under a consistency model.
//!
//! In reading order: [`spec`] describes a store; [`store`] is the [`Population`] of its replicas: it answers requests,
//! and applies what the model of [`crate::state`] says; [`replication`] is how replicas keep up with each other; [`stamping`] where stamps come from; [`words`]
//! is how records put versions into words; [`quorum`] is how several replicas take part in one operation, [`primary`] how
//! one of them orders all updates, [`raft`] how all agree on one order, [`causal`] how replicas take updates in after what these depend
//! on, [`ot`] how edits of texts go through one of them.
//!
//! Which consistency model a store runs is one value of [`Model`]. A new model is a type that implements
//! [`Resolution`], and one line there.

pub mod causal;
mod fencing;
pub mod ot;
pub mod primary;
pub mod quorum;
pub mod raft;
mod recovery;
mod replica;
pub mod replication;
mod serving;
pub mod spec;
mod stability;
pub mod stamping;
pub mod store;
mod subscriptions;
mod swapping;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
mod waiting;
pub mod words;

pub use causal::{After, CausalSpec};
pub use ot::CentralSpec;
pub use primary::{Copies, Failover, PrimarySpec, Reads};
pub use quorum::{HintedHandoff, Legs, Placement, QuorumSpec};
pub use raft::RaftSpec;
pub use spec::{AntiEntropy, Protocol, ReplicaSpec, Replication, StoreSpec};
pub use stamping::Stamping;
pub use store::Store;

use crate::state::{
    Crdt, DottedVersionVectors, Keeping, KeyType, LastWriteWins, ModelInfo, Op, OperationalTransformation, Realisation,
    Refusal, Resolution, VersionVectors,
};
use crate::world::population::{Endpoint, Population};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Every model that a scenario can name: how stores work, and how they resolve conflicts, in the order of the reference.
pub fn models() -> Vec<ModelInfo> {
    let resolutions = crate::state::models().iter().copied();
    [
        raft::INFO,
        primary::INFO,
        quorum::INFO,
        causal::INFO,
        causal::SESSIONS,
        subscriptions::INFO,
    ]
    .into_iter()
    .chain(resolutions)
    .collect()
}

/// Declares the models that a scenario can name, and the dispatch on them.
macro_rules! models {
    ($($(#[$doc:meta])* $name:ident($model:ty)),* $(,)?) => {
        /// The consistency model of a store, with its options.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        pub enum Model { $($(#[$doc])* $name($model)),* }

        /// Evaluates an expression with whichever model it is.
        macro_rules! with_model {
            ($value:expr, $chosen:ident => $body:expr) => {
                match $value { $(Model::$name($chosen) => $body),* }
            };
        }
    };
}

models! {
    /// The highest stamp keeps the key.
    LastWriteWins(LastWriteWins),
    /// Siblings under one version vector a key.
    VersionVectors(VersionVectors),
    /// Siblings, each with its own dot.
    DottedVersionVectors(DottedVersionVectors),
    /// Conflict-free replicated data types.
    Crdt(Crdt),
    /// Edits transformed by way of a central server.
    OperationalTransformation(OperationalTransformation),
}

impl Model {
    /// The model's name in the registry ([`crate::state::models`]).
    pub fn name(&self) -> &'static str {
        with_model!(self, model => model.name())
    }

    /// How the model realises keys of this type.
    ///
    /// # Errors
    /// A [`Refusal`] if the model has no such keys.
    pub fn supports(&self, key: KeyType) -> Result<Realisation, Refusal> {
        with_model!(self, model => model.supports(key))
    }

    /// Why an operation of this type of key is refused by keys of this type, if it is.
    pub fn refuses_op(&self, key: KeyType, op: Op) -> Option<&'static str> {
        with_model!(self, model => model.refuses(key, op))
    }

    /// Which effects on keys of this type the model keeps in the end.
    pub fn keeping(&self, key: KeyType) -> Keeping {
        with_model!(self, model => model.keeping(key))
    }

    /// What the model refuses of a store: each key, by its place, with the reason.
    pub fn refusals(&self, spec: &StoreSpec) -> Vec<(usize, Refusal)> {
        let keys = spec.keys.iter().enumerate();
        keys.filter_map(|(place, (_, key))| self.supports(*key).err().map(|refusal| (place, refusal)))
            .collect()
    }
}

/// The population of a store's replicas under a model. `index` is the store's number in records; `endpoints` are the replicas',
/// in the order of the spec. Schedule [`kind::START`](crate::world::population::kind::START) for each of them.
///
/// # Panics
/// Panics if the model refuses one of the keys ([`Model::refusals`]), or if the endpoints aren't as many as the replicas.
pub fn build(
    model: &Model,
    name: &str,
    index: u32,
    spec: Arc<StoreSpec>,
    endpoints: Vec<Endpoint>,
) -> Box<dyn Population> {
    with_model!(*model, model => Box::new(Store::new(name, index, spec, model, endpoints)))
}
