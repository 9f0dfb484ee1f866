//! OR-set: an add-wins set without tombstones.
//!
//! Guarantees that an element is in the set if and only if an insert of it is known that no known remove had observed.
//! Elements carry the dot of their insert; one set of seen dots stands for all tombstones (Bieniusa, Zawirski, Preguiça,
//! Shapiro, Baquero, Balegas and Duarte, "An optimized conflict-free replicated set", INRIA RR-8083, 2012; deltas after
//! Almeida, Shoker and Baquero 2018).
//!
//! A remove takes a dot of its own, which is never an element's: its fragment is "seen, and not there". So the seen dots
//! name every effect that a replica reflects, and stay contiguous. A remove observes what the accepting replica holds.
//! When fragments are reordered, an element may stay visible until the insert that superseded it arrives, though the remove
//! of that insert is there already: only then does the value lag behind the seen dots.

use super::Lattice;
use super::kernel::{Kernel, Tagged};
use crate::state::value::digest_of_set;
use crate::state::{Accept, Context, Fate, Keeping, KeyType, ModelInfo, Op, Size, Value, Versions, View};
use serde::{Deserialize, Serialize};

/// A set in which concurrent inserts win over removes: a tag for each insert that nobody has seen the end of.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrSet(Kernel<Tagged>);

impl OrSet {
    /// The elements, ascending.
    pub fn elements(&self) -> impl Iterator<Item = u64> + '_ {
        self.0
            .tagged
            .chunk_by(|a, b| a.element == b.element)
            .map(|same| same[0].element)
    }
}

impl Lattice for OrSet {
    const INFO: ModelInfo = ModelInfo {
        name: "or-set",
        title: "OR-set (add wins)",
        keys: &[KeyType::Set],
        doc: "\
A set in which an element is present if and only if some insert of it was not observed by a remove: an insert that is concurrent
to a remove wins. Each present element carries the dot of its insert; what was removed is known by the dots that were seen and
are not there, so there are no tombstones. A fragment holds the one element (none, for a remove), with the dots that it settles.

Costs: 8 bytes for each dot of a present element and for each replica that ever wrote the key (and for each update that arrived
out of order, until the gap closes).
",
    };
    const REALISATION: &'static str = "an insert tags its element anew; a remove takes away the tags that the accepting replica holds, so concurrent inserts win";
    const KEEPING: Keeping = Keeping::All;

    fn update(&mut self, op: Op, at: Accept<'_>, fates: &mut impl FnMut(Fate)) -> Self {
        let (element, insert) = match op {
            Op::Insert(element) => (element, true),
            Op::Remove(element) => (element, false),
            op => panic!("{op:?} is no operation on a set"),
        };
        let tag = insert.then_some(Tagged { element, dot: at.dot });
        fates(Fate::applied(at.dot));
        Self(self.0.replace(element, at.dot, tag, |old| {
            if !insert {
                fates(Fate::outranked(old.dot, at.dot));
            }
        }))
    }

    fn join(&mut self, other: &Self, fates: &mut impl FnMut(Fate)) -> bool {
        let joined = self.0.join(&other.0, fates);
        for old in joined.dropped {
            // An insert that only gave way to a newer one of the same element has lost nothing.
            if self.0.span(old.element).is_empty() {
                fates(Fate::Outranked {
                    loser: old.dot,
                    winner: None,
                });
            }
        }
        joined.changed
    }

    fn view(&self) -> View {
        View {
            value: Value::Set(self.elements().collect()),
            versions: self.versions(),
            context: Context::default(),
        }
    }

    fn versions(&self) -> Versions {
        Versions::Effects(self.0.seen.clone())
    }

    fn context(&self) -> Context {
        Context::default()
    }

    fn digest(&self) -> u64 {
        digest_of_set(self.elements())
    }

    fn state_hash(&self) -> u64 {
        self.0.state_hash()
    }

    fn size(&self) -> Size {
        if self.0.seen.is_empty() {
            return Size::default();
        }
        Size {
            values: self.elements().count() as u64,
            spare: 0,
            text: 0,
            metadata: self.0.dot_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Dot, Origin};

    fn at(replica: u16, number: u32) -> Accept<'static> {
        Accept {
            dot: Dot::new(Origin::new(replica, 0), number),
            stamp: 0,
            context: None,
        }
    }

    #[test]
    fn a_concurrent_insert_wins_over_a_remove() {
        let (mut a, mut b) = (OrSet::default(), OrSet::default());
        let first = a.update(Op::Insert(1), at(0, 1), &mut |_| {});
        b.join(&first, &mut |_| {});
        let mut fates = Vec::new();
        let remove = a.update(Op::Remove(1), at(0, 2), &mut |fate| fates.push(fate));
        assert_eq!(
            fates,
            [Fate::applied(at(0, 2).dot), Fate::outranked(at(0, 1).dot, at(0, 2).dot)]
        );
        let again = b.update(Op::Insert(1), at(1, 1), &mut |_| {});
        a.join(&again, &mut |_| {});
        b.join(&remove, &mut |fate| {
            assert_eq!(fate, Fate::applied(at(0, 2).dot), "the old tag was superseded")
        });
        assert_eq!(a, b);
        assert!(a.elements().eq([1]));
        // What is left of three updates: one tag, and two components of the seen dots.
        assert_eq!(
            a.size(),
            Size {
                values: 1,
                spare: 0,
                text: 0,
                metadata: (4 + 16 + 4) + (4 + 8)
            }
        );
    }

    #[test]
    fn a_remove_that_overtakes_its_insert_still_holds() {
        let (mut a, mut b) = (OrSet::default(), OrSet::default());
        let insert = a.update(Op::Insert(1), at(0, 1), &mut |_| {});
        let remove = a.update(Op::Remove(1), at(0, 2), &mut |_| {});
        assert!(b.join(&remove, &mut |_| {}));
        assert!(!b.join(&insert, &mut |_| panic!("nothing is new")));
        assert_eq!(b.elements().count(), 0);
        assert_eq!(a, b);
    }

    #[test]
    fn removing_what_is_absent_is_an_effect_too() {
        let mut set = OrSet::default();
        let news = set.update(Op::Remove(9), at(0, 1), &mut |_| {});
        assert_eq!(news, set);
        assert!(set.versions().contains(at(0, 1).dot));
    }
}
