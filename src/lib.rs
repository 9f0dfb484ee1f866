//! Quorate: a deterministic discrete-event simulator for multi-agent systems seen as distributed systems.
//!
//! The floors, from the ground up; a module never reaches up a floor:
//!
//! 1. [`kernel`]: time, event queue, random draws, the loop, the fingerprint.
//! 2. [`random`], [`statistics`], [`network`], [`faults`]: distributions; intervals and quantiles; links, loss, partitions; fault
//!    schedules.
//! 3. [`state`] and the actors: programs, services, stores; [`coordination`]: how members come to one decision.
//! 4. [`measures`], [`check`]: observers of records; the account of every task, rebuilt.
//! 5. [`scenario`]: the language, the plan, the world built from it.
//! 6. [`experiment`]: variants, replicates, statistics, baselines.
//! 7. [`output`]: tables, plots, reports.

pub mod agents;
pub mod channels;
pub mod check;
pub mod coordination;
pub mod experiment;
pub mod faults;
pub mod kernel;
pub mod measures;
pub mod network;
pub mod output;
pub mod random;
pub mod reference;
pub mod scenario;
pub mod services;
pub mod state;
pub mod statistics;
pub mod stores;
pub mod world;
