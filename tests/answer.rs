//! What stands in the printed answer.

mod common;

use common::{Place, out};

/// The head of the printed table: the names of its columns, and the first variant's row.
fn head(scenario: &str) -> (Vec<String>, String) {
    let place = Place::with(scenario);
    let ran = place.run(&["run", "tiny.ron", "--no-output"]);
    let text = out(&ran);
    let mut lines = text.lines();
    let head = lines
        .next()
        .unwrap()
        .split("  ")
        .map(str::trim)
        .filter(|name| !name.is_empty());
    (
        head.map(str::to_string).collect(),
        lines.nth(1).unwrap_or_default().to_string(),
    )
}

#[test]
fn aborted_tasks_are_shown_beside_those_that_failed() {
    let scenario = |faults: &str| {
        format!(
            r#"(
                quorate: 1, name: "aborted", seed: 1, replicates: 3, until: AllDone(within: "1h"), sites: ["x"],
                agents: {{"a": (count: 10, at: "x", program: [Repeat(times: 10, steps: [Think("1s")])])}},
                faults: {{{faults}}},
            )"#
        )
    };
    let (columns, row) = head(&scenario(r#""c": Crash(who: "a", keep: Nothing, at: "8s", for: "2s")"#));
    assert_eq!(columns, ["variant", "task time", "tasks aborted"]);
    assert_eq!(
        row.split_whitespace().collect::<Vec<_>>(),
        ["base", "10.0", "s", "±0", "10", "±0"]
    );
    assert_eq!(head(&scenario("")).0, ["variant", "task time"]);
}

#[test]
fn named_tasks_and_calls_stand_in_where_no_program_is_ever_done() {
    let scenario = |agents: &str| {
        format!(
            r#"(
                quorate: 1, name: "endless", seed: 1, replicates: 2, until: At("101s"), warm_up: "11s", sites: ["x"],
                services: {{"s": (at: "x", servers: 4, time: "2s")}},
                agents: {{{agents}}},
            )"#
        )
    };
    let tasks = r#""a": (count: 1, at: "x", program: [Repeat(times: Forever, steps: [Task(name: "look", steps: [Think("1s")])])]),"#;
    let calls = r#""c": (count: 4, at: "x", program: [Repeat(times: Forever, steps: [Call(service: "s")])]),"#;
    let (columns, row) = head(&scenario(&format!("{tasks}{calls}")));
    assert_eq!(columns, ["variant", "look time", "call time", "calls answered"]);
    let row: Vec<_> = row.split_whitespace().collect();
    assert_eq!(row, ["base", "1.00", "s", "±0", "2.00", "s", "±0", "2.00/s", "±0"]);
    assert_eq!(head(&scenario(tasks)).0, ["variant", "look time"]);
    assert_eq!(head(&scenario(calls)).0, ["variant", "call time", "calls answered"]);
    // Messages are better than nothing.
    let messages = r#""p": (count: 2, at: "x", program: [Repeat(times: Forever, steps: [Sleep("1s"), Send(to: Next("p"), topic: "m")])], on: {"m": []}),"#;
    assert_eq!(head(&scenario(messages)).0, ["variant", "messages delivered"]);
}
