//! A coordinator: its state, and what it does about each thing that it hears.

use super::books::Log;
use super::cases::Desktop;
use super::message::{Known, Word};
use super::quota::{Lack, Purse};
use super::standby::{Handover, Watch};
use super::uplink::{Recalls, Turn, Uplink, Whereabouts};
use super::{Alone, Failover, Rules, notes};
use crate::coordination::member::{Input, Io, NEVER};
use serde::Serialize;
use std::collections::BTreeSet;

/// Somebody who coordinates a position, or is ready to.
#[derive(Debug, Clone, Serialize)]
pub struct Coordinator {
    pub(super) me: u32,
    pub(super) position: u32,
    /// Of those who ever coordinated the position, the last that it knows: ascending, and different for each member.
    pub(super) epoch: u64,
    pub(super) active: bool,
    /// What it has decided.
    pub(super) log: Log,
    /// What is to be decided.
    pub(super) desktop: Desktop,
    /// What it may grant.
    pub(super) purse: Purse,
    /// What it knows of those below.
    pub(super) known: Known,
    /// The number of its last report.
    pub(super) reports: u64,
    /// Who fills positions.
    pub(super) whereabouts: Whereabouts,
    /// The one above, unless it is a root.
    pub(super) up: Option<Uplink>,
    /// Whether it goes on alone.
    pub(super) alone: bool,
    /// Members of silent siblings that have come to it.
    pub(super) adopted: BTreeSet<u32>,
    /// What others are to take back.
    pub(super) recalls: Recalls,
    /// The other one of its position.
    pub(super) watch: Watch,
    beat_due: i64,
    report_due: i64,
    /// The earliest of all timers.
    due: i64,
}

impl Coordinator {
    /// Member `me`, for a position.
    pub fn new(rules: &Rules, me: u32, position: u32) -> Self {
        Self {
            me,
            position,
            epoch: 0,
            active: false,
            log: Log::default(),
            desktop: Desktop::default(),
            purse: Purse::at_first(rules, me, position),
            known: Known::new(),
            reports: 0,
            whereabouts: Whereabouts::default(),
            up: None,
            alone: false,
            adopted: BTreeSet::new(),
            recalls: Recalls::default(),
            watch: Watch::default(),
            beat_due: NEVER,
            report_due: NEVER,
            due: NEVER,
        }
    }

    pub(super) fn due(&self) -> i64 {
        self.due
    }

    pub(super) fn on(&mut self, rules: &Rules, input: Input<Word>, io: &mut Io<'_, Word>) {
        match input {
            Input::Start => {
                self.look_up(rules, io.now);
                match self.is_first(rules) {
                    true => self.take_over(rules, io),
                    false => self.stand_by(rules, io.now),
                }
            }
            Input::Restarted => {
                self.look_up(rules, io.now);
                self.recalls.repeat(rules, io);
                match rules.failover {
                    Failover::Deputy => {
                        self.drop_cases();
                        self.stand_by(rules, io.now);
                    }
                    Failover::None | Failover::Sibling => self.take_over(rules, io),
                }
            }
            Input::Heard { from, message } => self.hear(rules, from, message, io),
            Input::Due => self.look_at_dues(rules, io),
            // Agents ask desks.
            Input::Asked(asked) => io.refuse(asked.token),
            Input::Withdrawn(_) | Input::Engaged { .. } => {}
        }
        self.due = self.next_due(rules);
    }

    /// Who is there above, as far as the tree says.
    fn look_up(&mut self, rules: &Rules, now: i64) {
        self.up = rules.tree.parent(self.position).map(|parent| Uplink::new(parent, now));
    }

    fn is_first(&self, rules: &Rules) -> bool {
        self.me < rules.tree.len()
    }

    fn hear(&mut self, rules: &Rules, from: u32, message: Word, io: &mut Io<'_, Word>) {
        match message {
            Word::Beat { position, epoch } if position == self.position => self.rival(rules, epoch, io),
            Word::Beat { position, epoch } => self.hear_beat(rules, (position, epoch, from), io),
            Word::Objection { epoch } => self.objection(rules, epoch, io),
            Word::Copy {
                epoch,
                range,
                entries,
                known,
            } => self.copy(rules, (from, epoch, range), &entries, &known, io),
            Word::Copied { epoch, upto } => self.copied(epoch, upto),
            Word::Handover {
                number,
                entries,
                free,
                over,
                reserve,
                active,
            } => {
                let handover = Handover {
                    number,
                    free,
                    over,
                    reserve,
                    active,
                };
                self.handed_over(rules, from, handover, &entries, io);
            }
            Word::Taken { number } => self.taken(rules, number, io),
            Word::Voided { identity, decision } => {
                if let Some(position) = rules.position(from) {
                    self.recalls.done(identity, decision, position);
                    self.ask_for_more(rules, io);
                }
            }
            // The rest is for whoever is active: others will be told who that is, and send again.
            _ if !self.active => {}
            Word::Case(case) => self.asked(rules, from, case, io),
            Word::Verdict { identity, decision } => self.answered(rules, from, identity, decision, io),
            Word::Attach => {
                if self.adopted.insert(from) {
                    io.note(notes::ADOPTS, u64::from(from), 0);
                }
                io.send(from, self.beat());
            }
            Word::Leave => drop(self.adopted.remove(&from)),
            Word::Report(parts) => self.hear_report(&parts),
            Word::Want { seen, need } => self.wanted(rules, from, Lack { seen, need }, io),
            Word::Grant { total, dry } => self.given(rules, from, (total, dry), io),
            Word::Void { case, decision } => self.recalled(rules, from, case, decision, io),
        }
    }

    fn hear_beat(&mut self, rules: &Rules, (position, epoch, from): (u32, u64, u32), io: &mut Io<'_, Word>) {
        let is_new = match self.whereabouts.hear(position, epoch, from) {
            Ok(is_new) => is_new,
            Err(epoch) => return io.send(from, Word::Objection { epoch }),
        };
        let Some(up) = &mut self.up else {
            // Roots beat to each other.
            if is_new {
                self.send_again(rules, io);
            }
            return;
        };
        let turn = up.beat(rules, (position, from), is_new, io);
        if up.contact == io.now && std::mem::take(&mut self.alone) {
            io.note(notes::REJOINS, u64::from(self.position), 0);
            self.ask_for_more(rules, io);
        }
        if turn == Turn::Moved && self.active {
            self.send_again(rules, io);
        }
    }

    /// Whoever is above may be somebody else, or was away: what waits is sent again.
    fn send_again(&mut self, rules: &Rules, io: &mut Io<'_, Word>) {
        self.send_cases_again(rules, io);
        self.purse.asks = None;
        self.ask_for_more(rules, io);
        self.recalls.repeat(rules, io);
    }

    /// The member that it sends to what it doesn't decide.
    pub(super) fn superior(&self, rules: &Rules) -> u32 {
        let at = self.up.as_ref().map_or_else(|| rules.tree.roots()[0], |up| up.at);
        self.whereabouts.at(at)
    }

    pub(super) fn beat(&self) -> Word {
        Word::Beat {
            position: self.position,
            epoch: self.epoch,
        }
    }

    /// Begins to beat and to report.
    pub(super) fn set_timers(&mut self, rules: &Rules, io: &mut Io<'_, Word>) {
        self.send_beats(rules, io);
        self.report_due = rules.report.map_or(NEVER, |report| io.now.saturating_add(report));
    }

    pub(super) fn unset_timers(&mut self) {
        (self.beat_due, self.report_due) = (NEVER, NEVER);
    }

    /// Tells those that depend on it that it is there.
    pub(super) fn send_beats(&mut self, rules: &Rules, io: &mut Io<'_, Word>) {
        let (beat, tree) = (self.beat(), &rules.tree);
        for child in tree.children(self.position) {
            io.send_to_all(rules.fill(*child), &beat);
        }
        if rules.failover != Failover::None {
            // Desks are to know where to turn to; where there is nobody else they needn't.
            let desks = rules.served[self.position as usize].iter();
            io.send_to_all(desks.map(|desk| rules.first_desk() + desk), &beat);
        }
        io.send_to_all(self.adopted.iter().copied(), &beat);
        if tree.parent(self.position).is_none() {
            let peers = tree.roots().iter().filter(|root| **root != self.position);
            io.send_to_all(peers.flat_map(|root| rules.fill(*root)), &beat);
        }
        if rules.failover == Failover::Deputy {
            self.send_copy(rules, io);
        }
        self.beat_due = io.now.saturating_add(rules.heartbeat);
    }

    /// When it is cut off from above, if it goes on by itself then.
    fn alone_due(&self, rules: &Rules) -> i64 {
        match &self.up {
            Some(up) if rules.alone == Alone::GoOn && self.active && !self.alone => {
                up.contact.saturating_add(rules.cut_off)
            }
            _ => NEVER,
        }
    }

    fn look_at_dues(&mut self, rules: &Rules, io: &mut Io<'_, Word>) {
        let now = io.now;
        if self.watch.is_due(now) {
            self.look_after(rules, io);
        }
        if self.active {
            if self.beat_due <= now {
                self.send_beats(rules, io);
            }
            self.finish_case(rules, io);
            self.repeat_cases(rules, io);
            self.repeat_want(rules, io);
            if let Some(up) = &mut self.up
                && up.look(rules, io) == Turn::Moved
            {
                self.send_again(rules, io);
            }
            if self.alone_due(rules) <= now {
                self.go_on_alone(rules, io);
            }
            if self.report_due <= now {
                self.report(rules, io);
                self.report_due = now.saturating_add(rules.report.unwrap_or(NEVER));
            }
        }
        if self.recalls.due <= now {
            self.recalls.repeat(rules, io);
        }
    }

    /// When its next timer is due.
    fn next_due(&self, rules: &Rules) -> i64 {
        let mut due = self.watch.due().min(self.recalls.due);
        if self.active {
            due = due
                .min(self.beat_due)
                .min(self.report_due)
                .min(self.desktop.due())
                .min(self.purse.due())
                .min(self.alone_due(rules))
                .min(self.up.as_ref().map_or(NEVER, |up| up.due(rules)));
        }
        due
    }

    pub(super) fn crash(&mut self, rules: &Rules, keeps_disk: bool) {
        let lost = std::mem::replace(self, Self::new(rules, self.me, self.position));
        if keeps_disk {
            self.epoch = lost.epoch;
            self.log = lost.log;
            self.desktop = lost.desktop.crashed();
            self.purse = lost.purse.crashed();
            self.known = lost.known;
            self.reports = lost.reports;
            self.recalls = lost.recalls;
            self.recalls.due = NEVER;
            self.watch = lost.watch.crashed(lost.active);
        } else {
            self.purse = Purse::after_a_loss();
        }
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.desktop.is_empty() && self.recalls.is_empty() && self.watch.is_at_rest()
    }

    /// The sums of its position and all below it: decisions, those that grant, and their magnitude.
    pub fn totals(&self, rules: &Rules) -> (u64, u64, u64) {
        let totals = self.whole(rules, 0).totals;
        (totals.decided, totals.granted, totals.value)
    }

    /// Whether it coordinates its position.
    pub fn is_active(&self) -> bool {
        self.active
    }
}
