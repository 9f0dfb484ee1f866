//! Hierarchies in scenarios: what is measured of them, how it scales, and what is said of mistakes.

mod common;

use common::{Place, json, measured, read};
use quorate::scenario::syntax::{Memory, Show, render};
use quorate::scenario::{Registry, load};
use std::collections::BTreeMap;

/// A root, a region and a depot, 10 ms and 20 ms apart, and agents at the depot.
const FLEET: &str = r#"(
    quorate: 1, name: "t", question: "?", seed: 1, until: At("60s"), sites: ["hq", "region", "field"],
    network: (default: (one_way: "30ms"), local: (one_way: "1ms"), links: [
        (between: ("hq", "region"), one_way: "20ms"), (between: ("region", "field"), one_way: "10ms"),
    ]),
    coordination: {"fleet": (pattern: Hierarchy(
        tiers: [
            (name: "global", at: "hq", decides: "7ms"),
            (name: "region", at: "region", limit: 100, decides: "5ms"),
            (name: "depot", at: "field", limit: 10, decides: "3ms"),
        ],
        report: "1s", OPTIONS
    ))},
    agents: {"van": (count: 1, at: "field", program: [
        Submit(to: "fleet", value: 5), Submit(to: "fleet", value: 50), Submit(to: "fleet", value: 500),
    ])},
    faults: {FAULTS}
)"#;

fn fleet(options: &str, faults: &str) -> String {
    FLEET.replace("OPTIONS", options).replace("FAULTS", faults)
}

fn numbers(text: &str) -> BTreeMap<String, f64> {
    measured(&read(text), 0, 0).sheet.numbers
}

fn near(value: f64, wanted: f64) {
    assert!((value - wanted).abs() < 1e-9, "{value}, and not {wanted}");
}

#[test]
fn what_a_hierarchy_does_is_measured_to_the_nanosecond() {
    let of = numbers(&fleet("", ""));
    let get = |name: &str| of[&format!("coordination.fleet.{name}")];
    for tier in ["global", "region", "depot"] {
        assert_eq!(get(&format!("{tier}.decisions")), 1.0);
    }
    assert_eq!((get("decisions"), get("escalated"), get("answered")), (3.0, 2.0, 3.0));
    near(get("escalated.share"), 2.0 / 3.0);
    // A millisecond to the desk, one to the depot, and from there up.
    near(get("depot.decisions.time.mean"), 0.002 + 0.003);
    near(get("region.decisions.time.mean"), 0.012 + 0.005);
    near(get("global.decisions.time.mean"), 0.032 + 0.007);
    near(get("root.load"), 0.007 / 60.0);
    // Beats from the beginning on, every half second, to one child; a report each second but the last, which is on its way; one case and its answer.
    assert_eq!(get("root.messages"), 121.0 + 59.0 + 2.0);
    // What the depot said two seconds ago is at the root, less what it takes to get there: each report waits for the next one above.
    near(get("totals.age.max"), 2.0);
    assert_eq!(get("uncoordinated.total"), 0.0);
}

#[test]
fn a_deputy_shortens_the_time_without_a_coordinator() {
    let fault = r#""down": Crash(who: "region", at: "10.25s", for: "20s")"#;
    let alone = numbers(&fleet("", fault));
    near(alone["coordination.fleet.uncoordinated.max"], 20.0);
    let with = numbers(&fleet("failover: Deputy, cut_off: \"3s\"", fault));
    // Its deputy is with its first child: the last beat came from it at 10.01 s, and two seconds are over at 12.01 s.
    near(with["coordination.fleet.uncoordinated.max"], 12.01 - 10.25);
    assert_eq!(with["coordination.fleet.takeovers"], 1.0);
}

#[test]
fn a_cut_is_felt_by_those_who_wait_and_by_the_sums_of_those_who_do_not() {
    let text = fleet(
        "quota: (total: 10000, lease: 10), cut_off: \"2s\", after: \"1s\", heartbeat: \"500ms\", alone: ALONE",
        r#""cut": Partition(groups: [["hq"], ["region", "field"]], at: "5s", for: "20s")"#,
    );
    let text = text.replace(
        "program: [",
        "start: AtOnce(at: \"8s\"), program: [Submit(to: \"fleet\", value: 300), ",
    );
    let stops = numbers(&text.replace("ALONE", "Stop"));
    assert_eq!(stops["coordination.fleet.overcommit"], 0.0);
    assert!(stops["task.time.mean"] > 17.0, "it waits until the cut is over");
    let goes_on = numbers(&text.replace("ALONE", "GoOn"));
    assert_eq!(goes_on["coordination.fleet.overcommit"], 300.0 + 5.0 + 50.0 + 500.0);
    assert_eq!(goes_on["coordination.fleet.overcommit.covered"], 855.0);
    assert_eq!(goes_on["coordination.fleet.overcommit.uncovered"], 0.0);
    assert!(goes_on["task.time.mean"] < 1.0, "it doesn't");
}

fn said(text: &str) -> String {
    let outcome = load("s.ron".as_ref(), &[], &Memory::new().with("s.ron", text), &Registry);
    assert!(outcome.scenario.is_none(), "nothing is said against it");
    render(&outcome.diagnostics, &outcome.sources, Show::default())
}

/// Where something stands in a text, as diagnostics say it.
fn place_of(what: &str, text: &str) -> String {
    let (line, column) = text
        .lines()
        .enumerate()
        .find_map(|(line, text)| Some((line, text.find(what)?)))
        .expect("it stands there");
    format!("s.ron:{}:{}\n", line + 1, column + 1)
}

/// A scenario whose hierarchy stands in the fourth line.
fn of(pattern: &str) -> String {
    r#"(
    quorate: 1, name: "t", question: "?", until: At("1s"), sites: ["a", "b"],
    coordination: {"g": (pattern:
        Hierarchy(PATTERN)
    )},
)"#
    .replace("PATTERN", pattern)
}

#[test]
fn a_hierarchy_that_cannot_be_is_told_where_it_is_written() {
    for (pattern, code, at, words) in [
        (
            r#"nodes: {"hq": (at: "a"), "n": (at: "b", under: "hq"), "stray": (at: "b")}"#,
            "E0750",
            r#""stray""#,
            "\"stray\" stands under nobody, and \"hq\" is the root",
        ),
        (
            r#"nodes: {"hq": (at: "a"), "n": (at: "b", under: "hp")}"#,
            "E0751",
            r#""hp""#,
            "there is no coordinator \"hp\"",
        ),
        (
            r#"nodes: {"hq": (at: "a"), "n": (at: "b", under: "m"), "m": (at: "b", under: "n")}"#,
            "E0752",
            r#""m": ("#,
            "coordinators stand under each other: \"m\" under \"n\" under \"m\"",
        ),
        (
            r#"tiers: [(at: ["a", "b"])]"#,
            "E0750",
            r#"(at: ["#,
            "2 coordinators stand under nobody",
        ),
        (
            r#"tiers: [(at: "a"), (limit: 3)]"#,
            "E0753",
            "(limit",
            "nothing says how many coordinators the tier has",
        ),
        (r#""#, "E0753", "Hierarchy", "nothing says who coordinates"),
        (
            r#"tiers: [(at: "a")], quota: (total: 5, lease: 10)"#,
            "E0754",
            "(total",
            "a lease of 10 is more than the `total`, 5",
        ),
        (
            r#"tiers: [(at: "a")], abroad: 0.5"#,
            "E0755",
            "0.5",
            "the hierarchy has one root",
        ),
    ] {
        let text = of(pattern);
        let said = said(&text);
        assert!(said.contains(code) && said.contains(words), "{pattern}: {said}");
        assert!(said.contains(&place_of(at, &text)), "{pattern}: {said}");
    }
    let said = said(&of(r#"tiers: [(at: "a")]"#).replace("(pattern:", "(at: \"a\", pattern:"));
    assert!(said.contains("`at` has nothing to say"), "{said}");
}

#[test]
fn systems_that_are_federated_decide_for_each_other() {
    let text = r#"(
        quorate: 1, name: "t", question: "?", seed: 1, until: AllDone(within: "10min"), sites: ["a", "b"],
        network: (default: (one_way: "50ms"), local: (one_way: "1ms")),
        coordination: {"two": (pattern: Hierarchy(
            tiers: [(name: "root", at: ["a", "b"]), (name: "leaf", at: ["a", "b"])], abroad: 0.25,
        ))},
        agents: {"agent": (count: 400, at: ["a", "b"], start: Spread(over: "1min"), program: [Submit(to: "two")])},
    )"#;
    let of = numbers(text);
    let get = |name: &str| of[&format!("coordination.two.{name}")];
    let abroad = get("abroad");
    // A quarter of 400, within five standard deviations.
    assert!((100.0 - 43.3..=100.0 + 43.3).contains(&abroad), "{abroad}");
    assert_eq!((get("root.decisions"), get("leaf.decisions")), (abroad, 400.0 - abroad));
    // Desk, leaf, root, the other root: 1 + 1 + 1 + 50 ms.
    near(get("root.decisions.time.mean"), 0.053);
    near(get("leaf.decisions.time.mean"), 0.002);
}

const GROWS: &str = r#"(
    quorate: 1, name: "grows", question: "?", seed: 1, replicates: 2, until: AllDone(within: "10min"), sites: ["here"],
    network: (local: (one_way: "1ms")),
    coordination: {"g": (pattern: Hierarchy(tiers: [(at: "here")], heartbeat: "20min", after: "30min", cut_off: "30min"))},
    agents: {"agent": (count: 10, at: "here", program: [Submit(to: "g")])},
    variants: {
        "20": [Set(path: "agents.agent.count", to: 20)],
        "40": [Set(path: "agents.agent.count", to: 40)],
    },
    scaling: [(measure: "coordination.g.case.messages", with: "agents.agent.count", called: "cases", is: Between(0.999, 1.001))],
)"#;

#[test]
fn how_a_measure_grows_is_fitted_shown_and_judged() {
    let place = Place::with(GROWS);
    let ran = place.run(&["run", "tiny.ron", "--out", "out"]);
    let table = common::out(&ran);
    assert_eq!(ran.status.code(), Some(0), "{table}");
    let said =
        "cases grows with agents.agent.count to the power of 1.000 ± 0.000 (95 % Student t; 6 values at 3 sizes)";
    let unbroken = table.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(unbroken.contains(said), "{table}");
    let results = json(&std::fs::read(place.path("out/grows/results.json")).expect("it is written"));
    let scaling = &results["scaling"][0];
    assert_eq!(
        (&scaling["called"], &scaling["sizes"][2]["x"]),
        (&"cases".into(), &40.0.into())
    );
    assert_eq!(scaling["sizes"][1]["values"], serde_json::json!([20.0, 20.0]));
    near(scaling["fit"]["exponent"].as_f64().expect("a number"), 1.0);
    assert!(place.path("out/grows/plots/scaling.svg").exists() || place.path("out/grows/scaling.svg").exists());
    // A wrong claim fails, and with it the command.
    place.write("tiny.ron", &GROWS.replace("Between(0.999, 1.001)", "AtMost(0.9)"));
    assert_eq!(place.code(&["run", "tiny.ron", "--no-output"]), 1);
    // Where not all of its variants are run, nothing is fitted.
    let ran = place.run(&["run", "tiny.ron", "--no-output", "--variant", "20"]);
    assert_eq!(ran.status.code(), Some(0));
    assert!(!common::out(&ran).contains("to the power"));
}

#[test]
fn a_scaling_without_numbers_or_with_too_few_is_told() {
    let wrong = GROWS.replace("with: \"agents.agent.count\"", "with: \"agents.agent.at\"");
    let text = said(&wrong);
    assert!(
        text.contains("E0757") && text.contains(&place_of("\"agents.agent.at\"", &wrong)),
        "{text}"
    );
    let text = said(&GROWS.replace("called: \"cases\"", "variants: [\"base\", \"50\"]"));
    assert!(text.contains("there is no variant \"50\""), "{text}");
    let few = GROWS.replace("called: \"cases\"", "variants: [\"base\", \"20\"]");
    let outcome = load(
        "s.ron".as_ref(),
        &[],
        &Memory::new().with("s.ron", few.as_str()),
        &Registry,
    );
    assert!(outcome.scenario.is_some());
    let said = render(&outcome.diagnostics, &outcome.sources, Show::default());
    assert!(said.contains("E0756") && said.contains("2 different numbers"), "{said}");
}

/// What a child needs for several is given as far as it goes.
#[test]
fn a_quota_that_is_too_little_for_all_who_wait_serves_those_for_whom_it_is_enough() {
    let granted = |total: u32, under: &str| {
        let text = format!(
            r#"(
            quorate: 1, name: "quota", seed: 1, until: At("1min"), sites: ["a", "b"],
            network: (default: (one_way: "10ms"), local: (one_way: "1ms")),
            coordination: {{"o": (pattern: Hierarchy(tiers: [(at: "a"){under}], quota: (total: {total})))}},
            agents: {{"ag": (count: 8, at: "b", program: [Submit(to: "o", value: 20,
                then: [Task(name: "granted", steps: [Sleep("1ms")])], otherwise: [Task(name: "denied", steps: [Sleep("1ms")])])])}},
        )"#
        );
        let all = measured(&read(&text), 0, 0).sheet.numbers;
        assert_eq!(all["task.done"], 8.0);
        all.get("task.granted.done").copied().unwrap_or(0.0)
    };
    for under in ["", r#", (at: "b")"#, r#", (at: "b"), (at: "b")"#] {
        assert_eq!(granted(150, under), 7.0, "{under}");
        assert_eq!(granted(50, under), 2.0, "{under}");
        assert_eq!(granted(160, under), 8.0, "{under}");
        assert_eq!(granted(19, under), 0.0, "{under}");
    }
}
