//! Updates that wait at their replica for what they build on.
//!
//! Guarantees that such an update is accepted as soon as the replica has all that its context names, in the order of arrival
//! among those that are ready at once; or, once its patience is over, with the part of the context that is there. The wait counts
//! as coordination. A replica of whole values has what it has heard of a key by number: a value was made on top of all that its
//! origin had accepted before, whatever became of that since.

use super::replica::Replica;
use super::store::{PATIENCE, Store};
use crate::kernel::SimTime;
use crate::state::{Context, Dot, KeyType, Resolution, VersionVector, Versions};
use crate::world::call::{Awaits, Request};
use crate::world::population::Cx;
use crate::world::record::What;
use crate::world::slab::Handle;
use serde::Serialize;

/// An update that waits.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Parked {
    attempt: Handle,
    /// The name of its timer.
    number: u64,
    /// From when on its wait isn't accounted for.
    since: SimTime,
    /// When its patience is over.
    until: Option<SimTime>,
}

impl<R: Resolution> Replica<R> {
    /// Notes versions of a key that it has heard of, where what it holds doesn't say it.
    pub(super) fn note_heard(&mut self, key: u32, dots: impl IntoIterator<Item = Dot>) {
        if self.slots[key as usize].is_text {
            let heard = self.heard.entry(key).or_default();
            dots.into_iter().for_each(|dot| heard.raise(dot.origin, dot.number));
        }
    }

    /// Whether an update with this name still waits.
    pub(super) fn is_parked(&self, number: u64) -> bool {
        self.parked.iter().any(|parked| parked.number == number)
    }

    /// The attempts that wait, which are forgotten.
    pub(super) fn unpark_all(&mut self) -> impl Iterator<Item = Handle> {
        std::mem::take(&mut self.parked)
            .into_iter()
            .map(|parked| parked.attempt)
    }

    /// What it has of a key.
    fn has(&self, model: &R, key: u32) -> VersionVector {
        match model.versions(&self.slots[key as usize].entry) {
            Versions::Effects(effects) => effects.vector().clone(),
            Versions::Heads(_) => self.heard.get(&key).cloned().unwrap_or_default(),
        }
    }
}

impl<R: Resolution> Store<R> {
    /// Whether an update has to wait for what its context names.
    pub(super) fn must_wait(&self, member: u32, key: u32, context: Option<&Context>) -> bool {
        let replica = &self.replicas[member as usize];
        context.is_some_and(|context| !replica.has(&self.model, key).descends(context.seen.vector()))
    }

    /// An update begins to wait.
    pub(super) fn park_update(&mut self, member: u32, attempt: Handle, awaits: Awaits, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let replica = &mut self.replicas[member as usize];
        replica.waits += 1;
        let number = replica.waits;
        let until = awaits.patience.map(|patience| now.saturating_add(patience));
        replica.parked.push(Parked {
            attempt,
            number,
            since: now,
            until,
        });
        if let Some(until) = until {
            cx.schedule(&mut replica.endpoint, until, PATIENCE, number);
        }
    }

    /// Serves what has waited and is ready, until nothing is.
    pub(super) fn unpark(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        while let Some(place) = self.ready(member, cx) {
            let parked = self.replicas[member as usize].parked.remove(place);
            let now = cx.now();
            if let Some(attempt) = cx.shared.attempts.get_mut(parked.attempt) {
                attempt.coordinated += now - parked.since;
            }
            self.serve(member, parked.attempt, cx);
        }
    }

    /// The first update that waits and is ready.
    fn ready(&self, member: u32, cx: &Cx<'_, '_>) -> Option<usize> {
        let replica = &self.replicas[member as usize];
        if replica.parked.is_empty() || replica.down || replica.paused.is_some() {
            return None;
        }
        replica
            .parked
            .iter()
            .position(|parked| match cx.shared.journey(parked.attempt) {
                Some((_, call)) => match &call.request {
                    Request::Update { key, .. } => !self.must_wait(member, *key, call.request.context()),
                    _ => true,
                },
                // Its journey is over: nobody is left to be answered.
                None => true,
            })
    }

    /// The patience of updates is over: they build on what is there.
    pub(super) fn lose_patience(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let replica = &self.replicas[member as usize];
        if replica.down || replica.paused.is_some() {
            return;
        }
        for parked in &replica.parked {
            if parked.until.is_none_or(|until| until > now) {
                continue;
            }
            let Some((_, call)) = cx.shared.journey_mut(parked.attempt) else {
                continue;
            };
            let Request::Update { key, basis, .. } = &mut call.request else {
                continue;
            };
            if let Some(context) = basis.as_mut().and_then(|basis| basis.context.as_mut()) {
                let has = replica.has(&self.model, *key);
                let tops = context.seen.vector().tops().iter();
                let there = tops.map(|top| Dot::new(top.origin, top.number.min(has.get(top.origin))));
                let there: Vec<Dot> = there.filter(|top| top.number > 0).collect();
                context.seen = VersionVector::from_tops(there).into();
            }
        }
        self.unpark(member, cx);
    }

    /// A replica goes on that stood still since then.
    pub(super) fn stall_parked(&mut self, member: u32, since: SimTime, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        for parked in &mut self.replicas[member as usize].parked {
            if let Some(attempt) = cx.shared.attempts.get_mut(parked.attempt) {
                let began = since.max(parked.since);
                attempt.coordinated += began - parked.since;
                attempt.down += now - began;
            }
            parked.since = now;
        }
    }

    /// Says what a replica shows of its texts.
    pub(super) fn say_texts(&self, replica: &Replica<R>, cx: &mut Cx<'_, '_>) {
        /// Words of a record.
        const WORDS: usize = 4096;
        if !cx.wants(What::Shows) {
            return;
        }
        for ((slot, (_, kind)), key) in replica.slots.iter().zip(&self.spec.keys).zip(0..) {
            if *kind != KeyType::Text || !slot.touched {
                continue;
            }
            let crate::state::Value::Text(spans) = self.model.view(&slot.entry).value else {
                continue;
            };
            let words = spans
                .iter()
                .map(|span| u64::from(span.from) << 32 | u64::from(span.length));
            let words: Vec<u64> = words.collect();
            let key = super::words::store_key(self.index, key);
            // A text without characters has a record all the same.
            let parts = words.chunks(WORDS).chain(words.is_empty().then_some(&[][..]));
            for (part, words) in (0..).zip(parts) {
                cx.record_with(What::Shows, replica.endpoint.id, [key, part, 0], words);
            }
        }
    }
}
