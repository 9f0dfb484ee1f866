//! Locks: how long they are waited for and held, how often leases run out, and what is done under those that are over.
//!
//! What happened before the warm-up isn't counted. A hold ends when it is given back or its lease is over; one that still runs at the
//! end isn't in the mean.

use super::registry::measure_table;
use super::{Measure, MeasureInfo, Setting, Sheet};
use crate::kernel::{SimDuration, SimTime};
use crate::services::lock::event;
use crate::world::record::{Batch, Mask, Record, What};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is measured of a lock.
pub(super) const LOCK: &[MeasureInfo] = measure_table![
    "lock.*.asked", Count, Neither, "Requests for the lock, each counted once however often it was repeated.";
    "lock.*.granted", Count, Neither, "Grants of the lock.";
    "lock.*.wait.mean", Seconds, Lower, "Time from a request's arrival at the lock service to its grant: the mean.";
    "lock.*.wait.max", Seconds, Lower, "The longest of these times.";
    "lock.*.hold.mean", Seconds, Lower, "Time from a grant until the lock is given back or its lease is over: the mean.";
    "lock.*.hold.max", Seconds, Lower, "The longest of these times.";
    "lock.*.expired", Count, Lower, "Grants whose lease ran out before the lock was given back.";
    "lock.*.renewed", Count, Neither, "Renewals that reached the lock service in time.";
    "lock.*.given_up", Count, Lower, "Requests that their agents gave up while they waited.";
    "lock.*.late_updates", Count, Lower, "Updates that a store accepted although, by then, the lock under which they were sent had been granted again.";
    "lock.*.fenced", Count, Neither, "Reads and updates that a store refused, since it had seen a newer token of the lock than theirs.";
];

/// What is known of one lock.
#[derive(Debug, Default)]
struct Tally {
    asked: u64,
    waits: Times,
    holds: Times,
    expired: u64,
    renewed: u64,
    given_up: u64,
    late: u64,
    fenced: u64,
    /// The newest token.
    newest: u64,
}

/// How long something took, over all.
#[derive(Debug, Default)]
struct Times {
    count: u64,
    sum: u128,
    longest: u64,
}

impl Times {
    fn add(&mut self, took: SimDuration) {
        let nanos = took.as_nanos();
        self.count += 1;
        self.sum += u128::from(nanos);
        self.longest = self.longest.max(nanos);
    }

    fn write(&self, name: String, sheet: &mut Sheet) {
        let mean = (self.count > 0).then(|| self.sum as f64 / self.count as f64 / 1e9);
        let longest = (self.count > 0).then(|| SimDuration::from_nanos(self.longest).as_secs_f64());
        sheet.number(format!("{name}.mean"), mean);
        sheet.number(format!("{name}.max"), longest);
    }
}

/// The measure of locks.
#[derive(Debug)]
pub struct Locks {
    setting: Arc<Setting>,
    locks: BTreeMap<u32, Tally>,
    /// The lock and the token under which each update was sent.
    used: BTreeMap<u64, (u32, u64)>,
}

impl Locks {
    /// For a run.
    pub fn new(setting: Arc<Setting>) -> Self {
        Self {
            setting,
            locks: BTreeMap::new(),
            used: BTreeMap::new(),
        }
    }

    fn follow(&mut self, record: &Record, extra: &[u64]) {
        let counted = u64::from(record.time >= self.setting.warm_up);
        if record.what == What::Accepted {
            if let Some((lock, token)) = self.used.get(&record.a)
                && let Some(tally) = self.locks.get_mut(lock)
                && *token < tally.newest
            {
                tally.late += counted;
            }
            return;
        }
        let lock = match record.c {
            event::USED | event::FENCED => extra[0] as u32,
            _ => record.subject,
        };
        let tally = self.locks.entry(lock).or_default();
        let since = || record.time - SimTime::from_nanos(extra[0]);
        match record.c {
            event::ASKED => tally.asked += counted,
            event::GRANTED => {
                tally.newest = record.b;
                if counted == 1 {
                    tally.waits.add(since());
                }
            }
            event::RELEASED | event::EXPIRED => {
                if counted == 1 {
                    tally.holds.add(since());
                }
                tally.expired += counted * u64::from(record.c == event::EXPIRED);
            }
            event::RENEWED => tally.renewed += counted,
            event::GIVEN_UP => tally.given_up += counted,
            event::USED => drop(self.used.insert(record.a, (lock, record.b))),
            event::FENCED => tally.fenced += counted,
            _ => {}
        }
    }
}

impl Measure for Locks {
    fn wants(&self) -> Mask {
        Mask::of(&[What::Lock, What::Accepted])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        let wants = self.wants();
        for record in batch.records.iter().filter(|record| wants.has(record.what)) {
            self.follow(record, batch.extra(record));
        }
    }

    fn finish(self: Box<Self>, _: SimTime, sheet: &mut Sheet) {
        for (id, tally) in &self.locks {
            let services = &self.setting.services;
            let Some((_, name)) = services.iter().find(|(service, _)| service == id) else {
                continue;
            };
            let name = |what: &str| format!("lock.{name}.{what}");
            sheet.count(name("asked"), tally.asked);
            sheet.count(name("granted"), tally.waits.count);
            tally.waits.write(name("wait"), sheet);
            tally.holds.write(name("hold"), sheet);
            for (what, count) in [
                ("expired", tally.expired),
                ("renewed", tally.renewed),
                ("given_up", tally.given_up),
                ("late_updates", tally.late),
                ("fenced", tally.fenced),
            ] {
                sheet.count(name(what), count);
            }
        }
    }
}
