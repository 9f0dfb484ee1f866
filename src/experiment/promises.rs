//! What stores promise, held to it over many runs with random faults; and what is broken on purpose is caught.

use super::grid::history_of;
use crate::check::history::{Action, Outcome};
use crate::check::{Budget, Model, Spec, Verdict, judge};
use crate::scenario::syntax::{Memory, Show, render};
use crate::scenario::{Plan, Registry, load};
use crate::stores::Protocol;
use crate::stores::primary::Flaw;
use std::sync::Arc;

/// Three sites (or as many as are named) whose links lose, double and reorder, and whose replicas crash, stand still and are cut off.
fn plan(model: &str, sites: usize, faults: &str, replica: &str) -> Plan {
    let steps = format!(r#"(1, [Read(key: "k", policy: "p"{replica})]), (1, [Write(key: "k", policy: "p"{replica})])"#);
    plan_of(model, sites, faults, &steps)
}

/// The same with other steps, of which each agent does one after the other by chance.
fn plan_of(model: &str, sites: usize, faults: &str, steps: &str) -> Plan {
    let names = ["a", "b", "c", "d", "e"];
    let names = names[..sites]
        .iter()
        .map(|name| format!("\"{name}\""))
        .collect::<Vec<_>>()
        .join(", ");
    let text = format!(
        r#"(
        quorate: 1, name: "promise", seed: 1, until: At("60s"), drain: "600s", sites: [{names}],
        network: (default: (one_way: LogNormal(median: "20ms", sigma: 0.7), loss: 0.03, duplication: 0.03)),
        state: {{"s": (at: [{names}], keys: {{"k": Register(count: 2)}}, model: {model}, time: Exponential(mean: "1ms"))}},
        policies: {{"p": (timeout: "3s", attempts: 4, idempotency_key: true, backoff: FullJitter(base: "50ms", cap: "1s"))}},
        agents: {{"u": (count: 6, at: [{names}], on_failure: Continue, program: [Repeat(times: Forever, steps: [
            Think(Exponential(mean: "300ms")),
            Choose([{steps}]),
        ])])}},
        faults: {{{faults}}},
    )"#
    );
    let outcome = load(
        "s.ron".as_ref(),
        &[],
        &Memory::new().with("s.ron", text.as_str()),
        &Registry,
    );
    let said = render(&outcome.diagnostics, &outcome.sources, Show::default());
    outcome.scenario.unwrap_or_else(|| panic!("{said}")).variants.remove(0)
}

const CRASHES: &str = r#""crash": Crash(who: "s", each: Member, when: Drawn(until: "50s", to_failure: Exponential(mean: "25s"), to_repair: Exponential(mean: "3s")))"#;
const LOSSES: &str = r#""lost": Crash(who: "s", keep: Nothing, each: Member, when: Drawn(until: "50s", to_failure: Exponential(mean: "60s"), to_repair: Exponential(mean: "2s")))"#;
const PAUSES: &str = r#""pause": Pause(who: "s", each: Member, when: Drawn(until: "50s", to_failure: Exponential(mean: "20s"), to_repair: Exponential(mean: "6s")))"#;
const CUTS: &str = r#""cut": Partition(groups: [["a"], Rest], when: Drawn(until: "50s", to_failure: Exponential(mean: "12s"), to_repair: Exponential(mean: "6s"))),
    "other": Partition(groups: [["b"], Rest], when: Drawn(until: "50s", to_failure: Exponential(mean: "20s"), to_repair: Exponential(mean: "5s")))"#;

fn with_flaw(mut plan: Plan, flaw: Flaw) -> Plan {
    let spec = Arc::make_mut(&mut plan.stores[0].spec);
    let Protocol::Primary(primary) = &mut spec.protocol else {
        panic!("the store has a primary");
    };
    primary.flaw = flaw;
    plan
}

/// How many of the first so many seeds break a model, and how many operations there were.
fn broken(plan: &Plan, model: Model, seeds: u64) -> (u64, usize) {
    let (mut broken, mut operations) = (0, 0);
    for seed in 0..seeds {
        let (recording, end) = history_of(plan, seed, 0, 10_000_000).expect("registers have histories");
        assert!(end.breaches.is_empty(), "{:?}", end.breaches);
        assert!(
            end.drain.at_rest,
            "{:?}: seed {seed} doesn't come to rest",
            plan.stores[0].spec.protocol
        );
        let judged = judge(&recording.history, model, Spec::Register, Budget::default()).expect("it can be judged");
        assert_ne!(judged.verdict, Verdict::Unknown, "seed {seed}: {:?}", judged.undecided);
        operations += recording.history.operations().len();
        broken += u64::from(judged.verdict == Verdict::Violated);
    }
    (broken, operations)
}

/// Takes over after two seconds; with or without a lease.
fn failover(copies: &str, lease: &str) -> String {
    format!("Primary(copies: {copies}, failover: After(\"2s\"), heartbeat: \"300ms\", resend: \"400ms\"{lease})")
}

const LEASE: &str = ", lease: \"1s\"";

/// The measures of one run, summed over the first so many replicates.
fn summed<const N: usize>(plan: &Plan, names: [&str; N], replicates: u32) -> [f64; N] {
    let grid = super::Grid::new(std::slice::from_ref(plan), super::Options::default());
    let mut sums = [0.0; N];
    for replicate in 0..replicates {
        let cell = grid.run_cell(0, replicate);
        assert_eq!((&cell.halt, &cell.breaches), (&None, &Vec::new()));
        for (sum, name) in sums.iter_mut().zip(names) {
            *sum += cell.sheet.numbers[name];
        }
    }
    sums
}

fn all(faults: &[&str]) -> String {
    faults.join(", ")
}

#[test]
fn a_primary_that_nobody_replaces_is_linearizable_whatever_happens() {
    for model in [
        "Primary()",
        "Primary(copies: Count(1))",
        "Primary(in_sync: \"2s\")",
        "Primary(copies: None, primary: \"b\")",
    ] {
        let plan = plan(model, 3, &all(&[CRASHES, PAUSES, CUTS]), "");
        let (broken, operations) = broken(&plan, Model::Linearizable, 15);
        assert!(operations > 500, "{model}: {operations}");
        assert_eq!(broken, 0, "{model}");
    }
}

#[test]
fn copies_outlive_the_loss_of_disks() {
    for model in ["Primary()", "Primary(copies: Count(1))"] {
        let plan = plan(model, 3, &all(&[LOSSES, CUTS]), "");
        assert_eq!(broken(&plan, Model::Linearizable, 15).0, 0, "{model}");
    }
}

#[test]
fn with_a_lease_a_primary_that_is_replaced_shows_nothing_stale() {
    for (model, sites) in [
        (
            "Primary(copies: Count(1), failover: After(\"2s\"), heartbeat: \"300ms\", lease: \"1s\")",
            3,
        ),
        (
            "Primary(copies: Count(2), failover: After(\"2s\"), heartbeat: \"300ms\", lease: \"1500ms\", resend: \"300ms\")",
            5,
        ),
        (
            "Primary(copies: Count(3), failover: After(\"2s\"), heartbeat: \"300ms\", lease: \"1s\")",
            5,
        ),
        (
            "Primary(copies: All, failover: After(\"2s\"), heartbeat: \"300ms\", lease: \"1s\")",
            3,
        ),
    ] {
        for faults in [all(&[CRASHES, PAUSES, CUTS]), all(&[LOSSES, PAUSES, CUTS])] {
            let plan = plan(model, sites, &faults, ", replica: Random");
            let (broken, operations) = broken(&plan, Model::Linearizable, 15);
            assert!(operations > 500, "{model}: {operations}");
            assert_eq!(broken, 0, "{model} {faults}");
        }
    }
}

#[test]
fn without_a_lease_a_primary_that_is_replaced_shows_the_past_and_takes_nothing_in() {
    let plan = plan(&failover("Count(1)", ""), 3, &all(&[PAUSES, CUTS]), "");
    assert!(broken(&plan, Model::Linearizable, 15).0 > 0);
    let [stale, lost] = summed(&plan, ["state.stale_reads", "state.lost_effects"], 15);
    assert!(stale > 0.0);
    assert_eq!(lost, 0.0);
}

#[test]
fn followers_that_take_over_lose_what_was_acknowledged() {
    let plan = plan(&failover("None", ""), 3, &all(&[PAUSES, CUTS]), ", replica: Random");
    assert!(broken(&plan, Model::Linearizable, 15).0 > 0);
    let [lost, left] = summed(&plan, ["state.lost_effects", "state.diverged_keys.left"], 15);
    assert!(lost > 0.0);
    assert_eq!(left, 0.0, "the log of the latest primary is everybody's in the end");
}

#[test]
fn nothing_is_concurrent_where_one_replica_orders_all() {
    let plan = plan("Primary()", 3, &all(&[CRASHES, PAUSES, CUTS]), ", replica: Random");
    let names = [
        "state.conflicts",
        "state.overwritten_unseen",
        "state.duplicate_effects",
        "state.stale_reads",
        "state.lost_effects",
    ];
    assert_eq!(summed(&plan, names, 10), [0.0; 5]);
    let twice = with_flaw(plan, Flaw::Forgetful);
    assert!(summed(&twice, names, 10)[2] > 0.0, "what is applied twice is seen");
}

#[test]
fn backups_show_a_prefix_of_the_log() {
    let plan = plan("Primary(reads: Nearest)", 3, &all(&[CRASHES, PAUSES, CUTS]), "");
    let names = [
        "state.stale_reads",
        "state.monotonic_reads",
        "state.lost_effects",
        "state.overwritten_unseen",
    ];
    let [stale, back, lost, _] = summed(&plan, names, 10);
    assert!(stale > 0.0);
    assert_eq!((back, lost), (0.0, 0.0), "a replica never goes back");
}

#[test]
fn what_is_broken_on_purpose_is_caught() {
    let hard = all(&[CRASHES, PAUSES, CUTS]);
    let random = ", replica: Random";
    for (flaw, model, faults) in [
        (Flaw::AcknowledgesEarly, failover("Count(1)", LEASE), &hard),
        (Flaw::Unfenced, failover("Count(1)", LEASE), &hard),
        (Flaw::SkipsGaps, failover("Count(1)", LEASE), &hard),
        (Flaw::OwnLog, failover("Count(1)", LEASE), &hard),
        (Flaw::Forgetful, "Primary()".to_string(), &hard),
        (
            Flaw::Amnesiac,
            "Primary(copies: Count(1))".to_string(),
            &all(&[LOSSES, CUTS]),
        ),
    ] {
        let plan = with_flaw(plan(&model, 3, faults, random), flaw);
        let caught = (0..40).any(|seed| {
            let Ok((recording, _)) = history_of(&plan, seed, 0, 10_000_000) else {
                return true;
            };
            let judged = judge(
                &recording.history,
                Model::Linearizable,
                Spec::Register,
                Budget::default(),
            );
            judged.expect("it can be judged").verdict == Verdict::Violated
        });
        assert!(caught, "{flaw:?} isn't seen");
    }
}

#[test]
fn accounts_add_up_under_a_primary_and_under_locks_whatever_fails() {
    let hard = all(&[CRASHES, PAUSES, CUTS]);
    let plain = plan(&failover("Count(1)", LEASE), 3, &hard, ", replica: Random");
    let text = r#"(
        quorate: 1, name: "locks", seed: 1, until: At("40s"), sites: ["a", "b"],
        network: (default: (one_way: LogNormal(median: "20ms", sigma: 0.7), loss: 0.05, duplication: 0.05)),
        services: {"l": (at: "b", lock: (lease: "2s", renew: "500ms", fencing: true))},
        state: {"s": (at: ["a", "b"], keys: {"k": Register, "n": Counter}, model: Primary(copies: Count(1)))},
        policies: {"p": (timeout: "3s", attempts: 4, idempotency_key: true, backoff: FullJitter(base: "50ms", cap: "1s"))},
        agents: {"u": (count: 6, at: ["a", "b"], on_failure: Continue, program: [Repeat(times: Forever, steps: [
            WithLock(lock: "l", policy: "p", steps: [
                Update(key: "k", policy: "p", think: Exponential(mean: "300ms")),
                Parallel([[Add(key: "n", policy: "p")], [Think("100ms"), Choose([(1, [Stop]), (3, [])])]]),
            ]),
            Think("100ms"),
        ])])},
        faults: {
            "lost": Crash(who: ["u", "l", "s"], each: Member, keep: Nothing, when: Drawn(to_failure: Exponential(mean: "20s"), to_repair: Exponential(mean: "2s"))),
            "kept": Crash(who: ["u", "l", "s"], each: Member, when: Drawn(to_failure: Exponential(mean: "30s"), to_repair: Exponential(mean: "2s"))),
            "pause": Pause(who: ["u", "l", "s"], each: Member, when: Drawn(to_failure: Exponential(mean: "10s"), to_repair: Exponential(mean: "3s"))),
        },
    )"#;
    let outcome = load("s.ron".as_ref(), &[], &Memory::new().with("s.ron", text), &Registry);
    let said = render(&outcome.diagnostics, &outcome.sources, Show::default());
    let locks = outcome.scenario.unwrap_or_else(|| panic!("{said}")).variants.remove(0);
    // Agents assert that the parts of every task add up to its time, and the world audits its books.
    for plan in [&plain, &locks] {
        let [started, acknowledged] = summed(plan, ["task.started", "state.acknowledged"], 8);
        assert!(started > 0.0 && acknowledged > 0.0, "{started} {acknowledged}");
    }
    let [expired, fenced] = summed(&locks, ["lock.l.expired", "lock.l.fenced"], 8);
    assert!(expired > 0.0 && fenced > 0.0, "{expired} {fenced}");
}

/// Reads, writes and compare-and-swaps.
const SWAPS: &str = r#"(1, [Read(key: "k", policy: "p")]), (1, [Write(key: "k", policy: "p")]),
    (2, [CompareAndSwap(key: "k", think: "20ms", policy: "p")])"#;

/// How many of the first so many seeds aren't linearizable as registers with compare-and-swap, and how many swaps were refused.
fn broken_swaps(plan: &Plan, seeds: u64) -> (u64, usize) {
    let (mut broken, mut refused) = (0, 0);
    for seed in 0..seeds {
        let (recording, end) = history_of(plan, seed, 0, 10_000_000).expect("registers have histories");
        assert!(end.breaches.is_empty(), "{:?}", end.breaches);
        let history = recording.history;
        let judged = judge(&history, Model::Linearizable, Spec::CasRegister, Budget::default());
        let judged = judged.expect("it can be judged");
        assert_ne!(judged.verdict, Verdict::Unknown, "seed {seed}: {:?}", judged.undecided);
        broken += u64::from(judged.verdict == Verdict::Violated);
        let swaps = history
            .operations()
            .iter()
            .filter(|of| matches!(of.action, Action::Cas { .. }));
        refused += swaps.filter(|of| of.outcome == Outcome::Fail).count();
    }
    (broken, refused)
}

#[test]
fn compare_and_swap_is_linearizable_and_judged_with_its_condition() {
    for (model, sites) in [("Primary()", 3), ("Raft()", 3), ("LastWriteWins", 1)] {
        let (broken, refused) = broken_swaps(&plan_of(model, sites, CRASHES, SWAPS), 3);
        assert_eq!(broken, 0, "{model}");
        assert!(refused > 0, "{model}");
    }
    // Replicas that compare each with what it has itself, which the language refuses.
    let mut plan = plan_of("Primary()", 3, "", SWAPS);
    Arc::make_mut(&mut plan.stores[0].spec).protocol = Protocol::Alone;
    let (broken, _) = broken_swaps(&plan, 3);
    assert_eq!(broken, 3);
}
