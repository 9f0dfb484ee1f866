//! Inference endpoints: how long the first token takes and each one after it, the batch, its memory, and what was found in it.
//!
//! A request is counted by when it came, as everywhere; levels are means over the time after the warm-up.

use super::registry::measure_table;
use super::windows::{Clock, Level};
use super::{Measure, MeasureInfo, ServiceIndex, Setting, Sheet};
use crate::kernel::SimTime;
use crate::services::batching::event;
use crate::statistics::Recorder;
use crate::world::record::{Batch, Mask, Record, What};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is measured of an inference endpoint.
pub(super) const INFERENCE: &[MeasureInfo] = measure_table![
    "inference.*.ttft.mean", Seconds, Lower, "Mean time to the first token: from a request's arrival at its service to the end of the iteration that made it. After a crash that a request survived, that of the work begun anew counts as well.";
    "inference.*.ttft.p50", Seconds, Lower, "Median time to the first token (nearest rank).";
    "inference.*.ttft.p90", Seconds, Lower, "Time to the first token that 90 % of the requests don't exceed (nearest rank; none with fewer than ten beyond it).";
    "inference.*.ttft.p95", Seconds, Lower, "Time to the first token that 95 % of the requests don't exceed (nearest rank; none with fewer than ten beyond it).";
    "inference.*.ttft.p99", Seconds, Lower, "Time to the first token that 99 % of the requests don't exceed (nearest rank; none with fewer than ten beyond it).";
    "inference.*.ttft.max", Seconds, Lower, "Longest time to the first token.";
    "inference.*.tpot.mean", Seconds, Lower, "Mean time per output token: of each request with two tokens or more, the time from its first to its last over the number of those after the first.";
    "inference.*.tpot.p50", Seconds, Lower, "Median time per output token (nearest rank).";
    "inference.*.tpot.p90", Seconds, Lower, "Time per output token that 90 % of the requests don't exceed (nearest rank; none with fewer than ten beyond it).";
    "inference.*.tpot.p95", Seconds, Lower, "Time per output token that 95 % of the requests don't exceed (nearest rank; none with fewer than ten beyond it).";
    "inference.*.tpot.p99", Seconds, Lower, "Time per output token that 99 % of the requests don't exceed (nearest rank; none with fewer than ten beyond it).";
    "inference.*.tpot.max", Seconds, Lower, "Longest time per output token.";
    "inference.*.iterations", Count, Neither, "Iterations begun.";
    "inference.*.batch", Count, Neither, "Mean number of sequences in the batch, over all of the measured time; as a series, the mean in each window.";
    "inference.*.batch.peak", Count, Neither, "The most sequences in the batch.";
    "inference.*.kv", Tokens, Neither, "Mean number of tokens of the blocks in use; as a series, the mean in each window.";
    "inference.*.kv.peak", Tokens, Lower, "The most tokens of blocks in use.";
    "inference.*.kv_share", Share, Lower, "Mean part of the cache of keys and values that was in use.";
    "inference.*.preemptions", Count, Lower, "How often a sequence lost its blocks because others needed them.";
    "inference.*.recomputed", Tokens, Lower, "Tokens that sequences read when they came into the batch again after such a loss.";
    "inference.*.tokens_in.rate", PerSecond, Higher, "Tokens of prompts read per second of the measured time.";
    "inference.*.tokens_out.rate", PerSecond, Higher, "Tokens of the answers that were finished, per second of the measured time.";
    "inference.*.prefix_hits", Share, Higher, "The part of the tokens of prompts that were there already when their request came into the batch, and didn't have to be read.";
];

/// What was seen of one endpoint.
#[derive(Debug)]
struct Seen {
    ttft: Recorder,
    tpot: Recorder,
    iterations: u64,
    batch: Level,
    kv: Level,
    preemptions: u64,
    recomputed: u64,
    read: u64,
    made: u64,
    /// Tokens of prompts, and those that were there already.
    prompts: [u64; 2],
    /// When the requests that are in the batch came.
    arrived: BTreeMap<u64, SimTime>,
    out: BTreeMap<u64, u64>,
}

/// The measure of inference endpoints.
#[derive(Debug)]
pub struct Inference {
    setting: Arc<Setting>,
    services: ServiceIndex,
    clock: Clock,
    seen: BTreeMap<usize, Seen>,
}

impl Inference {
    /// For a run.
    pub fn new(setting: Arc<Setting>) -> Self {
        let clock = Clock::new(setting.window);
        let level = || Level::new(setting.warm_up, &clock);
        let endpoints = setting.batching.iter().enumerate().filter(|(_, kv)| kv.is_some());
        let seen = endpoints.map(|(index, _)| {
            let seen = Seen {
                ttft: Recorder::default(),
                tpot: Recorder::default(),
                iterations: 0,
                batch: level(),
                kv: level(),
                preemptions: 0,
                recomputed: 0,
                read: 0,
                made: 0,
                prompts: [0; 2],
                arrived: BTreeMap::new(),
                out: BTreeMap::new(),
            };
            (index, seen)
        });
        Self {
            services: ServiceIndex::new(&setting),
            seen: seen.collect(),
            clock,
            setting,
        }
    }
}

/// Brings a level to a value.
fn set(level: &mut Level, now: SimTime, to: u64) {
    let before = level.now();
    if to >= before {
        level.up(now, to - before);
    } else {
        level.down(now, before - to);
    }
}

impl Seen {
    fn see(&mut self, record: &Record, extra: &[u64], warm_up: SimTime) {
        let now = record.time;
        let measured = now >= warm_up;
        match record.c {
            event::BATCH => {
                set(&mut self.batch, now, record.a);
                set(&mut self.kv, now, record.b);
                if measured && record.a > 0 {
                    self.iterations += 1;
                    self.read += extra[1];
                }
            }
            event::FIRST => {
                let arrived = SimTime::from_nanos(record.b);
                if arrived >= warm_up {
                    self.ttft.record((now - arrived).as_nanos());
                }
                self.arrived.insert(record.a, arrived);
            }
            event::LAST => {
                let came = self.arrived.remove(&record.a).unwrap_or(now);
                let more = extra[0].saturating_sub(1);
                if came >= warm_up && more > 0 {
                    self.tpot.record((now.as_nanos() - record.b) / more);
                }
                self.made += if measured { extra[0] } else { 0 };
            }
            event::PREEMPTED => {
                self.preemptions += u64::from(measured);
                self.out.insert(record.a, record.b);
            }
            event::PREFIX => {
                let (there, all) = (record.b >> 32, record.b & 0xffff_ffff);
                if !measured {
                    return;
                }
                match self.out.remove(&record.a) {
                    Some(_) => self.recomputed += all - there,
                    None => {
                        self.prompts[0] += all;
                        self.prompts[1] += there;
                    }
                }
            }
            _ => {}
        }
    }
}

impl Measure for Inference {
    fn wants(&self) -> Mask {
        Mask::of(&[What::Inference])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        for record in batch.records.iter().filter(|record| record.what == What::Inference) {
            let index = self.services.of(&self.setting, record.subject);
            if let Some(seen) = index.and_then(|index| self.seen.get_mut(&index)) {
                seen.see(record, batch.extra(record), self.setting.warm_up);
            }
        }
    }

    fn finish(mut self: Box<Self>, end: SimTime, sheet: &mut Sheet) {
        let setting = Arc::clone(&self.setting);
        let measured = end.since(setting.warm_up).as_secs_f64();
        let per = |count: u64, whole: f64| (whole > 0.0).then(|| count as f64 / whole);
        for (index, seen) in &mut self.seen {
            let name = |measure: &str| format!("inference.{}.{measure}", setting.services[*index].1);
            sheet.durations(&name("ttft"), &seen.ttft);
            sheet.durations(&name("tpot"), &seen.tpot);
            for (label, count) in [
                ("iterations", seen.iterations),
                ("batch.peak", seen.batch.peak()),
                ("kv.peak", seen.kv.peak()),
                ("preemptions", seen.preemptions),
                ("recomputed", seen.recomputed),
            ] {
                sheet.count(name(label), count);
            }
            let kv = seen.kv.mean(end);
            sheet.number(name("batch"), seen.batch.mean(end));
            sheet.number(name("kv"), kv);
            let capacity = setting.batching[*index].map(|kv| kv as f64);
            sheet.number(name("kv_share"), kv.zip(capacity).map(|(kv, capacity)| kv / capacity));
            sheet.number(name("tokens_in.rate"), per(seen.read, measured));
            sheet.number(name("tokens_out.rate"), per(seen.made, measured));
            sheet.number(name("prefix_hits"), per(seen.prompts[1], seen.prompts[0] as f64));
            for (label, values) in [("batch", seen.batch.means(end)), ("kv", seen.kv.means(end))] {
                sheet.series.insert(name(label), self.clock.series(values));
            }
        }
    }
}
