//! Every form of the language is read and means what it says.

use quorate::agents::step::{Action, Peers, ReplicaChoice, Step};
use quorate::agents::{Arrivals, Backoff};
use quorate::faults::{FaultKind, Independence, Scope, When};
use quorate::kernel::{SimDuration, SimTime};
use quorate::network::{Ends, Fifo, InTransit, Latency, Loss, SiteId};
use quorate::random::Law;
use quorate::scenario::syntax::{Memory, Show, render};
use quorate::scenario::{Anything, Plan, Scenario, build, load};
use quorate::services::{Excess, ServiceTime, Tokens};

fn load_text(text: &str) -> Scenario {
    let files = Memory::new()
        .with("deep/s.ron", text)
        .with("deep/data/mine.csv", "time,tokens\n10,3\n12.5,4\n20,5\n")
        .with("deep/parts/base.ron", "(data: {\"theirs\": (file: \"theirs.csv\")})")
        .with("deep/parts/theirs.csv", "v\n7\n");
    let outcome = load("deep/s.ron".as_ref(), &[], &files, &Anything);
    let said = render(&outcome.diagnostics, &outcome.sources, Show::default());
    assert!(outcome.diagnostics.is_empty(), "{said}");
    outcome.scenario.unwrap()
}

/// The scenario in which these fields stand beside the least that a scenario needs.
fn with(fields: &str) -> Scenario {
    let least = "quorate: 1, name: \"x\", until: At(\"100s\"), sites: [\"a\", \"b\", \"c\"]";
    let agents = "agents: {\"me\": (count: 1, at: \"a\")}";
    let agents = if fields.contains("agents:") { "" } else { agents };
    load_text(&format!("({least}, {fields} {agents})"))
}

/// As `with`, and the warning that its agents do nothing is no matter.
fn base(fields: &str) -> Plan {
    let agents = "agents: {\"me\": (count: 3, at: \"a\", program: [Think(\"1s\")])},";
    let agents = if fields.contains("agents:") { "" } else { agents };
    with(&format!("{fields} {agents}")).variants.swap_remove(0)
}

const MS: f64 = 1e6;

/// The law that a service time of this text is.
fn law(text: &str) -> Law {
    let plan = base(&format!(
        "data: {{\"mine\": (file: \"data/mine.csv\")}}, services: {{\"s\": (at: \"a\", time: {text})}},"
    ));
    match &plan.services[0].spec.time {
        ServiceTime::Law(law) => law.clone(),
        ServiceTime::Tokens { .. } => panic!("no law"),
    }
}

#[test]
fn laws_of_durations() {
    use Law as L;
    for (text, expected) in [
        ("\"80ms\"", L::Constant(80.0 * MS)),
        ("Constant(\"80ms\")", L::Constant(80.0 * MS)),
        (
            "Uniform(low: \"1ms\", high: \"3ms\")",
            L::Uniform {
                low: MS,
                high: 3.0 * MS,
            },
        ),
        ("Exponential(mean: \"80ms\")", L::Exponential { mean: 80.0 * MS }),
        ("Exponential(rate: \"40/s\")", L::Exponential { mean: 25.0 * MS }),
        (
            "Normal(mean: \"5ms\", sd: \"1ms\")",
            L::Normal { mean: 5.0 * MS, sd: MS },
        ),
        (
            "LogNormal(median: \"5ms\", sigma: 0.5)",
            L::LogNormal {
                median: 5.0 * MS,
                sigma: 0.5,
            },
        ),
        (
            "LogNormal(mean: \"5ms\", sd: \"2ms\")",
            L::log_normal_from_mean(5.0 * MS, 2.0 * MS),
        ),
        (
            "LogNormal(p50: \"5ms\", p99: \"40ms\")",
            L::log_normal_from_quantiles(0.5, 5.0 * MS, 0.99, 40.0 * MS).unwrap(),
        ),
        (
            "Pareto(scale: \"1ms\", shape: 2.5)",
            L::Pareto { scale: MS, shape: 2.5 },
        ),
        (
            "Weibull(scale: \"1ms\", shape: 0.5)",
            L::Weibull { scale: MS, shape: 0.5 },
        ),
        ("Gamma(shape: 2, scale: \"1ms\")", L::Gamma { shape: 2.0, scale: MS }),
        (
            "Beta(a: 2, b: 3, low: \"0s\", high: \"1ms\")",
            L::Beta {
                a: 2.0,
                b: 3.0,
                low: 0.0,
                high: MS,
            },
        ),
        (
            "Mixture([(9, \"1ms\"), (1, Exponential(mean: \"20ms\"))])",
            L::Mixture(vec![(9.0, L::Constant(MS)), (1.0, L::Exponential { mean: 20.0 * MS })]),
        ),
        (
            "Shifted(by: \"-1ms\", law: Constant(\"3ms\"))",
            L::Constant(3.0 * MS).shifted(-MS),
        ),
        (
            "Scaled(by: \"2ms\", law: Poisson(mean: 3))",
            L::Poisson { mean: 3.0 }.scaled(2.0 * MS),
        ),
        (
            "Truncated(low: \"1ms\", law: Exponential(mean: \"2ms\"))",
            L::Exponential { mean: 2.0 * MS }.truncated(MS, f64::INFINITY),
        ),
        (
            "Absolute(Normal(mean: \"0s\", sd: \"1ms\"))",
            L::Normal { mean: 0.0, sd: MS }.absolute(),
        ),
    ] {
        assert_eq!(law(text), expected, "{text}");
    }
    for (text, mean) in [
        ("Empirical(data: \"mine\", column: \"tokens\", unit: \"2ms\")", 8.0 * MS),
        ("Replay(data: \"mine\", column: \"tokens\", unit: \"1s\")", 4e9),
    ] {
        assert!((law(text).mean() / mean - 1.0).abs() < 1e-12, "{text}");
    }
}

#[test]
fn links_take_what_they_leave_out_from_the_default() {
    let plan = base(
        "network: (
            default: (one_way: \"20ms\", loss: 0.25, order: Pair),
            local: (one_way: \"1ms\"),
            links: [
                (between: (\"b\", \"a\"), loss: Bursty(good: \"10s\", bad: \"1s\", loss_bad: 0.5)),
                (from: \"c\", to: \"a\", one_way: \"7ms\", order: Any, bandwidth: \"8Mbit/s\", queue: \"10kB\"),
                (between: (\"c\", \"c\"), duplication: \"5%\"),
            ],
        ),",
    );
    let network = &plan.network;
    let link = |from: u32, to: u32| &network.classes[network.class_of(SiteId(from), SiteId(to)) as usize];
    let latency = |from, to| match &link(from, to).latency {
        Latency::Law(law) => law.mean() / MS,
        Latency::Measured(_) => f64::NAN,
    };
    assert_eq!(
        (
            latency(0, 0),
            latency(0, 1),
            latency(1, 0),
            latency(2, 0),
            latency(0, 2)
        ),
        (1.0, 20.0, 20.0, 7.0, 20.0)
    );
    assert_eq!(
        (latency(2, 2), link(2, 2).duplication, link(1, 1).duplication),
        (1.0, 0.05, 0.0)
    );
    assert_eq!(link(1, 2).loss, Loss::Independent(0.25));
    assert!(matches!(link(0, 1).loss, Loss::Bursty { loss_bad: 0.5, .. }));
    assert_eq!((link(0, 1).fifo, link(2, 0).fifo), (Fifo::PerPair, Fifo::No));
    let bandwidth = link(2, 0).bandwidth.unwrap();
    assert_eq!((bandwidth.rate, bandwidth.queue), (1e6, Some(10_000)));
}

#[test]
fn a_matrix_gives_the_latencies_that_links_leave_open() {
    let scenario = load_text(
        "(quorate: 1, name: \"x\", until: At(\"9s\"),
          sites: {\"east\": (region: \"us-east1\"), \"west\": (region: \"us-west1\"), \"home\": ()},
          network: (
            default: (jitter: Correlated(rho: 0.8)), matrix: (data: \"gcp-latency\"),
            links: [(between: (\"home\", \"east\"), one_way: \"3ms\"), (between: (\"home\", \"west\"), one_way: \"4ms\")],
          ),
          agents: {\"me\": (count: 1, at: \"home\", program: [Think(\"1s\")])})",
    );
    let network = &scenario.variants[0].network;
    // By name: east, home, west.
    let mean = |from: u32, to: u32| {
        let class = &network.classes[network.class_of(SiteId(from), SiteId(to)) as usize];
        match &class.latency {
            Latency::Law(law) => law.mean() / MS,
            Latency::Measured(table) => table.one_way(SiteId(from), SiteId(to)).unwrap().mean() / MS,
        }
    };
    assert_eq!((mean(0, 1), mean(2, 1), mean(0, 0)), (3.0, 4.0, 0.0));
    assert!((mean(0, 2) - 33.0).abs() < 5.0, "{}", mean(0, 2));
}

#[test]
fn services_count_limit_and_charge() {
    let plan = base(
        "services: {
            \"a\": (at: \"b\", servers: 3, queue: 10, limit: (rate: \"500/min\", burst: 50, excess: Wait),
                budget: (calls: 9, tokens: 1000, money: \"2.5 USD\"),
                price: (call: \"0.001 USD\", million_in: \"3 USD\", million_out: \"15 USD\"), answer: \"4KiB\"),
            \"b\": (at: \"a\", time: Tokens(first: \"400ms\", each_out: \"12ms\"),
                tokens: Data(data: \"azure-code\", tokens_in: \"ContextTokens\", tokens_out: \"GeneratedTokens\", order: Replay)),
            \"c\": (at: \"a\", time: \"1ms\", tokens: (tokens_out: 7)),
        },",
    );
    let spec = &plan.services[0].spec;
    assert_eq!(
        (plan.services[0].site, spec.servers, spec.queue),
        (SiteId(1), Some(3), Some(10))
    );
    let limit = spec.limit.unwrap();
    assert_eq!(limit.count * 60_000_000_000, limit.period.as_nanos() * 500);
    assert_eq!((limit.burst, limit.excess), (50, Excess::Wait));
    assert_eq!(spec.budget.unwrap().money, Some(2_500_000_000));
    assert_eq!(spec.price(1_000_000, 1_000_000), 18_001_000_000);
    assert_eq!(spec.answer_bytes, 4096);
    assert!(matches!(
        &plan.services[1].spec.tokens,
        Some(Tokens::Rows {
            tokens_in: Some(1),
            tokens_out: 0,
            ..
        })
    ));
    assert!(matches!(
        &plan.services[2].spec.tokens,
        Some(Tokens::Laws {
            tokens_out: Law::Constant(7.0),
            ..
        })
    ));
    assert_eq!(plan.services[2].spec.servers, None);
}

#[test]
fn starts_and_counts() {
    let start = |fields: &str| {
        let plan = base(&format!(
            "data: {{\"mine\": (file: \"data/mine.csv\")}}, agents: {{\"me\": (at: [\"a\", \"c\"], program: [Think(\"1s\")], {fields})}},"
        ));
        let group = &plan.agents[0];
        (group.count, group.is_stream, group.arrivals.clone())
    };
    let at = |ns: f64| SimTime::from_nanos(ns as u64);
    assert_eq!(start("count: 3"), (Some(3), false, Arrivals::AtOnce(at(0.0))));
    assert_eq!(
        start("count: 3, start: AtOnce(at: \"2s\")").2,
        Arrivals::AtOnce(at(2e9))
    );
    let spread = Arrivals::Spread {
        from: at(0.0),
        over: SimDuration::from_secs(9),
    };
    assert_eq!(
        start("count: Stream(arrivals: 4), start: Spread(over: \"9s\")"),
        (Some(4), true, spread)
    );
    let gaps = Arrivals::Gaps {
        from: at(1e9),
        gap: Law::Exponential { mean: 2e8 },
    };
    assert_eq!(
        start("count: Stream, start: Poisson(rate: \"5/s\", from: \"1s\")"),
        (None, true, gaps)
    );
    let ticks = Arrivals::Ticks {
        first: at(5e9),
        every: SimDuration::from_secs(60),
        times: Some(3),
    };
    assert_eq!(
        start("count: 2, start: Tick(every: \"1min\", first: \"5s\", times: 3)").2,
        ticks
    );
    let times = Arrivals::Times([at(1e9), at(2.25e9), at(6e9)].into());
    let trace = "start: Trace(data: \"mine\", column: \"time\", unit: \"1s\", from: \"1s\", speed: 2)";
    assert_eq!(start(&format!("count: Stream, {trace}")).2, times);
    let Arrivals::Times(trace) = start("count: Stream, start: Trace(data: \"azure-code\", column: \"TIMESTAMP\")").2
    else {
        panic!()
    };
    assert_eq!((trace.len(), trace[0], trace[1]), (8819, at(0.0), at(52e6)));
}

#[test]
fn steps_become_what_they_say() {
    let plan = base(
        "services: {\"s\": (at: \"b\", time: \"1ms\")}, policies: {\"p\": (timeout: \"1s\", attempts: Unlimited, backoff: Fixed(\"1s\"))},
         state: {\"m\": (at: [\"b\", \"c\"], keys: {\"k\": Register(count: 4), \"n\": Counter, \"t\": Set}, model: Crdt)},
         network: (default: (one_way: \"9ms\"), links: [(between: (\"a\", \"c\"), one_way: \"2ms\")]),
         agents: {
            \"me\": (count: 5, at: \"a\", program: [
                Call(service: \"s\", policy: \"p\", request: \"1KiB\", tokens: (tokens_in: 100, tokens_out: 20)),
                Read(key: \"k\", which: 2, replica: At(\"c\")),
                Write(key: \"k\", informed: true),
                Update(key: \"k\", think: \"1s\"),
                Add(key: \"n\", by: -2, replica: Random),
                Insert(key: \"t\", element: Uniform(low: 0, high: 5)),
                Remove(key: \"t\", store: \"m\", element: 3),
                Send(to: All(\"me\"), topic: \"x\"), Send(to: Same(\"other\"), topic: \"x\"), Send(to: Next(\"me\"), topic: \"x\"),
                Send(to: Member(\"other\", 2), topic: \"x\"),
                Ask(to: Any(\"other\"), topic: \"y\", timeout: \"2s\"),
                Wait(topic: \"x\", count: 2, timeout: \"1s\"),
                Wait(),
                Repeat(times: 2, steps: [Parallel([[Think(\"1s\")], [Sleep(\"1s\"), Stop]])]),
                Repeat(times: Forever, steps: [Choose([(1, [Sleep(\"1s\")]), (2.5, [])])]),
                Speculate(basis: [Think(\"1s\")], guess: [Think(\"2s\")], right: \"70%\"),
                Task(name: \"b\", steps: [Task(name: \"a\", steps: [])]),
            ]),
            \"other\": (count: 3, at: [\"b\", \"c\"], on: {\"x\": [], \"y\": [Reply(bytes: \"5B\"), Send(to: Sender, topic: \"x\")]},
                mailbox: 5, handlers_at_once: 2, on_failure: Continue),
         },",
    );
    assert_eq!(plan.topics, ["x", "y"]);
    assert_eq!(plan.task_names, ["", "a", "b"]);
    let at = plan.addresses();
    let (me, other) = (&plan.agents[0], &plan.agents[1]);
    assert_eq!(me.policies.len(), 2);
    assert_eq!(
        (me.policies[1].attempts, me.policies[1].backoff),
        (None, Backoff::Fixed(SimDuration::from_secs(1)))
    );
    let call = &me.program.calls[0];
    assert_eq!((call.server, call.policy, call.bytes), (at.services[0], 1, 1024));
    let operations = &me.program.operations;
    assert_eq!(
        (operations[0].replica, operations[0].keys.law.clone()),
        (ReplicaChoice::Fixed(1), Some(Law::Constant(2.0)))
    );
    assert!(operations[1].carries_context && operations[1].action == Action::Write);
    // An update is a read, and a write of the same key that carries what was read.
    assert!(operations[2].action == Action::Read && !operations[2].carries_context && !operations[2].keys.same);
    assert!(operations[3].action == Action::Write && operations[3].carries_context && operations[3].keys.same);
    assert_eq!(
        (operations[4].action.clone(), operations[4].replica),
        (Action::Add(Law::Constant(-2.0)), ReplicaChoice::Random)
    );
    assert_eq!(
        (operations[4].keys.first, operations[5].keys.first),
        (4, 5),
        "keys are numbered by name"
    );
    let to: Vec<Peers> = me.program.sends.iter().map(|send| send.to).collect();
    let (mine, theirs) = (at.agents[0], at.agents[1]);
    assert_eq!(to[0], Peers::All { base: mine, count: 5 });
    assert_eq!(to[1], Peers::Same { base: theirs, count: 3 });
    assert_eq!(to[2], Peers::Next { base: mine, count: 5 });
    assert_eq!(to[3..], [Peers::One(theirs + 2), Peers::Any { base: theirs, count: 3 }]);
    // The replica nearest to each site: b is beside b, c beside c; from a it's c.
    assert_eq!(*me.nearest, [[1, 0, 1]]);
    assert_eq!(*me.stores, [(at.stores[0], 2)]);
    assert_eq!(
        (other.mailbox, other.handlers_at_once, other.failure_ends_task),
        (5, 2, false)
    );
    assert_eq!(other.program.handlers.len(), 2);
    let (end, ..) = build(&plan, 1, 0, vec![]).finish(1_000_000);
    assert_eq!((end.halt, end.breaches), (None, vec![]));
    let _ = Step::Stop;
}

#[test]
fn faults_hit_whom_they_name() {
    let plan = base(
        "services: {\"s\": (at: \"b\", time: \"1ms\")}, state: {\"m\": (at: [\"b\", \"c\"], keys: {\"k\": Register}, model: Crdt)},
         agents: {\"me\": (count: 5, at: \"a\", program: [Think(\"1s\")])},
         faults: {
            \"1 one side\": Partition(groups: [[\"a\"]], at: \"1s\", until: \"4s\", in_flight: Held, sent: Held),
            \"2 three\": Partition(groups: [\"a\", [\"b\"], Rest], at: \"1s\"),
            \"3 one way\": Partition(from: \"a\", to: Rest, at: \"1s\", for: \"2s\"),
            \"4 members\": Partition(groups: [Members(group: \"me\", first: 1, count: 2), Rest], at: \"1s\"),
            \"5 slow\": Degrade(from: \"a\", latency_factor: 3, latency_added: \"1ms\", loss: 0.5, both_ways: false, at: \"5s\"),
            \"6 crash\": Crash(who: [\"s\", \"me\", \"m\", \"c\"], keep: Nothing, each: Member,
                when: Drawn(to_failure: Exponential(mean: \"9s\"), to_repair: \"1s\")),
            \"7 flaps\": Pause(who: \"me\", when: Flapping(from: \"1s\", until: \"9s\", on: \"1s\", off: \"1s\")),
            \"8 clock\": ClockStep(who: \"m\", by: \"-200ms\", undone: false, at: \"3s\"),
            \"9 stall\": Stall(services: \"s\", speed: 0.5, when: Windows([(at: \"1s\", for: \"1s\"), (at: \"3s\")])),
         },",
    );
    let at = plan.addresses();
    let names: Vec<&str> = plan.faults.iter().map(|fault| fault.name.as_str()).collect();
    assert_eq!(names[..4], ["1 one side", "2 three", "2 three/2", "3 one way"]);
    let cuts = &plan.network.cuts;
    let crosses = |cut: usize, from: u32, to: u32, tags: (u32, u32)| {
        cuts[cut].crosses(&Ends {
            from: SiteId(from),
            to: SiteId(to),
            from_tag: tags.0,
            to_tag: tags.1,
        })
    };
    assert_eq!(
        (cuts[0].in_flight, cuts[0].sent, cuts[1].sent),
        (InTransit::Held, InTransit::Held, InTransit::Lost)
    );
    assert!(crosses(0, 0, 1, (0, 0)) && crosses(0, 2, 0, (0, 0)) && !crosses(0, 1, 2, (0, 0)));
    // Three sides: each pair of them is cut by one of the two.
    let either = |from, to| (crosses(1, from, to, (0, 0)), crosses(2, from, to, (0, 0)));
    assert_eq!(
        (either(0, 1), either(0, 2), either(2, 1)),
        ((true, false), (true, false), (false, true))
    );
    assert!(crosses(3, 0, 2, (0, 0)) && !crosses(3, 2, 0, (0, 0)));
    let me = at.agents[0];
    assert!(
        crosses(4, 0, 0, (me + 1, me + 3)) && !crosses(4, 0, 0, (me + 1, me + 2)) && !crosses(4, 0, 0, (me, me + 3))
    );
    let slow = &plan.network.degradations[0];
    assert_eq!((slow.latency_factor, slow.loss, slow.both_ways), (3.0, 0.5, false));
    let crash = plan.faults.iter().find(|fault| fault.name == "6 crash").unwrap();
    assert_eq!(crash.independence, Independence::EachMember);
    let scopes: Vec<&Scope> = crash.targets.iter().map(|target| &target.scope).collect();
    assert_eq!(
        scopes,
        [
            &Scope::Site(SiteId(2)),
            &Scope::Tags(at.stores[0]..at.stores[0] + 2),
            &Scope::Tags(me..me + 5),
            &Scope::Service(at.services[0])
        ]
    );
    // Failures are drawn to the end of the run, where it isn't said otherwise.
    assert!(matches!(crash.when, When::Drawn { until, .. } if until == plan.until.latest()));
    let clock = plan.faults.iter().find(|fault| fault.name == "8 clock").unwrap();
    assert_eq!(
        clock.kind,
        FaultKind::ClockStep {
            by: -200_000_000,
            undone: false
        }
    );
}

#[test]
fn included_files_name_data_beside_themselves() {
    let plan = base(
        "include: [\"parts/base.ron\"], services: {\"s\": (at: \"a\", time: Empirical(data: \"theirs\", column: \"v\", unit: \"1ms\"))},",
    );
    assert!(matches!(&plan.services[0].spec.time, ServiceTime::Law(law) if (law.mean() - 7.0 * MS).abs() < 1.0));
}

#[test]
fn variants_come_after_the_base_in_the_order_of_the_file() {
    let scenario = with(
        "base: \"as it is\", variants: {\"z\": [], \"a\": [Set(path: \"until\", to: AllDone(within: \"5s\"))]},
         agents: {\"me\": (count: 1, at: \"a\", program: [Think(\"1s\")])},",
    );
    let names: Vec<&str> = scenario.variants.iter().map(|plan| plan.variant.as_str()).collect();
    assert_eq!(
        (names.as_slice(), scenario.base_title.as_str()),
        (["base", "z", "a"].as_slice(), "as it is")
    );
    assert_eq!(scenario.variants[2].until.latest(), SimTime::from_nanos(5_000_000_000));
    assert!(scenario.resolved.contains("variants:") && scenario.hash.len() == 64);
}
