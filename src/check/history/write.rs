//! Writes a history: as JSON Lines, or as EDN for the checkers of Jepsen, Knossos and Elle.

use super::{Action, History, Micro, NEVER, NO_TIME, Operation, Outcome, Saw, Span, Val, Value};
use std::io::{self, Write};

/// A format that histories are written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Writing {
    /// Our own.
    JsonLines,
    /// A map a line. Keys stand in values, as in Jepsen's independent tests; a `cas` that found another value is `:fail`.
    Jepsen,
}

/// Writes a history, an event a line, in the order of events.
///
/// Reading it again gives the same operations with the same order of events. Jepsen's format doesn't tell a `cas` that found
/// another value from one that was refused.
///
/// # Errors
/// If `out` can't be written to.
pub fn write(history: &History, format: Writing, out: &mut impl Write) -> io::Result<()> {
    let mut events: Vec<(u32, u32, bool)> = Vec::with_capacity(history.operations.len() * 2);
    for (at, operation) in history.operations.iter().enumerate() {
        events.push((operation.invoked, at as u32, false));
        if operation.responded != NEVER {
            events.push((operation.responded, at as u32, true));
        }
    }
    events.sort_unstable();
    let mut line = String::new();
    for (index, (_, at, response)) in events.iter().enumerate() {
        line.clear();
        let operation = &history.operations[*at as usize];
        match format {
            Writing::JsonLines => json(history, operation, *at, *response, &mut line),
            Writing::Jepsen => edn(history, operation, index, *response, &mut line),
        }
        line.push('\n');
        out.write_all(line.as_bytes())?;
    }
    Ok(())
}

/// The type of an event, and its time.
fn kind(operation: &Operation, response: bool) -> (&'static str, u64) {
    if !response {
        return ("invoke", operation.invoked_at);
    }
    let kind = match operation.outcome {
        Outcome::Ok => "ok",
        Outcome::Fail => "fail",
        Outcome::Info => "info",
    };
    (kind, operation.returned_at)
}

fn joined<T>(items: &[T], between: &str, mut shown: impl FnMut(&T) -> String) -> String {
    let mut text = String::new();
    for (at, item) in items.iter().enumerate() {
        if at > 0 {
            text.push_str(between);
        }
        text.push_str(&shown(item));
    }
    text
}

fn json(history: &History, operation: &Operation, at: u32, response: bool, line: &mut String) {
    let plain = |value: &Value| match value {
        Value::Nil => "null".to_string(),
        Value::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
        Value::Real(bits) => serde_json::Value::from(f64::from_bits(*bits)).to_string(),
        other => other.to_string(),
    };
    let val = |value: Val| plain(history.value(value));
    let list = |span: Span| format!("[{}]", joined(history.elements(span), ",", |value| val(*value)));
    let (kind, time) = kind(operation, response);
    line.push_str(&format!(
        "{{\"process\":{},\"type\":\"{kind}\",\"op\":\"{}\"",
        history.processes[operation.process as usize],
        operation.action.word()
    ));
    if let Some(key) = operation.action.key()
        && key.0 != 0
    {
        line.push_str(&format!(",\"key\":{}", plain(history.key(key))));
    }
    let returned = response && operation.outcome == Outcome::Ok;
    let value = match operation.action {
        Action::Read { saw, .. } => match saw {
            Saw::One(value) if returned => Some(val(value)),
            Saw::Many(span) if returned => Some(list(span)),
            _ => None,
        },
        Action::Dequeue { got, .. } => got.filter(|_| returned).map(val),
        Action::Write { value, .. }
        | Action::Append { value, .. }
        | Action::Add { value, .. }
        | Action::Remove { value, .. }
        | Action::Enqueue { value, .. } => Some(val(value)),
        Action::Cas { from, to, .. } => Some(format!("[{},{}]", val(from), val(to))),
        Action::Txn(span) => {
            let micro = |micro: &Micro| match *micro {
                Micro::Append(key, value) => format!("[\"append\",{},{}]", plain(history.key(key)), val(value)),
                Micro::Read(key, saw) => {
                    let saw = saw.filter(|_| returned).map_or("null".to_string(), list);
                    format!("[\"r\",{},{saw}]", plain(history.key(key)))
                }
            };
            Some(format!("[{}]", joined(history.micros(span), ",", micro)))
        }
    };
    if let Some(value) = value {
        line.push_str(&format!(",\"value\":{value}"));
    }
    if let Action::Cas { swapped: false, .. } = operation.action
        && returned
    {
        line.push_str(",\"swapped\":false");
    }
    if time != NO_TIME {
        line.push_str(&format!(",\"time\":{time}"));
    }
    line.push_str(&format!(",\"id\":{}}}", history.number(at as usize)));
}

fn edn(history: &History, operation: &Operation, index: usize, response: bool, line: &mut String) {
    let val = |value: Val| edn_value(history.value(value));
    let (kind, time) = kind(operation, response);
    let refused = matches!(operation.action, Action::Cas { swapped: false, .. });
    let kind = if refused && kind == "ok" { "fail" } else { kind };
    let returned = response && kind == "ok";
    let list = |span: Span| joined(history.elements(span), " ", |value| val(*value));
    let value = match operation.action {
        Action::Read { saw, .. } => match saw {
            Saw::One(value) if returned => val(value),
            Saw::Many(span) if returned => {
                let elements = history.elements(span);
                // A set of EDN can't hold an element twice; what a broken store returned is shown as it was.
                let twice = elements.windows(2).any(|pair| pair[0] == pair[1]);
                if twice {
                    format!("[{}]", list(span))
                } else {
                    format!("#{{{}}}", list(span))
                }
            }
            _ => "nil".to_string(),
        },
        Action::Dequeue { got, .. } => got.filter(|_| returned).map_or("nil".to_string(), val),
        Action::Write { value, .. }
        | Action::Append { value, .. }
        | Action::Add { value, .. }
        | Action::Remove { value, .. }
        | Action::Enqueue { value, .. } => val(value),
        Action::Cas { from, to, .. } => format!("[{} {}]", val(from), val(to)),
        Action::Txn(span) => {
            let micro = |micro: &Micro| match *micro {
                Micro::Append(key, value) => format!("[:append {} {}]", edn_value(history.key(key)), val(value)),
                Micro::Read(key, saw) => {
                    let saw = saw.filter(|_| returned);
                    let saw = saw.map_or("nil".to_string(), |span| format!("[{}]", list(span)));
                    format!("[:r {} {saw}]", edn_value(history.key(key)))
                }
            };
            format!("[{}]", joined(history.micros(span), " ", micro))
        }
    };
    let value = match operation.action.key() {
        Some(key) if key.0 != 0 => format!("[{} {value}]", edn_value(history.key(key))),
        _ => value,
    };
    line.push_str(&format!(
        "{{:process {}, :type :{kind}, :f :{}, :value {value}",
        history.processes[operation.process as usize],
        operation.action.word()
    ));
    if time != NO_TIME {
        line.push_str(&format!(", :time {time}"));
    }
    line.push_str(&format!(", :index {index}}}"));
}

/// A value of EDN. A text that begins with a colon is a keyword, where it can be one.
fn edn_value(value: &Value) -> String {
    let Value::Text(text) = value else {
        return value.to_string();
    };
    let plain = |c: char| c.is_alphanumeric() || ".*+!-_?$%&=<>/#:'".contains(c);
    if text.len() > 1 && text.starts_with(':') && text.chars().all(plain) {
        return text.clone();
    }
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
