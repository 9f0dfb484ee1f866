//! The `limits` of services, and requests that can't pass them.

use super::Resolver;
use crate::agents::step::{CallStep, CallTokens};
use crate::kernel::SimDuration;
use crate::random::Law;
use crate::scenario::language::services::{Excess, Limit, Per as Whose, Refill};
use crate::scenario::language::{NumberLaw, Service};
use crate::scenario::syntax::quantity::{Positive, Rate};
use crate::scenario::syntax::{Code, Diagnostic, Part, Span, Spanned};
use crate::services::{Allows, Counts, Excess as Beyond, LimitSpec, LimitsSpec, Overload, Per, ServiceSpec, Tokens};
use std::sync::Arc;

/// What comes of a rate without a `burst` may come at once.
const MINUTE: u64 = 60_000_000_000;

/// What all limits of a rate say.
struct Flow<'l> {
    rate: &'l Part<Spanned<Positive<Rate>>>,
    burst: &'l Part<Option<Spanned<Positive<u64>>>>,
    refill: &'l Part<Spanned<Refill>>,
    per: &'l Part<Whose>,
}

impl Resolver<'_, '_> {
    /// What happens to a request beyond a limit.
    pub(super) fn beyond(excess: &Excess) -> Beyond {
        match excess {
            Excess::Refuse { retry_after } => Beyond::Refuse {
                retry_after: *retry_after,
            },
            Excess::Wait => Beyond::Wait,
        }
    }

    /// When a service refuses as overloaded.
    pub(super) fn overload(&mut self, service: &Service) -> Option<Option<Overload>> {
        service.overload.each(|overload| {
            let (probability, above) = (
                overload.value.probability.get(),
                overload.value.above.map(|above| *above),
            );
            if probability == 0.0 && above.is_none() {
                let message = "it never refuses: neither by chance nor because of what it has to do";
                let problem = Diagnostic::error(Code::BadLimit, overload.span, message);
                self.out
                    .push(problem.help("say a `probability`, or how many may be in the house: `above: 100`"));
                return None;
            }
            Some(Overload { probability, above })
        })
    }

    /// The limits of a service, if it has any.
    pub(super) fn limits(&mut self, service: &Service) -> Option<Option<Arc<LimitsSpec>>> {
        let written = service.limits.get()?;
        let excess = service.excess.get();
        if let (Some(limit), Some(first)) = (service.limit.given(), written.first()) {
            let span = first.get().map_or(Span::default(), |first| first.span);
            let problem = Diagnostic::error(Code::Conflicting, span, "a service has a `limit` or `limits`, not both");
            let help = format!(
                "put it among the `limits`: `Requests(rate: \"{}\", burst: {})`",
                *limit.rate, *limit.burst
            );
            self.out.push(problem.help(help));
            return None;
        }
        if written.is_empty() {
            if let Some(excess) = excess.filter(|excess| excess.span != Span::default()) {
                let message = "there are no `limits` that a request could be beyond";
                let problem = Diagnostic::error(Code::BadLimit, excess.span, message);
                self.out
                    .push(problem.help("the `excess` of a single `limit` stands within it"));
                return None;
            }
            return Some(None);
        }
        let all: Vec<_> = written.iter().map(|limit| self.limit(limit.get()?)).collect();
        let all: Vec<_> = all.into_iter().collect::<Option<_>>()?;
        Some(Some(Arc::new(LimitsSpec {
            all,
            excess: Self::beyond(&excess?.value),
        })))
    }

    fn limit(&mut self, limit: &Spanned<Limit>) -> Option<LimitSpec> {
        let no_estimate = Part::from(None);
        let (counts, flow, estimate) = match &limit.value {
            Limit::Requests {
                rate,
                burst,
                refill,
                per,
            } => (
                Counts::Requests,
                Flow {
                    rate,
                    burst,
                    refill,
                    per,
                },
                &no_estimate,
            ),
            Limit::TokensIn {
                rate,
                burst,
                refill,
                per,
            } => (
                Counts::TokensIn,
                Flow {
                    rate,
                    burst,
                    refill,
                    per,
                },
                &no_estimate,
            ),
            Limit::TokensOut {
                rate,
                burst,
                refill,
                estimate,
                per,
            } => (
                Counts::TokensOut,
                Flow {
                    rate,
                    burst,
                    refill,
                    per,
                },
                estimate,
            ),
            Limit::Tokens {
                rate,
                burst,
                refill,
                estimate,
                per,
            } => (
                Counts::Tokens,
                Flow {
                    rate,
                    burst,
                    refill,
                    per,
                },
                estimate,
            ),
            Limit::Concurrency { most, per } => {
                return Some(LimitSpec {
                    counts: Counts::Concurrency,
                    allows: Allows::AtATime(*most.get()?.value),
                    per: whose(per.get()?),
                    estimate: None,
                });
            }
        };
        let estimate = estimate.each(|law: &Spanned<NumberLaw>| self.amount(law, "a number of tokens"));
        let allows = self.allows(&flow);
        Some(LimitSpec {
            counts,
            allows: allows?,
            per: whose(flow.per.get()?),
            estimate: estimate?,
        })
    }

    fn allows(&mut self, flow: &Flow<'_>) -> Option<Allows> {
        let (rate, burst) = (flow.rate.get()?, flow.burst.get()?);
        let (count, period) = (rate.value.events(), rate.value.nanos());
        let in_time = |nanos: u64| u128::from(count) * u128::from(nanos);
        match &flow.refill.get()?.value {
            Refill::Continuous => {
                let in_a_minute = in_time(MINUTE) / u128::from(period);
                let without = u64::try_from(in_a_minute).unwrap_or(u64::MAX).max(1);
                Some(Allows::Bucket {
                    count,
                    period: SimDuration::from_nanos(period),
                    burst: burst.as_ref().map_or(without, |burst| *burst.value),
                })
            }
            Refill::Windows { every, phase } => {
                let (every, phase) = (every.get()?, phase.get()?);
                if let Some(burst) = burst {
                    let message = "a fixed window has no `burst`: what it allows may come at once";
                    self.error(Code::BadLimit, burst.span, message);
                    return None;
                }
                let length = every.value.as_nanos();
                let (whole, rest) = (
                    in_time(length) / u128::from(period),
                    in_time(length) % u128::from(period),
                );
                if whole == 0 || rest != 0 {
                    let message = format!(
                        "{} in windows of {} isn't a whole number for each window",
                        *rate.value, *every.value
                    );
                    let problem = Diagnostic::error(Code::BadLimit, rate.span, message);
                    self.out
                        .push(problem.help("give the rate by the window: `rate: \"60/min\"` with `every: \"1min\"`"));
                    return None;
                }
                if phase.value.as_nanos() >= length {
                    let message = format!(
                        "windows of {0} have an edge in any {0}: the `phase` of the first one is less than that, and this is {1}",
                        *every.value, phase.value
                    );
                    self.error(Code::BadLimit, phase.span, message);
                    return None;
                }
                Some(Allows::Windows {
                    count: u64::try_from(whole).ok()?,
                    period: *every.value,
                    phase: phase.value,
                })
            }
        }
    }

    /// Refuses a call whose requests can never come in, and warns of one some of whose requests can't.
    pub(super) fn check_fits(&mut self, service: &Spanned<String>, call: &CallStep) {
        let Some(spec) = self.served.get(&service.value).cloned() else {
            return;
        };
        let (tokens_in, tokens_out) = tokens_of(call, &spec);
        let max_out = call.prompt.max_out.map(f64::from);
        let answer = max_out.map_or(tokens_out, |most| tokens_out.map(|tokens| tokens.min(most)));
        let mut needs: Vec<(String, u64, [f64; 2])> = Vec::new();
        for limit in spec.limits.iter().flat_map(|limits| &limits.all) {
            let stated = [max_out.unwrap_or(0.0); 2];
            let estimate = limit.estimate.as_ref().map_or(stated, range);
            let (what, need) = match limit.counts {
                Counts::Requests | Counts::Concurrency => continue,
                Counts::TokensIn => ("tokens of a prompt", tokens_in),
                Counts::TokensOut => ("tokens that are taken for an answer", estimate),
                Counts::Tokens => ("tokens that are taken for a request", sum(tokens_in, estimate)),
            };
            needs.push((format!("the {what}"), limit.allows.most(), need));
        }
        if let Some(batching) = &spec.batching {
            let whole = batching.blocks() * u64::from(batching.block);
            let made = answer.map(|tokens| (tokens - 1.0).max(0.0));
            let held = sum(tokens_in.map(|tokens| tokens.max(1.0)), made);
            needs.push((
                "the tokens that a request holds in the cache of keys and values".into(),
                whole,
                held,
            ));
        }
        for (what, most, [least, greatest]) in needs {
            let most_as_float = most as f64;
            if least.round() > most_as_float {
                let message = format!(
                    "{what} are {} or more, and there is never room for more than {most}",
                    least.round()
                );
                self.error(Code::NeverFits, service.span, message);
            } else if greatest.is_finite() && greatest.round() > most_as_float {
                let message = format!(
                    "{what} may be up to {}, and there is never room for more than {most}: such requests are refused",
                    greatest.round()
                );
                self.warn(Code::MayNotFit, service.span, message);
            }
        }
    }
}

fn whose(per: &Whose) -> Per {
    match per {
        Whose::All => Per::All,
        Whose::Agent => Per::Agent,
        Whose::Group => Per::Group,
    }
}

fn sum(a: [f64; 2], b: [f64; 2]) -> [f64; 2] {
    [a[0] + b[0], a[1] + b[1]]
}

/// The least and the greatest number of a law; nothing is below zero.
fn range(law: &Law) -> [f64; 2] {
    let (least, greatest) = law.support();
    [least.max(0.0), greatest.max(0.0)]
}

/// The least and the greatest number of tokens of a call's prompts, and of its answers.
fn tokens_of(call: &CallStep, spec: &ServiceSpec) -> ([f64; 2], [f64; 2]) {
    let of_call = |tokens: &CallTokens| match tokens {
        CallTokens::Law(law) => range(law),
        CallTokens::OfRow { of, .. } | CallTokens::OfArrival(of) => {
            let least = of.iter().copied().min().unwrap_or(0);
            [f64::from(least), f64::from(of.iter().copied().max().unwrap_or(0))]
        }
    };
    let said = call.tokens.as_ref().map(|(a, b)| (of_call(a), of_call(b)));
    match (said, &spec.tokens) {
        (Some(said), _) if said != ([0.0; 2], [0.0; 2]) => said,
        (_, Some(Tokens::Laws { tokens_in, tokens_out })) => (range(tokens_in), range(tokens_out)),
        (
            _,
            Some(Tokens::Rows {
                rows,
                tokens_in,
                tokens_out,
                ..
            }),
        ) => {
            let of = |column: usize| {
                let column = &rows.columns()[column];
                [column.least(), column.greatest()]
            };
            (tokens_in.map_or([0.0; 2], of), of(*tokens_out))
        }
        (_, None) => ([0.0; 2], [0.0; 2]),
    }
}
