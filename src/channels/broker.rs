//! A broker at work: the population of one channel, with its servers, its faults and its messages.
//!
//! Guarantees: an operation has its effect once its work is done, in the order in which that is; whoever is answered is told where his
//! time went. A crash drops the operations and polls that are there; with its state kept it goes on with what it had accepted, by its
//! clock. While it stands still nothing is due, and what comes waits.

mod desk;
mod sending;

use super::core::{Accepted, Core};
use super::item::Publication;
use super::queue::Poll;
use super::spec::ChannelSpec;
use crate::kernel::{Entry, Liveness, SimTime, Words};
use crate::services::books::Books;
use crate::world::Starter;
use crate::world::call::{Outcome, Request};
use crate::world::message::{Message, MessageKind};
use crate::world::population::{Cx, Disturbance, Endpoint, Population, kind};
use crate::world::record::What;
use crate::world::slab::{Handle, Slab};
use desk::{Job, Moment};
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Work on an operation ends. Body: the job's handle.
const SERVED: u16 = kind::OWN;
/// Something is due in the channel. Body: which of these entries.
const LOOK: u16 = kind::OWN + 1;

/// What agents and brokers say to each other without an answer: the topic of the message.
pub mod word {
    /// To the broker: a message was handled. Its value is the tag.
    pub const ACKNOWLEDGE: u16 = 0;
    /// To the broker: a consumer begins anew, with nothing in its hands.
    pub const ANEW: u16 = 1;
    /// To the broker: a consumer is there.
    pub const HERE: u16 = 2;
    /// To a consumer: it is asked whether it is there.
    pub const INVITE: u16 = 3;
    /// The size of any of these.
    pub const BYTES: u32 = 16;
}

/// What is to be worked on.
#[derive(Debug, Clone, Copy, Serialize)]
enum Work {
    /// Somebody waits for the answer: the attempt.
    Request(Handle),
    /// Nobody does.
    Word(Message),
}

/// A poll that waits for messages.
#[derive(Debug, Clone, Copy, Serialize)]
struct Waiting {
    attempt: Handle,
    arrived: Moment,
    started: Moment,
    worked: Moment,
}

/// A channel's broker.
#[derive(Debug, Clone, Serialize)]
pub struct Broker {
    #[serde(skip)]
    spec: Arc<ChannelSpec>,
    name: String,
    endpoint: Endpoint,
    core: Core,
    jobs: Slab<Job>,
    queue: VecDeque<Handle>,
    in_work: Vec<Handle>,
    polls: BTreeMap<u64, Waiting>,
    /// For each group of consumers, what tells the draws about its messages from those of others.
    salts: Vec<u64>,
    down: bool,
    /// How many pauses are on.
    pauses: u32,
    /// The speed that a slowdown leaves.
    speed: f64,
    changed: Moment,
    /// How far its clock is ahead, in nanoseconds.
    skew: i64,
    /// The last entry that looks at what is due, and when it comes; never if there is none.
    look: u64,
    looks_at: SimTime,
    books: Books,
}

impl Broker {
    /// An empty channel.
    pub fn new(name: &str, spec: Arc<ChannelSpec>, endpoint: Endpoint) -> Self {
        let fold = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        let salt = |name: &str| name.bytes().fold(0xcbf2_9ce4_8422_2325, fold);
        Self {
            core: Core::new(Arc::clone(&spec)),
            salts: spec.consumers.iter().map(|group| salt(&group.name)).collect(),
            spec,
            name: name.to_string(),
            endpoint,
            jobs: Slab::default(),
            queue: VecDeque::new(),
            in_work: Vec::new(),
            polls: BTreeMap::new(),
            down: false,
            pauses: 0,
            speed: 1.0,
            changed: Moment::default(),
            skew: 0,
            look: 0,
            looks_at: SimTime::NEVER,
            books: Books::default(),
        }
    }

    /// The time by its clock.
    fn local(&self, now: SimTime) -> SimTime {
        let local = i128::from(now.as_nanos()) + i128::from(self.skew);
        SimTime::from_nanos(local.clamp(0, i128::from(u64::MAX - 1)) as u64)
    }

    /// When its clock shows this.
    fn true_time(&self, local: SimTime) -> SimTime {
        let at = i128::from(local.as_nanos()) - i128::from(self.skew);
        SimTime::from_nanos(at.clamp(0, i128::from(u64::MAX)) as u64)
    }

    /// Somebody asks for something.
    fn arrive(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let Some((attempt, call)) = cx.shared.journey_mut(handle) else {
            return;
        };
        (attempt.arrived, attempt.started, attempt.finished) = (now, now, now);
        let words = [call.identity, u64::from(call.client), u64::from(attempt.number)];
        cx.record(What::RequestArrived, self.endpoint.id, words);
        if self.down {
            return self.drop_request(handle, 0, cx);
        }
        self.enqueue(Work::Request(handle), cx);
    }

    /// A request is lost with the broker that had it. `place`: where it was, as records say it.
    fn drop_request(&mut self, handle: Handle, place: u64, cx: &mut Cx<'_, '_>) {
        if let Some(identity) = cx.shared.journey(handle).map(|(_, call)| call.identity) {
            cx.record(What::RequestDropped, self.endpoint.id, [identity, place, 0]);
        }
        cx.drop_attempt(handle);
    }

    /// The work on an operation is done: it has its effect.
    fn take_effect(&mut self, job: &Job, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let local = self.local(now);
        match job.work {
            Work::Word(message) => self.hear(&message, local),
            Work::Request(handle) => {
                let Some((_, call)) = cx.shared.journey(handle) else {
                    return;
                };
                let (identity, client, by_key) = (call.identity, call.client, call.idempotent);
                match call.request {
                    Request::Publish { about, bytes } => {
                        let publication = Publication {
                            identity,
                            key: about,
                            bytes,
                            published: call.began,
                            about: call.key.bits().wrapping_add(call.address.rotate_left(29)),
                        };
                        let accepted = self.core.publish(publication, by_key, local);
                        if accepted == Accepted::New {
                            cx.executed(self.endpoint.id, handle);
                        }
                        let outcome = match accepted {
                            Accepted::New | Accepted::Repeat => Outcome::Done,
                            Accepted::Refused => Outcome::Refused { retry_after: None },
                        };
                        let waited = Waiting::of(job, handle, self.moment(now));
                        self.answer(&waited, outcome, &[], 0, cx);
                    }
                    Request::Poll { most, wait } => {
                        let poll = Poll {
                            id: identity,
                            consumer: client,
                            most,
                            until: local.saturating_add(wait),
                        };
                        let waiting = Waiting::of(job, handle, self.moment(now));
                        if let Some(before) = self.polls.insert(identity, waiting) {
                            // Its client has given it up.
                            cx.drop_attempt(before.attempt);
                        }
                        self.core.poll(poll, local);
                    }
                    _ => panic!("{} is a channel: agents publish to it and poll from it", self.name),
                }
            }
        }
        self.carry_out(cx);
    }

    /// Somebody says something for which no answer is waited.
    fn hear(&mut self, message: &Message, local: SimTime) {
        match (message.kind, message.topic) {
            (MessageKind::Peer, word::ACKNOWLEDGE) => self.core.acknowledge(message.from, message.value, local),
            (MessageKind::Peer, topic) => self.core.join(message.from, topic == word::ANEW, local),
            _ => {
                let publication = Publication {
                    identity: message.value,
                    key: message.handle.to_word().checked_sub(1),
                    bytes: message.bytes,
                    published: message.sent,
                    about: message.about,
                };
                self.core.publish(publication, true, local);
            }
        }
    }

    /// Sees to it that it is looked at when something is due.
    fn arm(&mut self, cx: &mut Cx<'_, '_>) {
        if self.down || self.pace() == 0.0 {
            return;
        }
        let Some(due) = self.core.next_due() else { return };
        let at = self.true_time(due).max(cx.now());
        if at < self.looks_at && at != SimTime::NEVER {
            self.look += 1;
            self.looks_at = at;
            cx.schedule(&mut self.endpoint, at, LOOK, self.look);
        }
    }

    /// Deals with what is due.
    fn look(&mut self, cx: &mut Cx<'_, '_>) {
        self.looks_at = SimTime::NEVER;
        if !self.down && self.pace() > 0.0 {
            self.core.due(self.local(cx.now()));
            self.carry_out(cx);
        }
    }

    fn crash(&mut self, keep_state: bool, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        self.changed = self.moment(now);
        self.down = true;
        let waiting = self.queue.drain(..).map(|handle| (handle, 1));
        let jobs: Vec<(Handle, u64)> = waiting
            .chain(self.in_work.drain(..).map(|handle| (handle, 2)))
            .collect();
        for (handle, place) in jobs {
            let Some(job) = self.jobs.remove(handle) else { continue };
            self.books.leave(job.arrived.at, now);
            if let Work::Request(attempt) = job.work {
                self.drop_request(attempt, place, cx);
            }
        }
        for waiting in std::mem::take(&mut self.polls).into_values() {
            self.drop_request(waiting.attempt, 2, cx);
        }
        let local = self.local(now);
        match keep_state {
            true => self.core.forget_polls(local),
            false => self.core.wipe(local),
        }
        self.carry_out(cx);
    }

    fn restart(&mut self, cx: &mut Cx<'_, '_>) {
        if !self.down {
            return;
        }
        self.changed = self.moment(cx.now());
        self.down = false;
        let local = self.local(cx.now());
        self.core.restart(local);
        if self.pace() > 0.0 {
            self.core.due(local);
        }
        self.carry_out(cx);
    }
}

impl Population for Broker {
    fn start(&mut self, starter: &mut Starter<'_, '_>) {
        starter.start(&mut self.endpoint, SimTime::ZERO);
    }

    fn handle(&mut self, _: u32, entry: &Entry<u64>, cx: &mut Cx<'_, '_>) {
        match entry.kind {
            kind::START => {
                self.core.start(cx.now());
                self.carry_out(cx);
            }
            SERVED => self.served(Handle::from_word(entry.body), cx),
            LOOK => self.look(cx),
            _ => {}
        }
    }

    fn receive(&mut self, _: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        match message.kind {
            MessageKind::Request => self.arrive(message.handle, cx),
            MessageKind::Plain | MessageKind::Peer if !self.down => self.enqueue(Work::Word(*message), cx),
            _ => {}
        }
    }

    fn digest(&self, _: u32, entry: &Entry<u64>, words: &mut Words) -> Liveness {
        match entry.kind {
            SERVED => {
                let job = self.jobs.get(Handle::from_word(entry.body));
                let Some(job) = job.filter(|job| job.due == entry.time) else {
                    return Liveness::Stale;
                };
                words.push(job.arrived.at.as_nanos());
                words.push(job.started.at.as_nanos());
            }
            LOOK => {
                let due = self.core.next_due().map(|due| self.true_time(due));
                if entry.body != self.look || due.is_none_or(|due| due > entry.time) {
                    return Liveness::Stale;
                }
                words.push(due.map_or(0, SimTime::as_nanos));
            }
            _ => words.push(entry.body),
        }
        Liveness::Live
    }

    fn describe(&self, _: u32, entry: &Entry<u64>) -> String {
        let what = match entry.kind {
            SERVED => "end of work on an operation",
            LOOK => "timer of a broker",
            _ => "start",
        };
        format!("{what} (channels.{})", self.name)
    }

    fn skip(&mut self, _: u32, entry: &Entry<u64>, cx: &mut Cx<'_, '_>) {
        match entry.kind {
            SERVED => {
                if let Some(job) = self.jobs.get_mut(Handle::from_word(entry.body))
                    && job.queued == entry.time
                    && job.due > entry.time
                {
                    job.queued = job.due;
                    if job.due != SimTime::NEVER {
                        cx.schedule_in_place(job.ticket, job.due, SERVED, entry.target, entry.body);
                    }
                }
            }
            LOOK if entry.body == self.look => {
                self.looks_at = SimTime::NEVER;
                if self.core.next_due().is_some_and(|due| self.true_time(due) > entry.time) {
                    self.arm(cx);
                }
            }
            _ => {}
        }
    }

    fn disturb(&mut self, _: u32, disturbance: Disturbance, cx: &mut Cx<'_, '_>) {
        match disturbance {
            Disturbance::Crash { keep_state } => self.crash(keep_state, cx),
            Disturbance::Restart => self.restart(cx),
            Disturbance::Pause => self.change_pace(|broker| broker.pauses += 1, cx),
            Disturbance::Resume => self.change_pace(|broker| broker.pauses = broker.pauses.saturating_sub(1), cx),
            Disturbance::Slow(speed) => self.change_pace(|broker| broker.speed = speed, cx),
            Disturbance::ClockStep(by) => {
                self.skew = self.skew.saturating_add(by);
                self.arm(cx);
            }
        }
    }

    fn finish(&mut self, cx: &mut Cx<'_, '_>) {
        for (scope, owed, flying) in self.core.owed() {
            let extra = [u64::from(scope), flying];
            let words = [0, owed, super::event::HOLDS];
            cx.record_with(What::Channel, self.endpoint.id, words, &extra);
        }
    }

    fn audit(&self, end: SimTime) -> Vec<String> {
        let jobs = self
            .queue
            .iter()
            .chain(&self.in_work)
            .filter_map(|handle| self.jobs.get(*handle));
        let still = jobs.map(|job| end.since(job.arrived.at));
        let books = self.books.audit(&self.name, end, still).err();
        let core = self
            .core
            .audit()
            .into_iter()
            .map(|breach| format!("{}: {breach}", self.name));
        books.into_iter().chain(core).collect()
    }
}
