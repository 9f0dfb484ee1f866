//! Addressed randomness: a draw is named by what it is about, never taken from a shared stream.
//!
//! A [`Key`] stands for an entity (or any other thing that random choices are about). It is derived from the root key of
//! (seed, replicate) along the entity's *name path*, so adding an entity shifts nobody else's draws. A draw is then
//! addressed by (key, purpose, number): the same address gives the same bits, whoever asks, however often, in any order.
//!
//! The generator is counter-based: the address is mixed with two rounds of the SplitMix64 finaliser (Steele, Lea and Flood,
//! OOPSLA 2014, in Stafford's variant 13) around a key injection. Root keys come from ChaCha8, so that neighbouring seeds
//! share nothing.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use twox_hash::XxHash3_64;

/// 2^64 divided by the golden ratio, odd: the Weyl increment of SplitMix64.
const WEYL: u64 = 0x9e37_79b9_7f4a_7c15;

/// An odd constant that keeps the addresses of different purposes apart (from MurmurHash3).
const PURPOSES: u64 = 0xff51_afd7_ed55_8ccd;

/// The SplitMix64 finaliser: a bijection on 64 bits in which every input bit moves about half of the output bits.
#[inline(always)]
const fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// What a draw is for. Draws of different purposes under one key are independent.
///
/// A purpose is a small number; the constants of each floor are declared where they are used, and a user's own model may
/// pick any number that it doesn't use twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Purpose(pub u16);

/// The identity under which draws are addressed: 64 bits, derived from a root and a path of names and indices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Key(u64);

impl Key {
    /// The key of one replicate of one seed: the root of every other key of that run.
    ///
    /// The seed keys ChaCha8 and the replicate selects its stream, so no two (seed, replicate) pairs are related.
    pub fn root(seed: u64, replicate: u64) -> Self {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        generator.set_stream(replicate);
        Self(generator.next_u64())
    }

    /// The key of the child called `name`.
    pub fn child(self, name: &str) -> Self {
        Self(XxHash3_64::oneshot_with_seed(self.0, name.as_bytes()))
    }

    /// The key of the member number `index` of a group.
    #[inline]
    pub fn member(self, index: u64) -> Self {
        Self(mix(
            mix(self.0 ^ index.wrapping_mul(WEYL)).wrapping_add(self.0.rotate_left(32))
        ))
    }

    /// The 64 random bits at the address (this key, `purpose`, `number`).
    #[inline]
    pub fn draw(self, purpose: Purpose, number: u64) -> u64 {
        self.stream(purpose, number).next_u64()
    }

    /// The sub-stream at the address (this key, `purpose`, `number`): for samplers that may reject, and so need a number
    /// of draws that nobody knows in advance.
    #[inline]
    pub fn stream(self, purpose: Purpose, number: u64) -> Stream {
        // Both products are bijections of 64 bits, so neighbouring numbers and purposes never share an address, and numbers may
        // be of any size: hashes of a path as well as counters.
        let address = number
            .wrapping_mul(WEYL)
            .wrapping_add((purpose.0 as u64).wrapping_mul(PURPOSES));
        Stream(mix(address ^ self.0).wrapping_add(self.0.rotate_left(29)))
    }

    /// The key's bits, for ordering and for display.
    pub fn bits(self) -> u64 {
        self.0
    }
}

/// A short stream of draws that belongs to one address (SplitMix64).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stream(u64);

impl Stream {
    /// The next 64 random bits.
    #[inline]
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(WEYL);
        mix(self.0)
    }

    /// A uniform number in [0, 1): 53 random bits.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// A uniform number in (0, 1): never 0, never 1, so that its logarithm is finite.
    #[inline]
    pub fn open_unit(&mut self) -> f64 {
        ((self.next_u64() >> 12) as f64 + 0.5) * (1.0 / (1u64 << 52) as f64)
    }

    /// A uniform integer in `0..bound`, without bias (Lemire, ACM TOMACS 2019).
    ///
    /// # Panics
    /// Panics if `bound` is zero.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        assert!(bound > 0, "a uniform integer needs a bound above zero");
        let mut product = self.next_u64() as u128 * bound as u128;
        if (product as u64) < bound {
            let threshold = bound.wrapping_neg() % bound;
            while (product as u64) < threshold {
                product = self.next_u64() as u128 * bound as u128;
            }
        }
        (product >> 64) as u64
    }

    /// Whether an event of probability `p` happens: `p` of 0 never does, and `p` of 1 always does.
    #[inline]
    pub fn chance(&mut self, p: f64) -> bool {
        self.unit() < p
    }
}
