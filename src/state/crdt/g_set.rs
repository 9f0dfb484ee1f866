//! G-set: a set that only grows.
//!
//! Guarantees that every inserted element stays, at every replica that has heard of it; there is no removal (Shapiro, Preguiça,
//! Baquero and Zawirski, "A comprehensive study of convergent and commutative replicated data types", INRIA RR-7506, 2011,
//! section 3.3.1). The join is the union, which decides nothing by dots; they are carried for the judge alone, and not charged.

use super::Lattice;
use crate::state::value::{Elements, digest_of_set};
use crate::state::{Accept, Context, DotSet, Fate, Keeping, KeyType, ModelInfo, Op, Size, Value, Versions, View, wire};
use serde::{Deserialize, Serialize};

/// A set that only grows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GSet {
    elements: Elements,
    /// The inserts that it reflects.
    seen: DotSet,
}

impl Lattice for GSet {
    const INFO: ModelInfo = ModelInfo {
        name: "g-set",
        title: "G-set (grow-only)",
        keys: &[KeyType::Set],
        doc: "\
A set whose elements stay for ever: the union of all inserts. Updates need neither tags nor clocks, and a repeated or reordered
one changes nothing.

- **Insert**: puts the element in, if it isn't there; the fragment is the element.
- **Remove**: refused.

Costs: nothing but the length of the list.
",
    };
    const REALISATION: &'static str = "an insert puts its element in, for ever; removes are refused";
    const KEEPING: Keeping = Keeping::All;

    fn refuses(op: Op) -> Option<&'static str> {
        matches!(op, Op::Remove(_))
            .then_some("a grow-only set has no removes; use `TwoPhase`, `AddWins` or `RemoveWins`")
    }

    fn update(&mut self, op: Op, at: Accept<'_>, fates: &mut impl FnMut(Fate)) -> Self {
        let Op::Insert(element) = op else {
            panic!("{op:?} is no operation on a grow-only set")
        };
        fates(Fate::applied(at.dot));
        self.elements.insert(element);
        self.seen.insert(at.dot);
        Self {
            elements: vec![element].into(),
            seen: DotSet::one(at.dot),
        }
    }

    fn join(&mut self, other: &Self, fates: &mut impl FnMut(Fate)) -> bool {
        if self.seen.includes(&other.seen) {
            return false;
        }
        other.seen.beyond(&self.seen, &mut |range| fates(Fate::Applied(range)));
        self.seen.join(&other.seen);
        let theirs = other.elements.as_slice().iter();
        theirs.for_each(|element| self.elements.insert(*element));
        true
    }

    fn view(&self) -> View {
        View {
            value: Value::Set(self.elements.as_slice().to_vec()),
            versions: self.versions(),
            context: Context::default(),
        }
    }

    fn versions(&self) -> Versions {
        Versions::Effects(self.seen.clone())
    }

    fn context(&self) -> Context {
        Context::default()
    }

    fn digest(&self) -> u64 {
        digest_of_set(self.elements.as_slice().iter().copied())
    }

    fn state_hash(&self) -> u64 {
        self.seen.hash(0)
    }

    fn size(&self) -> Size {
        let values = self.elements.as_slice().len() as u64;
        if values == 0 {
            return Size::default();
        }
        Size {
            values,
            spare: 0,
            text: 0,
            metadata: wire::COUNT,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Dot, Origin};

    #[test]
    fn it_is_the_union_and_weighs_its_elements() {
        let at = |replica, number| Accept {
            dot: Dot::new(Origin::new(replica, 0), number),
            stamp: 0,
            context: None,
        };
        let (mut a, mut b) = (GSet::default(), GSet::default());
        let first = a.update(Op::Insert(7), at(0, 1), &mut |_| {});
        b.update(Op::Insert(7), at(1, 1), &mut |_| {});
        b.update(Op::Insert(3), at(1, 2), &mut |_| {});
        assert!(b.join(&first, &mut |_| {}));
        assert!(!b.join(&first, &mut |_| panic!("nothing is new")));
        assert_eq!(b.view().value, Value::Set(vec![3, 7]));
        let weighs = |values| Size {
            values,
            spare: 0,
            text: 0,
            metadata: 4,
        };
        assert_eq!((b.size(), first.size()), (weighs(2), weighs(1)));
        assert!(GSet::refuses(Op::Remove(1)).is_some() && GSet::refuses(Op::Insert(1)).is_none());
    }
}
