//! Inference by continuous batching: what an endpoint is, and what a request asks of it.
//!
//! Requests are worked on in iterations. In each of them every sequence that is being decoded has one more token, and prompts are read
//! in chunks by what is left of the iteration's budget of tokens. Requests come into the batch and leave it between two iterations (Orca:
//! Yu et al., OSDI 2022; chunks of prompts, decoding first: Sarathi-Serve, Agrawal et al., OSDI 2024). The keys and values of all tokens
//! of the batch lie in a memory of blocks; where it is full, the sequence that came in last loses its blocks and is computed again
//! later (vLLM: Kwon et al., SOSP 2023).

mod engine;
mod pool;
#[cfg(test)]
mod tests;

pub(super) use engine::{Engine, Sequence};

use crate::kernel::SimDuration;
use crate::world::call::Prompt;

/// An inference endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Batching {
    /// How many sequences are in the batch at most.
    pub max_batch: u32,
    /// How many tokens an iteration takes in at most: not less than `max_batch`.
    pub tokens: u32,
    /// The capacity of the KV cache in tokens: whole blocks of it are used.
    pub kv: u64,
    /// The tokens of a block.
    pub block: u32,
    /// Whether blocks are kept that nobody uses, for prompts that begin with the same tokens.
    pub prefix_cache: bool,
    /// What an iteration takes, whatever is in it.
    pub base: SimDuration,
    /// What each token of a prompt adds.
    pub each_in: SimDuration,
    /// What each sequence that is decoded adds.
    pub each_out: SimDuration,
    /// What each token adds whose keys and values the batch holds when the iteration begins.
    pub each_held: SimDuration,
}

impl Batching {
    /// How many blocks there are.
    pub fn blocks(&self) -> u64 {
        self.kv / u64::from(self.block)
    }

    /// How many tokens a request holds when its last token is made, which itself isn't kept.
    pub fn held(tokens_in: u32, tokens_out: u32) -> u64 {
        u64::from(tokens_in.max(1)) + u64::from(tokens_out.max(1)) - 1
    }

    /// Whether there is ever room for a request.
    pub fn fits(&self, tokens_in: u32, tokens_out: u32) -> bool {
        Self::held(tokens_in, tokens_out).div_ceil(u64::from(self.block)) <= self.blocks()
    }

    /// How long an iteration takes that reads so many tokens of prompts and decodes so many sequences, while so many tokens are held.
    pub fn iteration(&self, tokens_in: u64, decoded: u64, held: u64) -> SimDuration {
        let of = |each: SimDuration, count: u64| each.as_nanos().saturating_mul(count);
        let parts = [
            self.base.as_nanos(),
            of(self.each_in, tokens_in),
            of(self.each_out, decoded),
            of(self.each_held, held),
        ];
        SimDuration::from_nanos(parts.into_iter().fold(0, u64::saturating_add))
    }
}

/// Which tokens a sequence consists of: equal blocks have equal names.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(super) struct Chain {
    /// The prefix that it shares with others, and how many tokens that has.
    shared: (u64, u32),
    /// What follows.
    own: u64,
}

impl Chain {
    /// The tokens of a request: those of its conversation, or its call's own.
    pub fn of(prompt: Option<&Prompt>, call: u64) -> Self {
        let (shared, conversation) = prompt.map_or((None, None), |prompt| (prompt.shared, prompt.conversation));
        Self {
            shared: shared.unwrap_or_default(),
            own: conversation.unwrap_or_else(|| call.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x6361_6c6c),
        }
    }

    /// The name of a block, of so many tokens each.
    fn block(&self, index: u32, length: u32) -> (u64, u32) {
        let (name, tokens) = self.shared;
        match (u64::from(index) + 1) * u64::from(length) <= u64::from(tokens) {
            true => (name, index),
            false => (self.own, index),
        }
    }
}

/// What happened at an inference endpoint: the third word of its records, whose subject is the service.
pub mod event {
    /// An iteration begins, or none because there is nothing to do. a: sequences in the batch; b: tokens of the blocks in use; extra:
    /// sequences that are decoded, tokens of prompts, tokens held.
    pub const BATCH: u64 = 0;
    /// A request has its first token. a: the call; b: when it came.
    pub const FIRST: u64 = 1;
    /// A request lost its blocks, because others needed them. a: the call; b: tokens that it had made.
    pub const PREEMPTED: u64 = 2;
    /// It is in the batch again. a: the call.
    pub const AGAIN: u64 = 3;
    /// A request comes into the batch. a: the call; b: how many tokens of its prompt are there already (high), of how many.
    pub const PREFIX: u64 = 4;
    /// A request has its last token. a: the call; b: when it had its first; extra: how many it has.
    pub const LAST: u64 = 5;
}
