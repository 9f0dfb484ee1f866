//! `coordination`: what gossip, SWIM and causal broadcast have to say.

use crate::scenario::syntax::quantity::{Bytes, Duration, Positive};
use crate::scenario::syntax::{Part, Spanned};

/// Contacts every second or so.
pub(super) fn apart() -> Pace {
    Pace::Apart {
        every: Part::from(super::positive(Duration::from_secs(1))),
        jitter: Part::from(Spanned::from(0.1)),
    }
}

/// So many seconds.
pub(super) fn after(seconds: u64) -> OrNever {
    OrNever::After(super::positive(Duration::from_secs(seconds)))
}

crate::language! {
    /// Which way news go in a contact.
    pub enum Exchange {
        /// From whoever makes it.
        Push,
        /// To whoever makes it.
        Pull,
        /// Both ways.
        PushPull,
    }

    /// What members tell in a contact.
    pub enum Spread {
        /// All that they know, for ever: a simple epidemic.
        Everything,
        /// What they haven't lost interest in: rumour mongering.
        Rumours {
            /// Whether only contacts count that turn out unnecessary; else all do (blind).
            feedback: Part<bool> = Part::from(true),
            /// What a contact that counts does to the interest in a rumour.
            stop: Part<Stop> = Part::from(Stop::Counter(super::positive(2))),
        },
        /// Nothing: they only compare what they have, in `anti_entropy`.
        Nothing,
    }

    /// When interest in a rumour ends.
    pub enum Stop {
        /// At each contact that counts, with a chance of one in so many.
        Coin(Positive<u32>),
        /// At the contact of this number that counts. With feedback a useful contact sets the number back.
        Counter(Positive<u32>),
    }

    /// When members make contacts.
    pub enum Pace {
        /// All at the same instants, in rounds: what is told in one is what was known when it began.
        Together {
            /// The length of a round.
            every: Part<Positive<Duration>> = Part::from(super::positive(Duration::from_secs(1))),
        },
        /// Each in its own time, from a random phase on.
        Apart {
            /// The mean time between two contacts of a member, by its own clock.
            every: Part<Positive<Duration>> = Part::from(super::positive(Duration::from_secs(1))),
            /// By which part of it the time differs at most, either way: at least 0, and less than 1.
            jitter: Part<Spanned<f64>> = Part::from(Spanned::from(0.1)),
        },
    }

    /// An item that comes into the world by itself.
    pub struct GossipItem {
        /// The member at which it does, from 0.
        member: Part<Spanned<u32>> = Part::from(Spanned::from(0)),
        /// When, by that member's clock.
        at: Part<Spanned<Duration>> = Part::from(Spanned::from(Duration::ZERO)),
        /// What the agents beside members are told: a number.
        value: Part<u64> = Part::from(0),
        /// Its size.
        bytes: Part<Spanned<Bytes>> = Part::from(Spanned::from(Bytes(100))),
    }

    /// Whom a member probes.
    pub enum Targets {
        /// Somebody chosen uniformly at random, each time anew.
        Random,
        /// All others in turn, in an order that is shuffled whenever it is through.
        Shuffled,
    }

    /// When members probe.
    pub enum ProbePace {
        /// All at the same instants: whenever their clocks read a multiple of the period.
        Together,
        /// Each from a random phase on.
        Apart,
    }

    /// After a time, or never.
    pub enum OrNever {
        /// Never.
        Never,
        /// After so long.
        After(Positive<Duration>) as bare,
    }

    /// How events get to the others.
    pub enum Via {
        /// From whoever issues them to all.
        Direct,
        /// From everybody who gets one to so many others, chosen at random, once.
        Gossip(Spanned<Positive<u32>>),
    }
}
