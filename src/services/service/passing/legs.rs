//! The calls that a gateway makes: attempts, which may be several at once, their answers, and what follows on those that fail.
//!
//! Guarantees: what is kept of how calls fare (`Guard`) goes by the same machines as that of agents: a budget of retries, a throttle for each
//! server, the latencies that a hedge goes by. An attempt that the gateway rejects by itself counts as one of the call's attempts, goes
//! nowhere, and is followed by another one only after a backoff. While an attempt is under way, another one that fails changes nothing.

use super::super::super::routing::How;
use super::super::super::spec::Passing;
use super::super::{Service, passed};
use super::{Due, LegState, Passage};
use crate::agents::endless::verdict;
use crate::agents::policy::Resilience;
use crate::agents::policy::budget::{Budget, Feed};
use crate::agents::policy::latencies::Latencies;
use crate::agents::policy::resilience::HedgeAfter;
use crate::agents::policy::throttle::Throttle;
use crate::kernel::{SimDuration, SimTime};
use crate::services::job::Moment;
use crate::world::call::{Attempt, Outcome, Part, attempt_address, cancel_address};
use crate::world::message::{Message, MessageKind};
use crate::world::population::{Cx, purpose};
use crate::world::pursuit::{Flight as Awaited, Sent};
use crate::world::record::What;
use crate::world::slab::Handle;
use serde::Serialize;
use std::sync::Arc;

/// An attempt that a gateway waits for.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Flight {
    /// Its number in its call.
    pub number: u32,
    /// Which of the servers is asked.
    pub place: u32,
    sent: SimTime,
    is_hedge: bool,
    /// Its timeout.
    due: Option<(SimTime, u64)>,
}

/// What a gateway knows of how its calls fare, as far as its policy goes by it.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Guard {
    budget: Option<Budget>,
    /// One for each server that was asked.
    throttles: Vec<Option<Throttle>>,
    latencies: Latencies,
}

impl Guard {
    /// Something happened that fills the budget.
    fn feed(&mut self, resilience: Option<&Resilience>, by: Feed) {
        if let Some(spec) = resilience.and_then(|patterns| patterns.retry_budget.as_ref()) {
            self.budget.get_or_insert_with(|| Budget::new(spec)).feed(spec, by);
        }
    }

    /// Takes a token for a retry or, where hedges need one, for a hedge. True where there's no budget.
    fn takes_token(&mut self, resilience: Option<&Resilience>, hedge: bool) -> bool {
        let spec = resilience.and_then(|patterns| patterns.retry_budget.as_ref());
        let Some(spec) = spec.filter(|spec| !hedge || spec.hedges) else {
            return true;
        };
        self.budget.get_or_insert_with(|| Budget::new(spec)).take()
    }

    /// How likely the next request to a server is rejected here; it counts as one in any case.
    fn rejects(&mut self, resilience: Option<&Resilience>, place: u32, now: SimTime) -> f64 {
        let Some(spec) = resilience.and_then(|patterns| patterns.throttle.as_ref()) else {
            return 0.0;
        };
        let place = place as usize;
        if self.throttles.len() <= place {
            self.throttles.resize(place + 1, None);
        }
        let throttle = self.throttles[place].get_or_insert_with(|| Throttle::new(spec));
        let probability = throttle.probability(spec, now);
        throttle.requested(now);
        probability
    }

    fn accepted(&mut self, place: u32, now: SimTime) {
        if let Some(Some(throttle)) = self.throttles.get_mut(place as usize) {
            throttle.accepted(now);
        }
    }
}

fn patterns(passing: &Passing) -> Option<&Resilience> {
    passing.policy.resilience.as_deref()
}

impl Service {
    /// The server of an attempt that isn't waited for any more is told so.
    fn tell_to_stop(&mut self, call: Handle, server: u32, number: u32, cx: &mut Cx<'_, '_>) {
        let Some(call) = cx.shared.calls.get(call).filter(|call| call.cancels()) else {
            return;
        };
        let (identity, key) = (call.identity, call.key);
        let address = cancel_address(attempt_address(call.address, number) ^ identity);
        let message = Message::cancel(server, false, identity, number);
        cx.record(
            What::CancelSent,
            self.endpoint.id,
            [identity, server.into(), number.into()],
        );
        cx.send_about(&mut self.endpoint, message, key, address);
    }

    /// The next round of a leg: an attempt leaves for the place that was chosen, if it may.
    pub(super) fn launch(&mut self, passing: &Arc<Passing>, handle: Handle, leg: u32, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let Some(passage) = self.passages.all.get_mut(handle) else {
            return;
        };
        let this = &mut passage.legs[leg as usize];
        this.state = LegState::Asking;
        this.rounds += 1;
        this.hedges = 0;
        let (place, round, call) = (this.place, this.rounds, this.call);
        if round == 1 {
            self.passages.guard.feed(patterns(passing), Feed::FirstAttempts);
        }
        if !self.is_let_pass(passing, call, (place, round), cx) {
            // What comes of it is dealt with in the next causal step, so that many such calls don't nest.
            self.leg_state(handle, leg, LegState::Rejected);
            return self.remind_of(now, handle, leg, cx);
        }
        self.fly(passing, handle, leg, place, cx);
    }

    /// Whether the throttle lets an attempt to a server pass: the next of so many rounds, or hedges.
    fn is_let_pass(
        &mut self,
        passing: &Arc<Passing>,
        call: Handle,
        (place, number): (u32, u32),
        cx: &mut Cx<'_, '_>,
    ) -> bool {
        let probability = self.passages.guard.rejects(patterns(passing), place, cx.now());
        let Some(call) = cx.shared.calls.get(call).filter(|_| probability > 0.0) else {
            return true;
        };
        let about = attempt_address(call.address ^ self.endpoint.key.bits(), number);
        !call.key.stream(purpose::THROTTLE, about).chance(probability)
    }

    fn leg_state(&mut self, handle: Handle, leg: u32, state: LegState) {
        if let Some(passage) = self.passages.all.get_mut(handle) {
            passage.legs[leg as usize].state = state;
        }
    }

    /// An attempt leaves.
    fn fly(&mut self, passing: &Arc<Passing>, handle: Handle, leg: u32, place: u32, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let Some(passage) = self.passages.all.get_mut(handle) else {
            return;
        };
        let this = &mut passage.legs[leg as usize];
        let (call_handle, is_hedge) = (this.call, !this.flights.is_empty());
        this.place = place;
        let Some(call) = cx.shared.calls.get_mut(call_handle) else {
            return;
        };
        call.tries += 1;
        call.paths += 1;
        let (number, server) = (call.tries, passing.to[place as usize]);
        call.server = server;
        let (identity, key) = (call.identity, call.key);
        if let Some(pursuit) = call.pursuit_mut() {
            pursuit.sent.push(Sent { server, twin: None });
            pursuit.flights.push(Awaited {
                number,
                server,
                sent: now,
                held: SimDuration::ZERO,
                due: SimTime::NEVER,
                generation: 0,
                hedge: is_hedge,
            });
        }
        if cx.wants(What::PassedOn) {
            let extra = passage.told();
            let how = u64::from(is_hedge) << 32 | u64::from(number);
            cx.record_with(What::PassedOn, self.endpoint.id, [identity, server.into(), how], &extra);
        }
        self.passages.router.sent(place);
        let attempt = cx.shared.attempts.insert(Attempt::new(call_handle, number, now));
        let message = Message::new(MessageKind::Request, server, 0, passing.bytes).with(attempt);
        let about = cx
            .shared
            .journey(attempt)
            .map_or(0, |(attempt, call)| call.about_request(attempt));
        cx.send_about(&mut self.endpoint, message, key, about);
        let timeout = passing.policy.timeout;
        let due =
            timeout.map(|timeout| self.remind(now.saturating_add(timeout), Due::Attempt(handle, leg, number), cx));
        if let Some(passage) = self.passages.all.get_mut(handle) {
            passage.legs[leg as usize].flights.push(Flight {
                number,
                place,
                sent: now,
                is_hedge,
                due,
            });
        }
        self.plan_hedge(passing, handle, leg, cx);
    }

    /// When the next hedge of a leg is due, if one is.
    fn plan_hedge(&mut self, passing: &Arc<Passing>, handle: Handle, leg: u32, cx: &mut Cx<'_, '_>) {
        let Some(hedge) = patterns(passing).and_then(|patterns| patterns.hedge.as_ref()) else {
            return;
        };
        let after = match hedge.after {
            HedgeAfter::Fixed(after) => Some(after),
            HedgeAfter::Quantile { share, least } => self.passages.guard.latencies.quantile(share, least),
        };
        let Some(passage) = self.passages.all.get_mut(handle) else {
            return;
        };
        let this = &mut passage.legs[leg as usize];
        if let Some(due) = this.hedge_due.take() {
            self.passages.due.remove(&due);
        }
        if let Some(after) = after.filter(|_| this.hedges < hedge.most) {
            let due = self.remind(cx.now().saturating_add(after), Due::Hedge(handle, leg), cx);
            if let Some(passage) = self.passages.all.get_mut(handle) {
                passage.legs[leg as usize].hedge_due = Some(due);
            }
        }
    }

    /// A hedge is due: it leaves for a server that wasn't asked, if there is one, and if it may. One that may not is left out.
    pub(super) fn hedge(&mut self, passing: &Arc<Passing>, handle: Handle, leg: u32, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let Some(passage) = self.passages.all.get_mut(handle) else {
            return;
        };
        let tried = passage.asked(leg);
        let this = &mut passage.legs[leg as usize];
        this.hedge_due = None;
        if this.state != LegState::Asking {
            return;
        }
        this.hedges += 1;
        let (call_handle, hedge) = (this.call, this.hedges);
        let Some(call) = cx.shared.calls.get(call_handle) else {
            return;
        };
        if call.deadline().is_some_and(|deadline| now >= deadline) {
            return;
        }
        let about = call.about(&Attempt::new(call_handle, call.tries + 1, now));
        let mut stream = call.key.stream(purpose::ROUTING, about ^ self.endpoint.key.bits());
        let (client, identity, number) = (call.asker(), call.identity, call.tries + 1);
        let place = self
            .passages
            .router
            .choose(passing.routing, client.into(), &tried, now, &mut stream);
        let may = self.passages.guard.takes_token(patterns(passing), true)
            && self.is_let_pass(passing, call_handle, (place, number.rotate_left(16) ^ hedge), cx);
        if may {
            return self.fly(passing, handle, leg, place, cx);
        }
        let words = [identity, passing.to[place as usize].into(), passed::LEFT_OUT];
        cx.record(What::PassedBack, self.endpoint.id, words);
        self.plan_hedge(passing, handle, leg, cx);
    }

    /// An answer has come to the gateway.
    pub(in crate::services::service) fn passed_back(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) {
        let came = self.moment(cx.now());
        if self.down {
            self.leave_unused(handle, cx);
        } else if self.pace() == 0.0 {
            self.passages.put_off.push((handle, came));
        } else {
            self.take_answer(handle, came, cx);
        }
    }

    pub(super) fn leave_unused(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) {
        if let Some((attempt, call)) = cx.shared.journey(handle)
            && attempt.outcome == Outcome::Done
        {
            let words = [call.identity, call.server_of(attempt.number).into(), passed::UNUSED];
            cx.record(What::PassedBack, self.endpoint.id, words);
        }
        cx.drop_attempt(handle);
    }

    pub(super) fn take_answer(&mut self, handle: Handle, came: Moment, cx: &mut Cx<'_, '_>) {
        let Some(passing) = self.spec.passes.clone() else {
            return;
        };
        let Some((attempt, call)) = cx.shared.journey(handle) else {
            cx.shared.attempts.free(handle);
            return;
        };
        let passage = Handle::from_word(u64::from(call.generation) << 32 | u64::from(call.activation));
        let (leg, number) = (call.spec, attempt.number);
        let flight = |passage: &Passage| {
            let this = &passage.legs[leg as usize];
            let mut flights = this.flights.iter().filter(|_| this.state == LegState::Asking);
            flights.find(|flight| flight.number == number).copied()
        };
        let Some(flight) = self.passages.all.get(passage).filter(|_| call.open).and_then(flight) else {
            return self.leave_unused(handle, cx);
        };
        let (outcome, server) = (attempt.outcome, u64::from(passing.to[flight.place as usize]));
        let identity = call.identity;
        match outcome {
            Outcome::Refused { retry_after } => {
                cx.record(What::PassedBack, self.endpoint.id, [identity, server, passed::REFUSED]);
                self.end_flight(passage, leg, number, How::Failed, cx);
                cx.drop_attempt(handle);
                self.flight_failed(&passing, passage, leg, retry_after, cx);
            }
            _ => {
                let mut since = attempt.parts(came.at);
                since.add(Part::Retrying, attempt.sent - call.began);
                let times = attempt.times(came.at);
                let words = [identity, server, passed::USED];
                cx.record_with(What::PassedBack, self.endpoint.id, words, &times);
                if flight.is_hedge {
                    cx.record(What::PassedBack, self.endpoint.id, [identity, server, passed::WON]);
                }
                self.passages.guard.accepted(flight.place, cx.now());
                self.passages.guard.feed(patterns(&passing), Feed::Successes);
                self.end_flight(passage, leg, number, How::Done, cx);
                self.leave_flights(passage, leg, cx);
                self.end_leg(passage, leg, cx);
                cx.drop_attempt(handle);
                let Some(passage_here) = self.passages.all.get_mut(passage) else {
                    return;
                };
                passage_here.done += 1;
                if passage_here.done == passing.need {
                    self.complete(passage, Outcome::Done, Some((since, came, identity)), cx);
                }
            }
        }
    }

    /// An attempt isn't waited for any more.
    fn end_flight(&mut self, handle: Handle, leg: u32, number: u32, how: How, cx: &mut Cx<'_, '_>) {
        let Some(passing) = self.spec.passes.clone() else {
            return;
        };
        let Some(passage) = self.passages.all.get_mut(handle) else {
            return;
        };
        let this = &mut passage.legs[leg as usize];
        let Some(at) = this.flights.iter().position(|flight| flight.number == number) else {
            return;
        };
        let flight = this.flights.remove(at);
        if how == How::Failed {
            this.tried.push(flight.place);
        }
        if let Some(due) = flight.due {
            self.passages.due.remove(&due);
        }
        if let Some(pursuit) = cx.shared.calls.get_mut(this.call).and_then(|call| call.pursuit_mut()) {
            pursuit.flights.retain(|flight| flight.number != number);
        }
        let now = cx.now();
        let hedges = patterns(&passing).is_some_and(|patterns| patterns.hedge.is_some());
        if hedges && how != How::Failed && !flight.is_hedge {
            // One that lost has taken at least so long.
            self.passages.guard.latencies.note(now - flight.sent);
        }
        if self.passages.router.over(flight.place, how, passing.ejects, now) {
            let until = self.passages.router.back_at(flight.place);
            let words = [passing.to[flight.place as usize].into(), until.as_nanos(), 0];
            cx.record(What::Ejected, self.endpoint.id, words);
        }
    }

    /// The attempts of a leg that are still under way aren't waited for: their servers are told so.
    pub(super) fn leave_flights(&mut self, handle: Handle, leg: u32, cx: &mut Cx<'_, '_>) {
        let Some(passing) = self.spec.passes.clone() else {
            return;
        };
        while let Some(passage) = self.passages.all.get(handle)
            && let this = &passage.legs[leg as usize]
            && let Some(flight) = this.flights.first().copied()
        {
            let (call, server) = (this.call, passing.to[flight.place as usize]);
            if let Some(call) = cx.shared.calls.get(call) {
                let words = [call.identity, server.into(), passed::LEFT];
                cx.record(What::PassedBack, self.endpoint.id, words);
            }
            self.tell_to_stop(call, server, flight.number, cx);
            self.end_flight(handle, leg, flight.number, How::Neither, cx);
        }
    }

    /// A leg is over: nothing of it is under way any more.
    pub(super) fn end_leg(&mut self, handle: Handle, leg: u32, cx: &mut Cx<'_, '_>) {
        let Some(passage) = self.passages.all.get_mut(handle) else {
            return;
        };
        let this = &mut passage.legs[leg as usize];
        debug_assert!(this.flights.is_empty(), "what is under way is ended before");
        this.state = LegState::Over;
        for due in [this.due.take(), this.hedge_due.take()].into_iter().flatten() {
            self.passages.due.remove(&due);
        }
        cx.close_call(this.call);
    }

    /// An attempt of a leg failed: nothing comes of it while others are under way.
    fn flight_failed(
        &mut self,
        passing: &Arc<Passing>,
        handle: Handle,
        leg: u32,
        retry_after: Option<SimDuration>,
        cx: &mut Cx<'_, '_>,
    ) {
        let Some(passage) = self.passages.all.get(handle) else {
            return;
        };
        if passage.legs[leg as usize].flights.is_empty() {
            self.leg_failed(passing, handle, leg, (retry_after, false), cx);
        }
    }

    /// All attempts of a round have failed, or its first was rejected here: another round after a wait, or the leg is over.
    fn leg_failed(
        &mut self,
        passing: &Arc<Passing>,
        handle: Handle,
        leg: u32,
        (retry_after, rejected): (Option<SimDuration>, bool),
        cx: &mut Cx<'_, '_>,
    ) {
        let now = cx.now();
        let Some(passage) = self.passages.all.get_mut(handle) else {
            return;
        };
        let tried = passage.asked(leg);
        let this = &mut passage.legs[leg as usize];
        for due in [this.due.take(), this.hedge_due.take()].into_iter().flatten() {
            self.passages.due.remove(&due);
        }
        let Some(call) = cx.shared.calls.get_mut(this.call) else {
            return;
        };
        let (policy, round) = (&passing.policy, this.rounds);
        if policy.attempts.is_some_and(|most| round >= most) {
            return self.leg_over(passing, handle, leg, retry_after, cx);
        }
        let key = call.key;
        let about = call.about(&Attempt::new(this.call, round, now));
        let mut wait = policy
            .backoff
            .wait(round, call.backoff, &mut key.stream(purpose::BACKOFF, about));
        call.backoff = wait;
        if policy.honours_retry_after {
            wait = wait.max(retry_after.unwrap_or(SimDuration::ZERO));
        }
        let (client, identity, server) = (call.asker(), call.identity, call.server);
        let in_vain = rejected && wait == SimDuration::ZERO;
        let too_late = call
            .deadline()
            .is_some_and(|deadline| now.saturating_add(wait) >= deadline);
        if in_vain || too_late {
            // The same would be said in the same instant, or the next attempt couldn't begin in time.
            return self.leg_over(passing, handle, leg, retry_after, cx);
        }
        if !self.passages.guard.takes_token(patterns(passing), false) {
            let words = [identity, server.into(), passed::NO_TOKEN];
            cx.record(What::PassedBack, self.endpoint.id, words);
            return self.leg_over(passing, handle, leg, retry_after, cx);
        }
        let mut stream = key.stream(purpose::ROUTING, about ^ self.endpoint.key.bits());
        let next = self
            .passages
            .router
            .choose(passing.routing, client.into(), &tried, now, &mut stream);
        let Some(passage) = self.passages.all.get_mut(handle) else {
            return;
        };
        let this = &mut passage.legs[leg as usize];
        this.place = next;
        this.state = LegState::BackingOff;
        let at_once = (wait == SimDuration::ZERO).then(|| cx.step());
        if let Some(why) = verdict(round, policy.attempts.is_none(), at_once) {
            let name = cx.shared.directory.group_name(self.endpoint.id);
            let place = format!("services.{name}.forwards");
            let message = format!("what it passes on is never answered: {why}");
            return cx.halt(self.endpoint.id, message, place);
        }
        if wait == SimDuration::ZERO {
            self.launch(passing, handle, leg, cx);
        } else {
            self.remind_of(now.saturating_add(wait), handle, leg, cx);
        }
    }

    /// A leg has failed for good; and the passage with it, if too few are left.
    fn leg_over(
        &mut self,
        passing: &Arc<Passing>,
        handle: Handle,
        leg: u32,
        retry_after: Option<SimDuration>,
        cx: &mut Cx<'_, '_>,
    ) {
        self.end_leg(handle, leg, cx);
        let Some(passage) = self.passages.all.get_mut(handle) else {
            return;
        };
        passage.failed += 1;
        if passing.fan_out - passage.failed < passing.need {
            self.complete(handle, Outcome::Refused { retry_after }, None, cx);
        }
    }

    /// A leg that nobody waits for any more.
    pub(super) fn stop_leg(&mut self, handle: Handle, leg: u32, cx: &mut Cx<'_, '_>) {
        let Some(passage) = self.passages.all.get(handle) else {
            return;
        };
        if passage.legs[leg as usize].state != LegState::Over {
            self.leave_flights(handle, leg, cx);
            self.end_leg(handle, leg, cx);
        }
    }

    fn remind_of(&mut self, at: SimTime, handle: Handle, leg: u32, cx: &mut Cx<'_, '_>) {
        let due = self.remind(at, Due::Leg(handle, leg), cx);
        if let Some(passage) = self.passages.all.get_mut(handle) {
            passage.legs[leg as usize].due = Some(due);
        }
    }

    /// The next round of a leg is due, or what comes of one that was rejected.
    pub(super) fn leg_due(&mut self, passing: &Arc<Passing>, handle: Handle, leg: u32, cx: &mut Cx<'_, '_>) {
        let Some(passage) = self.passages.all.get_mut(handle) else {
            return;
        };
        let this = &mut passage.legs[leg as usize];
        this.due = None;
        let (state, is_first, place, call) = (this.state, this.rounds == 1, this.place, this.call);
        match state {
            LegState::Over | LegState::Asking => {}
            LegState::BackingOff => self.launch(passing, handle, leg, cx),
            LegState::Rejected => {
                this.tried.push(place);
                let told = if is_first { passage.told() } else { Vec::new() };
                if let Some(call) = cx.shared.calls.get(call) {
                    let words = [call.identity, passing.to[place as usize].into(), passed::REJECTED];
                    cx.record_with(What::PassedBack, self.endpoint.id, words, &told);
                }
                self.leg_failed(passing, handle, leg, (None, true), cx);
            }
        }
    }

    /// An attempt has taken too long.
    pub(super) fn attempt_due(
        &mut self,
        passing: &Arc<Passing>,
        (handle, leg, number): (Handle, u32, u32),
        cx: &mut Cx<'_, '_>,
    ) {
        let Some(passage) = self.passages.all.get_mut(handle) else {
            return;
        };
        let this = &mut passage.legs[leg as usize];
        let Some(flight) = this.flights.iter_mut().find(|flight| flight.number == number) else {
            return;
        };
        flight.due = None;
        let (told, server) = (this.call, passing.to[flight.place as usize]);
        if let Some(call) = cx.shared.calls.get(told) {
            let words = [call.identity, server.into(), passed::TIMED_OUT];
            cx.record(What::PassedBack, self.endpoint.id, words);
        }
        self.tell_to_stop(told, server, number, cx);
        self.end_flight(handle, leg, number, How::Failed, cx);
        self.flight_failed(passing, handle, leg, None, cx);
    }

    /// The gateway's memory is gone.
    pub(super) fn forget_guard(&mut self) {
        self.passages.guard = Guard::default();
    }
}
