//! A store at work: its replicas answer requests, each from what it holds.
//!
//! Guarantees: a request is answered by the replica that it reached, from its own state, without asking others, unless the store
//! works by quorums (see [`quorum`](super::quorum)). An update is applied there before it is answered, and never twice by one replica if its attempt is idempotent and the replica's state
//! survives. A replica that is down drops what reaches it; one that stands still takes it in when it goes on, in the order of
//! arrival, with the wait counted as down time.
//!
//! A replica that loses its state comes back empty, as a new origin (the next life): it forgets the calls it has known, what
//! it was about to send, and what it held.

use super::content::content_hash;
use super::quorum::{Coordinator, Operation};
use super::replication::{Payload, Shipment, topic};
use super::spec::StoreSpec;
use super::stability::Knowledge;
use super::stamping::Stamps;
use super::words::{char_word, op_words, origin_word, push_own_reply, push_versions, store_key};
use crate::kernel::{Entry, Liveness, SimTime, Ticket, Words};
use crate::state::{Accept, Context, Dot, Fate, Op, Origin, Resolution, Versions};
use crate::world::call::{Outcome, Request};
use crate::world::message::{Message, MessageKind};
use crate::world::population::{Cx, Disturbance, Endpoint, Population, kind, purpose};
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

/// One key at one replica.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Slot<E> {
    pub(super) entry: E,
    /// Updates of this key that this origin has accepted.
    pub(super) number: u32,
    /// Whether anything ever reached the key here.
    pub(super) touched: bool,
    /// Whether `hash` isn't that of `entry`.
    pub(super) changed: bool,
    /// A hash of the replicated state.
    pub(super) hash: u64,
    /// The digest of the visible value, if anybody watches.
    shown: u64,
}

/// What reached a replica while it stood still.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) enum Waiting {
    Request(Handle),
    Peer(Message),
}

/// A replica's memory of calls that it recognises.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(super) enum Known<R: Resolution> {
    /// Being worked on; these attempts wait for the same answer.
    InWork(Vec<Handle>),
    /// Accepted, and not yet acknowledged by enough replicas.
    Accepted {
        delta: R::Delta,
        dot: Dot,
        /// The operation that sees to it, if it is still under way.
        operation: Handle,
    },
    /// Applied, and acknowledged.
    Done,
}

/// An update that was accepted.
#[derive(Debug, Clone)]
pub(super) struct Accepted<R: Resolution> {
    pub(super) delta: R::Delta,
    pub(super) dot: Dot,
    /// What its client gets back.
    pub(super) context: Context,
}

/// A request in work.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Job {
    pub(super) attempt: Handle,
    identity: u64,
    pub(super) began: SimTime,
    pub(super) due: SimTime,
    pub(super) ticket: Ticket,
    /// Its entry came while the replica stood still.
    pub(super) overdue: bool,
}

/// One replica.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(super) struct Replica<R: Resolution> {
    pub(super) endpoint: Endpoint,
    pub(super) stamps: Stamps,
    pub(super) origin: Origin,
    pub(super) slots: Vec<Slot<R::Entry>>,
    pub(super) known: BTreeMap<u64, Known<R>>,
    pub(super) in_work: Vec<Handle>,
    pub(super) down: bool,
    /// It has lost its state, and hasn't asked its peers for it yet.
    pub(super) bereft: bool,
    pub(super) paused: Option<SimTime>,
    pub(super) inbox: VecDeque<Waiting>,
    /// Shipments that were due while it was down or stood still.
    pub(super) outbox: Vec<Handle>,
    /// News by key that waits to be sent together.
    pub(super) batch: BTreeMap<u32, R::Delta>,
    pub(super) batch_number: u64,
    pub(super) batch_open: bool,
    pub(super) round: u64,
    pub(super) round_set: bool,
    /// Updates sent to peers, batches counted once.
    pub(super) exchanges: u64,
    /// What the others have heard of.
    pub(super) knowledge: Knowledge,
    /// What it keeps where it coordinates quorums.
    pub(super) coordinator: Coordinator<R>,
}

/// A store: the population of its replicas.
#[derive(Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub struct Store<R: Resolution> {
    #[serde(skip)]
    pub(super) spec: Arc<StoreSpec>,
    #[serde(skip)]
    pub(super) model: R,
    name: String,
    pub(super) index: u32,
    pub(super) replicas: Vec<Replica<R>>,
    pub(super) payloads: Slab<Payload<R>>,
    pub(super) shipments: Slab<Shipment>,
    pub(super) jobs: Slab<Job>,
    /// What coordinators have under way.
    pub(super) operations: Slab<Operation<R>>,
    /// Words of a record, kept for their room.
    #[serde(skip)]
    words: Vec<u64>,
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

/// The records of what happens to effects of one key at one replica.
pub(super) fn tell(cx: &mut Cx<'_, '_>, replica: u32, key: u64, fate: Fate) {
    match fate {
        Fate::Applied(range) => {
            let numbers = u64::from(range.first) << 32 | u64::from(range.last);
            cx.record(What::Applied, replica, [key, origin_word(range.origin), numbers]);
        }
        Fate::BuiltOn { version, base } => cx.record(What::BuiltOn, replica, [key, version.bits(), base.bits()]),
        Fate::Placed { version, after } => cx.record(What::Placed, replica, [key, version.bits(), char_word(after)]),
        Fate::Took { version, first, length } => {
            let words = [u64::from(first.place) << 32 | u64::from(length)];
            cx.record_with(What::Took, replica, [key, version.bits(), first.dot.bits()], &words);
        }
        Fate::Outranked { loser, winner } => {
            let winner = winner.map_or(u64::MAX, Dot::bits);
            cx.record(What::Outranked, replica, [key, loser.bits(), winner]);
        }
    }
}

/// Marks a key as changed, and records what a reader sees now, if that is news.
pub(super) fn show<R: Resolution>(model: &R, slot: &mut Slot<R::Entry>, replica: u32, key: u64, cx: &mut Cx<'_, '_>) {
    (slot.changed, slot.touched) = (true, true);
    if cx.wants(What::Visible) {
        let digest = model.digest(&slot.entry);
        if digest != slot.shown {
            slot.shown = digest;
            cx.record(What::Visible, replica, [key, digest, 0]);
        }
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
                    touched: false,
                    changed: false,
                    entry,
                }
            })
            .collect();
        let replicas = endpoints.into_iter().zip(&spec.replicas).enumerate();
        let replicas = replicas.map(|(place, (endpoint, replica))| Replica {
            endpoint,
            stamps: Stamps::new(replica.clock.clone(), spec.stamping),
            origin: Origin::new(u16::try_from(place).expect("fewer than 2^16 replicas"), 0),
            slots: slots.clone(),
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
        });
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
            words: Vec::new(),
        }
    }

    /// A request is there.
    fn arrive(&mut self, member: u32, message: &Message, cx: &mut Cx<'_, '_>) {
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
            if is_passed {
                self.take_over(member, message, cx);
            }
            self.begin(member, handle, cx);
        }
    }

    /// A request is taken on.
    pub(super) fn begin(&mut self, member: u32, handle: Handle, cx: &mut Cx<'_, '_>) {
        let replica = &mut self.replicas[member as usize];
        let Some((attempt, call)) = cx.shared.journey(handle) else {
            return;
        };
        let identity = call.identity;
        if let Request::Update { key, .. } = call.request
            && call.idempotent
            && self.spec.keeps(member, key)
        {
            match replica.known.get_mut(&identity) {
                Some(Known::Accepted { .. }) => return self.coordinate_again(member, identity, handle, cx),
                Some(Known::Done) => return self.answer_again(member, handle, cx),
                Some(Known::InWork(waiting)) => return waiting.push(handle),
                None => drop(replica.known.insert(identity, Known::InWork(Vec::new()))),
            }
        }
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
    fn serve(&mut self, member: u32, handle: Handle, cx: &mut Cx<'_, '_>) {
        let Some((attempt, call)) = cx.shared.journey_mut(handle) else {
            return;
        };
        match &call.request {
            Request::Read { .. } | Request::Update { .. } if self.spec.quorum.is_some() => {
                self.coordinate(member, handle, cx);
            }
            Request::Read { key } => {
                let key = *key;
                self.read(member, key, handle, cx);
            }
            Request::Update {
                key,
                op,
                context,
                expects,
            } => {
                let (key, op, context, expects) = (*key, *op, context.clone(), *expects);
                let identity = call.identity;
                let about = call.key.draw(purpose::REPLICATION, call.about(attempt));
                if self.model.refuses(self.spec.keys[key as usize].1, op).is_some() {
                    let refused = Outcome::Refused { retry_after: None };
                    return self.refuse_update(member, identity, refused, handle, cx);
                }
                if let Some(version) = expects {
                    let holds = self.version(member, key) == version;
                    let words = [identity, store_key(self.index, key), u64::from(holds)];
                    cx.record(What::Swapped, self.replicas[member as usize].endpoint.id, words);
                    if !holds {
                        return self.refuse_update(member, identity, Outcome::Moved, handle, cx);
                    }
                }
                let delta = self.update(member, key, op, context.as_deref(), handle, cx);
                self.replicate(member, key, delta, about, cx);
                let waiting = self.replicas[member as usize].known.get_mut(&identity);
                if let Some(Known::InWork(waiting)) = waiting.map(|known| std::mem::replace(known, Known::Done)) {
                    for attempt in waiting {
                        self.answer_again(member, attempt, cx);
                    }
                }
            }
            // The plan has checked that nobody asks a store to work.
            Request::Work { .. } => {
                attempt.outcome = Outcome::Refused { retry_after: None };
                self.answer(member, handle, 0, cx);
            }
        }
    }

    fn read(&mut self, member: u32, key: u32, handle: Handle, cx: &mut Cx<'_, '_>) {
        let version = self.version(member, key);
        let replica = &self.replicas[member as usize];
        let entry = &replica.slots[key as usize].entry;
        let Some((attempt, call)) = cx.shared.journey_mut(handle) else {
            return;
        };
        let context = self.model.context(entry);
        let size = self.model.entry_size(entry);
        let bytes = size.content(self.spec.value_bytes) + context.bytes();
        attempt.context = Some(Box::new(context));
        attempt.version = version;
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
        cx.executed(self.replicas[member as usize].endpoint.id, handle);
        let bytes = accepted.context.bytes();
        if let Some(attempt) = cx.shared.attempts.get_mut(handle) {
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
        let blind = u64::from(context.is_none() || !informed);
        let [what, with] = op_words(op);
        self.words.clear();
        self.words.extend([
            call.began.as_nanos(),
            u64::from(call.client) | blind << 32,
            stamp as u64,
            what,
            with,
        ]);
        push_versions(versions, &mut self.words);
        let words = [call.identity, word, dot.bits()];
        cx.record_with(What::Accepted, id, words, &self.words);
    }

    /// Answers an update that was applied before, as it was then.
    fn answer_again(&mut self, member: u32, handle: Handle, cx: &mut Cx<'_, '_>) {
        let Some((attempt, call)) = cx.shared.journey_mut(handle) else {
            return;
        };
        let Request::Update { key, .. } = call.request else {
            return;
        };
        let context = self
            .model
            .context(&self.replicas[member as usize].slots[key as usize].entry);
        let bytes = context.bytes();
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

    fn served(&mut self, member: u32, handle: Handle, cx: &mut Cx<'_, '_>) {
        let job = self.jobs.remove(handle).expect("a live end of work has its job");
        self.replicas[member as usize].in_work.retain(|other| *other != handle);
        self.serve(member, job.attempt, cx);
    }
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
            kind::START => self.first_round(member, cx),
            SERVED => self.served(member, Handle::from_word(entry.body), cx),
            ROUND => self.round(member, cx),
            FLUSH => self.flush(member, cx),
            SHIP => self.ship(member, Handle::from_word(entry.body), cx),
            ALARM => self.alarm(member, entry.body as usize, cx),
            HANDOFF => self.hand_off(member, cx),
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
                }
            }
            _ => {}
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
            HANDOFF => "turn of handoff",
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
                self.come_back(member, cx);
            }
            Disturbance::Pause => replica.paused = Some(replica.paused.unwrap_or(cx.now())),
            Disturbance::Resume => self.resume(member, cx),
            Disturbance::ClockStep(by) => {
                let adjusted = replica.stamps.clock.adjust(cx.now(), by, None);
                adjusted.expect("faults come in the order of time");
            }
            Disturbance::Slow(_) => {}
        }
    }

    fn drains(&self) -> bool {
        true
    }

    fn is_at_rest(&mut self, returns: bool) -> bool {
        let stands = |replica: &Replica<R>| replica.down || replica.paused.is_some();
        if returns && self.replicas.iter().any(stands) || !self.jobs.is_empty() || !self.is_quiet() {
            return false;
        }
        if !self.operations.is_empty() || self.has_hints() {
            return false;
        }
        // Without exchanges nothing makes good what was lost: replicas that differ then do so for ever.
        self.spec.anti_entropy.is_none() || self.replicas.len() < 2 || self.agrees()
    }

    fn finish(&mut self, cx: &mut Cx<'_, '_>) {
        let mut words = Vec::new();
        for replica in &self.replicas {
            let (mut overhead, mut tombstones) = (0, 0);
            for (key, slot) in replica.slots.iter().enumerate() {
                overhead += self.model.entry_size(&slot.entry).overhead(self.spec.value_bytes);
                tombstones += self.model.tombstones(&slot.entry);
                if slot.touched && cx.wants(What::Holds) {
                    words.clear();
                    push_versions(&self.model.versions(&slot.entry), &mut words);
                    let key = store_key(self.index, key as u32);
                    cx.record_with(What::Holds, replica.endpoint.id, [key, 0, 0], &words);
                }
            }
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
            words.push(content_hash(&payload.content));
        }
    }
}
