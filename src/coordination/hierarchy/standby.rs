//! The two who may coordinate a position: who of them does, what the other one has, and how they come together again.

use super::coordinator::Coordinator;
use super::message::{Entry, Part, Word};
use super::{Failover, Rules, notes};
use crate::coordination::member::{Io, NEVER, event};
use crate::coordination::shared::Shared;
use serde::Serialize;
use std::collections::VecDeque;

/// Something that is handed to the other one, until it says that it has it.
#[derive(Debug, Clone, Copy, Serialize)]
struct Pending {
    number: u64,
    /// The first entry of the log that comes with it.
    start: u64,
    free: u64,
    over: u64,
    reserve: bool,
}

/// What comes from the other one beside entries.
#[derive(Debug, Clone, Copy)]
pub(super) struct Handover {
    pub number: u64,
    pub free: u64,
    pub over: u64,
    pub reserve: bool,
    pub active: bool,
}

/// What one of the two knows of the other.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Watch {
    /// As one that isn't active: when it takes over.
    takeover_due: i64,
    /// As the active one: how many entries of its log the other one has.
    has: u64,
    /// As one that isn't: how many entries it has of the log of which epoch.
    copied: (u64, u64),
    /// As one that has crashed while it was active: from which entry on the other one may lack its log.
    owes: Option<u64>,
    /// What it has handed over, the earliest first.
    pending: VecDeque<Pending>,
    /// When it hands it over again.
    pending_due: i64,
    /// The number of the last handover that it made, and of the last that it took.
    made: u64,
    took: u64,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            takeover_due: NEVER,
            has: 0,
            copied: (0, 0),
            owes: None,
            pending: VecDeque::new(),
            pending_due: NEVER,
            made: 0,
            took: 0,
        }
    }
}

impl Watch {
    pub fn due(&self) -> i64 {
        self.takeover_due.min(self.pending_due)
    }

    pub fn is_due(&self, now: i64) -> bool {
        self.due() <= now
    }

    pub fn is_at_rest(&self) -> bool {
        self.pending.is_empty()
    }

    /// What is on disk.
    pub fn crashed(self, active: bool) -> Self {
        Self {
            owes: self.owes.or(active.then_some(self.has)),
            takeover_due: NEVER,
            pending_due: NEVER,
            has: 0,
            ..self
        }
    }
}

impl Coordinator {
    /// The other one of its position.
    fn other(&self, rules: &Rules) -> u32 {
        let count = rules.tree.len();
        if self.me < count {
            self.me + count
        } else {
            self.me - count
        }
    }

    /// It coordinates its position from now on.
    pub(super) fn take_over(&mut self, rules: &Rules, io: &mut Io<'_, Word>) {
        let place = u64::from(self.me >= rules.tree.len());
        // The next number that is this member's own.
        self.epoch = (self.epoch / 2 + 1) * 2 + place;
        self.active = true;
        // The other one gets all of its log anew.
        (self.watch.takeover_due, self.watch.has, self.watch.owes) = (NEVER, 0, None);
        self.note_standing(rules, notes::COVERS, event::LEADS, io);
        self.open_purse(rules);
        self.set_timers(rules, io);
        self.take_up_cases(rules, io);
        self.cover(rules, io);
        self.ask_for_more(rules, io);
        if !self.watch.pending.is_empty() {
            self.watch.pending_due = io.now.saturating_add(rules.patience);
        }
    }

    fn note_standing(&self, rules: &Rules, own: u16, of_all: u16, io: &mut Io<'_, Word>) {
        io.note(own, u64::from(self.position), self.epoch);
        if rules.tree.roots().first() == Some(&self.position) {
            io.note(of_all, self.epoch, 0);
        }
    }

    /// It waits whether the other one is there.
    pub(super) fn stand_by(&mut self, rules: &Rules, now: i64) {
        self.watch.takeover_due = now.saturating_add(rules.after);
        if !self.watch.pending.is_empty() {
            self.watch.pending_due = now.saturating_add(rules.patience);
        }
    }

    /// Somebody coordinates its position too.
    pub(super) fn rival(&mut self, rules: &Rules, epoch: u64, io: &mut Io<'_, Word>) {
        if epoch < self.epoch {
            if self.active {
                self.send_copy(rules, io);
            } else {
                let epoch = self.epoch;
                io.send(self.other(rules), Word::Objection { epoch });
            }
            return;
        }
        if self.active {
            self.note_standing(rules, notes::UNCOVERS, event::YIELDS, io);
            self.step_down(rules, io);
        }
        self.epoch = epoch;
        self.watch.takeover_due = io.now.saturating_add(rules.after);
    }

    /// It hands over what it has.
    fn step_down(&mut self, rules: &Rules, io: &mut Io<'_, Word>) {
        self.active = false;
        self.alone = false;
        self.unset_timers();
        self.drop_cases();
        self.adopted.clear();
        let purse = std::mem::take(&mut self.purse);
        self.purse = purse.crashed();
        self.hand_over(rules, self.watch.has, false, io);
    }

    /// Hands over what is left of the quota, and its log from this entry on.
    fn hand_over(&mut self, rules: &Rules, start: u64, reserve: bool, io: &mut Io<'_, Word>) {
        let (mut free, mut over) = (0, 0);
        match reserve {
            true => {
                // As large a part of what is left as at the beginning.
                let quota = rules.quota.map_or((0, 1), |quota| (quota.reserve, quota.total.max(1)));
                let part = u128::from(self.purse.free) * u128::from(quota.0) / u128::from(quota.1);
                free = (part as u64).min(self.purse.free);
                if free == 0 {
                    return;
                }
                self.purse.free -= free;
            }
            false => {
                std::mem::swap(&mut free, &mut self.purse.free);
                std::mem::swap(&mut over, &mut self.purse.over);
            }
        }
        self.watch.made += 1;
        self.watch.pending.push_back(Pending {
            number: self.watch.made,
            start,
            free,
            over,
            reserve,
        });
        if self.watch.pending.len() == 1 {
            self.send_pending(rules, io);
        }
    }

    fn send_pending(&mut self, rules: &Rules, io: &mut Io<'_, Word>) {
        self.watch.pending_due = NEVER;
        if let Some(pending) = self.watch.pending.front() {
            let word = Word::Handover {
                number: pending.number,
                entries: match pending.reserve {
                    true => Shared::new(Vec::new()),
                    false => self.log.from(pending.start),
                },
                free: pending.free,
                over: pending.over,
                reserve: pending.reserve,
                active: self.active,
            };
            io.send(self.other(rules), word);
            self.watch.pending_due = io.now.saturating_add(rules.patience);
        }
    }

    /// The other one hands something over.
    pub(super) fn handed_over(
        &mut self,
        rules: &Rules,
        from: u32,
        handover: Handover,
        entries: &[Entry],
        io: &mut Io<'_, Word>,
    ) {
        let Handover {
            number,
            free,
            over,
            reserve,
            active,
        } = handover;
        if number <= self.watch.took {
            return io.send(from, Word::Taken { number });
        }
        // Of two that are both not active, one takes over before long.
        if !self.active && !active {
            return;
        }
        self.watch.took = number;
        io.send(from, Word::Taken { number });
        match self.active || !reserve {
            true => self.purse.free += free,
            false => self.purse.reserve += free,
        }
        self.purse.over += over;
        // One that isn't active has the log of the active one from its copies, and hands back what isn't for it to keep.
        if self.active {
            for entry in entries {
                self.merge(rules, *entry, io);
            }
            self.begin_case(rules, io);
            self.cover(rules, io);
            if self.up.is_none() && !reserve && rules.quota.is_some() {
                self.hand_over(rules, 0, true, io);
            }
            self.regain(rules, io);
        }
    }

    /// The other one has what was handed over.
    pub(super) fn taken(&mut self, rules: &Rules, number: u64, io: &mut Io<'_, Word>) {
        if self
            .watch
            .pending
            .front()
            .is_some_and(|pending| pending.number == number)
        {
            self.watch.pending.pop_front();
            self.send_pending(rules, io);
        }
    }

    /// A position that it has something to do with has a later coordinator than it thought.
    pub(super) fn objection(&mut self, rules: &Rules, epoch: u64, io: &mut Io<'_, Word>) {
        if !self.active || epoch <= self.epoch {
            return;
        }
        match rules.failover {
            // Nobody else can be: it has forgotten how far it had come.
            Failover::None | Failover::Sibling => {}
            // Whoever that is will beat to it; if it was itself, it has forgotten.
            Failover::Deputy if epoch % 2 != self.epoch % 2 => return,
            Failover::Deputy => {}
        }
        self.epoch = (epoch / 2) * 2 + self.epoch % 2 + 2;
        io.note(notes::COVERS, u64::from(self.position), self.epoch);
        self.send_beats(rules, io);
    }

    /// Sends its deputy what that one lacks.
    pub(super) fn send_copy(&mut self, rules: &Rules, io: &mut Io<'_, Word>) {
        let word = Word::Copy {
            epoch: self.epoch,
            range: (self.watch.has, self.log.len()),
            entries: self.log.from(self.watch.has),
            known: Shared::new(self.known.values().copied().collect()),
        };
        io.send(self.other(rules), word);
    }

    /// The active one sends a part of its log.
    pub(super) fn copy(
        &mut self,
        rules: &Rules,
        (from, epoch, range): (u32, u64, (u64, u64)),
        entries: &[Entry],
        known: &[Part],
        io: &mut Io<'_, Word>,
    ) {
        if epoch < self.epoch {
            return self.rival(rules, epoch, io);
        }
        self.rival(rules, epoch, io);
        if self.watch.copied.0 != epoch {
            self.watch.copied = (epoch, 0);
        }
        // What is older than what it has says nothing; what leaves something out waits until that has come.
        if range.0 <= self.watch.copied.1 && range.1 > self.watch.copied.1 {
            for entry in entries {
                let own = self.log.get(entry.identity).copied();
                if !own.is_some_and(|own| self.stands_over(&own, entry)) {
                    self.hold(rules, *entry);
                }
            }
            self.watch.copied.1 = range.1;
        }
        for part in known {
            super::books::learn(&mut self.known, *part);
        }
        let upto = self.watch.copied.1;
        io.send(from, Word::Copied { epoch, upto });
        // What it had granted and the other one had as well has come back to it.
        let owes = self.watch.owes.take();
        if owes.is_some() || self.purse.free + self.purse.over > 0 {
            self.hand_over(rules, owes.unwrap_or(self.log.len()), false, io);
        }
    }

    /// The deputy has so much of its log.
    pub(super) fn copied(&mut self, epoch: u64, upto: u64) {
        if self.active && epoch == self.epoch {
            self.watch.has = upto.min(self.log.len());
        }
    }

    /// One of its timers is due.
    pub(super) fn look_after(&mut self, rules: &Rules, io: &mut Io<'_, Word>) {
        if self.watch.pending_due <= io.now {
            self.send_pending(rules, io);
        }
        if self.watch.takeover_due <= io.now {
            self.take_over(rules, io);
        }
    }
}

#[cfg(test)]
impl Watch {
    /// What of the quota is on its way to the other one.
    pub fn handed_over(&self) -> u64 {
        self.pending.iter().map(|pending| pending.free).sum()
    }
}
