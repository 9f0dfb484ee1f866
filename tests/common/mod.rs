//! What tests of the command share.
#![allow(dead_code)] // Each test program uses a part of it.

pub mod schema;

use quorate::experiment::{Cell, Grid, Options};
use quorate::scenario::syntax::{Memory, Show, render};
use quorate::scenario::{Registry, Scenario, load};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The command.
pub const QUORATE: &str = env!("CARGO_BIN_EXE_quorate");

/// A scenario of three variants: five workers call a tool over a link of 50 ms.
pub const TINY: &str = r#"(
    quorate: 1,
    name: "tiny",
    question: "What does a hop cost?",
    base: "two sites",
    seed: 3,
    replicates: 3,
    until: AllDone(within: "10min"),
    sites: ["a", "b"],
    network: (default: (one_way: "50ms")),
    services: {"tool": (at: "b", time: Exponential(mean: "20ms"))},
    agents: {
        "worker": (count: 5, at: "a", start: Spread(over: "1s"), program: [
            Repeat(times: 3, steps: [Think("10ms"), Call(service: "tool")]),
        ]),
    },
    variants: {
        "one site": [Set(path: "services.tool.at", to: "a")],
        "far": [Set(path: "network.default.one_way", to: "200ms")],
    },
    expect: [
        Measure(name: "latency_trap.added", variant: "base", over: "one site", is: Between("300ms", "300ms")),
        Always("no_failed_tasks"),
        // more
    ],
)
"#;

/// A scenario without problems.
pub fn read(text: &str) -> Scenario {
    let outcome = load("s.ron".as_ref(), &[], &Memory::new().with("s.ron", text), &Registry);
    let said = render(&outcome.diagnostics, &outcome.sources, Show::default());
    outcome.scenario.unwrap_or_else(|| panic!("{said}"))
}

/// A run of a scenario's base, and what an observer saw of it.
pub fn observed<O: quorate::world::record::Observer + 'static>(scenario: &Scenario, seed: u64, observer: O) -> O {
    let run = quorate::scenario::build(&scenario.variants[0], seed, 0, vec![Box::new(observer)]);
    let (_, mut world, _) = run.finish(10_000_000);
    let observers = std::mem::take(&mut world.shared.records).into_observers();
    let seen = observers.into_iter().next().expect("one observes").into_any();
    *seen.downcast().expect("it is the one that was given")
}

/// One run, which neither stops early nor breaks a law.
pub fn measured(scenario: &Scenario, variant: usize, replicate: u32) -> Cell {
    let options = Options {
        seed: scenario.seed,
        ..Options::default()
    };
    let cell = Grid::new(&scenario.variants, options).run_cell(variant, replicate);
    assert_eq!((&cell.halt, &cell.breaches), (&None, &Vec::new()));
    cell
}

/// A folder of its own for a test.
pub struct Place(tempfile::TempDir);

impl Place {
    /// A folder with this scenario as `tiny.ron`.
    pub fn with(scenario: &str) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        place.write("tiny.ron", scenario);
        place
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    /// Runs the command in this folder.
    pub fn run(&self, args: &[&str]) -> Output {
        Command::new(QUORATE)
            .args(args)
            .current_dir(self.0.path())
            .output()
            .unwrap()
    }

    /// The exit code of the command.
    pub fn code(&self, args: &[&str]) -> i32 {
        Self::code_in(self.0.path(), args)
    }

    pub fn code_in(folder: &Path, args: &[&str]) -> i32 {
        let ran = Command::new(QUORATE).args(args).current_dir(folder).output().unwrap();
        ran.status
            .code()
            .unwrap_or_else(|| panic!("{args:?} was killed: {}", text(&ran.stderr)))
    }
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What a command printed.
pub fn out(output: &Output) -> String {
    text(&output.stdout)
}

pub fn json(bytes: &[u8]) -> serde_json::Value {
    serde_json::from_slice(bytes).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(bytes)))
}

/// Every file below a folder, by its path in it.
pub fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().display().to_string();
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// Waits until something is so; at most for a minute.
pub fn until(mut holds: impl FnMut() -> bool) {
    for _ in 0..6_000 {
        if holds() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("it never happened");
}
