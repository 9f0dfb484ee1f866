//! The event queue: a hierarchical wheel of unsorted time buckets, each sorted when it becomes current.
//!
//! It hands entries out in the total order of [`Entry::order`], whatever the order in which they came. Its width, its size and
//! its layout are tuned while it runs and never show in the results.
//!
//! * The *ring* holds the near future: `2^ring_bits` buckets of `2^width_bits` nanoseconds each. A push appends to a chunk of its
//!   bucket; nothing is compared.
//! * When a bucket becomes current it's sorted by small integer keys (time within the bucket, place), and the coming entries are
//!   known: the kernel touches their targets ahead of time.
//! * What falls into the current bucket or before goes into a small heap, the *late* entries.
//! * What lies beyond the ring waits in coarser wheels of 256 slots and moves down one level at a time, when its time comes.
//!
//! After the calendar queue (Brown 1988), the ladder queue (Tang et al. 2005) and hierarchical timing wheels (Varghese and
//! Lauck 1987).

use super::entry::Entry;
use super::prefetch::prefetch;
use super::time::SimTime;
use std::cmp::Ordering;
use std::collections::BinaryHeap;

/// How many entries one chunk holds.
const CHUNK: usize = 16;
/// No chunk.
const NIL: u32 = u32::MAX;
/// Slots of one coarse wheel, as a power of two.
const COARSE_BITS: u32 = 8;
/// Coarse wheels: enough for the whole range of time at the narrowest width and the smallest ring.
const COARSE_LEVELS: usize = 8;
/// Buckets are tuned to about this many entries.
const TARGET_OCCUPANCY: u64 = 128;
/// The ring never has fewer buckets than this, as a power of two.
const MIN_RING_BITS: u32 = 8;
/// The ring never has more buckets than this, as a power of two.
const MAX_RING_BITS: u32 = 16;
/// The widest bucket, as a power of two of nanoseconds: about 13 days.
const MAX_WIDTH_BITS: u32 = 50;
/// How many entries leave the queue between two looks at its tuning, at the least.
const TUNING_PERIOD: u64 = 2048;
/// Under this many entries, a heap is the best queue.
const FEW: u64 = 128;
/// How many entries may come late before buckets are thought too wide.
const LATE_LIMIT: usize = 512;

/// An unordered bag of entries: a list of chunks, of which the head is partly full.
#[derive(Debug, Clone, Copy)]
struct Bag {
    head: u32,
    len: u32,
}

const EMPTY: Bag = Bag { head: NIL, len: 0 };

/// The storage of all bags: chunks in one flat array, with a free list.
#[derive(Debug, Clone)]
struct Chunks<B> {
    entries: Vec<Entry<B>>,
    next: Vec<u32>,
    free: u32,
}

impl<B: Copy> Chunks<B> {
    fn new() -> Self {
        Self {
            entries: Vec::new(),
            next: Vec::new(),
            free: NIL,
        }
    }

    #[inline]
    fn push(&mut self, bag: &mut Bag, entry: Entry<B>) {
        let offset = bag.len as usize % CHUNK;
        if offset == 0 {
            let chunk = self.take(entry);
            self.next[chunk as usize] = bag.head;
            bag.head = chunk;
        }
        self.entries[bag.head as usize * CHUNK + offset] = entry;
        bag.len += 1;
    }

    #[inline]
    fn take(&mut self, filler: Entry<B>) -> u32 {
        if self.free != NIL {
            let chunk = self.free;
            self.free = self.next[chunk as usize];
            return chunk;
        }
        let chunk = self.next.len() as u32;
        self.next.push(NIL);
        if self.entries.len() == self.entries.capacity() {
            // By an eighth, not twofold: at a million entries the slack would cost more memory than anything else.
            self.entries.reserve_exact((self.entries.len() / 8).max(64 * CHUNK));
        }
        self.entries.resize(self.entries.len() + CHUNK, filler);
        chunk
    }

    /// Asks for the cache lines of `bag`: they'll be read soon.
    fn touch(&self, bag: &Bag) {
        let mut chunk = bag.head;
        while chunk != NIL {
            let start = chunk as usize * CHUNK;
            for entry in self.entries[start..start + CHUNK].iter().step_by(2) {
                prefetch(entry);
            }
            chunk = self.next[chunk as usize];
        }
    }

    /// Moves all entries of `bag` to the end of `out`, and empties it.
    fn drain(&mut self, bag: &mut Bag, out: &mut Vec<Entry<B>>) {
        let mut chunk = bag.head;
        let mut filled = match bag.len as usize % CHUNK {
            0 => CHUNK,
            part => part,
        };
        while chunk != NIL {
            let start = chunk as usize * CHUNK;
            out.extend(self.entries[start..start + filled].iter().copied());
            filled = CHUNK;
            let next = self.next[chunk as usize];
            self.next[chunk as usize] = self.free;
            self.free = chunk;
            chunk = next;
        }
        *bag = EMPTY;
    }
}

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

/// A wheel of 256 coarse slots, with a bit for each that holds something.
#[derive(Debug, Clone)]
struct Wheel {
    slots: Vec<Bag>,
    occupied: [u64; 4],
}

impl Wheel {
    fn new() -> Self {
        Self {
            slots: vec![EMPTY; 1 << COARSE_BITS],
            occupied: [0; 4],
        }
    }
}

/// The first set bit at or behind `from`, if there is one.
#[inline]
fn next_set(words: &[u64], from: usize) -> Option<usize> {
    let mut word = from / 64;
    let mut bits = words.get(word)? & (u64::MAX << (from % 64));
    loop {
        if bits != 0 {
            return Some(word * 64 + bits.trailing_zeros() as usize);
        }
        word += 1;
        bits = *words.get(word)?;
    }
}

/// A priority queue of entries in their total order.
#[derive(Debug, Clone)]
pub struct Queue<B> {
    /// The bucket being handed out, as it was pushed; `order` says in which order.
    current: Vec<Entry<B>>,
    order: Vec<u64>,
    cursor: usize,
    late: BinaryHeap<Late<B>>,
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
    scratch: Vec<Entry<B>>,
    /// The low bits of a sorting key that hold a place in `current`.
    place_mask: u64,
    /// The time of the entry handed out last.
    floor: SimTime,
    /// Since the last look at the tuning: entries and buckets that became current, and entries that came late.
    taken: u64,
    buckets: u64,
    came_late: u64,
    /// How many entries must pass before the next rebuild.
    patience: u64,
}

impl<B: Copy> Default for Queue<B> {
    fn default() -> Self {
        Self::new()
    }
}

impl<B: Copy> Queue<B> {
    /// An empty queue.
    pub fn new() -> Self {
        Self {
            current: Vec::new(),
            order: Vec::new(),
            cursor: 0,
            late: BinaryHeap::new(),
            ring: vec![EMPTY; 1 << MIN_RING_BITS],
            occupied: vec![0; (1 << MIN_RING_BITS) / 64],
            in_ring: 0,
            coarse: (0..COARSE_LEVELS).map(|_| Wheel::new()).collect(),
            in_coarse: 0,
            chunks: Chunks::new(),
            next_bucket: 0,
            width_bits: 20,
            ring_bits: MIN_RING_BITS,
            scratch: Vec::new(),
            place_mask: 0,
            floor: SimTime::ZERO,
            taken: 0,
            buckets: 0,
            came_late: 0,
            patience: 0,
        }
    }

    /// How many entries wait.
    pub fn len(&self) -> usize {
        self.order.len() - self.cursor + self.late.len() + self.in_ring + self.in_coarse
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds an entry. Its time may be that of the entry handed out last, or later; its order must be behind it.
    #[inline]
    pub fn push(&mut self, entry: Entry<B>) {
        let bucket = entry.time.as_nanos() >> self.width_bits;
        if bucket < self.next_bucket {
            self.late.push(Late(entry));
            self.came_late += 1;
            if self.late.len() > LATE_LIMIT {
                self.relieve_late();
            }
        } else {
            self.file(bucket, entry);
        }
    }

    /// Puts an entry of a bucket to come where it belongs: into the ring, or into a coarse wheel.
    #[inline]
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

    fn file_far(&mut self, bucket: u64, entry: Entry<B>) {
        let (block, here) = (bucket >> self.ring_bits, self.next_bucket >> self.ring_bits);
        let level = ((block ^ here).ilog2() / COARSE_BITS) as usize;
        let slot = (block >> (level as u32 * COARSE_BITS)) as usize & ((1 << COARSE_BITS) - 1);
        let wheel = &mut self.coarse[level];
        wheel.occupied[slot / 64] |= 1 << (slot % 64);
        self.in_coarse += 1;
        self.chunks.push(&mut wheel.slots[slot], entry);
    }

    /// The earliest entry, taken out, if it's not later than `end`.
    #[inline]
    pub fn pop_until(&mut self, end: SimTime) -> Option<Entry<B>> {
        if self.cursor == self.order.len() && self.late.is_empty() && !self.advance() {
            return None;
        }
        let sorted = self
            .order
            .get(self.cursor)
            .map(|key| &self.current[(key & self.place_mask) as usize]);
        match (sorted, self.late.peek()) {
            (Some(sorted), None) => {
                if sorted.time > end {
                    return None;
                }
                self.cursor += 1;
                self.floor = sorted.time;
                Some(*sorted)
            }
            (Some(sorted), Some(late)) if sorted.order(&late.0) == Ordering::Less => {
                if sorted.time > end {
                    return None;
                }
                self.cursor += 1;
                self.floor = sorted.time;
                Some(*sorted)
            }
            (_, Some(late)) => {
                if late.0.time > end {
                    return None;
                }
                self.floor = late.0.time;
                self.late.pop().map(|late| late.0)
            }
            (None, None) => unreachable!("advance found a bucket that holds something"),
        }
    }

    /// The entry that comes `ahead` places behind the next one, where that is known already.
    #[inline]
    pub fn coming(&self, ahead: usize) -> Option<&Entry<B>> {
        let key = *self.order.get(self.cursor + ahead)?;
        Some(&self.current[(key & self.place_mask) as usize])
    }

    /// Makes the next bucket that holds something current. False if nothing is left.
    fn advance(&mut self) -> bool {
        self.retune();
        if self.in_ring + self.in_coarse == 0 {
            return false;
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
            for entry in moved.drain(..) {
                self.file(entry.time.as_nanos() >> self.width_bits, entry);
            }
            self.scratch = moved;
        }
    }

    /// Takes a bucket out of the ring and sorts it.
    fn make_current(&mut self, slot: usize) {
        self.occupied[slot / 64] &= !(1 << (slot % 64));
        self.current.clear();
        self.order.clear();
        self.cursor = 0;
        self.chunks.drain(&mut self.ring[slot], &mut self.current);
        self.in_ring -= self.current.len();
        self.taken += self.current.len() as u64;
        self.buckets += 1;
        if let Some(coming) = next_set(&self.occupied, slot + 1) {
            self.chunks.touch(&self.ring[coming]);
        }
        self.place_mask = sort_bucket(&self.current, self.width_bits, &mut self.order);
    }

    /// Between two buckets: looks at how full they were, and rebuilds where another width or size would serve better.
    fn retune(&mut self) {
        let waiting = (self.in_ring + self.in_coarse) as u64;
        let passed = self.taken + self.came_late;
        if passed < TUNING_PERIOD.max(self.patience) && (self.patience > 0 || waiting < TUNING_PERIOD) {
            return;
        }
        let badly_tuned = if waiting < FEW {
            // So few that a heap serves them best: buckets so wide that nearly all come late.
            2 * self.came_late < passed
        } else {
            let occupancy = self.taken / self.buckets.max(1);
            let wanted = ring_bits_for(waiting);
            !(TARGET_OCCUPANCY / 4..=TARGET_OCCUPANCY * 3).contains(&occupancy)
                || wanted > self.ring_bits
                || wanted + 2 < self.ring_bits
        };
        (self.taken, self.buckets, self.came_late) = (0, 0, 0);
        self.patience = TUNING_PERIOD;
        if badly_tuned {
            self.rebuild();
        }
    }

    /// The heap of late entries has grown: buckets are too wide for what goes on, so file everything in narrower ones.
    #[cold]
    fn relieve_late(&mut self) {
        // A rebuild moves everything, so it must be worth that many pushes.
        if self.late.len() > self.len() / 4 {
            self.rebuild();
        }
    }

    /// Files everything that waits anew, in a ring that suits it.
    fn rebuild(&mut self) {
        let mut all = Vec::with_capacity(self.len());
        let mask = self.place_mask;
        all.extend(
            self.order[self.cursor..]
                .iter()
                .map(|key| self.current[(key & mask) as usize]),
        );
        self.order.clear();
        self.cursor = 0;
        all.extend(self.late.drain().map(|late| late.0));
        for bag in self
            .ring
            .iter_mut()
            .chain(self.coarse.iter_mut().flat_map(|wheel| wheel.slots.iter_mut()))
        {
            self.chunks.drain(bag, &mut all);
        }
        for wheel in &mut self.coarse {
            wheel.occupied = [0; 4];
        }
        (self.in_ring, self.in_coarse) = (0, 0);
        self.width_bits = width_bits_for(&all).unwrap_or(self.width_bits);
        self.ring_bits = ring_bits_for(all.len() as u64);
        self.ring.clear();
        self.ring.resize(1 << self.ring_bits, EMPTY);
        self.occupied.clear();
        self.occupied.resize((1 << self.ring_bits) / 64, 0);
        self.patience = (all.len() as u64).max(TUNING_PERIOD);
        self.next_bucket = self.floor.as_nanos() >> self.width_bits;
        for entry in all {
            self.file(entry.time.as_nanos() >> self.width_bits, entry);
        }
    }
}

/// The size of the ring for so many entries: a few times the buckets that they fill.
fn ring_bits_for(waiting: u64) -> u32 {
    (4 * waiting / TARGET_OCCUPANCY)
        .max(1)
        .next_power_of_two()
        .ilog2()
        .clamp(MIN_RING_BITS, MAX_RING_BITS)
}

/// The bucket width that suits these entries: as wide as the nearer half of them needs for the target occupancy. None if they
/// all have one time.
fn width_bits_for<B>(all: &[Entry<B>]) -> Option<u32> {
    let stride = (all.len() / 1024).max(1);
    let mut times: Vec<u64> = all.iter().step_by(stride).map(|entry| entry.time.as_nanos()).collect();
    times.sort_unstable();
    let (first, middle, last) = (*times.first()?, times[times.len() / 2], *times.last()?);
    let width = if (all.len() as u64) < FEW {
        (last - first).saturating_mul(8)
    } else {
        let near = if middle > first { middle - first } else { last - first };
        (u128::from(near) * u128::from(TARGET_OCCUPANCY) / (all.len() as u128 / 2)) as u64
    };
    (width > 0).then(|| width.ilog2().min(MAX_WIDTH_BITS))
}

/// Fills `order` with keys in the total order of `bucket`; the low bits of each, under the mask returned, are a place in it.
fn sort_bucket<B: Copy>(bucket: &[Entry<B>], width_bits: u32, order: &mut Vec<u64>) -> u64 {
    let place_bits = (bucket.len().max(2) as u64 - 1).ilog2() + 1;
    let mask = (1u64 << place_bits) - 1;
    if width_bits + place_bits > u64::BITS {
        order.extend(0..bucket.len() as u64);
        order.sort_unstable_by(|a, b| bucket[*a as usize].order(&bucket[*b as usize]));
        return mask;
    }
    let within = (1u64 << width_bits) - 1;
    let keys = bucket.iter().zip(0u64..);
    order.extend(keys.map(|(entry, place)| (entry.time.as_nanos() & within) << place_bits | place));
    order.sort_unstable();
    // Entries of one time now stand in the order of their places: put each such run right.
    let mut start = 0;
    while start + 1 < order.len() {
        let time = order[start] >> place_bits;
        if order[start + 1] >> place_bits != time {
            start += 1;
            continue;
        }
        let end = start + order[start..].partition_point(|key| key >> place_bits == time);
        order[start..end].sort_unstable_by_key(|key| bucket[(key & mask) as usize].tie());
        start = end;
    }
    mask
}
