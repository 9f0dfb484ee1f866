//! Texts: their elementary effects are characters.
//!
//! Guarantees that a deletion is charged with exactly the characters that the accepting replica says it took, each known by the
//! insertion that brought it. Two concurrent insertions are at one place if they follow the same character, or both begin the
//! text; two concurrent deletions overlap if one character is in both. These are conflicts; an insertion into a range that
//! is deleted concurrently isn't: both have their effects.

use super::SharedStateJudge;
use super::frontier::Frontier;
use super::ledger::{NONE, Write, flag};
use crate::state::{Dot, Op};
use crate::world::record::Record;
use std::collections::BTreeMap;

/// What is remembered of a text.
#[derive(Debug, Clone, Default)]
pub(super) struct TextState {
    /// The insertions by the character that they follow.
    places: BTreeMap<u64, Frontier>,
    /// The deletions by the character: the insertion that brought it, and its place in that.
    characters: BTreeMap<(u32, u32), Frontier>,
    /// By insertion: which of its characters were taken, and by what.
    taken: BTreeMap<u32, Vec<Taken>>,
    /// By deletion: what it took.
    takes: BTreeMap<u32, Vec<(u32, Taken)>>,
}

/// Characters of an insertion that a deletion took.
#[derive(Debug, Clone, Copy)]
struct Taken {
    first: u32,
    length: u32,
    by: u32,
    /// Whether who deleted them had seen them.
    seen: bool,
}

impl Taken {
    fn holds(self, place: u32) -> bool {
        (self.first..self.first + self.length).contains(&place)
    }
}

/// What is lost of an update.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lost {
    /// Elementary effects.
    pub effects: u64,
    /// Those of them that are inserted characters.
    pub characters: u64,
}

impl SharedStateJudge {
    /// The accepting replica found the place of an insertion.
    pub(super) fn placed(&mut self, record: &Record) {
        let key = self.ledger.key(record.a);
        if let Some(write) = self.ledger.keys[key as usize].find(Dot::from_bits(record.b)) {
            self.contend(key, write, |text| text.places.entry(record.c).or_default());
        }
    }

    /// The accepting replica found characters that a deletion takes.
    pub(super) fn took(&mut self, record: &Record, extra: &[u64]) {
        let key = self.ledger.key(record.a);
        let found = [record.b, record.c].map(|bits| self.ledger.keys[key as usize].find(Dot::from_bits(bits)));
        let [Some(by), Some(from)] = found else { return };
        let (first, length) = ((extra[0] >> 32) as u32, extra[0] as u32);
        let seen = self.ledger.has_seen(by, from);
        let text = &mut self.ledger.keys[key as usize].annals.text;
        let taken = Taken {
            first,
            length,
            by,
            seen,
        };
        text.taken.entry(from).or_default().push(taken);
        text.takes.entry(by).or_default().push((from, taken));
        for place in first..first + length {
            self.contend(key, by, |text| text.characters.entry((from, place)).or_default());
        }
    }

    /// Finds the writes that are in conflict with `write` at a place, and makes it known there.
    fn contend(&mut self, key: u32, write: u32, at: impl FnOnce(&mut TextState) -> &mut Frontier) {
        let it = &self.ledger.writes[write as usize];
        // Another version of the same update is at no other place.
        if it.flags & flag::DUPLICATE != 0 {
            return;
        }
        let (agent, number) = (it.agent, it.number);
        let Some(past) = it.past.clone() else { return };
        let writes = &self.ledger.writes;
        let counts = |other: u32| {
            let other = writes[other as usize].past.as_ref();
            other.is_none_or(|other| !other.knows(agent, number))
        };
        let mut found = Vec::new();
        let frontier = at(&mut self.ledger.keys[key as usize].annals.text);
        let any = frontier.confront(&past, agent, counts, |other| found.push(other));
        frontier.add(agent, number, write, !any);
        found.extend(any.then_some(write));
        self.conflicting(found);
    }

    /// What is lost of an acknowledged update; `contained` says of each write whether a replica contains it.
    pub(super) fn lost_of(&self, place: u32, contained: &[bool]) -> Lost {
        let ledger = &self.ledger;
        let write = &ledger.writes[place as usize];
        let text = &ledger.keys[write.key as usize].annals.text;
        let is_there = self.versions(place).any(|version| contained[version as usize]);
        let effects = match write.op {
            Op::InsertText { length, .. } => {
                let taken = self.versions(place).flat_map(|version| text.taken.get(&version));
                let taken: Vec<Taken> = taken.flatten().copied().collect();
                let is_lost = |place: &u32| {
                    let mut of = taken.iter().filter(|taken| taken.holds(*place));
                    // It isn't there, and nobody meant to delete it.
                    let gone = !is_there || of.clone().any(|taken| contained[taken.by as usize]);
                    gone && !of.any(|taken| taken.seen)
                };
                let characters = (0..length).filter(is_lost).count() as u64;
                return Lost {
                    effects: characters,
                    characters,
                };
            }
            _ if is_there => 0,
            // A character that another deletion took, which is there, stays deleted.
            Op::DeleteText { .. } => {
                let takes = self
                    .versions(place)
                    .flat_map(|version| text.takes.get(&version))
                    .flatten();
                let mut back: Vec<(u32, u32)> = takes
                    .filter(|(from, _)| contained[*from as usize])
                    .flat_map(|(from, taken)| {
                        (taken.first..taken.first + taken.length).map(move |place| (*from, place))
                    })
                    .filter(|(from, place)| {
                        let others = text.taken[from].iter().filter(|taken| taken.holds(*place));
                        !others.into_iter().any(|taken| contained[taken.by as usize])
                    })
                    .collect();
                back.sort_unstable();
                back.dedup();
                back.len() as u64
            }
            _ => 1,
        };
        Lost { effects, characters: 0 }
    }

    /// A write and its further versions.
    pub(super) fn versions(&self, first: u32) -> impl Iterator<Item = u32> {
        let writes: &[Write] = &self.ledger.writes;
        std::iter::successors(Some(first), |version| {
            Some(writes[*version as usize].again).filter(|again| *again != NONE)
        })
    }
}
