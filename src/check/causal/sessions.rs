//! The four session guarantees (Terry et al. 1994), each for itself.
//!
//! A guarantee says which writes a read must have seen. A read that returned `b` and must have seen `a`, of the same key, says that
//! `a` comes before `b` in the view of its process; a view is an order of the writes of each key that all reads of one process
//! agree with. Every view keeps, for one key, the order in which each process wrote it, and what the process itself had read
//! before it wrote. The guarantee is kept if no process' view has a circle, and no read that must have seen a write returned the
//! initial value.
//!
//! - Read your writes: a read must have seen what its process wrote before.
//! - Monotonic reads: what its process read before.
//! - Monotonic writes: what was written, by the writer of something that its process has read by then, before that.
//! - Writes follow reads: what was read, by the writer of something that its process has read by then, before that; and what that
//!   one's writer had read, and so on. A write also comes after what its process had read before, in every view.

use super::graph::{Because, Graph, Node, Order, Role};
use crate::check::explain::causes::Finding;
use crate::check::history::Key;
use crate::check::models::Model;
use std::collections::BTreeMap;

/// What a process must have seen, by key and chain: the last write on that chain, and the reads that say so.
type Required = BTreeMap<(Key, u32), (u32, Reason)>;

/// Why a read must have seen a write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::check) enum Reason {
    /// Its process wrote it.
    Own,
    /// Its process read it: this read.
    Seen(u32),
    /// Its writer wrote something later that this read returned.
    WrittenBefore(u32),
    /// This read, the second, returned it, and came before something that the first read returned.
    ReadBefore(u32, u32),
}

/// A process whose view can't be. On a finding, `order` has the view's edges.
pub(super) fn check(graph: &Graph, order: &mut Order, sorted: &[u32], model: Model) -> Option<Finding> {
    let clocks = match model {
        Model::WritesFollowReads => order.clocks(graph, sorted),
        _ => Vec::new(),
    };
    let base = base(graph, model);
    for process in 0..graph.processes as u32 {
        let view = View {
            graph,
            model,
            clocks: &clocks,
            process,
            edges: base.clone(),
            reasons: Vec::new(),
        };
        if let Some(finding) = view.check() {
            return Some(finding);
        }
    }
    None
}

/// What all views keep.
fn base(graph: &Graph, model: Model) -> Order {
    let mut edges = Order {
        before: vec![Vec::new(); graph.nodes.len()],
    };
    for node in 0..graph.nodes.len() as u32 {
        if graph.nodes[node as usize].role == Role::Write {
            let earlier = match graph.nodes[node as usize].before {
                // A write of unknown outcome comes after what its process had written before.
                Some(before) if graph.nodes[before as usize].chain != graph.nodes[node as usize].chain => {
                    let of = graph.nodes[before as usize];
                    graph.last_write(graph.nodes[node as usize].key, of.chain, of.index + 1)
                }
                _ => graph.write_before(node),
            };
            if let Some(earlier) = earlier {
                edges.add(earlier, node, Because::Process, 0);
            }
        }
    }
    if model == Model::WritesFollowReads {
        for process in 0..graph.processes {
            own_reads(graph, process, &mut edges);
        }
    }
    edges
}

/// A write comes after what its process had read of the key before.
fn own_reads(graph: &Graph, process: usize, edges: &mut Order) {
    // The last write on each chain that was read since the process' own last write: earlier ones come before these.
    let mut read: BTreeMap<(Key, u32), (u32, u32)> = BTreeMap::new();
    let uncertain = graph.chains[graph.processes..].iter().map(|chain| chain[0]);
    let of_process = |node: &u32| {
        let before = graph.nodes[*node as usize].before;
        before.is_some_and(|of| graph.nodes[of as usize].chain as usize == process)
    };
    let mut all: Vec<u32> = graph.chains[process]
        .iter()
        .copied()
        .chain(uncertain.filter(of_process))
        .collect();
    // Nodes are numbered in the order of their invocations, and a process invokes one after the other.
    all.sort_unstable();
    for node in all {
        let Node { key, chain, role, .. } = graph.nodes[node as usize];
        match role {
            Role::Read(Some(source)) => {
                let of = graph.nodes[source as usize];
                let last = read.entry((key, of.chain)).or_insert((source, node));
                if graph.nodes[last.0 as usize].index < of.index {
                    *last = (source, node);
                }
            }
            Role::Read(None) => {}
            Role::Write => {
                let known: Vec<((Key, u32), (u32, u32))> = read
                    .range((key, 0)..=(key, u32::MAX))
                    .map(|(at, last)| (*at, *last))
                    .collect();
                for (at, (source, by)) in known {
                    if source != node {
                        edges.add(source, node, Because::Known(by), 0);
                    }
                    // What comes later comes after this write, and through it after those.
                    if (chain as usize) < graph.processes {
                        read.remove(&at);
                    }
                }
            }
        }
    }
}

struct View<'a> {
    graph: &'a Graph,
    model: Model,
    clocks: &'a [u32],
    process: u32,
    edges: Order,
    /// For each edge that a read gave: the read, the older write, and why it must have been seen.
    reasons: Vec<(u32, u32, Reason)>,
}

impl View<'_> {
    fn check(mut self) -> Option<Finding> {
        if self.model != Model::WritesFollowReads {
            own_reads(self.graph, self.process as usize, &mut self.edges);
        }
        let mut required = Required::new();
        // How far on each chain what this process has read reaches.
        let mut reached = vec![0u32; self.graph.chains.len()];
        for at in 0..self.graph.chains[self.process as usize].len() {
            let node = self.graph.chains[self.process as usize][at];
            let of = self.graph.nodes[node as usize];
            let source = match of.role {
                Role::Write => {
                    if self.model == Model::ReadYourWrites {
                        required.insert((of.key, of.chain), (node, Reason::Own));
                    }
                    continue;
                }
                Role::Read(source) => source,
            };
            if let Some(source) = source {
                self.observe(node, source, &mut required, &mut reached);
            }
            let seen: Vec<(u32, Reason)> = required
                .range((of.key, 0)..=(of.key, u32::MAX))
                .map(|(_, required)| *required)
                .collect();
            for (older, reason) in seen {
                self.reasons.push((node, older, reason));
                match source {
                    None => {
                        let reasons = vec![(node, older, reason)];
                        return Some(Finding::Session {
                            read: node,
                            older,
                            circle: Vec::new(),
                            reasons,
                        });
                    }
                    Some(source) if source != older => {
                        self.edges.add(older, source, Because::Newer(node), 1);
                    }
                    Some(_) => {}
                }
            }
            if let (Some(source), Model::MonotonicReads) = (source, self.model) {
                // What it must have seen before comes before this one: it alone has to be remembered.
                let of_key: Vec<(Key, u32)> = required
                    .range((of.key, 0)..=(of.key, u32::MAX))
                    .map(|(key, _)| *key)
                    .collect();
                for key in of_key {
                    required.remove(&key);
                }
                let chain = self.graph.nodes[source as usize].chain;
                required.insert((of.key, chain), (source, Reason::Seen(node)));
            }
        }
        let left = self.edges.sorted().err()?;
        let circle = self.edges.circle(&left);
        let reads: Vec<u32> = circle
            .iter()
            .filter_map(|edge| match edge.2 {
                Because::Newer(read) => Some(read),
                _ => None,
            })
            .collect();
        let on_circle = |(read, older, _): &&(u32, u32, Reason)| {
            reads.contains(read)
                && circle
                    .iter()
                    .any(|edge| edge.0 == *older && edge.2 == Because::Newer(*read))
        };
        let reasons: Vec<(u32, u32, Reason)> = self.reasons.iter().filter(on_circle).copied().collect();
        let (read, older) = reasons.first().map_or((circle[0].1, circle[0].0), |of| (of.0, of.1));
        Some(Finding::Session {
            read,
            older,
            circle,
            reasons,
        })
    }

    /// What must be seen from now on because a read returned a write.
    fn observe(&self, read: u32, source: u32, required: &mut Required, reached: &mut [u32]) {
        let graph = self.graph;
        let of = graph.nodes[source as usize];
        match self.model {
            Model::MonotonicWrites => {
                let (chain, end) = match of.before {
                    Some(before) => {
                        let before = graph.nodes[before as usize];
                        (before.chain, before.index + 1)
                    }
                    None => (of.chain, 0),
                };
                self.extend(chain, end, reached, |at| {
                    let node = graph.nodes[at as usize];
                    if node.role == Role::Write {
                        required.insert((node.key, node.chain), (at, Reason::WrittenBefore(read)));
                    }
                });
            }
            Model::WritesFollowReads => {
                let width = graph.chains.len();
                for chain in 0..width {
                    let end = self.clocks[source as usize * width + chain];
                    self.extend(chain as u32, end, reached, |at| {
                        if let Some(seen) = graph.source(at) {
                            let node = graph.nodes[seen as usize];
                            let entry = (seen, Reason::ReadBefore(read, at));
                            let old = required.entry((node.key, node.chain)).or_insert(entry);
                            if graph.nodes[old.0 as usize].index < node.index {
                                *old = entry;
                            }
                        }
                    });
                }
            }
            _ => {}
        }
    }

    /// Takes the operations of a chain that weren't reached yet, up to `end`.
    fn extend(&self, chain: u32, end: u32, reached: &mut [u32], mut take: impl FnMut(u32)) {
        let from = reached[chain as usize];
        for at in from..end {
            take(self.graph.chains[chain as usize][at as usize]);
        }
        reached[chain as usize] = from.max(end);
    }
}
