//! Whether registers keep the weaker models: causal consistency in three strengths, PRAM, and the session guarantees.
//!
//! After Bouajjani, Enea, Guerraoui and Hamza, "On verifying causal consistency" (2017): where each value is written once, a history
//! keeps a model if and only if it is free of certain patterns, which are found in polynomial time. Causal order is the
//! transitive closure of the order of each process and of "the read returned what the write wrote". Sets of causes are kept as
//! vector clocks, one entry for each process.

#[cfg(test)]
mod brute;
pub(in crate::check) mod graph;
mod patterns;
pub(in crate::check) mod sessions;
mod sparse;
#[cfg(test)]
mod tests;
mod views;

use super::explain::causes::{self, Finding};
use super::explain::{Words, of_key};
use super::history::History;
use super::linearizable::Answer;
use super::models::Model;
use graph::{Graph, NoGraph, Order};

/// The most entries of all clocks together.
const MOST_ENTRIES: usize = 1 << 28;

/// Judges a history of reads and writes under one of the weaker models.
pub(in crate::check) fn check(history: &History, model: Model, budget: u64) -> Answer {
    match find(history, model, budget) {
        Ok(None) => Answer::Holds,
        Ok(Some((graph, order, finding))) => {
            Answer::Violated(Box::new(causes::violation(history, model, &graph, &order, &finding)))
        }
        Err(Undecided::Ambiguous(why) | Undecided::TooWide(why)) => Answer::Unknown(why),
        Err(Undecided::Unwritten(read)) => {
            Answer::Violated(Box::new(super::explain::real_time::from_nowhere(history, read)))
        }
    }
}

/// Why no pattern is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::check) enum Undecided {
    /// A read of a value that nothing wrote: a violation of every model.
    Unwritten(usize),
    Ambiguous(String),
    TooWide(String),
}

/// A pattern that breaks the model, with the graph that it was found in.
pub(in crate::check) fn find(
    history: &History,
    model: Model,
    budget: u64,
) -> Result<Option<(Graph, Order, Finding)>, Undecided> {
    let graph = Graph::of(history).map_err(|error| match error {
        NoGraph::Unwritten { read } => Undecided::Unwritten(read as usize),
        NoGraph::Ambiguous { read, one, other } => Undecided::Ambiguous(ambiguous(history, read, one, other)),
    })?;
    if graph.nodes.len().saturating_mul(graph.chains.len()) > MOST_ENTRIES {
        return Err(Undecided::TooWide(format!(
            "{} operations of {} processes take more memory than a judgement may: cut the history",
            graph.nodes.len(),
            graph.chains.len()
        )));
    }
    let mut order = Order::of(&graph, None);
    let sorted = match order.sorted() {
        Ok(sorted) => sorted,
        Err(left) => {
            let circle = order.circle(&left);
            return Ok(Some((graph, order, Finding::Circle { circle, process: None })));
        }
    };
    let finding = match model {
        Model::WeakCausal => patterns::weak(&graph, &order, &sorted),
        Model::CausalConvergence => {
            patterns::weak(&graph, &order, &sorted).or_else(|| patterns::convergence(&graph, &mut order, &sorted))
        }
        Model::Causal => match patterns::weak(&graph, &order, &sorted) {
            Some(finding) => Some(finding),
            None => views::check(&graph, &mut order, true, budget.saturating_mul(ENTRIES)).map_err(|()| tired())?,
        },
        Model::Pram => views::check(&graph, &mut order, false, budget.saturating_mul(ENTRIES)).map_err(|()| tired())?,
        _ => sessions::check(&graph, &mut order, &sorted, model),
    };
    Ok(finding.map(|finding| (graph, order, finding)))
}

/// How many entries of clocks count as a step.
const ENTRIES: u64 = 64;

fn tired() -> Undecided {
    Undecided::TooWide("the step budget (--budget) was used up before the orders of all processes were found".into())
}

fn ambiguous(history: &History, read: u32, one: u32, other: Option<u32>) -> String {
    let words = Words(history);
    let key = history.operations()[read as usize].action.key();
    let key = key.map(|key| of_key(history, key)).unwrap_or_default();
    let second = match other {
        Some(other) => words.noun(other as usize),
        None => "the initial value".into(),
    };
    format!(
        "{}{key}, which both {} and {second} may have put there: the weaker models are decided where every value that is read is \
         written once",
        words.did(read as usize),
        words.noun(one as usize),
    )
}
