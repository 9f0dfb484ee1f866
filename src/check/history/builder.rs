//! Builds a history event by event, and finds what can't be.
//!
//! Whoever has events in order can build a history: the readers of files do, and a run's records can.

use super::{Action, Fault, History, Key, Limits, Micro, NEVER, NO_TIME, Operation, Outcome, Problem, Problems};
use super::{Raw, Saw, Span, Val, Value};
use std::collections::BTreeMap;

/// What an event is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventKind {
    /// A process asks for something.
    Invoke,
    /// It is acknowledged.
    Ok,
    /// It is refused, and never takes effect.
    Fail,
    /// Nobody will know.
    Info,
}

/// An event, as a line of a file has it.
#[derive(Debug, Clone, Copy)]
pub struct Event<'a> {
    /// The line.
    pub line: u32,
    /// The process.
    pub process: u64,
    /// What it is.
    pub kind: EventKind,
    /// The operation; a response may leave it out.
    pub op: Option<&'a str>,
    /// The key, if the format has a field for it.
    pub key: Option<&'a Raw>,
    /// Arguments or results.
    pub value: Option<&'a Raw>,
    /// Whether a value `[key value]` has a key in it, as in Jepsen's independent tests.
    pub tuples: bool,
    /// For an acknowledged `cas`: whether the register held what it should.
    pub swapped: bool,
    /// Nanoseconds.
    pub time: Option<u64>,
    /// The identity of the operation, if the format has one.
    pub id: Option<u64>,
}

/// An operation without a response yet.
#[derive(Debug, Clone, Copy)]
struct Outstanding {
    operation: u32,
    /// Whether its key stands in its value.
    tuple: bool,
    id: Option<u64>,
}

/// A history in the making.
#[derive(Debug)]
pub struct Builder {
    history: History,
    limits: Limits,
    problems: Problems,
    numbers: BTreeMap<u64, u32>,
    outstanding: BTreeMap<u32, Outstanding>,
    ids: BTreeMap<u64, u32>,
    places: u32,
    time: Option<(u64, u32)>,
    text: usize,
    full: bool,
}

impl Builder {
    /// An empty history.
    pub fn new(limits: Limits) -> Self {
        Self {
            history: History::default(),
            limits,
            problems: Problems::default(),
            numbers: BTreeMap::new(),
            outstanding: BTreeMap::new(),
            ids: BTreeMap::new(),
            places: 0,
            time: None,
            text: 0,
            full: false,
        }
    }

    /// Adds a problem that the reader found.
    pub fn complain(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Whether a limit is reached, or so much is wrong that reading on is of no use.
    pub fn is_done(&self) -> bool {
        self.full || self.problems.list.len() >= Problems::KEPT
    }

    /// Takes the next event. What is wrong with it is kept for [`Self::finish`].
    pub fn event(&mut self, event: Event<'_>) {
        // An event out of time is an event all the same: leaving it out would make more to complain about.
        if let Err(problem) = self.check_time(&event) {
            self.problems.push(problem);
        }
        if let Err(problem) = self.take(event) {
            self.full |= problem.fault == Fault::TooLarge;
            self.problems.push(problem);
        }
    }

    /// The history, with operations that never returned as ones of unknown outcome.
    ///
    /// # Errors
    /// If something was wrong: all problems, up to [`Problems::KEPT`].
    pub fn finish(self) -> Result<History, Problems> {
        if self.problems.is_empty() {
            Ok(self.history)
        } else {
            Err(self.problems)
        }
    }

    fn take(&mut self, event: Event<'_>) -> Result<(), Problem> {
        if self.places >= NEVER - 1 {
            return Err(Problem::at(
                Fault::TooLarge,
                event.line,
                "the history has too many events",
            ));
        }
        let next = self.history.processes.len() as u32;
        let process = *self.numbers.entry(event.process).or_insert(next);
        if process == next {
            self.history.processes.push(event.process);
        }
        match event.kind {
            EventKind::Invoke => self.invoke(process, &event),
            _ => self.respond(process, &event),
        }
    }

    fn check_time(&mut self, event: &Event<'_>) -> Result<(), Problem> {
        let (Some(time), false) = (event.time, self.limits.ignore_times) else {
            return Ok(());
        };
        let before = self.time.replace((time, event.line));
        match before {
            Some((before, line)) if time < before => Err(Problem::at(
                Fault::TimeGoesBack,
                event.line,
                format!("the time goes back from {before} ns in line {line} to {time} ns"),
            )
            .help("if the order of the lines is right, read it with --ignore-times")),
            _ => Ok(()),
        }
    }

    fn invoke(&mut self, process: u32, event: &Event<'_>) -> Result<(), Problem> {
        let line = event.line;
        let said = self.history.processes[process as usize];
        if let Some(other) = self.outstanding.get(&process) {
            let other = self.history.operations[other.operation as usize];
            return Err(Problem::at(
                Fault::Overlapping,
                line,
                format!(
                    "process {said} invokes an operation while its {} of line {} is outstanding",
                    other.action.word(),
                    other.line
                ),
            ));
        }
        if let Some(id) = event.id {
            if let Some(operation) = self.ids.get(&id) {
                let other = self.history.operations[*operation as usize];
                return Err(Problem::at(
                    Fault::Overlapping,
                    line,
                    format!(
                        "id {id} is taken: it is the {} of process {} in line {}",
                        other.action.word(),
                        self.history.processes[other.process as usize],
                        other.line
                    ),
                ));
            }
            self.ids.insert(id, self.history.operations.len() as u32);
        }
        if self.history.operations.len() >= self.limits.operations {
            return Err(Problem::at(
                Fault::TooLarge,
                line,
                format!("the history has more than {} operations", self.limits.operations),
            )
            .help("--max-operations raises the limit; each takes about 100 bytes of memory"));
        }
        let (action, tuple) = self.asked(event)?;
        let operation = self.history.operations.len() as u32;
        let invoked = self.place();
        let time = if self.limits.ignore_times { None } else { event.time };
        self.history.operations.push(Operation {
            process,
            action,
            outcome: Outcome::Info,
            invoked,
            returned: NEVER,
            responded: NEVER,
            invoked_at: time.unwrap_or(NO_TIME),
            returned_at: NO_TIME,
            line,
            response_line: 0,
        });
        let outstanding = Outstanding {
            operation,
            tuple,
            id: event.id,
        };
        self.outstanding.insert(process, outstanding);
        Ok(())
    }

    fn respond(&mut self, process: u32, event: &Event<'_>) -> Result<(), Problem> {
        let line = event.line;
        let said = self.history.processes[process as usize];
        let Some(outstanding) = self.outstanding.remove(&process) else {
            return Err(Problem::at(
                Fault::NoInvocation,
                line,
                format!("process {said} is answered, but has nothing outstanding"),
            ));
        };
        if event.id.is_some() && event.id != outstanding.id {
            let (found, wanted) = (event.id.unwrap_or(0), outstanding.id);
            let wanted = wanted.map_or("none".into(), |id| id.to_string());
            return Err(Problem::at(
                Fault::Mismatch,
                line,
                format!(
                    "the response has the id {found}, but the outstanding operation of process {said} has {wanted}"
                ),
            ));
        }
        let at = outstanding.operation as usize;
        let asked = self.history.operations[at];
        if let Some(op) = event.op
            && !same_word(op, asked.action.word())
        {
            return Err(Problem::at(
                Fault::Mismatch,
                line,
                format!(
                    "the response is to `{}`, but process {said} had invoked `{}` in line {}",
                    op,
                    asked.action.word(),
                    asked.line
                ),
            ));
        }
        if let (Some(key), Some(found)) = (asked.action.key(), event.key.and_then(Raw::scalar))
            && *self.history.key(key) != found
        {
            let key = self.history.key(key);
            let message = format!("the response is about key {found}, but the invocation was about {key}");
            return Err(Problem::at(Fault::Mismatch, line, message));
        }
        let place = self.place();
        let action = match event.kind {
            EventKind::Ok => self.answered(asked.action, outstanding.tuple, event)?,
            _ => asked.action,
        };
        let operation = &mut self.history.operations[at];
        operation.action = action;
        operation.response_line = line;
        operation.responded = place;
        if !self.limits.ignore_times {
            operation.returned_at = event.time.unwrap_or(NO_TIME);
        }
        (operation.outcome, operation.returned) = match event.kind {
            EventKind::Ok => (Outcome::Ok, place),
            EventKind::Fail => (Outcome::Fail, place),
            _ => (Outcome::Info, NEVER),
        };
        Ok(())
    }

    fn place(&mut self) -> u32 {
        self.places += 1;
        self.places - 1
    }

    /// What an invocation asks for, and whether its key stands in its value.
    fn asked(&mut self, event: &Event<'_>) -> Result<(Action, bool), Problem> {
        let line = event.line;
        let nil = Raw::Nil;
        let value = event.value.unwrap_or(&nil);
        if matches!(event.op, None | Some("txn" | "read" | "write")) && is_transaction(value) {
            return Ok((self.transaction(value, line)?, false));
        }
        let Some(op) = event.op else {
            return Err(Problem::at(
                Fault::NotAnEvent,
                line,
                "the event doesn't say which operation it is",
            ));
        };
        let (key, value, tuple) = match (event.key, value.list()) {
            (Some(key), _) => (key, value, false),
            (None, Some([key, inner])) if event.tuples && is_tuple(op, inner) => (key, inner, true),
            _ => (&nil, value, false),
        };
        let key = self.key(key, line)?;
        let written = |builder: &mut Self| builder.written(value, op, line);
        let action = match op {
            "read" | "get" | "r" => Action::Read { key, saw: Saw::Unknown },
            "write" | "put" | "w" => Action::Write {
                key,
                value: written(self)?,
            },
            "cas" => {
                let Some([from, to]) = value.list() else {
                    let message = format!("a `cas` has the value [from to], not {}", value.shown());
                    return Err(Problem::at(Fault::BadValue, line, message));
                };
                Action::Cas {
                    key,
                    from: self.written(from, op, line)?,
                    to: self.written(to, op, line)?,
                    swapped: true,
                }
            }
            "append" => Action::Append {
                key,
                value: written(self)?,
            },
            "add" => Action::Add {
                key,
                value: written(self)?,
            },
            "remove" => Action::Remove {
                key,
                value: written(self)?,
            },
            "enqueue" => Action::Enqueue {
                key,
                value: written(self)?,
            },
            "dequeue" => Action::Dequeue { key, got: None },
            "txn" => {
                let message = format!(
                    "a transaction is a list of [:append key element] and [:r key nil], not {}",
                    value.shown()
                );
                return Err(Problem::at(Fault::BadValue, line, message));
            }
            other => {
                let near = WORDS.iter().find(|word| strsim::damerau_levenshtein(word, other) <= 2);
                let hint = near
                    .map(|near| format!(" (did you mean `{near}`?)"))
                    .unwrap_or_default();
                let shown: String = other.chars().take(40).collect();
                return Err(Problem::at(
                    Fault::UnknownOperation,
                    line,
                    format!("`{shown}` is no operation that is known{hint}"),
                )
                .help(format!("the operations are {}", WORDS.join(", "))));
            }
        };
        Ok((action, tuple))
    }

    /// The action with what was returned.
    fn answered(&mut self, action: Action, tuple: bool, event: &Event<'_>) -> Result<Action, Problem> {
        let line = event.line;
        let result = match (event.value, tuple) {
            (Some(Raw::List(items)), true) if items.len() == 2 => {
                let found = items[0].scalar();
                let key = action.key().map(|key| self.history.key(key).clone());
                if found != key {
                    let message = format!(
                        "the response is about key {}, but the invocation wasn't",
                        items[0].shown()
                    );
                    return Err(Problem::at(Fault::Mismatch, line, message));
                }
                Some(&items[1])
            }
            (value, true) if matches!(action, Action::Read { .. } | Action::Dequeue { .. }) => {
                let shown = value.map_or("nothing".to_string(), Raw::shown);
                let message =
                    format!("the invocation had the value [key nil], so the response has [key value], not {shown}");
                return Err(Problem::at(Fault::BadValue, line, message));
            }
            (value, _) => value,
        };
        let missing = || {
            let message = "the response doesn't say what was returned";
            Problem::at(Fault::BadValue, line, message).help("a read that found nothing has the value null")
        };
        Ok(match action {
            Action::Read { key, .. } => Action::Read {
                key,
                saw: match result.ok_or_else(missing)? {
                    Raw::List(items) => {
                        let span = self.span(items, line)?;
                        self.history.elements[span.range()].sort_unstable();
                        Saw::Many(span)
                    }
                    one => Saw::One(self.written(one, "read", line)?),
                },
            },
            Action::Dequeue { key, .. } => Action::Dequeue {
                key,
                got: Some(self.written(result.ok_or_else(missing)?, "dequeue", line)?),
            },
            Action::Cas { key, from, to, .. } => Action::Cas {
                key,
                from,
                to,
                swapped: event.swapped,
            },
            Action::Txn(span) => self.completed(span, result.ok_or_else(missing)?, line)?,
            other => other,
        })
    }

    fn val(&mut self, value: Value, line: u32) -> Result<Val, Problem> {
        if let Value::Text(text) = &value
            && !self.history.values.ids.contains_key(&value)
        {
            self.count_text(text.len(), line)?;
        }
        Ok(Val(self.history.values.id(value)))
    }

    fn count_text(&mut self, more: usize, line: u32) -> Result<(), Problem> {
        self.text += more;
        if self.text > self.limits.text {
            let message = format!("the texts of the history take more than {} bytes", self.limits.text);
            return Err(Problem::at(Fault::TooLarge, line, message));
        }
        Ok(())
    }

    fn written(&mut self, raw: &Raw, op: &str, line: u32) -> Result<Val, Problem> {
        match raw.scalar() {
            Some(value) => self.val(value, line),
            None => Err(Problem::at(
                Fault::BadValue,
                line,
                format!("the value of `{op}` is {}, which is a collection", raw.shown()),
            )),
        }
    }

    fn key(&mut self, raw: &Raw, line: u32) -> Result<Key, Problem> {
        let Some(key) = raw.scalar() else {
            let message = format!("the key is {}, which is a collection", raw.shown());
            return Err(Problem::at(Fault::BadValue, line, message));
        };
        if let Value::Text(text) = &key
            && !self.history.keys.ids.contains_key(&key)
        {
            self.count_text(text.len(), line)?;
        }
        Ok(Key(self.history.keys.id(key)))
    }

    fn span(&mut self, items: &[Raw], line: u32) -> Result<Span, Problem> {
        let start = self.history.elements.len();
        if start + items.len() > self.limits.elements {
            let message = format!(
                "the reads of the history returned more than {} elements",
                self.limits.elements
            );
            return Err(Problem::at(Fault::TooLarge, line, message));
        }
        for item in items {
            let value = self.written(item, "read", line)?;
            self.history.elements.push(value);
        }
        Ok(Span {
            start: start as u32,
            end: self.history.elements.len() as u32,
        })
    }

    fn transaction(&mut self, value: &Raw, line: u32) -> Result<Action, Problem> {
        let start = self.history.micros.len();
        let items = value.list().unwrap_or_default();
        if start + items.len() > self.limits.elements {
            let message = format!("the transactions have more than {} parts", self.limits.elements);
            return Err(Problem::at(Fault::TooLarge, line, message));
        }
        for item in items {
            let micro = match item.list() {
                Some([op, key, value]) => match op.word() {
                    Some("append") => Micro::Append(self.key(key, line)?, self.written(value, "append", line)?),
                    Some("r" | "read") => Micro::Read(self.key(key, line)?, None),
                    Some("w" | "write") => {
                        let message = "transactions that write registers aren't judged";
                        return Err(Problem::at(Fault::UnknownOperation, line, message)
                            .help("a transaction holds [:append key element] and [:r key nil]"));
                    }
                    _ => return Err(bad_micro(item, line)),
                },
                _ => return Err(bad_micro(item, line)),
            };
            self.history.micros.push(micro);
        }
        Ok(Action::Txn(Span {
            start: start as u32,
            end: self.history.micros.len() as u32,
        }))
    }

    /// A transaction with what its reads returned.
    fn completed(&mut self, span: Span, result: &Raw, line: u32) -> Result<Action, Problem> {
        let items = result.list().unwrap_or_default();
        if items.len() != span.len() {
            let message = format!(
                "the transaction was invoked with {} parts, and the response has {}",
                span.len(),
                items.len()
            );
            return Err(Problem::at(Fault::Mismatch, line, message));
        }
        for (at, item) in span.range().zip(items) {
            let Some([op, key, value]) = item.list() else {
                return Err(bad_micro(item, line));
            };
            let (asked, answered) = (self.history.micros[at], op.word().unwrap_or_default());
            let same = |wanted: Key| key.scalar().as_ref() == Some(self.history.key(wanted));
            match asked {
                Micro::Append(key, element)
                    if answered == "append"
                        && same(key)
                        && value.scalar().as_ref() == Some(self.history.value(element)) => {}
                Micro::Read(key, _) if matches!(answered, "r" | "read") && same(key) => {
                    let list = match value {
                        Raw::Nil => &[][..],
                        other => other.list().ok_or_else(|| bad_micro(item, line))?,
                    };
                    self.history.micros[at] = Micro::Read(key, Some(self.span(list, line)?));
                }
                _ => {
                    let message = format!("the response says {}, which wasn't asked for", item.shown());
                    return Err(Problem::at(Fault::Mismatch, line, message));
                }
            }
        }
        Ok(Action::Txn(span))
    }
}

/// The operations' names.
const WORDS: [&str; 9] = [
    "read", "write", "cas", "append", "add", "remove", "enqueue", "dequeue", "txn",
];

fn same_word(found: &str, wanted: &str) -> bool {
    found == wanted
        || matches!(
            (found, wanted),
            ("get" | "r", "read") | ("put" | "w", "write") | ("read" | "write", "txn")
        )
}

fn bad_micro(item: &Raw, line: u32) -> Problem {
    let message = format!("{} is no part of a transaction", item.shown());
    Problem::at(Fault::BadValue, line, message).help("a transaction holds [:append key element] and [:r key nil]")
}

/// Whether a value is a list of micro-operations.
fn is_transaction(value: &Raw) -> bool {
    let micro = |item: &Raw| {
        let word = item.list().and_then(<[Raw]>::first).and_then(Raw::word);
        matches!(word, Some("append" | "r" | "read" | "w" | "write"))
    };
    value
        .list()
        .is_some_and(|items| items.iter().all(micro) && !items.is_empty())
}

/// Whether the second of two items says that the first is a key: a `cas` has two scalars, or a key and two scalars.
fn is_tuple(op: &str, inner: &Raw) -> bool {
    op != "cas" || inner.list().is_some()
}
