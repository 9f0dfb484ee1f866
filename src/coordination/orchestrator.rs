//! An orchestrator: a state machine over a graph of tasks, which gives them to agents, waits, tries again, and writes down what it does.
//!
//! In reading order: [`Rules`] are its options; `log` is what it writes down and how it comes back from that; `standby` is how another one
//! takes over; this file gives tasks and takes results.
//!
//! Guarantees: a job that was begun and is in the log goes on after a crash behind the last result that is there; what is done counts once,
//! however many agents were at work on it. A task may be worked on more than once.

mod log;
mod standby;
#[cfg(test)]
mod tests;

pub use standby::Standby;

use super::member::{Asked, Engagement, Input, Io, Member, NEVER, Saying, event};
use super::spec::PatternInfo;
use super::work::{Progress, TaskGraph, notes, outcome};
use crate::kernel::Words;
use crate::random::Law;
use crate::state::content::content_hash;
use crate::state::hash::chain;
use log::{Entry, Log};
use serde::Serialize;
use standby::Watch;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// The pattern's page in the reference.
pub const INFO: PatternInfo = PatternInfo {
    name: "Orchestrator",
    title: "Orchestrator",
    kinds: <Said as Saying>::KINDS,
    doc: "\
A state machine in one place, over a graph of tasks (`work`). What an agent submits is a job: the orchestrator gives each task whose needs are done to
an agent of the task's crew, by the handler for the task's topic, takes the result, and goes on, until everything is done; then it answers yes.
Agents get tasks in turn, `at_once` at a time; tasks for which nobody is free wait. Each transition (a job that begins, a result that comes) takes the
orchestrator `decides`: a few milliseconds of code, or the seconds of a model that plans; meanwhile it does nothing else, and what comes waits.

A task that takes longer than `timeout` is given to another agent as well, and the first result counts; the agent that takes so long counts as free again, since
it may never answer. That goes up to `attempts`; a job of which a task
fails so often is given up, and the answer is no.

A task that `checks` another one judges its result, with the errors of its crew: if it says that it is wrong, the other is done again by its crew, and checked again, `rounds`
times at most. Whether results are right is known to the measures alone; what builds on a wrong result is wrong.

*Crashes.* With `log` each transition is written to a log on disk before anything comes of it, which takes so long; an orchestrator that comes back with its disk reads it
and goes on: what was under way it gives anew, since nobody brings it those results. Without a log its jobs are gone, and who submitted them has to do so again.
With `standby` and two members or more, the first is active and sends what it writes down to the others, with a heartbeat; one that hears nothing for `after`
(its place times as long for the later ones) takes over with what it has. Of two that are active the one that took over last stays; jobs that only the other has are gone with it.
Agents ask the nearest member, and another one if that doesn't answer. Who waits for a job isn't in the log: whoever had submitted it hears of its end if he
asks again, so owners want a policy with a timeout.

Costs: a question and an answer for each task, which the agents' own time is held against (`work.*`); with a standby a message for each transition and its
acknowledgement.
",
};

/// What all members share.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// The work.
    pub graph: TaskGraph,
    /// How many tasks an agent has at a time.
    pub at_once: u32,
    /// How long a task may take before it is given to another agent as well, in nanoseconds; [`NEVER`] for as long as it likes.
    pub timeout: i64,
    /// How often a task is given at most, in each of its rounds.
    pub attempts: u32,
    /// How long a transition takes, in nanoseconds.
    pub decides: Law,
    /// How long it takes to write to the log, in nanoseconds; `None`: there is no log.
    pub log: Option<u64>,
    /// How others take over.
    pub standby: Option<Standby>,
}

/// What members say to each other.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Said {
    /// The active one is there, and has written so many entries.
    Heartbeat {
        /// Which of those that were ever active.
        epoch: u64,
        /// How many entries it has written in all.
        written: u64,
    },
    /// Entries of the log, from a place on.
    Entries {
        /// Which of those that were ever active.
        epoch: u64,
        /// The number of the first.
        from: u64,
        /// Whether they stand for all before them.
        whole: bool,
        /// The entries.
        entries: Vec<Entry>,
    },
    /// So many entries have come.
    Have {
        /// Of which active one.
        epoch: u64,
        /// How many.
        entries: u64,
    },
    /// A job that was submitted to somebody who isn't active.
    Submit(Asked),
    /// What came of it.
    Outcome {
        /// The job.
        identity: u64,
        /// The answer.
        value: u64,
    },
}

/// A job under way.
#[derive(Debug, Clone, Serialize)]
struct Job {
    progress: Progress,
    /// How often each task was given in its round.
    attempts: Vec<u32>,
    /// Who waits for its end, by the host's words, and which members.
    tokens: Vec<u64>,
    members: BTreeSet<u32>,
}

/// A task in the hands of an agent.
#[derive(Debug, Clone, Copy, Serialize)]
struct Given {
    job: u64,
    task: u16,
    round: u32,
    /// Its place in its crew.
    agent: u32,
    due: i64,
    /// Whether the agent counts as free: it took too long, and may never answer.
    is_late: bool,
}

/// An orchestrator.
#[derive(Debug, Clone, Serialize)]
pub struct Orchestrator {
    jobs: BTreeMap<u64, Job>,
    given: BTreeMap<u64, Given>,
    dues: BTreeSet<(i64, u64)>,
    /// For each crew, who has room for another task, once for each.
    free: Vec<VecDeque<u32>>,
    /// For each crew, tasks for which nobody is free.
    waiting: Vec<VecDeque<(u64, u16)>>,
    /// Engagements in all its lives: their names.
    engaged: u64,
    log: Log,
    watch: Watch,
    /// Agents that wait at a member that isn't active, by job.
    passed_on: BTreeMap<u64, Vec<u64>>,
}

impl Orchestrator {
    /// The member at this place of the group.
    pub fn new(rules: &Rules, place: u32) -> Self {
        Self {
            jobs: BTreeMap::new(),
            given: BTreeMap::new(),
            dues: BTreeSet::new(),
            free: everybody(rules),
            waiting: vec![VecDeque::new(); rules.graph.crews.len()],
            engaged: 0,
            log: Log::default(),
            watch: Watch::new(place),
            passed_on: BTreeMap::new(),
        }
    }

    /// Somebody submits a job.
    fn submitted(&mut self, rules: &Rules, asked: Asked, from: Option<u32>, io: &mut Io<'_, Said>) {
        let identity = asked.identity;
        if let Some(value) = self.log.result(identity) {
            return match from {
                None => io.answer(asked.token, value),
                Some(member) => io.send(member, Said::Outcome { identity, value }),
            };
        }
        if let std::collections::btree_map::Entry::Vacant(vacant) = self.jobs.entry(identity) {
            let job = vacant.insert(Job::new(rules));
            (job.tokens, job.members) = Default::default();
            io.note(notes::BEGUN, identity, 0);
            self.decide(rules, identity, io);
            self.write(rules, Entry::Begun { job: identity }, io);
            self.queue_ready(rules, identity);
        }
        if let Some(job) = self.jobs.get_mut(&identity) {
            match from {
                None => job.tokens.push(asked.token),
                Some(member) => drop(job.members.insert(member)),
            }
        }
        self.give_tasks(rules, io);
    }

    /// A transition takes its time.
    fn decide(&mut self, rules: &Rules, about: u64, io: &mut Io<'_, Said>) {
        let number = chain(about, self.log.written());
        let took = rules.decides.sample_duration(&mut io.draw(number), number);
        io.work(took.as_nanos());
    }

    /// The tasks of a job that can be begun wait for somebody who is free.
    fn queue_ready(&mut self, rules: &Rules, identity: u64) {
        let Some(job) = self.jobs.get_mut(&identity) else {
            return;
        };
        let ready: Vec<u16> = job.progress.ready().collect();
        for task in ready {
            job.progress.give(task, true);
            let crew = usize::from(rules.graph.tasks[usize::from(task)].crew);
            self.waiting[crew].push_back((identity, task));
        }
    }

    /// Gives tasks that wait to agents that are free.
    fn give_tasks(&mut self, rules: &Rules, io: &mut Io<'_, Said>) {
        for crew in 0..rules.graph.crews.len() {
            while let (Some(agent), Some((identity, task))) =
                (self.free[crew].front().copied(), self.waiting[crew].front().copied())
            {
                self.waiting[crew].pop_front();
                let still = self
                    .jobs
                    .get(&identity)
                    .is_some_and(|job| job.progress.stage(task) == super::work::Stage::Begun);
                if still {
                    self.free[crew].pop_front();
                    self.give(rules, (identity, task), agent, io);
                }
            }
        }
    }

    fn give(&mut self, rules: &Rules, (identity, task): (u64, u16), agent: u32, io: &mut Io<'_, Said>) {
        let Some(job) = self.jobs.get_mut(&identity) else {
            return;
        };
        let spec = &rules.graph.tasks[usize::from(task)];
        let attempt = &mut job.attempts[usize::from(task)];
        *attempt += 1;
        let (attempt, round) = (*attempt, job.progress.round(task));
        self.engaged += 1;
        let number = self.engaged;
        let (first, _) = rules.graph.crews[usize::from(spec.crew)];
        let due = io.now.saturating_add(rules.timeout);
        let entity = first + agent;
        io.engage(Engagement {
            token: number,
            agent: entity,
            topic: spec.topic,
            bytes: spec.bytes,
            question: job.progress.question(&rules.graph, task),
            judges: spec.checks.is_some(),
            about: chain(
                identity,
                u64::from(task) << 32 | u64::from(round) << 16 | u64::from(attempt),
            ),
        });
        let extra = [task.into(), round.into(), attempt.into(), entity.into()];
        io.note_with(notes::GIVEN, identity, number, &extra);
        self.dues.insert((due, number));
        self.given.insert(
            number,
            Given {
                job: identity,
                task,
                round,
                agent,
                due,
                is_late: false,
            },
        );
    }

    /// An agent is free again.
    fn release(&mut self, rules: &Rules, number: u64) -> Option<Given> {
        let given = self.given.remove(&number)?;
        self.dues.remove(&(given.due, number));
        if !given.is_late {
            let crew = usize::from(rules.graph.tasks[usize::from(given.task)].crew);
            self.free[crew].push_back(given.agent);
        }
        Some(given)
    }

    /// An agent has answered.
    fn answered(&mut self, rules: &Rules, number: u64, answer: u64, io: &mut Io<'_, Said>) {
        let Some(given) = self.release(rules, number) else {
            return;
        };
        let (identity, task) = (given.job, given.task);
        let is_open = self.jobs.get(&identity).is_some_and(|job| {
            job.progress.stage(task) == super::work::Stage::Begun && job.progress.round(task) == given.round
        });
        if is_open {
            io.note_with(notes::USED, identity, number, &[task.into(), answer]);
            self.decide(rules, chain(identity, number), io);
            self.write(
                rules,
                Entry::Done {
                    job: identity,
                    task,
                    answer,
                },
                io,
            );
            self.take(rules, identity, task, answer, io);
        }
        self.give_tasks(rules, io);
    }

    /// A result is taken.
    fn take(&mut self, rules: &Rules, identity: u64, task: u16, answer: u64, io: &mut Io<'_, Said>) {
        let Some(job) = self.jobs.get_mut(&identity) else {
            return;
        };
        let again = job.progress.done(&rules.graph, task, answer);
        if let Some(again) = again {
            job.attempts[usize::from(again)] = 0;
            job.attempts[usize::from(task)] = 0;
            io.note(notes::AGAIN, identity, again.into());
        }
        // Whoever else is at work on it is at work in vain.
        let others = |(_, given): &(&u64, &Given)| given.job == identity && given.task == task;
        let others: Vec<u64> = match rules.timeout {
            NEVER => Vec::new(),
            _ => self.given.iter().filter(others).map(|(number, _)| *number).collect(),
        };
        for number in others {
            io.dismiss(number);
            self.release(rules, number);
        }
        match self.jobs[&identity].progress.is_over() {
            true => {
                let wrong = self.jobs[&identity].progress.outcome_is_wrong(&rules.graph);
                self.end(rules, identity, u64::from(wrong), io);
            }
            false => self.queue_ready(rules, identity),
        }
    }

    /// A job is over.
    fn end(&mut self, rules: &Rules, identity: u64, how: u64, io: &mut Io<'_, Said>) {
        let Some(job) = self.jobs.remove(&identity) else { return };
        let value = u64::from(how != outcome::GIVEN_UP);
        self.write(rules, Entry::Over { job: identity, value }, io);
        io.note(notes::OVER, identity, how);
        io.note_with(
            event::DECIDED,
            identity,
            0,
            &[value, u64::from(how != outcome::WRONG) & value],
        );
        for token in job.tokens {
            io.answer(token, value);
        }
        for member in job.members {
            io.send(member, Said::Outcome { identity, value });
        }
    }

    /// Tasks that take too long are given to others as well.
    fn look_at_dues(&mut self, rules: &Rules, io: &mut Io<'_, Said>) {
        while let Some(&(due, number)) = self.dues.first().filter(|(due, _)| *due <= io.now) {
            self.dues.remove(&(due, number));
            let Some(given) = self.given.get_mut(&number) else {
                continue;
            };
            let Given {
                job: identity,
                task,
                agent,
                ..
            } = *given;
            // Else lost answers would leave nobody to try it again.
            given.is_late = true;
            self.free[usize::from(rules.graph.tasks[usize::from(task)].crew)].push_back(agent);
            io.note_with(notes::LATE, identity, number, &[task.into()]);
            let attempts = self
                .jobs
                .get(&identity)
                .map_or(0, |job| job.attempts[usize::from(task)]);
            if attempts >= rules.attempts {
                let open = |(_, given): &(&u64, &Given)| given.job == identity;
                let open: Vec<u64> = self.given.iter().filter(open).map(|(number, _)| *number).collect();
                for number in open {
                    io.dismiss(number);
                    self.release(rules, number);
                }
                self.end(rules, identity, outcome::GIVEN_UP, io);
            } else {
                let crew = usize::from(rules.graph.tasks[usize::from(task)].crew);
                self.waiting[crew].push_back((identity, task));
            }
        }
        self.give_tasks(rules, io);
    }
}

/// All agents of all crews, as often as they may have a task.
fn everybody(rules: &Rules) -> Vec<VecDeque<u32>> {
    let of_crew = |(_, count): &(u32, u32)| (0..rules.at_once).flat_map(|_| 0..*count).collect();
    rules.graph.crews.iter().map(of_crew).collect()
}

impl Job {
    fn new(rules: &Rules) -> Self {
        Self {
            progress: Progress::new(&rules.graph),
            attempts: vec![0; rules.graph.tasks.len()],
            tokens: Vec::new(),
            members: BTreeSet::new(),
        }
    }
}

impl Member for Orchestrator {
    type Rules = Rules;
    type Message = Said;

    fn on(&mut self, rules: &Rules, input: Input<Said>, io: &mut Io<'_, Said>) {
        match input {
            Input::Start => self.start(rules, io),
            Input::Restarted => self.come_back(rules, io),
            Input::Asked(asked) if self.watch.is_active() => self.submitted(rules, asked, None, io),
            Input::Asked(asked) => self.pass_on(asked, io),
            Input::Withdrawn(token) => {
                let tokens = self.jobs.values_mut().map(|job| &mut job.tokens);
                tokens
                    .chain(self.passed_on.values_mut())
                    .for_each(|all| all.retain(|one| *one != token));
            }
            Input::Engaged { token, answer } => self.answered(rules, token, answer, io),
            Input::Heard { from, message } => self.hear(rules, from, message, io),
            Input::Due => {
                self.watch_over(rules, io);
                self.look_at_dues(rules, io);
            }
        }
    }

    fn due(&self, _: i64) -> i64 {
        let tasks = self.dues.first().map_or(NEVER, |(due, _)| *due);
        tasks.min(self.watch.due())
    }

    fn crash(&mut self, rules: &Rules, keeps_disk: bool) {
        let watch = self.watch.crashed();
        let (engaged, log) = (self.engaged, std::mem::take(&mut self.log));
        *self = Self::new(rules, 0);
        (self.watch, self.engaged) = (watch, engaged);
        if keeps_disk && rules.log.is_some() {
            self.log = log;
        }
    }
}

impl Saying for Said {
    const KINDS: &'static [&'static str] = &["heartbeat", "entries", "have", "submit", "outcome"];

    fn kind(&self) -> u16 {
        match self {
            Self::Heartbeat { .. } => 0,
            Self::Entries { .. } => 1,
            Self::Have { .. } => 2,
            Self::Submit(_) => 3,
            Self::Outcome { .. } => 4,
        }
    }

    fn bytes(&self) -> u32 {
        match self {
            Self::Heartbeat { .. } | Self::Have { .. } | Self::Outcome { .. } => 16,
            Self::Entries { entries, .. } => 20 + 18 * entries.len() as u32,
            Self::Submit(asked) => 16 + asked.bytes,
        }
    }

    fn digest(&self, words: &mut Words) {
        words.push(content_hash(self));
    }
}
