//! Hashing of what travels between replicas, or between the members of a protocol, for the fingerprint: every field of it, and nothing about where it lies.
//!
//! A [`serde::Serializer`] that keeps nothing but a running hash: monomorphised, it is a few multiplications a field, and no
//! type needs a hash of its own that might forget a field.

use crate::state::hash::chain;
use serde::ser::{self, Serialize};
use std::fmt::Display;

/// The hash of a value's content; equal values hash equally on every platform.
pub(crate) fn content_hash<T: Serialize + ?Sized>(value: &T) -> u64 {
    let mut fold = Fold(0);
    match value.serialize(&mut fold) {
        Ok(()) => fold.0,
        Err(Unhashable(why)) => panic!("what replicas exchange can always be hashed: {why}"),
    }
}

struct Fold(u64);

impl Fold {
    fn add(&mut self, word: u64) -> Result<(), Unhashable> {
        self.0 = chain(self.0, word);
        Ok(())
    }

    fn bytes(&mut self, bytes: &[u8]) -> Result<(), Unhashable> {
        self.add(bytes.len() as u64)?;
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.add(u64::from_le_bytes(word))?;
        }
        Ok(())
    }
}

/// Only a `Serialize` implementation that refuses its own value leads here.
#[derive(Debug)]
struct Unhashable(String);

impl Display for Unhashable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Unhashable {}

impl ser::Error for Unhashable {
    fn custom<T: Display>(message: T) -> Self {
        Self(message.to_string())
    }
}

/// Implements the methods for numbers.
macro_rules! numbers {
    ($($method:ident($number:ty)),* $(,)?) => {
        $(fn $method(self, value: $number) -> Result<(), Unhashable> {
            self.add(value as u64)
        })*
    };
}

impl<'a> ser::Serializer for &'a mut Fold {
    type Ok = ();
    type Error = Unhashable;
    type SerializeSeq = Parts<'a>;
    type SerializeTuple = Parts<'a>;
    type SerializeTupleStruct = Parts<'a>;
    type SerializeTupleVariant = Parts<'a>;
    type SerializeMap = Parts<'a>;
    type SerializeStruct = Parts<'a>;
    type SerializeStructVariant = Parts<'a>;

    numbers!(
        serialize_bool(bool),
        serialize_i8(i8),
        serialize_i16(i16),
        serialize_i32(i32),
        serialize_i64(i64),
        serialize_u8(u8),
        serialize_u16(u16),
        serialize_u32(u32),
        serialize_u64(u64),
        serialize_char(char),
    );

    fn serialize_i128(self, value: i128) -> Result<(), Unhashable> {
        self.serialize_u128(value as u128)
    }

    fn serialize_u128(self, value: u128) -> Result<(), Unhashable> {
        self.add(value as u64)?;
        self.add((value >> 64) as u64)
    }

    fn serialize_f32(self, value: f32) -> Result<(), Unhashable> {
        self.add(u64::from(value.to_bits()))
    }

    fn serialize_f64(self, value: f64) -> Result<(), Unhashable> {
        self.add(value.to_bits())
    }

    fn serialize_str(self, value: &str) -> Result<(), Unhashable> {
        self.bytes(value.as_bytes())
    }

    fn serialize_bytes(self, value: &[u8]) -> Result<(), Unhashable> {
        self.bytes(value)
    }

    fn serialize_none(self) -> Result<(), Unhashable> {
        self.add(0)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<(), Unhashable> {
        self.add(1)?;
        value.serialize(self)
    }

    fn serialize_unit(self) -> Result<(), Unhashable> {
        self.add(0)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Result<(), Unhashable> {
        Ok(())
    }

    fn serialize_unit_variant(self, _: &'static str, index: u32, _: &'static str) -> Result<(), Unhashable> {
        self.add(u64::from(index))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Result<(), Unhashable> {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        value: &T,
    ) -> Result<(), Unhashable> {
        self.add(u64::from(index))?;
        value.serialize(self)
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Parts<'a>, Unhashable> {
        Ok(Parts { fold: self, count: 0 })
    }

    fn serialize_tuple(self, _: usize) -> Result<Parts<'a>, Unhashable> {
        Ok(Parts { fold: self, count: 0 })
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Unhashable> {
        Ok(Parts { fold: self, count: 0 })
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Unhashable> {
        self.add(u64::from(index))?;
        Ok(Parts { fold: self, count: 0 })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Parts<'a>, Unhashable> {
        Ok(Parts { fold: self, count: 0 })
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Parts<'a>, Unhashable> {
        Ok(Parts { fold: self, count: 0 })
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        index: u32,
        _: &'static str,
        _: usize,
    ) -> Result<Parts<'a>, Unhashable> {
        self.add(u64::from(index))?;
        Ok(Parts { fold: self, count: 0 })
    }
}

/// A list, a map or a structure; its length goes last, so that nested lists can't be told apart by nothing.
struct Parts<'a> {
    fold: &'a mut Fold,
    count: u64,
}

impl Parts<'_> {
    fn part<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unhashable> {
        self.count += 1;
        value.serialize(&mut *self.fold)
    }

    fn end(self) -> Result<(), Unhashable> {
        self.fold.add(self.count)
    }
}

/// Implements the traits of composite values.
macro_rules! composites {
    ($($trait:ident :: $method:ident),* $(,)?) => {
        $(impl ser::$trait for Parts<'_> {
            type Ok = ();
            type Error = Unhashable;

            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unhashable> {
                self.part(value)
            }

            fn end(self) -> Result<(), Unhashable> {
                Parts::end(self)
            }
        })*
    };
}

composites!(
    SerializeSeq::serialize_element,
    SerializeTuple::serialize_element,
    SerializeTupleStruct::serialize_field,
    SerializeTupleVariant::serialize_field,
);

impl ser::SerializeMap for Parts<'_> {
    type Ok = ();
    type Error = Unhashable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), Unhashable> {
        self.part(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), Unhashable> {
        self.part(value)
    }

    fn end(self) -> Result<(), Unhashable> {
        Parts::end(self)
    }
}

impl ser::SerializeStruct for Parts<'_> {
    type Ok = ();
    type Error = Unhashable;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Result<(), Unhashable> {
        self.part(value)
    }

    fn end(self) -> Result<(), Unhashable> {
        Parts::end(self)
    }
}

impl ser::SerializeStructVariant for Parts<'_> {
    type Ok = ();
    type Error = Unhashable;

    fn serialize_field<T: Serialize + ?Sized>(&mut self, _: &'static str, value: &T) -> Result<(), Unhashable> {
        self.part(value)
    }

    fn end(self) -> Result<(), Unhashable> {
        Parts::end(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Dot, DotSet, Held, Op, Origin};

    #[test]
    fn whatever_differs_hashes_differently() {
        let dot = |replica, number| Dot::new(Origin::new(replica, 0), number);
        let kinds: [Vec<u64>; 5] = [
            vec![
                content_hash(&Held::Register(1)),
                content_hash(&Held::Register(2)),
                content_hash(&Held::Counter(1)),
                content_hash(&Held::after(None, Op::Insert(1))),
            ],
            vec![
                content_hash(&None::<u64>),
                content_hash(&Some(0u64)),
                content_hash(&Some(1u64)),
            ],
            [
                vec![],
                vec![vec![]],
                vec![vec![1u64], vec![2]],
                vec![vec![1, 2], vec![]],
                vec![vec![1, 2]],
            ]
            .iter()
            .map(content_hash)
            .collect(),
            [dot(0, 1), dot(0, 2), dot(1, 1)]
                .map(|dot| content_hash(&DotSet::one(dot)))
                .to_vec(),
            ["ab", "abc", "ab\0"].map(content_hash).to_vec(),
        ];
        for hashes in kinds {
            for (i, a) in hashes.iter().enumerate() {
                for (j, b) in hashes.iter().enumerate() {
                    assert_eq!(a == b, i == j, "{i} and {j}");
                }
            }
        }
        assert_eq!(content_hash(&Held::Register(1)), content_hash(&Held::Register(1)));
    }
}
