//! Effects on ranked keys that later versions took away: an insert by a remove of its element, a field's value by another.
//!
//! A version of a ranked set or map was computed from the one that its replica held, and whoever takes an effect away stands in a
//! chain of versions that begins with it. These chains are a forest; a version stands below another one if its place in a walk
//! through the forest lies in the other's interval.

use super::ledger::{KeyState, Write, against, side_of};
use super::past::Past;
use crate::state::{Keeping, Op};
use std::collections::BTreeMap;

/// Where operations on the same element or field stand in the walk, by what they do.
type Sides = [Vec<u32>; 3];

/// The forest of versions.
#[derive(Debug)]
pub(super) struct Endings {
    /// Of each version its place in the walk, and how many stand below it, itself counted.
    intervals: Vec<(u32, u32)>,
    /// By key and element, or key and field.
    slots: BTreeMap<(u32, u64), Sides>,
}

/// What an operation is on, what it does there, and what ends it.
pub(super) fn slot_of(op: Op) -> Option<(u64, usize, &'static [usize])> {
    match op {
        Op::Insert(element) => Some((element, 0, &[1])),
        Op::Remove(element) => Some((element, 1, &[0])),
        _ => side_of(op).map(|(field, side)| (u64::from(field), side, against(side))),
    }
}

impl Endings {
    /// The forest of these versions, in the order of their acceptance: a base stands before what was computed from it.
    pub fn of(writes: &[Write], keys: &[KeyState]) -> Self {
        let base = |write: &Write| write.bases().first().map(|base| *base as usize);
        let mut intervals = vec![(0u32, 1u32); writes.len()];
        for (place, write) in writes.iter().enumerate().rev() {
            if let Some(base) = base(write) {
                intervals[base].1 += intervals[place].1;
            }
        }
        let (mut roots, mut next) = (0, vec![0; writes.len()]);
        let mut slots: BTreeMap<(u32, u64), Sides> = BTreeMap::new();
        for (place, write) in writes.iter().enumerate() {
            let free = base(write).map_or(&mut roots, |base| &mut next[base]);
            let first = *free;
            *free += intervals[place].1;
            (intervals[place].0, next[place]) = (first, first + 1);
            if keys[write.key as usize].keeping == Keeping::Ranked
                && let Some((slot, side, _)) = slot_of(write.op)
            {
                slots.entry((write.key, slot)).or_default()[side].push(first);
            }
        }
        slots.values_mut().flatten().for_each(|places| places.sort_unstable());
        Self { intervals, slots }
    }

    /// Whether a version below this one took its effect away, or one whose agent knew of it: `told` is what those knew who did
    /// something to an element or a field.
    pub fn has(&self, write: &Write, place: u32, told: &BTreeMap<(u32, u64), [Past; 3]>) -> bool {
        let Some((slot, _, ends)) = slot_of(write.op) else {
            return false;
        };
        let told = told.get(&(write.key, slot));
        if told.is_some_and(|told| ends.iter().any(|side| told[*side].knows(write.agent, write.number))) {
            return true;
        }
        let Some(sides) = self.slots.get(&(write.key, slot)) else {
            return false;
        };
        let (first, count) = self.intervals[place as usize];
        ends.iter().any(|side| {
            let below = &sides[*side];
            let after = below.partition_point(|other| *other <= first);
            below.get(after).is_some_and(|other| *other < first + count)
        })
    }
}
