//! What caches do: how many reads they answer, how old the answers are, and why others went to the store.

use super::registry::measure_table;
use super::{Measure, MeasureInfo, Setting, Sheet};
use crate::agents::cached;
use crate::kernel::SimTime;
use crate::statistics::Recorder;
use crate::world::record::{Batch, Mask, What};
use std::sync::Arc;

/// The table of these measures. There are numbers where an agent with a cache has read.
pub(super) const CACHING: &[MeasureInfo] = measure_table![
    "cache.reads", Count, Neither, "Reads of agents that have a cache in front of the store: answered by it, or by the store.";
    "cache.hits", Count, Higher, "Of these, the ones that the cache answered: without a message, and in no time.";
    "cache.hits.share", Share, Higher, "Of these, the share that the cache answered.";
    "cache.misses.expired", Count, Lower, "Reads that found an entry beyond its time to live.";
    "cache.invalidations", Count, Neither, "Messages of replicas which say that a key has changed.";
    "cache.invalidations.unneeded", Count, Lower, "Of these, the ones that found nothing to drop.";
    "cache.evictions", Count, Lower, "Entries that made room for others.";
    "cache.refreshes", Count, Neither, "Updates before which was read anew what the cache had shown.";
    "cache.age.mean", Seconds, Lower, "Age of what the cache answered with: the time since it was read from the store, mean. How much was missing is in `state.stale_age` and `state.stale_lag`.";
    "cache.age.p50", Seconds, Lower, "Median age of these answers (nearest rank; none with fewer than ten beyond it).";
    "cache.age.p90", Seconds, Lower, "Age that 90 % of these answers don't exceed.";
    "cache.age.p95", Seconds, Lower, "Age that 95 % of these answers don't exceed.";
    "cache.age.p99", Seconds, Lower, "Age that 99 % of these answers don't exceed.";
    "cache.age.max", Seconds, Lower, "Greatest age of an answer.";
];

/// Measures caches.
#[derive(Debug)]
pub(super) struct Caching {
    setting: Arc<Setting>,
    counts: [u64; 7],
    ages: Recorder,
}

impl Caching {
    pub(super) fn new(setting: Arc<Setting>) -> Self {
        Self {
            setting,
            counts: [0; 7],
            ages: Recorder::default(),
        }
    }

    fn count(&self, what: u64) -> u64 {
        self.counts[what as usize]
    }
}

impl Measure for Caching {
    fn wants(&self) -> Mask {
        Mask::of(&[What::Cached])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        let mine = batch.records.iter().filter(|record| record.what == What::Cached);
        for record in mine.filter(|record| record.time >= self.setting.warm_up) {
            self.counts[record.b as usize] += 1;
            if record.b == cached::HIT {
                self.ages.record(record.c);
            }
        }
    }

    fn finish(self: Box<Self>, _end: SimTime, sheet: &mut Sheet) {
        let hits = self.count(cached::HIT);
        let reads = hits + self.count(cached::MISS) + self.count(cached::EXPIRED);
        if reads == 0 {
            return;
        }
        let unneeded = self.count(cached::NOTHING_TO_INVALIDATE);
        sheet.count("cache.reads", reads);
        sheet.count("cache.hits", hits);
        sheet.number("cache.hits.share", Some(hits as f64 / reads as f64));
        sheet.count("cache.misses.expired", self.count(cached::EXPIRED));
        sheet.count("cache.invalidations", unneeded + self.count(cached::INVALIDATED));
        sheet.count("cache.invalidations.unneeded", unneeded);
        sheet.count("cache.evictions", self.count(cached::EVICTED));
        sheet.count("cache.refreshes", self.count(cached::REFRESHED));
        sheet.durations("cache.age", &self.ages);
    }
}
