//! How the keys of a store are divided among groups, and who is to lead each of them.
//!
//! Guarantees: a key belongs to one group, for the whole run, whoever is asked about it. By hashes of names another key moves nobody
//! else's; in ranges the keys of a group are neighbours in the order of names.

use crate::state::hash::{mix, of_name};
use std::sync::Arc;

/// The most groups of a store.
pub const MOST_SHARDS: u32 = 1_024;

/// Which group decides about which key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sharding {
    count: u32,
    /// The group of each key; empty where there is one group.
    of: Arc<[u16]>,
}

/// Who is to lead the groups.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Leaders {
    /// Whoever is elected.
    #[default]
    Elected,
    /// The replicas in turn: the first group the first replica, and so on.
    Spread,
    /// This replica leads all of them.
    At(u32),
}

impl Sharding {
    /// One group for all keys.
    pub fn one() -> Self {
        Self {
            count: 1,
            of: Arc::new([]),
        }
    }

    /// So many groups, and for each key, by its name, one of them by a hash.
    ///
    /// # Panics
    /// Panics without groups, or with more than [`MOST_SHARDS`].
    pub fn by_hash<'a>(count: u32, keys: impl IntoIterator<Item = &'a str>) -> Self {
        let of = |key: &str| (mix(of_name(key)) % u64::from(count)) as u16;
        Self::of(count, keys.into_iter().map(of).collect())
    }

    /// So many groups for so many keys, each with as many neighbours in the order of names, as far as that comes out even.
    ///
    /// # Panics
    /// Panics without groups, or with more than [`MOST_SHARDS`].
    pub fn by_range(count: u32, keys: usize) -> Self {
        let of = |key: usize| (key as u64 * u64::from(count) / keys as u64) as u16;
        Self::of(count, (0..keys).map(of).collect())
    }

    fn of(count: u32, of: Arc<[u16]>) -> Self {
        assert!((1..=MOST_SHARDS).contains(&count), "1 to {MOST_SHARDS} groups");
        if count == 1 { Self::one() } else { Self { count, of } }
    }

    /// How many groups there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// The group of a key.
    pub fn shard(&self, key: u32) -> u32 {
        self.of.get(key as usize).map_or(0, |shard| u32::from(*shard))
    }
}

impl Leaders {
    /// The replica that is to lead a group, of so many replicas, if one is.
    pub fn preferred(self, shard: u32, replicas: u32) -> Option<u32> {
        match self {
            Self::Elected => None,
            Self::Spread => Some(shard % replicas),
            Self::At(replica) => Some(replica),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(count: usize) -> Vec<String> {
        (0..count).map(|n| format!("key[{n}]")).collect()
    }

    fn hashed(count: u32, keys: &[String]) -> Vec<u32> {
        let sharding = Sharding::by_hash(count, keys.iter().map(String::as_str));
        (0..keys.len() as u32).map(|key| sharding.shard(key)).collect()
    }

    #[test]
    fn hashed_keys_are_spread_and_another_key_moves_nobody() {
        let (few, many) = (names(6_000), names(6_500));
        let shards = hashed(8, &few);
        assert_eq!(shards, hashed(8, &many)[..6_000]);
        // A count of 750 has a standard deviation of 26.
        for shard in 0..8 {
            let count = shards.iter().filter(|of| **of == shard).count();
            assert!((640..860).contains(&count), "{count} keys in group {shard}");
        }
    }

    #[test]
    fn ranges_are_neighbours_and_as_even_as_can_be() {
        for (count, keys) in [(3, 10), (4, 4), (5, 3), (1, 7), (7, 1_000)] {
            let sharding = Sharding::by_range(count, keys);
            let shards: Vec<u32> = (0..keys as u32).map(|key| sharding.shard(key)).collect();
            assert!(shards.is_sorted() && shards.iter().all(|shard| *shard < count));
            let sizes = (0..count).map(|shard| shards.iter().filter(|of| **of == shard).count());
            let even = keys / count as usize;
            assert!(
                sizes.into_iter().all(|size| (even..=even + 1).contains(&size)),
                "{shards:?}"
            );
        }
    }

    #[test]
    fn leaders_are_spread_in_turn() {
        let led = |leaders: Leaders| (0..5).map(|shard| leaders.preferred(shard, 3)).collect::<Vec<_>>();
        assert_eq!(led(Leaders::Spread), [0, 1, 2, 0, 1].map(Some));
        assert_eq!(led(Leaders::At(2)), [2; 5].map(Some));
        assert_eq!(led(Leaders::Elected), [None; 5]);
    }
}
