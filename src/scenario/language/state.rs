//! `state`: what agents share.

use super::laws::TimeLaw;
use crate::scenario::syntax::quantity::{Bytes, Drift, Duration, Positive, SignedDuration};
use crate::scenario::syntax::{Named, OneOrMany, Spanned};

crate::language! {
    /// A store of typed keys, with a replica at each of its sites. An operation is accepted by one replica, and told to the
    /// others afterwards.
    pub struct Store {
        /// The sites of its replicas; an agent asks the one in its site, or the nearest.
        at: Spanned<OneOrMany<Spanned<String>>>,
        /// Its keys.
        keys: Named<Keys>,
        /// The consistency model: what becomes of concurrent updates.
        model: Spanned<Model>,
        /// How an accepted update gets to the other replicas.
        replication: Replication = super::of_defaults(),
        /// How replicas compare what they hold from time to time, which makes good what was lost. Without it they don't.
        anti_entropy: Option<AntiEntropy>,
        /// The clocks of its replicas, by site. Others are right.
        clocks: Named<SiteClock> = Named::default(),
        /// The size of a value or an element.
        value: Bytes = Bytes(64),
        /// How long a replica works on a request, any number at once.
        time: Spanned<TimeLaw> = super::services::constant(),
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
    }

    /// The consistency model.
    pub enum Model {
        /// Of concurrent updates the one of the latest clock reading stays, by the clocks of the replicas that accepted them.
        LastWriteWins,
        /// Concurrent writes stay beside each other as siblings, told apart by version vectors, and are merged by rules.
        VersionVectors {
            /// What a reader makes of a register's siblings.
            register: MergeRule = MergeRule::KeepAll,
            /// What a reader makes of a counter's siblings.
            counter: MergeRule = MergeRule::Max,
            /// What a reader makes of a set's siblings.
            set: MergeRule = MergeRule::Union,
            /// What a write does that carries no context.
            blind: Blind = Blind::Sibling,
        },
        /// As version vectors, with a dot for each write, so that clients behind one replica make no false conflicts.
        DottedVersionVectors {
            /// What a reader makes of a register's siblings.
            register: MergeRule = MergeRule::KeepAll,
            /// What a reader makes of a counter's siblings.
            counter: MergeRule = MergeRule::Max,
            /// What a reader makes of a set's siblings.
            set: MergeRule = MergeRule::Union,
            /// What a write does that carries no context.
            blind: Blind = Blind::Sibling,
        },
        /// Conflict-free replicated data types: counters add up, sets keep what wasn't seen to be removed.
        Crdt {
            /// The type of registers.
            register: RegisterType = RegisterType::MultiValue,
            /// What a write to a multi-value register does that carries no context.
            blind: Blind = Blind::Sibling,
        },
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

    /// How an accepted update gets to the other replicas.
    pub struct Replication {
        /// How long it waits before it is sent, for each peer.
        delay: Option<Spanned<TimeLaw>>,
        /// How long updates are gathered before they are sent together. Without it each is sent at once.
        batch: Option<Positive<Duration>>,
    }

    /// How often replicas compare what they hold.
    pub struct AntiEntropy {
        /// The time between two exchanges that a replica starts, each with a random peer.
        every: Positive<Duration>,
        /// What is added to it, drawn for each exchange.
        jitter: Option<Spanned<TimeLaw>>,
        /// From here on exchanges are started only while replicas differ. Without it they go on.
        until: Option<Duration>,
    }

    /// A replica's clock.
    pub struct SiteClock {
        /// What it is ahead by at the start.
        skew: SignedDuration = SignedDuration(0),
        /// How fast it gains.
        drift: Spanned<Drift> = Spanned::from(Drift(0)),
    }
}
