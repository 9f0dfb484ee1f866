//! Logs of events: what is written to them and read, and how long it takes until an agent that has lost its memory is rebuilt.
//!
//! What happened before the warm-up isn't counted. A rebuild that another crash interrupts has no time: the next one begins anew.

use super::registry::measure_table;
use super::{Measure, MeasureInfo, Setting, Sheet};
use crate::agents::journal::event;
use crate::kernel::{SimDuration, SimTime};
use crate::statistics::Recorder;
use crate::world::record::{Batch, Mask, Record, What};
use std::sync::Arc;

/// What is measured of logs of events.
pub(super) const JOURNAL: &[MeasureInfo] = measure_table![
    "journal.events", Count, Neither, "Events that logs took in, each counted once however often it was sent.";
    "journal.repeated", Count, Neither, "Writes that a log had taken in before: a timeout, a copy, or a crash between the write and its answer.";
    "journal.refused", Count, Neither, "Writes and reads that came from an earlier life of their agent, and were refused.";
    "journal.gaps", Count, Lower, "Events that a log couldn't take in because it had lost those before them.";
    "journal.snapshots", Count, Neither, "Snapshots written.";
    "journal.written", Bytes, Lower, "Bytes of events and snapshots that logs took in.";
    "journal.read", Bytes, Lower, "Bytes of events and snapshots that logs were asked for by agents that rebuild their state.";
    "recovery.count", Count, Neither, "Agents that went on after they had rebuilt their state.";
    "recovery.interrupted", Count, Lower, "Rebuilds that didn't come to their end: another crash came between, or the end of the run.";
    "recovery.time.mean", Seconds, Lower, "Time from an agent's restart after a crash that took its memory until it goes on: the mean.";
    "recovery.time.p50", Seconds, Lower, "The median of these times.";
    "recovery.time.p90", Seconds, Lower, "The 90th percentile of these times.";
    "recovery.time.p95", Seconds, Lower, "The 95th percentile of these times.";
    "recovery.time.p99", Seconds, Lower, "The 99th percentile of these times.";
    "recovery.time.max", Seconds, Lower, "The longest of these times.";
    "recovery.events", Count, Lower, "Events that were folded again in these rebuilds.";
];

/// The measure of logs of events.
#[derive(Debug)]
pub struct Journals {
    setting: Arc<Setting>,
    /// Whether anything has happened to a log.
    any: bool,
    /// How often each thing happened.
    counts: [u64; 8],
    written: u64,
    read: u64,
    folded: u64,
    times: Recorder,
}

impl Journals {
    /// For a run.
    pub fn new(setting: Arc<Setting>) -> Self {
        Self {
            setting,
            any: false,
            counts: [0; 8],
            written: 0,
            read: 0,
            folded: 0,
            times: Recorder::new(MOST),
        }
    }

    fn follow(&mut self, record: &Record, extra: &[u64]) {
        self.any = true;
        if record.time < self.setting.warm_up {
            return;
        }
        self.counts[record.c as usize] += 1;
        match record.c {
            event::APPENDED | event::KEPT => self.written += extra[0],
            event::READ => self.read += extra[0],
            event::REBUILT => {
                let took: SimDuration = record.time - SimTime::from_nanos(record.a);
                self.times.record(took.as_nanos());
                self.folded += record.b;
            }
            _ => {}
        }
    }
}

/// Times of rebuilds that are kept one by one for their quantiles.
const MOST: usize = 1 << 20;

impl Measure for Journals {
    fn wants(&self) -> Mask {
        Mask::of(&[What::Journal])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        for record in batch.records.iter().filter(|record| record.what == What::Journal) {
            self.follow(record, batch.extra(record));
        }
    }

    fn finish(self: Box<Self>, _: SimTime, sheet: &mut Sheet) {
        if !self.any {
            return;
        }
        let count = |what: u64| self.counts[what as usize];
        for (name, value) in [
            ("journal.events", count(event::APPENDED)),
            ("journal.repeated", count(event::REPEATED)),
            ("journal.refused", count(event::REFUSED)),
            ("journal.gaps", count(event::GAP)),
            ("journal.snapshots", count(event::KEPT)),
            ("journal.written", self.written),
            ("journal.read", self.read),
            ("recovery.count", count(event::REBUILT)),
            (
                "recovery.interrupted",
                count(event::REBUILDING).saturating_sub(count(event::REBUILT)),
            ),
            ("recovery.events", self.folded),
        ] {
            sheet.count(name, value);
        }
        sheet.durations("recovery.time", &self.times);
    }
}
