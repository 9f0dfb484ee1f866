//! Retry budgets: a token bucket that what succeeds, or what is begun, fills, and that every retry takes from.
//!
//! So retries are at most a share of the load, however much fails: over many calls a client sends at most 1 + ratio attempts for
//! each call, and `most` more. (`RetryBudget` of Finagle, fed by first attempts; retry throttling of gRPC, proposal A6, fed by
//! successes.) Tokens are counted in millionths, exactly.

use serde::{Deserialize, Serialize};

/// A token, in the units of a bucket.
const TOKEN: u64 = 1_000_000;

/// A retry budget as described.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetSpec {
    /// What is put in each time, in millionths of a token.
    pub ratio: u64,
    /// How many tokens there are at most, and at the beginning.
    pub most: u32,
    /// What fills it.
    pub fed_by: Feed,
    /// Whether hedges take a token, too.
    pub hedges: bool,
}

/// What fills a retry budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Feed {
    /// The first attempt of each call.
    FirstAttempts,
    /// Each answer that is used.
    Successes,
}

/// The tokens that are there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    level: u64,
}

impl Budget {
    /// A full bucket.
    pub fn new(spec: &BudgetSpec) -> Self {
        Self {
            level: u64::from(spec.most) * TOKEN,
        }
    }

    /// Something happened that fills the bucket.
    pub fn feed(&mut self, spec: &BudgetSpec, by: Feed) {
        if spec.fed_by == by {
            self.level = self.level.saturating_add(spec.ratio).min(u64::from(spec.most) * TOKEN);
        }
    }

    /// Takes a token; false if there's none.
    pub fn take(&mut self) -> bool {
        let rest = self.level.checked_sub(TOKEN);
        self.level = rest.unwrap_or(self.level);
        rest.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retries_are_a_share_of_what_feeds_it_and_the_bucket() {
        let spec = BudgetSpec {
            ratio: 100_000,
            most: 3,
            fed_by: Feed::FirstAttempts,
            hedges: false,
        };
        let (mut budget, mut retries) = (Budget::new(&spec), 0);
        for _ in 0..1_000 {
            budget.feed(&spec, Feed::FirstAttempts);
            budget.feed(&spec, Feed::Successes);
            retries += u32::from(budget.take());
        }
        // A full bucket takes nothing in: the first deposit is lost.
        assert_eq!(retries, 3 + 99);
        let full = (0..1_000).fold(budget, |mut budget, _| {
            budget.feed(&spec, Feed::FirstAttempts);
            budget
        });
        assert_eq!(full, Budget::new(&spec));
    }
}
