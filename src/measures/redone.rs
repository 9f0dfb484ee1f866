//! What agents did again though it was done: steps that they repeat, and handlers that they don't notice to be through.
//!
//! What began before the warm-up isn't counted. The time of repeated steps is that of those that were over; a step that is repeated several times counts each time.

use super::registry::measure_table;
use super::{Measure, MeasureInfo, Setting, Sheet};
use crate::agents::errs::again;
use crate::kernel::SimTime;
use crate::world::record::{Batch, Mask, Record, What};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is measured of what is done again.
pub(super) const REDONE: &[MeasureInfo] = measure_table![
    "redone.steps", Count, Lower, "Steps of handlers that agents did again though they were done (`errs.repeats`).";
    "redone.calls", Count, Lower, "Of these the calls.";
    "redone.time", Seconds, Lower, "Agents' time in these steps, all together.";
    "redone.rounds", Count, Lower, "How often an agent went through a handler again, since it didn't notice that it was through (`errs.unaware`).";
];

/// The measure of what is done again.
#[derive(Debug)]
pub struct Redone {
    setting: Arc<Setting>,
    any: bool,
    steps: u64,
    calls: u64,
    rounds: u64,
    nanos: u64,
    /// Since when activations are at a step again.
    under_way: BTreeMap<u64, SimTime>,
}

impl Redone {
    /// For a run.
    pub fn new(setting: Arc<Setting>) -> Self {
        Self {
            setting,
            any: false,
            steps: 0,
            calls: 0,
            rounds: 0,
            nanos: 0,
            under_way: BTreeMap::new(),
        }
    }

    fn follow(&mut self, record: &Record) {
        self.any = true;
        if record.time < self.setting.warm_up {
            return;
        }
        match record.c {
            again::STEP => {
                self.steps += 1;
                self.calls += record.b;
                self.under_way.insert(record.a, record.time);
            }
            again::STEP_OVER => {
                if let Some(since) = self.under_way.remove(&record.a) {
                    self.nanos += (record.time - since).as_nanos();
                }
            }
            _ => self.rounds += 1,
        }
    }
}

impl Measure for Redone {
    fn wants(&self) -> Mask {
        Mask::of(&[What::Redone])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        for record in batch.records.iter().filter(|record| record.what == What::Redone) {
            self.follow(record);
        }
    }

    fn finish(self: Box<Self>, _: SimTime, sheet: &mut Sheet) {
        if !self.any {
            return;
        }
        sheet.count("redone.steps", self.steps);
        sheet.count("redone.calls", self.calls);
        sheet.number("redone.time", Some(self.nanos as f64 / 1e9));
        sheet.count("redone.rounds", self.rounds);
    }
}
