//! Measures of worlds built in code: the registry covers every sheet, the books agree, and small worlds have the numbers that
//! can be worked out by hand.

use quorate::agents::policy::throttle::ThrottleSpec;
use quorate::agents::step::*;
use quorate::agents::*;
use quorate::faults::{FaultKind, FaultSpec, Independence, Scope, Target, When, Window};
use quorate::kernel::*;
use quorate::measures::{self, Options, Setting, Sheet, Unit, Watch};
use quorate::network::{Latency, LinkSpec, Loss, NetworkSpec, SiteId};
use quorate::random::Law;
use quorate::scenario::plan::*;
use quorate::services::*;
use quorate::world::population::Sites;
use std::sync::Arc;

const MS: f64 = 1e6;

fn group(name: &str, program: Program) -> GroupSpec {
    GroupSpec {
        name: name.into(),
        count: Some(1),
        is_stream: false,
        max_alive: MAX_ALIVE,
        arrivals: Arrivals::AtOnce(SimTime::ZERO),
        stagger: None,
        program,
        policies: vec![Policy::default()],
        mailbox: 1000,
        handlers_at_once: 1,
        stores: [].into(),
        nearest: [].into(),
        memories: [].into(),
        caches: [].into(),
        journal: None,
        budgets: Arc::new([]),
        errs: None,
        channels: Arc::new([]),
        failure_ends_task: true,
        sites: Sites::One(SiteId(0)),
    }
}

fn at(seconds: f64) -> SimTime {
    SimTime::from_nanos((seconds * 1e9) as u64)
}

fn plan(one_way_ms: f64, loss: f64, until: f64) -> Plan {
    let link = LinkSpec {
        latency: Latency::Law(Law::Constant(one_way_ms * MS)),
        loss: Loss::Independent(loss),
        ..LinkSpec::default()
    };
    Plan {
        name: "test".into(),
        variant: "base".into(),
        question: String::new(),
        until: Until::At(at(until)),
        drain: SimDuration::ZERO,
        warm_up: SimTime::ZERO,
        network: Arc::new(NetworkSpec::uniform(["a", "b"], link)),
        services: vec![],
        stores: vec![],
        coordination: vec![],
        presets: vec![],
        channels: vec![],
        agents: vec![],
        budgets: vec![],
        faults: Arc::new(vec![]),
        task_names: vec![String::new(), "look".into()],
        topics: vec![],
        window: SimDuration::from_secs(1),
    }
}

fn setting(plan: &Plan) -> Setting {
    let addresses = plan.addresses();
    let services = plan.services.iter().zip(&addresses.services);
    Setting {
        services: services.map(|(service, id)| (*id, service.name.clone())).collect(),
        stores: vec![],
        faults: plan.faults.iter().map(|fault| (fault.name.clone(), false)).collect(),
        targets: plan
            .faults
            .iter()
            .map(|fault| fault.targets.iter().map(|target| target.name.clone()).collect())
            .collect(),
        limits: plan
            .services
            .iter()
            .map(|service| {
                let spec = &service.spec;
                let rate = spec.limit.map(|limit| limit.count as f64 / limit.period.as_secs_f64());
                (
                    rate,
                    [spec.price_per_call, spec.price_per_token_in, spec.price_per_token_out],
                )
            })
            .collect(),
        servers: plan.services.iter().map(|service| service.spec.servers).collect(),
        budgets: Vec::new(),
        coordination: Vec::new(),
        batching: plan.services.iter().map(|_| None).collect(),
        reasons: plan.services.iter().map(|service| service.spec.has_reasons()).collect(),
        ticks: Vec::new(),
        guarded: plan.services.iter().map(|service| service.spec.is_guarded()).collect(),
        edited: Vec::new(),
        replays: false,
        pursues: true,
        state: None,
        channels: Vec::new(),
        directory: addresses.into_directory(),
        warm_up: plan.warm_up,
        window: plan.window,
        horizon: plan.until.latest(),
        settled: plan
            .agents
            .iter()
            .filter(|group| !group.is_stream)
            .map(|group| group.name.clone())
            .collect(),
        surges: Vec::new(),
        task_names: plan.task_names.clone(),
    }
}

fn run_with(plan: &Plan, seed: u64, options: Options) -> Sheet {
    let watch = Watch::new(measures::standard_with(&setting(plan), options));
    let (end, mut world, _) = quorate::scenario::build(plan, seed, 0, vec![Box::new(watch)]).finish(50_000_000);
    assert_eq!(end.breaches, Vec::<String>::new());
    let observers = std::mem::take(&mut world.shared.records).into_observers();
    let watch = observers
        .into_iter()
        .next()
        .unwrap()
        .into_any()
        .downcast::<Watch>()
        .unwrap();
    watch.finish(end.now)
}

fn run(plan: &Plan) -> Sheet {
    run_with(plan, 1, Options::default())
}

fn call(server: u32, policy: u16) -> Step {
    Step::Call(CallStep {
        whom: Whom::Named,
        server,
        policy,
        bytes: 100,
        tokens: None,
        priority: 0,
        aim: None,
        counts: false,
        prompt: Default::default(),
        about: None,
    })
}

fn service(name: &str, site: u32, spec: ServiceSpec) -> ServicePlan {
    ServicePlan {
        name: name.into(),
        site: SiteId(site),
        spec: Arc::new(spec),
    }
}

fn constant(servers: Option<u32>, ms: f64) -> ServiceSpec {
    ServiceSpec::new(servers, Law::Constant(ms * MS))
}

fn think(ms: f64) -> Step {
    Step::Think(Law::Constant(ms * MS))
}

/// Two thousand clients against a limited, lossy, overloaded service that crashes on the way: everything happens in it.
fn busy_plan() -> Plan {
    let mut plan = plan(10.0, 0.05, 60.0);
    let limited = ServiceSpec {
        queue: Some(20),
        limit: Some(RateLimit {
            count: 50,
            period: SimDuration::from_secs(1),
            burst: 20,
            excess: Excess::Refuse { retry_after: true },
        }),
        tokens: Some(Tokens::Laws {
            tokens_in: Law::Constant(100.0),
            tokens_out: Law::Constant(10.0),
        }),
        price_per_token_in: 3_000,
        price_per_token_out: 15_000,
        price_per_call: 1_000_000,
        budget: Some(Budget {
            tokens: Some(110 * 1500),
            ..Budget::default()
        }),
        ..ServiceSpec::new(Some(4), Law::Exponential { mean: 60.0 * MS })
    };
    plan.services = vec![
        service("model", 1, limited),
        service(
            "tool",
            0,
            ServiceSpec::new(Some(5), Law::Exponential { mean: 20.0 * MS }),
        ),
        service("way", 1, constant(None, 1.0)),
    ];
    let at_ = plan.addresses();
    let way = Passing {
        to: vec![at_.services[1]],
        routing: quorate::services::Routing::Random,
        fan_out: 1,
        need: 1,
        policy: Policy {
            timeout: Some(SimDuration::from_millis(300)),
            resilience: Some(Box::new(Resilience {
                throttle: Some(ThrottleSpec {
                    k: 2.0,
                    window: SimDuration::from_secs(10),
                }),
                ..Resilience::default()
            })),
            ..Policy::default()
        },
        bytes: 10,
        holds: false,
        batch: None,
        ejects: None,
    };
    let gateway = Arc::make_mut(&mut plan.services[2].spec);
    gateway.passes = Some(Arc::new(way));
    gateway.most_wait = Some(SimDuration::from_secs(1));
    let policy = Policy {
        timeout: Some(SimDuration::from_millis(400)),
        attempts: Some(5),
        backoff: Backoff::FullJitter {
            base: SimDuration::from_millis(50),
            cap: SimDuration::from_secs(2),
        },
        honours_retry_after: false,
        idempotency_key: false,
        resilience: None,
    };
    let steps = vec![Step::Repeat {
        times: Some(Law::Constant(3.0)),
        steps: vec![
            think(20.0),
            Step::Task {
                name: 1,
                steps: vec![call(at_.services[1], 1), call(at_.services[2], 1)],
            },
            call(at_.services[0], 1),
        ],
    }];
    plan.agents = vec![Arc::new(GroupSpec {
        count: None,
        is_stream: true,
        max_alive: 10_000,
        arrivals: Arrivals::Gaps {
            from: SimTime::ZERO,
            gap: Law::Exponential { mean: 40.0 * MS },
        },
        policies: vec![Policy::default(), policy],
        ..group("agent", Program::compile(&steps, &[], "agents.agent"))
    })];
    let crash = |name: &str, keep, from: f64| FaultSpec {
        name: name.into(),
        kind: FaultKind::Crash { keep },
        when: When::Windows(vec![Window {
            at: at(from),
            lasts: Some(SimDuration::from_millis(1500)),
        }]),
        targets: vec![Target {
            name: "model".into(),
            scope: Scope::Service(at_.services[0]),
        }],
        independence: Independence::Together,
    };
    plan.faults = Arc::new(vec![
        crash("crash", quorate::faults::Keep::Nothing, 20.0),
        crash("stop", quorate::faults::Keep::State, 30.0),
    ]);
    plan.warm_up = at(5.5);
    plan
}

#[test]
fn everything_on_a_sheet_is_in_the_registry() {
    let sheet = run(&busy_plan());
    let names = sheet
        .numbers
        .keys()
        .chain(sheet.series.keys())
        .chain(sheet.samples.keys());
    for name in names {
        assert!(measures::find(name).is_some(), "{name} isn't in the registry");
    }
    for (name, series) in &sheet.series {
        assert_eq!(series.values.len(), 60, "{name}");
    }
    for (name, sample) in &sheet.samples {
        assert!(
            sample.values.is_sorted() && sample.values.len() as u64 <= sample.count,
            "{name}"
        );
    }
    let never: Vec<&str> = measures::infos()
        .into_iter()
        .map(|info| info.name)
        .filter(|pattern| {
            let (before, after) = pattern.split_once('*').unwrap_or((pattern, ""));
            let mut all = sheet.numbers.keys().chain(sheet.samples.keys());
            !all.any(|name| name.starts_with(before) && name.ends_with(after))
        })
        .filter(|pattern| {
            !["recover", "metastable", "good_from"]
                .iter()
                .any(|of| pattern.contains(of))
        })
        .collect();
    // Stores and their caches, budgets, inference endpoints, coordination groups and their work, locks, channels, sessions of editing, recorded runs, journals, and pairs of variants, have tests of their own.
    let elsewhere = [
        "state.",
        "cache.",
        "lock.",
        "channel.",
        "text.",
        "replay.",
        "journal.",
        "recovery.",
        "redone.",
        "latency_trap.",
        "budget.",
        "inference.",
        "coordination.",
        "work.",
        "fairness.",
        "group.*.fairness.",
        "service.*.cache.",
        "task.stopped",
        "task.*.stopped",
    ];
    let never: Vec<&str> = never
        .into_iter()
        .filter(|name| {
            *name != "task.time.p99"
                && !name.ends_with("p99.9")
                && !name.ends_with(".held.mean")
                && !elsewhere.iter().any(|of| name.starts_with(of))
        })
        .collect();
    assert_eq!(
        never,
        ["run.events", "run.breaches"],
        "the registry promises what no sheet has"
    );
    for info in measures::infos() {
        let value = sheet.numbers.get(info.name).copied().unwrap_or(0.0);
        assert!(
            info.unit != Unit::Share || (0.0..=1.0).contains(&value),
            "{} {value}",
            info.name
        );
        assert!(value >= 0.0, "{} {value}", info.name);
    }
}

#[test]
fn the_books_of_a_busy_run_agree() {
    let sheet = run(&busy_plan());
    let number = |name: &str| *sheet.numbers.get(name).unwrap_or_else(|| panic!("{name}"));
    for prefix in ["task.", "task.look."] {
        let of = |name: &str| number(&format!("{prefix}{name}"));
        assert_eq!(
            of("started"),
            of("done") + of("failed") + of("aborted") + of("unfinished")
        );
        let parts: f64 = sheet
            .numbers
            .iter()
            .filter(|(name, _)| name.starts_with(&format!("{prefix}part.")))
            .map(|(_, part)| part)
            .sum();
        assert!((parts - of("time.mean")).abs() < 1e-9, "{parts}");
    }
    for prefix in ["calls.", "service.model.", "service.tool."] {
        let of = |name: &str| number(&format!("{prefix}{name}"));
        assert_eq!(
            of("intended"),
            of("answered") + of("failed") + of("given_up") + of("unfinished")
        );
        // The gateway refuses what isn't answered in time behind it.
        let behind = if prefix == "calls." { of("refused.behind") } else { 0.0 };
        assert_eq!(
            of("refused"),
            of("refused.rate_limit") + of("refused.queue_full") + of("refused.budget") + behind
        );
        assert!(of("amplification") >= 1.0 && of("arrivals.peak_to_mean") >= 1.0);
        assert!(of("wasted") <= of("served"));
        assert!(of("in_flight.peak") >= of("in_flight"));
    }
    let sums = [
        "intended",
        "attempts",
        "arrivals",
        "served",
        "wasted",
        "money",
        "tokens_in",
        "queue",
        "in_flight",
        "goodput",
    ];
    for name in sums {
        let services = ["model", "tool", "way"].map(|service| number(&format!("service.{service}.{name}")));
        let sum: f64 = services.iter().sum();
        assert!(
            (number(&format!("calls.{name}")) - sum).abs() < 1e-9 * sum.max(1.0),
            "{name}"
        );
    }
    assert!(number("service.model.refused.budget") > 0.0);
    assert!(number("service.model.dropped") > 0.0);
    assert!(number("service.model.wasted") > 0.0);
    assert!(number("service.model.duplicate_effects") > 0.0);
    assert!(number("service.model.budget_spent") > 5.5);
    assert_eq!(
        number("messages.sent") + number("messages.duplicated"),
        number("messages.delivered") + number("messages.lost") + number("messages.under_way")
    );
    assert_eq!(number("messages.lost"), number("messages.lost_by.random"));
    // Little's law: the mean number waiting is the arrival rate of those let in times their mean wait, but for the edges.
    let little = number("service.tool.arrivals.rate") * number("service.tool.wait.mean");
    assert!((number("service.tool.queue") / little - 1.0).abs() < 0.05, "{little}");
    let names: Vec<&str> = sheet.bands.iter().map(|(name, ..)| name.as_str()).collect();
    assert_eq!(names, ["crash", "stop"]);
    assert_eq!((sheet.bands[0].1, sheet.bands[0].2), (at(20.0), at(21.5)));
    assert_eq!(sheet.faults.len(), 2);
}

#[test]
fn a_tool_loop_has_the_numbers_of_the_trap() {
    let mut plan = plan(175.0, 0.0, 100.0);
    plan.services = vec![
        service("model", 0, constant(None, 500.0)),
        service("search", 1, constant(None, 80.0)),
    ];
    let addresses = plan.addresses();
    let steps = vec![
        Step::Repeat {
            times: Some(Law::Constant(15.0)),
            steps: vec![call(addresses.services[0], 0), call(addresses.services[1], 0)],
        },
        call(addresses.services[0], 0),
    ];
    plan.agents = vec![Arc::new(GroupSpec {
        count: Some(30),
        ..group("agent", Program::compile(&steps, &[], "agents.agent"))
    })];
    let sheet = run(&plan);
    let number = |name: &str| sheet.numbers.get(name).copied();
    assert_eq!(number("task.part.network"), Some(5.25));
    assert_eq!(number("task.part.service"), Some(9.2));
    assert_eq!(number("task.time.mean"), Some(14.45));
    assert_eq!(number("task.time.p50"), Some(14.45));
    assert_eq!(number("task.time.p90"), None, "three are beyond it");
    assert_eq!(number("calls.per_task"), Some(31.0));
    assert_eq!(number("calls.hops"), Some(2.0));
    assert_eq!(number("service.search.remote_hops"), Some(2.0));
    assert_eq!(number("service.model.remote_hops"), Some(0.0));
    // With a mean round trip of r the network's part is 31 r: it outweighs 9.2 s of service from 9.2 / 31 s on.
    assert!((number("task.break_even").unwrap() - 9.2 / 31.0).abs() < 1e-12);
    assert_eq!(number("run.last_delivery"), Some(14.45));
    assert_eq!(number("run.end"), Some(100.0));
    assert_eq!(number("calls.in_flight.peak"), Some(30.0));
}

#[test]
fn a_burst_on_a_token_bucket_starts_last_after_eight_seconds() {
    let mut plan = plan(0.0, 0.0, 100.0);
    let limit = RateLimit {
        count: 10,
        period: SimDuration::from_secs(1),
        burst: 20,
        excess: Excess::Wait,
    };
    plan.services = vec![service(
        "model",
        0,
        ServiceSpec {
            limit: Some(limit),
            ..constant(None, 0.0)
        },
    )];
    let program = Program::compile(&[call(plan.addresses().services[0], 0)], &[], "agents.a");
    plan.agents = vec![Arc::new(GroupSpec {
        count: Some(100),
        ..group("agent", program)
    })];
    let sheet = run(&plan);
    assert_eq!(sheet.numbers["service.model.last_start"], 8.0);
    assert!((sheet.numbers["service.model.wait.mean"] - 3.24).abs() < 1e-9);
    assert_eq!(sheet.numbers["service.model.waited"], 0.8);
    assert_eq!(sheet.numbers["service.model.limit"], 10.0);
    assert_eq!(sheet.numbers["service.model.queue.peak"], 80.0);
}

#[test]
fn variants_list_the_same_tasks_when_there_are_too_many() {
    let tasks = |ms: f64, rows: usize| {
        let mut plan = plan(ms, 0.0, 1000.0);
        plan.services = vec![service("tool", 1, constant(None, 1.0))];
        let program = Program::compile(&[call(plan.addresses().services[0], 0)], &[], "agents.a");
        plan.agents = vec![Arc::new(GroupSpec {
            count: Some(3000),
            ..group("agent", program)
        })];
        let options = Options {
            rows,
            ..Options::default()
        };
        let sheet = run_with(&plan, 1, options);
        assert_eq!(sheet.tasks.len() as u64 + sheet.tasks_unlisted, 3000);
        let mut identities: Vec<u64> = sheet.tasks.iter().map(|row| row.identity).collect();
        identities.sort_unstable();
        identities
    };
    let (near, far, fewer) = (tasks(0.0, 1000), tasks(50.0, 1000), tasks(0.0, 500));
    assert_eq!(near, far);
    assert!((400..=1000).contains(&near.len()), "{}", near.len());
    assert!(fewer.iter().all(|identity| near.contains(identity)));
}

#[test]
fn a_service_recovers_from_a_crash_and_says_when() {
    let mut plan = plan(1.0, 0.0, 120.0);
    plan.services = vec![service("tool", 1, constant(None, 10.0))];
    let addresses = plan.addresses();
    let policy = Policy {
        timeout: Some(SimDuration::from_secs(1)),
        attempts: None,
        backoff: Backoff::Fixed(SimDuration::from_secs(2)),
        ..Policy::default()
    };
    let steps = [Step::Repeat {
        times: None,
        steps: vec![think(90.0), call(addresses.services[0], 1)],
    }];
    plan.agents = vec![Arc::new(GroupSpec {
        count: Some(20),
        policies: vec![Policy::default(), policy],
        ..group("agent", Program::compile(&steps, &[], "agents.a"))
    })];
    plan.faults = Arc::new(vec![FaultSpec {
        name: "outage".into(),
        kind: FaultKind::Crash {
            keep: quorate::faults::Keep::Nothing,
        },
        when: When::Windows(vec![Window {
            at: at(40.0),
            lasts: Some(SimDuration::from_secs(10)),
        }]),
        targets: vec![Target {
            name: "tool".into(),
            scope: Scope::Service(addresses.services[0]),
        }],
        independence: Independence::Together,
    }]);
    let sheet = run(&plan);
    let number = |name: &str| sheet.numbers.get(name).copied();
    // Attempts leave every three seconds from 40 s on: some at 49 s fail and come again at 52 s, so that all is well by then.
    let recovery = number("herd.recovery").unwrap();
    assert!((0.0..=3.0).contains(&recovery), "{recovery}");
    assert_eq!(number("fault.outage.recovery"), Some(recovery));
    assert_eq!(number("fault.outage.unrecovered"), Some(0.0));
    assert_eq!(
        (number("herd.metastable"), number("herd.undecided")),
        (Some(0.0), Some(0.0))
    );
    assert_eq!(number("herd.horizon"), Some(70.0));
    let goodput = &sheet.series["calls.goodput"].values;
    assert_eq!(goodput[45], 0.0);
    assert!(sheet.series["calls.amplification"].values[45].is_nan());
    let back: Sheet = serde_json::from_str(&serde_json::to_string(&sheet).unwrap()).unwrap();
    assert!(back.series["calls.amplification"].values[45].is_nan());
}
