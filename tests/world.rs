//! Worlds built from plans in code: queues, retries, messages, branches, and the account of every task's time.

use quorate::agents::step::*;
use quorate::agents::*;
use quorate::kernel::*;
use quorate::network::{Latency, LinkSpec, Loss, NetworkSpec, SiteId};
use quorate::random::Law;
use quorate::scenario::plan::*;
use quorate::services::*;
use quorate::world::population::Sites;
use quorate::world::record::*;
use std::sync::{Arc, Mutex};

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

fn plan(one_way_ms: f64, loss: f64) -> Plan {
    let link = LinkSpec {
        latency: Latency::Law(Law::Constant(one_way_ms * MS)),
        loss: Loss::Independent(loss),
        ..LinkSpec::default()
    };
    Plan {
        name: "test".into(),
        variant: "base".into(),
        question: String::new(),
        until: Until::At(SimTime::ZERO + SimDuration::from_secs(100_000)),
        drain: SimDuration::ZERO,
        warm_up: SimTime::ZERO,
        network: Arc::new(NetworkSpec::uniform(["a", "b"], link)),
        services: vec![],
        stores: vec![],
        presets: vec![],
        agents: vec![],
        budgets: vec![],
        faults: Arc::new(vec![]),
        task_names: vec![String::new()],
        topics: vec![],
        window: SimDuration::from_secs(1),
    }
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<Seen>>>);

/// A record with its extra words.
type Seen = (Record, Vec<u64>);

impl Observer for Log {
    fn wants(&self) -> Mask {
        Mask::ALL
    }
    fn batch(&mut self, batch: Batch<'_>) {
        let mut all = self.0.lock().unwrap();
        all.extend(
            batch
                .records
                .iter()
                .map(|record| (*record, batch.extra(record).to_vec())),
        );
    }
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}

impl Log {
    fn of(&self, what: What) -> Vec<(Record, Vec<u64>)> {
        self.0
            .lock()
            .unwrap()
            .iter()
            .filter(|(record, _)| record.what == what)
            .cloned()
            .collect()
    }
}

fn run(plan: &Plan) -> (quorate::scenario::RunEnd, Log) {
    let log = Log::default();
    let (end, _, _) = quorate::scenario::build(plan, 1, 0, vec![Box::new(log.clone())]).finish(50_000_000);
    assert_eq!(end.breaches, Vec::<String>::new());
    (end, log)
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

fn service(name: &str, site: u32, servers: Option<u32>, time: Law) -> ServicePlan {
    ServicePlan {
        name: name.into(),
        site: SiteId(site),
        spec: Arc::new(ServiceSpec::new(servers, time)),
    }
}

#[test]
fn a_tool_loop_takes_exactly_its_parts() {
    let mut plan = plan(175.0, 0.0);
    plan.services = vec![
        service("model", 0, None, Law::Constant(500.0 * MS)),
        service("search", 1, None, Law::Constant(80.0 * MS)),
    ];
    let at = plan.addresses();
    let steps = vec![
        Step::Repeat {
            times: Some(Law::Constant(15.0)),
            steps: vec![
                Step::Think(Law::Constant(10.0 * MS)),
                call(at.services[0], 0),
                call(at.services[1], 0),
            ],
        },
        call(at.services[0], 0),
    ];
    plan.agents = vec![Arc::new(group("agent", Program::compile(&steps, &[], "agents.agent")))];
    let (end, log) = run(&plan);
    assert_eq!(end.end, End::TimeReached);
    let tasks = log.of(What::TaskEnded);
    assert_eq!(tasks.len(), 1);
    let parts: Vec<u64> = tasks[0].1[1..].iter().map(|ns| ns / 1_000_000).collect();
    assert_eq!(parts, [150, 16 * 500 + 15 * 80, 0, 15 * 350, 0, 0, 0]);
    assert_eq!(tasks[0].0.time.as_nanos() / 1_000_000, 150 + 9200 + 5250);
}

#[test]
fn an_m_m_1_queue_has_the_mean_sojourn_of_theory() {
    let mut plan = plan(0.0, 0.0);
    plan.services = vec![service("queue", 0, Some(1), Law::Exponential { mean: 1e9 })];
    let at = plan.addresses();
    let program = Program::compile(&[call(at.services[0], 0)], &[], "agents.customer");
    plan.agents = vec![Arc::new(GroupSpec {
        count: None,
        is_stream: true,
        arrivals: Arrivals::Gaps {
            from: SimTime::ZERO,
            gap: Law::Exponential { mean: 2e9 },
        },
        ..group("customer", program)
    })];
    plan.until = Until::At(SimTime::ZERO + SimDuration::from_secs(400_000));
    let (_, log) = run(&plan);
    let tasks = log.of(What::TaskEnded);
    let mean = tasks
        .iter()
        .map(|(record, extra)| record.time.as_nanos() as f64 - extra[0] as f64)
        .sum::<f64>()
        / tasks.len() as f64;
    // Sojourn 1/(mu - lambda) = 2 s; four standard errors of 200,000 autocorrelated sojourns at rho = .5 are about 5 %.
    assert!(
        tasks.len() > 190_000 && (mean / 2e9 - 1.0).abs() < 0.05,
        "{} {}",
        tasks.len(),
        mean / 1e9
    );
}

#[test]
fn lost_requests_are_tried_again_until_they_are_answered() {
    let mut plan = plan(10.0, 0.3);
    plan.services = vec![service("tool", 1, None, Law::Constant(5.0 * MS))];
    let at = plan.addresses();
    let policy = Policy {
        timeout: Some(SimDuration::from_millis(100)),
        attempts: None,
        backoff: Backoff::FullJitter {
            base: SimDuration::from_millis(10),
            cap: SimDuration::from_secs(1),
        },
        ..Policy::default()
    };
    let steps = [Step::Repeat {
        times: Some(Law::Constant(200.0)),
        steps: vec![call(at.services[0], 1)],
    }];
    plan.agents = vec![Arc::new(GroupSpec {
        count: Some(5),
        policies: vec![Policy::default(), policy],
        ..group("agent", Program::compile(&steps, &[], "agents.agent"))
    })];
    let (end, log) = run(&plan);
    assert_eq!(end.end, End::TimeReached);
    assert_eq!(log.of(What::TaskEnded).len(), 5);
    let (attempts, calls) = (
        log.of(What::AttemptSent).len() as f64,
        log.of(What::CallEnded).len() as f64,
    );
    assert_eq!(calls, 1000.0);
    // Each attempt passes both ways with probability .49; four standard errors of a geometric mean over 1,000 calls.
    let error = 4.0 * (0.51f64 / 0.49 / 0.49 / 1000.0).sqrt();
    assert!((attempts / calls - 1.0 / 0.49).abs() < error, "{}", attempts / calls);
}

#[test]
fn a_peer_answers_an_ask_with_its_own_parts() {
    let mut plan = plan(20.0, 0.0);
    plan.services = vec![service("model", 1, None, Law::Constant(100.0 * MS))];
    let sites = |site| Sites::One(SiteId(site));
    let at = Addresses::assign(
        &[("model", SiteId(1))],
        &[],
        &[("asker", 1, sites(0)), ("peer", 1, sites(1))],
    );
    let send = SendStep {
        to: Peers::One(at.agents[1]),
        topic: 3,
        bytes: 10,
    };
    let asker = Program::compile(
        &[Step::Ask {
            send,
            timeout: None,
            propagates: false,
        }],
        &[],
        "agents.asker",
    );
    let handler = vec![
        Step::Think(Law::Constant(7.0 * MS)),
        call(at.services[0], 0),
        Step::Reply { bytes: 5 },
    ];
    let peer = Program::compile(
        &[
            Step::Think(Law::Constant(50.0 * MS)),
            Step::Sleep(Law::Constant(1000.0 * MS)),
        ],
        &[(3, handler)],
        "agents.peer",
    );
    plan.agents = vec![
        Arc::new(group("asker", asker)),
        Arc::new(GroupSpec {
            sites: sites(1),
            ..group("peer", peer)
        }),
    ];
    let (_, log) = run(&plan);
    let tasks = log.of(What::TaskEnded);
    let asked = tasks.iter().find(|(record, _)| record.subject == at.agents[0]).unwrap();
    let parts: Vec<u64> = asked.1[1..].iter().map(|ns| ns / 1_000_000).collect();
    // Until 50 ms the peer thinks, and the ask waits from 20 ms on.
    assert_eq!(parts, [7, 100, 30, 40, 0, 0, 0]);
}

#[test]
fn branches_join_at_the_last_and_a_wrong_guess_is_done_again() {
    let mut plan = plan(0.0, 0.0);
    plan.services = vec![
        service("fast", 0, None, Law::Constant(10.0 * MS)),
        service("slow", 0, None, Law::Constant(30.0 * MS)),
    ];
    let at = plan.addresses();
    let think = |ms: f64| Step::Think(Law::Constant(ms * MS));
    let steps = [
        Step::Parallel(vec![
            vec![call(at.services[0], 0)],
            vec![call(at.services[1], 0)],
            vec![think(5.0), call(at.services[0], 0)],
        ]),
        Step::Speculate {
            basis: vec![call(at.services[1], 0)],
            guess: vec![call(at.services[0], 0)],
            right: 1.0,
        },
        Step::Speculate {
            basis: vec![call(at.services[0], 0)],
            guess: vec![call(at.services[1], 0)],
            right: 1.0,
        },
        Step::Speculate {
            basis: vec![call(at.services[0], 0)],
            guess: vec![call(at.services[1], 0)],
            right: 0.0,
        },
    ];
    plan.agents = vec![Arc::new(group("agent", Program::compile(&steps, &[], "agents.agent")))];
    let (_, log) = run(&plan);
    let ended = log.of(What::TaskEnded)[0].0.time;
    assert_eq!(ended.as_nanos() / 1_000_000, 30 + 30 + 30 + 40);
    assert_eq!((log.of(What::GuessRight).len(), log.of(What::GuessWrong).len()), (2, 1));
    assert_eq!(log.of(What::AnswerUnused).len(), 1);
    let parts = &log.of(What::TaskEnded)[0].1[1..];
    assert_eq!(parts[1], 130_000_000);
}

#[test]
fn the_same_seed_gives_the_same_fingerprint_and_another_seed_another() {
    let mut plan = plan(10.0, 0.1);
    let at = Addresses::assign(&[], &[], &[("peers", 50, Sites::InTurn(vec![SiteId(0), SiteId(1)]))]);
    let send = Step::Send(SendStep {
        to: Peers::Any {
            base: at.agents[0],
            count: 50,
        },
        topic: 0,
        bytes: 16,
    });
    let steps = [Step::Repeat {
        times: Some(Law::Constant(100.0)),
        steps: vec![send, Step::Sleep(Law::Exponential { mean: 10.0 * MS })],
    }];
    let program = Program::compile(&steps, &[(0, vec![Step::Think(Law::Constant(MS))])], "agents.peers");
    plan.agents = vec![Arc::new(GroupSpec {
        count: Some(50),
        sites: Sites::InTurn(vec![SiteId(0), SiteId(1)]),
        ..group("peers", program)
    })];
    let print = |seed| quorate::scenario::build(&plan, seed, 0, vec![]).finish(u64::MAX).0;
    let (one, again, other) = (print(1), print(1), print(2));
    assert!(one.handled > 10_000, "{}", one.handled);
    assert_eq!(one.print, again.print);
    assert_ne!(one.print, other.print);
    let (watched, _) = run(&plan);
    assert_eq!(one.print, watched.print, "observers leave no trace");
}
