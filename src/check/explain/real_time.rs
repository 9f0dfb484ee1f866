//! Why an object isn't linearizable: the smallest part that proves it, and what contradicts what in it.

use super::{Violation, Words, either, of_key, shrink::shrink};
use crate::check::history::{Action, History, Key, Outcome, Saw, Val};
use crate::check::judge::Budget;
use crate::check::linearizable::objects::{Call, Kind};
use crate::check::linearizable::proof::Proofs;
use crate::check::linearizable::zones::Conflict;
use crate::check::linearizable::{Part, Reason, decide};
use crate::check::models::Spec;

/// How many steps the last look at the smallest part may take, and how many trials there are to find it.
const STEPS: u64 = 2_000_000;
const TRIALS: usize = 2_000;
/// Parts larger than this aren't shrunk further than to a window of the history.
const MOST: usize = 4_000;

/// The violation of an object for which a reason was found.
pub(in crate::check) fn violation(history: &History, of: &Part, spec: Spec, reason: &Reason) -> Violation {
    let ops = |calls: &[Option<u32>]| -> Vec<usize> {
        let mut ops: Vec<usize> = calls
            .iter()
            .flatten()
            .map(|call| of.calls[*call as usize].op as usize)
            .collect();
        ops.sort_unstable();
        ops.dedup();
        ops
    };
    match *reason {
        Reason::Local(ref calls) => smallest(history, of, spec, reason, calls.clone()),
        Reason::Conflict(Conflict::Unwritten { read }) => from_nowhere(history, of.calls[read as usize].op as usize),
        Reason::Conflict(Conflict::Twice { first, again }) => {
            let words = Words(history);
            let (part, op) = (ops(&[Some(first), Some(again)]), |call: u32| {
                of.calls[call as usize].op as usize
            });
            let times = of
                .calls
                .iter()
                .filter(|call| call.kind == enqueued(of.calls[again as usize].kind));
            let enqueues: Vec<usize> = times.map(|call| call.op as usize).collect();
            let why = format!(
                "{}{} as {} had, but it was enqueued {}",
                words.did(op(again)),
                of_key(history, of.key),
                history.name(op(first)),
                if enqueues.len() == 1 {
                    "once".to_string()
                } else {
                    format!("only {} times", enqueues.len())
                }
            );
            let mut all: Vec<usize> = of
                .calls
                .iter()
                .filter(|call| call.kind == of.calls[again as usize].kind)
                .map(|call| call.op as usize)
                .collect();
            all.truncate(enqueues.len() + 1);
            all.extend(enqueues);
            all.sort_unstable();
            Violation {
                kind: "element taken twice",
                why,
                key: Some(of.key),
                part: all,
                marked: part,
                is_minimal: true,
            }
        }
        Reason::Conflict(Conflict::Future { read, write }) => {
            let (words, part) = (Words(history), ops(&[Some(read), Some(write)]));
            let (read, write) = (
                of.calls[read as usize].op as usize,
                of.calls[write as usize].op as usize,
            );
            let why = format!(
                "{}{} before {} was invoked, and nothing else wrote that value",
                words.did(read),
                of_key(history, of.key),
                words.noun(write)
            );
            Violation {
                kind: "read from the future",
                why,
                key: Some(of.key),
                marked: part.clone(),
                part,
                is_minimal: true,
            }
        }
        Reason::Conflict(Conflict::Zones {
            early,
            outer,
            inner,
            late,
            write,
            other,
        }) => {
            let mut calls: Vec<usize> = [early, Some(outer), inner, Some(late), write, other]
                .into_iter()
                .flatten()
                .map(|call| call as usize)
                .collect();
            calls.sort_unstable();
            calls.dedup();
            smallest(history, of, spec, reason, calls)
        }
        Reason::Stuck { op, .. } => {
            let at = of.calls.iter().position(|call| call.op == op);
            let window = at.and_then(|at| Proofs::new(history, of, spec).window(at));
            smallest(
                history,
                of,
                spec,
                reason,
                window.unwrap_or_else(|| (0..of.calls.len()).collect()),
            )
        }
    }
}

/// The violation in the smallest proof among some calls.
pub(in crate::check) fn smallest(
    history: &History,
    of: &Part,
    spec: Spec,
    reason: &Reason,
    calls: Vec<usize>,
) -> Violation {
    let proofs = Proofs::new(history, of, spec);
    let (kept, is_minimal) = if calls.len() <= MOST {
        shrink(calls, TRIALS, |rest| proofs.violated(rest))
    } else {
        (calls, false)
    };
    let part = proofs.part(&kept);
    let again = decide(history, &part, spec, Budget::of_steps(STEPS), &mut 0);
    let found = match &again {
        Ok(Some(found)) => (found, &part),
        // It couldn't be decided again in the steps that are left for that: what was found for the whole stands.
        _ => (reason, of),
    };
    let (kind, why, marked) = told(history, spec, found.1, found.0);
    Violation {
        kind,
        why,
        key: Some(of.key),
        part: kept.iter().map(|at| of.calls[*at].op as usize).collect(),
        marked,
        is_minimal: is_minimal && proofs.is_free,
    }
}

/// The kind, the sentence and the operations that contradict each other, for a reason in a part.
fn told(history: &History, spec: Spec, of: &Part, reason: &Reason) -> (&'static str, String, Vec<usize>) {
    let op = |call: u32| of.calls[call as usize].op as usize;
    match reason {
        Reason::Stuck { op, states, more } => {
            let (op, mut could) = (*op as usize, states.clone());
            could.sort();
            if *more {
                could.push("something else".into());
            }
            let object = match spec {
                Spec::Queue => "the queue",
                Spec::Set => "the set",
                _ => "the register",
            };
            let why = format!(
                "{}{}, but in every order of the operations before its end that real time allows {object} then holds {}",
                Words(history).did(op),
                of_key(history, of.key),
                either(&could)
            );
            ("no legal order", why, vec![op])
        }
        Reason::Conflict(Conflict::Zones {
            early,
            outer,
            inner,
            late,
            ..
        }) => {
            let is_inversion = early.is_some() && inner.is_some_and(|inner| is_read(&of.calls[inner as usize]));
            let kind = if is_inversion {
                "new value read before an old one"
            } else {
                "stale read"
            };
            let mut marked: Vec<usize> = inner.map(op).into_iter().chain([op(*late)]).collect();
            marked.sort_unstable();
            (
                kind,
                zones(history, of, early.map(op), op(*outer), inner.map(op), op(*late)),
                marked,
            )
        }
        Reason::Local(calls) => {
            let ops = calls.iter().map(|at| of.calls[*at].op as usize).collect();
            let why = "no order of these operations is legal and keeps real time".to_string();
            ("no legal order", why, ops)
        }
        other => {
            let violation = violation(history, of, spec, other);
            (violation.kind, violation.why, violation.marked)
        }
    }
}

fn enqueued(kind: Kind) -> Kind {
    match kind {
        Kind::Dequeue(value) => Kind::Enqueue(value),
        other => other,
    }
}

fn is_read(call: &Call) -> bool {
    matches!(call.kind, Kind::Read(_))
}

/// A read of a value that nothing wrote; a failed write may have been meant to write it.
pub(in crate::check) fn from_nowhere(history: &History, read: usize) -> Violation {
    let action = &history.operations()[read].action;
    let (key, value) = (action.key().unwrap_or(Key(0)), seen(action));
    let failed = history.operations().iter().position(|operation| {
        operation.outcome == Outcome::Fail
            && operation.action.key() == Some(key)
            && value.is_some()
            && written(&operation.action) == value
    });
    let words = Words(history);
    let what = words.did(read) + &of_key(history, key);
    let (kind, why) = match failed {
        Some(write) => {
            let write = words.noun(write);
            (
                "effect of a failed operation",
                format!("{what}, but only {write} could have put that there, and it failed"),
            )
        }
        None => ("value from nowhere", format!("{what}, which nothing had put there")),
    };
    let mut part: Vec<usize> = failed.into_iter().chain([read]).collect();
    part.sort_unstable();
    Violation {
        kind,
        why,
        key: Some(key),
        part,
        marked: vec![read],
        is_minimal: true,
    }
}

fn seen(action: &Action) -> Option<Val> {
    match *action {
        Action::Read {
            saw: Saw::One(value), ..
        } => Some(value),
        Action::Cas { from, .. } => Some(from),
        _ => None,
    }
}

fn written(action: &Action) -> Option<Val> {
    match *action {
        Action::Write { value, .. } => Some(value),
        Action::Cas { to, .. } => Some(to),
        _ => None,
    }
}

fn zones(
    history: &History,
    of: &Part,
    early: Option<usize>,
    outer: usize,
    inner: Option<usize>,
    late: usize,
) -> String {
    let words = Words(history);
    let value = |operation: usize| {
        let action = &history.operations()[operation].action;
        let value = written(action).or_else(|| seen(action)).unwrap_or(Val::NIL);
        history.value(value).to_string()
    };
    let (a, b) = (value(late), value(outer));
    let key = of_key(history, of.key);
    let late_did = format!("{}{key}", words.did(late));
    let Some(inner) = inner else {
        return format!("{late_did} at the wrong time");
    };
    // Whether a write could have come between: then the sentence claims less.
    let between = history.operations().iter().enumerate().any(|(at, operation)| {
        operation.action.key() == Some(of.key)
            && at != inner
            && operation.may_count()
            && written(&operation.action).is_some()
            && operation.returned > history.operations()[inner].invoked
            && operation.invoked < history.operations()[late].returned
    });
    let no_later = if between || written(&history.operations()[inner].action).is_none() {
        ""
    } else {
        " and before any later write"
    };
    let Some(early) = early else {
        return format!("{late_did}, the initial value, after {}{no_later}", words.had(inner));
    };
    let is_write = |operation: usize| written(&history.operations()[operation].action).is_some();
    if is_write(early) && is_write(outer) {
        return format!(
            "{late_did} after {}{no_later}, and {a} was older: {} before {} was invoked",
            words.had(inner),
            words.had(early),
            if inner == outer {
                history.name(outer)
            } else {
                words.noun(outer)
            },
        );
    }
    let then = if outer == inner {
        format!(
            "{} in between, after {} and before {} was invoked",
            words.did(inner),
            words.had(early),
            history.name(late)
        )
    } else {
        format!(
            "{} before {} was invoked, and {} before {} was invoked",
            words.had(early),
            words.noun(outer),
            words.had(inner),
            history.name(late)
        )
    };
    format!(
        "{late_did}, but {then}: nothing else can have put {a} or {b} there, so it can't be {a}, then {b}, then {a} again"
    )
}
