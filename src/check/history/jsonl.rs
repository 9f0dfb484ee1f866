//! Reads our own format: an event a line, each a JSON object.
//!
//! `{"process":0,"type":"invoke","op":"write","key":"x","value":3,"time":1200}`; `docs/histories.md` describes the fields.

use super::lines::{Lines, Next};
use super::{Builder, Event, EventKind, Fault, Limits, Problem, Raw};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fmt;
use std::io::BufRead;

const FIELDS: [&str; 8] = ["process", "type", "op", "key", "value", "swapped", "time", "id"];

/// What the message about a field that is given twice begins with.
const TWICE: &str = "the field `";

/// A JSON object whose fields are given once each.
struct Object(BTreeMap<String, Json>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut from: A) -> Result<Object, A::Error> {
                let mut fields = BTreeMap::new();
                while let Some(name) = from.next_key::<String>()? {
                    if fields.contains_key(&name) {
                        let shown: String = name.chars().take(40).collect();
                        return Err(A::Error::custom(format!("{TWICE}{shown}` is given twice")));
                    }
                    fields.insert(name, from.next_value()?);
                }
                Ok(Object(fields))
            }
        }
        from.deserialize_map(Fields)
    }
}

pub(super) fn read(from: impl BufRead, limits: &Limits, builder: &mut Builder) {
    let mut lines = Lines::new(from, limits.line);
    while !builder.is_done() {
        match lines.next() {
            Ok(Next::End) => return,
            Ok(Next::Line { ended }) => {
                if lines.text.iter().all(u8::is_ascii_whitespace) {
                    continue;
                }
                if let Err(problem) = event(&lines.text, lines.line, ended, builder) {
                    builder.complain(problem);
                }
            }
            Err(problem) => {
                builder.complain(problem);
                return;
            }
        }
    }
}

fn event(text: &[u8], line: u32, ended: bool, builder: &mut Builder) -> Result<(), Problem> {
    let Object(object) = serde_json::from_slice(text).map_err(|error| {
        let column = error.column() as u32;
        if error.is_eof() && !ended {
            let message = "the history ends in the middle of this line";
            return Problem::at(Fault::EndsMidLine, line, message)
                .help("remove the rest of the line: an operation without a response counts as one of unknown outcome");
        }
        let said = error.to_string();
        let said = said.split(" at line ").next().unwrap_or_default();
        let said = if said.starts_with(TWICE) {
            said.to_string()
        } else {
            format!("this is no JSON object: {said}")
        };
        Problem::at(Fault::NotAnEvent, line, said).column(column)
    })?;
    check_numbers(text, line)?;
    if let Some(unknown) = object.keys().find(|key| !FIELDS.contains(&key.as_str())) {
        let near = FIELDS
            .iter()
            .find(|field| strsim::damerau_levenshtein(field, unknown) <= 2);
        let hint = near
            .map(|near| format!(" (did you mean `{near}`?)"))
            .unwrap_or_default();
        let shown: String = unknown.chars().take(40).collect();
        return Err(not(line, format!("an event has no field `{shown}`{hint}"))
            .help(format!("its fields are {}", FIELDS.join(", "))));
    }
    let number = |name: &str| match object.get(name) {
        None => Ok(None),
        Some(value) => match value.as_u64() {
            Some(number) => Ok(Some(number)),
            None => Err(not(
                line,
                format!("`{name}` is a whole number of 0 or more, not {value}"),
            )),
        },
    };
    let Some(process) = number("process")? else {
        return Err(not(line, "the event has no `process`"));
    };
    let kind = match object.get("type").and_then(Json::as_str) {
        Some("invoke") => EventKind::Invoke,
        Some("ok") => EventKind::Ok,
        Some("fail") => EventKind::Fail,
        Some("info") => EventKind::Info,
        Some(other) => {
            let shown: String = other.chars().take(40).collect();
            return Err(
                not(line, format!("`{shown}` is no type of an event")).help("the types are invoke, ok, fail and info")
            );
        }
        None => return Err(not(line, "the event has no `type`").help("the types are invoke, ok, fail and info")),
    };
    let op = match object.get("op") {
        None => None,
        Some(Json::String(op)) => Some(op.as_str()),
        Some(other) => return Err(not(line, format!("`op` is a text, not {other}"))),
    };
    let swapped = match object.get("swapped") {
        None => true,
        Some(Json::Bool(swapped)) => *swapped,
        Some(other) => return Err(not(line, format!("`swapped` is true or false, not {other}"))),
    };
    let raw = |name: &str| object.get(name).map(|value| plain(value, line)).transpose();
    let (key, value) = (raw("key")?, raw("value")?);
    builder.event(Event {
        line,
        process,
        kind,
        op,
        key: key.as_ref(),
        value: value.as_ref(),
        tuples: false,
        swapped,
        time: number("time")?,
        id: number("id")?,
    });
    Ok(())
}

/// Refuses numbers that would be read as another number: the parser makes floats of whole numbers that are too large for it.
fn check_numbers(text: &[u8], line: u32) -> Result<(), Problem> {
    let mut at = 0;
    while at < text.len() {
        match text[at] {
            b'"' => {
                at += 1;
                while at < text.len() && text[at] != b'"' {
                    at += 1 + usize::from(text[at] == b'\\');
                }
                at += 1;
            }
            b'-' | b'0'..=b'9' => {
                let is_part = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
                let length = text[at..].iter().take_while(|byte| is_part(byte)).count();
                let number = std::str::from_utf8(&text[at..at + length]).expect("it is ASCII");
                if let Err(why) = super::number(number) {
                    return Err(Problem::at(Fault::BadValue, line, why).column(at as u32 + 1));
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    Ok(())
}

fn not(line: u32, message: impl Into<String>) -> Problem {
    Problem::at(Fault::NotAnEvent, line, message)
}

fn plain(value: &Json, line: u32) -> Result<Raw, Problem> {
    Ok(match value {
        Json::Null => Raw::Nil,
        Json::Bool(value) => Raw::Bool(*value),
        Json::Number(number) => match number.as_i64() {
            Some(whole) => Raw::Int(whole),
            None => Raw::Real(number.as_f64().expect("the numbers were checked")),
        },
        Json::String(text) => Raw::Text(text.clone()),
        Json::Array(items) => Raw::List(items.iter().map(|item| plain(item, line)).collect::<Result<_, _>>()?),
        Json::Object(_) => {
            return Err(Problem::at(Fault::BadValue, line, "a value or key is a JSON object")
                .help("values are numbers, texts, booleans, null, and lists of these"));
        }
    })
}
