//! The standard normal distribution: density, distribution function, survival function, quantile.

#![allow(clippy::excessive_precision)] // The coefficients stand as published.

use super::{erfc, exp, ln};
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// The density of the standard normal at `x`.
pub fn normal_density(x: f64) -> f64 {
    exp(-0.5 * x * x) / (2.0 * PI).sqrt()
}

/// P(Z <= x) for a standard normal Z, with full relative accuracy in the lower tail.
pub fn normal_cdf(x: f64) -> f64 {
    0.5 * erfc(-x * FRAC_1_SQRT_2)
}

/// P(Z > x) for a standard normal Z, with full relative accuracy in the upper tail.
pub fn normal_survival(x: f64) -> f64 {
    0.5 * erfc(x * FRAC_1_SQRT_2)
}

/// The x with P(Z <= x) = p, to about 16 digits: -∞ at 0, ∞ at 1, NaN outside [0, 1].
///
/// Wichura, "Algorithm AS 241: the percentage points of the normal distribution", Applied Statistics 37 (1988), PPND16.
pub fn normal_quantile(p: f64) -> f64 {
    normal_quantile_of(p, 1.0 - p)
}

/// As [`normal_quantile`], from both tails, so that the upper one isn't lost in 1 - p.
pub(crate) fn normal_quantile_of(p: f64, q: f64) -> f64 {
    let tail = p.min(q);
    if tail.is_nan() || tail < 0.0 {
        return f64::NAN;
    }
    if tail == 0.0 {
        return if p < q { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    // p - 1/2, from the tail that has the digits.
    let centred = if p < q { p - 0.5 } else { 0.5 - q };
    if centred.abs() <= 0.425 {
        let r = 0.180625 - centred * centred;
        return centred * polynomial(&A, r) / polynomial(&B, r);
    }
    let r = (-ln(tail)).sqrt();
    let x = if r <= 5.0 {
        polynomial(&C, r - 1.6) / polynomial(&D, r - 1.6)
    } else {
        polynomial(&E, r - 5.0) / polynomial(&F, r - 5.0)
    };
    if p < q { -x } else { x }
}

/// The polynomial with these coefficients, lowest power first, by Horner's rule.
fn polynomial(coefficients: &[f64; 8], x: f64) -> f64 {
    coefficients.iter().rev().fold(0.0, |sum, c| sum * x + c)
}

#[rustfmt::skip]
const A: [f64; 8] = [
    3.3871328727963666080e0, 1.3314166789178437745e2, 1.9715909503065514427e3, 1.3731693765509461125e4,
    4.5921953931549871457e4, 6.7265770927008700853e4, 3.3430575583588128105e4, 2.5090809287301226727e3,
];
#[rustfmt::skip]
const B: [f64; 8] = [
    1.0, 4.2313330701600911252e1, 6.8718700749205790830e2, 5.3941960214247511077e3,
    2.1213794301586595867e4, 3.9307895800092710610e4, 2.8729085735721942674e4, 5.2264952788528545610e3,
];
#[rustfmt::skip]
const C: [f64; 8] = [
    1.42343711074968357734e0, 4.63033784615654529590e0, 5.76949722146069140550e0, 3.64784832476320460504e0,
    1.27045825245236838258e0, 2.41780725177450611770e-1, 2.27238449892691845833e-2, 7.74545014278341407640e-4,
];
#[rustfmt::skip]
const D: [f64; 8] = [
    1.0, 2.05319162663775882187e0, 1.67638483018380384940e0, 6.89767334985100004550e-1,
    1.48103976427480074590e-1, 1.51986665636164571966e-2, 5.47593808499534494600e-4, 1.05075007164441684324e-9,
];
#[rustfmt::skip]
const E: [f64; 8] = [
    6.65790464350110377720e0, 5.46378491116411436990e0, 1.78482653991729133580e0, 2.96560571828504891230e-1,
    2.65321895265761230930e-2, 1.24266094738807843860e-3, 2.71155556874348757815e-5, 2.01033439929228813265e-7,
];
#[rustfmt::skip]
const F: [f64; 8] = [
    1.0, 5.99832206555887937690e-1, 1.36929880922735805310e-1, 1.48753612908506148525e-2,
    7.86869131145613259100e-4, 1.84631831751005468180e-5, 1.42151175831644588870e-7, 2.04426310338993978564e-15,
];
