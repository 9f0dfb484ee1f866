//! What is remembered of agents and of what they have under way.

use super::Few;
use crate::kernel::SimTime;
use crate::measures::shared_state::past::Past;
use crate::state::DotSet;
use smallvec::SmallVec;
use std::collections::BTreeMap;

/// What an agent has read of a key and may expect to see again, as far as some replica may lack it.
#[derive(Debug, Clone)]
pub(in super::super) struct ReadSoFar {
    /// The acknowledgement of the latest read.
    pub acked: u64,
    /// Versions, or effects that spread.
    pub heads: Few,
    /// Where nothing is forgotten: the effects.
    pub effects: DotSet,
}

/// An agent's own write of a ranked key, which it may expect to see.
#[derive(Debug, Clone)]
pub(in super::super) struct OwnWrite {
    /// Its acknowledgement.
    pub acked: u64,
    pub write: u32,
    /// What it had seen. A write itself forgets that once every replica has heard of it and none holds it.
    pub past: Past,
}

/// An agent.
#[derive(Debug, Clone, Default)]
pub(in super::super) struct AgentState {
    /// What it knows, beside what it has begun itself.
    pub past: Past,
    /// What others had done who sent it messages, and been told: without what replicas had heard of.
    pub told: Past,
    /// The number of its latest operation that has begun.
    pub begun: u32,
    /// Its accepted updates by number, each with its further versions after it.
    pub writes: Vec<(u32, u32)>,
    pub reads: BTreeMap<u32, ReadSoFar>,
    /// From how many of these on those that aren't needed any more are looked for.
    pub reads_limit: usize,
    /// Of each ranked key what its latest read returned.
    pub latest: BTreeMap<u32, u32>,
    /// How many of its operations are under way.
    pub open: u32,
    /// Of each ranked key its latest acknowledged write, as long as a read may show what that had seen.
    pub own: BTreeMap<u32, OwnWrite>,
}

/// An operation under way.
#[derive(Debug, Clone)]
pub(in super::super) struct Pending {
    pub agent: u32,
    /// What its agent knew when it began, beside what it had begun itself; and what an update has seen where it was accepted.
    pub past: Past,
    pub told: Past,
    /// The number of the operation that its agent had begun before.
    pub begun: u32,
    /// The acknowledgements before it began.
    pub acks_before: u64,
    pub began: SimTime,
    /// What was read, by attempt.
    pub views: SmallVec<[crate::measures::shared_state::reads::ReadView; 1]>,
    /// What replicas have answered to its coordinators.
    pub answers: Vec<crate::measures::shared_state::joins::Answer>,
    /// What a write to a ranked key had seen when it was accepted first.
    pub seen: Option<Past>,
    /// Whether its agent has given it up, so that its outcome is unknown.
    pub given_up: bool,
}

impl Pending {
    /// One of an agent that knows nothing, at the beginning of time.
    pub fn new(agent: u32) -> Self {
        Self {
            agent,
            past: Past::default(),
            told: Past::default(),
            begun: 0,
            acks_before: 0,
            began: SimTime::ZERO,
            views: SmallVec::new(),
            answers: Vec::new(),
            seen: None,
            given_up: false,
        }
    }

    /// Whether its agent knew of an operation when it began.
    pub fn knew(&self, agent: u32, number: u32) -> bool {
        agent == self.agent && number <= self.begun || self.past.knows(agent, number)
    }
}
