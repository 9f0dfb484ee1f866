//! What agents ask of a replica, from when it is there until it is answered.

use super::super::store::Store;
use super::Reads;
use super::member::{Command, Deadline, Seat, Source, Waiting};
use crate::coordination::raft::{Identity, Index};
use crate::kernel::SimDuration;
use crate::state::{Origin, Resolution, Token, VersionVector};
use crate::world::call::{Outcome, Request};
use crate::world::population::Cx;
use crate::world::slab::Handle;

/// The name of a group in what sessions remember.
fn origin_of(shard: u32) -> Origin {
    Origin::new(u16::try_from(shard).expect("fewer than 2^16 groups"), 0)
}

/// Up to which entry of a group's log a session has seen.
fn entry_in(token: &Token, shard: u32) -> Index {
    let of = |vector: &VersionVector| vector.get(origin_of(shard));
    Index::from(of(&token.reads).max(of(&token.writes)))
}

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
            Request::Read { key } if self.group().reads == Reads::Local => {
                let (key, seat) = (*key, self.seat(member, *key));
                let needs = call.token().map_or(0, |token| entry_in(token, seat.shard));
                if needs <= self.member(seat).decided {
                    return self.read(member, key, handle, cx);
                }
                self.read_behind(seat, key, needs, handle, cx);
            }
            Request::Read { key } => {
                let (key, seat) = (*key, self.seat(member, *key));
                let token = self.name(seat);
                let timeout = self.group().timeout;
                let waiting = self.begin_to_wait(seat, handle, (Deadline::Read(token), timeout), cx);
                self.member(seat).reads.insert(token, (key, waiting));
                self.drive(seat, cx, |node, now| node.read(token, now));
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
                let seat = self.seat(member, command.key);
                // Calls that aren't recognised by their keys are proposals of their own, attempt by attempt.
                let identity = match idempotent {
                    true => (0, source.identity),
                    false => (1 + u64::from(self.member(seat).node.id().0), self.name(seat)),
                };
                self.propose(seat, identity, command, handle, cx);
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

    fn name(&mut self, seat: Seat) -> u64 {
        let it = self.member(seat);
        it.names += 1;
        it.names
    }

    fn propose(&mut self, seat: Seat, identity: Identity, command: Command, handle: Handle, cx: &mut Cx<'_, '_>) {
        let key = command.key;
        let timeout = self.group().timeout;
        let waiting = self.begin_to_wait(seat, handle, (Deadline::Update(identity, handle), timeout), cx);
        let it = self.member(seat);
        let is_known = it.node.disk().sessions.knows(identity);
        let others = it.updates.entry(identity).or_default();
        others.push(waiting);
        if is_known {
            self.answer_update(seat, identity, key, cx);
        } else if others.len() == 1 {
            self.drive(seat, cx, |node, now| node.propose(identity, command, now));
        }
    }

    fn begin_to_wait(
        &mut self,
        seat: Seat,
        attempt: Handle,
        (deadline, patience): (Deadline, SimDuration),
        cx: &mut Cx<'_, '_>,
    ) -> Waiting {
        let since = cx.now();
        let due = since.saturating_add(patience);
        let it = self.member(seat);
        let place = it.deadlines.partition_point(|(other, _)| *other <= due);
        it.deadlines.insert(place, (due, deadline));
        let stalled = it.stalled;
        self.set_deadline(seat, cx);
        Waiting {
            attempt,
            since,
            stalled,
        }
    }

    /// Waiting for the group is coordination, but for what the replica stood still.
    fn end_to_wait(&mut self, seat: Seat, waiting: Waiting, cx: &mut Cx<'_, '_>) {
        let (now, stalled) = (cx.now(), self.member(seat).stalled);
        if let Some(attempt) = cx.shared.attempts.get_mut(waiting.attempt) {
            let stood = stalled - waiting.stalled;
            attempt.down += stood;
            attempt.coordinated += (now - waiting.since) - stood;
        }
    }

    /// Answers the attempts at an update that is applied, or was refused where it was.
    pub(super) fn answer_update(&mut self, seat: Seat, identity: Identity, key: u32, cx: &mut Cx<'_, '_>) {
        let it = self.member(seat);
        let Some(waiting) = it.updates.remove(&identity) else {
            return;
        };
        let moved = it.moved.knows(identity);
        let entry = &self.replicas[seat.replica as usize].slots[key as usize].entry;
        let context = self.model.context(entry);
        let token = self.token_of_update(seat);
        for waiting in waiting {
            self.end_to_wait(seat, waiting, cx);
            let told = token.as_ref().map_or(0, |token| token.bytes());
            let bytes = told + if moved { 0 } else { context.bytes() };
            if let Some(attempt) = cx.shared.attempts.get_mut(waiting.attempt) {
                if token.is_some() {
                    attempt.findings_mut().token.clone_from(&token);
                }
                if moved {
                    attempt.outcome = Outcome::Moved;
                } else {
                    attempt.context = Some(Box::new(context.clone()));
                    attempt.outcome = Outcome::Done;
                }
            }
            self.answer(seat.replica, waiting.attempt, bytes, cx);
        }
    }

    /// A local read of a session that has seen more than its replica: it waits until that has applied so much.
    fn read_behind(&mut self, seat: Seat, key: u32, needs: Index, handle: Handle, cx: &mut Cx<'_, '_>) {
        let patience = self.group().sessions.unwrap_or_default();
        if patience == SimDuration::ZERO {
            return self.refuse_waiting(handle, seat.replica, cx);
        }
        let name = self.name(seat);
        let waiting = self.begin_to_wait(seat, handle, (Deadline::Read(name), patience), cx);
        let it = self.member(seat);
        it.reads.insert(name, (key, waiting));
        it.behind.insert((needs, name));
    }

    /// Answers the local reads whose sessions have seen no more than what is applied.
    pub(super) fn serve_behind(&mut self, seat: Seat, cx: &mut Cx<'_, '_>) {
        let it = self.member(seat);
        let rest = it.behind.split_off(&(it.decided + 1, 0));
        for (_, name) in std::mem::replace(&mut it.behind, rest) {
            self.serve_read(seat, name, cx);
        }
    }

    /// What a session remembers of a group: up to where its log was applied where it was answered.
    fn bookmark(&self, seat: Seat) -> Option<VersionVector> {
        self.group().sessions?;
        let decided = self.replicas[seat.replica as usize].raft[seat.shard as usize].decided;
        let mut vector = VersionVector::default();
        if decided > 0 {
            let number = u32::try_from(decided).expect("fewer than 2^32 entries");
            vector.raise(origin_of(seat.shard), number);
        }
        Some(vector)
    }

    fn token_of_update(&self, seat: Seat) -> Option<Box<Token>> {
        let (reads, writes) = (VersionVector::default(), self.bookmark(seat)?);
        Some(Box::new(Token { reads, writes }))
    }

    /// What a read brings of a store under Raft with sessions.
    pub(in crate::stores) fn token_of_local(&self, member: u32, key: u32) -> Option<Box<Token>> {
        let (reads, writes) = (self.bookmark(self.seat(member, key))?, VersionVector::default());
        Some(Box::new(Token { reads, writes }))
    }

    /// A read may be answered.
    pub(super) fn serve_read(&mut self, seat: Seat, token: u64, cx: &mut Cx<'_, '_>) {
        if let Some((key, waiting)) = self.member(seat).reads.remove(&token) {
            self.end_to_wait(seat, waiting, cx);
            self.read(seat.replica, key, waiting.attempt, cx);
        }
    }

    fn refuse_waiting(&mut self, handle: Handle, member: u32, cx: &mut Cx<'_, '_>) {
        if let Some(attempt) = cx.shared.attempts.get_mut(handle) {
            attempt.outcome = Outcome::Refused { retry_after: None };
        }
        self.answer(member, handle, 0, cx);
    }

    /// The entry of the requests' timer has come.
    pub(in crate::stores) fn deadline(&mut self, member: u32, shard: u64, cx: &mut Cx<'_, '_>) {
        let (replica, shard) = (member, shard as u32);
        let seat = Seat { replica, shard };
        let (it, now) = (self.member(seat), cx.now());
        it.deadline_at = it.deadline_at.filter(|at| *at > now);
        let replica = &self.replicas[seat.replica as usize];
        if !replica.down && replica.paused.is_none() {
            self.refuse_overdue(seat, cx);
        }
    }

    /// Refuses what has waited too long.
    pub(super) fn refuse_overdue(&mut self, seat: Seat, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        loop {
            let it = self.member(seat);
            let Some(&(due, deadline)) = it.deadlines.front() else {
                return;
            };
            let is_over = match deadline {
                Deadline::Update(identity, _) => !it.updates.contains_key(&identity),
                Deadline::Read(token) => !it.reads.contains_key(&token),
            };
            if !is_over && due > now {
                return self.set_deadline(seat, cx);
            }
            it.deadlines.pop_front();
            match deadline {
                _ if is_over => {}
                Deadline::Read(token) => {
                    it.node.give_up_read(token);
                    it.behind.retain(|(_, name)| *name != token);
                    if let Some((_, waiting)) = it.reads.remove(&token) {
                        self.end_to_wait(seat, waiting, cx);
                        self.refuse_waiting(waiting.attempt, seat.replica, cx);
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
                    self.end_to_wait(seat, waiting, cx);
                    self.refuse_waiting(waiting.attempt, seat.replica, cx);
                }
            }
        }
    }
}
