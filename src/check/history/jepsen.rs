//! Reads histories of Jepsen: maps of EDN, one after the other or in one vector or list.
//!
//! Processes that aren't numbers are nemeses, and read over. In logs of key-value stores as Porcupine has them (`:f :get` with
//! `:key`), what was never written reads as the empty text; it is taken for `nil`, which it means.

use super::edn::Forms;
use super::{Builder, Event, EventKind, Fault, Limits, Problem, Raw};
use std::io::BufRead;

pub(super) fn read(from: impl BufRead, limits: &Limits, builder: &mut Builder) {
    let mut forms = Forms::new(from, limits.line);
    while !builder.is_done() {
        match forms.next() {
            Ok(None) => return,
            Ok(Some((form, line))) => {
                if let Err(problem) = event(&form, line, builder) {
                    builder.complain(problem);
                }
            }
            // After a form that can't be read, it isn't known where the next one begins.
            Err(problem) => {
                builder.complain(problem);
                return;
            }
        }
    }
}

fn event(form: &Raw, line: u32, builder: &mut Builder) -> Result<(), Problem> {
    let wrong = |message: String| Err(Problem::at(Fault::NotAnEvent, line, message));
    if !matches!(form, Raw::Map(_)) {
        return wrong(format!(
            "an operation is a map like {{:process 0, :type :invoke, …}}, not {}",
            form.shown()
        ));
    }
    for name in ["process", "type", "f", "value", "time", "key"] {
        if form.has_twice(name) {
            return wrong(format!("the field :{name} is given twice"));
        }
    }
    let process = match form.get("process") {
        Some(Raw::Int(process)) if *process >= 0 => *process as u64,
        Some(Raw::Int(process)) => return wrong(format!("the process is {process}, which is negative")),
        Some(Raw::Text(_)) => return Ok(()),
        _ => return wrong("the operation has no :process".to_string()),
    };
    let kind = match form.get("type").and_then(Raw::word) {
        Some("invoke") => EventKind::Invoke,
        Some("ok") => EventKind::Ok,
        Some("fail") => EventKind::Fail,
        Some("info") => EventKind::Info,
        Some(other) => {
            let shown: String = other.chars().take(40).collect();
            return wrong(format!(
                "`:{shown}` is no type of an operation: :invoke, :ok, :fail, :info"
            ));
        }
        None => return wrong("the operation has no :type".to_string()),
    };
    let op = match form.get("f") {
        None | Some(Raw::Nil) => None,
        Some(f) => match f.word() {
            Some(word) => Some(word),
            None => return wrong(format!("the function :f is {}, which is no name", f.shown())),
        },
    };
    let time = match form.get("time") {
        None | Some(Raw::Nil) => None,
        // Tools that don't know the time write -1.
        Some(Raw::Int(time)) => u64::try_from(*time).ok(),
        Some(other) => return wrong(format!("the time is {}, not nanoseconds", other.shown())),
    };
    let (nil, value) = (Raw::Nil, form.get("value"));
    let absent = matches!((op, value), (Some("get" | "put"), Some(Raw::Text(text))) if text.is_empty());
    let value = if absent { Some(&nil) } else { value };
    builder.event(Event {
        line,
        process,
        kind,
        op,
        key: form.get("key"),
        value,
        tuples: true,
        swapped: true,
        time,
        id: None,
    });
    Ok(())
}
