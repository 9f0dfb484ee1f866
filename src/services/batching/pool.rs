//! The memory for keys and values: blocks in use by one sequence, blocks that several may use, and blocks that nobody uses and that are
//! kept for whoever begins with the same tokens.
//!
//! Guarantees: of blocks that nobody uses, the one is given away first whose last use ended first; of one sequence the last block first.

use serde::Serialize;
use std::collections::BTreeMap;

/// The name of a block: which tokens, and which of their blocks.
type Name = (u64, u32);

/// A block with a name.
#[derive(Debug, Clone, Copy, Serialize)]
struct Named {
    users: u32,
    /// Its place among those that nobody uses.
    place: u64,
}

/// All blocks.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Pool {
    capacity: u64,
    /// In use by one sequence, without a name.
    own: u64,
    named: BTreeMap<Name, Named>,
    /// Those that nobody uses, by the end of their last use.
    unused: BTreeMap<u64, Name>,
    places: u64,
}

impl Pool {
    pub fn new(capacity: u64) -> Self {
        Self {
            capacity,
            own: 0,
            named: BTreeMap::new(),
            unused: BTreeMap::new(),
            places: 0,
        }
    }

    /// How many blocks are in use.
    pub fn used(&self) -> u64 {
        self.own + (self.named.len() - self.unused.len()) as u64
    }

    /// How many may be taken.
    fn available(&self) -> u64 {
        self.capacity - self.used()
    }

    /// Takes so many blocks for one sequence, if there are as many.
    pub fn take(&mut self, count: u64) -> bool {
        if self.available() < count {
            return false;
        }
        while self.capacity - self.own - (self.named.len() as u64) < count {
            let (_, oldest) = self
                .unused
                .pop_first()
                .expect("what is available and not free is unused");
            self.named.remove(&oldest);
        }
        self.own += count;
        true
    }

    /// Takes so many blocks for one sequence, and the use of the named ones before them; nothing if there aren't as many.
    pub fn take_behind(&mut self, names: &[Name], count: u64) -> bool {
        let unused = names
            .iter()
            .filter(|name| self.named.get(name).is_some_and(|block| block.users == 0));
        if self.available() < count + unused.count() as u64 {
            return false;
        }
        for name in names {
            self.use_named(*name);
        }
        self.take(count)
    }

    /// How many of these are there, from the first on.
    pub fn leading(&self, names: impl Iterator<Item = Name>) -> Vec<Name> {
        names.take_while(|name| self.named.contains_key(name)).collect()
    }

    fn use_named(&mut self, name: Name) {
        if let Some(block) = self.named.get_mut(&name) {
            if block.users == 0 {
                self.unused.remove(&block.place);
            }
            block.users += 1;
        }
    }

    /// A sequence's own block is full and gets its name: it uses that one from now on. One of the same name that is there already is used
    /// instead, and the own one is free.
    pub fn name(&mut self, name: Name) {
        self.own -= 1;
        if self.named.contains_key(&name) {
            return self.use_named(name);
        }
        self.named.insert(name, Named { users: 1, place: 0 });
    }

    /// A sequence doesn't use a named block any more.
    pub fn leave(&mut self, name: Name) {
        let place = self.places;
        if let Some(block) = self.named.get_mut(&name) {
            block.users -= 1;
            if block.users == 0 {
                block.place = place;
                self.unused.insert(place, name);
                self.places += 1;
            }
        }
    }

    /// A sequence gives own blocks back.
    pub fn give_back(&mut self, count: u64) {
        self.own -= count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_uses_is_given_away_in_the_order_of_its_last_use() {
        let mut pool = Pool::new(4);
        assert!(pool.take(3));
        for index in 0..3 {
            pool.name((1, index));
        }
        assert_eq!(pool.used(), 3);
        for index in [2, 1, 0] {
            pool.leave((1, index));
        }
        assert_eq!(pool.used(), 0);
        // The last block of the sequence goes first.
        assert!(pool.take(2));
        assert_eq!(pool.leading((0..3).map(|index| (1, index))), [(1, 0), (1, 1)]);
        assert!(
            !pool.take_behind(&[(1, 0), (1, 1)], 1),
            "two are left, and both are meant"
        );
        assert_eq!(pool.used(), 2);
        assert!(pool.take_behind(&[(1, 0)], 1));
        assert_eq!(
            (pool.used(), pool.leading((0..3).map(|index| (1, index))).len()),
            (4, 1)
        );
    }

    #[test]
    fn two_blocks_of_the_same_tokens_become_one() {
        let mut pool = Pool::new(2);
        assert!(pool.take(1) && pool.take(1) && !pool.take(1));
        pool.name((1, 0));
        pool.name((1, 0));
        assert_eq!(pool.used(), 1);
        assert!(pool.take(1));
        pool.leave((1, 0));
        assert_eq!(pool.used(), 2);
        pool.leave((1, 0));
        assert_eq!(pool.used(), 1);
    }
}
