//! Recorded editing sessions, replayed by agents over a network: where texts end, whatever happens on the way.

mod common;

use common::{measured, read};
use quorate::scenario::syntax::{Memory, Show, render};
use quorate::scenario::{Registry, load};
use std::collections::BTreeMap;

type Numbers = BTreeMap<String, f64>;

fn numbers(text: &str) -> Numbers {
    measured(&read(text), 0, 0).sheet.numbers
}

/// Two authors at two sites.
fn friends(model: &str, network: &str, more: &str, edit: &str) -> String {
    format!(
        r#"(
        quorate: 1, name: "friends", seed: 4, until: AllDone(within: "1000h"), sites: ["x", "y"],
        network: (default: ({network})),
        state: {{"s": (at: ["x", "y"], keys: {{"document": Text}}, model: {model}{more})}},
        agents: {{"authors": (count: 2, at: ["x", "y"], program: [
            Edit(key: "document", trace: "friendsforever"{edit}),
        ])}},
    )"#
    )
}

/// Three authors at three sites.
fn clowns(model: &str, network: &str, more: &str, edit: &str) -> String {
    let text = friends(model, network, more, edit).replace(r#"["x", "y"]"#, r#"["x", "y", "z"]"#);
    text.replace("count: 2", "count: 3")
        .replace("friendsforever", "clownschool")
}

const LOSSY: &str = r#"one_way: LogNormal(median: "80ms", sigma: 0.5), loss: "5%", duplication: "5%", order: Any"#;

fn assert_recorded(all: &Numbers, replicas: f64) {
    assert_eq!(all["text.replicas"], replicas);
    assert_eq!(all["text.edits"], all["text.edits.recorded"]);
    let wrong = [
        "text.astray",
        "text.missing_characters",
        "text.excess_characters",
        "task.failed",
        "task.unfinished",
    ];
    for name in wrong {
        assert_eq!(all.get(name).copied().unwrap_or(0.0), 0.0, "{name}");
    }
    assert_eq!(
        (all["state.lost_characters"], all["state.diverged_keys.left"]),
        (0.0, 0.0)
    );
}

#[test]
fn a_sequence_ends_in_the_recorded_text_over_a_calm_network() {
    let all = numbers(&friends("Crdt()", r#"one_way: "100ms""#, "", ""));
    assert_recorded(&all, 2.0);
}

#[test]
fn a_sequence_ends_in_the_recorded_text_over_a_bad_network() {
    let more = r#", anti_entropy: (every: "400ms")"#;
    let edit = r#", think: Exponential(mean: "20ms"), policy: "again""#;
    let text = clowns("Crdt()", LOSSY, more, edit);
    let all = numbers(&text.replace(
        "agents:",
        r#"policies: {"again": (timeout: "2s", attempts: Unlimited)},
        faults: {
            "cut": Partition(groups: [["x"], ["y", "z"]], at: "20s", for: "30s"),
            "crash": Crash(who: "y", at: "90s", for: "10s", keep: State),
        }, agents:"#,
    ));
    assert_recorded(&all, 3.0);
    assert!(all["messages.lost_by.random"] > 100.0);
}

#[test]
fn a_sequence_ends_in_the_recorded_text_whatever_comes_first() {
    // People type at one place at the same time while an ocean is cut: the order is that of what they knew, not of when news came.
    for (seed, think) in [(1, "50ms"), (2, "200ms"), (3, "400ms")] {
        let edit = format!(r#", think: Exponential(mean: "{think}"), policy: "again""#);
        let text = friends("Crdt()", LOSSY, r#", anti_entropy: (every: "2s")"#, &edit);
        let all = numbers(&text.replace("seed: 4", &format!("seed: {seed}")).replace(
            "agents:",
            r#"policies: {"again": (timeout: "10s", attempts: Unlimited)},
            faults: {"cut": Partition(groups: ["x", "y"], at: "3min", for: "5min")}, agents:"#,
        ));
        assert_recorded(&all, 2.0);
    }
}

#[test]
fn transformed_edits_end_in_the_recorded_text_over_a_calm_network() {
    let all = numbers(&friends("OperationalTransformation()", r#"one_way: "100ms""#, "", ""));
    assert_recorded(&all, 2.0);
    assert!(all["state.transforms"] > 10_000.0);
}

#[test]
fn transformed_edits_end_in_the_recorded_text_over_a_bad_network() {
    let edit = r#", think: Exponential(mean: "20ms"), policy: "again""#;
    let text = clowns("OperationalTransformation(server: \"y\")", LOSSY, "", edit);
    let all = numbers(&text.replace(
        "agents:",
        r#"policies: {"again": (timeout: "2s", attempts: Unlimited)},
        faults: {
            "cut": Partition(groups: [["x"], ["y", "z"]], at: "20s", for: "30s"),
            "crash": Crash(who: "y", at: "90s", for: "10s", keep: State),
        }, agents:"#,
    ));
    assert_recorded(&all, 3.0);
    assert!(all["messages.lost_by.random"] > 100.0);
}

#[test]
fn a_text_that_is_replaced_as_a_whole_loses_what_others_wrote() {
    let edit = r#", patience: "2s""#;
    let all = numbers(&friends("LastWriteWins()", r#"one_way: "100ms""#, "", edit));
    assert_eq!(all["text.edits"], all["text.edits.recorded"]);
    assert_eq!((all["text.astray"], all["state.diverged_keys.left"]), (2.0, 0.0));
    // What the judge finds lost by identities is what the recorded text lacks by content, but for characters that the session
    // itself would have deleted.
    let (lost, missing) = (all["state.lost_characters"], all["text.missing_characters"]);
    assert!(
        missing > 1_000.0 && lost >= missing && lost < missing + 2_358.0,
        "{lost} and {missing}"
    );
}

/// The diagnostics of a scenario that is refused.
fn refused(text: &str) -> String {
    let outcome = load("s.ron".as_ref(), &[], &Memory::new().with("s.ron", text), &Registry);
    assert!(outcome.scenario.is_none(), "{text}");
    render(&outcome.diagnostics, &outcome.sources, Show::default())
}

#[test]
fn what_these_agents_cannot_replay_is_refused() {
    let good = friends("Crdt()", r#"one_way: "100ms""#, "", "");
    for (part, wrong, said) in [
        (
            "count: 2",
            "count: 3",
            "the session has 2 authors, and the group 3 members",
        ),
        (
            r#"count: 2, at: ["x", "y"]"#,
            r#"count: 2, at: "x""#,
            "the 2 authors edit through 1 replicas",
        ),
        (
            "count: 2",
            "count: Stream(arrivals: 2)",
            "agents of a stream come and go",
        ),
        ("friendsforever", "friendsforewer", "did you mean \"friendsforever\"?"),
        (
            "friendsforever",
            "swe-tool-times",
            "it is no editing session of several authors",
        ),
        ("Text", "Text(count: 4)", "are 4 keys, and a session edits one text"),
        ("Text", "Counter", "`Edit` is for a text, and this key is a counter"),
        ("Crdt()", "Quorum(resolve: Crdt())", "takes its edits by itself"),
        (
            "program: [",
            r#"program: [InsertText(key: "document"),"#,
            "changed by nobody else",
        ),
        (
            "program: [",
            r#"program: [Edit(key: "document", trace: "friendsforever"),"#,
            "changed by nobody else",
        ),
    ] {
        assert!(good.contains(part));
        let said_really = refused(&good.replace(part, wrong));
        assert!(said_really.contains(said), "{wrong}: {said_really}");
    }
}
