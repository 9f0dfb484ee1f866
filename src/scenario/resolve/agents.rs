//! `agents`: groups, their starts and their places.

use super::Resolver;
use crate::agents::step::Step;
use crate::agents::{Arrivals, GroupSpec, Policy, Program};
use crate::kernel::{SimDuration, SimTime};
use crate::random::Law;
use crate::scenario::data::Stamps;
use crate::scenario::language::agents::{Arrive, Count, OnFailure};
use crate::scenario::language::{Group, Step as Written};
use crate::scenario::plan::{Addresses, MOST_AGENTS};
use crate::scenario::syntax::quantity::{Duration, Positive};
use crate::scenario::syntax::{Code, Diagnostic, Named, Spanned};
use crate::world::population::Sites;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Entity ids are given out in pages of this many.
const PAGE: u64 = 256;

impl Group {
    /// How many members the group's ids are reserved for.
    pub(super) fn reserved(&self) -> u32 {
        match self.count.value {
            Count::Fixed(count) => *count,
            Count::Stream { max_alive, .. } => *max_alive,
        }
    }

    /// Whether agents come and go.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.count.value, Count::Stream { .. })
    }
}

impl Resolver<'_, '_> {
    /// Numbers entities, topics and tasks. False if there are too many entities to be numbered.
    pub(super) fn assign(&mut self) -> bool {
        let file = self.file;
        let fixed = |group: &Group| {
            if group.is_stream() {
                0
            } else {
                u64::from(group.reserved())
            }
        };
        let all: u64 = file.agents.canonical().map(|(_, group)| fixed(group)).sum();
        if all > MOST_AGENTS
            && let Some((_, most)) = file.agents.canonical().max_by_key(|(_, group)| fixed(group))
        {
            let message = format!("there are {all} agents in all; at most {MOST_AGENTS} fit");
            self.error(Code::TooMany, most.count.span, message);
            return false;
        }
        let fixed: u64 = file
            .agents
            .canonical()
            .map(|(_, group)| u64::from(group.reserved()) / PAGE + 2)
            .sum();
        let pages = fixed + file.services.len() as u64 + file.state.len() as u64;
        let streams: u64 = file
            .agents
            .canonical()
            .filter(|(_, group)| group.is_stream())
            .map(|(_, group)| u64::from(group.reserved()).next_power_of_two())
            .sum();
        let groups = file.agents.len() + file.services.len() + file.state.len();
        if pages >= (1 << 23) || streams > (1 << 31) || groups >= usize::from(u16::MAX) {
            let (name, _) = file
                .agents
                .canonical()
                .max_by_key(|(_, group)| group.reserved())
                .unwrap_or_else(|| unreachable!("too many entities, and no agents"));
            let message = "there are more agents, services and stores than can be numbered: at most 2^31 agents, in 65,000 groups";
            self.error(Code::TooMany, name.span, message);
            return false;
        }
        let services: Vec<_> = file
            .services
            .canonical()
            .map(|(name, service)| (name.value.as_str(), self.quiet_site(&service.at)))
            .collect();
        let stores: Vec<_> = self
            .stores
            .iter()
            .map(|store| (store.name.as_str(), store.sites.clone()))
            .collect();
        let agents: Vec<_> = file
            .agents
            .canonical()
            .map(|(name, group)| {
                (
                    name.value.as_str(),
                    group.reserved(),
                    Sites::One(crate::network::SiteId(0)),
                )
            })
            .collect();
        self.addresses = Addresses::assign(&services, &stores, &agents);
        let (mut topics, mut tasks) = (BTreeSet::new(), BTreeSet::new());
        for (_, group) in file.agents.canonical() {
            topics.extend(group.on.names().map(str::to_owned));
            group.each_step(&mut |step| match &step.value {
                Written::Send { topic, .. } | Written::Ask { topic, .. } => {
                    topics.insert(topic.value.clone());
                }
                Written::Wait { topic: Some(topic), .. } => {
                    topics.insert(topic.value.clone());
                }
                Written::Task { name, .. } => {
                    tasks.insert(name.value.clone());
                }
                _ => {}
            });
        }
        if topics.len().max(tasks.len() + 1) >= usize::from(u16::MAX) {
            self.error(
                Code::TooMany,
                file.name.span,
                "a scenario has at most 65,000 topics and names of tasks",
            );
            return false;
        }
        self.topics = topics.into_iter().zip(0..).collect();
        self.tasks = tasks.into_iter().zip(1..).collect();
        true
    }

    /// A site whose name has been looked up before.
    fn quiet_site(&self, name: &Spanned<String>) -> crate::network::SiteId {
        let at = self.file.sites.0.position(name).unwrap_or(0);
        crate::network::SiteId(at as u32)
    }

    /// The groups by name. One that can't be resolved is left out; its problems are reported.
    pub(super) fn agents(&mut self) -> Vec<Arc<GroupSpec>> {
        let file = self.file;
        let (stores, nearest) = self.replicas();
        let groups: Vec<_> = file.agents.canonical().collect();
        groups
            .into_iter()
            .filter_map(|(name, group)| self.group(name, group, &stores, &nearest).map(Arc::new))
            .collect()
    }

    /// For each store its first entity and its number of replicas, and the replica nearest to each site.
    fn replicas(&self) -> (Vec<(u32, u32)>, Vec<Vec<u32>>) {
        let sites = (0..self.file.sites.0.len() as u32).map(crate::network::SiteId);
        let nearest = |store: &super::state::StoreShape| -> Vec<u32> {
            let of = |from: crate::network::SiteId| {
                let distance = |n: &u32| self.distance(from, store.sites[*n as usize]);
                (0..store.sites.len() as u32)
                    .min_by(|a, b| distance(a).total_cmp(&distance(b)))
                    .unwrap_or(0)
            };
            sites.clone().map(of).collect()
        };
        let firsts = self.addresses.stores.iter().zip(&self.stores);
        (
            firsts
                .map(|(first, store)| (*first, store.sites.len() as u32))
                .collect(),
            self.stores.iter().map(nearest).collect(),
        )
    }

    fn group(
        &mut self,
        name: &Spanned<String>,
        group: &Group,
        stores: &[(u32, u32)],
        nearest: &[Vec<u32>],
    ) -> Option<GroupSpec> {
        let sites = self.sites(&group.at);
        let arrivals = self.arrivals(group);
        let stagger = match &group.stagger {
            Some(law) => self.time(law).map(Some),
            None => Some(None),
        };
        let policies = self.used_policies(group);
        let main = self.steps(&group.program, name, &policies);
        let handlers: Vec<Option<(u16, Vec<Step>)>> = group
            .on
            .canonical()
            .map(|(topic, steps)| Some((self.topics[&topic.value], self.steps(steps, name, &policies)?)))
            .collect();
        let handlers: Option<Vec<_>> = handlers.into_iter().collect();
        let handlers_at_once = u16::try_from(*group.handlers_at_once).ok();
        if handlers_at_once.is_none() {
            self.error(
                Code::TooMany,
                name.span,
                "an agent handles at most 65,535 messages at once",
            );
        }
        if group.program.is_empty() && group.on.is_empty() {
            self.warn(
                Code::NothingToDo,
                name.span,
                "these agents have no `program` and no handlers in `on`",
            );
        }
        let mut clients = vec![Policy::default()];
        clients.extend(policies.canonical().map(|(_, policy)| policy.clone()));
        let program = Program::compile(&main?, &handlers?, &format!("agents.{}", name.value));
        Some(GroupSpec {
            name: name.value.clone(),
            count: match group.count.value {
                Count::Fixed(count) => Some(*count),
                Count::Stream { arrivals, .. } => arrivals.map(Positive::into_inner),
            },
            is_stream: group.is_stream(),
            max_alive: group.reserved(),
            arrivals: arrivals?,
            stagger: stagger?,
            program,
            policies: clients,
            mailbox: *group.mailbox,
            handlers_at_once: handlers_at_once?,
            stores: stores.to_vec(),
            nearest: nearest.to_vec(),
            failure_ends_task: matches!(group.on_failure, OnFailure::EndTask),
            sites: match sites?.as_slice() {
                [one] => Sites::One(*one),
                many => Sites::InTurn(many.to_vec()),
            },
        })
    }

    /// The policies that a group's program names, by name. Unknown ones are reported.
    fn used_policies(&mut self, group: &Group) -> Named<Policy> {
        let file = self.file;
        let mut used: BTreeSet<&str> = BTreeSet::new();
        group.each_step(&mut |step| {
            if let Some(name) = step.value.policy()
                && file
                    .policies
                    .look_up(name, Code::UnknownPolicy, "policy", self.out)
                    .is_some()
            {
                used.insert(&name.value);
            }
        });
        let resolved = file
            .policies
            .canonical()
            .filter(|(name, _)| used.contains(name.value.as_str()))
            .map(|(name, policy)| (name.clone(), self.policy(policy)))
            .collect();
        Named::new(resolved).unwrap_or_default()
    }

    fn arrivals(&mut self, group: &Group) -> Option<Arrivals> {
        let at = |time: &Duration| SimTime::ZERO.saturating_add(*time);
        let unbounded = matches!(group.count.value, Count::Stream { arrivals: None, .. });
        let needs_number = match group.start.value {
            Arrive::AtOnce { .. } => Some("all at once"),
            Arrive::Spread { .. } => Some("spread over a time"),
            _ => None,
        };
        if let Some(how) = needs_number.filter(|_| unbounded) {
            let message = format!("agents of a stream that arrive {how} need a number: `Stream(arrivals: ...)`");
            let problem = Diagnostic::error(Code::NoArrivals, group.count.span, message);
            self.out
                .push(problem.help("say when they arrive, for example `start: Poisson(rate: \"5/s\")`"));
            return None;
        }
        match &group.start.value {
            Arrive::AtOnce { at: time } => Some(Arrivals::AtOnce(at(time))),
            Arrive::Spread { from, over } => Some(Arrivals::Spread {
                from: at(from),
                over: **over,
            }),
            Arrive::Poisson { rate, from } => Some(Arrivals::Gaps {
                from: at(from),
                gap: Law::Exponential {
                    mean: rate.mean_gap_nanos(),
                },
            }),
            Arrive::Gaps { gap, from } => {
                let law = self.time(gap)?;
                if law.support().1 <= 0.0 && unbounded {
                    self.error(
                        Code::EndlessLoop,
                        gap.span,
                        "agents arrive without end and without a gap",
                    );
                    return None;
                }
                Some(Arrivals::Gaps {
                    from: at(from),
                    gap: law,
                })
            }
            Arrive::Tick { every, first, times } => Some(Arrivals::Ticks {
                first: at(first),
                every: **every,
                times: times.map(Positive::into_inner),
            }),
            Arrive::Trace {
                data,
                column,
                unit,
                from,
                speed,
            } => self.trace(group, (data, column), *unit, *from, **speed),
        }
    }

    /// The recorded times, counted from the first.
    fn trace(
        &mut self,
        group: &Group,
        (data, column): (&Spanned<String>, &Spanned<String>),
        unit: Option<Positive<Duration>>,
        from: Duration,
        speed: f64,
    ) -> Option<Arrivals> {
        let stamps = self.data.stamps(data, column, self.out)?;
        let since: Vec<f64> = match (&*stamps, unit) {
            (Stamps::Dates(dates), None) => dates.iter().map(|date| (date - dates[0]) as f64).collect(),
            (Stamps::Numbers(numbers), Some(unit)) => {
                let unit = unit.as_nanos() as f64;
                numbers.iter().map(|number| (number - numbers[0]) * unit).collect()
            }
            (Stamps::Dates(_), Some(_)) => {
                self.error(
                    Code::Conflicting,
                    column.span,
                    "the column holds dates, which need no `unit`",
                );
                return None;
            }
            (Stamps::Numbers(_), None) => {
                self.error(
                    Code::MissingUnit,
                    column.span,
                    "the column holds numbers: say what a 1 means, as in `unit: \"1s\"`",
                );
                return None;
            }
        };
        if let Some(row) = since.windows(2).position(|pair| pair[1] < pair[0]) {
            let message = format!("the times go back at row {} of the data", row + 2);
            self.error(Code::BadData, column.span, message);
            return None;
        }
        if let Count::Fixed(count) = group.count.value
            && *count as usize > since.len()
        {
            let message = format!(
                "{} agents start at the times of a trace that has {}",
                *count,
                since.len()
            );
            let problem = Diagnostic::error(Code::NoArrivals, group.count.span, message);
            self.out.push(problem.label(column.span, "the trace"));
            return None;
        }
        let start = SimTime::ZERO.saturating_add(from);
        let at = |time: f64| start.saturating_add(SimDuration::from_nanos_f64(time / speed));
        Some(Arrivals::Times(since.into_iter().map(at).collect()))
    }
}
