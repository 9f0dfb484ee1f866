//! Whether the transactions have an order that keeps what the reads show of it.
//!
//! For each key, groups of elements that one transaction appended side by side have a number. A transaction that saw the list up to
//! group g comes after those who appended up to there, and before those who appended later. Between the groups stand barriers, so
//! that there are no more edges than operations and elements.

use super::build::{Logs, UNSEEN};
use super::finding::Finding;
use super::visible::causes;
use crate::check::causal::graph::{Because, Order};
use crate::check::explain::{Words, of_key};
use crate::check::history::{Key, NEVER};

/// What the order has to keep besides what the reads show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeps {
    /// Who returned before another one was invoked comes first.
    RealTime,
    /// The order of each process.
    Processes,
    /// The order of each process; but who read something needn't come before who replaced it.
    Causes,
    /// The same, and who appended needn't come before who appended behind it.
    CausesAlone,
    /// Nothing; and who read something needn't come before who replaced it.
    Nothing,
}

impl Keeps {
    /// Whether reads come before the appends that they don't show.
    fn reads_first(self) -> bool {
        matches!(self, Self::RealTime | Self::Processes)
    }

    fn appends_in_order(self) -> bool {
        self != Self::CausesAlone
    }
}

/// What a node is that is no transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Barrier {
    /// All appends up to a group of a key are done.
    Done(Key),
    /// All reads up to a group of a key are done.
    Read(Key),
    /// Real time.
    Clock,
}

struct Graph<'a, 'b> {
    logs: &'b Logs<'a>,
    /// With what all processes read, where `logs` has what one of them did.
    all: &'b Logs<'a>,
    order: Order,
    barriers: Vec<Barrier>,
}

/// A circle, if there is one, or a read of a part of what a transaction appended.
pub(super) fn check(logs: &Logs<'_>, keeps: Keeps) -> Option<Finding> {
    check_more(logs, logs, keeps, false)
}

/// As [`check`], of what one process saw: it keeps the order of each process, and if `causal` also who read what, of all.
pub(super) fn check_view(view: &Logs<'_>, all: &Logs<'_>, causal: bool) -> Option<Finding> {
    check_more(view, all, Keeps::Processes, causal)
}

fn check_more(logs: &Logs<'_>, all: &Logs<'_>, keeps: Keeps, causal: bool) -> Option<Finding> {
    let mut graph = Graph {
        logs,
        // What others read is no evidence for what one process saw, unless all goes by it.
        all: if causal { all } else { logs },
        order: Order {
            before: vec![Vec::new(); logs.txns.len()],
        },
        barriers: Vec::new(),
    };
    match keeps {
        Keeps::RealTime => graph.keep_real_time(),
        Keeps::Nothing => {}
        _ => graph.keep_processes(),
    }
    if causal {
        for txn in 0..all.txns.len() as u32 {
            for cause in causes(all, txn) {
                graph.edge(cause, txn);
            }
        }
    }
    let is_set = !logs.are_lists;
    if is_set && !keeps.reads_first() {
        graph.keep_seen();
    } else {
        // Elements by key and place, with reads by key.
        let mut appends: Vec<(Key, u32, u32)> = logs
            .elements
            .iter()
            .filter(|of| of.txn != u32::MAX)
            .map(|of| (of.key, of.level, of.txn))
            .collect();
        appends.sort_unstable();
        let mut reads: Vec<(Key, u32, u32)> = Vec::new();
        for (txn, of) in logs.txns.iter().enumerate() {
            reads.extend(of.reads.iter().map(|seen| (seen.key, seen.level, txn as u32)));
        }
        reads.sort_unstable();
        let mut from = 0;
        for of in appends.chunk_by(|a, b| a.0 == b.0) {
            let key = of[0].0;
            from += reads[from..].partition_point(|read| read.0 < key);
            let end = from + reads[from..].partition_point(|read| read.0 == key);
            if let Some(finding) = graph.keep_key(key, of, &reads[from..end], keeps, is_set) {
                return Some(finding);
            }
            from = end;
        }
    }
    let left = graph.order.sorted().err()?;
    Some(graph.circle(&left))
}

impl Graph<'_, '_> {
    fn node(&mut self, barrier: Barrier) -> u32 {
        self.barriers.push(barrier);
        self.order.before.push(Vec::new());
        self.order.before.len() as u32 - 1
    }

    /// Adds an edge, perhaps again.
    fn edge(&mut self, first: u32, second: u32) {
        self.order.before[second as usize].push((first, Because::Process, 0));
    }

    fn keep_processes(&mut self) {
        for (txn, of) in self.logs.txns.iter().enumerate() {
            if let Some(before) = of.before {
                self.order.before[txn].push((before, Because::Process, 0));
            }
        }
    }

    /// A line of points in time, one for each response: who returned by then comes before it, who was invoked later after it.
    fn keep_real_time(&mut self) {
        let operations = self.logs.history.operations();
        let mut events: Vec<(u32, bool, u32)> = Vec::new();
        for (txn, of) in self.logs.txns.iter().enumerate() {
            let operation = &operations[of.op as usize];
            events.push((operation.invoked, false, txn as u32));
            if operation.returned != NEVER {
                events.push((operation.returned, true, txn as u32));
            }
        }
        events.sort_unstable();
        let mut last = None;
        for (_, returns, txn) in events {
            if returns {
                let point = self.node(Barrier::Clock);
                self.edge(txn, point);
                if let Some(last) = last {
                    self.edge(last, point);
                }
                last = Some(point);
            } else if let Some(last) = last {
                self.edge(last, txn);
            }
        }
    }

    /// Who saw an element of a set comes after who added it. Of each process' adds the last one says it all.
    fn keep_seen(&mut self) {
        let logs = self.logs;
        for (txn, of) in logs.txns.iter().enumerate() {
            for seen in &of.reads {
                let mut adders: Vec<(u32, u32, u32)> = seen
                    .elements
                    .iter()
                    .map(|element| {
                        let adder = logs.elements[*element as usize].txn;
                        let of = &logs.txns[adder as usize];
                        (of.chain, u32::MAX - of.index, adder)
                    })
                    .collect();
                adders.sort_unstable();
                adders.dedup_by_key(|of| of.0);
                for (_, _, adder) in adders {
                    self.edge(adder, txn as u32);
                }
            }
        }
    }

    /// Adds the edges of one key.
    fn keep_key(
        &mut self,
        key: Key,
        appends: &[(Key, u32, u32)],
        reads: &[(Key, u32, u32)],
        keeps: Keeps,
        is_set: bool,
    ) -> Option<Finding> {
        let seen = &appends[..appends.partition_point(|of| of.1 != UNSEEN)];
        let unseen = &appends[seen.len()..];
        let last_level = seen.last().map_or(0, |of| of.1) as usize;
        // The group of each level: neighbours that one transaction appended are one.
        let mut groups = vec![0usize; last_level + 1];
        let mut members: Vec<Vec<u32>> = vec![Vec::new()];
        let mut previous = None;
        for (_, level, txn) in seen {
            let is_new = if is_set {
                members.len() - 1 < *level as usize
            } else {
                previous != Some(*txn)
            };
            if is_new {
                members.push(Vec::new());
            }
            let group = members.len() - 1;
            groups[*level as usize] = group;
            if members[group].last() != Some(txn) {
                members[group].push(*txn);
            }
            previous = Some(*txn);
        }
        if keeps.reads_first() && !is_set {
            // Who saw a part of what another one appended at once saw what never was.
            for (_, level, txn) in reads {
                let here = groups[*level as usize];
                let Some(writer) = members[here].first() else { continue };
                let goes_on = match groups.get(*level as usize + 1) {
                    Some(next) => *next == here,
                    None => unseen.binary_search_by_key(writer, |of| of.2).is_ok(),
                };
                if goes_on && writer != txn {
                    return Some(self.intermediate(key, *txn, *writer));
                }
            }
        }
        let mut done: Vec<u32> = Vec::with_capacity(members.len());
        let mut read: Vec<u32> = Vec::with_capacity(members.len());
        for (group, appenders) in members.iter().enumerate() {
            let barrier = self.node(Barrier::Done(key));
            done.push(barrier);
            for txn in appenders {
                self.edge(*txn, barrier);
            }
            if keeps.reads_first() {
                let after = self.node(Barrier::Read(key));
                self.edge(barrier, after);
                read.push(after);
            }
            if group > 0 {
                let earlier = if keeps.reads_first() {
                    read[group - 1]
                } else {
                    done[group - 1]
                };
                if keeps.appends_in_order() {
                    for txn in appenders {
                        self.edge(earlier, *txn);
                    }
                } else {
                    self.edge(earlier, barrier);
                }
            }
        }
        let last = members.len() - 1;
        for (_, level, txn) in reads {
            let group = groups[*level as usize];
            self.edge(done[group], *txn);
            // A transaction doesn't come before itself.
            let is_next = members
                .get(group + 1)
                .is_some_and(|next| next.binary_search(txn).is_ok());
            let is_unseen = group == last && unseen.binary_search_by_key(txn, |of| of.2).is_ok();
            if keeps.reads_first() && !is_next && !is_unseen {
                self.edge(*txn, read[group]);
            }
        }
        if keeps.appends_in_order() {
            let before = if keeps.reads_first() { read[last] } else { done[last] };
            let mut appenders: Vec<u32> = unseen.iter().map(|of| of.2).collect();
            appenders.dedup();
            for txn in &appenders {
                // What a transaction appended in part unseen comes behind what was seen of it.
                if members[last].binary_search(txn).is_err() {
                    self.edge(before, *txn);
                }
            }
            if keeps.reads_first() {
                self.keep_last(reads, &groups, last, &appenders);
            }
        }
        None
    }

    /// Transactions that saw the whole list and appended to it, unseen, come before all others that did so unseen: of two of them,
    /// each before the other.
    fn keep_last(&mut self, reads: &[(Key, u32, u32)], groups: &[usize], last: usize, unseen: &[u32]) {
        let both = reads
            .iter()
            .filter(|of| groups[of.1 as usize] == last)
            .map(|of| of.2)
            .filter(|txn| unseen.binary_search(txn).is_ok());
        let both: Vec<u32> = both.take(2).collect();
        for txn in &both {
            let others: Vec<u32> = if both.len() == 2 { both.clone() } else { unseen.to_vec() };
            for other in others {
                if other != *txn {
                    self.edge(*txn, other);
                }
            }
        }
    }

    fn intermediate(&self, key: Key, reader: u32, writer: u32) -> Finding {
        let logs = self.logs;
        let (reader, writer) = (logs.op(reader), logs.op(writer));
        let words = Words(logs.history);
        let why = format!(
            "{} saw a part of what {} appended at once{}",
            words.noun(reader),
            words.noun(writer),
            of_key(logs.history, key).replacen("of", "to", 1)
        );
        let longest = logs.longest.iter().find(|of| of.0 == key).map(|of| logs.op(of.1));
        Finding {
            kind: "intermediate read (G1b)",
            why,
            operations: [reader, writer].into_iter().chain(longest).collect(),
            marked: vec![reader, writer],
            key: Some(key),
            is_shown_whole: false,
        }
    }

    /// A circle in words.
    fn circle(&self, left: &[u32]) -> Finding {
        let circle = self.order.circle(left);
        let count = self.logs.txns.len() as u32;
        let nodes: Vec<u32> = circle.iter().map(|edge| edge.0).collect();
        let first = nodes
            .iter()
            .position(|node| *node < count)
            .expect("barriers alone make no circle");
        let turned: Vec<u32> = nodes[first..].iter().chain(&nodes[..first]).copied().collect();
        // From transaction to transaction, with the barriers between them.
        let mut links: Vec<(u32, u32, Option<Barrier>)> = Vec::new();
        let (mut from, mut kind) = (turned[0], None);
        for node in turned[1..].iter().copied().chain([turned[0]]) {
            if node >= count {
                kind = Some(self.barriers[(node - count) as usize]);
            } else {
                links.push((from, node, kind));
                (from, kind) = (node, None);
            }
        }
        let mut told = Telling {
            logs: self.logs,
            all: self.all,
            evidence: Vec::new(),
            anti: 0,
            reads: 0,
            key: None,
        };
        let real_time = links.len() == 2 && links.iter().any(|link| link.2 == Some(Barrier::Clock));
        let links: Vec<String> = links.iter().map(|link| told.link(link)).collect();
        let mut operations: Vec<usize> = turned
            .iter()
            .filter(|node| **node < count)
            .map(|txn| self.logs.op(*txn))
            .collect();
        let marked = operations.clone();
        operations.extend(&told.evidence);
        let is_set = !self.logs.are_lists;
        let kind = match (is_set, told.anti, told.reads) {
            (_, 1, 0) if real_time => "stale read",
            (true, ..) => "no legal order",
            (_, 0, 0) => "write cycle (G0)",
            (_, 0, _) => "circular information flow (G1c)",
            (_, 1, _) => "read skew (G-single)",
            _ => "anti-dependency cycle (G2)",
        };
        Finding {
            kind,
            why: format!("no order has all of this: {}", links.join("; ")),
            operations,
            marked,
            key: told.key,
            is_shown_whole: false,
        }
    }
}

/// Puts links of a circle into words.
struct Telling<'a, 'b> {
    logs: &'b Logs<'a>,
    all: &'b Logs<'a>,
    /// Further operations that show what a link says.
    evidence: Vec<usize>,
    anti: u32,
    reads: u32,
    key: Option<Key>,
}

impl Telling<'_, '_> {
    fn link(&mut self, (first, second, barrier): &(u32, u32, Option<Barrier>)) -> String {
        let logs = self.logs;
        let history = logs.history;
        let (one, two) = (logs.op(*first), logs.op(*second));
        let (name, other) = (history.name(one), history.name(two));
        match barrier {
            None if logs.txns[*second as usize].before == Some(*first) => {
                let process = history.processes()[history.operations()[two].process as usize];
                format!("process {process} ran {name} before {other}")
            }
            Some(Barrier::Clock) => format!("{name} was over before {other} was invoked"),
            None => self.seen(*first, *second, None),
            Some(Barrier::Done(key) | Barrier::Read(key)) => {
                self.key = Some(*key);
                self.seen(*first, *second, Some(*key))
            }
        }
    }

    /// What orders two transactions at a key.
    fn seen(&mut self, first: u32, second: u32, key: Option<Key>) -> String {
        let logs = self.logs;
        let history = logs.history;
        let (name, other) = (history.name(logs.op(first)), history.name(logs.op(second)));
        let on_key = |of: Key| key.is_none_or(|key| key == of);
        let appended = |txn: u32| {
            let elements = logs.txns[txn as usize].appends.iter();
            elements
                .map(|element| (*element, logs.elements[*element as usize]))
                .filter(move |of| on_key(of.1.key))
        };
        let value = |element: u32| history.value(logs.elements[element as usize].value).to_string();
        let words = |key: Key| of_key(history, key);
        // The second read what the first appended.
        for (element, of) in appended(first) {
            let reads = self.all.txns[second as usize].reads.iter();
            if reads
                .clone()
                .any(|seen| seen.key == of.key && seen.elements.binary_search(&element).is_ok())
            {
                self.reads += 1;
                self.key = Some(of.key);
                return format!(
                    "{other} read {}{}, which {name} put there",
                    value(element),
                    words(of.key)
                );
            }
        }
        // The first read a list without what the second appended.
        for (element, of) in appended(second) {
            let reads = logs.txns[first as usize].reads.iter();
            if reads
                .clone()
                .any(|seen| seen.key == of.key && seen.elements.binary_search(&element).is_err())
            {
                self.anti += 1;
                self.key = Some(of.key);
                let longest = logs.longest.iter().find(|longest| longest.0 == of.key);
                self.evidence.extend(longest.map(|longest| logs.op(longest.1)));
                return format!(
                    "{name} didn't see {}{}, which {other} put there",
                    value(element),
                    words(of.key)
                );
            }
        }
        // Both appended, one behind the other.
        let behind = appended(second).max_by_key(|of| of.1.level);
        let before = appended(first).min_by_key(|of| of.1.level);
        match (before, behind) {
            (Some((a, of)), Some((b, _))) => {
                let longest = logs.longest.iter().find(|longest| longest.0 == of.key).map(|of| of.1);
                // Of a set, a read shows the order that holds the one and not the other.
                let shows = |txn: &u32| {
                    let mut reads = logs.txns[*txn as usize].reads.iter();
                    let between = of.level..logs.elements[b as usize].level;
                    reads.any(|seen| seen.key == of.key && between.contains(&seen.level))
                };
                let shown = longest.or_else(|| (0..logs.txns.len() as u32).find(shows));
                self.evidence.extend(shown.map(|txn| logs.op(txn)));
                let by = shown.map(|txn| history.name(logs.op(txn))).unwrap_or_default();
                let list = if by.is_empty() {
                    String::new()
                } else {
                    format!(", as {by} shows")
                };
                format!(
                    "{other} put {} behind {} of {name}{}{list}",
                    value(b),
                    value(a),
                    words(of.key)
                )
            }
            _ => format!("{name} comes before {other}"),
        }
    }
}
