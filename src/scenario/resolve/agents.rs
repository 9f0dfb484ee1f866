//! `agents`: groups, their starts and their places.

use super::Resolver;
use crate::agents::budget::GroupBudget;
use crate::agents::program::Habits;
use crate::agents::step::Step;
use crate::agents::{Arrivals, Demand, GroupSpec, JournalSpec, Policy, Program};
use crate::kernel::{SimDuration, SimTime};
use crate::random::Law;
use crate::scenario::data::Stamps;
use crate::scenario::language::agents::Errs;
use crate::scenario::language::agents::{Arrive, Count, OnFailure};
use crate::scenario::language::budgets::Spent;
use crate::scenario::language::{Group, Service, Step as Written};
use crate::scenario::plan::{Addresses, MOST_AGENTS};
use crate::scenario::syntax::quantity::Probability;
use crate::scenario::syntax::quantity::{Duration, Positive, Rate};
use crate::scenario::syntax::{Code, Diagnostic, Named, Part, Span, Spanned};
use crate::state::Memory;
use crate::world::population::Sites;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Arrivals in a nanosecond.
fn per_nano(rate: Rate) -> f64 {
    rate.events() as f64 / rate.nanos() as f64
}

/// Entity ids are given out in pages of this many.
const PAGE: u64 = 256;

/// More pairs of a store and a site than this can't be kept.
const MOST_PAIRS: usize = 1 << 24;

/// The stores, and which replica of each is near to which site: the same for all groups.
struct Near {
    stores: Arc<[(u32, u32)]>,
    nearest: Arc<[Vec<u32>]>,
    memories: Arc<[Memory]>,
}

impl Group {
    /// How many members the group's ids are reserved for, if that is known.
    pub(super) fn reserved(&self) -> Option<u32> {
        self.count.get().map(|count| match count.value {
            Count::Fixed(count) => *count,
            Count::Stream { max_alive, .. } => *max_alive,
        })
    }

    /// Whether agents come and go, as far as it is known.
    pub(super) fn is_stream(&self) -> bool {
        matches!(self.count.get().map(|count| &count.value), Some(Count::Stream { .. }))
    }
}

impl Resolver<'_, '_> {
    /// Numbers entities, topics and tasks. False if there are too many entities to be numbered.
    pub(super) fn assign(&mut self) -> bool {
        let file = self.file;
        // A group of which nothing is known has one member: its ids are never used.
        let sized: Vec<(&Spanned<String>, u32, bool)> = file
            .agents
            .canonical()
            .map(|(name, group)| match group.get() {
                Some(group) => (name, group.reserved().unwrap_or(1), group.is_stream()),
                None => (name, 1, false),
            })
            .collect();
        let settled = || sized.iter().filter(|(.., is_stream)| !is_stream);
        let all: u64 = settled().map(|(_, size, _)| u64::from(*size)).sum();
        if all > MOST_AGENTS
            && let Some((largest, ..)) = settled().max_by_key(|(_, size, _)| *size)
        {
            let count = file.agents.get(&largest.value).and_then(|group| group.get());
            let count = count.and_then(|group| group.count.get()).map(|count| count.span);
            let message = format!("there are {all} agents in all; at most {MOST_AGENTS} fit");
            self.error(Code::TooMany, count.unwrap_or(largest.span), message);
            return false;
        }
        let fixed: u64 = sized.iter().map(|(_, size, _)| u64::from(*size) / PAGE + 2).sum();
        let members: u64 = self
            .coordinated
            .iter()
            .map(|group| group.sites.len() as u64 / PAGE + 1)
            .sum();
        let pages = fixed + members + (file.services.len() + file.state.len() + file.channels.len()) as u64;
        let streams: u64 = sized
            .iter()
            .filter(|(.., is_stream)| *is_stream)
            .map(|(_, size, _)| u64::from(*size).next_power_of_two())
            .sum();
        let groups =
            file.agents.len() + file.services.len() + file.state.len() + file.channels.len() + file.coordination.len();
        if pages >= (1 << 23) || streams > (1 << 31) || groups >= usize::from(u16::MAX) {
            let others = file.services.canonical().map(|(name, _)| name);
            let others = others.chain(file.state.canonical().map(|(name, _)| name));
            let largest = sized.iter().max_by_key(|(_, size, _)| *size).map(|(name, ..)| *name);
            let place = largest.or(others.last()).map_or(Span::default(), |name| name.span);
            let message = "there are more agents, services and stores than can be numbered: at most 2^31 agents, in 65,000 groups";
            self.error(Code::TooMany, place, message);
            return false;
        }
        if self.stores.len().saturating_mul(file.sites.0.len()) > MOST_PAIRS {
            let message = format!(
                "{} stores and {} sites are more than can be kept apart",
                self.stores.len(),
                file.sites.0.len()
            );
            self.error(Code::TooMany, file.sites.span.head(1), message);
            return false;
        }
        let services: Vec<_> = file
            .services
            .canonical()
            .map(|(name, service)| (name.value.as_str(), self.quiet_site(service)))
            .collect();
        let stores: Vec<_> = self
            .stores
            .iter()
            .map(|store| (store.name.as_str(), store.sites.clone()))
            .collect();
        let agents: Vec<_> = sized
            .iter()
            .map(|(name, size, _)| (name.value.as_str(), *size, Sites::One(crate::network::SiteId(0))))
            .collect();
        let channels: Vec<_> = file
            .channels
            .canonical()
            .map(|(name, channel)| {
                (
                    name.value.as_str(),
                    self.quiet_place(channel.get().map(|channel| &channel.at)),
                )
            })
            .collect();
        let coordination: Vec<_> = self
            .coordinated
            .iter()
            .map(|group| (group.name.as_str(), group.sites.clone()))
            .collect();
        self.addresses = Addresses::assign(&services, &stores, &channels, &coordination, &agents);
        let (mut topics, mut tasks) = (BTreeSet::new(), BTreeSet::new());
        // What a channel pushes comes under its name.
        topics.extend(file.channels.names().map(str::to_owned));
        topics.extend(self.topics_of_work());
        for (_, group) in file.coordination.known() {
            topics.extend(group.tells.given().map(|topic| topic.value.clone()));
            topics.extend(group.engaging_topics().into_iter().map(str::to_owned));
        }
        for (_, group) in file.agents.known() {
            topics.extend(group.on.names().map(str::to_owned));
            group.each_step(&mut |step| match &step.value {
                Written::Send { topic, .. } | Written::Ask { topic, .. } => {
                    topics.extend(topic.get().map(|topic| topic.value.clone()));
                }
                Written::Wait { topic, .. } => topics.extend(topic.given().map(|topic| topic.value.clone())),
                Written::Task { name, .. } => tasks.extend(name.get().map(|name| name.value.clone())),
                _ => {}
            });
        }
        for (_, budget) in file.budgets.known() {
            if let Some(Spent::Ask { topic, .. }) = budget.value.then.get().map(|then| &then.value) {
                topics.extend(topic.get().map(|topic| topic.value.clone()));
            }
        }
        if topics.len().max(tasks.len() + 1) >= usize::from(u16::MAX) {
            let place = file.name.get().map_or(Span::default(), |name| name.span);
            self.error(
                Code::TooMany,
                place,
                "a scenario has at most 65,000 topics and names of tasks",
            );
            return false;
        }
        self.topics = topics.into_iter().zip(0..).collect();
        self.tasks = tasks.into_iter().zip(1..).collect();
        true
    }

    /// The site of a service, whose name has been looked up before.
    fn quiet_site(&self, service: &Part<Service>) -> crate::network::SiteId {
        self.quiet_place(service.get().map(|service| &service.at))
    }

    /// A site whose name is looked up elsewhere; the first, if it isn't known.
    fn quiet_place(&self, name: Option<&Part<Spanned<String>>>) -> crate::network::SiteId {
        let at = name
            .and_then(Part::get)
            .and_then(|name| self.file.sites.0.position(name));
        crate::network::SiteId(at.unwrap_or(0) as u32)
    }

    /// The groups by name. One that can't be resolved is left out; its problems are reported.
    pub(super) fn agents(&mut self, spenders: &[Arc<[GroupBudget]>]) -> Vec<Arc<GroupSpec>> {
        let file = self.file;
        let near = self.replicas();
        let policies = self.policies();
        file.agents
            .known()
            .filter_map(|(name, group)| {
                let mut spec = self.group(name, group, &policies, &near)?;
                if let Some(budgets) = file.agents.position(name).and_then(|at| spenders.get(at))
                    && !budgets.is_empty()
                {
                    spec.program = spec.program.paid();
                    spec.budgets = Arc::clone(budgets);
                }
                Some(Arc::new(spec))
            })
            .collect()
    }

    /// For each store its first entity and its number of replicas, and the replica nearest to each site.
    fn replicas(&self) -> Near {
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
        Near {
            stores: firsts
                .map(|(first, store)| (*first, store.sites.len() as u32))
                .collect(),
            nearest: self.stores.iter().map(nearest).collect(),
            memories: self.stores.iter().map(|store| store.memory).collect(),
        }
    }

    fn group(
        &mut self,
        name: &Spanned<String>,
        group: &Group,
        policies: &BTreeMap<String, Policy>,
        near: &Near,
    ) -> Option<GroupSpec> {
        let sites = self.sites(&group.at);
        let arrivals = self.arrivals(group);
        let stagger = group.stagger.each(|law| self.time(law));
        let caches = self.caches(group);
        let journal = group.journal.each(|journal| self.journal(group, journal, policies));
        let errs = group.errs.each(|errs| self.errs(errs));
        let policies = self.used_policies(name, group, policies);
        let main = self.steps(&group.program, name, &policies);
        let handlers: Vec<Option<(u16, Vec<Step>)>> = group
            .on
            .canonical()
            .map(|(topic, steps)| {
                let mut resolved = self.steps(steps, name, &policies)?;
                let topic = self.topics[&topic.value];
                if let Some(bytes) = self.engaged.get(&topic) {
                    // Whoever engages an agent hears when it is through: at the end, unless it has replied before.
                    resolved.push(Step::Reply { bytes: *bytes });
                }
                Some((topic, resolved))
            })
            .collect();
        let handlers: Option<Vec<_>> = handlers.into_iter().collect();
        let channels = self.consumed_by(name);
        self.check_handler_times(group, handlers.as_deref().unwrap_or(&[]));
        let handlers_at_once = group.handlers_at_once.get().and_then(|count| {
            let fits = u16::try_from(*count.value).ok();
            if fits.is_none() {
                let message = "an agent handles at most 65,535 messages at once";
                self.error(Code::TooMany, count.span, message);
            }
            fits
        });
        let idle = group.program.get().is_some_and(Vec::is_empty) && group.on.is_empty();
        if idle && group.on.is_whole() {
            self.warn(
                Code::NothingToDo,
                name.span,
                "these agents have no `program` and no handlers in `on`",
            );
        }
        let mut clients = vec![Policy::default()];
        clients.extend(policies.canonical().map(|(_, policy)| policy.clone()));
        let policy = u16::try_from(clients.len()).ok();
        let journal = match &journal? {
            None => None,
            Some((spec, client)) => {
                clients.push(client.clone());
                Some(JournalSpec {
                    policy: policy?,
                    ..spec.clone()
                })
            }
        };
        let events = journal.as_ref().map(|journal| journal.granularity);
        let errs = errs?;
        let habits = errs.as_ref().map_or(Habits::default(), |errs| Habits {
            repeats: errs.repeats > 0.0,
            unaware: errs.unaware > 0.0,
        });
        let place = format!("agents.{}", name.value);
        let program = Program::compile_for(&main?, &handlers?, &place, events, habits);
        if let (Some(span), false) = (group.journal.given().map(|journal| journal.span), program.has_events())
            && journal.is_some()
        {
            self.error(
                Code::BadJournal,
                span,
                "no step of this program is an event of its journal",
            );
            return None;
        }
        Some(GroupSpec {
            name: name.value.clone(),
            count: match group.count.get()?.value {
                Count::Fixed(count) => Some(*count),
                Count::Stream { arrivals, .. } => arrivals.map(Positive::into_inner),
            },
            is_stream: group.is_stream(),
            max_alive: group.reserved()?,
            arrivals: arrivals?,
            stagger: stagger?,
            program,
            policies: clients,
            mailbox: **group.mailbox.get()?,
            handlers_at_once: handlers_at_once?,
            stores: Arc::clone(&near.stores),
            nearest: Arc::clone(&near.nearest),
            memories: Arc::clone(&near.memories),
            caches: caches?,
            journal,
            budgets: Arc::new([]),
            errs,
            channels,
            failure_ends_task: matches!(group.on_failure.get()?, OnFailure::EndTask),
            sites: match sites?.as_slice() {
                [one] => Sites::One(*one),
                many => Sites::InTurn(many.to_vec()),
            },
        })
    }

    /// The policies by name. One that can't be resolved is left out; its problems are reported.
    fn policies(&mut self) -> BTreeMap<String, Policy> {
        let file = self.file;
        file.policies
            .known()
            .filter_map(|(name, policy)| Some((name.value.clone(), self.policy(policy)?)))
            .collect()
    }

    /// The policies that a group's program names, by name. Unknown ones are reported.
    fn used_policies(
        &mut self,
        name: &Spanned<String>,
        group: &Group,
        policies: &BTreeMap<String, Policy>,
    ) -> Named<Policy> {
        let file = self.file;
        let mut used: BTreeMap<String, Policy> = BTreeMap::new();
        group.each_step(&mut |step| {
            if let Some(name) = step.value.policy() {
                file.policies.look_up(name, Code::UnknownPolicy, "policy", self.out);
                used.extend(
                    policies
                        .get(&name.value)
                        .map(|policy| (name.value.clone(), policy.clone())),
                );
            }
        });
        // Number 0 is the policy of calls that name none.
        if used.len() >= usize::from(u16::MAX) {
            self.error(Code::TooMany, name.span, "a group uses at most 65,000 policies");
            used.clear();
        }
        let named = used.into_iter().map(|(name, policy)| (name.into(), policy)).collect();
        Named::new(named).expect("a map has each name once")
    }

    fn errs(&mut self, errs: &Spanned<Errs>) -> Option<crate::agents::errs::Errs> {
        let errs = &errs.value;
        let (model, correlation) = (errs.model.get()?, errs.correlation.get()?);
        if model.is_none() && correlation.value.get() > 0.0 {
            let message = "agents err together with those that run the same `model`, which isn't said";
            let problem = Diagnostic::error(Code::BadCoordination, correlation.span, message);
            self.out.push(problem.help("name it: `model: \"large\"`"));
            return None;
        }
        let wrong = errs.wrong.get()?.get();
        let or_wrong = |probability: &Option<Probability>| probability.as_ref().map_or(wrong, |given| given.get());
        for (what, probability) in [("repeats", &errs.repeats), ("unaware", &errs.unaware)] {
            if let Some(given) = probability.get()
                && given.value.get() >= 1.0
            {
                let message = format!("with `{what}: 1` an agent never comes to an end");
                self.error(Code::EndlessHabit, given.span, message);
            }
        }
        let slow = match errs.slow.get()? {
            None => None,
            Some(slow) => Some((slow.value.share.get()?.get(), **slow.value.factor.get()?)),
        };
        Some(crate::agents::errs::Errs {
            repeats: errs.repeats.get()?.value.get(),
            unaware: errs.unaware.get()?.value.get(),
            slow,
            wrong,
            false_alarms: or_wrong(errs.false_alarms.get()?),
            misses: or_wrong(errs.misses.get()?),
            abstains: errs.abstains.get()?.get(),
            model: model.as_ref().map(|model| model.value.clone()),
            correlation: correlation.value.get(),
        })
    }

    fn arrivals(&mut self, group: &Group) -> Option<Arrivals> {
        let at = |time: &Duration| SimTime::ZERO.saturating_add(*time);
        let start = &group.start.get()?.value;
        let count = group.count.get();
        let unbounded = count.filter(|count| matches!(count.value, Count::Stream { arrivals: None, .. }));
        let needs_number = match start {
            Arrive::AtOnce { .. } => Some("all at once"),
            Arrive::Spread { .. } => Some("spread over a time"),
            _ => None,
        };
        if let (Some(how), Some(count)) = (needs_number, unbounded) {
            let message = format!("agents of a stream that arrive {how} need a number: `Stream(arrivals: ...)`");
            let problem = Diagnostic::error(Code::NoArrivals, count.span, message);
            self.out
                .push(problem.help("say when they arrive, for example `start: Poisson(rate: \"5/s\")`"));
            return None;
        }
        match start {
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
            Arrive::Rates(rates) => {
                let stretches: Vec<_> = rates
                    .value
                    .iter()
                    .map(|(time, rate)| (at(time), per_nano(*rate)))
                    .collect();
                let demand = Demand::new(&stretches);
                if demand.is_none() {
                    let message = match stretches.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
                        Some(pair) => format!("the times don't ascend: {} comes after {}", pair[1].0, pair[0].0),
                        None => "nobody ever arrives: no rate is above zero".into(),
                    };
                    self.error(Code::BadRates, rates.span, message);
                }
                demand.map(Arrivals::Rates)
            }
            Arrive::Windows {
                data,
                at: times,
                unit,
                rate,
                each,
                speed,
            } => {
                let (data, times, rate) = (data.get()?, times.get()?, rate.get()?);
                let (unit, each, speed) = (unit.get()?.as_nanos() as f64, per_nano(**each.get()?), **speed.get()?);
                let (begins, rates) = (
                    self.data.column(data, times, self.out)?,
                    self.data.column(data, rate, self.out)?,
                );
                let begin = |row: usize| {
                    let since = (begins.value(row) - begins.value(0)) * unit / speed;
                    SimTime::ZERO.saturating_add(SimDuration::from_nanos_f64(since))
                };
                let stretches = (0..begins.len()).map(|row| (begin(row), rates.value(row) * each));
                let demand = Demand::recorded(&stretches.collect::<Vec<_>>());
                if demand.is_none() {
                    let message = "the windows ascend in time, and their rates aren't negative, nor all zero";
                    self.error(Code::BadRates, data.span, message);
                }
                demand.map(Arrivals::Rates)
            }
            Arrive::Surge {
                rate,
                to,
                at: begin,
                r#for: lasts,
            } => {
                let usual = per_nano(**rate);
                let mut stretches = vec![(SimTime::ZERO, usual), (at(&begin.value), per_nano(*to))];
                stretches.extend(lasts.map(|lasts| (at(&begin.value).saturating_add(*lasts), usual)));
                let demand = Demand::new(&stretches);
                if demand.is_none() {
                    let message = format!("a surge begins after the run does, and this one at {}", begin.value);
                    let problem = Diagnostic::error(Code::BadRates, begin.span, message);
                    self.out.push(problem.help(
                        "`Rates` has a rate from the start on: `Rates([(\"0s\", \"280/s\"), (\"10s\", \"100/s\")])`",
                    ));
                }
                demand.map(Arrivals::Rates)
            }
            Arrive::Gaps { gap, from } => {
                let gap = gap.get()?;
                let law = self.time(gap)?;
                if law.support().1 <= 0.0 && unbounded.is_some() {
                    self.error(
                        Code::EndlessLoop,
                        gap.span,
                        "agents arrive without end and without a gap",
                    );
                    return None;
                }
                Some(Arrivals::Gaps {
                    from: at(from.get()?),
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
            } => {
                let times = self.trace(group, (data.get()?, column.get()?), unit)?;
                let start = SimTime::ZERO.saturating_add(*from.get()?);
                let speed = **speed.get()?;
                let at = |time: f64| start.saturating_add(SimDuration::from_nanos_f64(time / speed));
                Some(Arrivals::Times(times.into_iter().map(at).collect()))
            }
        }
    }

    /// The recorded times in nanoseconds, counted from the first.
    fn trace(
        &mut self,
        group: &Group,
        (data, column): (&Spanned<String>, &Spanned<String>),
        unit: &Part<Option<Positive<Duration>>>,
    ) -> Option<Vec<f64>> {
        let stamps = self.data.stamps(data, column, self.out)?;
        let since: Vec<f64> = match (&*stamps, unit.get()?) {
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
        if let Some(written) = group.count.get()
            && let Count::Fixed(count) = written.value
            && *count as usize > since.len()
        {
            let message = format!(
                "{} agents start at the times of a trace that has {}",
                *count,
                since.len()
            );
            let problem = Diagnostic::error(Code::NoArrivals, written.span, message);
            self.out.push(problem.label(column.span, "the trace"));
            return None;
        }
        Some(since)
    }
}
