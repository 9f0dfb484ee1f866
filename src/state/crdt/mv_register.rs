//! MV-register: all writes that no other writer had seen.
//!
//! Guarantees to show exactly the maximal writes of the causal order that contexts give (Shapiro et al., "A comprehensive
//! study of convergent and commutative replicated data types", INRIA 2011, with dots and a causal context in place of a
//! vector for each value). It is the same data as a key under dotted version vectors.

use super::Lattice;
use crate::state::dotted::Siblings;
use crate::state::siblings::{MergeRule, resolve};
use crate::state::{Accept, Context, Fate, Held, Keeping, KeyType, ModelInfo, Op, Size, Versions, View};
use serde::{Deserialize, Serialize};

/// A register that keeps every write that hasn't been superseded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MvRegister(Siblings);

impl MvRegister {
    /// The writes that it holds, and what was seen.
    pub fn siblings(&self) -> &Siblings {
        &self.0
    }
}

impl Lattice for MvRegister {
    const INFO: ModelInfo = ModelInfo {
        name: "mv-register",
        title: "MV-register",
        keys: &[KeyType::Register],
        doc: "\
A register that shows every write which no other writer had seen. Each held value has its dot, beside one causal context. A
write supersedes what its context covers; its fragment is the new value with that context.

Costs: 8 bytes for each replica that ever wrote the key and for each held value.
",
    };
    const REALISATION: &'static str =
        "a write supersedes the values that its context covers; readers see all values that remain";
    const KEEPING: Keeping = Keeping::Causal;

    fn update(&mut self, op: Op, at: Accept<'_>, fates: &mut impl FnMut(Fate)) -> Self {
        assert_eq!(op.key_type(), KeyType::Register, "{op:?} is no operation on a register");
        let seen = at.context.map(|context| context.seen.clone()).unwrap_or_default();
        Self(self.0.write(Held::after(None, op), at.dot, seen, fates))
    }

    fn join(&mut self, other: &Self, fates: &mut impl FnMut(Fate)) -> bool {
        self.0.join(&other.0, fates)
    }

    fn view(&self) -> View {
        let (value, heads) = resolve(KeyType::Register, MergeRule::KeepAll, self.0.versions());
        View {
            value,
            versions: Versions::Heads(heads),
            context: self.context(),
        }
    }

    fn versions(&self) -> Versions {
        Versions::Heads(self.0.versions().iter().map(|version| version.dot).collect())
    }

    fn context(&self) -> Context {
        Context {
            seen: self.0.seen().clone(),
            ..Context::default()
        }
    }

    fn digest(&self) -> u64 {
        resolve(KeyType::Register, MergeRule::KeepAll, self.0.versions())
            .0
            .digest()
    }

    fn state_hash(&self) -> u64 {
        self.0.state_hash()
    }

    fn size(&self) -> Size {
        self.0.size()
    }

    fn beside(&self) -> u64 {
        self.0.seen().bytes()
    }
}
