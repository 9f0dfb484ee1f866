//! Hedges: a second attempt joins one that is slow, and the first answer counts (J. Dean and L. A. Barroso, "The Tail at Scale",
//! CACM 56(2), 2013: hedged requests and tied requests).

use super::{AgentGroup, Care};
use crate::agents::calling::is_plain;
use crate::agents::policy::breaker::Came;
use crate::agents::policy::resilience::HedgeAfter;
use crate::kernel::SimTime;
use crate::world::call::attempt_address;
use crate::world::population::Cx;
use crate::world::pursuit::{Rejection, Sent};
use crate::world::record::What;
use std::sync::Arc;

impl AgentGroup {
    /// An attempt has left: when the next hedge is due, if one is.
    pub(super) fn plan_hedge(&mut self, id: u32, care: Care<'_>, cx: &mut Cx<'_, '_>) {
        let (now, handle) = (cx.now(), self.activation(id).handle);
        let Some(pursuit) = cx.shared.calls.get_mut(handle).and_then(|call| call.pursuit_mut()) else {
            return;
        };
        pursuit.hedge_at = SimTime::NEVER;
        let Some(hedge) = care.resilience.and_then(|patterns| patterns.hedge.as_ref()) else {
            return;
        };
        if pursuit.hedges >= hedge.most {
            return;
        }
        let after = match hedge.after {
            HedgeAfter::Fixed(after) => Some(after),
            HedgeAfter::Quantile { share, least } => {
                let known = self.known.get(&care.at(pursuit.home));
                known.and_then(|known| known.latencies.quantile(share, least))
            }
        };
        pursuit.hedge_at = after.map_or(SimTime::NEVER, |after| now.saturating_add(after));
    }

    /// Of a tied request: chooses the server of its twin, and remembers it for when that is sent.
    pub(super) fn tie(
        &mut self,
        id: u32,
        care: Care<'_>,
        (server, number): (u32, u32),
        cx: &mut Cx<'_, '_>,
    ) -> Option<(u32, u32)> {
        care.resilience?.hedge.as_ref().filter(|hedge| hedge.tied)?;
        let spec = Arc::clone(&self.spec);
        let now = cx.now();
        let call = cx.shared.calls.get_mut(self.activation(id).handle)?;
        // Only calls of services may go to another one.
        let step = spec.program.calls.get(call.spec as usize)?;
        let (key, about) = (call.key, attempt_address(call.address, number + 1));
        let pursuit = call.pursuit_mut()?;
        let mut tried = pursuit.servers();
        tried.push(server);
        let aim = step.aim.as_deref()?;
        let twin = self.route(care, (step.server, aim), &tried, (key, about), now);
        let pursuit = cx.shared.calls.get_mut(self.activation(id).handle)?.pursuit_mut()?;
        pursuit.planned = Some(Sent {
            server: twin,
            twin: Some((server, number)),
        });
        Some((twin, number + 1))
    }

    /// A hedge is due: it leaves, if it may. One that may not is left out.
    pub(super) fn hedge(&mut self, id: u32, cx: &mut Cx<'_, '_>) {
        let spec = Arc::clone(&self.spec);
        let (now, handle, member) = (cx.now(), self.activation(id).handle, self.member_of(id));
        let Some(call) = cx.shared.calls.get_mut(handle) else {
            return;
        };
        let (step, identity, client, key) = (call.spec, call.identity, call.client, call.key);
        let (address, home_server) = (call.address, call.server);
        let care = self.care(&spec, member, step);
        let Some(pursuit) = call.pursuit_mut() else { return };
        pursuit.numbered += 1;
        pursuit.hedges += 1;
        pursuit.hedge_at = SimTime::NEVER;
        let (number, home) = (pursuit.numbered, pursuit.home);
        let (planned, tried) = (pursuit.planned.take(), pursuit.servers());
        let aim = is_plain(step)
            .then(|| spec.program.calls[step as usize].aim.as_deref())
            .flatten();
        let about = attempt_address(address, number);
        let to = match (planned, aim) {
            (Some(planned), _) => planned,
            (None, Some(aim)) => Sent {
                server: self.route(care, (home, aim), &tried, (key, about), now),
                twin: None,
            },
            (None, None) => Sent {
                server: home_server,
                twin: None,
            },
        };
        let passes = match self.takes_token(care, home, true) {
            false => Err(Rejection::Budget),
            true => self.passes(care, to.server, (key, about), cx),
        };
        let passes = match passes {
            Ok(generation) if !self.leaves_at_once(care, home, now) => {
                self.report(care, to.server, generation, Came::Nothing, cx);
                Err(Rejection::Full)
            }
            passes => passes,
        };
        match passes {
            Ok(generation) => self.fly(id, to, generation, true, cx),
            Err(why) => {
                let words = [identity, to.server.into(), why as u64];
                cx.record_with(What::AttemptRejected, client, words, &[1]);
                self.plan_hedge(id, care, cx);
            }
        }
    }
}
