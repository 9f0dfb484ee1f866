//! The history of a run: what agents asked of shared registers, and what they were told, as a client would write it down.
//!
//! Guarantees: the order of events is that of the run. A write that its agent gave up stands with an unknown outcome if a replica
//! accepted it at any time, and not at all if none did, for then nobody can ever see it. A read that failed stands not at all. What
//! an agent does at the same time, in branches or handlers, is of several processes, since a process waits for its answers. A
//! compare-and-swap that was applied stands as a write, one that wasn't not at all.

use super::history::{Builder, Event, EventKind, History, Limits, Problems, Raw};
use crate::state::{Dot, KeyType, Op, Versions};
use crate::stores::words::{of_op_words, of_reply_words, of_store_key};
use crate::world::record::{Batch, Mask, Observer, Record, What};
use std::collections::BTreeMap;
use thiserror::Error;

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Answered { attempt: u16 },
    GivenUp,
}

/// An operation on shared state.
#[derive(Debug, Clone)]
struct Operation {
    agent: u32,
    began: u64,
    /// Its store and key, once known.
    place: Option<u64>,
    /// What it writes, once a replica has accepted it.
    writes: Option<u64>,
    /// What its attempts read: their numbers, and the versions that were shown.
    reads: Vec<(u16, Vec<Dot>)>,
    ended: Option<Ended>,
}

/// An edge of an operation.
#[derive(Debug, Clone, Copy)]
enum Edge {
    Invoked,
    Ended(u64),
}

/// Watches a run, and keeps its history. Its memory grows with the number of operations.
#[derive(Debug, Default)]
pub struct Recorder {
    operations: BTreeMap<u64, Operation>,
    edges: Vec<(u64, Edge)>,
    /// The values of accepted versions, by store, key and dot.
    values: BTreeMap<(u64, u64), u64>,
}

/// Why there is no history.
#[derive(Debug, Error)]
pub enum RecordingError {
    /// A read returned several values.
    #[error("a read of {key} returned {count} values beside each other: a history of registers has no such reads")]
    Siblings {
        /// The key.
        key: String,
        /// How many values.
        count: usize,
    },
    /// The history is refused by those who read histories: it is too long for them.
    #[error("{}", .0.shown("the history"))]
    Refused(Problems),
}

/// What was recorded.
#[derive(Debug)]
pub struct Recording {
    /// The operations on registers.
    pub history: History,
    /// How many operations were on keys of other types, which aren't in it.
    pub left_out: usize,
}

impl Recorder {
    fn operation(&mut self, record: &Record) -> Option<&mut Operation> {
        self.operations.get_mut(&record.a)
    }

    fn follow(&mut self, record: &Record, extra: &[u64]) {
        match record.what {
            What::CallStarted => {
                let operation = Operation {
                    agent: record.subject,
                    began: record.time.as_nanos(),
                    place: None,
                    writes: None,
                    reads: Vec::new(),
                    ended: None,
                };
                self.operations.insert(record.a, operation);
                self.edges.push((record.a, Edge::Invoked));
            }
            What::Accepted => {
                let value = match of_op_words([extra[3], extra[4]]) {
                    Op::Write(value) => Some(value),
                    _ => None,
                };
                if let Some(value) = value {
                    self.values.insert((record.b, record.c), value);
                }
                if let Some(operation) = self.operation(record) {
                    operation.place = Some(record.b);
                    operation.writes = value.or(operation.writes);
                }
            }
            What::ReadServed => {
                let heads = match of_reply_words(&extra[2..]).versions {
                    Versions::Heads(heads) => heads,
                    Versions::Effects(_) => Vec::new(),
                };
                if let Some(operation) = self.operation(record) {
                    operation.place = Some(record.b);
                    operation.reads.push((record.c as u16, heads));
                }
            }
            What::OperationAcknowledged | What::OperationFailed => {
                let answered = record.what == What::OperationAcknowledged;
                let time = record.time.as_nanos();
                if let Some(operation) = self.operation(record) {
                    operation.place = Some(record.b);
                    operation.ended = Some(match answered {
                        true => Ended::Answered {
                            attempt: (record.c >> 1) as u16,
                        },
                        false => Ended::GivenUp,
                    });
                    self.edges.push((record.a, Edge::Ended(time)));
                }
            }
            _ => {}
        }
    }

    /// The history, where `keys` has the names and types of the keys of each store, and its name.
    ///
    /// # Errors
    /// If a read returned several values.
    pub fn finish(self, stores: &[(String, Vec<(String, KeyType)>)]) -> Result<Recording, RecordingError> {
        let name_of = |place: u64| {
            let (store, key) = of_store_key(place);
            let (store_name, keys) = &stores[store as usize];
            let (name, kind) = &keys[key as usize];
            match stores.len() {
                1 => (name.clone(), *kind),
                _ => (format!("{store_name}/{name}"), *kind),
            }
        };
        let mut builder = Builder::new(Limits::default());
        let (mut numbers, mut left_out) = (BTreeMap::new(), 0);
        // Each agent's processes: what each waits for.
        let mut lanes: BTreeMap<u32, Vec<(u64, Option<u64>)>> = BTreeMap::new();
        let (mut processes, mut line) = (0, 0);
        for (identity, edge) in &self.edges {
            let operation = &self.operations[identity];
            let Some(place) = operation.place else { continue };
            let (key, kind) = name_of(place);
            let is_read = !operation.reads.is_empty();
            if kind != KeyType::Register {
                left_out += usize::from(matches!(edge, Edge::Invoked));
                continue;
            }
            if (!is_read && operation.writes.is_none()) || (is_read && operation.ended == Some(Ended::GivenUp)) {
                continue;
            }
            let number = |value: u64, numbers: &mut BTreeMap<u64, i64>| {
                let next = numbers.len() as i64 + 1;
                Raw::Int(*numbers.entry(value).or_insert(next))
            };
            let lanes = lanes.entry(operation.agent).or_default();
            let (kind, time, value, lane) = match edge {
                Edge::Invoked => {
                    let free = lanes.iter().position(|(_, waits)| waits.is_none());
                    let lane = free.unwrap_or_else(|| {
                        lanes.push((processes, None));
                        processes += 1;
                        lanes.len() - 1
                    });
                    let value = operation.writes.filter(|_| !is_read);
                    let value = value.map(|value| number(value, &mut numbers));
                    (EventKind::Invoke, operation.began, value, lane)
                }
                Edge::Ended(time) => {
                    let lane = lanes.iter().position(|(_, waits)| *waits == Some(*identity));
                    let lane = lane.expect("what ends was invoked");
                    match operation.ended {
                        Some(Ended::Answered { attempt }) => {
                            let value = match is_read {
                                true => Some(
                                    self.read(operation, attempt, &key)?
                                        .map_or(Raw::Nil, |value| number(value, &mut numbers)),
                                ),
                                false => operation.writes.map(|value| number(value, &mut numbers)),
                            };
                            (EventKind::Ok, *time, value, lane)
                        }
                        _ => {
                            let value = operation.writes.map(|value| number(value, &mut numbers));
                            (EventKind::Info, *time, value, lane)
                        }
                    }
                }
            };
            let process = lanes[lane].0;
            match kind {
                EventKind::Invoke => lanes[lane].1 = Some(*identity),
                EventKind::Ok | EventKind::Fail => lanes[lane].1 = None,
                // Nobody will know what became of it: its process does nothing more.
                EventKind::Info => lanes[lane].1 = Some(u64::MAX),
            }
            line += 1;
            builder.event(Event {
                line,
                process,
                kind,
                op: Some(if is_read { "read" } else { "write" }),
                key: Some(&Raw::Text(key)),
                value: value.as_ref(),
                tuples: false,
                swapped: true,
                time: Some(time),
                id: None,
            });
        }
        let history = builder.finish().map_err(RecordingError::Refused)?;
        Ok(Recording { history, left_out })
    }

    /// What an answered read returned.
    fn read(&self, operation: &Operation, attempt: u16, key: &str) -> Result<Option<u64>, RecordingError> {
        let chosen = operation
            .reads
            .iter()
            .find(|(number, _)| attempt == 0 || *number == attempt);
        let heads = chosen.map_or(&[][..], |(_, heads)| heads.as_slice());
        let place = operation.place.unwrap_or_default();
        match heads {
            [] => Ok(None),
            [head] => Ok(self.values.get(&(place, head.bits())).copied()),
            heads => Err(RecordingError::Siblings {
                key: key.to_string(),
                count: heads.len(),
            }),
        }
    }
}

impl Observer for Recorder {
    fn wants(&self) -> Mask {
        Mask::of(&[
            What::CallStarted,
            What::Accepted,
            What::ReadServed,
            What::OperationAcknowledged,
            What::OperationFailed,
        ])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        let wants = self.wants();
        for record in batch.records.iter().filter(|record| wants.has(record.what)) {
            self.follow(record, batch.extra(record));
        }
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}
