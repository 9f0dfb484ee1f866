//! The quota: who has how much of it, and how more is asked for.
//!
//! A unit belongs to one member at a time. What is given is told as a sum so far, so that a message that is lost or comes twice does no harm.

use super::coordinator::Coordinator;
use super::message::Word;
use super::{Failover, Flaw, Rules, notes};
use crate::coordination::member::{Io, NEVER};
use serde::Serialize;
use std::collections::BTreeMap;

/// What a child has had, and what more it needs.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Lack {
    pub seen: u64,
    pub need: u64,
}

/// What somebody may grant.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Purse {
    /// What is left.
    pub free: u64,
    /// What was granted beyond what there was, and isn't covered.
    pub over: u64,
    /// A deputy's part, until it takes over.
    pub reserve: u64,
    /// What each parent has given, in all.
    seen: BTreeMap<u32, u64>,
    /// What each child was given, in all.
    given: BTreeMap<u32, u64>,
    /// Children who wait.
    wants: BTreeMap<u32, Lack>,
    /// It waits for more: when it asks again, and how often it has asked.
    pub asks: Option<(i64, u32)>,
    /// What it had is gone with its disk: it doesn't know what it has spent.
    lost: bool,
}

impl Purse {
    /// What a member has at the start: roots have all.
    pub fn at_first(rules: &Rules, me: u32, position: u32) -> Self {
        let mut purse = Self::default();
        let roots = rules.tree.roots();
        if let (Some(quota), Some(place)) = (rules.quota, roots.iter().position(|root| *root == position)) {
            let (count, place) = (roots.len() as u64, place as u64);
            let part = quota.total / count + u64::from(place < quota.total % count);
            let reserve = match rules.failover {
                Failover::Deputy => quota.reserve.min(part),
                Failover::None | Failover::Sibling => 0,
            };
            match me < rules.tree.len() {
                true => purse.free = part - reserve,
                false => purse.reserve = reserve,
            }
        }
        purse
    }

    /// What is left after a crash that kept the disk.
    pub fn crashed(self) -> Self {
        let (wants, asks) = (BTreeMap::new(), None);
        Self { wants, asks, ..self }
    }

    /// What is left after one that didn't.
    pub fn after_a_loss() -> Self {
        Self {
            lost: true,
            ..Self::default()
        }
    }

    /// When it asks again.
    pub fn due(&self) -> i64 {
        self.asks.map_or(NEVER, |(due, _)| due)
    }

    /// Takes so much, if there is so much.
    pub fn spend(&mut self, value: u64) -> bool {
        let enough = self.free >= value;
        if enough {
            self.free -= value;
        }
        enough
    }

    /// Takes so much although there is less; by how much.
    pub fn overdraw(&mut self, value: u64) -> u64 {
        let over = value - self.free.min(value);
        self.free -= value - over;
        self.over += over;
        over
    }

    /// How much its children lack.
    fn wanted(&self) -> u64 {
        self.wants.values().map(|lack| lack.need).sum()
    }
}

impl Coordinator {
    /// How much it needs beyond what it has. What was granted beyond it counts once it is known what of that is taken back.
    fn needs(&self) -> u64 {
        let over = if self.recalls.is_empty() { self.purse.over } else { 0 };
        (self.desktop.lacks() + self.purse.wanted() + over).saturating_sub(self.purse.free)
    }

    /// Asks for more, if it needs more and hasn't asked.
    pub(super) fn ask_for_more(&mut self, rules: &Rules, io: &mut Io<'_, Word>) {
        let need = self.needs();
        if need == 0 {
            // There may be enough since somebody who waited doesn't any more.
            self.purse.asks = None;
            return self.settle_short(rules, false, io);
        }
        if self.up.is_none() || self.purse.asks.is_some() || !self.active {
            return;
        }
        self.ask(rules, need, 1, io);
    }

    fn ask(&mut self, rules: &Rules, need: u64, times: u32, io: &mut Io<'_, Word>) {
        let to = self.superior(rules);
        let seen = self.purse.seen.get(&to).copied().unwrap_or(0);
        io.send(to, Word::Want { seen, need });
        self.purse.asks = Some((io.now.saturating_add(rules.waits(times)), times));
    }

    /// What it had granted has come back to it: it serves who waits for that.
    pub(super) fn regain(&mut self, rules: &Rules, io: &mut Io<'_, Word>) {
        self.cover(rules, io);
        self.settle_short(rules, false, io);
        self.serve_wants(rules, false, io);
        self.ask_for_more(rules, io);
    }

    /// Asks again, if nobody has answered in time.
    pub(super) fn repeat_want(&mut self, rules: &Rules, io: &mut Io<'_, Word>) {
        if let Some((due, times)) = self.purse.asks
            && due <= io.now
        {
            match self.needs() {
                0 => self.ask_for_more(rules, io),
                need => self.ask(rules, need, times + 1, io),
            }
        }
    }

    /// A child needs more.
    pub(super) fn wanted(&mut self, rules: &Rules, from: u32, lack: Lack, io: &mut Io<'_, Word>) {
        self.purse.wants.insert(from, lack);
        self.serve_wants(rules, false, io);
        self.ask_for_more(rules, io);
    }

    /// Gives children what they need, if there is enough, or says that there is no more.
    pub(super) fn serve_wants(&mut self, rules: &Rules, dry: bool, io: &mut Io<'_, Word>) {
        let Some(quota) = rules.quota else {
            return;
        };
        let dry = dry || self.up.is_none();
        for (child, lack) in std::mem::take(&mut self.purse.wants) {
            let Lack { seen, need } = lack;
            // Who has had more than is known here remembers what this one has lost.
            let given = self.purse.given.get(&child).map_or(seen, |given| *given.max(&seen));
            let answer = if seen < given {
                // The last answer didn't come: it is said again, and whatever is needed yet is asked for anew.
                Some((0, false))
            } else if self.purse.free >= need {
                let gift = need.max(quota.lease.min(self.purse.free));
                self.purse.free -= gift;
                Some((gift, false))
            } else if self.alone {
                // The whole region is cut off: what its parts need it grants beyond what it has.
                let beyond = self.purse.overdraw(need);
                io.note(notes::OVER, 0, beyond);
                Some((need, false))
            } else {
                // What is needed may be for several: what there is may do for some of them.
                let gift = if dry { self.purse.free } else { 0 };
                self.purse.free -= gift;
                dry.then_some((gift, true))
            };
            match answer {
                Some((gift, dry)) => {
                    let total = given + gift;
                    self.purse.given.insert(child, total);
                    io.send(child, Word::Grant { total, dry });
                }
                None => drop(self.purse.wants.insert(child, lack)),
            }
        }
    }

    /// The one above has given something, or has no more.
    pub(super) fn given(&mut self, rules: &Rules, from: u32, (total, dry): (u64, bool), io: &mut Io<'_, Word>) {
        let seen = self.purse.seen.entry(from).or_insert(0);
        let gain = total.saturating_sub(*seen);
        *seen = (*seen).max(total);
        if self.purse.lost && *seen == total && gain > 0 {
            // What it had of that before it lost its disk may be spent.
            self.purse.lost = false;
        } else {
            self.purse.free += gain;
        }
        self.purse.asks = None;
        // An answer that comes late says nothing of now.
        let dry = dry && gain == 0;
        self.cover(rules, io);
        if dry && self.purse.over > 0 && self.recalls.is_empty() {
            io.note(notes::UNCOVERED, 0, std::mem::take(&mut self.purse.over));
        }
        self.settle_short(rules, dry, io);
        self.serve_wants(rules, dry, io);
        self.ask_for_more(rules, io);
    }

    /// What was granted beyond what there was is covered by what there is now.
    pub(super) fn cover(&mut self, rules: &Rules, io: &mut Io<'_, Word>) {
        let covered = self.purse.over.min(self.purse.free);
        if covered > 0 {
            self.purse.over -= covered;
            self.purse.free -= covered;
            io.note(notes::COVERED, 0, covered);
        }
        if self.up.is_none() && self.purse.over > 0 && rules.quota.is_some() {
            io.note(notes::UNCOVERED, 0, std::mem::take(&mut self.purse.over));
        }
    }

    /// A new active one begins with what it held ready.
    pub(super) fn open_purse(&mut self, rules: &Rules) {
        self.purse.free += std::mem::take(&mut self.purse.reserve);
        if rules.flaw == Flaw::InheritsLease && self.me >= rules.tree.len() {
            let lease = rules.quota.map_or(0, |quota| quota.lease);
            self.purse.free += lease;
        }
    }
}

#[cfg(test)]
impl Purse {
    pub fn seen(&self) -> &BTreeMap<u32, u64> {
        &self.seen
    }

    pub fn given(&self) -> &BTreeMap<u32, u64> {
        &self.given
    }
}
