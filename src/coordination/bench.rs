//! A bench for tests of protocols: members that talk over a network which delays, loses, doubles and reorders, and is cut.
//!
//! It knows nothing of worlds, and is done with a run of some thousand messages in a millisecond: properties are tried on thousands of seeds.

use super::member::{Answer, Asked, Input, Io, Member, NEVER, Note, Wishes};
use crate::kernel::{Key, Purpose, Stream};
use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

/// What chance does to messages.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Weather {
    /// The least time on the way, in nanoseconds.
    pub least: u64,
    /// The most.
    pub most: u64,
    /// The probability that a message is lost.
    pub loss: f64,
    /// The probability that a second copy of it comes.
    pub doubled: f64,
}

/// A network that loses and doubles nothing, on which every message takes so long.
pub(crate) const fn calm(nanos: u64) -> Weather {
    Weather {
        least: nanos,
        most: nanos,
        loss: 0.0,
        doubled: 0.0,
    }
}

#[derive(Debug, Clone)]
enum Event<M> {
    Input(Input<M>),
    /// An agent answers, if the member that asked it still knows of it.
    Answer(Input<M>),
    /// The timer that was set for this reading.
    Timer(i64),
    /// What it was busy with is done.
    Done,
}

/// A member in its place.
#[derive(Debug)]
pub(crate) struct Seat<R: Member> {
    /// The member.
    pub member: R,
    /// Whether it has crashed.
    pub down: bool,
    /// What its clock reads more than true time.
    pub skew: i64,
    key: Key,
    /// Lives before this one.
    life: u32,
    busy: Option<Wishes<R::Message>>,
    waiting: std::collections::VecDeque<Input<R::Message>>,
    /// The earliest timer that is queued.
    timer: i64,
}

/// Members and their network.
pub(crate) struct Bench<R: Member> {
    /// What they share.
    pub rules: R::Rules,
    /// The members.
    pub seats: Vec<Seat<R>>,
    /// What the network does.
    pub weather: Weather,
    /// The side of the cut that each member is on.
    pub sides: Vec<u32>,
    /// The time.
    pub now: u64,
    /// Notes, with their time and who made them.
    pub notes: Vec<(u64, u32, Note)>,
    /// Answers, with their time and whose they are.
    pub answers: Vec<(u64, u32, Answer)>,
    /// What agents were told: time, member, word.
    pub told: Vec<(u64, u32, u64)>,
    /// How long agents are at work that members engage, from the least to the most, and how likely it is that nothing comes of it.
    pub agents: (u64, u64, f64),
    /// How many messages of each kind were sent.
    pub sent: BTreeMap<&'static str, u64>,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: BTreeMap<u64, (u32, u32, Event<R::Message>)>,
    numbered: u64,
    random: Stream,
    asked: u64,
}

impl<R: Member> Bench<R> {
    /// A bench of so many members, made by `make` from their numbers and keys, with all chance from this seed. They have started.
    pub(crate) fn new(
        seed: u64,
        rules: R::Rules,
        count: u32,
        weather: Weather,
        make: impl Fn(&R::Rules, u32, Key) -> R,
    ) -> Self {
        use super::member::Saying;
        let root = Key::root(seed, 0);
        let seat = |number: u32| {
            let key = root.member(u64::from(number));
            Seat {
                member: make(&rules, number, key),
                down: false,
                skew: 0,
                key,
                life: 0,
                busy: None,
                waiting: Default::default(),
                timer: NEVER,
            }
        };
        let mut bench = Self {
            seats: (0..count).map(seat).collect(),
            rules,
            weather,
            sides: vec![0; count as usize],
            now: 0,
            notes: Vec::new(),
            answers: Vec::new(),
            told: Vec::new(),
            agents: (0, 0, 1.0),
            sent: <R::Message as Saying>::KINDS.iter().map(|kind| (*kind, 0)).collect(),
            queue: BinaryHeap::new(),
            events: BTreeMap::new(),
            numbered: 0,
            random: root.child("weather").stream(Purpose(1), 0),
            asked: 0,
        };
        for member in 0..count {
            bench.hand(member, Input::Start);
        }
        bench
    }

    fn put(&mut self, at: u64, to: u32, event: Event<R::Message>) {
        self.numbered += 1;
        let life = self.seats[to as usize].life;
        self.queue.push(Reverse((at, self.numbered)));
        self.events.insert(self.numbered, (to, life, event));
    }

    /// Asks a member for something, in the name of `identity`; returns the token under which its answer will come.
    pub(crate) fn ask(&mut self, member: u32, identity: u64, value: u64) -> u64 {
        self.asked += 1;
        let asked = Asked {
            token: self.asked,
            identity,
            value,
            bytes: 256,
        };
        self.hand(member, Input::Asked(asked));
        self.asked
    }

    /// Hands a member something now.
    pub(crate) fn hand(&mut self, to: u32, input: Input<R::Message>) {
        let seat = &mut self.seats[to as usize];
        if seat.down {
            return;
        }
        if seat.busy.is_some() {
            return seat.waiting.push_back(input);
        }
        let mut wishes = Wishes::default();
        let clock = self.now as i64 + seat.skew;
        seat.member
            .on(&self.rules, input, &mut Io::new(to, clock, seat.key, &mut wishes));
        if wishes.busy > 0 {
            let at = self.now + wishes.busy;
            seat.busy = Some(wishes);
            self.put(at, to, Event::Done);
        } else {
            self.grant(to, wishes);
        }
        self.arm(to);
    }

    fn grant(&mut self, member: u32, wishes: Wishes<R::Message>) {
        use super::member::Saying;
        for (to, which) in wishes.sends {
            let message = &wishes.said[which as usize];
            let kind = <R::Message as Saying>::KINDS[message.kind() as usize];
            *self.sent.get_mut(kind).expect("a kind that has a name") += 1;
            let Weather {
                least,
                most,
                loss,
                doubled,
            } = self.weather;
            let lost = self.random.chance(loss) || self.sides[member as usize] != self.sides[to as usize];
            let copies = 1 + u32::from(self.random.chance(doubled));
            for _ in 0..copies {
                let at = self.now + least + self.random.below(most - least + 1);
                if !lost {
                    let message = message.clone();
                    self.put(at, to, Event::Input(Input::Heard { from: member, message }));
                }
            }
        }
        for engagement in wishes.engaged {
            let (least, most, lost) = self.agents;
            let at = self.now + least + self.random.below(most - least + 1);
            if !self.random.chance(lost) {
                let (token, answer) = (engagement.token, engagement.question);
                self.put(at, member, Event::Answer(Input::Engaged { token, answer }));
            }
        }
        let now = self.now;
        self.notes
            .extend(wishes.notes.into_iter().map(|note| (now, member, note)));
        self.answers
            .extend(wishes.answers.into_iter().map(|answer| (now, member, answer)));
        self.told
            .extend(wishes.told.into_iter().map(|word| (now, member, word)));
    }

    fn arm(&mut self, member: u32) {
        let seat = &mut self.seats[member as usize];
        let due = seat.member.due(self.now as i64 + seat.skew);
        if due < seat.timer && due != NEVER {
            seat.timer = due;
            let at = (due - seat.skew).max(self.now as i64) as u64;
            self.put(at, member, Event::Timer(due));
        }
    }

    /// Goes on until this time.
    pub(crate) fn run_until(&mut self, end: u64) {
        while let Some(Reverse((at, number))) = self.queue.peek().copied() {
            if at > end {
                break;
            }
            self.queue.pop();
            self.now = at;
            let Some((to, life, event)) = self.events.remove(&number) else {
                continue;
            };
            let seat = &mut self.seats[to as usize];
            match event {
                // Messages come to whoever is there.
                Event::Input(input) => self.hand(to, input),
                _ if seat.life != life || seat.down => {}
                Event::Answer(input) => self.hand(to, input),
                Event::Timer(due) => {
                    if seat.timer == due {
                        seat.timer = NEVER;
                        let clock = at as i64 + seat.skew;
                        if seat.member.due(clock) <= clock {
                            self.hand(to, Input::Due);
                        } else {
                            self.arm(to);
                        }
                    }
                }
                Event::Done => {
                    let wishes = seat.busy.take().unwrap_or_default();
                    self.grant(to, wishes);
                    while self.seats[to as usize].busy.is_none() {
                        let Some(input) = self.seats[to as usize].waiting.pop_front() else {
                            break;
                        };
                        self.hand(to, input);
                    }
                }
            }
        }
        self.now = end;
    }

    /// A member crashes: what it was about to say is never said.
    pub(crate) fn crash(&mut self, member: u32, keeps_disk: bool) {
        let seat = &mut self.seats[member as usize];
        if !seat.down {
            (seat.down, seat.busy, seat.timer) = (true, None, NEVER);
            seat.life += 1;
            seat.waiting.clear();
            seat.member.crash(&self.rules, keeps_disk);
        }
    }

    /// It is back.
    pub(crate) fn restart(&mut self, member: u32) {
        if std::mem::take(&mut self.seats[member as usize].down) {
            self.hand(member, Input::Restarted);
        }
    }

    /// Cuts the network: who has another number is on another side.
    pub(crate) fn cut(&mut self, side: impl Fn(u32) -> u32) {
        self.sides = (0..self.seats.len() as u32).map(side).collect();
    }

    /// All are on one side again.
    pub(crate) fn heal(&mut self) {
        self.cut(|_| 0);
    }

    /// How many messages were sent, of all kinds.
    pub(crate) fn messages(&self) -> u64 {
        self.sent.values().sum()
    }
}
