//! Abstract types of keys, their operations, and the values that readers see.
//!
//! A program names a type of key and an operation on it, never a representation: how a model realises them is the model's
//! business. Values and elements are ids; the simulator doesn't carry their bytes.

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
}

impl KeyType {
    /// All of them, in the order of the reference.
    pub const ALL: &[Self] = &[Self::Register, Self::Counter, Self::Set];

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
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Register => "register",
            Self::Counter => "counter",
            Self::Set => "set",
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
}

impl Op {
    /// The type of key that has this operation.
    pub fn key_type(self) -> KeyType {
        match self {
            Self::Write(_) => KeyType::Register,
            Self::Add(_) => KeyType::Counter,
            Self::Insert(_) | Self::Remove(_) => KeyType::Set,
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
}

impl Value {
    /// A hash of the value; siblings count as a collection, in whatever order they are listed.
    pub fn digest(&self) -> u64 {
        match self {
            Self::Register(values) => digest_of_register(values),
            Self::Counter(sum) => digest_of_counter(*sum),
            Self::Set(elements) => digest_of_set(elements.iter().copied()),
        }
    }
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
}

impl Held {
    /// The value after `op`, computed from `base` (`None` stands for the empty value).
    ///
    /// # Panics
    /// Panics if `base` is of another type than `op`.
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
            (op, Some(base)) => panic!("{op:?} is no operation on {base:?}"),
        }
    }

    /// As a reader sees it.
    pub fn to_value(&self) -> Value {
        match self {
            Self::Register(value) => Value::Register(vec![*value]),
            Self::Counter(sum) => Value::Counter(*sum),
            Self::Set(elements) => Value::Set(elements.as_slice().to_vec()),
        }
    }

    /// The digest of [`Held::to_value`], without building it.
    pub fn digest(&self) -> u64 {
        match self {
            Self::Register(value) => digest_of_register(&[*value]),
            Self::Counter(sum) => digest_of_counter(*sum),
            Self::Set(elements) => digest_of_set(elements.as_slice().iter().copied()),
        }
    }

    /// How many values, sums or elements it carries.
    pub fn count(&self) -> u64 {
        match self {
            Self::Register(_) | Self::Counter(_) => 1,
            Self::Set(elements) => elements.as_slice().len() as u64,
        }
    }

    /// Bytes beside those values: a set is preceded by its length.
    pub fn framing(&self) -> u64 {
        match self {
            Self::Register(_) | Self::Counter(_) => 0,
            Self::Set(_) => super::wire::COUNT,
        }
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
    fn a_held_value_is_small() {
        assert_eq!(size_of::<Held>(), 16);
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
