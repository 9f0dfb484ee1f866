//! Checkpoints: how a log is cut, and how a replica that fell behind gets the state that the others are in.

use super::super::shared::Shared;
use super::message::{Batch, Certificate, Message, Seal, Transfer, verify};
use super::notes;
use super::replica::{Cx, Mark, Replica};
use super::state::State;

impl Replica {
    /// It has executed all up to a checkpoint.
    pub(super) fn reach_checkpoint(&mut self, seq: u64, cx: &mut Cx<'_, '_>) {
        let snapshot = Shared::new(self.state.checkpoint(seq, cx.rules.remember));
        let digest = snapshot.digest();
        self.snapshots.push(snapshot);
        let seal = cx.seal(self.signer, Seal::Checkpoint, [seq, digest, 0]);
        let mark = Mark { seq, digest, seal };
        self.take_mark(self.me, mark, cx);
        self.say_to_all(Message::Checkpoint { seq, digest, seal }, cx);
    }

    pub(super) fn on_checkpoint(&mut self, from: u32, mark: Mark, cx: &mut Cx<'_, '_>) -> bool {
        if mark.seq <= self.log.low() || from >= cx.rules.replicas {
            return true;
        }
        let content = [mark.seq, mark.digest, 0];
        let is_sound = mark.seq.is_multiple_of(cx.rules.checkpoint_every);
        if !cx.trusts(1, || is_sound && verify(from, Seal::Checkpoint, content, mark.seal)) {
            return false;
        }
        self.take_mark(from, mark, cx);
        true
    }

    /// Takes in that somebody has reached a checkpoint. Of each, the latest are kept: as many as the window has, and one beyond.
    fn take_mark(&mut self, by: u32, mark: Mark, cx: &mut Cx<'_, '_>) {
        let most = (cx.rules.window / cx.rules.checkpoint_every) as usize + 1;
        let marks = &mut self.marks[by as usize];
        if marks.iter().any(|one| one.seq == mark.seq) {
            return;
        }
        if marks.len() == most {
            let lowest = (0..most).min_by_key(|place| marks[*place].seq).unwrap_or(0);
            marks.swap_remove(lowest);
        }
        marks.push(mark);
        let (mut signers, mut seals) = (0u128, 0u64);
        for (replica, marks) in self.marks.iter().enumerate() {
            let is_same = |one: &&Mark| (one.seq, one.digest) == (mark.seq, mark.digest);
            if let Some(mark) = marks.iter().find(is_same) {
                signers |= 1 << replica;
                seals = seals.wrapping_add(mark.seal);
            }
        }
        if signers.count_ones() >= cx.rules.quorum() {
            let (seq, digest) = (mark.seq, mark.digest);
            self.take_stable(
                Certificate {
                    view: 0,
                    seq,
                    digest,
                    signers,
                    seals,
                },
                cx,
            );
        }
    }

    /// A quorum has reached a checkpoint.
    pub(super) fn take_stable(&mut self, proof: Certificate, cx: &mut Cx<'_, '_>) {
        if proof.seq > self.executed {
            if self.behind.is_none_or(|behind| behind.seq < proof.seq) {
                self.behind = Some(proof);
            }
            return;
        }
        let has = |snapshot: &Shared<super::state::Snapshot>| snapshot.seq() == proof.seq;
        if self.stable.is_some_and(|stable| stable.seq >= proof.seq) || !self.snapshots.iter().any(has) {
            return;
        }
        self.settle_on(proof, cx);
        self.order(cx);
    }

    /// Cuts its log behind a checkpoint.
    fn settle_on(&mut self, proof: Certificate, cx: &mut Cx<'_, '_>) {
        self.stable = Some(proof);
        self.snapshots.retain(|snapshot| snapshot.seq() >= proof.seq);
        self.marks
            .iter_mut()
            .for_each(|marks| marks.retain(|mark| mark.seq > proof.seq));
        self.log.truncate(proof.seq);
        self.behind = self.behind.filter(|behind| behind.seq > self.executed);
        self.next = self.next.max(proof.seq + 1);
        cx.note(notes::STABLE, proof.seq, proof.digest);
    }

    /// Takes in the proof that a quorum has reached a checkpoint; whether it is one.
    fn learn_stable(&mut self, proof: Certificate, cx: &mut Cx<'_, '_>) -> bool {
        if proof.seq <= self.log.low() || self.behind.is_some_and(|behind| behind.seq >= proof.seq) {
            return true;
        }
        let sizes = (cx.rules.replicas, cx.rules.quorum());
        let seals = proof.signers.count_ones() as usize;
        if !cx.trusts(seals, || proof.is_sound(Seal::Checkpoint, sizes)) {
            return false;
        }
        self.take_stable(proof, cx);
        true
    }

    pub(super) fn on_stable(&mut self, from: u32, proof: Certificate, cx: &mut Cx<'_, '_>) -> bool {
        let before = self.behind;
        let is_sound = self.learn_stable(proof, cx);
        if self.behind != before && self.behind == Some(proof) {
            self.say(from, Message::FetchState(Shared::new(proof)), cx);
        }
        is_sound
    }

    /// Asks for what it knows that it lacks.
    pub(super) fn catch_up(&mut self, cx: &mut Cx<'_, '_>) {
        if let Some(behind) = self.behind {
            let others = behind.signers & !(1 << self.me);
            let count = u64::from(others.count_ones());
            if behind.seq <= self.executed || count == 0 {
                self.behind = None;
            } else {
                let chosen = cx.io.draw(cx.now() as u64).below(count);
                let left = (0..chosen).fold(others, |left, _| left & (left - 1));
                let to = left.trailing_zeros();
                self.say(to, Message::FetchState(Shared::new(behind)), cx);
            }
        }
        let lacking: Vec<(u64, u64)> = self
            .log
            .numbers()
            .filter_map(|seq| self.log.get(seq).map(|slot| (seq, slot)))
            .filter(|(_, slot)| slot.digest != 0 && slot.batch.is_none())
            .map(|(seq, slot)| (seq, slot.digest))
            .collect();
        for (seq, digest) in lacking {
            self.say_to_all(Message::FetchBatch { seq, digest }, cx);
        }
    }

    pub(super) fn on_fetch_state(&mut self, from: u32, wanted: Certificate, cx: &mut Cx<'_, '_>) -> bool {
        if !self.learn_stable(wanted, cx) {
            return false;
        }
        if let Some(proof) = self.stable
            && proof.seq >= wanted.seq
            && from < cx.rules.replicas
            && let Some(snapshot) = self.snapshots.iter().find(|snapshot| snapshot.seq() == proof.seq)
        {
            let snapshot = (**snapshot).clone();
            self.say(from, Message::State(Shared::new(Transfer { proof, snapshot })), cx);
        }
        true
    }

    /// A state has come, perhaps a later one than was asked for.
    pub(super) fn on_state(&mut self, transfer: &Shared<Transfer>, cx: &mut Cx<'_, '_>) -> bool {
        let (proof, snapshot) = (transfer.proof, &transfer.snapshot);
        if proof.seq <= self.executed {
            return true;
        }
        let sizes = (cx.rules.replicas, cx.rules.quorum());
        let is_sound = || {
            proof.is_sound(Seal::Checkpoint, sizes)
                && snapshot.seq() == proof.seq
                && snapshot.digest() == proof.digest
                && proof.seq.is_multiple_of(cx.rules.checkpoint_every)
        };
        let is_sound = is_sound();
        if !cx.trusts(proof.signers.count_ones() as usize, || is_sound) {
            return false;
        }
        self.state = State::of(snapshot);
        self.executed = proof.seq;
        self.snapshots = vec![Shared::new(snapshot.clone())];
        cx.note(notes::INSTALLED, proof.seq, snapshot.count());
        self.settle_on(proof, cx);
        let arrivals = std::mem::take(&mut self.arrivals);
        for request in arrivals {
            match self.state.result(request.identity) {
                Some(value) => {
                    if self.waiting.remove(request.identity).is_some() {
                        self.reply(request.client, request.identity, value, cx);
                    }
                }
                None => self.arrivals.push_back(request),
            }
        }
        if self.active {
            self.timer = super::super::member::NEVER;
        }
        self.execute(cx);
        true
    }

    pub(super) fn on_fetch_batch(&mut self, from: u32, (seq, digest): (u64, u64), cx: &mut Cx<'_, '_>) -> bool {
        if let Some(batch) = self.log.get(seq).and_then(|slot| slot.find(digest)) {
            self.say(from, Message::Batch { seq, batch }, cx);
        }
        true
    }

    /// A batch has come that was known by its digest.
    pub(super) fn on_batch(&mut self, seq: u64, batch: Shared<Batch>, cx: &mut Cx<'_, '_>) -> bool {
        let Some(slot) = self.log.get_mut(seq) else {
            return true;
        };
        if slot.batch.is_some() || slot.digest != batch.digest {
            return true;
        }
        if !cx.trusts(0, || batch.is_sound()) {
            return false;
        }
        slot.keep(&batch);
        slot.batch = Some(batch);
        self.agree(seq, cx);
        self.advance(seq, cx);
        true
    }
}
