//! Planned changes: servers that join and leave, and a leader that hands over, each at a time that is known beforehand.
//!
//! All servers know the plan, as if an operator told them at its times, and each goes by its own clock. A server that is to join asks to be let
//! in, and asks again until it is. Whoever leads removes those that are to be gone; if it can't yet, because another change is under way or nothing
//! can be decided, it does so later, or the next leader does. A hand-over is up to whoever leads when its time comes, and is tried again
//! as long as that one leads.

use super::super::{Id, Role};
use super::{Rules, Said, Server, notes, place_of};
use crate::coordination::member::{Io, NEVER};

/// A planned change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Change {
    /// When, by the clock of each server.
    pub at: i64,
    /// What.
    pub what: Planned,
}

/// What is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planned {
    /// The server at this place joins.
    Add(u32),
    /// It leaves for good.
    Remove(u32),
    /// It is to lead.
    Transfer(u32),
}

impl Planned {
    /// Of a change of who belongs to the group: about whom, and whether it does from then on.
    fn membership(self) -> Option<(u32, bool)> {
        match self {
            Self::Add(place) => Some((place, true)),
            Self::Remove(place) => Some((place, false)),
            Self::Transfer(_) => None,
        }
    }
}

impl Rules {
    /// Whether a server is one of the group after so many of the changes.
    pub fn belongs(&self, place: u32, changes: usize) -> bool {
        let mut about = self.changes.iter().filter_map(|change| change.what.membership());
        let first = about.find(|(one, _)| *one == place);
        let done = self.changes[..changes].iter().rev();
        let last = done
            .filter_map(|change| change.what.membership())
            .find(|(one, _)| *one == place);
        // Whoever joins first wasn't there before.
        last.or(first.map(|(one, joins)| (one, !joins)))
            .is_none_or(|(_, belongs)| belongs)
    }

    /// The servers that found the group.
    pub fn founders(&self) -> impl Iterator<Item = u32> + '_ {
        (0..self.servers).filter(|place| self.belongs(*place, 0))
    }
}

impl Server {
    /// Whether it is one of the group, as far as its own clock says.
    pub(super) fn belongs(&self, rules: &Rules) -> bool {
        rules.changes.is_empty() || rules.belongs(self.place(), self.planned)
    }

    /// Changes whose time has come.
    pub(super) fn follow_plan(&mut self, rules: &Rules, io: &mut Io<'_, Said>) {
        while let Some(change) = rules.changes.get(self.planned)
            && change.at <= io.now
        {
            self.planned += 1;
            match change.what {
                Planned::Add(place) if place == self.place() => self.node.start(io.now),
                Planned::Remove(place) if place == self.place() => self.retire(io),
                Planned::Transfer(to) if self.node.role() == Role::Leader => self.hands_to = Some(to),
                _ => {}
            }
        }
        self.next_change = rules.changes.get(self.planned).map_or(NEVER, |change| change.at);
    }

    /// It is to leave: it stands for no election any more, and whoever waits here is told to ask elsewhere.
    fn retire(&mut self, io: &mut Io<'_, Said>) {
        self.node.retire();
        let names: Vec<_> = self.asked.sorted().into_iter().map(|(name, _)| name).collect();
        for name in names {
            self.node.give_up(name);
            for (token, _) in self.asked.remove(name).unwrap_or_default() {
                io.refuse(token);
            }
        }
    }

    /// It is back from a crash, and isn't one of the group by its plan: what it still is to others it stays, until it is taken out.
    pub(super) fn restart_outside(&mut self, now: i64) {
        if !self.node.is_joining() {
            self.node.restart(now);
            self.node.retire();
        }
    }

    /// A leader does what is planned and can be done now.
    pub(super) fn carry_out(&mut self, rules: &Rules, io: &mut Io<'_, Said>) {
        if self.planned == 0 {
            return;
        }
        if self.node.role() != Role::Leader {
            self.hands_to = None;
            return;
        }
        if let Some(to) = self.hands_to {
            let target = self.member_at(|place| place == to);
            match target {
                _ if to == self.place() => self.hands_to = None,
                Some(id) if self.node.hand_over_if_there(id, io.now) => {
                    io.note(notes::HANDS_OVER, self.node.disk().term, u64::from(to));
                }
                _ => {}
            }
        }
        let gone = self.member_at(|place| !rules.belongs(place, self.planned));
        if let Some(id) = gone {
            self.node.remove(id, io.now);
        }
    }

    /// The first member of the group whose place is such.
    fn member_at(&self, is_it: impl Fn(u32) -> bool) -> Option<Id> {
        let members = self.node.members();
        let mut all = members.voters.iter().chain(&members.learners).copied();
        all.find(|id| is_it(place_of(*id)))
    }

    /// Says which changes of who belongs to the group are committed.
    pub(super) fn tell_members(&self, changed: &mut Vec<(u64, super::super::Members)>, io: &mut Io<'_, Said>) {
        for (index, members) in changed.drain(..) {
            let (voters, learners) = (members.voters.len() as u64, members.learners.len() as u64);
            io.note_with(notes::MEMBERS, index, voters, &[learners]);
        }
    }
}
