//! What crashes leave: a replica that lost its state is told everything; a server that did asks its replicas.

use super::super::store::Store;
use super::message::Message;
use super::{Desk, Follower, Recall};
use crate::state::Resolution;
use crate::state::ot::Revision;
use crate::world::population::Cx;

/// What messages are about, apart from each other.
const RESTORE: u64 = 6;

impl<R: Resolution> Store<R> {
    /// A replica loses its state; what it keeps of its texts is about to go.
    pub(in crate::stores) fn lose_desk(&mut self, member: u32) {
        let Some(transforms) = self.transforms(member) else {
            return;
        };
        let looks = self.talk(member).looks;
        *self.talk(member) = Desk {
            bereft: true,
            transforms,
            looks,
            ..Desk::default()
        };
    }

    /// A replica can act again: it says that it has lost its state, if it has, and sees to what isn't answered.
    pub(in crate::stores) fn central_back(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        if self.spec.central().is_none() {
            return;
        }
        let is_bereft = std::mem::take(&mut self.talk(member).bereft);
        if !self.is_server(member) {
            if is_bereft {
                return self.greet(member, cx);
            }
            self.text_keys().for_each(|key| self.send_batch(member, key, cx));
        } else if is_bereft {
            let life = self.replicas[member as usize].origin.life();
            let silent = (0..self.replicas.len() as u32).filter(|peer| *peer != member).collect();
            let desk = self.talk(member);
            desk.epoch = life.into();
            desk.recall = Some(Recall {
                silent,
                ..Recall::default()
            });
            match self.replicas.len() {
                1 => self.begin_history(member, cx),
                _ => self.recall(member, cx),
            }
        }
        self.arm_resend(member, cx);
    }

    /// The server has lost its history: says what is known of it.
    pub(super) fn restore(&mut self, member: u32, epoch: u32, cx: &mut Cx<'_, '_>) {
        let (server, now) = (self.central().server, cx.now());
        let life = self.replicas[member as usize].origin.life();
        let own = self.talk(member).epoch;
        if epoch < own {
            return;
        }
        if epoch > own {
            self.talk(member).epoch = epoch;
            self.text_keys().for_each(|key| self.site(member, key).forget_early());
        }
        let logs = self.text_keys().map(|key| (key, self.site(member, key).log().to_vec()));
        let logs: Vec<(u32, Vec<Revision>)> = logs
            .collect::<Vec<_>>()
            .into_iter()
            .filter(|(_, log)| !log.is_empty())
            .collect();
        let about = [RESTORE, u64::from(epoch), now.as_nanos()];
        self.post_central(member, server, Message::Restore { epoch, life, logs }, about, cx);
    }

    /// A replica has said what it knows of the history.
    pub(super) fn answered(&mut self, server: u32, peer: u32, logs: Vec<(u32, Vec<Revision>)>, cx: &mut Cx<'_, '_>) {
        let desk = self.talk(server);
        let Some(recall) = &mut desk.recall else { return };
        if !recall.silent.remove(&peer) {
            return;
        }
        for (key, log) in logs {
            let has = log.len() as u32;
            let follower = Follower {
                has,
                told: has,
                ..Follower::default()
            };
            desk.followers.insert((key, peer), follower);
            let longest = recall.logs.entry(key).or_default();
            if log.len() > longest.len() {
                *longest = log;
            }
        }
        if recall.silent.is_empty() {
            self.begin_history(server, cx);
        }
    }

    /// The server has its history back, as far as anybody knows it.
    fn begin_history(&mut self, server: u32, cx: &mut Cx<'_, '_>) {
        let recall = self.talk(server).recall.take().unwrap_or_default();
        for (key, log) in recall.logs {
            self.at_site(server, key, cx, |site, fates| {
                for (place, revision) in (0..).zip(log) {
                    site.receive(place, revision, &mut |fate| fates(fate));
                }
            });
        }
        for key in self.text_keys() {
            self.site(server, key).append_own();
            self.tell_all(key, cx);
        }
    }
}
