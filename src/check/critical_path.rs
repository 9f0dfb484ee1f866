//! The account of every task's time, rebuilt from the records alone and compared with the agents' own, to the nanosecond.
//!
//! The agents keep their accounts forwards, as they go. This observer keeps what happened instead: for each activation the
//! stretches of its time and what enabled the end of each. When a task ends, it walks back from there, from each stretch to
//! the event that enabled it: an answer to the attempt that was used, a join to its last branch (ties by index), an ask's
//! answer through the peer's own stretches. Times that one side claims are looked up in what the other side recorded: how long a
//! server was down or stood still, and what work a crash undid, follow from its crashes, restarts and changes of speed.
//!
//! How long a server waited for others within a piece of work is taken from the server.

mod gateways;
mod servers;
mod walk;

use crate::agents::activation::{Settled, State};
use crate::world::call::Part;
use crate::world::record::{Batch, Mask, Observer, Record, What};
use gateways::Gateways;
use servers::{Servers, Split};
use std::collections::BTreeMap;
use walk::{Branch, Peer, Stretch, Way, overlap, walk};

/// What an activation is at.
#[derive(Debug, Clone, Copy)]
struct Open {
    state: u64,
    about: u64,
    /// For thinking: how much is left to do at `mark`.
    left: u64,
}

/// An activation.
#[derive(Debug, Clone, Default)]
struct Thread {
    agent: u32,
    parent: Option<u64>,
    is_handler: bool,
    branch: u64,
    open: Option<Open>,
    /// Up to when its stretches are known.
    mark: u64,
    log: Vec<Stretch>,
    /// Branches that have ended since it forked.
    branches: Vec<Branch>,
}

/// A message: when it was sent, and when it or its copies came.
#[derive(Debug, Clone, Default)]
struct Journey {
    sent: u64,
    came: Vec<u64>,
}

/// An ask that was taken up.
#[derive(Debug, Clone, Default)]
struct Question {
    takers: BTreeMap<u64, u64>,
    peer: Option<Peer>,
    answer: u64,
}

/// The check: an observer of a run.
#[derive(Debug, Default)]
pub struct CriticalPath {
    threads: BTreeMap<u64, Thread>,
    journeys: BTreeMap<u64, Journey>,
    questions: BTreeMap<u64, Question>,
    /// Attempts that left, by call.
    sent: BTreeMap<u64, Vec<u64>>,
    /// Since when an attempt of a call is held at its client.
    held: BTreeMap<u64, u64>,
    /// Attempts that were held, by call and number: since when. Several attempts of a call may leave in one instant.
    held_until: BTreeMap<(u64, u64), u64>,
    /// The answer that a call used: its server, its attempt's number, and its times as the record has them.
    answers: BTreeMap<u64, (u32, u64, [u64; 10])>,
    servers: Servers,
    gateways: Gateways,
    pauses: BTreeMap<u32, Vec<(u64, u64)>>,
    paused: BTreeMap<u32, u64>,
    checked: u64,
    wrong: Vec<String>,
}

impl CriticalPath {
    /// A check of a run from its start on.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many tasks were compared.
    pub fn checked(&self) -> u64 {
        self.checked
    }

    /// What differs, in a sentence each.
    pub fn wrong(&self) -> &[String] {
        &self.wrong
    }

    fn complain(&mut self, record: &Record, what: impl std::fmt::Display) {
        if self.wrong.len() < 20 {
            self.wrong
                .push(format!("at {} for entity {}: {what}", record.time, record.subject));
        }
    }

    fn task_ended(&mut self, record: &Record, extra: &[u64]) {
        let Some(thread) = self.threads.get(&record.c) else {
            return self.complain(record, "a task ended of which no begin is known");
        };
        self.checked += 1;
        match walk(&thread.log, extra[0], record.time.as_nanos()) {
            Ok(parts) if parts.0 == extra[1..8] => {}
            Ok(parts) => {
                let what = format!(
                    "the parts of task {:x} are {:?}, rebuilt {:?}",
                    record.a,
                    &extra[1..8],
                    parts.0
                );
                self.complain(record, what);
            }
            Err(why) => self.complain(record, format!("task {:x}: {why}", record.a)),
        }
    }

    fn step_ended(&mut self, record: &Record, until: u64) {
        let now = record.time.as_nanos();
        let Some(mut thread) = self.threads.remove(&record.a) else {
            return self.complain(record, "a step of an unknown activation");
        };
        match self.stretches(&mut thread, record, until) {
            Ok(stretches) => {
                for (to, way) in stretches {
                    thread.push(to, way);
                }
                thread.push(now, Way::Part(Part::Down));
            }
            Err(why) => self.complain(record, why),
        }
        if until < now
            && !self
                .pauses
                .get(&record.subject)
                .is_some_and(|all| all.iter().any(|(from, to)| *from <= until && *to == now))
        {
            self.complain(record, "what came while nobody stood still was dealt with late");
        }
        if record.b != Settled::OneOfSeveral as u64 {
            thread.open = None;
        }
        self.threads.insert(record.a, thread);
    }

    /// The stretches of a step that has just ended: until when, and what they were. What is left until now, is down.
    fn stretches(&self, thread: &mut Thread, record: &Record, until: u64) -> Result<Vec<(u64, Way)>, String> {
        let lost = record.b == Settled::Lost as u64;
        let Some(open) = thread.open else {
            return match record.b {
                back if back == Settled::Back as u64 => Ok(Vec::new()),
                _ if lost && thread.mark == record.time.as_nanos() => Ok(Vec::new()),
                _ => Err("a step ended that hadn't begun".into()),
            };
        };
        let is = |state: State| open.state == state as u64;
        if lost {
            // A crash that interrupts a wait for others takes nothing from the agent's own work; a branch is thrown away whole.
            let own = thread.parent.is_none() && !thread.is_handler;
            let waits = own && (is(State::Waiting) || is(State::Asking) || is(State::Approving));
            let part = if waits { Part::Coordination } else { Part::Retrying };
            return Ok(vec![(until, Way::Part(part))]);
        }
        let failed = record.b == Settled::Failed as u64;
        if is(State::Thinking) {
            if until - thread.mark != open.left {
                return Err(format!(
                    "thought for {} ns where {} were left",
                    until - thread.mark,
                    open.left
                ));
            }
            return Ok(vec![(until, Way::Part(Part::Thinking))]);
        }
        if is(State::Replaying) {
            if until - thread.mark != open.left {
                return Err(format!(
                    "replayed for {} ns where {} were left",
                    until - thread.mark,
                    open.left
                ));
            }
            return Ok(vec![(until, Way::Part(Part::Retrying))]);
        }
        if is(State::Sleeping) {
            if until != open.about {
                return Err(format!("slept until {until}, not {}", open.about));
            }
            return Ok(vec![(until, Way::Part(Part::Thinking))]);
        }
        if is(State::SwapBackingOff) {
            if until != open.about {
                return Err(format!("backed off until {until}, not {}", open.about));
            }
            return Ok(vec![(until, Way::Part(Part::Retrying))]);
        }
        if is(State::Forked) || is(State::Speculating) {
            let branches = std::mem::take(&mut thread.branches);
            return Ok(vec![(record.time.as_nanos(), Way::Join(branches))]);
        }
        match (is(State::Calling), failed) {
            (true, true) => Ok(vec![(until, Way::Part(Part::Retrying))]),
            (true, false) => self.call(record, until),
            (false, true) => Ok(vec![(until, Way::Part(Part::Coordination))]),
            (false, false) if is(State::Approving) => Ok(vec![(until, Way::Part(Part::Coordination))]),
            (false, false) if is(State::Asking) => self.ask(thread, open, record, until),
            (false, false) => {
                let sent = self.journey(record.c, until)?.sent;
                Ok(vec![
                    (sent, Way::Part(Part::Coordination)),
                    (until, Way::Part(Part::Network)),
                ])
            }
        }
    }

    /// The journey of a message that came at `until`, or before and was dealt with then.
    fn journey(&self, message: u64, until: u64) -> Result<&Journey, String> {
        let journey = self
            .journeys
            .get(&message)
            .ok_or("a message that nobody delivered was used")?;
        if journey.came.iter().any(|came| *came <= until) {
            Ok(journey)
        } else {
            Err("a message was used before it came".into())
        }
    }

    fn call(&self, record: &Record, until: u64) -> Result<Vec<(u64, Way)>, String> {
        let (server, number, times) = self.answers.get(&record.c).ok_or("a call is done without an answer")?;
        let [sent, arrived, ..] = *times;
        if !self.sent.get(&record.c).is_some_and(|all| all.contains(&sent)) {
            return Err(format!("no attempt left at {sent}"));
        }
        let held = self.held_until.get(&(record.c, *number)).copied().unwrap_or(sent);
        let mut ways = vec![
            (held, Way::Part(Part::Retrying)),
            (sent, Way::Part(Part::Queueing)),
            (arrived, Way::Part(Part::Network)),
        ];
        ways.extend(self.at_server(*server, record.c, times)?);
        ways.push((until, Way::Part(Part::Network)));
        Ok(ways)
    }

    /// The stretches of a request at its server, up to its answer.
    fn at_server(&self, server: u32, call: u64, times: &[u64; 10]) -> Result<Vec<(u64, Way)>, String> {
        let [_, arrived, started, finished, down, coordinated, _, stood, undone, by] = *times;
        let claimed = Split { stood, down, undone };
        if started == arrived && self.servers.cached(call, finished) {
            // Whoever waits for another's answer waits all the time, but for what its server stood still.
            let down = self.servers.stood_between(server, arrived, finished);
            if down + coordinated == finished - arrived {
                let served = Way::Served {
                    down,
                    undone: 0,
                    coordinated,
                };
                return Ok(vec![(finished, served)]);
            }
        }
        if by == 0 {
            let times = [arrived, started, finished];
            let Split { stood, down, undone } = self.servers.split(server, call, times, claimed)?;
            let served = Way::Served {
                down,
                undone,
                coordinated,
            };
            return Ok(vec![(started, Way::Waited { stood }), (finished, served)]);
        }
        // The gateway's own work, then what a crash undid of what others had done, and then the call whose answer was used.
        let used = self.gateways.used(by, server, call);
        let (passage, used, since) = used.ok_or("a gateway answered with what nobody had answered")?;
        let worked = |since: u64| Some((self.servers.ended(call, [arrived, started], since)?, since));
        // Of copies that were passed on together the first that this one can be.
        let first = since
            .filter(|since| *since >= started)
            .filter_map(worked)
            .min_by_key(|(_, since)| *since);
        let (ended, since) = first.ok_or("a gateway passed on what it hadn't worked on")?;
        if used.at != finished {
            return Err(format!("a gateway answered at {finished} what it knew at {}", used.at));
        }
        let again = self.servers.stood_between(server, ended, since);
        let there = used.times[6];
        // What is claimed of the gateway as a whole is claimed of its own work but for what came after that.
        let claimed = Split {
            stood: claimed.stood,
            down: claimed.down.saturating_sub(again + (finished - there)),
            undone: claimed.undone.saturating_sub((since - ended) - again),
        };
        let own_times = [arrived, started, ended];
        let Split { stood, down, undone } = self.servers.split(server, call, own_times, claimed)?;
        let mut ways = vec![
            (started, Way::Waited { stood }),
            (
                ended,
                Way::Served {
                    down,
                    undone,
                    coordinated: 0,
                },
            ),
            (
                since,
                Way::Served {
                    down: again,
                    undone: (since - ended) - again,
                    coordinated: 0,
                },
            ),
            (passage.began, Way::Part(Part::Queueing)),
        ];
        let [sent, arrived, ..] = used.times;
        if !passage.sent.contains(&sent) {
            return Err(format!("no attempt of a gateway left at {sent}"));
        }
        ways.push((sent, Way::Part(Part::Retrying)));
        ways.push((arrived, Way::Part(Part::Network)));
        ways.extend(self.at_server(used.server, by, &used.times)?);
        ways.push((there, Way::Part(Part::Network)));
        ways.push((finished, Way::Part(Part::Down)));
        Ok(ways)
    }

    fn ask(&self, thread: &Thread, open: Open, record: &Record, until: u64) -> Result<Vec<(u64, Way)>, String> {
        let question = self
            .questions
            .get(&open.about)
            .ok_or("an ask was answered that nobody took up")?;
        let peer = question.peer.clone().ok_or("an ask was answered by nobody")?;
        let asked = self.journey(open.about, until)?;
        let answered = self.journey(record.c, until)?;
        if asked.sent != thread.mark || answered.sent != peer.answered || question.answer != record.c {
            return Err("an ask, its answer and their messages don't fit".into());
        }
        let arrived = asked.came[0];
        let stood = self
            .pauses
            .get(&peer.agent)
            .map_or(0, |all| overlap(all, arrived, peer.taken));
        Ok(vec![
            (arrived, Way::Part(Part::Network)),
            (peer.taken, Way::Waited { stood }),
            (peer.answered, Way::Peer(peer.log)),
            (until, Way::Part(Part::Network)),
        ])
    }

    /// An agent goes on after a pause: what it thought until then is done, and the rest is still to do.
    fn resumed(&mut self, agent: u32, now: u64) {
        let Some(since) = self.paused.remove(&agent) else {
            return;
        };
        self.pauses.entry(agent).or_default().push((since, now));
        for thread in self.threads.values_mut().filter(|thread| thread.agent == agent) {
            if let Some(open) = &mut thread.open
                && let Some(part) = [(State::Thinking, Part::Thinking), (State::Replaying, Part::Retrying)]
                    .into_iter()
                    .find_map(|(state, part)| (open.state == state as u64).then_some(part))
            {
                open.left -= since - thread.mark;
                thread.push(since, Way::Part(part));
                thread.push(now, Way::Part(Part::Down));
            }
        }
    }

    fn activation_ended(&mut self, record: &Record) {
        let Some(thread) = self.threads.remove(&record.a) else {
            return self.complain(record, "an unknown activation ended");
        };
        if record.b == 0
            && let Some(parent) = thread.parent.and_then(|parent| self.threads.get_mut(&parent))
        {
            parent.branches.push(Branch {
                index: thread.branch,
                ended: record.time.as_nanos(),
                log: thread.log,
            });
        }
    }

    fn replied(&mut self, record: &Record) {
        let (Some(thread), Some(question)) = (self.threads.get(&record.a), self.questions.get_mut(&record.c)) else {
            return self.complain(record, "an ask was answered that nobody took up");
        };
        let Some(taken) = question.takers.get(&record.a) else {
            return self.complain(record, "an ask was answered by somebody who hadn't taken it up");
        };
        question.answer = record.b;
        question.peer = Some(Peer {
            agent: record.subject,
            taken: *taken,
            answered: record.time.as_nanos(),
            log: thread.log.clone(),
        });
    }
}

impl Thread {
    /// A stretch up to `to`, unless that is known already.
    fn push(&mut self, to: u64, way: Way) {
        if to > self.mark {
            let from = std::mem::replace(&mut self.mark, to);
            self.log.push(Stretch { from, to, way });
        }
    }
}

impl Observer for CriticalPath {
    fn wants(&self) -> Mask {
        Mask::of(&[
            What::TaskStarted,
            What::TaskEnded,
            What::Delivered,
            What::AttemptHeld,
            What::AttemptSent,
            What::AttemptAnswered,
            What::RequestArrived,
            What::ServiceStarted,
            What::ServiceFinished,
            What::ActivationBegan,
            What::ActivationEnded,
            What::StepBegan,
            What::StepEnded,
            What::AskTaken,
            What::AskReplied,
            What::Paused,
            What::Resumed,
            What::Crashed,
            What::Restarted,
            What::Paced,
            What::PassedOn,
            What::PassedBack,
            What::AnswerCached,
            What::Inference,
            What::Coordination,
        ])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        for record in batch.records {
            let (now, extra) = (record.time.as_nanos(), batch.extra(record));
            self.servers.see(record, extra);
            self.gateways.see(record, extra);
            match record.what {
                What::TaskStarted if record.b == 0 => {
                    let thread = Thread {
                        agent: record.subject,
                        mark: now,
                        ..Thread::default()
                    };
                    self.threads.insert(record.c, thread);
                }
                What::TaskEnded => self.task_ended(record, extra),
                What::Delivered => {
                    let journey = self.journeys.entry(record.c).or_default();
                    journey.sent = record.b;
                    journey.came.push(now);
                }
                What::AttemptHeld => {
                    self.held.insert(record.a, now);
                }
                What::AttemptSent => {
                    self.sent.entry(record.a).or_default().push(now);
                    if let Some(since) = self.held.remove(&record.a) {
                        self.held_until.insert((record.a, record.c), since);
                    }
                }
                What::AttemptAnswered => {
                    let mut times = [0; 10];
                    times.copy_from_slice(extra);
                    self.answers.insert(record.a, (record.b as u32, record.c, times));
                }
                What::ActivationBegan => {
                    let thread = Thread {
                        agent: record.subject,
                        parent: (record.b != u64::MAX).then_some(record.b),
                        is_handler: record.b == u64::MAX,
                        branch: record.c,
                        mark: now,
                        ..Thread::default()
                    };
                    self.threads.insert(record.a, thread);
                }
                What::ActivationEnded => self.activation_ended(record),
                What::StepBegan => {
                    if let Some(thread) = self.threads.get_mut(&record.a) {
                        thread.branches.clear();
                        thread.open = Some(Open {
                            state: record.b,
                            about: record.c,
                            left: record.c.saturating_sub(now),
                        });
                        if thread.mark != now {
                            self.complain(record, "a step began before the one before it was over");
                        }
                    }
                }
                What::StepEnded => self.step_ended(record, extra[0]),
                What::AskTaken => {
                    let question = self.questions.entry(record.c).or_default();
                    question.takers.insert(record.a, now);
                }
                What::AskReplied => self.replied(record),
                What::Paused => {
                    self.paused.insert(record.subject, now);
                }
                What::Resumed => self.resumed(record.subject, now),
                What::Crashed => {
                    if let Some(since) = self.paused.remove(&record.subject) {
                        self.pauses.entry(record.subject).or_default().push((since, now));
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
