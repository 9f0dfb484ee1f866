//! A service at work: the door (limit, budget, bound of the queue), the queue, the servers.

mod abandoned;
mod caching;
mod crashing;
mod door;
mod inference;
mod logs;
mod pace;
mod passing;
mod telling;

pub use abandoned::Found;
pub use telling::{Refusal, cached, passed};

use super::books::Books;
use super::fair::Fair;
use super::job::{Job, Moment};
use super::limit::Bucket;
use super::limits::Levels;
use super::line::{Discipline, Line, rank_of_priority, rank_of_size};
use super::sharing::Sharing;
use super::spec::{Excess, ServiceSpec, ShareOf};
use crate::kernel::{Entry, Liveness, SimDuration, SimTime, Ticket, Words};
use crate::state::journal::Streams;
use crate::world::call::{Attempt, Call, Outcome, Request};
use crate::world::message::{Message, MessageKind};
use crate::world::population::{Cx, Disturbance, Endpoint, Population, kind, purpose};
use crate::world::record::What;
use crate::world::slab::{Handle, Slab};
use inference::Inference;
use pace::due_at;
use passing::Passages;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

/// Work on a request ends. Body: the job's handle.
const SERVED: u16 = kind::OWN;
/// A request that waited at the limit may come in. Body: its place in the line at the door.
const ADMITTED: u16 = kind::OWN + 1;
/// The first at the door of several limits may come in. Body: the job's handle.
const DOOR: u16 = kind::OWN + 2;
/// An iteration of an inference endpoint ends. Body: its number.
const ITERATED: u16 = kind::OWN + 3;

/// Something is due about what a gateway has passed on.
const ALARM: u16 = kind::OWN + 4;

/// Where a request was that a crash dropped; the number in records.
const AT_THE_DOOR: u64 = 0;
const WAITING: u64 = 1;
const IN_WORK: u64 = 2;
const PASSED_ON: u64 = 3;

/// The memory of a service that recognises calls by their identity.
#[derive(Debug, Clone, Serialize)]
enum Known {
    /// Being worked on, or waiting to be, as this job; these attempts, which came then, wait for the same answer.
    InWork(Handle, Vec<(Handle, Moment)>),
    /// Done at this time.
    Done,
}

/// One service, at one site.
#[derive(Debug, Clone, Serialize)]
pub struct Service {
    #[serde(skip)]
    spec: Arc<ServiceSpec>,
    endpoint: Endpoint,
    jobs: Slab<Job>,
    queue: Line,
    sharing: Option<Sharing>,
    fair: Option<Fair>,
    caching: Option<Box<caching::Caching>>,
    /// Of a gateway: what it has passed on.
    passages: Box<Passages>,
    inference: Option<Box<Inference>>,
    /// Who is done first of those who share the servers.
    first: Option<Handle>,
    door: VecDeque<Handle>,
    in_work: Vec<Handle>,
    bucket: Bucket,
    limits: Option<Box<Levels>>,
    known: BTreeMap<u64, Known>,
    cancellable: abandoned::Cancellable,
    calls: u64,
    tokens: u64,
    money: u64,
    budget_spent: bool,
    down: bool,
    /// How many pauses are on.
    pauses: u32,
    /// The speed that a slowdown leaves.
    speed: f64,
    /// When it last went down, came back or changed its speed, and how long it had been down or stood still by then.
    changed: Moment,
    books: Books,
    /// The logs of agents that keep theirs here.
    logs: Streams,
    name: String,
}

impl Service {
    /// A service that works as `spec` says.
    pub fn new(name: &str, spec: Arc<ServiceSpec>, endpoint: Endpoint) -> Self {
        Self {
            queue: Line::new(spec.discipline),
            sharing: (spec.discipline == Discipline::Sharing).then(Sharing::default),
            caching: spec.answers.map(|_| Box::default()),
            fair: (spec.discipline == Discipline::Fair).then(Fair::default),
            passages: Box::new(Passages::new(spec.passes.as_ref().map_or(0, |passes| passes.to.len()))),
            limits: spec.limits.clone().map(|limits| Box::new(Levels::new(limits))),
            inference: spec.batching.map(|batching| Box::new(Inference::new(batching))),
            first: None,
            spec,
            endpoint,
            jobs: Slab::default(),
            door: VecDeque::new(),
            in_work: Vec::new(),
            bucket: Bucket::default(),
            known: BTreeMap::new(),
            cancellable: abandoned::Cancellable::default(),
            calls: 0,
            tokens: 0,
            money: 0,
            budget_spent: false,
            down: false,
            pauses: 0,
            speed: 1.0,
            changed: Moment {
                at: SimTime::ZERO,
                stood: SimDuration::ZERO,
            },
            books: Books::default(),
            logs: Streams::new(),
            name: name.to_string(),
        }
    }

    /// A request is at the door.
    fn arrive(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let Some((attempt, call)) = cx.shared.journey_mut(handle) else {
            return;
        };
        (attempt.arrived, attempt.started, attempt.finished) = (now, now, now);
        if let Some(tokens) = &self.spec.tokens {
            let asked_at = call.asked_at();
            if let Request::Work {
                tokens_in,
                tokens_out,
                prompt,
                ..
            } = &mut call.request
                && (*tokens_in, *tokens_out) == (0, 0)
            {
                (*tokens_in, *tokens_out) = tokens.sample(&mut call.key.stream(purpose::TOKENS, asked_at), asked_at);
                if let Some(prompt) = prompt {
                    prompt.cut(tokens_out);
                    prompt.extend(tokens_in);
                }
            }
        }
        let (identity, client, number) = (call.identity, call.client, attempt.number);
        // A gateway leaves it to those to whom it passes requests on to recognise them.
        let idempotent = call.idempotent && self.spec.passes.is_none();
        let known_as = if idempotent { call.known_as() } else { identity };
        cx.record(
            What::RequestArrived,
            self.endpoint.id,
            [identity, client as u64, number as u64],
        );
        if self.down {
            cx.record(What::RequestDropped, self.endpoint.id, [identity, AT_THE_DOOR, 0]);
            cx.drop_attempt(handle);
            return;
        }
        if idempotent {
            match self.known.get(&known_as) {
                Some(Known::Done) => return self.answer(handle, Outcome::Done, cx),
                Some(Known::InWork(..)) => {
                    let arrived = self.moment(now);
                    if let Some(Known::InWork(_, waiting)) = self.known.get_mut(&known_as) {
                        waiting.push((handle, arrived));
                    }
                    return;
                }
                None => {}
            }
        }
        if self.caching.is_some() && self.answers_from_cache(handle, cx) {
            return;
        }
        self.come_in(handle, identity, idempotent.then_some(known_as), cx);
    }

    /// A request comes in, if it may.
    #[inline(always)]
    fn come_in(&mut self, handle: Handle, identity: u64, known_as: Option<u64>, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        if self.spent_budget().is_some() {
            return self.refuse(handle, identity, Refusal::Budget, None, cx);
        }
        if self.is_full() {
            return self.refuse(handle, identity, Refusal::QueueFull, None, cx);
        }
        if let Some(batching) = &self.spec.batching
            && let Some((_, call)) = cx.shared.journey(handle)
            && let (tokens_in, tokens_out) = call.request.tokens()
            && !batching.fits(tokens_in, tokens_out)
        {
            return self.refuse(handle, identity, Refusal::TooLarge, None, cx);
        }
        if let Some(overload) = &self.spec.overload
            && let Some((attempt, call)) = cx.shared.journey(handle)
            && overload.refuses(self.books.present(), call.key, call.about(attempt))
        {
            return self.refuse(handle, identity, Refusal::Overloaded, None, cx);
        }
        if self.limits.is_some() {
            return self.arrive_at_limits(handle, identity, known_as, cx);
        }
        let mut wait = SimDuration::ZERO;
        if let Some(limit) = &self.spec.limit {
            match limit.excess {
                Excess::Refuse { retry_after } => {
                    if let Err(wait) = self.bucket.take(limit, now) {
                        let wait = retry_after.then_some(wait);
                        return self.refuse(handle, identity, Refusal::RateLimit, wait, cx);
                    }
                }
                Excess::Wait => wait = self.bucket.reserve(limit, now),
            }
        }
        self.admit(handle, identity, known_as, wait, cx);
    }

    /// A request is let in, now or when the limit has a token for it.
    #[inline(always)]
    fn admit(&mut self, attempt: Handle, identity: u64, known_as: Option<u64>, wait: SimDuration, cx: &mut Cx<'_, '_>) {
        let job = self.let_in(attempt, identity, known_as, wait > SimDuration::ZERO, cx);
        if wait > SimDuration::ZERO {
            self.door.push_back(job);
            let at = cx.now() + wait;
            cx.schedule(&mut self.endpoint, at, ADMITTED, job.to_word());
        } else {
            self.enqueue(job, cx);
        }
    }

    /// A request is in the books from now on, whether it has to wait at a limit or not.
    #[inline(always)]
    fn let_in(
        &mut self,
        attempt: Handle,
        identity: u64,
        known_as: Option<u64>,
        waits: bool,
        cx: &mut Cx<'_, '_>,
    ) -> Handle {
        let now = cx.now();
        self.calls += 1;
        self.books.enter(now);
        cx.record(What::Admitted, self.endpoint.id, [identity, u64::from(waits), 0]);
        self.note_budget(cx);
        let arrived = self.moment(now);
        let (job, place) = self.jobs.vacancy();
        place.fill(Job {
            attempt,
            identity,
            arrived,
            first: arrived,
            started: arrived,
            left: SimDuration::ZERO,
            since: now,
            due: now,
            queued: SimTime::NEVER,
            ticket: Ticket { rank: 0, number: 0 },
            slot: 0,
            again: false,
        });
        if let Some(known_as) = known_as {
            self.known.insert(known_as, Known::InWork(job, Vec::new()));
        }
        self.note_cancellable(job, cx);
        job
    }

    #[inline(always)]
    fn enqueue(&mut self, job: Handle, cx: &mut Cx<'_, '_>) {
        if self.has_free_server() {
            if self.fair.is_some() {
                let tag = self.rank(job, cx);
                self.fair.iter_mut().for_each(|fair| fair.serve(tag));
            }
            if !self.discards(job, cx) {
                self.start(job, cx);
            }
        } else {
            let rank = if self.queue.has_ranks() { self.rank(job, cx) } else { 1 };
            self.queue.push(job, rank);
            if self.inference.is_some() {
                self.iterate(cx);
            }
        }
    }

    /// The rank of a request among those who wait, where ranks count.
    fn rank(&mut self, job: Handle, cx: &Cx<'_, '_>) -> u64 {
        let journey = self.jobs.get(job).and_then(|job| cx.shared.journey(job.attempt));
        match (self.spec.discipline, journey) {
            (Discipline::ShortestFirst, Some(_)) if self.inference.is_some() => {
                let attempt = self.jobs.get(job).map_or(Handle::NONE, |job| job.attempt);
                self.rank_of_tokens(attempt, cx)
            }
            (Discipline::Priority, Some((_, call))) => rank_of_priority(call.request.priority()),
            (Discipline::ShortestFirst, Some((attempt, call))) => rank_of_size(work(&self.spec, attempt, call)),
            (Discipline::Fair, Some((attempt, call))) => {
                let (shares, asker) = (&self.spec.shares, call.asker());
                let (group, _) = cx.shared.directory.locate(asker);
                let (tokens_in, tokens_out) = call.request.tokens();
                let cost = match shares.of {
                    ShareOf::Requests => 1,
                    ShareOf::Tokens => u64::from(tokens_in) + u64::from(tokens_out),
                    ShareOf::Work => work(&self.spec, attempt, call).as_nanos(),
                };
                let tenant = if shares.each_agent { asker } else { group.into() };
                let weight = shares.weight(group);
                self.fair.as_mut().map_or(1, |fair| fair.tag(tenant, cost, weight))
            }
            _ => 1,
        }
    }

    #[inline(always)]
    fn has_free_server(&self) -> bool {
        !self.down
            && self.inference.is_none()
            && self.pace() > 0.0
            && self
                .spec
                .servers
                .is_none_or(|servers| self.sharing.is_some() || self.in_work.len() + self.held() < servers as usize)
    }

    /// Servers that are busy waiting for others.
    fn held(&self) -> usize {
        self.passages.held as usize
    }

    #[inline(always)]
    fn is_full(&self) -> bool {
        self.spec.queue.is_some_and(|bound| self.is_full_at(bound))
    }

    /// Whether a queue with this bound is full.
    fn is_full_at(&self, bound: u32) -> bool {
        if self.sharing.is_some() {
            let here = self.in_work.len() + self.queue.len() + self.door.len();
            let servers = self.spec.servers;
            return servers.is_some_and(|servers| here >= bound as usize + servers as usize);
        }
        let waiting = self.queue.len() + self.door.len();
        let is_idle = self.inference.as_ref().is_some_and(|inference| !inference.is_busy());
        if is_idle && !self.down && self.pace() > 0.0 {
            return false;
        }
        !self.has_free_server() && waiting >= bound as usize
    }

    /// Which budget is spent, if one is.
    fn spent_budget(&self) -> Option<u64> {
        let budget = self.spec.budget?;
        let spent = [
            budget.calls.is_some_and(|calls| self.calls >= calls),
            budget.tokens.is_some_and(|tokens| self.tokens >= tokens),
            budget.money.is_some_and(|money| self.money >= money),
        ];
        spent.iter().position(|spent| *spent).map(|which| which as u64)
    }

    /// Says so when a budget has run out.
    #[inline(always)]
    fn note_budget(&mut self, cx: &mut Cx<'_, '_>) {
        if self.spec.budget.is_some()
            && !self.budget_spent
            && let Some(which) = self.spent_budget()
        {
            self.budget_spent = true;
            cx.record(What::BudgetSpent, self.endpoint.id, [which, 0, 0]);
        }
    }

    /// Work on a request begins.
    fn start(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) {
        self.start_here(handle, cx);
    }

    /// The same, as code of its own where it is called, for those who waited.
    #[inline(always)]
    fn start_here(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) {
        let (now, pace) = (cx.now(), self.pace());
        let begins = self.moment(now);
        let Some(job) = self.jobs.get_mut(handle) else { return };
        let Some((attempt, call)) = cx.shared.journey_mut(job.attempt) else {
            return;
        };
        let again = job.again;
        let (of, pursued) = (job.attempt, call.terms.is_some());
        let (tokens_in, tokens_out) = call.request.tokens();
        let duration = work(&self.spec, attempt, call);
        self.tokens += tokens_in as u64 + tokens_out as u64;
        self.money = self.money.saturating_add(self.spec.price(tokens_in, tokens_out));
        if !again {
            job.first = begins;
        }
        job.started = begins;
        job.left = duration;
        job.since = now;
        job.due = due_at(now, duration, pace);
        job.queued = job.due;
        job.slot = self.in_work.len() as u32;
        job.again = false;
        job.ticket = self.endpoint.origin.take();
        let (due, ticket, identity, arrived) = (job.due, job.ticket, job.identity, job.arrived.at);
        let attempt = job.attempt;
        self.in_work.push(handle);
        let words = [identity, arrived.as_nanos(), token_word(tokens_in, tokens_out)];
        let extra: &[u64] = if again { &[1] } else { &[] };
        cx.record_with(What::ServiceStarted, self.endpoint.id, words, extra);
        match &mut self.sharing {
            None => cx.schedule_in_place(ticket, due, SERVED, self.endpoint.id, handle.to_word()),
            Some(_) => self.share(Some((handle, duration)), cx),
        }
        if pursued {
            self.tell_twin(of, cx);
        }
        if cx.shared.ledger.is_some() && (self.spec.passes.is_none() || self.spec.is_priced()) {
            cx.bill(self.endpoint.id, attempt);
        }
        self.note_budget(cx);
    }

    /// Work on a request has ended.
    #[inline(always)]
    fn served(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) {
        let (now, speed) = (cx.now(), self.speed());
        self.forget_cancellable(handle, cx);
        let job = self.jobs.take_copy(handle);
        self.forget_in_work(job.slot);
        if let Some(sharing) = &mut self.sharing {
            sharing.advance(now, speed);
            sharing.remove(handle);
            self.first = None;
        }
        self.books.leave(job.arrived.at, now);
        let ends = self.moment(now);
        let mut for_log = false;
        if let Some((attempt, call)) = cx.shared.journey_mut(job.attempt) {
            for_log = matches!(call.request, Request::Journal(_));
            job.account(attempt, job.arrived, ends);
            if self.inference.is_some() {
                self.account_for_preemptions(handle, &job, job.arrived, attempt);
            }
            let (tokens_in, tokens_out) = call.request.tokens();
            let tokens = token_word(tokens_in, tokens_out);
            let words = [job.identity, job.started.at.as_nanos(), tokens];
            cx.record_with(
                What::ServiceFinished,
                self.endpoint.id,
                words,
                &[job.arrived.at.as_nanos()],
            );
            if self.spec.passes.is_none() {
                cx.executed(self.endpoint.id, job.attempt);
            }
        }
        if let Some(passing) = self.spec.passes.clone() {
            self.pass_on(&passing, job, ends, cx);
            if self.sharing.is_some() {
                self.share(None, cx);
            }
            return self.serve_next(cx);
        }
        if self.limits.is_some() {
            self.leave_limits(job.attempt, true, cx);
        }
        let known_as = self.known_as(&job, cx);
        let outcome = match for_log {
            true => self.keep_log(job.attempt, cx),
            false => Outcome::Done,
        };
        self.answer_here(job.attempt, outcome, cx);
        if let Some(known) = self.known.get_mut(&known_as)
            && let Known::InWork(_, waiting) = std::mem::replace(known, Known::Done)
        {
            for (joined, arrived) in waiting {
                if let Some(attempt) = cx.shared.attempts.get_mut(joined) {
                    job.account(attempt, arrived, ends);
                    self.account_for_preemptions(handle, &job, arrived, attempt);
                }
                self.answer(joined, Outcome::Done, cx);
            }
        }
        if self.sharing.is_some() {
            self.share(None, cx);
        }
        self.serve_next(cx);
    }

    fn serve_next(&mut self, cx: &mut Cx<'_, '_>) {
        if self.inference.is_some() {
            self.iterate(cx);
        }
        while self.has_free_server() {
            let rank = self.fair.as_ref().map_or(0, |_| self.queue.first_rank());
            let Some(next) = self.queue.pop() else { break };
            self.fair.iter_mut().for_each(|fair| fair.serve(rank));
            if self.discards(next, cx) {
                continue;
            }
            if self.spec.most_wait.is_some() && self.has_waited_too_long(next, cx) {
                self.shed(next, cx);
            } else {
                self.start_here(next, cx);
            }
        }
        // Whoever has left makes room for those who wait outside, behind those who wait here.
        if self.limits.is_some() {
            self.open_door(cx);
        }
    }

    /// Whether a request has waited for longer than the service thinks worth its while. Work that a crash undid has been begun.
    fn has_waited_too_long(&self, job: Handle, cx: &Cx<'_, '_>) -> bool {
        let job = self.jobs.get(job).filter(|job| !job.again);
        job.zip(self.spec.most_wait)
            .is_some_and(|(job, most)| cx.now() - job.arrived.at > most)
    }

    /// A request is refused whose turn has come too late.
    fn shed(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) {
        self.forget_cancellable(handle, cx);
        let Some(job) = self.jobs.remove(handle) else { return };
        self.books.leave(job.arrived.at, cx.now());
        self.leave_limits(job.attempt, false, cx);
        let known_as = self.known_as(&job, cx);
        self.refuse(job.attempt, job.identity, Refusal::WaitedTooLong, None, cx);
        if let Some(Known::InWork(_, waiting)) = self.known.remove(&known_as) {
            for (attempt, _) in waiting {
                self.answer(attempt, Outcome::Refused { retry_after: None }, cx);
            }
        }
    }

    /// The name under which a request may be known.
    #[inline(always)]
    fn known_as(&self, job: &Job, cx: &Cx<'_, '_>) -> u64 {
        if self.known.is_empty() {
            return job.identity;
        }
        let call = cx.shared.journey(job.attempt).map(|(_, call)| call);
        // Who brings no key isn't known, whoever it is for.
        let call = call.filter(|call| call.idempotent);
        call.map_or(job.identity, Call::known_as)
    }

    #[inline(always)]
    fn forget_in_work(&mut self, slot: u32) {
        self.in_work.swap_remove(slot as usize);
        if let Some(moved) = self.in_work.get(slot as usize)
            && let Some(job) = self.jobs.get_mut(*moved)
        {
            job.slot = slot;
        }
    }

    fn refuse(
        &mut self,
        handle: Handle,
        identity: u64,
        why: Refusal,
        retry_after: Option<SimDuration>,
        cx: &mut Cx<'_, '_>,
    ) {
        let waiting = (self.queue.len() + self.door.len()) as u64;
        cx.record(What::RequestRefused, self.endpoint.id, [identity, why as u64, waiting]);
        self.answer(handle, Outcome::Refused { retry_after }, cx);
    }

    fn answer(&mut self, handle: Handle, outcome: Outcome, cx: &mut Cx<'_, '_>) {
        self.answer_here(handle, outcome, cx);
    }

    /// The same, as code of its own where it is called, for what was worked on.
    #[inline(always)]
    fn answer_here(&mut self, handle: Handle, outcome: Outcome, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        if self.caching.is_some() && self.keep_answer(handle, outcome, cx) {
            return;
        }
        let Some((attempt, call)) = cx.shared.journey_mut(handle) else {
            return;
        };
        attempt.outcome = outcome;
        attempt.finished = now;
        if attempt.started == attempt.arrived && matches!(outcome, Outcome::Refused { .. }) {
            attempt.started = now;
        }
        let loaded = attempt.loaded().map_or(0, |loaded| loaded.bytes());
        let bytes = self
            .spec
            .answer_bytes
            .saturating_add(u32::try_from(loaded).unwrap_or(u32::MAX));
        let message = Message::new(MessageKind::Response, call.client, 0, bytes).with(handle);
        let (key, about) = (call.key, call.about_answer(attempt));
        cx.send_about_here(&mut self.endpoint, message, key, about);
    }
}

/// How long the work on a request takes: the same whenever it is asked for.
#[inline(always)]
fn work(spec: &ServiceSpec, attempt: &Attempt, call: &Call) -> SimDuration {
    let (tokens_in, tokens_out) = call.request.tokens();
    let address = call.about(attempt);
    let mut stream = call.key.stream(purpose::SERVICE, address);
    spec.time.sample(&mut stream, address, tokens_in, tokens_out)
}

/// Tokens in and out as one word of a record.
fn token_word(tokens_in: u32, tokens_out: u32) -> u64 {
    (tokens_in as u64) << 32 | tokens_out as u64
}

impl Population for Service {
    fn handle(&mut self, _member: u32, entry: &Entry<u64>, cx: &mut Cx<'_, '_>) {
        let handle = Handle::from_word(entry.body);
        match entry.kind {
            SERVED => self.served(handle, cx),
            ADMITTED => {
                match self.door.front() {
                    Some(first) if *first == handle => drop(self.door.pop_front()),
                    _ => self.door.retain(|other| *other != handle),
                }
                self.enqueue(handle, cx);
            }
            DOOR => self.open_door(cx),
            ALARM => self.ring(cx),
            ITERATED => self.iterated(cx),
            _ => {}
        }
    }

    fn receive(&mut self, _member: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        match message.kind {
            MessageKind::Request => self.arrive(message.handle, cx),
            MessageKind::Response => self.passed_back(message.handle, cx),
            MessageKind::Cancel => self.hear_cancellation(message, cx),
            _ => {}
        }
    }

    fn digest(&self, _member: u32, entry: &Entry<u64>, words: &mut Words) -> Liveness {
        match entry.kind {
            ITERATED => return self.digest_iteration(entry, words),
            ALARM => {
                return match self.passages.is_armed_at(entry.time) {
                    true => Liveness::Live,
                    false => Liveness::Stale,
                };
            }
            _ => {}
        }
        let Some(job) = self.jobs.get(Handle::from_word(entry.body)) else {
            return Liveness::Stale;
        };
        if entry.kind == SERVED && (job.due != entry.time || job.queued != entry.time) {
            return Liveness::Stale;
        }
        if entry.kind == DOOR && !self.is_door_meant(Handle::from_word(entry.body), entry.time) {
            return Liveness::Stale;
        }
        words.push_all([job.identity, job.arrived.at.as_nanos()]);
        Liveness::Live
    }

    fn describe(&self, _member: u32, entry: &Entry<u64>) -> String {
        let what = match entry.kind {
            SERVED => "end of work",
            ITERATED => "end of an iteration",
            ADMITTED | DOOR => "admission at the limit",
            ALARM => "time to look at what was passed on",
            _ => "start",
        };
        format!("{what} (services.{})", self.name)
    }

    fn skip(&mut self, _member: u32, entry: &Entry<u64>, cx: &mut Cx<'_, '_>) {
        if entry.kind == ITERATED {
            return self.skip_iteration(entry, cx);
        }
        if entry.kind == ALARM {
            return;
        }
        let Some(job) = self.jobs.get_mut(Handle::from_word(entry.body)) else {
            return;
        };
        if job.queued != entry.time {
            return;
        }
        job.queued = job.due;
        if job.due != SimTime::NEVER {
            cx.schedule_in_place(job.ticket, job.due, SERVED, self.endpoint.id, entry.body);
        }
    }

    fn disturb(&mut self, _member: u32, disturbance: Disturbance, cx: &mut Cx<'_, '_>) {
        match disturbance {
            Disturbance::Crash { keep_state } => self.crash(keep_state, cx),
            Disturbance::Restart => {
                self.changed = self.moment(cx.now());
                self.down = false;
                self.serve_next(cx);
                self.go_on(cx);
            }
            Disturbance::Pause => self.change_pace(|service| service.pauses += 1, cx),
            Disturbance::Resume => self.change_pace(|service| service.pauses = service.pauses.saturating_sub(1), cx),
            Disturbance::Slow(speed) => self.change_pace(|service| service.speed = speed, cx),
            Disturbance::ClockStep(_) => {}
        }
    }

    fn audit(&self, end: SimTime) -> Vec<String> {
        let all = self.queue.iter().chain(&self.door).chain(&self.in_work);
        let still = all
            .filter_map(|handle| self.jobs.get(*handle))
            .map(|job| end.since(job.arrived.at));
        self.books.audit(&self.name, end, still).err().into_iter().collect()
    }
}
