//! Stores under Raft in scenarios: the model is one word of them.

mod common;

use common::{measured, read};
use quorate::scenario::build;
use std::collections::BTreeMap;

/// Agents at three sites ask the nearest replica, through a cut and a crash.
const SHARED: &str = r#"(
    quorate: 1, name: "shared", seed: 4, until: AllDone(within: "10min"),
    sites: ["a", "b", "c"], network: (default: (one_way: LogNormal(median: "30ms", sigma: 0.4), loss: 0.01)),
    state: {"m": (at: ["a", "b", "c"], keys: {"note": Register(count: 3), "sum": Counter, "tags": Set, "text": Text, "map": Map},
        model: {model}, anti_entropy: (every: "1s"))},
    policies: {"patient": (timeout: "20s", attempts: 3, idempotency_key: true)},
    agents: {"x": (count: 9, at: ["a", "b", "c"], start: Spread(over: "3s"), program: [Repeat(times: 25, steps: [
        Think(Exponential(mean: "1s")),
        Choose([
            (3, [Read(key: "note", which: Uniform(low: 0, high: 3), policy: "patient")]),
            (2, [Write(key: "note", which: Uniform(low: 0, high: 3), policy: "patient")]),
            (1, [Update(key: "sum", op: Add(1), policy: "patient")]),
            (1, [Insert(key: "tags", element: Uniform(low: 0, high: 9), policy: "patient")]),
            (1, [Update(key: "map", op: Increase(field: 1, by: 2), policy: "patient")]),
        ]),
    ])])},
    faults: {
        "cut": Partition(groups: [["a"], ["b", "c"]], at: "8s", for: "20s"),
        "down": Crash(who: "b", keep: {keep}, at: "31s", for: "4s"),
    },
)"#;

fn shared(model: &str, keep: &str) -> String {
    SHARED.replace("{model}", model).replace("{keep}", keep)
}

fn numbers(text: &str) -> BTreeMap<String, f64> {
    measured(&read(text), 0, 0).sheet.numbers
}

#[test]
fn the_model_is_one_word_and_nothing_is_stale_lost_or_out_of_order() {
    for keep in ["State", "Nothing"] {
        let without = numbers(&shared("LastWriteWins", keep));
        assert!(
            without["state.stale_reads"] > 0.0,
            "the same program sees stale reads elsewhere"
        );
        for model in [
            "Raft",
            "Raft(reads: Leader(Lease()))",
            "Raft(pre_vote: false, snapshot_every: 20, batch: 2, in_flight: 1)",
        ] {
            let of = numbers(&shared(model, keep));
            for name in [
                "stale_reads",
                "lost_updates",
                "lost_effects",
                "read_your_writes",
                "monotonic_reads",
                "monotonic_writes",
                "writes_follow_reads",
                "causal_violations",
                "duplicate_effects",
                "diverged_keys.left",
                "unhealed",
            ] {
                assert_eq!(
                    of[&format!("state.{name}")],
                    0.0,
                    "{name} under {model}, keeping {keep}"
                );
            }
            assert_eq!(of["state.drained"], 1.0, "{model}");
            assert!(of["state.unavailable"] > 0.0, "the minority side refuses under {model}");
            assert!(of["state.acknowledged"] > 60.0 && of["messages.peer.sent"] > 500.0);
        }
    }
}

#[test]
fn local_reads_are_stale_and_updates_are_still_in_one_order() {
    let of = numbers(&shared("Raft(reads: Local)", "State"));
    assert!(of["state.stale_reads"] > 0.0);
    assert_eq!((of["state.lost_updates"], of["state.diverged_keys.left"]), (0.0, 0.0));
}

/// Agents at three sites increment a number by compare-and-swap.
const SWAPS: &str = r#"(
    quorate: 1, name: "swaps", seed: 2, until: AllDone(within: "1h"),
    sites: ["a", "b", "c"], network: (default: (one_way: "20ms", loss: 0.02)),
    state: {"m": (at: ["a", "b", "c"], keys: {"row": Register}, model: Raft)},
    policies: {"retry": (timeout: "10s", attempts: Unlimited, idempotency_key: true, backoff: FullJitter(base: "100ms", cap: "2s"))},
    agents: {"x": (count: 6, at: ["a", "b", "c"], program: [
        Repeat(times: 10, steps: [Think(Exponential(mean: "200ms")), CompareAndSwap(key: "row", policy: "retry")]),
    ])},
    faults: {"down": Crash(who: "a", keep: State, at: "5s", for: "3s")},
)"#;

#[test]
fn conditional_updates_are_decided_in_the_order_of_the_log() {
    let of = numbers(SWAPS);
    // Each of the sixty is applied once, and none over one that its agent hadn't read.
    assert_eq!(of["state.swaps"] - of["state.swaps.refused"], 60.0);
    assert_eq!((of["state.writes"], of["state.acknowledged"]), (60.0, 60.0));
    assert_eq!((of["state.overwritten_unseen"], of["state.lost_updates"]), (0.0, 0.0));
    assert!(of["state.swaps.refused"] > 0.0, "some met each other");
}

#[test]
fn a_run_goes_on_from_a_copy_as_if_nothing_had_been() {
    let scenario = read(&shared("Raft(snapshot_every: 10)", "Nothing"));
    let begin = || build(&scenario.variants[0], scenario.seed, 0, Vec::new());
    let whole = begin().finish(u64::MAX).0;
    assert!(whole.handled > 2_000, "{}", whole.handled);
    let written = |run: &quorate::scenario::build::Run| postcard::to_stdvec(&run.kernel).unwrap();
    for part in 1..6 {
        let mut run = begin();
        run.kernel
            .run(quorate::kernel::SimTime::NEVER, whole.handled * part / 6);
        let copy = run.clone();
        let before = written(&copy);
        assert_eq!(written(&run), before);
        assert_eq!(run.finish(u64::MAX).0.print, whole.print);
        assert_eq!(written(&copy), before, "the original changes nothing of its copy");
        assert_eq!(copy.finish(u64::MAX).0.print, whole.print);
    }
}
