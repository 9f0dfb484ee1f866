//! Why a history breaks one of the weaker models: which operations come before which, and for what reason.

use super::{Violation, Words, of_key, shrink::shrink};
use crate::check::causal;
use crate::check::causal::graph::{Because, Graph, Order, Role};
use crate::check::causal::sessions::Reason;
use crate::check::history::{History, Key};
use crate::check::models::Model;

/// An edge of an order: what comes first, what comes second, why, and in which round that was found.
pub(in crate::check) type Edge = (u32, u32, Because, u32);

/// A pattern that breaks a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::check) enum Finding {
    /// Operations that would all have to come before each other, in the view of a process if one is named.
    Circle { circle: Vec<Edge>, process: Option<u32> },
    /// A read of the initial value, though this write comes before it.
    InitialRead {
        read: u32,
        newer: u32,
        process: Option<u32>,
    },
    /// A read of what was replaced among its causes.
    OldRead { read: u32, source: u32, newer: u32 },
    /// A read that must have seen a write, but returned an older one (with the circle that shows it) or the initial value.
    Session {
        read: u32,
        older: u32,
        circle: Vec<Edge>,
        /// A read, what it must have seen, and why.
        reasons: Vec<(u32, u32, Reason)>,
    },
}

/// How many trials there are to find a smaller part.
const TRIALS: usize = 2_000;
/// How many steps a trial may take.
const STEPS: u64 = 1_000_000;

/// The violation that a pattern shows: its operations, reduced to a smallest part that breaks the model by itself.
pub(in crate::check) fn violation(
    history: &History,
    model: Model,
    graph: &Graph,
    order: &Order,
    finding: &Finding,
) -> Violation {
    let mut nodes = Nodes {
        graph,
        order,
        found: Vec::new(),
    };
    nodes.of(finding);
    let mut all: Vec<usize> = nodes
        .found
        .iter()
        .map(|node| graph.nodes[*node as usize].op as usize)
        .collect();
    all.sort_unstable();
    all.dedup();
    let still = |part: &[usize]| {
        let kept = with_sources(history, part);
        matches!(causal::find(&history.excerpt(&kept), model, STEPS), Ok(Some(_))).then_some(kept)
    };
    let (part, is_minimal) = match still(&all) {
        Some(all) => shrink(all, TRIALS, still),
        None => (all, false),
    };
    let excerpt = history.excerpt(&part);
    let again = match causal::find(&excerpt, model, STEPS) {
        Ok(Some((graph, order, finding))) => Telling {
            history: &excerpt,
            graph: &graph,
            order: &order,
        }
        .tell(model, &finding),
        _ => Telling { history, graph, order }.tell(model, finding),
    };
    let number = |op: usize| if is_minimal { part[op] } else { op };
    Violation {
        kind: again.kind,
        why: again.why,
        key: again.key,
        marked: again
            .marked
            .into_iter()
            .map(number)
            .filter(|op| part.contains(op))
            .collect(),
        part,
        is_minimal,
    }
}

/// A part without the reads whose write isn't in it: they would seem to have read what nothing wrote.
fn with_sources(history: &History, part: &[usize]) -> Vec<usize> {
    match Graph::of(history) {
        Ok(graph) => {
            let mut node_of = vec![None; history.operations().len()];
            for node in &graph.nodes {
                node_of[node.op as usize] = Some(node);
            }
            let has_source = |op: &usize| match node_of[*op].map(|node| node.role) {
                Some(Role::Read(Some(source))) => {
                    part.binary_search(&(graph.nodes[source as usize].op as usize)).is_ok()
                }
                _ => true,
            };
            part.iter().copied().filter(has_source).collect()
        }
        Err(_) => part.to_vec(),
    }
}

/// Gathers the operations that a finding rests on.
struct Nodes<'a> {
    graph: &'a Graph,
    order: &'a Order,
    found: Vec<u32>,
}

impl Nodes<'_> {
    fn add(&mut self, node: u32) {
        self.found.push(node);
        self.found.extend(self.graph.source(node));
    }

    fn of(&mut self, finding: &Finding) {
        match finding {
            Finding::Circle { circle, .. } => self.edges(circle),
            Finding::InitialRead { read, newer, .. } => self.way(*newer, *read, u32::MAX),
            Finding::OldRead { read, source, newer } => {
                self.way(*source, *newer, u32::MAX);
                self.way(*newer, *read, u32::MAX);
                self.add(*read);
            }
            Finding::Session {
                read,
                older,
                circle,
                reasons,
            } => {
                self.add(*read);
                self.add(*older);
                for (first, second, because, _) in circle {
                    self.add(*first);
                    self.add(*second);
                    if let Because::Newer(read) | Because::Known(read) = because {
                        self.add(*read);
                    }
                }
                for (read, older, reason) in reasons {
                    self.add(*read);
                    self.add(*older);
                    match reason {
                        Reason::Own => {}
                        Reason::Seen(by) | Reason::WrittenBefore(by) => self.add(*by),
                        Reason::ReadBefore(by, at) => {
                            self.add(*by);
                            self.add(*at);
                            if let Some(source) = self.graph.source(*by) {
                                self.way(*at, source, u32::MAX);
                            }
                        }
                    }
                }
            }
        }
    }

    fn way(&mut self, from: u32, to: u32, round: u32) {
        self.add(from);
        self.add(to);
        if let Some(way) = self.order.way(from, to, round) {
            self.edges(&way);
        }
    }

    fn edges(&mut self, edges: &[Edge]) {
        for (first, second, because, round) in edges {
            let known = self.found.contains(second);
            self.add(*first);
            self.add(*second);
            if let Because::Newer(read) = because {
                self.add(*read);
                // What this edge rests on was found in earlier rounds.
                if *round > 0 || !known {
                    self.way(*first, *read, *round);
                }
            }
        }
    }
}

/// A finding in words.
pub(in crate::check) struct Tell {
    pub kind: &'static str,
    pub why: String,
    pub key: Option<Key>,
    /// The operations that contradict each other.
    pub marked: Vec<usize>,
}

impl Tell {
    /// A finding of a graph of a history, in words.
    pub(in crate::check) fn of(
        history: &History,
        graph: &Graph,
        order: &Order,
        model: Model,
        finding: &Finding,
    ) -> Self {
        Telling { history, graph, order }.tell(model, finding)
    }
}

/// Puts a finding into words.
struct Telling<'a> {
    history: &'a History,
    graph: &'a Graph,
    order: &'a Order,
}

impl Telling<'_> {
    fn op(&self, node: u32) -> usize {
        self.graph.nodes[node as usize].op as usize
    }

    fn name(&self, node: u32) -> String {
        self.history.name(self.op(node))
    }

    fn noun(&self, node: u32) -> String {
        Words(self.history).noun(self.op(node))
    }

    fn did(&self, node: u32) -> String {
        let key = of_key(self.history, self.graph.nodes[node as usize].key);
        Words(self.history).did(self.op(node)) + &key
    }

    fn process(&self, node: u32) -> u64 {
        self.history.processes()[self.history.operations()[self.op(node)].process as usize]
    }

    /// One step of a way, told from its first operation, which was just named.
    fn step(&self, (first, second, because, _): &Edge) -> String {
        match because {
            Because::Process => format!("{} followed in process {}", self.named(*second), self.process(*second)),
            Because::Read => format!("{} read that", self.name(*second)),
            Because::Newer(read) => format!(
                "{} is newer, for {} returned it although {} comes before {}",
                self.noun(*second),
                self.name(*read),
                self.name(*first),
                self.name(*read),
            ),
            Because::Known(read) => format!(
                "process {} read that by {} before {}",
                self.process(*second),
                self.name(*read),
                self.noun(*second)
            ),
            Because::Replaced => format!(
                "{} replaced what {} had returned",
                self.noun(*second),
                self.name(*first)
            ),
        }
    }

    /// Writes with their values, reads by name.
    fn named(&self, node: u32) -> String {
        match self.graph.nodes[node as usize].role {
            Role::Write => self.noun(node),
            Role::Read(_) => self.name(node),
        }
    }

    fn steps(&self, way: &[Edge]) -> String {
        let steps: Vec<String> = way.iter().map(|edge| self.step(edge)).collect();
        match steps.as_slice() {
            [] => String::new(),
            [one] => one.clone(),
            [rest @ .., last] => format!("{}, and {last}", rest.join(", ")),
        }
    }

    fn between(&self, from: u32, to: u32) -> String {
        self.order
            .way(from, to, u32::MAX)
            .map(|way| self.steps(&way))
            .unwrap_or_default()
    }

    fn tell(&self, model: Model, finding: &Finding) -> Tell {
        match finding {
            Finding::InitialRead { read, newer, process } => {
                let (read, newer) = (*read, *newer);
                let comes = match process {
                    None => "lies in its causal past".to_string(),
                    Some(_) => format!(
                        "comes before it in every order that process {} can have seen",
                        self.process(read)
                    ),
                };
                let why = format!(
                    "{}, the initial value, although {} {comes}: {}",
                    self.did(read),
                    self.noun(newer),
                    self.between(newer, read)
                );
                self.told("initial value read too late", why, read, &[newer, read])
            }
            Finding::OldRead { read, source, newer } => {
                let (read, source, newer) = (*read, *source, *newer);
                let why = format!(
                    "{}, which had been replaced in its causal past: after {}, {}; and after {}, {}",
                    self.did(read),
                    self.noun(source),
                    self.between(source, newer),
                    self.noun(newer),
                    self.between(newer, read)
                );
                self.told("replaced value read", why, read, &[newer, read])
            }
            Finding::Circle { circle, process } => self.circle(model, circle, *process),
            Finding::Session {
                read,
                older,
                circle,
                reasons,
            } => self.session(model, *read, *older, circle, reasons),
        }
    }

    fn told(&self, kind: &'static str, why: String, node: u32, marked: &[u32]) -> Tell {
        let mut marked: Vec<usize> = marked.iter().map(|node| self.op(*node)).collect();
        marked.sort_unstable();
        marked.dedup();
        Tell {
            kind,
            why,
            key: Some(self.graph.nodes[node as usize].key),
            marked,
        }
    }

    fn circle(&self, model: Model, circle: &[Edge], process: Option<u32>) -> Tell {
        let nodes: Vec<u32> = circle.iter().map(|edge| edge.0).collect();
        let plain = circle
            .iter()
            .all(|edge| matches!(edge.2, Because::Process | Because::Read));
        let (kind, what) = match (plain, process, model) {
            (true, ..) => (
                "causes in a circle",
                "these operations are causes of each other".to_string(),
            ),
            (false, Some(process), _) => {
                let process = self.history.processes()[process as usize];
                (
                    "no order for a process",
                    format!("process {process} can't have seen the writes in any order"),
                )
            }
            (false, None, Model::Sequential) => (
                "no order for all",
                "no order of all operations explains what was read".to_string(),
            ),
            (false, None, _) => (
                "no common order of writes",
                "no order of the writes explains all reads".to_string(),
            ),
        };
        let why = format!(
            "{what}: after {}, {}, which closes the circle",
            self.named(nodes[0]),
            self.steps(circle)
        );
        self.told(kind, why, nodes[0], &nodes)
    }

    fn session(&self, model: Model, read: u32, older: u32, circle: &[Edge], reasons: &[(u32, u32, Reason)]) -> Tell {
        let process = self.process(read);
        let because = |(_, older, reason): &(u32, u32, Reason)| match reason {
            Reason::Own => format!("process {process} had written {} itself", self.named(*older)),
            Reason::Seen(by) => format!(
                "process {process} had read {} before, by {}",
                self.named(*older),
                self.name(*by)
            ),
            Reason::WrittenBefore(by) => {
                let later = self.graph.source(*by).unwrap_or(*older);
                let by = if *by == read { "it".to_string() } else { self.name(*by) };
                format!(
                    "process {} had written {} before {}, which {by} read",
                    self.process(*older),
                    self.noun(*older),
                    self.noun(later)
                )
            }
            Reason::ReadBefore(by, at) => {
                let later = self.graph.source(*by).unwrap_or(*older);
                let by = if *by == read { "it".to_string() } else { self.name(*by) };
                let way = self.order.way(*at, later, u32::MAX).unwrap_or_default();
                let way = if way.len() > 1 {
                    format!(": after {}, {}", self.name(*at), self.steps(&way))
                } else {
                    String::new()
                };
                format!(
                    "{by} read {}, before which {} had read {}{way}",
                    self.noun(later),
                    self.name(*at),
                    self.noun(*older)
                )
            }
        };
        let kind = match model {
            Model::ReadYourWrites => "own write not seen",
            Model::MonotonicReads => "older value read than before",
            Model::MonotonicWrites => "write seen without its writer's earlier one",
            _ => "write seen without what its writer had read",
        };
        let reason = reasons.iter().find(|of| of.0 == read).or(reasons.first());
        let told: Vec<String> = reason.map(because).into_iter().collect();
        let mut why = format!("{}, although {}", self.did(read), told.join(", and "));
        match self.graph.source(read) {
            None => why = why.replacen(", although", ", the initial value, although", 1),
            Some(source) => {
                // The rest of the circle says that what was returned is older.
                let rest: Vec<Edge> = circle
                    .iter()
                    .filter(|edge| edge.2 != Because::Newer(read))
                    .copied()
                    .collect();
                let rest: Vec<String> = rest.iter().map(|edge| self.older(edge, process)).collect();
                if !rest.is_empty() {
                    why.push_str(&format!(
                        ", and {} is older: {}",
                        self.noun(source),
                        rest.join(", and ")
                    ));
                }
            }
        }
        self.told(kind, why, read, &[older, read])
    }

    /// An edge of a view, as a reason why its first write is older.
    fn older(&self, (first, second, because, _): &Edge, process: u64) -> String {
        let (first, second) = (self.name(*first), *second);
        match because {
            Because::Newer(read) => format!(
                "{} returned {}, though process {process} must have seen {first} by then",
                self.name(*read),
                self.name(second)
            ),
            Because::Known(read) => format!(
                "process {} read {first}, by {}, before it wrote {}",
                self.process(second),
                self.name(*read),
                self.name(second)
            ),
            _ => format!(
                "process {} wrote {first} before {}",
                self.process(second),
                self.name(second)
            ),
        }
    }
}
