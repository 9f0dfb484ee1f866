//! Counts and levels in windows of time.
//!
//! Windows have one length and begin at time zero. Records come in the order of time, so that a window, once left, is never
//! changed. The last window of a run is reported only if it is whole.

use super::sheet::Series;
use crate::kernel::{SimDuration, SimTime};

/// Which window it is: kept so that a record costs a comparison, not a division.
#[derive(Debug, Clone)]
pub struct Clock {
    length: u64,
    index: usize,
    until: u64,
}

impl Clock {
    /// Windows of this length; a length of zero counts as a nanosecond.
    pub fn new(length: SimDuration) -> Self {
        let length = length.as_nanos().max(1);
        Self {
            length,
            index: 0,
            until: length,
        }
    }

    /// The number of the window in which `time` lies. Times don't go back.
    #[inline]
    pub fn at(&mut self, time: SimTime) -> usize {
        if time.as_nanos() >= self.until {
            self.index = (time.as_nanos() / self.length) as usize;
            self.until = (self.index as u64 + 1).saturating_mul(self.length);
        }
        self.index
    }

    /// The same of any time.
    #[inline]
    pub fn window_of(&self, time: SimTime) -> usize {
        (time.as_nanos() / self.length) as usize
    }

    /// How many whole windows there are until `end`.
    pub fn whole(&self, end: SimTime) -> usize {
        (end.as_nanos() / self.length) as usize
    }

    /// The first window that lies wholly at or after `time`.
    pub fn from(&self, time: SimTime) -> usize {
        time.as_nanos().div_ceil(self.length) as usize
    }

    /// The length of a window in seconds.
    pub fn seconds(&self) -> f64 {
        self.length as f64 / 1e9
    }

    /// A series over these windows.
    pub fn series(&self, values: Vec<f64>) -> Series {
        Series {
            window: self.length,
            values,
        }
    }
}

/// How many there were in each window.
#[derive(Debug, Clone, Default)]
pub struct Counts(Vec<u32>);

impl Counts {
    /// One more in this window.
    #[inline]
    pub fn add(&mut self, window: usize) {
        if window >= self.0.len() {
            self.0.resize(window + 1, 0);
        }
        self.0[window] += 1;
    }

    /// How many there were in a window.
    pub fn of(&self, window: usize) -> u32 {
        self.0.get(window).copied().unwrap_or(0)
    }

    /// Adds the counts of another.
    pub fn merge(&mut self, other: &Self) {
        if other.0.len() > self.0.len() {
            self.0.resize(other.0.len(), 0);
        }
        for (mine, theirs) in self.0.iter_mut().zip(&other.0) {
            *mine += theirs;
        }
    }

    /// Counts per second in the first `whole` windows.
    pub fn rates(&self, clock: &Clock, whole: usize) -> Vec<f64> {
        (0..whole)
            .map(|window| self.of(window) as f64 / clock.seconds())
            .collect()
    }

    /// The greatest count in a window, and the mean, over the windows `from..whole`; `None` without windows.
    pub fn peak_and_mean(&self, from: usize, whole: usize) -> Option<(f64, f64)> {
        let counts = (from..whole).map(|window| self.of(window) as f64);
        let (peak, sum) = counts.fold((0.0f64, 0.0), |(peak, sum), count| (peak.max(count), sum + count));
        (from < whole).then(|| (peak, sum / (whole - from) as f64))
    }
}

/// A level that goes up and down: how many are in flight, how many wait. Its time mean is exact.
#[derive(Debug, Clone)]
pub struct Level {
    level: u64,
    since: u64,
    /// The area under the level since the warm-up.
    area: u128,
    /// The highest level since the warm-up.
    peak: u64,
    warm_up: u64,
    length: u64,
    /// The area under the level in the window that is open.
    open: u128,
    means: Vec<f64>,
}

impl Level {
    /// A level of nothing, measured from `warm_up` on, in windows as long as the clock's.
    pub fn new(warm_up: SimTime, clock: &Clock) -> Self {
        Self {
            level: 0,
            since: 0,
            area: 0,
            peak: 0,
            warm_up: warm_up.as_nanos(),
            length: clock.length,
            open: 0,
            means: Vec::new(),
        }
    }

    fn advance(&mut self, now: u64) {
        if now == self.since {
            return;
        }
        if now > self.warm_up {
            self.peak = self.peak.max(self.level);
            self.area += u128::from(self.level) * u128::from(now - self.since.max(self.warm_up));
        }
        let mut edge = (self.means.len() as u64 + 1).saturating_mul(self.length);
        while now >= edge {
            self.open += u128::from(self.level) * u128::from(edge - self.since);
            self.means.push(self.open as f64 / self.length as f64);
            (self.open, self.since) = (0, edge);
            edge = edge.saturating_add(self.length);
        }
        self.open += u128::from(self.level) * u128::from(now - self.since);
        self.since = now;
    }

    /// So many more.
    #[inline]
    pub fn up(&mut self, now: SimTime, by: u64) {
        self.advance(now.as_nanos());
        self.level += by;
        if self.since >= self.warm_up {
            self.peak = self.peak.max(self.level);
        }
    }

    /// So many more, which count for the peak only if they stay: whoever leaves in the same instant wasn't there.
    #[inline]
    pub fn up_if_they_stay(&mut self, now: SimTime, by: u64) {
        self.advance(now.as_nanos());
        self.level += by;
    }

    /// So many fewer.
    #[inline]
    pub fn down(&mut self, now: SimTime, by: u64) {
        self.advance(now.as_nanos());
        // Fewer than none would be a lie of the records, which the tests of the measures look for; a run goes on.
        debug_assert!(self.level >= by, "more left than came");
        self.level = self.level.saturating_sub(by);
    }

    /// How many there are.
    pub fn now(&self) -> u64 {
        self.level
    }

    /// The highest level since the warm-up.
    pub fn peak(&self) -> u64 {
        self.peak
    }

    /// The mean level from the warm-up to `end`; `None` if nothing lies between.
    pub fn mean(&mut self, end: SimTime) -> Option<f64> {
        self.advance(end.as_nanos().max(self.since));
        let measured = end.as_nanos().saturating_sub(self.warm_up);
        (measured > 0).then(|| self.area as f64 / measured as f64)
    }

    /// The mean level in each of the whole windows until `end`.
    pub fn means(&mut self, end: SimTime) -> Vec<f64> {
        self.advance(end.as_nanos().max(self.since));
        self.means.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: f64) -> SimTime {
        SimTime::from_nanos((seconds * 1e9) as u64)
    }

    #[test]
    fn the_window_of_a_time_that_is_past_is_its_own() {
        let mut clock = Clock::new(SimDuration::from_secs(1));
        assert_eq!(
            (clock.at(at(3.5)), clock.window_of(at(0.5)), clock.at(at(3.9))),
            (3, 0, 3)
        );
    }

    #[test]
    fn a_level_has_exact_means_over_windows_and_over_all() {
        let clock = Clock::new(SimDuration::from_secs(1));
        let mut level = Level::new(at(1.0), &clock);
        level.up(at(0.5), 4);
        level.down(at(1.25), 1);
        level.up(at(3.5), 2);
        level.down(at(3.75), 5);
        assert_eq!(level.means(at(4.5)), [2.0, 3.25, 3.0, 3.0 * 0.5 + 5.0 * 0.25]);
        let area = 4.0 * 0.25 + 3.0 * 2.25 + 5.0 * 0.25;
        assert_eq!(level.mean(at(4.5)), Some(area / 3.5));
        assert_eq!((level.peak(), level.now()), (5, 0));
    }

    #[test]
    fn the_peak_before_the_warm_up_counts_only_if_it_lasts() {
        let clock = Clock::new(SimDuration::from_secs(1));
        let mut level = Level::new(at(2.0), &clock);
        level.up(at(0.0), 9);
        level.down(at(1.0), 7);
        level.up(at(3.0), 1);
        assert_eq!(level.peak(), 3);
        assert_eq!(Level::new(at(2.0), &clock).mean(at(1.0)), None);
    }

    #[test]
    fn those_that_have_to_stay_make_no_peak_in_passing() {
        let clock = Clock::new(SimDuration::from_secs(1));
        let mut level = Level::new(at(0.0), &clock);
        level.up_if_they_stay(at(1.0), 7);
        level.down(at(1.0), 5);
        assert_eq!(level.peak(), 0);
        level.up_if_they_stay(at(2.0), 1);
        level.down(at(2.5), 3);
        assert_eq!(level.peak(), 3);
    }

    #[test]
    fn a_partial_last_window_is_no_window() {
        let mut clock = Clock::new(SimDuration::from_secs(2));
        let mut counts = Counts::default();
        for time in [0.0, 1.0, 2.0, 3.9, 4.0, 4.5] {
            counts.add(clock.at(at(time)));
        }
        let whole = clock.whole(at(5.0));
        assert_eq!(counts.rates(&clock, whole), [1.0, 1.0]);
        assert_eq!(counts.peak_and_mean(clock.from(at(0.5)), whole), Some((2.0, 2.0)));
        assert_eq!(counts.peak_and_mean(clock.from(at(2.5)), whole), None);
    }
}
