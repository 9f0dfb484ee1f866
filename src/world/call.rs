//! Calls and their attempts, as they travel: the client's side, the request, and the times on the way.

use super::pursuit::Pursuit;
use super::slab::Handle;
use crate::kernel::{Key, SimDuration, SimTime};
use crate::state::journal::{Loaded, LogRequest};
use crate::state::{Context, Op, Token};
use serde::{Deserialize, Serialize};

/// The parts into which a task's time is split along its critical path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[repr(usize)]
pub enum Part {
    /// The agent's own time: its work, and its sleeps.
    Thinking,
    /// Being served: inference, a tool at work.
    Service,
    /// Waiting in a server's queue or in a peer's mailbox.
    Queueing,
    /// On the way: the legs of calls, of operations on state, of messages.
    Network,
    /// An abandoned attempt and the wait until its successor started; work that a crash undid.
    Retrying,
    /// Waiting for other agents, or for replicas to agree.
    Coordination,
    /// Something needed was crashed, paused or stalled.
    Down,
}

impl Part {
    /// All parts, in the order of [`Parts`].
    pub const ALL: [Self; 7] = [
        Self::Thinking,
        Self::Service,
        Self::Queueing,
        Self::Network,
        Self::Retrying,
        Self::Coordination,
        Self::Down,
    ];

    /// The part's name in tables, plots and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Thinking => "thinking",
            Self::Service => "service",
            Self::Queueing => "queueing",
            Self::Network => "network",
            Self::Retrying => "retrying",
            Self::Coordination => "coordination",
            Self::Down => "down",
        }
    }
}

/// How a stretch of time divides: nanoseconds for each [`Part`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts(pub [u64; 7]);

impl Parts {
    /// Adds a stretch to one part.
    #[inline]
    pub fn add(&mut self, part: Part, duration: SimDuration) {
        self.0[part as usize] += duration.as_nanos();
    }

    /// Adds another split.
    #[inline]
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine += theirs;
        }
    }

    /// What one part took.
    pub fn of(&self, part: Part) -> SimDuration {
        SimDuration::from_nanos(self.0[part as usize])
    }

    /// The length of the whole.
    pub fn total(&self) -> SimDuration {
        SimDuration::from_nanos(self.0.iter().sum())
    }
}

/// What a client asks of a server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Request {
    /// Work: inference or a tool.
    Work {
        /// Tokens of the prompt, where the scenario states them.
        tokens_in: u32,
        /// Tokens of the answer.
        tokens_out: u32,
        /// How urgent it is, where a service goes by that: the higher, the earlier.
        priority: u32,
        /// What it says of its prompt and its answer beyond that, if anything.
        prompt: Option<Box<Prompt>>,
    },
    /// A read of shared state.
    Read {
        /// The key, dense in its store.
        key: u32,
    },
    /// An update of shared state.
    Update {
        /// The key, dense in its store.
        key: u32,
        /// What to do with it.
        op: Op,
        /// What it is made on, where it says so.
        basis: Option<Box<Basis>>,
    },
    /// A lock.
    Acquire,
    /// Something of the log of the client's events.
    Journal(Box<LogRequest>),
    /// A message for a channel.
    Publish {
        /// What it is about, if it is to stay in its order among others.
        about: Option<u64>,
        /// Its size.
        bytes: u32,
    },
    /// Messages from a channel.
    Poll {
        /// How many at most.
        most: u32,
        /// How long the broker waits for the first, if there is none.
        wait: SimDuration,
    },
}

/// What a request for work says of its prompt and its answer beyond how long they are. Plain ones say nothing, so it lies apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Prompt {
    /// How many tokens the answer has at most; it is cut there.
    pub max_out: Option<u32>,
    /// The prefix that it shares with other prompts: what it is called, hashed, and how many tokens it has.
    pub shared: Option<(u64, u32)>,
    /// The conversation that it is the next turn of: it begins with the prompt and the answer of the turn before.
    pub conversation: Option<u64>,
    /// How many tokens these have.
    pub before: u32,
    /// What it asks about: equal ones are the same question.
    pub about: Option<u64>,
}

impl Prompt {
    /// Cuts an answer of so many tokens at its maximum.
    pub fn cut(&self, tokens_out: &mut u32) {
        if let Some(most) = self.max_out {
            *tokens_out = (*tokens_out).min(most);
        }
    }

    /// The tokens of a prompt whose own are so many: those of the turns before come first.
    pub fn extend(&self, tokens_in: &mut u32) {
        *tokens_in = tokens_in.saturating_add(self.before);
    }

    /// The prompt as a request has it: nothing, if nothing is said.
    pub fn of_request(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }

    /// One word for the fingerprint.
    fn digest(&self) -> u64 {
        let fold = |hash: u64, word: u64| (hash.rotate_left(25) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let max_out = self.max_out.map_or(0, |most| u64::from(most) + 1);
        let (name, shared) = self.shared.unwrap_or((0, 0));
        let conversation = self.conversation.unwrap_or(0);
        let words = [max_out, name, u64::from(shared), conversation, u64::from(self.before)];
        words.into_iter().chain(self.about).fold(1, fold)
    }
}

/// What an update is made on. Plain ones don't say, so it lies apart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Basis {
    /// What the client has seen, where the step says that it sends it.
    pub context: Option<Context>,
    /// The version of the key that must still be there (compare-and-swap); `None`: whatever is there.
    pub expects: Option<u64>,
    /// Whether the replica is to hold it back until it has all that the context names; the agent's view is made of that alone.
    /// `None`: the replica takes it as it comes.
    pub awaits: Option<Awaits>,
}

impl Basis {
    /// The basis as a request has it: nothing, if nothing is said.
    pub fn of_request(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

/// Under which lock an update is sent, for stores that refuse those whose lock somebody else has got since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fence {
    /// The lock service's entity.
    pub lock: u32,
    /// The token of the grant.
    pub token: u64,
}

/// How an update waits at its replica for what it builds on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Awaits {
    /// How long at most; then it is applied to what is there. `None`: for ever.
    pub patience: Option<SimDuration>,
}

impl Request {
    /// How urgent it is.
    pub fn priority(&self) -> u32 {
        match self {
            Self::Work { priority, .. } => *priority,
            _ => 0,
        }
    }

    /// What an update is made on, where it says so.
    fn basis(&self) -> Option<&Basis> {
        match self {
            Self::Update { basis, .. } => basis.as_deref(),
            _ => None,
        }
    }

    /// What the client of an update has seen, where it sends that.
    pub fn context(&self) -> Option<&Context> {
        self.basis()?.context.as_ref()
    }

    /// The version of the key that a conditional update expects.
    pub fn expects(&self) -> Option<u64> {
        self.basis()?.expects
    }

    /// How an update waits for what it builds on, if it does.
    pub fn awaits(&self) -> Option<Awaits> {
        self.basis()?.awaits
    }

    /// Tokens in and out.
    #[inline]
    pub fn tokens(&self) -> (u32, u32) {
        match self {
            Self::Work {
                tokens_in, tokens_out, ..
            } => (*tokens_in, *tokens_out),
            Self::Read { .. }
            | Self::Update { .. }
            | Self::Acquire
            | Self::Journal(_)
            | Self::Publish { .. }
            | Self::Poll { .. } => (0, 0),
        }
    }
}

/// How an attempt came back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It is still on its way.
    Pending,
    /// It was done.
    Done,
    /// It was answered, and not done: the key had moved on from the version that the update expects.
    Moved,
    /// It was refused for good: it came under a lock that somebody else has got since.
    Fenced,
    /// It was refused; the server says when to come again, or says nothing.
    Refused {
        /// The wait that the server asks for.
        retry_after: Option<SimDuration>,
    },
}

/// A call, through all of its attempts: it is kept until its client has closed it and its last attempt's journey is over.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Call {
    /// Who asks.
    pub client: u32,
    /// The client's key: what chance does to the call and its attempts is drawn under it.
    pub key: Key,
    /// Whether the server may recognise the call by its identity.
    pub idempotent: bool,
    /// The activation that waits; see the agents' own tables.
    pub activation: u32,
    /// The activation's generation when it called.
    pub generation: u32,
    /// Whether the client still waits for an answer.
    pub open: bool,
    /// Whether it failed beyond its policy.
    pub failed: bool,
    /// Whether the client goes by how much a read shows.
    pub counts: bool,
    /// Whether it is asked of one of several servers: another attempt goes to another one.
    pub aimed: bool,
    /// Attempts that are on their way, or at the server.
    pub paths: u16,
    /// How often the request's effect was applied.
    pub executed: u16,
    /// Attempts made.
    pub tries: u32,
    /// Which call step of the program this is.
    pub spec: u32,
    /// The address of the step for draws.
    pub address: u64,
    /// The call's identity.
    pub identity: u64,
    /// The server.
    pub server: u32,
    /// When the first attempt was made.
    pub began: SimTime,
    /// The last backoff, for decorrelated jitter.
    pub backoff: SimDuration,
    /// What is asked for.
    pub request: Request,
    /// What is asked beyond that, if anything is.
    pub terms: Option<Box<Terms>>,
}

/// What an operation on shared state asks beyond its request, and how a call is pursued. Plain calls of services have none of it, so
/// it lies apart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Terms {
    /// The lock under which it is asked for, if its token is sent along.
    pub fence: Option<Fence>,
    /// What the client's session with a store asks of the replica that serves it.
    pub token: Option<Box<Token>>,
    /// Of a read whose client keeps what it shows: how long it wants to hear of changes, which may be not at all.
    pub keeps: Option<SimDuration>,
    /// Of a call that a gateway makes: for whom.
    pub passed: Option<Passed>,
    /// How its client pursues it, if there is more to that than a timeout and retries.
    pub pursuit: Option<Box<Pursuit>>,
}

/// For whom a gateway calls: what it passes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Passed {
    /// The calls that began it: several where requests were gathered to one. Each is kept as long as this one.
    pub of: Vec<Handle>,
    /// The identity of the first of these: the idempotency key that is passed on.
    pub identity: u64,
    /// Who made that call.
    pub client: u32,
    /// The address of the step that made it: what a request has of its own is drawn there.
    pub address: u64,
    /// How many gateways it has passed.
    pub hops: u32,
    /// The deadline of that call, which is passed on; never if it has none.
    pub deadline: SimTime,
    /// Whether it can be cancelled.
    pub cancels: bool,
}

impl Terms {
    /// The terms as a call has them: nothing, if nothing is asked.
    pub fn of_call(self) -> Option<Box<Self>> {
        (self != Self::default()).then(|| Box::new(self))
    }
}

/// What an answer brings beyond an outcome, a version and a context. Services bring none of it, so it lies apart.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Findings {
    /// How much a read showed, where its client goes by it: see [`Value::amount`](crate::state::Value::amount).
    pub amount: i64,
    /// What the answer adds to the client's session.
    pub token: Option<Box<Token>>,
    /// What a read showed, in the words of records, for a client that keeps it.
    pub shown: Option<Box<[u64]>>,
    /// What was read of a log.
    pub loaded: Option<Box<Loaded>>,
    /// Where the time went that others took of a request that was passed on to them.
    pub passed: Option<Parts>,
    /// The gateway's call whose answer it was; 0 for none.
    pub passed_by: u64,
    /// The messages that a poll got: each one's publication, and the tag under which it is acknowledged.
    pub polled: Box<[(u64, u64)]>,
}

/// One attempt of a call.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Attempt {
    /// The call, which is kept as long as any of its attempts.
    pub call: Handle,
    /// The attempt's number, from 1.
    pub number: u32,
    /// How many copies of it the network has made on its way to this one.
    pub copy: u16,
    /// When it was sent.
    pub sent: SimTime,
    /// When the server had it.
    pub arrived: SimTime,
    /// When work on it began.
    pub started: SimTime,
    /// When work on it ended, or it was refused.
    pub finished: SimTime,
    /// How long the server was down or stood still before work on it began.
    pub stood: SimDuration,
    /// How long the server was down or stood still from then on.
    pub down: SimDuration,
    /// How long the server was at work on it in vain, because a crash undid what was done.
    pub undone: SimDuration,
    /// How long it waited at the server for consistency or coordination.
    pub coordinated: SimDuration,
    /// How it ended.
    pub outcome: Outcome,
    /// What a read returned, or an update's context.
    pub context: Option<Box<Context>>,
    /// The version of the key that a read returned, or the token of a lock that was granted.
    pub version: u64,
    /// What it brings beyond that, if it does.
    pub findings: Option<Box<Findings>>,
}

/// The address of the draws about attempt `number` of a call whose step has this address.
#[inline]
pub fn attempt_address(address: u64, number: u32) -> u64 {
    // An odd factor: no two attempts of a call share an address, however many there are.
    address.wrapping_add(u64::from(number).wrapping_mul(0xd1b5_4a32_d192_ed03))
}

impl Call {
    /// The lock under which it is asked for, if its token is sent along.
    pub fn fence(&self) -> Option<Fence> {
        self.terms.as_ref()?.fence
    }

    /// What the client's session with a store asks of the replica that serves it.
    pub fn token(&self) -> Option<&Token> {
        self.terms.as_ref()?.token.as_deref()
    }

    /// Of a read whose client keeps what it shows: how long it wants to hear of changes.
    pub fn keeps(&self) -> Option<SimDuration> {
        self.terms.as_ref()?.keeps
    }

    /// For whom it is made, if a gateway makes it.
    pub fn passed(&self) -> Option<&Passed> {
        self.terms.as_ref()?.passed.as_ref()
    }

    /// The identity by which a server may recognise it: that of the call that began it.
    pub fn known_as(&self) -> u64 {
        self.passed().map_or(self.identity, |passed| passed.identity)
    }

    /// Who asked first.
    pub fn asker(&self) -> u32 {
        self.passed().map_or(self.client, |passed| passed.client)
    }

    /// The address of the draws about what the request has of its own, however it comes to its server.
    pub fn asked_at(&self) -> u64 {
        self.passed().map_or(self.address, |passed| passed.address)
    }

    /// How its client pursues it, if there is more to that than a timeout and retries.
    #[inline]
    pub fn pursuit(&self) -> Option<&Pursuit> {
        self.terms.as_ref()?.pursuit.as_deref()
    }

    /// The deadline that its server is told, if it has one: its client's, or that of the call that a gateway passes on.
    pub fn deadline(&self) -> Option<SimTime> {
        let own = self.pursuit().map(|pursuit| pursuit.deadline);
        let passed = self.passed().map(|passed| passed.deadline);
        own.into_iter().chain(passed).min().filter(|at| *at != SimTime::NEVER)
    }

    /// Whether its requests can be cancelled, which their server is told.
    pub fn cancels(&self) -> bool {
        self.pursuit().is_some_and(|pursuit| pursuit.cancels) || self.passed().is_some_and(|passed| passed.cancels)
    }

    /// The same, to be changed.
    #[inline]
    pub fn pursuit_mut(&mut self) -> Option<&mut Pursuit> {
        self.terms.as_mut()?.pursuit.as_deref_mut()
    }

    /// Whether its client still waits for an attempt.
    #[inline]
    pub fn awaits(&self, number: u32) -> bool {
        self.open
            && match self.pursuit() {
                None => self.tries == number,
                Some(pursuit) => pursuit.awaits(number),
            }
    }

    /// Where an attempt went.
    #[inline]
    pub fn server_of(&self, number: u32) -> u32 {
        match &self.terms {
            None => self.server,
            Some(_) => self
                .pursuit()
                .and_then(|pursuit| pursuit.sent(number))
                .map_or(self.server, |sent| sent.server),
        }
    }

    /// The address of the draws about an attempt, under the caller's key. What a gateway passes on takes as long to serve as if it
    /// had come to its server directly: its first attempt has the address of the attempt that it passes on.
    #[inline]
    pub fn about(&self, attempt: &Attempt) -> u64 {
        match &self.terms {
            Some(terms) if terms.passed.is_some() => self.about_passed(attempt.number),
            _ => attempt_address(self.address, attempt.number),
        }
    }

    #[cold]
    fn about_passed(&self, number: u32) -> u64 {
        match number {
            1 => self.address,
            _ => attempt_address(self.address.rotate_left(23) ^ 0x7061_7373_6564, number),
        }
    }

    /// The address of the draws about the journey of an attempt's request, under the caller's key: each hop has its own.
    pub fn about_request(&self, attempt: &Attempt) -> u64 {
        match self.passed() {
            None => self.about(attempt),
            Some(passed) => self.about(attempt).rotate_left(11 * passed.hops) ^ 0x0067_6174_6577_6179,
        }
    }

    /// The address of the draws about the journey of an attempt's answer, under the caller's key: whoever else is served shifts
    /// none of them.
    #[inline]
    pub fn about_answer(&self, attempt: &Attempt) -> u64 {
        answer_address(self.about_request(attempt).wrapping_add(u64::from(attempt.copy) << 48))
    }

    /// The call, its server and an attempt, as records name them.
    #[inline]
    pub fn words(&self, attempt: &Attempt) -> [u64; 3] {
        [
            self.identity,
            self.server_of(attempt.number) as u64,
            attempt.number as u64,
        ]
    }

    /// What is asked and how an attempt came back, as one word for the fingerprint.
    pub fn digest(&self, attempt: &Attempt) -> u64 {
        let (tag, word) = match &self.request {
            Request::Work {
                tokens_in,
                tokens_out,
                priority,
                prompt,
            } => {
                let urgency = u64::from(*priority).wrapping_mul(0x9e37_79b9_7f4a_7c15);
                let prompt = prompt.as_ref().map_or(0, |prompt| prompt.digest());
                (1, ((*tokens_in as u64) << 32 | *tokens_out as u64) ^ urgency ^ prompt)
            }
            Request::Read { key } => (2, *key as u64),
            Request::Acquire => (12, 0),
            Request::Journal(entry) => (13, entry.digest()),
            Request::Publish { about, bytes } => (14, about.map_or(0, |about| about + 1) ^ u64::from(*bytes) << 32),
            Request::Poll { most, wait } => (15, wait.as_nanos() ^ u64::from(*most) << 32),
            Request::Update { key, op, .. } => {
                let (kind, value) = match *op {
                    Op::Write(value) => (3, value),
                    Op::Add(delta) => (4, delta as u64),
                    Op::Insert(element) => (5, element),
                    Op::Remove(element) => (6, element),
                    Op::InsertText { at, from, length } => {
                        let span = u64::from(from) << 32 | u64::from(length);
                        (7, span ^ u64::from(at).wrapping_mul(0x9e37_79b9_7f4a_7c15))
                    }
                    Op::Put { field, value } => (9, value ^ u64::from(field).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
                    Op::Increase { field, by } => {
                        (10, by as u64 ^ u64::from(field).wrapping_mul(0x9e37_79b9_7f4a_7c15))
                    }
                    Op::Drop { field } => (11, u64::from(field)),
                    Op::DeleteText { at, length } => (8, u64::from(at) << 32 | u64::from(length)),
                };
                let expected = self
                    .request
                    .expects()
                    .map_or(0, |version| (version + 1).rotate_left(32));
                (kind | (*key as u64) << 8, value ^ expected)
            }
        };
        let outcome = match attempt.outcome {
            Outcome::Pending => 0,
            Outcome::Done => 1,
            Outcome::Moved => 3,
            Outcome::Fenced => 7,
            Outcome::Refused { retry_after } => 2 | retry_after.map_or(0, |wait| wait.as_nanos() << 2),
        };
        let fold = |hash: u64, word: u64| (hash.rotate_left(25) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let fence = self.fence().map(|fence| fence.token ^ u64::from(fence.lock) << 48);
        let tokens = [self.token(), attempt.token()].into_iter().flatten();
        let words = [tag, word, outcome, attempt.number as u64];
        let loaded = attempt.loaded();
        let loaded = loaded.map(|loaded| u64::from(loaded.last) << 32 | loaded.events.len() as u64);
        // A first attempt at one of several servers isn't pursued yet, and says what it would say if it were.
        let pursuit = self.pursuit().map(|pursuit| pursuit.digest(attempt.number));
        let pursuit = pursuit.or(self.aimed.then_some(0));
        let polled = attempt
            .polled()
            .iter()
            .map(|(identity, tag)| identity.rotate_left(32) ^ tag);
        let all = words
            .into_iter()
            .chain(fence)
            .chain(loaded)
            .chain(pursuit)
            .chain(polled);
        all.chain(tokens.map(|token| token.digest())).fold(0, fold)
    }
}

impl Attempt {
    /// Attempt `number` of a call, which leaves now.
    #[inline]
    pub fn new(call: Handle, number: u32, now: SimTime) -> Self {
        Self {
            call,
            number,
            copy: 0,
            sent: now,
            arrived: now,
            started: now,
            finished: now,
            stood: SimDuration::ZERO,
            down: SimDuration::ZERO,
            undone: SimDuration::ZERO,
            coordinated: SimDuration::ZERO,
            outcome: Outcome::Pending,
            context: None,
            version: 0,
            findings: None,
        }
    }

    /// What the answer adds to the client's session.
    pub fn token(&self) -> Option<&Token> {
        self.findings.as_ref()?.token.as_deref()
    }

    /// What was read of a log.
    pub fn loaded(&self) -> Option<&Loaded> {
        self.findings.as_ref()?.loaded.as_deref()
    }

    /// The messages that a poll got.
    pub fn polled(&self) -> &[(u64, u64)] {
        self.findings.as_ref().map_or(&[], |findings| &findings.polled)
    }

    /// What the answer brings, to be filled in.
    pub fn findings_mut(&mut self) -> &mut Findings {
        self.findings.get_or_insert_default()
    }

    /// The times on its way whose answer was there at `until`, as a record has them; and the gateway's call whose answer it was.
    pub fn times(&self, until: SimTime) -> [u64; 10] {
        let [sent, arrived, started, finished, there] =
            [self.sent, self.arrived, self.started, self.finished, until].map(SimTime::as_nanos);
        let [down, coordinated, stood, undone] =
            [self.down, self.coordinated, self.stood, self.undone].map(SimDuration::as_nanos);
        [
            sent,
            arrived,
            started,
            finished,
            down,
            coordinated,
            there,
            stood,
            undone,
            self.findings.as_ref().map_or(0, |findings| findings.passed_by),
        ]
    }

    /// How the time from its sending until `now`, when its answer is there, divides.
    pub fn parts(&self, now: SimTime) -> Parts {
        let mut parts = Parts::default();
        let in_service = self.finished - self.started;
        parts.add(Part::Network, (self.arrived - self.sent) + (now - self.finished));
        parts.add(Part::Queueing, (self.started - self.arrived) - self.stood);
        parts.add(Part::Coordination, self.coordinated);
        parts.add(Part::Down, self.stood + self.down);
        parts.add(Part::Retrying, self.undone);
        let own = in_service - self.coordinated - self.down - self.undone;
        match self.findings.as_ref().and_then(|findings| findings.passed) {
            None => parts.add(Part::Service, own),
            Some(passed) => {
                parts.add(Part::Service, own - passed.total());
                parts.merge(&passed);
            }
        }
        parts
    }
}

/// The address of the draws about the journey of the answer to a message that has this address.
#[inline]
pub fn answer_address(address: u64) -> u64 {
    address.rotate_left(32) ^ 0x616e_7377_6572
}

/// The address of the draws about the journey of the cancellation of an attempt that has this address.
#[inline]
pub fn cancel_address(address: u64) -> u64 {
    address.rotate_left(16) ^ 0x6361_6e63_656c
}

/// Identity of a call: which agent, and which of its calls. It is the idempotency key and the name in records.
#[inline]
pub fn call_identity(agent: u32, number: u32) -> u64 {
    (agent as u64) << 32 | number as u64
}

/// An ask under way, as both sides see it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Ask {
    /// The asker's activation.
    pub activation: u32,
    /// Who is asked.
    pub of: u32,
    /// The ask's message.
    pub identity: u64,
    /// The asker's key, and the address of the ask under it: the answer's journey is drawn under the same.
    pub key: Key,
    /// See `key`.
    pub address: u64,
    /// When it was sent.
    pub sent: SimTime,
    /// What an answer without error says, in its lowest bit, and whatever else the question consists of.
    pub question: u64,
    /// Whether a judgement is asked for, and not a piece of work.
    pub judges: bool,
    /// What the question is about: whoever is asked about the same thing errs about the same thing.
    pub about: u64,
    /// When whoever handles it is to give up what it calls for it; never if that isn't said.
    pub deadline: SimTime,
    /// When the peer had it, and how long the peer had stood still by then.
    pub arrived: Option<(SimTime, SimDuration)>,
    /// Who took it up: more than one if the network made a copy of it.
    pub takers: Vec<Taker>,
    /// The first answer.
    pub answer: Option<Answered>,
}

/// An activation that took an ask up.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Taker {
    /// Which, as records name it.
    pub activation: u64,
    /// When.
    pub at: SimTime,
    /// How long its agent had stood still by then.
    pub stood: SimDuration,
    /// Its account then.
    pub account: Parts,
}

/// How an ask was answered.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Answered {
    /// When it was taken up.
    pub taken: SimTime,
    /// How long the peer stood still while it had the ask in its mailbox.
    pub stood: SimDuration,
    /// When it was answered.
    pub at: SimTime,
    /// Where the peer's time went between.
    pub parts: Parts,
}

impl Ask {
    /// How the time from its sending until `now`, when its answer is there, divides; `None` if nobody answered.
    pub fn split(&self, now: SimTime) -> Option<Parts> {
        let answer = self.answer?;
        let (arrived, _) = self.arrived?;
        let mut parts = answer.parts;
        parts.add(Part::Network, (arrived - self.sent) + (now - answer.at));
        parts.add(Part::Down, answer.stood);
        parts.add(Part::Queueing, (answer.taken - arrived) - answer.stood);
        Some(parts)
    }
}
