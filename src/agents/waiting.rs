//! Whom agents wait for when a run ends.

use super::activation::State;
use super::group::AgentGroup;
use crate::kernel::SimTime;
use crate::world::population::Cx;
use crate::world::record::What;
use crate::world::waiting::{ANSWER, CALL, ENDS, GOES_ON, HANDLER, KIND, MESSAGE};

impl AgentGroup {
    /// Says whom activations wait for, where an agent is held up. A branch or a handler counts by itself, and whoever waits for its own
    /// branches not at all: they say what holds it up.
    pub(super) fn say_who_waits(&mut self, cx: &mut Cx<'_, '_>) {
        if !cx.wants(What::Waits) {
            return;
        }
        for member in 0..self.agents.len() as u32 {
            let agent = &self.agents[member as usize];
            if !agent.alive {
                continue;
            }
            let entity = agent.endpoint.id;
            let mut all = std::iter::once(member)
                .chain(self.extras_of(member))
                .collect::<Vec<u32>>();
            all.retain(|id| {
                let state = self.peek(*id).map_or(State::Idle, |activation| activation.state);
                !matches!(state, State::Idle | State::Forked | State::Speculating)
            });
            let is_handler = |id: &&u32| self.peek(**id).is_some_and(|activation| activation.is_handler);
            let handlers = all.iter().filter(is_handler).count();
            let is_full = handlers >= usize::from(self.spec.handlers_at_once);
            let waits: Vec<[u64; 3]> = all.iter().map(|id| self.whom_it_waits_for(*id, is_full, cx)).collect();
            // Whoever isn't held up need not be spoken of.
            if waits.iter().any(|[how, ..]| how & (ENDS | KIND) < GOES_ON) {
                waits
                    .into_iter()
                    .for_each(|words| cx.record(What::Waits, entity, words));
            }
        }
    }

    /// Whom an activation waits for, in the words of a record.
    fn whom_it_waits_for(&self, id: u32, is_full: bool, cx: &Cx<'_, '_>) -> [u64; 3] {
        let on_its_own = [GOES_ON, u64::MAX, 0];
        let Some(activation) = self.peek(id) else {
            return on_its_own;
        };
        let agent = &self.agents[self.member_of(id) as usize];
        // Who is down or stands still goes on once it is back, if it ever is: that is its fault's doing.
        let stands = agent.down || agent.paused;
        let has_limit = self.timer(id).is_some_and(|timer| timer.deadline != SimTime::NEVER);
        let (mut what, whom, word, ends) = match activation.state {
            State::Waiting => (MESSAGE, u64::MAX, 0, false),
            State::Asking => match cx.shared.asks.get(activation.handle) {
                Some(ask) => (ANSWER, u64::from(ask.of), ask.sent.as_nanos(), ask.answer.is_some()),
                None => return on_its_own,
            },
            State::Calling => match cx.shared.calls.get(activation.handle) {
                // Attempts of a call that is pursued have limits of their own.
                Some(call) => {
                    let ends = call.pursuit().is_some() || self.policy_of(call.spec).timeout.is_some();
                    (CALL, u64::from(call.server), call.identity, ends)
                }
                None => return on_its_own,
            },
            _ => (GOES_ON, u64::MAX, 0, false),
        };
        what |= u64::from(stands || has_limit || ends) * ENDS;
        what |= u64::from(activation.is_handler && is_full) * HANDLER;
        [what, whom, word]
    }
}
