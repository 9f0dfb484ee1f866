//! What gateways do about slow, refused and lost calls beyond timeouts and retries: hedges, a budget of retries, a throttle.

mod common;

use common::{measured, observed, read};
use quorate::check::critical_path::CriticalPath;
use std::collections::BTreeMap;

/// Clients at "edge", a gateway and others in the "cloud", 10 ms from each other; within a site a hop takes 1 ms.
fn scenario(gate: &str, policy: &str, services: &str, agents: &str, rest: &str) -> String {
    format!(
        r#"(
            quorate: 1, name: "gateways", until: AllDone(within: "1h"), sites: ["edge", "cloud"],
            network: (local: (one_way: "1ms"), links: [(between: ("edge", "cloud"), one_way: "10ms")]),
            services: {{"gate": (at: "cloud", forwards: ({gate}, policy: "g")), {services}}},
            policies: {{"g": ({policy}), "patient": (timeout: "60s", attempts: 9)}},
            agents: {{{agents}}},
            {rest}
        )"#
    )
}

/// An agent that waits for so many milliseconds and calls once, as the task `t` of its number.
fn client(n: u64, wait: u64) -> String {
    let steps = format!(r#"[Task(name: "t{n}", steps: [Call(service: "gate")])]"#);
    format!(r#""c{n}": (count: 1, at: "edge", start: AtOnce(at: "{wait}ms"), program: {steps}),"#)
}

/// One agent that calls so many times, one call after the other.
fn row(calls: u32) -> String {
    let call = r#"Call(service: "gate"), Think("1ms")"#;
    format!(r#""c": (count: 1, at: "edge", on_failure: Continue, program: [Repeat(times: {calls}, steps: [{call}])])"#)
}

fn numbers(text: &str) -> BTreeMap<String, f64> {
    measured(&read(text), 0, 0).sheet.numbers
}

fn gateway<const N: usize>(of: &BTreeMap<String, f64>, names: [&str; N]) -> [f64; N] {
    names.map(|name| of[&format!("gateway.gate.{name}")])
}

const TWO: &str = r#""a": (at: "cloud", time: "100ms"), "b": (at: "cloud", time: "300ms", abandoned: Interrupt)"#;
const REFUSES: &str = r#""s": (at: "cloud", overload: (probability: 1))"#;

#[test]
fn a_hedge_goes_to_who_was_not_asked_and_the_time_before_it_is_retrying() {
    let agents = client(0, 0) + &client(1, 1000);
    let with = |policy: &str| numbers(&scenario(r#"to: ["a", "b"]"#, policy, TWO, &agents, ""));
    let of = with(r#"hedge: (after: "150ms")"#);
    let ms = |name: &str| (of[name] * 1e9).round() / 1e6;
    // The first is asked of "a", in time. The second of "b", from 1010 ms on, and of "a" from 1160 ms on.
    assert_eq!((ms("task.t0.time.mean"), ms("task.t1.time.mean")), (122.0, 272.0));
    let parts = ["service", "network", "retrying"].map(|part| ms(&format!("task.t1.part.{part}")));
    assert_eq!(parts, [100.0, 22.0, 150.0]);
    assert_eq!(
        gateway(&of, ["calls", "attempts", "answered", "left"]),
        [2.0, 3.0, 2.0, 1.0]
    );
    assert_eq!(
        gateway(&of, ["hedges", "hedges.used", "hedges.left_out"]),
        [1.0, 1.0, 0.0]
    );
    assert_eq!(
        (of["service.b.cancellations"], of["service.b.served"]),
        (0.0, 0.0),
        "the run is over before"
    );
    // Who is told stops, long before it would have been done. Turns go on after the hedge, so that the third begins with "b" as well.
    let agents = agents.clone() + &client(2, 3000);
    let told = numbers(&scenario(
        r#"to: ["a", "b"]"#,
        r#"hedge: (after: "150ms"), cancels: true"#,
        TWO,
        &agents,
        "",
    ));
    assert_eq!(
        (told["service.b.cancellations"], told["service.b.discarded"]),
        (2.0, 2.0)
    );
    assert_eq!(
        (told["service.b.served"], told["calls.cancellations.in_time"]),
        (0.0, 2.0)
    );
}

#[test]
fn an_attempt_that_fails_beside_others_changes_nothing_and_a_round_has_its_hedges() {
    // "a" never finishes what it begins, and refuses what comes then.
    let slow = r#""a": (at: "cloud", servers: 1, time: "1h", queue: 0, abandoned: Discard), "b": (at: "cloud", time: "300ms")"#;
    let policy = r#"timeout: "200ms", attempts: 3, hedge: (after: "50ms"), backoff: Fixed("7ms")"#;
    let of = numbers(&scenario(r#"to: ["a", "b"]"#, policy, slow, &client(0, 0), ""));
    // In the first round "a" and, as its hedge, "b" take too long. In the second "a" refuses before a hedge is due. In the third "b" takes too
    // long, and its hedge is refused beside it.
    let names = ["attempts", "hedges", "timed_out", "refused", "answered"];
    assert_eq!(gateway(&of, names), [5.0, 2.0, 3.0, 2.0, 0.0]);
    assert_eq!(of["calls.failed"], 1.0);
}

#[test]
fn a_quantile_of_what_was_seen_decides_when_to_hedge() {
    // Of those that are asked of "s", one in twenty takes a second.
    let service = r#""s": (at: "cloud", time: Mixture([(19, Uniform(low: "5ms", high: "15ms")), (1, "1s")])),
        "t": (at: "cloud", time: Uniform(low: "5ms", high: "15ms"))"#;
    let with = |policy: &str| numbers(&scenario(r#"to: ["s", "t"]"#, policy, service, &row(400), ""));
    let of = with(r#"hedge: (after: Quantile(share: 0.9, least: 40))"#);
    let [calls, hedges, used] = gateway(&of, ["calls", "hedges", "hedges.used"]);
    assert_eq!(calls, 400.0);
    // One in ten of 360, give or take four standard deviations, and those who lost to a hedge count as having taken as long as that.
    assert!((hedges - 36.0).abs() < 4.0 * (36.0_f64 * 0.9).sqrt(), "{hedges}");
    assert!((5.0..=hedges).contains(&used), "{used}");
    let plain = with("");
    assert!(
        of["task.time.mean"] < plain["task.time.mean"] - 4.0,
        "half of ten seconds and more"
    );
}

#[test]
fn retries_are_a_share_of_the_calls() {
    let policy = "attempts: 4, retry_budget: (ratio: 0.1, most: 3)";
    let of = numbers(&scenario(r#"to: "s""#, policy, REFUSES, &row(100), ""));
    // A full bucket takes nothing in: the first deposit is lost, and nine and nine tenths come after it.
    assert_eq!(gateway(&of, ["calls", "attempts", "refused"]), [100.0, 112.0, 112.0]);
    // The first call spends the bucket; each token after that is for one call, which fails all the same.
    assert_eq!(gateway(&of, ["unretried"]), [99.0]);
    let fed = numbers(&scenario(
        r#"to: "s""#,
        "attempts: 4, retry_budget: (most: 3, fed_by: Successes)",
        REFUSES,
        &row(100),
        "",
    ));
    assert_eq!(gateway(&fed, ["attempts"]), [103.0]);
    // Hedges take of it where it says so.
    let hedged = r#"hedge: (after: "1ms", most: 9), retry_budget: (ratio: 0.1, most: 5, hedges: true)"#;
    let of = numbers(&scenario(
        r#"to: "s""#,
        hedged,
        r#""s": (at: "cloud", time: "1s")"#,
        &row(1),
        "",
    ));
    assert_eq!(gateway(&of, ["hedges", "hedges.left_out"]), [5.0, 4.0]);
}

#[test]
fn a_throttle_lets_through_a_harmonic_number_of_requests_to_a_server_that_accepts_none() {
    let policy = r#"throttle: (window: "1h")"#;
    let text = scenario(r#"to: "s""#, policy, REFUSES, &row(1000), "");
    let scenario_read = read(&text);
    let (mut sent, runs) = (0.0, 20);
    for replicate in 0..runs {
        let of = measured(&scenario_read, 0, replicate).sheet.numbers;
        let [calls, attempts, rejected] = gateway(&of, ["calls", "attempts", "rejected"]);
        assert_eq!((calls, attempts + rejected), (1000.0, 1000.0));
        sent += attempts;
    }
    // The n-th passes with the probability 1 / n: 7.485 of a thousand, with a variance of 5.84; four standard errors.
    let error = 4.0 * (5.84_f64 / f64::from(runs)).sqrt();
    assert!(
        (sent / f64::from(runs) - 7.485).abs() < error,
        "{}",
        sent / f64::from(runs)
    );
}

#[test]
fn what_is_rejected_is_tried_again_elsewhere_after_a_backoff() {
    let services = r#""s": (at: "cloud", overload: (probability: 1)), "good": (at: "cloud", time: "5ms")"#;
    let policy = r#"attempts: 2, backoff: Fixed("20ms"), throttle: (window: "1h")"#;
    let of = numbers(&scenario(
        r#"to: ["s", "good"], routing: Sticky"#,
        policy,
        services,
        &row(200),
        "",
    ));
    let [calls, answered, rejected] = gateway(&of, ["calls", "answered", "rejected"]);
    assert_eq!((calls, answered, of["calls.failed"]), (200.0, 200.0, 0.0));
    // Sticky asks one of the two first: all are rejected there but a few, or none is.
    assert!(rejected > 180.0 || rejected == 0.0, "{rejected}");
}

#[test]
fn the_accounts_of_calls_that_are_hedged_throttled_and_limited_are_rebuilt_from_the_records() {
    let gate = r#"to: ["a", "b", "d"], routing: PowerOf(2)"#;
    let policy = r#"timeout: "500ms", attempts: 4, backoff: FullJitter(base: "5ms", cap: "100ms"), cancels: true, throttle: (k: 1.1, window: "2s"),
        hedge: (after: Quantile(share: 0.8, least: 20), most: 2), retry_budget: (ratio: 0.5, hedges: true)"#;
    let services = r#""a": (at: "cloud", servers: 2, queue: 1, time: Exponential(mean: "100ms")), "d": (at: "cloud", overload: (probability: 0.7), time: "20ms"),
        "b": (at: "cloud", servers: 3, time: Exponential(mean: "200ms"), abandoned: Interrupt)"#;
    let steps = r#"[Call(service: "gate", policy: "patient"), Think(Exponential(mean: "100ms"))]"#;
    let agents =
        format!(r#""c": (count: 12, at: "edge", on_failure: Continue, program: [Repeat(times: 60, steps: {steps})])"#);
    let faults = r#"faults: {"p": Pause(who: "gate", at: "3s", for: "1s"), "s": Stall(services: "gate", speed: 0.2, at: "6s", for: "2s"),
        "c": Crash(who: "a", at: "7s", for: "2s"), "k": Crash(who: "gate", keep: State, at: "9s", for: "1s")},"#;
    let text = scenario(gate, policy, services, &agents, faults);
    let scenario_read = read(&text);
    for seed in 0..5 {
        let check = observed(&scenario_read, seed, CriticalPath::new());
        assert_eq!(check.wrong(), [""; 0]);
        assert!(check.checked() > 10);
    }
    // All of it happens.
    let of = measured(&scenario_read, 0, 0).sheet.numbers;
    let all = gateway(
        &of,
        [
            "rejected",
            "unretried",
            "hedges",
            "hedges.used",
            "hedges.left_out",
            "left",
            "refused",
            "timed_out",
        ],
    );
    assert!(all.iter().all(|count| *count > 0.0), "{all:?}");
}

#[test]
fn proxies_that_nobody_declared_are_in_no_list_and_routes_are() {
    use quorate::scenario::syntax::{Memory, Show, render};
    let said = |change: (&str, &str)| {
        let text = r#"(
            quorate: 1, name: "m", until: At("1s"), sites: ["edge", "cloud"],
            services: {"model": (at: "cloud", limits: [Requests(rate: "60/min", refill: Windows(phase: "1s"))])},
            meshes: {"mesh": (routes: {"way": "model"})},
            agents: {"a": (count: Stream(), at: "edge", start: Surge(rate: "1/s", to: "2/s", at: "100ms"), program: [Call(service: "way")])},
            faults: {"f": Pause(who: "way from edge", at: "100ms", for: "1ms")},
        )"#;
        assert!(text.contains(change.0), "{}", change.0);
        let text = text.replace(change.0, change.1);
        let outcome = quorate::scenario::load(
            "s.ron".as_ref(),
            &[],
            &Memory::new().with("s.ron", text.as_str()),
            &quorate::scenario::Registry,
        );
        render(&outcome.diagnostics, &outcome.sources, Show::default())
    };
    assert_eq!(said(("", "")), "", "a proxy can be named");
    let call = said(("service: \"way\"", "service: \"modle\""));
    assert!(
        call.contains("did you mean \"model\"?") && call.contains("declared: `model` and `way`\n"),
        "{call}"
    );
    let fault = said(("who: \"way from edge\"", "who: \"tool\""));
    assert!(
        fault.contains("declared: `edge`, `cloud`, `a` and `model`\n"),
        "{fault}"
    );
    let surge = said(("at: \"100ms\")", "at: \"0s\")"));
    assert!(
        surge.contains("a surge begins after the run does, and this one at 0s"),
        "{surge}"
    );
    let edge = said(("phase: \"1s\"", "phase: \"2min\""));
    assert!(
        edge.contains(
            "windows of 60s have an edge in any 60s: the `phase` of the first one is less than that, and this is 120s"
        ),
        "{edge}"
    );
}
