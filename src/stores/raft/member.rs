//! What a replica keeps as a member of a group.

use super::RaftSpec;
use crate::coordination::raft::{Id, Identity, Index, Members, Node, Sessions};
use crate::kernel::{Key, SimDuration, SimTime};
use crate::state::{Op, Origin, Resolution};
use crate::world::population::{Endpoint, purpose};
use crate::world::slab::Handle;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// An update in the log.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(in crate::stores) struct Command {
    pub key: u32,
    pub op: Op,
    /// The version of the key that must be there.
    pub expects: Option<u64>,
    /// Whether it came with a context.
    pub informed: bool,
    /// Whose it is. This is for records alone; a real entry has none of it.
    pub source: Source,
}

/// The call of an update.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(in crate::stores) struct Source {
    pub identity: u64,
    pub client: u32,
    pub began: SimTime,
    #[serde(skip)]
    pub call: Handle,
}

/// The state of all keys, in place of a log.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(in crate::stores) struct Image<R: Resolution> {
    /// The keys that were ever updated, with their versions.
    pub keys: Vec<(u32, R::Entry, u32)>,
    /// The conditional updates that were refused.
    pub moved: Sessions,
    /// The last command that was applied.
    pub decided: Index,
}

/// An attempt that waits.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Waiting {
    pub attempt: Handle,
    pub since: SimTime,
    /// How long the replica had stood still in all when it came.
    pub stalled: SimDuration,
}

/// What is refused when it has waited too long.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) enum Deadline {
    Update(Identity, Handle),
    Read(u64),
}

/// The timer of a member: one entry, which may come early.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Timer {
    pub number: u64,
    /// When the entry of that number comes, unless it has come.
    pub at: Option<SimTime>,
    /// It came while the replica stood still.
    pub overdue: bool,
}

/// A replica's place in one of the groups.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::stores) struct Seat {
    pub replica: u32,
    pub shard: u32,
}

/// The bits of a timer's word that are its number; the group is above them.
const NUMBER_BITS: u32 = 48;

impl Seat {
    /// The word of a timer of this member.
    pub(super) fn timer_word(self, number: u64) -> u64 {
        number | u64::from(self.shard) << NUMBER_BITS
    }

    /// Which member's timer it is, and its number.
    pub(super) fn of_timer(replica: u32, word: u64) -> (Self, u64) {
        let shard = (word >> NUMBER_BITS) as u32;
        (Self { replica, shard }, word & ((1 << NUMBER_BITS) - 1))
    }
}

/// A replica as a member of a group.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(in crate::stores) struct Member<R: Resolution> {
    pub(super) node: Node<Command, Image<R>>,
    pub(super) updates: BTreeMap<Identity, Vec<Waiting>>,
    pub(super) reads: BTreeMap<u64, (u32, Waiting)>,
    /// Of those the ones that wait for what their session has seen, by the entry.
    pub(super) behind: BTreeSet<(Index, u64)>,
    /// Ascending.
    pub(super) deadlines: VecDeque<(SimTime, Deadline)>,
    /// When the entry comes that looks at them first.
    pub(super) deadline_at: Option<SimTime>,
    pub(super) timer: Timer,
    /// The names that it has given to proposals and reads, on disk.
    pub(super) names: u64,
    /// Messages that it has sent.
    pub(super) sent: u64,
    /// How long it has stood still in all.
    pub(super) stalled: SimDuration,
    /// The conditional updates that were refused: a part of the state.
    pub(super) moved: Sessions,
    /// The last command that was applied here.
    pub(super) decided: Index,
    /// It has crashed, and hasn't begun again.
    pub(super) crashed: bool,
    /// As a leader in the place of another one: after how many more of its timers it hands over.
    pub(super) patience: u32,
}

/// The key of a member's draws: those of the first group are the replica's own, so that more groups change nothing about it.
fn key_of(endpoint: &Endpoint, shard: u32) -> Key {
    match shard {
        0 => endpoint.key,
        shard => endpoint.key.child("shard").member(u64::from(shard)),
    }
}

/// The name of a replica as a member, in one of its lives.
pub(super) fn id_of(origin: Origin) -> Id {
    Id(u32::from(origin.replica()) | u32::from(origin.life()) << 16)
}

/// The replica that a member is.
pub(super) fn place_of(id: Id) -> u32 {
    id.0 & 0xffff
}

impl<R: Resolution> Member<R> {
    /// A founder of each of a store's groups, of so many replicas.
    pub(in crate::stores) fn founders(
        spec: &RaftSpec,
        origin: Origin,
        endpoint: &Endpoint,
        replicas: u32,
    ) -> Vec<Self> {
        let found = |shard| {
            let founders = Members::of((0..replicas).map(Id));
            let key = key_of(endpoint, shard);
            Self::with(Node::new(
                id_of(origin),
                spec.settings(),
                founders,
                key,
                purpose::ELECTION,
            ))
        };
        (0..spec.sharding.count()).map(found).collect()
    }

    fn with(node: Node<Command, Image<R>>) -> Self {
        Self {
            node,
            updates: BTreeMap::new(),
            reads: BTreeMap::new(),
            behind: BTreeSet::new(),
            deadlines: VecDeque::new(),
            deadline_at: None,
            timer: Timer::default(),
            names: 0,
            sent: 0,
            stalled: SimDuration::ZERO,
            moved: Sessions::default(),
            decided: 0,
            crashed: false,
            patience: 0,
        }
    }

    /// The member that a replica becomes whose disk is gone.
    pub(super) fn reborn(
        &mut self,
        spec: &RaftSpec,
        (origin, shard): (Origin, u32),
        contacts: Vec<Id>,
        endpoint: &Endpoint,
    ) {
        let lives = (0..origin.life()).map(|life| id_of(Origin::new(origin.replica(), life)));
        let way = (contacts, lives.collect());
        // A life draws timeouts of its own.
        let key = key_of(endpoint, shard).member(u64::from(origin.life()));
        self.node = Node::joining(id_of(origin), spec.settings(), way, key, purpose::ELECTION);
        self.moved = Sessions::default();
        (self.decided, self.names) = (0, 0);
    }
}
