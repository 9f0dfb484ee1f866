//! Ticks: round values (1, 2, 5 times a power of ten) in the unit that fits the data's range.
//!
//! An axis covers its data: its ends are ticks. Needs finite ends of less than 1e100 in size.

use crate::output::tables::numbers::{Shown, Unit, exponent, grouped, power_of_ten};

/// The ticks of one axis, in data units, ascending; the first and the last are the axis' ends.
#[derive(Debug, Clone, PartialEq)]
pub struct Ticks {
    /// Where the ticks lie.
    pub values: Vec<f64>,
    /// Their texts; empty where only a grid line is drawn.
    pub labels: Vec<String>,
    /// What to write behind the axis' name: the unit that the texts are in; empty if they say it themselves.
    pub unit: String,
    /// The unit in which values are written that stand on this axis.
    pub shown: Shown,
}

impl Ticks {
    /// The lower end of the axis.
    pub fn low(&self) -> f64 {
        self.values[0]
    }

    /// The upper end of the axis.
    pub fn high(&self) -> f64 {
        self.values[self.values.len() - 1]
    }
}

/// The least number of the form {1, 2, 5} times a power of ten that isn't below `value` (above zero).
fn round_up(value: f64) -> f64 {
    let power = exponent(value);
    [(1, 0), (2, 0), (5, 0), (1, 1)]
        .map(|(digit, up)| f64::from(digit) * power_of_ten(power + up))
        .into_iter()
        .find(|step| *step >= value * (1.0 - 1e-12))
        .unwrap_or(value)
}

/// Ticks from at or below `low` to at or above `high`, at most about `most` of them (2 at least).
pub fn linear(low: f64, high: f64, unit: &Unit, most: usize) -> Ticks {
    let (mut low, mut high) = (low.min(high), high.max(low));
    let size = low.abs().max(high.abs());
    if high - low <= size * 1e-9 {
        // One value, or values that floats hardly tell apart: a range around them.
        let pad = if size == 0.0 { 1.0 } else { size * 0.1 };
        (low, high) = if low == 0.0 {
            (0.0, pad)
        } else {
            (low - pad, high + pad)
        };
    }
    let largest = low.abs().max(high.abs());
    let mut shown = match unit {
        Unit::Time => unit.shared([largest]),
        _ => unit.shown(largest),
    };
    let mut of_values = shown.clone();
    if matches!(unit, Unit::Named(_) | Unit::PerSecond | Unit::Money(_)) {
        // These don't adapt by themselves; as axes they take a number's "million" in front.
        let Shown { divide, suffix } = Unit::Number.shown(largest);
        let own = if *unit == Unit::PerSecond {
            "per second"
        } else {
            &shown.suffix
        };
        of_values = Shown {
            divide,
            suffix: suffix.clone(),
        };
        shown = Shown {
            divide,
            suffix: format!("{suffix} {own}").trim().to_string(),
        };
    }
    let (from, to) = (low / shown.divide, high / shown.divide);
    let mut step = round_up((to - from) / most.max(2) as f64);
    if *unit == Unit::Count {
        step = step.max(1.0);
    }
    let first = libm::floor(from / step + 1e-9);
    let last = libm::ceil(to / step - 1e-9).max(first + 1.0);
    let numbers: Vec<f64> = (0..=(last - first) as usize)
        .map(|i| (first + i as f64) * step)
        .collect();
    let largest = numbers.iter().fold(0.0f64, |m, v| m.max(v.abs()));
    let decimals = (-exponent(step)).max(0) as usize;
    // Beyond what is readable digit by digit, powers of ten.
    let scientific = largest >= 1e12 || decimals > 6;
    let label = |v: f64| {
        if !scientific || v == 0.0 {
            return grouped(v, if scientific { 0 } else { decimals });
        }
        let digits = (exponent(v) - exponent(step)).clamp(0, 6) as usize;
        format!("{v:.digits$e}")
    };
    let labels = numbers.iter().map(|v| label(*v)).collect();
    Ticks {
        values: numbers.iter().map(|v| v * shown.divide).collect(),
        labels,
        unit: shown.suffix,
        shown: of_values,
    }
}

/// Logarithmic ticks from at or below `low` to at or above `high`, both above zero: every power of ten, or 1, 2 and 5 times it
/// where there are few. At most about `most` have a text. Times carry their unit, which is never more than a second, for
/// powers of ten are no round minutes.
pub fn logarithmic(low: f64, high: f64, unit: &Unit, most: usize) -> Ticks {
    let (low, high) = (low.min(high), high.max(low));
    let (first, last) = (exponent(low), exponent(high));
    let most = most.max(2) as i32;
    // Which of the lines have a text: each, or each second one ...
    let mut labelled = 1;
    let mut values: Vec<f64> = Vec::new();
    if last - first < (most / 3).max(1) {
        (first..=last + 1).for_each(|e| values.extend([1.0, 2.0, 5.0].map(|digit| digit * power_of_ten(e))));
    } else {
        let decades = last + 1 - first;
        // Lines are so many powers of ten apart that they can be told apart.
        let every = (decades / (3 * most) + 1).max(1);
        labelled = (decades / (most * every) + 1).max(1) as usize;
        (0..=decades / every + 1).for_each(|i| values.push(power_of_ten(first + i * every)));
    }
    let begin = values.iter().rposition(|v| *v <= low * (1.0 + 1e-12)).unwrap_or(0);
    let end = values
        .iter()
        .position(|v| *v >= high * (1.0 - 1e-12))
        .unwrap_or(values.len() - 1);
    let (begin, end) = if begin < end { (begin, end) } else { (begin, begin + 1) };
    let values = values[begin..=end.min(values.len() - 1)].to_vec();
    let of_own = matches!(unit, Unit::Named(_) | Unit::PerSecond | Unit::Money(_));
    let written = if of_own { &Unit::Number } else { unit };
    let label = |(at, value): (usize, &f64)| match at.is_multiple_of(labelled) {
        true => short(*value, written),
        false => String::new(),
    };
    let labels = values.iter().enumerate().map(label).collect();
    Ticks {
        values,
        labels,
        unit: match unit {
            Unit::PerSecond => "per second".into(),
            _ if of_own => unit.shown(high).suffix,
            _ => String::new(),
        },
        shown: match of_own {
            true => Unit::Number.shown(1.0),
            false => unit.shared([high]),
        },
    }
}

/// A tick's value with its unit and no more digits than it has.
fn short(value: f64, unit: &Unit) -> String {
    let most = if *unit == Unit::Time { 1.0 } else { f64::INFINITY };
    let shown = unit.shown((value * (1.0 + 1e-12)).min(most));
    let number = value / shown.divide;
    let decimals = (-exponent(number * (1.0 + 1e-12))).max(0) as usize;
    if decimals > 4 || number >= 1e7 {
        return shown.join(&format!("{number:.0e}"));
    }
    shown.join(&grouped(number, decimals))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(low: f64, high: f64, unit: Unit, most: usize) -> (String, String) {
        let t = linear(low, high, &unit, most);
        (t.labels.join(" "), t.unit)
    }

    #[test]
    fn steps_are_one_two_five() {
        assert_eq!(texts(0.0, 9.7, Unit::Number, 6).0, "0 2 4 6 8 10");
        assert_eq!(texts(0.0, 0.43, Unit::Number, 6).0, "0.0 0.1 0.2 0.3 0.4 0.5");
        assert_eq!(
            texts(0.0, 23_000.0, Unit::Count, 6).0,
            "0 5,000 10,000 15,000 20,000 25,000"
        );
        assert_eq!(texts(-3.0, 4.0, Unit::Number, 4).0, "-4 -2 0 2 4");
        assert_eq!(texts(0.0, 1.0, Unit::Share, 5).0, "0 20 40 60 80 100");
        assert_eq!(texts(0.0, 0.0, Unit::Count, 5).0, "0 1");
        assert_eq!(texts(0.0, 2.0, Unit::Count, 8).0, "0 1 2");
    }

    #[test]
    fn time_takes_the_unit_of_its_range() {
        assert_eq!(
            texts(0.0, 0.25, Unit::Time, 5),
            ("0 50 100 150 200 250".into(), "ms".into())
        );
        assert_eq!(
            texts(0.0, 60.0, Unit::Time, 6),
            ("0 10 20 30 40 50 60".into(), "s".into())
        );
        assert_eq!(texts(0.0, 600.0, Unit::Time, 5), ("0 2 4 6 8 10".into(), "min".into()));
    }

    #[test]
    fn logarithms_have_decades_or_one_two_five() {
        let log = |low, high, most| logarithmic(low, high, &Unit::Time, most).labels.join(" ");
        assert_eq!(log(0.0012, 80.0, 8), "1 ms 10 ms 100 ms 1 s 10 s 100 s");
        assert_eq!(log(1.5, 40.0, 8), "1 s 2 s 5 s 10 s 20 s 50 s");
        assert_eq!(log(3.0, 3.0, 8), "2 s 5 s");
        assert_eq!(log(10.0, 10.0, 8), "10 s 20 s");
        // Minutes would not be round: 200 s are no 3 min.
        assert_eq!(log(20.0, 400.0, 8), "20 s 50 s 100 s 200 s 500 s");
        // Every power of ten has a line, and every second one a text, where more don't fit.
        let ticks = logarithmic(1.0, 40_000.0, &Unit::PerSecond, 4);
        assert_eq!(
            (ticks.labels.join(" "), ticks.unit),
            ("1  100  10,000 ".into(), "per second".into())
        );
        assert!(logarithmic(1e-90, 1e90, &Unit::Number, 8).values.len() <= 30);
    }

    proptest::proptest! {
        #[test]
        fn axes_cover_their_data_with_few_ascending_ticks(a in -1e99f64..1e99, b in -1e99f64..1e99, shrink in 0i32..120, most in 2usize..14) {
            let scale = power_of_ten(-shrink);
            let (low, high) = ((a * scale).min(b * scale), (a * scale).max(b * scale));
            for unit in [Unit::Number, Unit::Count, Unit::Time, Unit::Bytes] {
                let t = linear(low, high, &unit, most);
                let slack = 1e-8 * low.abs().max(high.abs()).max(t.values[1] - t.values[0]);
                proptest::prop_assert!(t.low() <= low + slack && t.high() >= high - slack, "{low} {high} {t:?}");
                proptest::prop_assert!((2..=most + 3).contains(&t.values.len()), "{t:?}");
                proptest::prop_assert!(t.values.windows(2).all(|w| w[0] < w[1]));
                proptest::prop_assert!(t.labels.windows(2).all(|w| w[0] != w[1]), "{t:?}");
                let (low, high) = (low.abs().max(1e-99), high.abs().max(1e-99));
                let t = logarithmic(low, high, &unit, most);
                proptest::prop_assert!(t.low() <= low.min(high) * 1.000001 && t.high() >= low.max(high) * 0.999999);
                let written = t.labels.iter().filter(|label| !label.is_empty()).count();
                proptest::prop_assert!(t.values.len() >= 2 && t.values.len() <= 3 * most.max(4) + 4, "{t:?}");
                proptest::prop_assert!(written >= 1 && written <= most.max(4) + 4, "{t:?}");
            }
        }
    }
}
