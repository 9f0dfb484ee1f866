//! A group of agents as described: how many, where, when they start, what they do.

use super::budget::GroupBudget;
use super::caching::CacheSpec;
use super::demand::Demand;
use super::journal::JournalSpec;
use super::policy::Policy;
use super::program::Program;
use super::step::Action;
use crate::kernel::{SimDuration, SimTime};
use crate::random::Law;
use crate::state::Memory;
use crate::world::population::Sites;
use std::sync::Arc;

/// A group as described.
#[derive(Debug, Clone)]
pub struct GroupSpec {
    /// Its name.
    pub name: String,
    /// How many agents; for a stream, how many arrive in all (`None`: as long as the run goes on).
    pub count: Option<u32>,
    /// Whether agents come and go as a stream.
    pub is_stream: bool,
    /// How many agents of a stream may be alive at once.
    pub max_alive: u32,
    /// When they start.
    pub arrivals: Arrivals,
    /// A further wait before an agent starts, drawn for each start: staggered starts.
    pub stagger: Option<Law>,
    /// What they do.
    pub program: Program,
    /// The policies that the program names.
    pub policies: Vec<Policy>,
    /// How many messages an agent's mailbox holds.
    pub mailbox: u32,
    /// How many handlers of an agent may run at once.
    pub handlers_at_once: u16,
    /// For each store, the entity of its first replica, and how many there are.
    pub stores: Arc<[(u32, u32)]>,
    /// For each store, the replica nearest to each site.
    pub nearest: Arc<[Vec<u32>]>,
    /// For each store, what its clients remember from one operation to the next; nothing where it isn't said.
    pub memories: Arc<[Memory]>,
    /// For each store, the cache that each agent has in front of it; none where it isn't said.
    pub caches: Arc<[Option<CacheSpec>]>,
    /// How they keep their state as a log of events; `None`: they don't.
    pub journal: Option<JournalSpec>,
    /// The budgets that they spend from.
    pub budgets: Arc<[GroupBudget]>,
    /// Whether a failed call ends the task around it; otherwise the agent goes on.
    pub failure_ends_task: bool,
    /// How their answers go wrong; `None`: they don't.
    pub errs: Option<super::errs::Errs>,
    /// Where they are.
    pub sites: Sites,
}

impl GroupSpec {
    /// How many agents may be alive at once.
    pub fn capacity(&self) -> u32 {
        if self.is_stream {
            self.max_alive
        } else {
            self.count.unwrap_or(0)
        }
    }

    /// Whether its agents replay a recorded session on a text of this store.
    pub fn replays(&self, store: u16) -> bool {
        let operations = &self.program.operations;
        operations
            .iter()
            .any(|step| step.store == store && matches!(step.action, Action::Edit(_)))
    }
}

/// When agents start.
#[derive(Debug, Clone, PartialEq)]
pub enum Arrivals {
    /// All at one time.
    AtOnce(SimTime),
    /// Evenly: agent `i` of `n` at `from + over * i / n`.
    Spread {
        /// The first start.
        from: SimTime,
        /// The length of the whole.
        over: SimDuration,
    },
    /// After gaps by a law, one after another (exponential gaps make a Poisson process).
    Gaps {
        /// When the first gap begins.
        from: SimTime,
        /// The gaps, in nanoseconds.
        gap: Law,
    },
    /// As a Poisson process whose rate changes.
    Rates(Demand),
    /// All agents at every tick; one that still runs misses the tick.
    Ticks {
        /// The first tick.
        first: SimTime,
        /// The time between ticks.
        every: SimDuration,
        /// How many ticks; `None`: for ever.
        times: Option<u32>,
    },
    /// At recorded times, ascending.
    Times(Arc<[SimTime]>),
}

/// The ranks of a group's members.
#[derive(Debug, Clone)]
pub enum RankBlock {
    /// One for each.
    Each(Vec<u32>),
    /// A block of ranks for the places of a stream, scrambled by a keyed bijection.
    Block {
        /// The first rank.
        first: u32,
        /// The size of the block: a power of two.
        bits: u32,
        /// What the bijection is keyed by.
        salt: u32,
    },
}

impl RankBlock {
    pub(super) fn of(&self, member: u32) -> u32 {
        match self {
            Self::Each(ranks) => ranks[member as usize],
            Self::Block { first, bits, salt } => {
                let mask = (1u32 << bits) - 1;
                first + (member.wrapping_mul(salt | 1).wrapping_add(salt >> 7) & mask)
            }
        }
    }
}
