//! Publications that a broker recognises when they come again.
//!
//! Guarantees: a publication is recognised for as long as it is remembered, and not a moment longer. Amazon SQS remembers for five
//! minutes ("Exactly-once processing", SQS developer guide).

use crate::kernel::{SimDuration, SimTime};
use serde::Serialize;
use std::collections::{BTreeSet, VecDeque};

/// The identities of what was accepted.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Known {
    all: BTreeSet<u64>,
    order: VecDeque<(SimTime, u64)>,
}

impl Known {
    /// Whether a publication is known; if not, it is from now on, for so long.
    pub fn is_repeat(&mut self, identity: u64, remembers: SimDuration, now: SimTime) -> bool {
        while let Some((at, old)) = self.order.front().copied()
            && at.saturating_add(remembers) <= now
        {
            self.order.pop_front();
            self.all.remove(&old);
        }
        if !self.all.insert(identity) {
            return true;
        }
        self.order.push_back((now, identity));
        false
    }

    /// Takes back what was said last, since it wasn't accepted after all.
    pub fn forget(&mut self, identity: u64) {
        if self.all.remove(&identity) {
            self.order.retain(|(_, other)| *other != identity);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_is_recognised_until_its_time_is_over() {
        let at = |seconds| SimTime::ZERO + SimDuration::from_secs(seconds);
        let five = SimDuration::from_secs(5);
        let mut known = Known::default();
        assert!(!known.is_repeat(1, five, at(0)));
        assert!(!known.is_repeat(2, five, at(3)));
        assert!(known.is_repeat(1, five, at(4)));
        assert!(!known.is_repeat(1, five, at(5)), "a repeat doesn't renew the memory");
        assert!(known.is_repeat(2, five, at(7)));
        known.forget(2);
        assert!(!known.is_repeat(2, five, at(7)));
    }
}
