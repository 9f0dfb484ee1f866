//! Builds a history event by event, and finds what can't be.
//!
//! Whoever has events in order can build a history: the readers of files do, and a run's records can.

mod decode;

use super::{Fault, History, Limits, NEVER, NO_TIME, Operation, Outcome, Problem, Problems, Raw};
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
            let message = format!(
                "the response is about key {found}, but the {} of line {} was about {key}",
                asked.action.word(),
                asked.line
            );
            return Err(Problem::at(Fault::Mismatch, line, message));
        }
        let place = self.place();
        let action = match event.kind {
            EventKind::Ok => self.answered(&asked, outstanding.tuple, event)?,
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
}

fn same_word(found: &str, wanted: &str) -> bool {
    found == wanted
        || matches!(
            (found, wanted),
            ("get" | "r", "read") | ("put" | "w", "write") | ("read" | "write", "txn")
        )
}
