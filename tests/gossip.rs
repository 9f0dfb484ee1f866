//! Gossip, SWIM and causal broadcast in scenarios: what is measured of them, and what is said of mistakes.

mod common;

use common::{measured, read};
use quorate::scenario::syntax::Memory;
use quorate::scenario::{Registry, load};
use std::collections::BTreeMap;

fn numbers(text: &str, replicate: u32) -> BTreeMap<String, f64> {
    measured(&read(text), 0, replicate).sheet.numbers
}

/// A scenario of one group, `members` of them, with whatever else there is to say.
fn scenario(pattern: &str, members: u32, rest: &str) -> String {
    let text = r#"(
        quorate: 1, name: "t", question: "?", seed: 1, until: At("60.5s"), sites: ["here", "there"],
        network: (default: (one_way: "20ms"), local: (one_way: "1ms")),
        coordination: {"g": (pattern: PATTERN, at: ["here", "there"], members: COUNT)},
        REST
    )"#;
    text.replace("PATTERN", pattern)
        .replace("COUNT", &members.to_string())
        .replace("REST", rest)
}

#[test]
fn an_item_gets_to_everybody_and_what_it_costs_is_counted() {
    let of = numbers(
        &scenario(
            "Gossip(exchange: Push, pace: Together(every: \"1s\"), items: [()])",
            50,
            "",
        ),
        1,
    );
    let get = |name: &str| of[&format!("coordination.g.{name}")];
    assert_eq!((get("items"), get("full"), get("residue.max")), (1.0, 1.0, 0.0));
    assert_eq!(get("full.rounds.mean"), get("last.rounds"));
    assert_eq!(get("full.time.mean"), get("last.time"));
    // Somebody hears in every round, and nobody before the first.
    assert!(get("delay.max") <= get("last.rounds") + 0.02 && get("delay.max") > get("last.rounds"));
    // Every message tells of the one item, to somebody who has it or hasn't.
    assert_eq!(get("told"), get("messages"));
    assert_eq!(get("told"), get("redundant") + 49.0);
    assert_eq!(get("push.messages"), get("messages"));
    assert_eq!(get("traffic"), get("told") / 50.0);
}

#[test]
fn the_same_items_come_however_the_members_work() {
    for pattern in [
        "Gossip(items: [(), (member: 7, at: \"5s\"), (member: 7, at: \"5s\")])",
        "Gossip(spread: Nothing, anti_entropy: \"1s\", items: [(), (member: 7, at: \"5s\"), (member: 7, at: \"5s\")])",
        "Gossip(spread: Rumours(), anti_entropy: \"4s\", items: [(), (member: 7, at: \"5s\"), (member: 7, at: \"5s\")])",
        "Gossip(exchange: Pull, neighbours: 3, items: [(), (member: 7, at: \"5s\"), (member: 7, at: \"5s\")])",
    ] {
        for seed in 1..=3 {
            let of = numbers(&scenario(pattern, 30, ""), seed);
            assert_eq!(
                (
                    of["coordination.g.items"],
                    of["coordination.g.full"],
                    of["coordination.g.residue.max"]
                ),
                (3.0, 3.0, 0.0),
                "{pattern}"
            );
        }
    }
}

#[test]
fn agents_submit_items_and_those_beside_the_members_are_told_once() {
    let text = r#"(
        quorate: 1, name: "t", question: "?", seed: 1, until: AllDone(within: "1h"), sites: ["here", "there"],
        network: (default: (one_way: "9ms", loss: 0.1, duplication: 0.1)),
        coordination: {"g": (pattern: Gossip(spread: Rumours(), anti_entropy: "2s"), beside: "listener", tells: "news")},
        agents: {
            "author": (count: 1, at: "here", program: [Submit(to: "g", value: 5, policy: "patient")]),
            "listener": (count: 20, at: ["here", "there"], program: [Wait(topic: "news")]),
        },
        policies: {"patient": (timeout: "1s", attempts: 20)},
    )"#;
    for seed in 1..=5 {
        let of = numbers(text, seed);
        assert_eq!(of["coordination.g.items"], 1.0);
        // The run is over as soon as every agent was told.
        assert_eq!(of["coordination.g.full"], 1.0);
        assert!(of["coordination.g.answered"] >= 1.0);
    }
}

#[test]
fn who_loses_its_memory_is_brought_up_to_date_again() {
    let rest = r#"faults: {"crash": Crash(who: "there", keep: Nothing, at: "30s", for: "5s")}"#;
    let of = numbers(&scenario("Gossip(items: [()])", 20, rest), 1);
    assert_eq!(of["coordination.g.residue.max"], 0.0);
    let of = numbers(
        &scenario(
            "Gossip(spread: Rumours(stop: Counter(8)), exchange: Push, items: [()])",
            20,
            rest,
        ),
        1,
    );
    // The rumour is dead by then.
    assert_eq!(of["coordination.g.residue.max"], 0.5);
}

#[test]
fn a_crash_is_found_out_by_all_and_a_return_is_welcome() {
    let rest = r#"faults: {"crash": Crash(who: "there", at: "20.5s", for: "25s")}"#;
    let text = scenario("Swim()", 9, rest).replace(
        r#"["here", "there"], members"#,
        r#"["here", "here", "here", "here", "there", "here", "here", "here", "here"], members"#,
    );
    for seed in 1..=5 {
        let of = numbers(&text, seed);
        let get = |name: &str| of[&format!("coordination.g.{name}")];
        assert_eq!(
            (get("crashes"), get("crashes.unseen"), get("buried.false")),
            (1.0, 0.0, 0.0)
        );
        let (first, all) = (get("detection.first.max"), get("detection.all.max"));
        assert!(first < all && all < 25.0, "{first}, {all}");
        assert!(get("detection.periods") >= 1.0);
        assert_eq!(get("probes.false"), 0.0);
    }
}

#[test]
fn members_join_one_after_the_other() {
    let of = numbers(&scenario("Swim(initial: 3, join_every: \"2s\")", 12, ""), 1);
    assert_eq!(of["coordination.g.joined"], 9.0);
}

#[test]
fn events_come_after_their_causes_and_are_held_back_for_that() {
    let text = r#"(
        quorate: 1, name: "t", question: "?", seed: 1, until: At("60s"), sites: ["x", "y", "z"],
        network: (default: (one_way: Exponential(mean: "200ms"))),
        coordination: {"g": (pattern: Causal(), at: ["x", "y", "z"])},
        agents: {"author": (count: 3, at: ["x", "y", "z"], program: [Repeat(times: 50, steps: [Submit(to: "g"), Think("100ms")])])},
    )"#;
    let of = numbers(text, 1);
    let get = |name: &str| of[&format!("coordination.g.{name}")];
    assert_eq!(
        (get("issued"), get("delivered"), get("undelivered")),
        (150.0, 300.0, 0.0)
    );
    assert!(get("held") > 30.0 && get("held.time.mean") > 0.0);
    // A lossless network brings each event once; comparisons may bring it again before it is there.
    assert!(get("event.messages") == 300.0);
}

#[test]
fn whoever_waits_for_what_a_member_tells_is_not_warned_of() {
    let text = r#"(
        quorate: 1, name: "t", question: "?", seed: 1, until: AllDone(within: "1h"), sites: ["here"],
        coordination: {"g": (pattern: Gossip(items: [()]), beside: "a", tells: "news")},
        agents: {"a": (count: 3, at: "here", program: [Wait(topic: "news"), Wait(topic: "mews")])},
    )"#;
    assert_eq!(said(text), vec![("E0459".to_string(), "\"mews\"".to_string())]);
}

/// What is said of a scenario: codes with the places that they are about.
fn said(text: &str) -> Vec<(String, String)> {
    let outcome = load("t.ron".as_ref(), &[], &Memory::new().with("t.ron", text), &Registry);
    let diagnostics = outcome.diagnostics.iter();
    let mut said: Vec<_> = diagnostics
        .map(|diagnostic| {
            let span = diagnostic.labels[0].span;
            (
                diagnostic.code.to_string(),
                text[span.start as usize..span.end as usize].to_string(),
            )
        })
        .collect();
    said.sort();
    said
}

#[test]
fn mistakes_are_told_with_their_places() {
    let of = |pattern: &str, members: u32| said(&scenario(pattern, members, ""));
    let one = |code: &str, place: &str| vec![(code.to_string(), place.to_string())];
    assert_eq!(of("Gossip(fan_out: 10, items: [()])", 10), one("E0710", "10"));
    assert_eq!(of("Gossip(neighbours: 5, items: [()])", 5), one("E0710", "5"));
    assert_eq!(of("Gossip(items: [(member: 5)])", 5), one("E0710", "5"));
    assert_eq!(
        of("Gossip(pace: Apart(jitter: 1.0), items: [()])", 5),
        one("E0710", "1.0")
    );
    assert_eq!(of("Gossip(spread: Nothing, items: [()])", 5), one("E0711", "Nothing"));
    assert_eq!(of("Gossip(neighbours: 1, items: [()])", 50), one("E0711", "1"));
    assert_eq!(of("Gossip(items: [()])", 1), one("E0711", "Gossip(items: [()])"));
    assert_eq!(of("Gossip()", 5), one("E0712", "Gossip()"));
    assert_eq!(of("Swim(timeout: \"1s\")", 5), one("E0713", "\"1s\""));
    assert_eq!(of("Swim(helpers: 9)", 5), one("E0713", "9"));
    assert_eq!(of("Swim(initial: 9)", 5), one("E0713", "9"));
    assert_eq!(of("Swim(join_every: \"1s\")", 5), one("E0713", "\"1s\""));
    assert_eq!(of("Causal(via: Gossip(9))", 5), one("E0710", "9"));
    // A `k` of nothing can't be written.
    let codes = of("Gossip(spread: Rumours(stop: Counter(0)), items: [()])", 5);
    assert!(codes.len() == 1 && codes[0].1 == "0", "{codes:?}");
    assert_eq!(of("Gossip(items: [()])", 5), vec![]);
    assert_eq!(of("Swim()", 5), vec![]);
}
