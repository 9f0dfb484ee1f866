use super::*;
use crate::kernel::{Key, Purpose};
use proptest::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal, StudentsT};

const UNIFORM: Purpose = Purpose(1);

/// Standard normal draws by inversion, addressed by (case, trial, number).
fn normal(case: u64, trial: u64, number: u64) -> f64 {
    normal_quantile(Key::root(2024, case).member(trial).stream(UNIFORM, number).open_unit())
}

/// Asserts that `covered` of `trials` is 95 % within four of its own standard errors.
fn assert_nominal(covered: u64, trials: u64, what: &str) {
    let share = covered as f64 / trials as f64;
    let error = (0.95 * 0.05 / trials as f64).sqrt();
    assert!(
        (share - 0.95).abs() < 4.0 * error,
        "{what}: covered {share}, expected 0.95 ± {}",
        4.0 * error
    );
}

#[test]
fn quantiles_match_published_tables() {
    let close = |a: f64, b: f64| assert!((a - b).abs() < 5e-9 * b.abs().max(1.0), "{a} is not {b}");
    close(normal_quantile(0.975), 1.959963984540054);
    close(normal_quantile(1e-10), -6.361340902404056);
    close(student_t_quantile(0.975, 1.0), 12.706204736174694);
    close(student_t_quantile(0.975, 2.0), 4.302652729749462);
    close(student_t_quantile(0.975, 19.0), 2.093024054408263);
    close(student_t_quantile(0.995, 4.0), 4.604094871349993);
    close(student_t_quantile(0.025, 19.0), -2.093024054408263);
    assert_eq!(student_t_quantile(0.5, 3.0), 0.0);
    assert!(student_t_quantile(0.9, 0.0).is_nan() && normal_quantile(1.5).is_nan());
    assert_eq!(normal_quantile(0.0), f64::NEG_INFINITY);
    // The two branches meet: no jump where the expansion for high degrees takes over.
    let (below, above) = (student_t_quantile(0.975, 0.9999e4), student_t_quantile(0.975, 1.0001e4));
    assert!(below > above && below - above < 1e-7);
}

#[test]
fn summaries_have_the_textbook_values() {
    let s = Summary::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0], Level::P95).unwrap();
    assert_eq!((s.n, s.mean), (8, 5.0));
    assert!((s.sd.unwrap() - 2.138089935299395).abs() < 1e-12);
    assert!((s.half_width().unwrap() - 1.787488).abs() < 1e-5);
    let one = Summary::of(&[3.0], Level::P95).unwrap();
    assert_eq!((one.mean, one.sd, one.interval), (3.0, None, None));
    assert_eq!(Summary::of(&[], Level::P95), None);
    assert_eq!(Summary::of(&[1.0, f64::NAN], Level::P95), None);
    let equal = Summary::of(&[0.1; 10], Level::P95).unwrap();
    assert!(equal.interval.unwrap().contains(equal.mean));
}

#[test]
fn a_large_offset_costs_no_digits() {
    let s = Summary::of(&[1e9 + 4.0, 1e9 + 7.0, 1e9 + 13.0, 1e9 + 16.0], Level::P95).unwrap();
    assert_eq!((s.mean, s.sd.unwrap() * s.sd.unwrap()), (1e9 + 10.0, 30.0));
}

#[test]
fn pairing_removes_what_replicates_share() {
    let base = [10.0, 20.0, 30.0, 40.0];
    let variant = [11.0, 21.1, 31.0, 40.9];
    let p = Paired::of(&base, &variant, Level::P95).unwrap().unwrap();
    assert!(p.differs() && (p.difference.mean - 1.0).abs() < 1e-12);
    assert!((p.relative.unwrap() - 0.04).abs() < 1e-12);
    assert!(p.relative_interval.unwrap().contains(0.04));
    assert_eq!(
        Paired::of(&base, &[1.0], Level::P95),
        Err(UnequalLengths { base: 4, variant: 1 })
    );
    let zero = Paired::of(&[0.0, 0.0], &[1.0, 2.0], Level::P95).unwrap().unwrap();
    assert_eq!((zero.relative, zero.relative_interval), (None, None));
}

#[test]
fn wilson_has_the_published_value_and_stays_a_proportion() {
    // Newcombe, Statistics in Medicine 17 (1998), table I: 81 of 263 gives 0.2553 to 0.3662; 0 of 20 gives 0 to 0.1611.
    let i = wilson(81, 263, Level::P95).unwrap();
    assert!((i.low - 0.2553).abs() < 5e-5 && (i.high - 0.3662).abs() < 5e-5, "{i:?}");
    let none = wilson(0, 20, Level::P95).unwrap();
    assert!(none.low == 0.0 && (none.high - 0.1611).abs() < 5e-5);
    assert_eq!(wilson(20, 20, Level::P95).unwrap().high, 1.0);
    assert_eq!((wilson(0, 0, Level::P95), wilson(3, 2, Level::P95)), (None, None));
}

#[test]
fn intervals_of_normal_means_cover_as_often_as_they_say() {
    for (case, n) in [(0u64, 2u64), (1, 5), (2, 20)] {
        let trials = 4_000;
        let covered = (0..trials).filter(|&trial| {
            let values: Vec<f64> = (0..n).map(|i| 7.0 + 3.0 * normal(case, trial, i)).collect();
            Summary::of(&values, Level::P95)
                .unwrap()
                .interval
                .unwrap()
                .contains(7.0)
        });
        assert_nominal(covered.count() as u64, trials, &format!("mean of {n}"));
    }
}

#[test]
fn intervals_of_paired_differences_cover_as_often_as_they_say() {
    let (trials, n) = (4_000, 10);
    let (mut covered, mut unpaired_width, mut width) = (0, 0.0, 0.0);
    for trial in 0..trials {
        let base: Vec<f64> = (0..n).map(|i| 50.0 + 10.0 * normal(10, trial, i)).collect();
        let variant: Vec<f64> = (0..n).map(|i| base[i as usize] + 1.5 + normal(11, trial, i)).collect();
        let paired = Paired::of(&base, &variant, Level::P95).unwrap().unwrap();
        covered += u64::from(paired.difference.interval.unwrap().contains(1.5));
        width += paired.difference.half_width().unwrap();
        unpaired_width += Summary::of(&base, Level::P95).unwrap().half_width().unwrap();
    }
    assert_nominal(covered, trials, "paired difference");
    assert!(width * 5.0 < unpaired_width, "pairing must narrow the interval");
}

#[test]
fn intervals_of_relative_differences_cover_as_often_as_they_say() {
    let (trials, n) = (4_000, 20);
    let covered = (0..trials).filter(|&trial| {
        let base: Vec<f64> = (0..n).map(|i| 50.0 + 2.0 * normal(12, trial, i)).collect();
        let variant: Vec<f64> = (0..n).map(|i| 1.2 * base[i as usize] + normal(13, trial, i)).collect();
        let paired = Paired::of(&base, &variant, Level::P95).unwrap().unwrap();
        paired.relative_interval.unwrap().contains(0.2)
    });
    assert_nominal(covered.count() as u64, trials, "relative difference");
}

#[test]
fn wilson_intervals_cover_as_often_as_they_say() {
    for (case, p) in [(20u64, 0.02), (21, 0.3), (22, 0.5)] {
        let (trials, n) = (3_000, 1_000);
        let key = Key::root(2024, case);
        let covered = (0..trials).filter(|&trial| {
            let mut stream = key.member(trial).stream(UNIFORM, 0);
            let successes = (0..n).filter(|_| stream.chance(p)).count() as u64;
            wilson(successes, n, Level::P95).unwrap().contains(p)
        });
        assert_nominal(covered.count() as u64, trials, &format!("proportion {p}"));
    }
}

#[test]
fn no_quantile_with_fewer_than_ten_observations_beyond() {
    let values: Vec<u64> = (1..=1000).collect();
    assert_eq!(nearest_rank(&values, 0.99), Quantile::Value(990));
    assert_eq!(nearest_rank(&values, 0.991), Quantile::TooFew { beyond: 9 });
    assert_eq!(nearest_rank(&values, 0.5), Quantile::Value(500));
    assert_eq!(nearest_rank(&values, 0.01), Quantile::TooFew { beyond: 9 });
    assert_eq!(nearest_rank(&values, 0.011), Quantile::Value(11));
    assert_eq!(nearest_rank(&values[..100], 0.9), Quantile::Value(90));
    // 0.57 · 100 is 56.99999999999999 in floats and 0.14 · 100 is 14.000000000000002: ranks are computed in integers.
    assert_eq!(nearest_rank(&values[..100], 0.57), Quantile::Value(57));
    assert_eq!(nearest_rank(&values[..100], 0.14), Quantile::Value(14));
    assert_eq!(nearest_rank::<u64>(&[], 0.5), Quantile::TooFew { beyond: 0 });
    assert_eq!(nearest_rank(&values, 1.0), Quantile::TooFew { beyond: 0 });
}

#[test]
fn recorders_say_what_they_are() {
    let mut r = Recorder::new(100);
    (1..=100u64).for_each(|v| r.record(v * 1_000_003));
    assert_eq!(r.precision(), Precision::Exact);
    assert_eq!(r.quantile(0.9), Quantile::Value(90 * 1_000_003));
    r.record(u64::MAX);
    r.record(0);
    assert_eq!(r.precision(), Precision::Digits(3));
    assert_eq!((r.count(), r.least(), r.greatest()), (102, Some(0), Some(u64::MAX)));
    let median = r.quantile(0.5).value().unwrap() as f64;
    assert!((median / (50.0 * 1_000_003.0) - 1.0).abs() < 1e-3);
    assert_eq!((Recorder::default().mean(), Recorder::default().least()), (None, None));
    assert!(Recorder::default().distribution().points(50).is_empty());
}

#[test]
fn thinned_distribution_functions_keep_the_tail() {
    let mut r = Recorder::default();
    (0..50_000u64).for_each(|v| r.record(v * v));
    let d = r.distribution();
    let points = d.points(200);
    assert!(points.len() <= 200 && points.len() > 100, "{}", points.len());
    assert_eq!(points.first().unwrap(), &(0, 1.0 / 50_000.0));
    assert_eq!(points.last().unwrap(), &(49_999 * 49_999, 1.0));
    assert!(
        points.iter().filter(|p| p.1 >= 0.999).count() >= 12,
        "the last thousandth has its own points"
    );
    assert!(points.iter().all(|p| d.at_most(p.0) == p.1));
    assert!(points.windows(2).all(|w| w[0].0 < w[1].0 && w[0].1 < w[1].1));
    let gap = points.windows(2).map(|w| w[1].1 - w[0].1).fold(0.0, f64::max);
    assert!(gap < 0.011, "no gap in the middle: {gap}");
}

#[test]
fn the_band_encloses_every_replicate() {
    let replicate = |offset: u64| {
        let mut r = Recorder::default();
        (0..500u64).for_each(|v| r.record(v * 3 + offset * 17));
        r.distribution()
    };
    let all: Vec<Distribution> = (0..5).map(replicate).collect();
    let band = ecdf_band(&all, 100);
    assert!(band.len() <= 100 && !band.is_empty());
    for (value, low, high) in band {
        assert!(all.iter().all(|d| (low..=high).contains(&d.at_most(value))));
    }
    assert!(ecdf_band(&[], 100).is_empty());
}

proptest! {
    #[test]
    fn quantile_functions_agree_with_statrs(p in 0.001f64..0.999, df in 1.0f64..200.0) {
        let t = StudentsT::new(0.0, 1.0, df).unwrap();
        prop_assert!((t.cdf(student_t_quantile(p, df)) - p).abs() < 1e-9);
        let n = Normal::new(0.0, 1.0).unwrap();
        prop_assert!((n.cdf(normal_quantile(p)) - p).abs() < 1e-9);
    }

    #[test]
    fn running_moments_merge(values in prop::collection::vec(-1e6f64..1e6, 2..60), cut in 0usize..60) {
        let cut = cut.min(values.len());
        let run = |v: &[f64]| { let mut r = Running::default(); v.iter().for_each(|x| r.add(*x)); r };
        let mut left = run(&values[..cut]);
        left.merge(&run(&values[cut..]));
        let whole = Summary::of(&values, Level::P95).unwrap();
        prop_assert!((left.mean().unwrap() - whole.mean).abs() < 1e-6);
        let variance = whole.sd.unwrap() * whole.sd.unwrap();
        prop_assert!((left.variance().unwrap() - variance).abs() <= 1e-9 * variance + 1e-6);
    }

    #[test]
    fn no_summary_holds_a_nan(values in prop::collection::vec(any::<f64>(), 0..6)) {
        if let Some(s) = Summary::of(&values, Level::P95) {
            prop_assert!(s.mean.is_finite() && s.sd.is_none_or(f64::is_finite));
            prop_assert!(s.interval.is_none_or(|i| i.low.is_finite() && i.high.is_finite() && i.low <= i.high));
        }
        if let Some(p) = Paired::of(&values, &values, Level::P95).unwrap() {
            prop_assert!(p.relative.is_none_or(f64::is_finite));
        }
    }

    #[test]
    fn merging_in_any_order_gives_equal_recorders(
        parts in prop::collection::vec(prop::collection::vec(any::<u64>(), 0..40), 1..6),
        limit in 0usize..120,
    ) {
        let make = |part: &Vec<u64>| { let mut r = Recorder::new(limit); part.iter().for_each(|v| r.record(*v)); r };
        let mut forward = Recorder::new(limit);
        parts.iter().for_each(|p| forward.merge(&make(p)));
        let mut backward = Recorder::new(limit);
        parts.iter().rev().for_each(|p| backward.merge(&make(p)));
        let whole = make(&parts.concat());
        prop_assert_eq!(forward.precision(), whole.precision());
        prop_assert_eq!(forward.distribution(), whole.distribution());
        prop_assert_eq!(backward.distribution(), whole.distribution());
        prop_assert_eq!(forward.mean(), whole.mean());
    }

    #[test]
    fn points_never_exceed_their_number(values in prop::collection::vec(0u64..5000, 0..800), max in 0usize..100) {
        let mut r = Recorder::default();
        values.iter().for_each(|v| r.record(*v));
        let points = r.distribution().points(max);
        prop_assert!(points.len() <= max.max(8));
        prop_assert_eq!(points.last().map(|p| p.0), values.iter().max().copied());
    }
}
