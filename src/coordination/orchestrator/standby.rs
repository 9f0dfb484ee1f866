//! Several orchestrators, one of which is active: how the others follow it, and how one of them takes over.

use super::super::member::{Asked, Io, NEVER, event};
use super::log::Entry;
use super::{Orchestrator, Rules, Said};
use serde::Serialize;
use std::collections::VecDeque;

/// How others take over from the active one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standby {
    /// The time between two heartbeats, in nanoseconds.
    pub heartbeat: i64,
    /// How long the second member hears nothing before it takes over; a later one as many times as long as its place.
    pub after: i64,
    /// How many members there are.
    pub members: u32,
}

/// What a member knows of who is active.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Watch {
    place: u32,
    /// Of those that were ever active, the last that it knows: ascending, and different for each member.
    epoch: u64,
    active: bool,
    /// Who is, as far as it knows.
    leader: u32,
    beat_due: i64,
    takeover_due: i64,
    /// Entries that not all others have, and the number before the first.
    unsent: VecDeque<Entry>,
    before: u64,
    /// How many entries each other has of this epoch; `None`: it hasn't said.
    have: Vec<Option<u64>>,
    /// As one that isn't active: how many entries it has of the epoch.
    got: u64,
}

impl Watch {
    pub(super) fn new(place: u32) -> Self {
        Self {
            place,
            epoch: 0,
            active: false,
            leader: 0,
            beat_due: NEVER,
            takeover_due: NEVER,
            unsent: VecDeque::new(),
            before: 0,
            have: Vec::new(),
            got: 0,
        }
    }

    pub(super) fn is_active(&self) -> bool {
        self.active
    }

    pub(super) fn due(&self) -> i64 {
        self.beat_due.min(self.takeover_due)
    }

    /// What is left after a crash: its place, and the number that tells an active one from those before.
    pub(super) fn crashed(&self) -> Self {
        Self {
            epoch: self.epoch,
            ..Self::new(self.place)
        }
    }

    /// How long it waits before it takes over.
    fn patience(&self, standby: &Standby) -> i64 {
        standby.after.saturating_mul(i64::from(self.place.max(1)))
    }
}

impl Orchestrator {
    /// The run begins: the first is active.
    pub(super) fn start(&mut self, rules: &Rules, io: &mut Io<'_, Said>) {
        match self.watch.place {
            0 => self.become_active(rules, io),
            _ => self.wait_for_beat(rules, io.now),
        }
    }

    /// It is back: alone it goes on at once, else it waits whether another one is active.
    pub(super) fn come_back(&mut self, rules: &Rules, io: &mut Io<'_, Said>) {
        match rules.standby {
            None if self.watch.place == 0 => self.become_active(rules, io),
            _ => self.wait_for_beat(rules, io.now),
        }
    }

    fn wait_for_beat(&mut self, rules: &Rules, now: i64) {
        if let Some(standby) = &rules.standby {
            self.watch.takeover_due = now.saturating_add(self.watch.patience(standby));
        }
    }

    fn become_active(&mut self, rules: &Rules, io: &mut Io<'_, Said>) {
        let members = rules.standby.map_or(1, |standby| standby.members);
        let watch = &mut self.watch;
        // The next number that is this member's own.
        let place = u64::from(watch.place);
        watch.epoch = (watch.epoch / u64::from(members) + 1) * u64::from(members) + place;
        (watch.active, watch.leader, watch.takeover_due) = (true, watch.place, NEVER);
        watch.unsent.clear();
        watch.before = self.log.written();
        watch.have = vec![None; members as usize];
        io.note(event::LEADS, watch.epoch, 0);
        self.go_on(rules, io);
        self.beat(rules, io);
        // Who waits here is served here.
        let passed_on: Vec<(u64, Vec<u64>)> = std::mem::take(&mut self.passed_on).into_iter().collect();
        for (identity, tokens) in passed_on {
            for token in tokens {
                let asked = Asked {
                    token,
                    identity,
                    value: 0,
                    bytes: 0,
                };
                self.submitted(rules, asked, None, io);
            }
        }
    }

    /// Tells the others that it is there.
    fn beat(&mut self, rules: &Rules, io: &mut Io<'_, Said>) {
        let Some(standby) = &rules.standby else { return };
        self.watch.beat_due = io.now.saturating_add(standby.heartbeat);
        let beat = Said::Heartbeat {
            epoch: self.watch.epoch,
            written: self.log.written(),
        };
        io.send_to_all(0..standby.members, &beat);
    }

    /// What is due about heartbeats.
    pub(super) fn watch_over(&mut self, rules: &Rules, io: &mut Io<'_, Said>) {
        if self.watch.beat_due <= io.now {
            self.beat(rules, io);
        }
        if self.watch.takeover_due <= io.now {
            self.become_active(rules, io);
        }
    }

    /// Has the others know what was written.
    pub(super) fn ship(&mut self, rules: &Rules, entry: Entry, io: &mut Io<'_, Said>) {
        let Some(standby) = &rules.standby else { return };
        self.watch.unsent.push_back(entry);
        let said = Said::Entries {
            epoch: self.watch.epoch,
            from: self.log.written(),
            whole: false,
            entries: vec![entry],
        };
        io.send_to_all(0..standby.members, &said);
    }

    /// A job is submitted here, and somebody else is active.
    pub(super) fn pass_on(&mut self, asked: Asked, io: &mut Io<'_, Said>) {
        self.passed_on.entry(asked.identity).or_default().push(asked.token);
        if self.watch.leader != self.watch.place {
            io.send(self.watch.leader, Said::Submit(asked));
        }
    }

    pub(super) fn hear(&mut self, rules: &Rules, from: u32, message: Said, io: &mut Io<'_, Said>) {
        match message {
            Said::Heartbeat { epoch, written } => {
                if self.follow(rules, from, epoch, io) && self.watch.got < written {
                    self.say_what_it_has(from, io);
                }
            }
            Said::Entries {
                epoch,
                from: first,
                whole,
                entries,
            } => {
                if self.follow(rules, from, epoch, io) {
                    self.copy(first, whole, entries);
                    self.say_what_it_has(from, io);
                }
            }
            Said::Have { epoch, entries } => {
                if self.watch.active && epoch == self.watch.epoch {
                    self.bring(from, entries, io);
                }
            }
            Said::Submit(asked) => {
                if self.watch.active {
                    self.submitted(rules, asked, Some(from), io);
                }
            }
            Said::Outcome { identity, value } => {
                for token in self.passed_on.remove(&identity).unwrap_or_default() {
                    io.answer(token, value);
                }
            }
        }
    }

    /// Somebody says that it is active: whether this one follows it.
    fn follow(&mut self, rules: &Rules, leader: u32, epoch: u64, io: &mut Io<'_, Said>) -> bool {
        if epoch < self.watch.epoch {
            return false;
        }
        if epoch > self.watch.epoch {
            if self.watch.active {
                self.yield_to(rules, io);
            }
            // What it has may be of another one: until it hears all, it has nothing of this one.
            (self.watch.epoch, self.watch.leader, self.watch.got) = (epoch, leader, 0);
        }
        self.wait_for_beat(rules, io.now);
        true
    }

    /// Another one has taken over: what is under way here is given up.
    fn yield_to(&mut self, rules: &Rules, io: &mut Io<'_, Said>) {
        io.note(event::YIELDS, self.watch.epoch, 0);
        self.watch.active = false;
        self.watch.beat_due = NEVER;
        for number in std::mem::take(&mut self.given).into_keys() {
            io.dismiss(number);
        }
        self.dues.clear();
        for (identity, job) in std::mem::take(&mut self.jobs) {
            // Whoever waits here waits for the other one now; it may know the job from the log.
            self.passed_on.entry(identity).or_default().extend(job.tokens);
        }
        self.free = super::everybody(rules);
        self.waiting.iter_mut().for_each(VecDeque::clear);
    }

    /// Takes entries over: the first of an epoch stand for all before them, the others follow each other without a gap.
    fn copy(&mut self, first: u64, whole: bool, entries: Vec<Entry>) {
        let got = self.watch.got;
        if whole && first > got {
            self.log.replace(entries, first);
            self.watch.got = first;
        } else if !whole && got > 0 && first <= got + 1 {
            let skipped = (got + 1 - first) as usize;
            for entry in entries.into_iter().skip(skipped) {
                self.log.push(entry);
                self.watch.got += 1;
            }
        }
    }

    fn say_what_it_has(&self, to: u32, io: &mut Io<'_, Said>) {
        let said = Said::Have {
            epoch: self.watch.epoch,
            entries: self.watch.got,
        };
        io.send(to, said);
    }

    /// Another one has so many entries: it is brought what it lacks.
    fn bring(&mut self, to: u32, entries: u64, io: &mut Io<'_, Said>) {
        let (epoch, written) = (self.watch.epoch, self.log.written());
        let known = self.watch.have[to as usize].replace(entries);
        // What is on its way is brought again only if it is asked for twice.
        if entries < written && known.is_none_or(|known| known >= entries) {
            let said = if entries > self.watch.before {
                let skipped = (entries - self.watch.before) as usize;
                Said::Entries {
                    epoch,
                    from: entries + 1,
                    whole: false,
                    entries: self.watch.unsent.iter().skip(skipped).copied().collect(),
                }
            } else {
                Said::Entries {
                    epoch,
                    from: written,
                    whole: true,
                    entries: self.log.whole(),
                }
            };
            io.send(to, said);
        }
        // What all have needn't be kept.
        let place = self.watch.place as usize;
        let others = self.watch.have.iter().enumerate().filter(|(other, _)| *other != place);
        let all = others.map(|(_, have)| have.unwrap_or(0)).min().unwrap_or(written);
        while self.watch.before < all && self.watch.unsent.pop_front().is_some() {
            self.watch.before += 1;
        }
    }
}
