//! What a population of one's own needs to be a client: calls to services, and tasks that the standard measures see.
//!
//! The agents of the scenario language do the same with policies on top; a population that wants timeouts and retries arms
//! them itself.

use super::call::{Attempt, Call, Outcome, Parts, Request, attempt_address, call_identity};
use super::message::{Message, MessageKind};
use super::population::{Cx, Endpoint};
use super::record::What;
use crate::kernel::{SimDuration, SimTime};

/// The answer to a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    /// The number that the call was made with.
    pub number: u32,
    /// Whether it was done, or refused.
    pub done: bool,
    /// When the server asks to come again, if it refused.
    pub retry_after: Option<SimDuration>,
    /// Where the time since the call went: to the nanosecond.
    pub parts: Parts,
}

impl Cx<'_, '_> {
    /// Calls a service, with one attempt and no timeout. `number` counts the caller's calls: the service's time is drawn under
    /// it, and [`Cx::answer`] returns it.
    pub fn call(&mut self, from: &mut Endpoint, server: u32, number: u32, bytes: u32) {
        let (now, identity) = (self.now(), call_identity(from.id, number));
        let request = Request::Work {
            tokens_in: 0,
            tokens_out: 0,
            priority: 0,
            prompt: None,
        };
        self.record(What::CallStarted, from.id, [identity, server as u64, 0]);
        let call = self.shared.calls.insert(Call {
            client: from.id,
            key: from.key,
            idempotent: false,
            activation: 0,
            generation: 0,
            open: true,
            failed: false,
            counts: false,
            aimed: false,
            paths: 1,
            executed: 0,
            tries: 1,
            spec: 0,
            address: number as u64,
            identity,
            server,
            began: now,
            backoff: SimDuration::ZERO,
            request,
            terms: None,
        });
        self.record_with(
            What::AttemptSent,
            from.id,
            [identity, server as u64, 1],
            &[now.as_nanos()],
        );
        let attempt = self.shared.attempts.insert(Attempt::new(call, 1, now));
        let message = Message::new(MessageKind::Request, server, 0, bytes).with(attempt);
        let (key, address) = (from.key, attempt_address(number as u64, 1));
        self.send_about(from, message, key, address);
    }

    /// The answer that a message brings, if it is one that a call of [`Cx::call`] still waits for.
    pub fn answer(&mut self, message: &Message) -> Option<Answer> {
        if message.kind != MessageKind::Response {
            return None;
        }
        let attempt = self.shared.attempts.remove(message.handle)?;
        let call = self.shared.calls.get(attempt.call)?;
        let (words, client, began, open) = (call.words(&attempt), call.client, call.began, call.open);
        if !open {
            self.record(What::AnswerUnused, client, words);
            self.leave_call(attempt.call);
            return None;
        }
        let now = self.now();
        let parts = attempt.parts(now);
        let (done, retry_after) = match attempt.outcome {
            Outcome::Refused { retry_after } => {
                self.record(What::AttemptRefused, client, words);
                (false, retry_after)
            }
            Outcome::Fenced => {
                self.record(What::AttemptRefused, client, words);
                (false, None)
            }
            Outcome::Done | Outcome::Moved | Outcome::Pending => {
                self.record_with(What::AttemptAnswered, client, words, &attempt.times(now));
                (true, None)
            }
        };
        if let Some(call) = self.shared.calls.get_mut(attempt.call) {
            call.failed = !done;
        }
        self.leave_call(attempt.call);
        self.close_call(attempt.call);
        let ended = [words[0], words[1], u64::from(done)];
        self.record_with(What::CallEnded, client, ended, &[began.as_nanos(), 1]);
        Some(Answer {
            number: words[0] as u32,
            done,
            retry_after,
            parts,
        })
    }

    /// An agent begins a task: its program's run number `run`.
    pub fn begin_task(&mut self, agent: &Endpoint, member: u32, run: u32) {
        self.record(What::TaskStarted, agent.id, [call_identity(member, run), 0, 0]);
        self.task_began();
    }

    /// The task is done: it began at `began`, and `parts` say where its time went.
    ///
    /// # Panics
    /// Panics if the parts don't add up to the task's time.
    pub fn end_task(&mut self, agent: &Endpoint, member: u32, run: u32, began: SimTime, parts: &Parts) {
        assert_eq!(
            parts.total(),
            self.now() - began,
            "the parts of a task add up to its time"
        );
        let mut extra = [began.as_nanos(); 8];
        extra[1..].copy_from_slice(&parts.0);
        self.record_with(What::TaskEnded, agent.id, [call_identity(member, run), 0, 0], &extra);
        self.task_over();
    }
}
