//! A member: what it knows, and how it deals with what comes.

use super::log::{Disk, Entries, Payload, Snapshot};
use super::membership::Members;
use super::message::{Body, Message};
use super::reads::Reads;
use super::replication::Followers;
use super::sessions::Identity;
use super::{Flaw, Id, Index, Settings, Term};
use crate::coordination::shared::Table;
use crate::kernel::{Key, Purpose};
use serde::Serialize;
use std::collections::BTreeSet;

/// The longest time after which a member sends a proposal or a question again, in nanoseconds.
const MOST_PATIENCE: i64 = 1_000_000_000;

/// What a member is in its term.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Role {
    /// It follows whoever leads.
    Follower,
    /// It asks whether it could be elected.
    PreCandidate,
    /// It stands for election.
    Candidate,
    /// It leads.
    Leader,
}

/// A committed command, to be applied by the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Committed<C> {
    /// Its place in the log.
    pub index: Index,
    /// The proposal's name.
    pub identity: Identity,
    /// The command.
    pub command: C,
    /// Whether it wasn't applied before; if it was, the host does nothing but answer.
    pub fresh: bool,
}

/// What a member wants done. The parts come in this order: the state is replaced, commands are applied, reads are answered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Output<C, S> {
    /// The host's state is replaced by this one.
    pub installed: Option<Box<Snapshot<S>>>,
    /// Commands to apply.
    pub committed: Vec<Committed<C>>,
    /// Changes of who belongs to the group that are committed now, by their places.
    pub changed: Vec<(Index, Members)>,
    /// Reads that may be answered from the host's state, by the host's names for them.
    pub readable: Vec<u64>,
    /// Messages to send, once the disk is stable.
    pub messages: Vec<Message<C, S>>,
}

impl<C, S> Default for Output<C, S> {
    fn default() -> Self {
        Self {
            installed: None,
            committed: Vec::new(),
            changed: Vec::new(),
            readable: Vec::new(),
            messages: Vec::new(),
        }
    }
}

/// How a member without a disk gets into the group.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Joining {
    /// Whom it asks.
    pub contacts: Vec<Id>,
    /// The members whose place it takes.
    pub replaces: Vec<Id>,
}

/// A member of a group, which proposes commands `C` to a state that is shipped as an `S`.
#[derive(Debug, Clone, Serialize)]
pub struct Node<C, S> {
    pub(super) id: Id,
    pub(super) settings: Settings,
    pub(super) disk: Disk<C, S>,
    pub(super) joining: Option<Joining>,
    /// The key of its draws, the purpose that its timeouts are drawn for, and how many it has drawn.
    dice: (Key, Purpose, u64),

    pub(super) role: Role,
    pub(super) leader: Option<Id>,
    pub(super) commit: Index,
    /// When it last heard from a leader, or started from a disk: it refuses candidates for a while from then on.
    pub(super) heard: Option<i64>,
    /// Who has granted a vote, as a candidate, and who has said no.
    pub(super) votes: BTreeSet<Id>,
    pub(super) refusals: BTreeSet<Id>,

    pub(super) election_due: i64,
    pub(super) heartbeat_due: i64,
    pub(super) retry_due: i64,
    pub(super) join_due: i64,

    /// Proposals of this member's host that aren't applied yet.
    pub(super) proposals: Table<Identity, C>,
    pub(super) reads: Reads,
    /// The last entry of which it was told that it is committed before it had it, and the entry's term.
    pub(super) foretold: Option<(Index, Term)>,

    // What follows is a leader's.
    pub(super) progress: Followers,
    /// The entries that were sent last, and the index of the first of them: the next member is mostly sent the same.
    #[serde(skip)]
    pub(super) sent: Option<(Index, Entries<C>)>,
    /// The proposals in its log that aren't applied.
    pub(super) unapplied: Table<Identity, ()>,
    /// The number of the last round of heartbeats, and when those that no quorum has answered were sent.
    pub(super) round: u64,
    pub(super) rounds: std::collections::VecDeque<(u64, i64)>,
    /// When the latest round was sent that a quorum has answered.
    pub(super) contact: i64,
    /// To whom it hands over, and until when it tries.
    pub(super) transfer: Option<(Id, i64)>,
    /// It has asked another member to stand for election in this term: it may be elected at any time, whatever voters hear.
    pub(super) lease_void: bool,
    /// It stands for no election.
    pub(super) retired: bool,

    pub(super) output: Output<C, S>,
}

impl<C: Clone, S: Clone> Node<C, S> {
    /// A founder of a group. `key` and `purpose` are those of its draws.
    pub fn new(id: Id, settings: Settings, founders: Members, key: Key, purpose: Purpose) -> Self {
        Self::with_disk(id, settings, Disk::new(founders), None, (key, purpose, 0))
    }

    /// A member that comes to a group that is at work, without a disk: it asks `contacts` to be let in, in the place of
    /// `replaces`, and votes when it is a voter.
    pub fn joining(
        id: Id,
        settings: Settings,
        (contacts, replaces): (Vec<Id>, Vec<Id>),
        key: Key,
        purpose: Purpose,
    ) -> Self {
        let joining = Joining { contacts, replaces };
        let disk = Disk::new(Members::default());
        Self::with_disk(id, settings, disk, Some(joining), (key, purpose, 0))
    }

    fn with_disk(
        id: Id,
        settings: Settings,
        disk: Disk<C, S>,
        joining: Option<Joining>,
        dice: (Key, Purpose, u64),
    ) -> Self {
        Self {
            id,
            settings,
            commit: disk.applied,
            disk,
            joining,
            dice,
            role: Role::Follower,
            leader: None,
            heard: None,
            votes: BTreeSet::new(),
            refusals: BTreeSet::new(),
            election_due: i64::MAX,
            heartbeat_due: i64::MAX,
            retry_due: i64::MAX,
            join_due: i64::MAX,
            proposals: Table::default(),
            reads: Reads::default(),
            foretold: None,
            progress: Followers::default(),
            sent: None,
            unapplied: Table::default(),
            round: 0,
            rounds: std::collections::VecDeque::new(),
            contact: 0,
            transfer: None,
            lease_void: false,
            retired: false,
            output: Output::default(),
        }
    }

    /// The member begins to take part.
    pub fn start(&mut self, now: i64) {
        self.set_election_timer(now);
        self.ask_to_join(now);
    }

    /// The member comes back from a crash with what was on its disk, and nothing else. What it had heard of a leader it has
    /// forgotten, so it refuses candidates for as long as it could have promised to.
    pub fn restart(&mut self, now: i64) {
        let mut disk = self.disk.clone();
        if self.settings.flaw == Flaw::ForgetsVote {
            disk.vote = None;
        }
        let joining = self.joining.take();
        *self = Self::with_disk(self.id, self.settings.clone(), disk, joining, self.dice);
        self.heard = Some(now);
        self.start(now);
    }

    /// Takes in a message.
    pub fn receive(&mut self, message: Message<C, S>, now: i64) {
        let Message { from, to, term, body } = message;
        if to != self.id {
            // It is for a member whose disk is gone.
            return;
        }
        match body {
            Body::PreVote { last } => return self.pre_vote_asked(from, term, last, now),
            Body::PreVoted { granted } => return self.pre_voted(from, term, granted, now),
            Body::Vote { last, transfer } => return self.vote_asked(from, term, last, transfer, now),
            // A new member knows no term yet.
            Body::Join { replaces } => return self.let_in(from, &replaces, now),
            _ => {}
        }
        if term > self.disk.term {
            self.follow(term, None, now);
        }
        let is_leaders = matches!(
            body,
            Body::Append { .. } | Body::Heartbeat { .. } | Body::Commit { .. } | Body::Install { .. }
        );
        if term < self.disk.term {
            // A leader that doesn't know yet that it isn't one learns it from the term of this answer. It says nothing about rounds:
            // by then it may lead again, and count them anew.
            match body {
                Body::Append { .. } | Body::Heartbeat { .. } | Body::Install { .. } => {
                    self.send(from, Body::Heard { round: 0 });
                }
                // A proposal, or a question, may come from a member that lags behind.
                Body::Propose { identity, command } => self.proposed(identity, command, now),
                Body::Ask { token } => self.asked(from, token, now),
                _ => {}
            }
            return;
        }
        if is_leaders {
            self.hear(from, now);
        }
        match body {
            Body::Voted { granted } => self.voted(from, granted, now),
            Body::Append {
                round,
                before,
                entries,
                commit,
            } => self.append(from, round, before, entries, commit),
            Body::Appended { round, matched } => self.appended(from, round, matched, now),
            Body::Conflict { round, before, hint } => self.conflict(from, round, before, hint, now),
            Body::Heartbeat { round, commit } => {
                self.send(from, Body::Heard { round });
                self.commit_to(commit);
            }
            Body::Heard { round } => self.heard_round(from, round, now),
            Body::Commit { commit, of } => self.commit_known((commit, of)),
            Body::Install { round, snapshot } => self.install(from, round, *snapshot),
            Body::TimeoutNow => self.take_lead(now),
            Body::Propose { identity, command } => self.proposed(identity, command, now),
            Body::Ask { token } => self.asked(from, token, now),
            Body::Told { token, index } => self.told(token, index),
            Body::PreVote { .. } | Body::PreVoted { .. } | Body::Vote { .. } | Body::Join { .. } => {}
        }
    }

    /// When [`Node::tick`] is to be called, by the member's clock, which reads `now`. No timer waits longer than its period, even
    /// if the clock was set back in the meantime.
    pub fn due(&self, now: i64) -> i64 {
        let within = |due: i64, period: i64| match due {
            i64::MAX => i64::MAX,
            due => due.min(now.saturating_add(period)),
        };
        let election = within(self.election_due, self.settings.election_max);
        let others = [
            within(self.heartbeat_due, self.settings.heartbeat),
            within(self.retry_due, self.retry_period()),
            within(self.join_due, self.settings.election_min),
        ];
        others.into_iter().fold(election, i64::min)
    }

    /// Does what is due.
    pub fn tick(&mut self, now: i64) {
        let (election, short) = (self.settings.election_max, self.settings.election_min);
        let retry = self.retry_period();
        for (due, period) in [
            (&mut self.election_due, election),
            (&mut self.heartbeat_due, self.settings.heartbeat),
            (&mut self.retry_due, retry),
            (&mut self.join_due, short),
        ] {
            if *due != i64::MAX {
                *due = (*due).min(now.saturating_add(period));
            }
        }
        if self.heartbeat_due <= now {
            self.beat(now);
        }
        if self.election_due <= now {
            self.election_timeout(now);
        }
        if self.retry_due <= now {
            self.ask_again(now);
        }
        if self.join_due <= now {
            self.ask_to_join(now);
        }
    }

    /// Proposes a command under a name. It is sent to the leader, and again until it is applied here or given up.
    pub fn propose(&mut self, identity: Identity, command: C, now: i64) {
        self.proposals.insert(identity, command.clone());
        self.set_retry_timer(now);
        match self.leader {
            Some(leader) if leader == self.id => self.proposed(identity, command, now),
            Some(leader) => self.send(leader, Body::Propose { identity, command }),
            None => {}
        }
    }

    /// Gives a proposal up. It may be applied all the same, if it has left.
    pub fn give_up(&mut self, identity: Identity) {
        self.proposals.remove(identity);
    }

    /// A proposal reaches a member: its leader puts it into its log, once.
    fn proposed(&mut self, identity: Identity, command: C, now: i64) {
        let is_new = !self.disk.sessions.knows(identity) && !self.unapplied.has(identity);
        if self.role == Role::Leader && self.transfer.is_none() && is_new {
            self.append_own(Payload::Command { identity, command }, now);
        }
    }

    /// Sends what this member's host wants to the leader again: it has changed, or may not have heard.
    pub(super) fn ask_again(&mut self, now: i64) {
        self.retry_due = i64::MAX;
        if self.proposals.is_empty() && self.reads.are_settled() {
            return;
        }
        self.set_retry_timer(now);
        let Some(leader) = self.leader else { return };
        let proposals: Vec<(Identity, C)> = self
            .proposals
            .sorted()
            .into_iter()
            .map(|(identity, command)| (identity, command.clone()))
            .collect();
        for (identity, command) in proposals {
            if leader == self.id {
                self.proposed(identity, command, now);
            } else {
                self.send(leader, Body::Propose { identity, command });
            }
        }
        for token in self.reads.unsettled() {
            if leader == self.id {
                self.asked(self.id, token, now);
            } else {
                self.send(leader, Body::Ask { token });
            }
        }
    }

    /// How long a member waits before it sends again what its host wants: as long as an election takes at least, and a second at most.
    fn retry_period(&self) -> i64 {
        self.settings.election_min.min(MOST_PATIENCE)
    }

    pub(super) fn set_retry_timer(&mut self, now: i64) {
        self.retry_due = self.retry_due.min(now.saturating_add(self.retry_period()));
    }

    /// Something comes from the leader of the member's term.
    fn hear(&mut self, from: Id, now: i64) {
        self.heard = Some(now);
        if self.leader != Some(from) || self.role != Role::Follower {
            self.follow(self.disk.term, Some(from), now);
        } else {
            self.set_election_timer(now);
        }
    }

    /// Follows in a term, which isn't lower than its own.
    pub(super) fn follow(&mut self, term: Term, leader: Option<Id>, now: i64) {
        if term > self.disk.term {
            (self.disk.term, self.disk.vote) = (term, None);
        }
        if self.role == Role::Leader {
            self.progress.clear();
            self.unapplied.clear();
            self.sent = None;
            self.rounds.clear();
            self.transfer = None;
            self.heartbeat_due = i64::MAX;
            self.reads.abdicate();
        }
        self.role = Role::Follower;
        self.votes.clear();
        self.refusals.clear();
        let is_news = leader.is_some() && self.leader != leader;
        self.leader = leader;
        // A higher term by itself gives nobody more time: only a leader that is heard, and a vote that is granted, do so.
        if leader.is_some() || self.election_due == i64::MAX {
            self.set_election_timer(now);
        }
        if is_news {
            self.ask_again(now);
        }
    }

    pub(super) fn set_election_timer(&mut self, now: i64) {
        let (key, purpose, drawn) = &mut self.dice;
        let unit = key.stream(*purpose, *drawn).unit();
        *drawn += 1;
        let (least, most) = (self.settings.election_min, self.settings.election_max);
        let wait = least + (unit * (most - least) as f64) as i64;
        self.election_due = now.saturating_add(wait);
    }

    /// As much is committed as the leader says, who says it of entries that the member has in common with it.
    pub(super) fn commit_to(&mut self, commit: Index) {
        let commit = commit.min(self.disk.log.last().0);
        if commit > self.commit {
            self.commit = commit;
            self.apply();
        }
    }

    /// An entry is committed, which this member may not have yet, or have another one in its place: its term tells. What is
    /// committed stays so in all terms, so it is remembered until it comes.
    pub(super) fn commit_known(&mut self, entry: (Index, Term)) {
        if entry.0 > self.commit && self.foretold.is_none_or(|known| known < entry) {
            self.foretold = Some(entry);
        }
        self.commit_foretold();
    }

    /// Commits what was said to be committed before it was here, if it is here now.
    pub(super) fn commit_foretold(&mut self) {
        let Some((index, term)) = self.foretold else { return };
        let has_it = self.disk.log.term(index) == Some(term);
        if has_it {
            self.commit_to(index);
        }
        if has_it || index <= self.commit {
            self.foretold = None;
        }
    }

    /// Hands what is committed to the host.
    pub(super) fn apply(&mut self) {
        while self.disk.applied < self.commit {
            let index = self.disk.applied + 1;
            let entry = self
                .disk
                .log
                .get(index)
                .expect("what is committed and not applied is in the log");
            self.disk.applied = index;
            if let Payload::Members(members) = &entry.payload {
                self.output.changed.push((index, members.clone()));
            }
            if let Payload::Command { identity, command } = &entry.payload {
                let (identity, command) = (*identity, command.clone());
                let fresh = self.disk.sessions.note(identity, index, self.settings.remember);
                self.unapplied.remove(identity);
                self.proposals.remove(identity);
                self.output.committed.push(Committed {
                    index,
                    identity,
                    command,
                    fresh,
                });
            }
        }
        self.settle_joining();
        self.reads_behind();
    }

    /// What the member wants done since this was asked last.
    pub fn take_output(&mut self) -> Output<C, S> {
        std::mem::take(&mut self.output)
    }

    /// The same, in exchange for an empty one that has room.
    pub fn swap_output(&mut self, empty: &mut Output<C, S>) {
        debug_assert!(empty.messages.is_empty() && empty.committed.is_empty() && empty.readable.is_empty());
        std::mem::swap(&mut self.output, empty);
    }

    /// Whether the host should hand over its state ([`Node::compact`]).
    pub fn wants_snapshot(&self) -> bool {
        let since = self.disk.snapshot.as_ref().map_or(0, |snapshot| snapshot.last.0);
        self.disk.applied - since >= self.settings.snapshot_every
    }

    /// The host's state after all that was applied: stands for the log from now on, but for its latest entries.
    pub fn compact(&mut self, state: S) {
        let applied = self.disk.applied;
        let term = self
            .disk
            .log
            .term(applied)
            .expect("what was applied last is in the log");
        let place = self.disk.memberships.partition_point(|(at, _)| *at <= applied);
        let (_, members) = &self.disk.memberships[place - 1];
        self.disk.snapshot = Some(Box::new(Snapshot {
            last: (applied, term),
            members: members.clone(),
            sessions: self.disk.sessions.clone(),
            state,
        }));
        let upto = applied.saturating_sub(self.settings.trailing);
        if upto > self.disk.log.before().0 {
            self.disk.compact(upto);
        }
    }

    /// From now on it stands for no election: it is to leave. What it is asked for by others it does.
    pub fn retire(&mut self) {
        self.retired = true;
    }

    /// Its name.
    pub fn id(&self) -> Id {
        self.id
    }

    /// What it is.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Whom it takes for the leader.
    pub fn leader(&self) -> Option<Id> {
        self.leader
    }

    /// Whether it has come without a disk and isn't a voter yet.
    pub fn is_joining(&self) -> bool {
        self.joining.is_some()
    }

    /// What it knows to be committed.
    pub fn commit(&self) -> Index {
        self.commit
    }

    /// What it has on disk.
    pub fn disk(&self) -> &Disk<C, S> {
        &self.disk
    }
}
