//! Agents that are set to work by members, and what they answer.
//!
//! An engagement is an ask like any other: it lies in the agent's mailbox, its handler takes it up, and where its time goes is known.

use super::super::member::{Engagement, Input, Member, event};
use super::Group;
use crate::kernel::SimTime;
use crate::world::call::Ask;
use crate::world::message::Message;
use crate::world::population::Cx;
use crate::world::record::What;

impl<M: Member> Group<M> {
    /// Sets an agent to work.
    pub(super) fn engage(&mut self, member: u32, engagement: Engagement, cx: &mut Cx<'_, '_>) {
        let Engagement {
            token,
            agent,
            topic,
            bytes,
            question,
            judges,
            about,
        } = engagement;
        let endpoint = &mut self.seats[member as usize].endpoint;
        let ask = Ask {
            activation: member,
            of: agent,
            // The identity that the message is about to get.
            identity: u64::from(endpoint.id) << 32 | u64::from(endpoint.sent),
            key: endpoint.key,
            address: token,
            sent: cx.now(),
            question,
            judges,
            about,
            deadline: SimTime::NEVER,
            arrived: None,
            takers: Vec::new(),
            answer: None,
        };
        let (key, address) = (ask.key, ask.address);
        let handle = cx.shared.asks.insert(ask);
        self.engaged.insert((member, token), handle);
        let words = [token, u64::from(agent), u64::from(event::ENGAGES)];
        cx.record_with(What::Coordination, endpoint.id, words, &[about]);
        let message = Message {
            to: agent,
            value: question,
            ..Message::ask(topic, bytes, handle)
        };
        cx.send_about(endpoint, message, key, address);
    }

    /// An agent has answered.
    pub(super) fn agent_answers(&mut self, member: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        // An answer to somebody who has crashed since, or the copy of one that has come, finds no ask.
        let Some(ask) = cx.shared.asks.remove(message.handle) else {
            return;
        };
        let (token, answer) = (ask.address, message.value);
        let is_wanted = self.engaged.remove(&(member, token)).is_some();
        let parts = ask.split(now).expect("an answer comes from somebody who answered");
        let own = ask.answer.map_or(0, |answer| (answer.at - answer.taken).as_nanos());
        let mut extra = [ask.sent.as_nanos(), own, 0, 0, 0, 0, 0, 0, 0];
        extra[2..].copy_from_slice(&parts.0);
        let words = [token, answer, u64::from(event::ENGAGED)];
        cx.record_with(What::Coordination, self.base + member, words, &extra);
        if is_wanted {
            self.hand(member, Input::Engaged { token, answer }, cx);
        }
    }

    /// A member doesn't want an answer any more. The agent isn't told: it goes on, and its answer comes, and is thrown away.
    pub(super) fn dismiss(&mut self, member: u32, token: u64) {
        self.engaged.remove(&(member, token));
    }

    /// What a member had asked for before it crashed reaches nobody.
    pub(super) fn forget_engagements(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let of_member = self.engaged.range((member, 0)..=(member, u64::MAX));
        let tokens: Vec<u64> = of_member.map(|((_, token), _)| *token).collect();
        for token in tokens {
            if let Some(handle) = self.engaged.remove(&(member, token)) {
                cx.shared.asks.remove(handle);
            }
        }
    }
}
