//! What a client does about slow, refused and lost calls beyond timeouts and retries; and the state that it keeps for that.

use super::breaker::{Breaker, BreakerSpec};
use super::budget::{Budget, BudgetSpec};
use super::latencies::Latencies;
use super::throttle::{Throttle, ThrottleSpec};
use crate::kernel::SimDuration;
use crate::services::RateLimit;
use crate::services::limit::Bucket;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The patterns of a policy. Most policies have none, so they lie apart.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Resilience {
    /// How long a call may take with all of its attempts.
    pub deadline: Option<SimDuration>,
    /// Whether the server of an attempt that is given up is told.
    pub cancels: bool,
    /// What limits retries to a share of the load.
    pub retry_budget: Option<BudgetSpec>,
    /// Whether requests are rejected at the client while the server rejects many.
    pub throttle: Option<ThrottleSpec>,
    /// Whether a server isn't asked for a while after it has failed.
    pub breaker: Option<BreakerSpec>,
    /// Whether a slow attempt gets company.
    pub hedge: Option<HedgeSpec>,
    /// How fast attempts may leave; those that are faster wait at the client.
    pub rate: Option<RateLimit>,
    /// How many attempts may be under way; more wait at the client.
    pub in_flight: Option<u32>,
    /// Whose the state of these is.
    pub shared_by: SharedBy,
}

/// Whose state something is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SharedBy {
    /// Each agent's own: lost with its memory.
    #[default]
    Agent,
    /// The whole group's, as of the threads of one process.
    Group,
}

/// How a call is hedged.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct HedgeSpec {
    /// How long the last attempt may take before another one joins it.
    pub after: HedgeAfter,
    /// How many hedges a round has at most.
    pub most: u32,
    /// Whether the two are tied: whichever server begins to work tells the other (Dean and Barroso, "The Tail at Scale", 2013).
    pub tied: bool,
}

/// When a hedge is sent.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum HedgeAfter {
    /// After so long.
    Fixed(SimDuration),
    /// After a quantile of the latencies that the client has seen lately: of attempts that were answered, and of those that lost to a
    /// hedge, which have taken at least as long as that.
    Quantile {
        /// Which.
        share: f64,
        /// How many latencies must be known before the first hedge.
        least: u32,
    },
}

/// What a client knows of a service or a server, by the policy by which it calls. Parts are made when they are first needed.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Known {
    /// The tokens of its retry budget.
    pub budget: Option<Budget>,
    /// The throttle.
    pub throttle: Option<Throttle>,
    /// The circuit breaker.
    pub breaker: Option<Breaker>,
    /// The latencies of attempts.
    pub latencies: Latencies,
    /// How many attempts are under way.
    pub in_flight: u32,
    /// How many calls have been routed in turn.
    pub routed: u32,
    /// The tokens of the client's rate.
    pub bucket: Bucket,
    /// Of a service with all of its servers: how many attempts have a place, where places are counted.
    pub under_way: u32,
    /// Who waits for a place: activations, with their generations then.
    pub waiting: VecDeque<(u32, u32)>,
}
