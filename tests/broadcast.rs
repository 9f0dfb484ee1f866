//! Atomic broadcast: what Raft tells the agents beside its servers, against the best effort of sending to all.

mod common;

use common::read;
use quorate::coordination::member::event;
use quorate::experiment::{Grid, Options};
use quorate::scenario::syntax::Memory;
use quorate::scenario::{Registry, build, load};
use quorate::world::record::{Batch, Mask, Observer, What};
use std::collections::BTreeMap;

/// What members told the agents beside them, in order.
#[derive(Default)]
struct Told(BTreeMap<u32, Vec<u64>>);

impl Observer for Told {
    fn wants(&self) -> Mask {
        Mask::of(&[What::Coordination])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        for record in batch.records {
            if record.what == What::Coordination && record.c == u64::from(event::TOLD) {
                self.0.entry(record.subject).or_default().push(record.a);
            }
        }
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}

/// Five agents at as many sites over a network that loses a tenth, each of which tells all others forty things.
fn scenario(says: &str, faults: &str) -> String {
    format!(
        r#"(
        quorate: 1, name: "broadcast", seed: 9, until: At("5min"), sites: ["a", "b", "c", "d", "e"],
        network: (default: (one_way: LogNormal(median: "20ms", sigma: 0.5), loss: 0.1), local: (one_way: "100us", order: Pair)),
        coordination: {{"log": (pattern: Raft(), beside: "crew", tells: "event")}},
        policies: {{"again": (timeout: "2s", attempts: 50, idempotency_key: true)}},
        agents: {{"crew": (count: 5, at: ["a", "b", "c", "d", "e"], on_failure: Continue, on: {{"event": [Think("1ms")]}}, program: [
            Repeat(times: 40, steps: [Sleep(Exponential(mean: "1s")), {says}]),
        ])}},
        faults: {{{faults}}},
    )"#
    )
}

/// What each server told its agent, and how many messages of the topic came to the agents.
fn told(text: &str) -> BTreeMap<u32, Vec<u64>> {
    let scenario = read(text);
    let run = build(&scenario.variants[0], scenario.seed, 0, vec![Box::new(Told::default())]);
    let (_, mut world, _) = run.finish(u64::MAX);
    let observers = std::mem::take(&mut world.shared.records).into_observers();
    let mut told = observers
        .into_iter()
        .filter_map(|observer| observer.into_any().downcast::<Told>().ok());
    told.next().expect("it was there").0
}

const SUBMIT: &str = r#"Submit(to: "log", value: Uniform(low: 0, high: 1000000), policy: "again")"#;

#[test]
fn all_are_told_the_same_in_the_same_order_each_once_whatever_is_lost() {
    let told = told(&scenario(SUBMIT, ""));
    assert_eq!(told.len(), 5);
    let first = told.values().next().expect("there are five");
    assert_eq!(first.len(), 200);
    assert!(told.values().all(|other| other == first));
}

#[test]
fn a_crash_tells_nothing_twice_and_leaves_nothing_out() {
    let faults = r#""crash": Crash(who: "crew", each: Member, when: Drawn(
        until: "100s", to_failure: Exponential(mean: "40s"), to_repair: Exponential(mean: "3s"),
    ))"#;
    let told = told(&scenario(SUBMIT, faults));
    let longest = told.values().max_by_key(|told| told.len()).expect("there are five");
    assert!(longest.len() > 50, "{}", longest.len());
    assert!(told.values().all(|other| longest.starts_with(other)), "{told:?}");
}

#[test]
fn the_best_effort_loses_what_the_network_loses() {
    let says = r#"Send(to: All("crew"), topic: "event")"#;
    let scenario = read(&scenario(says, ""));
    let cells = Grid::new(&scenario.variants, Options::default())
        .run(&std::sync::atomic::AtomicBool::new(false), &|_| {})
        .expect("nobody interrupts");
    let lost = cells[0].sheet.numbers["messages.message.lost"];
    let sent = cells[0].sheet.numbers["messages.message.sent"];
    assert_eq!(sent, 800.0);
    // A tenth: within four standard errors of 80.
    assert!((lost - 80.0).abs() < 4.0 * (800.0f64 * 0.1 * 0.9).sqrt(), "{lost}");
}

#[test]
fn a_topic_under_which_nobody_is_told_anything_is_warned_of() {
    let said = |pattern: &str| {
        let text = scenario(SUBMIT, "").replace("Raft()", pattern);
        let outcome = load("s.ron".as_ref(), &[], &Memory::new().with("s.ron", text), &Registry);
        let problems = outcome.diagnostics.iter();
        problems.map(|problem| problem.code.number()).collect::<Vec<u16>>()
    };
    assert_eq!(said("Raft()"), [0; 0]);
    assert_eq!(said("Gossip()"), [0; 0]);
    assert_eq!(said("Swim()"), [514]);
}
