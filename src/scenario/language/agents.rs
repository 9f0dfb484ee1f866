//! `agents`: groups of agents, when they start, and where.

use super::Names;
use super::laws::TimeLaw;
use super::steps::Steps;
use crate::scenario::syntax::quantity::{Bytes, Duration, Fraction, Positive, Probability, Rate};
use crate::scenario::syntax::{Named, Part, Spanned};

/// One event a second.
fn a_second() -> Positive<Rate> {
    super::positive(Rate::new(1, Duration::from_secs(1)).expect("a second isn't zero"))
}

crate::language! {
    /// A group of agents that all run one program.
    pub struct Group {
        /// How many there are.
        count: Part<Spanned<Count>>,
        /// Their site, or several: agent `n` is at the place `n` of the list, from the start again after the last.
        at: Names,
        /// When they start.
        start: Part<Spanned<Arrive>> = Part::from(Arrive::AtOnce { at: Duration::ZERO }),
        /// A further wait before each start.
        stagger: Part<Option<Spanned<TimeLaw>>>,
        /// What each does. One run of it is a task. A group with no steps has no tasks: it is there for its handlers.
        program: Steps = Part::from(Vec::new()),
        /// What each does on a message of a topic.
        on: Named<Steps> = Named::default(),
        /// How many messages wait for an agent; more are dropped.
        mailbox: Part<Positive<u32>> = Part::from(super::positive(1000)),
        /// How many messages an agent handles at once.
        handlers_at_once: Part<Spanned<Positive<u32>>> = Part::from(super::positive(1)),
        /// What a call does that failed in all its attempts.
        on_failure: Part<OnFailure> = Part::from(OnFailure::EndTask),
        /// What each agent keeps of what it has read, by store. Without it every read asks a replica.
        caches: Named<Part<Cache>> = Named::default(),
        /// That each agent keeps its state as a log of events, from which it is rebuilt after a crash that takes its memory. Without it the
        /// program begins anew then.
        journal: Part<Option<Spanned<Journal>>>,
        /// How its agents err when they are asked something: by `Ask`, or by a coordination group. Without it they are right.
        errs: Part<Option<Spanned<Errs>>>,
    }

    /// How agents err.
    pub struct Errs {
        /// The probability that a result is wrong, or a judgement: a no where yes is right, or a yes where no is.
        wrong: Part<Probability> = Part::from(Probability::ZERO),
        /// Of judgements, the probability of a no where yes is right. Without it `wrong`.
        misses: Part<Option<Probability>>,
        /// Of judgements, the probability of a yes where no is right. Without it `wrong`.
        false_alarms: Part<Option<Probability>>,
        /// The probability that an agent doesn't say, when it is asked for a judgement.
        abstains: Part<Probability> = Part::from(Probability::ZERO),
        /// The model that they run: agents of one model err together.
        model: Part<Option<Spanned<String>>>,
        /// The correlation between the errors of two agents that run it, about the same question: 0 is none, 1 that they always err together.
        correlation: Part<Spanned<Fraction>> = Part::from(Spanned::from(Fraction::ZERO)),
        /// The probability that an agent does a `Think`, a `Sleep` or a `Call` of a handler again though it is done, and then perhaps once more.
        repeats: Part<Spanned<Probability>> = Part::from(Spanned::from(Probability::ZERO)),
        /// The probability that an agent doesn't notice that it is through with a handler, and goes through all of it again, and then perhaps once more.
        unaware: Part<Spanned<Probability>> = Part::from(Spanned::from(Probability::ZERO)),
        /// That some of the agents think slowly.
        slow: Part<Option<Spanned<Slow>>>,
    }

    /// Agents that think slowly.
    pub struct Slow {
        /// The probability that an agent is one of them, which it then is all the time.
        share: Part<Probability> = Part::from(Probability::ONE),
        /// By how much all that they `Think` takes longer.
        factor: Part<Positive<f64>> = Part::from(super::positive(10.0)),
    }

    /// An agent's state as an append-only log. It goes on after an event once that is in the log; after a crash with `keep: Nothing` it
    /// reads its newest snapshot and the events behind it, folds them, and goes on behind the newest event.
    pub struct Journal {
        /// The service that keeps the log. Its servers, its queue and its `time` are what a write or a read of the log takes.
        log: Part<Spanned<String>>,
        /// Which steps are events.
        events: Part<Events> = Part::from(Events::Steps),
        /// The size of an event.
        event_bytes: Part<Spanned<Bytes>> = Part::from(Bytes(1024)),
        /// After how many events the agent writes a snapshot, and waits until it is there. Without it never.
        snapshot_every: Part<Option<Spanned<Positive<u32>>>>,
        /// The size of a snapshot; without it 64 KiB.
        snapshot_bytes: Part<Option<Spanned<Bytes>>>,
        /// How long an agent takes to fold an event.
        replay: Part<Spanned<TimeLaw>> = Part::from(super::services::constant()),
        /// How many events are read at once.
        batch: Part<Positive<u32>> = Part::from(super::positive(100)),
        /// The policy by which the log is asked, whose attempts are `Unlimited`. Without it each attempt takes 2 s at most, and the wait
        /// between two grows from 100 ms to 5 s, with jitter.
        policy: Part<Option<Spanned<String>>>,
    }

    /// Which steps are events of a journal.
    pub enum Events {
        /// Every step that takes time. Parallel branches, guesses, tasks, compare-and-swaps and steps under a lock are one event each.
        Steps,
        /// Every named task.
        Tasks,
    }

    /// An agent's cache in front of a store. A read that it answers sends nothing and takes no time. An agent's own update of a key
    /// drops what it keeps of that.
    pub struct Cache {
        /// How long what was read is used.
        ttl: Part<Positive<Duration>>,
        /// When what the cache has shown is read anew.
        refresh: Part<Refresh> = Part::from(Refresh::OnExpiry),
        /// Whether the replica that was read from says when the key changes there. What it says may be lost: then `ttl` decides.
        invalidation: Part<bool> = Part::from(false),
        /// How many keys are kept; of more the one that was used longest ago is dropped.
        size: Part<Positive<u32>> = Part::from(super::positive(1000)),
    }

    /// When what a cache has shown is read anew.
    pub enum Refresh {
        /// When its time is over.
        OnExpiry,
        /// Also before an `Update` whose read the cache has answered writes: it reads again, at the store, after its think.
        BeforeAct,
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
        /// As a Poisson process whose rate changes: each rate holds from its time on, as in `Rates([("0s", "100/s"), ("60s", "280/s")])`.
        /// The first time is when the first gap begins. A stretch above the first rate is a trigger, as a fault is.
        Rates(Spanned<Vec<(Duration, Rate)>>),
        /// As a Poisson process whose rate was recorded: window after window of a data set. After the last window its rate stays.
        Windows {
            /// The data set.
            data: Part<Spanned<String>>,
            /// The column of times at which the windows begin, counted from the first.
            at: Part<Spanned<String>>,
            /// What a 1 in that column means.
            unit: Part<Positive<Duration>> = Part::from(super::positive(Duration::from_secs(1))),
            /// The column of rates.
            rate: Part<Spanned<String>>,
            /// What a 1 in that column means.
            each: Part<Positive<Rate>> = Part::from(a_second()),
            /// How many times faster than recorded windows follow each other; their rates stay as they are.
            speed: Part<Positive<f64>> = Part::from(super::positive(1.0)),
        },
        /// As a Poisson process whose rate is another for a while: a trigger, as a fault is.
        Surge {
            /// How many on average, before and after.
            rate: Positive<Rate>,
            /// How many on average meanwhile.
            to: Rate,
            /// When it begins.
            at: Spanned<Duration>,
            /// How long it lasts. Without this it stays.
            r#for: Option<Positive<Duration>>,
        },
        /// One after another, with gaps by a law.
        Gaps {
            /// The gaps.
            gap: Part<Spanned<TimeLaw>>,
            /// When the first gap begins.
            from: Part<Duration> = Part::from(Duration::ZERO),
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
            data: Part<Spanned<String>>,
            /// The column with the times: numbers, or dates with times of day.
            column: Part<Spanned<String>>,
            /// What a 1 in the column means, where it holds numbers.
            unit: Part<Option<Positive<Duration>>>,
            /// The time of the first arrival.
            from: Part<Duration> = Part::from(Duration::ZERO),
            /// How many times faster than recorded.
            speed: Part<Positive<f64>> = Part::from(super::positive(1.0)),
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
