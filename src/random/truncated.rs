//! A law conditioned on an interval.

use super::law::{Law, Tails, variance_of};
use super::math::before;
use crate::kernel::Stream;

/// The law of X given that low <= X <= high, with what its sampler needs computed once.
///
/// Where the interval holds most of the law, samples outside it are drawn again; where it doesn't, the sample is the
/// law's quantile at a uniform number between the two ends. Neither can loop without end.
#[derive(Debug, Clone, PartialEq)]
pub struct Truncated {
    low: f64,
    high: f64,
    law: Law,
    /// P(X < low) and P(X >= low).
    start: Tails,
    /// P(X <= high) and P(X > high).
    end: Tails,
    /// P(low <= X <= high).
    mass: f64,
    /// Whether samples are drawn again until they fall inside.
    again: bool,
}

/// The smallest part of a law that an interval may hold: a truncation that keeps less than a millionth is a mistake, and
/// its moments would lose their digits.
pub(super) const LEAST_MASS: f64 = 1e-6;

impl Truncated {
    /// `law` conditioned on [low, high]; either end may be infinite.
    ///
    /// Accepts anything; what is out of range is reported by [`Law::validate`].
    pub fn new(low: f64, high: f64, law: Law) -> Self {
        let (start, end) = match law.validate() {
            Ok(()) if low <= high => (law.tails(before(low)), law.tails(high)),
            _ => (Tails::NOTHING, Tails::NOTHING),
        };
        // The difference is taken in the tail that is smaller, hence more exact.
        let mass = if start.below > 0.5 {
            start.above - end.above
        } else {
            end.below - start.below
        };
        let again = mass >= if law.has_fast_quantile() { 0.5 } else { 0.01 };
        Self {
            low,
            high,
            law,
            start,
            end,
            mass,
            again,
        }
    }

    /// The least value that is kept.
    pub fn low(&self) -> f64 {
        self.low
    }

    /// The greatest value that is kept.
    pub fn high(&self) -> f64 {
        self.high
    }

    /// The law that is conditioned.
    pub fn law(&self) -> &Law {
        &self.law
    }

    /// The probability that the law gives to the interval.
    pub fn mass(&self) -> f64 {
        self.mass
    }

    /// A sample inside the interval.
    pub fn sample(&self, stream: &mut Stream) -> f64 {
        if self.again {
            // At least one in a hundred falls inside: four thousand misses are as good as impossible.
            for _ in 0..4096 {
                let x = self.law.sample(stream, 0);
                if self.low <= x && x <= self.high {
                    return x;
                }
            }
        }
        let u = stream.open_unit();
        self.inverse(u, 1.0 - u)
    }

    /// P(X <= x) and P(X > x) under the condition.
    pub(super) fn tails(&self, x: f64) -> Tails {
        if x < self.low {
            return Tails { below: 0.0, above: 1.0 };
        }
        if x >= self.high {
            return Tails { below: 1.0, above: 0.0 };
        }
        let at = self.law.tails(x);
        if self.start.below > 0.5 {
            let above = ((at.above - self.end.above) / self.mass).clamp(0.0, 1.0);
            return Tails {
                below: 1.0 - above,
                above,
            };
        }
        let below = ((at.below - self.start.below) / self.mass).clamp(0.0, 1.0);
        Tails {
            below,
            above: 1.0 - below,
        }
    }

    /// The quantile at lower tail `p` and upper tail `q`.
    pub(super) fn inverse(&self, p: f64, q: f64) -> f64 {
        let (least, greatest) = self.law.support();
        if p <= 0.0 {
            return least.max(self.low);
        }
        if q <= 0.0 {
            return greatest.min(self.high);
        }
        let below = self.start.below + p * self.mass;
        let above = self.end.above + q * self.mass;
        self.law
            .inverse(below.min(1.0), above.min(1.0))
            .max(self.low)
            .min(self.high)
    }

    /// The mean and the variance under the condition.
    pub(super) fn moments(&self) -> (f64, f64) {
        let [_, to_1, to_2] = self.law.partial(self.high);
        let [_, from_1, from_2] = self.law.partial(before(self.low));
        let first = (to_1 - from_1) / self.mass;
        let second = (to_2 - from_2) / self.mass;
        let mean = (self.law.anchor() + first).max(self.low).min(self.high);
        (mean, variance_of(first, second))
    }

    /// The moments of the part up to `x`, about the law's own anchor.
    pub(super) fn partial(&self, x: f64) -> [f64; 3] {
        if x < self.low {
            return [0.0; 3];
        }
        let to = self.law.partial(x.min(self.high));
        let from = self.law.partial(before(self.low));
        [0, 1, 2].map(|k| (to[k] - from[k]) / self.mass)
    }

    /// The same law with every value multiplied by `factor` (above zero).
    pub(super) fn scaled(&self, factor: f64) -> Self {
        Self::new(self.low * factor, self.high * factor, self.law.scaled(factor))
    }
}
