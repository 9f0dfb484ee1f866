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
    /// A key at a replica.
    Key {
        /// What it is about to be asked for.
        use_of: Use,
        /// The key.
        key: u32,
        /// The place of what is remembered of it at the replica.
        copy: usize,
    },
    /// An agent.
    Agent(u32),
}

/// So many records ahead the judge asks for the memory of what it remembers of a key and of the key at a replica.
pub(in super::super) const FARTHEST: usize = 48;
/// So many records later it asks for what is held there and spreads, and as many later again for the pasts of that: what lies behind a
/// thing can be asked for once the thing is there.
const LATER: usize = 16;
/// There are never more that are asked for by and by.
const WINDOW: usize = 64;

/// What the coming records are about, and how much of that was asked for.
#[derive(Debug)]
pub(in super::super) struct Coming {
    /// By number modulo the length: the record's place, and what it is about.
    window: [(usize, About); WINDOW],
    /// How many there were.
    found: usize,
    /// For how many each of the later stages was gone through.
    asked: [usize; 2],
    /// How far must be looked before there is something to ask for in it.
    due: [usize; 2],
}

impl Default for Coming {
    fn default() -> Self {
        Self {
            window: [(0, About::Agent(0)); WINDOW],
            found: 0,
            asked: [0; 2],
            due: [usize::MAX; 2],
        }
    }
}

impl Coming {
    /// The record at this place is the next that is about something that lies far away.
    #[inline]
    pub fn add(&mut self, place: usize, about: About, ledger: &Ledger) {
        // What happens to a key in one go is asked for once.
        if self.found > 0 && self.window[(self.found - 1) % WINDOW].1 == about {
            return;
        }
        self.window[self.found % WINDOW] = (place, about);
        for stage in [0, 1] {
            if self.asked[stage] == self.found {
                self.due[stage] = place + (stage + 1) * LATER;
            }
        }
        self.found += 1;
        ledger.touch(about, 0);
    }

    /// The record at this place is the farthest that is looked at.
    #[inline]
    pub fn ask(&mut self, place: usize, ledger: &Ledger) {
        for stage in [0, 1] {
            while place >= self.due[stage] {
                let next = self.asked[stage];
                ledger.touch(self.window[next % WINDOW].1, stage + 1);
                self.asked[stage] = next + 1;
                self.due[stage] = match next + 1 < self.found {
                    true => self.window[(next + 1) % WINDOW].0 + (stage + 1) * LATER,
                    false => usize::MAX,
                };
            }
        }
    }
}

impl Ledger {
    /// A key at a replica, and what it is about to be asked for.
    #[inline]
    pub fn about_key(&self, replica: u32, key: u32, use_of: Use) -> About {
        let copy = self.copy_place(replica, key);
        About::Key { use_of, key, copy }
    }

    /// Asks for the memory of what a record is about: in three stages, each of which looks at what the one before has asked for.
    fn touch(&self, about: About, stage: usize) {
        match about {
            About::Key { use_of, key, copy } => self.touch_key(copy, key, stage, use_of),
            About::Agent(agent) => self.touch_agent(agent, stage),
        }
    }

    /// Asks for the memory of a key and of what a replica has of it.
    fn touch_key(&self, copy: usize, key: u32, stage: usize, use_of: Use) {
        let copy = &self.copies[copy];
        let it = &self.keys[key as usize];
        let far = |write: &u32| &self.writes[*write as usize];
        match stage {
            0 => {
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
                copy.first().iter().map(far).for_each(prefetch);
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
                    for write in copy.first().iter().chain(it.spreading.last()) {
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
