//! The door of a service with several limits: who comes in, who waits there, and what is put right when somebody leaves.
//!
//! Whoever waits does so in one line, in the order of coming. The first comes in as soon as every limit has room for it.

use super::super::limits::{Claim, Verdict};
use super::super::spec::Excess;
use super::{DOOR, Refusal, Service};
use crate::kernel::{SimDuration, SimTime};
use crate::world::call::{Outcome, Request};
use crate::world::population::Cx;
use crate::world::record::What;
use crate::world::slab::Handle;

impl Service {
    /// A request as the limits see it.
    fn claim(&self, attempt: Handle, cx: &Cx<'_, '_>) -> Option<Claim> {
        let (attempt, call) = cx.shared.journey(attempt)?;
        let (tokens_in, tokens_out) = call.request.tokens();
        let max_out = match &call.request {
            Request::Work { prompt, .. } => prompt.as_ref().and_then(|prompt| prompt.max_out),
            _ => None,
        };
        Some(Claim {
            key: call.key,
            group: cx.shared.directory.locate(call.asker()).0,
            about: call.about(attempt),
            tokens_in,
            tokens_out,
            max_out,
        })
    }

    /// A request is at the limits.
    #[inline(never)]
    pub(super) fn arrive_at_limits(
        &mut self,
        handle: Handle,
        identity: u64,
        known_as: Option<u64>,
        cx: &mut Cx<'_, '_>,
    ) {
        let now = cx.now();
        let (Some(claim), Some(limits)) = (self.claim(handle, cx), &mut self.limits) else {
            return;
        };
        let verdict = limits.look(&claim, now);
        if let Verdict::Never(index) = verdict {
            return self.refuse_at_limit(handle, identity, (Refusal::TooLarge, index), None, cx);
        }
        match limits.excess() {
            Excess::Refuse { retry_after } => {
                let (wait, index) = match verdict {
                    Verdict::Later(wait, index) => (Some(wait), index),
                    Verdict::Busy(index) => (None, index),
                    Verdict::Room | Verdict::Never(_) => {
                        limits.take(handle.to_word(), &claim, now);
                        return self.admit(handle, identity, known_as, SimDuration::ZERO, cx);
                    }
                };
                let why = limits.refusal(index);
                let wait = wait.filter(|_| retry_after);
                self.refuse_at_limit(handle, identity, (why, index), wait, cx);
            }
            Excess::Wait => {
                if self.door.is_empty() && verdict == Verdict::Room {
                    limits.take(handle.to_word(), &claim, now);
                    return self.admit(handle, identity, known_as, SimDuration::ZERO, cx);
                }
                let job = self.let_in(handle, identity, known_as, true, cx);
                self.door.push_back(job);
                self.open_door(cx);
            }
        }
    }

    /// Lets in those who wait, as long as there is room for the first of them.
    pub(super) fn open_door(&mut self, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        while let Some(&job) = self.door.front() {
            let attempt = self.jobs.get(job).map(|job| job.attempt);
            let claim = attempt.and_then(|attempt| self.claim(attempt, cx));
            let (Some(attempt), Some(claim), Some(limits)) = (attempt, claim, &mut self.limits) else {
                return;
            };
            match limits.look(&claim, now) {
                Verdict::Room => {
                    limits.opens = SimTime::NEVER;
                    limits.take(attempt.to_word(), &claim, now);
                    self.door.pop_front();
                    self.enqueue(job, cx);
                }
                Verdict::Later(wait, _) => {
                    let opens = now.saturating_add(wait);
                    if std::mem::replace(&mut limits.opens, opens) != opens {
                        cx.schedule(&mut self.endpoint, opens, DOOR, job.to_word());
                    }
                    return;
                }
                // Whoever leaves opens the door.
                Verdict::Busy(_) | Verdict::Never(_) => {
                    limits.opens = SimTime::NEVER;
                    return;
                }
            }
        }
    }

    /// A request leaves the house: its work is done, or it was lost.
    pub(super) fn leave_limits(&mut self, attempt: Handle, finished: bool, cx: &mut Cx<'_, '_>) {
        if self.limits.is_some()
            && let Some(claim) = self.claim(attempt, cx)
            && let Some(limits) = &mut self.limits
        {
            limits.leave(attempt.to_word(), &claim, cx.now(), finished);
        }
    }

    /// Whether an entry of the door is meant: the first there comes in then, as things stand.
    pub(super) fn is_door_meant(&self, job: Handle, at: SimTime) -> bool {
        let opens = self.limits.as_ref().map(|limits| limits.opens);
        self.door.front() == Some(&job) && opens == Some(at)
    }

    fn refuse_at_limit(
        &mut self,
        handle: Handle,
        identity: u64,
        (why, index): (Refusal, usize),
        retry_after: Option<SimDuration>,
        cx: &mut Cx<'_, '_>,
    ) {
        let waiting = (self.queue.len() + self.door.len()) as u64;
        let words = [identity, why as u64, waiting];
        cx.record_with(What::RequestRefused, self.endpoint.id, words, &[index as u64]);
        self.answer(handle, Outcome::Refused { retry_after }, cx);
    }
}
