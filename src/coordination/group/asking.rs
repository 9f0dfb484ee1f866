//! What agents ask of members, and their answers.

use super::super::member::{Answer, Asked, Input, Member, event};
use super::{Group, Waiting};
use crate::kernel::SimTime;
use crate::world::call::{Outcome, Request};
use crate::world::message::{Message, MessageKind};
use crate::world::population::Cx;
use crate::world::record::What;
use crate::world::slab::Handle;

impl<M: Member> Group<M> {
    /// An agent asks a member for something.
    pub(super) fn asked(&mut self, member: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        let (now, handle) = (cx.now(), message.handle);
        let stood = self.stood_by(member, now);
        let Some((attempt, call)) = cx.shared.journey_mut(handle) else {
            return;
        };
        (attempt.arrived, attempt.started, attempt.finished) = (now, now, now);
        let identity = call.identity;
        let content = match &call.request {
            Request::Work { prompt, .. } => prompt.as_ref().and_then(|prompt| prompt.about),
            _ => None,
        };
        let words = [identity, u64::from(call.client), u64::from(attempt.number)];
        let server = self.base + member;
        cx.record(What::RequestArrived, server, words);
        cx.record(
            What::Coordination,
            server,
            [identity, words[2], u64::from(event::ASKED)],
        );
        let waiting = Waiting {
            member,
            identity,
            since: now,
            stood,
        };
        let token = handle.to_word();
        self.waiting.insert(token, waiting);
        let asked = Asked {
            token,
            identity,
            // Whoever says nothing proposes what should be approved.
            value: content.unwrap_or(1),
            bytes: message.bytes,
        };
        self.hand(member, Input::Asked(asked), cx);
    }

    /// A member answers: all the time that the question was here is coordination, but for what the member stood still.
    pub(super) fn answer(&mut self, answer: Answer, cx: &mut Cx<'_, '_>) {
        let Some(waiting) = self.waiting.remove(answer.token) else {
            return;
        };
        let now = cx.now();
        let (member, handle) = (waiting.member, Handle::from_word(answer.token));
        let stood = self.stood_by(member, now) - waiting.stood;
        let since = waiting.since.as_nanos();
        let words = [waiting.identity, u64::from(answer.done), u64::from(event::ANSWERED)];
        cx.record_with(What::Coordination, self.base + member, words, &[since, answer.value]);
        let bytes = self.spec.answer_bytes;
        let Some((attempt, call)) = cx.shared.journey_mut(handle) else {
            return;
        };
        attempt.finished = now;
        attempt.down = SimTime::from_nanos(stood) - SimTime::ZERO;
        attempt.coordinated = (now - attempt.started) - attempt.down;
        attempt.outcome = match answer.done {
            true => Outcome::Done,
            false => Outcome::Refused { retry_after: None },
        };
        if call.counts {
            attempt.findings.get_or_insert_default().amount = i64::try_from(answer.value).unwrap_or(i64::MAX);
        }
        let message = Message::new(MessageKind::Response, call.client, 0, bytes).with(handle);
        let (key, about) = (call.key, call.about_answer(attempt));
        cx.send_about(&mut self.seats[member as usize].endpoint, message, key, about);
    }
}
