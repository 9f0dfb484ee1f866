//! A set of keys of one width, for searches that remember where they have been. Flat arrays and open addressing.

/// The set.
#[derive(Debug, Clone)]
pub(in crate::check) struct Table {
    width: usize,
    keys: Vec<u64>,
    slots: Vec<u32>,
}

const EMPTY: u32 = u32::MAX;

impl Table {
    /// A set of keys of so many words.
    pub(in crate::check) fn new(width: usize) -> Self {
        Self {
            width,
            keys: Vec::new(),
            slots: vec![EMPTY; 64],
        }
    }

    /// How many words of memory it takes.
    pub(in crate::check) fn words(&self) -> usize {
        self.keys.len() + self.slots.len() / 2
    }

    fn count(&self) -> usize {
        self.keys.len() / self.width
    }

    fn stored(&self, at: u32) -> &[u64] {
        let start = at as usize * self.width;
        &self.keys[start..start + self.width]
    }

    /// The slot of a key, or the free one where it belongs.
    fn slot(&self, key: &[u64]) -> usize {
        let mask = self.slots.len() - 1;
        let mut at = hash(key) as usize & mask;
        while self.slots[at] != EMPTY && self.stored(self.slots[at]) != key {
            at = (at + 1) & mask;
        }
        at
    }

    /// Whether a key is in the set.
    pub(in crate::check) fn contains(&self, key: &[u64]) -> bool {
        self.slots[self.slot(key)] != EMPTY
    }

    /// Puts a key into the set; whether it is new.
    pub(in crate::check) fn insert(&mut self, key: &[u64]) -> bool {
        debug_assert_eq!(key.len(), self.width);
        let slot = self.slot(key);
        if self.slots[slot] != EMPTY {
            return false;
        }
        self.slots[slot] = self.count() as u32;
        self.keys.extend_from_slice(key);
        if self.count() * 2 > self.slots.len() {
            self.grow();
        }
        true
    }

    fn grow(&mut self) {
        self.slots = vec![EMPTY; self.slots.len() * 2];
        for at in 0..self.count() as u32 {
            let slot = self.slot(self.stored(at));
            self.slots[slot] = at;
        }
    }
}

/// A multiplicative hash with the finish of SplitMix64.
fn hash(key: &[u64]) -> u64 {
    let mut sum = 0u64;
    for word in key {
        sum = (sum.rotate_left(23) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
    sum = (sum ^ (sum >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    sum ^ (sum >> 29)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    proptest! {
        #[test]
        fn it_is_a_set(keys in proptest::collection::vec((0u64..40, 0u64..4), 0..400)) {
            let (mut table, mut set) = (Table::new(2), BTreeSet::new());
            for (a, b) in keys {
                let key = [a << 40, b];
                prop_assert_eq!(table.contains(&key), set.contains(&key));
                prop_assert_eq!(table.insert(&key), set.insert(key));
                prop_assert!(table.contains(&key));
            }
            prop_assert_eq!(table.count(), set.len());
        }
    }
}
