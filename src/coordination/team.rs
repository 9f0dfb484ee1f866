//! A team without a leader: a member beside each agent, who take tasks of a graph for their agents, and tell each other what they claim and what is done.
//!
//! In reading order: [`Rules`] are its options; `knowledge` is what members know and say; `job` is what follows from that about a job;
//! `working` is what a member does about it: claims, agents at work, drafts; this file is the member with its gossip.
//!
//! Guarantees: nobody begins a task before it knows the results, or with speculation the drafts, of all that it needs; of one task and round one
//! result counts; a job that was submitted to a member that comes back with its disk, or whose submitter asks again, ends once members hear of each other.
//! A task may be worked on more than once.

mod job;
mod knowledge;
#[cfg(test)]
mod tests;
mod working;

pub use knowledge::{Fact, Knowledge, Origin, Place, Run, Said, Vector};

use super::member::{Asked, Input, Io, Member, NEVER, Saying, event};
use super::spec::PatternInfo;
use super::work::{TaskGraph, notes};
use crate::kernel::Key;
use crate::random::Law;
use job::Job;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use working::{Settling, Working};

/// The pattern's page in the reference.
pub const INFO: PatternInfo = PatternInfo {
    name: "Team",
    title: "Team",
    kinds: <Said as Saying>::KINDS,
    doc: "\
A team without an orchestrator, over the same graph of tasks (`work`): a member `beside` each agent of all crews takes tasks for its agent. What an agent submits
is a job, which the nearest member takes in, or the one beside it; it answers yes once it knows that everything is done.

*What members know.* Jobs, claims, drafts and results are facts. Every `period`, by its own clock and from a random phase on, a member compares what it knows with `fan_out` others chosen at
random, and both bring each other what the other lacks (push-pull, by a vector of how many facts of each member it knows): so news need about the logarithm of the number of members in
periods to reach all, and what is lost comes with the next comparison. News come whole: whoever knows of a result knows all that it builds on. Results travel with their
whole size to all members. Facts are kept for ever, so a comparison costs 12 bytes for each member that ever made one.

*Who does what.* A member whose agent is free claims a task of its crew that can be begun and that it knows no living claim of, of the oldest job first. `take` says how members keep out of
each other's way: `Ranked` has them wait in an order of preference, which is by rendezvous hashing of job, task and member among those of the crew that aren't known to be at work, `wait` for each before;
`Random` has each wait a time that it draws; with `AtOnce` they don't wait. Claiming takes the member `decides`, as a transition does an orchestrator. After `settle` its agent begins; of two claims that are
known that with the smaller time goes first, then the smaller number of the member. Whoever hears of an earlier claim before its agent has begun gives its own up; once begun it goes on, and what comes second is thrown away. A claim
lapses `timeout` after it was heard of, and then others may claim the task: so the work of a crashed agent is taken up. There is no end to attempts.

*Checks* work as under an orchestrator: whoever finds what it checks wrong opens another round of it, up to the `rounds` of the task that checks.

*Speculation* (`speculate`). An agent that has been at a task for `after` has a draft of its result, which becomes known as everything else does; nobody makes a draft of what it builds on drafts. A member that finds nothing better
may begin a task of which some needs are drafts, but no check. The result agrees with the draft with probability `holds` (`holds_if_wrong` where the agent errs), drawn for the task and its round, whoever does it; a check's draft is that it lets through; and of a round that
a check had done again no draft holds. If all drafts held, the work stands, and counts as soon as the results are known; else it is thrown away once the agent is through, and the task can be claimed again. What is wrong with the results is wrong with the work in either case.

*Crashes.* What strikes an agent strikes the member beside it. A member keeps its facts on its disk (each takes it `disk`); what its agent was at is gone, and it gives up its claims when it is back. One that has lost its disk begins a new life, and is told everything
by the others; a job that nobody else had heard of is gone, and its submitter has to ask again.

Costs: the messages of comparisons, whether there is news or not, and results that go to everybody; work that two do (`work.*.redundant`, `work.*.wasted`), and waits before claims. Not modelled: telling an agent to stop in the middle of a task.
",
};

/// How members keep out of each other's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// They don't.
    AtOnce,
    /// Each waits a time drawn evenly up to this, in nanoseconds.
    Random(i64),
    /// Each waits so long, in nanoseconds, for every member that goes before it.
    Ranked(i64),
}

/// How members begin tasks on drafts.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Speculate {
    /// How long after it has begun an agent has a draft, in nanoseconds.
    pub after: i64,
    /// The probability that the result agrees with it: where the agent is right, and where it errs.
    pub holds: [f64; 2],
}

/// Whom a member stands beside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Post {
    /// The agent's entity.
    pub agent: u32,
    /// Its crew, if it belongs to one.
    pub crew: Option<u16>,
}

/// What is wrong with a team, for tests of those who should find it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Flaw {
    /// Nothing.
    #[default]
    None,
    /// The last of what has come before is taken for new.
    NoDeduplication,
    /// Claims don't lapse.
    NeverLapses,
    /// A claim counts as a draft, and a draft as a result.
    NoNeeds,
    /// Results are taken though there is one.
    TakesTwice,
}

/// What all members share.
#[derive(Debug, Clone, PartialEq)]
pub struct Rules {
    /// The work.
    pub graph: TaskGraph,
    /// Whom each member stands beside.
    pub posts: Vec<Post>,
    /// The time between two comparisons of a member, in nanoseconds.
    pub period: i64,
    /// With how many others it compares at a time.
    pub fan_out: u32,
    /// How members keep out of each other's way.
    pub take: Take,
    /// How long a member waits between a claim and the work, in nanoseconds.
    pub settle: i64,
    /// How long a claim lives, in nanoseconds; [`NEVER`] for ever.
    pub timeout: i64,
    /// How long a member takes to claim, in nanoseconds.
    pub decides: Law,
    /// How long a member takes to write a fact down, in nanoseconds.
    pub disk: u64,
    /// How tasks are begun on drafts.
    pub speculate: Option<Speculate>,
    /// Under which it is drawn what is so of tasks, whoever does them.
    pub key: Key,
    /// What is wrong.
    pub flaw: Flaw,
}

impl Rules {
    /// How long claims live.
    fn lives(&self) -> i64 {
        match self.flaw {
            Flaw::NeverLapses => NEVER,
            _ => self.timeout,
        }
    }
}

/// What a member last claimed, as far as another one knows.
#[derive(Debug, Clone, Copy, Serialize)]
struct Busy {
    with: Place,
    at: i64,
    seen: i64,
}

/// A member of a team.
#[derive(Debug, Clone, Serialize)]
pub struct Mate {
    /// Which of its lives between two losses of its disk.
    life: u32,
    knowledge: Knowledge,
    jobs: BTreeMap<u64, Job>,
    /// The jobs that aren't over, the oldest first.
    open: BTreeSet<(i64, u64)>,
    /// What other members are at, as far as is known.
    busy: BTreeMap<u32, Busy>,
    /// Its own claims of earlier lives that it has heard of.
    orphans: Vec<(Place, i64)>,
    /// A claim whose work hasn't begun.
    settling: Option<Settling>,
    /// What agents are at, by engagement.
    working: BTreeMap<u64, Working>,
    /// What its agent is at, unless that takes too long.
    current: Option<u64>,
    /// Answers that build on drafts.
    held: BTreeMap<u64, (Working, u64)>,
    /// Engagements in all its lives: their names.
    engaged: u64,
    /// Comparisons in all its lives.
    contacts: u64,
    contact_due: i64,
    /// When something that it may claim should be looked at again.
    wake: i64,
}

impl Mate {
    /// A member that knows nothing.
    pub fn new() -> Self {
        Self {
            life: 0,
            knowledge: Knowledge::default(),
            jobs: BTreeMap::new(),
            open: BTreeSet::new(),
            busy: BTreeMap::new(),
            orphans: Vec::new(),
            settling: None,
            working: BTreeMap::new(),
            current: None,
            held: BTreeMap::new(),
            engaged: 0,
            contacts: 0,
            contact_due: NEVER,
            wake: NEVER,
        }
    }

    /// What it knows, for tests and checks.
    pub fn knowledge(&self) -> &Knowledge {
        &self.knowledge
    }

    /// It makes something so.
    fn state(&mut self, rules: &Rules, fact: Fact, io: &mut Io<'_, Said>) {
        io.work(rules.disk);
        let origin = (io.me, self.life);
        self.knowledge.push(origin, fact);
        self.take(rules, origin, fact, io);
    }

    /// A fact is known.
    fn take(&mut self, rules: &Rules, (member, life): Origin, fact: Fact, io: &mut Io<'_, Said>) {
        let graph = &rules.graph;
        match fact {
            Fact::Job { job, at } => self.meet(rules, job, at),
            Fact::Over { job, .. } => {
                let Some(known) = self.jobs.get_mut(&job) else { return };
                self.open.remove(&(known.at, job));
                known.over = true;
                known.cells.clear();
                for token in std::mem::take(&mut known.tokens) {
                    io.answer(token, 1);
                }
            }
            Fact::Claim { of, .. } | Fact::Draft { of } | Fact::Dropped { of, .. } | Fact::Result { of, .. } => {
                match fact {
                    Fact::Claim { at, .. } if member == io.me && life != self.life => self.orphans.push((of, at)),
                    Fact::Claim { at, .. } => {
                        let seen = io.now;
                        self.busy.insert(member, Busy { with: of, at, seen });
                    }
                    Fact::Dropped { at, free: true, .. } => {
                        self.leaves(member, |busy| busy.with == of && busy.at == at);
                    }
                    Fact::Result { .. } => self.leaves(member, |busy| busy.with == of),
                    _ => {}
                }
                if let Some(known) = self.jobs.get_mut(&of.job)
                    && !known.over
                {
                    known.take(graph, member, fact, io.now);
                    if rules.flaw == Flaw::NoNeeds && matches!(fact, Fact::Claim { .. }) {
                        known.cells.entry((of.task, of.round)).or_default().has_draft = true;
                    }
                }
            }
        }
    }

    /// A member isn't at what it was at, if it was at that.
    fn leaves(&mut self, member: u32, is_it: impl Fn(&Busy) -> bool) {
        if self.busy.get(&member).is_some_and(is_it) {
            self.busy.remove(&member);
        }
    }

    /// Whether a member is known to be at work.
    fn is_busy(&self, rules: &Rules, member: u32, now: i64) -> bool {
        let busy = self.busy.get(&member);
        busy.is_some_and(|busy| busy.seen.saturating_add(rules.lives()) > now)
    }

    /// A job is known, as old as whoever knows of it says.
    fn meet(&mut self, rules: &Rules, job: u64, at: i64) {
        let known = self.jobs.entry(job).or_insert_with(|| Job::new(&rules.graph, at));
        if known.over {
            return;
        }
        // Asked for at two members, it is as old as the older of the two.
        self.open.remove(&(known.at, job));
        known.at = known.at.min(at);
        self.open.insert((known.at, job));
    }

    /// Somebody submits a job.
    fn submitted(&mut self, rules: &Rules, asked: Asked, io: &mut Io<'_, Said>) {
        let job = asked.identity;
        if self.jobs.get(&job).is_some_and(|known| known.over) {
            return io.answer(asked.token, 1);
        }
        if !self.jobs.contains_key(&job) {
            io.note(notes::BEGUN, job, 0);
            self.state(rules, Fact::Job { job, at: io.now }, io);
        }
        let known = self.jobs.get_mut(&job).expect("it has just been met");
        known.asked_here = true;
        known.tokens.push(asked.token);
    }

    /// Jobs that were submitted here and are done come to their ends.
    fn conclude(&mut self, rules: &Rules, io: &mut Io<'_, Said>) {
        let is_done = |(_, job): &&(i64, u64)| {
            let known = &self.jobs[job];
            known.asked_here && known.is_done(&rules.graph)
        };
        let done: Vec<u64> = self.open.iter().filter(is_done).map(|(_, job)| *job).collect();
        for job in done {
            let wrong = self.jobs[&job].is_wrong(&rules.graph);
            io.note(notes::OVER, job, u64::from(wrong));
            io.note_with(event::DECIDED, job, 0, &[1, u64::from(!wrong)]);
            self.state(rules, Fact::Over { job, wrong }, io);
        }
    }

    /// Compares what it knows with others.
    fn contact(&mut self, rules: &Rules, io: &mut Io<'_, Said>) {
        self.contacts += 1;
        self.contact_due = io.now.saturating_add(rules.period);
        let (mut draws, members) = (io.draw(self.contacts), rules.posts.len() as u64);
        let mut chosen: Vec<u32> = Vec::new();
        // Each of the others with the same probability, and nobody twice.
        while chosen.len() < rules.fan_out as usize && (chosen.len() as u64) < members - 1 {
            let other = draws.below(members) as u32;
            if other != io.me && !chosen.contains(&other) {
                chosen.push(other);
            }
        }
        let (life, vector) = (self.life, self.knowledge.vector());
        io.send_to_all(chosen, &Said::Digest { life, vector });
    }

    fn hear(&mut self, rules: &Rules, from: u32, message: Said, io: &mut Io<'_, Said>) {
        match message {
            Said::Digest { life, vector } => {
                let runs = self.knowledge.beyond(&vector);
                let lacks = self.knowledge.lacks(&vector);
                if lacks || !runs.is_empty() {
                    let wants = lacks.then(|| (self.life, self.knowledge.vector()));
                    let results = results_of(rules, &runs);
                    let reply = Said::Reply {
                        life,
                        runs,
                        wants,
                        results,
                    };
                    io.send(from, reply);
                }
            }
            Said::Reply { life, runs, wants, .. } => {
                self.learn(rules, life, runs, io);
                if let Some((life, vector)) = wants {
                    let runs = self.knowledge.beyond(&vector);
                    if !runs.is_empty() {
                        let results = results_of(rules, &runs);
                        io.send(from, Said::Push { life, runs, results });
                    }
                }
            }
            Said::Push { life, runs, .. } => self.learn(rules, life, runs, io),
        }
    }

    /// News have come: for what it was in the life in which it asked for them.
    fn learn(&mut self, rules: &Rules, life: u32, runs: Vec<Run>, io: &mut Io<'_, Said>) {
        if life != self.life {
            return;
        }
        let news = self.knowledge.learn(runs, rules.flaw == Flaw::NoDeduplication);
        // The facts of one maker follow each other, and a job is there before its tasks, whoever made it.
        let (jobs, others): (Vec<_>, Vec<_>) = news.into_iter().partition(|(_, fact)| matches!(fact, Fact::Job { .. }));
        for (origin, fact) in jobs.into_iter().chain(others) {
            self.take(rules, origin, fact, io);
        }
        for (of, at) in std::mem::take(&mut self.orphans) {
            let free = true;
            self.state(rules, Fact::Dropped { of, at, free }, io);
        }
    }

    /// It is back: nobody is at what its agent was at.
    fn come_back(&mut self, rules: &Rules, io: &mut Io<'_, Said>) {
        let mut own = Vec::new();
        for (job, known) in &self.jobs {
            let undone = known.cells.iter().filter(|(_, cell)| cell.result.is_none());
            for ((task, round), cell) in undone {
                let of = Place {
                    job: *job,
                    task: *task,
                    round: *round,
                };
                let mine = cell.claims.iter().filter(|claim| claim.member == io.me);
                own.extend(mine.map(|claim| (of, claim.at)));
            }
        }
        self.orphans.clear();
        for (of, at) in own {
            let free = true;
            self.state(rules, Fact::Dropped { of, at, free }, io);
        }
    }

    /// The first comparison comes at a random phase.
    fn begin_to_gossip(&mut self, rules: &Rules, io: &mut Io<'_, Said>) {
        if rules.posts.len() > 1 {
            let phase = io.draw(0).below(rules.period as u64) as i64;
            self.contact_due = io.now.saturating_add(phase);
        }
    }
}

impl Default for Mate {
    fn default() -> Self {
        Self::new()
    }
}

/// The size of the results among news.
fn results_of(rules: &Rules, runs: &[Run]) -> u32 {
    let facts = runs.iter().flat_map(|run| &run.facts);
    let sizes = facts.map(|fact| match fact {
        Fact::Result { of, .. } => rules.graph.tasks[usize::from(of.task)].result,
        _ => 0,
    });
    sizes.fold(0, u32::saturating_add)
}

impl Member for Mate {
    type Rules = Rules;
    type Message = Said;

    fn on(&mut self, rules: &Rules, input: Input<Said>, io: &mut Io<'_, Said>) {
        match input {
            Input::Start => self.begin_to_gossip(rules, io),
            Input::Restarted => {
                self.come_back(rules, io);
                self.begin_to_gossip(rules, io);
            }
            Input::Asked(asked) => self.submitted(rules, asked, io),
            Input::Withdrawn(token) => {
                let all = self.jobs.values_mut().map(|job| &mut job.tokens);
                all.for_each(|tokens| tokens.retain(|one| *one != token));
            }
            Input::Engaged { token, answer } => self.answered(rules, token, answer, io),
            Input::Heard { from, message } => self.hear(rules, from, message, io),
            Input::Due => {
                if self.contact_due <= io.now {
                    self.contact(rules, io);
                }
            }
        }
        self.go_on(rules, io);
    }

    fn due(&self, _: i64) -> i64 {
        let settling = self.settling.map_or(NEVER, |settling| settling.due);
        let working = self.working.values().map(Working::due).min().unwrap_or(NEVER);
        self.contact_due.min(self.wake).min(settling).min(working)
    }

    fn crash(&mut self, _: &Rules, keeps_disk: bool) {
        let before = std::mem::take(self);
        (self.engaged, self.contacts) = (before.engaged, before.contacts);
        match keeps_disk {
            true => {
                self.life = before.life;
                (self.knowledge, self.jobs, self.open) = (before.knowledge, before.jobs, before.open);
                self.busy = before.busy;
                self.jobs.values_mut().for_each(|job| job.tokens.clear());
            }
            false => self.life = before.life + 1,
        }
    }
}
