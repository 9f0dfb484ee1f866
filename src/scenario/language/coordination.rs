//! `coordination`: groups whose members work together by a protocol.

use super::state::SiteClock;
use crate::scenario::syntax::quantity::{Bytes, Duration, Positive};
use crate::scenario::syntax::{Named, OneOrMany, Part, Spanned};

crate::language! {
    /// A group whose members work together by a protocol. Agents ask it by `Submit`.
    pub struct Coordination {
        /// How its members work together.
        pattern: Part<Spanned<Pattern>>,
        /// The sites of its members: member `n` is at the place `n` of the list, from the start again after the last.
        at: Part<Option<Spanned<OneOrMany<Part<Spanned<String>>>>>>,
        /// How many members it has. Without this one for each site of `at`.
        members: Part<Option<Spanned<Positive<u32>>>>,
        /// In place of `at` and `members`: a member beside each agent of this group, at the agent's site.
        beside: Part<Option<Spanned<String>>>,
        /// The topic of the messages by which members tell something to the agents beside them. Without it they don't.
        tells: Part<Option<Spanned<String>>>,
        /// The size of an answer to an agent.
        answer: Part<Spanned<Bytes>> = Part::from(Bytes(0)),
        /// The clocks of its members, by site. Others are right.
        clocks: Named<Part<SiteClock>> = Named::default(),
    }

    /// A pattern of coordination.
    pub enum Pattern {
        /// Raft: a replicated log with an elected leader.
        Raft {
            /// The shortest time without a leader after which a server stands for election, by its own clock.
            election_min: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_secs(1))),
            /// The longest; each is drawn between the two.
            election_max: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_secs(2))),
            /// The time between two heartbeats of a leader, by its own clock.
            heartbeat: Part<Spanned<Positive<Duration>>> = Part::from(super::positive(Duration::from_millis(200))),
            /// Whether a server asks first whether it could be elected.
            pre_vote: Part<bool> = Part::from(true),
            /// The most entries in one message.
            batch: Part<Positive<u32>> = Part::from(super::positive(64)),
            /// The most messages with entries on their way to one server.
            in_flight: Part<Positive<u32>> = Part::from(super::positive(16)),
            /// How many entries are applied before the log is compacted.
            snapshot_every: Part<Positive<u32>> = Part::from(super::positive(10_000)),
            /// For how many entries a proposal is remembered, so that another attempt at it isn't applied again.
            remember: Part<Positive<u32>> = Part::from(super::positive(10_000)),
            /// How long a write to the disk takes.
            disk: Part<Duration> = Part::from(Duration::ZERO),
        },
    }
}
