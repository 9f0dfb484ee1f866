//! Who waits for whom when a run ends, and who waits for himself: the wait-for graph, and its deadlocks.
//!
//! An agent that waits for an answer waits for whoever runs handlers there; one that waits for a lock, for its holder; one that waits for
//! a coordination group, for the agents that this has set to work. Who has a time limit, or something on its way to it, isn't held up for good.
//! Whoever is left is deadlocked if nobody that it waits for, directly or through others, can go on (where any of several would do, if
//! none of them can): once it is so it stays so. Messages come from whomever: who waits for one isn't deadlocked, but may wait in vain.

use super::registry::measure_table;
use super::{Measure, MeasureInfo, Setting, Sheet};
use crate::kernel::SimTime;
use crate::world::record::{Batch, Mask, What};
use crate::world::waiting::{ANSWER, CALL, ENDS, ENGAGED, GOES_ON, HANDLER, HELD, KIND, MESSAGE, UNDER_WAY};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// What is measured of those who wait.
pub(super) const WAITING: &[MeasureInfo] = measure_table![
    "waiting.agents", Count, Lower, "Agents that waited for somebody when the run ended, and had no time limit: for an answer, a call, a lock or a message.";
    "waiting.for_calls", Count, Lower, "What agents did (programs, branches, handlers) that waited so for the answer to a call.";
    "waiting.for_locks", Count, Lower, "Of these the calls of locks that somebody else held.";
    "waiting.for_answers", Count, Lower, "What agents did that waited so for the answer of another agent.";
    "waiting.for_messages", Count, Neither, "What agents did that waited so for a message.";
    "waiting.deadlocked", Count, Lower, "Agents of which something waited for answers, locks or coordination that could never come: nobody that it waited for, directly or through others, could go on.";
];

/// Something that waits, or that others wait for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Node {
    /// What an agent does, by the place of its record.
    Doing(usize),
    /// Any of what an agent does.
    Agent(u32),
    /// Any of the handlers of an agent.
    Handlers(u32),
    /// A lock.
    Lock(u32),
    /// A member of a coordination group.
    Member(u32),
}

/// A record of who waits.
#[derive(Debug, Clone, Copy)]
struct Wait {
    who: u32,
    how: u64,
    whom: u64,
    word: u64,
}

/// Watches who waits for whom at the end.
#[derive(Debug)]
pub(super) struct Waiting {
    setting: Arc<Setting>,
    waits: Vec<Wait>,
}

impl Waiting {
    /// For a run in this setting.
    pub fn new(setting: Arc<Setting>) -> Self {
        let waits = Vec::new();
        Self { setting, waits }
    }
}

/// Who waits for whom, and for whom it can go on.
#[derive(Debug, Default)]
struct Graph {
    /// For whom each waits: any of them would do.
    edges: BTreeMap<Node, Vec<Node>>,
    /// Who can go on.
    free: BTreeSet<Node>,
}

impl Graph {
    fn of(waits: &[Wait]) -> Self {
        let mut graph = Self::default();
        let held = waits.iter().filter(|wait| wait.how == HELD);
        let held: BTreeMap<u32, Wait> = held.map(|wait| (wait.who, *wait)).collect();
        let members = waits.iter().filter(|wait| wait.how == ENGAGED);
        let members: BTreeSet<u32> = members.map(|wait| wait.who).collect();
        let reached = waits.iter().filter(|wait| wait.how == UNDER_WAY);
        let reached: BTreeSet<u32> = reached.map(|wait| wait.who).collect();
        // Only those who wait for somebody who may himself be held up matter, and whatever else they do.
        let is_doubtful = |wait: &&Wait| wait.how & (ENDS | KIND) <= ANSWER;
        let doubtful: BTreeSet<u32> = waits.iter().filter(is_doubtful).map(|wait| wait.who).collect();
        for (place, wait) in waits.iter().enumerate() {
            if wait.how & KIND <= GOES_ON && !doubtful.contains(&wait.who) {
                continue;
            }
            let whom = wait.whom as u32;
            let (kind, is_handler) = (wait.how & KIND, wait.how & HANDLER != 0);
            if kind == UNDER_WAY {
                continue;
            }
            let node = match kind {
                HELD => Node::Lock(wait.who),
                ENGAGED => Node::Member(wait.who),
                _ => {
                    let node = Node::Doing(place);
                    graph.edges.entry(Node::Agent(wait.who)).or_default().push(node);
                    if is_handler {
                        graph.edges.entry(Node::Handlers(wait.who)).or_default().push(node);
                    }
                    node
                }
            };
            let target = match kind {
                HELD => Some(Node::Agent(whom)),
                ANSWER | ENGAGED => Some(Node::Handlers(whom)),
                CALL => match held.get(&whom) {
                    // What it was granted is on its way.
                    Some(lock) if lock.word == wait.word => None,
                    Some(_) => Some(Node::Lock(whom)),
                    None => members.contains(&whom).then_some(Node::Member(whom)),
                },
                _ => None,
            };
            let goes_on = wait.how & ENDS != 0 || reached.contains(&wait.who);
            match target.filter(|_| !goes_on) {
                Some(target) => graph.edges.entry(node).or_default().push(target),
                None => drop(graph.free.insert(node)),
            }
        }
        graph.spread();
        graph
    }

    /// Whoever waits for somebody who can go on can go on, too.
    fn spread(&mut self) {
        let mut waiters: BTreeMap<Node, Vec<Node>> = BTreeMap::new();
        for (node, whom) in &self.edges {
            for target in whom {
                waiters.entry(*target).or_default().push(*node);
                // Of whom nothing is known isn't held up.
                if !self.edges.contains_key(target) {
                    self.free.insert(*target);
                }
            }
        }
        let mut left: Vec<Node> = self.free.iter().copied().collect();
        while let Some(node) = left.pop() {
            for waiter in waiters.get(&node).into_iter().flatten() {
                if self.free.insert(*waiter) {
                    left.push(*waiter);
                }
            }
        }
    }

    /// The first cycle of those that can't go on, from the first of them in order.
    fn cycle(&self) -> Vec<Node> {
        let is_stuck = |node: &&Node| !self.free.contains(*node);
        let Some(mut at) = self.edges.keys().find(is_stuck).copied() else {
            return Vec::new();
        };
        let mut path = Vec::new();
        loop {
            if let Some(start) = path.iter().position(|before| *before == at) {
                return path.split_off(start);
            }
            path.push(at);
            // Each of those that can't go on waits for some, and for none that can.
            at = self.edges[&at][0];
        }
    }
}

/// A deadlock in words.
fn named(cycle: &[Node], waits: &[Wait], setting: &Setting) -> String {
    let name = |entity: u32| {
        let service = setting.services.iter().find(|(service, _)| *service == entity);
        service.map_or_else(|| setting.directory.name(entity), |(_, name)| name.clone())
    };
    let mut text = String::new();
    let mut first = None;
    for node in cycle
        .iter()
        .chain(cycle)
        .skip_while(|node| !matches!(node, Node::Doing(_)))
    {
        let said = match node {
            Node::Doing(place) if first == Some(*place) => break,
            Node::Doing(place) => {
                let wait = waits[*place];
                let who = match first {
                    None => name(wait.who),
                    Some(_) => "which".to_string(),
                };
                first = first.or(Some(*place));
                let whom = name(wait.whom as u32);
                match wait.how & KIND {
                    ANSWER => format!("{who} waits for an answer of {whom}"),
                    _ => format!("{who} waits for {whom}"),
                }
            }
            Node::Lock(lock) => {
                let held = waits.iter().find(|wait| wait.how == HELD && wait.who == *lock);
                format!("held by {}", name(held.map_or(*lock, |held| held.whom as u32)))
            }
            Node::Member(member) => {
                let engaged = waits.iter().find(|wait| wait.how == ENGAGED && wait.who == *member);
                let whom = engaged.map_or(*member, |engaged| engaged.whom as u32);
                format!("which waits for an answer of {}", name(whom))
            }
            Node::Agent(_) | Node::Handlers(_) => continue,
        };
        if !text.is_empty() {
            text.push_str(", ");
        }
        text.push_str(&said);
    }
    text
}

impl Measure for Waiting {
    fn wants(&self) -> Mask {
        Mask::of(&[What::Waits])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        if !batch.kinds.has(What::Waits) {
            return;
        }
        let waits = batch.records.iter().filter(|record| record.what == What::Waits);
        self.waits.extend(waits.map(|record| Wait {
            who: record.subject,
            how: record.a,
            whom: record.b,
            word: record.c,
        }));
    }

    fn measured_until(&mut self, _: SimTime) -> bool {
        true
    }

    fn finish(self: Box<Self>, _: SimTime, sheet: &mut Sheet) {
        let graph = Graph::of(&self.waits);
        let kind = |wait: &Wait| wait.how & KIND;
        let locks: BTreeSet<u64> = self
            .waits
            .iter()
            .filter(|wait| wait.how == HELD)
            .map(|wait| u64::from(wait.who))
            .collect();
        let for_good = |wait: &&Wait| wait.how & ENDS == 0 && [CALL, ANSWER, MESSAGE].contains(&kind(wait));
        let waiting: Vec<Wait> = self.waits.iter().filter(for_good).copied().collect();
        let of = |which: u64| waiting.iter().filter(|wait| kind(wait) == which).count() as f64;
        let agents: BTreeSet<u32> = waiting.iter().map(|wait| wait.who).collect();
        let at_locks = waiting
            .iter()
            .filter(|wait| kind(wait) == CALL && locks.contains(&wait.whom));
        let stuck = (0..self.waits.len()).filter(|place| {
            let kind = kind(&self.waits[*place]);
            (kind == CALL || kind == ANSWER) && !graph.free.contains(&Node::Doing(*place))
        });
        let stuck: BTreeSet<u32> = stuck.map(|place| self.waits[place].who).collect();
        sheet.number("waiting.agents", Some(agents.len() as f64));
        sheet.number("waiting.for_calls", Some(of(CALL)));
        sheet.number("waiting.for_locks", Some(at_locks.count() as f64));
        sheet.number("waiting.for_answers", Some(of(ANSWER)));
        sheet.number("waiting.for_messages", Some(of(MESSAGE)));
        sheet.number("waiting.deadlocked", Some(stuck.len() as f64));
        if !stuck.is_empty() {
            let cycle = named(&graph.cycle(), &self.waits, &self.setting);
            sheet.notes.push(format!("deadlock: {cycle}"));
        }
    }
}
