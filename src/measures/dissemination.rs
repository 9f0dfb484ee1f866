//! Gossip: whom items reach, how fast, and how often they are told in vain.
//!
//! From notes and crashes alone. Coverage is over all members, those that are down included: what a member lost with its memory it hasn't.
//! Items that came into the world before the warm-up don't count.

use super::coordination::{PerGroup, Watched};
use super::registry::measure_table;
use super::windows::Clock;
use super::{Measure, MeasureInfo, Options, Setting, Sheet};
use crate::coordination::gossip::{INFO, note};
use crate::kernel::SimTime;
use crate::statistics::Recorder;
use crate::world::record::{Batch, Mask, Record, What};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is measured of a group that gossips.
pub(super) const GOSSIP: &[MeasureInfo] = measure_table![
    "coordination.*.items", Count, Neither, "Items that came into the world.";
    "coordination.*.coverage", Share, Higher, "Over time, at the end of each window: the part of the members that has an item, on average over the items that there are by then.";
    "coordination.*.residue", Share, Lower, "The part of the members that hasn't an item at the end, on average over items.";
    "coordination.*.residue.max", Share, Lower, "The greatest such part of an item.";
    "coordination.*.full", Count, Higher, "Items that all members had at one time.";
    "coordination.*.full.time.mean", Seconds, Lower, "Time from when an item came into the world until all members had it: the mean of those that got so far.";
    "coordination.*.full.time.max", Seconds, Lower, "The longest of these times.";
    "coordination.*.full.rounds.mean", Count, Lower, "Rounds until all members had an item, the last one included: the mean of those that got so far. Where rounds are for all.";
    "coordination.*.last.time", Seconds, Lower, "Time from when an item came into the world until the last member that heard of it did: the mean over items.";
    "coordination.*.last.rounds", Count, Lower, "The same in rounds, where rounds are for all.";
    "coordination.*.delay", Seconds, Lower, "Time from when an item came into the world until a member heard of it: the distribution.";
    "coordination.*.delay.mean", Seconds, Lower, "Time from when an item came into the world until a member heard of it: the mean.";
    "coordination.*.delay.p50", Seconds, Lower, "The median of these times.";
    "coordination.*.delay.p90", Seconds, Lower, "The 90th percentile of these times.";
    "coordination.*.delay.p95", Seconds, Lower, "The 95th percentile of these times.";
    "coordination.*.delay.p99", Seconds, Lower, "The 99th percentile of these times.";
    "coordination.*.delay.max", Seconds, Lower, "The longest of these times.";
    "coordination.*.delay.rounds", Count, Lower, "Rounds until a member heard of an item: the mean. Where rounds are for all.";
    "coordination.*.hops.mean", Count, Lower, "Through how many hands an item came to a member: the mean.";
    "coordination.*.hops.max", Count, Lower, "The most of these.";
    "coordination.*.told", Count, Lower, "How often a member told another one of an item, lost messages included.";
    "coordination.*.traffic", Count, Lower, "How often a member told others of an item, per member and item.";
    "coordination.*.redundant", Count, Lower, "How often a member was told of an item that it had.";
    "coordination.*.redundant.share", Share, Lower, "The part of what members were told that they had.";
    "coordination.*.messages_per_member", Count, Lower, "Messages between members, per member.";
];

/// How many delays are kept exactly.
const KEPT: usize = 100_000;

/// One item.
#[derive(Debug)]
struct Item {
    began: SimTime,
    round: u64,
    /// Who has it.
    has: Vec<u64>,
    count: u32,
    last: SimTime,
    last_round: u64,
    full: Option<(SimTime, u64)>,
}

impl Item {
    // Branches, not `count += u32::from(is_new)`: of that rustc 1.95 (LLVM 22.1) loses the addition at `opt-level` 2 and above.

    /// A member has it from now on; whether it hadn't.
    fn give(&mut self, member: u32) -> bool {
        let bit = 1u64 << (member % 64);
        let word = &mut self.has[member as usize / 64];
        if *word & bit != 0 {
            return false;
        }
        *word |= bit;
        self.count += 1;
        true
    }

    /// A member hasn't got it any more; whether it had.
    fn take(&mut self, member: u32) -> bool {
        let bit = 1u64 << (member % 64);
        let word = &mut self.has[member as usize / 64];
        if *word & bit == 0 {
            return false;
        }
        *word &= !bit;
        self.count -= 1;
        true
    }
}

#[derive(Debug)]
struct Tally {
    watched: Watched,
    items: BTreeMap<u64, Item>,
    /// Copies that members have, of all items.
    copies: u64,
    delay: Recorder,
    rounds: u64,
    learnt: u64,
    hops: (u64, u64),
    told: u64,
    redundant: u64,
    messages: u64,
    coverage: Vec<f64>,
}

impl Tally {
    fn new(watched: Watched) -> Self {
        Self {
            watched,
            items: BTreeMap::new(),
            copies: 0,
            delay: Recorder::new(KEPT),
            rounds: 0,
            learnt: 0,
            hops: (0, 0),
            told: 0,
            redundant: 0,
            messages: 0,
            coverage: Vec::new(),
        }
    }

    /// The windows up to this one are over.
    fn close_windows(&mut self, upto: usize) {
        if self.coverage.len() < upto {
            let there = self.items.len() as f64 * f64::from(self.watched.count);
            let share = if there > 0.0 {
                self.copies as f64 / there
            } else {
                f64::NAN
            };
            self.coverage.resize(upto, share);
        }
    }

    fn see(&mut self, record: &Record, extra: &[u64], warm_up: SimTime) {
        let (now, member) = (record.time, record.subject - self.watched.first);
        match record.c as u16 {
            note::BEGUN if now >= warm_up => {
                let words = (self.watched.count as usize).div_ceil(64);
                let round = extra.get(1).copied().unwrap_or(0);
                let item = self.items.entry(record.a).or_insert_with(|| Item {
                    began: now,
                    round,
                    has: vec![0; words],
                    count: 0,
                    last: now,
                    last_round: round,
                    full: None,
                });
                self.copies += u64::from(item.give(member));
            }
            note::LEARNT => {
                if let Some(item) = self.items.get_mut(&record.a)
                    && item.give(member)
                {
                    self.copies += 1;
                    let (round, hops) = (record.b >> 32, record.b & u64::from(u32::MAX));
                    self.delay.record((now - item.began).as_nanos());
                    self.rounds += round.saturating_sub(item.round);
                    self.learnt += 1;
                    self.hops = (self.hops.0 + hops, self.hops.1.max(hops));
                    (item.last, item.last_round) = (now, item.last_round.max(round));
                    if item.count == self.watched.count {
                        item.full.get_or_insert((now, round));
                    }
                }
            }
            note::PASSED => self.told += u64::from(self.items.contains_key(&record.a)),
            note::AGAIN => self.redundant += u64::from(self.items.contains_key(&record.a)),
            _ => {}
        }
    }

    /// A member has lost its memory.
    fn forget(&mut self, entity: u32) {
        let member = entity - self.watched.first;
        for item in self.items.values_mut() {
            self.copies -= u64::from(item.take(member));
        }
    }

    fn write(mut self, clock: &Clock, end: SimTime, sample: usize, sheet: &mut Sheet) {
        let name = |what: &str| format!("coordination.{}.{what}", self.watched.name);
        let whole = clock.whole(end);
        let members = f64::from(self.watched.count);
        let count = self.items.len() as f64;
        let per = |sum: f64, count: f64| (count > 0.0).then(|| sum / count);
        sheet.count(name("items"), self.items.len() as u64);
        sheet.number(name("messages_per_member"), Some(self.messages as f64 / members));
        if self.items.is_empty() {
            return;
        }
        let there = count * members;
        let share = self.copies as f64 / there;
        self.coverage.resize(whole, share);
        sheet.series.insert(name("coverage"), clock.series(self.coverage));
        let residue = |item: &Item| 1.0 - f64::from(item.count) / members;
        let items = || self.items.values();
        sheet.number(name("residue"), per(items().map(residue).sum(), count));
        sheet.number(name("residue.max"), items().map(residue).max_by(f64::total_cmp));
        let full: Vec<(f64, f64)> = items()
            .filter_map(|item| {
                let (at, round) = item.full?;
                Some(((at - item.began).as_secs_f64(), round.saturating_sub(item.round) as f64))
            })
            .collect();
        sheet.count(name("full"), full.len() as u64);
        let (times, rounds) = (full.iter().map(|full| full.0), full.iter().map(|full| full.1));
        sheet.number(name("full.time.mean"), per(times.clone().sum(), full.len() as f64));
        sheet.number(name("full.time.max"), times.max_by(f64::total_cmp));
        let last = items().map(|item| (item.last - item.began).as_secs_f64()).sum();
        sheet.number(name("last.time"), per(last, count));
        if self.rounds > 0 {
            sheet.number(name("full.rounds.mean"), per(rounds.sum(), full.len() as f64));
            let last = items().map(|item| (item.last_round - item.round) as f64).sum();
            sheet.number(name("last.rounds"), per(last, count));
            sheet.number(name("delay.rounds"), per(self.rounds as f64, self.learnt as f64));
        }
        sheet.durations(&name("delay"), &self.delay);
        sheet.sample(name("delay"), &self.delay, sample);
        sheet.number(name("hops.mean"), per(self.hops.0 as f64, self.learnt as f64));
        sheet.count(name("hops.max"), self.hops.1);
        sheet.count(name("told"), self.told);
        sheet.number(name("traffic"), per(self.told as f64, there));
        sheet.count(name("redundant"), self.redundant);
        let heard = self.redundant as f64 + self.learnt as f64;
        sheet.number(name("redundant.share"), per(self.redundant as f64, heard));
    }
}

/// The measure of groups that gossip.
#[derive(Debug)]
pub struct Dissemination {
    setting: Arc<Setting>,
    sample: usize,
    clock: Clock,
    groups: PerGroup<Tally>,
}

impl Dissemination {
    /// For a run, if any group in it gossips.
    pub fn of(setting: &Arc<Setting>, options: Options) -> Option<Self> {
        let groups = PerGroup::by(setting, INFO.name, Tally::new)?;
        Some(Self {
            groups,
            clock: Clock::new(setting.window),
            sample: options.sample,
            setting: Arc::clone(setting),
        })
    }
}

impl Measure for Dissemination {
    fn wants(&self) -> Mask {
        Mask::of(&[What::Coordination, What::Sent, What::Crashed])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        let warm_up = self.setting.warm_up;
        // Faults have subjects of their own, which are nobody's.
        let mine = [What::Coordination, What::Sent, What::Crashed];
        for record in batch.records.iter().filter(|record| mine.contains(&record.what)) {
            let window = self.clock.at(record.time);
            let Some(tally) = self.groups.of_entity(record.subject) else {
                continue;
            };
            tally.close_windows(window);
            match record.what {
                What::Coordination => tally.see(record, batch.extra(record), warm_up),
                What::Sent if record.time >= warm_up => tally.messages += 1,
                What::Crashed if record.a == 1 => tally.forget(record.subject),
                _ => {}
            }
        }
    }

    fn finish(self: Box<Self>, end: SimTime, sheet: &mut Sheet) {
        for tally in self.groups.into_all() {
            tally.write(&self.clock, end, self.sample, sheet);
        }
    }
}
