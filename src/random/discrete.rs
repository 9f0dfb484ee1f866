//! Samplers of the Poisson and the Zipf distribution.

use super::math::{exp, exp_m1, harmonic, ln, ln_1p, ln_poisson_density};
use crate::kernel::Stream;

/// A Poisson number of the given mean (0 gives 0), as a float without a fraction.
///
/// Below a mean of 10 by inversion; from there on by PTRS: Hörmann, "The transformed rejection method for generating
/// Poisson random variables", Insurance: Mathematics and Economics 12 (1993). The density is Loader's, so the sampler
/// stays exact for large means.
pub fn poisson(stream: &mut Stream, mean: f64) -> f64 {
    if mean < 10.0 {
        let mut rest = stream.unit();
        let mut probability = exp(-mean);
        let mut k = 0.0;
        // Past 200 the probabilities of any mean below 10 are far below the resolution of `rest`.
        while rest >= probability && k < 200.0 {
            rest -= probability;
            k += 1.0;
            probability *= mean / k;
        }
        return k;
    }
    let b = 0.931 + 2.53 * mean.sqrt();
    let a = -0.059 + 0.024_83 * b;
    let quick = 0.9277 - 3.6224 / (b - 2.0);
    loop {
        let u = stream.unit() - 0.5;
        let v = stream.open_unit();
        let us = 0.5 - u.abs();
        let k = ((2.0 * a / us + b) * u + mean + 0.43).floor();
        if us >= 0.07 && v <= quick {
            return k;
        }
        if k < 0.0 || (us < 0.013 && v > us) {
            continue;
        }
        let inverse_alpha = 1.1239 + 1.1328 / (b - 3.4);
        if ln(v * inverse_alpha / (a / (us * us) + b)) <= ln_poisson_density(k, mean) {
            return k;
        }
    }
}

/// Zipf's law on the ranks 1 to n: rank k has a probability proportional to k^-exponent.
///
/// Sampled by rejection-inversion (Hörmann and Derflinger, "Rejection-inversion to generate variates from monotone discrete
/// distributions", ACM TOMACS 6(3), 1996), in constant time for any n; the constants of a law are computed once, here.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Zipf {
    n: u64,
    exponent: f64,
    /// The integral of the hat at 3/2, less the first rank's probability.
    from: f64,
    /// The integral of the hat at n + 1/2.
    to: f64,
    /// How far above a rank the hat may lie for the rank to be accepted at once.
    near: f64,
    /// The sum of k^-exponent over all ranks.
    total: f64,
}

impl Zipf {
    /// The law on the ranks 1 to `n` (at least 1, at most 2^53), with an exponent of at least 0 (0: all ranks alike).
    ///
    /// Accepts anything; what is out of range is reported by [`Law::validate`](super::Law::validate).
    pub fn new(n: u64, exponent: f64) -> Self {
        Self {
            n,
            exponent,
            from: hat_integral(1.5, exponent) - 1.0,
            to: hat_integral(n as f64 + 0.5, exponent),
            near: 2.0 - hat_inverse(hat_integral(2.5, exponent) - hat(2.0, exponent), exponent),
            total: harmonic(n as f64, exponent),
        }
    }

    /// The number of ranks.
    pub fn n(&self) -> u64 {
        self.n
    }

    /// The exponent.
    pub fn exponent(&self) -> f64 {
        self.exponent
    }

    /// A rank in 1..=n, as a float.
    pub fn sample(&self, stream: &mut Stream) -> f64 {
        loop {
            let u = self.to + stream.open_unit() * (self.from - self.to);
            let x = hat_inverse(u, self.exponent);
            let k = (x + 0.5).floor().min(self.n as f64).max(1.0);
            if k - x <= self.near || u >= hat_integral(k + 0.5, self.exponent) - hat(k, self.exponent) {
                return k;
            }
        }
    }

    /// The sum of k^power times the probability of k, over the ranks up to `last`.
    pub(super) fn partial(&self, last: f64, power: f64) -> f64 {
        harmonic(last.floor().min(self.n as f64).max(0.0), self.exponent - power) / self.total
    }
}

/// The hat x^-s.
fn hat(x: f64, s: f64) -> f64 {
    exp(-s * ln(x))
}

/// The integral of the hat from 1 to x: (x^(1-s) - 1) / (1 - s), and ln x at s = 1.
fn hat_integral(x: f64, s: f64) -> f64 {
    let log = ln(x);
    let t = (1.0 - s) * log;
    if t.abs() > 1e-8 {
        exp_m1(t) / t * log
    } else {
        (1.0 + t / 2.0) * log
    }
}

/// The x at which the integral of the hat is `y`.
fn hat_inverse(y: f64, s: f64) -> f64 {
    let t = (y * (1.0 - s)).max(-1.0);
    exp(if t.abs() > 1e-8 {
        ln_1p(t) / t * y
    } else {
        (1.0 - t / 2.0) * y
    })
}
