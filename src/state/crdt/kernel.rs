//! Tags under a causal context: what the sets are made of.
//!
//! A state is a collection of tags, each under the dot of the update that made it, and the dots that were seen. A dot that
//! was seen and has no tag is that of a tag which is gone (the causal stores of Almeida, Shoker and Baquero, "Delta state
//! replicated data types", JPDC 2018, section 7). So a join needs no tombstones, and states may come in any order.

use crate::state::{Dot, DotSet, Fate, hash, wire};
use serde::{Deserialize, Serialize};

/// A tag of an element; ordered by element first.
pub(super) trait Tag: Copy + Ord {
    /// What it is about.
    fn element(self) -> u64;
    /// The update that made it.
    fn dot(self) -> Dot;
}

/// An element under the dot of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct Tagged {
    pub element: u64,
    pub dot: Dot,
}

impl Tag for Tagged {
    fn element(self) -> u64 {
        self.element
    }

    fn dot(self) -> Dot {
        self.dot
    }
}

/// Tags and the dots that were seen.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kernel<T> {
    /// Ascending; all dots are in `seen`.
    pub tagged: Vec<T>,
    pub seen: DotSet,
}

impl<T> Default for Kernel<T> {
    fn default() -> Self {
        Self {
            tagged: Vec::new(),
            seen: DotSet::default(),
        }
    }
}

/// What a join did.
#[derive(Debug)]
pub(super) struct Joined<T> {
    /// Tags that are gone.
    pub dropped: Vec<T>,
    /// Whether anything is another than before.
    pub changed: bool,
}

impl<T: Tag> Kernel<T> {
    /// The tags of `element`, by their places.
    pub fn span(&self, element: u64) -> std::ops::Range<usize> {
        let start = self.tagged.partition_point(|tag| tag.element() < element);
        let length = self.tagged[start..]
            .iter()
            .take_while(|tag| tag.element() == element)
            .count();
        start..start + length
    }

    /// Puts `tag` in the place of all tags of its element, which go to `old`; returns the fragment that says so.
    pub fn replace(&mut self, element: u64, dot: Dot, tag: Option<T>, mut old: impl FnMut(T)) -> Self {
        let span = self.span(element);
        let place = span.start;
        let mut news = Self {
            tagged: Vec::new(),
            seen: DotSet::one(dot),
        };
        for gone in self.tagged.drain(span) {
            news.seen.insert(gone.dot());
            old(gone);
        }
        if let Some(tag) = tag {
            self.tagged.insert(place, tag);
            news.tagged.push(tag);
        }
        self.seen.insert(dot);
        news
    }

    /// Whether `other` may have seen the end of something that this state holds. Fragments of single inserts mostly haven't,
    /// and that is quickly told; larger ones aren't looked into.
    fn may_lose_to(&self, other: &Self) -> bool {
        let holds = |dot| other.tagged.iter().any(|theirs| theirs.dot() == dot);
        other.seen.len() > 8 || other.seen.dots().any(|dot| self.seen.contains(dot) && !holds(dot))
    }

    /// Takes in what `other` knows. What it saw for the first time is told as applied.
    pub fn join(&mut self, other: &Self, fates: &mut impl FnMut(Fate)) -> Joined<T> {
        other.seen.beyond(&self.seen, &mut |range| fates(Fate::Applied(range)));
        let mut dropped = Vec::new();
        if self.may_lose_to(other) {
            self.tagged.retain(|ours| {
                let gone = other.seen.contains(ours.dot()) && other.tagged.binary_search(ours).is_err();
                if gone {
                    dropped.push(*ours);
                }
                !gone
            });
        }
        let mut changed = !dropped.is_empty();
        for theirs in &other.tagged {
            if self.seen.contains(theirs.dot()) {
                continue;
            }
            if let Err(place) = self.tagged.binary_search(theirs) {
                self.tagged.insert(place, *theirs);
                changed = true;
            }
        }
        if !self.seen.includes(&other.seen) {
            self.seen.join(&other.seen);
            changed = true;
        }
        Joined { dropped, changed }
    }

    /// A hash of the tags and of what was seen.
    pub fn state_hash(&self) -> u64 {
        self.tagged
            .iter()
            .fold(self.seen.hash(0), |hash, tag| hash::chain(hash, tag.dot().bits()))
    }

    /// Bytes of the dots: those of the tags, and the seen ones.
    pub fn dot_bytes(&self) -> u64 {
        self.seen.bytes() + wire::COUNT + wire::DOT * self.tagged.len() as u64
    }
}
