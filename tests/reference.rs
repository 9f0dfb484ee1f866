//! The reference pages in `docs/` say what the code says: `bash docs/remake.sh` makes them anew.

use quorate::reference;

fn page(name: &str) -> String {
    std::fs::read_to_string(format!("{}/docs/{name}.md", env!("CARGO_MANIFEST_DIR"))).expect("the page is committed")
}

#[test]
fn the_pages_are_those_that_the_code_makes() {
    for (name, made) in [
        ("language", reference::language()),
        ("measures", reference::measures()),
        ("models", reference::models()),
        ("patterns", reference::patterns()),
        ("diagnostics", reference::diagnostics()),
    ] {
        assert!(
            page(name) == made,
            "docs/{name}.md is out of date: run `bash docs/remake.sh`"
        );
    }
}

/// The measures of the one run of a scenario, changed so.
fn measured(text: &str, overrides: &[String]) -> std::collections::BTreeMap<String, f64> {
    use quorate::experiment::{Grid, Options};
    use quorate::scenario::{Registry, load, syntax::Memory};
    let files = Memory::new().with("losses.ron", text);
    let outcome = load("losses.ron".as_ref(), overrides, &files, &Registry);
    assert!(outcome.diagnostics.is_empty(), "{:?}", outcome.diagnostics);
    let scenario = outcome.scenario.expect("it has no errors");
    let options = Options {
        seed: scenario.seed,
        ..Options::default()
    };
    Grid::new(&scenario.variants, options).run_cell(0, 0).sheet.numbers
}

#[test]
fn the_example_of_what_is_lost_is_what_a_run_says() {
    let page = page("measures");
    let example = page
        .split("## What is lost: an example")
        .nth(1)
        .expect("the page has it");
    let scenario = example
        .split("```ron\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next());
    let scenario = scenario.expect("it has a scenario");
    let numbers = measured(scenario, &[]);
    let rows: Vec<(&str, f64)> = example
        .lines()
        .filter_map(|line| line.strip_prefix("| `state."))
        .map(|row| {
            let (name, rest) = row.split_once("` | ").unwrap();
            (name, rest.split(' ').next().unwrap().parse().unwrap())
        })
        .collect();
    assert_eq!(rows.len(), 5);
    for (name, value) in rows {
        assert_eq!(numbers[&format!("state.{name}")], value, "state.{name}");
    }
    assert_eq!(numbers["state.writes"], 4.0);
    let merged = measured(scenario, &["state.board.model=Crdt".to_string()]);
    for name in ["overwritten_unseen", "lost_effects", "lost_updates"] {
        assert_eq!(merged[&format!("state.{name}")], 0.0, "{name}");
    }
}

#[test]
fn histories_and_scenarios_share_no_number_of_a_diagnostic() {
    use quorate::scenario::syntax::Code;
    for fault in quorate::check::history::Fault::ALL {
        assert_eq!(Code::find(&fault.to_string()), None, "{fault}");
    }
}
