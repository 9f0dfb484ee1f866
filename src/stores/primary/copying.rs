//! Letters between replicas, and how the log gets to the backups.
//!
//! Guarantees: a backup's log is the primary's up to where it confirms. What a letter says of an older epoch than the receiver's
//! has no effect but that its sender hears of the later one.

use super::super::replication::{Content, bytes_of, merge, toward};
use super::super::store::Store;
use super::super::words::store_key;
use super::letters::{Image, Letter};
use super::log::{Log, Update};
use super::{At, Desk, Flaw, Peer, Role};
use crate::kernel::SimTime;
use crate::state::Resolution;
use crate::world::call::answer_address;
use crate::world::message::Message;
use crate::world::population::Cx;
use crate::world::record::What;

pub(in crate::stores) use super::super::replication::topic;

/// The most updates of a letter.
pub(super) const BATCH: u64 = 64;
/// The most updates that a backup is sent and hasn't confirmed.
const WINDOW: u64 = 256;
/// The most updates that a backup keeps until a gap before them is closed.
const EARLY: usize = 1024;
/// Where the addresses of letters begin, apart from those of exchanges.
const LETTERS: u64 = 0x6c65_7474 << 32;

impl<R: Resolution> Store<R> {
    /// Sends a letter of a replica's own accord.
    pub(super) fn write_to(&mut self, member: u32, to: u32, letter: Letter<R>, cx: &mut Cx<'_, '_>) {
        let desk = self.desk(member);
        desk.letters += 1;
        let about = LETTERS ^ desk.letters;
        let address = toward(about, self.replicas[to as usize].endpoint.key);
        self.post(member, to, letter, address, cx);
    }

    pub(super) fn post(&mut self, member: u32, to: u32, letter: Letter<R>, address: u64, cx: &mut Cx<'_, '_>) {
        let bytes = u64::from(bytes_of(letter.size(&self.model, self.spec.value_bytes)));
        let to = self.replicas[to as usize].endpoint.id;
        self.send_content(
            member,
            (to, topic::LETTER),
            Content::Letter(Box::new(letter)),
            bytes,
            address,
            cx,
        );
    }

    /// Everything that a replica has; `with_tail`: also what isn't acknowledged.
    pub(super) fn image(&self, member: u32, with_tail: bool) -> Image<R> {
        let replica = &self.replicas[member as usize];
        let desk = self.desk_of(member);
        let slots = (0..).zip(&replica.slots).filter(|(_, slot)| slot.touched);
        let epoch = desk.log.epoch_at(desk.commit).unwrap_or_else(|| {
            assert!(
                self.law().flaw != Flaw::None,
                "what was acknowledged last is in the log"
            );
            desk.epoch
        });
        let upto = if with_tail { u64::MAX } else { desk.commit };
        let calls = desk.calls.iter().filter(|(_, place)| **place <= upto);
        let tail = desk.log.from(desk.commit + 1, usize::MAX).filter(|_| with_tail);
        Image {
            at: At {
                epoch,
                index: desk.commit,
            },
            entries: slots.map(|(key, slot)| (key, slot.entry.clone())).collect(),
            calls: calls.map(|(identity, place)| (*identity, *place)).collect(),
            fences: replica.fences.iter().map(|(lock, token)| (*lock, *token)).collect(),
            tail: tail.cloned().collect(),
        }
    }

    /// A replica goes on with what another one has. What it had shown and the other doesn't have is taken back.
    pub(super) fn take_image(&mut self, member: u32, image: Image<R>, cx: &mut Cx<'_, '_>) {
        let desk = self.desk(member);
        let is_ahead = desk.commit > image.at.index && !desk.diverged;
        if !is_ahead {
            for (key, entry) in &image.entries {
                self.take_entry(member, *key, entry, cx);
            }
            let shown: std::collections::BTreeSet<u32> = image.entries.iter().map(|(key, _)| *key).collect();
            for key in 0..self.spec.keys.len() as u32 {
                if !shown.contains(&key) && self.replicas[member as usize].slots[key as usize].touched {
                    let fresh = self.model.fresh(self.spec.keys[key as usize].1);
                    self.take_entry(member, key, &fresh, cx);
                }
            }
            let desk = self.desk(member);
            (desk.log, desk.commit) = (Log::after(image.at), image.at.index);
            desk.calls.clear();
        }
        for (lock, token) in &image.fences {
            self.see_token(member, *lock, *token);
        }
        for fence in image.tail.iter().filter_map(|update| update.fence) {
            self.see_token(member, fence.lock, fence.token);
        }
        let desk = self.desk(member);
        desk.cut_back(desk.commit);
        desk.calls.extend(image.calls);
        let skip = (desk.commit - image.at.index) as usize;
        image
            .tail
            .into_iter()
            .skip(skip)
            .for_each(|update| desk.log.push(update));
        desk.early.clear();
        desk.diverged = false;
    }

    /// An update of the log has come under a lock: it is one that this replica has seen, should it be the primary.
    fn see_token(&mut self, member: u32, lock: u32, token: u64) {
        let newest = self.replicas[member as usize].fences.entry(lock).or_default();
        *newest = token.max(*newest);
    }

    fn take_entry(&mut self, member: u32, key: u32, theirs: &R::Entry, cx: &mut Cx<'_, '_>) {
        let replica = &mut self.replicas[member as usize];
        let slot = &mut replica.slots[key as usize];
        let (mine, id) = (self.model.stamp(&slot.entry), replica.endpoint.id);
        if mine > self.model.stamp(theirs) {
            cx.record(What::TakenBack, id, [store_key(self.index, key), 0, 0]);
            slot.entry = self.model.fresh(self.spec.keys[key as usize].1);
            super::super::replica::show(&self.model, slot, id, store_key(self.index, key), cx);
        }
        self.join_entry(member, key, theirs, cx);
    }

    /// Finds anew what keys are at the log's end.
    pub(super) fn make_tips(&mut self, member: u32) {
        let replica = &mut self.replicas[member as usize];
        let desk = replica.desk.as_mut().expect("the store has a primary");
        desk.tips.clear();
        for update in desk.log.from(desk.commit + 1, usize::MAX) {
            let entry = &replica.slots[update.key as usize].entry;
            let tip = desk.tips.entry(update.key).or_insert_with(|| entry.clone());
            self.model.merge(tip, &update.delta, &mut |_| {});
        }
    }

    /// Shows a stretch of the log.
    fn apply(&mut self, member: u32, first: u64, last: u64, cx: &mut Cx<'_, '_>) {
        for index in first..=last {
            let replica = &mut self.replicas[member as usize];
            let desk = replica.desk.as_ref().expect("the store has a primary");
            let Some(update) = desk.log.get(index) else { continue };
            let (key, delta) = (update.key, update.delta.clone());
            merge((&self.model, &self.spec), replica, self.index, key, &delta, cx);
        }
    }

    /// A replica knows that its log is acknowledged up to here: it shows it, and answers those who wait.
    pub(super) fn commit_to(&mut self, member: u32, commit: u64, cx: &mut Cx<'_, '_>) {
        let desk = self.desk(member);
        let first = desk.commit + 1;
        if commit < first {
            return;
        }
        desk.commit = commit;
        if desk.commit == desk.log.last() {
            desk.tips.clear();
        }
        self.apply(member, first, commit, cx);
        let desk = self.desk(member);
        desk.log.trim(commit);
        self.answer_committed(member, cx);
    }

    /// The primary looks whether more of its log is acknowledged.
    pub(super) fn commit_more(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let replicas = self.replicas.len() as u32;
        let (needed, early) = (self.law().needed(replicas), self.law().flaw == Flaw::AcknowledgesEarly);
        let desk = self.desk_of(member);
        if desk.role != Role::Primary {
            return;
        }
        let commit = if needed == 0 || early {
            desk.log.last()
        } else {
            let out = desk.peers.iter().filter(|peer| peer.out).count() as u32;
            let backups = (0..).zip(&desk.peers).filter(|(peer, it)| *peer != member && !it.out);
            let mut matched: Vec<u64> = backups.map(|(_, peer)| peer.matched).collect();
            matched.sort_unstable_by(|a, b| b.cmp(a));
            // A backup that is out isn't waited for.
            match needed - out.min(needed) {
                0 => desk.log.last(),
                needed => matched.get(needed as usize - 1).copied().unwrap_or(0),
            }
        };
        // What an earlier primary has left is acknowledged with the whole log, so that who has it has a log of this epoch.
        if commit >= desk.floor && commit > desk.commit {
            self.commit_to(member, commit, cx);
        }
        self.serve_parked(member, cx);
    }

    /// Sends every backup what it lacks, as far as that isn't under way.
    pub(super) fn pump_all(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        (0..self.replicas.len() as u32)
            .filter(|peer| *peer != member)
            .for_each(|peer| self.pump(member, peer, cx));
    }

    fn pump(&mut self, member: u32, to: u32, cx: &mut Cx<'_, '_>) {
        loop {
            let desk = self.desk_of(member);
            let (last, peer) = (desk.log.last(), &desk.peers[to as usize]);
            if desk.role != Role::Primary {
                return;
            }
            if peer.next <= desk.log.base() && peer.known {
                if peer.resend.is_none() {
                    self.send_state(member, to, cx);
                }
                return;
            }
            let window = peer.known && peer.next <= last && peer.next <= peer.matched + WINDOW;
            // Of what it hasn't got it can't be told that it is acknowledged.
            let word = peer.known && peer.told < desk.commit.min(peer.next - 1);
            let probe = !peer.known && peer.resend.is_none();
            if !window && !word && !probe {
                return;
            }
            self.send_next(member, to, cx);
        }
    }

    /// Sends the next updates to a backup, or none if there are none or it isn't known where its log differs.
    pub(super) fn send_next(&mut self, member: u32, to: u32, cx: &mut Cx<'_, '_>) {
        let (now, interval) = (cx.now(), self.law().resend);
        let desk = self.desk(member);
        let peer = desk.peers[to as usize];
        if desk.log.epoch_at(peer.next - 1).is_none() {
            return self.send_state(member, to, cx);
        }
        let most = if peer.known { BATCH as usize } else { 0 };
        let updates: Vec<Update<R>> = desk.log.from(peer.next, most).cloned().collect();
        let commit = desk.commit;
        let it = &mut desk.peers[to as usize];
        it.next += updates.len() as u64;
        it.told = commit.min(it.next - 1);
        it.resend.get_or_insert((now.saturating_add(interval), false));
        self.send_updates(member, to, peer.next - 1, updates, cx);
    }

    pub(super) fn send_updates(
        &mut self,
        member: u32,
        to: u32,
        index: u64,
        updates: Vec<Update<R>>,
        cx: &mut Cx<'_, '_>,
    ) {
        let now = cx.now();
        let desk = self.desk(member);
        let (commit, floor, epoch) = (desk.commit, desk.floor, desk.epoch);
        let before = desk.log.epoch_at(index).expect("the place is in the log");
        let letter = Letter::Append {
            epoch,
            previous: At { epoch: before, index },
            updates,
            commit,
            floor,
            sent: now,
        };
        self.write_to(member, to, letter, cx);
    }

    pub(super) fn send_state(&mut self, member: u32, to: u32, cx: &mut Cx<'_, '_>) {
        let (now, interval) = (cx.now(), self.law().resend);
        let image = self.image(member, false);
        let desk = self.desk(member);
        let (epoch, floor) = (desk.epoch, desk.floor);
        let it = &mut desk.peers[to as usize];
        it.next = image.at.index + 1;
        it.told = image.at.index;
        it.resend.get_or_insert((now.saturating_add(interval), false));
        self.write_to(
            member,
            to,
            Letter::State {
                epoch,
                image,
                floor,
                sent: now,
            },
            cx,
        );
    }

    /// A letter has come.
    pub(in crate::stores) fn read_letter(
        &mut self,
        member: u32,
        message: &Message,
        letter: Letter<R>,
        cx: &mut Cx<'_, '_>,
    ) {
        let from = message.from - self.replicas[0].endpoint.id;
        let answer = toward(
            answer_address(message.about),
            self.replicas[member as usize].endpoint.key,
        );
        let fences = self.law().flaw != Flaw::Unfenced;
        let recovering = self.desk_of(member).role == Role::Recovering;
        match letter {
            Letter::Known {
                life,
                epoch,
                is_primary,
                normal,
                image,
            } => {
                self.hear_known(member, from, life, (epoch, is_primary), (normal, image), cx);
            }
            _ if recovering => {}
            Letter::Append { epoch, .. } | Letter::State { epoch, .. }
                if epoch < self.desk_of(member).epoch && (fences || epoch.primary() == member) =>
            {
                let epoch = self.desk_of(member).epoch;
                self.post(member, from, Letter::Fenced { epoch }, answer, cx);
            }
            Letter::Append {
                epoch,
                previous,
                updates,
                commit,
                floor,
                sent,
            } => {
                self.follow(member, epoch, cx);
                let reply = self.take_updates(member, previous, updates, (commit, floor), sent, cx);
                if let Some(reply) = reply {
                    self.post(member, from, reply, answer, cx);
                }
            }
            Letter::State {
                epoch,
                image,
                floor,
                sent,
            } => {
                self.follow(member, epoch, cx);
                self.take_state(member, image, floor, cx);
                let reply = self.confirmation(member, None, sent);
                self.post(member, from, reply, answer, cx);
            }
            Letter::Confirm {
                epoch,
                verified,
                commit,
                behind,
                sent,
            } => {
                if epoch == self.desk_of(member).epoch {
                    self.confirmed(member, from, (verified, commit), behind, sent, cx);
                }
            }
            Letter::Taken { number } => self.hand_away(member, number, cx),
            Letter::Differs {
                epoch,
                from: place,
                state,
            } => {
                let desk = self.desk(member);
                if epoch == desk.epoch && desk.role == Role::Primary {
                    let peer = &mut desk.peers[from as usize];
                    // Late letters say what was true before the backup confirmed.
                    if !peer.known || state {
                        (peer.next, peer.resend) = (place.min(desk.log.last()) + 1, None);
                        if state {
                            *peer = Peer {
                                out: peer.out,
                                lacks: peer.lacks,
                                confirmed: peer.confirmed,
                                ..Peer::default()
                            };
                            self.send_state(member, from, cx);
                        } else {
                            self.pump(member, from, cx);
                        }
                    } else {
                        // It has a part of what an earlier primary left, and lacks the rest.
                        self.hear_again(member, from, cx);
                    }
                }
            }
            Letter::Fenced { epoch } => self.hear_fenced(member, epoch, cx),
            Letter::Ask { epoch, normal, last } => self.hear_ask(member, from, epoch, (normal, last), answer, cx),
            Letter::Promise { epoch, better } => self.hear_promise(member, from, epoch, better, cx),
            Letter::Lost { life } => {
                let desk = self.desk_of(member);
                let (epoch, normal) = (desk.epoch, desk.normal);
                let is_primary = desk.role == Role::Primary;
                let image = self.image(member, true);
                self.post(
                    member,
                    from,
                    Letter::Known {
                        life,
                        epoch,
                        is_primary,
                        normal,
                        image,
                    },
                    answer,
                    cx,
                );
            }
        }
        self.arm(member, cx);
    }

    /// The bounded reply that a backup gives to what it has taken in.
    fn confirmation(&self, member: u32, behind: Option<u64>, sent: SimTime) -> Letter<R> {
        let desk = self.desk_of(member);
        let (epoch, verified, commit) = (desk.epoch, desk.verified, desk.commit);
        Letter::Confirm {
            epoch,
            verified,
            commit,
            behind,
            sent,
        }
    }

    /// A backup takes the next updates of the primary's log in.
    fn take_updates(
        &mut self,
        member: u32,
        previous: At,
        updates: Vec<Update<R>>,
        (commit, floor): (u64, u64),
        sent: SimTime,
        cx: &mut Cx<'_, '_>,
    ) -> Option<Letter<R>> {
        let skips = self.law().flaw == Flaw::SkipsGaps;
        let desk = self.desk(member);
        let epoch = desk.epoch;
        let differs = |from, state| Some(Letter::Differs { epoch, from, state });
        let is_in_step = desk.normal == epoch;
        if !is_in_step && desk.commit > floor {
            // It has shown more than the primary had when it took over.
            desk.diverged = true;
            return differs(desk.commit, true);
        }
        if previous.index > desk.log.last() && !skips {
            if !is_in_step {
                return differs(desk.log.last(), false);
            }
            let early = (previous.index + 1..).zip(updates);
            let room = EARLY.saturating_sub(desk.early.len());
            desk.early.extend(early.take(room));
            let first = desk.early.first_key_value().map(|(place, _)| *place);
            let behind = first.map_or(previous.index + 1, |first| first.min(previous.index + 1));
            return Some(self.confirmation(member, Some(behind), sent));
        }
        let previous = if skips {
            At {
                index: previous.index.min(desk.log.last()),
                ..previous
            }
        } else {
            previous
        };
        if previous.index >= desk.log.base() && desk.log.epoch_at(previous.index) != Some(previous.epoch) && !skips {
            if previous.index <= desk.commit {
                desk.diverged = true;
                return differs(desk.commit, true);
            }
            return differs(desk.commit, false);
        }
        for fence in updates.iter().filter_map(|update| update.fence) {
            self.see_token(member, fence.lock, fence.token);
        }
        let desk = self.desk(member);
        let mut last = previous.index;
        for (index, update) in (previous.index + 1..).zip(updates) {
            last = index;
            if index < desk.log.base() {
                continue;
            }
            match desk.log.epoch_at(index) {
                Some(mine) if mine == update.epoch => continue,
                Some(_) if index <= desk.commit => {
                    desk.diverged = true;
                    return differs(desk.commit, true);
                }
                Some(_) => desk.cut_back(index - 1),
                None => {}
            }
            desk.add(update);
        }
        if last < desk.log.base() {
            // An old letter about what was acknowledged long ago.
            return Some(self.confirmation(member, None, sent));
        }
        desk.verified = desk.verified.max(last);
        if desk.verified >= floor && desk.normal != epoch {
            // Of older epochs the primary's log has nothing behind its floor.
            let floor = floor.max(desk.log.base());
            let own = desk
                .log
                .from(floor + 1, usize::MAX)
                .take_while(|update| update.epoch == epoch);
            let keep = floor + own.count() as u64;
            desk.cut_back(keep);
            desk.normal = epoch;
        }
        let desk = self.desk(member);
        while let Some(update) = desk.early.remove(&(desk.log.last() + 1)) {
            desk.add(update);
            desk.verified = desk.log.last();
        }
        let upto = desk.log.last();
        desk.early.retain(|place, _| *place > upto);
        let commit = commit.min(desk.verified);
        // Of several gaps this letter may have closed one.
        let behind = desk.early.first_key_value().map(|(place, _)| *place);
        self.commit_to(member, commit, cx);
        Some(self.confirmation(member, behind, sent))
    }

    /// A backup goes on with all that the primary shows.
    fn take_state(&mut self, member: u32, image: Image<R>, floor: u64, cx: &mut Cx<'_, '_>) {
        let desk = self.desk(member);
        if desk.verified >= image.at.index && !desk.diverged {
            return;
        }
        let last = image.at.index;
        if desk.commit > last && !desk.diverged {
            // It has more already, of which this is a part.
            return;
        }
        self.take_image(member, image, cx);
        let desk = self.desk(member);
        desk.verified = last;
        if desk.verified >= floor {
            desk.normal = desk.epoch;
        }
    }

    /// A backup has confirmed.
    fn confirmed(
        &mut self,
        member: u32,
        from: u32,
        (verified, commit): (u64, u64),
        behind: Option<u64>,
        sent: SimTime,
        cx: &mut Cx<'_, '_>,
    ) {
        let (now, interval) = (cx.now(), self.law().resend);
        let desk = self.desk(member);
        if desk.role != Role::Primary {
            return;
        }
        let last = desk.log.last();
        let committed = desk.commit;
        let peer = &mut desk.peers[from as usize];
        let progress = verified > peer.matched || commit > peer.committed || !peer.known;
        (peer.matched, peer.committed) = (peer.matched.max(verified), peer.committed.max(commit));
        peer.next = peer.next.max(peer.matched + 1);
        peer.confirmed = peer.confirmed.max(Some(sent));
        if !std::mem::replace(&mut peer.known, true) {
            peer.next = peer.matched + 1;
        }
        let is_done = peer.matched + 1 >= peer.next && peer.committed >= committed.min(peer.matched);
        if is_done {
            peer.resend = None;
        } else if progress {
            peer.resend = Some((now.saturating_add(interval), false));
        }
        // A letter that left before what was missing was sent again says nothing new about that.
        let is_news = peer.mended.is_none_or(|mended| sent > mended);
        let gap = behind.filter(|behind| is_news && *behind > peer.matched + 1);
        if peer.matched == last {
            (peer.lacks, peer.out) = (None, false);
        }
        if let Some(behind) = gap {
            self.mend(member, from, behind, cx);
        }
        self.commit_more(member, cx);
        self.pump_all(member, cx);
    }
}

impl<R: Resolution> Desk<R> {
    /// Adds an update of the primary's log at the end.
    fn add(&mut self, update: Update<R>) {
        if let Some(identity) = update.identity {
            self.calls.insert(identity, self.log.last() + 1);
        }
        self.log.push(update);
    }

    /// Takes away what stands behind a place, and isn't acknowledged.
    fn cut_back(&mut self, last: u64) {
        for gone in self.log.truncate(last) {
            if let Some(identity) = gone.identity {
                self.calls.remove(&identity);
            }
        }
        self.verified = self.verified.min(last);
    }
}
