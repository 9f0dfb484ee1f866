//! Bad input through the command: a clear error, never a panic, never a partial output folder.

mod common;

use common::{Place, TINY, files, out, text};
use std::fs;

/// Runs a scenario that is wrong, and gives back what was said.
fn refused(scenario: &str, code: i32, says: &[&str]) -> Place {
    let place = Place::with(scenario);
    let ran = place.run(&["run", "tiny.ron"]);
    let said = text(&ran.stderr) + &out(&ran);
    assert_eq!(ran.status.code(), Some(code), "{said}");
    for says in says {
        assert!(said.contains(says), "'{says}' isn't in: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    if code == 2 {
        assert!(!place.path("outputs/tiny").exists(), "nothing is left");
    }
    place
}

/// The tiny scenario with this program, without its variants.
fn program(steps: &str) -> String {
    TINY.replace(
        "Repeat(times: 3, steps: [Think(\"10ms\"), Call(service: \"tool\")]),",
        steps,
    )
}

#[test]
fn ten_megabytes_are_accepted_and_seventeen_are_not() {
    let padded = |size: usize| {
        let line = format!("// {}\n", "x".repeat(96));
        TINY.to_string() + &line.repeat(size / line.len())
    };
    let place = Place::with(&padded(10 << 20));
    let ran = place.run(&["run", "tiny.ron", "--no-output"]);
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    refused(&padded(17 << 20), 2, &["E0002", "too large", "16777216 bytes"]);
}

#[test]
fn ten_megabytes_of_agents_are_accepted() {
    let mut groups = String::new();
    let mut n = 0;
    while groups.len() < 10 << 20 {
        let steps = "Think(\"1ms\"), ".repeat(4_000);
        groups.push_str(&format!("\"worker{n}\": (count: 1, at: \"a\", program: [{steps}]),\n"));
        n += 1;
    }
    let place = Place::with(&TINY.replace("\"worker\": (", &format!("{groups}\"worker\": (")));
    let checked = place.run(&["check", "tiny.ron"]);
    assert_eq!(checked.status.code(), Some(0), "{}", text(&checked.stderr));
}

#[cfg(unix)]
#[test]
fn a_file_that_includes_itself_by_another_path_is_seen() {
    let place = Place::with("()");
    std::os::unix::fs::symlink(".", place.path("loop")).unwrap();
    std::os::unix::fs::symlink("tiny.ron", place.path("other.ron")).unwrap();
    std::fs::create_dir(place.path("deep")).unwrap();
    let absolute = place.path("tiny.ron").display().to_string();
    for path in [
        "tiny.ron",
        "./deep/../tiny.ron",
        "loop/tiny.ron",
        "other.ron",
        &absolute,
    ] {
        let includes = format!("include: [\"{path}\"], quorate: 1,");
        place.write("tiny.ron", &TINY.replace("quorate: 1,", &includes));
        let ran = place.run(&["check", "tiny.ron"]);
        let said = text(&ran.stderr);
        assert!(said.contains("E0302") && said.contains("1 error;"), "{path}: {said}");
    }
}

#[test]
fn a_name_with_line_breaks_and_quotes_is_kept_in_every_file() {
    let name = "a\\n\\\"b,c";
    let place = Place::with(
        &TINY
            .replace("\"tool\"", &format!("\"{name}\""))
            .replace("services.tool.at", "services.\\\"a\\\\n\\\\\\\"b,c\\\".at"),
    );
    let ran = place.run(&["run", "tiny.ron"]);
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    let files = files(&place.path("outputs/tiny"));
    let scenario = text(&files["scenario.ron"]);
    assert!(scenario.contains(&format!("\"{name}\": (")), "{scenario}");
    let mut table = csv::Reader::from_reader(files["measures.csv"].as_slice());
    let width = table.headers().unwrap().len();
    let rows: Vec<_> = table.records().map(|row| row.unwrap()).collect();
    assert!(rows.iter().all(|row| row.len() == width));
    assert!(rows.iter().any(|row| row.iter().any(|cell| cell.contains("a\n\"b,c"))));
}

#[test]
fn a_bound_has_the_unit_of_its_measure() {
    let duration = TINY.replace("Between(\"300ms\", \"300ms\")", "AtMost(300)");
    refused(&duration, 2, &["E0476", "a duration", "a plain number"]);
}

#[test]
fn deep_nesting_is_refused() {
    let deep = "Repeat(times: 2, steps: [".repeat(10_000) + "Think(\"1ms\")" + &"])".repeat(10_000) + ",";
    refused(&program(&deep), 2, &["E0003", "brackets inside each other"]);
    refused(&"(".repeat(1_000_000), 2, &["error[E"]);
    refused(
        &format!("{}{}", "[".repeat(500_000), "]".repeat(500_000)),
        2,
        &["error[E"],
    );
}

#[test]
fn a_program_that_never_waits_is_refused_or_stopped_with_its_place() {
    let steps = "Repeat(times: Forever, steps: [Think(\"0s\")]),";
    refused(
        &program(steps),
        2,
        &["E0450", "this loop never waits and never ends", "tiny.ron:14:13"],
    );
    // What only chance could end is met at run time.
    let steps = "Repeat(times: Forever, steps: [Choose([(1000000000000.0, []), (0.001, [Think(\"1s\")])])]),";
    let place = refused(&program(steps), 3, &["3 of 3 runs stopped early", "at 0s, worker[0], "]);
    let table = out(&place.run(&["run", "tiny.ron", "--no-output", "--replicates", "1"]));
    assert!(table.contains("1 of 1 run stopped early"), "{table}");
}

#[test]
fn a_livelock_is_reported_with_its_time_and_an_agent() {
    // Each answers the other at once: simulated time stands still. Nothing can be decided of such a run.
    let scenario = r#"(
        quorate: 1, name: "tiny", until: At("1h"), replicates: 1, sites: ["a"],
        agents: {
            "left": (count: 1, at: "a", start: AtOnce(at: "5s"), program: [Send(to: Member("right", 0), topic: "ping")],
                     on: {"pong": [Send(to: Sender, topic: "ping")]}),
            "right": (count: 1, at: "a", on: {"ping": [Send(to: Sender, topic: "pong")]}),
        },
    )"#;
    let place = Place::with(scenario);
    let ran = place.run(&["run", "tiny.ron"]);
    let said = out(&ran);
    assert_eq!(ran.status.code(), Some(3), "{said}");
    assert!(
        said.contains("at 5s, ") && (said.contains("left[0]") || said.contains("right[0]")),
        "{said}"
    );
}

#[test]
fn data_that_is_missing_empty_or_no_table_is_refused() {
    let with_data = |file: &str| {
        TINY.replace(
            "Exponential(mean: \"20ms\")",
            "Empirical(data: \"d\", column: \"s\", unit: \"1s\")",
        )
        .replace(
            "    sites:",
            &format!("    data: {{\"d\": (file: \"{file}\")}},\n    sites:"),
        )
    };
    refused(&with_data("nowhere.csv"), 2, &["nowhere.csv"]);
    for (name, content, says) in [
        ("empty.csv", "", "the file is empty"),
        ("header.csv", "s\n", "has no rows"),
        ("words.csv", "s\n1.5\nabc\n", "abc"),
        ("ragged.csv", "s,t\n1,2\n3\n", "1 fields, where the header has 2"),
        ("other.csv", "t\n1\n", "no column \"s\""),
        ("nan.csv", "s\nNaN\n", "not a finite number"),
        ("negative.csv", "s\n-1\n", "negative"),
    ] {
        let place = Place::with(&with_data(name));
        place.write(name, content);
        let ran = place.run(&["run", "tiny.ron"]);
        let said = text(&ran.stderr);
        assert_eq!(ran.status.code(), Some(2), "{name}: {said}");
        assert!(said.contains(says) && !said.contains("panicked"), "{name}: {said}");
    }
    let place = Place::with(
        &TINY
            .replace(
                "start: Spread(over: \"1s\")",
                "start: Trace(data: \"d\", column: \"s\", unit: \"1s\")",
            )
            .replace("    sites:", "    data: {\"d\": (file: \"t.csv\")},\n    sites:"),
    );
    place.write("t.csv", "s\n");
    assert_eq!(place.code(&["run", "tiny.ron"]), 2);
}

#[test]
fn a_circle_of_includes_is_refused() {
    let place = Place::with(&TINY.replace("    quorate: 1,", "    quorate: 1, include: [\"_other.ron\"],"));
    place.write("_other.ron", "(include: [\"tiny.ron\"])");
    let ran = place.run(&["run", "tiny.ron"]);
    assert_eq!(ran.status.code(), Some(2));
    assert!(text(&ran.stderr).contains("_other.ron"), "{}", text(&ran.stderr));
    assert!(!place.path("outputs").exists());
}

#[test]
fn what_is_no_text_is_refused() {
    let place = Place::with(TINY);
    fs::write(place.path("tiny.ron"), [0xff, 0xfe, 0, b'(']).unwrap();
    assert_eq!(place.code(&["run", "tiny.ron"]), 2);
    assert_eq!(place.code(&["run", "."]), 2);
    place.write("tiny.ron", "");
    assert_eq!(place.code(&["run", "tiny.ron"]), 2);
    place.write("tiny.ron", &TINY.replace("\"tiny\"", "\"\""));
    let unnamed = place.run(&["run", "tiny.ron"]);
    assert_ne!(unnamed.status.code(), Some(101), "{}", text(&unnamed.stderr));
    place.write("tiny.ron", &TINY.replace("\"tiny\"", "\"../../escape\""));
    place.code(&["run", "tiny.ron"]);
    assert!(files(&place.path("")).keys().all(|name| !name.starts_with("escape")));
}

#[cfg(unix)]
#[test]
fn a_pipe_that_nobody_writes_to_is_refused_where_a_scenario_names_a_file() {
    let with_data = TINY
        .replace(
            "Exponential(mean: \"20ms\")",
            "Empirical(data: \"d\", column: \"s\", unit: \"1s\")",
        )
        .replace("    sites:", "    data: {\"d\": (file: \"pipe\")},\n    sites:");
    let with_include = TINY.replace("    quorate: 1,", "    quorate: 1, include: [\"pipe\"],");
    for (scenario, code) in [(with_data, "E0422"), (with_include, "E0301")] {
        let place = Place::with(&scenario);
        let made = std::process::Command::new("mkfifo").arg(place.path("pipe")).status();
        assert!(made.unwrap().success());
        let ran = place.run(&["check", "tiny.ron"]);
        let said = text(&ran.stdout) + &text(&ran.stderr);
        assert_eq!(ran.status.code(), Some(2), "{said}");
        assert!(
            said.contains(code) && said.contains("it isn't a regular file"),
            "{said}"
        );
    }
}

#[test]
fn a_link_that_changes_every_nanosecond_is_run_like_any_other() {
    let scenario = TINY.replace(
        "one_way: \"50ms\"",
        "one_way: \"50ms\", loss: Bursty(good: \"1ns\", bad: \"1ns\", loss_bad: 0.0)",
    );
    let place = Place::with(&scenario);
    let ran = place.run(&["run", "tiny.ron", "--no-output"]);
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
}
