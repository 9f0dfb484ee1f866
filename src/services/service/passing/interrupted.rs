//! What becomes of what a gateway has passed on when its client cancels it, or the gateway stands still or crashes.

use super::super::{PASSED_ON, Service, passed};
use super::{LegState, Waiting};
use crate::world::population::Cx;
use crate::world::record::What;

impl Service {
    /// A client doesn't wait any more for what was passed on for it: nor does the gateway, and tells those whom it has asked. True if
    /// there was such a passage. What was gathered with others goes on for these.
    pub(in crate::services::service) fn cancel_passage(
        &mut self,
        identity: u64,
        number: u32,
        cx: &mut Cx<'_, '_>,
    ) -> bool {
        let is_meant = |one: &Waiting| {
            let attempt = cx.shared.attempts.get(one.job.attempt);
            !self.is_awaited(one.job.attempt)
                && one.job.identity == identity
                && attempt.is_some_and(|attempt| attempt.number == number)
        };
        let found = self
            .passages
            .all
            .handles()
            .find(|handle| match self.passages.all.get(*handle) {
                Some(passage) => matches!(&passage.waiting[..], [one] if is_meant(one)),
                None => false,
            });
        let Some(handle) = found else { return false };
        let legs = self
            .passages
            .all
            .get(handle)
            .map_or(0, |passage| passage.legs.len() as u32);
        for leg in 0..legs {
            self.stop_leg(handle, leg, cx);
        }
        if let Some(passage) = self.passages.all.remove(handle) {
            for one in passage.waiting {
                self.leave_limits(one.job.attempt, false, cx);
                self.forget_leader(one.job.attempt);
                cx.drop_attempt(one.job.attempt);
                self.release(cx);
            }
        }
        if self.limits.is_some() {
            self.open_door(cx);
        }
        true
    }

    /// The gateway goes on after it stood still or was down: it takes in what came, passes on anew what it kept, and looks at what has
    /// become due.
    #[cold]
    pub(in crate::services::service) fn go_on(&mut self, cx: &mut Cx<'_, '_>) {
        let Some(passing) = self.spec.passes.clone() else {
            return;
        };
        if self.down || self.pace() == 0.0 {
            return;
        }
        for (handle, came) in std::mem::take(&mut self.passages.put_off) {
            self.take_answer(handle, came, cx);
        }
        let since = self.moment(cx.now());
        for mut waiting in std::mem::take(&mut self.passages.again) {
            waiting.since = since;
            self.gather_or_pass(&passing, waiting, cx);
        }
        self.ring(cx);
    }

    /// The gateway crashes: nobody waits for what it has asked others for.
    pub(in crate::services::service) fn lose_passages(&mut self, keep_state: bool, cx: &mut Cx<'_, '_>) {
        let crashed = self.moment(cx.now());
        for (handle, _) in std::mem::take(&mut self.passages.put_off) {
            self.leave_unused(handle, cx);
        }
        let mut lost = std::mem::take(&mut self.passages.again);
        for passage in self.passages.all.take() {
            for leg in passage.legs {
                for flight in &leg.flights {
                    if let Some(call) = cx.shared.calls.get(leg.call) {
                        let words = [call.identity, call.server_of(flight.number).into(), passed::LEFT];
                        cx.record(What::PassedBack, self.endpoint.id, words);
                    }
                }
                if leg.state != LegState::Over {
                    cx.close_call(leg.call);
                }
            }
            lost.extend(passage.waiting);
        }
        lost.append(&mut self.passages.gathering);
        self.passages.due.clear();
        self.passages.router.forget();
        self.forget_guard();
        if keep_state {
            for one in &mut lost {
                let stood = crashed.stood - one.since.stood;
                one.undone += (crashed.at - one.since.at) - stood.min(crashed.at - one.since.at);
                one.since = crashed;
            }
            self.passages.again = lost;
            return;
        }
        self.passages.held = 0;
        for one in lost {
            cx.record(What::RequestDropped, self.endpoint.id, [one.job.identity, PASSED_ON, 0]);
            self.leave_limits(one.job.attempt, false, cx);
            cx.drop_attempt(one.job.attempt);
        }
    }
}
