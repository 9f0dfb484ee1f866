//! Bags of entries: lists of small chunks out of one flat array, so that a queue with a million entries in thousands of
//! buckets needs hardly more memory than the entries themselves.

use crate::kernel::entry::Entry;
use crate::kernel::hints::prefetch;

/// How many entries one chunk holds.
const CHUNK: usize = 16;
/// No chunk.
const NIL: u32 = u32::MAX;

/// An unordered bag of entries: a list of chunks, of which the head is partly full.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bag {
    head: u32,
    len: u32,
}

impl Bag {
    /// A bag with nothing in it.
    pub(super) const EMPTY: Self = Self { head: NIL, len: 0 };

    /// How many entries it holds.
    #[inline]
    pub(super) fn len(&self) -> usize {
        self.len as usize
    }
}

/// The storage of all bags: chunks in one flat array, with a free list.
///
/// The chunk freed last is used first: it's still in the cache.
#[derive(Debug, Clone)]
pub(super) struct Chunks<B> {
    entries: Vec<Entry<B>>,
    next: Vec<u32>,
    free: u32,
}

impl<B: Copy> Chunks<B> {
    pub(super) fn new() -> Self {
        Self {
            entries: Vec::new(),
            next: Vec::new(),
            free: NIL,
        }
    }

    /// Adds `entry` to `bag`.
    #[inline(always)]
    pub(super) fn push(&mut self, bag: &mut Bag, entry: Entry<B>) {
        let offset = bag.len as usize % CHUNK;
        if offset == 0 {
            let chunk = self.take(entry);
            self.next[chunk as usize] = bag.head;
            bag.head = chunk;
        }
        self.entries[bag.head as usize * CHUNK + offset] = entry;
        bag.len += 1;
    }

    #[inline(always)]
    fn take(&mut self, filler: Entry<B>) -> u32 {
        if self.free == NIL {
            self.grow(filler);
        }
        let chunk = self.free;
        self.free = self.next[chunk as usize];
        chunk
    }

    /// Adds a free chunk.
    #[cold]
    #[inline(never)]
    fn grow(&mut self, filler: Entry<B>) {
        let chunk = u32::try_from(self.next.len()).expect("fewer than 2^36 entries wait");
        self.next.push(self.free);
        self.free = chunk;
        if self.entries.len() == self.entries.capacity() {
            // By an eighth, not twofold: at a million entries the slack would cost more memory than anything else.
            self.entries.reserve_exact((self.entries.len() / 8).max(64 * CHUNK));
        }
        self.entries.resize(self.entries.len() + CHUNK, filler);
    }

    /// The chunk of `bag` that is filled at the moment, its number of entries, and so on through the list.
    #[inline]
    fn parts(&self, bag: &Bag) -> impl Iterator<Item = (u32, &[Entry<B>])> {
        let mut chunk = bag.head;
        let mut filled = match bag.len as usize % CHUNK {
            0 => CHUNK,
            part => part,
        };
        std::iter::from_fn(move || {
            if chunk == NIL {
                return None;
            }
            let (this, start) = (chunk, chunk as usize * CHUNK);
            let part = &self.entries[start..start + filled];
            (filled, chunk) = (CHUNK, self.next[chunk as usize]);
            Some((this, part))
        })
    }

    /// Asks for the cache lines of `bag`: they'll be read soon.
    pub(super) fn touch(&self, bag: &Bag) {
        for (_, part) in self.parts(bag) {
            part.iter().step_by(2).for_each(prefetch);
        }
    }

    /// Calls `visit` with every entry of `bag`.
    #[inline]
    pub(super) fn each(&self, bag: &Bag, mut visit: impl FnMut(&Entry<B>)) {
        for (_, part) in self.parts(bag) {
            part.iter().for_each(&mut visit);
        }
    }

    /// Frees the chunks of `bag`, whose entries have been copied elsewhere, and empties it.
    #[inline]
    pub(super) fn clear(&mut self, bag: &mut Bag) {
        let mut chunk = bag.head;
        while chunk != NIL {
            let next = self.next[chunk as usize];
            self.next[chunk as usize] = self.free;
            self.free = chunk;
            chunk = next;
        }
        *bag = Bag::EMPTY;
    }

    /// Moves all entries of `bag` to the end of `out`, and empties it.
    pub(super) fn drain(&mut self, bag: &mut Bag, out: &mut Vec<Entry<B>>) {
        for (_, part) in self.parts(bag) {
            out.extend_from_slice(part);
        }
        self.clear(bag);
    }
}
