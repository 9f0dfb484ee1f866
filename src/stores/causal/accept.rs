//! How an update that a replica accepts gets its place in the order, and leaves.

use super::super::replication::{Content, bytes_of};
use super::super::store::Store;
use super::{After, CausalSpec, Flaw, Ordered, Update};
use crate::state::session::beyond;
use crate::state::{Dot, Resolution, Token, VersionVector};
use crate::world::population::Cx;
use crate::world::slab::Handle;

impl<R: Resolution> Store<R> {
    /// How the store orders updates.
    ///
    /// # Panics
    /// Panics if it doesn't.
    pub(super) fn ordering(&self) -> &CausalSpec {
        self.spec.causal().expect("the store orders updates")
    }

    /// An update was accepted: it takes the next number of its origin, and its dependencies. The answer will say so.
    pub(in crate::stores) fn take_place(&mut self, member: u32, key: u32, handle: Handle, cx: &mut Cx<'_, '_>) {
        let Some(spec) = self.spec.causal() else { return };
        let replica = &mut self.replicas[member as usize];
        let (origin, order) = (replica.origin, &mut replica.order);
        let mut causes = VersionVector::default();
        if let After::Causes | After::Session = spec.after
            && let Some((_, call)) = cx.shared.journey(handle)
            && let Some(token) = call.token()
        {
            token
                .updates()
                .filter(|update| order.vector.contains(*update) || !order.given_up.contains(*update))
                .for_each(|update| causes.raise(update.origin, update.number));
        }
        match spec.after {
            After::Causes => causes.join(&order.tops[key as usize]),
            After::Replica => causes.join(&order.vector),
            After::Session | After::Nothing => {}
        }
        // Its origin's updates are taken in in their order, so what one of them has carried holds for all that follow.
        let mut after = beyond(&causes, &order.carried);
        if spec.flaw == Some(Flaw::ReducesTooFar) {
            after = beyond(&after, &order.vector);
        }
        order.carried.join(&causes);
        let after = after.tops().iter().filter(|dot| dot.origin != origin);
        order.after = VersionVector::from_tops(after.copied().collect());
        let number = order.vector.get(origin) + 1;
        order.took(Dot::new(origin, number), key);
        self.say_place(member, key, handle, cx);
    }

    /// An update's answer tells its client under which number it was accepted, or a later one of the same key.
    pub(in crate::stores) fn say_place(&mut self, member: u32, key: u32, handle: Handle, cx: &mut Cx<'_, '_>) {
        if self.spec.causal().is_none() {
            return;
        }
        let replica = &self.replicas[member as usize];
        let number = replica.order.tops[key as usize].get(replica.origin);
        let mut token = Token::default();
        token.writes.raise(replica.origin, number);
        if let Some(attempt) = cx.shared.attempts.get_mut(handle) {
            attempt.findings_mut().token = Some(Box::new(token));
        }
    }

    /// What a read's answer tells its client of what it has read.
    pub(in crate::stores) fn token_of_read(&self, member: u32, key: u32) -> Option<Box<Token>> {
        if self.spec.raft().is_some() {
            return self.token_of_local(member, key);
        }
        self.spec.causal()?;
        let reads = self.replicas[member as usize].order.tops[key as usize].clone();
        let writes = VersionVector::default();
        (!reads.is_empty()).then(|| Box::new(Token { reads, writes }))
    }

    /// Tells the other replicas of the update that was accepted last, now or with the batch.
    pub(in crate::stores) fn publish_in_order(
        &mut self,
        member: u32,
        key: u32,
        delta: R::Delta,
        about: u64,
        cx: &mut Cx<'_, '_>,
    ) {
        let replica = &mut self.replicas[member as usize];
        let number = replica.order.vector.get(replica.origin);
        let update = Update {
            dot: Dot::new(replica.origin, number),
            key,
            delta,
            after: std::mem::take(&mut replica.order.after),
        };
        match self.spec.replication.batch {
            None => self.spread_updates(member, vec![update], about, cx),
            Some(period) => {
                replica.order.unsent.push(update);
                self.open_batch(member, period, cx);
            }
        }
    }

    /// Sends the updates of a batch.
    pub(in crate::stores) fn flush_in_order(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let replica = &mut self.replicas[member as usize];
        let updates = std::mem::take(&mut replica.order.unsent);
        let about = replica.batch_number;
        self.spread_updates(member, updates, about, cx);
    }

    fn spread_updates(&mut self, member: u32, updates: Vec<Update<R>>, about: u64, cx: &mut Cx<'_, '_>) {
        let sizes = updates
            .iter()
            .map(|update| update.size(&self.model, self.spec.value_bytes));
        let bytes = bytes_of(sizes.sum());
        self.spread(member, Content::Ordered(Ordered::Updates(updates)), bytes, about, cx);
    }
}
