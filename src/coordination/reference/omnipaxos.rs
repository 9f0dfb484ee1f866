//! The `omnipaxos` crate (Ng, Haridi and Carbone, "Omni-Paxos: Breaking the Barriers of Partial Connectivity", EuroSys 2023) as a member.
//!
//! The crate is sans-IO: it takes messages and ticks, and says what is to be sent. As it is used here it reads no clock, starts no
//! thread, draws nothing at random and goes through no hash map (those of its feature `unicache` it would), so that a run is
//! repeated exactly. What it keeps on disk lies in a [`Disk`], which outlives a crash.
//!
//! It supposes links that keep their order; what it misses it finds out by numbers, and asks for again. It doesn't know proposals by name: one
//! that is sent again may be in the log twice, and takes effect with the first.

use crate::coordination::bench::{Bench, Weather, calm};
use crate::coordination::member::{Input, Io, Member, NEVER, Saying, event};
use crate::coordination::raft::{Flaw, Settings, server};
use crate::kernel::{Key, Purpose, Words};
use crate::state::content::content_hash;
use omnipaxos::ballot_leader_election::Ballot;
use omnipaxos::messages::Message;
use omnipaxos::messages::sequence_paxos::PaxosMsg;
use omnipaxos::storage::{Entry, NoSnapshot, StopSign, Storage, StorageOp, StorageResult};
use omnipaxos::util::LogEntry;
use omnipaxos::{ClusterConfig, OmniPaxos, ServerConfig};
use serde::{Deserialize, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

const MS: u64 = 1_000_000;

/// The time between two ticks.
const TICK: i64 = 10 * MS as i64;
/// Ticks of a round of heartbeats, and after which what isn't answered is sent again.
const ROUND: u64 = 10;
const RESEND: u64 = 20;
/// Ticks after which a proposal that isn't decided is proposed again.
const PATIENCE: u64 = 50;

/// A proposal in the log, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Proposal(u64);

impl Entry for Proposal {
    type Snapshot = NoSnapshot;
}

/// What is on a disk.
#[derive(Debug, Clone, Default)]
struct Stored {
    log: Vec<Proposal>,
    promised: Option<Ballot>,
    accepted: Option<Ballot>,
    decided: usize,
    stop: Option<StopSign>,
}

/// A disk.
#[derive(Debug, Clone, Default)]
struct Disk(Arc<Mutex<Stored>>);

impl Disk {
    fn open(&self) -> MutexGuard<'_, Stored> {
        self.0.lock().expect("nobody panics with the disk in hand")
    }
}

impl Storage<Proposal> for Disk {
    fn write_atomically(&mut self, ops: Vec<StorageOp<Proposal>>) -> StorageResult<()> {
        for op in ops {
            match op {
                StorageOp::AppendEntry(entry) => self.append_entry(entry)?,
                StorageOp::AppendEntries(entries) => self.append_entries(entries)?,
                StorageOp::AppendOnPrefix(from, entries) => self.append_on_prefix(from, entries)?,
                StorageOp::SetPromise(ballot) => self.set_promise(ballot)?,
                StorageOp::SetDecidedIndex(index) => self.set_decided_idx(index)?,
                StorageOp::SetAcceptedRound(ballot) => self.set_accepted_round(ballot)?,
                StorageOp::SetCompactedIdx(index) => self.set_compacted_idx(index)?,
                StorageOp::Trim(index) => self.trim(index)?,
                StorageOp::SetStopsign(sign) => self.set_stopsign(sign)?,
                StorageOp::SetSnapshot(snapshot) => self.set_snapshot(snapshot)?,
            }
        }
        Ok(())
    }

    fn append_entry(&mut self, entry: Proposal) -> StorageResult<()> {
        self.open().log.push(entry);
        Ok(())
    }

    fn append_entries(&mut self, entries: Vec<Proposal>) -> StorageResult<()> {
        self.open().log.extend(entries);
        Ok(())
    }

    fn append_on_prefix(&mut self, from: usize, entries: Vec<Proposal>) -> StorageResult<()> {
        let mut disk = self.open();
        disk.log.truncate(from);
        disk.log.extend(entries);
        Ok(())
    }

    fn set_promise(&mut self, ballot: Ballot) -> StorageResult<()> {
        self.open().promised = Some(ballot);
        Ok(())
    }

    fn set_decided_idx(&mut self, index: usize) -> StorageResult<()> {
        self.open().decided = index;
        Ok(())
    }

    fn get_decided_idx(&self) -> StorageResult<usize> {
        Ok(self.open().decided)
    }

    fn set_accepted_round(&mut self, ballot: Ballot) -> StorageResult<()> {
        self.open().accepted = Some(ballot);
        Ok(())
    }

    fn get_accepted_round(&self) -> StorageResult<Option<Ballot>> {
        Ok(self.open().accepted)
    }

    fn get_entries(&self, from: usize, to: usize) -> StorageResult<Vec<Proposal>> {
        Ok(self.open().log.get(from..to).unwrap_or_default().to_vec())
    }

    fn get_log_len(&self) -> StorageResult<usize> {
        Ok(self.open().log.len())
    }

    fn get_suffix(&self, from: usize) -> StorageResult<Vec<Proposal>> {
        Ok(self.open().log.get(from..).unwrap_or_default().to_vec())
    }

    fn get_promise(&self) -> StorageResult<Option<Ballot>> {
        Ok(self.open().promised)
    }

    fn set_stopsign(&mut self, sign: Option<StopSign>) -> StorageResult<()> {
        self.open().stop = sign;
        Ok(())
    }

    fn get_stopsign(&self) -> StorageResult<Option<StopSign>> {
        Ok(self.open().stop.clone())
    }

    fn trim(&mut self, _: usize) -> StorageResult<()> {
        Ok(())
    }

    fn set_compacted_idx(&mut self, _: usize) -> StorageResult<()> {
        Ok(())
    }

    fn get_compacted_idx(&self) -> StorageResult<usize> {
        Ok(0)
    }

    fn set_snapshot(&mut self, _: Option<NoSnapshot>) -> StorageResult<()> {
        Ok(())
    }

    fn get_snapshot(&self) -> StorageResult<Option<NoSnapshot>> {
        Ok(None)
    }
}

/// What they say to each other.
#[derive(Debug, Clone, Serialize)]
struct Said(Message<Proposal>);

impl Saying for Said {
    const KINDS: &'static [&'static str] = &[
        "election", "prepare", "accept", "accepted", "decide", "forward", "other",
    ];

    fn kind(&self) -> u16 {
        match &self.0 {
            Message::BLE(_) => 0,
            Message::SequencePaxos(said) => match said.msg {
                PaxosMsg::PrepareReq(_) | PaxosMsg::Prepare(_) | PaxosMsg::Promise(_) => 1,
                PaxosMsg::AcceptSync(_) | PaxosMsg::AcceptDecide(_) => 2,
                PaxosMsg::Accepted(_) | PaxosMsg::NotAccepted(_) => 3,
                PaxosMsg::Decide(_) => 4,
                PaxosMsg::ProposalForward(_) => 5,
                _ => 6,
            },
        }
    }

    fn bytes(&self) -> u32 {
        64
    }

    fn digest(&self, words: &mut Words) {
        words.push(content_hash(&self.0));
    }
}

type Core = OmniPaxos<Proposal, Disk>;

/// A server. Copies of it share the core: a bench makes none.
#[derive(Clone)]
struct Peer {
    core: Arc<Mutex<Core>>,
    disk: Disk,
    place: u32,
    count: u32,
    /// When the next tick is due.
    tick: i64,
    ticks: u64,
    /// Who waits for which proposal, and since which tick it was proposed.
    asked: BTreeMap<u64, (Vec<u64>, u64)>,
    /// What has taken effect here, and how far the log was gone through.
    effects: BTreeSet<u64>,
    seen: usize,
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Serialize for Peer {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.place.serialize(serializer)
    }
}

fn core(place: u32, count: u32, disk: &Disk) -> Core {
    let config = ClusterConfig {
        configuration_id: 1,
        nodes: (1..=u64::from(count)).collect(),
        flexible_quorum: None,
    };
    let server = ServerConfig {
        pid: u64::from(place) + 1,
        election_tick_timeout: ROUND,
        resend_message_tick_timeout: RESEND,
        ..ServerConfig::default()
    };
    config
        .build_for_server(server, disk.clone())
        .expect("a configuration that can be")
}

impl Peer {
    fn new(place: u32, count: u32) -> Self {
        let disk = Disk::default();
        Self {
            core: Arc::new(Mutex::new(core(place, count, &disk))),
            disk,
            place,
            count,
            tick: NEVER,
            ticks: 0,
            asked: BTreeMap::new(),
            effects: BTreeSet::new(),
            seen: 0,
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Core) -> T) -> T {
        act(&mut self.core.lock().expect("nobody panics with the core in hand"))
    }

    fn propose(&self, name: u64) {
        // It refuses only while the group is being reconfigured, which this one never is.
        let _ = self.with(|core| core.append(Proposal(name)));
    }

    fn beat(&mut self, now: i64) {
        self.tick = now + TICK;
        self.ticks += 1;
        self.with(OmniPaxos::tick);
        let late = self
            .asked
            .iter_mut()
            .filter(|(_, (_, since))| self.ticks - *since >= PATIENCE);
        let mut again = Vec::new();
        for (name, (_, since)) in late {
            *since = self.ticks;
            again.push(*name);
        }
        again.into_iter().for_each(|name| self.propose(name));
    }

    fn settle(&mut self, io: &mut Io<'_, Said>) {
        let decided = self
            .with(|core| core.read_decided_suffix(self.seen))
            .unwrap_or_default();
        for entry in decided {
            let LogEntry::Decided(Proposal(name)) = entry else {
                panic!("nothing but proposals is decided: {entry:?}");
            };
            self.seen += 1;
            if self.effects.insert(name) {
                io.note(event::DECIDED, name, self.effects.len() as u64);
            }
            for token in self.asked.remove(&name).unwrap_or_default().0 {
                io.answer(token, 0);
            }
        }
        let mut messages = Vec::new();
        self.with(|core| core.take_outgoing_messages(&mut messages));
        for message in messages {
            io.send(message.get_receiver() as u32 - 1, Said(message));
        }
    }
}

impl Member for Peer {
    type Rules = ();
    type Message = Said;

    fn on(&mut self, (): &(), input: Input<Said>, io: &mut Io<'_, Said>) {
        match input {
            Input::Start => self.tick = io.now + TICK,
            Input::Restarted => {
                self.core = Arc::new(Mutex::new(core(self.place, self.count, &self.disk)));
                self.tick = io.now + TICK;
            }
            Input::Heard { message, .. } => self.with(|core| core.handle_incoming(message.0)),
            Input::Due => self.beat(io.now),
            Input::Asked(asked) if self.effects.contains(&asked.identity) => io.answer(asked.token, 0),
            Input::Asked(asked) => {
                let waiting = self.asked.entry(asked.identity).or_insert((Vec::new(), self.ticks));
                waiting.0.push(asked.token);
                self.propose(asked.identity);
            }
            Input::Engaged { .. } | Input::Withdrawn(_) => {}
        }
        self.settle(io);
    }

    fn due(&self, _: i64) -> i64 {
        self.tick
    }

    fn crash(&mut self, (): &(), keeps_disk: bool) {
        assert!(
            keeps_disk,
            "a server that has lost its disk is another one, which this host doesn't know"
        );
        self.tick = NEVER;
        self.asked.clear();
        // What took effect is as durable as the log: it is found out again from the beginning, and noted again.
        self.effects.clear();
        self.seen = 0;
    }
}

/// What was decided, by server, in its order.
fn decided<R: Member>(bench: &Bench<R>) -> Vec<Vec<u64>> {
    let mut all = vec![BTreeMap::new(); bench.seats.len()];
    for (_, member, note) in &bench.notes {
        if note.event == event::DECIDED {
            let before = all[*member as usize].insert(note.word, note.about);
            assert!(
                before.is_none_or(|before| before == note.about),
                "server {member} decides two things at place {}",
                note.word
            );
        }
    }
    all.into_iter().map(|one| one.into_values().collect()).collect()
}

/// Who leads after two seconds: the server that decides first when it is asked itself.
fn latencies<R: Member>(mut bench: Bench<R>) -> Vec<u64> {
    bench.run_until(2_000 * MS);
    let count = bench.seats.len() as u32;
    (0..count)
        .map(|member| {
            let (began, seen) = (bench.now, bench.notes.len());
            bench.ask(member, 100 + u64::from(member), 0);
            bench.run_until(began + 400 * MS);
            let first = bench.notes[seen..]
                .iter()
                .find(|(_, _, note)| note.event == event::DECIDED);
            first.map_or(u64::MAX, |(at, ..)| at - began)
        })
        .collect()
}

fn raft_rules() -> server::Rules {
    server::Rules {
        settings: Settings {
            election_min: 150 * MS as i64,
            election_max: 300 * MS as i64,
            heartbeat: 50 * MS as i64,
            pre_vote: true,
            lease: None,
            batch: 64,
            in_flight: 16,
            snapshot_every: 1_000,
            trailing: 500,
            remember: 100_000,
            flaw: Flaw::None,
        },
        servers: 5,
        first: None,
        disk: 0,
        changes: Vec::new(),
        tells: false,
    }
}

fn raft(seed: u64, weather: Weather) -> Bench<server::Server> {
    let make = |rules: &server::Rules, place: u32, key: Key| server::Server::new(rules, place, key);
    Bench::new(seed, raft_rules(), 5, weather, make)
}

fn omni(seed: u64, weather: Weather) -> Bench<Peer> {
    Bench::new(seed, (), 5, weather, |(), place, _| Peer::new(place, 5))
}

/// Without faults a proposal is decided when the leader has the answers of a majority: after one round trip if it is asked itself, and after the
/// way to it more if another server is.
#[test]
fn both_commit_after_a_round_trip_to_the_majority() {
    for all in [latencies(raft(1, calm(7 * MS))), latencies(omni(1, calm(7 * MS)))] {
        let mut all = all;
        all.sort_unstable();
        assert_eq!(all, [14 * MS, 21 * MS, 21 * MS, 21 * MS, 21 * MS]);
    }
}

/// Thirty proposals a second to random servers for ten seconds while messages are lost and servers crash, then ten seconds of calm: who
/// asked a server that crashed asks again, under the same name.
fn suffer<R: Member>(mut bench: Bench<R>, seed: u64) -> (Vec<Vec<u64>>, usize) {
    let mut random = Key::root(seed, 7).stream(Purpose(2), 0);
    let mut names = BTreeMap::new();
    for step in 0..300u64 {
        bench.run_until((1_000 + step * 33) * MS);
        if step % 50 == 20 {
            let down = random.below(5) as u32;
            bench.crash(down, true);
        }
        if step % 50 == 45 {
            (0..5).for_each(|member| bench.restart(member));
        }
        let name = 1_000 + step;
        let token = bench.ask(random.below(5) as u32, name, 0);
        names.insert(token, name);
    }
    (0..5).for_each(|member| bench.restart(member));
    bench.weather.loss = 0.0;
    let answered: BTreeSet<u64> = bench.answers.iter().map(|(_, _, answer)| answer.token).collect();
    for (token, name) in &names {
        if !answered.contains(token) {
            bench.ask(0, *name, 0);
        }
    }
    let end = bench.now + 10_000 * MS;
    bench.run_until(end);
    (decided(&bench), names.len())
}

fn agree((all, asked): (Vec<Vec<u64>>, usize), whose: &str) {
    for one in &all {
        let distinct: BTreeSet<u64> = one.iter().copied().collect();
        assert_eq!(
            (one.len(), distinct.len()),
            (asked, asked),
            "{whose}: all, and each once"
        );
        assert_eq!(one, &all[0], "{whose}: one order");
    }
}

/// The same servers crash at the same times under both, the leader among them, and one message in fifty is lost: all servers decide all
/// proposals, each once, in one order.
#[test]
fn both_decide_in_one_order_when_messages_are_lost_and_the_leader_crashes() {
    let lossy = Weather {
        loss: 0.02,
        ..calm(5 * MS)
    };
    for seed in 0..20 {
        agree(suffer(raft(seed, lossy), seed), "Raft");
        agree(suffer(omni(seed, lossy), seed), "Omni-Paxos");
    }
}

#[test]
fn a_run_of_the_reference_is_repeated_exactly() {
    let lossy = Weather {
        loss: 0.02,
        ..calm(5 * MS)
    };
    let run = || {
        let mut bench = omni(3, lossy);
        for name in 0..50 {
            bench.run_until((1_000 + name * 20) * MS);
            bench.ask((name % 5) as u32, name, 0);
        }
        bench.run_until(5_000 * MS);
        (bench.notes, bench.sent)
    };
    assert_eq!(run(), run());
}
