//! Recorded runs as agents replay them: rows of a table, performed one after the other.
//!
//! Guarantees: an agent performs the rows of the run that it has taken in their recorded order, each as the program says by what
//! stands in it, and the next when that is over. Which run it takes follows from its number in its group and from how many it has
//! taken before (or is drawn under its own key by the latter): nobody else has any part in it. Place and count lie in its registers,
//! as the counts of its loops do: a crash that takes its memory takes both, and a journal brings both back.

use super::activation::EXTRA;
use super::group::AgentGroup;
use super::step::Step;
use crate::kernel::Stream;
use crate::world::population::{Cx, purpose};
use crate::world::record::What;
use std::sync::Arc;

/// The rows of a table, by the runs that they belong to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Runs {
    /// Of each row, in the order of runs, its number in the file.
    rows: Vec<u32>,
    /// Of each row, in the same order, its run.
    run_of: Vec<u32>,
    /// Where each run begins in it.
    starts: Vec<u32>,
}

impl Runs {
    /// The runs of a table that has a row in `of` for each run's number. Runs are numbered from 0, without gaps.
    ///
    /// # Panics
    /// If there are no rows, or if a number is left out.
    pub fn new(of: &[u32]) -> Self {
        assert!(!of.is_empty(), "a table of runs has rows");
        let mut rows: Vec<u32> = (0..of.len() as u32).collect();
        // Stable: the rows of a run stay in the order of the file.
        rows.sort_by_key(|row| of[*row as usize]);
        let run_of: Vec<u32> = rows.iter().map(|row| of[*row as usize]).collect();
        let mut starts = Vec::new();
        for (place, run) in (0..).zip(&run_of) {
            if *run as usize == starts.len() {
                starts.push(place);
            }
            assert_eq!(*run as usize + 1, starts.len(), "runs are numbered without gaps");
        }
        Self { rows, run_of, starts }
    }

    /// How many runs there are.
    pub fn count(&self) -> usize {
        self.starts.len()
    }

    /// Of each row, in the order of runs, its number in the file.
    pub fn rows(&self) -> &[u32] {
        &self.rows
    }

    /// Of each row, in the order of runs, its run.
    pub fn run_of(&self) -> &[u32] {
        &self.run_of
    }

    /// Where the rows of a run begin, in the order of runs.
    pub fn start(&self, run: u32) -> u32 {
        self.starts[run as usize]
    }

    /// Whether a row is the last of its run.
    pub fn is_last(&self, place: u32) -> bool {
        let run = |place: u32| self.run_of.get(place as usize);
        run(place) != run(place + 1)
    }
}

/// Which run an agent takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// The agents take them in turn: of `n` agents number `a` takes `a`, then `a + n`, and so on, from the first again after the
    /// last. Agents of a stream take one after the other.
    InOrder,
    /// Any, anew each time.
    Random,
}

/// A step that performs the rows of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct EachRow {
    /// The runs.
    pub runs: Arc<Runs>,
    /// Which of them.
    pub take: Take,
    /// Of each run whether it was a success on record, if that is recorded.
    pub success: Option<Arc<[bool]>>,
    /// What is done in a row.
    pub dispatch: Dispatch,
}

/// What is done in a row, by the value of a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Dispatch {
    /// Of each row, in the order of runs, the number of its case.
    pub case_of: Arc<[u32]>,
    /// The cases, with their places in the step.
    pub cases: Vec<(String, Vec<Step>)>,
}

/// Runs as a compiled program replays them.
#[derive(Debug, Clone, PartialEq)]
pub struct Replay {
    /// The runs.
    pub runs: Arc<Runs>,
    /// Which of them.
    pub take: Take,
    /// Of each run whether it was a success on record.
    pub success: Option<Arc<[bool]>>,
    /// The register, of the agent's own program, that counts the runs it has taken in this step.
    pub counter: u16,
}

/// Where an activation keeps the row that it performs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RowPlace {
    /// The register of the row; the next one says how many runs the agent had taken before.
    pub register: u16,
    /// The number of the step, in the program.
    pub step: u16,
}

/// What a record says of a run: the word `c` of [`What::Row`].
pub mod event {
    /// A row is begun.
    pub const BEGAN: u64 = 0;
    /// The last row is over, and with it the run.
    pub const OVER: u64 = 1;
    /// Added to either: the run was no success on record.
    pub const FAILED: u64 = 2;
    /// Added to either: the run was a success on record.
    pub const SUCCEEDED: u64 = 4;
}

impl AgentGroup {
    /// The run that an agent takes when it has taken so many in this step.
    fn run_taken(&self, member: u32, step: u32, taken: u32) -> u32 {
        let replay = &self.spec.program.replays[step as usize];
        let count = replay.runs.count() as u64;
        let run = match replay.take {
            Take::Random => {
                let key = self.agents[member as usize].endpoint.key;
                let address = u64::from(step) << 32 | u64::from(taken);
                key.stream(purpose::RUN, address).below(count)
            }
            Take::InOrder => {
                let ordinal = u64::from(self.biographies[member as usize].ordinal);
                let stride = match self.spec.is_stream {
                    true => 1,
                    false => u64::from(self.spec.count.unwrap_or(1)),
                };
                ordinal.wrapping_add(u64::from(taken) * stride) % count
            }
        };
        run as u32
    }

    /// An activation takes a run, and begins with its first row.
    pub(super) fn begin_rows(&mut self, id: u32, step: u32, register: u16, cx: &mut Cx<'_, '_>) {
        let member = self.member_of(id);
        let counter = self.spec.program.replays[step as usize].counter;
        let count = self.register(member, counter);
        let taken = *count;
        *count = taken.wrapping_add(1);
        let run = self.run_taken(member, step, taken);
        let first = self.spec.program.replays[step as usize].runs.start(run);
        *self.register(id, register) = first;
        *self.register(id, register + 1) = taken;
        self.record_row(id, step, first, event::BEGAN, cx);
    }

    /// A row is over. Whether the run has another one, which is begun.
    pub(super) fn next_row(&mut self, id: u32, step: u32, register: u16, cx: &mut Cx<'_, '_>) -> bool {
        let row = *self.register(id, register);
        if self.spec.program.replays[step as usize].runs.is_last(row) {
            self.record_row(id, step, row, event::OVER, cx);
            return false;
        }
        *self.register(id, register) = row + 1;
        self.record_row(id, step, row + 1, event::BEGAN, cx);
        true
    }

    /// Where the case begins that the row of an activation belongs to.
    pub(super) fn case_of_row(&self, id: u32, table: u32, register: u16) -> u32 {
        let row = self.peek_register(id, register);
        let (case_of, places) = &self.spec.program.dispatches[table as usize];
        places[case_of[row as usize] as usize]
    }

    /// The draws about a run as a whole: the same wherever in the run they are asked for.
    pub(super) fn run_draws(&self, id: u32, place: RowPlace) -> (Stream, u64) {
        let taken = self.peek_register(id, place.register + 1);
        let address = u64::from(place.step) << 32 | u64::from(taken);
        let key = self.agents[self.member_of(id) as usize].endpoint.key;
        (key.stream(purpose::RUN_KEY, address), address)
    }

    /// An agent has lost its memory: how many runs it has taken is part of it.
    pub(super) fn forget_runs(&mut self, member: u32) {
        for step in 0..self.spec.program.replays.len() {
            let counter = self.spec.program.replays[step].counter;
            *self.register(member, counter) = 0;
        }
    }

    /// A branch knows the row that is performed around it.
    pub(super) fn hand_row_on(&mut self, from: u32, to: u32) {
        if self.spec.program.replays.is_empty() {
            return;
        }
        for register in 0..self.spec.program.registers {
            *self.register(to, register) = *self.register(from, register);
        }
        debug_assert!(to & EXTRA != 0, "a branch is an extra activation");
    }

    fn record_row(&mut self, id: u32, step: u32, row: u32, event: u64, cx: &mut Cx<'_, '_>) {
        if !cx.wants(What::Row) {
            return;
        }
        let replay = &self.spec.program.replays[step as usize];
        let run = replay.runs.run_of()[row as usize];
        let recorded = match replay.success.as_ref().map(|success| success[run as usize]) {
            None => 0,
            Some(false) => event::FAILED,
            Some(true) => event::SUCCEEDED,
        };
        let place = u64::from(run) << 32 | u64::from(row - replay.runs.start(run));
        let subject = self.base + self.member_of(id);
        cx.record(What::Row, subject, [self.name_of(id), place, event | recorded]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_gathered_by_run_in_the_order_of_the_file() {
        let runs = Runs::new(&[0, 1, 0, 2, 1, 1]);
        assert_eq!((runs.count(), runs.rows()), (3, &[0, 2, 1, 4, 5, 3][..]));
        assert_eq!(runs.run_of(), [0, 0, 1, 1, 1, 2]);
        assert_eq!([0, 1, 2].map(|run| runs.start(run)), [0, 2, 5]);
        let last: Vec<bool> = (0..6).map(|row| runs.is_last(row)).collect();
        assert_eq!(last, [false, true, false, false, true, true]);
    }
}
