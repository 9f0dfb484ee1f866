//! What replicas and desks say to each other, and how it is sealed.
//!
//! A seal stands for a signature. Whoever seals something does it with a [`Signer`], of which a member has its own alone; anybody can
//! [`verify`]. A certificate is the set of signers and the sum of their seals: a sum that is right can't be had without each of them.

use super::super::member::Saying;
use super::super::shared::{Shared, mix};
use crate::kernel::Words;
use serde::Serialize;

/// The digest of a batch without requests, which takes a place in the order and does nothing.
pub const NOTHING: u64 = 1;
/// The size of a signature on the wire (as of RSA with 1,024 bits, which TOCS uses).
const SEAL: u32 = 128;
/// A kind of message, a view, a sequence number, a digest and a name.
const HEAD: u32 = 32;

/// What a seal is for: a seal for one thing is none for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Seal {
    /// A request of a client.
    Request = 1,
    /// A pre-prepare or a prepare: a primary's pre-prepare is its prepare.
    Prepare,
    /// A commit.
    Commit,
    /// A reply to a client.
    Reply,
    /// A checkpoint.
    Checkpoint,
    /// A view change.
    ViewChange,
    /// A new view.
    NewView,
    /// What a replica has.
    Status,
}

#[inline]
const fn seal(by: u32, what: Seal, [a, b, c]: [u64; 3]) -> u64 {
    let secret = mix(0x5eed_0f5e_a150_0000, by as u64);
    mix(mix(mix(mix(secret, what as u64), a), b), c)
}

/// What seals in a member's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Signer {
    by: u32,
}

impl Signer {
    /// That of the member itself.
    pub(super) const fn of(by: u32) -> Self {
        Self { by }
    }

    /// Seals some content.
    #[inline]
    pub fn seal(self, what: Seal, content: [u64; 3]) -> u64 {
        seal(self.by, what, content)
    }
}

/// Whether a seal is that of `by` on this content.
#[inline]
pub fn verify(by: u32, what: Seal, content: [u64; 3], sealed: u64) -> bool {
    seal(by, what, content) == sealed
}

/// What a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Request {
    /// Its identity.
    pub identity: u64,
    /// Its content.
    pub value: u64,
    /// The desk that asks.
    pub client: u32,
    /// The size of its content.
    pub bytes: u32,
    /// The desk's seal.
    pub seal: u64,
}

impl Request {
    /// What is sealed.
    pub fn content(&self) -> [u64; 3] {
        [self.identity, self.value, u64::from(self.client)]
    }

    /// Whether it is its client's: `first` is the first number that isn't a replica's.
    pub fn is_sound(&self, first: u32) -> bool {
        self.client >= first && verify(self.client, Seal::Request, self.content(), self.seal)
    }
}

/// Requests for one sequence number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Batch {
    /// The digest of the requests.
    pub digest: u64,
    /// The requests in their order.
    pub requests: Vec<Request>,
}

impl Batch {
    /// A batch of these requests.
    pub fn of(requests: Vec<Request>) -> Self {
        let digest = digest_of(&requests);
        Self { digest, requests }
    }

    /// Whether the digest is that of the requests.
    pub fn is_sound(&self) -> bool {
        digest_of(&self.requests) == self.digest
    }
}

fn digest_of(requests: &[Request]) -> u64 {
    let one = |hash, request: &Request| {
        let [identity, value, client] = request.content();
        mix(mix(mix(hash, identity), value), client)
    };
    match requests {
        [] => NOTHING,
        // Neither none nor nothing.
        requests => requests.iter().fold(0x0b47, one) | 2,
    }
}

/// A prepare or a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Vote {
    /// The view.
    pub view: u64,
    /// The sequence number.
    pub seq: u64,
    /// The digest of the batch.
    pub digest: u64,
    /// The replica's seal.
    pub seal: u64,
    /// Whose vote it is.
    pub by: u32,
}

/// Votes of a quorum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Certificate {
    /// The view; 0 for a checkpoint.
    pub view: u64,
    /// The sequence number.
    pub seq: u64,
    /// The digest that they are about.
    pub digest: u64,
    /// Who has signed.
    pub signers: u128,
    /// The sum of their seals.
    pub seals: u64,
}

impl Certificate {
    /// Whether these are seals of a quorum of the replicas, on what it says.
    pub fn is_sound(&self, what: Seal, (replicas, quorum): (u32, u32)) -> bool {
        let content = match what {
            Seal::Checkpoint => [self.seq, self.digest, 0],
            _ => [self.view, self.seq, self.digest],
        };
        let (mut left, mut sum) = (self.signers, 0u64);
        while left != 0 {
            let by = left.trailing_zeros();
            left &= left - 1;
            sum = sum.wrapping_add(seal(by, what, content));
        }
        let beyond = replicas < 128 && self.signers >> replicas != 0;
        !beyond && self.signers.count_ones() >= quorum && sum == self.seals
    }

    fn fold(&self, hash: u64) -> u64 {
        let signers = mix(self.signers as u64, (self.signers >> 64) as u64);
        [self.view, self.seq, self.digest, signers, self.seals]
            .into_iter()
            .fold(hash, mix)
    }

    fn bytes(&self) -> u32 {
        HEAD + SEAL * self.signers.count_ones()
    }
}

/// A replica's wish for another view, with what it knows of the views before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ViewChange {
    /// The view that it wants.
    pub view: u64,
    /// Its last stable checkpoint; none at the beginning.
    pub stable: Option<Certificate>,
    /// For each sequence number beyond it that was prepared, the certificate of the latest view, in order.
    pub prepared: Vec<Certificate>,
    /// Who wants it.
    pub by: u32,
    /// Its seal.
    pub seal: u64,
}

impl ViewChange {
    /// The sequence number of its stable checkpoint.
    pub fn low(&self) -> u64 {
        self.stable.map_or(0, |stable| stable.seq)
    }

    /// What is sealed.
    pub fn content(&self) -> [u64; 3] {
        let stable = self.stable.iter().fold(0, |hash, one| one.fold(hash));
        let prepared = self.prepared.iter().fold(1, |hash, one| one.fold(hash));
        [self.view, stable, prepared]
    }

    fn bytes(&self) -> u32 {
        let certificates = self.stable.iter().chain(&self.prepared).map(Certificate::bytes);
        HEAD + SEAL + certificates.sum::<u32>()
    }
}

/// A pre-prepare in a new view: the batch is known by its digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Order {
    /// The sequence number.
    pub seq: u64,
    /// The digest of its batch.
    pub digest: u64,
    /// The new primary's seal.
    pub seal: u64,
}

/// The beginning of a view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewView {
    /// The view.
    pub view: u64,
    /// Wishes of a quorum for it.
    pub changes: Vec<Shared<ViewChange>>,
    /// What they make the new primary order.
    pub orders: Vec<Order>,
    /// Its seal.
    pub seal: u64,
}

impl NewView {
    /// What is sealed.
    pub fn content(&self) -> [u64; 3] {
        let changes = self.changes.iter().fold(0, |hash, change| mix(hash, change.seal));
        let order = |hash, order: &Order| mix(mix(mix(hash, order.seq), order.digest), order.seal);
        [self.view, changes, self.orders.iter().fold(1, order)]
    }
}

/// What a replica has, so that others send what it lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Status {
    /// Its view.
    pub view: u64,
    /// Whether it has entered it.
    pub active: bool,
    /// The last sequence number that it has executed.
    pub executed: u64,
    /// Its last stable checkpoint.
    pub low: u64,
    /// Of the 128 sequence numbers after that: which have a batch, which are prepared, which are committed.
    pub has: [u128; 3],
    /// Whose wish for its view, or one after it, it has.
    pub changes: u128,
    /// Its seal.
    pub seal: u64,
}

impl Status {
    /// What is sealed.
    pub fn content(&self) -> [u64; 3] {
        let wide = |hash, word: &u128| mix(mix(hash, *word as u64), (*word >> 64) as u64);
        let has = wide(self.has.iter().fold(u64::from(self.active), wide), &self.changes);
        [self.view, mix(self.executed, self.low), has]
    }
}

/// A state at a checkpoint, with its proof.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Transfer {
    /// The certificate of the checkpoint.
    pub proof: Certificate,
    /// The state.
    pub snapshot: super::state::Snapshot,
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Message {
    /// A client asks, or a replica passes on what a client has asked.
    Request(Request),
    /// A primary orders.
    PrePrepare {
        /// The view.
        view: u64,
        /// The sequence number.
        seq: u64,
        /// The primary's seal.
        seal: u64,
        /// The requests.
        batch: Shared<Batch>,
    },
    /// A backup agrees with an order.
    Prepare(Vote),
    /// A replica knows that a quorum agrees.
    Commit(Vote),
    /// A replica has executed a request.
    Reply {
        /// Its view.
        view: u64,
        /// The request's identity.
        identity: u64,
        /// The result.
        value: u64,
        /// Its seal.
        seal: u64,
    },
    /// A replica has executed all up to a sequence number.
    Checkpoint {
        /// The sequence number.
        seq: u64,
        /// The digest of its state.
        digest: u64,
        /// Its seal.
        seal: u64,
    },
    /// A replica wants another view.
    ViewChange(Shared<ViewChange>),
    /// A view begins.
    NewView(Shared<NewView>),
    /// What a replica has.
    Status(Shared<Status>),
    /// A checkpoint of a quorum, for somebody who is behind it.
    Stable(Shared<Certificate>),
    /// A replica asks for the state at this checkpoint, or a later one.
    FetchState(Shared<Certificate>),
    /// A state.
    State(Shared<Transfer>),
    /// A replica asks for a batch that it knows by its digest.
    FetchBatch {
        /// The sequence number.
        seq: u64,
        /// The digest.
        digest: u64,
    },
    /// A batch.
    Batch {
        /// The sequence number.
        seq: u64,
        /// The requests.
        batch: Shared<Batch>,
    },
    /// What a quorum has committed, for somebody who can't find out by votes.
    Decision {
        /// Their commits.
        proof: Shared<Certificate>,
        /// The requests.
        batch: Shared<Batch>,
    },
}

impl Batch {
    fn bytes(&self) -> u32 {
        self.requests.iter().map(|request| HEAD + SEAL + request.bytes).sum()
    }
}

impl Saying for Message {
    const KINDS: &'static [&'static str] = &[
        "request",
        "pre_prepare",
        "prepare",
        "commit",
        "reply",
        "checkpoint",
        "view_change",
        "new_view",
        "status",
        "stable",
        "fetch_state",
        "state",
        "fetch_batch",
        "batch",
        "decision",
    ];

    fn kind(&self) -> u16 {
        match self {
            Self::Request(_) => 0,
            Self::PrePrepare { .. } => 1,
            Self::Prepare(_) => 2,
            Self::Commit(_) => 3,
            Self::Reply { .. } => 4,
            Self::Checkpoint { .. } => 5,
            Self::ViewChange(_) => 6,
            Self::NewView(_) => 7,
            Self::Status(_) => 8,
            Self::Stable(_) => 9,
            Self::FetchState(_) => 10,
            Self::State(_) => 11,
            Self::FetchBatch { .. } => 12,
            Self::Batch { .. } => 13,
            Self::Decision { .. } => 14,
        }
    }

    fn bytes(&self) -> u32 {
        match self {
            Self::Request(request) => HEAD + SEAL + request.bytes,
            Self::PrePrepare { batch, .. } => HEAD + SEAL + batch.bytes(),
            Self::Prepare(_) | Self::Commit(_) | Self::Reply { .. } | Self::Checkpoint { .. } => HEAD + SEAL,
            Self::ViewChange(change) => change.bytes(),
            Self::NewView(new) => {
                let changes = new.changes.iter().map(|change| change.bytes()).sum::<u32>();
                HEAD + SEAL + changes + (16 + SEAL) * new.orders.len() as u32
            }
            Self::Status(_) => HEAD + SEAL + 64,
            Self::Stable(proof) | Self::FetchState(proof) => proof.bytes(),
            Self::FetchBatch { .. } => HEAD,
            Self::State(transfer) => transfer.proof.bytes() + transfer.snapshot.bytes(),
            Self::Batch { batch, .. } => HEAD + batch.bytes(),
            Self::Decision { proof, batch } => proof.bytes() + batch.bytes(),
        }
    }

    fn digest(&self, words: &mut Words) {
        match self {
            Self::Request(request) => words.push_all([request.identity, request.value, request.seal]),
            Self::PrePrepare { view, seq, seal, batch } => words.push_all([*view, *seq, *seal, batch.digest]),
            Self::Prepare(vote) | Self::Commit(vote) => {
                words.push_all([vote.view, vote.seq, vote.digest, vote.seal, u64::from(vote.by)]);
            }
            Self::Reply {
                view,
                identity,
                value,
                seal,
            } => words.push_all([*view, *identity, *value, *seal]),
            Self::Checkpoint { seq, digest, seal } => words.push_all([*seq, *digest, *seal]),
            Self::ViewChange(change) => words.push_all([mix(0, change.seal), change.fold()]),
            Self::NewView(new) => {
                let [view, changes, orders] = new.content();
                words.push_all([view, changes, orders, new.seal]);
            }
            Self::Status(status) => {
                let [view, executed, has] = status.content();
                words.push_all([view, executed, has, status.seal]);
            }
            Self::Stable(proof) | Self::FetchState(proof) => words.push(proof.fold(0)),
            Self::State(transfer) => words.push_all([transfer.proof.fold(0), transfer.snapshot.digest()]),
            Self::FetchBatch { seq, digest } => words.push_all([*seq, *digest]),
            Self::Batch { seq, batch } => words.push_all([*seq, batch.digest]),
            Self::Decision { proof, batch } => words.push_all([proof.fold(0), batch.digest]),
        }
    }
}

impl ViewChange {
    fn fold(&self) -> u64 {
        self.content().into_iter().fold(u64::from(self.by), mix)
    }
}
