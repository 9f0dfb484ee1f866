//! What the judge remembers: writes, keys, replicas, agents.

use super::Watched;
use super::endings::slot_of;
use super::frontier::Frontier;
use super::past::Past;
use super::text::TextState;
use crate::kernel::SimTime;
use crate::state::{Dot, DotSet, Keeping, KeyType, Op, Origin, Versions};
use crate::stores::words::of_version_words;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// No write.
pub(super) const NONE: u32 = u32::MAX;
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

/// Writes in the order of their acceptance: mostly a handful, mostly added at the end.
#[derive(Debug, Clone, Default)]
pub(super) struct Ascending(Vec<u32>);

impl Ascending {
    pub fn iter(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().copied()
    }

    fn insert(&mut self, write: u32) {
        match self.0.last() {
            Some(&last) if last >= write => {
                if let Err(place) = self.0.binary_search(&write) {
                    self.0.insert(place, write);
                }
            }
            _ => self.0.push(write),
        }
    }

    fn remove(&mut self, write: u32) {
        if let Ok(place) = self.0.binary_search(&write) {
            self.0.remove(place);
        }
    }
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
    /// The versions that it was outranked by.
    pub winners: Vec<u32>,
    /// Another version of the same update.
    pub again: u32,
    /// How many replicas have heard of it, and how many hold it.
    pub heard_by: u16,
    pub held_by: u16,
    pub flags: u8,
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
    /// The place of its store's first replica among all.
    /// Its place in its store.
    pub local: u32,
    /// The writes by origin and number.
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
        let (_, writes) = self.versions.iter().find(|(origin, _)| *origin == dot.origin)?;
        writes.get(dot.number.checked_sub(1)? as usize).copied()
    }

    pub fn note(&mut self, dot: Dot, stamp: i64, write: u32) {
        if (self.joins || self.is_kept) && self.keeping == Keeping::Ranked {
            let place = self
                .by_rank
                .partition_point(|(at, other, _)| (*at, *other) < (stamp, dot));
            self.by_rank.insert(place, (stamp, dot, write));
        }
        match self.versions.iter_mut().find(|(origin, _)| *origin == dot.origin) {
            Some((_, writes)) => writes.push(write),
            None => self.versions.push((dot.origin, vec![write])),
        }
    }

    pub fn writes(&self) -> impl Iterator<Item = u32> + '_ {
        self.versions.iter().flat_map(|(_, writes)| writes.iter().copied())
    }

    /// The writes that `known` may lack: of ranked keys those above its top, of others those that it hasn't heard of.
    pub fn beyond(&self, known: &Known<'_>) -> Vec<u32> {
        if self.keeping == Keeping::Ranked {
            let above = self
                .by_rank
                .partition_point(|(stamp, dot, _)| known.top.is_some_and(|top| (*stamp, *dot) <= top));
            return self.by_rank[above..].iter().map(|(_, _, write)| *write).collect();
        }
        let mut found = Vec::new();
        for (origin, writes) in &self.versions {
            let first = known.heard.vector().get(*origin) as usize;
            let rest = writes.iter().zip(1u32..).skip(first);
            found.extend(
                rest.filter(|(_, number)| !known.heard.contains(Dot::new(*origin, *number)))
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

/// A key at a replica.
#[derive(Debug, Clone, Default)]
pub(super) struct Copy {
    pub heard: DotSet,
    /// Of keys with versions: those that are shown or kept.
    pub held: Vec<u32>,
    /// Of sets whose removes win: inserts that were heard of and outranked.
    pub gone: BTreeSet<u32>,
    /// The pasts of all that was heard.
    pub past: Past,
    /// Of keys whose reads join: the pasts of all that it accepted, which may be logged and not heard of by readers yet.
    pub own: Past,
    /// Of ranked keys: the highest rank that was applied.
    pub top: Option<(i64, Dot)>,
    /// Writes that it hasn't heard of.
    pub missing: Ascending,
    /// The digest of what it shows.
    pub shown: u64,
}

/// What a reader gets to know of a key: what a replica holds, or what a read joins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub heard: &'a DotSet,
    /// The versions that are shown or kept.
    pub held: &'a [u32],
    /// Of ranked keys the highest rank.
    pub top: Option<(i64, Dot)>,
    /// The pasts of versions that may have been forgotten since they were read.
    pub pasts: &'a [(u32, Past)],
}

impl<'a> Known<'a> {
    /// What a replica holds of a key.
    pub fn at(copy: &'a Copy) -> Self {
        Self {
            heard: &copy.heard,
            held: &copy.held,
            top: copy.top,
            pasts: &[],
        }
    }
}

/// A replica.
#[derive(Debug, Clone)]
pub(super) struct ReplicaState {
    pub store: u32,
    pub live: bool,
    /// By the key's place in its store.
    pub copies: Vec<Copy>,
    /// Writes that it hasn't heard of, by their agent.
    pub missing_of: BTreeMap<u32, Ascending>,
}

/// What an agent has read of a key and may expect to see again.
#[derive(Debug, Clone)]
pub(super) struct ReadSoFar {
    /// The acknowledgement of the latest read.
    pub acked: u64,
    pub heads: Vec<u32>,
    /// What the latest read returned.
    pub latest: Vec<u32>,
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
    pub past: Past,
    /// What it has done itself, and what others had who sent it messages: without what replicas had heard of.
    pub told: Past,
    /// Its accepted updates: number and write.
    pub writes: Vec<(u32, u32)>,
    pub reads: BTreeMap<u32, ReadSoFar>,
    /// Of each ranked key its latest acknowledged write.
    pub own: BTreeMap<u32, OwnWrite>,
}

/// An operation under way.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub agent: u32,
    /// What its agent knew when it began.
    pub past: Past,
    pub told: Past,
    /// The acknowledgements before it began.
    pub acks_before: u64,
    pub began: SimTime,
    /// What was read, by attempt.
    pub views: Vec<super::reads::ReadView>,
    /// What replicas have answered to its coordinators.
    pub answers: Vec<super::joins::Answer>,
    /// What a write to a ranked key had seen when it was accepted first.
    pub seen: Option<Past>,
}

/// Everything that is remembered.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    pub writes: Vec<Write>,
    pub keys: Vec<KeyState>,
    /// The first key of each store.
    pub first_key: Vec<u32>,
    pub replicas: Vec<ReplicaState>,
    /// The place of each entity among the replicas, and one for those that are none.
    replica_of: Vec<u32>,
    pub agents: Vec<AgentState>,
    /// The place of each entity among the agents, and one for those that aren't known.
    agent_of: Vec<u32>,
    pub pending: BTreeMap<u64, Pending>,
    /// Of ranked sets and maps, by key and element or field: what was known to those who did something there, by what it was.
    pub told: BTreeMap<(u32, u64), [Past; 3]>,
    pub may_lose_state: bool,
}

impl Ledger {
    pub fn new(watched: &Watched) -> Self {
        let mut ledger = Self {
            may_lose_state: watched.may_lose_state,
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
            let copy = |(key, _): &(KeyType, Keeping)| Copy {
                shown: key.empty().digest(),
                ..Copy::default()
            };
            for (&id, place) in spec.replicas.iter().zip(first..) {
                if ledger.replica_of.len() <= id as usize {
                    ledger.replica_of.resize(id as usize + 1, NONE);
                }
                ledger.replica_of[id as usize] = place;
                ledger.replicas.push(ReplicaState {
                    store: store as u32,
                    live: true,
                    copies: spec.keys.iter().map(copy).collect(),
                    missing_of: BTreeMap::new(),
                });
            }
            for (&(kind, keeping), local) in spec.keys.iter().zip(0..) {
                let list = spec.list_of.get(local as usize).map(|list| &lists[*list as usize]);
                let replicas = list.unwrap_or(&all);
                ledger.keys.push(KeyState {
                    kind,
                    keeping,
                    replicas: Arc::clone(replicas),
                    joins: spec.joins,
                    logs: spec.logs,
                    is_kept: spec.is_kept,
                    local,
                    versions: Vec::new(),
                    by_rank: Vec::new(),
                    acks: VecDeque::new(),
                    frontier: Frontier::default(),
                    elements: BTreeMap::new(),
                    fields: BTreeMap::new(),
                    text: TextState::default(),
                    seen: Past::default(),
                    told: Past::default(),
                    shown: vec![(kind.empty().digest(), replicas.len() as u32)],
                    diverged: None,
                    divergence: 0,
                });
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

    pub fn copy(&self, replica: u32, key: u32) -> &Copy {
        &self.replicas[replica as usize].copies[self.keys[key as usize].local as usize]
    }

    pub fn copy_mut(&mut self, replica: u32, key: u32) -> &mut Copy {
        &mut self.replicas[replica as usize].copies[self.keys[key as usize].local as usize]
    }

    /// Whether a replica keeps a key.
    pub fn keeps(&self, replica: u32, key: u32) -> bool {
        self.keys[key as usize].replicas.binary_search(&replica).is_ok()
    }

    /// A replica hasn't heard of a write.
    pub fn miss(&mut self, replica: u32, write: u32) {
        let it = &self.writes[write as usize];
        let (key, agent) = (it.key, it.agent);
        self.copy_mut(replica, key).missing.insert(write);
        self.replicas[replica as usize]
            .missing_of
            .entry(agent)
            .or_default()
            .insert(write);
    }

    /// A replica has heard of a write, or wouldn't keep it any more.
    pub fn unmiss(&mut self, replica: u32, write: u32) {
        let it = &self.writes[write as usize];
        let (key, agent) = (it.key, it.agent);
        self.copy_mut(replica, key).missing.remove(write);
        let missing_of = &mut self.replicas[replica as usize].missing_of;
        if let Some(of_agent) = missing_of.get_mut(&agent) {
            of_agent.remove(write);
            if of_agent.0.is_empty() {
                missing_of.remove(&agent);
            }
        }
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
        let place = writes.binary_search_by_key(&number, |(number, _)| *number).ok()?;
        Some(writes[place].1)
    }

    /// Whether a write's past knows another one.
    pub fn has_seen(&self, write: u32, other: u32) -> bool {
        let other = &self.writes[other as usize];
        let past = &self.writes[write as usize].past;
        past.as_ref().is_some_and(|past| past.knows(other.agent, other.number))
    }

    /// Whether a replica lacks a write: it hasn't heard of it, and would keep it.
    pub fn lacks(&self, replica: u32, write: u32) -> bool {
        let copy = self.copy(replica, self.writes[write as usize].key);
        self.is_lacking(&Known::at(copy), write)
    }

    /// Whether a replica doesn't lack a write and, unless it loses its state, never will: it has heard of it, or of what
    /// outranked it. A version held there that has merely seen the write may give way to one that hasn't.
    pub fn never_lacks(&self, replica: u32, write: u32) -> bool {
        let copy = self.copy(replica, self.writes[write as usize].key);
        self.is_settled(&Known::at(copy), write)
    }

    /// The past of a version that is known.
    pub fn past_of<'a>(&'a self, known: &Known<'a>, write: u32) -> Option<&'a Past> {
        let kept = known.pasts.iter().find(|(other, _)| *other == write);
        kept.map(|(_, past)| past).or(self.writes[write as usize].past.as_ref())
    }

    /// Whether what is known lacks a write: it hasn't heard of it, and would keep it.
    pub fn is_lacking(&self, known: &Known<'_>, write: u32) -> bool {
        !self.is_settled(known, write) && {
            let it = &self.writes[write as usize];
            let saw = |held: &u32| {
                let past = self.past_of(known, *held);
                past.is_some_and(|past| past.knows(it.agent, it.number))
            };
            self.keys[it.key as usize].keeping != Keeping::Causal || !known.held.iter().any(saw)
        }
    }

    /// Whether another version of the same update isn't lacking: where two replicas have accepted an update, the acknowledgement
    /// may be that of either, and the effect is there.
    pub fn knows_again(&self, known: &Known<'_>, write: u32) -> bool {
        let it = &self.writes[write as usize];
        let mut version = self.update_of(it.agent, it.number);
        while let Some(other) = version {
            if other != write && !self.is_lacking(known, other) {
                return true;
            }
            version = Some(self.writes[other as usize].again).filter(|again| *again != NONE);
        }
        false
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

    /// Whether a write, or what outranked it, is known.
    fn is_settled(&self, known: &Known<'_>, write: u32) -> bool {
        let it = &self.writes[write as usize];
        if known.heard.contains(it.dot) {
            return true;
        }
        match self.keys[it.key as usize].keeping {
            Keeping::Ranked => known.top.is_some_and(|top| (it.stamp, it.dot) <= top),
            Keeping::Causal => {
                let mut above = it.winners.clone();
                let mut place = 0;
                while let Some(&winner) = above.get(place) {
                    let next = &self.writes[winner as usize];
                    if known.heard.contains(next.dot) {
                        return true;
                    }
                    let new = next.winners.iter().filter(|next| !above.contains(next));
                    let new: Vec<u32> = new.copied().collect();
                    above.extend(new);
                    place += 1;
                }
                false
            }
            Keeping::All => false,
            Keeping::Removals => it.winners.iter().any(|winner| {
                let winner = &self.writes[*winner as usize];
                known.heard.contains(winner.dot)
            }),
        }
    }

    /// Whether what is known of a key lacks one of these effects.
    pub fn is_lacking_any(&self, known: &Known<'_>, key: u32, effects: &DotSet) -> bool {
        if known.heard.includes(effects) || self.keys[key as usize].keeping != Keeping::Removals {
            return !known.heard.includes(effects);
        }
        let mut any = false;
        effects.beyond(known.heard, &mut |range| {
            let mut missing = range.dots().filter_map(|dot| self.keys[key as usize].find(dot));
            any |= missing.any(|write| self.is_lacking(known, write));
        });
        any
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
                let read = self.agents[agent as usize].reads.get(&key);
                read.map(|read| read.latest.clone()).unwrap_or_default()
            }
        };
        for write in seen {
            self.writes[write as usize].flags |= flag::SEEN;
        }
        let Some(pending) = self.pending.get(&identity) else {
            return;
        };
        self.keys[key as usize].told.join(&pending.told);
        if let Some((slot, side, _)) = slot_of(op) {
            let sides = self.told.entry((key, slot)).or_default();
            sides[side].join(&pending.told);
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
