//! How replicas keep up with each other: news of each update, and exchanges of what they hold.
//!
//! What travels lies in a slab, shared by the messages that carry it: an update for four peers is one payload. A message names
//! its payload by its handle, and the fingerprint covers the content.

use super::causal::Ordered;
use super::ot::{self, OtMessage};
use super::primary::Letter;
use super::quorum::Leg;
use super::raft::{Command, Image};
use super::replica::{Replica, show, tell};
use super::spec::{AntiEntropy, StoreSpec};
use super::stability::{collect, collects, heard};
use super::store::{FLUSH, ROUND, SHIP, Store};
use super::subscriptions::invalidate;
use super::words::store_key;
use crate::kernel::{Key, SimDuration};
use crate::state::content::content_hash;
use crate::state::{Resolution, Versions, wire};
use crate::world::call::answer_address;
use crate::world::message::{Message, MessageKind};
use crate::world::population::{Cx, purpose};
use crate::world::slab::Handle;
use serde::Serialize;

/// The bytes that name a key on the wire.
pub(super) const KEY_BYTES: u64 = wire::COUNT;
/// The bytes of a key with the hash of its state.
const DIGEST_BYTES: u64 = KEY_BYTES + 8;
/// The bytes that name a replica.
pub(super) const REPLICA_BYTES: u64 = 4;

/// So many keys of a batch ahead a replica asks for the memory of what it holds.
const AHEAD: usize = 8;

/// Where the addresses of exchanges begin, apart from those of updates and batches.
const EXCHANGES: u64 = 0x6578_6368 << 32;

/// What the messages between replicas are about: their topic.
pub mod topic {
    /// News of updates.
    pub const NEWS: u16 = 0;
    /// What a replica holds, as hashes: the start of an exchange.
    pub const DIGEST: u16 = 1;
    /// Entries that differ, and the keys of those that are wanted.
    pub const ENTRIES: u16 = 2;
    /// Entries that the other side lacked: the end of an exchange, or a repair.
    pub const REST: u16 = 3;
    /// An update for a replica that keeps the key. The topics from here on are legs of quorums.
    pub const WRITE: u16 = 4;
    /// A write, or a hint, was taken.
    pub const ACK: u16 = 5;
    /// A question for what a replica holds of a key.
    pub const READ: u16 = 6;
    /// What it holds.
    pub const REPLY: u16 = 7;
    /// An update to keep for another replica.
    pub const STAND_IN: u16 = 8;
    /// Hints for the replica that they are for.
    pub const HINTS: u16 = 9;
    /// They were taken.
    pub const HINTS_TAKEN: u16 = 10;
    /// An update that was passed on was taken over.
    pub const TAKEN: u16 = 11;
    /// To a client: a key that it keeps has changed.
    pub const INVALIDATION: u16 = 12;
    /// Between members of a group.
    pub const RAFT: u16 = 13;
    /// A letter between a primary and its backups.
    pub const LETTER: u16 = 32;
}

/// Something on its way, and how many messages and shipments carry it.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub struct Payload<R: Resolution> {
    content: Content<R>,
    carriers: u32,
    /// The hash of the content, which nobody changes: every message that carries it is fingerprinted with it.
    #[serde(skip)]
    hash: u64,
}

/// What travels between replicas.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(super) enum Content<R: Resolution> {
    /// News of keys.
    News(Vec<(u32, R::Delta)>),
    /// The hash of every key that the sender has anything of.
    Digest(Vec<(u32, u64)>),
    /// Whole entries, and the keys whose entries are wanted in return.
    Entries {
        entries: Vec<(u32, R::Entry)>,
        wanted: Vec<u32>,
    },
    /// An update of a key, by its number at its origin.
    Write { key: u32, number: u32, delta: R::Delta },
    /// The same, to be kept for another replica.
    Hint {
        target: u32,
        key: u32,
        number: u32,
        delta: R::Delta,
    },
    /// The question of a read for what a replica holds of a key.
    Ask { key: u32, identity: u64 },
    /// What replicas and their server say to each other.
    Central(Box<OtMessage>),
    /// What it holds, under a mark by which the judge knows it.
    Reply { key: u32, entry: R::Entry, mark: u64 },
    /// What a primary and its backups say to each other.
    Letter(Box<Letter<R>>),
    /// Of replicas that order updates.
    Ordered(Ordered<R>),
    /// What a member of a group says to another.
    Raft(Box<crate::coordination::raft::Message<Command, Image<R>>>),
}

impl<R: Resolution> Payload<R> {
    /// What somebody holds who is going to send it.
    pub(super) fn new(content: Content<R>) -> Self {
        Self::carried(content, 1)
    }

    /// What so many messages and shipments carry.
    fn carried(content: Content<R>, carriers: u32) -> Self {
        let hash = content_hash(&content);
        Self {
            content,
            carriers,
            hash,
        }
    }

    pub(super) fn content(&self) -> &Content<R> {
        &self.content
    }

    /// The hash of all that it says.
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }
}

impl<R: Resolution> Content<R> {
    /// The bytes of a leg's content, beside the name of its operation.
    pub(super) fn size(&self, model: &R, value_bytes: u64) -> u64 {
        let delta = |delta: &R::Delta| KEY_BYTES + model.delta_size(delta).total(value_bytes);
        match self {
            Self::News(news) => wire::COUNT + news.iter().map(|(_, news)| delta(news)).sum::<u64>(),
            Self::Write { delta: news, .. } => delta(news),
            Self::Hint { delta: news, .. } => REPLICA_BYTES + delta(news),
            Self::Ask { .. } => KEY_BYTES,
            Self::Reply { entry, .. } => KEY_BYTES + model.entry_size(entry).total(value_bytes),
            Self::Digest(_)
            | Self::Entries { .. }
            | Self::Letter(_)
            | Self::Ordered(_)
            | Self::Raft(_)
            | Self::Central(_) => {
                unreachable!("these weigh their own")
            }
        }
    }
}

/// News that waits to be sent.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Shipment {
    pub(super) payload: Handle,
    pub(super) to: u32,
    pub(super) bytes: u32,
    /// The sender's life: if it loses its state, the news is lost with it.
    pub(super) life: u16,
    /// The address of its journey's draws.
    pub(super) address: u64,
    /// What it is.
    pub(super) topic: u16,
    /// The operation that a leg belongs to.
    pub(super) value: u64,
}

/// The address of what `about` stands for, on its way to the replica with this key: another replica shifts nobody's draws.
pub(super) fn toward(about: u64, peer: Key) -> u64 {
    about ^ peer.bits()
}

pub(super) fn bytes_of(sum: u64) -> u32 {
    u32::try_from(sum).unwrap_or(u32::MAX)
}

/// Takes in news of an update.
pub(super) fn merge<R: Resolution>(
    (model, spec): (&R, &StoreSpec),
    replica: &mut Replica<R>,
    store: u32,
    key: u32,
    delta: &R::Delta,
    cx: &mut Cx<'_, '_>,
) {
    let id = replica.endpoint.id;
    let (slot, word) = (&mut replica.slots[key as usize], store_key(store, key));
    replica.stamps.hear(model.rank(delta).map(|rank| rank.stamp));
    let heard = model.rank(delta).map(|rank| rank.dot);
    if model.merge(&mut slot.entry, delta, &mut |fate| tell(cx, id, word, fate)) {
        show(model, slot, id, word, cx);
        invalidate(replica, store, key, cx);
    }
    replica.note_heard(key, heard);
    if collects(spec, key) {
        if let Some((origin, heard)) = model.told(delta) {
            replica.knowledge.note(key, usize::from(origin.replica()), &heard);
        }
        collect(model, replica, spec.replicas.len(), key, false);
    }
}

impl<R: Resolution> Store<R> {
    /// One carrier less.
    pub(super) fn release(&mut self, payload: Handle) {
        if let Some(shared) = self.payloads.get_mut(payload) {
            shared.carriers -= 1;
            if shared.carriers == 0 {
                self.payloads.remove(payload);
            }
        }
    }

    /// One carrier more.
    pub(super) fn retain(&mut self, payload: Handle) {
        if let Some(shared) = self.payloads.get_mut(payload) {
            shared.carriers += 1;
        }
    }

    /// Tells the other replicas of an update, now or with the batch. `about` is the address of the update.
    pub(super) fn replicate(&mut self, member: u32, key: u32, delta: R::Delta, about: u64, cx: &mut Cx<'_, '_>) {
        if self.spec.central().is_some() {
            return self.submit_edits(member, key, cx);
        }
        self.set_round(member, cx);
        if self.replicas.len() < 2 {
            return;
        }
        if self.spec.causal().is_some() {
            return self.publish_in_order(member, key, delta, about, cx);
        }
        let Some(period) = self.spec.replication.batch else {
            return self.publish(member, vec![(key, delta)], about, cx);
        };
        let replica = &mut self.replicas[member as usize];
        match replica.batch.get_mut(&key) {
            Some(waiting) => self.model.batch(waiting, &delta),
            None => drop(replica.batch.insert(key, delta)),
        }
        self.open_batch(member, period, cx);
    }

    /// Has what waits to be sent together sent after a while, unless it is already about to be.
    pub(super) fn open_batch(&mut self, member: u32, period: SimDuration, cx: &mut Cx<'_, '_>) {
        let replica = &mut self.replicas[member as usize];
        if !replica.batch_open {
            replica.batch_open = true;
            replica.batch_number += 1;
            let (at, number) = (cx.now().saturating_add(period), replica.batch_number);
            cx.schedule(&mut replica.endpoint, at, FLUSH, number);
        }
    }

    /// A batch is sent. A replica that can't send now does it when it is back.
    pub(super) fn flush(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let replica = &mut self.replicas[member as usize];
        replica.batch_open = false;
        if replica.down || replica.paused.is_some() {
            return;
        }
        if !replica.order.unsent.is_empty() {
            return self.flush_in_order(member, cx);
        }
        if replica.batch.is_empty() {
            return;
        }
        let news = std::mem::take(&mut replica.batch).into_iter().collect();
        let about = replica.batch_number;
        self.publish(member, news, about, cx);
    }

    /// Sends news to every other replica, each after its delay. `about` is the address of the update, or of the batch.
    fn publish(&mut self, member: u32, news: Vec<(u32, R::Delta)>, about: u64, cx: &mut Cx<'_, '_>) {
        let value_bytes = self.spec.value_bytes;
        let sizes = news
            .iter()
            .map(|(_, delta)| self.model.delta_size(delta).total(value_bytes));
        let bytes = bytes_of(sizes.map(|size| KEY_BYTES + size).sum());
        self.spread(member, Content::News(news), bytes, about, cx);
    }

    /// Sends something to every other replica, each after its delay.
    pub(super) fn spread(&mut self, member: u32, content: Content<R>, bytes: u32, about: u64, cx: &mut Cx<'_, '_>) {
        let payload = self
            .payloads
            .insert(Payload::carried(content, self.replicas.len() as u32 - 1));
        for peer in (0..self.replicas.len()).filter(|&peer| peer != member as usize) {
            let to = self.replicas[peer].endpoint.id;
            let address = toward(about, self.replicas[peer].endpoint.key);
            let replica = &mut self.replicas[member as usize];
            let Some(law) = &self.spec.replication.delay else {
                let message = Message::new(MessageKind::Peer, to, topic::NEWS, bytes).with(payload);
                let key = replica.endpoint.key;
                cx.send_about(&mut replica.endpoint, message, key, address);
                continue;
            };
            let wait = law.sample_duration(&mut replica.endpoint.stream(purpose::REPLICATION, address), address);
            let life = replica.origin.life();
            let shipment = Shipment {
                payload,
                to,
                bytes,
                life,
                address,
                topic: topic::NEWS,
                value: 0,
            };
            let shipment = self.shipments.insert(shipment);
            let at = cx.now().saturating_add(wait);
            cx.schedule(&mut replica.endpoint, at, SHIP, shipment.to_word());
        }
    }

    /// Delayed news leaves, or waits until the replica can send again.
    pub(super) fn ship(&mut self, member: u32, handle: Handle, cx: &mut Cx<'_, '_>) {
        let replica = &mut self.replicas[member as usize];
        if replica.down || replica.paused.is_some() {
            return replica.outbox.push(handle);
        }
        let Some(shipment) = self.shipments.remove(handle) else {
            return;
        };
        if shipment.to == replica.endpoint.id {
            let leg = Leg {
                from: member,
                topic: shipment.topic,
                operation: Handle::from_word(shipment.value),
                payload: shipment.payload,
                about: shipment.address,
            };
            self.take_leg(member, &leg, cx);
        } else {
            let mut message = Message::new(MessageKind::Peer, shipment.to, shipment.topic, shipment.bytes);
            message.value = shipment.value;
            let key = replica.endpoint.key;
            cx.send_about(
                &mut replica.endpoint,
                message.with(shipment.payload),
                key,
                shipment.address,
            );
        }
    }

    /// Sends what was due while the replica couldn't.
    pub(super) fn catch_up(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        for shipment in std::mem::take(&mut self.replicas[member as usize].outbox) {
            self.ship(member, shipment, cx);
        }
        if !self.replicas[member as usize].batch_open {
            self.flush(member, cx);
        }
    }

    pub(super) fn live_peers(&self, member: u32) -> Vec<u32> {
        let live = |peer: &u32| *peer != member && !self.replicas[*peer as usize].down;
        (0..self.replicas.len() as u32).filter(live).collect()
    }

    /// The first exchange of a replica comes at a random point of its first period.
    pub(super) fn first_round(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let Some(AntiEntropy { every, .. }) = self.spec.anti_entropy else {
            return;
        };
        let replica = &mut self.replicas[member as usize];
        if self.spec.replicas.len() > 1 && !replica.round_set {
            let phase = replica.endpoint.stream(purpose::ANTI_ENTROPY, 1).unit();
            let wait = SimDuration::from_nanos_f64(phase * every.as_nanos() as f64);
            replica.round_set = true;
            let at = cx.now().saturating_add(wait);
            cx.schedule(&mut replica.endpoint, at, ROUND, 0);
        }
    }

    /// Sets the timer of the next exchange, if it isn't set.
    pub(super) fn set_round(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let Some(AntiEntropy { every, jitter, .. }) = &self.spec.anti_entropy else {
            return;
        };
        let replica = &mut self.replicas[member as usize];
        if replica.round_set || self.spec.replicas.len() < 2 {
            return;
        }
        replica.round_set = true;
        let mut wait = *every;
        if let Some(jitter) = jitter {
            let address = replica.round << 2 | 2;
            wait += jitter.sample_duration(
                &mut replica.endpoint.stream(purpose::ANTI_ENTROPY, address),
                replica.round,
            );
        }
        let (at, number) = (cx.now().saturating_add(wait), replica.round);
        cx.schedule(&mut replica.endpoint, at, ROUND, number);
    }

    /// It is time for an exchange.
    pub(super) fn round(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let replica = &mut self.replicas[member as usize];
        replica.round_set = false;
        replica.round += 1;
        let late = self
            .spec
            .anti_entropy
            .as_ref()
            .and_then(|anti_entropy| anti_entropy.until)
            .is_some_and(|until| cx.now() >= until);
        if late && (self.replicas[member as usize].down || self.is_settled()) {
            return;
        }
        let replica = &self.replicas[member as usize];
        if !replica.down && replica.paused.is_none() {
            let peers = self.live_peers(member);
            if !peers.is_empty() {
                let address = replica.round << 2;
                let mut stream = replica.endpoint.stream(purpose::ANTI_ENTROPY, address);
                let peer = peers[stream.below(peers.len() as u64) as usize];
                self.start_exchange(member, peer, cx);
            }
        }
        self.set_round(member, cx);
    }

    /// Whether no news is on its way and all live replicas hold the same.
    fn is_settled(&mut self) -> bool {
        self.is_quiet() && self.agrees()
    }

    /// Whether nothing is on its way between replicas, or waits to be sent.
    pub(super) fn is_quiet(&self) -> bool {
        self.payloads.is_empty()
            && self.shipments.is_empty()
            && self.replicas.iter().all(|replica| replica.batch.is_empty())
    }

    /// Whether all live replicas hold the same.
    pub(super) fn agrees(&mut self) -> bool {
        (0..self.replicas.len()).for_each(|member| self.refresh(member));
        let live = || (0u32..).zip(&self.replicas).filter(|(_, replica)| !replica.down);
        (self.spec.causal().is_none() || self.vectors_agree())
            && (0..self.spec.keys.len()).all(|key| {
                let keepers = live().filter(|(member, _)| self.spec.keeps(*member, key as u32));
                let mut hashes = keepers.map(|(_, replica)| replica.slots[key].hash);
                let first = hashes.next();
                hashes.all(|hash| Some(hash) == first)
            })
    }

    /// Brings the hashes of a replica's keys up to date.
    fn refresh(&mut self, member: usize) {
        for slot in self.replicas[member].slots.iter_mut().filter(|slot| slot.changed) {
            slot.hash = self.model.state_hash(&slot.entry);
            slot.changed = false;
        }
    }

    /// Sends a part of an exchange; `address` is that of its journey's draws.
    pub(super) fn send_content(
        &mut self,
        member: u32,
        (to, topic): (u32, u16),
        content: Content<R>,
        bytes: u64,
        address: u64,
        cx: &mut Cx<'_, '_>,
    ) {
        let payload = self.payloads.insert(Payload::new(content));
        let message = Message::new(MessageKind::Peer, to, topic, bytes_of(bytes)).with(payload);
        let endpoint = &mut self.replicas[member as usize].endpoint;
        let key = endpoint.key;
        cx.send_about(endpoint, message, key, address);
    }

    /// Sends the hashes of what a replica holds to a peer.
    pub(super) fn start_exchange(&mut self, member: u32, peer: u32, cx: &mut Cx<'_, '_>) {
        if self.spec.causal().is_some() {
            let to = self.replicas[peer as usize].endpoint.id;
            let replica = &mut self.replicas[member as usize];
            replica.exchanges += 1;
            let address = EXCHANGES ^ replica.exchanges;
            return self.send_vector(member, to, address, cx);
        }
        self.refresh(member as usize);
        let slots = self.replicas[member as usize].slots.iter().zip(0..);
        let hashes: Vec<(u32, u64)> = slots
            .filter(|(slot, key)| slot.touched && self.spec.keeps(peer, *key))
            .map(|(slot, key)| (key, slot.hash))
            .collect();
        let to = self.replicas[peer as usize].endpoint.id;
        let bytes = wire::COUNT + DIGEST_BYTES * hashes.len() as u64;
        let replica = &mut self.replicas[member as usize];
        replica.exchanges += 1;
        let address = EXCHANGES ^ replica.exchanges;
        self.send_content(member, (to, topic::DIGEST), Content::Digest(hashes), bytes, address, cx);
    }

    /// Takes in what another replica has sent.
    pub(super) fn take_in(&mut self, member: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        if self.spec.causal().is_some() {
            return self.take_in_order(member, message, cx);
        }
        if message.topic == topic::RAFT {
            return self.hear_member(member, message, cx);
        }
        if message.topic == ot::TOPIC {
            return self.take_central(member, message, cx);
        }
        if message.topic >= topic::WRITE && message.topic != topic::LETTER {
            return self.receive_leg(member, message, cx);
        }
        let Some(payload) = self.payloads.get(message.handle) else {
            return;
        };
        match &payload.content {
            // News is shared by its messages, and nobody changes it.
            Content::News(news) => {
                let replica = &mut self.replicas[member as usize];
                for (place, (key, delta)) in news.iter().enumerate() {
                    // The keys lie far apart, and what is behind an entry can be asked for once the entry is there.
                    if let Some((ahead, _)) = news.get(place + 2 * AHEAD) {
                        replica.slots[*ahead as usize].touch();
                    }
                    if let Some((ahead, _)) = news.get(place + AHEAD) {
                        self.model.touch(&replica.slots[*ahead as usize].entry);
                    }
                    merge((&self.model, &self.spec), replica, self.index, *key, delta, cx);
                }
                self.release(message.handle);
            }
            content => {
                // A copy that the network made shares its payload with the original.
                let copy = (payload.carriers > 1).then(|| content.clone());
                let content = match copy {
                    Some(copy) => {
                        self.release(message.handle);
                        copy
                    }
                    None => self.payloads.remove(message.handle).expect("it is there").content,
                };
                match content {
                    Content::Letter(letter) => self.read_letter(member, message, *letter, cx),
                    Content::Digest(theirs) => self.compare(member, message, &theirs, cx),
                    Content::Entries { entries, wanted } => self.join(member, message, entries, wanted, cx),
                    _ => unreachable!("news and legs were dealt with"),
                }
            }
        }
    }

    /// Answers a digest with what differs; with nothing if nothing does.
    fn compare(&mut self, member: u32, message: &Message, theirs: &[(u32, u64)], cx: &mut Cx<'_, '_>) {
        self.refresh(member as usize);
        self.note_equal(member, message.from, theirs);
        let (mut entries, mut wanted) = (Vec::new(), Vec::new());
        let peer = message.from - self.replicas[0].endpoint.id;
        let mut rest = theirs.iter().copied().peekable();
        for (slot, key) in self.replicas[member as usize].slots.iter().zip(0..) {
            let hash = rest.next_if(|(other, _)| *other == key).map(|(_, hash)| hash);
            match (slot.touched, hash) {
                (true, Some(hash)) if hash == slot.hash => {}
                (true, None) if !self.spec.keeps(peer, key) => {}
                (true, _) => entries.push((key, slot.entry.clone())),
                (false, Some(_)) => wanted.push(key),
                (false, None) => {}
            }
        }
        if !entries.is_empty() || !wanted.is_empty() {
            self.send_entries(member, message, topic::ENTRIES, entries, wanted, cx);
        }
    }

    /// Notes of which keys another replica has heard the same.
    fn note_equal(&mut self, member: u32, from: u32, theirs: &[(u32, u64)]) {
        let (peer, replicas) = (self.peer(from), self.spec.replicas.len());
        let replica = &mut self.replicas[member as usize];
        for (key, hash) in theirs.iter().filter(|(key, _)| collects(&self.spec, *key)) {
            if replica.slots[*key as usize].hash == *hash {
                let heard = heard(&self.model, &replica.slots[*key as usize].entry);
                replica.knowledge.note(*key, peer, &heard);
            }
            collect(&self.model, replica, replicas, *key, true);
        }
    }

    /// The number of the replica that an entity is.
    pub(super) fn peer(&self, entity: u32) -> usize {
        let mut replicas = self.replicas.iter();
        let found = replicas.position(|replica| replica.endpoint.id == entity);
        found.expect("replicas hear from replicas alone")
    }

    /// Answers a part of an exchange.
    fn send_entries(
        &mut self,
        member: u32,
        answered: &Message,
        topic: u16,
        entries: Vec<(u32, R::Entry)>,
        wanted: Vec<u32>,
        cx: &mut Cx<'_, '_>,
    ) {
        let weigh = |entry| KEY_BYTES + self.model.entry_size(entry).total(self.spec.value_bytes);
        let of_entries: u64 = entries.iter().map(|(_, entry)| weigh(entry)).sum();
        let bytes = 2 * wire::COUNT + of_entries + KEY_BYTES * wanted.len() as u64;
        let content = Content::Entries { entries, wanted };
        let address = answer_address(answered.about);
        self.send_content(member, (answered.from, topic), content, bytes, address, cx);
    }

    /// Takes whole entries in, and sends back what the other side lacks.
    fn join(
        &mut self,
        member: u32,
        message: &Message,
        entries: Vec<(u32, R::Entry)>,
        wanted: Vec<u32>,
        cx: &mut Cx<'_, '_>,
    ) {
        let peer = self.peer(message.from);
        let mut lacking = wanted;
        for (key, theirs) in &entries {
            self.join_entry(member, *key, theirs, cx);
            let slot = &self.replicas[member as usize].slots[*key as usize];
            if message.topic == topic::ENTRIES && self.model.state_hash(&slot.entry) != self.model.state_hash(theirs) {
                lacking.push(*key);
            }
            if collects(&self.spec, *key) {
                let replica = &mut self.replicas[member as usize];
                replica.knowledge.note(*key, peer, &heard(&self.model, theirs));
                collect(&self.model, replica, self.spec.replicas.len(), *key, true);
            }
        }
        if lacking.is_empty() || message.topic != topic::ENTRIES {
            return;
        }
        lacking.sort_unstable();
        let replica = &self.replicas[member as usize];
        let entry = |key: u32| (key, replica.slots[key as usize].entry.clone());
        let rest = lacking.into_iter().map(entry).collect();
        self.send_entries(member, message, topic::REST, rest, Vec::new(), cx);
    }

    /// Takes in a whole entry of a key.
    pub(super) fn join_entry(&mut self, member: u32, key: u32, theirs: &R::Entry, cx: &mut Cx<'_, '_>) {
        let replica = &mut self.replicas[member as usize];
        let (id, word) = (replica.endpoint.id, store_key(self.index, key));
        let slot = &mut replica.slots[key as usize];
        replica.stamps.hear(self.model.stamp(theirs));
        let mut told = |fate| tell(cx, id, word, fate);
        if self.model.join(&mut slot.entry, theirs, &mut told) {
            show(&self.model, slot, id, word, cx);
            invalidate(replica, self.index, key, cx);
        }
        if let Versions::Heads(heads) = self.model.versions(theirs) {
            replica.note_heard(key, heads);
        }
    }
}
