//! `services`.

use super::Resolver;
use crate::random::{Law, Order as RowsIn};
use crate::scenario::language::Service;
use crate::scenario::language::services::{
    Abandoned, Discipline, Lock, RowOrder, Servers, ServiceTime as Time, Tokens as Counted,
};
use crate::scenario::plan::ServicePlan;
use crate::scenario::syntax::quantity::Money;
use crate::scenario::syntax::{Bytes, Code, Diagnostic, Part, Span, Spanned};
use crate::services::{
    Abandoned as OfNobody, Budget, Discipline as Order, LockSpec, RateLimit, ServiceSpec, ServiceTime, Tokens,
};
use std::sync::Arc;

impl Resolver<'_, '_> {
    /// The services by name. One that can't be resolved is left out; its problems are reported.
    pub(super) fn services(&mut self) -> Vec<ServicePlan> {
        let file = self.file;
        let mut plans = Vec::new();
        for (name, service) in file.services.known() {
            let (site, spec) = (self.site_of(&service.at), self.service(service));
            if let (Some(site), Some(spec)) = (site, spec) {
                let spec = Arc::new(spec);
                self.served.insert(name.value.clone(), Arc::clone(&spec));
                plans.push(ServicePlan {
                    name: name.value.clone(),
                    site,
                    spec,
                });
            }
        }
        plans
    }

    fn service(&mut self, service: &Service) -> Option<ServiceSpec> {
        let time = service.time.get().and_then(|time| match time {
            Time::Law(law) => self.time(law).map(ServiceTime::Law),
            Time::Tokens {
                first,
                each_in,
                each_out,
            } => {
                let laws = (self.time_of(first), self.time_of(each_in), self.time_of(each_out));
                self.tokens_time(laws)
            }
        });
        let tokens = service.tokens.each(|tokens| self.tokens(tokens));
        let limit = service.limit.each(|limit| {
            Some(RateLimit {
                count: limit.rate.events(),
                period: crate::kernel::SimDuration::from_nanos(limit.rate.nanos()),
                burst: *limit.burst,
                excess: Self::beyond(&limit.excess),
            })
        });
        let batching = service.batching.each(|batching| self.batching(service, batching));
        let (limits, overload) = (self.limits(service), self.overload(service));
        let budget = service.budget.each(|budget| {
            let money = budget.money.as_ref();
            Some(Budget {
                calls: budget.calls.map(|calls| *calls),
                tokens: budget.tokens.map(|tokens| *tokens),
                money: match money {
                    Some(limit) => Some(self.money(*limit.value, limit.span)?),
                    None => None,
                },
            })
        });
        let prices = service.price.each(|price| {
            let call = price.call.get().and_then(|call| self.money(call.value, call.span));
            let tokens = (self.per_token(&price.million_in), self.per_token(&price.million_out));
            Some((call?, tokens.0?, tokens.1?))
        });
        let lock = service.lock.each(|lock| self.lock(service, lock));
        let answer_bytes = self.bytes_of(&service.answer);
        let (price_per_call, price_per_token_in, price_per_token_out) = prices?.unwrap_or((0, 0, 0));
        Some(ServiceSpec {
            servers: match service.servers.get()? {
                Servers::Unlimited => None,
                Servers::Count(count) => Some(**count),
            },
            shares: self.shares(&service.discipline)?,
            most_wait: service.most_wait.get()?.as_ref().map(|wait| *wait.value),
            answers: self.answers(&service.cache)?,
            // Resolved once all services have their numbers.
            passes: None,
            discipline: match service.discipline.get()?.value {
                Discipline::Fifo => Order::Fifo,
                Discipline::Lifo => Order::Lifo,
                Discipline::Priority => Order::Priority,
                Discipline::ShortestFirst => Order::ShortestFirst,
                Discipline::Sharing => Order::Sharing,
                Discipline::Fair { .. } => Order::Fair,
            },
            queue: service.queue.get()?.as_ref().map(|queue| queue.value),
            time: time?,
            tokens: tokens?,
            limit: limit?,
            limits: limits?,
            overload: overload?,
            batching: batching?,
            budget: budget?,
            price_per_call,
            price_per_token_in,
            price_per_token_out,
            answer_bytes: answer_bytes?,
            lock: lock?,
            abandoned: match service.abandoned.get()?.value {
                Abandoned::Serve => OfNobody::Serve,
                Abandoned::Discard => OfNobody::Discard,
                Abandoned::Interrupt => OfNobody::Interrupt,
            },
        })
    }

    /// How a lock service grants its lock.
    fn lock(&mut self, service: &Service, lock: &Spanned<Lock>) -> Option<LockSpec> {
        let works = !matches!(service.servers.get(), Some(Servers::Unlimited))
            || service.queue.given().is_some()
            || !matches!(
                service.discipline.get().map(|order| &order.value),
                Some(Discipline::Fifo)
            )
            || service.tokens.given().is_some()
            || service.limit.given().is_some()
            || service.limits.get().is_some_and(|limits| !limits.is_empty())
            || service.overload.given().is_some()
            || service.batching.given().is_some()
            || service.budget.given().is_some()
            || !matches!(
                service.abandoned.get().map(|abandoned| &abandoned.value),
                Some(Abandoned::Serve)
            )
            || service.price.given().is_some()
            || service.most_wait.given().is_some()
            || service.cache.given().is_some()
            || service.forwards.given().is_some();
        if works {
            let message = "a lock service grants its lock, and does no work: nothing can be said of servers, queues, tokens, limits or prices";
            self.error(Code::BadLock, lock.span, message);
            return None;
        }
        let (lease, renew) = (lock.value.lease.get()?, lock.value.renew.get()?);
        if let Some(renew) = renew.as_ref().filter(|renew| *renew.value >= *lease.value) {
            let message = format!(
                "a lease of {} is over before it is renewed, after {}",
                *lease.value, *renew.value
            );
            let problem = Diagnostic::error(Code::BadLock, renew.span, message);
            self.out
                .push(problem.help("a third of the lease leaves time for a renewal that is lost"));
            return None;
        }
        Some(LockSpec {
            lease: *lease.value,
            renew: renew.as_ref().map(|renew| *renew.value),
            fencing: *lock.value.fencing.get()?,
        })
    }

    fn tokens_time(&mut self, laws: (Option<Law>, Option<Law>, Option<Law>)) -> Option<ServiceTime> {
        Some(ServiceTime::Tokens {
            first: laws.0?,
            each_in: laws.1?,
            each_out: laws.2?,
        })
    }

    fn tokens(&mut self, tokens: &Counted) -> Option<Tokens> {
        match tokens {
            Counted::Laws { tokens_in, tokens_out } => {
                let laws = (
                    self.amount_of(tokens_in, "a number of tokens"),
                    self.amount_of(tokens_out, "a number of tokens"),
                );
                Some(Tokens::Laws {
                    tokens_in: laws.0?,
                    tokens_out: laws.1?,
                })
            }
            Counted::Data {
                data,
                tokens_in,
                tokens_out,
                order,
            } => {
                let (data, tokens_in, tokens_out) = (data.get()?, tokens_in.get()?, tokens_out.get()?);
                let mut columns = vec![tokens_out];
                columns.extend(tokens_in.iter().filter(|column| column.value != tokens_out.value));
                let rows = self.data.rows(data, &columns, self.out)?;
                for column in rows.columns() {
                    if column.least() < 0.0 || column.greatest() > f64::from(u32::MAX) {
                        let message = format!("the column \"{}\" holds numbers that count no tokens", column.name());
                        self.error(Code::BadData, data.span, message);
                        return None;
                    }
                }
                Some(Tokens::Rows {
                    order: match order.get()? {
                        RowOrder::Random => RowsIn::Random,
                        RowOrder::Replay => RowsIn::Replay,
                    },
                    tokens_in: tokens_in.as_ref().map(|_| columns.len() - 1),
                    tokens_out: 0,
                    rows,
                })
            }
        }
    }

    /// The price of one token in nano-dollars, of the price of a million.
    fn per_token(&mut self, million: &Part<Spanned<Money>>) -> Option<u64> {
        let million = million.get()?;
        if million.0 % 1_000_000 != 0 {
            let message =
                "a token would cost a part of a billionth of a dollar; a million cost a multiple of 0.001 USD";
            self.error(Code::TooFine, million.span, message);
            return None;
        }
        Some(self.money(million.value, million.span)? / 1_000_000)
    }

    /// An amount in nano-dollars.
    pub(super) fn money(&mut self, money: Money, span: Span) -> Option<u64> {
        let fits = u64::try_from(money.0).ok();
        if fits.is_none() {
            let message = "this is more money than can be counted: at most 18,446,744,073 USD";
            self.error(Code::QuantityRange, span, message);
        }
        fits
    }

    /// A size that messages can have.
    pub(super) fn bytes(&mut self, bytes: &Spanned<Bytes>) -> Option<u32> {
        let fits = u32::try_from(bytes.0).ok();
        if fits.is_none() {
            self.error(Code::QuantityRange, bytes.span, "a message has less than 4 GiB");
        }
        fits
    }

    /// A size that messages can have, if it is known.
    pub(super) fn bytes_of(&mut self, bytes: &Part<Spanned<Bytes>>) -> Option<u32> {
        self.bytes(bytes.get()?)
    }
}
