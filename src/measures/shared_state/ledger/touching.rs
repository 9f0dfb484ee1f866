//! Asking for memory ahead of its use: what the judge remembers is far more than the caches hold, and is needed at random.

use super::Ledger;
use crate::kernel::prefetch;

/// What a key at a replica is about to be asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Use {
    /// By an update on its way.
    Way,
    /// By a read of this agent.
    Read(u32),
    Update,
    /// What it holds in the end.
    End,
}

/// What a coming record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum About {
    /// Nothing that lies far away.
    Nothing,
    /// A key at a replica, and what it is about to be asked for.
    Key(u32, u32, Use),
    Agent(u32),
}

impl Ledger {
    /// Asks for the memory of what a record is about: in three stages, each of which looks at what the one before has asked for.
    #[inline]
    pub fn touch(&self, about: About, stage: usize) {
        match about {
            About::Nothing => {}
            About::Key(replica, key, use_of) => self.touch_key(replica, key, stage, use_of),
            About::Agent(agent) => self.touch_agent(agent, stage),
        }
    }

    /// Asks for the memory of a key and of what a replica has of it.
    fn touch_key(&self, replica: u32, key: u32, stage: usize, use_of: Use) {
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
                    Use::Read(_) | Use::Update => prefetch(&it.base),
                    Use::End => {}
                }
            }
            1 => {
                self.copy(replica, key).first().iter().map(far).for_each(prefetch);
                it.spreading.last().into_iter().map(far).for_each(prefetch);
                if matches!(use_of, Use::Read(_) | Use::Update) {
                    it.base.touch();
                    it.in_base.first().into_iter().for_each(prefetch);
                }
                if use_of == Use::Update || use_of == Use::End && !it.has_heads() {
                    prefetch(&*it.annals);
                    prefetch(&it.annals.told);
                }
            }
            _ => {
                if matches!(use_of, Use::Read(_) | Use::Update) {
                    for write in self.copy(replica, key).first().iter().chain(it.spreading.last()) {
                        if let Some(past) = &far(write).past {
                            past.touch();
                        }
                        // Whether it is news is asked first.
                        if let Use::Read(reader) = use_of
                            && let Some(reader) = self.agents.get(reader as usize)
                        {
                            reader.past.touch_number(far(write).agent);
                        }
                    }
                }
                if use_of == Use::Update || use_of == Use::End && !it.has_heads() {
                    it.annals.versions.iter().step_by(2).for_each(prefetch);
                }
            }
        }
    }

    /// Asks for the memory of an agent.
    fn touch_agent(&self, agent: u32, stage: usize) {
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
