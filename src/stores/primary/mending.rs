//! What a primary sends again, and when.
//!
//! Guarantees: what a backup says that it lacks is sent at once, and again only if a letter that left later has met the gap as well. A
//! backup that says nothing gets what it hasn't confirmed once, and then a letter without updates every `resend`.

use super::super::store::Store;
use super::Role;
use super::copying::BATCH;
use super::log::Update;
use crate::state::Resolution;
use crate::world::population::Cx;

impl<R: Resolution> Store<R> {
    /// Sends again what a backup hasn't confirmed for too long: once, and from then on a mere sign of life, whose answer says what it
    /// lacks.
    pub(super) fn send_again(&mut self, member: u32, to: u32, cx: &mut Cx<'_, '_>) {
        let (now, interval) = (cx.now(), self.law().resend);
        let peer = &mut self.desk(member).peers[to as usize];
        let Some((_, is_silent)) = peer.resend.filter(|(due, _)| *due <= now) else {
            return;
        };
        peer.resend = Some((now.saturating_add(interval), true));
        if is_silent {
            return self.send_sign(member, to, cx);
        }
        if peer.known {
            peer.next = peer.matched + 1;
        }
        self.send_next(member, to, cx);
    }

    /// Something else than a confirmation has come from a backup. If it was silent, it gets what it hasn't confirmed.
    pub(super) fn hear_again(&mut self, member: u32, from: u32, cx: &mut Cx<'_, '_>) {
        let (now, interval) = (cx.now(), self.law().resend);
        let desk = self.desk(member);
        let peer = &mut desk.peers[from as usize];
        if desk.role == Role::Primary && peer.resend.is_some_and(|(_, is_silent)| is_silent) {
            peer.resend = Some((now.saturating_add(interval), false));
            if peer.known {
                peer.next = peer.matched + 1;
            }
            self.send_next(member, from, cx);
        }
    }

    /// Says to every backup that the primary is there.
    pub(super) fn send_heartbeats(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        for to in (0..self.replicas.len() as u32).filter(|to| *to != member) {
            self.send_sign(member, to, cx);
        }
    }

    /// Sends a letter without updates, behind the last that was sent.
    fn send_sign(&mut self, member: u32, to: u32, cx: &mut Cx<'_, '_>) {
        let desk = self.desk_of(member);
        let index = desk.peers[to as usize].next.saturating_sub(1).max(desk.log.base());
        self.send_updates(member, to, index, Vec::new(), cx);
    }

    /// Sends a backup what it lacks before a place.
    pub(super) fn mend(&mut self, member: u32, to: u32, behind: u64, cx: &mut Cx<'_, '_>) {
        let (now, interval) = (cx.now(), self.law().resend);
        let desk = self.desk(member);
        let it = &mut desk.peers[to as usize];
        (it.mended, it.resend) = (Some(now), Some((now.saturating_add(interval), false)));
        let (mut first, last) = (it.matched + 1, behind.min(it.next) - 1);
        if first <= desk.log.base() {
            return self.send_state(member, to, cx);
        }
        while first <= last {
            let most = (last + 1 - first).min(BATCH) as usize;
            let updates: Vec<Update<R>> = self.desk_of(member).log.from(first, most).cloned().collect();
            let index = first - 1;
            first += most as u64;
            self.send_updates(member, to, index, updates, cx);
        }
    }
}
