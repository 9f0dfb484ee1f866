//! Fencing: operations that were sent under a lock whose lease may be over are refused.
//!
//! Guarantees: once a replica has served an operation under a lock, it serves none with an older token of that lock. A read counts as well: who
//! reads in order to write must not find that an earlier holder has written between. That protects a key where one replica serves all
//! of its operations: the only one, or the primary, whose log carries the tokens of updates to whoever takes over. It doesn't carry those of reads.

use super::store::Store;
use crate::services::lock::event;
use crate::state::Resolution;
use crate::world::call::Outcome;
use crate::world::population::Cx;
use crate::world::record::What;
use crate::world::slab::Handle;

impl<R: Resolution> Store<R> {
    /// Whether an operation comes under a lock that somebody else has got since, as far as this replica knows. If not, it has now seen the token.
    pub(super) fn is_fenced(&mut self, member: u32, handle: Handle, cx: &mut Cx<'_, '_>) -> bool {
        let Some((_, call)) = cx.shared.journey(handle) else {
            return false;
        };
        let (Some(fence), identity) = (call.fence(), call.identity) else {
            return false;
        };
        let replica = &mut self.replicas[member as usize];
        let newest = replica.fences.entry(fence.lock).or_default();
        if fence.token < *newest {
            let id = replica.endpoint.id;
            let words = [identity, fence.token, event::FENCED];
            cx.record_with(What::Lock, id, words, &[u64::from(fence.lock)]);
            if let Some(attempt) = cx.shared.attempts.get_mut(handle) {
                attempt.outcome = Outcome::Fenced;
            }
            return true;
        }
        *newest = fence.token;
        false
    }
}
