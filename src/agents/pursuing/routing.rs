//! Which of several services an attempt goes to: the client decides, by what it knows itself.

use super::{AgentGroup, Care};
use crate::agents::step::Aim;
use crate::kernel::{Key, SimTime};
use crate::services::Routing;
use crate::services::routing::affinity;
use crate::world::population::purpose;
use crate::world::pursuit::Pursuit;

impl Pursuit {
    /// The servers of all attempts, the last one's last.
    pub(super) fn servers(&self) -> Vec<u32> {
        self.sent.iter().map(|sent| sent.server).collect()
    }
}

impl AgentGroup {
    /// The server of a call's first attempt.
    pub(in crate::agents) fn first_server(&mut self, id: u32, index: u32, now: SimTime) -> u32 {
        let spec = std::sync::Arc::clone(&self.spec);
        let step = &spec.program.calls[index as usize];
        let Some(aim) = step.aim.as_deref() else {
            return step.server;
        };
        let member = self.member_of(id);
        let care = self.care(&spec, member, index);
        let key = self.agents[member as usize].endpoint.key;
        let about = crate::world::call::attempt_address(self.address(id), 1);
        self.route(care, (step.server, aim), &[], (key, about), now)
    }

    /// The server of an attempt: one that none of the call's attempts went to, if there is one left, and whose breaker isn't open; of
    /// all others, at least not the one that was tried last.
    pub(super) fn route(
        &mut self,
        care: Care<'_>,
        (home, aim): (u32, &Aim),
        tried: &[u32],
        (key, about): (Key, u64),
        now: SimTime,
    ) -> u32 {
        let fresh = |server: &u32| !tried.contains(server);
        let other = |server: &u32| tried.last() != Some(server);
        let mut candidates: Vec<u32> = aim.servers.iter().copied().filter(fresh).collect();
        if candidates.is_empty() {
            candidates.extend(aim.servers.iter().copied().filter(other));
        }
        if candidates.is_empty() {
            candidates.extend(aim.servers.iter());
        }
        if let Some(spec) = care.resilience.and_then(|patterns| patterns.breaker.as_ref()) {
            let closed = |server: &u32| {
                let known = self.known.get(&care.at(*server));
                let breaker = known.and_then(|known| known.breaker.as_ref());
                breaker.is_none_or(|breaker| breaker.would_admit(spec, now))
            };
            if candidates.iter().any(closed) {
                candidates.retain(closed);
            }
        }
        let count = candidates.len();
        let mut stream = key.stream(purpose::ROUTING, about);
        match aim.routing {
            // Once all have been tried, the one whose turn is the longest ago.
            Routing::First => {
                let turn = |server: &&u32| tried.iter().rposition(|one| one == *server);
                *candidates.iter().min_by_key(turn).expect("a call names a service")
            }
            Routing::Sticky => {
                let drawn = candidates.iter().max_by_key(|server| affinity(key.bits(), **server));
                *drawn.expect("a call names a service")
            }
            Routing::Random => candidates[stream.below(count as u64) as usize],
            Routing::RoundRobin => {
                let known = self.known.entry(care.at(home)).or_default();
                let from = known.routed as usize % aim.servers.len();
                known.routed = known.routed.wrapping_add(1);
                let in_turn = aim.servers[from..].iter().chain(&aim.servers[..from]);
                let next = in_turn.copied().find(|server| candidates.contains(server));
                next.unwrap_or(candidates[0])
            }
            Routing::LeastInFlight => self.least_in_flight(care, &mut candidates, count, &mut stream),
            Routing::PowerOf(choices) => {
                self.least_in_flight(care, &mut candidates, (choices as usize).clamp(1, count), &mut stream)
            }
        }
    }

    /// Of so many of the candidates, taken at random without replacement, the first one with the fewest attempts under way.
    fn least_in_flight(
        &self,
        care: Care<'_>,
        candidates: &mut [u32],
        choices: usize,
        stream: &mut crate::kernel::Stream,
    ) -> u32 {
        let under_way = |server: u32| self.known.get(&care.at(server)).map_or(0, |known| known.in_flight);
        let mut best: Option<(u32, u32)> = None;
        for at in 0..choices {
            let drawn = at + stream.below((candidates.len() - at) as u64) as usize;
            candidates.swap(at, drawn);
            let here = (under_way(candidates[at]), candidates[at]);
            if best.is_none_or(|(fewest, _)| here.0 < fewest) {
                best = Some(here);
            }
        }
        best.map_or(candidates[0], |(_, server)| server)
    }
}
