//! Calls and operations from the client's side: attempts, timeouts, backoff, answers.

use super::activation::{Settled, State};
use super::channels::{CHANNEL, POLL, PUBLISH};
use super::endless::{LAST_RETRY, MOST_ATTEMPTS};
use super::group::AgentGroup;
use super::journal::JOURNAL;
use super::locking::LOCK;
use super::policy::Policy;
use super::program::Instruction;
use super::pursuing::End;
use super::step::Whom;
use super::step::{Action, CallTokens, KeyChoice, PromptStep, ReplicaChoice, Swap};
use crate::kernel::SimDuration;
use crate::state::{Context, Op, Token};
use crate::world::call::{
    Attempt, Basis, Call, Findings, Outcome, Part, Parts, Prompt, Request, Terms, attempt_address, call_identity,
};
use crate::world::message::{Message, MessageKind};
use crate::world::population::{Cx, purpose, request_bytes};
use crate::world::record::What;
use crate::world::slab::Handle;
use std::sync::Arc;

/// The bit that tells an operation's step from a call's.
pub(super) const OPERATION: u32 = 1 << 31;

/// What a call's answer says to its client: see the fields of [`Attempt`].
pub(super) struct Answer {
    number: u32,
    call: Handle,
    outcome: Outcome,
    version: u64,
    context: Option<Box<Context>>,
    pub findings: Option<Box<Findings>>,
}

impl Answer {
    /// What the answer adds to the client's session.
    pub fn token(&self) -> Option<&Token> {
        self.findings.as_ref()?.token.as_deref()
    }
}

/// Whether work is asked for, which is what services are for.
#[inline]
pub(super) fn is_plain(spec: u32) -> bool {
    spec & (OPERATION | LOCK | JOURNAL | CHANNEL) == 0
}

/// Whether something is asked of a log.
fn is_journal(spec: u32) -> bool {
    spec & (OPERATION | LOCK | JOURNAL) == JOURNAL
}

/// The messages that an answer brings, if it is one to a poll.
fn attempt_polled(attempt: Handle, cx: &mut Cx<'_, '_>) -> Option<Box<[(u64, u64)]>> {
    let findings = cx.shared.attempts.get_mut(attempt)?.findings.as_mut()?;
    (!findings.polled.is_empty()).then(|| std::mem::take(&mut findings.polled))
}

impl AgentGroup {
    /// A call step begins.
    pub(super) fn begin_call(&mut self, id: u32, index: u32, cx: &mut Cx<'_, '_>) {
        if self.spec.program.calls[index as usize].counts {
            self.amounts.remove(&id);
        }
        let request = self.request_of(id, index);
        let server = self.whom_to_call(id, index, cx);
        self.open_call_here(id, index, server, request, cx);
    }

    /// Whom the first attempt of a call step asks.
    #[inline(always)]
    pub(super) fn whom_to_call(&mut self, id: u32, index: u32, cx: &Cx<'_, '_>) -> u32 {
        let step = &self.spec.program.calls[index as usize];
        match &step.whom {
            Whom::Named if step.aim.is_none() => step.server,
            Whom::Named => self.first_server(id, index, cx.now()),
            Whom::BySite(servers) => servers[self.agents[self.member_of(id) as usize].endpoint.site.0 as usize],
            Whom::Beside(behind) => step.server + behind + self.member_of(id),
        }
    }

    /// What a call step asks for.
    #[inline(always)]
    pub(super) fn request_of(&self, id: u32, index: u32) -> Request {
        let step = &self.spec.program.calls[index as usize];
        let priority = step.priority;
        let (mut tokens_in, mut tokens_out) = match &step.tokens {
            None => (0, 0),
            Some((tokens_in, tokens_out)) => {
                let (mut stream, number) = self.draws(id, purpose::TOKENS);
                let mut many = |tokens: &CallTokens| match tokens {
                    CallTokens::Law(law) => (law.sample(&mut stream, number) + 0.5) as u32,
                    CallTokens::OfArrival(rows) => {
                        let ordinal = self.biographies[self.member_of(id) as usize].ordinal;
                        rows[ordinal as usize % rows.len()]
                    }
                    CallTokens::OfRow { register, of } => of[self.peek_register(id, *register) as usize],
                };
                (many(tokens_in), many(tokens_out))
            }
        };
        let prompt = match step.prompt {
            said if said == PromptStep::default() => None,
            said => self.prompt(id, &said, (&mut tokens_in, &mut tokens_out)),
        };
        let prompt = match &step.about {
            None => prompt,
            Some(law) => self.with_question(id, law, prompt),
        };
        Request::Work {
            tokens_in,
            tokens_out,
            priority,
            prompt,
        }
    }

    /// The same, with what the call asks about.
    #[cold]
    fn with_question(&self, id: u32, law: &crate::random::Law, prompt: Option<Box<Prompt>>) -> Option<Box<Prompt>> {
        let (mut stream, number) = self.draws(id, purpose::ABOUT);
        let mut prompt = prompt.unwrap_or_default();
        prompt.about = Some(law.sample(&mut stream, number).max(0.0) as u64);
        Some(prompt)
    }

    /// A step on shared state begins; true if it is over at once, since a cache has answered.
    pub(super) fn begin_operation(&mut self, id: u32, index: u32, cx: &mut Cx<'_, '_>) -> bool {
        let spec = Arc::clone(&self.spec);
        let step = &spec.program.operations[index as usize];
        if step.counts {
            // Whoever goes by a read that fails has seen nothing.
            self.amounts.remove(&id);
        }
        let key = self.choose_key(id, &step.keys);
        let member = self.member_of(id);
        if let Some(Swap::ReadUnlessSeen { ahead }) = step.swap
            && self.swaps_by_seen(id, (member, step.store, key))
        {
            self.activation(id).pc += ahead;
            let Instruction::Operate(write) = spec.program.code[self.activation(id).pc as usize] else {
                unreachable!("a compare-and-swap ends with its conditional update");
            };
            return self.begin_operation(id, write, cx);
        }
        let agent = &self.agents[member as usize];
        let (base, count) = spec.stores[step.store as usize];
        let server = match step.replica {
            ReplicaChoice::Nearest => base + spec.nearest[step.store as usize][agent.endpoint.site.0 as usize],
            ReplicaChoice::Random => base + self.draws(id, purpose::ROUTING).0.below(count as u64) as u32,
            ReplicaChoice::Fixed(replica) => base + replica,
        };
        let server = self.stays_with(member, step.store, step.replica, server);
        if self.read_cache(id, member, step, key, server, cx) {
            return true;
        }
        if self.must_refresh(id, member, step, key, cx) {
            self.open_call(id, index | OPERATION, server, Request::Read { key }, cx);
            return false;
        }
        let agent = &self.agents[member as usize];
        // The identity that the call is about to get: a write's value, which no other write has.
        let value = call_identity(agent.endpoint.id, agent.calls);
        let draw = |law: &crate::random::Law| {
            let (mut stream, number) = self.draws(id, purpose::KEY);
            stream.next_u64();
            law.sample(&mut stream, number)
        };
        let op = match &step.action {
            Action::Read => None,
            Action::Write => Some(Op::Write(value)),
            Action::Fixed(op) => Some(*op),
            Action::Insert(law) => Some(Op::Insert(draw(law) as u64)),
            Action::Remove(law) => Some(Op::Remove(draw(law) as u64)),
            Action::Add(law) => Some(Op::Add(draw(law) as i64)),
            Action::Put(law) => Some(Op::Put {
                field: draw(law) as u32,
                value,
            }),
            Action::Increase { field, by } => {
                let [field, by] = self.draw_two(id, [field, by]);
                Some(Op::Increase {
                    field: field as u32,
                    by: by as i64,
                })
            }
            Action::Drop(law) => Some(Op::Drop {
                field: draw(law) as u32,
            }),
            Action::InsertText { at, length } => {
                let [at, length] = self.draw_two(id, [at, length]).map(|drawn| drawn as u32);
                // An agent's characters follow each other in its table, so that what it types is one run.
                let from = self.typed.entry(member).or_default();
                let op = Op::InsertText {
                    at,
                    from: *from,
                    length,
                };
                *from = from.wrapping_add(length);
                Some(op)
            }
            Action::Edit(edit) => {
                self.begin_edit(id, index, server, key, *edit, cx);
                return false;
            }
            Action::DeleteText { at, length } => {
                let [at, length] = self.draw_two(id, [at, length]).map(|drawn| drawn as u32);
                Some(Op::DeleteText { at, length })
            }
        };
        if step.swap == Some(Swap::Read) {
            self.begin_swap(id);
        }
        let request = match op {
            None => Request::Read { key },
            Some(op) => {
                let seen = || self.contexts.get(&(member, step.store, key)).cloned();
                Request::Update {
                    key,
                    op,
                    basis: Basis {
                        context: step.carries_context.then(seen).flatten(),
                        expects: (matches!(step.swap, Some(Swap::Write { .. }))).then(|| self.expected(id)),
                        awaits: None,
                    }
                    .of_request(),
                }
            }
        };
        if matches!(request, Request::Update { .. }) {
            self.drop_cached(member, step.store, key);
        }
        self.open_call(id, index | OPERATION, server, request, cx);
        false
    }

    /// An edit of a recorded session begins: the same call as before if a crash came between.
    fn begin_edit(&mut self, id: u32, index: u32, server: u32, key: u32, edit: u32, cx: &mut Cx<'_, '_>) {
        let member = self.member_of(id);
        let (op, context, awaits) = self.edit(member, edit);
        let request = Request::Update {
            key,
            op,
            basis: Basis {
                context: Some(context),
                expects: None,
                awaits: Some(awaits),
            }
            .of_request(),
        };
        let fresh = self.agents[member as usize].calls;
        let number = self.edit_call(member, edit, fresh);
        self.agents[member as usize].calls = number;
        self.open_call(id, index | OPERATION, server, request, cx);
        self.agents[member as usize].calls = fresh.max(number + 1);
    }

    /// Two numbers about one operation, each by its law.
    fn draw_two(&self, id: u32, laws: [&crate::random::Law; 2]) -> [f64; 2] {
        let (mut stream, number) = self.draws(id, purpose::KEY);
        stream.next_u64();
        laws.map(|law| law.sample(&mut stream, number))
    }

    fn choose_key(&mut self, id: u32, keys: &KeyChoice) -> u32 {
        if keys.same
            && let Some(key) = self.chosen.get(&id)
        {
            return *key;
        }
        let offset = match (&keys.law, keys.count) {
            (_, 1) => 0,
            (None, count) => self.draws(id, purpose::KEY).0.below(count as u64) as u32,
            (Some(law), count) => {
                let (mut stream, number) = match keys.of_run {
                    Some(place) => self.run_draws(id, place),
                    None => self.draws(id, purpose::KEY),
                };
                (law.sample(&mut stream, number) as u32).min(count - 1)
            }
        };
        let key = keys.first + offset;
        if self.reuses_keys {
            self.chosen.insert(id, key);
        }
        key
    }

    pub(super) fn open_call(&mut self, id: u32, spec: u32, server: u32, request: Request, cx: &mut Cx<'_, '_>) {
        self.open_call_here(id, spec, server, request, cx);
    }

    /// The same, as code of its own where it is called, for the calls that there are most of.
    #[inline(always)]
    fn open_call_here(&mut self, id: u32, spec: u32, server: u32, request: Request, cx: &mut Cx<'_, '_>) {
        let address = Self::journal_address(&request).unwrap_or_else(|| self.address(id));
        let now = cx.now();
        let activation = self.activation(id);
        let generation = activation.generation;
        let member = self.member_of(id);
        let agent = &mut self.agents[member as usize];
        let (client, key) = (agent.endpoint.id, agent.endpoint.key);
        let identity = call_identity(client, agent.calls);
        agent.calls += 1;
        cx.record(What::CallStarted, client, [identity, server as u64, 0]);
        let is_edit = request.awaits().is_some();
        // A log knows what is repeated by its number.
        let idempotent = is_edit || (self.policy_of(spec).idempotency_key && !is_journal(spec));
        let terms = match spec & OPERATION {
            0 => None,
            _ => self.terms(id, spec, &request, identity, cx),
        };
        let terms = if self.pursues || !self.deadlines.is_empty() {
            self.with_pursuit(terms, (id, spec, server), cx)
        } else {
            terms
        };
        let aimed = self.is_council(spec);
        let keeps = terms.as_ref().is_some_and(|terms| terms.keeps.is_some());
        let counts = keeps || self.goes_by_amount(spec);
        let (handle, place) = cx.shared.calls.vacancy();
        place.fill(Call {
            client,
            key,
            idempotent,
            activation: id,
            generation,
            open: true,
            failed: false,
            counts,
            aimed,
            paths: 0,
            executed: 0,
            tries: 0,
            spec,
            address,
            identity,
            server,
            began: now,
            backoff: SimDuration::ZERO,
            request,
            terms,
        });
        self.activation(id).handle = handle;
        self.begin_step(id, State::Calling, identity, cx);
        self.launch_here(id, cx);
        if self.activation(id).state == State::Calling {
            self.start_handlers(member, cx);
        }
    }

    /// What an operation on shared state asks beyond its request.
    fn terms(&self, id: u32, spec: u32, request: &Request, identity: u64, cx: &mut Cx<'_, '_>) -> Option<Box<Terms>> {
        let terms = Terms {
            fence: self.fence_of(id, request, identity, cx),
            token: self.token(self.member_of(id), spec, request),
            keeps: self.keeps(spec, matches!(request, Request::Read { .. })),
            passed: None,
            pursuit: None,
        };
        terms.of_call()
    }

    /// The terms of a call, and how it is pursued, if there is more to that than a timeout and retries.
    #[cold]
    fn with_pursuit(
        &mut self,
        terms: Option<Box<Terms>>,
        (id, spec, server): (u32, u32, u32),
        cx: &Cx<'_, '_>,
    ) -> Option<Box<Terms>> {
        if !self.is_pursued(id, spec) {
            return terms;
        }
        let mut terms = terms.unwrap_or_default();
        terms.pursuit = Some(self.begin_pursuit(id, spec, server, cx));
        Some(terms)
    }

    #[inline(always)]
    pub(super) fn policy_of(&self, spec: u32) -> &Policy {
        &self.spec.policies[self.policy_number(spec) as usize]
    }

    /// The number of the policy by which a call is made.
    #[inline(always)]
    pub(super) fn policy_number(&self, spec: u32) -> u16 {
        let program = &self.spec.program;
        match spec {
            _ if is_plain(spec) => program.calls[spec as usize].policy,
            _ if spec & OPERATION != 0 => program.operations[(spec & !OPERATION) as usize].policy,
            _ if spec & LOCK != 0 => program.locks[(spec & !LOCK) as usize].policy,
            _ if spec & PUBLISH != 0 => program.publications[(spec & !PUBLISH) as usize].policy,
            _ if spec & POLL != 0 => program.polls[(spec & !POLL) as usize].0.policy,
            _ => self.journal_policy(),
        }
    }

    fn goes_by_amount(&self, spec: u32) -> bool {
        match spec {
            _ if is_plain(spec) => self.spec.program.calls[spec as usize].counts,
            _ if spec & OPERATION != 0 => self.spec.program.operations[(spec & !OPERATION) as usize].counts,
            _ => false,
        }
    }

    #[inline(always)]
    pub(super) fn bytes_of(&self, spec: u32) -> u32 {
        let program = &self.spec.program;
        match spec {
            _ if is_plain(spec) => program.calls[spec as usize].bytes,
            _ if spec & OPERATION != 0 => program.operations[(spec & !OPERATION) as usize].bytes,
            _ if spec & LOCK != 0 => 0,
            _ if spec & PUBLISH != 0 => program.publications[(spec & !PUBLISH) as usize].bytes,
            _ if spec & POLL != 0 => crate::channels::broker::word::BYTES,
            _ => self.journal_bytes(spec),
        }
    }

    /// Whom the next attempt of an operation asks, where that is anyone, anew each time. One that brings an idempotency key asks
    /// whom the first one asked: only the replica that has accepted an update recognises it.
    pub(super) fn another_replica(&self, member: u32, call: &Call) -> Option<u32> {
        if call.spec & OPERATION == 0 || call.idempotent {
            return None;
        }
        if let Some(replica) = self.moved_to(member, call) {
            return Some(replica);
        }
        let step = &self.spec.program.operations[(call.spec & !OPERATION) as usize];
        let (base, count) = self.spec.stores[step.store as usize];
        let address = attempt_address(call.address, call.tries);
        let any = || call.key.stream(purpose::ROUTING, address).below(u64::from(count)) as u32;
        (step.replica == ReplicaChoice::Random).then(|| base + any())
    }

    /// The next attempt of a call leaves.
    pub(super) fn launch(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        self.launch_here(id, cx);
    }

    /// The same, as code of its own where it is called, for first attempts.
    #[inline(always)]
    fn launch_here(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let activation = self.activation(id);
        activation.state = State::Calling;
        let handle = activation.handle;
        let member = self.member_of(id);
        let Some(call) = cx.shared.calls.get_mut(handle) else {
            return;
        };
        if call.pursuit().is_some() {
            return self.pursue(id, cx);
        }
        call.tries += 1;
        call.paths += 1;
        if call.tries > 1
            && let Some(server) = self.another_replica(member, call)
        {
            call.server = server;
        }
        let (spec, identity, server, tries) = (call.spec, call.identity, call.server, call.tries);
        let (client, began, key, address) = (call.client, call.began, call.key, call.address);
        let token_bytes = call.token().map_or(0, |token| token.bytes() as u32);
        let bytes = request_bytes(&call.request, self.bytes_of(spec)).saturating_add(token_bytes);
        let words = [identity, server as u64, tries as u64];
        cx.record_with(What::AttemptSent, client, words, &[began.as_nanos()]);
        let (attempt, place) = cx.shared.attempts.vacancy();
        place.fill(Attempt::new(handle, tries, now));
        if let Some(timeout) = self.policy_of(spec).timeout {
            self.arm(id, now.saturating_add(timeout), cx);
        }
        let message = Message::new(MessageKind::Request, server, 0, bytes).with(attempt);
        let endpoint = &mut self.agents[member as usize].endpoint;
        cx.send_about_here(endpoint, message, key, attempt_address(address, tries));
    }

    /// An answer, or a refusal, has reached its client.
    pub(super) fn answered(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) {
        let Some((attempt, call)) = cx.shared.journey_mut(handle) else {
            cx.shared.attempts.free(handle);
            return;
        };
        let (words, client, began) = (call.words(attempt), call.client, call.began);
        let (outcome, call_handle) = (attempt.outcome, attempt.call);
        // A late answer to an attempt that was given up isn't used: its successor is under way, or the call is over.
        let (current, pursued, number) = (call.awaits(attempt.number), call.pursuit().is_some(), attempt.number);
        let id = call.activation;
        if !current || self.activation(id).state != State::Calling {
            if let Some(polled) = attempt_polled(handle, cx) {
                self.discard_polled(client, words[1] as u32, &polled, cx);
            }
            cx.shared.attempts.free(handle);
            if outcome == Outcome::Done {
                cx.record(What::AnswerUnused, client, words);
            }
            return cx.leave_call(call_handle);
        }
        match outcome {
            Outcome::Refused { retry_after } => {
                cx.shared.attempts.free(handle);
                self.disarm(id);
                cx.record(What::AttemptRefused, client, words);
                cx.leave_call(call_handle);
                if pursued && self.flight_refused(id, number, cx) {
                    return;
                }
                self.attempt_failed(id, retry_after, cx);
            }
            Outcome::Fenced => {
                cx.shared.attempts.free(handle);
                self.disarm(id);
                cx.record(What::AttemptRefused, client, words);
                if pursued {
                    self.flight_decides(id, number, End::Fenced, cx);
                }
                cx.leave_call(call_handle);
                self.give_up(id, cx);
            }
            Outcome::Done | Outcome::Moved | Outcome::Pending => {
                let mut held = SimDuration::ZERO;
                if pursued {
                    held = self.held_before(id, number, cx);
                    self.flight_decides(id, number, End::Answered, cx);
                }
                let (until, told) = (self.enabled(id, cx), cx.wants(What::AttemptAnswered));
                let Some(attempt) = cx.shared.attempts.get_mut(handle) else {
                    return;
                };
                let mut parts = attempt.parts(until);
                parts.add(Part::Retrying, (attempt.sent - began) - held);
                parts.add(Part::Queueing, held);
                let times = told.then(|| attempt.times(until));
                let answer = Answer {
                    number: attempt.number,
                    call: attempt.call,
                    outcome,
                    version: attempt.version,
                    context: attempt.context.take(),
                    findings: attempt.findings.take(),
                };
                if let Some(times) = times {
                    cx.record_with(What::AttemptAnswered, client, words, &times);
                }
                cx.shared.attempts.free(handle);
                self.disarm(id);
                self.call_over(id, &parts, answer, cx);
            }
        }
    }

    /// A timeout is due.
    pub(super) fn timed_out(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        let activation = self.activation(id);
        match activation.state {
            State::Calling => {
                let handle = activation.handle;
                let member = self.member_of(id);
                let Some(call) = cx.shared.calls.get(handle) else {
                    return;
                };
                if call.pursuit().is_some() {
                    return self.pursuit_due(id, cx);
                }
                let words = [call.identity, call.server as u64, call.tries as u64];
                let client = self.agents[member as usize].endpoint.id;
                cx.record(What::AttemptTimedOut, client, words);
                self.attempt_failed(id, None, cx);
            }
            // Its attempt is held, or it would leave after the deadline.
            State::BackingOff => self.pursuit_due(id, cx),
            State::Asking | State::Approving => {
                let until = self.enabled(id, cx);
                self.stop_waiting(id, cx);
                self.settle(id, Part::Coordination, cx);
                self.step_ended_at(id, Settled::Failed, 0, until, cx);
                self.step_failed(id, cx);
            }
            State::Waiting => self.wait_timed_out(id, cx),
            _ => {}
        }
    }

    /// An attempt failed: another one after a wait, or the call is over.
    pub(super) fn attempt_failed(&mut self, id: u32, retry_after: Option<SimDuration>, cx: &mut Cx<'_, '_>) {
        if self.retries_at_once(id, retry_after, false, cx) {
            self.launch(id, cx);
        }
    }

    /// An attempt was rejected by the client itself: another one after a wait, or the call is over.
    pub(super) fn rejected(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        let at_once = self.retries_at_once(id, None, true, cx);
        debug_assert!(!at_once, "what is rejected waits");
    }

    /// Whether the attempt after one that failed leaves at once; if not, it leaves after a wait, or the call is over.
    fn retries_at_once(
        &mut self,
        id: u32,
        retry_after: Option<SimDuration>,
        rejected: bool,
        cx: &mut Cx<'_, '_>,
    ) -> bool {
        let handle = self.activation(id).handle;
        let member = self.member_of(id);
        let key = self.agents[member as usize].endpoint.key;
        if let Some(call) = cx.shared.calls.get(handle) {
            self.move_session(member, call);
        }
        self.pursue_from_now(handle, cx);
        let Some(call) = cx.shared.calls.get_mut(handle) else {
            return false;
        };
        let policy = self.policy_of(call.spec);
        let pursuit = call.pursuit().map(|pursuit| (pursuit.rounds, pursuit.numbered));
        let (rounds, number) = pursuit.unwrap_or((call.tries, call.tries));
        if policy.attempts.is_some_and(|most| rounds >= most) {
            self.give_up(id, cx);
            return false;
        }
        let is_unlimited = policy.attempts.is_none();
        let mut stream = key.stream(purpose::BACKOFF, attempt_address(call.address, number));
        let mut wait = policy.backoff.wait(rounds, call.backoff, &mut stream);
        call.backoff = wait;
        if policy.honours_retry_after {
            wait = wait.max(retry_after.unwrap_or(SimDuration::ZERO));
        }
        if pursuit.is_some() && !self.may_retry(id, wait, rejected, cx) {
            return false;
        }
        let at_once = wait == SimDuration::ZERO;
        if (is_unlimited && rounds >= MOST_ATTEMPTS) || (at_once && cx.step() >= LAST_RETRY) {
            self.tried_for_ever(id, rounds, at_once, cx);
            return false;
        }
        if at_once {
            return true;
        }
        self.activation(id).state = State::BackingOff;
        self.wake_at(id, cx.now().saturating_add(wait), cx);
        false
    }

    /// A call has failed for good.
    pub(super) fn give_up(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        let (handle, member, until) = (self.activation(id).handle, self.member_of(id), self.enabled(id, cx));
        let Some(call) = cx.shared.calls.get(handle) else {
            return;
        };
        let mut parts = Parts::default();
        parts.add(Part::Retrying, until - call.began);
        let (identity, server, spec, request) = (call.identity, call.server, call.spec, call.request.clone());
        if spec & OPERATION != 0 {
            let words = self.operation_words(spec, identity, &request);
            cx.record(What::OperationFailed, self.base + member, words);
        } else if spec & LOCK != 0 {
            // It may be granted all the same, or be going to.
            self.tell_lock(id, spec & !LOCK, crate::services::lock::topic::RELEASE, identity, cx);
        }
        self.call_failed(id, identity, server, &parts, cx);
    }

    pub(super) fn operation_words(&self, spec: u32, identity: u64, request: &Request) -> [u64; 3] {
        let store = self.spec.program.operations[(spec & !OPERATION) as usize].store as u64;
        let (key, update) = match request {
            Request::Read { key } => (*key, 0),
            Request::Update { key, .. } => (*key, 1),
            Request::Work { .. }
            | Request::Acquire
            | Request::Journal(_)
            | Request::Publish { .. }
            | Request::Poll { .. } => (0, 0),
        };
        [identity, store << 32 | key as u64, update]
    }

    fn call_failed(&mut self, id: u32, identity: u64, server: u32, parts: &Parts, cx: &mut Cx<'_, '_>) {
        let member = self.member_of(id);
        let handle = std::mem::replace(&mut self.activation(id).handle, Handle::NONE);
        let (tries, executed) = cx.shared.calls.get_mut(handle).map_or((0, 0), |call| {
            call.failed = true;
            (call.tries, call.executed)
        });
        cx.close_call(handle);
        self.release_reserve(identity, cx);
        let began = self.activation(id).mark;
        let extra = [began.as_nanos(), tries as u64, executed as u64];
        cx.record_with(
            What::CallEnded,
            self.base + member,
            [identity, server as u64, 0],
            &extra,
        );
        let until = self.enabled(id, cx);
        self.settle_parts(id, parts, cx);
        self.step_ended_at(id, Settled::Failed, identity, until, cx);
        self.step_failed(id, cx);
    }

    /// A call is given up with its activation.
    pub(super) fn give_up_call(&mut self, member: u32, handle: Handle, cx: &mut Cx<'_, '_>) {
        if cx.shared.calls.get(handle).is_some_and(|call| call.pursuit().is_some()) {
            self.release_hold(member, handle, cx);
            self.end_flights_of(member, handle, End::Dropped, |_| true, cx);
        }
        if let Some(call) = cx.shared.calls.get(handle) {
            let words = [call.identity, call.server as u64, 2];
            let extra = [call.began.as_nanos(), call.tries as u64];
            self.release_reserve(words[0], cx);
            cx.record_with(What::CallEnded, self.base + member, words, &extra);
        }
        cx.close_call(handle);
    }

    /// A call is answered: its attempt's journey is over, and the program goes on.
    #[inline(always)]
    fn call_over(&mut self, id: u32, parts: &Parts, answer: Answer, cx: &mut Cx<'_, '_>) {
        let member = self.member_of(id);
        let activation = self.activation(id);
        activation.handle = Handle::NONE;
        activation.generation = activation.generation.wrapping_add(1);
        let Some(call) = cx.shared.calls.get(answer.call) else {
            return;
        };
        let (spec, identity, server, began, tries) = (call.spec, call.identity, call.server, call.began, call.tries);
        let (outcome, version) = (answer.outcome, answer.version);
        let (mut operation, mut loaded, mut polled) = (None, None, Box::default());
        if spec & OPERATION != 0 {
            operation = Some(self.operation_over(id, answer, cx));
        } else {
            if let Request::Work {
                prompt: Some(prompt), ..
            } = &call.request
                && prompt.conversation.is_some()
            {
                let (tokens_in, tokens_out) = call.request.tokens();
                self.turn_over(member, tokens_in.saturating_add(tokens_out));
            }
            if self.goes_by_amount(spec) {
                let amount = answer.findings.as_ref().map_or(0, |findings| findings.amount);
                self.amounts.insert(id, amount);
            }
            cx.finish_call(answer.call);
            // What was answered without work, by a cache or together with others, wasn't billed.
            self.release_reserve(identity, cx);
            if let Some(findings) = answer.findings {
                (loaded, polled) = (findings.loaded, findings.polled);
            }
        }
        let extra = [began.as_nanos(), tries as u64];
        cx.record_with(
            What::CallEnded,
            self.base + member,
            [identity, server as u64, 1],
            &extra,
        );
        let until = self.enabled(id, cx);
        self.settle_parts(id, parts, cx);
        self.step_ended_at(id, Settled::Done, identity, until, cx);
        match operation {
            None if is_journal(spec) => return self.journal_answered(id, spec, outcome, loaded, cx),
            None if spec & LOCK != 0 => self.lock_granted(id, spec & !LOCK, identity, version, cx),
            None if !is_plain(spec) && spec & POLL != 0 => self.polled(id, polled),
            None => {}
            Some(words) if outcome == Outcome::Moved => {
                return self.swap_refused(id, spec, [identity, words[1], words[2] & 1], cx);
            }
            Some(words) if words[2] & 1 == 0 && self.is_update(spec) => {
                // What the cache had shown was read anew: now the update itself, whose draws are others.
                self.activation(id).steps += 1;
                return self.run(id, cx);
            }
            Some(_) => {}
        }
        self.step_over(id);
        self.run(id, cx);
    }

    /// An operation on shared state is answered: its client remembers what the answer says. Returns the operation's words in records.
    fn operation_over(&mut self, id: u32, mut answer: Answer, cx: &mut Cx<'_, '_>) -> [u64; 3] {
        let member = self.member_of(id);
        let Some(call) = cx.shared.calls.get(answer.call) else {
            unreachable!("a call lives until it is finished")
        };
        let spec = call.spec;
        let mut words = self.operation_words(spec, call.identity, &call.request);
        words[2] |= u64::from(answer.number) << 1;
        let conditional = call.request.expects().is_some();
        let sent = call.token().cloned();
        cx.finish_call(answer.call);
        if answer.outcome == Outcome::Moved {
            return words;
        }
        self.note_version(id, words[2] & 1 == 1, conditional, answer.version);
        self.note_seen(member, words, answer.version);
        if self.goes_by_amount(spec) {
            let amount = answer.findings.as_ref().map_or(0, |findings| findings.amount);
            self.amounts.insert(id, amount);
        }
        cx.record(What::OperationAcknowledged, self.base + member, words);
        let store = (words[1] >> 32) as u16;
        self.note_session(member, store, sent.as_ref(), &answer);
        if words[2] & 1 == 0 {
            self.fill_cache(id, member, (store, words[1] as u32), &mut answer, cx);
        }
        if self.carries_contexts[store as usize]
            && let Some(context) = answer.context
        {
            self.contexts.insert((member, store, words[1] as u32), *context);
        }
        words
    }

    /// Whether an operation's step updates.
    fn is_update(&self, spec: u32) -> bool {
        spec & OPERATION != 0 && self.spec.program.operations[(spec & !OPERATION) as usize].action != Action::Read
    }
}
