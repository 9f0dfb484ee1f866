//! `faults`: targets, sides, and times.

use super::Resolver;
use crate::faults::{
    FaultKind, FaultSpec, Independence, Keep as Left, Scope, Target, When as Schedule, Window as Lasting,
};
use crate::kernel::{SimDuration, SimTime};
use crate::network::spec::Degradation;
use crate::network::{Cut, Group, InTransit, SiteId};
use crate::scenario::language::Fault;
use crate::scenario::language::faults::{Each, InTransit as Passing, Keep, Side, Times, When, Window};
use crate::scenario::syntax::quantity::Duration;
use crate::scenario::syntax::{Code, Diagnostic, OneOrMany, Span, Spanned, unknown_name, write};
use std::collections::BTreeMap;
use std::ops::Range;

type Names = Spanned<OneOrMany<Spanned<String>>>;

impl Resolver<'_, '_> {
    /// The faults by name; cuts and degradations are added to the network.
    pub(super) fn faults(&mut self) -> Vec<FaultSpec> {
        let file = self.file;
        let mut specs = Vec::new();
        for (name, fault) in file.faults.canonical() {
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
                let keep = match keep {
                    Keep::State => Left::State,
                    Keep::Nothing => Left::Nothing,
                };
                (FaultKind::Crash { keep }, who, each)
            }
            Fault::Pause { who, each, .. } => (FaultKind::Pause, who, each),
            Fault::ClockStep {
                who, by, undone, each, ..
            } => {
                let kind = FaultKind::ClockStep {
                    by: by.0,
                    undone: *undone,
                };
                (kind, who, each)
            }
            Fault::Stall {
                services, speed, each, ..
            } => (FaultKind::ServiceStall { speed: speed.get() }, services, each),
        };
        let only_services = matches!(fault.value, Fault::Stall { .. });
        let targets = self.targets(who, only_services)?;
        if matches!(each, Each::Member) {
            self.check_members(who)?;
        }
        let independence = match each {
            Each::Together => Independence::Together,
            Each::Target => Independence::EachTarget,
            Each::Member => Independence::EachMember,
        };
        specs.push(FaultSpec {
            name: name.value.clone(),
            kind,
            when: when?,
            targets,
            independence,
        });
        Some(())
    }

    /// Agents of a stream come and go, so that none of them can have times of its own.
    fn check_members(&mut self, who: &Names) -> Option<()> {
        let file = self.file;
        let is_stream = |name: &&Spanned<String>| file.agents.get(name).is_some_and(|group| group.is_stream());
        let name = who.value.0.iter().find(is_stream);
        if let Some(name) = name {
            let message = "agents of a stream come and go: they are hit together, not `each: Member`";
            self.error(Code::WrongPeers, name.span, message);
        }
        name.is_none().then_some(())
    }

    /// Whom a fault hits, by name, each once.
    fn targets(&mut self, who: &Names, only_services: bool) -> Option<Vec<Target>> {
        if who.value.0.is_empty() {
            self.error(Code::EmptyGroup, who.span, "the fault hits nobody");
            return None;
        }
        let mut targets: BTreeMap<&str, (Scope, Span)> = BTreeMap::new();
        let mut good = true;
        for name in &who.value.0 {
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
                let count = file.agents.get(name).map_or(0, |group| group.reserved());
                ("a group of agents", Scope::Tags(first..first + count))
            }),
            self.stores.iter().position(|store| store.name == name.value).map(|at| {
                let first = self.addresses.stores[at];
                (
                    "a store",
                    Scope::Tags(first..first + self.stores[at].sites.len() as u32),
                )
            }),
        ];
        let found: Vec<_> = match only_services {
            true => service.into_iter().collect(),
            false => service.into_iter().chain(others.into_iter().flatten()).collect(),
        };
        match found.as_slice() {
            [(_, scope)] => Some(scope.clone()),
            [] if only_services => {
                unknown_name(name, file.services.names(), Code::UnknownTarget, "service", self.out);
                None
            }
            [] => {
                let names = file.sites.0.names().chain(file.agents.names());
                let names = names.chain(file.services.names()).chain(file.state.names());
                let what = "site, group of agents, service or store";
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
            ([_, ..], None, None) => {
                let written: Vec<&Spanned<Side>> = groups.iter().collect();
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
                in_flight: transit(in_flight),
                sent: transit(sent),
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
        let side = |side: &Option<Spanned<Side>>, this: &mut Self| match side {
            None => Some(Group::All),
            Some(side) => this.sides(&[side]).map(|mut sides| sides.remove(0)),
        };
        let (from, to) = (side(from, self), side(to, self));
        if latency_factor.is_sign_negative() {
            self.error(Code::QuantityRange, name.span, "`latency_factor` can't be negative");
            return None;
        }
        let degradation = self.network.degradations.len() as u32;
        self.network.degradations.push(Degradation {
            name: name.value.clone(),
            from: from?,
            to: to?,
            both_ways: *both_ways,
            latency_factor: *latency_factor,
            latency_added: *latency_added,
            loss: loss.get(),
            bandwidth_factor: **bandwidth_factor,
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
                    let members = self.some_members(group, *first, **count);
                    good &= members.is_some();
                    sides.push(members.map(Group::tags));
                }
                Side::Names(names) => {
                    if names.value.0.is_empty() {
                        self.error(Code::EmptyGroup, names.span, "this side is empty");
                        good = false;
                    }
                    for name in &names.value.0 {
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
        if !good {
            return None;
        }
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

    /// Everything of these names, in an order that doesn't depend on theirs.
    fn side(&mut self, names: &Names) -> Option<Group> {
        let scopes: Vec<Option<Scope>> = names.value.0.iter().map(|name| self.scope(name, false)).collect();
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

    fn some_members(&mut self, group: &Spanned<String>, first: u32, count: u32) -> Option<Range<u32>> {
        let file = self.file;
        let found = file
            .agents
            .look_up(group, Code::UnknownGroup, "group of agents", self.out)?;
        let size = found.reserved();
        if u64::from(first) + u64::from(count) > u64::from(size) {
            let message = format!("the group has {size} members, numbered from 0");
            self.error(Code::EmptyGroup, group.span, message);
            return None;
        }
        let at = file.agents.position(group)?;
        let base = self.addresses.agents[at] + first;
        Some(base..base + count)
    }

    /// When a fault is on.
    fn when(&mut self, name: &Spanned<String>, fault: &Spanned<Fault>) -> Option<Schedule> {
        let Times { at, lasts, until, when } = fault.value.times();
        match (at, when) {
            (Some(at), None) => {
                let window = self.window(at, lasts.as_ref(), until.as_ref())?;
                Some(Schedule::Windows(vec![window]))
            }
            (None, Some(when)) => {
                if let Some(other) = lasts.as_ref().or(until.as_ref()) {
                    self.error(
                        Code::Conflicting,
                        other.span,
                        "beside `when` there is no `for` and no `until`",
                    );
                }
                self.several(when)
            }
            (Some(at), Some(when)) => {
                let problem = Diagnostic::error(Code::Conflicting, at.span, "a fault has either `at` or `when`");
                self.out.push(problem.label(when.span, "the other one"));
                None
            }
            (None, None) => {
                let problem = Diagnostic::error(Code::NoTime, name.span, "it isn't said when this happens");
                self.out
                    .push(problem.help("say for example `at: \"60s\", for: \"30s\"`"));
                None
            }
        }
    }

    fn several(&mut self, when: &Spanned<When>) -> Option<Schedule> {
        let end = self.until.latest();
        let time = |time: &Duration| SimTime::ZERO.saturating_add(*time);
        match &when.value {
            When::Windows(windows) => {
                if windows.is_empty() {
                    self.error(Code::NoTime, when.span, "there is no window");
                    return None;
                }
                let spans: Vec<Option<Lasting>> = windows.iter().map(|window| self.of_window(window)).collect();
                let spans: Vec<Lasting> = spans.into_iter().collect::<Option<_>>()?;
                let mut good = true;
                for (n, pair) in spans.windows(2).enumerate() {
                    let end = pair[0]
                        .lasts
                        .map_or(SimTime::NEVER, |lasts| pair[0].at.saturating_add(lasts));
                    if pair[1].at < end || pair[1].at <= pair[0].at {
                        let message = "this window begins before the one before it has ended";
                        let problem = Diagnostic::error(Code::Overlapping, windows[n + 1].value.at.span, message);
                        self.out
                            .push(problem.label(windows[n].value.at.span, "the one before it"));
                        good = false;
                    }
                }
                good.then_some(Schedule::Windows(spans))
            }
            When::Flapping { from, until, on, off } => {
                let laws = (self.time(on), self.time(off));
                let (from, until) = (time(from), until.as_ref().map_or(end, time));
                let (down, up) = (laws.0?, laws.1?);
                self.ends_after_start(from, until, when.span)?;
                self.takes_time(&down, &up, on.span)?;
                Some(Schedule::Flapping { from, until, down, up })
            }
            When::Drawn {
                from,
                until,
                to_failure,
                to_repair,
            } => {
                let laws = (self.time(to_failure), self.time(to_repair));
                let (from, until) = (time(from), until.as_ref().map_or(end, time));
                let (fails, repairs) = (laws.0?, laws.1?);
                self.ends_after_start(from, until, when.span)?;
                self.takes_time(&fails, &repairs, to_failure.span)?;
                Some(Schedule::Drawn {
                    from,
                    until,
                    to_failure: fails,
                    to_repair: repairs,
                })
            }
        }
    }

    fn ends_after_start(&mut self, from: SimTime, until: SimTime, span: Span) -> Option<()> {
        if until <= from {
            self.error(
                Code::EndsBeforeStart,
                span,
                format!("it ends at {until}, and begins at {from}"),
            );
            return None;
        }
        Some(())
    }

    fn takes_time(&mut self, on: &crate::random::Law, off: &crate::random::Law, span: Span) -> Option<()> {
        if on.support().1 <= 0.0 && off.support().1 <= 0.0 {
            self.error(Code::EndlessLoop, span, "it goes on and off in no time");
            return None;
        }
        Some(())
    }

    fn of_window(&mut self, window: &Spanned<Window>) -> Option<Lasting> {
        self.window(
            &window.value.at,
            window.value.r#for.as_ref(),
            window.value.until.as_ref(),
        )
    }

    fn window(
        &mut self,
        at: &Spanned<Duration>,
        lasts: Option<&Spanned<Duration>>,
        until: Option<&Spanned<Duration>>,
    ) -> Option<Lasting> {
        let begin = SimTime::ZERO.saturating_add(at.value);
        if begin >= self.until.latest() {
            let message = format!(
                "this begins at {}, and the run is over at {}",
                at.value,
                self.until.latest()
            );
            let problem = Diagnostic::warning(Code::AfterTheEnd, at.span, message);
            self.out.push(problem.label(self.file.until.span, "the end of the run"));
        }
        let lasts = match (lasts, until) {
            (Some(lasts), Some(until)) => {
                let problem = Diagnostic::error(Code::Conflicting, lasts.span, "a window has either `for` or `until`");
                self.out.push(problem.label(until.span, "the other one"));
                return None;
            }
            (Some(lasts), None) if lasts.value == SimDuration::ZERO => {
                self.error(Code::EndsBeforeStart, lasts.span, "it lasts no time at all");
                return None;
            }
            (Some(lasts), None) => Some(lasts.value),
            (None, Some(until)) if until.value <= at.value => {
                let message = format!("it ends at {}, and begins at {}", until.value, at.value);
                let problem = Diagnostic::error(Code::EndsBeforeStart, until.span, message);
                self.out.push(problem.label(at.span, "it begins here"));
                return None;
            }
            (None, Some(until)) => Some(until.value.saturating_sub(at.value)),
            (None, None) => None,
        };
        Some(Lasting { at: begin, lasts })
    }
}
