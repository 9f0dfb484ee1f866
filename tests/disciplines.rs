//! Who is served next, to the nanosecond and under every fault.

mod common;

use common::{measured, observed, read};
use quorate::check::critical_path::CriticalPath;
use std::collections::BTreeMap;

/// One server, and jobs that come one each second from the first on, each with its own steps.
fn scenario(discipline: &str, servers: &str, jobs: &[&str], faults: &str) -> String {
    let agents: String = jobs
        .iter()
        .zip(0..)
        .map(|(call, n)| {
            format!(
                r#""j{n}": (count: 1, at: "x", start: AtOnce(at: "{n}s"), program: [Task(name: "j{n}", steps: [{call}])]),"#
            )
        })
        .collect();
    format!(
        r#"(
            quorate: 1, name: "disciplines", question: "?", until: AllDone(within: "1h"), sites: ["x"],
            services: {{"s": (at: "x", servers: {servers}, discipline: {discipline}, time: Tokens(each_out: "1s"))}},
            policies: {{"again": (timeout: "60s", attempts: 5, backoff: None)}},
            agents: {{{agents}}},
            faults: {{{faults}}},
        )"#
    )
}

fn numbers(discipline: &str, servers: &str, jobs: &[&str], faults: &str) -> BTreeMap<String, f64> {
    measured(&read(&scenario(discipline, servers, jobs, faults)), 0, 0)
        .sheet
        .numbers
}

/// When each job was done, in seconds.
fn ends(discipline: &str, servers: &str, jobs: &[&str], faults: &str) -> Vec<f64> {
    let of = numbers(discipline, servers, jobs, faults);
    (0..jobs.len())
        .map(|n| n as f64 + of[&format!("task.j{n}.time.mean")])
        .collect()
}

fn job(seconds: u32) -> String {
    format!(r#"Call(service: "s", tokens: (tokens_out: {seconds}))"#)
}

/// Jobs of 10, 4, 2 and 4 seconds.
fn four() -> [String; 4] {
    [job(10), job(4), job(2), job(4)]
}

#[test]
fn each_discipline_takes_the_next_in_its_order() {
    let jobs = four();
    let jobs: Vec<&str> = jobs.iter().map(String::as_str).collect();
    assert_eq!(ends("Fifo", "1", &jobs, ""), [10.0, 14.0, 16.0, 20.0]);
    assert_eq!(ends("Lifo", "1", &jobs, ""), [10.0, 20.0, 16.0, 14.0]);
    assert_eq!(ends("ShortestFirst", "1", &jobs, ""), [10.0, 16.0, 12.0, 20.0]);
    let urgent = |priority: u32| format!(r#"Call(service: "s", tokens: (tokens_out: 4), priority: {priority})"#);
    let [low, high, top] = [0, 3, 7].map(urgent);
    let jobs = [jobs[0], &low, &high, &top, &high];
    assert_eq!(ends("Priority", "1", &jobs, ""), [10.0, 26.0, 18.0, 14.0, 22.0]);
}

#[test]
fn who_shares_a_server_has_a_part_of_it() {
    let (two, four) = (job(2), job(4));
    // Alone for a second, three left at half speed beside two; then the other has had its two, and there are two left.
    assert_eq!(ends("Sharing", "1", &[&four, &two], ""), [6.0, 5.0]);
    // With two servers nobody has less than he can use.
    assert_eq!(ends("Sharing", "2", &[&four, &two], ""), [4.0, 3.0]);
    let of = numbers("Sharing", "1", &[&four, &two], "");
    assert_eq!((of["service.s.queue.peak"], of["service.s.utilisation"]), (0.0, 1.0));
}

#[test]
fn work_that_is_shared_stands_still_with_its_service_and_is_slowed_down_with_it() {
    let (two, four) = (job(2), job(4));
    let pause = r#""p": Pause(who: "s", at: "2s", for: "10s")"#;
    assert_eq!(ends("Sharing", "1", &[&four, &two], pause), [16.0, 15.0]);
    let of = numbers("Sharing", "1", &[&four, &two], pause);
    assert_eq!((of["task.j0.part.down"], of["task.j0.part.service"]), (10.0, 6.0));
    let slow = r#""p": Stall(services: "s", speed: 0.5, at: "2s", for: "4s")"#;
    assert_eq!(ends("Sharing", "1", &[&four, &two], slow), [8.0, 7.0]);
}

#[test]
fn after_a_crash_all_that_is_kept_begins_anew_together() {
    let (two, four) = (job(2), job(4));
    let crash = r#""c": Crash(who: "s", at: "2s", for: "10s", keep: State)"#;
    // Both begin anew at twelve: two of each are done at sixteen, and then two of the first are left.
    assert_eq!(ends("Sharing", "1", &[&four, &two], crash), [18.0, 16.0]);
}

#[test]
fn the_account_of_every_task_is_rebuilt_from_records_under_faults() {
    let drawn = |name: &str, what: &str, to_failure: u32, to_repair: u32| {
        format!(
            r#""{name}": {what}, when: Drawn(until: "400s", to_failure: Exponential(mean: "{to_failure}s"),
                to_repair: Exponential(mean: "{to_repair}s"))),"#
        )
    };
    let faults = [
        drawn("crash", r#"Crash(who: "s", keep: State"#, 20, 3),
        drawn("lost", r#"Crash(who: "s", keep: Nothing"#, 60, 2),
        drawn("pause", r#"Pause(who: "s""#, 15, 3),
        drawn("slow", r#"Stall(services: "s", speed: 0.3"#, 15, 5),
    ];
    let faults = faults.concat();
    for discipline in ["Lifo", "Priority", "ShortestFirst", "Sharing"] {
        let text = format!(
            r#"(
                quorate: 1, name: "faulty", question: "?", until: At("400s"), sites: ["x"],
                services: {{"s": (at: "x", servers: 2, queue: 5, discipline: {discipline}, time: Exponential(mean: "1s"))}},
                policies: {{"again": (timeout: "8s", attempts: 3, backoff: FullJitter(base: "100ms", cap: "1s"), idempotency_key: true)}},
                agents: {{"j": (count: Stream(), at: "x", start: Poisson(rate: "1.5/s"), program: [
                    Choose([(1, [Call(service: "s", policy: "again", priority: 2)]), (1, [Call(service: "s", policy: "again")])]),
                ])}},
                faults: {{{faults}}},
            )"#
        );
        let scenario = read(&text);
        for seed in 1..=4 {
            let path = observed(&scenario, seed, CriticalPath::new());
            assert!(path.checked() > 50, "{discipline}: {} tasks", path.checked());
            assert_eq!(path.wrong(), &[] as &[String], "{discipline}, seed {seed}");
        }
        // Little's law and all other books.
        measured(&scenario, 0, 0);
    }
}
