//! Runs that would never end are stopped, with their place: calls that are tried in vain again and again, programs that go on in one
//! instant.

mod common;

use common::{Place, out, read, text};
use quorate::experiment::{Grid, Options};

/// Agents that call "s", which refuses everything; `network` is what the way there takes.
fn scenario(network: &str, policy: &str, program: &str, rest: &str) -> String {
    format!(
        r#"(
            quorate: 1, name: "endless", seed: 1, until: At("1h"), sites: ["x", "y"], network: (default: (one_way: "{network}")),
            services: {{"s": (at: "x", overload: (probability: 1)), "free": (at: "x"), {rest}}},
            policies: {{"p": ({policy})}},
            agents: {{"a": (count: 3, at: "y", on_failure: Continue, program: [Think("1s"), {program}])}},
        )"#
    )
}

/// Why a run was stopped.
fn stopped(text: &str) -> Option<String> {
    let scenario = read(text);
    let cell = Grid::new(&scenario.variants, Options::default()).run_cell(0, 0);
    cell.stopped()
}

#[test]
fn a_call_that_is_refused_and_tried_again_without_a_pause_is_stopped_with_its_place() {
    for attempts in ["Unlimited", "1000000"] {
        let text = scenario(
            "0s",
            &format!("attempts: {attempts}"),
            r#"Call(service: "s", policy: "p")"#,
            "",
        );
        let said = stopped(&text).expect("it never ends");
        assert!(said.starts_with("at 1s, a["), "{said}");
        let place =
            ", agents.a.program[1]: \"s\" never answers this call: it is refused and tried again without any delay";
        assert!(said.contains(place), "{said}");
    }
    let loops = [
        r#"Repeat(times: Forever, steps: [Call(service: "s", policy: "p")])"#,
        r#"Repeat(times: Forever, steps: [Call(service: "free")])"#,
        r#"Repeat(times: Forever, steps: [Parallel([[Call(service: "free")], [Call(service: "s")]])])"#,
    ];
    for program in loops {
        let said = stopped(&scenario("0s", "", program, "")).expect("it never ends");
        assert!(said.starts_with("at 1s, a["), "{said}");
        assert!(said.contains(", agents.a.program[1]"), "{said}");
        assert!(said.contains("goes on without end in this instant"), "{said}");
    }
}

#[test]
fn a_call_that_is_tried_in_vain_is_stopped_after_so_many_attempts_but_not_where_a_number_allows_more() {
    let call = r#"Call(service: "s", policy: "p")"#;
    let said = stopped(&scenario("1ms", "attempts: Unlimited", call, "")).expect("it never ends");
    // Two milliseconds an attempt.
    assert!(said.starts_with("at 201s, a["), "{said}");
    assert!(
        said.contains("agents.a.program[1]: \"s\" never answers this call: 100000 attempts were in vain"),
        "{said}"
    );
    let paused = scenario("1ms", r#"attempts: Unlimited, backoff: Fixed("8ms")"#, call, "");
    assert!(
        stopped(&paused).is_some_and(|said| said.starts_with("at 1000.99")),
        "{:?}",
        stopped(&paused)
    );
    // So does a client that does more than try again.
    let pursued = scenario("1ms", "attempts: Unlimited, breaker: (trips: 1000000)", call, "");
    assert!(
        stopped(&pursued).is_some_and(|said| said.starts_with("at 201s")),
        "{:?}",
        stopped(&pursued)
    );
    assert_eq!(stopped(&scenario("10ms", "attempts: 150000", call, "")), None);
}

#[test]
fn a_gateway_that_tries_in_vain_is_stopped_too() {
    let gate = r#""gate": (at: "x", forwards: (to: "s", policy: "p"))"#;
    let call = r#"Call(service: "gate")"#;
    let said = stopped(&scenario("0s", "attempts: Unlimited", call, gate)).expect("it never ends");
    assert!(
        said.contains("at 1s, gate[0], services.gate.forwards: what it passes on is never answered"),
        "{said}"
    );
    let far = gate.replace("at: \"x\"", "at: \"y\"");
    let said = stopped(&scenario("1ms", "attempts: Unlimited", call, &far)).expect("it never ends");
    assert!(said.contains("100000 attempts were in vain"), "{said}");
}

#[test]
fn the_command_says_so_and_that_nothing_is_decided() {
    let place = Place::with(&scenario(
        "0s",
        "attempts: Unlimited",
        r#"Call(service: "s", policy: "p")"#,
        "",
    ));
    let output = place.run(&["run", "tiny.ron", "--replicates", "1"]);
    let said = text(&output.stderr) + &out(&output);
    assert!(said.contains("agents.a.program[1]: \"s\" never answers this"), "{said}");
    assert_eq!(output.status.code(), Some(3), "{said}");
}
