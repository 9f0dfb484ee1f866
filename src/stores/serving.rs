//! How a replica deals with a request: takes it on, works on it, reads or applies, and answers.
//!
//! Guarantees: an attempt of an idempotent update that a replica knows is answered, and not applied again, as long as the
//! replica's state survives.

use super::replica::{Accepted, Job, Known, Waiting, show, tell};
use super::replication::bytes_of;
use super::store::{SERVED, Store};
use super::subscriptions::invalidate;
use super::words::{op_words, push_own_reply, push_versions, store_key};
use crate::state::{Accept, Context, Dot, Keeping, Op, Resolution, Versions};
use crate::world::call::{Outcome, Request, answer_address};
use crate::world::message::{Message, MessageKind};
use crate::world::population::{Cx, purpose, request_bytes};
use crate::world::record::What;
use crate::world::slab::Handle;

impl<R: Resolution> Store<R> {
    /// A request is there.
    pub(super) fn arrive(&mut self, member: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        let (now, handle) = (cx.now(), message.handle);
        let first = self.replicas[0].endpoint.id;
        let is_passed = (first..first + self.replicas.len() as u32).contains(&message.from);
        let replica = &mut self.replicas[member as usize];
        let id = replica.endpoint.id;
        let Some((attempt, call)) = cx.shared.journey_mut(handle) else {
            return;
        };
        if is_passed {
            // It has been with the store since it came to whoever passed it on.
            (attempt.finished, attempt.coordinated) = (now, (now - attempt.arrived) - attempt.down);
        } else {
            (attempt.arrived, attempt.started, attempt.finished) = (now, now, now);
        }
        let words = [call.identity, call.client as u64, attempt.number as u64];
        cx.record(What::RequestArrived, id, words);
        if replica.down {
            cx.record(What::RequestDropped, id, [words[0], 0, 0]);
            cx.drop_attempt(handle);
        } else if replica.paused.is_some() {
            replica.inbox.push_back(Waiting::Request(handle));
        } else {
            if is_passed && self.spec.quorum().is_some() {
                self.take_over(member, message, cx);
            } else if is_passed && self.spec.primary().is_some() {
                self.accept_forwarded(member, message, cx);
            }
            self.begin(member, handle, cx);
        }
    }

    /// A request is taken on.
    pub(super) fn begin(&mut self, member: u32, handle: Handle, cx: &mut Cx<'_, '_>) {
        let Some((_, call)) = cx.shared.journey(handle) else {
            return;
        };
        let identity = call.identity;
        if self.spec.primary().is_some() {
            if self.is_put_off(member, handle, true, cx) {
                return;
            }
        } else if let Request::Update { key, .. } = call.request
            && call.idempotent
            && self.spec.keeps(member, key)
            && self.spec.raft().is_none()
        {
            let replica = &mut self.replicas[member as usize];
            match replica.known.get_mut(&identity) {
                Some(Known::Accepted { .. }) => return self.coordinate_again(member, identity, handle, cx),
                Some(Known::Done) => return self.answer_again(member, handle, cx),
                Some(Known::InWork(waiting)) => return waiting.push(handle),
                None => drop(replica.known.insert(identity, Known::InWork(Vec::new()))),
            }
        }
        let replica = &mut self.replicas[member as usize];
        let Some((attempt, call)) = cx.shared.journey(handle) else {
            return;
        };
        let Some(law) = &self.spec.processing else {
            return self.serve(member, handle, cx);
        };
        let address = call.about(attempt);
        let took = law.sample_duration(&mut call.key.stream(purpose::SERVICE, address), address);
        let now = cx.now();
        let (due, ticket) = (now + took, replica.endpoint.origin.take());
        let job = self.jobs.insert(Job {
            attempt: handle,
            identity,
            began: now,
            due,
            ticket,
            overdue: false,
        });
        replica.in_work.push(job);
        cx.schedule_in_place(ticket, due, SERVED, replica.endpoint.id, job.to_word());
    }

    /// A request is served: reads, or applies, and answers.
    pub(super) fn serve(&mut self, member: u32, handle: Handle, cx: &mut Cx<'_, '_>) {
        if self.holds_back(member, handle, cx) {
            return;
        }
        let Some((attempt, call)) = cx.shared.journey_mut(handle) else {
            return;
        };
        match &call.request {
            Request::Read { .. } | Request::Update { .. } if self.spec.primary().is_some() => {
                self.order(member, handle, cx);
            }
            Request::Read { .. } | Request::Update { .. } if self.spec.quorum().is_some() => {
                self.coordinate(member, handle, cx);
            }
            Request::Read { .. } | Request::Update { .. } if self.spec.raft().is_some() => {
                self.agree(member, handle, cx);
            }
            Request::Read { key } => {
                let key = *key;
                if self.is_fenced(member, handle, cx) {
                    return self.answer(member, handle, 0, cx);
                }
                self.read(member, key, handle, cx);
            }
            Request::Update { key, op, .. } => {
                let (key, op, expects) = (*key, *op, call.request.expects());
                let (context, awaits) = (call.request.context().cloned(), call.request.awaits());
                if let Some(awaits) = awaits
                    && self.must_wait(member, key, context.as_ref())
                {
                    return self.park_update(member, handle, awaits, cx);
                }
                let Some((attempt, call)) = cx.shared.journey_mut(handle) else {
                    return;
                };
                let identity = call.identity;
                let about = call.key.draw(purpose::REPLICATION, call.about(attempt));
                if self.model.refuses(self.spec.keys[key as usize].1, op).is_some() {
                    let refused = Outcome::Refused { retry_after: None };
                    return self.refuse_update(member, identity, refused, handle, cx);
                }
                if self.is_fenced(member, handle, cx) {
                    return self.refuse_update(member, identity, Outcome::Fenced, handle, cx);
                }
                if let Some(version) = expects {
                    let holds = self.version(member, key) == version;
                    let words = [identity, store_key(self.index, key), u64::from(holds)];
                    cx.record(What::Swapped, self.replicas[member as usize].endpoint.id, words);
                    if !holds {
                        return self.refuse_update(member, identity, Outcome::Moved, handle, cx);
                    }
                }
                let delta = self.update(member, key, op, context.as_ref(), handle, cx);
                self.replicate(member, key, delta, about, cx);
                let waiting = self.replicas[member as usize].known.get_mut(&identity);
                if let Some(Known::InWork(waiting)) = waiting.map(|known| std::mem::replace(known, Known::Done)) {
                    for attempt in waiting {
                        self.answer_again(member, attempt, cx);
                    }
                }
                self.unpark(member, cx);
            }
            // The plan has checked that nobody asks a store to work.
            Request::Work { .. }
            | Request::Acquire
            | Request::Journal(_)
            | Request::Publish { .. }
            | Request::Poll { .. } => {
                attempt.outcome = Outcome::Refused { retry_after: None };
                self.answer(member, handle, 0, cx);
            }
        }
    }

    pub(super) fn read(&mut self, member: u32, key: u32, handle: Handle, cx: &mut Cx<'_, '_>) {
        let version = self.version(member, key);
        let replica = &self.replicas[member as usize];
        let entry = &replica.slots[key as usize].entry;
        let Some((attempt, call)) = cx.shared.journey_mut(handle) else {
            return;
        };
        let context = self.model.context(entry);
        let size = self.model.entry_size(entry);
        let token = self.token_of_read(member, key);
        let token_bytes = token.as_ref().map_or(0, |token| token.bytes());
        let bytes = size.content(self.spec.value_bytes) + context.bytes() + token_bytes;
        if token.is_some() {
            attempt.findings_mut().token = token;
        }
        attempt.context = Some(Box::new(context));
        attempt.version = version;
        if call.counts {
            attempt.findings_mut().amount = self.model.view(entry).value.amount();
        }
        attempt.outcome = Outcome::Done;
        let (identity, number) = (call.identity, attempt.number);
        let began_and_client = [call.began.as_nanos(), call.client as u64];
        if cx.wants(What::ReadServed) {
            self.words.clear();
            self.words.extend(began_and_client);
            push_own_reply(&self.model.versions(entry), &mut self.words);
            let words = [identity, store_key(self.index, key), number as u64];
            cx.record_with(What::ReadServed, replica.endpoint.id, words, &self.words);
        }
        self.subscribe(member, key, None, handle, cx);
        self.answer(member, handle, bytes, cx);
    }

    /// Applies an update and answers it; returns the news for the other replicas.
    fn update(
        &mut self,
        member: u32,
        key: u32,
        op: Op,
        context: Option<&Context>,
        handle: Handle,
        cx: &mut Cx<'_, '_>,
    ) -> R::Delta {
        let accepted = self.accept(member, key, op, context, handle, cx);
        self.take_place(member, key, handle, cx);
        cx.executed(self.replicas[member as usize].endpoint.id, handle);
        let mut bytes = accepted.context.bytes();
        if let Some(attempt) = cx.shared.attempts.get_mut(handle) {
            bytes += attempt.token().map_or(0, |token| token.bytes());
            attempt.context = Some(Box::new(accepted.context));
            attempt.outcome = Outcome::Done;
        }
        self.answer(member, handle, bytes, cx);
        accepted.delta
    }

    /// Accepts an update: numbers, stamps and applies it.
    pub(super) fn accept(
        &mut self,
        member: u32,
        key: u32,
        op: Op,
        context: Option<&Context>,
        handle: Handle,
        cx: &mut Cx<'_, '_>,
    ) -> Accepted<R> {
        let (dot, stamp) = self.number(member, key, cx);
        let (id, word) = (self.replicas[member as usize].endpoint.id, store_key(self.index, key));
        if cx.wants(What::Accepted) {
            let versions = self
                .model
                .versions(&self.replicas[member as usize].slots[key as usize].entry);
            self.say_accepted(&versions, (dot, stamp), (id, word), (op, context), handle, cx);
        }
        let slot = &mut self.replicas[member as usize].slots[key as usize];
        let at = Accept { dot, stamp, context };
        let delta = self
            .model
            .update(&mut slot.entry, op, at, &mut |fate| tell(cx, id, word, fate));
        show(&self.model, slot, id, word, cx);
        let context = self.model.context(&slot.entry);
        invalidate(&mut self.replicas[member as usize], self.index, key, cx);
        self.replicas[member as usize].note_heard(key, [dot]);
        Accepted { delta, dot, context }
    }

    /// The identity and the stamp of the next update of a key that a replica accepts.
    pub(super) fn number(&mut self, member: u32, key: u32, cx: &Cx<'_, '_>) -> (Dot, i64) {
        let replica = &mut self.replicas[member as usize];
        let slot = &mut replica.slots[key as usize];
        slot.number += 1;
        (Dot::new(replica.origin, slot.number), replica.stamps.next(cx.now()))
    }

    /// Records that a replica accepts an update of a key of which it shows these versions.
    pub(super) fn say_accepted(
        &mut self,
        versions: &Versions,
        (dot, stamp): (Dot, i64),
        (id, word): (u32, u64),
        (op, context): (Op, Option<&Context>),
        handle: Handle,
        cx: &mut Cx<'_, '_>,
    ) {
        let Some((_, call)) = cx.shared.journey(handle) else {
            return;
        };
        let informed = matches!(op, Op::Write(_) | Op::InsertText { .. } | Op::DeleteText { .. });
        let keeps_all = self.model.keeping(op.key_type()) == Keeping::All;
        // A view of its own is one of the effects that its context names; whole values are replaced by what was made of them.
        let is_view = keeps_all && call.request.awaits().is_some();
        let replaces = !keeps_all && call.request.awaits().is_some();
        let blind = u64::from(context.is_none() || !informed || replaces);
        let [what, with] = op_words(op);
        self.words.clear();
        self.words.extend([
            call.began.as_nanos(),
            u64::from(call.client) | blind << 32 | u64::from(is_view) << 33,
            stamp as u64,
            what,
            with,
        ]);
        match context.filter(|_| is_view) {
            Some(context) => push_versions(&Versions::Effects(context.seen.clone()), &mut self.words),
            None => push_versions(versions, &mut self.words),
        }
        let words = [call.identity, word, dot.bits()];
        cx.record_with(What::Accepted, id, words, &self.words);
    }

    /// Answers an update that was applied before, as it was then.
    pub(super) fn answer_again(&mut self, member: u32, handle: Handle, cx: &mut Cx<'_, '_>) {
        let Some((_, call)) = cx.shared.journey(handle) else {
            return;
        };
        let Request::Update { key, .. } = call.request else {
            return;
        };
        self.say_place(member, key, handle, cx);
        let Some((attempt, _)) = cx.shared.journey_mut(handle) else {
            return;
        };
        let context = self.model.context(self.replicas[member as usize].own_entry(key));
        let bytes = context.bytes() + attempt.token().map_or(0, |token| token.bytes());
        attempt.context = Some(Box::new(context));
        attempt.outcome = Outcome::Done;
        self.answer(member, handle, bytes, cx);
    }

    pub(super) fn answer(&mut self, member: u32, handle: Handle, bytes: u64, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let Some((attempt, call)) = cx.shared.journey_mut(handle) else {
            return;
        };
        attempt.finished = now;
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        let message = Message::new(MessageKind::Response, call.client, 0, bytes).with(handle);
        let (key, about) = (call.key, call.about_answer(attempt));
        cx.send_about(&mut self.replicas[member as usize].endpoint, message, key, about);
    }

    /// Sends an attempt on to another replica, by a copy of its own: this one stays here until the other has said that it has come, with
    /// this word.
    pub(super) fn send_on(&mut self, member: u32, target: u32, handle: Handle, word: u64, cx: &mut Cx<'_, '_>) {
        let Some((attempt, call)) = cx.shared.journey_mut(handle) else {
            return;
        };
        call.paths += 1;
        let copy = attempt.clone();
        let (key, about) = (call.key, answer_address(call.about_answer(&copy)));
        let bytes = request_bytes(&call.request, bytes_of(self.spec.value_bytes));
        let copy = cx.shared.attempts.insert(copy);
        let to = self.replicas[target as usize].endpoint.id;
        let mut message = Message::new(MessageKind::Request, to, 0, bytes).with(copy);
        message.value = word;
        cx.send_about(&mut self.replicas[member as usize].endpoint, message, key, about);
    }

    pub(super) fn served(&mut self, member: u32, handle: Handle, cx: &mut Cx<'_, '_>) {
        let job = self.jobs.remove(handle).expect("a live end of work has its job");
        self.replicas[member as usize].in_work.retain(|other| *other != handle);
        self.serve(member, job.attempt, cx);
    }
}
