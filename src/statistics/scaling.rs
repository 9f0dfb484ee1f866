//! How one quantity grows with another: the exponent of a power law, with its interval.
//!
//! Ordinary least squares of `ln y` on `ln x`, and Student's interval of the slope with n - 2 degrees of freedom: N. R. Draper and H. Smith,
//! "Applied Regression Analysis", 3rd ed., 1998, section 1.4. The interval takes deviations from the line as chance, independent and alike
//! everywhere: where `y` isn't a power of `x`, it says how well one power describes it over these `x`, and nothing beyond them.

use super::{Interval, Level, student_t_quantile};
use crate::random::math;
use serde::Serialize;

/// `y = factor * x ^ exponent`, as fitted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct PowerLaw {
    /// The exponent.
    pub exponent: f64,
    /// Student's interval of the exponent; `None` for two points.
    pub interval: Option<Interval>,
    /// The factor: `y` at 1.
    pub factor: f64,
    /// How many points it is fitted to.
    pub n: u64,
    /// How many different `x` they have.
    pub sizes: u64,
}

impl PowerLaw {
    /// Fits one to points `(x, y)`. Those at which either isn't a positive number have no logarithm, and are left out.
    ///
    /// `None` if fewer than two different `x` are left.
    pub fn fit(points: &[(f64, f64)], level: Level) -> Option<Self> {
        let is_fit = |value: f64| value.is_finite() && value > 0.0;
        let fit = points.iter().filter(|(x, y)| is_fit(*x) && is_fit(*y));
        let logs: Vec<(f64, f64)> = fit.map(|(x, y)| (math::ln(*x), math::ln(*y))).collect();
        let mut sizes: Vec<f64> = logs.iter().map(|(x, _)| *x).collect();
        sizes.sort_by(f64::total_cmp);
        sizes.dedup();
        if sizes.len() < 2 {
            return None;
        }
        let n = logs.len() as f64;
        let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / n;
        let (x_mean, y_mean) = (mean(|log| log.0), mean(|log| log.1));
        let (mut spread, mut together) = (0.0, 0.0);
        for (x, y) in &logs {
            spread += (x - x_mean) * (x - x_mean);
            together += (x - x_mean) * (y - y_mean);
        }
        let exponent = together / spread;
        let residual = |(x, y): &(f64, f64)| (y - y_mean) - exponent * (x - x_mean);
        let squares: f64 = logs.iter().map(|log| residual(log) * residual(log)).sum();
        let interval = (logs.len() > 2).then(|| {
            let error = math::sqrt(squares / (n - 2.0) / spread);
            let half = student_t_quantile(0.5 + level.fraction() / 2.0, n - 2.0) * error;
            Interval {
                low: exponent - half,
                high: exponent + half,
                level,
            }
        });
        let factor = math::exp(y_mean - exponent * x_mean);
        (exponent.is_finite() && factor.is_finite()).then_some(Self {
            exponent,
            interval,
            factor,
            n: logs.len() as u64,
            sizes: sizes.len() as u64,
        })
    }

    /// What it says `y` is at `x`.
    pub fn at(&self, x: f64) -> f64 {
        self.factor * math::pow(x, self.exponent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Key, Purpose};
    use crate::random::Law;

    #[test]
    fn an_exact_power_law_is_found_exactly() {
        for exponent in [-1.5, 0.0, 0.5, 1.0, 2.0] {
            let points: Vec<(f64, f64)> = [8.0, 64.0, 512.0, 4096.0]
                .iter()
                .flat_map(|x| [(*x, 3.0 * math::pow(*x, exponent)); 2])
                .collect();
            let law = PowerLaw::fit(&points, Level::P95).expect("four sizes");
            assert!((law.exponent - exponent).abs() < 1e-12, "{law:?}");
            assert!((law.factor - 3.0).abs() < 1e-10, "{law:?}");
            assert!(law.interval.expect("eight points").half_width() < 1e-7, "{law:?}");
            assert_eq!((law.n, law.sizes), (8, 4));
        }
    }

    /// By hand: ln x = 0, 1, 2 and ln y = 0, 1, 3 make a slope of 3/2, squares of 1/6 about the line, and an error of the slope of
    /// sqrt(1/6 / 1 / 2). Student's t of 0.975 with one degree of freedom is 12.7062.
    #[test]
    fn three_points_by_hand() {
        let e = math::exp(1.0);
        let points = [(1.0, 1.0), (e, e), (e * e, e * e * e)];
        let law = PowerLaw::fit(&points, Level::P95).expect("three sizes");
        let half = law.interval.expect("three points").half_width();
        assert!((law.exponent - 1.5).abs() < 1e-12);
        assert!(
            (half - 12.706_204_736_174_694 * math::sqrt(1.0 / 12.0)).abs() < 1e-9,
            "{half}"
        );
        assert!((law.factor - math::exp(-1.0 / 6.0)).abs() < 1e-12);
    }

    #[test]
    fn what_has_no_logarithm_is_left_out_and_one_size_says_nothing() {
        let points = [
            (1.0, 1.0),
            (2.0, 2.0),
            (3.0, 0.0),
            (0.0, 1.0),
            (4.0, f64::NAN),
            (8.0, 8.0),
        ];
        let law = PowerLaw::fit(&points, Level::P95).expect("three sizes");
        assert_eq!((law.n, law.sizes), (3, 3));
        assert!(PowerLaw::fit(&[(2.0, 1.0), (2.0, 3.0)], Level::P95).is_none());
        assert!(
            PowerLaw::fit(&[(1.0, 1.0), (2.0, 3.0)], Level::P95)
                .expect("two sizes")
                .interval
                .is_none()
        );
    }

    /// Of four thousand intervals of 95 % some 3,800 hold the true exponent: five standard deviations of a binomial count are 69.
    #[test]
    fn intervals_cover_the_true_exponent_as_often_as_they_say() {
        let noise = Law::Normal { mean: 0.0, sd: 0.3 };
        let mut covered = 0;
        for trial in 0..4_000u64 {
            let mut draws = Key::root(trial, 5).stream(Purpose(9), 0);
            let points: Vec<(f64, f64)> = (0..5)
                .flat_map(|size| (0..3).map(move |replicate| (size, replicate)))
                .map(|(size, replicate)| {
                    let x = math::pow(10.0, f64::from(size));
                    let off = noise.sample(&mut draws, replicate);
                    (x, 2.0 * math::pow(x, 0.7) * math::exp(off))
                })
                .collect();
            let law = PowerLaw::fit(&points, Level::P95).expect("five sizes");
            if law.interval.expect("fifteen points").contains(0.7) {
                covered += 1;
            }
        }
        assert!((3_731..=3_869).contains(&covered), "{covered} of 4000");
    }
}
