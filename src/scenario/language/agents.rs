//! `agents`: groups of agents, when they start, and where.

use super::laws::TimeLaw;
use super::steps::Step;
use crate::scenario::syntax::quantity::{Duration, Positive, Rate};
use crate::scenario::syntax::{Named, OneOrMany, Spanned};

crate::language! {
    /// A group of agents that all run one program.
    pub struct Group {
        /// How many there are.
        count: Spanned<Count>,
        /// Their site, or several: agent `n` is at the place `n` of the list, from the start again after the last.
        at: Spanned<OneOrMany<Spanned<String>>>,
        /// When they start.
        start: Spanned<Arrive> = Spanned::from(Arrive::AtOnce { at: Duration::ZERO }),
        /// A further wait before each start.
        stagger: Option<Spanned<TimeLaw>>,
        /// What each does. One run of it is a task. A group with no steps has no tasks: it is there for its handlers.
        program: Vec<Spanned<Step>> = Vec::new(),
        /// What each does on a message of a topic.
        on: Named<Vec<Spanned<Step>>> = Named::default(),
        /// How many messages wait for an agent; more are dropped.
        mailbox: Positive<u32> = super::positive(1000),
        /// How many messages an agent handles at once.
        handlers_at_once: Positive<u32> = super::positive(1),
        /// What a call does that failed in all its attempts.
        on_failure: OnFailure = OnFailure::EndTask,
    }

    /// How many agents there are.
    pub enum Count {
        /// So many, from the start to the end; the number alone means this.
        Fixed(Positive<u32>) as bare,
        /// They come and go: each arrival is a new agent, which is gone when its program is over. Nobody can send messages to
        /// one by its number.
        Stream {
            /// How many arrive in all. Without it they arrive as long as the run goes on.
            arrivals: Option<Positive<u32>>,
            /// How many may be there at once; a run with more is stopped.
            max_alive: Positive<u32> = super::positive(crate::scenario::plan::MAX_ALIVE),
        },
    }

    /// When agents start.
    pub enum Arrive {
        /// All at one time.
        AtOnce {
            /// The time.
            at: Duration = Duration::ZERO,
        },
        /// Evenly over a time.
        Spread {
            /// The first start.
            from: Duration = Duration::ZERO,
            /// The length of the whole.
            over: Positive<Duration>,
        },
        /// As a Poisson process: gaps are exponential.
        Poisson {
            /// How many on average.
            rate: Positive<Rate>,
            /// When the first gap begins.
            from: Duration = Duration::ZERO,
        },
        /// One after another, with gaps by a law.
        Gaps {
            /// The gaps.
            gap: Spanned<TimeLaw>,
            /// When the first gap begins.
            from: Duration = Duration::ZERO,
        },
        /// All agents at every tick, as from cron; one that still runs misses the tick. Of a stream one arrives at each.
        Tick {
            /// The time between ticks.
            every: Positive<Duration>,
            /// The first tick.
            first: Duration = Duration::ZERO,
            /// How many ticks. Without it for ever.
            times: Option<Positive<u32>>,
        },
        /// At recorded times, counted from the first.
        Trace {
            /// The data set.
            data: Spanned<String>,
            /// The column with the times: numbers, or dates with times of day.
            column: Spanned<String>,
            /// What a 1 in the column means, where it holds numbers.
            unit: Option<Positive<Duration>>,
            /// The time of the first arrival.
            from: Duration = Duration::ZERO,
            /// How many times faster than recorded.
            speed: Positive<f64> = super::positive(1.0),
        },
    }

    /// What a call does that failed in all its attempts.
    pub enum OnFailure {
        /// It ends the task around it.
        EndTask,
        /// The agent goes on with the next step.
        Continue,
    }
}
