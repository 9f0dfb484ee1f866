//! The characters of a text in their order, as runs, with an index of positions.
//!
//! The order is that of RGA (Roh, Jeon, Kim and Lee, "Replicated abstract data types: building blocks for collaborative
//! applications", JPDC 2011): characters are the nodes of a tree, each below the one that it was inserted after, siblings
//! descending by their ids, and the text is the tree in depth-first order. Ids are Lamport times with origins, so a
//! character's is above its parent's, and that gives the place of a new one without looking at the tree: right of its parent,
//! past everything of a higher id. Characters that were typed one after another are one run (block-wise RGA: Briot, Urso
//! and Shapiro, "High responsiveness for group editing CRDTs", GROUP 2016).
//!
//! Runs lie in chunks of some dozens, and a Fenwick tree over the chunks counts what is visible: a position or an id is found
//! in logarithmic time and a scan of one chunk.

use crate::state::value::{characters_hash, push_span};
use crate::state::{Dot, Origin, Span};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Runs in a chunk before it is halved.
const CHUNK: usize = 48;

/// The identity of a character: ordered by time, then by origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) struct CharId {
    /// Lamport time: one more than the highest that the origin knew of.
    pub time: u32,
    pub origin: Origin,
}

impl CharId {
    /// The `n`-th character after this one of the same run.
    pub fn after(self, n: u32) -> Self {
        Self {
            time: self.time + n,
            ..self
        }
    }

    /// As one word.
    pub fn bits(self) -> u64 {
        Dot::new(self.origin, self.time).bits()
    }
}

/// Characters that follow each other in the text, in time and in content, each inserted after the one before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Run {
    /// The first character.
    pub id: CharId,
    pub length: u32,
    /// What the first one is, in the table of characters.
    pub from: u32,
    /// What the first one was inserted after; `None`: at the beginning.
    pub left: Option<CharId>,
    /// The deletions of these characters, ascending: tombstones have some.
    pub erased: Vec<Dot>,
}

impl Run {
    pub fn last(&self) -> CharId {
        self.id.after(self.length - 1)
    }

    pub fn end(&self) -> u32 {
        self.id.time + self.length
    }

    pub fn is_visible(&self) -> bool {
        self.erased.is_empty()
    }

    fn visible(&self) -> u32 {
        if self.is_visible() { self.length } else { 0 }
    }

    fn hash(&self) -> u64 {
        characters_hash(self.id.bits(), self.length)
    }

    pub fn span(&self) -> Span {
        Span {
            id: self.id.bits(),
            from: self.from,
            length: self.length,
        }
    }

    /// Whether `next`, which follows in the text, goes on where this one ends.
    pub fn runs_on(&self, next: &Self) -> bool {
        self.last().after(1) == next.id
            && next.left == Some(self.last())
            && self.from + self.length == next.from
            && self.erased == next.erased
    }

    /// What comes after the first `length` characters.
    pub fn rest(&self, length: u32) -> Self {
        Self {
            id: self.id.after(length),
            length: self.length - length,
            from: self.from + length,
            left: Some(self.id.after(length - 1)),
            erased: self.erased.clone(),
        }
    }
}

/// Where a character lies: a chunk, a run in it, and the character's place in that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Spot {
    chunk: u32,
    slot: usize,
    offset: u32,
}

/// The runs of one origin: the time of the first character and the chunk, ascending by time.
type Runs = Vec<(u32, u32)>;

/// A text.
#[derive(Debug, Clone, Default)]
pub(super) struct Sequence {
    chunks: Vec<Vec<Run>>,
    /// The chunks as they follow each other, and the place of each in that order.
    order: Vec<u32>,
    place: Vec<u32>,
    /// A Fenwick tree over the chunks in their order: how many characters are visible.
    sums: Vec<u32>,
    by_id: Vec<(Origin, Runs)>,
    /// How many characters are visible, and how many are tombstones.
    pub visible: u32,
    pub tombstones: u32,
    /// The sum of the hashes of the visible characters.
    pub hash: u64,
}

impl Sequence {
    /// The runs in order, as they are held.
    pub fn runs(&self) -> impl Iterator<Item = &Run> {
        self.order.iter().flat_map(|chunk| &self.chunks[*chunk as usize])
    }

    /// The runs in order, as long as they can be: equal texts have equal ones, however they came about.
    pub fn whole_runs(&self) -> Vec<Run> {
        let mut whole: Vec<Run> = Vec::new();
        for run in self.runs() {
            match whole.last_mut() {
                Some(last) if last.runs_on(run) => last.length += run.length,
                _ => whole.push(run.clone()),
            }
        }
        whole
    }

    /// A text of these runs.
    pub fn of(runs: impl IntoIterator<Item = Run>) -> Self {
        let mut whole: Vec<Run> = Vec::new();
        for run in runs {
            match whole.last_mut() {
                Some(last) if last.runs_on(&run) => last.length += run.length,
                _ => whole.push(run),
            }
        }
        let mut sequence = Self::default();
        let mut by_id: std::collections::BTreeMap<Origin, Runs> = std::collections::BTreeMap::new();
        for (chunk, runs) in (0..).zip(whole.chunks(CHUNK / 2)) {
            for run in runs {
                by_id.entry(run.id.origin).or_default().push((run.id.time, chunk));
                sequence.visible += run.visible();
                sequence.tombstones += run.length - run.visible();
                if run.is_visible() {
                    sequence.hash = sequence.hash.wrapping_add(run.hash());
                }
            }
            sequence.chunks.push(runs.to_vec());
            sequence.order.push(chunk);
        }
        sequence.by_id = by_id.into_iter().collect();
        sequence.by_id.iter_mut().for_each(|(_, runs)| runs.sort_unstable());
        sequence.reorder();
        sequence
    }

    /// The visible characters.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for run in self.runs().filter(|run| run.is_visible()) {
            push_span(&mut spans, run.span());
        }
        spans
    }

    /// The visible character at a position.
    pub fn at(&self, position: u32) -> Option<CharId> {
        self.range(position, 1).first().map(|(id, _)| *id)
    }

    /// The visible characters of a range of positions, as ranges of ids.
    pub fn range(&self, position: u32, length: u32) -> Vec<(CharId, u32)> {
        let mut found: Vec<(CharId, u32)> = Vec::new();
        let Some((place, mut skip)) = self.descend(position) else {
            return found;
        };
        let mut left = length;
        for chunk in &self.order[place..] {
            for run in &self.chunks[*chunk as usize] {
                let visible = run.visible();
                if skip >= visible {
                    skip -= visible;
                    continue;
                }
                let taken = (visible - skip).min(left);
                found.push((run.id.after(skip), taken));
                (left, skip) = (left - taken, 0);
                if left == 0 {
                    return found;
                }
            }
        }
        found
    }

    /// The place of the chunk with the visible character at a position, and that one's place in it.
    fn descend(&self, position: u32) -> Option<(usize, u32)> {
        if position >= self.visible {
            return None;
        }
        let (mut place, mut left) = (0, position);
        let mut step = self.sums.len().next_power_of_two() / 2;
        while step > 0 {
            if place + step < self.sums.len() && self.sums[place + step] <= left {
                place += step;
                left -= self.sums[place];
            }
            step /= 2;
        }
        Some((place, left))
    }

    /// Adds to the count of a chunk.
    fn count(&mut self, chunk: u32, visible: i64) {
        let mut place = self.place[chunk as usize] as usize + 1;
        while place < self.sums.len() {
            self.sums[place] = (i64::from(self.sums[place]) + visible) as u32;
            place += place & place.wrapping_neg();
        }
    }

    /// Makes the tree anew, after chunks have moved.
    fn reorder(&mut self) {
        self.place.resize(self.chunks.len(), 0);
        self.sums.clear();
        self.sums.resize(self.order.len() + 1, 0);
        for (place, chunk) in self.order.iter().enumerate() {
            self.place[*chunk as usize] = place as u32;
            self.sums[place + 1] += self.chunks[*chunk as usize].iter().map(Run::visible).sum::<u32>();
            let (at, above) = (place + 1, place + 1 + ((place + 1) & (place + 1).wrapping_neg()));
            if above < self.sums.len() {
                self.sums[above] += self.sums[at];
            }
        }
    }

    fn runs_of(&mut self, origin: Origin) -> &mut Runs {
        let place = self.by_id.binary_search_by_key(&origin, |(other, _)| *other);
        let place = place.unwrap_or_else(|place| {
            self.by_id.insert(place, (origin, Vec::new()));
            place
        });
        &mut self.by_id[place].1
    }

    /// Where a character lies; `None` if it doesn't.
    fn find(&self, id: CharId) -> Option<Spot> {
        let origin = self.by_id.binary_search_by_key(&id.origin, |(other, _)| *other).ok()?;
        let runs = &self.by_id[origin].1;
        let place = runs.partition_point(|(time, _)| *time <= id.time).checked_sub(1)?;
        let (time, chunk) = runs[place];
        let first = CharId { time, ..id };
        let slot = self.chunks[chunk as usize].iter().position(|run| run.id == first);
        let slot = slot.expect("a run lies where the index says");
        let offset = id.time - time;
        (offset < self.chunks[chunk as usize][slot].length).then_some(Spot { chunk, slot, offset })
    }

    /// The visible character that is the last at or before this one.
    pub fn visible_before(&self, id: CharId) -> Option<CharId> {
        let spot = self.find(id)?;
        if self.chunks[spot.chunk as usize][spot.slot].is_visible() {
            return Some(id);
        }
        let mut slot = spot.slot;
        for place in (0..=self.place[spot.chunk as usize] as usize).rev() {
            let runs = &self.chunks[self.order[place] as usize];
            let before = runs[..slot.min(runs.len())].iter().rev();
            if let Some(run) = before.into_iter().find(|run| run.is_visible()) {
                return Some(run.last());
            }
            slot = usize::MAX;
        }
        None
    }

    /// Puts a run into a chunk, at a slot.
    fn put(&mut self, chunk: u32, slot: usize, run: Run) {
        let (time, origin) = (run.id.time, run.id.origin);
        let runs = self.runs_of(origin);
        let place = runs.partition_point(|(other, _)| *other < time);
        runs.insert(place, (time, chunk));
        self.chunks[chunk as usize].insert(slot, run);
    }

    /// Makes a run begin with this character of another.
    fn split(&mut self, spot: Spot) {
        let run = &mut self.chunks[spot.chunk as usize][spot.slot];
        let rest = run.rest(spot.offset);
        run.length = spot.offset;
        self.put(spot.chunk, spot.slot + 1, rest);
    }

    /// Halves a chunk that has grown too long.
    fn halve(&mut self, chunk: u32) {
        if self.chunks[chunk as usize].len() <= CHUNK {
            return;
        }
        let new = self.chunks.len() as u32;
        let upper = self.chunks[chunk as usize].split_off(CHUNK / 2);
        for run in &upper {
            let (time, origin) = (run.id.time, run.id.origin);
            let runs = self.runs_of(origin);
            let place = runs.binary_search_by_key(&time, |(time, _)| *time);
            runs[place.expect("every run is in the index")].1 = new;
        }
        self.chunks.push(upper);
        self.order.insert(self.place[chunk as usize] as usize + 1, new);
        self.reorder();
    }

    /// Inserts a visible run after the character `left`, past what was inserted there with higher ids.
    ///
    /// # Panics
    /// Panics if `left` isn't there: tombstones are collected only when nothing can come after them any more.
    pub fn insert(&mut self, id: CharId, left: Option<CharId>, from: u32, length: u32) {
        let run = Run {
            id,
            length,
            from,
            left,
            erased: Vec::new(),
        };
        (self.visible, self.hash) = (self.visible + length, self.hash.wrapping_add(run.hash()));
        if self.order.is_empty() {
            self.chunks.push(Vec::new());
            self.order.push(0);
            self.reorder();
        }
        let (mut place, mut slot) = (0, 0);
        if let Some(left) = left {
            let spot = self.find(left).expect("what a character was inserted after is there");
            (place, slot) = (self.place[spot.chunk as usize] as usize, spot.slot + 1);
            let found = &self.chunks[spot.chunk as usize][spot.slot];
            let inside = spot.offset + 1 < found.length;
            if inside && found.id.after(spot.offset + 1) < id {
                self.split(Spot {
                    offset: spot.offset + 1,
                    ..spot
                });
            }
        }
        while place < self.order.len() {
            let runs = &self.chunks[self.order[place] as usize];
            slot += runs[slot..].iter().take_while(|other| other.id > id).count();
            if slot < runs.len() || place + 1 == self.order.len() {
                break;
            }
            (place, slot) = (place + 1, 0);
        }
        let chunk = self.order[place];
        let runs = &mut self.chunks[chunk as usize];
        match slot.checked_sub(1).map(|before| &mut runs[before]) {
            Some(before) if before.runs_on(&run) => before.length += length,
            _ => self.put(chunk, slot, run),
        }
        self.count(chunk, i64::from(length));
        self.halve(chunk);
    }

    /// Notes the deletion `by` of characters that follow each other in time. Those that aren't there were collected.
    pub fn erase(&mut self, first: CharId, length: u32, by: Dot) {
        let (mut id, mut left) = (first, length);
        while left > 0 {
            let Some(spot) = self.find(id) else {
                (id, left) = (id.after(1), left - 1);
                continue;
            };
            let mut slot = spot.slot;
            if spot.offset > 0 {
                self.split(spot);
                slot += 1;
            }
            let found = self.chunks[spot.chunk as usize][slot].length;
            if found > left {
                let offset = left;
                self.split(Spot { slot, offset, ..spot });
            }
            let run = &mut self.chunks[spot.chunk as usize][slot];
            let (taken, was_visible, hash) = (run.length, run.is_visible(), run.hash());
            if let Err(place) = run.erased.binary_search(&by) {
                run.erased.insert(place, by);
            }
            if was_visible {
                (self.visible, self.tombstones) = (self.visible - taken, self.tombstones + taken);
                self.hash = self.hash.wrapping_sub(hash);
                self.count(spot.chunk, -i64::from(taken));
            }
            self.halve(spot.chunk);
            (id, left) = (id.after(taken), left - taken);
        }
    }
}

impl PartialEq for Sequence {
    fn eq(&self, other: &Self) -> bool {
        (self.visible, self.tombstones, self.hash) == (other.visible, other.tombstones, other.hash)
            && self.whole_runs() == other.whole_runs()
    }
}

impl Serialize for Sequence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.whole_runs().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Sequence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Vec::<Run>::deserialize(deserializer).map(Self::of)
    }
}

#[cfg(test)]
impl Sequence {
    /// Checks the index against the runs.
    pub fn audit(&self) {
        let mut visible = 0;
        for (place, chunk) in self.order.iter().enumerate() {
            assert_eq!(self.place[*chunk as usize] as usize, place);
            assert!(self.chunks[*chunk as usize].len() <= CHUNK);
            for (slot, run) in self.chunks[*chunk as usize].iter().enumerate() {
                assert!(run.length > 0);
                for offset in [0, run.length - 1] {
                    let chunk = *chunk;
                    assert_eq!(self.find(run.id.after(offset)), Some(Spot { chunk, slot, offset }));
                }
                if run.is_visible() {
                    assert_eq!(self.at(visible), Some(run.id));
                    assert_eq!(self.at(visible + run.length - 1), Some(run.last()));
                }
                visible += run.visible();
            }
        }
        assert_eq!((visible, self.at(visible)), (self.visible, None));
        let runs: usize = self.by_id.iter().map(|(_, runs)| runs.len()).sum();
        assert_eq!(runs, self.runs().count());
    }
}
