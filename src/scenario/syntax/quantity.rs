//! Quantities with units: durations, rates, money, sizes, bandwidths, probabilities, drifts.
//!
//! Guarantees: what is written is kept exactly, by decimal integer arithmetic; a text that would have to be rounded or
//! doesn't fit is refused. `Display` gives a short text with one unit that is read back as the same value. Number and
//! unit may stand apart by one blank. Probabilities and fractions are the `f64` nearest to the written decimal.

mod kinds;
mod rate;
#[cfg(test)]
mod tests;

pub use kinds::{Bandwidth, Bytes, Drift, Duration, Fraction, Money, Positive, Probability, SignedDuration, Zero};
pub use rate::Rate;

use super::codes::Code;
use super::decode::Cx;
use super::diagnostic::Diagnostic;
use super::suggest;
use super::tree::{Node, Value, shortened};
use super::write::quoted;

/// A unit and how many base units it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    pub name: &'static str,
    pub factor: u128,
}

pub(super) const fn unit(name: &'static str, factor: u128) -> Unit {
    Unit { name, factor }
}

/// What a kind of quantity is called and measured in.
#[derive(Debug)]
pub(super) struct Kind {
    /// `a duration`.
    pub what: &'static str,
    /// A good one: `250ms`.
    pub example: &'static str,
    /// The units, the smallest first.
    pub units: &'static [Unit],
    /// The unit that a bare number is likeliest to mean.
    pub usual: &'static str,
    /// What the base unit is called: `a nanosecond`.
    pub finest: &'static str,
    /// Whether it may be negative.
    pub signed: bool,
}

/// Why a text is no quantity.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct QuantityError {
    /// The diagnostic's code.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// The text that was likely meant.
    pub meant: Option<String>,
    /// What else to say.
    pub note: Option<String>,
}

impl QuantityError {
    pub(super) fn new(code: Code, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            meant: None,
            note: None,
        }
    }

    fn meant(self, text: String) -> Self {
        Self {
            meant: Some(text),
            ..self
        }
    }

    fn note(self, note: String) -> Self {
        Self {
            note: Some(note),
            ..self
        }
    }

    pub(super) fn diagnostic(self, node: &Node) -> Diagnostic {
        let mut problem = Diagnostic::error(self.code, node.head(), self.message);
        if let Some(meant) = self.meant {
            let text = quoted(&meant);
            problem = problem.replace(format!("did you mean {text}?"), node.span, text);
        }
        if let Some(note) = self.note {
            problem = problem.note(note);
        }
        problem
    }
}

/// A decimal number: `(-1)^negative * digits / 10^scale`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Decimal {
    pub negative: bool,
    pub digits: u128,
    pub scale: u32,
}

/// The most digits that a number may have, so that 10^scale and the digits fit an `u128`.
const MOST_DIGITS: usize = 36;

/// Splits a text into its number and what follows it. `None`: it doesn't start with a decimal number.
pub(super) fn split(text: &str) -> Option<(Decimal, &str)> {
    let (negative, body) = match text.strip_prefix('-') {
        Some(body) => (true, body),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let end = body
        .find(|c: char| !c.is_ascii_digit() && !matches!(c, '.' | '_'))
        .unwrap_or(body.len());
    let (number, rest) = body.split_at(end);
    let (whole, part) = number.split_once('.').unwrap_or((number, "0"));
    let well_formed = |s: &str| s.starts_with(|c: char| c.is_ascii_digit()) && s.bytes().all(|b| b != b'.');
    if !well_formed(whole) || !well_formed(part) {
        return None;
    }
    let part = part.trim_end_matches(['0', '_']);
    let (mut digits, mut scale, mut count) = (0_u128, 0, 0);
    for (text, fraction) in [(whole, 0), (part, 1)] {
        for b in text.bytes().filter(|&b| b != b'_') {
            count += usize::from(digits > 0 || b != b'0');
            scale += fraction;
            if count > MOST_DIGITS || scale as usize > MOST_DIGITS {
                return None;
            }
            digits = digits * 10 + u128::from(b - b'0');
        }
    }
    let rest = rest.strip_prefix(' ').unwrap_or(rest);
    Some((
        Decimal {
            negative: negative && digits > 0,
            digits,
            scale,
        },
        rest,
    ))
}

impl Kind {
    fn units_listed(&self) -> String {
        format!("its units are {}", suggest::listed(self.units.iter().map(|u| u.name)))
    }

    pub(super) fn find(&self, name: &str) -> Option<u128> {
        self.units.iter().find(|u| u.name == name).map(|u| u.factor)
    }

    /// The error for a text that isn't a number and a unit at all.
    pub(super) fn malformed(&self, text: &str) -> QuantityError {
        let message = format!(
            "{} is not {} such as \"{}\"",
            quoted(&shortened(text)),
            self.what,
            self.example
        );
        QuantityError::new(Code::BadQuantity, message).note(self.units_listed())
    }

    /// The error for an unknown unit behind `number`.
    pub(super) fn wrong_unit(&self, text: &str, unit: &str) -> QuantityError {
        let number = text[..text.len() - unit.len()].trim_end();
        if unit.is_empty() {
            let message = format!(
                "\"{number}\" has no unit: expected {} such as \"{}\"",
                self.what, self.example
            );
            return QuantityError::new(Code::MissingUnit, message)
                .meant(self.with_unit(number, self.usual))
                .note(self.units_listed());
        }
        let message = format!(
            "`{}` is not a unit of {}",
            shortened(unit),
            self.what.trim_start_matches("a ")
        );
        let error = QuantityError::new(Code::WrongUnit, message).note(self.units_listed());
        if unit.contains(|c: char| c.is_ascii_digit()) {
            return error.note(format!(
                "a quantity is one number and one unit, such as \"{}\"",
                self.example
            ));
        }
        match self.meant_unit(unit) {
            Some(name) => error.meant(self.with_unit(number, name)),
            None => error,
        }
    }

    fn with_unit(&self, number: &str, unit: &str) -> String {
        let blank = if self.example.contains(' ') { " " } else { "" };
        format!("{number}{blank}{unit}")
    }

    /// The unit that somebody meant who wrote another word for it.
    fn meant_unit(&self, unit: &str) -> Option<&'static str> {
        const WORDS: [(&str, &[&str]); 13] = [
            ("ns", &["nanos", "nanosecond", "nanoseconds", "nsec"]),
            ("us", &["µs", "μs", "micros", "microsecond", "microseconds", "usec"]),
            ("ms", &["millis", "millisecond", "milliseconds", "msec"]),
            ("s", &["sec", "secs", "second", "seconds"]),
            ("min", &["m", "mins", "minute", "minutes"]),
            ("h", &["hr", "hrs", "hour", "hours"]),
            ("d", &["day", "days"]),
            ("USD", &["$", "usd", "dollar", "dollars", "US$"]),
            ("B", &["byte", "bytes", "b"]),
            ("kB", &["k", "K"]),
            ("MB", &["M"]),
            ("Mbit/s", &["Mbps", "mbps", "Mb/s", "mbit/s"]),
            ("Gbit/s", &["Gbps", "gbps", "Gb/s"]),
        ];
        let known = |name: &str| self.units.iter().map(|u| u.name).find(|u| *u == name);
        let word = |unit: &str| {
            WORDS
                .iter()
                .find(|(_, words)| words.contains(&unit))
                .map(|(name, _)| *name)
        };
        let by_case = || self.units.iter().map(|u| u.name).find(|n| n.eq_ignore_ascii_case(unit));
        // In a rate the time stands behind a slash.
        let time = unit.strip_prefix('/').unwrap_or(unit);
        let per = |name: &str| known(&format!("/{name}"));
        word(unit)
            .and_then(known)
            .or_else(by_case)
            .or_else(|| per(time))
            .or_else(|| per(word(time)?))
    }

    /// The signed number of base units that `text` says, exactly.
    pub(super) fn read(&self, text: &str) -> Result<(bool, u128), QuantityError> {
        let Some((number, name)) = split(text) else {
            let dollars = text
                .strip_prefix('$')
                .filter(|n| self.usual == "USD" && split(n).is_some());
            let error = self.malformed(text);
            return Err(match dollars {
                Some(number) => error.meant(format!("{} USD", number.trim())),
                None => error,
            });
        };
        let Some(factor) = self.find(name) else {
            return Err(self.wrong_unit(text, name));
        };
        if number.negative && !self.signed {
            let message = format!("{} can't be negative", self.what);
            return Err(
                QuantityError::new(Code::QuantityRange, message).meant(text.trim_start_matches('-').to_string())
            );
        }
        let Some(product) = number.digits.checked_mul(factor) else {
            return Err(self.too_large(text));
        };
        let divisor = 10_u128.pow(number.scale);
        if product % divisor != 0 {
            let message = format!("\"{text}\" is finer than {}", self.finest);
            return Err(QuantityError::new(Code::TooFine, message));
        }
        Ok((number.negative, product / divisor))
    }

    pub(super) fn too_large(&self, text: &str) -> QuantityError {
        QuantityError::new(
            Code::QuantityRange,
            format!("\"{}\" is too large for {}", shortened(text), self.what),
        )
    }

    /// The text of `amount` base units that reads best: a number of at least one if that can be, then the shortest
    /// number, then one without a point, then the one with the larger unit.
    pub(super) fn write(&self, negative: bool, amount: u128) -> String {
        if amount == 0 {
            return self.with_unit("0", self.usual);
        }
        let sign = if negative { "-" } else { "" };
        let texts = self.units.iter().rev().filter_map(|unit| {
            let number = decimal_text(amount, unit.factor)?;
            // Minutes, hours and days are for whole numbers: 1000.5s is no 16.675min.
            if unit.factor % 60 == 0 && number.contains('.') {
                return None;
            }
            Some((reading(&number), self.with_unit(&format!("{sign}{number}"), unit.name)))
        });
        texts
            .min_by_key(|(rank, _)| *rank)
            .map_or_else(|| amount.to_string(), |(_, text)| text)
    }

    /// The text of a node that should be a quantity of this kind, or a diagnostic.
    pub(super) fn text<'n>(&self, node: &'n Node, cx: &mut Cx) -> Option<&'n str> {
        let number = match &node.value {
            Value::Text(text) => return Some(text),
            Value::Integer(i) => i.to_string(),
            Value::Float(f) if f.is_finite() => super::write::number(*f),
            _ => {
                cx.wrong_shape(node, &format!("{} such as \"{}\"", self.what, self.example));
                return None;
            }
        };
        let message = format!("expected {} with its unit, found the number {number}", self.what);
        let error = QuantityError::new(Code::MissingUnit, message).note(self.units_listed());
        // Quantities are written without exponents.
        let error = match number.contains('e') {
            true => error,
            false => error.meant(self.with_unit(&number, self.usual)),
        };
        cx.push(error.diagnostic(node));
        None
    }
}

/// `amount / factor` as a decimal text, if it ends.
pub(super) fn decimal_text(amount: u128, factor: u128) -> Option<String> {
    let (whole, mut rest) = (amount / factor, amount % factor);
    let mut text = whole.to_string();
    if rest > 0 {
        text.push('.');
    }
    for _ in 0..MOST_DIGITS {
        if rest == 0 {
            return Some(text);
        }
        rest *= 10;
        text.push(char::from(b'0' + (rest / factor) as u8));
        rest %= factor;
    }
    None
}

/// How well a number reads: the least is the best.
pub(super) fn reading(number: &str) -> (bool, usize, bool) {
    (number.starts_with("0."), number.len(), number.contains('.'))
}
