//! The measures of shared state, with their names, units and meanings.

use super::SharedStateJudge;
use super::endings::Endings;
use super::ledger::{KeyState, Write, against, flag, side_of};
use super::series::{Samples, Steps};
use super::visibility::Visibility;
use crate::kernel::SimTime;
use crate::measures::{Better, MeasureInfo, Unit};
use crate::state::{Keeping, Op};
use crate::world::call::call_identity;
use std::collections::BTreeMap;

/// What is counted while the run goes on.
#[derive(Debug, Clone, Default)]
pub(super) struct Tally {
    pub writes: u64,
    pub acknowledged: u64,
    pub swaps: u64,
    pub swaps_refused: u64,
    pub swaps_given_up: u64,
    pub unfinished: u64,
    pub reads: u64,
    pub read_time: Samples,
    pub update_time: Samples,
    pub visibility: Visibility,
    pub concurrent: u64,
    pub conflicts: u64,
    pub overwritten_unseen: u64,
    pub siblings: u64,
    pub stale_reads: u64,
    pub stale_age: Samples,
    pub stale_lag: Samples,
    pub read_your_writes: u64,
    pub monotonic_reads: u64,
    pub monotonic_writes: u64,
    pub writes_follow_reads: u64,
    pub causal_violations: u64,
    pub unavailable_reads: u64,
    pub unavailable_updates: u64,
    pub duplicate_effects: u64,
    pub metadata_bytes: u64,
    pub tombstones: u64,
    pub messages: u64,
    pub bytes: u64,
    pub conflicts_over_time: Steps,
    pub diverged_over_time: Steps,
}

/// The results for the shared state of one run. The definitions are those of [`super`](crate::measures::shared_state).
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // `MEASURES` documents each of them, with its unit.
pub struct SharedState {
    pub writes: u64,
    pub acknowledged: u64,
    pub swaps: u64,
    pub swaps_refused: u64,
    pub swaps_given_up: u64,
    pub unfinished: u64,
    pub reads: u64,
    /// In nanoseconds, from the beginning of the call to its answer.
    pub read_time: Samples,
    /// The same of updates.
    pub update_time: Samples,
    /// Reads by the age of what they should show.
    pub visibility: Visibility,
    pub concurrent: u64,
    pub conflicts: u64,
    pub overwritten_unseen: u64,
    pub lost_effects: u64,
    pub lost_updates: u64,
    pub lost_characters: u64,
    /// The calls of the updates that have lost effects.
    pub lost: Vec<u64>,
    /// The most versions of one key that a read showed beside each other.
    pub siblings: u64,
    pub stale_reads: u64,
    /// In nanoseconds, of stale reads.
    pub stale_age: Samples,
    /// In writes, of stale reads.
    pub stale_lag: Samples,
    pub read_your_writes: u64,
    pub monotonic_reads: u64,
    pub monotonic_writes: u64,
    pub writes_follow_reads: u64,
    pub causal_violations: u64,
    /// In nanoseconds, by key in the order of stores and keys.
    pub divergence: Vec<u64>,
    pub diverged_keys: u64,
    /// For each end of a cut: when, and the nanoseconds until all was healed, if it was.
    pub heals: Vec<(SimTime, Option<u64>)>,
    pub unavailable_reads: u64,
    pub unavailable_updates: u64,
    pub metadata_bytes: u64,
    pub tombstones: u64,
    /// Sent to and by replicas, and their bytes.
    pub messages: u64,
    pub bytes: u64,
    pub overdrawn: u64,
    pub duplicate_effects: u64,
    /// Conflicts so far.
    pub conflicts_over_time: Steps,
    /// Keys whose live replicas differ.
    pub diverged_over_time: Steps,
}

/// A share; none of nothing.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// So much for each operation that ended.
fn per_operation(s: &SharedState, total: u64) -> Option<f64> {
    let ended = s.reads + s.acknowledged + s.swaps_given_up + s.unavailable_reads + s.unavailable_updates;
    (ended > 0).then(|| total as f64 / ended as f64)
}

fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}

/// Declares the table: what the registry says, and how each number follows from the results.
macro_rules! measures {
    ($($name:literal, $unit:ident, $better:ident, $doc:literal, $value:expr;)*) => {
        /// Every measure of shared state, in the order of tables.
        pub const MEASURES: &[MeasureInfo] = &[
            $(MeasureInfo { name: $name, unit: Unit::$unit, better: Better::$better, doc: $doc }),*
        ];
        /// How each of them follows from the results, in the same order.
        const VALUES: &[fn(&SharedState) -> Option<f64>] = &[$($value),*];
    };
}

measures! {
    "state.writes", Count, Neither, "Updates that a replica accepted, retries counted once.", |s| Some(s.writes as f64);
    "state.acknowledged", Count, Neither, "Updates whose answer reached their agent in time.", |s| Some(s.acknowledged as f64);
    "state.swaps", Count, Neither, "Conditional updates (compare-and-swap) that reached a replica, applied or not.", |s| Some(s.swaps as f64);
    "state.swaps.refused", Count, Lower, "Conditional updates that a replica refused, because the key had been updated since it was read.", |s| Some(s.swaps_refused as f64);
    "state.swaps.given_up", Count, Lower, "Conditional updates that failed because others were faster in every round that the policy allows. They were answered, so they aren't unavailable.", |s| Some(s.swaps_given_up as f64);
    "state.reads", Count, Neither, "Reads whose answer reached their agent in time.", |s| Some(s.reads as f64);
    "state.concurrent", Count, Lower, "Updates with a concurrent update of the same key: neither had seen the other, even through a chain.", |s| Some(s.concurrent as f64);
    "state.concurrent.share", Share, Lower, "Of all accepted updates, those with a concurrent one.", |s| share(s.concurrent, s.writes);
    "state.conflicts", Count, Lower, "Updates with a concurrent one that they don't commute with, counted once each.", |s| Some(s.conflicts as f64);
    "state.conflicts.share", Share, Lower, "Of all accepted updates, those in conflict.", |s| share(s.conflicts, s.writes);
    "state.overwritten_unseen", Count, Lower, "Updates outranked, at some replica and until the run is drained, by one that had not seen them.", |s| Some(s.overwritten_unseen as f64);
    "state.overwritten_unseen.share", Share, Lower, "Of all accepted updates, those overwritten unseen.", |s| share(s.overwritten_unseen, s.writes);
    "state.lost_updates", Count, Lower, "Acknowledged updates (on texts: characters) whose effect is on no replica once the run is drained and that no other update of the key had before its eyes: in what it had read or, if it is blind, in what its replica held when it was accepted; or which its agent had done itself or been told of.", |s| Some(s.lost_updates as f64);
    "state.lost_effects", Count, Lower, "Acknowledged updates (on texts: characters, inserted or deleted) whose effect is on no replica once the run is drained and was taken away by nobody who had it before his eyes: an increment, which can't be taken away, counts even if a later update that was itself lost was built on it.", |s| Some(s.lost_effects as f64);
    "state.lost_characters", Count, Lower, "Of the lost effects, those that are characters inserted into texts.", |s| Some(s.lost_characters as f64);
    "state.siblings.most", Count, Lower, "The most versions of one register that a read showed beside each other: 1 where nothing was in conflict, or where the model keeps one.", |s| (s.siblings > 0).then_some(s.siblings as f64);
    "state.stale_reads", Count, Lower, "Reads that lack an update acknowledged before they began which the store would keep.", |s| Some(s.stale_reads as f64);
    "state.stale_reads.share", Share, Lower, "Of all reads, those that were stale.", |s| share(s.stale_reads, s.reads);
    "state.stale_age.mean", Seconds, Lower, "Of stale reads: the time from the oldest acknowledgement that they lack to their serving, mean.", |s| s.stale_age.mean().map(|ns| ns / 1e9);
    "state.stale_age.p50", Seconds, Lower, "Of stale reads: median age.", |s| s.stale_age.quantile(0.5).map(seconds);
    "state.stale_age.p90", Seconds, Lower, "Of stale reads: 90th percentile of the age.", |s| s.stale_age.quantile(0.9).map(seconds);
    "state.stale_age.p99", Seconds, Lower, "Of stale reads: 99th percentile of the age.", |s| s.stale_age.quantile(0.99).map(seconds);
    "state.stale_age.max", Seconds, Lower, "Of stale reads: highest age.", |s| (s.stale_age.count > 0).then(|| seconds(s.stale_age.max));
    "state.stale_lag.mean", Count, Lower, "Of stale reads: how many acknowledged updates they lack, mean.", |s| s.stale_lag.mean();
    "state.stale_lag.p50", Count, Lower, "Of stale reads: median lag.", |s| s.stale_lag.quantile(0.5).map(|lag| lag as f64);
    "state.stale_lag.p90", Count, Lower, "Of stale reads: 90th percentile of the lag.", |s| s.stale_lag.quantile(0.9).map(|lag| lag as f64);
    "state.stale_lag.p99", Count, Lower, "Of stale reads: 99th percentile of the lag.", |s| s.stale_lag.quantile(0.99).map(|lag| lag as f64);
    "state.stale_lag.max", Count, Lower, "Of stale reads: highest lag.", |s| (s.stale_lag.count > 0).then_some(s.stale_lag.max as f64);
    "state.visibility.reads.share", Share, Higher, "Of all reads, those that weren't stale.", |s| share(s.reads - s.stale_reads, s.reads);
    "state.visibility.age.p90", Seconds, Lower, "How long after an acknowledgement a read has to begin so that 90 % of the reads that begin then aren't stale (t-visibility, Bailis et al. 2012): from the reads of the run by the time since the latest acknowledgement of an update of their key, where staleness falls with that age (isotonic regression, then a power law within half an octave of its crossing). None with fewer than ten stale reads, or fewer than 100 reads of greater age.", |s| s.visibility.age(0.1).map(seconds);
    "state.visibility.age.p99", Seconds, Lower, "The same for 99 %. None with fewer than ten stale reads, or fewer than 1,000 reads of greater age.", |s| s.visibility.age(0.01).map(seconds);
    "state.visibility.age.p999", Seconds, Lower, "The same for 99.9 %. None with fewer than ten stale reads, or fewer than 10,000 reads of greater age.", |s| s.visibility.age(0.001).map(seconds);
    "state.time.read.mean", Seconds, Lower, "Time of the reads whose answer reached their agent, from the beginning of the call to that: mean.", |s| s.read_time.mean().map(|ns| ns / 1e9);
    "state.time.read.p50", Seconds, Lower, "Median time of these reads (nearest rank; none with fewer than ten beyond it).", |s| s.read_time.quantile(0.5).map(seconds);
    "state.time.read.p99", Seconds, Lower, "Time that 99 % of these reads don't exceed (nearest rank; none with fewer than ten beyond it).", |s| s.read_time.quantile(0.99).map(seconds);
    "state.time.read.p999", Seconds, Lower, "Time that 99.9 % of these reads don't exceed (nearest rank; none with fewer than ten beyond it).", |s| s.read_time.quantile(0.999).map(seconds);
    "state.time.update.mean", Seconds, Lower, "Time of the acknowledged updates, from the beginning of the call to the acknowledgement: mean.", |s| s.update_time.mean().map(|ns| ns / 1e9);
    "state.time.update.p50", Seconds, Lower, "Median time of these updates (nearest rank; none with fewer than ten beyond it).", |s| s.update_time.quantile(0.5).map(seconds);
    "state.time.update.p99", Seconds, Lower, "Time that 99 % of these updates don't exceed (nearest rank; none with fewer than ten beyond it).", |s| s.update_time.quantile(0.99).map(seconds);
    "state.time.update.p999", Seconds, Lower, "Time that 99.9 % of these updates don't exceed (nearest rank; none with fewer than ten beyond it).", |s| s.update_time.quantile(0.999).map(seconds);
    "state.read_your_writes", Count, Lower, "Reads that lack an update of their own agent that was acknowledged before: the replica hadn't heard of it and would keep it, or the read shows only what that update had seen (a clock that is behind let it be outranked by what it was to replace).", |s| Some(s.read_your_writes as f64);
    "state.read_your_writes.share", Share, Lower, "Of all reads, those that lack an update of their own agent that was acknowledged before.", |s| share(s.read_your_writes, s.reads);
    "state.monotonic_reads", Count, Lower, "Reads that lack what an earlier read of the same agent and key returned: the replica hadn't heard of it, and would keep it.", |s| Some(s.monotonic_reads as f64);
    "state.monotonic_writes", Count, Lower, "Updates visible at a replica that hadn't heard of an earlier update of their agent, and would keep it.", |s| Some(s.monotonic_writes as f64);
    "state.writes_follow_reads", Count, Lower, "Updates visible at a replica that hadn't heard of something that their agent had read, and would keep it.", |s| Some(s.writes_follow_reads as f64);
    "state.causal_violations", Count, Lower, "Reads that lack an update in their agent's causal past which the store would keep. An update has seen what its agent had, and if it is blind what the replica held that accepted it.", |s| Some(s.causal_violations as f64);
    "state.divergence.total", Seconds, Lower, "Time until the end of the run during which live replicas show different values of a key, summed over keys.", |s| Some(seconds(s.divergence.iter().sum()));
    "state.divergence.max", Seconds, Lower, "The same, of the key that diverged longest.", |s| s.divergence.iter().max().map(|ns| seconds(*ns));
    "state.diverged_keys.left", Count, Lower, "Keys whose live replicas show different values once the run is drained.", |s| Some(s.diverged_keys as f64);
    "state.healed", Seconds, Lower, "Time from the end of the last cut until everything acknowledged before it was on every live replica.", |s| s.heals.last().and_then(|(_, took)| took.map(seconds));
    "state.healed.max", Seconds, Lower, "The same, of the cut that took longest to heal; nothing if one never did.", |s| s.heals.iter().map(|(_, took)| *took).collect::<Option<Vec<_>>>().and_then(|all| all.into_iter().max()).map(seconds);
    "state.unhealed", Count, Lower, "Cuts that ended but were not healed once the run was drained.", |s| Some(s.heals.iter().filter(|(_, took)| took.is_none()).count() as f64);
    "state.unfinished", Count, Lower, "Reads and updates that were neither answered nor given up when the run ended: their agents still waited.", |s| Some(s.unfinished as f64);
    "state.unavailable", Count, Lower, "Reads and updates refused or timed out.", |s| Some((s.unavailable_reads + s.unavailable_updates) as f64);
    "state.unavailable.share", Share, Lower, "Of all operations that ended, those refused or timed out.", |s| { let failed = s.unavailable_reads + s.unavailable_updates; share(failed, failed + s.reads + s.acknowledged) };
    "state.available.operations.share", Share, Higher, "Of all operations that ended, those that were answered.", |s| { let done = s.reads + s.acknowledged; share(done, done + s.unavailable_reads + s.unavailable_updates) };
    "state.metadata", Bytes, Lower, "Clocks, tombstones and siblings once the run is drained, summed over replicas.", |s| Some(s.metadata_bytes as f64);
    "state.tombstones", Count, Lower, "Deleted elements and characters that replicas still keep once the run is drained, because others might not know; summed over replicas.", |s| Some(s.tombstones as f64);
    "state.messages.per_operation", Ratio, Lower, "Messages to, from and between replicas for each operation that ended: requests, answers, replication.", |s| per_operation(s, s.messages);
    "state.bytes.per_operation", Bytes, Lower, "Bytes of these messages for each operation that ended.", |s| per_operation(s, s.bytes);
    "state.overdrawn", Count, Lower, "By how much the acknowledged additions to counters (of keys and of fields of maps) come to less than nothing, summed over counters: goods sold that weren't there, money spent twice. By what agents were told, whatever the store has kept.", |s| Some(s.overdrawn as f64);
    "state.duplicate_effects", Count, Lower, "Second and further versions of one intended update.", |s| Some(s.duplicate_effects as f64);
}

impl SharedState {
    /// Every measure by name; nothing where there is no such number.
    pub fn measures(&self) -> Vec<(&'static str, Option<f64>)> {
        MEASURES
            .iter()
            .zip(VALUES)
            .map(|(measure, value)| (measure.name, value(self)))
            .collect()
    }

    /// One measure.
    pub fn measure(&self, name: &str) -> Option<f64> {
        let place = MEASURES.iter().position(|measure| measure.name == name)?;
        VALUES[place](self)
    }
}

impl SharedStateJudge {
    /// The results of a run whose measured time ended at `end`, after the last batch.
    pub fn results(&mut self, end: SimTime) -> SharedState {
        if self.ended.is_none() {
            self.end_measured(end);
        }
        self.check_order();
        debug_assert!(
            self.ledger.counts_agree(),
            "keys count who may expect to see something of them"
        );
        let ((lost_effects, lost_updates, lost_characters), lost) = self.lost();
        let tally = self.tally.clone();
        SharedState {
            writes: tally.writes,
            acknowledged: tally.acknowledged,
            swaps: tally.swaps,
            swaps_refused: tally.swaps_refused,
            swaps_given_up: tally.swaps_given_up,
            unfinished: tally.unfinished,
            reads: tally.reads,
            read_time: tally.read_time,
            update_time: tally.update_time,
            visibility: tally.visibility,
            concurrent: tally.concurrent,
            conflicts: tally.conflicts,
            overwritten_unseen: tally.overwritten_unseen,
            lost_effects,
            lost_updates,
            lost_characters,
            lost,
            siblings: tally.siblings,
            stale_reads: tally.stale_reads,
            stale_age: tally.stale_age,
            stale_lag: tally.stale_lag,
            read_your_writes: tally.read_your_writes,
            monotonic_reads: tally.monotonic_reads,
            monotonic_writes: tally.monotonic_writes,
            writes_follow_reads: tally.writes_follow_reads,
            causal_violations: tally.causal_violations,
            divergence: self.ledger.keys.iter().map(|key| key.divergence).collect(),
            diverged_keys: self.diverged,
            heals: self.heals.iter().map(|heal| (heal.at, heal.took)).collect(),
            unavailable_reads: tally.unavailable_reads,
            unavailable_updates: tally.unavailable_updates,
            metadata_bytes: tally.metadata_bytes,
            tombstones: tally.tombstones,
            messages: tally.messages,
            bytes: tally.bytes,
            overdrawn: self.overdrawn(),
            duplicate_effects: tally.duplicate_effects,
            conflicts_over_time: tally.conflicts_over_time,
            diverged_over_time: tally.diverged_over_time,
        }
    }

    /// By how much the acknowledged additions to counters come to less than nothing.
    fn overdrawn(&self) -> u64 {
        let mut sums: BTreeMap<(u32, Option<u32>), i64> = BTreeMap::new();
        for (place, key) in (0..).zip(&self.ledger.keys) {
            if key.annals.spent != 0 {
                sums.insert((place, None), key.annals.spent);
            }
        }
        for write in &self.ledger.writes {
            let (field, by) = match write.op {
                Op::Add(by) => (None, by),
                Op::Increase { field, by } => (Some(field), by),
                _ => continue,
            };
            if write.acked != 0 && write.flags & flag::DUPLICATE == 0 {
                let sum = sums.entry((write.key, field)).or_default();
                *sum = sum.saturating_add(by);
            }
        }
        sums.values()
            .map(|sum| sum.saturating_neg().max(0).unsigned_abs())
            .sum()
    }

    /// Acknowledged effects that no replica contains and nobody took away, those of them that no other update had seen, and
    /// those of the first that are inserted characters; and the calls that the first came from.
    fn lost(&self) -> ((u64, u64, u64), Vec<u64>) {
        let ledger = &self.ledger;
        let mut contained = vec![false; ledger.writes.len()];
        let held = ledger
            .copies
            .iter()
            .flat_map(|copy| copy.held())
            .chain(&self.holds)
            .copied();
        let mut found: Vec<u32> = held.chain(self.effects_left()).collect();
        while let Some(write) = found.pop() {
            if !std::mem::replace(&mut contained[write as usize], true) {
                found.extend(ledger.writes[write as usize].bases());
            }
        }
        let ended = Endings::of(&ledger.writes, &ledger.keys);
        let (mut effects, mut unseen, mut characters) = (0, 0, 0);
        let (entities, mut calls) = (ledger.entities(), Vec::new());
        for (place, write) in (0..).zip(&ledger.writes) {
            if write.flags & flag::COUNTED == 0 || write.acked == 0 {
                continue;
            }
            let key = &ledger.keys[write.key as usize];
            let lost = self.lost_of(place, &contained);
            if lost.effects == 0 {
                continue;
            }
            let ranked = key.keeping == Keeping::Ranked;
            let was_seen = match ranked {
                true => {
                    let mut versions = self.versions(place);
                    key.annals.told.knows(write.agent, write.number)
                        || versions.any(|it| ledger.writes[it as usize].flags & flag::SEEN != 0)
                }
                false => key.annals.seen.knows(write.agent, write.number),
            };
            let was_replaced = match write.op {
                Op::Write(_) => was_seen,
                _ if ranked => self
                    .versions(place)
                    .any(|it| ended.has(&ledger.writes[it as usize], it, &ledger.told)),
                _ => is_replaced(key, write),
            };
            if !was_replaced {
                effects += lost.effects;
                characters += lost.characters;
                calls.push((write.order, write.agent, write.number));
            }
            if !was_seen {
                unseen += lost.effects;
            }
        }
        // Registers' updates that no replica holds.
        for it in &ledger.forgotten.unseen {
            if !ledger.keys[it.key as usize].annals.told.knows(it.agent, it.number) {
                effects += 1;
                unseen += 1;
                calls.push((it.order, it.agent, it.number));
            }
        }
        calls.sort_unstable();
        let calls = calls.into_iter();
        let calls = calls.map(|(_, agent, number)| call_identity(entities[agent as usize], number - 1));
        ((effects, unseen, characters), calls.collect())
    }
}

impl SharedStateJudge {
    /// Of keys with effects: those that are on some replica, not outranked there, and not carried on by another effect there.
    fn effects_left(&self) -> impl Iterator<Item = u32> {
        let ledger = &self.ledger;
        let mut carried_on: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
        let mut left = Vec::new();
        for (place, write) in (0..).zip(&ledger.writes) {
            for base in write.bases() {
                carried_on.entry(*base).or_default().push(place);
            }
        }
        for (place, write) in (0..).zip(&ledger.writes) {
            let key = &ledger.keys[write.key as usize];
            let on = |replica: u32| {
                let mut later = carried_on.get(&place).into_iter().flatten();
                let is_there = ledger.has_heard(replica, place) && !ledger.copy(replica, write.key).is_gone(place);
                is_there && !later.any(|later| ledger.has_heard(replica, *later))
            };
            if !key.has_heads() && key.replicas.iter().any(|replica| on(*replica)) {
                left.push(place);
            }
        }
        left.into_iter()
    }
}

/// Whether somebody who had seen an effect on an element or a field took it away.
fn is_replaced(key: &KeyState, write: &Write) -> bool {
    let (side, element) = match write.op {
        Op::Write(_) | Op::Add(_) => return false,
        Op::Put { .. } | Op::Increase { .. } | Op::Drop { .. } => {
            let Some((field, side)) = side_of(write.op) else {
                return false;
            };
            let sides = key.annals.fields.get(&field);
            return sides.is_some_and(|sides| {
                let mut ends = against(side).iter();
                ends.any(|other| sides[*other].seen.knows(write.agent, write.number))
            });
        }
        // Which of its characters were deleted was looked at one by one.
        Op::InsertText { .. } | Op::DeleteText { .. } => return false,
        Op::Insert(element) => (1, element),
        Op::Remove(element) => (0, element),
    };
    let sides = key.annals.elements.get(&element);
    sides.is_some_and(|sides| sides[side].seen.knows(write.agent, write.number))
}
