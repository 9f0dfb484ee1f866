//! Searches whose answers are known: thresholds, logistic curves, answers that never change, or twice.

use super::*;
use crate::kernel::{Key, Purpose};
use std::convert::Infallible;

fn search() -> Search {
    Search {
        from: 100.0,
        to: 300.0,
        grid: None,
        precision: 0.02,
        replicates: 200,
        confidence: 0.95,
        points: 5,
    }
}

/// Runs a search on answers that are drawn with this probability of yes; common random numbers over the values.
fn drawn(search: Search, seed: u64, p: impl Fn(f64) -> f64) -> Knee {
    let mut probe = |value: f64, replicates: Range<u32>| -> Result<Vec<Trial>, Infallible> {
        let trial = |replicate: u32| {
            let unit = Key::root(seed, u64::from(replicate)).stream(Purpose(0x200), 0).unit();
            Trial {
                yes: Some(unit < p(value)),
                ..Trial::default()
            }
        };
        Ok(replicates.map(trial).collect())
    };
    match search.run(&mut probe) {
        Ok(knee) => knee,
        Err(never) => match never {},
    }
}

fn logistic(x: f64, middle: f64, width: f64) -> f64 {
    1.0 / (1.0 + libm::exp(-(x - middle) / width))
}

#[test]
fn a_sharp_threshold_is_bracketed_as_narrowly_as_asked_for() {
    for threshold in [100.5, 137.0, 150.0, 200.0, 211.3, 299.0] {
        let knee = drawn(search(), 1, |x| f64::from(u8::from(x > threshold)));
        let Found::Knee {
            at,
            low,
            high,
            beyond,
            precise,
        } = knee.found
        else {
            panic!("{threshold}: {:?}", knee.found);
        };
        assert!(low <= threshold && threshold <= high, "{threshold}: {low} to {high}");
        assert!(precise && high - low <= 0.02 * (high + low) / 2.0 + 1e-9);
        assert!(low <= at && at <= high);
        assert_eq!(beyond, Side::Above);
        // Nobody runs more than is needed: all runs of a value agree.
        let least = least_to_decide(search().error()) as usize;
        assert!(knee.points.iter().all(|point| point.trials.len() == least));
        assert!(knee.points.len() <= 5 + 6, "{}", knee.points.len());
    }
}

#[test]
fn answers_that_fall_have_a_knee_too() {
    let knee = drawn(search(), 1, |x| f64::from(u8::from(x < 222.0)));
    let Found::Knee { low, high, beyond, .. } = knee.found else {
        panic!()
    };
    assert!(low <= 222.0 && 222.0 <= high && beyond == Side::Below);
}

#[test]
fn the_interval_covers_the_knee_of_a_smooth_curve_as_often_as_it_says() {
    let (mut covered, mut near) = (0, 0);
    for seed in 0..200 {
        let knee = drawn(search(), seed, |x| logistic(x, 180.0, 6.0));
        let Found::Knee { at, low, high, .. } = knee.found else {
            continue;
        };
        covered += u32::from(low <= 180.0 && 180.0 <= high);
        near += u32::from((at - 180.0).abs() < 4.0);
        // Runs are spent where it isn't clear.
        let most = knee.points.iter().max_by_key(|point| point.trials.len()).unwrap();
        assert!((160.0..200.0).contains(&most.value), "{}", most.value);
    }
    assert!(covered >= 190, "{covered} of 200");
    assert!(near >= 180, "{near} of 200");
}

#[test]
fn what_cannot_be_decided_is_left_inside_a_wider_interval() {
    let shallow = Search {
        replicates: 40,
        ..search()
    };
    let knee = drawn(shallow, 3, |x| logistic(x, 200.0, 20.0));
    let Found::Knee { low, high, precise, .. } = knee.found else {
        panic!()
    };
    assert!(
        !precise && low < 200.0 && 200.0 < high && high - low < 140.0,
        "{low} {high}"
    );
    assert!(
        knee.points
            .iter()
            .any(|point| point.side.is_none() && point.trials.len() == 40)
    );
}

#[test]
fn answers_that_never_change_or_change_twice_are_no_knee() {
    assert_eq!(drawn(search(), 1, |_| 0.0).found, Found::Never { side: Side::Below });
    assert_eq!(drawn(search(), 1, |_| 1.0).found, Found::Never { side: Side::Above });
    let island = drawn(search(), 1, |x| f64::from(u8::from((190.0..210.0).contains(&x))));
    assert_eq!(
        island.found,
        Found::Several {
            changes: vec![(150.0, 200.0), (200.0, 250.0)]
        }
    );
    let even = Search {
        replicates: 30,
        ..search()
    };
    assert_eq!(drawn(even, 1, |_| 0.5).found, Found::Undecided);
}

#[test]
fn runs_without_an_answer_are_not_counted_and_values_without_any_are_left_early() {
    let mut ran = 0;
    let mut probe = |value: f64, replicates: Range<u32>| -> Result<Vec<Trial>, Infallible> {
        ran += replicates.len();
        let yes = match value {
            v if v < 160.0 => Some(false),
            v if v > 190.0 => Some(true),
            _ => None,
        };
        Ok(vec![
            Trial {
                yes,
                ..Trial::default()
            };
            replicates.len()
        ])
    };
    let Ok(knee) = search().run(&mut probe);
    let Found::Knee { low, high, precise, .. } = knee.found else {
        panic!()
    };
    assert!(
        !precise && (158.0..160.0).contains(&low) && (190.0..192.0).contains(&high),
        "{low} {high}"
    );
    assert_eq!(ran, knee.points.len() * least_to_decide(search().error()) as usize);
}

#[test]
fn a_minority_that_answers_decides_nothing() {
    // One run in four says no, and the others say nothing.
    let mut probe = |_: f64, replicates: Range<u32>| -> Result<Vec<Trial>, Infallible> {
        let trial = |replicate: u32| Trial {
            yes: replicate.is_multiple_of(4).then_some(false),
            ..Trial::default()
        };
        Ok(replicates.map(trial).collect())
    };
    let Ok(knee) = search().run(&mut probe);
    assert_eq!(knee.found, Found::Undecided);
    assert!(knee.points.iter().all(|point| point.trials.len() == 200));
}

#[test]
fn whole_numbers_stay_whole_and_ends_beside_each_other_are_as_near_as_can_be() {
    let whole = Search {
        from: 1.0,
        to: 40.0,
        grid: Some(1.0),
        precision: 0.01,
        ..search()
    };
    let knee = drawn(whole, 1, |x| f64::from(u8::from(x >= 17.0)));
    assert!(knee.points.iter().all(|point| point.value == libm::round(point.value)));
    let Found::Knee {
        at, low, high, precise, ..
    } = knee.found
    else {
        panic!()
    };
    assert_eq!((low, at, high, precise), (16.0, 17.0, 17.0, true));
}

#[test]
fn what_is_found_can_be_set_however_the_answers_fall() {
    for (seed, step) in (0..40).zip([1.0, 0.5, 0.001].iter().cycle()) {
        let coarse = Search {
            from: 3.0 * step,
            to: 211.0 * step,
            grid: Some(1.0 / step),
            precision: 0.01 * f64::from(1 + seed as u32 % 7),
            replicates: 60,
            ..search()
        };
        let middle = step * (20.0 + 4.7 * seed as f64);
        let knee = drawn(coarse, seed, |x| logistic(x, middle, 2.0 * step));
        let can_be_set = |value: f64| (value / step - libm::round(value / step)).abs() < 1e-6;
        assert!(
            knee.points
                .windows(2)
                .all(|pair| pair[1].value - pair[0].value > 0.9 * step)
        );
        assert!(knee.points.iter().all(|point| can_be_set(point.value)));
        if let Found::Knee { at, low, high, .. } = knee.found {
            assert!(can_be_set(at) && low <= at && at <= high, "{low} {at} {high}");
        }
    }
}

#[test]
fn values_read_well() {
    assert_eq!(search().round(141.234_56), 141.2);
    assert_eq!(
        Search {
            precision: 0.2,
            ..search()
        }
        .round(141.234_56),
        141.0
    );
    assert_eq!(search().round(0.001_234_567), 0.001_235);
    assert_eq!(search().round(1_234_567.0), 1_235_000.0);
}
