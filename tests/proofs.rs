//! Proofs that a run is what it says: nothing escapes the fingerprint, and nothing that is added or looked at changes the rest.

mod common;

use common::{Place, TINY, files, json, out, read, text};
use quorate::experiment::{Cell, Grid, Options};
use quorate::kernel::Perturbation;
use quorate::scenario::{Plan, Scenario, build};
use quorate::world::record::{Batch, Mask, Observer, What};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// A world with a bit of everything: calls with retries, shared state, messages, asks, a cut, a crash.
const RICH: &str = r#"(
    quorate: 1, name: "rich", seed: 11, replicates: 1, until: At("20s"),
    sites: ["m", "n"],
    network: (default: (one_way: LogNormal(median: "30ms", sigma: 0.4), loss: 0.05, duplication: 0.02)),
    services: {"model": (at: "n", servers: 2, time: Exponential(mean: "200ms")), "tool": (at: "m", time: "40ms")},
    state: {"notes": (at: ["m", "n"], keys: {"k": Register(count: 2), "n": Counter}, model: LastWriteWins, anti_entropy: (every: "5s"))},
    policies: {"p": (timeout: "1s", attempts: 3, backoff: FullJitter(base: "50ms", cap: "1s"))},
    agents: {
        "u": (count: 3, at: ["m", "n"], start: Spread(over: "1s"), program: [Repeat(times: 2, steps: [
            Think(Exponential(mean: "300ms")),
            Call(service: "model", policy: "p"),
            Update(key: "k", policy: "p"),
            Add(key: "n", policy: "p"),
            Ask(to: Any("v"), topic: "question", timeout: "2s"),
            Call(service: "tool", policy: "p"),
        ])]),
        "v": (count: 2, at: "n", on: {"question": [Think("10ms"), Reply()], "news": []}),
        "w": (count: Stream(arrivals: 4), at: "m", start: Poisson(rate: "1/s"), program: [Send(to: Any("v"), topic: "news"), Read(key: "k")]),
    },
    faults: {
        "cut": Partition(groups: [["m"], ["n"]], at: "2s", for: "1s"),
        "crash": Crash(who: "tool", at: "4s", for: "500ms"),
    },
)"#;

fn cell(scenario: &Scenario, options: Options) -> Cell {
    let options = Options {
        seed: scenario.seed,
        ..options
    };
    let cell = Grid::new(&scenario.variants, options).run_cell(0, 0);
    assert!(
        cell.halt.is_none() && cell.breaches.is_empty(),
        "{:?} {:?}",
        cell.halt,
        cell.breaches
    );
    cell
}

#[test]
fn any_field_or_payload_byte_of_any_entry_changes_the_fingerprint() {
    let scenario = read(RICH);
    let whole = cell(&scenario, Options::default());
    assert!((100..2_000).contains(&whole.handled), "{}", whole.handled);
    // Words beyond an entry's last come round to its first: every word of every entry is met, each time at another byte.
    for index in 0..whole.handled {
        for word in 0..15 {
            let mask = 1 << ((index * 15 + word as u64 * 11) % 64);
            let spoil = Perturbation { index, word, mask };
            let options = Options {
                measured: false,
                perturb: Some((0, 0, spoil)),
                ..Options::default()
            };
            let spoilt = cell(&scenario, options);
            assert_ne!(spoilt.print, whole.print, "{spoil:?}");
            assert_eq!(
                spoilt.handled, whole.handled,
                "what is spoilt is the print, never the run"
            );
        }
    }
}

#[test]
fn a_run_is_the_same_watched_or_not() {
    let scenario = read(RICH);
    let prints: Vec<_> = [true, false]
        .map(|measured| {
            cell(
                &scenario,
                Options {
                    measured,
                    ..Options::default()
                },
            )
        })
        .map(|cell| (cell.print, cell.checkpoints, cell.handled))
        .into();
    assert_eq!(prints[0], prints[1]);
}

/// What became of everybody's tasks: by group and run, when, how, and where the time went.
fn tasks(text: &str) -> BTreeMap<(String, u64), String> {
    let cell = cell(&read(text), Options::default());
    assert!(cell.sheet.tasks.len() >= 7, "{}", cell.sheet.tasks.len());
    let tasks = cell.sheet.tasks.iter().filter(|task| !task.group.starts_with("idle"));
    tasks
        .map(|task| ((task.group.clone(), task.identity), format!("{task:?}")))
        .collect()
}

#[test]
fn what_is_added_shifts_nobody_elses_draws() {
    let before = tasks(RICH);
    for (what, at, added) in [
        (
            "an idle agent",
            "        \"u\":",
            "        \"idle\": (count: 3, at: \"m\", program: []),\n",
        ),
        (
            "an idle agent that sleeps",
            "        \"v\":",
            "        \"idle\": (count: 1, at: \"n\", program: [Sleep(Exponential(mean: \"1s\"))]),\n",
        ),
        (
            "a stream of idle agents",
            "        \"w\":",
            "        \"idle\": (count: Stream(), at: \"n\", start: Poisson(rate: \"5/s\")),\n",
        ),
        (
            "a site, and with it its links",
            "\"m\", \"n\"],\n    network",
            "\"a\", ",
        ),
        (
            "a link's law",
            "default: (one_way: LogN",
            "links: [(between: (\"m\", \"z\"), one_way: \"9ms\")], ",
        ),
        (
            "a service",
            "\"model\": (",
            "\"idle\": (at: \"m\", servers: 1, time: Exponential(mean: \"1s\")), ",
        ),
        (
            "a store",
            "\"notes\": (",
            "\"idle\": (at: [\"m\", \"n\"], keys: {\"idle\": Set}, model: Crdt), ",
        ),
        ("a policy", "\"p\": (", "\"idle\": (timeout: \"1s\"), "),
        (
            "a fault elsewhere",
            "\"cut\":",
            "\"bad\": Crash(who: \"idle\", when: Drawn(to_failure: Exponential(mean: \"1s\"), to_repair: \"1s\")), ",
        ),
        ("a key", "\"n\": Counter", "\"idle\": Counter, "),
        (
            "a variant",
            "    faults:",
            "    variants: {\"other\": [Set(path: \"services.tool.time\", to: \"1s\")]},\n",
        ),
        ("a window", "    faults:", "    window: \"100ms\",\n"),
    ] {
        let mut text = RICH.to_string();
        if added.contains("\"z\"") {
            text = text.replacen("sites: [", "sites: [\"z\", ", 1);
        }
        if added.contains("who: \"idle\"") {
            text = text.replacen("\"model\": (", "\"idle\": (at: \"m\", time: \"1s\"), \"model\": (", 1);
        }
        let place = text.find(at).unwrap_or_else(|| panic!("{what}: no place"));
        text.insert_str(place, added);
        let after = tasks(&text);
        assert_eq!(
            before.keys().collect::<Vec<_>>(),
            after.keys().collect::<Vec<_>>(),
            "{what}"
        );
        for (task, was) in &before {
            assert_eq!(*was, after[task], "{what} changes {task:?}");
        }
    }
}

#[test]
fn reordering_what_is_declared_changes_no_byte_of_the_results() {
    let place = Place::with(TINY);
    assert_eq!(place.code(&["run", "tiny.ron"]), 0);
    let ordered = TINY.replace("services: {", "services: {\"other\": (at: \"a\", time: \"1s\"), ");
    place.write("tiny.ron", &ordered);
    assert_eq!(place.code(&["run", "tiny.ron", "--out", "one"]), 0);
    // Fields, sites, services, and everything's place in the file.
    let lines: Vec<&str> = ordered.lines().collect();
    let of = |start: &str| *lines.iter().find(|line| line.trim_start().starts_with(start)).unwrap();
    let services = "    services: {\"tool\": (time: Exponential(mean: \"20ms\"), at: \"b\"), \"other\": (time: \"1s\", at: \"a\")},\n";
    let shuffled = ordered
        .replace(of("services:"), "")
        .replace("    sites: [\"a\", \"b\"],\n", "")
        .replace("    seed: 3,\n", "    sites: [\"b\", \"a\"], // first\n    seed: 3,\n")
        .replace(
            "count: 5, at: \"a\", start: Spread(over: \"1s\")",
            "start: Spread(over: \"1s\"), at: \"a\", count: 5",
        )
        .replace("    quorate: 1,\n", &format!("{services}    quorate: 1,\n"));
    place.write("tiny.ron", &shuffled);
    let ran = place.run(&["run", "tiny.ron", "--out", "two"]);
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    let (one, two) = (files(&place.path("one/tiny")), files(&place.path("two/tiny")));
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    // The copy of the scenario keeps the order that it was written in.
    for (name, bytes) in one.iter().filter(|(name, _)| *name != "scenario.ron") {
        assert!(two[name] == *bytes, "{name}: {}", String::from_utf8_lossy(&two[name]));
    }
}

/// When messages were sent, and how long they took.
#[derive(Default)]
struct Delays(Vec<(u64, f64)>);

impl Observer for Delays {
    fn wants(&self) -> Mask {
        Mask::of(&[What::Delivered])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        let delivered = batch.records.iter().filter(|record| record.what == What::Delivered);
        self.0
            .extend(delivered.map(|record| (record.b, (record.time.as_nanos() - record.b) as f64)));
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}

fn delays(plan: &Plan) -> BTreeMap<u64, f64> {
    let delays = Arc::new(Mutex::new(Delays::default()));
    build(plan, 1, 0, vec![Box::new(Arc::clone(&delays))]).finish(u64::MAX);
    let seen = std::mem::take(&mut delays.lock().unwrap().0);
    seen.into_iter().collect()
}

/// The correlation of the delays of messages sent `lag` apart.
fn autocorrelation(delays: &BTreeMap<u64, f64>, lag: u64) -> f64 {
    let mean = delays.values().sum::<f64>() / delays.len() as f64;
    let square = |value: f64| value * value;
    let variance = delays.values().map(|delay| square(delay - mean)).sum::<f64>() / delays.len() as f64;
    let pairs: Vec<f64> = delays
        .iter()
        .filter_map(|(sent, delay)| Some((delay - mean) * (delays.get(&(sent + lag))? - mean)))
        .collect();
    assert!(pairs.len() > delays.len() / 2);
    pairs.iter().sum::<f64>() / pairs.len() as f64 / variance
}

#[test]
fn the_autocorrelation_of_jitter_at_a_fixed_lag_does_not_depend_on_the_traffic() {
    let scenario = |every: &str| {
        read(&format!(
            r#"(
                quorate: 1, name: "jitter", until: At("4000s"), sites: ["a", "b"],
                network: (default: (one_way: Normal(mean: "100ms", sd: "10ms"), jitter: Correlated(every: "1s", rho: 0.8, share: 0.9))),
                agents: {{
                    "x": (count: 1, at: "a", program: [Repeat(times: Forever, steps: [Send(to: Member("y", 0), topic: "t"), Sleep("{every}")])]),
                    "y": (count: 1, at: "b", on: {{"t": []}}),
                }},
            )"#
        ))
    };
    let [slow, fast] = ["500ms", "50ms"].map(|every| delays(&scenario(every).variants[0]));
    assert!(
        fast.len() > 9 * slow.len() && slow.len() > 7_000,
        "{} {}",
        slow.len(),
        fast.len()
    );
    // Messages a whole slot apart share rho of what the slot shares, two slots apart rho squared of it.
    for (lag, expected) in [
        (1_000_000_000, 0.9 * 0.8),
        (2_000_000_000, 0.9 * 0.64),
        (500_000_000, 0.9 * 0.9),
    ] {
        let (slow, fast) = (autocorrelation(&slow, lag), autocorrelation(&fast, lag));
        assert!((slow - fast).abs() < 0.03, "lag {lag}: {slow} and {fast}");
        assert!((fast - expected).abs() < 0.1, "lag {lag}: {fast}, expected {expected}");
    }
}

/// In how many of 200 independent results the base's 95 % interval of this measure covers the truth.
fn covered(text: &str, measure: &str, truth: f64) -> usize {
    let scenario = read(text);
    let covers = |seed: &u64| {
        let grid = Grid::new(
            &scenario.variants,
            Options {
                seed: *seed,
                replicates: 10,
                jobs: 0,
                ..Options::default()
            },
        );
        let values: Vec<f64> = (0..10)
            .map(|replicate| grid.run_cell(0, replicate).sheet.numbers[measure])
            .collect();
        let summary = quorate::statistics::Summary::of(&values, quorate::statistics::Level::P95).unwrap();
        let interval = summary.interval.unwrap();
        interval.low <= truth && truth <= interval.high
    };
    (1..=200).filter(covers).count()
}

#[test]
fn intervals_cover_known_answers_as_often_as_they_say() {
    // 95 % less four standard errors of a share of 200.
    let least = (200.0 * (0.95 - 4.0 * (0.95f64 * 0.05 / 200.0).sqrt())) as usize;
    let thinking = r#"(quorate: 1, name: "think", until: AllDone(within: "1h"), sites: ["a"],
        agents: {"x": (count: 30, at: "a", program: [Think(Exponential(mean: "1s"))])})"#;
    let times = covered(thinking, "task.time.mean", 1.0);
    assert!((least..200).contains(&times), "thinking: {times} of 200");
    // M/M/1 at half load: the mean time in the system is 1 / (mu - lambda) = 200 ms.
    let queue = r#"(quorate: 1, name: "mm1", until: At("60s"), warm_up: "5s", sites: ["a"],
        services: {"q": (at: "a", servers: 1, time: Exponential(mean: "100ms"))},
        agents: {"x": (count: Stream(), at: "a", start: Poisson(rate: "5/s"), program: [Call(service: "q")])})"#;
    let times = covered(queue, "task.time.mean", 0.2);
    assert!((least..=200).contains(&times), "M/M/1: {times} of 200");
}

#[test]
fn the_readmes_table_is_what_the_command_prints() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(root.join("README.md")).unwrap_or_default();
    let Some((_, rest)) = readme.split_once("<!-- latency_trap -->") else {
        return eprintln!("skipped: the README has no table yet");
    };
    let shown = rest.split_once("<!-- end -->").expect("the table ends").0.trim();
    if shown.is_empty() {
        return eprintln!("skipped: the README's table is empty");
    }
    let shown = shown
        .trim_start_matches("```text")
        .trim_start_matches("```")
        .trim_end_matches("```")
        .trim();
    let ran = std::process::Command::new(common::QUORATE)
        .args(["run", "scenarios/latency_trap.ron", "--no-output"])
        .current_dir(root)
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    assert!(
        out(&ran).contains(shown),
        "the README shows\n{shown}\nbut the command prints\n{}",
        out(&ran)
    );
}

#[test]
fn results_follow_their_published_schema() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let schema = json(&std::fs::read(root.join("schemas/results.schema.json")).unwrap());
    let place = Place::with(TINY);
    let validate = |args: &[&str]| {
        let ran = place.run(&[&["run", "tiny.ron", "--no-output", "--format", "json"], args].concat());
        let results = json(&ran.stdout);
        let problems = common::schema::problems(&schema, &results);
        assert!(problems.is_empty(), "{problems:#?}");
        results
    };
    let results = validate(&[]);
    validate(&["--replicates", "1"]);
    validate(&["--max-events", "20"]);
    // The validator can say no.
    for (pointer, value) in [
        ("/seed", json(b"-1")),
        ("/variants/0/runs/0/fingerprint", json(b"\"12\"")),
        ("/variants/0/measures/task.time.mean/mean", json(b"\"much\"")),
        ("/expectations/0/verdict", json(b"\"perhaps\"")),
        ("/variants", json(b"[]")),
        ("/level", json(b"null")),
    ] {
        let mut wrong = results.clone();
        *wrong.pointer_mut(pointer).unwrap() = value;
        assert!(!common::schema::problems(&schema, &wrong).is_empty(), "{pointer}");
    }
    let mut more = results.clone();
    more["surprise"] = json(b"1");
    assert!(!common::schema::problems(&schema, &more).is_empty());
}
