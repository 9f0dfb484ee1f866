//! What agents ask of a replica, from when it is there until it is answered.

use super::super::store::Store;
use super::Reads;
use super::member::{Command, Deadline, Source, Waiting};
use crate::coordination::raft::Identity;
use crate::state::Resolution;
use crate::world::call::{Outcome, Request};
use crate::world::population::Cx;
use crate::world::slab::Handle;

impl<R: Resolution> Store<R> {
    /// A request is to be agreed on.
    pub(in crate::stores) fn agree(&mut self, member: u32, handle: Handle, cx: &mut Cx<'_, '_>) {
        let Some((attempt, call)) = cx.shared.journey(handle) else {
            return;
        };
        let (call_handle, idempotent) = (attempt.call, call.idempotent);
        let source = Source {
            identity: call.identity,
            client: call.client,
            began: call.began,
            call: call_handle,
        };
        match &call.request {
            Request::Read { key } if self.group().reads == Reads::Local => self.read(member, *key, handle, cx),
            Request::Read { key } => {
                let key = *key;
                let token = self.name(member);
                let waiting = self.begin_to_wait(member, handle, Deadline::Read(token), cx);
                self.member(member).reads.insert(token, (key, waiting));
                self.drive(member, cx, |node, now| node.read(token, now));
            }
            Request::Update { key, op, .. } => {
                let command = Command {
                    key: *key,
                    op: *op,
                    expects: call.request.expects(),
                    informed: call.request.context().is_some(),
                    source,
                };
                if self
                    .model
                    .refuses(self.spec.keys[command.key as usize].1, command.op)
                    .is_some()
                {
                    return self.refuse_waiting(handle, member, cx);
                }
                // Calls that aren't recognised by their keys are proposals of their own, attempt by attempt.
                let identity = match idempotent {
                    true => (0, source.identity),
                    false => (1 + u64::from(self.member(member).node.id().0), self.name(member)),
                };
                self.propose(member, identity, command, handle, cx);
            }
            Request::Work { .. } | Request::Acquire | Request::Journal(_) => {
                unreachable!("a store isn't asked to work")
            }
        }
    }

    fn name(&mut self, member: u32) -> u64 {
        let it = self.member(member);
        it.names += 1;
        it.names
    }

    fn propose(&mut self, member: u32, identity: Identity, command: Command, handle: Handle, cx: &mut Cx<'_, '_>) {
        let key = command.key;
        let waiting = self.begin_to_wait(member, handle, Deadline::Update(identity, handle), cx);
        let it = self.member(member);
        let is_known = it.node.disk().sessions.knows(identity);
        let others = it.updates.entry(identity).or_default();
        others.push(waiting);
        if is_known {
            self.answer_update(member, identity, key, cx);
        } else if others.len() == 1 {
            self.drive(member, cx, |node, now| node.propose(identity, command, now));
        }
    }

    fn begin_to_wait(&mut self, member: u32, attempt: Handle, deadline: Deadline, cx: &mut Cx<'_, '_>) -> Waiting {
        let since = cx.now();
        let due = since.saturating_add(self.group().timeout);
        let it = self.member(member);
        it.deadlines.push_back((due, deadline));
        let stalled = it.stalled;
        self.set_deadline(member, cx);
        Waiting {
            attempt,
            since,
            stalled,
        }
    }

    /// Waiting for the group is coordination, but for what the replica stood still.
    fn end_to_wait(&mut self, member: u32, waiting: Waiting, cx: &mut Cx<'_, '_>) {
        let (now, stalled) = (cx.now(), self.member(member).stalled);
        if let Some(attempt) = cx.shared.attempts.get_mut(waiting.attempt) {
            let stood = stalled - waiting.stalled;
            attempt.down += stood;
            attempt.coordinated += (now - waiting.since) - stood;
        }
    }

    /// Answers the attempts at an update that is applied, or was refused where it was.
    pub(super) fn answer_update(&mut self, member: u32, identity: Identity, key: u32, cx: &mut Cx<'_, '_>) {
        let it = self.member(member);
        let Some(waiting) = it.updates.remove(&identity) else {
            return;
        };
        let moved = it.moved.knows(identity);
        let entry = &self.replicas[member as usize].slots[key as usize].entry;
        let context = self.model.context(entry);
        for waiting in waiting {
            self.end_to_wait(member, waiting, cx);
            let bytes = if moved { 0 } else { context.bytes() };
            if let Some(attempt) = cx.shared.attempts.get_mut(waiting.attempt) {
                if moved {
                    attempt.outcome = Outcome::Moved;
                } else {
                    attempt.context = Some(Box::new(context.clone()));
                    attempt.outcome = Outcome::Done;
                }
            }
            self.answer(member, waiting.attempt, bytes, cx);
        }
    }

    /// A read may be answered.
    pub(super) fn serve_read(&mut self, member: u32, token: u64, cx: &mut Cx<'_, '_>) {
        if let Some((key, waiting)) = self.member(member).reads.remove(&token) {
            self.end_to_wait(member, waiting, cx);
            self.read(member, key, waiting.attempt, cx);
        }
    }

    fn refuse_waiting(&mut self, handle: Handle, member: u32, cx: &mut Cx<'_, '_>) {
        if let Some(attempt) = cx.shared.attempts.get_mut(handle) {
            attempt.outcome = Outcome::Refused { retry_after: None };
        }
        self.answer(member, handle, 0, cx);
    }

    /// The entry of the requests' timer has come.
    pub(in crate::stores) fn deadline(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        self.member(member).deadline_set = false;
        let replica = &self.replicas[member as usize];
        if !replica.down && replica.paused.is_none() {
            self.refuse_overdue(member, cx);
        }
    }

    /// Refuses what has waited too long.
    pub(super) fn refuse_overdue(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        loop {
            let it = self.member(member);
            let Some(&(due, deadline)) = it.deadlines.front() else {
                return;
            };
            let is_over = match deadline {
                Deadline::Update(identity, _) => !it.updates.contains_key(&identity),
                Deadline::Read(token) => !it.reads.contains_key(&token),
            };
            if !is_over && due > now {
                return self.set_deadline(member, cx);
            }
            it.deadlines.pop_front();
            match deadline {
                _ if is_over => {}
                Deadline::Read(token) => {
                    it.node.give_up_read(token);
                    if let Some((_, waiting)) = it.reads.remove(&token) {
                        self.end_to_wait(member, waiting, cx);
                        self.refuse_waiting(waiting.attempt, member, cx);
                    }
                }
                Deadline::Update(identity, attempt) => {
                    let Some(all) = it.updates.get_mut(&identity) else {
                        continue;
                    };
                    let Some(place) = all.iter().position(|waiting| waiting.attempt == attempt) else {
                        continue;
                    };
                    let waiting = all.remove(place);
                    if all.is_empty() {
                        it.updates.remove(&identity);
                        it.node.give_up(identity);
                    }
                    self.end_to_wait(member, waiting, cx);
                    self.refuse_waiting(waiting.attempt, member, cx);
                }
            }
        }
    }
}
