//! Scenarios from text to runs.

use quorate::kernel::{End, SimDuration};
use quorate::scenario::syntax::{Memory, Reference, Show, Sources, render};
use quorate::scenario::{Anything, Asked, Outcome, Plan, Registry, RunEnd, Scenario, build, load, load_as};
use quorate::world::record::{Batch, Mask, Observer, What};
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
    assert_eq!(ends.len(), 11);
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

/// Plans as texts, in the order of their names.
fn plans(scenario: &Scenario) -> Vec<String> {
    let mut plans: Vec<String> = scenario.variants.iter().map(|plan| format!("{plan:?}")).collect();
    plans[1..].sort();
    plans
}

const ORDERED: &str = r#"(
    quorate: 1, name: "order", seed: 5, until: At("30s"),
    data: {"x": (file: "x.csv"), "y": (file: "y.csv")},
    sites: ["a", "b", "c"],
    network: (
        default: (one_way: Exponential(mean: "20ms"), loss: 0.02),
        links: [(between: ("a", "b"), one_way: "5ms"), (from: "c", to: "a", loss: 0.5), (from: "a", to: "c", order: Pair)],
    ),
    services: {
        "one": (at: "a", servers: 2, time: Empirical(data: "x", column: "v", unit: "1ms")),
        "two": (at: "b", time: Empirical(data: "y", column: "v", unit: "1ms")),
    },
    state: {
        "m": (at: ["a", "c"], keys: {"k": Register(count: 2), "n": Counter}, model: LastWriteWins, anti_entropy: (every: "1s")),
        "l": (at: ["b"], keys: {"s": Set}, model: Crdt),
    },
    policies: {"p": (timeout: "1s", attempts: 3), "q": (timeout: "2s", attempts: 2, backoff: Fixed("50ms"))},
    agents: {
        "u": (count: 7, at: ["a", "b"], program: [Repeat(times: 20, steps: [
            Call(service: "one", policy: "q"),
            Call(service: "two", policy: "p"),
            Send(to: Any("v"), topic: "t"),
            Update(key: "k", policy: "p"),
            Add(key: "n", policy: "q"),
            Insert(key: "s", element: Uniform(low: 0, high: 9), policy: "p"),
        ])], on: {"r": [Think("1ms")], "z": []}),
        "v": (count: 4, at: "c", program: [Task(name: "x", steps: [Think("1s")])], on: {"t": [Send(to: Sender, topic: "r")]}),
    },
    faults: {
        "f": Partition(groups: [["a"], ["b", "u"]], at: "5s", for: "3s"),
        "g": Crash(who: ["one", "v"], when: Drawn(to_failure: Exponential(mean: "5s"), to_repair: "1s"), each: Member),
    },
    variants: {"w": [Set(path: "services.one.at", to: "c")], "h": [Set(path: "network.default.loss", to: 0)]},
    expect: [Always("a"), Always("b")],
)"#;

/// The same with every map, struct and unordered list the other way round.
const SHUFFLED: &str = r#"(
    expect: [Always("b"), Always("a")],
    variants: {"h": [Set(path: "network.default.loss", to: 0)], "w": [Set(to: "c", path: "services.one.at")]},
    faults: {
        "g": Crash(each: Member, when: Drawn(to_repair: "1s", to_failure: Exponential(mean: "5s")), who: ["one", "v"]),
        "f": Partition(for: "3s", at: "5s", groups: [["a"], ["b", "u"]]),
    },
    agents: {
        "v": (on: {"t": [Send(topic: "r", to: Sender)]}, program: [Task(steps: [Think("1s")], name: "x")], at: "c", count: 4),
        "u": (on: {"z": [], "r": [Think("1ms")]}, program: [Repeat(steps: [
            Call(policy: "q", service: "one"),
            Call(policy: "p", service: "two"),
            Send(topic: "t", to: Any("v")),
            Update(policy: "p", key: "k"),
            Add(policy: "q", key: "n"),
            Insert(policy: "p", element: Uniform(high: 9, low: 0), key: "s"),
        ], times: 20)], at: ["a", "b"], count: 7),
    },
    policies: {"q": (backoff: Fixed("50ms"), attempts: 2, timeout: "2s"), "p": (attempts: 3, timeout: "1s")},
    state: {
        "l": (model: Crdt, keys: {"s": Set}, at: ["b"]),
        "m": (anti_entropy: (every: "1s"), model: LastWriteWins, keys: {"n": Counter, "k": Register(count: 2)}, at: ["a", "c"]),
    },
    services: {
        "two": (time: Empirical(unit: "1ms", column: "v", data: "y"), at: "b"),
        "one": (time: Empirical(unit: "1ms", column: "v", data: "x"), servers: 2, at: "a"),
    },
    network: (
        links: [(from: "a", to: "c", order: Pair), (from: "c", to: "a", loss: 0.5), (one_way: "5ms", between: ("a", "b"))],
        default: (loss: 0.02, one_way: Exponential(mean: "20ms")),
    ),
    sites: ["c", "b", "a"],
    data: {"y": (file: "y.csv"), "x": (file: "x.csv")},
    until: At("30s"), seed: 5, name: "order", quorate: 1,
)"#;

#[test]
fn the_order_of_declarations_changes_no_byte() {
    let read = |text: &str| {
        let files = Memory::new()
            .with("s.ron", text)
            .with("x.csv", "v\n1\n5\n9\n")
            .with("y.csv", "v\n2\n2\n7\n");
        let outcome = load("s.ron".as_ref(), &[], &files, &Anything);
        let said = render(&outcome.diagnostics, &outcome.sources, Show::default());
        outcome.scenario.unwrap_or_else(|| panic!("{said}"))
    };
    let (ordered, shuffled) = (read(ORDERED), read(SHUFFLED));
    assert_eq!(ordered.hash, shuffled.hash);
    assert_eq!(plans(&ordered), plans(&shuffled));
    let (one, other) = (run(&ordered.variants[0], 5), run(&shuffled.variants[0], 5));
    assert!(one.handled > 1000, "{}", one.handled);
    assert_eq!((one.print, one.handled), (other.print, other.handled));
    // What is said in another file, or in the data, is part of the scenario.
    let other_data = Memory::new()
        .with("s.ron", ORDERED)
        .with("x.csv", "v\n1\n5\n8\n")
        .with("y.csv", "v\n2\n2\n7\n");
    let other_data = load("s.ron".as_ref(), &[], &other_data, &Anything);
    assert_ne!(other_data.scenario.unwrap().hash, ordered.hash);
}

#[test]
fn what_is_kept_of_a_scenario_is_in_the_order_of_the_language() {
    let read = |text: &str| {
        let files = Memory::new()
            .with("s.ron", text)
            .with("x.csv", "v\n1\n5\n9\n")
            .with("y.csv", "v\n2\n2\n7\n");
        load("s.ron".as_ref(), &[], &files, &Anything).scenario.unwrap()
    };
    let (ordered, shuffled) = (read(ORDERED), read(SHUFFLED));
    // Variants and expectations stand in their own order, which is that of tables.
    let body = |scenario: &Scenario| {
        let (body, _) = scenario.resolved.split_once("    variants:").unwrap();
        body.to_string()
    };
    assert_eq!(body(&ordered), body(&shuffled));
    assert!(
        body(&ordered).starts_with(
            "(\n    quorate: 1,\n    name: \"order\",\n    seed: 5,\n    until: At(\"30s\"),\n    data: {"
        )
    );
    let order = |scenario: &Scenario| {
        let (_, variants) = scenario.resolved.split_once("    variants:").unwrap();
        variants.find("\"w\":") < variants.find("\"h\":")
    };
    assert!(order(&ordered) && !order(&shuffled));
    // It says the same again, in the same words, where only its copies are.
    let again = written_out(&ordered);
    assert_eq!(
        (&again.hash, &again.resolved, plans(&again)),
        (&ordered.hash, &ordered.resolved, plans(&ordered))
    );
}

/// The scenario as it is read where there is nothing but what was written of it.
fn written_out(scenario: &Scenario) -> Scenario {
    let files = Memory::new().with("s.ron", scenario.resolved.as_str());
    let files = scenario
        .data
        .iter()
        .fold(files, |files, data| files.with(&data.copy, &*data.bytes));
    let outcome = load("s.ron".as_ref(), &[], &files, &Anything);
    let said = render(&outcome.diagnostics, &outcome.sources, Show::default());
    outcome.scenario.unwrap_or_else(|| panic!("{said}"))
}

#[test]
fn what_is_kept_is_what_was_asked_for_in_the_order_of_the_language() {
    // Both data files have one name, so that one of the copies needs another.
    let read = |text: &str, variants: &[&str], seed: Option<u64>| {
        let expect = r#"Measure(name: "m", variant: Some("w"), over: "base", is: AtMost(1)), "#;
        let text = text
            .replace("\"x.csv\"", "\"one/t.csv\"")
            .replace("\"y.csv\"", "\"two/t.csv\"")
            .replace("expect: [", &format!("expect: [{expect}"));
        let files = Memory::new()
            .with("s.ron", text)
            .with("one/t.csv", "v\n1\n5\n9\n")
            .with("two/t.csv", "v\n2\n2\n7\n");
        let variants: Vec<String> = variants.iter().map(|name| name.to_string()).collect();
        let asked = Asked {
            seed,
            replicates: Some(3),
            variants: &variants,
            ..Asked::default()
        };
        let outcome = load_as("s.ron".as_ref(), &[], asked, &files, &Anything);
        let said = render(&outcome.diagnostics, &outcome.sources, Show::default());
        outcome.scenario.unwrap_or_else(|| panic!("{said}"))
    };
    let body = |scenario: &Scenario| scenario.resolved.split_once("    expect:").unwrap().0.to_string();
    for (variants, seed, expected) in [(&["h"][..], Some(8), 2), (&["w"], None, 3), (&["base"], Some(5), 2)] {
        let (one, other) = (read(ORDERED, variants, seed), read(SHUFFLED, variants, seed));
        assert_eq!((&one.hash, body(&one)), (&other.hash, body(&other)), "{variants:?}");
        assert_eq!((one.seed, one.replicates), (seed.unwrap_or(5), 3));
        assert_eq!(one.expectations.len(), expected, "{variants:?}");
        let start = format!("    seed: {},\n    replicates: 3,\n    until:", one.seed);
        assert!(one.resolved.contains(&start), "{}", one.resolved);
        let again = written_out(&one);
        assert_eq!(
            (
                &again.hash,
                &again.resolved,
                again.seed,
                again.replicates,
                plans(&again)
            ),
            (&one.hash, &one.resolved, one.seed, one.replicates, plans(&one))
        );
        let texts = |scenario: &Scenario| -> Vec<String> {
            let all = scenario.expectations.iter();
            all.map(|expectation| expectation.text.clone()).collect()
        };
        assert_eq!(texts(&again), texts(&one));
    }
}

#[test]
fn a_list_is_counted_in_only_by_variants_that_are_run() {
    let read = |sites: &str, variants: &[&str]| {
        let text = format!(
            r#"(
                quorate: 1, name: "count", until: At("1s"), sites: {sites},
                agents: {{"x": (count: 1, at: "a", program: [Think("1ms")])}},
                variants: {{
                    "counts": [Set(path: "sites[0]", to: "c")],
                    "other": [Set(path: "agents.x.count", to: 2)],
                }},
            )"#
        );
        let variants: Vec<String> = variants.iter().map(|name| name.to_string()).collect();
        let asked = Asked {
            variants: &variants,
            ..Asked::default()
        };
        let files = Memory::new().with("s.ron", text);
        load_as("s.ron".as_ref(), &[], asked, &files, &Anything)
            .scenario
            .unwrap()
    };
    let (one, other) = (r#"["b", "a", "d"]"#, r#"["d", "a", "b"]"#);
    assert_ne!(read(one, &[]).resolved, read(other, &[]).resolved);
    assert_ne!(read(one, &["counts"]).resolved, read(other, &["counts"]).resolved);
    let (one, other) = (read(one, &["other"]), read(other, &["other"]));
    assert_eq!((&one.resolved, &one.hash), (&other.resolved, &other.hash));
    assert_eq!(written_out(&one).resolved, one.resolved);
}

#[test]
fn a_list_that_a_variant_counts_in_keeps_its_order() {
    let read = |links: &str, path: &str| {
        good(&format!(
            r#"(
                quorate: 1, name: "count", until: At("1s"), sites: ["b", "a"],
                network: (links: [{links}]),
                agents: {{"x": (count: 1, at: "a", program: [Think("1ms")])}},
                variants: {{"v": [Set(path: "{path}", to: "9ms")]}},
            )"#
        ))
    };
    let (there, back) = (
        r#"(from: "b", to: "a", one_way: "1ms")"#,
        r#"(from: "a", to: "b", one_way: "1ms")"#,
    );
    let both = |path: &str| {
        let one = read(&format!("{there}, {back}"), path);
        let other = read(&format!("{back}, {there}"), path);
        (one, other)
    };
    let (one, other) = both("network.links[0].one_way");
    assert_ne!(plans(&one), plans(&other), "another link is changed");
    assert_ne!(one.hash, other.hash);
    assert_eq!(plans(&one), plans(&good(&one.resolved)));
    let (one, other) = both("agents.x.stagger");
    assert_eq!((&one.hash, &one.resolved), (&other.hash, &other.resolved));
}

/// A scenario whose times are all multiplied, and whose rates are all divided, by a power of two.
fn scaled(factor: u32) -> Scenario {
    let (ms, s) = (
        |n: u32| format!("\"{}ms\"", n * factor),
        |n: u32| format!("\"{}s\"", n * factor),
    );
    good(&format!(
        r#"(
            quorate: 1, name: "scale", until: At({}), window: {}, sites: ["a", "b"],
            network: (default: (one_way: LogNormal(median: {}, sigma: 0.5), loss: 0.05)),
            services: {{"tool": (
                at: "b", servers: 2, time: Gamma(shape: 2.5, scale: {}),
                limit: (rate: "{}/s", burst: 3, excess: Refuse(retry_after: true)),
            )}},
            policies: {{"p": (timeout: {}, attempts: 6, backoff: FullJitter(base: {}, cap: {}), honours_retry_after: true)}},
            agents: {{"x": (count: 20, at: "a", start: Poisson(rate: "{}/s"), program: [
                Repeat(times: 10, steps: [Think(Exponential(mean: {})), Call(service: "tool", policy: "p")]),
            ])}},
            faults: {{"f": Crash(who: ["tool"], when: Drawn(to_failure: Exponential(mean: {}), to_repair: {}))}},
        )"#,
        s(4096),
        s(1),
        ms(32),
        ms(16),
        64.0 / f64::from(factor),
        s(1),
        ms(128),
        s(4),
        4.0 / f64::from(factor),
        ms(256),
        s(32),
        s(1),
    ))
}

#[test]
fn doubling_all_times_and_halving_all_rates_doubles_the_run() {
    let (one, two) = (run(&scaled(1).variants[0], 9), run(&scaled(2).variants[0], 9));
    assert!(one.handled > 500);
    assert_eq!(one.handled, two.handled);
    // Every drawn time is rounded to whole nanoseconds, twice as coarsely in one of the runs.
    let scenario = |factor| {
        let scenario = scaled(factor);
        let log = Ends::default();
        let (end, ..) = build(&scenario.variants[0], 9, 0, vec![Box::new(log.clone())]).finish(u64::MAX);
        assert_eq!(end.breaches, Vec::<String>::new());
        log.0.lock().unwrap().clone()
    };
    let (one, two) = (scenario(1), scenario(2));
    assert_eq!(one.len(), 20);
    for ((agent, at), (same, twice)) in one.iter().zip(&two) {
        assert_eq!(agent, same);
        assert!(twice.abs_diff(at * 2) < 2000, "{at} {twice}");
    }
}

/// When the tasks of which agents ended.
#[derive(Clone, Default)]
struct Ends(std::sync::Arc<std::sync::Mutex<Vec<(u32, u64)>>>);

impl Observer for Ends {
    fn wants(&self) -> Mask {
        Mask::of(&[What::TaskEnded])
    }
    fn batch(&mut self, batch: Batch<'_>) {
        let ended = batch.records.iter().filter(|record| record.what == What::TaskEnded);
        let mut ends = self.0.lock().unwrap();
        ends.extend(ended.map(|record| (record.subject, record.time.as_nanos())));
    }
    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}

#[test]
fn the_reference_describes_every_noun() {
    let reference = Reference::of::<quorate::scenario::language::Scenario>();
    for described in reference.types() {
        assert!(!described.doc.is_empty(), "{}", described.name);
        let fields = described
            .variants
            .iter()
            .flat_map(|variant| &variant.fields)
            .chain(&described.fields);
        for field in fields {
            assert!(!field.doc.is_empty(), "{}.{}", described.name, field.name);
        }
    }
    for name in [
        "Scenario", "Network", "Service", "Store", "Policy", "Group", "Step", "Fault", "Expect", "TimeLaw",
    ] {
        assert!(reference.find(name).is_some(), "{name}");
    }
}
