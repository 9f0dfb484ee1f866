//! Which proposals were applied: what makes a repeated one take effect once (thesis, 6.3).

use super::super::shared::Table;
use super::Index;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

/// The name of a proposal, under which it is repeated.
pub type Identity = (u64, u64);

/// The proposals that were applied of late, with their places in the log. Every member has the same after the same entry.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(into = "Written", from = "Written")]
pub struct Sessions {
    applied: Table<Identity, Index>,
    /// The same by place.
    order: VecDeque<(Index, Identity)>,
}

/// What is to be told of them, without the way in which a table lies.
#[derive(Serialize, Deserialize)]
struct Written {
    applied: BTreeMap<Identity, Index>,
    order: VecDeque<(Index, Identity)>,
}

impl From<Sessions> for Written {
    fn from(sessions: Sessions) -> Self {
        let order = sessions.order;
        let applied = order.iter().map(|(index, identity)| (*identity, *index)).collect();
        Self { applied, order }
    }
}

impl From<Written> for Sessions {
    fn from(Written { order, .. }: Written) -> Self {
        let mut applied = Table::default();
        for (index, identity) in &order {
            applied.insert(*identity, *index);
        }
        Self { applied, order }
    }
}

impl PartialEq for Sessions {
    fn eq(&self, other: &Self) -> bool {
        self.order == other.order
    }
}

impl Eq for Sessions {}

impl Sessions {
    /// Whether a proposal is known to have been applied.
    pub fn knows(&self, identity: Identity) -> bool {
        self.applied.has(identity)
    }

    /// Where a proposal was applied.
    pub fn place(&self, identity: Identity) -> Option<Index> {
        self.applied.get(identity)
    }

    /// How many are known.
    pub fn len(&self) -> usize {
        self.applied.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.applied.is_empty()
    }

    /// Forgets what lies more than `remember` entries before `index`.
    pub fn forget(&mut self, index: Index, remember: u64) {
        while let Some((first, old)) = self.order.front()
            && first.saturating_add(remember) < index
        {
            self.applied.remove(*old);
            self.order.pop_front();
        }
    }

    /// The entry at `index` proposes this: whether it is to be applied. Forgets what lies more than `remember` entries back.
    pub fn note(&mut self, identity: Identity, index: Index, remember: u64) -> bool {
        self.forget(index, remember);
        if self.knows(identity) {
            return false;
        }
        self.applied.insert(identity, index);
        self.order.push_back((index, identity));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proposal_is_applied_once_as_long_as_it_is_remembered() {
        let mut sessions = Sessions::default();
        assert!(sessions.note((0, 7), 1, 10));
        assert!(!sessions.note((0, 7), 5, 10));
        assert!(sessions.note((0, 8), 11, 10));
        assert!(sessions.knows((0, 7)), "ten entries back is remembered");
        assert!(sessions.note((0, 7), 12, 10), "eleven back isn't");
        assert_eq!((sessions.place((0, 7)), sessions.len()), (Some(12), 2));
    }
}
