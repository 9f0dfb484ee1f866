//! Which replicas keep a key: consistent hashing of names.
//!
//! Every replica has 64 places on a ring, at hashes of its name; a key's order of preference is that of the replicas met from the hash
//! of its own name on (Karger et al., STOC 1997; DeCandia et al., SOSP 2007, sections 4.2 and 4.3). Guarantees: the order
//! depends on names alone, so no seed moves a key, and another replica moves only the keys that it takes.

use crate::state::hash::{chain, mix, of_name};

/// Places of a replica on the ring.
const PLACES: u64 = 64;

/// The order of preference for each key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    replicas: usize,
    /// The orders from each place of the ring on, one behind the other.
    orders: Vec<u8>,
    /// Of each key its place on the ring; empty if there is one order for all.
    places: Vec<u16>,
}

impl Placement {
    /// Every key at all of so many replicas, in their own order.
    ///
    /// # Panics
    /// Panics if there are no replicas, or more than [`super::MOST_REPLICAS`].
    pub fn everywhere(replicas: u32) -> Self {
        assert!(
            (1..=super::MOST_REPLICAS).contains(&(replicas as usize)),
            "1 to 64 replicas"
        );
        Self {
            replicas: replicas as usize,
            orders: (0..replicas as u8).collect(),
            places: Vec::new(),
        }
    }

    /// Keys by name on the ring of these replicas.
    ///
    /// # Panics
    /// Panics if there are no replicas, or more than [`super::MOST_REPLICAS`].
    pub fn ring<'a>(keys: impl IntoIterator<Item = &'a str>, replicas: &[&str]) -> Self {
        assert!((1..=super::MOST_REPLICAS).contains(&replicas.len()), "1 to 64 replicas");
        let mut ring: Vec<(u64, u8)> = Vec::with_capacity(replicas.len() * PLACES as usize);
        for (name, member) in replicas.iter().zip(0u8..) {
            ring.extend((0..PLACES).map(|place| (mix(chain(of_name(name), place)), member)));
        }
        ring.sort_unstable();
        let mut orders = Vec::with_capacity(ring.len() * replicas.len());
        for from in 0..ring.len() {
            let first = orders.len();
            for (_, member) in ring[from..].iter().chain(&ring[..from]) {
                if !orders[first..].contains(member) {
                    orders.push(*member);
                }
                if orders.len() - first == replicas.len() {
                    break;
                }
            }
        }
        let place = |key: &str| {
            let hash = mix(of_name(key));
            (ring.partition_point(|(at, _)| *at < hash) % ring.len()) as u16
        };
        Self {
            replicas: replicas.len(),
            orders,
            places: keys.into_iter().map(place).collect(),
        }
    }

    /// How many replicas there are.
    pub fn replicas(&self) -> usize {
        self.replicas
    }

    /// All replicas in the order in which a key prefers them.
    pub fn order(&self, key: u32) -> &[u8] {
        let place = self.places.get(key as usize).map_or(0, |place| usize::from(*place));
        &self.orders[place * self.replicas..][..self.replicas]
    }

    /// The number of a key's order among all, and how many there are: keys of one number have one order.
    pub fn class(&self, key: u32) -> (usize, usize) {
        let place = self.places.get(key as usize).map_or(0, |place| usize::from(*place));
        (place, self.orders.len() / self.replicas.max(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(prefix: &str, count: usize) -> Vec<String> {
        (0..count).map(|n| format!("{prefix}{n}")).collect()
    }

    fn ring(keys: &[String], replicas: &[String]) -> Placement {
        let replicas: Vec<&str> = replicas.iter().map(String::as_str).collect();
        Placement::ring(keys.iter().map(String::as_str), &replicas)
    }

    proptest! {
        #[test]
        fn an_order_names_every_replica_once(replicas in 1usize..20, keys in 1usize..50) {
            let placement = ring(&names("key", keys), &names("site", replicas));
            for key in 0..keys as u32 {
                let mut order = placement.order(key).to_vec();
                order.sort_unstable();
                prop_assert_eq!(order, (0..replicas as u8).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn keys_are_spread_and_another_replica_moves_only_what_it_takes() {
        let keys = names("key", 6000);
        let (five, six) = (ring(&keys, &names("site", 5)), ring(&keys, &names("site", 6)));
        let mut firsts = [0; 5];
        for key in 0..keys.len() as u32 {
            firsts[usize::from(five.order(key)[0])] += 1;
            let without: Vec<u8> = six.order(key).iter().copied().filter(|member| *member != 5).collect();
            assert_eq!(without, five.order(key));
        }
        // A replica's share of the ring has a relative standard deviation of about one over the root of its places.
        assert!(firsts.iter().all(|count| (700..1700).contains(count)), "{firsts:?}");
    }
}
