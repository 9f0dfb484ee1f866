//! Number tokens: integers in four bases and floats, with the rules of the `ron` crate for underscores.
//!
//! Integers outside `i64::MIN..=u64::MAX` are refused, as `ron` refuses them; floats are the nearest `f64`.

use super::codes::Code;
use super::diagnostic::Diagnostic;
use super::lexer::suffix_refused;
use super::source::Span;

pub(super) enum Number {
    Integer(i128),
    Float(f64),
}

#[derive(Debug, PartialEq)]
pub(super) enum Problem {
    /// `1..5`.
    Range,
    /// `5u8`: the number ends here.
    Suffix(usize),
    /// `250ms`, `40/s`, `2%`.
    Unit,
    TooLarge,
    Malformed,
}

impl Problem {
    pub fn diagnostic(self, run: &str, span: Span) -> Diagnostic {
        match self {
            Self::Range => Diagnostic::error(Code::Unsupported, span, "ranges are not part of the scenario language"),
            Self::Suffix(keep) => suffix_refused(span, run, keep),
            Self::Unit => Diagnostic::error(Code::BadNumber, span, format!("`{run}` is not a number")).replace(
                "a quantity with its unit stands in quotes",
                span,
                format!("\"{run}\""),
            ),
            Self::TooLarge => {
                Diagnostic::error(Code::NumberTooLarge, span, format!("{run} is too large for an integer"))
                    .note(format!("integers lie between {} and {}", i64::MIN, u64::MAX))
            }
            Self::Malformed => Diagnostic::error(Code::BadNumber, span, format!("`{run}` is not a number")),
        }
    }
}

/// Reads a whole token that starts with a digit, a sign or a dot.
pub(super) fn read(run: &str) -> Result<Number, Problem> {
    let (negative, body) = match run.as_bytes()[0] {
        b'-' => (true, &run[1..]),
        b'+' => (false, &run[1..]),
        _ => (false, run),
    };
    match body {
        "inf" if negative => return Ok(Number::Float(f64::NEG_INFINITY)),
        "inf" => return Ok(Number::Float(f64::INFINITY)),
        "NaN" => return Ok(Number::Float(f64::NAN)),
        _ => {}
    }
    if body.contains("..") {
        return Err(Problem::Range);
    }
    for (prefix, base) in [("0x", 16), ("0o", 8), ("0b", 2)] {
        if let Some(digits) = body.strip_prefix(prefix) {
            return integer(digits, base, negative)
                .map(Number::Integer)
                .map_err(|p| suffix(run, p));
        }
    }
    if !body.is_empty() && body.bytes().all(|b| b.is_ascii_digit() || b == b'_') {
        return integer(body, 10, negative).map(Number::Integer);
    }
    float(body, negative)
        .map(Number::Float)
        .ok_or_else(|| suffix(run, Problem::Malformed))
}

fn integer(digits: &str, base: u32, negative: bool) -> Result<i128, Problem> {
    if digits.is_empty() || digits.starts_with('_') {
        return Err(Problem::Malformed);
    }
    let mut magnitude = 0_i128;
    for c in digits.chars().filter(|&c| c != '_') {
        let digit = c.to_digit(base).ok_or(Problem::Malformed)?;
        magnitude = magnitude * i128::from(base) + i128::from(digit);
        // Checked at every digit, so that no number of digits overflows.
        if magnitude
            > if negative {
                -i128::from(i64::MIN)
            } else {
                i128::from(u64::MAX)
            }
        {
            return Err(Problem::TooLarge);
        }
    }
    Ok(if negative { -magnitude } else { magnitude })
}

fn float(body: &str, negative: bool) -> Option<f64> {
    let mut plain = String::with_capacity(body.len());
    let mut underscore = false;
    for c in body.chars() {
        match c {
            '_' if underscore => continue,
            '0'..='9' | 'e' | 'E' => underscore = true,
            '.' => underscore = false,
            '+' | '-' => {}
            _ => return None,
        }
        plain.push(c);
    }
    let value: f64 = plain.parse().ok()?;
    Some(if negative { -value } else { value })
}

/// Finds out what somebody meant who wrote letters behind a number.
fn suffix(run: &str, otherwise: Problem) -> Problem {
    if otherwise == Problem::TooLarge {
        return otherwise;
    }
    let types = [
        "i8", "i16", "i32", "i64", "i128", "u8", "u16", "u32", "u64", "u128", "f32", "f64", "usize", "isize",
    ];
    if let Some(name) = types.iter().find(|t| run.ends_with(*t)) {
        let keep = run.len() - name.len();
        if keep > 0 && read(&run[..keep]).is_ok() {
            return Problem::Suffix(keep);
        }
    }
    let number = run.trim_end_matches(|c: char| c.is_alphabetic() || matches!(c, '/' | '%'));
    if !number.is_empty() && number.len() < run.len() && number.ends_with(|c: char| c.is_ascii_digit()) {
        return Problem::Unit;
    }
    otherwise
}
