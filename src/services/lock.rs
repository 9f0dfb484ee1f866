//! A lock service: one lock, granted for a time, with a token that grows.
//!
//! A lease as in Gray and Cheriton (SOSP 1989); tokens that grow with each grant are Chubby's sequencers (Burrows, OSDI 2006), and fencing
//! is what stores do with them. Guarantees: grants come in the order of the requests' arrival; the lock isn't granted to one holder while
//! the lease of another runs by the service's clock, also after the loss of its state; of two grants the later has the higher token.
//!
//! A holder that stands still, or whose messages are late, may act after its lease: nothing here can keep it from that.

use super::spec::ServiceSpec;
use crate::kernel::{Entry, Liveness, SimDuration, SimTime, Words};
use crate::world::call::Outcome;
use crate::world::message::{Message, MessageKind};
use crate::world::population::{Cx, Disturbance, Endpoint, Population, kind};
use crate::world::record::What;
use crate::world::slab::Handle;
use crate::world::waiting::HELD;
use serde::Serialize;
use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

/// A lease may be over, or the lock may be granted again. Body: which of these entries.
const LOOK: u16 = kind::OWN;

/// What a holder says without waiting for an answer: the topic of its message, whose value is the identity of the call by which it
/// has asked for the lock.
pub mod topic {
    /// It gives the lock back, or doesn't want it any more.
    pub const RELEASE: u16 = 0;
    /// It wants to keep the lock for another lease.
    pub const RENEW: u16 = 1;
}

/// What happens to a lock, as records say it: the word `c` of [`What::Lock`].
pub mod event {
    /// Somebody has asked for it, and waits. `b`: how many waited before.
    pub const ASKED: u64 = 0;
    /// It is granted. `b`: the token; extra: since when it was waited for.
    pub const GRANTED: u64 = 1;
    /// It was given back. `b`: the token; extra: since when it was held.
    pub const RELEASED: u64 = 2;
    /// The lease was over. `b`: the token; extra: since when it was held.
    pub const EXPIRED: u64 = 3;
    /// The lease was renewed. `b`: the token.
    pub const RENEWED: u64 = 4;
    /// Somebody doesn't wait any more.
    pub const GIVEN_UP: u64 = 5;
    /// An agent sends an update under the lock. Subject: the agent; `a`: the update's call; `b`: the token; extra: the service.
    pub const USED: u64 = 6;
    /// A store refused an operation under the lock, since it has seen a newer token. Subject: the replica; `b`: the token; extra: the
    /// service.
    pub const FENCED: u64 = 7;
}

/// How a lock is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LockSpec {
    /// How long a grant lasts, unless it is renewed.
    pub lease: SimDuration,
    /// How often holders renew it; `None`: they don't.
    pub renew: Option<SimDuration>,
    /// Whether reads and updates under it carry its token, so that stores refuse those that are older than one they have seen.
    pub fencing: bool,
}

/// Who has the lock.
#[derive(Debug, Clone, Copy, Serialize)]
struct Holder {
    identity: u64,
    token: u64,
    since: SimTime,
    until: SimTime,
}

/// Who waits for it.
#[derive(Debug, Clone, Serialize)]
struct Waiter {
    identity: u64,
    attempts: Vec<(Handle, SimDuration)>,
    since: SimTime,
}

/// What came while the service stood still.
#[derive(Debug, Clone, Copy, Serialize)]
enum Late {
    Request(Handle, SimDuration),
    Word(Message),
}

/// A lock service.
#[derive(Debug, Clone, Serialize)]
pub struct LockService {
    #[serde(skip)]
    spec: Arc<ServiceSpec>,
    name: String,
    endpoint: Endpoint,
    holder: Option<Holder>,
    queue: VecDeque<Waiter>,
    /// Calls whose lock was given back, or isn't wanted any more: what comes of them is late.
    ended: BTreeSet<u64>,
    /// Grants in this life, and the number of lives before: a token is made of both.
    grants: u64,
    life: u64,
    /// Nothing is granted before: after the loss of its state somebody may still have a lease.
    silent_until: SimTime,
    look: u64,
    down: bool,
    paused: Option<SimTime>,
    /// How long it has stood still in pauses that are over.
    stood: SimDuration,
    late: VecDeque<Late>,
}

/// The bits of a token that count grants.
const GRANT_BITS: u32 = 40;

impl LockService {
    /// A lock that nobody has.
    ///
    /// # Panics
    /// Panics if the service is no lock.
    pub fn new(name: &str, spec: Arc<ServiceSpec>, endpoint: Endpoint) -> Self {
        assert!(spec.lock.is_some(), "{name} is a lock");
        Self {
            spec,
            name: name.to_string(),
            endpoint,
            holder: None,
            queue: VecDeque::new(),
            ended: BTreeSet::new(),
            grants: 0,
            life: 0,
            silent_until: SimTime::ZERO,
            look: 0,
            down: false,
            paused: None,
            stood: SimDuration::ZERO,
            late: VecDeque::new(),
        }
    }

    fn rules(&self) -> LockSpec {
        self.spec.lock.expect("a lock service has a lock")
    }

    /// How long it has stood still by now.
    fn stood_by(&self, now: SimTime) -> SimDuration {
        self.stood + self.paused.map_or(SimDuration::ZERO, |since| now - since)
    }

    fn say(&self, identity: u64, word: u64, event: u64, since: Option<SimTime>, cx: &mut Cx<'_, '_>) {
        let since = since.map(SimTime::as_nanos);
        cx.record_with(What::Lock, self.endpoint.id, [identity, word, event], since.as_slice());
    }

    fn arrive(&mut self, message: &Message, cx: &mut Cx<'_, '_>) {
        let (now, handle) = (cx.now(), message.handle);
        let Some((attempt, call)) = cx.shared.journey_mut(handle) else {
            return;
        };
        (attempt.arrived, attempt.started, attempt.finished) = (now, now, now);
        let words = [call.identity, u64::from(call.client), u64::from(attempt.number)];
        cx.record(What::RequestArrived, self.endpoint.id, words);
        let stood = self.stood_by(now);
        if self.down {
            cx.record(What::RequestDropped, self.endpoint.id, [words[0], 0, 0]);
            cx.drop_attempt(handle);
        } else if self.paused.is_some() {
            self.late.push_back(Late::Request(handle, stood));
        } else {
            self.ask(handle, stood, cx);
        }
    }

    /// Somebody asks for the lock.
    fn ask(&mut self, handle: Handle, stood: SimDuration, cx: &mut Cx<'_, '_>) {
        let Some((attempt, call)) = cx.shared.journey(handle) else {
            return;
        };
        let (identity, since) = (call.identity, attempt.arrived);
        if self.ended.contains(&identity) {
            return self.answer((handle, stood), Outcome::Refused { retry_after: None }, 0, cx);
        }
        if let Some(holder) = self.holder.filter(|holder| holder.identity == identity) {
            // Its answer was lost.
            return self.answer((handle, stood), Outcome::Done, holder.token, cx);
        }
        match self.queue.iter_mut().find(|waiter| waiter.identity == identity) {
            Some(waiter) => waiter.attempts.push((handle, stood)),
            None => {
                let before = self.queue.len() as u64;
                self.say(identity, before, event::ASKED, None, cx);
                let attempts = vec![(handle, stood)];
                self.queue.push_back(Waiter {
                    identity,
                    attempts,
                    since,
                });
            }
        }
        self.grant(cx);
    }

    /// Grants the lock to the next who waits, if nobody has it.
    fn grant(&mut self, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        if self.holder.is_some() || self.queue.is_empty() {
            return;
        }
        if now < self.silent_until {
            return self.look_at(self.silent_until, cx);
        }
        let Some(waiter) = self.queue.pop_front() else { return };
        self.grants += 1;
        let token = self.life << GRANT_BITS | self.grants;
        let until = now.saturating_add(self.rules().lease);
        self.holder = Some(Holder {
            identity: waiter.identity,
            token,
            since: now,
            until,
        });
        self.say(waiter.identity, token, event::GRANTED, Some(waiter.since), cx);
        self.look_at(until, cx);
        for attempt in waiter.attempts {
            self.answer(attempt, Outcome::Done, token, cx);
        }
    }

    fn look_at(&mut self, at: SimTime, cx: &mut Cx<'_, '_>) {
        self.look += 1;
        let at = at.max(cx.now());
        cx.schedule(&mut self.endpoint, at, LOOK, self.look);
    }

    /// The lock is free again if the lease of its holder is over.
    fn expire(&mut self, cx: &mut Cx<'_, '_>) {
        match self.holder {
            Some(holder) if holder.until <= cx.now() => {
                self.say(holder.identity, holder.token, event::EXPIRED, Some(holder.since), cx);
                self.holder = None;
            }
            Some(holder) => return self.look_at(holder.until, cx),
            None => {}
        }
        self.grant(cx);
    }

    /// Answers an attempt: all the time that it was here is coordination, but for what the service stood still.
    fn answer(&mut self, (handle, stood): (Handle, SimDuration), outcome: Outcome, token: u64, cx: &mut Cx<'_, '_>) {
        let (now, stood_by) = (cx.now(), self.stood_by(cx.now()));
        let Some((attempt, call)) = cx.shared.journey_mut(handle) else {
            return;
        };
        attempt.finished = now;
        attempt.down = stood_by - stood;
        attempt.coordinated = (now - attempt.started) - attempt.down;
        (attempt.outcome, attempt.version) = (outcome, token);
        let message = Message::new(MessageKind::Response, call.client, 0, self.spec.answer_bytes).with(handle);
        let (key, about) = (call.key, call.about_answer(attempt));
        cx.send_about(&mut self.endpoint, message, key, about);
    }

    /// A holder says something.
    fn listen(&mut self, message: &Message, cx: &mut Cx<'_, '_>) {
        let identity = message.value;
        let holder = self.holder.filter(|holder| holder.identity == identity);
        match message.topic {
            topic::RENEW => {
                if let Some(mut holder) = holder {
                    holder.until = cx.now().saturating_add(self.rules().lease);
                    self.holder = Some(holder);
                    self.say(identity, holder.token, event::RENEWED, None, cx);
                    self.look_at(holder.until, cx);
                }
            }
            _ => {
                self.ended.insert(identity);
                if let Some(holder) = holder {
                    self.say(identity, holder.token, event::RELEASED, Some(holder.since), cx);
                    self.holder = None;
                }
                if let Some(place) = self.queue.iter().position(|waiter| waiter.identity == identity) {
                    self.say(identity, 0, event::GIVEN_UP, None, cx);
                    let gone = self.queue.remove(place);
                    for (attempt, _) in gone.into_iter().flat_map(|waiter| waiter.attempts) {
                        cx.drop_attempt(attempt);
                    }
                }
                self.grant(cx);
            }
        }
    }

    fn crash(&mut self, keep_state: bool, cx: &mut Cx<'_, '_>) {
        self.down = true;
        let waiting = std::mem::take(&mut self.queue)
            .into_iter()
            .flat_map(|waiter| waiter.attempts);
        let late = std::mem::take(&mut self.late)
            .into_iter()
            .filter_map(|late| match late {
                Late::Request(handle, stood) => Some((handle, stood)),
                Late::Word(_) => None,
            });
        for (handle, _) in waiting.chain(late).collect::<Vec<_>>() {
            if let Some(identity) = cx.shared.journey(handle).map(|(_, call)| call.identity) {
                cx.record(What::RequestDropped, self.endpoint.id, [identity, 0, 0]);
                cx.drop_attempt(handle);
            }
        }
        if !keep_state {
            self.holder = None;
            self.ended.clear();
            self.life += 1;
            self.grants = 0;
            self.silent_until = SimTime::NEVER;
        }
    }

    fn restart(&mut self, cx: &mut Cx<'_, '_>) {
        self.down = false;
        if self.silent_until == SimTime::NEVER {
            // Whoever had the lock may have it still, and nobody knows since when.
            self.silent_until = cx.now().saturating_add(self.rules().lease);
        }
        self.expire(cx);
    }

    fn resume(&mut self, cx: &mut Cx<'_, '_>) {
        let Some(since) = self.paused.take() else { return };
        self.stood += cx.now() - since;
        if self.down {
            return;
        }
        for late in std::mem::take(&mut self.late) {
            match late {
                Late::Request(handle, stood) => self.ask(handle, stood, cx),
                Late::Word(message) => self.listen(&message, cx),
            }
        }
        self.expire(cx);
    }
}

impl Population for LockService {
    fn handle(&mut self, _: u32, entry: &Entry<u64>, cx: &mut Cx<'_, '_>) {
        if entry.kind == LOOK && !self.down && self.paused.is_none() {
            self.expire(cx);
        }
    }

    fn receive(&mut self, _: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        match message.kind {
            MessageKind::Request => self.arrive(message, cx),
            MessageKind::Peer if self.down => {}
            MessageKind::Peer if self.paused.is_some() => self.late.push_back(Late::Word(*message)),
            MessageKind::Peer => self.listen(message, cx),
            _ => {}
        }
    }

    fn digest(&self, _: u32, entry: &Entry<u64>, words: &mut Words) -> Liveness {
        if entry.kind == LOOK && entry.body != self.look {
            return Liveness::Stale;
        }
        words.push(self.holder.map_or(0, |holder| holder.token));
        Liveness::Live
    }

    fn describe(&self, _: u32, _: &Entry<u64>) -> String {
        format!("end of a lease (services.{})", self.name)
    }

    fn finish(&mut self, cx: &mut Cx<'_, '_>) {
        // A lease that isn't renewed ends by itself.
        if let Some(holder) = self.holder
            && self.rules().renew.is_some()
        {
            cx.record(
                What::Waits,
                self.endpoint.id,
                [HELD, holder.identity >> 32, holder.identity],
            );
        }
    }

    fn disturb(&mut self, _: u32, disturbance: Disturbance, cx: &mut Cx<'_, '_>) {
        match disturbance {
            Disturbance::Crash { keep_state } => self.crash(keep_state, cx),
            Disturbance::Restart => self.restart(cx),
            Disturbance::Pause => self.paused = Some(self.paused.unwrap_or(cx.now())),
            Disturbance::Resume => self.resume(cx),
            Disturbance::ClockStep(by) => {
                // A clock that is put forward ends the lease so much sooner.
                if let Some(holder) = &mut self.holder {
                    let until = i128::from(holder.until.as_nanos()) - i128::from(by);
                    holder.until = SimTime::from_nanos(until.clamp(0, i128::from(u64::MAX / 2)) as u64);
                    let until = holder.until;
                    self.look_at(until, cx);
                }
            }
            Disturbance::Slow(_) => {}
        }
    }

    fn audit(&self, _: SimTime) -> Vec<String> {
        let mut held = self.queue.iter().map(|waiter| waiter.identity);
        match self.holder {
            Some(holder) if held.any(|identity| identity == holder.identity) => {
                vec![format!("{}: who has the lock waits for it as well", self.name)]
            }
            _ => Vec::new(),
        }
    }
}
