//! A channel without I/O: it is told what came and what time it is, and says what is to be sent and what has happened.
//!
//! Times are those of the broker's own clock. What is due is kept in one agenda: whoever runs it comes back at [`Core::next_due`].

use super::event;
use super::group::Group;
use super::item::{Handed, Item, Publication};
use super::known::Known;
use super::log::{Partition, partition_of};
use super::queue::{Line, Poll};
use super::spec::{ChannelSpec, ConsumerSpec, Flaw, Kind, Position};
use crate::kernel::{SimDuration, SimTime};
use serde::Serialize;
use std::collections::BTreeSet;
use std::sync::Arc;

/// What is due at some time. The first number is that of the line, or of the consumer group.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Due {
    /// The delay of a message is over.
    Ready(u32, u64),
    /// A message, by its tag, should have been acknowledged.
    Visible(u32, u64),
    /// A poll has waited long enough.
    Poll(u32, u64),
    /// A consumer is invited to say something.
    Invite(u32, u32),
    /// A member's session may be over.
    Session(u32, u32),
    /// Partitions get their new owners.
    Rebalance(u32),
    /// A consumer group is set back.
    Replay(u32, u32),
}

/// What is to be done, or has happened.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// A message is sent to a consumer.
    Push {
        /// To whom.
        consumer: u32,
        /// For which scope.
        scope: u32,
        /// What.
        handed: Handed,
    },
    /// A poll is answered.
    Answer {
        /// Which.
        poll: u64,
        /// Whose.
        consumer: u32,
        /// For which scope.
        scope: u32,
        /// With what.
        handed: Vec<Handed>,
    },
    /// A message that was handed over too often goes to another channel.
    DeadLetter {
        /// What.
        publication: Publication,
        /// Where to.
        to: u32,
    },
    /// A consumer is asked to say something.
    Invite(u32),
    /// For the records.
    Note(Note),
}

/// Something that has happened: see [`event`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Note {
    /// What.
    pub event: u64,
    /// The first word of the record.
    pub a: u64,
    /// The second.
    pub b: u64,
    extra: [u64; 4],
    len: usize,
}

impl Note {
    /// The extra words of the record.
    pub fn extra(&self) -> &[u64] {
        &self.extra[..self.len]
    }
}

/// What a part of a channel works with while something is dealt with.
#[derive(Debug)]
pub struct Turn<'a> {
    /// The time by the broker's clock.
    pub now: SimTime,
    /// What is due when.
    pub agenda: &'a mut BTreeSet<(SimTime, Due)>,
    /// What is to be done.
    pub effects: &'a mut Vec<Effect>,
    spec: &'a ChannelSpec,
}

impl Turn<'_> {
    /// Whether consumers acknowledge.
    pub fn acknowledges(&self) -> bool {
        self.spec.delivery.acknowledges()
    }

    /// How long a message may stay unacknowledged.
    pub fn visibility(&self) -> SimDuration {
        self.spec.visibility
    }

    /// The mistake that is to be made.
    pub fn flaw(&self) -> Flaw {
        self.spec.flaw
    }

    /// Something has happened.
    pub fn note(&mut self, event: u64, a: u64, b: u64, words: &[u64]) {
        let mut extra = [0; 4];
        extra[..words.len()].copy_from_slice(words);
        let len = words.len();
        self.effects.push(Effect::Note(Note {
            event,
            a,
            b,
            extra,
            len,
        }));
    }

    /// A message is owed to a scope no more.
    pub fn settled(&mut self, item: &Item, scope: u32, how: u64) {
        self.note(
            event::SETTLED,
            item.publication.identity,
            item.number,
            &[scope.into(), how],
        );
    }

    /// A poll is answered.
    pub fn answer(&mut self, poll: &Poll, scope: u32, handed: Vec<Handed>) {
        self.note(event::POLLED, poll.id, handed.len() as u64, &[scope.into()]);
        self.effects.push(Effect::Answer {
            poll: poll.id,
            consumer: poll.consumer,
            scope,
            handed,
        });
    }
}

/// What becomes of a publication.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It is in the channel.
    New,
    /// It was before.
    Repeat,
    /// There is no room for it.
    Refused,
}

/// A channel.
#[derive(Debug, Clone, Serialize)]
pub struct Core {
    #[serde(skip)]
    spec: Arc<ChannelSpec>,
    lines: Vec<Line>,
    log: Vec<Partition>,
    groups: Vec<Group>,
    known: Known,
    accepted: u64,
    /// The partition of the next message without a key.
    turn: u32,
    agenda: BTreeSet<(SimTime, Due)>,
    #[serde(skip)]
    effects: Vec<Effect>,
}

impl Core {
    /// An empty channel.
    pub fn new(spec: Arc<ChannelSpec>) -> Self {
        let consumers = |spec: &ChannelSpec| -> Vec<u32> {
            let of = |group: &ConsumerSpec| group.base..group.base + group.count;
            spec.consumers.iter().flat_map(of).collect()
        };
        let (mut lines, mut log, mut groups) = (Vec::new(), Vec::new(), Vec::new());
        match &spec.kind {
            Kind::Topic(rules) => {
                let all = (0u32..).zip(consumers(&spec));
                lines.extend(all.map(|(index, consumer)| Line::new(index, consumer, rules.clone())));
            }
            Kind::Queue(rules) => lines.push(Line::new(0, 0, rules.clone())),
            Kind::Log(rules) => {
                log.resize_with(rules.partitions as usize, Partition::default);
                for index in 0..spec.groups {
                    let own = spec.consumers.iter().find(|consumer| consumer.group == index);
                    let from = own.map_or(Position::Earliest, |consumer| consumer.from);
                    groups.push(Group::new(index.into(), rules.clone(), from));
                }
            }
        }
        Self {
            spec,
            lines,
            log,
            groups,
            known: Known::default(),
            accepted: 0,
            turn: 0,
            agenda: BTreeSet::new(),
            effects: Vec::new(),
        }
    }

    /// What the parts of a channel work with, and the parts.
    fn parts(&mut self, now: SimTime) -> (Turn<'_>, &mut Vec<Line>, &mut Vec<Group>, &mut Vec<Partition>) {
        let turn = Turn {
            now,
            agenda: &mut self.agenda,
            effects: &mut self.effects,
            spec: &self.spec,
        };
        (turn, &mut self.lines, &mut self.groups, &mut self.log)
    }

    /// The line from which a consumer takes.
    fn line_of(&self, consumer: u32) -> Option<usize> {
        match self.spec.kind {
            Kind::Queue(_) => Some(0),
            Kind::Log(_) => None,
            Kind::Topic(_) => self.lines.binary_search_by_key(&consumer, Line::scope).ok(),
        }
    }

    /// The consumer group that a consumer belongs to.
    fn group_of(&self, consumer: u32) -> Option<usize> {
        let of = self.spec.consumer(consumer)?;
        (usize::from(of.group) < self.groups.len()).then_some(usize::from(of.group))
    }

    /// The broker starts: those to whom messages are pushed are there.
    pub fn start(&mut self, now: SimTime) {
        let spec = Arc::clone(&self.spec);
        for consumer in &spec.consumers {
            for (place, (at, _)) in (0u32..).zip(&consumer.replays) {
                // A consumer group is set back once, whoever of it says so.
                self.agenda.insert((*at, Due::Replay(consumer.base, place)));
            }
            let Some(prefetch) = consumer.prefetch else { continue };
            for entity in consumer.base..consumer.base + consumer.count {
                if let Some(line) = self.line_of(entity) {
                    self.lines[line].push_to(entity, prefetch);
                }
            }
        }
        let (mut turn, _, groups, log) = self.parts(now);
        for group in groups {
            let index = group.index();
            let own = spec
                .consumers
                .iter()
                .filter(|consumer| u32::from(consumer.group) == index);
            let pushed = own.filter_map(|consumer| Some((consumer, consumer.prefetch?)));
            let members = pushed.flat_map(|(consumer, prefetch)| {
                (consumer.base..consumer.base + consumer.count).map(move |entity| (entity, prefetch))
            });
            group.found(members, log, &mut turn);
        }
    }

    /// Somebody publishes. `by_key`: the publication's identity says whether it came before.
    pub fn publish(&mut self, publication: Publication, by_key: bool, now: SimTime) -> Accepted {
        let identity = publication.identity;
        let by_key = by_key && self.spec.flaw != Flaw::NoDeduplication;
        let remembers = self.spec.deduplicates.filter(|_| by_key);
        if let Some(remembers) = remembers
            && self.known.is_repeat(identity, remembers, now)
        {
            self.parts(now).0.note(event::DEDUPLICATED, identity, 0, &[]);
            return Accepted::Repeat;
        }
        if self.lines.iter().any(Line::refuses) {
            if remembers.is_some() {
                self.known.forget(identity);
            }
            self.parts(now).0.note(event::REFUSED, identity, 0, &[]);
            return Accepted::Refused;
        }
        let number = self.accepted;
        self.accepted += 1;
        let item = Item {
            publication,
            number,
            accepted: now,
        };
        let partitions = self.log.len() as u32;
        let partition = match publication.key {
            _ if partitions == 0 => 0,
            Some(key) => partition_of(key, partitions),
            None => {
                let next = self.turn % partitions;
                self.turn = (next + 1) % partitions;
                next
            }
        };
        let (mut turn, lines, groups, log) = self.parts(now);
        let words = [
            publication.key.map_or(0, |key| key.wrapping_add(1)),
            publication.published.as_nanos(),
            publication.bytes.into(),
            partition.into(),
        ];
        turn.note(event::ACCEPTED, identity, number, &words);
        for line in lines {
            line.offer(item, &mut turn);
        }
        if let Some(place) = log.get_mut(partition as usize) {
            place.append(item);
            for group in groups {
                group.appended(partition, log, &mut turn);
            }
            self.expire(partition, now);
        }
        Accepted::New
    }

    /// Lets go of what a partition isn't to keep.
    fn expire(&mut self, partition: u32, now: SimTime) {
        let spec = Arc::clone(&self.spec);
        let Kind::Log(rules) = &spec.kind else { return };
        let (mut turn, _, groups, log) = self.parts(now);
        while let Some((offset, item)) = log[partition as usize].expire(&rules.retention, now) {
            for group in groups.iter_mut() {
                group.expired(partition, offset, &item, &mut turn);
            }
        }
    }

    /// Lets go of what is too old, in all partitions.
    fn expire_all(&mut self, now: SimTime) {
        let by_age = matches!(&self.spec.kind, Kind::Log(rules) if rules.retention.age.is_some());
        if by_age {
            (0..self.log.len() as u32).for_each(|partition| self.expire(partition, now));
        }
    }

    /// Somebody polls.
    pub fn poll(&mut self, poll: Poll, now: SimTime) {
        self.expire_all(now);
        let (line, group) = (self.line_of(poll.consumer), self.group_of(poll.consumer));
        let (mut turn, lines, groups, log) = self.parts(now);
        match (line, group) {
            (Some(line), _) => lines[line].poll(poll, &mut turn),
            (None, Some(group)) => groups[group].poll(poll, log, &mut turn),
            // Nobody has subscribed for him: there is nothing that he could get.
            (None, None) => turn.answer(&poll, 0, Vec::new()),
        }
    }

    /// Somebody acknowledges what was handed over under this tag.
    pub fn acknowledge(&mut self, consumer: u32, tag: u64, now: SimTime) {
        let (line, group) = (self.line_of(consumer), self.group_of(consumer));
        let (mut turn, lines, groups, log) = self.parts(now);
        match (line, group) {
            (Some(line), _) => lines[line].acknowledge(consumer, tag, &mut turn),
            (None, Some(group)) => groups[group].acknowledge(consumer, tag, log, &mut turn),
            (None, None) => {}
        }
    }

    /// A pushed consumer says that it is there; after a crash (`anew`) with nothing in its hands.
    pub fn join(&mut self, consumer: u32, anew: bool, now: SimTime) {
        let (line, group) = (self.line_of(consumer), self.group_of(consumer));
        let (mut turn, lines, groups, log) = self.parts(now);
        match (line, group) {
            (Some(line), _) => lines[line].join(consumer, anew, &mut turn),
            (None, Some(group)) => groups[group].join(consumer, anew, log, &mut turn),
            (None, None) => {}
        }
    }

    /// When something is due next.
    pub fn next_due(&self) -> Option<SimTime> {
        self.agenda.first().map(|(at, _)| *at)
    }

    /// Deals with all that is due.
    pub fn due(&mut self, now: SimTime) {
        while let Some((at, due)) = self.agenda.first().copied()
            && at <= now
        {
            self.agenda.pop_first();
            self.deal_with(due, now);
        }
    }

    fn deal_with(&mut self, due: Due, now: SimTime) {
        if matches!(due, Due::Replay(..) | Due::Rebalance(_)) {
            self.expire_all(now);
        }
        let spec = Arc::clone(&self.spec);
        let (mut turn, lines, groups, log) = self.parts(now);
        let is_log = matches!(spec.kind, Kind::Log(_));
        match due {
            Due::Ready(line, number) => lines[line as usize].ready(number, &mut turn),
            Due::Visible(line, tag) if !is_log => lines[line as usize].timed_out(tag, &mut turn),
            Due::Visible(group, tag) => groups[group as usize].timed_out(tag, log, &mut turn),
            Due::Poll(line, poll) if !is_log => lines[line as usize].poll_over(poll, &mut turn),
            Due::Poll(group, poll) => {
                let group = &mut groups[group as usize];
                if let Some(member) = group.poller(poll) {
                    group.poll_over(poll, member, &mut turn);
                }
            }
            Due::Invite(line, consumer) if !is_log => lines[line as usize].invite(consumer, &mut turn),
            Due::Invite(group, member) => groups[group as usize].invite(member, &mut turn),
            Due::Session(group, member) => groups[group as usize].session_due(member, log, &mut turn),
            Due::Rebalance(group) => groups[group as usize].settle_owners(log, &mut turn),
            Due::Replay(base, place) => {
                if let Some(consumer) = spec.consumer(base)
                    && let Some((_, position)) = consumer.replays.get(place as usize)
                    && let Some(group) = groups.get_mut(usize::from(consumer.group))
                {
                    group.rewind(*position, log, &mut turn);
                }
            }
        }
    }

    /// Nobody is answered any more who waits now: the broker crashes.
    pub fn forget_polls(&mut self, now: SimTime) {
        let (mut turn, lines, groups, _) = self.parts(now);
        lines.iter_mut().for_each(|line| line.forget_polls(&mut turn));
        groups.iter_mut().for_each(|group| group.forget_polls(&mut turn));
    }

    /// The broker has lost its state: every message, what it knew of publishers, and how far consumers had come. What it is told to do
    /// at a time of the scenario's it does all the same.
    pub fn wipe(&mut self, now: SimTime) {
        self.forget_polls(now);
        let (mut turn, lines, groups, log) = self.parts(now);
        turn.agenda.retain(|(_, due)| matches!(due, Due::Replay(..)));
        lines.iter_mut().for_each(|line| line.wipe(&mut turn));
        groups.iter_mut().for_each(|group| group.wipe(log, &mut turn));
        log.iter_mut().for_each(Partition::wipe);
        self.known = Known::default();
    }

    /// The broker is back from a crash.
    pub fn restart(&mut self, now: SimTime) {
        let (mut turn, _, groups, _) = self.parts(now);
        groups.iter_mut().for_each(|group| group.invite_all(&mut turn));
    }

    /// What is to be done, in the order in which it came up.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// For every scope how many messages it is owed, and how many of them are with consumers.
    pub fn owed(&self) -> Vec<(u32, u64, u64)> {
        let of = |(scope, (owed, flying)): (u32, (u64, u64))| (scope, owed, flying);
        let lines = self.lines.iter().map(|line| (line.scope(), line.owed()));
        let groups = self.groups.iter().map(|group| (group.index(), group.owed(&self.log)));
        lines.chain(groups).map(of).collect()
    }

    /// The consumer groups of a log.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// What is wrong with its books: a message for each breach.
    pub fn audit(&self) -> Vec<String> {
        let lines = self.lines.iter().filter_map(Line::audit);
        lines.chain(self.groups.iter().filter_map(Group::audit)).collect()
    }
}
