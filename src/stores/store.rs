//! A store at work: its replicas answer requests, each from what it holds.
//!
//! Guarantees: a request is answered by the replica that it reached, from its own state, without asking others, unless the store
//! works by quorums (see [`quorum`](super::quorum)). An update is applied there before it is answered, and never twice by one replica if its attempt is idempotent and the replica's state
//! survives. A replica that is down drops what reaches it; one that stands still takes it in when it goes on, in the order of
//! arrival, with the wait counted as down time.
//!
//! A replica that loses its state comes back empty, as a new origin (the next life): it forgets the calls it has known, what
//! it was about to send, and what it held.

use super::causal::Order;
use super::ot;
use super::primary::Desk;
use super::quorum::{Coordinator, Operation};
use super::raft::Member;
use super::replica::{Job, Replica, Slot, Waiting};
use super::replication::{Payload, Shipment, topic};
use super::spec::StoreSpec;
use super::stability::Knowledge;
use super::stamping::Stamps;
use super::subscriptions::Subscriptions;
use super::words::{push_versions, store_key};
use crate::kernel::{Entry, Liveness, SimTime, Words, in_large_pages};
use crate::state::{KeyType, Origin, Resolution};
use crate::world::call::Request;
use crate::world::message::{Message, MessageKind};
use crate::world::population::{Cx, Disturbance, Endpoint, Population, kind};
use crate::world::record::What;
use crate::world::slab::{Handle, Slab};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Work on a request ends. Body: the job's handle.
pub(super) const SERVED: u16 = kind::OWN;
/// A replica starts an exchange. Body: its number.
pub(super) const ROUND: u16 = kind::OWN + 1;
/// A batch is full. Body: which one.
pub(super) const FLUSH: u16 = kind::OWN + 2;
/// A delayed update leaves. Body: the shipment's handle.
pub(super) const SHIP: u16 = kind::OWN + 3;
/// A coordinator's timer is due. Body: which one.
pub(super) const ALARM: u16 = kind::OWN + 4;
/// A replica offers hints to those that they are for. Body: the turn.
pub(super) const HANDOFF: u16 = kind::OWN + 5;
/// The timer of a replica that is a primary, or follows one. Body: which of its entries.
pub(super) const TICK: u16 = kind::OWN + 16;

/// Something waits for what came before it, and it is time to look at it. Body: which request; 0 for the updates.
pub(super) const ORDER: u16 = kind::OWN + 6;
/// A timer of a member of a group is due. Body: which group, and its number.
pub(super) const ELECTION: u16 = kind::OWN + 7;
/// A request has waited for its group long enough. Body: which group.
pub(super) const DEADLINE: u16 = kind::OWN + 8;

/// The patience of an update that waits is over. Body: which one.
pub(super) const PATIENCE: u16 = kind::OWN + 32;

/// A replica looks at what its server, or the others, haven't answered. Body: which look.
pub(super) const RESEND: u16 = kind::OWN + 33;

/// A store: the population of its replicas.
#[derive(Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub struct Store<R: Resolution> {
    #[serde(skip)]
    pub(super) spec: Arc<StoreSpec>,
    #[serde(skip)]
    pub(super) model: R,
    pub(super) name: String,
    pub(super) index: u32,
    pub(super) replicas: Vec<Replica<R>>,
    pub(super) payloads: Slab<Payload<R>>,
    pub(super) shipments: Slab<Shipment>,
    pub(super) jobs: Slab<Job>,
    /// What coordinators have under way.
    pub(super) operations: Slab<Operation<R>>,
    /// Whether the measured time is over: somebody has asked whether the store is at rest.
    pub(super) draining: bool,
    /// How much of the log of each group some replica has applied.
    pub(super) agreed: Vec<u64>,
    /// Words of a record, kept for their room.
    #[serde(skip)]
    pub(super) words: Vec<u64>,
}

impl<R: Resolution> std::fmt::Debug for Store<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store")
            .field("name", &self.name)
            .field("model", &self.model.name())
            .field("replicas", &self.replicas.len())
            .finish_non_exhaustive()
    }
}

impl<R: Resolution> Store<R> {
    /// A store under `model`; `index` is its number in records, and the endpoints are the replicas', in the order of the spec.
    ///
    /// # Panics
    /// Panics if the endpoints aren't as many as the replicas, or if the model refuses one of the keys.
    pub fn new(name: &str, index: u32, spec: Arc<StoreSpec>, model: R, endpoints: Vec<Endpoint>) -> Self {
        assert_eq!(
            endpoints.len(),
            spec.replicas.len(),
            "every replica of {name} has an endpoint"
        );
        let slots: Vec<_> = spec
            .keys
            .iter()
            .map(|(_, key)| {
                let entry = model.fresh(*key);
                Slot {
                    hash: model.state_hash(&entry),
                    shown: model.digest(&entry),
                    number: 0,
                    is_text: *key == KeyType::Text,
                    touched: false,
                    changed: false,
                    entry,
                }
            })
            .collect();
        let all = endpoints.len();
        let ordered = spec.causal().map_or((0, 0), |_| (slots.len(), endpoints.len()));
        let count = spec.replicas.len() as u32;
        let origin = |place| Origin::new(u16::try_from(place).expect("fewer than 2^16 replicas"), 0);
        let members = |place, endpoint: &Endpoint| {
            let raft = spec.raft();
            raft.map_or_else(Vec::new, |raft| Member::founders(raft, origin(place), endpoint, count))
        };
        let replicas = endpoints.into_iter().zip(&spec.replicas).enumerate();
        let replicas = replicas.map(|(place, (endpoint, replica))| Replica {
            raft: members(place, &endpoint),
            endpoint,
            stamps: Stamps::new(replica.clock.clone(), spec.stamping),
            origin: origin(place),
            slots: copy_of(&slots),
            known: BTreeMap::new(),
            in_work: Vec::new(),
            down: false,
            bereft: false,
            paused: None,
            inbox: VecDeque::new(),
            outbox: Vec::new(),
            batch: BTreeMap::new(),
            batch_number: 0,
            batch_open: false,
            round: 0,
            round_set: false,
            exchanges: 0,
            knowledge: Knowledge::default(),
            coordinator: Coordinator::default(),
            fences: BTreeMap::new(),
            desk: spec
                .primary()
                .map(|rules| Box::new(Desk::new(place as u32, rules.primary, all))),
            order: Order::new(ordered.0, ordered.1),
            subscriptions: Subscriptions::default(),
            central: ot::Desk::default(),
            parked: Vec::new(),
            waits: 0,
            heard: BTreeMap::new(),
        });
        let groups = spec.raft().map_or(0, |raft| raft.sharding.count() as usize);
        Self {
            replicas: replicas.collect(),
            spec,
            model,
            name: name.to_string(),
            index,
            payloads: Slab::default(),
            shipments: Slab::default(),
            jobs: Slab::default(),
            operations: Slab::default(),
            draining: false,
            agreed: vec![0; groups],
            words: Vec::new(),
        }
    }
}

/// The slots of one replica. Batches walk through them in steps that leave the cache and its table of pages.
fn copy_of<E: Clone>(slots: &[Slot<E>]) -> Vec<Slot<E>> {
    let mut copy = Vec::with_capacity(slots.len());
    in_large_pages(&mut copy);
    copy.extend_from_slice(slots);
    copy
}

impl<R: Resolution> Population for Store<R> {
    fn start(&mut self, starter: &mut crate::world::Starter<'_, '_>) {
        for replica in &mut self.replicas {
            let id = replica.endpoint.id;
            starter.schedule(&mut replica.endpoint.origin, SimTime::ZERO, kind::START, id, 0);
        }
    }

    fn handle(&mut self, member: u32, entry: &Entry<u64>, cx: &mut Cx<'_, '_>) {
        match entry.kind {
            kind::START => {
                self.first_round(member, cx);
                self.first_tick(member, cx);
                self.found(member, cx);
            }
            TICK => self.tick(member, cx),
            SERVED => self.served(member, Handle::from_word(entry.body), cx),
            ROUND => self.round(member, cx),
            FLUSH => self.flush(member, cx),
            SHIP => self.ship(member, Handle::from_word(entry.body), cx),
            ALARM => self.alarm(member, entry.body as usize, cx),
            PATIENCE => self.lose_patience(member, cx),
            RESEND => self.send_central_again(member, cx),
            HANDOFF => self.hand_off(member, cx),
            ORDER => self.order_due(member, entry.body, cx),
            ELECTION => self.member_timer(member, entry.body, cx),
            DEADLINE => self.deadline(member, entry.body, cx),
            _ => {}
        }
    }

    fn receive(&mut self, member: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        match message.kind {
            MessageKind::Request => self.arrive(member, message, cx),
            MessageKind::Peer => {
                let replica = &mut self.replicas[member as usize];
                if replica.down {
                    self.release(message.handle);
                } else if replica.paused.is_some() {
                    replica.inbox.push_back(Waiting::Peer(*message));
                } else {
                    self.take_in(member, message, cx);
                    self.unpark(member, cx);
                }
            }
            _ => {}
        }
    }

    fn expects(&self) -> bool {
        true
    }

    fn expect(&self, member: u32, request: &Request) {
        if let Request::Read { key } | Request::Update { key, .. } = request
            && let Some(slot) = self.replicas[member as usize].slots.get(*key as usize)
        {
            slot.touch();
        }
    }

    fn digest(&self, member: u32, entry: &Entry<u64>, words: &mut Words) -> Liveness {
        let replica = &self.replicas[member as usize];
        match entry.kind {
            SERVED => {
                let Some(job) = self.jobs.get(Handle::from_word(entry.body)) else {
                    return Liveness::Stale;
                };
                if replica.paused.is_some() || job.due != entry.time {
                    return Liveness::Stale;
                }
                words.push(job.identity);
                words.push(job.began.as_nanos());
            }
            SHIP => {
                let Some(shipment) = self.shipments.get(Handle::from_word(entry.body)) else {
                    return Liveness::Stale;
                };
                if shipment.life != replica.origin.life() {
                    return Liveness::Stale;
                }
                words.push(shipment.to as u64);
                self.digest_payload(shipment.payload, words);
                if shipment.topic != topic::NEWS {
                    words.push(u64::from(shipment.topic));
                    words.push(shipment.value);
                }
            }
            TICK if !replica.desk.as_ref().is_some_and(|desk| desk.is_tick(entry.body)) => return Liveness::Stale,
            ORDER if self.is_order_stale(member, entry.body) => return Liveness::Stale,
            ELECTION if self.is_old_timer(member, entry.body) => return Liveness::Stale,
            RESEND if !self.is_look(member, entry.body) => return Liveness::Stale,
            PATIENCE if !replica.is_parked(entry.body) => return Liveness::Stale,
            FLUSH if !replica.batch_open || entry.body != replica.batch_number => return Liveness::Stale,
            _ => words.push(entry.body),
        }
        Liveness::Live
    }

    fn describe(&self, _member: u32, entry: &Entry<u64>) -> String {
        let what = match entry.kind {
            SERVED => "end of work on an operation",
            ROUND => "turn of anti-entropy",
            FLUSH => "end of a batch",
            SHIP => "departure of news",
            ALARM => "timer of a coordinator",
            RESEND => "look at what isn't answered",
            PATIENCE => "end of an update's patience",
            HANDOFF => "turn of handoff",
            TICK => "timer of a primary or a backup",
            ORDER => "timer of what waits for earlier updates",
            ELECTION => "timer of a member of a group",
            DEADLINE => "timer of requests",
            _ => "start",
        };
        format!("{what} (state.{})", self.name)
    }

    fn skip(&mut self, member: u32, entry: &Entry<u64>, cx: &mut Cx<'_, '_>) {
        let handle = Handle::from_word(entry.body);
        match entry.kind {
            SERVED => {
                let replica = &self.replicas[member as usize];
                let Some(job) = self.jobs.get_mut(handle) else { return };
                if replica.paused.is_some() {
                    job.overdue = true;
                } else {
                    cx.schedule_in_place(job.ticket, job.due, SERVED, replica.endpoint.id, entry.body);
                }
            }
            SHIP => {
                if let Some(shipment) = self.shipments.remove(handle) {
                    self.release(shipment.payload);
                }
            }
            _ => {}
        }
    }

    fn digest_peer(&self, message: &Message, words: &mut Words) {
        self.digest_payload(message.handle, words);
    }

    fn lost(&mut self, message: &Message) {
        self.release(message.handle);
    }

    fn doubled(&mut self, message: &Message) -> u64 {
        self.retain(message.handle);
        message.value
    }

    fn disturb(&mut self, member: u32, disturbance: Disturbance, cx: &mut Cx<'_, '_>) {
        let replica = &mut self.replicas[member as usize];
        match disturbance {
            Disturbance::Crash { keep_state } => self.crash(member, keep_state, cx),
            Disturbance::Restart => {
                replica.down = false;
                self.open_desk(member, cx);
                self.come_back(member, cx);
            }
            Disturbance::Pause => replica.paused = Some(replica.paused.unwrap_or(cx.now())),
            Disturbance::Resume => self.resume(member, cx),
            Disturbance::ClockStep(by) => {
                let adjusted = replica.stamps.clock.adjust(cx.now(), by, None);
                adjusted.expect("faults come in the order of time");
                self.clock_stepped(member, cx);
            }
            Disturbance::Slow(_) => {}
        }
    }

    fn drains(&self) -> bool {
        true
    }

    fn is_at_rest(&mut self, returns: bool) -> bool {
        let stands = |replica: &Replica<R>| replica.down || replica.paused.is_some();
        if returns && self.replicas.iter().any(stands) || !self.jobs.is_empty() {
            return false;
        }
        if self.spec.raft().is_some() {
            return self.is_agreed();
        }
        if !self.is_quiet() {
            return false;
        }
        self.draining = true;
        if self.spec.primary().is_some() {
            return self.is_level();
        }
        if !self.operations.is_empty() || self.has_hints() || !self.is_order_at_rest() {
            return false;
        }
        if self.spec.central().is_some() {
            return self.central_at_rest();
        }
        // Without exchanges nothing makes good what was lost: replicas that differ then do so for ever.
        self.spec.anti_entropy.is_none() || self.replicas.len() < 2 || self.agrees()
    }

    fn is_news(&self, message: &Message) -> bool {
        // Leaders of groups talk without end.
        message.topic != topic::RAFT
    }

    fn finish(&mut self, cx: &mut Cx<'_, '_>) {
        let mut words = Vec::new();
        for member in 0..self.replicas.len() as u32 {
            if let Some(transforms) = self.transforms(member) {
                let id = self.replicas[member as usize].endpoint.id;
                cx.record(What::Transformed, id, [u64::from(self.index), transforms, 0]);
            }
        }
        for (member, replica) in (0..).zip(&self.replicas) {
            let (mut overhead, mut tombstones) = (replica.order.bytes(), 0);
            self.say_buffered(member, cx);
            for (key, slot) in replica.slots.iter().enumerate() {
                // What is behind an entry lies anywhere.
                if let Some(ahead) = replica.slots.get(key + 16) {
                    self.model.touch(&ahead.entry);
                }
                overhead += self.model.entry_size(&slot.entry).overhead(self.spec.value_bytes);
                tombstones += self.model.tombstones(&slot.entry);
                if slot.touched && cx.wants(What::Holds) {
                    words.clear();
                    push_versions(&self.model.versions(&slot.entry), &mut words);
                    let key = store_key(self.index, key as u32);
                    cx.record_with(What::Holds, replica.endpoint.id, [key, 0, 0], &words);
                }
            }
            self.say_texts(replica, cx);
            cx.record(
                What::Metadata,
                replica.endpoint.id,
                [u64::from(self.index), overhead, tombstones],
            );
        }
    }

    fn audit(&self, _end: SimTime) -> Vec<String> {
        let held: usize = self.replicas.iter().map(|replica| replica.in_work.len()).sum();
        if held == self.jobs.len() {
            Vec::new()
        } else {
            vec![format!(
                "{}: {held} requests are in work, but {} are kept",
                self.name,
                self.jobs.len()
            )]
        }
    }
}

impl<R: Resolution> Store<R> {
    fn digest_payload(&self, payload: Handle, words: &mut Words) {
        if let Some(payload) = self.payloads.get(payload) {
            words.push(payload.hash());
        }
    }
}
