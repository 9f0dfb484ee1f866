//! How evenly calls are answered, and who is hurt; and what arrives at services over what was meant to.
//!
//! Agents are those of groups with a fixed number, who began a call after the warm-up: agents of a stream come and go, each with a few
//! calls. Of each the answered ones among those calls are counted. Groups are also told apart, because agents of several groups mean to
//! call differently often. Sources: Jain, Chiu and Hawe, "A Quantitative Measure of Fairness", DEC-TR-301, 1984; C. Gini, "Variabilità e
//! mutabilità", 1912.

use super::registry::measure_table;
use super::windows::{Clock, Counts};
use super::{Measure, MeasureInfo, ServiceIndex, Setting, Sheet};
use crate::kernel::SimTime;
use crate::world::record::{Batch, Mask, What};
use std::sync::Arc;

macro_rules! fairness_table {
    ($prefix:literal) => {
        measure_table![
            concat!($prefix, "jain"), Ratio, Higher, "Jain's index of the calls answered of each agent: the square of their sum over the number of agents times the sum of their squares. 1: all have as many; 1/n: one of n has all. None if nobody has any.";
            concat!($prefix, "gini"), Ratio, Lower, "Gini's coefficient of the calls answered of each agent: 0 if all have as many, near 1 if one has all. None if nobody has any.";
            concat!($prefix, "worst_tenth"), Share, Higher, "The part of the calls answered that the tenth of the agents has that has the fewest (a tenth rounded up): 10 % if all have as many. None with fewer than ten agents.";
            concat!($prefix, "unserved"), Count, Lower, "Agents that began calls, none of which was answered.";
            concat!($prefix, "answered_share"), Share, Higher, "The part of the calls begun that was answered by the end of the run.";
        ]
    };
}

/// What is measured of all agents.
pub(super) const ALL: &[MeasureInfo] = fairness_table!("fairness.");
/// What is measured of the agents of one group.
pub(super) const GROUP: &[MeasureInfo] = fairness_table!("group.*.fairness.");
/// What is measured of the load on services.
pub(super) const LOAD: &[MeasureInfo] = measure_table![
    "load.offered", PerSecond, Neither, "Calls that agents begin, per second of the measured time; as a series, in each window.";
    "load.effective", PerSecond, Lower, "Requests that reach their services, repeated ones and duplicates included, per second of the measured time.";
    "load.factor", Ratio, Lower, "Requests that reach their services for each call that agents begin: the effective over the offered load.";
];

/// The measure of fairness and of load.
#[derive(Debug)]
pub struct Fairness {
    setting: Arc<Setting>,
    services: ServiceIndex,
    /// For each group of the directory, whether its agents stay.
    stays: Vec<bool>,
    /// For each group, of each of its agents: calls begun and answered.
    calls: Vec<Vec<[u32; 2]>>,
    clock: Clock,
    begun_in: Counts,
    begun: u64,
    arrived: u64,
}

impl Fairness {
    /// For a run.
    pub fn new(setting: Arc<Setting>) -> Self {
        let groups = setting.directory.groups();
        Self {
            services: ServiceIndex::new(&setting),
            stays: groups
                .iter()
                .map(|group| setting.settled.contains(&group.name))
                .collect(),
            calls: vec![Vec::new(); groups.len()],
            clock: Clock::new(setting.window),
            begun_in: Counts::default(),
            begun: 0,
            arrived: 0,
            setting,
        }
    }

    /// One more of a call's numbers of an agent that stays.
    #[inline]
    fn count(&mut self, agent: u32, what: usize) {
        let (group, member) = self.setting.directory.locate(agent);
        let (group, member) = (group as usize, member as usize);
        if self.stays[group] {
            let calls = &mut self.calls[group];
            if member >= calls.len() {
                calls.resize(member + 1, [0; 2]);
            }
            calls[member][what] += 1;
        }
    }
}

impl Measure for Fairness {
    fn wants(&self) -> Mask {
        Mask::of(&[What::CallStarted, What::CallEnded, What::RequestArrived])
    }

    fn batch(&mut self, batch: Batch<'_>) {
        let warm_up = self.setting.warm_up;
        for record in batch.records {
            let server = match record.what {
                What::CallStarted | What::CallEnded => record.b as u32,
                What::RequestArrived => record.subject,
                _ => continue,
            };
            if self.services.of(&self.setting, server).is_none() {
                continue;
            }
            match record.what {
                What::CallStarted => {
                    self.begun_in.add(self.clock.at(record.time));
                    if record.time >= warm_up {
                        self.begun += 1;
                        self.count(record.subject, 0);
                    }
                }
                What::CallEnded if record.c == 1 && batch.extra(record)[0] >= warm_up.as_nanos() => {
                    self.count(record.subject, 1);
                }
                What::RequestArrived => self.arrived += u64::from(record.time >= warm_up),
                _ => {}
            }
        }
    }

    fn finish(self: Box<Self>, end: SimTime, sheet: &mut Sheet) {
        let mut all: Vec<[u32; 2]> = Vec::new();
        for (place, calls) in self.setting.directory.groups().iter().zip(&self.calls) {
            let calling: Vec<[u32; 2]> = calls.iter().copied().filter(|calls| calls[0] > 0).collect();
            write(&format!("group.{}.fairness.", place.name), &calling, sheet);
            all.extend(calling);
        }
        write("fairness.", &all, sheet);
        let measured = end.since(self.setting.warm_up).as_secs_f64();
        if self.begun > 0 && measured > 0.0 {
            sheet.number("load.offered", Some(self.begun as f64 / measured));
            sheet.number("load.effective", Some(self.arrived as f64 / measured));
            sheet.number("load.factor", Some(self.arrived as f64 / self.begun as f64));
            let rates = self.begun_in.rates(&self.clock, self.clock.whole(end));
            sheet.series.insert("load.offered".into(), self.clock.series(rates));
        }
    }
}

/// Writes what is measured of agents with these calls begun and answered; nothing without agents.
fn write(prefix: &str, calls: &[[u32; 2]], sheet: &mut Sheet) {
    if calls.is_empty() {
        return;
    }
    let mut answered: Vec<u64> = calls.iter().map(|calls| u64::from(calls[1])).collect();
    answered.sort_unstable();
    let begun: u64 = calls.iter().map(|calls| u64::from(calls[0])).sum();
    let sum: u64 = answered.iter().sum();
    let name = |measure: &str| format!("{prefix}{measure}");
    sheet.number(name("jain"), jain(&answered));
    sheet.number(name("gini"), gini(&answered));
    let worst: u64 = answered[..answered.len().div_ceil(10)].iter().sum();
    let tells = answered.len() >= 10 && sum > 0;
    sheet.number(name("worst_tenth"), tells.then(|| worst as f64 / sum as f64));
    sheet.count(
        name("unserved"),
        answered.iter().filter(|answered| **answered == 0).count() as u64,
    );
    sheet.number(name("answered_share"), Some(sum as f64 / begun as f64));
}

/// Jain's index; `None` if all are zero.
fn jain(values: &[u64]) -> Option<f64> {
    let sum: f64 = values.iter().map(|value| *value as f64).sum();
    let squares: f64 = values.iter().map(|value| *value as f64 * *value as f64).sum();
    (squares > 0.0).then(|| sum * sum / (values.len() as f64 * squares))
}

/// Gini's coefficient of values in ascending order; `None` if all are zero.
fn gini(ascending: &[u64]) -> Option<f64> {
    let n = ascending.len() as f64;
    let sum: f64 = ascending.iter().map(|value| *value as f64).sum();
    let ranked = ascending.iter().zip(1u64..);
    let ranked: f64 = ranked.map(|(value, rank)| rank as f64 * *value as f64).sum();
    (sum > 0.0).then(|| 2.0 * ranked / (n * sum) - (n + 1.0) / n)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_as_many_as_all_others_is_treated_fairly() {
        assert_eq!((jain(&[7, 7, 7, 7]), gini(&[7, 7, 7, 7])), (Some(1.0), Some(0.0)));
        // One of four has all: 1/4, and 1 - 1/4.
        assert_eq!((jain(&[0, 0, 0, 9]), gini(&[0, 0, 0, 9])), (Some(0.25), Some(0.75)));
        // 1 and 3: 16 / (2 x 10), and half of the mean difference (1) over the mean (2) ... |1 - 3| twice over 2 x 4 x 2.
        assert_eq!((jain(&[1, 3]), gini(&[1, 3])), (Some(0.8), Some(0.25)));
        assert_eq!((jain(&[0, 0]), gini(&[0, 0])), (None, None));
    }

    #[test]
    fn the_worst_tenth_and_the_unserved_are_counted() {
        let mut sheet = Sheet::default();
        // Twenty agents of ten calls each: two have none answered, eighteen have all.
        let calls: Vec<[u32; 2]> = (0..20).map(|n| if n < 2 { [10, 0] } else { [10, 10] }).collect();
        write("fairness.", &calls, &mut sheet);
        let of = |name: &str| sheet.numbers[&format!("fairness.{name}")];
        assert_eq!(
            (of("worst_tenth"), of("unserved"), of("answered_share")),
            (0.0, 2.0, 0.9)
        );
        // 180^2 / (20 x 1800) = 0.9.
        assert_eq!(of("jain"), 0.9);
        let mut few = Sheet::default();
        write("fairness.", &[[3, 1], [3, 1]], &mut few);
        assert!(!few.numbers.contains_key("fairness.worst_tenth"));
        assert_eq!(few.numbers["fairness.answered_share"], 1.0 / 3.0);
    }
}
