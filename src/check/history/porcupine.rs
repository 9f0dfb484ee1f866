//! Reads log lines of Jepsen as Porcupine's tests of etcd hold them:
//! `INFO  jepsen.util - 4 :invoke :cas [2 4]`, with tabs or blanks between the parts and perhaps `:hint 7` behind.
//!
//! What a refused operation says is that of Porcupine's model: a `cas` that failed had found another value, and a read that timed
//! out says nothing. Lines of other kinds, and what the nemesis does, are read over.

use super::edn::Forms;
use super::lines::{Lines, Next};
use super::{Builder, Event, EventKind, Fault, Limits, Problem, Raw};
use std::io::BufRead;

pub(super) fn read(from: impl BufRead, limits: &Limits, builder: &mut Builder) {
    let mut lines = Lines::new(from, limits.line);
    while !builder.is_done() {
        match lines.next() {
            Ok(Next::End) => return,
            Ok(Next::Line { ended }) => {
                let line = lines.line;
                match event(&lines.text, line, builder) {
                    Ok(()) => {}
                    Err(_) if !ended => builder.complain(
                        Problem::at(Fault::EndsMidLine, line, "the history ends in the middle of this line")
                            .help("remove the rest of the line"),
                    ),
                    Err(problem) => builder.complain(problem),
                }
            }
            Err(problem) => {
                builder.complain(problem);
                return;
            }
        }
    }
}

fn event(text: &[u8], line: u32, builder: &mut Builder) -> Result<(), Problem> {
    let Ok(text) = std::str::from_utf8(text) else {
        return Err(Problem::at(Fault::Unreadable, line, "the line isn't UTF-8 text"));
    };
    let Some((_, said)) = text.split_once("jepsen.util - ").filter(|_| text.starts_with("INFO")) else {
        return Ok(());
    };
    let before = (text.len() - said.trim_start().len()) as u32;
    let said = said.trim();
    if said
        .split_whitespace()
        .next()
        .is_none_or(|process| process.parse::<u64>().is_err())
    {
        return Ok(());
    }
    let mut forms = Forms::new(said.as_bytes(), said.len() + 1);
    let mut parts = Vec::new();
    while parts.len() < 4 {
        match forms.next() {
            Ok(Some((part, _))) => parts.push(part),
            Ok(None) => break,
            Err(problem) => {
                let column = problem.column + before;
                return Err(Problem {
                    line,
                    column,
                    ..problem
                });
            }
        }
    }
    let wrong = |message: &str| Err(Problem::at(Fault::NotAnEvent, line, message));
    let [Raw::Int(process), kind, op, value] = parts.as_slice() else {
        return wrong("a line has a process, a type, an operation and a value");
    };
    let (kind, op) = (kind.word().unwrap_or_default(), op.word().unwrap_or_default());
    let (kind, swapped) = match (kind, op) {
        ("invoke", _) => (EventKind::Invoke, true),
        ("ok", _) => (EventKind::Ok, true),
        ("fail", "cas") if value.list().is_some() => (EventKind::Ok, false),
        ("fail", _) => (EventKind::Fail, true),
        ("info", _) => (EventKind::Info, true),
        _ => return wrong("the type is one of :invoke, :ok, :fail and :info"),
    };
    builder.event(Event {
        line,
        process: *process as u64,
        kind,
        op: Some(op),
        key: None,
        value: Some(value),
        tuples: false,
        swapped,
        time: None,
        id: None,
    });
    Ok(())
}
