//! SWIM: how soon crashes are found out, and how often members are suspected that are there.
//!
//! Who is up is known from crashes and returns, not from what members believe. What happened before the warm-up doesn't count.

use super::coordination::{PerGroup, Watched};
use super::registry::measure_table;
use super::{Measure, MeasureInfo, Options, Setting, Sheet};
use crate::coordination::swim::{INFO, note};
use crate::kernel::SimTime;
use crate::statistics::Recorder;
use crate::world::record::{Batch, Mask, Record, What};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is measured of a group that probes.
pub(super) const SWIM: &[MeasureInfo] = measure_table![
    "coordination.*.probes", Count, Neither, "Probes of members that were up all the time, and whose outcome is known.";
    "coordination.*.probes.false", Count, Lower, "Of these, those of which nothing was heard by the end of the period.";
    "coordination.*.probes.false.share", Share, Lower, "The part of these probes of which nothing was heard: false alarms per probe.";
    "coordination.*.suspected.false", Count, Lower, "How often a member began to suspect another one that was up, by itself or because it was told so.";
    "coordination.*.buried.false", Count, Lower, "How often a member took another one for failed that was up.";
    "coordination.*.refuted", Count, Neither, "How often a member said that it lives.";
    "coordination.*.crashes", Count, Neither, "Crashes of members.";
    "coordination.*.crashes.unseen", Count, Lower, "Crashes that nobody had found out when the member came back, or at the end.";
    "coordination.*.detection.first", Seconds, Lower, "Time from a crash until the first member suspected, or took for failed, whoever crashed: the distribution.";
    "coordination.*.detection.first.mean", Seconds, Lower, "Time from a crash until the first member suspected, or took for failed, whoever crashed: the mean.";
    "coordination.*.detection.first.p50", Seconds, Lower, "The median of these times.";
    "coordination.*.detection.first.p90", Seconds, Lower, "The 90th percentile of these times.";
    "coordination.*.detection.first.p95", Seconds, Lower, "The 95th percentile of these times.";
    "coordination.*.detection.first.p99", Seconds, Lower, "The 99th percentile of these times.";
    "coordination.*.detection.first.max", Seconds, Lower, "The longest of these times.";
    "coordination.*.detection.periods", Count, Lower, "In which period after a crash, from 1, the first probe began that found it out: the mean.";
    "coordination.*.detection.all.mean", Seconds, Lower, "Time from a crash until all members that were up took whoever crashed for failed: the mean of those that got so far.";
    "coordination.*.detection.all.p50", Seconds, Lower, "The median of these times.";
    "coordination.*.detection.all.p90", Seconds, Lower, "The 90th percentile of these times.";
    "coordination.*.detection.all.p95", Seconds, Lower, "The 95th percentile of these times.";
    "coordination.*.detection.all.p99", Seconds, Lower, "The 99th percentile of these times.";
    "coordination.*.detection.all.max", Seconds, Lower, "The longest of these times.";
    "coordination.*.joined", Count, Neither, "How often a member joined.";
];

/// How many times are kept exactly.
const KEPT: usize = 100_000;

/// A probe under way.
#[derive(Debug, Clone, Copy)]
struct Probe {
    number: u64,
    target: u32,
    began: SimTime,
    /// How often the target had crashed by then, if it was up.
    up: Option<u32>,
    unheard: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Standing {
    down: bool,
    crashes: u32,
    probe: Option<Probe>,
}

/// A crash that isn't known to all.
#[derive(Debug)]
struct Crash {
    at: SimTime,
    suspected: bool,
    /// The first period in which a probe of it went unheard.
    period: Option<u64>,
    known_to: BTreeSet<u32>,
    done: bool,
}

#[derive(Debug)]
struct Tally {
    watched: Watched,
    members: Vec<Standing>,
    up: u32,
    open: BTreeMap<u32, Crash>,
    probes: u64,
    unheard: u64,
    suspected: u64,
    buried: u64,
    refuted: u64,
    joined: u64,
    crashes: u64,
    unseen: u64,
    periods: (u64, u64),
    first: Recorder,
    all: Recorder,
}

impl Tally {
    fn new(watched: Watched) -> Self {
        Self {
            members: vec![Standing::default(); watched.count as usize],
            up: watched.count,
            watched,
            open: BTreeMap::new(),
            probes: 0,
            unheard: 0,
            suspected: 0,
            buried: 0,
            refuted: 0,
            joined: 0,
            crashes: 0,
            unseen: 0,
            periods: (0, 0),
            first: Recorder::new(KEPT),
            all: Recorder::new(KEPT),
        }
    }

    fn crash(&mut self, member: u32, now: SimTime, counts: bool) {
        let standing = &mut self.members[member as usize];
        if std::mem::replace(&mut standing.down, true) {
            return;
        }
        standing.crashes += 1;
        standing.probe = None;
        self.up -= 1;
        if counts {
            self.crashes += 1;
            let crash = Crash {
                at: now,
                suspected: false,
                period: None,
                known_to: BTreeSet::new(),
                done: false,
            };
            self.open.insert(member, crash);
        }
        for crash in self.open.values_mut() {
            crash.known_to.remove(&member);
        }
        self.complete(now);
    }

    fn restart(&mut self, member: u32) {
        if std::mem::take(&mut self.members[member as usize].down) {
            self.up += 1;
            if let Some(crash) = self.open.remove(&member) {
                self.close(&crash);
            }
        }
    }

    fn close(&mut self, crash: &Crash) {
        self.unseen += u64::from(!crash.suspected);
        if let Some(period) = crash.period {
            self.periods = (self.periods.0 + period, self.periods.1 + 1);
        }
    }

    /// Looks whether everybody knows of a crash by now.
    fn complete(&mut self, now: SimTime) {
        for crash in self.open.values_mut().filter(|crash| !crash.done) {
            if self.up > 0 && crash.known_to.len() as u32 == self.up {
                crash.done = true;
                self.all.record((now - crash.at).as_nanos());
            }
        }
    }

    /// A probe's outcome is known: the next one begins.
    fn settle(&mut self, prober: u32) {
        if let Some(probe) = self.members[prober as usize].probe.take() {
            let target = self.members[probe.target as usize];
            if probe.up == Some(target.crashes) && !target.down {
                self.probes += 1;
                self.unheard += u64::from(probe.unheard);
            }
        }
    }

    fn see(&mut self, record: &Record, warm_up: SimTime) {
        let (now, counts) = (record.time, record.time >= warm_up);
        let (member, other) = (record.subject - self.watched.first, record.a as u32);
        let is_up = |tally: &Self| tally.members.get(other as usize).is_some_and(|other| !other.down);
        match record.c as u16 {
            note::PROBED => {
                self.settle(member);
                let target = self.members[other as usize];
                self.members[member as usize].probe = counts.then_some(Probe {
                    number: record.b,
                    target: other,
                    began: now,
                    up: (!target.down).then_some(target.crashes),
                    unheard: false,
                });
            }
            note::UNHEARD => {
                let probe = self.members[member as usize].probe.as_mut();
                if let Some(probe) = probe.filter(|probe| probe.number == record.b) {
                    probe.unheard = true;
                    let began = probe.began;
                    if let (Some(crash), Some(period)) = (self.open.get_mut(&other), self.watched.period)
                        && began >= crash.at
                    {
                        let period = (began - crash.at).as_nanos() / period.as_nanos().max(1) + 1;
                        crash.period = Some(crash.period.map_or(period, |before| before.min(period)));
                    }
                }
            }
            note::SUSPECTS | note::BURIES => {
                let buries = record.c as u16 == note::BURIES;
                if is_up(self) {
                    let count = if buries { &mut self.buried } else { &mut self.suspected };
                    *count += u64::from(counts);
                } else if let Some(crash) = self.open.get_mut(&other) {
                    if !std::mem::replace(&mut crash.suspected, true) {
                        self.first.record((now - crash.at).as_nanos());
                    }
                    if buries {
                        crash.known_to.insert(member);
                        self.complete(now);
                    }
                }
            }
            note::TRUSTS => {
                if let Some(crash) = self.open.get_mut(&other) {
                    crash.known_to.remove(&member);
                }
            }
            note::REFUTES => self.refuted += u64::from(counts),
            note::JOINED => self.joined += u64::from(counts),
            _ => {}
        }
    }

    fn write(mut self, sample: usize, sheet: &mut Sheet) {
        for (_, crash) in std::mem::take(&mut self.open) {
            self.close(&crash);
        }
        let name = |what: &str| format!("coordination.{}.{what}", self.watched.name);
        for (what, count) in [
            ("probes", self.probes),
            ("probes.false", self.unheard),
            ("suspected.false", self.suspected),
            ("buried.false", self.buried),
            ("refuted", self.refuted),
            ("crashes", self.crashes),
            ("crashes.unseen", self.unseen),
            ("joined", self.joined),
        ] {
            sheet.count(name(what), count);
        }
        let per = |sum: u64, count: u64| (count > 0).then(|| sum as f64 / count as f64);
        sheet.number(name("probes.false.share"), per(self.unheard, self.probes));
        sheet.number(name("detection.periods"), per(self.periods.0, self.periods.1));
        sheet.durations(&name("detection.first"), &self.first);
        sheet.sample(name("detection.first"), &self.first, sample);
        sheet.durations(&name("detection.all"), &self.all);
    }
}

/// The measure of groups that probe.
#[derive(Debug)]
pub struct Membership {
    setting: Arc<Setting>,
    sample: usize,
    groups: PerGroup<Tally>,
}

impl Membership {
    /// For a run, if any group in it probes.
    pub fn of(setting: &Arc<Setting>, options: Options) -> Option<Self> {
        let groups = PerGroup::by(setting, INFO.name, Tally::new)?;
        Some(Self {
            groups,
            sample: options.sample,
            setting: Arc::clone(setting),
        })
    }
}

impl Measure for Membership {
    fn wants(&self) -> Mask {
        Mask::of(&[What::Coordination, What::Crashed, What::Restarted])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        let warm_up = self.setting.warm_up;
        // Faults have subjects of their own, which are nobody's.
        let mine = [What::Coordination, What::Crashed, What::Restarted];
        for record in batch.records.iter().filter(|record| mine.contains(&record.what)) {
            let Some(tally) = self.groups.of_entity(record.subject) else {
                continue;
            };
            let member = record.subject - tally.watched.first;
            match record.what {
                What::Coordination => tally.see(record, warm_up),
                What::Crashed => tally.crash(member, record.time, record.time >= warm_up),
                What::Restarted => tally.restart(member),
                _ => {}
            }
        }
    }

    fn finish(self: Box<Self>, _end: SimTime, sheet: &mut Sheet) {
        for tally in self.groups.into_all() {
            tally.write(self.sample, sheet);
        }
    }
}
