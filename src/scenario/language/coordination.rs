//! `coordination`: groups whose members work together by a protocol.

use super::state::SiteClock;
use crate::scenario::syntax::quantity::{Bytes, Duration, Fraction, Positive};
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
        /// Voting: a teller puts what is submitted to agents, and counts their ballots.
        Voting {
            /// The groups of agents that vote.
            voters: Part<Spanned<OneOrMany<Part<Spanned<String>>>>>,
            /// The topic of the handler by which they vote.
            on: Part<Spanned<String>> = Part::from(Spanned::from("vote".to_string())),
            /// What approves.
            rule: Part<Spanned<Rule>> = Part::from(Spanned::from(Rule::Majority)),
            /// The weight of a ballot, by group. Others weigh 1.
            weights: Named<Part<Positive<u32>>> = Named::default(),
            /// The groups of whose agents a no rejects, whatever the others say.
            veto: Part<Option<Spanned<OneOrMany<Part<Spanned<String>>>>>>,
            /// How many ballots must have come, abstentions among them.
            quorum: Part<Option<Spanned<Positive<u32>>>>,
            /// How long a vote lasts at most. Without it until all have voted, or no ballot can change the result.
            timeout: Part<Option<Positive<Duration>>>,
            /// The size of a ballot.
            ballot: Part<Spanned<Bytes>> = Part::from(Bytes(0)),
            /// How long the teller takes to check a ballot's signature.
            verify: Part<Duration> = Part::from(Duration::ZERO),
        },
    }

    /// What approves.
    pub enum Rule {
        /// More weight for it than against it.
        Majority,
        /// At least this share of the weight of those who voted yes or no.
        Share(Spanned<Fraction>),
        /// At least so much weight.
        AtLeast(Spanned<Positive<u32>>),
        /// Nobody against it, and somebody for it.
        Unanimous,
    }
}

impl Coordination {
    /// The topics by which it sets agents to work.
    pub fn engaging_topics(&self) -> Vec<&str> {
        match self.pattern.get().map(|pattern| &pattern.value) {
            Some(Pattern::Voting { on, .. }) => on.get().map(|on| on.value.as_str()).into_iter().collect(),
            _ => Vec::new(),
        }
    }
}
