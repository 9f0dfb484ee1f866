//! `faults`: what goes wrong, and when.

use super::laws::TimeLaw;
use crate::scenario::syntax::quantity::{Duration, Fraction, Positive, Probability, SignedDuration};
use crate::scenario::syntax::{OneOrMany, Spanned};

/// Declares the faults, each with the fields that say when.
macro_rules! faults {
    ($( $(#[doc = $vdoc:literal])* $variant:ident { $( $(#[doc = $fdoc:literal])* $field:ident : $ty:ty $(= $default:expr)? ),* $(,)? } ),* $(,)?) => {
        crate::language! {
            /// Something that goes wrong. When: `at` and `for` (or `until`), or `when` for more than one time.
            pub enum Fault {
                $(
                    $(#[doc = $vdoc])*
                    $variant {
                        $( $(#[doc = $fdoc])* $field: $ty $(= $default)?, )*
                        /// When it begins.
                        at: Option<Spanned<Duration>>,
                        /// How long it lasts. Without this and `until` it lasts for ever.
                        r#for: Option<Spanned<Duration>>,
                        /// When it ends, in place of `for`.
                        until: Option<Spanned<Duration>>,
                        /// Several times, in place of `at`.
                        when: Option<Spanned<When>>,
                    },
                )*
            }
        }

        impl Fault {
            /// When it happens.
            pub fn times(&self) -> Times<'_> {
                match self {
                    $( Self::$variant { at, r#for, until, when, .. } => Times { at, lasts: r#for, until, when }, )*
                }
            }
        }
    };
}

/// When a fault happens, as written.
#[derive(Debug, Clone, Copy)]
pub struct Times<'a> {
    /// `at`.
    pub at: &'a Option<Spanned<Duration>>,
    /// `for`.
    pub lasts: &'a Option<Spanned<Duration>>,
    /// `until`.
    pub until: &'a Option<Spanned<Duration>>,
    /// `when`.
    pub when: &'a Option<Spanned<When>>,
}

faults! {
    /// Messages between the sides of a cut don't pass: between all `groups`, or from one side to the other.
    Partition {
        /// The sides; nothing passes between any two of them.
        groups: Vec<Spanned<Side>> = Vec::new(),
        /// The senders, where only one direction is cut.
        from: Option<Spanned<Side>>,
        /// The receivers, where only one direction is cut.
        to: Option<Spanned<Side>>,
        /// What happens to messages under way when it falls.
        in_flight: InTransit = InTransit::Lost,
        /// What happens to messages sent while it is on.
        sent: InTransit = InTransit::Lost,
    },
    /// Links get worse (or better). Factors of several multiply.
    Degrade {
        /// The senders; without it everyone.
        from: Option<Spanned<Side>>,
        /// The receivers; without it everyone.
        to: Option<Spanned<Side>>,
        /// Whether the other direction gets worse too.
        both_ways: bool = true,
        /// The latency is multiplied by this.
        latency_factor: f64 = 1.0,
        /// This is added to the latency.
        latency_added: Duration = Duration::ZERO,
        /// What passes the link's own loss is lost with this probability.
        loss: Probability = Probability::ZERO,
        /// The bandwidth is multiplied by this.
        bandwidth_factor: Positive<f64> = super::positive(1.0),
    },
    /// Agents, services, stores or sites stop, and start again.
    Crash {
        /// What stops.
        who: Spanned<OneOrMany<Spanned<String>>>,
        /// What is left of the state.
        keep: Keep = Keep::State,
        /// What has times of its own.
        each: Each = Each::Together,
    },
    /// Agents, services, stores or sites stand still, and go on as if nothing had been.
    Pause {
        /// What stands still.
        who: Spanned<OneOrMany<Spanned<String>>>,
        /// What has times of its own.
        each: Each = Each::Together,
    },
    /// Clocks jump.
    ClockStep {
        /// Whose.
        who: Spanned<OneOrMany<Spanned<String>>>,
        /// By how much.
        by: SignedDuration,
        /// Whether they jump back at the end.
        undone: bool = true,
        /// What has times of its own.
        each: Each = Each::Together,
    },
    /// Services finish nothing, or work more slowly.
    Stall {
        /// The services.
        services: Spanned<OneOrMany<Spanned<String>>>,
        /// Their speed meanwhile; 0 is no progress at all.
        speed: Fraction = Fraction::ZERO,
        /// What has times of its own.
        each: Each = Each::Together,
    },
}

crate::language! {
    /// A side of a partition: names of sites, groups of agents, services and stores.
    pub enum Side {
        /// Everything that the other sides don't name.
        Rest,
        /// Some agents of a group, by their numbers.
        Members {
            /// The group.
            group: Spanned<String>,
            /// The first of them.
            first: u32 = 0,
            /// How many.
            count: Positive<u32>,
        },
        /// These; the names alone mean this.
        Names(Spanned<OneOrMany<Spanned<String>>>) as bare,
    }

    /// When a fault is on, if it is on more than once.
    pub enum When {
        /// In these windows.
        Windows(Vec<Spanned<Window>>),
        /// On, off, on ... and off for good at the end.
        Flapping {
            /// When it is on first.
            from: Duration = Duration::ZERO,
            /// When it is over; without it at the end of the run.
            until: Option<Duration>,
            /// How long it is on.
            on: Spanned<TimeLaw>,
            /// How long it is off.
            off: Spanned<TimeLaw>,
        },
        /// Failures and repairs, drawn from the seed: off at the start.
        Drawn {
            /// From when on.
            from: Duration = Duration::ZERO,
            /// Until when failures begin; without it to the end of the run.
            until: Option<Duration>,
            /// The time from the start, or from a repair, to the next failure.
            to_failure: Spanned<TimeLaw>,
            /// The time to repair.
            to_repair: Spanned<TimeLaw>,
        },
    }

    /// A time during which a fault is on.
    pub struct Window {
        /// When it begins.
        at: Spanned<Duration>,
        /// How long it lasts. Without this and `until` for ever.
        r#for: Option<Spanned<Duration>>,
        /// When it ends, in place of `for`.
        until: Option<Spanned<Duration>>,
    }

    /// What a cut does to a message.
    pub enum InTransit {
        /// It is lost.
        Lost,
        /// It waits for the heal.
        Held,
    }

    /// What a crash leaves.
    pub enum Keep {
        /// What is durable.
        State,
        /// Nothing.
        Nothing,
    }

    /// Which of the targets have times of their own.
    pub enum Each {
        /// None: they are hit at once.
        Together,
        /// Each target that is named.
        Target,
        /// Each agent and each replica.
        Member,
    }
}
