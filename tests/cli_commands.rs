//! The other subcommands as a user runs them: check, test, verify, list, new, compare, help, reference, completions, man.

mod common;

use common::{Place, TINY, json, out, text};
use std::fs;

#[test]
fn check_reports_all_problems_at_once() {
    let place = Place::with(TINY);
    let good = place.run(&["check", "tiny.ron"]);
    assert_eq!(
        (good.status.code(), out(&good).as_str()),
        (Some(0), "tiny.ron: ok, 3 variants\n")
    );
    place.write(
        "bad.ron",
        &TINY
            .replace("Call(", "Cal(")
            .replace("\"50ms\"", "\"50m/s\"")
            .replace("count: 5", "cout: 5"),
    );
    let bad = place.run(&["check", "bad.ron", "tiny.ron"]);
    assert_eq!(bad.status.code(), Some(2));
    assert!(
        out(&bad).contains("bad.ron: 3 errors\n") && out(&bad).contains("tiny.ron: ok"),
        "{}{}",
        out(&bad),
        text(&bad.stderr)
    );
    assert!(
        text(&bad.stderr).contains("did you mean `count`?"),
        "{}",
        text(&bad.stderr)
    );
    let all = place.run(&["check", "bad.ron", "--format", "json"]);
    assert_eq!(all.status.code(), Some(2));
    let report = json(&all.stdout);
    assert_eq!(report[0]["ok"], false);
    let diagnostics = report[0]["diagnostics"].as_array().unwrap();
    assert_eq!(diagnostics.len(), 3);
    let codes: Vec<&str> = diagnostics
        .iter()
        .filter_map(|problem| problem["code"].as_str())
        .collect();
    assert!(
        codes.len() == 3 && codes.iter().all(|code| code.starts_with('E')),
        "{report:#}"
    );
    assert_eq!(place.code(&["check", "nowhere"]), 2);
}

#[test]
fn verify_finds_determinism_and_names_the_first_event_that_differs() {
    let place = Place::with(TINY);
    let same = place.run(&["verify", "tiny.ron"]);
    assert_eq!(same.status.code(), Some(0), "{}{}", out(&same), text(&same.stderr));
    assert!(
        out(&same).starts_with("tiny: deterministic: 9 runs, "),
        "{}",
        out(&same)
    );
    let events =
        |json: &serde_json::Value, variant: usize| json["variants"][variant]["runs"][1]["events"].as_u64().unwrap();
    let results = json(
        &place
            .run(&["run", "tiny.ron", "--no-output", "--format", "json"])
            .stdout,
    );
    for (variant, name) in ["base", "one site", "far"].into_iter().enumerate() {
        for k in [0, 1, 17, events(&results, variant) - 1] {
            let spoilt = place.run(&["verify", "tiny.ron", "--perturb", &format!("{variant}:1:{k}")]);
            assert_eq!(spoilt.status.code(), Some(1));
            let said = out(&spoilt);
            assert!(
                said.contains(&format!("NOT deterministic: variant {name}, replicate 1\n")),
                "{said}"
            );
            assert!(
                said.contains(&format!("the first event that differs is number {k}\n")),
                "{said}"
            );
            // The last event of a run has a past; the first has none.
            assert_eq!(k == 0, !said.contains("caused by: at "), "{said}");
            assert!(k > 0 || said.contains("scheduled before the run began\n"), "{said}");
        }
    }
    // Beyond the end there is nothing to spoil.
    assert_eq!(place.code(&["verify", "tiny.ron", "--perturb", "0:0:1000000"]), 0);
    assert_eq!(place.code(&["verify", "-"]), 2);
}

#[test]
fn test_judges_a_folder_against_its_baselines() {
    let place = Place::with(TINY);
    fs::create_dir(place.path("all")).unwrap();
    place.write("all/tiny.ron", TINY);
    let code = || place.run(&["test", "all"]);
    let fresh = code();
    // What it expects is judged without a baseline, and what writes one is said.
    assert_eq!(
        (fresh.status.code(), out(&fresh).as_str()),
        (
            Some(0),
            "ok   all/tiny.ron: 4 of 4 expectations hold, no baseline (`quorate test all/tiny.ron --bless` writes it)\n\
             1 passed, 0 failed, 0 undecided\n",
        )
    );
    // Where nothing is expected, nothing was tested.
    place.write(
        "quiet.ron",
        &(TINY.split("    expect: [").next().unwrap().to_string() + ")"),
    );
    assert_eq!(place.code(&["test", "quiet.ron"]), 3);
    assert_eq!(place.code(&["test", "all", "--bless"]), 0);
    let baseline = fs::read_to_string(place.path("all/tiny.baseline.ron")).unwrap();
    assert!(
        baseline.lines().count() > 20 && baseline.lines().all(|line| line.len() < 100),
        "{baseline}"
    );
    let same = code();
    assert_eq!(
        (same.status.code(), out(&same).as_str()),
        (
            Some(0),
            "ok   all/tiny.ron: 4 of 4 expectations hold, identical to its baseline\n1 passed, 0 failed, 0 undecided\n",
        )
    );
    // The layout, and the order of what is declared, are no change.
    place.write(
        "all/tiny.ron",
        &TINY
            .replace("    ", " ")
            .replace("sites: [\"a\", \"b\"],", "")
            .replace("seed: 3,", "sites: [\"b\", \"a\"], seed: 3,"),
    );
    assert_eq!(code().status.code(), Some(0), "{}", out(&code()));
    place.write("all/tiny.ron", &TINY.replace("\"20ms\"", "\"21ms\""));
    let moved = code();
    assert_eq!(moved.status.code(), Some(1));
    for says in [
        "FAIL all/tiny.ron",
        "the scenario itself has changed",
        "base: task.time.mean ",
        "replay: quorate run all/tiny.ron --seed 3",
    ] {
        assert!(out(&moved).contains(says), "{says}: {}", out(&moved));
    }
    place.write(
        "all/fails.ron",
        &TINY
            .replace("\"300ms\", \"300ms\"", "\"1s\", \"2s\"")
            .replace("\"tiny\"", "\"fails\""),
    );
    assert_eq!(
        place.code(&["test", "all", "--bless"]),
        1,
        "a failing expectation fails, baseline or not"
    );
    let failing = code();
    assert_eq!(failing.status.code(), Some(1));
    assert!(
        out(&failing).contains("FAIL all/fails.ron: 3 of 4"),
        "{}",
        out(&failing)
    );
    // What can't be read outweighs what fails; and all are judged even so.
    place.write("all/broken.ron", "(quorate: 1");
    let broken = place.run(&["test", "all", "--format", "json"]);
    assert_eq!(broken.status.code(), Some(2));
    let codes: Vec<_> = json(&broken.stdout)
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["code"].as_u64().unwrap())
        .collect();
    assert_eq!(codes, [2, 1, 0]);
    place.write("all/tiny.baseline.ron", "what is this");
    fs::remove_file(place.path("all/broken.ron")).unwrap();
    let spoilt = code();
    assert_eq!(spoilt.status.code(), Some(2), "{}", out(&spoilt));
    // A baseline that isn't one is said once, and the other scenarios are judged all the same.
    let said = out(&spoilt);
    assert!(
        said.contains("BAD  all/tiny.ron: all/tiny.baseline.ron: not a baseline: "),
        "{said}"
    );
    assert_eq!(said.matches("not a baseline").count(), 1, "{said}");
    assert!(
        said.contains("FAIL all/fails.ron") && said.ends_with("0 passed, 2 failed, 0 undecided\n"),
        "{said}"
    );
    let told = json(&place.run(&["test", "all", "--format", "json"]).stdout);
    assert_eq!(
        told[0]["expectations"][0]["place"]
            .as_str()
            .map(|place| place.is_empty()),
        Some(false),
        "{told}"
    );
}

#[cfg(unix)]
#[test]
fn a_baseline_that_cannot_be_written_leaves_the_old_one_whole() {
    let place = Place::with(TINY);
    fs::create_dir(place.path("all")).unwrap();
    place.write("all/tiny.ron", TINY);
    assert_eq!(place.code(&["test", "all", "--bless"]), 0);
    let baseline = || fs::read(place.path("all/tiny.baseline.ron")).unwrap();
    let before = baseline();
    place.write("all/tiny.ron", &TINY.replace("\"20ms\"", "\"21ms\""));
    // A file of at most 512 bytes: the disk is full in the middle of the baseline.
    let limited = format!("ulimit -f 1; trap '' XFSZ; exec {} test all --bless", common::QUORATE);
    let blessed = std::process::Command::new("sh")
        .args(["-c", &limited])
        .current_dir(place.path(""))
        .output()
        .unwrap();
    let said = text(&blessed.stdout);
    assert_eq!(blessed.status.code(), Some(2), "{said}");
    assert!(said.contains("can't write all/tiny.baseline.ron"), "{said}");
    assert!(baseline() == before, "the old baseline is whole");
    let left = fs::read_dir(place.path("all")).unwrap().count();
    assert_eq!(left, 2, "nothing half-written is left");
}

#[test]
fn baselines_are_told_from_scenarios() {
    let place = Place::with(TINY);
    place.write("other.ron", TINY);
    assert_eq!(place.code(&["test", ".", "--bless"]), 0);
    let checked = place.run(&[
        "check",
        "other.baseline.ron",
        "other.ron",
        "tiny.baseline.ron",
        "tiny.ron",
    ]);
    assert_eq!(
        (
            checked.status.code(),
            out(&checked).as_str(),
            text(&checked.stderr).as_str()
        ),
        (
            Some(0),
            "other.ron: ok, 3 variants\ntiny.ron: ok, 3 variants\n",
            "quorate: other.baseline.ron and 1 other are baselines, no scenarios: skipped\n"
        )
    );
    for command in ["check", "run", "verify", "test"] {
        let refused = place.run(&[command, "tiny.baseline.ron"]);
        let said = text(&refused.stderr);
        assert_eq!(refused.status.code(), Some(2), "{command}");
        assert!(said.contains("is a baseline") && said.lines().count() == 1, "{said}");
    }
}

#[test]
fn json_is_printed_of_what_cannot_be_run_as_well() {
    let place = Place::with(&TINY.replace("seed: 3", "sede: 3"));
    let checked = place.run(&["check", "tiny.ron", "--format", "json"]);
    for args in [&["run", "tiny.ron"][..], &["run", "tiny.ron", "--dry-run"]] {
        let ran = place.run(&[args, &["--format", "json"]].concat());
        assert_eq!(ran.status.code(), Some(2));
        assert_eq!(json(&ran.stdout), json(&checked.stdout)[0], "{args:?}");
        assert!(text(&ran.stderr).contains("error[E0101]"));
    }
    assert_eq!(json(&checked.stdout)[0]["diagnostics"][0]["code"], "E0101");
    let counted = place.run(&["test", "tiny.ron"]);
    assert!(
        out(&counted).contains("BAD  tiny.ron: 1 problem, see above"),
        "{}",
        out(&counted)
    );
}

#[test]
fn new_writes_a_starter_that_passes_its_own_expectations() {
    let place = Place::with(TINY);
    let made = place.run(&["new", "my-first"]);
    assert_eq!(
        (made.status.code(), out(&made).as_str()),
        (
            Some(0),
            "my-first.ron is ready: run it with `quorate run my-first.ron`\n"
        )
    );
    assert_eq!(place.code(&["check", "my-first.ron"]), 0);
    let ran = place.run(&["run", "my-first.ron", "--no-output"]);
    assert_eq!(ran.status.code(), Some(0), "{}", out(&ran));
    let text_of = || fs::read(place.path("my-first.ron")).unwrap();
    let before = text_of();
    assert_eq!(place.code(&["new", "my-first"]), 2);
    assert_eq!(text_of(), before, "an existing file isn't replaced");
    for name in ["", "..", "a/b", "a b", "ü", ".ron"] {
        assert_eq!(place.code(&["new", name]), 2, "{name:?}");
    }
    for (args, says) in [
        (
            &["new", "x", "--into", "nofolder"][..],
            "there is no folder nofolder: make it first",
        ),
        (
            &["new", "my-first"],
            "my-first.ron is there already, and isn't replaced",
        ),
        (&["new", "a b"], "how about 'a_b'?"),
    ] {
        let refused = place.run(args);
        assert!(text(&refused.stderr).contains(says), "{}", text(&refused.stderr));
    }
}

#[test]
fn list_shows_scenarios_with_their_questions_but_no_outputs() {
    let place = Place::with(TINY);
    place.code(&["run", "tiny.ron"]);
    let listed = place.run(&["list", "."]);
    assert_eq!(listed.status.code(), Some(0));
    assert!(
        out(&listed).contains("tiny.ron  What does a hop cost?") && out(&listed).lines().count() == 3,
        "{}",
        out(&listed)
    );
    place.write("bad.ron", "(");
    let listed = place.run(&["list", ".", "--format", "json"]);
    assert_eq!(listed.status.code(), Some(2));
    assert_eq!(
        json(&listed.stdout)[1]["variants"],
        serde_json::json!(["base", "one site", "far"])
    );
}

#[test]
fn compare_says_what_is_identical_and_what_moved() {
    let place = Place::with(TINY);
    place.code(&["run", "tiny.ron", "--out", "a"]);
    place.code(&["run", "tiny.ron", "--out", "b"]);
    place.code(&["run", "tiny.ron", "--out", "c", "--set", "network.default.one_way=80ms"]);
    let same = place.run(&["compare", "a/tiny", "b/tiny"]);
    assert_eq!(same.status.code(), Some(0));
    assert!(out(&same).starts_with("identical: "), "{}", out(&same));
    let moved = place.run(&["compare", "a/tiny", "c/tiny"]);
    assert_eq!(moved.status.code(), Some(1));
    assert!(
        out(&moved).contains("task.time.mean") && out(&moved).contains("replicates are paired"),
        "{}",
        out(&moved)
    );
    assert!(out(&moved).lines().all(|line| line.chars().count() <= 100));
    let report = json(&place.run(&["compare", "a/tiny", "c/tiny", "--format", "json"]).stdout);
    assert_eq!(report["identical"], false);
    assert_eq!(place.code(&["compare", "a/tiny", "nowhere"]), 2);
    place.code(&["run", "tiny.ron", "--out", "d", "--set", "name=\"other\""]);
    assert_eq!(place.code(&["compare", "a/tiny", "d/other"]), 2);
    assert_eq!(place.code(&["compare", "a/tiny", "d/other", "--force"]), 0);
}

#[test]
fn help_explains_every_kind_of_topic() {
    let place = Place::with(TINY);
    for (topic, says) in [
        ("E0101", "E0101: unknown field"),
        ("Service", "Something that agents call"),
        ("Call", "Call (one form of Step): A call to a service"),
        ("task.time.p99", "task.time.p99 (s): "),
        ("service.model.arrivals", "service.model.arrivals (count): "),
        (
            "no_lost_updates",
            "no_lost_updates (invariant: `state.lost_updates` is 0 in every run): ",
        ),
        ("run", "Usage: quorate run [OPTIONS] <SCENARIO>"),
    ] {
        let helped = place.run(&["help", topic]);
        assert_eq!(helped.status.code(), Some(0), "{topic}");
        assert!(out(&helped).contains(says), "{topic}: {}", out(&helped));
    }
    // What `Always` takes is listed, and so is a family of measures.
    let always = out(&place.run(&["help", "Always"]));
    assert!(
        quorate::measures::INVARIANTS
            .iter()
            .all(|invariant| always.contains(invariant.name)),
        "{always}"
    );
    let family = out(&place.run(&["help", "service.*"]));
    assert!(
        family.lines().count() > 50 && family.lines().all(|line| line.starts_with("service.*.")),
        "{family}"
    );
    for (wrong, near) in [
        ("task.tiem.p99", "task.time.p99"),
        ("Servise", "Service"),
        ("no_lost_update", "no_lost_updates"),
        ("dvv", "DottedVersionVectors"),
        ("vaildate", "validate"),
    ] {
        let unknown = place.run(&["help", wrong]);
        assert_eq!(unknown.status.code(), Some(2));
        assert!(
            text(&unknown.stderr).contains(&format!("did you mean '{near}'?")),
            "{}",
            text(&unknown.stderr)
        );
    }
    for of in ["language", "measures", "models", "patterns", "diagnostics"] {
        assert!(out(&place.run(&["reference", of])).starts_with("# "), "{of}");
    }
    for shell in ["bash", "elvish", "fish", "powershell", "zsh"] {
        let script = out(&place.run(&["completions", shell]));
        assert!(script.contains("quorate") && script.contains("replicates"), "{shell}");
    }
    assert!(out(&place.run(&["man"])).contains(".TH quorate 1"));
    assert_eq!(place.code(&["--version"]), 0);
    assert_eq!(place.code(&[]), 2);
    assert_eq!(place.code(&["rnu"]), 2);
}

#[test]
fn a_doubt_about_a_variant_points_at_what_is_written_and_is_said_where_it_is_run() {
    let scenario = r#"(
        quorate: 1, name: "leases", seed: 1, replicates: 1, until: At("1s"), sites: ["a", "b", "c"],
        state: {"s": (at: ["a", "b", "c"], keys: {"k": Register}, model: Raft(), clocks: {"b": (drift: "900ppm")})},
        agents: {"w": (count: 1, at: "a", on_failure: Continue, program: [Read(key: "k")])},
        variants: {"leases": [Set(path: "state.s.model", to: Raft(reads: Leader(Lease())))]},
    )"#;
    let place = Place::with(scenario);
    let all = text(&place.run(&["check", "tiny.ron"]).stderr);
    assert!(
        all.contains("warning[E0486]") && all.contains("tiny.ron:3:") && !all.contains(":1:1"),
        "{all}"
    );
    let base = place.run(&["run", "tiny.ron", "--no-output", "--variant", "base"]);
    assert!(!text(&base.stderr).contains("E0486"), "{}", text(&base.stderr));
    let asked = place.run(&["run", "tiny.ron", "--no-output", "--variant", "leases"]);
    assert!(text(&asked.stderr).contains("E0486"), "{}", text(&asked.stderr));
}

#[test]
fn help_finds_the_models_of_judge_and_of_stores() {
    let place = Place::with(TINY);
    for (topic, says) in [
        ("linearizable", "Herlihy and Wing 1990"),
        ("monotonic-reads", "Terry et al. 1994"),
        ("read-atomic", "Bailis et al. 2014"),
        ("version-vectors", "Version vectors with siblings"),
        ("lww", "Last write wins"),
        ("Text (RGA)", "RGA"),
    ] {
        let ran = place.run(&["help", topic]);
        assert_eq!(ran.status.code(), Some(0), "{topic}: {}", text(&ran.stderr));
        assert!(out(&ran).contains(says), "{topic}: {}", out(&ran));
    }
    assert!(out(&place.run(&["compare", "--help"])).contains("1 something does"));
}
