//! Updates that reach a replica outside of their key's preference list: passed on to one that keeps the key, which answers; or, with
//! sloppy quorums, coordinated where they are, if none of those can be reached.

use super::super::replica::Known;
use super::super::store::Store;
use super::Members;
use super::alarms::alarm;
use super::coordinate::{Kind, Operation, Waiting};
use super::legs::{Leg, topic};
use crate::kernel::SimDuration;
use crate::state::{Op, Resolution};
use crate::world::call::{Request, answer_address};
use crate::world::message::Message;
use crate::world::population::Cx;
use crate::world::slab::Handle;

/// A replica has this part of the timeout to say that it has taken an update over.
const PART: u64 = 4;
/// Copies that were passed on are counted apart from those that the network makes.
const PASSED: u16 = 1 << 8;

impl<R: Resolution> Store<R> {
    /// Passes an update on.
    pub(super) fn pass_on(&mut self, member: u32, key: u32, handle: Handle, cx: &mut Cx<'_, '_>) {
        let Some((_, call)) = cx.shared.journey(handle) else {
            return;
        };
        if call.idempotent {
            match self.replicas[member as usize].known.get(&call.identity) {
                Some(Known::Accepted { .. }) => return self.coordinate_again(member, call.identity, handle, cx),
                Some(Known::Done) => return self.answer_again(member, handle, cx),
                Some(Known::InWork(_)) | None => {}
            }
        }
        let operation = Operation {
            coordinator: member,
            key,
            identity: call.identity,
            waiting: vec![Waiting::new(handle, cx.now())],
            stalled: SimDuration::ZERO,
            about: 0,
            heard: Members::default(),
            answered: false,
            kind: Kind::Passing(Members::default()),
        };
        let operation = self.operations.insert(operation);
        let timeout = self.rules().timeout;
        self.set_alarm(member, alarm::TIMEOUT, timeout, operation, cx);
        self.pass_to_next(operation, cx);
    }

    /// Passes an update to the next replica that keeps its key: of those that weren't tried the first that isn't suspected.
    pub(super) fn pass_to_next(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let Some(operation) = self.operations.get(handle) else {
            return;
        };
        let (member, key) = (operation.coordinator, operation.key);
        let (Kind::Passing(tried), Some(waiting)) = (&operation.kind, operation.waiting.first().copied()) else {
            return;
        };
        let tried = *tried;
        tried.iter().for_each(|peer| self.suspect(member, peer, now));
        let list = self.rules().list(key).iter().map(|target| u32::from(*target));
        let left: Vec<u32> = list.filter(|target| !tried.has(*target)).collect();
        let trusted = left.iter().find(|target| !self.suspects(member, **target, now));
        let is_write = cx
            .shared
            .journey(waiting.attempt)
            .is_some_and(|(_, call)| matches!(call.request, Request::Update { op: Op::Write(_), .. }));
        if trusted.is_none() && self.rules().sloppy && is_write {
            return self.coordinate_outside(handle, cx);
        }
        let Some(target) = trusted.or(left.first()).copied() else {
            return self.time_out(handle, cx);
        };
        if let Some(operation) = self.operations.get_mut(handle) {
            operation.kind = Kind::Passing(tried.with(target));
        }
        if let Some(attempt) = cx.shared.attempts.get_mut(waiting.attempt) {
            attempt.copy += PASSED;
        }
        self.send_on(member, target, waiting.attempt, handle.to_word(), cx);
        let wait = SimDuration::from_nanos(self.rules().timeout.as_nanos() / PART);
        self.set_alarm(member, alarm::PASSING, wait, handle, cx);
    }

    /// Coordinates a write to a key that this replica doesn't keep, since nobody can be reached who does. The replica has what it
    /// has accepted so itself to build on, and beyond that what the client knows.
    fn coordinate_outside(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let Some(operation) = self.operations.remove(handle) else {
            return;
        };
        let (member, key, identity) = (operation.coordinator, operation.key, operation.identity);
        let mut attempts = Vec::new();
        for waiting in operation.waiting {
            if let Some(attempt) = cx.shared.attempts.get_mut(waiting.attempt) {
                let stood = operation.stalled - waiting.stalled;
                attempt.down += stood;
                attempt.coordinated += (now - waiting.since) - stood;
                attempts.push(waiting.attempt);
            }
        }
        let Some(first) = attempts.first().copied() else { return };
        let (Some(about), Some((_, call))) = (Self::address_of(first, cx), cx.shared.journey(first)) else {
            return;
        };
        let Request::Update { op, .. } = call.request else {
            return;
        };
        let (context, is_idempotent) = (call.request.context().cloned(), call.idempotent);
        let kind = self.spec.keys[key as usize].1;
        let kept = self.replicas[member as usize].coordinator.outside.remove(&key);
        let mut entry = kept.unwrap_or_else(|| self.model.fresh(kind));
        let accepted = self.compute(member, key, &mut entry, (op, context.as_ref()), first, cx);
        let replica = &mut self.replicas[member as usize];
        replica.coordinator.outside.insert(key, entry);
        if is_idempotent {
            let known = Known::Accepted {
                delta: accepted.delta.clone(),
                dot: accepted.dot,
                operation: Handle::NONE,
            };
            replica.known.insert(identity, known);
        }
        cx.executed(replica.endpoint.id, first);
        self.gather(member, key, accepted, attempts, about, cx);
    }

    /// A replica has an update that another one passed on: it says so, and has it from here on.
    pub(in crate::stores) fn take_over(&mut self, member: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        let from = message.from - self.replicas[0].endpoint.id;
        let operation = Handle::from_word(message.value);
        let answer = answer_address(message.about);
        self.send_leg(member, (from, topic::TAKEN), operation, Handle::NONE, answer, cx);
    }

    /// An update that was passed on is in other hands.
    pub(super) fn taken(&mut self, leg: &Leg, cx: &mut Cx<'_, '_>) {
        let is_passed = |operation: &&Operation<R>| matches!(operation.kind, Kind::Passing(_));
        if self.operations.get(leg.operation).filter(is_passed).is_none() {
            return;
        }
        let operation = self.operations.remove(leg.operation);
        for waiting in operation.into_iter().flat_map(|operation| operation.waiting) {
            cx.drop_attempt(waiting.attempt);
        }
    }
}
