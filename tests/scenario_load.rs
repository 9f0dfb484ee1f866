//! Scenarios from text to runs.

use quorate::kernel::{End, SimDuration};
use quorate::scenario::syntax::{Memory, Show, Sources, render};
use quorate::scenario::{Anything, Outcome, Plan, Registry, RunEnd, Scenario, build, load};
use std::io;
use std::path::Path;

/// The file system, as the command line reads it.
struct Disk;

impl Sources for Disk {
    fn read(&self, path: &Path, _: usize) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }
}

fn outcome(text: &str) -> Outcome {
    let files = Memory::new().with("s.ron", text);
    load("s.ron".as_ref(), &[], &files, &Anything)
}

fn good(text: &str) -> Scenario {
    let outcome = outcome(text);
    let said = render(&outcome.diagnostics, &outcome.sources, Show::default());
    outcome.scenario.unwrap_or_else(|| panic!("{said}"))
}

fn shipped(name: &str) -> Scenario {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(name);
    let outcome = load(&path, &[], &Disk, &Registry);
    let said = render(&outcome.diagnostics, &outcome.sources, Show::default());
    assert!(outcome.diagnostics.is_empty(), "{said}");
    outcome.scenario.unwrap()
}

fn run(plan: &Plan, seed: u64) -> RunEnd {
    let (end, ..) = build(plan, seed, 0, vec![]).finish(200_000_000);
    assert_eq!(end.breaches, Vec::<String>::new());
    assert_eq!(end.halt, None);
    end
}

/// One replicate of each variant: where it ends, and after how many entries.
fn ends(name: &str) -> Vec<(String, f64, End)> {
    let scenario = shipped(name);
    let plans = scenario.variants.iter();
    plans
        .map(|plan| {
            let end = run(plan, scenario.seed);
            println!("{name} {:20} {} {}", plan.variant, end.now, end.handled);
            (plan.variant.clone(), end.now.as_secs_f64(), end.end)
        })
        .collect()
}

#[test]
fn the_split_brain_runs_in_all_its_variants() {
    let ends = ends("split_brain.ron");
    assert_eq!(ends.len(), 4);
}

#[test]
fn the_thundering_herd_runs_in_all_its_variants() {
    let ends = ends("thundering_herd.ron");
    assert_eq!(ends.len(), 7);
    assert!(
        ends.iter().all(|(_, _, end)| *end == End::Stopped),
        "all tasks are done"
    );
}

#[test]
fn the_latency_trap_runs_in_all_its_variants() {
    let scenario = shipped("latency_trap.ron");
    for plan in &scenario.variants {
        let end = run(plan, scenario.seed);
        println!("{:20} {} {}", plan.variant, end.now, end.handled);
        assert_eq!(end.end, End::Stopped, "all tasks are done");
        assert!(end.now.since(quorate::kernel::SimTime::ZERO) > SimDuration::from_secs(20));
    }
}

#[test]
fn a_small_scenario_runs() {
    let scenario = good(
        r#"(
            quorate: 1, name: "small", until: AllDone(within: "1h"), sites: ["a", "b"],
            network: (default: (one_way: "10ms")),
            services: {"tool": (at: "b", time: "5ms")},
            agents: {"x": (count: 2, at: "a", program: [Repeat(times: 3, steps: [Think("1ms"), Call(service: "tool")])])},
            variants: {"near": [Set(path: "services.tool.at", to: "a")]},
        )"#,
    );
    let ends: Vec<u64> = scenario
        .variants
        .iter()
        .map(|plan| run(plan, 1).now.as_nanos())
        .collect();
    assert_eq!(ends, [78_000_000, 18_000_000]);
}
