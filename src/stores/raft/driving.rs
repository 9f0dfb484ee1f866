//! How a replica hands its members what comes, does what they want done, and gets through faults.

use super::super::replication::{Content, Payload as ShippedContent, bytes_of, topic, toward};
use super::super::store::{DEADLINE, ELECTION, Store};
use super::member::{Command, Image, Member, Seat, id_of, place_of};
use super::{RaftSpec, weight};
use crate::coordination::raft::{Body, Node, Payload, Role};
use crate::kernel::{SimDuration, SimTime};
use crate::state::Resolution;
use crate::state::hash::chain;
use crate::world::message::{Message, MessageKind};
use crate::world::population::Cx;
use crate::world::slab::Handle;

/// Where the addresses of members' messages begin, apart from others'.
const MESSAGES: u64 = 0x7261_6674 << 32;

impl<R: Resolution> Store<R> {
    pub(super) fn group(&self) -> &RaftSpec {
        self.spec.raft().expect("the store works by Raft")
    }

    pub(super) fn member(&mut self, seat: Seat) -> &mut Member<R> {
        &mut self.replicas[seat.replica as usize].raft[seat.shard as usize]
    }

    /// The member that a replica asks about a key.
    pub(super) fn seat(&self, replica: u32, key: u32) -> Seat {
        let (group, count) = (self.group(), self.group().sharding.count());
        let shard = group.sharding.shard(key);
        // A mistake for tests: this replica takes a key for one of the next group.
        let shard = if group.misroutes && replica == 0 {
            (shard + 1) % count
        } else {
            shard
        };
        Seat { replica, shard }
    }

    /// The members that a replica is, if the store works by Raft.
    fn seats(&self, replica: u32) -> impl Iterator<Item = Seat> + use<R> {
        let count = self.replicas[replica as usize].raft.len() as u32;
        (0..count).map(move |shard| Seat { replica, shard })
    }

    fn clock(&self, member: u32, now: SimTime) -> i64 {
        self.replicas[member as usize].stamps.clock.reading(now)
    }

    /// The groups begin.
    pub(in crate::stores) fn found(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let replica = &self.replicas[member as usize];
        if self.spec.raft().is_some() && !replica.down && replica.paused.is_none() {
            let (leaders, count) = (self.group().leaders, self.replicas.len() as u32);
            for seat in self.seats(member) {
                let leads = leaders.preferred(seat.shard, count) == Some(member);
                self.drive(seat, cx, |node, now| {
                    if leads {
                        node.start_as_candidate(now)
                    } else {
                        node.start(now)
                    }
                });
            }
        }
    }

    /// Hands the member something, and does what it wants done.
    pub(super) fn drive(
        &mut self,
        seat: Seat,
        cx: &mut Cx<'_, '_>,
        act: impl FnOnce(&mut Node<Command, Image<R>>, i64),
    ) {
        let now = self.clock(seat.replica, cx.now());
        act(&mut self.member(seat).node, now);
        let output = self.member(seat).node.take_output();
        if let Some(snapshot) = output.installed {
            self.install(seat, snapshot.state, cx);
        }
        for committed in output.committed {
            self.apply_entry(seat, committed, cx);
        }
        for token in output.readable {
            self.serve_read(seat, token, cx);
        }
        if self.member(seat).node.wants_snapshot() {
            let image = self.member_image(seat);
            self.member(seat).node.compact(image);
        }
        let names_shards = self.group().sharding.count() > 1;
        for message in output.messages {
            let to = place_of(message.to);
            let target = &self.replicas[to as usize].endpoint;
            let (id, key) = (target.id, target.key);
            let bytes = weight::of_message(&self.model, &message, names_shards, self.spec.value_bytes);
            let it = self.member(seat);
            it.sent += 1;
            let about = match seat.shard {
                0 => MESSAGES ^ it.sent,
                shard => chain(MESSAGES ^ u64::from(shard), it.sent),
            };
            let content = Content::Raft(Box::new(message));
            let payload = self.payloads.insert(ShippedContent::new(content));
            let message = Message::new(MessageKind::Peer, id, topic::RAFT, bytes_of(bytes)).with(payload);
            let message = Message {
                value: u64::from(seat.shard),
                ..message
            };
            let endpoint = &mut self.replicas[seat.replica as usize].endpoint;
            let own = endpoint.key;
            cx.send_about(endpoint, message, own, toward(about, key));
        }
        self.arm_member(seat, cx);
    }

    /// Something comes from another member.
    pub(in crate::stores) fn hear_member(&mut self, replica: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        let shard = message.value as u32;
        let seat = Seat { replica, shard };
        let content = self
            .payloads
            .get(message.handle)
            .map(|payload| payload.content().clone());
        self.release(message.handle);
        let Some(Content::Raft(mut said)) = content else { return };
        if matches!(said.body, Body::Join { .. }) {
            // It is for whoever is at this place.
            said.to = self.member(seat).node.id();
        }
        self.drive(seat, cx, |node, now| node.receive(*said, now));
    }

    /// Has the member's timer come when its clock says, or earlier.
    fn arm_member(&mut self, seat: Seat, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let reading = self.clock(seat.replica, now);
        let due = self.member(seat).node.due(reading);
        let due = self.replicas[seat.replica as usize].stamps.clock.when(due, now);
        let timer = &mut self.member(seat).timer;
        if due == SimTime::NEVER || timer.at.is_some_and(|at| at <= due) {
            return;
        }
        timer.number += 1;
        timer.at = Some(due);
        let word = seat.timer_word(timer.number);
        cx.schedule(&mut self.replicas[seat.replica as usize].endpoint, due, ELECTION, word);
    }

    /// Whether an entry is that of a timer that was set anew.
    pub(in crate::stores) fn is_old_timer(&self, member: u32, word: u64) -> bool {
        let (seat, number) = Seat::of_timer(member, word);
        let found = self.replicas[member as usize].raft.get(seat.shard as usize);
        found.is_none_or(|it| it.timer.number != number || it.timer.at.is_none())
    }

    /// The member's timer has come.
    pub(in crate::stores) fn member_timer(&mut self, member: u32, word: u64, cx: &mut Cx<'_, '_>) {
        let (seat, _) = Seat::of_timer(member, word);
        let is_paused = self.replicas[member as usize].paused.is_some();
        let timer = &mut self.member(seat).timer;
        timer.at = None;
        timer.overdue = is_paused;
        if !is_paused {
            self.drive(seat, cx, |node, now| node.tick(now));
            self.hand_over(seat, cx);
        }
    }

    /// A leader in the place of another one looks, at each of its timers, whether that one is there, and hands over to it. If nothing
    /// comes of it, it leads for ten election timeouts before it tries again: the other may not be heard by the rest.
    fn hand_over(&mut self, seat: Seat, cx: &mut Cx<'_, '_>) {
        let group = self.group();
        let pause = (10 * group.election_max.as_nanos() / group.heartbeat.as_nanos().max(1)).min(u64::from(u32::MAX));
        let preferred = group.leaders.preferred(seat.shard, self.replicas.len() as u32);
        let Some(preferred) = preferred.filter(|preferred| *preferred != seat.replica) else {
            return;
        };
        let to = id_of(self.replicas[preferred as usize].origin);
        let it = self.member(seat);
        if it.node.role() != Role::Leader {
            return;
        }
        it.patience = it.patience.saturating_sub(1);
        if it.patience > 0 {
            return;
        }
        let mut goes = false;
        self.drive(seat, cx, |node, now| goes = node.hand_over_if_there(to, now));
        if goes {
            self.member(seat).patience = pause as u32;
        }
    }

    /// The clock was stepped: what is due is so at another time.
    pub(in crate::stores) fn clock_stepped(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let replica = &self.replicas[member as usize];
        if !replica.down && replica.paused.is_none() {
            for seat in self.seats(member) {
                self.member(seat).timer.at = None;
                self.arm_member(seat, cx);
            }
        }
    }

    /// The members that a replica is crash; returns the attempts that waited.
    pub(in crate::stores) fn crash_members(&mut self, member: u32, keep_state: bool) -> Vec<Handle> {
        let seats = self.seats(member);
        seats.flat_map(|seat| self.crash_member(seat, keep_state)).collect()
    }

    fn crash_member(&mut self, seat: Seat, keep_state: bool) -> Vec<Handle> {
        let member = seat.replica;
        let replica = &self.replicas[member as usize];
        let (origin, endpoint) = (replica.origin, replica.endpoint.clone());
        let others = self
            .replicas
            .iter()
            .filter(|other| other.origin.replica() != origin.replica());
        let contacts = others.map(|other| id_of(other.origin)).collect();
        let spec = std::sync::Arc::clone(&self.spec);
        let it = self.member(seat);
        it.crashed = true;
        (it.timer.at, it.timer.overdue) = (None, false);
        it.deadlines.clear();
        it.behind.clear();
        let updates = std::mem::take(&mut it.updates).into_values().flatten();
        let reads = std::mem::take(&mut it.reads).into_values().map(|(_, waiting)| waiting);
        let dropped = updates.chain(reads).map(|waiting| waiting.attempt).collect();
        if !keep_state {
            let spec = spec.raft().expect("the store works by Raft");
            it.reborn(spec, (origin, seat.shard), contacts, &endpoint);
        }
        dropped
    }

    /// The members that a replica is can act again after a crash or a pause.
    pub(in crate::stores) fn members_are_back(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        for seat in self.seats(member) {
            let it = self.member(seat);
            let overdue = std::mem::take(&mut it.timer.overdue);
            if std::mem::take(&mut it.crashed) {
                self.drive(seat, cx, |node, now| node.restart(now));
            } else if overdue {
                self.drive(seat, cx, |node, now| node.tick(now));
            } else {
                // Its clock may have been stepped.
                it.timer.at = None;
                self.arm_member(seat, cx);
            }
            self.refuse_overdue(seat, cx);
        }
    }

    /// A replica has stood still so long.
    pub(in crate::stores) fn stall_members(&mut self, member: u32, stalled: SimDuration) {
        for it in &mut self.replicas[member as usize].raft {
            it.stalled += stalled;
        }
    }

    /// Whether nothing that anybody sees will change any more: nobody waits, and all that live have applied the same, with nothing
    /// in their logs that isn't; or nothing can ever be decided any more.
    pub(in crate::stores) fn is_agreed(&self) -> bool {
        (0..self.group().sharding.count() as usize).all(|shard| self.is_agreed_in(shard))
    }

    fn is_agreed_in(&self, shard: usize) -> bool {
        let stands = |member: u32| {
            let replica = &self.replicas[member as usize];
            replica.down || replica.paused.is_some()
        };
        let replicas = || (0u32..).zip(&self.replicas).filter(|(member, _)| !stands(*member));
        let live = || replicas().map(|(_, replica)| &replica.raft[shard]);
        if live().any(|it| !it.updates.is_empty() || !it.reads.is_empty()) {
            return false;
        }
        let can_decide = |it: &Member<R>| {
            let members = it.node.members();
            let lives = |place: u32, id| id_of(self.replicas[place as usize].origin) == id && !stands(place);
            let count = members.voters.iter().filter(|id| lives(place_of(**id), **id)).count();
            count >= members.quorum() && !members.voters.is_empty()
        };
        if !live().any(can_decide) {
            return true;
        }
        let is_command = |payload: &Payload<Command>| matches!(payload, Payload::Command { .. });
        let is_open = |it: &Member<R>| {
            let disk = it.node.disk();
            disk.log
                .from(disk.applied + 1)
                .any(|(_, entry)| is_command(&entry.payload))
        };
        let first = live().next().map(|it| it.decided);
        live().all(|it| Some(it.decided) == first && !is_open(it))
    }

    /// Sets the timer of requests.
    pub(super) fn set_deadline(&mut self, seat: Seat, cx: &mut Cx<'_, '_>) {
        let it = self.member(seat);
        let Some(&(due, _)) = it.deadlines.front() else { return };
        if it.deadline_at.is_none_or(|at| at > due) {
            it.deadline_at = Some(due);
            let (endpoint, shard) = (
                &mut self.replicas[seat.replica as usize].endpoint,
                u64::from(seat.shard),
            );
            cx.schedule(endpoint, due, DEADLINE, shard);
        }
    }
}
