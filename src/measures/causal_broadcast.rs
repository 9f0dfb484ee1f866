//! Causal broadcast: how long events take to get everywhere, and how much of that they are held back.
//!
//! Events issued before the warm-up don't count.

use super::coordination::{PerGroup, Watched};
use super::registry::measure_table;
use super::{Measure, MeasureInfo, Options, Setting, Sheet};
use crate::coordination::causal::{INFO, note};
use crate::kernel::SimTime;
use crate::statistics::Recorder;
use crate::world::record::{Batch, Mask, Record, What};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is measured of a group that broadcasts in causal order.
pub(super) const CAUSAL: &[MeasureInfo] = measure_table![
    "coordination.*.issued", Count, Neither, "Events that members issued.";
    "coordination.*.delivered", Count, Higher, "How often a member delivered an event of another one.";
    "coordination.*.undelivered", Count, Lower, "How often a member hasn't delivered an event of another one by the end.";
    "coordination.*.delivery", Seconds, Lower, "Time from when an event was issued until another member delivered it: the distribution.";
    "coordination.*.delivery.mean", Seconds, Lower, "Time from when an event was issued until another member delivered it: the mean.";
    "coordination.*.delivery.p50", Seconds, Lower, "The median of these times.";
    "coordination.*.delivery.p90", Seconds, Lower, "The 90th percentile of these times.";
    "coordination.*.delivery.p95", Seconds, Lower, "The 95th percentile of these times.";
    "coordination.*.delivery.p99", Seconds, Lower, "The 99th percentile of these times.";
    "coordination.*.delivery.max", Seconds, Lower, "The longest of these times.";
    "coordination.*.everywhere.mean", Seconds, Lower, "Time from when an event was issued until all others had delivered it: the mean of those that got so far.";
    "coordination.*.held", Count, Lower, "How often an event came to a member before its causes, and was held back.";
    "coordination.*.held.share", Share, Lower, "The part of the deliveries that were held back.";
    "coordination.*.held.time.mean", Seconds, Lower, "How long an event that was held back was, by the member's clock: the mean.";
    "coordination.*.held.time.p50", Seconds, Lower, "The median of these times.";
    "coordination.*.held.time.p90", Seconds, Lower, "The 90th percentile of these times.";
    "coordination.*.held.time.p95", Seconds, Lower, "The 95th percentile of these times.";
    "coordination.*.held.time.p99", Seconds, Lower, "The 99th percentile of these times.";
    "coordination.*.held.time.max", Seconds, Lower, "The longest of these times.";
    "coordination.*.again", Count, Lower, "How often an event came to a member again.";
];

/// How many times are kept exactly.
const KEPT: usize = 100_000;

#[derive(Debug)]
struct Tally {
    watched: Watched,
    /// When an event was issued, and how often it was delivered.
    events: BTreeMap<u64, (SimTime, u32)>,
    delivered: u64,
    held: u64,
    again: u64,
    everywhere: Recorder,
    delivery: Recorder,
    waiting: Recorder,
}

impl Tally {
    fn new(watched: Watched) -> Self {
        Self {
            watched,
            events: BTreeMap::new(),
            delivered: 0,
            held: 0,
            again: 0,
            everywhere: Recorder::new(KEPT),
            delivery: Recorder::new(KEPT),
            waiting: Recorder::new(KEPT),
        }
    }

    fn see(&mut self, record: &Record, warm_up: SimTime) {
        let now = record.time;
        match record.c as u16 {
            note::ISSUED if now >= warm_up => {
                self.events.insert(record.a, (now, 0));
            }
            note::DELIVERED => {
                if let Some((issued, count)) = self.events.get_mut(&record.a) {
                    let took = (now - *issued).as_nanos();
                    *count += 1;
                    self.delivered += 1;
                    self.delivery.record(took);
                    if *count + 1 == self.watched.count {
                        self.everywhere.record(took);
                    }
                    if record.b > 0 {
                        self.waiting.record(record.b);
                    }
                }
            }
            note::HELD => self.held += u64::from(self.events.contains_key(&record.a)),
            note::AGAIN => self.again += u64::from(self.events.contains_key(&record.a)),
            _ => {}
        }
    }

    fn write(self, sample: usize, sheet: &mut Sheet) {
        let name = |what: &str| format!("coordination.{}.{what}", self.watched.name);
        let issued = self.events.len() as u64;
        let meant = issued * u64::from(self.watched.count - 1);
        for (what, count) in [
            ("issued", issued),
            ("delivered", self.delivered),
            ("undelivered", meant.saturating_sub(self.delivered)),
            ("held", self.held),
            ("again", self.again),
        ] {
            sheet.count(name(what), count);
        }
        let share = (self.delivered > 0).then(|| self.held as f64 / self.delivered as f64);
        sheet.number(name("held.share"), share);
        sheet.number(name("everywhere.mean"), self.everywhere.mean().map(|ns| ns / 1e9));
        sheet.durations(&name("delivery"), &self.delivery);
        sheet.sample(name("delivery"), &self.delivery, sample);
        sheet.durations(&name("held.time"), &self.waiting);
    }
}

/// The measure of groups that broadcast in causal order.
#[derive(Debug)]
pub struct CausalBroadcast {
    setting: Arc<Setting>,
    sample: usize,
    groups: PerGroup<Tally>,
}

impl CausalBroadcast {
    /// For a run, if any group in it broadcasts so.
    pub fn of(setting: &Arc<Setting>, options: Options) -> Option<Self> {
        let groups = PerGroup::by(setting, INFO.name, Tally::new)?;
        Some(Self {
            groups,
            sample: options.sample,
            setting: Arc::clone(setting),
        })
    }
}

impl Measure for CausalBroadcast {
    fn wants(&self) -> Mask {
        Mask::of(&[What::Coordination])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        let warm_up = self.setting.warm_up;
        for record in batch.records.iter().filter(|record| record.what == What::Coordination) {
            if let Some(tally) = self.groups.of_entity(record.subject) {
                tally.see(record, warm_up);
            }
        }
    }

    fn finish(self: Box<Self>, _end: SimTime, sheet: &mut Sheet) {
        for tally in self.groups.into_all() {
            tally.write(self.sample, sheet);
        }
    }
}
