//! Compare-and-swap from the client's side: a read, a think, and a write that is refused if the key has moved on since.
//!
//! Guarantees: the attempts and the backoff of the write's policy hold for rounds (read, think, write) as they do for the attempts
//! of one call; the number of a round is raised before its backoff. In the account of a task a refused round counts as what it was,
//! since it was answered, and the backoff behind it as retrying.

use super::activation::{Settled, State};
use super::calling::OPERATION;
use super::group::AgentGroup;
use super::step::Swap;
use crate::kernel::SimDuration;
use crate::world::call::Part;
use crate::world::population::{Cx, purpose};
use crate::world::record::What;
use serde::{Deserialize, Serialize};

/// A compare-and-swap under way.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct SwapState {
    /// The version that the read returned.
    version: u64,
    /// Rounds that were refused.
    refused: u32,
    /// The last backoff, for decorrelated jitter.
    backoff: SimDuration,
    /// Instructions from the conditional update back to its read.
    back: u32,
    /// The activation's generation when its next round began: a read belongs to this swap if it is still the same.
    again: Option<u32>,
}

impl AgentGroup {
    /// The read of a compare-and-swap begins: of a new one, or of the next round.
    pub(super) fn begin_swap(&mut self, id: u32) {
        let generation = self.activation(id).generation;
        let swap = self.swaps.entry(id).or_default();
        if swap.again.take() != Some(generation) {
            *swap = SwapState::default();
        }
    }

    /// A compare-and-swap begins that goes by what its agent has read of the key: true if it has, and this is the first round.
    pub(super) fn swaps_by_seen(&mut self, id: u32, key: (u32, u16, u32)) -> bool {
        self.begin_swap(id);
        let (Some(version), Some(swap)) = (self.seen.get(&key), self.swaps.get_mut(&id)) else {
            return false;
        };
        swap.version = *version;
        swap.refused == 0
    }

    /// Keeps the version that a read returned, where the program goes by it later, until the agent changes the key itself.
    /// `words` name the operation in records.
    pub(super) fn note_seen(&mut self, member: u32, words: [u64; 3], version: u64) {
        if !self.goes_by_seen {
            return;
        }
        let key = (member, (words[1] >> 32) as u16, words[1] as u32);
        match words[2] & 1 {
            0 => self.seen.insert(key, version),
            _ => self.seen.remove(&key),
        };
    }

    /// Keeps the version that the read of a compare-and-swap returned; forgets a swap whose conditional update was applied.
    pub(super) fn note_version(&mut self, id: u32, update: bool, conditional: bool, version: u64) {
        if conditional {
            self.swaps.remove(&id);
        } else if !update && let Some(swap) = self.swaps.get_mut(&id) {
            swap.version = version;
        }
    }

    /// The version that a conditional write expects.
    pub(super) fn expected(&self, id: u32) -> u64 {
        self.swaps.get(&id).map_or(0, |swap| swap.version)
    }

    /// A conditional write came too late: another round after a wait, or the step has failed.
    ///
    /// `words` name the operation in records.
    pub(super) fn swap_refused(&mut self, id: u32, spec: u32, words: [u64; 3], cx: &mut Cx<'_, '_>) {
        let address = self.address(id);
        let member = self.member_of(id);
        let policy = self.policy_of(spec);
        let back = match self.spec.program.operations[(spec & !OPERATION) as usize].swap {
            Some(Swap::Write { back }) => back,
            _ => unreachable!("only a conditional update is refused"),
        };
        let (attempts, law) = (policy.attempts, policy.backoff);
        let mut stream = self.agents[member as usize]
            .endpoint
            .key
            .stream(purpose::BACKOFF, address);
        let swap = self.swaps.entry(id).or_default();
        swap.refused = swap.refused.saturating_add(1);
        let refused = swap.refused;
        swap.back = back;
        swap.backoff = law.wait(refused, swap.backoff, &mut stream);
        let wait = swap.backoff;
        if attempts.is_some_and(|most| refused >= most) {
            self.swaps.remove(&id);
            // It was answered each time: others were faster.
            let [identity, place, update] = words;
            cx.record(What::OperationFailed, self.base + member, [identity, place, update | 2]);
            return self.step_failed(id, cx);
        }
        if wait == SimDuration::ZERO {
            return self.swap_again(id, cx);
        }
        let until = cx.now().saturating_add(wait);
        self.begin_step(id, State::SwapBackingOff, until.as_nanos(), cx);
        self.wake_at(id, until, cx);
        self.start_handlers(member, cx);
    }

    /// The backoff is over.
    pub(super) fn swap_backed_off(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        let until = self.enabled(id, cx);
        self.settle(id, Part::Retrying, cx);
        self.step_ended_at(id, Settled::Done, 0, until, cx);
        self.swap_again(id, cx);
    }

    /// The next round begins.
    fn swap_again(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        let activation = self.activation(id);
        let generation = activation.generation;
        activation.steps += 1;
        let mut back = 0;
        if let Some(swap) = self.swaps.get_mut(&id) {
            (swap.again, back) = (Some(generation), swap.back);
        }
        self.activation(id).pc -= back;
        self.run(id, cx);
    }
}
