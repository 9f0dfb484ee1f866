//! `policies`: how a client behaves when a call is slow, refused or lost.

use crate::scenario::syntax::quantity::{Duration, Positive, Rate};
use crate::scenario::syntax::{Part, Spanned};

crate::language! {
    /// How a client behaves when a call is slow, refused or lost. Calls that name no policy make one attempt and wait for ever.
    pub struct Policy {
        /// How long an attempt may take. Without it for ever.
        timeout: Part<Option<Positive<Duration>>>,
        /// How many attempts a call makes.
        attempts: Part<Spanned<Attempts>> = Part::from(Attempts::Count(super::positive(1))),
        /// How long to wait before the next attempt.
        backoff: Part<Spanned<Backoff>> = Part::from(Backoff::None),
        /// Whether the wait is at least as long as a refusal asks for.
        honours_retry_after: Part<Spanned<bool>> = Part::from(false),
        /// Whether attempts carry the call's identity, so that a repeated one takes no effect twice.
        idempotency_key: Part<bool> = Part::from(false),
        /// How long a call may take with all of its attempts; then it has failed. No attempt leaves that couldn't begin before it, and a
        /// wait that would end beyond it isn't begun. Requests carry it. Without it for ever.
        deadline: Part<Option<Spanned<Positive<Duration>>>>,
        /// Whether the server of an attempt that is given up is told so, by a message of its own: after a timeout or the deadline, when
        /// another attempt was answered, when what made the call is thrown away. What it makes of that, its `abandoned` says. Calls of
        /// services alone are cancelled.
        cancels: Part<Spanned<bool>> = Part::from(false),
        /// What limits retries to a share of the load.
        retry_budget: Part<Option<Spanned<RetryBudget>>>,
        /// Whether the client rejects requests by itself while the server rejects many.
        throttle: Part<Option<Spanned<Throttle>>>,
        /// Whether the client leaves a server alone for a while that has failed.
        breaker: Part<Option<Spanned<Breaker>>>,
        /// Whether a slow attempt gets company. Calls of services alone are hedged.
        hedge: Part<Option<Spanned<Hedge>>>,
        /// How fast attempts may leave the client. Those that are faster wait there for a token, in order; hedges that find none are left
        /// out.
        rate: Part<Option<Pace>>,
        /// How many attempts may be under way from the client to the service. More wait there for a place, in order; hedges that find
        /// none are left out.
        in_flight: Part<Option<Positive<u32>>>,
        /// Whose the state of these is: tokens, counts, phases, latencies, the attempts under way by which is routed.
        shared_by: Part<SharedBy> = Part::from(SharedBy::Agent),
    }

    /// Whose state something is. What a client knows of one server or service by one policy, it knows by this policy alone.
    pub enum SharedBy {
        /// Each agent has its own, and loses it with its memory.
        Agent,
        /// All agents of a group have it together, as the threads of one process; it is lost with none of them.
        Group,
    }

    /// A token bucket at the client, which starts full.
    pub struct Pace {
        /// How many attempts leave in how much time.
        rate: Positive<Rate>,
        /// How many may leave at once after a pause.
        burst: Positive<u64> = super::positive(1),
    }

    /// A token bucket for retries: each takes a token, and a call that would need one where there is none fails at once. So a client
    /// sends at most 1 + `ratio` attempts for each call, and `most` more. It starts full. (As in Finagle, `RetryBudget`, and gRPC, "retry
    /// throttling" in proposal A6.)
    pub struct RetryBudget {
        /// How much of a token is put in each time; in millionths.
        ratio: Spanned<f64> = Spanned::from(0.1),
        /// How many tokens it holds.
        most: Spanned<u32> = Spanned::from(10),
        /// What fills it.
        fed_by: Feed = Feed::FirstAttempts,
        /// Whether hedges take a token, too; one that finds none isn't sent.
        hedges: bool = false,
    }

    /// What fills a budget of retries.
    pub enum Feed {
        /// The first attempt of each call.
        FirstAttempts,
        /// Each answer that is used.
        Successes,
    }

    /// Adaptive throttling: of the requests of the last `window`, kept in a hundred buckets, so many were made, and so many accepted
    /// (answered). The next one is rejected by the client itself with the probability max(0, (requests - k accepts) / (requests + 1));
    /// then it counts as a request, too, and nothing is sent. A call that is rejected so tries again only after a backoff. (Beyer et
    /// al., "Site Reliability Engineering", 2016, chapter 21.)
    pub struct Throttle {
        /// How many requests are made for each one that is accepted, while the server rejects.
        k: Spanned<f64> = Spanned::from(2.0),
        /// How long what happened counts.
        window: Positive<Duration> = super::positive(Duration::from_secs(120)),
    }

    /// A circuit breaker for each server: closed it counts failures, which are refusals and attempts that took too long; open it
    /// rejects every attempt; after that it is half-open, and lets a few through as probes, of which one failure opens it again. What an
    /// attempt comes to counts only in the phase in which it left. A call that is rejected so tries again only after a backoff. (M.
    /// Nygard, "Release It!", 2007.)
    pub struct Breaker {
        /// What opens it.
        trips: Spanned<Trip> = Spanned::from(Trip::Consecutive(5)),
        /// How long it is open.
        open: Positive<Duration> = super::positive(Duration::from_secs(5)),
        /// How many probes may be under way at once.
        probes: Spanned<u32> = Spanned::from(1),
        /// How many probes have to succeed to close it.
        closes_after: Spanned<u32> = Spanned::from(1),
    }

    /// What opens a circuit breaker.
    pub enum Trip {
        /// So many failures one after the other; the number alone means this.
        Consecutive(u32) as bare,
        /// A share of the attempts that have ended within a window, kept in a hundred buckets.
        Rate {
            /// The share of failures.
            share: f64 = 0.5,
            /// How long what happened counts.
            window: Positive<Duration> = super::positive(Duration::from_secs(10)),
            /// How many must have ended.
            least: Positive<u32> = super::positive(20),
        },
    }

    /// A second attempt joins one that is slow, and the first answer counts. An attempt that fails beside others changes nothing; when
    /// the last has failed the call goes on by its `attempts` and its `backoff`, and hedges don't count among the former. (Dean and Barroso,
    /// "The Tail at Scale", CACM 56(2), 2013.)
    pub struct Hedge {
        /// How long the last attempt is waited for before the hedge is sent.
        after: Spanned<HedgeAfter>,
        /// How many hedges an attempt gets at most, each as long after the one before; at most 100.
        most: Spanned<u32> = Spanned::from(1),
        /// Whether an attempt and its hedge are tied: each server tells the other when it begins to work, and that discards what waits,
        /// if its `abandoned` says so. The call names several services.
        tied: bool = false,
    }

    /// When a hedge is sent.
    pub enum HedgeAfter {
        /// After so long; the time alone means this.
        Fixed(Duration) as bare,
        /// After a quantile of the last thousand latencies of attempts (not of hedges) that the client has seen: of those that were
        /// answered, and of those that lost to a hedge the time until then.
        Quantile {
            /// Which: 0.95 hedges one attempt in twenty.
            share: f64,
            /// How many latencies must be known before the first hedge.
            least: Positive<u32> = super::positive(100),
        },
    }

    /// How many attempts a call makes.
    pub enum Attempts {
        /// Until it is answered. A run in which one call has made 100,000 in vain is stopped; a number alone allows more.
        Unlimited,
        /// So many; the number alone means this.
        Count(Positive<u32>) as bare,
    }

    /// How long a client waits between two attempts. The exponential wait after attempt `n`, from 1, is base times 2^n, and
    /// never above the cap. (The five laws of M. Brooker, "Exponential Backoff and Jitter", AWS Architecture Blog, 2015.)
    pub enum Backoff {
        /// Not at all.
        None,
        /// Always as long.
        Fixed(Positive<Duration>),
        /// The exponential wait.
        Exponential {
            /// The unit.
            base: Positive<Duration>,
            /// The longest wait.
            cap: Positive<Duration>,
        },
        /// Uniform from nothing to the exponential wait.
        FullJitter {
            /// The unit.
            base: Positive<Duration>,
            /// The longest wait.
            cap: Positive<Duration>,
        },
        /// Half of the exponential wait, and uniform from nothing to the other half.
        EqualJitter {
            /// The unit.
            base: Positive<Duration>,
            /// The longest wait.
            cap: Positive<Duration>,
        },
        /// Uniform from the base to three times the wait before.
        DecorrelatedJitter {
            /// The unit, and the shortest wait.
            base: Positive<Duration>,
            /// The longest wait.
            cap: Positive<Duration>,
        },
    }
}
