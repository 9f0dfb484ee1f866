//! What faults do to agents: crashes, restarts, pauses; and how what an activation waits for is given up.

use super::activation::{EXTRA, NIL, Settled, State, TaskEnd};
use super::group::{AgentGroup, Deferred, RENEW, TIMEOUT, WAKE};
use crate::kernel::{SimDuration, SimTime};
use crate::world::call::Part;
use crate::world::message::MessageKind;
use crate::world::population::{Cx, Population, kind};
use crate::world::record::What;
use crate::world::slab::Handle;

impl AgentGroup {
    /// An agent begins its program, or will once it is back or goes on.
    #[inline(always)]
    pub(super) fn begin_or_put_off(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let agent = &mut self.agents[member as usize];
        if agent.down {
            agent.main.failed = true;
            self.run_comes(cx);
        } else if agent.paused {
            let (kind, at) = (kind::START, cx.now());
            self.defer(member, Deferred::Entry { kind, body: 0, at });
            self.run_comes(cx);
        } else if agent.main.state == State::Idle {
            self.begin_run(member, cx);
        }
    }

    /// How long an agent has stood still so far.
    pub(super) fn stood(&self, member: u32, now: SimTime) -> SimDuration {
        let before = self.stood.get(&member).copied().unwrap_or(SimDuration::ZERO);
        match self.deferred.get(&member) {
            Some((since, _)) => before + (now - *since),
            None => before,
        }
    }

    pub(super) fn defer(&mut self, member: u32, what: Deferred) {
        if let Some((_, waiting)) = self.deferred.get_mut(&member) {
            waiting.push(what);
        }
    }

    /// The branches and handlers of an agent, in the order of their beginnings.
    pub(super) fn extras_of(&self, member: u32) -> Vec<u32> {
        let mut next = self.agents[member as usize].first_extra;
        let own = std::iter::from_fn(|| {
            let this = next;
            (this != NIL).then(|| {
                next = self.extras[(this & !EXTRA) as usize].next;
                this
            })
        });
        own.collect()
    }

    pub(super) fn crash(&mut self, member: u32, keep_state: bool, cx: &mut Cx<'_, '_>) {
        self.resume_silently(member, cx);
        if self.agents[member as usize].down {
            return;
        }
        self.forget_holds(member, !keep_state);
        self.crashing = true;
        for id in self.extras_of(member) {
            if self.activation(id).state != State::Idle && self.parent_of(id) == NIL {
                self.kill(id, cx);
            }
        }
        let agent = &mut self.agents[member as usize];
        agent.down = true;
        agent.handlers = 0;
        agent.thinking = 0;
        if !keep_state {
            self.forget_memory(member);
            self.abandon_polled(member, cx);
        }
        self.empty_mailbox(member, cx);
        if self.agents[member as usize].main.state == State::Idle {
            self.crashing = false;
            return;
        }
        let part = match self.agents[member as usize].main.state {
            State::Waiting | State::Asking | State::Approving => Part::Coordination,
            _ => Part::Retrying,
        };
        self.stop_waiting(member, cx);
        self.crashing = false;
        self.settle(member, part, cx);
        self.step_ended(member, Settled::Lost, part as u64, cx);
        let main = &mut self.agents[member as usize].main;
        main.state = State::Halted;
        if !keep_state {
            if self.forget_for_rebuild(member) {
                // The run goes on once its state is rebuilt: only the tasks within it are over.
                while self.frame(self.agents[member as usize].main.frame).outer != NIL {
                    self.pop_frame(member, TaskEnd::Aborted, cx);
                }
                return;
            }
            // The program begins anew after the restart: the run isn't over.
            cx.task_began();
            self.unwind_all(member, TaskEnd::Aborted, cx);
            self.agents[member as usize].main.state = State::Idle;
            self.agents[member as usize].main.failed = true;
        }
    }

    pub(super) fn restart(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let agent = &mut self.agents[member as usize];
        if !std::mem::take(&mut agent.down) {
            return;
        }
        self.join_channels(member, cx);
        let agent = &mut self.agents[member as usize];
        if agent.main.state == State::Halted {
            self.settle(member, Part::Down, cx);
            self.step_ended(member, Settled::Back, 0, cx);
            self.activation(member).state = State::Running;
            if !self.begin_rebuild(member, cx) {
                self.run(member, cx);
            }
        } else if std::mem::take(&mut agent.main.failed) {
            self.begin_run(member, cx);
            self.run_came(cx);
        }
    }

    /// Forgets a pause, and what came meanwhile: the agent crashes.
    fn resume_silently(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        self.agents[member as usize].paused = false;
        let stood = self.stood(member, cx.now());
        let Some((_, waiting)) = self.deferred.remove(&member) else {
            return;
        };
        self.stood.insert(member, stood);
        for what in waiting {
            match what {
                Deferred::Message { message, .. } => match message.kind {
                    MessageKind::Response => {
                        if let Some(attempt) = cx.shared.attempts.remove(message.handle) {
                            self.discard_polled(message.to, message.from, attempt.polled(), cx);
                            cx.leave_call(attempt.call);
                        }
                    }
                    _ => {
                        let peer = (message.from as u64) << 16 | message.topic as u64;
                        let words = [peer, message.sent.as_nanos(), 0];
                        self.discard_delivery(member, &message, cx);
                        cx.record(What::Dropped, message.to, words);
                    }
                },
                // It begins after the restart.
                Deferred::Entry { kind: kind::START, .. } => self.agents[member as usize].main.failed = true,
                Deferred::Entry { .. } => {}
            }
        }
    }

    pub(super) fn resume(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let stood = self.stood(member, now);
        let Some((since, waiting)) = self.deferred.remove(&member) else {
            return;
        };
        self.stood.insert(member, stood);
        self.agents[member as usize].paused = false;
        cx.record(What::Resumed, self.base + member, [0; 3]);
        // Work stood still: what was left of it is still to be done.
        let mut all = self.extras_of(member);
        all.push(member);
        for &id in &all {
            let activation = self.activation(id);
            let part = match activation.state {
                State::Thinking => Some(Part::Thinking),
                State::Replaying => Some(Part::Retrying),
                _ => None,
            };
            if let Some(part) = part {
                let left = activation.due.since(since.max(activation.mark));
                self.settle_at(id, part, since, cx);
                self.settle(id, Part::Down, cx);
                self.wake_at(id, now + left, cx);
            }
        }
        for what in waiting {
            match what {
                Deferred::Entry { kind: WAKE, body, at } => {
                    let activation = self.activation(body as u32);
                    if activation.generation == (body >> 32) as u32 {
                        self.enabled_at = Some(at);
                        self.act(WAKE, body, cx);
                    }
                }
                Deferred::Entry {
                    kind: TIMEOUT,
                    body,
                    at,
                } => {
                    let timer = self.timer_mut(body as u32);
                    if timer.deadline == at {
                        timer.deadline = SimTime::NEVER;
                        self.enabled_at = Some(at);
                        self.act(TIMEOUT, body, cx);
                    }
                }
                Deferred::Entry { kind: RENEW, body, .. } => self.renew(body, cx),
                Deferred::Entry { .. } => {
                    self.begin_or_put_off(member, cx);
                    self.run_came(cx);
                }
                Deferred::Message { message, at } => {
                    self.enabled_at = Some(at);
                    self.receive(member, &message, cx);
                }
            }
            self.enabled_at = None;
        }
    }

    /// The call, ask or join that an activation waits for is given up.
    pub(super) fn stop_waiting(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        self.disarm(id);
        let activation = self.activation(id);
        activation.generation = activation.generation.wrapping_add(1);
        let (state, handle) = (activation.state, activation.handle);
        activation.handle = Handle::NONE;
        activation.state = State::Running;
        let member = self.member_of(id);
        match state {
            State::Calling | State::BackingOff => self.give_up_call(member, handle, cx),
            State::Asking | State::Approving => {
                cx.shared.asks.remove(handle);
            }
            State::Thinking => {
                let agent = &mut self.agents[member as usize];
                agent.thinking = agent.thinking.saturating_sub(1);
            }
            State::Forked | State::Speculating => {
                if let Some(join) = self.joins.remove(handle) {
                    join.branches
                        .into_iter()
                        .filter(|branch| *branch != NIL)
                        .for_each(|branch| self.kill(branch, cx));
                }
            }
            _ => {}
        }
    }

    /// Throws an activation away, with everything that it started.
    pub(super) fn kill(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        self.stop_waiting(id, cx);
        self.release_all(id, cx);
        let until = self.enabled(id, cx);
        self.settle(id, Part::Retrying, cx);
        self.step_ended_at(id, Settled::Lost, Part::Retrying as u64, until, cx);
        self.unwind_all(id, TaskEnd::Aborted, cx);
        let (member, name) = (self.member_of(id), self.name_of(id));
        cx.record(What::ActivationEnded, self.base + member, [name, 1, 0]);
        self.free(id);
    }
}
