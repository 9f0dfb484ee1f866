//! What is said about channels that are wrong, or likely not meant: all of it at once, with place, code and a way out.

use quorate::scenario::syntax::{Memory, Show, render};
use quorate::scenario::{Outcome, Registry, load};

const SAMPLE: &str = r#"(
    quorate: 1,
    name: "sample",
    until: At("2min"),
    sites: ["a", "hub"],
    network: (default: (one_way: "20ms")),
    channels: {
        "orders": (at: "hub", kind: Queue, visibility: "10s", consumers: {"worker": ()}),
        "news": (at: "hub", consumers: {"reader": (by: Poll)}),
        "log": (at: "hub", kind: Log(partitions: 4), consumers: {"reader": (by: Poll)}),
    },
    policies: {"polite": (timeout: "25s", attempts: 4, backoff: Fixed("1s"))},
    agents: {
        "maker": (count: 2, at: "a", program: [
            Publish(to: "orders", policy: "polite"), Publish(to: "news"), Publish(to: "log", key: Publisher),
        ]),
        "worker": (count: 3, at: "a", on: {"orders": [Think("1s")]}),
        "reader": (count: 2, at: "a", program: [Repeat(times: Forever, steps: [
            Poll(from: "news", policy: "polite"), Poll(from: "log", wait: "1s", each: [Think("10ms")]),
        ])]),
    },
)"#;

fn outcome(text: &str) -> Outcome {
    load("s.ron".as_ref(), &[], &Memory::new().with("s.ron", text), &Registry)
}

fn said(text: &str) -> String {
    let outcome = outcome(text);
    render(&outcome.diagnostics, &outcome.sources, Show::default())
}

/// What is said once each of these is put in place of what stands in the sample.
fn cases(cases: &[(&str, &str)]) -> String {
    let mut all = String::new();
    for (from, to) in cases {
        assert_eq!(SAMPLE.matches(from).count(), 1, "{from}");
        all.push_str(&format!("### {to}\n\n{}\n", said(&SAMPLE.replacen(from, to, 1))));
    }
    all
}

fn snapshot(name: &str, text: String) {
    insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!(name, text) });
}

#[test]
fn the_sample_is_good() {
    assert_eq!(said(SAMPLE), "");
}

#[test]
fn what_a_channel_cannot_be() {
    let text = cases(&[
        (
            "kind: Log(partitions: 4)",
            "kind: Log(partitions: 4), bound: (most: 3), delay: \"1s\"",
        ),
        (
            "visibility: \"10s\", consumers",
            "visibility: \"10s\", dead_letters: \"news\", consumers",
        ),
        (
            "visibility: \"10s\", consumers",
            "visibility: \"10s\", most_deliveries: 3, dead_letters: \"newz\", consumers",
        ),
        (
            "visibility: \"10s\", consumers",
            "visibility: \"10s\", most_deliveries: 3, dead_letters: \"orders\", consumers",
        ),
        (
            "consumers: {\"worker\": ()}",
            "consumers: {\"worker\": (group: \"g\", from: Latest, replay: [(at: \"1s\")])}",
        ),
        (
            "consumers: {\"worker\": ()}",
            "consumers: {\"worker\": (), \"maker\": ()}",
        ),
        (
            "consumers: {\"worker\": ()}",
            "consumers: {\"worker\": (), \"wroker\": (by: Poll)}",
        ),
        (
            "consumers: {\"worker\": ()}",
            "delivery: AtMostOnce, consumers: {\"worker\": (prefetch: 3)}",
        ),
        (
            "\"news\": (at: \"hub\", consumers: {\"reader\": (by: Poll)})",
            "\"news\": (at: \"hub\", consumers: {\"reader\": (by: Poll, prefetch: 2, remembers: (by: Group))})",
        ),
        ("\"worker\": (count: 3", "\"worker\": (count: Stream(arrivals: 3)"),
    ]);
    snapshot("what_a_channel_cannot_be", text);
}

#[test]
fn what_steps_cannot_do_with_channels() {
    let text = cases(&[
        ("Publish(to: \"news\")", "Publish(to: \"mews\")"),
        ("Publish(to: \"news\")", "Publish(to: \"news\"), Poll(from: \"news\")"),
        (
            "Publish(to: \"news\")",
            "Publish(to: \"news\"), Send(to: Any(\"worker\"), topic: \"orders\"), Wait(topic: \"orders\")",
        ),
        (
            "\"worker\": (count: 3, at: \"a\", on",
            "\"worker\": (count: 3, at: \"a\", program: [Poll(from: \"orders\")], on",
        ),
        ("Publish(to: \"news\")", "Publish(to: \"news\", key: -3, bytes: \"12\")"),
    ]);
    snapshot("what_steps_cannot_do_with_channels", text);
}

#[test]
fn what_of_channels_is_likely_not_meant() {
    let text = cases(&[
        (
            "\"news\": (at: \"hub\", consumers: {\"reader\": (by: Poll)})",
            "\"quiet\": (at: \"hub\", kind: Queue), \"news\": (at: \"hub\", consumers: {\"reader\": (by: Poll)})",
        ),
        (
            "kind: Queue, visibility: \"10s\", consumers: {\"worker\": ()}",
            "consumers: {}",
        ),
        ("Log(partitions: 4)", "Log()"),
        ("Think(\"1s\")", "Repeat(times: 3, steps: [Think(\"4s\")])"),
        ("Think(\"10ms\")", "Think(\"4s\")"),
        ("timeout: \"25s\"", "timeout: \"20s\""),
        (
            "kind: Queue, visibility",
            "kind: Queue, delivery: EffectivelyOnce, visibility",
        ),
    ]);
    snapshot("what_of_channels_is_likely_not_meant", text);
}

#[test]
fn dead_letters_that_go_round_are_refused_once() {
    let text = SAMPLE.replace(
        "\"orders\": (at: \"hub\", kind: Queue, visibility: \"10s\", consumers: {\"worker\": ()}),",
        "\"orders\": (at: \"hub\", kind: Queue, most_deliveries: 2, dead_letters: \"second\", consumers: {\"worker\": ()}),
        \"second\": (at: \"hub\", kind: Queue, most_deliveries: 2, dead_letters: \"third\"),
        \"third\": (at: \"hub\", kind: Queue, most_deliveries: 2, dead_letters: \"second\"),",
    );
    let said = said(&text);
    assert_eq!(said.matches("E0654").count(), 2, "once, and in the last line: {said}");
    assert!(said.contains("dead letters go round: \"second\", \"third\""), "{said}");
}
