//! Whether histories are sequentially consistent (Lamport 1979): one order of all operations, of all objects together, for
//! sequential consistency isn't compositional.
//!
//! The problem is NP-complete, so there is a budget. What is linearizable is sequentially consistent; what isn't even causally
//! consistent isn't sequentially consistent; what is left is searched, with a memory of dead ends. The answers are exact, and
//! unknown where the budget doesn't suffice.

mod search;
#[cfg(test)]
mod tests;

use super::causal::{self, graph};
use super::explain::causes::{Finding, Tell};
use super::explain::shrink::shrink;
use super::explain::{Violation, Words};
use super::history::{Action, History, Key, Val};
use super::judge::Budget;
use super::linearizable::{self, Answer};
use super::models::{Model, Spec};
use graph::{Because, Graph, Order, Role};
use search::{Found, search};

/// How long each object is searched for real time's order first.
const LINEARIZABLE_STEPS: u64 = 2_000_000;
/// How many steps a trial of a smaller part may take, how many trials there are, and how large a part is made smaller.
const TRIAL_STEPS: u64 = 300_000;
const TRIALS: usize = 2_000;
const MOST: usize = 2_000;

/// Judges a history, within a number of steps; and how many it took.
pub(in crate::check) fn check(history: &History, spec: Spec, budget: Budget) -> (Answer, u64) {
    let mut steps = 0;
    // An order that even keeps real time.
    let parts = linearizable::parts(history);
    let is_linearizable = parts.iter().all(|part| {
        let budget = Budget {
            steps: LINEARIZABLE_STEPS.min(budget.steps),
            ..budget
        };
        matches!(linearizable::decide(history, part, spec, budget, &mut steps), Ok(None))
    });
    if is_linearizable {
        return (Answer::Holds, steps);
    }
    let plain = history
        .operations()
        .iter()
        .all(|of| matches!(of.action, Action::Read { .. } | Action::Write { .. }));
    if plain && spec != Spec::Set {
        for model in [Model::Causal, Model::CausalConvergence] {
            if let violated @ Answer::Violated(_) = causal::check(history, model, budget.steps) {
                return (violated, steps);
            }
        }
    }
    match search(history, spec, budget, &mut steps) {
        Found::Order => (Answer::Holds, steps),
        Found::Unknown(why) => {
            let why = format!(
                "{why} before the {} operations were decided",
                history.operations().len()
            );
            (Answer::Unknown(why), steps)
        }
        Found::None => (Answer::Violated(Box::new(violation(history, spec))), steps),
    }
}

/// What of some operations is a proof, if it is one: it has no order, and what was left out can't change that.
fn violated(history: &History, spec: Spec, rest: &[usize]) -> Option<Vec<usize>> {
    let kept = closed(history, spec, rest);
    if kept.is_empty() {
        return None;
    }
    let found = search(&history.excerpt(&kept), spec, Budget::of_steps(TRIAL_STEPS), &mut 0);
    matches!(found, Found::None).then_some(kept)
}

/// Leaves out the reads that may have seen what was left out. For queues, elements are kept or left out as a whole.
fn closed(history: &History, spec: Spec, rest: &[usize]) -> Vec<usize> {
    let operations = history.operations();
    let is_kept = |kept: &[usize], at: usize| kept.binary_search(&at).is_ok();
    match spec {
        Spec::Queue => {
            let about = |action: &Action| match *action {
                Action::Enqueue { key, value } => Some((key, value)),
                Action::Dequeue { key, got: Some(value) } if value != Val::NIL => Some((key, value)),
                _ => None,
            };
            let left = (0..operations.len()).filter(|at| !is_kept(rest, *at) && operations[*at].may_count());
            let mut broken: Vec<(Key, Val)> = left.filter_map(|at| about(&operations[at].action)).collect();
            broken.sort_unstable();
            let takes_any = |action: &Action| matches!(action, Action::Dequeue { got: None, .. });
            let stays = |at: &usize| match about(&operations[*at].action) {
                Some(of) => broken.binary_search(&of).is_err(),
                None => takes_any(&operations[*at].action) || is_kept(rest, *at),
            };
            (0..operations.len()).filter(stays).collect()
        }
        Spec::Set | Spec::ListAppend => {
            let stays = |at: &usize| !matches!(operations[*at].action, Action::Read { .. }) || is_kept(rest, *at);
            (0..operations.len()).filter(stays).collect()
        }
        _ if operations.iter().any(|of| matches!(of.action, Action::Append { .. })) => {
            let stays = |at: &usize| !matches!(operations[*at].action, Action::Read { .. }) || is_kept(rest, *at);
            (0..operations.len()).filter(stays).collect()
        }
        _ => {
            let mut kept = rest.to_vec();
            loop {
                // Which values have lost a write, and on which keys any write was lost.
                let mut lost: Vec<(Key, Val)> = Vec::new();
                for (at, of) in operations.iter().enumerate() {
                    if let Action::Write { key, value } | Action::Cas { key, to: value, .. } = of.action
                        && of.may_count()
                        && !is_kept(&kept, at)
                    {
                        lost.push((key, value));
                    }
                }
                lost.sort_unstable();
                let goes = |at: &usize| match operations[*at].action {
                    Action::Read {
                        key,
                        saw: super::history::Saw::One(value),
                    } => lost.binary_search(&(key, value)).is_ok(),
                    Action::Cas {
                        key,
                        from,
                        swapped: true,
                        ..
                    } => lost.binary_search(&(key, from)).is_ok(),
                    Action::Cas { key, .. } => lost.iter().any(|of| of.0 == key),
                    _ => false,
                };
                let before = kept.len();
                kept.retain(|at| !goes(at));
                if kept.len() == before {
                    return kept;
                }
            }
        }
    }
}

/// The violation of a history that has no order.
fn violation(history: &History, spec: Spec) -> Violation {
    let all: Vec<usize> = (0..history.operations().len())
        .filter(|at| history.operations()[*at].may_count())
        .collect();
    let prefix = shortest(history, spec, &all);
    let (part, is_minimal) = if prefix.len() <= MOST {
        shrink(prefix, TRIALS, |rest| violated(history, spec, rest))
    } else {
        (prefix, false)
    };
    let excerpt = history.excerpt(&part);
    let told = circle(&excerpt);
    let (kind, why, marked) = match told {
        Some(told) => (told.kind, told.why, told.marked.iter().map(|at| part[*at]).collect()),
        None => {
            let words = Words(history);
            let last: Vec<usize> = part.iter().copied().rev().take(1).collect();
            let what = last.first().map(|at| words.did(*at)).unwrap_or_default();
            let why = format!(
                "{what}, but no order of these {} operations is legal and keeps the order of each process",
                part.len()
            );
            ("no order for all", why, last)
        }
    };
    Violation {
        kind,
        why,
        key: None,
        part,
        marked,
        is_minimal: is_minimal && !matches!(spec, Spec::Set),
    }
}

/// The operations up to the first one with which they have no order; by bisection, as more operations only make it harder.
fn shortest(history: &History, spec: Spec, all: &[usize]) -> Vec<usize> {
    let Some(mut best) = violated(history, spec, all) else {
        return all.to_vec();
    };
    let (mut low, mut high) = (0, all.len());
    while high - low > 1 {
        let middle = (low + high) / 2;
        match violated(history, spec, &all[..middle]) {
            Some(kept) => {
                best = kept;
                high = middle;
            }
            None => low = middle,
        }
    }
    best
}

/// Why a small part has no order, if it can be told as a circle: for registers whose values are written once, what one order of all
/// operations must keep grows until it can't be kept.
fn circle(history: &History) -> Option<Tell> {
    let graph = Graph::of(history).ok()?;
    if graph.nodes.len() > MOST {
        return None;
    }
    let mut order = Order::of(&graph, None);
    for round in 1.. {
        let sorted = match order.sorted() {
            Ok(sorted) => sorted,
            Err(left) => {
                let finding = Finding::Circle {
                    circle: order.circle(&left),
                    process: None,
                };
                return Some(Tell::of(history, &graph, &order, Model::Sequential, &finding));
            }
        };
        let clocks = order.clocks(&graph, &sorted);
        let width = graph.chains.len();
        let comes_before = |a: u32, b: u32| {
            let of = graph.nodes[a as usize];
            a != b && clocks[b as usize * width + of.chain as usize] > of.index
        };
        let mut grown = false;
        for read in 0..graph.nodes.len() as u32 {
            let Role::Read(source) = graph.nodes[read as usize].role else {
                continue;
            };
            for write in 0..graph.nodes.len() as u32 {
                let of = graph.nodes[write as usize];
                if of.role != Role::Write || of.key != graph.nodes[read as usize].key || Some(write) == source {
                    continue;
                }
                match source {
                    Some(source) if comes_before(write, read) && !comes_before(write, source) => {
                        grown |= order.add(write, source, Because::Newer(read), round);
                    }
                    Some(source) if !comes_before(source, write) => {}
                    _ if !comes_before(read, write) => grown |= order.add(read, write, Because::Replaced, round),
                    _ => {}
                }
            }
        }
        if !grown {
            return None;
        }
    }
    unreachable!("the rounds end: each adds an edge")
}
