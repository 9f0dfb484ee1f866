//! What the order of updates costs: what waits in buffers for what came before it, how long, and the bytes that say so.

use super::registry::measure_table;
use super::{Measure, MeasureInfo, Setting, Sheet};
use crate::kernel::SimTime;
use crate::statistics::Recorder;
use crate::world::record::{Batch, Mask, What};
use std::sync::Arc;

/// The table of these measures. There are numbers where a store orders updates and any of them came to another replica.
pub(super) const ORDERING: &[MeasureInfo] = measure_table![
    "state.ordered", Count, Neither, "Updates that came to replicas of stores that order them, from others and one by one; what an exchange brought as a whole isn't among them.";
    "state.buffered", Count, Lower, "Of these, the ones that came before something that they depend on, and waited in a buffer.";
    "state.buffered.share", Share, Lower, "Of these, the share that waited in a buffer.";
    "state.buffered.most", Count, Lower, "The most updates that were in the buffers of all replicas at one time.";
    "state.buffered.left", Count, Lower, "Updates that are still in buffers once the run is drained: what they depend on never came.";
    "state.buffered.wait.mean", Seconds, Lower, "How long updates waited in a buffer until they were taken in, mean.";
    "state.buffered.wait.p50", Seconds, Lower, "Median time in a buffer (nearest rank; none with fewer than ten beyond it).";
    "state.buffered.wait.p90", Seconds, Lower, "Time in a buffer that 90 % don't exceed.";
    "state.buffered.wait.p95", Seconds, Lower, "Time in a buffer that 95 % don't exceed.";
    "state.buffered.wait.p99", Seconds, Lower, "Time in a buffer that 99 % don't exceed.";
    "state.buffered.wait.max", Seconds, Lower, "Longest time in a buffer.";
    "state.dependencies", Bytes, Lower, "Bytes with which updates brought their places in the order and what they depend on, over all that came.";
    "state.dependencies.mean", Bytes, Lower, "The same for one update, mean.";
];

/// Measures the order of updates.
#[derive(Debug)]
pub(super) struct Ordering {
    setting: Arc<Setting>,
    ended: Option<SimTime>,
    came: u64,
    bytes: u64,
    left: u64,
    waits: Recorder,
    /// When updates got into buffers and out of them; those that stay come out never.
    edges: Vec<(SimTime, i64)>,
}

impl Ordering {
    pub(super) fn new(setting: Arc<Setting>) -> Self {
        Self {
            setting,
            ended: None,
            came: 0,
            bytes: 0,
            left: 0,
            waits: Recorder::default(),
            edges: Vec::new(),
        }
    }
}

/// The highest level that these steps up and down lead to.
fn most(edges: &mut [(SimTime, i64)]) -> i64 {
    // What leaves at an instant makes room for what comes then.
    edges.sort_unstable();
    let mut level = 0;
    let levels = edges.iter().map(|(_, by)| {
        level += by;
        level
    });
    levels.max().unwrap_or(0)
}

impl Measure for Ordering {
    fn wants(&self) -> Mask {
        Mask::of(&[What::Ordered])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        for record in batch.records.iter().filter(|record| record.what == What::Ordered) {
            let since = SimTime::from_nanos(record.c);
            let measured = since >= self.setting.warm_up && self.ended.is_none_or(|end| since <= end);
            if !measured {
                continue;
            }
            let extra = batch.extra(record);
            let taken = extra[1] == 1;
            self.came += 1;
            self.bytes += extra[0];
            if !taken {
                self.left += 1;
                self.edges.push((since, 1));
            } else if since < record.time {
                self.waits.record((record.time - since).as_nanos());
                self.edges.extend([(since, 1), (record.time, -1)]);
            }
        }
    }

    fn measured_until(&mut self, end: SimTime) -> bool {
        self.ended = Some(end);
        true
    }

    fn finish(mut self: Box<Self>, _end: SimTime, sheet: &mut Sheet) {
        if self.came == 0 {
            return;
        }
        let buffered = self.waits.count() + self.left;
        sheet.count("state.ordered", self.came);
        sheet.count("state.buffered", buffered);
        sheet.number("state.buffered.share", Some(buffered as f64 / self.came as f64));
        sheet.number("state.buffered.most", Some(most(&mut self.edges) as f64));
        sheet.count("state.buffered.left", self.left);
        sheet.durations("state.buffered.wait", &self.waits);
        sheet.count("state.dependencies", self.bytes);
        sheet.number("state.dependencies.mean", Some(self.bytes as f64 / self.came as f64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_that_wait_at_one_time_leave_before_others_come() {
        let at = SimTime::from_nanos;
        let mut edges = [(at(5), 1), (at(9), -1), (at(1), 1), (at(5), -1), (at(7), 1)];
        assert_eq!(most(&mut edges), 2);
        assert_eq!(most(&mut []), 0);
    }
}
