//! Running programs: one instruction after another until the activation waits, and the account of where its time went.

use super::activation::{Activation, EXTRA, Extra, Frame, JoinState, NIL, Settled, State, TaskEnd, Timer};
use super::endless::LAST_STEP;
use super::group::AgentGroup;
use super::program::{Guess, Instruction};
use crate::kernel::{Key, SimDuration, SimTime, Stream};
use crate::world::call::{Part, Parts};
use crate::world::population::{Cx, purpose};
use crate::world::record::What;
use std::sync::Arc;

/// A program that makes so many steps in one instant without ever waiting is stopped.
const MOST_STEPS_AT_ONCE: u32 = 1_000_000;

impl AgentGroup {
    /// Runs an activation from its instruction on, until it waits or ends.
    pub(super) fn run(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        self.activation(id).state = State::Running;
        let member = self.member_of(id);
        if cx.step() >= LAST_STEP {
            return self.never_waits(id, cx);
        }
        for _ in 0..MOST_STEPS_AT_ONCE {
            let pc = self.activation(id).pc;
            match self.spec.program.code[pc as usize] {
                Instruction::Think(law) => {
                    let duration = self.draw_thinking(id, law);
                    self.agents[member as usize].thinking += 1;
                    let due = cx.now().saturating_add(duration);
                    self.begin_step(id, State::Thinking, due.as_nanos(), cx);
                    return self.wake_at(id, due, cx);
                }
                Instruction::Sleep(law) => {
                    let duration = self.draw_duration(id, law);
                    let due = cx.now().saturating_add(duration);
                    self.begin_step(id, State::Sleeping, due.as_nanos(), cx);
                    self.wake_at(id, due, cx);
                    return self.start_handlers(member, cx);
                }
                Instruction::Call(call) => return self.begin_call(id, call, cx),
                Instruction::PaidCall(call) => return self.begin_paid_call(id, call, cx),
                Instruction::Operate(operation) => {
                    if !self.begin_operation(id, operation, cx) {
                        return;
                    }
                    self.step_over(id);
                }
                Instruction::Append => return self.begin_append(id, cx),
                Instruction::Acquire(lock) => return self.begin_lock(id, lock, cx),
                Instruction::Release => {
                    self.release_last(id, cx);
                    self.pop_frame(id, TaskEnd::Done, cx);
                    if self.activation(id).failed {
                        self.fail(id);
                    } else {
                        self.step_over(id);
                    }
                }
                Instruction::Publish(publication) => {
                    if !self.begin_publish(id, publication, cx) {
                        return;
                    }
                    self.step_over(id);
                }
                Instruction::Poll(poll) => return self.begin_poll(id, poll, cx),
                Instruction::NextMessage { poll, exit } => {
                    let there = self.next_message(id, poll, cx);
                    self.step_over(id);
                    if !there {
                        self.activation(id).pc = exit;
                    }
                }
                Instruction::MessageOver { start, .. } => {
                    self.pop_frame(id, TaskEnd::Done, cx);
                    let failed = std::mem::take(&mut self.activation(id).failed);
                    if failed {
                        self.note_given_up(id);
                    }
                    self.message_over(id, failed, cx);
                    self.step_over(id);
                    self.activation(id).pc = start;
                }
                Instruction::Send(send) => {
                    let step = self.spec.program.sends[send as usize];
                    self.send(id, &step, cx);
                    self.step_over(id);
                }
                Instruction::Ask(ask) => return self.begin_ask(id, ask, cx),
                Instruction::Reply(bytes) => {
                    self.reply(id, bytes, cx);
                    self.step_over(id);
                }
                Instruction::Wait(wait) => {
                    if !self.begin_wait(id, wait, cx) {
                        return;
                    }
                }
                Instruction::Loop { register, law, exit } => {
                    let times = match law {
                        u32::MAX => u32::MAX,
                        law => {
                            let (mut stream, number) = self.draws(id, purpose::TIMES);
                            (self.spec.program.laws[law as usize].sample(&mut stream, number) + 0.5) as u32
                        }
                    };
                    *self.register(id, register) = times;
                    self.step_over(id);
                    if times == 0 {
                        self.activation(id).pc = exit;
                    }
                }
                Instruction::Again {
                    register,
                    forever,
                    start,
                } => {
                    // The register of a loop without end isn't even loaded.
                    let again = forever || {
                        let left = self.register(id, register);
                        *left = left.saturating_sub(1);
                        *left > 0
                    };
                    self.activation(id).pc = if again { start } else { pc + 1 };
                }
                Instruction::Once { register } => {
                    *self.register(id, register) = 0;
                    *self.register(id, register + 1) = 0;
                    self.activation(id).pc += 1;
                }
                Instruction::Redo { register, start } => {
                    let again = self.does_again(id, register, start, cx);
                    self.activation(id).pc = if again { start } else { pc + 1 };
                }
                Instruction::Round { start } => {
                    let again = self.goes_round(id, cx);
                    self.activation(id).pc = if again { start } else { pc + 1 };
                }
                Instruction::Choose(choice) => {
                    let (mut stream, _) = self.draws(id, purpose::CHOICE);
                    let draw = stream.unit();
                    let options = &self.spec.program.choices[choice as usize];
                    let chosen = options.iter().find(|(upto, _)| draw < *upto).or(options.last());
                    let chosen = chosen.map(|(_, at)| *at);
                    self.step_over(id);
                    if let Some(at) = chosen {
                        self.activation(id).pc = at;
                    }
                }
                Instruction::When(test) => {
                    let (at_least, otherwise) = self.spec.program.tests[test as usize];
                    let enough = self.amounts.get(&id).is_some_and(|amount| *amount >= at_least);
                    self.step_over(id);
                    if !enough {
                        self.activation(id).pc = otherwise;
                    }
                }
                Instruction::Jump(to) => self.activation(id).pc = to,
                Instruction::Fork(fork) => {
                    let spec = Arc::clone(&self.spec);
                    let (branches, after) = &spec.program.forks[fork as usize];
                    if branches.is_empty() {
                        self.step_over(id);
                        self.activation(id).pc = *after;
                        continue;
                    }
                    if !self.fork(id, branches, State::Forked, cx) {
                        return;
                    }
                }
                Instruction::Speculate(guess) => {
                    let Guess { basis, guess, .. } = self.spec.program.guesses[guess as usize];
                    if !self.fork(id, &[basis, guess], State::Speculating, cx) {
                        return;
                    }
                }
                Instruction::NextEdit { edit, exit } => {
                    let think = self.spec.program.edits[edit as usize].1;
                    match (self.next_edit(member, edit), think) {
                        (Some(true), Some(law)) => {
                            let duration = self.draw_duration(id, law);
                            self.agents[member as usize].thinking += 1;
                            let due = cx.now().saturating_add(duration);
                            self.begin_step(id, State::Thinking, due.as_nanos(), cx);
                            return self.wake_at(id, due, cx);
                        }
                        (Some(_), _) => self.step_over(id),
                        (None, _) => {
                            self.step_over(id);
                            self.activation(id).pc = exit;
                        }
                    }
                }
                Instruction::EditOver { edit, start } => {
                    self.edit_over(member, edit);
                    self.step_over(id);
                    self.activation(id).pc = start;
                }
                Instruction::Rows { register, step } => {
                    self.begin_rows(id, step, register, cx);
                    self.step_over(id);
                }
                Instruction::Match { register, table } => {
                    let at = self.case_of_row(id, table, register);
                    self.step_over(id);
                    self.activation(id).pc = at;
                }
                Instruction::NextRow { register, step, start } => {
                    let again = self.next_row(id, step, register, cx);
                    self.activation(id).pc = if again { start } else { pc + 1 };
                }
                Instruction::Join => return self.branch_ended(id, cx),
                Instruction::TaskBegin { name, exit } => {
                    let run = self.activation(id).path;
                    let steps = self.activation(id).steps as u64;
                    let ordinal = self.biographies[member as usize].ordinal as u64;
                    let identity = ordinal << 32 | (run & 0xffff) << 16 | (steps & 0xffff);
                    self.push_frame(id, exit, Some(identity), name, cx);
                    cx.task_began();
                    self.step_over(id);
                }
                Instruction::TaskEnd => {
                    let end = if self.activation(id).failed {
                        TaskEnd::Failed
                    } else {
                        TaskEnd::Done
                    };
                    self.activation(id).failed = false;
                    self.pop_frame(id, end, cx);
                    self.step_over(id);
                }
                Instruction::End => return self.ended(id, cx),
            }
        }
        let message = "the program never waits and never ends: give its loop a Think, a Sleep, a Wait or a call";
        self.halt_here(id, message.to_string(), cx);
    }

    /// Goes on with the next instruction, and counts the step.
    #[inline(always)]
    pub(super) fn step_over(&mut self, id: u32) {
        let activation = self.activation(id);
        activation.pc += 1;
        activation.steps += 1;
    }

    /// The address of the step that an activation is at: its task, the branches that lead to it, and its number there.
    #[inline]
    pub(super) fn address(&self, id: u32) -> u64 {
        self.peek(id).map_or(0, |activation| {
            activation.path.rotate_left(24) ^ activation.steps as u64
        })
    }

    /// The draws of the step that an activation is at.
    #[inline]
    pub(super) fn draws(&self, id: u32, purpose: crate::kernel::Purpose) -> (Stream, u64) {
        let address = self.address(id);
        let key: Key = self.agents[self.member_of(id) as usize].endpoint.key;
        (key.stream(purpose, address), address)
    }

    pub(super) fn draw_duration(&self, id: u32, law: u32) -> SimDuration {
        let (mut stream, number) = self.draws(id, purpose::THINK);
        self.spec.program.laws[law as usize].sample_duration(&mut stream, number)
    }

    pub(super) fn register(&mut self, id: u32, register: u16) -> &mut u32 {
        let stride = self.spec.program.registers as usize;
        let (registers, index) = if id & EXTRA == 0 {
            (&mut self.registers, id)
        } else {
            (&mut self.extra_registers, id & !EXTRA)
        };
        &mut registers[index as usize * stride + register as usize]
    }

    pub(super) fn peek_register(&self, id: u32, register: u16) -> u32 {
        let stride = self.spec.program.registers as usize;
        let (registers, index) = match id & EXTRA {
            0 => (&self.registers, id),
            _ => (&self.extra_registers, id & !EXTRA),
        };
        registers[index as usize * stride + register as usize]
    }

    /// A think, a sleep or a backoff is over.
    pub(super) fn wake(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        let (state, member) = (self.activation(id).state, self.member_of(id));
        match state {
            State::Thinking => {
                self.agents[member as usize].thinking -= 1;
                let until = self.enabled(id, cx);
                self.settle(id, Part::Thinking, cx);
                self.step_ended_at(id, Settled::Done, 0, until, cx);
                self.step_over(id);
                self.run(id, cx);
                self.start_handlers(member, cx);
            }
            State::Sleeping => {
                let until = self.enabled(id, cx);
                self.settle(id, Part::Thinking, cx);
                self.step_ended_at(id, Settled::Done, 0, until, cx);
                self.step_over(id);
                self.run(id, cx);
            }
            State::BackingOff => self.launch(id, cx),
            State::Replaying => self.replayed(id, cx),
            State::SwapBackingOff => self.swap_backed_off(id, cx),
            _ => {}
        }
    }

    /// When what is handled now could be done: earlier than now if the agent stood still since, but not before the activation
    /// was last accounted for.
    #[inline]
    pub(super) fn enabled(&self, id: u32, cx: &Cx<'_, '_>) -> SimTime {
        let Some(at) = self.enabled_at else { return cx.now() };
        self.peek(id).map_or(cx.now(), |activation| at.max(activation.mark))
    }

    /// An activation's name in records.
    #[inline]
    pub(super) fn name_of(&self, id: u32) -> u64 {
        (self.base as u64) << 32 | id as u64
    }

    /// An activation begins to work or to wait. `about` is for the records.
    #[inline]
    pub(super) fn begin_step(&mut self, id: u32, state: State, about: u64, cx: &mut Cx<'_, '_>) {
        self.activation(id).state = state;
        if cx.wants(What::StepBegan) {
            let member = self.member_of(id);
            cx.record(
                What::StepBegan,
                self.base + member,
                [self.name_of(id), state as u64, about],
            );
        }
    }

    /// Records that what an activation worked on or waited for is settled, and could be so at `until`.
    #[inline]
    pub(super) fn step_ended_at(&mut self, id: u32, how: Settled, about: u64, until: SimTime, cx: &mut Cx<'_, '_>) {
        if cx.wants(What::StepEnded) {
            let (subject, name) = (self.base + self.member_of(id), self.name_of(id));
            cx.record_with(What::StepEnded, subject, [name, how as u64, about], &[until.as_nanos()]);
        }
    }

    /// The same, where it could be settled only now.
    pub(super) fn step_ended(&mut self, id: u32, how: Settled, about: u64, cx: &mut Cx<'_, '_>) {
        self.step_ended_at(id, how, about, cx.now(), cx);
    }

    /// Accounts for the time since the last settlement.
    #[inline]
    pub(super) fn settle(&mut self, id: u32, part: Part, cx: &Cx<'_, '_>) {
        let until = self.enabled(id, cx);
        self.settle_at(id, part, until, cx);
        if until < cx.now() {
            self.settle_at(id, Part::Down, cx.now(), cx);
        }
    }

    /// Accounts for the time from the last settlement until `until`.
    pub(super) fn settle_at(&mut self, id: u32, part: Part, until: SimTime, _cx: &Cx<'_, '_>) {
        let activation = self.activation(id);
        let (frame, passed) = (activation.frame, until.since(activation.mark));
        activation.mark = activation.mark.max(until);
        if frame != NIL {
            self.frame_mut(frame).parts.add(part, passed);
        }
    }

    /// Accounts for the time since the last settlement, split as told.
    #[inline(always)]
    pub(super) fn settle_parts(&mut self, id: u32, parts: &Parts, cx: &Cx<'_, '_>) {
        let until = self.enabled(id, cx);
        let activation = self.activation(id);
        debug_assert_eq!(
            parts.total(),
            until - activation.mark,
            "the parts of a wait add up to it"
        );
        let frame = activation.frame;
        activation.mark = until;
        if frame != NIL {
            self.frame_mut(frame).parts.merge(parts);
        }
        if until < cx.now() {
            self.settle_at(id, Part::Down, cx.now(), cx);
        }
    }

    /// A frame by its number.
    #[inline]
    pub(super) fn frame(&self, index: u32) -> &Frame {
        if index & EXTRA == 0 {
            &self.outer_frames[index as usize]
        } else {
            &self.inner_frames[(index & !EXTRA) as usize]
        }
    }

    #[inline]
    fn frame_mut(&mut self, index: u32) -> &mut Frame {
        if index & EXTRA == 0 {
            &mut self.outer_frames[index as usize]
        } else {
            &mut self.inner_frames[(index & !EXTRA) as usize]
        }
    }

    /// Opens a frame of the account.
    #[inline(always)]
    pub(super) fn push_frame(&mut self, id: u32, exit: u32, task: Option<u64>, name: u16, cx: &mut Cx<'_, '_>) {
        let activation = self.activation(id);
        let began = cx.now();
        let frame = Frame {
            outer: activation.frame,
            exit,
            task,
            name,
            gave_up: false,
            began,
            parts: Parts::default(),
        };
        let index = if frame.outer == NIL && id & EXTRA == 0 {
            self.outer_frames[id as usize] = frame;
            id
        } else if let Some(index) = self.free_frames.pop() {
            self.inner_frames[index as usize] = frame;
            index | EXTRA
        } else {
            self.inner_frames.push(frame);
            (self.inner_frames.len() as u32 - 1) | EXTRA
        };
        let member = self.member_of(id);
        self.activation(id).frame = index;
        if let Some(identity) = task {
            let subject = self.base + member;
            cx.record(What::TaskStarted, subject, [identity, name as u64, self.name_of(id)]);
        }
    }

    /// Closes the innermost frame, and adds its account to the one around it.
    /// The closed frame stays at its place until another one is opened.
    #[inline(always)]
    pub(super) fn pop_frame(&mut self, id: u32, end: TaskEnd, cx: &mut Cx<'_, '_>) -> u32 {
        let index = self.activation(id).frame;
        if index & EXTRA != 0 {
            self.free_frames.push(index & !EXTRA);
        }
        let outer = self.frame(index).outer;
        self.activation(id).frame = outer;
        if outer != NIL {
            let Frame { parts, gave_up, .. } = *self.frame(index);
            let around = self.frame_mut(outer);
            around.parts.merge(&parts);
            around.gave_up |= gave_up;
        }
        let frame = self.frame(index);
        if let Some(identity) = frame.task {
            assert_eq!(
                frame.parts.total(),
                cx.now() - frame.began,
                "the parts of a task add up to its time ({})",
                self.spec.name
            );
            if cx.wants(What::TaskEnded) {
                let mut extra = [0; 8];
                extra[0] = frame.began.as_nanos();
                extra[1..].copy_from_slice(&frame.parts.0);
                let how = end as u64 | (frame.name as u64) << 8 | u64::from(frame.gave_up) << 32;
                let (subject, activation) = (self.base + self.member_of(id), self.name_of(id));
                cx.record_with(What::TaskEnded, subject, [identity, how, activation], &extra);
            }
            cx.task_over();
        }
        index
    }

    /// Ends every task of an activation.
    #[inline(always)]
    pub(super) fn unwind_all(&mut self, id: u32, end: TaskEnd, cx: &mut Cx<'_, '_>) {
        while self.activation(id).frame != NIL {
            self.pop_frame(id, end, cx);
        }
    }

    /// A step failed beyond its policy: the task around it ends, or the program goes on.
    pub(super) fn step_failed(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        self.fail(id);
        self.run(id, cx);
    }

    /// Goes to where an activation goes on after a failure.
    fn fail(&mut self, id: u32) {
        let pc = self.activation(id).pc as usize;
        let rebuilding = self.is_rebuilding(id);
        if self.spec.failure_ends_task || rebuilding {
            if rebuilding {
                self.rebuild_failed(id);
            }
            let frame = self.activation(id).frame;
            let exit = self.frame(frame).exit;
            let activation = self.activation(id);
            activation.failed = true;
            activation.pc = exit;
            activation.steps += 1;
            return;
        }
        self.note_given_up(id);
        if let Instruction::Acquire(lock) = self.spec.program.code[pc] {
            // What the lock was for isn't done without it.
            let after = self.spec.program.locks[lock as usize].release + 1;
            let activation = self.activation(id);
            activation.pc = after;
            activation.steps += 1;
        } else {
            self.step_over(id);
        }
    }

    /// A step of an activation was given up, and its program goes on.
    fn note_given_up(&mut self, id: u32) {
        let frame = self.activation(id).frame;
        if frame != NIL {
            self.frame_mut(frame).gave_up = true;
        }
    }

    /// An extra activation that starts at `pc`.
    pub(super) fn spawn(&mut self, member: u32, pc: u32, parent: u32, branch: u16, path: u64, now: SimTime) -> u32 {
        let activation = Activation {
            pc,
            path,
            mark: now,
            state: State::Running,
            ..Activation::IDLE
        };
        let mut fresh = Extra {
            activation,
            member,
            parent,
            next: NIL,
            branch,
        };
        let id = match self.free_extras.pop() {
            Some(index) => {
                let place = &mut self.extras[index as usize];
                fresh.activation.generation = place.activation.generation.wrapping_add(1);
                *place = fresh;
                index | EXTRA
            }
            None => {
                self.extras.push(fresh);
                self.extra_timers.push(Timer::IDLE);
                let registers = self.spec.program.registers as usize;
                self.extra_registers.extend(std::iter::repeat_n(0, registers));
                (self.extras.len() as u32 - 1) | EXTRA
            }
        };
        *self.link_to(member, NIL) = id;
        id
    }

    /// Where the list of an agent's extra activations holds this one; its end, for none.
    fn link_to(&mut self, member: u32, id: u32) -> &mut u32 {
        let mut before = NIL;
        let mut at = self.agents[member as usize].first_extra;
        while at != id {
            (before, at) = (at, self.extras[(at & !EXTRA) as usize].next);
        }
        match before {
            NIL => &mut self.agents[member as usize].first_extra,
            before => &mut self.extras[(before & !EXTRA) as usize].next,
        }
    }

    /// An extra activation is no longer needed.
    pub(super) fn free(&mut self, id: u32) {
        debug_assert!(id & EXTRA != 0, "an agent's own activation isn't freed");
        self.disarm(id);
        self.chosen.remove(&id);
        self.acts_on_cache.remove(&id);
        self.swaps.remove(&id);
        self.deadlines.remove(&id);
        self.approvals.remove(&id);
        let activation = self.activation(id);
        activation.generation = activation.generation.wrapping_add(1);
        activation.state = State::Idle;
        let Extra { member, next, .. } = self.extras[(id & !EXTRA) as usize];
        *self.link_to(member, id) = next;
        self.free_extras.push(id & !EXTRA);
    }

    /// Starts branches. True if all is over at once and the activation goes on: it does so in the caller's loop, so that many
    /// such forks don't nest.
    fn fork(&mut self, id: u32, places: &[(u32, u32)], state: State, cx: &mut Cx<'_, '_>) -> bool {
        self.begin_step(id, state, 0, cx);
        let activation = self.activation(id);
        let (path, steps) = (activation.path, activation.steps as u64);
        let member = self.member_of(id);
        let mut branches = Vec::with_capacity(places.len());
        for (index, (place, _)) in places.iter().enumerate() {
            // Branch paths hang below the step that forks, so that another branch shifts nobody's draws.
            let path = branch_path(path, steps, index as u64);
            let branch = self.spawn(member, *place, id, index as u16, path, cx.now());
            self.hand_row_on(id, branch);
            if let Some(deadline) = self.deadlines.get(&id).copied() {
                self.inherit_deadline(branch, Some(deadline));
            }
            let words = [self.name_of(branch), self.name_of(id), index as u64];
            cx.record(What::ActivationBegan, self.base + member, words);
            branches.push(branch);
        }
        let join = JoinState {
            branches: branches.clone(),
            last: None,
            parts: Parts::default(),
            failed: false,
            basis_failed: false,
            verdict: None,
        };
        let handle = self.joins.insert(join);
        self.activation(id).handle = handle;
        self.launching.push(id);
        for (branch, (_, exit)) in branches.into_iter().zip(places) {
            // An earlier branch may have ended the whole already, if a guess proved wrong at once.
            let meant = self
                .joins
                .get(handle)
                .is_some_and(|join| join.branches.contains(&branch));
            if meant && self.activation(branch).state == State::Running {
                self.push_frame(branch, *exit, None, 0, cx);
                self.run(branch, cx);
            }
        }
        self.launching.pop();
        if self.activation(id).state == State::Running {
            return true;
        }
        self.start_handlers(member, cx);
        false
    }

    /// An activation goes on after its join: now, or in the loop that is starting its branches.
    fn go_on(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        if !self.launching.contains(&id) {
            self.run(id, cx);
        }
    }

    /// A branch has reached its join.
    fn branch_ended(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        self.release_all(id, cx);
        let Extra { parent, branch, .. } = self.extras[(id & !EXTRA) as usize];
        let failed = self.activation(id).failed;
        // A branch that stops within a task ends the task as well.
        let mut frame = self.pop_frame(id, TaskEnd::Done, cx);
        while self.activation(id).frame != NIL {
            frame = self.pop_frame(id, TaskEnd::Done, cx);
        }
        let Frame { parts, gave_up, .. } = *self.frame(frame);
        let around = self.activation(parent).frame;
        if gave_up && around != NIL {
            self.frame_mut(around).gave_up = true;
        }
        let (member, name) = (self.member_of(id), self.name_of(id));
        cx.record(What::ActivationEnded, self.base + member, [name, 0, 0]);
        self.free(id);
        let handle = self.activation(parent).handle;
        let speculating = self.activation(parent).state == State::Speculating;
        let Some(join) = self.joins.get_mut(handle) else { return };
        join.ended(branch, cx.now(), &parts, failed);
        if speculating && branch == 0 {
            return self.basis_done(parent, cx);
        }
        let open_guess = speculating && join.verdict != Some(true);
        if join.is_complete() && !open_guess {
            self.joined(parent, cx);
        }
    }

    /// The basis of a guess is done: was the guess right?
    fn basis_done(&mut self, parent: u32, cx: &mut Cx<'_, '_>) {
        let spec = Arc::clone(&self.spec);
        let Instruction::Speculate(guess) = spec.program.code[self.activation(parent).pc as usize] else {
            return;
        };
        let guess = spec.program.guesses[guess as usize];
        let (mut stream, _) = self.draws(parent, purpose::CHOICE);
        let right = stream.chance(guess.right);
        let (handle, member) = (self.activation(parent).handle, self.member_of(parent));
        let what = if right { What::GuessRight } else { What::GuessWrong };
        cx.record(what, self.base + member, [0; 3]);
        let Some(join) = self.joins.get_mut(handle) else { return };
        join.verdict = Some(right);
        // The failure of a guess that is thrown away doesn't matter: it's done again.
        join.failed = if right { join.failed } else { join.basis_failed };
        if right && !join.failed {
            if join.is_complete() {
                self.joined(parent, cx);
            }
            return;
        }
        let other = join.branches[1];
        if other != NIL {
            self.kill(other, cx);
        }
        let Some(join) = self.joins.remove(handle) else { return };
        self.after_join(parent, &join, guess.again, cx);
    }

    /// All branches have ended.
    fn joined(&mut self, parent: u32, cx: &mut Cx<'_, '_>) {
        let handle = self.activation(parent).handle;
        let Some(join) = self.joins.remove(handle) else { return };
        let spec = Arc::clone(&self.spec);
        let after = match spec.program.code[self.activation(parent).pc as usize] {
            Instruction::Fork(fork) => spec.program.forks[fork as usize].1,
            Instruction::Speculate(guess) => spec.program.guesses[guess as usize].after,
            _ => unreachable!("only a fork or a guess is joined"),
        };
        self.after_join(parent, &join, after, cx);
    }

    fn after_join(&mut self, parent: u32, join: &JoinState, after: u32, cx: &mut Cx<'_, '_>) {
        let activation = self.activation(parent);
        activation.handle = crate::world::slab::Handle::NONE;
        activation.state = State::Running;
        self.settle_join(parent, join, cx);
        if join.failed {
            self.fail(parent);
        } else {
            let activation = self.activation(parent);
            activation.pc = after;
            activation.steps += 1;
        }
        self.go_on(parent, cx);
    }

    fn settle_join(&mut self, parent: u32, join: &JoinState, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let activation = self.activation(parent);
        debug_assert_eq!(
            join.parts.total(),
            now - activation.mark,
            "the last branch took as long as the fork"
        );
        activation.mark = now;
        let frame = activation.frame;
        if frame != NIL {
            self.frame_mut(frame).parts.merge(&join.parts);
        }
        self.step_ended(parent, Settled::Done, 0, cx);
    }

    /// An activation's program is over.
    fn ended(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        if self.parent_of(id) != NIL {
            return self.branch_ended(id, cx);
        }
        let failed = self.activation(id).failed;
        self.delivery_over(id, failed, cx);
        self.release_all(id, cx);
        let member = self.member_of(id);
        let activation = self.activation(id);
        let failed = activation.failed;
        let end = if failed { TaskEnd::Failed } else { TaskEnd::Done };
        if activation.is_handler {
            self.reply(id, 0, cx);
            self.unwind_all(id, end, cx);
            let name = self.name_of(id);
            cx.record(What::ActivationEnded, self.base + member, [name, 0, 0]);
            self.free(id);
            let agent = &mut self.agents[member as usize];
            agent.handlers = agent.handlers.saturating_sub(1);
            return self.start_handlers(member, cx);
        }
        self.unwind_all(id, end, cx);
        self.end_run(member, cx);
    }
}

/// The path of a branch: below the step that forked it.
fn branch_path(path: u64, step: u64, branch: u64) -> u64 {
    let mixed = (path ^ step.wrapping_mul(0x9e37_79b9_7f4a_7c15)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    (mixed ^ (mixed >> 29)).wrapping_add((branch + 1).wrapping_mul(0x94d0_49bb_1331_11eb)) >> 8
}
