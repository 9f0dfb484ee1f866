//! Puts the runs of a grid together, one replicate after another, and keeps little of each.
//!
//! A run's numbers are kept in any case: whatever is made of all runs is made of all. What is listed run by run (tasks, series,
//! samples, intervals of faults, and the runs themselves) has a room for each variant, which its first runs fill. The first run of a
//! variant is listed in any case, and what isn't listed is counted. Differences of tasks are taken before their lists go.

use super::{
    Added, Difference, Provenance, Results, RunResults, Runs, SCHEMA, Unlisted, VariantResults, differences, estimates,
};
use crate::experiment::grid::Cell;
use crate::experiment::numbers::Names;
use crate::experiment::statistics::{Level, Summary};
use crate::measures::{TaskOutcome, TaskRow};
use std::collections::BTreeMap;

/// How much is listed of all variants together: numbers of runs, tasks, values of series and of samples, intervals of faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Numbers.
    pub numbers: usize,
    /// Tasks.
    pub tasks: usize,
    /// Values of series.
    pub series: usize,
    /// Values of samples.
    pub samples: usize,
    /// Intervals during which a fault was on.
    pub bands: usize,
}

impl Default for Room {
    /// Some hundreds of megabytes of tables.
    fn default() -> Self {
        Self {
            numbers: 2_000_000,
            tasks: 1_000_000,
            series: 8_000_000,
            samples: 4_000_000,
            bands: 1_000_000,
        }
    }
}

/// How much of one kind of list still fits.
#[derive(Debug, Clone, Copy)]
struct Left {
    left: usize,
    is_first: bool,
    /// How many runs have a list that isn't kept.
    unlisted: usize,
}

impl Left {
    fn of(room: usize, variants: usize) -> Self {
        Self {
            left: room / variants.max(1),
            is_first: true,
            unlisted: 0,
        }
    }

    /// Keeps a list of this size if it is the first one, or fits as all before it did.
    fn keep<T: Default>(&mut self, list: &mut T, size: usize) {
        // What one run has is bounded by what was checked of the scenario.
        let is_first = std::mem::take(&mut self.is_first);
        if is_first || size <= self.left {
            self.left = self.left.saturating_sub(size);
        } else {
            self.left = 0;
            self.unlisted += 1;
            *list = T::default();
        }
    }
}

/// A variant's share of the [`Room`].
#[derive(Debug, Clone, Copy)]
struct Share {
    numbers: Left,
    tasks: Left,
    series: Left,
    samples: Left,
    bands: Left,
}

impl Share {
    fn of(room: Room, variants: usize) -> Self {
        Self {
            numbers: Left::of(room.numbers, variants),
            tasks: Left::of(room.tasks, variants),
            series: Left::of(room.series, variants),
            samples: Left::of(room.samples, variants),
            bands: Left::of(room.bands, variants),
        }
    }

    /// Leaves of a run's lists what fits, and says whether the run itself is listed.
    fn trim(&mut self, run: &mut RunResults) -> bool {
        let size = run.tasks.len();
        self.tasks.keep(&mut run.tasks, size);
        let size = run.series.values().map(|series| series.values.len()).sum();
        self.series.keep(&mut run.series, size);
        let size = run.samples.values().map(|sample| sample.values.len()).sum();
        self.samples.keep(&mut run.samples, size);
        let size = run.faults.len();
        self.bands.keep(&mut run.faults, size);
        let mut listed = true;
        self.numbers.keep(&mut listed, run.measures.len().max(1));
        listed
    }
}

/// Differences of the tasks of two variants, the later one's minus the earlier one's, so far.
#[derive(Debug, Clone)]
struct Pairs {
    /// The mean of each replicate that has pairs.
    means: Vec<f64>,
    pairs: u64,
    unpaired: u64,
    least: f64,
    greatest: f64,
}

impl Default for Pairs {
    fn default() -> Self {
        Self {
            means: Vec::new(),
            pairs: 0,
            unpaired: 0,
            least: f64::MAX,
            greatest: f64::MIN,
        }
    }
}

/// The time of each program run, where it was done.
type Times<'a> = BTreeMap<(&'a str, u64), Option<u64>>;

fn times(tasks: &[TaskRow]) -> Times<'_> {
    let own = tasks.iter().filter(|task| task.name.is_empty());
    own.map(|task| {
        let done = task.outcome == TaskOutcome::Done;
        (
            (task.group.as_str(), task.identity),
            done.then(|| (task.ended - task.began).as_nanos()),
        )
    })
    .collect()
}

impl Pairs {
    /// One more replicate.
    fn add(&mut self, here: &Times<'_>, there: &Times<'_>) {
        let (mut sum, mut count) = (0.0, 0u64);
        for (task, time) in here {
            match (time, there.get(task).copied().flatten()) {
                (Some(time), Some(other)) => {
                    let difference = (*time as i128 - other as i128) as f64 / 1e9;
                    (self.least, self.greatest) = (self.least.min(difference), self.greatest.max(difference));
                    sum += difference;
                    count += 1;
                }
                _ => self.unpaired += 1,
            }
        }
        self.unpaired += there.keys().filter(|task| !here.contains_key(*task)).count() as u64;
        self.pairs += count;
        if count > 0 {
            self.means.push(sum / count as f64);
        }
    }

    /// The same differences the other way round.
    fn turned(&self) -> Self {
        Self {
            means: self.means.iter().map(|mean| -mean).collect(),
            least: -self.greatest,
            greatest: -self.least,
            ..*self
        }
    }

    fn added(&self) -> Option<Added> {
        let summary = Summary::of(&self.means, Level::P95)?;
        let (low, high) = (summary.interval.map(|i| i.low), summary.interval.map(|i| i.high));
        Some(Added {
            n: summary.n,
            pairs: self.pairs,
            unpaired: self.unpaired,
            mean: summary.mean,
            low,
            high,
            least: self.least,
            greatest: self.greatest,
        })
    }
}

/// Results in the making.
#[derive(Debug)]
pub struct Gathering {
    from: Provenance,
    names: Names,
    shares: Vec<Share>,
    runs: Vec<Runs>,
    /// For each variant and each one before it.
    pairs: Vec<Vec<Pairs>>,
}

impl Gathering {
    /// For a grid of these variants.
    pub fn new(from: Provenance) -> Self {
        Self::with_room(from, Room::default())
    }

    /// For a grid of these variants, with so much room for what is listed.
    pub fn with_room(from: Provenance, room: Room) -> Self {
        let variants = from.variants.len();
        Self {
            names: Names::default(),
            shares: vec![Share::of(room, variants); variants],
            runs: vec![Runs::default(); variants],
            pairs: (0..variants).map(|before| vec![Pairs::default(); before]).collect(),
            from,
        }
    }

    /// Takes the next replicate: a cell for each variant, in their order.
    ///
    /// # Panics
    /// Panics if a cell is missing.
    pub fn add(&mut self, cells: Vec<Cell>) {
        assert_eq!(cells.len(), self.runs.len(), "a replicate is complete");
        let times: Vec<Times<'_>> = cells.iter().map(|cell| times(&cell.sheet.tasks)).collect();
        for (later, pairs) in self.pairs.iter_mut().enumerate() {
            for (earlier, pairs) in pairs.iter_mut().enumerate() {
                pairs.add(&times[later], &times[earlier]);
            }
        }
        drop(times);
        for ((cell, runs), share) in cells.into_iter().zip(&mut self.runs).zip(&mut self.shares) {
            let mut run = RunResults::of(cell, &mut self.names);
            let listed = share.trim(&mut run);
            runs.all.push(run);
            runs.listed += usize::from(listed);
        }
    }

    /// The results of all replicates.
    pub fn finish(self) -> Results {
        let Self {
            from,
            runs,
            pairs,
            shares,
            ..
        } = self;
        let replicates = runs.first().map_or(0, |runs| runs.len()) as u32;
        let mut variants: Vec<VariantResults> = from
            .variants
            .iter()
            .zip(runs)
            .map(|(name, runs)| VariantResults {
                name: name.clone(),
                title: if name == "base" { &from.base_title } else { name }.clone(),
                measures: estimates(&runs),
                runs,
                differences: BTreeMap::new(),
                added: BTreeMap::new(),
            })
            .collect();
        let of_base: Vec<BTreeMap<String, Difference>> = variants
            .iter()
            .skip(1)
            .map(|variant| differences(&variants[0].runs, &variant.runs))
            .collect();
        for (variant, differences) in variants.iter_mut().skip(1).zip(of_base) {
            variant.differences = differences;
        }
        for (later, pairs) in pairs.iter().enumerate() {
            for (earlier, pairs) in pairs.iter().enumerate() {
                for (here, there, pairs) in [(later, earlier, pairs.clone()), (earlier, later, pairs.turned())] {
                    if let Some(added) = pairs.added() {
                        let name = variants[there].name.clone();
                        variants[here].added.insert(name, added);
                    }
                }
            }
        }
        let without = |variant: &VariantResults| variant.runs.len() - variant.runs.listed().len();
        let unlisted = |of: fn(&Share) -> &Left| shares.iter().map(|share| of(share).unlisted).sum();
        Results {
            schema: SCHEMA,
            tool_version: env!("CARGO_PKG_VERSION"),
            scenario: from.scenario,
            question: from.question,
            answers: from.answers,
            scenario_hash: from.hash,
            seed: from.seed,
            warm_up: from.warm_up.as_secs_f64(),
            replicates,
            runs_unlisted: variants.iter().map(without).sum(),
            unlisted: Unlisted {
                tasks: unlisted(|share| &share.tasks),
                series: unlisted(|share| &share.series),
                samples: unlisted(|share| &share.samples),
                faults: unlisted(|share| &share.bands),
            },
            level: Level::P95.fraction(),
            variants,
            scaling: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{End, SimDuration, SimTime};
    use crate::measures::{Series, Sheet};
    use crate::scenario::Drain;
    use crate::world::call::Parts;

    fn provenance(variants: &[&str]) -> Provenance {
        Provenance {
            scenario: "s".into(),
            question: String::new(),
            answers: Vec::new(),
            hash: String::new(),
            seed: 1,
            warm_up: SimTime::ZERO,
            base_title: "as it is".into(),
            variants: variants.iter().map(|name| name.to_string()).collect(),
        }
    }

    /// A run with these task times in seconds (none for one that failed), two numbers, and a series of three values.
    fn cell(variant: usize, replicate: u32, times: &[Option<u64>]) -> Cell {
        let mut sheet = Sheet::default();
        sheet.number("a", Some(f64::from(replicate)));
        sheet.number("b", Some(variant as f64));
        let series = Series {
            window: 1,
            values: vec![0.0; 3],
        };
        sheet.series.insert("x".into(), series);
        let rows = times.iter().zip(0..).map(|(time, identity)| TaskRow {
            group: "g".into(),
            name: String::new(),
            identity,
            began: SimTime::ZERO,
            ended: SimTime::ZERO + SimDuration::from_secs(time.unwrap_or(1)),
            outcome: if time.is_some() {
                TaskOutcome::Done
            } else {
                TaskOutcome::Failed
            },
            parts: Parts::default(),
        });
        sheet.tasks = rows.collect();
        Cell {
            variant,
            replicate,
            end: End::Stopped,
            now: SimTime::ZERO,
            drain: Drain {
                at_rest: true,
                took: SimDuration::ZERO,
            },
            handled: 0,
            print: crate::kernel::Print(0),
            checkpoints: Vec::new(),
            halt: None,
            culprit: None,
            breaches: Vec::new(),
            sheet,
        }
    }

    fn gathered(room: Room) -> Results {
        let mut gathering = Gathering::with_room(provenance(&["base", "slow"]), room);
        for replicate in 0..10 {
            let (quick, slow) = ([Some(1), Some(2), None], [Some(2), Some(5), Some(9)]);
            gathering.add(vec![cell(0, replicate, &quick), cell(1, replicate, &slow)]);
        }
        gathering.finish()
    }

    #[test]
    fn what_is_made_of_all_runs_does_not_depend_on_the_room() {
        let ample = gathered(Room::default());
        assert_eq!((ample.runs_unlisted, ample.replicates), (0, 10));
        assert_eq!((ample.unlisted, ample.left_out()), (Unlisted::default(), Vec::new()));
        let scarce = gathered(Room {
            numbers: 12,
            tasks: 13,
            series: 24,
            samples: 0,
            bands: 0,
        });
        // Six numbers of two each, for each variant; six tasks of three each; twelve values of three each.
        for variant in &scarce.variants {
            assert_eq!((variant.runs.len(), variant.runs.listed().len()), (10, 3));
            let kept = |of: fn(&RunResults) -> bool| variant.runs.iter().map(of).collect::<Vec<_>>();
            assert_eq!(
                kept(|run| !run.tasks.is_empty()),
                [&[true; 2][..], &[false; 8]].concat()
            );
            assert_eq!(
                kept(|run| !run.series.is_empty()),
                [&[true; 4][..], &[false; 6]].concat()
            );
        }
        assert_eq!(scarce.runs_unlisted, 14);
        let left_out = Unlisted {
            tasks: 16,
            series: 12,
            ..Unlisted::default()
        };
        assert_eq!(scarce.unlisted, left_out);
        let said = scarce.left_out();
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].starts_with("measures.csv lists 6 of 20 runs"), "{said:?}");
        assert!(said[1].starts_with("tasks.csv leaves out 16 of 20 runs"), "{said:?}");
        for (ample, scarce) in ample.variants.iter().zip(&scarce.variants) {
            assert_eq!(format!("{:?}", ample.measures), format!("{:?}", scarce.measures));
            assert_eq!((ample.measures["a"].n, ample.measures["a"].mean), (10, 4.5));
            assert_eq!(ample.added, scarce.added);
        }
        let written = serde_json::to_value(&scarce).unwrap();
        assert_eq!(written["variants"][1]["runs"].as_array().unwrap().len(), 3);
        assert_eq!(written["runs_unlisted"], 14);
        assert_eq!(
            (&written["unlisted"]["series"], &written["unlisted"]["samples"]),
            (&12.into(), &0.into())
        );
        let ample = serde_json::to_value(&ample).unwrap();
        assert!(ample.get("runs_unlisted").is_none() && ample.get("unlisted").is_none());
    }

    #[test]
    fn a_first_run_is_listed_though_it_takes_more_than_its_share() {
        // Eight variants share two values of series, and the first run of each has three.
        let names: Vec<String> = (0..8)
            .map(|n| if n == 0 { "base".into() } else { format!("v{n}") })
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let room = Room {
            series: 2,
            ..Room::default()
        };
        let mut gathering = Gathering::with_room(provenance(&names), room);
        (0..3).for_each(|replicate| gathering.add((0..8).map(|variant| cell(variant, replicate, &[])).collect()));
        let results = gathering.finish();
        assert_eq!(results.unlisted.series, 16);
        for variant in results.variants {
            let kept: Vec<bool> = variant.runs.iter().map(|run| !run.series.is_empty()).collect();
            assert_eq!(kept, [true, false, false]);
        }
    }

    #[test]
    fn time_added_is_the_same_both_ways_but_for_the_sign() {
        let results = gathered(Room::default());
        let (slow, quick) = (results.variants[1].added["base"], results.variants[0].added["slow"]);
        assert_eq!((slow.n, slow.pairs, slow.unpaired, slow.mean), (10, 20, 10, 2.0));
        assert_eq!((slow.least, slow.greatest), (1.0, 3.0));
        assert_eq!((quick.n, quick.pairs, quick.unpaired, quick.mean), (10, 20, 10, -2.0));
        assert_eq!((quick.least, quick.greatest), (-3.0, -1.0));
        assert_eq!((quick.low, quick.high), (slow.high.map(|x| -x), slow.low.map(|x| -x)));
    }
}
