//! How fast a service works: its own speed, slowed down or standing still, and shared by those who are in work together.
//!
//! Guarantees: a change of the speed moves the ends of all work in progress, to the nanosecond and never too early; what a request
//! lacks to the service's own speed is time that the service stood.

use super::super::job::Moment;
use super::super::sharing::Speed;
use super::{SERVED, Service};
use crate::kernel::{SimDuration, SimTime};
use crate::world::population::Cx;
use crate::world::record::What;
use crate::world::slab::Handle;

impl Service {
    /// This moment, which isn't before the last change.
    #[inline(always)]
    pub(super) fn moment(&self, now: SimTime) -> Moment {
        if !self.down && self.pace() == 1.0 {
            let stood = self.changed.stood;
            return Moment { at: now, stood };
        }
        self.slow_moment(now)
    }

    /// The same where the service doesn't work at its own speed.
    #[cold]
    fn slow_moment(&self, now: SimTime) -> Moment {
        let elapsed = now - self.changed.at;
        let at_work = if self.down {
            SimDuration::ZERO
        } else {
            scaled(elapsed, self.pace()).min(elapsed)
        };
        Moment {
            at: now,
            stood: self.changed.stood + (elapsed - at_work),
        }
    }

    /// The speed at which requests share the servers.
    pub(super) fn speed(&self) -> Speed {
        Speed {
            servers: self.spec.servers,
            pace: self.pace(),
        }
    }

    /// One more shares the servers, or what there is to share has changed: whoever is done first now is due then.
    #[inline(never)]
    pub(super) fn share(&mut self, joins: Option<(Handle, SimDuration)>, cx: &mut Cx<'_, '_>) {
        let (now, speed) = (cx.now(), self.speed());
        let Some(sharing) = &mut self.sharing else { return };
        sharing.advance(now, speed);
        if let Some((handle, work)) = joins {
            sharing.add(handle, work);
            if let Some(job) = self.jobs.get_mut(handle) {
                (job.due, job.queued) = (SimTime::NEVER, SimTime::NEVER);
            }
        }
        let first = sharing.first(speed);
        if let Some(before) = self
            .first
            .filter(|before| first.is_none_or(|(handle, _)| handle != *before))
            && let Some(job) = self.jobs.get_mut(before)
        {
            job.due = SimTime::NEVER;
        }
        self.first = first.map(|(handle, _)| handle);
        if let Some((handle, due)) = first
            && let Some(job) = self.jobs.get_mut(handle)
        {
            job.due = due;
            if due < job.queued {
                job.queued = due;
                cx.schedule_in_place(job.ticket, due, SERVED, self.endpoint.id, handle.to_word());
            }
        }
    }

    /// How fast it works now: 1 is its own speed.
    #[inline(always)]
    pub(super) fn pace(&self) -> f64 {
        if self.pauses > 0 { 0.0 } else { self.speed }
    }

    /// Changes the speed: the ends of all work in progress move.
    pub(super) fn change_pace(&mut self, change: impl FnOnce(&mut Self), cx: &mut Cx<'_, '_>) {
        let (before, changed) = (self.pace(), self.moment(cx.now()));
        let (now, speed) = (cx.now(), self.speed());
        if let Some(sharing) = &mut self.sharing {
            sharing.advance(now, speed);
        }
        change(self);
        let after = self.pace();
        if before == after {
            return;
        }
        self.changed = changed;
        cx.record(What::Paced, self.endpoint.id, [after.to_bits(), 0, 0]);
        if self.sharing.is_some() {
            self.share(None, cx);
            self.serve_next(cx);
            return self.go_on(cx);
        }
        if self.inference.is_some() {
            self.change_iteration(before, cx);
            return self.iterate(cx);
        }
        for index in 0..self.in_work.len() {
            let handle = self.in_work[index];
            let Some(job) = self.jobs.get_mut(handle) else { continue };
            let elapsed = now - job.since;
            let done = scaled(elapsed, before).min(job.left).min(elapsed);
            job.left = job.left - done;
            job.since = now;
            job.due = due_at(now, job.left, after);
            if job.due < job.queued {
                job.queued = job.due;
                cx.schedule_in_place(job.ticket, job.due, SERVED, self.endpoint.id, handle.to_word());
            }
        }
        self.serve_next(cx);
        self.go_on(cx);
    }
}

/// A duration at another speed, to the nearest nanosecond.
pub(super) fn scaled(duration: SimDuration, pace: f64) -> SimDuration {
    if pace == 1.0 {
        duration
    } else {
        SimDuration::from_nanos_f64(duration.as_nanos() as f64 * pace)
    }
}

/// When work ends that has so much left, at this speed: never at none.
pub(super) fn due_at(now: SimTime, left: SimDuration, pace: f64) -> SimTime {
    match pace {
        1.0 => now.saturating_add(left),
        0.0 => SimTime::NEVER,
        // Rounded up, so that no time is won by a change of speed.
        pace => now.saturating_add(SimDuration::from_nanos_f64((left.as_nanos() as f64 / pace).ceil())),
    }
}
