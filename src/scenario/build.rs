//! Builds the world of a plan, for one seed and one replicate.

use super::plan::{Plan, Until};
use crate::agents::{AgentGroup, RankBlock};
use crate::channels::Broker;
use crate::faults::{FaultKind, FaultSpec, Faults, Keep};
use crate::kernel::{Checkpoint, End, Kernel, Key, Origin, Print, SimDuration, SimTime, permute_ranks};
use crate::network::Network;
use crate::services::{LockService, Service};
use crate::state::KeyType;
use crate::world::World;
use crate::world::population::{Endpoint, Halt, Population, Sites};
use crate::world::record::{Observer, Records};
use std::sync::Arc;

/// Ranks from here on belong to streams, in blocks of a power of two; those below are given out one by one.
const STREAM_RANKS: u32 = 1 << 31;

/// Entries that are handled between two looks at whether to go on.
const STRETCH: u64 = 1 << 20;

/// A run that can be stepped through. A copy goes on as the original would, watched by nobody.
#[derive(Debug, Clone)]
pub struct Run {
    /// The kernel with the world.
    pub kernel: Kernel<World>,
    until: Until,
    /// How long the drain may take.
    drain: SimDuration,
}

/// How far a run went.
#[derive(Debug, Clone, Copy)]
struct Course {
    end: End,
    now: SimTime,
    drain: Drain,
}

/// What came after the measured time: the world went on without new work until replication was at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drain {
    /// Whether replication came to rest.
    pub at_rest: bool,
    /// How long that took, or was waited for in vain.
    pub took: SimDuration,
}

/// How a run ended.
#[derive(Debug, Clone)]
pub struct RunEnd {
    /// Why.
    pub end: End,
    /// The simulated time at the end of what is measured.
    pub now: SimTime,
    /// What came after it.
    pub drain: Drain,
    /// Entries handled, those of the drain included.
    pub handled: u64,
    /// The fingerprint, which covers the drain.
    pub print: Print,
    /// A problem met at run time.
    pub halt: Option<Halt>,
    /// Breaches of the laws that hold in every run.
    pub breaches: Vec<String>,
}

/// A population of a user's own type, beside those of a plan.
pub struct Extra<'a> {
    /// Its name: draws and records are kept under it.
    pub name: &'a str,
    /// Where its members are.
    pub sites: Sites,
    /// How many members it has.
    pub count: u32,
    /// Makes it from its members' endpoints.
    pub make: Box<dyn FnOnce(Vec<Endpoint>) -> Box<dyn Population> + 'a>,
}

impl<'a> Extra<'a> {
    /// A population of `count` members that `make` makes from their endpoints.
    pub fn new(
        name: &'a str,
        count: u32,
        sites: Sites,
        make: impl FnOnce(Vec<Endpoint>) -> Box<dyn Population> + 'a,
    ) -> Self {
        Self {
            name,
            sites,
            count,
            make: Box::new(make),
        }
    }
}

impl std::fmt::Debug for Extra<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extra")
            .field("name", &self.name)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// Builds the world of `plan` for a seed and a replicate, watched by `observers`.
///
/// # Panics
/// Panics on a plan that the check would have refused.
pub fn build(plan: &Plan, seed: u64, replicate: u64, observers: Vec<Box<dyn Observer>>) -> Run {
    build_with(plan, seed, replicate, observers, Vec::new())
}

/// Builds the world of `plan` with further populations in it. They shift nobody else's draws.
///
/// # Panics
/// Panics on a plan that the check would have refused.
pub fn build_with(
    plan: &Plan,
    seed: u64,
    replicate: u64,
    observers: Vec<Box<dyn Observer>>,
    extras: Vec<Extra<'_>>,
) -> Run {
    let root = Key::root(seed, replicate);
    let keys = Keys {
        services: root.child("services"),
        stores: root.child("stores"),
        channels: root.child("channels"),
        coordination: root.child("coordination"),
        agents: root.child("agents"),
        extras: root.child("extras"),
    };
    let faults = Faults::new(Arc::clone(&plan.faults), root);
    let ranks = Ranks::of(plan, &keys, &extras, faults.len(), root);
    let addresses = plan.addresses();
    let mut groups: Vec<Box<dyn Population>> = Vec::new();
    for (index, service) in plan.services.iter().enumerate() {
        let key = keys.services.child(&service.name);
        let endpoint = endpoint(addresses.services[index], service.site, key, ranks.services[index]);
        let spec = Arc::clone(&service.spec);
        groups.push(match spec.lock {
            Some(_) => Box::new(LockService::new(&service.name, spec, endpoint)),
            None => Box::new(Service::new(&service.name, spec, endpoint)),
        });
    }
    let loses = |fault: &FaultSpec| matches!(fault.kind, FaultKind::Crash { keep: Keep::Nothing });
    let may_lose_state = plan.faults.iter().any(loses);
    for (index, store) in plan.stores.iter().enumerate() {
        let key = keys.stores.child(&store.name);
        let mut spec = Arc::clone(&store.spec);
        // Who replays a session may look at a text as it was before a deletion that all replicas have heard of.
        let is_replayed = plan.agents.iter().any(|group| group.replays(index as u16));
        if spec.keys.iter().any(|(_, key)| *key == KeyType::Text) && !may_lose_state && !is_replayed {
            Arc::make_mut(&mut spec).collects_tombstones = true;
        }
        let replicas = store.sites.iter().zip(0u32..).map(|(site, member)| {
            let name = &plan.network.sites[site.0 as usize].name;
            endpoint(
                addresses.stores[index] + member,
                *site,
                key.child(name),
                ranks.stores[index][member as usize],
            )
        });
        groups.push(crate::stores::build(
            &store.model,
            &store.name,
            index as u32,
            spec,
            replicas.collect(),
        ));
    }
    for (index, channel) in plan.channels.iter().enumerate() {
        let key = keys.channels.child(&channel.name);
        let endpoint = endpoint(addresses.channels[index], channel.site, key, ranks.channels[index]);
        groups.push(Box::new(Broker::new(
            &channel.name,
            Arc::clone(&channel.spec),
            endpoint,
        )));
    }
    for (index, spec) in plan.coordination.iter().enumerate() {
        let key = keys.coordination.child(&spec.group.name);
        let members = (0u32..).zip(&spec.sites).zip(&ranks.coordination[index]);
        let members = members.map(|((member, site), rank)| {
            endpoint(
                addresses.coordination[index] + member,
                *site,
                key.member(u64::from(member)),
                *rank,
            )
        });
        groups.push(crate::coordination::spec::build(spec, members.collect()));
    }
    for (index, spec) in plan.agents.iter().enumerate() {
        let key = keys.agents.child(&spec.name);
        let (block, source) = ranks.agents[index].clone();
        let id = addresses.agents[index] + spec.capacity();
        let source = endpoint(id, spec.sites.of(0), key, source);
        let mut group = AgentGroup::new(Arc::clone(spec), key, addresses.agents[index], block, source);
        if let Some(model) = spec.errs.as_ref().and_then(|errs| errs.model.as_ref()) {
            group.run_model(root.child("models").child(model));
        }
        groups.push(Box::new(group));
    }
    let network = Network::new(Arc::clone(&plan.network), root).expect("the check refuses a network with problems");
    let mut directory = addresses.into_directory();
    for (extra, ranks) in extras.into_iter().zip(&ranks.extras) {
        let base = directory.add(extra.name, extra.count, extra.sites.clone());
        let key = keys.extras.child(extra.name);
        let members = ranks
            .iter()
            .zip(0u32..)
            .map(|(rank, member)| endpoint(base + member, extra.sites.of(member), key.member(member as u64), *rank));
        groups.push((extra.make)(members.collect()));
    }
    directory.add("faults", faults.len(), Sites::One(crate::network::SiteId(0)));
    // Streams and groups schedule their first entries before they are boxed up with the rest.
    let timelines = ranks.faults.clone();
    let beside = members_beside(plan);
    let mut kernel = Kernel::new(
        World::empty(directory, network, faults, &timelines, Records::new(observers)),
        plan.checkpoint(),
    );
    let done = matches!(plan.until, Until::AllDone { .. });
    kernel.prepare(|world, prepare| {
        world.prepare(prepare, |starter| {
            groups.iter_mut().for_each(|group| group.start(starter));
        });
        world.populate(groups);
        world.stand_beside(beside);
        world.shared.stop_when_done = done;
        world.shared.ledger = plan.ledger();
    });
    Run {
        kernel,
        until: plan.until,
        drain: plan.drain,
    }
}

/// Runs of agents with members of coordination groups beside them, and the first of these.
fn members_beside(plan: &Plan) -> Vec<(std::ops::Range<u32>, u32)> {
    let first = plan.addresses().coordination;
    let mut all = Vec::new();
    for (group, mut member) in plan.coordination.iter().zip(first) {
        for run in group.group.beside.iter().flat_map(|beside| &beside.runs) {
            all.push((run.clone(), member));
            member += run.len() as u32;
        }
    }
    all
}

impl Run {
    /// Runs to the end, or until `limit` entries were handled.
    pub fn finish(self, limit: u64) -> (RunEnd, World, Vec<Checkpoint>) {
        self.finish_while(limit, &|| true).expect("nobody interrupts")
    }

    /// How and when a run ends in which nothing is left to happen since `now`. The clock goes on: a stated end is an end, and
    /// tasks that nothing can end any more are under way until the latest one.
    fn idle_end(&self, now: SimTime) -> (End, SimTime) {
        match self.until {
            Until::At(end) => (End::TimeReached, end),
            Until::AllDone { within } if self.kernel.model().shared.unfinished > 0 => (End::Drained, within),
            Until::AllDone { .. } => (End::Drained, now),
        }
    }

    /// Runs to the end and drains, or until `limit` entries were handled; `None` as soon as `go_on` says no.
    pub fn finish_while(mut self, limit: u64, go_on: &dyn Fn() -> bool) -> Option<(RunEnd, World, Vec<Checkpoint>)> {
        let Course { end, now, drain } = self.advance(limit, go_on)?;
        let fingerprint = self.kernel.fingerprint();
        let (handled, print) = (fingerprint.handled(), fingerprint.print());
        let checkpoints = fingerprint.checkpoints().to_vec();
        let mut world = self.kernel.into_model();
        world.finish(now.saturating_add(drain.took));
        let halt = world.halted().cloned();
        let breaches = world.audit(now);
        let end = RunEnd {
            end,
            now,
            drain,
            handled,
            print,
            halt,
            breaches,
        };
        Some((end, world, checkpoints))
    }

    /// Runs to the end and drains, or until `limit` entries were handled, and looks no further.
    pub fn witness(&mut self, limit: u64) {
        self.advance(limit, &|| true);
    }

    /// Handles the entries of the measured time, and then those of the drain.
    fn advance(&mut self, limit: u64, go_on: &dyn Fn() -> bool) -> Option<Course> {
        let mut left = limit;
        let end = self.stretches(self.until.latest(), &mut left, go_on)?;
        let now = self.kernel.now();
        let (end, now) = match end {
            End::TimeReached => (end, self.until.latest()),
            End::Drained => self.idle_end(now),
            _ => (end, now),
        };
        let mut course = Course {
            end,
            now,
            drain: Drain {
                at_rest: false,
                took: SimDuration::ZERO,
            },
        };
        let is_whole = matches!(end, End::TimeReached | End::Drained | End::Stopped);
        if !is_whole || self.kernel.model().halted().is_some() {
            return Some(course);
        }
        self.kernel.model_mut().drain(now);
        if self.kernel.model_mut().is_at_rest() {
            course.drain.at_rest = true;
            return Some(course);
        }
        match self.stretches(now.saturating_add(self.drain), &mut left, go_on)? {
            End::Stopped => {
                course.drain = Drain {
                    at_rest: true,
                    took: self.kernel.now() - now,
                }
            }
            // What is held by a cut that never heals, or waits at a replica that never goes on, stays where it is.
            End::TimeReached | End::Drained => course.drain.took = self.drain,
            end => course.end = end,
        }
        Some(course)
    }

    /// Handles entries until `end`, as many as are left, with a look now and then at whether to go on.
    fn stretches(&mut self, end: SimTime, left: &mut u64, go_on: &dyn Fn() -> bool) -> Option<End> {
        loop {
            // A stretch is some tenths of a second: long enough to cost nothing, short enough to stop soon.
            let before = self.kernel.fingerprint().handled();
            let stopped = self.kernel.run(end, STRETCH.min(*left));
            *left -= self.kernel.fingerprint().handled() - before;
            if stopped != End::EventLimit || *left == 0 {
                return Some(stopped);
            }
            if !go_on() {
                return None;
            }
        }
    }
}

fn endpoint(id: u32, site: crate::network::SiteId, key: Key, rank: u32) -> Endpoint {
    Endpoint {
        id,
        site,
        key,
        origin: Origin::new(rank),
        sent: 0,
    }
}

struct Keys {
    services: Key,
    stores: Key,
    channels: Key,
    coordination: Key,
    agents: Key,
    extras: Key,
}

/// The ranks of all entities: one permutation over all that are known from the start, and a block for each stream.
struct Ranks {
    services: Vec<u32>,
    stores: Vec<Vec<u32>>,
    channels: Vec<u32>,
    coordination: Vec<Vec<u32>>,
    agents: Vec<(RankBlock, u32)>,
    extras: Vec<Vec<u32>>,
    faults: Vec<u32>,
}

impl Ranks {
    fn of(plan: &Plan, keys: &Keys, extras: &[Extra<'_>], faults: u32, root: Key) -> Self {
        let shuffle = root.child("ranks");
        let mut all: Vec<Key> = Vec::new();
        all.extend(plan.services.iter().map(|service| keys.services.child(&service.name)));
        for store in &plan.stores {
            let key = keys.stores.child(&store.name);
            all.extend(
                store
                    .sites
                    .iter()
                    .map(|site| key.child(&plan.network.sites[site.0 as usize].name)),
            );
        }
        all.extend(plan.channels.iter().map(|channel| keys.channels.child(&channel.name)));
        for spec in &plan.coordination {
            let key = keys.coordination.child(&spec.group.name);
            all.extend((0..spec.sites.len() as u64).map(|member| key.member(member)));
        }
        for group in &plan.agents {
            let key = keys.agents.child(&group.name);
            all.push(key);
            let members = if group.is_stream { 0 } else { group.count.unwrap_or(0) };
            all.extend((0..members as u64).map(|member| key.member(member)));
        }
        for extra in extras {
            let key = keys.extras.child(extra.name);
            all.extend((0..extra.count as u64).map(|member| key.member(member)));
        }
        let timelines = root.child("faults");
        all.extend((0..faults as u64).map(|index| timelines.member(index)));
        let ranks = permute_ranks(&all, shuffle);
        let mut next = ranks.into_iter();
        let mut take = |count: usize| -> Vec<u32> { next.by_ref().take(count).collect() };
        let services = take(plan.services.len());
        let stores = plan.stores.iter().map(|store| take(store.sites.len())).collect();
        let channels = take(plan.channels.len());
        let coordination = plan.coordination.iter().map(|spec| take(spec.sites.len())).collect();
        let mut first = STREAM_RANKS;
        let mut agents = Vec::new();
        for group in &plan.agents {
            let source = take(1)[0];
            if group.is_stream {
                let bits = group.capacity().next_power_of_two().ilog2();
                let salt = shuffle.child(&group.name).bits() as u32;
                agents.push((RankBlock::Block { first, bits, salt }, source));
                first += 1 << bits;
            } else {
                agents.push((RankBlock::Each(take(group.count.unwrap_or(0) as usize)), source));
            }
        }
        let extras = extras.iter().map(|extra| take(extra.count as usize)).collect();
        Self {
            services,
            stores,
            channels,
            coordination,
            agents,
            extras,
            faults: take(faults as usize),
        }
    }
}
