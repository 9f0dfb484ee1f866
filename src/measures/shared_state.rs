//! Shared state judged from outside: what conflicts, what is lost, what is stale, by the simulator's own knowledge of time
//! and cause.
//!
//! The judge reads records and nothing else: a store can neither help nor mislead it. In reading order: `judge` follows the
//! records; `ledger` is what it remembers of writes, keys, replicas and agents; `reads` judges reads, `joins` those that no single
//! replica served, `visibility` gathers them by age, `spread` the way of
//! effects to replicas; `past` and `frontier` are its clocks; `results` lists the measures with their units.
//!
//! # Definitions
//!
//! The causal past of an operation: what came before it in its agent's program (agents are sequential: an operation comes
//! after all that its agent has begun before), what it or these have read, what had happened at the sender of a message
//! before it was sent, and so on through chains. A *blind* update has also seen all that the replica which accepted it had
//! heard of the key, outranked or not, and in a store with a log what stood there before it; every update is blind but a write to a register, or an edit of a text, that comes with a
//! context.
//!
//! - *Concurrent*: two writes of different agents to one key, neither in the other's past. *Conflict*: they don't commute
//!   either. Writes to a register never commute; increments do; on a set only insert and remove of the same element don't; on a
//!   map a write of a field's register doesn't commute with another or with a removal of the field, nor an increase with a removal; on
//!   a text insertions at one place (after the same character) don't, and deletions that overlap (in a character).
//! - *Overwritten unseen*: a write outranked, at some replica or in the log of one, by one that didn't have it in its past.
//! - *Before its eyes* a write had what its read returned or, if it is blind, what its replica held (what that had heard of and
//!   thrown away nobody can build on), and what its agent had written before or been told of in messages.
//! - *Lost effect*: an acknowledged elementary effect that no replica contains once the run is drained and that nobody who had it
//!   before his eyes took away. A replica contains what it shows or keeps as a sibling, and what that was computed from. A
//!   register's value is taken away by a later write, an insert by a remove of the element and a remove by an insert, what is in
//!   a map's field also by a removal of that, an increment by nothing: a later increment on top of it isn't meant to end it. On a
//!   text each character is an effect: an inserted one is taken away by a deletion that took it; a deleted one is lost as a
//!   deletion if it is back, on a replica whose text no deletion of it is part of. *Lost update*: the narrower count of those
//!   that no other write of the key had before its eyes at all.
//! - *Stale read*: one that lacks a write acknowledged before it began. It lacks what its replica had not heard of when it
//!   served, and would keep, given what it held: under last-write-wins a write of higher rank; where causality decides, one
//!   that nothing held there supersedes; otherwise any. A read that no single replica served is judged by what it shows in the
//!   same way: what it was made of stands for what the replica held, and the context that it returns, or the effects that it
//!   shows, for what the replica had heard of. Its *lag* is their number, its *age* the time from the oldest of
//!   these acknowledgements to the moment when it was served.
//! - *Session violations*, for each agent: a read that lacks an own write which was acknowledged before, or that shows nothing
//!   but what this write had seen and so was to replace (read your writes: the latter happens where ranks contradict causes, as
//!   with a clock that is behind; an own write that gave way to one which it hadn't seen is no violation but overwritten); a read
//!   that lacks what an earlier read of the key has returned (monotonic reads); a write that becomes visible at a replica which
//!   lacks an earlier write of its agent (monotonic writes), or what its agent has read before (writes follow reads). The
//!   latter two count a write once each.
//! - *Causal violation*: a read that lacks a write to its key in its agent's past.
//! - *Divergence*: the time during which the live replicas that keep a key show different values of it, summed over keys. *Healed*: the
//!   time from the end of a cut until every live replica has what had been acknowledged by then.
//! - *Duplicate effect*: one update applied once more, as another version. A version that stands in a log is applied when a replica shows it.
//!
//! Operations count by when they were begun or accepted: after the warm-up, and before the end of the measured time. What
//! becomes of their effects (lost, outranked, in which order they appear where, when a cut is healed) is judged once the run
//! is drained; divergence is counted until the end of the measured time.

mod endings;
mod frontier;
mod joins;
mod judge;
mod ledger;
mod past;
mod reads;
mod results;
mod series;
mod spread;
#[cfg(test)]
mod tests;
mod text;
mod visibility;

pub use judge::SharedStateJudge;
pub use results::{MEASURES, SharedState};
pub use series::{Samples, Steps};
pub use visibility::Visibility;

use crate::kernel::SimTime;
use crate::state::{Keeping, KeyType};
use crate::stores::{Model, StoreSpec};

/// What the judge is told about the stores before the run.
#[derive(Debug, Clone, Default)]
pub struct Watched {
    /// The stores, by their number in records.
    pub stores: Vec<WatchedStore>,
    /// The faults that are cuts, by their index.
    pub cuts: Vec<u32>,
    /// Whether replicas may lose their state, or take back what they showed: then nothing is forgotten before the end.
    pub may_lose_state: bool,
    /// Whether no update is ever sent or delivered twice: then nobody accepts one whose agent is done with it.
    pub each_once: bool,
    /// Updates accepted, and reads begun, before this aren't counted.
    pub from: SimTime,
}

/// One store.
#[derive(Debug, Clone, Default)]
pub struct WatchedStore {
    /// Its replicas' ids, in order.
    pub replicas: Vec<u32>,
    /// Its keys, in order: what they are, and which effects the model keeps.
    pub keys: Vec<(KeyType, Keeping)>,
    /// Whether reads join what several replicas answer.
    pub joins: bool,
    /// Whether an update is taken into a log, and builds on what stands there, before anybody is shown it.
    pub logs: bool,
    /// Whether no update says what its agent had read before.
    pub blind: bool,
    /// Whether agents keep what they read, in caches.
    pub is_kept: bool,
    /// Whether a replica may be told again of what it has heard of.
    pub repeats: bool,
    /// Which replicas keep a key, by their places, ascending: the lists that there are.
    pub lists: Vec<Vec<u32>>,
    /// Of each key its list; empty if every replica keeps every key.
    pub list_of: Vec<u32>,
}

impl WatchedStore {
    /// A store as it is built: under this model, with the first of its replicas' ids.
    pub fn new(model: &Model, spec: &StoreSpec, base: u32) -> Self {
        let keys = spec.keys.iter().map(|(_, key)| (*key, model.keeping(*key)));
        let mut watched = Self {
            replicas: (base..).take(spec.replicas.len()).collect(),
            keys: keys.collect(),
            joins: spec.quorum().is_some(),
            logs: spec.primary().is_some(),
            repeats: spec.anti_entropy.is_some(),
            ..Self::default()
        };
        if let Some(quorum) = spec.quorum().filter(|quorum| (quorum.n as usize) < spec.replicas.len()) {
            let classes = quorum.placement.class(0).1;
            watched.lists = vec![Vec::new(); classes];
            for key in 0..spec.keys.len() as u32 {
                let (class, _) = quorum.placement.class(key);
                if watched.lists[class].is_empty() {
                    watched.lists[class] = quorum.list(key).iter().map(|member| u32::from(*member)).collect();
                    watched.lists[class].sort_unstable();
                }
                watched.list_of.push(class as u32);
            }
        }
        watched
    }
}
