//! When a run ends, and what that makes of its numbers: a stated end is an end, and what has nothing to do changes nothing.

mod common;

use common::{measured, read};

/// A group that does nothing but keep the clock busy.
const TICKER: &str = r#""ticker": (count: 1, at: "x", program: [Repeat(times: Forever, steps: [Sleep("1s")])]),"#;

/// The numbers of one run with this end and this in place of `{more}`, but for those about the ticker's own task.
fn numbers(scenario: &str, until: &str, more: &str) -> std::collections::BTreeMap<String, f64> {
    let text = scenario.replace("{until}", until).replace("{more}", more);
    let cell = measured(&read(&text), 0, 0);
    let mut numbers = cell.sheet.numbers;
    numbers.retain(|name, _| !["task.started", "task.unfinished", "run.events"].contains(&name.as_str()));
    numbers
}

/// One call of 10 s.
const ONE_CALL: &str = r#"(
    quorate: 1, name: "one-call", until: {until}, sites: ["x"],
    services: {"s": (at: "x", servers: 1, time: "10s")},
    agents: {{more} "a": (count: 1, at: "x", program: [Call(service: "s")])},
)"#;

#[test]
fn a_stated_end_is_the_end_though_nothing_is_left_to_happen() {
    let of = numbers(ONE_CALL, r#"At("100s")"#, "");
    assert_eq!(of["run.end"], 100.0);
    assert_eq!((of["service.s.utilisation"], of["service.s.busy"]), (0.1, 0.1));
    assert_eq!((of["task.rate"], of["service.s.goodput"]), (0.01, 0.01));
    // One arrival in a hundred windows of a second.
    assert_eq!(of["service.s.arrivals.peak_to_mean"], 100.0);
    assert_eq!(of, numbers(ONE_CALL, r#"At("100s")"#, TICKER));
}

#[test]
fn a_run_until_all_is_done_ends_when_all_is_done() {
    let of = numbers(ONE_CALL, r#"AllDone(within: "100s")"#, "");
    assert_eq!((of["run.end"], of["service.s.utilisation"]), (10.0, 1.0));
}

/// One waits for what nobody sends.
const STUCK: &str = r#"(
    quorate: 1, name: "stuck", until: {until}, sites: ["x"],
    services: {"s": (at: "x", servers: 1, time: "10s")},
    agents: {{more}
        "a": (count: 1, at: "x", program: [Call(service: "s")]),
        "b": (count: 1, at: "x", program: [Wait(topic: "m"), Send(to: All("b"), topic: "m")]),
    },
)"#;

#[test]
fn a_task_that_nothing_can_end_is_unfinished_at_the_latest_end() {
    let of = numbers(STUCK, r#"AllDone(within: "100s")"#, "");
    assert_eq!((of["run.end"], of["service.s.utilisation"]), (100.0, 0.1));
    assert_eq!(of, numbers(STUCK, r#"AllDone(within: "100s")"#, TICKER));
}

/// One write that an endless cut keeps from the other replica.
const CUT: &str = r#"(
    quorate: 1, name: "cut", until: {until}, sites: ["x", "y"], network: (default: (one_way: "10ms")),
    state: {"m": (at: ["x", "y"], keys: {"k": Register()}, model: LastWriteWins)},
    agents: {{more} "a": (count: 1, at: "x", program: [Think("1s"), Write(key: "k")])},
    faults: {"cut": Partition(groups: ["x", "y"], at: "0s")},
)"#;

#[test]
fn replicas_that_differ_do_so_until_the_stated_end() {
    let of = numbers(CUT, r#"At("100s")"#, "");
    assert_eq!((of["run.end"], of["state.divergence.total"]), (100.0, 99.0));
    assert_eq!(of, numbers(CUT, r#"At("100s")"#, TICKER));
}
