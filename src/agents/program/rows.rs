//! Steps about recorded rows, compiled: a loop over the rows of a run, and jumps by what stands in them.

use super::super::rows::{Dispatch, EachRow, Replay, RowPlace};
use super::super::step::{CallStep, CallTokens, OperateStep};
use super::{Compiler, Instruction, push};
use std::sync::Arc;

impl Compiler {
    /// Takes a run, then performs its rows one by one.
    pub(super) fn each_row(&mut self, each: &EachRow, place: String) {
        let register = self.depth;
        self.depth += 2;
        self.program.registers = self.program.registers.max(self.depth);
        let step = push(
            &mut self.program.replays,
            Replay {
                runs: Arc::clone(&each.runs),
                take: each.take,
                success: each.success.clone(),
                counter: 0,
            },
        );
        let here = RowPlace {
            register,
            step: step as u16,
        };
        let outer = self.row.replace(here);
        self.emit(Instruction::Rows { register, step }, place.clone());
        let start = self.here();
        self.dispatch(&each.dispatch, place.clone());
        self.emit(Instruction::NextRow { register, step, start }, place);
        self.row = outer;
        self.depth -= 2;
    }

    /// Goes by what stands in the row that is performed.
    pub(super) fn dispatch(&mut self, dispatch: &Dispatch, place: String) {
        let register = self.row.map_or(0, |row| row.register);
        let table = push(
            &mut self.program.dispatches,
            (Arc::clone(&dispatch.case_of), Vec::new()),
        );
        self.emit(Instruction::Match { register, table }, place.clone());
        let mut jumps = Vec::with_capacity(dispatch.cases.len());
        for (name, steps) in &dispatch.cases {
            let at = self.here();
            self.program.dispatches[table as usize].1.push(at);
            let path = format!("{place}.{name}");
            self.block(steps, &path);
            jumps.push(self.emit(Instruction::Jump(0), path));
        }
        let after = self.here();
        for jump in jumps {
            self.program.code[jump as usize] = Instruction::Jump(after);
        }
    }

    /// A call that knows where the row is kept by which it goes.
    pub(super) fn call_in_row(&self, call: &CallStep) -> CallStep {
        let mut call = call.clone();
        if let (Some(row), Some((tokens_in, tokens_out))) = (self.row, &mut call.tokens) {
            for tokens in [tokens_in, tokens_out] {
                if let CallTokens::OfRow { register, .. } = tokens {
                    *register = row.register;
                }
            }
        }
        call
    }

    /// The same of an operation whose key is that of the run.
    pub(super) fn operation_in_row(&self, operation: &OperateStep) -> OperateStep {
        let mut operation = operation.clone();
        if operation.keys.of_run.is_some() {
            operation.keys.of_run = self.row;
        }
        operation
    }

    /// The counts of runs that agents have taken get registers of their own, behind all others.
    pub(super) fn count_runs(&mut self) {
        let first = self.program.registers;
        for (replay, counter) in self.program.replays.iter_mut().zip(first..) {
            replay.counter = counter;
        }
        self.program.registers += self.program.replays.len() as u16;
    }
}
