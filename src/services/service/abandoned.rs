//! Requests that nobody waits for: cancelled by their client or by the server of their twin, or beyond their deadline.
//!
//! Guarantees: a cancellation changes nothing where others wait for the same answer. What waits is discarded when it would be worked
//! on, and not before: until then it takes its place in the queue. What is discarded isn't executed, and costs nothing unless work on
//! it had begun. A cancellation that overtakes its request is remembered for it, as one of the last [`EARLY`].

use super::super::spec::Abandoned;
use super::{Known, Service, token_word, work};
use crate::kernel::SimDuration;
use crate::world::call::{attempt_address, cancel_address};
use crate::world::message::Message;
use crate::world::population::Cx;
use crate::world::record::What;
use crate::world::slab::Handle;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How many cancellations are remembered that have found nothing.
pub const EARLY: usize = 1_000;

/// What a cancellation finds; the number in records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Found {
    /// Nothing: the request has been answered, refused or lost, or isn't there yet.
    Nothing,
    /// A request that waits: it will be discarded.
    Waiting,
    /// A request in work, which is stopped.
    Stopped,
    /// A request in work, which goes on.
    InWork,
    /// A request to whose answer others look forward, too: it goes on.
    Shared,
    /// The service doesn't go by it.
    Ignored,
}

/// Why a request is discarded; the number in records.
const CANCELLED: u64 = 0;
const LATE: u64 = 1;

/// Where it was when it was.
const WAITED: u64 = 1;
const IN_WORK: u64 = 2;
const WITH_ANOTHER: u64 = 3;

/// What a service knows of requests that can be cancelled.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Cancellable {
    /// Jobs by the call, the attempt, and which of its copies they are.
    jobs: BTreeMap<(u64, u32, u16), Handle>,
    /// Jobs that are cancelled, and wait.
    cancelled: BTreeSet<u64>,
    /// Cancellations that have found nothing, and in which order they came.
    early: BTreeSet<(u64, u32)>,
    order: VecDeque<(u64, u32)>,
}

impl Cancellable {
    /// Everything is forgotten.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// A job has another handle.
    pub(super) fn renamed(&mut self, before: Handle, after: Handle) {
        if self.jobs.is_empty() {
            return;
        }
        for job in self.jobs.values_mut().filter(|job| **job == before) {
            *job = after;
        }
        if self.cancelled.remove(&before.to_word()) {
            self.cancelled.insert(after.to_word());
        }
    }
}

impl Service {
    fn goes_by_cancellations(&self) -> bool {
        self.spec.abandoned != Abandoned::Serve
    }

    /// A request is let in that may be cancelled later, or is already.
    #[inline(always)]
    pub(super) fn note_cancellable(&mut self, job: Handle, cx: &Cx<'_, '_>) {
        if self.goes_by_cancellations() {
            self.note_if_cancellable(job, cx);
        }
    }

    fn note_if_cancellable(&mut self, job: Handle, cx: &Cx<'_, '_>) {
        let attempt = self.jobs.get(job).map(|job| job.attempt);
        let Some((attempt, call)) = attempt.and_then(|attempt| cx.shared.journey(attempt)) else {
            return;
        };
        let (identity, number) = (call.identity, attempt.number);
        let is_tied = call.pursuit().is_some_and(|pursuit| pursuit.twin(number).is_some());
        if !call.cancels() && !is_tied {
            return;
        }
        self.cancellable.jobs.insert((identity, number, attempt.copy), job);
        if self.cancellable.early.contains(&(identity, number)) {
            self.cancellable.cancelled.insert(job.to_word());
        }
    }

    /// A job is over: no cancellation finds it any more.
    #[inline(always)]
    pub(super) fn forget_cancellable(&mut self, job: Handle, cx: &Cx<'_, '_>) {
        if !self.cancellable.jobs.is_empty() {
            self.forget_if_cancellable(job, cx);
        }
    }

    fn forget_if_cancellable(&mut self, job: Handle, cx: &Cx<'_, '_>) {
        self.cancellable.cancelled.remove(&job.to_word());
        let attempt = self.jobs.get(job).map(|job| job.attempt);
        if let Some((attempt, call)) = attempt.and_then(|attempt| cx.shared.journey(attempt)) {
            let key = (call.identity, attempt.number, attempt.copy);
            self.cancellable.jobs.remove(&key);
        }
    }

    /// Somebody says that nobody waits for an attempt.
    pub(super) fn hear_cancellation(&mut self, message: &Message, cx: &mut Cx<'_, '_>) {
        if self.down {
            return;
        }
        let (identity, number) = (message.value, message.handle.to_word() as u32);
        let by_twin = message.topic == 1;
        let found = match self.goes_by_cancellations() {
            false => Found::Ignored,
            true => self.cancel(identity, number, by_twin, cx),
        };
        cx.record(
            What::Cancelled,
            self.endpoint.id,
            [identity, found as u64, number.into()],
        );
    }

    fn cancel(&mut self, identity: u64, number: u32, by_twin: bool, cx: &mut Cx<'_, '_>) -> Found {
        if self.leave_company(identity, number, cx) {
            return Found::Waiting;
        }
        let copies = self
            .cancellable
            .jobs
            .range((identity, number, 0)..=(identity, number, u16::MAX));
        let jobs: Vec<Handle> = copies.map(|(_, job)| *job).collect();
        let stops = self.spec.abandoned == Abandoned::Interrupt;
        if jobs.is_empty() && stops && self.cancel_passage(identity, number, cx) {
            return Found::Stopped;
        }
        if jobs.is_empty() {
            self.remember_cancellation(identity, number);
            return Found::Nothing;
        }
        let mut found = Found::Nothing;
        for job in jobs {
            found = self.cancel_job(job, by_twin, cx);
        }
        found
    }

    fn remember_cancellation(&mut self, identity: u64, number: u32) {
        let Cancellable { early, order, .. } = &mut self.cancellable;
        if early.insert((identity, number)) {
            order.push_back((identity, number));
        }
        if order.len() > EARLY
            && let Some(oldest) = order.pop_front()
        {
            early.remove(&oldest);
        }
    }

    fn cancel_job(&mut self, handle: Handle, by_twin: bool, cx: &mut Cx<'_, '_>) -> Found {
        let Some(job) = self.jobs.get(handle) else {
            return Found::Nothing;
        };
        let in_work = self.in_work.get(job.slot as usize) == Some(&handle);
        self.cancellable.cancelled.insert(handle.to_word());
        let known_as = self.known_as(job, cx);
        if self.has_company(known_as) || self.is_awaited(job.attempt) {
            return Found::Shared;
        }
        if !in_work {
            return Found::Waiting;
        }
        // Two that are tied and begin at once would stop each other.
        if self.spec.abandoned != Abandoned::Interrupt || by_twin {
            return Found::InWork;
        }
        self.interrupt(handle, cx);
        Found::Stopped
    }

    /// Whether other attempts of a call wait for the answer to the one that is here.
    fn has_company(&self, identity: u64) -> bool {
        matches!(self.known.get(&identity), Some(Known::InWork(_, waiting)) if !waiting.is_empty())
    }

    /// An attempt that waits for the answer to another one of its call is cancelled: true if there is one.
    fn leave_company(&mut self, identity: u64, number: u32, cx: &mut Cx<'_, '_>) -> bool {
        let Some(Known::InWork(job, waiting)) = self.known.get_mut(&identity) else {
            return false;
        };
        let job = *job;
        let is_meant = |handle: &Handle| {
            let attempt = cx.shared.attempts.get(*handle);
            attempt.is_some_and(|attempt| attempt.number == number)
        };
        let Some(place) = waiting.iter().position(|(handle, _)| is_meant(handle)) else {
            return false;
        };
        let (attempt, _) = waiting.remove(place);
        let alone = waiting.is_empty();
        cx.record_with(
            What::RequestDiscarded,
            self.endpoint.id,
            [identity, WITH_ANOTHER, CANCELLED],
            &[0, 0],
        );
        cx.drop_attempt(attempt);
        // It was the last one who looked forward to an answer that its own client has cancelled.
        if alone && self.cancellable.cancelled.contains(&job.to_word()) {
            let in_work = self
                .jobs
                .get(job)
                .is_some_and(|at_work| self.in_work.get(at_work.slot as usize) == Some(&job));
            if in_work && self.spec.abandoned == Abandoned::Interrupt {
                self.interrupt(job, cx);
            }
        }
        true
    }

    /// Whether a request isn't to be worked on any more that would be now; it is discarded then.
    #[inline(always)]
    pub(super) fn discards(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) -> bool {
        self.goes_by_cancellations() && self.discards_abandoned(handle, cx)
    }

    fn discards_abandoned(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) -> bool {
        let Some(job) = self.jobs.get(handle).copied() else {
            return false;
        };
        let Some((_, call)) = cx.shared.journey(job.attempt) else {
            return false;
        };
        let late = call.deadline().is_some_and(|deadline| cx.now() >= deadline);
        let cancelled =
            self.cancellable.cancelled.contains(&handle.to_word()) && !self.has_company(self.known_as(&job, cx));
        if !(late || cancelled) || self.is_awaited(job.attempt) {
            return false;
        }
        let left = match cx.shared.journey(job.attempt) {
            Some((attempt, call)) if self.inference.is_none() => work(&self.spec, attempt, call),
            _ => SimDuration::ZERO,
        };
        let why = if cancelled { CANCELLED } else { LATE };
        self.discard(handle, (WAITED, why, left), cx);
        true
    }

    /// The work on a request is stopped.
    fn interrupt(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) {
        let (now, pace) = (cx.now(), self.pace());
        let Some(job) = self.jobs.get(handle).copied() else {
            return;
        };
        let left = match &mut self.sharing {
            None if self.inference.is_some() => {
                // What is left of it depends on what else is in the batch: nobody can say.
                self.leave_batch(handle);
                SimDuration::ZERO
            }
            Some(_) => {
                let speed = self.speed();
                let Some(sharing) = &mut self.sharing else { return };
                sharing.advance(now, speed);
                let left = sharing.left(handle);
                sharing.remove(handle);
                if self.first == Some(handle) {
                    self.first = None;
                }
                left
            }
            None => {
                let done = super::pace::scaled(now - job.since, pace);
                job.left - done.min(job.left).min(now - job.since)
            }
        };
        self.forget_in_work(job.slot);
        self.discard(handle, (IN_WORK, CANCELLED, left), cx);
        if self.sharing.is_some() {
            self.share(None, cx);
        }
        self.serve_next(cx);
    }

    /// A request is gone, and with it those of its call that waited for its answer.
    fn discard(&mut self, handle: Handle, (was, why, left): (u64, u64, SimDuration), cx: &mut Cx<'_, '_>) {
        self.forget_cancellable(handle, cx);
        let Some(job) = self.jobs.remove(handle) else { return };
        let known_as = self.known_as(&job, cx);
        self.books.leave(job.arrived.at, cx.now());
        let tokens = cx
            .shared
            .journey(job.attempt)
            .map_or((0, 0), |(_, call)| call.request.tokens());
        let words = [job.identity, was, why];
        let extra = [left.as_nanos(), token_word(tokens.0, tokens.1)];
        cx.record_with(What::RequestDiscarded, self.endpoint.id, words, &extra);
        self.leave_limits(job.attempt, false, cx);
        self.forget_leader(job.attempt);
        cx.drop_attempt(job.attempt);
        let is_this = matches!(self.known.get(&known_as), Some(Known::InWork(known, _)) if *known == handle);
        if is_this && let Some(Known::InWork(_, waiting)) = self.known.remove(&known_as) {
            for (attempt, _) in waiting {
                let words = [job.identity, WITH_ANOTHER, why];
                cx.record_with(What::RequestDiscarded, self.endpoint.id, words, &[0, 0]);
                cx.drop_attempt(attempt);
            }
        }
    }

    /// Work on a request begins: the server of its twin is told.
    pub(super) fn tell_twin(&mut self, attempt: Handle, cx: &mut Cx<'_, '_>) {
        let Some((attempt, call)) = cx.shared.journey(attempt) else {
            return;
        };
        let Some((server, number)) = call.pursuit().and_then(|pursuit| pursuit.twin(attempt.number)) else {
            return;
        };
        let message = Message::cancel(server, true, call.identity, number);
        let (key, address) = (call.key, cancel_address(!attempt_address(call.address, number)));
        let words = [call.identity, server.into(), number.into()];
        cx.record(What::CancelSent, self.endpoint.id, words);
        cx.send_about(&mut self.endpoint, message, key, address);
    }
}
