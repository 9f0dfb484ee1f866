//! The slow part of a link's delay: a Gaussian AR(1) over slots of time, X(n), of mean 0 and variance 1, in which slots `k`
//! apart correlate as rho^k.
//!
//! It is a function of (link key, slot number) alone, and any slot costs O(log(1 / (1 - rho))) draws, however long the
//! link was idle: slots that are a multiple of a block apart are drawn independently (a block is the smallest power of two
//! with rho^block < 2^-60, so their true correlation is below what a double can show), and those between by bisection:
//! given X(n - h) and X(n + h), with r = rho^h, X(n) is normal with mean r (X(n-h) + X(n+h)) / (1 + r^2) and variance
//! (1 - r^2) / (1 + r^2), which is the AR(1)'s own conditional law, by its Markov property.

use crate::kernel::{Key, Purpose, SimTime};
use crate::random::{Law, math, standard_normal};
use serde::Serialize;

use super::spec::Correlation;

/// The draw of one slot, by its number.
const SLOT: Purpose = Purpose(0x4e12);
/// Below this a correlation of neighbouring anchors is dropped.
const NEGLIGIBLE: f64 = 1.0 / (1_u64 << 60) as f64;

/// What a class's [`Correlation`] comes to: computed once.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Wave {
    every: u64,
    /// sqrt(share) and sqrt(1 - share).
    shared: f64,
    own: f64,
    /// For steps of 1, 2, 4 ... slots: the weight of each neighbour, and the standard deviation.
    levels: Vec<(f64, f64)>,
}

/// The slot that a link was last asked about, and X there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Slot {
    /// One more than the slot's number; 0 before the first question.
    after: u64,
    x: f64,
}

impl Wave {
    /// The wave of a correlation.
    pub fn new(correlation: &Correlation) -> Self {
        let mut levels = Vec::new();
        let mut r = correlation.rho;
        while r >= NEGLIGIBLE && levels.len() < 62 {
            let square = r * r;
            levels.push((r / (1.0 + square), ((1.0 - square) / (1.0 + square)).sqrt()));
            r = square;
        }
        Self {
            every: correlation.every.as_nanos().max(1),
            shared: correlation.share.sqrt(),
            own: (1.0 - correlation.share).sqrt(),
            levels,
        }
    }

    /// X in slot number `n` of the link with this key.
    pub fn at_slot(&self, key: Key, n: u64) -> f64 {
        let draw = |slot: u64| standard_normal(&mut key.stream(SLOT, slot));
        let mut low = n >> self.levels.len() << self.levels.len();
        let mut left = draw(low);
        if low == n {
            return left;
        }
        let mut right = draw(low + (1 << self.levels.len()));
        for (level, &(weight, deviation)) in self.levels.iter().enumerate().rev() {
            let middle = low + (1 << level);
            let x = weight * (left + right) + deviation * draw(middle);
            if middle == n {
                return x;
            }
            if n > middle {
                (low, left) = (middle, x);
            } else {
                right = x;
            }
        }
        unreachable!("bisection ends at every slot")
    }

    /// The normal score of a message whose own normal draw is `own`, sent at `now` over the link with this key.
    #[inline]
    pub fn score(&self, slot: &mut Slot, key: Key, now: SimTime, own: f64) -> f64 {
        let n = now.as_nanos() / self.every;
        if slot.after != n + 1 {
            *slot = Slot {
                after: n + 1,
                x: self.at_slot(key, n),
            };
        }
        self.shared * slot.x + self.own * own
    }
}

/// The quantile of a law at Phi(z): its value at a normal score. Laws made from a normal skip the way there and back.
#[inline]
pub fn at_score(law: &Law, z: f64) -> f64 {
    match law {
        Law::Constant(value) => *value,
        Law::Normal { mean, sd } => mean + sd * z,
        Law::LogNormal { median, sigma } => median * math::exp(sigma * z),
        Law::Shifted { by, law } => by + at_score(law, z),
        Law::Scaled { by, law } => by * at_score(law, z),
        // Kept inside (0, 1), so that unbounded laws stay finite.
        _ => {
            let u = math::normal_cdf(z).clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON / 2.0);
            law.quantile(u).expect("u is a probability")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Slot, Wave, at_score};
    use crate::kernel::{Key, SimDuration, SimTime};
    use crate::network::spec::Correlation;
    use crate::random::{Law, math};

    fn wave(rho: f64) -> Wave {
        Wave::new(&Correlation {
            every: SimDuration::from_millis(100),
            rho,
            share: 1.0,
        })
    }

    /// The autocorrelation at `lag`, over many links of a few slots each (so that the terms are nearly independent), with
    /// its standard error.
    fn autocorrelation(wave: &Wave, start: u64, lag: u64) -> (f64, f64) {
        let root = Key::root(5, 0);
        let products: Vec<f64> = (0..40_000)
            .map(|link| wave.at_slot(root.member(link), start) * wave.at_slot(root.member(link), start + lag))
            .collect();
        let n = products.len() as f64;
        let mean = products.iter().sum::<f64>() / n;
        let variance = products.iter().map(|p| (p - mean) * (p - mean)).sum::<f64>() / (n - 1.0);
        (mean, (variance / n).sqrt())
    }

    #[test]
    fn slots_correlate_as_powers_of_rho_wherever_they_lie() {
        for rho in [0.0, 0.3, 0.8, 0.99] {
            let wave = wave(rho);
            // In a block's middle, across its middle, across its end, and at an anchor.
            for start in [5, 127, 250, 255, 256, 1023] {
                let mut expected = 1.0;
                for lag in 0..6 {
                    let (found, error) = autocorrelation(&wave, start, lag);
                    assert!(
                        (found - expected).abs() < 4.5 * error,
                        "rho {rho}, from {start}, lag {lag}: {found} +- {error}, expected {expected}"
                    );
                    expected *= rho;
                }
            }
        }
    }

    #[test]
    fn one_link_s_path_has_the_autocorrelation_too() {
        let (wave, key) = (wave(0.8), Key::root(6, 0));
        let path: Vec<f64> = (0..200_000).map(|n| wave.at_slot(key, n)).collect();
        let mut expected = 1.0;
        for lag in 0..8 {
            let found = path.iter().zip(&path[lag..]).map(|(a, b)| a * b).sum::<f64>() / (path.len() - lag) as f64;
            // Bartlett's formula: the standard error of an autocovariance of this process is below sqrt(2 (1+r^2)/(1-r^2) / n).
            assert!(
                (found - expected).abs() < 4.0 * (2.0 * 1.64 / 0.36 / 200_000.0_f64).sqrt(),
                "lag {lag}: {found}"
            );
            expected *= 0.8;
        }
    }

    #[test]
    fn a_score_depends_on_time_alone() {
        let (wave, key) = (wave(0.9), Key::root(7, 0));
        let (mut often, mut seldom) = (Slot::default(), Slot::default());
        for ms in 0..100_000_u64 {
            let now = SimTime::from_nanos(ms * 1_000_000);
            let score = wave.score(&mut often, key, now, 0.0);
            if ms % 1_003 == 0 {
                assert_eq!(score.to_bits(), wave.score(&mut seldom, key, now, 0.0).to_bits());
            }
        }
    }

    #[test]
    fn a_slot_a_century_away_is_found_at_once() {
        let x = wave(0.999_999).at_slot(Key::root(8, 0), u64::MAX / 100_000_000);
        assert!(x.abs() < 6.0);
    }

    #[test]
    fn the_short_way_to_a_score_is_the_long_way() {
        let normal = Law::Normal { mean: 5.0, sd: 2.0 };
        let log_normal = Law::LogNormal {
            median: 3.0,
            sigma: 0.7,
        };
        for law in [normal, log_normal.clone(), log_normal.shifted(4.0), Law::Constant(2.0)] {
            for z in [-5.0, -1.0, 0.0, 0.3, 4.0] {
                let (short, long) = (at_score(&law, z), law.quantile(math::normal_cdf(z)).unwrap());
                assert!(
                    (short - long).abs() < 1e-9 * (1.0 + long.abs()),
                    "{law:?} at {z}: {short}, {long}"
                );
            }
        }
        let exponential = Law::Exponential { mean: 1.0 };
        assert!(at_score(&exponential, 40.0).is_finite() && at_score(&exponential, -40.0) >= 0.0);
    }
}
