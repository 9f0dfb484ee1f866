//! Every parameter that makes no law is refused, in words that name it.

use super::*;
use crate::kernel::SimDuration;
use crate::random::LawError;

const BAD: [f64; 3] = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY];

#[test]
fn numbers_that_are_not_finite_are_refused_everywhere() {
    type Maker = fn(f64) -> Law;
    let makers: Vec<(&str, Maker)> = vec![
        ("Constant: value", Law::Constant),
        ("Uniform: low", |v| Law::Uniform { low: v, high: 1.0 }),
        ("Uniform: high", |v| Law::Uniform { low: 0.0, high: v }),
        ("Exponential: mean", |v| Law::Exponential { mean: v }),
        ("Normal: mean", |v| Law::Normal { mean: v, sd: 1.0 }),
        ("Normal: sd", |v| Law::Normal { mean: 1.0, sd: v }),
        ("LogNormal: median", |v| Law::LogNormal { median: v, sigma: 1.0 }),
        ("LogNormal: sigma", |v| Law::LogNormal { median: 1.0, sigma: v }),
        ("Pareto: scale", |v| Law::Pareto { scale: v, shape: 1.0 }),
        ("Pareto: shape", |v| Law::Pareto { scale: 1.0, shape: v }),
        ("Weibull: scale", |v| Law::Weibull { scale: v, shape: 1.0 }),
        ("Weibull: shape", |v| Law::Weibull { scale: 1.0, shape: v }),
        ("Gamma: shape", |v| Law::Gamma { shape: v, scale: 1.0 }),
        ("Gamma: scale", |v| Law::Gamma { shape: 1.0, scale: v }),
        ("Beta: a", |v| Law::beta(v, 1.0)),
        ("Beta: b", |v| Law::beta(1.0, v)),
        ("Beta: low", |v| Law::Beta {
            a: 1.0,
            b: 1.0,
            low: v,
            high: 1.0,
        }),
        ("Beta: high", |v| Law::Beta {
            a: 1.0,
            b: 1.0,
            low: 0.0,
            high: v,
        }),
        ("Poisson: mean", |v| Law::Poisson { mean: v }),
        ("Zipf: exponent", |v| Law::zipf(9, v)),
        ("Bernoulli: p", |v| Law::Bernoulli { p: v }),
        ("Mixture: weight", |v| Law::Mixture(vec![(v, Law::Constant(1.0))])),
        ("Constant: value", |v| Law::Mixture(vec![(1.0, Law::Constant(v))])),
        ("Shifted: by", |v| Law::Constant(1.0).shifted(v)),
        ("Constant: value", |v| Law::Constant(v).shifted(1.0)),
        ("Scaled: by", |v| Law::Scaled {
            by: v,
            law: Box::new(Law::Poisson { mean: 1.0 }),
        }),
        ("Constant: value", |v| Law::Constant(v).absolute()),
        ("Exponential: mean", |v| {
            Law::Exponential { mean: v }.truncated(0.0, 1.0)
        }),
    ];
    for (place, make) in makers {
        for value in BAD {
            let message = make(value).validate().expect_err(place).to_string();
            assert_eq!(message, format!("{place} must be a finite number, not {value}"));
        }
    }
    let ends: [Maker; 2] = [
        |v| Law::Exponential { mean: 1.0 }.truncated(v, 9.0),
        |v| Law::Exponential { mean: 1.0 }.truncated(0.0, v),
    ];
    assert!(ends.iter().all(|make| make(f64::NAN).validate().is_err()));
}

#[test]
fn numbers_out_of_range_are_refused() {
    let refused = [
        (
            Law::Uniform { low: 2.0, high: 1.0 },
            "Uniform: low (2) must not exceed high (1)",
        ),
        (
            Law::Uniform {
                low: -1e308,
                high: 1e308,
            },
            "Uniform: its values would exceed the largest number; use a smaller spread or a larger shape",
        ),
        (
            Law::Exponential { mean: -1.0 },
            "Exponential: mean must not be negative, but is -1",
        ),
        (
            Law::Normal { mean: -1.0, sd: -0.5 },
            "Normal: sd must not be negative, but is -0.5",
        ),
        (
            Law::LogNormal {
                median: 0.0,
                sigma: 1.0,
            },
            "LogNormal: median must be above 0, not 0",
        ),
        (
            Law::LogNormal {
                median: 1.0,
                sigma: -1.0,
            },
            "LogNormal: sigma must lie between 0 and 15, not at -1",
        ),
        (
            Law::LogNormal {
                median: 1.0,
                sigma: 60.0,
            },
            "LogNormal: sigma must lie between 0 and 15, not at 60",
        ),
        (
            Law::Pareto { scale: 0.0, shape: 1.0 },
            "Pareto: scale must be above 0, not 0",
        ),
        (
            Law::Pareto {
                scale: 1.0,
                shape: -2.0,
            },
            "Pareto: shape must be above 0, not -2",
        ),
        (
            Law::Pareto {
                scale: 1.0,
                shape: 0.01,
            },
            "Pareto: its values would exceed the largest number; use a smaller spread or a larger shape",
        ),
        (
            Law::Weibull { scale: 1.0, shape: 0.0 },
            "Weibull: shape must lie between 0.02 and 1000000000, not at 0",
        ),
        (
            Law::Gamma { shape: 0.0, scale: 1.0 },
            "Gamma: shape must be above 0, not 0",
        ),
        (
            Law::Gamma {
                shape: 1e-9,
                scale: 1.0,
            },
            "Gamma: shape must lie between 0.000001 and 1000000000, not at 0.000000001",
        ),
        (
            Law::Gamma {
                shape: 1.0,
                scale: -1.0,
            },
            "Gamma: scale must be above 0, not -1",
        ),
        (Law::beta(0.0, 1.0), "Beta: a must be above 0, not 0"),
        (Law::beta(1.0, -1.0), "Beta: b must be above 0, not -1"),
        (
            Law::Beta {
                a: 1.0,
                b: 1.0,
                low: 3.0,
                high: 2.0,
            },
            "Beta: low (3) must not exceed high (2)",
        ),
        (
            Law::Poisson { mean: -0.1 },
            "Poisson: mean must not be negative, but is -0.1",
        ),
        (
            Law::Poisson { mean: 1e10 },
            "Poisson: mean must lie between 0 and 1000000000, not at 10000000000",
        ),
        (
            Law::zipf(0, 1.0),
            "Zipf: n must lie between 1 and 9007199254740992, not at 0",
        ),
        (Law::zipf(5, -1.0), "Zipf: exponent must not be negative, but is -1"),
        (
            Law::Bernoulli { p: 1.01 },
            "Bernoulli: p is a probability and must lie between 0 and 1, not at 1.01",
        ),
        (
            Law::Bernoulli { p: -0.01 },
            "Bernoulli: p is a probability and must lie between 0 and 1, not at -0.01",
        ),
        (
            Law::Mixture(vec![]),
            "Mixture: needs at least one law of a weight above 0",
        ),
        (
            Law::Mixture(vec![(0.0, Law::Constant(1.0))]),
            "Mixture: needs at least one law of a weight above 0",
        ),
        (
            Law::Mixture(vec![(-1.0, Law::Constant(1.0))]),
            "Mixture: weight must not be negative, but is -1",
        ),
        (
            Law::Scaled {
                by: -1.0,
                law: Box::new(Law::Constant(1.0)),
            },
            "Scaled: by must not be negative, but is -1",
        ),
        (
            Law::Constant(1e308).shifted(1e308),
            "Shifted: its values would exceed the largest number; use a smaller spread or a larger shape",
        ),
        (
            Law::Exponential { mean: 1.0 }.truncated(3.0, 2.0),
            "Truncated: low (3) must not exceed high (2)",
        ),
        (
            Law::Exponential { mean: 1.0 }.truncated(-3.0, -2.0),
            "Truncated: the law gives the interval from -3 to -2 a probability of only 0e0; it needs 1e-6",
        ),
        (
            Law::Replay(column()).shifted(1.0).truncated(0.0, 9.0),
            "Truncated: a replayed table can't be truncated, since its rows come in order; filter the table",
        ),
    ];
    for (law, message) in refused {
        assert_eq!(law.validate().expect_err(message).to_string(), message);
    }
    assert!(matches!(
        Law::Normal { mean: 0.0, sd: 1.0 }.truncated(9.0, 10.0).validate(),
        Err(LawError::NoMass { mass, .. }) if mass > 0.0
    ));
}

#[test]
fn a_log_normal_needs_quantiles_that_rise() {
    for (p1, x1, p2, x2) in [
        (0.9, 1.0, 0.5, 2.0),
        (0.5, 1.0, 0.5, 2.0),
        (0.0, 1.0, 0.5, 2.0),
        (0.5, 1.0, 1.0, 2.0),
        (0.5, 3.0, 0.9, 2.0),
        (0.5, 0.0, 0.9, 2.0),
        (0.5, 1.0, 0.9, f64::INFINITY),
        (f64::NAN, 1.0, 0.9, 2.0),
    ] {
        assert!(
            Law::log_normal_from_quantiles(p1, x1, p2, x2).is_err(),
            "{p1} {x1} {p2} {x2}"
        );
    }
    assert!(
        Law::log_normal_from_quantiles(0.5, 3.0, 0.9, 3.0)
            .unwrap()
            .validate()
            .is_ok()
    );
}

#[test]
fn invalid_laws_neither_hang_nor_panic_when_asked_anyway() {
    let odd = [
        Law::Mixture(vec![]),
        Law::Mixture(vec![(f64::NAN, Law::Constant(1.0))]),
        Law::Exponential { mean: f64::NAN }.truncated(0.0, 1.0),
        Law::Exponential { mean: 1.0 }.truncated(3.0, 2.0).scaled(2.0),
        Law::Replay(column()).truncated(3.0, 8.0),
        Law::Uniform {
            low: 1.0,
            high: f64::NAN,
        },
    ];
    for law in odd {
        assert!(law.validate().is_err(), "{law:?}");
        law.sample(&mut stream(0), 0);
    }
}

#[test]
fn degenerate_laws_are_constants() {
    for law in [
        Law::Exponential { mean: 0.0 }.shifted(4.0),
        Law::Normal { mean: 4.0, sd: 0.0 },
        Law::LogNormal {
            median: 4.0,
            sigma: 0.0,
        },
        Law::Uniform { low: 4.0, high: 4.0 },
        Law::Beta {
            a: 2.0,
            b: 2.0,
            low: 4.0,
            high: 4.0,
        },
        Law::Poisson { mean: 0.0 }.shifted(4.0),
        Law::Poisson { mean: 3.0 }.scaled(0.0).shifted(4.0),
        Law::Scaled {
            by: 0.0,
            law: Box::new(Law::Pareto { scale: 1.0, shape: 0.9 }),
        }
        .shifted(4.0),
        Law::zipf(1, 2.0).shifted(3.0),
        Law::Uniform { low: 0.0, high: 9.0 }
            .scaled(0.0)
            .shifted(4.0)
            .truncated(4.0, 4.0),
    ] {
        assert_eq!(law.validate(), Ok(()), "{law:?}");
        assert_eq!((law.mean(), law.variance()), (4.0, 0.0), "{law:?}");
        assert_eq!(
            (law.sample(&mut stream(1), 1), law.quantile(0.3)),
            (4.0, Some(4.0)),
            "{law:?}"
        );
        assert_eq!((law.cdf(3.999), law.cdf(4.0)), (0.0, 1.0), "{law:?}");
        assert_eq!(law.support(), (4.0, 4.0), "{law:?}");
    }
    for (p, value) in [(0.0, 0.0), (1.0, 1.0)] {
        let law = Law::Bernoulli { p };
        assert!((0..1000).all(|n| law.sample(&mut stream(n), n) == value));
        assert_eq!((law.quantile(0.0), law.quantile(1.0)), (Some(value), Some(value)));
    }
}

#[test]
fn durations_are_rounded_and_never_negative() {
    let at = |value: f64| Law::Constant(value).sample_duration(&mut stream(0), 0);
    assert_eq!(at(2.4), SimDuration::from_nanos(2));
    assert_eq!(at(2.5), SimDuration::from_nanos(3));
    assert_eq!(at(-7.0), SimDuration::ZERO);
    assert_eq!(at(1e300), SimDuration::MAX);
}
