//! What a service is: its servers, its queue, how long it works, and what it allows.

use super::line::Discipline;
use super::routing::Routing;
use crate::agents::Policy;
use crate::kernel::{SimDuration, Stream};
use crate::random::{Law, Order, Rows};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A service as described.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceSpec {
    /// How many requests are in work at once; `None`: any number.
    pub servers: Option<u32>,
    /// Who is served next.
    pub discipline: Discipline,
    /// What the shares of tenants are, where each gets its own.
    pub shares: FairShares,
    /// How many requests may wait; `None`: any number. Where requests share the servers: how many more than there are servers may be
    /// in work.
    pub queue: Option<u32>,
    /// How long the work on a request takes.
    pub time: ServiceTime,
    /// How many tokens a request has, for services that count them.
    pub tokens: Option<Tokens>,
    /// The rate limit at its door.
    pub limit: Option<RateLimit>,
    /// Several limits at its door, in place of that one.
    pub limits: Option<Arc<super::limits::LimitsSpec>>,
    /// When it refuses as overloaded.
    pub overload: Option<super::overload::Overload>,
    /// How it works on requests in batches, if it is an inference endpoint: then neither servers nor `time` say anything.
    pub batching: Option<super::batching::Batching>,
    /// What may be spent in all.
    pub budget: Option<Budget>,
    /// The price of a call, in nano-dollars.
    pub price_per_call: u64,
    /// The price of a token of the prompt, in nano-dollars.
    pub price_per_token_in: u64,
    /// The price of a token of the answer, in nano-dollars.
    pub price_per_token_out: u64,
    /// The size of an answer on the wire.
    pub answer_bytes: u32,
    /// How long a request may wait for a server; one that has waited longer is refused when its turn comes.
    pub most_wait: Option<SimDuration>,
    /// How it keeps answers, if it does.
    pub answers: Option<super::answers::AnswerCache>,
    /// To whom it passes requests on, once it has done its own work on them, if it is a gateway.
    pub passes: Option<Arc<Passing>>,
    /// How it grants its lock, if it is a lock service.
    pub lock: Option<super::lock::LockSpec>,
    /// What it does about requests that nobody waits for.
    pub abandoned: Abandoned,
}

/// What a service does about requests that nobody waits for: their client has cancelled them, or their deadline is over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Abandoned {
    /// It serves them.
    #[default]
    Serve,
    /// It discards them when it would begin to work on them.
    Discard,
    /// The same, and it stops the work on a request that its client cancels.
    Interrupt,
}

impl ServiceSpec {
    /// A service of so many servers (`None`: any number) that works this long on each request.
    pub fn new(servers: Option<u32>, time: Law) -> Self {
        Self {
            servers,
            discipline: Discipline::Fifo,
            shares: FairShares::default(),
            queue: None,
            time: ServiceTime::Law(time),
            tokens: None,
            limit: None,
            limits: None,
            overload: None,
            batching: None,
            budget: None,
            price_per_call: 0,
            price_per_token_in: 0,
            price_per_token_out: 0,
            answer_bytes: 0,
            most_wait: None,
            answers: None,
            passes: None,
            lock: None,
            abandoned: Abandoned::Serve,
        }
    }

    /// Whether it is a gateway that throttles, hedges or limits its retries.
    pub fn is_guarded(&self) -> bool {
        let policy = self
            .passes
            .as_ref()
            .and_then(|passes| passes.policy.resilience.as_ref());
        policy
            .is_some_and(|policy| policy.throttle.is_some() || policy.hedge.is_some() || policy.retry_budget.is_some())
    }

    /// Whether it may refuse a request for more reasons than a rate limit, a full queue and a spent budget.
    pub fn has_reasons(&self) -> bool {
        self.limits.is_some()
            || self.overload.is_some()
            || self.batching.is_some()
            || self.most_wait.is_some()
            || self.passes.is_some()
    }

    /// Whether it has a price.
    pub fn is_priced(&self) -> bool {
        [self.price_per_call, self.price_per_token_in, self.price_per_token_out] != [0; 3]
    }

    /// What a request costs, in nano-dollars.
    pub fn price(&self, tokens_in: u32, tokens_out: u32) -> u64 {
        self.price_per_call
            .saturating_add(self.price_per_token_in.saturating_mul(tokens_in as u64))
            .saturating_add(self.price_per_token_out.saturating_mul(tokens_out as u64))
    }
}

/// What tenants are, and their shares of a service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FairShares {
    /// Whether each agent is a tenant of its own; otherwise each group is.
    pub each_agent: bool,
    /// What a share is measured in.
    pub of: ShareOf,
    /// The weights of groups, by their number in the directory; others have 1.
    pub weights: Vec<(u16, u64)>,
}

/// What a share is measured in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ShareOf {
    /// Requests.
    #[default]
    Requests,
    /// Tokens, in and out together.
    Tokens,
    /// The time that the work takes.
    Work,
}

impl FairShares {
    /// The weight of a group.
    pub fn weight(&self, group: u16) -> u64 {
        let own = self.weights.iter().find(|(other, _)| *other == group);
        own.map_or(1, |(_, weight)| *weight)
    }
}

/// How a gateway passes requests on.
#[derive(Debug, Clone, PartialEq)]
pub struct Passing {
    /// The entities that they can be passed on to. One that is named twice gets twice its share where chance or turns decide.
    pub to: Vec<u32>,
    /// Which of them gets a request.
    pub routing: Routing,
    /// How many of them get each request; 1 for one of them, chosen by `routing`.
    pub fan_out: u32,
    /// How many of these have to answer.
    pub need: u32,
    /// How it calls them.
    pub policy: Policy,
    /// The size of a request that it passes on.
    pub bytes: u32,
    /// Whether a server of the gateway is busy until the answer is there.
    pub holds: bool,
    /// How it gathers several requests to one.
    pub batch: Option<Gathering>,
    /// When it leaves out one that fails.
    pub ejects: Option<Ejection>,
}

/// How a gateway gathers requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gathering {
    /// So many at most.
    pub most: u32,
    /// So long at most, from the first on.
    pub wait: SimDuration,
}

/// When a gateway leaves out one to whom it passes requests on (passive health checking, as Envoy's outlier detection).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ejection {
    /// After so many failures in a row.
    pub failures: u32,
    /// For how long, times the number of times that it was left out so far.
    pub period: SimDuration,
}

/// How long the work on a request takes.
#[derive(Debug, Clone, PartialEq)]
pub enum ServiceTime {
    /// By a law, in nanoseconds.
    Law(Law),
    /// By the request's tokens: a time to the first token, and a time for each one. In nanoseconds.
    Tokens {
        /// Until the first token.
        first: Law,
        /// For each token of the prompt.
        each_in: Law,
        /// For each token of the answer.
        each_out: Law,
    },
}

impl ServiceTime {
    /// Draws the duration of the work on a request.
    #[inline]
    pub fn sample(&self, stream: &mut Stream, number: u64, tokens_in: u32, tokens_out: u32) -> SimDuration {
        match self {
            Self::Law(law) => law.sample_duration(stream, number),
            Self::Tokens {
                first,
                each_in,
                each_out,
            } => {
                let total = first.sample(stream, number)
                    + each_in.sample(stream, number) * tokens_in as f64
                    + each_out.sample(stream, number) * tokens_out as f64;
                SimDuration::from_nanos_f64(total)
            }
        }
    }
}

/// How many tokens a request has.
#[derive(Debug, Clone, PartialEq)]
pub enum Tokens {
    /// By two laws.
    Laws {
        /// Tokens of the prompt.
        tokens_in: Law,
        /// Tokens of the answer.
        tokens_out: Law,
    },
    /// Both from one row of a table, so that they belong together.
    Rows {
        /// The table.
        rows: Arc<Rows>,
        /// At random, or one row after another.
        order: Order,
        /// The column of the prompt's tokens.
        tokens_in: Option<usize>,
        /// The column of the answer's tokens.
        tokens_out: usize,
    },
}

impl Tokens {
    /// Draws the tokens of a request, in and out.
    pub fn sample(&self, stream: &mut Stream, number: u64) -> (u32, u32) {
        match self {
            Self::Laws { tokens_in, tokens_out } => {
                let tokens_in = tokens_in.sample(stream, number);
                (count(tokens_in), count(tokens_out.sample(stream, number)))
            }
            Self::Rows {
                rows,
                order,
                tokens_in,
                tokens_out,
            } => {
                let row = rows.pick(stream, number, *order);
                (
                    tokens_in.map_or(0, |column| count(rows.value(row, column))),
                    count(rows.value(row, *tokens_out)),
                )
            }
        }
    }
}

/// The whole number nearest to a drawn number of tokens.
fn count(tokens: f64) -> u32 {
    (tokens + 0.5) as u32
}

/// A token bucket: so many requests in a period, refilled continuously, with room for a burst. It starts full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateLimit {
    /// Requests allowed in a period.
    pub count: u64,
    /// The period.
    pub period: SimDuration,
    /// The bucket's size: requests that may pass at once after a pause.
    pub burst: u64,
    /// What happens to a request beyond it.
    pub excess: Excess,
}

/// What happens to a request beyond the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Excess {
    /// It is refused.
    Refuse {
        /// Whether the refusal says when a token will be there.
        retry_after: bool,
    },
    /// It waits at the door, in order.
    Wait,
}

/// What a service may spend in all before it refuses everything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// Calls.
    pub calls: Option<u64>,
    /// Tokens, in and out together.
    pub tokens: Option<u64>,
    /// Nano-dollars.
    pub money: Option<u64>,
}
