//! Coarse time: wheels of 256 slots for what lies beyond the ring.

use super::chunks::Bag;

/// Slots of one coarse wheel, as a power of two.
pub(super) const COARSE_BITS: u32 = 8;

/// A wheel of 256 coarse slots, with a bit for each that holds something.
#[derive(Debug, Clone)]
pub(super) struct Wheel {
    pub(super) slots: Vec<Bag>,
    pub(super) occupied: [u64; 4],
}

impl Wheel {
    /// A wheel with nothing in it.
    pub(super) fn new() -> Self {
        Self {
            slots: vec![Bag::EMPTY; 1 << COARSE_BITS],
            occupied: [0; 4],
        }
    }
}

/// The first set bit at or behind `from`, if there is one.
#[inline]
pub(super) fn next_set(words: &[u64], from: usize) -> Option<usize> {
    let mut word = from / 64;
    let mut bits = words.get(word)? & (u64::MAX << (from % 64));
    loop {
        if bits != 0 {
            return Some(word * 64 + bits.trailing_zeros() as usize);
        }
        word += 1;
        bits = *words.get(word)?;
    }
}
