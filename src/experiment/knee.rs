//! The knee: the value of a parameter at which the answer to a question of yes or no changes, found by bisection on replicated runs.
//!
//! At each value runs are made until a sequential test decides whether most of them answer yes ([`side_of_half`]), or as many as
//! there may be; a run without an answer counts for neither. First a few values spread over the whole range are looked at, which shows answers that never change or change more than
//! once; then the stretch in which they change is halved until it is narrow enough. The values at its ends are on different sides of
//! one half: if the share of yes grows (or falls) with the parameter, the value at which it is one half lies between them with the
//! confidence asked for, because the chances of all wrong decisions together are no more than what is left of it (Bonferroni).
//!
//! Replicate `r` has the same draws at every value (common random numbers). Which runs are made depends on results alone, never on
//! threads.

use crate::statistics::{Level, Side, Summary, crossing_of_half, least_to_decide, side_of_half, wilson};
use serde::Serialize;
use std::ops::Range;

/// No stretch is halved more often.
const MOST_HALVINGS: u32 = 40;

/// Where and how the knee is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Search {
    /// The least value.
    pub from: f64,
    /// The greatest, above `from`.
    pub to: f64,
    /// The values that can be set: so many in a base unit, from zero on. One: whole numbers alone. `None`: any.
    pub grid: Option<f64>,
    /// How wide the interval may be, as a part of the value in its middle.
    pub precision: f64,
    /// The most runs at a value.
    pub replicates: u32,
    /// How sure the interval is.
    pub confidence: f64,
    /// How many values, spread evenly over the range, are looked at first: two or more.
    pub points: u32,
}

/// What one run says.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Trial {
    /// Its answer; `None`: it has none.
    pub yes: Option<bool>,
    /// What was measured beside it, in the order of [`BESIDE`]; `None` where the run doesn't have it.
    pub beside: [Option<f64>; BESIDE.len()],
}

/// The measures that are shown beside the answers.
pub const BESIDE: [&str; 7] = [
    "herd.recovers",
    "herd.metastable",
    "herd.collapses",
    "herd.undecided",
    "herd.end.offered",
    "herd.end.goodput",
    "herd.end.amplification",
];

/// A value that was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The value.
    pub value: f64,
    /// The runs, by replicate.
    pub trials: Vec<Trial>,
    /// On which side of one half the share of yes lies; `None`: it couldn't be decided.
    pub side: Option<Side>,
}

/// A share of runs with its Wilson interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Share {
    /// The part of the runs that have an answer in which it is yes.
    pub share: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
    /// Runs with an answer.
    pub n: u64,
}

impl Point {
    /// How many runs answer yes, and how many answer at all.
    pub fn answers(&self) -> (u64, u64) {
        let answers = || self.trials.iter().filter_map(|trial| trial.yes);
        (answers().filter(|yes| *yes).count() as u64, answers().count() as u64)
    }

    /// The share of yes; `None` if no run has an answer.
    pub fn share(&self, level: Level) -> Option<Share> {
        let (yes, n) = self.answers();
        share(yes, n, level)
    }

    /// The share of yes of a verdict beside the answer, by its place in [`BESIDE`].
    pub fn verdict(&self, at: usize, level: Level) -> Option<Share> {
        let values = || self.trials.iter().filter_map(|trial| trial.beside[at]);
        let yes = values().filter(|value| *value > 0.5).count() as u64;
        share(yes, values().count() as u64, level)
    }

    /// The mean over the runs of a measure beside the answer, by its place in [`BESIDE`].
    pub fn mean(&self, at: usize, level: Level) -> Option<Summary> {
        let values: Vec<f64> = self.trials.iter().filter_map(|trial| trial.beside[at]).collect();
        Summary::of(&values, level)
    }
}

fn share(yes: u64, n: u64, level: Level) -> Option<Share> {
    let interval = wilson(yes, n, level)?;
    Some(Share {
        share: yes as f64 / n as f64,
        low: interval.low,
        high: interval.high,
        n,
    })
}

/// What became of a search.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Found {
    /// The answer changes once.
    Knee {
        /// Where the share of yes crosses one half, by isotonic regression; where only some values can be set, the first of them from there on.
        at: f64,
        /// The interval's lower end: the answer is decided there.
        low: f64,
        /// The interval's upper end: the other answer is decided there.
        high: f64,
        /// The answer beyond the knee.
        beyond: Side,
        /// Whether the interval is as narrow as was asked for. If it isn't, values in it couldn't be decided.
        precise: bool,
    },
    /// The answer is the same everywhere.
    Never {
        /// Which.
        side: Side,
    },
    /// The answer changes more than once.
    Several {
        /// Where: between two values each.
        changes: Vec<(f64, f64)>,
    },
    /// The answer changes nowhere, but isn't decided everywhere.
    Undecided,
}

/// A search and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Knee {
    /// The values that were looked at, ascending.
    pub points: Vec<Point>,
    /// What became of it.
    pub found: Found,
    /// The chance of a wrong decision that was allowed at each value.
    pub error: f64,
}

impl Search {
    /// How narrow the interval around this value has to be.
    fn target(&self, middle: f64) -> f64 {
        let target = self.precision * middle.abs();
        self.grid.map_or(target, |grid| target.max(1.0 / grid))
    }

    /// Whether only whole numbers can be set.
    pub fn is_whole(&self) -> bool {
        self.grid == Some(1.0)
    }

    /// The nearest value that can be set, by this way of rounding.
    fn settable(&self, value: f64, round: fn(f64) -> f64) -> f64 {
        self.grid.map_or(value, |grid| round(value * grid) / grid)
    }

    /// How many values are looked at at most: the first ones, and those that halve the stretches on both sides of what can't be
    /// decided.
    fn most_points(&self) -> u32 {
        let gap = (self.to - self.from) / f64::from(self.points - 1);
        // Where the range begins at zero there is no least size that a part could be taken of.
        let least = self.from.abs().min(self.to.abs()).max(gap / 64.0);
        let halvings = libm::ceil(libm::log2((gap / self.target(least)).max(1.0)));
        self.points + 2 * (halvings as u32).min(MOST_HALVINGS) + 2
    }

    /// The chance of a wrong decision that each value may have.
    pub fn error(&self) -> f64 {
        (1.0 - self.confidence) / f64::from(self.most_points())
    }

    /// A value that reads well near this one: of three or four digits, as the precision allows. It can be set.
    pub fn round(&self, value: f64) -> f64 {
        let places = -libm::floor(libm::log10(self.target(value).max(1e-300) / 4.0));
        let power = libm::pow(10.0, places.abs());
        let rounded = match places >= 0.0 {
            true => libm::round(value * power) / power,
            false => libm::round(value / power) * power,
        };
        let rounded = if rounded.is_finite() { rounded } else { value };
        self.settable(rounded, libm::round)
    }

    /// Looks for the knee. `probe` runs these replicates at a value, and gives what they say, in their order.
    ///
    /// # Errors
    /// What `probe` fails with.
    ///
    /// # Panics
    /// If `points` is below two, or `to` isn't above `from`.
    pub fn run<E>(&self, probe: &mut dyn FnMut(f64, Range<u32>) -> Result<Vec<Trial>, E>) -> Result<Knee, E> {
        assert!(self.points >= 2 && self.to > self.from, "a range has two ends");
        let most = self.most_points() as usize;
        let mut points: Vec<Point> = Vec::new();
        for n in 0..self.points {
            let part = f64::from(n) / f64::from(self.points - 1);
            let value = match n {
                0 => self.from,
                n if n + 1 == self.points => self.to,
                _ => self.round(self.from + part * (self.to - self.from)),
            };
            if points.last().is_none_or(|last| last.value < value) {
                points.push(self.point(value, probe)?);
            }
        }
        while let Some(next) = self.next(&points).filter(|_| points.len() < most) {
            let place = points.partition_point(|point| point.value < next);
            let point = self.point(next, probe)?;
            points.insert(place, point);
        }
        let found = self.found(&points);
        let error = self.error();
        Ok(Knee { points, found, error })
    }

    /// Runs replicates at a value until the answer is decided there, or as many as there may be.
    fn point<E>(
        &self,
        value: f64,
        probe: &mut dyn FnMut(f64, Range<u32>) -> Result<Vec<Trial>, E>,
    ) -> Result<Point, E> {
        let error = self.error();
        let first = least_to_decide(error) as u32;
        let mut trials: Vec<Trial> = Vec::new();
        loop {
            let from = trials.len() as u32;
            let more = if from == 0 { first } else { first.div_ceil(2) };
            let to = (from + more).min(self.replicates);
            trials.extend(probe(value, from..to)?);
            let side = side(&trials, error);
            // Where no run has had an answer so far, more of them are a waste.
            let is_mute = trials.iter().all(|trial| trial.yes.is_none());
            if side.is_some() || is_mute || to >= self.replicates {
                return Ok(Point { value, trials, side });
            }
        }
    }

    /// The value to look at next; `None`: it is done, or there is nothing to gain.
    fn next(&self, points: &[Point]) -> Option<f64> {
        let [(low, high)] = changes(points)[..] else {
            return None;
        };
        let (from, to) = (points[low].value, points[high].value);
        let target = self.target((from + to) / 2.0);
        if to - from <= target {
            return None;
        }
        // What can't be decided lies in the interval: its ends are brought near to that from both sides.
        let gaps = match high - low {
            1 => vec![(from, to)],
            _ => vec![(from, points[low + 1].value), (points[high - 1].value, to)],
        };
        // Between two values beside each other there is none.
        let is_open = |gap: &(f64, f64)| self.grid.is_none_or(|grid| (gap.1 - gap.0) * grid > 1.5);
        let is_worth_it = |gap: &(f64, f64)| gap.1 - gap.0 > target / 2.0 && is_open(gap);
        let widest = gaps.into_iter().filter(is_worth_it);
        let (from, to) = widest.max_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0)))?;
        let middle = from + (to - from) / 2.0;
        let rounded = self.round(middle);
        Some(if from < rounded && rounded < to {
            rounded
        } else {
            self.settable(middle, libm::round)
        })
    }

    fn found(&self, points: &[Point]) -> Found {
        let found = changes(points);
        match found.as_slice() {
            [] => match points.iter().map(|point| point.side).collect::<Option<Vec<Side>>>() {
                Some(sides) => Found::Never { side: sides[0] },
                None => Found::Undecided,
            },
            &[(low, high)] => {
                let beyond = points[high].side.expect("an end of a change is decided");
                let answers = points.iter().map(|point| {
                    let (yes, n) = point.answers();
                    (point.value, yes, n)
                });
                let (low, high) = (points[low].value, points[high].value);
                let at = crossing_of_half(&answers.collect::<Vec<_>>(), beyond == Side::Below);
                let at = at.unwrap_or((low + high) / 2.0);
                Found::Knee {
                    at: self.settable(at, libm::ceil).clamp(low, high),
                    low,
                    high,
                    beyond,
                    precise: high - low <= self.target((low + high) / 2.0) * (1.0 + 1e-9),
                }
            }
            several => Found::Several {
                changes: several
                    .iter()
                    .map(|(low, high)| (points[*low].value, points[*high].value))
                    .collect(),
            },
        }
    }
}

/// On which side of one half the share of yes among all runs lies, whatever those that have no answer would have said.
fn side(trials: &[Trial], error: f64) -> Option<Side> {
    let sure =
        |yes: &dyn Fn(&Trial) -> bool, side: Side| side_of_half(trials.iter().map(yes), error).filter(|of| *of == side);
    let above = sure(&|trial| trial.yes == Some(true), Side::Above);
    above.or_else(|| sure(&|trial| trial.yes != Some(false), Side::Below))
}

/// The pairs of neighbouring decided points that are on different sides, by their places.
fn changes(points: &[Point]) -> Vec<(usize, usize)> {
    let decided: Vec<(usize, Side)> = points
        .iter()
        .enumerate()
        .filter_map(|(place, point)| Some((place, point.side?)))
        .collect();
    let pairs = decided.windows(2).filter(|pair| pair[0].1 != pair[1].1);
    pairs.map(|pair| (pair[0].0, pair[1].0)).collect()
}

#[cfg(test)]
mod tests;
