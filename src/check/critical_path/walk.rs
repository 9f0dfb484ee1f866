//! The walk back along a task's critical path.

use crate::kernel::SimDuration;
use crate::world::call::{Part, Parts};

/// A stretch of an activation's time.
#[derive(Debug, Clone)]
pub(super) struct Stretch {
    pub from: u64,
    pub to: u64,
    pub way: Way,
}

/// What a stretch was, and so what enabled its end.
#[derive(Debug, Clone)]
pub(super) enum Way {
    /// All of it was this.
    Part(Part),
    /// A server was at work, but for so many nanoseconds.
    Served {
        /// It was down or stood still.
        down: u64,
        /// It worked in vain.
        undone: u64,
        /// It waited for others.
        coordinated: u64,
    },
    /// A request was at a server or an ask in a mailbox; whoever it waited for stood still for some of the time.
    Waited {
        /// For so long.
        stood: u64,
    },
    /// A peer was busy with an ask.
    Peer(Vec<Stretch>),
    /// Branches were under way.
    Join(Vec<Branch>),
}

/// A branch that has ended.
#[derive(Debug, Clone)]
pub(super) struct Branch {
    pub index: u64,
    pub ended: u64,
    pub log: Vec<Stretch>,
}

/// Who answered an ask.
#[derive(Debug, Clone)]
pub(super) struct Peer {
    pub agent: u32,
    pub taken: u64,
    pub answered: u64,
    pub log: Vec<Stretch>,
}

/// How the time between `from` and `to` divides: walks back from the end, stretch by stretch.
pub(super) fn walk(log: &[Stretch], from: u64, to: u64) -> Result<Parts, String> {
    let (mut parts, mut at) = (Parts::default(), to);
    for stretch in log.iter().rev() {
        if at <= from || stretch.to > at {
            // Later stretches than those asked for.
            if stretch.to > at && stretch.from < at {
                return Err(format!("a stretch lies across {at}"));
            }
            continue;
        }
        if stretch.to != at || stretch.from < from {
            return Err(format!("nothing enabled what happened at {at}"));
        }
        let length = stretch.to - stretch.from;
        let mut add = |part: Part, ns: u64| parts.add(part, SimDuration::from_nanos(ns));
        let less = |some: u64| length.checked_sub(some).ok_or("a stretch is shorter than a part of it");
        match &stretch.way {
            Way::Part(part) => add(*part, length),
            Way::Served {
                down,
                undone,
                coordinated,
            } => {
                add(Part::Service, less(down + undone + coordinated)?);
                add(Part::Down, *down);
                add(Part::Retrying, *undone);
                add(Part::Coordination, *coordinated);
            }
            Way::Waited { stood } => {
                add(Part::Queueing, less(*stood)?);
                add(Part::Down, *stood);
            }
            Way::Peer(log) => parts.merge(&walk(log, stretch.from, stretch.to)?),
            Way::Join(branches) => {
                let last = branches
                    .iter()
                    .map(|branch| branch.ended)
                    .max()
                    .ok_or("a join of no branches")?;
                let mut at_last = branches.iter().filter(|branch| branch.ended == last);
                let first = at_last.clone().map(|branch| branch.index).min();
                let branch = at_last
                    .find(|branch| Some(branch.index) == first)
                    .ok_or("a join of no branches")?;
                parts.merge(&walk(&branch.log, stretch.from, stretch.to)?);
            }
        }
        at = stretch.from;
    }
    if at > from {
        return Err(format!("nothing is known of the time between {from} and {at}"));
    }
    Ok(parts)
}

/// How much of the time between `from` and `to` lies in these intervals, which don't overlap.
pub(super) fn overlap(intervals: &[(u64, u64)], from: u64, to: u64) -> u64 {
    let inside = |(start, end): &(u64, u64)| (*end).min(to).saturating_sub((*start).max(from));
    intervals.iter().map(inside).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(from: u64, to: u64, way: Way) -> Stretch {
        Stretch { from, to, way }
    }

    #[test]
    fn a_join_is_walked_through_its_last_branch_and_ties_go_to_the_first() {
        let branch = |index, ended, part| Branch {
            index,
            ended,
            log: vec![stretch(10, ended, Way::Part(part))],
        };
        let branches = vec![
            branch(2, 30, Part::Down),
            branch(1, 30, Part::Service),
            branch(0, 20, Part::Network),
        ];
        let log = [
            stretch(0, 10, Way::Part(Part::Thinking)),
            stretch(10, 30, Way::Join(branches)),
            stretch(
                30,
                45,
                Way::Served {
                    down: 3,
                    undone: 4,
                    coordinated: 2,
                },
            ),
        ];
        let parts = walk(&log, 0, 45).unwrap();
        assert_eq!(parts.0, [10, 26, 0, 0, 4, 2, 3]);
        assert_eq!(walk(&log, 10, 30).unwrap().0, [0, 20, 0, 0, 0, 0, 0]);
    }

    #[test]
    fn gaps_and_stretches_across_an_end_are_found() {
        let log = [
            stretch(0, 10, Way::Part(Part::Thinking)),
            stretch(12, 20, Way::Part(Part::Down)),
        ];
        assert!(walk(&log, 0, 20).is_err());
        assert!(walk(&log, 12, 19).is_err());
        assert!(walk(&log, 5, 10).is_err());
        assert_eq!(overlap(&[(0, 5), (8, 20)], 3, 10), 4);
    }
}
