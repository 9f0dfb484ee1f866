//! Raft (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", USENIX ATC 2014; Ongaro, "Consensus:
//! Bridging Theory and Practice", 2014, called *thesis* below), as data without I/O, for any command and any state.
//!
//! In reading order: `log` is what a member has on disk; `sessions` remembers which proposals were applied; [`message`] is what
//! travels; `node` takes input and deals it out; `election`, `replication`, `reads` and `membership` are the parts of the protocol.
//!
//! A host calls [`Node::start`], [`Node::receive`], [`Node::tick`], [`Node::propose`] and [`Node::read`] with what the member's
//! own clock reads, in nanoseconds, and then does what [`Node::take_output`] says: it applies, sends, and calls [`Node::tick`] again
//! when that clock reads [`Node::due`]. What [`Disk`] holds is to be stable before the messages of the same step leave.
//!
//! Guarantees, whatever is lost, doubled, delayed or reordered, and however members crash, as long as a member that comes back has
//! its disk, or comes back under another identity: at most one leader in a term; logs that agree in an entry's index and term agree
//! in all before it; what was committed is in the log of every later leader; members apply the same commands in the same order.
//! None of it hangs on clocks. Reads by lease do: see [`Settings::lease`].

mod election;
mod log;
mod membership;
pub mod message;
mod node;
mod reads;
mod replication;
pub mod server;
mod sessions;
#[cfg(test)]
mod tests;

pub use log::{Disk, Entries, Entry, Log, Payload, Snapshot};
pub use membership::Members;
pub use message::{Body, Message};
pub use node::{Committed, Node, Output, Role};
pub use sessions::{Identity, Sessions};

use serde::{Deserialize, Serialize};

/// A member: a machine with one disk. One that has lost its disk is another member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Id(pub u32);

/// The place of an entry in the log, from 1; 0 is before all of them.
pub type Index = u64;

/// A term of leadership, from 1.
pub type Term = u64;

/// The rules that all members share. Times are in nanoseconds of the member's own clock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The shortest time without a leader after which a member stands for election, and as long as which a member refuses
    /// candidates after it has heard from a leader (thesis, 4.2.3).
    pub election_min: i64,
    /// The longest; each timeout is drawn between them, uniformly.
    pub election_max: i64,
    /// The time between two heartbeats of a leader.
    pub heartbeat: i64,
    /// Whether a member asks whether it could be elected before it raises its term (thesis, 9.6).
    pub pre_vote: bool,
    /// How long a leader may answer reads by itself, from the moment when it sent a heartbeat that a quorum has answered (thesis,
    /// 6.4.1). A quorum of members refuses candidates for `election_min` after it heard that, by clocks of their own: it holds as
    /// long as none of them gains more than `election_min / lease - 1` on the leader's, and none jumps. `None`: reads
    /// are confirmed by a round of heartbeats each.
    pub lease: Option<i64>,
    /// The most entries in one message.
    pub batch: usize,
    /// The most messages with entries on their way to one member.
    pub in_flight: usize,
    /// How many entries are applied before the log is compacted.
    pub snapshot_every: u64,
    /// How many applied entries stay in a compacted log, for members that are a little behind.
    pub trailing: u64,
    /// For how many entries a proposal that was applied is remembered, so that it isn't applied again.
    pub remember: u64,
    /// What is wrong with the members.
    pub flaw: Flaw,
}

/// Mistakes that a test plants, to see that its checks find them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Flaw {
    /// None.
    #[default]
    None,
    /// A restart forgets the vote.
    ForgetsVote,
    /// A leader commits entries of earlier terms by counting their copies (the paper's figure 8).
    CommitsOldTerms,
    /// A voter doesn't compare logs.
    VotesForShortLogs,
    /// A follower cuts its log behind the entries that it was sent, matching ones too.
    CutsMatching,
    /// A voter listens to candidates although it hears a leader.
    NeverRefuses,
}
