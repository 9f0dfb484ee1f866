//! Floor 3: the world of a scenario: populations, the network between them, and the records of what happens.
//!
//! In reading order: [`message`] and [`call`] are what travels, [`pursuit`] how some calls are pursued; [`population`] is who receives it and what they may do; [`record`]
//! is what observers see; this file is the [`World`] that ties them together as a [`Model`] of the kernel.

mod beside;
pub mod call;
pub mod client;
pub mod ledger;
pub mod message;
pub mod population;
pub mod pursuit;
pub mod record;
pub mod slab;
pub mod waiting;

use crate::faults::{Edge, FaultKind, Faults, Keep, Scope, Step};
use crate::kernel::{Entry, Key, Liveness, Model, Origin, Out, SimTime, Ticket, Words, prefetch};
use crate::network::{Arrival, Network, Verdict};
use beside::Beside;
use message::MessageKind;
use population::{Aftermath, Cx, Directory, Disturbance, Halt, Population, Shared, kind};
use record::{Records, What};
use serde::Serialize;
use slab::{Handle, Slab};
use std::collections::BTreeSet;
use std::ops::Range;

/// So many messages under way are taken to lie in the caches: places are used again, the latest first.
const AT_HAND: usize = 4096;

/// A world: the model that the kernel runs for a scenario.
///
/// Between two entries it can be copied and serialised. A copy goes on as the original would, watched by nobody.
#[derive(Clone, Serialize)]
pub struct World {
    groups: Vec<Box<dyn Population>>,
    faults: Faults,
    /// For each timeline of the faults, its place in the total order and the step that comes next.
    timelines: Vec<(Origin, Option<Step>)>,
    /// The measured time is over: only what drains goes on.
    draining: bool,
    /// Whether some population prefetches what requests will need.
    #[serde(skip)]
    expects: bool,
    /// The members of coordination groups that stand beside agents: whatever strikes the agent strikes them.
    #[serde(skip)]
    beside: Beside,
    /// What all populations share.
    pub shared: Shared,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World")
            .field("groups", &self.groups.len())
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}

impl World {
    /// A world without populations; the directory lists those that will come, and the timelines of the faults as its last
    /// group. `ranks` are those of the timelines.
    pub fn empty(directory: Directory, network: Network, faults: Faults, ranks: &[u32], records: Records) -> Self {
        let shared = Shared {
            network,
            directory,
            messages: Slab::default(),
            held: Vec::new(),
            calls: Slab::default(),
            attempts: Slab::default(),
            asks: Slab::default(),
            ledger: None,
            records,
            aftermath: Vec::new(),
            halt: None,
            unfinished: 0,
            stop_when_done: false,
        };
        let timelines = ranks.iter().map(|rank| (Origin::new(*rank), None)).collect();
        Self {
            groups: Vec::new(),
            faults,
            timelines,
            draining: false,
            expects: false,
            beside: Beside::default(),
            shared,
        }
    }

    /// Gives the world its populations, in the order of the directory.
    pub fn populate(&mut self, groups: Vec<Box<dyn Population>>) {
        self.expects = groups.iter().any(|group| group.expects());
        self.groups = groups;
    }

    /// Has members stand beside agents: each run of agents, and the member beside its first.
    pub fn stand_beside(&mut self, runs: Vec<(Range<u32>, u32)>) {
        self.beside = Beside::new(runs);
    }

    /// A population, by its place.
    pub fn group(&self, index: usize) -> &dyn Population {
        self.groups[index].as_ref()
    }

    /// Schedules the first transition of every fault, and the first entries of everybody else.
    pub fn prepare(
        &mut self,
        prepare: &mut crate::kernel::Prepare<'_, u64>,
        starts: impl FnOnce(&mut Starter<'_, '_>),
    ) {
        let base = self.fault_base();
        for (index, (origin, coming)) in self.timelines.iter_mut().enumerate() {
            *coming = self.faults.next(index as u32);
            if let Some(step) = coming {
                prepare.schedule(origin, step.at, kind::FAULT, base + index as u32, 0);
            }
        }
        starts(&mut Starter {
            prepare,
            unfinished: &mut self.shared.unfinished,
        });
    }

    /// The id of the first timeline: the timelines are the directory's last group, whether the others are there yet or not.
    fn fault_base(&self) -> u32 {
        self.shared.directory.groups().last().map_or(0, |place| place.base)
    }

    /// A problem that stopped the run.
    pub fn halted(&self) -> Option<&Halt> {
        self.shared.halt.as_ref()
    }

    /// The measured time is over. From here on only populations that drain go on ([`Population::drains`]): with what is on its
    /// way to them, their own entries, and what faults do to them and to the network. Everybody else stands still: nothing
    /// new is begun, and what is on its way to them stays there.
    pub fn drain(&mut self, now: SimTime) {
        self.outside(now, |_, cx| {
            if cx.wants(What::AnswerUnderWay) {
                cx.record_answers_under_way();
            }
        });
        self.shared.records.measured_until(now);
        self.draining = true;
    }

    /// Whether nothing will happen any more to the populations that drain: nothing is on its way to them, and each of them is
    /// at rest.
    pub fn is_at_rest(&mut self) -> bool {
        let returns = self.timelines.iter().flat_map(|(_, coming)| coming).any(|step| {
            let stops = matches!(
                self.faults.specs()[step.fault as usize].kind,
                FaultKind::Crash { .. } | FaultKind::Pause
            );
            stops && step.edge == Edge::End && self.struck(step).into_iter().any(|entity| self.goes_on(entity))
        });
        if !self.groups.iter_mut().all(|group| group.is_at_rest(returns)) {
            return false;
        }
        let held = self.shared.held.iter().flatten();
        !self
            .shared
            .messages
            .iter()
            .chain(held)
            .any(|message| self.goes_on(message.to) && self.is_news(message))
    }

    /// Whether a message may end the rest of whom it is for.
    fn is_news(&self, message: &message::Message) -> bool {
        let (group, _) = self.shared.directory.locate(message.to);
        message.kind != MessageKind::Peer || self.groups[group as usize].is_news(message)
    }

    /// Whether an entity belongs to a population that goes on in the drain.
    fn goes_on(&self, entity: u32) -> bool {
        let (group, _) = self.shared.directory.locate(entity);
        self.groups.get(group as usize).is_some_and(|group| group.drains())
    }

    /// Whether an entry is to be handled in the drain.
    #[cold]
    fn is_drained(&self, entry: &Entry<u64>) -> bool {
        entry.kind == kind::FAULT || self.goes_on(entry.target)
    }

    /// Lets everybody say what it holds at the end, and hands the last records over.
    pub fn finish(&mut self, now: SimTime) {
        self.outside(now, |groups, cx| {
            if cx.wants(What::Waits) {
                let on_the_way = cx.shared.messages.iter().chain(cx.shared.held.iter().flatten());
                let to: BTreeSet<u32> = on_the_way.map(|message| message.to).collect();
                to.into_iter()
                    .for_each(|to| cx.record(What::Waits, to, [waiting::UNDER_WAY, u64::MAX, 0]));
            }
            for group in groups.iter_mut() {
                group.finish(cx);
            }
        });
        self.shared.records.flush();
    }

    /// Lets `act` look at the populations outside of the loop: what it schedules is thrown away.
    fn outside(&mut self, now: SimTime, act: impl FnOnce(&mut [Box<dyn Population>], &mut Cx<'_, '_>)) {
        let Self { groups, shared, .. } = self;
        crate::kernel::run::outside(now, |out| {
            let mut cx = Cx {
                shared,
                out,
                entry: Ticket {
                    rank: u32::MAX,
                    number: u32::MAX,
                },
            };
            act(groups, &mut cx);
        });
    }

    /// The breaches of the laws that hold in every run: conservation of messages, and every population's own books.
    pub fn audit(&self, end: SimTime) -> Vec<String> {
        let mut breaches = Vec::new();
        let books = self.shared.network.counters();
        if !books.balances() {
            breaches.push(format!(
                "sent and duplicated messages aren't the delivered, lost, held and travelling ones: {books:?}"
            ));
        }
        if books.in_flight != self.shared.messages.len() as u64 {
            breaches.push(format!(
                "{} messages travel, but {} are kept",
                books.in_flight,
                self.shared.messages.len()
            ));
        }
        breaches.extend(self.groups.iter().flat_map(|group| group.audit(end)));
        breaches
    }

    /// The means to act, while an entry is handled.
    fn cx<'a, 'q>(&'a mut self, entry: &Entry<u64>, out: &'a mut Out<'q, u64>) -> Cx<'a, 'q> {
        Cx {
            shared: &mut self.shared,
            out,
            entry: Ticket {
                rank: entry.origin,
                number: entry.number,
            },
        }
    }

    /// Runs something of a group's with the means to act, and deals with what the network did to its messages.
    #[inline]
    fn with_group(
        &mut self,
        entry: &Entry<u64>,
        out: &mut Out<'_, u64>,
        entity: u32,
        act: impl FnOnce(&mut dyn Population, u32, &mut Cx<'_, '_>),
    ) {
        let (group, member) = self.shared.directory.locate(entity);
        let entry = Ticket {
            rank: entry.origin,
            number: entry.number,
        };
        let mut cx = Cx {
            shared: &mut self.shared,
            out,
            entry,
        };
        act(self.groups[group as usize].as_mut(), member, &mut cx);
        if !self.shared.aftermath.is_empty() {
            self.deal_with_aftermath();
        }
    }

    #[cold]
    fn deal_with_aftermath(&mut self) {
        for what in std::mem::take(&mut self.shared.aftermath) {
            match what {
                Aftermath::Lost(message) => {
                    let (group, _) = self.shared.directory.locate(message.from);
                    self.groups[group as usize].lost(&message);
                }
                Aftermath::Doubled(handle) => {
                    if let Some(message) = self.shared.messages.get_mut(handle) {
                        let (group, _) = self.shared.directory.locate(message.from);
                        message.value = self.groups[group as usize].doubled(message);
                    }
                }
            }
        }
    }

    fn deliver(&mut self, entry: &Entry<u64>, out: &mut Out<'_, u64>) {
        let handle = Handle::from_word(entry.body);
        let message = self.shared.messages.take_copy(handle);
        let Shared { network, directory, .. } = &mut self.shared;
        let arrival = network.arrive(message.epoch, || {
            let (from, to) = (directory.site(message.from), directory.site(message.to));
            crate::network::Outgoing {
                from,
                to,
                from_tag: message.from,
                to_tag: message.to,
                kind: message.kind as u8,
                bytes: message.bytes,
                // Never drawn from: what is under way has made its draws.
                key: Key::root(0, 0),
                number: message.number as u64,
                now: entry.time,
                pair: (message.from as u64) << 32 | message.to as u64,
            }
        });
        match arrival {
            Arrival::Deliver => {
                let peer = (message.from as u64) << 8 | message.kind as u64;
                let words = [peer, message.sent.as_nanos(), message.identity()];
                self.with_group(entry, out, entry.target, |group, member, cx| {
                    cx.record_with(What::Delivered, message.to, words, &[message.bytes as u64]);
                    group.receive(member, &message, cx);
                });
            }
            Arrival::Lost(cause) => {
                self.with_group(entry, out, message.from, |_, _, cx| cx.lose(message, cause as u64));
            }
            Arrival::Later(leg) => {
                let handle = self.shared.messages.insert(crate::world::message::Message {
                    epoch: leg.epoch,
                    ..message
                });
                let mut cx = self.cx(entry, out);
                cx.schedule_in_place(cx.entry, leg.at, kind::DELIVER, entry.target, handle.to_word());
            }
            Arrival::Held(ticket) => self.shared.hold(ticket, message),
        }
    }

    fn fault(&mut self, entry: &Entry<u64>, out: &mut Out<'_, u64>) {
        let timeline = entry.target - self.fault_base();
        let coming = self.faults.next(timeline);
        let (mut origin, step) = self.timelines[timeline as usize];
        let step = step.expect("a step is scheduled before it happens");
        let begins = step.edge == Edge::Begin;
        let what = if begins { What::FaultBegan } else { What::FaultEnded };
        let words = [
            step.fault as u64,
            step.occurrence,
            u64::from(step.tag.unwrap_or(u32::MAX)) << 32 | u64::from(step.target.unwrap_or(u32::MAX)),
        ];
        let mut cx = self.cx(entry, out);
        if let Some(next) = &coming {
            cx.schedule_in_place(origin.take(), next.at.max(entry.time), kind::FAULT, entry.target, 0);
        }
        cx.record(what, entry.target, words);
        let kind = self.faults.specs()[step.fault as usize].kind;
        let disturbance = match (kind, begins) {
            (FaultKind::Partition { cut }, true) => {
                return self.settle_fault(timeline, origin, coming, |world, _| {
                    world.shared.network.fall(cut, entry.time)
                });
            }
            (FaultKind::Partition { cut }, false) => {
                return self.settle_fault(timeline, origin, coming, |world, origin| {
                    world.heal(cut, entry, out, origin)
                });
            }
            (FaultKind::Degrade { degradation }, true) => {
                return self.settle_fault(timeline, origin, coming, |world, _| {
                    world.shared.network.degrade(degradation)
                });
            }
            (FaultKind::Degrade { degradation }, false) => {
                return self.settle_fault(timeline, origin, coming, |world, _| {
                    world.shared.network.restore(degradation)
                });
            }
            (FaultKind::Crash { keep }, true) => Some(Disturbance::Crash {
                keep_state: keep == Keep::State,
            }),
            (FaultKind::Crash { .. }, false) => Some(Disturbance::Restart),
            (FaultKind::Pause, true) => Some(Disturbance::Pause),
            (FaultKind::Pause, false) => Some(Disturbance::Resume),
            (FaultKind::ClockStep { by, .. }, true) => Some(Disturbance::ClockStep(by)),
            (FaultKind::ClockStep { by, undone }, false) => undone.then_some(Disturbance::ClockStep(-by)),
            (FaultKind::ServiceStall { speed }, true) => Some(Disturbance::Slow(speed)),
            (FaultKind::ServiceStall { .. }, false) => Some(Disturbance::Slow(1.0)),
        };
        self.timelines[timeline as usize] = (origin, coming);
        if let Some(disturbance) = disturbance {
            let targets = self.struck(&step);
            self.disturb(&targets, disturbance, entry, out);
        }
    }

    /// Does to the network what a fault says, and keeps what its timeline has become.
    fn settle_fault(
        &mut self,
        timeline: u32,
        mut origin: Origin,
        coming: Option<Step>,
        act: impl FnOnce(&mut Self, &mut Origin),
    ) {
        act(self, &mut origin);
        self.timelines[timeline as usize] = (origin, coming);
    }

    /// The entities that a step of a fault strikes.
    fn struck(&self, step: &Step) -> Vec<u32> {
        let targets = &self.faults.specs()[step.fault as usize].targets;
        if let Some(tag) = step.tag {
            return self.beside.with_members(vec![tag], targets);
        }
        let meant = targets
            .iter()
            .zip(0u32..)
            .filter(|(_, index)| step.target.is_none_or(|only| only == *index));
        let mut all = Vec::new();
        for (target, _) in meant {
            match &target.scope {
                Scope::Service(entity) => all.push(*entity),
                Scope::Tags(range) => all.extend(range.clone()),
                Scope::Site(site) => {
                    for group in &self.shared.directory.groups()[..self.groups.len()] {
                        let here = |member: &u32| group.sites.of(*member) == *site;
                        all.extend((0..group.members()).filter(here).map(|member| group.base + member));
                    }
                }
            }
        }
        self.beside.with_members(all, targets)
    }

    fn disturb(&mut self, targets: &[u32], disturbance: Disturbance, entry: &Entry<u64>, out: &mut Out<'_, u64>) {
        for &target in targets {
            if self.draining && !self.goes_on(target) {
                continue;
            }
            self.with_group(entry, out, target, |group, member, cx| {
                match disturbance {
                    Disturbance::Crash { keep_state } => {
                        cx.record(What::Crashed, target, [u64::from(!keep_state), 0, 0])
                    }
                    Disturbance::Restart => cx.record(What::Restarted, target, [0; 3]),
                    Disturbance::Pause | Disturbance::Resume | Disturbance::ClockStep(_) | Disturbance::Slow(_) => {}
                }
                group.disturb(member, disturbance, cx);
            });
        }
    }

    /// A cut heals: what it held leaves, in order.
    fn heal(&mut self, cut: u32, entry: &Entry<u64>, out: &mut Out<'_, u64>, origin: &mut Origin) {
        for release in self.shared.network.heal(cut, entry.time) {
            let message = self.shared.held[release.ticket as usize]
                .take()
                .expect("what the network holds is kept");
            let legs = match release.verdict {
                Verdict::At(leg) => [Some(leg), None],
                Verdict::Twice(first, second) => [Some(first), Some(second)],
                Verdict::Lost(cause) => {
                    self.with_group(entry, out, message.from, |_, _, cx| cx.lose(message, cause as u64));
                    [None, None]
                }
                Verdict::Held(_) => unreachable!("a message that is given back isn't held"),
            };
            for (copy, leg) in legs.into_iter().flatten().enumerate() {
                let handle = self.shared.messages.insert(message::Message {
                    epoch: leg.epoch,
                    ..message
                });
                if copy == 1 {
                    self.with_group(entry, out, message.from, |_, _, cx| cx.double(handle));
                }
                let mut cx = self.cx(entry, out);
                cx.schedule_in_place(origin.take(), leg.at, kind::DELIVER, message.to, handle.to_word());
            }
        }
    }
}

/// Schedules the first entries of a world.
#[derive(Debug)]
pub struct Starter<'a, 'q> {
    prepare: &'a mut crate::kernel::Prepare<'q, u64>,
    unfinished: &'a mut u64,
}

impl Starter<'_, '_> {
    /// A task is going to begin: a run that waits for all tasks waits for it. Whoever says so calls [`Cx::task_over`] once it
    /// has begun, and counts for itself.
    pub fn expect_task(&mut self) {
        *self.unfinished += 1;
    }

    /// The first entry of an entity: [`kind::START`] at this time.
    pub fn start(&mut self, endpoint: &mut population::Endpoint, at: SimTime) {
        self.schedule(&mut endpoint.origin, at, kind::START, endpoint.id, 0);
    }

    /// An entry for an entity, in the next place of its origin.
    pub fn schedule(&mut self, origin: &mut Origin, at: SimTime, kind: u16, target: u32, body: u64) {
        self.prepare.schedule(origin, at, kind, target, body);
    }
}

impl Model for World {
    type Body = u64;

    #[inline]
    fn handle(&mut self, entry: &Entry<u64>, out: &mut Out<'_, u64>) {
        match entry.kind {
            kind::DELIVER => self.deliver(entry, out),
            kind::FAULT => self.fault(entry, out),
            _ => self.with_group(entry, out, entry.target, |group, member, cx| {
                group.handle(member, entry, cx)
            }),
        }
        if self.draining && self.is_at_rest() {
            out.stop();
        }
    }

    #[inline]
    fn digest(&self, entry: &Entry<u64>, words: &mut Words) -> Liveness {
        if self.draining && !self.is_drained(entry) {
            return Liveness::Stale;
        }
        match entry.kind {
            kind::DELIVER => {
                let Some(message) = self.shared.messages.get(Handle::from_word(entry.body)) else {
                    unreachable!("a message is delivered once");
                };
                message.digest(words);
                match message.kind {
                    MessageKind::Request | MessageKind::Response => {
                        if let Some((attempt, call)) = self.shared.journey(message.handle) {
                            words.push_all([call.identity, call.digest(attempt)]);
                        }
                    }
                    MessageKind::Peer => {
                        let (group, _) = self.shared.directory.locate(message.from);
                        self.groups[group as usize].digest_peer(message, words);
                    }
                    MessageKind::Cancel => words.push(message.handle.to_word()),
                    MessageKind::Plain | MessageKind::Ask | MessageKind::Answer => {}
                }
                Liveness::Live
            }
            kind::FAULT => {
                words.push(entry.body);
                Liveness::Live
            }
            _ => {
                let (group, member) = self.shared.directory.locate(entry.target);
                self.groups[group as usize].digest(member, entry, words)
            }
        }
    }

    fn describe(&self, entry: &Entry<u64>) -> String {
        let Shared {
            directory, messages, ..
        } = &self.shared;
        match entry.kind {
            kind::DELIVER => {
                let Some(message) = messages.get(Handle::from_word(entry.body)) else {
                    return String::new();
                };
                let (from, to) = (directory.name(message.from), directory.name(message.to));
                let what = format!("{} from {from} to {to}", message.kind.name());
                let call = match message.kind {
                    MessageKind::Request | MessageKind::Response => self.shared.journey(message.handle),
                    MessageKind::Plain
                    | MessageKind::Ask
                    | MessageKind::Answer
                    | MessageKind::Peer
                    | MessageKind::Cancel => None,
                };
                let Some((attempt, call)) = call else { return what };
                let (group, _) = directory.locate(call.client);
                let place = self.groups[group as usize].place_of(call);
                let place = place.map(|place| format!(" ({place})")).unwrap_or_default();
                format!("{what}, attempt {} of a call{place}", attempt.number)
            }
            kind::FAULT => {
                let timeline = entry.target - self.fault_base();
                let step = self.timelines[timeline as usize].1.as_ref();
                step.map_or_else(String::new, |step| {
                    let name = &self.faults.specs()[step.fault as usize].name;
                    let edge = if step.edge == Edge::Begin { "beginning" } else { "end" };
                    format!("{edge} of the fault faults.{name}")
                })
            }
            _ => {
                let (group, member) = directory.locate(entry.target);
                let what = self.groups[group as usize].describe(member, entry);
                format!("{what}, of {}", directory.name(entry.target))
            }
        }
    }

    fn skip(&mut self, entry: &Entry<u64>, out: &mut Out<'_, u64>) {
        if self.draining && !self.is_drained(entry) {
            return;
        }
        self.with_group(entry, out, entry.target, |group, member, cx| {
            group.skip(member, entry, cx)
        });
    }

    #[inline]
    fn touch(&self, entry: &Entry<u64>) {
        if entry.kind == kind::DELIVER {
            let (messages, handle) = (&self.shared.messages, Handle::from_word(entry.body));
            if let Some(message) = messages.place(handle) {
                prefetch(message);
            }
            // Where they are few, they are at hand, and say what lies further off.
            if self.expects
                && messages.len() <= AT_HAND
                && let Some(message) = messages.get(handle)
                && message.kind == MessageKind::Request
                && let Some((_, call)) = self.shared.journey(message.handle)
            {
                let (group, member) = self.shared.directory.locate(entry.target);
                self.groups[group as usize].expect(member, &call.request);
            }
        }
        if entry.kind != kind::FAULT {
            let (group, member) = self.shared.directory.locate(entry.target);
            self.groups[group as usize].touch(member, entry);
        }
    }
}
