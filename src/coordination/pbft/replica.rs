//! A replica, and the normal case: an order, agreement with it, its commit, its execution, a reply.

use super::super::member::{Input, Io, NEVER, event};
use super::super::shared::Shared;
use super::super::shared::Table;
use super::log::Log;
use super::message::{Batch, Certificate, Message, NewView, Request, Seal, Signer, ViewChange, Vote, verify};
use super::state::{Snapshot, State};
use super::{Behaviour, Flaw, Rules, notes};
use serde::Serialize;
use std::collections::VecDeque;

/// The rules, and the way out.
pub(super) struct Cx<'a, 'b> {
    pub rules: &'a Rules,
    pub io: &'a mut Io<'b, Message>,
    /// Whether what happens here is taken down: what a Byzantine replica takes for decided is nobody's decision.
    counts: bool,
}

impl Cx<'_, '_> {
    /// Spends the time to verify so many seals; whether all is as it should be.
    #[inline]
    pub fn trusts(&mut self, seals: usize, is_sound: impl FnOnce() -> bool) -> bool {
        self.io.work(self.rules.verify * seals as u64);
        is_sound() || self.rules.flaw == Flaw::TrustsEverybody
    }

    /// Spends the time to seal something.
    #[inline]
    pub fn seal(&mut self, signer: Signer, what: Seal, content: [u64; 3]) -> u64 {
        self.io.work(self.rules.sign);
        signer.seal(what, content)
    }

    pub fn note(&mut self, event: u16, about: u64, word: u64) {
        self.note_with(event, about, word, &[]);
    }

    pub fn note_with(&mut self, event: u16, about: u64, word: u64, extra: &[u64]) {
        if self.counts {
            self.io.note_with(event, about, word, extra);
        }
    }

    pub fn now(&self) -> i64 {
        self.io.now
    }
}

/// A checkpoint that somebody says to have reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Mark {
    pub seq: u64,
    pub digest: u64,
    pub seal: u64,
}

/// A replica.
///
/// On its disk is all that it has said or would have to remember of what it was told; in its memory are requests that wait, timers, and what
/// it was about to fetch. Nothing leaves it before what it follows from is on the disk.
#[derive(Debug, Clone, Serialize)]
pub struct Replica {
    pub(super) signer: Signer,
    pub(super) me: u32,
    pub(super) behaviour: Option<Behaviour>,
    pub(super) view: u64,
    /// Whether it has entered its view; else it waits for the view to begin.
    pub(super) active: bool,
    pub(super) log: Log,
    /// The last sequence number that it has executed.
    pub(super) executed: u64,
    pub(super) state: State,
    /// The proof of the low watermark.
    pub(super) stable: Option<Certificate>,
    /// Its own states at checkpoints from the stable one on.
    pub(super) snapshots: Vec<Shared<Snapshot>>,
    /// The checkpoints that each replica says to have reached, of late.
    pub(super) marks: Vec<Vec<Mark>>,
    /// The latest wish of each replica for another view.
    pub(super) changes: Vec<Option<Shared<ViewChange>>>,
    /// How its view began.
    pub(super) new_view: Option<Shared<NewView>>,
    /// The next sequence number that it orders, as a primary.
    pub(super) next: u64,
    /// The last sequence number of which it knows that something was ordered there.
    pub(super) top: u64,
    /// Requests that came to it from outside and weren't executed yet.
    pub(super) waiting: Table,
    /// The same in the order in which they came; some were executed by now.
    pub(super) arrivals: VecDeque<Request>,
    /// What it has to order, as a primary.
    pub(super) queue: VecDeque<Request>,
    /// The request that the timer is about, if it waits for one that came from outside.
    pub(super) watched: Option<u64>,
    /// When it loses patience with the view.
    pub(super) timer: i64,
    /// When it says what it has.
    pub(super) tick: i64,
    /// Views that didn't get on, one after the other.
    pub(super) failures: u32,
    /// A checkpoint of a quorum that it hasn't reached.
    pub(super) behind: Option<Certificate>,
    /// How often it will still say what it has although it doesn't know that it lacks anything.
    pub(super) inquiries: u32,
    /// What it says later, if it delays what it says.
    pub(super) held: VecDeque<(i64, u32, Message)>,
}

impl Replica {
    /// A replica with an empty disk.
    pub fn new(rules: &Rules, me: u32) -> Self {
        let replicas = rules.replicas as usize;
        Self {
            signer: Signer::of(me),
            me,
            behaviour: rules.behaviour(me),
            view: 0,
            active: true,
            log: Log::new(rules.window),
            executed: 0,
            state: State::default(),
            stable: None,
            snapshots: Vec::new(),
            marks: vec![Vec::new(); replicas],
            changes: vec![None; replicas],
            new_view: None,
            next: 1,
            top: 0,
            waiting: Table::default(),
            arrivals: VecDeque::new(),
            queue: VecDeque::new(),
            watched: None,
            timer: NEVER,
            tick: NEVER,
            failures: 0,
            behind: None,
            inquiries: 0,
            held: VecDeque::new(),
        }
    }

    /// Its view, and whether it has entered it.
    pub fn view(&self) -> (u64, bool) {
        (self.view, self.active)
    }

    /// The last sequence number that it has executed.
    pub fn executed(&self) -> u64 {
        self.executed
    }

    /// How many requests it has executed.
    pub fn count(&self) -> u64 {
        self.state.count()
    }

    /// The sequence number of its last stable checkpoint.
    pub fn low(&self) -> u64 {
        self.log.low()
    }

    pub(super) fn is_primary(&self, rules: &Rules) -> bool {
        rules.primary(self.view) == self.me
    }

    pub(super) fn on(&mut self, rules: &Rules, input: Input<Message>, io: &mut Io<'_, Message>) {
        if self.behaviour == Some(Behaviour::Silent) {
            return;
        }
        let counts = self.behaviour.is_none();
        let cx = &mut Cx { rules, io, counts };
        match input {
            Input::Start => {
                if self.is_primary(rules) {
                    cx.note(event::LEADS, self.view, 0);
                }
            }
            Input::Restarted => {
                self.inquiries = 3;
                self.say_status(cx);
            }
            Input::Heard { from, message } => self.hear(from, message, cx),
            Input::Due => self.be_due(cx),
            // Agents ask desks.
            Input::Asked(asked) => cx.io.refuse(asked.token),
            Input::Withdrawn(_) | Input::Engaged { .. } => {}
        }
        self.attend(cx);
    }

    fn hear(&mut self, from: u32, message: Message, cx: &mut Cx<'_, '_>) {
        let kind = super::super::member::Saying::kind(&message);
        let is_sound = match message {
            Message::Prepare(vote) => self.on_prepare(&vote, cx),
            Message::Commit(vote) => self.on_commit(&vote, cx),
            Message::Request(request) => self.on_request(from, request, cx),
            Message::PrePrepare { view, seq, seal, batch } => self.on_order((view, seq, seal), batch, cx),
            Message::Reply { .. } => true,
            Message::Checkpoint { seq, digest, seal } => self.on_checkpoint(from, Mark { seq, digest, seal }, cx),
            Message::ViewChange(change) => self.on_view_change(change, cx),
            Message::NewView(new) => self.on_new_view(new, cx),
            Message::Status(status) => self.on_status(from, &status, cx),
            Message::Stable(proof) => self.on_stable(from, *proof, cx),
            Message::FetchState(proof) => self.on_fetch_state(from, *proof, cx),
            Message::State(transfer) => self.on_state(&transfer, cx),
            Message::FetchBatch { seq, digest } => self.on_fetch_batch(from, (seq, digest), cx),
            Message::Batch { seq, batch } => self.on_batch(seq, batch, cx),
            Message::Decision { proof, batch } => self.on_decision(*proof, batch, cx),
        };
        if !is_sound {
            cx.note(notes::REJECTED, u64::from(from), u64::from(kind));
        }
    }

    /// A client asks for something, or another replica says that one does.
    fn on_request(&mut self, from: u32, request: Request, cx: &mut Cx<'_, '_>) -> bool {
        let first = cx.rules.replicas;
        if !cx.trusts(1, || request.is_sound(first)) {
            return false;
        }
        self.forestall(&request, cx);
        if let Some(value) = self.state.result(request.identity) {
            self.reply(request.client, request.identity, value, cx);
            return true;
        }
        let is_new = self.waiting.insert(request.identity, 0);
        if is_new {
            self.arrivals.push_back(request);
        }
        if self.is_primary(cx.rules) {
            if is_new && self.active {
                self.queue.push_back(request);
                self.order(cx);
            }
        } else if from >= cx.rules.replicas && self.active {
            let primary = cx.rules.primary(self.view);
            self.say(primary, Message::Request(request), cx);
        }
        true
    }

    pub(super) fn reply(&mut self, client: u32, identity: u64, value: u64, cx: &mut Cx<'_, '_>) {
        let view = self.view;
        let seal = cx.seal(self.signer, Seal::Reply, [view, identity, value]);
        let reply = Message::Reply {
            view,
            identity,
            value,
            seal,
        };
        self.say(client, reply, cx);
    }

    /// Orders what waits, as far as it may.
    pub(super) fn order(&mut self, cx: &mut Cx<'_, '_>) {
        let rules = cx.rules;
        while self.active && !self.queue.is_empty() && self.log.covers(self.next) {
            if self.next > self.executed.max(self.log.low()) + rules.in_flight {
                break;
            }
            let mut requests = Vec::with_capacity((rules.batch as usize).min(self.queue.len()));
            while requests.len() < rules.batch as usize
                && let Some(request) = self.queue.pop_front()
            {
                if self.state.result(request.identity).is_none() {
                    requests.push(request);
                }
            }
            if requests.is_empty() {
                break;
            }
            let (view, seq, batch) = (self.view, self.next, Shared::new(Batch::of(requests)));
            self.next += 1;
            self.top = self.top.max(seq);
            let seal = cx.seal(self.signer, Seal::Prepare, [view, seq, batch.digest]);
            self.accept(seq, (batch.digest, seal), Some(batch.clone()), cx.rules);
            let order = Message::PrePrepare { view, seq, seal, batch };
            self.say_to_all(order, cx);
            self.advance(seq, cx);
        }
    }

    /// What the primary of the view has ordered at a sequence number is this.
    pub(super) fn accept(&mut self, seq: u64, (digest, seal): (u64, u64), batch: Option<Shared<Batch>>, rules: &Rules) {
        let (view, by, once) = (self.view, rules.primary(self.view), rules.counts_once());
        let is_own = by == self.me;
        let Some(slot) = self.log.get_mut(seq) else {
            return;
        };
        let vote = Vote {
            view,
            seq,
            digest,
            seal,
            by,
        };
        (slot.digest, slot.order) = (digest, seal);
        if let Some(batch) = &batch {
            slot.keep(batch);
        }
        slot.batch = batch;
        slot.prepare(&vote, once);
        slot.voted = is_own;
    }

    /// A primary orders something.
    fn on_order(&mut self, (view, seq, seal): (u64, u64, u64), batch: Shared<Batch>, cx: &mut Cx<'_, '_>) -> bool {
        let (rules, primary) = (cx.rules, cx.rules.primary(view));
        if view != self.view || !self.active || primary == self.me {
            return true;
        }
        let Some(slot) = self.log.get_mut(seq) else {
            if seq > self.log.high() {
                self.inquiries = self.inquiries.max(1);
            }
            return true;
        };
        let is_ordered = slot.digest != 0 && (rules.flaw != Flaw::VotesTwice || slot.digest == batch.digest);
        if is_ordered && (slot.batch.is_some() || slot.digest != batch.digest) {
            return true;
        }
        let is_sound = || {
            verify(primary, Seal::Prepare, [view, seq, batch.digest], seal)
                && batch.is_sound()
                && batch.requests.len() <= rules.batch as usize
                && batch.requests.iter().all(|request| request.is_sound(rules.replicas))
        };
        if !cx.trusts(1 + batch.requests.len(), is_sound) {
            return false;
        }
        if rules.flaw == Flaw::VotesTwice && slot.digest != 0 {
            (slot.prepared, slot.voted) = (false, false);
        }
        self.top = self.top.max(seq);
        batch.requests.iter().for_each(|request| self.forestall(request, cx));
        let digest = batch.digest;
        self.accept(seq, (digest, seal), Some(batch), rules);
        self.agree(seq, cx);
        true
    }

    /// A backup agrees with what was ordered, if it knows what that is.
    pub(super) fn agree(&mut self, seq: u64, cx: &mut Cx<'_, '_>) {
        let (view, by, once) = (self.view, self.me, cx.rules.counts_once());
        let Some(slot) = self.log.get_mut(seq) else {
            return;
        };
        if slot.digest == 0 || slot.batch.is_none() || slot.voted {
            return;
        }
        let digest = slot.digest;
        let seal = cx.seal(self.signer, Seal::Prepare, [view, seq, digest]);
        let vote = Vote {
            view,
            seq,
            digest,
            seal,
            by,
        };
        slot.voted = true;
        slot.prepare(&vote, once);
        self.say_to_all(Message::Prepare(vote), cx);
        self.advance(seq, cx);
    }

    #[inline]
    fn on_prepare(&mut self, vote: &Vote, cx: &mut Cx<'_, '_>) -> bool {
        if vote.view != self.view || vote.by == cx.rules.primary(vote.view) {
            return true;
        }
        let Some(slot) = self.log.get_mut(vote.seq) else {
            return true;
        };
        if vote.by >= cx.rules.replicas || !cx.trusts(1, || is_vote(vote, Seal::Prepare)) {
            return false;
        }
        if slot.prepare(vote, cx.rules.counts_once()) {
            self.weigh(vote, cx);
        }
        true
    }

    #[inline]
    fn on_commit(&mut self, vote: &Vote, cx: &mut Cx<'_, '_>) -> bool {
        if vote.view != self.view {
            return true;
        }
        let Some(slot) = self.log.get_mut(vote.seq) else {
            return true;
        };
        if vote.by >= cx.rules.replicas || !cx.trusts(1, || is_vote(vote, Seal::Commit)) {
            return false;
        }
        if slot.commit(vote, cx.rules.counts_once()) {
            self.weigh(vote, cx);
        }
        true
    }

    /// Another vote is counted.
    #[inline]
    fn weigh(&mut self, vote: &Vote, cx: &mut Cx<'_, '_>) {
        let Some(slot) = self.log.get_mut(vote.seq) else {
            return;
        };
        if slot.digest == vote.digest {
            self.advance(vote.seq, cx);
        } else if vote.seq > self.top && slot.digest == 0 {
            // Some correct replica has an order that hasn't come here.
            let ballot = slot.ballot(vote.digest);
            let voters = (ballot.prepares | ballot.commits).count_ones();
            if voters >= cx.rules.some_correct() {
                self.top = vote.seq;
            }
        }
    }

    /// Goes on with a sequence number as far as its votes go.
    pub(super) fn advance(&mut self, seq: u64, cx: &mut Cx<'_, '_>) {
        let (quorum, view, by) = (cx.rules.quorum(), self.view, self.me);
        let once = cx.rules.counts_once();
        let Some(slot) = self.log.get_mut(seq) else {
            return;
        };
        let digest = slot.digest;
        if digest == 0 || !slot.voted {
            return;
        }
        let mut commits = None;
        if !slot.prepared {
            let ballot = *slot.ballot(digest);
            if ballot.prepares.count_ones() < quorum {
                return;
            }
            slot.prepared = true;
            slot.certificate = Some(Certificate {
                view,
                seq,
                digest,
                signers: ballot.prepares,
                seals: ballot.prepare_seals,
            });
            let seal = cx.seal(self.signer, Seal::Commit, [view, seq, digest]);
            let vote = Vote {
                view,
                seq,
                digest,
                seal,
                by,
            };
            slot.commit(&vote, once);
            commits = Some(vote);
        }
        let ballot = *slot.ballot(digest);
        let is_committed = ballot.commits.count_ones() >= quorum || cx.rules.flaw == Flaw::ExecutesPrepared;
        let is_news = slot.decided.is_none() && is_committed;
        if is_news && let Some(batch) = slot.batch.clone() {
            let proof = Certificate {
                view,
                seq,
                digest,
                signers: ballot.commits,
                seals: ballot.commit_seals,
            };
            slot.decided = Some((proof, batch));
        }
        if let Some(vote) = commits {
            self.say_to_all(Message::Commit(vote), cx);
        }
        if is_news {
            if cx.rules.flaw == Flaw::SkipsGaps && seq > self.executed {
                self.executed = seq - 1;
            }
            self.execute(cx);
        }
    }

    /// Executes what was decided, without gaps.
    pub(super) fn execute(&mut self, cx: &mut Cx<'_, '_>) {
        let before = self.state.count();
        while let Some(slot) = self.log.get(self.executed + 1) {
            let Some((_, batch)) = slot.decided.clone() else {
                break;
            };
            let seq = self.executed + 1;
            for request in &batch.requests {
                if self.state.result(request.identity).is_some() && cx.rules.flaw != Flaw::ForgetsServed {
                    continue;
                }
                let (place, value) = self.state.execute(request);
                cx.io.work(cx.rules.execute);
                cx.note_with(event::DECIDED, request.identity, place, &[request.value]);
                self.waiting.remove(request.identity);
                self.reply(request.client, request.identity, value, cx);
            }
            self.executed = seq;
            if seq.is_multiple_of(cx.rules.checkpoint_every) {
                self.reach_checkpoint(seq, cx);
            }
        }
        if self.state.count() > before {
            self.failures = 0;
            // Whoever waits for one request in particular isn't content with others.
            if self.active && self.watched.is_none_or(|identity| self.waiting.get(identity).is_none()) {
                self.timer = NEVER;
            }
        }
        self.order(cx);
    }

    /// Whether it waits for anything to be executed.
    pub(super) fn is_outstanding(&self) -> bool {
        !self.waiting.is_empty() || self.top > self.executed
    }

    fn lacks_anything(&self) -> bool {
        self.is_outstanding() || self.behind.is_some() || self.inquiries > 0
    }

    /// Sets its timers by what it waits for.
    fn attend(&mut self, cx: &mut Cx<'_, '_>) {
        if !self.is_outstanding() {
            self.arrivals.clear();
            (self.timer, self.watched) = (NEVER, None);
        } else if self.timer == NEVER && (self.active || self.has_company(cx.rules)) {
            while let Some(first) = self.arrivals.front()
                && self.waiting.get(first.identity).is_none()
            {
                self.arrivals.pop_front();
            }
            self.watched = self.arrivals.front().map(|request| request.identity);
            self.timer = cx.now().saturating_add(self.patience(cx.rules));
        }
        match self.lacks_anything() {
            true if self.tick == NEVER => self.tick = cx.now().saturating_add(cx.rules.status_every),
            true => {}
            false => self.tick = NEVER,
        }
    }

    /// How long it waits for a view to get on.
    pub(super) fn patience(&self, rules: &Rules) -> i64 {
        let doublings = self.failures.saturating_sub(1).min(16);
        rules.view_timeout.saturating_mul(1 << doublings)
    }

    fn be_due(&mut self, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        while let Some((at, _, _)) = self.held.front()
            && *at <= now
        {
            let Some((_, to, message)) = self.held.pop_front() else {
                break;
            };
            cx.io.send(to, message);
        }
        if self.timer <= now {
            self.timer = NEVER;
            self.want_view(self.view + 1, cx);
        }
        if self.tick <= now {
            self.tick = NEVER;
            self.inquiries = self.inquiries.saturating_sub(1);
            self.catch_up(cx);
            self.pass_on_waiting(cx);
            self.say_status(cx);
        }
    }

    /// Passes on to the primary what came from outside and wasn't executed: perhaps nobody else knows of it.
    pub(super) fn pass_on_waiting(&mut self, cx: &mut Cx<'_, '_>) {
        if !self.active || self.is_primary(cx.rules) {
            return;
        }
        let primary = cx.rules.primary(self.view);
        let is_waiting = |request: &&Request| self.waiting.get(request.identity).is_some();
        let waiting: Vec<Request> = self.arrivals.iter().filter(is_waiting).take(32).copied().collect();
        for request in waiting {
            self.say(primary, Message::Request(request), cx);
        }
    }

    /// When it has something to do.
    pub(super) fn due(&self) -> i64 {
        let held = self.held.front().map_or(NEVER, |(at, _, _)| *at);
        self.timer.min(self.tick).min(held)
    }

    /// It has crashed.
    pub(super) fn crash(&mut self, rules: &Rules, keeps_disk: bool) {
        if !keeps_disk {
            *self = Self::new(rules, self.me);
            return;
        }
        self.waiting.clear();
        self.arrivals.clear();
        self.queue.clear();
        self.held.clear();
        (self.watched, self.timer, self.tick) = (None, NEVER, NEVER);
        (self.failures, self.behind, self.inquiries) = (0, None, 0);
    }

    /// Whether it has nothing to wait for.
    pub(super) fn is_at_rest(&self) -> bool {
        !self.lacks_anything() && self.held.is_empty()
    }
}

fn is_vote(vote: &Vote, what: Seal) -> bool {
    verify(vote.by, what, [vote.view, vote.seq, vote.digest], vote.seal)
}
