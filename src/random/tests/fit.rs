//! Samples against the distributions: moments, Kolmogorov-Smirnov, chi-square; distribution functions against statrs.

use super::*;
use crate::random::math::{before, pow, sqrt};
use crate::random::{standard_exponential, standard_normal};
use statrs::distribution::{Beta, ContinuousCDF, DiscreteCDF, Exp, Gamma, LogNormal, Normal, Pareto, Poisson, Weibull};

/// So many that what a user could notice shows, and so few that a build without optimisation draws them in seconds.
const SAMPLES: usize = 60_000;

fn samples(law: &Law, count: usize) -> Vec<f64> {
    (0..count as u64).map(|n| law.sample(&mut stream(n), n)).collect()
}

/// The largest distance between the steps of the samples and a distribution function, times the root of their number.
fn kolmogorov_smirnov(mut samples: Vec<f64>, cdf: impl Fn(f64) -> f64) -> f64 {
    samples.sort_by(f64::total_cmp);
    let n = samples.len() as f64;
    let distance = samples.iter().enumerate().fold(0.0f64, |worst, (i, &x)| {
        let p = cdf(x);
        worst.max((p - i as f64 / n).abs()).max(((i + 1) as f64 / n - p).abs())
    });
    distance * sqrt(n)
}

#[test]
fn moments_are_within_four_standard_errors() {
    for (name, law) in gallery() {
        law.validate().unwrap_or_else(|error| panic!("{name}: {error}"));
        let (mean, variance) = (law.mean(), law.variance());
        let n = SAMPLES as f64;
        let centred: Vec<f64> = samples(&law, SAMPLES).iter().map(|x| x - mean).collect();
        let first = centred.iter().sum::<f64>() / n;
        let second = centred.iter().map(|d| d * d).sum::<f64>() / n;
        let fourth = centred.iter().map(|d| d * d * d * d).sum::<f64>() / n;
        let error = sqrt(variance / n);
        assert!(
            first.abs() <= 4.0 * error + 1e-12,
            "{name}: mean {mean} is off by {} errors",
            first / error
        );
        let error = sqrt((fourth - second * second).max(0.0) / n);
        assert!(
            (second - variance).abs() <= 4.0 * error + 1e-12,
            "{name}: variance {variance} against {second}, {} errors",
            (second - variance) / error
        );
    }
}

#[test]
fn continuous_samples_fit_their_distribution_function() {
    for (name, law) in gallery().iter().filter(|(name, _)| !discrete(name)) {
        // 1.95 is the 0.1 % point of Kolmogorov's distribution.
        let distance = kolmogorov_smirnov(samples(law, SAMPLES), |x| law.cdf(x));
        assert!(distance < 1.95, "{name}: {distance}");
    }
}

#[test]
fn discrete_samples_fit_their_distribution_function() {
    for (name, law) in gallery().iter().filter(|(name, _)| discrete(name)) {
        // More of them where the sampler has a hat and a squeeze to get slightly wrong.
        let hat = name.contains("poisson") || name.contains("zipf");
        let mut samples = samples(law, if hat { 5 * SAMPLES } else { SAMPLES });
        samples.sort_by(f64::total_cmp);
        // Bins that end at values of the samples, each expecting at least 20 of them.
        let (mut statistic, mut bins) = (0.0, 0);
        let (mut from, mut below) = (0, 0.0);
        for to in 1..=samples.len() {
            if to < samples.len() && samples[to] == samples[to - 1] {
                continue;
            }
            let upto = if to == samples.len() {
                1.0
            } else {
                law.cdf(samples[to - 1])
            };
            let expected = (upto - below) * samples.len() as f64;
            let rest = (1.0 - upto) * samples.len() as f64;
            if to < samples.len() && (expected < 20.0 || rest < 20.0) {
                continue;
            }
            statistic += ((to - from) as f64 - expected) * ((to - from) as f64 - expected) / expected;
            (from, below, bins) = (to, upto, bins + 1);
        }
        let freedom = (bins - 1) as f64;
        // Four standard deviations, and some more for the skew of few bins.
        assert!(
            statistic <= freedom + 4.0 * sqrt(2.0 * freedom) + 6.0,
            "{name}: {statistic} on {freedom}"
        );
    }
}

#[test]
fn the_ziggurat_and_its_tails_fit_statrs() {
    let normal = Normal::new(0.0, 1.0).unwrap();
    let exponential = Exp::new(1.0).unwrap();
    let first = |draw: fn(&mut Stream) -> f64| (0..400_000).map(|n| draw(&mut stream(n))).collect::<Vec<_>>();
    assert!(kolmogorov_smirnov(first(standard_normal), |x| normal.cdf(x)) < 1.95);
    assert!(kolmogorov_smirnov(first(standard_exponential), |x| exponential.cdf(x)) < 1.95);
    // How many go to the tails; their shape is tested beside their algorithm.
    let n = 1_500_000;
    let (mut left, mut right, mut late) = (0.0, 0.0, 0.0);
    for i in 0..n {
        let x = standard_normal(&mut stream(i));
        left += f64::from(u8::from(x < -3.654_152_885_361_009));
        right += f64::from(u8::from(x > 3.654_152_885_361_009));
        late += f64::from(u8::from(standard_exponential(&mut stream(i)) > 7.697_117_470_131_05));
    }
    let (side, end) = (normal.sf(3.654_152_885_361_009), exponential.sf(7.697_117_470_131_05));
    for (seen, part) in [(left, side), (right, side), (late, end)] {
        let expected = part * n as f64;
        assert!(
            (seen - expected).abs() < 4.0 * sqrt(expected),
            "{seen} in a tail, not {expected}"
        );
    }
}

#[test]
fn distribution_functions_match_statrs() {
    let close = |law: &Law, x: f64, below: f64, above: f64| {
        let tails = law.tails(x);
        assert!(
            (tails.below - below).abs() < 1e-10,
            "{law:?} at {x}: {} against {below}",
            tails.below
        );
        assert!(
            (tails.above - above).abs() < 1e-10,
            "{law:?} at {x}: {} against {above}",
            tails.above
        );
    };
    for i in 0..400 {
        let x = i as f64 * 0.11 - 4.0;
        macro_rules! same {
            ($law:expr, $oracle:expr) => {
                close(&$law, x, $oracle.unwrap().cdf(x), $oracle.unwrap().sf(x))
            };
        }
        same!(Law::Exponential { mean: 4.0 }, Exp::new(0.25));
        same!(Law::Normal { mean: 10.0, sd: 3.0 }, Normal::new(10.0, 3.0));
        same!(Law::log_normal(1.2, 0.7), LogNormal::new(1.2, 0.7));
        same!(Law::Pareto { scale: 2.0, shape: 1.5 }, Pareto::new(2.0, 1.5));
        if x > 0.0 {
            same!(Law::Weibull { scale: 3.0, shape: 0.8 }, Weibull::new(0.8, 3.0));
            same!(Law::Gamma { shape: 2.5, scale: 2.0 }, Gamma::new(2.5, 0.5));
        }
        if (0.0..=1.0).contains(&(x / 30.0)) {
            let oracle = Beta::new(2.0, 0.6).unwrap();
            close(
                &Law::Beta {
                    a: 2.0,
                    b: 0.6,
                    low: 0.0,
                    high: 30.0,
                },
                x,
                oracle.cdf(x / 30.0),
                oracle.sf(x / 30.0),
            );
        }
        if x >= 0.0 {
            let oracle = Poisson::new(12.5).unwrap();
            close(
                &Law::Poisson { mean: 12.5 },
                x,
                oracle.cdf(x as u64),
                oracle.sf(x as u64),
            );
        }
    }
    // Zipf, by its definition.
    let total: f64 = (1..=50).map(|k| pow(k as f64, -1.3)).sum();
    let mut below = 0.0;
    for k in 1..=50 {
        below += pow(k as f64, -1.3) / total;
        close(&Law::zipf(50, 1.3), k as f64 + 0.5, below, 1.0 - below);
    }
}

#[test]
fn quantiles_are_the_least_values_that_reach_their_level() {
    for (name, law) in gallery() {
        let (low, high) = law.support();
        assert_eq!(law.quantile(0.0), Some(low), "{name}");
        assert_eq!(law.quantile(1.0), Some(high), "{name}");
        for u in [1e-9, 1e-4, 0.013, 0.25, 0.5, 0.77, 0.95, 0.9999, 1.0 - 1e-9] {
            let x = law.quantile(u).unwrap();
            assert!(low <= x && x <= high, "{name}: {x} at {u}");
            assert!(
                law.cdf(x) >= u - 1e-11,
                "{name}: {} at {x} does not reach {u}",
                law.cdf(x)
            );
            // Anything visibly below doesn't reach it.
            let less = before(x - x.abs() * 1e-9);
            assert!(
                law.cdf(less) <= u + 1e-11,
                "{name}: {} at {less} already reaches {u}",
                law.cdf(less)
            );
        }
        assert!([-0.1, 1.1, f64::NAN].iter().all(|u| law.quantile(*u).is_none()));
    }
}

#[test]
fn moments_are_the_integrals_of_the_quantile() {
    // Bounded laws only: the midpoint rule is good to about 1e-8 where the quantile is smooth.
    for name in [
        "truncated, tail",
        "truncated, left tail",
        "truncated gamma",
        "truncated gamma, tail",
        "beta",
        "uniform",
    ] {
        let law = gallery().into_iter().find(|(other, _)| *other == name).unwrap().1;
        let n = 20_000;
        let at = |i: usize| law.quantile((i as f64 + 0.5) / n as f64).unwrap();
        let mean = (0..n).map(at).sum::<f64>() / n as f64;
        let variance = (0..n).map(|i| (at(i) - mean) * (at(i) - mean)).sum::<f64>() / n as f64;
        assert!(
            (mean / law.mean() - 1.0).abs() < 1e-6,
            "{name}: {mean} against {}",
            law.mean()
        );
        assert!(
            (variance / law.variance() - 1.0).abs() < 1e-4,
            "{name}: {variance} against {}",
            law.variance()
        );
    }
}

#[test]
fn known_moments() {
    assert_eq!(Law::Pareto { scale: 2.0, shape: 1.0 }.mean(), f64::INFINITY);
    assert_eq!(Law::Pareto { scale: 2.0, shape: 1.5 }.mean(), 6.0);
    assert_eq!(Law::Pareto { scale: 2.0, shape: 2.0 }.variance(), f64::INFINITY);
    let law = Law::log_normal_from_mean(50.0, 25.0);
    assert!((law.mean() - 50.0).abs() < 1e-12 && (law.variance() - 625.0).abs() < 1e-9);
    let law = Law::log_normal_from_quantiles(0.5, 100.0, 0.99, 900.0).unwrap();
    assert!((law.cdf(100.0) - 0.5).abs() < 1e-14 && (law.cdf(900.0) - 0.99).abs() < 1e-14);
    // A half-normal has mean √(2/π) and variance 1 - 2/π.
    let half = Law::Normal { mean: 0.0, sd: 3.0 }.absolute();
    assert!((half.mean() - 3.0 * sqrt(2.0 / std::f64::consts::PI)).abs() < 1e-14);
    assert!((half.variance() - 9.0 * (1.0 - 2.0 / std::f64::consts::PI)).abs() < 1e-13);
    // A narrow law far from zero keeps the digits of its variance; conditioned on its upper half it is a half-normal.
    let far = Law::Normal { mean: 1e12, sd: 1.0 }.truncated(1e12, f64::INFINITY);
    assert!(
        (far.variance() - (1.0 - 2.0 / std::f64::consts::PI)).abs() < 1e-4,
        "{}",
        far.variance()
    );
    // An exponential has no memory.
    let late = Law::Exponential { mean: 3.0 }.truncated(20.0, f64::INFINITY);
    assert!((late.mean() - 23.0).abs() < 1e-10 && (late.variance() - 9.0).abs() < 1e-8);
    assert_eq!(column().mean(), 75.25 / 7.0);
    // What is infinite stays so when a part is cut off.
    let cut = |shape| Law::Pareto { scale: 2.0, shape }.truncated(5.0, f64::INFINITY);
    assert!((cut(1.5).mean() - 15.0).abs() < 1e-13);
    assert_eq!(
        (cut(1.5).variance(), cut(2.0).variance()),
        (f64::INFINITY, f64::INFINITY)
    );
    for shape in [0.9, 1.0] {
        for law in [
            cut(shape),
            cut(shape).absolute(),
            cut(shape).shifted(-3.0),
            Law::Mixture(vec![(1.0, cut(shape))]),
        ] {
            assert_eq!((law.mean(), law.variance()), (f64::INFINITY, f64::INFINITY), "{law:?}");
        }
    }
}
