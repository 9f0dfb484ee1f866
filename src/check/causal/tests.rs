//! The patterns against brute force, and against each other.

use super::brute::{Small, brute, partial_orders};
use super::*;
use crate::check::testing::{Shape, histories};
use crate::check::{Budget, Spec, Verdict, judge};
use proptest::prelude::*;

#[test]
fn there_are_as_many_partial_orders_as_is_known() {
    // OEIS A001035.
    let counts: Vec<usize> = (0..=5).map(|count| partial_orders(count).len()).collect();
    assert_eq!(counts, [1, 1, 3, 19, 219, 4231]);
}

fn agrees(history: &History, model: Model) -> Result<(), TestCaseError> {
    let judgement = judge(history, model, Spec::Register, Budget::default()).expect("it is supported");
    let wanted = if brute(history, model) {
        Verdict::Holds
    } else {
        Verdict::Violated
    };
    prop_assert_eq!(judgement.verdict, wanted, "{:#?}", judgement);
    if let Some(violation) = judgement.violation {
        prop_assert!(
            !brute(&history.excerpt(&violation.part), model) || violation.kind == "effect of a failed operation",
            "{:?}",
            violation
        );
        prop_assert!(violation.is_minimal && !violation.marked.is_empty(), "{:?}", violation);
        prop_assert!(
            violation.marked.iter().all(|of| violation.part.contains(of)),
            "{:?}",
            violation
        );
    }
    Ok(())
}

/// Half of the histories come from replicas that lag, the other half from a store that answers at random.
fn any(operations: u8, keys: u8) -> impl Strategy<Value = History> {
    prop_oneof![
        histories(shape(operations, keys)),
        histories(Shape {
            replicated: true,
            wrong: 10,
            ..shape(operations, keys)
        }),
    ]
}

fn shape(operations: u8, keys: u8) -> Shape {
    Shape {
        unique: true,
        operations,
        keys,
        wrong: 200,
        unsure: 12,
        ..Shape::of(Spec::Register)
    }
}

fn short(history: &History) -> bool {
    Small::all(history).iter().all(|small| small.len() <= 5)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn weak_causal(history in any(6, 2).prop_filter("small", short)) {
        agrees(&history, Model::WeakCausal)?;
    }

    #[test]
    fn causal(history in any(6, 2).prop_filter("small", short)) {
        agrees(&history, Model::Causal)?;
    }

    #[test]
    fn causal_convergence(history in any(6, 2).prop_filter("small", short)) {
        agrees(&history, Model::CausalConvergence)?;
    }

    #[test]
    fn pram(history in any(7, 2)) {
        agrees(&history, Model::Pram)?;
    }

    #[test]
    fn read_your_writes(history in any(7, 2)) {
        agrees(&history, Model::ReadYourWrites)?;
    }

    #[test]
    fn monotonic_reads(history in any(7, 1)) {
        agrees(&history, Model::MonotonicReads)?;
    }

    #[test]
    fn monotonic_writes(history in any(8, 2)) {
        agrees(&history, Model::MonotonicWrites)?;
    }

    #[test]
    fn writes_follow_reads(history in any(8, 2)) {
        agrees(&history, Model::WritesFollowReads)?;
    }
}

/// The random histories are of all kinds: every model is kept and broken often, in every way that there is.
#[test]
fn the_random_histories_show_every_pattern() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    use std::collections::BTreeMap;
    let mut runner = TestRunner::deterministic();
    let mut seen: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for keys in [1, 2] {
        let strategy = any(10, keys);
        for _ in 0..5000 {
            let history = strategy.new_tree(&mut runner).unwrap().current();
            for (name, model) in Model::ALL {
                if matches!(model, Model::ReadAtomic | Model::Sequential | Model::Linearizable) {
                    continue;
                }
                let judgement = judge(&history, model, Spec::Register, Budget::default()).unwrap();
                let kind = judgement.violation.map_or("holds", |violation| violation.kind);
                *seen.entry((name, kind)).or_default() += 1;
            }
        }
    }
    for (model, kinds) in [
        (
            "weak-causal",
            &[
                "causes in a circle",
                "initial value read too late",
                "replaced value read",
            ][..],
        ),
        ("causal", &["replaced value read", "no order for a process"]),
        (
            "causal-convergence",
            &["replaced value read", "no common order of writes"],
        ),
        (
            "pram",
            &[
                "causes in a circle",
                "initial value read too late",
                "no order for a process",
            ],
        ),
        ("read-your-writes", &["own write not seen"]),
        ("monotonic-reads", &["older value read than before"]),
        ("monotonic-writes", &["write seen without its writer's earlier one"]),
        ("writes-follow-reads", &["write seen without what its writer had read"]),
    ] {
        for kind in kinds.iter().chain(&["holds", "value from nowhere"]) {
            assert!(
                seen.get(&(model, *kind)).is_some_and(|count| *count >= 10),
                "{model}, {kind}: {seen:#?}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    /// What looks at a process' own reads alone finds the same as what looks at everything.
    #[test]
    fn the_quicker_way_finds_the_same(
        history in histories(Shape { replicated: true, unique: true, operations: 50, processes: 5, keys: 2, wrong: 4, unsure: 10, ..Shape::of(Spec::Register) })
    ) {
        let Ok(graph) = Graph::of(&history) else { return Ok(()) };
        for causal in [true, false] {
            let order = Order::of(&graph, None);
            let Ok(sorted) = order.sorted() else { return Ok(()) };
            let clocks = order.clocks(&graph, &sorted);
            for process in 0..graph.processes as u32 {
                let base = if causal { sparse::Base::Causal(&clocks) } else { sparse::Base::pram(&graph, process) };
                let mut view = if causal { order.clone() } else { Order::of(&graph, Some(process)) };
                let dense = views::view_of(&graph, &mut view, process, u64::MAX) == Ok(None);
                prop_assert_eq!(sparse::has_view(&graph, &base, process), dense);
            }
        }
    }
}
