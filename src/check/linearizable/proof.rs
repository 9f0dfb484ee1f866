//! Parts of an object's history that prove a violation of the whole.
//!
//! A part is a proof if it has no legal order and what was left out can't change that. For registers: reads can always be left
//! out, and a write wherever no kept read can have seen it. A read can have seen a write of its value that was invoked before
//! the read returned, unless a kept write lies wholly between the two. For queues: an element is kept or left out with all that
//! happened to it. Elsewhere only reads are left out.

use super::objects::{Call, Kind};
use super::{Part, decide, part};
use crate::check::history::{History, Val};
use crate::check::judge::Budget;
use crate::check::models::Spec;

/// How many steps a trial may take; and a window of a scan, of which there are many.
const TRIAL_STEPS: u64 = 300_000;
const SCAN_STEPS: u64 = 20_000;
/// How many operations a window of [`Proofs::scan`] has.
const WINDOW: usize = 48;
/// How large a window may get by what its reads may have seen.
const MOST: usize = 192;

/// Finds proofs in the history of one object.
pub(in crate::check) struct Proofs<'a> {
    history: &'a History,
    of: &'a Part,
    spec: Spec,
    /// Writes by value and invocation, and for each the last response of those of its value up to it.
    writes: Vec<(Val, u32, u32)>,
    until: Vec<u32>,
    /// For each call, the last response of the writes up to it.
    until_of_all: Vec<u32>,
    /// Whether more than reads can be left out.
    pub is_free: bool,
}

/// The value that a call writes to a register, if it does.
pub(in crate::check) fn written(kind: Kind) -> Option<Val> {
    match kind {
        Kind::Write(value) | Kind::Cas(_, value) => Some(value),
        _ => None,
    }
}

/// The value that a call saw in a register, if it did.
pub(in crate::check) fn seen(kind: Kind) -> Option<Val> {
    match kind {
        Kind::Read(value) | Kind::Cas(value, _) => Some(value),
        _ => None,
    }
}

impl<'a> Proofs<'a> {
    pub(in crate::check) fn new(history: &'a History, of: &'a Part, spec: Spec) -> Self {
        let mut writes: Vec<(Val, u32, u32)> = Vec::new();
        let mut until_of_all = Vec::with_capacity(of.calls.len());
        let mut last = 0;
        for (at, call) in of.calls.iter().enumerate() {
            if let Some(value) = written(call.kind) {
                writes.push((value, call.inv, at as u32));
                last = call.ret.max(last);
            }
            until_of_all.push(last);
        }
        writes.sort_unstable();
        let mut until: Vec<u32> = Vec::with_capacity(writes.len());
        for (at, (value, _, call)) in writes.iter().enumerate() {
            let before = if at > 0 && writes[at - 1].0 == *value {
                until[at - 1]
            } else {
                0
            };
            until.push(of.calls[*call as usize].ret.max(before));
        }
        let is_free = match spec {
            Spec::Register | Spec::CasRegister | Spec::Kv => {
                !of.calls.iter().any(|call| matches!(call.kind, Kind::Append(_)))
            }
            Spec::Queue => true,
            Spec::Set | Spec::ListAppend => false,
        };
        Self {
            history,
            of,
            spec,
            writes,
            until,
            until_of_all,
            is_free,
        }
    }

    fn call(&self, at: usize) -> &Call {
        &self.of.calls[at]
    }

    /// The calls of these numbers, in the order of the history.
    pub(in crate::check) fn part(&self, of: &[usize]) -> Part {
        part(self.history, self.of.key, of.iter().map(|at| self.call(*at).op))
    }

    /// What of these calls is a proof, if it is one.
    pub(in crate::check) fn violated(&self, rest: &[usize]) -> Option<Vec<usize>> {
        self.violated_within(rest, TRIAL_STEPS)
    }

    fn violated_within(&self, rest: &[usize], steps: u64) -> Option<Vec<usize>> {
        let kept = self.closed(rest);
        if kept.is_empty() {
            return None;
        }
        let decided = decide(
            self.history,
            &self.part(&kept),
            self.spec,
            Budget::of_steps(steps),
            &mut 0,
        );
        matches!(decided, Ok(Some(_))).then_some(kept)
    }

    /// What remains of a part when all is left out that its omissions could explain.
    fn closed(&self, rest: &[usize]) -> Vec<usize> {
        match self.spec {
            _ if !self.is_free => self.all_but_reads(rest),
            Spec::Queue => self.whole_elements(rest),
            _ => self.without_orphans(rest),
        }
    }

    /// Everything but reads stays: their effects add up.
    fn all_but_reads(&self, rest: &[usize]) -> Vec<usize> {
        let Some(last) = rest.last() else { return Vec::new() };
        let stays = |at: &usize| {
            !matches!(self.call(*at).kind, Kind::Read(_) | Kind::Whole(_)) || rest.binary_search(at).is_ok()
        };
        (0..=*last).filter(stays).collect()
    }

    /// Elements are kept or left out with all that happened to them; whoever may have taken any of them stays.
    fn whole_elements(&self, rest: &[usize]) -> Vec<usize> {
        let about = |call: &Call| match call.kind {
            Kind::Enqueue(value) => Some(value),
            Kind::Dequeue(value) if value != Val::NIL => Some(value),
            _ => None,
        };
        let all = || 0..self.of.calls.len();
        let is_kept = |at: usize| rest.binary_search(&at).is_ok();
        let mut broken: Vec<Val> = all()
            .filter(|at| !is_kept(*at))
            .filter_map(|at| about(self.call(at)))
            .collect();
        broken.sort_unstable();
        let stays = |at: &usize| match (self.call(*at).kind, about(self.call(*at))) {
            (Kind::Take, _) => true,
            (_, Some(value)) => broken.binary_search(&value).is_err(),
            _ => is_kept(*at),
        };
        all().filter(stays).collect()
    }

    /// Reads whose value may come from a write that was left out go as well; a `cas` is a read, too.
    fn without_orphans(&self, rest: &[usize]) -> Vec<usize> {
        let mut kept = rest.to_vec();
        loop {
            let hiders = self.hiders(&kept);
            let is_kept = |at: u32| kept.binary_search(&(at as usize)).is_ok();
            let goes = |at: &usize| {
                let call = self.call(*at);
                let hidden = hidden_before(&hiders, call);
                if let Kind::Not(value) = call.kind {
                    return self
                        .writes_before(call, hidden)
                        .any(|(other, to)| to != value && !is_kept(other));
                }
                let Some(value) = seen(call.kind) else { return false };
                let mut sources = self.sources(call, value, hidden);
                if sources.any(|source| source as usize != *at && !is_kept(source)) {
                    return true;
                }
                // A value whose writes are all left out would look as if it came from nowhere.
                let has_source = |kept: &usize| {
                    let write = self.call(*kept);
                    written(write.kind) == Some(value) && write.inv < call.ret && kept != at
                };
                self.sources(call, value, 0).any(|source| source as usize != *at) && !kept.iter().any(has_source)
            };
            let gone: Vec<usize> = kept.iter().copied().filter(goes).collect();
            if gone.is_empty() {
                return kept;
            }
            kept.retain(|at| gone.binary_search(at).is_err());
        }
    }

    /// Writes of a value that `read` may have seen: invoked before it returned, and not over before `hidden`. The last one first.
    fn sources(&self, read: &Call, value: Val, hidden: u32) -> impl Iterator<Item = u32> + use<'_> {
        let end = self.writes.partition_point(|of| (of.0, of.1) < (value, read.ret));
        let mine = (0..end)
            .rev()
            .take_while(move |at| self.writes[*at].0 == value && self.until[*at] >= hidden);
        mine.map(|at| self.writes[at].2)
            .filter(move |at| self.of.calls[*at as usize].ret >= hidden)
    }

    /// Writes of any value in the same way, with their values.
    fn writes_before(&self, read: &Call, hidden: u32) -> impl Iterator<Item = (u32, Val)> + use<'_> {
        let end = self.of.calls.partition_point(|call| call.inv < read.ret);
        let near = (0..end).rev().take_while(move |at| self.until_of_all[*at] >= hidden);
        near.filter_map(move |at| {
            let call = &self.of.calls[at];
            written(call.kind)
                .filter(|_| call.ret >= hidden)
                .map(|value| (at as u32, value))
        })
    }

    /// Acknowledged writes among these calls, by response: the response, and the latest invocation so far.
    fn hiders(&self, kept: &[usize]) -> Vec<(u32, u32)> {
        let calls = kept.iter().map(|at| self.call(*at));
        let mut hiders: Vec<(u32, u32)> = calls
            .filter(|call| call.is_certain() && written(call.kind).is_some())
            .map(|call| (call.ret, call.inv))
            .collect();
        hiders.sort_unstable();
        let mut latest = 0;
        for hider in &mut hiders {
            latest = hider.1.max(latest);
            hider.1 = latest;
        }
        hiders
    }

    /// Adds the writes that reads may have seen, as long as there aren't too many.
    fn with_sources(&self, some: &mut Vec<usize>) {
        loop {
            let hiders = self.hiders(some);
            let mut wanted: Vec<usize> = Vec::new();
            for at in some.iter() {
                let call = self.call(*at);
                if let Some(value) = seen(call.kind) {
                    let hidden = hidden_before(&hiders, call);
                    let before = wanted.len();
                    wanted.extend(self.sources(call, value, hidden).take(MOST).map(|at| at as usize));
                    if wanted.len() == before {
                        // All are hidden: the last one shows it.
                        wanted.extend(self.sources(call, value, 0).next().map(|at| at as usize));
                    }
                }
            }
            let before = some.len();
            some.extend(wanted);
            some.sort_unstable();
            some.dedup();
            if some.len() == before || some.len() > MOST {
                return;
            }
        }
    }

    /// A window of the last calls before one that has no place, with what they may have seen, that is a proof.
    pub(in crate::check) fn window(&self, at: usize) -> Option<Vec<usize>> {
        let end = self.call(at).ret;
        let before: Vec<usize> = (0..self.of.calls.len()).filter(|at| self.call(*at).inv < end).collect();
        let mut size = 16;
        while size < before.len() {
            let mut some = before[before.len() - size..].to_vec();
            if self.is_free && self.spec != Spec::Queue {
                self.with_sources(&mut some);
            }
            if let Some(kept) = self.violated(&some) {
                return Some(kept);
            }
            size *= 4;
        }
        self.violated(&before)
    }

    /// Looks for a proof among neighbours, window by window: most violations are local, and found without a search of the whole.
    pub(in crate::check) fn scan(&self) -> Option<Vec<usize>> {
        if !self.is_free || self.spec == Spec::Queue {
            return None;
        }
        let mut from = 0;
        while from < self.of.calls.len() {
            let mut some: Vec<usize> = (from..self.of.calls.len().min(from + WINDOW)).collect();
            self.with_sources(&mut some);
            if let Some(kept) = self.violated_within(&some, SCAN_STEPS) {
                return Some(kept);
            }
            from += WINDOW / 2;
        }
        None
    }
}

/// What returned before this place can't be what `read` saw: a kept write came after it and was over before the read began.
fn hidden_before(hiders: &[(u32, u32)], read: &Call) -> u32 {
    let before = hiders.partition_point(|(ret, _)| *ret < read.inv);
    hiders[..before].last().map_or(0, |(_, latest)| *latest)
}
