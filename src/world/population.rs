//! Populations: whoever receives events, and what they may do.
//!
//! A population is one type-erased object for a whole group, with typed dense state inside: one predictable dynamic call an
//! event, never a box for each agent. It is handed its input and a [`Cx`], and has no other way out.

use super::call::{Ask, Attempt, Call, Outcome, Request};
use super::ledger::{Ledger, event};
use super::message::{Message, MessageKind};
use super::record::{Records, What};
use super::slab::{Handle, Slab};
use crate::kernel::{Entry, Key, Liveness, Origin, Out, Purpose, SimDuration, SimTime, Stream, Ticket, Words};
use crate::network::{Leg, Network, Outgoing, SiteId, Verdict};
use crate::state::Op;
use serde::{Deserialize, Serialize};

/// The kinds of entry of a world. Populations number their own from [`kind::OWN`].
pub mod kind {
    /// An entity's first entry.
    pub const START: u16 = 0;
    /// A message is due. Body: its handle.
    pub const DELIVER: u16 = 1;
    /// A fault begins or ends. Body: fault and transition.
    pub const FAULT: u16 = 2;
    /// The first kind that belongs to a population itself.
    pub const OWN: u16 = 16;
}

/// The purposes of draws on this floor; those of the network lie below.
pub mod purpose {
    use crate::kernel::Purpose;
    /// When an agent of a group starts.
    pub const ARRIVAL: Purpose = Purpose(0x100);
    /// How long a step of thinking takes.
    pub const THINK: Purpose = Purpose(0x101);
    /// How long a service works on a request.
    pub const SERVICE: Purpose = Purpose(0x102);
    /// How many tokens a request has.
    pub const TOKENS: Purpose = Purpose(0x103);
    /// How long a client waits before it tries again.
    pub const BACKOFF: Purpose = Purpose(0x104);
    /// Which branch is chosen, or whether a guess is right.
    pub const CHOICE: Purpose = Purpose(0x105);
    /// Whom a message goes to.
    pub const PEER: Purpose = Purpose(0x106);
    /// Which key an operation is about, and with which value.
    pub const KEY: Purpose = Purpose(0x107);
    /// How often a loop runs.
    pub const TIMES: Purpose = Purpose(0x108);
    /// When replicas compare their state, and with whom.
    pub const ANTI_ENTROPY: Purpose = Purpose(0x109);
    /// Where an agent is placed.
    pub const PLACEMENT: Purpose = Purpose(0x10a);
    /// Which replica an operation goes to.
    pub const ROUTING: Purpose = Purpose(0x10b);
    /// How long the news of an update waits before it is sent, and the address of an update.
    pub const REPLICATION: Purpose = Purpose(0x10c);
    /// When a member of a group stands for election.
    pub const ELECTION: Purpose = Purpose(0x10d);
    /// How long an agent takes to fold an event of its log.
    pub const REPLAY: Purpose = Purpose(0x10e);
    /// What a holder tells a lock service.
    pub const LOCK: Purpose = Purpose(0x10f);
    /// What a consumer tells a broker.
    pub const CHANNEL: Purpose = Purpose(0x115);
    /// Which recorded run an agent takes.
    pub const RUN: Purpose = Purpose(0x110);
    /// Which key a recorded run is about.
    pub const RUN_KEY: Purpose = Purpose(0x111);
    /// Whether a client rejects a request by itself.
    pub const THROTTLE: Purpose = Purpose(0x112);
    /// What a call is about.
    pub const ABOUT: Purpose = Purpose(0x113);
    /// How long an answer is kept.
    pub const TTL: Purpose = Purpose(0x114);
    /// How many tokens a limit takes before they are known.
    pub const ESTIMATE: Purpose = Purpose(0x120);
    /// Whether a service refuses as overloaded.
    pub const OVERLOAD: Purpose = Purpose(0x121);
    /// What members of a protocol leave to chance.
    pub const PROTOCOL: Purpose = Purpose(0x130);
    /// Whether an agent's answer is right.
    pub const ERROR: Purpose = Purpose(0x131);
    /// Whether an agent does a step again.
    pub const REPEAT: Purpose = Purpose(0x132);
    /// Whether an agent goes through a handler again.
    pub const ROUND: Purpose = Purpose(0x133);
    /// Whether an agent is a slow one.
    pub const PACE: Purpose = Purpose(0x134);
    /// The first purpose free for users' own populations.
    pub const OWN: u16 = 0x200;
}

/// The part of an entity that every sender has: who it is, where, and its numbering.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Endpoint {
    /// The entity.
    pub id: u32,
    /// Its site.
    pub site: SiteId,
    /// The key of its draws.
    pub key: Key,
    /// Its place in the total order.
    pub origin: Origin,
    /// Messages it has sent.
    pub sent: u32,
}

/// A fault's effect on one member.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Disturbance {
    /// It stops; what it held in memory is kept or lost.
    Crash {
        /// Whether its state survives.
        keep_state: bool,
    },
    /// It comes back from a crash.
    Restart,
    /// It stands still: what is due waits until it resumes.
    Pause,
    /// It goes on after a pause.
    Resume,
    /// Its clock jumps by so many nanoseconds.
    ClockStep(i64),
    /// It works at this speed from now on: 1 is its own, 0 is a stall.
    Slow(f64),
}

/// State that can be copied and written whenever no entry is being handled: plain data, with the plan shared or left out.
///
/// Whoever derives `Clone` and `Serialize` has it.
pub trait Snapshot: erased_serde::Serialize {
    /// A copy that goes on by itself.
    fn copy(&self) -> Box<dyn Population>;
}

impl<T: Population + Clone + Serialize + 'static> Snapshot for T {
    fn copy(&self) -> Box<dyn Population> {
        Box::new(self.clone())
    }
}

impl Clone for Box<dyn Population> {
    fn clone(&self) -> Self {
        // Not that of the box, which is this very function.
        self.as_ref().copy()
    }
}

erased_serde::serialize_trait_object!(Population);

/// Whoever receives events: agents, services, replicas, brokers, members of a protocol.
///
/// Users' own types register exactly as the built-in ones do. Their state is plain data (see [`Snapshot`]).
pub trait Population: Snapshot + Send {
    /// Schedules its first entries.
    fn start(&mut self, _starter: &mut super::Starter<'_, '_>) {}

    /// Deals with an entry of one of its members: [`kind::START`] or one of its own kinds.
    fn handle(&mut self, member: u32, entry: &Entry<u64>, cx: &mut Cx<'_, '_>);

    /// Takes in a message to one of its members.
    fn receive(&mut self, member: u32, message: &Message, cx: &mut Cx<'_, '_>);

    /// The content of an entry of its own kinds, and whether it is still meant.
    fn digest(&self, _member: u32, entry: &Entry<u64>, words: &mut Words) -> Liveness {
        words.push(entry.body);
        Liveness::Live
    }

    /// The content of a [`MessageKind::Peer`] message that its handle stands for.
    fn digest_peer(&self, message: &Message, words: &mut Words) {
        words.push(message.value);
    }

    /// Says for people what an entry of its own kinds is, with its place in the scenario where it has one.
    fn describe(&self, _member: u32, entry: &Entry<u64>) -> String {
        match entry.kind {
            kind::START => "start".to_string(),
            own => format!("entry of kind {own}"),
        }
    }

    /// The place in the scenario of the step that makes a call.
    fn place_of(&self, _call: &Call) -> Option<String> {
        None
    }

    /// Deals with an entry of its own that isn't meant any more.
    fn skip(&mut self, _member: u32, _entry: &Entry<u64>, _cx: &mut Cx<'_, '_>) {}

    /// Frees what a lost message of its own stood for.
    fn lost(&mut self, _message: &Message) {}

    /// Doubles what a duplicated message of its own stands for, and returns the copy's value.
    fn doubled(&mut self, message: &Message) -> u64 {
        message.value
    }

    /// Prefetches the state of a member that this entry will need soon.
    fn touch(&self, _member: u32, _entry: &Entry<u64>) {}

    /// Whether it prefetches what requests will need.
    fn expects(&self) -> bool {
        false
    }

    /// Prefetches what a member will need soon for a request.
    fn expect(&self, _member: u32, _request: &Request) {}

    /// A fault strikes a member, or is over.
    fn disturb(&mut self, _member: u32, _disturbance: Disturbance, _cx: &mut Cx<'_, '_>) {}

    /// Whether it goes on after the measured time, until it is at rest: replicas do, so that what was accepted gets to where it
    /// belongs. Whoever doesn't stands still then. It is asked often, and its answer never changes.
    fn drains(&self) -> bool {
        false
    }

    /// Of a population that drains and is at rest: whether a message of its own, on its way to it, may change that.
    fn is_news(&self, _message: &Message) -> bool {
        true
    }

    /// Of a population that drains: whether nothing will happen to it any more unless a message comes. `returns`: a member that
    /// is down or stands still will be back.
    fn is_at_rest(&mut self, _returns: bool) -> bool {
        true
    }

    /// Says what it holds, once the run is over.
    fn finish(&mut self, _cx: &mut Cx<'_, '_>) {}

    /// Little's law and whatever else it can check of its own books at the end of a run; a message for each breach.
    fn audit(&self, _end: SimTime) -> Vec<String> {
        Vec::new()
    }
}

/// Which entity is where.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Directory {
    /// The group of each page of ids.
    pages: Vec<u16>,
    groups: Vec<GroupPlace>,
}

/// Ids are given to groups in pages of this many, as a power of two.
const PAGE_BITS: u32 = 8;

/// A group's ids and sites.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct GroupPlace {
    /// The group's name.
    pub name: String,
    /// The id of its first member.
    pub base: u32,
    /// How many ids it may use.
    pub capacity: u32,
    /// The sites of its members: one for all, or one for each.
    pub sites: Sites,
}

/// Where the members of a group are.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Sites {
    /// All in one.
    One(SiteId),
    /// Member by member.
    Each(Vec<SiteId>),
    /// In turn: member `n` at the place `n` modulo the number.
    InTurn(Vec<SiteId>),
}

impl GroupPlace {
    /// How many members there may be, with a site known for each.
    pub fn members(&self) -> u32 {
        match &self.sites {
            Sites::Each(sites) => sites.len() as u32,
            Sites::One(_) | Sites::InTurn(_) => self.capacity,
        }
    }
}

impl Sites {
    /// The site of a member.
    #[inline]
    pub fn of(&self, member: u32) -> SiteId {
        match self {
            Self::One(site) => *site,
            Self::Each(sites) => sites[member as usize],
            Self::InTurn(sites) => sites[member as usize % sites.len()],
        }
    }
}

impl Directory {
    /// Gives ids to a group of at most `capacity` members.
    ///
    /// # Panics
    /// Panics if the ids or the groups run out (2^32 and 2^16).
    pub fn add(&mut self, name: &str, capacity: u32, sites: Sites) -> u32 {
        let group = u16::try_from(self.groups.len()).expect("fewer than 2^16 groups");
        let base = u32::try_from(self.pages.len())
            .ok()
            .and_then(|pages| pages.checked_mul(1 << PAGE_BITS));
        let base = base.expect("fewer than 2^32 entities");
        let pages = capacity.max(1).div_ceil(1 << PAGE_BITS);
        self.pages.resize(self.pages.len() + pages as usize, group);
        self.groups.push(GroupPlace {
            name: name.to_string(),
            base,
            capacity,
            sites,
        });
        base
    }

    /// The group of an entity, and its number there.
    #[inline]
    pub fn locate(&self, entity: u32) -> (u16, u32) {
        let group = self.pages[(entity >> PAGE_BITS) as usize];
        (group, entity - self.groups[group as usize].base)
    }

    /// The site of an entity.
    #[inline(always)]
    pub fn site(&self, entity: u32) -> SiteId {
        let (group, member) = self.locate(entity);
        self.groups[group as usize].sites.of(member)
    }

    /// The groups, in the order of their ids.
    pub fn groups(&self) -> &[GroupPlace] {
        &self.groups
    }

    /// The name of the entity's group, as the scenario calls it.
    pub fn group_name(&self, entity: u32) -> &str {
        let known = self.pages.get((entity >> PAGE_BITS) as usize);
        known.map_or("", |_| self.groups[self.locate(entity).0 as usize].name.as_str())
    }

    /// The entity's name for people: its group, and its number there.
    pub fn name(&self, entity: u32) -> String {
        match self.pages.get((entity >> PAGE_BITS) as usize) {
            Some(_) => {
                let (group, member) = self.locate(entity);
                format!("{}[{member}]", self.groups[group as usize].name)
            }
            None => format!("entity {entity}"),
        }
    }
}

/// A problem that stops a run: the user's doing, met at run time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Halt {
    /// What is wrong, in a sentence.
    pub message: String,
    /// Who met it.
    pub entity: u32,
    /// When.
    pub at: SimTime,
    /// Where in the program or the scenario, as a path.
    pub place: String,
}

/// What all populations share.
#[derive(Debug, Clone, Serialize)]
pub struct Shared {
    /// The network.
    pub network: Network,
    /// Who is where.
    pub directory: Directory,
    /// Messages on their way.
    pub messages: Slab<Message>,
    /// Messages that a cut holds, by the network's ticket.
    pub held: Vec<Option<Message>>,
    /// Calls under way.
    pub calls: Slab<Call>,
    /// Attempts under way.
    pub attempts: Slab<Attempt>,
    /// Asks under way.
    pub asks: Slab<Ask>,
    /// What agents may spend and have spent, if anybody has a budget.
    pub ledger: Option<Box<Ledger>>,
    /// What happened, for the observers.
    #[serde(skip)]
    pub records: Records,
    /// Messages that were lost, or copied, for their population to deal with: none between two entries.
    #[serde(skip)]
    pub(super) aftermath: Vec<Aftermath>,
    /// A problem that stops the run.
    pub halt: Option<Halt>,
    /// Tasks that aren't over: a run that waits for all is done at zero.
    pub unfinished: u64,
    /// Whether the run stops when all tasks are done.
    pub stop_when_done: bool,
}

/// What a population has to do about one of its own messages after the network's verdict.
#[derive(Debug, Clone, Copy)]
pub(super) enum Aftermath {
    Lost(Message),
    Doubled(Handle),
}

/// What a population may do while it handles something.
pub struct Cx<'a, 'q> {
    /// What all populations share.
    pub shared: &'a mut Shared,
    pub(super) out: &'a mut Out<'q, u64>,
    pub(super) entry: Ticket,
}

impl std::fmt::Debug for Cx<'_, '_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cx").field("now", &self.now()).finish_non_exhaustive()
    }
}

impl Cx<'_, '_> {
    /// The simulated time.
    #[inline]
    pub fn now(&self) -> SimTime {
        self.out.now()
    }

    /// The causal step within the instant.
    #[inline]
    pub fn step(&self) -> u16 {
        self.out.step()
    }

    /// Schedules an entry for the endpoint's own entity.
    #[inline(always)]
    pub fn schedule(&mut self, endpoint: &mut Endpoint, at: SimTime, kind: u16, body: u64) {
        let ticket = endpoint.origin.take();
        self.schedule_in_place(ticket, at, kind, endpoint.id, body);
    }

    /// Schedules an entry for the entity in a place taken before.
    ///
    /// Inlined with the queue's push, so that the fields of the entry stay in registers until they are where they belong.
    #[inline(always)]
    pub fn schedule_in_place(&mut self, ticket: Ticket, at: SimTime, kind: u16, target: u32, body: u64) {
        if self.wants(What::Caused) {
            self.say_caused(ticket, at, kind, target);
        }
        self.out.schedule_in_place(ticket, at, kind, target, body);
    }

    #[cold]
    fn say_caused(&mut self, ticket: Ticket, at: SimTime, kind: u16, target: u32) {
        let (origin, number) = (u64::from(ticket.rank), u64::from(ticket.number));
        let words = [origin << 32 | number, at.as_nanos(), u64::from(kind)];
        self.record(What::Caused, target, words);
    }

    /// Whether anybody wants to see such records.
    #[inline]
    pub fn wants(&self, what: What) -> bool {
        self.shared.records.wants(what)
    }

    /// Records that something happened, if anybody wants to see it.
    #[inline(always)]
    pub fn record(&mut self, what: What, subject: u32, words: [u64; 3]) {
        if self.shared.records.wants(what) {
            self.push_record(what, subject, words, &[]);
        }
    }

    /// Records that something happened, with extra words.
    #[inline(always)]
    pub fn record_with(&mut self, what: What, subject: u32, words: [u64; 3], extra: &[u64]) {
        if self.shared.records.wants(what) {
            self.push_record(what, subject, words, extra);
        }
    }

    /// Apart, so that nobody's code grows by it.
    #[inline(never)]
    fn push_record(&mut self, what: What, subject: u32, words: [u64; 3], extra: &[u64]) {
        self.shared
            .records
            .push(self.out.now(), self.entry, what, subject, words, extra);
    }

    /// Stops the run because of a problem that its user can mend.
    pub fn halt(&mut self, entity: u32, message: String, place: String) {
        let at = self.now();
        self.shared.halt.get_or_insert(Halt {
            message,
            entity,
            at,
            place,
        });
        self.out.stop();
    }

    /// A task began.
    pub fn task_began(&mut self) {
        self.shared.unfinished += 1;
    }

    /// A task is over, or was given up.
    pub fn task_over(&mut self) {
        self.shared.unfinished -= 1;
        if self.shared.unfinished == 0 && self.shared.stop_when_done {
            self.out.stop();
        }
    }

    /// Sends a message. What belongs to the journey is filled in; what chance does to it is drawn at the sender's number for it.
    ///
    /// Where a message is about something that has an address of its own (a step, a call, an update), [`Cx::send_about`] keeps
    /// other messages of the sender from shifting its draws.
    #[inline]
    pub fn send(&mut self, from: &mut Endpoint, message: Message) {
        let (key, number) = (from.key, from.sent as u64);
        self.send_about(from, message, key, number);
    }

    /// Sends a message whose journey is drawn under `key` at `address`.
    pub fn send_about(&mut self, from: &mut Endpoint, message: Message, key: Key, address: u64) {
        self.send_about_here(from, message, key, address);
    }

    /// The same, as code of its own where it is called: for requests and their answers, of which there are most. What is known of
    /// them there isn't written to the stack first.
    #[inline(always)]
    pub(crate) fn send_about_here(&mut self, from: &mut Endpoint, message: Message, key: Key, address: u64) {
        let about = key.bits().wrapping_add(address.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let message = Message {
            from: from.id,
            number: from.sent,
            sent: self.now(),
            about,
            epoch: 0,
            ..message
        };
        from.sent += 1;
        if self.wants(What::Sent) {
            let topic = if message.kind == MessageKind::Peer {
                message.topic
            } else {
                0
            };
            let peer = u64::from(topic) << 40 | (message.to as u64) << 8 | message.kind as u64;
            let words = [peer, message.bytes as u64, message.identity()];
            self.record(What::Sent, message.from, words);
        }
        debug_assert_eq!(from.site, self.shared.directory.site(from.id));
        let Shared { network, directory, .. } = &mut *self.shared;
        let sites = (from.site, directory.site(message.to));
        match network.route_plainly(sites, message.sent, (key, address)) {
            // Nearly always, and so without another look at what became of it.
            Ok(Verdict::At(leg)) => {
                let (handle, place) = self.shared.messages.vacancy();
                place.fill(Message {
                    epoch: leg.epoch,
                    ..message
                });
                let ticket = from.origin.take();
                self.schedule_in_place(ticket, leg.at, kind::DELIVER, message.to, handle.to_word());
            }
            Ok(verdict) => self.send_otherwise(from, message, verdict),
            Err(place) => {
                let outgoing = outgoing(sites, message, key, address);
                let verdict = network.route_otherwise(&outgoing, place);
                self.send_otherwise(from, message, verdict);
            }
        }
    }

    /// Deals with what became of a message that didn't just leave.
    #[inline(never)]
    fn send_otherwise(&mut self, from: &mut Endpoint, message: Message, verdict: Verdict) {
        let to = message.to;
        match verdict {
            Verdict::At(leg) => {
                let handle = self.shared.messages.insert(Message {
                    epoch: leg.epoch,
                    ..message
                });
                let ticket = from.origin.take();
                self.schedule_in_place(ticket, leg.at, kind::DELIVER, to, handle.to_word());
            }
            Verdict::Lost(cause) => self.lose(message, cause as u64),
            Verdict::Twice(first, second) => self.send_twice(from, message, [first, second]),
            Verdict::Held(ticket) => self.shared.hold(ticket, message),
        }
    }

    /// Sends a message that the network makes a copy of.
    #[cold]
    #[inline(never)]
    fn send_twice(&mut self, from: &mut Endpoint, message: Message, legs: [Leg; 2]) {
        for (copy, leg) in legs.into_iter().enumerate() {
            let epoch = leg.epoch;
            let handle = self.shared.messages.insert(Message { epoch, ..message });
            if copy == 1 {
                self.double(handle);
            }
            let ticket = from.origin.take();
            self.schedule_in_place(ticket, leg.at, kind::DELIVER, message.to, handle.to_word());
        }
    }

    /// A message is lost: records it and frees what it stood for.
    #[inline(never)]
    pub(super) fn lose(&mut self, message: Message, cause: u64) {
        let peer = (message.from as u64) << 8 | message.kind as u64;
        let words = [peer, cause, message.identity()];
        let extra = [message.bytes as u64, message.sent.as_nanos()];
        self.record_with(What::Lost, message.to, words, &extra);
        match message.kind {
            MessageKind::Request | MessageKind::Response => self.drop_attempt(message.handle),
            MessageKind::Peer => self.shared.aftermath.push(Aftermath::Lost(message)),
            MessageKind::Plain | MessageKind::Ask | MessageKind::Answer | MessageKind::Cancel => {}
        }
    }

    /// The network made a copy: gives it its own attempt, so that the two journeys keep their own times.
    pub(super) fn double(&mut self, handle: Handle) {
        let Some(message) = self.shared.messages.get(handle).copied() else {
            return;
        };
        let peer = (message.from as u64) << 8 | message.kind as u64;
        let words = [peer, 0, message.identity()];
        let extra = [message.bytes as u64, message.sent.as_nanos()];
        self.record_with(What::Duplicated, message.to, words, &extra);
        match message.kind {
            MessageKind::Request | MessageKind::Response => {
                if let Some(mut copy) = self.shared.attempts.get(message.handle).cloned() {
                    copy.copy += 1;
                    if let Some(call) = self.shared.calls.get_mut(copy.call) {
                        call.paths += 1;
                    }
                    let copied = self.shared.attempts.insert(copy);
                    if let Some(message) = self.shared.messages.get_mut(handle) {
                        message.handle = copied;
                    }
                }
            }
            MessageKind::Peer => self.shared.aftermath.push(Aftermath::Doubled(handle)),
            MessageKind::Plain | MessageKind::Ask | MessageKind::Answer | MessageKind::Cancel => {}
        }
    }

    /// Records the answers that may still be used when the run is over.
    pub(super) fn record_answers_under_way(&mut self) {
        let awaited = |attempt: &Attempt| {
            let call = self.shared.calls.get(attempt.call)?;
            let awaited = attempt.outcome == Outcome::Done && call.awaits(attempt.number);
            awaited.then(|| (call.client, call.words(attempt), attempt.finished))
        };
        let under_way: Vec<_> = self.shared.attempts.iter().filter_map(awaited).collect();
        for (client, words, finished) in under_way {
            self.record_with(What::AnswerUnderWay, client, words, &[finished.as_nanos()]);
        }
    }

    /// An attempt's journey is over: frees it, and its call if nobody needs it any more.
    pub fn drop_attempt(&mut self, handle: Handle) {
        if let Some(attempt) = self.shared.attempts.remove(handle) {
            self.leave_call(attempt.call);
        }
    }

    /// Nobody needs a call any more, nor does it need those for whom it was made, which a call without terms wasn't.
    #[inline(always)]
    fn free_call(&mut self, handle: Handle, has_terms: bool) {
        match has_terms {
            true => self.free_passed(handle),
            false => self.shared.calls.free(handle),
        }
    }

    #[cold]
    fn free_passed(&mut self, handle: Handle) {
        let call = self.shared.calls.remove(handle);
        if let Some(passed) = call.and_then(|call| call.terms).and_then(|terms| terms.passed) {
            passed.of.into_iter().for_each(|call| self.leave_call(call));
        }
    }

    /// One path of a call less.
    #[inline]
    pub fn leave_call(&mut self, handle: Handle) {
        if let Some(call) = self.shared.calls.get_mut(handle) {
            call.paths -= 1;
            if call.paths == 0 && !call.open {
                let has_terms = call.terms.is_some();
                self.free_call(handle, has_terms);
            }
        }
    }

    /// The client has what it wanted from a call, which came on one of its paths.
    #[inline(always)]
    pub fn finish_call(&mut self, handle: Handle) {
        if let Some(call) = self.shared.calls.get_mut(handle) {
            call.paths -= 1;
            call.open = false;
            if call.paths == 0 {
                let has_terms = call.terms.is_some();
                self.free_call(handle, has_terms);
            }
        }
    }

    /// The client has what it wanted from a call, or gives up.
    #[inline]
    pub fn close_call(&mut self, handle: Handle) {
        if let Some(call) = self.shared.calls.get_mut(handle) {
            call.open = false;
            if call.paths == 0 {
                let has_terms = call.terms.is_some();
                self.free_call(handle, has_terms);
            }
        }
    }

    /// Work on a request begins at a server: who has a budget pays for it.
    #[cold]
    #[inline(never)]
    pub fn bill(&mut self, server: u32, attempt: Handle) {
        let Shared {
            ledger: Some(ledger),
            attempts,
            calls,
            directory,
            ..
        } = &mut *self.shared
        else {
            return;
        };
        let Some(call) = attempts.get(attempt).and_then(|attempt| calls.get(attempt.call)) else {
            return;
        };
        let (client, (tokens_in, tokens_out)) = (call.asker(), call.request.tokens());
        let tokens = u64::from(tokens_in) << 32 | u64::from(tokens_out);
        let ((group, _), (service, _)) = (directory.locate(client), directory.locate(server));
        for bill in ledger.bill(call, group, service) {
            let budget = u64::from(bill.budget);
            let extra = [bill.cost.money, bill.owner, u64::from(server)];
            self.record_with(What::Budget, client, [budget, tokens, event::BILLED], &extra);
            if let Some(which) = bill.ran_out {
                self.record_with(What::Budget, client, [budget, which, event::RAN_OUT], &[bill.owner]);
            }
        }
    }

    /// A request's effect is applied: counts it, and says how often it was before.
    #[inline(always)]
    pub fn executed(&mut self, server: u32, attempt: Handle) -> u16 {
        let Some(attempt) = self.shared.attempts.get(attempt) else {
            return 0;
        };
        let handle = attempt.call;
        match self.shared.calls.get(handle) {
            Some(call) if call.terms.is_some() => self.executed_for(server, handle),
            _ => self.execute(server, handle),
        }
    }

    /// The same of a call with terms: it may be made for others.
    #[cold]
    fn executed_for(&mut self, server: u32, handle: Handle) -> u16 {
        let passed = self.shared.calls.get(handle).and_then(Call::passed);
        match passed.map(|passed| passed.of.clone()) {
            None => self.execute(server, handle),
            // It is the doing of those that began it, each of which may have asked more than once.
            Some(of) => of
                .into_iter()
                .map(|call| self.execute_passed(server, call))
                .max()
                .unwrap_or(0),
        }
    }

    /// The same of what a gateway has passed on: a call that has failed by then has failed at whom it asked.
    fn execute_passed(&mut self, server: u32, call: Handle) -> u16 {
        let failed = self.shared.calls.get(call).filter(|call| call.failed);
        let server = failed.map_or(server, |call| call.server);
        self.execute(server, call)
    }

    #[inline(always)]
    fn execute(&mut self, server: u32, call: Handle) -> u16 {
        let Some(call) = self.shared.calls.get_mut(call) else {
            return 0;
        };
        call.executed += 1;
        let (identity, before) = (call.identity, call.executed - 1);
        let words = [identity, before as u64, u64::from(call.failed)];
        let began = call.began.as_nanos();
        self.record_with(What::Executed, server, words, &[began]);
        before
    }
}

/// A message as the network sees it.
#[inline(never)]
fn outgoing((from, to): (SiteId, SiteId), message: Message, key: Key, address: u64) -> Outgoing {
    Outgoing {
        from,
        to,
        from_tag: message.from,
        to_tag: message.to,
        kind: message.kind as u8,
        bytes: message.bytes,
        key,
        number: address,
        now: message.sent,
        pair: (message.from as u64) << 32 | message.to as u64,
    }
}

impl Shared {
    /// An attempt, and its call.
    #[inline]
    pub fn journey(&self, attempt: Handle) -> Option<(&Attempt, &Call)> {
        let attempt = self.attempts.get(attempt)?;
        Some((attempt, self.calls.get(attempt.call)?))
    }

    /// An attempt, and its call.
    #[inline]
    pub fn journey_mut(&mut self, attempt: Handle) -> Option<(&mut Attempt, &mut Call)> {
        let attempt = self.attempts.get_mut(attempt)?;
        let call = self.calls.get_mut(attempt.call)?;
        Some((attempt, call))
    }

    /// Keeps a message that a cut holds.
    #[cold]
    pub(super) fn hold(&mut self, ticket: u32, message: Message) {
        let place = ticket as usize;
        if self.held.len() <= place {
            self.held.resize(place + 1, None);
        }
        self.held[place] = Some(message);
    }
}

impl Endpoint {
    /// The draws of this entity at an address.
    #[inline]
    pub fn stream(&self, purpose: Purpose, number: u64) -> Stream {
        self.key.stream(purpose, number)
    }
}

/// The size on the wire of a request, beside what it carries.
pub fn request_bytes(request: &Request, stated: u32) -> u32 {
    let Request::Update { op, .. } = request else {
        return stated;
    };
    // An edit of a text says where, how many characters, and which; a character weighs a byte.
    let edit = match op {
        Op::InsertText { length, .. } => length.saturating_add(8),
        Op::DeleteText { .. } => 8,
        _ => 0,
    };
    let context = request.context().map_or(0, |context| context.bytes() as u32);
    stated.saturating_add(edit).saturating_add(context)
}

/// A duration in nanoseconds as a word of a record.
pub fn word(duration: SimDuration) -> u64 {
    duration.as_nanos()
}
