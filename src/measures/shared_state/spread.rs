//! The way of effects to replicas: what becomes visible where and in which order, when replicas differ and when they agree
//! again.

use super::SharedStateJudge;
use super::ledger::{Dep, flag};
use crate::kernel::SimTime;
use crate::state::{Dot, Keeping};
use crate::stores::words::of_range_words;
use crate::world::record::Record;
use smallvec::SmallVec;
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
            let Some(write) = self.ledger.find(key, dot) else {
                continue;
            };
            self.hear(replica, write);
            let ledger = &mut self.ledger;
            let (heads, keeping) = (ledger.keys[key as usize].has_heads(), ledger.keys[key as usize].keeping);
            if heads && ledger.copy_mut(replica, key).hold(write) {
                ledger.writes[write as usize].held_by += 1;
            }
            if keeping == Keeping::Removals {
                ledger.copy_mut(replica, key).unbury(write);
            }
            if keeping == Keeping::Ranked {
                ledger.raise_top(replica, write);
            }
            self.to_check.push((replica, write));
        }
    }

    /// A replica hears of a write.
    fn hear(&mut self, replica: u32, write: u32) {
        let is_new = self.ledger.hear(replica, write);
        let it = &self.ledger.writes[write as usize];
        let (key, heard_by) = (&self.ledger.keys[it.key as usize], it.heard_by);
        if is_new && heard_by as usize == key.replicas.len() {
            self.to_retire.push(write);
        }
        if self.healing {
            self.touched.push((replica, it.key));
        }
        if is_new && heard_by == 1 && key.logs && self.ledger.is_shown_again(write) {
            self.tally.duplicate_effects += u64::from(self.is_measured(self.now));
        }
    }

    /// An effect is outranked at a replica.
    pub(super) fn outranked(&mut self, record: &Record) {
        let Some(replica) = self.ledger.replica(record.subject) else {
            return;
        };
        let key = self.ledger.key(record.a);
        // Mostly one of the two is what was held, and the other one spreads.
        let find = |bits| self.ledger.find_at(replica, key, Dot::from_bits(bits));
        let Some(loser) = find(record.b) else {
            return;
        };
        let winner = (record.c != u64::MAX).then(|| find(record.c)).flatten();
        self.hear(replica, loser);
        let ledger = &mut self.ledger;
        let removals = ledger.keys[key as usize].keeping == Keeping::Removals;
        let copy = ledger.copy_mut(replica, key);
        if removals {
            copy.bury(loser);
        }
        if copy.let_go(loser) {
            let it = &mut ledger.writes[loser as usize];
            it.held_by -= 1;
            if it.held_by == 0 {
                self.to_retire.push(loser);
            }
        }
        if let Some(winner) = winner {
            self.lost_to(loser, winner);
        }
    }

    /// An update that was logged replaces another one, wherever it arrives.
    pub(super) fn replaces(&mut self, record: &Record) {
        let key = self.ledger.key(record.a);
        let find = |bits| self.ledger.keys[key as usize].find(Dot::from_bits(bits));
        if let (Some(loser), Some(winner)) = (find(record.b), find(record.c)) {
            self.lost_to(loser, winner);
        }
    }

    /// Notes what a write was outranked by, and whether that had seen it.
    fn lost_to(&mut self, loser: u32, winner: u32) {
        let it = &self.ledger.writes[loser as usize];
        // Of ranked keys the ranks say what outranks what.
        let is_ranked = self.ledger.keys[it.key as usize].keeping == Keeping::Ranked;
        let is_known = match is_ranked {
            true => it.flags & flag::OVERWRITTEN != 0 || it.successor == winner,
            false => it.winners().contains(&winner),
        };
        if is_known {
            return;
        }
        let seen = self.ledger.has_seen(winner, loser);
        let it = &mut self.ledger.writes[loser as usize];
        if !is_ranked {
            it.add_winner(winner);
        } else if seen {
            it.successor = winner;
        }
        if !seen && it.flags & flag::OVERWRITTEN == 0 {
            it.flags |= flag::OVERWRITTEN;
            self.tally.overwritten_unseen += u64::from(it.flags & flag::COUNTED != 0);
        }
    }

    /// Looks at what the last entry has made visible, once all of it is.
    pub(super) fn check_order(&mut self) {
        // The lists go back with their room: this happens after every entry.
        let mut to_check = std::mem::take(&mut self.to_check);
        for (replica, write) in to_check.drain(..) {
            let flags = self.ledger.writes[write as usize].flags;
            let mut found = 0;
            if flags & flag::MONOTONIC_WRITES == 0 && self.ledger.lacks_earlier(replica, write) {
                found |= flag::MONOTONIC_WRITES;
            }
            let it = &self.ledger.writes[write as usize];
            let is_flagged = flags & flag::WRITES_FOLLOW_READS != 0;
            for dep in it.deps().iter().filter(|_| !is_flagged) {
                self.ledger.look(1);
                // Mostly the replica has heard of what was read, which the write itself says.
                if let Dep::Read(other) = dep
                    && self.ledger.has_heard(replica, *other)
                {
                    continue;
                }
                let of = match dep {
                    Dep::Read(other) => self.ledger.writes[*other as usize].key,
                    Dep::Effects(key, _) => *key,
                };
                let lacking = self.ledger.keeps(replica, of)
                    && match dep {
                        Dep::Read(other) => self.ledger.lacks(replica, *other),
                        Dep::Effects(key, effects) => {
                            let known = self.ledger.known(replica, *key);
                            self.ledger.is_lacking_any(&known, *key, effects)
                        }
                    };
                if lacking {
                    found |= flag::WRITES_FOLLOW_READS;
                    break;
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
        self.to_check = to_check;
        for write in self.to_retire.drain(..) {
            self.ledger.retire(write);
        }
        if !self.healing {
            return;
        }
        self.healing = false;
        for heal in self.heals.iter_mut().filter(|heal| heal.took.is_none()) {
            for place in &self.touched {
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
            self.healing |= heal.took.is_none();
        }
        self.touched.clear();
    }

    /// A cut ends.
    pub(super) fn healed(&mut self, now: SimTime) {
        let ledger = &self.ledger;
        let mut left = BTreeMap::new();
        for (key, it) in ledger.keys.iter().enumerate() {
            for replica in it
                .replicas
                .iter()
                .copied()
                .filter(|replica| ledger.replicas[*replica as usize].live)
            {
                let key = key as u32;
                let lacking = it.spreading.iter().copied();
                let lacking =
                    lacking.filter(|write| ledger.writes[*write as usize].acked != 0 && ledger.lacks(replica, *write));
                let lacking: Vec<u32> = lacking.collect();
                if !lacking.is_empty() {
                    left.insert((replica, key), lacking);
                }
            }
        }
        let took = left.is_empty().then_some(0);
        self.healing |= took.is_none();
        self.heals.push(Heal { at: now, left, took });
    }

    /// A replica stops.
    pub(super) fn crashed(&mut self, replica: u32, loses_state: bool) {
        self.ledger.replicas[replica as usize].live = false;
        if loses_state {
            let first = self.ledger.first_key[self.ledger.replicas[replica as usize].store as usize];
            let keys = self.ledger.replicas[replica as usize].keys;
            for key in first..first + keys {
                if self.ledger.keeps(replica, key) {
                    self.ledger.forget(replica, key);
                }
            }
        }
        self.compare_all(replica);
    }

    /// A replica takes back what it had applied of a key.
    pub(super) fn taken_back(&mut self, record: &Record) {
        if let Some(replica) = self.ledger.replica(record.subject) {
            let key = self.ledger.key(record.a);
            if self.ledger.keeps(replica, key) {
                self.ledger.forget(replica, key);
            }
            if self.healing {
                self.touched.push((replica, key));
            }
        }
    }

    /// A replica comes back.
    pub(super) fn restarted(&mut self, replica: u32) {
        self.ledger.replicas[replica as usize].live = true;
        self.compare_all(replica);
    }

    fn compare_all(&mut self, replica: u32) {
        let first = self.ledger.first_key[self.ledger.replicas[replica as usize].store as usize];
        let keys = self.ledger.replicas[replica as usize].keys;
        (first..first + keys).for_each(|key| self.compare(key));
    }

    /// A replica shows another value of a key.
    pub(super) fn shows(&mut self, replica: u32, key: u32, digest: u64) {
        let live = self.ledger.replicas[replica as usize].live;
        let before = std::mem::replace(&mut self.ledger.copy_mut(replica, key).shown, digest);
        if !live {
            return;
        }
        let shown = &mut self.ledger.keys[key as usize].shown;
        if let Some(place) = shown.iter().position(|(other, _)| *other == before) {
            shown[place].1 -= 1;
            if shown[place].1 == 0 {
                shown.swap_remove(place);
            }
        }
        match shown.iter_mut().find(|(other, _)| *other == digest) {
            Some((_, count)) => *count += 1,
            None => shown.push((digest, 1)),
        }
        self.judge_divergence(key);
    }

    /// Counts anew what the live replicas show of a key.
    fn compare(&mut self, key: u32) {
        let ledger = &self.ledger;
        let mut shown: SmallVec<[(u64, u32); 2]> = SmallVec::new();
        for &replica in ledger.keys[key as usize].replicas.iter() {
            if !ledger.replicas[replica as usize].live {
                continue;
            }
            let digest = ledger.copy(replica, key).shown;
            match shown.iter_mut().find(|(other, _)| *other == digest) {
                Some((_, count)) => *count += 1,
                None => shown.push((digest, 1)),
            }
        }
        self.ledger.keys[key as usize].shown = shown;
        self.judge_divergence(key);
    }

    fn judge_divergence(&mut self, key: u32) {
        let it = &mut self.ledger.keys[key as usize];
        match (it.diverged, it.shown.len() > 1) {
            (None, true) => {
                it.diverged = Some(self.now);
                self.diverged += 1;
            }
            (Some(since), false) => {
                if self.ended.is_none() {
                    it.divergence += (self.now - since).as_nanos();
                }
                it.diverged = None;
                self.diverged -= 1;
            }
            _ => {}
        }
    }
}
