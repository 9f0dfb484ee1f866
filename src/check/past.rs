//! What agents had in their logs at any past time, by the records alone.
//!
//! The event of each record is folded into the state before it. Guarantees: the state at a time is that of the newest event or snapshot that
//! a log had taken in by then, whatever became of the log since.

use crate::agents::journal::event;
use crate::kernel::SimTime;
use crate::state::journal::{Event, Position};
use crate::world::record::{Batch, Mask, Observer, What};
use std::collections::BTreeMap;

/// A state, how many events it has taken in, and since when it was there.
type Kept = (SimTime, u32, Position);

/// An observer that remembers the states of agents that keep a log.
#[derive(Debug, Default)]
pub struct Past {
    agents: BTreeMap<u32, Vec<Kept>>,
}

impl Past {
    /// The past of a run, from its start on.
    pub fn new() -> Self {
        Self::default()
    }

    /// An agent's state at a time by its log, and how many events it had taken in; nothing of either before the first.
    pub fn state_at(&self, agent: u32, time: SimTime) -> (u32, Position) {
        let kept = self.agents.get(&agent).map_or(&[] as &[Kept], Vec::as_slice);
        match kept[..kept.partition_point(|(at, ..)| *at <= time)].last() {
            Some((_, number, position)) => (*number, position.clone()),
            None => (0, Position::default()),
        }
    }

    /// The times at which an agent's log took something in, ascending.
    pub fn times(&self, agent: u32) -> impl Iterator<Item = SimTime> {
        self.agents.get(&agent).into_iter().flatten().map(|(at, ..)| *at)
    }
}

impl Observer for Past {
    fn wants(&self) -> Mask {
        Mask::of(&[What::Journal])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        for record in batch.records.iter().filter(|record| record.what == What::Journal) {
            let (number, kept) = (record.b as u32, self.agents.entry(record.a as u32));
            match record.c {
                event::APPENDED => {
                    let kept = kept.or_default();
                    // A log that has lost its state, and its agent with it, begins anew; and events of an earlier life give way.
                    let before = kept.iter().rfind(|(_, last, _)| *last + 1 == number);
                    let mut position = before.map_or_else(Position::default, |(.., position)| position.clone());
                    position.apply(&Event::of_words(batch.extra(record)));
                    kept.push((record.time, number, position));
                }
                event::KEPT => {
                    let kept = kept.or_default();
                    // A snapshot says something new only where it stands in the place of an event.
                    if kept.last().is_none_or(|(_, last, _)| *last < number) {
                        let mut position = Position::default();
                        position.apply(&Event::of_words(batch.extra(record)));
                        kept.push((record.time, number, position));
                    }
                }
                _ => {}
            }
        }
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}
