//! The agents' side of sessions with stores: what each remembers from one operation to the next, and whom it therefore asks.
//!
//! Guarantees: an agent that loses its state loses its sessions, and so does one that ends.

use super::calling::{Answer, OPERATION};
use super::group::AgentGroup;
use super::step::ReplicaChoice;
use crate::state::{Memory, Session, Token};
use crate::world::call::{Call, Request, attempt_address};
use crate::world::population::purpose;
use serde::Serialize;

/// What an agent remembers of one store.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Remembered {
    session: Session,
    /// The replica that it stays with, where sessions do.
    replica: Option<u32>,
}

impl AgentGroup {
    fn memory(&self, store: u16) -> Memory {
        self.spec.memories.get(usize::from(store)).copied().unwrap_or_default()
    }

    /// What a request of an agent brings of its session.
    pub(super) fn token(&self, member: u32, spec: u32, request: &Request) -> Option<Box<Token>> {
        if spec & OPERATION == 0 {
            return None;
        }
        let store = self.spec.program.operations[(spec & !OPERATION) as usize].store;
        let memory = self.memory(store);
        if !memory.has_token() {
            return None;
        }
        let remembered = self.sessions.get(&(member, store))?;
        remembered
            .session
            .token(memory, matches!(request, Request::Update { .. }))
    }

    /// An operation on a store was answered.
    pub(super) fn note_session(&mut self, member: u32, store: u16, sent: Option<&Token>, answer: &Answer) {
        let memory = self.memory(store);
        if let Some(got) = answer.token().filter(|_| memory.has_token()) {
            let remembered = self.sessions.entry((member, store)).or_default();
            remembered.session.note(memory, sent, got);
        }
    }

    /// Whom an operation asks that would ask `server`: whom its session stays with, if it does.
    pub(super) fn stays_with(&mut self, member: u32, store: u16, choice: ReplicaChoice, server: u32) -> u32 {
        if self.memory(store) != Memory::Replica || matches!(choice, ReplicaChoice::Fixed(_)) {
            return server;
        }
        let remembered = self.sessions.entry((member, store)).or_default();
        *remembered.replica.get_or_insert(server)
    }

    /// An attempt has failed: a session that stays with its replica moves to another one, unless an idempotency key binds the call.
    pub(super) fn move_session(&mut self, member: u32, call: &Call) {
        if call.spec & OPERATION == 0 {
            return;
        }
        let step = &self.spec.program.operations[(call.spec & !OPERATION) as usize];
        let (store, (base, count)) = (step.store, self.spec.stores[step.store as usize]);
        if self.memory(store) != Memory::Replica || matches!(step.replica, ReplicaChoice::Fixed(_)) || count < 2 {
            return;
        }
        let mut stream = call
            .key
            .stream(purpose::ROUTING, attempt_address(call.address, call.tries));
        let further = 1 + stream.below(u64::from(count) - 1) as u32;
        let next = base + (call.server - base + further) % count;
        self.sessions.entry((member, store)).or_default().replica = Some(next);
    }

    /// The replica that the next attempt of a call asks because its session has moved there.
    pub(super) fn moved_to(&self, member: u32, call: &Call) -> Option<u32> {
        let step = &self.spec.program.operations[(call.spec & !OPERATION) as usize];
        if self.memory(step.store) != Memory::Replica || matches!(step.replica, ReplicaChoice::Fixed(_)) {
            return None;
        }
        self.sessions.get(&(member, step.store))?.replica
    }
}
