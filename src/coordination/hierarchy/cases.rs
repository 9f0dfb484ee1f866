//! Cases: what is decided here, one after the other, and what goes up.

use super::coordinator::Coordinator;
use super::message::{Case, Entry, Standing, Word};
use super::uplink::Recall;
use super::{Alone, Flaw, Rules, notes};
use crate::coordination::member::{Io, NEVER};
use serde::Serialize;
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// How far a case has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
enum State {
    /// It waits for those that came before.
    Queued,
    /// It is being decided.
    Working,
    /// It is decided but for the quota, of which there is too little.
    Short,
    /// It was sent up.
    Up { due: i64, asked: u32 },
}

/// A case that isn't decided.
#[derive(Debug, Clone, Serialize)]
struct Open {
    case: Case,
    state: State,
    /// The members that wait for it.
    askers: SmallVec<[u32; 2]>,
    /// The positions that were asked to decide it.
    asked: SmallVec<[u32; 2]>,
    /// How long it took to decide, in nanoseconds.
    took: u64,
}

/// What is to be decided.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Desktop {
    open: BTreeMap<u64, Open>,
    /// Cases in the order in which they came. What was taken away meanwhile may stand there yet.
    queue: VecDeque<u64>,
    working: Option<(u64, i64)>,
    /// Those that lack quota, in the order in which they were decided.
    short: VecDeque<u64>,
    /// When those that were sent up are sent again.
    agenda: BTreeSet<(i64, u64)>,
}

impl Desktop {
    pub fn due(&self) -> i64 {
        let repeats = self.agenda.first().map_or(NEVER, |(due, _)| *due);
        self.working.map_or(NEVER, |(_, due)| due).min(repeats)
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// What is on disk: the cases, and where they were sent.
    pub fn crashed(self) -> Self {
        Self {
            open: self.open,
            ..Self::default()
        }
    }

    /// How much of the quota is lacking for what is decided.
    pub fn lacks(&self) -> u64 {
        let open = self.short.iter().filter_map(|identity| self.open.get(identity));
        open.map(|open| open.case.value).sum()
    }
}

impl Coordinator {
    /// A desk or a child wants something decided.
    pub(super) fn asked(&mut self, rules: &Rules, from: u32, case: Case, io: &mut Io<'_, Word>) {
        let identity = case.identity;
        if let Some(entry) = self.log.get(identity)
            && rules.flaw != Flaw::ForgetsDecided
        {
            let decision = entry.standing();
            return io.send(from, Word::Verdict { identity, decision });
        }
        if let Some(open) = self.desktop.open.get_mut(&identity) {
            if !open.askers.contains(&from) {
                open.askers.push(from);
            }
            return;
        }
        let open = Open {
            case,
            state: State::Queued,
            askers: SmallVec::from_slice(&[from]),
            asked: SmallVec::new(),
            took: 0,
        };
        self.desktop.open.insert(identity, open);
        self.place(rules, case, io);
    }

    /// Decides a case, or sends it up.
    fn place(&mut self, rules: &Rules, case: Case, io: &mut Io<'_, Word>) {
        if rules.is_competent(self.position, &case) || (self.alone && self.is_own(rules, &case)) {
            self.desktop.queue.push_back(case.identity);
            self.begin_case(rules, io);
        } else {
            let is_root = rules.tree.parent(self.position).is_none();
            let (event, word) = match is_root {
                true => (notes::ABROAD, u64::from(case.system)),
                false => (notes::ESCALATES, u64::from(rules.tree.tier(self.position))),
            };
            io.note(event, case.identity, word);
            self.send_up(rules, case.identity, io);
        }
    }

    /// Whether a case is a matter of its own system.
    fn is_own(&self, rules: &Rules, case: &Case) -> bool {
        case.system == rules.tree.system(self.position)
    }

    /// The position that decides for it: the one above, or the root of another system.
    fn above(&self, rules: &Rules, case: &Case) -> u32 {
        match &self.up {
            Some(up) => up.at,
            None => rules.tree.roots()[case.system as usize],
        }
    }

    fn send_up(&mut self, rules: &Rules, identity: u64, io: &mut Io<'_, Word>) {
        let Some(open) = self.desktop.open.get(&identity) else {
            return;
        };
        let case = open.case;
        let above = self.above(rules, &case);
        let to = self.whereabouts.at(above);
        let Some(open) = self.desktop.open.get_mut(&identity) else {
            return;
        };
        if let State::Up { due, .. } = open.state {
            self.desktop.agenda.remove(&(due, identity));
        }
        let asked = match open.state {
            State::Up { asked, .. } => asked + 1,
            _ => 1,
        };
        let due = io.now.saturating_add(rules.waits(asked));
        open.state = State::Up { due, asked };
        if !open.asked.contains(&above) {
            open.asked.push(above);
        }
        self.desktop.agenda.insert((due, identity));
        io.send(to, Word::Case(case));
    }

    /// Sends again what nobody has answered in time.
    pub(super) fn repeat_cases(&mut self, rules: &Rules, io: &mut Io<'_, Word>) {
        while let Some((due, identity)) = self.desktop.agenda.first().copied()
            && due <= io.now
        {
            self.desktop.agenda.remove(&(due, identity));
            self.send_up(rules, identity, io);
        }
    }

    /// Sends all again that waits for somebody above.
    pub(super) fn send_cases_again(&mut self, rules: &Rules, io: &mut Io<'_, Word>) {
        let waiting: Vec<u64> = self.desktop.agenda.iter().map(|(_, identity)| *identity).collect();
        for identity in waiting {
            self.send_up(rules, identity, io);
        }
    }

    /// It is back, or begins to coordinate: what is on its disk is dealt with anew.
    pub(super) fn take_up_cases(&mut self, rules: &Rules, io: &mut Io<'_, Word>) {
        let mut cases = Vec::new();
        let log = &self.log;
        self.desktop.open.retain(|identity, _| log.get(*identity).is_none());
        for open in self.desktop.open.values_mut() {
            open.state = State::Queued;
            cases.push(open.case);
        }
        for case in cases {
            self.place(rules, case, io);
        }
    }

    /// Begins to decide the next case, if it isn't at one.
    pub(super) fn begin_case(&mut self, rules: &Rules, io: &mut Io<'_, Word>) {
        while self.desktop.working.is_none() {
            let Some(identity) = self.desktop.queue.pop_front() else {
                return;
            };
            let Some(open) = self.desktop.open.get_mut(&identity) else {
                continue;
            };
            if open.state != State::Queued {
                continue;
            }
            open.state = State::Working;
            let tier = &rules.tiers[rules.ranks[self.position as usize] as usize];
            let took = tier.decides.sample_duration(&mut io.draw(identity), identity);
            open.took = took.as_nanos();
            let took = i64::try_from(open.took).unwrap_or(i64::MAX);
            match took {
                0 => self.weigh(rules, identity, io),
                _ => self.desktop.working = Some((identity, io.now.saturating_add(took))),
            }
        }
    }

    /// A decision may be through.
    pub(super) fn finish_case(&mut self, rules: &Rules, io: &mut Io<'_, Word>) {
        if let Some((identity, due)) = self.desktop.working
            && due <= io.now
        {
            self.desktop.working = None;
            self.weigh(rules, identity, io);
            self.begin_case(rules, io);
        }
    }

    /// A case is decided, but for the quota.
    fn weigh(&mut self, rules: &Rules, identity: u64, io: &mut Io<'_, Word>) {
        let Some(open) = self.desktop.open.get_mut(&identity) else {
            return;
        };
        let value = open.case.value;
        if rules.quota.is_none() || self.purse.spend(value) {
            return self.decide(rules, identity, true, io);
        }
        if self.up.is_none() {
            return self.decide(rules, identity, false, io);
        }
        if self.alone {
            let over = self.purse.overdraw(value);
            io.note(notes::OVER, identity, over);
            return self.decide(rules, identity, true, io);
        }
        open.state = State::Short;
        self.desktop.short.push_back(identity);
        self.ask_for_more(rules, io);
    }

    /// Grants what was short and fits by now; if there is no more, what doesn't fit is denied.
    pub(super) fn settle_short(&mut self, rules: &Rules, dry: bool, io: &mut Io<'_, Word>) {
        let mut short = std::mem::take(&mut self.desktop.short);
        while let Some(identity) = short.pop_front() {
            let Some(open) = self.desktop.open.get(&identity) else {
                continue;
            };
            let value = open.case.value;
            if self.purse.spend(value) {
                self.decide(rules, identity, true, io);
            } else if self.alone {
                let over = self.purse.overdraw(value);
                io.note(notes::OVER, identity, over);
                self.decide(rules, identity, true, io);
            } else if dry {
                self.decide(rules, identity, false, io);
            } else {
                // Whoever was first is served first.
                short.push_front(identity);
                break;
            }
        }
        short.append(&mut self.desktop.short);
        self.desktop.short = short;
    }

    fn decide(&mut self, rules: &Rules, identity: u64, granted: bool, io: &mut Io<'_, Word>) {
        let Some((value, took)) = self
            .desktop
            .open
            .get(&identity)
            .map(|open| (open.case.value, open.took))
        else {
            return;
        };
        let entry = Entry {
            identity,
            value,
            granted,
            by: Some(self.me),
            stands: self.position,
        };
        self.write(rules, entry, took, io);
        if let Some(open) = self.desktop.open.get(&identity)
            && !rules.is_competent(self.position, &open.case)
        {
            // Alone it decides what is beyond it. Somebody at its place may have sent that up before, and nobody knows any more.
            let above = self.above(rules, &open.case);
            if let Some(open) = self.desktop.open.get_mut(&identity)
                && !open.asked.contains(&above)
            {
                open.asked.push(above);
            }
        }
        self.close(rules, identity, entry.standing(), None, io);
    }

    /// What was decided goes to those that wait for it, and to those that were asked in vain.
    pub(super) fn close(
        &mut self,
        rules: &Rules,
        identity: u64,
        decision: Standing,
        by: Option<u32>,
        io: &mut Io<'_, Word>,
    ) {
        let Some(open) = self.desktop.open.remove(&identity) else {
            return;
        };
        if let State::Up { due, .. } = open.state {
            self.desktop.agenda.remove(&(due, identity));
        }
        if self.desktop.working.is_some_and(|(working, _)| working == identity) {
            self.desktop.working = None;
        }
        for asker in open.askers {
            io.send(asker, Word::Verdict { identity, decision });
        }
        let to = open
            .asked
            .into_iter()
            .filter(|position| Some(*position) != by)
            .collect();
        let case = open.case;
        self.recalls.add(rules, Recall { case, decision, to }, io);
    }

    /// Somebody above has decided.
    pub(super) fn answered(
        &mut self,
        rules: &Rules,
        from: u32,
        identity: u64,
        decision: Standing,
        io: &mut Io<'_, Word>,
    ) {
        let by = rules.position(from);
        let Some(open) = self.desktop.open.get(&identity) else {
            return;
        };
        if matches!(open.state, State::Up { .. }) {
            // It is remembered, so that whoever comes with another decision hears of this one.
            self.log.push(Entry {
                identity,
                value: open.case.value,
                granted: decision.granted,
                by: None,
                stands: decision.at,
            });
            self.close(rules, identity, decision, by, io);
        }
    }

    /// Somebody has it decided elsewhere: of two decisions one is taken back, and what isn't decided here won't be.
    pub(super) fn recalled(&mut self, rules: &Rules, from: u32, case: Case, decision: Standing, io: &mut Io<'_, Word>) {
        let identity = case.identity;
        io.send(from, Word::Voided { identity, decision });
        let Some(entry) = self.log.get(identity).copied() else {
            self.decided_elsewhere(rules, case, decision, io);
            return;
        };
        let held = entry.standing();
        if held.at == decision.at {
            return;
        }
        let (over, under) = match decision.is_over(&held) {
            true => (decision, held),
            false => (held, decision),
        };
        if under.at == self.position {
            self.take_back(rules, entry, over, io);
            return self.regain(rules, io);
        }
        if over.at != self.position {
            let (granted, stands) = (over.granted, over.at);
            self.log.push(Entry {
                granted,
                stands,
                ..entry
            });
        }
        // The other one doesn't know of the one that stands.
        let (decision, to) = (over, vec![under.at]);
        self.recalls.add(rules, Recall { case, decision, to }, io);
    }

    /// What isn't decided here was elsewhere.
    fn decided_elsewhere(&mut self, rules: &Rules, case: Case, decision: Standing, io: &mut Io<'_, Word>) {
        let is_competent = rules.is_competent(self.position, &case);
        let above = (!is_competent).then(|| self.above(rules, &case));
        self.log.push(Entry {
            identity: case.identity,
            value: case.value,
            granted: decision.granted,
            by: None,
            stands: decision.at,
        });
        self.close(rules, case.identity, decision, None, io);
        // It may have been sent up by somebody who has lost sight of it.
        let to = above.into_iter().filter(|above| *above != decision.at).collect();
        self.recalls.add(rules, Recall { case, decision, to }, io);
        self.begin_case(rules, io);
        self.regain(rules, io);
    }

    /// It is cut off, and goes on by itself: it decides what it would have sent up.
    pub(super) fn go_on_alone(&mut self, rules: &Rules, io: &mut Io<'_, Word>) {
        debug_assert_eq!(rules.alone, Alone::GoOn);
        self.alone = true;
        io.note(notes::ALONE, u64::from(self.position), 0);
        let waiting: Vec<(i64, u64)> = self.desktop.agenda.iter().copied().collect();
        let system = rules.tree.system(self.position);
        for (due, identity) in waiting {
            // Another system's matters wait.
            let own = |open: &&mut Open| open.case.system == system;
            if let Some(open) = self.desktop.open.get_mut(&identity).filter(own) {
                open.state = State::Queued;
                self.desktop.agenda.remove(&(due, identity));
                self.desktop.queue.push_back(identity);
            }
        }
        self.settle_short(rules, false, io);
        self.serve_wants(rules, false, io);
        self.begin_case(rules, io);
    }

    /// It isn't active any more: who waits will send again, to whoever is.
    pub(super) fn drop_cases(&mut self) {
        self.desktop = Desktop::default();
    }
}
