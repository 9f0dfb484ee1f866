//! A member that broadcasts, and delivers in causal order, as data without I/O.

use super::message::{Author, Event, Talk, Vector};
use super::{Flaw, Rules, Via, note};
use crate::coordination::gossip::distinct;
use crate::coordination::member::{Asked, Input, Io, Member, NEVER};
use crate::kernel::Purpose;
use crate::world::population::purpose;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// When, and with whom, a member compares what it has.
const COMPARE: Purpose = Purpose(0x138);

/// An event that has come before its causes.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Held {
    event: Event,
    since: i64,
}

/// A member that broadcasts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Caster {
    me: Author,
    /// What it has delivered.
    delivered: Vector,
    /// All that it has delivered, by author, in the order of their numbers.
    log: BTreeMap<Author, Vec<Event>>,
    /// What it may not deliver yet.
    held: BTreeMap<(Author, u32), Held>,
    /// The identities of what it has delivered.
    known: BTreeSet<u64>,
    compare_at: i64,
}

impl Caster {
    /// A member that has delivered nothing.
    pub fn new(me: u32) -> Self {
        Self {
            me: Author { member: me, since: 0 },
            delivered: Vector::default(),
            log: BTreeMap::new(),
            held: BTreeMap::new(),
            known: BTreeSet::new(),
            compare_at: NEVER,
        }
    }

    /// What it has delivered.
    pub fn delivered(&self) -> &Vector {
        &self.delivered
    }

    /// How many events are held back.
    pub fn held(&self) -> usize {
        self.held.len()
    }

    fn begin(&mut self, rules: &Rules, io: &Io<'_, Talk>) {
        if let Some(every) = rules.repair.filter(|_| rules.members > 1) {
            let phase = io.draw_for(COMPARE, io.now as u64).below(every.max(1));
            self.compare_at = io.now.saturating_add(1 + phase as i64);
        }
    }

    fn ask(&mut self, rules: &Rules, asked: Asked, io: &mut Io<'_, Talk>) {
        if !self.known.contains(&asked.identity) {
            let event = Event {
                identity: asked.identity,
                author: self.me,
                number: self.delivered.get(self.me) + 1,
                value: asked.value,
                bytes: asked.bytes,
                after: self.delivered.clone(),
            };
            io.note(note::ISSUED, event.identity, event.after.len() as u64);
            io.tell(event.value);
            match rules.via {
                Via::Direct => io.send_to_all(0..rules.members, &Talk::Event(Box::new(event.clone()))),
                Via::Gossip(_) => self.hand_on(rules, &event, io),
            }
            self.keep(event);
        }
        io.answer(asked.token, asked.value);
    }

    /// Tells a few others of an event.
    fn hand_on(&self, rules: &Rules, event: &Event, io: &mut Io<'_, Talk>) {
        if let Via::Gossip(fan_out) = rules.via {
            let mut draws = io.draw_for(purpose::PEER, event.identity);
            for to in distinct(rules.members, io.me, fan_out, |bound| draws.below(bound)) {
                io.send(to, Talk::Event(Box::new(event.clone())));
            }
        }
    }

    /// An event takes its place in the order of its author.
    fn keep(&mut self, event: Event) {
        self.delivered.advance(event.author);
        self.known.insert(event.identity);
        self.log.entry(event.author).or_default().push(event);
    }

    fn deliver(event: &Event, waited: i64, io: &mut Io<'_, Talk>) {
        io.note(note::DELIVERED, event.identity, waited.max(0) as u64);
        io.tell(event.value);
    }

    /// Whether everything is delivered that this event is to come after.
    fn is_next(&self, rules: &Rules, event: &Event) -> bool {
        let in_turn = self.delivered.get(event.author) + 1 == event.number;
        in_turn && (rules.flaw == Flaw::FirstInFirstOut || self.delivered.covers(&event.after))
    }

    /// Takes in an event that has come; says whether it is new.
    fn take(&mut self, rules: &Rules, event: Event, io: &mut Io<'_, Talk>) -> bool {
        let place = (event.author, event.number);
        if event.number <= self.delivered.get(event.author) || self.held.contains_key(&place) {
            io.note(note::AGAIN, event.identity, 0);
            return false;
        }
        if rules.flaw == Flaw::Eager {
            Self::deliver(&event, 0, io);
        } else if !self.is_next(rules, &event) {
            io.note(note::HELD, event.identity, 0);
        }
        self.held.insert(place, Held { event, since: io.now });
        true
    }

    /// Delivers what it may by now, until nothing follows from it.
    fn release(&mut self, rules: &Rules, io: &mut Io<'_, Talk>) {
        loop {
            // Of each author only the event whose turn it is can be next.
            let next = self.held.iter().find(|(_, held)| self.is_next(rules, &held.event));
            let Some(place) = next.map(|(place, _)| *place) else {
                return;
            };
            if let Some(Held { event, since }) = self.held.remove(&place) {
                if rules.flaw != Flaw::Eager {
                    Self::deliver(&event, io.now - since, io);
                }
                self.keep(event);
            }
        }
    }

    /// What it has delivered that isn't in `has`.
    fn beyond(&self, has: &Vector) -> Vec<Event> {
        let of = |(author, events): (&Author, &Vec<Event>)| {
            let from = (has.get(*author) as usize).min(events.len());
            events[from..].to_vec()
        };
        self.log.iter().flat_map(of).collect()
    }

    fn hear(&mut self, rules: &Rules, from: u32, message: Talk, io: &mut Io<'_, Talk>) {
        match message {
            Talk::Event(event) => {
                let event = *event;
                let onward = matches!(rules.via, Via::Gossip(_)).then(|| event.clone());
                if self.take(rules, event, io)
                    && let Some(event) = onward
                {
                    self.hand_on(rules, &event, io);
                }
                self.release(rules, io);
            }
            Talk::Compare(has) => {
                let events = self.beyond(&has);
                let mine = (!self.delivered.covers(&has)).then(|| self.delivered.clone());
                if !events.is_empty() || mine.is_some() {
                    io.send(from, Talk::Missing(events, mine));
                }
            }
            Talk::Missing(events, theirs) => {
                for event in events {
                    self.take(rules, event, io);
                }
                self.release(rules, io);
                if let Some(theirs) = theirs {
                    let events = self.beyond(&theirs);
                    if !events.is_empty() {
                        io.send(from, Talk::Missing(events, None));
                    }
                }
            }
        }
    }

    fn act(&mut self, rules: &Rules, io: &mut Io<'_, Talk>) {
        if self.compare_at <= io.now
            && let Some(every) = rules.repair
        {
            let mut draws = io.draw_for(COMPARE, !(io.now as u64));
            for to in distinct(rules.members, io.me, 1, |bound| draws.below(bound)) {
                io.send(to, Talk::Compare(self.delivered.clone()));
            }
            self.compare_at = io.now.saturating_add(every.max(1) as i64);
        }
    }
}

impl Member for Caster {
    type Rules = Rules;
    type Message = Talk;

    fn on(&mut self, rules: &Rules, input: Input<Talk>, io: &mut Io<'_, Talk>) {
        match input {
            Input::Start => self.begin(rules, io),
            Input::Restarted => {
                if self.delivered.is_empty() {
                    self.me.since = (io.now / 1_000_000).clamp(1, i64::from(u32::MAX)) as u32;
                }
                self.begin(rules, io);
            }
            Input::Heard { from, message } => self.hear(rules, from, message, io),
            Input::Due => self.act(rules, io),
            Input::Asked(asked) => self.ask(rules, asked, io),
            Input::Withdrawn(_) | Input::Engaged { .. } => {}
        }
    }

    fn due(&self, _now: i64) -> i64 {
        self.compare_at
    }

    fn crash(&mut self, _rules: &Rules, keeps_disk: bool) {
        if keeps_disk {
            // What was held back wasn't on its disk.
            self.held.clear();
            self.compare_at = NEVER;
        } else {
            *self = Self::new(self.me.member);
        }
    }

    fn is_at_rest(&self) -> bool {
        self.held.is_empty()
    }
}
