//! Several limits at once, to the nanosecond and under every fault.

mod common;

use common::{measured, observed, read};
use quorate::check::critical_path::CriticalPath;
use quorate::scenario::syntax::{Memory, Show, render};
use quorate::scenario::{Registry, load};
use std::collections::BTreeMap;

/// One service with these fields, and agents of one group that do these steps.
fn scenario(service: &str, count: u32, steps: &str, more: &str) -> String {
    format!(
        r#"(
            quorate: 1, name: "limits", question: "?", until: AllDone(within: "1h"), sites: ["x"],
            services: {{"s": (at: "x", {service})}},
            policies: {{
                "again": (attempts: 50, backoff: None, honours_retry_after: true),
                "patient": (timeout: "60s", attempts: 5, backoff: FullJitter(base: "100ms", cap: "1s"), idempotency_key: true),
            }},
            agents: {{"a": (count: {count}, at: "x", program: [{steps}])}},
            {more}
        )"#
    )
}

fn numbers(text: &str) -> BTreeMap<String, f64> {
    measured(&read(text), 0, 0).sheet.numbers
}

fn said(text: &str) -> String {
    let outcome = load("s.ron".as_ref(), &[], &Memory::new().with("s.ron", text), &Registry);
    render(&outcome.diagnostics, &outcome.sources, Show::default())
}

const CALL: &str = r#"Call(service: "s", policy: "again", tokens: (tokens_in: 100, tokens_out: 10, max_out: 50))"#;

#[test]
fn who_waits_at_the_door_comes_in_when_all_limits_have_room_for_him() {
    // Two limits: a request each second, and 20 tokens of prompts each second; the bucket holds three prompts.
    let limits = r#"limits: [Requests(rate: "1/s", burst: 2), TokensIn(rate: "20/s", burst: 300)], excess: Wait"#;
    let of = numbers(&scenario(limits, 5, CALL, ""));
    // 0 s and 0 s; 1 s by the first limit; then 15 tokens have come back of 300 and one of five seconds lacks four.
    // The third takes the last 20 tokens of 320: 0 are left at 1 s, and each further prompt takes five seconds.
    assert_eq!(of["service.s.last_start"], 10.0);
    assert_eq!(of["service.s.wait.mean"], (0.0 + 0.0 + 1.0 + 5.0 + 10.0) / 5.0);
    assert_eq!((of["service.s.refused"], of["task.part.queueing"]), (0.0, 16.0 / 5.0));
}

#[test]
fn a_limit_of_requests_at_a_time_lets_the_next_in_when_one_leaves() {
    let limits = r#"time: "2s", limits: [Concurrency(most: 2)], excess: Wait"#;
    let of = numbers(&scenario(limits, 5, CALL, ""));
    assert_eq!((of["service.s.last_start"], of["service.s.busy"]), (4.0, 10.0 / 6.0));
    let limits = r#"time: "2s", limits: [Concurrency(most: 2, per: Agent)], excess: Wait"#;
    assert_eq!(numbers(&scenario(limits, 5, CALL, ""))["service.s.last_start"], 0.0);
}

#[test]
fn the_estimate_is_put_right_when_the_work_is_done() {
    // 50 are taken for each answer and 40 come back after a second: of 100 two come in, and then as many as there is room for.
    let limits = r#"time: "1s", limits: [TokensOut(rate: "1/h", burst: 100)], excess: Wait"#;
    let of = numbers(&scenario(limits, 7, CALL, ""));
    // Two at 0 s, 80 left at 1 s: one more, 70 left at 2 s, and so on: 60, 50, and 40 are too few for an estimate of 50.
    let starts = [0.0, 0.0, 1.0, 2.0, 3.0, 4.0];
    assert_eq!(of["service.s.wait.mean"], starts.iter().sum::<f64>() / 6.0);
    // The seventh waits until ten tokens have come: at one an hour the run is over before.
    assert_eq!((of["task.done"], of["task.unfinished"]), (6.0, 1.0));
}

#[test]
fn refusals_say_which_limit_it_was_and_when_to_come_again() {
    let limits = r#"time: "1s", limits: [
        Requests(rate: "1/s", burst: 3), TokensIn(rate: "50/s", burst: 250), Concurrency(most: 10)]"#;
    let of = numbers(&scenario(limits, 4, CALL, ""));
    // Two come in; the two others lack 50 tokens, for a second; then one comes in, and the other lacks a hundred for two seconds.
    assert_eq!(of["service.s.refused.tokens_in"], 3.0);
    assert_eq!(
        (of["service.s.refused.rate_limit"], of["service.s.refused.concurrency"]),
        (0.0, 0.0)
    );
    assert_eq!((of["service.s.last_start"], of["task.done"]), (3.0, 4.0));
    // A busy house says nothing of when: with attempts at once and without end nobody would wait.
    let busy = r#"time: "1s", limits: [Concurrency(most: 1)]"#;
    let of = numbers(&scenario(busy, 2, r#"Call(service: "s")"#, ""));
    assert_eq!((of["calls.refused.concurrency"], of["task.failed"]), (1.0, 1.0));
}

#[test]
fn what_is_more_than_there_is_ever_room_for_is_refused_and_told_before() {
    let limits = r#"tokens: (tokens_in: Uniform(low: 10, high: 90), tokens_out: 0), limits: [TokensIn(rate: "50/s", burst: 50)]"#;
    let text = scenario(limits, 40, r#"Call(service: "s", policy: "again")"#, "");
    assert!(said(&text).contains("E0522"), "{}", said(&text));
    let of = numbers(&text);
    assert!(of["calls.refused.too_large"] >= 50.0 && of["task.failed"] > 0.0);
    let never = r#"limits: [TokensIn(rate: "50/s", burst: 99)]"#;
    let said_of = said(&scenario(never, 1, CALL, ""));
    assert!(
        said_of.contains("E0521") && said_of.contains("never room for more than 99"),
        "{said_of}"
    );
    // What is stated for the answer counts, not what it has.
    let tokens = r#"limits: [Tokens(rate: "50/s", burst: 149)]"#;
    assert!(said(&scenario(tokens, 1, CALL, "")).contains("E0521"));
    let enough = r#"limits: [Tokens(rate: "50/s", burst: 150)]"#;
    assert_eq!(said(&scenario(enough, 1, CALL, "")), "");
}

#[test]
fn limits_that_can_not_be_are_refused_with_their_place() {
    let cases = [
        (r#"limit: (rate: "1/s"), limits: [Requests(rate: "1/s")]"#, "E0445"),
        (r#"excess: Wait"#, "E0520"),
        (
            r#"limits: [Requests(rate: "50/min", refill: Windows(every: "1s"))]"#,
            "E0520",
        ),
        (
            r#"limits: [Requests(rate: "60/min", burst: 3, refill: Windows())]"#,
            "E0520",
        ),
        (
            r#"limits: [Requests(rate: "60/min", refill: Windows(every: "1s", phase: "1s"))]"#,
            "E0520",
        ),
        (r#"limits: [Requests(rate: "0/min")]"#, "E02"),
        (r#"limits: [Concurrency(most: 0)]"#, "E02"),
        (r#"overload: ()"#, "E0520"),
        (r#"lock: (), limits: [Concurrency(most: 1)]"#, "E0495"),
    ];
    for (service, code) in cases {
        let text = said(&scenario(service, 1, r#"Think("1s")"#, ""));
        assert!(text.contains(code) && text.contains("s.ron:"), "{service}: {text}");
    }
}

#[test]
fn twice_as_much_comes_in_over_the_edge_of_a_window() {
    let limits = r#"limits: [Requests(rate: "10/min", refill: Windows(every: "1min", phase: "30s"))]"#;
    let agents = r#"agents: {"a": (count: Stream(arrivals: 40), at: "x", start: Spread(from: "29s", over: "2s"), program: [Call(service: "s")])}"#;
    let text = scenario(limits, 1, "", "").replace(r#"agents: {"a": (count: 1, at: "x", program: [])}"#, agents);
    assert!(text.contains("Spread"));
    let of = numbers(&text);
    // One each 50 ms: twenty come in within the window's last second and the next one's first; of each ten pass.
    assert_eq!((of["calls.served"], of["calls.refused.rate_limit"]), (20.0, 20.0));
}

#[test]
fn an_overloaded_service_refuses_beyond_what_it_has_room_for() {
    let of = numbers(&scenario(
        r#"servers: 1, time: "1s", overload: (above: 3)"#,
        5,
        r#"Call(service: "s")"#,
        "",
    ));
    assert_eq!((of["calls.refused.overloaded"], of["calls.served"]), (2.0, 3.0));
    let steps = r#"Repeat(times: 100, steps: [Call(service: "s")])"#;
    let text = scenario(r#"overload: (probability: 0.2)"#, 100, steps, "")
        .replace("program: [Repeat", "on_failure: Continue, program: [Repeat");
    let of = numbers(&text);
    // Four standard errors of a binomial share: 4 sqrt(0.2 * 0.8 / 10000) = 0.016.
    assert!(
        (of["calls.refused_share"] - 0.2).abs() < 0.016,
        "{}",
        of["calls.refused_share"]
    );
}

#[test]
fn the_account_of_every_task_is_rebuilt_from_records_under_faults() {
    let drawn = |name: &str, what: &str, to_failure: u32, to_repair: u32| {
        format!(
            r#""{name}": {what}, when: Drawn(until: "400s", to_failure: Exponential(mean: "{to_failure}s"),
                to_repair: Exponential(mean: "{to_repair}s"))),"#
        )
    };
    let faults = [
        drawn("crash", r#"Crash(who: "s", keep: State"#, 20, 3),
        drawn("lost", r#"Crash(who: "s", keep: Nothing"#, 60, 2),
        drawn("pause", r#"Pause(who: "s""#, 15, 3),
        drawn("slow", r#"Stall(services: "s", speed: 0.3"#, 15, 5),
    ];
    let limits = r#"servers: 3, queue: 8, time: Exponential(mean: "1s"), limits: [
        Requests(rate: "2/s", burst: 4), Requests(rate: "60/min", refill: Windows(every: "10s"), per: Group),
        TokensOut(rate: "100/s", burst: 300, estimate: Uniform(low: 20, high: 80), per: Agent), Concurrency(most: 5)],
        tokens: (tokens_in: 10, tokens_out: Exponential(mean: 60))"#;
    for excess in ["Wait", "Refuse()"] {
        let service = format!("{limits}, excess: {excess}");
        let text = scenario(&service, 1, "", &format!("faults: {{{}}},", faults.concat()));
        let stream = r#"agents: {"a": (count: Stream(), at: "x", start: Poisson(rate: "1.5/s"), program: [Call(service: "s", policy: "patient")])}"#;
        let text = text
            .replace(r#"agents: {"a": (count: 1, at: "x", program: [])}"#, stream)
            .replace(r#"AllDone(within: "1h")"#, r#"At("400s")"#);
        let scenario = read(&text);
        for seed in 1..=4 {
            let path = observed(&scenario, seed, CriticalPath::new());
            assert!(path.checked() > 50, "{excess}: {} tasks", path.checked());
            assert_eq!(path.wrong(), &[] as &[String], "{excess}, seed {seed}");
        }
        // Little's law and all other books.
        measured(&scenario, 0, 0);
    }
}
