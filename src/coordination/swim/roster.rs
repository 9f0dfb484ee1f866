//! What a member believes of the others, in four bytes for each.

use super::message::Update;
use serde::{Deserialize, Serialize};

/// What a member may be to another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[repr(u8)]
pub enum State {
    /// Unknown.
    Absent,
    /// In the group.
    Alive,
    /// In the group, but perhaps not for long.
    Suspect,
    /// Not in the group any more.
    Failed,
}

/// All members, each with its state and incarnation.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Roster {
    /// The state in the lowest two bits, the incarnation above.
    entries: Vec<u32>,
    /// How many are in the group, suspects included.
    present: u32,
    failed: u32,
}

impl Roster {
    /// A roster for so many, of whom the first `known` are in the group.
    pub fn new(members: u32, known: u32) -> Self {
        let state = |member| if member < known { State::Alive } else { State::Absent };
        Self {
            entries: (0..members).map(|member| state(member) as u32).collect(),
            present: known,
            failed: 0,
        }
    }

    /// What is believed of a member, and of which incarnation.
    pub fn get(&self, member: u32) -> (State, u32) {
        let entry = self.entries[member as usize];
        let state = match entry & 3 {
            0 => State::Absent,
            1 => State::Alive,
            2 => State::Suspect,
            _ => State::Failed,
        };
        (state, entry >> 2)
    }

    /// Whether a member is in the group, a suspect included.
    pub fn is_present(&self, member: u32) -> bool {
        matches!(self.get(member).0, State::Alive | State::Suspect)
    }

    /// How many are in the group.
    pub fn present(&self) -> u32 {
        self.present
    }

    /// How many have failed.
    pub fn failed(&self) -> u32 {
        self.failed
    }

    /// How many members there may be.
    pub fn len(&self) -> u32 {
        self.entries.len() as u32
    }

    /// Takes news in, if they override what is believed; says whether they do.
    ///
    /// The order of the paper (section 4.2), but that a higher incarnation overrides a failure too: members come back. News of equal
    /// incarnations override by how bad they are.
    pub fn take(&mut self, update: Update) -> bool {
        let Update {
            about,
            state,
            incarnation,
        } = update;
        let (before, known) = self.get(about);
        let overrides = match before {
            State::Absent => state != State::Absent,
            _ => (incarnation, state as u8) > (known, before as u8) && state != State::Absent,
        };
        if overrides {
            let count = |state| {
                (
                    u32::from(matches!(state, State::Alive | State::Suspect)),
                    u32::from(state == State::Failed),
                )
            };
            let ((present, failed), (was_present, had_failed)) = (count(state), count(before));
            self.present = self.present + present - was_present;
            self.failed = self.failed + failed - had_failed;
            self.entries[about as usize] = incarnation << 2 | state as u32;
        }
        overrides
    }

    /// Everybody who is known, as news.
    pub fn all(&self) -> impl Iterator<Item = Update> {
        (0..self.len()).filter_map(|about| {
            let (state, incarnation) = self.get(about);
            let known = state != State::Absent;
            known.then_some(Update {
                about,
                state,
                incarnation,
            })
        })
    }

    /// A member chosen uniformly among those of whom `is_wanted` holds; `below` draws.
    pub fn choose(&self, is_wanted: impl Fn(&Self, u32) -> bool, mut below: impl FnMut(u64) -> u64) -> Option<u32> {
        // Most are wanted, as a rule; where few are, they are counted.
        for _ in 0..16 {
            let member = below(u64::from(self.len())) as u32;
            if is_wanted(self, member) {
                return Some(member);
            }
        }
        let wanted = || (0..self.len()).filter(|member| is_wanted(self, *member));
        match wanted().count() {
            0 => None,
            count => wanted().nth(below(count as u64) as usize),
        }
    }
}
