//! What replicas have heard of: a bit for each write and replica, and what follows once all have heard.
//!
//! A write spreads until every replica has heard of it, or never will lack it. Only of those that spread is remembered what
//! they knew, and by whom they were read: what everybody has can't be missed. Where a replica may lose its state, or where
//! reads join answers, that doesn't hold, and replicas note what they have heard of one by one.

use super::{Copy, Few, Ledger, NONE, SPREADING, Write};
use crate::kernel::in_large_pages;
use crate::measures::shared_state::past::Past;
use crate::state::{DotSet, Keeping};
use std::sync::Arc;

/// There is room for so many more writes at least.
const MANY: usize = 4096;

impl Ledger {
    /// Whether replicas note one by one what they have heard of a key: where a replica may lose what all have heard of, or a read
    /// shows what no replica holds.
    pub fn is_noted(&self, key: u32) -> bool {
        let key = &self.keys[key as usize];
        self.may_lose_state || key.joins || key.is_kept
    }

    /// Whether a replica has heard of a write of its store.
    pub fn has_heard(&self, replica: u32, write: u32) -> bool {
        let place = self.places[replica as usize] as usize;
        let word = match (place / 64).checked_sub(1) {
            None => self.writes[write as usize].heard,
            Some(word) => self.heard[write as usize * self.heard_words + word],
        };
        word >> (place % 64) & 1 == 1
    }

    /// Where it says whether a replica has heard of a write: the word, and the bit in it.
    fn hearing(&mut self, replica: u32, write: u32) -> (&mut u64, u64) {
        let place = self.places[replica as usize] as usize;
        let word = match (place / 64).checked_sub(1) {
            None => &mut self.writes[write as usize].heard,
            Some(word) => &mut self.heard[write as usize * self.heard_words + word],
        };
        (word, 1 << (place % 64))
    }

    /// What a replica has heard of a key, where it notes that.
    pub fn noted(&self, replica: u32, key: u32) -> &DotSet {
        static NOTHING: DotSet = DotSet::NONE;
        let more = self.copy(replica, key).more.as_ref();
        more.map_or(&NOTHING, |more| &more.heard)
    }

    /// Whether a replica has heard of exactly these effects.
    pub fn has_heard_just(&self, replica: u32, key: u32, effects: &DotSet) -> bool {
        if self.is_noted(key) {
            return self.noted(replica, key) == effects;
        }
        let state = &self.keys[key as usize];
        let mut unheard = state.spreading.iter().filter(|write| !self.has_heard(replica, **write));
        if state.keeping != Keeping::Ranked && unheard.next().is_none() {
            let versions = &state.annals.versions;
            let tops = effects.vector().tops();
            return effects.loose().is_empty()
                && tops.len() == versions.len()
                && (versions.iter().zip(tops)).all(|(it, top)| (top.origin, top.number) == (it.origin, it.count()));
        }
        let mut heard = DotSet::default();
        for it in &state.annals.versions {
            it.heard(|write| self.has_heard(replica, write), &mut heard);
        }
        heard == *effects
    }

    /// A replica hears of a write; true if it hadn't before.
    pub fn hear(&mut self, replica: u32, write: u32) -> bool {
        if self.has_heard(replica, write) {
            return false;
        }
        let (word, bit) = self.hearing(replica, write);
        *word |= bit;
        let it = &mut self.writes[write as usize];
        it.heard_by += 1;
        let (key, dot, heard_by) = (it.key, it.dot, it.heard_by);
        if self.is_noted(key) {
            let past = self.writes[write as usize].past.clone();
            let more = self.copy_mut(replica, key).more();
            more.heard.insert(dot);
            if let Some(past) = past {
                more.past.join(&past);
            }
        } else if self.writes[write as usize].settled
            && self.keys[key as usize].spreading.binary_search(&write).is_err()
        {
            self.fold(replica, write);
        }
        if heard_by as usize == self.keys[key as usize].replicas.len() {
            self.is_everywhere(write);
        }
        true
    }

    /// Every replica has heard of a write: none lacks it, and of a ranked key none lacks what it outranks.
    fn is_everywhere(&mut self, write: u32) {
        let it = &self.writes[write as usize];
        let (key, rank) = (it.key, (it.stamp, it.dot));
        if !self.is_noted(key)
            && let Some(past) = &it.past
        {
            let (agent, number) = (it.agent, it.number);
            let state = &mut self.keys[key as usize];
            state.base.join(past);
            match state.in_base.iter_mut().find(|(other, _)| *other == agent) {
                Some((_, highest)) => *highest = number.max(*highest),
                None => state.in_base.push((agent, number)),
            }
        }
        let spreading = &mut self.keys[key as usize].spreading;
        if let Ok(place) = spreading.binary_search(&write) {
            spreading.remove(place);
        }
        self.settle(write);
        if self.keys[key as usize].keeping != Keeping::Ranked || self.keys[key as usize].spreading.is_empty() {
            return;
        }
        let replicas = Arc::clone(&self.keys[key as usize].replicas);
        self.look(replicas.len() * self.keys[key as usize].spreading.len());
        let outranked = |other: &u32| {
            let it = &self.writes[*other as usize];
            !it.settled
                && (it.stamp, it.dot) < rank
                && replicas.iter().all(|replica| self.never_lacks(*replica, *other))
        };
        let spreading = self.keys[key as usize].spreading.iter().copied();
        let outranked: Vec<u32> = spreading.filter(outranked).collect();
        outranked.into_iter().for_each(|other| self.settle(other));
        if self.keys[key as usize].spreading.len() > SPREADING {
            // What was outranked before it was sent is never heard of elsewhere.
            let (settled, spreading) = std::mem::take(&mut self.keys[key as usize].spreading)
                .into_iter()
                .partition::<Few, _>(|write| self.writes[*write as usize].settled);
            self.keys[key as usize].spreading = spreading;
            let noted = self.is_noted(key);
            for other in settled.into_iter().filter(|_| !noted) {
                for &replica in replicas.iter() {
                    if self.has_heard(replica, other) {
                        self.fold(replica, other);
                    }
                }
            }
        }
    }

    /// Notes at a copy what a write had in its past.
    fn fold(&mut self, replica: u32, write: u32) {
        let it = &self.writes[write as usize];
        let key = it.key;
        if let Some(past) = it.past.clone() {
            self.copy_mut(replica, key).more().past.join(&past);
        }
    }

    /// No replica lacks a write, nor will.
    fn settle(&mut self, write: u32) {
        self.writes[write as usize].settled = true;
        self.forget_own(write);
    }

    /// Forgets an agent's own write once no read can show what it was to replace: no replica lacks it, nothing that it knows
    /// outranks it, and all that it knows has been accepted, for good.
    pub fn forget_own(&mut self, write: u32) {
        let it = &self.writes[write as usize];
        if it.settled && it.topmost && self.each_once && !self.overlaps && !self.is_noted(it.key) {
            let (agent, key) = (it.agent as usize, it.key);
            if self.agents[agent].own.get(&key).is_some_and(|own| own.write == write) {
                self.agents[agent].own.remove(&key);
                self.keys[key as usize].owned -= 1;
            }
        }
    }

    /// Whether whoever knows of a write knows all that it had in its past: nobody hears of an operation before it has been
    /// accepted, and none has been accepted twice.
    pub fn is_closed(&self) -> bool {
        self.each_once && !self.doubled && !self.overlaps
    }

    /// Whether somebody who knows so much would learn nothing from a write.
    pub fn is_old(&self, write: u32, knows: impl Fn(u32, u32) -> bool) -> bool {
        let it = &self.writes[write as usize];
        self.is_closed() && knows(it.agent, it.number)
    }

    /// Shows the pasts that make that of all that a replica has heard of a key, but for those from which nobody learns anything
    /// who knows so much already.
    pub fn pasts_at(&self, replica: u32, key: u32, knows: impl Fn(u32, u32) -> bool, mut show: impl FnMut(&Past)) {
        let state = &self.keys[key as usize];
        self.look(state.in_base.len() + state.spreading.len());
        if !self.is_closed() || !state.in_base.iter().all(|(agent, number)| knows(*agent, *number)) {
            show(&state.base);
        }
        if let Some(more) = &self.copy(replica, key).more {
            show(&more.past);
        }
        if !self.is_noted(key) {
            for write in state.spreading.iter().filter(|write| self.has_heard(replica, **write)) {
                if let Some(past) = &self.writes[*write as usize].past
                    && !self.is_old(*write, &knows)
                {
                    show(past);
                }
            }
        }
    }

    /// Of a key whose reads join: the pasts of all that a replica has accepted.
    pub fn accepted_at(&self, replica: u32, key: u32) -> Option<&Past> {
        let more = self.copy(replica, key).more.as_ref();
        more.map(|more| &more.own)
    }

    /// Of a key whose reads join: a replica accepts what has this past.
    pub fn accept_at(&mut self, replica: u32, key: u32, past: &Past) {
        self.copy_mut(replica, key).more().own.join(past);
    }

    /// A version of a ranked key is applied.
    pub fn raise_top(&mut self, replica: u32, write: u32) {
        let it = &self.writes[write as usize];
        let place = self.copy_place(replica, it.key);
        let top = self.copies[place].top;
        let rank = |write: u32| (self.writes[write as usize].stamp, self.writes[write as usize].dot);
        if top == NONE || rank(top) < rank(write) {
            self.copies[place].top = write;
        }
    }

    /// A write is accepted, and nobody has heard of it.
    pub fn add(&mut self, write: Write) -> u32 {
        let place = self.writes.len() as u32;
        let write = Write {
            order: self.accepted,
            ..write
        };
        self.accepted += 1;
        let key = &mut self.keys[write.key as usize];
        key.note(write.dot, write.stamp, place);
        key.spreading.push(place);
        let writes = &mut self.agents[write.agent as usize].writes;
        let at = match writes.last() {
            Some((latest, _)) if *latest > write.number => writes.partition_point(|(other, _)| *other <= write.number),
            _ => writes.len(),
        };
        writes.insert(at, (write.number, place));
        if at + 1 < writes.len() {
            // What was counted so far now has a gap.
            for replica in &mut self.replicas {
                if let Some(mark) = replica.marks.get_mut(write.agent as usize) {
                    *mark = (*mark).min(at as u32);
                }
            }
        }
        if self.writes.len() == self.writes.capacity() {
            self.writes.reserve(MANY);
            in_large_pages(&mut self.writes);
        }
        self.writes.push(write);
        self.heard.resize(self.heard.len() + self.heard_words, 0);
        place
    }

    /// A replica loses what it has of a key.
    pub fn forget(&mut self, replica: u32, key: u32) {
        let copy = self.copy_mut(replica, key);
        let fresh = Copy::fresh(copy.shown);
        let old = std::mem::replace(copy, fresh);
        for held in old.held() {
            self.writes[*held as usize].held_by -= 1;
        }
        let mut all: Vec<u32> = self.keys[key as usize].writes().collect();
        for write in &all {
            let (word, bit) = self.hearing(replica, *write);
            let had = *word & bit != 0;
            *word &= !bit;
            let it = &mut self.writes[*write as usize];
            it.heard_by -= u16::from(had);
            it.settled = false;
        }
        all.sort_unstable();
        self.keys[key as usize].spreading = all.into();
        self.replicas[replica as usize].marks.clear();
    }

    /// Whether a replica lacks a write of an agent before this number.
    pub fn lacks_earlier(&mut self, replica: u32, write: u32) -> bool {
        let (agent, number) = (self.writes[write as usize].agent, self.writes[write as usize].number);
        let marks = &self.replicas[replica as usize].marks;
        let from = marks.get(agent as usize).map_or(0, |mark| *mark as usize);
        let of_agent = &self.agents[agent as usize].writes;
        let earlier = |place: usize| of_agent.get(place).filter(|(other, _)| *other < number);
        let mut mark = from;
        while let Some(&(_, write)) = earlier(mark) {
            // Mostly it has heard of it, which the write itself says.
            let unheard = !self.has_heard(replica, write) && self.keeps_write(replica, write);
            if unheard && !self.never_lacks(replica, write) {
                break;
            }
            mark += 1;
        }
        self.look(mark - from + 1);
        let rest = (mark..).map_while(earlier).map(|(_, write)| *write);
        let rest = rest.inspect(|_| self.look(1));
        // One that was accepted later isn't earlier in effect, and one that was given up its agent didn't go by.
        let mut rest = rest.filter(|other| *other < write && !self.writes[*other as usize].given_up);
        let lacking = rest.any(|other| self.keeps_write(replica, other) && self.lacks(replica, other));
        if mark > from {
            let marks = &mut self.replicas[replica as usize].marks;
            if marks.len() <= agent as usize {
                marks.resize(agent as usize + 1, 0);
            }
            marks[agent as usize] = mark as u32;
        }
        lacking
    }

    /// Whether a write is of a key that a replica keeps.
    fn keeps_write(&self, replica: u32, write: u32) -> bool {
        self.keeps(replica, self.writes[write as usize].key)
    }
}
