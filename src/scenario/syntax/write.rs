//! From the tree to text: canonical (for hashes), compact (for one line) and pretty (for people).
//!
//! All three can be read again and give an equal tree. The canonical text doesn't depend on the order of fields and map
//! entries, on white space, comments, or how a number or text was escaped; it does keep quantities as they were written.

use super::tree::{Field, Name, Node, Value};
use std::fmt::Write;

/// A text in quotes with all its escapes.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0' => out.push_str("\\0"),
            c if c.is_control() || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{feff}') => {
                let _ = write!(out, "\\u{{{:x}}}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

/// A float's shortest text that is read back as the same float, and not as an integer.
fn float(f: f64) -> String {
    if f.is_nan() {
        return "NaN".into();
    }
    if f.is_infinite() {
        return if f > 0.0 { "inf".into() } else { "-inf".into() };
    }
    let plain = format!("{f:?}");
    plain
}

/// A number as a message says it: one of hundreds of digits by its power of ten.
pub fn number(value: f64) -> String {
    let size = value.abs();
    match size == 0.0 || !size.is_finite() || (1e-9..1e17).contains(&size) {
        true => value.to_string(),
        false => format!("{value:e}"),
    }
}

/// The canonical text: no white space, fields and map entries sorted, a whole float written as a float.
pub fn canonical(node: &Node) -> String {
    let mut out = String::new();
    Writer {
        out: &mut out,
        sort: true,
    }
    .node(node);
    out
}

/// Everything on one line, in the order of the tree.
pub fn compact(node: &Node) -> String {
    let mut out = String::new();
    Writer {
        out: &mut out,
        sort: false,
    }
    .node(node);
    out
}

/// Everything on one line with blanks behind commas and colons, as a person would write it.
pub fn line(node: &Node) -> String {
    flat(node, usize::MAX).unwrap_or_default()
}

/// The BLAKE3 hash of the canonical text: what addresses a scenario.
pub fn hash(node: &Node) -> blake3::Hash {
    blake3::hash(canonical(node).as_bytes())
}

struct Writer<'o> {
    out: &'o mut String,
    sort: bool,
}

impl Writer<'_> {
    fn node(&mut self, node: &Node) {
        match &node.value {
            Value::List(items) => self.items('[', items, ']'),
            Value::Tuple(name, items) => {
                self.name(name.as_deref());
                self.items('(', items, ')');
            }
            Value::Map(entries) => {
                let mut texts: Vec<(String, &Node)> = entries
                    .iter()
                    .map(|(key, value)| (if self.sort { canonical(key) } else { compact(key) }, value))
                    .collect();
                if self.sort {
                    texts.sort_by(|a, b| a.0.cmp(&b.0));
                }
                self.out.push('{');
                for (at, (key, value)) in texts.iter().enumerate() {
                    self.comma(at);
                    self.out.push_str(key);
                    self.out.push(':');
                    self.node(value);
                }
                self.out.push('}');
            }
            Value::Struct(name, fields) => {
                self.name(name.as_deref());
                let mut fields: Vec<&Field> = fields.iter().collect();
                if self.sort {
                    fields.sort_by(|a, b| a.name.text.cmp(&b.name.text));
                }
                self.out.push('(');
                for (at, field) in fields.iter().enumerate() {
                    self.comma(at);
                    self.out.push_str(&field.name.text);
                    self.out.push(':');
                    self.node(&field.value);
                }
                self.out.push(')');
            }
            _ => self.out.push_str(&scalar(&node.value)),
        }
    }

    fn name(&mut self, name: Option<&Name>) {
        if let Some(name) = name {
            self.out.push_str(&name.text);
        }
    }

    fn comma(&mut self, at: usize) {
        if at > 0 {
            self.out.push(',');
        }
    }

    fn items(&mut self, open: char, items: &[Node], close: char) {
        self.out.push(open);
        for (at, item) in items.iter().enumerate() {
            self.comma(at);
            self.node(item);
        }
        self.out.push(close);
    }
}

fn scalar(value: &Value) -> String {
    match value {
        Value::Bool(b) => b.to_string(),
        Value::Integer(i) => i.to_string(),
        Value::Float(f) => float(*f),
        Value::Text(text) => quoted(text),
        Value::Char('\'') => r"'\''".into(),
        Value::Char('"') => r#"'"'"#.into(),
        Value::Char(c) => {
            let text = quoted(&c.to_string());
            format!("'{}'", &text[1..text.len() - 1])
        }
        Value::Word(word) => word.clone(),
        // Never read back: a tree with such a value is no scenario.
        Value::Unread => "?".into(),
        _ => String::new(),
    }
}

/// Text for people: the order of the tree, four blanks of indent, short things on one line.
pub fn pretty(node: &Node) -> String {
    let mut out = String::new();
    pretty_node(node, 0, 0, &mut out);
    out.push('\n');
    out
}

/// The width that a line of pretty text may have.
const WIDTH: usize = 100;

/// The text on one line with blanks behind commas and colons, unless it is longer than `room`.
fn flat(node: &Node, room: usize) -> Option<String> {
    let mut out = String::new();
    flat_into(node, room, &mut out).then_some(out)
}

fn flat_into(node: &Node, room: usize, out: &mut String) -> bool {
    let sequence =
        |open: &str, close: char, out: &mut String, parts: &mut dyn Iterator<Item = (Option<String>, &Node)>| {
            out.push_str(open);
            for (at, (key, part)) in parts.enumerate() {
                if at > 0 {
                    out.push_str(", ");
                }
                if let Some(key) = key {
                    out.push_str(&key);
                    out.push_str(": ");
                }
                if !flat_into(part, room, out) {
                    return false;
                }
            }
            out.push(close);
            out.len() <= room
        };
    match &node.value {
        Value::List(items) => sequence("[", ']', out, &mut items.iter().map(|i| (None, i))),
        Value::Tuple(name, items) => sequence(&opened(name), ')', out, &mut items.iter().map(|i| (None, i))),
        Value::Map(entries) => sequence("{", '}', out, &mut entries.iter().map(|(k, v)| (Some(compact(k)), v))),
        Value::Struct(name, fields) => sequence(
            &opened(name),
            ')',
            out,
            &mut fields.iter().map(|f| (Some(f.name.text.clone()), &f.value)),
        ),
        value => {
            out.push_str(&scalar(value));
            out.len() <= room
        }
    }
}

fn opened(name: &Option<Box<Name>>) -> String {
    format!("{}(", name.as_ref().map_or("", |n| &n.text))
}

/// Writes `node` behind `used` characters of a line that is indented by `indent`.
fn pretty_node(node: &Node, indent: usize, used: usize, out: &mut String) {
    // The outermost bracket always gets lines of its own.
    let room = if used == 0 {
        0
    } else {
        WIDTH.saturating_sub(used).max(20)
    };
    if let Some(line) = flat(node, room) {
        out.push_str(&line);
        return;
    }
    let inner = indent + 4;
    let mut sequence = |open: &str, close: char, parts: &mut dyn Iterator<Item = (Option<String>, &Node)>| {
        out.push_str(open);
        out.push('\n');
        for (key, part) in parts {
            out.extend(std::iter::repeat_n(' ', inner));
            let mut used = inner;
            if let Some(key) = key {
                out.push_str(&key);
                out.push_str(": ");
                used += key.chars().count() + 2;
            }
            pretty_node(part, inner, used + 1, out);
            out.push_str(",\n");
        }
        out.extend(std::iter::repeat_n(' ', indent));
        out.push(close);
    };
    match &node.value {
        Value::List(items) if !items.is_empty() => sequence("[", ']', &mut items.iter().map(|i| (None, i))),
        Value::Tuple(name, items) if !items.is_empty() => {
            sequence(&opened(name), ')', &mut items.iter().map(|i| (None, i)))
        }
        Value::Map(entries) if !entries.is_empty() => {
            sequence("{", '}', &mut entries.iter().map(|(k, v)| (Some(compact(k)), v)))
        }
        Value::Struct(name, fields) => sequence(
            &opened(name),
            ')',
            &mut fields.iter().map(|f| (Some(f.name.text.clone()), &f.value)),
        ),
        _ => out.push_str(&compact(node)),
    }
}
