//! What a replica knows of the order of updates.

use super::{CausalSpec, Flaw, Update};
use crate::kernel::{SimDuration, SimTime};
use crate::state::{Dot, Origin, Resolution, Token, VersionVector, wire};
use crate::world::slab::Handle;
use serde::Serialize;
use std::collections::BTreeMap;
use std::ops::Bound;

/// An update that has come too early.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(super) struct Buffered<R: Resolution> {
    pub(super) update: Update<R>,
    /// When it came.
    pub(super) since: SimTime,
}

/// A request whose client has seen what the replica lacks.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Held {
    pub(super) number: u64,
    pub(super) attempt: Handle,
    pub(super) identity: u64,
    pub(super) since: SimTime,
    /// How long the replica stood still since.
    pub(super) stalled: SimDuration,
    /// When it is refused.
    pub(super) due: SimTime,
}

/// The order of updates at one replica.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(in crate::stores) struct Order<R: Resolution> {
    /// The updates that were taken in.
    pub(super) vector: VersionVector,
    /// By key, the latest update of each origin that was taken in.
    pub(super) tops: Vec<VersionVector>,
    /// What its own updates have carried so far.
    pub(super) carried: VersionVector,
    /// What its latest update carries.
    pub(super) after: VersionVector,
    /// Its updates that wait for the end of a batch.
    pub(in crate::stores) unsent: Vec<Update<R>>,
    pub(super) buffer: BTreeMap<Dot, Buffered<R>>,
    pub(super) held: Vec<Held>,
    pub(super) holds: u64,
    /// Whether the entry for the next look at the buffer is on its way.
    pub(super) look_set: bool,
    /// The latest life of each replica that it has heard of, and when it last heard of a new one.
    lives: Vec<u16>,
    died: SimTime,
    /// Updates that were lost with a life of their origin, and aren't waited for any more.
    pub(super) given_up: VersionVector,
}

impl<R: Resolution> Order<R> {
    /// A replica that has taken nothing in, of a store with so many keys and replicas; none of either where order doesn't matter.
    pub(in crate::stores) fn new(keys: usize, replicas: usize) -> Self {
        Self {
            vector: VersionVector::default(),
            tops: vec![VersionVector::default(); keys],
            carried: VersionVector::default(),
            after: VersionVector::default(),
            unsent: Vec::new(),
            buffer: BTreeMap::new(),
            held: Vec::new(),
            holds: 0,
            look_set: false,
            lives: vec![0; replicas],
            died: SimTime::ZERO,
            given_up: VersionVector::default(),
        }
    }

    /// All is lost but the number of requests that were held, and the replica is a new origin.
    pub(in crate::stores) fn forget(&mut self, origin: Origin) {
        let (holds, look_set) = (self.holds, self.look_set);
        *self = Self::new(self.tops.len(), self.lives.len());
        (self.holds, self.look_set) = (holds, look_set);
        self.hear(origin, SimTime::ZERO);
    }

    /// Notes that an origin lives.
    pub(super) fn hear(&mut self, origin: Origin, now: SimTime) {
        if let Some(life) = self.lives.get_mut(usize::from(origin.replica()))
            && *life < origin.life()
        {
            (*life, self.died) = (origin.life(), now);
        }
    }

    /// Whether an origin is known to have lost its state since.
    pub(super) fn is_dead(&self, origin: Origin) -> bool {
        let life = self.lives.get(usize::from(origin.replica()));
        life.is_some_and(|life| *life > origin.life())
    }

    /// Whether any replica is known to have lost its state.
    pub(super) fn knows_of_deaths(&self) -> bool {
        self.lives.iter().any(|life| *life > 0)
    }

    /// When what an update waits for is given up, if all that lacks was lost with its origins.
    pub(super) fn given_up_at(&self, since: SimTime, wait: SimDuration) -> SimTime {
        since.max(self.died).saturating_add(wait)
    }

    /// Whether an update was taken in, or is waited for no more.
    pub(super) fn has(&self, update: Dot) -> bool {
        self.vector.contains(update) || self.given_up.contains(update)
    }

    /// Whether all that a client has seen was taken in.
    pub(super) fn covers(&self, token: &Token) -> bool {
        token.updates().all(|update| self.has(update))
    }

    /// Whether an update is the next one of its origin.
    pub(super) fn is_next(&self, update: Dot) -> bool {
        self.vector.get(update.origin) + 1 == update.number
    }

    /// Whether an update can be taken in.
    pub(super) fn is_ready(&self, spec: &CausalSpec, update: &Update<R>) -> bool {
        let waits = spec.flaw != Some(Flaw::IgnoresDependencies);
        self.is_next(update.dot) && (!waits || update.after.tops().iter().all(|dot| self.has(*dot)))
    }

    /// An update in the buffer that can be taken in.
    pub(super) fn next_ready(&self, spec: &CausalSpec) -> Option<Dot> {
        let mut origins = self.buffer.first_key_value().map(|(dot, _)| dot.origin);
        while let Some(origin) = origins {
            let next = Dot::new(origin, self.vector.get(origin) + 1);
            if let Some(buffered) = self.buffer.get(&next)
                && self.is_ready(spec, &buffered.update)
            {
                return Some(next);
            }
            let after = (Bound::Excluded(Dot::new(origin, u32::MAX)), Bound::Unbounded);
            origins = self.buffer.range(after).next().map(|(dot, _)| dot.origin);
        }
        None
    }

    /// An update was taken in.
    pub(super) fn took(&mut self, dot: Dot, key: u32) {
        self.vector.raise(dot.origin, dot.number);
        self.tops[key as usize].raise(dot.origin, dot.number);
    }

    /// Whether an update in the buffer waits for nothing but what was lost with its origin's state.
    pub(super) fn waits_for_the_dead(&self, update: &Update<R>) -> bool {
        let mut lacking = update.after.tops().iter().filter(|dot| !self.has(**dot));
        (self.is_next(update.dot) || self.is_dead(update.dot.origin)) && lacking.all(|dot| self.is_dead(dot.origin))
    }

    /// Bytes of metadata: the vectors, and what the updates in the buffer depend on.
    pub(in crate::stores) fn bytes(&self) -> u64 {
        let vectors = [&self.vector, &self.carried].into_iter().chain(&self.tops);
        let vectors = vectors.filter(|vector| !vector.is_empty()).map(VersionVector::bytes);
        let buffered = self
            .buffer
            .values()
            .map(|buffered| wire::DOT + buffered.update.after.bytes());
        vectors.chain(buffered).sum()
    }
}
