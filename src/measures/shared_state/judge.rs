//! The judge: follows the records of stores and agents.

use super::Watched;
use super::frontier::Frontier;
use super::ledger::{
    About, Coming, Dep, FARTHEST, Ledger, NONE, OwnWrite, Pending, Use, Write, against, flag, side_of,
};
use super::past::Past;
use super::reads::Pasts;
use super::results::Tally;
use super::spread::Heal;
use crate::kernel::{SimTime, Ticket};
use crate::state::{Dot, Keeping, KeyType, Op, Versions};
use crate::stores::words::{heads_of, of_op_words, of_version_words};
use crate::world::message::MessageKind;
use crate::world::record::{Batch, Mask, Observer, Record, What};
use std::collections::BTreeMap;

/// Judges shared state by records. Register it as an observer; ask for [`SharedStateJudge::results`] once the run is over.
///
/// Of each accepted update it keeps some 150 bytes; the causal past of one is kept while a replica holds it or hasn't heard of it.
/// In stores of last-write-wins registers and of counters where each replica is told once of an update, one that every replica has
/// heard of, and none holds, is forgotten.
#[derive(Debug)]
pub struct SharedStateJudge {
    pub(super) ledger: Ledger,
    cuts: Vec<u32>,
    pub(super) from: SimTime,
    pub(super) tally: Tally,
    pub(super) now: SimTime,
    entry: Option<Ticket>,
    /// Acknowledgements so far.
    pub(super) acks: u64,
    /// What senders knew, by message, and the entry in which it was sent.
    sent: BTreeMap<u64, (Ticket, [Past; 2])>,
    /// Writes that the current entry made visible, and where.
    pub(super) to_check: Vec<(u32, u32)>,
    /// Writes that may be forgotten once the current entry is over.
    pub(super) to_retire: Vec<u32>,
    /// Keys that heard of something in the current entry, as long as a cut isn't healed.
    pub(super) touched: Vec<(u32, u32)>,
    /// Whether something isn't healed.
    pub(super) healing: bool,
    pub(super) heals: Vec<Heal>,
    /// How many keys are diverged.
    pub(super) diverged: u64,
    /// When the measured time ended, once it has.
    pub(super) ended: Option<SimTime>,
    /// Versions that replicas say they hold at the end, and never said before.
    pub(super) holds: Vec<u32>,
    pub(super) breaches: Vec<String>,
}

impl SharedStateJudge {
    /// A judge of these stores.
    pub fn new(watched: &Watched) -> Self {
        Self {
            ledger: Ledger::new(watched),
            cuts: watched.cuts.clone(),
            from: watched.from,
            tally: Tally::default(),
            now: SimTime::ZERO,
            entry: None,
            acks: 0,
            sent: BTreeMap::new(),
            to_check: Vec::new(),
            to_retire: Vec::new(),
            touched: Vec::new(),
            healing: false,
            heals: Vec::new(),
            diverged: 0,
            ended: None,
            holds: Vec::new(),
            breaches: Vec::new(),
        }
    }

    /// What stores said about themselves that contradicts what they did; empty unless a store is broken.
    pub fn breaches(&self) -> &[String] {
        &self.breaches
    }

    /// The operation under way with this identity; one whose beginning wasn't seen begins now.
    pub(super) fn pending(&mut self, identity: u64, agent: u32, began: SimTime) -> &mut Pending {
        let ledger = &mut self.ledger;
        if !ledger.pending.has(identity) {
            let it = &mut ledger.agents[agent as usize];
            ledger.overlaps |= it.open > 0;
            it.open += 1;
            let pending = Pending {
                past: it.past.clone(),
                told: it.told.clone(),
                begun: it.begun,
                acks_before: self.acks,
                began,
                ..Pending::new(agent)
            };
            return ledger.pending.add(identity, pending);
        }
        ledger.pending.get_mut(identity).expect("it is there")
    }

    fn call_started(&mut self, record: &Record) {
        if self.ledger.replica(record.b as u32).is_none() {
            return;
        }
        let agent = self.ledger.agent(record.subject);
        // One that begins once more has been under way all the time.
        self.ledger.overlaps |= self.ledger.pending.has(record.a);
        self.pending(record.a, agent, record.time);
        let number = number_of(record.a);
        let it = &mut self.ledger.agents[agent as usize];
        it.begun = it.begun.max(number);
    }

    fn accepted(&mut self, record: &Record, extra: &[u64]) {
        let Some(replica) = self.ledger.replica(record.subject) else {
            return;
        };
        let (key, agent) = (self.ledger.key(record.b), self.ledger.agent(extra[1] as u32));
        let (blind, number) = (extra[1] >> 32 & 1 == 1, number_of(record.a));
        let op = of_op_words([extra[3], extra[4]]);
        let measured = self.is_measured(record.time);
        let ledger = &mut self.ledger;
        let (mut past, begun) = match ledger.pending.get(record.a) {
            Some(pending) => (pending.past.clone(), pending.begun),
            None => {
                let it = &ledger.agents[agent as usize];
                (it.past.clone(), it.begun)
            }
        };
        past.learn(agent, begun);
        if blind {
            // Gathered first: what is known already is said by what was known before any of it.
            let mut news = Pasts::default();
            let knows = |agent, number| past.knows(agent, number);
            ledger.pasts_at(replica, key, knows, |heard| news.add(heard));
            news.learnt_by(&mut past);
            if let Some(own) = ledger.accepted_at(replica, key) {
                past.join(own);
            }
            if ledger.keys[key as usize].logs
                && let Versions::Heads(heads) = of_version_words(&extra[5..])
            {
                // What stands in the log may not be shown yet.
                let found = heads.iter().filter_map(|head| ledger.keys[key as usize].find(*head));
                for logged in found {
                    if let Some(before) = &ledger.writes[logged as usize].past {
                        past.join(before);
                    }
                }
            }
        }
        if extra[1] >> 33 & 1 == 1 {
            ledger.look_at(key, &extra[5..], &mut past);
        }
        let first = ledger.update_of(agent, number);
        ledger.doubled |= first.is_some();
        let state = &mut ledger.keys[key as usize];
        if first.is_none() {
            // A second version of an update has seen the first one, but nobody meant to replace it.
            if state.keeping != Keeping::Ranked {
                state.annals.seen.join(&past);
            }
            // A write of a field may end another of the same side, so its past is taken without itself.
            if let Some((field, side)) = side_of(op) {
                state.annals.fields.entry(field).or_default()[side].seen.join(&past);
            }
            ledger.mark_seen((replica, key, op), record.a, agent, blind.then_some(&extra[5..]));
        }
        past.learn(agent, number);
        if ledger.keys[key as usize].keeping == Keeping::Ranked
            && let Some(pending) = ledger.pending.get_mut(record.a)
        {
            pending.seen.get_or_insert_with(|| past.clone());
        }
        let mut given_up = false;
        if let Some(pending) = ledger.pending.get_mut(record.a) {
            // It has grown out of this one.
            pending.past.clone_from(&past);
            given_up = pending.given_up;
        }
        // What a blind update has seen of its replica its agent hasn't heard of: it is part of what he did once he knows that he did it.
        ledger.agents[agent as usize].past.learn(agent, number);
        if ledger.keys[key as usize].joins {
            ledger.accept_at(replica, key, &past);
        }
        let counted = measured && first.is_none();
        let mut flags = if counted { flag::COUNTED } else { 0 };
        flags |= if first.is_some() { flag::DUPLICATE } else { 0 };
        let (dot, stamp) = (Dot::from_bits(record.c), extra[2] as i64);
        let highest = &mut ledger.keys[key as usize].annals.highest;
        let topmost = *highest <= Some((stamp, dot));
        *highest = (*highest).max(Some((stamp, dot)));
        let mut write = Write::new(dot, stamp, key, agent, number, op);
        (write.past, write.flags) = (Some(past), flags);
        (write.topmost, write.given_up) = (topmost, given_up);
        let write = ledger.add(write);
        match first {
            Some(first) => {
                let mut last = first as usize;
                while ledger.writes[last].again != NONE {
                    last = ledger.writes[last].again as usize;
                }
                ledger.writes[last].again = write;
                let logs = ledger.keys[key as usize].logs;
                self.tally.duplicate_effects += u64::from(measured && !logs);
            }
            None => {
                self.tally.writes += u64::from(counted);
                self.find_concurrent(write);
                self.find_deps(write);
            }
        }
    }

    /// Finds the writes that are concurrent to a new one, and those among them that are in conflict with it.
    fn find_concurrent(&mut self, write: u32) {
        let ledger = &mut self.ledger;
        let it = &ledger.writes[write as usize];
        let (agent, number, op) = (it.agent, it.number, it.op);
        let Some(past) = it.past.clone() else { return };
        let writes = &ledger.writes;
        // A write accepted before may know of this one if its agent went on without waiting.
        let counts = |other: u32| {
            let other = writes.get(other as usize).and_then(|other| other.past.as_ref());
            other.is_none_or(|other| !other.knows(agent, number))
        };
        let state = &mut ledger.keys[it.key as usize];
        let (kind, state) = (state.kind, &mut *state.annals);
        let mut concurrent: Vec<u32> = Vec::new();
        let mut conflicts: Vec<u32> = Vec::new();
        ledger.steps.set(ledger.steps.get() + state.frontier.writers() as u64);
        let any = state
            .frontier
            .confront(&past, agent, counts, |other| concurrent.push(other));
        state.frontier.add(agent, number, write, !any);
        let mut conflict = any && kind == KeyType::Register;
        if kind == KeyType::Register {
            conflicts.clone_from(&concurrent);
        }
        if let Op::Insert(element) | Op::Remove(element) = op {
            let side = usize::from(matches!(op, Op::Remove(_)));
            let sides = state.elements.entry(element).or_default();
            let against: &mut Frontier = &mut sides[1 - side].frontier;
            conflict = against.confront(&past, agent, counts, |other| conflicts.push(other));
            sides[side].frontier.add(agent, number, write, !conflict);
            sides[side].seen.join(&past);
        }
        if let Some((field, side)) = side_of(op) {
            let sides = state.fields.entry(field).or_default();
            for other in against(side) {
                let frontier: &mut Frontier = &mut sides[*other].frontier;
                conflict |= frontier.confront(&past, agent, counts, |other| conflicts.push(other));
            }
            sides[side].frontier.add(agent, number, write, !conflict);
        }
        concurrent.extend(any.then_some(write));
        conflicts.extend(conflict.then_some(write));
        self.tally.concurrent += self.ledger.mark(flag::CONCURRENT, concurrent);
        self.conflicting(conflicts);
    }

    /// Counts writes that are in conflict, each once.
    pub(super) fn conflicting(&mut self, writes: Vec<u32>) {
        self.tally.conflicts += self.ledger.mark(flag::CONFLICT, writes);
        if self.ended.is_none() {
            self.tally.conflicts_over_time.set(self.now, self.tally.conflicts);
        }
    }

    /// Notes what the agent of a new write had read, as far as some replica may still lack it.
    fn find_deps(&mut self, write: u32) {
        let agent = self.ledger.writes[write as usize].agent;
        self.ledger.forget_reads(agent);
        let ledger = &self.ledger;
        let store = ledger.store_of(ledger.writes[write as usize].key);
        let mut deps = Vec::new();
        for (&key, so_far) in &ledger.agents[agent as usize].reads {
            if ledger.store_of(key) != store {
                continue;
            }
            let replicas = &ledger.keys[key as usize].replicas;
            let spreading = |head: &u32| (ledger.writes[*head as usize].heard_by as usize) < replicas.len();
            deps.extend(so_far.heads.iter().copied().filter(spreading).map(Dep::Read));
            if !so_far.effects.is_empty()
                && replicas
                    .iter()
                    .any(|&replica| !ledger.noted(replica, key).includes(&so_far.effects))
            {
                deps.push(Dep::Effects(key, Box::new(so_far.effects.clone())));
            }
        }
        self.ledger.writes[write as usize].set_deps(deps);
    }

    fn acknowledged(&mut self, record: &Record) {
        let Some(agent) = self.ledger.known_agent(record.subject) else {
            return;
        };
        self.acks += 1;
        if record.c & 1 == 0 {
            return self.read_acknowledged(record.a, (record.c >> 1) as u16, record.time);
        }
        let Some(pending) = self.ledger.close(record.a) else {
            return;
        };
        self.ledger.agents[agent as usize].past.join(&pending.past);
        let Some(write) = self.ledger.update_of(agent, number_of(record.a)) else {
            return;
        };
        let it = &mut self.ledger.writes[write as usize];
        let is_first = it.acked == 0;
        if is_first {
            (it.acked, it.acked_at) = (self.acks, record.time);
        }
        let (acked, key) = (it.acked, it.key);
        if is_first {
            self.ledger.keys[key as usize].acknowledged(acked, record.time);
        }
        if let Some(past) = pending.seen {
            let own = OwnWrite { acked, write, past };
            if self.ledger.agents[agent as usize].own.insert(key, own).is_none() {
                self.ledger.keys[key as usize].owned += 1;
            }
            self.ledger.forget_own(write);
        }
        if pending.began >= self.from {
            self.tally.acknowledged += 1;
            self.tally.update_time.push((record.time - pending.began).as_nanos());
        }
    }

    fn failed(&mut self, record: &Record) {
        let update = record.c & 1 == 1;
        let pending = self.ledger.pending.get(record.a);
        let counted = pending.map_or(record.time, |pending| pending.began) >= self.from;
        // An update that its agent has given up may still be accepted, and may have been.
        if update {
            if let Some(pending) = self.ledger.pending.get_mut(record.a) {
                pending.given_up = true;
            }
            let agent = self.ledger.known_agent(record.subject);
            let write = agent.and_then(|agent| self.ledger.update_of(agent, number_of(record.a)));
            if let Some(write) = write {
                self.ledger.writes[write as usize].given_up = true;
            }
        } else {
            self.ledger.close(record.a);
        }
        if record.c & 2 != 0 {
            self.tally.swaps_given_up += u64::from(counted);
            return;
        }
        self.tally.unavailable_reads += u64::from(counted && !update);
        self.tally.unavailable_updates += u64::from(counted && update);
    }

    fn swapped(&mut self, record: &Record) {
        let began = self
            .ledger
            .pending
            .get(record.a)
            .map_or(record.time, |pending| pending.began);
        let counted = u64::from(began >= self.from && self.ended.is_none());
        self.tally.swaps += counted;
        if record.c == 0 {
            self.tally.swaps_refused += counted;
            self.ledger.close(record.a);
        }
    }

    fn message(&mut self, record: &Record) {
        let of_store = |entity: u32| self.ledger.replica(entity).is_some();
        if record.what == What::Sent
            && self.is_measured(record.time)
            && (of_store(record.subject) || of_store((record.a >> 8) as u32))
        {
            self.tally.messages += 1;
            self.tally.bytes += record.b;
        }
        let agents = MessageKind::Answer as u64;
        if record.a & 0xff > agents {
            return;
        }
        match record.what {
            What::Sent => {
                if let Some(agent) = self.ledger.known_agent(record.subject) {
                    let it = &self.ledger.agents[agent as usize];
                    self.ledger.overlaps |= it.open > 0;
                    if it.begun > 0 || !it.past.is_empty() {
                        let mut knows = [it.past.clone(), it.told.clone()];
                        knows.iter_mut().for_each(|known| known.learn(agent, it.begun));
                        self.sent.insert(record.c, (record.entry, knows));
                    }
                }
            }
            What::Delivered => {
                // A copy that comes later has nothing to add.
                if let Some((_, [past, told])) = self.sent.remove(&record.c) {
                    let agent = self.ledger.agent(record.subject);
                    let agent = &mut self.ledger.agents[agent as usize];
                    agent.past.join(&past);
                    agent.told.join(&told);
                }
            }
            // Where one of two copies is lost on its way, the other may still come.
            _ => {
                if self
                    .sent
                    .get(&record.c)
                    .is_some_and(|(entry, _)| *entry == record.entry)
                {
                    self.sent.remove(&record.c);
                }
            }
        }
    }

    fn holds(&mut self, record: &Record, extra: &[u64]) {
        let Some(replica) = self.ledger.replica(record.subject) else {
            return;
        };
        let key = self.ledger.key(record.a);
        let held = self.ledger.copy(replica, key).held();
        let agrees = if let Some(heads) = heads_of(extra) {
            let is_held = |head: &Dot| held.iter().any(|held| self.ledger.writes[*held as usize].dot == *head);
            // Only a store that is broken shows others.
            let others = heads.iter().map(|head| Dot::from_bits(*head));
            let mut agrees = true;
            for head in others.filter(|head| !is_held(head)) {
                agrees = false;
                self.holds.extend(self.ledger.keys[key as usize].find(head));
            }
            agrees
        } else {
            match of_version_words(extra) {
                Versions::Effects(effects) => self.ledger.has_heard_just(replica, key, &effects),
                Versions::Heads(_) => true,
            }
        };
        if !agrees {
            let problem = format!(
                "replica {} holds of key {key} what it never said it applied",
                record.subject
            );
            self.breaches.push(problem);
        }
    }

    fn built_on(&mut self, record: &Record) {
        let key = self.ledger.key(record.a) as usize;
        let find = |bits| self.ledger.keys[key].find(Dot::from_bits(bits));
        if let (Some(version), Some(base)) = (find(record.b), find(record.c)) {
            self.ledger.writes[version as usize].add_base(base);
        }
    }

    /// Whether what a replica takes on now is counted.
    pub(super) fn is_measured(&self, now: SimTime) -> bool {
        now >= self.from && self.ended.is_none()
    }

    /// The measured time is over: what became of the updates in it is judged once the drain is over, all else now.
    pub(super) fn end_measured(&mut self, end: SimTime) {
        self.check_order();
        self.note_divergence();
        for key in &mut self.ledger.keys {
            if let Some(since) = key.diverged {
                key.divergence += end.since(since).as_nanos();
            }
        }
        self.ended = Some(end);
        let pending = self.ledger.pending.all();
        let open = pending.filter(|pending| !pending.given_up && pending.began >= self.from);
        self.tally.unfinished = open.count() as u64;
    }

    fn note_divergence(&mut self) {
        if self.ended.is_none() {
            self.tally.diverged_over_time.set(self.now, self.diverged);
        }
    }

    /// What a coming record is about, as far as memory is asked for.
    #[inline]
    fn about(&self, record: &Record, batch: &Batch<'_>) -> Option<About> {
        let (word, use_of) = match record.what {
            What::Applied | What::Outranked => (record.a, Use::Way),
            What::Holds => (record.a, Use::End),
            What::ReadServed => {
                let reader = self.ledger.known_agent(batch.extra(record)[1] as u32);
                (record.b, Use::Read(reader.unwrap_or(NONE)))
            }
            What::Accepted => (record.b, Use::Update),
            What::CallStarted | What::OperationAcknowledged => {
                return self.ledger.known_agent(record.subject).map(About::Agent);
            }
            _ => return None,
        };
        let replica = self.ledger.replica(record.subject)?;
        Some(self.ledger.about_key(replica, self.ledger.key(word), use_of))
    }

    fn follow(&mut self, record: &Record, extra: &[u64]) {
        if self.entry != Some(record.entry) || self.now != record.time {
            self.check_order();
            if !self.healing && self.holds.is_empty() {
                self.ledger.forget_updates();
            }
            if self.now != record.time {
                self.note_divergence();
            }
            (self.entry, self.now) = (Some(record.entry), record.time);
        }
        match record.what {
            What::CallStarted => self.call_started(record),
            What::Accepted => self.accepted(record, extra),
            What::ReadServed => self.read_served(record, extra),
            What::EntryRead => self.entry_read(record, extra),
            What::OperationAcknowledged => self.acknowledged(record),
            What::OperationFailed => self.failed(record),
            What::Swapped => self.swapped(record),
            What::Applied => self.applied(record),
            What::BuiltOn => self.built_on(record),
            What::Placed => self.placed(record),
            What::Took => self.took(record, extra),
            What::Outranked => self.outranked(record),
            What::TakenBack => self.taken_back(record),
            What::Replaces => self.replaces(record),
            What::Sent | What::Delivered | What::Lost => self.message(record),
            What::Visible => {
                if let Some(replica) = self.ledger.replica(record.subject) {
                    let key = self.ledger.key(record.a);
                    self.shows(replica, key, record.b);
                }
            }
            What::FaultEnded if self.cuts.contains(&(record.a as u32)) => self.healed(record.time),
            What::Crashed => {
                if let Some(replica) = self.ledger.replica(record.subject) {
                    self.crashed(replica, record.a == 1);
                }
            }
            What::Restarted => {
                if let Some(replica) = self.ledger.replica(record.subject) {
                    self.restarted(replica);
                }
            }
            What::Holds => self.holds(record, extra),
            What::Metadata => {
                self.tally.metadata_bytes += record.b;
                self.tally.tombstones += record.c;
            }
            _ => {}
        }
    }
}

/// The number of an operation in its agent's program, from 1.
fn number_of(identity: u64) -> u32 {
    (identity as u32).saturating_add(1)
}

impl Observer for SharedStateJudge {
    fn wants(&self) -> Mask {
        Mask::of(&[
            What::CallStarted,
            What::Accepted,
            What::ReadServed,
            What::EntryRead,
            What::OperationAcknowledged,
            What::OperationFailed,
            What::Swapped,
            What::Applied,
            What::BuiltOn,
            What::Placed,
            What::Took,
            What::Outranked,
            What::TakenBack,
            What::Replaces,
            What::Sent,
            What::Delivered,
            What::Lost,
            What::Visible,
            What::FaultEnded,
            What::Crashed,
            What::Restarted,
            What::Holds,
            What::Metadata,
        ])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        let wants = self.wants();
        let mut coming = Coming::default();
        let mut look = |judge: &Self, place: usize| {
            if let Some(next) = batch.records.get(place)
                && let Some(about) = judge.about(next, &batch)
            {
                coming.add(place, about, &judge.ledger);
            }
            coming.ask(place, &judge.ledger);
        };
        (0..FARTHEST).for_each(|place| look(self, place));
        for (place, record) in batch.records.iter().enumerate() {
            look(self, place + FARTHEST);
            if wants.has(record.what) {
                self.follow(record, batch.extra(record));
            }
        }
    }

    fn measured_until(&mut self, end: SimTime) {
        self.end_measured(end);
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}
