//! Floor 5: the language, the plan, the world built from it.
//!
//! [`load()`] reads a scenario; [`build()`] makes a run of one of its plans.
//!
//! ```
//! use quorate::scenario::{Anything, build, load, syntax::Memory};
//!
//! let text = r#"(
//!     quorate: 1, name: "greeting", until: AllDone(within: "1h"),
//!     sites: ["here", "there"],
//!     network: (default: (one_way: "20ms")),
//!     services: {"echo": (at: "there", time: "5ms")},
//!     agents: {"caller": (count: 3, at: "here", program: [Call(service: "echo")])},
//! )"#;
//! let files = Memory::new().with("greeting.ron", text);
//! let outcome = load("greeting.ron".as_ref(), &[], &files, &Anything);
//! let scenario = outcome.scenario.expect("it has no errors");
//! let (end, ..) = build(&scenario.variants[0], scenario.seed, 0, vec![]).finish(u64::MAX);
//! assert_eq!(end.now.as_nanos(), 45_000_000);
//! ```

pub mod build;
pub mod data;
pub mod language;
pub mod load;
pub mod name;
pub mod plan;
pub mod resolve;
pub mod syntax;
pub mod written;

pub use build::{Drain, Extra, Run, RunEnd, build, build_with};
pub use load::{Outcome, Scenario, load, load_as};
pub use plan::Plan;
pub use resolve::{
    Anything, Expectation, Expected, Kind, KneeSpec, Known, Measures, Registry, ScalingPoint, ScalingSpec, What, amount,
};
pub use written::{Asked, DataFile};
