//! What an orchestrator writes down, and how it comes back from that.

use super::super::member::Io;
use super::super::work::Stage;
use super::{Job, Orchestrator, Rules, Said, everybody, notes};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// A transition that was written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Entry {
    /// A job began.
    Begun {
        /// Its identity.
        job: u64,
    },
    /// A result was taken.
    Done {
        /// Of which job.
        job: u64,
        /// Of which task.
        task: u16,
        /// What the agent said.
        answer: u64,
    },
    /// A job is over.
    Over {
        /// Its identity.
        job: u64,
        /// What was answered.
        value: u64,
    },
}

impl Entry {
    fn job(&self) -> u64 {
        match self {
            Self::Begun { job } | Self::Done { job, .. } | Self::Over { job, .. } => *job,
        }
    }
}

/// How many outcomes are remembered.
const REMEMBERED: usize = 10_000;

/// The log: the entries of jobs that aren't over, and the outcomes of those that are.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Log {
    /// By their numbers.
    entries: BTreeMap<u64, Entry>,
    by_job: BTreeMap<u64, Vec<u64>>,
    results: BTreeMap<u64, u64>,
    order: VecDeque<u64>,
    written: u64,
}

impl Log {
    /// How many entries were ever written.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// What was answered about a job that is over.
    pub(super) fn result(&self, job: u64) -> Option<u64> {
        self.results.get(&job).copied()
    }

    /// Writes an entry.
    pub(super) fn push(&mut self, entry: Entry) {
        self.written += 1;
        let job = entry.job();
        if let Entry::Over { value, .. } = entry {
            for number in self.by_job.remove(&job).unwrap_or_default() {
                self.entries.remove(&number);
            }
            if self.results.insert(job, value).is_none() {
                self.order.push_back(job);
            }
            if self.order.len() > REMEMBERED
                && let Some(oldest) = self.order.pop_front()
            {
                self.results.remove(&oldest);
            }
        } else {
            self.entries.insert(self.written, entry);
            self.by_job.entry(job).or_default().push(self.written);
        }
    }

    /// The entries that stand for all that was written: first the outcomes, then the jobs under way.
    pub(super) fn whole(&self) -> Vec<Entry> {
        let over = self.order.iter().map(|job| Entry::Over {
            job: *job,
            value: self.results[job],
        });
        over.chain(self.entries.values().copied()).collect()
    }

    /// Takes over what another one has written: `written` entries in all.
    pub(super) fn replace(&mut self, entries: Vec<Entry>, written: u64) {
        *self = Self::default();
        entries.into_iter().for_each(|entry| self.push(entry));
        self.written = written;
    }
}

impl Orchestrator {
    /// Writes an entry, before anything comes of it, and has others know.
    pub(super) fn write(&mut self, rules: &Rules, entry: Entry, io: &mut Io<'_, Said>) {
        if let Some(takes) = rules.log {
            io.work(takes);
        }
        self.log.push(entry);
        self.ship(rules, entry, io);
    }

    /// Goes on with what the log says.
    pub(super) fn go_on(&mut self, rules: &Rules, io: &mut Io<'_, Said>) {
        self.jobs.clear();
        self.given.clear();
        self.dues.clear();
        self.free = everybody(rules);
        self.waiting.iter_mut().for_each(VecDeque::clear);
        let entries: Vec<Entry> = self.log.entries.values().copied().collect();
        for entry in &entries {
            match *entry {
                Entry::Begun { job } => drop(self.jobs.insert(job, Job::new(rules))),
                Entry::Done { job, task, answer } => {
                    if let Some(job) = self.jobs.get_mut(&job) {
                        job.progress.done(&rules.graph, task, answer);
                    }
                }
                Entry::Over { .. } => {}
            }
        }
        io.note(notes::RECOVERED, self.jobs.len() as u64, entries.len() as u64);
        let open: Vec<u64> = self.jobs.keys().copied().collect();
        for job in open {
            debug_assert!(
                !self.jobs[&job].progress.is_over(),
                "a job that is over was written down as such"
            );
            debug_assert!(
                (0..rules.graph.tasks.len() as u16).all(|task| self.jobs[&job].progress.stage(task) != Stage::Begun)
            );
            self.queue_ready(rules, job);
        }
        self.give_tasks(rules, io);
    }
}
