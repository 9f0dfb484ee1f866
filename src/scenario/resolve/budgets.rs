//! `budgets`: who spends from them, and what is done when they are spent.

use super::Resolver;
use crate::agents::budget::{GroupBudget, Request, Then};
use crate::agents::step::Peers as To;
use crate::kernel::SimDuration;
use crate::scenario::language::budgets::{Account, Grant, Spending, Spent};
use crate::scenario::language::steps::Peers;
use crate::scenario::language::{Group, Step as Written};
use crate::scenario::plan::BudgetPlan;
use crate::scenario::syntax::quantity::{Money, Positive};
use crate::scenario::syntax::{Code, Diagnostic, Named, Part, Spanned, write};
use crate::world::ledger::{Allowed, Amounts, Budget, Owner};
use std::sync::Arc;

/// A budget as resolved, and where it was written.
pub(super) struct Resolved {
    plan: BudgetPlan,
    then: Then,
}

impl Resolver<'_, '_> {
    /// The budgets by name. One that can't be resolved is left out; its problems are reported.
    pub(super) fn budgets(&mut self) -> Vec<Resolved> {
        let file = self.file;
        let known: Vec<_> = file.budgets.known().collect();
        known
            .into_iter()
            .filter_map(|(name, spending)| self.budget(name, &spending.value))
            .collect()
    }

    /// The plan of budgets, and for each group, by its name's place, what it spends from.
    pub(super) fn spenders(&self, budgets: &[Resolved]) -> Vec<Arc<[GroupBudget]>> {
        let of = |group: usize| {
            let own = (0u16..)
                .zip(budgets)
                .filter(|(_, budget)| budget.plan.groups.contains(&group));
            let own = own.map(|(number, budget)| GroupBudget {
                number,
                then: budget.then.clone(),
            });
            own.collect()
        };
        (0..self.file.agents.len()).map(of).collect()
    }

    fn budget(&mut self, name: &Spanned<String>, spending: &Spending) -> Option<Resolved> {
        let file = self.file;
        let groups: Option<Vec<usize>> = match spending.agents.get()? {
            None => Some((0..file.agents.len()).collect()),
            Some(names) if names.value.0.is_empty() => {
                self.error(
                    Code::EmptyGroup,
                    names.span,
                    "expected at least one group, found an empty list",
                );
                None
            }
            Some(names) => {
                let named = names.value.0.iter().map(|name| {
                    let name = name.get()?;
                    file.agents
                        .look_up(name, Code::UnknownGroup, "group of agents", self.out)?;
                    file.agents.position(name)
                });
                let named: Vec<_> = named.collect();
                named.into_iter().collect()
            }
        };
        let money = spending
            .money
            .each(|money: &Spanned<Positive<Money>>| self.money(*money.value, money.span));
        let allowed = Allowed {
            calls: spending.calls.get()?.as_ref().map(|calls| *calls.value),
            tokens: spending.tokens.get()?.as_ref().map(|tokens| *tokens.value),
            money: money?,
        };
        let measures_only = allowed == Allowed::default();
        let written = spending.then.get()?;
        let then = match &written.value {
            _ if measures_only => Some(Then::Nothing),
            Spent::Stop => Some(Then::Stop),
            Spent::Degrade(cheaper) => self.cheaper(cheaper, written),
            Spent::Ask {
                to,
                topic,
                bytes,
                timeout,
                grant,
            } => {
                let request = self.approval(name, to, topic, (allowed, grant.get()?), groups.as_deref());
                let bytes = self.bytes_of(bytes);
                let (to, topic) = request?;
                Some(Then::Ask(Request {
                    send: crate::agents::step::SendStep {
                        to,
                        topic,
                        bytes: bytes?,
                    },
                    timeout: timeout.get()?.map(|timeout: Positive<SimDuration>| *timeout),
                    grant: self.granted(&grant.get()?.value, grant.get()?.span)?,
                }))
            }
        };
        if measures_only && written.span != crate::scenario::syntax::Span::default() {
            let message = "this budget has no `calls`, `tokens` or `money` that could be spent";
            let problem = Diagnostic::error(Code::BadBudget, written.span, message);
            self.out
                .push(problem.help("say how much may be spent, or leave `then` out: then it only measures"));
            return None;
        }
        Some(Resolved {
            plan: BudgetPlan {
                name: name.value.clone(),
                groups: groups?,
                budget: Budget {
                    per: match spending.per.get()? {
                        Account::All => Owner::All,
                        Account::Group => Owner::Group,
                        Account::Agent => Owner::Agent,
                    },
                    allowed,
                    reserve: spending
                        .reserve
                        .get()?
                        .as_ref()
                        .map(|reserve| (reserve.tokens_in, reserve.tokens_out)),
                },
            },
            then: then?,
        })
    }

    fn granted(&mut self, grant: &Grant, span: crate::scenario::syntax::Span) -> Option<Amounts> {
        Some(Amounts {
            calls: grant.calls,
            tokens: grant.tokens,
            money: self.money(grant.money, span)?,
        })
    }

    /// Which service's calls go to which, in the end.
    fn cheaper(&mut self, cheaper: &Named<Part<Spanned<String>>>, then: &Spanned<Spent>) -> Option<Then> {
        let services = &self.file.services;
        let mut all: Vec<(usize, usize)> = Vec::new();
        let mut good = cheaper.is_whole();
        for (from, to) in cheaper.canonical() {
            let Some(to) = to.get() else {
                good = false;
                continue;
            };
            let mut place = |name: &Spanned<String>| {
                let found = services.look_up(name, Code::UnknownService, "service", self.out)?;
                let is_lock = found.get().is_some_and(|service| service.lock.given().is_some());
                if is_lock {
                    let problem =
                        Diagnostic::error(Code::BadBudget, name.span, "this service is a lock, and isn't called");
                    self.out.push(problem);
                    return None;
                }
                services.position(name)
            };
            let (a, b) = (place(from), place(to));
            let Some((a, b)) = a.zip(b) else {
                good = false;
                continue;
            };
            if a == b {
                let message = format!("calls of {} would go where they go anyway", write::quoted(&from.value));
                self.error(Code::DegradesInCircle, to.span, message);
                good = false;
            }
            all.push((a, b));
        }
        if !good {
            return None;
        }
        if all.is_empty() {
            self.error(Code::EmptyGroup, then.span, "`Degrade` names no service");
            return None;
        }
        let next = |service: usize| all.iter().find(|(from, _)| *from == service).map(|(_, to)| *to);
        let mut ends = Vec::new();
        for (from, to) in &all {
            let (mut at, mut steps) = (*to, 0);
            while let Some(further) = next(at) {
                (at, steps) = (further, steps + 1);
                if steps > all.len() {
                    let message = "calls would go from one service to the other in a circle";
                    let problem = Diagnostic::error(Code::DegradesInCircle, then.span, message);
                    self.out
                        .push(problem.help("the last service of each chain goes to none"));
                    return None;
                }
            }
            let entities = &self.addresses.services;
            ends.push((entities[*from], entities[at]));
        }
        Some(Then::Degrade(ends))
    }

    /// Who is asked for more, and by which topic.
    fn approval(
        &mut self,
        name: &Spanned<String>,
        to: &Part<Peers>,
        topic: &Part<Spanned<String>>,
        (allowed, grant): (Allowed, &Spanned<Grant>),
        spenders: Option<&[usize]>,
    ) -> Option<(To, u16)> {
        let given = &grant.value;
        let helps = [
            (allowed.calls, given.calls > 0),
            (allowed.tokens, given.tokens > 0),
            (allowed.money, given.money.0 > 0),
        ];
        if helps.iter().any(|(allowed, granted)| allowed.is_some() && !granted) {
            let message = "an answer grants nothing of an amount that can be spent: the ask would be repeated for ever";
            let problem = Diagnostic::error(Code::BadBudget, grant.span, message);
            self.out.push(
                problem.help("grant some of each of the budget's amounts, for example `grant: (money: \"1 USD\")`"),
            );
            return None;
        }
        let (to, topic) = (to.get()?, topic.get()?);
        let group = match to {
            Peers::All(group) => {
                let problem = Diagnostic::error(Code::WrongPeers, group.span, "an ask goes to one peer, not to all");
                self.out.push(problem.help("name one: `Any(...)`, or `Member(..., 0)`"));
                return None;
            }
            Peers::Sender => {
                let message = "whoever sent the last message isn't known where a budget is spent";
                let problem = Diagnostic::error(Code::WrongPeers, topic.span, message);
                self.out.push(problem.help("name a group: `to: Any(\"approver\")`"));
                return None;
            }
            Peers::Any(group) | Peers::Same(group) | Peers::Next(group) | Peers::Member(group, _) => group,
        };
        let send = self.send(
            &Part::from(to.clone()),
            &Part::from(topic.clone()),
            &Part::from(Spanned::from(crate::scenario::syntax::Bytes(0))),
            name,
        )?;
        let asked = self.file.agents.known_value(group)?;
        if asked.on.is_whole() && asked.on.get(&topic.value).is_none() {
            let message = format!("nobody there answers the topic {}", write::quoted(&topic.value));
            let problem = Diagnostic::error(Code::TopicUnread, topic.span, message);
            let help = format!(
                "give the group a handler: `on: {{{}: [Think(\"1min\"), Reply()]}}`",
                write::quoted(&topic.value)
            );
            self.out.push(problem.help(help));
            return None;
        }
        let position = self.file.agents.position(group)?;
        if spenders.is_some_and(|spenders| spenders.contains(&position)) && calls(asked) {
            let message = "who is asked for more calls services himself, from the same budget: he would ask himself";
            let problem = Diagnostic::error(Code::BadBudget, group.span, message);
            self.out.push(problem.help("say whose budget it is: `agents: [...]`"));
            return None;
        }
        Some((send.to, send.topic))
    }
}

/// Whether agents of a group call services.
fn calls(group: &Group) -> bool {
    let mut calls = false;
    group.each_step(&mut |step| calls |= matches!(step.value, Written::Call { .. }));
    calls
}

/// The plans of resolved budgets.
pub(super) fn plans(budgets: Vec<Resolved>) -> Vec<BudgetPlan> {
    budgets.into_iter().map(|budget| budget.plan).collect()
}
