//! Agents that repeat steps, don't notice that they are through, or think slowly: what that costs, and that it moves no other draw.

mod common;

use common::{measured, read};
use quorate::scenario::syntax::{Memory, Show, render};
use quorate::scenario::{Registry, load};
use std::collections::BTreeMap;

/// Five jobs, one after the other, each of twenty thoughts and calls of one agent, who errs so.
fn text(errs: &str, think: &str) -> String {
    format!(
        r#"(
            quorate: 1, name: "habits", question: "?", until: AllDone(within: "10h"), sites: ["a"], network: (),
            services: {{"tool": (at: "a", time: Exponential(mean: "100ms"))}},
            work: {{"w": (tasks: {{"one": (by: "crew")}})}},
            coordination: {{"g": (pattern: Orchestrator(work: "w"), at: "a")}},
            agents: {{
                "crew": (count: 1, at: "a", errs: ({errs}), on: {{"one": [Repeat(times: 20, steps: [{think}, Call(service: "tool")])]}}),
                "x": (count: 1, at: "a", program: [Repeat(times: 5, steps: [Submit(to: "g")])]),
            }},
        )"#
    )
}

fn numbers(errs: &str, think: &str) -> BTreeMap<String, f64> {
    measured(&read(&text(errs, think)), 0, 0).sheet.numbers
}

const RANDOM: &str = r#"Think(Exponential(mean: "1s"))"#;

fn near(one: f64, other: f64) -> bool {
    (one - other).abs() < 1e-6
}

#[test]
fn a_slow_agent_thinks_longer_and_calls_as_before() {
    let (right, slow) = (numbers("", RANDOM), numbers("slow: (share: 1, factor: 3.0)", RANDOM));
    let tool = numbers("", r#"Think("0s")"#)["work.g.spent"];
    assert!(near(slow["work.g.spent"] - tool, 3.0 * (right["work.g.spent"] - tool)));
    // Nobody is one of none.
    let none = numbers("slow: (share: 0, factor: 3.0)", RANDOM);
    assert_eq!(none["work.g.spent"], right["work.g.spent"]);
}

#[test]
fn steps_that_are_repeated_take_their_time_and_move_no_other_draw() {
    let (right, repeats) = (numbers("", RANDOM), numbers("repeats: 0.3", RANDOM));
    let redone = repeats["redone.steps"];
    // 200 steps, each once more with 0.3, and so on: 86 on average, with a standard deviation of 11.
    assert!((50.0..122.0).contains(&redone), "{redone}");
    assert_eq!(
        repeats["calls.arrivals"] - right["calls.arrivals"],
        repeats["redone.calls"]
    );
    assert!((20.0..70.0).contains(&repeats["redone.calls"]));
    // Whatever isn't repeated takes as long as it did.
    assert!(near(
        repeats["work.g.spent"] - right["work.g.spent"],
        repeats["redone.time"]
    ));
    assert!(!right.contains_key("redone.steps"));
}

#[test]
fn who_does_not_notice_that_it_is_through_goes_through_all_of_it_again() {
    let (right, unaware) = (numbers("", r#"Think("1s")"#), numbers("unaware: 0.5", r#"Think("1s")"#));
    let rounds = unaware["redone.rounds"];
    assert!((1.0..20.0).contains(&rounds), "{rounds}");
    assert_eq!(
        unaware["calls.arrivals"] - right["calls.arrivals"],
        20.0 * rounds,
        "every call of a round"
    );
    assert_eq!((unaware["work.g.given"], unaware["work.g.used"]), (5.0, 5.0));
    let longer = unaware["work.g.spent"] - right["work.g.spent"];
    assert!(longer > 20.0 * rounds && longer < 23.0 * rounds, "{longer} {rounds}");
}

#[test]
fn an_agent_that_never_comes_to_an_end_is_refused() {
    let text = text("repeats: 1.0, unaware: 1.0", RANDOM);
    let outcome = load(
        "s.ron".as_ref(),
        &[],
        &Memory::new().with("s.ron", text.as_str()),
        &Registry,
    );
    let said = render(&outcome.diagnostics, &outcome.sources, Show::default());
    for what in ["repeats", "unaware"] {
        assert!(
            said.contains(&format!("with `{what}: 1` an agent never comes to an end")),
            "{said}"
        );
    }
    assert!(said.contains("E0741"));
}
