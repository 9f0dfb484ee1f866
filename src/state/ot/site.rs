//! A site of one text: the client's side, with what it has sent and what it holds back, and the server's side, with the history.
//!
//! Nothing here sends or waits. A host hands a site what its user does ([`Site::local`]), what the server says ([`Site::receive`]) and,
//! at the server, what clients submit ([`Site::submit`]); it ships what [`Site::outstanding`] and [`Site::log`] hold.
//!
//! Guarantees: a client's text is the server's history up to [`Site::revision`], then what it has outstanding, then its buffer; all
//! sites at one revision that hold nothing back show one text. A batch that comes again is known again, and a revision is taken in
//! once, in its turn.

use super::document::TrackedText;
use super::transform::{CharId, Primitive, transform};
use crate::state::{Accept, Dot, DotRange, Fate, Op, VersionVector, wire};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An update on its way: what it changes in the text that it meets next.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// Its identity.
    pub dot: Dot,
    /// Its changes, one after another.
    pub changes: Vec<Primitive>,
}

/// Bytes of a change: what it does and where, and how many characters.
const CHANGE: u64 = 8;

impl Edit {
    /// What it weighs on the wire: its identity, its changes, and a byte for each character.
    pub fn bytes(&self) -> u64 {
        self.metadata() + self.characters()
    }

    /// How many characters it inserts.
    pub fn characters(&self) -> u64 {
        let inserted = |change: &Primitive| match change {
            Primitive::Insert { length, .. } => u64::from(*length),
            Primitive::Delete { .. } => 0,
        };
        self.changes.iter().map(inserted).sum()
    }

    /// What it weighs beside its characters.
    pub fn metadata(&self) -> u64 {
        wire::DOT + CHANGE * self.changes.len() as u64
    }
}

/// A revision of the server: the edits of one batch, as the server applied them.
pub type Revision = Vec<Edit>;

/// What became of a revision that has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Received {
    /// It was taken in, with those that waited for it.
    Taken,
    /// It was known.
    Known,
    /// It waits for those before it.
    Early,
}

/// One text at one site.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    text: TrackedText,
    seen: VersionVector,
    /// The server's history, as far as it is known.
    log: Vec<Revision>,
    /// The bytes of the history beside its characters, and those.
    weight: (u64, u64),
    /// What was sent and isn't in the history yet.
    outstanding: Vec<Edit>,
    /// What was done since.
    buffer: Vec<Edit>,
    /// Revisions that came too early.
    early: BTreeMap<u32, Revision>,
    /// Pairs of changes transformed so far.
    transforms: u64,
    /// Whether edits are transformed. Only a broken site doesn't.
    is_whole: bool,
}

impl Site {
    /// A site of an empty text. One that isn't `whole` applies what others did as they did it: a flaw for tests to find.
    pub fn new(is_whole: bool) -> Self {
        Self {
            text: TrackedText::default(),
            seen: VersionVector::default(),
            log: Vec::new(),
            weight: (0, 0),
            outstanding: Vec::new(),
            buffer: Vec::new(),
            early: BTreeMap::new(),
            transforms: 0,
            is_whole,
        }
    }

    /// The text.
    pub fn text(&self) -> &TrackedText {
        &self.text
    }

    /// The updates that are in the text.
    pub fn seen(&self) -> &VersionVector {
        &self.seen
    }

    /// How many revisions of the server are in the text.
    pub fn revision(&self) -> u32 {
        self.log.len() as u32
    }

    /// The server's history, as far as it is known.
    pub fn log(&self) -> &[Revision] {
        &self.log
    }

    /// What was sent and isn't in the history yet.
    pub fn outstanding(&self) -> &[Edit] {
        &self.outstanding
    }

    /// Whether there is anything that the history hasn't.
    pub fn is_ahead(&self) -> bool {
        !self.outstanding.is_empty() || !self.buffer.is_empty()
    }

    /// Pairs of changes transformed so far.
    pub fn transforms(&self) -> u64 {
        self.transforms
    }

    /// What it keeps beside the text: the history, what isn't in it yet, and the vector of what was seen; in bytes.
    pub fn metadata(&self) -> u64 {
        let waiting = self.outstanding.iter().chain(&self.buffer).map(Edit::bytes);
        self.seen.bytes() + self.weight.0 + self.weight.1 + waiting.sum::<u64>()
    }

    /// What the site's own user does. Positions are of the text that the context names, or else of the one that is there.
    ///
    /// # Panics
    /// Panics if `op` is no operation on a text.
    pub fn local(&mut self, op: Op, at: Accept<'_>, fates: &mut impl FnMut(Fate)) -> Edit {
        let own = self.seen.clone();
        let seen = at.context.map_or(&own, |context| context.seen.vector());
        let changes = match op {
            Op::InsertText {
                at: place,
                from,
                length,
            } => {
                let serial = self.text.typed(at.dot.origin);
                let origin = at.dot.origin;
                let first = CharId { origin, serial };
                let typed = self.text.type_at(seen, place, first, from, length, at.dot, fates);
                if length > 0 { vec![typed] } else { Vec::new() }
            }
            Op::DeleteText { at: place, length } => self.text.delete_at(seen, place, length, at.dot, fates),
            op => panic!("{op:?} is no operation on a text"),
        };
        self.seen.raise(at.dot.origin, at.dot.number);
        fates(Fate::applied(at.dot));
        let edit = Edit { dot: at.dot, changes };
        self.buffer.push(edit.clone());
        edit
    }

    /// Sends what was done since the last batch, if that is in the history: true if there is a new batch to ship.
    pub fn send(&mut self) -> bool {
        if !self.outstanding.is_empty() || self.buffer.is_empty() {
            return false;
        }
        self.outstanding = std::mem::take(&mut self.buffer);
        true
    }

    /// At the server: what its own user did becomes a revision. Whether there was anything.
    pub fn append_own(&mut self) -> bool {
        let own = std::mem::take(&mut self.buffer);
        let any = !own.is_empty();
        if any {
            self.append(own);
        }
        any
    }

    /// At the server: a client submits a batch that it made at a revision. Whether it is a new one.
    pub fn submit(&mut self, revision: u32, mut edits: Vec<Edit>, fates: &mut impl FnMut(Fate)) -> bool {
        let Some(first) = edits.first().map(|edit| edit.dot) else {
            return false;
        };
        if self.seen.contains(first) || revision > self.revision() {
            return false;
        }
        if self.is_whole {
            for after in &self.log[revision as usize..] {
                for known in after {
                    let mut changes = known.changes.clone();
                    self.transforms += pass(&mut edits, &mut changes, known.dot);
                }
            }
        }
        self.take_in(&edits, fates);
        self.append(edits);
        true
    }

    /// At a client: revision number `place` of the server, from 0.
    pub fn receive(&mut self, place: u32, revision: Revision, fates: &mut impl FnMut(Fate)) -> Received {
        if place < self.revision() {
            return Received::Known;
        }
        if place > self.revision() {
            self.early.entry(place).or_insert(revision);
            return Received::Early;
        }
        self.next(revision, fates);
        while let Some(revision) = self.early.remove(&self.revision()) {
            self.next(revision, fates);
        }
        Received::Taken
    }

    /// The next revision.
    fn next(&mut self, revision: Revision, fates: &mut impl FnMut(Fate)) {
        let is_own = revision.first().is_some_and(|edit| self.seen.contains(edit.dot));
        if is_own {
            self.outstanding.clear();
            return self.append(revision);
        }
        let mut here = revision.clone();
        if self.is_whole {
            for edit in &mut here {
                self.transforms += pass(&mut self.outstanding, &mut edit.changes, edit.dot);
                self.transforms += pass(&mut self.buffer, &mut edit.changes, edit.dot);
            }
        }
        self.take_in(&here, fates);
        self.append(revision);
    }

    /// Applies what others did.
    fn take_in(&mut self, edits: &[Edit], fates: &mut impl FnMut(Fate)) {
        for edit in edits {
            for change in &edit.changes {
                self.text.apply(*change, edit.dot);
            }
            self.seen.raise(edit.dot.origin, edit.dot.number);
            fates(Fate::Applied(DotRange::one(edit.dot)));
        }
    }

    fn append(&mut self, revision: Revision) {
        let metadata = revision.iter().map(Edit::metadata);
        self.weight.0 += wire::COUNT + metadata.sum::<u64>();
        self.weight.1 += revision.iter().map(Edit::characters).sum::<u64>();
        self.log.push(revision);
    }

    /// A server has lost its history and takes it from here: what came too early under the old one is forgotten.
    pub fn forget_early(&mut self) {
        self.early.clear();
    }
}

/// Lets the changes of an edit `by` pass edits that were made beside it, each transformed against the other. Returns how many pairs
/// it was.
fn pass(edits: &mut [Edit], changes: &mut Vec<Primitive>, by: Dot) -> u64 {
    let mut done = 0;
    for edit in edits {
        done += transform(&mut edit.changes, changes, edit.dot.origin < by.origin);
    }
    done
}
