//! `policies`, and what they can be used for.

use super::Resolver;
use crate::agents::policy::breaker::{BreakerSpec, Trip};
use crate::agents::policy::budget::{BudgetSpec, Feed};
use crate::agents::policy::latencies::KEPT;
use crate::agents::policy::resilience::{HedgeAfter, HedgeSpec, SharedBy};
use crate::agents::policy::throttle::ThrottleSpec;
use crate::agents::{Backoff, Policy, Resilience};
use crate::kernel::SimDuration;
use crate::scenario::language::policies::{
    Attempts, Backoff as Waiting, Breaker, Feed as Fed, Hedge, HedgeAfter as After, RetryBudget, SharedBy as Shared,
    Throttle, Trip as Trips,
};
use crate::scenario::language::{Policy as Written, Step};
use crate::scenario::syntax::{Code, Diagnostic, Spanned};
use crate::services::{Excess, RateLimit};
use std::collections::BTreeSet;

/// A client that asks more often at once isn't hedging.
const MOST_HEDGES: u32 = 100;

impl Resolver<'_, '_> {
    /// A policy.
    pub(super) fn policy(&mut self, policy: &Written) -> Option<Policy> {
        let backoff = policy.backoff.get();
        if let Some(Spanned { value, span }) = backoff
            && let Waiting::Exponential { base, cap }
            | Waiting::FullJitter { base, cap }
            | Waiting::EqualJitter { base, cap }
            | Waiting::DecorrelatedJitter { base, cap } = value
            && **cap < **base
        {
            self.error(Code::Conflicting, *span, "the `cap` is below the `base`");
        }
        let resilience = self.resilience(policy);
        Some(Policy {
            timeout: policy.timeout.get()?.map(|timeout| *timeout),
            attempts: match policy.attempts.get()?.value {
                Attempts::Unlimited => None,
                Attempts::Count(count) => Some(*count),
            },
            backoff: match backoff?.value {
                Waiting::None => Backoff::None,
                Waiting::Fixed(wait) => Backoff::Fixed(*wait),
                Waiting::Exponential { base, cap } => Backoff::Exponential { base: *base, cap: *cap },
                Waiting::FullJitter { base, cap } => Backoff::FullJitter { base: *base, cap: *cap },
                Waiting::EqualJitter { base, cap } => Backoff::EqualJitter { base: *base, cap: *cap },
                Waiting::DecorrelatedJitter { base, cap } => Backoff::DecorrelatedJitter { base: *base, cap: *cap },
            },
            honours_retry_after: policy.honours_retry_after.get()?.value,
            idempotency_key: *policy.idempotency_key.get()?,
            resilience: resilience?,
        })
    }

    /// What a policy says beyond timeouts and retries; nothing, if it says nothing.
    fn resilience(&mut self, policy: &Written) -> Option<Option<Box<Resilience>>> {
        let retry_budget = policy.retry_budget.each(|budget| self.retry_budget(budget));
        let throttle = policy.throttle.each(|throttle| self.throttle(throttle));
        let breaker = policy.breaker.each(|breaker| self.breaker(breaker));
        let hedge = policy.hedge.each(|hedge| self.hedge(policy, hedge));
        let deadline = policy.deadline.each(|deadline| self.deadline(policy, deadline));
        let all = Resilience {
            deadline: deadline?,
            cancels: policy.cancels.get()?.value,
            retry_budget: retry_budget?,
            throttle: throttle?,
            breaker: breaker?,
            hedge: hedge?,
            rate: policy.rate.get()?.as_ref().map(|pace| RateLimit {
                count: pace.rate.events(),
                period: SimDuration::from_nanos(pace.rate.nanos()),
                burst: *pace.burst,
                excess: Excess::Wait,
            }),
            in_flight: policy.in_flight.get()?.map(|most| *most),
            shared_by: match policy.shared_by.get()? {
                Shared::Agent => SharedBy::Agent,
                Shared::Group => SharedBy::Group,
            },
        };
        Some((all != Resilience::default()).then(|| Box::new(all)))
    }

    fn deadline(
        &mut self,
        policy: &Written,
        deadline: &Spanned<crate::scenario::syntax::quantity::Positive<SimDuration>>,
    ) -> Option<SimDuration> {
        let longest = *deadline.value;
        let retries = policy
            .attempts
            .get()
            .is_some_and(|attempts| !matches!(attempts.value, Attempts::Count(count) if *count == 1));
        let shortest = policy.backoff.get().map(|backoff| match backoff.value {
            Waiting::Fixed(wait) => *wait,
            // The first wait is twice the base.
            Waiting::Exponential { base, cap } => (*base + *base).min(*cap),
            Waiting::EqualJitter { base, cap } => {
                let whole = (*base + *base).min(*cap);
                SimDuration::from_nanos(whole.as_nanos() / 2)
            }
            Waiting::DecorrelatedJitter { base, .. } => *base,
            Waiting::None | Waiting::FullJitter { .. } => SimDuration::ZERO,
        });
        if let Some(shortest) = shortest.filter(|shortest| retries && *shortest >= longest) {
            let message =
                format!("the deadline of {longest} is over before the first backoff is, which is at least {shortest}");
            let problem = Diagnostic::error(Code::BadDeadline, deadline.span, message);
            self.out.push(
                problem.help("no call would make a second attempt: lengthen the deadline, or shorten the backoff"),
            );
            return None;
        }
        Some(longest)
    }

    fn retry_budget(&mut self, budget: &Spanned<RetryBudget>) -> Option<BudgetSpec> {
        let RetryBudget {
            ratio,
            most,
            fed_by,
            hedges,
        } = &budget.value;
        let millionths = ratio.value * 1e6;
        let means_something = (1.0..=1e12).contains(&millionths);
        if !means_something {
            let message = format!(
                "a `ratio` is between a millionth and a million, and this is {}",
                ratio.value
            );
            let problem = Diagnostic::error(Code::BadRatio, ratio.span, message);
            self.out.push(problem.help("0.1 allows one retry for ten calls"));
        }
        if most.value == 0 {
            let problem = Diagnostic::error(Code::BadRatio, most.span, "a bucket without room never holds a token");
            self.out.push(problem.help("without retries it is `attempts: 1`"));
        }
        (means_something && most.value > 0).then_some(BudgetSpec {
            ratio: (millionths + 0.5) as u64,
            most: most.value,
            fed_by: match fed_by {
                Fed::FirstAttempts => Feed::FirstAttempts,
                Fed::Successes => Feed::Successes,
            },
            hedges: *hedges,
        })
    }

    fn throttle(&mut self, throttle: &Spanned<Throttle>) -> Option<ThrottleSpec> {
        let Throttle { k, window } = &throttle.value;
        if !(k.value >= 1.0 && k.value.is_finite()) {
            let message = format!("`k` is at least 1, and this is {}", k.value);
            let problem = Diagnostic::error(Code::BadRatio, k.span, message);
            self.out
                .push(problem.help("with 2 the client makes two requests for each one that the server accepts"));
            return None;
        }
        Some(ThrottleSpec {
            k: k.value,
            window: **window,
        })
    }

    fn breaker(&mut self, breaker: &Spanned<Breaker>) -> Option<BreakerSpec> {
        let Breaker {
            trips,
            open,
            probes,
            closes_after,
        } = &breaker.value;
        let mut good = true;
        for (number, what) in [
            (probes, "a breaker that lets no probe through never closes again"),
            (closes_after, "a breaker closes after at least one success"),
        ] {
            if number.value == 0 {
                self.error(Code::BadBreaker, number.span, what);
                good = false;
            }
        }
        let problem = match &trips.value {
            Trips::Consecutive(0) => Some("a breaker opens after at least one failure".to_string()),
            Trips::Rate { share, .. } if !(*share > 0.0 && *share <= 1.0) => Some(format!(
                "a share of failures lies above 0 and is at most 1, and this is {share}"
            )),
            _ => None,
        };
        if let Some(message) = problem {
            self.error(Code::BadBreaker, trips.span, message);
            return None;
        }
        good.then(|| BreakerSpec {
            trips: match &trips.value {
                Trips::Consecutive(most) => Trip::Consecutive(*most),
                Trips::Rate { share, window, least } => Trip::Rate {
                    share: *share,
                    window: **window,
                    least: **least,
                },
            },
            open: **open,
            probes: probes.value,
            closes_after: closes_after.value,
        })
    }

    fn hedge(&mut self, policy: &Written, hedge: &Spanned<Hedge>) -> Option<HedgeSpec> {
        let Hedge { after, most, tied } = &hedge.value;
        let mut problems = Vec::new();
        match &after.value {
            After::Fixed(after_it) => {
                let timeout = policy
                    .timeout
                    .get()
                    .and_then(|timeout| timeout.as_ref().map(|timeout| **timeout));
                let deadline = policy.deadline.given().map(|deadline| *deadline.value);
                for (limit, what) in [(timeout, "timeout"), (deadline, "deadline")] {
                    if let Some(limit) = limit.filter(|limit| after_it >= limit) {
                        let message = format!("a hedge after {after_it} comes when the {what} of {limit} is over");
                        problems.push((after.span, message));
                    }
                }
            }
            After::Quantile { share, .. } if !(*share > 0.0 && *share < 1.0) => {
                problems.push((
                    after.span,
                    format!("a quantile lies between 0 and 1, and this is {share}"),
                ));
            }
            After::Quantile { least, .. } if **least as usize > KEPT => {
                let message = format!(
                    "no hedge is ever sent: {KEPT} latencies are kept, and {} must be known",
                    **least
                );
                problems.push((after.span, message));
            }
            After::Quantile { .. } => {}
        }
        if most.value == 0 {
            problems.push((most.span, "at least one hedge is sent".to_string()));
        }
        if most.value > MOST_HEDGES {
            let message = format!("a call gets {MOST_HEDGES} hedges at most, and these are {}", most.value);
            problems.push((most.span, message));
        }
        if *tied && most.value > 1 {
            problems.push((most.span, "tied requests are two: `most` is 1".to_string()));
        }
        let good = problems.is_empty();
        for (span, message) in problems {
            self.error(Code::BadHedge, span, message);
        }
        good.then(|| HedgeSpec {
            after: match after.value {
                After::Fixed(after) => HedgeAfter::Fixed(after),
                After::Quantile { share, least } => HedgeAfter::Quantile { share, least: *least },
            },
            most: most.value,
            tied: *tied,
        })
    }

    /// Refuses policies where they can't be used: cancellations and hedges of anything but calls, ties of calls that name one service.
    /// Once for each group, policy and kind of step.
    pub(super) fn check_policies(&mut self) {
        let file = self.file;
        for (_, group) in file.agents.known() {
            let mut problems = Vec::new();
            let mut seen: BTreeSet<(&str, bool)> = BTreeSet::new();
            group.each_step(&mut |step| {
                let Some(name) = step.value.policy() else { return };
                let Some(policy) = file.policies.known_value(name) else {
                    return;
                };
                let service = match &step.value {
                    Step::Call { service, .. } => Some(service),
                    _ => None,
                };
                if !seen.insert((&name.value, service.is_some())) {
                    return;
                }
                let hedge = policy.hedge.given();
                match service {
                    None => problems.extend(unfit(name, policy, "this isn't a call of a service")),
                    Some(service) => {
                        let one = service.get().is_some_and(|services| services.value.0.len() == 1);
                        if let Some(hedge) = hedge.filter(|hedge| hedge.value.tied && one) {
                            let problem = Diagnostic::error(
                                Code::BadHedge,
                                name.span,
                                "tied requests go to two services, and this call names one",
                            );
                            problems.push(problem.label(hedge.span, "tied here"));
                        }
                    }
                }
            });
            if let Some(name) = group.journal.given().and_then(|journal| journal.value.policy.given())
                && let Some(policy) = file.policies.known_value(name)
            {
                problems.extend(unfit(name, policy, "a journal isn't a call of a service"));
            }
            problems.into_iter().for_each(|problem| self.out.push(problem));
        }
    }
}

/// What a policy says that is only for calls of services.
fn unfit(name: &Spanned<String>, policy: &Written, what: &str) -> Option<Diagnostic> {
    if let Some(hedge) = policy.hedge.given() {
        let problem = Diagnostic::error(Code::NotForThis, name.span, format!("{what}, and can't be hedged"));
        return Some(problem.label(hedge.span, "hedged here").help(
            "a store under `Quorum` asks several replicas at once, and goes on with the first answers; give this step a policy of its own",
        ));
    }
    let cancels = policy.cancels.get().filter(|cancels| cancels.value)?;
    let problem = Diagnostic::error(Code::NotForThis, name.span, format!("{what}, and can't be cancelled"));
    Some(
        problem
            .label(cancels.span, "cancelled here")
            .help("give this step a policy of its own, without `cancels`"),
    )
}
