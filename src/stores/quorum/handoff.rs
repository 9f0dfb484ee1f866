//! Hints: updates kept for replicas that didn't acknowledge them, until those take them.

use super::super::replication::{Content, Payload};
use super::super::store::{HANDOFF, Store};
use super::coordinate::{Kind, Operation};
use super::legs::{Leg, topic};
use super::{Members, alarms::alarm};
use crate::kernel::SimTime;
use crate::state::Resolution;
use crate::world::population::Cx;
use crate::world::slab::Handle;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// What is added to the addresses of handoffs.
const HANDOFFS: u64 = 0x6869_6e74 << 32;
/// For so many timeouts a replica that didn't answer is suspected.
const SUSPICION: u64 = 10;

/// What a replica keeps for others.
#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
pub(in crate::stores) struct Hints<R: Resolution> {
    /// By the replica that they are for, in their order.
    kept: BTreeMap<u32, VecDeque<Hint<R>>>,
    /// Whose last offer isn't answered yet: they get one hint, to see whether they are there.
    offered: BTreeSet<u32>,
    /// Hints kept so far.
    number: u64,
    /// Turns of handoff so far.
    turns: u64,
    /// Whether the entry of the next turn is on its way.
    armed: bool,
}

impl<R: Resolution> Default for Hints<R> {
    fn default() -> Self {
        Self {
            kept: BTreeMap::new(),
            offered: BTreeSet::new(),
            number: 0,
            turns: 0,
            armed: false,
        }
    }
}

#[derive(Debug, Clone, Serialize)]
#[serde(bound(serialize = ""))]
struct Hint<R: Resolution> {
    number: u64,
    key: u32,
    delta: R::Delta,
    since: SimTime,
}

impl<R: Resolution> Hints<R> {
    /// For whom something is kept.
    pub fn targets(&self) -> impl Iterator<Item = u32> + '_ {
        self.kept.keys().copied()
    }

    /// They are lost.
    pub fn clear(&mut self) {
        self.kept.clear();
        self.offered.clear();
    }
}

impl<R: Resolution> Store<R> {
    /// A replica didn't answer: it is suspected for a while, or until something comes from it.
    pub(super) fn suspect(&mut self, member: u32, peer: u32, now: SimTime) {
        if peer != member {
            let until = now.saturating_add(self.rules().timeout * SUSPICION);
            self.replicas[member as usize].coordinator.suspected.insert(peer, until);
        }
    }

    pub(super) fn suspects(&self, member: u32, peer: u32, now: SimTime) -> bool {
        let until = self.replicas[member as usize].coordinator.suspected.get(&peer);
        until.is_some_and(|until| *until > now)
    }

    /// The replicas of a write's list that have neither acknowledged it nor are covered by a hint that was acknowledged. The coordinator's
    /// own log covers itself.
    pub(super) fn uncovered(&self, operation: &Operation<R>) -> Members {
        let Kind::Write(write) = &operation.kind else {
            return Members::default();
        };
        let covered = write
            .stand_ins
            .iter()
            .filter(|(keeper, _)| operation.heard.has(*keeper))
            .fold(write.hinted.with(operation.coordinator), |all, (_, target)| {
                all.with(*target)
            });
        self.rules()
            .members(operation.key)
            .without(operation.heard)
            .without(covered)
    }

    /// A write has been under way for long enough: whoever hasn't acknowledged it is suspected, and a hint is kept.
    pub(super) fn look_for_handoff(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) {
        let Some(operation) = self.operations.get(handle) else {
            return;
        };
        let Kind::Write(write) = &operation.kind else { return };
        let (member, now) = (operation.coordinator, cx.now());
        let silent = self.rules().members(operation.key).without(operation.heard);
        let stand_ins = write.stand_ins.iter().map(|(keeper, _)| *keeper);
        let keepers: Vec<u32> = stand_ins.filter(|keeper| !operation.heard.has(*keeper)).collect();
        for peer in silent.iter().chain(keepers) {
            self.suspect(member, peer, now);
        }
        if self.rules().sloppy && self.stand_in_for_suspects(handle, cx) {
            if let Some(handoff) = self.rules().hinted_handoff.clone()
                && self.operations.get(handle).is_some()
            {
                self.set_alarm(member, alarm::HANDOFF, handoff.after, handle, cx);
            }
        } else {
            self.keep_hints(handle, cx);
        }
        self.settle_write(handle);
    }

    /// Sends a write to replicas beyond its list, for those of the list that are suspected; whether any was left to send it to. Who has
    /// a stand-in that isn't suspected needs no other.
    pub(super) fn stand_in_for_suspects(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) -> bool {
        let now = cx.now();
        let mut sent = false;
        let Some(operation) = self.operations.get(handle) else {
            return false;
        };
        let (member, key, about) = (operation.coordinator, operation.key, operation.about);
        for target in self.uncovered(operation).iter() {
            let Some(operation) = self.operations.get(handle) else {
                break;
            };
            let Kind::Write(write) = &operation.kind else { break };
            let (number, delta) = (write.number, write.delta.clone());
            let mut used: Members = Members::default();
            let mut waits = false;
            for (keeper, of) in &write.stand_ins {
                used = used.with(*keeper);
                waits |= *of == target && !self.suspects(member, *keeper, now);
            }
            if waits {
                sent = true;
                continue;
            }
            if !self.suspects(member, target, now) {
                continue;
            }
            let rules = self.rules();
            let beyond = rules.placement.order(key)[rules.n as usize..].iter();
            let mut free = beyond
                .map(|keeper| u32::from(*keeper))
                .filter(|keeper| !used.has(*keeper) && !self.suspects(member, *keeper, now));
            let Some(keeper) = free.next() else { continue };
            if let Some(Kind::Write(write)) = self.operations.get_mut(handle).map(|operation| &mut operation.kind) {
                write.stand_ins.push((keeper, target));
            }
            sent = true;
            let content = Content::Hint {
                target,
                key,
                number,
                delta,
            };
            let payload = self.payloads.insert(Payload::new(content));
            let address = self.stand_in_address(about, target);
            self.send_leg(member, (keeper, topic::STAND_IN), handle, payload, address, cx);
            self.release(payload);
        }
        sent
    }

    /// The coordinator keeps hints itself, for all whom nothing covers.
    pub(super) fn keep_hints(&mut self, handle: Handle, cx: &mut Cx<'_, '_>) {
        let Some(operation) = self.operations.get(handle) else {
            return;
        };
        let uncovered = self.uncovered(operation);
        let (member, key) = (operation.coordinator, operation.key);
        let Kind::Write(write) = &operation.kind else { return };
        let delta = write.delta.clone();
        for target in uncovered.iter() {
            self.keep_hint(member, target, key, delta.clone(), cx);
        }
        if let Some(Kind::Write(write)) = self.operations.get_mut(handle).map(|operation| &mut operation.kind) {
            write.hinted = uncovered.iter().fold(write.hinted, Members::with);
        }
    }

    /// A replica gets an update to keep for another one.
    pub(super) fn take_hint(&mut self, member: u32, leg: &Leg, cx: &mut Cx<'_, '_>) {
        if let Some(Content::Hint { target, key, delta, .. }) = self.payloads.get(leg.payload).map(Payload::content) {
            let (target, key, delta) = (*target, *key, delta.clone());
            self.keep_hint(member, target, key, delta, cx);
        }
    }

    fn keep_hint(&mut self, member: u32, target: u32, key: u32, delta: R::Delta, cx: &mut Cx<'_, '_>) {
        let hints = &mut self.replicas[member as usize].coordinator.hints;
        hints.number += 1;
        let hint = Hint {
            number: hints.number,
            key,
            delta,
            since: cx.now(),
        };
        hints.kept.entry(target).or_default().push_back(hint);
        self.set_handoff(member, cx);
    }

    /// Sets the timer of the next handoff, if there is anything to hand off and it isn't set.
    pub(in crate::stores) fn set_handoff(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let Some(handoff) = self.spec.quorum().and_then(|quorum| quorum.hinted_handoff.as_ref()) else {
            return;
        };
        let replica = &mut self.replicas[member as usize];
        let hints = &mut replica.coordinator.hints;
        if !hints.kept.is_empty() && !std::mem::replace(&mut hints.armed, true) {
            let (at, turn) = (cx.now().saturating_add(handoff.retry), hints.turns);
            cx.schedule(&mut replica.endpoint, at, HANDOFF, turn);
        }
    }

    /// It is time to offer hints to those that they are for.
    pub(in crate::stores) fn hand_off(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let Some(handoff) = self.rules().hinted_handoff.clone() else {
            return;
        };
        let replica = &mut self.replicas[member as usize];
        let hints = &mut replica.coordinator.hints;
        hints.armed = false;
        hints.turns += 1;
        if replica.down || replica.paused.is_some() {
            return;
        }
        for kept in hints.kept.values_mut() {
            while kept.front().is_some_and(|hint| now.since(hint.since) >= handoff.keep) {
                kept.pop_front();
            }
        }
        hints.kept.retain(|_, kept| !kept.is_empty());
        let targets: Vec<u32> = hints.targets().collect();
        targets.into_iter().for_each(|target| self.offer(member, target, cx));
        self.set_handoff(member, cx);
    }

    /// Offers a replica what is kept for it: all of it, or one hint as long as the last offer isn't answered.
    fn offer(&mut self, member: u32, target: u32, cx: &mut Cx<'_, '_>) {
        let replica = &mut self.replicas[member as usize];
        let (from, hints) = (replica.endpoint.key.bits(), &mut replica.coordinator.hints);
        let Some(kept) = hints.kept.get(&target) else { return };
        let many = if hints.offered.insert(target) { kept.len() } else { 1 };
        let offered = || kept.iter().take(many);
        let last = offered().last().map_or(0, |hint| hint.number);
        let news = offered().map(|hint| (hint.key, hint.delta.clone())).collect();
        let payload = self.payloads.insert(Payload::new(Content::News(news)));
        let about = HANDOFFS ^ from ^ hints.turns ^ last << 24;
        self.send_leg(
            member,
            (target, topic::HINTS),
            Handle::from_word(last),
            payload,
            about,
            cx,
        );
        self.release(payload);
    }

    /// A replica takes what another one has kept for it.
    pub(super) fn take_handoff(&mut self, member: u32, leg: &Leg, cx: &mut Cx<'_, '_>) {
        if let Some(Content::News(news)) = self.payloads.get(leg.payload).map(Payload::content) {
            let replica = &mut self.replicas[member as usize];
            for (key, delta) in news {
                super::super::replication::merge((&self.model, &self.spec), replica, self.index, *key, delta, cx);
            }
        }
        self.release(leg.payload);
        let answer = crate::world::call::answer_address(leg.about);
        self.send_leg(
            member,
            (leg.from, topic::HINTS_TAKEN),
            leg.operation,
            Handle::NONE,
            answer,
            cx,
        );
    }

    /// Hints were taken, up to a number; the rest is offered at once.
    pub(super) fn handed_off(&mut self, member: u32, leg: &Leg, cx: &mut Cx<'_, '_>) {
        let hints = &mut self.replicas[member as usize].coordinator.hints;
        let Some(kept) = hints.kept.get_mut(&leg.from) else {
            return;
        };
        let before = kept.len();
        while kept.front().is_some_and(|hint| hint.number <= leg.operation.to_word()) {
            kept.pop_front();
        }
        // The answer to an older offer says nothing new.
        if kept.len() < before {
            hints.offered.remove(&leg.from);
            if kept.is_empty() {
                hints.kept.remove(&leg.from);
            } else {
                self.offer(member, leg.from, cx);
            }
        }
    }

    /// Whether some live replica keeps a hint for another live one.
    pub(in crate::stores) fn has_hints(&self) -> bool {
        let acts = |member: u32| {
            let replica = &self.replicas[member as usize];
            !replica.down && replica.paused.is_none()
        };
        let all = 0..self.replicas.len() as u32;
        all.filter(|member| acts(*member))
            .any(|member| self.replicas[member as usize].coordinator.hints.targets().any(acts))
    }
}
