//! Floor 4: checks: independent code that rebuilds from the records what the models say of themselves, and histories of
//! stores, ours and others', judged against consistency models.

mod causal;
pub mod critical_path;
mod explain;
pub mod history;
mod judge;
mod linearizable;
mod logs;
pub mod models;
pub mod past;
#[cfg(test)]
mod raft_runs;
pub mod recording;
mod sequential;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub use explain::{Detail, Violation, label};
pub use judge::{Budget, Judgement, Refusal, Verdict, judge};
pub use models::{Model, Spec};
