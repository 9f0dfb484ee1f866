//! Floor 7: tables, plots, reports.
pub mod plots;
pub mod tables;
