//! What a replica has executed: a chain of digests, and the results of late, by identity.

use super::super::shared::Table;
use super::super::shared::{Shared, mix};
use super::message::Request;
use serde::Serialize;

/// A request that was executed, with whose it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Done {
    pub identity: u64,
    pub value: u64,
    pub client: u32,
}

/// The requests of one interval between checkpoints.
type Chapter = Shared<Vec<Done>>;

/// A state at a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Snapshot {
    seq: u64,
    chain: u64,
    count: u64,
    chapters: Vec<Chapter>,
}

impl Snapshot {
    /// The sequence number up to which everything is in it.
    pub fn seq(&self) -> u64 {
        self.seq
    }

    /// How many requests were executed in it.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The digest of all of it.
    pub fn digest(&self) -> u64 {
        let of = |hash, done: &Done| mix(mix(mix(hash, done.identity), done.value), u64::from(done.client));
        let remembered = |hash, chapter: &Chapter| chapter.iter().fold(mix(hash, chapter.len() as u64), of);
        let head = mix(mix(mix(0xc4ec, self.seq), self.chain), self.count);
        self.chapters.iter().fold(head, remembered)
    }

    /// Its size on the wire.
    pub fn bytes(&self) -> u32 {
        let done: usize = self.chapters.iter().map(|chapter| chapter.len()).sum();
        32 + 20 * done as u32
    }

    /// What a forger makes of it.
    pub(super) fn forged(&self) -> Self {
        Self {
            count: self.count + 1,
            ..self.clone()
        }
    }
}

/// The state as it is now.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct State {
    /// The digest of all executed requests in their order.
    chain: u64,
    count: u64,
    /// The results of what is remembered.
    served: Table,
    /// What is remembered, by interval, the oldest first.
    chapters: Vec<Chapter>,
    /// That of the current interval.
    current: Vec<Done>,
}

impl State {
    /// How many requests were executed.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The result of a request, if it was executed and is remembered.
    #[inline]
    pub fn result(&self, identity: u64) -> Option<u64> {
        self.served.get(identity)
    }

    /// Executes a request: its place in the order, and its result, which is what was asked for.
    pub fn execute(&mut self, request: &Request) -> (u64, u64) {
        self.count += 1;
        self.chain = mix(mix(self.chain, request.identity), request.value);
        self.served.insert(request.identity, request.value);
        self.current.push(Done {
            identity: request.identity,
            value: request.value,
            client: request.client,
        });
        (self.count, request.value)
    }

    /// The state at a checkpoint. What lies more than `remember` requests back is forgotten, by whole intervals.
    pub fn checkpoint(&mut self, seq: u64, remember: u64) -> Snapshot {
        if !self.current.is_empty() {
            self.chapters.push(Shared::new(std::mem::take(&mut self.current)));
        }
        let mut remembered: u64 = self.chapters.iter().map(|chapter| chapter.len() as u64).sum();
        let mut old = 0;
        while let Some(chapter) = self.chapters.get(old)
            && remembered - chapter.len() as u64 >= remember
        {
            remembered -= chapter.len() as u64;
            for done in chapter.iter() {
                self.served.remove(done.identity);
            }
            old += 1;
        }
        self.chapters.drain(..old);
        Snapshot {
            seq,
            chain: self.chain,
            count: self.count,
            chapters: self.chapters.clone(),
        }
    }

    /// The state of a snapshot.
    pub fn of(snapshot: &Snapshot) -> Self {
        let mut state = Self {
            chain: snapshot.chain,
            count: snapshot.count,
            chapters: snapshot.chapters.clone(),
            ..Self::default()
        };
        for done in snapshot.chapters.iter().flat_map(|chapter| chapter.iter()) {
            state.served.insert(done.identity, done.value);
        }
        state
    }
}
