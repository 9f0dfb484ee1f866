//! Floor 3: the world of a scenario: populations, the network between them, and the records of what happens.
//!
//! In reading order: [`message`] and [`call`] are what travels; [`population`] is who receives it and what they may do; [`record`]
//! is what observers see; this file is the [`World`] that ties them together as a [`Model`] of the kernel.

pub mod call;
pub mod message;
pub mod population;
pub mod record;
pub mod slab;

use crate::kernel::{Entry, Key, Liveness, Model, Origin, Out, SimTime, Ticket, Words, prefetch};
use crate::network::{Arrival, Network, Verdict};
use message::MessageKind;
use population::{Aftermath, Cx, Directory, Disturbance, Halt, Population, Shared, kind};
use record::{Records, What};
use slab::{Handle, Slab};

/// What a fault does while it lasts.
#[derive(Debug, Clone, PartialEq)]
pub enum FaultAction {
    /// A cut of the network.
    Cut(u32),
    /// A degradation of links.
    Degrade(u32),
    /// These entities crash, and restart at the end.
    Crash {
        /// Who.
        targets: Vec<u32>,
        /// Whether their state survives.
        keep_state: bool,
    },
    /// These entities stand still.
    Pause {
        /// Who.
        targets: Vec<u32>,
    },
    /// The clocks of these entities jump, once.
    ClockStep {
        /// Whose.
        targets: Vec<u32>,
        /// By how many nanoseconds.
        by: i64,
    },
}

/// When the transitions of a fault come: begin, end, begin ...
pub trait FaultClock: Send {
    /// The next transition, in the order of time; `true` where it begins.
    fn next_transition(&mut self) -> Option<(SimTime, bool)>;
}

/// A fault of a scenario.
pub struct Fault {
    /// What it does.
    pub action: FaultAction,
    /// When.
    pub clock: Box<dyn FaultClock>,
    /// Its place in the total order.
    pub origin: Origin,
    /// How often it has begun.
    pub occurrences: u64,
}

impl std::fmt::Debug for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fault")
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

/// A world: the model that the kernel runs for a scenario.
pub struct World {
    groups: Vec<Box<dyn Population>>,
    faults: Vec<Fault>,
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
    /// A world of these groups; the directory lists them in the same order, and the faults' ids follow as its last group.
    pub fn new(
        groups: Vec<Box<dyn Population>>,
        directory: Directory,
        network: Network,
        faults: Vec<Fault>,
        records: Records,
    ) -> Self {
        let shared = Shared {
            network,
            directory,
            messages: Slab::default(),
            held: Vec::new(),
            calls: Slab::default(),
            attempts: Slab::default(),
            asks: Slab::default(),
            records,
            aftermath: Vec::new(),
            halt: None,
            unfinished: 0,
            stop_when_done: false,
        };
        Self { groups, faults, shared }
    }

    /// Schedules the first transition of every fault, and the first entries of everybody else.
    pub fn prepare(
        &mut self,
        prepare: &mut crate::kernel::Prepare<'_, u64>,
        starts: impl FnOnce(&mut Starter<'_, '_>),
    ) {
        let base = self.fault_base();
        for (index, fault) in self.faults.iter_mut().enumerate() {
            if let Some((at, begins)) = fault.clock.next_transition() {
                prepare.schedule(&mut fault.origin, at, kind::FAULT, base + index as u32, begins as u64);
            }
        }
        starts(&mut Starter { prepare });
    }

    fn fault_base(&self) -> u32 {
        self.shared
            .directory
            .groups()
            .get(self.groups.len())
            .map_or(0, |place| place.base)
    }

    /// A problem that stopped the run.
    pub fn halted(&self) -> Option<&Halt> {
        self.shared.halt.as_ref()
    }

    /// Lets everybody say what it holds at the end, and hands the last records over.
    pub fn finish(&mut self, now: SimTime) {
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
            for group in groups.iter_mut() {
                group.finish(&mut cx);
            }
        });
        self.shared.records.flush();
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
        let message = self
            .shared
            .messages
            .remove(handle)
            .expect("a message is delivered once");
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
                    cx.record(What::Delivered, message.to, words);
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
                let ticket = Ticket {
                    rank: entry.origin,
                    number: entry.number,
                };
                out.schedule_in_place(ticket, leg.at, kind::DELIVER, entry.target, handle.to_word());
            }
            Arrival::Held(ticket) => self.shared.hold(ticket, message),
        }
    }

    fn fault(&mut self, entry: &Entry<u64>, out: &mut Out<'_, u64>) {
        let index = entry.target - self.fault_base();
        let begins = entry.body != 0;
        let fault = &mut self.faults[index as usize];
        let occurrence = fault.occurrences;
        fault.occurrences += u64::from(!begins);
        let (action, mut origin) = (fault.action.clone(), fault.origin);
        if let Some((at, begins)) = fault.clock.next_transition() {
            out.schedule(
                &mut origin,
                at.max(entry.time),
                kind::FAULT,
                entry.target,
                begins as u64,
            );
        }
        let what = if begins { What::FaultBegan } else { What::FaultEnded };
        let ticket = Ticket {
            rank: entry.origin,
            number: entry.number,
        };
        Cx {
            shared: &mut self.shared,
            out,
            entry: ticket,
        }
        .record(what, entry.target, [index as u64, occurrence, 0]);
        match (&action, begins) {
            (FaultAction::Cut(cut), true) => self.shared.network.fall(*cut, entry.time),
            (FaultAction::Cut(cut), false) => self.heal(*cut, entry, out, &mut origin),
            (FaultAction::Degrade(index), true) => self.shared.network.degrade(*index),
            (FaultAction::Degrade(index), false) => self.shared.network.restore(*index),
            (FaultAction::Crash { targets, keep_state }, true) => {
                self.disturb(
                    targets,
                    Disturbance::Crash {
                        keep_state: *keep_state,
                    },
                    entry,
                    out,
                );
            }
            (FaultAction::Crash { targets, .. }, false) => self.disturb(targets, Disturbance::Restart, entry, out),
            (FaultAction::Pause { targets }, true) => self.disturb(targets, Disturbance::Pause, entry, out),
            (FaultAction::Pause { targets }, false) => self.disturb(targets, Disturbance::Resume, entry, out),
            (FaultAction::ClockStep { targets, by }, true) => {
                self.disturb(targets, Disturbance::ClockStep(*by), entry, out);
            }
            (FaultAction::ClockStep { .. }, false) => {}
        }
        self.faults[index as usize].origin = origin;
    }

    fn disturb(&mut self, targets: &[u32], disturbance: Disturbance, entry: &Entry<u64>, out: &mut Out<'_, u64>) {
        for &target in targets {
            self.with_group(entry, out, target, |group, member, cx| {
                match disturbance {
                    Disturbance::Crash { keep_state } => {
                        cx.record(What::Crashed, target, [u64::from(!keep_state), 0, 0])
                    }
                    Disturbance::Restart => cx.record(What::Restarted, target, [0; 3]),
                    Disturbance::Pause | Disturbance::Resume | Disturbance::ClockStep(_) => {}
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
                out.schedule(origin, leg.at, kind::DELIVER, message.to, handle.to_word());
            }
        }
    }
}

/// Schedules the first entries of a world.
#[derive(Debug)]
pub struct Starter<'a, 'q> {
    prepare: &'a mut crate::kernel::Prepare<'q, u64>,
}

impl Starter<'_, '_> {
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
    }

    #[inline]
    fn digest(&self, entry: &Entry<u64>, words: &mut Words) -> Liveness {
        match entry.kind {
            kind::DELIVER => {
                let Some(message) = self.shared.messages.get(Handle::from_word(entry.body)) else {
                    unreachable!("a message is delivered once");
                };
                message.digest(words);
                match message.kind {
                    MessageKind::Request | MessageKind::Response => {
                        if let Some(attempt) = self.shared.attempts.get(message.handle) {
                            words.push(attempt.identity);
                            words.push(attempt.digest());
                        }
                    }
                    MessageKind::Peer => {
                        let (group, _) = self.shared.directory.locate(message.from);
                        self.groups[group as usize].digest_peer(message, words);
                    }
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

    fn skip(&mut self, entry: &Entry<u64>, out: &mut Out<'_, u64>) {
        self.with_group(entry, out, entry.target, |group, member, cx| {
            group.skip(member, entry, cx)
        });
    }

    #[inline]
    fn touch(&self, entry: &Entry<u64>) {
        if entry.kind == kind::DELIVER
            && let Some(message) = self.shared.messages.place(Handle::from_word(entry.body))
        {
            prefetch(message);
        }
        if entry.kind != kind::FAULT {
            let (group, member) = self.shared.directory.locate(entry.target);
            self.groups[group as usize].touch(member);
        }
    }
}
