//! Whether transactions see what the weaker models say that they must.

use super::build::{Logs, Txn};
use super::finding::Finding;
use crate::check::explain::{Words, of_key};
use crate::check::history::Key;
use crate::check::models::Model;
use std::collections::BTreeMap;

/// The most entries of all clocks together; histories of more processes aren't judged causally.
const MOST_ENTRIES: usize = 1 << 28;

/// Whether a transaction saw an element from outside; `None` if it didn't look at the key.
fn saw(txn: &Txn, key: Key, element: u32) -> Option<bool> {
    let seen = txn.reads.iter().find(|seen| seen.key == key)?;
    Some(seen.elements.binary_search(&element).is_ok())
}

/// A transaction that saw one append of another one, and not all of them that it looked for.
pub(super) fn fractured(logs: &Logs<'_>) -> Option<Finding> {
    for (reader, of) in logs.txns.iter().enumerate() {
        for seen in &of.reads {
            for element in &seen.elements {
                let writer = logs.elements[*element as usize].txn;
                if writer as usize == reader {
                    continue;
                }
                for other in &logs.txns[writer as usize].appends {
                    let missing = logs.elements[*other as usize];
                    if saw(of, missing.key, *other) == Some(false) {
                        return Some(told_fractured(logs, reader as u32, writer, *element, *other));
                    }
                }
            }
        }
    }
    None
}

fn told_fractured(logs: &Logs<'_>, reader: u32, writer: u32, element: u32, missing: u32) -> Finding {
    let history = logs.history;
    let value = |element: u32| {
        let of = logs.elements[element as usize];
        format!("{}{}", history.value(of.value), of_key(history, of.key))
    };
    let (reader_op, writer_op) = (logs.op(reader), logs.op(writer));
    let same = logs.elements[element as usize].key == logs.elements[missing as usize].key;
    let why = format!(
        "{} saw {} but not {}, both of which {} appended",
        Words(history).noun(reader_op),
        value(element),
        value(missing),
        history.name(writer_op)
    );
    Finding {
        kind: if same {
            "intermediate read (G1b)"
        } else {
            "fractured read"
        },
        why,
        operations: vec![writer_op, reader_op],
        marked: vec![writer_op, reader_op],
        key: Some(logs.elements[missing as usize].key),
        is_shown_whole: false,
    }
}

/// What comes before each transaction: its process' and, for all that it saw, those of whom it saw it; as in
/// [`crate::check::causal::graph::Order::clocks`].
struct Clocks {
    width: usize,
    rows: Vec<u32>,
}

impl Clocks {
    /// The clocks; transactions must have an order that keeps causes. They may be numbered against it.
    fn of(logs: &Logs<'_>) -> Self {
        let width = logs.chains.len();
        let mut clocks = Self {
            width,
            rows: vec![0; width * logs.txns.len()],
        };
        let mut is_done = vec![false; logs.txns.len()];
        for txn in 0..logs.txns.len() as u32 {
            // Depth first, with a stack of its own: causes may be as many as transactions.
            let mut stack = vec![(txn, false)];
            while let Some((at, is_ready)) = stack.pop() {
                if is_done[at as usize] {
                    continue;
                }
                if is_ready {
                    clocks.join(logs, at);
                    is_done[at as usize] = true;
                    continue;
                }
                stack.push((at, true));
                stack.extend(
                    causes(logs, at)
                        .filter(|of| !is_done[*of as usize])
                        .map(|of| (of, false)),
                );
            }
        }
        clocks
    }

    fn join(&mut self, logs: &Logs<'_>, txn: u32) {
        let mut row = vec![0u32; self.width];
        for cause in causes(logs, txn) {
            for (mine, theirs) in row.iter_mut().zip(self.row(cause)) {
                *mine = (*mine).max(*theirs);
            }
        }
        let of = &logs.txns[txn as usize];
        row[of.chain as usize] = row[of.chain as usize].max(of.index + 1);
        let start = txn as usize * self.width;
        self.rows[start..start + self.width].copy_from_slice(&row);
    }

    fn row(&self, txn: u32) -> &[u32] {
        &self.rows[txn as usize * self.width..][..self.width]
    }
}

/// The direct causes of a transaction: the one before it in its process, and of those on each chain that it saw something of, the
/// last one.
pub(super) fn causes<'a>(logs: &'a Logs<'_>, txn: u32) -> impl Iterator<Item = u32> + 'a {
    let of = &logs.txns[txn as usize];
    let mut last: BTreeMap<u32, (u32, u32)> = BTreeMap::new();
    for element in of.reads.iter().flat_map(|seen| &seen.elements) {
        let writer = logs.elements[*element as usize].txn;
        if writer != txn {
            let by = &logs.txns[writer as usize];
            let known = last.entry(by.chain).or_insert((by.index, writer));
            *known = (*known).max((by.index, writer));
        }
    }
    of.before.into_iter().chain(last.into_values().map(|of| of.1))
}

/// The elements of each key that each chain appended, in the order of the chain.
fn appended(logs: &Logs<'_>) -> BTreeMap<(Key, u32), Vec<(u32, u32)>> {
    let mut all: BTreeMap<(Key, u32), Vec<(u32, u32)>> = BTreeMap::new();
    for of in &logs.txns {
        for element in &of.appends {
            let key = logs.elements[*element as usize].key;
            all.entry((key, of.chain)).or_default().push((of.index, *element));
        }
    }
    all.values_mut().for_each(|of| of.sort_unstable());
    all
}

/// A transaction that didn't see what lies in its causal past.
pub(super) fn causes_missed(logs: &Logs<'_>) -> Result<Option<Finding>, String> {
    if logs.chains.len().saturating_mul(logs.txns.len()) > MOST_ENTRIES {
        return Err(format!(
            "{} transactions of {} processes take more memory than a judgement may: cut the history",
            logs.txns.len(),
            logs.chains.len()
        ));
    }
    let clocks = Clocks::of(logs);
    let appended = appended(logs);
    for (reader, of) in logs.txns.iter().enumerate() {
        let past = clocks.row(reader as u32);
        for seen in &of.reads {
            for ((_, chain), elements) in appended.range((seen.key, 0)..=(seen.key, u32::MAX)) {
                let end = elements.partition_point(|(index, _)| *index < past[*chain as usize]);
                // The last ones of a process come last in the list; of a set, each has to be looked for.
                for (_, element) in elements[..end].iter().rev() {
                    let writer = logs.elements[*element as usize].txn;
                    if writer as usize == reader {
                        continue;
                    }
                    if seen.elements.binary_search(element).is_err() {
                        return Ok(Some(told_missed(logs, reader as u32, *element)));
                    }
                    if logs.are_lists {
                        break;
                    }
                }
            }
        }
    }
    Ok(None)
}

/// Why one transaction comes causally before another, step by step.
fn way(logs: &Logs<'_>, from: u32, to: u32) -> Vec<u32> {
    let mut next: BTreeMap<u32, u32> = BTreeMap::new();
    let mut queue = std::collections::VecDeque::from([to]);
    while let Some(at) = queue.pop_front() {
        if at == from && at != to {
            break;
        }
        for cause in causes(logs, at) {
            next.entry(cause).or_insert_with(|| {
                queue.push_back(cause);
                at
            });
        }
    }
    let mut way = vec![from];
    while let Some(at) = next.get(way.last().expect("it begins somewhere")) {
        way.push(*at);
        if *at == to {
            break;
        }
    }
    way
}

fn told_way(logs: &Logs<'_>, way: &[u32]) -> String {
    let history = logs.history;
    let steps = way.windows(2).map(|pair| {
        let name = history.name(logs.op(pair[1]));
        if logs.txns[pair[1] as usize].before == Some(pair[0]) {
            let process = history.processes()[history.operations()[logs.op(pair[1])].process as usize];
            return format!("process {process} then ran {name}");
        }
        let seen = logs.txns[pair[1] as usize].reads.iter().flat_map(|seen| &seen.elements);
        let of = seen
            .copied()
            .find(|element| logs.elements[*element as usize].txn == pair[0]);
        let what = of.map(|element| logs.elements[element as usize]);
        what.map_or(format!("{name} followed"), |what| {
            format!(
                "{name} saw its {}{}",
                history.value(what.value),
                of_key(history, what.key)
            )
        })
    });
    steps.collect::<Vec<_>>().join(", ")
}

fn told_missed(logs: &Logs<'_>, reader: u32, element: u32) -> Finding {
    let history = logs.history;
    let of = logs.elements[element as usize];
    let way = way(logs, of.txn, reader);
    let why = format!(
        "{} didn't see {}{}, although {}, which put it there, lies in its causal past: {}",
        Words(history).noun(logs.op(reader)),
        history.value(of.value),
        of_key(history, of.key),
        history.name(logs.op(of.txn)),
        told_way(logs, &way)
    );
    Finding {
        kind: "cause not seen",
        why,
        operations: way.iter().map(|txn| logs.op(*txn)).collect(),
        marked: vec![logs.op(of.txn), logs.op(reader)],
        key: Some(of.key),
        is_shown_whole: false,
    }
}

/// A transaction that didn't see what a session guarantee says that it must have.
pub(super) fn session(logs: &Logs<'_>, model: Model) -> Result<Option<Finding>, String> {
    if model == Model::WritesFollowReads && logs.chains.len().saturating_mul(logs.txns.len()) > MOST_ENTRIES {
        return Err("the history has too many processes to be judged: cut it".into());
    }
    let clocks = match model {
        Model::WritesFollowReads => Some(Clocks::of(logs)),
        _ => None,
    };
    for process in 0..logs.processes {
        let mut session = Session {
            logs,
            model,
            clocks: clocks.as_ref(),
            required: BTreeMap::new(),
            reached: vec![0; logs.chains.len()],
        };
        for txn in &logs.chains[process] {
            if let Some(finding) = session.step(*txn) {
                return Ok(Some(finding));
            }
        }
    }
    Ok(None)
}

struct Session<'a, 'b> {
    logs: &'b Logs<'a>,
    model: Model,
    clocks: Option<&'b Clocks>,
    /// By key: what must have been seen, with the transactions that say so.
    required: BTreeMap<Key, BTreeMap<u32, Vec<u32>>>,
    /// How far on each chain what was seen reaches.
    reached: Vec<u32>,
}

impl Session<'_, '_> {
    fn step(&mut self, txn: u32) -> Option<Finding> {
        let logs = self.logs;
        let of = &logs.txns[txn as usize];
        if matches!(self.model, Model::MonotonicWrites | Model::WritesFollowReads) {
            for element in of.reads.iter().flat_map(|seen| &seen.elements) {
                let writer = logs.elements[*element as usize].txn;
                if writer != txn {
                    self.observe(txn, writer);
                }
            }
        }
        for seen in &of.reads {
            let Some(required) = self.required.get(&seen.key) else {
                continue;
            };
            let missing = required.iter().find(|(element, _)| {
                logs.elements[**element as usize].txn != txn && seen.elements.binary_search(element).is_err()
            });
            if let Some((element, by)) = missing {
                return Some(self.told(txn, *element, by));
            }
        }
        match self.model {
            Model::ReadYourWrites => {
                for element in &of.appends {
                    self.require(*element, vec![txn]);
                }
            }
            Model::MonotonicReads => {
                for element in of.reads.iter().flat_map(|seen| &seen.elements) {
                    self.require(*element, vec![txn]);
                }
            }
            _ => {}
        }
        None
    }

    fn require(&mut self, element: u32, by: Vec<u32>) {
        let key = self.logs.elements[element as usize].key;
        self.required.entry(key).or_default().entry(element).or_insert(by);
    }

    /// What must be seen from now on because a transaction saw something of another one.
    fn observe(&mut self, by: u32, writer: u32) {
        let logs = self.logs;
        match (self.model, self.clocks) {
            (Model::MonotonicWrites, _) => {
                let of = &logs.txns[writer as usize];
                if let Some(before) = of.before {
                    let before = &logs.txns[before as usize];
                    for at in self.extend(before.chain, before.index + 1) {
                        for element in &logs.txns[at as usize].appends {
                            self.require(*element, vec![by, writer]);
                        }
                    }
                }
            }
            (_, Some(clocks)) => {
                for chain in 0..clocks.width {
                    for at in self.extend(chain as u32, clocks.row(writer)[chain]) {
                        for element in logs.txns[at as usize].reads.iter().flat_map(|seen| &seen.elements) {
                            self.require(*element, vec![by, writer, at]);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    /// The transactions of a chain up to `end` that weren't reached yet.
    fn extend(&mut self, chain: u32, end: u32) -> Vec<u32> {
        let from = self.reached[chain as usize].min(end);
        self.reached[chain as usize] = self.reached[chain as usize].max(end);
        self.logs.chains[chain as usize][from as usize..end as usize].to_vec()
    }

    fn told(&self, reader: u32, element: u32, by: &[u32]) -> Finding {
        let logs = self.logs;
        let history = logs.history;
        let of = logs.elements[element as usize];
        let value = history.value(of.value);
        let name = |txn: u32| history.name(logs.op(txn));
        let process = history.processes()[history.operations()[logs.op(reader)].process as usize];
        let (kind, because) = match (self.model, by) {
            (Model::ReadYourWrites, _) => (
                "own append not seen",
                format!("process {process} had appended it itself, in {}", name(of.txn)),
            ),
            (Model::MonotonicReads, [earlier, ..]) => (
                "less read than before",
                format!("process {process} had read it before, in {}", name(*earlier)),
            ),
            (Model::MonotonicWrites, [saw, writer, ..]) => (
                "append seen without its writer's earlier one",
                format!(
                    "{} appended it before {}, of which {} saw something",
                    name(of.txn),
                    name(*writer),
                    name(*saw)
                ),
            ),
            (_, [saw, writer, at]) => {
                let way = way(logs, *at, *writer);
                let way = if *at == *writer {
                    String::new()
                } else {
                    format!("; {}", told_way(logs, &way))
                };
                (
                    "append seen without what its writer had read",
                    format!(
                        "{} had read it{way}; and {} saw something of {}",
                        name(*at),
                        name(*saw),
                        name(*writer)
                    ),
                )
            }
            _ => ("append not seen", String::new()),
        };
        let why = format!(
            "{} didn't see {value}{}, although {because}",
            Words(history).noun(logs.op(reader)),
            of_key(history, of.key)
        );
        let mut operations: Vec<usize> = by.iter().chain([&reader, &of.txn]).map(|txn| logs.op(*txn)).collect();
        if let [_, writer, at] = by {
            operations.extend(way(logs, *at, *writer).into_iter().map(|txn| logs.op(txn)));
        }
        Finding {
            kind,
            why,
            operations,
            marked: vec![logs.op(of.txn), logs.op(reader)],
            key: Some(of.key),
            is_shown_whole: false,
        }
    }
}
