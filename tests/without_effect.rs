//! Options that change nothing as things stand: each is warned of at its place, and not where it does change something.

use quorate::scenario::syntax::{Memory, Severity};
use quorate::scenario::{Registry, load};

/// A scenario in which everything has an effect.
const SAMPLE: &str = r#"(
    quorate: 1, name: "s", until: At("2min"), sites: ["a", "b"],
    services: {
        "model": (at: "a", servers: 2, discipline: Fair(of: Tokens, weights: {"x": 2}), queue: 9, most_wait: "5s", abandoned: Discard,
            tokens: (tokens_out: 9), price: (million_out: "1 USD"), limits: [TokensIn(rate: "9/s")]),
        "cached": (at: "a", servers: 1, cache: (ttl: "1s")),
        "gate": (at: "b", forwards: (to: ["cached", "model"], ejects: (failures: 2), batch: (most: 2, wait: "1ms"))),
    },
    meshes: {"mesh": (routes: {"way": "cached"}, in_flight: 2, queue: 7)},
    policies: {
        "p": (timeout: "2s", attempts: 4, backoff: Fixed("1s"), retry_budget: (ratio: 0.5), honours_retry_after: true),
        "q": (timeout: "2s", cancels: true, hedge: (after: "1s"), retry_budget: (hedges: true)),
    },
    agents: {
        "x": (count: 5, at: "b", start: Poisson(rate: "1/s", from: "1min"), program: [
            Call(service: "gate", policy: "q", about: 3), Call(service: "way", policy: "p"),
        ]),
        "y": (count: 5, at: "b", start: Surge(rate: "1/s", to: "9/s", at: "1min"), program: [Call(service: "model", policy: "p")]),
    },
    faults: {"f": Pause(who: "cached", at: "30s", for: "10s")},
)"#;

/// What is said of a text: code, line and column, and the message.
fn said(text: &str) -> Vec<(u16, String, String, bool)> {
    let outcome = load("s.ron".as_ref(), &[], &Memory::new().with("s.ron", text), &Registry);
    let place = |span| outcome.sources.locate(span);
    outcome
        .diagnostics
        .iter()
        .map(|problem| {
            let at = problem.span().map_or(String::new(), place);
            let error = problem.severity == Severity::Error;
            (problem.code.number(), at, problem.message.clone(), error)
        })
        .collect()
}

#[test]
fn what_has_an_effect_is_not_warned_of() {
    assert_eq!(said(SAMPLE), []);
}

#[test]
fn what_has_no_effect_is_warned_of_at_its_place() {
    let cases: &[(&str, &str, u16, &str)] = &[
        (
            "attempts: 4, backoff: Fixed(\"1s\"), ",
            "attempts: 1, ",
            506,
            "(ratio: 0.5)",
        ),
        (
            "attempts: 4, backoff: Fixed(\"1s\"), retry_budget: (ratio: 0.5), honours",
            "attempts: 1, honours",
            506,
            "true)",
        ),
        (
            "cancels: true, hedge",
            "cancels: true, backoff: Fixed(\"1s\"), hedge",
            506,
            "Fixed(\"1s\"), hedge",
        ),
        (
            "hedge: (after: \"1s\"), retry",
            "attempts: 2, retry",
            506,
            "(hedges: true)",
        ),
        (
            "servers: 2, discipline: Fair(of: Tokens, weights: {\"x\": 2}), queue: 9, most_wait: \"5s\"",
            "discipline: Lifo",
            507,
            "Lifo",
        ),
        (
            "servers: 2, discipline: Fair(of: Tokens, weights: {\"x\": 2}), queue: 9, most_wait: \"5s\"",
            "discipline: Sharing",
            507,
            "Sharing",
        ),
        (
            "servers: 2, discipline: Fair(of: Tokens, weights: {\"x\": 2}), queue: 9, most_wait: \"5s\"",
            "most_wait: \"5s\"",
            507,
            "\"5s\"",
        ),
        (
            "servers: 2, discipline: Fair(of: Tokens, weights: {\"x\": 2}), queue: 9, most_wait: \"5s\"",
            "queue: 9",
            507,
            "9, aband",
        ),
        (
            "discipline: Fair(of: Tokens, weights: {\"x\": 2})",
            "discipline: Sharing",
            507,
            "\"5s\", aband",
        ),
        (
            "to: [\"cached\", \"model\"], ejects",
            "to: \"cached\", ejects",
            508,
            "(failures: 2)",
        ),
        ("batch: (most: 2", "batch: (most: 1", 508, "(most: 1"),
        ("about: 3", "request: \"1KiB\"", 509, "(ttl: \"1s\")"),
        (
            "service: \"way\", policy: \"p\"",
            "service: \"way\", policy: \"p\"), Call(service: \"model\", about: 4",
            509,
            "4)",
        ),
        ("cancels: true, ", "", 510, "Discard"),
        ("tokens: (tokens_out: 9), ", "", 511, "Fair("),
        ("tokens: (tokens_out: 9), ", "", 511, "\"1 USD\""),
        ("tokens: (tokens_out: 9), ", "", 511, "TokensIn("),
        (
            "at: \"a\", servers: 1, cache",
            "at: \"a\", servers: 1, time: Tokens(each_out: \"1ms\"), cache",
            511,
            "\"1ms\"), cache",
        ),
        (
            "[Call(service: \"model\", policy: \"p\")]",
            "[Think(\"1s\")]",
            512,
            "Fair(",
        ),
        ("weights: {\"x\": 2}", "weights: {\"z\": 2}", 512, "\"z\": 2"),
        (
            "{\"way\": \"cached\"}",
            "{\"way\": \"cached\", \"path\": \"model\"}",
            513,
            "\"path\"",
        ),
        ("{\"mesh\": ", "{\"none\": (routes: {}), \"mesh\": ", 513, "\"none\""),
        ("in_flight: 2, ", "", 513, "7)"),
        ("in_flight: 2, ", "in_flight: 2, sides: Callers, ", 513, "7)"),
        ("at: \"1min\")", "at: \"2min\")", 444, "\"2min\"), program"),
        (
            "start: Surge(rate: \"1/s\", to: \"9/s\", at: \"1min\")",
            "start: Rates([(\"0s\", \"1/s\"), (\"3min\", \"2/s\")])",
            444,
            "[(\"0s\"",
        ),
        ("from: \"1min\"", "from: \"3min\"", 444, "Poisson"),
        (
            "start: Poisson(rate: \"1/s\", from: \"1min\")",
            "start: AtOnce(at: \"3min\")",
            444,
            "AtOnce",
        ),
        (
            "start: Poisson(rate: \"1/s\", from: \"1min\")",
            "start: Tick(every: \"1s\", first: \"2min\")",
            444,
            "Tick",
        ),
        (
            "start: Poisson(rate: \"1/s\", from: \"1min\")",
            "start: Spread(from: \"2min\", over: \"1s\")",
            444,
            "Spread",
        ),
    ];
    for (from, to, code, place) in cases {
        assert_eq!(SAMPLE.matches(from).count(), 1, "{from}");
        let mut text = SAMPLE.replace(from, to);
        if *place == "\"z\": 2" {
            // A group that asks nobody.
            text = text.replace(
                "agents: {",
                "agents: {\"z\": (count: 1, at: \"a\", program: [Think(\"1s\")]),",
            );
        }
        let at = text.find(place).unwrap_or_else(|| panic!("{place}"));
        let (line, before) = (text[..at].lines().count(), text[..at].rfind('\n').unwrap());
        let place = format!("s.ron:{line}:{}", at - before);
        let said = said(&text);
        assert!(said.iter().all(|(.., error)| !error), "{to}: {said:?}");
        let found = said.iter().any(|(number, at, ..)| (number, at) == (code, &place));
        assert!(found, "{to}: {code} at {place}, of {said:?}");
    }
}

#[test]
fn a_service_that_a_fault_makes_stand_still_has_those_who_wait() {
    let endless = SAMPLE.replace(
        "servers: 2, discipline: Fair(of: Tokens, weights: {\"x\": 2})",
        "discipline: Lifo",
    );
    assert_eq!(said(&endless).len(), 3, "{:?}", said(&endless));
    for who in ["[\"cached\", \"model\"]", "\"a\""] {
        let paused = endless.replace("who: \"cached\"", &format!("who: {who}"));
        assert_eq!(said(&paused), []);
    }
    let stalled = endless.replace("Pause(who: \"cached\"", "Stall(services: \"model\"");
    assert_eq!(said(&stalled), []);
}

#[test]
fn what_another_variant_gives_an_effect_is_not_warned_of() {
    let base = SAMPLE.replace("attempts: 4, backoff: Fixed(\"1s\")", "attempts: 1, backoff: None");
    let codes = |text: &str| said(text).iter().map(|(code, ..)| *code).collect::<Vec<_>>();
    assert_eq!(
        codes(&base),
        [506, 506],
        "a budget of retries, and `honours_retry_after`"
    );
    let with = |change: &str| {
        base.replacen(
            "faults:",
            &format!("variants: {{\"v\": [{change}], \"w\": []}}, faults:"),
            1,
        )
    };
    assert_eq!(codes(&with("Set(path: \"policies.p.attempts\", to: 3)")), [0; 0]);
    assert_eq!(codes(&with("Set(path: \"services.model.queue\", to: 3)")), [506, 506]);
    // What a variant itself says is to have an effect in it; what it takes the effect from isn't.
    let with = |change: &str| SAMPLE.replacen("faults:", &format!("variants: {{\"v\": [{change}]}}, faults:"), 1);
    assert_eq!(
        codes(&with("Set(path: \"services.model.servers\", to: Unlimited)")),
        [0; 0]
    );
    assert_eq!(codes(&with("Set(path: \"services.gate.discipline\", to: Lifo)")), [507]);
}

#[test]
fn what_could_not_be_read_may_have_an_effect() {
    let text = SAMPLE.replace("Call(service: \"gate\", policy: \"q\", about: 3)", "Call(7)");
    assert_eq!(said(&text).iter().map(|(code, ..)| *code).collect::<Vec<_>>(), [109]);
    let text = SAMPLE.replace("cancels: true", "cancels: 7");
    assert_eq!(said(&text).iter().map(|(code, ..)| *code).collect::<Vec<_>>(), [106]);
}
