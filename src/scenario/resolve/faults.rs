//! `faults`: targets and sides.

use super::Resolver;
use crate::faults::{FaultKind, FaultSpec, Independence, Keep as Left, Scope, Target, When as Schedule};
use crate::network::spec::Degradation;
use crate::network::{Cut, Group, InTransit, SiteId};
use crate::scenario::language::faults::{Each, InTransit as Passing, Keep, Side};
use crate::scenario::language::{Fault, Group as Members};
use crate::scenario::syntax::quantity::Positive;
use crate::scenario::syntax::{Code, Diagnostic, OneOrMany, Part, Span, Spanned, unknown_name, write};
use std::collections::BTreeMap;
use std::ops::Range;

/// Each side of a partition is cut off from every other.
const MOST_SIDES: usize = 1000;

type Names = Spanned<OneOrMany<Part<Spanned<String>>>>;

impl Resolver<'_, '_> {
    /// The faults by name; cuts and degradations are added to the network.
    pub(super) fn faults(&mut self) -> Vec<FaultSpec> {
        let file = self.file;
        let mut specs = Vec::new();
        for (name, fault) in file.faults.known() {
            let when = self.when(name, fault);
            self.fault(name, fault, when, &mut specs);
        }
        specs
    }

    fn fault(
        &mut self,
        name: &Spanned<String>,
        fault: &Spanned<Fault>,
        when: Option<Schedule>,
        specs: &mut Vec<FaultSpec>,
    ) -> Option<()> {
        let (kind, who, each) = match &fault.value {
            Fault::Partition { .. } => return self.partition(name, fault, when, specs),
            Fault::Degrade { .. } => return self.degrade(name, fault, when, specs),
            Fault::Crash { who, keep, each, .. } => {
                let keep = keep.get().map(|keep| match keep {
                    Keep::State => Left::State,
                    Keep::Nothing => Left::Nothing,
                });
                (keep.map(|keep| FaultKind::Crash { keep }), who, each)
            }
            Fault::Pause { who, each, .. } => (Some(FaultKind::Pause), who, each),
            Fault::ClockStep {
                who, by, undone, each, ..
            } => {
                let both = by.get().zip(undone.get());
                let kind = both.map(|(by, undone)| FaultKind::ClockStep {
                    by: by.0,
                    undone: *undone,
                });
                (kind, who, each)
            }
            Fault::Stall {
                services, speed, each, ..
            } => {
                let kind = speed.get().map(|speed| FaultKind::ServiceStall { speed: speed.get() });
                (kind, services, each)
            }
        };
        let only_services = matches!(fault.value, Fault::Stall { .. });
        let (who, each) = (who.get()?, each.get());
        let targets = self.targets(who, only_services);
        if matches!(each, Some(Each::Member)) {
            self.check_members(who);
        }
        let independence = match each? {
            Each::Together => Independence::Together,
            Each::Target => Independence::EachTarget,
            Each::Member => Independence::EachMember,
        };
        specs.push(FaultSpec {
            name: name.value.clone(),
            kind: kind?,
            when: when?,
            targets: targets?,
            independence,
        });
        Some(())
    }

    /// Agents of a stream come and go, so that none of them can have times of its own.
    fn check_members(&mut self, who: &Names) {
        let file = self.file;
        let is_stream = |name: &&Spanned<String>| file.agents.known_value(name).is_some_and(|group| group.is_stream());
        let mut names = who.value.0.iter().filter_map(Part::get);
        if let Some(name) = names.find(is_stream) {
            let message = "agents of a stream come and go: they are hit together, not `each: Member`";
            self.error(Code::WrongPeers, name.span, message);
        }
    }

    /// Whom a fault hits, by name, each once.
    fn targets(&mut self, who: &Names, only_services: bool) -> Option<Vec<Target>> {
        if who.value.0.is_empty() {
            self.error(Code::EmptyGroup, who.span, "the fault hits nobody");
            return None;
        }
        let mut targets: BTreeMap<&str, (Scope, Span)> = BTreeMap::new();
        let mut good = !who.value.0.iter().any(Part::is_unread);
        for name in who.value.0.iter().filter_map(Part::get) {
            let Some(scope) = self.scope(name, only_services) else {
                good = false;
                continue;
            };
            if let Some((_, first)) = targets.insert(&name.value, (scope, name.span)) {
                good = false;
                let message = format!("{} stands twice", write::quoted(name));
                let problem = Diagnostic::error(Code::NamedTwice, name.span, message);
                self.out.push(problem.label(first, "it stood here first"));
            }
        }
        let target = |(name, (scope, _)): (&str, (Scope, Span))| Target {
            name: name.to_owned(),
            scope,
        };
        good.then(|| targets.into_iter().map(target).collect())
    }

    /// Who is called so: a site, a group of agents, a service or a store.
    fn scope(&mut self, name: &Spanned<String>, only_services: bool) -> Option<Scope> {
        let file = self.file;
        let service = file
            .services
            .position(name)
            .map(|at| ("a service", Scope::Service(self.addresses.services[at])));
        let others = [
            file.sites
                .0
                .position(name)
                .map(|at| ("a site", Scope::Site(SiteId(at as u32)))),
            file.agents.position(name).map(|at| {
                let first = self.addresses.agents[at];
                let group = file.agents.known_value(name);
                let count = group.and_then(Members::reserved).unwrap_or(1);
                ("a group of agents", Scope::Tags(first..first + count))
            }),
            file.state.position(name).map(|at| {
                let first = self.addresses.stores[at];
                (
                    "a store",
                    Scope::Tags(first..first + self.stores[at].sites.len() as u32),
                )
            }),
            file.coordination.position(name).map(|at| {
                let first = self.addresses.coordination[at];
                let count = self.coordinated[at].sites.len() as u32;
                ("a coordination group", Scope::Tags(first..first + count))
            }),
        ];
        let found: Vec<_> = match only_services {
            true => service.into_iter().collect(),
            false => service.into_iter().chain(others.into_iter().flatten()).collect(),
        };
        match found.as_slice() {
            [(_, scope)] => Some(scope.clone()),
            [] if only_services => {
                if file.services.is_whole() {
                    unknown_name(name, file.services.names(), Code::UnknownTarget, "service", self.out);
                }
                None
            }
            [] => {
                let places = [
                    file.sites.0.is_whole(),
                    file.agents.is_whole(),
                    file.coordination.is_whole(),
                ];
                if places.contains(&false) || !file.services.is_whole() || !file.state.is_whole() {
                    return None;
                }
                let names = file.sites.0.names().chain(file.agents.names());
                let names = names.chain(file.services.names()).chain(file.state.names());
                let names = names.chain(file.coordination.names());
                let what = "site, group of agents, service, store or coordination group";
                unknown_name(name, names, Code::UnknownTarget, what, self.out);
                None
            }
            [(first, _), (second, _), ..] => {
                let message = format!("{} is both {first} and {second}", write::quoted(name));
                let problem = Diagnostic::error(Code::AmbiguousName, name.span, message);
                self.out.push(problem.help("rename one of them"));
                None
            }
        }
    }

    fn partition(
        &mut self,
        name: &Spanned<String>,
        fault: &Spanned<Fault>,
        when: Option<Schedule>,
        specs: &mut Vec<FaultSpec>,
    ) -> Option<()> {
        let Fault::Partition {
            groups,
            from,
            to,
            in_flight,
            sent,
            ..
        } = &fault.value
        else {
            return None;
        };
        let transit = |passing: &Passing| match passing {
            Passing::Lost => InTransit::Lost,
            Passing::Held => InTransit::Held,
        };
        let head = name.span;
        let groups = groups.get();
        let (Some(from), Some(to), Some(groups)) = (from.get(), to.get(), groups) else {
            // Who is cut off from whom is unknown; the names that are known can still be looked up.
            let one_way = [from.given(), to.given()].into_iter().flatten();
            let several = groups.into_iter().flatten().filter_map(Part::get);
            let known: Vec<&Spanned<Side>> = one_way.chain(several).collect();
            self.each_side(&known);
            return None;
        };
        let cuts: Vec<(Group, Group, bool)> = match (groups.as_slice(), from, to) {
            ([], Some(from), Some(to)) => {
                let sides = self.sides(&[from, to])?;
                vec![(sides[0].clone(), sides[1].clone(), false)]
            }
            ([], None, None) => {
                let problem = Diagnostic::error(Code::EmptyGroup, head, "the partition has no sides");
                self.out
                    .push(problem.help("name one side, or all: `groups: [[\"a\"], [\"b\", \"c\"]]`"));
                return None;
            }
            ([_, ..], None, None) if groups.len() > MOST_SIDES => {
                let message = format!(
                    "a partition has at most {MOST_SIDES} sides, and this has {}",
                    groups.len()
                );
                self.error(Code::TooMany, head, message);
                return None;
            }
            ([_, ..], None, None) => {
                let written: Vec<&Spanned<Side>> = groups.iter().filter_map(Part::get).collect();
                if written.len() < groups.len() {
                    self.each_side(&written);
                    return None;
                }
                let mut sides = self.sides(&written)?;
                // One side alone is cut off from everything else.
                if let [only] = sides.as_slice() {
                    sides.push(only.clone().others());
                }
                let pair = |n: usize| {
                    let rest = match &sides[n + 1..] {
                        [one] => one.clone(),
                        many => Group::AnyOf(many.to_vec()),
                    };
                    (sides[n].clone(), rest, true)
                };
                (0..sides.len() - 1).map(pair).collect()
            }
            _ => {
                let message = "a partition says either its `groups`, or `from` one side `to` another";
                self.error(Code::Conflicting, head, message);
                return None;
            }
        };
        let (in_flight, sent) = (transit(in_flight.get()?), transit(sent.get()?));
        let when = when?;
        if cuts.len() > 1 && matches!(when, Schedule::Drawn { .. }) {
            let message = "a partition at drawn times has two sides; more would be drawn apart";
            self.error(Code::Conflicting, head, message);
            return None;
        }
        for (number, (from, to, both_ways)) in cuts.into_iter().enumerate() {
            let name = match number {
                0 => name.value.clone(),
                number => format!("{}/{}", name.value, number + 1),
            };
            let cut = self.network.cuts.len() as u32;
            self.network.cuts.push(Cut {
                name: name.clone(),
                from,
                to,
                both_ways,
                in_flight,
                sent,
            });
            specs.push(FaultSpec {
                name,
                kind: FaultKind::Partition { cut },
                when: when.clone(),
                targets: Vec::new(),
                independence: Independence::Together,
            });
        }
        Some(())
    }

    fn degrade(
        &mut self,
        name: &Spanned<String>,
        fault: &Spanned<Fault>,
        when: Option<Schedule>,
        specs: &mut Vec<FaultSpec>,
    ) -> Option<()> {
        let Fault::Degrade {
            from,
            to,
            both_ways,
            latency_factor,
            latency_added,
            loss,
            bandwidth_factor,
            ..
        } = &fault.value
        else {
            return None;
        };
        let mut side = |side: &Part<Option<Spanned<Side>>>| match side.get()? {
            None => Some(Group::All),
            Some(side) => self.sides(&[side]).map(|mut sides| sides.remove(0)),
        };
        let (from, to) = (side(from), side(to));
        if let Some(factor) = latency_factor.get().filter(|factor| factor.is_sign_negative()) {
            self.error(Code::QuantityRange, factor.span, "`latency_factor` can't be negative");
            return None;
        }
        let degradation = self.network.degradations.len() as u32;
        self.network.degradations.push(Degradation {
            name: name.value.clone(),
            from: from?,
            to: to?,
            both_ways: *both_ways.get()?,
            latency_factor: latency_factor.get()?.value,
            latency_added: *latency_added.get()?,
            loss: loss.get()?.get(),
            bandwidth_factor: **bandwidth_factor.get()?,
        });
        specs.push(FaultSpec {
            name: name.value.clone(),
            kind: FaultKind::Degrade { degradation },
            when: when?,
            targets: Vec::new(),
            independence: Independence::Together,
        });
        Some(())
    }

    /// The sides of a cut; none overlaps another, and one may be all the rest.
    fn sides(&mut self, written: &[&Spanned<Side>]) -> Option<Vec<Group>> {
        let sides = self.each_side(written)?;
        let others: Vec<Group> = sides.iter().flatten().cloned().collect();
        if others.is_empty() {
            let span = written.first().map_or(Span::default(), |side| side.span);
            self.error(Code::EmptyGroup, span, "there is no side that the rest could be beside");
            return None;
        }
        let rest = Group::AnyOf(others).others();
        Some(
            sides
                .into_iter()
                .map(|side| side.unwrap_or_else(|| rest.clone()))
                .collect(),
        )
    }

    /// The sides one by one, where `None` is the rest. All of them are checked.
    fn each_side(&mut self, written: &[&Spanned<Side>]) -> Option<Vec<Option<Group>>> {
        let mut sides: Vec<Option<Group>> = Vec::new();
        let mut rest: Option<Span> = None;
        let mut named: BTreeMap<&str, Span> = BTreeMap::new();
        let mut good = true;
        for side in written {
            match &side.value {
                Side::Rest => {
                    if let Some(first) = rest.replace(side.span) {
                        let problem = Diagnostic::error(Code::NamedTwice, side.span, "two sides are the rest");
                        self.out.push(problem.label(first, "it stood here first"));
                        good = false;
                    }
                    sides.push(None);
                }
                Side::Members { group, first, count } => {
                    let members = self.some_members(group, first, count);
                    good &= members.is_some();
                    sides.push(members.map(Group::tags));
                }
                Side::Names(names) => {
                    if names.value.0.is_empty() {
                        self.error(Code::EmptyGroup, names.span, "this side is empty");
                        good = false;
                    }
                    for name in names.value.0.iter().filter_map(Part::get) {
                        if let Some(first) = named.insert(&name.value, name.span) {
                            let message = format!("{} can't be on two sides, or twice on one", write::quoted(name));
                            let problem = Diagnostic::error(Code::NamedTwice, name.span, message);
                            self.out.push(problem.label(first, "it stood here first"));
                            good = false;
                        }
                    }
                    let side = self.side(names);
                    good &= side.is_some();
                    sides.push(side);
                }
            }
        }
        good.then_some(sides)
    }

    /// Everything of these names, in an order that doesn't depend on theirs.
    fn side(&mut self, names: &Names) -> Option<Group> {
        let names = names.value.0.iter();
        let scopes: Vec<Option<Scope>> = names.map(|name| self.scope(name.get()?, false)).collect();
        let (mut sites, mut tags): (Vec<SiteId>, Vec<Range<u32>>) = Default::default();
        for scope in scopes.into_iter().collect::<Option<Vec<_>>>()? {
            match scope {
                Scope::Site(site) => sites.push(site),
                Scope::Tags(range) => tags.push(range),
                Scope::Service(entity) => tags.push(entity..entity + 1),
            }
        }
        let of_sites = (!sites.is_empty()).then(|| Group::sites(sites));
        let of_tags = (!tags.is_empty()).then(|| Group::Tags(tags.into_iter().collect()));
        match (of_sites, of_tags) {
            (Some(sites), Some(tags)) => Some(Group::AnyOf(vec![sites, tags])),
            (one, other) => one.or(other),
        }
    }

    fn some_members(
        &mut self,
        group: &Part<Spanned<String>>,
        first: &Part<u32>,
        count: &Part<Positive<u32>>,
    ) -> Option<Range<u32>> {
        let groups = &self.file.agents;
        let group = group.get()?;
        let found = groups.look_up(group, Code::UnknownGroup, "group of agents", self.out)?;
        let size = found.get()?.reserved()?;
        let (first, count) = (*first.get()?, **count.get()?);
        if u64::from(first) + u64::from(count) > u64::from(size) {
            let message = format!("the group has {size} members, numbered from 0");
            self.error(Code::EmptyGroup, group.span, message);
            return None;
        }
        let at = groups.position(group)?;
        let base = self.addresses.agents[at] + first;
        Some(base..base + count)
    }
}
