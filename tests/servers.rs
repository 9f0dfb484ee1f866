//! Planned changes of a Raft group in a world: servers that join and leave, a leader that hands over, and what is said of plans that can't be.

mod common;

use common::{measured, read};
use quorate::scenario::syntax::{Memory, Show, render};
use quorate::scenario::{Registry, load};
use std::collections::BTreeMap;

/// Five sites, 10 ms from each other, with a server at each of those in `at`, and an agent at the first that submits something every 100 ms.
fn scenario(changes: &str, at: &str, rest: &str) -> String {
    format!(
        r#"(
            quorate: 1, name: "servers", question: "?", until: At("120s"), sites: ["a", "b", "c", "d", "e"],
            network: (local: (one_way: "0s"), default: (one_way: "10ms")),
            coordination: {{"log": (pattern: Raft(first: "a", changes: {changes}), at: {at})}},
            policies: {{"patient": (timeout: "5s", attempts: 9, backoff: Fixed("100ms"), idempotency_key: true)}},
            agents: {{"asker": (count: 1, at: "b", program: [Repeat(times: 300, steps: [
                Think("100ms"), Submit(to: "log", bytes: "1KiB", policy: "patient"),
            ])])}},
            {rest}
        )"#
    )
}

const ALL: &str = r#"["a", "b", "c", "d", "e"]"#;

fn numbers(text: &str) -> BTreeMap<String, f64> {
    let of = measured(&read(text), 0, 0).sheet.numbers;
    assert_eq!(of["coordination.log.two_leaders"], 0.0);
    assert_eq!(of["coordination.log.places.disputed"], 0.0);
    assert_eq!(of["coordination.log.decided"], 300.0, "everything is decided, once");
    for name in of.keys().filter(|name| name.starts_with("coordination.")) {
        assert!(quorate::measures::find(name).is_some(), "{name} isn't in the registry");
    }
    of
}

#[test]
fn a_hand_over_costs_round_trips_and_no_timeout() {
    let of = numbers(&scenario(r#"[Transfer(to: "d", at: "10s")]"#, ALL, ""));
    let log = |what: &str| of[&format!("coordination.log.{what}")];
    assert_eq!((log("handovers"), log("leaders"), log("elections")), (1.0, 2.0, 2.0));
    // The word to stand, and a vote there and back; the old leader yields when it hears of the vote.
    assert!(
        (log("handovers.time.max") - 0.03).abs() < 1e-9,
        "{}",
        log("handovers.time.max")
    );
    assert!(
        (log("leaderless.max") - 0.02).abs() < 0.011,
        "{}",
        log("leaderless.max")
    );
    assert!(log("stall.max") < 0.15, "{}", log("stall.max"));
    let crash = numbers(&scenario(
        "[]",
        ALL,
        r#"faults: {"f": Crash(who: "a", at: "10s", for: "5s")},"#,
    ));
    assert!(
        crash["coordination.log.stall.max"] > 0.8,
        "a crash takes a timeout of a second or two"
    );
}

#[test]
fn a_server_joins_in_two_steps_and_leaves_in_one() {
    let changes = r#"[Add(server: "e", at: "5s"), Remove(server: "b", at: "15s"), Remove(server: "a", at: "20s")]"#;
    let of = numbers(&scenario(changes, ALL, ""));
    let log = |what: &str| of[&format!("coordination.log.{what}")];
    assert_eq!(log("memberships"), 4.0);
    // The first leader takes itself out, and those who are left elect another one.
    assert_eq!(log("leaders"), 2.0);
    // Whoever asks at a server that leaves asks another one.
    assert!(log("refused") > 0.0);
}

#[test]
fn without_changes_nothing_is_changed() {
    let of = numbers(&scenario("[]", ALL, ""));
    assert_eq!(
        (of["coordination.log.memberships"], of["coordination.log.handovers"]),
        (0.0, 0.0)
    );
}

#[test]
fn a_crash_that_takes_the_disk_is_three_changes() {
    let fault = r#"faults: {"f": Crash(who: "d", keep: Nothing, at: "10s", for: "1s")},"#;
    let of = numbers(&scenario("[]", ALL, fault));
    assert_eq!(of["coordination.log.memberships"], 3.0);
}

/// What is said of a plan.
fn said(changes: &str, at: &str, rest: &str) -> String {
    let text = scenario(changes, at, rest);
    let files = Memory::new().with("servers.ron", text);
    let outcome = load("servers.ron".as_ref(), &[], &files, &Registry);
    render(&outcome.diagnostics, &outcome.sources, Show::default())
}

#[test]
fn plans_that_cannot_be_are_refused_with_their_places() {
    let three = r#"["a", "b", "c"]"#;
    for (changes, at, code, what, place) in [
        (
            r#"[Add(server: "e", at: "5s")]"#,
            three,
            "E0760",
            "no server at",
            "servers.ron:4:",
        ),
        (
            r#"[Remove(server: "a", at: "5s")]"#,
            r#"["a", "b", "a"]"#,
            "E0760",
            "several servers",
            "servers.ron:4:",
        ),
        (
            r#"[Remove(server: "b", at: "9s"), Remove(server: "b", at: "5s")]"#,
            three,
            "E0761",
            "has been removed before",
            "servers.ron:4:",
        ),
        (
            r#"[Add(server: "b", at: "5s"), Add(server: "b", at: "6s")]"#,
            three,
            "E0761",
            "one of the group already",
            "servers.ron:4:",
        ),
        (
            r#"[Add(server: "b", at: "5s"), Transfer(to: "b", at: "4s")]"#,
            three,
            "E0761",
            "isn't one of the group then",
            "servers.ron:4:",
        ),
        (
            r#"[Remove(server: "b", at: "5s"), Add(server: "b", at: "6s")]"#,
            three,
            "E0761",
            "left for good",
            "servers.ron:4:",
        ),
        (
            r#"[Add(server: "a", at: "5s")]"#,
            three,
            "E0761",
            "stands for election at the start",
            "servers.ron:4:",
        ),
        (
            r#"[Remove(server: "b", at: "5s"), Remove(server: "c", at: "6s"), Remove(server: "a", at: "7s")]"#,
            three,
            "E0762",
            "nobody is left",
            "servers.ron:4:",
        ),
    ] {
        let said = said(changes, at, "");
        assert!(said.contains(&format!("error[{code}]")), "{changes}: {said}");
        assert!(said.contains(what) && said.contains(place), "{changes}: {said}");
    }
}

#[test]
fn a_change_while_a_majority_is_down_is_warned_of_and_made_later() {
    let fault = r#"faults: {"f": Crash(who: ["b", "c"], at: "8s", for: "9s")},"#;
    let three = r#"["a", "b", "c", "d"]"#;
    let changes = r#"[Add(server: "d", at: "10s")]"#;
    let warned = said(changes, three, fault);
    assert!(
        warned.contains("warning[E0762]") && warned.contains("2 of the group's 4 servers"),
        "{warned}"
    );
    let of = measured(&read(&scenario(changes, three, fault)), 0, 0).sheet.numbers;
    assert_eq!(of["coordination.log.memberships"], 2.0);
    assert_eq!(said(changes, three, ""), "");
}

/// Who is refused by those who have left, and hadn't been heard by the one that is left, comes back to it.
#[test]
fn nobody_is_left_out_for_ever_because_it_was_silent_once() {
    let text = r#"(
        quorate: 1, name: "left", seed: 1, until: At("2min"), sites: ["a", "b", "c"],
        network: (default: (one_way: "20ms"), local: (one_way: "1ms")),
        coordination: {"log": (at: ["a", "b", "c"], pattern: Raft(first: "a", changes: [
            Remove(server: "a", at: "10s"), Remove(server: "b", at: "10s"),
        ]))},
        policies: {"p": (timeout: "1s", attempts: 1000, backoff: Fixed("100ms"))},
        agents: {"w": (count: 1, at: "c", start: AtOnce(at: "9990ms"), program: [Submit(to: "log", policy: "p")])},
    )"#;
    for replicate in 0..5 {
        let all = measured(&read(text), 0, replicate).sheet.numbers;
        assert_eq!(all["task.done"], 1.0, "replicate {replicate}");
    }
}
