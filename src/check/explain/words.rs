//! Operations in words.

use crate::check::history::{Action, History, Key, Micro, Outcome, Saw, Value};
use crate::check::linearizable::objects::shown_span;

/// Puts a history's operations into words.
#[derive(Debug, Clone, Copy)]
pub(in crate::check) struct Words<'a>(pub &'a History);

/// " of key x", or nothing where there are no keys.
pub(in crate::check) fn of_key(history: &History, key: Key) -> String {
    match history.key(key) {
        Value::Nil => String::new(),
        _ => format!(" of key {}", key_name(history, key)),
    }
}

/// A key as it stands in sentences: a text that is a plain word without quotes.
pub(in crate::check) fn key_name(history: &History, key: Key) -> String {
    let plain = |c: char| c.is_alphanumeric() || "_-./:".contains(c);
    match history.key(key) {
        Value::Text(text) if text.starts_with(char::is_alphabetic) && text.chars().all(plain) => text.clone(),
        other => other.to_string(),
    }
}

/// How much a label says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// "w9 x write 5".
    Full,
    /// "w9 x:=5".
    Short,
}

/// "a", "a or b", "a, b or c".
pub(in crate::check) fn either(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [one] => one.clone(),
        [rest @ .., last] => format!("{} or {last}", rest.join(", ")),
    }
}

impl Words<'_> {
    /// "write w9 of 5".
    pub(in crate::check) fn noun(&self, operation: usize) -> String {
        let history = self.0;
        let name = history.name(operation);
        let value = |value| history.value(value).to_string();
        match history.operations()[operation].action {
            Action::Read { .. } => format!("read {name}"),
            Action::Write { value: of, .. } => format!("write {name} of {}", value(of)),
            Action::Cas { from, to, .. } => format!("cas {name} from {} to {}", value(from), value(to)),
            Action::Append { value: of, .. } => format!("append {name} of {}", value(of)),
            Action::Add { value: of, .. } => format!("add {name} of {}", value(of)),
            Action::Remove { value: of, .. } => format!("remove {name} of {}", value(of)),
            Action::Enqueue { value: of, .. } => format!("enqueue {name} of {}", value(of)),
            Action::Dequeue { .. } => format!("dequeue {name}"),
            Action::Txn(_) => format!("transaction {name}"),
        }
    }

    /// "read r7 returned 3", "write w9 of 5 was acknowledged".
    pub(in crate::check) fn did(&self, operation: usize) -> String {
        let noun = self.noun(operation);
        let of = &self.0.operations()[operation];
        match (of.outcome, self.result(operation)) {
            (Outcome::Ok, Some(result)) => format!("{noun} returned {result}"),
            (Outcome::Ok, None) => match of.action {
                Action::Cas { swapped: false, .. } => format!("{noun} found another value"),
                _ => format!("{noun} was acknowledged"),
            },
            (Outcome::Fail, _) => format!("{noun} failed"),
            (Outcome::Info, _) => format!("{noun} has no known outcome"),
        }
    }

    /// "read r7 had returned 3", "write w9 of 5 had been acknowledged".
    pub(in crate::check) fn had(&self, operation: usize) -> String {
        let noun = self.noun(operation);
        match self.result(operation) {
            Some(result) => format!("{noun} had returned {result}"),
            None => format!("{noun} had been acknowledged"),
        }
    }

    /// What an operation returned, if it says anything.
    pub(in crate::check) fn result(&self, operation: usize) -> Option<String> {
        let history = self.0;
        match history.operations()[operation].action {
            Action::Read { saw, .. } => match saw {
                Saw::One(value) => Some(history.value(value).to_string()),
                Saw::Many(span) => Some(shown_span(history, span)),
                Saw::Unknown => None,
            },
            Action::Dequeue { got: Some(value), .. } => Some(history.value(value).to_string()),
            _ => None,
        }
    }

    /// What stands on an operation's bar in a diagram; the keys are left out where all are the same.
    pub(in crate::check) fn label(&self, operation: usize, with_key: bool, detail: Detail) -> String {
        let history = self.0;
        let of = &history.operations()[operation];
        let value = |value| history.value(value).to_string();
        let is_short = detail == Detail::Short;
        let verb = |word: &str, sign: &str, what: String| {
            if is_short {
                format!("{sign}{what}")
            } else {
                format!("{word} {what}")
            }
        };
        let what = match of.action {
            Action::Read { .. } => match self.result(operation) {
                Some(result) => verb("read", "=", result),
                None => "read".into(),
            },
            Action::Dequeue { got, .. } => match got {
                Some(got) => verb("dequeue", "→", value(got)),
                None => "dequeue".into(),
            },
            Action::Write { value: of, .. } => verb("write", ":=", value(of)),
            Action::Cas { from, to, swapped, .. } => {
                let not = if swapped { "" } else { " no" };
                verb("cas", "", format!("{}→{}{not}", value(from), value(to)))
            }
            Action::Append { value: of, .. } => verb("append", "+", value(of)),
            Action::Add { value: of, .. } => verb("add", "+", value(of)),
            Action::Remove { value: of, .. } => verb("remove", "-", value(of)),
            Action::Enqueue { value: of, .. } => verb("enqueue", "+", value(of)),
            Action::Txn(span) => {
                let micro = |micro: &Micro| match *micro {
                    Micro::Append(key, of) => format!("{}+{}", key_name(history, key), value(of)),
                    Micro::Read(key, Some(list)) => format!("{}={}", key_name(history, key), shown_span(history, list)),
                    Micro::Read(key, None) => format!("{}=?", key_name(history, key)),
                };
                history.micros(span).iter().map(micro).collect::<Vec<_>>().join(" ")
            }
        };
        let key = match of.action.key() {
            Some(key) if with_key && *history.key(key) != Value::Nil => {
                key_name(history, key) + if is_short { "" } else { " " }
            }
            _ => String::new(),
        };
        let end = match of.outcome {
            Outcome::Ok => "",
            Outcome::Fail => " failed",
            Outcome::Info => " ?",
        };
        format!("{} {key}{what}{end}", history.name(operation))
    }
}
