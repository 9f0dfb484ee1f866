//! The server's side: batches become revisions, and every replica is told them until it says that it has them.

use super::super::store::Store;
use super::Follower;
use super::message::Message;
use crate::state::Resolution;
use crate::world::population::Cx;

/// What messages are about, apart from each other.
const TELL: u64 = 4;
const RECALL: u64 = 5;

impl<R: Resolution> Store<R> {
    /// A replica has said something.
    pub(super) fn hear_replica(&mut self, server: u32, peer: u32, message: Message, cx: &mut Cx<'_, '_>) {
        let epoch = self.talk(server).epoch;
        let is_recalling = self.talk(server).recall.is_some();
        match message {
            Message::Submit {
                epoch: of,
                life,
                key,
                revision,
                edits,
            } => {
                if of != epoch || is_recalling || !self.is_current(server, peer, life) {
                    return;
                }
                self.has(server, key, peer, revision, cx);
                let is_new = self.at_site(server, key, cx, |site, fates| {
                    site.submit(revision, edits, &mut |fate| fates(fate))
                });
                match is_new {
                    true => self.tell_all(key, cx),
                    // It hasn't heard of its revision yet.
                    false => self.tell_rest(key, peer, cx),
                }
            }
            Message::Have {
                epoch: of,
                life,
                key,
                revision,
            } => {
                if of == epoch && !is_recalling && self.is_current(server, peer, life) {
                    self.has(server, key, peer, revision, cx);
                }
            }
            Message::Greet { life } => {
                let known = self.talk(server).lives.get(&peer).copied().unwrap_or(0);
                if life > known {
                    self.talk(server).lives.insert(peer, life);
                    for key in self.text_keys() {
                        self.talk(server).followers.insert((key, peer), Follower::default());
                    }
                }
                if life < known {
                    return;
                }
                match is_recalling {
                    true => self.answered(server, peer, Vec::new(), cx),
                    false => self.text_keys().for_each(|key| self.tell_rest(key, peer, cx)),
                }
            }
            Message::Restore { epoch: of, life, logs } => {
                if of == epoch && is_recalling && self.is_current(server, peer, life) {
                    self.answered(server, peer, logs, cx);
                }
            }
            Message::Tell { .. } | Message::Recall { .. } => {}
        }
    }

    /// Whether a message is of the life of a replica that is known to be its last. One that is unknown is taken for it.
    fn is_current(&mut self, server: u32, peer: u32, life: u16) -> bool {
        let known = self.talk(server).lives.entry(peer).or_insert(life);
        *known == life
    }

    /// A replica has so many revisions of a text.
    fn has(&mut self, server: u32, key: u32, peer: u32, revision: u32, cx: &Cx<'_, '_>) {
        let now = cx.now();
        let follower = self.talk(server).followers.entry((key, peer)).or_default();
        if revision > follower.has {
            follower.has = revision;
            follower.told = follower.told.max(revision);
            (follower.sent.at, follower.sent.tries) = (now, 1);
        }
    }

    /// Tells every replica what it wasn't told yet of a text.
    pub(super) fn tell_all(&mut self, key: u32, cx: &mut Cx<'_, '_>) {
        let server = self.central().server;
        for peer in (0..self.replicas.len() as u32).filter(|peer| *peer != server) {
            let told = self.talk(server).followers.entry((key, peer)).or_default().told;
            self.tell_from(key, peer, told, cx);
        }
    }

    /// Tells a replica all that it hasn't said to have.
    pub(super) fn tell_rest(&mut self, key: u32, peer: u32, cx: &mut Cx<'_, '_>) {
        let server = self.central().server;
        let has = self.talk(server).followers.entry((key, peer)).or_default().has;
        self.tell_from(key, peer, has, cx);
    }

    fn tell_from(&mut self, key: u32, peer: u32, first: u32, cx: &mut Cx<'_, '_>) {
        let (server, now) = (self.central().server, cx.now());
        let epoch = self.talk(server).epoch;
        let site = self.site(server, key);
        let (revision, revisions) = (site.revision(), site.log()[first as usize..].to_vec());
        let follower = self.talk(server).followers.entry((key, peer)).or_default();
        // News that goes out while something else waits for its answer isn't that again.
        if follower.has == follower.told {
            follower.sent.tries = 0;
        }
        if first == follower.has {
            follower.sent.now(now);
        }
        follower.told = revision;
        let life = self.talk(server).lives.get(&peer).copied().unwrap_or(0);
        let message = Message::Tell {
            epoch,
            life,
            key,
            first,
            revisions,
        };
        let what = u64::from(first) << 32 | u64::from(revision);
        self.post_central(
            server,
            peer,
            message,
            [TELL << 32 | u64::from(key), what, now.as_nanos()],
            cx,
        );
        self.arm_resend(server, cx);
    }

    /// Tells replicas again what they didn't say to have for too long. Whether anything waits for an answer.
    pub(super) fn server_again(&mut self, server: u32, cx: &mut Cx<'_, '_>) -> bool {
        let (resend, now) = (self.central().resend, cx.now());
        if let Some(recall) = &self.talk(server).recall {
            if recall.sent.is_due(resend, now) {
                self.recall(server, cx);
            }
            return true;
        }
        let mut waits = false;
        let followers: Vec<((u32, u32), Follower)> =
            self.talk(server).followers.iter().map(|(at, of)| (*at, *of)).collect();
        for ((key, peer), follower) in followers {
            if follower.has < self.site(server, key).revision() {
                waits = true;
                if follower.sent.is_due(resend, now) {
                    self.tell_rest(key, peer, cx);
                }
            }
        }
        waits
    }

    /// Asks those who haven't answered for what they know of the history.
    pub(super) fn recall(&mut self, server: u32, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let desk = self.talk(server);
        let epoch = desk.epoch;
        let Some(recall) = &mut desk.recall else { return };
        recall.sent.now(now);
        let silent: Vec<u32> = recall.silent.iter().copied().collect();
        for peer in silent {
            let about = [RECALL, u64::from(epoch), now.as_nanos()];
            self.post_central(server, peer, Message::Recall { epoch }, about, cx);
        }
        self.arm_resend(server, cx);
    }
}
