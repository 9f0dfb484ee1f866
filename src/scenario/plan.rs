//! The plan: a scenario with every name resolved, every quantity in its unit, and everything checked. One plan stands for one
//! variant; seed and replicate are chosen when a world is built from it.

use crate::agents::GroupSpec;
use crate::faults::FaultSpec;
use crate::kernel::{SimDuration, SimTime};
use crate::network::{NetworkSpec, SiteId};
use crate::scenario::language::presets::Expanded;
use crate::services::ServiceSpec;
use std::sync::Arc;

/// A scenario's variant, resolved and checked.
///
/// The order of every list is canonical (by name), so that declaring things in another order changes nothing.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The scenario's name.
    pub name: String,
    /// The variant's name; `base` for the scenario as it stands.
    pub variant: String,
    /// The question that the scenario asks.
    pub question: String,
    /// When the run ends.
    pub until: Until,
    /// How long after the end replication may take to come to rest.
    pub drain: SimDuration,
    /// What begins before this time isn't measured.
    pub warm_up: SimTime,
    /// The network.
    pub network: Arc<NetworkSpec>,
    /// The services, by name.
    pub services: Vec<ServicePlan>,
    /// The stores of shared state, by name.
    pub stores: Vec<StorePlan>,
    /// The coordination groups, by name.
    pub coordination: Vec<crate::coordination::CoordinationSpec>,
    /// The stores whose models were presets, and what these stand for.
    pub presets: Vec<Expanded>,
    /// The groups of agents, by name.
    pub agents: Vec<Arc<GroupSpec>>,
    /// What agents may spend, by name.
    pub budgets: Vec<BudgetPlan>,
    /// What goes wrong.
    pub faults: Arc<Vec<FaultSpec>>,
    /// Names of tasks, by number; 0 is the program itself.
    pub task_names: Vec<String>,
    /// Names of topics, by number.
    pub topics: Vec<String>,
    /// The length of the windows in which rates over time are measured.
    pub window: SimDuration,
}

/// How many runs a scenario has at most, all variants together: each costs a kilobyte or two.
pub const MOST_RUNS: u64 = 1_000_000;

/// How many windows a run has at most: each costs some hundred bytes for every service.
pub const MOST_WINDOWS: u64 = 1_000_000;

/// How many agents there are at most, all groups together: each costs some six hundred bytes.
pub const MOST_AGENTS: u64 = 4_000_000;

/// How many copies of keys there are at most, all stores and their replicas together: each costs some four to five hundred bytes in each run.
pub const MOST_COPIES: u64 = 8_000_000;

/// When a run ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Until {
    /// At this time, whether or not anything is left to happen before.
    At(SimTime),
    /// When every task is over, or at this time: also where tasks wait for what never comes.
    AllDone {
        /// The latest end.
        within: SimTime,
    },
}

impl Until {
    /// The time at which the run ends at the latest.
    pub fn latest(self) -> SimTime {
        match self {
            Self::At(time) | Self::AllDone { within: time } => time,
        }
    }
}

/// A budget, and who spends from it.
#[derive(Debug, Clone)]
pub struct BudgetPlan {
    /// Its name.
    pub name: String,
    /// The groups that spend from it, by their places among the plan's groups.
    pub groups: Vec<usize>,
    /// What it is.
    pub budget: crate::world::ledger::Budget,
}

/// A service and its place.
#[derive(Debug, Clone)]
pub struct ServicePlan {
    /// Its name.
    pub name: String,
    /// Its site.
    pub site: SiteId,
    /// What it is.
    pub spec: Arc<ServiceSpec>,
}

/// A store of shared state, with a replica at each of its sites.
#[derive(Debug, Clone)]
pub struct StorePlan {
    /// Its name.
    pub name: String,
    /// Its consistency model.
    pub model: crate::stores::Model,
    /// The sites of its replicas, in the order of their names.
    pub sites: Vec<SiteId>,
    /// What it is.
    pub spec: Arc<crate::stores::StoreSpec>,
}

impl Plan {
    /// The site of this name.
    pub fn site(&self, name: &str) -> Option<SiteId> {
        let index = self.network.sites.iter().position(|site| site.name == name)?;
        Some(SiteId(index as u32))
    }

    /// The entity that the service of this name is.
    pub fn service(&self, name: &str) -> Option<u32> {
        let index = self.services.iter().position(|service| service.name == name)?;
        Some(self.addresses().services[index])
    }

    /// The numbers that groups have in the directory: services, stores and coordination groups come before them.
    pub fn directory_group(&self, group: usize) -> u16 {
        (self.services.len() + self.stores.len() + self.coordination.len() + group) as u16
    }

    /// The books of what agents may spend, if anybody has a budget.
    pub fn ledger(&self) -> Option<Box<crate::world::ledger::Ledger>> {
        if self.budgets.is_empty() {
            return None;
        }
        let mut of_group = vec![Vec::new(); usize::from(self.directory_group(self.agents.len()))];
        for (number, budget) in (0u16..).zip(&self.budgets) {
            for group in &budget.groups {
                of_group[usize::from(self.directory_group(*group))].push(number);
            }
        }
        let price = |service: &ServicePlan| {
            let spec = &service.spec;
            [spec.price_per_call, spec.price_per_token_in, spec.price_per_token_out]
        };
        let spec = crate::world::ledger::LedgerSpec {
            all: self.budgets.iter().map(|budget| budget.budget.clone()).collect(),
            of_group,
            prices: self.services.iter().map(price).collect(),
        };
        Some(Box::new(crate::world::ledger::Ledger::new(Arc::new(spec))))
    }

    /// The length of the fingerprint's checkpoints: a 256th of the run.
    pub fn checkpoint(&self) -> SimDuration {
        SimDuration::from_nanos((self.until.latest().as_nanos() / 256).max(1))
    }
}

/// The entity ids that the entities of a plan get, so that programs and faults can name them before a world is built.
///
/// Groups come in the order services, stores, coordination, agents, each by name; see [`crate::world::population::Directory`].
#[derive(Debug, Clone, Default)]
pub struct Addresses {
    directory: crate::world::population::Directory,
    /// For each service, its entity.
    pub services: Vec<u32>,
    /// For each store, the entity of its first replica.
    pub stores: Vec<u32>,
    /// For each coordination group, the entity of its first member.
    pub coordination: Vec<u32>,
    /// For each group, the entity of its first member.
    pub agents: Vec<u32>,
}

/// How many agents of a stream may be alive at once, where the scenario doesn't say.
pub const MAX_ALIVE: u32 = 1 << 20;

impl Addresses {
    /// Gives ids to services, then stores and coordination groups (name, sites of the members), then groups (name, capacity, sites).
    pub fn assign(
        services: &[(&str, SiteId)],
        stores: &[(&str, Vec<SiteId>)],
        coordination: &[(&str, Vec<SiteId>)],
        agents: &[(&str, u32, crate::world::population::Sites)],
    ) -> Self {
        use crate::world::population::Sites;
        let mut directory = crate::world::population::Directory::default();
        let services = services
            .iter()
            .map(|(name, site)| directory.add(name, 1, Sites::One(*site)))
            .collect();
        let mut placed = |groups: &[(&str, Vec<SiteId>)]| {
            let add = |(name, sites): &(&str, Vec<SiteId>)| {
                directory.add(name, sites.len() as u32, Sites::Each(sites.clone()))
            };
            groups.iter().map(add).collect()
        };
        let (stores, coordination) = (placed(stores), placed(coordination));
        // One id more than a group has members: the stream itself, which schedules arrivals.
        let agents = agents
            .iter()
            .map(|(name, count, sites)| directory.add(name, count + 1, sites.clone()))
            .collect();
        Self {
            directory,
            services,
            stores,
            coordination,
            agents,
        }
    }

    /// The directory of these entities.
    pub fn into_directory(self) -> crate::world::population::Directory {
        self.directory
    }
}

impl Plan {
    /// The ids of this plan's entities.
    pub fn addresses(&self) -> Addresses {
        let services: Vec<_> = self
            .services
            .iter()
            .map(|service| (service.name.as_str(), service.site))
            .collect();
        let stores: Vec<_> = self
            .stores
            .iter()
            .map(|store| (store.name.as_str(), store.sites.clone()))
            .collect();
        let coordination: Vec<_> = self
            .coordination
            .iter()
            .map(|group| (group.group.name.as_str(), group.sites.clone()))
            .collect();
        let agents: Vec<_> = self
            .agents
            .iter()
            .map(|group| (group.name.as_str(), group.capacity(), group.sites.clone()))
            .collect();
        Addresses::assign(&services, &stores, &coordination, &agents)
    }
}
