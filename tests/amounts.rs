//! Agents that go by what they read: how much a counter, a set or a register shows, and what that costs where it is behind.

mod common;

use common::{measured, read};

/// One store, and agents that do this.
fn scenario(sites: &str, keys: &str, model: &str, agents: &str) -> String {
    format!(
        r#"(
            quorate: 1, name: "amounts", until: AllDone(within: "1h"), sites: [{sites}],
            network: (default: (one_way: "100ms"), local: (one_way: "0s")),
            services: {{
                "yes": (at: "x"),
                "no": (at: "x"),
            }},
            state: {{"shop": (at: [{sites}], model: {model}, keys: {{{keys}}})}},
            policies: {{"again": (attempts: Unlimited, backoff: None)}},
            agents: {{{agents}}},
        )"#
    )
}

fn numbers(sites: &str, keys: &str, model: &str, agents: &str) -> std::collections::BTreeMap<String, f64> {
    measured(&read(&scenario(sites, keys, model, agents)), 0, 0)
        .sheet
        .numbers
}

/// How often an agent went either way, by the services that it called.
fn ways(of: &std::collections::BTreeMap<String, f64>) -> (f64, f64) {
    (of["service.yes.arrivals"], of["service.no.arrivals"])
}

const BOTH: &str = r#"steps: [Call(service: "yes")], otherwise: [Call(service: "no")]"#;

#[test]
fn what_is_shown_decides_for_every_type_of_key_and_model() {
    let keys = r#""r": Register(), "c": Counter(), "s": Set()"#;
    for model in [
        "LastWriteWins",
        "Crdt()",
        "VersionVectors()",
        "Quorum(n: 1)",
        "Primary()",
        "Causal()",
    ] {
        let agents = format!(
            r#""a": (count: 1, at: "x", program: [
                When(key: "r", at_least: 1, {BOTH}), Write(key: "r"), When(key: "r", at_least: 1, {BOTH}),
                When(key: "c", at_least: 1, {BOTH}), Add(key: "c", by: 3), When(key: "c", at_least: 3, {BOTH}),
                When(key: "c", at_least: 4, {BOTH}), Add(key: "c", by: -5), When(key: "c", at_least: -2, {BOTH}),
                When(key: "s", at_least: 2, {BOTH}), Insert(key: "s", element: 1), Insert(key: "s", element: 1),
                When(key: "s", at_least: 2, {BOTH}), Insert(key: "s", element: 2), When(key: "s", at_least: 2, {BOTH}),
            ])"#
        );
        let of = numbers(r#""x""#, keys, model, &agents);
        assert_eq!(ways(&of), (4.0, 5.0), "{model}");
    }
}

/// Ten things, and customers at two places who each take one while there is any.
fn sold(model: &str, step: &str) -> (f64, f64) {
    let agents = format!(
        r#""stock": (count: 1, at: "x", program: [Add(key: "stock", by: 10)]),
           "west": (count: 8, at: "x", program: [Sleep("1s"), {step}]),
           "east": (count: 8, at: "y", program: [Sleep("1s"), {step}])"#
    );
    let of = numbers(r#""x", "y""#, r#""stock": Counter()"#, model, &agents);
    (of["state.overdrawn"], of["state.writes"] - 1.0)
}

#[test]
fn a_guard_on_a_replica_does_not_guard_the_stock() {
    // All look at once: ten are there, and sixteen are sold, wherever the counter lies.
    let step = r#"When(key: "stock", at_least: 1, steps: [Think("10ms"), Add(key: "stock", by: -1)])"#;
    assert_eq!(sold("Crdt()", step), (6.0, 16.0));
    assert_eq!(sold("LastWriteWins", step), (6.0, 16.0));
    let update = r#"Update(key: "stock", think: "10ms", op: Add(-1), at_least: 1)"#;
    assert_eq!(sold("Crdt()", update), (6.0, 16.0));
}

#[test]
fn a_conditional_change_sells_what_is_there_and_no_more() {
    let agents = r#"
        "stock": (count: 1, at: "x", program: [Add(key: "stock", by: 10)]),
        "customer": (count: 16, at: "x", program: [
            Sleep("1s"),
            CompareAndSwap(key: "stock", think: "10ms", op: Add(-1), at_least: 1, policy: "again"),
        ])"#;
    let of = numbers(r#""x""#, r#""stock": Counter()"#, "LastWriteWins", agents);
    assert_eq!((of["state.overdrawn"], of["state.writes"]), (0.0, 11.0));
    // In lockstep one of those that are left succeeds in each round: 16 + 15 + ... + 7, and the last six see nothing there.
    assert_eq!(of["state.swaps"], (7..=16).sum::<u32>() as f64);
    assert_eq!(of["task.done"], 17.0);
}

#[test]
fn what_was_sold_twice_counts_whatever_the_store_remembers() {
    // Two writers of a counter under last write wins: one of the two takes is forgotten, and both were made.
    let agents = r#"
        "stock": (count: 1, at: "x", program: [Add(key: "stock", by: 1)]),
        "west": (count: 1, at: "x", program: [Sleep("1s"), Add(key: "stock", by: -1)]),
        "east": (count: 1, at: "y", program: [Sleep("1s"), Add(key: "stock", by: -1)])"#;
    let of = numbers(r#""x", "y""#, r#""stock": Counter()"#, "LastWriteWins", agents);
    assert_eq!((of["state.overdrawn"], of["state.lost_updates"]), (1.0, 1.0));
}

#[test]
fn who_cannot_look_sees_nothing_whatever_he_saw_before() {
    let agents = r#""a": (count: 1, at: "x", on_failure: Continue, program: [
        Add(key: "c", by: 3), When(key: "c", at_least: 1, steps: [Call(service: "yes")], otherwise: [Call(service: "no")]),
        Sleep("10s"),
        When(key: "c", at_least: 1, policy: "short", steps: [Call(service: "yes")], otherwise: [Call(service: "no")]),
    ])"#;
    let text = scenario(r#""x""#, r#""c": Counter()"#, "LastWriteWins", agents).replace(
        "policies: {",
        r#"faults: {"down": Crash(who: "shop", at: "5s", for: "1min", keep: State)}, policies: {"short": (timeout: "1s"),"#,
    );
    assert_eq!(ways(&measured(&read(&text), 0, 0).sheet.numbers), (1.0, 1.0));
}
