//! The latencies that a client has seen lately, and their quantiles.

use crate::kernel::SimDuration;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// How many latencies are kept.
pub const KEPT: usize = 1_000;

/// The last latencies, in nanoseconds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latencies {
    recent: VecDeque<u64>,
    sorted: Vec<u64>,
}

impl Latencies {
    /// One more; the oldest of too many is forgotten.
    pub fn note(&mut self, latency: SimDuration) {
        let latency = latency.as_nanos();
        if self.recent.len() == KEPT
            && let Some(oldest) = self.recent.pop_front()
            && let Ok(place) = self.sorted.binary_search(&oldest)
        {
            self.sorted.remove(place);
        }
        self.recent.push_back(latency);
        let place = self.sorted.partition_point(|other| *other <= latency);
        self.sorted.insert(place, latency);
    }

    /// The quantile by nearest rank, once there are at least so many.
    pub fn quantile(&self, share: f64, least: u32) -> Option<SimDuration> {
        let count = self.sorted.len();
        if count == 0 || count < least as usize {
            return None;
        }
        let rank = libm::ceil(share * count as f64) as usize;
        Some(SimDuration::from_nanos(self.sorted[rank.clamp(1, count) - 1]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantiles_are_nearest_ranks_of_the_last_thousand() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.quantile(0.5, 0), None);
        for ms in 1..=100 {
            latencies.note(SimDuration::from_millis(ms));
        }
        assert_eq!(latencies.quantile(0.95, 100), Some(SimDuration::from_millis(95)));
        assert_eq!(latencies.quantile(1.0, 1), Some(SimDuration::from_millis(100)));
        assert_eq!(latencies.quantile(0.95, 101), None);
        for _ in 0..KEPT {
            latencies.note(SimDuration::from_millis(7));
        }
        assert_eq!(latencies.quantile(1.0, 1), Some(SimDuration::from_millis(7)));
    }

    proptest! {
        #[test]
        fn what_is_sorted_is_what_is_recent(all in prop::collection::vec(0u64..50, 0..2_500)) {
            let mut latencies = Latencies::default();
            for one in &all {
                latencies.note(SimDuration::from_nanos(*one));
            }
            let mut last: Vec<u64> = all.iter().rev().take(KEPT).copied().collect();
            last.sort_unstable();
            prop_assert_eq!(latencies.sorted, last);
        }
    }
}
