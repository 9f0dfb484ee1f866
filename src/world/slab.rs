//! A slab: values under small handles that are used again.

use serde::{Deserialize, Serialize};

/// A handle to a value in a [`Slab`]: the place, and the generation that tells a later tenant from this one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handle {
    index: u32,
    generation: u32,
}

impl Handle {
    /// A handle to nothing.
    pub const NONE: Self = Self {
        index: u32::MAX,
        generation: 0,
    };

    /// The handle as the body of an entry.
    #[inline]
    pub fn to_word(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// The handle in the body of an entry.
    #[inline]
    pub fn from_word(word: u64) -> Self {
        Self {
            index: word as u32,
            generation: (word >> 32) as u32,
        }
    }

    /// The place.
    pub fn index(self) -> u32 {
        self.index
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

/// Values under handles; a freed place is the next to be used, so the hot part stays small.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Slab<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self {
            slots: Vec::new(),
            free: Vec::new(),
        }
    }
}

impl<T> Slab<T> {
    /// Keeps `value`.
    #[inline]
    pub fn insert(&mut self, value: T) -> Handle {
        self.insert_with(|| value)
    }

    /// Keeps what `make` makes, which goes straight to its place.
    ///
    /// That is why its place is found before, and why this is always inlined: a value that is made first, and then copied in wider
    /// pieces than it was written in, waits until all of it has reached the cache.
    #[inline(always)]
    pub fn insert_with(&mut self, make: impl FnOnce() -> T) -> Handle {
        let index = match self.free.pop() {
            Some(index) => index,
            None => self.grow(),
        };
        let slot = &mut self.slots[index as usize];
        let vacant = slot.value.replace(make());
        debug_assert!(vacant.is_none(), "a free place is empty");
        // It has nothing to drop, which the compiler can't know.
        std::mem::forget(vacant);
        Handle {
            index,
            generation: slot.generation,
        }
    }

    /// A place more.
    #[cold]
    #[inline(never)]
    fn grow(&mut self) -> u32 {
        let index = u32::try_from(self.slots.len()).expect("fewer than 2^32 values at once");
        self.slots.push(Slot {
            generation: 0,
            value: None,
        });
        index
    }

    /// Takes the value out, if it is still there.
    #[inline]
    pub fn remove(&mut self, handle: Handle) -> Option<T> {
        let slot = self
            .slots
            .get_mut(handle.index as usize)
            .filter(|slot| slot.generation == handle.generation)?;
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(handle.index);
        Some(value)
    }

    /// Throws a value away, if it is still there.
    #[inline]
    pub fn free(&mut self, handle: Handle) {
        let slot = self.slots.get_mut(handle.index as usize);
        if let Some(slot) = slot.filter(|slot| slot.generation == handle.generation)
            && slot.value.is_some()
        {
            slot.value = None;
            slot.generation = slot.generation.wrapping_add(1);
            self.free.push(handle.index);
        }
    }

    /// The value, if it is still there.
    #[inline]
    pub fn get(&self, handle: Handle) -> Option<&T> {
        self.slots
            .get(handle.index as usize)
            .filter(|slot| slot.generation == handle.generation)?
            .value
            .as_ref()
    }

    /// The value, if it is still there.
    #[inline]
    pub fn get_mut(&mut self, handle: Handle) -> Option<&mut T> {
        self.slots
            .get_mut(handle.index as usize)
            .filter(|slot| slot.generation == handle.generation)?
            .value
            .as_mut()
    }

    /// Where a handle's value lies, to be prefetched: it isn't read.
    #[inline]
    pub(crate) fn place(&self, handle: Handle) -> Option<&impl Sized> {
        self.slots.get(handle.index as usize)
    }

    /// All values, in the order of their places.
    pub fn iter(&self) -> impl Iterator<Item = &T> {
        self.slots.iter().filter_map(|slot| slot.value.as_ref())
    }

    /// The handles of all values, in the order of their places.
    pub fn handles(&self) -> impl Iterator<Item = Handle> {
        let slots = self.slots.iter().zip(0u32..);
        slots
            .filter(|(slot, _)| slot.value.is_some())
            .map(|(slot, index)| Handle {
                index,
                generation: slot.generation,
            })
    }

    /// Takes all values out, in the order of their places. Their handles are void.
    pub fn take(&mut self) -> Vec<T> {
        let mut all = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if let Some(value) = slot.value.take() {
                slot.generation = slot.generation.wrapping_add(1);
                self.free.push(index as u32);
                all.push(value);
            }
        }
        all
    }

    /// How many values there are.
    pub fn len(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}
