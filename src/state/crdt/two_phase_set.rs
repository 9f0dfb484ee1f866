//! 2P-set: a set whose elements can be removed once, for good.
//!
//! Guarantees that an element is in the set if and only if some insert of it is known and no remove: whatever order they
//! came in, a removed element never comes back (Shapiro, Preguiça, Baquero and Zawirski, "A comprehensive study of convergent
//! and commutative replicated data types", INRIA RR-7506, 2011, section 3.3.2, without its precondition that what is removed
//! was there: a remove of an absent element forbids it). An insert of a removed element is accepted, and has no effect.
//!
//! The two grow-only sets decide nothing by dots; these are carried for the judge alone, who wants to know which inserts a
//! remove has ended, and not charged.

use super::Lattice;
use super::kernel::{Kernel, Tagged};
use crate::state::value::digest_of_set;
use crate::state::{Accept, Context, Fate, Keeping, KeyType, ModelInfo, Op, Size, Value, Versions, View, hash, wire};
use serde::{Deserialize, Serialize};

/// A set with removes for good.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TwoPhaseSet {
    /// The inserts of elements that weren't removed.
    inserted: Kernel<Tagged>,
    /// The elements that were removed, ascending, each with the lowest dot of its removes.
    removed: Vec<Tagged>,
}

impl TwoPhaseSet {
    fn elements(&self) -> impl Iterator<Item = u64> + '_ {
        let same = self.inserted.tagged.chunk_by(|a, b| a.element == b.element);
        same.map(|same| same[0].element)
    }

    fn removed(&self, element: u64) -> Result<usize, usize> {
        self.removed.binary_search_by_key(&element, |removed| removed.element)
    }

    /// Notes a remove; true if that is news.
    fn remove(&mut self, remove: Tagged) -> bool {
        match self.removed(remove.element) {
            Ok(place) if self.removed[place].dot <= remove.dot => false,
            Ok(place) => {
                self.removed[place] = remove;
                true
            }
            Err(place) => {
                self.removed.insert(place, remove);
                true
            }
        }
    }

    /// Drops the inserts of an element, if it was removed.
    fn drop_removed(&mut self, element: u64, fates: &mut impl FnMut(Fate)) {
        if let Ok(place) = self.removed(element) {
            let by = self.removed[place].dot;
            let span = self.inserted.span(element);
            for insert in self.inserted.tagged.drain(span) {
                fates(Fate::outranked(insert.dot, by));
            }
        }
    }
}

impl Lattice for TwoPhaseSet {
    const INFO: ModelInfo = ModelInfo {
        name: "2p-set",
        title: "2P-set (removed for good)",
        keys: &[KeyType::Set],
        doc: "\
A set of all elements that were ever inserted, less those that were ever removed: two grow-only sets. A remove wins over every
insert of its element, concurrent, earlier or later, so a removed element never comes back. An insert of a removed element is
accepted and acknowledged, and has no effect: that is a lost update unless the remove had seen it.

- **Insert**: adds the element to the first set; the fragment is the element.
- **Remove**: adds it to the second, whether it was in the first or not; the fragment is the element.

Costs: each removed element stays as a tombstone that weighs as much as an element, for ever.
",
    };
    const REALISATION: &'static str =
        "an insert puts its element in unless it was ever removed; a remove takes it out for good";
    const KEEPING: Keeping = Keeping::Removals;

    fn update(&mut self, op: Op, at: Accept<'_>, fates: &mut impl FnMut(Fate)) -> Self {
        let (element, insert) = match op {
            Op::Insert(element) => (element, true),
            Op::Remove(element) => (element, false),
            op => panic!("{op:?} is no operation on a set"),
        };
        let tag = Tagged { element, dot: at.dot };
        let mut news = Self::default();
        if insert {
            for place in self.inserted.span(element) {
                let base = self.inserted.tagged[place].dot;
                fates(Fate::BuiltOn { version: at.dot, base });
            }
            fates(Fate::applied(at.dot));
            news.inserted = self.inserted.replace(element, at.dot, Some(tag), |_| {});
            self.drop_removed(element, fates);
        } else {
            fates(Fate::applied(at.dot));
            self.inserted.seen.insert(at.dot);
            news.inserted.seen.insert(at.dot);
            news.removed.push(tag);
            self.remove(tag);
            self.drop_removed(element, fates);
        }
        news
    }

    fn join(&mut self, other: &Self, fates: &mut impl FnMut(Fate)) -> bool {
        let mut changed = self.inserted.join(&other.inserted, fates).changed;
        for insert in &other.inserted.tagged {
            self.drop_removed(insert.element, fates);
        }
        for remove in &other.removed {
            changed |= self.remove(*remove);
            self.drop_removed(remove.element, fates);
        }
        changed
    }

    fn view(&self) -> View {
        View {
            value: Value::Set(self.elements().collect()),
            versions: self.versions(),
            context: Context::default(),
        }
    }

    fn versions(&self) -> Versions {
        Versions::Effects(self.inserted.seen.clone())
    }

    fn context(&self) -> Context {
        Context::default()
    }

    fn digest(&self) -> u64 {
        digest_of_set(self.elements())
    }

    fn state_hash(&self) -> u64 {
        let removed = self.removed.iter();
        removed.fold(self.inserted.state_hash(), |hash, remove| {
            hash::chain(hash, remove.dot.bits())
        })
    }

    fn tombstones(&self) -> u64 {
        self.removed.len() as u64
    }

    fn size(&self) -> Size {
        if self.inserted.seen.is_empty() {
            return Size::default();
        }
        Size {
            values: self.elements().count() as u64,
            spare: self.removed.len() as u64,
            text: 0,
            metadata: 2 * wire::COUNT,
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
    fn a_removed_element_never_comes_back() {
        let (mut a, mut b) = (TwoPhaseSet::default(), TwoPhaseSet::default());
        let insert = a.update(Op::Insert(1), at(0, 1), &mut |_| {});
        let remove = b.update(Op::Remove(1), at(1, 1), &mut |_| {});
        let mut fates = Vec::new();
        a.join(&remove, &mut |fate| fates.push(fate));
        assert_eq!(
            fates,
            [Fate::applied(at(1, 1).dot), Fate::outranked(at(0, 1).dot, at(1, 1).dot)]
        );
        b.join(&insert, &mut |_| {});
        assert_eq!(a, b);
        fates.clear();
        a.update(Op::Insert(1), at(0, 2), &mut |fate| fates.push(fate));
        assert_eq!(
            fates,
            [Fate::applied(at(0, 2).dot), Fate::outranked(at(0, 2).dot, at(1, 1).dot)]
        );
        assert_eq!(a.view().value, Value::Set(vec![]));
        let tombstone = Size {
            values: 0,
            spare: 1,
            text: 0,
            metadata: 8,
        };
        assert_eq!(a.size(), tombstone);
    }

    #[test]
    fn an_insert_of_what_is_there_carries_the_earlier_one_on() {
        let mut set = TwoPhaseSet::default();
        set.update(Op::Insert(4), at(0, 1), &mut |_| {});
        let mut fates = Vec::new();
        set.update(Op::Insert(4), at(0, 2), &mut |fate| fates.push(fate));
        let (version, base) = (at(0, 2).dot, at(0, 1).dot);
        assert_eq!(fates, [Fate::BuiltOn { version, base }, Fate::applied(version)]);
        assert_eq!(set.view().value, Value::Set(vec![4]));
    }
}
