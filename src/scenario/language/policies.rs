//! `policies`: how a client behaves when a call is slow, refused or lost.

use crate::scenario::syntax::quantity::{Duration, Positive};
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
        honours_retry_after: Part<bool> = Part::from(false),
        /// Whether attempts carry the call's identity, so that a repeated one takes no effect twice.
        idempotency_key: Part<bool> = Part::from(false),
    }

    /// How many attempts a call makes.
    pub enum Attempts {
        /// Until it is answered.
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
