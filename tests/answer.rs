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
