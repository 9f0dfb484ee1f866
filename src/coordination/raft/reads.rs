//! Reads without entries in the log (thesis, 6.4): a member that wants to answer one from its state asks the leader from which
//! entry on it may, and waits until it has applied that one.
//!
//! Guarantees: an index is given out only by whoever was the leader at some time after the question came: a quorum has answered a
//! heartbeat that left after it, or, by lease, can't have elected another leader yet.

use super::message::Body;
use super::node::{Node, Role};
use super::{Id, Index};
use serde::Serialize;
use std::collections::BTreeMap;

/// A question at a leader.
#[derive(Debug, Clone, Copy, Serialize)]
struct Question {
    from: Id,
    token: u64,
    /// What was committed when it came.
    index: Index,
    /// The round that has to be answered; `None`: it hasn't left yet.
    round: Option<u64>,
}

/// The reads of a member's host, and the questions at a leader.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Reads {
    /// The host's reads, with the entry that each needs, once the leader has said it.
    own: BTreeMap<u64, Option<Index>>,
    /// Questions that wait until the leader has committed an entry of its term.
    held: Vec<(Id, u64)>,
    /// Questions that wait for a round.
    asked: Vec<Question>,
}

impl Reads {
    pub fn are_settled(&self) -> bool {
        self.own.values().all(Option::is_some)
    }

    pub fn unsettled(&self) -> Vec<u64> {
        let unsettled = self.own.iter().filter(|(_, index)| index.is_none());
        unsettled.map(|(token, _)| *token).collect()
    }

    /// The member doesn't lead any more.
    pub fn abdicate(&mut self) {
        self.held.clear();
        self.asked.clear();
    }

    /// A round leaves, and is one for all questions that wait for one to leave.
    pub fn rounded(&mut self, round: u64) {
        for question in self.asked.iter_mut().filter(|question| question.round.is_none()) {
            question.round = Some(round);
        }
    }
}

impl<C: Clone, S: Clone> Node<C, S> {
    /// The host wants to answer a read from its state, so that it shows all that was committed before now. `token` names it; it is
    /// handed back as soon as it may.
    pub fn read(&mut self, token: u64, now: i64) {
        self.reads.own.insert(token, None);
        self.set_retry_timer(now);
        match self.leader {
            Some(leader) if leader == self.id => self.asked(self.id, token, now),
            Some(leader) => self.send(leader, Body::Ask { token }),
            None => {}
        }
    }

    /// Gives a read up.
    pub fn give_up_read(&mut self, token: u64) {
        self.reads.own.remove(&token);
    }

    /// Somebody asks from which entry on a read may be answered.
    pub(super) fn asked(&mut self, from: Id, token: u64, now: i64) {
        if self.role != Role::Leader {
            return;
        }
        if !self.is_current() {
            // What an earlier leader has committed isn't known yet.
            if !self.reads.held.contains(&(from, token)) {
                self.reads.held.push((from, token));
            }
            return;
        }
        if self.has_lease(now) || self.members().quorum() == 1 {
            return self.tell(from, token, self.commit);
        }
        let (index, round) = (self.commit, None);
        let asked = &mut self.reads.asked;
        if asked
            .iter()
            .any(|question| (question.from, question.token) == (from, token))
        {
            return;
        }
        // One round for reads is under way at a time, and the next serves all that have come in the meantime.
        let waits = asked.iter().any(|question| question.round.is_some());
        asked.push(Question {
            from,
            token,
            index,
            round,
        });
        if !waits {
            self.begin_round(now);
        }
    }

    /// Whether no other leader can have been elected yet, if clocks keep what the lease supposes. Of a leader that has committed an
    /// entry of its term: a quorum has heard that from it, after it was elected.
    fn has_lease(&self, now: i64) -> bool {
        let lease = self.settings.lease;
        lease.is_some_and(|lease| !self.lease_void && now < self.contact.saturating_add(lease))
    }

    /// Questions that waited for an entry of the leader's term.
    pub(super) fn answer_held(&mut self, now: i64) {
        if self.is_current() {
            for (from, token) in std::mem::take(&mut self.reads.held) {
                self.asked(from, token, now);
            }
        }
    }

    /// A quorum has answered a round.
    pub(super) fn answer_confirmed(&mut self, confirmed: u64, now: i64) {
        let is_confirmed = |question: &Question| question.round.is_some_and(|round| round <= confirmed);
        if !self.reads.asked.iter().any(is_confirmed) {
            return;
        }
        let asked = std::mem::take(&mut self.reads.asked);
        let (answered, waiting) = asked.into_iter().partition(is_confirmed);
        self.reads.asked = waiting;
        let answered: Vec<Question> = answered;
        for question in answered {
            self.tell(question.from, question.token, question.index);
        }
        let asked = &self.reads.asked;
        if !asked.is_empty() && asked.iter().all(|question| question.round.is_none()) {
            self.begin_round(now);
        }
    }

    fn tell(&mut self, to: Id, token: u64, index: Index) {
        if to == self.id {
            self.told(token, index);
        } else {
            self.send(to, Body::Told { token, index });
        }
    }

    /// The leader has said from which entry on a read may be answered.
    pub(super) fn told(&mut self, token: u64, index: Index) {
        if let Some(needs) = self.reads.own.get_mut(&token) {
            *needs = Some(needs.map_or(index, |known| known.min(index)));
            self.reads_behind();
        }
    }

    /// Hands back the reads whose entry is applied.
    pub(super) fn reads_behind(&mut self) {
        let applied = self.disk.applied;
        if self
            .reads
            .own
            .values()
            .all(|needs| needs.is_none_or(|index| index > applied))
        {
            return;
        }
        let readable = &mut self.output.readable;
        self.reads.own.retain(|token, needs| {
            let is_ready = needs.is_some_and(|index| index <= applied);
            if is_ready {
                readable.push(*token);
            }
            !is_ready
        });
    }
}
