//! Elections: who stands, who votes for whom, who wins.

use super::log::Payload;
use super::message::Body;
use super::node::{Node, Role};
use super::{Flaw, Id, Index, Term};

impl<C: Clone, S: Clone> Node<C, S> {
    /// Nothing was heard of a leader for too long.
    pub(super) fn election_timeout(&mut self, now: i64) {
        self.set_election_timer(now);
        if self.role == Role::Leader {
            return;
        }
        self.leader = None;
        if self.members().has_voter(self.id) && !self.retired {
            self.stand(!self.settings.pre_vote, false, now);
        }
    }

    /// The member stands for election at once, as the first of a new group does that is to lead it. It begins to take part.
    pub fn start_as_candidate(&mut self, now: i64) {
        self.start(now);
        if self.members().has_voter(self.id) {
            self.stand(true, false, now);
        }
    }

    /// The leader wants this member to take over.
    pub(super) fn take_lead(&mut self, now: i64) {
        if self.members().has_voter(self.id) && self.role != Role::Leader {
            self.set_election_timer(now);
            self.stand(true, true, now);
        }
    }

    /// Stands for election, or asks whether it could.
    fn stand(&mut self, in_earnest: bool, transfer: bool, now: i64) {
        self.leader = None;
        self.refusals.clear();
        self.votes.clear();
        self.votes.insert(self.id);
        let last = self.disk.log.last();
        let (term, body) = if in_earnest {
            self.role = Role::Candidate;
            self.disk.term += 1;
            self.disk.vote = Some(self.id);
            (self.disk.term, Body::Vote { last, transfer })
        } else {
            self.role = Role::PreCandidate;
            (self.disk.term + 1, Body::PreVote { last })
        };
        let id = self.id;
        let voters = self.members().voters.clone();
        for to in voters.into_iter().filter(|voter| *voter != id) {
            self.send_in(to, term, body.clone());
        }
        self.count(now);
    }

    /// Counts the votes.
    fn count(&mut self, now: i64) {
        let members = self.members();
        let of = |votes: &std::collections::BTreeSet<Id>| votes.iter().filter(|id| members.has_voter(**id)).count();
        let (granted, refused, needed) = (of(&self.votes), of(&self.refusals), members.quorum());
        match self.role {
            _ if refused >= needed => self.follow(self.disk.term, None, now),
            Role::PreCandidate if granted >= needed => self.stand(true, false, now),
            Role::Candidate if granted >= needed => self.lead(now),
            _ => {}
        }
    }

    /// Whether it hears a leader, or is one that is heard, and so refuses candidates.
    fn hears_leader(&self, now: i64) -> bool {
        if self.settings.flaw == Flaw::NeverRefuses {
            return false;
        }
        let since = match self.role {
            Role::Leader => Some(self.contact),
            _ => self.heard,
        };
        // A clock that was set back says nothing about how long ago that was.
        since.is_some_and(|since| (0..self.settings.election_min).contains(&now.saturating_sub(since)))
    }

    /// Whether a candidate's log has all that this member's may have that is committed.
    fn is_up_to_date(&self, (index, term): (Index, Term)) -> bool {
        let (my_index, my_term) = self.disk.log.last();
        self.settings.flaw == Flaw::VotesForShortLogs || (term, index) >= (my_term, my_index)
    }

    pub(super) fn pre_vote_asked(&mut self, from: Id, term: Term, last: (Index, Term), now: i64) {
        if self.hears_leader(now) {
            return;
        }
        if term > self.disk.term && self.is_up_to_date(last) {
            self.send_in(from, term, Body::PreVoted { granted: true });
        } else {
            self.send(from, Body::PreVoted { granted: false });
        }
    }

    pub(super) fn pre_voted(&mut self, from: Id, term: Term, granted: bool, now: i64) {
        if !granted && term > self.disk.term {
            return self.follow(term, None, now);
        }
        let is_meant = granted && term == self.disk.term + 1 || !granted && term == self.disk.term;
        if self.role == Role::PreCandidate && is_meant {
            self.tally(from, granted, now);
        }
    }

    pub(super) fn vote_asked(&mut self, from: Id, term: Term, last: (Index, Term), transfer: bool, now: i64) {
        if term < self.disk.term {
            return self.send(from, Body::Voted { granted: false });
        }
        if !transfer && self.hears_leader(now) {
            // It doesn't even take over the term.
            return;
        }
        if term > self.disk.term {
            self.follow(term, None, now);
        }
        let is_free = self.disk.vote.is_none_or(|vote| vote == from);
        let granted = is_free && self.role != Role::Leader && self.is_up_to_date(last);
        if granted {
            self.disk.vote = Some(from);
            self.set_election_timer(now);
        }
        self.send(from, Body::Voted { granted });
    }

    pub(super) fn voted(&mut self, from: Id, granted: bool, now: i64) {
        if self.role == Role::Candidate {
            self.tally(from, granted, now);
        }
    }

    fn tally(&mut self, from: Id, granted: bool, now: i64) {
        let said = if granted { &mut self.votes } else { &mut self.refusals };
        said.insert(from);
        self.count(now);
    }

    /// It is elected.
    fn lead(&mut self, now: i64) {
        self.role = Role::Leader;
        self.leader = Some(self.id);
        self.election_due = i64::MAX;
        (self.round, self.contact, self.lease_void) = (0, now, false);
        self.rounds.clear();
        self.transfer = None;
        let (applied, next) = (self.disk.applied, self.disk.log.last().0 + 1);
        self.unapplied.clear();
        for (_, entry) in self.disk.log.from(applied + 1) {
            if let Payload::Command { identity, .. } = &entry.payload {
                self.unapplied.insert(*identity, ());
            }
        }
        let others: Vec<Id> = self.members().others(self.id).collect();
        self.progress.clear();
        others.into_iter().for_each(|id| self.progress.add(id, next));
        // Only an entry of its own term says what is committed of those before it.
        self.append_own(Payload::Nothing, now);
        self.beat(now);
        self.ask_again(now);
    }

    /// Hands the lead over to a voter, once that has the whole log. From then on until the end of the term reads are confirmed by a
    /// round trip: the other may be elected although voters hear this leader. `false`: it doesn't lead, or the other is no voter.
    pub fn transfer(&mut self, to: Id, now: i64) -> bool {
        if self.role != Role::Leader || to == self.id || !self.members().has_voter(to) {
            return false;
        }
        self.transfer = Some((to, now.saturating_add(self.settings.election_max)));
        self.hand_over(to);
        self.replicate(to, now);
        true
    }

    /// Hands the lead over to a voter that is there: it was heard less than `election_min` ago. `false`: it doesn't lead, isn't current, is
    /// handing over already, or the other isn't there.
    pub fn hand_over_if_there(&mut self, to: Id, now: i64) -> bool {
        let heard = self.progress.get(to).and_then(|progress| progress.heard);
        let is_there = heard.is_some_and(|heard| (0..self.settings.election_min).contains(&now.saturating_sub(heard)));
        is_there && self.transfer.is_none() && self.is_current() && self.transfer(to, now)
    }

    /// Tells the member that is to take over, if it has the whole log.
    pub(super) fn hand_over(&mut self, to: Id) {
        let last = self.disk.log.last().0;
        let has_all = self.progress.get(to).is_some_and(|progress| progress.matched == last);
        if has_all && self.transfer.is_some_and(|(target, _)| target == to) {
            self.lease_void = true;
            self.send(to, Body::TimeoutNow);
        }
    }
}
