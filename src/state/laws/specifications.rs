//! What each model shows, against oracles that know the whole history.

use super::super::crdt::{Crdt, SetType};
use super::super::*;
use super::{Known, Step, World, schedule};
use crate::state::siblings::Blind;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// The update that a total order by (stamp, origin, number) keeps, of those in `heard`.
fn winner(history: &BTreeMap<Dot, Known>, heard: &BTreeSet<Dot>) -> Option<Dot> {
    heard
        .iter()
        .copied()
        .max_by_key(|dot| (history[dot].stamp, dot.origin.replica(), dot.origin.life(), dot.number))
}

/// The updates in `heard` that nobody in `heard` had seen.
fn maximal(history: &BTreeMap<Dot, Known>, heard: &BTreeSet<Dot>, replica: bool) -> Vec<Dot> {
    let superseded = |dot: &Dot| {
        heard.iter().any(|later| {
            let known = &history[later];
            if replica {
                known.replica.contains(dot)
            } else {
                known.client.contains(dot)
            }
        })
    };
    heard.iter().copied().filter(|dot| !superseded(dot)).collect()
}

/// The elements that were inserted, and of which every remove was seen by an insert.
fn remove_wins(history: &BTreeMap<Dot, Known>, heard: &BTreeSet<Dot>) -> Vec<u64> {
    let op = |dot: &Dot| history[dot].op;
    let undone = |remove: &Dot, element: u64| {
        heard
            .iter()
            .any(|dot| op(dot) == Op::Insert(element) && history[dot].replica.contains(remove))
    };
    let holds = |element: u64| {
        heard
            .iter()
            .any(|dot| op(dot) == Op::Remove(element) && !undone(dot, element))
    };
    let inserted = heard.iter().filter_map(|dot| match op(dot) {
        Op::Insert(element) => Some(element),
        _ => None,
    });
    let elements: BTreeSet<u64> = inserted.filter(|element| !holds(*element)).collect();
    elements.into_iter().collect()
}

/// The elements that were inserted and never removed.
fn never_removed(history: &BTreeMap<Dot, Known>, heard: &BTreeSet<Dot>) -> Vec<u64> {
    let ops = || heard.iter().map(|dot| history[dot].op);
    let inserted = ops().filter_map(|op| match op {
        Op::Insert(element) => Some(element),
        _ => None,
    });
    let elements: BTreeSet<u64> = inserted
        .filter(|element| ops().all(|op| op != Op::Remove(*element)))
        .collect();
    elements.into_iter().collect()
}

/// The fields of a map: values that no later write or removal had seen, and the sum of the increases that no removal had.
fn fields(history: &BTreeMap<Dot, Known>, heard: &BTreeSet<Dot>) -> Vec<Field> {
    let ops = || heard.iter().map(|dot| (*dot, history[dot].op));
    let seen_by = |dot: Dot, ends: &dyn Fn(Op) -> bool| {
        ops().any(|(later, op)| later != dot && ends(op) && history[&later].replica.contains(&dot))
    };
    let of = |name: u32| {
        let removes = move |op: Op| op == Op::Drop { field: name };
        let supersedes = move |op: Op| removes(op) || matches!(op, Op::Put { field, .. } if field == name);
        let values = ops().filter_map(|(dot, op)| match op {
            Op::Put { field, value } if field == name && !seen_by(dot, &supersedes) => Some(value),
            _ => None,
        });
        let increases = ops().filter_map(|(dot, op)| match op {
            Op::Increase { field, by } if field == name && !seen_by(dot, &removes) => Some(by),
            _ => None,
        });
        Field {
            name,
            values: values.collect(),
            sum: increases.reduce(i64::wrapping_add),
        }
    };
    let all = (0..2).map(of);
    all.filter(|field| !field.values.is_empty() || field.sum.is_some())
        .collect()
}

/// The elements that some insert put in which no remove had observed.
fn add_wins(history: &BTreeMap<Dot, Known>, heard: &BTreeSet<Dot>) -> Vec<u64> {
    let removed = |element: u64, insert: &Dot| {
        heard
            .iter()
            .any(|dot| history[dot].op == Op::Remove(element) && history[dot].replica.contains(insert))
    };
    let mut elements: Vec<u64> = heard
        .iter()
        .filter_map(|dot| match history[dot].op {
            Op::Insert(element) if !removed(element, dot) => Some(element),
            _ => None,
        })
        .collect();
    elements.sort_unstable();
    elements.dedup();
    elements
}

proptest! {
    #[test]
    fn last_write_wins_shows_the_highest_stamp_it_has_heard_of(steps in schedule()) {
        let world = World::run(LastWriteWins, KeyType::Register, &steps, true);
        for (entry, heard) in world.entries.iter().zip(&world.heard) {
            let winner = winner(&world.history, heard);
            prop_assert_eq!(LastWriteWins.versions(entry), Versions::Heads(winner.into_iter().collect()));
        }
        let mut world = world;
        let settled = world.settle();
        let all: BTreeSet<Dot> = world.history.keys().copied().collect();
        prop_assert_eq!(LastWriteWins.versions(&settled), Versions::Heads(winner(&world.history, &all).into_iter().collect()));
    }

    #[test]
    fn dots_and_contexts_show_the_maximal_writes(steps in schedule()) {
        let model = DottedVersionVectors::default();
        let mut world = World::run(model, KeyType::Register, &steps, true);
        let settled = world.settle();
        let all: BTreeSet<Dot> = world.history.keys().copied().collect();
        prop_assert_eq!(model.versions(&settled), Versions::Heads(maximal(&world.history, &all, false)));

        let mut world = World::run(Crdt::default(), KeyType::Register, &steps, true);
        let settled = world.settle();
        prop_assert_eq!(world.model.versions(&settled), Versions::Heads(maximal(&world.history, &all, false)));

        // A blind write that overwrites has seen what its replica holds.
        let blind: Vec<Step> = steps.iter().map(|step| match *step {
            Step::Update { client, replica, id, stamp, .. } => Step::Update { client, replica, id, stamp, context: false },
            step => step,
        }).collect();
        let model = DottedVersionVectors { blind: Blind::Overwrite, ..model };
        let mut world = World::run(model, KeyType::Register, &blind, false);
        for (entry, heard) in world.entries.iter().zip(&world.heard) {
            prop_assert_eq!(model.versions(entry), Versions::Heads(maximal(&world.history, heard, true)));
        }
        world.settle();
    }

    #[test]
    fn version_vectors_lose_no_write_unseen(steps in schedule()) {
        let model = VersionVectors::default();
        let mut world = World::run(model, KeyType::Register, &steps, true);
        let settled = world.settle();
        let Versions::Heads(heads) = model.versions(&settled) else { panic!("heads") };
        let all: BTreeSet<Dot> = world.history.keys().copied().collect();
        for dot in maximal(&world.history, &all, false) {
            prop_assert!(heads.contains(&dot), "{} was lost, {:?} is shown", dot, heads);
        }
    }

    #[test]
    fn counters_are_the_sum_of_the_increments_they_show(steps in schedule()) {
        let model = Crdt::default();
        let mut world = World::run(model, KeyType::Counter, &steps, true);
        let sum = |world: &World<Crdt>, shown: &dyn Fn(Dot) -> bool| -> i64 {
            world.history.iter().filter(|(dot, _)| shown(**dot)).map(|(_, known)| match known.op {
                Op::Add(delta) => delta,
                _ => 0,
            }).sum()
        };
        for entry in &world.entries {
            let view = model.view(entry);
            prop_assert_eq!(view.value, Value::Counter(sum(&world, &|dot| view.versions.contains(dot))));
        }
        let settled = world.settle();
        prop_assert_eq!(model.view(&settled).value, Value::Counter(sum(&world, &|_| true)));
    }

    #[test]
    fn add_wins_sets_meet_their_specification(steps in schedule()) {
        let model = Crdt::default();
        // At every replica while entries are joined whole, and at the end however the fragments came.
        let whole = World::run(model, KeyType::Set, &steps, false);
        for (entry, heard) in whole.entries.iter().zip(&whole.heard) {
            let view = model.view(entry);
            prop_assert_eq!(view.value, Value::Set(add_wins(&whole.history, heard)));
            prop_assert_eq!(view.versions, Versions::Effects(heard.iter().copied().collect()));
        }
        let mut world = World::run(model, KeyType::Set, &steps, true);
        let settled = world.settle();
        let all: BTreeSet<Dot> = world.history.keys().copied().collect();
        prop_assert_eq!(model.view(&settled).value, Value::Set(add_wins(&world.history, &all)));
    }

    #[test]
    fn the_other_sets_meet_their_specifications(steps in schedule()) {
        type Specification = fn(&BTreeMap<Dot, Known>, &BTreeSet<Dot>) -> Vec<u64>;
        let all: [(SetType, Specification); 3] = [
            (SetType::RemoveWins, remove_wins),
            (SetType::TwoPhase, never_removed),
            (SetType::GrowOnly, never_removed),
        ];
        for (set, specification) in all {
            let model = Crdt { set, ..Crdt::default() };
            let whole = World::run(model, KeyType::Set, &steps, false);
            for (entry, heard) in whole.entries.iter().zip(&whole.heard) {
                prop_assert_eq!(model.view(entry).value, Value::Set(specification(&whole.history, heard)));
            }
            // What is left of an insert that wasn't outranked is in the value, and nothing else is.
            for (entry, told) in whole.entries.iter().zip(&whole.told) {
                let shown: BTreeSet<u64> = told.iter().filter_map(|dot| match whole.history[dot].op {
                    Op::Insert(element) => Some(element),
                    _ => None,
                }).collect();
                let Value::Set(elements) = model.view(entry).value else { panic!("a set") };
                prop_assert!(elements.iter().all(|element| shown.contains(element)));
            }
            let mut world = World::run(model, KeyType::Set, &steps, true);
            let settled = world.settle();
            let heard: BTreeSet<Dot> = world.history.keys().copied().collect();
            prop_assert_eq!(model.view(&settled).value, Value::Set(specification(&world.history, &heard)));
        }
    }

    #[test]
    fn maps_meet_their_specification(steps in schedule()) {
        let model = Crdt::default();
        let whole = World::run(model, KeyType::Map, &steps, false);
        for (entry, heard) in whole.entries.iter().zip(&whole.heard) {
            let view = model.view(entry);
            prop_assert_eq!(view.value, Value::Map(fields(&whole.history, heard)));
            prop_assert_eq!(view.versions, Versions::Effects(heard.iter().copied().collect()));
        }
        let mut world = World::run(model, KeyType::Map, &steps, true);
        let settled = world.settle();
        let heard: BTreeSet<Dot> = world.history.keys().copied().collect();
        prop_assert_eq!(model.view(&settled).value, Value::Map(fields(&world.history, &heard)));
    }
}
