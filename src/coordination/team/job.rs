//! A job as a member knows it: which tasks are claimed and done, and which can be begun.
//!
//! All of it follows from the facts that are known, in whatever order they came, but for when claims were heard of.

use super::super::work::TaskGraph;
use super::knowledge::Fact;
use serde::Serialize;
use std::collections::BTreeMap;

/// A claim, as a member knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Claim {
    /// When it was made, by its member's clock, and by whom: the smaller goes first.
    pub at: i64,
    pub member: u32,
    /// When it was heard of, by one's own clock: it lapses so long after that.
    pub seen: i64,
}

/// A result, as a member knows it: of several that of the smaller time and member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Outcome {
    pub at: i64,
    pub member: u32,
    pub wrong: bool,
    pub holds: bool,
}

/// A task in one of its rounds.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Cell {
    pub result: Option<Outcome>,
    pub claims: Vec<Claim>,
    pub has_draft: bool,
    /// Since when the member could have it.
    pub since: Option<i64>,
    /// How often its own agent was given it.
    pub attempts: u32,
}

impl Cell {
    /// When the last claim that lives now lapses; `None`: none does.
    pub(super) fn claimed_until(&self, now: i64, timeout: i64) -> Option<i64> {
        let ends = self.claims.iter().map(|claim| claim.seen.saturating_add(timeout));
        ends.filter(|end| *end > now).max()
    }

    /// Whether somebody else's claim that lives goes before this one.
    pub(super) fn is_outranked(&self, at: i64, member: u32, now: i64, timeout: i64) -> bool {
        let lives = |claim: &&Claim| claim.seen.saturating_add(timeout) > now;
        let mut others = self.claims.iter().filter(lives).filter(|claim| claim.member != member);
        others.any(|claim| (claim.at, claim.member) < (at, member))
    }
}

/// How a task can be begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// All that it needs is done.
    Ready,
    /// Of some of it there is a draft.
    OnDrafts,
}

/// A job.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Job {
    /// When it was submitted first, as far as is known.
    pub at: i64,
    /// Who waits for its end here.
    pub tokens: Vec<u64>,
    /// Whether it was submitted here.
    pub asked_here: bool,
    pub over: bool,
    pub cells: BTreeMap<(u16, u32), Cell>,
    rounds: Vec<u32>,
}

impl Job {
    pub(super) fn new(graph: &TaskGraph, at: i64) -> Self {
        Self {
            at,
            tokens: Vec::new(),
            asked_here: false,
            over: false,
            cells: BTreeMap::new(),
            rounds: vec![0; graph.tasks.len()],
        }
    }

    /// The round in which a task is.
    pub(super) fn round(&self, task: u16) -> u32 {
        self.rounds[usize::from(task)]
    }

    /// A task in its present round.
    pub(super) fn present(&self, task: u16) -> Option<&Cell> {
        self.cells.get(&(task, self.round(task)))
    }

    /// The result of a task in its present round.
    pub(super) fn result(&self, task: u16) -> Option<Outcome> {
        self.present(task)?.result
    }

    /// A fact about a task is known, from this member.
    pub(super) fn take(&mut self, graph: &TaskGraph, member: u32, fact: Fact, now: i64) {
        match fact {
            Fact::Claim { of, at } => {
                let cell = self.cells.entry((of.task, of.round)).or_default();
                let seen = now;
                cell.claims.push(Claim { at, member, seen });
                cell.since = None;
            }
            Fact::Draft { of } => self.cells.entry((of.task, of.round)).or_default().has_draft = true,
            Fact::Dropped { of, at, .. } => {
                let cell = self.cells.entry((of.task, of.round)).or_default();
                cell.claims.retain(|claim| (claim.at, claim.member) != (at, member));
            }
            Fact::Result {
                of,
                at,
                answer,
                wrong,
                holds,
            } => {
                let cell = self.cells.entry((of.task, of.round)).or_default();
                if cell.result.is_none_or(|known| (at, member) < (known.at, known.member)) {
                    cell.result = Some(Outcome {
                        at,
                        member,
                        wrong,
                        holds,
                    });
                }
                let task = &graph.tasks[usize::from(of.task)];
                if let Some(checked) = task.checks
                    && answer & 1 == 1
                    && of.round + 1 < task.rounds
                {
                    self.raise(graph, checked, of.round + 1);
                }
            }
            Fact::Job { .. } | Fact::Over { .. } => {}
        }
    }

    /// A task is to be done again, and checked again: a single no is enough, so that whoever knows more is in the same round or a later one.
    fn raise(&mut self, graph: &TaskGraph, checked: u16, round: u32) {
        let raised = &mut self.rounds[usize::from(checked)];
        *raised = (*raised).max(round);
        let checks = (0u16..).zip(&graph.tasks);
        for (check, _) in checks.filter(|(_, task)| task.checks == Some(checked)) {
            let raised = &mut self.rounds[usize::from(check)];
            *raised = (*raised).max(round);
        }
    }

    /// How a task can be begun, claims aside.
    pub(super) fn begin(&self, graph: &TaskGraph, task: u16, speculates: bool) -> Option<Begin> {
        let present = self.present(task);
        if present.is_some_and(|cell| cell.result.is_some()) {
            return None;
        }
        let task = &graph.tasks[usize::from(task)];
        if task.needs.iter().all(|need| self.result(*need).is_some()) {
            return Some(Begin::Ready);
        }
        // There is nothing to judge in a draft.
        let is_there = |need: &u16| {
            self.present(*need)
                .is_some_and(|cell| cell.result.is_some() || cell.has_draft)
        };
        (speculates && task.checks.is_none() && task.needs.iter().all(is_there)).then_some(Begin::OnDrafts)
    }

    /// Whether something that a task needs is wrong.
    pub(super) fn builds_on_wrong(&self, graph: &TaskGraph, task: u16) -> bool {
        let needs = &graph.tasks[usize::from(task)].needs;
        needs
            .iter()
            .any(|need| self.result(*need).is_some_and(|result| result.wrong))
    }

    /// Whether everything is done.
    pub(super) fn is_done(&self, graph: &TaskGraph) -> bool {
        (0..graph.tasks.len() as u16).all(|task| self.result(task).is_some())
    }

    /// Whether the outcome is wrong: something that nothing else builds on is.
    pub(super) fn is_wrong(&self, graph: &TaskGraph) -> bool {
        let is_wrong = |task: u16| self.result(task).is_some_and(|result| result.wrong);
        (0..graph.tasks.len() as u16).any(|task| is_wrong(task) && graph.dependents(task).next().is_none())
    }
}
