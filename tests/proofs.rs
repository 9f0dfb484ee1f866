//! Proofs that a run is what it says: nothing escapes the fingerprint, and nothing that is added or looked at changes the rest.

mod common;

use common::{Place, TINY, files, json, out, read, text};
use quorate::experiment::{Cell, Grid, Options};
use quorate::kernel::Perturbation;
use quorate::scenario::syntax::{Limits, Node, SourceMap, Value, parse_bytes, write};
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
    assert!(cell.sheet.tasks.len() >= 5, "{}", cell.sheet.tasks.len());
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

/// A service, a store and a peer that others use as well: where nobody queues, nobody notices.
const SHARED: &str = r#"(
    quorate: 1, name: "shared", seed: 5, replicates: 1, until: At("1h"),
    sites: ["x", "y"],
    network: (default: (one_way: Exponential(mean: "10ms"), loss: 0.1, duplication: 0.1)),
    services: {"s": (at: "y", servers: Unlimited, time: Exponential(mean: "1s"))},
    state: {"notes": (at: ["x", "y"], keys: {"k": Counter, "other": Counter}, model: Crdt, anti_entropy: (every: "5s"))},
    policies: {"p": (timeout: "9s", attempts: 300, backoff: FullJitter(base: "10ms", cap: "1s"))},
    agents: {
        "a": (count: 5, at: "x", program: [Repeat(times: 5, steps: [
            Call(service: "s", policy: "p"),
            Think(Exponential(mean: "1s")),
            Add(key: "k", policy: "p"),
            Send(to: Any("peer"), topic: "news"),
            Ask(to: Member("peer", 0), topic: "question", timeout: "4s"),
        ])]),
        "peer": (count: 2, at: "y", on: {"question": [Reply()], "news": [Send(to: Sender, topic: "thanks")]}, handlers_at_once: 100),
    },
)"#;

#[test]
fn who_else_is_served_shifts_nobodys_draws() {
    let before = tasks(SHARED);
    for (what, added) in [
        ("another caller", "Call(service: \"s\", policy: \"p\")"),
        ("another writer", "Add(key: \"other\", policy: \"p\")"),
        (
            "another asker",
            "Ask(to: Member(\"peer\", 0), topic: \"question\", timeout: \"4s\")",
        ),
        ("another sender", "Send(to: Member(\"peer\", 0), topic: \"news\")"),
    ] {
        let group =
            format!("        \"idle\": (count: 3, at: \"x\", program: [Repeat(times: 7, steps: [{added}])]),\n");
        let at = SHARED.find("        \"peer\": (").unwrap();
        let after = tasks(&format!("{}{group}{}", &SHARED[..at], &SHARED[at..]));
        assert!(before.len() >= 5 && before.len() == after.len(), "{what}");
        for (task, was) in &before {
            assert_eq!(*was, after[task], "{what} changes {task:?}");
        }
    }
}

#[test]
fn a_call_may_be_tried_more_often_than_a_small_number_counts() {
    let text = r#"(
        quorate: 1, name: "long", seed: 1, replicates: 1, until: At("3h"), sites: ["x"],
        services: {"s": (at: "x", time: "1ms")},
        policies: {"p": (timeout: "100ms", attempts: Unlimited)},
        agents: {"a": (count: 1, at: "x", start: AtOnce(at: "1s"), program: [Call(service: "s", policy: "p")])},
        faults: {"out": Crash(who: "s", at: "0s", for: "2h")},
    )"#;
    let cell = cell(&read(text), Options::default());
    let attempts = cell.sheet.numbers["calls.attempts"];
    // One in 100 ms until the outage ends at 2 h: the last one is answered.
    assert_eq!((attempts, cell.sheet.numbers["calls.answered"]), (71_991.0, 1.0));
}

/// A scenario with everything in it in another order: all fields, all entries of maps, and the lists whose order says
/// nothing. The order of variants and of what is expected is that of tables and plots, and stays.
fn shuffled(node: &mut Node, name: &str, next: &mut dyn FnMut(usize) -> usize) {
    let mut order = |count: usize| (1..count).rev().map(|at| (at, next(at + 1))).collect::<Vec<_>>();
    match &mut node.value {
        Value::Struct(_, fields) => {
            order(fields.len()).into_iter().for_each(|(a, b)| fields.swap(a, b));
            fields
                .iter_mut()
                .for_each(|field| shuffled(&mut field.value, &field.name.text, next));
        }
        Value::Map(entries) => {
            if name != "variants" {
                order(entries.len()).into_iter().for_each(|(a, b)| entries.swap(a, b));
            }
            entries.iter_mut().for_each(|(_, value)| shuffled(value, "", next));
        }
        Value::List(items) | Value::Tuple(_, items) => {
            if matches!(name, "sites" | "links") {
                order(items.len()).into_iter().for_each(|(a, b)| items.swap(a, b));
            }
            items.iter_mut().for_each(|item| shuffled(item, "", next));
        }
        _ => {}
    }
}

#[test]
fn reordering_what_is_declared_changes_no_byte_of_the_results() {
    let links = "links: [(between: (\"m\", \"n\"), loss: 0.1), (from: \"o\", to: \"m\", loss: 0.2), (from: \"m\", to: \"o\", order: Link)]";
    let rich = RICH
        .replace("sites: [\"m\", \"n\"]", "sites: [\"m\", \"n\", \"o\"]")
        .replace("network: (default", &format!("network: ({links}, default"))
        .replace(
            "faults: {",
            "variants: {\"worse\": [Set(path: \"services.tool\", to: (time: \"90ms\", servers: 1, at: \"m\"))], \"better\": [Set(path: \"network.default.loss\", to: 0)]},
            expect: [Measure(name: \"task.time.mean\", over: \"base\", variant: \"worse\", is: AtLeast(\"-1h\")), Always(\"network.conservation\")],
            faults: {",
        );
    let place = Place::with(&rich);
    assert_eq!(place.code(&["run", "tiny.ron", "--out", "one"]), 0);
    let one = files(&place.path("one/rich"));
    let (mut map, mut out) = (SourceMap::new(), Default::default());
    let written = parse_bytes("tiny.ron", rich.as_bytes(), &mut map, &Limits::default(), &mut out).unwrap();
    let mut texts = std::collections::BTreeSet::new();
    for seed in 1..=3 {
        let mut state: u64 = seed;
        let mut tree = written.clone();
        shuffled(&mut tree, "", &mut |below| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % below
        });
        // On one line without blanks, and in another order.
        let reordered = write::compact(&tree);
        place.write("tiny.ron", &reordered);
        texts.insert(reordered);
        let ran = place.run(&["run", "tiny.ron", "--out", "two"]);
        assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
        same_files(&one, &files(&place.path("two/rich")));
    }
    assert_eq!(texts.len(), 3, "the orders differ");
    // What is kept of the scenario gives the same again.
    place.write("tiny.ron", std::str::from_utf8(&one["scenario.ron"]).unwrap());
    assert_eq!(place.code(&["run", "tiny.ron", "--out", "three"]), 0);
    same_files(&one, &files(&place.path("three/rich")));
}

/// Holds two folders against each other, byte for byte.
fn same_files(one: &BTreeMap<String, Vec<u8>>, two: &BTreeMap<String, Vec<u8>>) {
    assert_eq!(one.keys().collect::<Vec<_>>(), two.keys().collect::<Vec<_>>());
    assert!(one.contains_key("scenario.ron") && one.contains_key("results.json") && one.contains_key("manifest.json"));
    for (name, bytes) in one {
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

#[test]
fn a_run_is_copied_and_written_at_any_moment() {
    let scenario = read(RICH);
    let begin = || build(&scenario.variants[0], scenario.seed, 0, Vec::new());
    let whole = begin().finish(u64::MAX).0;
    assert!(whole.handled > 100, "{}", whole.handled);
    let written = |run: &quorate::scenario::build::Run| postcard::to_stdvec(&run.kernel).unwrap();
    let mut sizes = Vec::new();
    for stop in [0, 1, 50, whole.handled / 2, whole.handled - 1] {
        let mut run = begin();
        run.kernel.run(quorate::kernel::SimTime::NEVER, stop);
        let copy = run.clone();
        assert_eq!(written(&run), written(&copy), "at {stop}");
        // Another run that got there by other stops is in the same state, however its queue is laid out.
        let mut other = begin();
        for _ in 0..stop {
            other.kernel.run(quorate::kernel::SimTime::NEVER, 1);
        }
        assert_eq!(written(&run), written(&other), "at {stop}");
        sizes.push(written(&copy).len());
        // The original goes on and changes nothing of the copy, which then does the same.
        let before = written(&copy);
        assert_eq!(run.finish(u64::MAX).0.print, whole.print, "at {stop}");
        assert_eq!(written(&copy), before);
        assert_eq!(copy.finish(u64::MAX).0.print, whole.print, "at {stop}");
    }
    // What is written is the state: one event more is another state.
    let mut run = begin();
    run.kernel.run(quorate::kernel::SimTime::NEVER, 50);
    let before = written(&run);
    run.kernel.run(quorate::kernel::SimTime::NEVER, 1);
    assert!(
        written(&run) != before && sizes.iter().all(|size| *size > 100),
        "{sizes:?}"
    );
}
