//! What the random worlds of the critical path found, and what they can't see: each was a fault of the agents once.

use quorate::agents::step::*;
use quorate::agents::*;
use quorate::faults::{FaultKind, FaultSpec, Independence, Keep, Scope, Target, When, Window};
use quorate::kernel::*;
use quorate::network::{Latency, LinkSpec, Loss, NetworkSpec, SiteId};
use quorate::random::Law;
use quorate::scenario::plan::*;
use quorate::services::ServiceSpec;
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
        failure_ends_task: true,
        sites: Sites::One(SiteId(0)),
    }
}

fn at(seconds: f64) -> SimTime {
    SimTime::from_nanos((seconds * 1e9) as u64)
}

fn plan(one_way_ms: f64, loss: f64, within: f64) -> Plan {
    let link = LinkSpec {
        latency: Latency::Law(Law::Constant(one_way_ms * MS)),
        loss: Loss::Independent(loss),
        ..LinkSpec::default()
    };
    Plan {
        name: "test".into(),
        variant: "base".into(),
        question: String::new(),
        until: Until::AllDone { within: at(within) },
        drain: SimDuration::ZERO,
        warm_up: SimTime::ZERO,
        network: Arc::new(NetworkSpec::uniform(["a", "b"], link)),
        services: vec![],
        stores: vec![],
        presets: vec![],
        agents: vec![],
        budgets: vec![],
        faults: Arc::new(vec![]),
        task_names: vec![String::new(), "look".into()],
        topics: vec![],
        window: SimDuration::from_secs(1),
    }
}

fn run(plan: &Plan) -> quorate::scenario::RunEnd {
    let (end, _, _) = quorate::scenario::build(plan, 1, 0, vec![]).finish(50_000_000);
    assert_eq!(end.breaches, Vec::<String>::new());
    end
}

fn think(ms: f64) -> Step {
    Step::Think(Law::Constant(ms * MS))
}

fn repeat(times: f64, steps: Vec<Step>) -> Step {
    Step::Repeat {
        times: Some(Law::Constant(times)),
        steps,
    }
}

fn fault(kind: FaultKind, agent: u32, from: f64, lasts: f64) -> FaultSpec {
    FaultSpec {
        name: "fault".into(),
        kind,
        when: When::Windows(vec![Window {
            at: at(from),
            lasts: Some(SimDuration::from_nanos((lasts * 1e9) as u64)),
        }]),
        targets: vec![Target {
            name: "it".into(),
            scope: Scope::Tags(agent..agent + 1),
        }],
        independence: Independence::Together,
    }
}

#[test]
fn forks_that_are_over_at_once_do_not_nest() {
    let mut plan = plan(0.0, 0.0, 10.0);
    let steps = [
        repeat(200_000.0, vec![Step::Parallel(vec![vec![], vec![]])]),
        think(5.0),
    ];
    plan.agents = vec![Arc::new(group("agent", Program::compile(&steps, &[], "agents.agent")))];
    let end = run(&plan);
    assert_eq!((end.halt, end.now), (None, at(0.005)));
}

#[test]
fn a_program_of_endless_forks_is_stopped_with_its_place() {
    let mut plan = plan(0.0, 0.0, 10.0);
    let forever = Step::Repeat {
        times: None,
        steps: vec![Step::Parallel(vec![vec![], vec![]])],
    };
    plan.agents = vec![Arc::new(group(
        "agent",
        Program::compile(&[forever], &[], "agents.agent"),
    ))];
    let halt = run(&plan).halt.expect("it never ends");
    assert!(halt.place.starts_with("agents.agent.program[0]"), "{}", halt.place);
}

#[test]
fn a_run_that_waits_for_all_waits_for_those_that_have_not_begun() {
    let mut plan = plan(0.0, 0.0, 100.0);
    plan.until = Until::AllDone { within: at(100.0) };
    let spread = |arrivals, is_stream| GroupSpec {
        count: Some(5),
        is_stream,
        max_alive: 10,
        arrivals,
        ..group("agent", Program::compile(&[think(10.0)], &[], "agents.agent"))
    };
    let over = SimDuration::from_secs(10);
    for (arrivals, is_stream, last) in [
        (Arrivals::Spread { from: at(1.0), over }, false, 9.01),
        (
            Arrivals::Times((1..=5).map(|second| at(second as f64)).collect()),
            true,
            5.01,
        ),
    ] {
        plan.agents = vec![Arc::new(spread(arrivals, is_stream))];
        let end = run(&plan);
        assert_eq!((end.now, end.end), (at(last), End::Stopped));
    }
    let ticks = Arrivals::Ticks {
        first: at(1.0),
        every: SimDuration::from_secs(1),
        times: Some(3),
    };
    plan.agents = vec![Arc::new(spread(ticks, false))];
    assert_eq!(run(&plan).now, at(3.01));
}

#[test]
fn an_agent_that_is_down_or_stands_still_at_its_start_begins_afterwards() {
    for kind in [
        FaultKind::Crash { keep: Keep::State },
        FaultKind::Crash { keep: Keep::Nothing },
        FaultKind::Pause,
    ] {
        let mut plan = plan(0.0, 0.0, 100.0);
        plan.until = Until::AllDone { within: at(100.0) };
        let program = Program::compile(&[think(250.0)], &[], "agents.agent");
        plan.agents = vec![Arc::new(GroupSpec {
            arrivals: Arrivals::AtOnce(at(1.0)),
            ..group("agent", program)
        })];
        plan.faults = Arc::new(vec![fault(kind, plan.addresses().agents[0], 0.5, 1.5)]);
        assert_eq!(run(&plan).now, at(2.25), "{kind:?}");
    }
}

#[test]
fn an_agent_that_loses_its_state_begins_anew_and_the_run_waits_for_it() {
    let mut plan = plan(0.0, 0.0, 100.0);
    plan.until = Until::AllDone { within: at(100.0) };
    plan.agents = vec![Arc::new(group(
        "agent",
        Program::compile(&[think(1000.0)], &[], "agents.agent"),
    ))];
    plan.faults = Arc::new(vec![fault(
        FaultKind::Crash { keep: Keep::Nothing },
        plan.addresses().agents[0],
        0.5,
        0.25,
    )]);
    assert_eq!(run(&plan).now, at(1.75));
}

#[test]
fn a_timeout_that_a_pause_put_off_does_not_strike_the_next_call() {
    let mut plan = plan(0.0, 0.0, 100.0);
    plan.services = vec![ServicePlan {
        name: "tool".into(),
        site: SiteId(0),
        spec: Arc::new(ServiceSpec::new(None, Law::Constant(100.0 * MS))),
    }];
    let addresses = plan.addresses();
    let call = Step::Call(CallStep {
        server: addresses.services[0],
        whom: Whom::Named,
        policy: 0,
        bytes: 1,
        tokens: None,
        priority: 0,
        aim: None,
        counts: false,
        prompt: Default::default(),
        about: None,
    });
    let program = Program::compile(&[call.clone(), call, think(1000.0)], &[], "agents.agent");
    plan.agents = vec![Arc::new(GroupSpec {
        policies: vec![Policy {
            timeout: Some(SimDuration::from_millis(200)),
            ..Policy::default()
        }],
        ..group("agent", program)
    })];
    let agent = plan.addresses().agents[0];
    plan.faults = Arc::new(vec![fault(FaultKind::Pause, agent, 0.05, 0.45)]);
    // The answer came at 0.1 s, its timeout would have been due at 0.2 s; both wait until 0.5 s.
    assert_eq!(run(&plan).now, at(1.6));
}

#[test]
fn a_stream_has_as_many_agents_at_once_as_it_may_and_says_so_when_one_more_comes() {
    for (most, work, halted) in [(5, 4.5, false), (5, 5.5, true), (1, 0.5, false), (1, 1.5, true)] {
        let mut plan = plan(0.0, 0.0, 3600.0);
        plan.agents = vec![Arc::new(GroupSpec {
            count: Some(20),
            is_stream: true,
            max_alive: most,
            arrivals: Arrivals::Ticks {
                first: SimTime::ZERO,
                every: SimDuration::from_secs(1),
                times: None,
            },
            ..group("g", Program::compile(&[think(work * 1000.0)], &[], "agents.g"))
        })];
        let end = run(&plan);
        let verb = if most == 1 { "is" } else { "are" };
        let said = halted.then(|| {
            format!(
                "an agent of the stream 'g' arrives while {most} of them {verb} alive, as many as `max_alive` allows: they \
                 arrive faster than they finish"
            )
        });
        assert_eq!(end.halt.map(|halt| halt.message), said, "{most} {work}");
        assert_eq!(
            end.now,
            at(if halted { most as f64 } else { 19.0 + work }),
            "{most} {work}"
        );
    }
}
