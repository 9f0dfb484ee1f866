//! Hosts the members of a protocol in a world: a population whose members are at sites, talk over the network, and are asked by agents.
//!
//! In reading order: [`GroupSpec`] says what a group is in a world; a `Seat` is a member in its place; `asking` deals with what agents ask;
//! `standing` with members that are busy, stand still or have crashed, and with their clocks.
//!
//! Guarantees: a member is handed one input at a time; while it is busy, and while it stands still, what comes waits in its order; what it
//! wants done is done when it is through with the input, or never, if it crashes before. Messages to a member that is down are lost.

mod asking;
mod engaging;
mod standing;

use super::member::{Input, Io, Member, NEVER, Saying, Wishes, event};
use super::shared::Table;
use crate::kernel::hints::prefetch;
use crate::kernel::{Entry, Liveness, SimTime, Words};
use crate::state::Clock;
use crate::world::Starter;
use crate::world::message::{Message, MessageKind};
use crate::world::population::{Cx, Disturbance, Endpoint, Population, kind};
use crate::world::record::What;
use crate::world::slab::{Handle, Slab};
use crate::world::waiting::ENGAGED;
use serde::Serialize;
use standing::Standing;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// A member's timer has come. Body: which of its timers.
const TIMER: u16 = kind::OWN;
/// A member is through with what it was busy with. Body: which piece of work.
const THROUGH: u16 = kind::OWN + 1;

/// What a group is in a world, whatever its protocol.
#[derive(Debug, Clone, PartialEq)]
pub struct GroupSpec {
    /// Its name.
    pub name: String,
    /// The size of an answer to whoever asks.
    pub answer_bytes: u32,
    /// The agents beside the members: what a member says to its own.
    pub beside: Option<Beside>,
}

/// The agents beside the members of a group: the members in their order beside run after run of agents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Beside {
    /// Runs of agents' entities; members beyond have none.
    pub runs: Vec<Range<u32>>,
    /// The topic under which they are told something; `None`: they aren't told.
    pub topic: Option<u16>,
}

impl Beside {
    /// The agent beside a member.
    pub fn agent(&self, member: u32) -> Option<u32> {
        let mut left = member;
        for run in &self.runs {
            match run.len() as u32 {
                count if left < count => return Some(run.start + left),
                count => left -= count,
            }
        }
        None
    }
}

/// A member in its place.
#[derive(Debug, Clone, Serialize)]
struct Seat<M> {
    endpoint: Endpoint,
    member: M,
    /// When the entry of its timer comes; never, if there is none.
    timer: SimTime,
    /// How many entries its timer has had.
    timers: u32,
    /// Whether there is something out of the ordinary about it, which lies apart.
    stands: bool,
}

/// What a message on its way says, and how many copies are on their way.
#[derive(Debug, Clone, Serialize)]
struct Payload<M> {
    message: M,
    copies: u32,
}

/// Whoever waits for an answer.
#[derive(Debug, Clone, Copy, Serialize)]
struct Waiting {
    member: u32,
    /// What was asked, by its identity.
    identity: u64,
    since: SimTime,
    /// How long the member had stood still by then.
    stood: u64,
}

/// The members of a protocol.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub struct Group<M: Member> {
    #[serde(skip)]
    spec: Arc<GroupSpec>,
    #[serde(skip)]
    rules: Arc<M::Rules>,
    base: u32,
    seats: Vec<Seat<M>>,
    payloads: Slab<Payload<M::Message>>,
    /// By the handle of the attempt that waits, as a word.
    waiting: Table<u64, Waiting>,
    /// Agents at work for members, by the member and its word for it: the ask.
    engaged: BTreeMap<(u32, u64), Handle>,
    /// What is out of the ordinary, by member.
    standing: BTreeMap<u32, Standing<M::Message>>,
    /// Clocks that don't show true time.
    clocks: BTreeMap<u32, Clock>,
    /// Room for what members want, empty between two inputs.
    #[serde(skip)]
    wishes: Wishes<M::Message>,
}

impl<M: Member> Group<M> {
    /// A group of as many members as there are endpoints, made by `make` from the rules, their numbers and their endpoints.
    ///
    /// # Panics
    /// Panics without members.
    pub fn new(
        spec: GroupSpec,
        rules: M::Rules,
        endpoints: Vec<Endpoint>,
        make: impl Fn(&M::Rules, u32, &Endpoint) -> M,
    ) -> Self {
        let base = endpoints.first().expect("a group has members").id;
        let seat = |(number, endpoint): (u32, Endpoint)| Seat {
            member: make(&rules, number, &endpoint),
            endpoint,
            timer: SimTime::NEVER,
            timers: 0,
            stands: false,
        };
        Self {
            seats: (0..).zip(endpoints).map(seat).collect(),
            spec: Arc::new(spec),
            rules: Arc::new(rules),
            base,
            payloads: Slab::default(),
            waiting: Table::default(),
            engaged: BTreeMap::new(),
            standing: BTreeMap::new(),
            clocks: BTreeMap::new(),
            wishes: Wishes::default(),
        }
    }

    /// Gives a member a clock of its own.
    pub fn set_clock(&mut self, member: u32, clock: Clock) {
        self.clocks.insert(member, clock);
    }

    /// The members, for tests and checks.
    pub fn members(&self) -> impl Iterator<Item = &M> {
        self.seats.iter().map(|seat| &seat.member)
    }

    /// What a member's clock reads.
    #[inline]
    fn reading(&self, member: u32, now: SimTime) -> i64 {
        match self.clocks.is_empty() {
            true => now.as_nanos() as i64,
            false => self
                .clocks
                .get(&member)
                .map_or(now.as_nanos() as i64, |clock| clock.reading(now)),
        }
    }

    /// When a member's clock will read so much: now, if it does already.
    fn when(&self, member: u32, reading: i64, now: SimTime) -> SimTime {
        match self.clocks.get(&member) {
            Some(clock) => clock.when(reading, now).max(now),
            None => SimTime::from_nanos(u64::try_from(reading).unwrap_or(0)).max(now),
        }
    }

    /// Hands a member something, or keeps it until the member can deal with it.
    fn hand(&mut self, member: u32, input: Input<M::Message>, cx: &mut Cx<'_, '_>) {
        if self.seats[member as usize].stands {
            if let Some(input) = self.keep_for_later(member, input, cx) {
                self.act(member, input, cx);
            }
        } else {
            self.act(member, input, cx);
        }
    }

    /// A member deals with something, at once or by being busy for a while.
    fn act(&mut self, member: u32, input: Input<M::Message>, cx: &mut Cx<'_, '_>) {
        let clock = self.reading(member, cx.now());
        let mut wishes = std::mem::take(&mut self.wishes);
        let seat = &mut self.seats[member as usize];
        let mut io = Io::new(member, clock, seat.endpoint.key, &mut wishes);
        seat.member.on(&self.rules, input, &mut io);
        if wishes.busy > 0 {
            self.be_busy(member, wishes, cx);
        } else {
            self.grant(member, &mut wishes, cx);
            self.wishes = wishes;
        }
        self.arm(member, cx);
    }

    /// Does what a member wants done.
    fn grant(&mut self, member: u32, wishes: &mut Wishes<M::Message>, cx: &mut Cx<'_, '_>) {
        for note in wishes.notes.drain(..) {
            let words = [note.about, note.word, u64::from(note.event)];
            cx.record_with(What::Coordination, self.base + member, words, &note.extra);
        }
        let mut sends = &wishes.sends[..];
        for (which, message) in (0..).zip(wishes.said.drain(..)) {
            let (topic, bytes) = (message.kind(), message.bytes());
            let receivers = sends.iter().take_while(|(_, one)| *one == which).count();
            let (here, rest) = sends.split_at(receivers);
            sends = rest;
            // All of them are sent the same one.
            let copies = receivers as u32;
            let payload = self.payloads.insert(Payload { message, copies });
            for (to, _) in here {
                let message = Message::new(MessageKind::Peer, self.base + to, topic, bytes).with(payload);
                cx.send(&mut self.seats[member as usize].endpoint, message);
            }
        }
        wishes.sends.clear();
        for answer in wishes.answers.drain(..) {
            self.answer(answer, cx);
        }
        for token in wishes.dismissed.drain(..) {
            self.dismiss(member, token);
        }
        for engagement in wishes.engaged.drain(..) {
            self.engage(member, engagement, cx);
        }
        for word in wishes.told.drain(..) {
            self.tell(member, word, cx);
        }
    }

    /// Says something to the agent beside a member.
    fn tell(&mut self, member: u32, word: u64, cx: &mut Cx<'_, '_>) {
        let words = [word, 0, u64::from(event::TOLD)];
        cx.record(What::Coordination, self.base + member, words);
        if let Some(beside) = &self.spec.beside
            && let Some(topic) = beside.topic
            && let Some(agent) = beside.agent(member)
        {
            let message = Message {
                value: word,
                ..Message::new(MessageKind::Plain, agent, topic, 0)
            };
            cx.send(&mut self.seats[member as usize].endpoint, message);
        }
    }

    /// Has a member's timer come when it wants it, or earlier.
    #[inline]
    fn arm(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let due = self.seats[member as usize].member.due(self.reading(member, now));
        if due == NEVER {
            return;
        }
        let at = self.when(member, due, now);
        let seat = &mut self.seats[member as usize];
        if at < seat.timer && at != SimTime::NEVER {
            (seat.timer, seat.timers) = (at, seat.timers.wrapping_add(1));
            let word = u64::from(seat.timers);
            cx.schedule(&mut seat.endpoint, at, TIMER, word);
        }
    }

    /// The entry of a member's timer has come.
    fn timer(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        self.seats[member as usize].timer = SimTime::NEVER;
        let reading = self.reading(member, cx.now());
        if self.seats[member as usize].member.due(reading) <= reading {
            self.hand(member, Input::Due, cx);
        } else {
            self.arm(member, cx);
        }
    }

    /// One copy of a message less; its content, if it is the last.
    fn take_payload(&mut self, handle: Handle) -> Option<M::Message> {
        let payload = self.payloads.get_mut(handle)?;
        if payload.copies > 1 {
            payload.copies -= 1;
            return Some(payload.message.clone());
        }
        self.payloads.remove(handle).map(|payload| payload.message)
    }
}

impl<M: Member> Population for Group<M> {
    fn finish(&mut self, cx: &mut Cx<'_, '_>) {
        if !cx.wants(What::Waits) {
            return;
        }
        for ((member, _), handle) in &self.engaged {
            // A member with a timer goes on by itself.
            if self.seats[*member as usize].timer == SimTime::NEVER
                && let Some(ask) = cx.shared.asks.get(*handle)
                && ask.answer.is_none()
            {
                let words = [ENGAGED, u64::from(ask.of), ask.sent.as_nanos()];
                cx.record(What::Waits, self.base + member, words);
            }
        }
    }

    fn start(&mut self, starter: &mut Starter<'_, '_>) {
        for seat in &mut self.seats {
            let id = seat.endpoint.id;
            starter.schedule(&mut seat.endpoint.origin, SimTime::ZERO, kind::START, id, 0);
        }
    }

    fn handle(&mut self, member: u32, entry: &Entry<u64>, cx: &mut Cx<'_, '_>) {
        match entry.kind {
            kind::START => self.hand(member, Input::Start, cx),
            TIMER => self.timer(member, cx),
            THROUGH => self.through(member, cx),
            _ => {}
        }
    }

    fn receive(&mut self, member: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        match message.kind {
            MessageKind::Peer => {
                let from = message.from - self.base;
                if let Some(message) = self.take_payload(message.handle) {
                    self.hand(member, Input::Heard { from, message }, cx);
                }
            }
            MessageKind::Request => self.asked(member, message, cx),
            MessageKind::Answer => self.agent_answers(member, message, cx),
            _ => {}
        }
    }

    fn digest(&self, member: u32, entry: &Entry<u64>, words: &mut Words) -> Liveness {
        let seat = &self.seats[member as usize];
        let is_meant = match entry.kind {
            TIMER => u64::from(seat.timers) == entry.body && seat.timer != SimTime::NEVER,
            THROUGH => self.is_busy_with(member, entry.body),
            _ => true,
        };
        match is_meant {
            true => {
                words.push(entry.body);
                Liveness::Live
            }
            false => Liveness::Stale,
        }
    }

    fn digest_peer(&self, message: &Message, words: &mut Words) {
        if let Some(payload) = self.payloads.get(message.handle) {
            payload.message.digest(words);
        }
    }

    fn describe(&self, member: u32, entry: &Entry<u64>) -> String {
        let what = match entry.kind {
            kind::START => "start",
            TIMER => "timer",
            _ => "end of its work",
        };
        format!("{what} of member {member} (coordination.{})", self.spec.name)
    }

    fn lost(&mut self, message: &Message) {
        self.take_payload(message.handle);
    }

    fn doubled(&mut self, message: &Message) -> u64 {
        if let Some(payload) = self.payloads.get_mut(message.handle) {
            payload.copies += 1;
        }
        message.value
    }

    fn touch(&self, member: u32, _: &Entry<u64>) {
        prefetch(&self.seats[member as usize]);
    }

    fn disturb(&mut self, member: u32, disturbance: Disturbance, cx: &mut Cx<'_, '_>) {
        match disturbance {
            Disturbance::Crash { keep_state } => self.crash(member, keep_state, cx),
            Disturbance::Restart => self.restart(member, cx),
            Disturbance::Pause => self.pause(member, cx),
            Disturbance::Resume => self.resume(member, cx),
            Disturbance::ClockStep(by) => self.step_clock(member, by, cx),
            Disturbance::Slow(_) => {}
        }
    }

    fn audit(&self, _: SimTime) -> Vec<String> {
        let (mut problems, name) = (Vec::new(), &self.spec.name);
        if self.payloads.iter().any(|payload| payload.copies == 0) {
            problems.push(format!("{name}: a message on its way has no copies"));
        }
        problems
    }
}
