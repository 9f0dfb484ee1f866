//! Who is the primary when it fails, and how a replica gets over the loss of its state.
//!
//! Guarantees: with synchronous copies, whoever takes over has every update that was ever acknowledged, and from then on no older
//! primary can have one acknowledged: of any replicas that promise, one had each of them, and one would have to confirm. What a replica
//! confirmed or promised before it lost its state still binds it afterwards.

use super::super::store::Store;
use super::letters::{Image, Letter};
use super::{Campaign, Desk, Epoch, Failover, Flaw, Members, Peer, Recovery, Role};
use crate::kernel::{SimDuration, SimTime};
use crate::state::Resolution;
use crate::world::population::Cx;
use crate::world::slab::Handle;

impl<R: Resolution> Store<R> {
    /// A letter of a primary has come: it is followed from now on.
    pub(super) fn follow(&mut self, member: u32, epoch: Epoch, cx: &mut Cx<'_, '_>) {
        let unfenced = self.law().flaw == Flaw::Unfenced;
        let desk = self.desk(member);
        if epoch > desk.epoch || unfenced && epoch != desk.epoch {
            self.enter(member, epoch, cx);
        }
        let desk = self.desk(member);
        desk.heard = cx.now();
        desk.campaign = None;
        self.serve_parked(member, cx);
    }

    /// A replica follows another primary, or whoever is going to be it.
    fn enter(&mut self, member: u32, epoch: Epoch, cx: &mut Cx<'_, '_>) {
        let desk = self.desk(member);
        desk.epoch = epoch;
        desk.verified = 0;
        desk.early.clear();
        desk.campaign = None;
        desk.heard = cx.now();
        if std::mem::replace(&mut desk.role, Role::Backup) == Role::Primary {
            self.refuse_updates(member, cx);
        }
    }

    /// Somebody knows of a later epoch.
    pub(super) fn hear_fenced(&mut self, member: u32, epoch: Epoch, cx: &mut Cx<'_, '_>) {
        let life = self.replicas[member as usize].origin.life();
        let desk = self.desk(member);
        if epoch <= desk.epoch {
            // It may still be later than the one that a candidate asks for.
            if let Some(campaign) = desk.campaign.as_mut().filter(|campaign| campaign.epoch < epoch) {
                (campaign.epoch, campaign.promised) = (epoch.next(member, life), Members::default());
                campaign.again = cx.now();
            }
            return;
        }
        if epoch.primary() != member {
            self.enter(member, epoch, cx);
            self.serve_parked(member, cx);
        }
    }

    /// How long a replica that hasn't heard the primary waits before it wants to take over: one behind another, in the order
    /// of names from the primary on.
    fn patience(&self, member: u32, failover: Failover) -> SimDuration {
        let (all, primary) = (self.replicas.len() as u32, self.desk_of(member).epoch.primary());
        let turn = u64::from((member + all - primary + all - 1) % all);
        let after = failover.after.as_nanos();
        SimDuration::from_nanos(after.saturating_add(turn.saturating_mul(after / 2)))
    }

    /// When a replica wants to take over, if it does.
    pub(super) fn takeover_due(&self, member: u32) -> Option<SimTime> {
        let failover = self.law().failover?;
        let desk = self.desk_of(member);
        match &desk.campaign {
            Some(campaign) => Some(campaign.again),
            None if desk.role == Role::Backup && self.replicas.len() > 1 => {
                Some(desk.heard.saturating_add(self.patience(member, failover)))
            }
            None => None,
        }
    }

    /// When a primary that is voted for steps down, unless a majority confirms before that it hears it.
    pub(super) fn step_down_due(&self, member: u32) -> Option<SimTime> {
        let failover = self.law().failover.filter(|failover| failover.majority)?;
        let (desk, others) = (self.desk_of(member), self.replicas.len() / 2);
        if desk.role != Role::Primary || others == 0 {
            return None;
        }
        let peers = (0u32..).zip(&desk.peers).filter(|(peer, _)| *peer != member);
        let mut heard: Vec<SimTime> = peers
            .map(|(_, peer)| peer.confirmed.unwrap_or_default().max(desk.heard))
            .collect();
        heard.sort_unstable();
        Some(heard[heard.len() - others].saturating_add(failover.after))
    }

    /// A primary gives up: it doesn't reach a majority, and somebody else may be voted for.
    pub(super) fn step_down(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let desk = self.desk(member);
        (desk.role, desk.heard) = (Role::Backup, cx.now());
        self.refuse_updates(member, cx);
    }

    /// A replica wants to take over, or asks those again who haven't promised yet.
    pub(super) fn campaign(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let again = cx.now().saturating_add(self.law().resend);
        let life = self.replicas[member as usize].origin.life();
        let desk = self.desk(member);
        let epoch = desk.epoch.next(member, life);
        let campaign = desk.campaign.get_or_insert_with(|| Campaign {
            epoch,
            promised: Members::default(),
            best: None,
            again,
        });
        campaign.again = again;
        let (epoch, promised) = (campaign.epoch, campaign.promised);
        let (normal, last) = (desk.normal, desk.log.last());
        if self.is_promised(promised) {
            return self.take_primacy(member, cx);
        }
        for to in (0..self.replicas.len() as u32).filter(|to| *to != member && !promised.has(*to)) {
            self.write_to(member, to, Letter::Ask { epoch, normal, last }, cx);
        }
    }

    /// Whether enough others have promised.
    fn is_promised(&self, promised: Members) -> bool {
        let replicas = self.replicas.len() as u32;
        promised.count() + 1 >= self.law().promises(replicas)
    }

    /// Somebody wants to take over.
    pub(super) fn hear_ask(
        &mut self,
        member: u32,
        from: u32,
        epoch: Epoch,
        (normal, last): (Epoch, u64),
        answer: u64,
        cx: &mut Cx<'_, '_>,
    ) {
        let now = cx.now();
        let Some(failover) = self.law().failover else { return };
        let desk = self.desk_of(member);
        if epoch < desk.epoch {
            let epoch = desk.epoch;
            return self.post(member, from, Letter::Fenced { epoch }, answer, cx);
        }
        if epoch > desk.epoch {
            // Whoever hears the primary doesn't help to replace it; nor does the primary itself. As long as its lease may last nobody does.
            let quiet = failover
                .lease
                .unwrap_or(SimDuration::from_nanos(failover.after.as_nanos() / 2));
            let is_own = from == desk.epoch.primary();
            if !is_own && (desk.role == Role::Primary || now < desk.heard.saturating_add(quiet)) {
                return;
            }
            self.enter(member, epoch, cx);
        }
        let desk = self.desk_of(member);
        let is_better = (desk.normal, desk.log.last()) > (normal, last);
        let better = is_better.then(|| (desk.normal, self.image(member, true)));
        self.post(member, from, Letter::Promise { epoch, better }, answer, cx);
        self.serve_parked(member, cx);
    }

    /// Somebody has promised.
    pub(super) fn hear_promise(
        &mut self,
        member: u32,
        from: u32,
        epoch: Epoch,
        better: Option<(Epoch, Image<R>)>,
        cx: &mut Cx<'_, '_>,
    ) {
        let desk = self.desk(member);
        let Some(campaign) = desk.campaign.as_mut().filter(|campaign| campaign.epoch == epoch) else {
            return;
        };
        campaign.promised = campaign.promised.with(from);
        if let Some((normal, image)) = better {
            let rank = (normal, image.last());
            if campaign
                .best
                .as_ref()
                .is_none_or(|(normal, best)| (*normal, best.last()) < rank)
            {
                campaign.best = Some((normal, image));
            }
        }
        let promised = campaign.promised;
        if self.is_promised(promised) {
            self.take_primacy(member, cx);
        }
    }

    /// A replica is the primary from now on, with the best log that it knows of.
    fn take_primacy(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let own_log = self.law().flaw == Flaw::OwnLog;
        let desk = self.desk(member);
        let Some(campaign) = desk.campaign.take() else { return };
        let mine = (desk.normal, desk.log.last());
        if let Some((normal, image)) = campaign.best
            && (normal, image.last()) > mine
            && !own_log
        {
            self.take_image(member, image, cx);
        }
        self.begin_epoch(member, campaign.epoch, cx);
    }

    /// A replica is the primary of a new epoch.
    fn begin_epoch(&mut self, member: u32, epoch: Epoch, cx: &mut Cx<'_, '_>) {
        self.make_tips(member);
        let desk = self.desk(member);
        (desk.epoch, desk.normal, desk.role) = (epoch, epoch, Role::Primary);
        desk.early.clear();
        self.set_up(member, cx);
    }

    /// A primary begins, or is back from a crash: what its backups have is to be found out.
    fn set_up(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let desk = self.desk(member);
        let last = desk.log.last();
        desk.floor = last;
        (desk.beat, desk.heard) = (cx.now(), cx.now());
        for peer in &mut desk.peers {
            *peer = Peer {
                next: last + 1,
                out: peer.out,
                ..Peer::default()
            };
        }
        self.commit_more(member, cx);
        self.pump_all(member, cx);
    }

    /// A replica stops: who waited there is dropped, and what it can't have kept is forgotten.
    pub(in crate::stores) fn close_desk(&mut self, member: u32, keep_state: bool) -> Vec<Handle> {
        let replicas = self.replicas.len();
        let Some(primary) = self.spec.primary().map(|rules| rules.primary) else {
            return Vec::new();
        };
        let amnesiac = self.law().flaw == Flaw::Amnesiac;
        let desk = self.desk(member);
        let dropped = desk.drop_waiting();
        (desk.campaign, desk.recovery) = (None, None);
        if !keep_state {
            let (generation, letters, waits, epoch) = (desk.generation, desk.letters, desk.waits, desk.epoch);
            *desk = Desk::new(member, primary, replicas);
            (desk.generation, desk.letters, desk.waits) = (generation, letters, waits);
            if replicas == 1 {
                // Nobody can be asked, and no place in the log is given twice.
                (desk.epoch, desk.normal) = (epoch.next(member, 0), epoch.next(member, 0));
            } else if !amnesiac {
                desk.role = Role::Recovering;
            }
        }
        self.desk(member).armed = None;
        dropped
    }

    /// A replica is back from a crash, with its state or without.
    pub(in crate::stores) fn open_desk(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        if self.spec.primary().is_none() {
            return;
        }
        let desk = self.desk(member);
        desk.heard = cx.now();
        match desk.role {
            Role::Primary => self.set_up(member, cx),
            Role::Backup => {}
            Role::Recovering => {
                desk.recovery = Some(Recovery {
                    answered: Members::default(),
                    epoch: desk.epoch,
                    best: None,
                    again: cx.now(),
                });
            }
        }
        self.arm(member, cx);
    }

    /// A replica that has lost its state asks those who haven't answered.
    pub(super) fn ask_for_state(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let again = cx.now().saturating_add(self.law().resend);
        let life = self.replicas[member as usize].origin.life();
        let Some(recovery) = self.desk(member).recovery.as_mut() else {
            return;
        };
        recovery.again = again;
        let answered = recovery.answered;
        for to in (0..self.replicas.len() as u32).filter(|to| *to != member && !answered.has(*to)) {
            self.write_to(member, to, Letter::Lost { life }, cx);
        }
    }

    /// How many others have to say what they have before a replica that has lost its state goes on: so many that one of them has
    /// each acknowledged update, and one knows of each takeover that the replica may have promised.
    fn answers_needed(&self, member: u32) -> u32 {
        let (rules, replicas) = (self.law(), self.replicas.len() as u32);
        let (needed, is_first) = (rules.needed(replicas), rules.primary == member);
        let enough = match rules.failover {
            _ if rules.in_sync.is_some() && is_first => replicas - 1,
            _ if needed == 0 => 1,
            None if is_first => replicas - needed,
            None => 1,
            // Who takes over alone has nothing acknowledged before all others follow it, and know of it.
            Some(_) if needed == replicas - 1 => 1,
            Some(_) => (needed + 1).max(replicas - needed),
        };
        enough.min(replicas - 1)
    }

    /// Whether a replica that has lost its state can't go on, whatever it hears from those who stand.
    pub(super) fn is_lost(&self, member: u32, stand: impl Iterator<Item = u32> + Clone) -> bool {
        let others = stand.filter(|other| *other != member && self.desk_of(*other).role != Role::Recovering);
        let latest = others.clone().map(|other| self.desk_of(other).epoch).max();
        let has_primary = latest
            .is_some_and(|epoch| epoch.primary() == member || others.clone().any(|other| other == epoch.primary()));
        let needs_primary = self.law().needed(self.replicas.len() as u32) > 0;
        (others.count() as u32) < self.answers_needed(member) || needs_primary && !has_primary
    }

    /// Another replica has said what it has.
    pub(super) fn hear_known(
        &mut self,
        member: u32,
        from: u32,
        life: u16,
        (epoch, is_primary): (Epoch, bool),
        (normal, image): (Epoch, Image<R>),
        cx: &mut Cx<'_, '_>,
    ) {
        if life != self.replicas[member as usize].origin.life() {
            return;
        }
        let needed = self.law().needed(self.replicas.len() as u32);
        let (enough, fails_over) = (self.answers_needed(member), self.law().failover.is_some());
        let Some(recovery) = self.desk(member).recovery.as_mut() else {
            return;
        };
        recovery.answered = recovery.answered.with(from);
        recovery.epoch = recovery.epoch.max(epoch);
        let rank = |normal: Epoch, image: &Image<R>| (normal, image.last());
        let is_best = recovery
            .best
            .as_ref()
            .is_none_or(|(other, best)| rank(*other, best) < rank(normal, &image));
        if is_best || is_primary && epoch >= recovery.epoch {
            recovery.best = Some((normal, image));
        }
        let heard = recovery.answered.count();
        let primary = recovery.epoch.primary();
        let has_primary = primary == member || recovery.answered.has(primary);
        if heard < enough || !has_primary && needed > 0 {
            return;
        }
        let Some(recovery) = self.desk(member).recovery.take() else {
            return;
        };
        if let Some((normal, image)) = recovery.best {
            self.take_image(member, image, cx);
            self.desk(member).normal = normal;
        }
        let desk = self.desk(member);
        (desk.epoch, desk.role, desk.heard) = (recovery.epoch, Role::Backup, cx.now());
        desk.verified = 0;
        if recovery.epoch.primary() == member {
            let epoch = recovery.epoch.next(member, life);
            if fails_over {
                self.campaign(member, cx);
            } else {
                self.begin_epoch(member, epoch, cx);
            }
        }
        self.serve_parked(member, cx);
    }
}
