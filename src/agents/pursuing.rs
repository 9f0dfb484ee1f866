//! Calls that are pursued with more than timeouts and retries: deadlines, budgets of retries, throttles, circuit breakers, hedges.
//!
//! Guarantees: an activation has one timer for all that is due about its call. No attempt leaves that couldn't begin before the
//! call's deadline, and a call whose backoff would end beyond it fails at once. An attempt that the client rejects by itself counts as one
//! of the call's attempts, and is followed by another one only after a backoff. While an attempt is under way, another one that fails
//! changes nothing: the call goes on by its attempts and its backoff when the last has failed. What an attempt comes to is reported once
//! to everything that keeps count of it.

mod cancelling;
mod hedging;
mod holding;
mod routing;

use super::activation::State;
use super::calling::is_plain;
use super::group::AgentGroup;
use super::policy::Resilience;
use super::policy::breaker::{Breaker, Came, Phase};
use super::policy::budget::{Budget, Feed};
use super::policy::resilience::{Known, SharedBy};
use super::policy::throttle::Throttle;
use super::step::Whom;
use crate::kernel::{Key, SimDuration, SimTime};
use crate::world::call::{Attempt, attempt_address};
use crate::world::message::{Message, MessageKind};
use crate::world::population::{Cx, purpose, request_bytes};
use crate::world::pursuit::{Flight, Pursuit, Rejection, Sent};
use crate::world::record::What;
use crate::world::slab::Handle;
use std::sync::Arc;

/// What an attempt came to for its client.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// Its answer is used.
    Answered,
    /// It was refused.
    Refused,
    /// It was refused for good, since it came under a lock that somebody else has got since.
    Fenced,
    /// It took too long.
    TimedOut,
    /// Another attempt was answered before.
    Lost,
    /// Its activation is thrown away.
    Dropped,
}

/// A policy's patterns, and where the state that they keep lies.
#[derive(Debug, Clone, Copy)]
struct Care<'s> {
    resilience: Option<&'s Resilience>,
    owner: u32,
    policy: u16,
}

impl Care<'_> {
    fn at(self, server: u32) -> (u32, u16, u32) {
        (self.owner, self.policy, server)
    }
}

/// The owner of what a whole group shares.
pub(super) const GROUP: u32 = u32::MAX;

impl AgentGroup {
    /// Whether a call is pursued from its beginning: whether there is more to it than a timeout and retries.
    pub(super) fn is_pursued(&self, id: u32, spec: u32) -> bool {
        self.policy_of(spec).resilience.is_some()
            || self.deadlines.contains_key(&id)
            || (is_plain(spec) && self.spec.program.calls[spec as usize].is_routed())
    }

    /// Whether a call asks one of several servers, where the place of whoever asks says which one is first.
    #[inline(always)]
    pub(super) fn is_council(&self, spec: u32) -> bool {
        is_plain(spec) && {
            let step = &self.spec.program.calls[spec as usize];
            step.aim.is_some() && !step.is_routed()
        }
    }

    /// The first attempt of a plain call has failed: if others go elsewhere, it is pursued from now on.
    pub(super) fn pursue_from_now(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) {
        let Some(call) = cx.shared.calls.get_mut(handle) else {
            return;
        };
        if !call.aimed || call.pursuit().is_some() {
            return;
        }
        let first = Sent {
            server: call.server,
            twin: None,
        };
        let home = self.spec.program.calls[call.spec as usize].server;
        call.terms.get_or_insert_default().pursuit = Some(Box::new(Pursuit {
            rounds: call.tries,
            numbered: call.tries,
            sent: vec![first; call.tries as usize],
            ..Pursuit::new(home)
        }));
    }

    /// The pursuit of a call that begins, whose first attempt goes to `server`.
    pub(super) fn begin_pursuit(&mut self, id: u32, spec: u32, server: u32, cx: &Cx<'_, '_>) -> Box<Pursuit> {
        let mut home = server;
        let mut planned = None;
        if is_plain(spec) {
            home = self.spec.program.calls[spec as usize].server;
            planned = Some(Sent { server, twin: None });
        }
        let resilience = self.policy_of(spec).resilience.as_deref();
        let own = resilience.and_then(|patterns| patterns.deadline);
        let cancels = resilience.is_some_and(|patterns| patterns.cancels);
        let own = own.map_or(SimTime::NEVER, |deadline| cx.now().saturating_add(deadline));
        let inherited = self.deadlines.get(&id).copied().unwrap_or(SimTime::NEVER);
        Box::new(Pursuit {
            deadline: own.min(inherited),
            planned,
            cancels,
            ..Pursuit::new(home)
        })
    }

    fn care<'s>(&self, spec: &'s super::spec::GroupSpec, member: u32, call: u32) -> Care<'s> {
        let policy = self.policy_number(call);
        let resilience = spec.policies[usize::from(policy)].resilience.as_deref();
        let shared_by = resilience.map_or(SharedBy::Agent, |patterns| patterns.shared_by);
        Care {
            resilience,
            owner: match shared_by {
                SharedBy::Agent => member,
                SharedBy::Group => GROUP,
            },
            policy,
        }
    }

    /// The next round of a pursued call: an attempt leaves, if it may.
    pub(super) fn pursue(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        let spec = Arc::clone(&self.spec);
        let (now, handle, member) = (cx.now(), self.activation(id).handle, self.member_of(id));
        let Some(call) = cx.shared.calls.get_mut(handle) else {
            return;
        };
        let Some(pursuit) = call.pursuit_mut() else { return };
        match pursuit.verdict.take() {
            Some(Rejection::Deadline) => return self.too_late(id, cx),
            Some(_) => return self.rejected(id, cx),
            None => {}
        }
        if now >= pursuit.deadline {
            return match pursuit.rounds {
                0 => self.fails_next(id, Rejection::Deadline, cx),
                _ => self.too_late(id, cx),
            };
        }
        if let Some(hold) = pursuit.hold.take() {
            return self.go_on_from(id, hold, cx);
        }
        pursuit.rounds += 1;
        pursuit.numbered += 1;
        pursuit.hedges = 0;
        let (number, first) = (pursuit.numbered, pursuit.rounds == 1);
        let planned = pursuit.planned.take().filter(|_| first);
        let care = self.care(&spec, member, call.spec);
        let aimed = is_plain(call.spec)
            .then(|| spec.program.calls[call.spec as usize].aim.as_deref())
            .flatten();
        let server = match (planned, aimed) {
            (Some(planned), _) => planned.server,
            (None, Some(_)) if first && spec.program.calls[call.spec as usize].whom != Whom::Named => call.server,
            (None, Some(aim)) => {
                let tried: Vec<u32> = call.pursuit().map_or_else(Vec::new, |pursuit| pursuit.servers());
                let about = (call.key, attempt_address(call.address, number));
                let home = spec.program.calls[call.spec as usize].server;
                self.route(care, (home, aim), &tried, about, now)
            }
            (None, None) if first => call.server,
            (None, None) => {
                // It is drawn at the address that the attempt is going to have.
                call.tries += 1;
                let server = self.another_replica(member, call).unwrap_or(call.server);
                call.tries -= 1;
                call.server = server;
                server
            }
        };
        let (identity, client, key) = (call.identity, call.client, call.key);
        let about = attempt_address(call.address, number);
        if first {
            self.feed(care, handle, Feed::FirstAttempts, cx);
        }
        match self.passes(care, server, (key, about), cx) {
            Ok(generation) => {
                let twin = self.tie(id, care, (server, number), cx);
                self.leave(id, Sent { server, twin }, generation, first, cx);
            }
            Err(why) => {
                let words = [identity, server as u64, why as u64];
                cx.record(What::AttemptRejected, client, words);
                match first {
                    true => self.fails_next(id, why, cx),
                    false => self.rejected(id, cx),
                }
            }
        }
    }

    /// A call fails as soon as it begins: that is dealt with in the next causal step, so that many such calls don't nest.
    fn fails_next(&mut self, id: u32, why: Rejection, cx: &mut Cx<'_, '_>) {
        let handle = self.activation(id).handle;
        if let Some(pursuit) = cx.shared.calls.get_mut(handle).and_then(|call| call.pursuit_mut()) {
            pursuit.verdict = Some(why);
        }
        self.activation(id).state = State::BackingOff;
        self.wake_at(id, cx.now(), cx);
    }

    /// Whether an attempt may leave for a server: the generation of the breaker by which it does, or why not.
    fn passes(
        &mut self,
        care: Care<'_>,
        server: u32,
        (key, about): (Key, u64),
        cx: &mut Cx<'_, '_>,
    ) -> Result<u32, Rejection> {
        let now = cx.now();
        let Some(resilience) = care.resilience else {
            return Ok(0);
        };
        let known = self.known.entry(care.at(server)).or_default();
        if let Some(spec) = &resilience.throttle {
            let throttle = known.throttle.get_or_insert_with(|| Throttle::new(spec));
            let probability = throttle.probability(spec, now);
            throttle.requested(now);
            if probability > 0.0 && key.stream(purpose::THROTTLE, about).chance(probability) {
                return Err(Rejection::Throttle);
            }
        }
        let Some(spec) = &resilience.breaker else { return Ok(0) };
        let breaker = known.breaker.get_or_insert_with(|| Breaker::new(spec));
        let (generation, changed) = breaker.admit(spec, now);
        let phase = breaker.phase();
        if changed {
            self.say_phase(care, server, phase, cx);
        }
        generation.ok_or(Rejection::Breaker)
    }

    fn say_phase(&self, care: Care<'_>, server: u32, phase: Phase, cx: &mut Cx<'_, '_>) {
        let whose = match care.owner {
            GROUP => 1 << 32 | u64::from(self.base),
            member => u64::from(self.base + member),
        };
        let (phase, until) = match phase {
            Phase::Closed => (0, 0),
            Phase::Open { until } => (1, until.as_nanos()),
            Phase::HalfOpen { .. } => (2, 0),
        };
        let words = [server.into(), u64::from(care.policy) << 40 | whose, phase];
        let subject = if care.owner == GROUP {
            self.base
        } else {
            self.base + care.owner
        };
        cx.record_with(What::BreakerChanged, subject, words, &[until]);
    }

    /// Something happened that fills a budget of retries.
    fn feed(&mut self, care: Care<'_>, handle: Handle, by: Feed, cx: &Cx<'_, '_>) {
        let spec = care.resilience.and_then(|patterns| patterns.retry_budget.as_ref());
        let pursuit = cx.shared.calls.get(handle).and_then(|call| call.pursuit());
        if let (Some(spec), Some(pursuit)) = (spec, pursuit) {
            let known = self.known.entry(care.at(pursuit.home)).or_default();
            known.budget.get_or_insert_with(|| Budget::new(spec)).feed(spec, by);
        }
    }

    /// Takes a token for a retry or, where hedges need one, for a hedge. True where there's no budget.
    fn takes_token(&mut self, care: Care<'_>, home: u32, hedge: bool) -> bool {
        let spec = care.resilience.and_then(|patterns| patterns.retry_budget.as_ref());
        let Some(spec) = spec.filter(|spec| !hedge || spec.hedges) else {
            return true;
        };
        let known = self.known.entry(care.at(home)).or_default();
        known.budget.get_or_insert_with(|| Budget::new(spec)).take()
    }

    /// An attempt leaves.
    fn fly(&mut self, id: u32, to: Sent, generation: u32, hedge: bool, cx: &mut Cx<'_, '_>) {
        let spec = Arc::clone(&self.spec);
        let (now, handle, member) = (cx.now(), self.activation(id).handle, self.member_of(id));
        let Some(call) = cx.shared.calls.get_mut(handle) else {
            return;
        };
        call.tries += 1;
        call.paths += 1;
        let care = self.care(&spec, member, call.spec);
        let policy = &spec.policies[usize::from(care.policy)];
        let timeout = policy.timeout;
        let (identity, began, key, address, client) = (call.identity, call.began, call.key, call.address, call.client);
        let several = is_plain(call.spec) && spec.program.calls[call.spec as usize].aim.is_some();
        let token_bytes = call.token().map_or(0, |token| token.bytes() as u32);
        let bytes = request_bytes(&call.request, self.bytes_of(call.spec)).saturating_add(token_bytes);
        let Some(pursuit) = call.pursuit_mut() else { return };
        let number = pursuit.numbered;
        if several {
            // Attempts that the client has rejected went nowhere.
            pursuit.sent.resize(number as usize - 1, to);
            pursuit.sent.push(to);
        }
        pursuit.flights.push(Flight {
            number,
            server: to.server,
            sent: now,
            held: match std::mem::replace(&mut pursuit.held, SimTime::NEVER) {
                SimTime::NEVER => SimDuration::ZERO,
                since => now - since,
            },
            due: timeout.map_or(SimTime::NEVER, |timeout| now.saturating_add(timeout)),
            generation,
            hedge,
        });
        if care.resilience.is_some() || several {
            self.known.entry(care.at(to.server)).or_default().in_flight += 1;
        }
        self.plan_hedge(id, care, cx);
        let words = [identity, to.server as u64, number as u64];
        let extra: &[u64] = if hedge {
            &[began.as_nanos(), 1]
        } else {
            &[began.as_nanos()]
        };
        cx.record_with(What::AttemptSent, client, words, extra);
        let attempt = cx.shared.attempts.insert(Attempt::new(handle, number, now));
        self.arm_pursuit(id, cx);
        let message = Message::new(MessageKind::Request, to.server, 0, bytes).with(attempt);
        let endpoint = &mut self.agents[member as usize].endpoint;
        cx.send_about(endpoint, message, key, attempt_address(address, number));
    }

    /// Arms the activation's timer for what is due about its call next.
    fn arm_pursuit(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        let handle = self.activation(id).handle;
        let pursuit = cx.shared.calls.get(handle).and_then(|call| call.pursuit());
        let due = pursuit.map_or(SimTime::NEVER, Pursuit::next_due);
        if due == SimTime::NEVER {
            return self.disarm(id);
        }
        if !self.uses_timers {
            // A deadline has come with an ask.
            self.timers.resize(self.agents.len(), super::activation::Timer::IDLE);
            self.uses_timers = true;
        }
        self.arm(id, due.max(cx.now()), cx);
    }

    /// An attempt of a pursued call isn't waited for any more.
    fn flight_over(
        &mut self,
        care: Care<'_>,
        (call, client): (u64, u32),
        home: u32,
        flight: &Flight,
        how: End,
        cx: &mut Cx<'_, '_>,
    ) {
        let now = cx.now();
        if flight.hedge {
            let words = [call, flight.server.into(), flight.number.into()];
            let used = u64::from(how == End::Answered);
            cx.record_with(What::HedgeEnded, client, words, &[used]);
        }
        let Some(known) = self.known.get_mut(&care.at(flight.server)) else {
            return;
        };
        known.in_flight = known.in_flight.saturating_sub(1);
        let Some(resilience) = care.resilience else { return };
        if matches!(how, End::Answered | End::Fenced)
            && let Some(throttle) = &mut known.throttle
        {
            throttle.accepted(now);
        }
        self.report(care, flight.server, flight.generation, how.came(), cx);
        self.free_place(care, home, cx);
        if !flight.hedge && matches!(how, End::Answered | End::Lost) && resilience.hedge.is_some() {
            // One that lost has taken at least so long.
            let known = self.known.entry(care.at(home)).or_default();
            known.latencies.note(now - flight.sent);
        }
    }

    /// A circuit breaker gets to know what an attempt has come to.
    fn report(&mut self, care: Care<'_>, server: u32, generation: u32, came: Came, cx: &mut Cx<'_, '_>) {
        let Some(spec) = care.resilience.and_then(|patterns| patterns.breaker.as_ref()) else {
            return;
        };
        let known = self.known.get_mut(&care.at(server));
        let Some(breaker) = known.and_then(|known| known.breaker.as_mut()) else {
            return;
        };
        if breaker.report(spec, cx.now(), generation, came) {
            let phase = breaker.phase();
            self.say_phase(care, server, phase, cx);
        }
    }

    /// The flights of an activation's call that `over` picks are over.
    fn end_flights(&mut self, id: u32, how: End, over: impl Fn(&Flight) -> bool, cx: &mut Cx<'_, '_>) {
        let handle = self.activation(id).handle;
        let member = self.member_of(id);
        self.end_flights_of(member, handle, how, over, cx);
    }

    /// The same of a call; whoever is given up is told so.
    pub(super) fn end_flights_of(
        &mut self,
        member: u32,
        handle: Handle,
        how: End,
        over: impl Fn(&Flight) -> bool,
        cx: &mut Cx<'_, '_>,
    ) {
        let spec = Arc::clone(&self.spec);
        let Some(call) = cx.shared.calls.get_mut(handle) else {
            return;
        };
        let (identity, client, step, key, address) = (call.identity, call.client, call.spec, call.key, call.address);
        let Some(pursuit) = call.pursuit_mut() else { return };
        let (home, cancels) = (pursuit.home, pursuit.cancels);
        let all = std::mem::take(&mut pursuit.flights);
        let (ended, rest): (Vec<Flight>, Vec<Flight>) = all.into_iter().partition(over);
        pursuit.flights = rest;
        let care = self.care(&spec, member, step);
        for flight in ended {
            self.flight_over(care, (identity, client), home, &flight, how, cx);
            if how == End::TimedOut {
                let words = [identity, flight.server as u64, flight.number as u64];
                cx.record(What::AttemptTimedOut, client, words);
            }
            let given_up = matches!(how, End::TimedOut | End::Lost | End::Dropped);
            if cancels && given_up && is_plain(step) {
                let about = (key, attempt_address(address, flight.number));
                self.cancel(member, identity, &flight, about, cx);
            }
        }
    }

    /// An attempt was refused: whether others are under way, so that the call goes on.
    pub(super) fn flight_refused(&mut self, id: u32, number: u32, cx: &mut Cx<'_, '_>) -> bool {
        self.end_flights(id, End::Refused, |flight| flight.number == number, cx);
        let goes_on = self.has_flights(id, cx);
        if goes_on {
            self.arm_pursuit(id, cx);
        }
        goes_on
    }

    /// An attempt has decided the call: the others are given up.
    pub(super) fn flight_decides(&mut self, id: u32, number: u32, how: End, cx: &mut Cx<'_, '_>) {
        if how == End::Answered {
            let spec = Arc::clone(&self.spec);
            let (handle, member) = (self.activation(id).handle, self.member_of(id));
            if let Some(call) = cx.shared.calls.get(handle) {
                let care = self.care(&spec, member, call.spec);
                self.feed(care, handle, Feed::Successes, cx);
            }
        }
        self.end_flights(id, how, |flight| flight.number == number, cx);
        self.end_flights(id, End::Lost, |_| true, cx);
    }

    fn has_flights(&mut self, id: u32, cx: &Cx<'_, '_>) -> bool {
        let handle = self.activation(id).handle;
        let pursuit = cx.shared.calls.get(handle).and_then(|call| call.pursuit());
        pursuit.is_some_and(|pursuit| !pursuit.flights.is_empty())
    }

    /// Something is due about an activation's pursued call: its deadline, the timeout of an attempt, a hedge.
    pub(super) fn pursuit_due(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        let (until, handle) = (self.enabled(id, cx), self.activation(id).handle);
        let Some(pursuit) = cx.shared.calls.get(handle).and_then(|call| call.pursuit()) else {
            return;
        };
        let (deadline, hedge_at) = (pursuit.deadline, pursuit.hedge_at);
        let holds = pursuit.hold.is_some();
        if until >= deadline {
            self.end_flights(id, End::TimedOut, |_| true, cx);
            return self.too_late(id, cx);
        }
        if holds {
            return self.arm_pursuit(id, cx);
        }
        if self.activation(id).state == State::BackingOff {
            return;
        }
        self.end_flights(id, End::TimedOut, |flight| flight.due <= until, cx);
        if !self.has_flights(id, cx) {
            return self.attempt_failed(id, None, cx);
        }
        if hedge_at <= until {
            self.hedge(id, cx);
        }
        self.arm_pursuit(id, cx);
    }

    /// A call's deadline is over, or would be before its next attempt.
    pub(super) fn too_late(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        self.fails(id, Rejection::Deadline, cx);
    }

    /// A call is given up at its client.
    fn fails(&mut self, id: u32, why: Rejection, cx: &mut Cx<'_, '_>) {
        self.disarm(id);
        // What it was held for isn't due any more.
        let activation = self.activation(id);
        activation.generation = activation.generation.wrapping_add(1);
        let (member, handle) = (self.member_of(id), self.activation(id).handle);
        self.release_hold(member, handle, cx);
        if let Some(call) = cx.shared.calls.get(handle) {
            let (words, client) = ([call.identity, call.server as u64, why as u64], call.client);
            cx.record(What::AttemptRejected, client, words);
        }
        self.give_up(id, cx);
    }

    /// Whether a pursued call may try again after this wait; if not, it has failed. `rejected`: its client has rejected the attempt
    /// by itself.
    pub(super) fn may_retry(&mut self, id: u32, wait: SimDuration, rejected: bool, cx: &mut Cx<'_, '_>) -> bool {
        let spec = Arc::clone(&self.spec);
        let (now, handle, member) = (cx.now(), self.activation(id).handle, self.member_of(id));
        let Some(call) = cx.shared.calls.get_mut(handle) else {
            return false;
        };
        let step = call.spec;
        let Some(pursuit) = call.pursuit_mut() else { return true };
        pursuit.hedge_at = SimTime::NEVER;
        let (home, deadline) = (pursuit.home, pursuit.deadline);
        if rejected && wait == SimDuration::ZERO {
            // The same would be said in the same instant.
            self.give_up(id, cx);
            return false;
        }
        if now.saturating_add(wait) >= deadline {
            self.too_late(id, cx);
            return false;
        }
        let care = self.care(&spec, member, step);
        if !self.takes_token(care, home, false) {
            self.fails(id, Rejection::Budget, cx);
            return false;
        }
        true
    }

    /// What a handler calls is to be done by the deadline of the ask that it handles; a branch's by that of its fork.
    pub(super) fn inherit_deadline(&mut self, id: u32, from: Option<SimTime>) {
        match from {
            Some(deadline) if deadline != SimTime::NEVER => {
                self.deadlines.insert(id, deadline);
            }
            _ => {
                self.deadlines.remove(&id);
            }
        }
    }

    /// What an agent knew of services is lost with its memory.
    pub(super) fn forget_known(&mut self, member: u32) {
        super::memory::forget(&mut self.known, (member, 0, 0)..=(member, u16::MAX, u32::MAX));
    }
}

/// The state of a group's clients, by owner, policy and server.
pub(super) type AllKnown = std::collections::BTreeMap<(u32, u16, u32), Known>;
