//! The search for one order of all operations that is legal and keeps the order of each process.
//!
//! A configuration is how far each process is, which operations of unknown outcome have happened, and the states of all objects; one
//! from which there is no way is never tried again. Operations are tried in the order of their invocations, which is near the
//! right one in most histories.

use crate::check::history::{Action, History, Key, Outcome};
use crate::check::judge::Budget;
use crate::check::linearizable::objects::{Kind, Object, Queue, Register, Set, Sets, kind};
use crate::check::linearizable::table::Table;
use crate::check::models::Spec;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Found {
    Order,
    None,
    Unknown(&'static str),
}

/// An operation.
#[derive(Debug, Clone, Copy)]
struct Step {
    key: u32,
    kind: Kind,
    invoked: u32,
    /// For one of unknown outcome: the process and how far that must be.
    after: Option<(u32, u32)>,
}

/// Searches a history, for at most `budget` steps; counts them in `steps`.
pub(super) fn search(history: &History, spec: Spec, budget: Budget, steps: &mut u64) -> Found {
    let mut sets = Sets::default();
    let mut lines: Vec<Vec<Step>> = vec![Vec::new(); history.processes().len()];
    let mut unsure: Vec<Step> = Vec::new();
    let mut keys: Vec<Key> = history.operations().iter().filter_map(|of| of.action.key()).collect();
    keys.sort_unstable();
    keys.dedup();
    for of in history.operations() {
        let (Some(key), Some(kind)) = (of.action.key(), kind(of, &mut sets, history)) else {
            continue;
        };
        let key = keys.binary_search(&key).expect("all keys are there") as u32;
        let line = &mut lines[of.process as usize];
        let step = Step {
            key,
            kind,
            invoked: of.invoked,
            after: None,
        };
        if of.outcome == Outcome::Ok {
            line.push(step);
        } else if is_useful(history, &of.action) {
            unsure.push(Step {
                after: Some((of.process, line.len() as u32)),
                ..step
            });
        }
    }
    let count = keys.len();
    match spec {
        Spec::Set => Search::new(lines, unsure, count, Set::new(sets)).run(budget, steps),
        Spec::Queue => Search::new(lines, unsure, count, Queue::new()).run(budget, steps),
        _ => Search::new(lines, unsure, count, Register::new(history)).run(budget, steps),
    }
}

/// Whether an operation of unknown outcome can explain anything: a write of a register whose value nobody saw needn't have
/// happened, unless somebody saw that the value was another than expected.
fn is_useful(history: &History, action: &Action) -> bool {
    let (Action::Write { key, value } | Action::Cas { key, to: value, .. }) = *action else {
        return true;
    };
    history.operations().iter().any(|of| match of.action {
        Action::Read {
            key: other,
            saw: crate::check::history::Saw::One(seen),
        } => other == key && seen == value,
        Action::Cas {
            key: other,
            from,
            swapped,
            ..
        } => other == key && (from == value || !swapped),
        Action::Append { key: other, .. } => other == key,
        _ => false,
    })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    New,
    /// An operation that only looks was taken; nothing else needs to be tried.
    Harmless,
    /// The candidates from this one on.
    From(u32),
}

/// A decision, with what it changed.
#[derive(Debug, Clone, Copy)]
struct Frame {
    next: Next,
    /// Where its candidates begin in the common list.
    candidates: u32,
    chosen: Option<u32>,
    /// The state of the chosen operation's object before it.
    before: u32,
}

struct Search<O> {
    lines: Vec<Vec<Step>>,
    unsure: Vec<Step>,
    /// For each operation of unknown outcome, the one before it that does the same.
    twins: Vec<Option<u32>>,
    object: O,
    places: Vec<u32>,
    happened: Vec<bool>,
    states: Vec<u32>,
    left: usize,
    dead: Table,
    key: Vec<u64>,
    candidates: Vec<u32>,
    steps: u64,
}

impl<O: Object> Search<O> {
    fn new(lines: Vec<Vec<Step>>, unsure: Vec<Step>, keys: usize, object: O) -> Self {
        let twins = (0..unsure.len()).map(|at| {
            let same = |other: &u32| {
                let (one, two) = (&unsure[at], &unsure[*other as usize]);
                one.key == two.key && one.kind == two.kind
            };
            (0..at as u32).rev().find(same)
        });
        let twins = twins.collect();
        let width = (lines.len() + keys).div_ceil(2) + unsure.len().div_ceil(64) + 1;
        Self {
            twins,
            places: vec![0; lines.len()],
            happened: vec![false; unsure.len()],
            states: vec![object.start(); keys],
            left: lines.iter().map(Vec::len).sum(),
            lines,
            unsure,
            object,
            dead: Table::new(width),
            key: vec![0; width],
            candidates: Vec::new(),
            steps: 0,
        }
    }

    /// The operation that a candidate stands for: processes come first, then those of unknown outcome.
    fn step(&self, candidate: u32) -> Step {
        match (candidate as usize).checked_sub(self.lines.len()) {
            None => self.lines[candidate as usize][self.places[candidate as usize] as usize],
            Some(unsure) => self.unsure[unsure],
        }
    }

    fn is_open(&self, unsure: u32) -> bool {
        let (process, place) = self.unsure[unsure as usize].after.unwrap_or((0, 0));
        !self.happened[unsure as usize] && self.places[process as usize] >= place
    }

    fn after(&mut self, step: &Step) -> Option<u32> {
        self.steps += 1;
        self.object.apply(self.states[step.key as usize], step.kind)
    }

    /// Lists what could come next, in the order of the invocations.
    fn gather(&mut self) {
        let start = self.candidates.len();
        for process in 0..self.lines.len() {
            if (self.places[process] as usize) < self.lines[process].len() {
                self.candidates.push(process as u32);
            }
        }
        let mut listed = self.candidates.split_off(start);
        listed.sort_by_key(|candidate| self.step(*candidate).invoked);
        self.candidates.append(&mut listed);
        for unsure in 0..self.unsure.len() as u32 {
            let twin = self.twins[unsure as usize];
            // Of operations of unknown outcome that do the same, and could all happen now, the first stands for all.
            if self.is_open(unsure) && twin.is_none_or(|twin| !self.is_open(twin)) {
                self.candidates.push(self.lines.len() as u32 + unsure);
            }
        }
    }

    fn choose(&mut self, frame: &mut Frame) -> Option<(u32, u32)> {
        let mut at = match frame.next {
            Next::Harmless => return None,
            Next::From(at) => at,
            Next::New => {
                self.candidates.truncate(frame.candidates as usize);
                self.gather();
                for at in frame.candidates as usize..self.candidates.len() {
                    let candidate = self.candidates[at];
                    let step = self.step(candidate);
                    if step.after.is_none()
                        && step.kind.only_looks()
                        && let Some(state) = self.after(&step)
                    {
                        frame.next = Next::Harmless;
                        return Some((candidate, state));
                    }
                }
                frame.candidates
            }
        };
        while (at as usize) < self.candidates.len() {
            let candidate = self.candidates[at as usize];
            at += 1;
            let step = self.step(candidate);
            let state = self.after(&step);
            let is_needed = step.after.is_none();
            match state {
                Some(state) if is_needed || state != self.states[step.key as usize] => {
                    frame.next = Next::From(at);
                    return Some((candidate, state));
                }
                _ => {}
            }
        }
        frame.next = Next::From(at);
        None
    }

    fn take(&mut self, candidate: u32, state: u32) -> u32 {
        let key = self.step(candidate).key as usize;
        match (candidate as usize).checked_sub(self.lines.len()) {
            None => {
                self.places[candidate as usize] += 1;
                self.left -= 1;
            }
            Some(unsure) => self.happened[unsure] = true,
        }
        std::mem::replace(&mut self.states[key], state)
    }

    fn give_back(&mut self, candidate: u32, before: u32) {
        match (candidate as usize).checked_sub(self.lines.len()) {
            None => {
                self.places[candidate as usize] -= 1;
                self.left += 1;
            }
            Some(unsure) => self.happened[unsure] = false,
        }
        let key = self.step(candidate).key as usize;
        self.states[key] = before;
    }

    fn set_key(&mut self) {
        self.key.fill(0);
        for (at, value) in self.places.iter().chain(&self.states).enumerate() {
            self.key[at / 2] |= u64::from(*value) << (32 * (at % 2));
        }
        let start = (self.places.len() + self.states.len()).div_ceil(2);
        for (at, happened) in self.happened.iter().enumerate() {
            self.key[start + at / 64] |= u64::from(*happened) << (at % 64);
        }
    }

    fn run(mut self, budget: Budget, steps: &mut u64) -> Found {
        let found = self.find(budget);
        *steps += self.steps;
        found
    }

    fn find(&mut self, budget: Budget) -> Found {
        let new = |candidates: usize| Frame {
            next: Next::New,
            candidates: candidates as u32,
            chosen: None,
            before: 0,
        };
        let mut frames = vec![new(0)];
        while let Some(mut frame) = frames.pop() {
            if let Some(chosen) = frame.chosen.take() {
                self.give_back(chosen, frame.before);
            }
            if self.left == 0 {
                return Found::Order;
            }
            if self.steps > budget.steps {
                return Found::Unknown("the step budget (--budget) was used up");
            }
            let Some((candidate, state)) = self.choose(&mut frame) else {
                self.candidates.truncate(frame.candidates as usize);
                self.set_key();
                let key = std::mem::take(&mut self.key);
                self.dead.insert(&key);
                self.key = key;
                if self.dead.words() * 8 > budget.memory || self.object.is_full() {
                    return Found::Unknown("the memory for the search (--memory) was used up");
                }
                continue;
            };
            frame.before = self.take(candidate, state);
            frame.chosen = Some(candidate);
            frames.push(frame);
            if self.left == 0 {
                return Found::Order;
            }
            self.set_key();
            if self.dead.contains(&self.key) {
                continue;
            }
            frames.push(new(self.candidates.len()));
        }
        Found::None
    }
}
