//! The types of key in whole scenarios: what each of them costs and loses, and what is refused.

mod common;

#[path = "../examples/custom_merge.rs"]
#[allow(dead_code)]
mod custom_merge;

use common::{measured, read};
use quorate::scenario::syntax::{Memory, Show, render};
use quorate::scenario::{Registry, load};
use std::collections::BTreeMap;

type Numbers = BTreeMap<String, f64>;

fn numbers(text: &str) -> Numbers {
    measured(&read(text), 0, 0).sheet.numbers
}

/// Two agents at two sites, 100 ms apart.
fn pair(model: &str, keys: &str, left: &str, right: &str, more: &str) -> String {
    format!(
        r#"(
        quorate: 1, name: "pair", seed: 4, until: AllDone(within: "1h"), sites: ["x", "y"],
        network: (default: (one_way: "100ms")),
        state: {{"s": (at: ["x", "y"], keys: {{{keys}}}, model: {model}{more})}},
        agents: {{
            "left": (count: 1, at: "x", program: [{left}]),
            "right": (count: 1, at: "y", program: [{right}]),
        }},
    )"#
    )
}

fn of(all: &Numbers, names: [&str; 4]) -> [f64; 4] {
    names.map(|name| all.get(&format!("state.{name}")).copied().unwrap_or(0.0))
}

#[test]
fn whole_texts_lose_characters_where_a_sequence_keeps_them() {
    let left = r#"InsertText(key: "t", length: 5), Sleep("1s"), DeleteText(key: "t", at: 1, length: 2)"#;
    let right = r#"Sleep("1ms"), InsertText(key: "t", length: 7)"#;
    let names = ["conflicts", "lost_effects", "lost_characters", "diverged_keys.left"];
    // Both insert into an empty text: one place. The later stamp keeps the text, without the other's five characters.
    let lww = numbers(&pair("LastWriteWins", r#""t": Text"#, left, right, ""));
    assert_eq!(of(&lww, names), [2.0, 5.0, 5.0, 0.0]);
    let crdt = numbers(&pair("Crdt()", r#""t": Text"#, left, right, ""));
    assert_eq!(of(&crdt, names), [2.0, 0.0, 0.0, 0.0]);
    // Both replicas keep the two tombstones, without anti-entropy for ever.
    assert_eq!((lww["state.tombstones"], crdt["state.tombstones"]), (0.0, 4.0));
}

#[test]
fn tombstones_go_once_all_have_heard() {
    let edit = r#"Repeat(times: 50, steps: [
        InsertText(key: "t", at: Uniform(low: 0, high: 200), length: Uniform(low: 1, high: 9)), Think("50ms"),
        Update(key: "t", think: "200ms", op: DeleteText(at: Uniform(low: 0, high: 100), length: Uniform(low: 0, high: 6))),
    ])"#;
    for ship in ["Delta", "State", "Operation"] {
        let model = format!("Crdt(ship: {ship})");
        let with = |more: &str| numbers(&pair(&model, r#""t": Text"#, edit, edit, more));
        let (kept, gone) = (with(""), with(r#", anti_entropy: (every: "500ms")"#));
        let names = [
            "lost_effects",
            "lost_characters",
            "diverged_keys.left",
            "stale_reads.share",
        ];
        assert_eq!(of(&kept, names)[..3], [0.0; 3]);
        assert_eq!(of(&gone, names)[..3], [0.0; 3]);
        assert!(kept["state.tombstones"] > 100.0, "{ship}: {}", kept["state.tombstones"]);
        assert!(gone["state.tombstones"] < kept["state.tombstones"] / 4.0, "{ship}");
        assert!(gone["state.metadata"] < kept["state.metadata"], "{ship}");
    }
}

#[test]
fn a_replica_that_loses_its_state_keeps_the_others_from_collecting() {
    let edit = r#"Repeat(times: 20, steps: [
        InsertText(key: "t", length: 4), DeleteText(key: "t", at: 0, length: 2), Sleep("200ms"),
    ])"#;
    let text = pair(
        "Crdt()",
        r#""t": Text"#,
        edit,
        edit,
        r#", anti_entropy: (every: "300ms")"#,
    );
    let crash = r#"faults: {"f": Crash(who: "y", at: "2s", for: "1s", keep: Nothing)}, agents:"#;
    let with = read(&text);
    assert!(measured(&with, 0, 0).sheet.numbers["state.tombstones"] < 40.0);
    let faulty = text.replace("agents:", crash);
    let files = Memory::new().with("s.ron", faulty.as_str());
    let outcome = load("s.ron".as_ref(), &[], &files, &Registry);
    let Some(scenario) = outcome.scenario else {
        panic!("{}", render(&outcome.diagnostics, &outcome.sources, Show::default()));
    };
    let numbers = measured(&scenario, 0, 0).sheet.numbers;
    assert!(numbers["state.tombstones"] >= 40.0, "{}", numbers["state.tombstones"]);
    assert_eq!(numbers["state.diverged_keys.left"], 0.0);
}

#[test]
fn what_is_shipped_says_what_it_costs() {
    let work = r#"Repeat(times: 30, steps: [Insert(key: "k", element: Uniform(low: 0, high: 500)), Sleep("200ms")])"#;
    let bytes = |ship: &str| {
        let model = format!("Crdt(ship: {ship})");
        let all = numbers(&pair(&model, r#""k": Set"#, work, work, r#", value: "100B""#));
        assert_eq!(
            of(&all, ["lost_effects", "conflicts", "diverged_keys.left", "unhealed"]),
            [0.0; 4]
        );
        all["messages.peer.bytes_sent"]
    };
    let (delta, state, operation) = (bytes("Delta"), bytes("State"), bytes("Operation"));
    // An element and a tag, against all elements so far, and against an element with a vector of two.
    assert!(state > 8.0 * delta, "{state} and {delta}");
    // The key, the operation with its dot, and a vector that has no component before the first update, then one, then two.
    let exact = 60.0 * (4.0 + 100.0 + 8.0 + 4.0 + 16.0);
    assert!(
        operation < exact && operation > exact - 60.0 * 16.0,
        "{operation} of {exact}"
    );
}

#[test]
fn the_sets_differ_in_what_becomes_of_a_concurrent_insert() {
    // Both know the element; then one removes it while the other inserts it again.
    let left = r#"Insert(key: "k", element: 1), Sleep("1s"), Remove(key: "k", element: 1)"#;
    let right = r#"Sleep("1s"), Insert(key: "k", element: 1)"#;
    let names = ["conflicts", "overwritten_unseen", "lost_effects", "diverged_keys.left"];
    let run = |set: &str| {
        of(
            &numbers(&pair(&format!("Crdt(set: {set})"), r#""k": Set"#, left, right, "")),
            names,
        )
    };
    assert_eq!(run("AddWins"), [2.0, 0.0, 0.0, 0.0]);
    for set in ["RemoveWins", "TwoPhase"] {
        assert_eq!(run(set), [2.0, 1.0, 1.0, 0.0], "{set}");
    }
}

#[test]
fn fields_of_a_map_conflict_as_what_they_hold() {
    let names = ["conflicts", "concurrent", "lost_effects", "diverged_keys.left"];
    let run = |model: &str, left: &str, right: &str| of(&numbers(&pair(model, r#""k": Map"#, left, right, "")), names);
    let put = |field: u32| format!(r#"Put(key: "k", field: {field})"#);
    let add = r#"Increase(key: "k", field: 1)"#;
    assert_eq!(run("Crdt()", &put(1), &put(2)), [0.0, 2.0, 0.0, 0.0]);
    assert_eq!(run("Crdt()", &put(1), &put(1)), [2.0, 2.0, 0.0, 0.0]);
    assert_eq!(run("Crdt()", add, &put(1)), [0.0, 2.0, 0.0, 0.0]);
    assert_eq!(run("Crdt()", add, r#"Drop(key: "k", field: 1)"#), [2.0, 2.0, 0.0, 0.0]);
    // Under last-write-wins the fields of one map overwrite each other.
    assert_eq!(run("LastWriteWins", &put(1), &put(2)), [0.0, 2.0, 1.0, 0.0]);
}

#[test]
fn what_a_type_refuses_is_said_at_once() {
    let add = r#"Add(key: "n", by: Uniform(low: -3, high: 9))"#;
    let remove = r#"Remove(key: "k", element: 1)"#;
    let model = "Crdt(counter: GrowOnly, set: GrowOnly)";
    let text = pair(model, r#""n": Counter, "k": Set"#, add, remove, "");
    let siblings = pair(
        "VersionVectors()",
        r#""t": Text, "m": Map"#,
        r#"Read(key: "t")"#,
        r#"Read(key: "m")"#,
        "",
    );
    let said: Vec<String> = [text, siblings]
        .iter()
        .map(|text| {
            let files = Memory::new().with("s.ron", text.as_str());
            let outcome = load("s.ron".as_ref(), &[], &files, &Registry);
            assert!(outcome.scenario.is_none());
            render(&outcome.diagnostics, &outcome.sources, Show::default())
        })
        .collect();
    insta::assert_snapshot!(said.join("\n"));
}

#[test]
fn a_merge_rule_in_rust_is_used_as_any_other() {
    let all = custom_merge::measured(None, 1).numbers;
    let severe = custom_merge::measured(Some(custom_merge::MOST_SEVERE), 1).numbers;
    // The rule hides siblings from readers, whose writes then take away what they never saw.
    assert_eq!(all["state.lost_effects"], 0.0);
    assert!(severe["state.lost_effects"] > 0.0);
    assert_eq!(all["state.writes"], severe["state.writes"]);
    assert_eq!(severe["state.diverged_keys.left"], 0.0);
}
