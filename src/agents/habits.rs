//! What agents do again though it is done, and how slowly some think.
//!
//! What is done again draws under addresses of its own, and what comes after it under those that it would have had: that an agent repeats itself changes
//! no other draw.

use super::group::AgentGroup;
use super::program::Instruction;
use crate::agents::errs::again;
use crate::kernel::SimDuration;
use crate::state::hash::chain;
use crate::world::population::{Cx, purpose};
use crate::world::record::What;

/// What tells the path of a step that is done again for the `count`th time from its own. The lowest 16 bits are the run, which stays.
fn detour(count: u32) -> u64 {
    u64::from(count).wrapping_mul(0x9e37_79b9_7f4a_7c15) & !0xffff
}

impl AgentGroup {
    /// A step is done: whether the agent does it again.
    #[cold]
    pub(super) fn does_again(&mut self, id: u32, register: u16, start: u32, cx: &mut Cx<'_, '_>) -> bool {
        let (over, count) = (*self.register(id, register), *self.register(id, register + 1));
        if over > 0 {
            let activation = self.activation(id);
            activation.path ^= detour(count);
            activation.steps = over - 1;
            self.record_again(id, false, again::STEP_OVER, cx);
        }
        let (Some(errs), member) = (&self.spec.errs, self.member_of(id)) else {
            return false;
        };
        let address = chain(self.address(id), u64::from(count));
        let key = self.agents[member as usize].endpoint.key;
        if !key.stream(purpose::REPEAT, address).chance(errs.repeats) {
            return false;
        }
        let activation = self.activation(id);
        let over = activation.steps + 1;
        activation.path ^= detour(count + 1);
        *self.register(id, register) = over;
        *self.register(id, register + 1) = count + 1;
        let is_call = matches!(
            self.spec.program.code[start as usize],
            Instruction::Call(_) | Instruction::PaidCall(_)
        );
        self.record_again(id, is_call, again::STEP, cx);
        true
    }

    /// A handler is through: whether the agent fails to notice.
    #[cold]
    pub(super) fn goes_round(&mut self, id: u32, cx: &mut Cx<'_, '_>) -> bool {
        let Some(errs) = &self.spec.errs else { return false };
        let (mut draws, _) = self.draws(id, purpose::ROUND);
        let again = draws.chance(errs.unaware);
        if again {
            self.record_again(id, false, again::ROUND, cx);
        }
        again
    }

    fn record_again(&self, id: u32, is_call: bool, what: u64, cx: &mut Cx<'_, '_>) {
        let words = [self.name_of(id), u64::from(is_call), what];
        cx.record(What::Redone, self.base + self.member_of(id), words);
    }

    /// How long an agent thinks.
    #[inline]
    pub(super) fn draw_thinking(&self, id: u32, law: u32) -> SimDuration {
        let duration = self.draw_duration(id, law);
        match &self.spec.errs {
            Some(errs) if errs.slow.is_some() => {
                let key = self.agents[self.member_of(id) as usize].endpoint.key;
                SimDuration::from_nanos_f64(duration.as_nanos() as f64 * errs.slowed(key))
            }
            _ => duration,
        }
    }
}
