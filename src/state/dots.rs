//! Identities of effects, and compact sets of them.
//!
//! A [`Dot`] names one accepted update of a key. A [`VersionVector`] holds a contiguous run 1..=n for each origin; a
//! [`DotSet`] adds the dots that came out of order (Almeida, Baquero, Gonçalves, Preguiça and Fonte, "Scalable and accurate
//! causality tracking for eventually consistent stores", DAIS 2014). Both are kept in canonical form, so equal sets are
//! equal values.

use super::{hash, wire};
use serde::{Deserialize, Serialize};
use std::fmt;

/// A replica in one of its lives: a replica that lost its state comes back under the next life.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Origin(u32);

impl Origin {
    /// The replica's `life`-th life, from 0. Origins are ordered by replica, then by life.
    pub const fn new(replica: u16, life: u16) -> Self {
        Self((replica as u32) << 16 | life as u32)
    }

    /// The replica's index in its store.
    pub const fn replica(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// How often the replica had lost its state before.
    pub const fn life(self) -> u16 {
        self.0 as u16
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.replica())?;
        if self.life() > 0 {
            write!(f, "'{}", self.life())?;
        }
        Ok(())
    }
}

/// The identity of one accepted update of a key: the `number`-th one (from 1) of that key that `origin` accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Dot {
    /// Who accepted it.
    pub origin: Origin,
    /// Its number among the updates of this key that the origin accepted; 1 is the first.
    pub number: u32,
}

impl Dot {
    /// The `number`-th update that `origin` accepted.
    pub const fn new(origin: Origin, number: u32) -> Self {
        Self { origin, number }
    }

    /// The dot as one word, for hashing and for records.
    pub const fn bits(self) -> u64 {
        (self.origin.0 as u64) << 32 | self.number as u64
    }

    /// The dot of [`Dot::bits`].
    pub const fn from_bits(bits: u64) -> Self {
        Self {
            origin: Origin((bits >> 32) as u32),
            number: bits as u32,
        }
    }
}

impl fmt::Display for Dot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.origin, self.number)
    }
}

/// The dots `first..=last` of one origin; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DotRange {
    /// Who accepted them.
    pub origin: Origin,
    /// The lowest number.
    pub first: u32,
    /// The highest number.
    pub last: u32,
}

impl DotRange {
    /// The range of one dot.
    pub const fn one(dot: Dot) -> Self {
        Self {
            origin: dot.origin,
            first: dot.number,
            last: dot.number,
        }
    }

    /// Its dots, ascending.
    pub fn dots(self) -> impl Iterator<Item = Dot> {
        (self.first..=self.last).map(move |number| Dot::new(self.origin, number))
    }
}

/// For each origin, that its first n updates are in: sorted by origin, no zeros.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VersionVector(Vec<Dot>);

impl VersionVector {
    /// The vector with these highest dots, which are ascending, of different origins, and not zero.
    pub(crate) fn from_tops(tops: Vec<Dot>) -> Self {
        debug_assert!(tops.is_sorted_by(|a, b| a.origin < b.origin) && tops.iter().all(|top| top.number > 0));
        Self(tops)
    }

    /// How many updates of `origin` are in.
    pub fn get(&self, origin: Origin) -> u32 {
        match self.find(origin) {
            Ok(place) => self.0[place].number,
            Err(_) => 0,
        }
    }

    /// Whether `dot` is in.
    pub fn contains(&self, dot: Dot) -> bool {
        dot.number <= self.get(dot.origin)
    }

    /// Raises `origin`'s component to at least `number`.
    pub fn raise(&mut self, origin: Origin, number: u32) {
        match self.find(origin) {
            Ok(place) => self.0[place].number = self.0[place].number.max(number),
            Err(place) if number > 0 => self.0.insert(place, Dot::new(origin, number)),
            Err(_) => {}
        }
    }

    /// The least vector above both.
    pub fn join(&mut self, other: &Self) {
        for top in &other.0 {
            self.raise(top.origin, top.number);
        }
    }

    /// Whether everything in `other` is in this one too.
    pub fn descends(&self, other: &Self) -> bool {
        other.0.iter().all(|top| self.contains(*top))
    }

    /// The highest dot of each origin, by origin.
    pub fn tops(&self) -> &[Dot] {
        &self.0
    }

    /// Whether nothing is in.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes on the wire: a count and eight bytes for each origin.
    pub fn bytes(&self) -> u64 {
        wire::COUNT + wire::DOT * self.0.len() as u64
    }

    /// Adds the vector to a running hash.
    pub(crate) fn hash(&self, start: u64) -> u64 {
        self.0.iter().fold(start, |hash, top| hash::chain(hash, top.bits()))
    }

    fn find(&self, origin: Origin) -> Result<usize, usize> {
        // Most keys are written by a handful of origins, where a scan beats the branches of a binary search.
        if self.0.len() > 8 {
            return self.0.binary_search_by_key(&origin, |top| top.origin);
        }
        match self.0.iter().position(|top| top.origin >= origin) {
            Some(place) if self.0[place].origin == origin => Ok(place),
            Some(place) => Err(place),
            None => Err(self.0.len()),
        }
    }
}

/// A set of dots: a version vector, and the dots beyond its first gap of each origin.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DotSet {
    vector: VersionVector,
    /// Ascending; each is at least two above its origin's component, or follows one that is.
    loose: Vec<Dot>,
}

impl DotSet {
    /// The empty set.
    pub const NONE: Self = Self {
        vector: VersionVector(Vec::new()),
        loose: Vec::new(),
    };

    /// The set of one dot.
    pub fn one(dot: Dot) -> Self {
        let mut set = Self::default();
        set.insert(dot);
        set
    }

    /// Whether `dot` is in.
    pub fn contains(&self, dot: Dot) -> bool {
        self.vector.contains(dot) || self.loose.binary_search(&dot).is_ok()
    }

    /// Whether nothing is in.
    pub fn is_empty(&self) -> bool {
        self.vector.is_empty() && self.loose.is_empty()
    }

    /// How many dots are in.
    pub fn len(&self) -> u64 {
        self.vector.tops().iter().map(|top| u64::from(top.number)).sum::<u64>() + self.loose.len() as u64
    }

    /// The contiguous part.
    pub fn vector(&self) -> &VersionVector {
        &self.vector
    }

    /// The dots beyond the contiguous part, ascending.
    pub fn loose(&self) -> &[Dot] {
        &self.loose
    }

    /// The highest number of `origin` that is in, contiguous or not.
    pub fn highest(&self, origin: Origin) -> u32 {
        let end = self.loose.partition_point(|dot| dot.origin <= origin);
        match self.loose[..end].last() {
            Some(dot) if dot.origin == origin => dot.number,
            _ => self.vector.get(origin),
        }
    }

    /// Puts `dot` in; true if it was not there.
    pub fn insert(&mut self, dot: Dot) -> bool {
        let top = self.vector.get(dot.origin);
        if dot.number <= top {
            return false;
        }
        if dot.number == top + 1 {
            self.vector.raise(dot.origin, dot.number);
            if !self.loose.is_empty() {
                self.compact();
            }
            return true;
        }
        match self.loose.binary_search(&dot) {
            Ok(_) => false,
            Err(place) => {
                self.loose.insert(place, dot);
                true
            }
        }
    }

    /// Puts the first `last.number` dots of `last`'s origin in.
    pub fn insert_run(&mut self, last: Dot) {
        self.vector.raise(last.origin, last.number);
        if !self.loose.is_empty() {
            self.compact();
        }
    }

    /// The union.
    pub fn join(&mut self, other: &Self) {
        self.vector.join(&other.vector);
        if !other.loose.is_empty() {
            self.loose.extend_from_slice(&other.loose);
            self.loose.sort_unstable();
            self.loose.dedup();
        }
        if !self.loose.is_empty() {
            self.compact();
        }
    }

    /// Whether everything in `other` is in this set too.
    pub fn includes(&self, other: &Self) -> bool {
        let mut all = true;
        other.beyond(self, &mut |_| all = false);
        all
    }

    /// Names what is in this set and not in `held`, as ranges, by origin.
    pub fn beyond(&self, held: &Self, emit: &mut impl FnMut(DotRange)) {
        for top in self.vector.tops() {
            let mut first = held.vector.get(top.origin) + 1;
            let start = held.loose.partition_point(|dot| dot.origin < top.origin);
            for dot in held.loose[start..].iter().take_while(|dot| dot.origin == top.origin) {
                if dot.number > top.number {
                    break;
                }
                if dot.number > first {
                    emit(DotRange {
                        origin: top.origin,
                        first,
                        last: dot.number - 1,
                    });
                }
                first = dot.number + 1;
            }
            if first <= top.number {
                emit(DotRange {
                    origin: top.origin,
                    first,
                    last: top.number,
                });
            }
        }
        for dot in &self.loose {
            if !held.contains(*dot) {
                emit(DotRange::one(*dot));
            }
        }
    }

    /// All dots, by origin and number: the contiguous ones first.
    pub fn dots(&self) -> impl Iterator<Item = Dot> + '_ {
        let runs = self.vector.tops().iter();
        let contiguous = runs.flat_map(|top| {
            DotRange {
                origin: top.origin,
                first: 1,
                last: top.number,
            }
            .dots()
        });
        contiguous.chain(self.loose.iter().copied())
    }

    /// Bytes on the wire: the vector, a count, and eight bytes for each loose dot.
    pub fn bytes(&self) -> u64 {
        self.vector.bytes() + wire::COUNT + wire::DOT * self.loose.len() as u64
    }

    /// Adds the set to a running hash.
    pub(crate) fn hash(&self, start: u64) -> u64 {
        let vector = self.vector.hash(start);
        self.loose
            .iter()
            .fold(hash::chain(vector, 0), |hash, dot| hash::chain(hash, dot.bits()))
    }

    /// Moves loose dots that follow their vector component into it, and drops those that it covers.
    fn compact(&mut self) {
        let vector = &mut self.vector;
        self.loose.retain(|dot| {
            let top = vector.get(dot.origin);
            if dot.number == top + 1 {
                vector.raise(dot.origin, dot.number);
            }
            dot.number > top + 1
        });
    }
}

impl From<VersionVector> for DotSet {
    fn from(vector: VersionVector) -> Self {
        Self {
            vector,
            loose: Vec::new(),
        }
    }
}

impl FromIterator<Dot> for DotSet {
    fn from_iter<I: IntoIterator<Item = Dot>>(dots: I) -> Self {
        let mut set = Self::default();
        for dot in dots {
            set.insert(dot);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn dots() -> impl Strategy<Value = Vec<Dot>> {
        prop::collection::vec(
            (0u16..3, 1u32..9).prop_map(|(r, n)| Dot::new(Origin::new(r, 0), n)),
            0..20,
        )
    }

    proptest! {
        #[test]
        fn a_dot_set_is_a_set_of_dots(a in dots(), b in dots()) {
            let (x, y): (BTreeSet<Dot>, BTreeSet<Dot>) = (a.iter().copied().collect(), b.iter().copied().collect());
            let (s, t): (DotSet, DotSet) = (a.iter().copied().collect(), b.iter().copied().collect());
            prop_assert_eq!(s.dots().collect::<BTreeSet<_>>(), x.clone());
            prop_assert_eq!(s.len(), x.len() as u64);
            let mut union = s.clone();
            union.join(&t);
            // Canonical: however a set came about, it is the same value.
            prop_assert_eq!(&union, &x.union(&y).copied().collect::<DotSet>());
            let mut missing = Vec::new();
            s.beyond(&t, &mut |range| missing.extend(range.dots()));
            missing.sort_unstable();
            prop_assert_eq!(missing, x.difference(&y).copied().collect::<Vec<_>>());
            prop_assert_eq!(t.includes(&s), x.is_subset(&y));
            for replica in 0..3 {
                let origin = Origin::new(replica, 0);
                let highest = x.iter().filter(|dot| dot.origin == origin).map(|dot| dot.number).max();
                prop_assert_eq!(s.highest(origin), highest.unwrap_or(0));
                for number in 1..10 {
                    let dot = Dot::new(origin, number);
                    prop_assert_eq!(s.contains(dot), x.contains(&dot));
                }
            }
        }

        #[test]
        fn vectors_are_ordered_by_components(a in prop::collection::vec(0u32..4, 12), b in prop::collection::vec(0u32..4, 12)) {
            let vector = |parts: &[u32]| {
                let mut vector = VersionVector::default();
                for (replica, number) in parts.iter().enumerate() {
                    vector.raise(Origin::new(replica as u16, 1), *number);
                }
                vector
            };
            let (v, w) = (vector(&a), vector(&b));
            prop_assert_eq!(v.descends(&w), a.iter().zip(&b).all(|(x, y)| x >= y));
            let mut join = v.clone();
            join.join(&w);
            let most: Vec<u32> = a.iter().zip(&b).map(|(x, y)| *x.max(y)).collect();
            prop_assert_eq!(join, vector(&most));
        }
    }

    #[test]
    fn bits_and_text_name_the_dot() {
        let dot = Dot::new(Origin::new(7, 2), 19);
        assert_eq!(Dot::from_bits(dot.bits()), dot);
        assert_eq!(dot.to_string(), "r7'2:19");
        assert_eq!(Dot::new(Origin::new(3, 0), 1).to_string(), "r3:1");
        assert!(Origin::new(1, 9) < Origin::new(2, 0));
    }
}
