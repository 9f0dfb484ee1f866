//! Texts through a central server: what a replica sends it, and what it tells the replicas.
//!
//! A layer in [`Store`] beside `quorum`: replicas, requests, records and what faults do to them are the
//! store's own. What becomes of edits is decided in [`crate::state::ot`]; here it is sent, sent again, and acknowledged. In reading order:
//! `message` is what travels; `client` a replica's side; `server` the other; `recovery` what crashes leave.
//!
//! Guarantees: whatever is lost, doubled or overtaken, a batch becomes one revision of the server, and every replica takes in
//! every revision once and in its turn, as soon as messages get through. A server that lost its history takes it from its
//! replicas, once it has heard from all of them, so that no revision that any of them knows is lost.

mod client;
mod message;
mod recovery;
mod server;

pub(super) use message::Message as OtMessage;

use super::replica::tell;
use super::replication::{Content, toward};
use super::store::{RESEND, Store};
use super::words::store_key;
use crate::kernel::{SimDuration, SimTime};
use crate::state::ot::{Revision, Site};
use crate::state::{Fate, Resolution, hash};
use crate::world::message::Message;
use crate::world::population::Cx;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The topic of all that travels between replicas and their server.
pub(super) const TOPIC: u16 = 64;

/// The interval between two sendings of one thing grows up to so many times, as a power of two.
const MOST_DOUBLINGS: u32 = 3;

/// A store whose texts go through a central server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CentralSpec {
    /// The replica that is the server.
    pub server: u32,
    /// How long something may be without an answer before it is sent again.
    pub resend: SimDuration,
}

/// When something was sent that waits for an answer, and how often.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Sent {
    at: SimTime,
    tries: u32,
}

impl Sent {
    fn now(&mut self, now: SimTime) {
        (self.at, self.tries) = (now, self.tries + 1);
    }

    fn is_due(self, resend: SimDuration, now: SimTime) -> bool {
        let doublings = self.tries.saturating_sub(1).min(MOST_DOUBLINGS);
        now >= self.at.saturating_add(resend * (1 << doublings))
    }
}

/// What the server knows of a replica's copy of a text.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct Follower {
    /// The revisions that it has, as far as it said.
    has: u32,
    /// The revisions that it was told.
    told: u32,
    sent: Sent,
}

/// A server that has lost its history and asks for it.
#[derive(Debug, Clone, Default, Serialize)]
struct Recall {
    /// Who hasn't answered yet.
    silent: BTreeSet<u32>,
    sent: Sent,
    /// The longest history of each text so far.
    logs: BTreeMap<u32, Vec<Revision>>,
}

/// What a replica keeps of its talk with the server or, if it is that, with the others. It is as durable as its state.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Desk {
    /// Whether the entry of the next look at what isn't answered is on its way, and how many there were.
    armed: bool,
    looks: u64,
    /// How often the server has lost its history, as far as this replica knows.
    epoch: u32,
    /// Batches that wait for their revision, by key.
    batches: BTreeMap<u32, Sent>,
    /// It has lost its state, and waits for the server to tell it everything.
    greets: Option<Sent>,
    /// Of the server: by key and replica.
    followers: BTreeMap<(u32, u32), Follower>,
    /// Of the server: the life of each replica.
    lives: BTreeMap<u32, u16>,
    /// Of the server: how it gets its history back.
    recall: Option<Recall>,
    /// It has lost its state, and hasn't said so yet.
    bereft: bool,
    /// Pairs of changes that it had transformed before it lost its state.
    transforms: u64,
}

impl<R: Resolution> Store<R> {
    fn central(&self) -> &CentralSpec {
        self.spec.central().expect("the store has a central server")
    }

    fn is_server(&self, member: u32) -> bool {
        self.central().server == member
    }

    fn talk(&mut self, member: u32) -> &mut Desk {
        &mut self.replicas[member as usize].central
    }

    fn site(&mut self, member: u32, key: u32) -> &mut Site {
        let entry = &mut self.replicas[member as usize].slots[key as usize].entry;
        self.model.site(entry).expect("texts through a server have sites")
    }

    fn text_keys(&self) -> std::ops::Range<u32> {
        0..self.spec.keys.len() as u32
    }

    /// Lets something happen to a replica's site of a text, with records of what comes of it.
    fn at_site<T>(
        &mut self,
        member: u32,
        key: u32,
        cx: &mut Cx<'_, '_>,
        act: impl FnOnce(&mut Site, &mut dyn FnMut(Fate)) -> T,
    ) -> T {
        let word = store_key(self.index, key);
        let replica = &mut self.replicas[member as usize];
        let id = replica.endpoint.id;
        let slot = &mut replica.slots[key as usize];
        let before = slot.touched;
        let site = self
            .model
            .site(&mut slot.entry)
            .expect("texts through a server have sites");
        let seen = site.seen().clone();
        let done = act(site, &mut |fate| tell(cx, id, word, fate));
        if *site.seen() != seen || !before && site.revision() > 0 {
            super::replica::show(&self.model, slot, id, word, cx);
        }
        done
    }

    /// Sends a message to another replica; `about` says what it is about, apart from all others.
    fn post_central(&mut self, member: u32, peer: u32, message: OtMessage, about: [u64; 3], cx: &mut Cx<'_, '_>) {
        let to = &self.replicas[peer as usize];
        let life = to.origin;
        let about = about.into_iter().fold(0x6f74, hash::chain);
        let (id, address) = (to.endpoint.id, toward(about, to.endpoint.key));
        let bytes = message.bytes(life);
        self.send_content(
            member,
            (id, TOPIC),
            Content::Central(Box::new(message)),
            bytes,
            address,
            cx,
        );
    }

    /// A replica has edits that the server doesn't know.
    pub(super) fn submit_edits(&mut self, member: u32, key: u32, cx: &mut Cx<'_, '_>) {
        if !self.is_server(member) {
            return self.send_batch(member, key, cx);
        }
        if self.talk(member).recall.is_none() && self.site(member, key).append_own() {
            self.tell_all(key, cx);
        }
    }

    /// Takes in a message.
    pub(super) fn take_central(&mut self, member: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        let Some(payload) = self.payloads.get(message.handle) else {
            return;
        };
        let Content::Central(content) = payload.content() else {
            unreachable!("the topic says what a message holds")
        };
        let content = (**content).clone();
        self.release(message.handle);
        let peer = message.from - self.replicas[0].endpoint.id;
        if self.is_server(member) {
            self.hear_replica(member, peer, content, cx);
        } else {
            self.hear_server(member, content, cx);
        }
    }

    /// Has what isn't answered looked at after a while.
    fn arm_resend(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let resend = self.central().resend;
        let replica = &mut self.replicas[member as usize];
        if !std::mem::replace(&mut replica.central.armed, true) {
            replica.central.looks += 1;
            let (at, look) = (cx.now().saturating_add(resend), replica.central.looks);
            cx.schedule(&mut replica.endpoint, at, RESEND, look);
        }
    }

    /// Whether an entry of this number is the look that is due next.
    pub(super) fn is_look(&self, member: u32, look: u64) -> bool {
        let desk = &self.replicas[member as usize].central;
        desk.armed && desk.looks == look
    }

    /// Sends again what wasn't answered for too long.
    pub(super) fn send_central_again(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let replica = &mut self.replicas[member as usize];
        replica.central.armed = false;
        if replica.down || replica.paused.is_some() {
            return;
        }
        let waits = match self.is_server(member) {
            true => self.server_again(member, cx),
            false => self.client_again(member, cx),
        };
        if waits {
            self.arm_resend(member, cx);
        }
    }

    /// Whether all that replicas have done is everywhere, as far as they are there and will be.
    pub(super) fn central_at_rest(&mut self) -> bool {
        let server = self.central().server;
        let stands = |replica: &super::replica::Replica<R>| replica.down || replica.paused.is_some();
        if stands(&self.replicas[server as usize]) {
            return true;
        }
        if self.talk(server).recall.is_some() {
            return false;
        }
        let members: Vec<u32> = (0..self.replicas.len() as u32)
            .filter(|member| !stands(&self.replicas[*member as usize]))
            .collect();
        self.text_keys().all(|key| {
            let revision = self.site(server, key).revision();
            members.iter().all(|member| {
                let site = self.site(*member, key);
                !site.is_ahead() && site.revision() == revision
            })
        }) && members.iter().all(|member| self.talk(*member).greets.is_none())
    }

    /// Pairs of changes that a replica has transformed.
    pub(super) fn transforms(&mut self, member: u32) -> Option<u64> {
        self.spec.central()?;
        let now: u64 = self.text_keys().map(|key| self.site(member, key).transforms()).sum();
        Some(self.talk(member).transforms + now)
    }
}
