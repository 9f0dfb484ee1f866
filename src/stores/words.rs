//! How a store's records put operations and versions into words; what writes them and what reads them meet here.

use crate::state::{Dot, DotRange, DotSet, Op, Origin, Versions};

/// A store and one of its keys as a word of a record.
#[inline]
pub const fn store_key(store: u32, key: u32) -> u64 {
    (store as u64) << 32 | key as u64
}

/// The store and the key of [`store_key`].
pub const fn of_store_key(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

/// An operation as two words: what it does, and with what.
pub const fn op_words(op: Op) -> [u64; 2] {
    match op {
        Op::Write(value) => [0, value],
        Op::Add(delta) => [1, delta as u64],
        Op::Insert(element) => [2, element],
        Op::Remove(element) => [3, element],
    }
}

/// The operation of [`op_words`].
///
/// # Panics
/// Panics on a word that names no operation.
pub const fn of_op_words(words: [u64; 2]) -> Op {
    match words[0] {
        0 => Op::Write(words[1]),
        1 => Op::Add(words[1] as i64),
        2 => Op::Insert(words[1]),
        3 => Op::Remove(words[1]),
        _ => panic!("a word names no operation"),
    }
}

/// An origin as a word.
#[inline]
pub const fn origin_word(origin: Origin) -> u64 {
    (origin.replica() as u64) << 16 | origin.life() as u64
}

/// The dots of a record [`Applied`](crate::world::record::What::Applied), from its words `b` and `c`.
pub const fn of_range_words(origin: u64, numbers: u64) -> DotRange {
    DotRange {
        origin: Origin::new((origin >> 16) as u16, origin as u16),
        first: (numbers >> 32) as u32,
        last: numbers as u32,
    }
}

/// Heads are announced by their number; effects by this bit and the number of their contiguous runs.
const EFFECTS: u64 = 1 << 32;

/// Appends versions: heads as their number and dots; effects as a head word, the highest dot of each contiguous run, and the
/// loose dots.
pub fn push_versions(versions: &Versions, words: &mut Vec<u64>) {
    match versions {
        Versions::Heads(heads) => {
            words.push(heads.len() as u64);
            words.extend(heads.iter().map(|dot| dot.bits()));
        }
        Versions::Effects(set) => {
            let tops = set.vector().tops();
            words.push(EFFECTS | tops.len() as u64);
            words.extend(tops.iter().chain(set.loose()).map(|dot| dot.bits()));
        }
    }
}

/// The versions of [`push_versions`], which are the last words of a record.
pub fn of_version_words(words: &[u64]) -> Versions {
    let Some((&head, dots)) = words.split_first() else {
        return Versions::Heads(Vec::new());
    };
    let dots = dots.iter().map(|&bits| Dot::from_bits(bits));
    if head & EFFECTS == 0 {
        return Versions::Heads(dots.collect());
    }
    let runs = head as u32 as usize;
    let mut set = DotSet::default();
    for (place, dot) in dots.enumerate() {
        if place < runs {
            set.insert_run(dot);
        } else {
            set.insert(dot);
        }
    }
    Versions::Effects(set)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn versions_survive_their_words(dots in prop::collection::vec((0u16..4, 0u16..2, 1u32..9), 0..20)) {
            let dots: Vec<Dot> = dots.into_iter().map(|(r, l, n)| Dot::new(Origin::new(r, l), n)).collect();
            for versions in [Versions::Heads(dots.clone()), Versions::Effects(dots.iter().copied().collect())] {
                let mut words = Vec::new();
                push_versions(&versions, &mut words);
                prop_assert_eq!(of_version_words(&words), versions);
            }
        }

        #[test]
        fn operations_survive_their_words(value in any::<u64>()) {
            for op in [Op::Write(value), Op::Add(value as i64), Op::Insert(value), Op::Remove(value)] {
                prop_assert_eq!(of_op_words(op_words(op)), op);
            }
        }
    }
}
