//! Processor sharing: all requests are in work at once, and each has an equal part of the servers, but never more than one.
//!
//! Every request in work has had the same work since it came as every other one that was there: one clock of work serves all, and a
//! request is done when the clock stands at what it stood at when it came, and its own work more (the virtual time of fair
//! queueing; Parekh and Gallager 1993). Whatever comes or goes costs the logarithm of how many are there.
//!
//! Guarantees: times are whole nanoseconds, rounded up so that nothing is done too early; the clock runs in 2^-32 nanoseconds, and
//! rounding never adds up to more than that for each change.

use crate::kernel::{SimDuration, SimTime};
use crate::world::slab::Handle;
use serde::Serialize;
use std::collections::BTreeMap;

/// The fraction of the clock of work.
const FRACTION: u32 = 32;

/// Requests that share servers.
#[derive(Debug, Clone, Default, Serialize)]
pub(super) struct Sharing {
    /// The work that a request has had that was there from the beginning, in 2^-32 nanoseconds.
    clock: u128,
    /// When the clock stood so.
    since: SimTime,
    /// Where the clock stands when each is done, and its number.
    due: BTreeMap<(u128, u64), Handle>,
    /// Each one's place in that, by the places of their handles.
    places: Vec<(u128, u64)>,
    came: u64,
}

/// How fast all of the servers together are: servers, and the pace of each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Speed {
    /// `None`: one for each request.
    pub servers: Option<u32>,
    /// 1 is its own speed.
    pub pace: f64,
}

impl Speed {
    /// The speed of a request among so many, as a fraction.
    fn of_each(self, count: u64) -> (u128, u128) {
        let pace = (self.pace * f64::from(1u32 << 31) * 2.0 + 0.5) as u128;
        let servers = self.servers.map_or(count, u64::from).min(count);
        (pace * u128::from(servers), u128::from(count.max(1)))
    }
}

impl Sharing {
    /// Brings the clock up to `now`, since when the speed may be another.
    pub fn advance(&mut self, now: SimTime, speed: Speed) {
        let elapsed = u128::from((now - self.since).as_nanos());
        self.since = now;
        if elapsed > 0 && !self.due.is_empty() {
            let (work, per) = speed.of_each(self.due.len() as u64);
            self.clock = self.clock.saturating_add(elapsed.saturating_mul(work) / per);
        }
    }

    /// One more, with this much work. The clock is up to now.
    pub fn add(&mut self, handle: Handle, work: SimDuration) {
        self.came += 1;
        let done = self.clock.saturating_add(u128::from(work.as_nanos()) << FRACTION);
        let place = handle.index() as usize;
        if self.places.len() <= place {
            self.places.resize(place + 1, (0, 0));
        }
        self.places[place] = (done, self.came);
        self.due.insert((done, self.came), handle);
    }

    /// One less. The clock is up to now.
    pub fn remove(&mut self, handle: Handle) {
        let place = self.places.get(handle.index() as usize);
        if let Some(place) = place.filter(|place| self.due.get(place) == Some(&handle)) {
            self.due.remove(place);
        }
    }

    /// The work that one still needs, rounded up. The clock is up to now.
    pub fn left(&self, handle: Handle) -> SimDuration {
        let place = self.places.get(handle.index() as usize);
        let due = place.filter(|place| self.due.get(place) == Some(&handle));
        let left = due.map_or(0, |(done, _)| done.saturating_sub(self.clock));
        SimDuration::from_nanos(u64::try_from(left.div_ceil(1 << FRACTION)).unwrap_or(u64::MAX))
    }

    /// Who is done first, and when, if nothing changes. The clock is up to now.
    pub fn first(&self, speed: Speed) -> Option<(Handle, SimTime)> {
        let ((done, _), handle) = self.due.first_key_value()?;
        let (work, per) = speed.of_each(self.due.len() as u64);
        let left = done.saturating_sub(self.clock);
        let at = match left {
            0 => self.since,
            _ if work == 0 => SimTime::NEVER,
            _ => {
                let wait = left.saturating_mul(per).div_ceil(work);
                self.since
                    .saturating_add(SimDuration::from_nanos(u64::try_from(wait).unwrap_or(u64::MAX)))
            }
        };
        Some((*handle, at))
    }

    /// All are gone.
    pub fn clear(&mut self) {
        self.due.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn ns(nanos: u64) -> SimDuration {
        SimDuration::from_nanos(nanos)
    }

    const ONE: Speed = Speed {
        servers: Some(1),
        pace: 1.0,
    };

    #[test]
    fn two_have_half_each_and_who_is_left_has_all() {
        let (mut sharing, a, b) = (Sharing::default(), Handle::from_word(0), Handle::from_word(1));
        sharing.advance(SimTime::from_nanos(100), ONE);
        sharing.add(a, ns(10));
        assert_eq!(sharing.first(ONE), Some((a, SimTime::from_nanos(110))));
        sharing.advance(SimTime::from_nanos(104), ONE);
        sharing.add(b, ns(20));
        // Six are left of the first one's work, at half speed.
        assert_eq!(sharing.first(ONE), Some((a, SimTime::from_nanos(116))));
        sharing.advance(SimTime::from_nanos(116), ONE);
        sharing.remove(a);
        // The other has had six of his twenty.
        assert_eq!(sharing.first(ONE), Some((b, SimTime::from_nanos(130))));
        let slow = Speed { pace: 0.5, ..ONE };
        assert_eq!(sharing.first(slow), Some((b, SimTime::from_nanos(144))));
        let stopped = Speed { pace: 0.0, ..ONE };
        assert_eq!(sharing.first(stopped), Some((b, SimTime::NEVER)));
    }

    #[test]
    fn nobody_has_more_than_one_server() {
        let mut sharing = Sharing::default();
        let three = Speed {
            servers: Some(3),
            pace: 1.0,
        };
        for n in 0..2 {
            sharing.add(Handle::from_word(n), ns(10 + n));
        }
        assert_eq!(sharing.first(three).map(|(_, at)| at.as_nanos()), Some(10));
        for n in 2..6 {
            sharing.add(Handle::from_word(n), ns(20));
        }
        assert_eq!(sharing.first(three).map(|(_, at)| at.as_nanos()), Some(20));
    }

    /// When each is done, where all that is there is served in equal parts in steps of a tiny part of its work.
    fn brute(jobs: &[(u64, u64)], servers: u32) -> Vec<f64> {
        let mut left: Vec<f64> = jobs.iter().map(|(_, work)| *work as f64).collect();
        let mut done = vec![f64::NAN; jobs.len()];
        let mut now = 0.0;
        loop {
            let here: Vec<usize> = (0..jobs.len())
                .filter(|n| jobs[*n].0 as f64 <= now && done[*n].is_nan())
                .collect();
            let coming = jobs.iter().map(|(at, _)| *at as f64).filter(|at| *at > now);
            let coming = coming.fold(f64::INFINITY, f64::min);
            let rate = (f64::from(servers) / here.len().max(1) as f64).min(1.0);
            let first = here.iter().map(|n| left[*n] / rate).fold(f64::INFINITY, f64::min);
            let step = first.min(coming - now);
            if step.is_infinite() {
                return done;
            }
            now += step;
            for n in here {
                left[n] -= step * rate;
                if left[n] < 1e-6 {
                    done[n] = now;
                }
            }
        }
    }

    proptest! {
        /// Whoever comes and goes: all are done when they would be if the work were dealt out bit by bit.
        #[test]
        fn all_are_done_when_their_share_of_the_work_is(
            gaps in prop::collection::vec((0u64..500, 1u64..2_000), 1..25),
            servers in 1u32..4,
        ) {
            let mut at = 0;
            let jobs: Vec<(u64, u64)> = gaps
                .iter()
                .map(|(gap, work)| {
                    at += gap;
                    (at, *work)
                })
                .collect();
            let speed = Speed { servers: Some(servers), pace: 1.0 };
            let (mut sharing, mut done, mut next) = (Sharing::default(), vec![0.0; jobs.len()], 0);
            loop {
                let first = sharing.first(speed);
                let comes = jobs.get(next).map(|(at, _)| SimTime::from_nanos(*at));
                match (first, comes) {
                    (None, None) => break,
                    (Some((handle, due)), comes) if comes.is_none_or(|at| due <= at) => {
                        sharing.advance(due, speed);
                        sharing.remove(handle);
                        done[handle.index() as usize] = due.as_nanos() as f64;
                    }
                    (_, Some(comes)) => {
                        sharing.advance(comes, speed);
                        sharing.add(Handle::from_word(next as u64), ns(jobs[next].1));
                        next += 1;
                    }
                    (Some(_), None) => unreachable!("whoever is there is done some time"),
                }
            }
            for (ours, theirs) in done.iter().zip(brute(&jobs, servers)) {
                // Each end is rounded up by less than a nanosecond, and delays those after it by no more than that in all.
                prop_assert!((ours - theirs).abs() <= jobs.len() as f64, "{} {}", ours, theirs);
            }
        }
    }
}
