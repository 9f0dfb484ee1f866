//! Event sourcing in whole scenarios: what an agent that has lost its memory reads, how long it takes, and what it does again.

mod common;

use common::{measured, observed, read};
use quorate::check::critical_path::CriticalPath;
use quorate::check::past::Past;
use quorate::kernel::{SimDuration, SimTime};
use quorate::scenario::syntax::{Memory, Show, render};
use quorate::scenario::{Registry, load};
use std::collections::BTreeMap;

type Numbers = BTreeMap<String, f64>;

fn numbers(text: &str) -> Numbers {
    measured(&read(text), 0, 0).sheet.numbers
}

fn of(all: &Numbers, name: &str) -> f64 {
    *all.get(name).unwrap_or_else(|| panic!("{name} was measured"))
}

fn close(all: &Numbers, name: &str, expected: f64) {
    let found = of(all, name);
    assert!((found - expected).abs() < 1e-9, "{name} is {found}, not {expected}");
}

/// One agent that thinks 20 times for a second; a log that is 10 ms away and takes 5 ms.
fn scenario(journal: &str, network: &str, faults: &str) -> String {
    format!(
        r#"(
        quorate: 1, name: "journals", seed: 3, until: AllDone(within: "1h"), sites: ["near", "far"],
        network: (default: (one_way: "10ms", {network})),
        services: {{"ledger": (at: "far", time: "5ms"), "tool": (at: "near", time: "1ms")}},
        agents: {{"a": (count: 1, at: "near", {journal} program: [
            Repeat(times: 20, steps: [Think("1s")]),
        ])}},
        faults: {{{faults}}},
    )"#
    )
}

const JOURNAL: &str = r#"journal: (log: "ledger", replay: "3ms", event_bytes: "100B", snapshot_bytes: "5kB", batch: 4"#;
const CRASH: &str = r#""dies": Crash(who: "a", at: "10500ms", for: "2s", keep: Nothing)"#;
/// An event: the way there, the write, the way back.
const WRITE: f64 = 0.025;

#[test]
fn without_a_log_an_agent_begins_anew() {
    let all = numbers(&scenario("", "", CRASH));
    close(&all, "run.end", 12.5 + 20.0);
    assert!(!all.contains_key("journal.events"));
}

#[test]
fn an_agent_that_lost_its_memory_goes_on_behind_its_newest_event() {
    let all = numbers(&scenario(&format!("{JOURNAL}),"), "", CRASH));
    // Ten rounds of 1.025 s are over at 10.25 s: ten events, read in three parts of four at most, and each folded in 3 ms.
    let recovery = 3.0 * WRITE + 10.0 * 0.003;
    close(&all, "recovery.count", 1.0);
    close(&all, "recovery.time.mean", recovery);
    close(&all, "recovery.events", 10.0);
    close(&all, "journal.read", 1000.0);
    close(&all, "journal.events", 20.0);
    close(&all, "journal.written", 2000.0);
    close(&all, "run.end", 12.5 + recovery + 10.0 * (1.0 + WRITE));
    // The task is one, and its account knows where the time went: a quarter of a second was thought in vain.
    close(&all, "task.done", 1.0);
    close(&all, "task.aborted", 0.0);
    close(&all, "task.time.mean", of(&all, "run.end"));
    close(&all, "task.part.down", 2.0);
    close(&all, "task.part.retrying", 0.25 + 10.0 * 0.003);
    close(&all, "task.part.thinking", 20.0);
}

#[test]
fn a_snapshot_spares_the_events_before_it() {
    let all = numbers(&scenario(&format!("{JOURNAL}, snapshot_every: 4),"), "", CRASH));
    // Two snapshots by then: 8 rounds take 8.25 s, the ninth and the tenth are events behind them.
    let recovery = WRITE + 2.0 * 0.003;
    close(&all, "recovery.time.mean", recovery);
    close(&all, "recovery.events", 2.0);
    close(&all, "journal.read", 5200.0);
    close(&all, "journal.snapshots", 5.0);
    close(&all, "journal.written", 20.0 * 100.0 + 5.0 * 5000.0);
    close(&all, "run.end", 12.5 + recovery + 10.0 * (1.0 + WRITE) + 3.0 * WRITE);
}

#[test]
fn events_and_snapshots_take_the_bandwidth_of_the_link() {
    let text = scenario(&format!("{JOURNAL}, snapshot_every: 4),"), "", "");
    let slow = text.replace(r#"one_way: "10ms", "#, r#"one_way: "10ms", bandwidth: "1Mbit/s""#);
    // 8 µs a byte: 20 events of 100 bytes and 5 snapshots of 5000, each with 16 bytes of what is asked.
    let bytes = 20.0 * 116.0 + 5.0 * 5016.0;
    let longer = of(&numbers(&slow), "run.end") - of(&numbers(&text), "run.end");
    assert!((longer - bytes * 8e-6).abs() < 1e-9, "{longer}");
}

#[test]
fn an_agent_that_keeps_its_memory_reads_nothing() {
    let crash = CRASH.replace("Nothing", "State");
    let all = numbers(&scenario(&format!("{JOURNAL}),"), "", &crash));
    close(&all, "recovery.count", 0.0);
    close(&all, "journal.events", 20.0);
    close(&all, "run.end", 12.5 + 10.0 * (1.0 + WRITE));
}

#[test]
fn a_crash_between_a_write_and_its_answer_loses_no_event_and_repeats_none() {
    // The second event leaves at 2.025 s, is in the log at 2.040 s, and its answer is there at 2.050 s.
    for (at, folded) in [("2030ms", 2.0), ("2045ms", 2.0)] {
        let crash = format!(r#""dies": Crash(who: "a", at: "{at}", for: "1s", keep: Nothing)"#);
        let all = numbers(&scenario(&format!("{JOURNAL}),"), "", &crash));
        close(&all, "recovery.events", folded);
        close(&all, "journal.events", 20.0);
        close(&all, "journal.repeated", 0.0);
        let kept = numbers(&scenario(
            &format!("{JOURNAL}),"),
            "",
            &crash.replace("Nothing", "State"),
        ));
        close(&kept, "journal.events", 20.0);
        close(&kept, "journal.repeated", 1.0);
    }
}

#[test]
fn a_late_write_of_an_earlier_life_is_refused() {
    // The write leaves at 2.025 s and takes three seconds; the agent is back soon, and reads its log before that.
    let slow = r#""slow": Degrade(from: "near", to: "far", both_ways: false, latency_added: "3s", at: "2s", for: "100ms"),
        "dies": Crash(who: "a", at: "2030ms", for: "200ms", keep: Nothing)"#;
    let text = scenario(&format!("{JOURNAL}),"), "", slow);
    let all = numbers(&text);
    close(&all, "journal.refused", 1.0);
    close(&all, "journal.events", 20.0);
    close(&all, "recovery.events", 1.0);
}

#[test]
fn under_loss_duplication_and_crashes_every_step_is_done_and_every_event_there_once() {
    let faults = r#""dies": Crash(who: "a", keep: Nothing, when: Drawn(until: "30s", to_failure: Exponential(mean: "4s"), to_repair: "300ms")),
        "log": Crash(who: "ledger", keep: State, when: Drawn(until: "30s", to_failure: Exponential(mean: "7s"), to_repair: "500ms"))"#;
    let network = "loss: 0.2, duplication: 0.2";
    for seed in 0..20 {
        let text = scenario(&format!("{JOURNAL}, snapshot_every: 3),"), network, faults);
        let text = text.replace(r#"one_way: "10ms""#, r#"one_way: Exponential(mean: "200ms")"#);
        let text = text.replace("seed: 3", &format!("seed: {seed}"));
        let all = numbers(&text);
        close(&all, "journal.events", 20.0);
        close(&all, "task.done", 1.0);
        close(&all, "journal.gaps", 0.0);
        let path = observed(&read(&text), seed, CriticalPath::new());
        assert_eq!((path.wrong(), path.checked()), (&[] as &[String], 1), "{seed}");
    }
}

#[test]
fn the_state_at_any_past_time_is_what_the_agent_had_in_its_log() {
    let text = scenario(&format!("{JOURNAL}, snapshot_every: 4),"), "", CRASH);
    let past = observed(&read(&text), 3, Past::new());
    let agent = read(&text).variants[0].addresses().agents[0];
    let at = |ms: u64| SimTime::ZERO + SimDuration::from_millis(ms);
    // Round n is in the log 1.015 s after its begin; each takes 1.025 s, and a snapshot another 25 ms.
    for n in 1..=10 {
        let taken = at(1025 * (n - 1) + 25 * ((n - 1) / 4) + 1015);
        let (number, position) = past.state_at(agent, taken);
        // The loop counts what is left, this round included.
        assert_eq!((u64::from(number), position.registers), (n, vec![21 - n as u32]));
        let before = past.state_at(agent, SimTime::from_nanos(taken.as_nanos() - 1));
        assert_eq!(u64::from(before.0), n - 1);
    }
    // The crash takes nothing from the log.
    assert_eq!(past.state_at(agent, at(12_500)).0, 10);
    assert_eq!(past.state_at(agent, at(1_000_000)).0, 20);
    assert_eq!(past.times(agent).count(), 20);
}

#[test]
fn a_log_that_lost_its_state_is_begun_anew_with_a_snapshot() {
    let faults = r#""log": Crash(who: "ledger", at: "5s", for: "10ms", keep: Nothing),
        "dies": Crash(who: "a", at: "10500ms", for: "2s", keep: Nothing)"#;
    let all = numbers(&scenario(&format!("{JOURNAL}),"), "", faults));
    close(&all, "journal.gaps", 1.0);
    close(&all, "journal.snapshots", 1.0);
    assert!(of(&all, "recovery.events") < 10.0);
    close(&all, "task.done", 1.0);
    // Four events were there, the fifth is in the snapshot, and the others follow it: all but the one whose place it took.
    close(&all, "journal.events", 19.0);
}

#[test]
fn what_a_journal_cant_be_is_said() {
    let said = |text: &str| {
        let outcome = load("s.ron".as_ref(), &[], &Memory::new().with("s.ron", text), &Registry);
        assert!(outcome.scenario.is_none(), "{text}");
        render(&outcome.diagnostics, &outcome.sources, Show::default())
    };
    let tasks = said(&scenario(r#"journal: (log: "ledger", events: Tasks),"#, "", ""));
    assert!(tasks.contains("no step of this program is an event"), "{tasks}");
    let unknown = said(&scenario(r#"journal: (log: "leger"),"#, "", ""));
    assert!(unknown.contains("ledger"), "{unknown}");
    let ticks = said(&scenario(
        r#"start: Tick(every: "1h"), journal: (log: "ledger"),"#,
        "",
        "",
    ));
    assert!(ticks.contains("begin anew"), "{ticks}");
    let handlers = said(&scenario(
        r#"on: {"t": [Think("1s")]}, journal: (log: "ledger"),"#,
        "",
        "",
    ));
    assert!(handlers.contains("handlers"), "{handlers}");
    let gives_up = scenario(r#"journal: (log: "ledger", policy: "p"),"#, "", "");
    let gives_up = said(&gives_up.replace("agents:", r#"policies: {"p": (timeout: "1s", attempts: 3)}, agents:"#));
    assert!(gives_up.contains("attempts: Unlimited"), "{gives_up}");
    let lock = scenario(r#"journal: (log: "ledger"),"#, "", "").replace(r#"time: "5ms""#, "lock: ()");
    let lock = said(&lock);
    assert!(lock.contains("keeps no log"), "{lock}");
}
