//! What the checkers' tests share: random small histories, and the models by brute force.
//!
//! The brute force knows nothing of the checkers: it keeps whole stores of plain values and tries every order.

use super::history::{
    Action, Builder, Event, EventKind, History, Key, Limits, Micro, Operation, Outcome, Raw, Saw, Val, Value,
};
use super::models::Spec;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What random histories look like.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    pub spec: Spec,
    pub processes: u8,
    pub keys: u8,
    pub operations: u8,
    /// Whether every value is written once.
    pub unique: bool,
    /// Of 256 reads, how many return something else than what was there.
    pub wrong: u8,
    /// Of 256 operations, how many end with an unknown outcome or, a quarter of them, fail.
    pub unsure: u8,
    /// Whether every process has a replica of its own, which writes of the others reach late and in any order.
    pub replicated: bool,
}

impl Shape {
    pub fn of(spec: Spec) -> Self {
        Self {
            spec,
            processes: 3,
            keys: 1,
            operations: 6,
            unique: false,
            wrong: 60,
            unsure: 36,
            replicated: false,
        }
    }
}

/// Random histories of a shape.
pub fn histories(shape: Shape) -> impl Strategy<Value = History> {
    proptest::collection::vec(any::<u8>(), 60..200usize.max(usize::from(shape.operations) * 16))
        .prop_map(move |bytes| history(&bytes, shape))
}

/// A real store, which mostly answers rightly.
#[derive(Debug, Clone, Default)]
struct Store {
    has_sets: bool,
    registers: BTreeMap<u8, i64>,
    /// All that was ever written to each register: a wrong read mostly returns one of these.
    written: BTreeMap<u8, Vec<i64>>,
    sets: BTreeMap<u8, BTreeSet<i64>>,
    queues: BTreeMap<u8, VecDeque<i64>>,
    lists: BTreeMap<u8, Vec<i64>>,
    /// By process and key: what its replica holds.
    replicas: BTreeMap<(u8, u8), i64>,
    /// Writes under way: the replica, the key and the value.
    travelling: Vec<(u8, u8, i64)>,
}

#[derive(Debug, Clone)]
enum Asked {
    Read,
    Write(i64),
    Cas(i64, i64),
    Add(i64),
    Remove(i64),
    Enqueue(i64),
    Dequeue,
    Txn(Vec<(bool, u8, i64)>),
}

fn ints(values: impl IntoIterator<Item = i64>) -> Raw {
    Raw::List(values.into_iter().map(Raw::Int).collect())
}

/// The history that a sequence of choices makes.
pub fn history(bytes: &[u8], shape: Shape) -> History {
    let mut choices = bytes.iter().copied();
    let mut next = move || choices.next();
    let mut builder = Builder::new(Limits::default());
    let mut open: BTreeMap<u8, (Asked, u8, Option<Raw>)> = BTreeMap::new();
    let (mut store, mut fresh, mut line, mut asked) = (Store::default(), 0i64, 0u32, 0u8);
    store.has_sets = shape.spec == Spec::Set;
    while let Some(choice) = next() {
        let process = choice % shape.processes;
        line += 1;
        if !store.travelling.is_empty() && choice % 2 == 1 {
            let at = usize::from(choice / 2) % store.travelling.len();
            let (replica, key, value) = store.travelling.remove(at);
            store.replicas.insert((replica, key), value);
        }
        let mut event = |kind, op: &str, key: u8, value: Option<&Raw>, swapped: bool| {
            let key = Raw::Int(i64::from(key));
            builder.event(Event {
                line,
                process: u64::from(process),
                kind,
                op: Some(op),
                key: if op == "txn" { None } else { Some(&key) },
                value,
                tuples: false,
                swapped,
                time: None,
                id: None,
            });
        };
        let Some((what, key, result)) = open.get_mut(&process) else {
            if asked == shape.operations {
                continue;
            }
            asked += 1;
            let (Some(a), Some(b), Some(c)) = (next(), next(), next()) else {
                break;
            };
            let key = a % shape.keys;
            let mut value = || {
                fresh += 1;
                if shape.unique { fresh } else { 1 + i64::from(b % 3) }
            };
            let what = match shape.spec {
                Spec::Register => {
                    if c % 2 == 0 {
                        Asked::Read
                    } else {
                        Asked::Write(value())
                    }
                }
                Spec::CasRegister | Spec::Kv => match c % 5 {
                    0 | 1 => Asked::Read,
                    2 => Asked::Write(value()),
                    _ => {
                        let from = store.registers.get(&key).copied().unwrap_or(0);
                        let from = if c > 60 { from } else { i64::from(b % 4) };
                        Asked::Cas(from, value())
                    }
                },
                Spec::Set => match c % 5 {
                    0 | 1 => Asked::Read,
                    2 if !shape.unique => Asked::Remove(1 + i64::from(b % 3)),
                    _ => Asked::Add(value()),
                },
                Spec::Queue => {
                    if c % 2 == 0 {
                        Asked::Dequeue
                    } else {
                        Asked::Enqueue(value())
                    }
                }
                Spec::ListAppend => {
                    let mut parts = Vec::new();
                    for part in 0..1 + c % 3 {
                        let key = (a >> part) % shape.keys;
                        let append = (b >> part) % 2 == 1;
                        fresh += i64::from(append);
                        parts.push((append, key, fresh));
                    }
                    Asked::Txn(parts)
                }
            };
            let nil = Raw::Nil;
            match &what {
                Asked::Read => event(EventKind::Invoke, "read", key, None, true),
                Asked::Write(value) => event(EventKind::Invoke, "write", key, Some(&Raw::Int(*value)), true),
                Asked::Cas(from, to) => event(EventKind::Invoke, "cas", key, Some(&ints([*from, *to])), true),
                Asked::Add(value) => event(EventKind::Invoke, "add", key, Some(&Raw::Int(*value)), true),
                Asked::Remove(value) => event(EventKind::Invoke, "remove", key, Some(&Raw::Int(*value)), true),
                Asked::Enqueue(value) => event(EventKind::Invoke, "enqueue", key, Some(&Raw::Int(*value)), true),
                Asked::Dequeue => event(EventKind::Invoke, "dequeue", key, Some(&nil), true),
                Asked::Txn(parts) => event(EventKind::Invoke, "txn", 0, Some(&micros(parts, |_, _| Raw::Nil)), true),
            }
            open.insert(process, (what, key, None));
            continue;
        };
        // An operation takes effect at some time before its response.
        if result.is_none() {
            let wrong = next().unwrap_or(255) < shape.wrong;
            let other = next().unwrap_or(0);
            *result = Some(match what {
                Asked::Read if shape.replicated && !wrong => store
                    .replicas
                    .get(&(process, *key))
                    .map_or(Raw::Nil, |value| Raw::Int(*value)),
                _ => effect(&mut store, what, *key, wrong.then_some(other), fresh),
            });
            if let Asked::Write(value) = what {
                store.replicas.insert((process, *key), *value);
                let others = (0..shape.processes).filter(|other| *other != process);
                store.travelling.extend(others.map(|other| (other, *key, *value)));
            }
            if choice < 128 {
                continue;
            }
        }
        let end = next().unwrap_or(0);
        let (what, key, result) = open.remove(&process).expect("it was there");
        let result = result.expect("it has taken effect");
        let swapped = result != Raw::Bool(false);
        let kind = match end {
            end if end < shape.unsure / 4 * 3 => EventKind::Info,
            end if end < shape.unsure => EventKind::Fail,
            _ => EventKind::Ok,
        };
        match &what {
            Asked::Read => event(kind, "read", key, Some(&result), true),
            Asked::Write(value) => event(kind, "write", key, Some(&Raw::Int(*value)), true),
            Asked::Cas(from, to) => event(kind, "cas", key, Some(&ints([*from, *to])), swapped),
            Asked::Add(value) => event(kind, "add", key, Some(&Raw::Int(*value)), true),
            Asked::Remove(value) => event(kind, "remove", key, Some(&Raw::Int(*value)), true),
            Asked::Enqueue(value) => event(kind, "enqueue", key, Some(&Raw::Int(*value)), true),
            Asked::Dequeue => event(kind, "dequeue", key, Some(&result), true),
            Asked::Txn(_) => event(kind, "txn", 0, Some(&result), true),
        }
    }
    builder
        .finish()
        .unwrap_or_else(|problems| panic!("{}", problems.shown("random")))
}

fn micros(parts: &[(bool, u8, i64)], read: impl Fn(usize, u8) -> Raw) -> Raw {
    let part = |(at, (append, key, value)): (usize, &(bool, u8, i64))| {
        let (word, value) = if *append {
            ("append", Raw::Int(*value))
        } else {
            ("r", read(at, *key))
        };
        Raw::List(vec![Raw::Text(word.into()), Raw::Int(i64::from(*key)), value])
    };
    Raw::List(parts.iter().enumerate().map(part).collect())
}

/// What an operation does to the store, and what it returns, perhaps wrongly.
fn effect(store: &mut Store, what: &Asked, key: u8, wrong: Option<u8>, fresh: i64) -> Raw {
    let register = store.registers.get(&key).copied();
    let some = |other: u8| i64::from(other) % (fresh + 2);
    match what {
        Asked::Read if store.has_sets => {
            let mut set = store.sets.entry(key).or_default().clone();
            match (
                wrong,
                set.iter()
                    .nth(usize::from(wrong.unwrap_or(0)) % set.len().max(1))
                    .copied(),
            ) {
                (Some(other), Some(member)) if other < 200 => {
                    set.remove(&member);
                }
                (Some(other), _) => {
                    set.insert(some(other));
                }
                (None, _) => {}
            }
            ints(set)
        }
        Asked::Read => match (wrong, register) {
            (Some(other), _) if other < 250 => {
                let written = store.written.entry(key).or_default();
                let at = usize::from(other) % (written.len() + 1);
                written.get(at).map_or(Raw::Nil, |value| Raw::Int(*value))
            }
            (Some(other), _) => Raw::Int(some(other)),
            (None, Some(value)) => Raw::Int(value),
            (None, None) => Raw::Nil,
        },
        Asked::Write(value) => {
            store.registers.insert(key, *value);
            store.written.entry(key).or_default().push(*value);
            Raw::Nil
        }
        Asked::Cas(from, to) => {
            let swaps = register.unwrap_or(0) == *from && register.is_some();
            if swaps {
                store.registers.insert(key, *to);
                store.written.entry(key).or_default().push(*to);
            }
            Raw::Bool(swaps ^ wrong.is_some())
        }
        Asked::Add(value) => {
            store.sets.entry(key).or_default().insert(*value);
            Raw::Nil
        }
        Asked::Remove(value) => {
            store.sets.entry(key).or_default().remove(value);
            Raw::Nil
        }
        Asked::Enqueue(value) => {
            let queue = store.queues.entry(key).or_default();
            if wrong.is_some() {
                queue.push_front(*value)
            } else {
                queue.push_back(*value)
            }
            Raw::Nil
        }
        Asked::Dequeue => match wrong {
            Some(other) if other > 128 => Raw::Int(some(other)),
            Some(_) => Raw::Nil,
            None => store
                .queues
                .entry(key)
                .or_default()
                .pop_front()
                .map_or(Raw::Nil, Raw::Int),
        },
        Asked::Txn(parts) => {
            let mut results = Vec::new();
            for (append, key, value) in parts {
                let list = store.lists.entry(*key).or_default();
                match wrong {
                    _ if *append => list.push(*value),
                    Some(other) if other > 220 => list.reverse(),
                    _ => {}
                }
                let mut seen = list.clone();
                if let Some(other) = wrong
                    && other % 2 == 0
                {
                    seen.truncate(usize::from(other) % (seen.len() + 1));
                }
                results.push(seen);
            }
            micros(parts, |at, _| ints(results[at].clone()))
        }
    }
}

/// An object of the brute force.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
struct Thing {
    register: Option<Value>,
    set: BTreeSet<Val>,
    queue: VecDeque<Val>,
    list: Vec<Val>,
}

type Things = BTreeMap<Key, Thing>;

/// Applies an operation to plain objects; whether it is legal.
fn apply(history: &History, things: &mut Things, operation: &Operation) -> bool {
    let certain = operation.outcome == Outcome::Ok;
    if let Action::Txn(span) = operation.action {
        return history.micros(span).iter().all(|micro| match *micro {
            Micro::Append(key, value) => {
                things.entry(key).or_default().list.push(value);
                true
            }
            Micro::Read(key, Some(seen)) if certain => things.entry(key).or_default().list == history.elements(seen),
            Micro::Read(..) => true,
        });
    }
    let key = operation.action.key().expect("all but transactions have one");
    let initial = history.value(history.initial());
    let thing = things.entry(key).or_default();
    let value = |value: Val| history.value(value).clone();
    let holds = thing.register.clone().unwrap_or_else(|| initial.clone());
    match operation.action {
        Action::Read {
            saw: Saw::One(seen), ..
        } if certain => value(seen) == holds,
        Action::Read {
            saw: Saw::Many(span), ..
        } if certain => {
            let seen = history.elements(span);
            seen.len() == thing.set.len() && seen.iter().all(|value| thing.set.contains(value))
        }
        Action::Read { .. } => true,
        Action::Write { value: new, .. } => {
            thing.register = Some(value(new));
            true
        }
        Action::Cas { from, to, swapped, .. } => {
            let equal = value(from) == holds;
            if equal && (swapped || !certain) {
                thing.register = Some(value(to));
            }
            !certain || equal == swapped
        }
        Action::Append { value: more, .. } => {
            let text = |value: Value| match value {
                Value::Text(text) => text,
                _ => String::new(),
            };
            thing.register = Some(Value::Text(text(holds) + &text(value(more))));
            true
        }
        Action::Add { value, .. } => {
            thing.set.insert(value);
            true
        }
        Action::Remove { value, .. } => {
            thing.set.remove(&value);
            true
        }
        Action::Enqueue { value, .. } => {
            thing.queue.push_back(value);
            true
        }
        Action::Dequeue { got: Some(got), .. } if certain => match thing.queue.pop_front() {
            Some(head) => head == got,
            None => got == Val::NIL,
        },
        Action::Dequeue { .. } => {
            thing.queue.pop_front();
            true
        }
        Action::Txn(_) => unreachable!("handled above"),
    }
}

/// Whether some order of the operations is legal, in which `before` is kept; uncertain ones may be left out.
pub fn some_order(history: &History, before: &dyn Fn(&Operation, &Operation) -> bool) -> bool {
    let operations: Vec<Operation> = history
        .operations()
        .iter()
        .filter(|of| of.may_count())
        .copied()
        .collect();
    order_from(
        history,
        &operations,
        &mut vec![false; operations.len()],
        &Things::new(),
        before,
    )
}

fn order_from(
    history: &History,
    operations: &[Operation],
    placed: &mut Vec<bool>,
    things: &Things,
    before: &dyn Fn(&Operation, &Operation) -> bool,
) -> bool {
    let is_left = |at: usize, placed: &[bool]| !placed[at] && operations[at].outcome == Outcome::Ok;
    if (0..operations.len()).all(|at| !is_left(at, placed)) {
        return true;
    }
    for at in 0..operations.len() {
        let waits = |other: usize| !placed[other] && before(&operations[other], &operations[at]);
        if placed[at] || (0..operations.len()).any(|other| other != at && waits(other)) {
            continue;
        }
        let mut after = things.clone();
        if apply(history, &mut after, &operations[at]) {
            placed[at] = true;
            if order_from(history, operations, placed, &after, before) {
                return true;
            }
            placed[at] = false;
        }
    }
    false
}

/// Linearizability by brute force.
pub fn is_linearizable(history: &History) -> bool {
    some_order(history, &|a, b| a.precedes(b))
}

/// Sequential consistency by brute force. An operation of unknown outcome comes before nothing.
pub fn is_sequential(history: &History) -> bool {
    some_order(history, &|a, b| {
        a.process == b.process && a.invoked < b.invoked && a.outcome == Outcome::Ok
    })
}
