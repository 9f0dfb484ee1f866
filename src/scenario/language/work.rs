//! `work`: graphs of tasks that groups of agents do together.

use crate::scenario::syntax::quantity::{Bytes, Duration, Positive, Probability};
use crate::scenario::syntax::{Named, OneOrMany, Part, Spanned};

/// Two seconds for each that goes before.
pub(super) fn ranked() -> Take {
    Take::Ranked {
        wait: Part::from(super::positive(Duration::from_secs(2))),
    }
}

crate::language! {
    /// How members of a team keep out of each other's way when they claim tasks.
    pub enum Take {
        /// They don't.
        AtOnce,
        /// Each waits a time drawn evenly up to `within`.
        Random {
            /// The longest wait.
            within: Part<Positive<Duration>> = Part::from(super::positive(Duration::from_secs(2))),
        },
        /// Each task has an order of preference of its own among the crew: a member waits for each that goes before it and isn't known to be at work.
        Ranked {
            /// How long, for each.
            wait: Part<Positive<Duration>> = Part::from(super::positive(Duration::from_secs(2))),
        },
    }

    /// How tasks are begun on drafts of what they need.
    pub struct Speculate {
        /// How long after it has begun an agent has a draft.
        after: Part<Duration> = Part::from(Duration::ZERO),
        /// The probability that the result agrees with its draft.
        holds: Part<Probability> = Part::from(Probability::ONE),
        /// The same where the agent errs in the result: its draft may have been right, or as wrong. Without it `holds`.
        holds_if_wrong: Part<Option<Probability>>,
    }

    /// A graph of tasks. A job is one passage through it; patterns of coordination say who does what, and when.
    pub struct Work {
        /// The tasks, by name. What they need makes no circle.
        tasks: Named<Part<Task>> = Named::default(),
    }

    /// A task: a piece of work for one agent, once what it needs is done.
    pub struct Task {
        /// The group whose agents do it, by their handler for it. The handler's end is the result.
        by: Part<Spanned<String>>,
        /// The tasks that must be done before.
        needs: Part<Spanned<OneOrMany<Part<Spanned<String>>>>> = Part::from(Spanned::from(OneOrMany(Vec::new()))),
        /// The topic of the handler. Without it the task's name.
        on: Part<Option<Spanned<String>>>,
        /// The task whose result it judges, which is done before it. A judgement is an agent's own answer: see `errs`.
        checks: Part<Option<Spanned<String>>>,
        /// How often the task that it checks is done at most, as it says that the result is wrong. After that it lets it through.
        rounds: Part<Positive<u32>> = Part::from(super::positive(3)),
        /// The size of what an agent is given for it.
        input: Part<Spanned<Bytes>> = Part::from(Bytes(0)),
        /// The size of its result.
        result: Part<Spanned<Bytes>> = Part::from(Bytes(0)),
    }
}
