//! When something is due at a replica: one queued entry for all of it.

use super::super::store::{Store, TICK};
use super::Role;
use crate::kernel::SimTime;
use crate::state::Resolution;
use crate::world::population::Cx;

impl<R: Resolution> Store<R> {
    /// What is due next at a replica.
    fn next_due(&self, member: u32) -> Option<SimTime> {
        let desk = self.desk_of(member);
        let rules = self.law();
        let mut due: Option<SimTime> = None;
        let mut at = |time: Option<SimTime>| {
            if let Some(time) = time {
                due = Some(due.map_or(time, |due| due.min(time)));
            }
        };
        at(desk.deadlines.front().map(|(due, _, _)| *due));
        at(desk.recovery.as_ref().map(|recovery| recovery.again));
        let rests = self.draining && self.is_level();
        if !rests {
            at(self.takeover_due(member));
        }
        if desk.role == Role::Primary {
            at(self.step_down_due(member).filter(|_| !rests));
            if let Some(failover) = rules.failover.filter(|_| !rests) {
                at(Some(desk.beat.saturating_add(failover.heartbeat)));
            }
            for peer in &desk.peers {
                at(peer.resend.map(|(due, _)| due));
                at(peer
                    .lacks
                    .filter(|_| !peer.out)
                    .zip(rules.in_sync)
                    .map(|(since, after)| since.saturating_add(after)));
            }
        }
        due
    }

    /// Sets the timer of a replica.
    pub(super) fn arm(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        self.note_lacking(member, cx.now());
        let Some(due) = self.next_due(member) else { return };
        let due = due.max(cx.now());
        let replica = &mut self.replicas[member as usize];
        let desk = replica.desk.as_mut().expect("the store has a primary");
        if desk.armed.is_some_and(|armed| armed <= due) {
            return;
        }
        desk.armed = Some(due);
        desk.generation += 1;
        let generation = desk.generation;
        cx.schedule(&mut replica.endpoint, due, TICK, generation);
    }

    /// Notes since when each backup lacks something.
    fn note_lacking(&mut self, member: u32, now: SimTime) {
        if self.law().in_sync.is_none() {
            return;
        }
        let desk = self.desk(member);
        let last = desk.log.last();
        for (peer, it) in desk.peers.iter_mut().enumerate() {
            if peer != member as usize && it.matched < last {
                it.lacks.get_or_insert(now);
            }
        }
    }

    /// A replica's timer is due.
    pub(in crate::stores) fn tick(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        self.desk(member).armed = None;
        let replica = &self.replicas[member as usize];
        if !replica.down && replica.paused.is_none() {
            self.look_for_primary(member, cx);
        }
    }

    /// A replica that stood still deals with what has become due.
    pub(in crate::stores) fn look_again(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        if self.spec.primary().is_some() {
            self.desk(member).armed = None;
            self.look_for_primary(member, cx);
        }
    }

    /// Deals with what is due.
    fn look_for_primary(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let now = cx.now();
        self.refuse_late(member, cx);
        if self
            .desk_of(member)
            .recovery
            .as_ref()
            .is_some_and(|recovery| recovery.again <= now)
        {
            self.ask_for_state(member, cx);
        }
        let rests = self.draining && self.is_level();
        if !rests && self.takeover_due(member).is_some_and(|due| due <= now) {
            self.campaign(member, cx);
        }
        if !rests && self.step_down_due(member).is_some_and(|due| due <= now) {
            self.step_down(member, cx);
        }
        if self.desk_of(member).role == Role::Primary {
            if let Some(failover) = self.law().failover.filter(|_| !rests)
                && self.desk_of(member).beat.saturating_add(failover.heartbeat) <= now
            {
                self.desk(member).beat = now;
                self.send_heartbeats(member, cx);
            }
            if let Some(after) = self.law().in_sync {
                let mut news = false;
                for peer in &mut self.desk(member).peers {
                    let late = peer.lacks.is_some_and(|since| since.saturating_add(after) <= now);
                    news |= late && !std::mem::replace(&mut peer.out, true);
                }
                if news {
                    self.commit_more(member, cx);
                }
            }
            for to in (0..self.replicas.len() as u32).filter(|to| *to != member) {
                self.send_again(member, to, cx);
            }
        }
        self.arm(member, cx);
    }

    /// Whether every live replica has and shows the same log, and nobody waits: nothing is to be done but to wait for requests.
    pub(in crate::stores) fn is_level(&self) -> bool {
        let stands = |replica: &super::super::replica::Replica<R>| replica.down || replica.paused.is_some();
        let live = || (0u32..).zip(&self.replicas).filter(|(_, replica)| !stands(replica));
        let desks = || live().map(|(member, _)| self.desk_of(member));
        if desks().any(|desk| desk.has_waiting()) {
            return false;
        }
        let primary = desks()
            .filter(|desk| desk.role == Role::Primary)
            .max_by_key(|desk| desk.epoch);
        let Some(primary) = primary else {
            // Nobody will be it, unless somebody takes over.
            let standing = desks().filter(|desk| desk.role == Role::Backup).count() as u32;
            let replicas = self.replicas.len() as u32;
            let all = || live().map(|(member, _)| member);
            let recovers = |member| self.desk_of(member).role == Role::Recovering && !self.is_lost(member, all());
            let takes_over = self.law().failover.is_some() && standing >= self.law().promises(replicas);
            return !takes_over && !all().any(recovers);
        };
        let missing = self.replicas.len() - desks().filter(|desk| desk.role != Role::Recovering).count();
        let needed = self.law().needed(self.replicas.len() as u32) as usize;
        // What too few live replicas have stays unacknowledged.
        let stuck = missing + needed > self.replicas.len() - 1;
        (primary.commit == primary.log.last() || stuck)
            && live().all(|(member, _)| {
                let desk = self.desk_of(member);
                // Where nothing more is acknowledged, a backup may have heard more from an earlier primary than this one.
                let knows = desk.commit == primary.commit || stuck && desk.commit > primary.commit;
                let ends = desk.log.end() == primary.log.end() && knows;
                match desk.role {
                    Role::Recovering => self.is_lost(member, live().map(|(other, _)| other)),
                    _ => ends && desk.epoch == primary.epoch,
                }
            })
    }

    /// The first timers of a replica.
    pub(in crate::stores) fn first_tick(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let Some(rules) = self.spec.primary() else { return };
        if rules.failover.is_some() && rules.primary == member {
            self.send_heartbeats(member, cx);
        }
        self.arm(member, cx);
    }
}

impl<R: Resolution> super::Desk<R> {
    /// The replica has stood still so long.
    pub(in crate::stores) fn stand(&mut self, so_long: crate::kernel::SimDuration) {
        self.stalled += so_long;
    }
}
