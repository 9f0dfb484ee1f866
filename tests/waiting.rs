//! Who waits for whom when a run ends: deadlocks are found and named, and whoever only waits isn't in one.

mod common;

use common::{measured, read};
use quorate::experiment::Cell;

/// Agents with a lock or two, a model of no latency, and a link of a millisecond.
fn cell(agents: &str, more: &str) -> Cell {
    let text = format!(
        r#"(
        quorate: 1, name: "waiting", seed: 1, until: At("10min"), sites: ["here"],
        network: (default: (one_way: "1ms"), local: (one_way: "1ms")),
        {more}
        agents: {{{agents}}},
    )"#
    );
    measured(&read(&text), 0, 0)
}

fn of(cell: &Cell, name: &str) -> f64 {
    *cell
        .sheet
        .numbers
        .get(name)
        .unwrap_or_else(|| panic!("{name} was measured"))
}

fn holds_both(lock: &str) -> String {
    format!(
        r#"services: {{"left": (at: "here", lock: ({lock})), "right": (at: "here", lock: ({lock}))}},
        policies: {{"patient": (timeout: "30s", attempts: 3)}},"#
    )
}

fn philosophers(policy: &str) -> String {
    let one = |name: &str, first: &str, second: &str| {
        format!(
            r#""{name}": (count: 1, at: "here", on_failure: Continue, program: [
                WithLock(lock: "{first}", steps: [Think("1s"), WithLock(lock: "{second}", {policy} steps: [Think("1s")])]),
            ]),"#
        )
    };
    one("ann", "left", "right") + &one("bob", "right", "left")
}

#[test]
fn two_who_hold_what_the_other_wants_are_deadlocked_and_named() {
    let stuck = cell(&philosophers(""), &holds_both(r#"renew: "2s""#));
    assert_eq!(of(&stuck, "waiting.deadlocked"), 2.0);
    assert_eq!(of(&stuck, "waiting.for_locks"), 2.0);
    assert_eq!(
        stuck.sheet.notes,
        ["deadlock: ann[0] waits for right, held by bob[0], which waits for left, held by ann[0]"]
    );
}

#[test]
fn who_gives_up_or_loses_its_lease_is_not_deadlocked() {
    let gave_up = cell(&philosophers(r#"policy: "patient","#), &holds_both(r#"renew: "2s""#));
    assert_eq!(of(&gave_up, "waiting.deadlocked"), 0.0);
    assert!(gave_up.sheet.notes.is_empty());
    // Without renewal a lease ends, and the other one goes on.
    let expired = cell(&philosophers(""), &holds_both(r#"lease: "20s""#));
    assert_eq!(of(&expired, "waiting.deadlocked"), 0.0);
    assert_eq!(of(&expired, "task.done"), 2.0);
}

/// Each asks the next before it answers; the first is asked by somebody from outside.
fn circle(at_once: u32, timeout: &str) -> String {
    let one = |name: &str, next: &str| {
        format!(
            r#""{name}": (count: 1, at: "here", handlers_at_once: {at_once}, on: {{
                "question": [Ask(to: Member("{next}", 0), topic: "question"{timeout}), Reply()],
            }}),"#
        )
    };
    let asker = r#""asker": (count: 1, at: "here", on_failure: Continue, program: [Ask(to: Member("a", 0), topic: "question")]),"#;
    one("a", "b") + &one("b", "c") + &one("c", "a") + asker
}

#[test]
fn a_circle_of_questions_is_a_deadlock_and_whoever_waits_for_it_is_in_it() {
    let stuck = cell(&circle(1, ""), "");
    assert_eq!(of(&stuck, "waiting.deadlocked"), 4.0);
    assert_eq!(of(&stuck, "waiting.for_answers"), 4.0);
    assert_eq!(
        stuck.sheet.notes,
        [
            "deadlock: a[0] waits for an answer of b[0], which waits for an answer of c[0], which waits for an answer of a[0]"
        ]
    );
    let patient = cell(&circle(1, r#", timeout: "5s""#), "");
    assert_eq!(of(&patient, "waiting.deadlocked"), 0.0);
    assert_eq!(of(&patient, "waiting.agents"), 0.0);
}

#[test]
fn who_waits_in_vain_for_a_message_or_a_service_is_not_deadlocked() {
    let waiter = r#""w": (count: 3, at: "here", program: [Wait(topic: "never")]),
        "n": (count: 1, at: "here", on: {"never": [Reply()]}),
        "caller": (count: 2, at: "here", program: [Call(service: "slow")]),"#;
    let all = cell(waiter, r#"services: {"slow": (at: "here", time: "1h")},"#);
    assert_eq!(of(&all, "waiting.agents"), 5.0);
    assert_eq!(of(&all, "waiting.for_messages"), 3.0);
    assert_eq!(of(&all, "waiting.for_calls"), 2.0);
    assert_eq!(of(&all, "waiting.for_locks"), 0.0);
    assert_eq!(of(&all, "waiting.deadlocked"), 0.0);
}

#[test]
fn an_agent_that_submits_what_it_would_have_to_do_itself_waits_for_itself() {
    let work = |timeout: &str| {
        format!(
            r#"work: {{"job": (tasks: {{"part": (by: "crew")}})}},
            coordination: {{"lead": (at: "here", pattern: Orchestrator(work: "job"{timeout}))}},"#
        )
    };
    let crew = r#""crew": (count: 1, at: "here", on: {"part": [Submit(to: "lead")]}),
        "owner": (count: 1, at: "here", program: [Submit(to: "lead")]),"#;
    let stuck = cell(crew, &work(""));
    assert_eq!(of(&stuck, "waiting.deadlocked"), 2.0, "{:?}", stuck.sheet.notes);
    assert_eq!(
        stuck.sheet.notes,
        ["deadlock: crew[0] waits for lead[0], which waits for an answer of crew[0]"]
    );
    // An orchestrator that loses patience gives the job up in the end.
    let patient = cell(crew, &work(r#", timeout: "1s""#));
    assert_eq!(of(&patient, "waiting.deadlocked"), 0.0);
}

/// The first agent is late, and first all the same; what the second does meanwhile is in vain, and counts.
#[test]
fn an_agent_whose_answer_nobody_wants_any_more_answers_and_what_it_did_is_wasted() {
    let work = r#"work: {"job": (tasks: {"part": (by: "crew")})},
        coordination: {"lead": (at: "here", pattern: Orchestrator(work: "job", timeout: "2s"))},"#;
    let crew = r#""crew": (count: 2, at: "here", on: {"part": [Think("3s")]}),
        "owner": (count: 1, at: "here", program: [Submit(to: "lead")]),"#;
    let all = cell(crew, work);
    let lead = |what: &str| of(&all, &format!("work.lead.{what}"));
    assert_eq!((lead("given"), lead("used"), lead("redundant")), (2.0, 1.0, 1.0));
    assert_eq!((lead("spent"), lead("wasted")), (6.0, 3.0));
    // A question and an answer for each.
    assert_eq!(lead("messages"), 4.0);
}
