//! Who belongs to the group, and how that changes: one member at a time (thesis, 4.1 to 4.2.1).
//!
//! Guarantees: a change is begun only when the one before it is committed, and by a leader that has committed an entry of its own
//! term (without the latter two leaders could each have a majority of their own; Ongaro, "bug in single-server membership
//! changes", 2015). The latest membership in a log counts from when it stands there.

use super::log::Payload;
use super::node::{Node, Role};
use super::{Body, Id, Message};
use serde::{Deserialize, Serialize};

/// The members of a group.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    /// Those whose votes and copies count, ascending.
    pub voters: Vec<Id>,
    /// Those who are sent the log, ascending.
    pub learners: Vec<Id>,
}

impl Members {
    /// A group of voters.
    pub fn of(voters: impl IntoIterator<Item = Id>) -> Self {
        let mut voters: Vec<Id> = voters.into_iter().collect();
        voters.sort_unstable();
        Self {
            voters,
            learners: Vec::new(),
        }
    }

    /// How many voters make a majority.
    pub fn quorum(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// Whether a member's vote counts.
    pub fn has_voter(&self, id: Id) -> bool {
        self.voters.binary_search(&id).is_ok()
    }

    /// Whether a member belongs to the group.
    pub fn has(&self, id: Id) -> bool {
        self.has_voter(id) || self.learners.binary_search(&id).is_ok()
    }

    /// Everybody but `id`, voters first.
    pub fn others(&self, id: Id) -> impl Iterator<Item = Id> + '_ {
        self.voters
            .iter()
            .chain(&self.learners)
            .copied()
            .filter(move |other| *other != id)
    }

    fn without(&self, id: Id) -> Self {
        let mut next = self.clone();
        next.voters.retain(|other| *other != id);
        next.learners.retain(|other| *other != id);
        next
    }

    fn with_learner(&self, id: Id) -> Self {
        let mut next = self.without(id);
        next.learners.push(id);
        next.learners.sort_unstable();
        next
    }

    fn with_voter(&self, id: Id) -> Self {
        let mut next = self.without(id);
        next.voters.push(id);
        next.voters.sort_unstable();
        next
    }
}

impl<C: Clone, S: Clone> Node<C, S> {
    /// A new member asks everybody to be let in, until it is a voter.
    pub(super) fn ask_to_join(&mut self, now: i64) {
        self.join_due = i64::MAX;
        let Some(joining) = self.joining.clone() else {
            return;
        };
        for to in joining.contacts {
            let body = Body::Join {
                replaces: joining.replaces.clone(),
            };
            self.send(to, body);
        }
        self.join_due = now.saturating_add(self.settings.election_min);
    }

    /// Somebody asks to be let in. The leader takes the next step, if none is under way: those that the new member stands for are
    /// removed; it becomes a learner; once it has what is committed, a voter. It asks again until it is one.
    pub(super) fn let_in(&mut self, from: Id, replaces: &[Id], now: i64) {
        if self.role != Role::Leader || self.is_changing() || !self.is_current() || self.transfer.is_some() {
            return;
        }
        let members = self.members();
        let obsolete = replaces
            .iter()
            .copied()
            .find(|old| *old != self.id && members.has(*old));
        let next = if let Some(old) = obsolete {
            let next = members.without(old);
            if next.voters.is_empty() {
                return;
            }
            next
        } else if members.has_voter(from) {
            return;
        } else if !members.has(from) {
            members.with_learner(from)
        } else if self
            .progress
            .get(from)
            .is_some_and(|progress| progress.matched >= self.commit)
        {
            members.with_voter(from)
        } else {
            return self.replicate(from, now);
        };
        self.change(next, now);
    }

    /// Takes a member out of the group. `false`: it doesn't lead, knows of no such member, or can't yet: a change isn't committed, it
    /// hasn't committed an entry of its term, it is handing over, or nobody would be left.
    pub fn remove(&mut self, id: Id, now: i64) -> bool {
        let leads = self.role == Role::Leader && self.is_current() && self.transfer.is_none();
        if !leads || self.is_changing() || !self.members().has(id) {
            return false;
        }
        let next = self.members().without(id);
        if next.voters.is_empty() {
            return false;
        }
        self.change(next, now);
        true
    }

    /// Appends a change of the membership, which counts from now on.
    fn change(&mut self, next: Members, now: i64) {
        self.append_own(Payload::Members(next), now);
    }

    /// Whether a change of the membership isn't committed yet.
    pub(super) fn is_changing(&self) -> bool {
        self.disk
            .memberships
            .last()
            .is_some_and(|(index, _)| *index > self.commit)
    }

    /// The membership that counts: the latest in the log.
    pub fn members(&self) -> &Members {
        &self.disk.memberships.last().expect("there is always one").1
    }

    /// A member may have learnt of its own part in the group. Only what is committed counts: an entry that makes it a voter, and isn't,
    /// may be gone with the leader that sent it.
    pub(super) fn settle_joining(&mut self) {
        if self.joining.is_some() && self.members().has_voter(self.id) && !self.is_changing() {
            self.joining = None;
        }
    }

    pub(super) fn send(&mut self, to: Id, body: Body<C, S>) {
        let term = self.disk.term;
        self.send_in(to, term, body);
    }

    pub(super) fn send_in(&mut self, to: Id, term: super::Term, body: Body<C, S>) {
        let from = self.id;
        self.output.messages.push(Message { from, to, term, body });
    }
}
