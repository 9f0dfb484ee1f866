//! Why an object isn't linearizable.
//!
//! A part of a history proves a violation of the whole if it is violated and what was left out can't change that: reads can
//! always be left out, and a write wherever no kept read can have seen it. A read can have seen a write of its value that was
//! invoked before the read returned, unless a kept write lies wholly between the two.

use super::{Violation, Words, either, of_key, shrink::shrink};
use crate::check::history::{Action, History, Outcome, Saw, Val};
use crate::check::linearizable::objects::{Call, Kind};
use crate::check::linearizable::zones::Conflict;
use crate::check::linearizable::{Part, Reason, decide, part};
use crate::check::models::Spec;

/// How many steps a trial of shrinking may take, and how many trials there are.
const TRIAL_STEPS: u64 = 2_000_000;
const TRIALS: usize = 4_000;
/// Parts larger than this aren't shrunk further than to a window of the history.
const MOST: usize = 4_000;

/// The violation of an object for which a reason was found.
pub(in crate::check) fn violation(history: &History, of: &Part, spec: Spec, reason: &Reason, budget: u64) -> Violation {
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
        Reason::Conflict(Conflict::Unwritten { read }) => unwritten(history, of, of.calls[read as usize].op as usize),
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
            let all = ops(&[early, Some(outer), inner, Some(late), write, other]);
            let still = |rest: &[usize]| violated(history, of, spec, rest);
            let (kept, is_minimal) = shrink(all, 100, still);
            let marked = ops(&[inner, Some(late)]);
            let op = |call: u32| of.calls[call as usize].op as usize;
            Violation {
                kind: if early.is_some() && inner.is_some_and(|inner| is_read(&of.calls[inner as usize])) {
                    "new value read before an old one"
                } else {
                    "stale read"
                },
                why: zones(history, of, early.map(op), op(outer), inner.map(op), op(late)),
                key: Some(of.key),
                marked: marked.into_iter().filter(|of| kept.contains(of)).collect(),
                part: kept,
                is_minimal,
            }
        }
        Reason::Stuck { op, .. } => stuck(history, of, spec, op as usize, reason, budget),
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

/// A value from nowhere; a failed write may have been meant to write it.
fn unwritten(history: &History, of: &Part, read: usize) -> Violation {
    let value = seen(&history.operations()[read].action);
    let failed = history.operations().iter().position(|operation| {
        operation.outcome == Outcome::Fail
            && operation.action.key() == Some(of.key)
            && value.is_some()
            && written(&operation.action) == value
    });
    let words = Words(history);
    let what = match history.operations()[read].action {
        Action::Cas { .. } => words.did(read),
        _ => words.did(read) + &of_key(history, of.key),
    };
    let (kind, why) = match failed {
        Some(write) => (
            "read of a failed write",
            format!(
                "{what}, which only {} could have written, and that failed",
                words.noun(write)
            ),
        ),
        None => ("value from nowhere", format!("{what}, which nothing had written")),
    };
    let mut part: Vec<usize> = failed.into_iter().chain([read]).collect();
    part.sort_unstable();
    Violation {
        kind,
        why,
        key: Some(of.key),
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
    format!("{late_did}, but {then}: each value is written once, so it can't be {a}, then {b}, then {a} again")
}

/// Whether some operations of an object, less the reads that may have seen what isn't among them, are a proof; which.
fn violated(history: &History, of: &Part, spec: Spec, rest: &[usize]) -> Option<Vec<usize>> {
    let kept = closed(of, spec, rest);
    let smaller = part(history, of.key, kept.iter().map(|at| *at as u32));
    let mut steps = 0;
    matches!(decide(history, &smaller, spec, TRIAL_STEPS, &mut steps), Ok(Some(_))).then_some(kept)
}

/// Whether more than reads can be left out.
fn can_leave_out(of: &Part, spec: Spec) -> bool {
    match spec {
        Spec::Register | Spec::CasRegister | Spec::Kv => {
            !of.calls.iter().any(|call| matches!(call.kind, Kind::Append(_)))
        }
        Spec::Queue => true,
        Spec::Set | Spec::ListAppend => false,
    }
}

/// What remains of a part when all is left out that its omissions could explain.
fn closed(of: &Part, spec: Spec, rest: &[usize]) -> Vec<usize> {
    match spec {
        _ if !can_leave_out(of, spec) => all_but_reads(of, rest),
        Spec::Queue => closed_queue(of, rest),
        _ => closed_register(of, rest),
    }
}

/// Everything but reads stays: their effects add up.
fn all_but_reads(of: &Part, rest: &[usize]) -> Vec<usize> {
    let stays = |call: &&Call| {
        !matches!(call.kind, Kind::Read(_) | Kind::Whole(_)) || rest.binary_search(&(call.op as usize)).is_ok()
    };
    let last = rest.last().copied().unwrap_or(0);
    of.calls
        .iter()
        .filter(stays)
        .map(|call| call.op as usize)
        .filter(|op| *op <= last)
        .collect()
}

/// Reads whose value may come from a write that was left out go as well; a `cas` is a read, too.
fn closed_register(of: &Part, rest: &[usize]) -> Vec<usize> {
    let is_kept = |kept: &[usize], call: &Call| kept.binary_search(&(call.op as usize)).is_ok();
    let mut kept: Vec<usize> = rest.to_vec();
    loop {
        let calls: Vec<&Call> = of.calls.iter().filter(|call| is_kept(&kept, call)).collect();
        let goes = |call: &&&Call| {
            let (value, other) = match call.kind {
                Kind::Read(value) | Kind::Cas(value, _) => (value, false),
                Kind::Not(value) => (value, true),
                _ => return false,
            };
            let hidden_before = hiding(&calls, call);
            of.calls.iter().any(|write| {
                let to = match write.kind {
                    Kind::Write(to) | Kind::Cas(_, to) => to,
                    _ => return false,
                };
                (to == value) != other
                    && write.inv < call.ret
                    && write.op != call.op
                    && write.ret >= hidden_before
                    && !is_kept(&kept, write)
            })
        };
        let gone: Vec<usize> = calls.iter().filter(goes).map(|call| call.op as usize).collect();
        if gone.is_empty() {
            return kept;
        }
        kept.retain(|op| gone.binary_search(op).is_err());
    }
}

/// What returned before this place can't be what `read` saw: a kept write came after it and was over before the read began.
fn hiding(kept: &[&Call], read: &Call) -> u32 {
    let hides = |call: &&&Call| matches!(call.kind, Kind::Write(_) | Kind::Cas(..)) && call.ret < read.inv;
    kept.iter().filter(hides).map(|call| call.inv).max().unwrap_or(0)
}

/// Elements are kept or left out with all that happened to them; whoever may have taken any of them stays.
fn closed_queue(of: &Part, rest: &[usize]) -> Vec<usize> {
    let about = |call: &Call| match call.kind {
        Kind::Enqueue(value) => Some(value),
        Kind::Dequeue(value) if value != Val::NIL => Some(value),
        _ => None,
    };
    let is_kept = |call: &Call| rest.binary_search(&(call.op as usize)).is_ok();
    let mut broken: Vec<Val> = of
        .calls
        .iter()
        .filter(|call| !is_kept(call))
        .filter_map(about)
        .collect();
    broken.sort_unstable();
    let stays = |call: &&Call| match (call.kind, about(call)) {
        (Kind::Take, _) => true,
        (_, Some(value)) => broken.binary_search(&value).is_err(),
        _ => is_kept(call),
    };
    of.calls.iter().filter(stays).map(|call| call.op as usize).collect()
}

/// A window of the last operations before one that has no place, and what they may have seen, that is a proof already.
fn window(history: &History, of: &Part, spec: Spec, op: usize) -> Vec<usize> {
    let end = history.operations()[op].returned;
    let before: Vec<usize> = of
        .calls
        .iter()
        .filter(|call| call.inv < end)
        .map(|call| call.op as usize)
        .collect();
    let mut size = 16;
    while size < before.len() {
        let from = before.len() - size;
        let mut some: Vec<usize> = before[from..].to_vec();
        pull_in(of, &mut some, 4 * size);
        if let Some(kept) = violated(history, of, spec, &some) {
            return kept;
        }
        size *= 4;
    }
    before
}

/// Adds the writes that kept reads may have seen.
fn pull_in(of: &Part, some: &mut Vec<usize>, most: usize) {
    loop {
        let calls: Vec<&Call> = of
            .calls
            .iter()
            .filter(|call| some.binary_search(&(call.op as usize)).is_ok())
            .collect();
        let mut wanted: Vec<usize> = Vec::new();
        for call in &calls {
            if let Kind::Read(value) | Kind::Cas(value, _) = call.kind {
                let hidden_before = hiding(&calls, call);
                let sources = of.calls.iter().filter(|write| {
                    matches!(write.kind, Kind::Write(to) | Kind::Cas(_, to) if to == value)
                        && write.inv < call.ret
                        && write.ret >= hidden_before
                });
                wanted.extend(sources.map(|write| write.op as usize));
            }
        }
        let before = some.len();
        some.extend(wanted);
        some.sort_unstable();
        some.dedup();
        if some.len() == before || some.len() > most {
            return;
        }
    }
}

/// No order reaches the response of an operation: a small part in which that is so, and what could be seen instead.
fn stuck(history: &History, of: &Part, spec: Spec, op: usize, reason: &Reason, budget: u64) -> Violation {
    let window = window(history, of, spec, op);
    let (kept, mut is_minimal) = if window.len() <= MOST {
        shrink(window, TRIALS, |rest| violated(history, of, spec, rest))
    } else {
        (window, false)
    };
    is_minimal &= can_leave_out(of, spec);
    let smaller = part(history, of.key, kept.iter().map(|at| *at as u32));
    let mut steps = 0;
    let again = decide(history, &smaller, spec, budget.min(TRIAL_STEPS), &mut steps);
    let found = match &again {
        Ok(Some(found)) => (found, &smaller),
        // The part wasn't decided: what was found for the whole stands.
        _ => (reason, of),
    };
    let (Reason::Stuck { op, states, more }, _) = found else {
        // The part has become simple enough for the zones.
        return Violation {
            part: kept,
            is_minimal,
            ..violation(history, found.1, spec, found.0, budget)
        };
    };
    let words = Words(history);
    let mut could = states.clone();
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
        "{}{}, but in every order of the operations before its end that real time allows {object} holds {}",
        words.did(*op as usize),
        of_key(history, of.key),
        either(&could)
    );
    Violation {
        kind: "no legal order",
        why,
        key: Some(of.key),
        part: kept,
        marked: vec![*op as usize],
        is_minimal,
    }
}
