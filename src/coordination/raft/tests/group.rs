//! A group of members under a small network of its own, with checks after every step.

use super::super::*;
use crate::kernel::{Key, Purpose, Stream};
use std::collections::BTreeMap;

pub(super) const MS: i64 = 1_000_000;

/// The state of a test: how many commands it has, and a hash of them in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct State {
    count: u64,
    hash: u64,
}

type Member = Node<u64, State>;

pub(super) fn settings() -> Settings {
    Settings {
        election_min: 150 * MS,
        election_max: 300 * MS,
        heartbeat: 50 * MS,
        pre_vote: true,
        lease: None,
        batch: 4,
        in_flight: 3,
        snapshot_every: 8,
        trailing: 3,
        remember: 1_000_000,
        flaw: Flaw::None,
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chaos {
    /// The share of messages that are lost, doubled, and late.
    pub loss: f64,
    pub doubled: f64,
    pub slow: f64,
    /// How many members crash, how often the group is cut in two, and how often the lead is handed over, in a second.
    pub crashes: f64,
    pub cuts: f64,
    pub transfers: f64,
    /// How many of those that are down come back, in a second.
    pub restarts: f64,
    /// Whether a crash may take the disk, as long as a majority has its own.
    pub disks_die: bool,
    /// How much slower than time a clock may run.
    pub drift: f64,
}

impl Default for Chaos {
    fn default() -> Self {
        Self {
            loss: 0.1,
            doubled: 0.05,
            slow: 0.05,
            crashes: 2.0,
            cuts: 1.5,
            transfers: 1.0,
            restarts: 2.0,
            disks_die: false,
            drift: 0.0,
        }
    }
}

impl Chaos {
    pub fn none() -> Self {
        Self {
            loss: 0.0,
            doubled: 0.0,
            slow: 0.0,
            crashes: 0.0,
            cuts: 0.0,
            transfers: 0.0,
            ..Self::default()
        }
    }
}

enum Event {
    Message(Message<u64, State>),
    Propose,
    Read,
    Crash,
    Restart(usize),
    Cut,
    Heal,
    Transfer,
}

struct Place {
    node: Member,
    up: bool,
    side: u32,
    /// The speed of its clock.
    speed: f64,
    state: State,
    /// How often its disk was lost.
    lives: u32,
    installed: u32,
    /// What had been committed by anybody when it asked to read, by token.
    reads: BTreeMap<u64, Index>,
}

pub(super) struct Group {
    places: Vec<Place>,
    settings: Settings,
    chaos: Chaos,
    key: Key,
    random: Stream,
    now: i64,
    queue: BTreeMap<(i64, u64), Event>,
    scheduled: u64,
    names: u64,
    suffering: bool,

    // What the checks know.
    leaders: BTreeMap<Term, Id>,
    /// Every entry that was ever in a log, by index and term: what it says, and the term before.
    entries: BTreeMap<(Index, Term), (Payload<u64>, Option<Term>)>,
    /// What was committed, by index: its term, and the state after it.
    committed: BTreeMap<Index, (Term, Option<State>)>,
    fresh: BTreeMap<Identity, Index>,
}

impl Group {
    pub fn new(seed: u64, members: u32, settings: Settings, chaos: Chaos) -> Self {
        let key = Key::root(seed, 0);
        let mut random = key.stream(Purpose(1), 0);
        let founders = Members::of((0..members).map(Id));
        let place = |id: u32| {
            let key = key.member(id.into());
            let node = Node::new(Id(id), settings.clone(), founders.clone(), key, Purpose(2));
            let speed = 1.0 - chaos.drift * if id == 0 { 1.0 } else { random.unit() };
            Place {
                node,
                up: true,
                side: 0,
                speed: if id == 1 { 1.0 } else { speed },
                state: State::default(),
                lives: 0,
                installed: 0,
                reads: BTreeMap::new(),
            }
        };
        let places = (0..members).map(place).collect();
        let mut group = Self {
            places,
            settings,
            chaos,
            key,
            random,
            now: 0,
            queue: BTreeMap::new(),
            scheduled: 0,
            names: 0,
            suffering: false,
            leaders: BTreeMap::new(),
            entries: BTreeMap::new(),
            committed: BTreeMap::new(),
            fresh: BTreeMap::new(),
        };
        for at in 0..group.places.len() {
            let now = group.clock(at);
            group.places[at].node.start(now);
            group.settle(at).expect("a start breaks nothing");
        }
        group.schedule(20 * MS, Event::Propose);
        group.schedule(30 * MS, Event::Read);
        group
    }

    fn clock(&self, at: usize) -> i64 {
        (self.now as f64 * self.places[at].speed) as i64
    }

    fn schedule(&mut self, wait: i64, event: Event) {
        self.scheduled += 1;
        self.queue.insert((self.now + wait.max(1), self.scheduled), event);
    }

    /// A random time with this rate, in a second.
    fn wait(&mut self, rate: f64) -> i64 {
        (self.random.unit() * 2.0 * 1_000.0 * MS as f64 / rate) as i64
    }

    fn any(&mut self) -> usize {
        self.random.below(self.places.len() as u64) as usize
    }

    /// Time passes, with faults.
    pub fn suffer(&mut self, time: i64) -> Result<(), String> {
        self.suffering = true;
        for (rate, event) in [
            (self.chaos.crashes, Event::Crash),
            (self.chaos.cuts, Event::Cut),
            (self.chaos.transfers, Event::Transfer),
        ] {
            if rate > 0.0 {
                let wait = self.wait(rate);
                self.schedule(wait, event);
            }
        }
        let ran = self.pass(time);
        self.suffering = false;
        ran
    }

    /// Everything works again: the group has to decide something new, and to agree.
    pub fn recover(&mut self) -> Result<(), String> {
        self.chaos = Chaos {
            drift: self.chaos.drift,
            ..Chaos::none()
        };
        self.heal();
        for at in 0..self.places.len() {
            self.restart(at)?;
        }
        self.pass(3_000 * MS)?;
        self.queue.retain(|_, event| !matches!(event, Event::Propose));
        let decided = self.decided();
        self.names += 1;
        let name = (1, self.names);
        let now = self.clock(0);
        self.places[0].node.propose(name, 7, now);
        self.settle(0)?;
        self.pass(2_000 * MS)?;
        if self.decided() == decided || !self.fresh.contains_key(&name) {
            return Err(format!("nothing is decided any more: {decided} entries"));
        }
        if self.places.iter().any(|place| place.node.is_joining()) {
            return Err("a member is never let in".into());
        }
        match self.places.windows(2).all(|two| two[0].state == two[1].state) {
            true => Ok(()),
            false => Err("members don't agree in the end".into()),
        }
    }

    /// Time passes.
    pub fn pass(&mut self, time: i64) -> Result<(), String> {
        let end = self.now + time;
        loop {
            let next = self.queue.first_key_value().map_or(i64::MAX, |((at, _), _)| *at);
            let due = (0..self.places.len()).filter(|at| self.places[*at].up).map(|at| {
                let place = &self.places[at];
                let due = place.node.due(self.clock(at));
                ((due as f64 / place.speed).ceil() as i64, at)
            });
            let timer = due.min().unwrap_or((i64::MAX, 0));
            if next.min(timer.0) > end {
                self.now = end;
                return Ok(());
            }
            if timer.0 <= next {
                self.now = self.now.max(timer.0);
                let now = self.clock(timer.1);
                self.places[timer.1].node.tick(now);
                if self.places[timer.1].node.due(now) <= now {
                    // Rounding of a drifting clock.
                    self.now += 2;
                }
                self.settle(timer.1)?;
                continue;
            }
            let ((at, _), event) = self.queue.pop_first().expect("it is there");
            self.now = self.now.max(at);
            self.happen(event)?;
        }
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Message(message) => {
                let at = self.place_of(message.to);
                let from = self.place_of(message.from);
                if self.places[at].up && self.places[at].side == self.places[from].side {
                    let now = self.clock(at);
                    self.places[at].node.receive(message, now);
                    return self.settle(at);
                }
            }
            Event::Propose => {
                let wait = self.wait(60.0);
                self.schedule(wait, Event::Propose);
                // Now and then one is proposed again, elsewhere.
                self.names += u64::from(self.random.chance(0.8));
                let (at, name) = (self.any(), (0, self.names));
                if self.places[at].up && !self.places[at].node.disk().sessions.knows(name) {
                    let now = self.clock(at);
                    self.places[at].node.propose(name, self.names, now);
                    return self.settle(at);
                }
            }
            Event::Read => {
                let wait = self.wait(60.0);
                self.schedule(wait, Event::Read);
                let (at, token) = (self.any(), self.scheduled);
                if self.places[at].up {
                    let needs = self.committed.last_key_value().map_or(0, |(index, _)| *index);
                    let now = self.clock(at);
                    self.places[at].reads.insert(token, needs);
                    self.places[at].node.read(token, now);
                    return self.settle(at);
                }
            }
            Event::Crash if self.suffering => {
                let wait = self.wait(self.chaos.crashes);
                self.schedule(wait, Event::Crash);
                let at = self.any();
                self.places[at].up = false;
                self.places[at].reads.clear();
                let kept = self.places.iter().filter(|place| !place.node.is_joining()).count();
                let may_die = self.chaos.disks_die && kept == self.places.len();
                if may_die && self.random.chance(0.3) && !self.is_changing() {
                    self.lose(at as u32);
                    self.places[at].up = false;
                }
                let wait = self.wait(self.chaos.restarts);
                self.schedule(wait, Event::Restart(at));
            }
            Event::Restart(at) => return self.restart(at),
            Event::Cut if self.suffering => {
                let wait = self.wait(self.chaos.cuts);
                self.schedule(wait, Event::Cut);
                for at in 0..self.places.len() {
                    self.places[at].side = u32::from(self.random.chance(0.5));
                }
                let wait = self.wait(2.0);
                self.schedule(wait, Event::Heal);
            }
            Event::Heal => self.heal(),
            Event::Transfer if self.suffering => {
                let wait = self.wait(self.chaos.transfers);
                self.schedule(wait, Event::Transfer);
                if let Some(leader) = self.leader() {
                    let to = self.any() as u32;
                    self.transfer(leader, to);
                    return self.settle(leader as usize);
                }
            }
            Event::Crash | Event::Cut | Event::Transfer => {}
        }
        Ok(())
    }

    /// Whether some log has a change of the membership that not everybody knows to be over.
    fn is_changing(&self) -> bool {
        self.places
            .windows(2)
            .any(|two| two[0].node.members() != two[1].node.members())
    }

    pub fn heal(&mut self) {
        self.places.iter_mut().for_each(|place| place.side = 0);
    }

    pub fn cut_off(&mut self, at: u32) {
        self.places[at as usize].side = 1;
    }

    fn restart(&mut self, at: usize) -> Result<(), String> {
        if self.places[at].up {
            return Ok(());
        }
        let now = self.clock(at);
        self.places[at].up = true;
        self.places[at].node.restart(now);
        self.settle(at)
    }

    /// A member's disk is gone: it comes back as another member.
    pub fn lose(&mut self, at: u32) {
        let at = at as usize;
        let place = &mut self.places[at];
        let (old, n) = (place.node.id(), self.settings.clone());
        place.lives += 1;
        let id = Id(at as u32 | place.lives << 8);
        let lives = place.lives;
        let contacts = self
            .places
            .iter()
            .map(|place| place.node.id())
            .filter(|other| *other != old)
            .collect();
        let replaces = (0..lives).map(|life| Id(at as u32 | life << 8)).collect();
        let key = self.key.member(id.0.into());
        let now = self.clock(at);
        let place = &mut self.places[at];
        place.node = Node::joining(id, n, (contacts, replaces), key, Purpose(2));
        place.state = State::default();
        place.reads.clear();
        place.node.start(now);
        self.settle(at).expect("a start breaks nothing");
    }

    fn place_of(&self, id: Id) -> usize {
        (id.0 & 0xff) as usize
    }

    pub fn leader(&self) -> Option<u32> {
        let leads = |at: &usize| self.places[*at].up && self.places[*at].node.role() == Role::Leader;
        let latest = (0..self.places.len())
            .filter(leads)
            .max_by_key(|at| self.places[*at].node.disk().term);
        latest.map(|at| at as u32)
    }

    pub fn transfer(&mut self, from: u32, to: u32) -> bool {
        let (now, to) = (self.clock(from as usize), self.places[to as usize].node.id());
        let done = self.places[from as usize].node.transfer(to, now);
        self.settle(from as usize).expect("a transfer breaks nothing at once");
        done
    }

    pub fn term(&self, at: u32) -> Term {
        self.places[at as usize].node.disk().term
    }

    pub fn is_joining(&self, at: u32) -> bool {
        self.places[at as usize].node.is_joining()
    }

    pub fn members(&self, at: u32) -> Members {
        self.places[at as usize].node.members().clone()
    }

    pub fn installed(&self, at: u32) -> u32 {
        self.places[at as usize].installed
    }

    /// How many entries were ever committed.
    pub fn decided(&self) -> usize {
        self.committed.len()
    }

    /// Does what a member wants done, and checks.
    fn settle(&mut self, at: usize) -> Result<(), String> {
        self.check(at)?;
        let mut output = self.places[at].node.take_output();
        if let Some(snapshot) = output.installed.take() {
            self.places[at].state = snapshot.state;
            self.places[at].installed += 1;
            let known = self.committed.get(&snapshot.last.0);
            let state_of = |(_, state): &(Term, Option<State>)| *state;
            if known.and_then(state_of).is_some_and(|state| state != snapshot.state) {
                return Err(format!(
                    "a snapshot at {} isn't the state that was committed",
                    snapshot.last.0
                ));
            }
        }
        for committed in output.committed {
            let state = &mut self.places[at].state;
            if committed.fresh {
                state.count += 1;
                state.hash = crate::state::hash::chain(state.hash, committed.command);
                let first = *self.fresh.entry(committed.identity).or_insert(committed.index);
                if first != committed.index {
                    return Err(format!(
                        "{:?} is applied at {first} and {}",
                        committed.identity, committed.index
                    ));
                }
            }
            let state = *state;
            let known = self.committed.entry(committed.index).or_insert((0, Some(state)));
            if known.1.is_some_and(|known| known != state) {
                return Err(format!(
                    "members have committed different commands at {}",
                    committed.index
                ));
            }
            known.1 = Some(state);
        }
        for token in output.readable {
            let applied = self.places[at].node.disk().applied;
            let needs = self.places[at].reads.remove(&token).unwrap_or(0);
            if applied < needs {
                return Err(format!("a stale read: {applied} of {needs} entries"));
            }
        }
        if self.places[at].node.wants_snapshot() {
            let state = self.places[at].state;
            self.places[at].node.compact(state);
        }
        for message in output.messages {
            if self.random.chance(self.chaos.loss) {
                continue;
            }
            for _ in 0..1 + u32::from(self.random.chance(self.chaos.doubled)) {
                let late = self.random.chance(self.chaos.slow);
                let most = if late { 800 } else { 20 };
                let wait = 1 + self.random.below((most * MS) as u64) as i64;
                self.schedule(wait, Event::Message(message.clone()));
            }
        }
        Ok(())
    }

    fn check(&mut self, at: usize) -> Result<(), String> {
        let node = &self.places[at].node;
        let (id, term, log) = (node.id(), node.disk().term, &node.disk().log);
        // Log matching: an index and a term say what an entry is, and which term lies before it.
        for (index, entry) in log.from(log.before().0 + 1) {
            let said = (entry.payload.clone(), log.term(index - 1));
            let known = self.entries.entry((index, entry.term)).or_insert_with(|| said.clone());
            if *known != said {
                return Err(format!(
                    "logs that agree at {index} in term {} differ there or before",
                    entry.term
                ));
            }
        }
        if node.role() == Role::Leader {
            // Election safety, and leader completeness.
            let leader = *self.leaders.entry(term).or_insert(id);
            if leader != id {
                return Err(format!("two leaders in term {term}: {} and {}", leader.0, id.0));
            }
            for (index, (of_term, _)) in self.committed.range(log.before().0 + 1..) {
                if *of_term != 0 && *of_term < term && log.term(*index) != Some(*of_term) {
                    return Err(format!("the leader of term {term} lacks what is committed at {index}"));
                }
            }
        }
        for index in log.before().0 + 1..=node.commit() {
            let Some(term) = log.term(index) else { continue };
            let known = self.committed.entry(index).or_insert((term, None));
            if known.0 == 0 {
                known.0 = term;
            }
            if known.0 != term {
                return Err(format!("two entries are committed at {index}"));
            }
        }
        Ok(())
    }
}
