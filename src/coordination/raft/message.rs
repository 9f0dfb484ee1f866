//! What members send each other.

use super::log::{Entries, Snapshot};
use super::sessions::Identity;
use super::{Id, Index, Term};
use serde::{Deserialize, Serialize};

/// A message between members.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message<C, S> {
    /// Who sent it.
    pub from: Id,
    /// Whom it is for.
    pub to: Id,
    /// The sender's term; of a [`Body::PreVote`], and of its granted answer, the term that the candidate would have.
    pub term: Term,
    /// What it says.
    pub body: Body<C, S>,
}

/// What a message says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body<C, S> {
    /// Would you vote for me?
    PreVote {
        /// The index and term of the candidate's last entry.
        last: (Index, Term),
    },
    /// The answer.
    PreVoted {
        /// Yes.
        granted: bool,
    },
    /// Vote for me.
    Vote {
        /// The index and term of the candidate's last entry.
        last: (Index, Term),
        /// The leader has asked for this election.
        transfer: bool,
    },
    /// The answer.
    Voted {
        /// Yes.
        granted: bool,
    },
    /// Entries behind one that the receiver should have.
    Append {
        /// The round of heartbeats in which it was sent.
        round: u64,
        /// The index and term of the entry before them.
        before: (Index, Term),
        /// The entries.
        entries: Entries<C>,
        /// What the leader has committed.
        commit: Index,
    },
    /// The receiver has everything up to an entry.
    Appended {
        /// The round of what it answers.
        round: u64,
        /// The last entry in which it agrees with the leader.
        matched: Index,
    },
    /// The receiver lacks the entry before, or has another one there.
    Conflict {
        /// The round of what it answers.
        round: u64,
        /// The index before which the entries should have gone.
        before: Index,
        /// Where it has another entry: that entry's term, and the first index of that term in its log; without a term, the index
        /// behind its log.
        hint: (Option<Term>, Index),
    },
    /// The leader is there.
    Heartbeat {
        /// The round.
        round: u64,
        /// What is committed of what the receiver is known to have.
        commit: Index,
    },
    /// The answer.
    Heard {
        /// The round, from 1; 0 answers a leader of an earlier term.
        round: u64,
    },
    /// More is committed, of what the receiver was sent; there is no answer.
    Commit {
        /// An entry up to which it is.
        commit: Index,
        /// The entry's term: a log that has it agrees in all before it.
        of: Term,
    },
    /// The state, in place of entries that the leader's log doesn't have any more. Answered as entries are.
    Install {
        /// The round of heartbeats in which it was sent.
        round: u64,
        /// The state.
        snapshot: Box<Snapshot<S>>,
    },
    /// Stand for election at once: the leader hands over.
    TimeoutNow,
    /// A proposal for the leader.
    Propose {
        /// Its name.
        identity: Identity,
        /// The command.
        command: C,
    },
    /// From which entry on may I answer a read?
    Ask {
        /// The asker's name for it.
        token: u64,
    },
    /// The answer: from this one on.
    Told {
        /// The asker's name for it.
        token: u64,
        /// The entry.
        index: Index,
    },
    /// A member that begins without a disk asks to be let in.
    Join {
        /// The members whose place it takes.
        replaces: Vec<Id>,
    },
}
