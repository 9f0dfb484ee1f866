//! Patterns that causal order alone shows: of weak causal consistency (CC), and of convergence (CCv).

use super::graph::{Because, Graph, Order, Role};
use crate::check::explain::causes::Finding;

/// A read of what had been replaced in its causal past: WriteCOInitRead and WriteCORead.
pub(super) fn weak(graph: &Graph, order: &Order, sorted: &[u32]) -> Option<Finding> {
    let clocks = order.clocks(graph, sorted);
    let width = graph.chains.len();
    for read in 0..graph.nodes.len() as u32 {
        let node = graph.nodes[read as usize];
        let Role::Read(source) = node.role else { continue };
        let past = &clocks[read as usize * width..][..width];
        for chain in graph.writers(node.key) {
            let Some(newer) = graph.last_write(node.key, chain, past[chain as usize]) else {
                continue;
            };
            match source {
                None => {
                    return Some(Finding::InitialRead {
                        read,
                        newer,
                        process: None,
                    });
                }
                Some(source) if source != newer => {
                    let of = graph.nodes[source as usize];
                    // Whatever of this chain has the source in its past, its last write has.
                    if clocks[newer as usize * width + of.chain as usize] > of.index {
                        return Some(Finding::OldRead { read, source, newer });
                    }
                }
                Some(_) => {}
            }
        }
    }
    None
}

/// Writes that can't be put into one order that all reads agree with: CyclicCF.
pub(super) fn convergence(graph: &Graph, order: &mut Order, sorted: &[u32]) -> Option<Finding> {
    let clocks = order.clocks(graph, sorted);
    let width = graph.chains.len();
    for read in 0..graph.nodes.len() as u32 {
        let node = graph.nodes[read as usize];
        let Role::Read(Some(source)) = node.role else { continue };
        let past = &clocks[read as usize * width..][..width];
        for chain in graph.writers(node.key) {
            if let Some(older) = graph.last_write(node.key, chain, past[chain as usize])
                && older != source
            {
                order.add(older, source, Because::Newer(read), 1);
            }
        }
    }
    let left = order.sorted().err()?;
    Some(Finding::Circle {
        circle: order.circle(&left),
        process: None,
    })
}
