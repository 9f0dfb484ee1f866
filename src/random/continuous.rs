//! Samplers of the gamma and the beta distribution.

use super::math::{exp, ln, pow};
use super::ziggurat::{standard_exponential, standard_normal};
use crate::kernel::Stream;

/// A gamma number of the given shape (above zero) and scale 1.
///
/// Marsaglia and Tsang, "A simple method for generating gamma variables", ACM TOMS 26(3), 2000; shapes below 1 by their
/// power of a uniform. Never negative; a very small shape may round to zero.
pub fn gamma(stream: &mut Stream, shape: f64) -> f64 {
    if shape < 1.0 {
        // U^(1/shape), with -ln U as an exponential.
        let raised = gamma(stream, shape + 1.0);
        return raised * exp(-standard_exponential(stream) / shape);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        let x = standard_normal(stream);
        let root = 1.0 + c * x;
        if root <= 0.0 {
            continue;
        }
        let v = root * root * root;
        let u = stream.open_unit();
        let square = x * x;
        if u < 1.0 - 0.0331 * square * square || ln(u) < 0.5 * square + d * (1.0 - v + ln(v)) {
            return d * v;
        }
    }
}

/// A beta number of the given shapes (above zero), in [0, 1].
///
/// As X / (X + Y) of two gammas; where a shape is below 1 on their logarithms, because both may be too small to represent.
pub fn beta(stream: &mut Stream, a: f64, b: f64) -> f64 {
    if a >= 1.0 && b >= 1.0 {
        let x = gamma(stream, a);
        let y = gamma(stream, b);
        return x / (x + y);
    }
    let x = ln_gamma_number(stream, a);
    let y = ln_gamma_number(stream, b);
    1.0 / (1.0 + exp(y - x))
}

/// The logarithm of a gamma number.
fn ln_gamma_number(stream: &mut Stream, shape: f64) -> f64 {
    if shape < 1.0 {
        ln(gamma(stream, shape + 1.0)) - standard_exponential(stream) / shape
    } else {
        ln(gamma(stream, shape))
    }
}

/// A Weibull number of the given shape and scale 1.
#[inline]
pub(super) fn weibull(stream: &mut Stream, shape: f64) -> f64 {
    pow(standard_exponential(stream), 1.0 / shape)
}
