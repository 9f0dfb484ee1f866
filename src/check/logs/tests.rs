//! Lists and sets against brute force: every order of the transactions, and every choice of what each of them sees.

use super::*;
use crate::check::history::{Action, Key, Micro, Operation, Outcome, Saw, Val};
use crate::check::testing::{Shape, histories, is_linearizable, is_sequential, some_order};
use crate::check::{Budget, Spec, Verdict, judge};
use proptest::prelude::*;

/// A transaction as the brute force sees it.
#[derive(Debug, Clone)]
struct Small {
    of: Operation,
    parts: Vec<Micro>,
}

fn parts(history: &History, of: &Operation) -> Vec<Micro> {
    match of.action {
        Action::Txn(span) => history.micros(span).to_vec(),
        Action::Add { key, value } => vec![Micro::Append(key, value)],
        Action::Read {
            key,
            saw: Saw::Many(span),
        } => vec![Micro::Read(key, Some(span))],
        _ => Vec::new(),
    }
}

/// All that may have happened.
fn all(history: &History) -> Vec<Vec<Small>> {
    let of = |outcome| {
        let operations = history.operations().iter().filter(move |of| of.outcome == outcome);
        operations
            .map(|of| Small {
                of: *of,
                parts: parts(history, of),
            })
            .collect::<Vec<_>>()
    };
    let (sure, unsure) = (of(Outcome::Ok), of(Outcome::Info));
    (0..1u32 << unsure.len())
        .map(|chosen| {
            let some = unsure
                .iter()
                .enumerate()
                .filter(|(at, _)| chosen >> at & 1 == 1)
                .map(|(_, of)| of.clone());
            let mut all: Vec<Small> = sure.iter().cloned().chain(some).collect();
            all.sort_by_key(|of| of.of.invoked);
            all
        })
        .collect()
}

fn so(a: &Small, b: &Small) -> bool {
    a.of.process == b.of.process && a.of.invoked < b.of.invoked && a.of.outcome == Outcome::Ok
}

fn appends(of: &Small, key: Key) -> Vec<Val> {
    let of_key = |micro: &Micro| match *micro {
        Micro::Append(other, value) if other == key => Some(value),
        _ => None,
    };
    of.parts.iter().filter_map(of_key).collect()
}

/// Whether a transaction's reads are right if it sees these ones, all of which stand in `order` in that order.
fn reads_right(history: &History, txns: &[Small], order: &[usize], sees: u32, reader: usize, is_set: bool) -> bool {
    let of = &txns[reader];
    if of.of.outcome != Outcome::Ok {
        return true;
    }
    let mut own: Vec<(Key, Val)> = Vec::new();
    of.parts.iter().all(|micro| match *micro {
        Micro::Append(key, value) => {
            own.push((key, value));
            true
        }
        Micro::Read(_, None) => true,
        Micro::Read(key, Some(span)) => {
            let mut expected: Vec<Val> = Vec::new();
            let mut missed = false;
            for at in order {
                let here = appends(&txns[*at], key);
                if *at == reader || here.is_empty() {
                    // Its own appends stand behind all that comes before them.
                    if *at == reader && missed && !is_set && own.iter().any(|of| of.0 == key) {
                        return false;
                    }
                    continue;
                }
                if sees >> at & 1 == 1 {
                    // A list grows at its end: who sees an append sees those before it.
                    if missed && !is_set {
                        return false;
                    }
                    expected.extend(here);
                } else {
                    missed = true;
                }
            }
            expected.extend(own.iter().filter(|of| of.0 == key).map(|of| of.1));
            let mut found = history.elements(span).to_vec();
            if is_set {
                expected.sort_unstable();
                found.sort_unstable();
            }
            expected == found
        }
    })
}

/// Read atomicity and causal consistency: some order of the transactions, and some choice of what each of them sees among those
/// before it.
fn visible(history: &History, model: Model, is_set: bool) -> bool {
    all(history)
        .iter()
        .any(|txns| permuted(history, txns, &mut Vec::new(), model, is_set))
}

fn permuted(history: &History, txns: &[Small], order: &mut Vec<usize>, model: Model, is_set: bool) -> bool {
    if order.len() == txns.len() {
        return chosen(history, txns, order, &mut vec![0; txns.len()], 0, model, is_set);
    }
    for at in 0..txns.len() {
        let waits = model != Model::ReadAtomic
            && (0..txns.len()).any(|other| !order.contains(&other) && other != at && so(&txns[other], &txns[at]));
        if order.contains(&at) || waits {
            continue;
        }
        order.push(at);
        let found = permuted(history, txns, order, model, is_set);
        order.pop();
        if found {
            return true;
        }
    }
    false
}

/// Chooses what the transactions see, from `place` in the order on.
fn chosen(
    history: &History,
    txns: &[Small],
    order: &[usize],
    sees: &mut Vec<u32>,
    place: usize,
    model: Model,
    is_set: bool,
) -> bool {
    let Some(reader) = order.get(place).copied() else {
        return true;
    };
    let before: u32 = order[..place].iter().map(|at| 1 << at).sum();
    let session: u32 = order[..place]
        .iter()
        .filter(|at| so(&txns[**at], &txns[reader]))
        .map(|at| 1 << at)
        .sum();
    let mut choice = before;
    loop {
        let is_closed = model == Model::ReadAtomic
            || choice & session == session
                && (0..txns.len())
                    .filter(|at| choice >> at & 1 == 1)
                    .all(|at| sees[at] & !choice == 0);
        if is_closed && reads_right(history, txns, order, choice, reader, is_set) {
            sees[reader] = choice;
            if chosen(history, txns, order, sees, place + 1, model, is_set) {
                return true;
            }
        }
        if choice == 0 {
            return false;
        }
        choice = (choice - 1) & before;
    }
}

/// What any model of lists or sets presupposes, from the definitions: transactions agree with themselves, elements come from
/// somewhere, lists have one order, and nothing is read before its cause.
fn is_sane(history: &History, txns: &[Small], is_set: bool) -> bool {
    let mut lists: Vec<(Key, Vec<Val>)> = Vec::new();
    let mut causes = vec![0u32; txns.len()];
    for (at, of) in txns.iter().enumerate() {
        causes[at] = (0..txns.len())
            .filter(|other| so(&txns[*other], of))
            .map(|other| 1 << other)
            .sum();
        if of.of.outcome != Outcome::Ok {
            continue;
        }
        let mut own: Vec<(Key, Val)> = Vec::new();
        let mut last: Vec<(Key, Vec<Val>)> = Vec::new();
        for micro in &of.parts {
            match *micro {
                Micro::Append(key, value) => {
                    own.push((key, value));
                    last.iter_mut().filter(|of| of.0 == key).for_each(|of| of.1.push(value));
                }
                Micro::Read(_, None) => {}
                Micro::Read(key, Some(span)) => {
                    let list = history.elements(span).to_vec();
                    let mine: Vec<Val> = own.iter().filter(|of| of.0 == key).map(|of| of.1).collect();
                    let known = last.iter().find(|of| of.0 == key);
                    let fits = match known {
                        Some((_, known)) => *known == list,
                        None => list.ends_with(&mine),
                    };
                    if !fits {
                        return false;
                    }
                    let mut sorted = list.clone();
                    sorted.sort_unstable();
                    if sorted.windows(2).any(|pair| pair[0] == pair[1]) {
                        return false;
                    }
                    let outside = if known.is_none() {
                        &list[..list.len() - mine.len()]
                    } else {
                        &[]
                    };
                    for value in outside {
                        match txns.iter().position(|writer| appends(writer, key).contains(value)) {
                            Some(writer) => causes[at] |= 1 << writer,
                            None => return false,
                        }
                    }
                    last.retain(|of| of.0 != key);
                    last.push((key, list.clone()));
                    lists.push((key, list));
                }
            }
        }
    }
    let compatible =
        |a: &(Key, Vec<Val>), b: &(Key, Vec<Val>)| a.0 != b.0 || a.1.starts_with(&b.1) || b.1.starts_with(&a.1);
    // What one transaction appended stands in its order, and nothing of it is missing before what is there.
    let in_order = |(key, list): &(Key, Vec<Val>)| {
        txns.iter().all(|of| {
            let mine = appends(of, *key);
            let there: Vec<Val> = list.iter().copied().filter(|value| mine.contains(value)).collect();
            mine.starts_with(&there)
        })
    };
    let one_order =
        is_set || lists.iter().all(in_order) && lists.iter().all(|a| lists.iter().all(|b| compatible(a, b)));
    for _ in 0..txns.len() {
        for at in 0..txns.len() {
            causes[at] = (0..txns.len())
                .filter(|of| causes[at] >> of & 1 == 1)
                .fold(causes[at], |all, of| all | causes[of]);
        }
    }
    one_order && (0..txns.len()).all(|at| causes[at] >> at & 1 == 0)
}

/// The history as one process sees it: the others' reads tell nothing.
fn seen_by(history: &History, process: u32) -> History {
    history.without_reads(|of| of.process != process)
}

fn pram(history: &History, is_set: bool) -> bool {
    all(history).iter().any(|txns| is_sane(history, txns, is_set))
        && (0..history.processes().len() as u32).all(|process| {
            let view = seen_by(history, process);
            some_order(&view, &|a, b| {
                a.process == b.process && a.invoked < b.invoked && a.outcome == Outcome::Ok
            })
        })
}

/// Causal memory: as PRAM, in orders that also keep who saw what of whom.
fn causal(history: &History) -> bool {
    let all = all(history);
    all.iter().any(|txns| {
        let mut causes = vec![0u32; txns.len()];
        for (at, of) in txns.iter().enumerate() {
            let seen = saw(history, of);
            for (other, writer) in txns.iter().enumerate() {
                let wrote = |element: &(Key, Val)| appends(writer, element.0).contains(&element.1);
                if so(writer, of) || other != at && seen.iter().any(wrote) {
                    causes[at] |= 1 << other;
                }
            }
        }
        for _ in 0..txns.len() {
            for at in 0..txns.len() {
                causes[at] = (0..txns.len())
                    .filter(|of| causes[at] >> of & 1 == 1)
                    .fold(causes[at], |all, of| all | causes[of]);
            }
        }
        let place = |of: &Operation| txns.iter().position(|txn| txn.of.invoked == of.invoked);
        let before = |a: &Operation, b: &Operation| match (place(a), place(b)) {
            (Some(a), Some(b)) => causes[b] >> a & 1 == 1,
            // What didn't happen in this case is held back.
            _ => true,
        };
        is_sane(history, txns, false)
            && (0..history.processes().len() as u32).all(|process| some_order(&seen_by(history, process), &before))
    })
}

/// The elements that a transaction saw from outside.
fn saw(history: &History, of: &Small) -> Vec<(Key, Val)> {
    if of.of.outcome != Outcome::Ok {
        return Vec::new();
    }
    let mut all = Vec::new();
    for micro in &of.parts {
        if let Micro::Read(key, Some(span)) = *micro {
            all.extend(history.elements(span).iter().map(|value| (key, *value)));
        }
    }
    let own: Vec<(Key, Val)> = of
        .parts
        .iter()
        .filter_map(|micro| match *micro {
            Micro::Append(key, value) => Some((key, value)),
            Micro::Read(..) => None,
        })
        .collect();
    all.retain(|element| !own.contains(element));
    all
}

fn looks_at(of: &Small, key: Key) -> bool {
    of.parts
        .iter()
        .any(|micro| matches!(*micro, Micro::Read(other, Some(_)) if other == key))
}

/// Whether every read holds what the guarantee says that it must.
fn session(history: &History, model: Model, is_set: bool) -> bool {
    all(history).iter().any(|txns| {
        let all_appends = |of: &Small| -> Vec<(Key, Val)> {
            of.parts
                .iter()
                .filter_map(|micro| match *micro {
                    Micro::Append(key, value) => Some((key, value)),
                    Micro::Read(..) => None,
                })
                .collect()
        };
        let writer = |element: &(Key, Val)| txns.iter().position(|of| all_appends(of).contains(element));
        let holds = |at: usize| {
            let of = &txns[at];
            let earlier = |of: usize| (0..txns.len()).filter(move |other| so(&txns[*other], &txns[of]));
            let observed = || -> Vec<usize> {
                earlier(at)
                    .chain([at])
                    .flat_map(|of| saw(history, &txns[of]))
                    .filter_map(|element| writer(&element))
                    .filter(|writer| *writer != at)
                    .collect()
            };
            let must: Vec<(Key, Val)> = match model {
                Model::ReadYourWrites => earlier(at).flat_map(|of| all_appends(&txns[of])).collect(),
                Model::MonotonicReads => earlier(at).flat_map(|of| saw(history, &txns[of])).collect(),
                Model::MonotonicWrites => observed()
                    .into_iter()
                    .flat_map(|of| earlier(of).flat_map(|of| all_appends(&txns[of])).collect::<Vec<_>>())
                    .collect(),
                _ => {
                    let (mut todo, mut must, mut done) = (observed(), Vec::new(), Vec::new());
                    while let Some(of) = todo.pop() {
                        if done.contains(&of) {
                            continue;
                        }
                        done.push(of);
                        for before in earlier(of).chain([of]) {
                            for element in saw(history, &txns[before]) {
                                must.push(element);
                                todo.extend(writer(&element));
                            }
                        }
                    }
                    must
                }
            };
            let own = all_appends(of);
            let mine = saw(history, of);
            must.iter()
                .all(|element| !looks_at(of, element.0) || own.contains(element) || mine.contains(element))
        };
        is_sane(history, txns, is_set)
            && (0..txns.len())
                .filter(|at| txns[*at].of.outcome == Outcome::Ok)
                .all(holds)
    })
}

fn brute(history: &History, model: Model, is_set: bool) -> bool {
    match model {
        Model::Linearizable => is_linearizable(history),
        Model::Sequential => is_sequential(history),
        Model::Pram => pram(history, is_set),
        Model::Causal if !is_set => causal(history),
        Model::ReadAtomic | Model::Causal | Model::CausalConvergence | Model::WeakCausal => {
            visible(history, model, is_set)
        }
        _ => session(history, model, is_set),
    }
}

fn agrees(history: &History, model: Model, spec: Spec) -> Result<(), TestCaseError> {
    let is_set = spec == Spec::Set;
    let judgement = judge(history, model, spec, Budget::default()).expect("it is supported");
    let wanted = if brute(history, model, is_set) {
        Verdict::Holds
    } else {
        Verdict::Violated
    };
    prop_assert_eq!(judgement.verdict, wanted, "{:#?}", judgement);
    if let Some(violation) = judgement.violation {
        prop_assert!(
            !violation.marked.is_empty() && violation.marked.iter().all(|of| violation.part.contains(of)),
            "{:?}",
            violation
        );
        prop_assert!(violation.is_minimal, "{:?}", violation);
        // With reads that show only what the part's operations appended, the part alone breaks the model.
        let part = build::projected(history, &violation.part);
        let shown_whole = [
            "failed operation",
            "value from nowhere",
            "element twice",
            "internal",
            "out of order",
        ];
        prop_assert!(
            shown_whole.iter().any(|of| violation.kind.contains(of)) || !brute(&part, model, is_set),
            "{:?}",
            violation
        );
    }
    Ok(())
}

fn lists() -> impl Strategy<Value = History> {
    let shape = Shape {
        keys: 2,
        operations: 5,
        unique: true,
        wrong: 80,
        unsure: 20,
        ..Shape::of(Spec::ListAppend)
    };
    histories(shape).prop_filter("small", |history| all(history).iter().all(|txns| txns.len() <= 5))
}

fn sets() -> impl Strategy<Value = History> {
    let shape = Shape {
        keys: 2,
        operations: 6,
        unique: true,
        wrong: 100,
        unsure: 20,
        ..Shape::of(Spec::Set)
    };
    histories(shape).prop_filter("small", |history| all(history).iter().all(|txns| txns.len() <= 6))
}

macro_rules! compared {
    ($($name:ident: $model:ident of $spec:ident from $histories:ident;)*) => {
        proptest! {
            #![proptest_config(ProptestConfig::with_cases(1000))]
            $(
                #[test]
                fn $name(history in $histories()) {
                    agrees(&history, Model::$model, Spec::$spec)?;
                }
            )*
        }
    };
}

compared! {
    linearizable_lists: Linearizable of ListAppend from lists;
    sequential_lists: Sequential of ListAppend from lists;
    causal_lists: Causal of ListAppend from lists;
    convergent_lists: CausalConvergence of ListAppend from lists;
    pram_lists: Pram of ListAppend from lists;
    read_atomic_lists: ReadAtomic of ListAppend from lists;
    read_your_writes_lists: ReadYourWrites of ListAppend from lists;
    monotonic_reads_lists: MonotonicReads of ListAppend from lists;
    monotonic_writes_lists: MonotonicWrites of ListAppend from lists;
    writes_follow_reads_lists: WritesFollowReads of ListAppend from lists;
    linearizable_sets: Linearizable of Set from sets;
    sequential_sets: Sequential of Set from sets;
    causal_sets: Causal of Set from sets;
    weak_causal_sets: WeakCausal of Set from sets;
    pram_sets: Pram of Set from sets;
    read_your_writes_sets: ReadYourWrites of Set from sets;
    monotonic_reads_sets: MonotonicReads of Set from sets;
    monotonic_writes_sets: MonotonicWrites of Set from sets;
    writes_follow_reads_sets: WritesFollowReads of Set from sets;
}
