//! A value as both file formats have it, before it is known what it means.

use super::Value;

/// A value of EDN or JSON. Lists stand for all of EDN's collections but maps.
#[derive(Debug, Clone, PartialEq)]
pub enum Raw {
    /// `nil`, `null`.
    Nil,
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Real(f64),
    /// A text; keywords with their colon.
    Text(String),
    /// A vector, list or set.
    List(Vec<Raw>),
    /// A map.
    Map(Vec<(Raw, Raw)>),
}

/// The most digits of a number with a fraction or an exponent: those that a float of 64 bits can take to be told from its
/// neighbours.
const DIGITS: usize = 17;

/// The number that a text is: an integer of 64 bits, or a float. A plus sign may stand before it.
///
/// # Errors
/// If it is no number, or one that would be read as another: whole numbers of more than 64 bits, others of more than 17 digits or
/// without bounds. Two different numbers must never become one value. The message says so.
pub fn number(text: &str) -> Result<Raw, String> {
    let shown = || text.chars().take(40).collect::<String>();
    if let Ok(whole) = text.parse() {
        return Ok(Raw::Int(whole));
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if unsigned.bytes().all(|byte| byte.is_ascii_digit()) && !unsigned.is_empty() {
        return Err(format!("{} doesn't fit 64 bits", shown()));
    }
    let mantissa = unsigned.split(['e', 'E']).next().unwrap_or_default();
    let digits: Vec<u8> = mantissa.bytes().filter(u8::is_ascii_digit).collect();
    let first = digits.iter().position(|digit| *digit != b'0').unwrap_or(digits.len());
    let last = digits
        .iter()
        .rposition(|digit| *digit != b'0')
        .map_or(first, |at| at + 1);
    match text.parse::<f64>() {
        Ok(real) if !real.is_finite() || (real == 0.0 && first < last) => {
            Err(format!("{} is beyond what a float of 64 bits holds", shown()))
        }
        Ok(_) if last - first > DIGITS => Err(format!(
            "{} has more digits than a float of 64 bits keeps, which are {DIGITS}",
            shown()
        )),
        Ok(real) => Ok(Raw::Real(real)),
        Err(_) => Err(format!("{} is no number", shown())),
    }
}

impl Raw {
    /// The value, if it is one and no collection.
    pub fn scalar(&self) -> Option<Value> {
        match self {
            Self::Nil => Some(Value::Nil),
            Self::Bool(value) => Some(Value::Bool(*value)),
            Self::Int(value) => Some(Value::Int(*value)),
            // Zero has two representations, and a value only one.
            Self::Real(value) => Some(Value::Real((value + 0.0).to_bits())),
            Self::Text(text) => Some(Value::Text(text.clone())),
            Self::List(_) | Self::Map(_) => None,
        }
    }

    /// The items, if it is a list.
    pub fn list(&self) -> Option<&[Self]> {
        match self {
            Self::List(items) => Some(items),
            _ => None,
        }
    }

    /// The text without the colon of a keyword, if it is a text.
    pub fn word(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text.strip_prefix(':').unwrap_or(text)),
            _ => None,
        }
    }

    /// The value of a keyword in a map.
    pub fn get(&self, name: &str) -> Option<&Self> {
        let Self::Map(entries) = self else { return None };
        let entry = entries.iter().find(|(key, _)| key.word() == Some(name));
        entry.map(|(_, value)| value)
    }

    /// Whether a map has a keyword twice, which makes it no map.
    pub fn has_twice(&self, name: &str) -> bool {
        let Self::Map(entries) = self else { return false };
        entries.iter().filter(|(key, _)| key.word() == Some(name)).count() > 1
    }

    /// The value in words, shortened.
    pub fn shown(&self) -> String {
        let text = match self {
            Self::List(items) => {
                let items: Vec<String> = items.iter().take(8).map(Self::shown).collect();
                format!("[{}]", items.join(" "))
            }
            Self::Map(_) => "a map".to_string(),
            other => other.scalar().map(|value| value.to_string()).unwrap_or_default(),
        };
        if text.chars().count() > 60 {
            text.chars().take(59).chain(['…']).collect()
        } else {
            text
        }
    }
}
