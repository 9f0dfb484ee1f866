//! Attempts that are held at their client: until its rate has a token for them, then until fewer than so many are under way.
//!
//! Guarantees: throttle and breaker are asked before, so that what would be rejected isn't held. Whoever waits for a place gets it in the
//! order of coming; whoever is given up meanwhile gives back what it has got. A call that would be held beyond its deadline fails at
//! once where that is known before, and else when it is over. The time is queueing in the account of a task, if the attempt is answered.

use super::{AgentGroup, Care, End};
use crate::agents::activation::State;
use crate::agents::policy::breaker::Came;
use crate::kernel::{SimDuration, SimTime};
use crate::world::population::Cx;
use crate::world::pursuit::{Flight, Hold, Rejection, Sent, Stage};
use crate::world::record::What;
use crate::world::slab::Handle;
use std::sync::Arc;

impl AgentGroup {
    /// An attempt has passed throttle and breaker: it leaves, once there is a token and a place for it.
    pub(super) fn leave(&mut self, id: u32, to: Sent, generation: u32, first: bool, cx: &mut Cx<'_, '_>) {
        let spec = Arc::clone(&self.spec);
        let (now, handle, member) = (cx.now(), self.activation(id).handle, self.member_of(id));
        let Some(call) = cx.shared.calls.get(handle) else {
            return;
        };
        let care = self.care(&spec, member, call.spec);
        let Some(pursuit) = call.pursuit() else { return };
        let (home, deadline) = (pursuit.home, pursuit.deadline);
        let Some(rate) = care.resilience.and_then(|patterns| patterns.rate.as_ref()) else {
            return self.take_place(
                id,
                Hold {
                    to,
                    generation,
                    stage: Stage::Place,
                },
                cx,
            );
        };
        let bucket = &mut self.known.entry(care.at(home)).or_default().bucket;
        let wait = bucket.wait(rate, now);
        if now.saturating_add(wait) >= deadline {
            self.report(care, to.server, generation, Came::Nothing, cx);
            return match first {
                true => self.fails_next(id, Rejection::Deadline, cx),
                false => self.too_late(id, cx),
            };
        }
        bucket.reserve(rate, now);
        if wait == SimDuration::ZERO {
            return self.take_place(
                id,
                Hold {
                    to,
                    generation,
                    stage: Stage::Place,
                },
                cx,
            );
        }
        self.hold(
            handle,
            Hold {
                to,
                generation,
                stage: Stage::Token,
            },
            cx,
        );
        self.activation(id).state = State::BackingOff;
        self.wake_at(id, now.saturating_add(wait), cx);
    }

    /// An attempt leaves, if fewer are under way than may be; otherwise it waits for its turn.
    fn take_place(&mut self, id: u32, hold: Hold, cx: &mut Cx<'_, '_>) {
        let spec = Arc::clone(&self.spec);
        let (handle, member) = (self.activation(id).handle, self.member_of(id));
        let Some(call) = cx.shared.calls.get(handle) else {
            return;
        };
        let care = self.care(&spec, member, call.spec);
        let Some(home) = call.pursuit().map(|pursuit| pursuit.home) else {
            return;
        };
        if let Some(most) = care.resilience.and_then(|patterns| patterns.in_flight) {
            let generation = self.activation(id).generation;
            let known = self.known.entry(care.at(home)).or_default();
            if known.under_way >= most {
                known.waiting.push_back((id, generation));
                self.hold(handle, hold, cx);
                self.activation(id).state = State::BackingOff;
                return self.arm_pursuit(id, cx);
            }
            known.under_way += 1;
        }
        self.activation(id).state = State::Calling;
        self.fly(id, hold.to, hold.generation, false, cx);
    }

    /// Keeps an attempt back.
    fn hold(&mut self, handle: Handle, hold: Hold, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let Some(call) = cx.shared.calls.get_mut(handle) else {
            return;
        };
        let (identity, client) = (call.identity, call.client);
        let Some(pursuit) = call.pursuit_mut() else { return };
        pursuit.hold = Some(hold);
        if pursuit.held == SimTime::NEVER {
            pursuit.held = now;
            let words = [identity, hold.to.server.into(), u64::from(hold.stage == Stage::Place)];
            cx.record(What::AttemptHeld, client, words);
        }
    }

    /// An attempt that is held may go on: its token is there, or its place.
    pub(super) fn go_on_from(&mut self, id: u32, hold: Hold, cx: &mut Cx<'_, '_>) {
        match hold.stage {
            Stage::Token => self.take_place(
                id,
                Hold {
                    stage: Stage::Place,
                    ..hold
                },
                cx,
            ),
            Stage::Place => {
                // Nobody has given it a place: it goes on waiting.
                let handle = self.activation(id).handle;
                self.hold(handle, hold, cx);
            }
            Stage::Placed => {
                self.activation(id).state = State::Calling;
                self.fly(id, hold.to, hold.generation, false, cx);
            }
        }
    }

    /// A call is given up while its attempt is held: what the attempt has got is given back.
    pub(in crate::agents) fn release_hold(&mut self, member: u32, handle: Handle, cx: &mut Cx<'_, '_>) {
        let spec = Arc::clone(&self.spec);
        let Some(call) = cx.shared.calls.get_mut(handle) else {
            return;
        };
        let step = call.spec;
        let Some(pursuit) = call.pursuit_mut() else { return };
        let Some(hold) = pursuit.hold.take() else { return };
        let home = pursuit.home;
        let care = self.care(&spec, member, step);
        self.report(care, hold.to.server, hold.generation, Came::Nothing, cx);
        if hold.stage == Stage::Placed {
            self.free_place(care, home, cx);
        }
    }

    /// An attempt isn't under way any more: the next one that waits may leave, in the next causal step.
    pub(super) fn free_place(&mut self, care: Care<'_>, home: u32, cx: &mut Cx<'_, '_>) {
        let Some(most) = care.resilience.and_then(|patterns| patterns.in_flight) else {
            return;
        };
        let Some(known) = self.known.get_mut(&care.at(home)) else {
            return;
        };
        known.under_way = known.under_way.saturating_sub(1);
        while let Some(known) = self.known.get_mut(&care.at(home))
            && known.under_way < most
            && let Some((id, generation)) = known.waiting.pop_front()
        {
            let waits = self
                .peek(id)
                .is_some_and(|waiter| waiter.generation == generation && waiter.state == State::BackingOff);
            if !waits {
                continue;
            }
            let handle = self.activation(id).handle;
            let Some(pursuit) = cx.shared.calls.get_mut(handle).and_then(|call| call.pursuit_mut()) else {
                continue;
            };
            let Some(hold) = pursuit.hold.as_mut().filter(|hold| hold.stage == Stage::Place) else {
                continue;
            };
            hold.stage = Stage::Placed;
            if let Some(known) = self.known.get_mut(&care.at(home)) {
                known.under_way += 1;
            }
            self.wake_at(id, cx.now(), cx);
        }
    }

    /// Whether a hedge may leave at once: it takes a token and a place, and isn't held.
    pub(super) fn leaves_at_once(&mut self, care: Care<'_>, home: u32, now: SimTime) -> bool {
        let Some(resilience) = care.resilience else { return true };
        if resilience.rate.is_none() && resilience.in_flight.is_none() {
            return true;
        }
        let known = self.known.entry(care.at(home)).or_default();
        if resilience.in_flight.is_some_and(|most| known.under_way >= most) {
            return false;
        }
        if let Some(rate) = &resilience.rate
            && known.bucket.take(rate, now).is_err()
        {
            return false;
        }
        known.under_way += u32::from(resilience.in_flight.is_some());
        true
    }

    /// How long the attempt had been held that an answer is to.
    pub(in crate::agents) fn held_before(&mut self, id: u32, number: u32, cx: &Cx<'_, '_>) -> SimDuration {
        let handle = self.activation(id).handle;
        let pursuit = cx.shared.calls.get(handle).and_then(|call| call.pursuit());
        let flight = pursuit.and_then(|pursuit| pursuit.flights.iter().find(|flight| flight.number == number));
        flight.map_or(SimDuration::ZERO, |flight: &Flight| flight.held)
    }
}

impl End {
    /// What it says to a circuit breaker.
    pub(super) fn came(self) -> Came {
        match self {
            Self::Answered => Came::Success,
            Self::Refused | Self::TimedOut => Came::Failure,
            Self::Fenced | Self::Lost | Self::Dropped => Came::Nothing,
        }
    }
}
