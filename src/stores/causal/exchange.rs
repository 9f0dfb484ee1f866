//! How replicas make good what was lost: whoever lacks updates gets the entries of their keys, with the vector that these stand
//! for.
//!
//! Guarantees: what a replica takes over so is closed under dependencies, and it takes over all of it at once.

use super::super::replication::{Content, KEY_BYTES, REPLICA_BYTES};
use super::super::store::Store;
use super::arrive::take_update;
use super::{Flaw, Update};
use crate::state::{Origin, Resolution, VersionVector, wire};
use crate::stores::replication::topic;
use crate::world::call::answer_address;
use crate::world::message::Message;
use crate::world::population::Cx;
use serde::Serialize;

/// What travels between replicas that order updates.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(in crate::stores) enum Ordered<R: Resolution> {
    /// Updates, in the order of their origin.
    Updates(Vec<Update<R>>),
    /// What a replica, in this life, has taken in: the start of an exchange.
    Vector { vector: VersionVector, life: u16 },
    /// The entries of which a replica lacked updates.
    Cut(Cut<R>),
}

/// What a replica has taken in, as far as another one lacks it.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(in crate::stores) struct Cut<R: Resolution> {
    /// All that the sender has taken in.
    vector: VersionVector,
    /// Entries, and the latest update of each origin in them.
    entries: Vec<(u32, R::Entry, VersionVector)>,
    /// The life of the sender.
    life: u16,
    /// The life of the receiver in which it lacked this: in another one it lacks more.
    to: u16,
}

impl<R: Resolution> Store<R> {
    /// Takes in what another replica has sent.
    pub(in crate::stores) fn take_in_order(&mut self, member: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        let Some(payload) = self.payloads.get(message.handle) else {
            return;
        };
        let Content::Ordered(content) = payload.content() else {
            unreachable!("replicas that order updates send nothing else");
        };
        match content {
            Ordered::Updates(updates) => {
                let ordering = self.spec.causal().expect("the store orders updates");
                let parts = (&self.model, &*self.spec, ordering);
                let replica = &mut self.replicas[member as usize];
                for update in updates {
                    take_update(parts, replica, self.index, update, cx);
                }
            }
            Ordered::Vector { vector, life } => {
                let (vector, life) = (vector.clone(), *life);
                self.compare_vectors(member, message, &vector, life, cx);
            }
            Ordered::Cut(cut) => {
                let cut = cut.clone();
                self.join_cut(member, message, &cut, cx);
            }
        }
        self.release(message.handle);
        self.go_on(member, cx);
    }

    /// Tells another replica what was taken in, so that it answers with the rest.
    pub(in crate::stores) fn send_vector(&mut self, member: u32, to: u32, address: u64, cx: &mut Cx<'_, '_>) {
        let replica = &self.replicas[member as usize];
        let (vector, life) = (replica.order.vector.clone(), replica.origin.life());
        let bytes = REPLICA_BYTES + vector.bytes();
        let content = Content::Ordered(Ordered::Vector { vector, life });
        self.send_content(member, (to, topic::DIGEST), content, bytes, address, cx);
    }

    /// Answers with what the other replica lacks; with a mere vector if it has more; with nothing if both have the same.
    fn compare_vectors(
        &mut self,
        member: u32,
        message: &Message,
        theirs: &VersionVector,
        life: u16,
        cx: &mut Cx<'_, '_>,
    ) {
        let (peer, now) = (self.peer(message.from), cx.now());
        let order = &mut self.replicas[member as usize].order;
        order.hear(Origin::new(peer as u16, life), now);
        if order.vector != *theirs {
            self.send_cut(member, message, topic::ENTRIES, theirs, life, cx);
        }
    }

    fn send_cut(
        &mut self,
        member: u32,
        answered: &Message,
        topic: u16,
        theirs: &VersionVector,
        life: u16,
        cx: &mut Cx<'_, '_>,
    ) {
        let replica = &self.replicas[member as usize];
        let keys = (0u32..).zip(&replica.slots).zip(&replica.order.tops);
        let lacking = keys.filter(|(_, tops)| !theirs.descends(tops));
        let entries = lacking.map(|((key, slot), tops)| (key, slot.entry.clone(), tops.clone()));
        let cut = Cut {
            vector: replica.order.vector.clone(),
            entries: entries.collect(),
            life: replica.origin.life(),
            to: life,
        };
        let weigh = |(_, entry, tops): &(u32, R::Entry, VersionVector)| {
            KEY_BYTES + self.model.entry_size(entry).total(self.spec.value_bytes) + tops.bytes()
        };
        let of_entries: u64 = cut.entries.iter().map(weigh).sum();
        let bytes = wire::COUNT + 2 * REPLICA_BYTES + cut.vector.bytes() + of_entries;
        let address = answer_address(answered.about);
        let content = Content::Ordered(Ordered::Cut(cut));
        self.send_content(member, (answered.from, topic), content, bytes, address, cx);
    }

    /// Takes over what another replica has, and sends back what that lacks.
    fn join_cut(&mut self, member: u32, message: &Message, cut: &Cut<R>, cx: &mut Cx<'_, '_>) {
        let (peer, now) = (self.peer(message.from), cx.now());
        let replica = &mut self.replicas[member as usize];
        replica.order.hear(Origin::new(peer as u16, cut.life), now);
        let trusts = self.spec.causal().and_then(|spec| spec.flaw) == Some(Flaw::TakesVectorsOnTrust);
        if cut.to != replica.origin.life() {
            return;
        }
        if !trusts {
            for (key, entry, tops) in &cut.entries {
                self.join_entry(member, *key, entry, cx);
                self.replicas[member as usize].order.tops[*key as usize].join(tops);
            }
        }
        let order = &mut self.replicas[member as usize].order;
        order.vector.join(&cut.vector);
        let vector = &order.vector;
        order.buffer.retain(|dot, _| !vector.contains(*dot));
        if message.topic == topic::ENTRIES && !cut.vector.descends(&order.vector) {
            self.send_cut(member, message, topic::REST, &cut.vector, cut.life, cx);
        }
    }

    /// Whether all live replicas have taken in the same.
    pub(in crate::stores) fn vectors_agree(&self) -> bool {
        let mut live = self.replicas.iter().filter(|replica| !replica.down);
        let first = live.next().map(|replica| &replica.order.vector);
        live.all(|replica| Some(&replica.order.vector) == first)
    }

    /// Whether nothing is held back that will still be served, or refused, or taken in: what an update in a buffer waits for is
    /// with its origin if that is live, and given up if that is known to be gone.
    pub(in crate::stores) fn is_order_at_rest(&self) -> bool {
        let lives = |origin: Origin| {
            let replica = &self.replicas[usize::from(origin.replica())];
            !replica.down && replica.origin == origin
        };
        self.replicas.iter().all(|replica| {
            let order = &replica.order;
            let mut updates = order.buffer.values().map(|buffered| &buffered.update);
            let stuck = |update: &Update<R>| !lives(update.origin()) && !order.waits_for_the_dead(update);
            order.held.is_empty() && order.unsent.is_empty() && (replica.down || updates.all(stuck))
        })
    }
}

impl<R: Resolution> Update<R> {
    fn origin(&self) -> Origin {
        self.dot.origin
    }
}
