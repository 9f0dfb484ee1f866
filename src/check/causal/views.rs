//! Whether every process can have an order of its own: its reads and all writes, each read returning the last write before it.
//! Causal memory (CM) asks that the order keeps causality, PRAM that it keeps the order of each process.
//!
//! What an order must keep grows: where a read of the process returned one write although another one comes before the read, that
//! other write comes before the one returned. The order exists if and only if this ends without a circle and without a write
//! before a read of the initial value (CyclicHB and WriteHBInitRead).

use super::graph::{Because, Graph, Order, Role};
use super::sparse::{self, Base};
use crate::check::explain::causes::Finding;
use rayon::prelude::*;

/// A process without such an order. On a finding, `order` is what that process' order would have to keep.
///
/// # Errors
/// If it takes more than so many entries of clocks, in equal parts for the processes of many operations, to decide.
pub(super) fn check(graph: &Graph, order: &mut Order, causal: bool, entries: u64) -> Result<Option<Finding>, ()> {
    let long = (0..graph.processes as u32)
        .filter(|process| !sparse::is_worth_it(graph, *process))
        .count();
    let allowance = entries / (long as u64).max(1);
    // The clocks of causal order serve all processes; a process of few operations mostly needs no more.
    let sorted = if causal {
        order.sorted().unwrap_or_default()
    } else {
        Vec::new()
    };
    let clocks = if causal {
        order.clocks(graph, &sorted)
    } else {
        Vec::new()
    };
    let of_process = |process: u32| {
        if sparse::is_worth_it(graph, process) {
            let base = if causal {
                Base::Causal(&clocks)
            } else {
                Base::pram(graph, process)
            };
            if sparse::has_view(graph, &base, process) {
                return None;
            }
        }
        let mut view = if causal {
            order.clone()
        } else {
            Order::of(graph, Some(process))
        };
        match view_of(graph, &mut view, process, allowance) {
            Ok(None) => None,
            found => Some((found, view)),
        }
    };
    let found: Vec<_> = (0..graph.processes as u32)
        .into_par_iter()
        .filter_map(of_process)
        .collect();
    let mut tired = false;
    for (found, view) in found {
        match found {
            Ok(finding) => {
                *order = view;
                return Ok(finding);
            }
            Err(()) => tired = true,
        }
    }
    if tired { Err(()) } else { Ok(None) }
}

pub(super) fn view_of(graph: &Graph, view: &mut Order, process: u32, allowance: u64) -> Result<Option<Finding>, ()> {
    let width = graph.chains.len();
    let mut spent = 0;
    let mine = &graph.chains[process as usize];
    for round in 1.. {
        let sorted = match view.sorted() {
            Ok(sorted) => sorted,
            Err(left) => {
                let circle = view.circle(&left);
                return Ok(Some(Finding::Circle {
                    circle,
                    process: Some(process),
                }));
            }
        };
        spent += (graph.nodes.len() * width) as u64;
        if spent > allowance {
            return Err(());
        }
        let clocks = view.clocks(graph, &sorted);
        let mut grown = false;
        for read in mine {
            let node = graph.nodes[*read as usize];
            let Role::Read(source) = node.role else { continue };
            let past = &clocks[*read as usize * width..][..width];
            for chain in graph.writers(node.key) {
                let Some(older) = graph.last_write(node.key, chain, past[chain as usize]) else {
                    continue;
                };
                let Some(source) = source else {
                    return Ok(Some(Finding::InitialRead {
                        read: *read,
                        newer: older,
                        process: Some(process),
                    }));
                };
                let of = graph.nodes[older as usize];
                let known = clocks[source as usize * width + of.chain as usize] > of.index;
                if older != source && !known {
                    grown |= view.add(older, source, Because::Newer(*read), round);
                }
            }
        }
        if !grown {
            return Ok(None);
        }
    }
    unreachable!("the rounds end: each adds an edge between two writes")
}
