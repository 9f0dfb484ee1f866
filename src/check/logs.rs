//! Histories of lists that are appended to, and of sets that are only added to: a read shows all that is visible, so that the
//! order of what happened can be inferred from the reads.
//!
//! After Kingsbury and Alvaro, "Elle: inferring isolation anomalies from experimental observations" (2020), for lists; sets are a
//! simpler case, with single operations. Every element is appended once to its list. A list only grows at its end, so all reads of
//! it are beginnings of the longest one, which is the order of the appends; what no read shows comes behind. Of a set, all reads
//! that one order of operations explains hold one another.
//!
//! - `linearizable` and `sequential`: there is an order of all transactions if and only if real time (or the order of each process)
//!   makes no circle with "is read by", "is appended behind" and "is read before".
//! - `pram`: the same for all appends and the reads of one process, for each process; and nothing is read before its cause.
//! - `causal`: the same, where each process' order also keeps who read what of whom.
//! - `causal-convergence`: a transaction sees all appends in its causal past, and causes make no circle with the order of appends.
//!   (For sets, which show no order, all causal models are the same.)
//! - `read-atomic`: who sees one append of a transaction sees all of them, and "is read by" and "is appended behind" make no circle.
//! - the session guarantees: reads hold what they must have seen.

mod build;
mod finding;
mod levels;
mod order;
mod telling;
#[cfg(test)]
mod tests;
mod visible;

use super::explain::Violation;
use super::explain::shrink::shrink;
use super::history::History;
use super::linearizable::Answer;
use super::models::Model;
use build::Logs;
use finding::Finding;
use rayon::prelude::*;

/// How many trials there are to find a smaller part.
const TRIALS: usize = 2_000;

/// Whether a history of sets can be judged in this way: nothing is removed, and nothing is added twice.
pub(in crate::check) fn applies_to_sets(history: &History) -> bool {
    build::adds_once(history)
}

/// Judges a history of transactions, or of sets to which [`applies_to_sets`] applies.
pub(in crate::check) fn check(history: &History, model: Model) -> Answer {
    match find(history, model) {
        Err(why) => Answer::Unknown(why),
        Ok(None) => Answer::Holds,
        Ok(Some(finding)) => Answer::Violated(Box::new(violation(history, model, &finding))),
    }
}

/// What breaks the model. `Err` says why it can't be decided.
pub(in crate::check) fn find(history: &History, model: Model) -> Result<Option<Finding>, String> {
    let logs = match Logs::of(history, model)? {
        Ok(logs) => logs,
        Err(finding) => return Ok(Some(finding)),
    };
    Ok(match model {
        Model::Linearizable => order::check(&logs, order::Keeps::RealTime),
        Model::Sequential => order::check(&logs, order::Keeps::Processes),
        Model::Pram => order::check(&logs, order::Keeps::CausesAlone).or_else(|| views(&logs, false)),
        Model::Causal if logs.are_lists => {
            order::check(&logs, order::Keeps::CausesAlone).or_else(|| views(&logs, true))
        }
        Model::ReadAtomic => order::check(&logs, order::Keeps::Nothing).or_else(|| visible::fractured(&logs)),
        Model::Causal | Model::CausalConvergence | Model::WeakCausal => {
            match order::check(&logs, order::Keeps::Causes) {
                Some(finding) => Some(finding),
                None => visible::causes_missed(&logs)?,
            }
        }
        _ => match order::check(&logs, order::Keeps::CausesAlone) {
            Some(finding) => Some(finding),
            None => visible::session(&logs, model)?,
        },
    })
}

/// A process that can't have an order of its own, of its reads and all appends: one that keeps the order of each process, or even
/// what was read by all.
fn views(logs: &Logs<'_>, causal: bool) -> Option<Finding> {
    (0..logs.processes as u32).into_par_iter().find_map_first(|process| {
        let mut view = logs.seen_by(process);
        view.level(process).or_else(|| order::check_view(&view, logs, causal))
    })
}

/// The violation that a finding shows, reduced to a smallest part: of the reads, only the elements matter whose appends are in it.
fn violation(history: &History, model: Model, finding: &Finding) -> Violation {
    let mut all = finding.operations.clone();
    all.sort_unstable();
    all.dedup();
    let still = |part: &[usize]| {
        let found = find(&build::projected(history, part), model);
        matches!(found, Ok(Some(_))).then(|| part.to_vec())
    };
    let (part, is_minimal) = match finding.is_shown_whole {
        true => (all, true),
        false => match still(&all) {
            Some(all) => shrink(all, TRIALS, still),
            None => (all, false),
        },
    };
    // Told again from the part alone, so that nothing is told of what isn't in it.
    let again = if finding.is_shown_whole {
        None
    } else {
        find(&build::projected(history, &part), model).ok().flatten()
    };
    let (told, marked) = match &again {
        Some(again) => (again, again.marked.iter().map(|at| part[*at]).collect()),
        None => (finding, finding.marked.clone()),
    };
    let mut marked: Vec<usize> = marked;
    marked.sort_unstable();
    marked.dedup();
    Violation {
        kind: told.kind,
        why: told.why.clone(),
        key: finding.key,
        part,
        marked,
        is_minimal,
    }
}
