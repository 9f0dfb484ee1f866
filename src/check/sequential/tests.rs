//! Sequential consistency against brute force, and the circles that tell of violations.

use super::*;
use crate::check::testing::{Shape, histories, is_sequential};
use crate::check::{Budget, Verdict, judge};
use proptest::prelude::*;

fn agrees(history: &History, spec: Spec) -> Result<(), TestCaseError> {
    let judgement = judge(history, Model::Sequential, spec, Budget::default()).expect("it is supported");
    let wanted = if is_sequential(history) {
        Verdict::Holds
    } else {
        Verdict::Violated
    };
    prop_assert_eq!(judgement.verdict, wanted, "{:#?}", judgement);
    if let Some(violation) = judgement.violation {
        let part = history.excerpt(&violation.part);
        prop_assert!(
            !is_sequential(&part) || violation.kind == "effect of a failed operation",
            "{:?}",
            violation
        );
        prop_assert!(violation.marked.iter().all(|of| violation.part.contains(of)) && !violation.marked.is_empty());
        prop_assert!(violation.is_minimal || spec == Spec::Set, "{:?}", violation);
    }
    // The search by itself finds the same.
    let found = search(history, spec, Budget::of_steps(u64::MAX), &mut 0);
    prop_assert_eq!(found == Found::Order, wanted == Verdict::Holds);
    Ok(())
}

fn shape(spec: Spec) -> Shape {
    Shape {
        keys: 2,
        operations: 7,
        unsure: 20,
        ..Shape::of(spec)
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn registers_written_once(history in histories(Shape { unique: true, wrong: 120, ..shape(Spec::Register) })) {
        agrees(&history, Spec::Register)?;
    }

    #[test]
    fn registers_of_replicas(history in histories(Shape { unique: true, wrong: 20, replicated: true, operations: 8, ..shape(Spec::Register) })) {
        agrees(&history, Spec::Register)?;
    }

    #[test]
    fn registers(history in histories(Shape { wrong: 120, ..shape(Spec::Register) })) {
        agrees(&history, Spec::Register)?;
    }

    #[test]
    fn compare_and_set(history in histories(Shape { wrong: 60, ..shape(Spec::CasRegister) })) {
        agrees(&history, Spec::CasRegister)?;
    }

    #[test]
    fn sets(history in histories(shape(Spec::Set))) {
        agrees(&history, Spec::Set)?;
    }

    #[test]
    fn queues(history in histories(Shape { wrong: 20, ..shape(Spec::Queue) })) {
        agrees(&history, Spec::Queue)?;
    }
}

#[test]
fn a_search_ends_where_its_memory_does() {
    // Two processes that write alike and read what no order gives: each dead end is remembered.
    let mut lines = String::new();
    for round in 0..60 {
        for process in 0..4 {
            let op = if (round + process) % 3 == 0 { "read" } else { "write" };
            let value = 1 + (round * 7 + process * 3) % 2;
            lines.push_str(&format!(
                "{{\"process\":{process},\"type\":\"invoke\",\"op\":\"{op}\",\"key\":{}{}}}\n",
                round % 2,
                if op == "write" {
                    format!(",\"value\":{value}")
                } else {
                    String::new()
                }
            ));
        }
        for process in 0..4 {
            let value = 1 + (round * 7 + process * 3) % 2;
            lines.push_str(&format!(
                "{{\"process\":{process},\"type\":\"ok\",\"value\":{value}}}\n"
            ));
        }
    }
    lines.push_str(
        "{\"process\":0,\"type\":\"invoke\",\"op\":\"read\",\"key\":0}\n{\"process\":0,\"type\":\"ok\",\"value\":3}\n",
    );
    let history = crate::check::history::read(lines.as_bytes(), Default::default()).expect("it can be read");
    let small = Budget {
        steps: 1_000_000,
        memory: 10_000,
    };
    let found = search(&history, Spec::Register, small, &mut 0);
    assert_eq!(
        found,
        Found::Unknown("the memory for the search (--memory) was used up")
    );
}
