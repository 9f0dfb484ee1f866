//! Work: how long jobs take that go through a graph of tasks, how many come out right, and what giving out their tasks costs.
//!
//! A job's time is split along the chain of tasks that it hung on, walked back from the task that was done last: each was given because of the result that came last of those
//! that it needed. Of this chain the time that agents were at work on the tasks is their own; all the rest is glue: messages, queues at agents
//! and at the orchestrator, its decisions, its crashes. Jobs that began before the warm-up aren't counted.
//!
//! Agents' time is counted when their answers come: of that whose answer was never taken it is wasted.
//! So is that of answers that nobody waited for any more; what whoever gave the task forgot in a crash isn't known here.
//!
//! Work on drafts that stood counts in the chain as if it had been begun when it was, if it was through later than it was settled; else the job
//! hung on the results alone. It has saved the time from its beginning to the time at which it was known to stand, but no more than it took itself: by so much
//! later its agent would have been through.

use super::coordination::{PerGroup, Watched};
use super::registry::measure_table;
use super::{Measure, MeasureInfo, Options, Setting, Sheet};
use crate::coordination::member::event;
use crate::coordination::team;
use crate::coordination::work::{TaskGraph, notes, outcome};
use crate::kernel::SimTime;
use crate::statistics::Recorder;
use crate::world::record::{Batch, Mask, Record, What};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is measured of the work of a coordination group.
pub(super) const WORK: &[MeasureInfo] = measure_table![
    "work.*.jobs", Count, Neither, "Jobs that began.";
    "work.*.jobs.done", Count, Higher, "Jobs of which everything was done.";
    "work.*.jobs.wrong", Count, Lower, "Of these the ones whose outcome is wrong: an agent erred, and no check found it.";
    "work.*.jobs.wrong.share", Share, Lower, "The part of the jobs done whose outcome is wrong.";
    "work.*.jobs.given_up", Count, Lower, "Jobs that were given up, since a task was given in vain as often as allowed.";
    "work.*.jobs.open", Count, Lower, "Jobs that had begun and weren't over at the end.";
    "work.*.time", Seconds, Lower, "Time from when a job reached an orchestrator, or a member of a team, until that knows everything to be done: the distribution.";
    "work.*.time.mean", Seconds, Lower, "Time from when a job reached an orchestrator until everything is done: the mean.";
    "work.*.time.p50", Seconds, Lower, "The median of these times.";
    "work.*.time.p90", Seconds, Lower, "The 90th percentile of these times.";
    "work.*.time.p95", Seconds, Lower, "The 95th percentile of these times.";
    "work.*.time.p99", Seconds, Lower, "The 99th percentile of these times.";
    "work.*.time.max", Seconds, Lower, "The longest of these times.";
    "work.*.own.mean", Seconds, Neither, "Of a job's time the part in which agents were at work on the tasks that it hung on: the mean over jobs done.";
    "work.*.glue.mean", Seconds, Lower, "The rest of a job's time: messages, waiting for agents, the orchestrator's decisions and crashes: the mean over jobs done.";
    "work.*.glue.share", Share, Lower, "The part of the time of all jobs done that is glue.";
    "work.*.given", Count, Lower, "How often tasks were given to agents.";
    "work.*.used", Count, Neither, "Results that were taken.";
    "work.*.redundant", Count, Lower, "How often tasks were given to agents and nothing came of it: others were faster, a crash or the network took the result, or the job was given up.";
    "work.*.late", Count, Lower, "How often a task took longer than its timeout.";
    "work.*.again", Count, Lower, "How often a check had a task done again.";
    "work.*.messages", Count, Lower, "Questions to agents and their answers that came.";
    "work.*.spent", Seconds, Lower, "Agents' own time at tasks whose answers came, all together.";
    "work.*.wasted", Seconds, Lower, "Of this the time at tasks whose results were never taken: another was faster, its drafts didn't hold, or the job was over.";
    "work.*.wasted.share", Share, Lower, "The part of agents' time that was wasted.";
    "work.*.claims", Count, Neither, "Claims of members of a team.";
    "work.*.claims.yielded", Count, Lower, "Of these the ones that were given up before work began, for an earlier one or because the task was done.";
    "work.*.duplicates", Count, Lower, "Results of a team that came when there was one of the same task and round, which its member didn't know of.";
    "work.*.speculated", Count, Neither, "How often an agent began a task on drafts.";
    "work.*.speculated.kept", Count, Higher, "Of these the ones that stood, since the results agreed with the drafts.";
    "work.*.speculated.dropped", Count, Lower, "Of these the ones that were thrown away.";
    "work.*.speculated.saved", Seconds, Higher, "By how much sooner agents were through with tasks than if they had begun when the results were known: the sum over those begun on drafts that stood.";
    "work.*.resumed", Count, Neither, "Jobs with which an orchestrator went on from the log, after a crash of its own or of another one.";
];

/// A task of a job that was given to an agent.
#[derive(Debug, Clone, Copy)]
struct Given {
    job: u64,
    task: u16,
    /// Agents' own time along the chain that led here.
    before: u64,
    /// How long the agent was at it, once it has answered.
    own: u64,
    given: SimTime,
    answered: Option<SimTime>,
    /// When it was known to stand, of what was begun on drafts.
    stood: Option<SimTime>,
    /// Whether the answer came in the time that is measured.
    counts: bool,
}

/// A job under way.
#[derive(Debug, Clone)]
struct Job {
    began: SimTime,
    /// For each task, when its last result was taken, and agents' own time along the chain up to that.
    taken: Vec<Option<(SimTime, u64)>>,
    /// The chain that ends with the last result.
    last: u64,
}

/// What is known of the work of one group.
#[derive(Debug)]
struct Tally {
    name: String,
    is_team: bool,
    graph: Arc<TaskGraph>,
    jobs: BTreeMap<u64, Job>,
    /// When what isn't over was submitted first.
    asked: BTreeMap<u64, SimTime>,
    given: BTreeMap<(u32, u64), Given>,
    /// The jobs that are over.
    over: BTreeSet<u64>,
    /// What was taken of teams: job, task and round.
    taken: BTreeSet<(u64, u64, u64)>,
    /// The rounds of teams that a check has ended.
    again: BTreeSet<(u64, u64, u64)>,
    time: Recorder,
    own: u128,
    total: u128,
    counts: Counts,
}

#[derive(Debug, Default)]
struct Counts {
    jobs: u64,
    done: u64,
    wrong: u64,
    given_up: u64,
    given: u64,
    used: u64,
    late: u64,
    again: u64,
    messages: u64,
    resumed: u64,
    claims: u64,
    yielded: u64,
    duplicates: u64,
    speculated: u64,
    kept: u64,
    dropped: u64,
    saved: u64,
    spent: u64,
    of_use: u64,
}

impl Tally {
    fn new(watched: &Watched, graph: Arc<TaskGraph>) -> Self {
        Self {
            name: watched.name.clone(),
            is_team: watched.pattern == team::INFO.name,
            graph,
            jobs: BTreeMap::new(),
            asked: BTreeMap::new(),
            given: BTreeMap::new(),
            over: BTreeSet::new(),
            taken: BTreeSet::new(),
            again: BTreeSet::new(),
            time: Recorder::new(100_000),
            own: 0,
            total: 0,
            counts: Counts::default(),
        }
    }

    /// Agents' own time along the chain that led to a task's being given: through the last of the results that it was given for.
    fn chain_to(&self, job: u64, task: u16) -> u64 {
        let Some(job) = self.jobs.get(&job) else { return 0 };
        let needs = self.graph.tasks[usize::from(task)].needs.iter();
        // A check that has the task done again is later than what the task needs.
        let checks = (0u16..)
            .zip(&self.graph.tasks)
            .filter(|(_, other)| other.checks == Some(task));
        let before = needs.copied().chain(checks.map(|(number, _)| number));
        let latest = before.filter_map(|task| job.taken[usize::from(task)]).max();
        latest.map_or(0, |(_, chain)| chain)
    }

    fn see(&mut self, record: &Record, extra: &[u64], warm_up: SimTime) {
        let (now, counts) = (record.time, u64::from(record.time >= warm_up));
        let key = (record.subject, record.b);
        match record.c as u16 {
            event::ASKED => drop(self.asked.entry(record.a).or_insert(now)),
            event::ENGAGES => self.counts.messages += counts,
            event::ENGAGED => {
                self.counts.messages += counts;
                if let Some(given) = self.given.get_mut(&(record.subject, record.a)) {
                    given.own = extra[1];
                    (given.answered, given.counts) = (Some(now), counts == 1);
                    self.counts.spent += counts * given.own;
                    self.saves((record.subject, record.a));
                }
            }
            // A job of a team that somebody is asked for again who hasn't heard that it is over isn't another one.
            notes::BEGUN if counts == 1 && !(self.is_team && self.over.contains(&record.a)) => {
                self.counts.jobs += 1;
                let job = Job {
                    began: self.asked.get(&record.a).copied().unwrap_or(now),
                    taken: vec![None; self.graph.tasks.len()],
                    last: 0,
                };
                // A job that was lost with its orchestrator begins anew, and is as old as it was.
                self.jobs.entry(record.a).or_insert(job);
            }
            notes::GIVEN => {
                self.counts.given += counts;
                let (job, task) = (record.a, extra[0] as u16);
                let before = self.chain_to(job, task);
                let given = Given {
                    job,
                    task,
                    before,
                    own: 0,
                    given: now,
                    answered: None,
                    stood: None,
                    counts: false,
                };
                self.counts.speculated += counts * u64::from(extra.get(4) == Some(&1));
                self.given.insert(key, given);
            }
            notes::USED => self.used(record, extra, counts),
            notes::LATE => self.counts.late += counts,
            notes::AGAIN => {
                let is_new = match extra {
                    [round, ..] => self.again.insert((record.a, record.b, *round)),
                    [] => true,
                };
                self.counts.again += counts * u64::from(is_new);
            }
            notes::CLAIMED => self.counts.claims += counts,
            notes::YIELDED => self.counts.yielded += counts,
            notes::SETTLED if extra[1] == 1 => {
                self.counts.kept += counts;
                if let Some(given) = self.given.get(&key) {
                    // What was through before it was known to stand is no part of what the job hung on.
                    let before = given.answered.is_some().then(|| self.chain_to(given.job, given.task));
                    let given = self.given.get_mut(&key).expect("it was found");
                    given.stood = Some(now);
                    if let Some(before) = before {
                        given.before = before;
                    }
                }
                self.saves(key);
            }
            notes::SETTLED => self.counts.dropped += counts,
            notes::OVER => self.over(record),
            notes::RECOVERED => self.counts.resumed += counts * record.a,
            _ => {}
        }
    }

    /// What was begun on drafts has saved something, once its answer has come and it stands.
    fn saves(&mut self, key: (u32, u64)) {
        let Some(given) = self.given.get(&key) else { return };
        if let (Some(answered), Some(stood), true) = (given.answered, given.stood, given.counts) {
            self.counts.saved += (answered.min(stood) - given.given).as_nanos();
        }
    }

    /// A result is taken.
    fn used(&mut self, record: &Record, extra: &[u64], counts: u64) {
        let Some(given) = self.given.remove(&(record.subject, record.b)) else {
            self.counts.used += counts;
            return;
        };
        if let [task, _, round, ..] = extra
            && !self.taken.insert((record.a, *task, *round))
        {
            self.counts.duplicates += counts;
            return;
        }
        self.counts.used += counts;
        self.counts.of_use += u64::from(given.counts) * given.own;
        if let Some(job) = self.jobs.get_mut(&given.job) {
            // Its agent was through before it was known to stand: the job hung on what it builds on.
            let was_through = given.stood > given.answered;
            job.last = given.before + if was_through { 0 } else { given.own };
            job.taken[usize::from(given.task)] = Some((record.time, job.last));
        }
    }

    fn over(&mut self, record: &Record) {
        self.asked.remove(&record.a);
        if self.is_team {
            self.over.insert(record.a);
        }
        let Some(job) = self.jobs.remove(&record.a) else { return };
        if record.b == outcome::GIVEN_UP {
            self.counts.given_up += 1;
            return;
        }
        self.counts.done += 1;
        self.counts.wrong += u64::from(record.b == outcome::WRONG);
        let took = (record.time - job.began).as_nanos();
        self.time.record(took);
        self.own += u128::from(job.last);
        self.total += u128::from(took);
    }

    fn write(self, sample: usize, sheet: &mut Sheet) {
        let name = |what: &str| format!("work.{}.{what}", self.name);
        let counts = &self.counts;
        for (what, count) in [
            ("jobs", counts.jobs),
            ("jobs.done", counts.done),
            ("jobs.wrong", counts.wrong),
            ("jobs.given_up", counts.given_up),
            ("jobs.open", self.jobs.len() as u64),
            ("given", counts.given),
            ("used", counts.used),
            ("redundant", counts.given.saturating_sub(counts.used)),
            ("late", counts.late),
            ("again", counts.again),
            ("messages", counts.messages),
            ("resumed", counts.resumed),
            ("claims", counts.claims),
            ("claims.yielded", counts.yielded),
            ("duplicates", counts.duplicates),
            ("speculated", counts.speculated),
            ("speculated.kept", counts.kept),
            ("speculated.dropped", counts.dropped),
        ] {
            sheet.count(name(what), count);
        }
        let wasted = counts.spent.saturating_sub(counts.of_use) as f64;
        for (what, nanos) in [
            ("spent", counts.spent as f64),
            ("wasted", wasted),
            ("speculated.saved", counts.saved as f64),
        ] {
            sheet.number(name(what), Some(nanos / 1e9));
        }
        let per = |sum: f64, of: f64| (of > 0.0).then(|| sum / of);
        sheet.number(name("jobs.wrong.share"), per(counts.wrong as f64, counts.done as f64));
        sheet.number(name("wasted.share"), per(wasted, counts.spent as f64));
        sheet.durations(&name("time"), &self.time);
        sheet.sample(name("time"), &self.time, sample);
        let (own, total, done) = (self.own as f64, self.total as f64, counts.done as f64);
        sheet.number(name("own.mean"), per(own / 1e9, done));
        sheet.number(name("glue.mean"), per((total - own) / 1e9, done));
        sheet.number(name("glue.share"), per(total - own, total));
    }
}

/// The measure of work.
#[derive(Debug)]
pub struct Works {
    setting: Arc<Setting>,
    sample: usize,
    groups: PerGroup<Tally>,
}

impl Works {
    /// For a run.
    pub fn new(setting: Arc<Setting>, options: Options) -> Self {
        let tally = |watched: &Watched| {
            let graph = watched.work.as_ref()?;
            Some(Tally::new(watched, Arc::clone(graph)))
        };
        Self {
            groups: PerGroup::of(&setting, tally),
            sample: options.sample,
            setting,
        }
    }
}

impl Measure for Works {
    fn wants(&self) -> Mask {
        Mask::of(&[What::Coordination])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        let warm_up = self.setting.warm_up;
        for record in batch.records.iter().filter(|record| record.what == What::Coordination) {
            if let Some(tally) = self.groups.of_entity(record.subject) {
                tally.see(record, batch.extra(record), warm_up);
            }
        }
    }

    fn finish(self: Box<Self>, _: SimTime, sheet: &mut Sheet) {
        for tally in self.groups.into_all() {
            tally.write(self.sample, sheet);
        }
    }
}
