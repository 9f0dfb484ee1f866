//! What happens after the end of a run: nobody does anything new, and replicas go on until they are at rest.

mod common;

use common::{Place, measured, out, read};
use quorate::measures::Sheet;
use std::collections::BTreeMap;

fn numbers(text: &str) -> BTreeMap<String, f64> {
    measured(&read(text), 0, 0).sheet.numbers
}

/// Two writes that cross, and whose news takes ten seconds.
const SLOW_NEWS: &str = r#"(
    quorate: 1, name: "slow-news", seed: 1, until: {until}, drain: "{drain}",
    sites: ["x", "y"], network: (default: (one_way: "10ms")),
    state: {"m": (at: ["x", "y"], keys: {"k": Register()}, model: LastWriteWins, replication: (delay: "10s"))},
    agents: {
        "a": (count: 1, at: "x", program: [Think("1s"), Write(key: "k")]),
        "b": (count: 1, at: "y", program: [Think("900ms"), Write(key: "k")]),
    },
)"#;

fn slow_news(until: &str, drain: &str) -> BTreeMap<String, f64> {
    numbers(&SLOW_NEWS.replace("{until}", until).replace("{drain}", drain))
}

#[test]
fn what_is_lost_is_judged_once_the_run_is_drained() {
    let of = slow_news(r#"AllDone(within: "1h")"#, "10min");
    assert_eq!((of["state.lost_updates"], of["state.lost_effects"]), (1.0, 1.0));
    assert_eq!(
        (of["state.overwritten_unseen"], of["state.diverged_keys.left"]),
        (1.0, 0.0)
    );
    // The later news leaves ten seconds after the end and takes ten milliseconds.
    assert_eq!((of["state.drained"], of["state.drain"]), (1.0, 10.01));
    // Everything else is measured until the last task is over: y shows its own write for the last tenth of a second.
    assert_eq!((of["run.end"], of["state.divergence.total"]), (1.0, 0.1));
    assert!(!of.contains_key("messages.peer.sent"), "the news is sent in the drain");
    // A run that goes on by itself finds the same.
    let long = slow_news(r#"At("1min")"#, "10min");
    assert_eq!((long["state.drained"], long["state.drain"]), (1.0, 0.0));
    for name in [
        "lost_updates",
        "lost_effects",
        "overwritten_unseen",
        "conflicts",
        "writes",
    ] {
        let name = format!("state.{name}");
        assert_eq!(of[&name], long[&name], "{name}");
    }
}

#[test]
fn a_drain_that_is_too_short_says_so() {
    let of = slow_news(r#"AllDone(within: "1h")"#, "5s");
    assert_eq!((of["state.drained"], of["state.drain"]), (0.0, 5.0));
    assert_eq!((of["state.lost_updates"], of["state.diverged_keys.left"]), (0.0, 1.0));
    let text = SLOW_NEWS
        .replace("{until}", r#"AllDone(within: "1h")"#)
        .replace("{drain}", "5s");
    let said = out(&Place::with(&text).run(&["run", "tiny.ron", "--replicates", "2", "--no-output"]));
    let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
    let note = "base: in 2 of 2 runs the replicas weren't at rest 5s after the end, which is all that `drain` allows: what is \
                lost or differs may still change";
    assert!(said.contains(note), "{said}");
    let text = text.replace("5s", "1h");
    let said = out(&Place::with(&text).run(&["run", "tiny.ron", "--replicates", "2", "--no-output"]));
    assert!(!said.contains("at rest"), "{said}");
}

/// Agents that never end, with calls, messages and shared state over lossy links, and faults that go on after the end.
const ENDLESS: &str = r#"(
    quorate: 1, name: "endless", seed: 5, until: At("20s"), drain: "{drain}",
    sites: ["m", "n"],
    network: (default: (one_way: LogNormal(median: "80ms", sigma: 0.4), loss: 0.05, duplication: 0.05)),
    services: {"tool": (at: "n", servers: 2, time: Exponential(mean: "100ms"))},
    state: {"notes": (
        at: ["m", "n"], keys: {"k": Register(count: 3), "n": Counter}, model: LastWriteWins,
        replication: (batch: "400ms"), anti_entropy: (every: "2s"), time: "30ms",
    )},
    policies: {"p": (timeout: "1s", attempts: 3, backoff: FullJitter(base: "50ms", cap: "1s"))},
    agents: {
        "u": (count: 6, at: ["m", "n"], program: [Repeat(times: Forever, steps: [
            Think(Exponential(mean: "100ms")),
            Call(service: "tool", policy: "p"),
            Update(key: "k", policy: "p", replica: Random),
            Add(key: "n", policy: "p"),
            Send(to: Any("v"), topic: "news"),
        ])]),
        "v": (count: 2, at: "n", on: {"news": [Think("5ms"), Read(key: "n", policy: "p")]}),
    },
    faults: {
        "cut": Partition(groups: ["m", "n"], at: "15s", for: "8s"),
        "agents": Crash(who: "u", each: Member, keep: Nothing, when: Drawn(to_failure: Exponential(mean: "5s"), to_repair: "1s")),
        "site": Crash(who: "n", at: "21s", for: "4s"),
    },
)"#;

#[test]
fn nobody_does_anything_new_after_the_end() {
    let of = |drain: &str| measured(&read(&ENDLESS.replace("{drain}", drain)), 0, 0);
    let (without, with) = (of("0s"), of("10min"));
    assert!(with.handled > without.handled, "{} {}", with.handled, without.handled);
    assert_eq!(
        (with.now, with.drain.at_rest, without.drain.at_rest),
        (without.now, true, false)
    );
    let (without, with) = (without.sheet, with.sheet);
    // What is judged after the drain.
    let judged = [
        "run.events",
        "state.drained",
        "state.drain",
        "state.lost_updates",
        "state.lost_effects",
        "state.overwritten_unseen",
        "state.overwritten_unseen.share",
        "state.monotonic_writes",
        "state.writes_follow_reads",
        "state.metadata",
        "state.diverged_keys.left",
        "state.healed",
        "state.healed.max",
        "state.unhealed",
        "state.conflicts",
        "state.conflicts.share",
        "state.concurrent",
        "state.concurrent.share",
    ];
    let rest = |numbers: &BTreeMap<String, f64>| {
        let mut numbers = numbers.clone();
        numbers.retain(|name, _| !judged.contains(&name.as_str()));
        numbers
    };
    assert_eq!(rest(&with.numbers), rest(&without.numbers));
    // As text, in which a window without a value equals another.
    let rows = |sheet: &Sheet| format!("{:?}{:?}{:?}", sheet.series, sheet.tasks, sheet.bands);
    assert!(
        rows(&with) == rows(&without),
        "series, tasks or faults of the drain are written"
    );
    // There was something to drain: the cut was on at the end.
    assert!(with.numbers["state.lost_effects"] > without.numbers["state.lost_effects"]);
    assert!(with.numbers["state.overwritten_unseen"] > without.numbers["state.overwritten_unseen"]);
    assert_eq!(
        (with.numbers["state.diverged_keys.left"], with.numbers["state.unhealed"]),
        (0.0, 0.0)
    );
    assert!(without.numbers["state.diverged_keys.left"] > 0.0);
}

/// One write that a cut, which may hold, keeps from the other replica.
fn cut(until: &str, store: &str, fault: &str) -> BTreeMap<String, f64> {
    numbers(&format!(
        r#"(
            quorate: 1, name: "cut", seed: 1, until: {until}, sites: ["x", "y"], network: (default: (one_way: "10ms")),
            state: {{"m": (at: ["x", "y"], keys: {{"k": Register()}}, model: LastWriteWins, {store})}},
            agents: {{"a": (count: 1, at: "x", program: [Think("1s"), Write(key: "k")])}},
            faults: {{"f": {fault}}},
        )"#
    ))
}

const DONE: &str = r#"AllDone(within: "1h")"#;
const EXCHANGES: &str = r#"anti_entropy: (every: "1s")"#;

#[test]
fn replicas_are_at_rest_when_nothing_can_change_any_more() {
    let partition = |more: &str| format!(r#"Partition(groups: ["x", "y"], at: "0s"{more})"#);
    // Who never compares never finds out: that is rest, however different they are.
    let of = cut(DONE, "", &partition(""));
    assert_eq!(
        (of["state.drained"], of["state.drain"], of["state.diverged_keys.left"]),
        (1.0, 0.0, 1.0)
    );
    // Who goes on asking in vain isn't at rest.
    let of = cut(DONE, EXCHANGES, &partition(""));
    assert_eq!(
        (of["state.drained"], of["state.drain"], of["state.diverged_keys.left"]),
        (0.0, 600.0, 1.0)
    );
    // Nor is what a cut holds for ever.
    let of = cut(DONE, "", &partition(", sent: Held, in_flight: Held"));
    assert_eq!(
        (of["state.drained"], of["state.drain"], of["state.diverged_keys.left"]),
        (0.0, 600.0, 1.0)
    );
    // A cut that heals in time is waited for, whether it holds messages or exchanges make up for them.
    let of = cut(DONE, "", &partition(r#", for: "5min", sent: Held, in_flight: Held"#));
    assert_eq!((of["state.drained"], of["state.diverged_keys.left"]), (1.0, 0.0));
    assert!((299.0..299.1).contains(&of["state.drain"]), "{}", of["state.drain"]);
    let of = cut(DONE, EXCHANGES, &partition(r#", for: "5min""#));
    assert_eq!(
        (
            of["state.drained"],
            of["state.diverged_keys.left"],
            of["state.unhealed"]
        ),
        (1.0, 0.0, 0.0)
    );
    assert!((299.0..301.0).contains(&of["state.drain"]), "{}", of["state.drain"]);
    assert!(of["state.healed"] < 1.1, "{}", of["state.healed"]);
}

#[test]
fn a_replica_that_will_be_back_is_waited_for() {
    let crash = |more: &str| format!(r#"Crash(who: "y", at: "500ms"{more})"#);
    let of = cut(DONE, EXCHANGES, &crash(r#", for: "1min""#));
    assert_eq!((of["state.drained"], of["state.diverged_keys.left"]), (1.0, 0.0));
    assert!((59.5..61.0).contains(&of["state.drain"]), "{}", of["state.drain"]);
    // One that won't isn't: the news that is on its way to it drops out there.
    let of = cut(DONE, EXCHANGES, &crash(""));
    assert_eq!((of["state.drained"], of["state.drain"]), (1.0, 0.01));
}

#[test]
fn an_update_on_its_way_at_the_end_arrives_but_does_not_count() {
    // At the end of 1.5 s the second write has been under way for half of its way to the replica.
    let text = r#"(
        quorate: 1, name: "late", seed: 1, until: At("1500ms"), sites: ["x", "y"], network: (default: (one_way: "1s")),
        state: {"m": (at: ["y"], keys: {"k": Register()}, model: LastWriteWins)},
        agents: {
            "a": (count: 1, at: "y", program: [Write(key: "k")]),
            "b": (count: 1, at: "x", program: [Sleep("1s"), Write(key: "k")]),
        },
    )"#;
    let of = numbers(text);
    assert_eq!(
        (of["state.writes"], of["state.acknowledged"], of["messages.under_way"]),
        (1.0, 1.0, 1.0)
    );
    assert_eq!((of["state.drained"], of["state.drain"]), (1.0, 0.5));
    // It replaces the first one, of which its agent knew nothing: it was accepted by the replica that had it, and is later.
    assert_eq!((of["state.lost_updates"], of["task.unfinished"]), (0.0, 1.0));
}
