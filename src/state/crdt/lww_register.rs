//! LWW-register: the write of the highest stamp, as a state-based data type.
//!
//! Guarantees convergence; of concurrent writes one is shown, and by skewed clocks it may be an older one.

use super::Lattice;
use crate::state::lww::Stamped;
use crate::state::{
    Accept, Context, Fate, Held, Keeping, KeyType, ModelInfo, Op, Rank, Size, Versions, View, hash, wire,
};
use serde::{Deserialize, Serialize};

/// A register that keeps the write of the highest (stamp, origin, number).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LwwRegister(Option<Stamped>);

impl Lattice for LwwRegister {
    const INFO: ModelInfo = ModelInfo {
        name: "lww-register",
        title: "LWW-register",
        keys: &[KeyType::Register],
        doc: "\
A register whose state is one value with its stamp and identity; the join keeps the higher of two. The same data as under `lww`,
for stores whose counters and sets are conflict-free types.

Costs: 16 bytes of metadata.
",
    };
    const REALISATION: &'static str = "a write replaces the value if its stamp is the highest";
    const KEEPING: Keeping = Keeping::Ranked;

    fn update(&mut self, op: Op, at: Accept<'_>, fates: &mut impl FnMut(Fate)) -> Self {
        assert_eq!(op.key_type(), KeyType::Register, "{op:?} is no operation on a register");
        let new = Stamped {
            stamp: at.stamp,
            dot: at.dot,
            held: Held::after(None, op),
        };
        Stamped::contest(&mut self.0, &new, fates);
        Self(Some(new))
    }

    fn join(&mut self, other: &Self, fates: &mut impl FnMut(Fate)) -> bool {
        other
            .0
            .as_ref()
            .is_some_and(|version| Stamped::contest(&mut self.0, version, fates))
    }

    fn view(&self) -> View {
        let value = self
            .0
            .as_ref()
            .map_or_else(|| KeyType::Register.empty(), |version| version.held.to_value());
        View {
            value,
            versions: self.versions(),
            context: Context::default(),
        }
    }

    fn versions(&self) -> Versions {
        Versions::Heads(self.0.iter().map(|version| version.dot).collect())
    }

    fn context(&self) -> Context {
        Context::default()
    }

    fn digest(&self) -> u64 {
        self.0
            .as_ref()
            .map_or_else(|| KeyType::Register.empty().digest(), |version| version.held.digest())
    }

    fn state_hash(&self) -> u64 {
        let Some(version) = &self.0 else { return 0 };
        hash::chain(hash::mix(version.dot.bits()), version.stamp as u64)
    }

    fn size(&self) -> Size {
        self.0.as_ref().map_or_else(Size::default, Stamped::size)
    }

    fn beside(&self) -> u64 {
        wire::STAMP
    }

    fn rank(&self) -> Option<Rank> {
        self.0.as_ref().map(Stamped::rank)
    }
}
