//! A minimal population for tests: clients that issue operations at given times, and a world around a store.

use super::{Model, StoreSpec, build};
use crate::faults::{FaultKind, FaultSpec, Faults, Independence, Keep, Scope, Target, When};
use crate::kernel::{Entry, Kernel, Key, Origin, SimDuration, SimTime};
use crate::network::{Network, NetworkSpec, SiteId};
use crate::state::{Context, Memory, Op, Session};
use crate::world::World;
use crate::world::call::{Attempt, Basis, Call, Outcome, Parts, Request, Terms, call_identity};
use crate::world::message::{Message, MessageKind};
use crate::world::population::{Cx, Directory, Endpoint, Population, Sites, kind};
use crate::world::record::{Observer, Records, What};
use std::sync::{Arc, Mutex};

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Act {
    /// Reads a key at a replica.
    Read { key: u32, replica: u32 },
    /// Updates a key at a replica, blindly, or with the context of the last answer about the key.
    Update {
        key: u32,
        replica: u32,
        op: Op,
        aware: bool,
    },
    /// Sends a message to another client.
    Tell(u32),
}

/// What a client sees come back: which act, when, how its time divides.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Seen {
    pub act: u32,
    pub at: SimTime,
    pub outcome: Outcome,
    pub parts: Parts,
    pub context: Context,
}

pub(crate) type Log = Arc<Mutex<Vec<(u32, Seen)>>>;

/// Clients with scripts: (when, what).
#[derive(Clone, serde::Serialize)]
pub(crate) struct Clients {
    endpoints: Vec<Endpoint>,
    #[serde(skip)]
    scripts: Vec<Vec<(SimTime, Act)>>,
    contexts: Vec<Vec<Context>>,
    sessions: Vec<Session>,
    memory: Memory,
    store: u32,
    idempotent: bool,
    /// How many attempts each update makes at once.
    attempts: u16,
    /// An answer to a client's act starts its next one.
    in_turn: bool,
    #[serde(skip)]
    log: Log,
}

impl Population for Clients {
    fn handle(&mut self, member: u32, entry: &Entry<u64>, cx: &mut Cx<'_, '_>) {
        if entry.kind == kind::START {
            let all = self.scripts[member as usize].iter().enumerate();
            for (index, (at, _)) in all.take(if self.in_turn { 1 } else { usize::MAX }) {
                cx.schedule(&mut self.endpoints[member as usize], *at, kind::OWN, index as u64);
            }
            return;
        }
        let (_, act) = self.scripts[member as usize][entry.body as usize];
        let endpoint = &mut self.endpoints[member as usize];
        let (replica, request, attempts) = match act {
            Act::Read { key, replica } => (replica, Request::Read { key }, 1),
            Act::Update {
                key,
                replica,
                op,
                aware,
            } => {
                let context = aware.then(|| self.contexts[member as usize][key as usize].clone());
                (
                    replica,
                    Request::Update {
                        key,
                        op,
                        basis: Basis {
                            context,
                            ..Basis::default()
                        }
                        .of_request(),
                    },
                    self.attempts,
                )
            }
            Act::Tell(other) => {
                let base = endpoint.id - member;
                return cx.send(endpoint, Message::new(MessageKind::Plain, base + other, 0, 0));
            }
        };
        let (now, server) = (cx.now(), self.store + replica);
        let updates = matches!(request, Request::Update { .. });
        let token = self.sessions[member as usize].token(self.memory, updates);
        let identity = call_identity(endpoint.id, entry.body as u32);
        cx.record(What::CallStarted, endpoint.id, [identity, server as u64, 0]);
        let call = cx.shared.calls.insert(Call {
            client: endpoint.id,
            key: endpoint.key,
            idempotent: self.idempotent,
            activation: 0,
            generation: 0,
            open: true,
            failed: false,
            counts: false,
            aimed: false,
            paths: attempts,
            executed: 0,
            tries: attempts.into(),
            spec: 0,
            address: entry.body,
            identity,
            server,
            began: now,
            backoff: SimDuration::ZERO,
            request,
            terms: Terms {
                token,
                ..Terms::default()
            }
            .of_call(),
        });
        for number in 1..=attempts {
            let attempt = cx.shared.attempts.insert(Attempt::new(call, number.into(), now));
            let message = Message::new(MessageKind::Request, server, 0, 16);
            cx.send(endpoint, message.with(attempt));
        }
    }

    fn receive(&mut self, member: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        if message.kind != MessageKind::Response {
            return;
        }
        let (now, handle) = (cx.now(), message.handle);
        let Some(attempt) = cx.shared.attempts.get(handle) else {
            return;
        };
        let handle_of_call = attempt.call;
        if let Some(call) = cx.shared.calls.get(handle_of_call).filter(|call| call.open) {
            let call_number = call.address;
            let (key, update) = match call.request {
                Request::Read { key } => (key, 0),
                Request::Update { key, .. } => (key, 1),
                Request::Work { .. }
                | Request::Acquire
                | Request::Journal(_)
                | Request::Publish { .. }
                | Request::Poll { .. } => {
                    unreachable!("clients don't ask for work")
                }
            };
            let refused = matches!(attempt.outcome, Outcome::Refused { .. });
            let context = attempt.context.clone().map(|context| *context);
            assert_eq!(
                context.is_none(),
                refused,
                "an answer has a context, and a refusal none"
            );
            let context = context.unwrap_or_default();
            if let Some(got) = attempt.token() {
                self.sessions[member as usize].note(self.memory, call.token(), got);
            }
            if !refused {
                self.contexts[member as usize][key as usize] = context.clone();
            }
            let seen = Seen {
                act: call.identity as u32,
                at: now,
                outcome: attempt.outcome,
                parts: attempt.parts(now),
                context,
            };
            self.log.lock().unwrap().push((member, seen));
            let id = self.endpoints[member as usize].id;
            if refused {
                cx.record(What::OperationFailed, id, [call.identity, u64::from(key), update]);
            } else {
                let words = [call.identity, u64::from(key), update | u64::from(attempt.number) << 1];
                cx.record(What::OperationAcknowledged, id, words);
            }
            let next = call_number + 1;
            cx.close_call(handle_of_call);
            if self.in_turn && next < self.scripts[member as usize].len() as u64 {
                cx.schedule(&mut self.endpoints[member as usize], now, kind::OWN, next);
            }
        }
        cx.drop_attempt(handle);
    }
}

/// What goes wrong in a test; replicas are named by their place.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum FaultAction {
    Cut(u32),
    Crash { targets: Vec<u32>, keep_state: bool },
    Pause { targets: Vec<u32> },
    ClockStep { targets: Vec<u32>, by: i64 },
}

impl FaultAction {
    fn spec(self, number: usize, from: SimTime, to: SimTime) -> FaultSpec {
        let (kind, targets) = match self {
            Self::Cut(cut) => (FaultKind::Partition { cut }, Vec::new()),
            Self::Crash { targets, keep_state } => (
                FaultKind::Crash {
                    keep: if keep_state { Keep::State } else { Keep::Nothing },
                },
                targets,
            ),
            Self::Pause { targets } => (FaultKind::Pause, targets),
            Self::ClockStep { targets, by } => (FaultKind::ClockStep { by, undone: false }, targets),
        };
        let target = |id: u32| Target {
            name: format!("replica {id}"),
            scope: Scope::Service(id),
        };
        FaultSpec {
            name: format!("fault {number}"),
            kind,
            when: When::once(from, Some(to - from)),
            targets: targets.into_iter().map(target).collect(),
            independence: Independence::Together,
        }
    }
}

pub(crate) fn ms(ms: u64) -> SimTime {
    SimTime::ZERO + SimDuration::from_millis(ms)
}

/// A store, its clients, and what goes wrong.
pub(crate) struct Bench {
    pub model: Model,
    pub spec: StoreSpec,
    pub network: NetworkSpec,
    /// Where each client is, and what it does.
    pub clients: Vec<(SiteId, Vec<(SimTime, Act)>)>,
    /// Faults by begin and end; replicas are named by their place.
    pub faults: Vec<(SimTime, SimTime, FaultAction)>,
    pub idempotent: bool,
    pub attempts: u16,
    /// Whether clients wait for each answer before they go on, whatever the times in their scripts.
    pub in_turn: bool,
    /// What clients remember of the store.
    pub memory: Memory,
    pub seed: u64,
}

/// What a run of a [`Bench`] left.
pub(crate) struct Ran {
    pub log: Vec<(u32, Seen)>,
    pub print: String,
    pub end: crate::kernel::End,
}

impl Bench {
    /// Replicas and clients are where the spec says; nothing goes wrong.
    pub fn new(model: Model, spec: StoreSpec, network: NetworkSpec) -> Self {
        Self {
            model,
            spec,
            network,
            clients: Vec::new(),
            faults: Vec::new(),
            idempotent: false,
            attempts: 1,
            in_turn: false,
            memory: Memory::None,
            seed: 1,
        }
    }

    /// Runs until `until`.
    pub fn run(self, until: SimTime, observers: Vec<Box<dyn Observer>>) -> Ran {
        let root = Key::root(self.seed, 0);
        let mut directory = Directory::default();
        let mut rank = 0..;
        let mut endpoint = |id, site, name: &str, member| Endpoint {
            id,
            site,
            key: root.child(name).member(member),
            origin: Origin::new(rank.next().unwrap()),
            sent: 0,
        };
        let sites: Vec<SiteId> = self.spec.replicas.iter().map(|replica| replica.site).collect();
        let store = directory.add("store", sites.len() as u32, Sites::Each(sites.clone()));
        let replicas: Vec<Endpoint> = (0..)
            .zip(&sites)
            .map(|(n, site)| endpoint(store + n, *site, "store", n as u64))
            .collect();
        let sites: Vec<SiteId> = self.clients.iter().map(|(site, _)| *site).collect();
        let base = directory.add("clients", sites.len().max(1) as u32, Sites::Each(sites.clone()));
        let endpoints: Vec<Endpoint> = (0..)
            .zip(&sites)
            .map(|(n, site)| endpoint(base + n, *site, "clients", n as u64))
            .collect();
        directory.add("faults", self.faults.len().max(1) as u32, Sites::One(SiteId(0)));
        let log = Log::default();
        let (keys, clients) = (self.spec.keys.len(), sites.len());
        let population = Clients {
            endpoints: endpoints.clone(),
            scripts: self.clients.into_iter().map(|(_, script)| script).collect(),
            contexts: vec![vec![Context::default(); keys]; clients],
            sessions: vec![Session::default(); clients],
            memory: self.memory,
            store,
            idempotent: self.idempotent,
            attempts: self.attempts,
            in_turn: self.in_turn,
            log: log.clone(),
        };
        let specs = self.faults.into_iter().enumerate();
        let specs = specs
            .map(|(number, (from, to, action))| action.spec(number, from, to))
            .collect();
        let faults = Faults::new(Arc::new(specs), root);
        let ranks: Vec<u32> = (0..faults.len()).map(|_| rank.next().unwrap()).collect();
        let network = Network::new(Arc::new(self.network), root).expect("a good network");
        let store = build(&self.model, "store", 0, Arc::new(self.spec), replicas.clone());
        let groups: Vec<Box<dyn Population>> = vec![store, Box::new(population)];
        let mut world = World::empty(directory, network, faults, &ranks, Records::new(observers));
        world.populate(groups);
        let mut kernel = Kernel::new(world, SimDuration::from_secs(1));
        kernel.prepare(|world, prepare| {
            world.prepare(prepare, |starter| {
                for (n, endpoint) in replicas.iter().chain(&endpoints).enumerate() {
                    let mut origin = Origin::new(1_000_000 + n as u32);
                    starter.schedule(&mut origin, SimTime::ZERO, kind::START, endpoint.id, 0);
                }
            });
        });
        let end = kernel.run(until, u64::MAX);
        let now = kernel.now();
        let print = kernel.fingerprint().print().to_string();
        let mut world = kernel.into_model();
        world.finish(now);
        let breaches = world.audit(now);
        assert!(breaches.is_empty(), "{breaches:?}");
        world.shared.records.flush();
        let log = std::mem::take(&mut *log.lock().unwrap());
        Ran { log, print, end }
    }
}
