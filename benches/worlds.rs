//! W2, W3, a million agents, and 64 replicas: scenarios as a user writes them, with the fingerprint on.
//!
//! `cargo bench --bench worlds -- [mm1|lossy_messages|million|replicas_lww|replicas_pn] [bare]`. Figures are per wall second of one core; the world is
//! built before the clock starts, and its own time is shown. Memory is the peak of the process so far, so ask for one at a time.
//! For profiles, `bare` leaves the run with measures out, and `path=value` changes the scenario.

#![allow(clippy::disallowed_types)] // A bench reads the wall clock.

use quorate::experiment::{Grid, Options, Registry};
use quorate::scenario::syntax::Memory;
use quorate::scenario::{Scenario, build, load};
use std::time::Instant;

fn scenario(name: &str, text: &str, sets: &[String]) -> Scenario {
    let count = if name.starts_with("replicas") { 64 } else { 100 };
    let sites: Vec<String> = (0..count).map(|site| format!("\"s{site}\"")).collect();
    let text = text.replace("\"SITES\"", &sites.join(", "));
    let outcome = load(name.as_ref(), sets, &Memory::new().with(name, text), &Registry);
    outcome
        .scenario
        .unwrap_or_else(|| panic!("{name} has problems: {:?}", outcome.diagnostics))
}

/// The peak of this process's memory in MiB, where the system says it.
fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok())
        .unwrap_or(f64::NAN)
        / 1024.0
}

fn main() {
    let all = [
        ("mm1", include_str!("scenarios/mm1.ron")),
        ("lossy_messages", include_str!("scenarios/lossy_messages.ron")),
        ("million", include_str!("scenarios/million.ron")),
        ("herd", include_str!("scenarios/herd.ron")),
        ("replicas_lww", include_str!("scenarios/replicas_lww.ron")),
        ("replicas_pn", include_str!("scenarios/replicas_pn.ron")),
    ];
    let mut wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let bare = wanted.iter().any(|one| one == "bare");
    let sets: Vec<String> = wanted.iter().filter(|one| one.contains('=')).cloned().collect();
    wanted.retain(|one| one != "bare" && !one.contains('='));
    println!(
        "{:>15} {:>9} {:>22} {:>10} {:>10} {:>10}",
        "scenario", "built s", "rate", "ns/event", "measured", "peak MiB"
    );
    for (name, text) in all
        .into_iter()
        .filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|one| one == name))
    {
        let scenario = scenario(&format!("{name}.ron"), text, &sets);
        let plan = &scenario.variants[0];
        let start = Instant::now();
        let run = build(plan, scenario.seed, 0, Vec::new());
        let built = start.elapsed().as_secs_f64();
        let start = Instant::now();
        let (end, world, _) = run.finish(u64::MAX);
        let seconds = start.elapsed().as_secs_f64();
        let books = world.shared.network.counters();
        let (count, what) = match name {
            // Two messages a customer: the request and the answer.
            "mm1" => (books.delivered as f64 / 2.0, "customers"),
            "herd" => (books.delivered as f64 / 2.0, "attempts"),
            // And an operation; the batches between replicas are less than one message in a hundred.
            "replicas_lww" | "replicas_pn" => (books.delivered as f64 / 2.0, "operations"),
            _ => (books.delivered as f64, "messages"),
        };
        let memory = peak_memory();
        let measured = if bare || name == "million" {
            "-".to_string()
        } else {
            let start = Instant::now();
            let cell = Grid::new(
                &scenario.variants,
                Options {
                    seed: scenario.seed,
                    ..Options::default()
                },
            )
            .run_cell(0, 0);
            assert_eq!(cell.print, end.print, "measuring leaves no trace");
            if name == "mm1" {
                let wait = cell.sheet.numbers["service.queue.wait.mean"];
                assert!((8.0..10.0).contains(&wait), "the mean wait is near 9 s, not {wait}");
            }
            format!("x {:.2}", start.elapsed().as_secs_f64() / seconds)
        };
        println!(
            "{name:>15} {built:>9.2} {:>11.2} M {what}/s {:>7.0} {measured:>10} {memory:>10.0}",
            count / seconds / 1e6,
            seconds * 1e9 / end.handled as f64,
        );
    }
}
