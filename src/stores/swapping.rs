//! Conditional updates (compare-and-swap): which version a key has, and what becomes of an update that expects another.
//!
//! Guarantees: a refused update leaves the key as it was, and isn't remembered as a call that has taken effect.

use super::replica::Known;
use super::store::Store;
use crate::state::Resolution;
use crate::world::call::Outcome;
use crate::world::population::Cx;
use crate::world::slab::Handle;

impl<R: Resolution> Store<R> {
    /// The version of a key as conditional updates compare it: the replica's life, and the updates that it has accepted in it.
    /// It names a state only where there is one replica, which the plan has checked, or where all replicas number the updates of a
    /// key alike; where one is the primary, the place in its log does.
    pub(super) fn version(&self, member: u32, key: u32) -> u64 {
        let replica = &self.replicas[member as usize];
        if self.spec.primary().is_some() {
            return self.version_of(&replica.slots[key as usize].entry);
        }
        let life = if self.spec.raft().is_some() {
            0
        } else {
            replica.origin.life()
        };
        u64::from(life) << 32 | u64::from(replica.slots[key as usize].number)
    }

    /// Answers an update that isn't applied, and its repetitions: a conditional one whose key has moved on, or one that the
    /// model refuses.
    pub(super) fn refuse_update(
        &mut self,
        member: u32,
        identity: u64,
        outcome: Outcome,
        handle: Handle,
        cx: &mut Cx<'_, '_>,
    ) {
        let mut attempts = vec![handle];
        if let Some(Known::InWork(waiting)) = self.replicas[member as usize].known.remove(&identity) {
            attempts.extend(waiting);
        }
        for handle in attempts {
            if let Some(attempt) = cx.shared.attempts.get_mut(handle) {
                attempt.outcome = outcome;
            }
            self.answer(member, handle, 0, cx);
        }
    }
}
