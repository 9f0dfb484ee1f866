//! Whether a reader lacks a write: he hasn't heard of it, and would keep it.

use super::{Ledger, NONE};
use crate::measures::shared_state::past::Past;
use crate::state::{Dot, DotSet, Keeping};

/// What a reader gets to know of a key: what a replica holds, or what a read joins.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Known<'a> {
    pub heard: Heard<'a>,
    /// The versions that are shown or kept.
    pub held: &'a [u32],
    /// Of ranked keys the highest rank.
    pub top: Option<(i64, Dot)>,
    /// The pasts of versions that may have been forgotten since they were read.
    pub pasts: &'a [(u32, Past)],
}

/// What was heard of.
#[derive(Debug, Clone, Copy)]
pub(in super::super) enum Heard<'a> {
    /// What a replica has heard of.
    At(u32),
    /// What a read says.
    Told(&'a DotSet),
}

impl Ledger {
    /// What a replica holds of a key.
    pub fn known(&self, replica: u32, key: u32) -> Known<'_> {
        let copy = self.copy(replica, key);
        let rank = |write: u32| (self.writes[write as usize].stamp, self.writes[write as usize].dot);
        Known {
            heard: Heard::At(replica),
            held: copy.held(),
            top: (copy.top != NONE).then(|| rank(copy.top)),
            pasts: &[],
        }
    }

    /// Whether a write was heard of.
    fn is_heard(&self, known: &Known<'_>, write: u32) -> bool {
        match known.heard {
            Heard::At(replica) => self.has_heard(replica, write),
            Heard::Told(heard) => heard.contains(self.writes[write as usize].dot),
        }
    }

    /// Whether a write's past knows another one.
    pub fn has_seen(&self, write: u32, other: u32) -> bool {
        let other = &self.writes[other as usize];
        let past = &self.writes[write as usize].past;
        past.as_ref().is_some_and(|past| past.knows(other.agent, other.number))
    }

    /// Whether a replica lacks a write: it hasn't heard of it, and would keep it.
    pub fn lacks(&self, replica: u32, write: u32) -> bool {
        !self.has_heard(replica, write) && {
            let known = self.known(replica, self.writes[write as usize].key);
            self.is_lacking(&known, write)
        }
    }

    /// Whether a replica doesn't lack a write and, unless it loses its state, never will: it has heard of it, or of what
    /// outranked it. A version held there that has merely seen the write may give way to one that hasn't.
    pub fn never_lacks(&self, replica: u32, write: u32) -> bool {
        self.is_settled(&self.known(replica, self.writes[write as usize].key), write)
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

    /// Whether a write, or what outranked it, is known.
    fn is_settled(&self, known: &Known<'_>, write: u32) -> bool {
        let it = &self.writes[write as usize];
        if self.is_heard(known, write) {
            return true;
        }
        match self.keys[it.key as usize].keeping {
            Keeping::Ranked => known.top.is_some_and(|top| (it.stamp, it.dot) <= top),
            Keeping::Causal => {
                let mut above = it.winners().to_vec();
                let mut place = 0;
                while let Some(&winner) = above.get(place) {
                    let next = &self.writes[winner as usize];
                    if self.is_heard(known, winner) {
                        return true;
                    }
                    let new = next.winners().iter().filter(|next| !above.contains(next));
                    let new: Vec<u32> = new.copied().collect();
                    above.extend(new);
                    place += 1;
                }
                false
            }
            Keeping::All => false,
            Keeping::Removals => it.winners().iter().any(|winner| self.is_heard(known, *winner)),
        }
    }

    /// Whether what is known of a key lacks one of these effects.
    pub fn is_lacking_any(&self, known: &Known<'_>, key: u32, effects: &DotSet) -> bool {
        let heard = match known.heard {
            Heard::Told(heard) => heard,
            Heard::At(replica) if self.is_noted(key) => self.noted(replica, key),
            Heard::At(_) => {
                let mut spreading = self.keys[key as usize].spreading.iter().copied();
                return spreading
                    .any(|write| effects.contains(self.writes[write as usize].dot) && self.is_lacking(known, write));
            }
        };
        if heard.includes(effects) || self.keys[key as usize].keeping != Keeping::Removals {
            return !heard.includes(effects);
        }
        let mut any = false;
        effects.beyond(heard, &mut |range| {
            let mut missing = range.dots().filter_map(|dot| self.keys[key as usize].find(dot));
            any |= missing.any(|write| self.is_lacking(known, write));
        });
        any
    }
}
