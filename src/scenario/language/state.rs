//! `state`: what agents share.

use super::Names;
use super::laws::TimeLaw;
use crate::scenario::syntax::quantity::{Bytes, Drift, Duration, Positive, SignedDuration};
use crate::scenario::syntax::{Named, Part, Spanned};

crate::language! {
    /// A store of typed keys, with a replica at each of its sites. An operation is accepted by one replica, and told to the
    /// others afterwards.
    pub struct Store {
        /// The sites of its replicas; an agent asks the one in its site, or the nearest.
        at: Names,
        /// Its keys.
        keys: Named<Part<Keys>>,
        /// The consistency model: what becomes of concurrent updates.
        model: Part<Spanned<Model>>,
        /// How an accepted update gets to the other replicas.
        replication: Part<Replication> = Part::from(super::of_defaults::<Replication>()),
        /// How replicas compare what they hold from time to time, which makes good what was lost. Without it they don't.
        anti_entropy: Part<Option<AntiEntropy>>,
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
