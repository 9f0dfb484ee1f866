//! Quorums: a replica that is asked coordinates, and an operation is done when enough replicas have taken part in it.
//!
//! This is the design of Dynamo (DeCandia et al., SOSP 2007), and of Cassandra and Riak after it, over any [`Resolution`]. A
//! layer in [`Store`](super::Store): replicas, stamps, records, anti-entropy and what faults do to them are its own. In reading
//! order: [`placement`] says which replicas keep a key; `coordinate` begins operations and ends them; `legs` is what travels
//! between a coordinator and the replicas; `handoff` keeps hints for those that don't answer; `passing` hands an update to a
//! replica that keeps its key; `alarms` are the coordinators' timers.
//!
//! Guarantees: with `r + w > n`, a strict quorum and no lost disk, a read shows whatever was acknowledged before it began, or
//! what replaced it. A coordinator knows of the death of a replica by missing answers alone. What an operation has reached
//! stays there, whether or not the operation is refused.
//!
//! An update is logged by its coordinator when it is accepted, and is in the coordinator's own store after the time of its
//! write leg: only then reads see it, and only then it counts.

mod alarms;
mod coordinate;
mod handoff;
mod legs;
mod passing;
pub mod placement;
#[cfg(test)]
mod tests;

pub(super) use alarms::Alarm;
pub(super) use coordinate::{Operation, Staged};
pub(super) use handoff::Hints;
pub(super) use legs::Leg;
pub use placement::Placement;

use crate::kernel::{SimDuration, SimTime};
use crate::random::Law;
use crate::state::{KeyType, ModelInfo, Resolution};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// The most replicas of a store with quorums.
pub const MOST_REPLICAS: usize = 64;

/// The model's page in the reference.
pub const INFO: ModelInfo = ModelInfo {
    name: "quorum",
    title: "Quorums",
    keys: KeyType::ALL,
    doc: "\
The replica that is asked coordinates (DeCandia et al. 2007). A write goes to all `n` replicas that keep the key, and is acknowledged
when `w` of them have it. A read asks all `n`, joins the first `r` answers, and shows what they make together. What is kept of
concurrent updates is the choice of `resolve`: any of the models below, with its types of keys, its clocks and its costs.

With `r + w > n` every read meets every acknowledged write: a read that begins after the acknowledgement shows the write, or what
replaced it. That isn't linearizable: of two reads during a write the first may show it and the second not. Last write wins by wall
clocks may still drop an acknowledged write at once, for one of a clock that is ahead. With `r + w` up to `n` reads may be stale, for
as long as the write takes to the replicas that it hasn't reached.

*Which replicas keep a key.* All of them, or with `n` below their number the first `n` on a ring of hashes, from the hash of the
key's name on (64 places for each replica): the preference list. Reads are coordinated by whoever is asked. An update that reaches a
replica outside of the list is passed on to the first of the list that isn't suspected, and to the next after a quarter of the
timeout without a word from it.

*When too few answer.* After `timeout` the coordinator refuses. The update stays where it has arrived, and spreads from there; an
attempt that brings the same idempotency key to the same replica goes on with the same update. A coordinator suspects a replica that
didn't answer in time until it hears from it, or for ten timeouts.

*Hinted handoff.* Of a replica that hasn't acknowledged a write after `after`, a hint is kept: by the coordinator or, with `sloppy`, by
the next replica beyond the preference list that isn't suspected. Hints are durable, aren't read, and are offered every `retry` until
they are taken or older than `keep`. With `sloppy` the acknowledgement of whoever keeps a hint counts as one of the `w`, at once where
the coordinator suspects the replica already: writes stay available, and reads may be stale although `r + w > n`. What is only in a
hint at the end counts as lost. A replica that leaves an offer unanswered gets one hint at a time until it takes it. With
`sloppy` a write to a register that reaches a replica outside of the list, while that suspects the whole list, is coordinated by this replica, as in
Dynamo: it goes to the first `n` of the ring that aren't suspected, all of which keep hints. Any other update is computed from what its
key holds, and refused where none of the list can be reached; so are reads, which ask the list alone.

*Read repair.* With `read_repair` a coordinator waits for the answers beyond the first `r`, up to the timeout, and sends what all of
them make together to each replica that answered with something else.

*Texts.* A position counts the characters that the agent's read showed, which may be more than any one replica holds. A coordinator that
keeps the key therefore takes in what its own reads of a text have found, with or without `read_repair`. An edit that gets to another
coordinator counts those of them that are there.

*Time.* `legs` gives each part of an operation a time of its own, in addition to the network: `write` and `read` to a replica, `ack` and
`reply` back. A coordinator that keeps the key sends to itself as well, with these times and without the network. The store's `time`
is what the replica that is asked takes before it begins.

Costs: a write sends its news to `n` replicas and waits for `w`; a read brings `r` whole entries to the coordinator and `n - r` more
that come too late. Each message names its operation in 8 bytes.
",
};

/// How many replicas take part in an operation, and what happens when they don't.
#[derive(Debug, Clone, PartialEq)]
pub struct QuorumSpec {
    /// How many replicas keep a key: from 1 to all.
    pub n: u32,
    /// How many answers a read waits for.
    pub r: u32,
    /// How many acknowledgements a write waits for.
    pub w: u32,
    /// Whether coordinators send what reads have found to replicas that lack it.
    pub read_repair: bool,
    /// How hints are kept for replicas that don't answer; `None`: not at all.
    pub hinted_handoff: Option<HintedHandoff>,
    /// Whether hints are kept by replicas beyond the preference list, whose acknowledgements count.
    pub sloppy: bool,
    /// How long a coordinator waits for enough answers before it refuses.
    pub timeout: SimDuration,
    /// How long the legs take beside the network.
    pub legs: Legs,
    /// Which replicas keep which key.
    pub placement: Arc<Placement>,
}

/// How hints are kept.
#[derive(Debug, Clone, PartialEq)]
pub struct HintedHandoff {
    /// How long a replica may take to acknowledge a write before a hint is kept for it.
    pub after: SimDuration,
    /// The time between two offers of hints to their replica.
    pub retry: SimDuration,
    /// The age at which a hint is dropped.
    pub keep: SimDuration,
}

/// How long the legs of an operation take beside the network, in nanoseconds; `None`: no time. Drawn for each leg.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Legs {
    /// From the coordinator to a replica that shall write.
    pub write: Option<Law>,
    /// Back from it.
    pub ack: Option<Law>,
    /// From the coordinator to a replica that shall read.
    pub read: Option<Law>,
    /// Back from it.
    pub reply: Option<Law>,
}

impl QuorumSpec {
    /// Majorities of all `replicas`, strict, with a timeout of a second, and without repair or handoff.
    pub fn majority(replicas: u32) -> Self {
        let majority = replicas / 2 + 1;
        Self {
            n: replicas,
            r: majority,
            w: majority,
            read_repair: false,
            hinted_handoff: None,
            sloppy: false,
            timeout: SimDuration::from_secs(1),
            legs: Legs::default(),
            placement: Arc::new(Placement::everywhere(replicas)),
        }
    }

    /// The replicas that keep a key, in order of preference.
    pub fn list(&self, key: u32) -> &[u8] {
        &self.placement.order(key)[..self.n as usize]
    }

    /// The same as a set.
    pub(super) fn members(&self, key: u32) -> Members {
        self.list(key)
            .iter()
            .fold(Members::default(), |all, member| all.with(u32::from(*member)))
    }

    /// Whether a replica keeps a key.
    pub fn keeps(&self, member: u32, key: u32) -> bool {
        self.n as usize == self.placement.replicas() || self.list(key).iter().any(|other| u32::from(*other) == member)
    }
}

/// A set of replicas of one store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Members(u64);

impl Members {
    pub fn with(self, member: u32) -> Self {
        Self(self.0 | 1 << member)
    }

    pub fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    pub fn has(self, member: u32) -> bool {
        self.0 >> member & 1 == 1
    }

    pub fn count(self) -> u32 {
        self.0.count_ones()
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Its members, ascending.
    pub fn iter(self) -> impl Iterator<Item = u32> {
        (0..u64::BITS).filter(move |member| self.has(*member))
    }
}

/// What a replica keeps as a coordinator, and for others.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(super) struct Coordinator<R: Resolution> {
    /// Its timers: the ends of operations, looks at writes for handoff, and of updates that were passed on.
    pub alarms: [Alarm; 3],
    /// Until when each replica that didn't answer is suspected.
    pub suspected: BTreeMap<u32, SimTime>,
    /// By key, the updates that it has accepted and logged, and that aren't in its store yet.
    pub staged: BTreeMap<u32, VecDeque<Staged<R>>>,
    /// By key of those that it doesn't keep, what it has accepted while none of those could be reached that do.
    pub outside: BTreeMap<u32, R::Entry>,
    /// What it keeps for others.
    pub hints: Hints<R>,
    /// Answers to reads that it has given.
    pub replies: u32,
}

impl<R: Resolution> Default for Coordinator<R> {
    fn default() -> Self {
        Self {
            alarms: Default::default(),
            suspected: BTreeMap::new(),
            staged: BTreeMap::new(),
            outside: BTreeMap::new(),
            hints: Hints::default(),
            replies: 0,
        }
    }
}
