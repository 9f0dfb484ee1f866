//! The log of one replica: updates in their places, of which the oldest acknowledged ones are dropped.
//!
//! Guarantees: of two logs that have an update of one epoch in one place, everything before it is the same, since one
//! epoch has one primary, which only adds at the end (the log matching property of Ongaro and Ousterhout, 2014).

use super::{At, Epoch};
use crate::state::Resolution;
use crate::world::call::Fence;
use serde::Serialize;
use std::collections::VecDeque;

/// So many acknowledged updates are kept for replicas that lack them.
const KEPT: u64 = 2048;

/// An update in a log.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(in crate::stores) struct Update<R: Resolution> {
    /// The epoch of the primary that accepted it.
    pub(super) epoch: Epoch,
    pub(super) key: u32,
    pub(super) delta: R::Delta,
    /// The idempotency key, if its call has one.
    pub(super) identity: Option<u64>,
    /// The lock under which it came, if its token was sent along.
    pub(super) fence: Option<Fence>,
}

/// A log.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(super) struct Log<R: Resolution> {
    /// The place before the first update that it still has.
    base: At,
    updates: VecDeque<Update<R>>,
}

impl<R: Resolution> Default for Log<R> {
    fn default() -> Self {
        Self::after(At::default())
    }
}

impl<R: Resolution> Log<R> {
    /// A log that has nothing any more of what came up to `base`.
    pub fn after(base: At) -> Self {
        Self {
            base,
            updates: VecDeque::new(),
        }
    }

    /// The last place; that before the first one if nothing is there.
    pub fn end(&self) -> At {
        match self.updates.back() {
            Some(update) => At {
                epoch: update.epoch,
                index: self.last(),
            },
            None => self.base,
        }
    }

    /// The number of the last update.
    pub fn last(&self) -> u64 {
        self.base.index + self.updates.len() as u64
    }

    /// The number before the first update that is still there.
    pub fn base(&self) -> u64 {
        self.base.index
    }

    /// The epoch of the update in a place. `None`: it isn't there, or not any more.
    pub fn epoch_at(&self, index: u64) -> Option<Epoch> {
        if index == self.base.index {
            return Some(self.base.epoch);
        }
        self.get(index).map(|update| update.epoch)
    }

    /// The update in a place.
    pub fn get(&self, index: u64) -> Option<&Update<R>> {
        self.updates.get(index.checked_sub(self.base.index + 1)? as usize)
    }

    /// Adds an update at the end.
    pub fn push(&mut self, update: Update<R>) {
        self.updates.push_back(update);
    }

    /// The updates from one place on, at most so many.
    pub fn from(&self, first: u64, most: usize) -> impl Iterator<Item = &Update<R>> {
        let skip = first.saturating_sub(self.base.index + 1) as usize;
        self.updates.iter().skip(skip).take(most)
    }

    /// Takes away everything behind a place.
    pub fn truncate(&mut self, last: u64) -> Vec<Update<R>> {
        let keep = last.saturating_sub(self.base.index) as usize;
        if keep >= self.updates.len() {
            return Vec::new();
        }
        self.updates.split_off(keep).into()
    }

    /// Drops what was acknowledged long ago.
    pub fn trim(&mut self, commit: u64) {
        while commit.saturating_sub(self.base.index) > KEPT {
            let Some(dropped) = self.updates.pop_front() else {
                return;
            };
            self.base = At {
                epoch: dropped.epoch,
                index: self.base.index + 1,
            };
        }
    }
}
