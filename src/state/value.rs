//! Abstract types of keys, their operations, and the values that readers see.
//!
//! A program names a type of key and an operation on it, never a representation: how a model realises them is the model's
//! business. Values and elements are ids; the simulator doesn't carry their bytes.

use super::document::Document;
use super::hash;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The abstract type of a shared key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum KeyType {
    /// One value, written as a whole.
    Register,
    /// A sum of increments, which commute.
    Counter,
    /// Elements that are inserted and removed.
    Set,
    /// Characters in an order, inserted and deleted by their positions.
    Text,
    /// Fields, each with a register, a counter or both.
    Map,
}

impl KeyType {
    /// All of them, in the order of the reference.
    pub const ALL: &[Self] = &[Self::Register, Self::Counter, Self::Set, Self::Text, Self::Map];
    /// Those whose values are replaced or folded as a whole.
    pub const PLAIN: &[Self] = &[Self::Register, Self::Counter, Self::Set];

    /// Whether `op` is an operation of this type.
    pub fn admits(self, op: Op) -> bool {
        self == op.key_type()
    }

    /// The value of a key that nobody has written.
    pub fn empty(self) -> Value {
        match self {
            Self::Register => Value::Register(Vec::new()),
            Self::Counter => Value::Counter(0),
            Self::Set => Value::Set(Vec::new()),
            Self::Text => Value::Text(Vec::new()),
            Self::Map => Value::Map(Vec::new()),
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Register => "register",
            Self::Counter => "counter",
            Self::Set => "set",
            Self::Text => "text",
            Self::Map => "map",
        })
    }
}

/// An abstract update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Sets a register.
    Write(u64),
    /// Adds to a counter; sums wrap around at 64 bits.
    Add(i64),
    /// Puts an element into a set.
    Insert(u64),
    /// Takes an element out of a set.
    Remove(u64),
    /// Puts characters into a text, before the one at a position. What they are stands in a table beside the program: the
    /// operation names the first of them there.
    InsertText {
        /// The position, from 0; a position beyond the end is the end. It counts characters (Unicode code points) of the text
        /// that the client saw, if it says what it saw, else of the text that the accepting replica shows.
        at: u32,
        /// The first character's place in the table.
        from: u32,
        /// How many characters.
        length: u32,
    },
    /// Takes characters out of a text.
    DeleteText {
        /// The position of the first, as for an insert.
        at: u32,
        /// How many; those beyond the end aren't there.
        length: u32,
    },
    /// Writes the register of a map's field.
    Put {
        /// The field.
        field: u32,
        /// The value.
        value: u64,
    },
    /// Adds to the counter of a map's field.
    Increase {
        /// The field.
        field: u32,
        /// How much.
        by: i64,
    },
    /// Takes a field out of a map.
    Drop {
        /// The field.
        field: u32,
    },
}

impl Op {
    /// The type of key that has this operation.
    pub fn key_type(self) -> KeyType {
        match self {
            Self::Write(_) => KeyType::Register,
            Self::Add(_) => KeyType::Counter,
            Self::Insert(_) | Self::Remove(_) => KeyType::Set,
            Self::InsertText { .. } | Self::DeleteText { .. } => KeyType::Text,
            Self::Put { .. } | Self::Increase { .. } | Self::Drop { .. } => KeyType::Map,
        }
    }
}

/// What a reader sees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Value {
    /// The register's values: none before the first write, more than one where siblings are shown; ascending by version.
    Register(Vec<u64>),
    /// The counter's sum.
    Counter(i64),
    /// The set's elements, ascending.
    Set(Vec<u64>),
    /// The text's characters in their order.
    Text(Vec<Span>),
    /// The map's fields, ascending by name.
    Map(Vec<Field>),
}

impl Value {
    /// How much it comes to: the values of a register, the sum of a counter, the elements of a set, the fields of a map, the
    /// characters of a text.
    pub fn amount(&self) -> i64 {
        let many = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        match self {
            Self::Register(values) | Self::Set(values) => many(values.len()),
            Self::Counter(sum) => *sum,
            Self::Map(fields) => many(fields.len()),
            Self::Text(spans) => spans.iter().map(|span| i64::from(span.length)).sum(),
        }
    }
}

/// A field of a map, which has at least one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Which field it is.
    pub name: u32,
    /// The values of its register; more than one where siblings are shown, ascending by version.
    pub values: Vec<u64>,
    /// The sum of its counter, if that was ever increased.
    pub sum: Option<i64>,
}

/// Characters of a text that were inserted together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    /// The identity of the first; those of the others follow it. No other character of the text has it.
    pub id: u64,
    /// What the first one is: its place in the table of characters. The others follow it.
    pub from: u32,
    /// How many.
    pub length: u32,
}

impl Span {
    /// Whether `next` goes on where this one ends, in identity and in content.
    pub fn runs_on(self, next: Self) -> bool {
        let length = self.length;
        (next.id, next.from) == (self.id.wrapping_add(u64::from(length)), self.from.wrapping_add(length))
    }
}

/// Adds characters to spans; they become part of the last one if they go on where it ends.
pub fn push_span(spans: &mut Vec<Span>, next: Span) {
    match spans.last_mut() {
        _ if next.length == 0 => {}
        Some(last) if last.runs_on(next) => last.length += next.length,
        _ => spans.push(next),
    }
}

impl Value {
    /// The type of key that shows such a value.
    pub fn key_type(&self) -> KeyType {
        match self {
            Self::Register(_) => KeyType::Register,
            Self::Counter(_) => KeyType::Counter,
            Self::Set(_) => KeyType::Set,
            Self::Text(_) => KeyType::Text,
            Self::Map(_) => KeyType::Map,
        }
    }

    /// A hash of the value; siblings count as a collection, in whatever order they are listed.
    pub fn digest(&self) -> u64 {
        match self {
            Self::Register(values) => digest_of_register(values),
            Self::Counter(sum) => digest_of_counter(*sum),
            Self::Set(elements) => digest_of_set(elements.iter().copied()),
            Self::Text(spans) => {
                let parts = spans.iter().map(|span| characters_hash(span.id, span.length));
                digest_of_text(parts.fold(0, u64::wrapping_add))
            }
            Self::Map(fields) => digest_of_map(fields),
        }
    }
}

/// The sum of the hashes of `length` characters from this identity on.
///
/// The order of characters needs no place in it: two that are in a text together have one order, for ever and everywhere.
pub(crate) fn characters_hash(id: u64, length: u32) -> u64 {
    (0..u64::from(length)).fold(0, |sum, place| sum.wrapping_add(hash::mix(id.wrapping_add(place))))
}

/// The digest of a text, of the sum of its characters' hashes.
pub(crate) fn digest_of_text(sum: u64) -> u64 {
    hash::chain(4, sum)
}

/// The digest of a map's fields.
pub(crate) fn digest_of_map(fields: &[Field]) -> u64 {
    fields.iter().fold(5, |hash, field| {
        let sum = field.sum.map_or(0, digest_of_counter);
        let parts = [u64::from(field.name), digest_of_register(&field.values), sum];
        parts.into_iter().fold(hash, hash::chain)
    })
}

/// The digest of items in any order; `kind` tells types apart.
fn digest_of_many(kind: u64, items: impl Iterator<Item = u64>) -> u64 {
    let (count, sum) = items.fold((0u64, 0u64), |(count, sum), item| {
        (count + 1, sum.wrapping_add(hash::mix(item)))
    });
    hash::chain(hash::chain(kind, count), sum)
}

/// The digest of a register's values.
fn digest_of_register(values: &[u64]) -> u64 {
    digest_of_many(1, values.iter().copied())
}

/// The digest of a set's elements.
pub(crate) fn digest_of_set(elements: impl Iterator<Item = u64>) -> u64 {
    digest_of_many(3, elements)
}

/// The digest of a counter's sum.
pub(crate) fn digest_of_counter(sum: i64) -> u64 {
    hash::chain(2, sum as u64)
}

/// Elements of a set in ascending order, without repetition.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Elements(Vec<u64>);

impl Elements {
    /// The elements, ascending.
    pub fn as_slice(&self) -> &[u64] {
        &self.0
    }

    /// Puts `element` in, if it isn't there yet.
    pub fn insert(&mut self, element: u64) {
        if let Err(place) = self.0.binary_search(&element) {
            self.0.insert(place, element);
        }
    }

    /// Takes `element` out, if it is there.
    pub fn remove(&mut self, element: u64) {
        if let Ok(place) = self.0.binary_search(&element) {
            self.0.remove(place);
        }
    }
}

/// A whole value as one version of a key holds it: the unit of the models that replace values as a whole.
///
/// 16 bytes: stores hold millions of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Held {
    /// A register's value.
    Register(u64),
    /// A counter's sum.
    Counter(i64),
    /// A set's elements.
    Set(Box<Elements>),
    /// A text.
    Text(Box<Document>),
    /// A map's fields, ascending by name.
    Map(Box<Vec<Field>>),
}

impl Held {
    /// The value after `op`, computed from `base` (`None` stands for the empty value). Texts are edited by [`Document`], which
    /// wants to know by whom.
    ///
    /// # Panics
    /// Panics if `base` is of another type than `op`, or if that is an edit of a text.
    pub fn after(base: Option<&Self>, op: Op) -> Self {
        match (op, base) {
            (Op::Write(value), None | Some(Self::Register(_))) => Self::Register(value),
            (Op::Add(delta), None) => Self::Counter(delta),
            (Op::Add(delta), Some(Self::Counter(sum))) => Self::Counter(sum.wrapping_add(delta)),
            (Op::Insert(_) | Op::Remove(_), None | Some(Self::Set(_))) => {
                let mut elements = match base {
                    Some(Self::Set(held)) => held.clone(),
                    _ => Box::default(),
                };
                match op {
                    Op::Insert(element) => elements.insert(element),
                    Op::Remove(element) => elements.remove(element),
                    _ => unreachable!("only set operations come here"),
                }
                Self::Set(elements)
            }
            (Op::Put { field, .. } | Op::Increase { field, .. } | Op::Drop { field }, None | Some(Self::Map(_))) => {
                let mut fields = match base {
                    Some(Self::Map(held)) => held.clone(),
                    _ => Box::default(),
                };
                change_field(&mut fields, field, op);
                Self::Map(fields)
            }
            (op, base) => panic!("{op:?} is no operation on {base:?}"),
        }
    }

    /// As a reader sees it.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Register(value) => Value::Register(vec![*value]),
            Self::Counter(sum) => Value::Counter(*sum),
            Self::Set(elements) => Value::Set(elements.as_slice().to_vec()),
            Self::Text(document) => Value::Text(document.spans()),
            Self::Map(fields) => Value::Map(fields.to_vec()),
        }
    }

    /// The digest of [`Held::to_value`], without building it.
    pub fn digest(&self) -> u64 {
        match self {
            Self::Register(value) => digest_of_register(&[*value]),
            Self::Counter(sum) => digest_of_counter(*sum),
            Self::Set(elements) => digest_of_set(elements.as_slice().iter().copied()),
            Self::Text(document) => document.digest(),
            Self::Map(fields) => digest_of_map(fields),
        }
    }

    /// How many values, sums or elements it carries.
    pub fn count(&self) -> u64 {
        match self {
            Self::Register(_) | Self::Counter(_) => 1,
            Self::Set(elements) => elements.as_slice().len() as u64,
            Self::Text(_) => 0,
            Self::Map(fields) => {
                let parts = fields
                    .iter()
                    .map(|field| field.values.len() + usize::from(field.sum.is_some()));
                parts.sum::<usize>() as u64
            }
        }
    }

    /// How many characters it carries.
    pub fn characters(&self) -> u64 {
        match self {
            Self::Text(document) => document.length(),
            _ => 0,
        }
    }

    /// Bytes beside those values and characters: sets, texts and maps are preceded by their lengths, fields by their names.
    pub fn framing(&self) -> u64 {
        match self {
            Self::Register(_) | Self::Counter(_) => 0,
            Self::Set(_) | Self::Text(_) => super::wire::COUNT,
            Self::Map(fields) => super::wire::COUNT * (1 + fields.len() as u64),
        }
    }
}

/// Does an operation on a field of a map.
fn change_field(fields: &mut Vec<Field>, name: u32, op: Op) {
    let place = fields.binary_search_by_key(&name, |field| field.name);
    if let Op::Drop { .. } = op {
        place.map(|place| fields.remove(place)).ok();
        return;
    }
    let place = place.unwrap_or_else(|place| {
        let (values, sum) = (Vec::new(), None);
        fields.insert(place, Field { name, values, sum });
        place
    });
    let field = &mut fields[place];
    match op {
        Op::Put { value, .. } => field.values = vec![value],
        Op::Increase { by, .. } => field.sum = Some(field.sum.unwrap_or(0).wrapping_add(by)),
        _ => unreachable!("only operations on fields come here"),
    }
}

impl From<Vec<u64>> for Elements {
    fn from(mut elements: Vec<u64>) -> Self {
        elements.sort_unstable();
        elements.dedup();
        Self(elements)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_values_and_operations_are_small() {
        assert_eq!(size_of::<Held>(), 16);
        assert_eq!(size_of::<Op>(), 16);
    }

    #[test]
    fn operations_build_on_the_base() {
        let one = Held::after(None, Op::Insert(5));
        let two = Held::after(Some(&one), Op::Insert(3));
        assert_eq!(two.to_value(), Value::Set(vec![3, 5]));
        assert_eq!(Held::after(Some(&two), Op::Remove(5)).to_value(), Value::Set(vec![3]));
        assert_eq!(Held::after(Some(&two), Op::Remove(9)), two);
        assert_eq!(Held::after(Some(&Held::Counter(4)), Op::Add(-6)), Held::Counter(-2));
        assert_eq!(
            Held::after(Some(&Held::Counter(i64::MAX)), Op::Add(1)),
            Held::Counter(i64::MIN)
        );
        assert_eq!(Held::after(Some(&Held::Register(1)), Op::Write(2)), Held::Register(2));
    }

    #[test]
    fn digests_tell_values_and_types_apart() {
        let span = |id, length| Span { id, from: 0, length };
        let field = |values, sum| Field { name: 0, values, sum };
        let values = [
            Value::Register(vec![]),
            Value::Register(vec![0]),
            Value::Register(vec![0, 0]),
            Value::Register(vec![1, 2]),
            Value::Counter(0),
            Value::Counter(1),
            Value::Set(vec![]),
            Value::Set(vec![0]),
            Value::Set(vec![1, 2]),
            Value::Text(vec![]),
            Value::Text(vec![span(7, 1)]),
            Value::Text(vec![span(7, 2)]),
            Value::Text(vec![span(8, 2)]),
            Value::Map(vec![]),
            Value::Map(vec![field(vec![], Some(0))]),
            Value::Map(vec![field(vec![0], None)]),
            Value::Map(vec![field(vec![0], Some(0))]),
        ];
        for (i, a) in values.iter().enumerate() {
            for (j, b) in values.iter().enumerate() {
                assert_eq!(a.digest() == b.digest(), i == j, "{a:?} {b:?}");
            }
        }
        assert_eq!(
            Value::Register(vec![2, 1]).digest(),
            Value::Register(vec![1, 2]).digest()
        );
    }
}
