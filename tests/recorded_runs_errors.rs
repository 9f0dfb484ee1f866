//! What is said about steps that replay recorded runs, and are wrong.

use quorate::scenario::syntax::{Memory, Show, render};
use quorate::scenario::{Registry, load};
use std::fmt::Write;

const TABLE: &str =
    "run,trial,tool,kind,size,good\n1,0,read,x,1,yes\n1,0,write,x,2,yes\n2,0,read,y,-3,no\n2,0,look,y,4,no\n";

const STEP: &str = r#"EachRow(data: "mine", run: ["run", "trial"], column: "tool", success: (column: "good", is: "yes"), cases: {
                "read": [Read(key: "k", which: OfRun(Uniform(low: 0, high: 3)))],
                "write": [Call(service: "model", tokens: (tokens_in: OfRow(columns: ["run"], before: true), tokens_out: 5))],
                "look": [Match(column: "kind", cases: {"y": [Think("1s")]})],
            })"#;

fn said(step: &str) -> String {
    let text = format!(
        r#"(
    quorate: 1, name: "runs", until: At("1min"), sites: ["x"],
    network: (local: (one_way: "1ms")),
    data: {{"mine": (file: "rows.csv"), "none": (file: "none.csv"), "bare": (file: "bare.csv")}},
    services: {{"model": (at: "x", time: "1s")}},
    state: {{"s": (at: "x", keys: {{"k": Register(count: 3)}}, model: LastWriteWins)}},
    agents: {{"a": (count: 2, at: "x", program: [
            {step},
    ])}},
)"#
    );
    let files = Memory::new()
        .with("s.ron", text)
        .with("rows.csv", TABLE)
        .with("none.csv", "run,trial,tool\n")
        .with("bare.csv", "");
    let outcome = load("s.ron".as_ref(), &[], &files, &Registry);
    assert_eq!(outcome.scenario.is_none(), outcome.diagnostics.has_errors(), "{step}");
    render(&outcome.diagnostics, &outcome.sources, Show::default())
}

/// What is said about each of these changes of the step.
fn all(changes: &[(&str, &str)]) -> String {
    let mut page = String::new();
    for (from, to) in changes {
        assert_eq!(STEP.matches(from).count(), 1, "{from}");
        let said = said(&STEP.replace(from, to));
        let _ = writeln!(
            page,
            "=== {from} => {to}\n\n{}\n",
            if said.is_empty() { "nothing\n" } else { &said }
        );
    }
    page
}

fn snapshot(name: &str, text: String) {
    insta::with_settings!({omit_expression => true}, { insta::assert_snapshot!(name, text) });
}

#[test]
fn the_step_is_right() {
    assert_eq!(said(STEP), "");
    let simple = STEP.replace(r#"run: ["run", "trial"]"#, r#"run: "run", take: Random"#);
    assert_eq!(said(&simple), "");
}

#[test]
fn data_and_columns() {
    snapshot(
        "data_and_columns",
        all(&[
            (r#""mine""#, r#""airline-cals""#),
            (r#""mine""#, r#""none""#),
            (r#""mine""#, r#""bare""#),
            (r#"["run", "trial"]"#, r#"["run", "trail"]"#),
            (r#"["run", "trial"]"#, "[]"),
            (r#"column: "tool""#, r#"column: "tol""#),
            (r#"column: "kind""#, r#"column: "tools""#),
            (r#"(column: "good", is: "yes")"#, r#"(column: "goods", is: "yes")"#),
            (r#"(column: "good", is: "yes")"#, r#"(column: "good", is: "yess")"#),
            (r#"(column: "good", is: "yes")"#, r#"(column: "tool", is: "read")"#),
            (r#"columns: ["run"]"#, r#"columns: ["runs"]"#),
            (r#"columns: ["run"]"#, r#"columns: ["tool"]"#),
            (r#"columns: ["run"]"#, r#"columns: ["size"]"#),
            (r#"columns: ["run"]"#, "columns: []"),
            ("before: true", "times: -1"),
        ]),
    );
}

#[test]
fn cases() {
    snapshot(
        "cases",
        all(&[
            // A value without a case, and a case that never occurs.
            (r#""look":"#, r#""lok":"#),
            (r#""y": ["#, r#""x": ["#),
            (r#""read":"#, r#""Read":"#),
            (
                r#"{"y": [Think("1s")]}"#,
                r#"{"x": [Think("1s")]}, otherwise: [Think("2s")]"#,
            ),
            // Within a case only its own rows count.
            (r#"{"y": [Think("1s")]}"#, r#"{"y": [], "x": []}"#),
        ]),
    );
}

#[test]
fn what_goes_by_a_row_stands_within_its_steps() {
    let mut page = String::new();
    let outside = [
        r#"Match(column: "kind", cases: {"y": [Think("1s")]})"#.to_string(),
        r#"Read(key: "k", which: OfRun(Uniform(low: 0, high: 3)))"#.to_string(),
        r#"Call(service: "model", tokens: (tokens_out: OfRow(columns: "run")))"#.to_string(),
        // A guess is done again, with another run.
        format!(r#"Speculate(basis: [Think("1s")], right: 0.5, guess: [{STEP}])"#),
        // A loop that may do nothing for ever.
        r#"Repeat(times: Forever, steps: [EachRow(data: "mine", column: "tool", cases: {}, otherwise: [])])"#.to_string(),
        r#"CompareAndSwap(key: "k", seen: true, at_least: 1)"#.to_string(),
        // All problems of all cases are said at once, whatever is wrong with the data.
        r#"EachRow(data: "mne", column: "tool", cases: {"a": [Match(column: "x", cases: {}), Call(service: "modle")]})"#
            .to_string(),
    ];
    for step in &outside {
        let _ = writeln!(page, "=== {step}\n\n{}\n", said(step));
    }
    snapshot("outside", page);
}
