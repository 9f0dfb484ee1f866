//! A whole text as one version of a key holds it.
//!
//! Guarantees that every character keeps its identity, through whatever versions it lives: the update that inserted it, and
//! its place among what that update inserted. No model decides anything by it; it is how the judge knows which characters
//! a deletion took.

use super::value::{characters_hash, digest_of_text, push_span};
use super::{Char, Dot, Fate, Op, Span, hash};
use serde::{Deserialize, Serialize};

/// Characters that one update inserted, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Part {
    /// The first of them.
    first: Char,
    /// What it is, in the table of characters.
    from: u32,
    length: u32,
}

/// A text.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document(Vec<Part>);

impl Document {
    /// The text after an update, with word of the place where it inserts or the characters that it deletes.
    ///
    /// # Panics
    /// Panics if `op` is no operation on a text.
    pub(crate) fn after(&self, op: Op, version: Dot, fates: &mut impl FnMut(Fate)) -> Self {
        let mut next = self.clone();
        match op {
            Op::InsertText { at, from, length } => {
                let place = next.split(at);
                let after = place.checked_sub(1).map(|before| {
                    let Part { first, length, .. } = next.0[before];
                    Char {
                        place: first.place + length - 1,
                        ..first
                    }
                });
                fates(Fate::Placed { version, after });
                let first = Char { dot: version, place: 0 };
                if length > 0 {
                    next.0.insert(place, Part { first, from, length });
                }
            }
            Op::DeleteText { at, length } => {
                let (start, end) = (next.split(at), next.split(at.saturating_add(length)));
                for part in next.0.drain(start..end) {
                    fates(Fate::Took {
                        version,
                        first: part.first,
                        length: part.length,
                    });
                }
            }
            op => panic!("{op:?} is no operation on a text"),
        }
        next
    }

    /// Makes a part begin at this position, or at the end if that comes first; its place.
    fn split(&mut self, at: u32) -> usize {
        let mut left = at;
        for place in 0..self.0.len() {
            if left == 0 {
                return place;
            }
            let part = self.0[place];
            if left < part.length {
                let rest = Part {
                    first: Char {
                        place: part.first.place + left,
                        ..part.first
                    },
                    from: part.from + left,
                    length: part.length - left,
                };
                self.0[place].length = left;
                self.0.insert(place + 1, rest);
                return place + 1;
            }
            left -= part.length;
        }
        self.0.len()
    }

    /// How many characters it has.
    pub fn length(&self) -> u64 {
        self.0.iter().map(|part| u64::from(part.length)).sum()
    }

    /// As a reader sees it.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for part in &self.0 {
            push_span(&mut spans, part.span());
        }
        spans
    }

    /// The digest of the text.
    pub fn digest(&self) -> u64 {
        let spans = self.0.iter().map(|part| part.span());
        let hashes = spans.map(|span| characters_hash(span.id, span.length));
        digest_of_text(hashes.fold(0, u64::wrapping_add))
    }
}

impl Part {
    fn span(self) -> Span {
        Span {
            id: hash::mix(self.first.dot.bits()).wrapping_add(u64::from(self.first.place)),
            from: self.from,
            length: self.length,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Origin;

    #[test]
    fn edits_keep_identities() {
        let dot = |number| Dot::new(Origin::new(0, 0), number);
        let insert = |at, from, length| Op::InsertText { at, from, length };
        let mut fates = Vec::new();
        let one = Document::default().after(insert(9, 100, 5), dot(1), &mut |fate| fates.push(fate));
        let two = one.after(insert(2, 200, 2), dot(2), &mut |fate| fates.push(fate));
        let three = two.after(Op::DeleteText { at: 1, length: 4 }, dot(3), &mut |fate| {
            fates.push(fate)
        });
        let char = |number, place| Char {
            dot: dot(number),
            place,
        };
        let took = |first, length| Fate::Took {
            version: dot(3),
            first,
            length,
        };
        assert_eq!(
            fates,
            [
                Fate::Placed {
                    version: dot(1),
                    after: None
                },
                Fate::Placed {
                    version: dot(2),
                    after: Some(char(1, 1))
                },
                took(char(1, 1), 1),
                took(char(2, 0), 2),
                took(char(1, 2), 1),
            ]
        );
        let content = |document: &Document| -> Vec<u32> {
            let spans = document.spans();
            spans
                .iter()
                .flat_map(|span| span.from..span.from + span.length)
                .collect()
        };
        assert_eq!(content(&two), [100, 101, 200, 201, 102, 103, 104]);
        assert_eq!(content(&three), [100, 103, 104]);
        assert_eq!((one.length(), three.length()), (5, 3));
    }
}
