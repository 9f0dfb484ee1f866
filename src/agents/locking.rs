//! Locks from the client's side: asked for, held while steps run, renewed, given back.
//!
//! Guarantees: an agent gives back a lock that it doesn't need any more, unless it crashes and loses its state, and says so when it doesn't
//! want one any more for which it has asked. It believes that it holds the lock until then, whatever time has passed: what a holder does
//! that was too slow is the stores' to refuse.

use super::activation::{EXTRA, NIL};
use super::group::{AgentGroup, RENEW};
use super::step::LockStep;
use crate::services::lock::{event, topic};
use crate::world::call::{Fence, Request};
use crate::world::message::{Message, MessageKind};
use crate::world::population::{Cx, purpose};
use crate::world::record::What;
use serde::Serialize;

/// The bit that tells a lock's step from a call's.
pub(super) const LOCK: u32 = 1 << 30;
/// The size of what a holder says without being asked.
const WORD_BYTES: u32 = 8;

/// A lock that an activation holds.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Hold {
    /// Which step has asked for it.
    step: u32,
    /// The call by which it did.
    identity: u64,
    token: u64,
    /// Its own number, for what is queued about it.
    number: u32,
}

impl AgentGroup {
    /// A step asks for a lock.
    pub(super) fn begin_lock(&mut self, id: u32, index: u32, cx: &mut Cx<'_, '_>) {
        let server = self.spec.program.locks[index as usize].server;
        self.open_call(id, index | LOCK, server, Request::Acquire, cx);
    }

    /// The lock is granted: the steps under it begin.
    pub(super) fn lock_granted(&mut self, id: u32, step: u32, identity: u64, token: u64, cx: &mut Cx<'_, '_>) {
        let spec = &self.spec.program.locks[step as usize];
        let (exit, renew) = (spec.release, spec.renew);
        self.push_frame(id, exit, None, 0, cx);
        self.holds_made += 1;
        let number = self.holds_made;
        self.holds.entry(id).or_default().push(Hold {
            step,
            identity,
            token,
            number,
        });
        if let Some(interval) = renew {
            let at = cx.now().saturating_add(interval);
            self.schedule_renewal(id, number, at, cx);
        }
    }

    fn schedule_renewal(&mut self, id: u32, number: u32, at: crate::kernel::SimTime, cx: &mut Cx<'_, '_>) {
        let member = self.member_of(id);
        let body = u64::from(number) << 32 | u64::from(id);
        cx.schedule(&mut self.agents[member as usize].endpoint, at, RENEW, body);
    }

    /// The hold that a queued renewal is about, if it is still there.
    pub(super) fn renewal_of(&self, body: u64) -> Option<Hold> {
        let holds = self.holds.get(&(body as u32))?;
        holds.iter().find(|hold| hold.number == (body >> 32) as u32).copied()
    }

    /// It is time to renew a lock.
    pub(super) fn renew(&mut self, body: u64, cx: &mut Cx<'_, '_>) {
        let Some(hold) = self.renewal_of(body) else { return };
        let id = body as u32;
        let Some(interval) = self.spec.program.locks[hold.step as usize].renew else {
            return;
        };
        if !self.agents[self.member_of(id) as usize].down {
            self.tell_lock(id, hold.step, topic::RENEW, hold.identity, cx);
        }
        let at = cx.now().saturating_add(interval);
        self.schedule_renewal(id, hold.number, at, cx);
    }

    /// Says something to a lock service, without waiting for an answer.
    pub(super) fn tell_lock(&mut self, id: u32, step: u32, topic: u16, identity: u64, cx: &mut Cx<'_, '_>) {
        let server = self.spec.program.locks[step as usize].server;
        let member = self.member_of(id);
        let mut message = Message::new(MessageKind::Peer, server, topic, WORD_BYTES);
        message.value = identity;
        let endpoint = &mut self.agents[member as usize].endpoint;
        let about = endpoint
            .key
            .draw(purpose::LOCK, identity ^ u64::from(endpoint.sent) << 32);
        let key = endpoint.key;
        cx.send_about(endpoint, message, key, about);
    }

    /// The steps under the lock that an activation asked for last are over: it is given back.
    pub(super) fn release_last(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        let Some(holds) = self.holds.get_mut(&id) else { return };
        let hold = holds.pop();
        if holds.is_empty() {
            self.holds.remove(&id);
        }
        if let Some(hold) = hold {
            self.tell_lock(id, hold.step, topic::RELEASE, hold.identity, cx);
        }
    }

    /// An activation is over, or thrown away: it gives back what it holds, and leaves what it has polled.
    pub(super) fn release_all(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        self.abandon_polled(id, cx);
        while self.holds.contains_key(&id) {
            self.release_last(id, cx);
        }
    }

    /// An agent has lost its state, or part of it: nobody knows any more of these locks.
    pub(super) fn forget_holds(&mut self, member: u32, main: bool) {
        for id in self.extras_of(member) {
            self.holds.remove(&id);
        }
        if main {
            self.holds.remove(&member);
        }
    }

    /// The newest lock under which an activation acts: its own, or that of one that forked it.
    fn hold_of(&self, id: u32) -> Option<Hold> {
        let mut at = id;
        while at != NIL {
            if let Some(hold) = self.holds.get(&at).and_then(|holds| holds.last()) {
                return Some(*hold);
            }
            at = if at & EXTRA == 0 { NIL } else { self.parent_of(at) };
        }
        None
    }

    /// The lock under which shared state is read or updated, with its token, if stores fence it. Says of updates that they are under it.
    pub(super) fn fence_of(&self, id: u32, request: &Request, identity: u64, cx: &mut Cx<'_, '_>) -> Option<Fence> {
        if self.holds.is_empty() || !matches!(request, Request::Update { .. } | Request::Read { .. }) {
            return None;
        }
        let hold = self.hold_of(id)?;
        let LockStep { server, fencing, .. } = self.spec.program.locks[hold.step as usize];
        if matches!(request, Request::Update { .. }) {
            let subject = self.base + self.member_of(id);
            cx.record_with(
                What::Lock,
                subject,
                [identity, hold.token, event::USED],
                &[u64::from(server)],
            );
        }
        fencing.then_some(Fence {
            lock: server,
            token: hold.token,
        })
    }
}
