//! View changes (TOCS, 4.4): another primary, and what it has to order.

use super::super::member::{NEVER, event};
use super::super::shared::Shared;
use super::message::{Batch, Certificate, Message, NOTHING, NewView, Order, Seal, ViewChange, verify};
use super::replica::{Cx, Replica};
use super::{Flaw, Rules, notes};

/// What wishes for a view make its primary order: the latest stable checkpoint of any of them, and the digest for each sequence number
/// from there to the last that was prepared, which is that of the certificate of the latest view.
pub(super) fn orders_of(changes: &[Shared<ViewChange>]) -> (Option<Certificate>, Vec<(u64, u64)>) {
    let stable = changes
        .iter()
        .filter_map(|change| change.stable)
        .max_by_key(|stable| stable.seq);
    let low = stable.map_or(0, |stable| stable.seq);
    let certificates = || changes.iter().flat_map(|change| &change.prepared);
    let high = certificates()
        .map(|certificate| certificate.seq)
        .max()
        .unwrap_or(0)
        .max(low);
    let mut latest: Vec<Option<(u64, u64)>> = vec![None; (high - low) as usize];
    for certificate in certificates().filter(|certificate| certificate.seq > low) {
        let place = &mut latest[(certificate.seq - low - 1) as usize];
        if place.is_none_or(|(view, _)| view < certificate.view) {
            *place = Some((certificate.view, certificate.digest));
        }
    }
    let digest = |latest: Option<(u64, u64)>| latest.map_or(NOTHING, |(_, digest)| digest);
    let orders = (low + 1..)
        .zip(latest)
        .map(|(seq, latest)| (seq, digest(latest)))
        .collect();
    (stable, orders)
}

/// Whether a wish is what its sender may wish, and all certificates in it are sound.
pub(super) fn is_sound(change: &ViewChange, rules: &Rules) -> bool {
    let (sizes, low) = ((rules.replicas, rules.quorum()), change.low());
    let is_prepared = |certificate: &Certificate| {
        certificate.view < change.view
            && certificate.seq > low
            && certificate.seq <= low + rules.window
            && certificate.is_sound(Seal::Prepare, sizes)
    };
    let is_stable = |stable: Certificate| {
        stable.seq > 0 && stable.seq.is_multiple_of(rules.checkpoint_every) && stable.is_sound(Seal::Checkpoint, sizes)
    };
    change.by < rules.replicas
        && change.view > 0
        && verify(change.by, Seal::ViewChange, change.content(), change.seal)
        && change.stable.is_none_or(is_stable)
        && change.prepared.is_sorted_by(|a, b| a.seq < b.seq)
        && change.prepared.iter().all(is_prepared)
}

/// How many signatures are in a wish.
fn seals_of(change: &ViewChange) -> usize {
    let certificates = change.stable.iter().chain(&change.prepared);
    1 + certificates
        .map(|certificate| certificate.signers.count_ones() as usize)
        .sum::<usize>()
}

impl Replica {
    /// Leaves its view.
    fn leave_for(&mut self, view: u64, cx: &mut Cx<'_, '_>) {
        if self.active && self.is_primary(cx.rules) {
            cx.note(event::YIELDS, self.view, 0);
        }
        self.view = view;
        self.active = false;
        self.timer = NEVER;
        self.queue.clear();
        self.log.renew();
    }

    /// Asks for another view.
    pub(super) fn want_view(&mut self, view: u64, cx: &mut Cx<'_, '_>) {
        self.leave_for(view, cx);
        self.failures += 1;
        cx.note(event::STANDS, view, 0);
        let prepared = match cx.rules.flaw {
            Flaw::ForgetsPrepared => Vec::new(),
            _ => self
                .log
                .numbers()
                .filter_map(|seq| self.log.get(seq)?.certificate)
                .collect(),
        };
        let mut change = ViewChange {
            view,
            stable: self.stable,
            prepared,
            by: self.me,
            seal: 0,
        };
        change.seal = cx.seal(self.signer, Seal::ViewChange, change.content());
        let change = Shared::new(change);
        self.changes[self.me as usize] = Some(change.clone());
        self.say_to_all(Message::ViewChange(change), cx);
        self.weigh_changes(cx);
    }

    pub(super) fn on_view_change(&mut self, change: Shared<ViewChange>, cx: &mut Cx<'_, '_>) -> bool {
        let known = self.changes.get(change.by as usize).and_then(Option::as_ref);
        if known.is_some_and(|known| known.view >= change.view) || change.view < self.view {
            return true;
        }
        let rules = cx.rules;
        if !cx.trusts(seals_of(&change), || is_sound(&change, rules)) {
            return false;
        }
        let by = change.by as usize;
        if self.active && change.view == self.view {
            // It hasn't heard that the view has begun; its status will say so.
            return true;
        }
        self.changes[by] = Some(change);
        self.weigh_changes(cx);
        true
    }

    fn wishes_from(&self, view: u64) -> impl Iterator<Item = &Shared<ViewChange>> {
        self.changes.iter().flatten().filter(move |change| change.view >= view)
    }

    /// Whether a quorum waits for its view or a later one. Patience begins then: nobody runs away from the others.
    pub(super) fn has_company(&self, rules: &Rules) -> bool {
        self.wishes_from(self.view).count() >= rules.quorum() as usize
    }

    /// Does what the wishes of all replicas make it do.
    fn weigh_changes(&mut self, cx: &mut Cx<'_, '_>) {
        // More than may be faulty want to go on: one of them is correct.
        let later = self.wishes_from(self.view + 1).map(|change| change.view);
        let (count, nearest) = later.fold((0, u64::MAX), |(count, nearest), view| (count + 1, nearest.min(view)));
        if count >= cx.rules.some_correct() {
            return self.want_view(nearest, cx);
        }
        if self.active {
            return;
        }
        let quorum = cx.rules.quorum() as usize;
        if self.is_primary(cx.rules) {
            let view = self.view;
            let own = |change: &&Shared<ViewChange>| change.view == view;
            let mut changes: Vec<_> = self.wishes_from(view).filter(own).cloned().collect();
            if changes.len() >= quorum {
                changes.truncate(quorum);
                self.begin_view(changes, cx);
            }
        }
    }

    /// Begins its view as the primary.
    fn begin_view(&mut self, changes: Vec<Shared<ViewChange>>, cx: &mut Cx<'_, '_>) {
        let view = self.view;
        let (_, orders) = orders_of(&changes);
        let order = |(seq, digest): (u64, u64)| Order {
            seq,
            digest,
            seal: self.signer.seal(Seal::Prepare, [view, seq, digest]),
        };
        let orders: Vec<Order> = orders.into_iter().map(order).collect();
        cx.io.work(cx.rules.sign * orders.len() as u64);
        let mut new = NewView {
            view,
            changes,
            orders,
            seal: 0,
        };
        new.seal = cx.seal(self.signer, Seal::NewView, new.content());
        let new = Shared::new(new);
        self.say_to_all(Message::NewView(new.clone()), cx);
        self.enter(new, cx);
    }

    pub(super) fn on_new_view(&mut self, new: Shared<NewView>, cx: &mut Cx<'_, '_>) -> bool {
        if new.view < self.view || (new.view == self.view && self.active) || new.view == 0 {
            return true;
        }
        let (rules, primary) = (cx.rules, cx.rules.primary(new.view));
        let seals = 1 + new.orders.len() + new.changes.iter().map(|change| seals_of(change)).sum::<usize>();
        let is_sound = || {
            let mut by = 0u128;
            let is_wish = |change: &Shared<ViewChange>| change.view == new.view && is_sound(change, rules);
            let sealed = |order: &Order| {
                let content = [new.view, order.seq, order.digest];
                verify(primary, Seal::Prepare, content, order.seal)
            };
            if !verify(primary, Seal::NewView, new.content(), new.seal)
                || !new.changes.iter().all(is_wish)
                || !new.orders.iter().all(sealed)
            {
                return false;
            }
            new.changes.iter().for_each(|change| by |= 1 << change.by);
            let orders = new.orders.iter().map(|order| (order.seq, order.digest));
            let is_right = rules.flaw == Flaw::TrustsNewViews || orders.eq(orders_of(&new.changes).1);
            is_right && by.count_ones() >= rules.quorum()
        };
        if !cx.trusts(seals, is_sound) {
            return false;
        }
        if new.view > self.view {
            self.leave_for(new.view, cx);
        }
        self.enter(new, cx);
        true
    }

    /// Enters its view.
    fn enter(&mut self, new: Shared<NewView>, cx: &mut Cx<'_, '_>) {
        let (stable, _) = orders_of(&new.changes);
        self.active = true;
        self.timer = NEVER;
        self.new_view = Some(new.clone());
        cx.note(notes::ENTERED, self.view, 0);
        if let Some(proof) = stable {
            self.take_stable(proof, cx);
            if proof.seq > self.log.low() {
                // The others have no votes for what lies below it any more.
                self.log.truncate(proof.seq);
                self.stable = Some(proof);
                self.snapshots.retain(|snapshot| snapshot.seq() >= proof.seq);
            }
        }
        let nothing = Shared::new(Batch::of(Vec::new()));
        for order in &new.orders {
            let Some(slot) = self.log.get(order.seq) else {
                continue;
            };
            let batch = match order.digest {
                NOTHING => Some(nothing.clone()),
                digest => slot.find(digest),
            };
            self.accept(order.seq, (order.digest, order.seal), batch, cx.rules);
        }
        let last = new.orders.last().map_or(0, |order| order.seq);
        let is_decided = |seq: &u64| self.log.get(*seq).is_some_and(|slot| slot.decided.is_some());
        self.top = self.log.numbers().rfind(is_decided).unwrap_or(0).max(last);
        self.next = last.max(self.log.low()) + 1;
        let is_primary = self.is_primary(cx.rules);
        for order in &new.orders {
            match is_primary {
                true => self.advance(order.seq, cx),
                false => self.agree(order.seq, cx),
            }
        }
        if is_primary {
            cx.note(event::LEADS, self.view, 0);
            self.queue_anew();
            self.order(cx);
        } else {
            self.pass_on_waiting(cx);
        }
        self.catch_up(cx);
    }

    /// Queues what waits and isn't ordered yet, and what was ordered in views before and not prepared.
    fn queue_anew(&mut self) {
        let mut ordered = super::super::shared::Table::default();
        let mut orphaned = Vec::new();
        for slot in self.log.numbers().filter_map(|seq| self.log.get(seq)) {
            for request in slot.batch.iter().flat_map(|batch| &batch.requests) {
                ordered.insert(request.identity, 0);
            }
            for batch in &slot.batches {
                orphaned.extend(batch.requests.iter().copied());
            }
        }
        self.queue.clear();
        // 0: it is ordered in this view; 1: it has been dealt with here.
        for request in orphaned.into_iter().chain(std::mem::take(&mut self.arrivals)) {
            let place = ordered.get(request.identity);
            if self.state.result(request.identity).is_some() || place == Some(1) {
                continue;
            }
            if place.is_none() {
                self.queue.push_back(request);
            }
            ordered.insert(request.identity, 1);
            self.waiting.insert(request.identity, 0);
            self.arrivals.push_back(request);
        }
    }
}
