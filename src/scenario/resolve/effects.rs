//! Warnings of options that change nothing as things stand: what they are about never happens.
//!
//! Guarantees: what depends on something that couldn't be read isn't warned of.

use super::Resolver;
use super::reach::Asked;
use crate::kernel::SimTime;
use crate::scenario::language::meshes::Sides;
use crate::scenario::language::policies::{Attempts, Backoff};
use crate::scenario::language::services::{Abandoned, Discipline, Limit, Servers, ServiceTime, ShareOf, Tenants};
use crate::scenario::language::{Arrive, Fault, Mesh, Policy, Service, Step as Written, TimeLaw};
use crate::scenario::syntax::quantity::Duration;
use crate::scenario::syntax::{Code, Diagnostic, Part, Span, Spanned, write};
use std::collections::BTreeSet;

impl<'s> Resolver<'s, '_> {
    /// Warns of what has no effect.
    pub(super) fn check_effects(&mut self) {
        let file = self.file;
        for (_, policy) in file.policies.known() {
            self.check_policy(policy);
        }
        let asked = self.asked();
        for (name, service) in file.services.known() {
            if file.is_proxy(name) || service.lock.given().is_some() {
                continue;
            }
            self.check_waiting(name, service);
            self.check_gateway(service);
            if let Some(asked) = &asked {
                let here = asked.get(name.value.as_str()).cloned().unwrap_or_default();
                // That nobody asks it at all is something else.
                if !here.groups.is_empty() {
                    self.check_asked(service, &here);
                }
            }
        }
        for (name, mesh) in file.meshes.known() {
            self.check_mesh(name, mesh);
        }
        self.check_questions();
        self.check_starts();
    }

    fn idle(&mut self, code: Code, span: Span, message: impl Into<String>, help: &str) {
        let problem = Diagnostic::warning(code, span, message);
        self.out.push(problem.help(help.to_string()));
    }

    fn check_policy(&mut self, policy: &Policy) {
        let Some(attempts) = policy.attempts.get() else { return };
        let once = matches!(&attempts.value, Attempts::Count(count) if **count == 1);
        let (Some(hedge), Some(budget)) = (policy.hedge.get(), policy.retry_budget.get()) else {
            return;
        };
        if let Some(budget) = budget {
            let hedged = hedge.is_some() && budget.value.hedges;
            if once && !hedged {
                let message = "there is one attempt, so there are no retries that this budget could limit";
                self.idle(
                    Code::PolicyIdle,
                    budget.span,
                    message,
                    "say how many `attempts` a call makes; hedges take of it only where it says `hedges: true`",
                );
            } else if budget.value.hedges && hedge.is_none() {
                let message = "this budget is for hedges as well, and the policy has no `hedge`";
                self.idle(
                    Code::PolicyIdle,
                    budget.span,
                    message,
                    "leave `hedges` out, or say when to hedge",
                );
            }
        }
        if !once {
            return;
        }
        let backoff = policy.backoff.get().filter(|backoff| backoff.value != Backoff::None);
        let honours = policy.honours_retry_after.get().filter(|honours| honours.value);
        for (span, what) in [
            (backoff.map(|backoff| backoff.span), "`backoff`"),
            (honours.map(|honours| honours.span), "`honours_retry_after`"),
        ] {
            if let Some(span) = span {
                let message = format!("there is one attempt, and nothing is waited for after it: {what} says nothing");
                self.idle(Code::PolicyIdle, span, message, "say how many `attempts` a call makes");
            }
        }
    }

    /// What is about those who wait for a server, where nobody does.
    fn check_waiting(&mut self, name: &Spanned<String>, service: &Service) {
        let (Some(servers), Some(discipline)) = (service.servers.get(), service.discipline.get()) else {
            return;
        };
        if service.batching.get().is_none_or(Option::is_some) || self.may_stand_still(name, service) {
            return;
        }
        let unlimited = matches!(servers, Servers::Unlimited);
        let shares = matches!(discipline.value, Discipline::Sharing);
        let why = match (unlimited, shares) {
            (true, _) => "there is a server for everybody, so nobody waits for one",
            (false, true) => "requests share the servers, so nobody waits for one",
            (false, false) => return,
        };
        let order = discipline.span != Span::default() && !matches!(discipline.value, Discipline::Fifo);
        if unlimited && order {
            let message = match shares {
                true => "there is a server for everybody, so nobody shares one".to_string(),
                false => format!("{why}: no `discipline` decides about anybody"),
            };
            self.idle(
                Code::NobodyWaits,
                discipline.span,
                message,
                "say how many `servers` there are",
            );
        }
        if let Some(most) = service.most_wait.given() {
            let message = format!("{why}: `most_wait` refuses nobody");
            let help = match unlimited {
                true => "say how many `servers` there are",
                false => "`queue` says how many more than the servers may be in work",
            };
            self.idle(Code::NobodyWaits, most.span, message, help);
        }
        if let Some(queue) = service.queue.given().filter(|_| unlimited) {
            let message = format!("{why}: `queue` refuses nobody");
            self.idle(
                Code::NobodyWaits,
                queue.span,
                message,
                "say how many `servers` there are",
            );
        }
    }

    /// Whether a fault may make a service stand still, so that requests wait there all the same.
    fn may_stand_still(&self, name: &Spanned<String>, service: &Service) -> bool {
        let file = self.file;
        let site = service.at.get().map(|site| site.value.as_str());
        let hit = |names: &crate::scenario::language::Names| {
            names.get().is_none_or(|names| {
                let mut names = names.value.0.iter();
                names.any(|hit| {
                    hit.get()
                        .is_none_or(|hit| hit.value == name.value || Some(hit.value.as_str()) == site)
                })
            })
        };
        !file.faults.is_whole()
            || file
                .faults
                .canonical()
                .any(|(_, fault)| match fault.get().map(|fault| &fault.value) {
                    None => true,
                    Some(Fault::Crash { who, .. } | Fault::Pause { who, .. }) => hit(who),
                    Some(Fault::Stall { services, .. }) => hit(services),
                    Some(Fault::Partition { .. } | Fault::Degrade { .. } | Fault::ClockStep { .. }) => false,
                })
    }

    fn check_gateway(&mut self, service: &Service) {
        let Some(passes) = service.forwards.given() else { return };
        let Some(to) = passes.value.to.get() else { return };
        let several: BTreeSet<Option<&str>> = to.value.0.iter().map(|name| Some(name.get()?.value.as_str())).collect();
        if let Some(ejects) = passes.value.ejects.given()
            && several.len() == 1
        {
            let message = "requests are passed on to one service, and where all are left out none is";
            self.idle(Code::GatewayIdle, ejects.span, message, "name more services in `to`");
        }
        if let Some(batch) = passes.value.batch.given()
            && batch.value.most.get().is_some_and(|most| **most == 1)
        {
            let message = "one request is gathered, and is passed on at once";
            self.idle(
                Code::GatewayIdle,
                batch.span,
                message,
                "say how many are gathered with `most`",
            );
        }
    }

    /// What depends on how a service is asked.
    fn check_asked(&mut self, service: &Service, asked: &Asked<'_>) {
        if let Some(cache) = service.cache.given().filter(|_| !asked.about) {
            let message = "no call says what it is `about`: no answer that is kept is given again";
            self.idle(
                Code::NothingAsked,
                cache.span,
                message,
                "calls say so: `Call(service: ..., about: Uniform(low: 0, high: 100))`",
            );
        }
        if let Some(abandoned) = service.abandoned.get()
            && !matches!(abandoned.value, Abandoned::Serve)
            && !asked.given_up
        {
            let message = "no client tells this service that it has given up, nor until when it waits";
            self.idle(
                Code::NothingAbandoned,
                abandoned.span,
                message,
                "policies say so, with `cancels: true` or a `deadline`",
            );
        }
        self.check_shares(service, asked);
        if service.tokens.get().is_none_or(Option::is_some) || asked.tokens {
            return;
        }
        for (span, what) in counted(service) {
            let message = format!("neither the service nor a call says how many tokens a request has: {what}");
            self.idle(
                Code::NoTokens,
                span,
                message,
                "say it for all requests (`tokens` of the service), or for those of a call",
            );
        }
    }

    /// What is about tenants, where there is one.
    fn check_shares(&mut self, service: &Service, asked: &Asked<'_>) {
        let Some(Spanned { value, span }) = service.discipline.get() else {
            return;
        };
        let Discipline::Fair { tenants, weights, .. } = value else {
            return;
        };
        if matches!(tenants.get(), Some(Tenants::Groups)) && asked.groups.len() == 1 {
            let only = asked.groups.first().copied().unwrap_or_default();
            let message = format!("one group asks, {}: all of it is its share", write::quoted(only));
            self.idle(
                Code::OneTenant,
                *span,
                message,
                "`tenants: Agents` gives each agent its share",
            );
        }
        for (name, _) in weights.iter() {
            if self.file.agents.get(name).is_some() && !asked.groups.contains(name.value.as_str()) {
                let message = format!("{} never asks this service", write::quoted(name));
                self.idle(
                    Code::OneTenant,
                    name.span,
                    message,
                    "a weight is that of a group that does",
                );
            }
        }
    }

    fn check_mesh(&mut self, name: &Spanned<String>, mesh: &Mesh) {
        let file = self.file;
        if mesh.routes.is_empty() && mesh.routes.is_whole() {
            let help = "a route has a name, which agents call, and services: `routes: {\"model\": \"model\"}`";
            self.idle(Code::MeshIdle, name.span, "this mesh has no routes", help);
        }
        for (route, to) in mesh.routes.iter() {
            let called = file.agents.known().any(|(_, group)| {
                let mut calls = false;
                let known = group.each_step(&mut |step| {
                    if let Written::Call { service, .. } = &step.value {
                        let named = service.get().into_iter().flat_map(|names| &names.value.0);
                        calls |= named.filter_map(Part::get).any(|name| name.value == route.value);
                    }
                });
                calls || !known
            });
            let readable = file.agents.is_whole() && file.agents.canonical().all(|(_, group)| group.get().is_some());
            if called || !readable {
                continue;
            }
            if let Some(to) = to.get().filter(|to| to.value.0.is_empty()) {
                self.error(Code::BadGateway, to.span, "a route to nobody");
            } else {
                let message = format!("nobody calls the route {}", write::quoted(route));
                self.idle(
                    Code::MeshIdle,
                    route.span,
                    message,
                    "agents call a route by its name, as they call a service",
                );
            }
        }
        let beside = matches!(mesh.sides.get(), Some(Sides::Both));
        let bound = mesh.in_flight.get().is_none_or(Option::is_some);
        if let Some(queue) = mesh.queue.given()
            && mesh.sides.get().is_some()
            && !(beside && bound)
        {
            let message = match beside {
                true => "proxies let any number of requests through, so nobody waits there",
                false => "there are no proxies beside services where requests could wait",
            };
            self.idle(
                Code::MeshIdle,
                queue.span,
                message,
                "`in_flight` says how many the proxy beside a service lets through at once",
            );
        }
    }

    /// Calls that say what they are about, where nobody keeps answers.
    fn check_questions(&mut self) {
        let file = self.file;
        if !file.services.is_whole() {
            return;
        }
        for (_, group) in file.agents.known() {
            let mut found: Vec<Span> = Vec::new();
            group.each_step(&mut |step| {
                let Written::Call { service, about, .. } = &step.value else {
                    return;
                };
                let (Some(about), Some(names)) = (about.given(), service.get()) else {
                    return;
                };
                let kept = names.value.0.iter().any(|name| {
                    let Some(name) = name.get() else { return true };
                    let reached = self.reached(name);
                    reached.is_empty()
                        || reached.into_iter().any(|service| {
                            let service = file.services.known_value(service);
                            service.is_none_or(|service| service.cache.get().is_none_or(Option::is_some))
                        })
                });
                if !kept {
                    found.push(about.span);
                }
            });
            for span in found {
                self.idle(
                    Code::NothingAsked,
                    span,
                    "nobody on the way of this call keeps answers",
                    "a service or a gateway keeps them with a `cache`",
                );
            }
        }
    }

    /// Starts and changes of demand after the end of the run.
    fn check_starts(&mut self) {
        let file = self.file;
        for (_, group) in file.agents.known() {
            let Some(start) = group.start.get() else { continue };
            let begins = |time: &Duration| vec![(start.span, *time, "these agents start at")];
            let times: Vec<(Span, Duration, &str)> = match &start.value {
                Arrive::AtOnce { at } => begins(at),
                Arrive::Spread { from, .. } | Arrive::Poisson { from, .. } => begins(from),
                Arrive::Gaps { from, .. } | Arrive::Trace { from, .. } => from.get().map(begins).unwrap_or_default(),
                Arrive::Tick { first, .. } => begins(first),
                Arrive::Rates(rates) => rates
                    .value
                    .iter()
                    .map(|(time, _)| (rates.span, *time, "this rate begins at"))
                    .collect(),
                Arrive::Surge { at, .. } => vec![(at.span, at.value, "the surge begins at")],
                Arrive::Windows { .. } => Vec::new(),
            };
            for (span, time, what) in times {
                self.warn_if_late(span, time, what);
            }
        }
    }

    /// Warns of something that begins when the run is over.
    pub(super) fn warn_if_late(&mut self, span: Span, time: Duration, what: &str) {
        if let (Some(end), Some(run)) = (self.end(), self.file.until.get())
            && SimTime::ZERO.saturating_add(time) >= end
        {
            let message = format!("{what} {time}, and the run is over at {end}");
            let problem = Diagnostic::warning(Code::AfterTheEnd, span, message);
            self.out.push(problem.label(run.span, "the end of the run"));
        }
    }
}

/// Where a service goes by tokens, and what that comes to without them.
fn counted(service: &Service) -> Vec<(Span, String)> {
    let mut found = Vec::new();
    if let Some(Spanned { value, span }) = service.discipline.get()
        && let Discipline::Fair { of, .. } = value
        && matches!(of.get(), Some(ShareOf::Tokens))
    {
        found.push((*span, "shares of `Tokens` are all alike".to_string()));
    }
    let limits = service.limits.get().into_iter().flatten();
    for limit in limits.filter_map(Part::get) {
        let what = match &limit.value {
            Limit::TokensIn { .. } => "`TokensIn`",
            Limit::TokensOut { estimate, .. } if matches!(estimate.get(), Some(None)) => "`TokensOut`",
            Limit::Tokens { estimate, .. } if matches!(estimate.get(), Some(None)) => "`Tokens`",
            _ => continue,
        };
        found.push((limit.span, format!("{what} limits nothing")));
    }
    if let Some(ServiceTime::Tokens { each_in, each_out, .. }) = service.time.get() {
        for (each, what) in [(each_in, "`each_in`"), (each_out, "`each_out`")] {
            let law: Option<&Spanned<TimeLaw>> = each.get();
            if let Some(law) = law.filter(|law| law.span != Span::default()) {
                found.push((law.span, format!("{what} takes no time")));
            }
        }
    }
    if let Some(price) = service.price.given() {
        for (million, what) in [
            (&price.million_in, "`million_in`"),
            (&price.million_out, "`million_out`"),
        ] {
            if let Some(million) = million.get().filter(|million| million.0 != 0) {
                found.push((million.span, format!("{what} costs nothing")));
            }
        }
    }
    found
}
