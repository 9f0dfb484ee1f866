//! What a member keeps on its disk: term, vote, log, and the state that stands for the log's beginning.

use super::membership::Members;
use super::sessions::{Identity, Sessions};
use super::{Id, Index, Term};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;

/// An entry of the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry<C> {
    /// The term of the leader that made it.
    pub term: Term,
    /// What it says.
    pub payload: Payload<C>,
}

/// Entries on their way, which all messages share that bring the same.
#[derive(Debug, PartialEq, Eq)]
pub struct Entries<C>(Arc<[Entry<C>]>);

impl<C> Clone for Entries<C> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<C> Deref for Entries<C> {
    type Target = [Entry<C>];

    fn deref(&self) -> &[Entry<C>] {
        &self.0
    }
}

impl<C> FromIterator<Entry<C>> for Entries<C> {
    fn from_iter<I: IntoIterator<Item = Entry<C>>>(entries: I) -> Self {
        Self(entries.into_iter().collect())
    }
}

impl<C: Serialize> Serialize for Entries<C> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0[..].serialize(serializer)
    }
}

impl<'de, C: Deserialize<'de>> Deserialize<'de> for Entries<C> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::deserialize(deserializer).map(|entries| Self(entries.into()))
    }
}

/// What an entry says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload<C> {
    /// Nothing: a leader commits it to commit what lies before.
    Nothing,
    /// A command for the state.
    Command {
        /// The proposal's name.
        identity: Identity,
        /// The command.
        command: C,
    },
    /// Who belongs to the group from here on.
    Members(Members),
}

/// The entries behind a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log<C> {
    /// The index and the term of the entry before the first that is here.
    before: (Index, Term),
    entries: VecDeque<Entry<C>>,
}

impl<C> Default for Log<C> {
    fn default() -> Self {
        Self::after((0, 0))
    }
}

impl<C> Log<C> {
    /// An empty log behind an entry.
    pub fn after(before: (Index, Term)) -> Self {
        let entries = VecDeque::new();
        Self { before, entries }
    }

    /// The index and the term of the entry before the first that is here.
    pub fn before(&self) -> (Index, Term) {
        self.before
    }

    /// The index and the term of the last entry.
    pub fn last(&self) -> (Index, Term) {
        let term = self.entries.back().map_or(self.before.1, |entry| entry.term);
        (self.before.0 + self.entries.len() as u64, term)
    }

    /// The term of an entry, if it is known here.
    pub fn term(&self, index: Index) -> Option<Term> {
        if index == self.before.0 {
            return Some(self.before.1);
        }
        self.get(index).map(|entry| entry.term)
    }

    /// An entry, if it is here.
    pub fn get(&self, index: Index) -> Option<&Entry<C>> {
        let place = index.checked_sub(self.before.0 + 1)?;
        self.entries.get(place as usize)
    }

    /// The entries from an index on, with their indices.
    pub fn from(&self, index: Index) -> impl Iterator<Item = (Index, &Entry<C>)> {
        let skipped = index.saturating_sub(self.before.0 + 1);
        let first = self.before.0 + 1 + skipped;
        (first..).zip(self.entries.iter().skip(skipped as usize))
    }

    /// The first index of the term that an entry has, as far as it is here.
    pub(super) fn first_of_term(&self, mut index: Index) -> Index {
        let term = self.term(index);
        while index > self.before.0 + 1 && self.term(index - 1) == term {
            index -= 1;
        }
        index
    }

    /// The last index of a term, if there is one here.
    pub(super) fn last_of_term(&self, term: Term) -> Option<Index> {
        // Terms never fall along a log.
        let end = self.entries.partition_point(|entry| entry.term <= term);
        let last = self.before.0 + end as u64;
        (self.term(last) == Some(term)).then_some(last)
    }

    pub(super) fn push(&mut self, entry: Entry<C>) -> Index {
        self.entries.push_back(entry);
        self.last().0
    }

    /// So many entries from an index on, or all that there are.
    pub(super) fn some(&self, first: Index, most: usize) -> Entries<C>
    where
        C: Clone,
    {
        let start = first.saturating_sub(self.before.0 + 1) as usize;
        let end = (start + most).min(self.entries.len());
        Entries(self.entries.range(start..end).cloned().collect())
    }

    /// Drops the entry at an index and all behind it.
    pub(super) fn cut(&mut self, index: Index) {
        let kept = index.saturating_sub(self.before.0 + 1);
        self.entries.truncate(kept as usize);
    }

    /// Drops the entries up to an index, which is here.
    pub(super) fn compact(&mut self, upto: Index) {
        let Some(term) = self.term(upto) else { return };
        self.entries.drain(..(upto - self.before.0) as usize);
        self.before = (upto, term);
    }

    /// How many entries are here.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The state after an entry, in place of all entries up to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot<S> {
    /// The index and the term of that entry.
    pub last: (Index, Term),
    /// Who belonged to the group.
    pub members: Members,
    /// Which proposals were applied.
    pub sessions: Sessions,
    /// The host's state.
    pub state: S,
}

/// What survives a crash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk<C, S> {
    /// The latest term that the member knows of.
    pub term: Term,
    /// Whom it has voted for in that term.
    pub vote: Option<Id>,
    /// The log.
    pub log: Log<C>,
    /// The latest snapshot.
    pub snapshot: Option<Box<Snapshot<S>>>,
    /// The last entry that the host's state has, which is as durable.
    pub applied: Index,
    /// Which proposals that state knows.
    pub sessions: Sessions,
    /// The memberships in the log, by index, and the last before it.
    pub(super) memberships: Vec<(Index, Members)>,
}

impl<C, S> Disk<C, S> {
    /// The disk of a member that has seen nothing but who founded the group.
    pub fn new(founders: Members) -> Self {
        Self {
            term: 0,
            vote: None,
            log: Log::default(),
            snapshot: None,
            applied: 0,
            sessions: Sessions::default(),
            memberships: vec![(0, founders)],
        }
    }

    pub(super) fn push(&mut self, entry: Entry<C>) -> Index {
        let members = match &entry.payload {
            Payload::Members(members) => Some(members.clone()),
            _ => None,
        };
        let index = self.log.push(entry);
        self.memberships.extend(members.map(|members| (index, members)));
        index
    }

    pub(super) fn cut(&mut self, index: Index) {
        self.log.cut(index);
        // The first is what the group had before the log begins.
        let kept = self.memberships.partition_point(|(at, _)| *at < index).max(1);
        self.memberships.truncate(kept);
    }

    pub(super) fn compact(&mut self, upto: Index) {
        self.log.compact(upto);
        let first = self.memberships.partition_point(|(at, _)| *at <= upto);
        self.memberships.drain(..first.saturating_sub(1));
    }
}
