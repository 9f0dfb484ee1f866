//! What nodes say to each other.

use super::super::member::Saying;
use super::super::shared::{Shared, mix};
use crate::kernel::Words;
use serde::Serialize;

/// What a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Request {
    /// Its identity.
    pub identity: u64,
    /// Its content.
    pub value: u64,
    /// Its size.
    pub bytes: u32,
}

/// A block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Block {
    /// Its identity: a hash of what it says, who found it, and how many that one had found before.
    pub id: u64,
    /// The identity of the block before it; 0 is before all of them.
    pub parent: u64,
    /// Its place in its chain, from 1.
    pub height: u64,
    /// Who found it.
    pub finder: u32,
    /// Its requests, in order.
    pub requests: Vec<Request>,
    /// A request that can't come into this chain any more: what it would spend is spent here otherwise.
    pub spends: Option<u64>,
    /// Its size.
    pub bytes: u32,
}

impl Block {
    /// The identity of a block.
    pub(super) fn identify(parent: u64, finder: u32, number: u64) -> u64 {
        // 0 is the beginning.
        mix(mix(parent, u64::from(finder)), number) | 1
    }
}

/// What is said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Message {
    /// A node connects to another, or is back and wants to know what it missed.
    Hello,
    /// Somebody has asked for this.
    Request(Request),
    /// There is this block.
    Announce {
        /// Its identity.
        id: u64,
    },
    /// Send this block, and the ones before it that are higher than what I have.
    Get {
        /// Its identity.
        id: u64,
        /// The height of my chain.
        above: u64,
    },
    /// Blocks of one chain, from the lowest.
    Blocks(Shared<Vec<Shared<Block>>>),
}

impl Saying for Message {
    const KINDS: &'static [&'static str] = &["hello", "request", "announce", "get", "blocks"];

    fn kind(&self) -> u16 {
        match self {
            Self::Hello => 0,
            Self::Request(_) => 1,
            Self::Announce { .. } => 2,
            Self::Get { .. } => 3,
            Self::Blocks(_) => 4,
        }
    }

    fn bytes(&self) -> u32 {
        // A message of Bitcoin has a head of 24 bytes, and a hash has 32.
        24 + match self {
            Self::Hello => 0,
            Self::Request(request) => request.bytes,
            Self::Announce { .. } => 36,
            Self::Get { .. } => 44,
            Self::Blocks(blocks) => blocks.iter().fold(0, |sum, block| sum + block.bytes),
        }
    }

    fn digest(&self, words: &mut Words) {
        match self {
            Self::Hello => words.push(0),
            Self::Request(request) => words.push_all([request.identity, request.value, u64::from(request.bytes)]),
            Self::Announce { id } => words.push(*id),
            Self::Get { id, above } => words.push_all([*id, *above]),
            Self::Blocks(blocks) => {
                for block in blocks.iter() {
                    let requests = block.requests.iter().fold(0, |hash, one| mix(hash, one.identity));
                    words.push_all([block.id, block.parent, requests, block.spends.unwrap_or(0)]);
                }
            }
        }
    }
}
