//! Services that pass requests on: to whom, and what can't be.

use super::Resolver;
use crate::agents::Policy;
use crate::agents::policy::Resilience;
use crate::scenario::language::Service;
use crate::scenario::language::meshes::outbound;
use crate::scenario::language::services::{
    AnswerCache, Discipline, Forwards, Routing as Written, Servers, ShareOf as Of, Tenants,
};
use crate::scenario::plan::ServicePlan;
use crate::scenario::syntax::{Code, Diagnostic, Part, Span, Spanned, write};
use crate::services::answers::AnswerCache as Cached;
use crate::services::{Ejection, FairShares, Gathering, Passing, Routing, ShareOf};
use std::collections::BTreeSet;
use std::sync::Arc;

impl Written {
    /// What it means.
    pub(super) fn resolved(&self) -> Routing {
        match self {
            Self::First => Routing::First,
            Self::Random => Routing::Random,
            Self::RoundRobin => Routing::RoundRobin,
            Self::LeastInFlight => Routing::LeastInFlight,
            Self::PowerOf(choices) => Routing::PowerOf(**choices),
            Self::Sticky => Routing::Sticky,
        }
    }
}

impl Resolver<'_, '_> {
    /// Says of gateways to whom they pass requests on. All entities have their numbers by now.
    pub(super) fn gateways(&mut self, plans: &mut [ServicePlan]) {
        let file = self.file;
        for (name, service) in file.services.known() {
            let Some(passes) = service.forwards.given() else {
                continue;
            };
            let passing = self.passing(name, service, passes);
            let plan = plans.iter_mut().find(|plan| plan.name == name.value);
            if let (Some(passing), Some(plan)) = (passing, plan) {
                Arc::make_mut(&mut plan.spec).passes = Some(Arc::new(passing));
            }
        }
        self.check_rounds();
    }

    fn bad_gateway(&mut self, span: Span, message: impl Into<String>, help: &str) {
        let problem = Diagnostic::error(Code::BadGateway, span, message.into());
        self.out.push(problem.help(help.to_string()));
    }

    fn passing(&mut self, name: &Spanned<String>, service: &Service, passes: &Spanned<Forwards>) -> Option<Passing> {
        let file = self.file;
        let written = &passes.value;
        let to = self.passed_to(written);
        let policy = written.policy.each(|policy| {
            let known = file.policies.look_up(policy, Code::UnknownPolicy, "policy", self.out)?;
            let resolved = known.get().and_then(|known| self.policy(known))?;
            let beyond = resolved.resilience.as_ref().is_some_and(|resilience| {
                let alone = Resilience {
                    cancels: resilience.cancels,
                    shared_by: resilience.shared_by,
                    retry_budget: resilience.retry_budget,
                    throttle: resilience.throttle,
                    hedge: resilience.hedge.filter(|hedge| !hedge.tied),
                    ..Resilience::default()
                };
                **resilience != alone
            });
            if beyond {
                let message = format!("{} says more than a gateway goes by", write::quoted(policy));
                self.bad_gateway(
                    policy.span,
                    message,
                    "a gateway has `timeout`, `attempts`, `backoff`, `honours_retry_after`, `cancels`, `retry_budget`, `throttle` and `hedge`, which \
                     isn't tied; the deadline of a call is passed on anyway, and `ejects` is its circuit breaker",
                );
                return None;
            }
            Some(resolved)
        });
        let bytes = self.bytes_of(&written.request);
        let routing = written.routing.get();
        let (fan_out, need) = (written.fan_out.get()?, written.need.get()?.as_ref());
        let to = to?;
        let several: BTreeSet<u32> = to.iter().copied().collect();
        if *fan_out.value as usize > several.len() {
            let message = format!(
                "each request goes to {} services, and there are {} to pass it on to",
                *fan_out.value,
                several.len()
            );
            self.bad_gateway(
                fan_out.span,
                message,
                "name more services in `to`, or ask fewer of them",
            );
            return None;
        }
        if *fan_out.value > 1 && several.len() < to.len() {
            let message = "a fan-out asks different services, and one is named twice";
            self.bad_gateway(fan_out.span, message, "name each service once");
            return None;
        }
        if let Some(need) = need.filter(|need| *need.value > *fan_out.value) {
            let message = format!("{} have to answer, and {} are asked", *need.value, *fan_out.value);
            self.bad_gateway(need.span, message, "ask as many with `fan_out`");
            return None;
        }
        let routing = routing?;
        if let Written::PowerOf(choices) = routing.value
            && *choices as usize > several.len()
        {
            let message = format!("{} are drawn, of {}", *choices, several.len());
            self.bad_gateway(
                routing.span,
                message,
                "draw fewer; `LeastInFlight` looks at all of them",
            );
            return None;
        }
        let routing = routing.value.resolved();
        let holds = written.holds.get()?;
        if holds.value && !matches!(service.servers.get(), Some(Servers::Count(_))) {
            let message = format!(
                "{} has any number of servers, none of which is missed while it waits",
                write::quoted(name)
            );
            self.bad_gateway(holds.span, message, "say how many `servers` it has");
            return None;
        }
        if holds.value
            && matches!(
                service.discipline.get().map(|order| &order.value),
                Some(Discipline::Sharing)
            )
        {
            let message = "servers whose time is shared aren't held by a request";
            self.bad_gateway(
                holds.span,
                message,
                "another `discipline` gives each request a server of its own",
            );
            return None;
        }
        if service.batching.given().is_some() {
            let message = "an inference endpoint answers requests itself";
            self.bad_gateway(
                passes.span,
                message,
                "put a gateway before it: a service of its own, with `forwards`",
            );
            return None;
        }
        let batch = match written.batch.get()? {
            None => None,
            Some(batch) => Some(Gathering {
                most: **batch.value.most.get()?,
                wait: **batch.value.wait.get()?,
            }),
        };
        let ejects = match written.ejects.get()? {
            None => None,
            Some(ejects) => Some(Ejection {
                failures: **ejects.value.failures.get()?,
                period: **ejects.value.period.get()?,
            }),
        };
        Some(Passing {
            to,
            routing,
            fan_out: *fan_out.value,
            need: need.map_or(*fan_out.value, |need| *need.value),
            policy: policy?.unwrap_or_else(Policy::default),
            bytes: bytes?,
            holds: holds.value,
            batch,
            ejects,
        })
    }

    /// The entities to which requests are passed on.
    fn passed_to(&mut self, passes: &Forwards) -> Option<Vec<u32>> {
        let file = self.file;
        let names = passes.to.get()?;
        if names.value.0.is_empty() {
            self.bad_gateway(
                names.span,
                "a gateway that passes requests on to nobody",
                "name a service",
            );
            return None;
        }
        let mut to = Vec::new();
        for name in &names.value.0 {
            let name = name.get()?;
            file.services.look_up(name, Code::UnknownService, "service", self.out)?;
            let known = file.services.known_value(name);
            if known.is_some_and(|service| service.lock.given().is_some()) {
                self.bad_gateway(
                    name.span,
                    "this service is a lock, and does no work",
                    "a lock is asked directly, by a `WithLock`",
                );
                return None;
            }
            to.push(self.addresses.services[file.services.position(name)?]);
        }
        Some(to)
    }

    /// Nobody passes on to himself, over however many others.
    fn check_rounds(&mut self) {
        let file = self.file;
        let all: Vec<(&Spanned<String>, Vec<&Spanned<String>>)> = file
            .services
            .known()
            .map(|(name, service)| {
                let to = service.forwards.given().and_then(|passes| passes.value.to.get());
                let names = to.into_iter().flat_map(|to| &to.value.0).filter_map(|name| name.get());
                (name, names.collect())
            })
            .collect();
        let next = |name: &str| {
            all.iter()
                .find(|(one, _)| one.value == name)
                .map(|(_, to)| to.as_slice())
        };
        for (start, to) in &all {
            for first in to {
                // The shortest way from there back to the start, breadth first.
                let mut ways: Vec<Vec<&str>> = vec![vec![first.value.as_str()]];
                let mut seen: BTreeSet<&str> = BTreeSet::new();
                let mut at = 0;
                while let Some(way) = ways.get(at).cloned() {
                    at += 1;
                    let here = *way.last().expect("a way has an end");
                    if here == start.value {
                        // Each round is said once: at the first of its names.
                        if way.iter().all(|name| *name >= start.value.as_str()) {
                            let round: Vec<String> = way.iter().map(|name| write::quoted(name)).collect();
                            let message = format!(
                                "{} passes requests on to itself, by way of {}",
                                write::quoted(start),
                                round.join(", ")
                            );
                            self.bad_gateway(first.span, message, "requests would go round for ever");
                        }
                        break;
                    }
                    if seen.insert(here) {
                        for one in next(here).unwrap_or_default() {
                            ways.push(way.iter().copied().chain([one.value.as_str()]).collect());
                        }
                    }
                }
            }
        }
    }

    /// The proxies through which calls of a route go, by the site of the caller; `None`: it's no route.
    pub(super) fn route(&self, name: &Spanned<String>) -> Option<Arc<[u32]>> {
        let file = self.file;
        if !file.is_route(name) {
            return None;
        }
        let proxy = |site: &str| {
            let at = file.services.position(&outbound(name, site));
            at.map_or(u32::MAX, |at| self.addresses.services[at])
        };
        Some(file.sites.0.canonical().map(|(site, _)| proxy(site)).collect())
    }

    /// How a service keeps answers.
    pub(super) fn answers(&mut self, cache: &Part<Option<Spanned<AnswerCache>>>) -> Option<Option<Cached>> {
        let Some(cache) = cache.get()? else { return Some(None) };
        let jitter = cache.value.jitter.get()?;
        if !(0.0..1.0).contains(&jitter.value) {
            let message = format!("a jitter of {} is no part of the `ttl`", jitter.value);
            let problem = Diagnostic::error(Code::BadCache, jitter.span, message);
            self.out.push(
                problem.help("it is at least 0, and less than 1: with 0.1 answers are fresh for nine to eleven tenths"),
            );
            return None;
        }
        Some(Some(Cached {
            ttl: **cache.value.ttl.get()?,
            jitter: jitter.value,
            stale: *cache.value.stale.get()?,
            size: **cache.value.size.get()?,
            single_flight: *cache.value.single_flight.get()?,
        }))
    }

    /// What the shares of tenants are, where each gets its own.
    pub(super) fn shares(&mut self, discipline: &Part<Spanned<Discipline>>) -> Option<FairShares> {
        let Discipline::Fair { tenants, of, weights } = &discipline.get()?.value else {
            return Some(FairShares::default());
        };
        let file = self.file;
        let before = file.services.len() + file.state.len();
        let mut known = Vec::new();
        for (name, weight) in weights.iter() {
            file.agents
                .look_up(name, Code::UnknownGroup, "group of agents", self.out)?;
            let group = before + file.agents.position(name)?;
            known.push((u16::try_from(group).ok()?, u64::from(**weight.get()?)));
        }
        Some(FairShares {
            each_agent: matches!(tenants.get()?, Tenants::Agents),
            of: match of.get()? {
                Of::Requests => ShareOf::Requests,
                Of::Tokens => ShareOf::Tokens,
                Of::Work => ShareOf::Work,
            },
            weights: known,
        })
    }
}
