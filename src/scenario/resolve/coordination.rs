//! `coordination`: where members are, whom agents ask, and by which rules members work.

use super::Resolver;
use super::hierarchy::{Layout, failover_of};
use crate::agents::step::{Aim, CallStep, Whom};
use crate::coordination::group::{Beside, GroupSpec};
use crate::coordination::{CoordinationSpec, Protocol};
use crate::kernel::SimDuration;
use crate::network::SiteId;
use crate::scenario::language::agents::Group as Agents;
use crate::scenario::language::coordination::{Coordination, Pattern};
use crate::scenario::plan::MOST_AGENTS;
use crate::scenario::syntax::quantity::Bytes;
use crate::scenario::syntax::{Code, Diagnostic, OneOrMany, Part, Span, Spanned, unknown_name, write};
use crate::services::Routing;
use crate::state::Clock;
use std::ops::Range;

/// Where the members of a coordination group are, as far as it is known.
#[derive(Debug, Clone)]
pub(super) struct Placed {
    pub name: String,
    /// The sites of its members.
    pub sites: Vec<SiteId>,
    /// The first of the members that are there for agents to ask, one for each site; without it agents ask the nearest one.
    pub desks: Option<u32>,
    /// Of a hierarchy who stands under whom, if that can be.
    pub layout: Option<Layout>,
}

/// Of a group with more members an agent asks the nearest alone.
const MOST_COUNCIL: usize = 64;

/// Whether agents of a group take messages of this topic.
fn reads(agents: &Agents, topic: &str) -> bool {
    let mut awaited = agents.on.names().any(|handled| handled == topic);
    agents.each_step(&mut |step| {
        if let crate::scenario::language::Step::Wait { topic: waits, .. } = &step.value {
            awaited |= waits.given().is_none_or(|waits| waits.value == topic);
        }
    });
    awaited
}

fn is_hierarchy(group: &Coordination) -> bool {
    let pattern = group.pattern.get();
    pattern.is_some_and(|pattern| matches!(pattern.value, Pattern::Hierarchy { .. }))
}

pub(super) fn nanos(time: SimDuration) -> i64 {
    i64::try_from(time.as_nanos()).unwrap_or(i64::MAX / 4)
}

impl Resolver<'_, '_> {
    /// Where the members of all coordination groups are, by name. A group of which that isn't known has one member: its id is never used.
    pub(super) fn place_coordination(&mut self) {
        let file = self.file;
        let mut left = MOST_AGENTS;
        for (name, group) in file.coordination.canonical() {
            let mut layout = None;
            let sites = match group.get() {
                Some(group) if is_hierarchy(group) => {
                    layout = self.hierarchy_layout(group, &mut left);
                    let failover = group.pattern.get().and_then(|pattern| failover_of(&pattern.value));
                    layout
                        .as_ref()
                        .zip(failover)
                        .map(|(layout, failover)| layout.members(failover))
                }
                Some(group) => self.member_sites(name, group, &mut left),
                None => None,
            };
            let mut sites = sites.unwrap_or_else(|| vec![SiteId(0)]);
            let pattern = group.get().and_then(|group| group.pattern.get());
            let has_desks = |pattern: &Pattern| matches!(pattern, Pattern::Pbft { .. } | Pattern::Hierarchy { .. });
            let is_asked_at_desks = pattern.is_some_and(|pattern| has_desks(&pattern.value));
            let desks = is_asked_at_desks.then_some(sites.len() as u32);
            if is_asked_at_desks {
                sites.extend((0..file.sites.0.len() as u32).map(SiteId));
            }
            self.coordinated.push(Placed {
                name: name.value.clone(),
                sites,
                desks,
                layout,
            });
        }
    }

    /// Who stands under whom in a hierarchy. What there is to say against it is said here.
    fn hierarchy_layout(&mut self, group: &Coordination, left: &mut u64) -> Option<Layout> {
        let (at, members, beside) = (group.at.given(), group.members.given(), group.beside.given());
        let given = [
            at.map(|at| at.span),
            members.map(|members| members.span),
            beside.map(|beside| beside.span),
        ];
        self.check_hierarchy_places(given);
        let layout = self.layout(group.pattern.get()?)?;
        *left = left.saturating_sub(2 * layout.sites.len() as u64);
        Some(layout)
    }

    fn member_sites(&mut self, name: &Spanned<String>, group: &Coordination, left: &mut u64) -> Option<Vec<SiteId>> {
        let (at, beside, members) = (group.at.get()?, group.beside.get()?, group.members.get()?);
        let (sites, count) = match (at, beside) {
            (Some(at), None) => {
                let sites: Option<Vec<SiteId>> = at.value.0.iter().map(|site| self.site_of(site)).collect();
                let sites = sites?;
                let count = members
                    .as_ref()
                    .map_or(sites.len() as u64, |members| u64::from(*members.value));
                (sites, count)
            }
            (None, Some(beside)) => {
                if let Some(members) = members {
                    let message = "there is a member `beside` each agent: `members` has nothing to say";
                    self.error(Code::BadCoordination, members.span, message);
                }
                let sites = self.sites_beside(beside, left)?;
                let count = sites.len() as u64;
                (sites, count)
            }
            (Some(_), Some(beside)) => {
                let message = "members are `at` sites, or `beside` agents: not both";
                self.error(Code::BadCoordination, beside.span, message);
                return None;
            }
            (None, None) => {
                let problem = Diagnostic::error(Code::BadCoordination, name.span, "nothing says where its members are");
                self.out.push(
                    problem.help(
                        "`at: [\"a\", \"b\"]` places one at each site, `beside: \"agents\"` one beside each agent",
                    ),
                );
                return None;
            }
        };
        if sites.is_empty() {
            let span = group.at.given().map_or(name.span, |at| at.span);
            self.error(
                Code::EmptyGroup,
                span,
                "expected at least one site, found an empty list",
            );
            return None;
        }
        if count > *left {
            let span = members.as_ref().map_or(name.span, |members| members.span);
            self.no_room_for_members(span);
            return None;
        }
        *left -= count;
        Some(sites.iter().copied().cycle().take(count as usize).collect())
    }

    fn no_room_for_members(&mut self, span: Span) {
        let message = format!("coordination groups have {MOST_AGENTS} members at most, all together");
        self.error(Code::TooMany, span, message);
    }

    /// The sites of members beside the agents of these groups, in their order; there are `left` members at most.
    fn sites_beside(
        &mut self,
        beside: &Spanned<OneOrMany<Part<Spanned<String>>>>,
        left: &mut u64,
    ) -> Option<Vec<SiteId>> {
        let file = self.file;
        let (mut all, mut named) = (Vec::new(), Vec::new());
        for name in &beside.value.0 {
            let name = name.get()?;
            let agents = file
                .agents
                .look_up(name, Code::UnknownGroup, "group of agents", self.out)?;
            let agents = agents.get()?;
            if agents.is_stream() {
                let message = "agents of a stream come and go: a coordination group has members that stay";
                self.error(Code::BadCoordination, name.span, message);
                return None;
            }
            if named.contains(&&name.value) {
                let message = format!(
                    "there is a member beside each of {} already: one is enough",
                    write::quoted(name)
                );
                self.error(Code::BadCoordination, name.span, message);
                return None;
            }
            named.push(&name.value);
            let position = |site: &Part<Spanned<String>>| file.sites.0.position(site.get()?);
            let sites: Option<Vec<usize>> = agents.at.get()?.value.0.iter().map(position).collect();
            let count = u64::from(agents.reserved()?);
            if all.len() as u64 + count > *left {
                self.no_room_for_members(name.span);
                return None;
            }
            let sites = sites?.into_iter().map(|at| SiteId(at as u32)).collect::<Vec<_>>();
            all.extend(sites.iter().cycle().take(count as usize));
        }
        Some(all)
    }

    /// The coordination groups, by name.
    pub(super) fn coordination(&mut self) -> Vec<CoordinationSpec> {
        let file = self.file;
        let placed = self.coordinated.clone();
        let mut all = Vec::new();
        for ((name, group), placed) in file.coordination.canonical().zip(placed) {
            if let Some(group) = group.get() {
                all.extend(self.coordination_group(name, group, placed));
            }
        }
        all
    }

    /// The topics by which groups set agents to work.
    pub(super) fn engagements(&mut self) {
        let file = self.file;
        for (_, group) in file.coordination.known() {
            if let Some(Pattern::Voting { on, ballot, .. }) = group.pattern.get().map(|pattern| &pattern.value)
                && let (Some(on), Some(bytes)) = (on.get(), self.bytes_of(ballot))
                && let Some(topic) = self.topics.get(&on.value)
            {
                self.engaged.insert(*topic, bytes);
            }
        }
        self.results_of_work();
    }

    fn coordination_group(
        &mut self,
        name: &Spanned<String>,
        group: &Coordination,
        placed: Placed,
    ) -> Option<CoordinationSpec> {
        let sites = placed.sites.clone();
        let clocks = self.member_clocks(group, &sites);
        let beside = self.beside(group);
        let answer_bytes = self.bytes_of(&group.answer);
        let pattern = group.pattern.get()?;
        let own = placed.desks.map_or(sites.len(), |desks| desks as usize);
        let runs = beside
            .as_ref()
            .map(|beside| beside.as_ref().map_or(&[][..], |beside| &beside.runs));
        let mut protocol = match is_hierarchy(group) {
            true => self.hierarchy_group(pattern, placed.layout.clone()),
            false => self.pattern(name, pattern, &sites[..own], runs),
        };
        if let Some(Protocol::Raft(rules)) = &mut protocol {
            rules.tells = beside.as_ref()?.as_ref().is_some_and(|beside| beside.topic.is_some());
        }
        let askers = (0..self.file.sites.0.len() as u32).map(SiteId);
        let asked = askers.map(|from| self.asked_from(from, &placed)).collect();
        Some(CoordinationSpec {
            group: GroupSpec {
                name: name.value.clone(),
                answer_bytes: answer_bytes?,
                beside: beside?,
            },
            asked,
            clocks: clocks?,
            protocol: protocol?,
            sites,
        })
    }

    /// The member that agents at a site ask.
    fn asked_from(&self, from: SiteId, placed: &Placed) -> u32 {
        match placed.desks {
            Some(first) => first + from.0,
            None => self.nearest_of(from, &placed.sites),
        }
    }

    /// The member nearest to a site, by the mean latency; of several the first.
    fn nearest_of(&self, from: SiteId, sites: &[SiteId]) -> u32 {
        let mut nearest = (f64::INFINITY, 0);
        // There are few sites, and may be many members.
        let mut seen = std::collections::BTreeSet::new();
        for (site, member) in sites.iter().zip(0u32..) {
            if seen.insert(*site) {
                let distance = self.distance(from, *site);
                if distance.total_cmp(&nearest.0).is_lt() {
                    nearest = (distance, member);
                }
            }
        }
        nearest.1
    }

    fn member_clocks(&mut self, group: &Coordination, sites: &[SiteId]) -> Option<Vec<(u32, Clock)>> {
        let mut clocks = Vec::new();
        for (name, clock) in group.clocks.canonical() {
            let site = self.site(name)?;
            let clock = self.clock(clock.get()?)?;
            let here = (0u32..).zip(sites).filter(|(_, at)| **at == site);
            let before = clocks.len();
            clocks.extend(here.map(|(member, _)| (member, clock.clone())));
            if clocks.len() == before {
                let message = "the group has no member at this site, and so no clock";
                self.error(Code::UnknownSite, name.span, message);
            }
        }
        Some(clocks)
    }

    fn beside(&mut self, group: &Coordination) -> Option<Option<Beside>> {
        let (beside, tells) = (group.beside.get()?, group.tells.get()?);
        let Some(beside) = beside else {
            if let Some(tells) = tells {
                let message = "there are no agents `beside` the members that could be told something";
                self.error(Code::BadCoordination, tells.span, message);
            }
            return Some(None);
        };
        let (mut runs, mut is_read) = (Vec::new(), false);
        for name in &beside.value.0 {
            let name = name.get()?;
            let at = self.file.agents.position(name)?;
            let agents = self.file.agents.known_value(name)?;
            let first = self.addresses.agents[at];
            runs.push(first..first + agents.reserved()?);
            is_read |= tells.as_ref().is_none_or(|tells| reads(agents, &tells.value));
        }
        if let Some(tells) = tells
            && !is_read
        {
            let message = format!("nobody there handles or waits for the topic {}", write::quoted(tells));
            self.warn(Code::TopicUnread, tells.span, message);
        }
        if let (Some(tells), Some(pattern)) = (tells, group.pattern.get())
            && !matches!(
                pattern.value,
                Pattern::Gossip { .. } | Pattern::Causal { .. } | Pattern::Raft { .. }
            )
        {
            let message = "members of such a group tell the agents beside them nothing";
            self.warn(Code::NothingTold, tells.span, message);
        }
        let topic = tells.as_ref().map(|tells| self.topics[&tells.value]);
        Some(Some(Beside { runs, topic }))
    }

    fn pattern(
        &mut self,
        name: &Spanned<String>,
        pattern: &Spanned<Pattern>,
        sites: &[SiteId],
        runs: Option<&[Range<u32>]>,
    ) -> Option<Protocol> {
        match &pattern.value {
            Pattern::Raft { .. } => self.raft_group(name, pattern, sites),
            Pattern::Voting { .. } => self.voting_group(pattern),
            Pattern::Gossip { .. } => self.gossip_group(name, pattern, sites.len() as u32),
            Pattern::Swim { .. } => self.swim_group(pattern, sites.len() as u32),
            Pattern::Causal { .. } => self.causal_group(pattern, sites.len() as u32),
            Pattern::Pbft { .. } => self.pbft_group(pattern, sites.len() as u32),
            Pattern::Ledger { .. } => self.ledger_group(pattern, sites.len() as u32),
            Pattern::Orchestrator { .. } => self.orchestrator_group(pattern, sites.len()),
            Pattern::Team { .. } => self.team_group(pattern, runs),
            // Its members have places of their own.
            Pattern::Hierarchy { .. } => None,
        }
    }

    /// If a coordination group has a member beside each agent of this group: how many members stand before that of the first.
    fn stands_beside(&self, group: usize, agents: &str) -> Option<u32> {
        let named = self.file.coordination.canonical().nth(group)?.1.get()?;
        let mut before = 0;
        for name in named.stands_beside() {
            if name.value == agents {
                return Some(before);
            }
            before += self.file.agents.known_value(name)?.reserved()?;
        }
        None
    }

    /// The call that a submission to a coordination group is.
    pub(super) fn submission(
        &mut self,
        to: &Spanned<String>,
        bytes: &Part<Spanned<Bytes>>,
        about: Option<crate::random::Law>,
        (policy, counts): (u16, bool),
        agents: &str,
    ) -> Option<CallStep> {
        let file = self.file;
        if file.coordination.get(&to.value).is_none() && file.services.get(&to.value).is_some() {
            let problem = Diagnostic::error(
                Code::UnknownCoordination,
                to.span,
                "this is a service, and no coordination group",
            );
            self.out.push(problem.help("services are asked by `Call`"));
            return None;
        }
        if file.coordination.get(&to.value).is_none() && file.coordination.is_whole() {
            unknown_name(
                to,
                file.coordination.names(),
                Code::UnknownCoordination,
                "coordination group",
                self.out,
            );
            return None;
        }
        let at = file.coordination.position(to)?;
        let first = self.addresses.coordination[at];
        let placed = self.coordinated[at].clone();
        let beside = self.stands_beside(at, agents).filter(|_| placed.desks.is_none());
        let whom = match beside {
            Some(before) => Whom::Beside(before),
            None => {
                let askers = (0..file.sites.0.len() as u32).map(SiteId);
                Whom::BySite(askers.map(|from| first + self.asked_from(from, &placed)).collect())
            }
        };
        // Where the nearest doesn't answer, another one is asked; a desk asks all replicas by itself.
        let sites = &placed.sites;
        let is_council = (2..=MOST_COUNCIL).contains(&sites.len()) && beside.is_none() && placed.desks.is_none();
        let aim = is_council.then(|| {
            let servers = (first..first + sites.len() as u32).collect();
            let routing = Routing::First;
            Box::new(Aim { servers, routing })
        });
        Some(CallStep {
            server: first,
            whom,
            policy,
            bytes: self.bytes_of(bytes)?,
            tokens: None,
            priority: 0,
            prompt: Default::default(),
            about,
            aim,
            counts,
        })
    }
}
