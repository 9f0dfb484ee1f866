//! A member that probes others, as data without I/O.

use super::message::{Talk, Update, Updates};
use super::roster::{Roster, State};
use super::{Flaw, Pace, Rules, Targets, note};
use crate::coordination::member::{Asked, Input, Io, Member, NEVER};
use crate::kernel::Purpose;
use crate::world::population::purpose;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// In which order members are probed.
const ORDER: Purpose = Purpose(0x135);
/// Who probes in somebody's stead.
const HELPERS: Purpose = Purpose(0x136);
/// When a member begins, and with whom it compares.
const PHASE: Purpose = Purpose(0x137);

/// A probe under way.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Probe {
    target: u32,
    number: u32,
    /// When helpers are asked; [`NEVER`] once they have been.
    helpers_at: i64,
    heard: bool,
}

/// A probe in somebody's stead.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Relay {
    number: u32,
    asker: u32,
    theirs: u32,
    until: i64,
}

/// A suspect, and until when it may refute.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Suspect {
    member: u32,
    incarnation: u32,
    until: i64,
}

/// News that are passed on.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct News {
    sent: u32,
    update: Update,
}

/// A member that probes others.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Prober {
    roster: Roster,
    /// Its own incarnation.
    incarnation: u32,
    /// Probes that it has begun, in its own name or another's.
    probes: u32,
    probe: Option<Probe>,
    relays: Vec<Relay>,
    suspects: Vec<Suspect>,
    news: Vec<News>,
    /// Whom it probes, and from where on they are to come.
    order: Vec<u32>,
    place: u32,
    /// When its next period begins.
    period_at: i64,
    sync_at: i64,
    /// When it asks to be let in; [`NEVER`] once it is.
    join_at: i64,
}

impl Prober {
    /// A member of such a group.
    pub fn new(rules: &Rules, me: u32) -> Self {
        let known = if me < rules.initial { rules.initial } else { 0 };
        Self {
            roster: Roster::new(rules.members, known),
            incarnation: 0,
            probes: 0,
            probe: None,
            relays: Vec::new(),
            suspects: Vec::new(),
            news: Vec::new(),
            order: Vec::new(),
            place: 0,
            period_at: NEVER,
            sync_at: NEVER,
            join_at: NEVER,
        }
    }

    /// What it believes of a member.
    pub fn believes(&self, member: u32) -> State {
        self.roster.get(member).0
    }

    /// How many it takes for present, itself included if it is in the group.
    pub fn present(&self) -> u32 {
        self.roster.present()
    }

    /// How many news it would still pass on.
    pub fn news(&self) -> usize {
        self.news.len()
    }

    fn begin(&mut self, rules: &Rules, io: &mut Io<'_, Talk>, anew: bool) {
        if self.roster.is_present(io.me) {
            if !anew {
                // Whoever took it for failed is told otherwise.
                self.incarnation += 1;
                self.stand_up(rules, io);
                let until = io.now.saturating_add(rules.suspicion.unwrap_or(0) as i64);
                let suspects = self.roster.all().filter(|update| update.state == State::Suspect);
                self.suspects = suspects
                    .map(|update| Suspect {
                        member: update.about,
                        incarnation: update.incarnation,
                        until,
                    })
                    .collect();
            }
            self.take_part(rules, io);
        } else {
            let at = rules.joins_at(io.me).filter(|_| anew).unwrap_or(io.now);
            self.join_at = at.max(io.now);
            self.join(rules, io);
        }
    }

    /// Has a time for its periods from now on.
    fn take_part(&mut self, rules: &Rules, io: &Io<'_, Talk>) {
        let period = rules.period.max(1) as i64;
        let mut draws = io.draw_for(PHASE, io.now as u64);
        self.period_at = match rules.pace {
            Pace::Together => (io.now.div_euclid(period) + 1).saturating_mul(period),
            Pace::Apart => io.now.saturating_add(1 + draws.below(period as u64) as i64),
        };
        if let Some(every) = rules.sync {
            let phase = draws.below(every.max(1)) as i64;
            self.sync_at = io.now.saturating_add(1 + phase);
        }
    }

    /// Says of itself that it is alive.
    fn stand_up(&mut self, rules: &Rules, io: &Io<'_, Talk>) {
        let update = Update {
            about: io.me,
            state: State::Alive,
            incarnation: self.incarnation,
        };
        self.roster.take(update);
        self.spread(rules, update);
    }

    /// Asks one of those who are there from the beginning to be let in.
    fn join(&mut self, rules: &Rules, io: &mut Io<'_, Talk>) {
        if self.join_at > io.now {
            return;
        }
        let mut draws = io.draw_for(PHASE, io.now as u64);
        let place = draws.below(u64::from(rules.initial.max(1))) as u32;
        if place != io.me {
            let (about, state, incarnation) = (io.me, State::Alive, self.incarnation);
            let updates = Updates::from_iter([Update {
                about,
                state,
                incarnation,
            }]);
            io.send(place, Talk::Sync { asks: true, updates });
        }
        self.join_at = io.now.saturating_add(rules.period.max(1) as i64);
    }

    fn spread(&mut self, rules: &Rules, update: Update) {
        if rules.flaw != Flaw::Mute {
            self.news.retain(|news| news.update.about != update.about);
            self.news.push(News { sent: 0, update });
        }
    }

    /// What rides on a message to somebody.
    fn riders(&mut self, rules: &Rules, to: u32) -> Updates {
        let mut updates = Updates::new();
        let (state, incarnation) = self.roster.get(to);
        if matches!(state, State::Suspect | State::Failed) && rules.flaw != Flaw::Mute {
            let about = to;
            updates.push(Update {
                about,
                state,
                incarnation,
            });
        }
        if self.news.is_empty() {
            return updates;
        }
        self.news.sort_unstable_by_key(|news| (news.sent, news.update.about));
        for news in self.news.iter_mut().take(rules.piggyback as usize) {
            if news.update.about != to || news.update.state == State::Alive {
                updates.push(news.update);
            }
            news.sent += 1;
        }
        let most = rules.retransmissions(self.roster.present());
        self.news.retain(|news| news.sent < most);
        updates
    }

    /// Takes news in, its own (`told`: false) or those of others.
    fn take(&mut self, rules: &Rules, update: Update, told: bool, io: &mut Io<'_, Talk>) {
        let Update {
            about,
            mut state,
            incarnation,
        } = update;
        if about == io.me {
            self.take_of_itself(rules, update, io);
            return;
        }
        if state == State::Suspect && rules.suspicion.is_none() {
            state = State::Failed;
        }
        let before = self.roster.get(about).0;
        let update = Update { state, ..update };
        if !self.roster.take(update) {
            return;
        }
        self.spread(rules, update);
        self.suspects.retain(|suspect| suspect.member != about);
        match state {
            State::Suspect => {
                let until = io.now.saturating_add(rules.suspicion.unwrap_or(0) as i64);
                self.suspects.push(Suspect {
                    member: about,
                    incarnation,
                    until,
                });
                io.note_with(note::SUSPECTS, about.into(), incarnation.into(), &[told.into()]);
            }
            State::Failed if before != State::Failed => {
                io.note_with(note::BURIES, about.into(), incarnation.into(), &[told.into()]);
            }
            State::Alive if before != State::Alive => io.note(note::TRUSTS, about.into(), incarnation.into()),
            _ => {}
        }
        if !matches!(before, State::Alive | State::Suspect)
            && self.roster.is_present(about)
            && rules.targets == Targets::RoundRobin
        {
            self.line_up(about, io);
        }
    }

    fn take_of_itself(&mut self, rules: &Rules, update: Update, io: &mut Io<'_, Talk>) {
        let Update { state, incarnation, .. } = update;
        if state == State::Alive {
            self.incarnation = self.incarnation.max(incarnation);
        } else if incarnation >= self.incarnation && rules.flaw != Flaw::Silent {
            self.incarnation = incarnation + 1;
            io.note(note::REFUTES, io.me.into(), self.incarnation.into());
            self.stand_up(rules, io);
        }
    }

    /// Somebody new gets a random place among those who are still to be probed in this turn.
    fn line_up(&mut self, member: u32, io: &Io<'_, Talk>) {
        if !self.order.is_empty() && !self.order[self.place as usize..].contains(&member) {
            let left = self.order.len() as u64 - u64::from(self.place);
            let about = (io.now as u64).wrapping_add(u64::from(member) << 40);
            let place = u64::from(self.place) + io.draw_for(ORDER, about).below(left + 1);
            self.order.insert(place as usize, member);
        }
    }

    /// Whom it probes next.
    fn target(&mut self, rules: &Rules, io: &Io<'_, Talk>) -> Option<u32> {
        let me = io.me;
        match rules.targets {
            Targets::Random => {
                let mut draws = io.draw_for(purpose::PEER, io.now as u64);
                let is_wanted = |roster: &Roster, member| member != me && roster.is_present(member);
                self.roster.choose(is_wanted, |bound| draws.below(bound))
            }
            Targets::RoundRobin => loop {
                if self.place as usize >= self.order.len() {
                    (self.order, self.place) = (Vec::with_capacity(self.roster.present() as usize), 0);
                    let others = (0..self.roster.len()).filter(|member| *member != me);
                    self.order
                        .extend(others.filter(|member| self.roster.is_present(*member)));
                    let mut draws = io.draw_for(ORDER, io.now as u64);
                    for last in (1..self.order.len()).rev() {
                        self.order.swap(last, draws.below(last as u64 + 1) as usize);
                    }
                    if self.order.is_empty() {
                        return None;
                    }
                }
                let target = self.order[self.place as usize];
                self.place += 1;
                if self.roster.is_present(target) {
                    return Some(target);
                }
            },
        }
    }

    /// A period is over, and the next one begins.
    fn begin_period(&mut self, rules: &Rules, io: &mut Io<'_, Talk>) {
        if let Some(probe) = self.probe.take().filter(|probe| !probe.heard) {
            self.give_up(rules, probe, io);
        }
        let period = rules.period.max(1) as i64;
        self.period_at = match rules.pace {
            Pace::Together => (io.now.div_euclid(period) + 1).saturating_mul(period),
            // What was missed while it stood still isn't made up for.
            Pace::Apart => self.period_at.saturating_add(period).max(io.now + 1),
        };
        self.relays.retain(|relay| relay.until > io.now);
        if let Some(target) = self.target(rules, io) {
            self.probes = self.probes.wrapping_add(1);
            let number = self.probes;
            io.note(note::PROBED, target.into(), number.into());
            let updates = self.riders(rules, target);
            io.send(target, Talk::Ping { number, updates });
            self.probe = Some(Probe {
                target,
                number,
                helpers_at: io.now.saturating_add(rules.timeout as i64),
                heard: false,
            });
        }
    }

    fn give_up(&mut self, rules: &Rules, probe: Probe, io: &mut Io<'_, Talk>) {
        io.note(note::UNHEARD, probe.target.into(), probe.number.into());
        let (state, incarnation) = self.roster.get(probe.target);
        if state == State::Alive {
            let update = Update {
                about: probe.target,
                state: State::Suspect,
                incarnation,
            };
            self.take(rules, update, false, io);
        }
    }

    /// Nobody has answered the direct probe in time.
    fn ask_helpers(&mut self, rules: &Rules, io: &mut Io<'_, Talk>) {
        let Some(probe) = &mut self.probe else {
            return;
        };
        probe.helpers_at = NEVER;
        if probe.heard {
            return;
        }
        let (target, number, me) = (probe.target, probe.number, io.me);
        let mut draws = io.draw_for(HELPERS, io.now as u64);
        let mut helpers: SmallVec<[u32; 4]> = SmallVec::new();
        for _ in 0..rules.helpers {
            let is_wanted = |roster: &Roster, member| {
                member != me && member != target && roster.is_present(member) && !helpers.contains(&member)
            };
            match self.roster.choose(is_wanted, |bound| draws.below(bound)) {
                Some(helper) => helpers.push(helper),
                None => break,
            }
        }
        for helper in helpers {
            let updates = self.riders(rules, helper);
            io.send(
                helper,
                Talk::PingReq {
                    number,
                    target,
                    updates,
                },
            );
        }
    }

    /// Whose time to refute is over has failed.
    fn bury(&mut self, rules: &Rules, io: &mut Io<'_, Talk>) {
        let due: SmallVec<[Suspect; 4]> = self
            .suspects
            .iter()
            .copied()
            .filter(|suspect| suspect.until <= io.now)
            .collect();
        for Suspect {
            member, incarnation, ..
        } in due
        {
            let update = Update {
                about: member,
                state: State::Failed,
                incarnation,
            };
            self.take(rules, update, false, io);
        }
    }

    /// Compares all that it knows with one who is there, and with one who seems not to be.
    fn compare(&mut self, rules: &Rules, io: &mut Io<'_, Talk>) {
        let Some(every) = rules.sync else {
            self.sync_at = NEVER;
            return;
        };
        self.sync_at = io.now.saturating_add(every.max(1) as i64);
        let (me, mut draws) = (io.me, io.draw_for(PHASE, !(io.now as u64)));
        let is_present = |roster: &Roster, member| member != me && roster.is_present(member);
        let present = self.roster.choose(is_present, |bound| draws.below(bound));
        let has_failed = |roster: &Roster, member| roster.get(member).0 == State::Failed;
        let failed = match self.roster.failed() {
            0 => None,
            _ => self.roster.choose(has_failed, |bound| draws.below(bound)),
        };
        for member in present.into_iter().chain(failed) {
            let updates = self.roster.all().collect();
            io.send(member, Talk::Sync { asks: true, updates });
        }
    }

    fn hear(&mut self, rules: &Rules, from: u32, message: Talk, io: &mut Io<'_, Talk>) {
        match message {
            Talk::Ping { number, updates } => {
                self.take_all(rules, updates, io);
                let updates = self.riders(rules, from);
                io.send(from, Talk::Ack { number, updates });
            }
            Talk::PingReq {
                number: theirs,
                target,
                updates,
            } => {
                self.take_all(rules, updates, io);
                self.probes = self.probes.wrapping_add(1);
                let number = self.probes;
                let until = io.now.saturating_add(rules.period.max(1) as i64);
                self.relays.push(Relay {
                    number,
                    asker: from,
                    theirs,
                    until,
                });
                let updates = self.riders(rules, target);
                io.send(target, Talk::Ping { number, updates });
            }
            Talk::Ack { number, updates } => {
                self.take_all(rules, updates, io);
                if let Some(probe) = self.probe.as_mut().filter(|probe| probe.number == number) {
                    probe.heard = true;
                } else if let Some(place) = self.relays.iter().position(|relay| relay.number == number) {
                    let Relay {
                        asker, theirs: number, ..
                    } = self.relays.swap_remove(place);
                    let updates = self.riders(rules, asker);
                    io.send(asker, Talk::Ack { number, updates });
                }
            }
            Talk::Sync { asks, updates } => {
                let was_out = !self.roster.is_present(io.me);
                if was_out && asks {
                    // Nobody who isn't in the group lets others in.
                    return;
                }
                self.take_all(rules, updates, io);
                if was_out {
                    self.join_at = NEVER;
                    self.stand_up(rules, io);
                    io.note(note::JOINED, io.me.into(), self.incarnation.into());
                    self.take_part(rules, io);
                }
                if asks {
                    let updates = self.roster.all().collect();
                    io.send(from, Talk::Sync { asks: false, updates });
                }
            }
        }
    }

    fn take_all(&mut self, rules: &Rules, updates: Updates, io: &mut Io<'_, Talk>) {
        for update in updates {
            self.take(rules, update, true, io);
        }
    }

    fn act(&mut self, rules: &Rules, io: &mut Io<'_, Talk>) {
        if self.join_at <= io.now {
            self.join(rules, io);
        }
        self.bury(rules, io);
        if self.probe.is_some_and(|probe| probe.helpers_at <= io.now) {
            self.ask_helpers(rules, io);
        }
        if self.sync_at <= io.now {
            self.compare(rules, io);
        }
        if self.period_at <= io.now {
            self.begin_period(rules, io);
        }
    }

    /// Somebody beside it asks for something: how many there are in the group.
    fn ask(&self, asked: Asked, io: &mut Io<'_, Talk>) {
        io.answer(asked.token, self.roster.present().into());
    }
}

impl Member for Prober {
    type Rules = Rules;
    type Message = Talk;

    fn on(&mut self, rules: &Rules, input: Input<Talk>, io: &mut Io<'_, Talk>) {
        match input {
            Input::Start => self.begin(rules, io, true),
            Input::Restarted => self.begin(rules, io, false),
            Input::Heard { from, message } => self.hear(rules, from, message, io),
            Input::Due => self.act(rules, io),
            Input::Asked(asked) => self.ask(asked, io),
            Input::Withdrawn(_) | Input::Engaged { .. } => {}
        }
    }

    fn due(&self, _now: i64) -> i64 {
        let helpers = self
            .probe
            .filter(|probe| !probe.heard)
            .map_or(NEVER, |probe| probe.helpers_at);
        let suspects = self.suspects.iter().map(|suspect| suspect.until);
        let timers = [self.period_at, self.sync_at, self.join_at, helpers];
        suspects.chain(timers).min().unwrap_or(NEVER)
    }

    fn crash(&mut self, rules: &Rules, keeps_disk: bool) {
        let known = std::mem::take(&mut self.roster);
        let (incarnation, probes) = (self.incarnation, self.probes);
        // Nobody starts in the group by itself: it is let in.
        *self = Self::new(rules, rules.initial);
        if keeps_disk {
            (self.roster, self.incarnation, self.probes) = (known, incarnation, probes);
        }
    }
}
