//! What the judge remembers: writes, keys, replicas, agents.

mod agent;
mod copies;
mod forgetting;
mod hearing;
mod key;
mod lacking;
mod touching;
mod underway;
mod write;

pub(super) use agent::{AgentState, OwnWrite, Pending, ReadSoFar};
pub(super) use copies::Copy;
use forgetting::Forgotten;
pub(super) use key::{KeyState, against, side_of};
pub(super) use lacking::{Heard, Known};
pub(super) use touching::{About, Coming, FARTHEST, Use};
use underway::Underway;
pub(super) use write::{Dep, Write, flag};

use super::Watched;
use super::endings::slot_of;
use super::past::Past;
use crate::kernel::{SimTime, in_large_pages};
use crate::state::{Dot, Keeping, Op, Versions};
use crate::stores::words::{heads_of, of_version_words};
use smallvec::SmallVec;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

/// No write.
pub(super) const NONE: u32 = u32::MAX;
/// From how many spreading writes of a key on those that nobody lacks are taken off.
const SPREADING: usize = 64;
/// So many of the spreading writes of a key are looked at before its index of all.
const NEAR: usize = 4;

/// Few numbers, which lie where they are named.
pub(super) type Few = SmallVec<[u32; 4]>;

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
    /// Of each write which replicas of its store beyond the first 64 have heard of it: a bit for each, in so many words.
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
    pub pending: Underway,
    /// Of ranked sets and maps, by key and element or field: what was known to those who did something there, by what it was.
    pub told: BTreeMap<(u32, u64), [Past; 3]>,
    pub may_lose_state: bool,
    each_once: bool,
    pub forgotten: Forgotten,
    /// How many writes there ever were.
    pub accepted: u32,
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
        let keys = watched.stores.iter().map(|store| store.keys.len());
        let mut keys = Vec::with_capacity(keys.sum());
        in_large_pages(&mut keys);
        let mut ledger = Self {
            copies: room,
            keys,
            may_lose_state: watched.may_lose_state,
            each_once: watched.each_once,
            forgotten: Forgotten::new(watched),
            heard_words: widest.saturating_sub(1) / 64,
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
                    joins: spec.joins,
                    logs: spec.logs,
                    is_kept: spec.is_kept,
                    aware: !spec.blind,
                    first_replica: first,
                    owned: 0,
                    read_by: 0,
                    replicas: Arc::clone(replicas),
                    spreading: Few::new(),
                    annals: Box::default(),
                    shown: SmallVec::from_iter([(empty, replicas.len() as u32)]),
                    diverged: None,
                    divergence: 0,
                    base: Past::default(),
                    in_base: SmallVec::new(),
                    latest_ack: (0, SimTime::ZERO),
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

    /// The same, of a write that a replica is likely to hold.
    pub fn find_at(&self, replica: u32, key: u32, dot: Dot) -> Option<u32> {
        let mut held = self.copy(replica, key).held().iter().copied();
        let held = held.find(|held| self.writes[*held as usize].dot == dot);
        held.or_else(|| self.find(key, dot))
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
        // Mostly it is the latest, or there is none yet: then the list, which is long, isn't searched.
        let place = match writes.as_slice() {
            [.., (latest, _)] if *latest < number => return None,
            [.., (before, _), (latest, write)] if before < latest && *latest == number => return Some(*write),
            writes => writes.partition_point(|(other, _)| *other < number),
        };
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
    pub fn mark_seen(&mut self, (replica, key, op): (u32, u32, Op), identity: u64, agent: u32, held: Option<&[u64]>) {
        if self.keys[key as usize].keeping != Keeping::Ranked {
            return;
        }
        let seen: Few = match held {
            Some(words) => {
                let heads = heads_of(words).unwrap_or_default().iter();
                let found = heads.filter_map(|head| self.find_at(replica, key, Dot::from_bits(*head)));
                found.collect()
            }
            None => {
                let latest = self.agents[agent as usize].latest.get(&key);
                latest.copied().into_iter().collect()
            }
        };
        for write in seen {
            self.writes[write as usize].flags |= flag::SEEN;
        }
        let Some(pending) = self.pending.get(identity) else {
            return;
        };
        let told = &mut self.keys[key as usize].annals.told;
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
        let pending = self.pending.remove(identity)?;
        self.agents[pending.agent as usize].open -= 1;
        Some(pending)
    }

    /// Forgets what an agent has read and no replica will lack any more.
    pub fn forget_reads(&mut self, agent: u32) {
        let mut reads = std::mem::take(&mut self.agents[agent as usize].reads);
        self.look(reads.len());
        reads.retain(|key, so_far| {
            let stays = self.is_noted(*key) || {
                so_far.heads.retain(|head| !self.writes[*head as usize].settled);
                !so_far.heads.is_empty()
            };
            self.keys[*key as usize].read_by -= u32::from(!stays);
            stays
        });
        let it = &mut self.agents[agent as usize];
        it.reads_limit = 2 * reads.len() + 16;
        it.reads = reads;
    }

    /// Whether keys count the agents that have something of theirs in [`AgentState::own`] and [`AgentState::reads`].
    pub fn counts_agree(&self) -> bool {
        let mut counts = vec![(0, 0); self.keys.len()];
        for agent in &self.agents {
            agent.own.keys().for_each(|key| counts[*key as usize].0 += 1);
            agent.reads.keys().for_each(|key| counts[*key as usize].1 += 1);
        }
        let counted = self.keys.iter().map(|key| (key.owned, key.read_by));
        counted.eq(counts)
    }

    /// Forgets what nobody will ask about a write any more.
    pub fn retire(&mut self, write: u32) {
        let it = &mut self.writes[write as usize];
        let replicas = &self.keys[it.key as usize].replicas;
        if it.heard_by as usize == replicas.len() {
            it.forget_deps();
            // A remove that wins may meet an insert that nobody has heard of yet.
            let wins = self.keys[it.key as usize].keeping == Keeping::Removals && matches!(it.op, Op::Remove(_));
            if it.held_by == 0 && !wins && !self.may_lose_state {
                it.past = None;
            }
        }
    }
}
