//! Remove-wins set: of a concurrent insert and remove the remove holds.
//!
//! Guarantees that an element is in the set if and only if some insert of it is known, and every known remove of it was
//! observed by a later insert (the remove-wins set of Almeida, Shoker and Baquero, "Delta state replicated data types", JPDC
//! 2018, as `rworset` of their reference implementation). Inserts and removes alike carry a tag, and supersede the tags
//! that the accepting replica holds of the element; one tag of a remove keeps the element out.

use super::Lattice;
use super::kernel::{Kernel, Tag};
use crate::state::value::digest_of_set;
use crate::state::{Accept, Context, Dot, Fate, Keeping, KeyType, ModelInfo, Op, Size, Value, Versions, View};
use serde::{Deserialize, Serialize};

/// An element under the dot of an insert or of a remove.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Word {
    element: u64,
    dot: Dot,
    /// Whether it was inserted, not removed.
    insert: bool,
}

impl Tag for Word {
    fn element(self) -> u64 {
        self.element
    }

    fn dot(self) -> Dot {
        self.dot
    }
}

/// A set in which removes win over concurrent inserts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RemoveWinsSet(Kernel<Word>);

impl RemoveWinsSet {
    fn elements(&self) -> impl Iterator<Item = u64> + '_ {
        let same = self.0.tagged.chunk_by(|a, b| a.element == b.element);
        let present = same.filter(|words| words.iter().all(|word| word.insert));
        present.map(|words| words[0].element)
    }

    /// Of `element`, the lowest dot of the removes that hold.
    fn ban(&self, element: u64) -> Option<Dot> {
        let words = &self.0.tagged[self.0.span(element)];
        words.iter().find(|word| !word.insert).map(|word| word.dot)
    }
}

impl Lattice for RemoveWinsSet {
    const INFO: ModelInfo = ModelInfo {
        name: "rw-set",
        title: "Remove-wins set",
        keys: &[KeyType::Set],
        doc: "\
A set in which a remove that is concurrent to an insert wins: an element is present if and only if it was inserted and every known
remove of it had been seen by a later insert. Each insert and each remove carries a tag, and supersedes the tags of its element
that the accepting replica holds. The concurrent insert is a lost update: acknowledged, and on no replica.

- **Insert**: a tag that supersedes those seen, removes included.
- **Remove**: the same, with a tag that keeps the element out until an insert has seen it; of an absent element too.

Costs: 8 bytes and a bit (charged as a byte) for each tag, those of removed elements included, each of which also carries its
element; and 8 bytes for each replica that ever wrote the key.
",
    };
    const REALISATION: &'static str = "an insert or a remove supersedes the tags that the accepting replica holds; a tag of a remove keeps its element out, so concurrent removes win";
    const KEEPING: Keeping = Keeping::Removals;

    fn update(&mut self, op: Op, at: Accept<'_>, fates: &mut impl FnMut(Fate)) -> Self {
        let (element, insert) = match op {
            Op::Insert(element) => (element, true),
            Op::Remove(element) => (element, false),
            op => panic!("{op:?} is no operation on a set"),
        };
        let word = Word {
            element,
            dot: at.dot,
            insert,
        };
        let banned = self.ban(element).is_some();
        let mut olds = Vec::new();
        let news = self.0.replace(element, at.dot, Some(word), |old| olds.push(old));
        // An insert that a remove keeps out has lost already.
        olds.retain(|old| !(old.insert && banned));
        for old in olds.iter().filter(|old| old.insert && insert) {
            let (version, base) = (at.dot, old.dot);
            fates(Fate::BuiltOn { version, base });
        }
        fates(Fate::applied(at.dot));
        for old in olds.iter().filter(|old| old.insert != insert) {
            fates(Fate::outranked(old.dot, at.dot));
        }
        Self(news)
    }

    fn join(&mut self, other: &Self, fates: &mut impl FnMut(Fate)) -> bool {
        let joined = self.0.join(&other.0, fates);
        if !joined.changed {
            return false;
        }
        let mut affected: Vec<u64> = other.0.tagged.iter().map(|word| word.element).collect();
        for old in &joined.dropped {
            let now = &self.0.tagged[self.0.span(old.element)];
            // A tag that gave way to one of its own kind has lost nothing; whoever made that has said so.
            let gave_way = now.iter().any(|word| word.insert == old.insert);
            if !gave_way {
                fates(Fate::Outranked {
                    loser: old.dot,
                    winner: None,
                });
            }
            affected.push(old.element);
        }
        affected.sort_unstable();
        affected.dedup();
        for element in affected {
            let Some(ban) = self.ban(element) else { continue };
            for word in self.0.tagged[self.0.span(element)].iter().filter(|word| word.insert) {
                fates(Fate::outranked(word.dot, ban));
            }
        }
        true
    }

    fn view(&self) -> View {
        View {
            value: Value::Set(self.elements().collect()),
            versions: self.versions(),
            context: Context::default(),
        }
    }

    fn versions(&self) -> Versions {
        Versions::Effects(self.0.seen.clone())
    }

    fn context(&self) -> Context {
        Context::default()
    }

    fn digest(&self) -> u64 {
        digest_of_set(self.elements())
    }

    fn state_hash(&self) -> u64 {
        self.0.state_hash()
    }

    fn tombstones(&self) -> u64 {
        self.0.tagged.iter().filter(|word| !word.insert).count() as u64
    }

    fn size(&self) -> Size {
        if self.0.seen.is_empty() {
            return Size::default();
        }
        let same = self.0.tagged.chunk_by(|a, b| a.element == b.element);
        let (named, present) = (same.count() as u64, self.elements().count() as u64);
        Size {
            values: present,
            spare: named - present,
            text: 0,
            metadata: self.0.dot_bytes() + self.0.tagged.len() as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::Origin;

    fn at(replica: u16, number: u32) -> Accept<'static> {
        Accept {
            dot: Dot::new(Origin::new(replica, 0), number),
            stamp: 0,
            context: None,
        }
    }

    #[test]
    fn a_concurrent_remove_wins_until_an_insert_has_seen_it() {
        let (mut a, mut b) = (RemoveWinsSet::default(), RemoveWinsSet::default());
        let first = a.update(Op::Insert(1), at(0, 1), &mut |_| {});
        b.join(&first, &mut |_| {});
        let remove = a.update(Op::Remove(1), at(0, 2), &mut |_| {});
        let again = b.update(Op::Insert(1), at(1, 1), &mut |_| {});
        let mut fates = Vec::new();
        a.join(&again, &mut |fate| fates.push(fate));
        b.join(&remove, &mut |_| {});
        assert_eq!(a, b);
        assert_eq!(a.view().value, Value::Set(vec![]));
        assert_eq!(
            fates,
            [Fate::applied(at(1, 1).dot), Fate::outranked(at(1, 1).dot, at(0, 2).dot)]
        );
        let size = a.size();
        assert_eq!(
            (size.values, size.spare, size.metadata),
            (0, 1, (4 + 16 + 4) + (4 + 16) + 2)
        );
        let back = b.update(Op::Insert(1), at(1, 2), &mut |_| {});
        a.join(&back, &mut |_| {});
        assert_eq!(a, b);
        assert_eq!(a.view().value, Value::Set(vec![1]));
    }
}
