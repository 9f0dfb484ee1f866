//! What breaks a model, in words.

use crate::check::history::Key;

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::check) struct Finding {
    /// The kind of violation, with Adya's name for it where it has one.
    pub kind: &'static str,
    /// A sentence without a full stop.
    pub why: String,
    /// The operations that it rests on.
    pub operations: Vec<usize>,
    /// Those that contradict each other most directly.
    pub marked: Vec<usize>,
    /// The object, if it is one.
    pub key: Option<Key>,
    /// Whether it is about elements that nobody appended, or that are there too often: then the operations can't be reduced.
    pub is_shown_whole: bool,
}
