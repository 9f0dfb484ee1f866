//! Many comparisons at once: which of them are beyond chance.
//!
//! Of twenty numbers that didn't change, one has a 95 % interval that leaves zero out. Where all numbers of two results are
//! compared, the false discovery rate is controlled instead: the expected part of chance among what is called different.

use crate::random::math::student_t_cdf;

/// The probability that a difference at least so many standard errors away from zero is chance: two-sided, Student's t.
///
/// `None` without a degree of freedom or if `errors` isn't a number; an infinite one (all differences are equal) has 0.
pub fn two_sided_p(errors: f64, freedom: f64) -> Option<f64> {
    (freedom > 0.0 && !errors.is_nan()).then(|| {
        if errors.is_infinite() {
            0.0
        } else {
            (2.0 * student_t_cdf(-errors.abs(), freedom)).min(1.0)
        }
    })
}

/// Which of these probabilities of chance are discoveries, where at most a part `rate` of the discoveries is expected to be
/// chance. `compared` counts all comparisons, those among them that didn't move at all.
///
/// The step-up procedure of Y. Benjamini and Y. Hochberg, J. R. Stat. Soc. B 57 (1995): of `m` comparisons those with the `k`
/// least probabilities, for the greatest `k` whose probability is at most `rate * k / m`. It holds for independent comparisons
/// and for positively dependent ones (Benjamini and Yekutieli, Ann. Stat. 29, 2001).
pub fn discoveries(chances: &[f64], compared: usize, rate: f64) -> Vec<bool> {
    let mut sorted = chances.to_vec();
    sorted.sort_by(f64::total_cmp);
    let all = compared.max(chances.len()) as f64;
    let within = |(index, chance): (usize, &f64)| (*chance <= rate * (index + 1) as f64 / all).then_some(*chance);
    let most = sorted.iter().enumerate().filter_map(within).next_back();
    chances
        .iter()
        .map(|chance| most.is_some_and(|most| *chance <= most))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::statistics::{Level, Summary};

    #[test]
    fn the_example_of_the_paper() {
        // Benjamini and Hochberg (1995), section 3.2: fifteen comparisons of a trial; four are discoveries at 0.05, of which
        // Bonferroni's procedure finds three.
        let chances = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719, 0.6528,
            0.7590, 1.0000,
        ];
        let found = discoveries(&chances, chances.len(), 0.05);
        assert_eq!(found.iter().filter(|found| **found).count(), 4);
        assert!(found[..4].iter().all(|found| *found));
        let mut reversed = chances;
        reversed.reverse();
        assert!(discoveries(&reversed, 15, 0.05)[11..].iter().all(|found| *found));
        // The same among many that didn't move are fewer.
        assert_eq!(
            discoveries(&chances, 300, 0.05).iter().filter(|found| **found).count(),
            1
        );
        assert_eq!(discoveries(&[], 0, 0.05), Vec::<bool>::new());
    }

    #[test]
    fn a_chance_agrees_with_the_interval() {
        // At the end of a 95 % interval the probability is 5 %.
        for n in [2usize, 3, 10, 100] {
            let values: Vec<f64> = (0..n).map(|i| (i as f64 * 1.7) % 3.1).collect();
            let summary = Summary::of(&values, Level::P95).unwrap();
            let error = summary.sd.unwrap() / libm::sqrt(n as f64);
            let chance = two_sided_p(summary.half_width().unwrap() / error, (n - 1) as f64).unwrap();
            assert!((chance - 0.05).abs() < 1e-9, "{n}: {chance}");
        }
        assert_eq!(two_sided_p(f64::INFINITY, 3.0), Some(0.0));
        assert_eq!(two_sided_p(0.0, 3.0), Some(1.0));
        assert_eq!(two_sided_p(2.0, 0.0), None);
    }
}
