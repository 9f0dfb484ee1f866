//! A node: it finds blocks, hears of them, adopts the longest chain, and answers when a request has enough confirmations.

use super::super::member::{Asked, Input, Io, Member, NEVER, event};
use super::super::shared::{Shared, Table};
use super::attack::Secret;
use super::message::{Block, Message, Request};
use super::tree::Tree;
use super::{Rules, notes};
use crate::kernel::Purpose;
use crate::random::math;
use serde::Serialize;
use std::collections::VecDeque;

/// When the next block is found.
const FINDS: Purpose = Purpose(0x1a0);
/// To whom a node connects.
const PEERS: Purpose = Purpose(0x1a1);
/// The most blocks in one message.
const AT_A_TIME: usize = 256;

/// Somebody waits for a request.
#[derive(Debug, Clone, Serialize)]
struct Want {
    request: Request,
    tokens: Vec<u64>,
    /// When the request is passed on again, unless it is in a block.
    due: i64,
}

/// A node. Its blocks are on its disk; requests that aren't in a block, who waits and whom it has asked for what are in its memory.
#[derive(Debug, Clone, Serialize)]
pub struct Node {
    pub(super) me: u32,
    pub(super) tree: Tree,
    /// All blocks of the chain up to this height have enough confirmations.
    settled: u64,
    /// When it finds the next block, and how many it has begun to look for.
    finds: i64,
    looked: u64,
    pub(super) peers: Vec<u32>,
    /// Requests that it has heard of and that aren't in the chain, in order; some are by now.
    pub(super) pool: VecDeque<Request>,
    pooled: Table,
    wants: Vec<Want>,
    /// Blocks that it has asked for: whom it has asked last, and when it asks somebody else.
    fetching: Vec<(u64, u32, i64)>,
    /// Whom it has greeted without having heard from them since, and when it greets them again.
    greeted: Vec<(u32, i64)>,
    pub(super) secret: Option<Secret>,
}

impl Node {
    /// A node without blocks.
    pub fn new(me: u32) -> Self {
        Self {
            me,
            tree: Tree::new(),
            settled: 0,
            finds: NEVER,
            looked: 0,
            peers: Vec::new(),
            pool: VecDeque::new(),
            pooled: Table::default(),
            wants: Vec::new(),
            fetching: Vec::new(),
            greeted: Vec::new(),
            secret: None,
        }
    }

    /// The height of its chain.
    pub fn height(&self) -> u64 {
        self.tree.height()
    }

    /// The identities of the requests of its chain, in order.
    pub fn ledger(&self) -> Vec<u64> {
        let blocks = (1..=self.height()).map(|height| self.tree.at(height));
        blocks
            .flat_map(|block| block.requests.iter().map(|request| request.identity))
            .collect()
    }

    /// Looks for the next block from now on.
    fn look(&mut self, rules: &Rules, io: &Io<'_, Message>) {
        let share = rules.shares[self.me as usize];
        if share <= 0.0 {
            return;
        }
        self.looked += 1;
        let unit = io.draw_for(FINDS, self.looked).open_unit();
        let wait = -math::ln(unit) * rules.interval as f64 / share;
        self.finds = io.now.saturating_add(wait.min(9e18) as i64);
    }

    /// Connects to others. One that is back wants to know what it missed.
    fn connect(&mut self, rules: &Rules, is_back: bool, io: &mut Io<'_, Message>) {
        let mut left: Vec<u32> = (0..rules.nodes()).filter(|other| *other != self.me).collect();
        let mut chosen = Vec::new();
        match rules.peers {
            None => chosen.append(&mut left),
            Some(count) => {
                let mut draws = io.draw_for(PEERS, 0);
                for _ in 0..count.min(left.len() as u32) {
                    chosen.push(left.swap_remove(draws.below(left.len() as u64) as usize));
                }
            }
        }
        let greets = is_back || rules.peers.is_some();
        let due = io.now.saturating_add(rules.patience);
        for peer in chosen {
            if !self.peers.contains(&peer) {
                self.peers.push(peer);
            }
            if greets {
                self.greeted.push((peer, due));
                io.send(peer, Message::Hello);
            }
        }
    }

    /// Says something to its peers, but for one.
    fn pass_on(&self, but: u32, message: &Message, io: &mut Io<'_, Message>) {
        io.send_to_all(self.peers.iter().copied().filter(|peer| *peer != but), message);
    }

    /// Tells its peers of blocks that it has taken in from somebody, or found.
    pub(super) fn spread(&self, rules: &Rules, from: u32, ids: &[u64], io: &mut Io<'_, Message>) {
        let blocks: Vec<Shared<Block>> = ids
            .iter()
            .filter_map(|id| self.tree.get(*id).map(|stored| stored.block.clone()))
            // Where all are connected, whoever found a block has told everybody.
            .filter(|block| rules.peers.is_some() || block.finder == self.me)
            .collect();
        let Some(last) = blocks.last() else {
            return;
        };
        let message = match rules.announces {
            true => Message::Announce { id: last.id },
            false => Message::Blocks(Shared::new(blocks)),
        };
        self.pass_on(from, &message, io);
    }

    fn ask(&mut self, asked: Asked, rules: &Rules, io: &mut Io<'_, Message>) {
        let Asked {
            token,
            identity,
            value,
            bytes,
        } = asked;
        if let Some(want) = self.wants.iter_mut().find(|want| want.request.identity == identity) {
            return want.tokens.push(token);
        }
        let request = Request { identity, value, bytes };
        let due = io.now.saturating_add(rules.patience);
        let tokens = vec![token];
        self.wants.push(Want { request, tokens, due });
        self.take_request(self.me, request, rules, io);
        self.answer_settled(identity, io);
    }

    /// Answers those who wait for a request that has enough confirmations.
    fn answer_settled(&mut self, identity: u64, io: &mut Io<'_, Message>) {
        if self
            .tree
            .height_of(identity)
            .is_some_and(|height| height <= self.settled)
            && let Some(place) = self.wants.iter().position(|want| want.request.identity == identity)
        {
            let want = self.wants.swap_remove(place);
            want.tokens
                .into_iter()
                .for_each(|token| io.answer(token, want.request.value));
        }
    }

    fn take_request(&mut self, from: u32, request: Request, rules: &Rules, io: &mut Io<'_, Message>) {
        if !self.tree.may_include(request.identity) || !self.pooled.insert(request.identity, 0) {
            return;
        }
        self.pool.push_back(request);
        if from == self.me || rules.peers.is_some() {
            self.pass_on(from, &Message::Request(request), io);
        }
        self.consider_attack(request.identity, rules, io);
    }

    /// It has found a block.
    fn find(&mut self, rules: &Rules, io: &mut Io<'_, Message>) {
        let secret = self.secret.as_ref().map(|secret| (secret.tip, secret.victim));
        let parent = secret.map_or(self.tree.tip().id, |(tip, _)| tip);
        let victim = secret.map(|(_, victim)| victim);
        let fresh = self.pool.iter().filter(|request| Some(request.identity) != victim);
        let requests = self.tree.may_follow(parent, fresh, rules.block as usize);
        let height = self.tree.get(parent).map_or(0, |stored| stored.block.height) + 1;
        let bytes = requests.iter().fold(rules.header, |sum, request| sum + request.bytes);
        let id = Block::identify(parent, self.me, self.looked);
        let block = Shared::new(Block {
            id,
            parent,
            height,
            finder: self.me,
            requests,
            spends: victim,
            bytes,
        });
        let event = if secret.is_some() {
            notes::WITHHELD
        } else {
            notes::FOUND
        };
        io.note(event, height, id);
        let _ = self.tree.insert(&block);
        match &mut self.secret {
            Some(secret) => {
                secret.tip = id;
                secret.blocks.push(id);
            }
            None => {
                self.spread(rules, self.me, &[id], io);
                self.weigh(id, rules, io);
            }
        }
        self.look(rules, io);
        self.pursue_attack(rules, io);
    }

    /// Adopts the chain of a block, if it is longer than its own.
    pub(super) fn weigh(&mut self, id: u64, rules: &Rules, io: &mut Io<'_, Message>) {
        let height = self.tree.get(id).map_or(0, |stored| stored.block.height);
        if height <= self.tree.height() {
            return;
        }
        let change = self.tree.adopt(id);
        let left = change.left.len() as u64;
        io.note_with(notes::ADOPTED, height, id, &[left]);
        for block in &change.left {
            for request in &block.requests {
                let identity = request.identity;
                if block.height <= self.settled && self.tree.height_of(identity).is_none_or(|at| at > self.settled) {
                    io.note(notes::UNDONE, identity, left);
                }
                if self.tree.may_include(identity) && self.pooled.insert(identity, 0) {
                    self.pool.push_front(*request);
                }
            }
        }
        if let Some(lowest) = change.left.first() {
            self.settled = self.settled.min(lowest.height - 1);
        }
        for block in &change.joined {
            let ruled_out = block.spends.into_iter();
            for identity in block.requests.iter().map(|request| request.identity).chain(ruled_out) {
                self.pooled.remove(identity);
            }
        }
        let (tree, pooled) = (&self.tree, &self.pooled);
        if change.left.is_empty() {
            while self
                .pool
                .front()
                .is_some_and(|request| pooled.get(request.identity).is_none())
            {
                self.pool.pop_front();
            }
        }
        if self.pool.len() > 2 * self.pooled.len() + 16 {
            self.pool
                .retain(|request| tree.may_include(request.identity) && pooled.get(request.identity).is_some());
        }
        self.settle(rules, io);
    }

    /// Takes down what has enough confirmations by now.
    fn settle(&mut self, rules: &Rules, io: &mut Io<'_, Message>) {
        while self.settled + rules.confirmations <= self.tree.height() {
            self.settled += 1;
            let block = self.tree.at(self.settled).clone();
            let before = self.tree.count_below(self.settled);
            for (request, place) in block.requests.iter().zip(before + 1..) {
                io.note(event::DECIDED, request.identity, place);
                self.answer_settled(request.identity, io);
            }
        }
    }

    fn take_blocks(&mut self, from: u32, blocks: &[Shared<Block>], rules: &Rules, io: &mut Io<'_, Message>) {
        let (mut fresh, mut missing) = (Vec::new(), None);
        for block in blocks {
            self.fetching.retain(|(id, ..)| *id != block.id);
            if self.tree.has(block.id) {
                continue;
            }
            match self.tree.insert(block) {
                Ok(taken) => fresh.extend(taken),
                Err(parent) => missing = Some(parent),
            }
        }
        if let Some(id) = missing {
            self.fetch(from, id, rules, io);
        }
        if fresh.is_empty() {
            return;
        }
        self.spread(rules, from, &fresh, io);
        for id in fresh {
            self.weigh(id, rules, io);
        }
        self.pursue_attack(rules, io);
    }

    /// Asks for a block.
    fn fetch(&mut self, from: u32, id: u64, rules: &Rules, io: &mut Io<'_, Message>) {
        if self.tree.has(id) || self.fetching.iter().any(|(other, ..)| *other == id) {
            return;
        }
        let due = io.now.saturating_add(rules.patience);
        self.fetching.push((id, from, due));
        // A few more than it needs, in case that its own last blocks aren't in the other's chain.
        let above = self.tree.height().saturating_sub(4);
        io.send(from, Message::Get { id, above });
    }

    fn hear(&mut self, from: u32, message: Message, rules: &Rules, io: &mut Io<'_, Message>) {
        if !self.greeted.is_empty() {
            self.greeted.retain(|(peer, _)| *peer != from);
        }
        if rules.peers.is_some() && !self.peers.contains(&from) {
            self.peers.push(from);
        }
        match message {
            Message::Hello => {
                let id = self.tree.tip().id;
                io.send(from, Message::Announce { id });
            }
            Message::Request(request) => self.take_request(from, request, rules, io),
            Message::Announce { id } => {
                if !self.tree.knows(id) {
                    self.fetch(from, id, rules, io);
                }
            }
            Message::Get { id, above } => {
                let hidden = self.secret.as_ref().is_some_and(|secret| secret.blocks.contains(&id));
                let path = self.tree.path(id, above, AT_A_TIME);
                if !path.is_empty() && !hidden {
                    io.send(from, Message::Blocks(Shared::new(path)));
                }
            }
            Message::Blocks(blocks) => self.take_blocks(from, &blocks, rules, io),
        }
    }

    /// Asks again for what hasn't come, and passes requests on again that aren't in a block.
    fn ask_again(&mut self, rules: &Rules, io: &mut Io<'_, Message>) {
        let (now, later) = (io.now, io.now.saturating_add(rules.patience));
        let above = self.tree.height().saturating_sub(4);
        for (id, asked, due) in &mut self.fetching {
            if *due <= now && !self.peers.is_empty() {
                let next = self.peers.iter().position(|peer| peer == asked).map_or(0, |at| at + 1);
                *asked = self.peers[next % self.peers.len()];
                *due = later;
                io.send(*asked, Message::Get { id: *id, above });
            }
        }
        for (peer, due) in &mut self.greeted {
            if *due <= now {
                *due = later;
                io.send(*peer, Message::Hello);
            }
        }
        for want in &mut self.wants {
            if want.due <= now {
                want.due = later;
                if self.tree.may_include(want.request.identity) {
                    let peers = self.peers.iter().copied();
                    io.send_to_all(peers, &Message::Request(want.request));
                }
            }
        }
    }
}

impl Member for Node {
    type Rules = Rules;
    type Message = Message;

    fn on(&mut self, rules: &Rules, input: Input<Message>, io: &mut Io<'_, Message>) {
        match input {
            Input::Start | Input::Restarted => {
                self.connect(rules, input == Input::Restarted, io);
                self.look(rules, io);
            }
            Input::Heard { from, message } => self.hear(from, message, rules, io),
            Input::Due => {
                if self.finds <= io.now {
                    self.find(rules, io);
                }
                self.ask_again(rules, io);
            }
            Input::Asked(asked) => self.ask(asked, rules, io),
            Input::Withdrawn(token) => {
                for want in &mut self.wants {
                    want.tokens.retain(|one| *one != token);
                }
                self.wants.retain(|want| !want.tokens.is_empty());
            }
            Input::Engaged { .. } => {}
        }
    }

    fn due(&self, _: i64) -> i64 {
        let fetching = self.fetching.iter().map(|(.., due)| *due);
        let wants = self.wants.iter().map(|want| want.due);
        let greeted = self.greeted.iter().map(|(_, due)| *due);
        fetching.chain(wants).chain(greeted).fold(self.finds, i64::min)
    }

    fn crash(&mut self, _: &Rules, keeps_disk: bool) {
        let looked = self.looked;
        let me = self.me;
        let before = std::mem::replace(self, Self::new(me));
        // A number that was drawn isn't drawn again.
        self.looked = looked;
        if keeps_disk {
            (self.tree, self.settled, self.peers) = (before.tree, before.settled, before.peers);
        }
    }

    fn is_at_rest(&self) -> bool {
        self.wants.is_empty()
    }
}
