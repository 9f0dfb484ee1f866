//! Hierarchies: who decides how much, how soon, and how much of it goes up; what the root knows; what cuts and crashes of coordinators cost.
//!
//! What happened before the warm-up doesn't count. Tiers have names: `coordination.fleet.region.decisions` is of the tier `region` of the group `fleet`.

use super::coordination::{PerGroup, Watched};
use super::registry::measure_table;
use super::{Measure, MeasureInfo, Options, Setting, Sheet};
use crate::coordination::hierarchy::{INFO, Rules, notes};
use crate::coordination::member::event;
use crate::kernel::{SimDuration, SimTime};
use crate::statistics::Recorder;
use crate::world::message::MessageKind;
use crate::world::record::{Batch, Mask, Record, What};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is measured of a hierarchy.
pub(super) const HIERARCHY: &[MeasureInfo] = measure_table![
    "coordination.*.decisions", Count, Neither, "Decisions of coordinators, those included that were taken back later; with the name of a tier behind the group's, those of that tier.";
    "coordination.*.decisions.share", Share, Neither, "The part of the decisions that a tier made.";
    "coordination.*.decisions.time.mean", Seconds, Lower, "Time from when an agent submitted something until it was decided: the mean, of all decisions or of a tier's. Of several decisions on one submission the first counts.";
    "coordination.*.decisions.time.p50", Seconds, Lower, "The median of these times.";
    "coordination.*.decisions.time.p90", Seconds, Lower, "The 90th percentile of these times.";
    "coordination.*.decisions.time.p95", Seconds, Lower, "The 95th percentile of these times.";
    "coordination.*.decisions.time.p99", Seconds, Lower, "The 99th percentile of these times.";
    "coordination.*.decisions.time.max", Seconds, Lower, "The longest of these times.";
    "coordination.*.escalated", Count, Lower, "Submissions that a coordinator sent up, each counted once.";
    "coordination.*.escalated.share", Share, Lower, "The part of the submissions that were decided that had been sent up.";
    "coordination.*.abroad", Count, Neither, "Submissions that a root sent to another system, each counted once.";
    "coordination.*.totals.age.mean", Seconds, Lower, "How old the oldest part of the sums is, by the clocks of coordinators, when a root looks at them: the mean.";
    "coordination.*.totals.age.max", Seconds, Lower, "The greatest of these ages.";
    "coordination.*.totals.behind.mean", Count, Lower, "Submissions that are decided and aren't in the sums, when a root looks at them: the mean.";
    "coordination.*.totals.behind.max", Count, Lower, "The most of them.";
    "coordination.*.root.messages", Count, Lower, "Messages between members that those who fill the place of a root sent or got.";
    "coordination.*.root.bytes", Bytes, Lower, "The size of these messages.";
    "coordination.*.root.load", Share, Lower, "The part of the time that a root spent with decisions: the mean of the roots, by when each decision was done.";
    "coordination.*.overcommit", Count, Lower, "What was granted beyond what a coordinator had of the quota, by magnitude: by those who went on alone.";
    "coordination.*.overcommit.covered", Count, Neither, "How much of that was covered later.";
    "coordination.*.overcommit.uncovered", Count, Lower, "How much of it wasn't, since there was no more: what was promised twice.";
    "coordination.*.alone", Count, Lower, "How often a coordinator went on alone.";
    "coordination.*.uncoordinated.total", Seconds, Lower, "Time during which a position had nobody that was up and active, of all positions together, from the warm-up to the end.";
    "coordination.*.uncoordinated.mean", Seconds, Lower, "Time from when a position lost whoever was active until somebody was again: the mean of those that ended after the warm-up.";
    "coordination.*.uncoordinated.max", Seconds, Lower, "The longest of these times.";
    "coordination.*.takeovers", Count, Lower, "How often somebody else became active at a position.";
    "coordination.*.two_active.total", Seconds, Lower, "Time during which two were up and active at one position, of all positions together.";
    "coordination.*.adopted", Count, Lower, "How often a coordinator took a child, or a desk, of a silent sibling.";
    "coordination.*.reconciled", Count, Lower, "Decisions that were taken back, since somebody else had decided the same.";
    "coordination.*.reconciled.differing", Count, Lower, "Of these the ones where the two had decided differently: an agent may have acted on the other answer.";
];

/// How many times are kept exactly.
const KEPT: usize = 100_000;

/// Who is at a position.
#[derive(Debug, Clone, Default)]
struct Post {
    active: BTreeSet<u32>,
    /// Who became active last.
    last: Option<u32>,
    empty_since: Option<SimTime>,
    two_since: Option<SimTime>,
}

#[derive(Debug, Default)]
struct Sums {
    ages: (u64, u64),
    oldest: u64,
    behind: (u64, u64),
    furthest: u64,
    /// By root, how many decisions it last knew of.
    known: BTreeMap<u32, u64>,
}

#[derive(Debug)]
struct Tally {
    watched: Watched,
    rules: Arc<Rules>,
    /// What was asked for and isn't decided, since when.
    open: BTreeMap<u64, SimTime>,
    decided: BTreeSet<u64>,
    escalated: BTreeSet<u64>,
    abroad: BTreeSet<u64>,
    /// By tier: decisions, and the times of first ones.
    tiers: Vec<(u64, Recorder)>,
    all: Recorder,
    /// First decisions after the warm-up, and those of them that had been sent up.
    counted: (u64, u64),
    sums: Sums,
    root: (u64, u64),
    busy: u64,
    over: [u64; 3],
    alone: u64,
    adopted: u64,
    reconciled: [u64; 2],
    takeovers: u64,
    posts: Vec<Post>,
    /// Times without anybody: how many, their sum, and the longest.
    empty: (u64, u64, u64),
    empty_total: SimDuration,
    two_total: SimDuration,
}

impl Tally {
    fn new(watched: Watched) -> Option<Self> {
        let rules = Arc::clone(watched.hierarchy.as_ref()?);
        let post = Post {
            empty_since: Some(SimTime::ZERO),
            ..Post::default()
        };
        Some(Self {
            open: BTreeMap::new(),
            decided: BTreeSet::new(),
            escalated: BTreeSet::new(),
            abroad: BTreeSet::new(),
            tiers: rules.names.iter().map(|_| (0, Recorder::new(KEPT))).collect(),
            all: Recorder::new(KEPT),
            counted: (0, 0),
            sums: Sums::default(),
            root: (0, 0),
            busy: 0,
            over: [0; 3],
            alone: 0,
            adopted: 0,
            reconciled: [0; 2],
            takeovers: 0,
            posts: vec![post; rules.tree.len() as usize],
            empty: (0, 0, 0),
            empty_total: SimDuration::ZERO,
            two_total: SimDuration::ZERO,
            rules,
            watched,
        })
    }

    fn position(&self, entity: u32) -> Option<u32> {
        self.rules.position(entity - self.watched.first)
    }

    fn is_root(&self, entity: u32) -> bool {
        self.position(entity)
            .is_some_and(|position| self.rules.tree.parent(position).is_none())
    }

    /// A message was sent by a member, or has come to it.
    fn passes(&mut self, entity: u32, bytes: u64) {
        if self.is_root(entity) {
            self.root = (self.root.0 + 1, self.root.1 + bytes);
        }
    }

    fn decides(&mut self, record: &Record, word: u64, counts: bool) {
        let (identity, now) = (record.a, record.time);
        let (tier, took) = ((word & 0xff) as usize, word >> 8);
        if counts {
            self.tiers[tier].0 += 1;
            if tier == 0 {
                self.busy += took;
            }
        }
        if !self.decided.insert(identity) {
            return;
        }
        let since = self.open.remove(&identity);
        if counts {
            self.counted.0 += 1;
            self.counted.1 += u64::from(self.escalated.contains(&identity));
            if let Some(since) = since {
                let took = (now - since).as_nanos();
                self.tiers[tier].1.record(took);
                self.all.record(took);
            }
        }
    }

    fn looks(&mut self, record: &Record, age: u64, counts: bool) {
        self.sums.known.insert(record.subject, record.a);
        // Several who fill the place of one root know of the same decisions: what they say last counts once.
        let mut by_position: BTreeMap<u32, u64> = BTreeMap::new();
        for (entity, known) in &self.sums.known {
            if let Some(position) = self.position(*entity) {
                let most = by_position.entry(position).or_default();
                *most = (*most).max(*known);
            }
        }
        if counts {
            let known: u64 = by_position.values().sum();
            let behind = (self.decided.len() as u64).saturating_sub(known);
            let sums = &mut self.sums;
            sums.ages = (sums.ages.0 + age, sums.ages.1 + 1);
            sums.oldest = sums.oldest.max(age);
            sums.behind = (sums.behind.0 + behind, sums.behind.1 + 1);
            sums.furthest = sums.furthest.max(behind);
        }
    }

    /// Somebody is active at a position, or not any more.
    fn stands(&mut self, entity: u32, active: bool, now: SimTime, warm_up: SimTime) {
        let Some(position) = self.position(entity) else {
            return;
        };
        let post = &mut self.posts[position as usize];
        match active {
            true => {
                post.active.insert(entity);
                let changes = post.last.replace(entity).is_some_and(|last| last != entity);
                self.takeovers += u64::from(changes && now >= warm_up);
            }
            false => drop(post.active.remove(&entity)),
        }
        if post.active.is_empty() {
            post.empty_since.get_or_insert(now);
        } else if let Some(since) = post.empty_since.take()
            && now >= warm_up
        {
            self.empty_total += now - since.max(warm_up);
            // Before the run nobody was missed.
            if since > SimTime::ZERO {
                let took = (now - since).as_nanos();
                self.empty = (self.empty.0 + 1, self.empty.1 + took, self.empty.2.max(took));
            }
        }
        if post.active.len() > 1 {
            post.two_since.get_or_insert(now);
        } else if let Some(since) = post.two_since.take()
            && now >= warm_up
        {
            self.two_total += now - since.max(warm_up);
        }
    }

    fn see(&mut self, record: &Record, extra: &[u64], warm_up: SimTime) {
        let (now, counts) = (record.time, record.time >= warm_up);
        let one = u64::from(counts);
        let much = if counts { record.b } else { 0 };
        match record.c as u16 {
            event::DECIDED => self.decides(record, extra.first().copied().unwrap_or(0), counts),
            notes::ESCALATES if counts => drop(self.escalated.insert(record.a)),
            notes::ABROAD if counts => drop(self.abroad.insert(record.a)),
            notes::COVERS => self.stands(record.subject, true, now, warm_up),
            notes::UNCOVERS => self.stands(record.subject, false, now, warm_up),
            notes::ADOPTS => self.adopted += one,
            notes::TOTALS => self.looks(record, extra.first().copied().unwrap_or(0), counts),
            notes::OVER => self.over[0] += much,
            notes::COVERED => self.over[1] += much,
            notes::UNCOVERED => self.over[2] += much,
            notes::RECONCILED => {
                self.reconciled[0] += one;
                self.reconciled[1] += much;
            }
            notes::ALONE => self.alone += one,
            _ => {}
        }
    }

    fn write(mut self, end: SimTime, warm_up: SimTime, sheet: &mut Sheet) {
        for post in &mut self.posts {
            if let Some(since) = post.empty_since.take() {
                self.empty_total += end.max(since.max(warm_up)) - since.max(warm_up);
            }
            if let Some(since) = post.two_since.take() {
                self.two_total += end.max(since.max(warm_up)) - since.max(warm_up);
            }
        }
        let group = &self.watched.name;
        let name = |what: &str| format!("coordination.{group}.{what}");
        let per = |sum: u64, count: u64| (count > 0).then(|| sum as f64 / count as f64);
        let all: u64 = self.tiers.iter().map(|(count, _)| *count).sum();
        for (tier, (count, times)) in self.rules.names.iter().zip(&self.tiers) {
            let name = |what: &str| format!("coordination.{group}.{tier}.{what}");
            sheet.count(name("decisions"), *count);
            sheet.number(name("decisions.share"), per(*count, all));
            sheet.durations(&name("decisions.time"), times);
        }
        sheet.durations(&name("decisions.time"), &self.all);
        let [over, covered, uncovered] = self.over;
        for (what, count) in [
            ("decisions", all),
            ("escalated", self.escalated.len() as u64),
            ("abroad", self.abroad.len() as u64),
            ("root.messages", self.root.0),
            ("overcommit", over),
            ("overcommit.covered", covered),
            ("overcommit.uncovered", uncovered),
            ("alone", self.alone),
            ("takeovers", self.takeovers),
            ("adopted", self.adopted),
            ("reconciled", self.reconciled[0]),
            ("reconciled.differing", self.reconciled[1]),
        ] {
            sheet.count(name(what), count);
        }
        sheet.number(name("root.bytes"), Some(self.root.1 as f64));
        sheet.number(name("escalated.share"), per(self.counted.1, self.counted.0));
        let sums = &self.sums;
        if sums.ages.1 > 0 {
            sheet.number(
                name("totals.age.mean"),
                per(sums.ages.0, sums.ages.1).map(|nanos| nanos / 1e9),
            );
            sheet.number(name("totals.age.max"), Some(sums.oldest as f64 / 1e9));
            sheet.number(name("totals.behind.mean"), per(sums.behind.0, sums.behind.1));
            sheet.count(name("totals.behind.max"), sums.furthest);
        }
        let measured = (end.max(warm_up) - warm_up).as_nanos();
        let roots = self.rules.tree.roots().len() as u64;
        sheet.number(name("root.load"), per(self.busy, measured * roots));
        sheet.number(name("uncoordinated.total"), Some(self.empty_total.as_secs_f64()));
        let (times, sum, longest) = self.empty;
        sheet.number(name("uncoordinated.mean"), per(sum, times).map(|nanos| nanos / 1e9));
        sheet.number(name("uncoordinated.max"), (times > 0).then_some(longest as f64 / 1e9));
        sheet.number(name("two_active.total"), Some(self.two_total.as_secs_f64()));
    }
}

/// The measure of hierarchies.
#[derive(Debug)]
pub struct Hierarchies {
    setting: Arc<Setting>,
    groups: PerGroup<Tally>,
}

impl Hierarchies {
    /// For a run; `None` without a hierarchy.
    pub fn of(setting: &Arc<Setting>, _: Options) -> Option<Self> {
        let is_one = |watched: &Watched| watched.pattern == INFO.name;
        setting.coordination.iter().any(is_one).then(|| Self {
            groups: PerGroup::of(setting, |watched| Tally::new(watched.clone())),
            setting: Arc::clone(setting),
        })
    }
}

impl Measure for Hierarchies {
    fn wants(&self) -> Mask {
        Mask::of(&[
            What::Coordination,
            What::Sent,
            What::Delivered,
            What::CallStarted,
            What::Crashed,
        ])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        let warm_up = self.setting.warm_up;
        for record in batch.records {
            match record.what {
                What::Sent | What::Delivered if record.a as u8 == MessageKind::Peer as u8 && record.time >= warm_up => {
                    if let Some(tally) = self.groups.of_entity(record.subject) {
                        let bytes = match record.what {
                            What::Sent => record.b,
                            _ => batch.extra(record).first().copied().unwrap_or(0),
                        };
                        tally.passes(record.subject, bytes);
                    }
                }
                What::Coordination => {
                    if let Some(tally) = self.groups.of_entity(record.subject) {
                        tally.see(record, batch.extra(record), warm_up);
                    }
                }
                What::CallStarted => {
                    if let Some(tally) = self.groups.of_entity(record.b as u32) {
                        tally.open.insert(record.a, record.time);
                    }
                }
                What::Crashed => {
                    if let Some(tally) = self.groups.of_entity(record.subject) {
                        tally.stands(record.subject, false, record.time, warm_up);
                    }
                }
                _ => {}
            }
        }
    }

    fn finish(self: Box<Self>, end: SimTime, sheet: &mut Sheet) {
        for tally in self.groups.into_all() {
            tally.write(end, self.setting.warm_up, sheet);
        }
    }
}
