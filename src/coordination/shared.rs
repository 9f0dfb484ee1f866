//! What several protocols are made of: a hash of words, large content that messages share, a table of identities.

use serde::{Serialize, Serializer};
use std::ops::Deref;
use std::sync::Arc;

/// Mixes words into one: SplitMix64's finaliser, a bijection of each of them.
#[inline]
pub(crate) const fn mix(hash: u64, word: u64) -> u64 {
    let z = (hash ^ word).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Something large that several messages share.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shared<T>(Arc<T>);

impl<T> Shared<T> {
    /// Shares it.
    pub fn new(content: T) -> Self {
        Self(Arc::new(content))
    }
}

impl<T> Deref for Shared<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: Serialize> Serialize for Shared<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// What a [`Table`] finds things by.
pub(crate) trait Name: Copy + Ord {
    /// A hash of it.
    fn hash(self) -> u64;
}

impl Name for u64 {
    #[inline]
    fn hash(self) -> u64 {
        mix(0, self)
    }
}

impl Name for (u64, u64) {
    #[inline]
    fn hash(self) -> u64 {
        mix(self.1.rotate_left(32), self.0)
    }
}

/// Names and something for each, by open addressing. Whoever goes through it does so in the order of names.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Table<K = u64, V = u64> {
    /// A name and what it stands for, in the first free place from where the name belongs.
    places: Vec<Option<(K, V)>>,
    count: usize,
}

impl<K, V> Default for Table<K, V> {
    fn default() -> Self {
        Self {
            places: Vec::new(),
            count: 0,
        }
    }
}

impl<K: Name, V: Copy> Table<K, V> {
    /// What a name stands for.
    #[inline]
    pub fn get(&self, name: K) -> Option<V> {
        self.find(name).copied()
    }
}

impl<K: Name, V> Table<K, V> {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn home(&self, name: K) -> usize {
        name.hash() as usize & (self.places.len() - 1)
    }

    /// Where a name is, or would be.
    #[inline]
    fn place(&self, name: K) -> usize {
        let mut place = self.home(name);
        while self.places[place].as_ref().is_some_and(|(there, _)| *there != name) {
            place = (place + 1) & (self.places.len() - 1);
        }
        place
    }

    /// What a name stands for.
    #[inline]
    pub fn find(&self, name: K) -> Option<&V> {
        if self.count == 0 {
            return None;
        }
        self.places[self.place(name)].as_ref().map(|(_, what)| what)
    }

    /// Whether a name is there.
    #[inline]
    pub fn has(&self, name: K) -> bool {
        self.find(name).is_some()
    }

    /// Has a name stand for something; whether it stood for nothing.
    pub fn insert(&mut self, name: K, what: V) -> bool {
        let place = self.place_for_one_more(name);
        let is_new = self.places[place].replace((name, what)).is_none();
        if is_new {
            self.count += 1;
        }
        is_new
    }

    /// What a name stands for, to be changed; by default, if it stood for nothing.
    pub fn entry(&mut self, name: K) -> &mut V
    where
        V: Default,
    {
        let place = self.place_for_one_more(name);
        if self.places[place].is_none() {
            self.count += 1;
        }
        &mut self.places[place].get_or_insert_with(|| (name, V::default())).1
    }

    /// Where a name is or would be, in a table with room for it.
    fn place_for_one_more(&mut self, name: K) -> usize {
        if 2 * (self.count + 1) > self.places.len() {
            self.grow();
        }
        self.place(name)
    }

    #[cold]
    fn grow(&mut self) {
        let larger = (2 * self.places.len()).max(16);
        let empty = std::iter::repeat_with(|| None).take(larger).collect();
        for (name, what) in std::mem::replace(&mut self.places, empty).into_iter().flatten() {
            let place = self.place(name);
            self.places[place] = Some((name, what));
        }
    }

    /// Forgets a name; what it stood for.
    pub fn remove(&mut self, name: K) -> Option<V> {
        if self.count == 0 {
            return None;
        }
        let mut free = self.place(name);
        let (_, what) = self.places[free].take()?;
        self.count -= 1;
        // Whoever comes after and doesn't belong there moves up.
        let last = self.places.len() - 1;
        let mut place = (free + 1) & last;
        while let Some((there, _)) = &self.places[place] {
            let home = self.home(*there);
            if (place.wrapping_sub(home) & last) >= (place.wrapping_sub(free) & last) {
                self.places[free] = self.places[place].take();
                free = place;
            }
            place = (place + 1) & last;
        }
        Some(what)
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        if self.count > 0 {
            self.places.iter_mut().for_each(|place| *place = None);
            self.count = 0;
        }
    }

    /// All of them, by name.
    pub fn sorted(&self) -> Vec<(K, &V)> {
        let mut all: Vec<(K, &V)> = self.places.iter().flatten().map(|(name, what)| (*name, what)).collect();
        all.sort_unstable_by_key(|(name, _)| *name);
        all
    }

    /// Changes all that the names stand for, each by itself.
    pub fn change_each(&mut self, change: impl FnMut(&mut V)) {
        self.places.iter_mut().flatten().map(|(_, what)| what).for_each(change);
    }
}

#[cfg(test)]
mod tests {
    use super::Table;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    proptest! {
        #[test]
        fn it_is_a_map(steps in prop::collection::vec((0u64..60, 0u64..1000, any::<bool>()), 0..400)) {
            let (mut table, mut map) = (Table::default(), BTreeMap::new());
            for (identity, word, puts) in steps {
                match puts {
                    true => prop_assert_eq!(table.insert(identity, word), map.insert(identity, word).is_none()),
                    false => prop_assert_eq!(table.remove(identity), map.remove(&identity)),
                }
                prop_assert_eq!(table.len(), map.len());
            }
            for identity in 0..60 {
                prop_assert_eq!(table.get(identity), map.get(&identity).copied());
            }
            let sorted: Vec<(u64, u64)> = table.sorted().into_iter().map(|(name, what)| (name, *what)).collect();
            prop_assert_eq!(sorted, map.into_iter().collect::<Vec<_>>());
        }
    }
}
