//! The way of effects to replicas: what becomes visible where and in which order, when replicas differ and when they agree
//! again.

use super::SharedStateJudge;
use super::ledger::{Copy, Dep, flag};
use crate::kernel::SimTime;
use crate::state::{Dot, Keeping};
use crate::stores::words::of_range_words;
use crate::world::record::Record;
use std::collections::BTreeMap;

/// A cut that ended, and what isn't everywhere yet of what had been acknowledged by then.
#[derive(Debug, Clone)]
pub(super) struct Heal {
    pub at: SimTime,
    left: BTreeMap<(u32, u32), Vec<u32>>,
    pub took: Option<u64>,
}

impl SharedStateJudge {
    /// Effects become visible at a replica, or are kept there.
    pub(super) fn applied(&mut self, record: &Record) {
        let Some(replica) = self.ledger.replica(record.subject) else {
            return;
        };
        let key = self.ledger.key(record.a);
        for dot in of_range_words(record.b, record.c).dots() {
            let Some(write) = self.ledger.keys[key as usize].find(dot) else {
                continue;
            };
            self.hear(replica, write);
            let ledger = &mut self.ledger;
            let (heads, keeping) = (ledger.keys[key as usize].has_heads(), ledger.keys[key as usize].keeping);
            let it = &mut ledger.writes[write as usize];
            let rank = (it.stamp, it.dot);
            if heads && !ledger.copy(replica, key).held.contains(&write) {
                ledger.writes[write as usize].held_by += 1;
                ledger.copy_mut(replica, key).held.push(write);
            }
            let copy = ledger.copy_mut(replica, key);
            if keeping == Keeping::Ranked {
                copy.top = copy.top.max(Some(rank));
            }
            self.to_check.push((replica, write));
        }
    }

    /// A replica hears of a write.
    fn hear(&mut self, replica: u32, write: u32) {
        let (key, dot) = {
            let it = &self.ledger.writes[write as usize];
            (it.key, it.dot)
        };
        let copy = self.ledger.copy_mut(replica, key);
        copy.missing.remove(&write);
        if copy.heard.insert(dot) {
            let it = &mut self.ledger.writes[write as usize];
            it.heard_by += 1;
            if let Some(past) = it.past.clone() {
                self.ledger.copy_mut(replica, key).past.join(&past);
            }
        }
        self.to_retire.push(write);
        self.touched.push((replica, key));
    }

    /// An effect is outranked at a replica.
    pub(super) fn outranked(&mut self, record: &Record) {
        let Some(replica) = self.ledger.replica(record.subject) else {
            return;
        };
        let key = self.ledger.key(record.a);
        let find = |bits| self.ledger.keys[key as usize].find(Dot::from_bits(bits));
        let Some(loser) = find(record.b) else { return };
        let winner = (record.c != u64::MAX).then(|| find(record.c)).flatten();
        self.hear(replica, loser);
        let ledger = &mut self.ledger;
        let copy = ledger.copy_mut(replica, key);
        if let Some(place) = copy.held.iter().position(|held| *held == loser) {
            copy.held.swap_remove(place);
            ledger.writes[loser as usize].held_by -= 1;
        }
        if let Some(winner) = winner {
            let seen = ledger.has_seen(winner, loser);
            let it = &mut ledger.writes[loser as usize];
            if !it.winners.contains(&winner) {
                it.winners.push(winner);
            }
            if !seen && it.flags & flag::OVERWRITTEN == 0 {
                it.flags |= flag::OVERWRITTEN;
                self.tally.overwritten_unseen += u64::from(it.flags & flag::COUNTED != 0);
            }
        }
    }

    /// Looks at what the last entry has made visible, once all of it is.
    pub(super) fn check_order(&mut self) {
        for (replica, write) in std::mem::take(&mut self.to_check) {
            let it = &self.ledger.writes[write as usize];
            let mut found = 0;
            for dep in &it.deps {
                match dep {
                    Dep::Own(other) if found & flag::MONOTONIC_WRITES == 0 => {
                        if self.ledger.lacks(replica, *other) {
                            found |= flag::MONOTONIC_WRITES;
                        }
                    }
                    Dep::Read(other) if found & flag::WRITES_FOLLOW_READS == 0 => {
                        if self.ledger.lacks(replica, *other) {
                            found |= flag::WRITES_FOLLOW_READS;
                        }
                    }
                    Dep::Effects(key, effects) if !self.ledger.copy(replica, *key).heard.includes(effects) => {
                        found |= flag::WRITES_FOLLOW_READS;
                    }
                    _ => {}
                }
            }
            let news = found & !it.flags;
            let counted = it.flags & flag::COUNTED != 0;
            self.ledger.writes[write as usize].flags |= news;
            if counted {
                self.tally.monotonic_writes += u64::from(news & flag::MONOTONIC_WRITES != 0);
                self.tally.writes_follow_reads += u64::from(news & flag::WRITES_FOLLOW_READS != 0);
            }
        }
        for write in std::mem::take(&mut self.to_retire) {
            self.ledger.retire(write);
        }
        let touched = std::mem::take(&mut self.touched);
        for heal in self.heals.iter_mut().filter(|heal| heal.took.is_none()) {
            for place in &touched {
                if let Some(left) = heal.left.get_mut(place) {
                    left.retain(|write| self.ledger.lacks(place.0, *write));
                    if left.is_empty() {
                        heal.left.remove(place);
                    }
                }
            }
            if heal.left.is_empty() {
                heal.took = Some((self.now - heal.at).as_nanos());
            }
        }
    }

    /// A cut ends.
    pub(super) fn healed(&mut self, now: SimTime) {
        let ledger = &self.ledger;
        let mut left = BTreeMap::new();
        for (key, it) in ledger.keys.iter().enumerate() {
            for replica in it
                .replicas
                .clone()
                .filter(|replica| ledger.replicas[*replica as usize].live)
            {
                let key = key as u32;
                let missing = ledger.copy(replica, key).missing.iter().copied();
                let lacking =
                    missing.filter(|write| ledger.writes[*write as usize].acked != 0 && ledger.lacks(replica, *write));
                let lacking: Vec<u32> = lacking.collect();
                if !lacking.is_empty() {
                    left.insert((replica, key), lacking);
                }
            }
        }
        let took = left.is_empty().then_some(0);
        self.heals.push(Heal { at: now, left, took });
    }

    /// A replica stops.
    pub(super) fn crashed(&mut self, replica: u32, loses_state: bool) {
        self.ledger.replicas[replica as usize].live = false;
        if loses_state {
            let first = self.ledger.first_key[self.ledger.replicas[replica as usize].store as usize];
            let keys = self.ledger.replicas[replica as usize].copies.len() as u32;
            for key in first..first + keys {
                self.forget(replica, key);
            }
        }
        self.compare_all(replica);
    }

    fn forget(&mut self, replica: u32, key: u32) {
        let ledger = &mut self.ledger;
        let copy = ledger.copy_mut(replica, key);
        let fresh = Copy {
            shown: copy.shown,
            ..Copy::default()
        };
        let old = std::mem::replace(copy, fresh);
        for held in old.held {
            ledger.writes[held as usize].held_by -= 1;
        }
        let all: Vec<u32> = ledger.keys[key as usize].writes().collect();
        for write in &all {
            let it = &mut ledger.writes[*write as usize];
            if old.heard.contains(it.dot) {
                it.heard_by -= 1;
            }
        }
        ledger.copy_mut(replica, key).missing.extend(all);
    }

    /// A replica comes back.
    pub(super) fn restarted(&mut self, replica: u32) {
        self.ledger.replicas[replica as usize].live = true;
        self.compare_all(replica);
    }

    fn compare_all(&mut self, replica: u32) {
        let first = self.ledger.first_key[self.ledger.replicas[replica as usize].store as usize];
        let keys = self.ledger.replicas[replica as usize].copies.len() as u32;
        (first..first + keys).for_each(|key| self.compare(key));
    }

    /// Sees whether the live replicas show the same of a key.
    pub(super) fn compare(&mut self, key: u32) {
        let ledger = &self.ledger;
        let replicas = ledger.keys[key as usize].replicas.clone();
        let live = replicas.filter(|replica| ledger.replicas[*replica as usize].live);
        let mut shown = live.map(|replica| ledger.copy(replica, key).shown);
        let differ = match shown.next() {
            Some(first) => shown.any(|other| other != first),
            None => false,
        };
        let it = &mut self.ledger.keys[key as usize];
        match (it.diverged, differ) {
            (None, true) => {
                it.diverged = Some(self.now);
                self.diverged += 1;
            }
            (Some(since), false) => {
                it.divergence += (self.now - since).as_nanos();
                it.diverged = None;
                self.diverged -= 1;
            }
            _ => {}
        }
    }
}
