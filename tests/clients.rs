//! What clients do about slow, refused and lost calls: deadlines, cancellations, budgets of retries, throttles, breakers, hedges.

mod common;

use common::{measured, read};
use std::collections::BTreeMap;

/// The numbers of a run of clients that call a service by the policy "p"; `rest` is what else the scenario has.
fn numbers(service: &str, policy: &str, agents: &str, rest: &str) -> BTreeMap<String, f64> {
    let text = format!(
        r#"(
            quorate: 1, name: "clients", seed: 1, until: At("100s"), sites: ["x"],
            services: {{"s": (at: "x", {service})}},
            policies: {{"p": ({policy})}},
            agents: {{{agents}}},
            {rest}
        )"#
    );
    measured(&read(&text), 0, 0).sheet.numbers
}

/// One agent that calls once.
const ONE: &str = r#""a": (count: 1, at: "x", on_failure: Continue, program: [Call(service: "s", policy: "p")]),"#;

/// A number that was measured.
fn of(numbers: &BTreeMap<String, f64>, name: &str) -> f64 {
    *numbers
        .get(name)
        .unwrap_or_else(|| panic!("{name} isn't measured: {:?}", numbers.keys()))
}

#[test]
fn a_deadline_ends_a_call_in_the_middle_of_an_attempt() {
    let of_it = numbers(
        r#"time: "10s""#,
        r#"timeout: "2s", attempts: 5, deadline: "5s""#,
        ONE,
        "",
    );
    assert_eq!(of(&of_it, "calls.attempts"), 3.0, "at 0, 2 and 4 s");
    assert_eq!(of(&of_it, "calls.timed_out"), 3.0);
    assert_eq!(of(&of_it, "calls.too_late"), 1.0);
    assert_eq!(of(&of_it, "task.time.mean"), 5.0);
}

#[test]
fn a_backoff_that_would_end_beyond_the_deadline_is_not_begun() {
    let policy = r#"timeout: "2s", attempts: 5, backoff: Fixed("2s"), deadline: "5s""#;
    let of_it = numbers(r#"time: "10s""#, policy, ONE, "");
    // At 0 and 4 s; the second one's timeout would be at 6 s.
    assert_eq!((of(&of_it, "calls.attempts"), of(&of_it, "task.time.mean")), (2.0, 5.0));
    let policy = r#"timeout: "2s", attempts: 5, backoff: Fixed("3s"), deadline: "5s""#;
    let of_it = numbers(r#"time: "10s""#, policy, ONE, "");
    assert_eq!((of(&of_it, "calls.attempts"), of(&of_it, "task.time.mean")), (1.0, 2.0));
    assert_eq!(of(&of_it, "calls.too_late"), 1.0);
}

#[test]
fn a_server_discards_what_is_beyond_its_deadline_and_does_not_bill_it() {
    let agents = r#""a": (count: 4, at: "x", on_failure: Continue, program: [Call(service: "s", policy: "p")]),"#;
    let service =
        |abandoned: &str| format!(r#"servers: 1, time: "2s", price: (call: "1 USD"), abandoned: {abandoned}"#);
    let with = |abandoned: &str| numbers(&service(abandoned), r#"deadline: "3s""#, agents, "");
    let served = with("Serve");
    assert_eq!((of(&served, "calls.answered"), of(&served, "calls.served")), (1.0, 4.0));
    assert_eq!((of(&served, "calls.wasted"), of(&served, "calls.money")), (3.0, 4.0));
    for abandoned in ["Discard", "Interrupt"] {
        let discarded = with(abandoned);
        // The second one is in work from 2 s on, and is beyond its deadline when it's done.
        assert_eq!(
            (of(&discarded, "calls.answered"), of(&discarded, "calls.served")),
            (1.0, 2.0)
        );
        assert_eq!(
            (
                of(&discarded, "calls.discarded"),
                of(&discarded, "calls.discarded.late")
            ),
            (2.0, 2.0)
        );
        assert_eq!(
            (of(&discarded, "calls.work_saved"), of(&discarded, "calls.money")),
            (4.0, 2.0)
        );
        assert_eq!(of(&discarded, "calls.duplicate_effects"), 0.0);
    }
}

#[test]
fn cancellations_discard_what_waits_and_stop_what_is_in_work_under_every_discipline() {
    let agents = r#""a": (count: 3, at: "x", on_failure: Continue, program: [Call(service: "s", policy: "p")]),"#;
    for discipline in ["Fifo", "Lifo", "Priority", "ShortestFirst", "Sharing"] {
        let with = |abandoned: &str, cancels: bool| {
            let service = format!(r#"servers: 1, time: "10s", discipline: {discipline}, abandoned: {abandoned}"#);
            numbers(&service, &format!(r#"timeout: "4s", cancels: {cancels}"#), agents, "")
        };
        let shared = discipline == "Sharing";
        let silent = with("Interrupt", false);
        assert_eq!(
            (of(&silent, "calls.served"), of(&silent, "calls.cancellations")),
            (3.0, 0.0)
        );
        let kept = with("Serve", true);
        assert_eq!(
            (of(&kept, "calls.served"), of(&kept, "calls.cancellations.too_late")),
            (3.0, 3.0)
        );
        let discarded = with("Discard", true);
        assert_eq!(of(&discarded, "calls.served"), if shared { 3.0 } else { 1.0 });
        assert_eq!(of(&discarded, "calls.discarded"), if shared { 0.0 } else { 2.0 });
        let stopped = with("Interrupt", true);
        assert_eq!(
            (of(&stopped, "calls.served"), of(&stopped, "calls.discarded")),
            (0.0, 3.0),
            "{discipline}"
        );
        assert_eq!(of(&stopped, "calls.cancellations.in_time"), 3.0);
        // Four seconds of work are done, whoever they are for.
        assert!((of(&stopped, "calls.work_saved") - 26.0).abs() < 1e-6, "{discipline}");
        assert_eq!(of(&stopped, "messages.cancel.sent"), 3.0);
    }
}

#[test]
fn what_another_attempt_of_the_call_waits_for_is_not_discarded() {
    let policy = r#"timeout: "4s", attempts: 4, idempotency_key: true, cancels: true"#;
    for abandoned in ["Discard", "Interrupt"] {
        let service = format!(r#"servers: 1, time: "10s", abandoned: {abandoned}"#);
        let network = r#"network: (default: (one_way: "100ms")),"#;
        let text_agents = r#""a": (count: 1, at: "y", program: [Call(service: "s", policy: "p")]),"#;
        let text = format!(
            r#"(quorate: 1, name: "c", seed: 1, until: At("100s"), sites: ["x", "y"], {network}
                services: {{"s": (at: "x", {service})}}, policies: {{"p": ({policy})}}, agents: {{{text_agents}}})"#
        );
        let of_it = measured(&read(&text), 0, 0).sheet.numbers;
        // A cancellation leaves before the attempt that follows it, and so comes before it: the first attempt is alone.
        let stopped = abandoned == "Interrupt";
        assert_eq!(
            of(&of_it, "calls.answered"),
            if stopped { 0.0 } else { 1.0 },
            "{abandoned}"
        );
    }
}

#[test]
fn a_hedge_of_the_same_call_keeps_the_work_that_it_waits_for() {
    // Both are at the server when the first is given up, and the second is answered.
    let policy = r#"timeout: "4s", idempotency_key: true, cancels: true, hedge: (after: "2s")"#;
    let of_it = numbers(r#"servers: 1, time: "5s", abandoned: Interrupt"#, policy, ONE, "");
    assert_eq!((of(&of_it, "calls.answered"), of(&of_it, "calls.served")), (1.0, 1.0));
    assert_eq!((of(&of_it, "calls.hedges"), of(&of_it, "calls.hedges.won")), (1.0, 1.0));
    assert_eq!(of(&of_it, "calls.cancellations.too_late"), 1.0);
    assert_eq!(of(&of_it, "task.time.mean"), 5.0);
}

#[test]
fn a_wrong_guess_is_cancelled() {
    let program = r#""a": (count: 1, at: "x", program: [
        Speculate(basis: [Think("1s")], guess: [Call(service: "s", policy: "p")], right: 0),
    ]),"#;
    let of_it = numbers(
        r#"servers: 1, time: "10s", abandoned: Interrupt"#,
        "cancels: true",
        program,
        "",
    );
    assert_eq!(
        (of(&of_it, "calls.cancellations"), of(&of_it, "calls.discarded.in_work")),
        (1.0, 1.0)
    );
    // Done again at once, by a server that is free.
    assert_eq!(of(&of_it, "task.time.mean"), 11.0);
}

#[test]
fn whoever_crashes_cancels_nothing() {
    let crash = r#"faults: {"c": Crash(who: "a", keep: Nothing, at: "1s", for: "1s")},"#;
    let of_it = numbers(
        r#"servers: 1, time: "10s", abandoned: Interrupt"#,
        "cancels: true",
        ONE,
        crash,
    );
    assert_eq!(
        (of(&of_it, "calls.cancellations"), of(&of_it, "calls.served")),
        (0.0, 2.0)
    );
}

/// A server that refuses everything: one request is let in, which keeps it busy.
const REFUSES: &str = r#"servers: 1, queue: 0, time: "1000s""#;

#[test]
fn a_retry_budget_bounds_amplification_by_one_and_its_ratio() {
    let agents = r#""a": (count: Stream(arrivals: 5000), at: "x", on_failure: Continue, start: Poisson(rate: "100/s"),
        program: [Call(service: "s", policy: "p")]),"#;
    let with = |budget: &str| {
        let policy = format!(r#"timeout: "1s", attempts: 4, {budget} shared_by: Group"#);
        numbers(REFUSES, &policy, agents, "")
    };
    assert!(of(&with(""), "calls.amplification") > 3.99);
    let bounded = with("retry_budget: (ratio: 0.2, most: 10),");
    let amplification = of(&bounded, "calls.amplification");
    assert!((amplification - 1.2).abs() < 0.003, "{amplification}");
    assert!(amplification <= 1.2 + 10.0 / 5000.0);
    assert!(of(&bounded, "calls.out_of_budget") > 3_000.0);
    // Nothing succeeds, and nothing fills the bucket.
    let starved = with("retry_budget: (ratio: 0.2, most: 10, fed_by: Successes),");
    assert_eq!(of(&starved, "calls.attempts"), 5_010.0);
}

#[test]
fn a_breaker_rejects_while_it_is_open_and_closes_when_the_server_is_back() {
    let agents = r#""a": (count: 1, at: "x", on_failure: Continue,
        program: [Repeat(times: 90, steps: [Sleep("1s"), Call(service: "s", policy: "p")])]),"#;
    let outage = r#"faults: {"c": Crash(who: "s", at: "10.5s", for: "30s", keep: Nothing)},"#;
    let policy = r#"timeout: "100ms", breaker: (trips: 3, open: "10s", closes_after: 2)"#;
    let of_it = numbers(r#"time: "10ms""#, policy, agents, outage);
    // Three attempts fail, then one probe every ten seconds, of which three come while the server is down.
    assert_eq!(of(&of_it, "calls.timed_out"), 3.0 + 2.0);
    assert_eq!(of(&of_it, "calls.breaker.opened"), 3.0);
    assert_eq!(of(&of_it, "calls.breaker.open"), 30.0);
    let rejected = of(&of_it, "calls.rejected.breaker");
    assert_eq!(of(&of_it, "calls.answered") + rejected + 5.0, 90.0);
    assert!(rejected > 20.0, "{rejected}");
}

#[test]
fn rejections_without_end_do_not_nest_and_take_a_backoff() {
    let agents = r#""a": (count: 1, at: "x", on_failure: Continue, program: [
        Call(service: "s", policy: "p"), Repeat(times: 50000, steps: [Call(service: "s", policy: "p")]),
    ]),"#;
    let policy = r#"timeout: "1s", breaker: (trips: 1, open: "1h")"#;
    let of_it = numbers(r#"time: "10s""#, policy, agents, "");
    assert_eq!(
        (of(&of_it, "calls.rejected"), of(&of_it, "calls.attempts")),
        (50_000.0, 1.0)
    );
    let policy = r#"timeout: "1s", attempts: 3, backoff: Fixed("1s"), breaker: (trips: 1, open: "1h")"#;
    let of_it = numbers(r#"time: "10s""#, policy, ONE, "");
    assert_eq!((of(&of_it, "calls.rejected"), of(&of_it, "task.time.mean")), (2.0, 3.0));
}

#[test]
fn a_deadline_propagates_to_what_a_handler_calls_until_it_replies() {
    let agents = |propagate: bool| {
        format!(
            r#""asker": (count: 1, at: "x", on_failure: Continue, program: [
                Ask(to: Member("helper", 0), topic: "q", timeout: "3s", propagate: {propagate}),
            ]),
            "helper": (count: 1, at: "x", on_failure: Continue, on: {{"q": [
                Parallel([[Call(service: "s")], [Think("1s"), Call(service: "s", policy: "p")]]), Reply(), Call(service: "s"),
            ]}}),"#
        )
    };
    let through = numbers(r#"time: "10s""#, r#"timeout: "50s""#, &agents(true), "");
    assert_eq!(
        (of(&through, "calls.too_late"), of(&through, "calls.answered")),
        (2.0, 1.0)
    );
    let apart = numbers(r#"time: "10s""#, r#"timeout: "50s""#, &agents(false), "");
    assert_eq!((of(&apart, "calls.answered"), of(&apart, "calls.failed")), (3.0, 0.0));
}

/// A scenario in which a call names two services, of which the first takes so long.
fn two(policy: &str, slow: &str, route: &str, rest: &str) -> BTreeMap<String, f64> {
    let text = format!(
        r#"(
            quorate: 1, name: "two", seed: 1, until: At("100s"), sites: ["x"],
            services: {{"a": (at: "x", servers: 1, {slow}), "b": (at: "x", servers: 1, time: "1s", abandoned: Discard)}},
            policies: {{"p": ({policy})}},
            agents: {{"c": (count: 1, at: "x", on_failure: Continue, program: [Sleep("1s"), Call(service: ["a", "b"], {route} policy: "p")]){rest}}},
        )"#
    );
    measured(&read(&text), 0, 0).sheet.numbers
}

#[test]
fn retries_and_hedges_go_to_the_other_service_and_records_name_it() {
    let retried = two(r#"timeout: "3s", attempts: 2"#, r#"time: "10s""#, "", "");
    assert_eq!(
        (of(&retried, "service.a.attempts"), of(&retried, "service.b.attempts")),
        (1.0, 1.0)
    );
    assert_eq!(
        (of(&retried, "service.b.served"), of(&retried, "service.b.wasted")),
        (1.0, 0.0)
    );
    assert_eq!(
        (of(&retried, "service.a.unused"), of(&retried, "calls.time.mean")),
        (1.0, 4.0)
    );
    let hedged = two(r#"hedge: (after: "2s")"#, r#"time: "10s""#, "", "");
    assert_eq!(
        (of(&hedged, "service.b.hedges.won"), of(&hedged, "calls.time.mean")),
        (1.0, 3.0)
    );
    assert_eq!(of(&hedged, "task.part.retrying"), 2.0);
}

#[test]
fn of_tied_requests_the_one_that_waits_is_discarded_when_the_other_is_begun() {
    // The first service is busy with somebody else until 5 s.
    let busy = r#", "other": (count: 1, at: "x", program: [Call(service: "a")])"#;
    let slow = r#"time: "5s", abandoned: Discard"#;
    let tied = two(r#"hedge: (after: "0s", tied: true)"#, slow, "", busy);
    assert_eq!(
        (of(&tied, "calls.discarded"), of(&tied, "calls.hedges.won")),
        (1.0, 1.0)
    );
    assert_eq!(of(&tied, "service.a.served"), 1.0);
    let loose = two(r#"hedge: (after: "0s")"#, slow, "", busy);
    assert_eq!(
        (of(&loose, "calls.discarded"), of(&loose, "service.a.served")),
        (0.0, 2.0)
    );
}

/// The codes of what is wrong with a policy "p" that a step names.
fn problems(policy: &str, step: &str) -> Vec<u16> {
    let text = format!(
        r#"(
            quorate: 1, name: "wrong", seed: 1, until: At("1s"), sites: ["x"],
            services: {{"s": (at: "x"), "t": (at: "x"), "l": (at: "x", lock: ())}},
            state: {{"store": (at: "x", model: LastWriteWins, keys: {{"k": Register()}})}},
            policies: {{"p": ({policy})}},
            agents: {{"a": (count: 1, at: "x", program: [{step}]), "b": (count: 1, at: "x", on: {{"q": [Reply()]}})}},
        )"#
    );
    let memory = quorate::scenario::syntax::Memory::new().with("s.ron", text.as_str());
    let outcome = quorate::scenario::load("s.ron".as_ref(), &[], &memory, &quorate::scenario::Registry);
    let all = outcome.diagnostics.iter();
    all.map(|problem| problem.code.number()).collect()
}

#[test]
fn what_cannot_work_is_refused() {
    let call = r#"Call(service: "s", policy: "p")"#;
    for (policy, code) in [
        ("breaker: (probes: 0)", 500),
        ("breaker: (closes_after: 0)", 500),
        ("breaker: (trips: 0)", 500),
        ("breaker: (trips: Rate(share: 1.5))", 500),
        ("breaker: (trips: Rate(share: 0))", 500),
        (r#"timeout: "1s", hedge: (after: "1s")"#, 501),
        (r#"deadline: "1s", hedge: (after: "2s")"#, 501),
        (r#"hedge: (after: "2s", most: 0)"#, 501),
        (r#"hedge: (after: "0s", most: 1000000)"#, 501),
        ("hedge: (after: Quantile(share: 0.9, least: 1001))", 501),
        ("hedge: (after: Quantile(share: 1))", 501),
        (r#"hedge: (after: "2s", tied: true)"#, 501),
        (r#"deadline: "1s", attempts: 3, backoff: Fixed("1s")"#, 502),
        (
            r#"deadline: "1s", attempts: Unlimited, backoff: Exponential(base: "600ms", cap: "1min")"#,
            502,
        ),
        ("attempts: 2, retry_budget: (ratio: 0)", 503),
        ("attempts: 2, retry_budget: (ratio: -0.1)", 503),
        ("attempts: 2, retry_budget: (most: 0)", 503),
        ("throttle: (k: 0.5)", 503),
        ("throttle: (k: -2)", 503),
    ] {
        assert_eq!(problems(policy, call), [code], "{policy}");
    }
    for (policy, step, code) in [
        (r#"hedge: (after: "1s")"#, r#"Read(key: "k", policy: "p")"#, 504),
        ("cancels: true", r#"Write(key: "k", policy: "p")"#, 504),
        (
            "cancels: true",
            r#"WithLock(lock: "l", policy: "p", steps: [Think("1s")])"#,
            504,
        ),
        ("", r#"Call(service: ["s", "s"], policy: "p")"#, 505),
        ("", r#"Call(service: "s", route: Random, policy: "p")"#, 505),
        ("", r#"Call(service: ["s", "t"], route: PowerOf(3), policy: "p")"#, 505),
        ("", r#"Call(service: ["s", "l"], policy: "p")"#, 495),
        ("", r#"Call(service: ["s", "u"], policy: "p")"#, 402),
        (
            "",
            r#"Call(service: "s", policy: "p"), Ask(to: Member("b", 0), topic: "q", propagate: true)"#,
            502,
        ),
    ] {
        let found = problems(policy, step);
        assert!(found.contains(&code), "{policy} {step}: {found:?}");
    }
    for good in [
        r#"timeout: "1s", hedge: (after: "999ms")"#,
        r#"deadline: "1s", attempts: 3, backoff: FullJitter(base: "5s", cap: "1min")"#,
        r#"deadline: "1s", backoff: None"#,
        "breaker: (trips: Rate(share: 1)), throttle: (k: 1), attempts: 2, retry_budget: (ratio: 2), cancels: true",
    ] {
        assert_eq!(problems(good, call), [] as [u16; 0], "{good}");
    }
    let all = r#"deadline: "1s", breaker: (), throttle: (), attempts: 2, retry_budget: ()"#;
    assert_eq!(problems(all, r#"Read(key: "k", policy: "p")"#), [] as [u16; 0]);
}

#[test]
fn operations_on_shared_state_have_deadlines_and_breakers() {
    let text = r#"(
        quorate: 1, name: "state", seed: 1, until: At("100s"), sites: ["x"],
        state: {"store": (at: "x", model: LastWriteWins, keys: {"k": Register()})},
        policies: {"p": (timeout: "1s", attempts: 10, deadline: "3500ms", breaker: (trips: 2, open: "1h"))},
        agents: {"a": (count: 1, at: "x", on_failure: Continue, program: [
            Task(name: "late", steps: [Read(key: "k", policy: "p")]), Task(name: "open", steps: [Read(key: "k", policy: "p")]),
        ])},
        faults: {"c": Crash(who: "store", at: "0s", for: "50s", keep: Nothing)},
    )"#;
    let of_it = measured(&read(text), 0, 0).sheet.numbers;
    // After two seconds the breaker opens, and there is no backoff in which it could close.
    assert_eq!(of(&of_it, "task.late.time.mean"), 2.0);
    assert_eq!(of(&of_it, "task.open.time.mean"), 0.0);
}

#[test]
fn a_rate_holds_attempts_at_the_client_as_queueing() {
    let agents = r#""a": (count: 4, at: "x", program: [Call(service: "s", policy: "p")]),"#;
    let of_it = numbers(
        r#"time: "1s""#,
        r#"rate: (rate: "1/s", burst: 2), shared_by: Group"#,
        agents,
        "",
    );
    // Two leave at once, then one each second.
    assert_eq!((of(&of_it, "calls.held"), of(&of_it, "calls.held.mean")), (2.0, 1.5));
    assert_eq!(
        (of(&of_it, "calls.time.max"), of(&of_it, "task.part.queueing")),
        (3.0, 0.75)
    );
    assert_eq!(of(&of_it, "task.part.retrying"), 0.0);
    // A token that comes after the deadline isn't waited for.
    let late = numbers(
        r#"time: "1s""#,
        r#"rate: (rate: "1/s", burst: 2), shared_by: Group, deadline: "1500ms""#,
        agents,
        "",
    );
    assert_eq!((of(&late, "calls.answered"), of(&late, "calls.attempts")), (2.0, 3.0));
    assert_eq!(of(&late, "calls.too_late"), 2.0);
}

#[test]
fn no_more_attempts_are_under_way_than_may_be_and_places_come_in_order() {
    let agents = r#""a": (count: 5, at: "x", program: [Call(service: "s", policy: "p")]),"#;
    let of_it = numbers(r#"time: "1s""#, "in_flight: 2, shared_by: Group", agents, "");
    assert_eq!(
        (of(&of_it, "calls.held"), of(&of_it, "calls.held.mean")),
        (3.0, (1.0 + 1.0 + 2.0) / 3.0)
    );
    assert_eq!(
        (of(&of_it, "service.s.busy"), of(&of_it, "calls.time.max")),
        (0.05, 3.0)
    );
    // Whoever gives up while it waits leaves the others their turn.
    let late = numbers(
        r#"time: "1s""#,
        r#"in_flight: 2, shared_by: Group, deadline: "1500ms""#,
        agents,
        "",
    );
    assert_eq!((of(&late, "calls.attempts"), of(&late, "calls.too_late")), (4.0, 3.0));
}
