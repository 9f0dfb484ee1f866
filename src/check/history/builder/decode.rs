//! What events ask for and return: from values of EDN or JSON to actions.

use super::{Builder, Event};
use crate::check::history::{Action, Fault, Key, Micro, Operation, Problem, Raw, Saw, Span, Val, Value};

impl Builder {
    /// What an invocation asks for, and whether its key stands in its value.
    pub(super) fn asked(&mut self, event: &Event<'_>) -> Result<(Action, bool), Problem> {
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
        if event.value.is_none() && matches!(op, "write" | "put" | "w" | "append" | "add" | "remove" | "enqueue") {
            let message = format!("the `{op}` doesn't say its value");
            return Err(
                Problem::at(Fault::BadValue, line, message).help("null (nil in EDN) is a value: nothing is written")
            );
        }
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
    pub(super) fn answered(&mut self, asked: &Operation, tuple: bool, event: &Event<'_>) -> Result<Action, Problem> {
        let (line, action) = (event.line, asked.action);
        let result = match (event.value, tuple) {
            (Some(Raw::List(items)), true) if items.len() == 2 => {
                let found = items[0].scalar();
                let key = action.key().map(|key| self.history.key(key).clone());
                if found != key {
                    let message = format!(
                        "the response is about key {}, but the {} of line {} wasn't",
                        items[0].shown(),
                        action.word(),
                        asked.line
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
        self.check_repeated(asked, result, line)?;
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

    /// Refuses an acknowledgement of something else than was asked for. One that says nothing acknowledges what was.
    fn check_repeated(&self, asked: &Operation, result: Option<&Raw>, line: u32) -> Result<(), Problem> {
        let Some(result) = result.filter(|result| **result != Raw::Nil) else {
            return Ok(());
        };
        let is = |raw: &Raw, value: Val| raw.scalar().as_ref() == Some(self.history.value(value));
        let (same, wanted) = match asked.action {
            Action::Write { value, .. }
            | Action::Append { value, .. }
            | Action::Add { value, .. }
            | Action::Remove { value, .. }
            | Action::Enqueue { value, .. } => (is(result, value), self.history.value(value).to_string()),
            Action::Cas { from, to, .. } => {
                let same = matches!(result.list(), Some([old, new]) if is(old, from) && is(new, to));
                (
                    same,
                    format!("[{} {}]", self.history.value(from), self.history.value(to)),
                )
            }
            Action::Read { .. } | Action::Dequeue { .. } | Action::Txn(_) => return Ok(()),
        };
        if same {
            return Ok(());
        }
        let message = format!(
            "the response has the value {}, but the {} of line {} has {wanted}",
            result.shown(),
            asked.action.word(),
            asked.line
        );
        Err(Problem::at(Fault::Mismatch, line, message)
            .help("the response to an update repeats its value, or has none"))
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
