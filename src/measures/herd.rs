//! Calls to services: attempts, refusals, queues, waste, money, recovery: the thundering herd.
//!
//! What begins before the warm-up isn't counted: a call by when it began, a request by when it reached its server, anything else
//! by when it happened. A rate is of what happens between the warm-up and the end of the run, whenever it began (an answer, an
//! arrival, the end of a task): a rate of what begins and ends in between would be too small. Series cover the whole run. Operations on shared state aren't calls here.

mod recovery;
mod table;
mod tally;

pub(super) use table::{CALLS, CALLS_ONLY, RECOVERY, SERVICE, SERVICE_ONLY};

use super::traffic::fault_step;
use super::windows::{Clock, Level};
use super::{Measure, Options, ServiceIndex, Setting, Sheet};
use crate::faults::Bands;
use crate::kernel::SimTime;
use crate::services::service::{cached, passed};
use crate::world::message::MessageKind;
use crate::world::record::{Batch, Mask, Record, What};
use std::sync::Arc;
use tally::Tally;

/// The measure of calls.
#[derive(Debug)]
pub struct Herd {
    setting: Arc<Setting>,
    options: Options,
    services: ServiceIndex,
    clock: Clock,
    /// One for each service.
    tallies: Vec<Tally>,
    /// Calls in flight to any service: its peak isn't the sum of the services' peaks.
    in_flight: Level,
    bands: Bands,
}

impl Herd {
    /// For a run.
    pub fn new(setting: Arc<Setting>, options: Options) -> Self {
        let clock = Clock::new(setting.window);
        Self {
            services: ServiceIndex::new(&setting),
            tallies: vec![Tally::new(setting.warm_up, &clock); setting.services.len()],
            in_flight: Level::new(setting.warm_up, &clock),
            bands: Bands::new(setting.faults.len()),
            clock,
            options,
            setting,
        }
    }

    /// A call began, went on or ended at its client. `b` is the server.
    #[inline]
    fn at_client(&mut self, service: usize, record: &Record, extra: &[u64]) {
        let warm_up = self.setting.warm_up;
        let (now, window) = (record.time, self.clock.at(record.time));
        let measured = now >= warm_up;
        let tally = &mut self.tallies[service];
        match record.what {
            What::CallStarted => {
                tally.intended_in.add(window);
                tally.in_flight.up(now, 1);
                self.in_flight.up(now, 1);
                tally.intended += u64::from(measured);
            }
            What::AttemptSent => {
                tally.attempts_in.add(window);
                tally.attempts += u64::from(extra[0] >= warm_up.as_nanos());
            }
            What::AttemptTimedOut => tally.timed_out += u64::from(measured),
            What::AttemptAnswered => {
                let finished = SimTime::from_nanos(extra[3]);
                tally.answer_used(record.a, finished >= warm_up, self.clock.window_of(finished));
            }
            What::AnswerUnused => tally.unused += u64::from(measured),
            What::AnswerUnderWay => {
                tally.under_way += 1;
                tally.is_of_use(self.clock.window_of(SimTime::from_nanos(extra[0])));
            }
            What::CallEnded => {
                tally.in_flight.down(now, 1);
                self.in_flight.down(now, 1);
                if record.c == 1 {
                    tally.answered_in.add(window);
                    tally.kept_in.add(self.clock.window_of(SimTime::from_nanos(extra[0])));
                }
                tally.call_ended(record, extra, warm_up);
            }
            _ => {}
        }
    }

    /// Something happened to a request at its server, the subject.
    #[inline]
    fn at_server(&mut self, service: usize, record: &Record, extra: &[u64]) {
        let warm_up = self.setting.warm_up;
        let window = self.clock.at(record.time);
        let prices = self.setting.limits.get(service).map_or([0; 3], |(_, prices)| *prices);
        let servers = self.setting.servers.get(service).copied().flatten();
        let tally = &mut self.tallies[service];
        match record.what {
            What::RequestArrived => {
                tally.arrivals_in.add(window);
                tally.arrivals += u64::from(record.time >= warm_up);
            }
            What::RequestRefused => {
                tally.refused_in.add(window);
                if record.time >= warm_up {
                    tally.refused[record.b as usize] += 1;
                }
                tally.turned_away(record);
            }
            other => {
                if other == What::ServiceFinished {
                    tally.was_served(window);
                }
                tally.at_work(record, extra, warm_up, (servers, prices));
            }
        }
    }
}

impl Measure for Herd {
    fn wants(&self) -> Mask {
        Mask::of(&[
            What::CallStarted,
            What::AttemptSent,
            What::AttemptTimedOut,
            What::AttemptAnswered,
            What::AnswerUnused,
            What::AnswerUnderWay,
            What::CallEnded,
            What::RequestArrived,
            What::RequestRefused,
            What::RequestDropped,
            What::RequestDiscarded,
            What::Admitted,
            What::ServiceStarted,
            What::ServiceFinished,
            What::Executed,
            What::Inference,
            What::BudgetSpent,
            What::Crashed,
            What::PassedBack,
            What::AnswerCached,
            What::Sent,
            What::FaultBegan,
            What::FaultEnded,
        ])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        for record in batch.records {
            match record.what {
                What::CallStarted
                | What::AttemptSent
                | What::AttemptTimedOut
                | What::AttemptAnswered
                | What::AnswerUnused
                | What::AnswerUnderWay
                | What::CallEnded => {
                    if let Some(service) = self.services.of(&self.setting, record.b as u32) {
                        self.at_client(service, record, batch.extra(record));
                    }
                }
                What::RequestArrived
                | What::RequestRefused
                | What::RequestDropped
                | What::RequestDiscarded
                | What::Admitted
                | What::ServiceStarted
                | What::ServiceFinished
                | What::Executed
                | What::Inference
                | What::BudgetSpent
                | What::Crashed => {
                    if let Some(service) = self.services.of(&self.setting, record.subject) {
                        self.at_server(service, record, batch.extra(record));
                    }
                }
                What::PassedBack => self.passed_back(record, batch.extra(record)),
                What::AnswerCached => self.answer_cached(record),
                What::Sent => self.sent(record),
                What::FaultBegan | What::FaultEnded => self.bands.note(&fault_step(record)),
                _ => {}
            }
        }
    }

    fn finish(mut self: Box<Self>, end: SimTime, sheet: &mut Sheet) {
        let mut all = Tally::new(self.setting.warm_up, &self.clock);
        for tally in &mut self.tallies {
            all.merge(tally, end);
        }
        all.in_flight = self.in_flight.clone();
        all.has_reasons = self.setting.reasons.contains(&true);
        all.write("calls.", &self.setting, &self.clock, end, sheet);
        for (index, (_, name)) in self.setting.services.iter().enumerate() {
            let prefix = format!("service.{name}.");
            let tally = &mut self.tallies[index];
            tally.has_reasons = self.setting.reasons[index];
            tally.write(&prefix, &self.setting, &self.clock, end, sheet);
            tally.write_server(&prefix, &self.setting, index, end, sheet);
        }
        let (backlog, pulses) = (all.backlog(end), self.pulses(end));
        let aftermath = recovery::Aftermath {
            clock: &self.clock,
            whole: self.clock.whole(end),
            warm_up: self.setting.warm_up,
            horizon: self.options.recovery_horizon,
            end,
            answered: &all.answered_in,
            intended: &all.intended_in,
            attempts: &all.attempts_in,
            kept: &all.kept_in,
            backlog,
            spans: self.bands.spans(end),
            pulses,
        };
        aftermath.write(&self.setting, sheet);
    }
}

impl Herd {
    /// A service that keeps answers was asked about something.
    fn answer_cached(&mut self, record: &Record) {
        let Some(service) = self.services.of(&self.setting, record.subject) else {
            return;
        };
        let tally = &mut self.tallies[service];
        tally.cached[record.c as usize] += u64::from(record.time >= self.setting.warm_up);
        if record.c == cached::REFRESHED {
            tally.is_of_use(self.clock.at(record.time));
        }
        if matches!(record.c, cached::FRESH | cached::STALE | cached::SHARED) {
            tally.from_cache.insert(record.a);
        }
    }

    /// An attempt of a gateway is over: its server's work was of use, or it wasn't.
    fn passed_back(&mut self, record: &Record, extra: &[u64]) {
        let Some(service) = self.services.of(&self.setting, record.b as u32) else {
            return;
        };
        let (tally, warm_up) = (&mut self.tallies[service], self.setting.warm_up);
        match record.c {
            passed::USED => {
                let finished = SimTime::from_nanos(extra[3]);
                tally.answer_used(record.a, finished >= warm_up, self.clock.window_of(finished));
            }
            passed::UNUSED => tally.unused += u64::from(record.time >= warm_up),
            _ => {}
        }
    }

    /// The stretches of raised demand that are over.
    fn pulses(&self, until: SimTime) -> Vec<(SimTime, SimTime)> {
        let surges = self.setting.surges.iter();
        let over = surges.filter_map(|(_, begin, end)| Some((*begin, (*end)?)));
        over.filter(|(_, end)| *end <= until).collect()
    }

    /// A message left: a leg of a call, if it is a request or a response.
    #[inline]
    fn sent(&mut self, record: &Record) {
        if record.time < self.setting.warm_up {
            return;
        }
        let to = (record.a >> 8) as u32;
        let server = match record.a as u8 {
            kind if kind == MessageKind::Request as u8 => to,
            kind if kind == MessageKind::Response as u8 => record.subject,
            _ => return,
        };
        if let Some(service) = self.services.of(&self.setting, server) {
            let directory = &self.setting.directory;
            let remote = directory.site(record.subject) != directory.site(to);
            self.tallies[service].legs += 1;
            self.tallies[service].remote_legs += u64::from(remote);
        }
    }
}
