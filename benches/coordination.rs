//! Coordination: entries that five servers of Raft commit, and requests that 31 replicas of PBFT execute, with the fingerprint on.
//!
//! `cargo bench --bench coordination -- [raft|pbft] [bare]`. Figures are per wall second of one core; the world is built before the
//! clock starts. *measured* is the time with all measures on, relative to that. For profiles, `bare` leaves the run with measures out, and
//! `path=value` changes the scenario: `network.default.order=Any` lets messages of Raft overtake each other, whose entries are then sent again.

#![allow(clippy::disallowed_types)] // A bench reads the wall clock.

use quorate::experiment::{Grid, Options, Registry};
use quorate::scenario::syntax::Memory;
use quorate::scenario::{Scenario, build, load};
use quorate::world::record::{Batch, Mask, Observer, What};
use std::any::Any;
use std::time::Instant;

fn scenario(name: &str, text: &str, sets: &[String]) -> Scenario {
    let outcome = load(name.as_ref(), sets, &Memory::new().with(name, text), &Registry);
    outcome
        .scenario
        .unwrap_or_else(|| panic!("{name} has problems: {:?}", outcome.diagnostics))
}

/// Counts the submissions that were answered.
#[derive(Default)]
struct Answered(u64);

impl Observer for Answered {
    fn wants(&self) -> Mask {
        Mask::of(&[What::CallEnded])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        let ended = batch.records.iter().filter(|record| record.what == What::CallEnded);
        self.0 += ended.filter(|record| record.c == 1).count() as u64;
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}

fn main() {
    let all = [
        ("raft", "entries", include_str!("scenarios/raft.ron")),
        ("pbft", "requests", include_str!("scenarios/pbft.ron")),
    ];
    let mut wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let bare = wanted.iter().any(|one| one == "bare");
    let sets: Vec<String> = wanted.iter().filter(|one| one.contains('=')).cloned().collect();
    wanted.retain(|one| one != "bare" && !one.contains('='));
    println!(
        "{:>10} {:>20} {:>10} {:>10} {:>10}",
        "scenario", "rate", "events", "ns/event", "measured"
    );
    for (name, what, text) in all
        .into_iter()
        .filter(|(name, ..)| wanted.is_empty() || wanted.iter().any(|one| one == name))
    {
        let scenario = scenario(&format!("{name}.ron"), text, &sets);
        let plan = &scenario.variants[0];
        let run = build(plan, scenario.seed, 0, vec![Box::new(Answered::default())]);
        let start = Instant::now();
        let (end, world, _) = run.finish(u64::MAX);
        let seconds = start.elapsed().as_secs_f64();
        let answered = world
            .shared
            .records
            .into_observers()
            .into_iter()
            .find_map(|observer| observer.into_any().downcast::<Answered>().ok())
            .map_or(0, |answered| answered.0);
        assert!(answered > 0, "somebody is answered");
        let measured = if bare {
            "-".to_string()
        } else {
            let start = Instant::now();
            let options = Options {
                seed: scenario.seed,
                ..Options::default()
            };
            let cell = Grid::new(&scenario.variants, options).run_cell(0, 0);
            assert_eq!(cell.print, end.print, "measuring leaves no trace");
            let decided = cell.sheet.numbers["coordination.log.decided"];
            assert_eq!(decided, answered as f64, "what is decided is answered");
            format!("x {:.2}", start.elapsed().as_secs_f64() / seconds)
        };
        println!(
            "{name:>10} {:>11.0} {what}/s {:>9.2}M {:>10.0} {measured:>10}",
            answered as f64 / seconds,
            end.handled as f64 / 1e6,
            seconds * 1e9 / end.handled as f64,
        );
    }
}
