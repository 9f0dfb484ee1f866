//! What clients do about slow, refused and lost calls beyond timeouts and retries: what they reject by themselves, hedges,
//! cancellations, circuit breakers; and what servers discard.
//!
//! What happens before the warm-up isn't counted. There are numbers where a policy or a service says anything of this.

use super::registry::measure_table;
use super::{Measure, MeasureInfo, ServiceIndex, Setting, Sheet};
use crate::kernel::SimTime;
use crate::services::Found;
use crate::statistics::Recorder;
use crate::world::pursuit::Rejection;
use crate::world::record::{Batch, Mask, Record, What};
use std::collections::BTreeMap;
use std::sync::Arc;

macro_rules! client_table {
    ($prefix:literal) => {
        measure_table![
            concat!($prefix, "time.p99.9"), Seconds, Lower, "Time that 99.9 % of the answered calls don't exceed (nearest rank; none with fewer than ten beyond it).";
            concat!($prefix, "rejected"), Count, Lower, "Attempts that their client rejected by itself: by a throttle or a circuit breaker. Nothing was sent.";
            concat!($prefix, "rejected.throttle"), Count, Lower, "Attempts that their client rejected because the server accepted too few.";
            concat!($prefix, "rejected.breaker"), Count, Lower, "Attempts that their client rejected because its circuit breaker was open.";
            concat!($prefix, "rejected.rate"), PerSecond, Lower, "Attempts that their client rejected by itself, per second of the measured time.";
            concat!($prefix, "sent.rate"), PerSecond, Neither, "Attempts that left, per second of the measured time, whenever their calls began.";
            concat!($prefix, "held"), Count, Lower, "Attempts that waited at their client for a token of its rate, or for a place among the attempts under way.";
            concat!($prefix, "held.mean"), Seconds, Lower, "Mean time from when such an attempt was held until it left.";
            concat!($prefix, "out_of_budget"), Count, Lower, "Calls that failed because the budget of retries had no token for one.";
            concat!($prefix, "too_late"), Count, Lower, "Calls that failed because of their deadline: it was over, or would have been before the next attempt.";
            concat!($prefix, "hedges"), Count, Neither, "Hedges sent: second attempts beside one that was slow.";
            concat!($prefix, "hedges.won"), Count, Higher, "Hedges whose answer was the one that was used.";
            concat!($prefix, "hedges.wasted"), Count, Lower, "Hedges that ended otherwise.";
            concat!($prefix, "hedges.left_out"), Count, Neither, "Hedges that were due and not sent: by a throttle, a circuit breaker or the budget of retries.";
            concat!($prefix, "cancellations"), Count, Neither, "Cancellations sent by clients, and by the servers of tied requests.";
            concat!($prefix, "cancellations.in_time"), Count, Higher, "Cancellations that found their request waiting, or stopped the work on it.";
            concat!($prefix, "cancellations.too_late"), Count, Lower, "Cancellations that reached their server and changed nothing: the request was answered or in work, others waited for the same answer, or it wasn't there yet.";
            concat!($prefix, "discarded"), Count, Neither, "Requests that their server gave up because nobody waited for them.";
            concat!($prefix, "discarded.late"), Count, Neither, "Of these, the ones whose deadline was over.";
            concat!($prefix, "discarded.in_work"), Count, Neither, "Of these, the ones on which work had begun.";
            concat!($prefix, "work_saved"), Seconds, Higher, "Work that these would still have needed, at their server's own speed.";
            concat!($prefix, "breaker.opened"), Count, Lower, "How often a circuit breaker opened.";
            concat!($prefix, "breaker.open"), Seconds, Lower, "How long circuit breakers were open, all together.";
        ]
    };
}

/// What is measured of all calls.
pub(super) const CALLS: &[MeasureInfo] = client_table!("calls.");
/// What is measured of the calls of one service.
pub(super) const SERVICE: &[MeasureInfo] = client_table!("service.*.");

/// What was counted of one service, or of all.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    rejected: [u64; 5],
    left_out: u64,
    sent: u64,
    held: u64,
    left: u64,
    /// In nanoseconds.
    holding: u64,
    hedges: u64,
    won: u64,
    wasted: u64,
    cancellations: u64,
    in_time: u64,
    too_late: u64,
    discarded: u64,
    late: u64,
    in_work: u64,
    /// In nanoseconds.
    saved: u64,
    opened: u64,
    /// In nanoseconds.
    open: u64,
}

/// The measure.
#[derive(Debug)]
pub struct Clients {
    setting: Arc<Setting>,
    services: ServiceIndex,
    tallies: Vec<Tally>,
    /// The times of answered calls, by service.
    times: Vec<Recorder>,
    /// Since when attempts are held, by call.
    held: BTreeMap<u64, SimTime>,
    /// The breakers that are open: since when, until when, and of which service.
    open: BTreeMap<(u64, u64), (SimTime, SimTime, usize)>,
}

impl Clients {
    /// For a run.
    pub fn new(setting: Arc<Setting>) -> Self {
        Self {
            services: ServiceIndex::new(&setting),
            tallies: vec![Tally::default(); setting.services.len()],
            times: vec![Recorder::default(); setting.services.len()],
            held: BTreeMap::new(),
            open: BTreeMap::new(),
            setting,
        }
    }

    /// A breaker isn't open any more.
    fn close(&mut self, breaker: (u64, u64), now: SimTime) {
        let Some((since, until, service)) = self.open.remove(&breaker) else {
            return;
        };
        let from = since.max(self.setting.warm_up);
        self.tallies[service].open += until.min(now).since(from).as_nanos();
    }

    fn see(&mut self, service: usize, record: &Record, extra: &[u64]) {
        let measured = record.time >= self.setting.warm_up;
        if record.what == What::BreakerChanged {
            let breaker = (record.a, record.b);
            self.close(breaker, record.time);
            if record.c == 1 {
                let until = SimTime::from_nanos(extra[0]);
                self.open.insert(breaker, (record.time, until, service));
                self.tallies[service].opened += u64::from(measured);
            }
        }
        let since = match record.what {
            What::AttemptHeld => {
                self.held.insert(record.a, record.time);
                None
            }
            What::AttemptSent => self.held.remove(&record.a),
            _ => None,
        };
        if !measured {
            return;
        }
        let tally = &mut self.tallies[service];
        match record.what {
            What::AttemptSent => {
                tally.sent += 1;
                if let Some(since) = since {
                    tally.left += 1;
                    tally.holding += (record.time - since).as_nanos();
                }
                tally.hedges += u64::from(extra.len() > 1);
            }
            What::AttemptHeld => tally.held += 1,
            What::AttemptRejected if extra.is_empty() => tally.rejected[(record.c as usize).min(4)] += 1,
            What::AttemptRejected => tally.left_out += 1,
            What::CallEnded if record.c == 1 && extra[0] >= self.setting.warm_up.as_nanos() => {
                self.times[service].record(record.time.as_nanos() - extra[0]);
            }
            What::HedgeEnded if extra[0] == 1 => tally.won += 1,
            What::HedgeEnded => tally.wasted += 1,
            What::CancelSent => tally.cancellations += 1,
            What::Cancelled if record.b == Found::Waiting as u64 || record.b == Found::Stopped as u64 => {
                tally.in_time += 1
            }
            What::Cancelled => tally.too_late += 1,
            What::RequestDiscarded => {
                tally.discarded += 1;
                tally.late += u64::from(record.c == 1);
                tally.in_work += u64::from(record.b == 2);
                tally.saved += extra[0];
            }
            _ => {}
        }
    }

    /// What a crash takes from an agent's memory: its breakers.
    fn crashed(&mut self, agent: u32, now: SimTime) {
        let its = |(_, whose): &&(u64, u64)| *whose & ((1 << 33) - 1) == u64::from(agent);
        let all: Vec<(u64, u64)> = self.open.keys().filter(its).copied().collect();
        for breaker in all {
            self.close(breaker, now);
        }
    }
}

impl Tally {
    fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.rejected.iter_mut().zip(other.rejected) {
            *mine += theirs;
        }
        for (mine, theirs) in [
            (&mut self.left_out, other.left_out),
            (&mut self.sent, other.sent),
            (&mut self.held, other.held),
            (&mut self.left, other.left),
            (&mut self.holding, other.holding),
            (&mut self.hedges, other.hedges),
            (&mut self.won, other.won),
            (&mut self.wasted, other.wasted),
            (&mut self.cancellations, other.cancellations),
            (&mut self.in_time, other.in_time),
            (&mut self.too_late, other.too_late),
            (&mut self.discarded, other.discarded),
            (&mut self.late, other.late),
            (&mut self.in_work, other.in_work),
            (&mut self.saved, other.saved),
            (&mut self.opened, other.opened),
            (&mut self.open, other.open),
        ] {
            *mine += theirs;
        }
    }

    fn write(&self, prefix: &str, measured: f64, sheet: &mut Sheet) {
        let of = |why: Rejection| self.rejected[why as usize];
        let rejected = of(Rejection::Throttle) + of(Rejection::Breaker);
        for (label, count) in [
            ("rejected", rejected),
            ("rejected.throttle", of(Rejection::Throttle)),
            ("rejected.breaker", of(Rejection::Breaker)),
            ("held", self.held),
            ("out_of_budget", of(Rejection::Budget)),
            ("too_late", of(Rejection::Deadline)),
            ("hedges", self.hedges),
            ("hedges.won", self.won),
            ("hedges.wasted", self.wasted),
            ("hedges.left_out", self.left_out),
            ("cancellations", self.cancellations),
            ("cancellations.in_time", self.in_time),
            ("cancellations.too_late", self.too_late),
            ("discarded", self.discarded),
            ("discarded.late", self.late),
            ("discarded.in_work", self.in_work),
            ("breaker.opened", self.opened),
        ] {
            sheet.count(format!("{prefix}{label}"), count);
        }
        let per = |count: u64| (measured > 0.0).then(|| count as f64 / measured);
        sheet.number(format!("{prefix}rejected.rate"), per(rejected));
        sheet.number(format!("{prefix}sent.rate"), per(self.sent));
        let held = (self.left > 0).then(|| self.holding as f64 / self.left as f64 / 1e9);
        sheet.number(format!("{prefix}held.mean"), held);
        sheet.number(format!("{prefix}work_saved"), Some(self.saved as f64 / 1e9));
        sheet.number(format!("{prefix}breaker.open"), Some(self.open as f64 / 1e9));
    }
}

impl Measure for Clients {
    fn wants(&self) -> Mask {
        Mask::of(&[
            What::CallEnded,
            What::AttemptHeld,
            What::AttemptSent,
            What::AttemptRejected,
            What::HedgeEnded,
            What::CancelSent,
            What::Cancelled,
            What::RequestDiscarded,
            What::BreakerChanged,
            What::Crashed,
        ])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        for record in batch.records {
            let server = match record.what {
                What::CallEnded
                | What::AttemptHeld
                | What::AttemptSent
                | What::AttemptRejected
                | What::HedgeEnded
                | What::CancelSent => record.b as u32,
                What::Cancelled | What::RequestDiscarded => record.subject,
                What::BreakerChanged => record.a as u32,
                What::Crashed => {
                    if record.a == 1 {
                        self.crashed(record.subject, record.time);
                    }
                    continue;
                }
                _ => continue,
            };
            if let Some(service) = self.services.of(&self.setting, server) {
                self.see(service, record, batch.extra(record));
            }
        }
    }

    fn finish(mut self: Box<Self>, end: SimTime, sheet: &mut Sheet) {
        let open: Vec<(u64, u64)> = self.open.keys().copied().collect();
        for breaker in open {
            self.close(breaker, end);
        }
        let measured = end.since(self.setting.warm_up).as_secs_f64();
        let (mut all, mut times) = (Tally::default(), Recorder::default());
        let tail = |times: &Recorder| {
            let value = times.distribution().quantile(0.999).value();
            value.map(|ns| ns as f64 / 1e9)
        };
        for (index, (tally, (_, name))) in self.tallies.iter().zip(&self.setting.services).enumerate() {
            all.add(tally);
            times.merge(&self.times[index]);
            sheet.number(format!("service.{name}.time.p99.9"), tail(&self.times[index]));
            tally.write(&format!("service.{name}."), measured, sheet);
        }
        sheet.number("calls.time.p99.9", tail(&times));
        all.write("calls.", measured, sheet);
    }
}
