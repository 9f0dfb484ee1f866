//! Text: a sequence of characters, each with a place of its own among all others.
//!
//! Guarantees that every inserted character is in the text unless a deletion of it is known, and that all replicas have the
//! same order of characters, in which each follows what its writer had inserted it after (RGA; see `sequence`). Characters
//! that are inserted one after another stay together; two writers who each type *backwards* at one place, every character
//! before the last, may be interleaved (Weidner and Kleppmann, "The art of the Fugue", TPDS 2025, repair that at the cost of
//! tombstones that can't be collected so simply).
//!
//! News is a change: an insertion names the character that it follows, a deletion the characters that it takes. A replica
//! applies the changes of one origin in their order, and each after those that it names; what comes too early waits. So what
//! was seen of a key is a version vector.
//!
//! # Positions
//! A position counts the characters of the text that the client says it saw, by its context, or else of the text that the
//! accepting replica shows. An insertion goes after the last character before it that is still there.
//!
//! # Tombstones
//! A deleted character stays as a tombstone, because others may be inserted after it by somebody who hasn't heard of the
//! deletion. Once every replica is known to have heard of it (the deletion is *causally stable*), whatever comes later was
//! written by somebody who knows that it is gone, and is inserted after another one. Then the tombstone can be collected, if
//! it is clear where what comes later goes: [`Text::collect`]. Who knows what others have heard is the host's business.

mod sequence;
#[cfg(test)]
mod tests;

use super::Lattice;
use crate::state::value::digest_of_text;
use crate::state::{
    Accept, Char, Context, Dot, DotRange, DotSet, Fate, Keeping, KeyType, ModelInfo, Op, Origin, Size, Value,
    VersionVector, Versions, View, hash, wire,
};
use sequence::{CharId, Run, Sequence};
use serde::{Deserialize, Serialize};

/// Bytes of a run: its first character, what that was inserted after, and a length.
const RUN: u64 = 2 * wire::DOT + wire::COUNT;
/// Bytes of a range of characters: the first and a length.
const RANGE: u64 = wire::DOT + wire::COUNT;

/// What an update does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Change {
    /// Puts characters after another one, or at the beginning.
    Insert {
        id: CharId,
        left: Option<CharId>,
        from: u32,
        length: u32,
    },
    /// Takes characters away, in ranges that follow each other in time.
    Delete(Vec<(CharId, u32)>),
}

/// A change on its way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct News {
    dot: Dot,
    change: Change,
}

impl News {
    fn size(&self) -> Size {
        let (text, metadata) = match &self.change {
            Change::Insert { length, .. } => (u64::from(*length), RUN),
            Change::Delete(ranges) => (0, wire::COUNT + RANGE * ranges.len() as u64),
        };
        Size {
            text,
            metadata: wire::DOT + metadata,
            ..Size::default()
        }
    }
}

/// What is known of one origin.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Writer {
    origin: Origin,
    /// The number of each of its insertions, the time of its first character, and one more than that of its last; ascending.
    insertions: Vec<(u32, u32, u32)>,
    /// One more than the time of its last character.
    end: u32,
}

/// A text, and the changes that wait for others.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Text {
    sequence: Sequence,
    seen: VersionVector,
    /// By origin.
    writers: Vec<Writer>,
    /// The highest time of a character.
    time: u32,
    /// Ascending by dot; none is seen, none is ready.
    waiting: Vec<News>,
}

impl Text {
    /// How many characters it shows.
    pub fn length(&self) -> u32 {
        self.sequence.visible
    }

    /// How many characters are kept though they were deleted.
    pub fn tombstones(&self) -> u64 {
        self.sequence.tombstones.into()
    }

    /// How many changes wait for others.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    fn writer(&mut self, origin: Origin) -> &mut Writer {
        let place = self.writers.binary_search_by_key(&origin, |writer| writer.origin);
        let place = place.unwrap_or_else(|place| {
            let insertions = Vec::new();
            let fresh = Writer {
                origin,
                insertions,
                end: 0,
            };
            self.writers.insert(place, fresh);
            place
        });
        &mut self.writers[place]
    }

    fn known_writer(&self, origin: Origin) -> Option<&Writer> {
        let place = self.writers.binary_search_by_key(&origin, |writer| writer.origin);
        place.ok().map(|place| &self.writers[place])
    }

    /// The time of the next character of an origin whose writer has seen this: later than all that he has seen, and than the origin's
    /// own. What else the replica has heard of doesn't count, so that what two people type at one place at the same time comes in
    /// the same order however fast news travels between them.
    fn next_time(&self, seen: &VersionVector, origin: Origin) -> u32 {
        let latest = |writer: &Writer| match writer.origin == origin {
            true => writer.end,
            false => {
                let known = seen.get(writer.origin);
                let later = writer.insertions.partition_point(|(number, ..)| *number <= known);
                later.checked_sub(1).map_or(0, |last| writer.insertions[last].2)
            }
        };
        let end = self.writers.iter().map(latest).max().unwrap_or(0);
        assert!(end < u32::MAX, "fewer than 2^32 characters");
        end.max(1)
    }

    /// Whether a character has come, whatever became of it.
    fn knows(&self, id: CharId) -> bool {
        self.known_writer(id.origin).is_some_and(|writer| id.time < writer.end)
    }

    /// The insertion that a character came with, and its place in it.
    fn char(&self, id: CharId) -> Char {
        let writer = self.known_writer(id.origin).expect("characters have writers");
        let place = writer.insertions.partition_point(|(_, time, _)| *time <= id.time) - 1;
        let (number, time, _) = writer.insertions[place];
        Char {
            dot: Dot::new(id.origin, number),
            place: id.time - time,
        }
    }

    /// Applies a change whose turn it is.
    fn apply(&mut self, news: &News, fates: &mut impl FnMut(Fate)) {
        let Dot { origin, number } = news.dot;
        match &news.change {
            Change::Insert { id, left, from, length } => {
                self.sequence.insert(*id, *left, *from, *length);
                let end = id.time + length;
                self.time = self.time.max(end - 1);
                let writer = self.writer(origin);
                writer.insertions.push((number, id.time, end));
                writer.end = end;
            }
            Change::Delete(ranges) => {
                for (first, length) in ranges {
                    self.sequence.erase(*first, *length, news.dot);
                }
            }
        }
        self.seen.raise(origin, number);
        fates(Fate::applied(news.dot));
    }

    /// Whether everything that a change names is here.
    fn is_ready(&self, change: &Change) -> bool {
        match change {
            Change::Insert { left, .. } => left.is_none_or(|left| self.knows(left)),
            Change::Delete(ranges) => ranges.iter().all(|(first, length)| self.knows(first.after(length - 1))),
        }
    }

    /// Applies what waits and is ready, until nothing is.
    fn drain(&mut self, fates: &mut impl FnMut(Fate)) {
        let mut waiting = std::mem::take(&mut self.waiting);
        loop {
            let before = waiting.len();
            waiting.retain(|news| {
                let known = self.seen.get(news.dot.origin);
                let ready = news.dot.number == known + 1 && self.is_ready(&news.change);
                if ready {
                    self.apply(news, fates);
                }
                news.dot.number > known && !ready
            });
            if waiting.len() == before {
                break;
            }
        }
        self.waiting = waiting;
    }

    /// Takes in the characters and deletions of a whole text.
    fn join_text(&mut self, other: &Self, fates: &mut impl FnMut(Fate)) {
        let mut news: Vec<DotRange> = Vec::new();
        let theirs = DotSet::from(other.seen.clone());
        theirs.beyond(&DotSet::from(self.seen.clone()), &mut |range| news.push(range));
        if news.is_empty() {
            return;
        }
        let before = self.seen.clone();
        if before.is_empty() {
            self.sequence = other.sequence.clone();
            self.writers.clone_from(&other.writers);
        } else {
            self.join_characters(other);
            for run in other.sequence.runs() {
                for by in run.erased.iter().filter(|by| !before.contains(**by)) {
                    self.sequence.erase(run.id, run.length, *by);
                }
            }
            for theirs in &other.writers {
                let known = before.get(theirs.origin);
                let ours = self.writer(theirs.origin);
                let new = theirs.insertions.partition_point(|(number, ..)| *number <= known);
                ours.insertions.extend_from_slice(&theirs.insertions[new..]);
                ours.end = ours.end.max(theirs.end);
            }
        }
        self.time = self.time.max(other.time);
        self.seen.join(&other.seen);
        news.into_iter().for_each(|range| fates(Fate::Applied(range)));
    }

    /// Takes in the characters that this text lacks, each after the one that it follows.
    fn join_characters(&mut self, other: &Self) {
        let mut new: Vec<Run> = Vec::new();
        for run in other.sequence.runs() {
            let known = self.known_writer(run.id.origin).map_or(0, |writer| writer.end);
            if run.id.time >= known {
                new.push(run.clone());
            } else if run.end() > known {
                new.push(run.rest(known - run.id.time));
            }
        }
        // A character's time is above that of the one that it follows.
        new.sort_unstable_by_key(|run| run.id);
        for run in new {
            self.sequence.insert(run.id, run.left, run.from, run.length);
        }
    }

    /// The characters at these positions of the text as it was when `seen` was all that had come, as ranges of ids.
    fn range_at(&self, seen: &VersionVector, position: u32, length: u32) -> Vec<(CharId, u32)> {
        if seen.descends(&self.seen) {
            return self.sequence.range(position, length);
        }
        // The time from which on the characters of each origin are later.
        let until: Vec<(Origin, u32)> = self
            .writers
            .iter()
            .map(|writer| {
                let known = seen.get(writer.origin);
                let later = writer.insertions.partition_point(|(number, ..)| *number <= known);
                let until = writer.insertions.get(later).map_or(u32::MAX, |(_, time, _)| *time);
                (writer.origin, until)
            })
            .collect();
        let (mut skip, mut left, mut found) = (position, length, Vec::new());
        for run in self.sequence.runs() {
            let place = until.binary_search_by_key(&run.id.origin, |(origin, _)| *origin);
            let until = until[place.expect("characters have writers")].1;
            let there = until.saturating_sub(run.id.time).min(run.length);
            if there == 0 || run.erased.iter().any(|by| seen.contains(*by)) {
                continue;
            }
            if skip >= there {
                skip -= there;
                continue;
            }
            let taken = (there - skip).min(left);
            found.push((run.id.after(skip), taken));
            (left, skip) = (left - taken, 0);
            if left == 0 {
                break;
            }
        }
        found
    }

    /// The character before this position, of those that are still there.
    fn before(&self, seen: &VersionVector, position: u32, is_all: bool) -> Option<CharId> {
        if position == 0 {
            return None;
        }
        if seen.descends(&self.seen) {
            let last = position.min(self.sequence.visible).checked_sub(1)?;
            return self.sequence.at(last);
        }
        let range = self.range_at(seen, 0, position);
        let (first, length) = range.last()?;
        let last = first.after(length - 1);
        if is_all {
            return Some(last);
        }
        self.sequence.visible_before(last)
    }

    /// Forgets tombstones that nothing can be inserted after any more; returns how many. `stable` is what every replica is known
    /// to have heard of, where all that each of them had written by then has come here as well.
    ///
    /// What comes later was written by somebody who knew all of `stable`, so its id is above all ids in there, and it isn't
    /// inserted after a deleted character. It goes right of its parent, past higher ids. A tombstone is where that stops, unless
    /// what follows it stops it as well: something stable, or something of a lower id than the tombstone's own.
    pub fn collect(&mut self, stable: &VersionVector) -> u64 {
        let before = self.sequence.tombstones;
        let runs = self.sequence.whole_runs();
        let mut kept: Vec<Run> = Vec::with_capacity(runs.len());
        for run in runs.into_iter().rev() {
            let is_stop = |next: &Run| next.id < run.last() || stable.contains(self.char(next.id).dot);
            let gone = run.erased.iter().any(|by| stable.contains(*by)) && kept.last().is_none_or(is_stop);
            if !gone {
                kept.push(run);
            }
        }
        kept.reverse();
        self.sequence = Sequence::of(kept);
        u64::from(before - self.sequence.tombstones)
    }
}

impl Lattice for Text {
    const INFO: ModelInfo = ModelInfo {
        name: "text",
        title: "Text (RGA)",
        keys: &[KeyType::Text],
        doc: "\
A text in which every character has an identity and a place among all others, for ever: concurrent edits all have their effect. The
order is that of RGA (Roh, Jeon, Kim and Lee 2011): a character follows the one that it was inserted after; of several at one place
the latest comes first, by Lamport time and then replica. What one agent types stays together; two that type backwards at one place
may be interleaved.

- **InsertText**: goes after the character before its position; the fragment names that character and the new ones.
- **DeleteText**: its characters become tombstones; the fragment names them as ranges.

A position counts characters (Unicode code points) of the text that the agent saw, if it says so (`Update`, or `informed: true`),
else of the text that the accepting replica shows. Positions beyond the end are the end.

A replica takes in the changes of another in their order, and each after what it names; what comes too early waits. A change that
is lost holds up its replica's later ones until anti-entropy brings the whole text.

**Tombstones** grow with every deletion. With anti-entropy they are collected: once a replica knows that all others have heard of a
deletion (it is causally stable), and what follows the tombstone is stable as well. It knows that from exchanges in which the other
side holds the same or sends its entry, and from operations, which say what their replica had applied (`ship: Operation`). A position
that counts characters which were collected since is off by their number. Where replicas may lose their state nothing is collected.

Costs: a character weighs a byte. A run (characters that were typed one after another and not torn apart) weighs 20 bytes, each
deletion of a run 8, the vector of what was seen 8 for each replica that ever wrote the key.
",
    };
    const REALISATION: &'static str = "each character has a place after the one that it was inserted after; deleted ones stay as tombstones until all replicas know";
    const KEEPING: Keeping = Keeping::All;

    fn update(&mut self, op: Op, at: Accept<'_>, fates: &mut impl FnMut(Fate)) -> Self {
        let seen = at.context.map_or(&self.seen, |context| context.seen.vector());
        // Where tombstones are forgotten nobody may write on less than what his replica has heard of.
        let is_all = at.context.is_some_and(|context| context.is_all);
        let times = if is_all { seen } else { &self.seen };
        let origin = at.dot.origin;
        let change = match op {
            Op::InsertText { at, from, length } if length > 0 => {
                let left = self.before(seen, at, is_all);
                Change::Insert {
                    id: CharId {
                        time: self.next_time(times, origin),
                        origin: Origin::default(),
                    },
                    left,
                    from,
                    length,
                }
            }
            Op::InsertText { .. } => Change::Delete(Vec::new()),
            Op::DeleteText { at, length } => {
                let mut ranges = if length > 0 {
                    self.range_at(seen, at, length)
                } else {
                    Vec::new()
                };
                ranges.dedup_by(|next, last| {
                    let goes_on = last.0.after(last.1) == next.0;
                    last.1 += if goes_on { next.1 } else { 0 };
                    goes_on
                });
                Change::Delete(ranges)
            }
            op => panic!("{op:?} is no operation on a text"),
        };
        let mut news = News { dot: at.dot, change };
        match &mut news.change {
            Change::Insert { id, left, .. } => {
                id.origin = at.dot.origin;
                let after = left.map(|left| self.char(left));
                fates(Fate::Placed { version: at.dot, after });
            }
            Change::Delete(ranges) => {
                for (first, length) in ranges {
                    self.tell_taken(at.dot, *first, *length, fates);
                }
            }
        }
        self.apply(&news, fates);
        Self {
            waiting: vec![news],
            ..Self::default()
        }
    }

    fn join(&mut self, other: &Self, fates: &mut impl FnMut(Fate)) -> bool {
        let news = !self.seen.descends(&other.seen);
        if news {
            self.join_text(other, fates);
        }
        let mut changed = news;
        for news in &other.waiting {
            if self.seen.contains(news.dot) {
                continue;
            }
            if let Err(place) = self.waiting.binary_search_by_key(&news.dot, |waiting| waiting.dot) {
                self.waiting.insert(place, news.clone());
                changed = true;
            }
        }
        if changed && !self.waiting.is_empty() {
            self.drain(fates);
        }
        changed
    }

    fn view(&self) -> View {
        View {
            value: Value::Text(self.sequence.spans()),
            versions: self.versions(),
            context: self.context(),
        }
    }

    fn versions(&self) -> Versions {
        Versions::Effects(self.seen.clone().into())
    }

    fn held_back(&self) -> Vec<Dot> {
        self.waiting.iter().map(|news| news.dot).collect()
    }

    fn context(&self) -> Context {
        Context {
            seen: self.seen.clone().into(),
            ..Context::default()
        }
    }

    fn digest(&self) -> u64 {
        digest_of_text(self.sequence.hash)
    }

    fn state_hash(&self) -> u64 {
        // What was seen says what the text is, collected tombstones or not.
        let waiting = self.waiting.iter();
        let seen = hash::chain(self.seen.hash(0), 0);
        waiting.fold(seen, |hash, news| hash::chain(hash, news.dot.bits()))
    }

    fn size(&self) -> Size {
        let mut size = Size::default();
        if !self.seen.is_empty() {
            let (mut runs, mut deletions) = (0, 0);
            let mut last: Option<&Run> = None;
            for run in self.sequence.runs() {
                runs += u64::from(!last.is_some_and(|last| last.runs_on(run)));
                deletions += run.erased.len() as u64;
                last = Some(run);
            }
            size.text = self.sequence.visible.into();
            size.metadata = self.seen.bytes() + wire::COUNT + RUN * runs + wire::DOT * deletions;
        }
        for news in &self.waiting {
            let Size { text, metadata, .. } = news.size();
            if self.seen.is_empty() {
                size.text += text;
                size.metadata += metadata;
            } else {
                // What waits is in nobody's text yet.
                size.metadata += text + metadata;
            }
        }
        size
    }

    fn beside(&self) -> u64 {
        // The dot is the operation's own.
        self.waiting.iter().map(|news| news.size().metadata - wire::DOT).sum()
    }

    fn tombstones(&self) -> u64 {
        Self::tombstones(self)
    }

    fn collect(&mut self, stable: &VersionVector) -> u64 {
        if self.sequence.tombstones == 0 {
            return 0;
        }
        Self::collect(self, stable)
    }
}

impl Text {
    /// Says which characters a deletion takes, by the insertions that they came with.
    fn tell_taken(&self, version: Dot, first: CharId, length: u32, fates: &mut impl FnMut(Fate)) {
        let writer = self.known_writer(first.origin).expect("characters have writers");
        let (mut id, mut left) = (first, length);
        while left > 0 {
            let char = self.char(id);
            let next = writer.insertions.partition_point(|(_, time, _)| *time <= id.time);
            let until = writer.insertions.get(next).map_or(u32::MAX, |(_, time, _)| *time);
            let taken = left.min(until - id.time);
            fates(Fate::Took {
                version,
                first: char,
                length: taken,
            });
            (id, left) = (id.after(taken), left - taken);
        }
    }
}
