//! A line of messages for one set of consumers: an own one for each subscriber of a topic, one for all consumers of a queue.
//!
//! Guarantees: a message is handed over in the order of the channel, as far as it is there; it is with one consumer at most; it stays
//! owed until it is acknowledged, dead or dropped; one that isn't acknowledged within the visibility timeout comes back to its old place.
//! An acknowledgement that comes later than that counts as long as the message wasn't handed over again, as with SQS's receipt handles.
//!
//! A pushed consumer that lets a message time out is left alone, and invited to say something, until it does: so a consumer that is
//! down holds up no more than what it has been handed.

use super::core::{Due, Effect, Turn};
use super::event::{self, settled};
use super::item::{Handed, Item, number_of, tag};
use super::spec::{Flaw, Full, QueueSpec};
use crate::kernel::SimTime;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// A message that waits.
#[derive(Debug, Clone, Copy, Serialize)]
struct Waiting {
    item: Item,
    /// How often it was handed over.
    before: u32,
}

/// A message that is with a consumer.
#[derive(Debug, Clone, Copy, Serialize)]
struct Flight {
    waiting: Waiting,
    consumer: u32,
    until: SimTime,
}

/// A poll that waits for messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Poll {
    /// Which: the identity of its call.
    pub id: u64,
    /// Whose.
    pub consumer: u32,
    /// How many messages at most.
    pub most: u32,
    /// How long it waits.
    pub until: SimTime,
}

/// A consumer to whom messages are pushed.
#[derive(Debug, Clone, Copy, Serialize)]
struct Pushed {
    prefetch: u32,
    in_flight: u32,
    /// Left alone until it is heard of.
    suspended: bool,
    /// Whether it stands among those who have room.
    queued: bool,
}

/// A line.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    index: u32,
    scope: u32,
    #[serde(skip)]
    rules: QueueSpec,
    ready: BTreeMap<u64, Waiting>,
    delayed: BTreeMap<u64, (SimTime, Waiting)>,
    flying: BTreeMap<u64, Flight>,
    polls: VecDeque<Poll>,
    pushed: BTreeMap<u32, Pushed>,
    /// Pushed consumers that may have room, in the order in which they come next.
    free: VecDeque<u32>,
    came: u64,
    left: u64,
}

impl Line {
    /// A line of this number, for a scope of this number.
    pub fn new(index: u32, scope: u32, rules: QueueSpec) -> Self {
        Self {
            index,
            scope,
            rules,
            ready: BTreeMap::new(),
            delayed: BTreeMap::new(),
            flying: BTreeMap::new(),
            polls: VecDeque::new(),
            pushed: BTreeMap::new(),
            free: VecDeque::new(),
            came: 0,
            left: 0,
        }
    }

    /// A consumer to whom messages are pushed from now on.
    pub fn push_to(&mut self, consumer: u32, prefetch: u32) {
        let pushed = Pushed {
            prefetch,
            in_flight: 0,
            suspended: false,
            queued: true,
        };
        self.pushed.insert(consumer, pushed);
        self.free.push_back(consumer);
    }

    /// The number of the scope.
    pub fn scope(&self) -> u32 {
        self.scope
    }

    /// How many messages wait.
    fn waiting(&self) -> usize {
        self.ready.len() + self.delayed.len()
    }

    /// How many messages are owed, and how many of them are with consumers.
    pub fn owed(&self) -> (u64, u64) {
        let flying = self.flying.len() as u64;
        (self.waiting() as u64 + flying, flying)
    }

    /// Whether a publisher would be refused.
    pub fn refuses(&self) -> bool {
        let bound = self.rules.bound.filter(|bound| bound.full == Full::Refuse);
        bound.is_some_and(|bound| self.waiting() >= bound.most as usize)
    }

    /// A message comes in.
    pub fn offer(&mut self, item: Item, turn: &mut Turn<'_>) {
        self.came += 1;
        if let Some(bound) = self.rules.bound
            && self.waiting() >= bound.most as usize
        {
            match bound.full {
                Full::DropOldest => self.drop_oldest(turn),
                Full::DropNewest | Full::Refuse => return self.settle(&item, settled::DROPPED, turn),
            }
        }
        let waiting = Waiting { item, before: 0 };
        if self.rules.delay.as_nanos() > 0 {
            let at = turn.now.saturating_add(self.rules.delay);
            self.delayed.insert(item.number, (at, waiting));
            turn.agenda.insert((at, Due::Ready(self.index, item.number)));
        } else {
            self.ready.insert(item.number, waiting);
            self.dispatch(turn);
        }
    }

    fn drop_oldest(&mut self, turn: &mut Turn<'_>) {
        let oldest = match self.ready.pop_first() {
            Some((_, waiting)) => Some(waiting),
            None => self.delayed.pop_first().map(|(number, (at, waiting))| {
                turn.agenda.remove(&(at, Due::Ready(self.index, number)));
                waiting
            }),
        };
        if let Some(Waiting { item, .. }) = oldest {
            self.settle(&item, settled::DROPPED, turn);
        }
    }

    /// A message is owed no more.
    fn settle(&mut self, item: &Item, how: u64, turn: &mut Turn<'_>) {
        self.left += 1;
        turn.settled(item, self.scope, how);
    }

    /// The delay of a message is over.
    pub fn ready(&mut self, number: u64, turn: &mut Turn<'_>) {
        if let Some((_, waiting)) = self.delayed.remove(&number) {
            self.ready.insert(number, waiting);
            self.dispatch(turn);
        }
    }

    /// Hands over what can be.
    fn dispatch(&mut self, turn: &mut Turn<'_>) {
        while !self.ready.is_empty() {
            if let Some(poll) = self.polls.pop_front() {
                turn.agenda.remove(&(poll.until, Due::Poll(self.index, poll.id)));
                let mut handed = Vec::new();
                while handed.len() < poll.most as usize
                    && let Some((_, waiting)) = self.ready.pop_first()
                {
                    handed.push(self.hand(waiting, poll.consumer, turn));
                }
                turn.answer(&poll, self.scope, handed);
            } else if let Some(consumer) = self.next_with_room(turn) {
                let Some((_, waiting)) = self.ready.pop_first() else {
                    return;
                };
                let handed = self.hand(waiting, consumer, turn);
                let scope = self.scope;
                turn.effects.push(Effect::Push {
                    consumer,
                    scope,
                    handed,
                });
                self.note_room(consumer, turn);
            } else {
                return;
            }
        }
    }

    /// The pushed consumer that comes next.
    fn next_with_room(&mut self, turn: &Turn<'_>) -> Option<u32> {
        while let Some(consumer) = self.free.pop_front() {
            let Some(pushed) = self.pushed.get_mut(&consumer) else {
                continue;
            };
            pushed.queued = false;
            if !pushed.suspended && (!turn.acknowledges() || pushed.in_flight < pushed.prefetch) {
                return Some(consumer);
            }
        }
        None
    }

    /// Puts a consumer among those who have room, if it has.
    fn note_room(&mut self, consumer: u32, turn: &Turn<'_>) {
        let Some(pushed) = self.pushed.get_mut(&consumer) else {
            return;
        };
        let has_room = !pushed.suspended && (!turn.acknowledges() || pushed.in_flight < pushed.prefetch);
        if has_room && !pushed.queued {
            pushed.queued = true;
            self.free.push_back(consumer);
        }
    }

    fn hand(&mut self, waiting: Waiting, consumer: u32, turn: &mut Turn<'_>) -> Handed {
        let Waiting { item, before } = waiting;
        let handed = Handed {
            item,
            tag: tag(item.number, before),
            before,
        };
        if !turn.acknowledges() {
            self.settle(&item, settled::HANDED_OVER, turn);
            return handed;
        }
        if turn.flaw() == Flaw::EagerAcknowledgement {
            self.settle(&item, settled::ACKNOWLEDGED, turn);
            return handed;
        }
        let until = turn.now.saturating_add(turn.visibility());
        turn.agenda.insert((until, Due::Visible(self.index, handed.tag)));
        let flight = Flight {
            waiting: Waiting {
                item,
                before: before.saturating_add(1),
            },
            consumer,
            until,
        };
        self.flying.insert(handed.tag, flight);
        if let Some(pushed) = self.pushed.get_mut(&consumer) {
            pushed.in_flight += 1;
        }
        handed
    }

    /// A consumer acknowledges.
    pub fn acknowledge(&mut self, consumer: u32, tag: u64, turn: &mut Turn<'_>) {
        let with_him = self.flying.get(&tag).is_some_and(|flight| flight.consumer == consumer);
        if with_him && let Some(flight) = self.land(tag, turn) {
            self.settle(&flight.waiting.item, settled::ACKNOWLEDGED, turn);
        } else if let Some(waiting) = self.ready.get(&number_of(tag)).copied()
            && super::item::tag(waiting.item.number, waiting.before.wrapping_sub(1)) == tag
        {
            // It had timed out, and nobody else has got it since.
            self.ready.remove(&waiting.item.number);
            self.settle(&waiting.item, settled::ACKNOWLEDGED, turn);
        } else {
            turn.note(event::FENCED, 0, tag, &[self.scope.into(), consumer.into()]);
        }
        self.hear(consumer, turn);
        self.dispatch(turn);
    }

    /// A message isn't with its consumer any more.
    fn land(&mut self, tag: u64, turn: &mut Turn<'_>) -> Option<Flight> {
        let flight = self.flying.remove(&tag)?;
        turn.agenda.remove(&(flight.until, Due::Visible(self.index, tag)));
        if let Some(pushed) = self.pushed.get_mut(&flight.consumer) {
            pushed.in_flight -= 1;
        }
        self.note_room(flight.consumer, turn);
        Some(flight)
    }

    /// A message wasn't acknowledged in time.
    pub fn timed_out(&mut self, tag: u64, turn: &mut Turn<'_>) {
        let Some(flight) = self.land(tag, turn) else { return };
        let consumer = flight.consumer;
        if let Some(pushed) = self.pushed.get_mut(&consumer)
            && !pushed.suspended
        {
            pushed.suspended = true;
            turn.note(event::SUSPENDED, consumer.into(), 1, &[]);
            self.invite(consumer, turn);
        }
        self.come_back(flight, turn);
        self.dispatch(turn);
    }

    /// A message is to be handed over again, if it may be.
    fn come_back(&mut self, flight: Flight, turn: &mut Turn<'_>) {
        let Flight { waiting, consumer, .. } = flight;
        let item = waiting.item;
        if self.rules.most_deliveries.is_some_and(|most| waiting.before >= most) {
            self.settle(&item, settled::DEAD, turn);
            if let Some(to) = self.rules.dead_letters {
                let publication = item.publication;
                turn.effects.push(Effect::DeadLetter { publication, to });
            }
            return;
        }
        let identity = item.publication.identity;
        turn.note(
            event::RETURNED,
            identity,
            item.number,
            &[self.scope.into(), consumer.into()],
        );
        self.ready.insert(item.number, waiting);
    }

    /// It is time to invite a consumer that is left alone.
    pub fn invite(&mut self, consumer: u32, turn: &mut Turn<'_>) {
        if self.pushed.get(&consumer).is_some_and(|pushed| pushed.suspended) {
            turn.effects.push(Effect::Invite(consumer));
            let at = turn.now.saturating_add(turn.visibility());
            turn.agenda.insert((at, Due::Invite(self.index, consumer)));
        }
    }

    /// A consumer gives a sign of life.
    fn hear(&mut self, consumer: u32, turn: &mut Turn<'_>) {
        if let Some(pushed) = self.pushed.get_mut(&consumer)
            && pushed.suspended
        {
            pushed.suspended = false;
            turn.note(event::SUSPENDED, consumer.into(), 0, &[]);
            self.note_room(consumer, turn);
        }
    }

    /// A consumer is there; after a crash (`anew`) with nothing in its hands.
    pub fn join(&mut self, consumer: u32, anew: bool, turn: &mut Turn<'_>) {
        if anew {
            let with_him = self.flying.iter().filter(|(_, flight)| flight.consumer == consumer);
            for tag in with_him.map(|(tag, _)| *tag).collect::<Vec<_>>() {
                if let Some(flight) = self.land(tag, turn) {
                    self.come_back(flight, turn);
                }
            }
        }
        self.hear(consumer, turn);
        self.dispatch(turn);
    }

    /// Somebody polls: an earlier attempt of the same poll isn't waited for any more.
    pub fn poll(&mut self, poll: Poll, turn: &mut Turn<'_>) {
        self.forget_poll(poll.id, turn);
        self.polls.push_back(poll);
        turn.agenda.insert((poll.until, Due::Poll(self.index, poll.id)));
        self.dispatch(turn);
        if poll.until <= turn.now {
            self.poll_over(poll.id, turn);
        }
    }

    fn forget_poll(&mut self, id: u64, turn: &mut Turn<'_>) -> Option<Poll> {
        let place = self.polls.iter().position(|poll| poll.id == id)?;
        let poll = self.polls.remove(place)?;
        turn.agenda.remove(&(poll.until, Due::Poll(self.index, id)));
        Some(poll)
    }

    /// A poll has waited long enough.
    pub fn poll_over(&mut self, id: u64, turn: &mut Turn<'_>) {
        if let Some(poll) = self.forget_poll(id, turn) {
            turn.answer(&poll, self.scope, Vec::new());
        }
    }

    /// Nobody is answered any more who waits now: the broker crashes.
    pub fn forget_polls(&mut self, turn: &mut Turn<'_>) {
        while let Some(poll) = self.polls.front().copied() {
            self.forget_poll(poll.id, turn);
        }
    }

    /// All is lost but who the consumers are.
    pub fn wipe(&mut self, turn: &mut Turn<'_>) {
        let waiting = std::mem::take(&mut self.ready).into_values();
        let delayed = std::mem::take(&mut self.delayed)
            .into_values()
            .map(|(_, waiting)| waiting);
        let flying = std::mem::take(&mut self.flying)
            .into_values()
            .map(|flight| flight.waiting);
        for Waiting { item, .. } in waiting.chain(delayed).chain(flying).collect::<Vec<_>>() {
            self.settle(&item, settled::WIPED, turn);
        }
        self.free.clear();
        for (consumer, pushed) in &mut self.pushed {
            (pushed.in_flight, pushed.suspended, pushed.queued) = (0, false, true);
            self.free.push_back(*consumer);
        }
    }

    /// Whether what came is what is owed and what left; a message if not.
    pub fn audit(&self) -> Option<String> {
        let (owed, flying) = self.owed();
        let counted: u64 = self.pushed.values().map(|pushed| u64::from(pushed.in_flight)).sum();
        let polled = self
            .flying
            .values()
            .filter(|flight| !self.pushed.contains_key(&flight.consumer));
        let polled = polled.count() as u64;
        if self.came != self.left + owed {
            return Some(format!(
                "{} messages came, {} left and {owed} are owed",
                self.came, self.left
            ));
        }
        (counted + polled != flying)
            .then(|| format!("{flying} messages are with consumers, who count {}", counted + polled))
    }
}
