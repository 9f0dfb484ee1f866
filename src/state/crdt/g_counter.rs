//! G-counter: a sum that only grows.
//!
//! Guarantees that every accepted increment counts exactly once (Shapiro, Preguiça, Baquero and Zawirski, "A comprehensive
//! study of convergent and commutative replicated data types", INRIA RR-7506, 2011, section 3.1.1). As increments aren't
//! negative, the greater of two tallies of one origin is the later one, and needs no number to say so. The number of updates
//! is carried for the judge alone, and not charged.

use super::{Lattice, PnCounter};
use crate::state::{Accept, Context, Fate, Keeping, KeyType, ModelInfo, Op, Size, Versions, View, wire};
use serde::{Deserialize, Serialize};

/// A counter of increments: a tally for each origin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct GCounter(PnCounter);

impl Lattice for GCounter {
    const INFO: ModelInfo = ModelInfo {
        name: "g-counter",
        title: "G-counter (grow-only)",
        keys: &[KeyType::Counter],
        doc: "\
A counter whose value is the sum of one tally for each replica that ever added to it, and which only grows. Of two tallies of one
replica the greater is kept. The fragment of an increment is its replica's whole tally, so a lost fragment is made good by the
next one.

- **Add**: adds to the accepting replica's tally. A negative amount is refused, where the scenario is checked if it can be drawn.

Costs: 12 bytes for each replica that ever wrote the key, less the sum that a plain counter would need; an update ships one.
",
    };
    const REALISATION: &'static str = "an increment adds to the accepting replica's tally; readers see the sum of all tallies; decrements are refused";
    const KEEPING: Keeping = Keeping::All;

    fn refuses(op: Op) -> Option<&'static str> {
        matches!(op, Op::Add(by) if by < 0).then_some("a grow-only counter can't go down; use `UpAndDown`")
    }

    fn update(&mut self, op: Op, at: Accept<'_>, fates: &mut impl FnMut(Fate)) -> Self {
        assert!(
            Self::refuses(op).is_none(),
            "{op:?} is no operation on a grow-only counter"
        );
        Self(self.0.update(op, at, fates))
    }

    fn join(&mut self, other: &Self, fates: &mut impl FnMut(Fate)) -> bool {
        self.0.join(&other.0, fates)
    }

    fn view(&self) -> View {
        self.0.view()
    }

    fn versions(&self) -> Versions {
        self.0.versions()
    }

    fn context(&self) -> Context {
        Context::default()
    }

    fn digest(&self) -> u64 {
        self.0.digest()
    }

    fn state_hash(&self) -> u64 {
        self.0.state_hash()
    }

    fn size(&self) -> Size {
        let tallies = self.0.tallies() as u64;
        if tallies == 0 {
            return Size::default();
        }
        Size {
            values: 1,
            spare: 0,
            text: 0,
            metadata: wire::COUNT + tallies * (wire::ORIGIN + wire::SUM) - wire::SUM,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::{Dot, Origin, Value};

    #[test]
    fn it_grows_and_refuses_to_shrink() {
        let mut counter = GCounter::default();
        let at = Accept {
            dot: Dot::new(Origin::new(3, 0), 1),
            stamp: 0,
            context: None,
        };
        counter.update(Op::Add(5), at, &mut |_| {});
        assert_eq!(counter.view().value, Value::Counter(5));
        assert_eq!(counter.size().metadata, 4 + 12 - 8);
        assert!(GCounter::refuses(Op::Add(-1)).is_some() && GCounter::refuses(Op::Add(0)).is_none());
    }
}
