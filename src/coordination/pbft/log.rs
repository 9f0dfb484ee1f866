//! What a replica knows about each sequence number of its window.

use super::super::shared::Shared;
use super::message::{Batch, Certificate, Vote};
use serde::Serialize;

/// What replicas have said in the current view about a sequence number and a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Ballot {
    pub digest: u64,
    /// Who has prepared, the primary among them, and the sum of their seals.
    pub prepares: u128,
    pub prepare_seals: u64,
    /// Who has committed.
    pub commits: u128,
    pub commit_seals: u64,
}

/// A sequence number.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Slot {
    /// The digest that the primary of the current view has ordered; 0 for none.
    pub digest: u64,
    /// The primary's seal on that.
    pub order: u64,
    /// The batch of that digest.
    pub batch: Option<Shared<Batch>>,
    /// Whether this replica has said in this view that it agrees, as primary or as backup.
    pub voted: bool,
    /// Whether it is prepared in this view, so that this replica has committed.
    pub prepared: bool,
    pub ballots: Vec<Ballot>,
    /// The votes of the latest view in which it was prepared, whatever view that was.
    pub certificate: Option<Certificate>,
    /// What was committed, in any view, with the proof.
    pub decided: Option<(Certificate, Shared<Batch>)>,
    /// All batches that were ordered here, in any view: whoever has a certificate may need one of them.
    pub batches: Vec<Shared<Batch>>,
}

impl Slot {
    /// The votes for a digest.
    pub fn ballot(&mut self, digest: u64) -> &mut Ballot {
        let place = self.ballots.iter().position(|ballot| ballot.digest == digest);
        let place = place.unwrap_or_else(|| {
            self.ballots.push(Ballot {
                digest,
                prepares: 0,
                prepare_seals: 0,
                commits: 0,
                commit_seals: 0,
            });
            self.ballots.len() - 1
        });
        &mut self.ballots[place]
    }

    /// Takes in that somebody has prepared; `once`: only the first time counts, whatever it is about.
    #[inline]
    pub fn prepare(&mut self, vote: &Vote, once: bool) -> bool {
        let bit = 1 << vote.by;
        if once && self.ballots.iter().any(|ballot| ballot.prepares & bit != 0) {
            return false;
        }
        let ballot = self.ballot(vote.digest);
        if ballot.prepares & bit != 0 {
            return false;
        }
        ballot.prepares |= bit;
        ballot.prepare_seals = ballot.prepare_seals.wrapping_add(vote.seal);
        true
    }

    /// Takes in that somebody has committed.
    #[inline]
    pub fn commit(&mut self, vote: &Vote, once: bool) -> bool {
        let bit = 1 << vote.by;
        if once && self.ballots.iter().any(|ballot| ballot.commits & bit != 0) {
            return false;
        }
        let ballot = self.ballot(vote.digest);
        if ballot.commits & bit != 0 {
            return false;
        }
        ballot.commits |= bit;
        ballot.commit_seals = ballot.commit_seals.wrapping_add(vote.seal);
        true
    }

    /// A batch that was ordered here once.
    pub fn find(&self, digest: u64) -> Option<Shared<Batch>> {
        self.batches.iter().find(|batch| batch.digest == digest).cloned()
    }

    /// Keeps a batch.
    pub fn keep(&mut self, batch: &Shared<Batch>) {
        if self.batches.iter().all(|kept| kept.digest != batch.digest) {
            self.batches.push(batch.clone());
        }
    }

    /// Another view: all begins anew, but for what was prepared, decided and ordered.
    fn renew(&mut self) {
        (self.digest, self.order, self.batch) = (0, 0, None);
        (self.voted, self.prepared) = (false, false);
        self.ballots.clear();
    }

    /// It is there for another sequence number.
    fn clear(&mut self) {
        self.renew();
        (self.certificate, self.decided) = (None, None);
        self.batches.clear();
    }
}

/// The sequence numbers of the window, in a ring.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Log {
    slots: Vec<Slot>,
    /// All up to this one are below the window.
    low: u64,
}

impl Log {
    /// An empty one for a window of this size.
    pub fn new(window: u64) -> Self {
        Self {
            slots: vec![Slot::default(); window as usize],
            low: 0,
        }
    }

    /// The low watermark.
    pub fn low(&self) -> u64 {
        self.low
    }

    /// The high one.
    pub fn high(&self) -> u64 {
        self.low + self.slots.len() as u64
    }

    /// Whether a sequence number is in the window.
    #[inline]
    pub fn covers(&self, seq: u64) -> bool {
        seq > self.low && seq <= self.high()
    }

    /// A sequence number, if it is in the window.
    #[inline]
    pub fn get(&self, seq: u64) -> Option<&Slot> {
        let place = seq % self.slots.len() as u64;
        self.covers(seq).then(|| &self.slots[place as usize])
    }

    /// A sequence number, if it is in the window.
    #[inline]
    pub fn get_mut(&mut self, seq: u64) -> Option<&mut Slot> {
        let place = seq % self.slots.len() as u64;
        match self.covers(seq) {
            true => Some(&mut self.slots[place as usize]),
            false => None,
        }
    }

    /// The sequence numbers of the window, from the lowest.
    pub fn numbers(&self) -> std::ops::RangeInclusive<u64> {
        self.low + 1..=self.high()
    }

    /// Moves the window up.
    pub fn truncate(&mut self, low: u64) {
        let size = self.slots.len() as u64;
        for seq in self.low + 1..=low.min(self.high()) {
            self.slots[(seq % size) as usize].clear();
        }
        self.low = self.low.max(low);
    }

    /// Another view begins.
    pub fn renew(&mut self) {
        self.slots.iter_mut().for_each(Slot::renew);
    }
}
