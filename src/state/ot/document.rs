//! The text of a replica: its characters in order, those that were deleted as well, so that a position in a text as somebody saw
//! it before can be found in the one that is there.

use super::transform::{CharId, Primitive};
use crate::state::value::push_span;
use crate::state::{Char, Dot, Fate, Origin, Span, VersionVector, hash};
use serde::{Deserialize, Serialize};

/// Runs of a chunk; beyond that it is halved.
const CHUNK: usize = 64;

/// Characters that were typed one after another and are deleted, or not, together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Run {
    first: CharId,
    from: u32,
    length: u32,
    /// The deletions that took them.
    erased: Vec<Dot>,
}

impl Run {
    fn visible(&self) -> u32 {
        if self.erased.is_empty() { self.length } else { 0 }
    }

    /// Cuts the run; the latter part.
    fn split(&mut self, offset: u32) -> Self {
        let rest = Self {
            first: self.first.after(offset),
            from: self.from + offset,
            length: self.length - offset,
            erased: self.erased.clone(),
        };
        self.length = offset;
        rest
    }

    fn runs_on(&self, next: &Self) -> bool {
        let same = (self.first.after(self.length), self.from.wrapping_add(self.length)) == (next.first, next.from);
        same && self.erased == next.erased
    }

    fn id(&self) -> u64 {
        identity(self.first)
    }
}

fn identity(id: CharId) -> u64 {
    let origin = u64::from(id.origin.replica()) << 16 | u64::from(id.origin.life());
    hash::mix(origin).wrapping_add(u64::from(id.serial))
}

/// Neighbouring runs, with what is visible of them and a hash of that in its order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Chunk {
    runs: Vec<Run>,
    visible: u32,
    hash: u64,
    /// What the hash of what stands before is multiplied by.
    power: u64,
}

/// An odd factor of the hash.
const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;

impl Chunk {
    fn refresh(&mut self) {
        (self.visible, self.hash, self.power) = (0, 0, 1);
        for run in self.runs.iter().filter(|run| run.erased.is_empty()) {
            self.visible += run.length;
            for place in 0..u64::from(run.length) {
                self.hash = self
                    .hash
                    .wrapping_mul(FACTOR)
                    .wrapping_add(hash::mix(run.id().wrapping_add(place)));
                self.power = self.power.wrapping_mul(FACTOR);
            }
        }
    }
}

/// What one origin has typed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Writer {
    origin: Origin,
    /// The number of each of its insertions, and of its first character; ascending.
    insertions: Vec<(u32, u32)>,
    /// How many characters it has typed.
    end: u32,
}

/// A text with all that was ever in it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackedText {
    chunks: Vec<Chunk>,
    visible: u32,
    tombstones: u64,
    writers: Vec<Writer>,
}

impl TrackedText {
    /// How many characters it shows.
    pub fn length(&self) -> u32 {
        self.visible
    }

    /// How many deleted characters are kept.
    pub fn tombstones(&self) -> u64 {
        self.tombstones
    }

    /// A hash of the characters in their order.
    pub fn hash(&self) -> u64 {
        let all = self.chunks.iter();
        all.fold(0, |hash: u64, chunk| {
            hash.wrapping_mul(chunk.power).wrapping_add(chunk.hash)
        })
    }

    /// The visible characters.
    pub fn spans(&self) -> Vec<Span> {
        let mut spans = Vec::new();
        for run in self.runs().filter(|run| run.erased.is_empty()) {
            push_span(
                &mut spans,
                Span {
                    id: run.id(),
                    from: run.from,
                    length: run.length,
                },
            );
        }
        spans
    }

    fn runs(&self) -> impl Iterator<Item = &Run> {
        self.chunks.iter().flat_map(|chunk| &chunk.runs)
    }

    /// How many characters an origin has typed, as far as they are here.
    pub fn typed(&self, origin: Origin) -> u32 {
        self.writer(origin).map_or(0, |writer| writer.end)
    }

    fn writer(&self, origin: Origin) -> Option<&Writer> {
        let place = self.writers.binary_search_by_key(&origin, |writer| writer.origin);
        place.ok().map(|place| &self.writers[place])
    }

    /// The insertion that a character came with, and its place in it.
    fn char(&self, id: CharId) -> Char {
        let writer = self.writer(id.origin).expect("characters have writers");
        let place = writer.insertions.partition_point(|(_, first)| *first <= id.serial) - 1;
        let (number, first) = writer.insertions[place];
        Char {
            dot: Dot::new(id.origin, number),
            place: id.serial - first,
        }
    }

    /// Notes that an update typed characters.
    fn note(&mut self, by: Dot, first: CharId, length: u32) {
        let place = self.writers.binary_search_by_key(&by.origin, |writer| writer.origin);
        let place = place.unwrap_or_else(|place| {
            let fresh = Writer {
                origin: by.origin,
                insertions: Vec::new(),
                end: 0,
            };
            self.writers.insert(place, fresh);
            place
        });
        let writer = &mut self.writers[place];
        if first.serial >= writer.end {
            writer.insertions.push((by.number, first.serial));
            writer.end = first.serial + length;
        }
    }

    /// Where the visible character at a position lies: chunk, run and offset. The position is there.
    fn find(&self, at: u32) -> (usize, usize, u32) {
        let mut left = at;
        for (place, chunk) in self.chunks.iter().enumerate() {
            if left >= chunk.visible {
                left -= chunk.visible;
                continue;
            }
            for (slot, run) in chunk.runs.iter().enumerate() {
                if left < run.visible() {
                    return (place, slot, left);
                }
                left -= run.visible();
            }
        }
        panic!("position {at} is beyond the {} characters of a text", self.visible)
    }

    /// Applies a change of the update `by`. A position beyond the end is the end.
    pub fn apply(&mut self, change: Primitive, by: Dot) {
        match change {
            Primitive::Insert {
                at,
                first,
                from,
                length,
            } => {
                let last = at.min(self.visible).checked_sub(1);
                let after = last.map(|last| self.find(last));
                self.insert(after, first, from, length, by);
            }
            Primitive::Delete { at, length } => {
                self.delete(at, length, by, &mut |_, _| {});
            }
        }
    }

    /// Puts characters right after the one that lies there; at the beginning, for none.
    fn insert(&mut self, after: Option<(usize, usize, u32)>, first: CharId, from: u32, length: u32, by: Dot) {
        if length == 0 {
            return;
        }
        self.note(by, first, length);
        if self.chunks.is_empty() {
            self.chunks.push(Chunk::default());
        }
        let run = Run {
            first,
            from,
            length,
            erased: Vec::new(),
        };
        let (place, slot) = match after {
            None => (0, 0),
            Some((place, slot, offset)) => {
                let runs = &mut self.chunks[place].runs;
                if offset + 1 < runs[slot].length {
                    let rest = runs[slot].split(offset + 1);
                    runs.insert(slot + 1, rest);
                }
                (place, slot + 1)
            }
        };
        let runs = &mut self.chunks[place].runs;
        match slot.checked_sub(1).map(|before| &mut runs[before]) {
            Some(before) if before.runs_on(&run) => before.length += length,
            _ => runs.insert(slot, run),
        }
        self.visible += length;
        self.tidy(place);
    }

    /// Takes visible characters out, and says which.
    fn delete(&mut self, at: u32, length: u32, by: Dot, took: &mut impl FnMut(CharId, u32)) {
        let mut left = length.min(self.visible.saturating_sub(at));
        while left > 0 {
            let (place, slot, offset) = self.find(at);
            let runs = &mut self.chunks[place].runs;
            let mut slot = slot;
            if offset > 0 {
                let rest = runs[slot].split(offset);
                slot += 1;
                runs.insert(slot, rest);
            }
            if runs[slot].length > left {
                let rest = runs[slot].split(left);
                runs.insert(slot + 1, rest);
            }
            let run = &mut runs[slot];
            run.erased.push(by);
            let taken = run.length;
            took(run.first, taken);
            (self.visible, self.tombstones) = (self.visible - taken, self.tombstones + u64::from(taken));
            left -= taken;
            self.tidy(place);
        }
    }

    /// Brings the sums of a chunk up to date, and halves it if it has grown too long.
    fn tidy(&mut self, place: usize) {
        let chunk = &mut self.chunks[place];
        if chunk.runs.len() > CHUNK {
            let runs = chunk.runs.split_off(CHUNK / 2);
            let mut rest = Chunk {
                runs,
                ..Chunk::default()
            };
            rest.refresh();
            self.chunks[place].refresh();
            self.chunks.insert(place + 1, rest);
        } else {
            chunk.refresh();
        }
    }

    /// Whether a run was to be seen by somebody who had seen just this: how many of its characters.
    fn seen_of(&self, run: &Run, seen: &VersionVector) -> u32 {
        if run.erased.iter().any(|by| seen.contains(*by)) {
            return 0;
        }
        let writer = self.writer(run.first.origin).expect("characters have writers");
        let known = seen.get(run.first.origin);
        let later = writer.insertions.partition_point(|(number, _)| *number <= known);
        let until = writer.insertions.get(later).map_or(writer.end, |(_, first)| *first);
        until.saturating_sub(run.first.serial).min(run.length)
    }

    /// Types characters at a position of the text as it was to somebody who had seen just this; the change of the text that is
    /// there.
    #[expect(clippy::too_many_arguments)]
    pub fn type_at(
        &mut self,
        seen: &VersionVector,
        at: u32,
        first: CharId,
        from: u32,
        length: u32,
        by: Dot,
        fates: &mut impl FnMut(Fate),
    ) -> Primitive {
        let (mut left, mut position) = (at, 0);
        let mut after: Option<(usize, usize, u32)> = None;
        let mut visible = 0;
        'all: for (place, chunk) in self.chunks.iter().enumerate() {
            for (slot, run) in chunk.runs.iter().enumerate() {
                if left == 0 {
                    break 'all;
                }
                let there = self.seen_of(run, seen).min(left);
                if there > 0 {
                    after = Some((place, slot, there - 1));
                    position = visible + if run.erased.is_empty() { there } else { 0 };
                    left -= there;
                }
                visible += run.visible();
            }
        }
        let before = after.map(|(place, slot, offset)| {
            let run = &self.chunks[place].runs[slot];
            self.char(run.first.after(offset))
        });
        fates(Fate::Placed {
            version: by,
            after: before,
        });
        self.insert(after, first, from, length, by);
        Primitive::Insert {
            at: position,
            first,
            from,
            length,
        }
    }

    /// Deletes characters at a position of the text as it was to somebody who had seen just this; the changes of the text that
    /// is there.
    pub fn delete_at(
        &mut self,
        seen: &VersionVector,
        at: u32,
        length: u32,
        by: Dot,
        fates: &mut impl FnMut(Fate),
    ) -> Vec<Primitive> {
        let (mut skip, mut left, mut visible) = (at, length, 0);
        // Of what is still there: position and length. Of all that is meant: identity and length.
        let mut there: Vec<(u32, u32)> = Vec::new();
        let mut meant: Vec<(CharId, u32, bool)> = Vec::new();
        for run in self.chunks.iter().flat_map(|chunk| &chunk.runs) {
            if left == 0 {
                break;
            }
            let known = self.seen_of(run, seen);
            let skipped = skip.min(known);
            let taken = (known - skipped).min(left);
            (skip, left) = (skip - skipped, left - taken);
            if taken > 0 {
                let is_there = run.erased.is_empty();
                meant.push((run.first.after(skipped), taken, is_there));
                if is_there {
                    match there.last_mut() {
                        Some((start, length)) if *start + *length == visible + skipped => *length += taken,
                        _ => there.push((visible + skipped, taken)),
                    }
                }
            }
            visible += run.visible();
        }
        for (first, length, _) in &meant {
            self.tell_taken(by, *first, *length, fates);
        }
        // A character that somebody else has deleted meanwhile is deleted by this one as well, for views that know this one alone.
        for (first, length, _) in meant.iter().filter(|(.., is_there)| !is_there) {
            self.erase_again(*first, *length, by);
        }
        let changes: Vec<Primitive> = there
            .into_iter()
            .rev()
            .map(|(at, length)| Primitive::Delete { at, length })
            .collect();
        changes.iter().for_each(|change| self.apply(*change, by));
        changes
    }

    /// Adds a deletion to characters that are deleted.
    fn erase_again(&mut self, first: CharId, length: u32, by: Dot) {
        for chunk in &mut self.chunks {
            let mut slot = 0;
            while slot < chunk.runs.len() {
                let run = &mut chunk.runs[slot];
                let (start, end) = (run.first.serial, run.first.serial + run.length);
                let meets = run.first.origin == first.origin && start < first.serial + length && first.serial < end;
                if !meets || run.erased.is_empty() || run.erased.contains(&by) {
                    slot += 1;
                    continue;
                }
                if start < first.serial {
                    let rest = run.split(first.serial - start);
                    chunk.runs.insert(slot + 1, rest);
                    slot += 1;
                    continue;
                }
                if end > first.serial + length {
                    let rest = run.split(first.serial + length - start);
                    chunk.runs.insert(slot + 1, rest);
                }
                chunk.runs[slot].erased.push(by);
                slot += 1;
            }
        }
    }

    /// Says which characters a deletion takes, by the insertions that they came with.
    fn tell_taken(&self, version: Dot, first: CharId, length: u32, fates: &mut impl FnMut(Fate)) {
        let writer = self.writer(first.origin).expect("characters have writers");
        let (mut id, mut left) = (first, length);
        while left > 0 {
            let next = writer.insertions.partition_point(|(_, start)| *start <= id.serial);
            let until = writer.insertions.get(next).map_or(u32::MAX, |(_, start)| *start);
            let taken = left.min(until - id.serial);
            fates(Fate::Took {
                version,
                first: self.char(id),
                length: taken,
            });
            (id, left) = (id.after(taken), left - taken);
        }
    }
}
