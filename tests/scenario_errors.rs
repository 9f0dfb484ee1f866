//! What is said about scenarios that are wrong: all of it at once, with place, code and a way out.

use quorate::scenario::syntax::{Memory, Show, render};
use quorate::scenario::{Outcome, Registry, load};
use std::fmt::Write;

const SAMPLE: &str = r#"(
    quorate: 1,
    name: "sample",
    until: At("2min"),
    sites: ["a", "b", "c"],
    network: (default: (one_way: "20ms", loss: 0.01)),
    services: {
        "model": (at: "a", servers: 4, time: Exponential(mean: "80ms"), limit: (rate: "40/s", burst: 5)),
    },
    state: {
        "memory": (at: ["a", "b"], keys: {"notes": Register(count: 3), "done": Counter}, model: LastWriteWins),
    },
    policies: {"polite": (timeout: "2s", attempts: 4, backoff: FullJitter(base: "100ms", cap: "10s"))},
    agents: {
        "worker": (count: 5, at: ["b", "c"], program: [
            Repeat(times: 3, steps: [
                Think("10ms"),
                Call(service: "model", policy: "polite"),
                Send(to: Any("worker"), topic: "hello"),
                Update(key: "notes"),
            ]),
        ], on: {"hello": [Think("1ms")]}),
    },
    faults: {"split": Partition(groups: [["a"], ["b", "c"]], at: "30s", for: "10s")},
    variants: {"near": [Set(path: "agents.worker.at", to: "a")]},
    expect: [Measure(name: "task.time.mean", is: AtMost("10s"))],
)"#;

fn files(text: &str) -> Memory {
    Memory::new()
        .with("s.ron", text)
        .with("good.csv", "time,tokens\n0,10\n1.5,20\n")
        .with("word.csv", "time,tokens\n0,10\n1.5,many\n")
        .with("short.csv", "time,tokens\n0,10\n1.5\n")
        .with("header.csv", "time,tokens\n")
        .with("back.csv", "time,tokens\n0,10\n2,20\n1,30\n")
        .with("empty.csv", "")
        .with("a.ron", "(include: [\"b.ron\"])")
        .with("b.ron", "(include: [\"a.ron\"])")
}

fn outcome(text: &str) -> Outcome {
    load("s.ron".as_ref(), &[], &files(text), &Registry)
}

fn said(outcome: &Outcome) -> String {
    render(&outcome.diagnostics, &outcome.sources, Show::default())
}

/// Holds a text against the one that is kept under this name.
fn snapshot(name: &str, text: String) {
    insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!(name, text) });
}

/// The sample with one text in place of another.
fn with(from: &str, to: &str) -> String {
    assert_eq!(SAMPLE.matches(from).count(), 1, "{from}");
    SAMPLE.replace(from, to)
}

/// What is said about each of these changes of the sample.
fn all(changes: &[(&str, &str)]) -> String {
    let mut page = String::new();
    for (from, to) in changes {
        let outcome = outcome(&with(from, to));
        let said = said(&outcome);
        assert_eq!(outcome.scenario.is_none(), outcome.diagnostics.has_errors(), "{to}");
        let _ = writeln!(
            page,
            "=== {to}\n\n{}\n",
            if said.is_empty() { "nothing\n" } else { &said }
        );
    }
    page
}

#[test]
fn the_sample_is_right() {
    let outcome = outcome(SAMPLE);
    assert!(
        outcome.scenario.is_some() && outcome.diagnostics.is_empty(),
        "{}",
        said(&outcome)
    );
}

#[test]
fn names() {
    snapshot(
        "names",
        all(&[
            ("servers: 4", "servrs: 4"),
            ("\"model\": (at: \"a\"", "\"model\": (at: \"A\""),
            ("at: [\"b\", \"c\"], program", "at: [\"b\", \"d\"], program"),
            ("service: \"model\"", "service: \"modle\""),
            ("policy: \"polite\"", "policy: \"patient\""),
            ("Send(to: Any(\"worker\")", "Send(to: Any(\"workers\")"),
            ("Update(key: \"notes\")", "Update(key: \"note\")"),
            ("Update(key: \"notes\")", "Update(key: \"notes\", store: \"memori\")"),
            ("Think(\"10ms\")", "Thnik(\"10ms\")"),
            ("name: \"task.time.mean\"", "name: \"task.tiem.mean\""),
            ("is: AtMost(\"10s\")", "variant: \"nera\", is: AtMost(\"10s\")"),
            ("groups: [[\"a\"], [\"b\", \"c\"]]", "groups: [[\"a\"], [\"b\", \"x\"]]"),
            ("path: \"agents.worker.at\"", "path: \"agents.wroker.at\""),
            ("{\"near\":", "{\"base\":"),
            (
                "time: Exponential(mean: \"80ms\")",
                "time: Empirical(data: \"azure-cod\", column: \"GeneratedTokens\", unit: \"1ms\")",
            ),
            ("sites: [\"a\", \"b\", \"c\"]", "sites: [\"a\", \"b\", \"c\", \"a\"]"),
        ]),
    );
}

#[test]
fn numbers_and_units() {
    snapshot(
        "numbers_and_units",
        all(&[
            ("\"2min\"", "\"2m\""),
            ("\"2min\"", "120"),
            ("loss: 0.01", "loss: 1.5"),
            ("loss: 0.01", "loss: -0.1"),
            ("loss: 0.01", "loss: NaN"),
            ("servers: 4", "servers: 0"),
            ("servers: 4", "servers: -1"),
            ("rate: \"40/s\"", "rate: \"0/s\""),
            ("rate: \"40/s\"", "rate: \"40 B\""),
            ("burst: 5", "burst: 0"),
            ("count: 5", "count: 0"),
            ("name: \"sample\",", "name: \"sample\", replicates: 0,"),
            ("mean: \"80ms\"", "mean: \"-80ms\""),
            ("mean: \"80ms\"", "mean: \"80ms\", rate: \"3/s\""),
            ("Exponential(mean: \"80ms\")", "LogNormal(median: \"80ms\", sigma: inf)"),
            ("Exponential(mean: \"80ms\")", "LogNormal(median: \"80ms\", sigma: -1)"),
            ("Exponential(mean: \"80ms\")", "LogNormal(p50: \"80ms\", p99: \"70ms\")"),
            ("Exponential(mean: \"80ms\")", "LogNormal(median: \"80ms\")"),
            ("Exponential(mean: \"80ms\")", "Uniform(low: \"80ms\", high: \"10ms\")"),
            ("Exponential(mean: \"80ms\")", "Pareto(scale: \"80ms\", shape: 0)"),
            (
                "Exponential(mean: \"80ms\")",
                "Truncated(low: \"10s\", law: Uniform(low: \"1s\", high: \"2s\"))",
            ),
            ("Exponential(mean: \"80ms\")", "Mixture([(0, \"1ms\")])"),
            ("times: 3", "times: -3"),
            ("times: 3", "times: 1e999"),
        ]),
    );
}

#[test]
fn times_and_groups() {
    snapshot(
        "times_and_groups",
        all(&[
            ("at: \"30s\", for: \"10s\"", "at: \"30s\", until: \"20s\""),
            ("at: \"30s\", for: \"10s\"", "at: \"30s\", for: \"0s\""),
            ("at: \"30s\", for: \"10s\"", "at: \"30s\", for: \"10s\", until: \"40s\""),
            ("at: \"30s\", for: \"10s\"", "at: \"3min\""),
            (", at: \"30s\", for: \"10s\"", ""),
            (
                "at: \"30s\", for: \"10s\"",
                "when: Windows([(at: \"1s\", for: \"5s\"), (at: \"3s\", for: \"5s\")])",
            ),
            (
                "at: \"30s\", for: \"10s\"",
                "when: Flapping(from: \"9s\", until: \"8s\", on: \"1s\", off: \"1s\")",
            ),
            (
                "at: \"30s\", for: \"10s\"",
                "when: Drawn(to_failure: \"0s\", to_repair: \"0s\")",
            ),
            ("groups: [[\"a\"], [\"b\", \"c\"]]", "groups: [[\"a\"], []]"),
            ("groups: [[\"a\"], [\"b\", \"c\"]]", "groups: [[\"a\"], [\"a\", \"c\"]]"),
            ("groups: [[\"a\"], [\"b\", \"c\"]]", "groups: [Rest, Rest]"),
            ("groups: [[\"a\"], [\"b\", \"c\"]]", "groups: []"),
            ("Partition(groups: [[\"a\"], [\"b\", \"c\"]]", "Crash(who: []"),
            (
                "Partition(groups: [[\"a\"], [\"b\", \"c\"]]",
                "Stall(services: [\"worker\"]",
            ),
            ("name: \"sample\",", "name: \"sample\", warm_up: \"2min\","),
            ("quorate: 1", "quorate: 2"),
            ("name: \"sample\"", "name: \"a/b\""),
        ]),
    );
}

#[test]
fn programs() {
    snapshot(
        "programs",
        all(&[
            (
                "Think(\"10ms\"),",
                "Repeat(times: Forever, steps: [Send(to: Any(\"worker\"), topic: \"hello\")]),",
            ),
            ("Think(\"10ms\"),", "Repeat(times: Forever, steps: [Sleep(\"0s\")]),"),
            ("Think(\"10ms\"),", "Repeat(times: Forever, steps: []),"),
            (
                "Think(\"10ms\"),",
                "Repeat(times: Forever, steps: [Choose([(0, [Think(\"1s\")]), (1, [])])]),",
            ),
            ("topic: \"hello\")", "topic: \"helo\")"),
            ("Think(\"10ms\"),", "Ask(to: Any(\"worker\"), topic: \"what\"),"),
            (
                "Think(\"10ms\"),",
                "Ask(to: All(\"worker\"), topic: \"hello\", timeout: \"1s\"),",
            ),
            ("Think(\"10ms\"),", "Add(key: \"notes\"),"),
            ("Think(\"10ms\"),", "Choose([]),"),
            ("count: 5", "count: Stream"),
            ("count: 5", "count: Stream, start: Poisson(rate: \"1/s\")"),
            ("timeout: \"2s\", attempts: 4", "attempts: 4"),
            (
                "attempts: 4, backoff: FullJitter(base: \"100ms\", cap: \"10s\")",
                "attempts: Unlimited",
            ),
            ("cap: \"10s\"", "cap: \"10ms\""),
            ("model: LastWriteWins", "model: VersionVectors(counter: Union)"),
            ("model: LastWriteWins", "model: LastWriteWin"),
            (
                "model: LastWriteWins",
                "model: LastWriteWins, clocks: {\"c\": (skew: \"1s\")}",
            ),
            ("is: AtMost(\"10s\")", "is: Between(\"10s\", \"5s\")"),
            ("is: AtMost(\"10s\")", "is: Between(\"10s\", 12)"),
            ("is: AtMost(\"10s\")", "is: Near(value: \"10s\")"),
            ("is: AtMost(\"10s\")", "is: AtMost(\"10 parsecs\")"),
            ("is: AtMost(\"10s\")", "is: AtMost(10)"),
        ]),
    );
}

#[test]
fn networks() {
    snapshot(
        "networks",
        all(&[
            (
                "(default: (one_way: \"20ms\", loss: 0.01))",
                "(matrix: (data: \"gcp-latency\"))",
            ),
            (
                "sites: [\"a\", \"b\", \"c\"],\n    network: (default: (one_way: \"20ms\", loss: 0.01))",
                "sites: {\"a\": (region: \"us-eest1\"), \"b\": (region: \"us-west1\"), \"c\": (region: \"us-west2\")},\n    network: (matrix: (data: \"gcp-latency\"))",
            ),
            (
                "(default: (one_way: \"20ms\", loss: 0.01))",
                "(matrix: (data: \"wan-latency\"))",
            ),
            (
                "loss: 0.01))",
                "loss: 0.01), links: [(between: (\"a\", \"b\")), (from: \"b\", to: \"a\")])",
            ),
            ("loss: 0.01))", "loss: 0.01), links: [(from: \"b\")])"),
            ("loss: 0.01", "order: Link, reordering: (chance: 0.1, extra: \"1ms\")"),
            ("loss: 0.01", "queue: \"1MB\""),
            ("loss: 0.01", "jitter: Correlated(rho: 1)"),
        ]),
    );
}

/// The sample with a law from the file `data`.
fn from_file(data: &str, column: &str) -> String {
    let law = format!("Empirical(data: \"mine\", column: \"{column}\", unit: \"1ms\")");
    with("Exponential(mean: \"80ms\")", &law).replace(
        "quorate: 1,",
        &format!("quorate: 1, data: {{\"mine\": (file: \"{data}\")}},"),
    )
}

#[test]
fn data() {
    let mut page = String::new();
    let trace = |data: &str| {
        let start = "count: 5, start: Trace(data: \"mine\", column: \"time\", unit: \"1s\")";
        with("count: 5", start).replace(
            "quorate: 1,",
            &format!("quorate: 1, data: {{\"mine\": (file: \"{data}\")}},"),
        )
    };
    for text in [
        from_file("good.csv", "tokens"),
        from_file("good.csv", "token"),
        from_file("missing.csv", "tokens"),
        from_file("word.csv", "tokens"),
        from_file("short.csv", "tokens"),
        from_file("header.csv", "tokens"),
        from_file("empty.csv", "tokens"),
        trace("header.csv"),
        trace("back.csv"),
        trace("good.csv"),
        trace("good.csv")
            .replace("count: 5,", "count: Stream,")
            .replace(", unit: \"1s\"", ""),
    ] {
        let _ = writeln!(page, "{}\n", said(&outcome(&text)));
    }
    snapshot("data", page);
}

#[test]
fn includes() {
    let mut page = String::new();
    for include in ["a.ron", "nowhere.ron"] {
        let text = SAMPLE.replace("quorate: 1,", &format!("quorate: 1, include: [\"{include}\"],"));
        let _ = writeln!(page, "{}\n", said(&outcome(&text)));
    }
    snapshot("includes", page);
}

#[test]
fn all_problems_of_a_file_are_said_at_once() {
    let text = SAMPLE
        .replace("\"b\", \"c\"], program", "\"b\", \"d\"], program")
        .replace("service: \"model\"", "service: \"modle\"")
        .replace("at: \"30s\", for: \"10s\"", "at: \"30s\", until: \"10s\"")
        .replace(
            "time: Exponential(mean: \"80ms\")",
            "time: Uniform(low: \"2s\", high: \"1s\")",
        )
        .replace("task.time.mean", "task.time.maen");
    snapshot("all_problems_of_a_file_are_said_at_once", said(&outcome(&text)));
}

#[test]
fn a_problem_of_a_variant_names_it_and_one_of_the_base_is_said_once() {
    snapshot(
        "a_problem_of_a_variant_names_it_and_one_of_the_base_is_said_once",
        all(&[
            ("to: \"a\"", "to: \"x\""),
            (
                "[Set(path: \"agents.worker.at\", to: \"a\")]",
                "[Set(path: \"services.model.servers\", to: 0), Set(path: \"seed\", to: 3)]",
            ),
            ("servers: 4", "servers: 4, queue: -1"),
            (
                "loss: 0.01",
                "loss: 0.01, order: Link, reordering: (chance: 0.1, extra: \"1ms\")",
            ),
        ]),
    );
}

#[test]
fn what_would_exhaust_memory_is_refused() {
    let refused = |from: &str, to: &str, says: &[&str]| {
        let outcome = outcome(&with(from, to));
        let said = said(&outcome);
        assert!(outcome.scenario.is_none() && said.contains("E0472"), "{to}: {said}");
        for says in says {
            assert!(said.contains(says), "'{says}' isn't in: {said}");
        }
    };
    let accepted = |from: &str, to: &str| {
        let outcome = outcome(&with(from, to));
        assert!(outcome.scenario.is_some(), "{to}: {}", said(&outcome));
    };
    let replicates = |count: u32| format!("quorate: 1, replicates: {count},");
    let says = "2 variants of 1000000000 replicates are 2000000000 runs; there are at most 1000000";
    refused("quorate: 1,", &replicates(1_000_000_000), &[says, "s.ron:2:29"]);
    refused("quorate: 1,", &replicates(500_001), &["1000002 runs"]);
    accepted("quorate: 1,", &replicates(500_000));
    let window = |window: &str| format!("until: At(\"2min\"), window: \"{window}\",");
    let until = "until: At(\"2min\"),";
    let says = [
        "a run until 120s has 120000000000 windows of 1ns",
        "a `window` of 120us is long enough",
    ];
    refused(until, &window("1ns"), &says);
    refused(until, &window("119us"), &["s.ron:4:33"]);
    accepted(until, &window("120us"));
    // The window of a second isn't written down: what is too long is the run.
    refused(
        until,
        "until: AllDone(within: \"50d\"),",
        &["a `window` of 4.32s is long enough", "s.ron:4:12"],
    );
    refused(
        "count: 5",
        "count: 4000001",
        &["there are 4000001 agents in all; at most 4000000 fit"],
    );
    let says = "with 2000001 keys in 2 replicas there are 4000002 copies of keys in all; at most 4000000 fit";
    refused("Register(count: 3)", "Register(count: 2000000)", &[says]);
    accepted("Register(count: 3)", "Register(count: 10000)");
}

#[test]
fn overrides_are_part_of_the_scenario() {
    let load = |set: &str| load("s.ron".as_ref(), &[set.to_string()], &files(SAMPLE), &Registry);
    let plain = outcome(SAMPLE).scenario.unwrap();
    let set = load("agents.worker.count=7").scenario.unwrap();
    assert_eq!(set.variants[0].agents[0].count, Some(7));
    assert_ne!(plain.hash, set.hash);
    snapshot(
        "overrides_are_part_of_the_scenario",
        said(&load("agents.worker.count=0")),
    );
}

#[test]
fn deep_nesting_is_refused_and_hostile_texts_do_no_harm() {
    for text in [
        "[".repeat(100_000),
        "(a:".repeat(100_000),
        "{".into(),
        String::new(),
        "(".into(),
        "\u{0}".into(),
    ] {
        assert!(outcome(&text).scenario.is_none());
    }
    let steps = |depth: usize| "Repeat(times: 2, steps: [".repeat(depth) + "Think(\"1ms\")" + &"])".repeat(depth);
    let nested = |depth: usize| outcome(&with("Think(\"10ms\")", &steps(depth)));
    assert!(nested(40).scenario.is_some());
    let said = said(&nested(100));
    assert!(said.contains("E0003"), "{said}");
}

#[test]
fn ten_megabytes_are_read_and_seventeen_are_not() {
    let group = |n: usize| {
        format!(
            "        \"worker {n:06}\": (count: 1, at: [\"b\", \"c\"], program: [Think(\"10ms\"), Call(service: \"model\", policy: \"polite\")]), // {}\n",
            "x".repeat(60)
        )
    };
    let text = |bytes: usize| {
        let mut groups = String::new();
        (0..60_000)
            .map(group)
            .take_while(|group| {
                groups.push_str(group);
                groups.len() < bytes
            })
            .for_each(drop);
        groups.push_str(&format!("// {}\n", "y".repeat(bytes.saturating_sub(groups.len()))));
        SAMPLE.replace("    agents: {\n", &format!("    agents: {{\n{groups}"))
    };
    let large = text(10 << 20);
    assert!(large.len() > 10 << 20);
    let read = outcome(&large);
    assert!(read.scenario.is_some(), "{}", said(&read));
    let refused = outcome(&text(17 << 20));
    assert!(refused.scenario.is_none());
    assert!(said(&refused).contains("E0002"));
}
