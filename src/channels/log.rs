//! The partitions of a log: what was appended, with offsets, and what of it is kept.
//!
//! Guarantees: offsets of a partition follow each other in the order of appending, and are never used again; what is kept is one stretch
//! of them, up to the newest.

use super::item::Item;
use super::spec::Retention;
use crate::kernel::SimTime;
use serde::Serialize;
use std::collections::VecDeque;

/// A partition.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Partition {
    first: u64,
    items: VecDeque<Item>,
    bytes: u64,
}

impl Partition {
    /// The offset of the oldest message that is kept, or of the next if none is.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// The offset that the next message gets.
    pub fn next(&self) -> u64 {
        self.first + self.items.len() as u64
    }

    /// The message at an offset, if it is kept.
    pub fn get(&self, offset: u64) -> Option<&Item> {
        self.items.get(offset.checked_sub(self.first)? as usize)
    }

    /// Appends a message.
    pub fn append(&mut self, item: Item) {
        self.bytes += u64::from(item.publication.bytes);
        self.items.push_back(item);
    }

    /// Whether the oldest message is beyond what is kept.
    fn is_beyond(&self, retention: &Retention, now: SimTime) -> bool {
        let Some(oldest) = self.items.front() else { return false };
        let old = |age| oldest.accepted.saturating_add(age) <= now;
        retention.count.is_some_and(|most| self.items.len() as u64 > most)
            || retention.bytes.is_some_and(|most| self.bytes > most)
            || retention.age.is_some_and(old)
    }

    /// Lets go of the oldest message if it is beyond what is kept: its offset, and the message.
    pub fn expire(&mut self, retention: &Retention, now: SimTime) -> Option<(u64, Item)> {
        if !self.is_beyond(retention, now) {
            return None;
        }
        let item = self.items.pop_front()?;
        self.bytes -= u64::from(item.publication.bytes);
        self.first += 1;
        Some((self.first - 1, item))
    }

    /// Lets go of everything, and begins with offset 0.
    pub fn wipe(&mut self) {
        *self = Self::default();
    }
}

/// The partition of a key: a hash that spreads keys which follow each other (the finaliser of SplitMix64: G. Steele et al., OOPSLA 2014).
pub fn partition_of(key: u64, partitions: u32) -> u32 {
    let mut hash = key.wrapping_add(0x9e37_79b9_7f4a_7c15);
    hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    ((hash ^ (hash >> 31)) % u64::from(partitions)) as u32
}

#[cfg(test)]
mod tests {
    use super::super::item::Publication;
    use super::*;
    use crate::kernel::SimDuration;

    fn item(number: u64, seconds: u64) -> Item {
        Item {
            publication: Publication {
                identity: number,
                key: None,
                bytes: 10,
                published: SimTime::ZERO,
                about: 0,
            },
            number,
            accepted: SimTime::ZERO + SimDuration::from_secs(seconds),
        }
    }

    fn kept(retention: Retention, seconds: u64) -> (u64, u64) {
        let mut partition = Partition::default();
        (0..6).for_each(|n| partition.append(item(n, n)));
        let now = SimTime::ZERO + SimDuration::from_secs(seconds);
        while let Some((offset, item)) = partition.expire(&retention, now) {
            assert_eq!(offset, item.number);
        }
        assert_eq!(
            partition.get(partition.first()).map(|item| item.number),
            Some(partition.first())
        );
        assert_eq!(partition.get(partition.next()), None);
        (partition.first(), partition.next())
    }

    #[test]
    fn what_is_beyond_any_of_the_bounds_goes_and_offsets_stay() {
        let all = Retention::default();
        assert_eq!(kept(all, 100), (0, 6));
        assert_eq!(kept(Retention { count: Some(4), ..all }, 6), (2, 6));
        assert_eq!(kept(Retention { bytes: Some(35), ..all }, 6), (3, 6));
        let age = Some(SimDuration::from_secs(5));
        assert_eq!(kept(Retention { age, ..all }, 6), (2, 6));
    }

    #[test]
    fn keys_that_follow_each_other_are_spread() {
        let mut counts = [0u32; 8];
        (0..8000).for_each(|key| counts[partition_of(key, 8) as usize] += 1);
        // A binomial count of 8000 and 1/8 has a standard deviation of 29.6: five of them.
        assert!(counts.iter().all(|count| count.abs_diff(1000) < 148), "{counts:?}");
    }
}
