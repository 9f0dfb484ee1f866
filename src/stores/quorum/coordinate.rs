//! Operations at their coordinators: begun, joined, answered, refused.

use super::super::replica::{Accepted, Known};
use super::super::replication::{Content, Payload};
use super::super::store::Store;
use super::super::words::store_key;
use super::alarms::alarm;
use super::legs::{Leg, topic};
use super::{Members, QuorumSpec};
use crate::kernel::{SimDuration, SimTime};
use crate::state::{Context, Fate, KeyType, Op, Resolution};
use crate::world::call::{Outcome, Request};
use crate::world::population::{Cx, purpose};
use crate::world::record::What;
use crate::world::slab::Handle;
use serde::Serialize;
use std::sync::Arc;

/// What is added to the address of a read's legs, so that a read and a write of one address draw different times.
const READS: u64 = 0x7265_6164 << 32;

/// An operation at its coordinator. It is kept until nothing more is done about it, which may be after its answer.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(in crate::stores) struct Operation<R: Resolution> {
    pub coordinator: u32,
    pub key: u32,
    pub identity: u64,
    /// The attempts that wait for its answer.
    pub waiting: Vec<Waiting>,
    /// How long its coordinator has stood still since it began.
    pub stalled: SimDuration,
    /// The address of its legs' draws.
    pub about: u64,
    /// Who has answered.
    pub heard: Members,
    /// Whether it is answered.
    pub answered: bool,
    pub kind: Kind<R>,
}

/// What an operation is.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(in crate::stores) enum Kind<R: Resolution> {
    Write(Write<R>),
    Read(Read<R>),
    /// An update for a replica that keeps its key; who was asked so far.
    Passing(Members),
}

/// A write under way.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(in crate::stores) struct Write<R: Resolution> {
    pub delta: R::Delta,
    /// The number of its dot.
    pub number: u32,
    /// What its client gets back.
    pub context: Context,
    /// Who stands in for whom: the one that keeps the hint, and the one that it is for.
    pub stand_ins: Vec<(u32, u32)>,
    /// For whom the coordinator itself keeps a hint.
    pub hinted: Members,
}

/// A read under way.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(in crate::stores) struct Read<R: Resolution> {
    /// What the answers make together.
    pub entry: R::Entry,
    /// The number of the attempt.
    pub attempt: u32,
    /// Who has answered with which state, for repair.
    pub found: Vec<(u32, u64)>,
    /// The marks of the answers that the read shows, for the judge.
    pub marks: Vec<u64>,
}

/// An attempt that waits for an operation.
#[derive(Debug, Clone, Copy, Serialize)]
pub(in crate::stores) struct Waiting {
    pub attempt: Handle,
    pub since: SimTime,
    /// How long the coordinator had stood still when it came.
    pub stalled: SimDuration,
}

impl Waiting {
    /// An attempt that waits from now on, at a coordinator that hasn't stood still since the operation began.
    pub fn new(attempt: Handle, since: SimTime) -> Self {
        Self {
            attempt,
            since,
            stalled: SimDuration::ZERO,
        }
    }
}

/// An update that a coordinator has logged, on its way into the coordinator's own store.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(in crate::stores) struct Staged<R: Resolution> {
    pub number: u32,
    pub delta: R::Delta,
}

impl<R: Resolution> Store<R> {
    /// The quorums of a store that has them.
    pub(super) fn rules(&self) -> &QuorumSpec {
        self.spec.quorum().expect("the store works by quorums")
    }

    /// Begins an operation, or an update again that was accepted before.
    pub(in crate::stores) fn coordinate(&mut self, member: u32, handle: Handle, cx: &mut Cx<'_, '_>) {
        let Some((_, call)) = cx.shared.journey(handle) else {
            return;
        };
        match &call.request {
            Request::Read { key } => self.coordinate_read(member, *key, handle, cx),
            Request::Update { key, op, .. } => {
                let (key, op, context) = (*key, *op, call.request.context().cloned());
                if self.rules().keeps(member, key) {
                    self.coordinate_update(member, key, op, context.as_ref(), handle, cx);
                } else {
                    self.pass_on(member, key, handle, cx);
                }
            }
            Request::Work { .. }
            | Request::Acquire
            | Request::Journal(_)
            | Request::Publish { .. }
            | Request::Poll { .. } => {
                unreachable!("a store isn't asked to work")
            }
        }
    }

    /// The address of the draws about an attempt's operation.
    pub(super) fn address_of(handle: Handle, cx: &Cx<'_, '_>) -> Option<u64> {
        let (attempt, call) = cx.shared.journey(handle)?;
        let copy = u64::from(attempt.copy) << 48;
        Some(
            call.key
                .draw(purpose::REPLICATION, call.about(attempt).wrapping_add(copy)),
        )
    }

    fn coordinate_update(
        &mut self,
        member: u32,
        key: u32,
        op: Op,
        context: Option<&Context>,
        handle: Handle,
        cx: &mut Cx<'_, '_>,
    ) {
        let (Some(about), Some((_, call))) = (Self::address_of(handle, cx), cx.shared.journey(handle)) else {
            return;
        };
        let identity = call.identity;
        let accepted = if self.rules().legs.write.is_none() {
            self.accept(member, key, op, context, handle, cx)
        } else {
            self.stage(member, key, op, context, handle, cx)
        };
        cx.executed(self.replicas[member as usize].endpoint.id, handle);
        let mut attempts = vec![handle];
        if let Some(known) = self.replicas[member as usize].known.get_mut(&identity) {
            let accepted = Known::Accepted {
                delta: accepted.delta.clone(),
                dot: accepted.dot,
                operation: Handle::NONE,
            };
            if let Known::InWork(waiting) = std::mem::replace(known, accepted) {
                attempts.extend(waiting);
            }
        }
        self.gather(member, key, accepted, attempts, about, cx);
    }

    /// Accepts an update into the log alone: it is computed from what the replica holds and has logged, and applied when its own
    /// write leg is over.
    fn stage(
        &mut self,
        member: u32,
        key: u32,
        op: Op,
        context: Option<&Context>,
        handle: Handle,
        cx: &mut Cx<'_, '_>,
    ) -> Accepted<R> {
        let replica = &self.replicas[member as usize];
        let mut entry = replica.slots[key as usize].entry.clone();
        for staged in replica.coordinator.staged.get(&key).into_iter().flatten() {
            self.model.merge(&mut entry, &staged.delta, &mut |_| {});
        }
        let accepted = self.compute(member, key, &mut entry, (op, context), handle, cx);
        let staged = Staged {
            number: accepted.dot.number,
            delta: accepted.delta.clone(),
        };
        let coordinator = &mut self.replicas[member as usize].coordinator;
        coordinator.staged.entry(key).or_default().push_back(staged);
        accepted
    }

    /// Accepts an update of an entry that isn't what the replica shows.
    pub(super) fn compute(
        &mut self,
        member: u32,
        key: u32,
        entry: &mut R::Entry,
        (op, context): (Op, Option<&Context>),
        handle: Handle,
        cx: &mut Cx<'_, '_>,
    ) -> Accepted<R> {
        let mut replaces = Vec::new();
        let id = self.replicas[member as usize].endpoint.id;
        let word = store_key(self.index, key);
        let at = self.number(member, key, cx);
        if cx.wants(What::Accepted) {
            let versions = self.model.versions(entry);
            self.say_accepted(&versions, at, (id, word), (op, context), handle, cx);
        }
        let accept = crate::state::Accept {
            dot: at.0,
            stamp: at.1,
            context,
        };
        let delta = self.model.update(entry, op, accept, &mut |fate| match fate {
            Fate::BuiltOn { .. } | Fate::Placed { .. } | Fate::Took { .. } => {
                super::super::replica::tell(cx, id, word, fate)
            }
            Fate::Outranked { loser, winner } if winner == Some(at.0) => replaces.push(loser),
            Fate::Outranked { .. } | Fate::Applied(_) => {}
        });
        // A merge repeats what is decided here, and doesn't know any more by whom. Ranked versions are compared there.
        if self.model.rank(&delta).is_none() {
            for loser in replaces {
                cx.record(What::Replaces, id, [word, loser.bits(), at.0.bits()]);
            }
        }
        Accepted {
            delta,
            dot: at.0,
            context: self.model.context(entry),
        }
    }

    /// Goes on with an update that this replica has accepted before, for another attempt at it.
    pub(in crate::stores) fn coordinate_again(
        &mut self,
        member: u32,
        identity: u64,
        handle: Handle,
        cx: &mut Cx<'_, '_>,
    ) {
        let Some((_, call)) = cx.shared.journey(handle) else {
            return;
        };
        let Request::Update { key, .. } = call.request else {
            return;
        };
        let replica = &self.replicas[member as usize];
        let Some(Known::Accepted { delta, dot, operation }) = replica.known.get(&identity) else {
            return;
        };
        if let Some(found) = self.operations.get_mut(*operation) {
            let waiting = Waiting {
                attempt: handle,
                since: cx.now(),
                stalled: found.stalled,
            };
            return found.waiting.push(waiting);
        }
        let accepted = Accepted {
            delta: delta.clone(),
            dot: *dot,
            context: self.model.context(replica.own_entry(key)),
        };
        if let Some(about) = Self::address_of(handle, cx) {
            self.gather(member, key, accepted, vec![handle], about, cx);
        }
    }

    fn operation(
        &mut self,
        member: u32,
        (key, identity): (u32, u64),
        attempts: Vec<Handle>,
        about: u64,
        kind: Kind<R>,
        cx: &mut Cx<'_, '_>,
    ) -> Handle {
        let now = cx.now();
        let waiting = attempts.into_iter().map(|attempt| Waiting::new(attempt, now));
        let operation = self.operations.insert(Operation {
            coordinator: member,
            key,
            identity,
            waiting: waiting.collect(),
            stalled: SimDuration::ZERO,
            about,
            heard: Members::default(),
            answered: false,
            kind,
        });
        let timeout = self.rules().timeout;
        self.set_alarm(member, alarm::TIMEOUT, timeout, operation, cx);
        operation
    }

    /// Sends an accepted update to the replicas that keep its key.
    pub(super) fn gather(
        &mut self,
        member: u32,
        key: u32,
        accepted: Accepted<R>,
        attempts: Vec<Handle>,
        about: u64,
        cx: &mut Cx<'_, '_>,
    ) {
        let Some(identity) = attempts
            .iter()
            .find_map(|attempt| Some(cx.shared.journey(*attempt)?.1.identity))
        else {
            return;
        };
        let (number, delta) = (accepted.dot.number, accepted.delta);
        let write = Write {
            delta: delta.clone(),
            number,
            context: accepted.context,
            stand_ins: Vec::new(),
            hinted: Members::default(),
        };
        let operation = self.operation(member, (key, identity), attempts, about, Kind::Write(write), cx);
        if let Some(Known::Accepted { operation: of, .. }) = self.replicas[member as usize].known.get_mut(&identity) {
            *of = operation;
        }
        let spec = Arc::clone(&self.spec);
        let rules = spec.quorum().expect("the store works by quorums");
        let payload = self
            .payloads
            .insert(Payload::new(Content::Write { key, number, delta }));
        for target in rules.list(key).iter().map(|target| u32::from(*target)) {
            self.send_leg(member, (target, topic::WRITE), operation, payload, about, cx);
        }
        self.release(payload);
        if let Some(handoff) = &rules.hinted_handoff {
            if rules.sloppy {
                self.stand_in_for_suspects(operation, cx);
            }
            if self.operations.get(operation).is_some() {
                self.set_alarm(member, alarm::HANDOFF, handoff.after, operation, cx);
            }
        }
    }

    fn coordinate_read(&mut self, member: u32, key: u32, handle: Handle, cx: &mut Cx<'_, '_>) {
        let (Some(about), Some((attempt, call))) = (Self::address_of(handle, cx), cx.shared.journey(handle)) else {
            return;
        };
        let (about, identity, attempt) = (about ^ READS, call.identity, attempt.number);
        let read = Read {
            entry: self.model.fresh(self.spec.keys[key as usize].1),
            attempt,
            found: Vec::new(),
            marks: Vec::new(),
        };
        let operation = self.operation(member, (key, identity), vec![handle], about, Kind::Read(read), cx);
        let spec = Arc::clone(&self.spec);
        let rules = spec.quorum().expect("the store works by quorums");
        let payload = self.payloads.insert(Payload::new(Content::Ask { key, identity }));
        for target in rules.list(key).iter().map(|target| u32::from(*target)) {
            self.send_leg(member, (target, topic::READ), operation, payload, about, cx);
        }
        self.release(payload);
    }

    /// A replica, or whoever stands in for one, has acknowledged a write.
    pub(super) fn acknowledge(&mut self, leg: &Leg, cx: &mut Cx<'_, '_>) {
        let needed = self.rules().w;
        let Some(operation) = self.operations.get_mut(leg.operation) else {
            return;
        };
        operation.heard = operation.heard.with(leg.from);
        if !operation.answered && operation.heard.count() >= needed {
            operation.answered = true;
            let Kind::Write(write) = &operation.kind else { return };
            let (member, identity, context) = (operation.coordinator, operation.identity, write.context.clone());
            let waiting = std::mem::take(&mut operation.waiting);
            let stalled = operation.stalled;
            if let Some(known) = self.replicas[member as usize].known.get_mut(&identity) {
                *known = Known::Done;
            }
            let bytes = context.bytes();
            for waiting in waiting {
                if let Some(attempt) = cx.shared.attempts.get_mut(waiting.attempt) {
                    attempt.context = Some(Box::new(context.clone()));
                    attempt.outcome = Outcome::Done;
                }
                self.answer_waiting(member, waiting, stalled, bytes, cx);
            }
        }
        self.settle_write(leg.operation);
    }

    /// Forgets a write about which nothing more is to be done.
    pub(super) fn settle_write(&mut self, handle: Handle) {
        let Some(operation) = self.operations.get(handle).filter(|operation| operation.answered) else {
            return;
        };
        if self.rules().hinted_handoff.is_none() || self.uncovered(operation).is_empty() {
            self.operations.remove(handle);
        }
    }

    /// A replica has answered a read with what it holds.
    pub(super) fn join_reply(&mut self, leg: &Leg, theirs: &R::Entry, mark: u64, cx: &mut Cx<'_, '_>) {
        let (needed, repairs) = (self.rules().r, self.rules().read_repair);
        let stamp = self.model.stamp(theirs);
        let Some(operation) = self.operations.get_mut(leg.operation) else {
            return;
        };
        let (member, key) = (operation.coordinator, operation.key);
        let Kind::Read(read) = &mut operation.kind else { return };
        if operation.heard.has(leg.from) {
            return;
        }
        operation.heard = operation.heard.with(leg.from);
        self.model.join(&mut read.entry, theirs, &mut |_| {});
        self.replicas[member as usize].stamps.hear(stamp);
        if repairs {
            read.found.push((leg.from, self.model.state_hash(theirs)));
        }
        if !operation.answered {
            read.marks.push(mark);
            if operation.heard.count() >= needed {
                operation.answered = true;
                self.answer_read(leg.operation, cx);
            }
        }
        let Some(operation) = self
            .operations
            .get(leg.operation)
            .filter(|operation| operation.answered)
        else {
            return;
        };
        if !repairs {
            self.operations.remove(leg.operation);
        } else if self.rules().members(key).without(operation.heard).is_empty() {
            self.repair(leg.operation, cx);
        }
    }

    /// Enough replicas have answered: the read shows what they make together.
    fn answer_read(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) {
        let Some(operation) = self.operations.get_mut(handle) else {
            return;
        };
        let waiting = std::mem::take(&mut operation.waiting);
        let Some(operation) = self.operations.get(handle) else {
            return;
        };
        let (member, key, stalled) = (operation.coordinator, operation.key, operation.stalled);
        let Kind::Read(read) = &operation.kind else { return };
        let context = self.model.context(&read.entry);
        let is_text = self.spec.keys[key as usize].1 == KeyType::Text;
        let found = (is_text && self.rules().keeps(member, key)).then(|| read.entry.clone());
        let bytes = self.model.entry_size(&read.entry).values * self.spec.value_bytes + context.bytes();
        let mut shown = Vec::new();
        if cx.wants(What::ReadServed) {
            self.push_shown(&read.marks, key, &read.entry, &mut shown);
        }
        let (number, id) = (u64::from(read.attempt), self.replicas[member as usize].endpoint.id);
        // For those who go by it, or keep it.
        let is_looked_at = waiting.iter().any(|waiting| {
            let journey = cx.shared.journey(waiting.attempt);
            journey.is_some_and(|(_, call)| call.counts || call.keeps().is_some())
        });
        let entry = is_looked_at.then(|| read.entry.clone());
        let amount = entry.as_ref().map_or(0, |entry| self.model.view(entry).value.amount());
        for waiting in waiting {
            if entry.is_some() {
                self.subscribe(member, key, entry.as_ref(), waiting.attempt, cx);
            }
            let Some((attempt, call)) = cx.shared.journey_mut(waiting.attempt) else {
                continue;
            };
            attempt.outcome = Outcome::Done;
            attempt.context = Some(Box::new(context.clone()));
            if call.counts {
                attempt.findings_mut().amount = amount;
            }
            let words = [call.identity, store_key(self.index, key), number];
            let mut extra = vec![call.began.as_nanos(), u64::from(call.client)];
            if cx.wants(What::ReadServed) {
                extra.extend(&shown);
                cx.record_with(What::ReadServed, id, words, &extra);
            }
            self.answer_waiting(member, waiting, stalled, bytes, cx);
        }
        // Its client's next edit counts the characters that this one showed.
        if let Some(found) = found {
            self.join_entry(member, key, &found, cx);
        }
    }

    /// Sends what all answers make together to the replicas that answered with something else, and forgets the read.
    pub(super) fn repair(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) {
        let Some(operation) = self.operations.remove(handle) else {
            return;
        };
        let Kind::Read(read) = operation.kind else { return };
        let hash = self.model.state_hash(&read.entry);
        for (target, found) in read.found {
            if found != hash {
                self.send_repair(
                    operation.coordinator,
                    target,
                    operation.key,
                    &read.entry,
                    operation.about,
                    cx,
                );
            }
        }
    }

    /// Answers an attempt that has waited at its coordinator: all that time is coordination, but for what the coordinator stood
    /// still.
    fn answer_waiting(&mut self, member: u32, waiting: Waiting, stalled: SimDuration, bytes: u64, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        if let Some(attempt) = cx.shared.attempts.get_mut(waiting.attempt) {
            let stood = stalled - waiting.stalled;
            attempt.down += stood;
            attempt.coordinated += (now - waiting.since) - stood;
        }
        self.answer(member, waiting.attempt, bytes, cx);
    }

    /// An operation has waited long enough: it is refused, unless it is answered.
    pub(super) fn time_out(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) {
        let Some(operation) = self.operations.get_mut(handle) else {
            return;
        };
        let (member, key, heard) = (operation.coordinator, operation.key, operation.heard);
        let (waiting, stalled) = (std::mem::take(&mut operation.waiting), operation.stalled);
        let (is_write, is_passed) = (
            matches!(operation.kind, Kind::Write(_)),
            matches!(operation.kind, Kind::Passing(_)),
        );
        for waiting in waiting {
            if let Some(attempt) = cx.shared.attempts.get_mut(waiting.attempt) {
                attempt.outcome = Outcome::Refused { retry_after: None };
            }
            self.answer_waiting(member, waiting, stalled, 0, cx);
        }
        if !is_passed {
            let silent = self.rules().members(key).without(heard);
            silent.iter().for_each(|peer| self.suspect(member, peer, cx.now()));
        }
        if is_write && self.rules().hinted_handoff.is_some() {
            self.keep_hints(handle, cx);
        }
        let answered = self.operations.get(handle).is_some_and(|operation| operation.answered);
        if answered && !is_write {
            self.repair(handle, cx);
        }
        self.operations.remove(handle);
    }

    /// What a coordinator had under way goes with it; returns the attempts that waited.
    pub(in crate::stores) fn drop_operations(&mut self, member: u32) -> Vec<Handle> {
        let coordinator = &mut self.replicas[member as usize].coordinator;
        let mut dropped = Vec::new();
        for (_, operation) in std::mem::take(&mut coordinator.alarms[alarm::TIMEOUT].queue) {
            let operation = self.operations.remove(operation);
            dropped.extend(operation.into_iter().flat_map(|operation| operation.waiting));
        }
        coordinator.alarms.iter_mut().for_each(|alarm| alarm.queue.clear());
        coordinator.suspected.clear();
        dropped.into_iter().map(|waiting| waiting.attempt).collect()
    }

    /// A coordinator has stood still so long: its operations take that longer.
    pub(in crate::stores) fn stall_operations(&mut self, member: u32, since: SimTime, cx: &Cx<'_, '_>) {
        let alarm = &self.replicas[member as usize].coordinator.alarms[alarm::TIMEOUT];
        for (_, operation) in &alarm.queue {
            if let Some(operation) = self.operations.get_mut(*operation) {
                operation.stalled += cx.now() - since;
            }
        }
    }
}
