//! How a replica hands its member what comes, does what the member wants done, and gets through faults.

use super::super::replication::{Content, bytes_of, topic, toward};
use super::super::store::{DEADLINE, ELECTION, Store};
use super::member::{Command, Image, Member, id_of, place_of};
use super::{RaftSpec, weight};
use crate::coordination::raft::{Body, Node, Payload};
use crate::kernel::{SimDuration, SimTime};
use crate::state::Resolution;
use crate::world::message::Message;
use crate::world::population::Cx;
use crate::world::slab::Handle;

/// Where the addresses of members' messages begin, apart from others'.
const MESSAGES: u64 = 0x7261_6674 << 32;

impl<R: Resolution> Store<R> {
    pub(super) fn group(&self) -> &RaftSpec {
        self.spec.raft().expect("the store works by Raft")
    }

    pub(super) fn member(&mut self, member: u32) -> &mut Member<R> {
        let found = &mut self.replicas[member as usize].raft;
        found.as_mut().expect("every replica of a group is a member")
    }

    fn clock(&self, member: u32, now: SimTime) -> i64 {
        self.replicas[member as usize].stamps.clock.reading(now)
    }

    /// The group begins.
    pub(in crate::stores) fn found(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let replica = &self.replicas[member as usize];
        if replica.raft.is_some() && !replica.down && replica.paused.is_none() {
            self.drive(member, cx, |node, now| node.start(now));
        }
    }

    /// Hands the member something, and does what it wants done.
    pub(super) fn drive(
        &mut self,
        member: u32,
        cx: &mut Cx<'_, '_>,
        act: impl FnOnce(&mut Node<Command, Image<R>>, i64),
    ) {
        let now = self.clock(member, cx.now());
        act(&mut self.member(member).node, now);
        let output = self.member(member).node.take_output();
        if let Some(snapshot) = output.installed {
            self.install(member, snapshot.state, cx);
        }
        for committed in output.committed {
            self.apply_entry(member, committed, cx);
        }
        for token in output.readable {
            self.serve_read(member, token, cx);
        }
        if self.member(member).node.wants_snapshot() {
            let image = self.member_image(member);
            self.member(member).node.compact(image);
        }
        for message in output.messages {
            let to = place_of(message.to);
            let target = &self.replicas[to as usize].endpoint;
            let (id, key) = (target.id, target.key);
            let bytes = weight::of_message(&self.model, &message, self.spec.value_bytes);
            let it = self.member(member);
            it.sent += 1;
            let address = toward(MESSAGES ^ it.sent, key);
            let content = Content::Raft(Box::new(message));
            self.send_content(
                member,
                (id, topic::RAFT),
                content,
                u64::from(bytes_of(bytes)),
                address,
                cx,
            );
        }
        self.arm_member(member, cx);
    }

    /// Something comes from another member.
    pub(in crate::stores) fn hear_member(&mut self, member: u32, message: &Message, cx: &mut Cx<'_, '_>) {
        let content = self
            .payloads
            .get(message.handle)
            .map(|payload| payload.content().clone());
        self.release(message.handle);
        let Some(Content::Raft(mut said)) = content else { return };
        if matches!(said.body, Body::Join { .. }) {
            // It is for whoever is at this place.
            said.to = self.member(member).node.id();
        }
        self.drive(member, cx, |node, now| node.receive(*said, now));
    }

    /// Has the member's timer come when its clock says, or earlier.
    fn arm_member(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        let reading = self.clock(member, now);
        let due = self.member(member).node.due(reading);
        let due = self.replicas[member as usize].stamps.clock.when(due, now);
        let timer = &mut self.member(member).timer;
        if due == SimTime::NEVER || timer.at.is_some_and(|at| at <= due) {
            return;
        }
        timer.number += 1;
        timer.at = Some(due);
        let number = timer.number;
        cx.schedule(&mut self.replicas[member as usize].endpoint, due, ELECTION, number);
    }

    /// Whether an entry is that of a timer that was set anew.
    pub(in crate::stores) fn is_old_timer(&self, member: u32, number: u64) -> bool {
        let found = &self.replicas[member as usize].raft;
        found
            .as_ref()
            .is_none_or(|it| it.timer.number != number || it.timer.at.is_none())
    }

    /// The member's timer has come.
    pub(in crate::stores) fn member_timer(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let is_paused = self.replicas[member as usize].paused.is_some();
        let timer = &mut self.member(member).timer;
        timer.at = None;
        timer.overdue = is_paused;
        if !is_paused {
            self.drive(member, cx, |node, now| node.tick(now));
        }
    }

    /// The clock was stepped: what is due is so at another time.
    pub(in crate::stores) fn clock_stepped(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let replica = &self.replicas[member as usize];
        if replica.raft.is_some() && !replica.down && replica.paused.is_none() {
            self.member(member).timer.at = None;
            self.arm_member(member, cx);
        }
    }

    /// A member crashes; returns the attempts that waited.
    pub(in crate::stores) fn crash_member(&mut self, member: u32, keep_state: bool) -> Vec<Handle> {
        if self.replicas[member as usize].raft.is_none() {
            return Vec::new();
        }
        let replica = &self.replicas[member as usize];
        let (origin, endpoint) = (replica.origin, replica.endpoint.clone());
        let others = self
            .replicas
            .iter()
            .filter(|other| other.origin.replica() != origin.replica());
        let contacts = others.map(|other| id_of(other.origin)).collect();
        let spec = std::sync::Arc::clone(&self.spec);
        let it = self.member(member);
        it.crashed = true;
        (it.timer.at, it.timer.overdue) = (None, false);
        it.deadlines.clear();
        let updates = std::mem::take(&mut it.updates).into_values().flatten();
        let reads = std::mem::take(&mut it.reads).into_values().map(|(_, waiting)| waiting);
        let dropped = updates.chain(reads).map(|waiting| waiting.attempt).collect();
        if !keep_state {
            let spec = spec.raft().expect("the store works by Raft");
            it.reborn(spec, origin, contacts, &endpoint);
        }
        dropped
    }

    /// A member can act again after a crash or a pause.
    pub(in crate::stores) fn member_is_back(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let Some(it) = &mut self.replicas[member as usize].raft else {
            return;
        };
        let overdue = std::mem::take(&mut it.timer.overdue);
        if std::mem::take(&mut it.crashed) {
            self.drive(member, cx, |node, now| node.restart(now));
        } else if overdue {
            self.drive(member, cx, |node, now| node.tick(now));
        } else {
            // Its clock may have been stepped.
            it.timer.at = None;
            self.arm_member(member, cx);
        }
        self.refuse_overdue(member, cx);
    }

    /// A replica has stood still so long.
    pub(in crate::stores) fn stall_member(&mut self, member: u32, stalled: SimDuration) {
        if let Some(it) = &mut self.replicas[member as usize].raft {
            it.stalled += stalled;
        }
    }

    /// Whether nothing that anybody sees will change any more: nobody waits, and all that live have applied the same, with nothing
    /// in their logs that isn't; or nothing can ever be decided any more.
    pub(in crate::stores) fn is_agreed(&self) -> bool {
        let stands = |member: u32| {
            let replica = &self.replicas[member as usize];
            replica.down || replica.paused.is_some()
        };
        let replicas = || (0u32..).zip(&self.replicas).filter(|(member, _)| !stands(*member));
        let live = || replicas().filter_map(|(_, replica)| replica.raft.as_ref());
        if live().any(|it| !it.updates.is_empty() || !it.reads.is_empty()) {
            return false;
        }
        let can_decide = |it: &Member<R>| {
            let members = it.node.members();
            let lives = |place: u32, id| id_of(self.replicas[place as usize].origin) == id && !stands(place);
            let count = members.voters.iter().filter(|id| lives(place_of(**id), **id)).count();
            count >= members.quorum() && !members.voters.is_empty()
        };
        if !live().any(|it| can_decide(it)) {
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
    pub(super) fn set_deadline(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let it = self.member(member);
        let Some(&(due, _)) = it.deadlines.front() else { return };
        if !std::mem::replace(&mut it.deadline_set, true) {
            cx.schedule(&mut self.replicas[member as usize].endpoint, due, DEADLINE, 0);
        }
    }
}
