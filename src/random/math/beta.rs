//! The incomplete beta function, and Student's t distribution, which it gives.

use super::gamma::{TERMS, binomial_density};
use super::{least, tan};
use std::f64::consts::PI;

/// The regularised incomplete beta functions (I_x(a, b), I_y(b, a)) with y = 1 - x, for a, b > 0: the two tails of a beta
/// law. Both `x` and `y` are given, so that neither end loses its digits.
///
/// By the continued fraction of Didonato and Morris (ACM TOMS 18, 1992, algorithm 708, equation 9), which is the even part
/// of DLMF 8.17.22, on the side of the mean where it converges fast. Its first term takes the distance from the mean, so that
/// nothing cancels even where a shape is huge.
pub fn incomplete_beta(a: f64, b: f64, x: f64, y: f64) -> (f64, f64) {
    if a.is_nan() || b.is_nan() || x.is_nan() || y.is_nan() || a <= 0.0 || b <= 0.0 {
        return (f64::NAN, f64::NAN);
    }
    if x <= 0.0 {
        return (0.0, 1.0);
    }
    if y <= 0.0 {
        return (1.0, 0.0);
    }
    // x^a y^b / B(a, b)
    let front = binomial_density(a, b, x, y) * (a * b / (a + b));
    // a - (a + b) x = (a + b) y - b, from the smaller of x and y.
    let distance = if x < y { a - (a + b) * x } else { (a + b) * y - b };
    if distance >= 0.0 {
        let below = (front * fraction(a, b, x, y, distance)).clamp(0.0, 1.0);
        (below, 1.0 - below)
    } else {
        let above = (front * fraction(b, a, y, x, -distance)).clamp(0.0, 1.0);
        (1.0 - above, above)
    }
}

/// The continued fraction of the incomplete beta function, by the modified Lentz method; `distance` is a - (a + b) x.
fn fraction(a: f64, b: f64, x: f64, y: f64, distance: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let keep = |v: f64| if v.abs() < TINY { TINY } else { v };
    let beta = |n: f64| {
        let first = if n == 0.0 {
            0.0
        } else {
            n + n * (b - n) * x / (a + 2.0 * n - 1.0)
        };
        first + (a + n) / (a + 2.0 * n + 1.0) * (distance + 1.0 + n * (1.0 + y))
    };
    let mut c = keep(beta(0.0));
    let mut d = 0.0;
    let mut h = c;
    for n in 1..TERMS {
        let n = n as f64;
        let place = a + 2.0 * n - 1.0;
        let alpha = (a + n - 1.0) / place * ((a + b + n - 1.0) / place) * n * (b - n) * x * x;
        let next = beta(n);
        d = 1.0 / keep(next + alpha * d);
        c = keep(next + alpha / c);
        h *= c * d;
        if (c * d - 1.0).abs() < 2e-16 {
            break;
        }
    }
    1.0 / h
}

/// P(T > t) for t >= 0, and P(0 < T <= t): the tail and the inner half of Student's t, each with its own digits.
fn student_halves(t: f64, df: f64) -> (f64, f64) {
    // x = df / (df + t²) and y = t² / (df + t²), through t²/df, which may overflow to a harmless infinity.
    let ratio = t / df.sqrt() * (t / df.sqrt());
    let (x, y) = (
        1.0 / (1.0 + ratio),
        if ratio.is_infinite() {
            1.0
        } else {
            ratio / (1.0 + ratio)
        },
    );
    let (outer, inner) = incomplete_beta(0.5 * df, 0.5, x, y);
    (0.5 * outer, 0.5 * inner)
}

/// P(T <= t) for Student's t with `df` degrees of freedom (any real number above zero).
pub fn student_t_cdf(t: f64, df: f64) -> f64 {
    if t.is_nan() || df.is_nan() || df <= 0.0 {
        return f64::NAN;
    }
    let (tail, inner) = student_halves(t.abs(), df);
    match t < 0.0 {
        true => tail,
        false if tail < 0.25 => 1.0 - tail,
        false => 0.5 + inner,
    }
}

/// The t with P(T <= t) = p for Student's t with `df` degrees of freedom (any real number above zero): -∞ at 0, ∞ at 1,
/// NaN outside. Accurate to about 14 digits.
///
/// In closed form for 1 and 2 degrees of freedom; otherwise the distribution function is inverted by halving the floats,
/// which costs 64 evaluations whatever the arguments and has no starting point to get wrong.
pub fn student_t_quantile(p: f64, df: f64) -> f64 {
    if p.is_nan() || df.is_nan() || df <= 0.0 || !(0.0..=1.0).contains(&p) {
        return f64::NAN;
    }
    if p == 0.5 {
        return 0.0;
    }
    let tail = p.min(1.0 - p);
    let sign = if p < 0.5 { -1.0 } else { 1.0 };
    if tail == 0.0 {
        return sign * f64::INFINITY;
    }
    // The difference is exact where it is used: 1/4 <= tail <= 1/2 (Sterbenz).
    let inner = 0.5 - tail;
    let t = if df == 1.0 {
        if tail < 0.25 {
            1.0 / tan(PI * tail)
        } else {
            tan(PI * inner)
        }
    } else if df == 2.0 {
        2.0 * inner / (2.0 * tail * (1.0 - tail)).sqrt()
    } else if tail < 0.25 {
        least(0.0, f64::MAX, |t| student_halves(t, df).0 <= tail)
    } else {
        least(0.0, f64::MAX, |t| student_halves(t, df).1 >= inner)
    };
    sign * t
}
