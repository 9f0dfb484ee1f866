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

/// Identities and a word for each, by open addressing. It is never gone through: what has an order lies elsewhere.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct Table {
    /// An identity and its word, in the first free place from where the identity belongs.
    places: Vec<Option<(u64, u64)>>,
    count: usize,
}

impl Table {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn home(&self, identity: u64) -> usize {
        mix(0, identity) as usize & (self.places.len() - 1)
    }

    /// Where an identity is, or would be.
    fn place(&self, identity: u64) -> usize {
        let mut place = self.home(identity);
        while self.places[place].is_some_and(|(there, _)| there != identity) {
            place = (place + 1) & (self.places.len() - 1);
        }
        place
    }

    /// The word of an identity.
    #[inline]
    pub fn get(&self, identity: u64) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        self.places[self.place(identity)].map(|(_, word)| word)
    }

    /// Gives an identity a word; whether it had none.
    pub fn insert(&mut self, identity: u64, word: u64) -> bool {
        if 2 * (self.count + 1) > self.places.len() {
            let larger = (2 * self.places.len()).max(16);
            for (identity, word) in std::mem::replace(&mut self.places, vec![None; larger])
                .into_iter()
                .flatten()
            {
                let place = self.place(identity);
                self.places[place] = Some((identity, word));
            }
        }
        let place = self.place(identity);
        let is_new = self.places[place].replace((identity, word)).is_none();
        self.count += usize::from(is_new);
        is_new
    }

    /// Forgets an identity; its word.
    pub fn remove(&mut self, identity: u64) -> Option<u64> {
        if self.count == 0 {
            return None;
        }
        let mut free = self.place(identity);
        let (_, word) = self.places[free].take()?;
        self.count -= 1;
        // Whoever comes after and doesn't belong there moves up.
        let last = self.places.len() - 1;
        let mut place = (free + 1) & last;
        while let Some((there, _)) = self.places[place] {
            let home = self.home(there);
            if (place.wrapping_sub(home) & last) >= (place.wrapping_sub(free) & last) {
                self.places[free] = self.places[place].take();
                free = place;
            }
            place = (place + 1) & last;
        }
        Some(word)
    }

    /// Forgets all of them.
    pub fn clear(&mut self) {
        self.places.fill(None);
        self.count = 0;
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
        }
    }
}
