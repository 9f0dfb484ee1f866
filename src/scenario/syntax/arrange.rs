//! Canonical order: the same scenario, however it is laid out, as one text.
//!
//! Fields stand in the order in which the language declares them and entries of maps by their keys; what a list says stays in
//! its order. Types bring themselves into order ([`Decode::arrange`](super::Decode::arrange)); here is what they have in common.

use super::tree::{Node, Value};
use super::write;

/// How a value is arranged.
pub type Arrange = fn(&mut Node);

/// Arranges a struct `(a: 1)`, or the named arguments of a variant, by the order of `declared`.
pub fn fields(node: &mut Node, declared: &[(&'static str, Arrange)]) {
    let fields = match &mut node.value {
        Value::Struct(_, fields) => fields,
        // `What((a: 1))` is another way to write `What(a: 1)`.
        Value::Tuple(Some(_), items) if items.len() == 1 => return self::fields(&mut items[0], declared),
        _ => return,
    };
    let place = |name: &str| declared.iter().position(|(of, _)| *of == name);
    for field in fields.iter_mut() {
        if let Some(at) = place(&field.name.text) {
            declared[at].1(&mut field.value);
        }
    }
    // Those that the language doesn't know come last.
    fields.sort_by_key(|field| place(&field.name.text).unwrap_or(declared.len()));
}

/// Arranges the one argument of a variant, which may be written in place: `What((a: 1))` or `What(a: 1)`.
pub fn payload(node: &mut Node, arrange: Arrange) {
    match &mut node.value {
        Value::Struct(name, _) => {
            let variant = name.take();
            arrange(node);
            if let Value::Struct(name, _) = &mut node.value {
                *name = variant;
            }
        }
        _ => items(node, &[arrange]),
    }
}

/// Arranges the unnamed arguments of a variant, or the items of a tuple.
pub fn items(node: &mut Node, arrange: &[Arrange]) {
    if let Value::Tuple(_, items) = &mut node.value
        && items.len() == arrange.len()
    {
        items.iter_mut().zip(arrange).for_each(|(item, arrange)| arrange(item));
    }
}

/// Arranges a map: its entries by their keys, if `sorted`, and every value.
pub fn map(node: &mut Node, arrange: Arrange, sorted: bool) {
    if let Value::Map(entries) = &mut node.value {
        entries.iter_mut().for_each(|(_, value)| arrange(value));
        if sorted {
            entries.sort_by_cached_key(|(key, _)| write::canonical(key));
        }
    }
}
