//! Compare-and-swap from the client's side: a read, a think, and a write that is refused if the key has moved on since.
//!
//! Guarantees: a refused write ends its round. The whole round, with the backoff behind it, counts as retrying in the account
//! of the task. The attempts and the backoff of the write's policy hold for rounds as they do for the attempts of one call; the
//! number of a round is raised before its backoff.

use super::activation::{NIL, State};
use super::group::AgentGroup;
use crate::kernel::SimDuration;
use crate::world::call::{Part, Parts, Request};
use crate::world::population::{Cx, purpose};
use crate::world::record::What;
use serde::{Deserialize, Serialize};

/// Steps from the conditional write back to its read.
const BACK: u32 = 2;

/// A compare-and-swap under way.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SwapState {
    /// The version that the read returned.
    version: u64,
    /// Rounds that were refused.
    refused: u32,
    /// The last backoff, for decorrelated jitter.
    backoff: SimDuration,
    /// The account of the task when the round began.
    parts: Parts,
    /// The activation's generation when the next round was decided on: the read belongs to this swap if it is still the same.
    again: Option<u32>,
}

impl AgentGroup {
    /// The read of a compare-and-swap begins: of a new one, or of its next round.
    pub(super) fn begin_swap(&mut self, id: u32, _cx: &Cx<'_, '_>) {
        let (generation, frame) = (self.activation(id).generation, self.activation(id).frame);
        let parts = if frame == NIL { Parts::default() } else { self.frames[frame as usize].parts };
        let swap = self.swaps.entry(id).or_default();
        if swap.again != Some(generation) {
            *swap = SwapState::default();
        }
        (swap.again, swap.parts) = (None, parts);
    }

    /// Keeps the version that the read of a compare-and-swap returned; forgets a swap whose write was applied.
    pub(super) fn note_version(&mut self, id: u32, request: &Request, version: u64) {
        match request {
            Request::Read { .. } => {
                if let Some(swap) = self.swaps.get_mut(&id) {
                    swap.version = version;
                }
            }
            Request::Update { expects: Some(_), .. } => drop(self.swaps.remove(&id)),
            _ => {}
        }
    }

    /// The version that a conditional write expects.
    pub(super) fn expected(&self, id: u32) -> u64 {
        self.swaps.get(&id).map_or(0, |swap| swap.version)
    }

    /// A conditional write came too late: another round after a wait, or the step has failed.
    pub(super) fn swap_refused(&mut self, id: u32, spec: u32, identity: u64, request: &Request, cx: &mut Cx<'_, '_>) {
        let address = self.address(id);
        let (member, frame, generation) = {
            let activation = self.activation(id);
            (activation.member, activation.frame, activation.generation)
        };
        let policy = self.policy_of(spec);
        let (attempts, law) = (policy.attempts, policy.backoff);
        let swap = self.swaps.entry(id).or_default();
        swap.refused = swap.refused.saturating_add(1);
        let refused = swap.refused;
        let key = self.agents[member as usize].endpoint.key;
        let mut stream = key.stream(purpose::BACKOFF, address);
        let wait = law.wait(refused, swap.backoff, &mut stream);
        (swap.backoff, swap.again) = (wait, Some(generation));
        let before = swap.parts;
        if frame != NIL {
            let parts = &mut self.frames[frame as usize].parts;
            let round = parts.total() - before.total();
            *parts = before;
            parts.add(Part::Retrying, round);
        }
        if attempts.is_some_and(|most| refused >= most) {
            self.swaps.remove(&id);
            let words = self.operation_words(spec, identity, request);
            cx.record(What::OperationFailed, self.base + member, words);
            return self.step_failed(id, cx);
        }
        if wait == SimDuration::ZERO {
            return self.swap_again(id, cx);
        }
        self.activation(id).state = State::SwapBackingOff;
        self.wake_at(id, cx.now().saturating_add(wait), cx);
    }

    /// The next round begins.
    pub(super) fn swap_again(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        self.settle(id, Part::Retrying, cx);
        let activation = self.activation(id);
        activation.pc -= BACK;
        activation.steps += 1;
        self.run(id, cx);
    }
}
