//! What a gateway does with a request once its own work on it is done: it calls others, and answers with what they answer.
//!
//! A gateway is a client like any other: its calls have attempts, a timeout and a backoff, and what it waits for may never come. It
//! keeps one passage for each request, or for several that it has gathered to one, with a leg to each server that it asks.
//!
//! Guarantees: where the time of a passage went is known to the nanosecond and handed on with the answer; a crash loses what was
//! under way or begins it anew, as it does with work; who stands still takes answers in later, in their order.

mod interrupted;

use super::super::job::{Job, Moment};
use super::super::routing::How;
use super::super::spec::Passing;
use super::{ALARM, Refusal, Service, passed};
use crate::agents::endless::verdict;
use crate::kernel::{SimDuration, SimTime};
use crate::world::call::{
    Attempt, Call, Outcome, Part, Parts, Passed, Request, Terms, attempt_address, call_identity, cancel_address,
};
use crate::world::message::{Message, MessageKind};
use crate::world::population::{Cx, purpose};
use crate::world::record::What;
use crate::world::slab::{Handle, Slab};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The legs of passages, and what is due about them.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Passages {
    all: Slab<Passage>,
    /// Calls made so far.
    calls: u32,
    /// Requests that are being gathered.
    gathering: Vec<Waiting>,
    /// What is due when, in the order in which it was said.
    due: BTreeMap<(SimTime, u64), Due>,
    said: u64,
    /// When the next entry for it comes, if there is one.
    armed: Option<SimTime>,
    /// Answers that came while the gateway stood still.
    put_off: Vec<(Handle, Moment)>,
    /// Requests that are passed on anew after a restart.
    again: Vec<Waiting>,
    router: super::super::routing::Router,
    /// Servers of the gateway that are busy waiting.
    pub held: u32,
}

/// Something that is due.
#[derive(Debug, Clone, Copy, Serialize)]
enum Due {
    /// What was gathered is passed on.
    Gathered,
    /// A leg's attempt has taken too long, or its next one begins.
    Leg(Handle, u32),
}

/// A request that waits for what others answer.
#[derive(Debug, Clone, Serialize)]
struct Waiting {
    job: Job,
    /// Since when it could be passed on.
    since: Moment,
    /// How long others were at work on it in vain, because the gateway crashed.
    undone: SimDuration,
}

/// A request on its way through others.
#[derive(Debug, Clone, Serialize)]
struct Passage {
    waiting: Vec<Waiting>,
    /// When it was passed on.
    began: SimTime,
    legs: Vec<Leg>,
    done: u32,
    failed: u32,
}

/// A call of a gateway.
#[derive(Debug, Clone, Serialize)]
struct Leg {
    call: Handle,
    /// Which of the servers is asked.
    place: u32,
    /// Which were asked before.
    tried: Vec<u32>,
    state: LegState,
    /// What is due about it.
    due: Option<(SimTime, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum LegState {
    Asking,
    BackingOff,
    Over,
}

impl Passages {
    pub fn new(servers: usize) -> Self {
        Self {
            router: super::super::routing::Router::new(servers),
            ..Self::default()
        }
    }

    /// The number of the next call that the service makes by itself.
    pub fn next_call(&mut self) -> u32 {
        self.calls += 1;
        self.calls - 1
    }

    /// Whether an entry that comes at this time is the one that is waited for.
    pub fn is_armed_at(&self, time: SimTime) -> bool {
        self.armed == Some(time)
    }
}

impl Service {
    /// The gateway's own work on a request is done.
    pub(super) fn pass_on(&mut self, passing: &Arc<Passing>, job: Job, since: Moment, cx: &mut Cx<'_, '_>) {
        let waiting = Waiting {
            job,
            since,
            undone: SimDuration::ZERO,
        };
        self.passages.held += u32::from(passing.holds);
        self.gather_or_pass(passing, waiting, cx);
    }

    fn gather_or_pass(&mut self, passing: &Arc<Passing>, waiting: Waiting, cx: &mut Cx<'_, '_>) {
        let Some(batch) = passing.batch else {
            return self.pass(passing, vec![waiting], cx);
        };
        let passages = &mut self.passages;
        passages.gathering.push(waiting);
        if passages.gathering.len() >= batch.most as usize {
            passages.due.retain(|_, due| !matches!(due, Due::Gathered));
            let gathered = std::mem::take(&mut passages.gathering);
            self.pass(passing, gathered, cx);
        } else if passages.gathering.len() == 1 {
            self.remind(cx.now().saturating_add(batch.wait), Due::Gathered, cx);
        }
    }

    /// Passes on what waits, together.
    fn pass(&mut self, passing: &Arc<Passing>, mut waiting: Vec<Waiting>, cx: &mut Cx<'_, '_>) {
        let all = waiting.len();
        waiting.retain(|one| cx.shared.attempts.get(one.job.attempt).is_some());
        (waiting.len()..all).for_each(|_| self.release(cx));
        let Some(first) = waiting.first() else { return };
        let Some((attempt, call)) = cx.shared.journey(first.job.attempt) else {
            return;
        };
        let (about, key) = (call.about(attempt), call.key);
        let (client, idempotent) = (call.asker(), call.idempotent && waiting.len() == 1);
        let (identity, address) = (call.known_as(), call.asked_at());
        let hops = call.passed().map_or(0, |passed| passed.hops) + 1;
        let (deadline, cancels) = self.terms_of(&waiting, passing, cx);
        let request = gathered(
            waiting
                .iter()
                .filter_map(|one| Some(&cx.shared.journey(one.job.attempt)?.1.request)),
        );
        let mut of = Vec::new();
        for one in &waiting {
            let Some(attempt) = cx.shared.attempts.get(one.job.attempt) else {
                continue;
            };
            match cx.shared.calls.get(attempt.call).and_then(Call::passed) {
                Some(passed) => of.extend_from_slice(&passed.of),
                None => of.push(attempt.call),
            }
        }
        let now = cx.now();
        let handle = self.passages.all.insert(Passage {
            waiting,
            began: now,
            legs: Vec::with_capacity(passing.fan_out as usize),
            done: 0,
            failed: 0,
        });
        let mut chosen = Vec::new();
        for leg in 0..passing.fan_out {
            // The first leg's first attempt is as if it had come directly; the others are others.
            let address_here = match leg {
                0 => about,
                _ => about
                    .rotate_left(5)
                    .wrapping_add(u64::from(leg).wrapping_mul(0x9e37_79b9_7f4a_7c15)),
            };
            let mut stream = key.stream(purpose::ROUTING, address_here ^ self.endpoint.key.bits());
            let place = self
                .passages
                .router
                .choose(passing.routing, client.into(), &chosen, now, &mut stream);
            chosen.push(place);
            for call in &of {
                if let Some(call) = cx.shared.calls.get_mut(*call) {
                    call.paths += 1;
                }
            }
            let passed = Passed {
                of: of.clone(),
                identity,
                client,
                address,
                hops,
                deadline,
                cancels,
            };
            let number = self.passages.next_call();
            let call = cx.shared.calls.insert(Call {
                client: self.endpoint.id,
                key,
                idempotent,
                activation: handle.to_word() as u32,
                generation: (handle.to_word() >> 32) as u32,
                open: true,
                failed: false,
                counts: false,
                paths: 0,
                executed: 0,
                tries: 0,
                spec: leg,
                address: address_here,
                identity: call_identity(self.endpoint.id, number),
                server: passing.to[place as usize],
                began: now,
                backoff: SimDuration::ZERO,
                request: request.clone(),
                terms: Some(Box::new(Terms {
                    passed: Some(passed),
                    ..Terms::default()
                })),
            });
            if let Some(passage) = self.passages.all.get_mut(handle) {
                passage.legs.push(Leg {
                    call,
                    place,
                    tried: Vec::new(),
                    state: LegState::Asking,
                    due: None,
                });
            }
        }
        for leg in 0..passing.fan_out {
            self.launch(passing, handle, leg, cx);
        }
    }

    /// The deadline of what is passed on together, which is the latest of all of them, and whether its server may be told to stop.
    fn terms_of(&self, waiting: &[Waiting], passing: &Passing, cx: &Cx<'_, '_>) -> (SimTime, bool) {
        let calls = waiting
            .iter()
            .filter_map(|one| Some(cx.shared.journey(one.job.attempt)?.1));
        let (mut deadline, mut cancels) = (SimTime::ZERO, passing.policy.cancels());
        for call in calls {
            deadline = deadline.max(call.deadline().unwrap_or(SimTime::NEVER));
            cancels |= call.cancels() && waiting.len() == 1;
        }
        (deadline, cancels)
    }

    /// The server of a leg that isn't waited for any more is told so.
    fn tell_to_stop(&mut self, call: Handle, cx: &mut Cx<'_, '_>) {
        let Some(call) = cx.shared.calls.get(call).filter(|call| call.cancels()) else {
            return;
        };
        let (identity, server, number, key) = (call.identity, call.server, call.tries, call.key);
        let address = cancel_address(attempt_address(call.address, number) ^ identity);
        let message = Message::cancel(server, false, identity, number);
        cx.record(
            What::CancelSent,
            self.endpoint.id,
            [identity, server.into(), number.into()],
        );
        cx.send_about(&mut self.endpoint, message, key, address);
    }

    /// The next attempt of a leg leaves.
    fn launch(&mut self, passing: &Arc<Passing>, handle: Handle, leg: u32, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let Some(passage) = self.passages.all.get_mut(handle) else {
            return;
        };
        let this = &mut passage.legs[leg as usize];
        this.state = LegState::Asking;
        let (place, call_handle) = (this.place, this.call);
        let Some(call) = cx.shared.calls.get_mut(call_handle) else {
            return;
        };
        call.tries += 1;
        call.paths += 1;
        call.server = passing.to[place as usize];
        let (identity, server, number, key) = (call.identity, call.server, call.tries, call.key);
        if cx.wants(What::PassedOn) {
            let told = |one: &Waiting| [one.job.identity, one.since.at.as_nanos()];
            let extra: Vec<u64> = passage.waiting.iter().flat_map(told).collect();
            cx.record_with(
                What::PassedOn,
                self.endpoint.id,
                [identity, server.into(), number.into()],
                &extra,
            );
        }
        self.passages.router.sent(place);
        let attempt = cx.shared.attempts.insert(Attempt::new(call_handle, number, now));
        let message = Message::new(MessageKind::Request, server, 0, passing.bytes).with(attempt);
        let about = cx
            .shared
            .journey(attempt)
            .map_or(0, |(attempt, call)| call.about_request(attempt));
        cx.send_about(&mut self.endpoint, message, key, about);
        if let Some(timeout) = passing.policy.timeout {
            self.remind_of(now.saturating_add(timeout), handle, leg, cx);
        }
    }

    /// An answer has come to the gateway.
    pub(super) fn passed_back(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) {
        let came = self.moment(cx.now());
        if self.down {
            self.leave_unused(handle, cx);
        } else if self.pace() == 0.0 {
            self.passages.put_off.push((handle, came));
        } else {
            self.take_answer(handle, came, cx);
        }
    }

    fn leave_unused(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) {
        if let Some((attempt, call)) = cx.shared.journey(handle)
            && attempt.outcome == Outcome::Done
        {
            let words = [call.identity, call.server.into(), passed::UNUSED];
            cx.record(What::PassedBack, self.endpoint.id, words);
        }
        cx.drop_attempt(handle);
    }

    fn take_answer(&mut self, handle: Handle, came: Moment, cx: &mut Cx<'_, '_>) {
        let Some(passing) = self.spec.passes.clone() else {
            return;
        };
        let Some((attempt, call)) = cx.shared.journey(handle) else {
            cx.shared.attempts.free(handle);
            return;
        };
        let passage = Handle::from_word(u64::from(call.generation) << 32 | u64::from(call.activation));
        let leg = call.spec;
        let asking = |passage: &Passage| passage.legs[leg as usize].state == LegState::Asking;
        let current = call.open && call.tries == attempt.number && self.passages.all.get(passage).is_some_and(asking);
        if !current {
            return self.leave_unused(handle, cx);
        }
        let (outcome, words) = (attempt.outcome, [call.identity, u64::from(call.server), passed::USED]);
        match outcome {
            Outcome::Refused { retry_after } => {
                let words = [words[0], words[1], passed::REFUSED];
                cx.record(What::PassedBack, self.endpoint.id, words);
                cx.drop_attempt(handle);
                self.leg_failed(&passing, passage, leg, retry_after, cx);
            }
            _ => {
                let mut since = attempt.parts(came.at);
                since.add(Part::Retrying, attempt.sent - call.began);
                let times = attempt.times(came.at);
                cx.record_with(What::PassedBack, self.endpoint.id, words, &times);
                self.end_leg(passage, leg, How::Done, cx);
                cx.drop_attempt(handle);
                let Some(passage_here) = self.passages.all.get_mut(passage) else {
                    return;
                };
                passage_here.done += 1;
                if passage_here.done == passing.need {
                    self.complete(passage, Outcome::Done, Some((since, came, words[0])), cx);
                }
            }
        }
    }

    /// A leg isn't under way any more.
    fn end_leg(&mut self, handle: Handle, leg: u32, how: How, cx: &mut Cx<'_, '_>) {
        let Some(passage) = self.passages.all.get_mut(handle) else {
            return;
        };
        let this = &mut passage.legs[leg as usize];
        let (was, place, call) = (this.state, this.place, this.call);
        this.state = LegState::Over;
        if let Some(due) = this.due.take() {
            self.passages.due.remove(&due);
        }
        cx.close_call(call);
        if was == LegState::Asking {
            self.account_for(place, how, cx);
        }
    }

    /// Tells the router how a request to one of its servers ended.
    fn account_for(&mut self, place: u32, how: How, cx: &mut Cx<'_, '_>) {
        let Some(passing) = &self.spec.passes else { return };
        let now = cx.now();
        if self.passages.router.over(place, how, passing.ejects, now) {
            let until = self.passages.router.back_at(place);
            let words = [passing.to[place as usize].into(), until.as_nanos(), 0];
            cx.record(What::Ejected, self.endpoint.id, words);
        }
    }

    /// An attempt of a leg failed: another one after a wait, or the leg is over.
    fn leg_failed(
        &mut self,
        passing: &Arc<Passing>,
        handle: Handle,
        leg: u32,
        retry_after: Option<SimDuration>,
        cx: &mut Cx<'_, '_>,
    ) {
        let now = cx.now();
        let Some(passage) = self.passages.all.get_mut(handle) else {
            return;
        };
        let this = &mut passage.legs[leg as usize];
        let place = this.place;
        let others: Vec<u32> = passage.legs.iter().map(|leg| leg.place).collect();
        let this = &mut passage.legs[leg as usize];
        if let Some(due) = this.due.take() {
            self.passages.due.remove(&due);
        }
        let Some(call) = cx.shared.calls.get_mut(this.call) else {
            return;
        };
        let policy = &passing.policy;
        if policy.attempts.is_some_and(|most| call.tries >= most) {
            return self.leg_over(passing, handle, leg, retry_after, cx);
        }
        this.tried.push(place);
        let mut tried = this.tried.clone();
        tried.extend(others);
        let (key, tries) = (call.key, call.tries);
        let about = call.about(&Attempt::new(this.call, tries, now));
        let mut wait = policy
            .backoff
            .wait(tries, call.backoff, &mut key.stream(purpose::BACKOFF, about));
        call.backoff = wait;
        if policy.honours_retry_after {
            wait = wait.max(retry_after.unwrap_or(SimDuration::ZERO));
        }
        let client = call.asker();
        if call
            .deadline()
            .is_some_and(|deadline| now.saturating_add(wait) >= deadline)
        {
            // The next attempt couldn't begin in time.
            return self.leg_over(passing, handle, leg, retry_after, cx);
        }
        self.account_for(place, How::Failed, cx);
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
        if let Some(why) = verdict(tries, policy.attempts.is_none(), at_once) {
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
        self.end_leg(handle, leg, How::Failed, cx);
        let Some(passage) = self.passages.all.get_mut(handle) else {
            return;
        };
        passage.failed += 1;
        if passing.fan_out - passage.failed < passing.need {
            self.complete(handle, Outcome::Refused { retry_after }, None, cx);
        }
    }

    /// A passage is over: those who wait for it are answered.
    fn complete(&mut self, handle: Handle, outcome: Outcome, used: Option<(Parts, Moment, u64)>, cx: &mut Cx<'_, '_>) {
        let Some(passage) = self.passages.all.get(handle) else {
            return;
        };
        for leg in 0..passage.legs.len() as u32 {
            self.stop_leg(handle, leg, cx);
        }
        let Some(passage) = self.passages.all.remove(handle) else {
            return;
        };
        let ends = self.moment(cx.now());
        for one in passage.waiting {
            if let Some(attempt) = cx.shared.attempts.get_mut(one.job.attempt) {
                one.job.account(attempt, one.job.arrived, one.since);
                attempt.undone += one.undone;
                if let Some((parts, came, by)) = used {
                    let mut all = parts;
                    all.add(Part::Queueing, passage.began - one.since.at);
                    attempt.down += ends.stood - came.stood;
                    let findings = attempt.findings_mut();
                    (findings.passed, findings.passed_by) = (Some(all), by);
                }
            }
            self.leave_limits(one.job.attempt, outcome == Outcome::Done, cx);
            if outcome != Outcome::Done {
                let words = [one.job.identity, Refusal::Behind as u64, self.queue.len() as u64];
                cx.record(What::RequestRefused, self.endpoint.id, words);
            }
            self.answer(one.job.attempt, outcome, cx);
            self.release(cx);
        }
        if self.limits.is_some() {
            self.open_door(cx);
        }
    }

    /// A leg that nobody waits for any more.
    fn stop_leg(&mut self, handle: Handle, leg: u32, cx: &mut Cx<'_, '_>) {
        let Some(this) = self.passages.all.get(handle).map(|passage| &passage.legs[leg as usize]) else {
            return;
        };
        if this.state == LegState::Over {
            return;
        }
        if this.state == LegState::Asking
            && let Some(call) = cx.shared.calls.get(this.call)
        {
            let words = [call.identity, call.server.into(), passed::LEFT];
            let told = this.call;
            cx.record(What::PassedBack, self.endpoint.id, words);
            self.tell_to_stop(told, cx);
        }
        self.end_leg(handle, leg, How::Neither, cx);
    }

    /// A server of the gateway that was busy waiting is free.
    fn release(&mut self, cx: &mut Cx<'_, '_>) {
        if self.spec.passes.as_ref().is_some_and(|passing| passing.holds) {
            self.passages.held -= 1;
            self.serve_next(cx);
        }
    }

    fn remind_of(&mut self, at: SimTime, handle: Handle, leg: u32, cx: &mut Cx<'_, '_>) {
        let due = self.remind(at, Due::Leg(handle, leg), cx);
        if let Some(passage) = self.passages.all.get_mut(handle) {
            passage.legs[leg as usize].due = Some(due);
        }
    }

    /// Has something looked at at this time. One entry is enough for all that is due, and comes for the earliest.
    fn remind(&mut self, at: SimTime, what: Due, cx: &mut Cx<'_, '_>) -> (SimTime, u64) {
        let passages = &mut self.passages;
        passages.said += 1;
        let key = (at, passages.said);
        passages.due.insert(key, what);
        self.arm(cx);
        key
    }

    fn arm(&mut self, cx: &mut Cx<'_, '_>) {
        let Some((at, _)) = self.passages.due.keys().next().copied() else {
            return;
        };
        if at != SimTime::NEVER && self.passages.armed.is_none_or(|armed| armed > at) {
            self.passages.armed = Some(at);
            let at = at.max(cx.now());
            cx.schedule(&mut self.endpoint, at, ALARM, 0);
        }
    }

    /// The entry for what is due has come.
    pub(super) fn ring(&mut self, cx: &mut Cx<'_, '_>) {
        self.passages.armed = None;
        if self.down || self.pace() == 0.0 {
            return;
        }
        let Some(passing) = self.spec.passes.clone() else {
            return;
        };
        while let Some(first) = self.passages.due.first_entry()
            && first.key().0 <= cx.now()
        {
            match first.remove() {
                Due::Gathered => {
                    let gathered = std::mem::take(&mut self.passages.gathering);
                    self.pass(&passing, gathered, cx);
                }
                Due::Leg(handle, leg) => self.leg_due(&passing, handle, leg, cx),
            }
        }
        self.arm(cx);
    }

    fn leg_due(&mut self, passing: &Arc<Passing>, handle: Handle, leg: u32, cx: &mut Cx<'_, '_>) {
        let Some(passage) = self.passages.all.get_mut(handle) else {
            return;
        };
        let this = &mut passage.legs[leg as usize];
        this.due = None;
        match this.state {
            LegState::Over => {}
            LegState::BackingOff => self.launch(passing, handle, leg, cx),
            LegState::Asking => {
                let told = this.call;
                if let Some(call) = cx.shared.calls.get(told) {
                    let words = [call.identity, call.server.into(), passed::TIMED_OUT];
                    cx.record(What::PassedBack, self.endpoint.id, words);
                }
                self.tell_to_stop(told, cx);
                self.leg_failed(passing, handle, leg, None, cx);
            }
        }
    }
}

/// Several requests as one: as many tokens as all of them, as urgent as the most urgent.
fn gathered<'a>(mut requests: impl Iterator<Item = &'a Request>) -> Request {
    let first = requests.next().cloned();
    let mut all = first.unwrap_or(Request::Work {
        tokens_in: 0,
        tokens_out: 0,
        priority: 0,
        prompt: None,
    });
    for request in requests {
        if let Request::Work {
            tokens_in,
            tokens_out,
            priority,
            prompt,
        } = &mut all
        {
            let (more_in, more_out) = request.tokens();
            *tokens_in = tokens_in.saturating_add(more_in);
            *tokens_out = tokens_out.saturating_add(more_out);
            *priority = (*priority).max(request.priority());
            // Nobody's prefix is that of all.
            *prompt = None;
        }
    }
    all
}
