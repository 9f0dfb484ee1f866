//! A service that keeps answers: who asks about what somebody has asked about before is answered at once, or waits for the answer that is on
//! its way.
//!
//! Guarantees: an answer that is kept came of work that was done, here or by those to whom a gateway passes requests on; those who wait for
//! somebody else's answer share its fate; a refresh is one request that comes in as any other does, and nobody is told of its end.

use super::super::answers::{Answers, Lookup};
use super::super::job::Moment;
use super::{Service, cached};
use crate::kernel::{SimDuration, SimTime};
use crate::world::call::{Attempt, Call, Outcome, Passed, Request, Terms, call_identity};
use crate::world::population::{Cx, purpose};
use crate::world::record::What;
use crate::world::slab::Handle;
use serde::Serialize;
use std::collections::BTreeMap;

/// What a service keeps of answers, and who is finding one out.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Caching {
    answers: Answers,
    /// The questions of the attempts that find an answer out.
    leading: BTreeMap<u64, u64>,
    /// Those who wait for somebody else's answer, by question, and since when.
    waiting: BTreeMap<u64, (u64, Vec<(Handle, Moment)>)>,
}

impl Service {
    /// A request is answered from what is kept, or waits for an answer that is on its way: true then. Whoever stands still looks
    /// nothing up.
    #[inline(never)]
    pub(super) fn answers_from_cache(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) -> bool {
        let (Some(spec), true) = (self.spec.answers, self.pace() > 0.0) else {
            return false;
        };
        let Some((identity, about)) = cx
            .shared
            .journey(handle)
            .and_then(|(_, call)| Some((call.identity, about(call)?)))
        else {
            return false;
        };
        let now = cx.now();
        let Some(caching) = &mut self.caching else { return false };
        let looked = caching.answers.look(about, now);
        let found = match looked {
            Lookup::Fresh => cached::FRESH,
            Lookup::Stale { .. } => cached::STALE,
            Lookup::Miss if spec.single_flight && caching.waiting.contains_key(&about) => cached::JOINED,
            Lookup::Miss => cached::MISSED,
        };
        cx.record(What::AnswerCached, self.endpoint.id, [identity, about, found]);
        match found {
            cached::MISSED => {
                caching.leading.insert(handle.to_word(), about);
                if spec.single_flight {
                    caching.waiting.insert(about, (handle.to_word(), Vec::new()));
                }
                false
            }
            cached::JOINED => {
                let since = self.moment(now);
                let caching = self
                    .caching
                    .as_mut()
                    .and_then(|caching| caching.waiting.get_mut(&about));
                caching
                    .into_iter()
                    .for_each(|(_, waiting)| waiting.push((handle, since)));
                true
            }
            _ => {
                if looked == (Lookup::Stale { refresh: true }) {
                    self.refresh(handle, about, cx);
                }
                self.answer(handle, Outcome::Done, cx);
                true
            }
        }
    }

    /// A fresh answer is found out, by a request of the service's own that is as the one that was just answered.
    fn refresh(&mut self, asked: Handle, about: u64, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let Some((attempt, call)) = cx.shared.journey(asked) else {
            return;
        };
        let number = self.passages.next_call();
        let identity = call_identity(self.endpoint.id, number);
        let own = Call {
            client: self.endpoint.id,
            key: call.key,
            idempotent: false,
            activation: 0,
            generation: 0,
            open: false,
            failed: false,
            counts: false,
            aimed: false,
            paths: 1,
            executed: 0,
            tries: 1,
            spec: 0,
            address: call.about(attempt),
            identity,
            server: self.endpoint.id,
            began: now,
            backoff: SimDuration::ZERO,
            request: call.request.clone(),
            terms: Some(Box::new(Terms {
                passed: Some(Passed {
                    of: Vec::new(),
                    identity,
                    client: call.asker(),
                    address: call.asked_at(),
                    hops: call.passed().map_or(0, |passed| passed.hops) + 1,
                    deadline: SimTime::NEVER,
                    cancels: false,
                }),
                ..Terms::default()
            })),
        };
        let call = cx.shared.calls.insert(own);
        let attempt = cx.shared.attempts.insert(Attempt::new(call, 1, now));
        if let Some(caching) = &mut self.caching {
            caching.leading.insert(attempt.to_word(), about);
        }
        cx.record(
            What::AnswerCached,
            self.endpoint.id,
            [identity, about, cached::REFRESHING],
        );
        self.come_in(attempt, identity, None, cx);
    }

    /// An attempt is about to be answered: what it found out is kept, and those who wait for it are answered as it is. True if it was
    /// the service's own, which has nobody to be told.
    #[inline(never)]
    pub(super) fn keep_answer(&mut self, handle: Handle, outcome: Outcome, cx: &mut Cx<'_, '_>) -> bool {
        let now = cx.now();
        let Some(about) = self
            .caching
            .as_mut()
            .and_then(|caching| caching.leading.remove(&handle.to_word()))
        else {
            return false;
        };
        let (Some((attempt, call)), Some(spec), Some(caching)) =
            (cx.shared.journey(handle), self.spec.answers, &mut self.caching)
        else {
            return false;
        };
        let own = call.client == self.endpoint.id;
        let (identity, done) = (call.identity, outcome == Outcome::Done);
        if done {
            let mut stream = call.key.stream(purpose::TTL, call.about(attempt));
            caching.answers.keep(&spec, about, now, &mut stream);
        } else {
            caching.answers.failed(about);
        }
        let mut waiting = Vec::new();
        if let Some((leader, _)) = caching.waiting.get(&about)
            && *leader == handle.to_word()
        {
            waiting = caching
                .waiting
                .remove(&about)
                .map(|(_, waiting)| waiting)
                .unwrap_or_default();
        }
        if own {
            let how = if done { cached::REFRESHED } else { cached::FAILED };
            cx.record(What::AnswerCached, self.endpoint.id, [identity, about, how]);
            cx.drop_attempt(handle);
        }
        let ends = self.moment(now);
        for (handle, since) in waiting {
            let Some((attempt, call)) = cx.shared.journey_mut(handle) else {
                continue;
            };
            let stood = (ends.stood - since.stood).min(ends.at - since.at);
            attempt.started = attempt.arrived;
            attempt.down = stood;
            attempt.coordinated = (ends.at - since.at) - stood;
            let words = [call.identity, about, if done { cached::SHARED } else { cached::FAILED }];
            cx.record(What::AnswerCached, self.endpoint.id, words);
            self.answer(handle, outcome, cx);
        }
        own
    }

    /// Whether others wait for the answer that an attempt finds out.
    pub(super) fn is_awaited(&self, attempt: Handle) -> bool {
        let Some(caching) = &self.caching else { return false };
        let about = caching.leading.get(&attempt.to_word());
        let waiting = about.and_then(|about| caching.waiting.get(about));
        waiting.is_some_and(|(leader, waiting)| *leader == attempt.to_word() && !waiting.is_empty())
    }

    /// An attempt is gone without an answer; nobody waits for it.
    pub(super) fn forget_leader(&mut self, attempt: Handle) {
        let Some(caching) = &mut self.caching else { return };
        if let Some(about) = caching.leading.remove(&attempt.to_word()) {
            caching.answers.failed(about);
            if caching
                .waiting
                .get(&about)
                .is_some_and(|(leader, _)| *leader == attempt.to_word())
            {
                caching.waiting.remove(&about);
            }
        }
    }

    /// A crash has taken the answers, and those who waited for one.
    pub(super) fn lose_answers(&mut self, cx: &mut Cx<'_, '_>) {
        let Some(caching) = &mut self.caching else { return };
        for (_, waiting) in std::mem::take(&mut **caching).waiting.into_values() {
            for (handle, _) in waiting {
                let identity = cx.shared.journey(handle).map_or(0, |(_, call)| call.identity);
                cx.record(
                    What::RequestDropped,
                    self.endpoint.id,
                    [identity, super::AT_THE_DOOR, 0],
                );
                cx.drop_attempt(handle);
            }
        }
    }
}

/// What a call asks about, if it says so.
fn about(call: &Call) -> Option<u64> {
    match &call.request {
        Request::Work { prompt, .. } => prompt.as_ref()?.about,
        _ => None,
    }
}
