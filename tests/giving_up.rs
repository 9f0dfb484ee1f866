//! Tasks whose agents go on after failures: they count as done, and it is said that a step was given up.

mod common;

use common::{measured, read};

fn numbers(on_failure: &str, program: &str) -> std::collections::BTreeMap<String, f64> {
    let text = format!(
        r#"(
            quorate: 1, name: "giving_up", question: "?", until: AllDone(within: "1h"), sites: ["x"],
            services: {{"slow": (at: "x", time: "1s")}},
            policies: {{"hasty": (timeout: "1ms")}},
            agents: {{"a": (count: 1, at: "x", on_failure: {on_failure}, program: [{program}])}},
        )"#
    );
    measured(&read(&text), 0, 0).sheet.numbers
}

const FAILS: &str = r#"Call(service: "slow", policy: "hasty")"#;

#[test]
fn a_step_that_was_given_up_is_said_of_every_task_around_it() {
    let program = format!(
        r#"Task(name: "inner", steps: [{FAILS}, Think("1ms")]), Task(name: "clean", steps: [Think("1ms")]),
           Task(name: "branches", steps: [Parallel([[Think("1ms")], [{FAILS}]])])"#
    );
    let of = numbers("Continue", &program);
    for (task, gave_up) in [("", 1.0), ("inner.", 1.0), ("clean.", 0.0), ("branches.", 1.0)] {
        assert_eq!(of[&format!("task.{task}done")], 1.0, "{task}");
        assert_eq!(of[&format!("task.{task}failed")], 0.0, "{task}");
        assert_eq!(of[&format!("task.{task}gave_up")], gave_up, "{task}");
    }
}

#[test]
fn a_task_that_a_failure_ends_gave_nothing_up() {
    let of = numbers(
        "EndTask",
        &format!(r#"Task(name: "inner", steps: [{FAILS}]), Think("1ms")"#),
    );
    assert_eq!((of["task.inner.failed"], of["task.inner.gave_up"]), (1.0, 0.0));
    assert_eq!((of["task.done"], of["task.gave_up"]), (1.0, 0.0));
}
