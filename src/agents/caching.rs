//! Caches: what agents keep of what they have read, and act on until it is too old.
//!
//! Guarantees: a read that a cache answers takes no time and sends nothing; it shows what an earlier read of the same agent
//! returned, however much has happened since. An entry is never older than its time to live. Invalidations are hints: one that is
//! lost, or that overtakes the answer which it is about, leaves the entry until its time is over.

use super::calling::{Answer, OPERATION};
use super::group::AgentGroup;
use super::step::{Action, OperateStep};
use crate::kernel::{SimDuration, SimTime};
use crate::stores::words::store_key;
use crate::world::call::call_identity;
use crate::world::message::Message;
use crate::world::population::Cx;
use crate::world::record::What;
use serde::Serialize;
use std::collections::BTreeMap;

/// The caches of a group's agents in front of one store: each agent has its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CacheSpec {
    /// How long an entry is used after it was read.
    pub ttl: SimDuration,
    /// Whether an update that is made on what the cache has shown reads anew at the store before it is sent.
    pub reads_before_acts: bool,
    /// Whether the replica that served a read tells when the key changes there.
    pub invalidation: bool,
    /// How many keys an agent keeps at most; of more it drops those that it used longest ago.
    pub size: u32,
}

/// What happened in a cache, as records number it ([`What::Cached`]).
pub mod cached {
    /// A read was answered.
    pub const HIT: u64 = 0;
    /// A read found nothing.
    pub const MISS: u64 = 1;
    /// A read found an entry that was too old.
    pub const EXPIRED: u64 = 2;
    /// A replica said that an entry has changed, and it was dropped.
    pub const INVALIDATED: u64 = 3;
    /// A replica said so of what wasn't there any more.
    pub const NOTHING_TO_INVALIDATE: u64 = 4;
    /// An entry made room for another one.
    pub const EVICTED: u64 = 5;
    /// What the cache had shown was read anew before an update was made on it.
    pub const REFRESHED: u64 = 6;
}

/// What a cache holds of a key.
#[derive(Debug, Clone, Serialize)]
struct Entry {
    /// When it was read.
    at: SimTime,
    /// When it was used last, by the cache's own count.
    used: u64,
    /// What the read showed, as records say it.
    shown: Box<[u64]>,
    /// How much that was.
    amount: i64,
}

/// What one agent keeps of one store.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Cache {
    entries: BTreeMap<u32, Entry>,
    /// Keys by their last use.
    order: BTreeMap<u64, u32>,
    uses: u64,
}

impl Cache {
    fn remove(&mut self, key: u32) -> Option<Entry> {
        let entry = self.entries.remove(&key)?;
        self.order.remove(&entry.used);
        Some(entry)
    }

    /// Puts an entry in, as the one used last, and returns the key that had to make room.
    fn insert(&mut self, key: u32, at: SimTime, (shown, amount): (Box<[u64]>, i64), size: u32) -> Option<u32> {
        self.remove(key);
        self.uses += 1;
        let used = self.uses;
        let entry = Entry {
            at,
            used,
            shown,
            amount,
        };
        self.entries.insert(key, entry);
        self.order.insert(used, key);
        let over = self.entries.len() > size as usize;
        let oldest = over.then(|| self.order.values().next().copied()).flatten()?;
        self.remove(oldest).map(|_| oldest)
    }

    /// What an entry shows that is young enough, which counts as used now; and how old it is. If there is none, why.
    fn look_up(&mut self, key: u32, now: SimTime, ttl: SimDuration) -> Result<(&[u64], i64, SimDuration), u64> {
        let age = now.since(self.entries.get(&key).ok_or(cached::MISS)?.at);
        if age >= ttl {
            self.remove(key);
            return Err(cached::EXPIRED);
        }
        self.uses += 1;
        let entry = self.entries.get_mut(&key).ok_or(cached::MISS)?;
        self.order.remove(&entry.used);
        entry.used = self.uses;
        self.order.insert(entry.used, key);
        Ok((&entry.shown, entry.amount, age))
    }
}

impl AgentGroup {
    fn cache_spec(&self, store: u16) -> Option<CacheSpec> {
        self.spec.caches.get(usize::from(store)).copied().flatten()
    }

    /// Whether a request asks for what the client will keep, and for how long it wants to hear of changes.
    pub(super) fn keeps(&self, spec: u32, reads: bool) -> Option<SimDuration> {
        if spec & OPERATION == 0 || !reads {
            return None;
        }
        let step = &self.spec.program.operations[(spec & !OPERATION) as usize];
        let cache = self.cache_spec(step.store)?;
        Some(if cache.invalidation {
            cache.ttl
        } else {
            SimDuration::ZERO
        })
    }

    /// Answers a read from the cache, if it can; whether it has.
    pub(super) fn read_cache(
        &mut self,
        id: u32,
        member: u32,
        step: &OperateStep,
        key: u32,
        server: u32,
        cx: &mut Cx<'_, '_>,
    ) -> bool {
        let Some(spec) = self.cache_spec(step.store) else {
            return false;
        };
        if step.action != Action::Read || step.swap.is_some() {
            return false;
        }
        let (now, client) = (cx.now(), self.base + member);
        let word = store_key(u32::from(step.store), key);
        let cache = self.caches.entry((member, step.store)).or_default();
        let (shown, amount, age) = match cache.look_up(key, now, spec.ttl) {
            Ok((shown, amount, age)) => (shown.to_vec(), amount, age),
            Err(why) => {
                cx.record(What::Cached, client, [word, why, 0]);
                return false;
            }
        };
        let identity = call_identity(client, self.agents[member as usize].calls);
        self.agents[member as usize].calls += 1;
        cx.record(What::Cached, client, [word, cached::HIT, age.as_nanos()]);
        cx.record(What::CallStarted, client, [identity, u64::from(server), 0]);
        if cx.wants(What::ReadServed) {
            let mut extra = vec![now.as_nanos(), u64::from(client)];
            extra.extend(&shown);
            cx.record_with(What::ReadServed, client, [identity, word, 0], &extra);
        }
        cx.record(What::OperationAcknowledged, client, [identity, word, 0]);
        let ended = [identity, u64::from(server), 1];
        cx.record_with(What::CallEnded, client, ended, &[now.as_nanos(), 0]);
        self.acts_on_cache.insert(id);
        if step.counts {
            self.amounts.insert(id, amount);
        }
        true
    }

    /// Whether what an update is made on has to be read anew before, because it came from the cache.
    pub(super) fn must_refresh(
        &mut self,
        id: u32,
        member: u32,
        step: &OperateStep,
        key: u32,
        cx: &mut Cx<'_, '_>,
    ) -> bool {
        if step.action == Action::Read || !step.keys.same || !step.carries_context {
            return false;
        }
        let refreshes = self.cache_spec(step.store).is_some_and(|spec| spec.reads_before_acts);
        if !self.acts_on_cache.remove(&id) || !refreshes {
            return false;
        }
        let word = store_key(u32::from(step.store), key);
        cx.record(What::Cached, self.base + member, [word, cached::REFRESHED, 0]);
        true
    }

    /// A read was answered by the store.
    pub(super) fn fill_cache(
        &mut self,
        id: u32,
        member: u32,
        (store, key): (u16, u32),
        answer: &mut Answer,
        cx: &mut Cx<'_, '_>,
    ) {
        self.acts_on_cache.remove(&id);
        let Some((spec, shown)) = self.cache_spec(store).zip(
            answer
                .findings
                .as_mut()
                .and_then(|findings| Some((findings.shown.take()?, findings.amount))),
        ) else {
            return;
        };
        let cache = self.caches.entry((member, store)).or_default();
        if let Some(evicted) = cache.insert(key, cx.now(), shown, spec.size) {
            let word = store_key(u32::from(store), evicted);
            cx.record(What::Cached, self.base + member, [word, cached::EVICTED, 0]);
        }
    }

    /// An agent updates a key: what it keeps of it is out of date.
    pub(super) fn drop_cached(&mut self, member: u32, store: u16, key: u32) {
        if let Some(cache) = self.caches.get_mut(&(member, store)) {
            cache.remove(key);
        }
    }

    /// A replica says that a key has changed.
    pub(super) fn invalidated(&mut self, member: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        let (store, key) = crate::stores::words::of_store_key(message.value);
        let cache = self.caches.get_mut(&(member, store as u16));
        let was_there = cache.and_then(|cache| cache.remove(key)).is_some();
        let what = match was_there {
            true => cached::INVALIDATED,
            false => cached::NOTHING_TO_INVALIDATE,
        };
        cx.record(What::Cached, self.base + member, [message.value, what, 0]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(nanos: u64) -> SimTime {
        SimTime::from_nanos(nanos)
    }

    fn age(nanos: u64) -> SimDuration {
        SimDuration::from_nanos(nanos)
    }

    #[test]
    fn what_was_used_longest_ago_makes_room_and_what_is_too_old_is_gone() {
        let (mut cache, ttl) = (Cache::default(), age(100));
        let word = |n: u64| (vec![n].into_boxed_slice(), n as i64);
        assert_eq!(cache.insert(1, at(0), word(10), 2), None);
        assert_eq!(cache.insert(2, at(5), word(20), 2), None);
        assert_eq!(cache.look_up(1, at(50), ttl), Ok((&[10][..], 10, age(50))));
        // Key 1 was used after key 2.
        assert_eq!(cache.insert(3, at(60), word(30), 2), Some(2));
        assert_eq!(cache.look_up(2, at(60), ttl), Err(cached::MISS));
        assert_eq!(cache.look_up(1, at(100), ttl), Err(cached::EXPIRED));
        assert_eq!(cache.look_up(1, at(100), ttl), Err(cached::MISS));
        assert_eq!((cache.entries.len(), cache.order.len()), (1, 1));
        // A newer answer takes the place of the older one.
        assert_eq!(cache.insert(3, at(90), word(31), 2), None);
        assert_eq!(cache.look_up(3, at(95), ttl), Ok((&[31][..], 31, age(5))));
        assert_eq!((cache.entries.len(), cache.order.len()), (1, 1));
    }
}
