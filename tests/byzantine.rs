//! PBFT and ledgers in a world: what a request costs, what faults undo, and what is said of groups that can't be.

mod common;

use common::{measured, read};
use quorate::scenario::syntax::{Memory, Show, render};
use quorate::scenario::{Registry, load};
use std::collections::BTreeMap;

/// Four sites and one for clients, 10 ms from each other; a hop within one takes no time.
fn scenario(pattern: &str, program: &str, rest: &str) -> String {
    format!(
        r#"(
            quorate: 1, name: "byzantine", question: "?", until: At("60s"), sites: ["a", "b", "c", "d", "client"],
            network: (local: (one_way: "0s"), default: (one_way: "10ms")),
            coordination: {{"council": (pattern: {pattern}, at: ["a", "b", "c", "d"])}},
            policies: {{"patient": (timeout: "100s")}},
            agents: {{"asker": (count: 1, at: "client", program: [{program}])}},
            {rest}
        )"#
    )
}

fn numbers(text: &str) -> BTreeMap<String, f64> {
    measured(&read(text), 0, 0).sheet.numbers
}

fn council(of: &BTreeMap<String, f64>, what: &str) -> f64 {
    of[&format!("coordination.council.{what}")]
}

const ASKS: &str = r#"Task(name: "t", steps: [Submit(to: "council", value: 3, policy: "patient", then: [Task(name: "yes", steps: [])])])"#;

#[test]
fn a_request_takes_five_delays_and_is_answered_with_its_value() {
    let of = numbers(&scenario("Pbft()", ASKS, ""));
    assert_eq!(council(&of, "messages"), 29.0);
    // The order reaches the others after two hops, and is decided after four; a reply makes five.
    assert!((council(&of, "latency.mean") - 0.04).abs() < 1e-9);
    assert!((of["task.t.time.mean"] - 0.05).abs() < 1e-9);
    assert_eq!(of["task.yes.done"], 1.0);
    assert_eq!((council(&of, "decided"), council(&of, "places.disputed")), (1.0, 0.0));
    assert_eq!((council(&of, "leaders"), council(&of, "two_leaders")), (1.0, 0.0));
}

#[test]
fn signatures_take_the_time_of_the_members() {
    let fast = numbers(&scenario("Pbft()", ASKS, ""));
    let slow = numbers(&scenario(r#"Pbft(sign: "1ms", verify: "100us")"#, ASKS, ""));
    // A request, an order, an agreement, a commit and a reply are signed on the way.
    let added = slow["task.t.time.mean"] - fast["task.t.time.mean"];
    assert!((0.005..0.010).contains(&added), "{added}");
}

#[test]
fn a_crashed_primary_is_replaced() {
    let faults = r#"faults: {"f": Crash(who: "a", at: "0s")},"#;
    let of = numbers(&scenario("Pbft()", ASKS, faults));
    assert_eq!((of["task.t.done"], council(&of, "views")), (1.0, 1.0));
    // A second until the client asks all, two until they ask for another primary.
    assert!(
        (3.0..3.2).contains(&of["task.t.time.mean"]),
        "{}",
        of["task.t.time.mean"]
    );
    // After one second, and after two more, just before the new primary's order is executed.
    assert_eq!(council(&of, "asked_all"), 2.0);
}

/// Requests before and after some replicas lose their disks. The fourth misses the first one, and the first all later ones.
fn lost_disks(who: &str) -> BTreeMap<String, f64> {
    let program = r#"Submit(to: "council", policy: "patient"), Sleep("5s"), Submit(to: "council", policy: "patient")"#;
    let faults = format!(
        r#"faults: {{
            "first": Partition(groups: [["d"], ["a", "b", "c", "client"]], at: "0s", until: "3s"),
            "disks": Crash(who: {who}, keep: Nothing, at: "2s", until: "3s"),
            "second": Partition(groups: [["a"], ["b", "c", "d", "client"]], at: "3s"),
        }},"#
    );
    numbers(&scenario("Pbft()", program, &faults))
}

#[test]
fn one_lost_disk_is_borne_and_two_break_agreement() {
    let one = lost_disks(r#"["c"]"#);
    assert_eq!(
        (council(&one, "answered"), council(&one, "places.disputed")),
        (2.0, 0.0)
    );
    let two = lost_disks(r#"["b", "c"]"#);
    assert_eq!(
        (council(&two, "answered"), council(&two, "places.disputed")),
        (2.0, 1.0)
    );
}

#[test]
fn both_sides_of_a_cut_of_a_ledger_go_on_and_one_is_undone() {
    let text = r#"(
        quorate: 1, name: "cut", question: "?", until: At("3h"), sites: ["a", "b"],
        network: (default: (one_way: "50ms")),
        coordination: {"chain": (pattern: Ledger(interval: "10s", confirmations: 3), at: ["a", "b"], members: 6)},
        policies: {"patient": (timeout: "2h")},
        agents: {"asker": (count: 2, at: ["a", "b"], program: [Repeat(times: 20, steps: [Submit(to: "chain", policy: "patient"), Sleep("10s")])])},
        faults: {"cut": Partition(groups: [["a"], ["b"]], at: "2min", for: "10min")},
    )"#;
    let of = numbers(text);
    let chain = |what: &str| of[&format!("coordination.chain.{what}")];
    assert_eq!((chain("answered"), chain("asked")), (40.0, 40.0));
    assert!(chain("undone") > 0.0 && chain("places.disputed") > 0.0);
    assert!(chain("reorganisations.depth.max") > 3.0);
    assert!(chain("blocks.orphaned") > 10.0 && chain("blocks") > chain("blocks.orphaned"));
}

/// What is said about a scenario.
fn said(text: &str) -> String {
    let outcome = load("s.ron".as_ref(), &[], &Memory::new().with("s.ron", text), &Registry);
    render(&outcome.diagnostics, &outcome.sources, Show::default())
}

#[test]
fn what_cannot_be_is_told_with_its_place() {
    let cases = [
        (
            "Pbft(faulty: 2)",
            "E0730",
            "2 of 4 replicas may be Byzantine, and that takes 7 of them",
        ),
        (
            "Pbft(byzantine: [(member: 4, does: Silent)])",
            "E0731",
            "there is no replica 4",
        ),
        (
            "Pbft(byzantine: [(member: 1, does: Silent), (member: 1, does: Forge)])",
            "E0731",
            "replica 1 does two things",
        ),
        (
            "Pbft(byzantine: [(member: 1, does: Silent), (member: 2, does: Delay)])",
            "E0732",
            "2 replicas are Byzantine, and PBFT bears 1",
        ),
        ("Pbft(window: 100)", "E0733", "a `window` of 100 isn't a multiple"),
        (
            "Pbft(in_flight: 200)",
            "E0733",
            "200 sequence numbers at a time don't fit",
        ),
        (r#"Pbft(status_every: "3s")"#, "E0734", "has to be below `view_timeout`"),
        (
            "Ledger(shares: [0.5, 0.5])",
            "E0735",
            "there are 2 shares for 4 members",
        ),
        (
            "Ledger(shares: [0.5, 0.5, 0.1, 0.1])",
            "E0735",
            "the shares add up to 1.2",
        ),
        (
            "Ledger(shares: [1.5, -0.5, 0, 0])",
            "E0735",
            "a share of the work is from 0 to 1",
        ),
        ("Ledger(attacker: (member: 9))", "E0736", "there is no member 9"),
        (
            "Ledger(shares: [0, 0.4, 0.3, 0.3], attacker: (member: 0))",
            "E0736",
            "an attacker without a share",
        ),
        (
            "Ledger(shares: [0.6, 0.4, 0, 0], attacker: (member: 0))",
            "E0736",
            "always catches up in the end",
        ),
        ("Ledger(peers: 4)", "E0737", "a member can't connect to 4 others"),
    ];
    for (pattern, code, what) in cases {
        let said = said(&scenario(pattern, ASKS, ""));
        assert!(said.contains(code) && said.contains(what), "{pattern}:\n{said}");
        assert!(said.contains("s.ron:4:"), "{pattern}:\n{said}");
    }
    let three = scenario("Pbft()", ASKS, "").replace(r#", "d"])"#, "])");
    assert!(said(&three).contains("3 replicas bear no Byzantine one among them"));
    assert!(!said(&scenario("Pbft()", ASKS, "")).contains("error"));
}
