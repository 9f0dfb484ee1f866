//! The front of the queue: the bucket being handed out, sorted, and what came late for it.

use super::chunks::{Bag, Chunks};
use crate::kernel::entry::Entry;
use crate::kernel::time::SimTime;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// A late entry is put in its place in the sorted bucket if that is at most this far from either end.
const REACH: usize = 64;
/// An insertion sort may move this many entries for each that it sorts; then sorting by comparison is better.
const MOVES: usize = 6;

/// An entry in the heap of late entries, ordered so that the earliest is the greatest.
#[derive(Debug, Clone, Copy)]
struct Late<B>(Entry<B>);

impl<B> PartialEq for Late<B> {
    fn eq(&self, other: &Self) -> bool {
        self.0.order(&other.0) == Ordering::Equal
    }
}
impl<B> Eq for Late<B> {}
impl<B> PartialOrd for Late<B> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<B> Ord for Late<B> {
    #[inline]
    fn cmp(&self, other: &Self) -> Ordering {
        other.0.order(&self.0)
    }
}

/// The entries of the near future in their order: a sorted run, and a heap of those that came late and belong deep inside it.
#[derive(Debug, Clone)]
pub(super) struct Front<B> {
    /// Sorted from `cursor` on; what lies before was handed out.
    sorted: Vec<Entry<B>>,
    cursor: usize,
    late: BinaryHeap<Late<B>>,
    /// The run doesn't grow beyond this by what is pushed.
    bound: usize,
    /// Scratch space of the distribution sort: where the next entry of each bin goes.
    bins: Vec<u32>,
}

impl<B: Copy> Front<B> {
    pub(super) fn new() -> Self {
        Self {
            sorted: Vec::new(),
            cursor: 0,
            late: BinaryHeap::new(),
            bound: usize::MAX,
            bins: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn len(&self) -> usize {
        self.sorted.len() - self.cursor + self.late.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.cursor == self.sorted.len() && self.late.is_empty()
    }

    /// How many entries stand in the heap.
    #[inline]
    pub(super) fn in_heap(&self) -> usize {
        self.late.len()
    }

    /// The entry that comes `ahead` places behind the next one, late ones not counted.
    #[inline]
    pub(super) fn coming(&self, ahead: usize) -> Option<&Entry<B>> {
        self.sorted.get(self.cursor + ahead)
    }

    /// Whether the next entry stands at the front of the sorted run.
    #[inline(always)]
    pub(super) fn is_settled(&self) -> bool {
        self.late.is_empty() && self.cursor < self.sorted.len()
    }

    /// Whether all that is here is later than `time`; false also where that isn't known at once.
    #[inline(always)]
    pub(super) fn starts_after(&self, time: SimTime) -> bool {
        self.late.is_empty() && self.sorted.get(self.cursor).is_none_or(|entry| entry.time > time)
    }

    /// Puts the next entry to the front of the sorted run, if it stands in the heap. Calls `touch` with the one that will come
    /// out of the heap after it.
    pub(super) fn settle(&mut self, touch: impl FnOnce(&Entry<B>)) {
        let Some(late) = self.late.peek() else { return };
        let next = self.sorted.get(self.cursor);
        if next.is_some_and(|next| next.is_before(&late.0)) {
            return;
        }
        let entry = late.0;
        self.late.pop();
        if let Some(coming) = self.late.peek() {
            touch(&coming.0);
        }
        if self.cursor > 0 {
            self.cursor -= 1;
            self.sorted[self.cursor] = entry;
        } else {
            self.sorted.insert(0, entry);
        }
    }

    /// The next entry, which has been settled, if it's not later than `end`; it's taken out.
    #[inline(always)]
    pub(super) fn pop_until(&mut self, end: SimTime) -> Option<&Entry<B>> {
        let entry = self.sorted.get(self.cursor)?;
        if entry.time > end {
            return None;
        }
        self.cursor += 1;
        Some(entry)
    }

    /// Adds an entry that belongs into the current bucket, if its place is the first or near the end of the sorted run; else
    /// false.
    ///
    /// Inlined so that the fields of the entry are written where they belong, not to the stack first.
    #[inline(always)]
    pub(super) fn insert_near_an_end(&mut self, entry: Entry<B>) -> bool {
        let waiting = self.sorted.len() - self.cursor;
        if waiting > 0 && self.cursor > 0 && entry.is_before(&self.sorted[self.cursor]) {
            // A consequence without delay: it takes the place of what was handed out last.
            self.cursor -= 1;
            self.sorted[self.cursor] = entry;
            return true;
        }
        if waiting > REACH && entry.is_before(&self.sorted[self.sorted.len() - REACH]) {
            return false;
        }
        if self.sorted.len() == self.sorted.capacity() && !self.make_room() {
            return false;
        }
        self.sorted.push(entry);
        let run = &mut self.sorted[self.cursor..];
        let mut place = run.len() - 1;
        while place > 0 && entry.is_before(&run[place - 1]) {
            run[place] = run[place - 1];
            place -= 1;
        }
        run[place] = entry;
        true
    }

    /// Adds an entry whose place is further ahead: in it if it's near the beginning of the sorted run, else into the heap.
    pub(super) fn insert_ahead(&mut self, entry: Entry<B>) {
        let rest = &self.sorted[self.cursor..];
        if self.cursor > 0 && rest.len() > REACH && entry.is_before(&rest[REACH]) {
            let ahead = rest.iter().take_while(|other| !entry.is_before(other)).count();
            self.sorted
                .copy_within(self.cursor..self.cursor + ahead, self.cursor - 1);
            self.cursor -= 1;
            self.sorted[self.cursor + ahead] = entry;
        } else {
            self.late.push(Late(entry));
        }
    }

    /// Gives the room of entries that were handed out back to the run before it grows. False if it has grown to its bound.
    #[cold]
    fn make_room(&mut self) -> bool {
        if self.cursor > self.sorted.len() / 2 {
            self.sorted.drain(..self.cursor);
            self.cursor = 0;
            return true;
        }
        self.sorted.len() < self.bound
    }

    /// Makes these entries the whole run, which won't grow beyond `bound` entries from now on.
    pub(super) fn take_all(&mut self, mut all: Vec<Entry<B>>, bound: usize) {
        debug_assert!(self.is_empty());
        all.sort_unstable_by(|a, b| a.order(b));
        (self.sorted, self.cursor, self.bound) = (all, 0, bound);
    }

    /// Lets the run grow again, from nothing.
    pub(super) fn unbind(&mut self) {
        debug_assert!(self.is_empty());
        if self.bound < usize::MAX {
            (self.sorted, self.cursor, self.bound) = (Vec::new(), 0, usize::MAX);
        }
    }

    /// Calls `visit` with every entry that waits.
    pub(super) fn each(&self, mut visit: impl FnMut(&Entry<B>)) {
        self.sorted[self.cursor..].iter().for_each(&mut visit);
        self.late.iter().for_each(|late| visit(&late.0));
    }

    /// Moves all entries to the end of `all`, in no order.
    pub(super) fn drain(&mut self, all: &mut Vec<Entry<B>>) {
        all.extend_from_slice(&self.sorted[self.cursor..]);
        all.extend(self.late.drain().map(|late| late.0));
        self.sorted.clear();
        self.cursor = 0;
    }

    /// Takes over a bucket of `2^width_bits` nanoseconds and sorts it, when everything before was handed out.
    ///
    /// One pass distributes the entries over as many bins by their time, which leaves most of them in their place; an insertion
    /// sort does the rest, unless many of them share few bins (a burst of one instant).
    pub(super) fn fill(&mut self, chunks: &Chunks<B>, bag: &Bag, width_bits: u32) {
        debug_assert!(self.is_empty());
        let count = bag.len();
        let bin_bits = (2 * count as u64).next_power_of_two().ilog2().min(width_bits);
        let (shift, mask) = (width_bits - bin_bits, (1u64 << bin_bits) - 1);
        let bin = |entry: &Entry<B>| (entry.time.as_nanos() >> shift & mask) as usize;
        self.bins.clear();
        self.bins.resize(1 << bin_bits, 0);
        let mut any = None;
        chunks.each(bag, |entry| {
            self.bins[bin(entry)] += 1;
            any = Some(*entry);
        });
        let Some(filler) = any else { return };
        let mut start = 0;
        for slot in &mut self.bins {
            start += std::mem::replace(slot, start);
        }
        self.sorted.resize(count, filler);
        self.cursor = 0;
        chunks.each(bag, |entry| {
            let slot = &mut self.bins[bin(entry)];
            self.sorted[*slot as usize] = *entry;
            *slot += 1;
        });
        if !insertion_sort(&mut self.sorted) {
            self.sorted.sort_unstable_by(|a, b| a.order(b));
        }
    }
}

/// Sorts a run that is nearly sorted already. False if it turns out not to be: then its entries are as unsorted as before.
#[inline]
fn insertion_sort<B: Copy>(run: &mut [Entry<B>]) -> bool {
    let mut moves = MOVES * run.len();
    for at in 1..run.len() {
        if !run[at].is_before(&run[at - 1]) {
            continue;
        }
        let entry = run[at];
        let mut place = at;
        while place > 0 && entry.is_before(&run[place - 1]) {
            run[place] = run[place - 1];
            place -= 1;
        }
        run[place] = entry;
        moves = moves.saturating_sub(at - place);
        if moves == 0 {
            return false;
        }
    }
    true
}
