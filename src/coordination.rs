//! Floor 3: protocols by which several members come to one decision, as data without I/O.
//!
//! Nothing here sends, waits or reads a clock. A host hands a member its input (a start, a message, a timer that is due, a
//! proposal, a question) with what the member's own clock reads, and does what the member wants done.

#[cfg(test)]
pub(crate) mod bench;
pub mod causal;
pub mod chain;
pub mod gossip;
pub mod group;
pub mod hierarchy;
pub mod member;
pub mod orchestrator;
pub mod pbft;
pub mod raft;
#[cfg(test)]
mod reference;
pub mod shared;
pub mod spec;
pub mod swim;
pub mod team;
pub mod voting;
pub mod work;

pub use spec::{CoordinationSpec, PatternInfo, Protocol, patterns};
