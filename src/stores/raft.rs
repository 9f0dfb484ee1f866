//! A linearizable store: its replicas are members of a Raft group ([`crate::coordination::raft`]), or of several, of which each decides
//! about some of the keys; they apply one log in one order.
//!
//! A layer in [`Store`](super::Store), as quorums are: replicas, records, requests and what faults do to them are the store's own. In
//! reading order: [`sharding`] divides the keys among groups; `member` is what a replica keeps as a member of one; `requests` waits for what agents ask; `applying` takes the log into
//! the keys; `driving` hands a member its input and does what it wants done; `weight` says what messages weigh.
//!
//! Guarantees: an update counts from when its entry is committed: it is accepted, for the records, where its entry is applied
//! first, with the version and the stamp that its place in the log gives it, and every replica gives it the same. What was never
//! committed was never accepted, and nobody ever sees it. An update is acknowledged when it is applied at the replica that was
//! asked. A read through the leader shows all that was acknowledged before it began.

mod applying;
mod driving;
mod member;
mod requests;
#[cfg(test)]
mod sharded_tests;
pub mod sharding;
#[cfg(test)]
mod tests;
mod weight;

pub(super) use member::{Image, Member};
pub use sharding::{Leaders, MOST_SHARDS, Sharding};

use crate::coordination::raft::{Flaw, Settings};
use crate::kernel::SimDuration;
use crate::state::{KeyType, ModelInfo};

pub(in crate::stores) use member::Command;

/// The most replicas of a store under Raft.
pub const MOST_REPLICAS: usize = 64;

/// The model's page in the reference.
pub const INFO: ModelInfo = ModelInfo {
    name: "raft",
    title: "Raft",
    keys: KeyType::ALL,
    doc: "\
Every replica is a member of a group, which agrees on one log (Ongaro and Ousterhout 2014). An elected leader puts each update into
the log; it is committed when a majority has it on disk; every replica applies the log in its order. The store is linearizable: each
operation takes effect at one moment between its call and its answer. Where no majority can talk to each other nothing is decided,
and operations are refused after `timeout`.

*The way of an operation.* Agents ask any replica. One that doesn't lead sends the proposal to the leader that it knows, again if
there is a new one or after `election_min`, a second at most, and answers as soon as it has applied the entry itself, as etcd does: an
update costs the way to the leader, the leader's way to a majority, and the way back: the word that more is committed goes to all members
at once, with the next entries or, if none are ready, by itself. A proposal carries the call's idempotency key, or one that the replica gives to the
attempt, and takes effect once, however often it is sent, as long as its entry isn't older than `remember` entries. An update that
was refused after `timeout` may still take effect.

*Reads.* `Leader(RoundTrip)`: the leader says up to which entry the log has to be applied, after a majority has answered a heartbeat
that left after the question (ReadIndex), and the replica that was asked answers from its own state; one round at a time, shared by
all that ask meanwhile. `Leader(Lease(drift: ...))`: the leader says so at once for `election_min / (1 + drift)` after it sent a
heartbeat that a majority has answered; a voter refuses candidates for `election_min` after it heard one. That is linearizable as long
as no two replicas' clocks differ in speed by more than `drift`, and none is stepped; beyond that reads may be stale. `Local`: the
replica answers from its state without asking: stale by as much as it lags, and linearizable no more.

*Sessions.* With local reads a store may have `sessions`: an agent remembers, of each group, up to where the log was applied where it was
answered last (its bookmark, 8 bytes), and brings that with each read. A replica that hasn't applied so much waits, and refuses after the `wait` of the
sessions; with 0 at once. So agents read their own writes, and never older states of a key than before. Updates are in the one order of
their group's log in any case.

*Groups.* With `shards` above one the keys are divided among so many groups, by hashes of their names or, with `split: Range`, in ranges of
their order. Each group is all that this page says, with a member at each replica: a log, a leader, elections, snapshots, timers and
messages of its own; a crash or a lost disk hits all members of a replica. A replica hands a request to its member of the key's group. Each
key is linearizable, and so all keys are together (Herlihy and Wing 1990); nothing is done to several keys at once. Which group it is about
costs each message 4 bytes; heartbeats aren't shared.

*Who leads.* With `leaders: Spread` the replicas are to lead the groups in turn, by name, and with `At(...)` one of them leads all. Whoever is to
lead stands for election at the start. Another leader hands over (Ongaro 2014, 3.10) as soon as it has heard the one that should lead less than
`election_min` ago: it takes no proposals for as long, brings that one up to date, and has it stand for election at once. Its lease is void from then on. If
nothing comes of that, it leads for ten election timeouts before it tries again.

*Elections.* A member that hears no leader for a time between `election_min` and `election_max`, drawn each time, stands for election;
with `pre_vote` it asks first whether it could win. `heartbeat` is the leader's period. These run on the replicas' own clocks, with
their drift and steps. A leader that no majority answers for `election_max` gives up. The first leader is elected after the start:
until then operations wait.

*Conditional updates* are decided where the log is applied: a key's version is the number of updates applied to it.

*What is kept of the types of keys.* As under last write wins with the place in the log as the stamp: an update is applied to what all
earlier ones have made, so increments add up, and nothing is outranked by what it didn't follow. A write still replaces what its
agent hadn't read; `CompareAndSwap` refuses that.

*Fencing.* The tokens of locks aren't checked: reads have no entry in the log, and an earlier holder's late update would pass between a later
holder's read and its write. `CompareAndSwap` refuses such an update, and so does a store with `Primary`.

*Crashes.* Term, vote, log and state are on disk, and come back with the replica. One that lost its disk comes back as another
member: the leader removes the old one, sends the new one the state and the log, and makes it a voter once it has what is committed.
Until then it neither votes nor counts, and the others need a majority of those that are left at each step: where a majority has
lost its disks nothing is ever decided again. Writing to the disk takes no time.

Costs: an update is sent to every replica, with its name (16 bytes), key, term and index; every message is answered but the word of
what is committed, of which each replica gets one at most whenever more is. The log is compacted after `snapshot_every` entries; a replica that lacks more than is left gets the whole state, with
the names that are remembered (24 bytes each). At most `batch` entries are in a message and `in_flight` messages on their way to a
replica.
",
};

/// How groups work.
#[derive(Debug, Clone, PartialEq)]
pub struct RaftSpec {
    /// The shortest time without a leader after which a member stands for election, by its own clock.
    pub election_min: SimDuration,
    /// The longest.
    pub election_max: SimDuration,
    /// The time between two heartbeats of a leader, by its own clock.
    pub heartbeat: SimDuration,
    /// Whether a member asks first whether it could be elected.
    pub pre_vote: bool,
    /// Who may answer a read.
    pub reads: Reads,
    /// The most entries in one message.
    pub batch: u32,
    /// The most messages with entries on their way to one member.
    pub in_flight: u32,
    /// How many entries are applied before the log is compacted. Half as many stay.
    pub snapshot_every: u32,
    /// For how many entries a proposal is remembered.
    pub remember: u32,
    /// How long a request waits at its replica before it is refused.
    pub timeout: SimDuration,
    /// Which group decides about which key.
    pub sharding: Sharding,
    /// Who is to lead the groups.
    pub leaders: Leaders,
    /// How long a local read waits for what its session has seen, before it is refused. `None`: clients bring no sessions.
    pub sessions: Option<SimDuration>,
    /// What is wrong with the members: for tests.
    pub flaw: Flaw,
    /// Whether the first replica takes each key for one of the next group: for tests.
    pub misroutes: bool,
}

/// Who may answer a read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reads {
    /// Whoever has the leader's word for it, which a majority has confirmed.
    RoundTrip,
    /// The same, confirmed ahead for as long as clocks allow that differ in speed by so many parts per billion.
    Lease(i64),
    /// Any replica, from what it has applied; where there are sessions, once that is what the client has seen.
    Local,
}

impl Default for RaftSpec {
    /// Times for replicas up to some 200 ms apart.
    fn default() -> Self {
        Self {
            election_min: SimDuration::from_secs(1),
            election_max: SimDuration::from_secs(2),
            heartbeat: SimDuration::from_millis(200),
            pre_vote: true,
            reads: Reads::RoundTrip,
            batch: 64,
            in_flight: 16,
            snapshot_every: 10_000,
            remember: 10_000,
            timeout: SimDuration::from_secs(5),
            sharding: Sharding::one(),
            leaders: Leaders::Elected,
            sessions: None,
            flaw: Flaw::None,
            misroutes: false,
        }
    }
}

impl RaftSpec {
    /// How long a lease lasts: what a voter promises, by a clock that gains as much as the bound allows.
    pub fn lease(&self) -> Option<i64> {
        let Reads::Lease(drift) = self.reads else { return None };
        let (min, billion) = (i128::from(self.election_min.as_nanos()), 1_000_000_000i128);
        let lease = min * billion / (billion + i128::from(drift.max(0)));
        Some(i64::try_from(lease).unwrap_or(i64::MAX))
    }

    /// The rules of the members.
    pub fn settings(&self) -> Settings {
        let nanos = |time: SimDuration| i64::try_from(time.as_nanos()).unwrap_or(i64::MAX / 4);
        Settings {
            election_min: nanos(self.election_min),
            election_max: nanos(self.election_max),
            heartbeat: nanos(self.heartbeat),
            pre_vote: self.pre_vote,
            lease: self.lease(),
            batch: self.batch as usize,
            in_flight: self.in_flight as usize,
            snapshot_every: u64::from(self.snapshot_every),
            trailing: u64::from(self.snapshot_every / 2),
            remember: u64::from(self.remember),
            flaw: self.flaw,
        }
    }
}
