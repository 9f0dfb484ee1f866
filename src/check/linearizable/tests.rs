//! The checkers against brute force on small random histories, and against each other on larger ones.

use super::*;
use crate::check::testing::{Shape, histories, is_linearizable};
use crate::check::{Budget, Model, Verdict, judge};
use proptest::prelude::*;

fn agrees(history: &History, spec: Spec) -> Result<(), TestCaseError> {
    let judgement = judge(history, Model::Linearizable, spec, Budget::default()).expect("it is supported");
    let wanted = if is_linearizable(history) {
        Verdict::Holds
    } else {
        Verdict::Violated
    };
    prop_assert_eq!(judgement.verdict, wanted, "{:#?}", judgement);
    // The part that is shown is a violation by itself.
    if let Some(violation) = judgement.violation {
        let part = history.excerpt(&violation.part);
        prop_assert!(!is_linearizable(&part), "{:?}", violation);
        prop_assert!(violation.marked.iter().all(|of| violation.part.contains(of)) && !violation.marked.is_empty());
        prop_assert!(violation.is_minimal || spec == Spec::Set);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn registers_written_once(history in histories(Shape { unique: true, operations: 7, wrong: 40, ..Shape::of(Spec::Register) })) {
        agrees(&history, Spec::Register)?;
    }

    #[test]
    fn registers(history in histories(Shape::of(Spec::Register))) {
        agrees(&history, Spec::Register)?;
    }

    #[test]
    fn registers_of_several_keys(history in histories(Shape { keys: 2, wrong: 20, operations: 7, ..Shape::of(Spec::Register) })) {
        agrees(&history, Spec::Register)?;
    }

    #[test]
    fn compare_and_set(history in histories(Shape { wrong: 30, ..Shape::of(Spec::CasRegister) })) {
        agrees(&history, Spec::CasRegister)?;
    }

    #[test]
    fn compare_and_set_of_values_written_once(history in histories(Shape { wrong: 30, unique: true, ..Shape::of(Spec::Kv) })) {
        agrees(&history, Spec::Kv)?;
    }

    #[test]
    fn sets(history in histories(Shape { wrong: 20, ..Shape::of(Spec::Set) })) {
        agrees(&history, Spec::Set)?;
    }

    #[test]
    fn queues(history in histories(Shape { wrong: 20, operations: 7, ..Shape::of(Spec::Queue) })) {
        agrees(&history, Spec::Queue)?;
    }

    #[test]
    fn queues_of_values_enqueued_once(history in histories(Shape { wrong: 15, unique: true, operations: 7, ..Shape::of(Spec::Queue) })) {
        agrees(&history, Spec::Queue)?;
    }

    /// What is found to be wrong among neighbours is wrong: the whole has no order either, and nor has the part by itself.
    #[test]
    fn what_a_scan_proves_is_so(
        history in histories(Shape { operations: 150, processes: 5, wrong: 2, unsure: 6, ..Shape::of(Spec::CasRegister) })
    ) {
        for of in parts(&history) {
            if unwritten(&history, &of.calls).is_some() {
                continue;
            }
            let proofs = Proofs::new(&history, &of, Spec::CasRegister);
            let found = decide_by_search(&history, &of.calls, Budget::of_steps(u64::MAX), &mut 0).expect("there is no limit");
            if let Some(part) = proofs.scan() {
                prop_assert!(found.is_some());
                let part = proofs.part(&part);
                prop_assert!(decide(&history, &part, Spec::CasRegister, Budget::of_steps(u64::MAX), &mut 0).expect("there is no limit").is_some());
            }
        }
    }

    /// The zones and the search have nothing in common but their answers.
    #[test]
    fn zones_and_search_agree(history in histories(Shape { unique: true, operations: 40, processes: 6, wrong: 3, ..Shape::of(Spec::Register) })) {
        for of in parts(&history) {
            if applies(&of.calls, history.initial()) {
                let zones = conflict(&of.calls, history.initial()).is_none();
                let found = decide_by_search(&history, &of.calls, Budget::of_steps(u64::MAX), &mut 0).expect("there is no limit");
                prop_assert_eq!(zones, found.is_none());
            }
        }
    }
}
