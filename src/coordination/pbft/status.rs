//! Who lacks what, and sends it again (TOCS, 5.2): a replica that waits for something says what it has, and others send what it lacks.

use super::super::shared::Shared;
use super::message::{Certificate, Message, Seal, Status, Vote, verify};
use super::replica::{Cx, Replica};

/// The most sequence numbers that are sent again at a time.
const AT_A_TIME: usize = 32;

impl Replica {
    fn status(&self, cx: &mut Cx<'_, '_>) -> Status {
        let mut has = [0u128; 3];
        for place in 0..128 {
            let Some(slot) = self.log.get(self.executed + 1 + place) else {
                break;
            };
            has[0] |= u128::from(slot.digest != 0 && slot.batch.is_some()) << place;
            has[1] |= u128::from(slot.prepared) << place;
            has[2] |= u128::from(slot.decided.is_some()) << place;
        }
        let wishes = self.changes.iter().enumerate();
        let fresh = wishes.filter(|(_, change)| change.as_ref().is_some_and(|change| change.view >= self.view));
        let changes = fresh.fold(0, |bits, (by, _)| bits | 1 << by);
        let mut status = Status {
            view: self.view,
            active: self.active,
            executed: self.executed,
            low: self.log.low(),
            has,
            changes,
            seal: 0,
        };
        status.seal = cx.seal(self.signer, Seal::Status, status.content());
        status
    }

    /// Says to all what it has.
    pub(super) fn say_status(&mut self, cx: &mut Cx<'_, '_>) {
        let status = Shared::new(self.status(cx));
        self.say_to_all(Message::Status(status), cx);
    }

    /// Sends whoever says this what it lacks.
    pub(super) fn on_status(&mut self, from: u32, status: &Status, cx: &mut Cx<'_, '_>) -> bool {
        if from >= cx.rules.replicas {
            return false;
        }
        if !cx.trusts(1, || verify(from, Seal::Status, status.content(), status.seal)) {
            return false;
        }
        self.send_views(from, status, cx);
        if status.executed > self.executed {
            self.inquiries = self.inquiries.max(1);
        }
        self.send_checkpoints(from, status, cx);
        if status.executed < self.log.low() {
            return true;
        }
        if status.view == self.view && self.active && status.active {
            self.send_votes(from, status, cx);
        } else {
            self.send_decisions(from, status, cx);
        }
        true
    }

    /// The proof of its stable checkpoint, and those of its own that aren't stable yet.
    fn send_checkpoints(&mut self, from: u32, status: &Status, cx: &mut Cx<'_, '_>) {
        if let Some(proof) = self.stable.filter(|stable| stable.seq > status.low) {
            self.say(from, Message::Stable(Shared::new(proof)), cx);
        }
        let (low, mine) = (self.log.low().max(status.low), self.me as usize);
        for mark in self.marks[mine].clone() {
            if mark.seq > low {
                let (seq, digest, seal) = (mark.seq, mark.digest, mark.seal);
                self.say(from, Message::Checkpoint { seq, digest, seal }, cx);
            }
        }
    }

    /// What it knows of views that are later than the other's, or that the other waits for.
    fn send_views(&mut self, from: u32, status: &Status, cx: &mut Cx<'_, '_>) {
        let is_later = self.view > status.view || (self.view == status.view && !status.active);
        if !is_later {
            return;
        }
        if self.active {
            if let Some(new) = self.new_view.clone() {
                self.say(from, Message::NewView(new), cx);
            }
        } else if (self.view > status.view || status.changes >> self.me & 1 == 0)
            && let Some(change) = self.changes[self.me as usize].clone()
        {
            self.say(from, Message::ViewChange(change), cx);
        }
    }

    /// Its own votes in the view that both are in, and the orders, if they are its own.
    fn send_votes(&mut self, from: u32, status: &Status, cx: &mut Cx<'_, '_>) {
        let (view, by, mut sent) = (self.view, self.me, 0);
        let primary = cx.rules.primary(view);
        let is_primary = primary == by;
        let mut lacks = false;
        for place in 0..128 {
            let seq = status.executed + 1 + place;
            let [ordered, prepared, committed] = status.has.map(|bits| bits >> place & 1 == 1);
            let Some(slot) = self.log.get(seq) else {
                continue;
            };
            let (digest, order) = (slot.digest, slot.order);
            lacks |= ordered && (digest == 0 || slot.batch.is_none());
            if digest == 0 || sent == AT_A_TIME || committed {
                continue;
            }
            let (is_voted, is_prepared, batch) = (slot.voted, slot.prepared, slot.batch.clone());
            let signer = self.signer;
            let vote = |what, cx: &mut Cx<'_, '_>| Vote {
                view,
                seq,
                digest,
                seal: cx.seal(signer, what, [view, seq, digest]),
                by,
            };
            sent += 1;
            if !ordered
                && is_primary
                && let Some(batch) = batch
            {
                let again = Message::PrePrepare {
                    view,
                    seq,
                    seal: order,
                    batch,
                };
                self.say(from, again, cx);
            }
            if !prepared && is_voted && !is_primary {
                let vote = vote(Seal::Prepare, cx);
                self.say(from, Message::Prepare(vote), cx);
            }
            if is_prepared {
                let vote = vote(Seal::Commit, cx);
                self.say(from, Message::Commit(vote), cx);
            }
        }
        if lacks && from == primary {
            // What the primary has ordered hasn't come.
            let status = Shared::new(self.status(cx));
            self.say(from, Message::Status(status), cx);
        }
    }

    /// What was decided, with its proof: the other isn't in a view in which it could count votes.
    fn send_decisions(&mut self, from: u32, status: &Status, cx: &mut Cx<'_, '_>) {
        for seq in (status.executed + 1..).take(AT_A_TIME) {
            let Some((proof, batch)) = self.log.get(seq).and_then(|slot| slot.decided.clone()) else {
                break;
            };
            let proof = Shared::new(proof);
            self.say(from, Message::Decision { proof, batch }, cx);
        }
    }

    /// A quorum has committed something, in whatever view.
    pub(super) fn on_decision(
        &mut self,
        proof: Certificate,
        batch: Shared<super::message::Batch>,
        cx: &mut Cx<'_, '_>,
    ) -> bool {
        let sizes = (cx.rules.replicas, cx.rules.quorum());
        let Some(slot) = self.log.get_mut(proof.seq) else {
            return true;
        };
        if slot.decided.is_some() {
            return true;
        }
        let is_sound = || proof.is_sound(Seal::Commit, sizes) && batch.is_sound() && batch.digest == proof.digest;
        if !cx.trusts(proof.signers.count_ones() as usize, is_sound) {
            return false;
        }
        slot.keep(&batch);
        slot.decided = Some((proof, batch));
        self.top = self.top.max(proof.seq);
        self.execute(cx);
        true
    }
}
