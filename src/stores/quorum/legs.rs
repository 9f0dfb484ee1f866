//! What travels between a coordinator and the replicas.
//!
//! A leg takes its law's time at the sender, and then the network's, unless a coordinator talks to itself. What leaves late goes the
//! way of delayed news: a sender that is down or stands still sends it when it is back, and one that lost its state never.

use super::super::replication::{Content, Payload, Shipment, bytes_of, toward};
use super::super::store::{SHIP, Store};
use super::super::words::{push_reply, store_key};
use crate::random::Law;
use crate::state::{Keeping, Resolution, Versions, wire};
use crate::world::call::answer_address;
use crate::world::message::{Message, MessageKind};
use crate::world::population::{Cx, purpose};
use crate::world::record::What;
use crate::world::slab::Handle;
use std::sync::Arc;

pub(in crate::stores) use super::super::replication::topic;

/// The bytes that name an operation.
const NAME_BYTES: u64 = 8;

/// What is added to the address of a repair, and of the update that a stand-in gets.
const REPAIRS: u64 = 0x7265_7061 << 32;
const STAND_INS: u64 = 0x7374_616e << 32;

/// A leg that has arrived.
#[derive(Debug, Clone, Copy)]
pub(in crate::stores) struct Leg {
    /// The replica that sent it.
    pub from: u32,
    pub topic: u16,
    pub operation: Handle,
    pub payload: Handle,
    /// The address of its draws.
    pub about: u64,
}

impl<R: Resolution> Store<R> {
    /// A leg leaves for a replica. `about` is the address of its operation, or of what it answers.
    pub(super) fn send_leg(
        &mut self,
        member: u32,
        (to, topic): (u32, u16),
        operation: Handle,
        payload: Handle,
        about: u64,
        cx: &mut Cx<'_, '_>,
    ) {
        let spec = Arc::clone(&self.spec);
        let legs = &spec.quorum().expect("the store works by quorums").legs;
        let law: Option<&Law> = match topic {
            topic::WRITE | topic::STAND_IN => legs.write.as_ref(),
            topic::ACK => legs.ack.as_ref(),
            topic::READ => legs.read.as_ref(),
            topic::REPLY => legs.reply.as_ref(),
            _ => None,
        };
        let size = |content: &Content<R>| content.size(&self.model, spec.value_bytes);
        let bytes = bytes_of(NAME_BYTES + self.payloads.get(payload).map_or(0, |payload| size(payload.content())));
        let target = &self.replicas[to as usize].endpoint;
        let (id, address) = (target.id, toward(about, target.key));
        self.retain(payload);
        let replica = &mut self.replicas[member as usize];
        let Some(law) = law else {
            if to == member {
                let leg = Leg {
                    from: member,
                    topic,
                    operation,
                    payload,
                    about: address,
                };
                return self.take_leg(member, &leg, cx);
            }
            let mut message = Message::new(MessageKind::Peer, id, topic, bytes).with(payload);
            message.value = operation.to_word();
            let key = replica.endpoint.key;
            return cx.send_about(&mut replica.endpoint, message, key, address);
        };
        // A copy of what is asked is answered after a time of its own.
        let wait = law.sample_duration(&mut replica.endpoint.stream(purpose::REPLICATION, address), address);
        let shipment = self.shipments.insert(Shipment {
            payload,
            to: id,
            bytes,
            life: replica.origin.life(),
            address,
            topic,
            value: operation.to_word(),
        });
        let at = cx.now().saturating_add(wait);
        cx.schedule(&mut replica.endpoint, at, SHIP, shipment.to_word());
    }

    /// A leg has come by the network.
    pub(in crate::stores) fn receive_leg(&mut self, member: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        let leg = Leg {
            from: message.from - self.replicas[0].endpoint.id,
            topic: message.topic,
            operation: Handle::from_word(message.value),
            payload: message.handle,
            about: message.about,
        };
        self.take_leg(member, &leg, cx);
    }

    /// Deals with a leg.
    pub(in crate::stores) fn take_leg(&mut self, member: u32, leg: &Leg, cx: &mut Cx<'_, '_>) {
        self.replicas[member as usize].coordinator.suspected.remove(&leg.from);
        let answer = answer_address(leg.about);
        match leg.topic {
            topic::WRITE => {
                self.apply_leg(member, leg, cx);
                self.release(leg.payload);
                self.send_leg(member, (leg.from, topic::ACK), leg.operation, Handle::NONE, answer, cx);
            }
            topic::STAND_IN => {
                self.take_hint(member, leg, cx);
                self.release(leg.payload);
                self.send_leg(member, (leg.from, topic::ACK), leg.operation, Handle::NONE, answer, cx);
            }
            topic::ACK => self.acknowledge(leg, cx),
            topic::READ => {
                if let Some(payload) = self.reply(member, leg, cx) {
                    self.send_leg(member, (leg.from, topic::REPLY), leg.operation, payload, answer, cx);
                    self.release(payload);
                }
                self.release(leg.payload);
            }
            topic::REPLY => {
                // A copy shares its payload with the original.
                let content = self.payloads.get(leg.payload).map(|payload| payload.content().clone());
                self.release(leg.payload);
                if let Some(Content::Reply { entry, mark, .. }) = content {
                    self.join_reply(leg, &entry, mark, cx);
                }
            }
            topic::HINTS => self.take_handoff(member, leg, cx),
            topic::HINTS_TAKEN => self.handed_off(member, leg, cx),
            topic::TAKEN => self.taken(leg, cx),
            _ => unreachable!("the other topics are no legs"),
        }
    }

    /// A replica writes what a coordinator has sent.
    fn apply_leg(&mut self, member: u32, leg: &Leg, cx: &mut Cx<'_, '_>) {
        let Some(Content::Write { key, number, delta }) = self.payloads.get(leg.payload).map(Payload::content) else {
            return;
        };
        if leg.from != member {
            let replica = &mut self.replicas[member as usize];
            return super::super::replication::merge((&self.model, &self.spec), replica, self.index, *key, delta, cx);
        }
        let (key, number) = (*key, *number);
        if self.rules().legs.write.is_some() {
            self.apply_staged(member, key, number, cx);
        }
        // Without a time of its own it was applied when it was accepted.
    }

    /// An update that the coordinator has logged gets into its store.
    fn apply_staged(&mut self, member: u32, key: u32, number: u32, cx: &mut Cx<'_, '_>) {
        let replica = &mut self.replicas[member as usize];
        let Some(staged) = replica.coordinator.staged.get_mut(&key) else {
            return;
        };
        // It is there already if this is another attempt at it.
        let Some(place) = staged.iter().position(|staged| staged.number == number) else {
            return;
        };
        let update = staged.remove(place).expect("it was found there");
        if staged.is_empty() {
            replica.coordinator.staged.remove(&key);
        }
        super::super::replication::merge((&self.model, &self.spec), replica, self.index, key, &update.delta, cx);
    }

    /// A replica says what it holds.
    fn reply(&mut self, member: u32, leg: &Leg, cx: &mut Cx<'_, '_>) -> Option<Handle> {
        let Content::Ask { key, identity } = self.payloads.get(leg.payload)?.content() else {
            return None;
        };
        let (key, identity) = (*key, *identity);
        let replica = &mut self.replicas[member as usize];
        replica.coordinator.replies += 1;
        let mark = u64::from(replica.endpoint.id) << 32 | u64::from(replica.coordinator.replies);
        let entry = replica.slots[key as usize].entry.clone();
        if cx.wants(What::EntryRead) {
            let words = [identity, store_key(self.index, key), mark];
            let mut extra = Vec::new();
            let waiting = self.model.held_back(&entry);
            match self.model.versions(&entry) {
                // What another replica's answer brings may be what they wait for.
                Versions::Effects(effects) if !waiting.is_empty() => {
                    let versions = Versions::Effects(effects.clone());
                    push_reply(&[], &versions, Some(&waiting), &effects, &mut extra);
                }
                _ => self.push_shown(&[], key, &entry, &mut extra),
            }
            cx.record_with(
                What::EntryRead,
                self.replicas[member as usize].endpoint.id,
                words,
                &extra,
            );
        }
        let content = Content::Reply { key, entry, mark };
        Some(self.payloads.insert(Payload::new(content)))
    }

    /// Appends what an entry shows of a key, as records say it.
    pub(in crate::stores) fn push_shown(&self, marks: &[u64], key: u32, entry: &R::Entry, words: &mut Vec<u64>) {
        let causal = self.model.keeping(self.spec.keys[key as usize].1) == Keeping::Causal;
        let kept = causal.then(|| self.model.kept(entry));
        let seen = self.model.context(entry).seen;
        push_reply(marks, &self.model.versions(entry), kept.as_deref(), &seen, words);
    }

    /// Sends a whole entry to a replica that lacks something of it; a coordinator mends itself on the spot.
    pub(super) fn send_repair(
        &mut self,
        member: u32,
        to: u32,
        key: u32,
        entry: &R::Entry,
        about: u64,
        cx: &mut Cx<'_, '_>,
    ) {
        if to == member {
            return self.join_entry(member, key, entry, cx);
        }
        let weight = self.model.entry_size(entry).total(self.spec.value_bytes);
        let content = Content::Entries {
            entries: vec![(key, entry.clone())],
            wanted: Vec::new(),
        };
        let target = &self.replicas[to as usize].endpoint;
        let (id, address) = (target.id, toward(about ^ REPAIRS, target.key));
        let bytes = 2 * wire::COUNT + wire::COUNT + weight;
        self.send_content(member, (id, topic::REST), content, bytes, address, cx);
    }

    /// The address of the draws about an update on its way to a stand-in.
    pub(super) fn stand_in_address(&self, about: u64, target: u32) -> u64 {
        toward(about ^ STAND_INS, self.replicas[target as usize].endpoint.key)
    }
}
