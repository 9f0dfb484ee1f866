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
                Update(key: "notes", policy: "polite"),
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
            ("\"model\", policy: \"polite\"", "\"model\", policy: \"patient\""),
            ("Send(to: Any(\"worker\")", "Send(to: Any(\"workers\")"),
            (
                "Update(key: \"notes\", policy: \"polite\")",
                "Update(key: \"note\", policy: \"polite\")",
            ),
            (
                "Update(key: \"notes\", policy: \"polite\")",
                "Update(key: \"notes\", store: \"memori\", policy: \"polite\")",
            ),
            ("Think(\"10ms\")", "Thnik(\"10ms\")"),
            ("name: \"task.time.mean\"", "name: \"task.tiem.mean\""),
            ("is: AtMost(\"10s\")", "variant: \"nera\", is: AtMost(\"10s\")"),
            ("groups: [[\"a\"], [\"b\", \"c\"]]", "groups: [[\"a\"], [\"b\", \"x\"]]"),
            ("path: \"agents.worker.at\"", "path: \"agents.wroker.at\""),
            ("path: \"agents.worker.at\"", "path: \"agents.worker.program.0.times\""),
            ("path: \"agents.worker.at\"", "path: \"agents.worker.program.zero\""),
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
fn quorums() {
    let model = |model: &'static str| ("model: LastWriteWins", model);
    snapshot(
        "quorums",
        all(&[
            model("model: Quorum"),
            model("model: Quorum(r: 1, w: 1)"),
            model("model: Quorum(r: 3, w: 0)"),
            model("model: Quorum(n: 1, w: 2)"),
            model("model: Quorum(n: 4)"),
            model("model: Quorum(sloppy: true)"),
            model("model: Quorum(n: 1, sloppy: true)"),
            model("model: Quorum(n: 1, sloppy: true, timeout: \"400ms\", hinted_handoff: ())"),
            model("model: Quorum(n: 1, sloppy: true, hinted_handoff: ())"),
            model("model: Quorum(resolve: Quorum)"),
            model("model: Quorum(resolve: VersionVectors(register: Sum))"),
            model("model: Quorum(legs: (write: Exponential(mean: \"-1ms\")))"),
            model("model: Quorum, replication: (delay: \"1ms\")"),
            (
                "Update(key: \"notes\", policy: \"polite\")",
                "CompareAndSwap(key: \"notes\", policy: \"polite\")",
            ),
        ]),
    );
    let swap = with("model: LastWriteWins", "model: Quorum").replace("Update(key", "CompareAndSwap(key");
    snapshot("quorums_do_not_swap", said(&outcome(&swap)));
}

#[test]
fn primaries() {
    let model = |model: &'static str| ("model: LastWriteWins", model);
    snapshot(
        "primaries",
        all(&[
            model("model: Primary"),
            model("model: Primary()"),
            model("model: Primary(copies: None, reads: Nearest)"),
            model("model: Primary(copies: Count(7))"),
            model("model: Primary(primary: \"z\")"),
            model("model: Primary(copies: Count(1), in_sync: \"5s\")"),
            model("model: Primary(in_sync: \"5s\", failover: After(\"10s\"))"),
            model("model: Primary(failover: After(\"1s\"))"),
            model("model: Primary(failover: After(\"1s\"), heartbeat: \"700ms\")"),
            model("model: Primary(lease: \"1s\")"),
            model("model: Primary(failover: After(\"10s\"), lease: \"10s\")"),
            model("model: Primary(copies: None, failover: After(\"10s\"), lease: \"5s\")"),
            model("model: Primary, replication: (delay: \"1ms\")"),
            model("model: Primary, anti_entropy: (every: \"1s\")"),
            model("model: Quorum(resolve: Primary)"),
        ]),
    );
}

#[test]
fn presets_and_shards() {
    let model = |model: &'static str| ("model: LastWriteWins", model);
    snapshot(
        "presets_and_shards",
        all(&[
            model("model: DocumentStore"),
            model("model: DocumentStore(copies: Majority, write_concern: One)"),
            model("model: DocumentStore(primary: \"nowhere\")"),
            model("model: DocumentStore(heartbeat: \"8s\")"),
            model("model: DocumentStore, sessions: ()"),
            model("model: WideColumn(r: 9)"),
            model("model: WideColumn(n: 5)"),
            model("model: WideColumn(resolve: NewSql)"),
            model("model: WideColumn(resolve: Raft)"),
            model("model: NewSql(shards: 5000)"),
            model("model: NewSql(leaders: At(\"nowhere\"))"),
            model("model: NewSql(election_min: \"9s\")"),
            model("model: NewSql, sessions: ()"),
            model("model: TimeSeries"),
            model("model: GraphStore(writer: \"nowhere\")"),
            model("model: GraphStore(reads: Leader(RoundTrip))"),
            model("model: Raft(shards: 0)"),
            model("model: Raft(reads: Local), sessions: (by: Sticky)"),
            model("model: Primary(failover: Majority(\"1s\"), heartbeat: \"800ms\")"),
        ]),
    );
}

#[test]
fn orders_and_caches() {
    let model = |model: &'static str| ("model: LastWriteWins", model);
    snapshot(
        "orders_and_caches",
        all(&[
            model("model: Causal"),
            model("model: Causal(wait: \"0s\", resolve: Crdt(register: LastWriter))"),
            model("model: Causal(resolve: Causal)"),
            model("model: Causal(resolve: Quorum)"),
            model("model: Quorum(resolve: Causal)"),
            model("model: Causal(resolve: LastWriteWins()), clocks: {\"b\": (skew: \"1s\")}"),
            model("model: Causal, sessions: ()"),
            model("model: Quorum, sessions: ()"),
            model("model: LastWriteWins, sessions: (by: Sticky)"),
            model(
                "model: LastWriteWins, sessions: (read_your_writes: false, monotonic_reads: false, monotonic_writes: false, writes_follow_reads: false)",
            ),
            ("count: 5", "count: 5, caches: {\"memroy\": (ttl: \"1s\")}"),
            ("count: 5", "count: 5, caches: {\"memory\": (ttl: \"0s\")}"),
            ("count: 5", "count: 5, caches: {\"memory\": (size: 3)}"),
        ]),
    );
}

#[test]
fn groups() {
    let model = |model: &'static str| ("model: LastWriteWins", model);
    snapshot(
        "groups",
        all(&[
            model("model: Raft"),
            model("model: Raft(reads: Local)"),
            model("model: Raft(reads: Leader(Lease(drift: \"-1ppm\")))"),
            model("model: Raft(reads: Leader(Lease(drift: \"100ppm\"))), clocks: {\"b\": (drift: \"200ppm\")}"),
            model("model: Raft(reads: Anybody)"),
            model("model: Raft(heartbeat: \"1s\")"),
            model("model: Raft(election_min: \"3s\")"),
            model("model: Raft(election_max: \"500ms\")"),
            model("model: Raft(batch: 0)"),
            model("model: Raft(resolve: LastWriteWins)"),
            model("model: Raft, replication: (delay: \"1ms\")"),
            model("model: Raft, replication: (batch: \"1ms\")"),
            model("model: Raft, anti_entropy: (every: \"1s\")"),
            model("model: Quorum(resolve: Raft)"),
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
fn doubts() {
    let program = "Send(to: Any(\"worker\"), topic: \"hello\"),\n                Update(key: \"notes\", policy: \"polite\"),\n            ]),\n        ], on: {\"hello\": [Think(\"1ms\")]}),";
    let steps = |steps: &str| format!("{steps}]), ]),");
    let silent = [
        // After a wait, an ask or in a handler there is somebody, and what is sent is waited for.
        "Wait(topic: \"hello\", timeout: \"1s\"), Reply(), Send(to: Sender, topic: \"hello\"), Send(to: Any(\"worker\"), topic: \"hello\")",
        "Parallel([[Wait()], [Think(\"1ms\")]]), Reply()",
        "Add(key: \"done\", by: -2, policy: \"polite\"), Add(key: \"done\", by: Uniform(low: -5, high: 5), policy: \"polite\"), Write(key: \"notes\", which: 2, policy: \"polite\")",
    ];
    for text in silent {
        let outcome = outcome(&with(program, &steps(text)));
        assert!(
            outcome.scenario.is_some() && outcome.diagnostics.is_empty(),
            "{}",
            said(&outcome)
        );
    }
    let loud = [
        "Reply()",
        "Choose([(1, [Send(to: Sender, topic: \"hello\")]), (1, [Wait()])])",
        "Wait(topic: \"helo\"), Send(to: Any(\"worker\"), topic: \"hello\")",
        "Add(key: \"done\", by: 0.5), Add(key: \"done\", by: Uniform(low: 0, high: 0.9)), Update(key: \"done\", op: Add(-1.5))",
        "Write(key: \"notes\", which: 7), Add(key: \"done\", which: Uniform(low: 1, high: 2))",
    ];
    let loud = loud.map(steps);
    let changes: Vec<(&str, &str)> = loud.iter().map(|text| (program, text.as_str())).collect();
    snapshot("doubts", all(&changes));
}

/// What is said about one of these in place of the sample's expectation.
fn expecting(expectations: &[&str]) -> String {
    let whole = "Measure(name: \"task.time.mean\", is: AtMost(\"10s\"))";
    all(&expectations.iter().map(|other| (whole, *other)).collect::<Vec<_>>())
}

#[test]
fn expectations() {
    snapshot(
        "expectations",
        expecting(&[
            "Measure(name: \"task.time.mean\", is: AtMost(\"3 USD\"))",
            "Measure(name: \"task.time.mean\", is: AtMost(3))",
            "Measure(name: \"task.rate\", is: Between(3, \"40/s\"))",
            "Measure(name: \"calls.money\", is: Near(value: 3, within: \"1s\"))",
            "Measure(name: \"calls.money\", variant: \"near\", over: \"base\", is: AtMost(\"-3 USD\"))",
            "Measure(name: \"messages.bytes_sent\", is: AtMost(\"3s\"))",
            "Measure(name: \"calls.failed\", is: AtMost(\"5%\"))",
            "Measure(name: \"task.done_share\", is: Between(0.5, \"90%\"))",
            "Measure(name: \"calls.amplification\", is: AtMost(\"1s\"))",
            "Always(\"no_lost_update\")",
            "Always(\"state.conflicts\")",
            "Sometimes(event: \"state.conflict\")",
            "Sometimes(event: \"task.time.mean\")",
            "Sometimes(event: \"calls.refused\")",
        ]),
    );
}

#[test]
fn a_bound_has_the_dimension_of_its_measure() {
    use quorate::measures::{Unit, infos};
    let bounds = [
        (
            "3",
            &[Unit::Count, Unit::Tokens, Unit::Verdict, Unit::Share, Unit::Ratio][..],
        ),
        ("\"2%\"", &[Unit::Share, Unit::Ratio]),
        ("\"3s\"", &[Unit::Seconds]),
        ("\"-3s\"", &[Unit::Seconds]),
        ("\"40/s\"", &[Unit::PerSecond]),
        ("\"64KiB\"", &[Unit::Bytes]),
        ("\"3 USD\"", &[Unit::Dollars]),
    ];
    for unit in Unit::ALL {
        let info = infos().into_iter().find(|info| info.unit == unit);
        let name = info.expect("every unit has a measure").name.replace('*', "x");
        for (bound, units) in bounds {
            let expectation = format!("Measure(name: \"{name}\", is: AtMost({bound}))");
            let outcome = outcome(&with(
                "Measure(name: \"task.time.mean\", is: AtMost(\"10s\"))",
                &expectation,
            ));
            assert_eq!(
                outcome.scenario.is_some(),
                units.contains(&unit),
                "{expectation}: {}",
                said(&outcome)
            );
        }
    }
}

#[test]
fn laws_speak_in_the_units_of_a_scenario() {
    snapshot(
        "laws",
        all(&[
            ("Think(\"10ms\"),", "Think(Uniform(low: \"2s\", high: \"1s\")),"),
            (
                "Think(\"10ms\"),",
                "Think(Truncated(low: \"2min\", high: \"3ns\", law: \"1s\")),",
            ),
            (
                "Think(\"10ms\"),",
                "Think(Truncated(low: \"2d\", law: Exponential(mean: \"10ms\"))),",
            ),
            ("Think(\"10ms\"),", "Think(LogNormal(p50: \"2s\", p90: \"1500ms\")),"),
            ("Think(\"10ms\"),", "Think(Scaled(by: -2e300, law: \"1s\")),"),
            (
                "Update(key: \"notes\", policy: \"polite\")",
                "Update(key: \"notes\", which: Uniform(low: 3e300, high: 2))",
            ),
            (
                "Update(key: \"notes\", policy: \"polite\")",
                "Update(key: \"notes\", which: Poisson(mean: 1e300))",
            ),
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
fn what_cannot_be_read_hides_nothing_else_and_counts_as_declared() {
    let text = SAMPLE
        // A unit without quotes, a forgotten comma, a misspelt field, one of nobody knows what, a wrong unit, a number out of range.
        .replace("timeout: \"2s\"", "timeout: 2s")
        .replace("at: \"a\", servers", "at: \"a\" servers")
        .replace("servers: 4", "servrs: 4, colour: 3")
        .replace("mean: \"80ms\"", "mean: \"80 parsecs\"")
        .replace("count: 3", "count: -3")
        // A misspelt step around an unknown service, and one that nobody knows.
        .replace("Repeat(times: 3", "Repat(times: 3")
        .replace("service: \"model\"", "service: \"modle\"")
        .replace("Think(\"10ms\"),", "Wobble(3), Send(to: Any(\"shy\"), topic: \"hello\"),")
        // An entry of which nothing is known but its name, one that stands twice, a site that doesn't exist.
        .replace("\"worker\": (", "\"shy\": 7, \"worker\": (")
        .replace("policies: {", "policies: {\"polite\": (timeout: \"9s\"), ")
        .replace("at: [\"b\", \"c\"], program", "at: [\"b\", \"d\", 3], program")
        // A partition that ends before it starts, one side of which can't be read.
        .replace("groups: [[\"a\"], [\"b\", \"c\"]]", "groups: [[\"aa\"], 'b']")
        .replace("at: \"30s\", for: \"10s\"", "at: \"30s\", until: \"10s\"")
        // Changes: a wrong value, a path that leads nowhere, one into what can't be read, one through a misspelt name.
        .replace(
            "[Set(path: \"agents.worker.at\", to: \"a\")]",
            "[Set(path: \"services.model.queue\", to: -1), Set(path: \"agents.wroker.at\", to: \"a\"), \
             Set(path: \"agents.shy.count\", to: 3), Set(path: \"services.model.servers\", to: 3), Sett(path: \"sites\", to: [])]",
        )
        .replace("name: \"task.time.mean\"", "name: \"task.time.maen\"");
    snapshot(
        "what_cannot_be_read_hides_nothing_else_and_counts_as_declared",
        said(&outcome(&text)),
    );
}

#[test]
fn a_file_that_cannot_be_included_hides_nothing_else() {
    let files = |include: &str, text: &str| {
        files(&text.replace("quorate: 1,", &format!("quorate: 1, {include},")))
            .with("broken.ron", "(services: {\"other\": (at: \"a\"}, policies: {})")
            .with("twice.ron", "(include: \"broken.ron\")")
            .with(
                "base.ron",
                "(services: {\"other\": (at: \"nowhere\", tiem: 3)}, state: {\"memory\": (value: 3kB)})",
            )
    };
    let wrong = SAMPLE
        .replace("service: \"model\"", "service: \"modle\"")
        .replace("servers: 4", "servers: \"4\"")
        .replace("at: \"30s\", for: \"10s\"", "at: \"30s\", until: \"10s\"")
        .replace("    until: At(\"2min\"),\n", "");
    let mut page = String::new();
    for include in [
        // What is in it is checked as if it stood in the scenario.
        "include: [\"base.ron\"]",
        "inlcude: [\"base.ron\"]",
        // It may hold the service that is called, and when the run ends. Its own mistake is said once.
        "include: [\"broken.ron\", \"twice.ron\"]",
        "include: [\"nowhere.ron\"]",
        "include: [\"./x/../s.ron\"]",
        "include: [nowhere]",
        "include: 2s",
        "include: \"base.ron\", include: \"nowhere.ron\"",
    ] {
        let outcome = load("s.ron".as_ref(), &[], &files(include, &wrong), &Registry);
        let _ = writeln!(page, "=== {include}\n\n{}\n", said(&outcome));
    }
    snapshot("a_file_that_cannot_be_included_hides_nothing_else", page);
}

#[test]
fn an_override_that_cannot_be_read_hides_nothing_else() {
    let text = SAMPLE
        .replace("service: \"model\"", "service: \"modle\"")
        .replace("services: {", "serivces: {")
        .replace("    until: At(\"2min\"),\n", "");
    let set = [
        "until=At(2m",
        "services.model.queue=9",
        "services.model.servers=0",
        "sites[7]=x",
        "=3",
    ];
    let outcome = load("s.ron".as_ref(), &set.map(str::to_string), &files(&text), &Registry);
    snapshot("an_override_that_cannot_be_read_hides_nothing_else", said(&outcome));
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
    refused(until, &window("119us"), &["s.ron:4:32"]);
    accepted(until, &window("120us"));
    // Where it isn't written down it grows with the run.
    let fifty_days = outcome(&with(until, "until: AllDone(within: \"50d\"),"));
    let scenario = fifty_days.scenario.expect("no bound was written");
    assert_eq!(scenario.variants[0].window.as_nanos(), 5_000_000_000);
    refused(
        "count: 5",
        "count: 4000001",
        &["there are 4000001 agents in all; at most 4000000 fit"],
    );
    let says = "with 4000001 keys in 2 replicas there are 8000002 copies of keys in all; at most 8000000 fit";
    refused("Register(count: 3)", "Register(count: 4000000)", &[says]);
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
