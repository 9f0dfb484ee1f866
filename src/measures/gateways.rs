//! Gateways: the calls that they make for what they are asked, and how these go.
//!
//! What is asked of a gateway, and by whom, is measured as of any service; here is what it asks of others. Calls begun before the
//! warm-up aren't counted, nor what becomes of them.

use super::registry::measure_table;
use super::{Measure, MeasureInfo, Setting, Sheet};
use crate::kernel::SimTime;
use crate::services::service::passed;
use crate::world::record::{Batch, Mask, Record, What};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is measured of a gateway.
pub(super) const GATEWAY: &[MeasureInfo] = measure_table![
    "gateway.*.calls", Count, Neither, "Calls that the gateway made: one for each request that it passed on, several where it fans out, fewer where it gathers.";
    "gateway.*.attempts", Count, Lower, "Attempts of these calls.";
    "gateway.*.amplification", Ratio, Lower, "Attempts for each call of the gateway.";
    "gateway.*.answered", Count, Higher, "Attempts whose answer the gateway used.";
    "gateway.*.refused", Count, Lower, "Attempts that were refused.";
    "gateway.*.timed_out", Count, Lower, "Attempts that had no answer in time.";
    "gateway.*.left", Count, Lower, "Attempts that the gateway stopped waiting for: others had answered, or it crashed.";
    "gateway.*.unused", Count, Lower, "Answers that came when the gateway didn't wait for them any more.";
    "gateway.*.batch", Ratio, Neither, "Requests passed on with each call: the mean.";
    "gateway.*.imbalance", Ratio, Lower, "Attempts at the server that got the most, over the mean of all servers that got any.";
    "gateway.*.rejected", Count, Neither, "Attempts that the gateway's throttle rejected, so that they were never sent. This and the next ones are counted where its policy has a throttle, a budget of retries or hedges.";
    "gateway.*.unretried", Count, Neither, "Calls that failed because the gateway's budget of retries was spent.";
    "gateway.*.hedges", Count, Neither, "Hedges sent, which are among the attempts.";
    "gateway.*.hedges.used", Count, Higher, "Hedges whose answer the gateway used.";
    "gateway.*.hedges.left_out", Count, Neither, "Hedges that were due and weren't sent: the budget had no token for them, or the throttle rejected them.";
    "gateway.*.ejections", Count, Lower, "How often the gateway left a server out for a while because it failed.";
];

#[derive(Debug, Default)]
struct Tally {
    calls: u64,
    attempts: u64,
    requests: u64,
    how: [u64; 9],
    hedges: u64,
    ejections: u64,
    at: BTreeMap<u32, u64>,
}

/// The measure of gateways.
#[derive(Debug)]
pub struct Gateways {
    setting: Arc<Setting>,
    all: BTreeMap<u32, Tally>,
    /// Each gateway's first call that counts.
    counted: BTreeMap<u32, u64>,
    /// Calls whose first attempt was rejected, and none has been sent since.
    unsent: BTreeSet<u64>,
}

impl Gateways {
    /// For a run.
    pub fn new(setting: Arc<Setting>) -> Self {
        Self {
            setting,
            all: BTreeMap::new(),
            counted: BTreeMap::new(),
            unsent: BTreeSet::new(),
        }
    }

    fn see(&mut self, record: &Record, extra: &[u64]) {
        let warm = record.time >= self.setting.warm_up;
        if record.what == What::Ejected {
            self.all.entry(record.subject).or_default().ejections += u64::from(warm);
            return;
        }
        // A gateway numbers its calls as it makes them.
        let is_new = match record.what {
            What::PassedOn => record.c == 1 && !self.unsent.remove(&record.a),
            _ => record.c == passed::REJECTED && !extra.is_empty() && self.unsent.insert(record.a),
        };
        let first = self.counted.get(&record.subject).copied();
        let first = match first {
            None if is_new && warm => {
                self.counted.insert(record.subject, record.a);
                Some(record.a)
            }
            known => known,
        };
        let counts = first.is_some_and(|first| record.a >= first);
        let tally = self.all.entry(record.subject).or_default();
        if !counts {
            return;
        }
        match record.what {
            What::PassedOn => {
                tally.attempts += 1;
                tally.hedges += record.c >> 32;
                *tally.at.entry(record.b as u32).or_default() += 1;
            }
            _ => tally.how[record.c as usize] += 1,
        }
        if is_new {
            tally.calls += 1;
            tally.requests += (extra.len() / 2) as u64;
        }
    }
}

impl Measure for Gateways {
    fn wants(&self) -> Mask {
        Mask::of(&[What::PassedOn, What::PassedBack, What::Ejected])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        for record in batch.records {
            if matches!(record.what, What::PassedOn | What::PassedBack | What::Ejected) {
                self.see(record, batch.extra(record));
            }
        }
    }

    fn finish(self: Box<Self>, _end: SimTime, sheet: &mut Sheet) {
        for (id, tally) in &self.all {
            let (group, _) = self.setting.directory.locate(*id);
            let name = |measure: &str| {
                let gateway = &self.setting.directory.groups()[group as usize].name;
                format!("gateway.{gateway}.{measure}")
            };
            for (label, count) in [
                ("calls", tally.calls),
                ("attempts", tally.attempts),
                ("answered", tally.how[passed::USED as usize]),
                ("refused", tally.how[passed::REFUSED as usize]),
                ("timed_out", tally.how[passed::TIMED_OUT as usize]),
                ("left", tally.how[passed::LEFT as usize]),
                ("unused", tally.how[passed::UNUSED as usize]),
                ("ejections", tally.ejections),
            ] {
                sheet.count(name(label), count);
            }
            let place = self.setting.services.iter().position(|(entity, _)| entity == id);
            if place.is_some_and(|place| self.setting.guarded[place]) {
                for (label, count) in [
                    ("rejected", tally.how[passed::REJECTED as usize]),
                    ("unretried", tally.how[passed::NO_TOKEN as usize]),
                    ("hedges", tally.hedges),
                    ("hedges.used", tally.how[passed::WON as usize]),
                    ("hedges.left_out", tally.how[passed::LEFT_OUT as usize]),
                ] {
                    sheet.count(name(label), count);
                }
            }
            let per = |count: u64, whole: u64| (whole > 0).then(|| count as f64 / whole as f64);
            sheet.number(name("amplification"), per(tally.attempts, tally.calls));
            sheet.number(name("batch"), per(tally.requests, tally.calls));
            let most = tally.at.values().copied().max().unwrap_or(0);
            let imbalance = per(most * tally.at.len() as u64, tally.attempts);
            sheet.number(name("imbalance"), imbalance);
        }
    }
}
