//! A replica: what it holds of each key, what it remembers of calls, and what waits for it.

use super::causal::Order;
use super::ot;
use super::primary::Desk;
use super::quorum::Coordinator;
use super::raft::Member;
use super::stability::Knowledge;
use super::stamping::Stamps;
use super::subscriptions::Subscriptions;
use super::waiting::Parked;
use super::words::{char_word, origin_word};
use crate::kernel::prefetch;
use crate::kernel::{SimTime, Ticket};
use crate::state::{Context, Dot, Fate, Origin, Resolution, VersionVector};
use crate::world::message::Message;
use crate::world::population::{Cx, Endpoint};
use crate::world::record::What;
use crate::world::slab::Handle;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// One key at one replica.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Slot<E> {
    pub(super) entry: E,
    /// Updates of this key that this origin has accepted; under Raft those that were applied.
    pub(super) number: u32,
    /// Whether anything ever reached the key here.
    pub(super) touched: bool,
    /// Whether the key is a text.
    #[serde(skip)]
    pub(super) is_text: bool,
    /// Whether `hash` isn't that of `entry`.
    pub(super) changed: bool,
    /// A hash of the replicated state.
    pub(super) hash: u64,
    /// The digest of the visible value, if anybody watches.
    pub(super) shown: u64,
}

impl<E> Slot<E> {
    /// Hints that it will be asked for soon. It may lie across two cache lines.
    pub(super) fn touch(&self) {
        prefetch(&self.entry);
        prefetch(&self.shown);
    }
}

/// What reached a replica while it stood still.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) enum Waiting {
    Request(Handle),
    Peer(Message),
}

impl<R: Resolution> Replica<R> {
    /// What its own updates of a key build on: what it holds, or, of a key that it doesn't keep, what it has accepted for others.
    pub(super) fn own_entry(&self, key: u32) -> &R::Entry {
        let slot = &self.slots[key as usize];
        self.coordinator.outside.get(&key).unwrap_or(&slot.entry)
    }
}

/// A replica's memory of calls that it recognises.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(super) enum Known<R: Resolution> {
    /// Being worked on; these attempts wait for the same answer.
    InWork(Vec<Handle>),
    /// Accepted, and not yet acknowledged by enough replicas.
    Accepted {
        delta: R::Delta,
        dot: Dot,
        /// The operation that sees to it, if it is still under way.
        operation: Handle,
    },
    /// Applied, and acknowledged.
    Done,
}

/// An update that was accepted.
#[derive(Debug, Clone)]
pub(super) struct Accepted<R: Resolution> {
    pub(super) delta: R::Delta,
    pub(super) dot: Dot,
    /// What its client gets back.
    pub(super) context: Context,
}

/// A request in work.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Job {
    pub(super) attempt: Handle,
    pub(super) identity: u64,
    pub(super) began: SimTime,
    pub(super) due: SimTime,
    pub(super) ticket: Ticket,
    /// Its entry came while the replica stood still.
    pub(super) overdue: bool,
}

/// One replica.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(super) struct Replica<R: Resolution> {
    pub(super) endpoint: Endpoint,
    pub(super) stamps: Stamps,
    pub(super) origin: Origin,
    pub(super) slots: Vec<Slot<R::Entry>>,
    pub(super) known: BTreeMap<u64, Known<R>>,
    pub(super) in_work: Vec<Handle>,
    pub(super) down: bool,
    /// It has lost its state, and hasn't asked its peers for it yet.
    pub(super) bereft: bool,
    pub(super) paused: Option<SimTime>,
    pub(super) inbox: VecDeque<Waiting>,
    /// Shipments that were due while it was down or stood still.
    pub(super) outbox: Vec<Handle>,
    /// News by key that waits to be sent together.
    pub(super) batch: BTreeMap<u32, R::Delta>,
    pub(super) batch_number: u64,
    pub(super) batch_open: bool,
    pub(super) round: u64,
    pub(super) round_set: bool,
    /// Updates sent to peers, batches counted once.
    pub(super) exchanges: u64,
    /// What the others have heard of.
    pub(super) knowledge: Knowledge,
    /// What it keeps where it coordinates quorums.
    pub(super) coordinator: Coordinator<R>,
    /// Of each lock service the newest token that an update has brought.
    pub(super) fences: BTreeMap<u32, u64>,
    /// What it keeps where one replica is the primary.
    pub(super) desk: Option<Box<Desk<R>>>,
    /// What it knows of the order of updates.
    pub(super) order: Order<R>,
    /// Which clients hear of changes.
    pub(super) subscriptions: Subscriptions,
    /// What it keeps as a member of each group, by the group.
    pub(super) raft: Vec<Member<R>>,
    /// What it keeps of its talk with a central server.
    pub(super) central: ot::Desk,
    /// Updates that wait for what they build on, in the order of arrival.
    pub(super) parked: Vec<Parked>,
    /// How many have waited so far.
    pub(super) waits: u64,
    /// Of texts that are replaced as a whole: what it has heard of.
    pub(super) heard: BTreeMap<u32, VersionVector>,
}

/// The records of what happens to effects of one key at one replica.
pub(super) fn tell(cx: &mut Cx<'_, '_>, replica: u32, key: u64, fate: Fate) {
    match fate {
        Fate::Applied(range) => {
            let numbers = u64::from(range.first) << 32 | u64::from(range.last);
            cx.record(What::Applied, replica, [key, origin_word(range.origin), numbers]);
        }
        Fate::BuiltOn { version, base } => cx.record(What::BuiltOn, replica, [key, version.bits(), base.bits()]),
        Fate::Placed { version, after } => cx.record(What::Placed, replica, [key, version.bits(), char_word(after)]),
        Fate::Took { version, first, length } => {
            let words = [u64::from(first.place) << 32 | u64::from(length)];
            cx.record_with(What::Took, replica, [key, version.bits(), first.dot.bits()], &words);
        }
        Fate::Outranked { loser, winner } => {
            let winner = winner.map_or(u64::MAX, Dot::bits);
            cx.record(What::Outranked, replica, [key, loser.bits(), winner]);
        }
    }
}

/// Marks a key as changed, and records what a reader sees now, if that is news.
pub(super) fn show<R: Resolution>(model: &R, slot: &mut Slot<R::Entry>, replica: u32, key: u64, cx: &mut Cx<'_, '_>) {
    (slot.changed, slot.touched) = (true, true);
    if cx.wants(What::Visible) {
        let digest = model.digest(&slot.entry);
        if digest != slot.shown {
            slot.shown = digest;
            cx.record(What::Visible, replica, [key, digest, 0]);
        }
    }
}
