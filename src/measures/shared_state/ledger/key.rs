//! A key, and what is remembered of it.

use super::{Few, Known, NONE};
use crate::kernel::SimTime;
use crate::measures::shared_state::frontier::Frontier;
use crate::measures::shared_state::past::Past;
use crate::measures::shared_state::text::TextState;
use crate::state::{Dot, DotSet, Keeping, KeyType, Op, Origin};
use smallvec::SmallVec;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// So many acknowledgements of a key are remembered, for reads that are under way.
const ACKS: usize = 8;

/// A key. What the way of an update asks for lies in the first two cache lines, what a read asks for in the third.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub(in super::super) struct KeyState {
    pub kind: KeyType,
    pub keeping: Keeping,
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
    /// How many agents have a write of their own of it which they may expect to see ([`AgentState::own`]).
    pub owned: u32,
    /// How many agents have read something of it which they may expect to see again ([`AgentState::reads`]).
    pub read_by: u32,
    /// The places of the replicas that keep it among all, ascending.
    pub replicas: Arc<[u32]>,
    /// The writes that some replica may lack, in the order of their acceptance.
    pub spreading: Few,
    pub annals: Box<Annals>,
    /// What live replicas show: each digest, and how many show it.
    pub shown: SmallVec<[(u64, u32); 2]>,
    pub diverged: Option<SimTime>,
    pub divergence: u64,
    /// The pasts of what every replica has heard of, unless replicas note it one by one.
    pub(super) base: Past,
    /// The agents of these writes, and the highest number of each.
    pub(super) in_base: SmallVec<[(u32, u32); 2]>,
    /// The latest acknowledgement of a write: its place among all, from 1, and when; 0 for none yet.
    pub(super) latest_ack: (u64, SimTime),
}

const _: () = assert!(size_of::<KeyState>() == 192);

/// What is asked of a key where it is updated, or where something is wrong.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Annals {
    /// Of ranked keys: the highest rank that was accepted.
    pub highest: Option<(i64, Dot)>,
    /// The writes by origin, ascending.
    pub(super) versions: Vec<OfOrigin>,
    /// Of ranked keys whose reads join: the writes by rank, ascending.
    by_rank: Vec<(i64, Dot, u32)>,
    /// The acknowledgements of writes before the latest: their places among all, and when.
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
    /// Of counters: the sum of the acknowledged updates that were forgotten.
    pub spent: i64,
}

/// The writes of a key that one origin has accepted.
#[derive(Debug, Clone)]
pub(super) struct OfOrigin {
    pub(super) origin: Origin,
    /// How many of the first were forgotten.
    pub(super) gone: u32,
    /// The others, by number.
    pub(super) writes: Vec<u32>,
}

impl OfOrigin {
    /// How many there were.
    pub(super) fn count(&self) -> u32 {
        self.gone + self.writes.len() as u32
    }

    fn get(&self, number: u32) -> Option<u32> {
        let place = number.checked_sub(self.gone)?.checked_sub(1)?;
        self.writes.get(place as usize).copied().filter(|write| *write != NONE)
    }

    /// The writes that weren't forgotten, and their numbers.
    fn numbered(&self) -> impl Iterator<Item = (u32, u32)> {
        let writes = self.writes.iter().copied().zip(self.gone + 1..);
        writes.filter(|(write, _)| *write != NONE)
    }

    /// Adds to a set those that somebody has heard of, as everybody has of what was forgotten.
    pub(super) fn heard(&self, has_heard: impl Fn(u32) -> bool, set: &mut DotSet) {
        if self.gone > 0 {
            set.insert_run(Dot::new(self.origin, self.gone));
        }
        for (write, number) in self.writes.iter().zip(self.gone + 1..) {
            if *write == NONE || has_heard(*write) {
                set.insert(Dot::new(self.origin, number));
            }
        }
    }

    /// Writes have other places now.
    pub(super) fn follow(&mut self, to: impl Fn(u32) -> u32) {
        self.writes.iter_mut().for_each(|write| *write = to(*write));
        let first = self.writes.iter().position(|write| *write != NONE);
        let first = first.unwrap_or(self.writes.len());
        self.writes.drain(..first);
        self.gone += first as u32;
        if self.writes.is_empty() {
            self.writes = Vec::new();
        }
    }
}

/// The sides of a map's field: its writes, its increases, its removals.
pub(in super::super) fn side_of(op: Op) -> Option<(u32, usize)> {
    Some(match op {
        Op::Put { field, .. } => (field, 0),
        Op::Increase { field, .. } => (field, 1),
        Op::Drop { field } => (field, 2),
        _ => return None,
    })
}

/// The sides of a field that an operation on one side doesn't commute with.
pub(in super::super) fn against(side: usize) -> &'static [usize] {
    [&[0, 2][..], &[2], &[0, 1]][side]
}

/// The inserts of one element, or its removes.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct Side {
    pub frontier: Frontier,
    /// What they had in their pasts.
    pub seen: Past,
}

impl KeyState {
    /// The write under a dot.
    pub fn find(&self, dot: Dot) -> Option<u32> {
        let versions = &self.annals.versions;
        let place = versions.binary_search_by_key(&dot.origin, |it| it.origin).ok()?;
        versions[place].get(dot.number)
    }

    pub fn note(&mut self, dot: Dot, stamp: i64, write: u32) {
        if (self.joins || self.is_kept) && self.keeping == Keeping::Ranked {
            let by_rank = &mut self.annals.by_rank;
            let place = by_rank.partition_point(|(at, other, _)| (*at, *other) < (stamp, dot));
            by_rank.insert(place, (stamp, dot, write));
        }
        let versions = &mut self.annals.versions;
        match versions.binary_search_by_key(&dot.origin, |it| it.origin) {
            Ok(place) => versions[place].writes.push(write),
            Err(place) => {
                let of_origin = OfOrigin {
                    origin: dot.origin,
                    gone: 0,
                    writes: vec![write],
                };
                versions.insert(place, of_origin);
            }
        }
    }

    pub fn writes(&self) -> impl Iterator<Item = u32> + '_ {
        let numbered = self.annals.versions.iter().flat_map(OfOrigin::numbered);
        numbered.map(|(write, _)| write)
    }

    /// The writes that `known` may lack: of ranked keys those above its top, of others those that it hasn't heard of.
    pub fn beyond(&self, known: &Known<'_>, heard: &DotSet) -> Vec<u32> {
        if self.keeping == Keeping::Ranked {
            let by_rank = &self.annals.by_rank;
            let above = by_rank.partition_point(|(stamp, dot, _)| known.top.is_some_and(|top| (*stamp, *dot) <= top));
            return by_rank[above..].iter().map(|(_, _, write)| *write).collect();
        }
        let mut found = Vec::new();
        for it in &self.annals.versions {
            let first = heard.vector().get(it.origin);
            let rest = it.numbered().filter(|(_, number)| *number > first);
            found.extend(
                rest.filter(|(_, number)| !heard.contains(Dot::new(it.origin, *number)))
                    .map(|(write, _)| write),
            );
        }
        found
    }

    /// A write was acknowledged.
    pub fn acknowledged(&mut self, place: u64, at: SimTime) {
        let before = std::mem::replace(&mut self.latest_ack, (place, at));
        if before.0 != 0 {
            let acks = &mut self.annals.acks;
            if acks.len() + 1 == ACKS {
                acks.pop_front();
            }
            acks.push_back(before);
        }
    }

    /// When the latest of the acknowledgements up to a place was, if it isn't forgotten.
    pub fn latest_ack(&self, up_to: u64) -> Option<SimTime> {
        let (latest, at) = self.latest_ack;
        if latest <= up_to {
            return (latest != 0).then_some(at);
        }
        let mut before = self.annals.acks.iter().rev();
        before.find(|(place, _)| *place <= up_to).map(|(_, at)| *at)
    }

    /// Whether values are versions, not folds of effects.
    pub fn has_heads(&self) -> bool {
        matches!(self.keeping, Keeping::Ranked | Keeping::Causal)
    }
}
