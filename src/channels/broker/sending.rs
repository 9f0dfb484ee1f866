//! What a channel wants done: messages are sent, polls answered, records written.

use super::super::core::{Effect, Note};
use super::super::event;
use super::super::item::Handed;
use super::{Broker, Waiting, word};
use crate::world::call::{Outcome, attempt_address};
use crate::world::message::{Message, MessageKind};
use crate::world::population::Cx;
use crate::world::record::What;
use crate::world::slab::Handle;

impl Broker {
    /// Does what the channel wants done, and sees to it that it is looked at when something is due next.
    pub(super) fn carry_out(&mut self, cx: &mut Cx<'_, '_>) {
        for effect in self.core.take_effects() {
            match effect {
                Effect::Note(note) => self.say(&note, cx),
                Effect::Push {
                    consumer,
                    scope,
                    handed,
                } => self.push(consumer, scope, &handed, cx),
                Effect::Answer {
                    poll,
                    consumer,
                    scope,
                    handed,
                } => {
                    let Some(waiting) = self.polls.remove(&poll) else {
                        continue;
                    };
                    for one in &handed {
                        self.say_delivered(consumer, scope, one, cx);
                    }
                    let bytes = handed.iter().map(|one| one.item.publication.bytes);
                    let bytes = bytes.fold(0, u32::saturating_add);
                    let got: Vec<(u64, u64)> = handed
                        .iter()
                        .map(|one| (one.item.publication.identity, one.tag))
                        .collect();
                    self.answer(&waiting, Outcome::Done, &got, bytes, cx);
                }
                Effect::DeadLetter { publication, to } => {
                    let mut message = Message::new(MessageKind::Plain, to, 0, publication.bytes);
                    message.value = publication.identity;
                    message.handle = Handle::from_word(publication.key.map_or(0, |key| key.wrapping_add(1)));
                    let (key, about) = (self.endpoint.key, publication.about.rotate_left(7) ^ 0x6465_6164);
                    cx.send_about(&mut self.endpoint, message, key, about);
                }
                Effect::Invite(consumer) => {
                    let message = Message::new(MessageKind::Peer, consumer, word::INVITE, word::BYTES);
                    let salt = self.salt(consumer);
                    let about = attempt_address(salt ^ 0x0069_6e76_6974_6521, (cx.now().as_nanos() >> 20) as u32);
                    let key = self.endpoint.key;
                    cx.send_about(&mut self.endpoint, message, key, about);
                }
            }
        }
        self.arm(cx);
    }

    fn say(&self, note: &Note, cx: &mut Cx<'_, '_>) {
        cx.record_with(
            What::Channel,
            self.endpoint.id,
            [note.a, note.b, note.event],
            note.extra(),
        );
    }

    /// A message is about to be handed over in what is sent next.
    fn say_delivered(&self, consumer: u32, scope: u32, handed: &Handed, cx: &mut Cx<'_, '_>) {
        let carrier = u64::from(self.endpoint.id) << 32 | u64::from(self.endpoint.sent);
        let item = &handed.item;
        let extra = [scope.into(), consumer.into(), carrier, handed.before.into()];
        let words = [item.publication.identity, item.number, event::DELIVERED];
        cx.record_with(What::Channel, self.endpoint.id, words, &extra);
    }

    /// What tells the draws about a consumer's messages from those of others: it depends on its group's name and its number there.
    fn salt(&self, consumer: u32) -> u64 {
        let place = self.spec.consumers.partition_point(|group| group.base <= consumer);
        let place = place.saturating_sub(1);
        let own = self.spec.consumers.get(place).zip(self.salts.get(place));
        own.map_or(0, |(group, salt)| {
            let number = u64::from(consumer.wrapping_sub(group.base));
            salt.wrapping_add(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
        })
    }

    fn push(&mut self, consumer: u32, scope: u32, handed: &Handed, cx: &mut Cx<'_, '_>) {
        self.say_delivered(consumer, scope, handed, cx);
        let publication = &handed.item.publication;
        let bytes = self.spec.answer_bytes.saturating_add(publication.bytes);
        let mut message = Message::new(MessageKind::Plain, consumer, self.spec.topic, bytes);
        message.value = publication.identity;
        message.handle = Handle::from_word(handed.tag);
        let nth = (handed.tag & 0xfff) as u32;
        let about = attempt_address(publication.about.rotate_left(13) ^ self.salt(consumer), nth);
        let key = self.endpoint.key;
        cx.send_about(&mut self.endpoint, message, key, about);
    }

    /// Answers an operation, and says where its time went: what it waited for messages, once its work was done, is coordination.
    pub(super) fn answer(
        &mut self,
        waiting: &Waiting,
        outcome: Outcome,
        got: &[(u64, u64)],
        bytes: u32,
        cx: &mut Cx<'_, '_>,
    ) {
        let now = cx.now();
        let ends = self.moment(now);
        let Some((attempt, call)) = cx.shared.journey_mut(waiting.attempt) else {
            return;
        };
        attempt.started = waiting.started.at;
        attempt.finished = now;
        attempt.stood = waiting.started.stood - waiting.arrived.stood;
        attempt.down = ends.stood - waiting.started.stood;
        attempt.coordinated = (now - waiting.worked.at) - (ends.stood - waiting.worked.stood);
        attempt.outcome = outcome;
        if !got.is_empty() {
            attempt.findings_mut().polled = got.into();
        }
        let (identity, client) = (call.identity, call.client);
        let words = [identity, waiting.started.at.as_nanos(), 0];
        let message = Message::new(
            MessageKind::Response,
            client,
            0,
            self.spec.answer_bytes.saturating_add(bytes),
        );
        let (key, about) = (call.key, call.about_answer(attempt));
        let arrived = waiting.arrived.at.as_nanos();
        cx.record_with(What::ServiceFinished, self.endpoint.id, words, &[arrived]);
        cx.send_about(&mut self.endpoint, message.with(waiting.attempt), key, about);
    }
}
