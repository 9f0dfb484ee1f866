//! Gateways, meshes and fair shares: to the nanosecond where it can be counted by hand, and against what is known of routing by chance.

mod common;

use common::{measured, observed, read};
use quorate::check::critical_path::CriticalPath;
use std::collections::BTreeMap;

/// A client at "edge", a gateway and two models in the "cloud", 10 ms from each other; within a site a hop takes 1 ms.
fn scenario(gate: &str, services: &str, agents: &str, rest: &str) -> String {
    format!(
        r#"(
            quorate: 1, name: "gateways", question: "?", until: AllDone(within: "1h"), sites: ["edge", "cloud"],
            network: (local: (one_way: "1ms"), links: [(between: ("edge", "cloud"), one_way: "10ms")]),
            services: {{"gate": (at: "cloud", {gate}), {services}}},
            policies: {{"twice": (timeout: "500ms", attempts: 2, backoff: Fixed("40ms")), "patient": (timeout: "60s", attempts: 9, idempotency_key: true), "careless": (timeout: "60s", attempts: 9)}},
            agents: {{{agents}}},
            {rest}
        )"#
    )
}

const TWO: &str = r#""a": (at: "cloud", time: "100ms"), "b": (at: "cloud", time: "300ms")"#;

/// One agent each, that calls the gateway at so many milliseconds.
fn clients(starts: &[u64]) -> String {
    let one = |(n, at): (usize, &u64)| {
        format!(
            r#""c{n}": (count: 1, at: "edge", start: AtOnce(at: "{at}ms"), program: [Task(name: "t{n}", steps: [Call(service: "gate", policy: "patient")])]),"#
        )
    };
    starts.iter().enumerate().map(one).collect()
}

fn numbers(text: &str) -> BTreeMap<String, f64> {
    measured(&read(text), 0, 0).sheet.numbers
}

fn times(of: &BTreeMap<String, f64>, count: usize) -> Vec<f64> {
    (0..count)
        .map(|n| (of[&format!("task.t{n}.time.mean")] * 1e9).round() / 1e6)
        .collect()
}

fn parts(of: &BTreeMap<String, f64>, task: &str) -> [f64; 5] {
    ["service", "queueing", "network", "retrying", "down"]
        .map(|part| (of[&format!("task.{task}.part.{part}")] * 1e9).round() / 1e6)
}

#[test]
fn a_request_goes_there_and_back_and_its_time_is_that_of_its_legs() {
    let gate = r#"time: "5ms", forwards: (to: ["a", "b"])"#;
    let of = numbers(&scenario(gate, TWO, &clients(&[0, 0]), ""));
    // 10 there, 5 of its own, 1 to the model, 100 or 300 there, 1 and 10 back.
    let mut both = times(&of, 2);
    both.sort_by(f64::total_cmp);
    assert_eq!(both, [127.0, 327.0]);
    let quick = if of["task.t0.time.mean"] < 0.2 { "t0" } else { "t1" };
    assert_eq!(parts(&of, quick), [105.0, 0.0, 22.0, 0.0, 0.0]);
    assert_eq!((of["gateway.gate.calls"], of["gateway.gate.imbalance"]), (2.0, 1.0));
    assert_eq!(
        (of["calls.intended"], of["calls.wasted"], of["calls.hops"]),
        (2.0, 0.0, 4.0)
    );
    assert_eq!(
        of["calls.amplification"], 1.0,
        "what a gateway asks isn't meant by an agent"
    );
}

#[test]
fn what_fails_at_one_is_asked_of_another_and_the_wait_is_retrying() {
    let gate = r#"forwards: (to: ["a", "b"], policy: "twice", routing: RoundRobin)"#;
    let down = r#"faults: {"f": Crash(who: "a", at: "0s", for: "10s")},"#;
    let of = numbers(&scenario(gate, TWO, &clients(&[0]), down));
    // 10 there, 500 for nothing and 40 of backoff, then 1 + 300 + 1 with the other, and 10 back.
    assert_eq!(times(&of, 1), [862.0]);
    assert_eq!(parts(&of, "t0"), [300.0, 0.0, 22.0, 540.0, 0.0]);
    assert_eq!((of["gateway.gate.attempts"], of["gateway.gate.timed_out"]), (2.0, 1.0));
    assert_eq!(of["gateway.gate.amplification"], 2.0);
}

#[test]
fn what_all_refuse_is_refused_and_the_agent_is_told() {
    let gate = r#"forwards: (to: ["a", "b"], policy: "twice")"#;
    let full =
        r#""a": (at: "cloud", servers: 1, queue: 0, time: "1h"), "b": (at: "cloud", servers: 1, queue: 0, time: "1h")"#;
    let agents = r#""c": (count: 4, at: "edge", on_failure: Continue, program: [Call(service: "gate")])"#;
    let of = numbers(&scenario(gate, full, agents, ""));
    // Two are in work, beyond their time: their answers would come too late. The other two are refused by both.
    assert_eq!((of["calls.failed"], of["gateway.gate.timed_out"]), (4.0, 2.0));
    assert_eq!(of["gateway.gate.refused"], 6.0);
}

#[test]
fn a_fan_out_waits_for_as_many_as_it_needs() {
    let gate = |need: u32| format!(r#"time: "5ms", forwards: (to: ["a", "b"], fan_out: 2, need: {need})"#);
    let of = numbers(&scenario(&gate(1), TWO, &clients(&[0]), ""));
    assert_eq!(times(&of, 1), [127.0]);
    // Whether the other's answer comes before the run is over doesn't matter to whoever has left it.
    assert_eq!((of["gateway.gate.answered"], of["gateway.gate.left"]), (1.0, 1.0));
    let of = numbers(&scenario(&gate(2), TWO, &clients(&[0]), ""));
    assert_eq!(times(&of, 1), [327.0]);
    assert_eq!(parts(&of, "t0"), [305.0, 0.0, 22.0, 0.0, 0.0]);
    assert_eq!((of["gateway.gate.answered"], of["calls.wasted"]), (2.0, 0.0));
}

#[test]
fn requests_are_gathered_to_one_until_there_are_enough_or_the_first_has_waited() {
    let gate = r#"forwards: (to: "a", batch: (most: 3, wait: "50ms"))"#;
    let tokens = r#""a": (at: "cloud", tokens: (tokens_out: 7), time: Tokens(first: "10ms", each_out: "1ms"))"#;
    let call = |n: usize, at: u64| {
        format!(
            r#""c{n}": (count: 1, at: "edge", start: AtOnce(at: "{at}ms"), program: [Task(name: "t{n}", steps: [Call(service: "gate", tokens: (tokens_out: 20))])]),"#
        )
    };
    let agents: String = [0, 10, 30, 100]
        .iter()
        .enumerate()
        .map(|(n, at)| call(n, *at))
        .collect();
    let of = numbers(&scenario(gate, tokens, &agents, ""));
    // Three are there at 40: 1 ms to the model, 10 and 60 tokens there, 11 back. The last waits 50 for nobody.
    assert_eq!(times(&of, 4), [122.0, 112.0, 92.0, 10.0 + 50.0 + 1.0 + 30.0 + 11.0]);
    assert_eq!(parts(&of, "t0"), [70.0, 30.0, 22.0, 0.0, 0.0]);
    assert_eq!((of["gateway.gate.calls"], of["gateway.gate.batch"]), (2.0, 2.0));
    assert_eq!(of["service.a.tokens_out"], 80.0);
}

#[test]
fn a_server_that_is_held_serves_nobody_else_meanwhile() {
    let gate = |holds: bool| format!(r#"servers: 1, time: "5ms", forwards: (to: "a", holds: {holds})"#);
    let of = numbers(&scenario(&gate(true), TWO, &clients(&[0, 1]), ""));
    assert_eq!(times(&of, 2), [127.0, 127.0 + 106.0]);
    assert_eq!(parts(&of, "t1"), [105.0, 106.0, 22.0, 0.0, 0.0]);
    let of = numbers(&scenario(&gate(false), TWO, &clients(&[0, 1]), ""));
    assert_eq!(times(&of, 2), [127.0, 131.0]);
}

#[test]
fn what_a_crash_undoes_is_passed_on_again_or_lost() {
    // Without a key, by which the model would know what it has in work.
    let careless = clients(&[0]).replace("patient", "careless");
    let gate = r#"time: "5ms", forwards: (to: "a")"#;
    let crash = |keep: &str| format!(r#"faults: {{"f": Crash(who: "gate", at: "50ms", for: "30ms", keep: {keep})}},"#);
    let of = numbers(&scenario(gate, TWO, &careless, &crash("State")));
    // Passed on at 15, undone at 50, begun anew at 80: there at 81, served until 181, back at 182 and 192.
    assert_eq!(times(&of, 1), [192.0]);
    assert_eq!(parts(&of, "t0"), [105.0, 0.0, 22.0, 35.0, 30.0]);
    assert_eq!(
        of["calls.wasted"], 1.0,
        "the model has worked twice, for one answer that is used"
    );
    let lost = numbers(&scenario(gate, TWO, &careless, &crash("Nothing")));
    assert_eq!(lost["service.gate.dropped"], 1.0);
    // The agent's timeout of a minute, and then all of it again.
    assert_eq!(times(&lost, 1), [60_127.0]);
    let pause = r#"faults: {"f": Pause(who: "gate", at: "50ms", for: "100ms")},"#;
    let of = numbers(&scenario(gate, TWO, &careless, pause));
    // The model's answer came at 117, and was taken in at 150.
    assert_eq!(
        (times(&of, 1), parts(&of, "t0")),
        (vec![160.0], [105.0, 0.0, 22.0, 0.0, 33.0])
    );
}

#[test]
fn an_idempotency_key_is_passed_on_to_who_works() {
    // The gateway gives up after half a second and asks the same model again, which knows what it has in work.
    let gate = r#"forwards: (to: "a", policy: "twice")"#;
    let slow = r#""a": (at: "cloud", servers: 2, time: "800ms")"#;
    let of = numbers(&scenario(gate, slow, &clients(&[0]), ""));
    assert_eq!((of["calls.duplicate_effects"], of["service.a.served"]), (0.0, 1.0));
    assert_eq!(times(&of, 1), [10.0 + 1.0 + 800.0 + 1.0 + 10.0]);
    let careless = clients(&[0]).replace("patient", "careless");
    let of = numbers(&scenario(gate, slow, &careless, ""));
    // Nine attempts, each of which the gateway makes two of; the last of these was answered too late to be worked on to the end.
    let again = (
        of["service.a.arrivals"],
        of["service.a.served"],
        of["calls.duplicate_effects"],
    );
    assert_eq!(again, (18.0, 17.0, 16.0), "without a key it works again");
}

#[test]
fn who_fails_in_a_row_is_left_out_for_a_while() {
    let gate =
        r#"forwards: (to: ["a", "b"], policy: "twice", routing: RoundRobin, ejects: (failures: 3, period: "60s"))"#;
    let agents = r#""c": (count: 1, at: "edge", program: [Repeat(times: 40, steps: [Call(service: "gate", policy: "patient"), Think("100ms")])])"#;
    let down = r#"faults: {"f": Crash(who: "a", at: "0s", for: "50s")},"#;
    let of = numbers(&scenario(gate, TWO, agents, down));
    assert_eq!((of["gateway.gate.timed_out"], of["gateway.gate.ejections"]), (3.0, 1.0));
    assert_eq!(of["calls.answered"], 40.0);
}

#[test]
fn each_tenant_has_its_share_however_much_others_ask_for() {
    let fair = |weights: &str| {
        format!(
            r#"(
            quorate: 1, name: "tenants", question: "?", until: At("1000s"), warm_up: "100s", sites: ["x"],
            services: {{"s": (at: "x", servers: 1, time: "100ms", discipline: {weights})}},
            agents: {{
                "crowd": (count: 90, at: "x", program: [Repeat(times: 100000, steps: [Call(service: "s")])]),
                "few": (count: 10, at: "x", program: [Repeat(times: 100000, steps: [Task(name: "few", steps: [Call(service: "s")])])]),
            }},
        )"#
        )
    };
    // Ten requests a second; the crowd has nine tenths of those who wait.
    let served = |discipline: &str| numbers(&fair(discipline))["task.few.done"];
    assert!((served("Fifo") - 900.0).abs() <= 15.0, "{}", served("Fifo"));
    // Ten tasks that began before the warm-up aren't counted.
    assert!((served("Fair()") - 4495.0).abs() <= 6.0, "{}", served("Fair()"));
    let weighted = served(r#"Fair(weights: {"few": 3})"#);
    assert!((weighted - 6740.0).abs() <= 10.0, "{weighted}");
    let each = served("Fair(tenants: Agents)");
    assert!((each - 900.0).abs() <= 10.0, "{each}");
}

#[test]
fn what_has_waited_for_too_long_is_refused_when_its_turn_comes() {
    let text = r#"(
        quorate: 1, name: "late", question: "?", until: AllDone(within: "1h"), sites: ["x"],
        services: {"s": (at: "x", servers: 1, time: "10s", most_wait: "25s")},
        agents: {"c": (count: 5, at: "x", on_failure: Continue, program: [Call(service: "s")])},
    )"#;
    let of = numbers(text);
    // Turns come at 0, 10, 20 and 30: the last two have waited for 30 by then, and are refused at once.
    assert_eq!(
        (
            of["calls.answered"],
            of["calls.refused.waited"],
            of["service.s.queue.left"]
        ),
        (3.0, 2.0, 0.0)
    );
    assert_eq!((of["calls.last_answer"], of["calls.unfinished"]), (30.0, 0.0));
}

/// A service of a second of work, and callers who ask the same at these times, in milliseconds: how long each was under way.
fn asked(cache: &str, starts: &[u64], faults: &str) -> (Vec<f64>, BTreeMap<String, f64>) {
    let one = |(n, at): (usize, &u64)| {
        format!(
            r#""c{n}": (count: 1, at: "x", start: AtOnce(at: "{at}ms"), program: [Task(name: "t{n}", steps: [Call(service: "s", about: 7)])]),"#
        )
    };
    let agents: String = starts.iter().enumerate().map(one).collect();
    let of = numbers(&format!(
        r#"(
        quorate: 1, name: "cache", question: "?", until: AllDone(within: "1h"), sites: ["x"],
        services: {{"s": (at: "x", servers: 1, time: "1s", cache: ({cache}))}},
        agents: {{{agents}}},
        faults: {{{faults}}},
    )"#
    ));
    (times(&of, starts.len()), of)
}

#[test]
fn what_was_asked_before_is_answered_at_once_for_as_long_as_it_is_fresh() {
    let starts = [0, 500, 3_000, 11_500, 12_500];
    let (took, of) = asked(r#"ttl: "10s""#, &starts, "");
    // Both of the first two work; the second's answer is there at 2 s, and fresh until 12 s.
    assert_eq!(took, [1000.0, 1500.0, 0.0, 0.0, 1000.0]);
    assert_eq!(
        (
            of["service.s.served"],
            of["service.s.wasted"],
            of["service.s.cache.found_share"]
        ),
        (3.0, 0.0, 0.4)
    );
    let (took, of) = asked(r#"ttl: "10s", single_flight: true"#, &starts, "");
    // The second waits for the first one's answer, which is there at 1 s, and fresh until 11 s.
    assert_eq!(took, [1000.0, 500.0, 0.0, 1000.0, 0.0]);
    assert_eq!(parts(&of, "t1"), [0.0; 5]);
    assert_eq!(
        (of["task.t1.part.coordination"], of["service.s.cache.joined"]),
        (0.5, 1.0)
    );
    assert_eq!((of["service.s.served"], of["service.s.wasted"]), (2.0, 0.0));
}

#[test]
fn a_stale_answer_is_given_while_a_fresh_one_is_found_out_once() {
    let (took, of) = asked(r#"ttl: "10s", stale: "5s""#, &[0, 12_000, 12_500, 13_500, 40_000], "");
    // Fresh until 11 s; at 12 s it is given, and refreshed by 13 s; by 40 s that one is gone, too.
    assert_eq!(took, [1000.0, 0.0, 0.0, 0.0, 1000.0]);
    let counts = ["fresh", "stale", "missed", "refreshes"].map(|name| of[&format!("service.s.cache.{name}")]);
    assert_eq!(counts, [1.0, 2.0, 2.0, 1.0]);
    assert_eq!((of["service.s.served"], of["service.s.wasted"]), (3.0, 0.0));
}

#[test]
fn a_crash_takes_the_answers_unless_the_state_is_kept() {
    let crash = |keep: &str| format!(r#""f": Crash(who: "s", at: "2s", for: "1s", keep: {keep})"#);
    let (took, _) = asked(r#"ttl: "1h""#, &[0, 4_000], &crash("State"));
    assert_eq!(took, [1000.0, 0.0]);
    let (took, _) = asked(r#"ttl: "1h""#, &[0, 4_000], &crash("Nothing"));
    assert_eq!(took, [1000.0, 1000.0]);
}

#[test]
fn those_who_wait_for_an_answer_share_the_fate_of_who_finds_it_out() {
    // The queue is full when the third asks about something else; the second waits for the first one's answer in any case.
    let text = r#"(
        quorate: 1, name: "fate", question: "?", until: AllDone(within: "1h"), sites: ["x"],
        services: {"s": (at: "x", servers: 1, time: "10s", most_wait: "4s", cache: (ttl: "1h", single_flight: true))},
        agents: {
            "first": (count: 1, at: "x", program: [Call(service: "s", about: 1)]),
            "second": (count: 3, at: "x", start: AtOnce(at: "1s"), on_failure: Continue, program: [Call(service: "s", about: 2)]),
        },
    )"#;
    let of = numbers(text);
    assert_eq!(
        (of["calls.answered"], of["calls.failed"], of["calls.refused.waited"]),
        (1.0, 3.0, 1.0)
    );
    assert_eq!(of["service.s.cache.joined"], 2.0);
}

#[test]
fn a_mesh_is_the_gateways_that_it_stands_for() {
    let with = |meshes: &str, service: &str, gates: &str| {
        format!(
            r#"(
            quorate: 1, name: "mesh", question: "?", until: At("60s"), sites: ["edge", "cloud"],
            network: (local: (one_way: "1ms"), links: [(between: ("edge", "cloud"), one_way: "10ms")]),
            services: {{"a": (at: "cloud", servers: 2, time: Exponential(mean: "100ms")), "b": (at: "cloud", servers: 2, time: Exponential(mean: "100ms")), {gates}}},
            policies: {{"twice": (timeout: "300ms", attempts: 2)}},
            {meshes}
            agents: {{"c": (count: 20, at: "edge", on_failure: Continue, program: [Repeat(times: 1000, steps: [Call(service: "{service}"), Think("1s")])])}},
        )"#
        )
    };
    let mesh = r#"meshes: {"m": (routes: {"model": ["a", "b"]}, proxy: "2ms", policy: "twice", routing: LeastInFlight, in_flight: 2, queue: 5)},"#;
    let gates = r#"
        "model from edge": (at: "edge", time: "2ms", forwards: (to: ["a proxy", "b proxy"], routing: LeastInFlight, policy: "twice")),
        "a proxy": (at: "cloud", time: "2ms", servers: 2, queue: 5, forwards: (to: "a", holds: true)),
        "b proxy": (at: "cloud", time: "2ms", servers: 2, queue: 5, forwards: (to: "b", holds: true)),
    "#;
    let (short, long) = (
        numbers(&with(mesh, "model", "")),
        numbers(&with("", "model from edge", gates)),
    );
    assert_eq!(short, long);
    assert!(short["gateway.model from edge.timed_out"] > 10.0);
}

#[test]
fn the_accounts_of_what_goes_through_gateways_are_rebuilt_from_the_records() {
    let gate = r#"servers: 6, time: Exponential(mean: "5ms"), forwards: (to: ["a", "b"], policy: "twice", routing: PowerOf(2), holds: true)"#;
    let services = r#""a": (at: "cloud", servers: 3, time: Exponential(mean: "100ms")), "b": (at: "cloud", servers: 3, time: Exponential(mean: "200ms"))"#;
    let agents = r#""c": (count: 12, at: "edge", on_failure: Continue, program: [Repeat(times: 50, steps: [Call(service: "gate", policy: "patient"), Think(Exponential(mean: "200ms"))])])"#;
    let faults = r#"faults: {"p": Pause(who: "gate", at: "3s", for: "1s"), "s": Stall(services: "gate", speed: 0.2, at: "6s", for: "2s"), "c": Crash(who: "a", at: "9s", for: "2s"), "k": Crash(who: "gate", at: "13s", for: "1s")},"#;
    let text = scenario(gate, services, agents, faults);
    for seed in 0..5 {
        let check = observed(&read(&text), seed, CriticalPath::new());
        assert_eq!(check.wrong(), [""; 0]);
        assert!(check.checked() > 10);
    }
}

/// The mean time of a call through a gateway before a hundred servers, each of which could serve one a second, at nine tenths of that.
fn mean_time_at_a_hundred(routing: &str) -> f64 {
    let names: Vec<String> = (0..100).map(|n| format!("\"s{n}\"")).collect();
    let services: String = names
        .iter()
        .map(|name| format!(r#"{name}: (at: "x", servers: 1, time: Exponential(mean: "1s")),"#))
        .collect();
    let text = format!(
        r#"(
        quorate: 1, name: "choices", question: "?", until: At("1500s"), warm_up: "200s", window: "100s", sites: ["x"],
        services: {{{services} "gate": (at: "x", forwards: (to: [{}], routing: {routing}))}},
        agents: {{"c": (count: Stream(), at: "x", start: Poisson(rate: "90/s"), program: [Call(service: "gate")])}},
    )"#,
        names.join(", ")
    );
    let scenario = read(&text);
    let means = (0..2).map(|replicate| measured(&scenario, 0, replicate).sheet.numbers["calls.time.mean"]);
    means.sum::<f64>() / 2.0
}

#[test]
fn budgets_go_through_meshes_gateways_and_caches() {
    let with = |services: &str, meshes: &str, call: &str, budget: &str| {
        numbers(&format!(
            r#"(
            quorate: 1, name: "paid", question: "?", until: At("60s"), sites: ["x"],
            services: {{"m": (at: "x", time: "100ms", price: (call: "1 USD")), {services}}},
            {meshes}
            budgets: {{"b": (agents: ["a"], {budget}, then: Stop)}},
            agents: {{"a": (count: 1, at: "x", program: [Repeat(times: 20, steps: [{call}])])}},
        )"#
        ))
    };
    let mesh = r#"meshes: {"mesh": (routes: {"r": "m"})},"#;
    let of = with("", mesh, r#"Call(service: "r")"#, "calls: 3");
    assert_eq!(
        (of["budget.b.calls"], of["task.stopped"], of["service.m.served"]),
        (3.0, 1.0, 3.0)
    );
    // What a cache answers costs nothing, and what was reserved for it is free again.
    let cache = r#""c": (at: "x", cache: (ttl: "1h"), forwards: (to: "m")),"#;
    let of = with(cache, "", r#"Call(service: "c", about: 7)"#, "calls: 3, reserve: ()");
    assert_eq!(
        (of["budget.b.calls"], of["calls.answered"], of["task.stopped"]),
        (1.0, 20.0, 0.0)
    );
    // A gateway that has a price is paid beside who works.
    let toll = r#""g": (at: "x", price: (call: "0.5 USD"), forwards: (to: "m")),"#;
    let of = with(toll, "", r#"Call(service: "g")"#, r#"money: "4.5 USD""#);
    assert_eq!(
        (of["budget.b.money"], of["calls.money"], of["calls.answered"]),
        (4.5, 4.5, 3.0)
    );
}

#[test]
fn what_a_gateway_refuses_is_in_its_counts() {
    let gate = r#"forwards: (to: ["a", "b"], fan_out: 2)"#;
    let services = r#""a": (at: "cloud", time: "100ms"), "b": (at: "cloud", overload: (probability: 1.0))"#;
    let agents = r#""c": (count: 3, at: "edge", on_failure: Continue, program: [Call(service: "gate"), Think("1s")])"#;
    let of = numbers(&scenario(gate, services, agents, ""));
    assert_eq!((of["service.gate.refused.behind"], of["calls.failed"]), (3.0, 3.0));
    // Each was executed by one of the two, after it had failed at the gateway.
    assert_eq!(
        (of["service.gate.failed_executed"], of["service.a.failed_executed"]),
        (3.0, 0.0)
    );
}

#[test]
fn two_choices_are_exponentially_better_than_one() {
    // One choice makes a hundred M/M/1 queues. Of two choices the limit of many servers is known: the sum of load^(2^i - 2) over i from 1
    // (M. Mitzenmacher, "The Power of Two Choices in Randomized Load Balancing", 2001, table 1: 2.6141, and 2.65 simulated for a hundred).
    let power = |n: i32| (0..n).fold(1.0, |product: f64, _| product * 0.9);
    let limit: f64 = (1..8).map(|i| power((1 << i) - 2)).sum();
    assert!((limit - 2.6141).abs() < 1e-4);
    let two = mean_time_at_a_hundred("PowerOf(2)");
    assert!((0.98..1.05).contains(&(two / limit)), "{two}");
    let one = mean_time_at_a_hundred("Random");
    assert!((9.0..11.0).contains(&one), "{one}");
    let all = mean_time_at_a_hundred("LeastInFlight");
    // Who finds an idle server needs a second; at this load nearly everybody does.
    assert!((1.0..1.1).contains(&all), "{all}");
}

#[test]
fn gateways_that_cannot_be_are_refused_where_they_stand() {
    use quorate::scenario::syntax::Memory;
    let problems = |gate: &str| {
        let text = scenario(gate, TWO, &clients(&[0]), "");
        let outcome = quorate::scenario::load(
            "s.ron".as_ref(),
            &[],
            &Memory::new().with("s.ron", text),
            &quorate::scenario::Registry,
        );
        assert!(outcome.scenario.is_none(), "{gate}");
        let said = outcome
            .diagnostics
            .iter()
            .map(|problem| format!("{} {}", problem.code, problem.message));
        said.collect::<Vec<_>>().join("; ")
    };
    let cases = [
        (r#"forwards: (to: [])"#, "E0560"),
        (
            r#"forwards: (to: "gate")"#,
            "E0560 \"gate\" passes requests on to itself, by way of \"gate\"",
        ),
        (r#"forwards: (to: "nobody")"#, "there is no service \"nobody\""),
        (
            r#"forwards: (to: ["a", "b"], fan_out: 3)"#,
            "each request goes to 3 services, and there are 2",
        ),
        (
            r#"forwards: (to: ["a", "a"], fan_out: 2)"#,
            "each request goes to 2 services, and there are 1",
        ),
        (
            r#"forwards: (to: ["a", "b"], fan_out: 2, need: 3)"#,
            "3 have to answer, and 2 are asked",
        ),
        (
            r#"forwards: (to: ["a", "b"], routing: PowerOf(3))"#,
            "3 are drawn, of 2",
        ),
        (r#"forwards: (to: "a", holds: true)"#, "any number of servers"),
        (
            r#"servers: 2, discipline: Sharing, forwards: (to: "a", holds: true)"#,
            "time is shared",
        ),
        (r#"forwards: (to: "a", policy: "brave")"#, "brave"),
        (r#"servers: 2, discipline: Fair(weights: {"nobody": 2})"#, "nobody"),
    ];
    for (gate, expected) in cases {
        let said = problems(gate);
        assert!(said.contains(expected), "{gate}: {said}");
    }
}
