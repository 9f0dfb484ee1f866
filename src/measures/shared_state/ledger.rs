//! What the judge remembers: writes, keys, replicas, agents.

mod copies;
mod hearing;
mod lacking;

pub(super) use copies::Copy;
pub(super) use lacking::{Heard, Known};

use super::Watched;
use super::endings::slot_of;
use super::frontier::Frontier;
use super::past::Past;
use super::text::TextState;
use crate::kernel::{SimTime, in_large_pages, prefetch};
use crate::state::{Dot, DotSet, Keeping, KeyType, Op, Origin, Versions};
use crate::stores::words::of_version_words;
use std::cell::Cell;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// No write.
pub(super) const NONE: u32 = u32::MAX;
/// From how many spreading writes of a key on those that nobody lacks are taken off.
const SPREADING: usize = 64;
/// So many of the spreading writes of a key are looked at before its index of all.
const NEAR: usize = 4;
/// So many acknowledgements of a key are remembered, for reads that are under way.
const ACKS: usize = 8;

/// What was found out about a write.
pub(super) mod flag {
    /// It takes part in the counts.
    pub const COUNTED: u8 = 1;
    /// It is another version of an update that was accepted before.
    pub const DUPLICATE: u8 = 2;
    pub const CONCURRENT: u8 = 4;
    pub const CONFLICT: u8 = 8;
    pub const OVERWRITTEN: u8 = 16;
    pub const MONOTONIC_WRITES: u8 = 32;
    pub const WRITES_FOLLOW_READS: u8 = 64;
    /// Of ranked keys: another update had it before its eyes, in what it had read or in what its replica held.
    pub const SEEN: u8 = 128;
}

/// A version: one accepted update.
#[derive(Debug, Clone)]
pub(super) struct Write {
    pub op: Op,
    pub dot: Dot,
    pub stamp: i64,
    pub key: u32,
    pub agent: u32,
    /// The operation's number in its agent's program, from 1.
    pub number: u32,
    /// The place of its acknowledgement among all, from 1; 0 for none yet.
    pub acked: u64,
    pub acked_at: SimTime,
    /// Its causal past, itself included, as long as somebody may ask for it.
    pub past: Option<Past>,
    /// The versions that it was computed from.
    pub bases: Vec<u32>,
    /// What its agent had read and not every replica has heard of: it should be visible before.
    pub deps: Vec<Dep>,
    /// The versions that it was outranked by, unless ranks say it.
    pub winners: Vec<u32>,
    /// Of ranked keys: the latest of them that had seen it.
    pub successor: u32,
    /// Another version of the same update.
    pub again: u32,
    /// How many replicas have heard of it, and how many hold it.
    pub heard_by: u16,
    pub held_by: u16,
    pub flags: u8,
    /// Whether no replica lacks it, nor ever will unless it loses its state.
    pub settled: bool,
    /// Of ranked keys: whether nothing that had been accepted of its key outranked it when it was accepted.
    pub topmost: bool,
    /// Whether its agent has given it up: whatever it does next doesn't go by it.
    pub given_up: bool,
}

/// Something that an agent had read before it wrote.
#[derive(Debug, Clone)]
pub(super) enum Dep {
    /// A version.
    Read(u32),
    /// Effects of a key.
    Effects(u32, DotSet),
}

/// A key.
#[derive(Debug, Clone)]
pub(super) struct KeyState {
    pub kind: KeyType,
    pub keeping: Keeping,
    /// The places of the replicas that keep it among all, ascending.
    pub replicas: Arc<[u32]>,
    /// Whether its reads join what several replicas answer.
    pub joins: bool,
    /// Whether updates are taken into a log before they are shown.
    pub logs: bool,
    /// Whether agents keep what they read of it.
    pub is_kept: bool,
    /// Whether updates may say what their agent had read.
    pub aware: bool,
    /// The place of its store's first replica among all.
    pub first_replica: u32,
    /// The writes that some replica may lack, in the order of their acceptance.
    pub spreading: Vec<u32>,
    /// The pasts of what every replica has heard of, unless replicas note it one by one.
    base: Past,
    /// The agents of these writes, and the highest number of each.
    in_base: Vec<(u32, u32)>,
    /// Of ranked keys: the highest rank that was accepted.
    pub highest: Option<(i64, Dot)>,
    /// The writes by origin and number, ascending.
    versions: Vec<(Origin, Vec<u32>)>,
    /// Of ranked keys whose reads join: the writes by rank, ascending.
    by_rank: Vec<(i64, Dot, u32)>,
    /// The latest acknowledgements of writes: their places among all, and when.
    acks: VecDeque<(u64, SimTime)>,
    pub frontier: Frontier,
    /// Of sets: the inserts and the removes of each element.
    pub elements: BTreeMap<u64, [Side; 2]>,
    /// Of maps: the writes, the increases and the removals of each field.
    pub fields: BTreeMap<u32, [Side; 3]>,
    /// Of texts: where was inserted, and what was deleted.
    pub text: TextState,
    /// Everything that some write had in its past.
    pub seen: Past,
    /// Of ranked keys: what the agents of its updates knew, by what they had done and been told.
    pub told: Past,
    /// What live replicas show: each digest, and how many show it.
    pub shown: Vec<(u64, u32)>,
    pub diverged: Option<SimTime>,
    pub divergence: u64,
}

/// The sides of a map's field: its writes, its increases, its removals.
pub(super) fn side_of(op: Op) -> Option<(u32, usize)> {
    Some(match op {
        Op::Put { field, .. } => (field, 0),
        Op::Increase { field, .. } => (field, 1),
        Op::Drop { field } => (field, 2),
        _ => return None,
    })
}

/// The sides of a field that an operation on one side doesn't commute with.
pub(super) fn against(side: usize) -> &'static [usize] {
    [&[0, 2][..], &[2], &[0, 1]][side]
}

/// The inserts of one element, or its removes.
#[derive(Debug, Clone, Default)]
pub(super) struct Side {
    pub frontier: Frontier,
    /// What they had in their pasts.
    pub seen: Past,
}

impl KeyState {
    /// The write under a dot.
    pub fn find(&self, dot: Dot) -> Option<u32> {
        let place = self
            .versions
            .binary_search_by_key(&dot.origin, |(origin, _)| *origin)
            .ok()?;
        self.versions[place].1.get(dot.number.checked_sub(1)? as usize).copied()
    }

    pub fn note(&mut self, dot: Dot, stamp: i64, write: u32) {
        if (self.joins || self.is_kept) && self.keeping == Keeping::Ranked {
            let place = self
                .by_rank
                .partition_point(|(at, other, _)| (*at, *other) < (stamp, dot));
            self.by_rank.insert(place, (stamp, dot, write));
        }
        match self.versions.binary_search_by_key(&dot.origin, |(origin, _)| *origin) {
            Ok(place) => self.versions[place].1.push(write),
            Err(place) => self.versions.insert(place, (dot.origin, vec![write])),
        }
    }

    pub fn writes(&self) -> impl Iterator<Item = u32> + '_ {
        self.versions.iter().flat_map(|(_, writes)| writes.iter().copied())
    }

    /// The writes that `known` may lack: of ranked keys those above its top, of others those that it hasn't heard of.
    pub fn beyond(&self, known: &Known<'_>, heard: &DotSet) -> Vec<u32> {
        if self.keeping == Keeping::Ranked {
            let above = self
                .by_rank
                .partition_point(|(stamp, dot, _)| known.top.is_some_and(|top| (*stamp, *dot) <= top));
            return self.by_rank[above..].iter().map(|(_, _, write)| *write).collect();
        }
        let mut found = Vec::new();
        for (origin, writes) in &self.versions {
            let first = heard.vector().get(*origin) as usize;
            let rest = writes.iter().zip(1u32..).skip(first);
            found.extend(
                rest.filter(|(_, number)| !heard.contains(Dot::new(*origin, *number)))
                    .map(|(write, _)| *write),
            );
        }
        found
    }

    /// A write was acknowledged.
    pub fn acknowledged(&mut self, place: u64, at: SimTime) {
        if self.acks.len() == ACKS {
            self.acks.pop_front();
        }
        self.acks.push_back((place, at));
    }

    /// When the latest of the acknowledgements up to a place was, if it isn't forgotten.
    pub fn latest_ack(&self, up_to: u64) -> Option<SimTime> {
        let before = self.acks.iter().rev().find(|(place, _)| *place <= up_to);
        before.map(|(_, at)| *at)
    }

    /// Whether values are versions, not folds of effects.
    pub fn has_heads(&self) -> bool {
        matches!(self.keeping, Keeping::Ranked | Keeping::Causal)
    }
}

/// A replica.
#[derive(Debug, Clone)]
pub(super) struct ReplicaState {
    pub store: u32,
    pub live: bool,
    /// How many keys its store has.
    pub keys: u32,
    /// Where its copy of its store's first key would be among all copies, and how far its copies lie apart: those of a key lie
    /// together. The place is counted back to the first key of all, and wraps.
    first_copy: usize,
    width: usize,
    /// By agent: how many of the agent's first writes it has heard of, or will never lack.
    marks: Vec<u32>,
}

/// What an agent has read of a key and may expect to see again, as far as some replica may lack it.
#[derive(Debug, Clone)]
pub(super) struct ReadSoFar {
    /// The acknowledgement of the latest read.
    pub acked: u64,
    /// Versions, or effects that spread.
    pub heads: Vec<u32>,
    /// Where nothing is forgotten: the effects.
    pub effects: DotSet,
}

/// An agent's own write of a ranked key, which it may expect to see.
#[derive(Debug, Clone)]
pub(super) struct OwnWrite {
    /// Its acknowledgement.
    pub acked: u64,
    pub write: u32,
    /// What it had seen. A write itself forgets that once every replica has heard of it and none holds it.
    pub past: Past,
}

/// An agent.
#[derive(Debug, Clone, Default)]
pub(super) struct AgentState {
    /// What it knows, beside what it has begun itself.
    pub past: Past,
    /// What others had done who sent it messages, and been told: without what replicas had heard of.
    pub told: Past,
    /// The number of its latest operation that has begun.
    pub begun: u32,
    /// Its accepted updates by number, each with its further versions after it.
    pub writes: Vec<(u32, u32)>,
    pub reads: BTreeMap<u32, ReadSoFar>,
    /// From how many of these on those that aren't needed any more are looked for.
    pub reads_limit: usize,
    /// Of each ranked key what its latest read returned.
    pub latest: BTreeMap<u32, u32>,
    /// How many of its operations are under way.
    pub open: u32,
    /// Of each ranked key its latest acknowledged write, as long as a read may show what that had seen.
    pub own: BTreeMap<u32, OwnWrite>,
}

/// An operation under way.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub agent: u32,
    /// What its agent knew when it began, beside what it had begun itself; and what an update has seen where it was accepted.
    pub past: Past,
    pub told: Past,
    /// The number of the operation that its agent had begun before.
    pub begun: u32,
    /// The acknowledgements before it began.
    pub acks_before: u64,
    pub began: SimTime,
    /// What was read, by attempt.
    pub views: Vec<super::reads::ReadView>,
    /// What replicas have answered to its coordinators.
    pub answers: Vec<super::joins::Answer>,
    /// What a write to a ranked key had seen when it was accepted first.
    pub seen: Option<Past>,
    /// Whether its agent has given it up, so that its outcome is unknown.
    pub given_up: bool,
}

impl Pending {
    /// Whether its agent knew of an operation when it began.
    pub fn knew(&self, agent: u32, number: u32) -> bool {
        agent == self.agent && number <= self.begun || self.past.knows(agent, number)
    }
}

/// Everything that is remembered.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub writes: Vec<Write>,
    pub keys: Vec<KeyState>,
    /// The first key of each store.
    pub first_key: Vec<u32>,
    pub replicas: Vec<ReplicaState>,
    /// By key, and by replica in each.
    pub copies: Vec<Copy>,
    /// Of each write which replicas of its store have heard of it: a bit for each, in so many words.
    heard: Vec<u64>,
    heard_words: usize,
    /// The place of each replica in its store.
    places: Vec<u32>,
    /// Whether an agent ever began an operation, or sent a message, while it had another one under way: then somebody may know of operations that no
    /// replica has accepted.
    pub overlaps: bool,
    /// Whether an update was ever accepted twice.
    pub doubled: bool,
    /// The place of each entity among the replicas, and one for those that are none.
    replica_of: Vec<u32>,
    pub agents: Vec<AgentState>,
    /// The place of each entity among the agents, and one for those that aren't known.
    agent_of: Vec<u32>,
    pub pending: BTreeMap<u64, Pending>,
    /// Of ranked sets and maps, by key and element or field: what was known to those who did something there, by what it was.
    pub told: BTreeMap<(u32, u64), [Past; 3]>,
    pub may_lose_state: bool,
    each_once: bool,
    /// How many things were looked at in loops, beside one for each record: what the time of judging grows with.
    pub(super) steps: Cell<u64>,
}

impl Ledger {
    /// So many things are looked at.
    pub fn look(&self, things: usize) {
        self.steps.set(self.steps.get() + things as u64);
    }

    /// How many have been looked at.
    #[cfg(test)]
    pub fn steps(&self) -> u64 {
        self.steps.get()
    }

    pub fn new(watched: &Watched) -> Self {
        let widest = watched
            .stores
            .iter()
            .map(|store| store.replicas.len())
            .max()
            .unwrap_or(0);
        let copies = watched
            .stores
            .iter()
            .map(|store| store.keys.len() * store.replicas.len());
        let mut room = Vec::with_capacity(copies.sum());
        in_large_pages(&mut room);
        let mut ledger = Self {
            copies: room,
            may_lose_state: watched.may_lose_state,
            each_once: watched.each_once,
            heard_words: widest.div_ceil(64),
            ..Self::default()
        };
        for (store, spec) in watched.stores.iter().enumerate() {
            let first = ledger.replicas.len() as u32;
            let all: Arc<[u32]> = (first..first + spec.replicas.len() as u32).collect();
            let lists = spec
                .lists
                .iter()
                .map(|list| list.iter().map(|place| first + place).collect());
            let lists: Vec<Arc<[u32]>> = lists.collect();
            ledger.first_key.push(ledger.keys.len() as u32);
            for (&id, place) in spec.replicas.iter().zip(first..) {
                if ledger.replica_of.len() <= id as usize {
                    ledger.replica_of.resize(id as usize + 1, NONE);
                }
                ledger.replica_of[id as usize] = place;
                ledger.replicas.push(ReplicaState {
                    store: store as u32,
                    live: true,
                    keys: spec.keys.len() as u32,
                    first_copy: (ledger.copies.len() + (place - first) as usize)
                        .wrapping_sub(ledger.keys.len() * spec.replicas.len()),
                    width: spec.replicas.len(),
                    marks: Vec::new(),
                });
                ledger.places.push(place - first);
            }
            for (&(kind, keeping), local) in spec.keys.iter().zip(0..) {
                let list = spec.list_of.get(local as usize).map(|list| &lists[*list as usize]);
                let replicas = list.unwrap_or(&all);
                let empty = kind.empty().digest();
                ledger.keys.push(KeyState {
                    kind,
                    keeping,
                    replicas: Arc::clone(replicas),
                    joins: spec.joins,
                    logs: spec.logs,
                    is_kept: spec.is_kept,
                    aware: !spec.blind,
                    first_replica: first,
                    spreading: Vec::new(),
                    base: Past::default(),
                    in_base: Vec::new(),
                    highest: None,
                    versions: Vec::new(),
                    by_rank: Vec::new(),
                    acks: VecDeque::new(),
                    frontier: Frontier::default(),
                    elements: BTreeMap::new(),
                    fields: BTreeMap::new(),
                    text: TextState::default(),
                    seen: Past::default(),
                    told: Past::default(),
                    shown: vec![(empty, replicas.len() as u32)],
                    diverged: None,
                    divergence: 0,
                });
                let copies = ledger.copies.len() + spec.replicas.len();
                ledger.copies.resize(copies, Copy::fresh(empty));
            }
        }
        ledger
    }

    /// The place of a replica.
    pub fn replica(&self, entity: u32) -> Option<u32> {
        self.replica_of
            .get(entity as usize)
            .copied()
            .filter(|place| *place != NONE)
    }

    /// The agent that an entity is; it becomes one if it wasn't.
    pub fn agent(&mut self, entity: u32) -> u32 {
        let place = entity as usize;
        if self.agent_of.len() <= place {
            self.agent_of.resize(place + 1, NONE);
        }
        if self.agent_of[place] == NONE {
            self.agent_of[place] = self.agents.len() as u32;
            self.agents.push(AgentState::default());
        }
        self.agent_of[place]
    }

    /// The agent that an entity is, if it is one.
    pub fn known_agent(&self, entity: u32) -> Option<u32> {
        self.agent_of
            .get(entity as usize)
            .copied()
            .filter(|agent| *agent != NONE)
    }

    /// The place of a store's key.
    pub fn key(&self, word: u64) -> u32 {
        let (store, key) = crate::stores::words::of_store_key(word);
        self.first_key[store as usize] + key
    }

    /// The store of a key.
    pub fn store_of(&self, key: u32) -> u32 {
        self.first_key.partition_point(|first| *first <= key) as u32 - 1
    }

    fn copy_place(&self, replica: u32, key: u32) -> usize {
        let it = &self.replicas[replica as usize];
        it.first_copy.wrapping_add(key as usize * it.width)
    }

    pub fn copy(&self, replica: u32, key: u32) -> &Copy {
        &self.copies[self.copy_place(replica, key)]
    }

    pub fn copy_mut(&mut self, replica: u32, key: u32) -> &mut Copy {
        let place = self.copy_place(replica, key);
        &mut self.copies[place]
    }

    /// Whether a replica keeps a key.
    pub fn keeps(&self, replica: u32, key: u32) -> bool {
        let key = &self.keys[key as usize];
        // Where all of them do, each is at its own place.
        let place = replica.wrapping_sub(key.first_replica) as usize;
        key.replicas.get(place) == Some(&replica) || key.replicas.binary_search(&replica).is_ok()
    }

    /// The write of a key under a dot: mostly one that spreads.
    pub fn find(&self, key: u32, dot: Dot) -> Option<u32> {
        let state = &self.keys[key as usize];
        let mut near = state.spreading.iter().rev().take(NEAR);
        let near = near.find(|write| self.writes[**write as usize].dot == dot);
        near.copied().or_else(|| state.find(dot))
    }

    /// Asks for the memory of what a replica has of a key.
    pub fn touch(&self, replica: u32, key: u32) {
        prefetch(self.copy(replica, key));
    }

    /// The entities of the agents, by their places.
    pub fn entities(&self) -> Vec<u32> {
        let mut entities = vec![NONE; self.agents.len()];
        for (entity, place) in (0..).zip(&self.agent_of) {
            if *place != NONE {
                entities[*place as usize] = entity;
            }
        }
        entities
    }

    /// The update of an agent under a number: its first version.
    pub fn update_of(&self, agent: u32, number: u32) -> Option<u32> {
        let writes = &self.agents[agent as usize].writes;
        let place = writes.partition_point(|(other, _)| *other < number);
        writes
            .get(place)
            .filter(|(other, _)| *other == number)
            .map(|(_, write)| *write)
    }

    /// Whether a replica has shown another version of the same update.
    pub fn is_shown_again(&self, write: u32) -> bool {
        let it = &self.writes[write as usize];
        let mut version = self.update_of(it.agent, it.number);
        while let Some(other) = version {
            if other != write && self.writes[other as usize].heard_by > 0 {
                return true;
            }
            version = Some(self.writes[other as usize].again).filter(|again| *again != NONE);
        }
        false
    }

    /// Sets a flag of writes; how many had not had it, of those that take part in the counts.
    pub fn mark(&mut self, bit: u8, found: Vec<u32>) -> u64 {
        let mut news = 0;
        for write in found {
            let it = &mut self.writes[write as usize];
            news += u64::from(it.flags & (bit | flag::COUNTED) == flag::COUNTED);
            it.flags |= bit;
        }
        news
    }

    /// Of a ranked key: notes what a new update of an agent had before its eyes, and what its agent knew. If the update is blind,
    /// the words say what its replica held.
    pub fn mark_seen(&mut self, (key, op): (u32, Op), identity: u64, agent: u32, held: Option<&[u64]>) {
        if self.keys[key as usize].keeping != Keeping::Ranked {
            return;
        }
        let seen: Vec<u32> = match held.map(of_version_words) {
            Some(Versions::Heads(heads)) => {
                let found = heads.iter().filter_map(|head| self.keys[key as usize].find(*head));
                found.collect()
            }
            Some(Versions::Effects(_)) => Vec::new(),
            None => {
                let latest = self.agents[agent as usize].latest.get(&key);
                latest.copied().into_iter().collect()
            }
        };
        for write in seen {
            self.writes[write as usize].flags |= flag::SEEN;
        }
        let Some(pending) = self.pending.get(&identity) else {
            return;
        };
        let told = &mut self.keys[key as usize].told;
        told.join(&pending.told);
        told.learn(agent, pending.begun);
        if let Some((slot, side, _)) = slot_of(op) {
            let sides = self.told.entry((key, slot)).or_default();
            sides[side].join(&pending.told);
            sides[side].learn(agent, pending.begun);
        }
    }

    /// Adds to a past the updates of a key that somebody had before the eyes: with each of them all before it by its origin, which
    /// is one agent's own replica.
    pub fn look_at(&self, key: u32, words: &[u64], past: &mut Past) {
        let Versions::Effects(seen) = of_version_words(words) else {
            return;
        };
        for top in seen.vector().tops() {
            let Some(write) = self.keys[key as usize].find(*top) else {
                continue;
            };
            let write = &self.writes[write as usize];
            past.learn(write.agent, write.number);
            if let Some(before) = &write.past {
                past.join(before);
            }
        }
    }

    /// An operation is over, and no replica will accept it.
    pub fn close(&mut self, identity: u64) -> Option<Pending> {
        let pending = self.pending.remove(&identity)?;
        self.agents[pending.agent as usize].open -= 1;
        Some(pending)
    }

    /// Forgets what an agent has read and no replica will lack any more.
    pub fn forget_reads(&mut self, agent: u32) {
        let mut reads = std::mem::take(&mut self.agents[agent as usize].reads);
        self.look(reads.len());
        reads.retain(|key, so_far| {
            self.is_noted(*key) || {
                so_far.heads.retain(|head| !self.writes[*head as usize].settled);
                !so_far.heads.is_empty()
            }
        });
        let it = &mut self.agents[agent as usize];
        it.reads_limit = 2 * reads.len() + 16;
        it.reads = reads;
    }

    /// Forgets what nobody will ask about a write any more.
    pub fn retire(&mut self, write: u32) {
        let it = &mut self.writes[write as usize];
        let replicas = &self.keys[it.key as usize].replicas;
        if it.heard_by as usize == replicas.len() {
            it.deps = Vec::new();
            // A remove that wins may meet an insert that nobody has heard of yet.
            let wins = self.keys[it.key as usize].keeping == Keeping::Removals && matches!(it.op, Op::Remove(_));
            if it.held_by == 0 && !wins && !self.may_lose_state {
                it.past = None;
            }
        }
    }
}
