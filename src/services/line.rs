//! The line before the servers, in the order in which they take from it.

use crate::kernel::SimDuration;
use crate::world::slab::Handle;
use serde::Serialize;
use std::collections::{BTreeMap, VecDeque};

/// Who is served next. Nobody who is in work is interrupted for somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Discipline {
    /// Who came first.
    #[default]
    Fifo,
    /// Who came last.
    Lifo,
    /// Who has the highest priority; of these who came first.
    Priority,
    /// Whose work takes the least time; of these who came first.
    ShortestFirst,
    /// Each tenant gets its share: see [`super::spec::FairShares`].
    Fair,
    /// Nobody waits: all are in work at once and share the servers in equal parts, none more than one server.
    Sharing,
}

/// Those who wait.
#[derive(Debug, Clone, Serialize)]
pub(super) enum Line {
    /// In the order of their coming: the servers take from the front, or from the back.
    Order {
        waiting: VecDeque<Handle>,
        newest_first: bool,
    },
    /// By a rank, the lowest first, and then by their coming. Those who are put ahead of all have rank 0.
    Ranks {
        waiting: BTreeMap<(u64, i64), Handle>,
        came: i64,
        ahead: i64,
    },
}

impl Line {
    pub fn new(discipline: Discipline) -> Self {
        match discipline {
            Discipline::Fifo | Discipline::Lifo | Discipline::Sharing => Self::Order {
                waiting: VecDeque::new(),
                newest_first: discipline == Discipline::Lifo,
            },
            Discipline::Priority | Discipline::ShortestFirst | Discipline::Fair => Self::Ranks {
                waiting: BTreeMap::new(),
                came: 0,
                ahead: 0,
            },
        }
    }

    /// Whether ranks count.
    #[inline]
    pub fn has_ranks(&self) -> bool {
        matches!(self, Self::Ranks { .. })
    }

    /// One more waits. `rank` is above 0, and only read where ranks count.
    #[inline(always)]
    pub fn push(&mut self, handle: Handle, rank: u64) {
        match self {
            Self::Order { waiting, .. } => waiting.push_back(handle),
            Self::Ranks { waiting, came, .. } => {
                *came += 1;
                waiting.insert((rank, *came), handle);
            }
        }
    }

    /// One is put where he is the next to be served.
    pub fn push_ahead(&mut self, handle: Handle) {
        match self {
            Self::Order {
                waiting,
                newest_first: false,
            } => waiting.push_front(handle),
            Self::Order { waiting, .. } => waiting.push_back(handle),
            Self::Ranks { waiting, ahead, .. } => {
                *ahead -= 1;
                waiting.insert((0, *ahead), handle);
            }
        }
    }

    /// The next to be served.
    #[inline(always)]
    pub fn pop(&mut self) -> Option<Handle> {
        match self {
            Self::Order {
                waiting,
                newest_first: false,
            } => waiting.pop_front(),
            Self::Order { waiting, .. } => waiting.pop_back(),
            Self::Ranks { waiting, .. } => waiting.pop_first().map(|(_, handle)| handle),
        }
    }

    /// The rank of the next to be served; nothing where ranks don't count.
    pub fn first_rank(&self) -> u64 {
        match self {
            Self::Order { .. } => 0,
            Self::Ranks { waiting, .. } => waiting.first_key_value().map_or(0, |((rank, _), _)| *rank),
        }
    }

    /// Who is the next to be served.
    pub fn first(&self) -> Option<Handle> {
        match self {
            Self::Order {
                waiting,
                newest_first: false,
            } => waiting.front().copied(),
            Self::Order { waiting, .. } => waiting.back().copied(),
            Self::Ranks { waiting, .. } => waiting.first_key_value().map(|(_, handle)| *handle),
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Self::Order { waiting, .. } => waiting.len(),
            Self::Ranks { waiting, .. } => waiting.len(),
        }
    }

    /// All who wait, who are then gone.
    pub fn take(&mut self) -> Vec<Handle> {
        match self {
            Self::Order { waiting, .. } => waiting.drain(..).collect(),
            Self::Ranks { waiting, .. } => std::mem::take(waiting).into_values().collect(),
        }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Handle> {
        let (order, ranks) = match self {
            Self::Order { waiting, .. } => (Some(waiting.iter()), None),
            Self::Ranks { waiting, .. } => (None, Some(waiting.values())),
        };
        order.into_iter().flatten().chain(ranks.into_iter().flatten())
    }
}

/// The rank of a priority: the highest first.
pub(super) fn rank_of_priority(priority: u32) -> u64 {
    u64::MAX - u64::from(priority)
}

/// The rank of work of this length: the shortest first.
pub(super) fn rank_of_size(size: SimDuration) -> u64 {
    size.as_nanos().saturating_add(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handle(n: u64) -> Handle {
        Handle::from_word(n)
    }

    /// The order in which these come out, of these ranks, where number 9 is put ahead before the last two come.
    fn order(discipline: Discipline, ranks: [u64; 5]) -> Vec<u64> {
        let mut line = Line::new(discipline);
        for (n, rank) in (0..).zip(ranks) {
            if n == 3 {
                line.push_ahead(handle(9));
            }
            line.push(handle(n), rank);
        }
        assert_eq!((line.len(), line.iter().count()), (6, 6));
        let next = |line: &mut Line| {
            let first = line.first();
            assert_eq!(line.pop(), first);
            first
        };
        std::iter::from_fn(|| next(&mut line)).map(Handle::to_word).collect()
    }

    #[test]
    fn each_discipline_has_its_order() {
        let size = |n: u64| rank_of_size(SimDuration::from_nanos(n));
        let sizes = [size(5), size(0), size(5), size(2), size(0)];
        assert_eq!(order(Discipline::Fifo, sizes), [9, 0, 1, 2, 3, 4]);
        assert_eq!(order(Discipline::Lifo, sizes), [4, 3, 9, 2, 1, 0]);
        assert_eq!(order(Discipline::ShortestFirst, sizes), [9, 1, 4, 3, 0, 2]);
        let priorities = [1, 0, u32::MAX, 7, 7].map(rank_of_priority);
        assert_eq!(order(Discipline::Priority, priorities), [9, 2, 3, 4, 0, 1]);
    }

    #[test]
    fn several_who_are_put_ahead_are_served_in_the_opposite_order() {
        for discipline in [Discipline::Fifo, Discipline::Lifo, Discipline::Priority] {
            let mut line = Line::new(discipline);
            line.push(handle(1), 1);
            line.push_ahead(handle(3));
            line.push_ahead(handle(2));
            let all: Vec<u64> = std::iter::from_fn(|| line.pop()).map(Handle::to_word).collect();
            assert_eq!(all, [2, 3, 1], "{discipline:?}");
            line.push(handle(4), 2);
            assert_eq!((line.take(), line.len()), (vec![handle(4)], 0));
        }
    }
}
