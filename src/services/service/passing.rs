//! What a gateway does with a request once its own work on it is done: it calls others, and answers with what they answer.
//!
//! A gateway is a client like any other: its calls ([`legs`]) have attempts, a timeout and a backoff, and what it waits for may never come.
//! It keeps one passage for each request, or for several that it has gathered to one, with a leg to each server that it asks.
//!
//! Guarantees: where the time of a passage went is known to the nanosecond and handed on with the answer; a crash loses what was
//! under way or begins it anew, as it does with work; who stands still takes answers in later, in their order.

mod interrupted;
mod legs;

use super::super::job::{Job, Moment};
use super::super::spec::Passing;
use super::{ALARM, Refusal, Service};
use crate::kernel::{SimDuration, SimTime};
use crate::world::call::{Call, Outcome, Part, Parts, Passed, Request, Terms, call_identity};
use crate::world::population::{Cx, purpose};
use crate::world::pursuit::Pursuit;
use crate::world::record::What;
use crate::world::slab::{Handle, Slab};
use legs::{Flight, Guard};
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
    guard: Guard,
    /// Servers of the gateway that are busy waiting.
    pub held: u32,
}

/// Something that is due.
#[derive(Debug, Clone, Copy, Serialize)]
enum Due {
    /// What was gathered is passed on.
    Gathered,
    /// The next round of a leg begins, or what was rejected here is dealt with.
    Leg(Handle, u32),
    /// A leg's attempt, by its number, has taken too long.
    Attempt(Handle, u32, u32),
    /// A leg's next hedge is sent.
    Hedge(Handle, u32),
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
    /// Which of the servers is asked, or was last.
    place: u32,
    /// Which were asked before in vain.
    tried: Vec<u32>,
    state: LegState,
    /// Attempts that were made one after another, those that were rejected here among them: hedges aren't.
    rounds: u32,
    /// Hedges since the last round began.
    hedges: u32,
    /// What is waited for.
    flights: Vec<Flight>,
    /// When its next round begins.
    due: Option<(SimTime, u64)>,
    /// When its next hedge is sent.
    hedge_due: Option<(SimTime, u64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum LegState {
    Asking,
    BackingOff,
    /// The gateway has rejected its attempt by itself, which is dealt with in the next causal step.
    Rejected,
    Over,
}

impl Passage {
    /// Which servers were asked for a leg in vain, and which are asked for any.
    fn asked(&self, leg: u32) -> Vec<u32> {
        let mut asked = self.legs[leg as usize].tried.clone();
        for leg in &self.legs {
            asked.push(leg.place);
            asked.extend(leg.flights.iter().map(|flight| flight.place));
        }
        asked
    }

    /// What records say of whom it is for: identities, and since when each could be passed on.
    fn told(&self) -> Vec<u64> {
        let told = |one: &Waiting| [one.job.identity, one.since.at.as_nanos()];
        self.waiting.iter().flat_map(told).collect()
    }
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
        let resilience = passing.policy.resilience.as_ref();
        let hedges = resilience.is_some_and(|patterns| patterns.hedge.is_some());
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
                aimed: false,
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
                    // Of several attempts at once each has a server of its own.
                    pursuit: hedges.then(|| Box::new(Pursuit::new(passing.to[place as usize]))),
                    ..Terms::default()
                })),
            });
            if let Some(passage) = self.passages.all.get_mut(handle) {
                passage.legs.push(Leg {
                    call,
                    place,
                    tried: Vec::new(),
                    state: LegState::Asking,
                    rounds: 0,
                    hedges: 0,
                    flights: Vec::with_capacity(1),
                    due: None,
                    hedge_due: None,
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

    /// A server of the gateway that was busy waiting is free.
    fn release(&mut self, cx: &mut Cx<'_, '_>) {
        if self.spec.passes.as_ref().is_some_and(|passing| passing.holds) {
            self.passages.held -= 1;
            self.serve_next(cx);
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
                Due::Attempt(handle, leg, number) => self.attempt_due(&passing, (handle, leg, number), cx),
                Due::Hedge(handle, leg) => self.hedge(&passing, handle, leg, cx),
            }
        }
        self.arm(cx);
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
