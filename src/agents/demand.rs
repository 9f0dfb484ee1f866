//! Demand that changes over time: a Poisson process whose rate is constant in stretches.

use crate::kernel::{SimDuration, SimTime};
use std::sync::Arc;

/// A rate that holds from a time on, and then another.
#[derive(Debug, Clone, PartialEq)]
pub struct Demand {
    /// From when on, and arrivals in a nanosecond; times ascend. Before the first nobody arrives.
    stretches: Arc<[(SimTime, f64)]>,
    /// Whether it is a record, in which no stretch stands out as a trigger.
    is_record: bool,
}

/// A stretch of raised demand: when it begins, and when it is over; `None`: it stays.
pub type Surge = (SimTime, Option<SimTime>);

impl Demand {
    /// The demand of these rates in a nanosecond, each from its time on. `None` unless times ascend, rates are finite and not
    /// negative, and one of them is above zero.
    pub fn new(stretches: &[(SimTime, f64)]) -> Option<Self> {
        let ascends = stretches.windows(2).all(|pair| pair[0].0 < pair[1].0);
        let good = stretches.iter().all(|(_, rate)| rate.is_finite() && *rate >= 0.0);
        let any = stretches.iter().any(|(_, rate)| *rate > 0.0);
        (ascends && good && any).then(|| Self {
            stretches: stretches.into(),
            is_record: false,
        })
    }

    /// As [`Demand::new`], of recorded rates.
    pub fn recorded(stretches: &[(SimTime, f64)]) -> Option<Self> {
        let demand = Self::new(stretches)?;
        Some(Self {
            is_record: true,
            ..demand
        })
    }

    /// When the next arrival after `last` comes (`None`: the first), where `gap` is drawn by the exponential law of mean 1.
    ///
    /// The process is homogeneous in the time that is measured in expected arrivals (time change; Çinlar, "Introduction to
    /// Stochastic Processes", 1975, section 4.7), so that a constant rate gives the gaps of a Poisson process of that rate. `None`:
    /// nobody arrives any more.
    pub fn next(&self, last: Option<SimTime>, gap: f64) -> Option<SimTime> {
        let first = self.stretches[0].0;
        let mut at = last.map_or(first, |last| last.max(first));
        let mut left = gap;
        let from = self.stretches.partition_point(|(begin, _)| *begin <= at) - 1;
        for (place, (_, rate)) in self.stretches.iter().enumerate().skip(from) {
            let end = self.stretches.get(place + 1).map(|next| next.0);
            let needed = left / rate;
            match end {
                Some(end) => {
                    let room = end.since(at).as_nanos() as f64;
                    if needed < room {
                        return Some(at.saturating_add(SimDuration::from_nanos_f64(needed)));
                    }
                    left = (left - room * rate).max(0.0);
                    at = end;
                }
                None if *rate > 0.0 => {
                    return Some(at.saturating_add(SimDuration::from_nanos_f64(needed)));
                }
                None => return None,
            }
        }
        None
    }

    /// The stretches in which the rate is above the one that it starts with; of a record, none.
    pub fn surges(&self) -> Vec<Surge> {
        if self.is_record {
            return Vec::new();
        }
        let start = self.stretches[0].1;
        let mut surges: Vec<Surge> = Vec::new();
        let mut open: Option<SimTime> = None;
        for (at, rate) in self.stretches.iter() {
            match open {
                None if *rate > start => open = Some(*at),
                Some(begin) if *rate <= start => {
                    surges.push((begin, Some(*at)));
                    open = None;
                }
                _ => {}
            }
        }
        surges.extend(open.map(|begin| (begin, None)));
        surges
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Key, Purpose};
    use crate::random::Law;

    fn at(seconds: f64) -> SimTime {
        SimTime::from_nanos((seconds * 1e9) as u64)
    }

    fn demand(stretches: &[(f64, f64)]) -> Demand {
        let all: Vec<_> = stretches.iter().map(|(time, rate)| (at(*time), rate / 1e9)).collect();
        Demand::new(&all).unwrap()
    }

    #[test]
    fn an_arrival_lies_where_so_many_were_expected() {
        // 2/s for ten seconds, none for five, then 4/s.
        let demand = demand(&[(1.0, 2.0), (11.0, 0.0), (16.0, 4.0)]);
        assert_eq!(demand.next(None, 3.0), Some(at(2.5)));
        assert_eq!(demand.next(Some(at(2.5)), 1.0), Some(at(3.0)));
        // From 10 s on: two until 11 s, and the third a quarter of a second after 16 s.
        assert_eq!(demand.next(Some(at(10.0)), 3.0), Some(at(16.25)));
        assert_eq!(demand.next(Some(at(20.0)), 4.0), Some(at(21.0)));
        assert_eq!(demand.surges(), [(at(16.0), None)]);
    }

    #[test]
    fn nobody_arrives_after_a_last_rate_of_zero() {
        let pulse = demand(&[(0.0, 0.0), (5.0, 10.0), (6.0, 0.0)]);
        assert_eq!(pulse.next(None, 1.0), Some(at(5.1)));
        assert_eq!(pulse.next(Some(at(5.9)), 2.0), None);
        assert_eq!(pulse.surges(), [(at(5.0), Some(at(6.0)))]);
        assert_eq!(Demand::new(&[(at(0.0), 0.0)]), None);
        assert_eq!(Demand::new(&[]), None);
        assert_eq!(Demand::new(&[(at(1.0), 1.0), (at(1.0), 2.0)]), None);
    }

    #[test]
    fn counts_in_each_stretch_are_poisson_and_a_constant_rate_is_the_homogeneous_process() {
        let stepped = demand(&[(0.0, 5.0), (100.0, 50.0), (150.0, 5.0)]);
        let law = Law::Exponential { mean: 1.0 };
        let run = |demand: &Demand, replicate: u64, until: f64| {
            let key = Key::root(5, replicate);
            let (mut last, mut times) = (None, Vec::new());
            for n in 0.. {
                let gap = law.sample(&mut key.stream(Purpose(0x100), n), n);
                match demand.next(last, gap).filter(|time| *time < at(until)) {
                    Some(time) => times.push(time),
                    None => break,
                }
                last = times.last().copied();
            }
            times
        };
        let (mut sums, mut squares) = ([0.0; 3], [0.0; 3]);
        let runs = 400;
        for replicate in 0..runs {
            let times = run(&stepped, replicate, 250.0);
            let edges = [(0.0, 100.0), (100.0, 150.0), (150.0, 250.0)];
            for (place, (from, to)) in edges.into_iter().enumerate() {
                let count = times
                    .iter()
                    .filter(|time| at(from) <= **time && **time < at(to))
                    .count() as f64;
                sums[place] += count;
                squares[place] += count * count;
            }
        }
        for (place, expected) in [500.0, 2500.0, 500.0].into_iter().enumerate() {
            let mean = sums[place] / runs as f64;
            let variance = squares[place] / runs as f64 - mean * mean;
            // Five standard errors of the mean; the variance of a Poisson count is its mean.
            assert!(
                (mean - expected).abs() < 5.0 * libm::sqrt(expected / runs as f64),
                "{mean}"
            );
            assert!((0.7..1.3).contains(&(variance / expected)), "{variance} of {expected}");
        }
        let constant = run(&demand(&[(0.0, 5.0)]), 1, 100.0);
        let (mut time, key) = (SimTime::ZERO, Key::root(5, 1));
        let gaps = Law::Exponential { mean: 0.2e9 };
        for (n, arrival) in (0u64..).zip(&constant) {
            time = time.saturating_add(gaps.sample_duration(&mut key.stream(Purpose(0x100), n), n));
            assert!(
                time.as_nanos().abs_diff(arrival.as_nanos()) <= n + 1,
                "{time} {arrival}"
            );
        }
        assert!(constant.len() > 400);
    }
}
