//! What is shown over time: work that was wasted, by when it was done, and the ticks that wake everybody.

mod common;

use common::{measured, read};
use quorate::kernel::SimTime;

/// Clients that give up after a second what a server with two places works on for two.
fn scenario(start: &str, until: &str, services: &str, call: &str) -> String {
    format!(
        r#"(
            quorate: 1, name: "over-time", seed: 1, until: At("{until}"), sites: ["x"],
            services: {{{services}}},
            policies: {{"p": (timeout: "1s", attempts: 2)}},
            agents: {{"a": (count: 3, at: "x", start: {start}, on_failure: Continue, program: [{call}])}},
        )"#
    )
}

const SLOW: &str = r#""s": (at: "x", servers: 2, time: Mixture([(1, "1.987s"), (1, "413ms")]))"#;
const CALL: &str = r#"Repeat(times: Forever, steps: [Call(service: "s", policy: "p"), Think("307ms")])"#;

#[test]
fn the_wasted_requests_of_all_windows_are_those_of_the_run() {
    let gate = r#""gate": (at: "x", forwards: (to: "s", policy: "p")), "#;
    let through = CALL.replace("\"s\"", "\"gate\"");
    for (services, call) in [(SLOW.to_string(), CALL), (format!("{gate}{SLOW}"), through.as_str())] {
        let sheet = measured(&read(&scenario("AtOnce()", "100s", &services, call)), 0, 0).sheet;
        for prefix in ["calls.", "service.s."] {
            let windows = &sheet.series[&format!("{prefix}wasted")].values;
            let wasted = sheet.numbers[&format!("{prefix}wasted")];
            assert_eq!((windows.len(), windows.iter().sum::<f64>()), (100, wasted), "{prefix}");
            assert!(wasted > 20.0, "{wasted}");
        }
    }
}

#[test]
fn an_answer_on_its_way_at_the_end_is_not_wasted() {
    let far = scenario(
        "AtOnce()",
        "100ms",
        r#""s": (at: "y", time: "10ms")"#,
        r#"Call(service: "s")"#,
    );
    let far = far.replace(
        "sites: [\"x\"]",
        "sites: [\"x\", \"y\"], window: \"10ms\", network: (default: (one_way: \"50ms\"))",
    );
    let sheet = measured(&read(&far), 0, 0).sheet;
    assert_eq!(
        (sheet.numbers["calls.served"], sheet.numbers["calls.wasted"]),
        (3.0, 0.0)
    );
    assert_eq!(sheet.series["calls.wasted"].values, [0.0; 10]);
}

#[test]
fn ticks_are_shown_where_faults_are_unless_they_are_a_rhythm() {
    let ticks = |start: &str| -> Vec<(SimTime, SimTime, String)> {
        let services = r#""s": (at: "x", time: "1ms")"#;
        let sheet = measured(&read(&scenario(start, "101s", services, r#"Call(service: "s")"#)), 0, 0).sheet;
        let spans = sheet.faults.into_iter().map(|span| (span.start, span.end, span.fault));
        spans.collect()
    };
    let at = |second: u64| {
        let time = SimTime::from_nanos(second * 1_000_000_000);
        (time, time, "tick of a".to_string())
    };
    assert_eq!(ticks(r#"Tick(every: "40s", first: "10s")"#), [at(10), at(50), at(90)]);
    assert_eq!(ticks(r#"Tick(every: "40s", times: 2)"#), [at(0), at(40)]);
    assert_eq!(ticks(r#"Tick(every: "1s", first: "1s")"#).len(), 100);
    assert_eq!(ticks(r#"Tick(every: "1s")"#), []);
}
