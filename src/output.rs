//! Floor 7: what comes out: tables, plots and files. Everything is made in memory; writing it is the command's business.

pub mod files;
pub mod knee;
pub mod pictures;
pub mod plots;
pub mod summary;
pub mod tables;
pub mod timeline;

pub use files::{File, bundle};
