//! scratch
use quorate::agents::step::*;
use quorate::agents::*;
use quorate::kernel::*;
use quorate::network::{Latency, LinkSpec, Loss, NetworkSpec, SiteId};
use quorate::random::Law;
use quorate::scenario::plan::*;
use quorate::services::*;
use quorate::world::population::Sites;
use std::sync::Arc;
use std::time::Instant;
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
        stores: vec![],
        nearest: vec![],
        failure_ends_task: true,
        sites: Sites::One(SiteId(0)),
    }
}
fn plan(network: NetworkSpec, secs: u64) -> Plan {
    Plan {
        name: "test".into(),
        variant: "base".into(),
        question: String::new(),
        until: Until::At(SimTime::ZERO + SimDuration::from_secs(secs)),
        warm_up: SimTime::ZERO,
        network: Arc::new(network),
        services: vec![],
        stores: vec![],
        agents: vec![],
        faults: Arc::new(vec![]),
        task_names: vec![String::new()],
        topics: vec![],
        window: SimDuration::from_secs(1),
    }
}
fn rss() -> u64 {
    std::fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .find(|l| l.starts_with("VmHWM"))
        .unwrap()
        .split_whitespace()
        .nth(1)
        .unwrap()
        .parse()
        .unwrap()
}
fn main() {
    let which = std::env::args().nth(1).unwrap();
    if which == "w3" {
        let mut plan = plan(NetworkSpec::instant(["a"]), 2_000_000);
        plan.services = vec![ServicePlan {
            name: "q".into(),
            site: SiteId(0),
            spec: Arc::new(ServiceSpec::new(Some(1), Law::Exponential { mean: 1e9 })),
        }];
        let at = plan.addresses();
        let program = Program::compile(
            &[Step::Call(CallStep {
                server: at.services[0],
                policy: 0,
                bytes: 0,
                tokens: None,
            })],
            &[],
            "a",
        );
        plan.agents = vec![Arc::new(GroupSpec {
            count: None,
            is_stream: true,
            arrivals: Arrivals::Gaps {
                from: SimTime::ZERO,
                gap: Law::Exponential { mean: 1e9 / 0.9 },
            },
            ..group("c", program)
        })];
        let run = quorate::scenario::build(&plan, 1, 0, vec![]);
        let t = Instant::now();
        let (end, ..) = run.finish(u64::MAX);
        println!(
            "w3: {:.2} M customers/s ({} events, {:.0} ns/event)",
            1.8 / t.elapsed().as_secs_f64(),
            end.handled,
            t.elapsed().as_secs_f64() * 1e9 / end.handled as f64
        );
    } else {
        let (n, sites, local, secs, think): (u32, Vec<String>, bool, u64, f64) = if which == "w2" {
            (100, (0..100).map(|i| format!("s{i}")).collect(), false, 300, 10e6)
        } else {
            (1_000_000, vec!["a".into(), "b".into(), "c".into()], true, 5, 1e9)
        };
        let link = LinkSpec {
            latency: Latency::Law(Law::Uniform { low: 1e6, high: 10e6 }),
            loss: Loss::Independent(0.01),
            ..LinkSpec::default()
        };
        let _ = local;
        let mut plan = plan(NetworkSpec::uniform(sites.clone(), link), secs);
        let ids: Vec<SiteId> = (0..sites.len() as u32).map(SiteId).collect();
        let at = Addresses::assign(&[], &[], &[("peers", n, Sites::InTurn(ids.clone()))]);
        let ping = Step::Send(SendStep {
            to: Peers::Any {
                base: at.agents[0],
                count: n,
            },
            topic: 0,
            bytes: 16,
        });
        let pong = Step::Send(SendStep {
            to: Peers::Sender,
            topic: 1,
            bytes: 16,
        });
        let handlers: Vec<(u16, Vec<Step>)> = if which == "w2" {
            vec![(0, vec![pong]), (1, vec![])]
        } else {
            vec![(0, vec![])]
        };
        let steps = [Step::Repeat {
            times: None,
            steps: vec![ping, Step::Sleep(Law::Constant(think))],
        }];
        let program = Program::compile(&steps, &handlers, "a");
        let over = SimDuration::from_nanos(if which == "w2" { 10_000_000 } else { 1_000_000_000 });
        plan.agents = vec![Arc::new(GroupSpec {
            count: Some(n),
            sites: Sites::InTurn(ids),
            arrivals: Arrivals::Spread {
                from: SimTime::ZERO,
                over,
            },
            ..group("peers", program)
        })];
        let t = Instant::now();
        let run = quorate::scenario::build(&plan, 1, 0, vec![]);
        println!("built in {:.2} s, {} MiB", t.elapsed().as_secs_f64(), rss() / 1024);
        let t = Instant::now();
        let (end, world, _) = run.finish(u64::MAX);
        let s = t.elapsed().as_secs_f64();
        let books = world.shared.network.counters();
        println!(
            "{which}: {:.2} M delivered/s ({} events, {:.0} ns/event), {} MiB",
            books.delivered as f64 / s / 1e6,
            end.handled,
            s * 1e9 / end.handled as f64,
            rss() / 1024
        );
    }
}
#[test]
fn sizes() {
    use quorate::world::call::*;
    println!(
        "Attempt {} Call {} Request {} Context {} Activation {} GroupSpec {}",
        size_of::<Attempt>(),
        size_of::<Call>(),
        size_of::<Request>(),
        size_of::<quorate::state::Context>(),
        size_of::<quorate::agents::activation::Activation>(),
        size_of::<GroupSpec>()
    );
}
