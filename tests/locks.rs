//! Locks in whole scenarios: who gets them when, what a holder does that was too slow, and what fencing keeps from it.

mod common;

use common::{measured, read};
use quorate::scenario::syntax::{Memory, Show, render};
use quorate::scenario::{Registry, load};
use std::collections::BTreeMap;

type Numbers = BTreeMap<String, f64>;

fn numbers(text: &str) -> Numbers {
    measured(&read(text), 0, 0).sheet.numbers
}

/// A store at one site, 20 ms from everybody, and agents that write a key.
fn scenario(lock: &str, model: &str, agents: &str, faults: &str) -> String {
    format!(
        r#"(
        quorate: 1, name: "locks", seed: 3, until: AllDone(within: "1h"), sites: ["near", "far"],
        network: (default: (one_way: "20ms")),
        services: {{"lock": (at: "far", lock: ({lock}))}},
        state: {{"s": (at: ["far"], keys: {{"k": Register, "n": Counter}}, model: {model})}},
        policies: {{"p": (timeout: "2s", attempts: 5, idempotency_key: true, backoff: FullJitter(base: "50ms", cap: "1s"))}},
        agents: {{{agents}}},
        faults: {{{faults}}},
    )"#
    )
}

fn of(all: &Numbers, name: &str) -> f64 {
    *all.get(name).unwrap_or_else(|| panic!("{name} was measured"))
}

const WRITERS: &str = r#""w": (count: 4, at: "near", start: Spread(over: "40ms"), program: [
    Repeat(times: 3, steps: [WithLock(lock: "lock", steps: [Update(key: "k", think: "200ms")])]),
])"#;

#[test]
fn a_lock_goes_round_in_the_order_of_requests_and_waits_are_coordination() {
    let all = numbers(&scenario("", "LastWriteWins()", WRITERS, ""));
    // A hold: the way to the client, a read, a think, a write, and the way back.
    let hold = 0.020 + 0.040 + 0.200 + 0.040 + 0.020;
    assert!((of(&all, "lock.lock.hold.mean") - hold).abs() < 1e-9);
    assert_eq!(of(&all, "lock.lock.granted"), 12.0);
    assert_eq!(of(&all, "lock.lock.expired"), 0.0);
    // Requests come 10 ms apart, and a holder asks again 20 + 20 ms after its release left.
    let first: f64 = (0..4).map(|n| f64::from(n) * (hold - 0.010)).sum();
    let later = 7.0 * (3.0 * hold - 0.0) + (3.0 * hold);
    let expected = (first + later) / 12.0;
    assert!(
        (of(&all, "lock.lock.wait.mean") - expected).abs() < 0.02,
        "{}",
        of(&all, "lock.lock.wait.mean")
    );
    assert_eq!(of(&all, "state.conflicts"), 0.0, "everybody had seen the write before");
    assert_eq!(of(&all, "state.lost_updates"), 0.0);
    let coordination = of(&all, "task.part.coordination");
    let waits = of(&all, "lock.lock.wait.mean") * 3.0;
    assert!((coordination - waits).abs() < 1e-6, "{coordination} {waits}");
}

/// The first writer stands still while it holds the lock, for longer than its lease; the second one gets the lock.
fn slow(lock: &str, model: &str) -> Numbers {
    let agents = r#""slow": (count: 1, at: "near", on_failure: Continue, program: [
            WithLock(lock: "lock", steps: [Update(key: "k", think: "500ms", policy: "p")]),
        ]),
        "next": (count: 1, at: "near", program: [Think("100ms"),
            WithLock(lock: "lock", steps: [Update(key: "k", think: "500ms", policy: "p")]),
        ])"#;
    let pause = r#""gc": Pause(who: "slow", at: "300ms", for: "5s")"#;
    numbers(&scenario(lock, model, agents, pause))
}

#[test]
fn a_holder_that_stood_still_does_harm_without_fencing_and_none_with_it() {
    for model in ["LastWriteWins()", "Primary()"] {
        let harm = slow(r#"lease: "2s""#, model);
        assert_eq!(of(&harm, "lock.lock.expired"), 1.0, "{model}");
        assert_eq!(of(&harm, "lock.lock.late_updates"), 1.0, "{model}");
        assert_eq!(of(&harm, "state.lost_updates"), 1.0, "{model}");
        assert_eq!(of(&harm, "state.overwritten_unseen"), 1.0, "{model}");
        let safe = slow(r#"lease: "2s", fencing: true"#, model);
        assert_eq!(of(&safe, "lock.lock.fenced"), 1.0, "{model}");
        assert_eq!(of(&safe, "lock.lock.late_updates"), 0.0, "{model}");
        assert_eq!(of(&safe, "state.lost_updates"), 0.0, "{model}");
        assert_eq!(of(&safe, "state.unavailable"), 1.0, "{model}");
    }
}

#[test]
fn all_that_is_said_of_locks_is_measured() {
    let sheet = slow(r#"lease: "2s""#, "LastWriteWins()");
    let told = quorate::measures::infos().into_iter().map(|info| info.name);
    let told: Vec<String> = told
        .filter(|name| name.starts_with("lock."))
        .map(|name| name.replace('*', "lock"))
        .collect();
    assert_eq!(told.len(), 11);
    assert!(told.iter().all(|name| sheet.contains_key(name)), "{told:?}");
}

#[test]
fn optimistic_updates_lose_nothing_without_a_lock() {
    let agents = r#""w": (count: 4, at: "near", program: [
        Repeat(times: 3, steps: [CompareAndSwap(key: "k", think: "200ms", policy: "many")]),
    ])"#;
    let text = scenario("", "Primary()", agents, "");
    let text = text.replace(
        "policies: {",
        r#"policies: {"many": (attempts: 200, backoff: FullJitter(base: "100ms", cap: "1s")), "#,
    );
    let all = numbers(&text);
    assert_eq!(of(&all, "state.acknowledged"), 12.0);
    assert!(of(&all, "state.swaps.refused") > 0.0);
    assert_eq!(
        (of(&all, "state.lost_updates"), of(&all, "state.conflicts")),
        (0.0, 0.0)
    );
}

#[test]
fn a_lease_that_is_renewed_lasts_as_long_as_its_holder() {
    let agents = r#""w": (count: 2, at: "near", program: [WithLock(lock: "lock", steps: [Think("7s")])])"#;
    let renewed = numbers(&scenario(
        r#"lease: "2s", renew: "600ms""#,
        "LastWriteWins()",
        agents,
        "",
    ));
    assert_eq!(of(&renewed, "lock.lock.expired"), 0.0);
    assert_eq!(of(&renewed, "lock.lock.renewed"), 22.0);
    let runs_out = numbers(&scenario(r#"lease: "2s""#, "LastWriteWins()", agents, ""));
    assert_eq!(of(&runs_out, "lock.lock.expired"), 2.0);
    // One that crashes and loses its state renews nothing.
    let crash = r#""dies": Crash(who: "w", at: "1s", for: "20s", keep: Nothing)"#;
    let dies = numbers(&scenario(
        r#"lease: "2s", renew: "600ms""#,
        "LastWriteWins()",
        agents,
        crash,
    ));
    assert!(of(&dies, "lock.lock.expired") >= 1.0);
}

#[test]
fn a_lock_service_that_loses_its_state_grants_nothing_until_any_lease_is_over() {
    let agents = r#""w": (count: 3, at: "near", start: Spread(over: "300ms"), program: [
        Repeat(times: 4, steps: [WithLock(lock: "lock", policy: "p", steps: [Update(key: "k", think: "400ms", policy: "p")])]),
    ])"#;
    for keep in ["State", "Nothing"] {
        let crash = format!(r#""c": Crash(who: "lock", at: "900ms", for: "200ms", keep: {keep})"#);
        let all = numbers(&scenario(
            r#"lease: "3s", fencing: true"#,
            "LastWriteWins()",
            agents,
            &crash,
        ));
        assert_eq!(of(&all, "lock.lock.late_updates"), 0.0, "{keep}");
        assert_eq!(
            (of(&all, "state.lost_updates"), of(&all, "lock.lock.fenced")),
            (0.0, 0.0),
            "{keep}"
        );
        assert!(of(&all, "state.acknowledged") > 8.0, "{keep}");
    }
}

#[test]
fn a_clock_that_is_put_forward_ends_a_lease_early() {
    let step = r#""step": ClockStep(who: "lock", by: "3s", at: "200ms")"#;
    let all = numbers(&scenario(r#"lease: "2s""#, "LastWriteWins()", WRITERS, step));
    assert_eq!(of(&all, "lock.lock.expired"), 1.0);
}

#[test]
fn what_a_lock_cant_be_is_said() {
    let said = |text: &str| {
        let outcome = load("s.ron".as_ref(), &[], &Memory::new().with("s.ron", text), &Registry);
        assert!(outcome.scenario.is_none());
        render(&outcome.diagnostics, &outcome.sources, Show::default())
    };
    let late = said(&scenario(r#"lease: "1s", renew: "1s""#, "LastWriteWins()", WRITERS, ""));
    assert!(late.contains("a lease of 1s is over before it is renewed"), "{late}");
    let fenced =
        scenario("fencing: true", "LastWriteWins()", WRITERS, "").replace(r#"at: ["far"]"#, r#"at: ["far", "near"]"#);
    let fenced = said(&fenced);
    assert!(fenced.contains("none of them sees all tokens"), "{fenced}");
    let called = said(&scenario(
        "",
        "LastWriteWins()",
        r#""w": (count: 1, at: "near", program: [Call(service: "lock")])"#,
        "",
    ));
    assert!(called.contains("this service is a lock"), "{called}");
}
