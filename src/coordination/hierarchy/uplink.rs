//! Whom one stands under, and what one does when that one is silent.

use super::message::{Case, Standing, Word};
use super::{Failover, Rules};
use crate::coordination::member::{Io, NEVER};
use serde::Serialize;
use std::collections::BTreeMap;

/// Who fills positions, as far as somebody knows from beats: the epoch, and the member.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Whereabouts(BTreeMap<u32, (u64, u32)>);

impl Whereabouts {
    /// Whom to write to at a position.
    pub fn at(&self, position: u32) -> u32 {
        self.0.get(&position).map_or(position, |(_, member)| *member)
    }

    /// A beat has come: whether somebody new fills the position; `Err`: a later one is known.
    pub fn hear(&mut self, position: u32, epoch: u64, member: u32) -> Result<bool, u64> {
        let before = self.0.get(&position).copied();
        match before {
            Some((later, _)) if later > epoch => Err(later),
            _ => {
                self.0.insert(position, (epoch, member));
                Ok(before.map_or(position, |(_, member)| member) != member)
            }
        }
    }
}

/// What somebody knows of the position above it. Desks have one for each of their leaves.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Uplink {
    /// The one that it belongs to.
    pub of: u32,
    /// The one that it stands under at present: that, or a sibling.
    pub at: u32,
    /// When it last heard of that.
    pub contact: i64,
    /// When it last went to another one.
    tried: i64,
}

/// What a beat, or silence, means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Nothing.
    Nothing,
    /// It goes on under somebody else: what it waits for is to be sent again.
    Moved,
}

impl Uplink {
    pub fn new(of: u32, now: i64) -> Self {
        Self {
            of,
            at: of,
            contact: now,
            tried: now,
        }
    }

    /// When it looks for somebody else.
    pub fn due(&self, rules: &Rules) -> i64 {
        match rules.failover {
            Failover::Sibling if rules.tree.sibling_after(self.of, self.at).is_some() => {
                self.contact.max(self.tried).saturating_add(rules.after)
            }
            _ => NEVER,
        }
    }

    /// Whoever it stands under may have been silent for too long.
    pub fn look(&mut self, rules: &Rules, io: &mut Io<'_, Word>) -> Turn {
        if self.due(rules) > io.now {
            return Turn::Nothing;
        }
        let Some(next) = rules.tree.sibling_after(self.of, self.at) else {
            return Turn::Nothing;
        };
        (self.at, self.tried) = (next, io.now);
        io.send(next, Word::Attach);
        Turn::Moved
    }

    /// A beat of a position has come from a member; `is_new` says whether it filled the position before.
    pub fn beat(&mut self, rules: &Rules, (position, from): (u32, u32), is_new: bool, io: &mut Io<'_, Word>) -> Turn {
        if position == self.at {
            let returns = self.contact < self.tried || io.now.saturating_sub(self.contact) > rules.after;
            self.contact = io.now;
            return match is_new || returns {
                true => Turn::Moved,
                false => Turn::Nothing,
            };
        }
        if position == self.of {
            io.send(self.at, Word::Leave);
            (self.at, self.contact) = (self.of, io.now);
            return Turn::Moved;
        }
        // Somebody whom it has left, and who doesn't know.
        io.send(from, Word::Leave);
        Turn::Nothing
    }
}

/// A case that was decided, of which some may have decided too.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Recall {
    pub case: Case,
    pub decision: Standing,
    /// The positions that haven't said that they know of it.
    pub to: Vec<u32>,
}

impl Recall {
    fn send(&self, rules: &Rules, io: &mut Io<'_, Word>) {
        let (case, decision) = (self.case, self.decision);
        for position in &self.to {
            // Whoever is active there says that it knows.
            io.send_to_all(rules.fill(*position), &Word::Void { case, decision });
        }
    }
}

/// What others are to know, so that they take back what they decided too.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Recalls {
    /// By the case, and where it was decided.
    all: BTreeMap<(u64, u32), Recall>,
    pub due: i64,
}

impl Default for Recalls {
    fn default() -> Self {
        let all = BTreeMap::new();
        Self { all, due: NEVER }
    }
}

impl Recalls {
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// These positions are to know.
    pub fn add(&mut self, rules: &Rules, recall: Recall, io: &mut Io<'_, Word>) {
        if recall.to.is_empty() || rules.flaw == super::Flaw::CountsTwice {
            return;
        }
        recall.send(rules, io);
        let key = (recall.case.identity, recall.decision.at);
        match self.all.get_mut(&key) {
            None => drop(self.all.insert(key, recall)),
            Some(before) => {
                before.to.retain(|position| !recall.to.contains(position));
                before.to.extend(recall.to);
                before.decision = recall.decision;
            }
        }
        self.due = self.due.min(io.now.saturating_add(rules.patience));
    }

    /// One of them knows.
    pub fn done(&mut self, identity: u64, decision: Standing, position: u32) {
        let key = (identity, decision.at);
        if let Some(recall) = self.all.get_mut(&key)
            && recall.decision == decision
        {
            recall.to.retain(|one| *one != position);
            if recall.to.is_empty() {
                self.all.remove(&key);
            }
        }
        if self.all.is_empty() {
            self.due = NEVER;
        }
    }

    /// Says so again.
    pub fn repeat(&mut self, rules: &Rules, io: &mut Io<'_, Word>) {
        for recall in self.all.values() {
            recall.send(rules, io);
        }
        self.due = match self.all.is_empty() {
            true => NEVER,
            false => io.now.saturating_add(rules.patience),
        };
    }
}
