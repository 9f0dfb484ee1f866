//! The order of the elements of each list and set, as the reads show it.

use super::build::{Logs, UNSEEN, micros, whole};
use super::finding::Finding;
use super::telling::shown;
use crate::check::explain::{Words, of_key};
use crate::check::history::{Key, Micro, Outcome, Val};
use crate::check::models::Model;

impl Logs<'_> {
    /// Finds the order of each list, as all reads or those of one process show it: they are beginnings of the longest.
    pub(super) fn order_lists(&mut self, process: Option<u32>) -> Option<Finding> {
        let history = self.history;
        self.longest.clear();
        for element in &mut self.elements {
            element.level = UNSEEN;
        }
        // The lists as they were read, with what the reader had appended itself: by key, the longest first.
        let mut lists: Vec<(Key, std::cmp::Reverse<usize>, u32, crate::check::history::Span)> = Vec::new();
        for (txn, of) in self.txns.iter().enumerate() {
            let is_told = process.is_none_or(|process| of.chain == process);
            if history.operations()[of.op as usize].outcome != Outcome::Ok || !is_told {
                continue;
            }
            for micro in micros(history, of.op as usize) {
                if let Micro::Read(key, Some(span)) = micro {
                    lists.push((key, std::cmp::Reverse(span.len()), txn as u32, span));
                }
            }
        }
        lists.sort_by_key(|of| (of.0, of.1, of.2));
        for of in lists.chunk_by(|a, b| a.0 == b.0) {
            let (key, _, longest, span) = of[0];
            let list = history.elements(span);
            for (_, _, txn, other) in &of[1..] {
                let other = history.elements(*other);
                if !list.starts_with(other) {
                    let (one, two) = (
                        self.txns[longest as usize].op as usize,
                        self.txns[*txn as usize].op as usize,
                    );
                    let key_words = of_key(history, key);
                    let why = format!(
                        "{} read {}{key_words} and {} read {}: a list only grows at its end, so one of them must begin with the \
                         other",
                        Words(history).noun(one),
                        shown(history, list),
                        Words(history).noun(two),
                        shown(history, other)
                    );
                    return Some(self.with_appenders(
                        whole("incompatible orders", why, vec![one, two], Some(key)),
                        key,
                        [list, other],
                    ));
                }
            }
            for (place, value) in list.iter().enumerate() {
                if let Some(element) = self.element(key, *value) {
                    self.elements[element as usize].level = place as u32 + 1;
                }
            }
            self.longest.push((key, longest));
        }
        self.out_of_order()
    }

    /// A transaction whose appends to one list stand there in another order.
    fn out_of_order(&self) -> Option<Finding> {
        let history = self.history;
        for txn in &self.txns {
            let mut last: Vec<(Key, u32, Val)> = Vec::new();
            for micro in micros(history, txn.op as usize) {
                let Micro::Append(key, value) = micro else { continue };
                let Some(element) = self.element(key, value) else {
                    continue;
                };
                let level = self.elements[element as usize].level;
                match last.iter_mut().find(|of| of.0 == key) {
                    None => last.push((key, level, value)),
                    Some(before) if before.1 > level => {
                        let longest = self.longest.iter().find(|of| of.0 == key).map(|of| self.op(of.1));
                        let why = format!(
                            "{} appended {} before {}{}, but {} shows them in another order",
                            Words(history).noun(txn.op as usize),
                            history.value(before.2),
                            history.value(value),
                            of_key(history, key).replacen("of", "to", 1),
                            longest.map(|op| history.name(op)).unwrap_or_default(),
                        );
                        let operations = longest.into_iter().chain([txn.op as usize]).collect();
                        return Some(whole("appends out of order", why, operations, Some(key)));
                    }
                    Some(before) => (before.1, before.2) = (level, value),
                }
            }
        }
        None
    }

    /// A finding of two lists, with those who appended the first elements in which they differ.
    fn with_appenders(&self, finding: Finding, key: Key, lists: [&[Val]; 2]) -> Finding {
        let differ = lists[0].iter().zip(lists[1]).find(|(a, b)| a != b);
        let values: Vec<Val> = match differ {
            Some((a, b)) => vec![*a, *b],
            None => Vec::new(),
        };
        let mut operations = finding.operations.clone();
        for value in values {
            if let Some(element) = self.element(key, value) {
                operations.push(self.txns[self.elements[element as usize].txn as usize].op as usize);
            }
        }
        Finding {
            operations,
            is_shown_whole: true,
            ..finding
        }
    }

    /// Finds the levels of each set: reads that one order explains hold one another.
    pub(super) fn order_sets(&mut self, model: Model) -> Option<Finding> {
        // Under the weaker models reads needn't be comparable, and levels mean nothing.
        let ordered = matches!(model, Model::Linearizable | Model::Sequential);
        if !ordered {
            return None;
        }
        let all: Vec<u32> = (0..self.txns.len() as u32).collect();
        self.level_sets(&all)
    }

    /// Gives elements and reads of sets their levels, by the reads of these operations alone.
    pub(super) fn level_sets(&mut self, readers: &[u32]) -> Option<Finding> {
        for element in &mut self.elements {
            element.level = UNSEEN;
        }
        let mut reads: Vec<(Key, usize, u32)> = Vec::new();
        for txn in readers {
            if let [seen] = self.txns[*txn as usize].reads.as_slice() {
                reads.push((seen.key, seen.elements.len(), *txn));
            }
        }
        reads.sort_unstable();
        for of in reads.chunk_by(|a, b| a.0 == b.0) {
            let (mut level, mut last): (u32, Option<u32>) = (0, None);
            for (key, size, txn) in of {
                let elements = self.txns[*txn as usize].reads[0].elements.clone();
                if let Some(last) = last {
                    let smaller = &self.txns[last as usize].reads[0].elements;
                    if let Some(missing) = smaller.iter().find(|of| elements.binary_search(of).is_err()) {
                        return Some(self.incomparable(*key, last, *txn, *missing));
                    }
                }
                let before = last.map_or(0, |last| self.txns[last as usize].reads[0].elements.len());
                level += u32::from(*size > before);
                for element in &elements {
                    let known = &mut self.elements[*element as usize].level;
                    *known = (*known).min(level);
                }
                self.txns[*txn as usize].reads[0].level = level;
                last = Some(*txn);
            }
        }
        None
    }

    fn incomparable(&self, key: Key, one: u32, other: u32, missing: u32) -> Finding {
        let history = self.history;
        let (first, second) = (&self.txns[one as usize], &self.txns[other as usize]);
        let extra = second.reads[0]
            .elements
            .iter()
            .find(|of| first.reads[0].elements.binary_search(of).is_err());
        let value = |element: u32| history.value(self.elements[element as usize].value).to_string();
        let op = |txn: u32| self.txns[txn as usize].op as usize;
        let appender = |element: u32| op(self.elements[element as usize].txn);
        let (missing_value, extra) = (value(missing), extra.copied().unwrap_or(missing));
        let why = format!(
            "{} returned {missing_value}{} but not {}, and {} returned {} but not {missing_value}: nothing is ever removed, so one \
             of them must hold all of the other",
            Words(history).noun(op(one)),
            of_key(history, key),
            value(extra),
            Words(history).noun(op(other)),
            value(extra),
        );
        let mut operations = vec![op(one), op(other), appender(missing), appender(extra)];
        operations.sort_unstable();
        operations.dedup();
        Finding {
            kind: "incompatible reads",
            why,
            marked: vec![op(one), op(other)],
            operations,
            key: Some(key),
            is_shown_whole: false,
        }
    }

    /// Gives the elements the places that one process saw.
    pub(super) fn level(&mut self, process: u32) -> Option<Finding> {
        if !self.are_lists {
            let mine = self.chains[process as usize].clone();
            self.level_sets(&mine)
        } else {
            self.order_lists(Some(process))
        }
    }
}
