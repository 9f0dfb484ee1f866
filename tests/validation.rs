//! Known answers through the command line, from `.ron` files alone: those that are quick. `.ci/run` runs the whole folder, at
//! five seeds.

use assert_cmd::Command;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/validation")
}

/// Runs `quorate validate` and returns its rows: (seed, judgement).
fn rows(path: &Path, arguments: &[&str]) -> Vec<serde_json::Value> {
    let mut command = Command::cargo_bin("quorate").expect("the binary is built");
    let out = command
        .arg("validate")
        .arg(path)
        .args(["--format", "json"])
        .args(arguments)
        .output();
    let out = out.expect("it runs");
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    let rows = serde_json::from_slice(&out.stdout).unwrap_or_else(|why| panic!("{}: {why}\n{said}", path.display()));
    assert_eq!(out.status.code(), Some(0), "{}: {rows}\n{said}", path.display());
    match rows {
        serde_json::Value::Array(rows) => rows,
        other => panic!("not a list of rows: {other}"),
    }
}

fn all_hold(name: &str, seeds: &[&str], count: usize) {
    let arguments: Vec<&str> = seeds.iter().flat_map(|seed| ["--seed", seed]).collect();
    let rows = rows(&folder().join(name), &arguments);
    assert_eq!(rows.len(), count * seeds.len(), "{name}");
    for row in &rows {
        assert_eq!(row[1]["verdict"], "holds", "{name}: {row}");
    }
}

const SEEDS: [&str; 5] = ["1", "2", "3", "4", "5"];

#[test]
fn what_is_exact_holds_at_five_seeds() {
    all_hold("coordination.ron", &SEEDS, 4);
    all_hold("token_bucket_burst.ron", &SEEDS, 2);
    all_hold("latency_trap.ron", &SEEDS, 1);
    all_hold("token_limits.ron", &SEEDS, 3);
    all_hold("fixed_windows.ron", &SEEDS, 3);
}

#[test]
fn a_policed_stream_loses_two_of_three() {
    all_hold("token_bucket_police.ron", &["1", "2"], 1);
}

#[test]
fn anomalies_of_shared_state_have_their_closed_forms() {
    all_hold("read_think_write.ron", &["1"], 1);
    all_hold("stale_reads.ron", &["1"], 2);
}

/// N clients under optimistic locking, with hops of exactly 10 ms and a backoff.
fn lockstep(clients: u32, attempts: &str, expect: &str) -> String {
    format!(
        r#"(
            quorate: 1, name: "lockstep", replicates: 1, until: AllDone(within: "1h"),
            sites: ["clients", "server"],
            network: (default: (one_way: "10ms")),
            state: {{"table": (at: "server", model: LastWriteWins, keys: {{"row": Register()}})}},
            policies: {{"retry": (attempts: {attempts})}},
            agents: {{"client": (count: {clients}, at: "clients", program: [CompareAndSwap(key: "row", policy: "retry")])}},
            expect: [{expect} Always("network.conservation")],
        )"#
    )
}

fn near(measure: &str, value: &str) -> String {
    format!(r#"Measure(name: "{measure}", is: Between({value}, {value}), row: "{measure}", source: "counting"),"#)
}

#[test]
fn optimistic_locking_in_lockstep_takes_n_rounds() {
    let folder = tempfile::tempdir().unwrap();
    for n in [1u32, 2, 7, 33] {
        let calls = n * (n + 1) / 2;
        let expect = [
            near("state.swaps", &calls.to_string()),
            near("state.swaps.refused", &(calls - n).to_string()),
            near("state.writes", &n.to_string()),
            near("state.acknowledged", &n.to_string()),
            near("state.swaps.given_up", "0"),
            near("state.overwritten_unseen", "0"),
            near("state.lost_updates", "0"),
            near("task.done", &n.to_string()),
            near("run.last_delivery", &format!("\"{}ms\"", 40 * n)),
        ];
        let path = folder.path().join(format!("lockstep{n}.ron"));
        std::fs::write(&path, lockstep(n, "Unlimited", &expect.concat())).unwrap();
        assert_eq!(rows(&path, &[]).len(), expect.len());
    }
}

#[test]
fn optimistic_locking_gives_up_after_its_attempts() {
    let folder = tempfile::tempdir().unwrap();
    // Ten clients, three rounds: one succeeds in each, and the seven that are left have failed.
    let expect = [
        near("state.swaps", "27"),
        near("state.writes", "3"),
        near("task.done", "3"),
        near("task.failed", "7"),
        near("state.swaps.given_up", "7"),
        near("run.last_delivery", "\"120ms\""),
    ];
    let path = folder.path().join("lockstep.ron");
    std::fs::write(&path, lockstep(10, "3", &expect.concat())).unwrap();
    assert_eq!(rows(&path, &[]).len(), expect.len());
}

/// One client swaps 200 times; half of the answers are lost, and their attempts are repeated.
fn lost_answers(idempotency_key: bool, expect: &str) -> String {
    format!(
        r#"(
            quorate: 1, name: "lost_answers", replicates: 1, until: AllDone(within: "10h"),
            sites: ["client", "server"],
            network: (default: (one_way: "10ms"), links: [(from: "server", to: "client", loss: "50%")]),
            state: {{"table": (at: "server", model: LastWriteWins, keys: {{"row": Register()}})}},
            policies: {{"retry": (timeout: "100ms", attempts: Unlimited, idempotency_key: {idempotency_key})}},
            agents: {{"client": (count: 1, at: "client", program: [
                Repeat(times: 200, steps: [CompareAndSwap(key: "row", policy: "retry")]),
            ])}},
            expect: [{expect} Always("network.conservation")],
        )"#
    )
}

#[test]
fn a_repeated_swap_is_refused_by_its_own_write_unless_it_is_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("lost_answers.ron");
    let expect = [
        near("state.writes", "200"),
        near("state.swaps.refused", "0"),
        near("task.done", "1"),
    ];
    std::fs::write(&path, lost_answers(true, &expect.concat())).unwrap();
    rows(&path, &[]);
    // The answer of a write is lost with probability 1/2: then its repetition finds its own write, and the client starts again.
    let expect = [
        r#"Measure(name: "state.writes", is: AtLeast(300), row: "a", source: "b"),"#.to_string(),
        r#"Measure(name: "state.swaps.refused", is: AtLeast(100), row: "c", source: "d"),"#.to_string(),
    ];
    std::fs::write(&path, lost_answers(false, &expect.concat())).unwrap();
    rows(&path, &[]);
}

#[test]
fn optimistic_locking_needs_a_store_with_one_replica() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("two.ron");
    std::fs::write(
        &path,
        lockstep(2, "3", "").replace("at: \"server\", model", "at: [\"server\", \"clients\"], model"),
    )
    .unwrap();
    let mut command = Command::cargo_bin("quorate").unwrap();
    let out = command.arg("check").arg(&path).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned() + &String::from_utf8_lossy(&out.stdout);
    assert_eq!(out.status.code(), Some(2), "{said}");
    assert!(said.contains("needs a store with one replica"), "{said}");
}

/// The rows that the folder's scenarios name.
fn named_rows() -> Vec<String> {
    let mut names = Vec::new();
    for file in std::fs::read_dir(folder()).unwrap() {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let rows = text.lines().filter_map(|line| line.trim().strip_prefix("row: \""));
        names.extend(rows.filter_map(|rest| rest.strip_suffix("\",").map(str::to_string)));
    }
    names.sort();
    names
}

#[test]
fn rows_are_named_once_and_nowhere_in_the_simulator() {
    let names = named_rows();
    assert!(names.len() > 60, "{}", names.len());
    let mut once = names.clone();
    once.dedup();
    assert_eq!(names, once, "a row is named twice");
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for name in names.iter().filter(|name| *name != "pipeline") {
                assert!(
                    !text.contains(&format!("\"{name}")),
                    "{} names the row {name}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn the_page_lists_every_row() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/validation.md");
    let page = std::fs::read_to_string(page).unwrap();
    for name in named_rows() {
        assert!(
            page.contains(&format!("| {name} |")),
            "docs/validation.md lacks {name}: remake it as it says"
        );
    }
}
