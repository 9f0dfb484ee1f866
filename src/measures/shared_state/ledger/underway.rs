//! The operations under way, by their identity.
//!
//! There are as many as agents that wait, and each is looked for several times while it lasts: by a table of hashes, which nothing
//! walks through. What is over leaves its place to the next one.

use super::Pending;

/// An empty place of the table.
const FREE: u32 = u32::MAX;

/// The operations under way.
#[derive(Debug, Default)]
pub(in super::super) struct Underway {
    operations: Vec<Option<Pending>>,
    free: Vec<u32>,
    /// By hash: identities, and the places of their operations. A power of two, and less than half full.
    table: Vec<(u64, u32)>,
}

impl Underway {
    /// Where an identity belongs, if nothing else is there.
    fn home(&self, identity: u64) -> usize {
        let hash = identity.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        (hash >> (64 - self.table.len().trailing_zeros())) as usize
    }

    fn after(&self, at: usize) -> usize {
        (at + 1) & (self.table.len() - 1)
    }

    /// Where in the table an identity is.
    fn find(&self, identity: u64) -> Option<usize> {
        if self.table.is_empty() {
            return None;
        }
        let mut at = self.home(identity);
        loop {
            match self.table[at] {
                (_, FREE) => return None,
                (other, _) if other == identity => return Some(at),
                _ => at = self.after(at),
            }
        }
    }

    fn note(&mut self, identity: u64, place: u32) {
        let mut at = self.home(identity);
        while self.table[at].1 != FREE {
            at = self.after(at);
        }
        self.table[at] = (identity, place);
    }

    /// Whether there is such an operation.
    pub fn has(&self, identity: u64) -> bool {
        self.find(identity).is_some()
    }

    /// An operation.
    pub fn get(&self, identity: u64) -> Option<&Pending> {
        let place = self.table[self.find(identity)?].1;
        self.operations[place as usize].as_ref()
    }

    /// An operation.
    pub fn get_mut(&mut self, identity: u64) -> Option<&mut Pending> {
        let place = self.table[self.find(identity)?].1;
        self.operations[place as usize].as_mut()
    }

    /// An operation begins that isn't there yet.
    pub fn add(&mut self, identity: u64, pending: Pending) -> &mut Pending {
        if 2 * (self.operations.len() - self.free.len() + 1) > self.table.len() {
            let room = (2 * self.table.len()).max(64);
            let old = std::mem::replace(&mut self.table, vec![(0, FREE); room]);
            let old = old.into_iter().filter(|(_, place)| *place != FREE);
            old.for_each(|(identity, place)| self.note(identity, place));
        }
        let place = self.free.pop().unwrap_or_else(|| {
            self.operations.push(None);
            self.operations.len() as u32 - 1
        });
        self.note(identity, place);
        self.operations[place as usize].insert(pending)
    }

    /// An operation is over.
    pub fn remove(&mut self, identity: u64) -> Option<Pending> {
        let mut hole = self.find(identity)?;
        let place = self.table[hole].1;
        // Whatever lies further on than where it belongs closes the gap, if that lets it lie nearer.
        let mut at = hole;
        loop {
            at = self.after(at);
            let (other, place) = self.table[at];
            if place == FREE {
                break;
            }
            let mask = self.table.len() - 1;
            let home = self.home(other);
            if at.wrapping_sub(home) & mask >= at.wrapping_sub(hole) & mask {
                self.table[hole] = (other, place);
                hole = at;
            }
        }
        self.table[hole] = (0, FREE);
        self.free.push(place);
        self.operations[place as usize].take()
    }

    /// All of them.
    pub fn all_mut(&mut self) -> impl Iterator<Item = &mut Pending> {
        self.operations.iter_mut().flatten()
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = &Pending> {
        self.operations.iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn pending(agent: u32) -> Pending {
        Pending::new(agent)
    }

    proptest! {
        #[test]
        fn operations_are_found_as_long_as_they_last(
            steps in prop::collection::vec((0u64..40, 0u32..3, any::<bool>()), 0..300),
        ) {
            let (mut underway, mut plain) = (Underway::default(), BTreeMap::new());
            for (count, (low, high, begins)) in (0..).zip(steps) {
                let identity = u64::from(high) << 32 | low;
                if !begins {
                    let removed = underway.remove(identity).map(|it| it.agent);
                    prop_assert_eq!(removed, plain.remove(&identity));
                } else if !underway.has(identity) {
                    underway.add(identity, pending(count));
                    plain.insert(identity, count);
                }
                for identity in (0..3u64).flat_map(|high| (0..40).map(move |low| high << 32 | low)) {
                    prop_assert_eq!(underway.get(identity).map(|it| it.agent), plain.get(&identity).copied());
                }
                prop_assert_eq!(underway.all().count(), plain.len());
            }
        }
    }
}
