//! Floor 6: variants, replicates, statistics, baselines.

pub use crate::statistics;
