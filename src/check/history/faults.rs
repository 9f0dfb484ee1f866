//! What can be wrong with a history, each kind with a number, a title and an explanation.
//!
//! The numbers continue those of scenarios (`quorate help E0601`), and are never reused.

use std::fmt;

macro_rules! faults {
    ($($name:ident = $number:literal, $title:literal, $explanation:literal;)*) => {
        /// What kind of problem a history has.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u16)]
        pub enum Fault {
            $(#[doc = $title] $name = $number,)*
        }

        impl Fault {
            /// Every kind, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$name),*];

            /// A short name of the problem.
            pub fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            /// What the problem is, and the way out: Markdown.
            pub fn explanation(self) -> &'static str {
                match self { $(Self::$name => $explanation,)* }
            }
        }
    };
}

faults! {
    Unreadable = 601, "a history can't be read",
    "The file doesn't exist, can't be read, or isn't UTF-8 text.";
    UnknownFormat = 602, "the format of a history isn't recognised",
    "The first line tells which format a history has: a line of JSON Lines begins with `{\"`, an operation of Jepsen's EDN with `{:` \
     (or the whole with `[` or `(`), a line of Porcupine's etcd logs with `INFO`. `--from` names the format where this isn't so.";
    EndsMidLine = 603, "a history ends in the middle of a line",
    "The last operation is cut off: whoever wrote the file was interrupted. Remove the rest of the line; operations without a \
     response count as operations of unknown outcome.";
    NotAnEvent = 604, "a line that is no event",
    "Every line of JSON Lines is an object with `process`, `type`, `op` and what belongs to it, and every form of an EDN history \
     a map with `:process`, `:type`, `:f` and `:value`. The message says what is missing or wrong; a field that is given twice is wrong. `docs/histories.md` describes \
     the formats.";
    UnknownOperation = 605, "an unknown operation",
    "The operations are `read`, `write`, `cas`, `append`, `add`, `remove`, `enqueue`, `dequeue` and `txn`; `get` and `put` are other \
     names of the first two. Which of them an object has depends on `--spec`.";
    BadValue = 606, "a value that doesn't fit the operation",
    "A `cas` has the value `[from to]`, a transaction a list of `[:append key element]` and `[:r key nil]`. Written values are \
     numbers, texts, booleans or nil, not collections, and are never left out. Numbers are read exactly or not at all: whole ones have \
     64 bits, others 17 digits. An object's key is a field of its own in JSON Lines; in EDN it is `:key`, or \
     the value is `[key value]` as in Jepsen's independent tests.";
    NoInvocation = 607, "a response without an invocation",
    "A process was answered that had nothing outstanding, so nobody knows what was asked or when. The history may have been cut at \
     its beginning, or a line was lost.";
    Overlapping = 608, "operations of one process overlap",
    "A process does one thing at a time: it can't invoke an operation while another one is outstanding. Two clients were logged \
     under one number, or a response is missing: one that never came is logged as `info`. An `id` belongs to one operation.";
    Mismatch = 609, "a response to something else",
    "The response names another operation, key, process or value than the invocation that it answers. A read returns what it found; \
     the acknowledgement of an update repeats its value, or has none.";
    TimeGoesBack = 610, "times go back",
    "Events stand in the order in which they happened, so their times never fall. Clocks of several machines were mixed, or the \
     lines were sorted by something else. If the order of the lines is right and only the times aren't, `--ignore-times` reads the \
     history without them.";
    TooLarge = 611, "a history is too large",
    "Histories are read as a stream, but what is judged is held in memory, so there are limits: on operations, on elements that \
     reads returned, on text, and on the length of a line. `--max-operations` raises the first; a history of many keys can be cut \
     by key for everything but sequential consistency and transactions.";
    NotInSpec = 612, "an operation that the object doesn't have",
    "`--spec` says what the objects of the history are, and the history holds an operation that such an object doesn't have, or a \
     read that returned another kind of thing. The message names the specifications that have it.";
}

impl Fault {
    /// The number behind the `E`.
    pub fn number(self) -> u16 {
        self as u16
    }

    /// The kind with this name: `E0601`, `e0601` or `601`.
    pub fn find(name: &str) -> Option<Self> {
        let number: u16 = name.trim_start_matches(['E', 'e']).parse().ok()?;
        Self::ALL.iter().copied().find(|of| of.number() == number)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "E{:04}", self.number())
    }
}

/// One problem of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its kind.
    pub fault: Fault,
    /// The line, from 1 on; 0 if it is about the file.
    pub line: u32,
    /// The column in bytes, from 1 on; 0 if it is about the whole line.
    pub column: u32,
    /// What is wrong, without a full stop.
    pub message: String,
    /// What to do about it; may be empty.
    pub help: String,
}

impl Problem {
    /// A problem of a line.
    pub fn at(fault: Fault, line: u32, message: impl Into<String>) -> Self {
        Self {
            fault,
            line,
            column: 0,
            message: message.into(),
            help: String::new(),
        }
    }

    /// The same at a column.
    pub fn column(self, column: u32) -> Self {
        Self { column, ..self }
    }

    /// The same with a way out.
    pub fn help(self, help: impl Into<String>) -> Self {
        Self {
            help: help.into(),
            ..self
        }
    }

    /// The problem as text, in a file of this name. Control characters of the file don't reach the terminal.
    pub fn shown(&self, file: &str) -> String {
        let place = match (self.line, self.column) {
            (0, _) => file.to_string(),
            (line, 0) => format!("{file}:{line}"),
            (line, column) => format!("{file}:{line}:{column}"),
        };
        let mut text = format!("{place}: error[{}]: {}", self.fault, self.message);
        if !self.help.is_empty() {
            text.push_str(&format!("\n  help: {}", self.help));
        }
        let safe = |c: char| {
            if c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
                ' '
            } else {
                c
            }
        };
        text.chars().map(safe).collect()
    }
}

/// The problems of a history: the first ones, and how many more there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    /// In the order of their lines.
    pub list: Vec<Problem>,
    /// How many more there are.
    pub beyond: usize,
}

impl Problems {
    /// How many are kept.
    pub const KEPT: usize = 20;

    /// Adds a problem.
    pub fn push(&mut self, problem: Problem) {
        if self.list.len() < Self::KEPT {
            self.list.push(problem);
        } else {
            self.beyond += 1;
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All of them as text, in a file of this name, with a closing line.
    pub fn shown(&self, file: &str) -> String {
        let mut text = String::new();
        for problem in &self.list {
            text.push_str(&problem.shown(file));
            text.push('\n');
        }
        let all = self.list.len() + self.beyond;
        let more = if self.beyond > 0 {
            format!(", {} not shown", self.beyond)
        } else {
            String::new()
        };
        if let Some(first) = self.list.first() {
            text.push_str(&format!(
                "{all} error{}{more}; `quorate help {}` explains the first\n",
                if all == 1 { "" } else { "s" },
                first.fault
            ));
        }
        text
    }
}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Self {
            list: vec![problem],
            beyond: 0,
        }
    }
}
