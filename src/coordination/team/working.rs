//! What a member does about what it knows: it claims tasks, has its agent do them, on drafts too, and takes results.

use super::super::member::{Engagement, Io, NEVER};
use super::super::work::notes;
use super::job::Begin;
use super::{Fact, Flaw, Mate, Place, Rules, Said, Take};
use crate::state::hash::chain;
use crate::world::population::purpose;
use serde::Serialize;

/// A claim whose work hasn't begun.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Settling {
    pub of: Place,
    pub at: i64,
    pub due: i64,
}

/// What an agent is at.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Working {
    of: Place,
    /// When it was claimed.
    at: i64,
    /// When it takes too long.
    late: i64,
    /// When there is a draft of it.
    draft: i64,
    /// What it builds on, each in its round, and whether that was a draft; `None`: it stands on results.
    on: Option<Vec<(u16, u32, bool)>>,
    /// Whether something that it builds on is wrong.
    wrong: bool,
    /// Nobody wants it: its drafts didn't hold.
    void: bool,
}

impl Working {
    /// The earliest of its timers.
    pub(super) fn due(&self) -> i64 {
        match &self.on {
            None if !self.void => self.late.min(self.draft),
            _ => self.late,
        }
    }
}

/// The address of what is so of a task in a round, whoever does it.
fn address(of: Place) -> u64 {
    chain(of.job, u64::from(of.task) << 32 | u64::from(of.round))
}

impl Mate {
    /// Does what follows from what it knows by now.
    pub(super) fn go_on(&mut self, rules: &Rules, io: &mut Io<'_, Said>) {
        self.settle_drafts(rules, io);
        self.look_at_dues(rules, io);
        self.conclude(rules, io);
        self.look_at_claim(rules, io);
        self.seek(rules, io);
    }

    /// Agents that take too long, and agents that have a draft.
    fn look_at_dues(&mut self, rules: &Rules, io: &mut Io<'_, Said>) {
        let due = |(_, working): &(&u64, &Working)| working.due() <= io.now;
        let due: Vec<u64> = self.working.iter().filter(due).map(|(token, _)| *token).collect();
        for token in due {
            let working = self.working.get_mut(&token).expect("it was found");
            let of = working.of;
            if working.late <= io.now {
                working.late = NEVER;
                io.note_with(notes::LATE, of.job, token, &[of.task.into()]);
                // Its answer may have been lost: else nobody here would try anything again.
                if self.current == Some(token) {
                    self.current = None;
                }
            }
            let working = self.working.get_mut(&token).expect("it was found");
            if working.draft <= io.now && working.on.is_none() && !working.void {
                working.draft = NEVER;
                let is_news = self.jobs.get(&of.job).is_some_and(|job| {
                    let cell = job.cells.get(&(of.task, of.round));
                    cell.is_some_and(|cell| cell.result.is_none() && !cell.has_draft)
                });
                if is_news {
                    self.state(rules, Fact::Draft { of }, io);
                }
            }
        }
    }

    /// Whether a claim whose work hasn't begun stands, and whether it begins.
    fn look_at_claim(&mut self, rules: &Rules, io: &mut Io<'_, Said>) {
        let Some(Settling { of, at, due }) = self.settling else {
            return;
        };
        let begin = self.jobs.get(&of.job).and_then(|job| {
            let is_present = !job.over && job.round(of.task) == of.round;
            let cell = job.cells.get(&(of.task, of.round))?;
            let stands = is_present && !cell.is_outranked(at, io.me, io.now, rules.lives());
            stands.then(|| job.begin(&rules.graph, of.task, rules.speculate.is_some()))?
        });
        let Some(begin) = begin else {
            self.settling = None;
            io.note_with(notes::YIELDED, of.job, of.task.into(), &[of.round.into()]);
            let free = true;
            return self.state(rules, Fact::Dropped { of, at, free }, io);
        };
        if due <= io.now {
            self.settling = None;
            self.begin(rules, of, at, begin, io);
        }
    }

    /// Looks for a task that its agent could do, if it is free.
    fn seek(&mut self, rules: &Rules, io: &mut Io<'_, Said>) {
        self.wake = NEVER;
        let (None, None, Some(crew)) = (self.current, self.settling, rules.posts[io.me as usize].crew) else {
            return;
        };
        let (graph, speculates) = (&rules.graph, rules.speculate.is_some() || rules.flaw == Flaw::NoNeeds);
        let (mut chosen, mut found) = (None, Vec::new());
        for (_, job) in &self.open {
            let known = &self.jobs[job];
            for (task, _) in (0u16..).zip(&graph.tasks).filter(|(_, task)| task.crew == crew) {
                if let Some(begin) = known.begin(graph, task, speculates) {
                    let round = known.round(task);
                    found.push((Place { job: *job, task, round }, begin));
                }
            }
        }
        for (of, begin) in found {
            let known = self.jobs.get_mut(&of.job).expect("it is open");
            let cell = known.cells.entry((of.task, of.round)).or_default();
            if let Some(end) = cell.claimed_until(io.now, rules.lives()) {
                self.wake = self.wake.min(end);
                continue;
            }
            let since = *cell.since.get_or_insert(io.now);
            let due = since.saturating_add(self.waits(rules, of, crew, io));
            if due > io.now {
                self.wake = self.wake.min(due);
            } else if begin == Begin::Ready {
                chosen = Some((of, begin));
                break;
            } else {
                chosen.get_or_insert((of, begin));
            }
        }
        if let Some((of, begin)) = chosen {
            self.wake = NEVER;
            self.claim(rules, of, begin, io);
        }
    }

    /// How long it leaves a task to others.
    fn waits(&self, rules: &Rules, of: Place, crew: u16, io: &Io<'_, Said>) -> i64 {
        match rules.take {
            Take::AtOnce => 0,
            Take::Random(most) => io.draw(address(of)).below(most as u64 + 1) as i64,
            Take::Ranked(wait) => {
                let weight = |member: u32| chain(address(of), member.into());
                let own = (weight(io.me), io.me);
                let before = (0u32..).zip(&rules.posts).filter(|(member, post)| {
                    post.crew == Some(crew) && (weight(*member), *member) < own && !self.is_busy(rules, *member, io.now)
                });
                wait.saturating_mul(before.count() as i64)
            }
        }
    }

    fn claim(&mut self, rules: &Rules, of: Place, begin: Begin, io: &mut Io<'_, Said>) {
        let at = io.now;
        let number = chain(address(of), at as u64);
        let took = rules.decides.sample_duration(&mut io.draw(number), number);
        io.work(took.as_nanos());
        io.note_with(notes::CLAIMED, of.job, of.task.into(), &[of.round.into()]);
        self.state(rules, Fact::Claim { of, at }, io);
        match rules.settle {
            0 => self.begin(rules, of, at, begin, io),
            settle => {
                let due = at.saturating_add(settle);
                self.settling = Some(Settling { of, at, due });
            }
        }
    }

    /// Its agent begins.
    fn begin(&mut self, rules: &Rules, of: Place, at: i64, begin: Begin, io: &mut Io<'_, Said>) {
        let (graph, task) = (&rules.graph, &rules.graph.tasks[usize::from(of.task)]);
        let job = self.jobs.get_mut(&of.job).expect("what is claimed is known");
        let on = (begin == Begin::OnDrafts && rules.flaw != Flaw::NoNeeds).then(|| {
            let need = |need: &u16| (*need, job.round(*need), job.result(*need).is_none());
            task.needs.iter().map(need).collect()
        });
        let wrong = match task.checks {
            // What a check lets through is as right as what it has checked.
            Some(checked) => job.result(checked).is_some_and(|result| result.wrong),
            None => job.builds_on_wrong(graph, of.task),
        };
        let cell = job.cells.entry((of.task, of.round)).or_default();
        cell.attempts += 1;
        let attempt = cell.attempts;
        self.engaged += 1;
        let token = self.engaged;
        let agent = rules.posts[io.me as usize].agent;
        let on_drafts = u64::from(on.is_some());
        let extra = [of.task.into(), of.round.into(), attempt.into(), agent.into(), on_drafts];
        io.note_with(notes::GIVEN, of.job, token, &extra);
        io.engage(Engagement {
            token,
            agent,
            topic: task.topic,
            bytes: task.bytes,
            question: u64::from(task.checks.is_some() && wrong),
            judges: task.checks.is_some(),
            about: chain(
                of.job,
                u64::from(of.task) << 32 | u64::from(of.round) << 16 | u64::from(attempt),
            ),
        });
        let draft = rules.speculate.map_or(NEVER, |speculate| speculate.after);
        let working = Working {
            of,
            at,
            late: io.now.saturating_add(rules.timeout),
            draft: io.now.saturating_add(draft),
            on,
            wrong,
            void: false,
        };
        self.working.insert(token, working);
        self.current = Some(token);
    }

    /// Its agent has answered.
    pub(super) fn answered(&mut self, rules: &Rules, token: u64, answer: u64, io: &mut Io<'_, Said>) {
        let Some(working) = self.working.remove(&token) else {
            return;
        };
        if self.current == Some(token) {
            self.current = None;
        }
        match working.on {
            _ if working.void || !self.is_wanted(rules, working.of) => {
                let (of, at, free) = (working.of, working.at, true);
                self.state(rules, Fact::Dropped { of, at, free }, io);
            }
            Some(_) => drop(self.held.insert(token, (working, answer))),
            None => self.result(rules, token, &working, answer, io),
        }
    }

    /// Whether a result would be news.
    fn is_wanted(&self, rules: &Rules, of: Place) -> bool {
        self.jobs.get(&of.job).is_some_and(|job| {
            let is_present = !job.over && job.round(of.task) == of.round;
            is_present && (job.result(of.task).is_none() || rules.flaw == Flaw::TakesTwice)
        })
    }

    /// Its agent's answer is the result of a task.
    fn result(&mut self, rules: &Rules, token: u64, working: &Working, answer: u64, io: &mut Io<'_, Said>) {
        let (of, at) = (working.of, io.now);
        let task = &rules.graph.tasks[usize::from(of.task)];
        let round = u64::from(of.round);
        io.note_with(notes::USED, of.job, token, &[of.task.into(), answer, round]);
        let says_wrong = answer & 1 == 1;
        if let Some(checked) = task.checks
            && says_wrong
            && of.round + 1 < task.rounds
        {
            io.note_with(notes::AGAIN, of.job, checked.into(), &[round]);
        }
        let holds = match (task.checks, rules.speculate) {
            (None, Some(speculate)) => rules
                .key
                .stream(purpose::PROTOCOL, address(of))
                .chance(speculate.holds[usize::from(says_wrong)]),
            _ => true,
        };
        let wrong = working.wrong || (task.checks.is_none() && says_wrong);
        let fact = Fact::Result {
            of,
            at,
            answer,
            wrong,
            holds,
        };
        self.state(rules, fact, io);
    }

    /// Whether what was begun on drafts stands, where that is known by now.
    fn settle_drafts(&mut self, rules: &Rules, io: &mut Io<'_, Said>) {
        // A result that stands may settle more.
        loop {
            let of_held = self.held.iter().map(|(token, (working, _))| (token, working));
            let settled = self
                .working
                .iter()
                .chain(of_held)
                .find_map(|(token, working)| Some((*token, self.stands(rules, working)?)));
            let Some((token, stands)) = settled else { return };
            let (working, answer) = match self.held.remove(&token) {
                Some((working, answer)) => (working, Some(answer)),
                None => (self.working.remove(&token).expect("it was found"), None),
            };
            self.settled(rules, token, (working, answer), stands, io);
        }
    }

    fn settled(
        &mut self,
        rules: &Rules,
        token: u64,
        (mut working, answer): (Working, Option<u64>),
        stands: bool,
        io: &mut Io<'_, Said>,
    ) {
        let of = working.of;
        io.note_with(notes::SETTLED, of.job, token, &[of.task.into(), stands.into()]);
        working.on = None;
        if stands {
            working.wrong = self.jobs[&of.job].builds_on_wrong(&rules.graph, of.task);
        } else {
            working.void = true;
            let (at, free) = (working.at, answer.is_some());
            self.state(rules, Fact::Dropped { of, at, free }, io);
        }
        match answer {
            Some(answer) if stands => self.result(rules, token, &working, answer, io),
            Some(_) => {}
            None => drop(self.working.insert(token, working)),
        }
    }

    /// Whether work on drafts stands; `None`: it isn't known, or it isn't on drafts.
    fn stands(&self, rules: &Rules, working: &Working) -> Option<bool> {
        let on = working.on.as_ref()?;
        if !self.is_wanted(rules, working.of) {
            return Some(false);
        }
        let job = &self.jobs[&working.of.job];
        let mut all = true;
        for (need, round, was_draft) in on {
            match job.result(*need) {
                _ if job.round(*need) != *round => return Some(false),
                Some(result) if *was_draft && !result.holds => return Some(false),
                Some(_) => {}
                None => all = false,
            }
        }
        all.then_some(true)
    }
}
