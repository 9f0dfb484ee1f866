//! Raft as a coordination group: a replicated log of proposals, whose members are servers that agents ask.
//!
//! A server takes a proposal to its leader, and answers when it has applied the entry itself. The state that they keep is the number of
//! proposals applied and a hash of all of them in order: what two servers have applied is the same if, and only if, these are.

mod planned;
#[cfg(test)]
mod tests;

pub use planned::{Change, Planned};

use super::super::member::{Asked, Input, Io, Member, NEVER, Saying, event};
use super::super::shared::Table;
use super::super::spec::PatternInfo;
use super::{Body, Disk, Entry, Id, Identity, Members, Message, Node, Output, Payload, Role, Settings, Term};
use crate::kernel::{Key, Words};
use crate::state::content::content_hash;
use crate::state::hash::chain;
use crate::world::population::purpose;
use serde::Serialize;
use smallvec::SmallVec;

/// The events of servers, beside those of all protocols.
pub mod notes {
    use super::event;
    /// A server has voted. About: the term; word: for whom.
    pub const VOTED: u16 = event::OWN;
    /// A server has applied an entry. About: its place in the log; word: the hash of all that was applied up to it; extra: its term.
    pub const APPLIED: u16 = event::OWN + 1;
    /// A leader begins to hand over. About: its term; word: to whom.
    pub const HANDS_OVER: u16 = event::OWN + 2;
    /// A server knows that a change of who belongs to the group is committed. About: its place in the log; word: how many voters there
    /// are from then on; extra: how many learners.
    pub const MEMBERS: u16 = event::OWN + 3;
}

/// The pattern's page in the reference.
pub const INFO: PatternInfo = PatternInfo {
    name: "Raft",
    title: "Raft",
    kinds: <Said as Saying>::KINDS,
    doc: "\
A replicated log (Ongaro and Ousterhout 2014): an elected leader puts each proposal into the log, it is committed when a majority has it on
disk, and every server applies the log in its order. An agent submits to the server nearest to it, which takes the proposal to the leader,
again if there is a new one, and answers when it has applied the entry itself. A proposal takes effect once however often it is submitted, as
long as its entry isn't older than `remember` entries: another attempt has the same name.

A server that hears no leader for a time between `election_min` and `election_max`, drawn each time, stands for election; with `pre_vote` it
asks first whether it could win. These times run on the servers' own clocks. Terms, votes and entries are on disk before anything is sent
that depends on them: each write takes `disk`, and servers do nothing else meanwhile. A server that crashes comes back with its disk, or,
where a fault takes its state, as another member that the leader takes in in its place.

Servers join and leave, and a leader hands over, at the times that `changes` say, by the servers' own clocks: one change of who belongs to the
group at a time, the next one when that is committed (thesis, 4.1). Agents aren't told: who asks one that has left is refused, and asks another one if its policy
has attempts left. A server that is to join has nothing on its disk and takes no part before; then it
asks to be let in, is brought up to date as a learner, and becomes a voter. One that is to leave takes no more submissions and stands for no
election; whoever leads takes it out, itself last. A leader that is to hand over takes no proposals while it brings the other up to date and tells
it to stand at once; if that one doesn't lead after `election_max`, it tries again. If nobody leads when the time of a hand-over comes, nothing is handed over.

Guarantees: one leader a term; servers apply the same proposals in the same order. None of it hangs on clocks.

*Atomic broadcast.* With agents `beside` its servers and a topic in `tells` each server tells its agent the `value` of each proposal that it applies: all are told the same,
in the same order, each once, whatever is lost on the way (uniform total order). What an agent was told before its server crashed isn't told
again, unless the disk is lost, too; and what a server takes over in a snapshot, because it was away for too long, its agent isn't told.
The way from a server to its agent is a link like any other, which may lose messages, or keeps their order with `order: Pair`. The best
effort to compare it with is a `Send` to all of a group: one delay instead of several, and nobody knows who got it.

Costs: a proposal is sent to the leader and from there to each server; each message is answered, but for the word of what is committed. Heartbeats
go to each server every `heartbeat`. An election takes a message to each server and back, twice with `pre_vote`.
",
};

/// What all servers share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rules {
    /// The rules of the protocol.
    pub settings: Settings,
    /// How many servers found the group.
    pub servers: u32,
    /// The server that stands for election at the start, before any timeout.
    pub first: Option<u32>,
    /// How long it takes to write a term, a vote or entries to the disk, in nanoseconds; nothing is sent before that.
    pub disk: u64,
    /// Planned changes, by time.
    pub changes: Vec<Change>,
    /// Whether servers tell the agents beside them what they apply.
    pub tells: bool,
}

/// A proposal in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Command {
    /// Its content.
    pub value: u64,
    /// Its size.
    pub bytes: u32,
}

/// What all that was applied has come to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct State {
    /// How many proposals were applied, each once.
    pub applied: u64,
    /// The hash of their names, in order.
    pub hash: u64,
}

/// What servers say to each other.
#[derive(Debug, Clone, Serialize)]
pub struct Said(Box<Message<Command, State>>);

/// A server.
#[derive(Debug, Clone, Serialize)]
pub struct Server {
    node: Node<Command, State>,
    state: State,
    key: Key,
    /// Who waits for which proposal, by the host's words, and what is proposed.
    asked: Table<Identity, SmallVec<[(u64, u64); 1]>>,
    /// Up to which place of the log it has told the agent beside it what was applied: on its disk.
    told: u64,
    /// The term in which observers know that it stands, and leads.
    stands: Term,
    leads: Option<Term>,
    /// Its lives before this one, each of which lost its disk.
    lives: u32,
    /// How many of the planned changes have come, and when the next one does.
    planned: usize,
    next_change: i64,
    /// To whom it is to hand over.
    hands_to: Option<u32>,
    /// Room for what the protocol wants done, empty between two inputs.
    #[serde(skip)]
    output: Output<Command, State>,
}

/// The name of a server in one of its lives.
fn name_of(place: u32, life: u32) -> Id {
    Id(place | life << 16)
}

/// The place of a server.
fn place_of(id: Id) -> u32 {
    id.0 & 0xffff
}

/// What a change of the disk can be seen by.
fn mark(disk: &Disk<Command, State>) -> (Term, Option<Id>, u64, (u64, Term)) {
    (disk.term, disk.vote, disk.log.before().0, disk.log.last())
}

impl Server {
    /// The server at this place, one of the founders.
    pub fn new(rules: &Rules, place: u32, key: Key) -> Self {
        let (name, settings) = (name_of(place, 0), rules.settings.clone());
        let node = if rules.belongs(place, 0) {
            let founders = Members::of(rules.founders().map(Id));
            Node::new(name, settings, founders, key, purpose::ELECTION)
        } else {
            let contacts = (0..rules.servers).filter(|other| *other != place).map(Id).collect();
            Node::joining(name, settings, (contacts, Vec::new()), key, purpose::ELECTION)
        };
        Self {
            node,
            state: State::default(),
            key,
            asked: Table::default(),
            stands: 0,
            leads: None,
            lives: 0,
            planned: 0,
            next_change: rules.changes.first().map_or(NEVER, |change| change.at),
            told: 0,
            hands_to: None,
            output: Output::default(),
        }
    }

    /// The member that it is.
    pub fn node(&self) -> &Node<Command, State> {
        &self.node
    }

    /// What it has applied.
    pub fn state(&self) -> State {
        self.state
    }

    fn place(&self) -> u32 {
        place_of(self.node.id())
    }

    fn propose(&mut self, rules: &Rules, asked: Asked, io: &mut Io<'_, Said>) {
        if !self.belongs(rules) {
            return io.refuse(asked.token);
        }
        let name = (asked.identity, 0);
        if self.node.disk().sessions.knows(name) {
            // Another attempt at it has taken effect.
            return io.answer(asked.token, asked.value);
        }
        self.asked.entry(name).push((asked.token, asked.value));
        let command = Command {
            value: asked.value,
            bytes: asked.bytes,
        };
        self.node.propose(name, command, io.now);
    }

    /// Does what the protocol wants done.
    fn settle(&mut self, rules: &Rules, io: &mut Io<'_, Said>) {
        let mut output = std::mem::take(&mut self.output);
        self.node.swap_output(&mut output);
        if let Some(snapshot) = output.installed.take() {
            self.told = self.told.max(snapshot.last.0);
            self.state = snapshot.state;
            self.answer_applied(io);
        }
        for committed in output.committed.drain(..) {
            if committed.fresh {
                self.state.applied += 1;
                self.state.hash = chain(self.state.hash, committed.identity.0);
                io.note(event::DECIDED, committed.identity.0, self.state.applied);
                if rules.tells && committed.index > self.told {
                    io.tell(committed.command.value);
                }
            }
            self.told = self.told.max(committed.index);
            io.note(notes::APPLIED, committed.index, self.state.hash);
            for (token, _) in self.asked.remove(committed.identity).unwrap_or_default() {
                io.answer(token, committed.command.value);
            }
        }
        if self.node.wants_snapshot() {
            self.node.compact(self.state);
        }
        self.tell_members(&mut output.changed, io);
        output.readable.clear();
        for message in output.messages.drain(..) {
            // A server that comes back without its disk asks whoever is at a place.
            let to = place_of(message.to);
            if to != self.place() && to < rules.servers {
                io.send(to, Said(Box::new(message)));
            }
        }
        self.output = output;
        self.tell_role(io);
    }

    /// A snapshot may have brought what somebody waits for.
    fn answer_applied(&mut self, io: &mut Io<'_, Said>) {
        let sessions = &self.node.disk().sessions;
        let asked = self.asked.sorted().into_iter().map(|(name, _)| name);
        let done: Vec<Identity> = asked.filter(|name| sessions.knows(*name)).collect();
        for name in done {
            self.node.give_up(name);
            for (token, value) in self.asked.remove(name).unwrap_or_default() {
                io.answer(token, value);
            }
        }
    }

    fn tell_role(&mut self, io: &mut Io<'_, Said>) {
        let (role, term) = (self.node.role(), self.node.disk().term);
        let stands = matches!(role, Role::Candidate | Role::Leader);
        if stands && self.stands < term {
            self.stands = term;
            io.note(event::STANDS, term, 0);
        }
        let leads = (role == Role::Leader).then_some(term);
        if leads != self.leads {
            if let Some(before) = self.leads {
                io.note(event::YIELDS, before, 0);
            }
            if let Some(term) = leads {
                io.note(event::LEADS, term, 0);
            }
            self.leads = leads;
        }
    }
}

impl Member for Server {
    type Rules = Rules;
    type Message = Said;

    fn on(&mut self, rules: &Rules, input: Input<Said>, io: &mut Io<'_, Said>) {
        let now = io.now;
        let before = mark(self.node.disk());
        if self.next_change <= now {
            self.follow_plan(rules, io);
        }
        match input {
            Input::Start if !self.belongs(rules) => {}
            Input::Restarted if !self.belongs(rules) => self.restart_outside(now),
            Input::Start if rules.first == Some(self.place()) => self.node.start_as_candidate(now),
            Input::Start => self.node.start(now),
            Input::Restarted => self.node.restart(now),
            Input::Heard { message, .. } => {
                let mut message = *message.0;
                if matches!(message.body, Body::Join { .. }) {
                    // It is for whoever is at this place.
                    message.to = self.node.id();
                }
                self.node.receive(message, now);
            }
            Input::Due => self.node.tick(now),
            Input::Asked(asked) => self.propose(rules, asked, io),
            Input::Engaged { .. } => {}
            Input::Withdrawn(token) => self.asked.change_each(|all| all.retain(|(one, _)| *one != token)),
        }
        self.carry_out(rules, io);
        let disk = self.node.disk();
        if mark(disk) != before {
            io.work(rules.disk);
        }
        if disk.vote != before.1 || disk.term != before.0 {
            let (term, vote) = (disk.term, disk.vote);
            if let Some(vote) = vote {
                io.note(notes::VOTED, term, u64::from(place_of(vote)));
            }
        }
        self.settle(rules, io);
    }

    fn due(&self, now: i64) -> i64 {
        self.node.due(now).min(self.next_change)
    }

    fn crash(&mut self, rules: &Rules, keeps_disk: bool) {
        self.asked.clear();
        self.leads = None;
        if !keeps_disk {
            let place = self.place();
            let lives: Vec<Id> = (0..=self.lives).map(|life| name_of(place, life)).collect();
            self.lives += 1;
            let contacts = (0..rules.servers).filter(|other| *other != place).map(Id).collect();
            let (id, key) = (name_of(place, self.lives), self.key.member(u64::from(self.lives)));
            self.node = Node::joining(id, rules.settings.clone(), (contacts, lives), key, purpose::ELECTION);
            self.state = State::default();
            (self.stands, self.told) = (0, 0);
        }
    }
}

/// A kind of message, its sender, its receiver and the term.
const HEAD: u32 = 1 + 4 + 4 + 8;
/// The name of a proposal, and its length.
const NAME: u32 = 16 + 4;

impl Saying for Said {
    const KINDS: &'static [&'static str] = &[
        "pre_vote",
        "pre_voted",
        "vote",
        "voted",
        "append",
        "appended",
        "conflict",
        "heartbeat",
        "heard",
        "commit",
        "install",
        "hand_over",
        "propose",
        "ask",
        "told",
        "join",
    ];

    fn kind(&self) -> u16 {
        match self.0.body {
            Body::PreVote { .. } => 0,
            Body::PreVoted { .. } => 1,
            Body::Vote { .. } => 2,
            Body::Voted { .. } => 3,
            Body::Append { .. } => 4,
            Body::Appended { .. } => 5,
            Body::Conflict { .. } => 6,
            Body::Heartbeat { .. } => 7,
            Body::Heard { .. } => 8,
            Body::Commit { .. } => 9,
            Body::Install { .. } => 10,
            Body::TimeoutNow => 11,
            Body::Propose { .. } => 12,
            Body::Ask { .. } => 13,
            Body::Told { .. } => 14,
            Body::Join { .. } => 15,
        }
    }

    fn bytes(&self) -> u32 {
        let of_entry = |entry: &Entry<Command>| match &entry.payload {
            Payload::Nothing => 9,
            Payload::Command { command, .. } => 9 + NAME + command.bytes,
            Payload::Members(members) => 9 + 4 * (members.voters.len() + members.learners.len()) as u32,
        };
        HEAD + match &self.0.body {
            Body::PreVote { .. } | Body::Vote { .. } => 17,
            Body::PreVoted { .. } | Body::Voted { .. } => 1,
            Body::Append { entries, .. } => 36 + entries.iter().map(of_entry).sum::<u32>(),
            Body::Appended { .. } | Body::Heartbeat { .. } | Body::Told { .. } | Body::Commit { .. } => 16,
            Body::Conflict { .. } => 33,
            Body::Heard { .. } | Body::Ask { .. } => 8,
            Body::Install { snapshot, .. } => 40 + 24 * snapshot.sessions.len() as u32,
            Body::TimeoutNow => 0,
            Body::Propose { command, .. } => NAME + command.bytes,
            Body::Join { replaces } => 4 + 4 * replaces.len() as u32,
        }
    }

    fn digest(&self, words: &mut Words) {
        words.push(content_hash(&self.0));
    }
}
