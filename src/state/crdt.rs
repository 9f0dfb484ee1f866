//! Conflict-free replicated data types: every concurrent update has a defined place in the value, and nothing is dropped.
//!
//! Guarantees strong eventual consistency: replicas that have merged the same updates, in whatever order and however often,
//! are equal (Shapiro, Preguiça, Baquero and Zawirski, "Conflict-free replicated data types", SSS 2011).
//!
//! Deltas are *state fragments* (Almeida, Shoker and Baquero, "Delta state replicated data types", JPDC 2018): a delta is a
//! small state of the same type, and is merged by the same join as a whole state. Every type here keeps what it has seen as
//! an explicit set of dots, so fragments may be lost, repeated, reordered and batched without delta-intervals or
//! acknowledgements; what was lost, anti-entropy brings by joining whole entries. Fragments don't wait for their causes:
//! order between *keys*, or between the updates of one key, is a matter of the host.

pub mod causal;
pub mod g_counter;
pub mod g_set;
mod kernel;
pub mod lww_register;
pub mod mv_register;
pub mod or_map;
pub mod or_set;
pub mod pn_counter;
pub mod remove_wins_set;
pub mod text;
pub mod two_phase_set;

pub use causal::Causal;
pub use g_counter::GCounter;
pub use g_set::GSet;
pub use lww_register::LwwRegister;
pub use mv_register::MvRegister;
pub use or_map::OrMap;
pub use or_set::OrSet;
pub use pn_counter::PnCounter;
pub use remove_wins_set::RemoveWinsSet;
pub use text::Text;
pub use two_phase_set::TwoPhaseSet;

use super::siblings::Blind;
use super::{
    Accept, Context, Dot, Fate, Keeping, KeyType, ModelInfo, Op, Origin, Rank, Realisation, Refusal, Resolution, Size,
    VersionVector, Versions, View,
};
use serde::{Deserialize, Serialize};

/// The model's page in the reference.
pub const INFO: ModelInfo = ModelInfo {
    name: "crdt",
    title: "Conflict-free replicated data types",
    keys: KeyType::ALL,
    doc: "\
Each type of key has a representation whose updates all have a place in the value. Replicas that have merged the same updates
are equal, however the updates came. Deltas are small states, merged by the same join; lost ones are made good by anti-entropy.

- **Register**: `mv-register` (concurrent writes are all shown; the default) or `lww-register` (the highest stamp).
- **Counter**: `pn-counter` (the sum of all increments; the default) or `g-counter` (which only grows).
- **Set**: `or-set` (an insert survives concurrent removes; the default), `rw-set` (a remove survives concurrent inserts), `2p-set`
  (what was removed never comes back) or `g-set` (nothing is removed).
- **Map**: `or-map`: fields hold registers and counters; removing one resets what was seen of it.
- **Text**: `text`: every character has a place of its own.

Costs: see the page of each type.
",
};

/// A join-semilattice with delta mutators: one replicated data type, as [`Crdt`] uses it. A new type is a file with one of
/// these, and a line in [`types!`](self).
pub trait Lattice: Clone + Default + PartialEq {
    /// The type's page in the reference.
    const INFO: ModelInfo;
    /// How each of its operations is realised, in a sentence.
    const REALISATION: &'static str;
    /// Which effects it keeps.
    const KEEPING: Keeping;

    /// Why an operation of its type of key is refused, if it is.
    fn refuses(_op: Op) -> Option<&'static str> {
        None
    }
    /// Accepts an update; returns the fragment that tells it to others.
    fn update(&mut self, op: Op, at: Accept<'_>, fates: &mut impl FnMut(Fate)) -> Self;
    /// The least state above both; true if this one changed.
    fn join(&mut self, other: &Self, fates: &mut impl FnMut(Fate)) -> bool;
    /// What a reader sees.
    fn view(&self) -> View;
    /// What that is made of.
    fn versions(&self) -> Versions;
    /// What a writer sends back; empty where no operation needs it.
    fn context(&self) -> Context;
    /// Hints that it will be asked for soon.
    fn touch(&self) {}

    /// The updates that have come and have no effect yet, since they wait for others.
    fn held_back(&self) -> Vec<Dot> {
        Vec::new()
    }
    /// A hash of the visible value.
    fn digest(&self) -> u64;
    /// A hash of the state.
    fn state_hash(&self) -> u64;
    /// What it weighs on the wire.
    fn size(&self) -> Size;
    /// Of a fragment: bytes that its operation carries beside what it says, its dot and its causes.
    fn beside(&self) -> u64 {
        0
    }
    /// How many tombstones it keeps.
    fn tombstones(&self) -> u64 {
        0
    }
    /// Forgets tombstones that aren't needed once every replica has heard of `stable`; how many.
    fn collect(&mut self, _stable: &VersionVector) -> u64 {
        0
    }
    /// The rank of its version, where versions are ranked.
    fn rank(&self) -> Option<Rank> {
        None
    }
}

/// Which register a store's register keys are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RegisterType {
    /// Concurrent writes are all shown.
    #[default]
    MultiValue,
    /// The write of the highest stamp is shown.
    LastWriter,
}

/// Which counter a store's counter keys are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum CounterType {
    /// Increments and decrements.
    #[default]
    UpAndDown,
    /// Increments alone.
    GrowOnly,
}

/// Which set a store's set keys are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SetType {
    /// Inserts win over concurrent removes.
    #[default]
    AddWins,
    /// Removes win over concurrent inserts.
    RemoveWins,
    /// Removes win over all inserts, for ever.
    TwoPhase,
    /// There are no removes.
    GrowOnly,
}

/// What an accepted update ships to the other replicas.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ship {
    /// A small state that says what is new.
    #[default]
    Delta,
    /// The whole entry.
    State,
    /// The operation, to be applied once and after its causes.
    Operation,
}

/// The data type for each type of key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Crdt {
    /// What registers are.
    pub register: RegisterType,
    /// What counters are.
    pub counter: CounterType,
    /// What sets are.
    pub set: SetType,
    /// What is shipped.
    pub ship: Ship,
    /// What a write without a context to a multi-value register supersedes.
    pub blind: Blind,
}

/// Declares the types: the entry (which is also the delta, as a fragment), and the dispatch on it.
macro_rules! types {
    ($($(#[$doc:meta])* $name:ident($held:ty)),* $(,)?) => {
        /// One key at one replica, or a fragment of it on its way to another.
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        pub enum CrdtEntry { $($(#[$doc])* $name($held)),* }

        /// Evaluates an expression with the state of whichever type the entry has.
        macro_rules! each {
            ($entry:expr, $state:ident => $body:expr) => {
                match $entry { $(CrdtEntry::$name($state) => $body),* }
            };
        }

        impl CrdtEntry {
            fn join(&mut self, other: &Self, fates: &mut impl FnMut(Fate)) -> bool {
                match (self, other) {
                    $((Self::$name(ours), Self::$name(theirs)) => ours.join(theirs, fates),)*
                    _ => panic!("two replicas of one key have different types"),
                }
            }

            fn update(&mut self, op: Op, at: Accept<'_>, fates: &mut impl FnMut(Fate)) -> Self {
                match self { $(Self::$name(state) => Self::$name(state.update(op, at, fates).into()),)* }
            }
        }

        $(impl From<$name> for CrdtEntry {
            fn from(state: $name) -> Self {
                Self::$name(state.into())
            }
        })*
    };
}

types! {
    /// A multi-value register.
    MvRegister(Box<MvRegister>),
    /// A last-writer-wins register.
    LwwRegister(LwwRegister),
    /// A counter of increments and decrements.
    PnCounter(PnCounter),
    /// An add-wins set.
    OrSet(Box<OrSet>),
    /// A counter of increments.
    GCounter(GCounter),
    /// A remove-wins set.
    RemoveWinsSet(Box<RemoveWinsSet>),
    /// A set with removes for good.
    TwoPhaseSet(Box<TwoPhaseSet>),
    /// A set that only grows.
    GSet(Box<GSet>),
    /// A text.
    Text(Box<Text>),
    /// A map.
    OrMap(Box<OrMap>),
    /// A key of any type whose updates are shipped as operations.
    Causal(Box<Causal>),
}

impl CrdtEntry {
    fn view(&self) -> View {
        each!(self, state => state.view())
    }

    fn versions(&self) -> Versions {
        each!(self, state => state.versions())
    }

    fn context(&self) -> Context {
        each!(self, state => state.context())
    }

    fn touch(&self) {
        each!(self, state => state.touch())
    }

    fn held_back(&self) -> Vec<Dot> {
        each!(self, state => state.held_back())
    }

    fn digest(&self) -> u64 {
        each!(self, state => state.digest())
    }

    fn state_hash(&self) -> u64 {
        each!(self, state => state.state_hash())
    }

    fn size(&self) -> Size {
        each!(self, state => state.size())
    }

    fn beside(&self) -> u64 {
        each!(self, state => state.beside())
    }

    fn tombstones(&self) -> u64 {
        each!(self, state => state.tombstones())
    }

    fn collect(&mut self, stable: &VersionVector) -> u64 {
        each!(self, state => state.collect(stable))
    }

    fn rank(&self) -> Option<Rank> {
        each!(self, state => state.rank())
    }
}

/// Evaluates an expression with the type that a key of this type has.
macro_rules! with_type {
    ($model:expr, $key:expr, $Type:ident => $body:expr) => {
        match ($key, $model) {
            (KeyType::Register, Crdt { register: RegisterType::MultiValue, .. }) => with_type!(MvRegister, $Type => $body),
            (KeyType::Register, Crdt { register: RegisterType::LastWriter, .. }) => with_type!(LwwRegister, $Type => $body),
            (KeyType::Counter, Crdt { counter: CounterType::UpAndDown, .. }) => with_type!(PnCounter, $Type => $body),
            (KeyType::Counter, Crdt { counter: CounterType::GrowOnly, .. }) => with_type!(GCounter, $Type => $body),
            (KeyType::Map, _) => with_type!(OrMap, $Type => $body),
            (KeyType::Text, _) => with_type!(Text, $Type => $body),
            (KeyType::Set, Crdt { set: SetType::AddWins, .. }) => with_type!(OrSet, $Type => $body),
            (KeyType::Set, Crdt { set: SetType::RemoveWins, .. }) => with_type!(RemoveWinsSet, $Type => $body),
            (KeyType::Set, Crdt { set: SetType::TwoPhase, .. }) => with_type!(TwoPhaseSet, $Type => $body),
            (KeyType::Set, Crdt { set: SetType::GrowOnly, .. }) => with_type!(GSet, $Type => $body),
        }
    };
    ($Chosen:ident, $Type:ident => $body:expr) => {{
        type $Type = $Chosen;
        $body
    }};
}

impl Resolution for Crdt {
    type Entry = CrdtEntry;
    type Delta = CrdtEntry;

    fn name(&self) -> &'static str {
        INFO.name
    }

    fn supports(&self, key: KeyType) -> Result<Realisation, Refusal> {
        let of_type = with_type!(self, key, T => T::REALISATION);
        Ok(match self.ship {
            Ship::Delta => Realisation(of_type.into()),
            Ship::State => Realisation(format!("{of_type}; an update ships the whole entry").into()),
            Ship::Operation => Realisation(format!("{of_type}; {}", Causal::REALISATION).into()),
        })
    }

    fn refuses(&self, key: KeyType, op: Op) -> Option<&'static str> {
        with_type!(self, key, T => T::refuses(op))
    }

    fn fresh(&self, key: KeyType) -> CrdtEntry {
        let state: CrdtEntry = with_type!(self, key, T => T::default().into());
        match self.ship {
            Ship::Operation => Causal::over(state).into(),
            Ship::Delta | Ship::State => state,
        }
    }

    fn update(&self, entry: &mut CrdtEntry, op: Op, at: Accept<'_>, fates: &mut impl FnMut(Fate)) -> CrdtEntry {
        let held = (at.context.is_none() && self.blind == Blind::Overwrite).then(|| entry.context());
        let context = at.context.or(held.as_ref());
        let news = entry.update(op, Accept { context, ..at }, fates);
        match self.ship {
            Ship::State => entry.clone(),
            Ship::Delta | Ship::Operation => news,
        }
    }

    fn merge(&self, entry: &mut CrdtEntry, delta: &CrdtEntry, fates: &mut impl FnMut(Fate)) -> bool {
        entry.join(delta, fates)
    }

    fn join(&self, entry: &mut CrdtEntry, other: &CrdtEntry, fates: &mut impl FnMut(Fate)) -> bool {
        entry.join(other, fates)
    }

    fn batch(&self, batch: &mut CrdtEntry, next: &CrdtEntry) {
        batch.join(next, &mut |_| {});
    }

    fn view(&self, entry: &CrdtEntry) -> View {
        entry.view()
    }

    fn versions(&self, entry: &CrdtEntry) -> Versions {
        entry.versions()
    }

    fn context(&self, entry: &CrdtEntry) -> Context {
        entry.context()
    }

    fn touch(&self, entry: &CrdtEntry) {
        entry.touch();
    }

    fn held_back(&self, entry: &CrdtEntry) -> Vec<Dot> {
        entry.held_back()
    }

    fn digest(&self, entry: &CrdtEntry) -> u64 {
        entry.digest()
    }

    fn state_hash(&self, entry: &CrdtEntry) -> u64 {
        entry.state_hash()
    }

    fn entry_size(&self, entry: &CrdtEntry) -> Size {
        entry.size()
    }

    fn delta_size(&self, delta: &CrdtEntry) -> Size {
        self.entry_size(delta)
    }

    fn keeping(&self, key: KeyType) -> Keeping {
        with_type!(self, key, T => T::KEEPING)
    }

    fn tombstones(&self, entry: &CrdtEntry) -> u64 {
        entry.tombstones()
    }

    fn collect(&self, entry: &mut CrdtEntry, stable: &VersionVector) -> u64 {
        entry.collect(stable)
    }

    fn told(&self, delta: &CrdtEntry) -> Option<(Origin, VersionVector)> {
        match delta {
            CrdtEntry::Causal(operations) => operations.told(),
            _ => None,
        }
    }

    fn rank(&self, delta: &CrdtEntry) -> Option<Rank> {
        delta.rank()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_stay_small() {
        assert!(size_of::<CrdtEntry>() <= 40, "{}", size_of::<CrdtEntry>());
    }
}
