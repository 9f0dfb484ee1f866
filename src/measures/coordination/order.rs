//! Whether members decide alike, and what it costs PBFT and ledgers to see to that.

use super::super::Sheet;
use crate::coordination::member::event;
use crate::coordination::{chain, pbft};
use crate::world::record::Record;
use std::collections::{BTreeMap, BTreeSet};

/// The order of decisions, as members took them, and what a pattern takes down beside that.
#[derive(Debug)]
pub(super) struct Order {
    /// What was decided first at each place; 0 for nothing yet.
    places: Vec<u64>,
    disputed: BTreeSet<u64>,
    own: Own,
}

/// What a pattern takes down.
#[derive(Debug)]
enum Own {
    Nothing,
    Pbft(Replicas),
    Ledger(Ledger),
}

#[derive(Debug, Default)]
struct Replicas {
    views: BTreeSet<u64>,
    checkpoints: BTreeSet<u64>,
    transfers: u64,
    rejected: u64,
    asked_all: u64,
}

#[derive(Debug, Default)]
struct Ledger {
    /// How many blocks were found at each height.
    found: BTreeMap<u64, u64>,
    /// The longest chain that a member had, before the warm-up and in all.
    before: u64,
    height: u64,
    reorganisations: u64,
    deepest: u64,
    undone: BTreeSet<u64>,
    worked: u64,
    failed: u64,
}

impl Order {
    pub fn of(pattern: &str) -> Self {
        let own = match pattern {
            name if name == pbft::INFO.name => Own::Pbft(Replicas::default()),
            name if name == chain::INFO.name => Own::Ledger(Ledger::default()),
            _ => Own::Nothing,
        };
        Self {
            places: Vec::new(),
            disputed: BTreeSet::new(),
            own,
        }
    }

    /// `counts`: it is after the warm-up.
    pub fn see(&mut self, record: &Record, extra: &[u64], counts: bool) {
        let event = record.c as u16;
        if event == event::DECIDED && record.b > 0 {
            self.decide(record.a, record.b);
        }
        match &mut self.own {
            Own::Pbft(replicas) if counts => replicas.see(event, record.a),
            Own::Ledger(ledger) => ledger.see((event, record.a), extra, counts),
            Own::Nothing | Own::Pbft(_) => {}
        }
    }

    fn decide(&mut self, identity: u64, place: u64) {
        let at = place as usize - 1;
        if self.places.len() <= at {
            self.places.resize(at + 1, 0);
        }
        match self.places[at] {
            0 => self.places[at] = identity,
            known if known != identity => drop(self.disputed.insert(place)),
            _ => {}
        }
    }

    pub fn write(&self, name: impl Fn(&str) -> String, sheet: &mut Sheet) {
        if !self.places.is_empty() {
            sheet.count(name("places.disputed"), self.disputed.len() as u64);
        }
        match &self.own {
            Own::Nothing => {}
            Own::Pbft(replicas) => replicas.write(name, sheet),
            Own::Ledger(ledger) => ledger.write(name, sheet),
        }
    }
}

impl Replicas {
    fn see(&mut self, event: u16, about: u64) {
        match event {
            pbft::notes::ENTERED => drop(self.views.insert(about)),
            pbft::notes::STABLE => drop(self.checkpoints.insert(about)),
            pbft::notes::INSTALLED => self.transfers += 1,
            pbft::notes::REJECTED => self.rejected += 1,
            pbft::notes::ASKED_ALL => self.asked_all += 1,
            _ => {}
        }
    }

    fn write(&self, name: impl Fn(&str) -> String, sheet: &mut Sheet) {
        for (what, count) in [
            ("views", self.views.len() as u64),
            ("checkpoints", self.checkpoints.len() as u64),
            ("state_transfers", self.transfers),
            ("rejected", self.rejected),
            ("asked_all", self.asked_all),
        ] {
            sheet.count(name(what), count);
        }
    }
}

impl Ledger {
    fn see(&mut self, (event, about): (u16, u64), extra: &[u64], counts: bool) {
        use chain::notes;
        if event == notes::ADOPTED {
            self.height = self.height.max(about);
            if !counts {
                self.before = self.height;
            }
        }
        if !counts {
            return;
        }
        match event {
            notes::FOUND | notes::WITHHELD => *self.found.entry(about).or_default() += 1,
            notes::ADOPTED => {
                let left = extra.first().copied().unwrap_or(0);
                self.reorganisations += u64::from(left > 0);
                self.deepest = self.deepest.max(left);
            }
            notes::UNDONE => drop(self.undone.insert(about)),
            notes::PUBLISHED => self.worked += 1,
            notes::GAVE_UP => self.failed += 1,
            _ => {}
        }
    }

    fn write(&self, name: impl Fn(&str) -> String, sheet: &mut Sheet) {
        let found: u64 = self.found.values().sum();
        // A block that nobody had heard of at the end, but its finder, is in that one's chain.
        let orphaned = found.saturating_sub(self.height - self.before);
        let forks = self.found.values().filter(|count| **count > 1).count() as u64;
        let share = |part: u64, of: u64| (of > 0).then(|| part as f64 / of as f64);
        sheet.count(name("blocks"), found);
        sheet.count(name("blocks.orphaned"), orphaned);
        sheet.number(name("blocks.orphaned.share"), share(orphaned, found));
        sheet.count(name("forks"), forks);
        sheet.number(name("forks.share"), share(forks, self.found.len() as u64));
        sheet.count(name("reorganisations"), self.reorganisations);
        sheet.count(name("reorganisations.depth.max"), self.deepest);
        sheet.count(name("undone"), self.undone.len() as u64);
        sheet.count(name("double_spends"), self.worked);
        sheet.count(name("double_spends.failed"), self.failed);
    }
}
