//! What agents remember from one step to the next, and lose with their state: sessions, caches, what they have seen of keys and know of services, how many
//! recorded runs they have taken.
//!
//! Guarantees: whoever comes after an agent in its place, or after a crash in its own, knows nothing of it.

use super::group::AgentGroup;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

impl AgentGroup {
    /// An agent has lost its state, or has ended.
    #[inline(always)]
    pub(super) fn forget_memory(&mut self, member: u32) {
        if self.remembers {
            self.forget_all(member);
        }
    }

    fn forget_all(&mut self, member: u32) {
        forget(&mut self.sessions, (member, 0)..=(member, u16::MAX));
        forget(&mut self.caches, (member, 0)..=(member, u16::MAX));
        forget(&mut self.contexts, (member, 0, 0)..=(member, u16::MAX, u32::MAX));
        forget(&mut self.seen, (member, 0, 0)..=(member, u16::MAX, u32::MAX));
        self.amounts.remove(&member);
        self.chosen.remove(&member);
        self.acts_on_cache.remove(&member);
        self.deadlines.remove(&member);
        self.forget_known(member);
        forget(&mut self.handled, (member, 0)..=(member, u32::MAX));
        self.forget_runs(member);
    }
}

/// Takes what belongs to one agent out of a table that is sorted by agents.
pub(super) fn forget<K: Ord + Copy, V>(table: &mut BTreeMap<K, V>, of: RangeInclusive<K>) {
    if table.is_empty() {
        return;
    }
    let keys: Vec<K> = table.range(of).map(|(key, _)| *key).collect();
    for key in keys {
        table.remove(&key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_belongs_to_the_agent_is_forgotten() {
        let keys = [(1, 0), (1, u16::MAX), (2, 0), (2, 7), (2, u16::MAX), (3, 0)];
        let mut table: BTreeMap<(u32, u16), ()> = keys.iter().map(|key| (*key, ())).collect();
        forget(&mut table, (2, 0)..=(2, u16::MAX));
        assert_eq!(table.into_keys().collect::<Vec<_>>(), [(1, 0), (1, u16::MAX), (3, 0)]);
    }
}
