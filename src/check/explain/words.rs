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
        key => format!(" of key {key}"),
    }
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

    /// What stands on an operation's bar in a diagram: "w9 write 5", "r7 read 3".
    pub(in crate::check) fn label(&self, operation: usize) -> String {
        let history = self.0;
        let of = &history.operations()[operation];
        let value = |value| history.value(value).to_string();
        let what = match of.action {
            Action::Read { .. } => match self.result(operation) {
                Some(result) => format!("read {result}"),
                None => "read".into(),
            },
            Action::Dequeue { got, .. } => match got {
                Some(got) => format!("dequeue {}", value(got)),
                None => "dequeue".into(),
            },
            Action::Write { value: of, .. } => format!("write {}", value(of)),
            Action::Cas { from, to, swapped, .. } => {
                let not = if swapped { "" } else { " no" };
                format!("cas {}→{}{not}", value(from), value(to))
            }
            Action::Append { value: of, .. } => format!("append {}", value(of)),
            Action::Add { value: of, .. } => format!("add {}", value(of)),
            Action::Remove { value: of, .. } => format!("remove {}", value(of)),
            Action::Enqueue { value: of, .. } => format!("enqueue {}", value(of)),
            Action::Txn(span) => {
                let micro = |micro: &Micro| match *micro {
                    Micro::Append(key, of) => format!("{}+{}", history.key(key), value(of)),
                    Micro::Read(key, Some(list)) => format!("{}={}", history.key(key), shown_span(history, list)),
                    Micro::Read(key, None) => format!("{}=?", history.key(key)),
                };
                history.micros(span).iter().map(micro).collect::<Vec<_>>().join(" ")
            }
        };
        let key = match of.action.key().map(|key| history.key(key)) {
            None | Some(Value::Nil) => String::new(),
            Some(key) => format!("{key} "),
        };
        let end = match of.outcome {
            Outcome::Ok => "",
            Outcome::Fail => " failed",
            Outcome::Info => " ?",
        };
        format!("{} {key}{what}{end}", history.name(operation))
    }
}
