//! How a replica takes in updates that others have accepted: in their order, and after what they depend on.

use super::super::replica::Replica;
use super::super::replication::{KEY_BYTES, merge};
use super::super::spec::StoreSpec;
use super::super::store::{ORDER, Store};
use super::super::words::store_key;
use super::CausalSpec;
use super::order::Buffered;
use crate::kernel::SimTime;
use crate::state::{Dot, Resolution, VersionVector, wire};
use crate::world::population::Cx;
use crate::world::record::What;
use serde::Serialize;

/// An update on its way.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(in crate::stores) struct Update<R: Resolution> {
    /// Its place in the order: its origin, and its number there over all keys.
    pub(super) dot: Dot,
    pub(super) key: u32,
    pub(super) delta: R::Delta,
    /// What it is taken in after, beside the earlier updates of its origin, as far as those don't say it.
    pub(super) after: VersionVector,
}

impl<R: Resolution> Update<R> {
    /// Bytes on the wire.
    pub(super) fn size(&self, model: &R, value_bytes: u64) -> u64 {
        KEY_BYTES + model.delta_size(&self.delta).total(value_bytes) + self.metadata()
    }

    /// Of these, the ones of its number and of what it depends on.
    fn metadata(&self) -> u64 {
        wire::DOT + self.after.bytes()
    }
}

/// Takes an update in that has come, or puts it off.
pub(super) fn take_update<R: Resolution>(
    (model, spec, ordering): (&R, &StoreSpec, &CausalSpec),
    replica: &mut Replica<R>,
    store: u32,
    update: &Update<R>,
    cx: &mut Cx<'_, '_>,
) {
    let now = cx.now();
    replica.order.hear(update.dot.origin, now);
    if replica.order.vector.contains(update.dot) {
        return;
    }
    if replica.order.is_ready(ordering, update) {
        apply((model, spec), replica, store, update, now, cx);
    } else {
        let put_off = || Buffered {
            update: update.clone(),
            since: now,
        };
        replica.order.buffer.entry(update.dot).or_insert_with(put_off);
    }
}

/// Takes an update in that has been here since then.
fn apply<R: Resolution>(
    parts: (&R, &StoreSpec),
    replica: &mut Replica<R>,
    store: u32,
    update: &Update<R>,
    since: SimTime,
    cx: &mut Cx<'_, '_>,
) {
    merge(parts, replica, store, update.key, &update.delta, cx);
    replica.order.took(update.dot, update.key);
    say(replica, store, update, (since, true), cx);
}

/// Records how an update fared.
fn say<R: Resolution>(
    replica: &Replica<R>,
    store: u32,
    update: &Update<R>,
    (since, taken): (SimTime, bool),
    cx: &mut Cx<'_, '_>,
) {
    if cx.wants(What::Ordered) {
        let words = [store_key(store, update.key), update.dot.bits(), since.as_nanos()];
        let extra = [update.metadata(), u64::from(taken)];
        cx.record_with(What::Ordered, replica.endpoint.id, words, &extra);
    }
}

impl<R: Resolution> Store<R> {
    /// Takes in what has become possible: updates from the buffer, and then requests that waited for them.
    pub(super) fn go_on(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        loop {
            let spec = self.spec.causal().expect("the store orders updates");
            let replica = &mut self.replicas[member as usize];
            while let Some(next) = replica.order.next_ready(spec) {
                let buffered = replica.order.buffer.remove(&next).expect("it was found there");
                let Buffered { update, since } = buffered;
                apply((&self.model, &self.spec), replica, self.index, &update, since, cx);
            }
            if !self.serve_held(member, cx) {
                break;
            }
        }
        self.set_look(member, cx);
    }

    /// Sets the timer of the next look at the buffer, if anything is in it.
    pub(in crate::stores) fn set_look(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let wait = self.ordering().wait;
        let replica = &mut self.replicas[member as usize];
        if replica.order.look_set || replica.order.buffer.is_empty() || replica.down {
            return;
        }
        replica.order.look_set = true;
        let at = cx
            .now()
            .saturating_add(wait.max(crate::kernel::SimDuration::from_millis(1)));
        cx.schedule(&mut replica.endpoint, at, ORDER, 0);
    }

    /// Looks at what has been in the buffer too long: asks for what lacks, and gives up what nobody has any more.
    pub(super) fn look(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let (now, wait) = (cx.now(), self.ordering().wait);
        let replica = &mut self.replicas[member as usize];
        replica.order.look_set = false;
        if replica.down || replica.paused.is_some() {
            return;
        }
        let old = |buffered: &&Buffered<R>| now.since(buffered.since) >= wait;
        let origins = replica
            .order
            .buffer
            .values()
            .filter(old)
            .map(|it| it.update.dot.origin.replica());
        let mut origins: Vec<u16> = origins.collect();
        origins.dedup();
        if replica.order.knows_of_deaths() {
            self.give_up(member, cx);
        }
        for origin in origins.into_iter().map(u32::from) {
            if origin != member && !self.replicas[origin as usize].down {
                self.start_exchange(member, origin, cx);
            }
        }
        self.go_on(member, cx);
    }

    /// Gives up what updates in the buffer wait for if it was lost with the state of its origins; so are those whose predecessor
    /// was, unless an exchange brings both.
    fn give_up(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let (now, wait) = (cx.now(), self.ordering().wait);
        let order = &mut self.replicas[member as usize].order;
        let hopeless = |(dot, buffered): (&Dot, &Buffered<R>)| {
            let due = order.given_up_at(buffered.since, wait) <= now;
            (due && order.waits_for_the_dead(&buffered.update)).then_some(*dot)
        };
        let hopeless: Vec<Dot> = order.buffer.iter().filter_map(hopeless).collect();
        for dot in hopeless {
            if !order.is_next(dot) {
                order.buffer.remove(&dot);
                continue;
            }
            let after = order.buffer[&dot].update.after.clone();
            for lost in after.tops().iter().filter(|dot| !order.vector.contains(**dot)) {
                order.given_up.raise(lost.origin, lost.number);
            }
        }
    }

    /// The run is over: what is still in the buffer was never taken in.
    pub(in crate::stores) fn say_buffered(&self, member: u32, cx: &mut Cx<'_, '_>) {
        let replica = &self.replicas[member as usize];
        for buffered in replica.order.buffer.values() {
            say(replica, self.index, &buffered.update, (buffered.since, false), cx);
        }
    }
}
