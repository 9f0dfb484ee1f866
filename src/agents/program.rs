//! Programs as they run: one flat array of instructions, shared by a whole group.

use super::edits::Part;
use super::journal::Granularity;
use super::rows::{Replay, RowPlace};
use super::step::{Action, CallStep, LockStep, OperateStep, PollStep, PublishStep, SendStep, Step, Swap};
use crate::kernel::SimDuration;
use crate::random::Law;
use std::sync::Arc;

mod rows;

/// One instruction. Numbers index the tables of the [`Program`]; `u32` targets are places in its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instruction {
    /// Local work, by a law.
    Think(u32),
    /// Waiting, by a law.
    Sleep(u32),
    /// A call.
    Call(u32),
    /// A call of an agent that has a budget.
    PaidCall(u32),
    /// An operation on shared state.
    Operate(u32),
    /// An event is appended to the agent's log.
    Append,
    /// A lock is asked for.
    Acquire(u32),
    /// It is given back.
    Release,
    /// A publication.
    Publish(u32),
    /// A poll of a channel.
    Poll(u32),
    /// Begins with the next message that a poll got, or goes to `exit` if there is none.
    NextMessage {
        /// Which poll.
        poll: u32,
        /// Where all are handled.
        exit: u32,
    },
    /// A message is handled; goes back for the next.
    MessageOver {
        /// Which poll.
        poll: u32,
        /// Where the next one begins.
        start: u32,
    },
    /// A message.
    Send(u32),
    /// A message and the wait for its answer.
    Ask(u32),
    /// An answer of so many bytes.
    Reply(u32),
    /// The wait for messages.
    Wait(u32),
    /// Draws how often a loop runs into a register, and goes to `exit` if it's never. `law` of `u32::MAX`: for ever.
    Loop {
        /// Which register counts.
        register: u16,
        /// How often.
        law: u32,
        /// Where the loop is over.
        exit: u32,
    },
    /// Counts a round, and goes back to `start` if another is due.
    Again {
        /// Which register counts.
        register: u16,
        /// Whether the loop never ends.
        forever: bool,
        /// Where a round starts.
        start: u32,
    },
    /// Clears what is kept of a step that may be done again.
    Once {
        /// Which registers keep it: this one and the next.
        register: u16,
    },
    /// Goes back to a step that is done, if chance will have it. Counts no step.
    Redo {
        /// Which registers say where the step was over, and how often it was done again.
        register: u16,
        /// The step.
        start: u32,
    },
    /// Goes back to the start of a handler that is through, if chance will have it. Counts no step.
    Round {
        /// The start.
        start: u32,
    },
    /// Goes to one of the places of a table.
    Choose(u32),
    /// Goes on if the read before showed enough, else elsewhere, by a table.
    When(u32),
    /// Goes there.
    Jump(u32),
    /// Starts the branches of a table and waits for all.
    Fork(u32),
    /// Starts a basis and a guess.
    Speculate(u32),
    /// Thinks before the next transaction of a recorded session, or goes to `exit` if there is none.
    NextEdit {
        /// Which session.
        edit: u32,
        /// Where it is over.
        exit: u32,
    },
    /// Counts an edit of a recorded session, and goes back for the next.
    EditOver {
        /// Which session.
        edit: u32,
        /// Where the next one begins.
        start: u32,
    },
    /// Takes a recorded run, and begins with its first row.
    Rows {
        /// Which register keeps the row; the next one keeps how many runs were taken before.
        register: u16,
        /// Which of the program's replays.
        step: u32,
    },
    /// Goes to the place of a table that the row says.
    Match {
        /// Which register keeps the row.
        register: u16,
        /// Which table.
        table: u32,
    },
    /// Goes back for the next row of a run, if there is one.
    NextRow {
        /// Which register keeps the row.
        register: u16,
        /// Which of the program's replays.
        step: u32,
        /// Where a row begins.
        start: u32,
    },
    /// The end of a branch.
    Join,
    /// A task begins; it ends at `exit`.
    TaskBegin {
        /// Its name.
        name: u16,
        /// Where it ends.
        exit: u32,
    },
    /// A task ends.
    TaskEnd,
    /// The program, or a handler, is over.
    End,
}

/// A wait for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitFor {
    /// Which topic; `None`: any without a handler.
    pub topic: Option<u16>,
    /// How many messages.
    pub count: u32,
    /// How long at most.
    pub timeout: Option<SimDuration>,
}

/// A guess and what it depends on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Guess {
    /// Where the basis starts and ends.
    pub basis: (u32, u32),
    /// Where the guess starts and ends.
    pub guess: (u32, u32),
    /// Where the guess is done again, should it prove wrong.
    pub again: u32,
    /// Where the program goes on.
    pub after: u32,
    /// The probability that it proves right.
    pub right: f64,
}

/// A compiled program with its handlers.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Program {
    /// The instructions; the main program starts at 0.
    pub code: Vec<Instruction>,
    /// Where each instruction stands in the scenario, as a path.
    pub places: Vec<String>,
    /// Laws of durations and counts.
    pub laws: Vec<Law>,
    /// Calls.
    pub calls: Vec<CallStep>,
    /// Operations.
    pub operations: Vec<OperateStep>,
    /// Locks.
    pub locks: Vec<LockStep>,
    /// Publications.
    pub publications: Vec<PublishStep>,
    /// Polls, and where a message's steps end.
    pub polls: Vec<(PollStep, u32)>,
    /// Messages.
    pub sends: Vec<SendStep>,
    /// Asks: the message, and the timeout.
    pub asks: Vec<(u32, Option<SimDuration>, bool)>,
    /// Waits.
    pub waits: Vec<WaitFor>,
    /// Choices: cumulative weights and places.
    pub choices: Vec<Vec<(f64, u32)>>,
    /// Tests: the least amount, and where to go on with less.
    pub tests: Vec<(i64, u32)>,
    /// Forks: where each branch starts and ends, then where the program goes on.
    pub forks: Vec<(Vec<(u32, u32)>, u32)>,
    /// Guesses.
    pub guesses: Vec<Guess>,
    /// Recorded sessions, and the law of thinking before a transaction.
    pub edits: Vec<(Arc<Part>, Option<u32>)>,
    /// Recorded runs.
    pub replays: Vec<Replay>,
    /// Of recorded rows the number of their case, and the places of the cases.
    pub dispatches: Vec<(Arc<[u32]>, Vec<u32>)>,
    /// Handlers: topic and place.
    pub handlers: Vec<(u16, u32)>,
    /// Loop registers of one activation.
    pub registers: u16,
    /// Whether any step has a timeout of its own.
    pub has_timeouts: bool,
}

impl Program {
    /// Compiles a main program and handlers by topic. `place` is where the program stands in the scenario.
    pub fn compile(main: &[Step], handlers: &[(u16, Vec<Step>)], place: &str) -> Self {
        Self::compile_with(main, handlers, place, None)
    }

    /// The same, of a program some of whose steps are events of a log.
    pub fn compile_with(
        main: &[Step],
        handlers: &[(u16, Vec<Step>)],
        place: &str,
        events: Option<Granularity>,
    ) -> Self {
        Self::compile_for(main, handlers, place, events, Habits::default())
    }

    /// The same, of agents that do things again.
    pub fn compile_for(
        main: &[Step],
        handlers: &[(u16, Vec<Step>)],
        place: &str,
        events: Option<Granularity>,
        habits: Habits,
    ) -> Self {
        let mut compiler = Compiler {
            program: Self::default(),
            depth: 0,
            events,
            inside: 0,
            in_swap: false,
            row: None,
            repeats: false,
        };
        compiler.block(main, &format!("{place}.program"));
        compiler.emit(Instruction::End, format!("{place}.program"));
        compiler.events = None;
        compiler.repeats = habits.repeats;
        for (topic, steps) in handlers {
            let at = compiler.here();
            let path = format!("{place}.on[{topic}]");
            compiler.depth = 0;
            // Whoever asked hears of the end when the agent thinks that it is there.
            let (steps, reply) = match steps.split_last() {
                Some((reply @ Step::Reply { .. }, steps)) if habits.unaware => (steps, Some(reply)),
                _ => (steps.as_slice(), None),
            };
            compiler.block(steps, &path);
            if habits.unaware {
                compiler.emit(Instruction::Round { start: at }, path.clone());
            }
            if let Some(reply) = reply {
                compiler.step(reply, format!("{path}[{}]", steps.len()));
            }
            compiler.emit(Instruction::End, path);
            compiler.program.handlers.push((*topic, at));
        }
        compiler.count_runs();
        compiler.program
    }

    /// The same program of agents that have budgets.
    pub fn paid(mut self) -> Self {
        for instruction in &mut self.code {
            if let Instruction::Call(call) = *instruction {
                *instruction = Instruction::PaidCall(call);
            }
        }
        self
    }

    /// Whether the main program has any steps. An empty one is no task.
    pub fn has_steps(&self) -> bool {
        !matches!(self.code.first(), None | Some(Instruction::End))
    }

    /// Whether it appends events to a log.
    pub fn has_events(&self) -> bool {
        self.code.contains(&Instruction::Append)
    }

    /// Where the handler of a topic starts.
    pub fn handler(&self, topic: u16) -> Option<u32> {
        self.handlers.iter().find(|(of, _)| *of == topic).map(|(_, at)| *at)
    }
}

/// What agents may do again in their handlers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Habits {
    /// Steps that are done.
    pub repeats: bool,
    /// Handlers that are through.
    pub unaware: bool,
}

struct Compiler {
    program: Program,
    depth: u16,
    /// Which steps are events.
    events: Option<Granularity>,
    /// How many steps are around this one that are events as a whole.
    inside: u32,
    /// Within a compare-and-swap, which is done again as a whole.
    in_swap: bool,
    /// Where the row is kept that the steps here belong to.
    row: Option<RowPlace>,
    /// Whether steps may be done again.
    repeats: bool,
}

impl Compiler {
    fn here(&self) -> u32 {
        self.program.code.len() as u32
    }

    fn emit(&mut self, instruction: Instruction, place: String) -> u32 {
        self.program.code.push(instruction);
        self.program.places.push(place);
        self.here() - 1
    }

    fn block(&mut self, steps: &[Step], place: &str) {
        for (index, step) in steps.iter().enumerate() {
            let place = format!("{place}[{index}]");
            let whole = matches!(
                step,
                Step::Parallel(_)
                    | Step::Speculate { .. }
                    | Step::Task { .. }
                    | Step::WithLock { .. }
                    | Step::Poll { .. }
            );
            self.inside += u32::from(whole);
            self.step(step, place.clone());
            self.inside -= u32::from(whole);
            if self.is_event(step) {
                self.emit(Instruction::Append, place);
            }
        }
    }

    /// A step that takes time, and may be done again though it is done.
    fn redoable(&mut self, instruction: Instruction, place: String) {
        if !self.repeats {
            self.emit(instruction, place);
            return;
        }
        let register = self.depth;
        self.program.registers = self.program.registers.max(register + 2);
        self.emit(Instruction::Once { register }, place.clone());
        let start = self.emit(instruction, place.clone());
        self.emit(Instruction::Redo { register, start }, place);
    }

    /// Whether an event follows a step that was compiled just now.
    fn is_event(&mut self, step: &Step) -> bool {
        if let Step::Operate(operate) = step {
            match operate.swap {
                Some(Swap::Read | Swap::ReadUnlessSeen { .. }) => self.in_swap = true,
                Some(Swap::Write { .. }) => self.in_swap = false,
                None => {}
            }
        }
        if self.inside > 0 || self.in_swap {
            return false;
        }
        match self.events {
            None => false,
            Some(Granularity::Tasks) => matches!(step, Step::Task { .. }),
            Some(Granularity::Steps) => match step {
                Step::Think(_)
                | Step::Sleep(_)
                | Step::Call(_)
                | Step::Operate(_)
                | Step::Ask { .. }
                | Step::Wait { .. }
                | Step::Parallel(_)
                | Step::Speculate { .. }
                | Step::Task { .. }
                | Step::WithLock { .. }
                | Step::Poll { .. }
                | Step::Edit(_) => true,
                Step::Publish(publish) => publish.acknowledged,
                Step::Send(_)
                | Step::Reply { .. }
                | Step::Repeat { .. }
                | Step::EachRow(_)
                | Step::Match(_)
                | Step::Choose(_)
                | Step::When { .. }
                | Step::Stop => false,
            },
        }
    }

    fn law(&mut self, law: &Law) -> u32 {
        push(&mut self.program.laws, law.clone())
    }

    fn step(&mut self, step: &Step, place: String) {
        use Instruction as I;
        match step {
            Step::Think(law) => {
                let law = self.law(law);
                self.redoable(I::Think(law), place);
            }
            Step::Sleep(law) => {
                let law = self.law(law);
                self.redoable(I::Sleep(law), place);
            }
            Step::Call(call) => {
                let call = self.call_in_row(call);
                let call = push(&mut self.program.calls, call);
                self.redoable(I::Call(call), place);
            }
            Step::Operate(operation) => {
                let operation = self.operation_in_row(operation);
                let operation = push(&mut self.program.operations, operation);
                self.emit(I::Operate(operation), place);
            }
            Step::Send(send) => {
                let send = push(&mut self.program.sends, *send);
                self.emit(I::Send(send), place);
            }
            Step::Ask {
                send,
                timeout,
                propagates,
            } => {
                let send = push(&mut self.program.sends, *send);
                self.program.has_timeouts |= timeout.is_some();
                let ask = push(&mut self.program.asks, (send, *timeout, *propagates));
                self.emit(I::Ask(ask), place);
            }
            Step::Reply { bytes } => {
                self.emit(I::Reply(*bytes), place);
            }
            Step::Wait { topic, count, timeout } => {
                self.program.has_timeouts |= timeout.is_some();
                let wait = WaitFor {
                    topic: *topic,
                    count: *count,
                    timeout: *timeout,
                };
                let wait = push(&mut self.program.waits, wait);
                self.emit(I::Wait(wait), place);
            }
            Step::Repeat { times, steps } => self.repeat(times.as_ref(), steps, place),
            Step::EachRow(each) => self.each_row(each, place),
            Step::Match(dispatch) => self.dispatch(dispatch, place),
            Step::Parallel(branches) => {
                let fork = push(&mut self.program.forks, (Vec::new(), 0));
                self.emit(I::Fork(fork), place.clone());
                for (index, branch) in branches.iter().enumerate() {
                    let at = self.branch(branch, format!("{place}.branches[{index}]"));
                    self.program.forks[fork as usize].0.push(at);
                }
                self.program.forks[fork as usize].1 = self.here();
            }
            Step::Choose(options) => self.choose(options, place),
            Step::When {
                at_least,
                steps,
                otherwise,
            } => self.when(*at_least, [steps, otherwise], place),
            Step::Speculate { basis, guess, right } => {
                let index = push(
                    &mut self.program.guesses,
                    Guess {
                        basis: (0, 0),
                        guess: (0, 0),
                        again: 0,
                        after: 0,
                        right: *right,
                    },
                );
                self.emit(I::Speculate(index), place.clone());
                let basis = self.branch(basis, format!("{place}.basis"));
                let at = self.branch(guess, format!("{place}.guess"));
                let again = self.here();
                self.block(guess, &format!("{place}.guess"));
                let after = self.here();
                self.program.guesses[index as usize] = Guess {
                    basis,
                    guess: at,
                    again,
                    after,
                    right: *right,
                };
            }
            Step::Task { name, steps } => {
                let begin = self.emit(I::TaskBegin { name: *name, exit: 0 }, place.clone());
                self.block(steps, &format!("{place}.steps"));
                let exit = self.emit(I::TaskEnd, place);
                self.program.code[begin as usize] = I::TaskBegin { name: *name, exit };
            }
            Step::WithLock { lock, steps } => {
                let index = push(&mut self.program.locks, *lock);
                self.emit(I::Acquire(index), place.clone());
                self.block(steps, &format!("{place}.steps"));
                self.program.locks[index as usize].release = self.emit(I::Release, place);
            }
            Step::Edit(edit) => {
                let think = edit.think.as_ref().map(|law| self.law(law));
                let index = push(&mut self.program.edits, (Arc::clone(&edit.part), think));
                let mut operate = edit.operate.clone();
                operate.action = Action::Edit(index);
                let operation = push(&mut self.program.operations, operate);
                let start = self.emit(I::NextEdit { edit: index, exit: 0 }, place.clone());
                self.emit(I::Operate(operation), place.clone());
                self.emit(I::EditOver { edit: index, start }, place);
                let exit = self.here();
                self.program.code[start as usize] = I::NextEdit { edit: index, exit };
            }
            Step::Publish(publish) => {
                let publication = push(&mut self.program.publications, publish.clone());
                self.emit(I::Publish(publication), place);
            }
            Step::Poll { poll, each } => {
                let index = push(&mut self.program.polls, (*poll, 0));
                self.emit(I::Poll(index), place.clone());
                let start = self.emit(I::NextMessage { poll: index, exit: 0 }, place.clone());
                self.block(each, &format!("{place}.each"));
                let over = self.emit(I::MessageOver { poll: index, start }, place);
                self.program.polls[index as usize].1 = over;
                let exit = self.here();
                self.program.code[start as usize] = I::NextMessage { poll: index, exit };
            }
            Step::Stop => {
                // A branch's end is its join; only there does stopping mean less than the whole activation.
                self.emit(I::End, place);
            }
        }
    }

    fn repeat(&mut self, times: Option<&Law>, steps: &[Step], place: String) {
        let register = self.depth;
        self.depth += 1;
        self.program.registers = self.program.registers.max(self.depth);
        let law = times.map_or(u32::MAX, |law| self.law(law));
        let begin = self.emit(Instruction::Loop { register, law, exit: 0 }, place.clone());
        let start = self.here();
        self.block(steps, &format!("{place}.steps"));
        self.emit(
            Instruction::Again {
                register,
                forever: times.is_none(),
                start,
            },
            place,
        );
        self.program.code[begin as usize] = Instruction::Loop {
            register,
            law,
            exit: self.here(),
        };
        self.depth -= 1;
    }

    /// A branch has registers of its own, and ends with a join. Within a row it keeps those of the loops around it.
    fn branch(&mut self, steps: &[Step], place: String) -> (u32, u32) {
        let depth = self.depth;
        if self.row.is_none() {
            self.depth = 0;
        }
        let at = self.here();
        self.block(steps, &place);
        let exit = self.emit(Instruction::Join, place);
        self.depth = depth;
        (at, exit)
    }

    fn when(&mut self, at_least: i64, [steps, otherwise]: [&[Step]; 2], place: String) {
        let test = push(&mut self.program.tests, (at_least, 0));
        self.emit(Instruction::When(test), place.clone());
        self.block(steps, &format!("{place}.steps"));
        let jump = self.emit(Instruction::Jump(0), place.clone());
        self.program.tests[test as usize].1 = self.here();
        self.block(otherwise, &format!("{place}.otherwise"));
        self.program.code[jump as usize] = Instruction::Jump(self.here());
    }

    fn choose(&mut self, options: &[(f64, Vec<Step>)], place: String) {
        let choice = push(&mut self.program.choices, Vec::new());
        self.emit(Instruction::Choose(choice), place.clone());
        let total: f64 = options.iter().map(|(weight, _)| weight).sum();
        let (mut sum, mut jumps) = (0.0, Vec::new());
        for (index, (weight, steps)) in options.iter().enumerate() {
            sum += weight / total;
            let at = self.here();
            self.program.choices[choice as usize].push((sum, at));
            let path = format!("{place}.options[{index}]");
            self.block(steps, &path);
            jumps.push(self.emit(Instruction::Jump(0), path));
        }
        let after = self.here();
        for jump in jumps {
            self.program.code[jump as usize] = Instruction::Jump(after);
        }
    }
}

fn push<T>(table: &mut Vec<T>, item: T) -> u32 {
    table.push(item);
    table.len() as u32 - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instruction_is_small() {
        assert!(size_of::<Instruction>() <= 12, "{}", size_of::<Instruction>());
    }

    #[test]
    fn loops_choices_and_branches_become_jumps_in_one_array() {
        use Instruction as I;
        let think = || Step::Think(Law::Constant(1.0));
        let main = [
            Step::Repeat {
                times: Some(Law::Constant(3.0)),
                steps: vec![think()],
            },
            Step::Choose(vec![(1.0, vec![think()]), (3.0, vec![])]),
            Step::Parallel(vec![
                vec![think()],
                vec![Step::Repeat {
                    times: None,
                    steps: vec![think()],
                }],
            ]),
        ];
        let program = Program::compile(&main, &[(7, vec![think()])], "agents.a");
        let expected = [
            I::Loop {
                register: 0,
                law: 0,
                exit: 3,
            },
            I::Think(1),
            I::Again {
                register: 0,
                forever: false,
                start: 1,
            },
            I::Choose(0),
            I::Think(2),
            I::Jump(7),
            I::Jump(7),
            I::Fork(0),
            I::Think(3),
            I::Join,
            I::Loop {
                register: 0,
                law: u32::MAX,
                exit: 13,
            },
            I::Think(4),
            I::Again {
                register: 0,
                forever: true,
                start: 11,
            },
            I::Join,
            I::End,
            I::Think(5),
            I::End,
        ];
        assert_eq!(program.code, expected);
        assert_eq!(program.choices, [[(0.25, 4), (1.0, 6)]]);
        assert_eq!(program.forks, [(vec![(8, 9), (10, 13)], 14)]);
        assert_eq!(program.handler(7), Some(15));
        assert_eq!(program.places[11], "agents.a.program[2].branches[1][0].steps[0]");
    }
}
