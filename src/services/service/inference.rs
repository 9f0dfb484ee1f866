//! An inference endpoint at work: iterations, and what they do to requests.
//!
//! A request waits until its first chunk is read, and is at work from then on. One that loses its blocks waits again: the time until it
//! is back in the batch is work undone, which is accounted as retrying, as after a crash; reading its tokens anew is work.

use super::super::batching::{Chain, Engine, Sequence, event};
use super::super::job::{Job, Moment};
use super::super::line::rank_of_size;
use super::pace::{due_at, scaled};
use super::{ITERATED, Service, token_word};
use crate::kernel::{Entry, Liveness, SimDuration, SimTime, Words};
use crate::world::call::{Attempt, Request};
use crate::world::population::Cx;
use crate::world::record::What;
use crate::world::slab::Handle;
use serde::Serialize;
use std::collections::BTreeMap;

/// How far a request has come that was in the batch.
#[derive(Debug, Clone, Default, Serialize)]
struct Progress {
    /// Tokens that it had made when it lost its blocks.
    made: u32,
    /// When it had its first token.
    first: Option<SimTime>,
    /// Since when it has been out of the batch.
    out_since: Option<Moment>,
    /// When it was out of it before.
    out: Vec<(Moment, Moment)>,
}

/// The batch, and how far requests have come.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Inference {
    engine: Engine,
    /// By job: from when it first comes into the batch.
    progress: BTreeMap<u64, Progress>,
}

impl Inference {
    pub fn new(spec: super::super::batching::Batching) -> Self {
        Self {
            engine: Engine::new(spec),
            progress: BTreeMap::new(),
        }
    }

    /// Whether an iteration is under way.
    pub fn is_busy(&self) -> bool {
        self.engine.busy
    }

    /// All is lost: who was in the batch, in the order of coming in.
    pub fn crash(&mut self) -> Vec<Handle> {
        self.progress.clear();
        self.engine.crash()
    }
}

impl Service {
    /// The rank of a request's work, where that counts: its tokens.
    pub(super) fn rank_of_tokens(&self, attempt: Handle, cx: &Cx<'_, '_>) -> u64 {
        let tokens = cx.shared.journey(attempt).map(|(_, call)| call.request.tokens());
        let (tokens_in, tokens_out) = tokens.unwrap_or_default();
        rank_of_size(SimDuration::from_nanos(u64::from(tokens_in) + u64::from(tokens_out)))
    }

    /// Puts an iteration together and begins it, unless one is under way or there is nothing to do.
    pub(super) fn iterate(&mut self, cx: &mut Cx<'_, '_>) {
        let (now, pace) = (cx.now(), self.pace());
        let is_up = !self.down && pace > 0.0;
        let Some(inference) = self
            .inference
            .as_mut()
            .filter(|inference| is_up && !inference.engine.busy)
        else {
            return;
        };
        // Whoever comes in while it is put together comes into the next one.
        inference.engine.busy = true;
        for sequence in inference.engine.begin() {
            self.put_out(&sequence, cx);
        }
        while let Some(job) = self.queue.first()
            && self
                .inference
                .as_ref()
                .is_some_and(|inference| inference.engine.has_room())
        {
            if self.turns_away(job, cx) {
                continue;
            }
            let rank = self.fair.as_ref().map_or(0, |_| self.queue.first_rank());
            if !self.admit_to_batch(job, cx) {
                break;
            }
            self.fair.iter_mut().for_each(|fair| fair.serve(rank));
        }
        let Some(inference) = &mut self.inference else { return };
        let engine = &mut inference.engine;
        let load = engine.load;
        let words = [engine.len() as u64, engine.used(), event::BATCH];
        let extra = [u64::from(load.decoded), u64::from(load.tokens_in), load.held];
        cx.record_with(What::Inference, self.endpoint.id, words, &extra);
        if engine.len() == 0 {
            engine.busy = false;
            return;
        }
        engine.number += 1;
        engine.left = engine.duration();
        engine.since = now;
        engine.due = due_at(now, engine.left, pace);
        engine.queued = engine.due;
        engine.ticket = self.endpoint.origin.take();
        let (ticket, due, number) = (engine.ticket, engine.due, engine.number);
        cx.schedule_in_place(ticket, due, ITERATED, self.endpoint.id, number);
    }

    /// The first of the queue isn't worked on any more, since nobody waits for it, or it has waited for too long. Who has been in the batch
    /// before comes in again.
    fn turns_away(&mut self, job: Handle, cx: &mut Cx<'_, '_>) -> bool {
        let inference = self.inference.as_ref();
        if inference.is_some_and(|inference| inference.progress.contains_key(&job.to_word())) {
            return false;
        }
        if self.discards(job, cx) {
            self.queue.pop();
            return true;
        }
        if self.spec.most_wait.is_some() && self.has_waited_too_long(job, cx) {
            self.queue.pop();
            self.shed(job, cx);
            return true;
        }
        false
    }

    /// A request is out of the batch for good, before its end.
    pub(super) fn leave_batch(&mut self, job: Handle) {
        if let Some(inference) = &mut self.inference {
            inference.engine.remove(job);
            inference.progress.remove(&job.to_word());
        }
    }

    /// The first of the queue comes into the batch, if there is memory for it.
    fn admit_to_batch(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) -> bool {
        let Some(job) = self.jobs.get(handle).copied() else {
            return false;
        };
        let (Some((_, call)), Some(inference)) = (cx.shared.journey(job.attempt), &mut self.inference) else {
            return false;
        };
        let prompt = match &call.request {
            Request::Work { prompt, .. } => prompt.as_deref(),
            _ => None,
        };
        let (tokens_in, tokens_out) = call.request.tokens();
        let made = inference
            .progress
            .get(&handle.to_word())
            .map_or(0, |progress| progress.made);
        let sequence = Sequence {
            handle,
            chain: Chain::of(prompt, call.identity),
            tokens_in,
            tokens_out,
            made,
        };
        let Some(there) = inference.engine.admit(sequence) else {
            return false;
        };
        self.queue.pop();
        let now = self.moment(cx.now());
        let slot = self.in_work.len() as u32;
        self.in_work.push(handle);
        let Some(job) = self.jobs.get_mut(handle) else {
            return false;
        };
        (job.slot, job.due, job.queued) = (slot, SimTime::NEVER, SimTime::NEVER);
        let (identity, arrived, attempt) = (job.identity, job.arrived.at, job.attempt);
        let Some(inference) = &mut self.inference else {
            return false;
        };
        let progress = inference.progress.entry(handle.to_word()).or_default();
        if let Some(since) = progress.out_since.take() {
            progress.out.push((since, now));
            cx.record(What::Inference, self.endpoint.id, [identity, 0, event::AGAIN]);
        } else {
            let again = std::mem::take(&mut job.again);
            if !again {
                job.first = now;
            }
            job.started = now;
            self.tokens += u64::from(tokens_in) + u64::from(tokens_out);
            self.money = self.money.saturating_add(self.spec.price(tokens_in, tokens_out));
            let words = [identity, arrived.as_nanos(), token_word(tokens_in, tokens_out)];
            let extra: &[u64] = if again { &[1] } else { &[] };
            cx.record_with(What::ServiceStarted, self.endpoint.id, words, extra);
            self.tell_twin(attempt, cx);
            if cx.shared.ledger.is_some() {
                cx.bill(self.endpoint.id, attempt);
            }
            self.note_budget(cx);
        }
        let prefix = u64::from(there) << 32 | u64::from(tokens_in.max(1) + made);
        cx.record(What::Inference, self.endpoint.id, [identity, prefix, event::PREFIX]);
        true
    }

    /// A sequence has lost its blocks: it is the next that comes in again.
    fn put_out(&mut self, sequence: &Sequence, cx: &mut Cx<'_, '_>) {
        let now = self.moment(cx.now());
        let handle = sequence.handle;
        let (Some(job), Some(inference)) = (self.jobs.get(handle).copied(), &mut self.inference) else {
            return;
        };
        let progress = inference.progress.entry(handle.to_word()).or_default();
        progress.made = sequence.made;
        progress.out_since = Some(now);
        self.forget_in_work(job.slot);
        self.queue.push_ahead(handle);
        let words = [job.identity, u64::from(sequence.made), event::PREEMPTED];
        cx.record(What::Inference, self.endpoint.id, words);
    }

    /// An iteration is over.
    pub(super) fn iterated(&mut self, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let Some(inference) = &mut self.inference else { return };
        inference.engine.due = SimTime::NEVER;
        for finished in inference.engine.end() {
            let handle = finished.handle;
            let (Some(job), Some(inference)) = (self.jobs.get(handle).copied(), &mut self.inference) else {
                continue;
            };
            let progress = inference.progress.entry(handle.to_word()).or_default();
            if finished.first {
                progress.first = Some(now);
                let words = [job.identity, job.arrived.at.as_nanos(), event::FIRST];
                cx.record(What::Inference, self.endpoint.id, words);
            }
            if finished.last {
                let first = progress.first.unwrap_or(now).as_nanos();
                let tokens = cx
                    .shared
                    .journey(job.attempt)
                    .map_or(0, |(_, call)| call.request.tokens().1);
                let words = [job.identity, first, event::LAST];
                cx.record_with(What::Inference, self.endpoint.id, words, &[u64::from(tokens)]);
                self.served(handle, cx);
                if let Some(inference) = &mut self.inference {
                    inference.progress.remove(&handle.to_word());
                }
            }
        }
        if let Some(inference) = &mut self.inference {
            inference.engine.busy = false;
        }
        self.iterate(cx);
    }

    /// What a request of an inference endpoint was out of the batch, of the time since it came at `arrived`, was work undone.
    pub(super) fn account_for_preemptions(&self, handle: Handle, job: &Job, arrived: Moment, attempt: &mut Attempt) {
        let progress = self
            .inference
            .as_ref()
            .and_then(|inference| inference.progress.get(&handle.to_word()));
        let Some(progress) = progress else { return };
        let from = arrived.later(job.started);
        for (since, until) in &progress.out {
            let (since, until) = (since.later(from), until.later(from));
            let (passed, stood) = (until.at - since.at, until.stood - since.stood);
            attempt.undone += passed - stood.min(passed);
        }
    }

    /// The pace has changed from `before`: the end of the iteration moves.
    pub(super) fn change_iteration(&mut self, before: f64, cx: &mut Cx<'_, '_>) {
        let (now, after) = (cx.now(), self.pace());
        let Some(inference) = self.inference.as_mut().filter(|inference| inference.engine.busy) else {
            return;
        };
        let engine = &mut inference.engine;
        let elapsed = now - engine.since;
        let done = scaled(elapsed, before).min(engine.left).min(elapsed);
        engine.left = engine.left - done;
        engine.since = now;
        engine.due = due_at(now, engine.left, after);
        if engine.due < engine.queued {
            engine.queued = engine.due;
            let (ticket, due, number) = (engine.ticket, engine.due, engine.number);
            cx.schedule_in_place(ticket, due, ITERATED, self.endpoint.id, number);
        }
    }

    pub(super) fn digest_iteration(&self, entry: &Entry<u64>, words: &mut Words) -> Liveness {
        let Some(inference) = &self.inference else {
            return Liveness::Stale;
        };
        let engine = &inference.engine;
        let is_meant = engine.number == entry.body && engine.due == entry.time && engine.queued == entry.time;
        if !is_meant {
            return Liveness::Stale;
        }
        words.push(engine.number);
        words.push((engine.len() as u64) << 32 | u64::from(engine.load.tokens_in));
        Liveness::Live
    }

    /// An entry of an iteration isn't meant: it is put off, if it is the valid one.
    pub(super) fn skip_iteration(&mut self, entry: &Entry<u64>, cx: &mut Cx<'_, '_>) {
        let Some(inference) = &mut self.inference else { return };
        let engine = &mut inference.engine;
        if engine.number != entry.body || engine.queued != entry.time {
            return;
        }
        engine.queued = engine.due;
        if engine.due != SimTime::NEVER {
            let (ticket, due) = (engine.ticket, engine.due);
            cx.schedule_in_place(ticket, due, ITERATED, self.endpoint.id, entry.body);
        }
    }
}
