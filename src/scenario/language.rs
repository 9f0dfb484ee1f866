//! The scenario language: the nouns as they are written, before any name is resolved.
//!
//! Every type here is declared with [`language!`](crate::language), so that what is read and what the reference says are
//! one. What a text means is [`super::resolve`]'s business. What the fields of nouns hold are [`Part`]s: a noun is there, and
//! the rest of it is checked, even if one of its fields can't be read. Laws and other small values are read as a whole or not
//! at all.

// A scenario is read once: what its types weigh is of no matter.
#![allow(clippy::large_enum_variant)]

pub mod agents;
pub mod budgets;
pub mod channels;
pub mod compare;
pub mod coordination;
pub mod faults;
pub mod gossip;
pub mod hierarchy;
pub mod laws;
pub mod meshes;
pub mod models;
pub mod network;
pub mod policies;
pub mod presets;
pub mod services;
pub mod state;
pub mod steps;
pub mod work;

pub use agents::{Arrive, Group};
pub use channels::Channel;
pub use compare::{Amount, Bound, Change, Expect, Knee, Scaling, Statistic, Variants};
pub use coordination::Coordination;
pub use faults::Fault;
pub use laws::{NumberLaw, TimeLaw};
pub use meshes::Mesh;
pub use network::{Link, Network, Sites};
pub use policies::Policy;
pub use services::Service;
pub use state::Store;
pub use steps::{Step, Steps};

use super::syntax::quantity::{Duration, Positive};
use super::syntax::{Named, OneOrMany, Part, Spanned};

/// One name, or several.
pub type Names = Part<Spanned<OneOrMany<Part<Spanned<String>>>>>;

crate::language! {
    /// A scenario: one file, with what it includes.
    ///
    /// `include: ["base.ron"]` may stand beside these fields: the included files are read first, and this file wins over them.
    pub struct Scenario {
        /// The version of the language: 1.
        quorate: Part<Spanned<u32>>,
        /// The scenario's name; results are kept under it.
        name: Part<Spanned<String>>,
        /// The question that the scenario answers.
        question: Part<String> = Part::from(String::new()),
        /// What the scenario as it stands is called beside its variants.
        base: Part<String> = Part::from("base".to_string()),
        /// Where all randomness starts from.
        seed: Part<u64> = Part::from(1),
        /// How many times each variant runs, each time with other random numbers. There are at most 1,000,000 runs in all.
        replicates: Part<Spanned<Positive<u32>>> = Part::from(positive(10)),
        /// When a run ends.
        until: Part<Spanned<Until>>,
        /// How long after the end replicas may go on, so that what was accepted gets to where it belongs: nothing new is begun,
        /// and the drain is over as soon as nothing is on its way to or between replicas and, where there is anti-entropy, all
        /// live replicas hold the same. What is lost for good is judged then; all else is measured until the end.
        drain: Part<Duration> = Part::from(Duration::from_secs(600)),
        /// What begins before this time isn't measured. Rates are of what happens after it (answers, arrivals, ends of tasks), whenever
        /// that began, per second from then on to the end of the run. Series are of the whole run.
        warm_up: Part<Spanned<Duration>> = Part::from(Duration::ZERO),
        /// The length of the windows in which rates over time are measured. A run has at most 1,000,000 of them: without this
        /// field, those of a longer run are as much longer.
        window: Part<Spanned<Positive<Duration>>> = Part::from(positive(Duration::from_secs(1))),
        /// Data sets in files of one's own; those that come with Quorate need no declaration.
        data: Named<Part<DataSet>> = Named::default(),
        /// The places: what is in one site is near.
        sites: Spanned<Sites>,
        /// The links between the sites.
        network: Part<Spanned<Network>> = Part::from(Network::default()),
        /// What agents call: inference, tools, databases.
        services: Named<Part<Service>> = Named::default(),
        /// Proxies between agents and services.
        meshes: Named<Part<Mesh>> = Named::default(),
        /// What agents share: stores of typed keys, replicated at sites.
        state: Named<Part<Store>> = Named::default(),
        /// What groups of agents do together: graphs of tasks.
        work: Named<Part<work::Work>> = Named::default(),
        /// How agents are made to work together: members of a protocol, at sites or beside agents.
        coordination: Named<Part<Coordination>> = Named::default(),
        /// What agents tell each other through: topics, queues and logs.
        channels: Named<Part<Channel>> = Named::default(),
        /// Named client behaviour: timeout, attempts, backoff.
        policies: Named<Part<Policy>> = Named::default(),
        /// The agents, in groups.
        agents: Named<Part<Group>> = Named::default(),
        /// What agents may spend, over all services.
        budgets: Named<Part<Spanned<budgets::Spending>>> = Named::default(),
        /// What goes wrong, and when.
        faults: Named<Part<Spanned<Fault>>> = Named::default(),
        /// Changes of this scenario to compare it with. The scenario as it stands always runs as the variant `base`.
        variants: Variants = Variants::default(),
        /// The measures that answer the question, each with a few words for people. They are the columns of the table that is printed, and
        /// a chart. Without them, what a run has decides. At most sixteen.
        answer: Part<Vec<Part<Spanned<Answering>>>> = Part::from(Vec::new()),
        /// How measures grow from variant to variant. At most sixteen.
        scaling: Part<Vec<Part<Spanned<Scaling>>>> = Part::from(Vec::new()),
        /// What `quorate knee` looks for in this scenario.
        knee: Part<Option<Spanned<Knee>>>,
        /// What must hold.
        expect: Part<Vec<Part<Spanned<Expect>>>> = Part::from(Vec::new()),
    }

    /// A measure that answers the scenario's question.
    pub struct Answering {
        /// Its name.
        measure: Part<Spanned<String>>,
        /// What it is called in tables and plots; without it, its name.
        called: Part<Option<String>>,
    }

    /// When a run ends. Rates and means over time are taken from the warm-up to this end; replicas may go on after it (see
    /// `drain`).
    pub enum Until {
        /// At this time, whether or not anything is left to happen before.
        At(Positive<Duration>),
        /// When the last task is over, or at the time `within`. Tasks that aren't over by then are counted as unfinished,
        /// also where nothing could end them any more.
        AllDone {
            /// The latest end.
            within: Positive<Duration>,
        },
    }

    /// A table in a file.
    pub struct DataSet {
        /// The file: CSV with a header line, gzip or not. The path is relative to the file that names it.
        file: Part<Spanned<String>>,
    }
}

/// A value that is above zero: for defaults.
pub(crate) fn positive<T: super::syntax::quantity::Zero>(value: T) -> Positive<T> {
    Positive::new(value).expect("a default above zero")
}

/// The value of an empty struct: for types whose fields all have defaults.
pub(crate) fn of_defaults<T: super::syntax::Decode>() -> T {
    super::syntax::from_text("()").expect("all fields have defaults")
}
