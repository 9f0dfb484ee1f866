//! Forgetting updates that nothing can refer to any more, so that memory is bounded by what is live and not by the history.
//!
//! An update is over once every replica has heard of it, its agent is done with it, and, of registers, no replica holds it. Where
//! every replica is told of it once, and every update knows all that its replica has heard of, no later record names it, nobody
//! lacks it, and nothing is concurrent to it that wasn't found to be. What the results ask of it is noted then: its sum, or that it
//! may be lost. This is for stores of registers that keep the highest rank, and of counters that keep all; others keep the history.
//!
//! Updates are known by their places, in the order of acceptance. Once there are many more than were live before, all of them are
//! looked at, those that are over go, and the others move up: the cost of that is shared by the updates that came since.

use super::{Dep, KeyState, Ledger, NONE, Write, flag};
use crate::measures::shared_state::Watched;
use crate::state::{Keeping, KeyType, Op};

/// So many updates are gathered at least before some are forgotten.
const LEAST: usize = 4096;
/// For each so many copies there may be another one: all of them are looked at.
const COPIES: usize = 16;

/// A register's update that was forgotten, and that nobody had before his eyes so far.
#[derive(Debug, Clone, Copy)]
pub(in super::super) struct Unseen {
    /// Its place among all that were ever accepted.
    pub order: u32,
    pub key: u32,
    pub agent: u32,
    pub number: u32,
}

/// What is known of updates that were forgotten, and when others will be.
#[derive(Debug, Default)]
pub(in super::super) struct Forgotten {
    /// Whether updates are forgotten at all.
    pub allowed: bool,
    /// From how many updates on some are forgotten.
    limit: usize,
    least: usize,
    pub unseen: Vec<Unseen>,
}

impl Forgotten {
    /// Whether, and when, updates are forgotten in these stores.
    pub fn new(watched: &Watched) -> Self {
        let simple = |(kind, keeping): &(KeyType, Keeping)| {
            matches!(
                (kind, keeping),
                (KeyType::Register, Keeping::Ranked) | (KeyType::Counter, Keeping::All)
            )
        };
        let allowed = watched.each_once
            && !watched.may_lose_state
            && watched.stores.iter().all(|store| {
                let told_once = !store.repeats && !store.joins && !store.logs && !store.is_kept;
                told_once && store.blind && store.keys.iter().all(simple)
            });
        Self {
            allowed,
            limit: LEAST,
            least: LEAST,
            unseen: Vec::new(),
        }
    }

    /// How many may come before the next are forgotten.
    fn room(&self, live: usize, copies: usize) -> usize {
        match self.least {
            0 => 1,
            least => live.max(copies / COPIES).max(least),
        }
    }

    /// So many updates are gathered at least: with none, updates are forgotten as soon as they can be.
    #[cfg(test)]
    pub fn at_least(&mut self, least: usize) {
        (self.limit, self.least) = (least, least);
    }
}

/// The new places of updates; none of those that are forgotten.
struct Moves(Vec<u32>);

impl Moves {
    fn of(&self, write: u32) -> Option<u32> {
        let to = self.0.get(write as usize).copied();
        to.filter(|to| *to != NONE)
    }

    /// The same, with a place that stands for none.
    fn or_none(&self, write: u32) -> u32 {
        self.of(write).unwrap_or(NONE)
    }

    fn follow<A: smallvec::Array<Item = u32>>(&self, writes: &mut smallvec::SmallVec<A>) {
        writes.retain(|write| {
            *write = self.or_none(*write);
            *write != NONE
        });
    }
}

impl KeyState {
    /// Whether an update of this key is over, unless somebody refers to it.
    fn is_over(&self, write: &Write) -> bool {
        let by_kind = match (self.keeping, write.op) {
            (Keeping::Ranked, Op::Write(_)) => write.held_by == 0,
            (Keeping::All, Op::Add(_)) => true,
            _ => false,
        };
        by_kind
            && write.settled
            && write.heard_by as usize == self.replicas.len()
            && (write.acked != 0 || write.given_up)
            && !write.has_rest
    }
}

impl Ledger {
    /// Forgets updates that are over, if there are many more than were live. To be called between two entries.
    pub fn forget_updates(&mut self) {
        if self.writes.len() < self.forgotten.limit || !self.forgotten.allowed || self.doubled {
            return;
        }
        self.look(self.writes.len() + self.copies.len() + self.keys.len());
        let moves = self.find_over();
        for (write, to) in self.writes.iter().zip(&moves.0) {
            if *to != NONE || write.acked == 0 || write.flags & flag::DUPLICATE != 0 {
                continue;
            }
            let annals = &mut self.keys[write.key as usize].annals;
            match write.op {
                Op::Add(by) => annals.spent = annals.spent.saturating_add(by),
                _ if write.flags & flag::COUNTED == 0 || write.flags & flag::SEEN != 0 => {}
                _ if annals.told.knows(write.agent, write.number) => {}
                _ => self.forgotten.unseen.push(Unseen {
                    order: write.order,
                    key: write.key,
                    agent: write.agent,
                    number: write.number,
                }),
            }
        }
        self.move_up(&moves);
        let live = self.writes.len();
        self.forgotten.limit = live + self.forgotten.room(live, self.copies.len());
    }

    /// Where updates go once those that are over are forgotten.
    fn find_over(&self) -> Moves {
        let mut referred = vec![false; self.writes.len()];
        let mut refer = |write: u32| {
            if write != NONE {
                referred[write as usize] = true;
            }
        };
        self.copies.iter().for_each(|copy| refer(copy.top));
        for agent in &self.agents {
            agent.own.values().for_each(|own| refer(own.write));
            agent.latest.values().for_each(|write| refer(*write));
        }
        for view in self.pending.all().flat_map(|pending| &pending.views) {
            view.heads.iter().chain(&view.spreading).for_each(|write| refer(*write));
        }
        for rest in self.writes.iter().filter_map(|write| write.rest.as_ref()) {
            rest.bases.iter().chain(&rest.winners).for_each(|write| refer(*write));
        }
        let mut next = 0..;
        let stays = |(write, referred): (&Write, &bool)| *referred || !self.keys[write.key as usize].is_over(write);
        let moves = self.writes.iter().zip(&referred).map(|it| match stays(it) {
            true => next.next().unwrap_or(NONE),
            false => NONE,
        });
        Moves(moves.collect())
    }

    /// Updates take their new places, and whatever refers to one follows.
    fn move_up(&mut self, moves: &Moves) {
        for copy in &mut self.copies {
            copy.follow(|write| moves.or_none(write));
        }
        for key in &mut self.keys {
            moves.follow(&mut key.spreading);
            let annals = &mut *key.annals;
            annals
                .versions
                .iter_mut()
                .for_each(|it| it.follow(|write| moves.or_none(write)));
            annals.frontier.follow(|write| moves.of(write));
        }
        let mut kept_before = Vec::new();
        for (place, agent) in self.agents.iter_mut().enumerate() {
            kept_before.clear();
            let mut kept = 0;
            agent.writes.retain_mut(|(_, write)| {
                kept_before.push(kept);
                *write = moves.or_none(*write);
                kept += u32::from(*write != NONE);
                *write != NONE
            });
            kept_before.push(kept);
            for replica in &mut self.replicas {
                if let Some(mark) = replica.marks.get_mut(place) {
                    *mark = kept_before[*mark as usize];
                }
            }
            agent
                .reads
                .values_mut()
                .for_each(|so_far| moves.follow(&mut so_far.heads));
            agent
                .own
                .values_mut()
                .for_each(|own| own.write = moves.or_none(own.write));
            agent
                .latest
                .values_mut()
                .for_each(|write| *write = moves.or_none(*write));
        }
        for view in self.pending.all_mut().flat_map(|pending| &mut pending.views) {
            moves.follow(&mut view.heads);
            moves.follow(&mut view.spreading);
        }
        let words = self.heard_words;
        for (from, to) in (0..).zip(&moves.0).filter(|(_, to)| **to != NONE) {
            let to = *to as usize;
            self.heard.copy_within(from * words..(from + 1) * words, to * words);
        }
        let mut places = moves.0.iter();
        self.writes.retain_mut(|write| {
            write.successor = moves.or_none(write.successor);
            if write.has_rest {
                let rest = write.rest_mut();
                let others = rest.bases.iter_mut().chain(&mut rest.winners);
                others.for_each(|other| *other = moves.or_none(*other));
                rest.deps.retain_mut(|dep| match dep {
                    Dep::Read(read) => {
                        *read = moves.or_none(*read);
                        *read != NONE
                    }
                    Dep::Effects(..) => true,
                });
            }
            places.next().is_some_and(|to| *to != NONE)
        });
        self.heard.truncate(self.writes.len() * words);
    }
}
