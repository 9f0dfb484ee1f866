//! Linearizability of a register whose every value is written once, in the time that sorting takes.
//!
//! After Gibbons and Korach (1997). A value with its write and its reads is a cluster; its zone reaches from the first response
//! to the last invocation in it. Forward zones (the first response lies before the last invocation) are times when the
//! register must hold the value, backward ones times within which it must come and go. The history is linearizable if and only
//! if no read returns before its write is invoked, no two forward zones overlap, and no backward zone lies in a forward one.

use super::objects::{Call, Kind};
use crate::check::history::Val;

/// What contradicts what. `None` stands for the value that was there from the beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::check) enum Conflict {
    /// A read returned a value that nothing had written.
    Unwritten { read: u32 },
    /// An element was taken from a queue more often than it was put there.
    Twice { first: u32, again: u32 },
    /// A read returned before the write of its value was invoked.
    Future { read: u32, write: u32 },
    /// `early` was over before `outer` began, and `inner` before `late`; `early` and `late` are of one value, the others of
    /// another.
    Zones {
        early: Option<u32>,
        outer: u32,
        inner: Option<u32>,
        late: u32,
        /// The write of the value of `early` and `late`.
        write: Option<u32>,
        /// The write of the value of `outer` and `inner`.
        other: Option<u32>,
    },
}

/// A value with what happened to it.
#[derive(Debug, Clone, Copy)]
struct Cluster {
    value: Val,
    write: Option<u32>,
    /// The first response, and whose it is.
    first: (i64, Option<u32>),
    /// The last invocation, and whose it is.
    last: (i64, Option<u32>),
}

/// Whether every value is written at most once, none of them is the initial one, and nothing but reads and writes happens.
pub(in crate::check) fn applies(calls: &[Call], initial: Val) -> bool {
    let mut written = vec![initial];
    for call in calls {
        match call.kind {
            Kind::Write(value) => written.push(value),
            Kind::Read(_) => {}
            _ => return false,
        }
    }
    written.sort_unstable();
    written.windows(2).all(|pair| pair[0] != pair[1])
}

/// A contradiction, if there is one. The calls must be as [`applies`] says.
pub(in crate::check) fn conflict(calls: &[Call], initial: Val) -> Option<Conflict> {
    let mut clusters = vec![Cluster {
        value: initial,
        write: None,
        first: (-1, None),
        last: (-1, None),
    }];
    for (at, call) in calls.iter().enumerate() {
        if let Kind::Write(value) = call.kind {
            let at = Some(at as u32);
            clusters.push(Cluster {
                value,
                write: at,
                first: (i64::from(call.ret), at),
                last: (i64::from(call.inv), at),
            });
        }
    }
    clusters.sort_unstable_by_key(|cluster| cluster.value);
    let mut is_read = vec![false; clusters.len()];
    for (at, call) in calls.iter().enumerate() {
        let Kind::Read(value) = call.kind else { continue };
        let read = at as u32;
        let Ok(of) = clusters.binary_search_by_key(&value, |cluster| cluster.value) else {
            return Some(Conflict::Unwritten { read });
        };
        let cluster = &mut clusters[of];
        if let Some(write) = cluster.write
            && call.ret < calls[write as usize].inv
        {
            return Some(Conflict::Future { read, write });
        }
        is_read[of] = true;
        cluster.first = cluster.first.min((i64::from(call.ret), Some(read)));
        cluster.last = cluster.last.max((i64::from(call.inv), Some(read)));
    }
    // A write that nobody saw and that may never have happened constrains nothing.
    let matters = |at: usize, cluster: &Cluster| {
        is_read[at] || cluster.write.is_some_and(|write| calls[write as usize].is_certain())
    };
    let kept: Vec<Cluster> = clusters
        .iter()
        .enumerate()
        .filter(|(at, of)| matters(*at, of))
        .map(|(_, of)| *of)
        .collect();
    let (mut forward, backward): (Vec<Cluster>, Vec<Cluster>) =
        kept.into_iter().partition(|cluster| cluster.first.0 < cluster.last.0);
    forward.sort_unstable_by_key(|cluster| cluster.first.0);
    for pair in forward.windows(2) {
        // Sorted by their beginnings, and disjoint up to here: the one before is the only one that can reach into this one.
        if pair[1].first.0 < pair[0].last.0 {
            return Some(zones(&pair[0], &pair[1]));
        }
    }
    for inner in &backward {
        let before = forward.partition_point(|outer| outer.first.0 < inner.last.0);
        if let Some(outer) = forward[..before].last()
            && inner.first.0 < outer.last.0
        {
            return Some(zones(outer, inner));
        }
    }
    None
}

fn zones(outer: &Cluster, inner: &Cluster) -> Conflict {
    let called = |of: (i64, Option<u32>)| {
        of.1.expect("only the initial value has a side without a call, and it isn't here")
    };
    Conflict::Zones {
        early: outer.first.1,
        outer: called(inner.last),
        inner: inner.first.1,
        late: called(outer.last),
        write: outer.write,
        other: inner.write,
    }
}
