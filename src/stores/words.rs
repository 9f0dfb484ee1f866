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

/// Heads are announced by their number; effects by this bit and the numbers of their contiguous runs, below it, and of their
/// loose dots, above it.
const EFFECTS: u64 = 1 << 31;

/// Appends versions: heads as their number and dots; effects as a head word, the highest dot of each contiguous run, and the
/// loose dots.
pub fn push_versions(versions: &Versions, words: &mut Vec<u64>) {
    match versions {
        Versions::Heads(heads) => push_heads(heads, words),
        Versions::Effects(set) => push_effects(set, words),
    }
}

fn push_heads(heads: &[Dot], words: &mut Vec<u64>) {
    words.push(heads.len() as u64);
    words.extend(heads.iter().map(|dot| dot.bits()));
}

fn push_effects(set: &DotSet, words: &mut Vec<u64>) {
    let tops = set.vector().tops();
    words.push(EFFECTS | tops.len() as u64 | (set.loose().len() as u64) << 32);
    words.extend(tops.iter().chain(set.loose()).map(|dot| dot.bits()));
}

/// The versions of [`push_versions`], with which the words begin.
pub fn of_version_words(words: &[u64]) -> Versions {
    take_versions(words).0
}

/// The versions with which the words begin, and the words behind them.
fn take_versions(words: &[u64]) -> (Versions, &[u64]) {
    let Some((&head, rest)) = words.split_first() else {
        return (Versions::Heads(Vec::new()), words);
    };
    if head & EFFECTS == 0 {
        let (heads, rest) = rest.split_at(head as usize);
        let heads = heads.iter().map(|&bits| Dot::from_bits(bits));
        return (Versions::Heads(heads.collect()), rest);
    }
    let (runs, loose) = ((head & (EFFECTS - 1)) as usize, (head >> 32) as usize);
    let (dots, rest) = rest.split_at(runs + loose);
    let mut set = DotSet::default();
    for (place, dot) in dots.iter().map(|&bits| Dot::from_bits(bits)).enumerate() {
        if place < runs {
            set.insert_run(dot);
        } else {
            set.insert(dot);
        }
    }
    (Versions::Effects(set), rest)
}

/// What a read returned, as its record says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyWords {
    /// The marks of the answers that it joins ([`EntryRead`](crate::world::record::What::EntryRead)); none if the replica
    /// that served it did so from what it held.
    pub marks: Vec<u64>,
    /// What it shows.
    pub versions: Versions,
    /// Of a read that joins answers and of a model where causality decides: all versions that it keeps, shown or not, and the
    /// context that it returns.
    pub kept: Option<(Vec<Dot>, DotSet)>,
}

/// Appends what a read returned that a replica served from what it held.
pub fn push_own_reply(versions: &Versions, words: &mut Vec<u64>) {
    words.push(0);
    push_versions(versions, words);
}

/// Appends what a read returned that joins the answers with these marks; `kept` and `seen` where causality decides.
pub fn push_reply(marks: &[u64], versions: &Versions, kept: Option<&[Dot]>, seen: &DotSet, words: &mut Vec<u64>) {
    words.push(marks.len() as u64);
    words.extend(marks);
    push_versions(versions, words);
    if let Some(kept) = kept {
        push_heads(kept, words);
        push_effects(seen, words);
    }
}

/// What a read returned, from [`push_own_reply`] or [`push_reply`].
pub fn of_reply_words(words: &[u64]) -> ReplyWords {
    let (&count, rest) = words.split_first().expect("a reply says of how many it is made");
    let (marks, rest) = rest.split_at(count as usize);
    let (versions, rest) = take_versions(rest);
    let kept = (!rest.is_empty()).then(|| {
        let (kept, rest) = take_versions(rest);
        match (kept, of_version_words(rest)) {
            (Versions::Heads(kept), Versions::Effects(seen)) => (kept, seen),
            _ => panic!("a reply keeps versions, in a context"),
        }
    });
    ReplyWords {
        marks: marks.to_vec(),
        versions,
        kept,
    }
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
        fn replies_survive_their_words(
            marks in prop::collection::vec(any::<u64>(), 0..4),
            dots in prop::collection::vec((0u16..4, 0u16..2, 1u32..9), 0..20),
            causal: bool,
        ) {
            let dots: Vec<Dot> = dots.into_iter().map(|(r, l, n)| Dot::new(Origin::new(r, l), n)).collect();
            let seen: DotSet = dots.iter().copied().collect();
            for versions in [Versions::Heads(dots.clone()), Versions::Effects(seen.clone())] {
                let mut words = Vec::new();
                push_reply(&marks, &versions, causal.then_some(&dots[..]), &seen, &mut words);
                let kept = causal.then(|| (dots.clone(), seen.clone()));
                prop_assert_eq!(of_reply_words(&words), ReplyWords { marks: marks.clone(), versions, kept });
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
