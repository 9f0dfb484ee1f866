//! Tests of the laws as a whole: golden vectors, fit to the distributions, properties; and of the addressed generator that
//! they draw from.

mod fit;
mod golden;
mod properties;
mod quality;
mod refusals;
mod tables;

use super::{Column, Law};
use crate::kernel::{Key, Purpose, Stream};
use std::sync::Arc;

const TEST: Purpose = Purpose(999);

/// The stream of draw `number` of the tests' own key.
fn stream(number: u64) -> Stream {
    Key::root(2026, 3).child("random").stream(TEST, number)
}

/// A small measured column, out of order, with a value twice.
fn column() -> Arc<Column> {
    Arc::new(Column::new("rtt", vec![12.5, 3.0, 7.25, 3.0, 40.0, 8.0, 1.5]).unwrap())
}

/// At least one of every law, with the corner cases of its sampler.
fn gallery() -> Vec<(&'static str, Law)> {
    let normal = |mean, sd| Law::Normal { mean, sd };
    vec![
        ("constant", Law::Constant(2.5)),
        ("uniform", Law::Uniform { low: -3.0, high: 5.0 }),
        ("exponential", Law::Exponential { mean: 80.0 }),
        ("normal", normal(10.0, 2.0)),
        ("absolute normal", normal(10.0, 2.0).absolute()),
        ("folded normal", normal(-0.5, 2.0).absolute()),
        (
            "log-normal",
            Law::LogNormal {
                median: 175.0,
                sigma: 0.25,
            },
        ),
        ("log-normal from mean", Law::log_normal_from_mean(50.0, 25.0)),
        ("pareto", Law::Pareto { scale: 2.0, shape: 5.5 }),
        ("weibull", Law::Weibull { scale: 3.0, shape: 0.8 }),
        ("weibull steep", Law::Weibull { scale: 3.0, shape: 4.0 }),
        ("gamma", Law::Gamma { shape: 2.5, scale: 4.0 }),
        ("gamma small", Law::Gamma { shape: 0.3, scale: 4.0 }),
        ("beta", Law::beta(2.0, 5.0)),
        (
            "beta small",
            Law::Beta {
                a: 0.4,
                b: 0.7,
                low: 0.0,
                high: 3.0,
            },
        ),
        ("poisson small", Law::Poisson { mean: 3.2 }),
        ("poisson", Law::Poisson { mean: 10.0 }),
        ("poisson large", Law::Poisson { mean: 1234.5 }),
        ("zipf", Law::zipf(100, 1.1)),
        ("zipf harmonic", Law::zipf(1000, 1.0)),
        ("zipf flat", Law::zipf(20, 0.0)),
        ("zipf steep", Law::zipf(1 << 50, 3.5)),
        ("bernoulli", Law::Bernoulli { p: 0.3 }),
        (
            "mixture",
            Law::Mixture(vec![
                (3.0, normal(0.0, 1.0)),
                (0.0, Law::Constant(99.0)),
                (1.0, normal(8.0, 0.5)),
            ]),
        ),
        ("shifted", Law::Exponential { mean: 2.0 }.shifted(30.0)),
        (
            "scaled",
            Law::Scaled {
                by: 1.5,
                law: Box::new(Law::Poisson { mean: 4.0 }),
            },
        ),
        ("truncated, most", normal(10.0, 2.0).truncated(7.0, f64::INFINITY)),
        ("truncated, tail", normal(10.0, 2.0).truncated(16.0, 17.0)),
        (
            "truncated, left tail",
            Law::LogNormal {
                median: 175.0,
                sigma: 0.25,
            }
            .truncated(0.0, 100.0),
        ),
        (
            "truncated exponential",
            Law::Exponential { mean: 3.0 }.truncated(20.0, f64::INFINITY),
        ),
        (
            "truncated gamma",
            Law::Gamma { shape: 2.5, scale: 4.0 }.truncated(3.0, 30.0),
        ),
        (
            "truncated gamma, tail",
            Law::Gamma { shape: 2.5, scale: 4.0 }.truncated(60.0, 90.0),
        ),
        ("truncated poisson", Law::Poisson { mean: 6.0 }.truncated(2.0, 9.5)),
        (
            "truncated mixture",
            Law::Mixture(vec![(1.0, normal(0.0, 1.0)), (1.0, normal(9.0, 1.0))]).truncated(1.0, 8.5),
        ),
        ("empirical", Law::Empirical(column())),
        ("replay", Law::Replay(column())),
    ]
}

/// Whether the law has steps.
fn discrete(name: &str) -> bool {
    [
        "constant",
        "poisson",
        "zipf",
        "bernoulli",
        "scaled",
        "empirical",
        "replay",
    ]
    .iter()
    .any(|part| name.contains(part))
}
