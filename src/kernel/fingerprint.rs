//! The fingerprint of a run: a number that changes when anything that was handled changes.
//!
//! For each checkpoint of simulated time it is the sum modulo 2^128 of a 128-bit hash (XXH3) of every handled entry, with all
//! its fields and its payload; checkpoints are chained. A sum doesn't care about the order of its terms, and time and order
//! are part of every term: so queues, threads and cancelled timers leave no trace in it.

#[cfg(test)]
mod tests;
mod xxh3;

use super::entry::Entry;
use super::time::{SimDuration, SimTime};
use serde::{Deserialize, Serialize};
use std::fmt;
use twox_hash::XxHash3_128;

/// The most payload words of one entry that are kept apart; further ones are folded into a running hash.
const WORDS: usize = 12;
/// The words of an entry's own fields.
const FIELDS: usize = 3;

/// The words of one entry as they are hashed: its fields, then the payload that the model pushes.
#[derive(Debug, Clone)]
pub struct Words {
    words: [u64; FIELDS + WORDS],
    len: usize,
}

impl Words {
    /// No words yet: a buffer to be used for one entry after another.
    pub(super) fn new() -> Self {
        Self {
            words: [0; FIELDS + WORDS],
            len: 0,
        }
    }

    /// Starts again with the words of an entry's fields.
    #[inline(always)]
    pub(super) fn restart<B>(&mut self, entry: &Entry<B>) {
        self.words[0] = entry.time.as_nanos();
        self.words[1] = (entry.origin as u64) << 32 | entry.number as u64;
        self.words[2] = (entry.target as u64) << 32 | (entry.step as u64) << 16 | entry.kind as u64;
        self.len = FIELDS;
    }

    /// Adds a word of payload.
    #[inline]
    pub fn push(&mut self, word: u64) {
        if self.len == FIELDS + WORDS {
            self.fold();
        }
        self.words[self.len] = word;
        self.len += 1;
    }

    /// Adds several words of payload.
    #[inline]
    pub fn push_all<const COUNT: usize>(&mut self, words: [u64; COUNT]) {
        match self.words.get_mut(self.len..self.len + COUNT) {
            Some(room) => {
                room.copy_from_slice(&words);
                self.len += COUNT;
            }
            None => words.into_iter().for_each(|word| self.push(word)),
        }
    }

    /// Replaces the payload so far by its hash, so that a payload of any length is covered.
    #[cold]
    fn fold(&mut self) {
        let hash = xxh3::hash(&self.words[FIELDS..]);
        self.words[FIELDS] = hash as u64;
        self.words[FIELDS + 1] = (hash >> 64) as u64;
        self.len = FIELDS + 2;
    }

    /// How many words there are, those of the fields included.
    pub fn count(&self) -> usize {
        self.len
    }

    /// Flips the bits of `mask` in word `index`: how a test shows that every bit counts.
    ///
    /// # Panics
    /// Panics if there is no such word.
    pub fn flip(&mut self, index: usize, mask: u64) {
        assert!(index < self.len, "an entry of {} words has no word {index}", self.len);
        self.words[index] ^= mask;
    }

    /// The hash of all words.
    #[inline]
    pub fn hash(&self) -> u128 {
        if self.len == FIELDS {
            // The most frequent length gets code of its own.
            return xxh3::hash(&self.words[..FIELDS]);
        }
        self.hash_payload()
    }

    #[inline(never)]
    fn hash_payload(&self) -> u128 {
        xxh3::hash(&self.words[..self.len])
    }
}

/// The running fingerprint of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Fingerprint {
    period: SimDuration,
    until: SimTime,
    sum: u128,
    handled: u64,
    chain: u128,
    checkpoints: Vec<Checkpoint>,
}

/// The fingerprint as it stood at one checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The simulated time up to which entries are covered, exclusive.
    pub until: SimTime,
    /// Entries handled since the start of the run.
    pub handled: u64,
    /// The chained fingerprint.
    pub print: Print,
}

/// A fingerprint: 128 bits, shown as 32 hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Print(pub u128);

impl fmt::Display for Print {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for Print {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Fingerprint {
    /// A fingerprint with a checkpoint each `period` of simulated time.
    ///
    /// # Panics
    /// Panics if `period` is zero.
    pub fn new(period: SimDuration) -> Self {
        assert!(period > SimDuration::ZERO, "checkpoints need a period");
        let until = SimTime::ZERO.saturating_add(period);
        Self {
            period,
            until,
            sum: 0,
            handled: 0,
            chain: 0,
            checkpoints: Vec::new(),
        }
    }

    /// Adds the hash of one handled entry. Times never go back.
    #[inline]
    pub fn add(&mut self, time: SimTime, hash: u128) {
        if time >= self.until {
            self.close_until(time);
        }
        self.sum = self.sum.wrapping_add(hash);
        self.handled += 1;
    }

    /// Closes checkpoints until `time` lies in the open one; stretches without entries take one checkpoint together.
    #[cold]
    fn close_until(&mut self, time: SimTime) {
        if self.until == SimTime::NEVER {
            return; // The last checkpoint stays open.
        }
        self.close();
        let periods = time.since(self.until).as_nanos() / self.period.as_nanos() + 1;
        self.until = self
            .until
            .saturating_add(SimDuration::from_nanos(periods.saturating_mul(self.period.as_nanos())));
    }

    fn close(&mut self) {
        self.chain = chain(self.chain, self.until, self.handled, self.sum);
        self.sum = 0;
        self.checkpoints.push(Checkpoint {
            until: self.until,
            handled: self.handled,
            print: Print(self.chain),
        });
    }

    /// The fingerprint of all entries so far.
    pub fn print(&self) -> Print {
        Print(chain(self.chain, self.until, self.handled, self.sum))
    }

    /// Entries handled so far.
    pub fn handled(&self) -> u64 {
        self.handled
    }

    /// The closed checkpoints, earliest first.
    pub fn checkpoints(&self) -> &[Checkpoint] {
        &self.checkpoints
    }
}

fn chain(previous: u128, until: SimTime, handled: u64, sum: u128) -> u128 {
    let mut bytes = [0; 48];
    bytes[..16].copy_from_slice(&previous.to_le_bytes());
    bytes[16..24].copy_from_slice(&until.as_nanos().to_le_bytes());
    bytes[24..32].copy_from_slice(&handled.to_le_bytes());
    bytes[32..].copy_from_slice(&sum.to_le_bytes());
    XxHash3_128::oneshot(&bytes)
}
