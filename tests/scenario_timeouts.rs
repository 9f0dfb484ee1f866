//! Who is warned that messages are lost, and that nobody waits only so long.

use quorate::scenario::syntax::{Code, Memory};
use quorate::scenario::{Registry, load};

/// What is warned of, of a program of agents in two sites, where a store has replicas in two of three, and a service in the third.
fn warned(model: &str, program: &str) -> Vec<String> {
    let text = r#"(
        quorate: 1, name: "t", question: "?", until: At("10s"), sites: ["a", "b", "c"],
        network: (default: (one_way: "10ms", loss: 0.01)),
        services: {"model": (at: "c", time: "1ms")},
        state: {"memory": (at: ["a", "b"], keys: {"note": Register(count: 4)}, model: MODEL)},
        policies: {"patient": (timeout: "1s"), "stubborn": (attempts: 3)},
        agents: {"worker": (count: 2, at: ["a", "b"], program: [PROGRAM])},
    )"#;
    let text = text.replace("MODEL", model).replace("PROGRAM", program);
    let outcome = load(
        "t.ron".as_ref(),
        &[],
        &Memory::new().with("t.ron", text.as_str()),
        &Registry,
    );
    assert!(outcome.scenario.is_some(), "{:?}", outcome.diagnostics);
    let doubts = outcome.diagnostics.iter();
    doubts
        .filter(|doubt| doubt.code == Code::NoTimeout)
        .map(|doubt| doubt.message.clone())
        .collect()
}

#[test]
fn operations_that_may_wait_for_ever_are_warned_of_once_for_each_policy() {
    let store = ["operations on \"memory\" have no timeout, and the link loses messages"];
    // Whoever asks the replica beside it loses nothing.
    assert_eq!(warned("LastWriteWins", r#"Read(key: "note")"#), [""; 0]);
    assert_eq!(
        warned("Quorum(n: 2, coordinator: Random)", r#"Read(key: "note")"#),
        store
    );
    for step in [
        r#"Read(key: "note", replica: Random)"#,
        r#"Write(key: "note", replica: At("b"))"#,
        r#"When(key: "note", at_least: 1, replica: Random, steps: [Write(key: "note")])"#,
        r#"Update(key: "note", replica: Random), Read(key: "note", replica: Random)"#,
        r#"Read(key: "note", replica: Random, policy: "stubborn")"#,
    ] {
        assert_eq!(warned("LastWriteWins", step), store, "{step}");
    }
    let two = r#"Read(key: "note", replica: Random), Write(key: "note", replica: Random, policy: "stubborn")"#;
    assert_eq!(warned("LastWriteWins", two), [store[0]; 2]);
    let patient = r#"Read(key: "note", replica: Random, policy: "patient")"#;
    assert_eq!(warned("LastWriteWins", patient), [""; 0]);
}

#[test]
fn calls_that_may_wait_for_ever_are_warned_of() {
    let call = ["calls of \"model\" have no timeout, and the link loses messages"];
    assert_eq!(warned("LastWriteWins", r#"Call(service: "model")"#), call);
    assert_eq!(
        warned("LastWriteWins", r#"Call(service: "model", policy: "patient")"#),
        [""; 0]
    );
}
