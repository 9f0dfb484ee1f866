//! The token bucket, exactly: integer arithmetic in units of a nanosecond over the allowed count.
//!
//! It's kept as the generic cell rate algorithm (ITU-T I.371), which is the same bucket seen from its theoretical arrival
//! time: one number instead of a level and a time, and no rounding.

use super::spec::RateLimit;
use crate::kernel::{SimDuration, SimTime};
use serde::{Deserialize, Serialize};

/// The state of a token bucket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bucket {
    /// When the bucket will be full again, times the count of the limit.
    full_at: u128,
}

impl Bucket {
    /// Takes a token, or says how long it is until there is one.
    ///
    /// # Errors
    /// The wait until a token is there, rounded up to whole nanoseconds.
    pub fn take(&mut self, limit: &RateLimit, now: SimTime) -> Result<(), SimDuration> {
        let wait = self.wait(limit, now);
        if wait > SimDuration::ZERO {
            return Err(wait);
        }
        self.spend(limit, now);
        Ok(())
    }

    /// Takes the next token that will be there, and says how long that is from now.
    pub fn reserve(&mut self, limit: &RateLimit, now: SimTime) -> SimDuration {
        let wait = self.wait(limit, now);
        self.spend(limit, now);
        wait
    }

    /// How long it is until a token is there.
    pub fn wait(&self, limit: &RateLimit, now: SimTime) -> SimDuration {
        let (period, burst) = (u128::from(limit.period.as_nanos()), u128::from(limit.burst));
        let now = u128::from(now.as_nanos()) * u128::from(limit.count);
        let after = self.full_at.max(now) + period;
        let excess = after.saturating_sub(now + burst * period);
        SimDuration::from_nanos(excess.div_ceil(u128::from(limit.count)) as u64)
    }

    fn spend(&mut self, limit: &RateLimit, now: SimTime) {
        let now = u128::from(now.as_nanos()) * u128::from(limit.count);
        self.full_at = self.full_at.max(now) + u128::from(limit.period.as_nanos());
    }
}

#[cfg(test)]
mod tests {
    use super::super::spec::Excess;
    use super::*;

    fn limit(count: u64, secs: u64, burst: u64) -> RateLimit {
        RateLimit {
            count,
            period: SimDuration::from_secs(secs),
            burst,
            excess: Excess::Wait,
        }
    }

    #[test]
    fn a_burst_of_100_on_a_bucket_of_20_at_10_a_second_ends_after_8_seconds() {
        let (mut bucket, limit) = (Bucket::default(), limit(10, 1, 20));
        let waits: Vec<u64> = (0..100)
            .map(|_| bucket.reserve(&limit, SimTime::ZERO).as_nanos())
            .collect();
        assert_eq!(waits[..20], [0; 20]);
        assert_eq!(waits[99], 8_000_000_000);
        assert_eq!(waits.iter().sum::<u64>(), 324_000_000_000);
    }

    #[test]
    fn a_refused_request_takes_nothing_and_the_wait_is_exact() {
        let (mut bucket, limit) = (Bucket::default(), limit(3, 1, 1));
        assert_eq!(bucket.take(&limit, SimTime::ZERO), Ok(()));
        let wait = bucket.take(&limit, SimTime::ZERO).unwrap_err();
        assert_eq!(
            wait,
            SimDuration::from_nanos(333_333_334),
            "a third of a second, rounded up"
        );
        let early = SimTime::from_nanos(333_333_333);
        assert_eq!(bucket.take(&limit, early), Err(SimDuration::from_nanos(1)));
        assert_eq!(bucket.take(&limit, SimTime::from_nanos(333_333_334)), Ok(()));
    }

    #[test]
    fn the_bucket_holds_no_more_than_its_size() {
        let (mut bucket, limit) = (Bucket::default(), limit(10, 1, 5));
        let late = SimTime::from_nanos(1_000_000_000_000);
        let passed = (0..20).filter(|_| bucket.take(&limit, late).is_ok()).count();
        assert_eq!(passed, 5);
    }
}
