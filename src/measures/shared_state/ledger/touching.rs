//! Asking for memory ahead of its use: what the judge remembers is far more than the caches hold, and is needed at random.

use super::Ledger;
use crate::kernel::prefetch;

/// What a key at a replica is about to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Use {
    /// By an update on its way.
    Way,
    Read,
    Update,
    /// What it holds in the end.
    End,
}

impl Ledger {
    /// Asks for the memory of a key and of what a replica has of it: in three stages, each of which looks at what the one before has
    /// asked for.
    pub fn touch(&self, replica: u32, key: u32, stage: usize, use_of: Use) {
        let it = &self.keys[key as usize];
        let far = |write: &u32| &self.writes[*write as usize];
        match stage {
            0 => {
                let copy = self.copy(replica, key);
                prefetch(&copy.shown);
                prefetch(&copy.more);
                prefetch(it);
                match use_of {
                    Use::Way => prefetch(&it.shown),
                    Use::Read | Use::Update => prefetch(&it.base),
                    Use::End => {}
                }
            }
            1 => {
                self.copy(replica, key).first().iter().map(far).for_each(prefetch);
                it.spreading.last().into_iter().map(far).for_each(prefetch);
                if matches!(use_of, Use::Read | Use::Update) {
                    it.base.touch();
                    it.in_base.first().into_iter().for_each(prefetch);
                }
                if use_of == Use::Update || use_of == Use::End && !it.has_heads() {
                    prefetch(&*it.annals);
                    prefetch(&it.annals.told);
                }
            }
            _ => {
                if matches!(use_of, Use::Read | Use::Update) {
                    for write in self.copy(replica, key).first().iter().chain(it.spreading.last()) {
                        if let Some(past) = &far(write).past {
                            past.touch();
                        }
                    }
                }
                if use_of == Use::Update || use_of == Use::End && !it.has_heads() {
                    it.annals.versions.iter().step_by(2).for_each(prefetch);
                }
            }
        }
    }

    /// Asks for the memory of an agent, in the same way.
    pub fn touch_agent(&self, entity: u32, stage: usize) {
        if let Some(agent) = self.known_agent(entity) {
            let it = &self.agents[agent as usize];
            match stage {
                0 => {
                    prefetch(&it.past);
                    prefetch(&it.reads);
                    prefetch(&it.own);
                }
                1 => it.past.touch(),
                _ => {}
            }
        }
    }
}
