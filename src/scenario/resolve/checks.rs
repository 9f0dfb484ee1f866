//! Checks of what several parts of a scenario mean together.

use super::Resolver;
use crate::agents::step::Step;
use crate::scenario::language::policies::{Attempts, Backoff};
use crate::scenario::language::services::Excess;
use crate::scenario::language::steps::Peers;
use crate::scenario::language::{Group, Service, Step as Written};
use crate::scenario::syntax::{Code, Diagnostic, Part, Spanned, suggest, write};
use std::collections::BTreeSet;

/// Whether a pass through these steps may take time, or leave the program. Where it can't, a loop around them hangs.
///
/// A call counts as waiting: whether it takes time depends on network and service; a run in which it takes none is stopped
/// with its place.
pub(super) fn may_leave_or_wait(steps: &[Step]) -> bool {
    steps.iter().any(|step| match step {
        Step::Think(law) | Step::Sleep(law) => law.support().1 > 0.0,
        // A session that is over takes no time.
        Step::Edit(_) => false,
        Step::Call(_)
        | Step::Operate(_)
        | Step::WithLock { .. }
        | Step::Ask { .. }
        | Step::Wait { .. }
        | Step::Stop => true,
        Step::Send(_) | Step::Reply { .. } => false,
        Step::Repeat { times, steps } => {
            times.as_ref().is_none_or(|times| times.support().1 >= 0.5) && may_leave_or_wait(steps)
        }
        Step::Parallel(branches) => branches.iter().any(|branch| may_leave_or_wait(branch)),
        Step::Choose(options) => options
            .iter()
            .any(|(weight, steps)| *weight > 0.0 && may_leave_or_wait(steps)),
        Step::EachRow(each) => each.dispatch.cases.iter().any(|(_, steps)| may_leave_or_wait(steps)),
        Step::Match(dispatch) => dispatch.cases.iter().any(|(_, steps)| may_leave_or_wait(steps)),
        // The read before it is a step of its own.
        Step::When { steps, otherwise, .. } => may_leave_or_wait(steps) || may_leave_or_wait(otherwise),
        Step::Speculate { basis, guess, .. } => may_leave_or_wait(basis) || may_leave_or_wait(guess),
        Step::Task { steps, .. } => may_leave_or_wait(steps),
    })
}

/// With how many names a misspelt one is compared at most.
const COMPARED: usize = 5000;

/// What a group takes in.
struct Receives<'s> {
    handled: BTreeSet<&'s str>,
    awaited: BTreeSet<&'s str>,
    /// Whether it waits for any topic, or may do so in a step that couldn't be read.
    any: bool,
    /// Whether all handlers are known.
    handlers_known: bool,
}

impl<'s> Receives<'s> {
    fn of(group: &'s Part<Group>) -> Self {
        let mut this = Self {
            handled: BTreeSet::new(),
            awaited: BTreeSet::new(),
            any: false,
            handlers_known: false,
        };
        let Some(group) = group.get() else {
            this.any = true;
            return this;
        };
        let all_read = group.each_step(&mut |step| {
            if let Written::Wait { topic, .. } = &step.value {
                match topic.given() {
                    Some(topic) => {
                        this.awaited.insert(topic.value.as_str());
                    }
                    None => this.any = true,
                }
            }
        });
        this.any |= !all_read;
        this.handled = group.on.names().collect();
        this.handlers_known = group.on.is_whole();
        this
    }

    /// What somebody takes in, whoever it is.
    fn anybody(all: &[Self], known: bool) -> Self {
        Self {
            handled: all.iter().flat_map(|one| &one.handled).copied().collect(),
            awaited: all.iter().flat_map(|one| &one.awaited).copied().collect(),
            any: all.iter().any(|one| one.any),
            handlers_known: known && all.iter().all(|one| one.handlers_known),
        }
    }

    fn takes(&self, topic: &str) -> bool {
        self.any || self.awaited.contains(topic) || self.handles(topic)
    }

    fn handles(&self, topic: &str) -> bool {
        !self.handlers_known || self.handled.contains(topic)
    }
}

impl Resolver<'_, '_> {
    /// Warns of topics that nobody takes in, and refuses asks that nobody can answer.
    pub(super) fn check_topics(&mut self) {
        let file = self.file;
        let receives: Vec<Receives<'_>> = file.agents.canonical().map(|(_, group)| Receives::of(group)).collect();
        let anybody = Receives::anybody(&receives, file.agents.is_whole());
        for (_, group) in file.agents.known() {
            group.each_step(&mut |step| {
                let (to, topic, asks) = match &step.value {
                    Written::Send { to, topic, .. } => (to, topic, None),
                    Written::Ask { to, topic, timeout, .. } => match timeout.get() {
                        Some(timeout) => (to, topic, Some(timeout.is_some())),
                        None => return,
                    },
                    _ => return,
                };
                let (Some(to), Some(topic)) = (to.get(), topic.get()) else {
                    return;
                };
                let receiver = match to {
                    Peers::Sender => &anybody,
                    Peers::Any(group)
                    | Peers::All(group)
                    | Peers::Same(group)
                    | Peers::Next(group)
                    | Peers::Member(group, _) => match file.agents.position(group) {
                        Some(at) => &receives[at],
                        None => return,
                    },
                };
                let (taken, answered) = (receiver.takes(topic), receiver.handles(topic));
                let problem = match asks {
                    None if !taken => {
                        let message = format!("nobody there handles or waits for the topic {}", write::quoted(topic));
                        Diagnostic::warning(Code::TopicUnread, topic.span, message)
                    }
                    Some(timeout) if !answered => {
                        let message = format!("nobody there answers the topic {}", write::quoted(topic));
                        match timeout {
                            true => Diagnostic::warning(Code::TopicUnread, topic.span, message),
                            false => {
                                Diagnostic::error(Code::TopicUnread, topic.span, message + ": the ask waits for ever")
                            }
                        }
                    }
                    _ => return,
                };
                let known = receiver.handled.iter().chain(&receiver.awaited).copied();
                let problem = match suggest::nearest(topic, known.take(COMPARED)) {
                    Some(near) => {
                        let near = write::quoted(near);
                        problem.replace(format!("did you mean {near}?"), topic.span, near.clone())
                    }
                    None => problem,
                };
                self.out.push(problem);
            });
        }
    }

    /// Warns of calls that wait for ever, and of retries that flood. Once for each group, service and policy.
    pub(super) fn check_calls(&mut self) {
        let file = self.file;
        for (_, group) in file.agents.known() {
            let mut seen: BTreeSet<(&str, Option<&str>)> = BTreeSet::new();
            group.each_step(&mut |step| {
                let (services, policy): (Vec<&Spanned<String>>, _) = match &step.value {
                    Written::Call { service, policy, .. } => {
                        let named = service.get().map_or(&[][..], |services| services.value.0.as_slice());
                        (named.iter().filter_map(|service| service.get()).collect(), policy)
                    }
                    Written::WithLock { lock, policy, .. } => (lock.get().into_iter().collect(), policy),
                    _ => return,
                };
                let Some(policy) = policy.get() else { return };
                let policy = policy.as_ref();
                for service in services {
                    if !seen.insert((&service.value, policy.map(|policy| policy.value.as_str()))) {
                        continue;
                    }
                    if let Some(called) = file.services.known_value(service) {
                        self.check_timeout(group, called, service, policy);
                        self.check_retries(called, service, policy);
                    }
                }
            });
        }
        for (_, gateway) in file.services.known() {
            let Some(passes) = gateway.forwards.given() else {
                continue;
            };
            let to = passes.value.to.get().into_iter().flat_map(|to| &to.value.0);
            for service in to.filter_map(Part::get) {
                if let Some(called) = file.services.known_value(service) {
                    self.check_retries(called, service, passes.value.policy.given());
                }
            }
        }
    }

    fn check_retries(&mut self, called: &Service, service: &Spanned<String>, policy: Option<&Spanned<String>>) {
        let Some(written) = policy.and_then(|policy| self.file.policies.known_value(policy)) else {
            return;
        };
        let Some(attempts) = written.attempts.get() else {
            return;
        };
        let unlimited = matches!(attempts.value, Attempts::Unlimited);
        let at_once = written
            .backoff
            .get()
            .is_some_and(|backoff| matches!(backoff.value, Backoff::None));
        let limit = called.limit.given().map(|limit| &limit.excess);
        let queue = called.queue.given();
        // What isn't known may be what keeps the retries apart.
        let waits_anyway = written.honours_retry_after.get().is_none_or(|honours| honours.value)
            && queue.is_none()
            && matches!(limit, Some(Excess::Refuse { retry_after: true }));
        let several = called.limits.get().is_some_and(|limits| !limits.is_empty())
            && matches!(
                called.excess.get().map(|excess| &excess.value),
                Some(Excess::Refuse { .. })
            );
        let overloaded = called.overload.given().is_some();
        let refuses = queue.is_some() || several || overloaded || matches!(limit, Some(Excess::Refuse { .. }));
        if unlimited && at_once && refuses && !waits_anyway {
            let message = format!(
                "attempts without end and without a pause, at {}, which refuses what is too much",
                write::quoted(service)
            );
            let problem = Diagnostic::warning(Code::RetryStorm, attempts.span, message);
            self.out.push(problem.label(service.span, "called here"));
        }
        if unlimited && called.budget.given().is_some() {
            let message = format!(
                "attempts without end at {}, which refuses everything once its budget is spent",
                write::quoted(service)
            );
            let problem = Diagnostic::warning(Code::RetryStorm, attempts.span, message);
            self.out.push(problem.label(service.span, "called here"));
        }
    }
}
