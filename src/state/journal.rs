//! An agent's state as an append-only log: events, their projection, snapshots.
//!
//! Events say what changed; folding them gives the state (Young, "CQRS Documents", 2010). A snapshot is a fold that was written down, so
//! that a rebuild begins there. Appends name the number that they expect, as in EventStoreDB, and the writer's epoch, as Kafka's transactional
//! producers do: a repeated append isn't a second event, and a writer that has been succeeded is refused.

use crate::kernel::SimTime;
use serde::{Deserialize, Serialize};

/// Where an agent is in its program, and what it goes by there: the state that events change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The instruction that comes next.
    pub next: u32,
    /// Steps made since the program began.
    pub steps: u32,
    /// What its loops count; what lies behind the end is 0.
    pub registers: Vec<u32>,
    /// How much the last read showed, where a step goes by it.
    pub amount: Option<i64>,
    /// The key that was chosen last, where a step takes it again.
    pub key: Option<u32>,
}

/// What a step changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// The instruction that comes next.
    pub next: u32,
    /// How many steps were made.
    pub steps: u32,
    /// Loops that count something else now.
    pub registers: Vec<(u16, u32)>,
    /// See [`Position::amount`].
    pub amount: Option<i64>,
    /// See [`Position::key`].
    pub key: Option<u32>,
    /// Its size on the wire.
    pub bytes: u32,
}

impl Position {
    /// The event that leads from here to `to`.
    pub fn event_to(&self, to: &Self, bytes: u32) -> Event {
        let changed = to.registers.iter().zip(0u16..).filter(|(value, index)| {
            let before = self.registers.get(usize::from(*index)).copied().unwrap_or(0);
            **value != before
        });
        Event {
            next: to.next,
            steps: to.steps.wrapping_sub(self.steps),
            registers: changed.map(|(value, index)| (index, *value)).collect(),
            amount: to.amount,
            key: to.key,
            bytes,
        }
    }

    /// Takes an event in.
    pub fn apply(&mut self, event: &Event) {
        self.next = event.next;
        self.steps = self.steps.wrapping_add(event.steps);
        for (index, value) in &event.registers {
            let index = usize::from(*index);
            if self.registers.len() <= index {
                self.registers.resize(index + 1, 0);
            }
            self.registers[index] = *value;
        }
        (self.amount, self.key) = (event.amount, event.key);
    }
}

impl Event {
    /// The event in the words of a record: its size, then what it changes.
    pub fn words(&self) -> Vec<u64> {
        let place = u64::from(self.next) << 32 | u64::from(self.steps);
        let amount = [u64::from(self.amount.is_some()), self.amount.unwrap_or(0) as u64];
        let key = self.key.map_or(0, |key| u64::from(key) + 1);
        let registers = self.registers.iter();
        let registers = registers.map(|(index, value)| u64::from(*index) << 32 | u64::from(*value));
        [u64::from(self.bytes), place, amount[0], amount[1], key]
            .into_iter()
            .chain(registers)
            .collect()
    }

    /// The event that these words say.
    ///
    /// # Panics
    /// Panics if they are no event's.
    pub fn of_words(words: &[u64]) -> Self {
        let [bytes, place, is_amount, amount, key] = *words.first_chunk().expect("an event has five words at least");
        Self {
            next: (place >> 32) as u32,
            steps: place as u32,
            registers: words[5..]
                .iter()
                .map(|word| ((word >> 32) as u16, *word as u32))
                .collect(),
            amount: (is_amount == 1).then_some(amount as i64),
            key: key.checked_sub(1).map(|key| key as u32),
            bytes: bytes as u32,
        }
    }
}

/// A state that was written down.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snapshot {
    /// How many events it has taken in.
    pub number: u32,
    /// The state.
    pub position: Position,
    /// Its size on the wire.
    pub bytes: u32,
}

/// What an agent wants of its log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogRequest {
    /// To append an event.
    Append {
        /// Which life of the agent writes.
        epoch: u32,
        /// The event's number, from 1: one more than there are.
        number: u32,
        /// The event.
        event: Event,
    },
    /// To keep a snapshot.
    Keep {
        /// Which life of the agent writes.
        epoch: u32,
        /// The snapshot.
        snapshot: Snapshot,
    },
    /// To read what is there. Earlier lives of the agent may not write any more.
    Load {
        /// Which life of the agent reads.
        epoch: u32,
        /// How many events it has; `None`: nothing yet, and it takes a snapshot.
        after: Option<u32>,
        /// How many events the answer holds at most.
        most: u32,
    },
}

impl LogRequest {
    /// Its content, as one word for the fingerprint.
    pub fn digest(&self) -> u64 {
        let fold = |words: [u64; 4]| {
            words.into_iter().fold(0u64, |hash, word| {
                (hash.rotate_left(25) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15)
            })
        };
        match self {
            Self::Append { epoch, number, event } => {
                let place = u64::from(event.next) << 32 | u64::from(event.steps);
                fold([1, u64::from(*epoch), u64::from(*number), place])
            }
            Self::Keep { epoch, snapshot } => {
                let place = u64::from(snapshot.position.next) << 32 | u64::from(snapshot.position.steps);
                fold([2, u64::from(*epoch), u64::from(snapshot.number), place])
            }
            Self::Load { epoch, after, .. } => {
                fold([3, u64::from(*epoch), after.map_or(0, |after| u64::from(after) + 1), 0])
            }
        }
    }
}

/// What a log answers to [`LogRequest::Load`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// The newest snapshot, if it was asked for and there is one.
    pub snapshot: Option<Snapshot>,
    /// The events after it, or after those that the agent has.
    pub events: Vec<Event>,
    /// The number of the newest event in the log.
    pub last: u32,
}

impl Loaded {
    /// Its size on the wire.
    pub fn bytes(&self) -> u64 {
        let events: u64 = self.events.iter().map(|event| u64::from(event.bytes)).sum();
        events + self.snapshot.as_ref().map_or(0, |snapshot| u64::from(snapshot.bytes))
    }
}

/// What became of a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Written {
    /// It is in the log.
    Added,
    /// It was there before.
    Repeated,
    /// A later life of the agent has come: it is refused for good.
    Succeeded,
    /// Events before it aren't there: the log has lost its state.
    Gap,
}

/// An event in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Stored {
    event: Event,
    at: SimTime,
    /// Which life of the agent wrote it.
    epoch: u32,
}

/// The log of one agent: events without a gap, and snapshots.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    epoch: u32,
    /// What the first event builds on, and since when: the beginning, or the snapshot with which the log began anew.
    base: Option<(Snapshot, SimTime)>,
    events: Vec<Stored>,
    /// In the order of their numbers.
    snapshots: Vec<Snapshot>,
}

impl Stream {
    /// The number of the newest event.
    pub fn last(&self) -> u32 {
        self.first() + self.events.len() as u32
    }

    /// How many events came before the first that is kept.
    fn first(&self) -> u32 {
        self.base.as_ref().map_or(0, |(base, _)| base.number)
    }

    /// Appends an event at `now`.
    ///
    /// A log that has lost its state can't know who has been succeeded, and may take a late write of an earlier life. The events of
    /// the life that goes on then take their places: what lies there from an earlier life goes, with all behind it.
    pub fn append(&mut self, epoch: u32, number: u32, event: &Event, now: SimTime) -> Written {
        if epoch < self.epoch {
            return Written::Succeeded;
        }
        self.epoch = epoch;
        let last = self.last();
        if number > last + 1 {
            return Written::Gap;
        }
        let Some(place) = number.checked_sub(self.first() + 1) else {
            return Written::Repeated;
        };
        if let Some(stored) = self.events.get(place as usize) {
            if stored.epoch == epoch {
                return Written::Repeated;
            }
            self.events.truncate(place as usize);
            self.snapshots.retain(|snapshot| snapshot.number < number);
        }
        let event = event.clone();
        self.events.push(Stored { event, at: now, epoch });
        Written::Added
    }

    /// Keeps a snapshot. One that is ahead of the log is what the log goes on from: what came before it is lost.
    pub fn keep(&mut self, epoch: u32, snapshot: &Snapshot, now: SimTime) -> Written {
        if epoch < self.epoch {
            return Written::Succeeded;
        }
        self.epoch = epoch;
        if snapshot.number > self.last() {
            self.events.clear();
            self.snapshots.clear();
            self.base = Some((snapshot.clone(), now));
        }
        match self.snapshots.last() {
            Some(newest) if newest.number >= snapshot.number => Written::Repeated,
            _ => {
                self.snapshots.push(snapshot.clone());
                Written::Added
            }
        }
    }

    /// Reads for a rebuild: see [`LogRequest::Load`]. `None`: a later life of the agent has come.
    pub fn load(&mut self, epoch: u32, after: Option<u32>, most: u32) -> Option<Loaded> {
        if epoch < self.epoch {
            return None;
        }
        self.epoch = epoch;
        let snapshot = match after {
            None => self.snapshots.last().cloned(),
            Some(_) => None,
        };
        let from = after.unwrap_or_else(|| snapshot.as_ref().map_or(0, |snapshot| snapshot.number));
        let known = from.saturating_sub(self.first()) as usize;
        let events = self.events.iter().skip(known).take(most as usize);
        Some(Loaded {
            snapshot,
            events: events.map(|stored| stored.event.clone()).collect(),
            last: self.last(),
        })
    }

    /// The state at a past time, and how many events it had taken in: the fold of what was in the log by then. `None`: the log has lost
    /// what was known of that time.
    pub fn state_at(&self, time: SimTime) -> Option<(u32, Position)> {
        let (from, mut position) = match &self.base {
            None => (0, Position::default()),
            Some((base, since)) if *since <= time => (base.number, base.position.clone()),
            Some(_) => return None,
        };
        // Events are in the log in the order of their times.
        let upto = self.events.partition_point(|stored| stored.at <= time);
        let mut number = from;
        if let Some(snapshot) = self
            .snapshots
            .iter()
            .rfind(|snapshot| snapshot.number <= from + upto as u32)
        {
            (number, position) = (snapshot.number, snapshot.position.clone());
        }
        for stored in &self.events[(number - from) as usize..upto] {
            position.apply(&stored.event);
        }
        Some((from + upto as u32, position))
    }
}

/// Where the logs of agents are kept: by agent.
pub type Streams = std::collections::BTreeMap<u32, Stream>;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn position(next: u32, steps: u32, registers: &[u32]) -> Position {
        Position {
            next,
            steps,
            registers: registers.to_vec(),
            amount: next.is_multiple_of(3).then_some(i64::from(steps)),
            key: next.is_multiple_of(2).then_some(next),
        }
    }

    fn snapshot(number: u32, position: &Position) -> Snapshot {
        Snapshot {
            number,
            position: position.clone(),
            bytes: 100,
        }
    }

    #[test]
    fn a_repeated_append_is_one_event_and_a_gap_is_none() {
        let (mut stream, to) = (Stream::default(), position(3, 4, &[2]));
        let event = Position::default().event_to(&to, 10);
        assert_eq!(stream.append(0, 1, &event, SimTime::ZERO), Written::Added);
        assert_eq!(stream.append(0, 1, &event, SimTime::ZERO), Written::Repeated);
        assert_eq!(stream.append(0, 3, &event, SimTime::ZERO), Written::Gap);
        assert_eq!(stream.last(), 1);
    }

    #[test]
    fn a_writer_that_was_succeeded_is_refused() {
        let (mut stream, to) = (Stream::default(), position(3, 4, &[]));
        let event = Position::default().event_to(&to, 10);
        stream.append(0, 1, &event, SimTime::ZERO);
        assert_eq!(stream.load(1, None, 10).map(|loaded| loaded.last), Some(1));
        assert_eq!(stream.append(0, 2, &event, SimTime::ZERO), Written::Succeeded);
        assert_eq!(stream.keep(0, &snapshot(2, &to), SimTime::ZERO), Written::Succeeded);
        assert_eq!(stream.load(0, None, 10), None);
        assert_eq!(stream.append(1, 2, &event, SimTime::ZERO), Written::Added);
    }

    #[test]
    fn late_writes_of_an_earlier_life_give_way_to_those_of_the_life_that_goes_on() {
        let (mut stream, to) = (Stream::default(), position(3, 4, &[]));
        let [stale, meant] = [to.clone(), position(5, 6, &[])].map(|to| Position::default().event_to(&to, 10));
        // The log knows of nobody: it takes what comes.
        assert_eq!(stream.append(0, 1, &stale, SimTime::from_nanos(1)), Written::Added);
        assert_eq!(stream.append(0, 2, &stale, SimTime::from_nanos(2)), Written::Added);
        assert_eq!(
            stream.keep(0, &snapshot(2, &to), SimTime::from_nanos(2)),
            Written::Added
        );
        assert_eq!(stream.append(1, 1, &meant, SimTime::from_nanos(3)), Written::Added);
        assert_eq!(stream.append(1, 1, &meant, SimTime::from_nanos(4)), Written::Repeated);
        assert_eq!(stream.last(), 1);
        let (_, state) = stream.state_at(SimTime::from_nanos(3)).unwrap();
        assert_eq!((state.next, state.steps), (5, 6));
        assert_eq!(stream.load(1, None, 10).unwrap().snapshot, None);
    }

    #[test]
    fn a_log_that_lost_its_state_goes_on_from_a_snapshot() {
        let (mut stream, to) = (Stream::default(), position(9, 20, &[5]));
        let event = to.event_to(&position(10, 21, &[5]), 10);
        assert_eq!(stream.append(0, 8, &event, SimTime::from_nanos(5)), Written::Gap);
        assert_eq!(
            stream.keep(0, &snapshot(7, &to), SimTime::from_nanos(6)),
            Written::Added
        );
        assert_eq!(stream.append(0, 8, &event, SimTime::from_nanos(7)), Written::Added);
        assert_eq!(stream.state_at(SimTime::from_nanos(5)), None);
        assert_eq!(stream.state_at(SimTime::from_nanos(6)), Some((7, to)));
        let loaded = stream.load(1, None, 10).unwrap();
        assert_eq!(
            (loaded.snapshot.unwrap().number, loaded.events.len(), loaded.last),
            (7, 1, 8)
        );
    }

    proptest! {
        /// The state at any time is that of the brute force: the newest of the states that had been written by then.
        #[test]
        fn a_fold_up_to_any_time_is_the_state_that_was_there(
            states in prop::collection::vec((0u32..50, 0u32..5, prop::collection::vec(0u32..4, 2), 0u64..4), 0..40),
            every in 1u32..8,
            most in 1u32..6,
        ) {
            let (mut stream, mut now, mut before) = (Stream::default(), 0, Position::default());
            let mut history = vec![(0, Position { registers: vec![0, 0], ..Position::default() })];
            for (number, (next, more, registers, gap)) in (1u32..).zip(&states) {
                now += gap;
                let to = position(*next, before.steps + more, registers);
                let event = before.event_to(&to, 10);
                prop_assert_eq!(&Event::of_words(&event.words()), &event);
                let at = SimTime::from_nanos(now);
                prop_assert_eq!(stream.append(0, number, &event, at), Written::Added);
                if number % every == 0 {
                    prop_assert_eq!(stream.keep(0, &snapshot(number, &to), at), Written::Added);
                }
                history.push((now, to.clone()));
                before = to;
            }
            for time in 0..=now + 1 {
                let brute = history.iter().rposition(|(at, _)| *at <= time).unwrap();
                let (number, mut state) = stream.state_at(SimTime::from_nanos(time)).unwrap();
                state.registers.resize(2, 0);
                prop_assert_eq!(number as usize, brute);
                prop_assert_eq!(&state, &history[brute].1);
            }
            // A rebuild in batches gives the last state.
            let (mut number, mut state) = (0, Position::default());
            let mut loaded = stream.load(1, None, most).unwrap();
            loop {
                if let Some(snapshot) = &loaded.snapshot {
                    (number, state) = (snapshot.number, snapshot.position.clone());
                }
                loaded.events.iter().for_each(|event| state.apply(event));
                number += loaded.events.len() as u32;
                if number == loaded.last {
                    break;
                }
                loaded = stream.load(1, Some(number), most).unwrap();
            }
            state.registers.resize(2, 0);
            prop_assert_eq!(&state, &history.last().unwrap().1);
        }
    }
}
