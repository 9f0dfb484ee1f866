//! What faults do to replicas, and how replicas get over them.

use super::replica::{Known, Waiting, show};
use super::store::{SERVED, Store};
use super::words::store_key;
use crate::state::{Origin, Resolution};
use crate::world::population::Cx;
use crate::world::record::What;
use crate::world::slab::Handle;

impl<R: Resolution> Store<R> {
    /// A replica stops, and drops what it was asked.
    pub(super) fn crash(&mut self, member: u32, keep_state: bool, cx: &mut Cx<'_, '_>) {
        let replica = &mut self.replicas[member as usize];
        let id = replica.endpoint.id;
        replica.down = true;
        let mut dropped: Vec<Handle> = Vec::new();
        for job in replica.in_work.drain(..) {
            dropped.extend(self.jobs.remove(job).map(|job| job.attempt));
        }
        replica.known.retain(|_, known| match known {
            Known::InWork(waiting) => {
                dropped.append(waiting);
                false
            }
            Known::Accepted { .. } | Known::Done => keep_state,
        });
        dropped.extend(self.drop_operations(member));
        dropped.extend(self.close_desk(member, keep_state));
        dropped.extend(self.drop_held(member));
        dropped.extend(self.replicas[member as usize].unpark_all());
        let replica = &mut self.replicas[member as usize];
        // What it misses until it is back keeps it from taking in what follows.
        replica.bereft |= self.spec.causal().is_some();
        let mut released = Vec::new();
        for waiting in replica.inbox.drain(..) {
            match waiting {
                Waiting::Request(attempt) => dropped.push(attempt),
                Waiting::Peer(message) => released.push(message.handle),
            }
        }
        if !keep_state {
            let life = replica.origin.life().checked_add(1);
            let life = life.expect("a replica loses its state fewer than 2^16 times");
            replica.origin = Origin::new(replica.origin.replica(), life);
            replica.bereft = true;
            replica.stamps.forget();
            replica.fences.clear();
            replica.batch.clear();
            replica.heard.clear();
            self.lose_desk(member);
            let replica = &mut self.replicas[member as usize];
            replica.batch_open = false;
            replica.coordinator.staged.clear();
            replica.coordinator.outside.clear();
            replica.coordinator.hints.clear();
            replica.order.forget(replica.origin);
            replica.subscriptions.forget();
            for (key, (slot, (_, key_type))) in replica.slots.iter_mut().zip(&self.spec.keys).enumerate() {
                let was = slot.touched;
                slot.entry = self.model.fresh(*key_type);
                slot.number = 0;
                if was {
                    show(&self.model, slot, id, store_key(self.index, key as u32), cx);
                    slot.touched = false;
                }
            }
            for shipment in replica.outbox.drain(..) {
                released.extend(self.shipments.remove(shipment).map(|shipment| shipment.payload));
            }
        }
        dropped.extend(self.crash_members(member, keep_state));
        for attempt in dropped {
            if let Some(identity) = cx.shared.journey(attempt).map(|(_, call)| call.identity) {
                cx.record(What::RequestDropped, id, [identity, 0, 0]);
                cx.drop_attempt(attempt);
            }
        }
        for payload in released {
            self.release(payload);
        }
    }

    /// A replica goes on after it stood still: what was in work takes so much longer, and what waited is taken in.
    pub(super) fn resume(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let replica = &mut self.replicas[member as usize];
        let Some(since) = replica.paused.take() else { return };
        for &handle in &replica.in_work {
            let Some(job) = self.jobs.get_mut(handle) else { continue };
            let stalled = now - since.max(job.began);
            job.due += stalled;
            if let Some(attempt) = cx.shared.attempts.get_mut(job.attempt) {
                attempt.down += stalled;
            }
            if std::mem::take(&mut job.overdue) {
                cx.schedule_in_place(job.ticket, job.due, SERVED, replica.endpoint.id, handle.to_word());
            }
        }
        self.stall_operations(member, since, cx);
        if let Some(desk) = &mut self.replicas[member as usize].desk {
            desk.stand(now - since);
        }
        self.stall_held(member, since, cx);
        self.stall_members(member, now - since);
        self.stall_parked(member, since, cx);
        if self.replicas[member as usize].down {
            return;
        }
        self.come_back(member, cx);
        for waiting in std::mem::take(&mut self.replicas[member as usize].inbox) {
            match waiting {
                Waiting::Request(handle) => {
                    if let Some(attempt) = cx.shared.attempts.get_mut(handle) {
                        attempt.down += now - attempt.finished;
                    }
                    self.begin(member, handle, cx);
                }
                Waiting::Peer(message) => self.take_in(member, &message, cx),
            }
        }
        self.lose_patience(member, cx);
        self.ring_all(member, cx);
        self.look_again(member, cx);
    }

    /// A replica can act again after a crash or a pause. If it has lost its state it asks every live peer at once.
    pub(super) fn come_back(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let replica = &self.replicas[member as usize];
        if replica.down || replica.paused.is_some() {
            return;
        }
        self.catch_up(member, cx);
        self.central_back(member, cx);
        self.set_handoff(member, cx);
        let orders = self.spec.causal().is_some();
        self.members_are_back(member, cx);
        if self.spec.anti_entropy.is_none() && !orders {
            return;
        }
        if orders {
            self.set_look(member, cx);
        }
        if std::mem::take(&mut self.replicas[member as usize].bereft) {
            for peer in self.live_peers(member) {
                self.start_exchange(member, peer, cx);
            }
        }
        self.set_round(member, cx);
    }
}
