//! Causal stores and session guarantees, over many seeds with random faults: what they promise holds, by the judge who watches
//! the run and by the checker of its history, and what they don't promise is seen to be broken.

mod common;

use common::read;
use quorate::check::history::History;
use quorate::check::{Budget, Model, Spec, Verdict, judge};

use quorate::experiment::grid::history_of;
use quorate::scenario::Scenario;
use quorate::scenario::plan::Plan;
use quorate::state::Memory;
use quorate::stores::Protocol;
use quorate::stores::causal::Flaw;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Agents that go from replica to replica, over links that lose, double and reorder, while replicas crash, stand still and are cut
/// off, and clocks jump. Every operation is tried until it is answered.
const WORLD: &str = r#"(
    quorate: 1, name: "wandering", seed: 5, replicates: 64, until: AllDone(within: "10min"), drain: "2min",
    sites: ["a", "b", "c", "d"],
    network: (default: (one_way: Exponential(mean: "60ms"), loss: 0.1, duplication: 0.05)),
    state: {"m": (
        at: ["a", "b", "c", "d"], keys: {"k": Register(count: 3)}, model: {model}, {options}
        anti_entropy: (every: "700ms"), replication: (delay: Exponential(mean: "150ms")),
        clocks: {clocks},
    )},
    policies: {"until it is done": (timeout: "3s", attempts: Unlimited, backoff: Fixed("50ms"), idempotency_key: true)},
    agents: {"wanderer": (count: 8, at: ["a", "b", "c", "d"], program: [Repeat(times: 20, steps: [
        Think(Exponential(mean: "60ms")),
        Choose([
            (3, [Read(key: "k", replica: {asks}, policy: "until it is done")]),
            (2, [Write(key: "k", replica: {asks}, policy: "until it is done")]),
            (3, [Read(key: "k", replica: Random, policy: "until it is done")]),
            (1, [Write(key: "k", replica: Random, policy: "until it is done")]),
        ]),
    ])])},
    faults: {
        "crashes": Crash(who: "m", each: Member, keep: State, when: Drawn(until: "20s", to_failure: Exponential(mean: "5s"), to_repair: Exponential(mean: "800ms"))),
        "pauses": Pause(who: "m", each: Member, when: Drawn(until: "20s", to_failure: Exponential(mean: "6s"), to_repair: Exponential(mean: "900ms"))),
        "cut": Partition(groups: [["a", "b"], ["c", "d"]], when: Drawn(until: "20s", to_failure: Exponential(mean: "3s"), to_repair: Exponential(mean: "2s"))),
        "jump": ClockStep(who: "m", each: Member, by: "-700ms", when: Drawn(until: "20s", to_failure: Exponential(mean: "4s"), to_repair: Exponential(mean: "1s"))),
    },
)"#;

fn world(model: &str, options: &str) -> String {
    let clocks = r#"{"a": (skew: "300ms"), "c": (skew: "-2s")}"#;
    let text = WORLD.replace("{model}", model).replace("{options}", options);
    text.replace("{clocks}", clocks).replace("{asks}", "Nearest")
}

/// The same with clocks that are right: a session's guarantees are about what replicas have, and a clock that is behind has what
/// they have outranked by what it was to replace.
fn punctual_world(options: &str) -> String {
    let text = world("LastWriteWins(clock: Hybrid)", options).replace("Nearest", "Random");
    let jumps = |line: &&str| !line.contains("ClockStep") && !line.contains("clocks:");
    text.lines().filter(jumps).collect::<Vec<_>>().join("\n")
}

const GUARANTEES: [&str; 4] = [
    "read_your_writes",
    "monotonic_reads",
    "monotonic_writes",
    "writes_follow_reads",
];

const SESSIONS: [Model; 4] = [
    Model::ReadYourWrites,
    Model::MonotonicReads,
    Model::MonotonicWrites,
    Model::WritesFollowReads,
];

fn with_flaw(scenario: &Scenario, flaw: Option<Flaw>) -> Plan {
    let mut plan = Plan::clone(&scenario.variants[0]);
    if flaw.is_some() {
        let spec = Arc::make_mut(&mut plan.stores[0].spec);
        let Protocol::Causal(causal) = &mut spec.protocol else {
            panic!("the store orders updates");
        };
        causal.flaw = flaw;
    }
    plan
}

fn history(plan: &Plan, seed: u64, replicate: u32) -> History {
    let (recording, end) = history_of(plan, seed, replicate, u64::MAX).expect("registers with one value");
    assert_eq!((&end.halt, &end.breaches), (&None, &Vec::new()));
    assert_eq!(recording.left_out, 0);
    recording.history
}

fn verdict(history: &History, model: Model) -> Verdict {
    judge(history, model, Spec::Register, Budget::default())
        .unwrap_or_else(|refusal| panic!("{refusal:?}"))
        .verdict
}

/// Violations of each kind that the judge of the run counts, over so many runs.
fn counted(plan: &Plan, seed: u64, runs: u32) -> BTreeMap<&'static str, f64> {
    counted_of(plan, seed, runs, true)
}

/// The same of replicas that converge, or needn't.
fn counted_of(plan: &Plan, seed: u64, runs: u32, converge: bool) -> BTreeMap<&'static str, f64> {
    let mut sums = BTreeMap::new();
    for replicate in 0..runs {
        let options = quorate::experiment::Options {
            seed,
            ..Default::default()
        };
        let plans = [plan.clone()];
        let cell = quorate::experiment::Grid::new(&plans, options).run_cell(0, replicate);
        assert_eq!((&cell.halt, &cell.breaches), (&None, &Vec::new()));
        let numbers = &cell.sheet.numbers;
        if converge {
            assert_eq!(numbers["state.drained"], 1.0, "replicate {replicate}");
            assert_eq!(numbers["state.diverged_keys.left"], 0.0, "replicate {replicate}");
        }
        for name in GUARANTEES {
            *sums.entry(name).or_default() += numbers[&format!("state.{name}")];
        }
        for name in ["causal_violations", "stale_reads", "unavailable"] {
            *sums.entry(name).or_default() += numbers[&format!("state.{name}")];
        }
    }
    sums
}

#[test]
fn a_causal_store_is_causal_whatever_happens() {
    let scenario = read(&world("Causal()", ""));
    let plan = with_flaw(&scenario, None);
    let counts = counted(&plan, scenario.seed, 40);
    assert!(counts["stale_reads"] > 20.0, "replicas differ: {counts:?}");
    for name in GUARANTEES.iter().chain(&["causal_violations"]) {
        assert_eq!(counts[name], 0.0, "{counts:?}");
    }
    for replicate in 0..40 {
        let history = history(&plan, scenario.seed, replicate);
        assert!(history.operations().len() > 60);
        for model in SESSIONS.iter().chain(&[Model::CausalConvergence, Model::WeakCausal]) {
            assert_eq!(verdict(&history, *model), Verdict::Holds, "{model} {replicate}");
        }
    }
}

#[test]
fn planted_flaws_are_found_by_the_judge_and_by_the_history() {
    let scenario = read(&world("Causal()", ""));
    for (flaw, kinds) in [
        (
            Flaw::IgnoresDependencies,
            &["writes_follow_reads", "monotonic_writes", "causal_violations"][..],
        ),
        (
            Flaw::ReducesTooFar,
            &["writes_follow_reads", "monotonic_writes", "causal_violations"],
        ),
        (
            Flaw::DropsTokens,
            &["read_your_writes", "monotonic_reads", "causal_violations"],
        ),
        (Flaw::TakesVectorsOnTrust, &["causal_violations"]),
    ] {
        let plan = with_flaw(&scenario, Some(flaw));
        let counts = counted_of(&plan, scenario.seed, 40, flaw != Flaw::TakesVectorsOnTrust);
        eprintln!("{flaw:?} {counts:?}");
        for kind in kinds {
            assert!(counts[kind] > 0.0, "{flaw:?} {counts:?}");
        }
        let broken = (0..40).filter(|replicate| {
            let history = history(&plan, scenario.seed, *replicate);
            verdict(&history, Model::WeakCausal) == Verdict::Violated
        });
        let broken = broken.count();
        eprintln!("{flaw:?} {broken}");
        assert!(broken > 0, "{flaw:?}");
    }
}

#[test]
fn a_client_that_takes_its_last_answer_for_its_only_dependency_is_found() {
    let scenario = read(&world("Causal()", ""));
    let mut plan = scenario.variants[0].clone();
    let group = Arc::make_mut(&mut plan.agents[0]);
    assert_eq!(*group.memories, [Memory::Nearest]);
    group.memories = [Memory::LastAnswer].into();
    let counts = counted(&plan, scenario.seed, 40);
    for name in ["read_your_writes", "causal_violations", "writes_follow_reads"] {
        assert!(counts[name] > 0.0, "{name} {counts:?}");
    }
    let broken = |replicate| verdict(&history(&plan, scenario.seed, replicate), Model::WeakCausal) == Verdict::Violated;
    assert!((0..40).any(broken));
}

#[test]
fn what_order_costs_is_measured() {
    let scenario = read(&world("Causal()", ""));
    let sheet = common::measured(&scenario, 0, 0).sheet;
    let number = |name: &str| sheet.numbers[name];
    assert!(
        number("state.ordered") >= number("state.buffered"),
        "{:?}",
        sheet.numbers
    );
    assert!(number("state.buffered") > 0.0 && number("state.buffered.most") >= 1.0);
    assert!(number("state.buffered.left") == 0.0);
    assert!(number("state.buffered.wait.max") > number("state.buffered.wait.mean"));
    // An update brings its number, and at most a dependency on each of the three other replicas.
    let mean = number("state.dependencies.mean");
    assert!((8.0 + 4.0..=8.0 + 4.0 + 3.0 * 8.0).contains(&mean), "{mean}");
    // Who waits for what it has seen elsewhere coordinates.
    assert!(number("task.part.coordination") > 0.0, "{:?}", sheet.numbers);
    let alone = read(&punctual_world(""));
    assert!(
        !common::measured(&alone, 0, 0)
            .sheet
            .numbers
            .contains_key("state.ordered")
    );
}

/// The same, where replicas lose their state now and then.
#[test]
fn what_a_replica_takes_with_it_is_waited_for_once_and_the_others_go_on() {
    let text = world("Causal(wait: \"500ms\")", "").replace("keep: State", "keep: Nothing");
    let scenario = read(&text);
    // Every operation is answered, and the replicas agree in the end: nobody waits for ever for what is gone.
    let counts = counted(&scenario.variants[0], scenario.seed, 40);
    assert_eq!(counts["unavailable"], 0.0, "{counts:?}");
    // What was lost was acknowledged, and is missed: far less than where nobody keeps the order.
    let text = world("LastWriteWins(clock: Hybrid)", "").replace("keep: State", "keep: Nothing");
    let scenario = read(&text);
    let without = counted(&scenario.variants[0], scenario.seed, 40);
    assert!(counts["causal_violations"] > 0.0, "{counts:?}");
    assert!(
        counts["causal_violations"] < without["causal_violations"] / 4.0,
        "{counts:?} {without:?}"
    );
}

#[test]
fn replicas_agree_whatever_resolves_conflicts_and_whatever_they_lose() {
    for resolve in [
        "Crdt()",
        "Crdt(ship: Operation)",
        "VersionVectors()",
        "DottedVersionVectors()",
    ] {
        for keep in ["keep: State", "keep: Nothing"] {
            for batch in ["", "batch: \"200ms\", "] {
                let text = world(&format!("Causal(resolve: {resolve}, wait: \"500ms\")"), "");
                let text = text
                    .replace("keep: State", keep)
                    .replace("replication: (", &format!("replication: ({batch}"));
                let scenario = read(&text);
                let counts = counted(&scenario.variants[0], scenario.seed, 6);
                assert_eq!(counts["unavailable"], 0.0);
                let kept = keep == "keep: State";
                assert!(
                    !kept || counts["causal_violations"] == 0.0,
                    "{resolve} {batch} {counts:?}"
                );
            }
        }
    }
}

#[test]
fn nothing_but_the_buffer_asks_where_there_is_no_anti_entropy() {
    let text = world("Causal()", "").replace("anti_entropy: (every: \"700ms\"),", "");
    let scenario = read(&text);
    let counts = counted_of(&scenario.variants[0], scenario.seed, 20, false);
    for name in GUARANTEES.iter().chain(&["causal_violations", "unavailable"]) {
        assert_eq!(counts[name], 0.0, "{counts:?}");
    }
}

/// A store with sessions of which these guarantees are on.
fn sessions(on: &[usize], by: &str) -> String {
    let switches: Vec<String> = (0..4)
        .map(|n| format!("{}: {}", GUARANTEES[n], on.contains(&n)))
        .collect();
    format!("sessions: ({}, by: {by}),", switches.join(", "))
}

#[test]
fn a_session_guarantee_holds_where_it_is_on_and_the_others_do_not() {
    const RUNS: u32 = 30;
    for on in [&[0][..], &[1], &[2], &[3], &[1, 2], &[1, 3], &[0, 1, 2, 3]] {
        let scenario = read(&punctual_world(&sessions(on, "Token")));
        let plan = with_flaw(&scenario, None);
        let counts = counted(&plan, scenario.seed, RUNS);
        let histories: Vec<History> = (0..RUNS).map(|n| history(&plan, scenario.seed, n)).collect();
        for (place, name) in GUARANTEES.iter().enumerate() {
            let is_on = on.contains(&place);
            assert_eq!(counts[name] == 0.0, is_on, "{on:?} {name} {counts:?}");
            // The models of histories of the last two say what a process sees that has seen a write, at whatever replica: it needs
            // monotonic reads as well.
            if is_on && (place < 2 || on.contains(&1)) {
                let broken = |history: &History| verdict(history, SESSIONS[place]) != Verdict::Holds;
                assert!(!histories.iter().any(broken), "{on:?} {name}");
            }
        }
        let broken = |model| {
            histories
                .iter()
                .filter(move |it| verdict(it, model) == Verdict::Violated)
                .count()
        };
        for place in [0, 1].into_iter().filter(|place| !on.contains(place)) {
            assert!(broken(SESSIONS[place]) > 0, "{on:?} {}", GUARANTEES[place]);
        }
        // The four together are causal order (Brzezinski et al. 2004).
        let all = on.len() == 4;
        assert_eq!(counts["causal_violations"] == 0.0, all, "{on:?} {counts:?}");
        assert_eq!(broken(Model::CausalConvergence) == 0, all, "{on:?}");
    }
}

#[test]
fn a_session_that_stays_keeps_its_guarantees_until_it_has_to_move() {
    let text = |sessions: &str| punctual_world(sessions);
    let calm = |sessions: &str| {
        let text = text(sessions).replace("loss: 0.1", "loss: 0.0");
        let (before, _) = text.split_once("    faults: {").expect("it has faults");
        counted(&read(&format!("{before})")).variants[0], 5, 20)
    };
    let (stays, goes) = (calm(&sessions(&[0, 1, 2, 3], "Sticky")), calm(""));
    for name in GUARANTEES {
        assert_eq!(stays[name], 0.0, "{stays:?}");
        assert!(goes[name] > 0.0, "{goes:?}");
    }
    // Reads alone need no order, and get none.
    let reads = calm(&sessions(&[0, 1], "Sticky"));
    assert_eq!(
        (reads["read_your_writes"], reads["monotonic_reads"]),
        (0.0, 0.0),
        "{reads:?}"
    );
    assert!(reads["writes_follow_reads"] > 0.0, "{reads:?}");
    let struck = read(&text(&sessions(&[0, 1, 2, 3], "Sticky")));
    let struck = counted(&struck.variants[0], 5, 20);
    assert!(
        struck["read_your_writes"] > 0.0 && struck["monotonic_reads"] > 0.0,
        "{struck:?}"
    );
}

#[test]
fn a_dropped_token_breaks_each_session_guarantee() {
    for (place, name) in GUARANTEES.iter().enumerate() {
        let scenario = read(&punctual_world(&sessions(&[place], "Token")));
        let flaw = if place < 2 {
            Flaw::DropsTokens
        } else {
            Flaw::IgnoresDependencies
        };
        let plan = with_flaw(&scenario, Some(flaw));
        let counts = counted(&plan, scenario.seed, 30);
        assert!(counts[name] > 0.0, "{name} {counts:?}");
    }
}
