//! A quicker way to see that a process has an order of its own, for processes of few operations: only what the process read, and what
//! must come before that, is looked at, not all operations of all processes.
//!
//! What comes before an operation is what causality says, and, for every write among it that the process read, what must come before
//! that write in the process' view. The second part grows until nothing is missing.

use super::graph::{Graph, Role};

/// What comes before operations without any view: by chain, how many of its operations.
pub(super) enum Base<'a> {
    /// Causal order, as the clocks of all operations say.
    Causal(&'a [u32]),
    /// The order of each process, and what one process read.
    Pram(u32, Vec<Vec<u32>>),
}

impl Base<'_> {
    /// The base for one process under PRAM.
    pub(super) fn pram(graph: &Graph, process: u32) -> Self {
        let width = graph.chains.len();
        let mut rows: Vec<Vec<u32>> = Vec::new();
        for node in &graph.chains[process as usize] {
            let mut row = rows.last().cloned().unwrap_or_else(|| vec![0; width]);
            let of = graph.nodes[*node as usize];
            row[of.chain as usize] = of.index + 1;
            if let Some(source) = graph.source(*node) {
                let read = &graph.nodes[source as usize];
                if read.chain == process {
                    // Its own write: it is in the row already, or it comes later, which is a circle that was looked for.
                    row[read.chain as usize] = row[read.chain as usize].max(read.index + 1);
                } else {
                    follow(graph, source, &mut row);
                }
            }
            rows.push(row);
        }
        Self::Pram(process, rows)
    }

    fn row(&self, graph: &Graph, node: u32) -> Vec<u32> {
        let width = graph.chains.len();
        match self {
            Self::Causal(clocks) => clocks[node as usize * width..][..width].to_vec(),
            Self::Pram(process, rows) => {
                let of = graph.nodes[node as usize];
                if of.chain == *process {
                    return rows[of.index as usize].clone();
                }
                let mut row = vec![0; width];
                follow(graph, node, &mut row);
                if let Some(before) = of.before
                    && graph.nodes[before as usize].chain == *process
                {
                    join(&mut row, &rows[graph.nodes[before as usize].index as usize]);
                }
                row
            }
        }
    }
}

/// Adds an operation of another process with those before it in that process.
fn follow(graph: &Graph, node: u32, row: &mut [u32]) {
    let mut at = Some(node);
    while let Some(node) = at {
        let of = graph.nodes[node as usize];
        let known = &mut row[of.chain as usize];
        *known = (*known).max(of.index + 1);
        // Those on the same chain are in it; a write of unknown outcome has its process before it.
        at = of
            .before
            .filter(|before| graph.nodes[*before as usize].chain != of.chain);
    }
}

fn join(row: &mut [u32], other: &[u32]) -> bool {
    let mut grown = false;
    for (mine, theirs) in row.iter_mut().zip(other) {
        if *theirs > *mine {
            *mine = *theirs;
            grown = true;
        }
    }
    grown
}

/// Whether a process read so few writes that this is quicker than to look at all operations.
pub(super) fn is_worth_it(graph: &Graph, process: u32) -> bool {
    let reads = graph.chains[process as usize]
        .iter()
        .filter(|node| graph.source(**node).is_some())
        .count();
    reads * reads <= graph.nodes.len()
}

/// Whether a process has an order.
pub(super) fn has_view(graph: &Graph, base: &Base<'_>, process: u32) -> bool {
    let mine = &graph.chains[process as usize];
    let mut sources: Vec<u32> = mine.iter().filter_map(|node| graph.source(*node)).collect();
    sources.sort_unstable();
    sources.dedup();
    let mut view = View {
        graph,
        base,
        before: sources.iter().map(|source| base.row(graph, *source)).collect(),
        is_closed: vec![false; sources.len()],
        older: vec![Vec::new(); sources.len()],
        sources,
    };
    view.settle();
    while let Some(grown) = view.round(mine) {
        if !grown {
            return view.has_no_circle();
        }
        view.settle();
    }
    false
}

struct View<'a, 'b> {
    graph: &'a Graph,
    base: &'a Base<'b>,
    /// The writes that the process read.
    sources: Vec<u32>,
    /// For each of them, what comes before it, and itself.
    before: Vec<Vec<u32>>,
    /// For each of them, whether what comes before it has all that comes before the writes in it.
    is_closed: Vec<bool>,
    /// For each of them, the writes that must come before it.
    older: Vec<Vec<u32>>,
}

impl View<'_, '_> {
    fn has(&self, row: &[u32], at: usize) -> bool {
        let of = self.graph.nodes[self.sources[at] as usize];
        row[of.chain as usize] > of.index
    }

    /// Adds to a row what comes before the writes in it that the process read; but for one of them, whose row it may be.
    fn close(&self, row: &mut [u32], own: usize) -> bool {
        let mut any = false;
        loop {
            let mut grown = false;
            let mut is_covered = vec![false; self.sources.len()];
            for at in (0..self.sources.len()).rev() {
                if at == own || is_covered[at] || !self.has(row, at) {
                    continue;
                }
                grown |= join(row, &self.before[at]);
                if self.is_closed[at] {
                    // What comes before the writes in this row is in it already.
                    for (other, covered) in is_covered.iter_mut().enumerate().take(at) {
                        *covered |= self.has(&self.before[at], other);
                    }
                }
            }
            any |= grown;
            if !grown {
                return any;
            }
        }
    }

    /// Looks at every read once; whether anything new must come before what it returned. `None`: there is no order.
    fn round(&mut self, mine: &[u32]) -> Option<bool> {
        let mut grown = false;
        for read in mine {
            let node = self.graph.nodes[*read as usize];
            let Role::Read(source) = node.role else { continue };
            let mut row = self.base.row(self.graph, *read);
            self.close(&mut row, usize::MAX);
            for chain in self.graph.writers(node.key) {
                let Some(older) = self.graph.last_write(node.key, chain, row[chain as usize]) else {
                    continue;
                };
                let source = source?;
                let at = self.sources.binary_search(&source).ok()?;
                let of = self.graph.nodes[older as usize];
                if older != source && self.before[at][of.chain as usize] <= of.index {
                    self.older[at].push(older);
                    let row = self.base.row(self.graph, older);
                    join(&mut self.before[at], &row);
                    self.reopen(at);
                    grown = true;
                }
            }
        }
        Some(grown)
    }

    /// Notes that what comes before a write has grown, and so what comes before those that it comes before.
    fn reopen(&mut self, at: usize) {
        for other in 0..self.sources.len() {
            if other == at || self.has(&self.before[other], at) {
                self.is_closed[other] = false;
            }
        }
    }

    fn settle(&mut self) {
        while let Some(at) = self.is_closed.iter().position(|is_closed| !is_closed) {
            let mut row = std::mem::take(&mut self.before[at]);
            // Its own row is empty for now, and isn't looked at.
            let grown = self.close(&mut row, at);
            self.before[at] = row;
            if grown {
                self.reopen(at);
            }
            self.is_closed[at] = true;
        }
    }

    fn has_no_circle(&self) -> bool {
        self.sources.iter().zip(&self.older).all(|(source, older)| {
            let of = self.graph.nodes[*source as usize];
            older.iter().all(|older| {
                let mut row = self.base.row(self.graph, *older);
                self.close(&mut row, usize::MAX);
                row[of.chain as usize] <= of.index
            })
        })
    }
}
