//! Inclusion transformation of insertions and deletions of ranges of characters.
//!
//! Guarantees TP1: of two edits made on one text, each followed by the other transformed against it, both orders end in the same
//! text. Of two insertions at one place the one of the lower origin stands first. An insertion into a range that is deleted
//! concurrently survives; a character that two delete is deleted once. TP2 isn't promised and isn't needed: all replicas apply
//! what others did in the one order of the server.

use crate::state::Origin;
use serde::{Deserialize, Serialize};

/// A character's identity: who typed it, and how many that one had typed before. Nothing is decided by it: it is for the judge,
/// and for positions in a text as it was seen before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct CharId {
    /// Who typed it.
    pub origin: Origin,
    /// How many it had typed before.
    pub serial: u32,
}

impl CharId {
    /// The character that was typed so many later.
    pub fn after(self, count: u32) -> Self {
        Self {
            serial: self.serial + count,
            ..self
        }
    }
}

/// One contiguous change of a text. Positions count visible characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Primitive {
    /// Puts characters before the one at a position.
    Insert {
        /// The position.
        at: u32,
        /// The identity of the first.
        first: CharId,
        /// What the first is: its place in the table of characters.
        from: u32,
        /// How many.
        length: u32,
    },
    /// Takes characters out.
    Delete {
        /// The position of the first.
        at: u32,
        /// How many.
        length: u32,
    },
}

use Primitive::{Delete, Insert};

/// What `change` becomes after `other`, which was made on the same text. `is_first`: of two insertions at one place, `change`
/// stands before `other`. Nothing is left of a deletion that `other` has done; one that an insertion falls into becomes two,
/// of which the latter half stands first, so that they are done in their order.
fn include(change: Primitive, other: Primitive, is_first: bool, into: &mut Vec<Primitive>) {
    match (change, other) {
        (
            Insert {
                at,
                first,
                from,
                length,
            },
            Insert {
                at: place, length: new, ..
            },
        ) => {
            let moves = at > place || at == place && !is_first;
            let at = if moves { at + new } else { at };
            into.push(Insert {
                at,
                first,
                from,
                length,
            });
        }
        (
            Insert {
                at,
                first,
                from,
                length,
            },
            Delete {
                at: place,
                length: gone,
            },
        ) => {
            let at = shifted(at, place, gone);
            into.push(Insert {
                at,
                first,
                from,
                length,
            });
        }
        (
            Delete { at, length },
            Insert {
                at: place, length: new, ..
            },
        ) => {
            if at >= place {
                into.push(Delete { at: at + new, length });
            } else if at + length <= place {
                into.push(Delete { at, length });
            } else {
                let before = place - at;
                into.push(Delete {
                    at: place + new,
                    length: length - before,
                });
                into.push(Delete { at, length: before });
            }
        }
        (
            Delete { at, length },
            Delete {
                at: place,
                length: gone,
            },
        ) => {
            let (start, end) = (shifted(at, place, gone), shifted(at + length, place, gone));
            if end > start {
                into.push(Delete {
                    at: start,
                    length: end - start,
                });
            }
        }
    }
}

/// Where a position lies after a deletion.
fn shifted(at: u32, place: u32, gone: u32) -> u32 {
    if at <= place {
        at
    } else {
        at.saturating_sub(gone).max(place)
    }
}

/// Two runs of changes that were made on one text, each against the other: what they become. `is_first`: of two insertions at one
/// place, that of `left` stands first. Returns how many pairs of changes were transformed.
pub fn transform(left: &mut Vec<Primitive>, right: &mut Vec<Primitive>, is_first: bool) -> u64 {
    if left.is_empty() || right.is_empty() {
        return 0;
    }
    if let ([change], [other]) = (&left[..], &right[..]) {
        let (change, other) = (*change, *other);
        left.clear();
        right.clear();
        include(change, other, is_first, left);
        include(other, change, !is_first, right);
        return 1;
    }
    // Each change of the left passes all of the right, which becomes what the next one meets.
    let mut done = 0;
    let mut all = Vec::with_capacity(left.len());
    if left.len() > 1 {
        for change in std::mem::take(left) {
            let mut one = vec![change];
            done += transform(&mut one, right, is_first);
            all.append(&mut one);
        }
        *left = all;
    } else {
        for other in std::mem::take(right) {
            let mut one = vec![other];
            done += transform(left, &mut one, is_first);
            all.append(&mut one);
        }
        *right = all;
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn insert(origin: u16, at: u32, serial: u32, length: u32) -> Primitive {
        let origin = Origin::new(origin, 0);
        Insert {
            at,
            first: CharId { origin, serial },
            from: 0,
            length,
        }
    }

    /// A text as the identities of its characters.
    fn apply(text: &mut Vec<CharId>, changes: &[Primitive]) {
        for change in changes {
            match *change {
                Insert { at, first, length, .. } => {
                    let new = (0..length).map(|place| first.after(place));
                    drop(text.splice(at as usize..at as usize, new));
                }
                Delete { at, length } => drop(text.drain(at as usize..(at + length) as usize)),
            }
        }
    }

    fn text(length: u32) -> Vec<CharId> {
        let origin = Origin::new(9, 0);
        (0..length).map(|serial| CharId { origin, serial }).collect()
    }

    fn check(start: &[CharId], left: &[Primitive], right: &[Primitive]) -> Result<(), String> {
        let (mut a, mut b) = (start.to_vec(), start.to_vec());
        apply(&mut a, left);
        apply(&mut b, right);
        let (mut left_after, mut right_after) = (left.to_vec(), right.to_vec());
        transform(&mut left_after, &mut right_after, true);
        apply(&mut a, &right_after);
        apply(&mut b, &left_after);
        match a == b {
            true => Ok(()),
            false => Err(format!(
                "{left:?} and {right:?} on {} characters: {a:?}, {b:?}",
                start.len()
            )),
        }
    }

    /// Every change of a text of this length, with up to three characters.
    fn every(origin: u16, length: u32) -> Vec<Primitive> {
        let inserts = (0..=length).flat_map(|at| (1..=3).map(move |new| insert(origin, at, 0, new)));
        let deletes = (0..length).flat_map(|at| (1..=length - at).map(move |length| Delete { at, length }));
        inserts.chain(deletes).collect()
    }

    #[test]
    fn two_changes_of_a_small_text_end_the_same_in_either_order() {
        for length in 0..=6 {
            let start = text(length);
            for left in every(0, length) {
                for right in every(1, length) {
                    check(&start, &[left], &[right]).unwrap();
                }
            }
        }
    }

    #[test]
    fn two_changes_against_one_end_the_same_on_every_small_text() {
        for length in 0..=3 {
            let start = text(length);
            for first in every(0, length) {
                let mut next = start.clone();
                apply(&mut next, &[first]);
                for second in every(0, next.len() as u32) {
                    let second = match second {
                        Insert { at, length, .. } => insert(0, at, 10, length),
                        delete => delete,
                    };
                    for right in every(1, length) {
                        check(&start, &[first, second], &[right]).unwrap();
                    }
                }
            }
        }
    }

    #[test]
    fn what_was_typed_at_one_place_stays_together_and_survives_a_deletion_around_it() {
        let start = text(2);
        let (mut left, mut right) = (vec![insert(0, 1, 0, 2)], vec![insert(1, 1, 0, 1), insert(1, 2, 1, 1)]);
        let done = transform(&mut left, &mut right, true);
        assert_eq!(
            (left, right.clone(), done),
            (
                vec![insert(0, 1, 0, 2)],
                vec![insert(1, 3, 0, 1), insert(1, 4, 1, 1)],
                2
            )
        );
        let (mut left, mut right) = (vec![Delete { at: 0, length: 2 }], vec![insert(1, 1, 0, 1)]);
        transform(&mut left, &mut right, true);
        assert_eq!(left, [Delete { at: 2, length: 1 }, Delete { at: 0, length: 1 }]);
        let mut end = start;
        apply(&mut end, &[insert(1, 1, 0, 1)]);
        apply(&mut end, &left);
        assert_eq!(
            end,
            [CharId {
                origin: Origin::new(1, 0),
                serial: 0
            }]
        );
    }

    /// Changes one after another, as numbers that are fitted to the text.
    fn run() -> impl Strategy<Value = Vec<(bool, u32, u32)>> {
        prop::collection::vec((any::<bool>(), 0u32..40, 1u32..6), 0..12)
    }

    fn fitted(origin: u16, mut length: u32, run: &[(bool, u32, u32)]) -> Vec<Primitive> {
        let mut serial = 0;
        let mut all = Vec::new();
        for (inserts, at, count) in run {
            if *inserts || length == 0 {
                all.push(insert(origin, at % (length + 1), serial, *count));
                (serial, length) = (serial + count, length + count);
            } else {
                let at = at % length;
                let count = (*count).min(length - at);
                all.push(Delete { at, length: count });
                length -= count;
            }
        }
        all
    }

    proptest! {
        #[test]
        fn two_runs_of_changes_end_the_same_in_either_order(length in 0u32..20, left in run(), right in run()) {
            let (left, right) = (fitted(0, length, &left), fitted(1, length, &right));
            prop_assert_eq!(check(&text(length), &left, &right), Ok(()));
        }

        #[test]
        fn sides_are_alike(length in 0u32..20, left in run(), right in run()) {
            let (left, right) = (fitted(0, length, &left), fitted(1, length, &right));
            let (mut a, mut b) = (left.clone(), right.clone());
            transform(&mut a, &mut b, true);
            let (mut c, mut d) = (left.clone(), right);
            transform(&mut d, &mut c, false);
            // The passes cut deletions at other moments; what they do is the same.
            let (mut one, mut other) = (text(length), text(length));
            apply(&mut one, &left);
            apply(&mut one, &b);
            apply(&mut other, &left);
            apply(&mut other, &d);
            prop_assert_eq!(one, other);
        }
    }
}
