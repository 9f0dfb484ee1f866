//! What a replica keeps as a member of a group.

use super::RaftSpec;
use crate::coordination::raft::{Id, Identity, Index, Members, Node, Sessions};
use crate::kernel::{SimDuration, SimTime};
use crate::state::{Op, Origin, Resolution};
use crate::world::population::{Endpoint, purpose};
use crate::world::slab::Handle;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

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

/// A replica as a member of a group.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(in crate::stores) struct Member<R: Resolution> {
    pub(super) node: Node<Command, Image<R>>,
    pub(super) updates: BTreeMap<Identity, Vec<Waiting>>,
    pub(super) reads: BTreeMap<u64, (u32, Waiting)>,
    /// Ascending: all wait equally long.
    pub(super) deadlines: VecDeque<(SimTime, Deadline)>,
    pub(super) deadline_set: bool,
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
    /// A founder of a group of so many.
    pub(in crate::stores) fn founder(spec: &RaftSpec, origin: Origin, endpoint: &Endpoint, replicas: u32) -> Self {
        let founders = Members::of((0..replicas).map(Id));
        let node = Node::new(
            id_of(origin),
            spec.settings(),
            founders,
            endpoint.key,
            purpose::ELECTION,
        );
        Self::with(node)
    }

    fn with(node: Node<Command, Image<R>>) -> Self {
        Self {
            node,
            updates: BTreeMap::new(),
            reads: BTreeMap::new(),
            deadlines: VecDeque::new(),
            deadline_set: false,
            timer: Timer::default(),
            names: 0,
            sent: 0,
            stalled: SimDuration::ZERO,
            moved: Sessions::default(),
            decided: 0,
            crashed: false,
        }
    }

    /// The member that a replica becomes whose disk is gone.
    pub(super) fn reborn(&mut self, spec: &RaftSpec, origin: Origin, contacts: Vec<Id>, endpoint: &Endpoint) {
        let lives = (0..origin.life()).map(|life| id_of(Origin::new(origin.replica(), life)));
        let way = (contacts, lives.collect());
        // A life draws timeouts of its own.
        let key = endpoint.key.member(u64::from(origin.life()));
        self.node = Node::joining(id_of(origin), spec.settings(), way, key, purpose::ELECTION);
        self.moved = Sessions::default();
        (self.decided, self.names) = (0, 0);
    }
}
