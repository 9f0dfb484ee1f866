//! A replica's side: one batch at a time, and revisions as they come.

use super::super::store::Store;
use super::message::Message;
use crate::state::Resolution;
use crate::state::ot::site::Received;
use crate::world::population::Cx;

/// What messages are about, apart from each other.
const BATCH: u64 = 1;
const HAVE: u64 = 2;
const GREET: u64 = 3;

impl<R: Resolution> Store<R> {
    /// Sends what was done since the last batch, unless that is still on its way.
    pub(super) fn send_batch(&mut self, member: u32, key: u32, cx: &mut Cx<'_, '_>) {
        if self.site(member, key).send() {
            self.talk(member).batches.remove(&key);
            self.post_batch(member, key, cx);
        }
    }

    /// Sends the batch that waits for its revision, as it is now: transformed against all revisions since it was made.
    fn post_batch(&mut self, member: u32, key: u32, cx: &mut Cx<'_, '_>) {
        let (server, now) = (self.central().server, cx.now());
        let life = self.replicas[member as usize].origin.life();
        let desk = self.talk(member);
        let sent = desk.batches.entry(key).or_default();
        sent.now(now);
        let (epoch, tries) = (desk.epoch, sent.tries);
        let site = self.site(member, key);
        let (revision, edits) = (site.revision(), site.outstanding().to_vec());
        let first = edits.first().map_or(0, |edit| edit.dot.bits());
        let message = Message::Submit {
            epoch,
            life,
            key,
            revision,
            edits,
        };
        self.post_central(
            member,
            server,
            message,
            [BATCH << 32 | u64::from(key), first, u64::from(tries)],
            cx,
        );
        self.arm_resend(member, cx);
    }

    /// Tells the server what it hasn't heard of for too long. Whether anything waits for an answer.
    pub(super) fn client_again(&mut self, member: u32, cx: &mut Cx<'_, '_>) -> bool {
        let (resend, now) = (self.central().resend, cx.now());
        if let Some(sent) = self.talk(member).greets {
            if sent.is_due(resend, now) {
                self.greet(member, cx);
            }
            return true;
        }
        let due: Vec<u32> = self
            .talk(member)
            .batches
            .iter()
            .filter(|(_, sent)| sent.is_due(resend, now))
            .map(|(key, _)| *key)
            .collect();
        due.into_iter().for_each(|key| self.post_batch(member, key, cx));
        !self.talk(member).batches.is_empty()
    }

    /// Says that it has lost its state.
    pub(super) fn greet(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let (server, now) = (self.central().server, cx.now());
        let life = self.replicas[member as usize].origin.life();
        let sent = self.talk(member).greets.get_or_insert_default();
        sent.now(now);
        let about = [GREET, u64::from(life), u64::from(sent.tries)];
        self.post_central(member, server, Message::Greet { life }, about, cx);
        self.arm_resend(member, cx);
    }

    /// The server has said something.
    pub(super) fn hear_server(&mut self, member: u32, message: Message, cx: &mut Cx<'_, '_>) {
        match message {
            Message::Tell {
                epoch,
                life,
                key,
                first,
                revisions,
            } => {
                // What was meant for an earlier life says nothing of whether the server knows that there is a new one.
                if life != self.replicas[member as usize].origin.life() {
                    return;
                }
                let own = self.talk(member).epoch;
                // Of a later epoch it has either said what it knew, or knows nothing.
                let may_adopt = epoch > own && self.text_keys().all(|key| self.site(member, key).revision() == 0);
                if epoch != own && !may_adopt {
                    return;
                }
                let desk = self.talk(member);
                (desk.epoch, desk.greets) = (epoch, None);
                let is_early = self.at_site(member, key, cx, |site, fates| {
                    let all = (first..).zip(revisions);
                    let how = all.map(|(place, revision)| site.receive(place, revision, &mut |fate| fates(fate)));
                    how.last() == Some(Received::Early)
                });
                if self.site(member, key).outstanding().is_empty() {
                    self.talk(member).batches.remove(&key);
                }
                if !is_early {
                    self.say_revision(member, key, cx);
                }
                self.send_batch(member, key, cx);
            }
            Message::Recall { epoch } => self.restore(member, epoch, cx),
            Message::Submit { .. } | Message::Have { .. } | Message::Greet { .. } | Message::Restore { .. } => {}
        }
    }

    /// Says how many revisions it has. Said of the same number again, it is another journey.
    fn say_revision(&mut self, member: u32, key: u32, cx: &mut Cx<'_, '_>) {
        let server = self.central().server;
        let (life, now) = (self.replicas[member as usize].origin.life(), cx.now());
        let (epoch, revision) = (self.talk(member).epoch, self.site(member, key).revision());
        let message = Message::Have {
            epoch,
            life,
            key,
            revision,
        };
        let about = [HAVE << 32 | u64::from(key), u64::from(revision), now.as_nanos()];
        self.post_central(member, server, message, about, cx);
    }
}
