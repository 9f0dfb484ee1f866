//! Presets of stores: each is its written-out configuration, event for event, and keeps what its page says.

mod common;

use common::{Place, json, measured, out, read};
use quorate::reference;
use quorate::scenario::language::presets::PRESETS;
use quorate::scenario::syntax::{Memory, Show, render};
use quorate::scenario::{Registry, load};
use std::collections::BTreeMap;

/// Agents at five sites share sets and, if there are some, registers, through a cut and a crash.
const SHARED: &str = r#"(
    quorate: 1, name: "shared", seed: 4, until: AllDone(within: "10min"),
    sites: ["a", "b", "c", "d", "e"], network: (default: (one_way: LogNormal(median: "30ms", sigma: 0.4), loss: 0.01)),
    state: {"m": (at: ["a", "b", "c", "d", "e"], keys: {{keys}}, {store})},
    policies: {"patient": (timeout: "40s", attempts: 3, idempotency_key: true)},
    agents: {"x": (count: 10, at: ["a", "b", "c", "d", "e"], start: Spread(over: "3s"), program: [Repeat(times: 25, steps: [
        Think(Exponential(mean: "1s")),
        Choose([{steps}]),
    ])])},
    faults: {
        "cut": Partition(groups: [["a", "b"], ["c", "d", "e"]], at: "8s", for: "25s"),
        "down": Crash(who: "d", keep: State, at: "36s", for: "4s"),
    },
)"#;

const POINTS: &str = r#"
    (3, [Read(key: "tags", which: Uniform(low: 0, high: 5), policy: "patient")]),
    (3, [Insert(key: "tags", which: Uniform(low: 0, high: 5), element: Uniform(low: 0, high: 99), policy: "patient")]),
"#;
const NOTES: &str = r#"
    (3, [Read(key: "note", which: Uniform(low: 0, high: 3), policy: "patient")]),
    (2, [Write(key: "note", which: Uniform(low: 0, high: 3), policy: "patient")]),
"#;

/// Sets alone, which all presets have.
fn points(store: &str) -> String {
    filled(r#""tags": Set(count: 6)"#, store, POINTS)
}

fn notes(store: &str) -> String {
    filled(r#""note": Register(count: 3)"#, store, NOTES)
}

fn filled(keys: &str, store: &str, steps: &str) -> String {
    SHARED
        .replace("{keys}", keys)
        .replace("{store}", store)
        .replace("{steps}", steps)
}

fn print(text: &str) -> String {
    measured(&read(text), 0, 0).print.to_string()
}

fn numbers(text: &str) -> BTreeMap<String, f64> {
    measured(&read(text), 0, 0).sheet.numbers
}

#[test]
fn each_preset_is_its_written_out_configuration() {
    let quorum =
        "resolve: LastWriteWins, hinted_handoff: (after: \"2s\", retry: \"10s\", keep: \"3h\"), timeout: \"5s\"";
    let raft = "reads: Leader(Lease()), election_min: \"3s\", election_max: \"6s\", heartbeat: \"1s\"";
    let graph = "reads: Local, election_min: \"20s\", election_max: \"23s\", heartbeat: \"1s\", timeout: \"30s\"";
    let series = "resolve: Crdt(set: GrowOnly), hinted_handoff: (after: \"1s\", retry: \"1s\", keep: \"168h\"), timeout: \"10s\"";
    let document = "heartbeat: \"2s\", timeout: \"30s\"";
    let cases = [
        (
            "DocumentStore",
            format!("model: Primary(copies: None, failover: Majority(\"10s\"), {document})"),
        ),
        (
            "DocumentStore(primary: \"c\", copies: Majority, reads: Nearest)",
            format!(
                "model: Primary(primary: \"c\", copies: Count(2), reads: Nearest, failover: Majority(\"10s\"), {document})"
            ),
        ),
        ("WideColumn", format!("model: Quorum(n: 3, r: 1, w: 1, {quorum})")),
        (
            "WideColumn(r: 2, w: 2)",
            format!("model: Quorum(n: 3, r: 2, w: 2, read_repair: true, {quorum})"),
        ),
        (
            "NewSql",
            format!("model: Raft(shards: 5, split: Range, leaders: Spread, {raft})"),
        ),
        (
            "NewSql(shards: 2, split: Hash, leaders: At(\"b\"))",
            format!("model: Raft(shards: 2, split: Hash, leaders: At(\"b\"), {raft})"),
        ),
        ("TimeSeries", format!("model: Quorum(n: 3, r: 1, w: 1, {series})")),
        (
            "TimeSeries(n: 5, w: 3)",
            format!("model: Quorum(n: 5, r: 1, w: 3, {series})"),
        ),
        (
            "GraphStore",
            format!("model: Raft(leaders: At(\"a\"), {graph}), sessions: (wait: \"30s\")"),
        ),
        (
            "GraphStore(writer: \"c\"), sessions: (wait: \"1s\")",
            format!("model: Raft(leaders: At(\"c\"), {graph}), sessions: (wait: \"1s\")"),
        ),
    ];
    let mut seen = Vec::new();
    for (preset, written) in cases {
        let short = points(&format!("model: {preset}"));
        let print_of_preset = print(&short);
        assert_eq!(print_of_preset, print(&points(&written)), "{preset} is {written}");
        // What is said of it, as it is said.
        let said = &read(&short).variants[0].presets[0];
        let sessions = said.sessions.as_ref().map(|sessions| format!(", sessions: {sessions}"));
        let sessions = sessions.unwrap_or_else(|| {
            preset
                .split_once("), ")
                .map_or(String::new(), |(_, rest)| format!(", {rest}"))
        });
        let said = points(&format!("model: {}{sessions}", said.model));
        assert_eq!(print_of_preset, print(&said), "{preset}");
        seen.push(print_of_preset);
    }
    seen.sort();
    let all = seen.len();
    seen.dedup();
    assert_eq!(seen.len(), all, "options change something");
}

#[test]
fn fewer_sites_and_keys_have_fewer_copies_and_groups() {
    let of = |at: &str, keys: &str, model: &str| {
        let text = points(&format!("model: {model}")).replacen("at: [\"a\", \"b\", \"c\", \"d\", \"e\"]", at, 1);
        let text = text
            .replace("\"tags\": Set(count: 6)", keys)
            .replace("which: Uniform(low: 0, high: 5), ", "");
        read(&text).variants[0].presets[0].model.clone()
    };
    let two = of("at: [\"a\", \"b\"]", "\"tags\": Set", "WideColumn");
    assert!(two.starts_with("Quorum(n: 2, r: 1, w: 1"), "{two}");
    let few = of("at: [\"a\", \"b\", \"c\"]", "\"tags\": Set", "NewSql");
    assert!(few.starts_with("Raft(shards: 1, split: Range"), "{few}");
    let more = of(
        "at: [\"a\", \"b\", \"c\"]",
        "\"tags\": Set, \"others\": Set(count: 9)",
        "NewSql",
    );
    assert!(more.starts_with("Raft(shards: 3, split: Range"), "{more}");
}

#[test]
fn every_option_of_a_preset_has_an_origin_on_its_page() {
    let page = reference::models();
    for preset in PRESETS {
        let described = quorate::reference::noun(preset.name).expect("it is a form of the model");
        let fields: Vec<&str> = described
            .lines()
            .filter_map(|line| line.strip_prefix("  ")?.split_once(": "))
            .filter(|(name, _)| !name.starts_with(' '))
            .map(|(name, _)| name)
            .collect();
        let origins: Vec<&str> = preset.origins.iter().map(|origin| origin.option).collect();
        assert_eq!(fields, origins, "{}", preset.name);
        assert!(page.contains(&format!("(`{}`)", preset.name)));
        for origin in preset.origins {
            assert!(
                origin
                    .sources
                    .iter()
                    .all(|(title, url)| !title.is_empty() && url.starts_with("https://"))
            );
        }
    }
}

#[test]
fn a_document_store_loses_what_only_the_old_leader_had_unless_a_majority_has_it() {
    // The first leader is on the smaller side of the cut.
    let of = numbers(&notes("model: DocumentStore"));
    assert!(of["state.lost_updates"] > 0.0, "{of:?}");
    let of = numbers(&notes("model: DocumentStore(copies: Majority)"));
    assert_eq!(of["state.lost_updates"], 0.0);
    assert_eq!(of["state.diverged_keys.left"], 0.0);
    assert!(of["state.unavailable"] > 0.0);
}

#[test]
fn a_wide_column_store_reads_stale_values_unless_quorums_meet() {
    let of = numbers(&notes("model: WideColumn"));
    assert!(of["state.stale_reads"] > 0.0);
    let of = numbers(&notes("model: WideColumn(r: 2, w: 2)"));
    assert_eq!(of["state.stale_reads"], 0.0);
}

#[test]
fn a_relational_store_keeps_everything_wherever_its_leaders_are() {
    for model in [
        "NewSql",
        "NewSql(shards: 2)",
        "NewSql(split: Hash)",
        "NewSql(leaders: At(\"e\"))",
    ] {
        let of = numbers(&notes(&format!("model: {model}")));
        for name in [
            "stale_reads",
            "lost_updates",
            "read_your_writes",
            "monotonic_reads",
            "diverged_keys.left",
            "unhealed",
        ] {
            assert_eq!(of[&format!("state.{name}")], 0.0, "{name} under {model}");
        }
        assert_eq!(of["state.drained"], 1.0, "{model}");
        assert!(of["state.acknowledged"] > 60.0, "{model}");
    }
}

#[test]
fn points_of_a_time_series_are_all_kept() {
    let of = numbers(&points("model: TimeSeries"));
    assert_eq!((of["state.lost_updates"], of["state.lost_effects"]), (0.0, 0.0));
    assert!(of["state.acknowledged"] > 60.0);
}

#[test]
fn bookmarks_show_what_the_session_has_seen() {
    let graph = numbers(&notes("model: GraphStore"));
    assert_eq!(
        (graph["state.read_your_writes"], graph["state.monotonic_reads"]),
        (0.0, 0.0)
    );
    assert_eq!(
        (graph["state.lost_updates"], graph["state.diverged_keys.left"]),
        (0.0, 0.0)
    );
    // Agents that write at one replica and read at another one at once see older states, unless they bring a bookmark.
    let anywhere = r#"
        (1, [
            Write(key: "note", which: Uniform(low: 0, high: 3), policy: "patient", replica: Random),
            Read(key: "note", which: Uniform(low: 0, high: 3), policy: "patient", replica: Random),
        ]),
    "#;
    let of = |store: &str| numbers(&filled(r#""note": Register(count: 3)"#, store, anywhere));
    let with = of("model: GraphStore");
    assert_eq!(
        (with["state.read_your_writes"], with["state.monotonic_reads"]),
        (0.0, 0.0)
    );
    let without = of("model: Raft(reads: Local, leaders: At(\"a\"))");
    assert!(without["state.read_your_writes"] > 0.0 && without["state.stale_reads"] > 0.0);
    // Who doesn't want to wait is refused.
    let at_once = of("model: GraphStore, sessions: (wait: \"0s\")");
    assert_eq!(
        (at_once["state.read_your_writes"], at_once["state.monotonic_reads"]),
        (0.0, 0.0)
    );
    assert!(at_once["state.unavailable"] > with["state.unavailable"]);
}

#[test]
fn nothing_is_removed_from_a_time_series_or_changed() {
    let said = |text: &str| {
        let outcome = load("s.ron".as_ref(), &[], &Memory::new().with("s.ron", text), &Registry);
        assert!(outcome.scenario.is_none());
        render(&outcome.diagnostics, &outcome.sources, Show::default())
    };
    let removal = said(&points("model: TimeSeries").replace("Insert(", "Remove("));
    assert!(removal.contains("a grow-only set has no removes"), "{removal}");
    let change = said(&notes("model: TimeSeries"));
    assert!(
        change.contains("a time series takes points in, and changes and removes none"),
        "{change}"
    );
    assert!(
        change.contains("declare a `Set`, and add each point with `Insert`"),
        "{change}"
    );
}

#[test]
fn check_and_a_dry_run_say_what_a_preset_stands_for() {
    let place = Place::with(&points("model: GraphStore(writer: \"c\")"));
    let checked = out(&place.run(&["check", "tiny.ron"]));
    let said = "state.m.model: GraphStore is Raft(shards: 1, split: Hash, leaders: At(\"c\"), reads: Local";
    assert!(checked.contains(said), "{checked}");
    assert!(checked.contains("sessions: (read_your_writes: true"), "{checked}");
    let dry = out(&place.run(&["run", "tiny.ron", "--dry-run"]));
    assert!(dry.contains(said), "{dry}");
    let checked = place.run(&["check", "tiny.ron", "--format", "json"]);
    let presets = &json(&checked.stdout)[0]["presets"];
    assert_eq!(presets[0]["preset"], "GraphStore");
    assert_eq!(presets[0]["store"], "m");
}
