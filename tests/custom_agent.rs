//! The example of an agent of one's own: it works, is measured as any other, and keeps the contracts.

#[path = "../examples/custom_agent.rs"]
#[allow(dead_code)]
mod custom_agent;

use quorate::world::call::Part;

#[test]
fn a_custom_agent_is_measured_as_any_other() {
    let (end, sheet) = custom_agent::measured(1);
    assert!(end.halt.is_none() && end.breaches.is_empty(), "{:?}", end.breaches);
    assert_eq!(end.end, quorate::kernel::End::Stopped, "all tasks are done");
    let of = |name: &str| sheet.numbers[name];
    assert_eq!(
        (of("task.done"), of("task.unfinished"), sheet.tasks.len()),
        (20.0, 0.0, 20)
    );
    assert!(of("calls.intended") >= 20.0 && of("calls.answered") == of("calls.intended"));
    assert_eq!(of("service.search.arrivals"), of("calls.intended"));
    // Four servers for twenty agents: they queue, and every nanosecond has its place.
    for task in &sheet.tasks {
        assert_eq!(task.parts.total(), task.ended - task.began);
        assert_eq!(task.group, "searchers");
    }
    let part = |part: Part| of(&format!("task.part.{}", part.name()));
    assert!(part(Part::Network) > 0.08 && part(Part::Queueing) > 0.1 && part(Part::Service) > 0.1);
    assert_eq!(
        part(Part::Thinking) + part(Part::Retrying) + part(Part::Down) + part(Part::Coordination),
        0.0
    );
}

#[test]
fn it_is_deterministic_and_depends_on_the_seed() {
    let print = |seed| custom_agent::measured(seed).0.print;
    assert_eq!(print(1), print(1));
    assert_ne!(print(1), print(2));
}

#[test]
fn the_example_is_short() {
    let text = include_str!("../examples/custom_agent.rs");
    assert!(text.lines().count() < 60, "{} lines", text.lines().count());
}
