//! Inference endpoints in whole runs: closed forms, faults, accounts, and conversations.

mod common;

use common::{measured, observed, read};
use quorate::check::critical_path::CriticalPath;
use quorate::scenario::syntax::{Memory, Show, render};
use quorate::scenario::{Registry, load};
use std::collections::BTreeMap;

/// An endpoint with this batching and these other fields, and jobs of these steps that come a second after one another.
fn scenario(batching: &str, fields: &str, jobs: &[&str], faults: &str) -> String {
    let agents: String = jobs
        .iter()
        .zip(0..)
        .map(|(steps, n)| {
            format!(
                r#""j{n}": (count: 1, at: "x", start: AtOnce(at: "{n}s"), program: [Task(name: "j{n}", steps: [{steps}])]),"#
            )
        })
        .collect();
    format!(
        r#"(
            quorate: 1, name: "batching", question: "?", until: AllDone(within: "1h"), sites: ["x"],
            services: {{"s": (at: "x", batching: ({batching}), {fields})}},
            policies: {{"patient": (timeout: "60s", attempts: 3, backoff: FullJitter(base: "100ms", cap: "1s"), idempotency_key: true)}},
            agents: {{{agents}}},
            faults: {{{faults}}},
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

fn call(tokens_in: u32, tokens_out: u32) -> String {
    format!(r#"Call(service: "s", tokens: (tokens_in: {tokens_in}, tokens_out: {tokens_out}))"#)
}

/// An iteration of a tenth of a second, and a millisecond for each token of a prompt.
const PLAIN: &str = r#"max_batch: 4, tokens: 100, kv: 100000, base: "100ms", each_in: "1ms""#;

#[test]
fn a_request_alone_has_its_first_token_after_its_chunks() {
    let job = call(250, 11);
    let of = numbers(&scenario(PLAIN, "", &[&job], ""));
    // Chunks of 100, 100 and 50 tokens: 3 times 100 ms, and 250 ms; then ten tokens more.
    assert_eq!((of["inference.s.ttft.mean"], of["inference.s.tpot.mean"]), (0.55, 0.1));
    assert_eq!((of["task.j0.time.mean"], of["task.j0.part.service"]), (1.55, 1.55));
    assert_eq!(
        (of["inference.s.iterations"], of["inference.s.batch.peak"]),
        (13.0, 1.0)
    );
    assert_eq!((of["inference.s.kv.peak"], of["inference.s.batch"]), (272.0, 1.0));
}

#[test]
fn company_makes_iterations_longer_and_who_waits_for_the_batch_queues() {
    let each = r#"max_batch: 1, tokens: 100, kv: 100000, base: "100ms", each_out: "100ms""#;
    let job = call(10, 20);
    let of = numbers(&scenario(each, "", &[&job, &job], ""));
    // Alone: an iteration of 100 ms for the prompt and 19 of 200 ms: 3.9 s. The other comes after a second and waits 2.9 s.
    assert_eq!((of["task.j0.time.mean"], of["task.j1.time.mean"]), (3.9, 6.8));
    assert_eq!((of["task.j1.part.queueing"], of["task.j1.part.service"]), (2.9, 3.9));
    let both = each.replace("max_batch: 1", "max_batch: 2");
    let of = numbers(&scenario(&both, "", &[&job, &job], ""));
    // Five tokens at 0.9 s; the iteration until 1.1 s has the other waiting; the next ones take 200 ms with its prompt, and 300 ms.
    assert_eq!(of["task.j1.part.queueing"], 0.1);
    // Left of the first: 14 tokens. One while the prompt is read (200 ms), thirteen with both (300 ms).
    assert_eq!(of["task.j0.time.mean"], 5.2);
}

#[test]
fn iterations_stand_still_and_are_slowed_down_with_their_endpoint() {
    let job = call(100, 20);
    let pause = r#""p": Pause(who: "s", at: "1050ms", for: "10s")"#;
    let of = numbers(&scenario(PLAIN, "", &[&job], pause));
    assert_eq!((of["task.j0.time.mean"], of["task.j0.part.down"]), (12.1, 10.0));
    let slow = r#""p": Stall(services: "s", speed: 0.5, at: "1050ms", for: "1s")"#;
    let of = numbers(&scenario(PLAIN, "", &[&job], slow));
    assert_eq!((of["task.j0.time.mean"], of["task.j0.part.down"]), (2.6, 0.5));
    let crash = r#""c": Crash(who: "s", at: "1050ms", for: "10s", keep: State)"#;
    let of = numbers(&scenario(PLAIN, "", &[&job], crash));
    // All begins anew, 2.1 s from 11.05 s on; 1.05 s were in vain.
    assert_eq!(
        (
            of["task.j0.time.mean"],
            of["task.j0.part.retrying"],
            of["task.j0.part.down"]
        ),
        (13.15, 1.05, 10.0)
    );
}

#[test]
fn who_is_put_out_waits_and_is_accounted_so() {
    // Room for 35 tokens, and an iteration of 90 ms.
    let tight = r#"max_batch: 4, tokens: 100, kv: 35, block: 1, base: "90ms""#;
    let (first, second) = (call(10, 16), call(10, 8));
    let of = numbers(&scenario(tight, "", &[&first, &second], ""));
    // From 1.08 s on the first holds 22 and the second ten. From 1.26 s on they would hold 24 and 12: the second is put out, for the two
    // iterations that the first still takes. Then it reads its ten tokens and the two that it has made, and makes six.
    assert_eq!((of["task.j0.time.mean"], of["inference.s.preemptions"]), (1.44, 1.0));
    assert_eq!((of["task.j1.part.queueing"], of["task.j1.part.retrying"]), (0.08, 0.18));
    assert_eq!((of["task.j1.time.mean"], of["inference.s.recomputed"]), (0.98, 12.0));
    let sum: f64 = ["service", "queueing", "retrying"]
        .iter()
        .map(|part| of[&format!("task.j1.part.{part}")])
        .sum();
    assert!((sum - of["task.j1.time.mean"]).abs() < 1e-9);
    let path = observed(
        &read(&scenario(tight, "", &[&first, &second], "")),
        1,
        CriticalPath::new(),
    );
    assert_eq!((path.checked(), path.wrong()), (4, &[] as &[String]));
}

#[test]
fn a_conversation_is_read_from_where_its_last_turn_ended() {
    let turn =
        r#"Repeat(times: 4, steps: [Call(service: "s", tokens: (tokens_in: 100, tokens_out: 50, continues: true))])"#;
    let cached = format!("{PLAIN}, block: 10, prefix_cache: true");
    let of = numbers(&scenario(&cached, "", &[turn], ""));
    // Prompts of 100, 250, 400 and 550 tokens, of which 0, 140, 290 and 440 are there: the last token of an answer is never held.
    assert_eq!(of["calls.tokens_in"], 1300.0);
    assert_eq!(of["inference.s.prefix_hits"], 870.0 / 1300.0);
    let of = numbers(&scenario(PLAIN, "", &[turn], ""));
    assert_eq!((of["calls.tokens_in"], of["inference.s.prefix_hits"]), (1300.0, 0.0));
    // Two agents with one prefix, after one another.
    let job = r#"Call(service: "s", tokens: (tokens_in: 100, tokens_out: 1, prefix: (name: "system", tokens: 85)))"#;
    let of = numbers(&scenario(&cached, "", &[job, job], ""));
    assert_eq!(of["inference.s.prefix_hits"], 0.4);
    // A new run of a program is a new conversation, and so is another agent's.
    let of = numbers(&scenario(&cached, "", &[turn, turn], ""));
    assert_eq!(of["inference.s.prefix_hits"], 870.0 / 1300.0);
}

#[test]
fn what_a_service_says_of_tokens_comes_after_the_turns_before() {
    let turn = r#"Repeat(times: 3, steps: [Call(service: "s", tokens: (max_out: 30, continues: true))])"#;
    let of = numbers(&scenario(PLAIN, "tokens: (tokens_in: 10, tokens_out: 50)", &[turn], ""));
    // 10, then 10 + 30 + 10, then 50 + 30 + 10; answers are cut at 30.
    assert_eq!((of["calls.tokens_in"], of["calls.tokens_out"]), (150.0, 90.0));
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
    let faults = faults.concat();
    let batching = r#"max_batch: 6, tokens: 40, kv: 200, block: 4, prefix_cache: true, base: "30ms", each_in: "500us", each_out: "2ms", each_held: "20us""#;
    let mut preempted = 0.0;
    for discipline in ["Fifo", "Lifo", "Priority", "ShortestFirst"] {
        let fields = format!(
            r#"discipline: {discipline}, queue: 12, tokens: (tokens_in: Uniform(low: 1, high: 90), tokens_out: Exponential(mean: 25)),
                limits: [Concurrency(most: 15), TokensOut(rate: "100/s", burst: 800)], excess: Wait"#
        );
        let text = scenario(batching, &fields, &["Stop"], &faults);
        let start = text.find("agents: {").unwrap();
        let end = text.find("faults: {").unwrap();
        let stream = r#"agents: {"j": (count: Stream(), at: "x", start: Poisson(rate: "2.5/s"), program: [
            Choose([(1, [Call(service: "s", policy: "patient", priority: PRIORITY, tokens: (prefix: (name: "p", tokens: 30)))]),
                (1, [Call(service: "s", policy: "patient"), Call(service: "s", policy: "patient", tokens: (continues: true))])]),
        ])},
        "#;
        let stream = stream.replace("PRIORITY", if discipline == "Priority" { "2" } else { "0" });
        let text =
            format!("{}{stream}{}", &text[..start], &text[end..]).replace(r#"AllDone(within: "1h")"#, r#"At("400s")"#);
        let scenario = read(&text);
        for seed in 1..=4 {
            let path = observed(&scenario, seed, CriticalPath::new());
            assert!(path.checked() > 50, "{discipline}: {} tasks", path.checked());
            assert_eq!(path.wrong(), &[] as &[String], "{discipline}, seed {seed}");
        }
        // Little's law and all other books.
        preempted += measured(&scenario, 0, 0).sheet.numbers["inference.s.preemptions"];
    }
    assert!(preempted > 20.0, "{preempted}");
}

#[test]
fn endpoints_that_can_not_be_are_refused_with_their_place() {
    let cases = [
        ("kv: 100, base: \"1ms\"", "servers: 2", "E0530"),
        ("kv: 100, base: \"1ms\"", "time: \"1s\"", "E0530"),
        ("kv: 100, base: \"1ms\"", "discipline: Sharing", "E0530"),
        ("kv: 100, base: \"1ms\", tokens: 255", "", "E0530"),
        ("kv: 15, base: \"1ms\"", "", "E0530"),
        ("kv: 100", "", "E0530"),
        ("kv: 0, base: \"1ms\"", "", "E02"),
        ("base: \"1ms\"", "", "kv"),
        ("kv: 100, base: \"1ms\"", "lock: ()", "E0495"),
    ];
    for (batching, fields, code) in cases {
        let text = said(&scenario(batching, fields, &["Think(\"1s\")"], ""));
        assert!(
            text.contains(code) && text.contains("s.ron:"),
            "{batching} {fields}: {text}"
        );
    }
    let job = call(100, 13);
    let text = scenario("kv: 127, base: \"1ms\"", "", &[&job], "");
    // 112 tokens are held at the end: seven blocks of 16, as many as there are.
    assert_eq!(said(&text), "");
    assert_eq!(numbers(&text)["task.done"], 1.0);
    let job = call(100, 14);
    let text = said(&scenario("kv: 127, base: \"1ms\"", "", &[&job], ""));
    assert!(text.contains("E0521"), "{text}");
}
