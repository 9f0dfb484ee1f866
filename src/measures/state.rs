//! Shared state as a measure: what the judge found, on the sheet.

use super::replay::Replays;
use super::shared_state::{Samples, SharedStateJudge, Steps, Watched};
use super::{Better, Measure, MeasureInfo, Sample, Series, Sheet, Unit};
use crate::kernel::{SimDuration, SimTime};
use crate::world::record::{Batch, Mask, Observer, What};

/// What is on a sheet beside the judge's numbers.
pub(super) const STATE_SERIES: &[MeasureInfo] = &[
    MeasureInfo {
        name: "state.drained",
        unit: Unit::Verdict,
        better: Better::Higher,
        doc: "Whether replication came to rest after the end of the run, within the scenario's `drain`: nothing on its way to or \
              between replicas and, where there is anti-entropy, all live replicas the same. If not, what is lost or differs \
              may still change.",
    },
    MeasureInfo {
        name: "state.drain",
        unit: Unit::Seconds,
        better: Better::Lower,
        doc: "How long after the end of the run replication came to rest, or how long that was waited for in vain.",
    },
    MeasureInfo {
        name: "state.transforms",
        unit: Unit::Count,
        better: Better::Lower,
        doc: "Pairs of changes of texts that replicas have transformed against each other (`OperationalTransformation`), once the run is \
              drained.",
    },
    MeasureInfo {
        name: "state.diverged_keys",
        unit: Unit::Count,
        better: Better::Lower,
        doc: "Keys whose live replicas show different values: the most in each window, as a series.",
    },
    MeasureInfo {
        name: "state.stale_age",
        unit: Unit::Seconds,
        better: Better::Lower,
        doc: "Ages of stale reads: a sample for their distribution.",
    },
];

/// The measure of shared state.
pub struct SharedState {
    judge: SharedStateJudge,
    /// The most values of a sample that are kept.
    sample: usize,
    /// Pairs of changes transformed, where stores do that.
    transforms: Option<u64>,
    /// The recorded runs that are replayed, if any are.
    replays: Option<Replays>,
}

impl SharedState {
    /// For a run with these stores, with series in windows of this length.
    pub fn new(watched: &Watched, window: SimDuration, sample: usize) -> Self {
        Self {
            judge: SharedStateJudge::new(watched).in_windows(window),
            sample,
            transforms: None,
            replays: None,
        }
    }

    /// The same, which also says what became of recorded runs.
    pub(super) fn with(mut self, replays: Option<Replays>) -> Self {
        self.replays = replays;
        self
    }
}

impl Measure for SharedState {
    fn wants(&self) -> Mask {
        let replays = self.replays.as_ref().map_or(Mask::NONE, |_| Replays::wants());
        self.judge.wants().union(Mask::of(&[What::Transformed])).union(replays)
    }

    fn batch(&mut self, batch: Batch<'_>) {
        if batch.kinds.has(What::Transformed) {
            for record in batch.records.iter().filter(|record| record.what == What::Transformed) {
                *self.transforms.get_or_insert(0) += record.b;
            }
        }
        if let Some(replays) = &mut self.replays {
            replays.batch(batch);
        }
        self.judge.batch(batch);
    }

    fn measured_until(&mut self, end: SimTime) -> bool {
        self.judge.measured_until(end);
        true
    }

    fn finish(mut self: Box<Self>, end: SimTime, sheet: &mut Sheet) {
        let results = self.judge.results(end);
        if let Some(replays) = self.replays {
            replays.finish(&results.lost, sheet);
        }
        if let Some(transforms) = self.transforms {
            sheet.number("state.transforms", Some(transforms as f64));
        }
        for (name, value) in results.measures() {
            sheet.number(name, value);
        }
        sheet.series.insert(
            "state.conflicts".into(),
            series(&results.conflicts_over_time, end, |(last, _)| last),
        );
        sheet.series.insert(
            "state.diverged_keys".into(),
            series(&results.diverged_over_time, end, |(_, most)| most),
        );
        if results.stale_age.count > 0 {
            sheet
                .samples
                .insert("state.stale_age".into(), sample(&results.stale_age, self.sample));
        }
    }
}

/// The run in its whole windows: after the last change the last value holds.
fn series(steps: &Steps, end: SimTime, pick: impl Fn((u64, u64)) -> u64) -> Series {
    let mut values: Vec<f64> = steps.buckets.iter().map(|bucket| pick(*bucket) as f64).collect();
    let last = steps.buckets.last().map_or(0.0, |(last, _)| *last as f64);
    values.resize((end.as_nanos() / steps.width) as usize, last);
    Series {
        window: steps.width,
        values,
    }
}

/// The sample in seconds, ascending, thinned evenly.
fn sample(samples: &Samples, most: usize) -> Sample {
    let mut sorted = samples.kept.clone();
    sorted.sort_unstable();
    let keep = most.max(2).min(sorted.len());
    let place = |index: usize| {
        if keep < 2 {
            0
        } else {
            index * (sorted.len() - 1) / (keep - 1)
        }
    };
    let values = (0..keep).map(|index| sorted[place(index)] as f64 / 1e9).collect();
    Sample {
        count: samples.count,
        values,
    }
}
