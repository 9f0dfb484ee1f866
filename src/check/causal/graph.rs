//! Reads and writes of registers with what orders them: the order of each process, and which write each read returned.
//!
//! Needs every value that is read to be written once on its key, so that it is known which write a read returned.

use crate::check::history::{Action, History, Key, Outcome, Saw, Val};

/// What a read returned, or that it is a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::check) enum Role {
    Write,
    /// The write's node; `None`: the initial value.
    Read(Option<u32>),
}

/// An operation.
#[derive(Debug, Clone, Copy)]
pub(in crate::check) struct Node {
    pub op: u32,
    /// The chain that it is on. A chain is a process; a write of unknown outcome is a chain by itself, for nothing comes after it
    /// in its process that must.
    pub chain: u32,
    /// Its place on the chain.
    pub index: u32,
    pub key: Key,
    pub role: Role,
    /// What comes before it in its process.
    pub before: Option<u32>,
}

/// Why there is no graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::check) enum NoGraph {
    /// A read returned what nothing wrote.
    Unwritten { read: u32 },
    /// A read returned a value that two operations wrote; `None` stands for the initial value.
    Ambiguous { read: u32, one: u32, other: Option<u32> },
}

/// The graph.
#[derive(Debug, Clone)]
pub(in crate::check) struct Graph {
    pub nodes: Vec<Node>,
    pub chains: Vec<Vec<u32>>,
    /// How many of the chains are processes; they come first.
    pub processes: usize,
    /// Writes by key, chain and place.
    writes: Vec<(Key, u32, u32, u32)>,
    /// The chains that write each key.
    writers: Vec<(Key, u32)>,
}

impl Graph {
    /// The graph of a history of reads and writes.
    pub(in crate::check) fn of(history: &History) -> Result<Self, NoGraph> {
        let operations = history.operations();
        let mut written: Vec<(Key, Val, u32)> = Vec::new();
        let mut read: Vec<(Key, Val)> = Vec::new();
        for (at, of) in operations.iter().enumerate() {
            match of.action {
                Action::Write { key, value } if of.may_count() => written.push((key, value, at as u32)),
                Action::Read {
                    key,
                    saw: Saw::One(value),
                } if of.outcome == Outcome::Ok => read.push((key, value)),
                _ => {}
            }
        }
        written.sort_unstable();
        read.sort_unstable();
        let processes = history.processes().len();
        let mut graph = Self {
            nodes: Vec::new(),
            chains: vec![Vec::new(); processes],
            processes,
            writes: Vec::new(),
            writers: Vec::new(),
        };
        let mut node_of = vec![u32::MAX; operations.len()];
        for (at, of) in operations.iter().enumerate() {
            let (key, is_write) = match of.action {
                Action::Write { key, value } if of.may_count() => {
                    // A write that may never have happened, and that nobody saw, says nothing.
                    if of.outcome == Outcome::Info && read.binary_search(&(key, value)).is_err() {
                        continue;
                    }
                    (key, true)
                }
                Action::Read { key, saw: Saw::One(_) } if of.outcome == Outcome::Ok => (key, false),
                _ => continue,
            };
            let before = graph.chains[of.process as usize].last().copied();
            let chain = if of.outcome == Outcome::Info {
                graph.chains.push(Vec::new());
                graph.chains.len() as u32 - 1
            } else {
                of.process
            };
            let node = graph.nodes.len() as u32;
            node_of[at] = node;
            let index = graph.chains[chain as usize].len() as u32;
            graph.chains[chain as usize].push(node);
            if is_write {
                graph.writes.push((key, chain, index, node));
            }
            graph.nodes.push(Node {
                op: at as u32,
                chain,
                index,
                key,
                role: Role::Write,
                before,
            });
        }
        graph.writes.sort_unstable();
        graph.writers = graph.writes.iter().map(|of| (of.0, of.1)).collect();
        graph.writers.dedup();
        for node in 0..graph.nodes.len() {
            let Node { op, key, .. } = graph.nodes[node];
            let Action::Read {
                saw: Saw::One(value), ..
            } = operations[op as usize].action
            else {
                continue;
            };
            let from = written.partition_point(|of| (of.0, of.1) < (key, value));
            let mut writers = written[from..]
                .iter()
                .take_while(|of| (of.0, of.1) == (key, value))
                .map(|of| of.2);
            let source = match (writers.next(), writers.next(), value == history.initial()) {
                (None, _, true) => None,
                (None, _, false) => return Err(NoGraph::Unwritten { read: op }),
                (Some(one), None, false) => Some(node_of[one as usize]),
                (Some(one), None, true) => {
                    return Err(NoGraph::Ambiguous {
                        read: op,
                        one,
                        other: None,
                    });
                }
                (Some(one), other, _) => return Err(NoGraph::Ambiguous { read: op, one, other }),
            };
            graph.nodes[node].role = Role::Read(source);
        }
        Ok(graph)
    }

    /// The last write to a key on a chain among its first `end` operations.
    pub(in crate::check) fn last_write(&self, key: Key, chain: u32, end: u32) -> Option<u32> {
        let at = self.writes.partition_point(|of| (of.0, of.1, of.2) < (key, chain, end));
        let found = self.writes[..at].last()?;
        ((found.0, found.1) == (key, chain)).then_some(found.3)
    }

    /// The chains that write a key.
    pub(in crate::check) fn writers(&self, key: Key) -> impl Iterator<Item = u32> + '_ {
        let from = self.writers.partition_point(|of| of.0 < key);
        self.writers[from..]
            .iter()
            .take_while(move |of| of.0 == key)
            .map(|of| of.1)
    }

    /// The write before one on the same key and chain.
    pub(in crate::check) fn write_before(&self, node: u32) -> Option<u32> {
        let Node { key, chain, index, .. } = self.nodes[node as usize];
        self.last_write(key, chain, index)
    }

    /// The write that a node read, if it is a read of one.
    pub(in crate::check) fn source(&self, node: u32) -> Option<u32> {
        match self.nodes[node as usize].role {
            Role::Read(source) => source,
            Role::Write => None,
        }
    }
}

/// Why one operation comes before another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::check) enum Because {
    /// One process did both.
    Process,
    /// The second read what the first wrote.
    Read,
    /// This read returned what the second wrote, although the first came before the read.
    Newer(u32),
    /// A process read the first, by this read, before it wrote the second.
    Known(u32),
    /// The first is a read of what the second replaced.
    Replaced,
}

/// An order in the making: edges between nodes, each with its reason and the round in which it was found.
#[derive(Debug, Clone, Default)]
pub(in crate::check) struct Order {
    /// For each node, what comes before it directly.
    pub before: Vec<Vec<(u32, Because, u32)>>,
}

impl Order {
    /// The order of the processes, with what was read: by all, or by one process alone.
    pub(in crate::check) fn of(graph: &Graph, only: Option<u32>) -> Self {
        let before = graph.nodes.iter().map(|node| {
            let mut before: Vec<(u32, Because, u32)> = Vec::with_capacity(2);
            before.extend(node.before.map(|of| (of, Because::Process, 0)));
            if let Role::Read(Some(source)) = node.role
                && only.is_none_or(|process| node.chain == process)
            {
                before.push((source, Because::Read, 0));
            }
            before
        });
        Self {
            before: before.collect(),
        }
    }

    /// Adds an edge that isn't there yet.
    pub(in crate::check) fn add(&mut self, first: u32, second: u32, because: Because, round: u32) -> bool {
        let before = &mut self.before[second as usize];
        if before.iter().any(|(of, ..)| *of == first) {
            return false;
        }
        before.push((first, because, round));
        true
    }

    /// The nodes in an order that keeps all edges; `Err` holds those that can't be ordered.
    pub(in crate::check) fn sorted(&self) -> Result<Vec<u32>, Vec<u32>> {
        let count = self.before.len();
        let mut starts = vec![0u32; count + 1];
        for (of, ..) in self.before.iter().flatten() {
            starts[*of as usize + 1] += 1;
        }
        for at in 0..count {
            starts[at + 1] += starts[at];
        }
        let mut fill = starts.clone();
        let mut after = vec![0u32; starts[count] as usize];
        for (node, before) in self.before.iter().enumerate() {
            for (of, ..) in before {
                after[fill[*of as usize] as usize] = node as u32;
                fill[*of as usize] += 1;
            }
        }
        let mut waits: Vec<u32> = self.before.iter().map(|before| before.len() as u32).collect();
        let mut sorted: Vec<u32> = (0..count as u32).filter(|node| waits[*node as usize] == 0).collect();
        let mut at = 0;
        while at < sorted.len() {
            let node = sorted[at] as usize;
            at += 1;
            for next in &after[starts[node] as usize..starts[node + 1] as usize] {
                waits[*next as usize] -= 1;
                if waits[*next as usize] == 0 {
                    sorted.push(*next);
                }
            }
        }
        if sorted.len() == count {
            Ok(sorted)
        } else {
            Err((0..count as u32).filter(|node| waits[*node as usize] > 0).collect())
        }
    }

    /// For each node, how many operations of each chain are it or before it; in one array, a row for each node.
    pub(in crate::check) fn clocks(&self, graph: &Graph, sorted: &[u32]) -> Vec<u32> {
        let width = graph.chains.len();
        let mut clocks = vec![0u32; graph.nodes.len() * width];
        let mut row = vec![0u32; width];
        for node in sorted {
            row.fill(0);
            for (of, ..) in &self.before[*node as usize] {
                let start = *of as usize * width;
                for (mine, theirs) in row.iter_mut().zip(&clocks[start..start + width]) {
                    *mine = (*mine).max(*theirs);
                }
            }
            let Node { chain, index, .. } = graph.nodes[*node as usize];
            row[chain as usize] = row[chain as usize].max(index + 1);
            let start = *node as usize * width;
            clocks[start..start + width].copy_from_slice(&row);
        }
        clocks
    }

    /// A shortest way from one node to another along edges of rounds before `round`: the edges, in order.
    pub(in crate::check) fn way(&self, from: u32, to: u32, round: u32) -> Option<Vec<(u32, u32, Because, u32)>> {
        let mut next = vec![None; self.before.len()];
        let mut queue = std::collections::VecDeque::from([to]);
        let mut seen = vec![false; self.before.len()];
        while let Some(node) = queue.pop_front() {
            for (of, because, found) in &self.before[node as usize] {
                if *found >= round || seen[*of as usize] {
                    continue;
                }
                seen[*of as usize] = true;
                next[*of as usize] = Some((*of, node, *because, *found));
                if *of == from {
                    let mut way = Vec::new();
                    let mut at = from;
                    while let Some(edge) = next[at as usize] {
                        way.push(edge);
                        at = edge.1;
                        if at == to {
                            return Some(way);
                        }
                    }
                }
                queue.push_back(*of);
            }
        }
        None
    }

    /// A short circle among nodes that can't be ordered.
    pub(in crate::check) fn circle(&self, among: &[u32]) -> Vec<(u32, u32, Because, u32)> {
        // Each of them waits for another of them: going back long enough leads round a circle.
        let inside = |node: u32| among.binary_search(&node).is_ok();
        let mut at = among[0];
        for _ in 0..among.len() {
            let before = self.before[at as usize].iter().find(|(of, ..)| inside(*of));
            at = before.expect("a node that can't be ordered waits for another one").0;
        }
        let mut best = self.way(at, at, u32::MAX).expect("the node lies on a circle");
        // A shorter one may lie nearby.
        for node in best.clone().iter().take(64).map(|edge| edge.0) {
            if let Some(other) = self.way(node, node, u32::MAX)
                && other.len() < best.len()
            {
                best = other;
            }
        }
        best
    }
}
