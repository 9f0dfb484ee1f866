//! As many digits as tell values apart: what a verdict compares must not round to the same text, or to the wrong order.

use super::{Shown, Unit, written};
use std::cmp::Ordering;

/// The most digits beyond the usual ones: a float has no more than 17 in all.
const MOST: usize = 17;

/// Values with the ends of their intervals, each as text: in a unit that those of about one size share, and with as many
/// digits as make the texts of different values differ, in the values' order.
pub fn apart(values: &[(f64, Option<(f64, f64)>)], unit: &Unit) -> Vec<String> {
    let shown: Vec<Shown> = values.iter().map(|(value, _)| shared(*value, values, unit)).collect();
    let mut more = vec![0; values.len()];
    let text = |at: usize, more: &[usize]| written(values[at].0, values[at].1, unit, &shown[at], more[at]);
    loop {
        let texts: Vec<String> = (0..values.len()).map(|at| text(at, &more)).collect();
        let read: Vec<Option<f64>> = texts.iter().map(|text| number(text)).collect();
        let mut unclear = vec![false; values.len()];
        for a in 0..values.len() {
            for b in a + 1..values.len() {
                if shown[a] == shown[b]
                    && let (Some(x), Some(y)) = (read[a], read[b])
                    && order(x, y) != order(values[a].0, values[b].0)
                {
                    // The coarser of the two gets another digit, unless it says its value exactly.
                    let exact = |at: usize| read[at] == Some(values[at].0 / shown[at].divide);
                    let (fine, other) = (decimals(&texts[a]), decimals(&texts[b]));
                    unclear[a] |= exact(b) || fine <= other && !exact(a);
                    unclear[b] |= exact(a) || other <= fine && !exact(b);
                }
            }
        }
        let mut raised = false;
        for (more, unclear) in more.iter_mut().zip(unclear) {
            if unclear && *more < MOST {
                *more += 1;
                raised = true;
            }
        }
        if !raised {
            return texts;
        }
    }
}

fn order(a: f64, b: f64) -> Option<Ordering> {
    a.partial_cmp(&b)
}

/// The unit of `value`: that of the largest of those that are less than ten times as large as the one before, from `value` on.
fn shared(value: f64, values: &[(f64, Option<(f64, f64)>)], unit: &Unit) -> Shown {
    let mut sizes: Vec<f64> = values.iter().map(|(value, _)| value.abs()).collect();
    sizes.sort_by(f64::total_cmp);
    let mut largest = value.abs();
    for size in sizes {
        if size > largest && size < 10.0 * largest {
            largest = size;
        }
    }
    unit.shown(largest)
}

/// The number at the beginning of a text, as it stands there.
fn leading(text: &str) -> &str {
    let end = text.find(|c: char| !(c.is_ascii_digit() || "-.,e".contains(c)));
    &text[..end.unwrap_or(text.len())]
}

fn number(text: &str) -> Option<f64> {
    leading(text).replace(',', "").parse().ok()
}

fn decimals(text: &str) -> usize {
    leading(text).split_once('.').map_or(0, |(_, part)| part.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn times(values: &[f64]) -> Vec<String> {
        let values: Vec<_> = values.iter().map(|value| (*value, None)).collect();
        apart(&values, &Unit::Time)
    }

    #[test]
    fn what_differs_is_written_differently_and_in_one_unit() {
        assert_eq!(times(&[0.5, 0.501, 0.5000004]), ["500 ms", "501 ms", "500.0004 ms"]);
        assert_eq!(times(&[1.2501, 1.2504]), ["1.2501 s", "1.2504 s"]);
        assert_eq!(times(&[0.99996, 1.0]), ["0.99996 s", "1.00 s"]);
        assert_eq!(
            times(&[7.999_999_999, 8.000_000_001]),
            ["7.999999999 s", "8.000000001 s"]
        );
        assert_eq!(times(&[2.0, 2.0]), ["2.00 s", "2.00 s"]);
        // Those that are far apart need no common unit.
        assert_eq!(times(&[0.0, 0.002, 12.0]), ["0 s", "2.00 ms", "12.0 s"]);
    }

    #[test]
    fn an_interval_gives_way_to_the_bound() {
        let texts = apart(&[(5.25, None), (5.2534, Some((5.2224, 5.2844)))], &Unit::Time);
        assert_eq!(texts, ["5.25 s", "5.253 s ±0.03"]);
        // 0.0996 ±0.02 would be "0.10", above the bound that it keeps.
        let texts = apart(&[(0.0999, None), (0.0996, Some((0.0796, 0.1196)))], &Unit::Number);
        assert_eq!(texts, ["0.0999", "0.0996 ±0.020"]);
        let texts = apart(&[(5.0, None), (4.9996, Some((4.9996, 4.9996)))], &Unit::Count);
        assert_eq!(texts, ["5", "4.9996 ±0"]);
    }

    proptest! {
        #[test]
        fn texts_have_the_order_of_their_values(base in -1e6f64..1e6, steps in proptest::collection::vec(-40i32..40, 2..5)) {
            // Neighbours that differ in the last digits of a float, and others.
            let values: Vec<(f64, Option<(f64, f64)>)> = steps
                .iter()
                .map(|step| (base * (1.0 + f64::from(*step) * super::super::power_of_ten(-(step.abs() % 15))), None))
                .collect();
            for unit in [Unit::Number, Unit::Count, Unit::Share, Unit::PerSecond] {
                let texts = apart(&values, &unit);
                for (a, x) in values.iter().zip(&texts) {
                    for (b, y) in values.iter().zip(&texts) {
                        // Texts in different units aren't compared by eye.
                        if x.trim_start_matches(|c: char| !c.is_alphabetic()) == y.trim_start_matches(|c: char| !c.is_alphabetic()) {
                            prop_assert_eq!(order(a.0, b.0), order(number(x).unwrap(), number(y).unwrap()), "{} {}", x, y);
                        }
                    }
                }
            }
        }
    }
}
