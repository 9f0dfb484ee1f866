//! Who is told when a key changes at a replica: clients that keep what they have read there.
//!
//! Guarantees: a client is told of the first change after its read, once; of the next after it has read again (callbacks, as in
//! AFS: Howard et al., ACM TOCS 1988). Whoever's copy is too old by then isn't told: the list is bounded by what clients keep.

use super::replica::Replica;
use super::replication::{KEY_BYTES, topic, toward};
use super::store::Store;
use super::words::store_key;
use crate::kernel::{Key, SimDuration, SimTime};
use crate::state::{KeyType, ModelInfo, Resolution};
use crate::world::message::{Message, MessageKind};
use crate::world::population::Cx;
use crate::world::slab::Handle;
use serde::Serialize;
use std::collections::BTreeMap;

/// The page of caches in the reference.
pub const INFO: ModelInfo = ModelInfo {
    name: "caches",
    title: "Caches",
    keys: KeyType::ALL,
    doc: "\
An option of a group of agents, `caches: {\"store\": (ttl: \"5s\")}`: each agent keeps what it has read of the store, and acts on that.
A read that the cache answers sends nothing and takes no time. It shows what the earlier read has shown; what it lacks by now is
judged as of any read, although no replica served it: `state.stale_reads`, `state.stale_age`, and the session violations.

*Until when.* An entry is used for `ttl` after its answer came. With `invalidation` the replica that served the read remembers the
agent for as long, and tells it when the key changes there: once, until the agent reads again (callbacks, as in AFS: Howard et al.
1988). The message may be lost, and it may overtake the answer that it is about; then the entry stays until its time is over. A
replica that loses its state forgets whom to tell. The agent's own update drops its entry when it is sent, and so does the loss of the
agent's state. Of more than `size` keys the one that was used longest ago makes room.

*Before acts.* With `refresh: BeforeAct` an `Update` whose read the cache has answered reads again at the store after its think, and
the change is made on that. A `CompareAndSwap` always reads at the store.

A cache knows nothing of sessions and of causal order: in front of a store that keeps them it breaks what they guarantee, and `check`
warns. It works in front of any store; the coordinator of a quorum tells of changes that reach itself.

Costs: an invalidation is a message of 4 bytes, counted among those of replicas (`messages.peer`).
",
};

/// Where the addresses of invalidations begin.
const INVALIDATIONS: u64 = 0x696e_7661 << 32;

/// A client that keeps a key.
#[derive(Debug, Clone, Copy, Serialize)]
struct Subscriber {
    client: u32,
    /// Its key: the address of what it is told.
    key: Key,
    until: SimTime,
}

/// The subscribers of a replica's keys.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Subscriptions {
    by_key: BTreeMap<u32, Vec<Subscriber>>,
    /// How often the subscribers of some key were told.
    told: u64,
}

impl Subscriptions {
    /// All is forgotten with the replica's state.
    pub(super) fn forget(&mut self) {
        self.by_key.clear();
    }
}

/// A key has changed at a replica: its subscribers are told.
pub(super) fn invalidate<R: Resolution>(replica: &mut Replica<R>, store: u32, key: u32, cx: &mut Cx<'_, '_>) {
    if replica.subscriptions.by_key.is_empty() {
        return;
    }
    let Some(subscribers) = replica.subscriptions.by_key.remove(&key) else {
        return;
    };
    replica.subscriptions.told += 1;
    let (now, about) = (cx.now(), INVALIDATIONS ^ replica.subscriptions.told);
    for subscriber in subscribers.iter().filter(|subscriber| subscriber.until > now) {
        let mut message = Message::new(
            MessageKind::Peer,
            subscriber.client,
            topic::INVALIDATION,
            KEY_BYTES as u32,
        );
        message.value = store_key(store, key);
        let own = replica.endpoint.key;
        cx.send_about(&mut replica.endpoint, message, own, toward(about, subscriber.key));
    }
}

impl<R: Resolution> Store<R> {
    /// A read was served whose client keeps what it shows: the answer says it in words, and the client hears of changes.
    pub(super) fn subscribe(
        &mut self,
        member: u32,
        key: u32,
        entry: Option<&R::Entry>,
        handle: Handle,
        cx: &mut Cx<'_, '_>,
    ) {
        let Some((_, call)) = cx.shared.journey(handle) else {
            return;
        };
        let Some(lease) = call.keeps() else { return };
        let (now, client, of) = (cx.now(), call.client, call.key);
        let mut shown = Vec::new();
        let own = &self.replicas[member as usize].slots[key as usize].entry;
        self.push_shown(&[], key, entry.unwrap_or(own), &mut shown);
        if let Some(attempt) = cx.shared.attempts.get_mut(handle) {
            attempt.findings_mut().shown = Some(shown.into());
        }
        if lease == SimDuration::ZERO {
            return;
        }
        let subscribers = self.replicas[member as usize]
            .subscriptions
            .by_key
            .entry(key)
            .or_default();
        subscribers.retain(|subscriber| subscriber.client != client && subscriber.until > now);
        subscribers.push(Subscriber {
            client,
            key: of,
            until: now.saturating_add(lease),
        });
    }
}
