//! Numbers as people read them: adaptive units, thousands separators, digits that the interval's width justifies.
//!
//! Independent of locale; every function takes any float and returns finite text ("-" for what isn't finite). Times are in
//! seconds, shares are fractions of 1, sizes are bytes.

mod apart;

pub use apart::apart;

use std::fmt::Write as _;

/// What a number counts, and so how it is written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Unit {
    /// A plain number.
    #[default]
    Number,
    /// A number of things; whole numbers are written without decimals.
    Count,
    /// Seconds, shown from ns to h.
    Time,
    /// A fraction of 1, shown in percent.
    Share,
    /// Bytes, shown in B, KiB, MiB ...
    Bytes,
    /// An amount in this currency, with two decimals or more.
    Money(String),
    /// Events per second.
    PerSecond,
    /// A number with this unit behind it.
    Named(String),
}

/// A unit fitted to a magnitude: the number shown is the value divided by `divide`, with `suffix` behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Shown {
    /// What values are divided by.
    pub divide: f64,
    /// The unit's sign; empty for plain numbers.
    pub suffix: String,
}

impl Unit {
    /// The unit fitted to values of about `magnitude`.
    pub fn shown(&self, magnitude: f64) -> Shown {
        let m = magnitude.abs();
        let pick = |steps: &[(f64, f64, &str)]| {
            let (_, divide, suffix) = steps.iter().find(|s| m < s.0).unwrap_or(&steps[steps.len() - 1]);
            Shown {
                divide: *divide,
                suffix: (*suffix).to_string(),
            }
        };
        match self {
            Self::Number | Self::Count => pick(&[
                (1e7, 1.0, ""),
                (1e9, 1e6, "million"),
                (1e12, 1e9, "billion"),
                (1e15, 1e12, "trillion"),
                (f64::INFINITY, 1.0, ""),
            ]),
            // Zero has no magnitude of its own, and is best said in the base unit.
            Self::Time if m == 0.0 => Shown {
                divide: 1.0,
                suffix: "s".into(),
            },
            Self::Time => pick(&[
                (1e-6, 1e-9, "ns"),
                (1e-3, 1e-6, "µs"),
                (1.0, 1e-3, "ms"),
                (120.0, 1.0, "s"),
                (7200.0, 60.0, "min"),
                (f64::INFINITY, 3600.0, "h"),
            ]),
            Self::Share => Shown {
                divide: 0.01,
                suffix: "%".into(),
            },
            Self::Bytes => pick(&[
                (1024.0, 1.0, "B"),
                (1_048_576.0, 1024.0, "KiB"),
                (1_073_741_824.0, 1_048_576.0, "MiB"),
                (1_099_511_627_776.0, 1_073_741_824.0, "GiB"),
                (f64::INFINITY, 1_099_511_627_776.0, "TiB"),
            ]),
            Self::Money(currency) => Shown {
                divide: 1.0,
                suffix: currency.clone(),
            },
            Self::PerSecond => Shown {
                divide: 1.0,
                suffix: "/s".into(),
            },
            Self::Named(name) => Shown {
                divide: 1.0,
                suffix: name.clone(),
            },
        }
    }
}

impl Unit {
    /// The one unit for values that stand together, in a column or on an axis. Times are in seconds up to ten minutes and in
    /// minutes up to ten hours (tenths of a minute are no round times); numbers are in millions only where all are that large.
    pub fn shared(&self, values: impl IntoIterator<Item = f64>) -> Shown {
        let sizes = values
            .into_iter()
            .map(f64::abs)
            .filter(|size| *size > 0.0 && size.is_finite());
        let (least, most) = sizes.fold((f64::INFINITY, 0.0f64), |(least, most), size| {
            (least.min(size), most.max(size))
        });
        match self {
            Self::Time if most >= 120.0 => self.shown((most / 5.0).max(119.0)),
            Self::Number | Self::Count if least.is_finite() => self.shown(least),
            _ => self.shown(most),
        }
    }
}

impl Shown {
    /// `number` with the unit's sign behind it.
    pub fn join(&self, number: &str) -> String {
        match self.suffix.as_str() {
            "" => number.to_string(),
            "%" | "/s" => format!("{number}{}", self.suffix),
            suffix => format!("{number} {suffix}"),
        }
    }
}

/// 10 to the power of `exponent`, correctly rounded.
pub fn power_of_ten(exponent: i32) -> f64 {
    format!("1e{exponent}").parse().unwrap_or(f64::INFINITY)
}

/// The decimal exponent of a value: 2 for 100 to 999.99. Zero for 0.
pub fn exponent(value: f64) -> i32 {
    if value == 0.0 || !value.is_finite() {
        return 0;
    }
    // The standard formatting is exact, where a logarithm would be off by one next to a power of ten.
    let text = format!("{:e}", value.abs());
    text.split_once('e').and_then(|(_, e)| e.parse().ok()).unwrap_or(0)
}

/// A number with this many decimals and thousands separators: `12,345.60`.
pub fn grouped(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "-".into();
    }
    if value.abs() >= 1e15 {
        return format!("{value:.2e}");
    }
    let text = format!("{:.decimals$}", value.abs());
    let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
    // A negative number that rounds to nothing loses its sign.
    let zero = text.bytes().all(|b| b == b'0' || b == b'.');
    let mut out = String::from(if value < 0.0 && !zero { "-" } else { "" });
    for (i, digit) in whole.chars().enumerate() {
        if i > 0 && (whole.len() - i) % 3 == 0 {
            out.push(',');
        }
        out.push(digit);
    }
    if !part.is_empty() {
        let _ = write!(out, ".{part}");
    }
    out
}

/// A whole number with thousands separators.
pub fn count(value: u64) -> String {
    let text = value.to_string();
    let mut out = String::new();
    for (i, digit) in text.chars().enumerate() {
        if i > 0 && (text.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// The decimals that show `value` with this many significant digits.
pub fn decimals_for(value: f64, significant: i32) -> usize {
    let exponent = exponent(value);
    // 9.996 shown with three digits is 10.0: rounding may raise the exponent.
    let rounded = grouped(value.abs(), (significant - 1 - exponent).clamp(0, 15) as usize).replace(',', "");
    let raised = rounded
        .parse::<f64>()
        .map_or(exponent, |v| self::exponent(v).max(exponent));
    (significant - 1 - raised).clamp(0, 15) as usize
}

/// The decimals that an interval of this half width justifies: two digits of it if it begins with 1 or 2, else one.
pub fn decimals_for_half_width(half: f64) -> usize {
    // Rounded to two digits first, so that 0.0999999 and 0.1 are shown alike.
    let rounded = format!("{:.1e}", half.abs()).parse().unwrap_or(0.0);
    decimals_for(
        rounded,
        if rounded < 3.0 * power_of_ten(exponent(rounded)) {
            2
        } else {
            1
        },
    )
}

/// A value with its unit, to three significant digits: `5.25 s`, `12.5%`, `1,204`.
pub fn quantity(value: f64, unit: &Unit) -> String {
    written(value, None, unit, &unit.shown(value), 0)
}

/// As [`quantity`], without zeros that say nothing: `1 s`, `50/s`. For what is set, not measured.
pub fn brief(value: f64, unit: &Unit) -> String {
    trimmed(&quantity(value, unit))
}

/// A text without the zeros at the end of its first number's decimals.
pub fn trimmed(text: &str) -> String {
    let end = text.find(|c: char| !(c.is_ascii_digit() || "-.,".contains(c)));
    let (number, rest) = text.split_at(end.unwrap_or(text.len()));
    match number.contains('.') {
        true => format!("{}{rest}", number.trim_end_matches('0').trim_end_matches('.')),
        false => text.to_string(),
    }
}

/// A number in its unit to three significant digits, and so many more.
fn plain(number: f64, unit: &Unit, more: usize) -> String {
    let decimals = decimals_for(number, 3) + more;
    match unit {
        Unit::Count | Unit::Bytes if number == libm::trunc(number) => grouped(number, 0),
        Unit::Money(_) => grouped(number, decimals.max(2).min(if number == 0.0 { 2 } else { 15 + more })),
        _ if number == 0.0 => "0".into(),
        _ if exponent(number) < -6 => format!("{number:.*e}", 2 + more),
        _ => grouped(number, decimals),
    }
}

/// A value with its unit and the half width of its interval, to the digits that the interval justifies:
/// `5.25 s ±0.03`. Without an interval, as [`quantity`].
pub fn estimate(value: f64, half: Option<f64>, unit: &Unit) -> String {
    let size = value.abs().max(half.map_or(0.0, f64::abs));
    estimate_in(
        value,
        half,
        unit,
        &unit.shown(if size.is_finite() { size } else { value }),
    )
}

/// As [`estimate`], in a unit that others chose.
pub fn estimate_in(value: f64, half: Option<f64>, unit: &Unit, shown: &Shown) -> String {
    written(value, half.map(|half| around(value, half)), unit, shown, 0)
}

/// A value with its unit and the ends of its interval, in a unit that others chose: `5.25 s ±0.03`, or `100% (44..100)` where the
/// value doesn't lie in the middle.
/// Bytes that would be less than a hundredth of the unit are written in one that fits them.
pub fn between(value: f64, ends: Option<(f64, f64)>, unit: &Unit, shown: &Shown) -> String {
    let size = value
        .abs()
        .max(ends.map_or(0.0, |(low, high)| (high - low).abs() / 2.0));
    if *unit == Unit::Bytes && size > 0.0 && size < shown.divide / 100.0 {
        return written(value, ends, unit, &unit.shown(size), 0);
    }
    written(value, ends, unit, shown, 0)
}

/// Whether a value lies in the middle of its interval, but for rounding: then half of the width says all.
pub fn is_middle(value: f64, (low, high): (f64, f64)) -> bool {
    let (below, above) = (value - low, high - value);
    (above - below).abs() <= 1e-6 * (high - low).abs() + 1e-12 * value.abs()
}

fn around(value: f64, half: f64) -> (f64, f64) {
    (value - half.abs(), value + half.abs())
}

/// The decimals of a number that has this half width. Six digits of the value are enough, however narrow the interval.
fn justified(number: f64, half: f64) -> usize {
    decimals_for_half_width(half).min((5 - exponent(number)).clamp(0, 9) as usize)
}

/// A value in this unit, with so many digits more than it would have by itself.
fn written(value: f64, ends: Option<(f64, f64)>, unit: &Unit, shown: &Shown, more: usize) -> String {
    if !value.is_finite() {
        return "-".into();
    }
    let number = value / shown.divide;
    let ends = ends.map(|(low, high)| (low / shown.divide, high / shown.divide));
    let Some((low, high)) = ends.filter(|(low, high)| (high - low).is_finite()) else {
        return shown.join(&plain(number, unit, more));
    };
    let half = (high - low).abs() / 2.0;
    if half == 0.0 {
        return format!("{} ±0", shown.join(&plain(number, unit, more)));
    }
    let power = exponent(number).max(exponent(half));
    if power < -5 {
        let scale = power_of_ten(power);
        let ends = (low / scale, high / scale);
        let inner = written(number / scale, Some(ends), &Unit::Number, &Unit::Number.shown(1.0), 0);
        return shown.join(&format!("({inner})e{power}"));
    }
    let decimals = justified(number, half);
    let value = shown.join(&grouped(number, decimals + more));
    if !is_middle(number, (low, high)) {
        return format!("{value} ({}..{})", grouped(low, decimals), grouped(high, decimals));
    }
    let mut spread = grouped(half, decimals);
    if spread.bytes().all(|b| b == b'0' || b == b'.') {
        spread = format!("<{}", grouped(power_of_ten(-(decimals as i32)), decimals));
    }
    format!("{value} ±{spread}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_choose_their_unit() {
        let t = |s: f64| quantity(s, &Unit::Time);
        assert_eq!(
            [t(0.0), t(7e-9), t(2.5e-6), t(0.0125), t(0.9996)],
            ["0 s", "7.00 ns", "2.50 µs", "12.5 ms", "1,000 ms"]
        );
        assert_eq!(
            [t(5.254), t(119.0), t(120.0), t(7200.0), t(-0.25)],
            ["5.25 s", "119 s", "2.00 min", "2.00 h", "-250 ms"]
        );
    }

    #[test]
    fn other_units() {
        assert_eq!(quantity(1204.0, &Unit::Count), "1,204");
        assert_eq!(quantity(1.5, &Unit::Count), "1.50");
        assert_eq!(quantity(0.125, &Unit::Share), "12.5%");
        assert_eq!(quantity(65536.0, &Unit::Bytes), "64 KiB");
        assert_eq!(quantity(3.2, &Unit::Money("USD".into())), "3.20 USD");
        assert_eq!(quantity(0.00321, &Unit::Money("USD".into())), "0.00321 USD");
        assert_eq!(quantity(40.0, &Unit::PerSecond), "40.0/s");
        assert_eq!(quantity(3.2e11, &Unit::Count), "320 billion");
        assert_eq!(quantity(f64::NAN, &Unit::Time), "-");
        assert_eq!(quantity(3.2e-12, &Unit::Number), "3.20e-12");
        assert_eq!(count(u64::MAX), "18,446,744,073,709,551,615");
    }

    #[test]
    fn what_is_set_has_no_empty_digits() {
        assert_eq!(brief(1.0, &Unit::Time), "1 s");
        assert_eq!(brief(0.536_870_912, &Unit::Time), "537 ms");
        assert_eq!(brief(50.0, &Unit::PerSecond), "50/s");
        assert_eq!(brief(2.5e6, &Unit::Bytes), "2.38 MiB");
        assert_eq!(brief(1200.0, &Unit::Count), "1,200");
    }

    #[test]
    fn digits_follow_the_interval() {
        let e = |v, h| estimate(v, Some(h), &Unit::Time);
        assert_eq!(e(5.2534, 0.031), "5.25 s ±0.03");
        assert_eq!(e(5.2534, 0.0124), "5.253 s ±0.012");
        assert_eq!(e(5.2534, 0.0996), "5.25 s ±0.10");
        assert_eq!(e(5.2534, 4.0), "5 s ±4");
        assert_eq!(e(0.0, 0.02), "0 ms ±20");
        assert_eq!(e(5.25, 0.0), "5.25 s ±0");
        assert_eq!(e(5.25, 1e-12), "5.25000 s ±<0.00001");
        assert_eq!(estimate(12_345.6, Some(210.0), &Unit::Count), "12,346 ±210");
        assert_eq!(estimate(0.021, Some(0.004), &Unit::Share), "2.1% ±0.4");
        assert_eq!(estimate(1e-7, Some(1e-8), &Unit::Number), "(1.00 ±0.10)e-7");
        assert_eq!(estimate(0.021, None, &Unit::Share), "2.10%");
    }

    #[test]
    fn an_interval_that_leans_to_a_side_is_written_by_its_ends() {
        let share = |value, low, high| between(value, Some((low, high)), &Unit::Share, &Unit::Share.shown(value));
        assert_eq!(share(1.0, 0.438_5, 1.0), "100% (44..100)");
        assert_eq!(share(0.0, 0.0, 0.161), "0% (0..16)");
        assert_eq!(share(0.5, 0.3, 0.7), "50% ±20");
        let time = |value, low, high| between(value, Some((low, high)), &Unit::Time, &Unit::Time.shown(value));
        assert_eq!(time(2.0, 1.9, 2.4), "2.00 s (1.90..2.40)");
        assert_eq!(
            between(1e-7, Some((0.0, 1.5e-7)), &Unit::Number, &Unit::Number.shown(1e-7)),
            "(1.0 (0.0..1.5))e-7"
        );
    }

    #[test]
    fn few_bytes_beside_many_are_written_in_bytes() {
        let mebibytes = Unit::Bytes.shown(3e6);
        assert_eq!(between(40.0, None, &Unit::Bytes, &mebibytes), "40 B");
        assert_eq!(
            between(40.0, Some((38.0, 42.0)), &Unit::Bytes, &mebibytes),
            "40.0 B ±2.0"
        );
        assert_eq!(between(500_000.0, None, &Unit::Bytes, &mebibytes), "0.477 MiB");
    }

    #[test]
    fn signs_and_groups() {
        assert_eq!(grouped(-0.001, 2), "0.00");
        assert_eq!(grouped(-1234.5, 1), "-1,234.5");
        assert_eq!(grouped(999.0, 0), "999");
        assert_eq!(
            [exponent(1000.0), exponent(999.9), exponent(0.001), exponent(0.0)],
            [3, 2, -3, 0]
        );
        assert_eq!(power_of_ten(-3), 0.001);
    }

    proptest::proptest! {
        #[test]
        fn any_float_has_a_short_text(v in proptest::prelude::any::<f64>(), h in proptest::prelude::any::<f64>()) {
            for unit in [Unit::Number, Unit::Count, Unit::Time, Unit::Share, Unit::Bytes, Unit::PerSecond] {
                let text = estimate(v, Some(h), &unit);
                proptest::prop_assert!(!text.contains("NaN") && !text.contains("inf") && text.len() < 60, "{text}");
            }
        }
    }
}
