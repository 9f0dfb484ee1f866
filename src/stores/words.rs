//! How a store's records put operations and versions into words; what writes them and what reads them meet here.

use crate::state::{Char, Dot, DotRange, DotSet, Op, Origin, VersionVector, Versions, hash};

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
        Op::InsertText { at, from, length } => [4 | (at as u64) << 32, (from as u64) << 32 | length as u64],
        Op::Put { field, value } => [6 | (field as u64) << 32, value],
        Op::Increase { field, by } => [7 | (field as u64) << 32, by as u64],
        Op::Drop { field } => [8 | (field as u64) << 32, 0],
        Op::DeleteText { at, length } => [5 | (at as u64) << 32, length as u64],
    }
}

/// The operation of [`op_words`].
///
/// # Panics
/// Panics on a word that names no operation.
pub const fn of_op_words(words: [u64; 2]) -> Op {
    let (high, low) = ((words[1] >> 32) as u32, words[1] as u32);
    let at = (words[0] >> 32) as u32;
    match words[0] as u32 {
        0 => Op::Write(words[1]),
        1 => Op::Add(words[1] as i64),
        2 => Op::Insert(words[1]),
        3 => Op::Remove(words[1]),
        4 => Op::InsertText {
            at,
            from: high,
            length: low,
        },
        5 => Op::DeleteText { at, length: low },
        6 => Op::Put {
            field: at,
            value: words[1],
        },
        7 => Op::Increase {
            field: at,
            by: words[1] as i64,
        },
        8 => Op::Drop { field: at },
        _ => panic!("a word names no operation"),
    }
}

/// A character as a word that no other has, but by a collision of hashes; all ones for none.
pub const fn char_word(char: Option<Char>) -> u64 {
    match char {
        Some(Char { dot, place }) => hash::chain(hash::mix(dot.bits()), place as u64),
        None => u64::MAX,
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
    let (tops, rest) = rest.split_at(runs);
    let (loose, rest) = rest.split_at(loose);
    let tops = tops.iter().map(|&bits| Dot::from_bits(bits)).collect();
    let mut set = DotSet::from(VersionVector::from_tops(tops));
    for &bits in loose {
        set.insert(Dot::from_bits(bits));
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
    /// context that it returns. Of one replica's answer and a model of effects: those that have come and wait for others, and those
    /// that it shows.
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

/// Whether a read was served by a replica from what it held ([`push_own_reply`]).
pub fn is_own_reply(words: &[u64]) -> bool {
    words.first() == Some(&0)
}

/// The dots of the versions that such a read showed, as words; none if it showed effects.
pub fn own_heads(words: &[u64]) -> Option<&[u64]> {
    heads_of(words.get(1..)?)
}

/// The dots of the heads of [`push_versions`], as words; none if they are effects.
pub fn heads_of(words: &[u64]) -> Option<&[u64]> {
    let (&head, rest) = words.split_first()?;
    (head & EFFECTS == 0).then(|| &rest[..head as usize])
}

/// Whether such a read showed an effect; not if it showed heads.
pub fn own_effects_have(words: &[u64], dot: Dot) -> bool {
    let Some((&head, dots)) = words.get(1..).and_then(<[u64]>::split_first) else {
        return false;
    };
    if head & EFFECTS == 0 {
        return false;
    }
    let (runs, loose) = ((head & (EFFECTS - 1)) as usize, (head >> 32) as usize);
    let in_run = |top: &u64| Dot::from_bits(*top).origin == dot.origin && *top >= dot.bits();
    dots[..runs].iter().any(in_run) || dots[runs..runs + loose].contains(&dot.bits())
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
                prop_assert_eq!(of_version_words(&words), versions.clone());
                let mut words = Vec::new();
                push_own_reply(&versions, &mut words);
                prop_assert!(is_own_reply(&words));
                if let Versions::Effects(set) = &versions {
                    let all = (0..4).flat_map(|r| (0..2).flat_map(move |l| (1..10).map(move |n| (r, l, n))));
                    for dot in all.map(|(r, l, n)| Dot::new(Origin::new(r, l), n)) {
                        prop_assert_eq!(own_effects_have(&words, dot), set.contains(dot));
                    }
                }
                let heads = own_heads(&words).map(|heads| heads.iter().map(|bits| Dot::from_bits(*bits)).collect());
                prop_assert_eq!(heads.map(Versions::Heads), Some(versions).filter(|it| matches!(it, Versions::Heads(_))));
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
            let (at, from, length) = (value as u32, (value >> 32) as u32, (value >> 16) as u32);
            let text = [Op::InsertText { at, from, length }, Op::DeleteText { at, length }];
            let plain = [Op::Write(value), Op::Add(value as i64), Op::Insert(value), Op::Remove(value)];
            let by = value as i64;
            let map = [Op::Put { field: at, value }, Op::Increase { field: at, by }, Op::Drop { field: at }];
            for op in plain.into_iter().chain(text).chain(map) {
                prop_assert_eq!(of_op_words(op_words(op)), op);
            }
        }
    }
}
