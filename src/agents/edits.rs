//! A recorded editing session as agents replay it: who did what to one text, and what each had before the eyes.
//!
//! Guarantees that every edit names exactly those that its author had taken in when making it: its own earlier ones, and of
//! each other author the first so many. An agent makes an edit once its replica has these, with a position in the text that is
//! made of them alone: what has come since is held back from its view.

use super::group::AgentGroup;
use super::step::OperateStep;
use crate::random::Law;
use crate::state::{Context, Op, Origin, VersionVector};
use crate::world::call::Awaits;
use serde::Serialize;
use std::sync::Arc;
use thiserror::Error;

/// A transaction as recorded: edits that one author made in one go.
#[derive(Debug, Clone, PartialEq)]
pub struct Transaction {
    /// The transactions that the author had taken in, by their places; all that these had taken in goes without saying.
    pub parents: Vec<usize>,
    /// The author's number, from 0.
    pub author: usize,
    /// Position, number of characters deleted there, characters inserted there; each in the text after the one before.
    pub patches: Vec<(u32, u32, String)>,
}

/// Why transactions aren't a session.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SessionError {
    /// There is nothing to replay.
    #[error("no transaction changes anything")]
    Empty,
    /// A parent comes later, or isn't there.
    #[error("transaction {0} builds on transaction {1}, which doesn't stand before it")]
    Parent(usize, usize),
    /// An author is beyond their number.
    #[error("transaction {0} is by author {1}, and the authors are numbered from 0 to {2}")]
    Author(usize, usize, usize),
    /// An author forgot what it had written.
    #[error("transaction {0} doesn't build on what its own author did before it")]
    Forgets(usize),
    /// A text or a session that can't be numbered.
    #[error("the session has more characters or edits than can be numbered")]
    TooLong,
}

/// What one author did.
#[derive(Debug, Clone, Default, PartialEq)]
struct Author {
    /// Each edit, and whether it begins a transaction.
    edits: Vec<(Op, bool)>,
    /// For each edit, how many edits of each author it builds on.
    saw: Vec<u32>,
}

/// A recorded session.
#[derive(Debug, Clone, PartialEq)]
pub struct Session {
    authors: Vec<Author>,
    /// The inserted characters, by the places that edits name.
    table: Vec<char>,
    /// The text that everybody ended in.
    end: String,
}

impl Session {
    /// The session of these transactions by so many authors, which ended in the text `end`.
    ///
    /// # Errors
    /// A [`SessionError`] if that is no history of edits in which every author remembers its own.
    pub fn new(authors: usize, transactions: &[Transaction], end: String) -> Result<Self, SessionError> {
        let mut all = vec![Author::default(); authors];
        let mut table: Vec<char> = Vec::new();
        let mut after: Vec<Vec<u32>> = Vec::with_capacity(transactions.len());
        for (place, transaction) in transactions.iter().enumerate() {
            let who = transaction.author;
            if who >= authors {
                return Err(SessionError::Author(place, who, authors.saturating_sub(1)));
            }
            let mut saw = vec![0u32; authors];
            for parent in &transaction.parents {
                let known = after.get(*parent).ok_or(SessionError::Parent(place, *parent))?;
                saw.iter_mut()
                    .zip(known)
                    .for_each(|(saw, known)| *saw = (*saw).max(*known));
            }
            let author = &mut all[who];
            if saw[who] as usize != author.edits.len() {
                return Err(SessionError::Forgets(place));
            }
            let mut begins = true;
            for (at, deleted, inserted) in &transaction.patches {
                let from = u32::try_from(table.len()).map_err(|_| SessionError::TooLong)?;
                table.extend(inserted.chars());
                let length = u32::try_from(table.len()).map_err(|_| SessionError::TooLong)? - from;
                let delete = Op::DeleteText {
                    at: *at,
                    length: *deleted,
                };
                let insert = Op::InsertText { at: *at, from, length };
                for op in [(*deleted > 0).then_some(delete), (length > 0).then_some(insert)]
                    .into_iter()
                    .flatten()
                {
                    author.saw.extend(&saw);
                    author.edits.push((op, std::mem::take(&mut begins)));
                    saw[who] = saw[who].checked_add(1).ok_or(SessionError::TooLong)?;
                }
            }
            after.push(saw);
        }
        if all.iter().all(|author| author.edits.is_empty()) {
            return Err(SessionError::Empty);
        }
        Ok(Self {
            authors: all,
            table,
            end,
        })
    }

    /// How many authors it has.
    pub fn authors(&self) -> usize {
        self.authors.len()
    }

    /// How many edits there are, of all authors.
    pub fn edits(&self) -> usize {
        self.authors.iter().map(|author| author.edits.len()).sum()
    }

    /// The text that it ended in.
    pub fn end(&self) -> &str {
        &self.end
    }

    /// The characters of a text, given as spans of places in the table; `None` if one is of no edit of this session.
    pub fn characters(&self, spans: impl IntoIterator<Item = (u32, u32)>) -> Option<Vec<char>> {
        let mut text = Vec::new();
        for (from, length) in spans {
            text.extend(self.table.get(from as usize..from as usize + length as usize)?);
        }
        Some(text)
    }
}

/// A step that replays a session.
#[derive(Debug, Clone, PartialEq)]
pub struct EditStep {
    /// The key, the store and the policy of its operations.
    pub operate: OperateStep,
    /// What is replayed.
    pub part: Arc<Part>,
    /// How long an author thinks before each transaction.
    pub think: Option<Law>,
}

/// A session with what its authors have to know to take part.
#[derive(Debug, Clone, PartialEq)]
pub struct Part {
    /// The session.
    pub session: Arc<Session>,
    /// The replica of the store through which each author edits, which is nobody else's.
    pub replicas: Vec<u16>,
    /// How long an edit waits at its replica for what it builds on.
    pub awaits: Awaits,
}

/// How far an author has come.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(super) struct Progress {
    /// The edit that is made now, or next.
    next: u32,
    /// Which of the agent's calls makes it, once that was begun: it keeps that number through crashes, so that the replica
    /// knows it again.
    call: Option<u32>,
}

impl AgentGroup {
    /// Whether another edit is to be made and, if so, whether it begins a transaction.
    pub(super) fn next_edit(&self, member: u32, edit: u32) -> Option<bool> {
        let author = &self.spec.program.edits[edit as usize].0.session.authors[member as usize];
        let progress = self.edits.get(&(member, edit)).copied().unwrap_or_default();
        author.edits.get(progress.next as usize).map(|(_, begins)| *begins)
    }

    /// The edit of an author is over.
    pub(super) fn edit_over(&mut self, member: u32, edit: u32) {
        let progress = self.edits.entry((member, edit)).or_default();
        (progress.next, progress.call) = (progress.next + 1, None);
    }

    /// The edit that an author makes now, with what it builds on.
    pub(super) fn edit(&self, member: u32, edit: u32) -> (Op, Context, Awaits) {
        let part = &self.spec.program.edits[edit as usize].0;
        let author = &part.session.authors[member as usize];
        let next = self.edits.get(&(member, edit)).map_or(0, |progress| progress.next) as usize;
        let count = part.replicas.len();
        let mut saw = VersionVector::default();
        for (replica, number) in part.replicas.iter().zip(&author.saw[next * count..(next + 1) * count]) {
            if *number > 0 {
                saw.raise(Origin::new(*replica, 0), *number);
            }
        }
        let context = Context {
            seen: saw.into(),
            is_all: true,
        };
        (author.edits[next].0, context, part.awaits)
    }

    /// The number among its agent's calls of the call that makes the edit; `fresh` if it wasn't begun before.
    pub(super) fn edit_call(&mut self, member: u32, edit: u32, fresh: u32) -> u32 {
        *self.edits.entry((member, edit)).or_default().call.get_or_insert(fresh)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn transaction(parents: &[usize], author: usize, patches: &[(u32, u32, &str)]) -> Transaction {
        let patches = patches
            .iter()
            .map(|(at, deleted, text)| (*at, *deleted, text.to_string()));
        Transaction {
            parents: parents.to_vec(),
            author,
            patches: patches.collect(),
        }
    }

    #[test]
    fn an_edit_knows_what_its_author_had_taken_in() {
        let all = [
            transaction(&[], 0, &[(0, 0, "abc")]),
            transaction(&[0], 1, &[(1, 1, "xy"), (3, 0, "!")]),
            transaction(&[0], 0, &[(3, 0, "d")]),
            transaction(&[1, 2], 0, &[(0, 2, "")]),
        ];
        let session = Session::new(2, &all, "y!cd".into()).unwrap();
        assert_eq!((session.authors(), session.edits()), (2, 6));
        let first = &session.authors[0];
        assert_eq!(first.saw, [0, 0, 1, 0, 2, 3]);
        assert_eq!(session.authors[1].saw, [1, 0, 1, 1, 1, 2]);
        let begins: Vec<bool> = session.authors[1].edits.iter().map(|(_, begins)| *begins).collect();
        assert_eq!(begins, [true, false, false]);
        assert_eq!(
            session.characters([(4, 2), (2, 1), (6, 1)]),
            Some("y!cd".chars().collect())
        );
        assert_eq!(session.characters([(6, 2)]), None);
    }

    #[test]
    fn what_is_no_history_is_refused() {
        let one = transaction(&[], 0, &[(0, 0, "a")]);
        let new = |all: &[Transaction]| Session::new(2, all, String::new()).unwrap_err();
        assert_eq!(new(&[]), SessionError::Empty);
        assert_eq!(new(&[transaction(&[0], 0, &[])]), SessionError::Parent(0, 0));
        assert_eq!(new(&[transaction(&[], 2, &[])]), SessionError::Author(0, 2, 1));
        assert_eq!(new(&[one.clone(), one.clone()]), SessionError::Forgets(1));
        assert_eq!(new(&[transaction(&[], 0, &[])]), SessionError::Empty);
    }
}
