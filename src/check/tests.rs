//! What holds between the models: a history that keeps one keeps all weaker ones. And histories that break just one.

use super::history::{Format, History, Limits, Reading, read};
use super::testing::{Shape, histories};
use super::{Budget, Model, Spec, Verdict, judge};
use proptest::prelude::*;

fn verdict(history: &History, model: Model, spec: Spec) -> Option<Verdict> {
    judge(history, model, spec, Budget::default())
        .ok()
        .map(|judgement| judgement.verdict)
}

/// A history from lines `process op key value`, each an operation that was over before the next one began.
fn sequence(lines: &str) -> History {
    let mut text = String::new();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let [process, op, key, value] = line.split_whitespace().collect::<Vec<_>>()[..] else {
            panic!("{line}")
        };
        let key = if op == "txn" {
            String::new()
        } else {
            format!(",\"key\":\"{key}\"")
        };
        let (asked, value) = match op {
            "read" => (String::new(), value.replace("nil", "null")),
            "txn" => {
                // `x+1` appends 1 to x, `x=1,2` reads it.
                let part = |part: &str| match part.split_once('+') {
                    Some((key, element)) => format!("[\"append\",\"{key}\",{element}]"),
                    None => {
                        let (key, list) = part.split_once('=').expect(part);
                        format!("[\"r\",\"{key}\",[{list}]]")
                    }
                };
                let done: Vec<String> = value.split(';').map(part).collect();
                let asked: Vec<String> = value
                    .split(';')
                    .map(|of| {
                        if of.contains('+') {
                            part(of)
                        } else {
                            format!("[\"r\",\"{}\",null]", of.split('=').next().unwrap_or(""))
                        }
                    })
                    .collect();
                (
                    format!(",\"value\":[{}]", asked.join(",")),
                    format!("[{}]", done.join(",")),
                )
            }
            _ => (format!(",\"value\":{value}"), value.to_string()),
        };
        text.push_str(&format!(
            "{{\"process\":{process},\"type\":\"invoke\",\"op\":\"{op}\"{key}{asked}}}\n"
        ));
        text.push_str(&format!(
            "{{\"process\":{process},\"type\":\"ok\",\"value\":{value}}}\n"
        ));
    }
    let reading = Reading {
        format: Some(Format::JsonLines),
        limits: Limits::default(),
    };
    read(text.as_bytes(), reading).unwrap_or_else(|problems| panic!("{}", problems.shown("planted")))
}

/// Which models a history breaks.
fn broken(history: &History, spec: Spec) -> Vec<&'static str> {
    let all = Model::ALL
        .iter()
        .filter(|(_, model)| verdict(history, *model, spec) == Some(Verdict::Violated));
    all.map(|(name, _)| *name).collect()
}

/// Every model has a history that it forbids and all that it doesn't imply allow.
#[test]
fn planted_violations_break_what_they_should_and_nothing_else() {
    for (name, lines, breaks) in [
        ("nothing", "0 write x 1\n 1 read x 1", &[][..]),
        (
            "stale read: real time alone",
            "0 write x 1\n 0 write x 2\n 1 read x 1",
            &["linearizable"],
        ),
        (
            "store buffering: no order of all operations",
            "0 write x 1\n 0 read y nil\n 1 write y 1\n 1 read x nil",
            &["linearizable", "sequential"],
        ),
        (
            "two processes see two writes in different orders",
            "0 write x 1\n 1 write x 2\n 2 read x 1\n 2 read x 2\n 3 read x 2\n 3 read x 1",
            &["linearizable", "sequential", "causal-convergence"],
        ),
        (
            // Figure 3 of Bouajjani et al. 2017: convergent, but not causal memory.
            "an order of writes that comes too late for what was seen",
            "0 write z 1\n 0 write x 1\n 0 write y 1\n 1 write x 2\n 1 read z nil\n 1 read y 1\n 1 read x 2",
            &["linearizable", "sequential", "causal", "pram"],
        ),
        (
            // Each read can be explained for itself, but the process saw 1, then 2, then 1 again.
            "two concurrent writes in turns",
            "0 write x 1\n 1 write x 2\n 2 read x 1\n 2 read x 2\n 2 read x 1",
            &[
                "linearizable",
                "sequential",
                "causal",
                "causal-convergence",
                "pram",
                "monotonic-reads",
            ],
        ),
        (
            "own write not seen",
            "0 write x 1\n 0 read x nil",
            &[
                "linearizable",
                "sequential",
                "causal",
                "causal-convergence",
                "weak-causal",
                "pram",
                "read-your-writes",
            ],
        ),
        (
            "back to an older value",
            "0 write x 1\n 0 write x 2\n 1 read x 2\n 1 read x 1",
            &[
                "linearizable",
                "sequential",
                "causal",
                "causal-convergence",
                "weak-causal",
                "pram",
                "monotonic-reads",
            ],
        ),
        (
            "message passing: the writer's second write without its first",
            "0 write x 1\n 0 write y 1\n 1 read y 1\n 1 read x nil",
            &[
                "linearizable",
                "sequential",
                "causal",
                "causal-convergence",
                "weak-causal",
                "pram",
                "monotonic-writes",
            ],
        ),
        (
            "write-to-read causality: an answer without what it answers",
            "0 write x 1\n 1 read x 1\n 1 write y 1\n 2 read y 1\n 2 read x nil",
            &[
                "linearizable",
                "sequential",
                "causal",
                "causal-convergence",
                "weak-causal",
                "writes-follow-reads",
            ],
        ),
    ] {
        let history = sequence(lines);
        assert_eq!(broken(&history, Spec::Register), breaks, "{name}");
        assert_eq!(broken(&history, Spec::Kv), breaks, "{name}");
    }
}

#[test]
fn planted_violations_of_transactions() {
    for (name, lines, breaks) in [
        ("nothing", "0 txn - x+1;y+1\n 1 txn - x=1;y=1", &[][..]),
        (
            "stale read",
            "0 txn - x+1\n 0 txn - x+2\n 1 txn - x=1",
            &["linearizable"],
        ),
        (
            "write skew: two read what the other one changes",
            "0 txn - x=;y+1\n 1 txn - y=;x+1",
            &["linearizable", "sequential"],
        ),
        (
            "half of a transaction",
            "0 txn - x+1;y+1\n 1 txn - x=1;y=",
            &[
                "linearizable",
                "sequential",
                "causal",
                "causal-convergence",
                "pram",
                "read-atomic",
            ],
        ),
        (
            "own append not seen",
            "0 txn - x+1\n 0 txn - x=",
            &[
                "linearizable",
                "sequential",
                "causal",
                "causal-convergence",
                "pram",
                "read-your-writes",
            ],
        ),
        (
            "less than before",
            "0 txn - x+1\n 1 txn - x=1\n 1 txn - x=",
            &[
                "linearizable",
                "sequential",
                "causal",
                "causal-convergence",
                "pram",
                "monotonic-reads",
            ],
        ),
        (
            "the writer's second append without its first",
            "0 txn - x+1\n 0 txn - y+1\n 1 txn - y=1;x=",
            &[
                "linearizable",
                "sequential",
                "causal",
                "causal-convergence",
                "pram",
                "monotonic-writes",
            ],
        ),
        (
            "an answer without what it answers",
            "0 txn - x+1\n 1 txn - x=1;y+1\n 2 txn - y=1;x=",
            &[
                "linearizable",
                "sequential",
                "causal",
                "causal-convergence",
                "writes-follow-reads",
            ],
        ),
        (
            // Fig. 1 of Kingsbury and Alvaro 2020 in small: each saw what the other one appended later.
            "circular information flow",
            "0 txn - x+1;y=1\n 1 txn - y+1;x=1",
            &[
                "linearizable",
                "sequential",
                "causal",
                "causal-convergence",
                "pram",
                "read-atomic",
                "read-your-writes",
                "monotonic-reads",
                "monotonic-writes",
                "writes-follow-reads",
            ],
        ),
        (
            // Each process sees both transactions whole and in some order, but not in the same one.
            "write cycle",
            "0 txn - x+1;y+1\n 1 txn - x+2;y+2\n 2 txn - x=1,2\n 3 txn - y=2,1",
            &["linearizable", "sequential", "causal-convergence", "read-atomic"],
        ),
    ] {
        assert_eq!(broken(&sequence(lines), Spec::ListAppend), breaks, "{name}");
    }
}

#[test]
fn planted_violations_of_sets_and_queues() {
    for (name, lines, breaks) in [
        ("stale", "0 add s 1\n 1 read s []", &["linearizable"][..]),
        (
            "two adds seen in different orders",
            "0 add s 1\n 1 add s 2\n 2 read s [1]\n 3 read s [2]",
            &["linearizable", "sequential"],
        ),
        (
            "gone again",
            "0 add s 1\n 1 read s [1]\n 1 read s []",
            &[
                "linearizable",
                "sequential",
                "causal",
                "causal-convergence",
                "weak-causal",
                "pram",
                "monotonic-reads",
            ],
        ),
    ] {
        assert_eq!(broken(&sequence(lines), Spec::Set), breaks, "{name}");
    }
    for (name, lines, breaks) in [
        (
            "in order",
            "0 enqueue q 1\n 0 enqueue q 2\n 1 dequeue q 1\n 1 dequeue q 2",
            &[][..],
        ),
        (
            "another order than real time's",
            "0 enqueue q 1\n 1 enqueue q 2\n 1 dequeue q 2",
            &["linearizable"],
        ),
        (
            "out of order",
            "0 enqueue q 1\n 0 enqueue q 2\n 1 dequeue q 2",
            &["linearizable", "sequential"],
        ),
        (
            "twice",
            "0 enqueue q 1\n 1 dequeue q 1\n 2 dequeue q 1",
            &["linearizable", "sequential"],
        ),
    ] {
        assert_eq!(broken(&sequence(lines), Spec::Queue), breaks, "{name}");
    }
}

fn implications_hold(history: &History, spec: Spec) -> Result<(), TestCaseError> {
    for (name, model) in Model::ALL {
        if verdict(history, model, spec) == Some(Verdict::Holds) {
            for weaker in model.implies() {
                let found = verdict(history, *weaker, spec);
                prop_assert!(
                    found != Some(Verdict::Violated),
                    "{} holds, but {} doesn't",
                    name,
                    weaker
                );
            }
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1500))]

    #[test]
    fn registers_keep_weaker_models(
        history in histories(Shape { unique: true, operations: 12, keys: 2, wrong: 30, unsure: 10, replicated: true, ..Shape::of(Spec::Register) })
    ) {
        implications_hold(&history, Spec::Register)?;
    }

    #[test]
    fn lists_keep_weaker_models(
        history in histories(Shape { unique: true, operations: 9, keys: 2, wrong: 40, unsure: 10, ..Shape::of(Spec::ListAppend) })
    ) {
        implications_hold(&history, Spec::ListAppend)?;
    }

    #[test]
    fn sets_keep_weaker_models(
        history in histories(Shape { unique: true, operations: 9, keys: 2, wrong: 60, unsure: 10, ..Shape::of(Spec::Set) })
    ) {
        implications_hold(&history, Spec::Set)?;
    }
}
