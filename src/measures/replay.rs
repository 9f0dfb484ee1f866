//! Recorded runs that agents replay: how many come to their end, and what has become of those that were a success on record.
//!
//! On record every run had the data to itself. Here they share it. A run counts as a success here if it was one on record, came to
//! its end, and nothing of what it wrote is lost: then all that it did is there, as it was on record. What else other agents did to
//! it (a read that was stale, an answer that would have been another one) can't be known from a record that has no contents, and
//! isn't counted against it: the share of successes is an upper bound.

use super::registry::measure_table;
use super::{Measure, MeasureInfo, Sheet};
use crate::agents::activation::State;
use crate::agents::rows::event;
use crate::kernel::SimTime;
use crate::world::record::{Batch, Mask, Record, What};
use std::collections::BTreeMap;

/// What is on a sheet where recorded runs are replayed.
pub(super) const REPLAY: &[MeasureInfo] = measure_table![
    "replay.runs", Count, Neither, "Recorded runs that agents have begun (`EachRow`), each as often as it was begun; what was begun before the warm-up doesn't count.";
    "replay.done", Count, Higher, "Of these, those whose last row is over.";
    "replay.rows", Count, Neither, "Rows of recorded runs that were begun.";
    "replay.success.recorded.share", Share, Neither, "Of the runs begun, those that were a success on record (`success` of `EachRow`).";
    "replay.success.share", Share, Higher, "Of the runs begun, those that were a success on record, came to their end here, and have no lost effect (`state.lost_effects`): an upper bound, for what else others did to a run isn't recorded.";
    "replay.spoiled", Count, Lower, "Runs that were a success on record and came to their end here, and have an acknowledged update whose effect is lost.";
    "replay.lossy", Count, Lower, "Runs, whatever they were on record, of which an acknowledged update has lost its effect.";
];

/// A run that was begun.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// Whether it was a success on record, if that is known.
    success: Option<bool>,
    done: bool,
    lossy: bool,
}

/// Follows the runs.
#[derive(Debug, Default)]
pub(super) struct Replays {
    from: SimTime,
    runs: Vec<Run>,
    rows: u64,
    /// The run that an activation is in, if one that counts: its place among the runs.
    current: BTreeMap<u64, Option<u32>>,
    /// The run that a call was made in.
    calls: BTreeMap<u64, u32>,
}

impl Replays {
    /// Those that are begun from this time on.
    pub fn from(from: SimTime) -> Self {
        Self {
            from,
            ..Self::default()
        }
    }

    /// What is looked at.
    pub fn wants() -> Mask {
        Mask::of(&[What::Row, What::StepBegan, What::ActivationBegan, What::ActivationEnded])
    }

    /// The next records.
    pub fn batch(&mut self, batch: Batch<'_>) {
        batch.records.iter().for_each(|record| self.follow(record));
    }

    fn follow(&mut self, record: &Record) {
        match record.what {
            What::Row if record.c & event::OVER == 0 => {
                if record.b as u32 == 0 {
                    let counts = record.time >= self.from;
                    self.current.insert(record.a, counts.then_some(self.runs.len() as u32));
                    let success = match record.c & (event::FAILED | event::SUCCEEDED) {
                        0 => None,
                        recorded => Some(recorded == event::SUCCEEDED),
                    };
                    self.runs.extend(counts.then_some(Run {
                        success,
                        done: false,
                        lossy: false,
                    }));
                }
                let counts = self.current.get(&record.a).is_some_and(Option::is_some);
                self.rows += u64::from(counts);
            }
            What::Row => {
                if let Some(Some(run)) = self.current.remove(&record.a) {
                    self.runs[run as usize].done = true;
                }
            }
            What::StepBegan if record.b == State::Calling as u64 => {
                if let Some(Some(run)) = self.current.get(&record.a) {
                    self.calls.insert(record.c, *run);
                }
            }
            // What a branch does is done in the run of whoever forked it.
            What::ActivationBegan => {
                if let Some(run) = self.current.get(&record.b).copied() {
                    self.current.insert(record.a, run);
                }
            }
            What::ActivationEnded => {
                self.current.remove(&record.a);
            }
            _ => {}
        }
    }

    /// Writes what became of the runs; `lost` are the calls that have lost effects.
    pub fn finish(mut self, lost: &[u64], sheet: &mut Sheet) {
        if self.runs.is_empty() {
            return;
        }
        for call in lost {
            if let Some(run) = self.calls.get(call) {
                self.runs[*run as usize].lossy = true;
            }
        }
        let count = |which: &dyn Fn(&Run) -> bool| self.runs.iter().filter(|run| which(run)).count() as u64;
        sheet.count("replay.runs", count(&|_| true));
        sheet.count("replay.done", count(&|run| run.done));
        sheet.count("replay.rows", self.rows);
        sheet.count("replay.lossy", count(&|run| run.lossy));
        let recorded = self.runs.iter().any(|run| run.success.is_some());
        if recorded {
            let share = |part: u64| Some(part as f64 / self.runs.len() as f64);
            let was = |run: &Run| run.success == Some(true);
            sheet.number("replay.success.recorded.share", share(count(&was)));
            sheet.number(
                "replay.success.share",
                share(count(&|run| was(run) && run.done && !run.lossy)),
            );
            sheet.count("replay.spoiled", count(&|run| was(run) && run.done && run.lossy));
        }
    }
}

/// The measure where nothing is shared, so that nothing can be lost.
impl Measure for Replays {
    fn wants(&self) -> Mask {
        Self::wants()
    }

    fn batch(&mut self, batch: Batch<'_>) {
        Replays::batch(self, batch);
    }

    fn finish(self: Box<Self>, _: SimTime, sheet: &mut Sheet) {
        Replays::finish(*self, &[], sheet);
    }
}
