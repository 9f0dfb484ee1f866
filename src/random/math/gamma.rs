//! The incomplete gamma function, Poisson and binomial densities in Loader's form, and generalised harmonic numbers.
//!
//! The densities follow Loader, "Fast and accurate computation of binomial probabilities" (2000): they lose no digits to
//! differences of large log-gammas, so everything built on them stays accurate for large parameters.

use super::{exp, exp_m1, ln, ln_gamma, pow};
use std::f64::consts::PI;

/// ln √(2π).
const LN_SQRT_2PI: f64 = 0.918_938_533_204_672_8;

/// The most terms that a series or continued fraction may take. They need about 10·√a of them, so this is reached by
/// nothing that a law accepts; it bounds the time of what it doesn't.
pub(super) const TERMS: usize = 2_000_000;

/// The error of Stirling's formula, ln Γ(z + 1) - ln(√(2πz) (z/e)^z), for z > 0.
fn stirling_error(z: f64) -> f64 {
    if z <= 16.0 {
        return ln_gamma(z + 1.0) - (z + 0.5) * ln(z) + z - LN_SQRT_2PI;
    }
    let w = 1.0 / (z * z);
    (1.0 / 12.0 - w * (1.0 / 360.0 - w * (1.0 / 1260.0 - w * (1.0 / 1680.0 - w / 1188.0)))) / z
}

/// The deviance x ln(x/m) + m - x, for x > 0 and m > 0, without cancellation where x is near m.
fn deviance(x: f64, m: f64) -> f64 {
    deviance_by(x, m, x - m)
}

/// The deviance, with the difference x - m given by someone who knows more digits of it.
fn deviance_by(x: f64, m: f64, difference: f64) -> f64 {
    if difference.abs() >= 0.1 * (x + m) {
        return x * ln(x / m) - difference;
    }
    let v = difference / (x + m);
    let mut sum = difference * v;
    let mut term = 2.0 * x * v;
    let mut odd = 1.0;
    loop {
        term *= v * v;
        odd += 2.0;
        let next = sum + term / odd;
        if next == sum {
            return sum;
        }
        sum = next;
    }
}

/// The logarithm of m^x e^-m / Γ(x + 1): the Poisson probability of `x` at mean `m`, for real x >= 0 and m > 0.
pub fn ln_poisson_density(x: f64, m: f64) -> f64 {
    if x == 0.0 {
        return -m;
    }
    -stirling_error(x) - deviance(x, m) - 0.5 * ln(2.0 * PI * x)
}

/// m^x e^-m / Γ(x + 1), for real x >= 0 and m > 0.
pub(crate) fn poisson_density(x: f64, m: f64) -> f64 {
    if x == 0.0 {
        return exp(-m);
    }
    exp(-stirling_error(x) - deviance(x, m)) / (2.0 * PI * x).sqrt()
}

/// Γ(a + b + 1) / (Γ(a + 1) Γ(b + 1)) x^a y^b with y = 1 - x, for real a, b > 0 and 0 < x < 1.
pub(crate) fn binomial_density(a: f64, b: f64, x: f64, y: f64) -> f64 {
    let n = a + b;
    let errors = stirling_error(n) - stirling_error(a) - stirling_error(b);
    // a - nx = ny - b, from the smaller of x and y: the other was rounded where it hurts.
    let difference = if x < y { a - n * x } else { n * y - b };
    exp(errors - deviance_by(a, n * x, difference) - deviance_by(b, n * y, -difference))
        * (n / a / b / (2.0 * PI)).sqrt()
}

/// The regularised incomplete gamma functions (P(a, x), Q(a, x)), for a > 0: the two tails of a gamma law of shape `a`.
///
/// By the series (DLMF 8.11.4) below a + 1, and by the continued fraction (DLMF 8.9.2, modified Lentz) above it: the
/// smaller tail is the one computed where it matters, and the other is its complement.
pub fn incomplete_gamma(a: f64, x: f64) -> (f64, f64) {
    if a.is_nan() || x.is_nan() || a <= 0.0 {
        return (f64::NAN, f64::NAN);
    }
    if x <= 0.0 {
        return (0.0, 1.0);
    }
    if a == f64::INFINITY {
        return (0.0, 1.0);
    }
    if x == f64::INFINITY {
        return (1.0, 0.0);
    }
    let density = poisson_density(a, x);
    if density == 0.0 {
        return if x < a { (0.0, 1.0) } else { (1.0, 0.0) };
    }
    if x < a + 1.0 {
        let (mut term, mut sum) = (1.0, 1.0);
        for n in 1..TERMS {
            term *= x / (a + n as f64);
            sum += term;
            if term < sum * 1e-17 {
                break;
            }
        }
        let below = (density * sum).min(1.0);
        return (below, 1.0 - below);
    }
    const TINY: f64 = 1e-300;
    let mut b = x + 1.0 - a;
    let mut c = 1.0 / TINY;
    let mut d = 1.0 / if b == 0.0 { TINY } else { b };
    let mut h = d;
    for n in 1..TERMS {
        let n = n as f64;
        let factor = -n * (n - a);
        b += 2.0;
        d = factor * d + b;
        c = b + factor / c;
        d = 1.0 / if d.abs() < TINY { TINY } else { d };
        c = if c.abs() < TINY { TINY } else { c };
        h *= d * c;
        if (d * c - 1.0).abs() < 2e-16 {
            break;
        }
    }
    let above = (density * a * h).clamp(0.0, 1.0);
    (1.0 - above, above)
}

/// The generalised harmonic number: the sum of i^-s for i in 1..=n, for any real `s`, to about 14 digits.
///
/// Direct up to 64 terms; beyond, by the Euler-Maclaurin formula from the 32nd on (DLMF 2.10.1), so that its cost doesn't
/// grow with n.
pub fn harmonic(n: f64, s: f64) -> f64 {
    const FROM: f64 = 32.0;
    let direct = |last: usize| (1..=last).rev().fold(0.0, |sum, i| sum + pow(i as f64, -s));
    if n <= 64.0 {
        return direct(n.max(0.0) as usize);
    }
    // The integral of x^-s from FROM to n; the form with expm1 holds through s = 1.
    let span = ln(n / FROM);
    let t = (1.0 - s) * span;
    let integral = pow(FROM, 1.0 - s) * span * if t == 0.0 { 1.0 } else { exp_m1(t) / t };
    let corrections = |x: f64| {
        let w = 1.0 / (x * x);
        let first = s / x;
        let third = first * (s + 1.0) * (s + 2.0) * w;
        let fifth = third * (s + 3.0) * (s + 4.0) * w;
        let seventh = fifth * (s + 5.0) * (s + 6.0) * w;
        let ninth = seventh * (s + 7.0) * (s + 8.0) * w;
        pow(x, -s) * (first / 12.0 - third / 720.0 + fifth / 30_240.0 - seventh / 1_209_600.0 + ninth / 47_900_160.0)
    };
    let ends = 0.5 * (pow(FROM, -s) + pow(n, -s));
    direct(FROM as usize - 1) + (integral + ends + corrections(FROM) - corrections(n))
}
