//! Which protocols there are, and how a group of each is built.

use super::group::{Group, GroupSpec};
use super::orchestrator;
use super::raft::server;
use super::work::TaskGraph;
use super::{causal, chain, gossip, hierarchy, pbft, swim, team, voting};
use crate::kernel::SimDuration;
use crate::network::SiteId;
use crate::state::Clock;
use crate::world::population::{Endpoint, Population};

/// A protocol with its rules.
#[derive(Debug, Clone, PartialEq)]
pub enum Protocol {
    /// Raft.
    Raft(Box<server::Rules>),
    /// An orchestrator.
    Orchestrator(Box<orchestrator::Rules>),
    /// A team.
    Team(Box<team::Rules>),
    /// Voting.
    Voting(Box<voting::Rules>),
    /// Gossip.
    Gossip(Box<gossip::Rules>),
    /// SWIM.
    Swim(Box<swim::Rules>),
    /// Causal broadcast.
    Causal(Box<causal::Rules>),
    /// PBFT.
    Pbft(Box<pbft::Rules>),
    /// A longest-chain ledger.
    Ledger(Box<chain::Rules>),
    /// A hierarchy.
    Hierarchy(Box<hierarchy::Rules>),
}

/// What the reference says of a pattern of coordination.
#[derive(Debug, Clone, Copy)]
pub struct PatternInfo {
    /// Its name in scenarios.
    pub name: &'static str,
    /// Its name for people.
    pub title: &'static str,
    /// What it is, what it promises and what it costs: Markdown.
    pub doc: &'static str,
    /// The kinds of its messages.
    pub kinds: &'static [&'static str],
}

/// All patterns, in the order of the reference.
pub fn patterns() -> Vec<PatternInfo> {
    vec![
        orchestrator::INFO,
        team::INFO,
        server::INFO,
        voting::INFO,
        gossip::INFO,
        swim::INFO,
        causal::INFO,
        pbft::INFO,
        chain::INFO,
        hierarchy::INFO,
    ]
}

impl Protocol {
    /// Its page.
    pub fn info(&self) -> PatternInfo {
        match self {
            Self::Raft(_) => server::INFO,
            Self::Orchestrator(_) => orchestrator::INFO,
            Self::Team(_) => team::INFO,
            Self::Voting(_) => voting::INFO,
            Self::Pbft(_) => pbft::INFO,
            Self::Ledger(_) => chain::INFO,
            Self::Hierarchy(_) => hierarchy::INFO,
            Self::Gossip(_) => gossip::INFO,
            Self::Swim(_) => swim::INFO,
            Self::Causal(_) => causal::INFO,
        }
    }

    /// The length of its members' periods, if they have such.
    pub fn period(&self) -> Option<SimDuration> {
        match self {
            Self::Swim(rules) => Some(SimDuration::from_nanos(rules.period)),
            _ => None,
        }
    }

    /// The work that its members do, or have done.
    pub fn work(&self) -> Option<&TaskGraph> {
        match self {
            Self::Orchestrator(rules) => Some(&rules.graph),
            Self::Team(rules) => Some(&rules.graph),
            _ => None,
        }
    }

    /// The kinds of its messages.
    pub fn kinds(&self) -> &'static [&'static str] {
        self.info().kinds
    }
}

/// A coordination group, as a world is built of it.
#[derive(Debug, Clone, PartialEq)]
pub struct CoordinationSpec {
    /// What it is, whatever its protocol.
    pub group: GroupSpec,
    /// The sites of its members, one for each.
    pub sites: Vec<SiteId>,
    /// By the site of whoever asks, the member that is asked.
    pub asked: Vec<u32>,
    /// The clocks of members that don't show true time.
    pub clocks: Vec<(u32, Clock)>,
    /// The protocol.
    pub protocol: Protocol,
}

/// A group whose members have these endpoints.
pub fn build(spec: &CoordinationSpec, endpoints: Vec<Endpoint>) -> Box<dyn Population> {
    match &spec.protocol {
        Protocol::Raft(rules) => host(spec, rules.as_ref(), endpoints, |rules, place, endpoint| {
            server::Server::new(rules, place, endpoint.key)
        }),
        Protocol::Orchestrator(rules) => host(spec, rules.as_ref(), endpoints, |rules, place, _| {
            orchestrator::Orchestrator::new(rules, place)
        }),
        Protocol::Team(rules) => {
            let mut rules = team::Rules::clone(rules);
            rules.key = endpoints[0].key;
            host(spec, &rules, endpoints, |_, _, _| team::Mate::new())
        }
        Protocol::Voting(rules) => host(spec, rules.as_ref(), endpoints, |_, _, _| voting::Teller::default()),
        Protocol::Gossip(rules) => {
            let mut rules = gossip::Rules::clone(rules);
            let key_of = |member: u32| endpoints[member as usize].key;
            let draw = |links| gossip::Views::random(rules.members, links, key_of);
            rules.views = rules.neighbours.map(draw);
            host(spec, &rules, endpoints, |_, _, _| gossip::Gossiper::new())
        }
        Protocol::Swim(rules) => host(spec, rules.as_ref(), endpoints, |rules, place, _| {
            swim::Prober::new(rules, place)
        }),
        Protocol::Causal(rules) => host(spec, rules.as_ref(), endpoints, |_, place, _| {
            causal::Caster::new(place)
        }),
        Protocol::Pbft(rules) => host(spec, rules.as_ref(), endpoints, |rules, number, _| {
            pbft::Node::new(rules, number)
        }),
        Protocol::Ledger(rules) => host(spec, rules.as_ref(), endpoints, |_, number, _| chain::Node::new(number)),
        Protocol::Hierarchy(rules) => host(spec, rules.as_ref(), endpoints, |rules, number, _| {
            hierarchy::Node::new(rules, number)
        }),
    }
}

/// A group of members that `make` makes.
fn host<M: super::member::Member>(
    spec: &CoordinationSpec,
    rules: &M::Rules,
    endpoints: Vec<Endpoint>,
    make: impl Fn(&M::Rules, u32, &Endpoint) -> M,
) -> Box<dyn Population> {
    let mut group = Group::new(spec.group.clone(), rules.clone(), endpoints, make);
    for (member, clock) in &spec.clocks {
        group.set_clock(*member, clock.clone());
    }
    Box::new(group)
}
