//! What the judge remembers of a key at a replica.

use super::NONE;
use crate::measures::shared_state::past::Past;
use crate::state::DotSet;
use std::collections::BTreeSet;

/// A key at a replica. There are as many as keys times replicas, so what few of them have lies elsewhere.
#[derive(Debug, Clone)]
#[repr(C)]
pub(in super::super) struct Copy {
    /// The digest of what it shows.
    pub shown: u64,
    /// Of keys with versions: the one that is held, unless there are several.
    held: u32,
    /// Of ranked keys: the write of the highest rank that was applied.
    pub(super) top: u32,
    pub(super) more: Option<Box<More>>,
}

/// What few copies have.
#[derive(Debug, Clone, Default)]
pub(super) struct More {
    /// The versions that are held, where these are several.
    held: Vec<u32>,
    /// Of sets whose removes win: inserts that were heard of and outranked.
    gone: BTreeSet<u32>,
    /// What was heard of, where replicas note that one by one.
    pub(super) heard: DotSet,
    /// The pasts of what was heard, as far as neither the key nor a spreading write has them.
    pub(super) past: Past,
    /// Of keys whose reads join: the pasts of all that it accepted, which may be logged and not heard of by readers yet.
    pub(super) own: Past,
}

impl Copy {
    /// A copy that has heard of nothing.
    pub fn fresh(shown: u64) -> Self {
        Self {
            shown,
            held: NONE,
            top: NONE,
            more: None,
        }
    }

    pub(super) fn more(&mut self) -> &mut More {
        self.more.get_or_insert_default()
    }

    /// Writes have other places now.
    pub(super) fn follow(&mut self, to: impl Fn(u32) -> u32) {
        (self.held, self.top) = (to(self.held), to(self.top));
        if let Some(more) = &mut self.more {
            more.held.iter_mut().for_each(|held| *held = to(*held));
        }
    }

    /// Of keys with versions: the first that was held, without a look at whether there are others.
    pub(super) fn first(&self) -> Option<u32> {
        (self.held != NONE).then_some(self.held)
    }

    /// Of keys with versions: those that are shown or kept.
    pub fn held(&self) -> &[u32] {
        match &self.more {
            Some(more) if !more.held.is_empty() => &more.held,
            _ if self.held == NONE => &[],
            _ => std::slice::from_ref(&self.held),
        }
    }

    /// Holds a version; true if it didn't.
    pub fn hold(&mut self, write: u32) -> bool {
        if self.held().contains(&write) {
            return false;
        }
        if self.held().is_empty() {
            self.held = write;
            return true;
        }
        let first = self.held;
        let held = &mut self.more().held;
        if held.is_empty() {
            held.push(first);
        }
        held.push(write);
        true
    }

    /// Holds a version no more; true if it did.
    pub fn let_go(&mut self, write: u32) -> bool {
        if let Some(more) = &mut self.more
            && !more.held.is_empty()
        {
            let Some(place) = more.held.iter().position(|held| *held == write) else {
                return false;
            };
            more.held.swap_remove(place);
            if let [last] = more.held[..] {
                self.held = last;
                more.held.clear();
            }
            return true;
        }
        let held = self.held == write;
        if held {
            self.held = NONE;
        }
        held
    }

    /// Of sets whose removes win: an insert that was heard of is outranked.
    pub fn bury(&mut self, write: u32) {
        self.more().gone.insert(write);
    }

    /// It isn't outranked any more.
    pub fn unbury(&mut self, write: u32) {
        if let Some(more) = &mut self.more {
            more.gone.remove(&write);
        }
    }

    /// Whether it was heard of and is outranked.
    pub fn is_gone(&self, write: u32) -> bool {
        self.more.as_ref().is_some_and(|more| more.gone.contains(&write))
    }
}
