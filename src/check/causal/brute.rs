//! The weaker models by brute force, from their definitions alone: every causal order, every order of operations, every view.

use crate::check::Model;
use crate::check::history::{Action, History, Operation, Outcome, Saw, Val};

/// An operation, its process, its key, and the value that it wrote, or that it returned.
type Done = (Operation, u32, u32, Option<Val>, Option<Val>);

/// A small history of reads and writes: who did what, in the order of invocations.
#[derive(Debug, Clone)]
pub(super) struct Small {
    operations: Vec<Done>,
    initial: Val,
}

impl Small {
    /// All that may have happened: with and without each write of unknown outcome.
    pub(super) fn all(history: &History) -> Vec<Self> {
        let mut sure = Vec::new();
        let mut unsure = Vec::new();
        for of in history.operations() {
            let key = of.action.key().expect("a register").0;
            let entry = match of.action {
                Action::Write { value, .. } => (*of, of.process, key, Some(value), None),
                Action::Read {
                    saw: Saw::One(value), ..
                } => (*of, of.process, key, None, Some(value)),
                _ => continue,
            };
            match of.outcome {
                Outcome::Ok => sure.push(entry),
                Outcome::Info if entry.3.is_some() => unsure.push(entry),
                _ => {}
            }
        }
        (0..1 << unsure.len())
            .map(|chosen: u32| {
                let some = unsure
                    .iter()
                    .enumerate()
                    .filter(|(at, _)| chosen >> at & 1 == 1)
                    .map(|(_, of)| *of);
                let mut operations: Vec<_> = sure.iter().copied().chain(some).collect();
                operations.sort_by_key(|of| of.0.invoked);
                Self {
                    operations,
                    initial: history.initial(),
                }
            })
            .collect()
    }

    pub(super) fn len(&self) -> usize {
        self.operations.len()
    }

    /// The order of each process: nothing comes after an operation of unknown outcome.
    fn process_order(&self, a: usize, b: usize) -> bool {
        let (one, other) = (&self.operations[a], &self.operations[b]);
        a < b && one.1 == other.1 && one.0.outcome == Outcome::Ok
    }

    /// Whether some order of the operations in `of` that keeps `before` gives each read in `right` what it returned.
    fn some_order(&self, of: u32, right: u32, before: &dyn Fn(usize, usize) -> bool) -> bool {
        self.order_from(of, right, before, &mut Vec::new())
    }

    fn order_from(
        &self,
        left: u32,
        right: u32,
        before: &dyn Fn(usize, usize) -> bool,
        placed: &mut Vec<usize>,
    ) -> bool {
        if left == 0 {
            return true;
        }
        for at in 0..self.len() {
            let waits = |other: usize| left >> other & 1 == 1 && other != at && before(other, at);
            if left >> at & 1 == 0 || (0..self.len()).any(waits) {
                continue;
            }
            let (_, _, key, _, returned) = self.operations[at];
            if let Some(returned) = returned
                && right >> at & 1 == 1
            {
                let last = placed
                    .iter()
                    .rev()
                    .find(|of| self.operations[**of].2 == key && self.operations[**of].3.is_some());
                let holds = last.map_or(Some(self.initial), |of| self.operations[*of].3);
                if holds != Some(returned) {
                    continue;
                }
            }
            placed.push(at);
            let found = self.order_from(left & !(1 << at), right, before, placed);
            placed.pop();
            if found {
                return true;
            }
        }
        false
    }

    fn pram(&self) -> bool {
        self.processes().all(|process| {
            let mine = |at: usize| self.operations[at].1 == process && self.operations[at].4.is_some();
            let reads = self.set(&mine);
            let of = reads | self.set(&|at| self.operations[at].3.is_some());
            self.some_order(of, reads, &|a, b| self.process_order(a, b))
        })
    }

    fn processes(&self) -> impl Iterator<Item = u32> + '_ {
        0..=self.operations.iter().map(|of| of.1).max().unwrap_or(0)
    }

    fn set(&self, of: &dyn Fn(usize) -> bool) -> u32 {
        (0..self.len()).filter(|at| of(*at)).map(|at| 1 << at).sum()
    }

    /// Whether a causal order, as sets of causes, makes the history what `model` asks for.
    fn with_causes(&self, causes: &[u32], model: Model) -> bool {
        let before = |a: usize, b: usize| causes[b] >> a & 1 == 1;
        let reads = |at: &usize| self.operations[*at].4.is_some();
        match model {
            Model::WeakCausal => (0..self.len())
                .filter(reads)
                .all(|read| self.some_order(causes[read] | 1 << read, 1 << read, &before)),
            Model::Causal => (0..self.len()).all(|of| {
                let mine = |at: usize| self.operations[at].4.is_some() && (at == of || self.process_order(at, of));
                self.some_order(causes[of] | 1 << of, self.set(&mine), &before)
            }),
            _ => {
                // An arbitration of all operations, from which each read takes the last write among its causes.
                let all = (1u32 << self.len()) - 1;
                self.arbitrated(all, causes, &mut Vec::new())
            }
        }
    }

    fn arbitrated(&self, left: u32, causes: &[u32], placed: &mut Vec<usize>) -> bool {
        if left == 0 {
            return true;
        }
        for at in 0..self.len() {
            if left >> at & 1 == 0 || causes[at] & left != 0 {
                continue;
            }
            if let (_, _, key, _, Some(returned)) = self.operations[at] {
                let seen = |of: &&usize| {
                    causes[at] >> **of & 1 == 1 && self.operations[**of].2 == key && self.operations[**of].3.is_some()
                };
                let holds = placed
                    .iter()
                    .rev()
                    .find(seen)
                    .map_or(Some(self.initial), |of| self.operations[*of].3);
                if holds != Some(returned) {
                    continue;
                }
            }
            placed.push(at);
            let found = self.arbitrated(left & !(1 << at), causes, placed);
            placed.pop();
            if found {
                return true;
            }
        }
        false
    }

    /// Tries every causal order: every strict partial order that keeps the order of each process.
    fn some_causes(&self, model: Model) -> bool {
        let least: Vec<u32> = (0..self.len())
            .map(|b| self.set(&|a| self.process_order(a, b)))
            .collect();
        partial_orders(self.len()).iter().any(|causes| {
            causes.iter().zip(&least).all(|(of, least)| of & least == *least) && self.with_causes(causes, model)
        })
    }

    /// The write that a read returned.
    fn source(&self, read: usize) -> Option<usize> {
        let (_, _, key, _, returned) = self.operations[read];
        (0..self.len())
            .find(|at| self.operations[*at].2 == key && self.operations[*at].3 == returned && returned.is_some())
    }

    /// Whether nothing is read before its causes.
    fn has_causes(&self) -> bool {
        let mut after = vec![0u32; self.len()];
        for (b, set) in after.iter_mut().enumerate() {
            *set =
                self.set(&|a| self.process_order(a, b) || self.operations[b].4.is_some() && self.source(b) == Some(a));
        }
        for _ in 0..self.len() {
            for b in 0..self.len() {
                after[b] = (0..self.len())
                    .filter(|a| after[b] >> a & 1 == 1)
                    .fold(after[b], |all, a| all | after[a]);
            }
        }
        (0..self.len()).all(|at| after[at] >> at & 1 == 0)
    }

    fn session(&self, model: Model) -> bool {
        self.has_causes() && self.processes().all(|process| self.has_view(process, model))
    }

    /// Tries every order of all writes as the view of a process.
    fn has_view(&self, process: u32, model: Model) -> bool {
        let writes: Vec<usize> = (0..self.len()).filter(|at| self.operations[*at].3.is_some()).collect();
        self.view_from(&writes, &mut Vec::new(), process, model)
    }

    fn view_from(&self, writes: &[usize], placed: &mut Vec<usize>, process: u32, model: Model) -> bool {
        if placed.len() == writes.len() {
            return self.is_view(placed, process, model);
        }
        for write in writes {
            if placed.contains(write) {
                continue;
            }
            placed.push(*write);
            let found = self.view_from(writes, placed, process, model);
            placed.pop();
            if found {
                return true;
            }
        }
        false
    }

    fn is_view(&self, view: &[usize], process: u32, model: Model) -> bool {
        let place = |write: usize| view.iter().position(|of| *of == write).expect("all writes are there");
        let same_key = |a: usize, b: usize| self.operations[a].2 == self.operations[b].2;
        let reads = |at: &usize| self.operations[*at].4.is_some();
        let writes = |at: &usize| self.operations[*at].3.is_some();
        // What every view keeps.
        for write in (0..self.len()).filter(writes) {
            for earlier in
                (0..self.len()).filter(|earlier| self.process_order(*earlier, write) && same_key(*earlier, write))
            {
                let first = if self.operations[earlier].3.is_some() {
                    Some(earlier)
                } else {
                    self.source(earlier)
                };
                let of_process = self.operations[write].1 == process || model == Model::WritesFollowReads;
                let counts = self.operations[earlier].3.is_some() || of_process;
                if let Some(first) = first
                    && counts
                    && first != write
                    && place(first) > place(write)
                {
                    return false;
                }
            }
        }
        (0..self.len())
            .filter(reads)
            .filter(|read| self.operations[*read].1 == process)
            .all(|read| {
                let source = self.source(read);
                let must = self.must_have_seen(read, model);
                must.into_iter()
                    .filter(|older| same_key(*older, read) && Some(*older) != source)
                    .all(|older| source.is_some_and(|source| place(older) < place(source)))
            })
    }

    /// The writes that a read must have seen besides the one that it returned.
    fn must_have_seen(&self, read: usize, model: Model) -> Vec<usize> {
        let earlier = |of: usize| (0..self.len()).filter(move |at| self.process_order(*at, of));
        let is_read = |at: &usize| self.operations[*at].4.is_some();
        let is_write = |at: &usize| self.operations[*at].3.is_some();
        let observed = || {
            earlier(read)
                .filter(is_read)
                .chain([read])
                .filter_map(|of| self.source(of))
        };
        match model {
            Model::ReadYourWrites => earlier(read).filter(is_write).collect(),
            Model::MonotonicReads => earlier(read).filter(is_read).filter_map(|of| self.source(of)).collect(),
            Model::MonotonicWrites => observed()
                .flat_map(|seen| earlier(seen).filter(is_write).collect::<Vec<_>>())
                .collect(),
            _ => {
                let mut all: Vec<usize> = observed().collect();
                let mut must = Vec::new();
                while let Some(write) = all.pop() {
                    // Everything that comes before the write by way of its process and of reads.
                    for of in self.past(write).into_iter().filter(|of| is_read(of)) {
                        if let Some(source) = self.source(of)
                            && !must.contains(&source)
                        {
                            must.push(source);
                            all.push(source);
                        }
                    }
                }
                must
            }
        }
    }

    /// What comes before a write in its process.
    fn past(&self, write: usize) -> Vec<usize> {
        (0..self.len()).filter(|at| self.process_order(*at, write)).collect()
    }
}

/// All strict partial orders of so many things, as the set of what comes before each.
pub(super) fn partial_orders(count: usize) -> &'static [Vec<u32>] {
    static ALL: std::sync::OnceLock<Vec<Vec<Vec<u32>>>> = std::sync::OnceLock::new();
    let all = ALL.get_or_init(|| {
        let mut all = vec![vec![Vec::new()]];
        for count in 1..=5usize {
            // A new thing comes after a set that holds its members' pasts, and before a set that holds its members' futures.
            let mut more = std::collections::BTreeSet::new();
            for old in &all[count - 1] {
                for below in 0..1u32 << (count - 1) {
                    for above in 0..1u32 << (count - 1) {
                        let mut new = old.clone();
                        new.push(below);
                        for (at, before) in new.iter_mut().enumerate().take(count - 1) {
                            if above >> at & 1 == 1 {
                                *before |= 1 << (count - 1);
                            }
                        }
                        if is_order(&new) {
                            more.insert(new);
                        }
                    }
                }
            }
            all.push(more.into_iter().collect());
        }
        all
    });
    &all[count]
}

fn is_order(before: &[u32]) -> bool {
    let inside = |set: u32| (0..before.len()).filter(move |at| set >> at & 1 == 1);
    (0..before.len()).all(|at| before[at] >> at & 1 == 0 && inside(before[at]).all(|of| before[of] & !before[at] == 0))
}

/// Whether a history keeps a model.
pub(super) fn brute(history: &History, model: Model) -> bool {
    let written = |value: Val| {
        history
            .operations()
            .iter()
            .any(|of| of.may_count() && matches!(of.action, Action::Write { value: other, .. } if other == value))
    };
    Small::all(history).iter().any(|small| {
        let known = small
            .operations
            .iter()
            .all(|of| of.4.is_none_or(|value| value == small.initial || written(value)));
        known
            && match model {
                Model::Pram => small.pram() && small.has_causes(),
                Model::WeakCausal | Model::Causal | Model::CausalConvergence => small.some_causes(model),
                _ => {
                    let sourced = (0..small.len()).all(|at| {
                        let returned = small.operations[at].4;
                        returned.is_none() || returned == Some(small.initial) || small.source(at).is_some()
                    });
                    sourced && small.session(model)
                }
            }
    })
}
