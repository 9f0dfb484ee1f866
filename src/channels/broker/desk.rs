//! The servers of a broker: operations wait for one, and are worked on at the speed that faults leave.
//!
//! The time of an operation is drawn under whom and what it is about, so that others shift nobody's.

use super::{Broker, SERVED, Waiting, Work};
use crate::kernel::{SimDuration, SimTime, Ticket};
use crate::world::population::{Cx, purpose};
use crate::world::record::What;
use crate::world::slab::Handle;
use serde::{Deserialize, Serialize};

/// A moment, and how long the broker had been down or stood still by then.
#[derive(Debug, Clone, Copy, Default, Serialize, Deserialize)]
pub(super) struct Moment {
    pub at: SimTime,
    pub stood: SimDuration,
}

/// An operation at the broker.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Job {
    pub work: Work,
    pub arrived: Moment,
    pub started: Moment,
    /// What is left to do at `since`.
    left: SimDuration,
    since: SimTime,
    /// When it is done, at the present speed.
    pub due: SimTime,
    /// When its entry comes.
    pub queued: SimTime,
    pub ticket: Ticket,
}

impl Waiting {
    /// Who waits for the answer to an operation whose work is done.
    pub fn of(job: &Job, attempt: Handle, worked: Moment) -> Self {
        Self {
            attempt,
            arrived: job.arrived,
            started: job.started,
            worked,
        }
    }
}

/// A duration at another speed, to the nearest nanosecond.
fn scaled(duration: SimDuration, pace: f64) -> SimDuration {
    match pace {
        1.0 => duration,
        pace => SimDuration::from_nanos_f64(duration.as_nanos() as f64 * pace),
    }
}

/// When work ends that has so much left, at this speed: rounded up, so that no time is won by a change of speed.
fn due_at(now: SimTime, left: SimDuration, pace: f64) -> SimTime {
    match pace {
        1.0 => now.saturating_add(left),
        0.0 => SimTime::NEVER,
        pace => now.saturating_add(SimDuration::from_nanos_f64((left.as_nanos() as f64 / pace).ceil())),
    }
}

impl Broker {
    /// How fast it works now: 1 is its own speed.
    pub(super) fn pace(&self) -> f64 {
        if self.pauses > 0 { 0.0 } else { self.speed }
    }

    /// This moment, which isn't before the last change of its speed.
    pub(super) fn moment(&self, now: SimTime) -> Moment {
        let elapsed = now - self.changed.at;
        let at_work = match self.down {
            true => SimDuration::ZERO,
            false => scaled(elapsed, self.pace()).min(elapsed),
        };
        Moment {
            at: now,
            stood: self.changed.stood + (elapsed - at_work),
        }
    }

    /// Something is to be worked on.
    pub(super) fn enqueue(&mut self, work: Work, cx: &mut Cx<'_, '_>) {
        let arrived = self.moment(cx.now());
        self.books.enter(cx.now());
        let job = self.jobs.insert(Job {
            work,
            arrived,
            started: arrived,
            left: SimDuration::ZERO,
            since: arrived.at,
            due: SimTime::NEVER,
            queued: SimTime::NEVER,
            ticket: Ticket { rank: 0, number: 0 },
        });
        self.queue.push_back(job);
        self.serve_next(cx);
    }

    fn has_free_server(&self) -> bool {
        let free = |servers| self.in_work.len() < servers as usize;
        !self.down && self.pace() > 0.0 && self.spec.servers.is_none_or(free)
    }

    fn serve_next(&mut self, cx: &mut Cx<'_, '_>) {
        while self.has_free_server() {
            let Some(next) = self.queue.pop_front() else { return };
            self.begin(next, cx);
        }
    }

    fn begin(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) {
        let (now, pace) = (cx.now(), self.pace());
        let started = self.moment(now);
        let ticket = self.endpoint.origin.take();
        let Some(job) = self.jobs.get_mut(handle) else { return };
        let law = &self.spec.time;
        let (mut identity, mut duration) = (None, SimDuration::ZERO);
        match job.work {
            Work::Request(attempt) => {
                if let Some((attempt, call)) = cx.shared.journey(attempt) {
                    let address = call.about(attempt);
                    duration = law.sample_duration(&mut call.key.stream(purpose::SERVICE, address), address);
                    identity = Some(call.identity);
                }
            }
            Work::Word(message) => {
                let address = message.about;
                duration = law.sample_duration(&mut self.endpoint.stream(purpose::SERVICE, address), address);
            }
        }
        (job.started, job.left, job.since, job.ticket) = (started, duration, now, ticket);
        job.due = due_at(now, duration, pace);
        job.queued = job.due;
        let (due, arrived) = (job.due, job.arrived.at.as_nanos());
        self.in_work.push(handle);
        if let Some(identity) = identity {
            cx.record(What::ServiceStarted, self.endpoint.id, [identity, arrived, 0]);
        }
        cx.schedule_in_place(ticket, due, SERVED, self.endpoint.id, handle.to_word());
    }

    /// The work on an operation is done.
    pub(super) fn served(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) {
        let Some(job) = self.jobs.remove(handle) else { return };
        self.in_work.retain(|other| *other != handle);
        self.books.leave(job.arrived.at, cx.now());
        self.take_effect(&job, cx);
        self.serve_next(cx);
    }

    /// Changes the speed: the ends of all work in progress move.
    pub(super) fn change_pace(&mut self, change: impl FnOnce(&mut Self), cx: &mut Cx<'_, '_>) {
        let (now, before, changed) = (cx.now(), self.pace(), self.moment(cx.now()));
        change(self);
        let after = self.pace();
        if before == after {
            return;
        }
        self.changed = changed;
        cx.record(What::Paced, self.endpoint.id, [after.to_bits(), 0, 0]);
        for handle in &self.in_work {
            let Some(job) = self.jobs.get_mut(*handle) else {
                continue;
            };
            let elapsed = now - job.since;
            job.left = job.left - scaled(elapsed, before).min(job.left).min(elapsed);
            (job.since, job.due) = (now, due_at(now, job.left, after));
            if job.due < job.queued {
                job.queued = job.due;
                cx.schedule_in_place(job.ticket, job.due, SERVED, self.endpoint.id, handle.to_word());
            }
        }
        self.serve_next(cx);
        if before == 0.0 && !self.down {
            self.core.due(self.local(now));
        }
        self.carry_out(cx);
    }
}
