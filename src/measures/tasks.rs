//! Tasks: how long they take, how they end, and where their time goes: the latency trap.
//!
//! A task is one run of a program that has steps, or a `Task` step. Tasks begun before the warm-up aren't measured, but for the rate
//! at which tasks are done. Times are those of the tasks done; failed, aborted and unfinished ones are counted beside them, never
//! dropped.

use super::registry::measure_table;
use super::{Measure, MeasureInfo, Options, ServiceIndex, Setting, Sheet, TaskOutcome, TaskRow};
use crate::agents::activation::TaskEnd;
use crate::kernel::SimTime;
use crate::statistics::Recorder;
use crate::world::call::{Part, Parts};
use crate::world::record::{Batch, Mask, Record, What};
use std::sync::Arc;

macro_rules! task_table {
    ($prefix:literal) => {
        measure_table![
            concat!($prefix, "started"), Count, Neither, "Tasks begun after the warm-up.";
            concat!($prefix, "done"), Count, Higher, "Tasks that came to the end of their steps; where the group goes on after failures (`on_failure: Continue`), whether these were all done or not.";
            concat!($prefix, "gave_up"), Count, Lower, "Of the tasks done, those in which a step had failed beyond its policy and the agent went on (`on_failure: Continue`).";
            concat!($prefix, "done_share"), Share, Higher, "The part of the tasks that ended that were done.";
            concat!($prefix, "failed"), Count, Lower, "Tasks that a step ended by failing beyond its policy.";
            concat!($prefix, "aborted"), Count, Lower, "Tasks given up: their agent crashed and lost its state, or their branch was thrown away.";
            concat!($prefix, "stopped"), Count, Lower, "Tasks that a spent budget ended (`budgets`, `then: Stop`); counted where there are budgets.";
            concat!($prefix, "unfinished"), Count, Lower, "Tasks that were still under way when the run ended (censored).";
            concat!($prefix, "rate"), PerSecond, Higher, "Tasks done per second of the measured time, whenever they began.";
            concat!($prefix, "time"), Seconds, Lower, "The times of the tasks done: a sample for their distribution.";
            concat!($prefix, "time.mean"), Seconds, Lower, "Mean time of the tasks done.";
            concat!($prefix, "time.p50"), Seconds, Lower, "Median time of the tasks done (nearest rank).";
            concat!($prefix, "time.p90"), Seconds, Lower, "Time that 90 % of the tasks done don't exceed (nearest rank; none with fewer than ten beyond it).";
            concat!($prefix, "time.p95"), Seconds, Lower, "Time that 95 % of the tasks done don't exceed (nearest rank; none with fewer than ten beyond it).";
            concat!($prefix, "time.p99"), Seconds, Lower, "Time that 99 % of the tasks done don't exceed (nearest rank; none with fewer than ten beyond it).";
            concat!($prefix, "time.max"), Seconds, Lower, "Longest time of a task done.";
            concat!($prefix, "part.thinking"), Seconds, Lower, "Mean time of the tasks done that was the agent's own, at work or asleep (`Think`, `Sleep`), on the critical path.";
            concat!($prefix, "part.service"), Seconds, Lower, "Mean time of the tasks done in which a service worked for them (inference, tools), on the critical path.";
            concat!($prefix, "part.queueing"), Seconds, Lower, "Mean time of the tasks done in a server's queue or a peer's mailbox while that was at work, on the critical path.";
            concat!($prefix, "part.network"), Seconds, Lower, "Mean time of the tasks done on the network, on the critical path.";
            concat!($prefix, "part.retrying"), Seconds, Lower, "Mean time of the tasks done in abandoned attempts, up to the start of their successors, and in work that a crash undid, on the critical path.";
            concat!($prefix, "part.coordination"), Seconds, Lower, "Mean time of the tasks done waiting for other agents or for replicas to agree, on the critical path.";
            concat!($prefix, "part.down"), Seconds, Lower, "Mean time of the tasks done in which something needed was crashed, paused or stalled, on the critical path: the outage alone, whether a request waited it out or was in work. Of a service that is slowed down, the part of the time that it lacks to its own speed.";
            concat!($prefix, "network_share"), Share, Lower, "The network's part of the time of the tasks done.";
            concat!($prefix, "break_even"), Seconds, Neither, "The mean round trip of a call at which the network's part of the tasks done would equal the service's part, if the network's part grew in proportion to the round trip: mean round trip of the answered calls times service part over network part. Where nothing was spent on the network: the service part over the calls of a task.";
        ]
    };
}

/// What is measured of programs.
pub(super) const PROGRAM: &[MeasureInfo] = task_table!("task.");
/// What is measured of `Task` steps, by name.
pub(super) const NAMED: &[MeasureInfo] = task_table!("task.*.");

/// Tasks of one name.
#[derive(Debug, Clone, Default)]
struct Kind {
    started: u64,
    ended: [u64; 4],
    /// Of those done, those in which a step was given up.
    gave_up: u64,
    /// Tasks done after the warm-up, whenever they began.
    completed: u64,
    times: Recorder,
    parts: [u128; 7],
}

/// A task as it is kept: names are looked up at the end.
#[derive(Debug, Clone, Copy)]
struct Row {
    hash: u64,
    identity: u64,
    group: u16,
    name: u16,
    outcome: TaskOutcome,
    began: SimTime,
    ended: SimTime,
    parts: Parts,
}

/// The measure of tasks.
#[derive(Debug)]
pub struct Tasks {
    setting: Arc<Setting>,
    options: Options,
    services: ServiceIndex,
    kinds: Vec<Kind>,
    /// What the identities of a group's tasks are hashed with.
    salts: Vec<u64>,
    rows: Vec<Row>,
    /// Only tasks with a hash of at most this are listed: halved whenever there are too many.
    most_hash: u64,
    ended: u64,
    /// Calls answered, and the sum of their round trips on the network.
    answered: u64,
    round_trips: u128,
    /// Calls that each agent has made since its program began, and calls of the programs done.
    calls_of: Vec<u32>,
    calls_done: u64,
}

impl Tasks {
    /// For a run.
    pub fn new(setting: Arc<Setting>, options: Options) -> Self {
        let salt = |name: &str| {
            name.bytes()
                .fold(0xcbf2_9ce4_8422_2325, |hash, byte| mix(hash ^ byte as u64))
        };
        let groups = setting.directory.groups();
        Self {
            services: ServiceIndex::new(&setting),
            kinds: vec![Kind::default(); setting.task_names.len().max(1)],
            salts: groups.iter().map(|group| salt(&group.name)).collect(),
            rows: Vec::new(),
            most_hash: u64::MAX,
            ended: 0,
            answered: 0,
            round_trips: 0,
            calls_of: Vec::new(),
            calls_done: 0,
            options,
            setting,
        }
    }

    fn kind(&mut self, name: usize) -> &mut Kind {
        if name >= self.kinds.len() {
            self.kinds.resize(name + 1, Kind::default());
        }
        &mut self.kinds[name]
    }

    #[inline]
    fn calls_of(&mut self, agent: u32) -> &mut u32 {
        if agent as usize >= self.calls_of.len() {
            self.calls_of.resize(agent as usize + 1, 0);
        }
        &mut self.calls_of[agent as usize]
    }

    fn task_ended(&mut self, record: &Record, extra: &[u64]) {
        let began = SimTime::from_nanos(extra[0]);
        let (name, end) = (usize::from((record.b >> 8) as u16), record.b as u8);
        let measured = record.time >= self.setting.warm_up;
        self.kind(name).completed += u64::from(measured && end == TaskEnd::Done as u8);
        if began < self.setting.warm_up {
            return;
        }
        let calls = if name == 0 { *self.calls_of(record.subject) } else { 0 };
        let mut parts = Parts::default();
        parts.0.copy_from_slice(&extra[1..8]);
        let kind = self.kind(name);
        kind.ended[end as usize] += 1;
        let outcome = match end {
            0 => TaskOutcome::Done,
            1 => TaskOutcome::Failed,
            2 => TaskOutcome::Aborted,
            _ => TaskOutcome::Stopped,
        };
        if outcome == TaskOutcome::Done {
            kind.times.record((record.time - began).as_nanos());
            for (sum, part) in kind.parts.iter_mut().zip(parts.0) {
                *sum += u128::from(part);
            }
            kind.gave_up += record.b >> 32 & 1;
            self.calls_done += calls as u64;
        }
        self.ended += 1;
        let (group, _) = self.setting.directory.locate(record.subject);
        let hash = mix(record.a ^ mix(self.salts[group as usize] ^ name as u64));
        if hash <= self.most_hash {
            self.rows.push(Row {
                hash,
                identity: record.a,
                group,
                name: name as u16,
                outcome,
                began,
                ended: record.time,
                parts,
            });
            while self.rows.len() > self.options.rows && self.most_hash > 0 {
                self.most_hash /= 2;
                let most = self.most_hash;
                self.rows.retain(|row| row.hash <= most);
            }
        }
    }

    fn write(&self, prefix: &str, kind: &Kind, end: SimTime, sheet: &mut Sheet) {
        let name = |measure: &str| format!("{prefix}{measure}");
        sheet.count(name("started"), kind.started);
        let outcomes = if self.setting.budgets.is_empty() { 3 } else { 4 };
        let labels = ["done", "failed", "aborted", "stopped"].into_iter();
        for (label, count) in labels.zip(kind.ended).take(outcomes) {
            sheet.count(name(label), count);
        }
        sheet.count(name("gave_up"), kind.gave_up);
        let ended: u64 = kind.ended.iter().sum();
        sheet.number(
            name("done_share"),
            (ended > 0).then(|| kind.ended[0] as f64 / ended as f64),
        );
        sheet.count(name("unfinished"), kind.started.saturating_sub(ended));
        let measured = end.since(self.setting.warm_up).as_secs_f64();
        sheet.number(name("rate"), (measured > 0.0).then(|| kind.completed as f64 / measured));
        let done = kind.times.count();
        if done == 0 {
            return;
        }
        sheet.durations(&name("time"), &kind.times);
        sheet.sample(name("time"), &kind.times, self.options.sample);
        let mean = |part: Part| kind.parts[part as usize] as f64 / done as f64 / 1e9;
        for part in Part::ALL {
            sheet.number(name(&format!("part.{}", part.name())), Some(mean(part)));
        }
        let (network, service) = (mean(Part::Network), mean(Part::Service));
        let total = kind.times.mean().unwrap_or(0.0) / 1e9;
        sheet.number(name("network_share"), (total > 0.0).then(|| network / total));
        let break_even = match network > 0.0 {
            true => {
                (self.answered > 0).then(|| self.round_trips as f64 / self.answered as f64 / 1e9 * service / network)
            }
            false => {
                (self.calls_done > 0).then(|| service * self.kinds[0].times.count() as f64 / self.calls_done as f64)
            }
        };
        sheet.number(name("break_even"), break_even);
    }
}

/// Scatters the bits of a word (the finaliser of SplitMix64).
fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

impl Measure for Tasks {
    fn wants(&self) -> Mask {
        Mask::of(&[
            What::TaskStarted,
            What::TaskEnded,
            What::CallStarted,
            What::AttemptAnswered,
        ])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        for record in batch.records {
            match record.what {
                What::TaskStarted => {
                    if record.b == 0 {
                        *self.calls_of(record.subject) = 0;
                    }
                    if record.time >= self.setting.warm_up {
                        self.kind(record.b as usize).started += 1;
                    }
                }
                What::TaskEnded => self.task_ended(record, batch.extra(record)),
                What::CallStarted if self.services.of(&self.setting, record.b as u32).is_some() => {
                    *self.calls_of(record.subject) += 1;
                }
                What::AttemptAnswered
                    if record.time >= self.setting.warm_up
                        && self.services.of(&self.setting, record.b as u32).is_some() =>
                {
                    let extra = batch.extra(record);
                    let (sent, arrived, finished, there) = (extra[0], extra[1], extra[3], extra[6]);
                    self.answered += 1;
                    self.round_trips += u128::from(arrived - sent) + u128::from(there - finished);
                }
                _ => {}
            }
        }
    }

    fn finish(self: Box<Self>, end: SimTime, sheet: &mut Sheet) {
        self.write("task.", &self.kinds[0], end, sheet);
        if self.kinds[0].times.count() > 0 {
            let calls = self.calls_done as f64 / self.kinds[0].times.count() as f64;
            sheet.number("calls.per_task", Some(calls));
        }
        for (index, kind) in self.kinds.iter().enumerate().skip(1) {
            let named = self.setting.task_names.get(index);
            let name = named.cloned().unwrap_or_else(|| index.to_string());
            self.write(&format!("task.{name}."), kind, end, sheet);
        }
        let groups = self.setting.directory.groups();
        sheet.tasks_unlisted = self.ended - self.rows.len() as u64;
        sheet.tasks = self
            .rows
            .iter()
            .map(|row| TaskRow {
                group: groups[row.group as usize].name.clone(),
                name: self
                    .setting
                    .task_names
                    .get(row.name as usize)
                    .cloned()
                    .unwrap_or_default(),
                identity: row.identity,
                began: row.began,
                ended: row.ended,
                outcome: row.outcome,
                parts: row.parts,
            })
            .collect();
    }
}
