//! `state`: what agents share.

use super::Names;
use super::laws::TimeLaw;
use crate::scenario::syntax::quantity::{Bytes, Drift, Duration, Positive, SignedDuration};
use crate::scenario::syntax::{Named, Part, Spanned};

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

crate::language! {
    /// A store of typed keys, with a replica at each of its sites. An operation is accepted by one replica, and told to the
    /// others afterwards; or, with `Quorum`, it is over when several have taken part.
    pub struct Store {
        /// The sites of its replicas; an agent asks the one in its site, or the nearest.
        at: Names,
        /// Its keys.
        keys: Named<Part<Keys>>,
        /// The consistency model: what becomes of concurrent updates.
        model: Part<Spanned<Model>>,
        /// How an accepted update gets to the other replicas. Not with `Quorum`, `Primary` or `Raft`, which have ways of their own.
        replication: Part<Replication> = Part::from(super::of_defaults::<Replication>()),
        /// How replicas compare what they hold from time to time, which makes good what was lost. Without it they don't. It has
        /// nothing to do under `Primary` and `Raft`, which send what was lost again.
        anti_entropy: Part<Option<AntiEntropy>>,
        /// What an agent's session with the store guarantees, whatever replicas it asks. Not with `Quorum`, and not with `Causal`, which
        /// keeps all four guarantees.
        sessions: Part<Option<Spanned<Sessions>>>,
        /// The clocks of its replicas, by site. Others are right.
        clocks: Named<Part<SiteClock>> = Named::default(),
        /// The size of a value or an element.
        value: Part<Spanned<Bytes>> = Part::from(Bytes(64)),
        /// How long a replica works on a request, any number at once.
        time: Part<Spanned<TimeLaw>> = Part::from(super::services::constant()),
    }

    /// A key, or a range of keys of one name.
    pub enum Keys {
        /// One value, written as a whole.
        Register {
            /// How many keys of this name there are.
            count: Positive<u32> = super::positive(1),
        },
        /// A sum of increments.
        Counter {
            /// How many keys of this name there are.
            count: Positive<u32> = super::positive(1),
        },
        /// Elements that are inserted and removed.
        Set {
            /// How many keys of this name there are.
            count: Positive<u32> = super::positive(1),
        },
        /// Fields, each with a register, a counter or both.
        Map {
            /// How many keys of this name there are.
            count: Positive<u32> = super::positive(1),
        },
        /// Characters in an order, inserted and deleted by their positions.
        Text {
            /// How many keys of this name there are.
            count: Positive<u32> = super::positive(1),
        },
    }

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
    }

    /// What an agent's session with a store guarantees (Terry et al. 1994).
    pub struct Sessions {
        /// A read shows what its agent has written.
        read_your_writes: Part<bool> = Part::from(true),
        /// A read shows what its agent has read.
        monotonic_reads: Part<bool> = Part::from(true),
        /// An update is taken in after the earlier ones of its agent, everywhere.
        monotonic_writes: Part<bool> = Part::from(true),
        /// An update is taken in after what its agent has read, everywhere.
        writes_follow_reads: Part<bool> = Part::from(true),
        /// What keeps the guarantees.
        by: Part<SessionsBy> = Part::from(SessionsBy::Token),
        /// How long a replica that lacks what a session needs waits for it before it refuses; with 0 it refuses at once. And how long
        /// an update waits in the buffer before its origin is asked for what lacks.
        wait: Part<Duration> = Part::from(Duration::from_secs(1)),
    }

    /// What keeps the guarantees of sessions.
    pub enum SessionsBy {
        /// The agent brings vectors of what it has read and written. A replica that lacks something of it waits, and then refuses.
        Token,
        /// The agent stays with the replica that it used first. When an attempt fails it moves to another one, and the guarantees
        /// are gone.
        Sticky,
    }

    /// How many of the backups have an update before it is acknowledged.
    pub enum Copies {
        /// All of them.
        All,
        /// So many.
        Count(Spanned<Positive<u32>>),
        /// None: they follow later.
        None,
    }

    /// Who answers reads.
    pub enum Reads {
        /// The primary.
        Primary,
        /// The replica that is asked, from what it knows to be acknowledged.
        Nearest,
    }

    /// Whether another replica takes over when the primary isn't heard.
    pub enum Failover {
        /// None does.
        None,
        /// The next one does that hasn't heard it for so long.
        After(Spanned<Positive<Duration>>),
    }

    /// Who may answer a read of a store under `Raft`.
    pub enum RaftReads {
        /// Any replica, once the leader has said up to where its log has to be applied.
        Leader(Spanned<Confirmation>),
        /// Any replica, from what it holds: it may lag behind.
        Local,
    }

    /// How a leader knows that there is no other.
    pub enum Confirmation {
        /// By a round of heartbeats after the question.
        RoundTrip,
        /// By a lease: for `election_min / (1 + drift)` after it sent a heartbeat that a majority has answered.
        Lease {
            /// By how much the speeds of any two replicas' clocks differ at most. Beyond it reads may be stale.
            drift: Part<Spanned<Drift>> = Part::from(Drift(500_000)),
        },
    }

    /// Whom an agent asks.
    pub enum Coordinator {
        /// The replica in its site, or the nearest by mean latency.
        Nearest,
        /// Any, anew for each attempt; for each operation where attempts bring an idempotency key, since only the replica that
        /// has accepted an update recognises it.
        Random,
    }

    /// How hints are kept for replicas that don't acknowledge a write.
    pub struct HintedHandoff {
        /// How long a replica may take to acknowledge a write before a hint is kept for it.
        after: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_millis(500))),
        /// The time between two offers of hints to their replica.
        retry: Part<Positive<Duration>> = Part::from(super::positive(Duration::from_secs(10))),
        /// The age at which a hint is dropped.
        keep: Part<Positive<Duration>> = Part::from(super::positive(Duration::from_secs(10800))),
    }

    /// How long the parts of an operation take, each drawn for each replica: also to the coordinator's own, which no network lies
    /// before.
    pub struct Legs {
        /// From the coordinator to a replica that shall write.
        write: Part<Option<Spanned<TimeLaw>>>,
        /// Its acknowledgement.
        ack: Part<Option<Spanned<TimeLaw>>>,
        /// From the coordinator to a replica that shall read.
        read: Part<Option<Spanned<TimeLaw>>>,
        /// Its answer.
        reply: Part<Option<Spanned<TimeLaw>>>,
    }

    /// Where the stamps of last-write-wins come from.
    pub enum StampClock {
        /// The replica's own clock, with its skew and drift.
        Wall,
        /// A Lamport clock: one more than the highest stamp that the replica has given or heard of.
        Lamport,
        /// A hybrid logical clock: the replica's own clock where it is ahead of all that it has heard of, else one more than
        /// that.
        Hybrid,
    }

    /// What a reader makes of siblings.
    pub enum MergeRule {
        /// All of them are shown.
        KeepAll,
        /// The greatest.
        Max,
        /// The least.
        Min,
        /// Their union, of sets.
        Union,
        /// Their sum, of counters.
        Sum,
        /// The one that the replica in this site accepted.
        PreferSite(Spanned<String>),
    }

    /// What an update does that carries no context.
    pub enum Blind {
        /// It makes a sibling.
        Sibling,
        /// It replaces what the accepting replica holds.
        Overwrite,
    }

    /// The type of a CRDT's registers.
    pub enum RegisterType {
        /// Concurrent values are all shown.
        MultiValue,
        /// The latest stamp wins.
        LastWriter,
    }

    /// The type of a CRDT's counters.
    pub enum CounterType {
        /// A PN-counter: increments and decrements add up.
        UpAndDown,
        /// A G-counter: it only grows.
        GrowOnly,
    }

    /// The type of a CRDT's sets.
    pub enum SetType {
        /// An OR-set: an insert wins over concurrent removes.
        AddWins,
        /// A remove wins over concurrent inserts.
        RemoveWins,
        /// A 2P-set: what was removed never comes back.
        TwoPhase,
        /// A G-set: nothing is removed.
        GrowOnly,
    }

    /// What an update of a CRDT ships to the other replicas.
    pub enum Ship {
        /// A small state that says what is new; it needs no order.
        Delta,
        /// The whole entry of the key, with every update.
        State,
        /// The operation, which is applied once and after its causes. Lost ones come again only with anti-entropy.
        Operation,
    }

    /// How an accepted update gets to the other replicas.
    pub struct Replication {
        /// How long it waits before it is sent, for each peer.
        delay: Part<Option<Spanned<TimeLaw>>>,
        /// How long updates are gathered before they are sent together. Without it each is sent at once.
        batch: Part<Option<Positive<Duration>>>,
    }

    /// How often replicas compare what they hold.
    pub struct AntiEntropy {
        /// The time between two exchanges that a replica starts, each with a random peer.
        every: Part<Positive<Duration>>,
        /// What is added to it, drawn for each exchange.
        jitter: Part<Option<Spanned<TimeLaw>>>,
        /// From here on exchanges are started only while replicas differ. Without it they go on.
        until: Part<Option<Duration>>,
    }

    /// A replica's clock.
    pub struct SiteClock {
        /// What it is ahead by at the start.
        skew: Part<SignedDuration> = Part::from(SignedDuration(0)),
        /// How fast it gains.
        drift: Part<Spanned<Drift>> = Part::from(Drift(0)),
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
