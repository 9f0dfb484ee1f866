//! Floor 6: variants, replicates, statistics, expectations, baselines.
//!
//! In reading order: [`grid`] runs every variant over its replicates, and hands the runs over in order ([`ordered`]); [`results`]
//! is what they say together, with the numbers of each run kept small ([`numbers`]); [`judge`] holds it against what the scenario
//! expects; [`baseline`] against what it said before; [`compare`] holds two results together. [`scaling`] says how measures grow from variant to variant. [`knee`] looks for the value
//! of a parameter at which a verdict changes.

pub mod baseline;
pub mod compare;
pub mod grid;
pub mod judge;
pub mod knee;
pub mod numbers;
pub mod ordered;
#[cfg(test)]
mod promises;
pub mod results;
pub mod scaling;

pub use crate::scenario::Registry;
pub use grid::{Cell, Grid, Options, Progress, measure_with};
pub use judge::claims;
pub use numbers::Numbers;
pub use results::{Gathering, Results};

pub use crate::statistics;
