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

pub mod lww_register;
pub mod mv_register;
pub mod or_set;
pub mod pn_counter;

pub use lww_register::LwwRegister;
pub use mv_register::MvRegister;
pub use or_set::OrSet;
pub use pn_counter::PnCounter;

use super::siblings::Blind;
use super::{
    Accept, Context, Fate, Keeping, KeyType, ModelInfo, Op, Rank, Realisation, Refusal, Resolution, Size, Versions,
    View,
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
- **Counter**: `pn-counter`: the sum of all increments.
- **Set**: `or-set`: an insert survives concurrent removes.

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
    /// A hash of the visible value.
    fn digest(&self) -> u64;
    /// A hash of the state.
    fn state_hash(&self) -> u64;
    /// What it weighs on the wire.
    fn size(&self) -> Size;
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

/// The data type for each type of key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Crdt {
    /// What registers are.
    pub register: RegisterType,
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
}

/// The realisation that a type declares.
fn realisation<L: Lattice>() -> Realisation {
    Realisation(L::REALISATION.into())
}

impl Resolution for Crdt {
    type Entry = CrdtEntry;
    type Delta = CrdtEntry;

    fn name(&self) -> &'static str {
        INFO.name
    }

    fn supports(&self, key: KeyType) -> Result<Realisation, Refusal> {
        Ok(match (key, self.register) {
            (KeyType::Register, RegisterType::MultiValue) => realisation::<MvRegister>(),
            (KeyType::Register, RegisterType::LastWriter) => realisation::<LwwRegister>(),
            (KeyType::Counter, _) => realisation::<PnCounter>(),
            (KeyType::Set, _) => realisation::<OrSet>(),
        })
    }

    fn fresh(&self, key: KeyType) -> CrdtEntry {
        match (key, self.register) {
            (KeyType::Register, RegisterType::MultiValue) => CrdtEntry::MvRegister(Box::default()),
            (KeyType::Register, RegisterType::LastWriter) => CrdtEntry::LwwRegister(LwwRegister::default()),
            (KeyType::Counter, _) => CrdtEntry::PnCounter(PnCounter::default()),
            (KeyType::Set, _) => CrdtEntry::OrSet(Box::default()),
        }
    }

    fn update(&self, entry: &mut CrdtEntry, op: Op, at: Accept<'_>, fates: &mut impl FnMut(Fate)) -> CrdtEntry {
        if at.context.is_none() && self.blind == Blind::Overwrite {
            let held = self.context(entry);
            return entry.update(
                op,
                Accept {
                    context: Some(&held),
                    ..at
                },
                fates,
            );
        }
        entry.update(op, at, fates)
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
        each!(entry, state => state.view())
    }

    fn versions(&self, entry: &CrdtEntry) -> Versions {
        each!(entry, state => state.versions())
    }

    fn context(&self, entry: &CrdtEntry) -> Context {
        each!(entry, state => state.context())
    }

    fn digest(&self, entry: &CrdtEntry) -> u64 {
        each!(entry, state => state.digest())
    }

    fn state_hash(&self, entry: &CrdtEntry) -> u64 {
        each!(entry, state => state.state_hash())
    }

    fn entry_size(&self, entry: &CrdtEntry) -> Size {
        each!(entry, state => state.size())
    }

    fn delta_size(&self, delta: &CrdtEntry) -> Size {
        self.entry_size(delta)
    }

    fn keeping(&self, key: KeyType) -> Keeping {
        match (key, self.register) {
            (KeyType::Register, RegisterType::MultiValue) => MvRegister::KEEPING,
            (KeyType::Register, RegisterType::LastWriter) => LwwRegister::KEEPING,
            (KeyType::Counter, _) => PnCounter::KEEPING,
            (KeyType::Set, _) => OrSet::KEEPING,
        }
    }

    fn rank(&self, delta: &CrdtEntry) -> Option<Rank> {
        each!(delta, state => state.rank())
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
