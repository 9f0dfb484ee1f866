//! What is wrong with a history: the smallest convincing part of it, and a sentence that says why.

pub(in crate::check) mod causes;
pub(in crate::check) mod real_time;
pub(in crate::check) mod shrink;
mod words;

pub use words::Detail;
pub(in crate::check) use words::{Words, either, of_key};

use super::history::{History, Key};

/// An operation in a few words, as on its bar in a diagram: "w9 x write 5", "r7 read 3", or shorter.
pub fn label(history: &History, operation: usize, with_key: bool, detail: Detail) -> String {
    Words(history).label(operation, with_key, detail)
}

/// A violation of a model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// What kind it is, in the field's words: "stale read".
    pub kind: &'static str,
    /// Why it is one, in a sentence without a full stop.
    pub why: String,
    /// The object, if it is about one.
    pub key: Option<Key>,
    /// The operations that suffice to see it, by their numbers in the history, in the order of their invocations.
    pub part: Vec<usize>,
    /// Those of them that contradict each other most directly.
    pub marked: Vec<usize>,
    /// Whether none of the operations can be left out.
    pub is_minimal: bool,
}
