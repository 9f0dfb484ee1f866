//! Floor 6: variants, replicates, statistics, expectations, baselines.
//!
//! In reading order: [`grid`] runs every variant over its replicates; [`results`] is what they say together; [`judge`] holds it
//! against what the scenario expects; [`baseline`] against what it said before; [`compare`] holds two results together.

pub mod baseline;
pub mod compare;
pub mod grid;
pub mod judge;
pub mod results;

pub use crate::scenario::Registry;
pub use grid::{Cell, Grid, Options, Progress, measure_with};
pub use judge::claims;
pub use results::Results;

pub use crate::statistics;
