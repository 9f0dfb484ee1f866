//! `state`: the consistency models, and the presets that are made of them.

use super::state::{
    Blind, Confirmation, Coordinator, Copies, CounterType, Failover, HintedHandoff, Leaders, Legs, MergeRule,
    RaftReads, Reads, RegisterType, SetType, Ship, Split, StampClock,
};
use crate::scenario::syntax::quantity::{Drift, Duration, Positive};
use crate::scenario::syntax::{Part, Spanned};

/// The model of a quorum that doesn't name one.
fn last_write_wins() -> Model {
    Model::LastWriteWins {
        clock: Part::from(StampClock::Wall),
    }
}

/// The model of a causal store that doesn't name one.
fn last_cause_wins() -> Model {
    Model::LastWriteWins {
        clock: Part::from(StampClock::Hybrid),
    }
}

/// So many seconds.
fn seconds(seconds: u64) -> Positive<Duration> {
    super::positive(Duration::from_secs(seconds))
}

/// Another primary is voted for after so many seconds.
fn elected_after(after: u64) -> Failover {
    Failover::Majority(Spanned::from(seconds(after)))
}

/// Hints: after how many seconds one is kept, between two offers, and for how long.
fn hints((after, retry, keep): (u64, u64, u64)) -> HintedHandoff {
    HintedHandoff {
        after: Part::from(seconds(after)),
        retry: Part::from(seconds(retry)),
        keep: Part::from(seconds(keep)),
    }
}

/// A lease as `Lease()` has it.
fn lease() -> Confirmation {
    Confirmation::Lease {
        drift: Part::from(Drift(500_000)),
    }
}

crate::language! {
    /// The consistency model.
    pub enum Model {
        /// Of concurrent updates the one of the highest stamp stays, by the clocks of the replicas that accepted them.
        LastWriteWins {
            /// Where the stamps come from.
            clock: Part<StampClock> = Part::from(StampClock::Wall),
        },
        /// Concurrent writes stay beside each other as siblings, told apart by version vectors, and are merged by rules.
        VersionVectors {
            /// What a reader makes of a register's siblings.
            register: Part<MergeRule> = Part::from(MergeRule::KeepAll),
            /// What a reader makes of a counter's siblings.
            counter: Part<MergeRule> = Part::from(MergeRule::Max),
            /// What a reader makes of a set's siblings.
            set: Part<MergeRule> = Part::from(MergeRule::Union),
            /// What a write does that carries no context.
            blind: Part<Blind> = Part::from(Blind::Sibling),
        },
        /// As version vectors, with a dot for each write, so that clients behind one replica make no false conflicts.
        DottedVersionVectors {
            /// What a reader makes of a register's siblings.
            register: Part<MergeRule> = Part::from(MergeRule::KeepAll),
            /// What a reader makes of a counter's siblings.
            counter: Part<MergeRule> = Part::from(MergeRule::Max),
            /// What a reader makes of a set's siblings.
            set: Part<MergeRule> = Part::from(MergeRule::Union),
            /// What a write does that carries no context.
            blind: Part<Blind> = Part::from(Blind::Sibling),
        },
        /// Conflict-free replicated data types: counters add up, sets keep what wasn't seen to be removed.
        Crdt {
            /// The type of registers.
            register: Part<RegisterType> = Part::from(RegisterType::MultiValue),
            /// The type of counters.
            counter: Part<CounterType> = Part::from(CounterType::UpAndDown),
            /// The type of sets.
            set: Part<SetType> = Part::from(SetType::AddWins),
            /// What an update ships to the other replicas.
            ship: Part<Ship> = Part::from(Ship::Delta),
            /// What a write to a multi-value register does that carries no context.
            blind: Part<Blind> = Part::from(Blind::Sibling),
        },
        /// Texts alone: edits are transformed by way of a central server (Jupiter, Google Docs), and accepted by whom they reach.
        OperationalTransformation {
            /// The site of the replica that is the server; without it the first of the store's `at`.
            server: Part<Option<Spanned<String>>>,
            /// How long something may be without an answer before it is sent again.
            resend: Part<Positive<Duration>> = Part::from(super::positive(Duration::from_secs(1))),
        },
        /// Quorums, as in Dynamo and Cassandra: the replica that is asked sends a write to all `n` replicas that keep the key and
        /// waits for `w`, or joins the first `r` answers to a read.
        Quorum {
            /// How many replicas keep a key: without it all. With fewer, a ring of hashes of names says which.
            n: Part<Option<Spanned<Positive<u32>>>>,
            /// How many answers a read waits for; without it a majority of `n`.
            r: Part<Option<Spanned<Positive<u32>>>>,
            /// How many acknowledgements a write waits for; without it a majority of `n`.
            w: Part<Option<Spanned<Positive<u32>>>>,
            /// What becomes of concurrent updates: one of the other models.
            resolve: Part<Box<Spanned<Model>>> = Part::from(Box::new(Spanned::from(last_write_wins()))),
            /// Whether what a read has found is sent to the replicas that answered with something else.
            read_repair: Part<bool> = Part::from(false),
            /// How hints are kept for replicas that don't acknowledge a write. Without it they aren't.
            hinted_handoff: Part<Option<HintedHandoff>>,
            /// Whether hints are kept by the next replicas beyond the `n`, and count as acknowledgements.
            sloppy: Part<Spanned<bool>> = Part::from(false),
            /// How long the replica that is asked waits for enough answers before it refuses.
            timeout: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_secs(1))),
            /// Whom an agent asks whose step doesn't say it.
            coordinator: Part<Coordinator> = Part::from(Coordinator::Nearest),
            /// How long the parts of an operation take, in addition to the network.
            legs: Part<Legs> = Part::from(super::of_defaults::<Legs>()),
        },
        /// A single primary: one replica puts all updates into a log, and copies it to the others. Replicas forward to it what they
        /// are asked.
        Primary {
            /// The site of the replica that is the primary at the start; without it the first by name.
            primary: Part<Option<Spanned<String>>>,
            /// How many backups have an update before it is acknowledged.
            copies: Part<Spanned<Copies>> = Part::from(Copies::All),
            /// Who answers reads.
            reads: Part<Reads> = Part::from(Reads::Primary),
            /// How long a request waits at a replica, for copies, for a primary, or for the word that it has come to the primary, before it
            /// is refused.
            timeout: Part<Positive<Duration>> = Part::from(super::positive(Duration::from_secs(1))),
            /// How long a letter to a backup may go unconfirmed before it is sent again, if no gap shows sooner that it is lost.
            resend: Part<Positive<Duration>> = Part::from(super::positive(Duration::from_secs(1))),
            /// How long a backup may lack something before the primary goes on without it; with `copies: All` alone.
            in_sync: Part<Option<Spanned<Positive<Duration>>>>,
            /// Whether another replica takes over when the primary isn't heard.
            failover: Part<Spanned<Failover>> = Part::from(Failover::None),
            /// With failover: the time between two letters that say that the primary is there. Without it a quarter of the time after which
            /// it is replaced, and a second at most.
            heartbeat: Part<Option<Spanned<Positive<Duration>>>>,
            /// With failover: how long the primary may answer reads after its backups have confirmed that it is. Without it always.
            lease: Part<Option<Spanned<Positive<Duration>>>>,
        },
        /// Causal order: a replica takes an update in after all that it depends on, and an agent finds what it has seen at every
        /// replica.
        Causal {
            /// What becomes of concurrent updates: one of the other models, without quorums. Without it the last write wins, by
            /// hybrid logical clocks.
            resolve: Part<Box<Spanned<Model>>> = Part::from(Box::new(Spanned::from(last_cause_wins()))),
            /// How long a replica that lacks what an agent has seen waits for it before it refuses; with 0 it refuses at once. And how
            /// long an update waits in the buffer before its origin is asked for what lacks.
            wait: Part<Duration> = Part::from(Duration::from_secs(1)),
        },
        /// Raft: the replicas agree on one order of all updates, by an elected leader. Linearizable.
        Raft {
            /// Among how many groups the keys are divided, each with a log, a leader and elections of its own, and a member at each
            /// replica.
            shards: Part<Spanned<Positive<u32>>> = Part::from(super::positive(1)),
            /// How keys are divided among the groups.
            split: Part<Split> = Part::from(Split::Hash),
            /// Who is to lead the groups.
            leaders: Part<Leaders> = Part::from(Leaders::Elected),
            /// Who may answer a read.
            reads: Part<RaftReads> = Part::from(RaftReads::Leader(Spanned::from(Confirmation::RoundTrip))),
            /// The shortest time without a leader after which a replica stands for election, by its own clock.
            election_min: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_secs(1))),
            /// The longest; each is drawn between the two.
            election_max: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_secs(2))),
            /// The time between two heartbeats of a leader, by its own clock.
            heartbeat: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_millis(200))),
            /// Whether a replica asks first whether it could be elected.
            pre_vote: Part<bool> = Part::from(true),
            /// The most entries in one message.
            batch: Part<Positive<u32>> = Part::from(super::positive(64)),
            /// The most messages with entries on their way to one replica.
            in_flight: Part<Positive<u32>> = Part::from(super::positive(16)),
            /// How many entries are applied before the log is compacted.
            snapshot_every: Part<Positive<u32>> = Part::from(super::positive(10_000)),
            /// For how many entries an update is remembered, so that another attempt at it isn't applied again.
            remember: Part<Positive<u32>> = Part::from(super::positive(10_000)),
            /// How long a request waits at its replica before it is refused.
            timeout: Part<Positive<Duration>> = Part::from(super::positive(Duration::from_secs(5))),
        },
        /// Preset: a document store with a single leader and asynchronous followers, as replica sets of MongoDB. `Primary` with other
        /// defaults.
        DocumentStore {
            /// As in `Primary`.
            primary: Part<Option<Spanned<String>>>,
            /// As in `Primary`: the write concern.
            copies: Part<Spanned<Copies>> = Part::from(Copies::None),
            /// As in `Primary`: the read preference.
            reads: Part<Reads> = Part::from(Reads::Primary),
            /// As in `Primary`: the election timeout.
            failover: Part<Spanned<Failover>> = Part::from(elected_after(10)),
            /// As in `Primary`.
            heartbeat: Part<Option<Spanned<Positive<Duration>>>> = Part::from(Some(Spanned::from(seconds(2)))),
            /// As in `Primary`.
            timeout: Part<Positive<Duration>> = Part::from(seconds(30)),
        },
        /// Preset: a wide-column store after Dynamo, as Cassandra. `Quorum` with other defaults.
        WideColumn {
            /// As in `Quorum`: the replication factor. Without it 3, or all replicas if they are fewer.
            n: Part<Option<Spanned<Positive<u32>>>>,
            /// As in `Quorum`: the consistency level of reads.
            r: Part<Option<Spanned<Positive<u32>>>> = Part::from(Some(Spanned::from(super::positive(1)))),
            /// As in `Quorum`: the consistency level of writes.
            w: Part<Option<Spanned<Positive<u32>>>> = Part::from(Some(Spanned::from(super::positive(1)))),
            /// As in `Quorum`.
            resolve: Part<Box<Spanned<Model>>> = Part::from(Box::new(Spanned::from(last_write_wins()))),
            /// As in `Quorum`. Without it, if a read waits for more than one answer.
            read_repair: Part<Option<bool>>,
            /// As in `Quorum`; `None` for none.
            hinted_handoff: Part<Option<HintedHandoff>> = Part::from(Some(hints((2, 10, 3 * 3600)))),
            /// As in `Quorum`.
            timeout: Part<Spanned<Positive<Duration>>> = Part::from(seconds(5)),
        },
        /// Preset: a relational store whose keys are divided among Raft groups (NewSQL), as CockroachDB and TiKV. `Raft` with other
        /// defaults.
        NewSql {
            /// As in `Raft`. Without it one for each replica, or for each key if there are fewer keys.
            shards: Part<Option<Spanned<Positive<u32>>>>,
            /// As in `Raft`.
            split: Part<Split> = Part::from(Split::Range),
            /// As in `Raft`.
            leaders: Part<Leaders> = Part::from(Leaders::Spread),
            /// As in `Raft`.
            reads: Part<RaftReads> = Part::from(RaftReads::Leader(Spanned::from(lease()))),
            /// As in `Raft`.
            election_min: Part<Spanned<Positive<Duration>>> = Part::from(seconds(3)),
            /// As in `Raft`.
            election_max: Part<Spanned<Positive<Duration>>> = Part::from(seconds(6)),
            /// As in `Raft`.
            heartbeat: Part<Spanned<Positive<Duration>>> = Part::from(seconds(1)),
            /// As in `Raft`.
            timeout: Part<Positive<Duration>> = Part::from(seconds(5)),
        },
        /// Preset: a time-series store to which points are added and never changed, as InfluxDB Enterprise. `Quorum` over grow-only
        /// sets: all keys are sets, and nothing is removed.
        TimeSeries {
            /// As in `Quorum`: the replication factor. Without it 3, or all replicas if they are fewer.
            n: Part<Option<Spanned<Positive<u32>>>>,
            /// As in `Quorum`.
            r: Part<Option<Spanned<Positive<u32>>>> = Part::from(Some(Spanned::from(super::positive(1)))),
            /// As in `Quorum`: the write consistency.
            w: Part<Option<Spanned<Positive<u32>>>> = Part::from(Some(Spanned::from(super::positive(1)))),
            /// As in `Quorum`; `None` for none.
            hinted_handoff: Part<Option<HintedHandoff>> = Part::from(Some(hints((1, 1, 168 * 3600)))),
            /// As in `Quorum`.
            timeout: Part<Spanned<Positive<Duration>>> = Part::from(seconds(10)),
        },
        /// Preset: a graph store with a single writer, whose followers answer reads once they have what the session has seen
        /// (bookmarks), as clusters of Neo4j. `Raft` with local reads, and with session guarantees by tokens.
        GraphStore {
            /// The site of the writer, as `leaders: At(...)` in `Raft`; without it the first by name.
            writer: Part<Option<Spanned<String>>>,
            /// As in `Raft`.
            reads: Part<RaftReads> = Part::from(RaftReads::Local),
            /// As in `Raft`.
            election_min: Part<Spanned<Positive<Duration>>> = Part::from(seconds(20)),
            /// As in `Raft`.
            election_max: Part<Spanned<Positive<Duration>>> = Part::from(seconds(23)),
            /// As in `Raft`.
            heartbeat: Part<Spanned<Positive<Duration>>> = Part::from(seconds(1)),
            /// As in `Raft`.
            timeout: Part<Positive<Duration>> = Part::from(seconds(30)),
        },
    }
}

/// How a model resolves conflicts: the model itself, or what a quorum says; a primary has last write wins by places in its log.
/// `None`: it couldn't be read.
pub(in crate::scenario) fn resolution(model: &Spanned<Model>) -> Option<&Spanned<Model>> {
    match &model.value {
        Model::Quorum { resolve, .. } | Model::Causal { resolve, .. } => resolve.get().map(|resolve| &**resolve),
        _ => Some(model),
    }
}
