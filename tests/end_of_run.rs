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

/// Two clients of ten seconds each, and a group that handles what nobody sends.
const PASSIVE: &str = r#"(
    quorate: 1, name: "passive", until: {until}, sites: ["x"],
    agents: {
        "client": (count: 2, at: "x", program: [Think("10s")]),
        {more}
    },
    faults: {
        "crash": Crash(who: "x", keep: Nothing, at: "2s", for: "1s"),
        "pause": Pause(who: "x", at: "5s", for: "1s"),
    },
)"#;

#[test]
fn a_group_without_steps_has_no_tasks_and_keeps_no_run_going() {
    let done = r#"AllDone(within: "1h")"#;
    let bare = measured(&read(&PASSIVE.replace("{until}", done).replace("{more}", "")), 0, 0);
    // They are thrown back at 2 s, begin anew at 3 s, and stand still for one second.
    assert_eq!(
        (bare.now.as_secs_f64(), bare.sheet.numbers["task.time.mean"]),
        (14.0, 11.0)
    );
    for passive in [
        r#""passive": (count: 8, at: "x", on: {"m": [Think("1s")]}),"#,
        r#""passive": (count: 8, at: "x", program: [], on: {"m": [Think("1s")]}),"#,
        // These start while they are down or stand still, or would start long after all is done.
        r#""passive": (count: 8, at: "x", start: AtOnce(at: "2500ms"), on: {"m": [Think("1s")]}),"#,
        r#""passive": (count: 8, at: "x", start: AtOnce(at: "5500ms"), on: {"m": [Think("1s")]}),"#,
        r#""passive": (count: 8, at: "x", start: AtOnce(at: "1min"), on: {"m": [Think("1s")]}),"#,
        r#""passive": (count: 8, at: "x", start: Tick(every: "700ms"), on: {"m": [Think("1s")]}),"#,
        r#""passive": (count: Stream(), at: "x", start: Tick(every: "1s"), on: {"m": [Think("1s")]}),"#,
        r#""idle": (count: 8, at: "x", start: Spread(over: "1min")),"#,
        r#""idle": (count: Stream(), at: "x", start: Poisson(rate: "1/s"), program: []),"#,
    ] {
        let text = PASSIVE.replace("{until}", done).replace("{more}", passive);
        let with = measured(&read(&text), 0, 0);
        let numbers = |cell: &quorate::experiment::Cell| {
            let mut numbers = cell.sheet.numbers.clone();
            numbers.remove("run.events");
            numbers
        };
        assert_eq!((with.now, numbers(&with)), (bare.now, numbers(&bare)), "{passive}");
        assert_eq!(with.sheet.tasks, bare.sheet.tasks, "{passive}");
    }
}

#[test]
fn a_handler_runs_in_an_agent_without_a_program() {
    let of = numbers(
        r#"(
            quorate: 1, name: "asks", until: {until}, sites: ["x"],
            agents: {{more}
                "boss": (count: 2, at: "x", program: [Repeat(times: 3, steps: [Ask(to: Any("worker"), topic: "job")])]),
                "worker": (count: 2, at: "x", start: AtOnce(at: "1min"), on: {"job": [Task(name: "job", steps: [Think("1s")])]}),
            },
        )"#,
        r#"AllDone(within: "1h")"#,
        "",
    );
    assert_eq!(
        (of["task.done"], of["task.job.done"], of["task.job.time.mean"]),
        (2.0, 6.0, 1.0)
    );
}
