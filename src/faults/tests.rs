//! Tests of fault schedules: edges in order, lengths with their laws, and nobody moved by somebody else.

use super::*;
use crate::kernel::SimDuration;
use crate::random::Law;
use proptest::prelude::*;

const fn t(ns: u64) -> SimTime {
    SimTime::from_nanos(ns)
}

fn edges(when: &When, key: Key, most: usize) -> Vec<(u64, Edge, u64)> {
    let mut timeline = Timeline::new(key);
    std::iter::from_fn(|| timeline.next(when))
        .take(most)
        .map(|(at, edge, k)| (at.as_nanos(), edge, k))
        .collect()
}

fn fault(name: &str, when: When, targets: &[(&str, Scope)], independence: Independence) -> FaultSpec {
    let target = |(name, scope): &(&str, Scope)| Target {
        name: (*name).to_owned(),
        scope: scope.clone(),
    };
    FaultSpec {
        name: name.to_owned(),
        kind: FaultKind::Crash { keep: Keep::State },
        when,
        targets: targets.iter().map(target).collect(),
        independence,
    }
}

#[test]
fn windows_are_as_written_and_the_last_may_last() {
    let when = When::Windows(vec![
        Window {
            at: t(5),
            lasts: Some(SimDuration::from_nanos(3)),
        },
        Window { at: t(8), lasts: None },
    ]);
    assert!(when.problems().is_empty());
    let expected = [(5, Edge::Begin, 0), (8, Edge::End, 0), (8, Edge::Begin, 1)];
    assert_eq!(edges(&when, Key::root(1, 0), 10), expected);
}

#[test]
fn flapping_is_over_at_its_end() {
    let when = When::Flapping {
        from: t(10),
        until: t(35),
        down: Law::Constant(6.0),
        up: Law::Constant(4.0),
    };
    let expected = [
        (10, Edge::Begin, 0),
        (16, Edge::End, 0),
        (20, Edge::Begin, 1),
        (26, Edge::End, 1),
        (30, Edge::Begin, 2),
        (35, Edge::End, 2),
    ];
    assert_eq!(edges(&when, Key::root(1, 0), 10), expected);
}

#[test]
fn a_repair_takes_its_time_and_no_failure_begins_after_the_end() {
    let when = When::Drawn {
        from: t(10),
        until: t(45),
        to_failure: Law::Constant(10.0),
        to_repair: Law::Constant(30.0),
    };
    assert_eq!(
        edges(&when, Key::root(1, 0), 10),
        [(20, Edge::Begin, 0), (50, Edge::End, 0)]
    );
}

#[test]
fn failures_without_any_length_still_get_on() {
    let when = When::Drawn {
        from: t(0),
        until: t(9),
        to_failure: Law::Constant(0.0),
        to_repair: Law::Constant(0.0),
    };
    assert_eq!(edges(&when, Key::root(1, 0), 100).len(), 18);
    assert_eq!(when.problems().len(), 1);
}

#[test]
fn drawn_failures_have_the_availability_of_theory() {
    let when = When::at_rate(0.01, Law::Exponential { mean: 25e9 }, SimTime::NEVER);
    let all = edges(&when, Key::root(4, 0), 40_000);
    let down: f64 = all.chunks(2).map(|pair| (pair[1].0 - pair[0].0) as f64).sum();
    let total = all[all.len() - 1].0 as f64;
    // MTTR / (MTBF + MTTR) = 25 / 125; over 20,000 cycles its standard error is sqrt 2 x 0.2 x 0.8 / sqrt 20000.
    assert!((down / total - 0.2).abs() < 4.0 * 0.0016, "{}", down / total);
}

#[test]
fn targets_are_hit_together_or_each_on_its_own() {
    let when = || When::at_rate(1.0, Law::Constant(1e9), SimTime::NEVER);
    let targets = [("a", Scope::Tags(10..13)), ("b", Scope::Service(1))];
    let count = |independence| {
        Faults::new(
            Arc::new(vec![fault("f", when(), &targets, independence)]),
            Key::root(1, 0),
        )
        .len()
    };
    assert_eq!(count(Independence::Together), 1);
    assert_eq!(count(Independence::EachTarget), 2);
    assert_eq!(count(Independence::EachMember), 4);
}

#[test]
fn another_fault_or_target_moves_nobody() {
    let when = || When::at_rate(1.0, Law::Exponential { mean: 1e9 }, SimTime::NEVER);
    let root = Key::root(9, 3);
    let steps = |specs: Vec<FaultSpec>, timeline: u32| {
        let mut faults = Faults::new(Arc::new(specs), root);
        (0..50)
            .filter_map(|_| faults.next(timeline))
            .map(|step| (step.at, step.tag))
            .collect::<Vec<_>>()
    };
    let (a, b) = (("a", Scope::Tags(10..13)), ("b", Scope::Service(1)));
    let alone = steps(
        vec![fault("f", when(), std::slice::from_ref(&a), Independence::EachMember)],
        1,
    );
    let others = vec![
        fault("e", when(), &[a.clone(), b.clone()], Independence::EachTarget),
        fault("f", when(), &[b, a], Independence::EachMember),
    ];
    // Two timelines of "e", the service of "f", and then the tag 10; 11 is the second member.
    assert_eq!(steps(others, 4), alone);
    assert_eq!(alone.len(), 50);
}

#[test]
fn bands_are_the_union_over_targets_and_end_with_the_run() {
    let specs = [fault("f", When::once(t(0), None), &[], Independence::Together)];
    let mut bands = Bands::new(1);
    let step = |at, edge| Step {
        at: t(at),
        edge,
        occurrence: 0,
        fault: 0,
        target: None,
        tag: None,
    };
    for (at, edge) in [
        (1, Edge::Begin),
        (3, Edge::Begin),
        (4, Edge::End),
        (6, Edge::End),
        (6, Edge::Begin),
        (7, Edge::End),
        (9, Edge::Begin),
    ] {
        bands.note(&step(at, edge));
    }
    let found: Vec<_> = bands
        .bands(&specs, t(20))
        .iter()
        .map(|b| (b.start.as_nanos(), b.end.as_nanos()))
        .collect();
    assert_eq!(found, [(1, 7), (9, 20)]);
    assert!(bands.any_on());
}

#[test]
fn what_is_wrong_is_said() {
    let spec = FaultSpec {
        name: "f".into(),
        kind: FaultKind::Partition { cut: 3 },
        when: When::Flapping {
            from: t(9),
            until: t(9),
            down: Law::Constant(f64::NAN),
            up: Law::Constant(1.0),
        },
        targets: vec![Target {
            name: "a".into(),
            scope: Scope::Tags(4..4),
        }],
        independence: Independence::Together,
    };
    let problems: Vec<String> = spec.problems(3, 0).iter().map(ToString::to_string).collect();
    assert_eq!(problems.len(), 5, "{problems:#?}");
    assert!(
        problems
            .iter()
            .any(|problem| problem == "fault \"f\": there is no cut 3")
    );
    let late = When::Windows(vec![
        Window {
            at: t(5),
            lasts: Some(SimDuration::from_nanos(3)),
        },
        Window {
            at: t(7),
            lasts: Some(SimDuration::ZERO),
        },
    ]);
    assert_eq!(late.problems().len(), 2);
}

proptest! {
    // A fixed seed: a test that fails once in a hundred runs helps nobody. Change it, and raise the cases, to search.
    #![proptest_config(ProptestConfig {
        cases: 200,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn edges_alternate_and_never_go_back(
        seed: u64, down in 0.0f64..50.0, up in 0.0f64..50.0, from in 0u64..100, length in 1u64..3000, flaps: bool,
    ) {
        let (from, until) = (t(from), t(from + length));
        let (down, up) = (Law::Uniform { low: 0.0, high: down }, Law::Exponential { mean: up });
        let when = if flaps {
            When::Flapping { from, until, down, up }
        } else {
            When::Drawn { from, until, to_failure: up, to_repair: down }
        };
        let mut before = from.as_nanos();
        for (index, (at, edge, occurrence)) in edges(&when, Key::root(seed, 0), 10_000).into_iter().enumerate() {
            prop_assert!(at >= before);
            prop_assert_eq!(edge == Edge::Begin, index % 2 == 0);
            prop_assert_eq!(occurrence, index as u64 / 2);
            prop_assert!(at < until.as_nanos() || edge == Edge::End);
            prop_assert!(!flaps || at <= until.as_nanos());
            before = at;
        }
    }
}
