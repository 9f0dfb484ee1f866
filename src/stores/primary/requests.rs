//! Requests at a replica: forwarded, served, or kept until they can be.
//!
//! Guarantees: an attempt of an idempotent update whose call stands in the log isn't taken into it again, whoever forwarded it.
//! Everybody who waits is answered or refused within the timeout.

use super::super::replica::tell;
use super::super::replication::toward;
use super::super::store::Store;
use super::super::words::store_key;
use super::letters::Letter;
use super::log::Update;
use super::{At, Desk, Flaw, PrimarySpec, Reads, Role};
use crate::kernel::{SimDuration, SimTime};
use crate::state::{Accept, Context, Dot, Fate, Op, Resolution};
use crate::world::call::{Outcome, Request, answer_address};
use crate::world::message::Message;
use crate::world::population::Cx;
use crate::world::record::What;
use crate::world::slab::Handle;
use serde::Serialize;

/// The copies of an attempt that were forwarded are counted apart from those that the network makes.
const FORWARDED: u16 = 1 << 8;
/// A request that was forwarded so often finds nobody.
const MOST_FORWARDS: u16 = 16;
/// Stands for a place in the log that a request doesn't have: it waits to be served.
const NO_PLACE: u64 = u64::MAX;
/// The same: it was forwarded, and waits for the word that it has come.
const AWAY: u64 = u64::MAX - 1;

/// An attempt that waits.
#[derive(Debug, Clone, Copy, Serialize)]
pub(in crate::stores) struct Wait {
    attempt: Handle,
    since: SimTime,
    /// How long the replica had stood still when it came.
    stalled: SimDuration,
    /// What it is told when what it waits for is there.
    outcome: Outcome,
    /// Whether work on it hasn't begun.
    is_fresh: bool,
}

impl<R: Resolution> Desk<R> {
    /// Whether reads at the primary show what they should.
    fn shows(&self, rules: &PrimarySpec, now: SimTime) -> bool {
        self.commit >= self.floor && self.has_lease(rules, now)
    }

    /// Whether enough backups have confirmed of late that nobody else can be the primary.
    fn has_lease(&self, rules: &PrimarySpec, now: SimTime) -> bool {
        let Some(lease) = rules.failover.and_then(|failover| failover.lease) else {
            return true;
        };
        let fresh = |at: SimTime| at.saturating_add(lease) > now;
        let confirmed = self
            .peers
            .iter()
            .filter(|peer| peer.confirmed.is_some_and(fresh))
            .count() as u32;
        confirmed >= rules.needed(self.peers.len() as u32)
    }
}

impl<R: Resolution> Store<R> {
    /// The primary's rules of a store that has one.
    pub(super) fn law(&self) -> &PrimarySpec {
        self.spec.primary().expect("the store has a primary")
    }

    pub(super) fn desk(&mut self, member: u32) -> &mut Desk<R> {
        self.replicas[member as usize]
            .desk
            .as_mut()
            .expect("the store has a primary")
    }

    pub(super) fn desk_of(&self, member: u32) -> &Desk<R> {
        self.replicas[member as usize]
            .desk
            .as_ref()
            .expect("the store has a primary")
    }

    /// A request has come to a replica. Whether that is all that is to be done about it: it was forwarded, or waits.
    pub(in crate::stores) fn is_put_off(
        &mut self,
        member: u32,
        handle: Handle,
        is_fresh: bool,
        cx: &mut Cx<'_, '_>,
    ) -> bool {
        let Some((_, call)) = cx.shared.journey(handle) else {
            return true;
        };
        let is_read = matches!(call.request, Request::Read { .. });
        let nearest = self.law().reads == Reads::Nearest;
        match self.desk_of(member).role {
            Role::Primary => false,
            Role::Backup if is_read && nearest => false,
            Role::Backup => {
                self.forward(member, handle, is_fresh, cx);
                true
            }
            Role::Recovering => {
                self.park(member, handle, is_fresh, cx);
                true
            }
        }
    }

    /// Sends a request on to the primary; keeps it if this replica is going to be it. Until the other says that the request has
    /// come it stays here as well, and is refused when it has waited long enough: nobody else may know of it.
    fn forward(&mut self, member: u32, handle: Handle, is_fresh: bool, cx: &mut Cx<'_, '_>) {
        let primary = self.desk_of(member).epoch.primary();
        if primary == member {
            return self.park(member, handle, is_fresh, cx);
        }
        let Some((attempt, _)) = cx.shared.journey_mut(handle) else {
            return;
        };
        attempt.copy += FORWARDED;
        if attempt.copy / FORWARDED > MOST_FORWARDS {
            attempt.outcome = Outcome::Refused { retry_after: None };
            return self.answer(member, handle, 0, cx);
        }
        let number = self.note_deadline(member, AWAY, cx);
        let desk = self.desk(member);
        let wait = Wait {
            attempt: handle,
            since: cx.now(),
            stalled: desk.stalled,
            outcome: Outcome::Pending,
            is_fresh,
        };
        desk.away.insert(number, wait);
        self.send_on(member, primary, handle, number, cx);
        self.arm(member, cx);
    }

    /// A request that another replica has forwarded has come: this one says so, and has it from here on.
    pub(in crate::stores) fn accept_forwarded(&mut self, member: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        let from = message.from - self.replicas[0].endpoint.id;
        let answer = toward(
            answer_address(message.about),
            self.replicas[member as usize].endpoint.key,
        );
        let number = message.value;
        self.post(member, from, Letter::Taken { number }, answer, cx);
        self.hear_again(member, from, cx);
        self.arm(member, cx);
    }

    /// A request that was forwarded is in other hands.
    pub(super) fn hand_away(&mut self, member: u32, number: u64, cx: &mut Cx<'_, '_>) {
        if let Some(wait) = self.desk(member).away.remove(&number) {
            cx.drop_attempt(wait.attempt);
        }
    }

    /// Serves a request at the replica that may.
    pub(in crate::stores) fn order(&mut self, member: u32, handle: Handle, cx: &mut Cx<'_, '_>) {
        if self.is_put_off(member, handle, false, cx) {
            return;
        }
        let Some((_, call)) = cx.shared.journey(handle) else {
            return;
        };
        match &call.request {
            Request::Read { key } => {
                let key = *key;
                let desk = self.desk_of(member);
                if desk.role == Role::Primary && !desk.shows(self.law(), cx.now()) {
                    return self.park(member, handle, false, cx);
                }
                if self.is_fenced(member, handle, cx) {
                    return self.answer(member, handle, 0, cx);
                }
                self.read(member, key, handle, cx);
            }
            Request::Update { key, op, .. } => {
                let (key, op, expects) = (*key, *op, call.request.expects());
                let context = call.request.context().cloned();
                self.append(member, key, (op, context.as_ref()), expects, handle, cx);
            }
            Request::Work { .. }
            | Request::Acquire
            | Request::Journal(_)
            | Request::Publish { .. }
            | Request::Poll { .. } => {
                unreachable!("a store isn't asked to work")
            }
        }
    }

    /// Takes an update into the log, and waits until it is acknowledged.
    fn append(
        &mut self,
        member: u32,
        key: u32,
        (op, context): (Op, Option<&Context>),
        expects: Option<u64>,
        handle: Handle,
        cx: &mut Cx<'_, '_>,
    ) {
        let Some((attempt, call)) = cx.shared.journey(handle) else {
            return;
        };
        let (identity, forwarded) = (call.identity, attempt.copy >= FORWARDED);
        let remembered = call.idempotent.then_some(identity);
        let forgets = self.law().flaw == Flaw::Forgetful && forwarded;
        let desk = self.desk_of(member);
        if let Some(&place) = desk.calls.get(&identity).filter(|_| call.idempotent && !forgets) {
            return self.wait_for(member, place, handle, Outcome::Done, cx);
        }
        let last = desk.log.last();
        if self.is_fenced(member, handle, cx) {
            return self.wait_for(member, 0, handle, Outcome::Fenced, cx);
        }
        let fence = cx.shared.journey(handle).and_then(|(_, call)| call.fence());
        if self.model.refuses(self.spec.keys[key as usize].1, op).is_some() {
            return self.wait_for(member, 0, handle, Outcome::Refused { retry_after: None }, cx);
        }
        let id = self.replicas[member as usize].endpoint.id;
        let word = store_key(self.index, key);
        let slot = &self.replicas[member as usize].slots[key as usize];
        let mut tip = self.desk_of(member).tips.get(&key).unwrap_or(&slot.entry).clone();
        if let Some(version) = expects {
            let holds = self.version_of(&tip) == version;
            cx.record(What::Swapped, id, [identity, word, u64::from(holds)]);
            if !holds {
                // What it lost to may still come to nothing: the refusal is one when that is acknowledged.
                return self.wait_for(member, last, handle, Outcome::Moved, cx);
            }
        }
        let epoch = self.desk_of(member).epoch;
        let at = At { epoch, index: last + 1 };
        let slot = &mut self.replicas[member as usize].slots[key as usize];
        slot.number += 1;
        let number = slot.number;
        let dot = Dot::new(self.replicas[member as usize].origin, number);
        if cx.wants(What::Accepted) {
            let versions = self.model.versions(&tip);
            self.say_accepted(&versions, (dot, at.stamp()), (id, word), (op, context), handle, cx);
        }
        let accept = Accept {
            dot,
            stamp: at.stamp(),
            context,
        };
        let delta = self.model.update(&mut tip, op, accept, &mut |fate| match fate {
            Fate::BuiltOn { .. } | Fate::Placed { .. } | Fate::Took { .. } => tell(cx, id, word, fate),
            // Said where it is applied.
            Fate::Outranked { .. } | Fate::Applied(_) => {}
        });
        cx.executed(id, handle);
        let desk = self.desk(member);
        desk.tips.insert(key, tip);
        desk.log.push(Update {
            epoch,
            key,
            delta,
            identity: remembered,
            fence,
        });
        if remembered.is_some() {
            desk.calls.insert(identity, at.index);
        }
        self.wait_for(member, at.index, handle, Outcome::Done, cx);
        self.commit_more(member, cx);
        self.pump_all(member, cx);
        self.arm(member, cx);
    }

    /// The version of a key as conditional updates compare it: the place of its last update.
    pub(in crate::stores) fn version_of(&self, entry: &R::Entry) -> u64 {
        self.model.stamp(entry).map_or(0, |stamp| stamp as u64)
    }

    /// Answers an attempt once the log is acknowledged up to a place.
    fn wait_for(&mut self, member: u32, place: u64, handle: Handle, outcome: Outcome, cx: &mut Cx<'_, '_>) {
        let desk = self.desk(member);
        let wait = Wait {
            attempt: handle,
            since: cx.now(),
            stalled: desk.stalled,
            outcome,
            is_fresh: false,
        };
        if place <= desk.commit {
            return self.tell_waiting(member, wait, cx);
        }
        let number = self.note_deadline(member, place, cx);
        self.desk(member).updates.insert((place, number), wait);
    }

    /// Keeps a request that can't be served now.
    fn park(&mut self, member: u32, handle: Handle, is_fresh: bool, cx: &mut Cx<'_, '_>) {
        let number = self.note_deadline(member, NO_PLACE, cx);
        let desk = self.desk(member);
        let outcome = Outcome::Pending;
        let wait = Wait {
            attempt: handle,
            since: cx.now(),
            stalled: desk.stalled,
            outcome,
            is_fresh,
        };
        desk.parked.push_back((number, wait));
        self.arm(member, cx);
    }

    fn note_deadline(&mut self, member: u32, place: u64, cx: &Cx<'_, '_>) -> u64 {
        let due = cx.now().saturating_add(self.law().timeout);
        let desk = self.desk(member);
        desk.waits += 1;
        let number = desk.waits;
        // Mostly they are answered in their order: what is over doesn't wait here for what would have been due.
        while let Some((_, place, number)) = desk.deadlines.front()
            && !desk.is_waiting(*place, *number)
        {
            desk.deadlines.pop_front();
        }
        desk.deadlines.push_back((due, place, number));
        number
    }

    /// Tells an attempt what it waited for: all that time is coordination, but for what the replica stood still.
    fn tell_waiting(&mut self, member: u32, wait: Wait, cx: &mut Cx<'_, '_>) {
        self.account(member, &wait, cx);
        let Some((attempt, call)) = cx.shared.journey_mut(wait.attempt) else {
            return;
        };
        attempt.outcome = wait.outcome;
        let mut bytes = 0;
        if let (Outcome::Done, Request::Update { key, .. }) = (wait.outcome, &call.request) {
            let context = self
                .model
                .context(&self.replicas[member as usize].slots[*key as usize].entry);
            bytes = context.bytes();
            attempt.context = Some(Box::new(context));
        }
        self.answer(member, wait.attempt, bytes, cx);
    }

    fn account(&mut self, member: u32, wait: &Wait, cx: &mut Cx<'_, '_>) {
        let stood = self.desk_of(member).stalled - wait.stalled;
        let now = cx.now();
        if let Some(attempt) = cx.shared.attempts.get_mut(wait.attempt) {
            attempt.down += stood;
            attempt.coordinated += (now - wait.since) - stood;
        }
    }

    /// Answers those who wait for updates that are acknowledged now.
    pub(super) fn answer_committed(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let desk = self.desk(member);
        let rest = desk.updates.split_off(&(desk.commit + 1, 0));
        for wait in std::mem::replace(&mut desk.updates, rest).into_values() {
            self.tell_waiting(member, wait, cx);
        }
    }

    /// Looks whether those who wait to be served can be.
    pub(super) fn serve_parked(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let desk = self.desk_of(member);
        let may = match desk.role {
            Role::Primary => desk.shows(self.law(), now),
            Role::Backup => desk.epoch.primary() != member,
            Role::Recovering => false,
        };
        if !may {
            return;
        }
        for (_, wait) in std::mem::take(&mut self.desk(member).parked) {
            self.account(member, &wait, cx);
            if wait.is_fresh {
                self.begin(member, wait.attempt, cx);
            } else {
                self.order(member, wait.attempt, cx);
            }
        }
    }

    /// Refuses those who have waited long enough.
    pub(super) fn refuse_late(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        while let Some(&(due, place, number)) = self.desk_of(member).deadlines.front() {
            if self.desk_of(member).is_waiting(place, number) && due > cx.now() {
                return;
            }
            let desk = self.desk(member);
            desk.deadlines.pop_front();
            if let Some(wait) = desk.take_waiting(place, number) {
                self.refuse(member, wait, cx);
            }
        }
    }

    /// Refuses everybody who waits for an update: what becomes of it is decided by others.
    pub(super) fn refuse_updates(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        for wait in std::mem::take(&mut self.desk(member).updates).into_values() {
            self.refuse(member, wait, cx);
        }
    }

    fn refuse(&mut self, member: u32, wait: Wait, cx: &mut Cx<'_, '_>) {
        self.account(member, &wait, cx);
        if let Some(attempt) = cx.shared.attempts.get_mut(wait.attempt) {
            attempt.outcome = Outcome::Refused { retry_after: None };
        }
        self.answer(member, wait.attempt, 0, cx);
    }
}

impl<R: Resolution> Desk<R> {
    fn is_waiting(&self, place: u64, number: u64) -> bool {
        match place {
            NO_PLACE => self.parked.iter().any(|(other, _)| *other == number),
            AWAY => self.away.contains_key(&number),
            place => self.updates.contains_key(&(place, number)),
        }
    }

    fn take_waiting(&mut self, place: u64, number: u64) -> Option<Wait> {
        match place {
            NO_PLACE => {
                let at = self.parked.iter().position(|(other, _)| *other == number)?;
                self.parked.remove(at).map(|(_, wait)| wait)
            }
            AWAY => self.away.remove(&number),
            place => self.updates.remove(&(place, number)),
        }
    }

    /// Whether anybody waits.
    pub(super) fn has_waiting(&self) -> bool {
        !self.updates.is_empty() || !self.parked.is_empty() || !self.away.is_empty()
    }

    /// Those who wait go with the replica.
    pub(super) fn drop_waiting(&mut self) -> Vec<Handle> {
        self.deadlines.clear();
        let updates = std::mem::take(&mut self.updates).into_values();
        let parked = std::mem::take(&mut self.parked).into_iter().map(|(_, wait)| wait);
        let away = std::mem::take(&mut self.away).into_values();
        updates.chain(parked).chain(away).map(|wait| wait.attempt).collect()
    }
}
