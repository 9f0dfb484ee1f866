//! Random programs in random worlds, with everything going wrong: every task's parts, rebuilt from the records by code of its
//! own that walks back along the critical path, are those of the agents, to the nanosecond.

use proptest::prelude::*;
use quorate::agents::policy::breaker::{BreakerSpec, Trip};
use quorate::agents::policy::budget::{BudgetSpec, Feed};
use quorate::agents::policy::resilience::{HedgeAfter, HedgeSpec, SharedBy};
use quorate::agents::policy::throttle::ThrottleSpec;
use quorate::agents::step::*;
use quorate::agents::*;
use quorate::channels::{
    Assignment, Bound, ChannelSpec, ConsumerSpec, Delivery, Full, Kind, LogSpec, Position, QueueSpec,
};
use quorate::check::critical_path::CriticalPath;
use quorate::faults::{FaultKind, FaultSpec, Independence, Keep, Scope, Target, When, Window};
use quorate::kernel::*;
use quorate::measures::{self, Watch};
use quorate::network::{Latency, LinkSpec, Loss, NetworkSpec, SiteId};
use quorate::random::Law;
use quorate::scenario::plan::*;
use quorate::services::Routing;
use quorate::services::*;
use quorate::world::population::Sites;
use quorate::world::record::Observer;
use std::sync::Arc;

const MS: f64 = 1e6;
/// Topics: one that peers handle, one that they handle by calling, one that they wait for.
const HANDLED: u16 = 0;
const HANDLED_BY_CALLING: u16 = 1;
const AWAITED: u16 = 2;

/// What the topic pushes to the peers, what the others are called.
const PUSHED: u16 = 3;

/// Places of entities in the plans of this file: services come first, a page each, then the channels, then the groups.
const SERVICES: [u32; 4] = [0, 256, 512, 768];
/// A topic, a queue and a log.
const CHANNELS: [u32; 3] = [1024, 1280, 1536];
const AGENTS: u32 = 1792;
const PEERS: u32 = 2048;
/// Of the services: those that work. The others are gateways, the second of which asks the first.
const WORKING: usize = 2;

fn time() -> impl Strategy<Value = Law> {
    prop_oneof![
        Just(Law::Constant(0.0)),
        (1u32..40).prop_map(|ms| Law::Constant(ms as f64 * MS)),
        (1u32..40).prop_map(|ms| Law::Exponential { mean: ms as f64 * MS }),
    ]
}

fn duration() -> impl Strategy<Value = SimDuration> {
    (1u64..80).prop_map(SimDuration::from_millis)
}

fn send(topic: u16) -> impl Strategy<Value = SendStep> {
    let to = prop_oneof![
        Just(Peers::Any { base: PEERS, count: 3 }),
        Just(Peers::Same { base: PEERS, count: 3 }),
        Just(Peers::Any { base: AGENTS, count: 3 }),
        Just(Peers::Sender),
    ];
    to.prop_map(move |to| SendStep { to, topic, bytes: 10 })
}

fn topic() -> impl Strategy<Value = u16> {
    prop_oneof![Just(HANDLED), Just(HANDLED_BY_CALLING), Just(AWAITED)]
}

fn aim() -> impl Strategy<Value = Option<Box<Aim>>> {
    let routing = prop_oneof![
        Just(Routing::First),
        Just(Routing::Random),
        Just(Routing::RoundRobin),
        Just(Routing::LeastInFlight),
        Just(Routing::PowerOf(2)),
        Just(Routing::Sticky),
    ];
    let aim = routing.prop_map(|routing| Aim {
        servers: SERVICES.into(),
        routing,
    });
    prop_oneof![2 => Just(None), 1 => aim.prop_map(|aim| Some(Box::new(aim)))]
}

fn leaf() -> impl Strategy<Value = Step> {
    let call = (0usize..4, 0u16..5, aim(), any::<bool>()).prop_map(|(service, policy, aim, about)| {
        Step::Call(CallStep {
            server: if aim.is_some() { SERVICES[0] } else { SERVICES[service] },
            whom: Whom::Named,
            policy,
            bytes: 10,
            tokens: None,
            priority: 0,
            aim,
            prompt: Default::default(),
            about: about.then_some(Law::Uniform { low: 0.0, high: 3.0 }),
            counts: false,
        })
    });
    prop_oneof![
        3 => time().prop_map(Step::Think),
        1 => time().prop_map(Step::Sleep),
        5 => call,
        1 => topic().prop_flat_map(send).prop_map(Step::Send),
        2 => (topic().prop_flat_map(send), duration(), any::<bool>())
            .prop_map(|(send, timeout, propagates)| Step::Ask { send, timeout: Some(timeout), propagates }),
        1 => (1u32..3, duration()).prop_map(|(count, timeout)| Step::Wait { topic: Some(AWAITED), count, timeout: Some(timeout) }),
        1 => Just(Step::Reply { bytes: 3 }),
        3 => (0usize..3, 0u16..5, any::<bool>(), any::<bool>()).prop_map(|(channel, policy, acknowledged, keyed)| {
            Step::Publish(PublishStep {
                channel: CHANNELS[channel],
                policy,
                bytes: 20,
                about: if keyed { KeyOf::Publisher } else { KeyOf::Nothing },
                acknowledged,
            })
        }),
    ]
}

/// A poll of the queue or the log.
fn poll(each: Vec<Step>, (channel, policy, most, wait): (usize, u16, u32, SimDuration)) -> Step {
    let poll = PollStep {
        channel: CHANNELS[channel],
        policy,
        most,
        wait,
    };
    Step::Poll { poll, each }
}

fn step() -> impl Strategy<Value = Step> {
    leaf().prop_recursive(4, 24, 4, |inner| {
        let steps = || prop::collection::vec(inner.clone(), 0..4);
        prop_oneof![
            2 => (0u32..4, steps()).prop_map(|(times, steps)| Step::Repeat { times: Some(Law::Constant(times as f64)), steps }),
            3 => prop::collection::vec(steps(), 0..4).prop_map(Step::Parallel),
            1 => prop::collection::vec(steps(), 1..3).prop_map(|all| Step::Choose(all.into_iter().map(|steps| (1.0, steps)).collect())),
            2 => (steps(), steps(), 0.0..1.0).prop_map(|(basis, guess, right)| Step::Speculate { basis, guess, right }),
            2 => (steps(), (1usize..3, 1u16..5, 1u32..4, duration())).prop_map(|(each, what)| poll(each, what)),
            2 => steps().prop_map(|steps| Step::Task { name: 1, steps }),
            1 => steps().prop_map(|mut steps| { steps.push(Step::Stop); Step::Task { name: 1, steps } }),
        ]
    })
}

fn policy() -> impl Strategy<Value = Policy> {
    let backoff = prop_oneof![
        Just(Backoff::None),
        duration().prop_map(Backoff::Fixed),
        (duration(), duration()).prop_map(|(base, cap)| Backoff::FullJitter { base, cap }),
        (duration(), duration()).prop_map(|(base, cap)| Backoff::DecorrelatedJitter { base, cap }),
    ];
    (duration(), 1u32..5, backoff, any::<bool>(), any::<bool>(), resilience()).prop_map(
        |(timeout, attempts, backoff, honours_retry_after, idempotency_key, resilience)| Policy {
            timeout: Some(timeout),
            attempts: Some(attempts),
            backoff,
            honours_retry_after,
            idempotency_key,
            resilience,
        },
    )
}

/// Every pattern, often enough together with others, and none at all.
fn resilience() -> impl Strategy<Value = Option<Box<Resilience>>> {
    let budget =
        (1u64..1_000_000, 1u32..4, any::<bool>(), any::<bool>()).prop_map(|(ratio, most, successes, hedges)| {
            BudgetSpec {
                ratio,
                most,
                fed_by: if successes {
                    Feed::Successes
                } else {
                    Feed::FirstAttempts
                },
                hedges,
            }
        });
    let throttle = (1u32..3, duration()).prop_map(|(k, window)| ThrottleSpec {
        k: f64::from(k),
        window: window * 10,
    });
    let trips = prop_oneof![
        (1u32..4).prop_map(Trip::Consecutive),
        (1u32..4, duration()).prop_map(|(least, window)| Trip::Rate {
            share: 0.4,
            window,
            least
        }),
    ];
    let breaker = (trips, duration(), 1u32..3, 1u32..3).prop_map(|(trips, open, probes, closes_after)| BreakerSpec {
        trips,
        open,
        probes,
        closes_after,
    });
    let after = prop_oneof![
        (0u64..40).prop_map(|ms| HedgeAfter::Fixed(SimDuration::from_millis(ms))),
        (1u32..5).prop_map(|least| HedgeAfter::Quantile { share: 0.5, least }),
    ];
    let hedge = (after, 1u32..3, any::<bool>()).prop_map(|(after, most, tied)| HedgeSpec { after, most, tied });
    let rate = (1u64..3).prop_map(|burst| RateLimit {
        count: 60,
        period: SimDuration::from_secs(1),
        burst,
        excess: Excess::Wait,
    });
    let parts = (
        prop::option::of((5u64..200).prop_map(SimDuration::from_millis)),
        any::<bool>(),
        prop::option::of(budget),
        prop::option::of(throttle),
        prop::option::of(breaker),
        prop::option::of(hedge),
        (any::<bool>(), prop::option::of(rate), prop::option::of(1u32..3)),
    );
    let all = parts.prop_map(
        |(deadline, cancels, retry_budget, throttle, breaker, hedge, (group, rate, in_flight))| {
            Some(Box::new(Resilience {
                deadline,
                cancels,
                retry_budget,
                throttle,
                breaker,
                hedge,
                rate,
                in_flight,
                shared_by: if group { SharedBy::Group } else { SharedBy::Agent },
            }))
        },
    );
    prop_oneof![1 => Just(None), 2 => all]
}

fn service() -> impl Strategy<Value = ServiceSpec> {
    let limit = (1u64..4, any::<bool>(), any::<bool>()).prop_map(|(burst, retry_after, wait)| RateLimit {
        count: 50,
        period: SimDuration::from_secs(1),
        burst,
        excess: match wait {
            true => Excess::Wait,
            false => Excess::Refuse { retry_after },
        },
    });
    let abandoned = prop_oneof![
        Just(Abandoned::Serve),
        Just(Abandoned::Discard),
        Just(Abandoned::Interrupt)
    ];
    let discipline = prop_oneof![
        Just(Discipline::Fifo),
        Just(Discipline::Lifo),
        Just(Discipline::Sharing),
        Just(Discipline::Priority),
        Just(Discipline::ShortestFirst),
        Just(Discipline::Fair),
    ];
    let answers = (duration(), 0.0..0.5, duration(), 1u32..4, any::<bool>());
    let answers = answers.prop_map(|(ttl, jitter, stale, size, single_flight)| answers::AnswerCache {
        ttl,
        jitter,
        stale,
        size,
        single_flight,
    });
    let parts = (
        1u32..3,
        prop::option::of(0u32..3),
        time(),
        prop::option::of(limit),
        (abandoned, discipline),
        (prop::option::of(duration()), prop::option::of(answers)),
    );
    parts.prop_map(
        |(servers, queue, time, limit, (abandoned, discipline), (most_wait, answers))| ServiceSpec {
            queue,
            limit,
            abandoned,
            discipline,
            most_wait,
            answers,
            ..ServiceSpec::new(Some(servers), time)
        },
    )
}

/// How a gateway passes requests on to two others.
fn passing() -> impl Strategy<Value = Passing> {
    let routing = prop_oneof![
        Just(Routing::First),
        Just(Routing::Random),
        Just(Routing::RoundRobin),
        Just(Routing::LeastInFlight),
        Just(Routing::PowerOf(2)),
        Just(Routing::Sticky),
    ];
    let batch = (1u32..4, duration()).prop_map(|(most, wait)| Gathering { most, wait });
    let ejects = (1u32..3, duration()).prop_map(|(failures, period)| Ejection { failures, period });
    let asked = prop_oneof![3 => Just((1, 1)), 1 => Just((2, 1)), 1 => Just((2, 2))];
    (
        routing,
        asked,
        policy(),
        any::<bool>(),
        prop::option::of(batch),
        prop::option::of(ejects),
    )
        .prop_map(|(routing, (fan_out, need), policy, holds, batch, ejects)| Passing {
            to: Vec::new(),
            routing,
            fan_out,
            need,
            policy,
            bytes: 5,
            holds,
            batch,
            ejects,
        })
}

fn fault() -> impl Strategy<Value = FaultSpec> {
    let agents = || {
        (AGENTS..AGENTS + 3, any::<bool>()).prop_map(|(at, peer)| {
            let at = if peer { at - AGENTS + PEERS } else { at };
            Scope::Tags(at..at + 1)
        })
    };
    let services = || {
        (0usize..7).prop_map(|index| {
            Scope::Service(if index < 4 {
                SERVICES[index]
            } else {
                CHANNELS[index - 4]
            })
        })
    };
    let keep = prop_oneof![Just(Keep::State), Just(Keep::Nothing)];
    let what = prop_oneof![
        2 => (keep, prop_oneof![agents(), services()]).prop_map(|(keep, scope)| (FaultKind::Crash { keep }, scope)),
        2 => prop_oneof![agents(), services()].prop_map(|scope| (FaultKind::Pause, scope)),
        1 => (prop_oneof![Just(0.0), Just(0.3)], services()).prop_map(|(speed, scope)| (FaultKind::ServiceStall { speed }, scope)),
    ];
    (what, prop::collection::vec((1u64..100, 1u64..100), 1..4)).prop_map(|((kind, scope), gaps)| {
        let mut at = SimTime::ZERO;
        let mut windows = Vec::new();
        for (gap, length) in gaps {
            let start = at + SimDuration::from_millis(gap);
            let lasts = SimDuration::from_millis(length);
            windows.push(Window {
                at: start,
                lasts: Some(lasts),
            });
            at = start + lasts;
        }
        FaultSpec {
            name: String::new(),
            kind,
            when: When::Windows(windows),
            targets: vec![Target {
                name: "it".into(),
                scope,
            }],
            independence: Independence::Together,
        }
    })
}

/// How a channel hands over, with how many servers, and how long an operation takes.
type Guarantee = (Delivery, Option<u32>, Law);

/// A topic that is pushed to the peers, and a queue and a log that agents poll.
fn channels() -> impl Strategy<Value = Vec<ChannelSpec>> {
    let delivery = prop_oneof![
        Just(Delivery::AtMostOnce),
        Just(Delivery::AtLeastOnce),
        Just(Delivery::EffectivelyOnce)
    ];
    let bound = prop::option::of(prop_oneof![
        Just(Full::Refuse),
        Just(Full::DropOldest),
        Just(Full::DropNewest)
    ]);
    let rules =
        (prop::option::of(1u32..4), bound, any::<bool>()).prop_map(|(most_deliveries, full, delayed)| QueueSpec {
            delay: SimDuration::from_millis(if delayed { 15 } else { 0 }),
            most_deliveries,
            dead_letters: None,
            bound: full.map(|full| Bound { most: 3, full }),
        });
    let log = (1u32..4, any::<bool>()).prop_map(|(partitions, sticky)| LogSpec {
        assignment: if sticky { Assignment::Sticky } else { Assignment::Range },
        rebalance: SimDuration::from_millis(10),
        session: SimDuration::from_millis(150),
        ..LogSpec::new(partitions)
    });
    let kinds = (rules.clone(), rules, log)
        .prop_map(|(topic, queue, log)| [Kind::Topic(topic), Kind::Queue(queue), Kind::Log(log)]);
    let parts = (
        kinds,
        prop::collection::vec((delivery, prop::option::of(1u32..3), time()), 3),
    );
    parts.prop_map(|(kinds, rest)| {
        let consumer = |base: u32, prefetch| ConsumerSpec {
            name: base.to_string(),
            base,
            count: 3,
            prefetch,
            group: 0,
            from: Position::Earliest,
            replays: vec![],
        };
        let all = kinds.into_iter().zip(rest).zip(0u16..);
        let channel = |((kind, (delivery, servers, time)), place): ((Kind, Guarantee), u16)| {
            let consumers = match place {
                0 => vec![consumer(PEERS, Some(2))],
                _ => vec![consumer(AGENTS, None)],
            };
            ChannelSpec {
                visibility: SimDuration::from_millis(60),
                deduplicates: (delivery == Delivery::EffectivelyOnce).then_some(SimDuration::from_secs(1)),
                servers,
                time,
                consumers,
                groups: 1,
                topic: PUSHED + place,
                ..ChannelSpec::new(kind, delivery)
            }
        };
        all.map(channel).collect()
    })
}

/// The same steps without polls: what was polled is in no event of a journal.
fn without_polls(steps: Vec<Step>) -> Vec<Step> {
    let inner = |steps| without_polls(steps);
    let one = |step| match step {
        Step::Poll { each, .. } => Step::Task {
            name: 1,
            steps: inner(each),
        },
        Step::Repeat { times, steps } => Step::Repeat {
            times,
            steps: inner(steps),
        },
        Step::Parallel(all) => Step::Parallel(all.into_iter().map(inner).collect()),
        Step::Choose(all) => Step::Choose(all.into_iter().map(|(weight, steps)| (weight, inner(steps))).collect()),
        Step::Speculate { basis, guess, right } => Step::Speculate {
            basis: inner(basis),
            guess: inner(guess),
            right,
        },
        Step::Task { name, steps } => Step::Task {
            name,
            steps: inner(steps),
        },
        other => other,
    };
    steps.into_iter().map(one).collect()
}

#[derive(Debug, Clone)]
struct Case {
    steps: Vec<Step>,
    policies: Vec<Policy>,
    services: Vec<ServiceSpec>,
    channels: Vec<ChannelSpec>,
    gateways: Vec<Passing>,
    faults: Vec<FaultSpec>,
    loss: f64,
    duplication: f64,
    latency: Law,
    goes_on: bool,
    at_once: u16,
    /// Whether agents keep a log of events, and after how many they write a snapshot.
    journal: Option<Option<u32>>,
    seed: u64,
}

fn case() -> impl Strategy<Value = Case> {
    let world = (
        (prop::collection::vec(policy(), 4), channels()),
        (prop::collection::vec(service(), 4), prop::collection::vec(passing(), 2)),
        prop::collection::vec(fault(), 0..9),
        prop_oneof![Just(0.0), Just(0.2)],
        prop_oneof![Just(0.0), Just(0.3)],
        // Constant and no latency make things happen at once.
        prop_oneof![
            Just(Law::Uniform {
                low: 1.0 * MS,
                high: 20.0 * MS
            }),
            Just(Law::Constant(10.0 * MS)),
            Just(Law::Constant(0.0)),
        ],
    );
    let journal = prop::option::of(prop::option::of(1u32..4));
    let rest = (any::<bool>(), 1u16..3, journal, any::<u64>());
    (prop::collection::vec(step(), 3..12), world, rest).prop_map(|(steps, world, (goes_on, at_once, journal, seed))| {
        let ((policies, channels), (services, gateways), faults, loss, duplication, latency) = world;
        let steps = if journal.is_some() { without_polls(steps) } else { steps };
        Case {
            channels,
            steps,
            policies,
            services,
            gateways,
            faults,
            loss,
            duplication,
            latency,
            goes_on,
            at_once,
            journal,
            seed,
        }
    })
}

/// From which channels the groups at a site get messages.
fn consumed(channels: &[ChannelSpec], site: u32) -> Arc<[Consumes]> {
    let of = |(spec, channel): (&ChannelSpec, u32)| Consumes {
        channel,
        topic: spec.topic,
        pushed: channel == CHANNELS[0],
        acknowledges: spec.delivery.acknowledges(),
        remembers: (spec.delivery == Delivery::EffectivelyOnce).then_some(Remembers {
            most: 20,
            shared: channel == CHANNELS[1],
        }),
    };
    let here = |consumes: &Consumes| consumes.pushed == (site == 1);
    channels.iter().zip(CHANNELS).map(of).filter(here).collect()
}

fn plan(case: &Case) -> Plan {
    let link = LinkSpec {
        latency: Latency::Law(case.latency.clone()),
        loss: Loss::Independent(case.loss),
        duplication: case.duplication,
        ..LinkSpec::default()
    };
    let services = case
        .services
        .iter()
        .zip(["model", "tool", "x gateway", "y gateway"])
        .zip(0..);
    let mut services: Vec<ServicePlan> = services
        .map(|((spec, name), place)| ServicePlan {
            name: name.into(),
            site: SiteId(place % 2),
            spec: Arc::new(spec.clone()),
        })
        .collect();
    if case.duplication > 0.0 {
        // Of two copies that come at once one would wait for the other's answer; records don't say which of them was used.
        for service in &mut services {
            let spec = Arc::make_mut(&mut service.spec);
            spec.answers = spec.answers.map(|answers| answers::AnswerCache {
                single_flight: false,
                ..answers
            });
        }
    }
    let [first, second] = [0, 1].map(|n| case.gateways[n].clone());
    let asks = |passing: Passing, to: [u32; 2]| {
        let to = to.to_vec();
        Some(Arc::new(Passing { to, ..passing }))
    };
    Arc::make_mut(&mut services[WORKING].spec).passes = asks(first, [SERVICES[0], SERVICES[1]]);
    Arc::make_mut(&mut services[WORKING + 1].spec).passes = asks(second, [SERVICES[WORKING], SERVICES[1]]);
    let mut policies = vec![Policy {
        timeout: Some(SimDuration::from_millis(300)),
        ..Policy::default()
    }];
    policies.extend(case.policies.iter().cloned());
    // What is asked of a log is asked until it is answered.
    policies.push(Policy {
        timeout: Some(SimDuration::from_millis(80)),
        attempts: None,
        backoff: Backoff::Fixed(SimDuration::from_millis(7)),
        ..Policy::default()
    });
    let journal = case.journal.map(|snapshot_every| JournalSpec {
        server: SERVICES[0],
        policy: policies.len() as u16 - 1,
        granularity: Granularity::Steps,
        event_bytes: 10,
        snapshot_every,
        snapshot_bytes: 100,
        replay: Law::Constant(3.0 * MS),
        batch: 2,
    });
    let events = journal.as_ref().map(|journal| journal.granularity);
    let group = |name: &str, program: Program, site: u32| GroupSpec {
        name: name.into(),
        count: Some(3),
        is_stream: false,
        max_alive: 0,
        arrivals: Arrivals::Spread {
            from: SimTime::ZERO,
            over: SimDuration::from_millis(20),
        },
        stagger: None,
        program,
        policies: policies.clone(),
        mailbox: 3,
        handlers_at_once: case.at_once,
        stores: [].into(),
        nearest: [].into(),
        memories: [].into(),
        caches: [].into(),
        journal: (site == 0).then(|| journal.clone()).flatten(),
        budgets: Arc::new([]),
        errs: None,
        channels: consumed(&case.channels, site),
        failure_ends_task: !case.goes_on,
        sites: Sites::One(SiteId(site)),
    };
    let think = |ms: f64| Step::Think(Law::Constant(ms * MS));
    let call = Step::Call(CallStep {
        server: SERVICES[1],
        whom: Whom::Named,
        policy: 1,
        bytes: 1,
        tokens: None,
        priority: 0,
        aim: None,
        counts: false,
        prompt: Default::default(),
        about: None,
    });
    let call_tool = call.clone();
    let handlers = vec![
        (HANDLED, vec![think(4.0), Step::Reply { bytes: 5 }, think(2.0)]),
        (
            HANDLED_BY_CALLING,
            vec![Step::Parallel(vec![vec![call.clone()], vec![think(9.0), call]])],
        ),
    ];
    let peers_handlers = [handlers.clone(), vec![(PUSHED, vec![think(5.0), call_tool.clone()])]].concat();
    let peer = [Step::Repeat {
        times: Some(Law::Constant(40.0)),
        steps: vec![
            Step::Wait {
                topic: Some(AWAITED),
                count: 2,
                timeout: Some(SimDuration::from_millis(25)),
            },
            think(3.0),
            Step::Reply { bytes: 9 },
        ],
    }];
    Plan {
        name: "random".into(),
        variant: "base".into(),
        question: String::new(),
        until: Until::At(SimTime::ZERO + SimDuration::from_secs(20)),
        drain: SimDuration::ZERO,
        warm_up: SimTime::ZERO,
        network: Arc::new(NetworkSpec::uniform(["a", "b"], link)),
        services,
        stores: vec![],
        coordination: vec![],
        presets: vec![],
        channels: case
            .channels
            .iter()
            .zip(["log", "queue", "topic"].iter().rev())
            .zip(0..)
            .map(|((spec, name), place)| ChannelPlan {
                name: name.to_string(),
                site: SiteId(place % 2),
                spec: Arc::new(spec.clone()),
            })
            .collect(),
        budgets: vec![],
        agents: vec![
            Arc::new(group(
                "agents",
                Program::compile_with(&case.steps, &handlers, "agents.agents", events),
                0,
            )),
            Arc::new(group(
                "peers",
                Program::compile(&peer, &peers_handlers, "agents.peers"),
                1,
            )),
        ],
        faults: Arc::new(
            case.faults
                .iter()
                .zip(0..)
                .map(|(fault, index)| FaultSpec {
                    name: format!("fault {index}"),
                    ..fault.clone()
                })
                .collect(),
        ),
        task_names: vec![String::new(), "part".into()],
        topics: ["handled", "called", "awaited", "topic", "queue", "log"]
            .map(String::from)
            .to_vec(),
        window: SimDuration::from_secs(1),
    }
}

fn check(case: &Case) -> Result<u64, TestCaseError> {
    let plan = plan(case);
    let addresses = plan.addresses();
    assert_eq!(addresses.services, SERVICES);
    assert_eq!(addresses.channels, CHANNELS);
    assert_eq!(addresses.agents, [AGENTS, PEERS]);
    let watch = Watch::new(measures::standard(&quorate::experiment::grid::setting(&plan)));
    let observers: Vec<Box<dyn Observer>> = vec![Box::new(CriticalPath::new()), Box::new(watch)];
    let run = quorate::scenario::build(&plan, case.seed, 0, observers);
    let (end, mut world, _) = run.finish(5_000_000);
    prop_assert_eq!(end.breaches, Vec::<String>::new());
    prop_assert!(end.halt.is_none(), "{:?}", end.halt);
    let mut observers = std::mem::take(&mut world.shared.records).into_observers().into_iter();
    let path = observers.next().unwrap().into_any().downcast::<CriticalPath>().unwrap();
    prop_assert_eq!(path.wrong(), &[] as &[String]);
    let sheet = observers
        .next()
        .unwrap()
        .into_any()
        .downcast::<Watch>()
        .unwrap()
        .finish(end.now);
    for name in ["topic", "queue", "log"] {
        let unaccounted = sheet.numbers[&format!("channel.{name}.unaccounted")];
        prop_assert_eq!(unaccounted, 0.0, "{}", name);
    }
    Ok(path.checked())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, max_shrink_iters: 4000, ..ProptestConfig::default() })]

    #[test]
    fn the_parts_of_every_task_are_rebuilt_from_the_records(case in case()) {
        check(&case)?;
    }
}

/// Counts the records of each kind.
#[derive(Debug, Default)]
struct Kinds(std::collections::BTreeMap<String, u64>);

impl quorate::world::record::Observer for Kinds {
    fn wants(&self) -> quorate::world::record::Mask {
        quorate::world::record::Mask::ALL
    }
    fn batch(&mut self, batch: quorate::world::record::Batch<'_>) {
        use quorate::world::record::What;
        for record in batch.records {
            let detail = match record.what {
                What::StepEnded => format!("StepEnded {}", record.b),
                What::TaskEnded => format!("TaskEnded {}", record.b & 255),
                What::CallEnded => format!("CallEnded {}", record.c),
                What::Journal => format!("Journal {}", record.c),
                What::PassedBack => format!("PassedBack {}", record.c),
                What::AnswerCached => format!("AnswerCached {}", record.c),
                What::Channel => format!("Channel {}", record.c),
                what => format!("{what:?}"),
            };
            *self.0.entry(detail).or_default() += 1;
        }
    }
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}

#[test]
fn the_random_worlds_cover_what_can_happen() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let mut all = std::collections::BTreeMap::<String, u64>::new();
    for _ in 0..300 {
        let case = case().new_tree(&mut runner).unwrap().current();
        let run = quorate::scenario::build(&plan(&case), case.seed, 0, vec![Box::new(Kinds::default())]);
        let (_, mut world, _) = run.finish(5_000_000);
        let observers = std::mem::take(&mut world.shared.records).into_observers();
        let kinds = observers
            .into_iter()
            .next()
            .unwrap()
            .into_any()
            .downcast::<Kinds>()
            .unwrap();
        for (kind, count) in kinds.0 {
            *all.entry(kind).or_default() += count;
        }
    }
    println!("{all:#?}");
    for kind in [
        "Channel 0",
        "Channel 1",
        "Channel 2",
        "Channel 3",
        "Channel 4",
        "Channel 5",
        "Channel 6",
        "Channel 7",
        "Channel 10",
        "Channel 13",
        "Channel 17",
        "Channel 18",
        "Channel 19",
        "Channel 20",
        "Channel 21",
        "AskReplied",
        "Paused",
        "Resumed",
        "Crashed",
        "Restarted",
        "GuessRight",
        "GuessWrong",
        "AttemptTimedOut",
        "AttemptRefused",
        "AnswerUnused",
        "RequestDropped",
        "AttemptHeld",
        "AttemptRejected",
        "BreakerChanged",
        "CancelSent",
        "Cancelled",
        "HedgeEnded",
        "RequestDiscarded",
        "Duplicated",
        "Lost",
        "TaskEnded 0",
        "TaskEnded 1",
        "TaskEnded 2",
        "StepEnded 0",
        "StepEnded 1",
        "StepEnded 2",
        "StepEnded 3",
        "StepEnded 4",
        "CallEnded 0",
        "CallEnded 1",
        "CallEnded 2",
        "Journal 0",
        "Journal 1",
        "Journal 3",
        "Journal 5",
        "Journal 7",
        "PassedOn",
        "PassedBack 0",
        "PassedBack 1",
        "PassedBack 2",
        "PassedBack 3",
        "PassedBack 4",
        "Ejected",
        "AnswerCached 0",
        "AnswerCached 1",
        "AnswerCached 3",
        "AnswerCached 5",
        "AnswerCached 7",
    ] {
        assert!(
            all.get(kind).is_some_and(|count| *count > 5),
            "{kind}: {:?}",
            all.get(kind)
        );
    }
}
