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

/// A place of a [`Slab`] that was taken and is empty.
#[derive(Debug)]
#[must_use = "a place that is taken is filled"]
pub struct Vacancy<'a, T>(&'a mut Option<T>);

impl<T> Vacancy<'_, T> {
    /// Fills the place.
    #[inline(always)]
    pub fn fill(self, value: T) {
        let vacant = self.0.replace(value);
        debug_assert!(vacant.is_none(), "a free place is empty");
        // It has nothing to drop, which the compiler can't know.
        std::mem::forget(vacant);
    }
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
        let (handle, place) = self.vacancy();
        place.fill(value);
        handle
    }

    /// Takes a place, to be filled at once.
    ///
    /// So a value goes straight to its place, from registers: one that is made first, and then copied in wider pieces than it was
    /// written in, waits until all of it has reached the cache. That is also why this is always inlined, and why nothing that may
    /// fail comes between.
    #[inline(always)]
    pub fn vacancy(&mut self) -> (Handle, Vacancy<'_, T>) {
        let index = match self.free.pop() {
            Some(index) => index,
            None => self.grow(),
        };
        let Slot { generation, value } = &mut self.slots[index as usize];
        let handle = Handle {
            index,
            generation: *generation,
        };
        (handle, Vacancy(value))
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

    /// The place of a handle, if it is still the handle's. One question after the other: both at once are a detour for the
    /// processor, since mostly both are answered yes.
    #[inline(always)]
    fn slot(&self, handle: Handle) -> Option<&Slot<T>> {
        let index = handle.index as usize;
        if index >= self.slots.len() || self.slots[index].generation != handle.generation {
            return None;
        }
        Some(&self.slots[index])
    }

    /// The same, to be changed.
    #[inline(always)]
    fn slot_mut(&mut self, handle: Handle) -> Option<&mut Slot<T>> {
        let index = handle.index as usize;
        if index >= self.slots.len() || self.slots[index].generation != handle.generation {
            return None;
        }
        Some(&mut self.slots[index])
    }

    /// Takes the value out, if it is still there.
    #[inline]
    pub fn remove(&mut self, handle: Handle) -> Option<T> {
        let slot = self.slot_mut(handle)?;
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(handle.index);
        Some(value)
    }

    /// Takes plain data out.
    ///
    /// By a copy: what [`Slab::remove`] takes out is put together from pieces that lie across each other.
    ///
    /// # Panics
    /// Panics if it isn't there any more.
    #[inline(always)]
    pub fn take_copy(&mut self, handle: Handle) -> T
    where
        T: Copy,
    {
        let slot = self.slot_mut(handle);
        let slot = slot.expect("what is taken out is there");
        let value = *slot.value.as_ref().expect("a place with a valid handle is filled");
        slot.value = None;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(handle.index);
        value
    }

    /// Throws a value away, if it is still there.
    #[inline]
    pub fn free(&mut self, handle: Handle) {
        if let Some(slot) = self.slot_mut(handle)
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
        self.slot(handle)?.value.as_ref()
    }

    /// The value, if it is still there.
    #[inline]
    pub fn get_mut(&mut self, handle: Handle) -> Option<&mut T> {
        self.slot_mut(handle)?.value.as_mut()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_void_once_its_value_is_gone() {
        let mut slab = Slab::default();
        let (first, place) = slab.vacancy();
        place.fill(7);
        let second = slab.insert(8);
        assert_eq!((slab.get(first), slab.len()), (Some(&7), 2));
        assert_eq!(slab.get_mut(second), Some(&mut 8));
        assert_eq!(
            (slab.take_copy(first), slab.remove(second), slab.len()),
            (7, Some(8), 0)
        );
        // Their places are taken by others, which they don't reach.
        let (third, place) = slab.vacancy();
        place.fill(9);
        assert_eq!(third.index(), second.index());
        slab.free(second);
        assert_eq!(slab.remove(second), None);
        assert_eq!((slab.get(second), slab.get(third)), (None, Some(&9)));
        let elsewhere = Handle {
            index: 2,
            generation: 0,
        };
        slab.free(elsewhere);
        assert_eq!(
            (slab.get(elsewhere), slab.get(Handle::NONE), slab.len()),
            (None, None, 1)
        );
    }

    #[test]
    #[should_panic(expected = "what is taken out is there")]
    fn a_value_is_taken_out_once() {
        let mut slab = Slab::default();
        let handle = slab.insert(7);
        slab.free(handle);
        slab.take_copy(handle);
    }
}
