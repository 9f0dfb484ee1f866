//! Floor 6: variants, replicates, statistics, baselines.
pub mod statistics;
