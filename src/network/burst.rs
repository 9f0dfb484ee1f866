//! The two states of a bursty link (Gilbert-Elliott): good and bad times, exponential, follow each other for ever.
//!
//! It is a trajectory of time alone: who asks, and how often, changes nothing. And it is cheap wherever one looks: time is cut
//! into segments of 42 relaxation times (one is `good bad / (good + bad)`), and the state at a segment's begin is drawn from the
//! stationary law at the address of its number. States so far apart correlate as exp(-42) < 2^-60, below what a double can show,
//! so drawing them independently is exact. Within a segment the times follow each other from its first state on, and all of
//! them are drawn anew until the segment ends in the state in which the next one begins: by rejection, that is the chain's own
//! law between two known states. Two attempts are enough on average, whatever the means, and a segment has 21 changes at most on
//! average, so a look after any pause costs some tens of draws.

use crate::kernel::{Key, Purpose, SimDuration, SimTime};
use crate::random::standard_exponential;
use serde::Serialize;

/// The draws of the good and bad times, and of the states at the begin of segments.
const SOJOURN: Purpose = Purpose(0x4e10);
const STATE: Purpose = Purpose(0x4e11);

/// The length of a segment, in relaxation times.
const RELAXATIONS: f64 = 42.0;

/// Where a link is on its trajectory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Burst {
    /// One more than the segment's number; 0 before the first question.
    segment: u64,
    /// Which attempt at the segment ended as it should, and how many of its times have begun.
    attempt: u32,
    begun: u32,
    /// When the current time ends, in nanoseconds since the segment's begin.
    ends: f64,
    bad: bool,
    /// The first nanosecond at which the link has to be looked at again.
    until: SimTime,
}

impl Burst {
    /// Whether the link is bad at `now`. Questions come in the order of time.
    #[inline]
    pub fn is_bad(&mut self, key: Key, good: SimDuration, bad: SimDuration, now: SimTime) -> bool {
        if now >= self.until {
            Chain::new(key, good, bad).go_on(self, now);
        }
        self.bad
    }
}

/// The law of a link's states.
struct Chain {
    key: Key,
    /// The mean lengths of good and bad times, in nanoseconds.
    means: [f64; 2],
    /// The length of a segment, in nanoseconds.
    length: u64,
}

impl Chain {
    fn new(key: Key, good: SimDuration, bad: SimDuration) -> Self {
        let means = [good, bad].map(|mean| mean.as_nanos() as f64);
        let relaxation = means[0] * means[1] / (means[0] + means[1]);
        Self {
            key,
            means,
            // A segment of centuries holds every run.
            length: (RELAXATIONS * relaxation).ceil().clamp(1.0, (1_u64 << 63) as f64) as u64,
        }
    }

    /// Whether a segment begins bad.
    fn starts_bad(&self, segment: u64) -> bool {
        let [good, bad] = self.means;
        self.key.stream(STATE, segment).chance(bad / (good + bad))
    }

    /// The length of a time of a segment.
    fn sojourn(&self, own: Key, attempt: u32, number: u32, bad: bool) -> f64 {
        let mut stream = own.stream(SOJOURN, u64::from(attempt) << 32 | u64::from(number));
        standard_exponential(&mut stream) * self.means[usize::from(bad)]
    }

    /// The first attempt at a segment that ends in the state in which the next one begins.
    fn attempt(&self, segment: u64, own: Key) -> u32 {
        let (first, last) = (self.starts_bad(segment), self.starts_bad(segment + 1));
        let ends_well = |attempt: &u32| {
            let (mut bad, mut number) = (first, 0);
            let mut at = self.sojourn(own, *attempt, 0, bad);
            while at < self.length as f64 {
                (bad, number) = (!bad, number + 1);
                at += self.sojourn(own, *attempt, number, bad);
            }
            bad == last
        };
        (0..).find(ends_well).expect("an attempt ends well")
    }

    /// Takes `burst` to where it is at `now`.
    fn go_on(&self, burst: &mut Burst, now: SimTime) {
        let segment = now.as_nanos() / self.length;
        let own = self.key.member(segment);
        if burst.segment != segment + 1 {
            let (attempt, bad) = (self.attempt(segment, own), self.starts_bad(segment));
            *burst = Burst {
                segment: segment + 1,
                attempt,
                begun: 1,
                ends: self.sojourn(own, attempt, 0, bad),
                bad,
                until: SimTime::ZERO,
            };
        }
        let start = segment * self.length;
        let offset = (now.as_nanos() - start) as f64;
        while burst.ends <= offset {
            burst.bad = !burst.bad;
            burst.ends += self.sojourn(own, burst.attempt, burst.begun, burst.bad);
            burst.begun += 1;
        }
        let next = burst.ends.ceil().min(self.length as f64) as u64;
        burst.until = SimTime::from_nanos(start.saturating_add(next));
    }
}

#[cfg(test)]
mod tests {
    use super::Burst;
    use crate::kernel::{Key, SimDuration, SimTime};
    use crate::random::math;

    const GOOD: SimDuration = SimDuration::from_millis(900);
    const BAD: SimDuration = SimDuration::from_millis(100);

    fn at_ms(ms: u64) -> SimTime {
        SimTime::from_nanos(ms * 1_000_000)
    }

    #[test]
    fn the_state_is_a_function_of_time_alone() {
        let key = Key::root(1, 0).child("link");
        let (mut often, mut seldom) = (Burst::default(), Burst::default());
        for ms in 0..200_000 {
            let bad = often.is_bad(key, GOOD, BAD, at_ms(ms));
            if ms % 997 == 0 {
                assert_eq!(bad, seldom.is_bad(key, GOOD, BAD, at_ms(ms)), "at {ms} ms");
            }
        }
        seldom.is_bad(key, GOOD, BAD, at_ms(199_999));
        assert_eq!(often, seldom);
    }

    #[test]
    fn the_state_at_the_start_is_stationary() {
        let root = Key::root(2, 0);
        let bad = (0..40_000)
            .filter(|&i| Burst::default().is_bad(root.member(i), GOOD, BAD, SimTime::ZERO))
            .count();
        // Standard error 60.
        assert!((bad as f64 - 4_000.0).abs() < 240.0, "{bad} of 40000 start bad");
    }

    #[test]
    fn good_and_bad_times_have_their_means() {
        let key = Key::root(3, 0);
        let (mut burst, mut was, mut since) = (Burst::default(), None, 0_u64);
        let mut lengths = [Vec::new(), Vec::new()];
        for tick in 0..4_000_000_u64 {
            let bad = burst.is_bad(key, GOOD, BAD, at_ms(tick));
            if was.is_some_and(|was| was != bad) {
                lengths[usize::from(!bad)].push((tick - since) as f64);
                since = tick;
            }
            was = Some(bad);
        }
        for (state, mean) in [(0, 900.0), (1, 100.0)] {
            let times = &lengths[state];
            let found = times.iter().sum::<f64>() / times.len() as f64;
            // An exponential's standard deviation is its mean; a tick of 1 ms rounds by less than one.
            let allowed = 4.0 * mean / (times.len() as f64).sqrt() + 1.0;
            assert!(
                (found - mean).abs() < allowed,
                "state {state}: a mean of {found} over {} times",
                times.len()
            );
        }
    }

    #[test]
    fn states_correlate_as_theory_says_within_segments_and_across_their_ends() {
        let root = Key::root(4, 0);
        // A relaxation time is 90 ms, a segment 3.78 s.
        for start in [0, 1_000, 3_770, 7_559] {
            for lag in [1, 20, 90, 300] {
                let both = (0..40_000_u64).filter(|&link| {
                    let (key, mut burst) = (root.member(link), Burst::default());
                    let mut bad = |ms| burst.is_bad(key, GOOD, BAD, at_ms(ms));
                    bad(start) && bad(start + lag)
                });
                let found = both.count() as f64 / 40_000.0;
                let expected = 0.01 + 0.09 * math::exp(-(lag as f64) / 90.0);
                let error = (expected * (1.0 - expected) / 40_000.0).sqrt();
                assert!(
                    (found - expected).abs() < 4.5 * error,
                    "from {start} ms, {lag} ms later: {found} +- {error}, expected {expected}"
                );
            }
        }
    }

    #[test]
    fn a_look_after_centuries_costs_no_more_than_one_after_a_moment() {
        let ns = SimDuration::from_nanos;
        for (good, bad) in [(1, 1), (1, 1_000_000), (3_600_000_000_000, 1), (7, u64::MAX)] {
            let (root, far) = (Key::root(5, 0), SimTime::from_nanos(u64::MAX - 1));
            let bads = (0..2_000_u64).filter(|&link| {
                let (key, mut burst) = (root.member(link), Burst::default());
                burst.is_bad(key, ns(good), ns(bad), SimTime::ZERO);
                burst.is_bad(key, ns(good), ns(bad), far)
            });
            let (found, share) = (bads.count() as f64 / 2_000.0, bad as f64 / (good as f64 + bad as f64));
            let error = (share * (1.0 - share) / 2_000.0).sqrt();
            assert!(
                (found - share).abs() <= 4.5 * error,
                "{good} ns, {bad} ns: {found}, expected {share}"
            );
        }
    }

    #[test]
    fn times_shorter_than_a_nanosecond_leave_the_share_as_it_is() {
        let (key, ns) = (Key::root(6, 0), SimDuration::from_nanos);
        let mut burst = Burst::default();
        let bads = (0..200_000).filter(|&at| burst.is_bad(key, ns(3), ns(1), SimTime::from_nanos(at)));
        // Neighbours correlate as exp(-4/3): the standard error is 0.0012.
        let found = bads.count() as f64 / 200_000.0;
        assert!((found - 0.25).abs() < 0.005, "{found}");
    }
}
