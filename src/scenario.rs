//! Floor 5: the language, the plan, the world built from it.

pub mod build;
pub mod plan;
pub mod syntax;

pub use build::{Run, RunEnd, build};
pub use plan::Plan;
