//! Where a share crosses one half: a sequential test at one point, and an estimate over many.
//!
//! The test is the mixture likelihood ratio for yes-or-nos with a uniform prior, held against "one half": under one half it
//! is a martingale of mean 1, and so exceeds 1 / error at *any* time with a probability of at most `error` (J. Ville, "Étude critique de
//! la notion de collectif", 1939; H. Robbins, Annals of Mathematical Statistics 41, 1970). One may look after every run, and stop when
//! it is decided. The estimate is isotonic regression by pooling adjacent violators (Ayer et al., Annals of Mathematical
//! Statistics 26, 1955).

use serde::Serialize;

/// On which side of one half a share lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// Below: mostly no.
    Below,
    /// Above: mostly yes.
    Above,
}

/// The evidence against one half of so many yes among `n`: the natural logarithm of the mixture likelihood ratio,
/// 2^n / ((n + 1) (n choose yes)).
///
/// `yes` is at most `n`.
pub fn evidence_against_half(yes: u64, n: u64) -> f64 {
    let (n, yes) = (n as f64, yes as f64);
    let choose = libm::lgamma(n + 1.0) - libm::lgamma(yes + 1.0) - libm::lgamma(n - yes + 1.0);
    n * core::f64::consts::LN_2 - libm::log(n + 1.0) - choose
}

/// The side on which the share lies by the first of these answers that suffice to say so; `None` if none do.
///
/// The probability of a wrong answer is at most `error`, however many answers there are, and wherever one stops.
pub fn side_of_half(answers: impl IntoIterator<Item = bool>, error: f64) -> Option<Side> {
    let enough = -libm::log(error);
    let (mut yes, mut n) = (0, 0);
    answers.into_iter().find_map(|answer| {
        n += 1;
        yes += u64::from(answer);
        (evidence_against_half(yes, n) >= enough).then_some(if 2 * yes > n { Side::Above } else { Side::Below })
    })
}

/// How many answers that all agree are needed to be sure of a side.
pub fn least_to_decide(error: f64) -> u64 {
    let enough = -libm::log(error);
    (1..).find(|n| evidence_against_half(*n, *n) >= enough).unwrap_or(1)
}

/// Where shares that grow (or, with `falling`, fall) with `x` cross one half: points are (x, yes, n), x ascending.
///
/// The shares are fitted by isotonic regression, with a straight line between neighbours; where the fit stays at one half, the
/// middle of that stretch. `None` if it doesn't cross between the first and the last point.
pub fn crossing_of_half(points: &[(f64, u64, u64)], falling: bool) -> Option<f64> {
    /// Neighbours whose shares are pooled: the first x, the last, yes, n.
    struct Block(f64, f64, u64, u64);
    let share = |block: &Block| block.2 as f64 / block.3 as f64;
    let mut blocks: Vec<Block> = Vec::new();
    for &(x, yes, n) in points.iter().filter(|point| point.2 > 0) {
        blocks.push(Block(x, x, if falling { n - yes } else { yes }, n));
        while let [.., before, last] = blocks.as_slice() {
            if share(before) <= share(last) {
                break;
            }
            let merged = Block(before.0, last.1, before.2 + last.2, before.3 + last.3);
            blocks.truncate(blocks.len() - 2);
            blocks.push(merged);
        }
    }
    let above = blocks.iter().position(|block| share(block) > 0.5)?;
    let reach: Vec<&Block> = blocks[..above].iter().filter(|block| share(block) == 0.5).collect();
    if let (Some(first), Some(last)) = (reach.first(), reach.last()) {
        return Some((first.0 + last.1) / 2.0);
    }
    let below = blocks[..above].last()?;
    let (from, to) = (share(below), share(&blocks[above]));
    Some(below.1 + (blocks[above].0 - below.1) * (0.5 - from) / (to - from))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::{Key, Purpose};

    #[test]
    fn unanimous_answers_decide_as_soon_as_the_ratio_allows() {
        // 2^n / (n + 1): 28.4 after eight, 51.2 after nine.
        assert_eq!(least_to_decide(1.0 / 51.0), 9);
        assert_eq!(side_of_half([true; 8], 1.0 / 51.0), None);
        assert_eq!(side_of_half([true; 9], 1.0 / 51.0), Some(Side::Above));
        assert_eq!(side_of_half([false; 9], 1.0 / 51.0), Some(Side::Below));
        // What was decided stays so, whatever comes after.
        let then_no = (0..40).map(|n| n < 9);
        assert_eq!(side_of_half(then_no, 1.0 / 51.0), Some(Side::Above));
        assert!((evidence_against_half(2, 4) - libm::log(16.0 / 30.0)).abs() < 1e-12);
    }

    #[test]
    fn a_fair_coin_is_called_unfair_no_more_often_than_was_allowed() {
        let flips = |run: u64, p: f64| {
            let mut stream = Key::root(11, run).stream(Purpose(0x200), 0);
            (0..400).map(move |_| stream.chance(p))
        };
        let wrong = (0..2_000)
            .filter(|run| side_of_half(flips(*run, 0.5), 0.05).is_some())
            .count();
        assert!((10..=100).contains(&wrong), "{wrong} of 2000");
        // A share below one half is hardly ever taken for one above it, and nearly always found.
        let sides: Vec<_> = (0..500).map(|run| side_of_half(flips(run, 0.35), 0.05)).collect();
        assert!(sides.iter().filter(|side| **side == Some(Side::Above)).count() <= 12);
        assert!(sides.iter().filter(|side| **side == Some(Side::Below)).count() > 480);
    }

    #[test]
    fn the_crossing_is_where_the_isotonic_fit_passes_one_half() {
        assert_eq!(crossing_of_half(&[(1.0, 0, 10), (2.0, 10, 10)], false), Some(1.5));
        assert_eq!(crossing_of_half(&[(1.0, 10, 10), (2.0, 0, 10)], true), Some(1.5));
        assert_eq!(crossing_of_half(&[(1.0, 1, 10), (2.0, 9, 10)], false), Some(1.5));
        // 30 % and 90 %: a third of the way. A point without answers says nothing.
        let points = [(0.0, 3, 10), (1.5, 0, 0), (3.0, 9, 10)];
        assert!((crossing_of_half(&points, false).unwrap() - 1.0).abs() < 1e-12);
        // Six, then four of ten: pooled to one half, of which the middle is taken.
        let level = [(0.0, 0, 10), (1.0, 6, 10), (2.0, 4, 10), (3.0, 10, 10)];
        assert_eq!(crossing_of_half(&level, false), Some(1.5));
        assert_eq!(crossing_of_half(&[(0.0, 9, 10), (1.0, 10, 10)], false), None);
        assert_eq!(crossing_of_half(&[(0.0, 0, 10), (1.0, 1, 10)], false), None);
        assert_eq!(crossing_of_half(&[], false), None);
    }
}
