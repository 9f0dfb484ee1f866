//! Whether histories are linearizable (Herlihy and Wing 1990), each object for itself: linearizability is compositional.
//!
//! Registers whose values are written once are decided by their zones; everything else by a search within a step budget. Both
//! are exact: a history that can't be decided within the budget is unknown, never a guess. Sets whose elements are added once,
//! and lists, have a way of their own ([`super::logs`]).

pub(in crate::check) mod objects;
pub(in crate::check) mod proof;
pub(in crate::check) mod search;
pub(in crate::check) mod table;
pub(in crate::check) mod zones;

#[cfg(test)]
mod tests;

use super::explain::{self, Violation};
use super::history::{History, Key, Val};
use super::judge::Budget;
use super::models::Spec;
use objects::{Call, Kind, Queue, Register, Set, Sets, kind};
use proof::Proofs;
use rayon::prelude::*;
use search::{Found, Stuck, search};
use zones::{Conflict, applies, conflict};

/// What became of one object, or of a history.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::check) enum Answer {
    /// The model is kept.
    Holds,
    /// It isn't.
    Violated(Box<Violation>),
    /// It couldn't be decided, for this reason.
    Unknown(String),
}

/// The operations of one object, in the order of their invocations.
#[derive(Debug, Clone)]
pub(in crate::check) struct Part {
    pub key: Key,
    pub calls: Vec<Call>,
    pub sets: Sets,
}

/// Why an object's operations have no order.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::check) enum Reason {
    Conflict(Conflict),
    /// These calls have no order by themselves.
    Local(Vec<usize>),
    /// An operation, and the states in words that the object could be in when it returned.
    Stuck {
        op: u32,
        states: Vec<String>,
        more: bool,
    },
}

/// What was found for one object.
pub(in crate::check) type Decision = Result<Option<Reason>, &'static str>;

/// The operations of each object, in the order of their keys.
pub(in crate::check) fn parts(history: &History) -> Vec<Part> {
    let mut order: Vec<(Key, u32)> = Vec::with_capacity(history.operations().len());
    for (at, operation) in history.operations().iter().enumerate() {
        if let Some(key) = operation.action.key() {
            order.push((key, at as u32));
        }
    }
    order.sort_unstable();
    order
        .chunk_by(|a, b| a.0 == b.0)
        .map(|of| part(history, of[0].0, of.iter().map(|(_, at)| *at)))
        .collect()
}

/// Some operations of one object, as calls.
pub(in crate::check) fn part(history: &History, key: Key, operations: impl Iterator<Item = u32>) -> Part {
    let mut sets = Sets::default();
    let calls = operations.filter_map(|at| {
        let operation = &history.operations()[at as usize];
        Some(Call {
            op: at,
            inv: operation.invoked,
            ret: operation.returned,
            kind: kind(operation, &mut sets, history)?,
        })
    });
    let calls = calls.collect();
    Part { key, calls, sets }
}

/// Judges every object.
pub(in crate::check) fn check(history: &History, spec: Spec, budget: Budget) -> (Answer, u64) {
    let parts = parts(history);
    let results: Vec<(Answer, u64)> = parts
        .par_iter()
        .map(|part| {
            let mut steps = 0;
            let answer = match decide(history, part, spec, budget, &mut steps) {
                Ok(None) => Answer::Holds,
                Ok(Some(reason)) => {
                    Answer::Violated(Box::new(explain::real_time::violation(history, part, spec, &reason)))
                }
                Err(why) => {
                    let key = explain::of_key(history, part.key);
                    Answer::Unknown(format!(
                        "{why} before the {} operations{key} were decided",
                        part.calls.len()
                    ))
                }
            };
            (answer, steps)
        })
        .collect();
    let steps = results.iter().map(|(_, steps)| steps).sum();
    (worst(results.into_iter().map(|(answer, _)| answer)), steps)
}

/// The answer for all: of several violations the one that needs the fewest operations to be told.
pub(in crate::check) fn worst(answers: impl Iterator<Item = Answer>) -> Answer {
    let mut all = Answer::Holds;
    for answer in answers {
        let better = match (&all, &answer) {
            (Answer::Holds, _) => true,
            (Answer::Unknown(_), Answer::Violated(_)) => true,
            (Answer::Violated(old), Answer::Violated(new)) => new.part.len() < old.part.len(),
            _ => false,
        };
        if better {
            all = answer;
        }
    }
    all
}

/// How long a register is searched before neighbouring operations are looked at for themselves: what holds is mostly found to
/// hold within these steps, and what doesn't is mostly wrong in a small place, which the search would take long to prove.
const FIRST_STEPS: u64 = 5_000_000;

/// Decides one object. `Err` says why it couldn't.
pub(in crate::check) fn decide(
    history: &History,
    part: &Part,
    spec: Spec,
    budget: Budget,
    steps: &mut u64,
) -> Decision {
    let calls = part.calls.as_slice();
    match spec {
        Spec::Set => {
            let (found, set) = search(calls, Set::new(part.sets.clone()), budget, steps);
            told(found, &set, calls, history)
        }
        Spec::Queue => {
            if let Some(conflict) = taken_too_often(calls) {
                return Ok(Some(Reason::Conflict(conflict)));
            }
            let (found, queue) = search(calls, Queue::new(), budget, steps);
            told(found, &queue, calls, history)
        }
        _ if applies(calls, history.initial()) => Ok(conflict(calls, history.initial()).map(Reason::Conflict)),
        _ => {
            if let Some(read) = unwritten(history, calls) {
                return Ok(Some(Reason::Conflict(Conflict::Unwritten { read })));
            }
            let first = Budget {
                steps: budget.steps.min(FIRST_STEPS),
                ..budget
            };
            let soon = decide_by_search(history, calls, first, steps);
            if soon.is_ok() || first == budget {
                return soon;
            }
            if let Some(calls) = Proofs::new(history, part, spec).scan() {
                return Ok(Some(Reason::Local(calls)));
            }
            decide_by_search(history, calls, budget, steps)
        }
    }
}

/// Decides a register by the search alone.
pub(in crate::check) fn decide_by_search(
    history: &History,
    calls: &[Call],
    budget: Budget,
    steps: &mut u64,
) -> Decision {
    let calls = without_useless(calls);
    let (found, register) = search(&calls, Register::new(history), budget, steps);
    told(found, &register, &calls, history)
}

fn told(found: Found, object: &impl objects::Object, calls: &[Call], history: &History) -> Decision {
    match found {
        Found::Order(_) => Ok(None),
        Found::Unknown(why) => Err(why),
        Found::None(Stuck { call, states, more, .. }) => Ok(Some(Reason::Stuck {
            op: calls[call as usize].op,
            states: states.iter().map(|state| object.shown(*state, history)).collect(),
            more,
        })),
    }
}

/// An element that was taken from a queue though nothing had put it there, or more often than it was put there.
fn taken_too_often(calls: &[Call]) -> Option<Conflict> {
    let mut of_value: Vec<(Val, bool, u32)> = Vec::new();
    for (at, call) in calls.iter().enumerate() {
        match call.kind {
            Kind::Enqueue(value) => of_value.push((value, false, at as u32)),
            Kind::Dequeue(value) if value != Val::NIL => of_value.push((value, true, at as u32)),
            _ => {}
        }
    }
    of_value.sort_unstable();
    of_value.chunk_by(|a, b| a.0 == b.0).find_map(|of| {
        let puts = of.iter().filter(|(_, taken, _)| !taken).count();
        let takes = &of[puts..];
        match takes {
            [(_, _, read), ..] if puts == 0 => Some(Conflict::Unwritten { read: *read }),
            _ if takes.len() > puts => Some(Conflict::Twice {
                first: takes[puts - 1].2,
                again: takes[puts].2,
            }),
            _ => None,
        }
    })
}

/// A read (or a `cas`) of a value that nothing wrote, where texts aren't appended to.
fn unwritten(history: &History, calls: &[Call]) -> Option<u32> {
    if calls.iter().any(|call| matches!(call.kind, Kind::Append(_))) {
        return None;
    }
    let mut written = vec![history.initial()];
    for call in calls {
        if let Kind::Write(value) | Kind::Cas(_, value) = call.kind {
            written.push(value);
        }
    }
    written.sort_unstable();
    let seen = |call: &Call| match call.kind {
        Kind::Read(value) => Some(value),
        Kind::Cas(value, _) if call.is_certain() => Some(value),
        _ => None,
    };
    calls
        .iter()
        .position(|call| seen(call).is_some_and(|value| written.binary_search(&value).is_err()))
        .map(|at| at as u32)
}

/// The calls without uncertain writes of values that nobody saw: such a write may as well never have happened. Where a `cas` is
/// known to have found another value, any write may explain it, and all are kept.
fn without_useless(calls: &[Call]) -> Vec<Call> {
    if calls
        .iter()
        .any(|call| matches!(call.kind, Kind::Not(_) | Kind::Append(_)))
    {
        return calls.to_vec();
    }
    let mut seen: Vec<Val> = Vec::new();
    for call in calls {
        if let Kind::Read(value) | Kind::Cas(value, _) = call.kind {
            seen.push(value);
        }
    }
    seen.sort_unstable();
    let useful = |call: &&Call| match call.kind {
        Kind::Write(value) | Kind::Cas(_, value) => call.is_certain() || seen.binary_search(&value).is_ok(),
        _ => true,
    };
    calls.iter().filter(useful).copied().collect()
}
