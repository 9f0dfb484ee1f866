//! PBFT (Castro and Liskov, "Practical Byzantine Fault Tolerance", OSDI 1999; "Practical Byzantine Fault Tolerance and Proactive Recovery",
//! ACM TOCS 20(4), 2002, called *TOCS* below), in its form with signatures, as data without I/O.
//!
//! In reading order: [`message`] is what travels and how it is sealed; `log` is what a replica knows about each sequence number; `state` is
//! what was executed; `replica` is the normal case; `checkpoints`, `views` and `status` are what happens when it isn't normal; `desk` is the
//! client; `byzantine` is what a faulty replica makes of what it should have said.
//!
//! Members `0..replicas` are replicas, those after them the desks of clients: one at each site from which agents ask.
//!
//! Guarantees, as long as at most `faulty` replicas are Byzantine (a lost disk makes a replica Byzantine) and whatever is lost, doubled,
//! delayed or reordered, and however clocks run: no two correct replicas execute different requests at one place of the order; what is
//! executed was asked by a client, and takes effect once for as long as it is remembered ([`Rules::remember`]); an answer is what a correct
//! replica has executed. Progress needs messages that arrive within the timeouts, which double with each view that doesn't get on.

mod byzantine;
mod checkpoints;
mod desk;
mod log;
pub mod message;
mod replica;
mod state;
mod status;
#[cfg(test)]
mod tests;
mod views;

pub use byzantine::Behaviour;
pub use desk::Desk;
pub use message::Message;
pub use replica::Replica;

use super::member::{Input, Io, Member, Saying, event};
use super::spec::PatternInfo;
use serde::Serialize;

/// The most replicas: a set of them is one word of 128 bits.
pub const MOST_REPLICAS: u32 = 128;

/// What the reference says of it.
pub const INFO: PatternInfo = PatternInfo {
    name: "Pbft",
    title: "PBFT: Byzantine consensus",
    kinds: <Message as Saying>::KINDS,
    doc: "\
Practical Byzantine fault tolerance (Castro and Liskov 1999, 2002), with signatures: `n` replicas, at least `3 f + 1`, execute the same
requests in the same order although `f` of them may do anything but forge the signatures of others. The members are the replicas; beside
them there is a desk at each site, which is the client of the agents there: a submission is handed to it. It sends the request to the
primary, to all replicas if there is no answer within `client_timeout`, and answers when `f + 1` replicas say the same. A request takes
effect once for as long as `remember` requests, however often it is submitted. The answer is the submission's `value`.

The primary orders a request (pre-prepare), the others agree (prepare), and once a quorum of `(n + f) / 2 + 1` agrees all say so (commit);
what a quorum has committed is executed in order. Up to `batch` requests share a sequence number; a primary waits for `in_flight` of these at
a time. After each `checkpoint_every` replicas compare their states, and forget what lies before a checkpoint that a quorum has reached; who
is behind fetches the state. A replica that knows of a request, and sees nothing executed for `view_timeout`, asks for another primary; the
timeout doubles with each one that doesn't get on. View changes carry certificates, so that whatever may have been executed keeps its place.
Who waits for something says every `status_every` what it has, and the others send what it lacks.

`byzantine` says which replicas misbehave: `Silent` ones say nothing; those that `Equivocate` order and vote differently to odd and even
members, and commit at once; those that `Delay` say everything late by `delay`; those that `Forge` order what nobody asked for, vote for
wrong digests and in others' names, and lie in replies, checkpoints, states, view changes and new views; those that `Collude` keep to the
protocol among replicas, and tell clients the opposite, all the same one, before anything is agreed: `f + 1` of them are believed. Signing and
verifying take `sign` and `verify`, and a replica does nothing else meanwhile. A crash keeps the disk, unless a fault takes the state: a replica that has lost its
disk is a Byzantine one, and more than `f` of them may break agreement.

Guarantees with at most `f` Byzantine replicas: no two correct ones execute different requests at one place; what is executed was asked
for; an answer is what a correct replica has executed. Progress needs messages that arrive within the timeouts. None of the rest hangs on
clocks.

Costs: one request, `n - 1` pre-prepares, `(n - 1)^2` prepares, `n (n - 1)` commits and `n` replies for each batch of one; five message
delays.
",
};

/// The events of replicas and desks, beside those of all protocols.
///
/// [`event::DECIDED`] is a request executed by a replica: its word is the place in the order of all requests, from 1; extra: its value. [`event::STANDS`] is a view change that a replica asks for, [`event::LEADS`] a primary that enters its view.
/// Byzantine replicas take nothing down.
pub mod notes {
    use super::event;
    /// A replica has entered a view. About: the view.
    pub const ENTERED: u16 = event::OWN;
    /// A checkpoint has become stable. About: its sequence number; word: its digest.
    pub const STABLE: u16 = event::OWN + 1;
    /// A replica has taken over the state of another. About: the sequence number; word: how many requests were executed in it.
    pub const INSTALLED: u16 = event::OWN + 2;
    /// A message wasn't what it should have been, and was thrown away. About: its sender; word: its kind.
    pub const REJECTED: u16 = event::OWN + 3;
    /// A desk has as many equal replies as it needs. About: the request's identity; word: the value.
    pub const ACCEPTED: u16 = event::OWN + 4;
    /// A desk has had no answer for too long, and asks all replicas. About: the request's identity; word: how often it has asked.
    pub const ASKED_ALL: u16 = event::OWN + 5;
}

/// What all members share. Times are in nanoseconds of the member's own clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Rules {
    /// How many replicas there are: `3 * faulty + 1` or more, at most [`MOST_REPLICAS`].
    pub replicas: u32,
    /// How many of them may be Byzantine.
    pub faulty: u32,
    /// The most requests that one sequence number is for.
    pub batch: u32,
    /// For how many sequence numbers a primary waits at a time; further requests wait, and make batches.
    pub in_flight: u64,
    /// How many sequence numbers lie between two checkpoints.
    pub checkpoint_every: u64,
    /// How many sequence numbers beyond the last stable checkpoint are dealt with: a multiple of `checkpoint_every`, at least twice that.
    pub window: u64,
    /// How many executed requests are remembered, at least, so that they take effect once.
    pub remember: u64,
    /// How long a replica waits for a request that it knows of before it wants another primary; doubled for each view that fails.
    pub view_timeout: i64,
    /// How long a desk waits for an answer before it asks all replicas; doubled each time, up to eight times as long.
    pub client_timeout: i64,
    /// How often a replica that waits for something says what it has, so that others send what it lacks.
    pub status_every: i64,
    /// How long it takes to sign a message.
    pub sign: u64,
    /// How long it takes to verify a signature.
    pub verify: u64,
    /// How long it takes to execute a request.
    pub execute: u64,
    /// By how much a replica that is [`Behaviour::Delay`] delays what it says.
    pub delay: i64,
    /// Which replicas are Byzantine, and how.
    pub byzantine: Vec<(u32, Behaviour)>,
    /// What is wrong with all members.
    pub flaw: Flaw,
}

impl Rules {
    /// The usual ones for replicas of which so many may be faulty.
    pub fn new(faulty: u32) -> Self {
        const MS: i64 = 1_000_000;
        Self {
            replicas: 3 * faulty + 1,
            faulty,
            batch: 1,
            in_flight: 64,
            checkpoint_every: 64,
            window: 128,
            remember: 65_536,
            view_timeout: 2_000 * MS,
            client_timeout: 1_000 * MS,
            status_every: 250 * MS,
            sign: 0,
            verify: 0,
            execute: 0,
            delay: 1_600 * MS,
            byzantine: Vec::new(),
            flaw: Flaw::None,
        }
    }

    /// How many replicas are a quorum: any two of them share a correct one. It is `2 * faulty + 1` of `3 * faulty + 1`.
    pub fn quorum(&self) -> u32 {
        match self.flaw {
            Flaw::SmallQuorum => self.faulty + 1,
            _ => (self.replicas + self.faulty) / 2 + 1,
        }
    }

    /// How many replicas have a correct one among them.
    pub fn some_correct(&self) -> u32 {
        self.faulty + 1
    }

    /// Whether a replica's first vote in a view is its only one.
    fn counts_once(&self) -> bool {
        self.flaw != Flaw::VotesTwice
    }

    /// The primary of a view.
    pub fn primary(&self, view: u64) -> u32 {
        (view % u64::from(self.replicas)) as u32
    }

    /// How a replica misbehaves, if it does.
    pub fn behaviour(&self, replica: u32) -> Option<Behaviour> {
        let is_it = |(who, _): &&(u32, Behaviour)| *who == replica;
        self.byzantine.iter().find(is_it).map(|(_, behaviour)| *behaviour)
    }
}

/// Mistakes that a test plants in all correct members, to see that its checks find them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub enum Flaw {
    /// None.
    #[default]
    None,
    /// A quorum is one more than may be faulty.
    SmallQuorum,
    /// A view change doesn't say what was prepared.
    ForgetsPrepared,
    /// A request is executed when it is prepared.
    ExecutesPrepared,
    /// Nobody verifies signatures.
    TrustsEverybody,
    /// A request that comes again is executed again.
    ForgetsServed,
    /// A client takes the first reply.
    TakesFirstReply,
    /// A replica lets a primary change its mind about a sequence number.
    VotesTwice,
    /// A backup takes a new view's orders for what they are.
    TrustsNewViews,
    /// Requests are executed as they commit, whatever is missing before them.
    SkipsGaps,
}

/// A member: a replica, or a desk of clients.
#[derive(Debug, Clone, Serialize)]
pub enum Node {
    /// A replica.
    Replica(Box<Replica>),
    /// A desk of clients.
    Desk(Box<Desk>),
}

impl Node {
    /// The member of this number.
    pub fn new(rules: &Rules, number: u32) -> Self {
        match number < rules.replicas {
            true => Self::Replica(Box::new(Replica::new(rules, number))),
            false => Self::Desk(Box::new(Desk::new(rules, number))),
        }
    }

    /// The replica that it is, if it is one.
    pub fn replica(&self) -> Option<&Replica> {
        match self {
            Self::Replica(replica) => Some(replica),
            Self::Desk(_) => None,
        }
    }
}

impl Member for Node {
    type Rules = Rules;
    type Message = Message;

    fn on(&mut self, rules: &Rules, input: Input<Message>, io: &mut Io<'_, Message>) {
        match self {
            Self::Replica(replica) => replica.on(rules, input, io),
            Self::Desk(desk) => desk.on(rules, input, io),
        }
    }

    fn due(&self, _: i64) -> i64 {
        match self {
            Self::Replica(replica) => replica.due(),
            Self::Desk(desk) => desk.due(),
        }
    }

    fn crash(&mut self, rules: &Rules, keeps_disk: bool) {
        match self {
            Self::Replica(replica) => replica.crash(rules, keeps_disk),
            Self::Desk(desk) => desk.crash(),
        }
    }

    fn is_at_rest(&self) -> bool {
        match self {
            Self::Replica(replica) => replica.is_at_rest(),
            Self::Desk(desk) => desk.is_at_rest(),
        }
    }
}
