//! Floor 3: agents: their programs, their policies, and the groups and streams that run them.
//!
//! In reading order: [`step`] is a program as written, with names resolved; [`program`] compiles it to one flat array of
//! instructions for a group; [`policy`] is how a client behaves; [`spec`] is a group as described; [`group`] runs it all, step by step in [`stepping`], with the
//! calls of [`calling`], those that are pursued with more than timeouts and retries in [`pursuing`], the messages of [`messaging`], the recorded sessions of [`edits`], the recorded runs of [`rows`], the channels of [`channels`], and what faults do in [`disturbance`].

pub mod activation;
pub mod budget;
mod caching;
pub mod calling;
pub mod channels;
mod conversation;
mod demand;
pub mod disturbance;
pub mod edits;
pub mod endless;
pub mod errs;
pub mod group;
mod habits;
pub mod journal;
pub mod locking;
mod memory;
pub mod messaging;
pub mod policy;
pub mod program;
pub mod pursuing;
pub mod rows;
mod sessions;
pub mod spec;
pub mod step;
pub mod stepping;
pub mod swapping;
mod waiting;

pub use caching::{CacheSpec, cached};
pub use channels::{Consumes, Remembers};
pub use demand::{Demand, Surge};
pub use group::AgentGroup;
pub use journal::{Granularity, JournalSpec};
pub use policy::{Backoff, Policy, Resilience};
pub use program::Program;
pub use spec::{Arrivals, GroupSpec, RankBlock};
pub use step::Step;
