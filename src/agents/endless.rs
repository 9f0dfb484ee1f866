//! What would never end, and is stopped with its place: calls that are tried again and again in vain, and programs that go on and on in
//! one instant.

use super::group::AgentGroup;
use crate::world::population::Cx;

/// How many attempts a call makes whose policy sets no number. One that is to make more says how many.
pub const MOST_ATTEMPTS: u32 = 100_000;

/// In which causal step of an instant a call may still be tried again at once. Each attempt and each refusal is a step.
pub const LAST_RETRY: u16 = 10_000;

/// In which causal step of an instant a program may still go on. The last of all instants' steps is 65,535.
pub const LAST_STEP: u16 = 65_000;

/// Why a call that is tried again in vain is stopped, if it is: `attempts` were made, and `at_once` says whether the next one leaves at
/// once, in which causal step of the instant.
pub fn verdict(attempts: u32, is_unlimited: bool, at_once: Option<u16>) -> Option<String> {
    if at_once.is_some_and(|step| step >= LAST_RETRY) {
        return Some(
            "it is refused and tried again without any delay, so that this instant never ends: give its policy a `backoff`"
                .to_string(),
        );
    }
    (is_unlimited && attempts >= MOST_ATTEMPTS).then(|| {
        format!(
            "{attempts} attempts were in vain, and the policy tries without end: say how many `attempts` it makes, be they more than these"
        )
    })
}

impl AgentGroup {
    /// Stops the run, since a call has been tried in vain for too long.
    #[cold]
    pub(super) fn tried_for_ever(&mut self, id: u32, attempts: u32, at_once: bool, cx: &mut Cx<'_, '_>) {
        let handle = self.activation(id).handle;
        let server = cx.shared.calls.get(handle).map_or(u32::MAX, |call| call.server);
        let why = verdict(attempts, true, at_once.then(|| cx.step())).unwrap_or_default();
        let asked = cx.shared.directory.group_name(server);
        self.halt_here(id, format!("\"{asked}\" never answers this call: {why}"), cx);
    }

    /// Stops the run if a program goes on and on in one instant.
    #[cold]
    pub(super) fn never_waits(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        let message = "the program goes on without end in this instant, since nothing that it waits for takes any time: give its loop a Think or a \
                       Sleep, or what it calls a time";
        self.halt_here(id, message.to_string(), cx);
    }

    /// Stops the run, at the step of an activation.
    pub(super) fn halt_here(&mut self, id: u32, message: String, cx: &mut Cx<'_, '_>) {
        let pc = self.activation(id).pc as usize;
        let place = self.spec.program.places[pc].clone();
        let entity = self.base + self.member_of(id);
        cx.halt(entity, message, place);
    }
}
