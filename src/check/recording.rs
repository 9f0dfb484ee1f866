//! The history of a run: what agents asked of shared registers, and what they were told, as a client would write it down.
//!
//! Guarantees: the order of events is that of the run. A write that its agent gave up stands with an unknown outcome if a replica
//! accepted it at any time, and not at all if none did, for then nobody can ever see it. A read that failed stands not at all. What
//! an agent does at the same time, in branches or handlers, is of several processes, since a process waits for its answers.
//!
//! The conditional write of a compare-and-swap expects the version that the read before it returned. It stands as a `cas` from the
//! value that this read showed to the new one, and its read as a read. One that its agent was told to be refused has failed; if
//! another attempt of it was applied, which its agent can't know, nobody knows. What a refused one would have written is a value
//! that nothing else writes.

use super::history::{Builder, Event, EventKind, History, Limits, Problems, Raw};
use crate::agents::activation::State;
use crate::state::{Dot, KeyType, Op, Versions};
use crate::stores::words::{of_op_words, of_reply_words, of_store_key};
use crate::world::record::{Batch, Mask, Observer, Record, What};
use std::collections::BTreeMap;
use thiserror::Error;

/// How an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    Answered {
        attempt: u16,
    },
    /// The answer was that the key has moved on from the version that a conditional update expects.
    Refused,
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
    /// The activation that waits for it.
    activation: Option<u64>,
    /// What its activation had read last when it began: the read and its attempt.
    basis: Option<(u64, u16)>,
    /// Whether it is conditional: known once it has reached a replica.
    is_conditional: bool,
    attempts: u16,
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
    /// The last read that was answered, by activation, and its attempt.
    last_reads: BTreeMap<u64, (u64, u16)>,
}

/// What a write brings, as a value: what was accepted, or what a refused write would have brought, by its identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Brings {
    Accepted(u64),
    Refused(u64),
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
                    activation: None,
                    basis: None,
                    is_conditional: false,
                    attempts: 0,
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
            What::StepBegan if record.b == State::Calling as u64 => {
                let basis = self.last_reads.get(&record.a).copied();
                if let Some(operation) = self.operations.get_mut(&record.c)
                    && operation.activation.is_none()
                {
                    operation.activation = Some(record.a);
                    operation.basis = basis;
                }
            }
            What::AttemptSent => {
                if let Some(operation) = self.operation(record) {
                    operation.attempts = operation.attempts.saturating_add(1);
                }
            }
            What::Swapped => {
                if let Some(operation) = self.operation(record) {
                    operation.place = Some(record.b);
                    operation.is_conditional = true;
                }
            }
            // An answered operation that wasn't acknowledged: that it is refused is the answer.
            What::CallEnded if record.c == 1 => {
                let time = record.time.as_nanos();
                if let Some(operation) = self.operation(record)
                    && operation.is_conditional
                    && operation.ended.is_none()
                {
                    operation.ended = Some(Ended::Refused);
                    self.edges.push((record.a, Edge::Ended(time)));
                }
            }
            What::OperationAcknowledged | What::OperationFailed => {
                let answered = record.what == What::OperationAcknowledged;
                let time = record.time.as_nanos();
                let attempt = (record.c >> 1) as u16;
                // A compare-and-swap that was refused for the last time has failed as well.
                if let Some(operation) = self.operation(record)
                    && operation.ended.is_none()
                {
                    operation.place = Some(record.b);
                    operation.ended = Some(match answered {
                        true => Ended::Answered { attempt },
                        false => Ended::GivenUp,
                    });
                    let reader = operation.activation.filter(|_| answered && record.c & 1 == 0);
                    self.edges.push((record.a, Edge::Ended(time)));
                    if let Some(activation) = reader {
                        self.last_reads.insert(activation, (record.a, attempt));
                    }
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
            let brings = match (operation.writes, operation.ended) {
                (Some(value), _) => Some(Brings::Accepted(value)),
                (None, Some(Ended::Refused)) => Some(Brings::Refused(*identity)),
                (None, _) => None,
            };
            if (!is_read && brings.is_none()) || (is_read && operation.ended == Some(Ended::GivenUp)) {
                continue;
            }
            let number = |of: Brings, numbers: &mut BTreeMap<Brings, i64>| {
                let next = numbers.len() as i64 + 1;
                Raw::Int(*numbers.entry(of).or_insert(next))
            };
            let shown = |value: Option<u64>, numbers: &mut BTreeMap<Brings, i64>| {
                value.map_or(Raw::Nil, |value| number(Brings::Accepted(value), numbers))
            };
            let argument = match brings.filter(|_| !is_read) {
                Some(brings) if operation.is_conditional => {
                    let from = shown(self.expected(operation, &key)?, &mut numbers);
                    Some(Raw::List(vec![from, number(brings, &mut numbers)]))
                }
                Some(brings) => Some(number(brings, &mut numbers)),
                None => None,
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
                    (EventKind::Invoke, operation.began, argument, lane)
                }
                Edge::Ended(time) => {
                    let lane = lanes.iter().position(|(_, waits)| *waits == Some(*identity));
                    let lane = lane.expect("what ends was invoked");
                    match operation.ended {
                        Some(Ended::Answered { attempt }) => {
                            let value = match is_read {
                                true => Some(shown(self.read(operation, attempt, &key)?, &mut numbers)),
                                false => argument,
                            };
                            (EventKind::Ok, *time, value, lane)
                        }
                        // With one attempt, the answer is about all that there was.
                        Some(Ended::Refused) if operation.writes.is_none() || operation.attempts <= 1 => {
                            (EventKind::Fail, *time, argument, lane)
                        }
                        _ => (EventKind::Info, *time, argument, lane),
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
                op: Some(match (is_read, operation.is_conditional) {
                    (true, _) => "read",
                    (false, true) => "cas",
                    (false, false) => "write",
                }),
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

    /// The value that a conditional update expects to replace: what its read returned.
    fn expected(&self, operation: &Operation, key: &str) -> Result<Option<u64>, RecordingError> {
        let Some((identity, attempt)) = operation.basis else {
            return Ok(None);
        };
        let read = &self.operations[&identity];
        match read.place == operation.place {
            true => self.read(read, attempt, key),
            false => Ok(None),
        }
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
            What::StepBegan,
            What::AttemptSent,
            What::Accepted,
            What::ReadServed,
            What::Swapped,
            What::OperationAcknowledged,
            What::OperationFailed,
            What::CallEnded,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{Budget, Model, Spec, Verdict, judge};
    use crate::kernel::{SimTime, Ticket};
    use crate::state::Origin;
    use crate::stores::words::{op_words, push_own_reply};
    use crate::world::record::Records;

    /// Takes a record down.
    type Say<'a> = &'a mut dyn FnMut(What, u32, [u64; 3], &[u64]);

    /// Two agents read version 1, and swap one after the other, on one replica. What is recorded of the second swap is `fate`.
    fn history(fate: &[(What, u64)]) -> History {
        let (agent, first, second) = (10, 20, 21);
        let dot = |number| Dot::new(Origin::new(0, 0), number);
        let mut records = Records::new(vec![Box::new(Recorder::default())]);
        let mut now = 0;
        let mut say = |what: What, subject: u32, words: [u64; 3], extra: &[u64]| {
            now += 1;
            let entry = Ticket { rank: 0, number: now };
            records.push(SimTime::from_nanos(u64::from(now)), entry, what, subject, words, extra);
        };
        let begins = |say: Say<'_>, agent: u32, id: u64| {
            say(What::CallStarted, agent, [id, 0, 0], &[]);
            say(
                What::StepBegan,
                agent,
                [u64::from(agent), State::Calling as u64, id],
                &[],
            );
            say(What::AttemptSent, agent, [id, 0, 1], &[0]);
        };
        let accepted = |say: Say<'_>, id: u64, number: u32| {
            let [what, with] = op_words(Op::Write(100 * u64::from(number)));
            say(What::Accepted, 0, [id, 0, dot(number).bits()], &[0, 0, 0, what, with]);
        };
        begins(&mut say, agent, 1);
        accepted(&mut say, 1, 1);
        say(What::OperationAcknowledged, agent, [1, 0, 1 | 1 << 1], &[]);
        for (agent, id) in [(first, 2), (second, 3)] {
            begins(&mut say, agent, id);
            let mut extra = vec![0, u64::from(agent)];
            push_own_reply(&Versions::Heads(vec![dot(1)]), &mut extra);
            say(What::ReadServed, 0, [id, 0, 1], &extra);
            say(What::OperationAcknowledged, agent, [id, 0, 1 << 1], &[]);
        }
        begins(&mut say, first, 4);
        say(What::Swapped, 0, [4, 0, 1], &[]);
        accepted(&mut say, 4, 2);
        say(What::OperationAcknowledged, first, [4, 0, 1 | 1 << 1], &[]);
        say(What::CallEnded, first, [4, 0, 1], &[]);
        begins(&mut say, second, 5);
        for (what, word) in fate {
            match what {
                What::Accepted => accepted(&mut say, 5, 3),
                What::AttemptSent => say(What::AttemptSent, second, [5, 0, *word], &[0]),
                What::Swapped => say(What::Swapped, 0, [5, 0, *word], &[]),
                What::OperationAcknowledged => say(*what, second, [5, 0, 1 | word << 1], &[]),
                _ => say(*what, second, [5, 0, *word], &[]),
            }
        }
        let mut observers = records.into_observers();
        let recorder = observers.remove(0).into_any().downcast::<Recorder>().unwrap();
        let stores = [("s".to_string(), vec![("k".to_string(), KeyType::Register)])];
        recorder.finish(&stores).unwrap().history
    }

    fn last(history: &History) -> String {
        let text = format!("{history:?}");
        let mut lines = text
            .lines()
            .rev()
            .map(|line| line.split(",\"time\"").next().unwrap().to_string());
        lines.next().unwrap()
    }

    fn verdict(history: &History) -> Verdict {
        judge(history, Model::Linearizable, Spec::CasRegister, Budget::default())
            .unwrap()
            .verdict
    }

    #[test]
    fn a_swap_stands_with_its_condition_and_a_broken_one_is_violated() {
        let honest = history(&[(What::Swapped, 0), (What::CallEnded, 1), (What::OperationFailed, 1)]);
        let fails = r#"{"process":2,"type":"fail","op":"cas","key":"k","value":[1,3]"#;
        assert_eq!((last(&honest).as_str(), verdict(&honest)), (fails, Verdict::Holds));
        // The store takes a swap of a version that isn't there any more: as plain writes, all would be well.
        let broken = history(&[
            (What::Swapped, 1),
            (What::Accepted, 0),
            (What::OperationAcknowledged, 1),
            (What::CallEnded, 1),
        ]);
        let done = r#"{"process":2,"type":"ok","op":"cas","key":"k","value":[1,3]"#;
        assert_eq!((last(&broken).as_str(), verdict(&broken)), (done, Verdict::Violated));
    }

    #[test]
    fn a_refusal_says_nothing_of_an_earlier_attempt() {
        let twice = history(&[
            (What::Swapped, 1),
            (What::Accepted, 0),
            (What::AttemptSent, 2),
            (What::Swapped, 0),
            (What::CallEnded, 1),
        ]);
        assert!(last(&twice).contains(r#""type":"info","op":"cas""#), "{twice:?}");
        // With one attempt the answer is about it, and an applied one that is called refused is a flaw.
        let once = history(&[(What::Swapped, 1), (What::Accepted, 0), (What::CallEnded, 1)]);
        assert!(last(&once).contains(r#""type":"fail","op":"cas""#), "{once:?}");
        // What an agent was never told it doesn't know.
        let open = history(&[(What::Swapped, 1), (What::Accepted, 0)]);
        assert!(last(&open).contains(r#""type":"invoke","op":"cas""#), "{open:?}");
    }
}
