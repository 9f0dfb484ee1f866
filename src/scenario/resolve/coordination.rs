//! `coordination`: where members are, whom agents ask, and by which rules members work.

use super::Resolver;
use super::hierarchy::{Layout, failover_of};
use crate::agents::step::{Aim, CallStep, Whom};
use crate::coordination::group::{Beside, GroupSpec};
use crate::coordination::raft::{Flaw, Settings, server};
use crate::coordination::{CoordinationSpec, Protocol};
use crate::kernel::SimDuration;
use crate::network::SiteId;
use crate::scenario::language::coordination::{Coordination, Pattern};
use crate::scenario::plan::MOST_AGENTS;
use crate::scenario::syntax::quantity::Bytes;
use crate::scenario::syntax::{Code, Diagnostic, Part, Spanned, unknown_name, write};
use crate::services::Routing;
use crate::state::Clock;

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

/// The most servers of a Raft group.
const MOST_SERVERS: usize = 64;

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
        let file = self.file;
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
                let agents = file
                    .agents
                    .look_up(beside, Code::UnknownGroup, "group of agents", self.out)?;
                let agents = agents.get()?;
                if agents.is_stream() {
                    let message = "agents of a stream come and go: a coordination group has members that stay";
                    self.error(Code::BadCoordination, beside.span, message);
                    return None;
                }
                if let Some(members) = members {
                    let message = "there is a member `beside` each agent: `members` has nothing to say";
                    self.error(Code::BadCoordination, members.span, message);
                }
                let position = |site: &Part<Spanned<String>>| file.sites.0.position(site.get()?);
                let sites: Option<Vec<usize>> = agents.at.get()?.value.0.iter().map(position).collect();
                let sites = sites?.into_iter().map(|at| SiteId(at as u32)).collect();
                (sites, u64::from(agents.reserved()?))
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
            let message = format!("coordination groups have {MOST_AGENTS} members at most, all together");
            let span = members.as_ref().map_or(name.span, |members| members.span);
            self.error(Code::TooMany, span, message);
            return None;
        }
        *left -= count;
        Some(sites.iter().copied().cycle().take(count as usize).collect())
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
        let protocol = match is_hierarchy(group) {
            true => self.hierarchy_group(pattern, placed.layout.clone()),
            false => self.pattern(name, pattern, &sites[..own]),
        };
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
        let at = self.file.agents.position(beside)?;
        let agents = self.file.agents.known_value(beside)?;
        if let Some(tells) = tells
            && !agents.on.names().any(|topic| topic == tells.value)
        {
            let mut awaited = false;
            agents.each_step(&mut |step| {
                if let crate::scenario::language::Step::Wait { topic, .. } = &step.value {
                    awaited |= topic.given().is_none_or(|topic| topic.value == tells.value);
                }
            });
            if !awaited {
                let message = format!("nobody there handles or waits for the topic {}", write::quoted(tells));
                self.warn(Code::TopicUnread, tells.span, message);
            }
        }
        Some(Some(Beside {
            first: self.addresses.agents[at],
            count: agents.reserved()?,
            topic: tells.as_ref().map(|tells| self.topics[&tells.value]),
        }))
    }

    fn pattern(&mut self, name: &Spanned<String>, pattern: &Spanned<Pattern>, sites: &[SiteId]) -> Option<Protocol> {
        match &pattern.value {
            Pattern::Raft { .. } => self.raft_group(pattern, sites),
            Pattern::Voting { .. } => self.voting_group(pattern),
            Pattern::Gossip { .. } => self.gossip_group(name, pattern, sites.len() as u32),
            Pattern::Swim { .. } => self.swim_group(pattern, sites.len() as u32),
            Pattern::Causal { .. } => self.causal_group(pattern, sites.len() as u32),
            Pattern::Pbft { .. } => self.pbft_group(pattern, sites.len() as u32),
            Pattern::Ledger { .. } => self.ledger_group(pattern, sites.len() as u32),
            Pattern::Orchestrator { .. } => self.orchestrator_group(pattern, sites.len()),
            // Its members have places of their own.
            Pattern::Hierarchy { .. } => None,
        }
    }

    fn raft_group(&mut self, pattern: &Spanned<Pattern>, sites: &[SiteId]) -> Option<Protocol> {
        let Pattern::Raft {
            election_min,
            election_max,
            heartbeat,
            pre_vote,
            batch,
            in_flight,
            snapshot_every,
            remember,
            first,
            disk,
        } = &pattern.value
        else {
            return None;
        };
        if sites.len() > MOST_SERVERS {
            let message = format!(
                "a Raft group has {MOST_SERVERS} servers at most, and this one has {}",
                sites.len()
            );
            self.error(Code::TooMany, pattern.span, message);
            return None;
        }
        self.check_order(("heartbeat", heartbeat), ("election_min", election_min), false);
        self.check_order(("election_min", election_min), ("election_max", election_max), true);
        let first = match first.get()? {
            None => None,
            Some(name) => {
                let site = self.site(name)?;
                let place = sites.iter().position(|at| *at == site);
                if place.is_none() {
                    self.error(Code::UnknownSite, name.span, "the group has no server at this site");
                }
                Some(place? as u32)
            }
        };
        let snapshot_every = u64::from(**snapshot_every.get()?);
        Some(Protocol::Raft(Box::new(server::Rules {
            settings: Settings {
                election_min: nanos(*election_min.get()?.value),
                election_max: nanos(*election_max.get()?.value),
                heartbeat: nanos(*heartbeat.get()?.value),
                pre_vote: *pre_vote.get()?,
                lease: None,
                batch: **batch.get()? as usize,
                in_flight: **in_flight.get()? as usize,
                snapshot_every,
                trailing: snapshot_every / 2,
                remember: u64::from(**remember.get()?),
                flaw: Flaw::None,
            },
            servers: sites.len() as u32,
            first,
            disk: disk.get()?.as_nanos(),
        })))
    }

    /// Whether a coordination group has a member beside each agent of this group.
    fn stands_beside(&self, group: usize, agents: &str) -> bool {
        let named = self
            .file
            .coordination
            .canonical()
            .nth(group)
            .and_then(|(_, group)| group.get());
        let beside = named.and_then(|group| group.beside.given());
        beside.is_some_and(|beside| beside.value == agents)
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
        let whom = match self.stands_beside(at, agents) && placed.desks.is_none() {
            true => Whom::Beside,
            false => {
                let askers = (0..file.sites.0.len() as u32).map(SiteId);
                Whom::BySite(askers.map(|from| first + self.asked_from(from, &placed)).collect())
            }
        };
        // Where the nearest doesn't answer, another one is asked; a desk asks all replicas by itself.
        let sites = &placed.sites;
        let is_council = (2..=MOST_COUNCIL).contains(&sites.len()) && whom != Whom::Beside && placed.desks.is_none();
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
