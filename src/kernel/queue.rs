//! The event queue: a hierarchical wheel of unsorted time buckets, each sorted when it becomes current.
//!
//! It hands entries out in the total order of [`Entry::order`], whatever the order in which they came. Its width, its size and
//! its layout are tuned while it runs and never show in the results.
//!
//! * The *ring* holds the near future: `2^ring_bits` buckets of `2^width_bits` nanoseconds each. A push appends to a chunk of its
//!   bucket; nothing is compared.
//! * When a bucket becomes current it's sorted, and the coming entries are known: their targets are touched ahead of time.
//! * What falls into the current bucket or before is *late*: it's put in its place near an end of the sorted run, or into a
//!   heap.
//! * A queue of few entries has no buckets at all: the sorted run is the whole of it.
//! * What lies beyond the ring waits in coarser wheels of 256 slots and moves down one level at a time, when its time comes.
//!
//! After the calendar queue (Brown 1988), the ladder queue (Tang et al. 2005) and hierarchical timing wheels (Varghese and
//! Lauck 1987).

mod chunks;
mod front;
#[cfg(test)]
mod tests;
mod tuning;
mod wheel;

use super::entry::Entry;
use super::time::SimTime;
use chunks::{Bag, Chunks};
use front::Front;
use serde::{Serialize, Serializer};
use tuning::{Advice, Shape, Traffic};
use wheel::{COARSE_BITS, Wheel, next_set};

/// Coarse wheels: enough for the whole range of time at the narrowest width and the smallest ring.
const COARSE_LEVELS: usize = 7;
/// How many entries may wait in the heap of late ones before buckets are thought too wide.
const LATE_LIMIT: usize = 512;
/// The next bucket, where there are no buckets: everything that waits stands in the sorted run of the front.
const NO_BUCKETS: u64 = u64::MAX;
/// How far ahead the targets of coming entries are touched.
const TOUCH_AHEAD: usize = 16;

/// A priority queue of entries in their total order.
#[derive(Debug, Clone)]
pub struct Queue<B> {
    front: Front<B>,
    ring: Vec<Bag>,
    occupied: Vec<u64>,
    in_ring: usize,
    coarse: Vec<Wheel>,
    in_coarse: usize,
    chunks: Chunks<B>,
    /// The first bucket that hasn't become current yet.
    next_bucket: u64,
    width_bits: u32,
    ring_bits: u32,
    narrowing: u32,
    scratch: Vec<Entry<B>>,
    /// The time of the entry handed out last.
    floor: SimTime,
    traffic: Traffic,
    /// When the tuning was looked at last.
    tuned: SimTime,
    /// How many entries must pass before the next rebuild.
    patience: u64,
    /// What happened inside, for the tests that show that it did.
    #[cfg(test)]
    inside: Inside,
}

/// How often the rarer paths were taken.
#[cfg(test)]
#[derive(Debug, Clone, Default)]
struct Inside {
    rebuilds: u64,
    cascaded: u64,
    skipped_blocks: u64,
    in_place: u64,
    heaped: u64,
    relieved: u64,
}

impl<B: Copy> Default for Queue<B> {
    fn default() -> Self {
        Self::new()
    }
}

/// What waits, in its order: how a queue is laid out isn't part of its state.
impl<B: Copy + Serialize> Serialize for Queue<B> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.in_order())
    }
}

impl<B: Copy> Queue<B> {
    /// An empty queue.
    pub fn new() -> Self {
        let mut front = Front::new();
        front.take_all(Vec::new(), tuning::RUN);
        Self {
            front,
            ring: vec![Bag::EMPTY; 1 << tuning::MIN_RING_BITS],
            occupied: vec![0; (1 << tuning::MIN_RING_BITS) / 64],
            in_ring: 0,
            coarse: (0..COARSE_LEVELS).map(|_| Wheel::new()).collect(),
            in_coarse: 0,
            chunks: Chunks::new(),
            next_bucket: NO_BUCKETS,
            width_bits: 20,
            ring_bits: tuning::MIN_RING_BITS,
            narrowing: 0,
            scratch: Vec::new(),
            floor: SimTime::ZERO,
            traffic: Traffic::default(),
            tuned: SimTime::ZERO,
            patience: 0,
            #[cfg(test)]
            inside: Inside::default(),
        }
    }

    /// How many entries wait.
    pub fn len(&self) -> usize {
        self.front.len() + self.in_ring + self.in_coarse
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an entry. Its time may be that of the entry handed out last, or later; its order must be behind it.
    #[inline(always)]
    pub fn push(&mut self, entry: Entry<B>) {
        let bucket = entry.time.as_nanos() >> self.width_bits;
        if bucket >= self.next_bucket {
            return self.file(bucket, entry);
        }
        self.traffic.late += 1;
        if self.front.insert_near_an_end(entry) {
            #[cfg(test)]
            (self.inside.in_place += 1);
            return;
        }
        self.push_late(entry);
    }

    /// Whether it is certain that nothing waits up to and including `time`, which is that of the entry handed out last.
    #[inline(always)]
    pub fn holds_nothing_until(&self, time: SimTime) -> bool {
        // After a rebuild the bucket of this time hasn't become current yet.
        time.as_nanos() >> self.width_bits < self.next_bucket && self.front.starts_after(time)
    }

    /// Adds an entry that comes late and doesn't belong to the end of what is known to come.
    #[inline(never)]
    fn push_late(&mut self, entry: Entry<B>) {
        if self.next_bucket == NO_BUCKETS {
            self.rebuild(None);
            return self.push(entry);
        }
        let heaped = self.front.in_heap();
        self.front.insert_ahead(entry);
        if self.front.in_heap() == heaped {
            #[cfg(test)]
            (self.inside.in_place += 1);
            return;
        }
        #[cfg(test)]
        (self.inside.heaped += 1);
        if heaped as u64 > tuning::FEW && entry.time > self.floor {
            self.traffic.deep += 1;
        }
        // Buckets are too wide for what goes on. But a rebuild moves everything, so it must be worth that many pushes.
        if heaped > LATE_LIMIT && heaped > self.len() / 4 {
            #[cfg(test)]
            (self.inside.relieved += 1);
            self.rebuild(None);
        } else if self.traffic.deep > self.patience.max(self.len() as u64) && self.traffic.is_deep() {
            self.retune();
        }
    }

    /// Puts an entry of a bucket to come where it belongs: into the ring, or into a coarse wheel.
    ///
    /// Inlined down to the store, field by field: an entry passed on the stack would be read back before it was written.
    #[inline(always)]
    fn file(&mut self, bucket: u64, entry: Entry<B>) {
        if bucket - self.next_bucket < 1 << self.ring_bits {
            let slot = (bucket & ((1 << self.ring_bits) - 1)) as usize;
            self.occupied[slot / 64] |= 1 << (slot % 64);
            self.in_ring += 1;
            self.chunks.push(&mut self.ring[slot], entry);
        } else {
            self.file_far(bucket, entry);
        }
    }

    #[inline(never)]
    fn file_far(&mut self, bucket: u64, entry: Entry<B>) {
        let (block, here) = (bucket >> self.ring_bits, self.next_bucket >> self.ring_bits);
        let level = ((block ^ here).ilog2() / COARSE_BITS) as usize;
        let slot = (block >> (level as u32 * COARSE_BITS)) as usize & ((1 << COARSE_BITS) - 1);
        let wheel = &mut self.coarse[level];
        wheel.occupied[slot / 64] |= 1 << (slot % 64);
        self.in_coarse += 1;
        self.chunks.push(&mut wheel.slots[slot], entry);
    }

    /// The earliest entry, if it's not later than `end`; it's taken out. Calls `touch` with entries that will come soon: with
    /// most of them, some places in advance, and with some more than once.
    #[inline(always)]
    pub fn pop_until(&mut self, end: SimTime, mut touch: impl FnMut(&Entry<B>)) -> Option<&Entry<B>> {
        if !self.front.is_settled() && !self.settle(&mut touch) {
            return None;
        }
        if let Some(coming) = self.front.coming(TOUCH_AHEAD) {
            touch(coming);
        }
        // By reference: a copy made here would be copied once more.
        let entry = self.front.pop_until(end)?;
        self.floor = entry.time;
        Some(entry)
    }

    /// Puts the next entry to the front where the current bucket is used up, or entries came late for it. False if nothing is
    /// left.
    #[inline(never)]
    fn settle(&mut self, touch: &mut impl FnMut(&Entry<B>)) -> bool {
        if self.front.is_empty() {
            if !self.advance() {
                return false;
            }
            (0..TOUCH_AHEAD)
                .filter_map(|ahead| self.front.coming(ahead))
                .for_each(touch);
        } else {
            self.front.settle(touch);
        }
        true
    }

    /// Everything that waits, in its order.
    fn in_order(&self) -> Vec<Entry<B>> {
        let mut all = Vec::with_capacity(self.len());
        self.front.each(|entry| all.push(*entry));
        let wheels = self.coarse.iter().flat_map(|wheel| &wheel.slots);
        for bag in self.ring.iter().chain(wheels) {
            self.chunks.each(bag, |entry| all.push(*entry));
        }
        all.sort_unstable_by(|a, b| a.order(b));
        all
    }

    /// Makes the next bucket that holds something current. False if nothing is left.
    fn advance(&mut self) -> bool {
        self.retune();
        if self.in_ring + self.in_coarse == 0 {
            return !self.front.is_empty();
        }
        let ring_mask = (1u64 << self.ring_bits) - 1;
        loop {
            // Within this block first; the ring may hold entries of the next block as well, which come after a cascade.
            let from = (self.next_bucket & ring_mask) as usize;
            if self.in_ring > 0
                && let Some(slot) = next_set(&self.occupied, from)
            {
                self.next_bucket = (self.next_bucket & !ring_mask) + slot as u64 + 1;
                self.make_current(slot);
                if self.next_bucket & ring_mask == 0 {
                    self.enter_block();
                }
                return true;
            }
            if self.in_ring > 0 {
                self.next_bucket = (self.next_bucket & !ring_mask) + ring_mask + 1;
            } else {
                self.skip_empty_blocks();
            }
            self.enter_block();
        }
    }

    /// With an empty ring: moves to the first block that holds something.
    fn skip_empty_blocks(&mut self) {
        #[cfg(test)]
        (self.inside.skipped_blocks += 1);
        let block = self.next_bucket >> self.ring_bits;
        for (level, wheel) in self.coarse.iter().enumerate() {
            let shift = level as u32 * COARSE_BITS;
            let digit = (block >> shift) as usize & ((1 << COARSE_BITS) - 1);
            if let Some(slot) = next_set(&wheel.occupied, digit + 1) {
                let above = (block >> (shift + COARSE_BITS)) << COARSE_BITS;
                self.next_bucket = ((above + slot as u64) << shift) << self.ring_bits;
                return;
            }
        }
        unreachable!("an entry beyond the ring stands in a wheel ahead of the current block");
    }

    /// At the first bucket of a block: brings down what the coarse wheels hold for it, the coarsest first.
    fn enter_block(&mut self) {
        let block = self.next_bucket >> self.ring_bits;
        let mut top = 0;
        while top + 1 < COARSE_LEVELS && block & ((1 << ((top as u32 + 1) * COARSE_BITS)) - 1) == 0 {
            top += 1;
        }
        for level in (0..=top).rev() {
            let slot = (block >> (level as u32 * COARSE_BITS)) as usize & ((1 << COARSE_BITS) - 1);
            let wheel = &mut self.coarse[level];
            if wheel.occupied[slot / 64] & (1 << (slot % 64)) == 0 {
                continue;
            }
            wheel.occupied[slot / 64] &= !(1 << (slot % 64));
            let mut moved = std::mem::take(&mut self.scratch);
            self.chunks.drain(&mut wheel.slots[slot], &mut moved);
            self.in_coarse -= moved.len();
            #[cfg(test)]
            (self.inside.cascaded += moved.len() as u64);
            for entry in moved.drain(..) {
                self.file(entry.time.as_nanos() >> self.width_bits, entry);
            }
            self.scratch = moved;
        }
    }

    /// Takes a bucket out of the ring and sorts it.
    fn make_current(&mut self, slot: usize) {
        self.occupied[slot / 64] &= !(1 << (slot % 64));
        let bag = &mut self.ring[slot];
        self.in_ring -= bag.len();
        self.traffic.taken += bag.len() as u64;
        self.traffic.buckets += 1;
        self.front.fill(&self.chunks, bag, self.width_bits);
        self.chunks.clear(bag);
        if let Some(coming) = next_set(&self.occupied, slot + 1) {
            self.chunks.touch(&self.ring[coming]);
        }
    }

    /// Looks at how full buckets were and how many entries came late, and rebuilds where another width or size would serve
    /// better.
    fn retune(&mut self) {
        if self.next_bucket == NO_BUCKETS {
            return;
        }
        let waiting = self.len() as u64;
        let passed = self.traffic.taken + self.traffic.late;
        if passed < tuning::PERIOD.max(self.patience) && (self.patience > 0 || waiting < tuning::PERIOD) {
            return;
        }
        let advice = tuning::advise(&self.traffic, self.floor.since(self.tuned), waiting, self.shape());
        self.tuned = self.floor;
        self.traffic = Traffic::default();
        self.patience = tuning::PERIOD;
        match advice {
            Advice::Keep => {}
            Advice::Rebuild => self.rebuild(None),
            Advice::Narrow => {
                self.narrowing += 1;
                self.rebuild(None);
            }
            Advice::Run => {
                self.narrowing = 0;
                let all = self.take_all();
                self.front.take_all(all, tuning::RUN);
                self.next_bucket = NO_BUCKETS;
            }
            Advice::Width(bits) => self.rebuild(Some(bits)),
        }
    }

    fn shape(&self) -> Shape {
        Shape {
            width_bits: self.width_bits,
            ring_bits: self.ring_bits,
            narrowing: self.narrowing,
        }
    }

    /// Takes everything out, in no order.
    fn take_all(&mut self) -> Vec<Entry<B>> {
        let mut all = Vec::with_capacity(self.len());
        self.front.drain(&mut all);
        let wheels = self.coarse.iter_mut().flat_map(|wheel| wheel.slots.iter_mut());
        for bag in self.ring.iter_mut().chain(wheels) {
            self.chunks.drain(bag, &mut all);
        }
        for wheel in &mut self.coarse {
            wheel.occupied = [0; 4];
        }
        self.occupied.fill(0);
        (self.in_ring, self.in_coarse) = (0, 0);
        all
    }

    /// Files everything that waits anew, in a ring that suits it.
    #[cold]
    fn rebuild(&mut self, width_bits: Option<u32>) {
        #[cfg(test)]
        (self.inside.rebuilds += 1);
        let all = self.take_all();
        self.front.unbind();
        let before = self.shape();
        self.width_bits = width_bits
            .or_else(|| tuning::width_bits_for(&all, self.narrowing))
            .unwrap_or(self.width_bits);
        self.ring_bits = tuning::ring_bits_for(all.len() as u64, self.narrowing);
        self.ring.clear();
        self.ring.resize(1 << self.ring_bits, Bag::EMPTY);
        self.occupied.clear();
        self.occupied.resize((1 << self.ring_bits) / 64, 0);
        // A rebuild that changed nothing wasn't worth it, and the next one won't soon be.
        let cost = all.len() as u64 * if before == self.shape() { 8 } else { 1 };
        self.patience = cost.max(tuning::PERIOD);
        self.next_bucket = self.floor.as_nanos() >> self.width_bits;
        for entry in all {
            self.file(entry.time.as_nanos() >> self.width_bits, entry);
        }
    }
}
