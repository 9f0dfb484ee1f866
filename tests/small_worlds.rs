//! Small scenarios whose numbers can be worked out by hand: what a measure says is what its definition says.

mod common;

use common::{Place, measured, read};
use quorate::measures::Sheet;
use quorate::scenario::Scenario;

/// The first replicate of a scenario's variants, the base first.
fn sheets(scenario: &Scenario) -> Vec<Sheet> {
    let variants = 0..scenario.variants.len();
    variants.map(|variant| measured(scenario, variant, 0).sheet).collect()
}

/// The parts of the tasks' mean time, in seconds, rounded to the microsecond.
fn parts(sheet: &Sheet) -> [f64; 7] {
    [
        "thinking",
        "service",
        "queueing",
        "network",
        "retrying",
        "coordination",
        "down",
    ]
    .map(|part| {
        let seconds = sheet.numbers[&format!("task.part.{part}")];
        (seconds * 1e6).round() / 1e6
    })
}

#[test]
fn down_is_the_time_in_which_a_service_stood_still_whether_a_request_waited_or_was_in_work() {
    let scenario = read(
        r#"(
            quorate: 1, name: "stall", seed: 1, replicates: 1, until: AllDone(within: "1h"), sites: ["a"],
            services: {"s": (at: "a", servers: 1, time: "1s")},
            agents: {"g": (count: 1, at: "a", start: AtOnce(at: "15s"), program: [Call(service: "s")])},
            faults: {"f": Stall(services: "s", at: "10s", for: "10s")},
            variants: {
                "no queue": [Set(path: "services.s.servers", to: Unlimited)],
                "pause": [Set(path: "faults.f", to: Pause(who: "s", at: "10s", for: "10s"))],
                "in work": [Set(path: "agents.g.start", to: AtOnce(at: "9500ms"))],
                "three": [Set(path: "agents.g.count", to: 3), Set(path: "agents.g.start", to: AtOnce(at: "9500ms"))],
            },
        )"#,
    );
    let found: Vec<[f64; 7]> = sheets(&scenario).iter().map(parts).collect();
    let waited = [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 5.0];
    assert_eq!(found[..3], [waited; 3]);
    assert_eq!(found[3], [0.0, 1.0, 0.0, 0.0, 0.0, 0.0, 10.0]);
    // The second and the third wait for the work on those before them, which is queueing, and for the stall, which isn't.
    assert_eq!(found[4], [0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 10.0]);
}

#[test]
fn work_that_a_crash_undoes_is_retried_and_only_the_outage_is_down_for_services_as_for_agents() {
    let scenario = read(
        r#"(
            quorate: 1, name: "outage", seed: 1, replicates: 1, until: AllDone(within: "1h"), sites: ["a"],
            services: {"s": (at: "a", servers: 1, time: "100s")},
            agents: {"g": (count: 1, at: "a", program: [Call(service: "s")])},
            faults: {"f": Crash(who: "s", at: "99s", for: "1s")},
            variants: {
                "agent": [Set(path: "faults.f.who", to: "g"), Set(path: "agents.g.program", to: [Think("100s")])],
                "twice": [Set(path: "faults.f", to: Crash(who: "s", when: Flapping(from: "50s", until: "111s", on: "1s", off: "59s")))],
            },
        )"#,
    );
    let found: Vec<[f64; 7]> = sheets(&scenario).iter().map(parts).collect();
    assert_eq!(found[0], [0.0, 100.0, 0.0, 0.0, 99.0, 0.0, 1.0]);
    assert_eq!(found[1], [100.0, 0.0, 0.0, 0.0, 99.0, 0.0, 1.0]);
    assert_eq!(found[2], [0.0, 100.0, 0.0, 0.0, 50.0 + 59.0, 0.0, 2.0]);
}

#[test]
fn a_sleep_is_the_agents_own_time() {
    let scenario = read(
        r#"(
            quorate: 1, name: "sleep", seed: 1, replicates: 1, until: AllDone(within: "1h"), sites: ["a"],
            agents: {"g": (count: 1, at: "a", program: [Think("2s"), Sleep("70s")])},
        )"#,
    );
    assert_eq!(parts(&sheets(&scenario)[0]), [72.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn a_queue_has_no_peak_where_nobody_waits() {
    let scenario = read(
        r#"(
            quorate: 1, name: "queues", seed: 1, replicates: 1, until: At("1000s"), sites: ["a"],
            services: {
                "none": (at: "a", servers: 2, queue: 0, time: Exponential(mean: "1s")),
                "unlimited": (at: "a", servers: Unlimited, time: "0s"),
                "one": (at: "a", servers: 1, time: "1s"),
            },
            agents: {
                "n": (count: Stream(), at: "a", start: Poisson(rate: "2/s"), program: [Call(service: "none")]),
                "u": (count: 10, at: "a", program: [Call(service: "unlimited")]),
                "o": (count: 4, at: "a", program: [Call(service: "one")]),
            },
        )"#,
    );
    let sheet = &sheets(&scenario)[0];
    let peak = |service: &str| sheet.numbers[&format!("service.{service}.queue.peak")];
    assert_eq!([peak("none"), peak("unlimited"), peak("one")], [0.0, 0.0, 3.0]);
}

#[test]
fn messages_sent_before_the_warm_up_are_not_measured() {
    let scenario = read(
        r#"(
            quorate: 1, name: "warm", seed: 1, replicates: 1, until: At("99500ms"), warm_up: "90s", sites: ["a", "b"],
            network: (default: (one_way: "700ms")),
            agents: {
                "g": (count: Stream(), at: "a", start: Tick(every: "1s"), program: [Send(to: Member("h", 0), topic: "t")]),
                "h": (count: 1, at: "b", on: {"t": []}),
            },
            variants: {
                "lost": [Set(path: "network.default.loss", to: 1.0)],
                "doubled": [Set(path: "network.default.duplication", to: 1.0)],
                "unread": [Set(path: "agents.h", to: (count: 1, at: "b", program: [Think("1s")]))],
            },
        )"#,
    );
    // Those of 90 s to 99 s; the one of 89 s arrives after the warm-up, and the one of 99 s after the end.
    let names = [
        "sent",
        "duplicated",
        "delivered",
        "lost",
        "lost_by.random",
        "under_way",
        "dropped",
    ];
    let found = |sheet: &Sheet| names.map(|name| sheet.numbers[&format!("messages.{name}")]);
    let sheets = sheets(&scenario);
    assert_eq!(found(&sheets[0]), [10.0, 0.0, 9.0, 0.0, 0.0, 1.0, 0.0]);
    assert_eq!(found(&sheets[1]), [10.0, 0.0, 0.0, 10.0, 10.0, 0.0, 0.0]);
    assert_eq!(found(&sheets[2]), [10.0, 10.0, 18.0, 0.0, 0.0, 2.0, 0.0]);
    assert_eq!(found(&sheets[3]), [10.0, 0.0, 9.0, 0.0, 0.0, 1.0, 9.0]);
    assert_eq!(
        sheets[0].numbers["messages.bytes_sent"],
        sheets[1].numbers["messages.bytes_lost"]
    );
}

#[test]
fn every_rate_is_of_what_happens_after_the_warm_up() {
    let scenario = read(
        r#"(
            quorate: 1, name: "rates", seed: 1, replicates: 1, until: At("20500ms"), warm_up: "10200ms", sites: ["a"],
            services: {"s": (at: "a", servers: 1, time: "700ms")},
            agents: {"g": (count: Stream(), at: "a", start: Tick(every: "1s"), program: [
                Task(name: "look", steps: [Call(service: "s")]),
            ])},
        )"#,
    );
    // The call of 10 s is answered after the warm-up, but began before it; that of 20 s isn't answered in time.
    let sheet = &sheets(&scenario)[0];
    let number = |name: &str| sheet.numbers[name];
    assert_eq!(["calls.answered", "task.done", "task.look.done"].map(number), [9.0; 3]);
    assert_eq!(
        ["calls.goodput", "task.rate", "task.look.rate"].map(number),
        [10.0 / 10.3; 3]
    );
    assert_eq!(["calls.first_answer", "calls.last_answer"].map(number), [10.7, 19.7]);
}

#[test]
fn a_failed_call_that_is_executed_later_is_executed() {
    let scenario = read(
        r#"(
            quorate: 1, name: "late", seed: 1, replicates: 1, until: AllDone(within: "100s"), sites: ["a"],
            services: {"s": (at: "a", servers: 1, time: "3s")},
            policies: {"p": (timeout: "1s", attempts: 2)},
            agents: {"g": (count: 1, at: "a", on_failure: Continue, program: [Call(service: "s", policy: "p"), Sleep("20s")])},
            variants: {
                "soon": [Set(path: "agents.g.program", to: [Call(service: "s", policy: "p")])],
                "quick": [Set(path: "services.s.time", to: "1s")],
                "answered": [Set(path: "policies.p.timeout", to: "10s")],
                "dropped": [Set(path: "faults", to: {"f": Crash(who: "s", keep: Nothing, at: "2500ms", for: "1s")})],
            },
        )"#,
    );
    let found: Vec<[f64; 3]> = sheets(&scenario)
        .iter()
        .map(|sheet| {
            ["failed", "failed_executed", "duplicate_effects"].map(|name| sheet.numbers[&format!("calls.{name}")])
        })
        .collect();
    // Executed at 3 s and again at 6 s, after the call failed at 2 s.
    assert_eq!(found[0], [1.0, 1.0, 1.0]);
    assert_eq!(found[1], [1.0, 0.0, 0.0], "the run is over before");
    assert_eq!(found[3], [0.0, 0.0, 0.0]);
    assert_eq!(found[4], [1.0, 0.0, 0.0]);
}

#[test]
fn series_of_shared_state_have_the_windows_of_the_scenario() {
    let scenario = read(
        r#"(
            quorate: 1, name: "part", seed: 1, replicates: 1, until: At("60500ms"), window: "1s", sites: ["e", "w"],
            network: (default: (one_way: "100ms")),
            state: {"st": (at: ["e", "w"], model: LastWriteWins, keys: {"c": Counter}, anti_entropy: (every: "3s"))},
            agents: {
                "a": (count: 1, at: "e", program: [Repeat(times: 30, steps: [Add(key: "c"), Sleep("1s")])]),
                "b": (count: 1, at: "w", start: AtOnce(at: "500ms"), program: [Repeat(times: 30, steps: [Add(key: "c"), Sleep("1s")])]),
            },
            faults: {"cut": Partition(groups: ["e", "w"], at: "10200ms", until: "20200ms")},
        )"#,
    );
    let sheet = &sheets(&scenario)[0];
    for name in ["state.diverged_keys", "state.conflicts"] {
        let series = &sheet.series[name];
        assert_eq!((series.window, series.values.len()), (1_000_000_000, 60), "{name}");
    }
    let diverged = &sheet.series["state.diverged_keys"].values;
    assert_eq!((diverged[15], diverged[59]), (1.0, 0.0));
}

#[test]
fn something_that_must_happen_in_any_variant_may_happen_in_one() {
    let scenario = |expect: &str| {
        format!(
            r#"(
                quorate: 1, name: "any", seed: 1, replicates: 2, until: At("20s"), sites: ["a"],
                services: {{"s": (at: "a", servers: 1, time: "500ms")}},
                agents: {{"g": (count: Stream(), at: "a", start: Tick(every: "1s"), program: [Call(service: "s")])}},
                faults: {{"f": Stall(services: "s", at: "5s", for: "2s")}},
                variants: {{"crash": [Set(path: "faults.f", to: Crash(who: "s", keep: Nothing, at: "5s", for: "2s"))]}},
                expect: [{expect}],
            )"#
        )
    };
    let code = |expect: &str, more: &[&str]| {
        let place = Place::with(&scenario(expect));
        place.code(&[&["run", "tiny.ron", "--no-output"], more].concat())
    };
    // At 5 s and 6 s in each of the two replicates.
    assert_eq!(code(r#"Sometimes(event: "calls.dropped")"#, &[]), 0);
    assert_eq!(code(r#"Sometimes(event: "calls.dropped", at_least: 4)"#, &[]), 0);
    assert_eq!(code(r#"Sometimes(event: "calls.dropped", at_least: 5)"#, &[]), 1);
    assert_eq!(code(r#"Sometimes(event: "calls.dropped", variant: "base")"#, &[]), 1);
    assert_eq!(code(r#"Sometimes(event: "calls.dropped", variant: "crash")"#, &[]), 0);
    // Where not all variants are run, nobody knows what would have happened in the others.
    assert_eq!(code(r#"Sometimes(event: "calls.dropped")"#, &["--variant", "crash"]), 0);
    assert_eq!(code(r#"Sometimes(event: "calls.dropped")"#, &["--variant", "base"]), 0);
}

#[test]
fn what_was_let_in_before_a_budget_was_spent_is_paid_beyond_it() {
    let scenario = read(
        r#"(
            quorate: 1, name: "budget", seed: 1, replicates: 1, until: At("100s"), sites: ["a"],
            services: {"s": (
                at: "a", servers: 1, time: "1s", tokens: (tokens_in: 100, tokens_out: 50), budget: (tokens: 1000),
                price: (call: "0.01 USD"),
            )},
            agents: {"g": (count: 1, at: "a", on_failure: Continue, program: [Repeat(times: 20, steps: [Call(service: "s")])])},
            variants: {
                "money": [Set(path: "services.s.budget", to: (money: "0.055 USD"))],
                "calls": [Set(path: "services.s.budget", to: (calls: 3))],
                "at once": [
                    Set(path: "agents.g.count", to: 10),
                    Set(path: "agents.g.program", to: [Call(service: "s"), Sleep("20s"), Call(service: "s")]),
                ],
            },
        )"#,
    );
    let names = ["served", "refused.budget", "tokens_in", "tokens_out"];
    let found = |sheet: &Sheet| names.map(|name| sheet.numbers[&format!("service.s.{name}")]);
    let sheets = sheets(&scenario);
    assert_eq!(found(&sheets[0]), [7.0, 13.0, 700.0, 350.0]);
    assert_eq!(found(&sheets[1])[..2], [6.0, 14.0]);
    assert_eq!(found(&sheets[2])[..2], [3.0, 17.0]);
    // All ten are let in while nothing is spent yet.
    assert_eq!(found(&sheets[3]), [10.0, 10.0, 1000.0, 500.0]);
}
