//! `faults`: what goes wrong, and when.

use super::Names;
use super::laws::TimeLaw;
use crate::scenario::syntax::quantity::{Duration, Fraction, Positive, Probability, SignedDuration};
use crate::scenario::syntax::{OneOrMany, Part, Spanned};

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
                        at: Part<Option<Spanned<Duration>>>,
                        /// How long it lasts. Without this and `until` it lasts for ever.
                        r#for: Part<Option<Spanned<Duration>>>,
                        /// When it ends, in place of `for`.
                        until: Part<Option<Spanned<Duration>>>,
                        /// Several times, in place of `at`.
                        when: Part<Option<Spanned<When>>>,
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
    pub at: &'a Part<Option<Spanned<Duration>>>,
    /// `for`.
    pub lasts: &'a Part<Option<Spanned<Duration>>>,
    /// `until`.
    pub until: &'a Part<Option<Spanned<Duration>>>,
    /// `when`.
    pub when: &'a Part<Option<Spanned<When>>>,
}

faults! {
    /// Messages between the sides of a cut don't pass: between all `groups`, or from one side to the other.
    Partition {
        /// The sides; nothing passes between any two of them.
        groups: Part<Vec<Part<Spanned<Side>>>> = Part::from(Vec::new()),
        /// The senders, where only one direction is cut.
        from: Part<Option<Spanned<Side>>>,
        /// The receivers, where only one direction is cut.
        to: Part<Option<Spanned<Side>>>,
        /// What happens to messages under way when it falls.
        in_flight: Part<InTransit> = Part::from(InTransit::Lost),
        /// What happens to messages sent while it is on.
        sent: Part<InTransit> = Part::from(InTransit::Lost),
    },
    /// Links get worse (or better). Factors of several multiply.
    Degrade {
        /// The senders; without it everyone.
        from: Part<Option<Spanned<Side>>>,
        /// The receivers; without it everyone.
        to: Part<Option<Spanned<Side>>>,
        /// Whether the other direction gets worse too.
        both_ways: Part<bool> = Part::from(true),
        /// The latency is multiplied by this.
        latency_factor: Part<Spanned<f64>> = Part::from(1.0),
        /// This is added to the latency.
        latency_added: Part<Duration> = Part::from(Duration::ZERO),
        /// What passes the link's own loss is lost with this probability.
        loss: Part<Probability> = Part::from(Probability::ZERO),
        /// The bandwidth is multiplied by this.
        bandwidth_factor: Part<Positive<f64>> = Part::from(super::positive(1.0)),
    },
    /// Agents, services, stores, coordination groups or sites stop, and start again.
    Crash {
        /// What stops.
        who: Names,
        /// What is left of the state.
        keep: Part<Keep> = Part::from(Keep::State),
        /// What has times of its own.
        each: Part<Each> = Part::from(Each::Together),
    },
    /// Agents, services, stores, coordination groups or sites stand still, and go on as if nothing had been.
    Pause {
        /// What stands still.
        who: Names,
        /// What has times of its own.
        each: Part<Each> = Part::from(Each::Together),
    },
    /// Clocks jump.
    ClockStep {
        /// Whose.
        who: Names,
        /// By how much.
        by: Part<SignedDuration>,
        /// Whether they jump back at the end.
        undone: Part<bool> = Part::from(true),
        /// What has times of its own.
        each: Part<Each> = Part::from(Each::Together),
    },
    /// Services finish nothing, or work more slowly.
    Stall {
        /// The services.
        services: Names,
        /// Their speed meanwhile; 0 is no progress at all.
        speed: Part<Fraction> = Part::from(Fraction::ZERO),
        /// What has times of its own.
        each: Part<Each> = Part::from(Each::Together),
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
            group: Part<Spanned<String>>,
            /// The first of them.
            first: Part<u32> = Part::from(0),
            /// How many.
            count: Part<Positive<u32>>,
        },
        /// These; the names alone mean this.
        Names(Spanned<OneOrMany<Part<Spanned<String>>>>) as bare,
    }

    /// When a fault is on, if it is on more than once.
    pub enum When {
        /// In these windows.
        Windows(Vec<Part<Spanned<Window>>>),
        /// On, off, on ... and off for good at the end.
        Flapping {
            /// When it is on first.
            from: Part<Duration> = Part::from(Duration::ZERO),
            /// When it is over; without it at the end of the run.
            until: Part<Option<Duration>>,
            /// How long it is on.
            on: Part<Spanned<TimeLaw>>,
            /// How long it is off.
            off: Part<Spanned<TimeLaw>>,
        },
        /// Failures and repairs, drawn from the seed: off at the start.
        Drawn {
            /// From when on.
            from: Part<Duration> = Part::from(Duration::ZERO),
            /// Until when failures begin; without it to the end of the run.
            until: Part<Option<Duration>>,
            /// The time from the start, or from a repair, to the next failure.
            to_failure: Part<Spanned<TimeLaw>>,
            /// The time to repair.
            to_repair: Part<Spanned<TimeLaw>>,
        },
    }

    /// A time during which a fault is on.
    pub struct Window {
        /// When it begins.
        at: Part<Spanned<Duration>>,
        /// How long it lasts. Without this and `until` for ever.
        r#for: Part<Option<Spanned<Duration>>>,
        /// When it ends, in place of `for`.
        until: Part<Option<Spanned<Duration>>>,
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
        /// What is durable. The step that an agent is at and the requests that a service works on begin again from zero after the
        /// restart. Steps that are done and requests that wait stay; an agent's mailbox and its handlers don't.
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
