//! How requests wait at a replica that lacks what their clients have seen.

use super::super::store::{ORDER, Store};
use super::Flaw;
use super::order::Held;
use crate::kernel::{SimDuration, SimTime};
use crate::state::{Dot, Resolution};
use crate::world::call::Outcome;
use crate::world::population::Cx;
use crate::world::slab::Handle;

impl<R: Resolution> Store<R> {
    /// Whether a request is put off because its client has seen what the replica lacks.
    pub(in crate::stores) fn holds_back(&mut self, member: u32, handle: Handle, cx: &mut Cx<'_, '_>) -> bool {
        let Some(spec) = self.spec.causal() else { return false };
        let (now, wait) = (cx.now(), spec.wait);
        let Some((_, call)) = cx.shared.journey(handle) else {
            return false;
        };
        let order = &mut self.replicas[member as usize].order;
        let covered = call.token().is_none_or(|token| order.covers(token));
        if covered || spec.flaw == Some(Flaw::DropsTokens) {
            return false;
        }
        let identity = call.identity;
        order.holds += 1;
        let held = Held {
            number: order.holds,
            attempt: handle,
            identity,
            since: now,
            stalled: SimDuration::ZERO,
            due: now.saturating_add(wait),
        };
        if wait == SimDuration::ZERO {
            self.lapse(member, held, cx);
            return true;
        }
        order.held.push(held);
        let endpoint = &mut self.replicas[member as usize].endpoint;
        cx.schedule(endpoint, held.due, ORDER, held.number);
        true
    }

    /// Serves the requests that need wait no longer, in the order of their coming; whether there were any.
    pub(super) fn serve_held(&mut self, member: u32, cx: &mut Cx<'_, '_>) -> bool {
        let mut any = false;
        loop {
            let order = &mut self.replicas[member as usize].order;
            let is_free = |held: &Held| {
                let journey = cx.shared.journey(held.attempt);
                let token = journey.and_then(|(_, call)| call.token());
                token.is_none_or(|token| order.covers(token))
            };
            let Some(place) = order.held.iter().position(is_free) else {
                return any;
            };
            let held = order.held.remove(place);
            any = true;
            account(&held, cx);
            self.serve(member, held.attempt, cx);
        }
    }

    /// A timer of the order is due: that of a request, or of the next look at the buffer.
    pub(in crate::stores) fn order_due(&mut self, member: u32, body: u64, cx: &mut Cx<'_, '_>) {
        if body == 0 {
            return self.look(member, cx);
        }
        let replica = &mut self.replicas[member as usize];
        if replica.down || replica.paused.is_some() {
            return;
        }
        let due = |held: &Held| held.number == body && held.due <= cx.now();
        if let Some(place) = replica.order.held.iter().position(due) {
            let held = replica.order.held.remove(place);
            account(&held, cx);
            self.lapse(member, held, cx);
        }
    }

    /// A request has waited long enough: it is refused, unless all that lacks was lost with the state of its origins.
    fn lapse(&mut self, member: u32, held: Held, cx: &mut Cx<'_, '_>) {
        let order = &mut self.replicas[member as usize].order;
        let token = cx.shared.journey(held.attempt).and_then(|(_, call)| call.token());
        let lacking: Vec<Dot> = token
            .into_iter()
            .flat_map(|token| token.updates())
            .filter(|update| !order.has(*update))
            .collect();
        if lacking.iter().all(|update| order.is_dead(update.origin)) {
            for update in lacking {
                order.given_up.raise(update.origin, update.number);
            }
            self.serve(member, held.attempt, cx);
            return self.go_on(member, cx);
        }
        let refused = Outcome::Refused { retry_after: None };
        self.refuse_update(member, held.identity, refused, held.attempt, cx);
    }

    /// Whether an entry of the order's timers is about nothing any more.
    pub(in crate::stores) fn is_order_stale(&self, member: u32, body: u64) -> bool {
        body != 0
            && self.replicas[member as usize]
                .order
                .held
                .iter()
                .all(|held| held.number != body)
    }

    /// The requests that a replica drops which stops.
    pub(in crate::stores) fn drop_held(&mut self, member: u32) -> impl Iterator<Item = Handle> + use<R> {
        let held = std::mem::take(&mut self.replicas[member as usize].order.held);
        held.into_iter().map(|held| held.attempt)
    }

    /// A replica stood still since then: what it holds back has so much more time.
    pub(in crate::stores) fn stall_held(&mut self, member: u32, since: SimTime, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let replica = &mut self.replicas[member as usize];
        for held in &mut replica.order.held {
            let stalled = now - since.max(held.since);
            held.stalled += stalled;
            held.due = held.due.saturating_add(stalled);
            if let Some(attempt) = cx.shared.attempts.get_mut(held.attempt) {
                attempt.down += stalled;
            }
            cx.schedule(&mut replica.endpoint, held.due, ORDER, held.number);
        }
    }
}

/// The wait of a request is coordination, but for the time in which the replica stood still.
fn account(held: &Held, cx: &mut Cx<'_, '_>) {
    let now = cx.now();
    if let Some(attempt) = cx.shared.attempts.get_mut(held.attempt) {
        attempt.coordinated += (now - held.since) - held.stalled;
    }
}
