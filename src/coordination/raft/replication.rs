//! How a log gets to the others: entries, conflicts, commitment, snapshots.

use super::log::{Entries, Entry, Payload, Snapshot};
use super::message::Body;
use super::node::{Node, Role};
use super::{Flaw, Id, Index, Term};
use serde::Serialize;
use std::collections::VecDeque;

/// What a leader knows of a member.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Progress {
    /// The next entry to send.
    pub next: Index,
    /// The last entry in which it is known to agree.
    pub matched: Index,
    /// The last round that it has answered.
    pub round: u64,
    /// When it was heard last, in this term.
    pub heard: Option<i64>,
    /// The commit index that it was told.
    told: Index,
    /// What is on its way.
    in_flight: VecDeque<InFlight>,
    /// Where the logs meet isn't known: one message at a time.
    probing: bool,
    /// A snapshot is on its way: its last entry, and when it left.
    snapshot: Option<(Index, i64)>,
}

/// A message with entries that isn't answered.
#[derive(Debug, Clone, Copy, Serialize)]
struct InFlight {
    /// Its first entry.
    first: Index,
    /// Its last.
    upto: Index,
    /// The round, and the time, when it left.
    round: u64,
    left: i64,
}

impl Progress {
    pub fn new(next: Index) -> Self {
        Self {
            next,
            matched: 0,
            round: 0,
            heard: None,
            told: 0,
            in_flight: VecDeque::new(),
            probing: true,
            snapshot: None,
        }
    }

    /// What was on its way is taken for lost.
    fn begin_again(&mut self) {
        self.in_flight.clear();
        self.snapshot = None;
        self.probing = true;
        self.next = self.matched + 1;
    }
}

/// What a leader knows of the others, ascending.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Followers(Vec<(Id, Progress)>);

impl Followers {
    pub fn clear(&mut self) {
        self.0.clear();
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// The member at a place.
    fn id(&self, place: usize) -> Id {
        self.0[place].0
    }

    fn place(&self, id: Id) -> Result<usize, usize> {
        // There are few: one after the other is fastest.
        let place = self.0.iter().position(|(other, _)| *other >= id);
        match place {
            Some(place) if self.0[place].0 == id => Ok(place),
            Some(place) => Err(place),
            None => Err(self.0.len()),
        }
    }

    pub fn get(&self, id: Id) -> Option<&Progress> {
        self.place(id).ok().map(|place| &self.0[place].1)
    }

    pub fn get_mut(&mut self, id: Id) -> Option<&mut Progress> {
        self.place(id).ok().map(|place| &mut self.0[place].1)
    }

    /// One more, who is sent entries from `next` on, unless it is there already.
    pub fn add(&mut self, id: Id, next: Index) {
        if let Err(place) = self.place(id) {
            self.0.insert(place, (id, Progress::new(next)));
        }
    }

    fn retain(&mut self, stays: impl Fn(Id) -> bool) {
        self.0.retain(|(id, _)| stays(*id));
    }
}

/// The value that so many of these have at least.
fn held_by<T: Ord + Copy>(values: impl Iterator<Item = T>, quorum: usize) -> T {
    let mut all: smallvec::SmallVec<[T; 16]> = values.collect();
    all.sort_unstable();
    all[all.len() - quorum]
}

impl<C: Clone, S: Clone> Node<C, S> {
    /// Appends an entry to the leader's own log, and sends it.
    pub(super) fn append_own(&mut self, payload: Payload<C>, now: i64) {
        let term = self.disk.term;
        if let Payload::Command { identity, .. } = &payload {
            self.unapplied.insert(*identity, ());
        }
        let is_change = matches!(payload, Payload::Members(_));
        self.disk.push(Entry { term, payload });
        if is_change {
            self.follow_membership();
        }
        self.replicate_all(now);
        // The leader's own copy is never the one that a majority waited for, unless it is one by itself.
        if is_change || self.members().quorum() == 1 {
            self.advance(now);
        }
    }

    /// Sends the log to those who belong to the group, and forgets others.
    fn follow_membership(&mut self) {
        let next = self.disk.log.last().0;
        let members = self.members().clone();
        self.progress.retain(|id| members.has(id));
        members.others(self.id).for_each(|id| self.progress.add(id, next));
    }

    pub(super) fn replicate_all(&mut self, now: i64) {
        (0..self.progress.len()).for_each(|place| self.replicate(self.progress.id(place), now));
    }

    /// Sends a member what it lacks, as far as so much may be on its way.
    pub(super) fn replicate(&mut self, to: Id, now: i64) {
        let (last, before) = (self.disk.log.last().0, self.disk.log.before().0);
        let most = self.settings.in_flight.max(1);
        loop {
            let Some(progress) = self.progress.get_mut(to) else {
                return;
            };
            if progress.snapshot.is_some() || progress.next > last {
                return;
            }
            let limit = if progress.probing { 1 } else { most };
            if progress.in_flight.len() >= limit {
                return;
            }
            if progress.next <= before {
                let snapshot = self.disk.snapshot.clone().expect("a compacted log has a snapshot");
                progress.snapshot = Some((snapshot.last.0, now));
                let round = self.round;
                return self.send(to, Body::Install { round, snapshot });
            }
            let first = progress.next;
            let most = self.settings.batch.max(1);
            let known = self.sent.as_ref().filter(|(from, entries)| {
                let until = from + entries.len() as u64;
                *from == first && until == (last + 1).min(first + most as u64)
            });
            let entries = known.map_or_else(|| self.disk.log.some(first, most), |(_, entries)| entries.clone());
            self.sent = Some((first, entries.clone()));
            let upto = first + entries.len() as u64 - 1;
            let at = (
                first - 1,
                self.disk.log.term(first - 1).expect("the log begins at or before it"),
            );
            progress.next = upto + 1;
            progress.in_flight.push_back(InFlight {
                first,
                upto,
                round: self.round,
                left: now,
            });
            progress.told = progress.told.max(self.commit.min(upto));
            let (round, commit) = (self.round, self.commit);
            let body = Body::Append {
                round,
                before: at,
                entries,
                commit,
            };
            self.send(to, body);
        }
    }

    /// A follower is sent entries.
    pub(super) fn append(&mut self, from: Id, round: u64, before: (Index, Term), entries: Entries<C>, commit: Index) {
        let log = &self.disk.log;
        let (start, _) = log.before();
        // What was compacted was committed, and is the same everywhere.
        let agrees = before.0 < start || log.term(before.0) == Some(before.1);
        if !agrees {
            let hint = match log.term(before.0) {
                Some(term) => (Some(term), log.first_of_term(before.0)),
                None => (None, log.last().0 + 1),
            };
            let body = Body::Conflict {
                round,
                before: before.0,
                hint,
            };
            return self.send(from, body);
        }
        let matched = before.0 + entries.len() as u64;
        for (index, entry) in (before.0 + 1..).zip(entries.iter()) {
            match self.disk.log.term(index) {
                _ if index <= start => {}
                Some(term) if term == entry.term => {}
                Some(_) => {
                    assert!(
                        index > self.commit || self.settings.flaw != Flaw::None,
                        "what is committed stays"
                    );
                    self.disk.cut(index);
                    self.disk.push(entry.clone());
                }
                None => drop(self.disk.push(entry.clone())),
            }
        }
        if self.settings.flaw == Flaw::CutsMatching && matched >= start {
            self.disk.cut(matched + 1);
        }
        self.send(from, Body::Appended { round, matched });
        self.commit_to(commit.min(matched));
        self.commit_foretold();
        self.settle_joining();
    }

    /// A member has all entries up to one.
    pub(super) fn appended(&mut self, from: Id, round: u64, matched: Index, now: i64) {
        if self.role != Role::Leader {
            return;
        }
        self.note_round(from, round, now);
        let Some(progress) = self.progress.get_mut(from) else {
            return;
        };
        progress.matched = progress.matched.max(matched);
        progress.next = progress.next.max(progress.matched + 1);
        let matched = progress.matched;
        while progress.in_flight.front().is_some_and(|sent| sent.upto <= matched) {
            progress.in_flight.pop_front();
        }
        if progress.snapshot.is_some_and(|(upto, _)| upto <= matched) {
            progress.snapshot = None;
        }
        progress.probing = false;
        self.advance(now);
        self.replicate(from, now);
        self.tell_commit(from);
        self.hand_over(from);
        self.confirm(now);
    }

    /// A member doesn't have the entry before those that it was sent.
    pub(super) fn conflict(
        &mut self,
        from: Id,
        round: u64,
        before: Index,
        (term, index): (Option<Term>, Index),
        now: i64,
    ) {
        if self.role != Role::Leader {
            return;
        }
        self.note_round(from, round, now);
        let last = term.and_then(|term| self.disk.log.last_of_term(term));
        if let Some(progress) = self.progress.get_mut(from)
            && before > progress.matched
        {
            // Behind the last entry of that term that the leader has, if it has any: all of it may be the same.
            let next = last.map_or(index, |last| last.min(before - 1) + 1);
            let next = next.clamp(progress.matched + 1, before);
            // What was sent behind a message that is missed is refused as well: each refusal says the same.
            let probe = progress.in_flight.front().filter(|_| progress.probing);
            if probe.is_none_or(|probe| probe.first == before + 1 || next < probe.first) {
                progress.begin_again();
                progress.next = next;
                self.replicate(from, now);
            }
        }
        self.confirm(now);
    }

    /// A member has answered a heartbeat. What left before that, and as long ago as messages may overtake each other, is taken for
    /// lost.
    pub(super) fn heard_round(&mut self, from: Id, round: u64, now: i64) {
        if self.role != Role::Leader {
            return;
        }
        self.note_round(from, round, now);
        let (heartbeat, patience) = (self.settings.heartbeat, self.settings.election_max);
        if let Some(progress) = self.progress.get_mut(from) {
            let overtaken = |sent: &InFlight| sent.round < round && now.saturating_sub(sent.left) >= heartbeat;
            let is_lost = progress.in_flight.front().is_some_and(overtaken);
            let is_late = progress
                .snapshot
                .is_some_and(|(_, left)| now.saturating_sub(left) > patience);
            if is_lost || is_late {
                progress.begin_again();
            }
        }
        self.replicate(from, now);
        self.confirm(now);
    }

    fn note_round(&mut self, from: Id, round: u64, now: i64) {
        if let Some(progress) = self.progress.get_mut(from) {
            progress.round = progress.round.max(round);
            progress.heard = Some(now);
        }
    }

    /// Commits what a quorum has, if its last entry is of the leader's own term.
    fn advance(&mut self, now: i64) {
        let members = self.members();
        let last = self.disk.log.last().0;
        let has = |id: &Id| match self.progress.get(*id) {
            Some(progress) => progress.matched,
            None if *id == self.id => last,
            None => 0,
        };
        let common = held_by(members.voters.iter().map(has), members.quorum());
        let is_own = self.disk.log.term(common) == Some(self.disk.term);
        if common <= self.commit || !(is_own || self.settings.flaw == Flaw::CommitsOldTerms) {
            return;
        }
        self.commit = common;
        self.apply();
        self.answer_held(now);
        for place in 0..self.progress.len() {
            let id = self.progress.id(place);
            self.replicate(id, now);
            self.tell_commit(id);
        }
        if !self.is_changing() && !self.members().has_voter(self.id) {
            // It has removed itself.
            self.follow(self.disk.term, None, now);
        }
    }

    /// Tells a member at once of what is committed, as far as it was sent that, unless entries have told it already. It may still
    /// be on its way there: whoever waits for it there isn't to wait for an answer to it first.
    fn tell_commit(&mut self, to: Id) {
        let commit = self.commit;
        let Some(progress) = self.progress.get_mut(to) else {
            return;
        };
        let commit = commit.min(progress.next - 1);
        let of = self.disk.log.term(commit);
        if let Some(of) = of.filter(|_| commit > progress.told) {
            progress.told = commit;
            self.send(to, Body::Commit { commit, of });
        }
    }

    /// A follower is sent the state in place of entries.
    pub(super) fn install(&mut self, from: Id, round: u64, snapshot: Snapshot<S>) {
        let (index, term) = snapshot.last;
        if index > self.commit {
            self.commit = index;
            if self.disk.log.term(index) == Some(term) {
                // What lies behind it stays.
                self.disk.compact(index);
            } else {
                self.disk.log = super::Log::after(snapshot.last);
                self.disk.memberships = vec![(index, snapshot.members.clone())];
            }
            self.disk.applied = index;
            self.disk.sessions = snapshot.sessions.clone();
            let known: Vec<_> = self
                .proposals
                .sorted()
                .into_iter()
                .map(|(identity, _)| identity)
                .collect();
            for identity in known.into_iter().filter(|identity| self.disk.sessions.knows(*identity)) {
                self.proposals.remove(identity);
            }
            self.disk.snapshot = Some(Box::new(snapshot.clone()));
            self.output.installed = Some(Box::new(snapshot));
            self.commit_foretold();
            self.settle_joining();
            self.reads_behind();
        }
        let matched = self.commit.max(index);
        self.send(from, Body::Appended { round, matched });
    }

    /// A leader's heartbeat is due.
    pub(super) fn beat(&mut self, now: i64) {
        if self.role != Role::Leader {
            self.heartbeat_due = i64::MAX;
            return;
        }
        if self.members().quorum() > 1 && now.saturating_sub(self.contact) > self.settings.election_max {
            // No quorum hears it: somebody else may lead by now, and whoever asks had better know.
            return self.follow(self.disk.term, None, now);
        }
        if self.transfer.is_some_and(|(_, until)| until <= now) {
            self.transfer = None;
        }
        self.heartbeat_due = now.saturating_add(self.settings.heartbeat);
        self.begin_round(now);
    }

    /// Sends a heartbeat to everybody.
    pub(super) fn begin_round(&mut self, now: i64) -> u64 {
        self.round += 1;
        self.rounds.push_back((self.round, now));
        for place in 0..self.progress.len() {
            let (id, progress) = &mut self.progress.0[place];
            let (id, round, commit) = (*id, self.round, self.commit.min(progress.matched));
            progress.told = progress.told.max(commit);
            self.send(id, Body::Heartbeat { round, commit });
        }
        self.reads.rounded(self.round);
        self.confirm(now);
        self.round
    }

    /// Finds out which rounds a quorum has answered.
    pub(super) fn confirm(&mut self, now: i64) {
        if self.role != Role::Leader {
            return;
        }
        let members = self.members();
        let answered = |id: &Id| match self.progress.get(*id) {
            Some(progress) => progress.round,
            None if *id == self.id => self.round,
            None => 0,
        };
        let confirmed = held_by(members.voters.iter().map(answered), members.quorum());
        while let Some(&(round, sent)) = self.rounds.front()
            && round <= confirmed
        {
            self.rounds.pop_front();
            self.contact = sent;
        }
        self.answer_confirmed(confirmed, now);
    }

    /// Whether the leader has committed an entry of its own term, and so knows what is committed.
    pub(super) fn is_current(&self) -> bool {
        self.disk.log.term(self.commit) == Some(self.disk.term)
    }
}
