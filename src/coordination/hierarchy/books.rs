//! What a coordinator has written down, and what it knows of those below.

use super::coordinator::Coordinator;
use super::message::{Case, Entry, Known, Part, Standing, Totals, Word};
use super::uplink::Recall;
use super::{Failover, Rules, notes};
use crate::coordination::member::{Io, event};
use crate::coordination::shared::{Shared, Table};
use serde::Serialize;

/// A log of entries, of which the last about a case holds.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Log {
    entries: Vec<Entry>,
    /// By a case's identity, the place of its last entry.
    last: Table,
    totals: Totals,
}

impl Log {
    pub fn get(&self, identity: u64) -> Option<&Entry> {
        self.last.get(identity).map(|place| &self.entries[place as usize])
    }

    /// Writes down what holds from now on.
    pub fn push(&mut self, entry: Entry) {
        if let Some(before) = self.get(entry.identity) {
            self.totals = self.totals.without(Totals::of(before));
        }
        self.totals = self.totals.and(Totals::of(&entry));
        self.last.insert(entry.identity, self.entries.len() as u64);
        self.entries.push(entry);
    }

    /// The sums over what counts here.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    pub fn len(&self) -> u64 {
        self.entries.len() as u64
    }

    /// The entries from a number on that hold: what was written down anew later is left out.
    pub fn from(&self, start: u64) -> Shared<Vec<Entry>> {
        let places = (start..self.len()).filter(|place| self.holds(*place));
        Shared::new(places.map(|place| self.entries[place as usize]).collect())
    }

    /// Whether the entry at a place is the last one about its case.
    fn holds(&self, place: u64) -> bool {
        self.last.get(self.entries[place as usize].identity) == Some(place)
    }

    /// The cases that count here, for tests.
    #[cfg(test)]
    pub fn counted(&self) -> impl Iterator<Item = &Entry> {
        let places = (0..self.len()).filter(|place| self.holds(*place));
        places
            .map(|place| &self.entries[place as usize])
            .filter(|entry| entry.by.is_some())
    }
}

/// Takes what is later.
pub(super) fn learn(known: &mut Known, part: Part) {
    let held = known.entry(part.position).or_insert(part);
    if held.version < part.version {
        *held = part;
    }
}

impl Coordinator {
    /// The sums of a position and all below it, as far as this one knows; `None`: it has heard nothing of it.
    fn below(&self, rules: &Rules, position: u32) -> Option<Part> {
        let mut part = *self.known.get(&position)?;
        if rules.failover == Failover::Sibling {
            // What came of the position is its own; its children's parts lie beside it, whoever brought them.
            for child in rules.tree.children(position) {
                let Some(child) = self.known.get(child) else {
                    part.as_of = 0;
                    continue;
                };
                part.totals = part.totals.and(child.totals);
                part.as_of = part.as_of.min(child.as_of);
                part.version.1 = part.version.1.saturating_add(child.version.1);
            }
        }
        Some(part)
    }

    /// The sums of this position and all below it.
    pub(super) fn whole(&self, rules: &Rules, now: i64) -> Part {
        let mut whole = Part {
            position: self.position,
            version: (self.epoch, self.reports),
            as_of: now,
            totals: self.log.totals(),
        };
        for child in rules.tree.children(self.position) {
            match self.below(rules, *child) {
                Some(child) => {
                    whole.totals = whole.totals.and(child.totals);
                    whole.as_of = whole.as_of.min(child.as_of);
                }
                None => whole.as_of = 0,
            }
        }
        whole
    }

    /// A period is over: sums go up, and a root looks at them.
    pub(super) fn report(&mut self, rules: &Rules, io: &mut Io<'_, Word>) {
        // Numbers ascend over crashes as well, as long as the clock does.
        self.reports = (self.reports + 1).max(u64::try_from(io.now).unwrap_or(0));
        let whole = self.whole(rules, io.now);
        if rules.tree.parent(self.position).is_none() {
            let age = (io.now - whole.as_of).max(0) as u64;
            io.note_with(notes::TOTALS, whole.totals.decided, whole.totals.value, &[age]);
            return;
        }
        let mut parts = vec![whole];
        if rules.failover == Failover::Sibling {
            (parts[0].totals, parts[0].as_of) = (self.log.totals(), io.now);
            // Parts of children that stand elsewhere are later than what is known of them here, and win.
            let adopted = self.adopted.iter().filter_map(|member| rules.position(*member));
            let below = rules.tree.children(self.position).iter().copied().chain(adopted);
            parts.extend(below.filter_map(|child| self.below(rules, child)));
        }
        io.send(self.superior(rules), Word::Report(Shared::new(parts)));
    }

    /// A child reports.
    pub(super) fn hear_report(&mut self, parts: &[Part]) {
        for part in parts {
            learn(&mut self.known, *part);
        }
    }

    /// Writes down what holds of a case from now on. Who takes back its own grant has its part of the quota back: nobody else does that for
    /// it, so it comes back once.
    pub(super) fn hold(&mut self, rules: &Rules, entry: Entry) {
        if let Some(before) = self.log.get(entry.identity)
            && before.by == Some(self.me)
            && before.granted
            && entry.by != Some(self.me)
            && rules.quota.is_some()
        {
            self.purse.free += before.value;
        }
        self.log.push(entry);
    }

    /// A decision that somebody else has made as well, and that doesn't stand, doesn't count here.
    pub(super) fn take_back(&mut self, rules: &Rules, entry: Entry, standing: Standing, io: &mut Io<'_, Word>) {
        if entry.by.is_some() {
            let differs = entry.granted != standing.granted;
            io.note(notes::RECONCILED, entry.identity, u64::from(differs));
        }
        let taken_back = Entry {
            by: None,
            granted: standing.granted,
            stands: standing.at,
            ..entry
        };
        self.hold(rules, taken_back);
    }

    /// Whether an entry says no more than that this position has decided: the decision itself is with the other one.
    fn is_heard(&self, entry: &Entry) -> bool {
        entry.by.is_none() && entry.stands == self.position
    }

    /// Whether what is here stands over what the other one of this position has. That other one comes to the same, whichever hears first: what is
    /// known of a case only ever gives way to what stands over it.
    pub(super) fn stands_over(&self, own: &Entry, other: &Entry) -> bool {
        if own == other || self.is_heard(other) {
            return true;
        }
        if self.is_heard(own) {
            return false;
        }
        // Of two decisions at this position that are alike, that of the first member.
        match own.standing() == other.standing() {
            true => own.by <= other.by,
            false => own.standing().is_over(&other.standing()),
        }
    }

    /// Takes in what the other one of this position has written down.
    pub(super) fn merge(&mut self, rules: &Rules, entry: Entry, io: &mut Io<'_, Word>) {
        let Some(own) = self.log.get(entry.identity).copied() else {
            self.log.push(entry);
            return self.close(rules, entry.identity, entry.standing(), None, io);
        };
        if own == entry || self.is_heard(&entry) {
            return;
        }
        let (over, under) = match self.stands_over(&own, &entry) {
            true => (own, entry),
            false => (entry, own),
        };
        if under.by.is_some() && under.by != over.by {
            let differs = under.granted != over.granted;
            io.note(notes::RECONCILED, entry.identity, u64::from(differs));
        }
        // Written down again if it was here already, so that the other one hears what stands.
        self.hold(rules, over);
        if under.stands != over.stands && under.stands != self.position {
            let case = Case {
                identity: entry.identity,
                value: entry.value,
                system: rules.tree.system(self.position),
                bytes: 0,
            };
            let (decision, to) = (over.standing(), vec![under.stands]);
            self.recalls.add(rules, Recall { case, decision, to }, io);
        }
        self.close(rules, entry.identity, over.standing(), None, io);
    }

    /// Writes a decision down, and tells of it.
    pub(super) fn write(&mut self, rules: &Rules, entry: Entry, took: u64, io: &mut Io<'_, Word>) {
        let tier = rules.tree.tier(self.position);
        io.note_with(event::DECIDED, entry.identity, 0, &[took << 8 | u64::from(tier)]);
        self.log.push(entry);
    }
}
