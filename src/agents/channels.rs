//! Channels from the client's side: publishing, polling, handling what is pushed, acknowledging, remembering what was handled.
//!
//! Guarantees: a message is acknowledged once all steps about it are done, and never if one of them failed. A consumer that remembers
//! what it has handled handles nothing twice that it remembers: it looks at the beginning, and again at the end, where what somebody
//! else who shares its memory has handled in the meantime is not handled a second time.

use super::group::AgentGroup;
use super::step::KeyOf;
use crate::channels::broker::word;
use crate::channels::event;
use crate::world::call::{Request, call_identity};
use crate::world::message::{Message, MessageKind};
use crate::world::population::{Cx, purpose};
use crate::world::record::What;
use crate::world::slab::Handle;
use serde::Serialize;
use std::collections::{BTreeSet, VecDeque};

/// The bit that tells a publication's step from a call's.
pub(super) const PUBLISH: u32 = 1 << 28;
/// The bit that tells a poll's step from a call's.
pub(super) const POLL: u32 = 1 << 27;
/// Either.
pub(super) const CHANNEL: u32 = PUBLISH | POLL;

/// The owner of what a whole group remembers.
const GROUP: u32 = u32::MAX;

/// A channel from which a group gets messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Consumes {
    /// The channel's entity.
    pub channel: u32,
    /// The topic of what it pushes.
    pub topic: u16,
    /// Whether it pushes; otherwise it is polled.
    pub pushed: bool,
    /// Whether what was handled is acknowledged.
    pub acknowledges: bool,
    /// What is remembered of what was handled.
    pub remembers: Option<Remembers>,
}

/// What consumers remember of what they have handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Remembers {
    /// How many messages; of more the oldest is forgotten.
    pub most: u32,
    /// Whether the agents of the group share their memory. Then it survives a crash of any of them.
    pub shared: bool,
}

/// A message that an activation handles.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct InHand {
    pub channel: u32,
    identity: u64,
    tag: u64,
}

/// What a poll has brought.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Polled {
    channel: u32,
    left: VecDeque<(u64, u64)>,
    at: Option<(u64, u64)>,
}

/// The messages that were handled, as far as they are remembered.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Handled {
    all: BTreeSet<u64>,
    order: VecDeque<u64>,
}

impl Handled {
    /// Whether a message wasn't handled before; it is from now on.
    fn is_new(&mut self, identity: u64, most: u32) -> bool {
        if !self.all.insert(identity) {
            return false;
        }
        self.order.push_back(identity);
        if self.order.len() > most as usize
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
        true
    }
}

impl AgentGroup {
    /// How the group gets messages from a channel.
    fn consumes(&self, channel: u32) -> Option<Consumes> {
        let mut all = self.spec.channels.iter();
        all.find(|consumes| consumes.channel == channel).copied()
    }

    /// A publication begins; true if it is over at once, since nobody waits for the broker.
    pub(super) fn begin_publish(&mut self, id: u32, index: u32, cx: &mut Cx<'_, '_>) -> bool {
        let spec = std::sync::Arc::clone(&self.spec);
        let step = &spec.program.publications[index as usize];
        let member = self.member_of(id);
        let about = match &step.about {
            KeyOf::Nothing => None,
            KeyOf::Publisher => Some(u64::from(self.biographies[member as usize].ordinal)),
            KeyOf::Law(law) => {
                let (mut stream, number) = self.draws(id, purpose::KEY);
                Some(law.sample(&mut stream, number).max(0.0) as u64)
            }
        };
        let (channel, bytes) = (step.channel, step.bytes);
        let agent = &self.agents[member as usize];
        // The identity that the publication is about to get.
        let identity = call_identity(agent.endpoint.id, agent.calls);
        let words = [identity, u64::from(step.acknowledged), event::SENT];
        let extra = [u64::from(channel), cx.now().as_nanos()];
        cx.record_with(What::Channel, agent.endpoint.id, words, &extra);
        if step.acknowledged {
            self.open_call(id, index | PUBLISH, channel, Request::Publish { about, bytes }, cx);
            return false;
        }
        let address = self.address(id);
        let agent = &mut self.agents[member as usize];
        agent.calls += 1;
        let mut message = Message::new(MessageKind::Plain, channel, 0, bytes);
        message.value = identity;
        message.handle = Handle::from_word(about.map_or(0, |about| about.wrapping_add(1)));
        let key = agent.endpoint.key;
        cx.send_about(&mut agent.endpoint, message, key, address);
        true
    }

    /// A poll begins. What the activation hasn't handled of the one before stays unacknowledged.
    pub(super) fn begin_poll(&mut self, id: u32, index: u32, cx: &mut Cx<'_, '_>) {
        self.abandon_polled(id, cx);
        let step = self.spec.program.polls[index as usize].0;
        let polled = Polled {
            channel: step.channel,
            ..Polled::default()
        };
        self.polled.insert(id, polled);
        let request = Request::Poll {
            most: step.most,
            wait: step.wait,
        };
        self.open_call(id, index | POLL, step.channel, request, cx);
    }

    /// A poll is answered.
    pub(super) fn polled(&mut self, id: u32, messages: Box<[(u64, u64)]>) {
        if let Some(polled) = self.polled.get_mut(&id) {
            polled.left.extend(messages);
        }
    }

    /// The next message that was polled, if there is one that wasn't handled before: its steps begin.
    pub(super) fn next_message(&mut self, id: u32, poll: u32, cx: &mut Cx<'_, '_>) -> bool {
        let member = self.member_of(id);
        let exit = self.spec.program.polls[poll as usize].1;
        while let Some(polled) = self.polled.get_mut(&id) {
            let channel = polled.channel;
            let Some((identity, tag)) = polled.left.pop_front() else {
                self.polled.remove(&id);
                return false;
            };
            let delivery = InHand { channel, identity, tag };
            if self.skips(member, delivery, cx) {
                continue;
            }
            if let Some(polled) = self.polled.get_mut(&id) {
                polled.at = Some((identity, tag));
            }
            self.say_of(member, delivery, event::BEGUN, cx);
            self.push_frame(id, exit, None, 0, cx);
            return true;
        }
        false
    }

    /// The steps about a polled message are over.
    pub(super) fn message_over(&mut self, id: u32, failed: bool, cx: &mut Cx<'_, '_>) {
        let Some(polled) = self.polled.get_mut(&id) else { return };
        let channel = polled.channel;
        if let Some((identity, tag)) = polled.at.take() {
            let delivery = InHand { channel, identity, tag };
            self.handled(self.member_of(id), delivery, failed, cx);
        }
    }

    /// An activation doesn't handle any more what it has polled.
    pub(super) fn abandon_polled(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        if self.polled.is_empty() && self.in_hand.is_empty() {
            return;
        }
        let member = self.member_of(id);
        if let Some(polled) = self.polled.remove(&id) {
            let channel = polled.channel;
            for (identity, tag) in polled.at.into_iter().chain(polled.left) {
                let delivery = InHand { channel, identity, tag };
                self.say_of(member, delivery, event::DISCARDED, cx);
            }
        }
        // Of a handler that comes to its end the message is dealt with before.
        if let Some(delivery) = self.in_hand.remove(&id) {
            self.say_of(member, delivery, event::DISCARDED, cx);
        }
    }

    /// The message of a channel that a message between entities is, if it is one.
    pub(super) fn delivery_of(&self, message: &Message) -> Option<InHand> {
        if self.spec.channels.is_empty() {
            return None;
        }
        let consumes = self.consumes(message.from)?;
        Some(InHand {
            channel: consumes.channel,
            identity: message.value,
            tag: message.handle.to_word(),
        })
    }

    /// Something that a channel has pushed can't be handled.
    pub(super) fn discard_delivery(&mut self, member: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        if let Some(delivery) = self.delivery_of(message) {
            self.say_of(member, delivery, event::DISCARDED, cx);
        }
    }

    /// An answer to a poll comes to nobody.
    pub(super) fn discard_polled(&mut self, agent: u32, channel: u32, got: &[(u64, u64)], cx: &mut Cx<'_, '_>) {
        for (identity, tag) in got {
            let words = [*identity, *tag, event::DISCARDED];
            cx.record_with(What::Channel, agent, words, &[channel.into()]);
        }
    }

    fn say_of(&self, member: u32, delivery: InHand, event: u64, cx: &mut Cx<'_, '_>) {
        let words = [delivery.identity, delivery.tag, event];
        cx.record_with(What::Channel, self.base + member, words, &[delivery.channel.into()]);
    }

    /// A handler begins to handle a message.
    pub(super) fn begin_delivery(&mut self, id: u32, delivery: InHand, cx: &mut Cx<'_, '_>) {
        self.in_hand.insert(id, delivery);
        self.say_of(self.member_of(id), delivery, event::BEGUN, cx);
    }

    /// A handler has come to its end.
    pub(super) fn delivery_over(&mut self, id: u32, failed: bool, cx: &mut Cx<'_, '_>) {
        if let Some(delivery) = self.in_hand.remove(&id) {
            self.handled(self.member_of(id), delivery, failed, cx);
        }
    }

    /// What is remembered, and by whom.
    fn memory_of(&self, member: u32, channel: u32) -> Option<((u32, u32), u32)> {
        let remembers = self.consumes(channel)?.remembers?;
        let owner = if remembers.shared { GROUP } else { member };
        Some(((owner, channel), remembers.most))
    }

    /// Whether a message was handled before, as far as it is remembered: then it is only acknowledged.
    pub(super) fn skips(&mut self, member: u32, delivery: InHand, cx: &mut Cx<'_, '_>) -> bool {
        let Some((place, _)) = self.memory_of(member, delivery.channel) else {
            return false;
        };
        let known = self.handled.get(&place);
        if !known.is_some_and(|known| known.all.contains(&delivery.identity)) {
            return false;
        }
        self.say_of(member, delivery, event::SKIPPED, cx);
        self.acknowledge(member, delivery, cx);
        true
    }

    /// The steps about a message are over: it is handled, and acknowledged, unless one of them failed.
    fn handled(&mut self, member: u32, delivery: InHand, failed: bool, cx: &mut Cx<'_, '_>) {
        if failed {
            return self.say_of(member, delivery, event::FAILED, cx);
        }
        let memory = self.memory_of(member, delivery.channel);
        let is_new = memory.is_none_or(|(place, most)| {
            let known = self.handled.entry(place).or_default();
            known.is_new(delivery.identity, most)
        });
        let what = if is_new { event::HANDLED } else { event::SKIPPED };
        self.say_of(member, delivery, what, cx);
        self.acknowledge(member, delivery, cx);
    }

    fn acknowledge(&mut self, member: u32, delivery: InHand, cx: &mut Cx<'_, '_>) {
        let acknowledges = self.consumes(delivery.channel).is_some_and(|of| of.acknowledges);
        if acknowledges {
            let about = delivery.identity.rotate_left(17) ^ delivery.tag.rotate_left(41);
            self.tell_channel(member, delivery.channel, word::ACKNOWLEDGE, delivery.tag, about, cx);
        }
    }

    /// Says something to a broker, without waiting for an answer.
    fn tell_channel(&mut self, member: u32, channel: u32, topic: u16, value: u64, about: u64, cx: &mut Cx<'_, '_>) {
        let mut message = Message::new(MessageKind::Peer, channel, topic, word::BYTES);
        message.value = value;
        let endpoint = &mut self.agents[member as usize].endpoint;
        let key = endpoint.key;
        let about = key.draw(purpose::CHANNEL, about ^ u64::from(topic) << 56);
        cx.send_about(endpoint, message, key, about);
    }

    /// A broker asks whether an agent is there. True if the message is that.
    pub(super) fn invited(&mut self, member: u32, message: &Message, cx: &mut Cx<'_, '_>) -> bool {
        if self.spec.channels.is_empty() || self.consumes(message.from).is_none() {
            return false;
        }
        let about = cx.now().as_nanos();
        self.tell_channel(member, message.from, word::HERE, 0, about, cx);
        true
    }

    /// An agent is back from a crash: it says so to those who push messages to it.
    pub(super) fn join_channels(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let spec = std::sync::Arc::clone(&self.spec);
        for consumes in spec.channels.iter().filter(|consumes| consumes.pushed) {
            let about = cx.now().as_nanos();
            self.tell_channel(member, consumes.channel, word::ANEW, 0, about, cx);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_handled_is_remembered_as_long_as_there_is_room() {
        let mut handled = Handled::default();
        assert!(handled.is_new(1, 2));
        assert!(!handled.is_new(1, 2));
        assert!(handled.is_new(2, 2));
        assert!(handled.is_new(3, 2));
        assert!(handled.is_new(1, 2), "the oldest made room");
        assert!(!handled.is_new(3, 2));
    }
}
