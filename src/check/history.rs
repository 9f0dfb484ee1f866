//! Histories: what clients asked of a store, and what they were told, in the order in which it happened.
//!
//! An operation has an invocation and, mostly, a response. Which of two operations came first in real time is a matter of the
//! places of these events in the history: `a` precedes `b` if `a` returned before `b` was invoked. Times are kept for people.
//! Values, keys and processes are interned: a checker compares numbers.

mod builder;
mod edn;
mod excerpt;
mod faults;
mod jepsen;
mod jsonl;
mod lines;
mod porcupine;
mod raw;
mod read;
#[cfg(test)]
mod tests;
mod write;

pub use builder::{Builder, Event, EventKind};
pub use faults::{Fault, Problem, Problems};
pub use raw::{Raw, number};
pub use read::{Format, Limits, Reading, detect, read};
pub use write::{Writing, write};

use std::collections::BTreeMap;

/// A place in the order of events that no event has: an operation that isn't known to have returned returns there.
pub const NEVER: u32 = u32::MAX;

/// A time that isn't known.
pub const NO_TIME: u64 = u64::MAX;

/// A value that was written or read, as a number in its history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Val(pub u32);

impl Val {
    /// The value of what was never written.
    pub const NIL: Self = Self(0);
}

/// An object of the store, as a number in its history. What has no key in the history is the object of key `nil`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(pub u32);

/// A value as it stands in a file. Keywords of EDN are texts that begin with a colon.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// Nothing: `nil`, `null`.
    Nil,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number, by its bits.
    Real(u64),
    /// A text.
    Text(String),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nil => f.write_str("nil"),
            Self::Bool(value) => write!(f, "{value}"),
            Self::Int(value) => write!(f, "{value}"),
            Self::Real(bits) => write!(f, "{:?}", f64::from_bits(*bits)),
            Self::Text(text) if text.starts_with(':') => f.write_str(text),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

/// Some of a history's elements or micro-operations, side by side in its arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// How many there are.
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether there are none.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    fn range(self) -> std::ops::Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// What a read returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saw {
    /// It isn't known to have returned.
    Unknown,
    /// One value; `nil` if there was none.
    One(Val),
    /// The elements of a set, in ascending order of their numbers and each once, unless the reply held some twice.
    Many(Span),
}

/// A part of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Micro {
    /// An element is added to the end of a list.
    Append(Key, Val),
    /// A list is read; `None` if it isn't known what was returned.
    Read(Key, Option<Span>),
}

/// What was asked for, with what was returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A register or a set is read.
    Read {
        /// The object.
        key: Key,
        /// What was returned.
        saw: Saw,
    },
    /// A register is written.
    Write {
        /// The object.
        key: Key,
        /// The new value.
        value: Val,
    },
    /// A register is written if it holds a value.
    Cas {
        /// The object.
        key: Key,
        /// What it must hold.
        from: Val,
        /// The new value.
        to: Val,
        /// Whether it held that. An acknowledged `false` says that it held something else.
        swapped: bool,
    },
    /// A text is added to the end of the text that a register holds.
    Append {
        /// The object.
        key: Key,
        /// What is added.
        value: Val,
    },
    /// An element is put into a set.
    Add {
        /// The object.
        key: Key,
        /// The element.
        value: Val,
    },
    /// An element is taken out of a set.
    Remove {
        /// The object.
        key: Key,
        /// The element.
        value: Val,
    },
    /// An element is put at the end of a queue.
    Enqueue {
        /// The object.
        key: Key,
        /// The element.
        value: Val,
    },
    /// The element at the head of a queue is taken.
    Dequeue {
        /// The object.
        key: Key,
        /// The element, `nil` if the queue was empty; `None` if it isn't known.
        got: Option<Val>,
    },
    /// Several lists are read and appended to at once.
    Txn(Span),
}

impl Action {
    /// What the operation is called in files and messages.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Read { .. } => "read",
            Self::Write { .. } => "write",
            Self::Cas { .. } => "cas",
            Self::Append { .. } => "append",
            Self::Add { .. } => "add",
            Self::Remove { .. } => "remove",
            Self::Enqueue { .. } => "enqueue",
            Self::Dequeue { .. } => "dequeue",
            Self::Txn(_) => "txn",
        }
    }

    /// The object that it is about; a transaction may be about several.
    pub fn key(&self) -> Option<Key> {
        match *self {
            Self::Read { key, .. }
            | Self::Write { key, .. }
            | Self::Cas { key, .. }
            | Self::Append { key, .. }
            | Self::Add { key, .. }
            | Self::Remove { key, .. }
            | Self::Enqueue { key, .. }
            | Self::Dequeue { key, .. } => Some(key),
            Self::Txn(_) => None,
        }
    }

    fn letter(&self) -> char {
        match self {
            Self::Read { .. } => 'r',
            Self::Write { .. } => 'w',
            Self::Cas { .. } => 'c',
            Self::Append { .. } | Self::Add { .. } => 'a',
            Self::Remove { .. } => 'm',
            Self::Enqueue { .. } => 'e',
            Self::Dequeue { .. } => 'd',
            Self::Txn(_) => 't',
        }
    }
}

/// What the client knows of the end of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was acknowledged: it took effect between invocation and response.
    Ok,
    /// It was refused: it never takes effect.
    Fail,
    /// Nobody knows: it takes effect at any time after its invocation, or never.
    Info,
}

/// An operation of a history.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Operation {
    /// The process, by its place in [`History::processes`].
    pub process: u32,
    /// What was asked for and returned.
    pub action: Action,
    /// What the client knows of its end.
    pub outcome: Outcome,
    /// The place of the invocation in the order of events.
    pub invoked: u32,
    /// The place after which it can't take effect any more: that of the response, [`NEVER`] for one of unknown outcome.
    pub returned: u32,
    /// The place of the response, whatever it says; [`NEVER`] if there is none.
    pub responded: u32,
    /// When it was invoked, in nanoseconds; [`NO_TIME`] if the history doesn't say.
    pub invoked_at: u64,
    /// When it returned (or was given up), in nanoseconds; [`NO_TIME`] if the history doesn't say or it never did.
    pub returned_at: u64,
    /// The line of the invocation.
    pub line: u32,
    /// The line of the response, 0 if there is none.
    pub response_line: u32,
}

impl Operation {
    /// Whether this returned before `other` was invoked.
    pub fn precedes(&self, other: &Self) -> bool {
        self.returned < other.invoked
    }

    /// Whether it may have taken effect.
    pub fn may_count(&self) -> bool {
        self.outcome != Outcome::Fail
    }
}

/// Values with a number each, in the order of their first use.
#[derive(Debug, Clone, Default)]
struct Interned {
    list: Vec<Value>,
    ids: BTreeMap<Value, u32>,
    /// The small whole numbers, which most values are, by value.
    small: Vec<u32>,
}

/// Whole numbers below this are looked up without a search.
const SMALL: i64 = 1 << 20;

impl Interned {
    fn with_nil() -> Self {
        let mut new = Self::default();
        new.id(Value::Nil);
        new
    }

    fn find(&self, value: &Value) -> Option<u32> {
        match value {
            Value::Int(number) if (0..SMALL).contains(number) => {
                self.small.get(*number as usize).copied().filter(|id| *id != u32::MAX)
            }
            other => self.ids.get(other).copied(),
        }
    }

    fn id(&mut self, value: Value) -> u32 {
        let next = self.list.len() as u32;
        if let Value::Int(number) = value
            && (0..SMALL).contains(&number)
        {
            let at = number as usize;
            if self.small.len() <= at {
                self.small.resize(at + 1, u32::MAX);
            }
            if self.small[at] == u32::MAX {
                self.small[at] = next;
                self.list.push(value);
            }
            return self.small[at];
        }
        let list = &mut self.list;
        *self.ids.entry(value).or_insert_with_key(|value| {
            list.push(value.clone());
            next
        })
    }
}

/// A history: operations in the order of their invocations.
///
/// Guarantees: an operation's invocation comes before its response; no two events share a place; operations of a process
/// don't overlap, but for those of unknown outcome, after which a process may go on.
#[derive(Clone)]
pub struct History {
    operations: Vec<Operation>,
    processes: Vec<u64>,
    values: Interned,
    keys: Interned,
    elements: Vec<Val>,
    micros: Vec<Micro>,
    initial: Val,
    /// In an excerpt: the operations' numbers in the whole.
    names: Vec<u32>,
}

/// As lines of JSON: in the words of the file, so that a failing test can be read.
impl std::fmt::Debug for History {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut lines = Vec::new();
        write(self, Writing::JsonLines, &mut lines).map_err(|_| std::fmt::Error)?;
        write!(f, "\n{}", String::from_utf8_lossy(&lines))
    }
}

impl Default for History {
    fn default() -> Self {
        Self {
            operations: Vec::new(),
            processes: Vec::new(),
            values: Interned::with_nil(),
            keys: Interned::with_nil(),
            elements: Vec::new(),
            micros: Vec::new(),
            initial: Val::NIL,
            names: Vec::new(),
        }
    }
}

impl History {
    /// The operations, in the order of their invocations.
    pub fn operations(&self) -> &[Operation] {
        &self.operations
    }

    /// The processes as the history numbers them.
    pub fn processes(&self) -> &[u64] {
        &self.processes
    }

    /// How many different keys there are.
    pub fn keys(&self) -> usize {
        let mut used: Vec<Key> = self.operations.iter().flat_map(|of| self.keys_of(of)).collect();
        used.sort_unstable();
        used.dedup();
        used.len()
    }

    /// What registers hold before anything is written.
    pub fn initial(&self) -> Val {
        self.initial
    }

    /// Says what registers hold before anything is written; `nil` otherwise.
    pub fn start_with(&mut self, value: Value) {
        self.initial = Val(self.values.id(value));
    }

    /// How many different values there are; their numbers lie below.
    pub fn values(&self) -> usize {
        self.values.list.len()
    }

    /// The number of a value, if it occurs.
    pub fn find(&self, value: &Value) -> Option<Val> {
        self.values.find(value).map(Val)
    }

    /// A value as it stands in the file.
    pub fn value(&self, value: Val) -> &Value {
        &self.values.list[value.0 as usize]
    }

    /// A key as it stands in the file.
    pub fn key(&self, key: Key) -> &Value {
        &self.keys.list[key.0 as usize]
    }

    /// The elements that a set or a list held.
    pub fn elements(&self, span: Span) -> &[Val] {
        &self.elements[span.range()]
    }

    /// The parts of a transaction.
    pub fn micros(&self, span: Span) -> &[Micro] {
        &self.micros[span.range()]
    }

    /// The keys that an operation is about, each once.
    pub fn keys_of(&self, operation: &Operation) -> Vec<Key> {
        match operation.action {
            Action::Txn(span) => {
                let key = |micro: &Micro| match *micro {
                    Micro::Append(key, _) | Micro::Read(key, _) => key,
                };
                let mut keys: Vec<Key> = self.micros(span).iter().map(key).collect();
                keys.sort_unstable();
                keys.dedup();
                keys
            }
            action => action.key().into_iter().collect(),
        }
    }

    /// The number of an operation from 1 on: its own, or the one that it had where an excerpt was taken from.
    pub fn number(&self, operation: usize) -> u32 {
        self.names.get(operation).copied().unwrap_or(operation as u32 + 1)
    }

    /// The name of an operation in explanations: a letter for what it does, and its number.
    pub fn name(&self, operation: usize) -> String {
        format!(
            "{}{}",
            self.operations[operation].action.letter(),
            self.number(operation)
        )
    }
}
