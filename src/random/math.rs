//! Elementary and special functions: the one place where real-valued functions come from.
//!
//! The elementary ones are those of the pinned `libm` crate (pure Rust, no platform intrinsics), because std's differ
//! between platforms; addition, multiplication, division and `f64::sqrt` are exact in IEEE 754 and need no wrapper. The
//! special ones are our own and say where they come from. Nothing here allocates, panics or fails: arguments outside a
//! domain give NaN, or the limit at the boundary.

mod beta;
mod gamma;
mod normal;
#[cfg(test)]
mod tests;

pub use beta::{incomplete_beta, student_t_cdf, student_t_quantile};
pub use gamma::{harmonic, incomplete_gamma, ln_poisson_density};
pub(crate) use normal::normal_quantile_of;
pub use normal::{normal_cdf, normal_density, normal_quantile, normal_survival};

/// The natural logarithm.
#[inline]
pub fn ln(x: f64) -> f64 {
    libm::log(x)
}

/// The logarithm to base 2.
#[inline]
pub fn log2(x: f64) -> f64 {
    libm::log2(x)
}

/// The logarithm to base 10.
#[inline]
pub fn log10(x: f64) -> f64 {
    libm::log10(x)
}

/// ln(1 + x), accurate near zero.
#[inline]
pub fn ln_1p(x: f64) -> f64 {
    libm::log1p(x)
}

/// e to the power `x`.
#[inline]
pub fn exp(x: f64) -> f64 {
    libm::exp(x)
}

/// 2 to the power `x`.
#[inline]
pub fn exp2(x: f64) -> f64 {
    libm::exp2(x)
}

/// exp(x) - 1, accurate near zero.
#[inline]
pub fn exp_m1(x: f64) -> f64 {
    libm::expm1(x)
}

/// `x` to the power `y`.
#[inline]
pub fn pow(x: f64, y: f64) -> f64 {
    libm::pow(x, y)
}

/// The square root (exact to the last bit on every platform).
#[inline]
pub fn sqrt(x: f64) -> f64 {
    x.sqrt()
}

/// The cube root.
#[inline]
pub fn cbrt(x: f64) -> f64 {
    libm::cbrt(x)
}

/// The length of the hypotenuse, without overflow on the way.
#[inline]
pub fn hypot(x: f64, y: f64) -> f64 {
    libm::hypot(x, y)
}

/// The sine of `x` radians.
#[inline]
pub fn sin(x: f64) -> f64 {
    libm::sin(x)
}

/// The cosine of `x` radians.
#[inline]
pub fn cos(x: f64) -> f64 {
    libm::cos(x)
}

/// The tangent of `x` radians.
#[inline]
pub fn tan(x: f64) -> f64 {
    libm::tan(x)
}

/// The angle of the point (x, y) in radians, in [-π, π].
#[inline]
pub fn atan2(y: f64, x: f64) -> f64 {
    libm::atan2(y, x)
}

/// The hyperbolic tangent.
#[inline]
pub fn tanh(x: f64) -> f64 {
    libm::tanh(x)
}

/// The gamma function.
#[inline]
pub fn gamma(x: f64) -> f64 {
    libm::tgamma(x)
}

/// The logarithm of the absolute value of the gamma function.
#[inline]
pub fn ln_gamma(x: f64) -> f64 {
    libm::lgamma(x)
}

/// The error function.
#[inline]
pub fn erf(x: f64) -> f64 {
    libm::erf(x)
}

/// One less the error function, accurate in the upper tail.
#[inline]
pub fn erfc(x: f64) -> f64 {
    libm::erfc(x)
}

/// The integers that order as the floats do (-0 just below +0): so that a search can halve the floats themselves.
#[inline]
pub(crate) fn to_order(x: f64) -> i64 {
    let bits = x.to_bits() as i64;
    bits ^ ((((bits >> 63) as u64) >> 1) as i64)
}

/// The float at an order; the inverse of [`to_order`].
#[inline]
pub(crate) fn from_order(order: i64) -> f64 {
    f64::from_bits((order ^ ((((order >> 63) as u64) >> 1) as i64)) as u64)
}

/// The greatest float below `x` (and `x` itself for -∞ and NaN); the two zeros count as one.
pub(crate) fn before(x: f64) -> f64 {
    if x.is_nan() || x == f64::NEG_INFINITY {
        return x;
    }
    if x == 0.0 {
        return -f64::from_bits(1);
    }
    from_order(to_order(x) - 1)
}

/// The least float in [low, high] at which `reached` holds, for a predicate that stays true once it is; `high` if it holds
/// nowhere. At most 64 evaluations whatever the range, since it halves the floats and not the interval.
pub(crate) fn least(low: f64, high: f64, mut reached: impl FnMut(f64) -> bool) -> f64 {
    let (mut low, mut high) = (to_order(low), to_order(high));
    while low < high {
        let middle = low + (high.wrapping_sub(low) as u64 / 2) as i64;
        if reached(from_order(middle)) {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    from_order(high)
}
