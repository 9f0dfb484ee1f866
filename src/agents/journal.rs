//! Event sourcing from the client's side: an agent appends an event to its log after each step, writes snapshots, and is rebuilt from
//! both when a crash has taken its memory.
//!
//! Guarantees: an agent goes on after an event only when it is in the log; after a crash that took its memory it goes on behind the newest
//! event of its log, with the state that the events fold to. What was done since that event is done again. As in durable execution (Temporal)
//! and in persistent actors (Akka Persistence).

use super::activation::{Settled, State};
use super::group::AgentGroup;
use crate::kernel::{SimDuration, SimTime};
use crate::random::Law;
use crate::state::journal::{Loaded, LogRequest, Position, Snapshot};
use crate::world::call::{Outcome, Part, Request};
use crate::world::population::{Cx, purpose};
use crate::world::record::What;
use serde::Serialize;
use std::sync::Arc;

/// The bit that tells what is asked of a log from a call; below it: what.
pub(super) const JOURNAL: u32 = 1 << 29;
const APPEND: u32 = JOURNAL;
const KEEP: u32 = JOURNAL | 1;
const LOAD: u32 = JOURNAL | 2;
/// The size of what is asked of a log, beside what it is to keep.
const WORD_BYTES: u32 = 16;

/// What happens to a log, as records say it: the word `c` of [`What::Journal`].
pub mod event {
    /// An event was appended. Subject: the service; `a`: the agent; `b`: its number; extra: the event
    /// ([`Event::words`](crate::state::journal::Event::words)).
    pub const APPENDED: u64 = 0;
    /// It had been appended before. Subject, `a`, `b`: as above.
    pub const REPEATED: u64 = 1;
    /// A write of an earlier life of the agent was refused. Subject, `a`, `b`: as above.
    pub const REFUSED: u64 = 2;
    /// A snapshot was written. Subject, `a`, `b`: as above; extra: it, as the event that leads to it from the beginning.
    pub const KEPT: u64 = 3;
    /// The log lacks events before this one. Subject, `a`, `b`: as above.
    pub const GAP: u64 = 4;
    /// A part of a log was read. Subject: the service; `a`: the agent; `b`: how many events; extra: the bytes of all.
    pub const READ: u64 = 5;
    /// An agent that has lost its memory is up, and begins to rebuild it. Subject: the agent; `a`: which of its lives.
    pub const REBUILDING: u64 = 6;
    /// It goes on. Subject: the agent; `a`: since when it has rebuilt; `b`: how many events it has folded; extra: the number of the newest one.
    pub const REBUILT: u64 = 7;
}

/// Which steps of a program are events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Granularity {
    /// Every step that takes time; parallel branches, guesses, tasks and steps under a lock as a whole.
    Steps,
    /// Every named task as a whole.
    Tasks,
}

/// How the agents of a group keep a log.
#[derive(Debug, Clone, PartialEq)]
pub struct JournalSpec {
    /// The entity of the service that keeps it.
    pub server: u32,
    /// The number of the policy by which it is asked.
    pub policy: u16,
    /// Which steps are events.
    pub granularity: Granularity,
    /// The size of an event.
    pub event_bytes: u32,
    /// After how many events a snapshot is written; `None`: never.
    pub snapshot_every: Option<u32>,
    /// The size of a snapshot.
    pub snapshot_bytes: u32,
    /// How long an agent takes to fold an event.
    pub replay: Law,
    /// How many events are read at once.
    pub batch: u32,
}

/// What an agent knows of its log.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Journal {
    /// How many events it has taken in, and where these lead.
    number: u32,
    position: Position,
    /// Which of its lives this is: whoever restarts it counts them.
    epoch: u32,
    /// Its memory is lost, and isn't rebuilt yet.
    rebuilding: Option<Rebuild>,
}

/// How far a rebuild has come.
#[derive(Debug, Clone, Default, Serialize)]
struct Rebuild {
    since: SimTime,
    folded: u64,
    /// What was read and is being folded.
    loaded: Option<Box<Loaded>>,
}

impl AgentGroup {
    fn journal_spec(&self) -> &JournalSpec {
        self.spec.journal.as_ref().expect("a program with events has a log")
    }

    pub(super) fn journal_policy(&self) -> u16 {
        self.journal_spec().policy
    }

    /// The size of what is asked of a log.
    pub(super) fn journal_bytes(&self, spec: u32) -> u32 {
        let journal = self.journal_spec();
        let carried = match spec {
            APPEND => journal.event_bytes,
            KEEP => journal.snapshot_bytes,
            _ => 0,
        };
        carried.saturating_add(WORD_BYTES)
    }

    /// The address of the draws about what is asked of a log: apart from those of steps, so that a log shifts none of them.
    pub(super) fn journal_address(request: &Request) -> Option<u64> {
        let Request::Journal(entry) = request else { return None };
        let (kind, epoch, number) = match &**entry {
            LogRequest::Append { epoch, number, .. } => (1, epoch, *number),
            LogRequest::Keep { epoch, snapshot } => (2, epoch, snapshot.number),
            LogRequest::Load { epoch, after, .. } => (3, epoch, after.map_or(0, |after| after + 1)),
        };
        let epoch = u64::from(*epoch).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Some((u64::from(number) << 2 | kind).wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ epoch.rotate_left(17))
    }

    /// Where an agent is once the event that it is at is in the log.
    fn position_behind(&self, member: u32) -> Position {
        let stride = self.spec.program.registers as usize;
        let from = member as usize * stride;
        let main = &self.agents[member as usize].main;
        Position {
            next: main.pc + 1,
            steps: main.steps,
            registers: self.registers[from..from + stride].to_vec(),
            amount: self.amounts.get(&member).copied(),
            key: self.chosen.get(&member).copied(),
        }
    }

    /// An event is due: it is appended.
    pub(super) fn begin_append(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let to = self.position_behind(member);
        let JournalSpec {
            server, event_bytes, ..
        } = *self.journal_spec();
        let journal = self.journals.entry(member).or_default();
        let entry = LogRequest::Append {
            epoch: journal.epoch,
            number: journal.number + 1,
            event: journal.position.event_to(&to, event_bytes),
        };
        self.open_call(member, APPEND, server, Request::Journal(Box::new(entry)), cx);
    }

    /// The state of an agent with the event that it is at is written down.
    fn begin_keep(&mut self, member: u32, number: u32, cx: &mut Cx<'_, '_>) {
        let position = self.position_behind(member);
        let JournalSpec {
            server, snapshot_bytes, ..
        } = *self.journal_spec();
        let epoch = self.journals.entry(member).or_default().epoch;
        let snapshot = Snapshot {
            number,
            position,
            bytes: snapshot_bytes,
        };
        let entry = LogRequest::Keep { epoch, snapshot };
        self.open_call(member, KEEP, server, Request::Journal(Box::new(entry)), cx);
    }

    /// A log has answered.
    pub(super) fn journal_answered(
        &mut self,
        member: u32,
        spec: u32,
        outcome: Outcome,
        loaded: Option<Box<Loaded>>,
        cx: &mut Cx<'_, '_>,
    ) {
        if spec == LOAD {
            return self.replay(member, loaded.unwrap_or_default(), cx);
        }
        let position = self.position_behind(member);
        let every = self.journal_spec().snapshot_every;
        let journal = self.journals.entry(member).or_default();
        if spec == APPEND {
            if outcome == Outcome::Moved {
                // The log has lost what was in it; the agent hasn't, and the log goes on from there.
                let number = journal.number + 1;
                return self.begin_keep(member, number, cx);
            }
            journal.number += 1;
            journal.position = position;
            let number = journal.number;
            if every.is_some_and(|every| number.is_multiple_of(every)) {
                return self.begin_keep(member, number, cx);
            }
        } else if journal.position != position {
            // A snapshot in the place of an event.
            journal.number += 1;
            journal.position = position;
        }
        // An event is no step: whether there is a log shifts no draws of steps.
        self.agents[member as usize].main.pc += 1;
        self.run(member, cx);
    }

    /// An agent crashes and loses its memory: there is a log from which it can be rebuilt.
    pub(super) fn forget_for_rebuild(&mut self, member: u32) -> bool {
        if self.spec.journal.is_none() {
            return false;
        }
        let stride = self.spec.program.registers as usize;
        self.registers[member as usize * stride..][..stride].fill(0);
        self.amounts.remove(&member);
        self.chosen.remove(&member);
        self.swaps.remove(&member);
        let main = &mut self.agents[member as usize].main;
        (main.pc, main.steps, main.failed) = (0, 0, false);
        let epoch = self.journals.get(&member).map_or(0, |journal| journal.epoch);
        let journal = Journal {
            epoch,
            rebuilding: Some(Rebuild::default()),
            ..Journal::default()
        };
        self.journals.insert(member, journal);
        true
    }

    /// An agent is up again. If its memory is lost it begins to rebuild it, and true is returned.
    pub(super) fn begin_rebuild(&mut self, member: u32, cx: &mut Cx<'_, '_>) -> bool {
        let Some(journal) = self.journals.get_mut(&member) else {
            return false;
        };
        if journal.rebuilding.is_none() {
            return false;
        }
        // What it had rebuilt before another crash is lost as well, or may be: it begins anew.
        *journal = Journal {
            epoch: journal.epoch + 1,
            rebuilding: Some(Rebuild {
                since: cx.now(),
                ..Rebuild::default()
            }),
            ..Journal::default()
        };
        let words = [u64::from(journal.epoch), 0, event::REBUILDING];
        cx.record(What::Journal, self.base + member, words);
        self.load(member, None, cx);
        true
    }

    pub(super) fn is_rebuilding(&self, id: u32) -> bool {
        self.journals
            .get(&id)
            .is_some_and(|journal| journal.rebuilding.is_some())
    }

    /// The log can't be read: there is nothing to go on from.
    pub(super) fn rebuild_failed(&mut self, id: u32) {
        if let Some(journal) = self.journals.get_mut(&id) {
            journal.rebuilding = None;
        }
    }

    fn load(&mut self, member: u32, after: Option<u32>, cx: &mut Cx<'_, '_>) {
        let JournalSpec { server, batch, .. } = *self.journal_spec();
        let epoch = self.journals.get(&member).map_or(0, |journal| journal.epoch);
        let entry = LogRequest::Load {
            epoch,
            after,
            most: batch,
        };
        self.open_call(member, LOAD, server, Request::Journal(Box::new(entry)), cx);
    }

    /// A part of the log is there: the agent folds it, which takes time.
    fn replay(&mut self, member: u32, loaded: Box<Loaded>, cx: &mut Cx<'_, '_>) {
        let spec = Arc::clone(&self.spec);
        let Some(journal) = &spec.journal else { return };
        let key = self.agents[member as usize].endpoint.key;
        let state = self.journals.entry(member).or_default();
        let Some(rebuild) = &mut state.rebuilding else { return };
        let first = loaded
            .snapshot
            .as_ref()
            .map_or(state.number, |snapshot| snapshot.number);
        let draw = |number: u64| {
            let address = u64::from(state.epoch) << 32 | number;
            journal
                .replay
                .sample_duration(&mut key.stream(purpose::REPLAY, address), address)
        };
        let numbers = (u64::from(first) + 1..).take(loaded.events.len());
        let took = numbers.map(draw).fold(SimDuration::ZERO, |sum, one| sum + one);
        rebuild.folded += loaded.events.len() as u64;
        rebuild.loaded = Some(loaded);
        let due = cx.now().saturating_add(took);
        self.begin_step(member, State::Replaying, due.as_nanos(), cx);
        self.wake_at(member, due, cx);
    }

    /// A part of the log is folded: the next one is read, or the agent goes on.
    pub(super) fn replayed(&mut self, member: u32, cx: &mut Cx<'_, '_>) {
        let until = self.enabled(member, cx);
        self.settle(member, Part::Retrying, cx);
        self.step_ended_at(member, Settled::Done, 0, until, cx);
        let journal = self.journals.entry(member).or_default();
        let Some(loaded) = journal.rebuilding.as_mut().and_then(|rebuild| rebuild.loaded.take()) else {
            return;
        };
        if let Some(snapshot) = loaded.snapshot {
            (journal.number, journal.position) = (snapshot.number, snapshot.position);
        }
        for event in &loaded.events {
            journal.position.apply(event);
        }
        journal.number += loaded.events.len() as u32;
        if journal.number < loaded.last && !loaded.events.is_empty() {
            let after = journal.number;
            return self.load(member, Some(after), cx);
        }
        let number = journal.number;
        let Rebuild { since, folded, .. } = journal.rebuilding.take().unwrap_or_default();
        let position = journal.position.clone();
        let words = [since.as_nanos(), folded, event::REBUILT];
        cx.record_with(What::Journal, self.base + member, words, &[u64::from(number)]);
        let stride = self.spec.program.registers as usize;
        let registers = &mut self.registers[member as usize * stride..][..stride];
        registers.fill(0);
        registers
            .iter_mut()
            .zip(&position.registers)
            .for_each(|(to, from)| *to = *from);
        if let Some(amount) = position.amount {
            self.amounts.insert(member, amount);
        }
        if let Some(key) = position.key {
            self.chosen.insert(member, key);
        }
        let main = &mut self.agents[member as usize].main;
        (main.pc, main.steps) = (position.next, position.steps);
        self.run(member, cx);
    }
}
