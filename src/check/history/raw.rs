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
