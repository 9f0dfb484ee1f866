//! Floor 3: what agents share. The replicated data types behind the consistency models, as data without I/O.
//!
//! Nothing here sends, waits or reads a clock. A replica host keeps one [`Resolution::Entry`] for each key, hands it
//! accepted updates and arrived deltas, and ships what comes back. Which model a store runs is one value of a type that
//! implements [`Resolution`]; a new model is one new file and one line in [`models`].
//!
//! # One identity for every effect
//!
//! Every accepted update of a key is named by a [`Dot`]: (origin, number). The *origin* is a replica in one of its lives,
//! and the *number* counts the updates of **that key** which that origin has accepted, from 1, without gaps. The host gives
//! the dots; outranked writes, removals of absent elements and inserts of present ones take one too.
//!
//! * Counting per key and origin keeps what a replica has seen of a key contiguous. It is a version vector (8 bytes for
//!   each origin that ever wrote the key), plus the few dots that arrived out of order: [`DotSet`]. A million increments
//!   cost what one costs. Numbers per store would leave gaps in every key that never close.
//! * The host numbers in durable state, beside the entry: four bytes for each key that a replica has accepted updates of.
//! * Models that need unique tags (vectors, add-wins sets, counters) use the dot as their tag, as real stores do. So a
//!   replica that loses its state (or falls back to an older one) must come back as a new origin (the next *life*); otherwise its new dots would be taken
//!   for old ones, which is the reason for actor epochs in Riak. Last-write-wins only carries the dot along: it decides by
//!   stamp, then origin, and compares numbers only between writes of one origin with one stamp.
//! * The outside judge keeps the map (key, dot) -> operation. No model ever sees an operation's identity.
//!
//! What the judge can answer exactly, and from what:
//!
//! * *Which effects did this read see?* [`View::versions`]. [`Versions::Heads`]: the value is made of these versions, and
//!   each of them contains what it was built on ([`Fate::BuiltOn`], said once, when it was accepted).
//!   [`Versions::Effects`]: the value is the fold of exactly these effects.
//! * *What does this replica hold?* The same of [`Resolution::versions`], or step by step from the fates:
//!   [`Fate::Applied`] adds, [`Fate::Outranked`] takes away.
//! * *What was outranked by what?* [`Fate::Outranked`]. Where causality decides, the winner is named at the replica that
//!   accepted it; later merges elsewhere only repeat that decision, and may say `None`.
//! * *Would the store's own resolution keep this effect?* [`Resolution::keeping`], with [`Resolution::rank`] of its delta
//!   where the order is total.
//!
//! # Sizes
//!
//! Bytes are charged by one documented wire format, [`wire`], not by the memory layout of this program. Values and
//! elements are ids here; a [`Size`] says how many of them there are, and the host knows what each weighs.

pub mod clock;
pub(crate) mod content;
pub mod crdt;
pub mod document;
pub mod dots;
pub mod dotted;
pub mod journal;
pub mod lww;
pub mod ot;
pub mod session;
pub mod siblings;
pub mod value;
pub mod version_vector;

#[cfg(test)]
mod laws;

pub use clock::Clock;
pub use crdt::Crdt;
pub use dots::{Dot, DotRange, DotSet, Origin, VersionVector};
pub use dotted::DottedVersionVectors;
pub use lww::LastWriteWins;
pub use ot::OperationalTransformation;
pub use session::{Guarantees, Memory, Session, Token};
pub use value::{Field, Held, KeyType, Op, Span, Value};
pub use version_vector::VersionVectors;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt::Debug;
use thiserror::Error;

/// Bytes of the parts of an entry or delta on the wire (and, for metadata, at rest).
pub mod wire {
    /// A time stamp.
    pub const STAMP: u64 = 8;
    /// An origin and a number: a dot, or one component of a version vector.
    pub const DOT: u64 = 8;
    /// The length that precedes a list.
    pub const COUNT: u64 = 4;
    /// A sum of increments.
    pub const SUM: u64 = 8;
    /// An origin by itself.
    pub const ORIGIN: u64 = 4;
}

/// The causal context that a read returns and the next write sends back: everything that the reader has seen of the key.
///
/// Empty under models that don't use one. Costs nothing to clone when empty, and one small allocation otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// The effects that the reader has seen, superseded ones included.
    pub seen: DotSet,
    /// Of a text that keeps its tombstones: the update is made on just this, whatever else its replica has heard of.
    pub is_all: bool,
}

impl Context {
    /// Bytes on the wire: nothing when empty, otherwise the dot set.
    pub fn bytes(&self) -> u64 {
        if self.seen.is_empty() { 0 } else { self.seen.bytes() }
    }
}

/// How an update reached the replica that accepts it.
#[derive(Debug, Clone, Copy)]
pub struct Accept<'a> {
    /// The update's identity; its origin is the accepting replica.
    pub dot: Dot,
    /// The accepting replica's reading of its clock, in nanoseconds (or whatever orders stamps under the model).
    pub stamp: i64,
    /// What the client sent back from its last read or write; `None` for a blind update.
    pub context: Option<&'a Context>,
}

/// The identities behind a visible value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Versions {
    /// The value is made of these versions, in order of their dots: none, one, or all siblings that are shown.
    Heads(Vec<Dot>),
    /// The value is the fold of exactly these effects (of an add-wins set while fragments are out of order: see there).
    Effects(DotSet),
}

impl Versions {
    /// Whether `dot` is listed itself; heads contain more, by what they were built on.
    pub fn contains(&self, dot: Dot) -> bool {
        match self {
            Self::Heads(heads) => heads.binary_search(&dot).is_ok(),
            Self::Effects(set) => set.contains(dot),
        }
    }
}

/// What a read returns.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The visible value.
    pub value: Value,
    /// What it is made of, for the judge.
    pub versions: Versions,
    /// What the client sends back with its next write.
    pub context: Context,
}

/// A character of a text: the insertion that brought it, and its place among what that brought, from 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Char {
    /// The insertion.
    pub dot: Dot,
    /// The place.
    pub place: u32,
}

/// What happened to an effect at one replica. Merging the same thing again may repeat an [`Fate::Outranked`], never an
/// [`Fate::Applied`] without an outranking in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// These effects are now part of what the replica shows or, for siblings, keeps.
    Applied(DotRange),
    /// `version` was computed from `base` by the accepting replica: the effects of `base` live on in it.
    BuiltOn {
        /// The new version.
        version: Dot,
        /// The version that it was computed from.
        base: Dot,
    },
    /// The accepting replica put the characters of an insertion into a text after this one (`None`: at the beginning).
    Placed {
        /// The insertion.
        version: Dot,
        /// The character before it.
        after: Option<Char>,
    },
    /// The accepting replica found these characters of a text in the range that a deletion takes.
    Took {
        /// The deletion.
        version: Dot,
        /// The first character.
        first: Char,
        /// How many, of the same insertion and one after the other.
        length: u32,
    },
    /// `loser` is not visible at this replica any more, or never became so.
    Outranked {
        /// The effect that lost.
        loser: Dot,
        /// What it lost to; `None` where a merge repeats a decision that another replica took.
        winner: Option<Dot>,
    },
}

impl Fate {
    /// One effect became visible.
    pub fn applied(dot: Dot) -> Self {
        Self::Applied(DotRange::one(dot))
    }

    /// `loser` lost to `winner`.
    pub fn outranked(loser: Dot, winner: Dot) -> Self {
        Self::Outranked {
            loser,
            winner: Some(winner),
        }
    }
}

/// Which effects a model keeps when it has heard of all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keeping {
    /// The one of highest [`Rank`].
    Ranked,
    /// Those that no other version's writer had seen.
    Causal,
    /// All of them.
    All,
    /// All but the inserts of a set that a remove ends which had not seen them.
    Removals,
}

/// A version's place in a model's total order; the highest is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Rank {
    /// The stamp, which is compared first.
    pub stamp: i64,
    /// The tie-break: origin, then number.
    pub dot: Dot,
}

/// How much an entry or a delta weighs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Size {
    /// Values, sums or elements that a reader wants.
    pub values: u64,
    /// Values or elements that are there only because the model keeps more than one version (siblings).
    pub spare: u64,
    /// Characters that a reader wants, a byte each.
    pub text: u64,
    /// Bytes of stamps, dots, vectors and tombstones.
    pub metadata: u64,
}

impl Size {
    /// Bytes in all, where each value weighs `value_bytes`.
    pub fn total(self, value_bytes: u64) -> u64 {
        (self.values + self.spare) * value_bytes + self.text + self.metadata
    }

    /// Bytes of what a reader wants, where each value weighs `value_bytes`.
    pub fn content(self, value_bytes: u64) -> u64 {
        self.values * value_bytes + self.text
    }

    /// Bytes of metadata, siblings included, where each value weighs `value_bytes`.
    pub fn overhead(self, value_bytes: u64) -> u64 {
        self.spare * value_bytes + self.metadata
    }
}

/// How a model realises the operations of one type of key: a sentence or more for the reference and for `check`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Realisation(pub Cow<'static, str>);

/// Why a model has no such key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{model} has no {key} keys: {reason}")]
pub struct Refusal {
    /// The model's name.
    pub model: &'static str,
    /// What was asked for.
    pub key: KeyType,
    /// Why not, and what would do instead.
    pub reason: Cow<'static, str>,
}

/// A model of how concurrent updates of one key are resolved: state, deltas and their merge.
///
/// Guaranteed by every implementation: once all replicas have merged the same deltas (each at least once, in any order)
/// or have joined each other's entries until nothing changes, their entries are equal. `merge` and `join` are commutative,
/// associative and idempotent on reachable states unless the model's page says which law it breaks.
///
/// # Panics
/// `update` and `fresh` panic on an operation or a key type that `supports` or `refuses` refuse: the plan and the store have
/// checked that before.
pub trait Resolution: Clone + Send + 'static {
    /// One key at one replica.
    type Entry: Clone + Debug + PartialEq + Send + Serialize + DeserializeOwned;
    /// What is shipped between replicas about one key: the news of one update, or of several ([`Resolution::batch`]).
    type Delta: Clone + Debug + PartialEq + Send + Serialize + DeserializeOwned;

    /// The name under which the registry lists the model.
    fn name(&self) -> &'static str;

    /// How keys of this type are realised.
    ///
    /// # Errors
    /// A [`Refusal`] if the model has no such keys.
    fn supports(&self, key: KeyType) -> Result<Realisation, Refusal>;

    /// Why keys of this type don't admit an operation that their type has, if they don't: a store refuses it.
    fn refuses(&self, _key: KeyType, _op: Op) -> Option<&'static str> {
        None
    }

    /// A key that nobody has written yet: registers empty, counters 0, sets empty.
    fn fresh(&self, key: KeyType) -> Self::Entry;

    /// Accepts an update, and returns what the other replicas need to hear of it.
    fn update(&self, entry: &mut Self::Entry, op: Op, at: Accept<'_>, fates: &mut impl FnMut(Fate)) -> Self::Delta;

    /// Takes in another replica's news; true if the entry changed.
    fn merge(&self, entry: &mut Self::Entry, delta: &Self::Delta, fates: &mut impl FnMut(Fate)) -> bool;

    /// Takes in another replica's whole entry (anti-entropy); true if the entry changed.
    fn join(&self, entry: &mut Self::Entry, other: &Self::Entry, fates: &mut impl FnMut(Fate)) -> bool;

    /// Adds `next` to a delta that waits to be shipped: merging the batch equals merging both.
    fn batch(&self, batch: &mut Self::Delta, next: &Self::Delta);

    /// What a read returns now.
    fn view(&self, entry: &Self::Entry) -> View;

    /// What the visible value is made of: the same as [`View::versions`], without the value.
    fn versions(&self, entry: &Self::Entry) -> Versions {
        self.view(entry).versions
    }

    /// The updates that have come and have no effect yet, since they wait for others.
    fn held_back(&self, _entry: &Self::Entry) -> Vec<Dot> {
        Vec::new()
    }

    /// The versions that the entry keeps, ascending: those that it shows, and those that its rule of merging hides.
    fn kept(&self, entry: &Self::Entry) -> Vec<Dot> {
        match self.versions(entry) {
            Versions::Heads(heads) => heads,
            Versions::Effects(_) => Vec::new(),
        }
    }

    /// What an acknowledged update returns to its client: the context after it.
    fn context(&self, entry: &Self::Entry) -> Context;

    /// A hash of the visible value alone: replicas that differ in it diverge.
    fn digest(&self, entry: &Self::Entry) -> u64;

    /// A hash of the replicated state: what anti-entropy compares before it ships an entry. Equal states hash equally.
    fn state_hash(&self, entry: &Self::Entry) -> u64;

    /// What the entry weighs when it is shipped whole, and what of it is metadata.
    fn entry_size(&self, entry: &Self::Entry) -> Size;

    /// What the delta weighs.
    fn delta_size(&self, delta: &Self::Delta) -> Size;

    /// Which effects the resolution keeps in the end.
    fn keeping(&self, key: KeyType) -> Keeping;

    /// The rank of the version in a delta, where the model is [`Keeping::Ranked`].
    fn rank(&self, delta: &Self::Delta) -> Option<Rank>;

    /// How many deleted elements or characters an entry keeps because others might not know of it.
    fn tombstones(&self, _entry: &Self::Entry) -> u64 {
        0
    }

    /// Forgets tombstones that aren't needed any more, where every replica has heard of `stable`, and all that any of them had
    /// written by the time when it had, has come here; how many it was. The value stays.
    fn collect(&self, _entry: &mut Self::Entry, _stable: &VersionVector) -> u64 {
        0
    }

    /// Of news that says so: who wrote it, and what that origin had heard of the key by then.
    fn told(&self, _delta: &Self::Delta) -> Option<(Origin, VersionVector)> {
        None
    }

    /// The site that an entry is, where texts go through a central server.
    fn site<'e>(&self, _entry: &'e mut Self::Entry) -> Option<&'e mut ot::Site> {
        None
    }

    /// Hints that the entry will be asked for soon: asks the processor for the memory behind it that a merge would wait for.
    fn touch(&self, _entry: &Self::Entry) {}

    /// The stamp of the version that an entry holds, where versions have one.
    fn stamp(&self, _entry: &Self::Entry) -> Option<i64> {
        None
    }
}

/// A model's page in the reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelInfo {
    /// The word in a scenario.
    pub name: &'static str,
    /// A title for headings and tables.
    pub title: &'static str,
    /// Markdown: what it guarantees, how each type of key is realised, what it costs.
    pub doc: &'static str,
    /// The types of key that it has.
    pub keys: &'static [KeyType],
}

/// Every model of this folder, in the order of the reference.
pub fn models() -> &'static [ModelInfo] {
    use crdt::Lattice;
    &[
        lww::INFO,
        version_vector::INFO,
        dotted::INFO,
        crdt::INFO,
        crdt::LwwRegister::INFO,
        crdt::MvRegister::INFO,
        crdt::PnCounter::INFO,
        crdt::GCounter::INFO,
        crdt::OrSet::INFO,
        crdt::RemoveWinsSet::INFO,
        crdt::TwoPhaseSet::INFO,
        crdt::GSet::INFO,
        crdt::OrMap::INFO,
        crdt::Text::INFO,
        crdt::Causal::INFO,
        ot::INFO,
    ]
}

/// Hashing of values and states: the finaliser of SplitMix64, chained.
pub(crate) mod hash {
    /// Moves about half of the output bits for every input bit; a bijection.
    #[inline]
    pub const fn mix(z: u64) -> u64 {
        let z = z.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Adds `word` to a running hash; order matters.
    #[inline]
    pub const fn chain(hash: u64, word: u64) -> u64 {
        mix(hash.rotate_left(5) ^ word)
    }

    /// The hash of a name; equal names hash equally on every platform.
    pub fn of_name(name: &str) -> u64 {
        let start = mix(name.len() as u64);
        name.as_bytes().chunks(8).fold(start, |hash, part| {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            chain(hash, u64::from_le_bytes(word))
        })
    }
}
