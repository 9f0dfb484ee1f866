//! Entries: what is scheduled. Small, with the payload inline or as a handle, and totally ordered.

#[cfg(test)]
mod tests;

use super::draw::Key;
use super::time::SimTime;
use serde::{Deserialize, Serialize};
use std::cmp::Ordering;

/// One scheduled event: 24 bytes and its payload.
///
/// Entries are handled in the order of (time, step, origin, number), which is total because no two entries of one origin
/// share a number. `kind` and `target` take no part in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry<B> {
    /// When it happens.
    pub time: SimTime,
    /// The payload, or a handle to it.
    pub body: B,
    /// The rank of the entity that scheduled it.
    pub origin: u32,
    /// The origin's own sequence number.
    pub number: u32,
    /// The entity that it is for: the model's own dense id.
    pub target: u32,
    /// The causal step within the instant: a zero-delay consequence stands one step behind its cause.
    pub step: u16,
    /// What it is: the model's own tag.
    pub kind: u16,
}

impl<B> Entry<B> {
    /// The order of two entries.
    #[inline]
    pub fn order(&self, other: &Self) -> Ordering {
        // Times decide nearly always: what decides between equal ones isn't even loaded then.
        self.time.cmp(&other.time).then_with(|| self.tie().cmp(&other.tie()))
    }

    /// Whether this entry comes before the other.
    #[inline(always)]
    pub(super) fn is_before(&self, other: &Self) -> bool {
        self.time < other.time || self.time == other.time && self.tie() < other.tie()
    }

    /// What decides between entries of one time: step, origin, number.
    #[inline]
    fn tie(&self) -> u128 {
        (self.step as u128) << 64 | (self.origin as u128) << 32 | self.number as u128
    }
}

/// The part of an entity that schedules: its rank among all entities, and how many entries it has scheduled so far.
///
/// It lies in the entity's own state, beside what the entity touches anyway.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    rank: u32,
    next: u32,
}

impl Origin {
    /// The origin of the entity of this rank. Two entities of one model never share a rank.
    pub const fn new(rank: u32) -> Self {
        Self { rank, next: 0 }
    }

    /// The entity's rank.
    pub const fn rank(self) -> u32 {
        self.rank
    }

    /// How many entries it has scheduled.
    pub const fn scheduled(self) -> u32 {
        self.next
    }

    /// Takes the next sequence number.
    ///
    /// # Panics
    /// Panics after 2^32 - 1 entries of one origin: the order would no longer be total.
    #[inline(always)]
    pub fn take(&mut self) -> Ticket {
        let number = self.next;
        self.next = number
            .checked_add(1)
            .expect("one origin schedules fewer than 2^32 entries");
        Ticket {
            rank: self.rank,
            number,
        }
    }
}

/// A place in the total order that an origin has taken, to be used now or later (a timer keeps its place when it's re-armed).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    /// The rank of the origin.
    pub rank: u32,
    /// The origin's sequence number.
    pub number: u32,
}

/// The ranks of entities with these keys: a permutation of `0..keys.len()`, keyed by `shuffle`.
///
/// The permutation sorts by a keyed hash of each entity's own key, so the relative order of two entities depends on those two
/// and on `shuffle` alone: adding a third never swaps them, and no low id wins every tie.
///
/// # Panics
/// Panics if there are 2^32 keys or more.
pub fn permute_ranks(keys: &[Key], shuffle: Key) -> Vec<u32> {
    let mut order: Vec<(u64, u64, u32)> = keys
        .iter()
        .enumerate()
        .map(|(index, key)| {
            let index = u32::try_from(index).expect("fewer than 2^32 entities");
            (shuffle.member(key.bits()).bits(), key.bits(), index)
        })
        .collect();
    order.sort_unstable();
    let mut ranks = vec![0; keys.len()];
    for (rank, (_, _, index)) in order.iter().enumerate() {
        ranks[*index as usize] = rank as u32;
    }
    ranks
}
