//! The command as a user runs it, on scenarios small enough to run in milliseconds.

mod common;

use assert_cmd::Command;
use common::{Place, TINY, files, json, out, text};
use std::fs;
use std::process::Stdio;

#[test]
fn run_prints_a_table_of_a_hundred_columns_and_leaves_a_complete_folder() {
    let place = Place::with(TINY);
    let ran = place.run(&["run", "tiny.ron"]);
    assert_eq!(ran.status.code(), Some(0), "{}", text(&ran.stderr));
    let table = out(&ran);
    assert!(table.lines().all(|line| line.chars().count() <= 100), "{table}");
    assert!(!table.contains('\u{1b}'), "no colour when piped");
    // The base has its title, expectations the names that they have in the scenario, and one row each.
    assert!(table.contains("two sites") && !table.contains("\nbase "), "{table}");
    assert!(
        table.contains("no_failed_tasks") && table.contains("all 3 variants"),
        "{table}"
    );
    assert!(
        table.ends_with("seed 3 · reproduce: quorate run tiny.ron --seed 3 --replicates 3\n"),
        "{table}"
    );
    let errors = text(&ran.stderr);
    assert!(
        errors.starts_with("quorate: 9 runs, ") && errors.lines().count() == 1,
        "{errors}"
    );

    let written = files(&place.path("outputs/tiny"));
    let names: Vec<&str> = written.keys().map(String::as_str).collect();
    for name in [
        "results.json",
        "manifest.json",
        "scenario.ron",
        "measures.csv",
        "summary.csv",
        "differences.csv",
    ] {
        assert!(names.contains(&name), "{name} is missing in {names:?}");
    }
    for name in [
        "tasks.csv",
        "series.csv",
        "samples.csv",
        "faults.csv",
        "dictionary.csv",
        "plots/latency_trap.png",
    ] {
        assert!(names.contains(&name), "{name} is missing in {names:?}");
    }
    // The manifest lists what is there, and nothing says where or when it was made.
    let manifest = json(&written["manifest.json"]);
    let listed: Vec<&str> = manifest["files"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|name| name.as_str())
        .collect();
    assert_eq!(listed.len() + 1, names.len());
    assert!(listed.iter().all(|name| names.contains(name)));
    let here = place.path("").display().to_string();
    for (name, bytes) in &written {
        assert!(!String::from_utf8_lossy(bytes).contains(&here), "{name} holds a path");
    }
}

#[test]
fn exit_codes_say_what_became_of_the_expectations() {
    let place = Place::with(TINY);
    assert_eq!(place.code(&["run", "tiny.ron", "--no-output"]), 0);
    place.write(
        "fails.ron",
        &TINY.replace("\"300ms\", \"300ms\"", "\"301ms\", \"302ms\""),
    );
    let failed = place.run(&["run", "fails.ron", "--no-output"]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(out(&failed).contains("FAILS"), "{}", out(&failed));
    // A single replicate has no interval, so that nothing can be said with confidence.
    place.write(
        "open.ron",
        &TINY.replace(
            "// more",
            "Measure(name: \"task.time.mean\", is: AtMost(\"1h\"), confidence: 0.95),",
        ),
    );
    assert_eq!(place.code(&["run", "open.ron", "--no-output"]), 0);
    let open = place.run(&["run", "open.ron", "--no-output", "--replicates", "1"]);
    assert_eq!(open.status.code(), Some(3));
    assert!(out(&open).contains("undecided"), "{}", out(&open));
    // Any statistic of a comparison is one of the differences.
    for (stat, code) in [
        ("Mean", 0),
        ("Median", 0),
        ("Min", 0),
        ("Max", 0),
        ("Each", 0),
        ("Sum", 1),
    ] {
        let claim = format!(
            "Measure(name: \"task.time.mean\", variant: \"far\", over: \"base\", stat: {stat}, is: Between(\"899ms\", \"901ms\")),"
        );
        place.write("over.ron", &TINY.replace("// more", &claim));
        assert_eq!(place.code(&["run", "over.ron", "--no-output"]), code, "{stat}");
    }
    place.write("broken.ron", &TINY.replace("Call(", "Cal("));
    let broken = place.run(&["run", "broken.ron"]);
    assert_eq!(broken.status.code(), Some(2));
    assert!(text(&broken.stderr).contains("did you mean `Call`?") && out(&broken).is_empty());
    assert!(
        !place.path("outputs").exists(),
        "a scenario that is wrong leaves nothing"
    );
}

#[test]
fn outputs_are_the_same_bytes_on_any_threads_alone_or_in_a_sweep_and_from_anywhere() {
    let place = Place::with(TINY);
    assert_eq!(place.code(&["run", "tiny.ron", "--jobs", "1", "--out", "one"]), 0);
    assert_eq!(place.code(&["run", "tiny.ron", "--jobs", "4", "--out", "four"]), 0);
    fs::create_dir(place.path("elsewhere")).unwrap();
    assert_eq!(
        Place::code_in(&place.path("elsewhere"), &["run", "../tiny.ron", "--out", "../third"]),
        0
    );
    let (one, four, third) = (
        files(&place.path("one/tiny")),
        files(&place.path("four/tiny")),
        files(&place.path("third/tiny")),
    );
    assert_eq!(one.keys().collect::<Vec<_>>(), four.keys().collect::<Vec<_>>());
    for (name, bytes) in &one {
        assert!(four[name] == *bytes, "{name} depends on the number of threads");
        assert!(third[name] == *bytes, "{name} depends on where it was run");
    }
    // Alone: with the base only, as `--variant` always keeps it.
    assert_eq!(
        place.code(&["run", "tiny.ron", "--variant", "far", "--out", "alone"]),
        0
    );
    let (sweep, alone) = (
        json(&one["results.json"]),
        json(&files(&place.path("alone/tiny"))["results.json"]),
    );
    assert_eq!(alone["variants"].as_array().unwrap().len(), 2);
    let of = |results: &serde_json::Value, name: &str| {
        results["variants"]
            .as_array()
            .unwrap()
            .iter()
            .find(|variant| variant["name"] == name)
            .unwrap()
            .clone()
    };
    assert_eq!(of(&sweep, "far")["runs"], of(&alone, "far")["runs"]);
    assert_eq!(of(&sweep, "far")["differences"], of(&alone, "far")["differences"]);
    assert_eq!(of(&sweep, "base")["title"], "two sites");
}

#[test]
fn a_second_run_replaces_the_folder_as_a_whole() {
    let place = Place::with(TINY);
    place.code(&["run", "tiny.ron"]);
    fs::write(place.path("outputs/tiny/stale.txt"), "of an older run").unwrap();
    let before = fs::read(place.path("outputs/tiny/results.json")).unwrap();
    assert_eq!(place.code(&["run", "tiny.ron", "--seed", "4"]), 0);
    assert!(!place.path("outputs/tiny/stale.txt").exists());
    assert_ne!(fs::read(place.path("outputs/tiny/results.json")).unwrap(), before);
    let left: Vec<String> = files(&place.path("outputs"))
        .into_keys()
        .filter(|name| !name.starts_with("tiny/"))
        .collect();
    assert_eq!(left, Vec::<String>::new(), "no lock stays behind");
}

#[test]
fn a_folder_that_is_no_output_folder_is_never_replaced() {
    let place = Place::with(TINY);
    fs::create_dir(place.path("tiny")).unwrap();
    fs::write(place.path("tiny/thesis.txt"), "years of work").unwrap();
    let refused = place.run(&["run", "tiny.ron", "--out", "."]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("no output folder"),
        "{}",
        text(&refused.stderr)
    );
    assert_eq!(fs::read(place.path("tiny/thesis.txt")).unwrap(), b"years of work");
}

#[test]
fn settings_are_taken_and_wrong_ones_are_explained() {
    let place = Place::with(TINY);
    let ran = place.run(&[
        "run",
        "tiny.ron",
        "--no-output",
        "--format",
        "json",
        "--seed",
        "9",
        "--replicates",
        "2",
    ]);
    let results = json(&ran.stdout);
    assert_eq!(
        (results["seed"].as_u64(), results["replicates"].as_u64()),
        (Some(9), Some(2))
    );
    assert_eq!(results["expectations"].as_array().unwrap().len(), 4);
    let set = place.run(&[
        "run",
        "tiny.ron",
        "--no-output",
        "--format",
        "json",
        "--set",
        "agents.worker.count=2",
    ]);
    assert_eq!(json(&set.stdout)["variants"][0]["measures"]["task.done"]["mean"], 2.0);
    for (args, says) in [
        (&["--set", "agents.wroker.count=2"][..], "E03"),
        (&["--set", "agents.worker.count=two"], "count"),
        (&["--variant", "fra"], "did you mean \"far\"?"),
        (&["--replicates", "0"], "0 is not in 1..=1000000"),
        (&["--max-events", "0"], "0 is not in 1.."),
        (&["--set", "replicates=0"], "expected more than zero"),
    ] {
        let wrong = place.run(&[&["run", "tiny.ron"], args].concat());
        assert_eq!(wrong.status.code(), Some(2), "{args:?}");
        assert!(text(&wrong.stderr).contains(says), "{args:?}: {}", text(&wrong.stderr));
    }
    assert!(!place.path("outputs").exists());
}

#[test]
fn no_output_dry_run_and_standard_input() {
    let place = Place::with(TINY);
    let dry = place.run(&["run", "tiny.ron", "--dry-run"]);
    assert_eq!(dry.status.code(), Some(0));
    assert!(
        out(&dry).starts_with(
            "tiny: 3 variants ('two sites', 'one site', 'far') x 3 replicates = 9 runs, seed 3\none run of 'two sites': "
        ),
        "{}",
        out(&dry)
    );
    let dry = place.run(&["run", "tiny.ron", "--dry-run", "--format", "json", "--variant", "far"]);
    let said = json(&dry.stdout);
    assert_eq!(said["variants"], serde_json::json!(["base", "far"]));
    assert_eq!(said["titles"], serde_json::json!(["two sites", "far"]));
    assert_eq!((said["runs"].as_u64(), said["seed"].as_u64()), (Some(6), Some(3)));
    assert!(!place.path("outputs").exists());
    let piped = Command::new(common::QUORATE)
        .current_dir(place.path(""))
        .args(["run", "-", "--no-output"])
        .write_stdin(TINY)
        .output();
    let (piped, file) = (piped.unwrap(), place.run(&["run", "tiny.ron", "--no-output"]));
    assert_eq!(piped.status.code(), Some(0));
    assert_eq!(out(&piped).lines().next(), out(&file).lines().next());
    assert_eq!(out(&piped).replace("run - ", "run tiny.ron "), out(&file));
    assert!(!place.path("outputs").exists());
}

#[test]
fn more_runs_than_fit_are_refused_on_the_command_line_too() {
    let place = Place::with(TINY);
    for command in ["run", "verify", "test"] {
        let ran = place.run(&[command, "tiny.ron", "--replicates", "333334"]);
        let said = text(&ran.stderr);
        assert_eq!(ran.status.code(), Some(2), "{command}: {said}");
        assert!(
            said.contains("3 variants of 333334 replicates are 1000002 runs"),
            "{command}: {said}"
        );
    }
}

#[test]
fn stopped_runs_say_so() {
    let place = Place::with(TINY);
    let stopped = place.run(&["run", "tiny.ron", "--no-output", "--max-events", "20"]);
    assert_eq!(stopped.status.code(), Some(3));
    // The note stands under the table, and there alone.
    let said = "two sites: 3 of 3 runs stopped early; replicate 0 at ";
    assert_eq!(out(&stopped).matches(said).count(), 1, "{}", out(&stopped));
    assert!(
        !text(&stopped.stderr).contains("stopped early"),
        "{}",
        text(&stopped.stderr)
    );
    assert!(
        out(&stopped).contains("--max-events 20"),
        "the line to reproduce it has the limit"
    );
    let stopped = place.run(&[
        "run",
        "tiny.ron",
        "--no-output",
        "--max-events",
        "20",
        "--format",
        "json",
    ]);
    assert_eq!(
        text(&stopped.stderr).matches(said).count(),
        1,
        "{}",
        text(&stopped.stderr)
    );
}

#[test]
fn nothing_is_decided_of_stopped_runs_and_the_others_are_judged() {
    let scenario = TINY
        .replace("\"far\": [", "\"long\": [Set(path: \"agents.worker.program[0].times\", to: 300)],\n        \"far\": [")
        .replace(
            "        // more",
            "        Measure(name: \"task.time.mean\", is: AtMost(\"1ms\")),\n        Measure(name: \"task.time.mean\", over: \"long\", is: AtMost(\"0s\")),",
        );
    let place = Place::with(&scenario);
    let rows = |args: &[&str]| {
        let ran = place.run(&[&["run", "tiny.ron", "--no-output", "--format", "json"], args].concat());
        let all = json(&ran.stdout)["expectations"].clone();
        let row = |row: &serde_json::Value| {
            let of = |name: &str| row[name].as_str().unwrap_or_default().to_string();
            (of("name"), of("variant"), of("over"), of("verdict"))
        };
        (
            ran.status.code(),
            all.as_array().unwrap().iter().map(row).collect::<Vec<_>>(),
        )
    };
    let (code, whole) = rows(&[]);
    assert_eq!(code, Some(1));
    assert!(whole.iter().all(|row| row.3 != "undecided"), "{whole:?}");
    let (code, stopped) = rows(&["--max-events", "1000"]);
    // The base fails its bound, whatever became of the long variant.
    assert_eq!(code, Some(1));
    assert_eq!(whole.len(), stopped.len());
    for (whole, stopped) in whole.iter().zip(&stopped) {
        let partial = [&whole.1, &whole.2].contains(&&"long".to_string());
        let verdict = if partial { "undecided" } else { whole.3.as_str() };
        assert_eq!(stopped.3, verdict, "{whole:?}");
    }
    let (code, none) = rows(&["--max-events", "20"]);
    assert_eq!(code, Some(3));
    assert!(none.iter().all(|row| row.3 == "undecided"), "{none:?}");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let place = Place::with(TINY);
    for args in [
        &["run", "tiny.ron", "--no-output", "--format", "json"][..],
        &["reference"],
    ] {
        let mut child = std::process::Command::new(common::QUORATE)
            .args(args)
            .current_dir(place.path(""))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let ended = child.wait_with_output().unwrap();
        assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
        assert!(!text(&ended.stderr).contains("panic"));
    }
}

#[test]
fn two_runs_into_one_folder_are_kept_apart() {
    let place = Place::with(TINY);
    fs::create_dir(place.path("outputs")).unwrap();
    let lock = fs::File::create(place.path("outputs/.tiny.lock")).unwrap();
    lock.lock().unwrap();
    let refused = place.run(&["run", "tiny.ron"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("another run is writing"),
        "{}",
        text(&refused.stderr)
    );
    lock.unlock().unwrap();
    assert_eq!(place.code(&["run", "tiny.ron"]), 0);
}

/// A run of minutes.
fn long() -> String {
    TINY.replace("Repeat(times: 3,", "Repeat(times: Forever,")
        .replace("AllDone(within: \"10min\")", "At(\"10000h\")")
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_leaves_the_old_outputs_whole() {
    let place = Place::with(TINY);
    place.code(&["run", "tiny.ron"]);
    let before = files(&place.path("outputs/tiny"));
    place.write("tiny.ron", &long());
    let mut child = std::process::Command::new(common::QUORATE)
        .args(["run", "tiny.ron"])
        .current_dir(place.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // The folder is reserved once the handler is set: then the run can be interrupted.
    let mut lock = fs::OpenOptions::new();
    let is_running = || {
        lock.write(true)
            .open(place.path("outputs/.tiny.lock"))
            .is_ok_and(|lock| lock.try_lock().is_err())
    };
    common::until(is_running);
    let interrupted = std::process::Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(interrupted.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(
        files(&place.path("outputs/tiny")) == before,
        "the old outputs are whole"
    );
    assert_eq!(
        files(&place.path("outputs")).len(),
        before.len(),
        "nothing half-written is left"
    );
}

#[test]
fn a_process_killed_between_two_renames_has_lost_nothing() {
    let place = Place::with(TINY);
    place.code(&["run", "tiny.ron"]);
    let before = files(&place.path("outputs/tiny"));
    fs::rename(place.path("outputs/tiny"), place.path("outputs/.tiny.old")).unwrap();
    place.write("tiny.ron", &TINY.replace("\"worker\"", "\"nobody\": 3, \"worker\""));
    assert_eq!(place.code(&["run", "tiny.ron"]), 2);
    place.write("tiny.ron", TINY);
    assert_eq!(place.code(&["run", "tiny.ron"]), 0);
    assert!(files(&place.path("outputs/tiny")) == before);
    assert!(!place.path("outputs/.tiny.old").exists());
}

#[test]
fn outputs_that_cannot_be_written_are_an_error_and_leave_nothing() {
    let place = Place::with(TINY);
    fs::write(place.path("file"), "").unwrap();
    let refused = place.run(&["run", "tiny.ron", "--out", "file"]);
    assert_eq!(refused.status.code(), Some(2));
    assert!(
        text(&refused.stderr).contains("can't make the folder file"),
        "{}",
        text(&refused.stderr)
    );
    if !std::path::Path::new("/dev/full").exists() {
        return eprintln!("skipped: there is no /dev/full");
    }
    let full = std::process::Command::new(common::QUORATE)
        .args(["run", "tiny.ron"])
        .current_dir(place.path(""))
        .stdout(fs::File::options().write(true).open("/dev/full").unwrap())
        .output()
        .unwrap();
    assert_eq!(full.status.code(), Some(2), "{}", text(&full.stderr));
    assert!(text(&full.stderr).contains("No space left"), "{}", text(&full.stderr));
    assert!(!place.path("outputs/tiny").exists());
}

/// A file system of half a megabyte, where the one who tests may mount one.
#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_old_outputs_whole() {
    let place = Place::with(TINY);
    fs::create_dir(place.path("outputs")).unwrap();
    let folder = place.path("outputs").display().to_string();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs", &folder])
        .output();
    if !mounted.is_ok_and(|mounted| mounted.status.success()) {
        return eprintln!("skipped: no file system can be mounted here");
    }
    let first = place.run(&["run", "tiny.ron", "--variant", "base", "--replicates", "1"]);
    let before = files(&place.path("outputs/tiny"));
    fs::write(place.path("outputs/filler"), vec![1u8; 1 << 20]).unwrap_err();
    let full = place.run(&["run", "tiny.ron"]);
    let after = files(&place.path("outputs/tiny"));
    let fresh = place.path("outputs/.tiny.new").exists();
    std::process::Command::new("umount").arg(&folder).status().unwrap();
    assert_eq!(first.status.code(), Some(0), "{}", text(&first.stderr));
    assert_eq!(full.status.code(), Some(2), "{}", text(&full.stderr));
    assert!(text(&full.stderr).contains("No space left"), "{}", text(&full.stderr));
    assert!(before == after && !before.is_empty() && !fresh);
}
