//! Scenarios that mean harm, or are merely huge: each is refused with a word, or read; none panics, hangs or eats the memory.

use quorate::experiment::Registry;
use quorate::scenario::syntax::{Memory, Show, render};
use quorate::scenario::{Outcome, load};

const SMALL: &str = r#"(
    quorate: 1, name: "small", replicates: 1, until: AllDone(within: "10min"), sites: ["a", "b"],
    network: (default: (one_way: "50ms")),
    services: {"tool": (at: "b", time: Exponential(mean: "20ms"))},
    state: {}, policies: {}, faults: {}, variants: {},
    agents: {"worker": (count: 5, at: "a", start: Spread(over: "1s"), program: [
        Repeat(times: 3, steps: [Think("10ms"), Call(service: "tool")]),
    ])},
)"#;

fn outcome(text: &str) -> Outcome {
    let files = Memory::new()
        .with("s.ron", text)
        .with("empty.csv", "")
        .with("lines.csv", "\n\n")
        .with("header.csv", "v\n")
        .with("open.csv", "v")
        .with("bom.csv", "\u{feff}v\r\n1\r\n2\r\n")
        .with("quote.csv", "\"v\n1\n")
        .with("nan.csv", "v\nNaN\n")
        .with("large.csv", "v\n1e309\n")
        .with("nul.csv", "v\n1\0\n")
        .with("bytes.csv", b"v\n\xff\n".to_vec())
        .with("packed.csv", b"\x1f\x8b\x08\x00junk".to_vec());
    load("s.ron".as_ref(), &[], &files, &Registry)
}

/// The codes of what is said, each once, in the order of the text.
fn codes(text: &str) -> String {
    let outcome = outcome(text);
    let mut codes: Vec<String> = outcome
        .diagnostics
        .sorted()
        .iter()
        .map(|d| d.code.to_string())
        .collect();
    codes.dedup();
    assert_eq!(outcome.scenario.is_none(), outcome.diagnostics.has_errors());
    // Whatever is said can be shown.
    render(&outcome.diagnostics, &outcome.sources, Show::default());
    codes.join(" ")
}

/// The small scenario with one text in place of another.
fn with(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "{from}");
    SMALL.replacen(from, to, 1)
}

#[test]
fn strange_bytes_are_read_or_refused() {
    let crlf = SMALL.replace('\n', "\r\n");
    for (text, expected) in [
        (format!("\u{feff}{SMALL}"), ""),
        (crlf.clone(), ""),
        (format!("\u{feff}{crlf}"), ""),
        (SMALL.replace('\n', "\r"), ""),
        (with("name:", "\u{feff}name:"), "E0005"),
        (with("\"small\"", "\"sm\0all\""), "E0001"),
        (String::new(), "E0015"),
        ("\u{feff}".into(), "E0015"),
        ("()".into(), "E0473 E0103"),
        ("{\"a\":".repeat(127) + "1" + &"}".repeat(127), "E0106"),
        ("Some(".repeat(127) + "1" + &")".repeat(127), "E0106"),
        ("(a:".repeat(1_000_000), "E0003"),
    ] {
        assert_eq!(
            codes(&text),
            expected,
            "{:?}",
            text.chars().take(60).collect::<String>()
        );
    }
}

#[test]
fn names_may_hold_anything_that_folders_can_bear() {
    for name in ["a\\nb", "a\\\"b,c", "\\u{202e}", "=1+1", "*", "a.b", " ", "", "\\u{1}"] {
        for place in ["\"tool\"", "\"worker\"", "\"b\""] {
            let text = SMALL.replace(place, &format!("\"{name}\""));
            assert_eq!(codes(&text), "", "{name} for {place}");
        }
    }
    // A scenario's own name is that of a folder on any system.
    let name = |name: &str| codes(&with("\"small\"", &format!("\"{name}\"")));
    assert_eq!((name("a-b"), name(&"x".repeat(100))), (String::new(), String::new()));
    for bad in [
        "",
        " ",
        ".",
        "..",
        "a/b",
        "a\\\\b",
        "a\\0b",
        "a\\nb",
        "\\\"",
        &"x".repeat(201),
        &"ü".repeat(201),
    ] {
        assert_eq!(name(bad), "E0475", "{bad}");
    }
}

#[test]
fn numbers_beyond_all_measure_are_refused() {
    for (from, to, expected) in [
        ("count: 5", "count: 4294967296", "E0107"),
        ("count: 5", "count: 4294967295", "E0472"),
        ("count: 5", "count: 2147483648", "E0472"),
        ("count: 5", "count: 99999999999999999999999999", "E0010"),
        ("count: 5", "count: Stream(arrivals: 1, max_alive: 4294967295)", "E0472"),
        ("replicates: 1", "replicates: 4294967295", "E0472"),
        ("replicates: 1", "replicates: 1, window: \"1ns\"", "E0472"),
        ("times: 3", "times: 1e308", ""),
        ("times: 3", "times: 1e309", "E0108"),
        ("times: 3", "times: -1e308", "E0430"),
        ("times: 3", "times: 5e-324", ""),
        ("times: 3", "times: Uniform(low: -1e308, high: 1e308)", "E0430"),
        ("times: 3", "times: Scaled(by: 1e308, law: Constant(1e308))", "E0430"),
        ("times: 3", "times: Mixture([(1e308, 1), (1e308, 2)])", "E0430"),
        (
            "times: 3",
            "times: Zipf(n: 18446744073709551615, exponent: 1e308)",
            "E0430",
        ),
        (
            "times: 3",
            "times: Truncated(low: 1e300, law: Exponential(mean: 1))",
            "E0430",
        ),
        ("Think(\"10ms\")", "Think(\"213503d\")", ""),
        ("Think(\"10ms\")", "Think(\"213504d\")", "E0204"),
        ("within: \"10min\"", "within: \"213503d\"", ""),
        ("at: \"b\"", "at: \"b\", answer: \"5GB\"", "E0204"),
        ("at: \"b\"", "at: \"b\", price: (call: \"18446744074 USD\")", "E0204"),
        (
            "at: \"b\"",
            "at: \"b\", budget: (money: \"99999999999999999999 USD\")",
            "E0204",
        ),
        (
            "at: \"b\"",
            "at: \"b\", price: (million_in: \"99999999999999999999 USD\")",
            "E0204",
        ),
        (
            "at: \"b\"",
            "at: \"b\", limit: (rate: \"18446744073709551615/ns\", burst: 18446744073709551615)",
            "",
        ),
        (
            "one_way: \"50ms\"",
            "loss: Bursty(good: \"1ns\", bad: \"1ns\")",
            "E0453",
        ),
        (
            "state: {}",
            "state: {\"m\": (at: \"a\", keys: {\"k\": Counter(count: 4294967295)}, model: Crdt)}",
            "E0472",
        ),
        (
            "state: {}",
            "state: {\"m\": (at: \"a\", keys: {\"k\": Counter}, model: Crdt, value: \"5GB\")}",
            "E0204",
        ),
        (
            "faults: {}",
            "faults: {\"f\": Degrade(latency_factor: 1e308, latency_added: \"200000d\", at: \"1s\")}",
            "",
        ),
        (
            "faults: {}",
            "faults: {\"f\": Crash(who: \"tool\", at: \"213503d\", for: \"213503d\")}",
            "E0444",
        ),
        (
            "faults: {}",
            "faults: {\"f\": Partition(groups: [Members(group: \"worker\", first: 4294967295, count: 4294967295)], at: \"1s\")}",
            "E0442",
        ),
    ] {
        let text = with(from, to);
        assert_eq!(codes(&text), expected, "{to}");
    }
    // What is too large is underlined itself.
    let said = outcome(&with("at: \"b\"", "at: \"b\", answer: \"5GB\""));
    let place = said.diagnostics.iter().next().unwrap().span().unwrap();
    assert_eq!(said.sources.slice(place), "\"5GB\"");
}

#[test]
fn tables_that_hold_nothing_are_refused_where_they_are_named() {
    for (file, law, start, tokens, matrix) in [
        ("empty", "E0421", "E0421", "E0421", "E0421"),
        ("lines", "E0421", "E0421", "E0421", "E0421"),
        ("header", "E0421", "E0421", "E0421", "E0408"),
        ("open", "E0421", "E0421", "E0421", "E0408"),
        ("bom", "", "E0451", "", "E0408"),
        ("quote", "E0408", "E0408", "E0408", "E0408"),
        ("nan", "E0420", "E0420", "E0420", "E0408"),
        ("large", "E0420", "E0420", "E0420", "E0408"),
        ("nul", "E0420", "E0420", "E0420", "E0408"),
        ("bytes", "E0420", "E0420", "E0420", "E0408"),
        ("packed", "E0420", "E0420", "E0420", "E0420"),
    ] {
        let data = |from: &str, to: &str| {
            let text = with(from, to);
            codes(&text.replace(
                "quorate: 1,",
                &format!("quorate: 1, data: {{\"m\": (file: \"{file}.csv\")}},"),
            ))
        };
        let time = "time: Exponential(mean: \"20ms\")";
        assert_eq!(
            data(time, "time: Empirical(data: \"m\", column: \"v\", unit: \"1ms\")"),
            law,
            "{file}"
        );
        assert_eq!(
            data(
                "Spread(over: \"1s\")",
                "Trace(data: \"m\", column: \"v\", unit: \"1ms\")"
            ),
            start,
            "{file}"
        );
        let counted = "time: Tokens(each_out: \"1ms\"), tokens: Data(data: \"m\", tokens_out: \"v\")";
        assert_eq!(data(time, counted), tokens, "{file}");
        assert_eq!(
            data("default: (one_way: \"50ms\")", "matrix: (data: \"m\")"),
            matrix,
            "{file}"
        );
    }
}

/// What `entry` gives for each number, one behind the other.
fn many(count: usize, entry: impl Fn(usize) -> String) -> String {
    (0..count).map(entry).collect()
}

#[test]
fn any_number_of_declarations_is_counted_or_refused() {
    let calls = |policy: &str| {
        many(70_000, |n| {
            format!(
                "Call(service: \"tool\", policy: \"p{}\"), ",
                policy.replace('#', &n.to_string())
            )
        })
    };
    let policies = |text: String| {
        text.replace(
            "policies: {}",
            &format!(
                "policies: {{{}}}",
                many(70_000, |n| format!("\"p{n}\": (timeout: \"1s\"), "))
            ),
        )
    };
    let services = many(70_000, |n| format!("\"s{n}\": (at: \"a\"), "));
    let (_, agents) = SMALL.split_once("    agents:").unwrap();
    for (what, text, expected) in [
        ("policies", policies(with("Think(\"10ms\"),", &calls("#"))), "E0472"),
        (
            "one policy of many",
            policies(with("Think(\"10ms\"),", &calls("7"))),
            "",
        ),
        (
            "services, and no agents",
            with("services: {", &format!("services: {{{services}")).replace(&format!("    agents:{agents}"), ")"),
            "E0473 E0472",
        ),
        (
            "groups",
            with(
                "agents: {",
                &format!(
                    "agents: {{{}",
                    many(66_000, |n| format!("\"g{n}\": (at: \"a\", count: 1), "))
                ),
            ),
            "E0472",
        ),
        (
            "topics",
            with(
                "count: 5,",
                &format!("count: 5, on: {{{}}},", many(66_000, |n| format!("\"t{n}\": [], "))),
            ),
            "E0472",
        ),
        (
            "sites in a table",
            with(
                "[\"a\", \"b\"]",
                &format!(
                    "{{\"a\": (), \"b\": (), {}}}",
                    many(50_000, |n| format!("\"s{n}\": (region: \"us-east1\"), "))
                ),
            )
            .replace(
                "default: (one_way: \"50ms\")",
                "matrix: (data: \"gcp-latency\", missing: \"1ms\", local: true)",
            ),
            "E0472",
        ),
        (
            "sites and stores",
            with(
                "[\"a\", \"b\"]",
                &format!("[\"a\", \"b\", {}]", many(20_000, |n| format!("\"s{n}\", "))),
            )
            .replace(
                "state: {}",
                &format!(
                    "state: {{{}}}",
                    many(2_000, |n| format!(
                        "\"m{n}\": (at: \"a\", keys: {{\"k{n}\": Counter}}, model: Crdt), "
                    ))
                ),
            ),
            "E0472",
        ),
        (
            "sides",
            with(
                "[\"a\", \"b\"]",
                &format!("[\"a\", \"b\", {}]", many(2_000, |n| format!("\"s{n}\", "))),
            )
            .replace(
                "faults: {}",
                &format!(
                    "faults: {{\"f\": Partition(groups: [{}], at: \"1s\")}}",
                    many(2_000, |n| format!("[\"s{n}\"], "))
                ),
            ),
            "E0472",
        ),
        (
            "variants",
            with(
                "variants: {}",
                &format!(
                    "variants: {{{}}}",
                    many(2_000, |n| format!(
                        "\"v{n}\": [Set(path: \"services.tool.at\", to: \"a\")], "
                    ))
                ),
            ),
            "",
        ),
        (
            "answers to whoever asked",
            with("Think(\"10ms\"),", &"Send(to: Sender, topic: \"t\"), ".repeat(10_000)).replace(
                "agents: {",
                &format!(
                    "agents: {{{}",
                    many(10_000, |n| format!(
                        "\"g{n}\": (at: \"a\", count: 1, on: {{\"t\": []}}), "
                    ))
                ),
            ),
            "E0458",
        ),
    ] {
        assert_eq!(codes(&text), expected, "{what}");
    }
}

#[test]
fn any_number_of_mistakes_is_counted() {
    for (from, to, errors) in [
        ("Think(\"10ms\"),", "Thnik(\"10ms\"), ".repeat(50_000), 50_000),
        ("Think(\"10ms\"),", "Call(service: \"tol\"), ".repeat(50_000), 50_000),
        (
            "agents: {",
            format!(
                "agents: {{{}",
                many(20_000, |n| format!("\"g{n}\": (at: \"x\", cuont: 0), "))
            ),
            60_000,
        ),
        (
            "Think(\"10ms\"),",
            "Repat(times: 2, stps: [".repeat(50) + "Think(\"1ms\")" + &"])".repeat(50) + ",",
            100,
        ),
    ] {
        let outcome = outcome(&with(from, &to));
        assert_eq!(outcome.diagnostics.error_count(), errors);
        assert!(outcome.diagnostics.warning_count() <= 20_000);
        let said = render(&outcome.diagnostics, &outcome.sources, Show::default());
        assert!(
            said.contains(&format!("{errors} errors")),
            "{}",
            &said[said.len() - 200..]
        );
    }
}
