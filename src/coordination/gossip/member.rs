//! A member that gossips, as data without I/O.

use super::message::{Item, Items, Runs, Talk, Verdicts};
use super::{Flaw, Pace, Planted, Rule, Rules, Spread, Stopping, note};
use crate::coordination::member::{Asked, Input, Io, Member, NEVER};
use crate::kernel::Purpose;
use crate::world::population::purpose;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// When contacts are made, where each member has its own times.
const PACE: Purpose = Purpose(0x132);
/// Whether interest in a rumour ends.
const COIN: Purpose = Purpose(0x133);
/// With whom, and when, a member compares what it has.
const COMPARE: Purpose = Purpose(0x134);

/// No round, and no end of interest.
const NONE: u32 = u32::MAX;

/// Keeps numbers that are drawn about apart.
const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;

/// An item at a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Held {
    id: u64,
    value: u64,
    bytes: u32,
    /// The first round at whose beginning it was known.
    from: u32,
    /// The first round in which it isn't a rumour any more.
    until: u32,
    /// The cycle that `asked` is about.
    cycle: u32,
    counter: u16,
    hops: u16,
    asked: Answered,
}

/// What became of the answers of a cycle that told of an item.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
enum Answered {
    Nobody,
    InVain,
    Needed,
}

impl Held {
    fn item(&self) -> Item {
        Item {
            id: self.id,
            value: self.value,
            bytes: self.bytes,
            hops: u32::from(self.hops) + 1,
        }
    }

    /// Whether it was known when the round began. What is far in the future was learnt before the clock was set back.
    fn was_known(&self, round: u32) -> bool {
        self.from <= round || self.from > round.saturating_add(1)
    }

    /// Whether nobody has decided yet that it isn't a rumour any more.
    fn interests(&self) -> bool {
        self.until == NONE
    }
}

/// A member that gossips.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Gossiper {
    /// Ascending by identity.
    held: SmallVec<[Held; 1]>,
    /// In rounds for all: the next one that it takes part in, or [`NONE`]. Else how many contacts it has made.
    round: u32,
    /// The time of its next contact, where it has its own.
    next: i64,
    /// When it compares next.
    compare: i64,
    /// When something comes into the world here next.
    plant: i64,
    /// The length of a round, where there are rounds for all; else 0.
    every: i64,
}

impl Default for Gossiper {
    fn default() -> Self {
        Self::new()
    }
}

impl Gossiper {
    /// A member that knows nothing.
    pub fn new() -> Self {
        Self {
            held: SmallVec::new(),
            round: NONE,
            next: NEVER,
            compare: NEVER,
            plant: NEVER,
            every: 0,
        }
    }

    /// Whether it has an item.
    pub fn knows(&self, id: u64) -> bool {
        self.find(id).is_ok()
    }

    /// How many items it has.
    pub fn count(&self) -> usize {
        self.held.len()
    }

    /// How many of its items it still tells of as rumours.
    pub fn rumours(&self) -> usize {
        self.held.iter().filter(|held| held.interests()).count()
    }

    fn find(&self, id: u64) -> Result<usize, usize> {
        self.held.binary_search_by_key(&id, |held| held.id)
    }

    /// The round that is under way.
    fn current(&self, rules: &Rules, now: i64) -> u32 {
        match rules.pace {
            Pace::Together { every } => u32::try_from(now / every.max(1) as i64).unwrap_or(0).min(NONE - 2),
            Pace::Apart { .. } => self.round,
        }
    }

    /// The round at whose beginning something that is learnt now is known first.
    fn known_from(&self, rules: &Rules, now: i64) -> u32 {
        match rules.pace {
            Pace::Together { .. } => self.current(rules, now) + 1,
            Pace::Apart { .. } => 0,
        }
    }

    fn begin(&mut self, rules: &Rules, io: &mut Io<'_, Talk>, anew: bool) {
        let now = io.now;
        match rules.pace {
            Pace::Together { every } => self.every = every.max(1) as i64,
            // Contacts of another life are drawn apart from those of the last one.
            Pace::Apart { every, .. } => {
                self.round = if anew {
                    0
                } else {
                    (now / every.max(1) as i64).max(0) as u32
                }
            }
        }
        if let Some(every) = rules.anti_entropy.filter(|_| rules.members > 1) {
            let phase = io.draw_for(COMPARE, now as u64).below(every.max(1));
            self.compare = now.saturating_add(1 + phase as i64);
        }
        // What its clock had passed when it crashed has been there already.
        let since = if anew { i64::MIN } else { now };
        let mine = rules.planted_at(io.me);
        self.plant = mine.iter().map(|item| item.at).find(|at| *at > since).unwrap_or(NEVER);
        if self.plant <= now {
            self.sow(rules, io);
        }
        self.join_in(rules, io);
    }

    /// Whether it has any reason to make contacts.
    fn has_reason(&self, rules: &Rules) -> bool {
        match rules.spread {
            _ if rules.members < 2 => false,
            Spread::Nothing => false,
            _ if rules.exchange.pulls() => true,
            Spread::Everything => !self.held.is_empty(),
            Spread::Rumours(_) => self.held.iter().any(Held::interests),
        }
    }

    /// Makes a time for its next contact if it has a reason for one and no time yet.
    fn join_in(&mut self, rules: &Rules, io: &Io<'_, Talk>) {
        let reason = self.has_reason(rules);
        match rules.pace {
            Pace::Together { .. } if !reason => self.round = NONE,
            Pace::Together { .. } if self.round == NONE => self.round = self.current(rules, io.now) + 1,
            Pace::Apart { .. } if !reason => self.next = NEVER,
            Pace::Apart { every, .. } if self.next == NEVER => {
                let phase = io.draw_for(PACE, io.now as u64).below(every.max(1));
                self.next = io.now.saturating_add(1 + phase as i64);
            }
            _ => {}
        }
    }

    /// What was to come into the world here by now does.
    fn sow(&mut self, rules: &Rules, io: &mut Io<'_, Talk>) {
        let due = self.plant;
        self.plant = NEVER;
        for item in rules.planted_at(io.me) {
            if item.at > io.now {
                self.plant = item.at;
                break;
            }
            if item.at >= due {
                let Planted { value, bytes, .. } = *item;
                self.put_in(rules, item.identity(), value, bytes, io);
            }
        }
    }

    /// Something new comes into the world here.
    fn put_in(&mut self, rules: &Rules, id: u64, value: u64, bytes: u32, io: &mut Io<'_, Talk>) {
        if let Err(place) = self.find(id) {
            let round = match rules.pace {
                Pace::Together { .. } => u64::from(self.current(rules, io.now)),
                Pace::Apart { .. } => 0,
            };
            io.note_with(note::BEGUN, id, value, &[bytes.into(), round]);
            io.tell(value);
            let item = Item {
                id,
                value,
                bytes,
                hops: 0,
            };
            self.insert(rules, place, item, io.now);
        }
    }

    fn insert(&mut self, rules: &Rules, place: usize, item: Item, now: i64) {
        let held = Held {
            id: item.id,
            value: item.value,
            bytes: item.bytes,
            from: self.known_from(rules, now),
            until: if rules.stopping().is_some() { NONE } else { 0 },
            cycle: 0,
            counter: 0,
            hops: item.hops.min(u16::MAX.into()) as u16,
            asked: Answered::Nobody,
        };
        self.held.insert(place, held);
    }

    /// Takes in what it is told in a round; returns of each item whether it was needed, which is whether it wasn't known when the round began.
    fn learn(&mut self, rules: &Rules, from: u32, told_in: u32, items: &Items, io: &mut Io<'_, Talk>) -> Verdicts {
        let current = self.current(rules, io.now);
        let mut verdicts = Verdicts::new();
        for item in items {
            let needed = match self.find(item.id) {
                Ok(place) => {
                    io.note(note::AGAIN, item.id, from.into());
                    let held = &mut self.held[place];
                    match rules.flaw {
                        Flaw::None => {}
                        Flaw::TellsAgain => io.tell(item.value),
                        Flaw::ForwardsAgain if rules.stopping().is_some() => (held.until, held.counter) = (NONE, 0),
                        Flaw::ForwardsAgain => {}
                    }
                    !held.was_known(current)
                }
                Err(place) => {
                    let round = match rules.pace {
                        Pace::Together { .. } => u64::from(told_in),
                        Pace::Apart { .. } => 0,
                    };
                    io.note(note::LEARNT, item.id, round << 32 | u64::from(item.hops));
                    io.tell(item.value);
                    self.insert(rules, place, *item, io.now);
                    true
                }
            };
            verdicts.push((item.id, needed));
        }
        self.join_in(rules, io);
        verdicts
    }

    /// It loses interest in an item: from `round` on that is no rumour.
    fn rest(held: &mut Held, round: u32, io: &mut Io<'_, Talk>) {
        if held.interests() {
            held.until = round.min(NONE - 1);
            io.note(note::RESTED, held.id, held.counter.into());
        }
    }

    /// A contact counts against a rumour: whether interest in it ends with this one.
    fn counts(held: &mut Held, rule: Rule, about: u64, io: &Io<'_, Talk>) -> bool {
        held.counter = held.counter.saturating_add(1);
        match rule {
            Rule::Counter(most) => u32::from(held.counter) >= most,
            Rule::Coin(sides) => {
                io.draw_for(COIN, (held.id ^ about).wrapping_mul(SPREAD))
                    .below(u64::from(sides.max(1)))
                    == 0
            }
        }
    }

    /// Draws the account of the answers of earlier cycles.
    fn settle(&mut self, rules: &Rules, round: u32, io: &mut Io<'_, Talk>) {
        let Some(Stopping { feedback: true, rule }) = rules.stopping().filter(|_| rules.exchange.pulls()) else {
            return;
        };
        for held in self.held.iter_mut().filter(|held| held.cycle != round) {
            match std::mem::replace(&mut held.asked, Answered::Nobody) {
                Answered::Nobody => {}
                Answered::Needed => held.counter = 0,
                Answered::InVain if held.interests() => {
                    let about = u64::from(held.cycle) << 32 | 1 << 31;
                    if Self::counts(held, rule, about, io) {
                        Self::rest(held, round, io);
                    }
                }
                Answered::InVain => {}
            }
            held.cycle = round;
        }
    }

    /// What it tells whoever asks in a round, of what isn't in `has`, and what that does to its interest.
    fn answer(&mut self, rules: &Rules, from: u32, round: u32, has: &Runs, io: &mut Io<'_, Talk>) -> Items {
        self.settle(rules, round, io);
        let stopping = rules.stopping();
        let mut items = Items::new();
        for held in self.held.iter_mut().filter(|held| held.was_known(round)) {
            let shared = contains(has, held.id);
            match stopping {
                None if !shared => items.push(held.item()),
                Some(Stopping { feedback, rule }) if held.until > round => {
                    if !shared {
                        items.push(held.item());
                    }
                    if feedback && shared && held.asked == Answered::Nobody {
                        held.asked = Answered::InVain;
                    }
                    let about = u64::from(round) << 32 | u64::from(from);
                    if !feedback && held.interests() && Self::counts(held, rule, about, io) {
                        Self::rest(held, round + 1, io);
                    }
                }
                _ => {}
            }
        }
        for item in &items {
            io.note(note::PASSED, item.id, from.into());
        }
        items
    }

    /// What came of telling somebody in a contact of its own.
    fn hear_of_push(&mut self, rules: &Rules, from: u32, verdicts: &Verdicts, io: &mut Io<'_, Talk>) {
        let Some(Stopping { feedback: true, rule }) = rules.stopping() else {
            return;
        };
        let round = self.current(rules, io.now);
        for (id, needed) in verdicts {
            let Ok(place) = self.find(*id) else {
                continue;
            };
            let held = &mut self.held[place];
            if *needed {
                held.counter = 0;
            } else if held.interests() {
                let about = u64::from(round) << 32 | u64::from(from);
                if Self::counts(held, rule, about, io) {
                    Self::rest(held, round + 1, io);
                }
            }
        }
        self.join_in(rules, io);
    }

    /// What came of telling somebody in an answer.
    fn hear_of_answer(&mut self, rules: &Rules, verdicts: &Verdicts, io: &mut Io<'_, Talk>) {
        let round = self.current(rules, io.now);
        self.settle(rules, round, io);
        for (id, needed) in verdicts {
            if let Ok(place) = self.find(*id) {
                let held = &mut self.held[place];
                held.cycle = round;
                held.asked = match held.asked {
                    _ if *needed => Answered::Needed,
                    Answered::Nobody => Answered::InVain,
                    other => other,
                };
            }
        }
    }

    /// Contacts the others of this round.
    fn contact(&mut self, rules: &Rules, round: u32, io: &mut Io<'_, Talk>) {
        self.settle(rules, round, io);
        let (stopping, asks) = (rules.stopping(), rules.exchange.pulls());
        let mut has = None;
        for to in self.peers(rules, rules.fan_out, purpose::PEER, round.into(), io) {
            let mut items = Items::new();
            if rules.exchange.pushes() {
                for held in self.held.iter_mut().filter(|held| held.was_known(round)) {
                    // What interest has ended in by now isn't told to the next one in the same round.
                    if stopping.is_none() || held.interests() {
                        items.push(held.item());
                        io.note(note::PASSED, held.id, to.into());
                    }
                    if let Some(Stopping { feedback: false, rule }) = stopping
                        && held.interests()
                    {
                        let about = u64::from(round) << 32 | u64::from(to);
                        if Self::counts(held, rule, about, io) {
                            Self::rest(held, round + 1, io);
                        }
                    }
                }
            }
            if !items.is_empty() {
                io.send(to, Talk::Push { round, asks, items });
            } else if asks {
                let has = has.get_or_insert_with(|| match stopping {
                    None => self.runs(),
                    Some(_) => Runs::new(),
                });
                let has = has.clone();
                io.send(to, Talk::Ask { round, has });
            }
        }
    }

    /// So many different others that it knows.
    fn peers(&self, rules: &Rules, count: u32, purpose: Purpose, about: u64, io: &Io<'_, Talk>) -> SmallVec<[u32; 4]> {
        let mut draws = io.draw_for(purpose, about);
        match &rules.views {
            None => super::views::distinct(rules.members, io.me, count, |bound| draws.below(bound)),
            Some(views) => {
                let known = views.of(io.me);
                // Places in the list beside one that isn't there.
                let places = super::views::distinct(known.len() as u32 + 1, known.len() as u32, count, |bound| {
                    draws.below(bound)
                });
                places.into_iter().map(|place| known[place as usize]).collect()
            }
        }
    }

    /// What it has, as runs of identities.
    fn runs(&self) -> Runs {
        let mut runs = Runs::new();
        for held in &self.held {
            match runs.last_mut() {
                Some((_, last)) if *last + 1 == held.id => *last = held.id,
                _ => runs.push((held.id, held.id)),
            }
        }
        runs
    }

    /// What it has that isn't in these runs.
    fn beyond(&self, has: &Runs) -> Items {
        let lacking = self.held.iter().filter(|held| !contains(has, held.id));
        lacking.map(Held::item).collect()
    }

    /// What is in these runs that it hasn't.
    fn lacks(&self, has: &Runs) -> Runs {
        let mut wanted = Runs::new();
        for (first, last) in has {
            let mut next = Some(*first);
            let place = self.held.partition_point(|held| held.id < *first);
            for held in self.held[place..].iter().take_while(|held| held.id <= *last) {
                let start = next.unwrap_or(*first);
                if start < held.id {
                    wanted.push((start, held.id - 1));
                }
                next = held.id.checked_add(1);
            }
            if let Some(next) = next.filter(|next| next <= last) {
                wanted.push((next, *last));
            }
        }
        wanted
    }

    fn within(&self, wanted: &Runs) -> Items {
        let asked_for = self.held.iter().filter(|held| contains(wanted, held.id));
        asked_for.map(Held::item).collect()
    }

    fn hear(&mut self, rules: &Rules, from: u32, message: Talk, io: &mut Io<'_, Talk>) {
        let round = self.current(rules, io.now);
        match message {
            Talk::Push {
                round: told_in,
                asks,
                items,
            } => {
                let verdicts = self.learn(rules, from, told_in, &items, io);
                let wanted = rules.stopping().is_some_and(|stopping| stopping.feedback);
                let verdicts = if wanted { verdicts } else { Verdicts::new() };
                let answer = if asks {
                    let mut has: Runs = items.iter().map(|item| (item.id, item.id)).collect();
                    has.sort_unstable();
                    self.answer(rules, from, round, &has, io)
                } else {
                    Items::new()
                };
                if !answer.is_empty() || !verdicts.is_empty() {
                    let (round, items) = (told_in, answer);
                    io.send(from, Talk::Answer { round, items, verdicts });
                }
            }
            Talk::Ask { round: asked_in, has } => {
                let items = self.answer(rules, from, round, &has, io);
                if !items.is_empty() {
                    let (round, verdicts) = (asked_in, Verdicts::new());
                    io.send(from, Talk::Answer { round, items, verdicts });
                }
            }
            Talk::Answer { round, items, verdicts } => {
                self.hear_of_push(rules, from, &verdicts, io);
                let verdicts = self.learn(rules, from, round, &items, io);
                if !verdicts.is_empty() && rules.stopping().is_some_and(|stopping| stopping.feedback) {
                    let of_answer = true;
                    io.send(from, Talk::Feedback { of_answer, verdicts });
                }
            }
            Talk::Feedback {
                of_answer: true,
                verdicts,
            } => self.hear_of_answer(rules, &verdicts, io),
            Talk::Feedback {
                of_answer: false,
                verdicts,
            } => self.hear_of_push(rules, from, &verdicts, io),
            Talk::Compare { has } => {
                let (items, wanted) = (self.beyond(&has), self.lacks(&has));
                self.give(from, items, wanted, io);
            }
            Talk::Missing { items, wanted } => {
                self.learn(rules, from, round, &items, io);
                let items = self.within(&wanted);
                self.give(from, items, Runs::new(), io);
            }
        }
    }

    fn give(&self, to: u32, items: Items, wanted: Runs, io: &mut Io<'_, Talk>) {
        for item in &items {
            io.note(note::PASSED, item.id, to.into());
        }
        if !items.is_empty() || !wanted.is_empty() {
            io.send(to, Talk::Missing { items, wanted });
        }
    }

    fn act(&mut self, rules: &Rules, io: &mut Io<'_, Talk>) {
        let now = io.now;
        if self.plant <= now {
            self.sow(rules, io);
            self.join_in(rules, io);
        }
        if self.compare <= now
            && let Some(every) = rules.anti_entropy
        {
            for to in self.peers(rules, 1, COMPARE, !(now as u64), io) {
                let has = self.runs();
                io.send(to, Talk::Compare { has });
            }
            self.compare = now.saturating_add(every.max(1) as i64);
        }
        match rules.pace {
            Pace::Together { .. } => {
                let round = self.current(rules, now);
                let is_due = round >= self.round || round + 1 < self.round;
                if round > 0 && self.round != NONE && is_due {
                    self.contact(rules, round, io);
                    self.round = round + 1;
                    self.join_in(rules, io);
                }
            }
            Pace::Apart { every, jitter } => {
                if self.next <= now {
                    self.contact(rules, self.round, io);
                    let factor = 1.0 + jitter * (2.0 * io.draw_for(PACE, !u64::from(self.round)).unit() - 1.0);
                    let pause = (every as f64 * factor) as i64;
                    self.next = now.saturating_add(pause.max(1));
                    self.round = self.round.wrapping_add(1) % NONE;
                    self.join_in(rules, io);
                }
            }
        }
    }

    fn ask(&mut self, rules: &Rules, asked: Asked, io: &mut Io<'_, Talk>) {
        self.put_in(rules, asked.identity, asked.value, asked.bytes, io);
        io.answer(asked.token, asked.value);
        self.join_in(rules, io);
    }
}

/// Whether an identity is in one of these runs, which are ascending.
fn contains(runs: &Runs, id: u64) -> bool {
    let place = runs.partition_point(|(_, last)| *last < id);
    runs.get(place).is_some_and(|(first, _)| *first <= id)
}

impl Member for Gossiper {
    type Rules = Rules;
    type Message = Talk;

    fn on(&mut self, rules: &Rules, input: Input<Talk>, io: &mut Io<'_, Talk>) {
        match input {
            Input::Start => self.begin(rules, io, true),
            Input::Restarted => self.begin(rules, io, false),
            Input::Heard { from, message } => self.hear(rules, from, message, io),
            Input::Due => self.act(rules, io),
            Input::Asked(asked) => self.ask(rules, asked, io),
            Input::Withdrawn(_) | Input::Engaged { .. } => {}
        }
    }

    fn due(&self, now: i64) -> i64 {
        // A round that is beyond the next one was next before the clock was set back.
        let round = match self.round {
            _ if self.every == 0 => self.next,
            NONE => NEVER,
            round => i64::from(round).min(now / self.every + 1).saturating_mul(self.every),
        };
        round.min(self.compare).min(self.plant)
    }

    fn crash(&mut self, _rules: &Rules, keeps_disk: bool) {
        let held = std::mem::take(&mut self.held);
        *self = Self::new();
        if keeps_disk {
            self.held = held;
        }
    }

    fn is_at_rest(&self) -> bool {
        !self.held.iter().any(Held::interests)
    }
}
