//! Transactions with what they appended and what they saw, from the operations of a history.

use super::finding::Finding;
use super::telling::shown;
use crate::check::explain::{Words, of_key};
use crate::check::history::{Action, History, Key, Micro, Outcome, Saw, Val};
use crate::check::models::Model;

/// An element of a list or set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Element {
    pub key: Key,
    pub value: Val,
    /// Who appended it, by its place in [`Logs::txns`].
    pub txn: u32,
    /// Its place in the list, from 1 on; [`UNSEEN`] if no read shows it. In a set: the level of the smallest read that shows it.
    pub level: u32,
}

/// The place of an element that no read shows: behind all others.
pub(super) const UNSEEN: u32 = u32::MAX;

/// What a transaction saw of a key, apart from what it had appended itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    pub key: Key,
    /// How far the list reached, or which level of the set it was.
    pub level: u32,
    /// The elements, by their places in [`Logs::elements`], ascending.
    pub elements: Vec<u32>,
}

/// A transaction, or an operation on a set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Txn {
    pub op: u32,
    /// Its chain: its process, or one of its own if its outcome is unknown.
    pub chain: u32,
    pub index: u32,
    /// What came before it in its process.
    pub before: Option<u32>,
    pub appends: Vec<u32>,
    pub reads: Vec<Seen>,
}

/// All of them.
#[derive(Debug, Clone)]
pub(super) struct Logs<'a> {
    pub history: &'a History,
    pub txns: Vec<Txn>,
    pub chains: Vec<Vec<u32>>,
    pub processes: usize,
    /// By key and value.
    pub elements: Vec<Element>,
    /// Whether they are lists, which show an order.
    pub are_lists: bool,
    /// For each key of a list, a transaction that saw the longest list.
    pub longest: Vec<(Key, u32)>,
}

/// The parts of an operation, whatever it is.
pub(super) fn micros(history: &History, operation: usize) -> Vec<Micro> {
    match history.operations()[operation].action {
        Action::Txn(span) => history.micros(span).to_vec(),
        Action::Add { key, value } => vec![Micro::Append(key, value)],
        Action::Read {
            key,
            saw: Saw::Many(span),
        } => vec![Micro::Read(key, Some(span))],
        _ => Vec::new(),
    }
}

/// Whether a history of sets removes nothing and adds nothing twice.
pub(super) fn adds_once(history: &History) -> bool {
    let mut added = Vec::new();
    for of in history.operations() {
        match of.action {
            Action::Remove { .. } => return false,
            Action::Add { key, value } => added.push((key, value)),
            _ => {}
        }
    }
    added.sort_unstable();
    added.windows(2).all(|pair| pair[0] != pair[1])
}

/// Some operations, with reads that show only what these operations appended.
pub(super) fn projected(history: &History, part: &[usize]) -> History {
    let mut appended: Vec<(Key, Val)> = Vec::new();
    for at in part {
        for micro in micros(history, *at) {
            if let Micro::Append(key, value) = micro {
                appended.push((key, value));
            }
        }
    }
    appended.sort_unstable();
    history.excerpt_of(part, |key, value| appended.binary_search(&(key, value)).is_ok())
}

/// A result that is a finding, or the reason why nothing can be decided.
type Built<T> = Result<Result<T, Finding>, String>;

impl<'a> Logs<'a> {
    /// Reads the operations, and looks for what breaks every model.
    pub(super) fn of(history: &'a History, model: Model) -> Built<Self> {
        let lists = history
            .operations()
            .iter()
            .any(|of| matches!(of.action, Action::Txn(_)));
        let (elements, appenders) = match appended(history)? {
            Ok(found) => found,
            Err(finding) => return Ok(Err(finding)),
        };
        let mut logs = Self {
            history,
            txns: Vec::new(),
            chains: vec![Vec::new(); history.processes().len()],
            processes: history.processes().len(),
            elements,
            are_lists: lists,
            longest: Vec::new(),
        };
        let mut seen = vec![false; logs.elements.len()];
        let mut reads: Vec<(usize, Vec<Seen>)> = Vec::new();
        for (at, of) in history.operations().iter().enumerate() {
            if of.outcome != Outcome::Ok {
                continue;
            }
            let found = match logs.saw(at, &mut seen, lists) {
                Ok(found) => found,
                Err(finding) => return Ok(Err(finding)),
            };
            reads.push((at, found));
        }
        logs.add_txns(&appenders, &seen, reads);
        if lists {
            if let Some(finding) = logs.order_lists(None) {
                return Ok(Err(finding));
            }
        } else if let Some(finding) = logs.order_sets(model) {
            return Ok(Err(finding));
        }
        Ok(Ok(logs))
    }

    /// What an acknowledged operation saw from outside, of each key.
    fn saw(&self, at: usize, seen: &mut [bool], lists: bool) -> Result<Vec<Seen>, Finding> {
        let history = self.history;
        let mut all: Vec<Seen> = Vec::new();
        // For each key, what is known of its content, and what the transaction has appended since nothing was known.
        let mut known: Vec<(Key, Option<Vec<Val>>, Vec<Val>)> = Vec::new();
        for micro in micros(history, at) {
            let (Micro::Append(key, _) | Micro::Read(key, _)) = micro;
            let of = match known.iter().position(|of| of.0 == key) {
                Some(of) => of,
                None => {
                    known.push((key, None, Vec::new()));
                    known.len() - 1
                }
            };
            let (_, content, own) = &mut known[of];
            match (micro, content.as_mut()) {
                (Micro::Append(_, value), Some(content)) => content.push(value),
                (Micro::Append(_, value), None) => own.push(value),
                (Micro::Read(_, None), _) => {}
                (Micro::Read(_, Some(span)), content) => {
                    let list = history.elements(span);
                    let fits = match &content {
                        Some(content) => list == content.as_slice(),
                        None => list.ends_with(own),
                    };
                    if !fits {
                        return Err(self.internal(at, key, list, content.map(|of| of.clone()), own));
                    }
                    if content.is_none() {
                        let from_outside = &list[..list.len() - own.len()];
                        let elements = self.known(at, key, from_outside, seen)?;
                        all.push(Seen {
                            key,
                            level: if lists { from_outside.len() as u32 } else { 0 },
                            elements,
                        });
                        known[of].1 = Some(list.to_vec());
                    }
                }
            }
        }
        Ok(all)
    }

    /// The elements of a list or set that was read, each of which somebody must have appended.
    fn known(&self, at: usize, key: Key, list: &[Val], seen: &mut [bool]) -> Result<Vec<u32>, Finding> {
        let mut elements = Vec::with_capacity(list.len());
        for value in list {
            match self.element(key, *value) {
                Some(element) => {
                    seen[element as usize] = true;
                    elements.push(element);
                }
                None => return Err(self.unappended(at, key, *value, list)),
            }
        }
        elements.sort_unstable();
        if let Some(twice) = elements.windows(2).find(|pair| pair[0] == pair[1]) {
            let value = self.history.value(self.elements[twice[0] as usize].value);
            let why = format!(
                "{} read {}{}, which holds {value} twice",
                Words(self.history).noun(at),
                shown(self.history, list),
                of_key(self.history, key)
            );
            return Err(whole("element twice", why, vec![at], Some(key)));
        }
        Ok(elements)
    }

    /// The place of an element in [`Self::elements`].
    pub(super) fn element(&self, key: Key, value: Val) -> Option<u32> {
        let at = self
            .elements
            .binary_search_by_key(&(key, value), |of| (of.key, of.value));
        at.ok().map(|at| at as u32)
    }

    fn internal(&self, at: usize, key: Key, list: &[Val], content: Option<Vec<Val>>, own: &[Val]) -> Finding {
        let history = self.history;
        let should = match content {
            Some(content) => format!("it must have been {}", shown(history, &content)),
            None => format!("it had appended {} itself", shown(history, own)),
        };
        let why = format!(
            "{} read {}{}, but from what it had done before, {should}",
            Words(history).noun(at),
            shown(history, list),
            of_key(history, key)
        );
        whole("internal inconsistency", why, vec![at], Some(key))
    }

    fn unappended(&self, at: usize, key: Key, value: Val, list: &[Val]) -> Finding {
        let history = self.history;
        let failed = history.operations().iter().enumerate().position(|(other, of)| {
            of.outcome == Outcome::Fail && micros(history, other).contains(&Micro::Append(key, value))
        });
        let what = format!(
            "{} read {}{}",
            Words(history).noun(at),
            shown(history, list),
            of_key(history, key)
        );
        let value = history.value(value);
        match failed {
            Some(failed) => {
                let why = format!(
                    "{what}, but only {} appended {value}, and it failed",
                    history.name(failed)
                );
                Finding {
                    marked: vec![at],
                    ..whole("effect of a failed operation (G1a)", why, vec![failed, at], Some(key))
                }
            }
            None => whole(
                "value from nowhere",
                format!("{what}, but nothing appended {value}"),
                vec![at],
                Some(key),
            ),
        }
    }

    /// Adds the transactions that took effect: the acknowledged ones, and those of which something was seen.
    fn add_txns(&mut self, appenders: &[(u32, u32)], seen: &[bool], mut reads: Vec<(usize, Vec<Seen>)>) {
        let history = self.history;
        reads.reverse();
        let mut next = 0;
        for (at, of) in history.operations().iter().enumerate() {
            let from = next;
            while next < appenders.len() && appenders[next].0 as usize == at {
                next += 1;
            }
            let appends: Vec<u32> = appenders[from..next].iter().map(|of| of.1).collect();
            let is_sure = of.outcome == Outcome::Ok;
            if !is_sure && !appends.iter().any(|element| seen[*element as usize]) {
                continue;
            }
            let reads = match reads.last() {
                Some((of, _)) if *of == at => reads.pop().map(|(_, reads)| reads).unwrap_or_default(),
                _ => Vec::new(),
            };
            let before = self.chains[of.process as usize].last().copied();
            let chain = if is_sure {
                of.process
            } else {
                self.chains.push(Vec::new());
                self.chains.len() as u32 - 1
            };
            let txn = self.txns.len() as u32;
            for element in &appends {
                self.elements[*element as usize].txn = txn;
            }
            let index = self.chains[chain as usize].len() as u32;
            self.chains[chain as usize].push(txn);
            self.txns.push(Txn {
                op: at as u32,
                chain,
                index,
                before,
                appends,
                reads,
            });
        }
    }

    /// What one process sees: all appends, and its own reads.
    pub(super) fn seen_by(&self, process: u32) -> Self {
        let mut logs = self.clone();
        for txn in &mut logs.txns {
            if txn.chain != process {
                txn.reads.clear();
            }
        }
        logs
    }

    /// The operation of a transaction.
    pub(super) fn op(&self, txn: u32) -> usize {
        self.txns[txn as usize].op as usize
    }
}

/// A finding that can't be reduced.
pub(super) fn whole(kind: &'static str, why: String, operations: Vec<usize>, key: Option<Key>) -> Finding {
    Finding {
        kind,
        why,
        marked: operations.clone(),
        operations,
        key,
        is_shown_whole: true,
    }
}

/// The elements that may have been appended, and who appended which, in the order of the operations.
#[expect(clippy::type_complexity, reason = "two lists that belong together once")]
fn appended(history: &History) -> Built<(Vec<Element>, Vec<(u32, u32)>)> {
    let mut all: Vec<(Key, Val, u32)> = Vec::new();
    for (at, of) in history.operations().iter().enumerate() {
        if of.may_count() {
            for micro in micros(history, at) {
                if let Micro::Append(key, value) = micro {
                    all.push((key, value, at as u32));
                }
            }
        }
    }
    all.sort_unstable();
    for pair in all.windows(2) {
        if (pair[0].0, pair[0].1) == (pair[1].0, pair[1].1) {
            return Err(format!(
                "{} is appended{} by both {} and {}: histories are judged in which every element is appended once",
                history.value(pair[0].1),
                of_key(history, pair[0].0).replacen("of", "to", 1),
                history.name(pair[0].2 as usize),
                history.name(pair[1].2 as usize),
            ));
        }
    }
    let elements = all.iter().map(|(key, value, _)| Element {
        key: *key,
        value: *value,
        txn: u32::MAX,
        level: UNSEEN,
    });
    let elements: Vec<Element> = elements.collect();
    let mut appenders: Vec<(u32, u32)> = all
        .iter()
        .enumerate()
        .map(|(element, of)| (of.2, element as u32))
        .collect();
    appenders.sort_unstable();
    Ok(Ok((elements, appenders)))
}
