//! `state`: what agents share.

use super::Names;
use super::laws::TimeLaw;
pub use super::models::Model;
pub(in crate::scenario) use super::models::resolution;
use crate::scenario::syntax::quantity::{Bytes, Drift, Duration, Positive, SignedDuration};
use crate::scenario::syntax::{Named, Part, Spanned};

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
        /// What an agent's session with the store guarantees, whatever replicas it asks. Not with `Quorum` and `Primary`, not with `Raft`
        /// but where reads are `Local`, and not with `Causal`, which keeps all four guarantees.
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
        /// As many as make a majority of all replicas together with the primary.
        Majority,
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
        /// The same, with the promises of a majority; and a primary that a majority hasn't confirmed for so long steps down.
        Majority(Spanned<Positive<Duration>>),
    }

    /// How keys are divided among groups.
    pub enum Split {
        /// By hashes of their names: another key moves none.
        Hash,
        /// In ranges: each group has as many neighbours in the order of names, as far as that comes out even.
        Range,
    }

    /// Who is to lead groups.
    pub enum Leaders {
        /// Whoever is elected.
        Elected,
        /// The replicas in turn, by name: each stands for election at the start, and a leader in the place of another one hands over to it.
        Spread,
        /// The replica at this site, in the same way.
        At(Spanned<String>),
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
