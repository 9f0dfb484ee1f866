//! The batch: which sequences are in it, what an iteration does with each, and what becomes of them at its end.

use super::pool::Pool;
use super::{Batching, Chain};
use crate::kernel::{SimDuration, SimTime, Ticket};
use crate::world::slab::Handle;
use serde::Serialize;

/// A request that may come into the batch.
#[derive(Debug, Clone, Copy, Serialize)]
pub(in crate::services) struct Sequence {
    pub handle: Handle,
    pub chain: Chain,
    pub tokens_in: u32,
    pub tokens_out: u32,
    /// Tokens that it has made.
    pub made: u32,
}

/// A sequence in the batch.
#[derive(Debug, Clone, Copy, Serialize)]
struct Running {
    of: Sequence,
    /// How many tokens have to be computed before it makes the next one.
    target: u32,
    /// How many tokens are held.
    held: u32,
    /// How many of its blocks have names, from the first on.
    named: u32,
    /// How many have none.
    own: u32,
    /// How many tokens of its prompt this iteration reads.
    chunk: u32,
    /// Whether this iteration decodes it.
    decodes: bool,
}

impl Running {
    fn is_decoding(&self) -> bool {
        self.held >= self.target
    }
}

/// What came of an iteration for a sequence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::services) struct Finished {
    pub handle: Handle,
    /// It has its first token.
    pub first: bool,
    /// It has its last one, and is out of the batch.
    pub last: bool,
}

/// What an iteration takes in.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(in crate::services) struct Load {
    /// Tokens of prompts.
    pub tokens_in: u32,
    /// Sequences that are decoded.
    pub decoded: u32,
    /// Tokens held when it begins, blocks that are used together counted for each that uses them.
    pub held: u64,
}

/// The batch and its memory.
#[derive(Debug, Clone, Serialize)]
pub(in crate::services) struct Engine {
    #[serde(skip)]
    spec: Batching,
    running: Vec<Running>,
    pool: Pool,
    pub load: Load,
    /// Whether sequences were put out for this iteration: then none comes in.
    is_short: bool,
    /// Whether an iteration is under way.
    pub busy: bool,
    /// Its number.
    pub number: u64,
    /// The work that was left of it at `since`.
    pub left: SimDuration,
    pub since: SimTime,
    /// When it ends, as things stand; and when its valid entry comes.
    pub due: SimTime,
    pub queued: SimTime,
    pub ticket: Ticket,
}

impl Engine {
    pub fn new(spec: Batching) -> Self {
        Self {
            running: Vec::new(),
            pool: Pool::new(spec.blocks()),
            load: Load::default(),
            is_short: false,
            busy: false,
            number: 0,
            left: SimDuration::ZERO,
            since: SimTime::ZERO,
            due: SimTime::NEVER,
            queued: SimTime::NEVER,
            ticket: Ticket { rank: 0, number: 0 },
            spec,
        }
    }

    /// How many sequences are in the batch.
    pub fn len(&self) -> usize {
        self.running.len()
    }

    /// The tokens of all blocks in use.
    pub fn used(&self) -> u64 {
        self.pool.used() * u64::from(self.spec.block)
    }

    /// An iteration is put together: who is decoded, and which chunks of prompts are read of those in the batch. Returns those that lost their
    /// blocks, the last that came in first, with what they had made.
    pub fn begin(&mut self) -> Vec<Sequence> {
        let mut out = Vec::new();
        self.load = Load {
            held: self.running.iter().map(|running| u64::from(running.held)).sum(),
            ..Load::default()
        };
        let mut at = 0;
        while at < self.running.len() {
            let running = self.running[at];
            let blocks = u64::from(running.named + running.own) * u64::from(self.spec.block);
            if running.is_decoding() {
                let mut has_block = u64::from(running.held) < blocks;
                while !has_block && !self.pool.take(1) {
                    let last = self.running.pop().expect("the one that needs a block is there");
                    self.load.held -= u64::from(last.held);
                    out.push(last.of);
                    self.release(last);
                    has_block = at == self.running.len();
                }
                let Some(running) = self.running.get_mut(at) else { break };
                running.own += u32::from(u64::from(running.held) >= blocks);
                running.decodes = true;
                self.load.decoded += 1;
            }
            at += 1;
        }
        let mut left = self.spec.tokens - self.load.decoded;
        for running in self.running.iter_mut().filter(|running| !running.is_decoding()) {
            running.chunk = left.min(running.target - running.held);
            left -= running.chunk;
            self.load.tokens_in += running.chunk;
        }
        self.is_short = !out.is_empty();
        out
    }

    /// Whether another sequence may come into the iteration that is put together, if its memory suffices.
    pub fn has_room(&self) -> bool {
        !self.is_short
            && self.running.len() < self.spec.max_batch as usize
            && self.load.tokens_in + self.load.decoded < self.spec.tokens
    }

    /// A sequence comes in, if there is memory for all that has to be computed before its next token. Returns how many tokens are there
    /// already.
    pub fn admit(&mut self, of: Sequence) -> Option<u32> {
        let length = self.spec.block;
        let target = of.tokens_in.max(1) + of.made;
        // At least one token has to be computed, for the next one to be made.
        let whole = (target - 1) / length;
        let names = match self.spec.prefix_cache {
            true => self.pool.leading((0..whole).map(|index| of.chain.block(index, length))),
            false => Vec::new(),
        };
        let named = names.len() as u32;
        let own = target.div_ceil(length) - named;
        if !self.pool.take_behind(&names, u64::from(own)) {
            return None;
        }
        let held = named * length;
        let left = self.spec.tokens - self.load.tokens_in - self.load.decoded;
        let chunk = left.min(target - held);
        self.load.tokens_in += chunk;
        self.load.held += u64::from(held);
        self.running.push(Running {
            of,
            target,
            held,
            named,
            own,
            chunk,
            decodes: false,
        });
        Some(held)
    }

    /// How long the iteration takes that was put together.
    pub fn duration(&self) -> SimDuration {
        let Load {
            tokens_in,
            decoded,
            held,
        } = self.load;
        self.spec.iteration(tokens_in.into(), decoded.into(), held)
    }

    /// The iteration is over: what came of it, in the order in which the sequences came in.
    pub fn end(&mut self) -> Vec<Finished> {
        let mut all = Vec::new();
        for mut running in std::mem::take(&mut self.running) {
            let reads = std::mem::take(&mut running.chunk);
            let decodes = std::mem::take(&mut running.decodes);
            running.held += reads + u32::from(decodes);
            let is_read = reads > 0 && running.held == running.target;
            if is_read || decodes {
                let is_first = running.of.made == 0;
                running.of.made += 1;
                let last = running.of.made >= running.of.tokens_out;
                if is_first || last {
                    all.push(Finished {
                        handle: running.of.handle,
                        first: is_first,
                        last,
                    });
                }
                if last {
                    self.release(running);
                    continue;
                }
            }
            if is_read {
                self.name(&mut running);
            }
            self.running.push(running);
        }
        all
    }

    /// Gives the whole blocks of a sequence their names.
    fn name(&mut self, running: &mut Running) {
        if !self.spec.prefix_cache {
            return;
        }
        while (running.named + 1) * self.spec.block <= running.held {
            self.pool.name(running.of.chain.block(running.named, self.spec.block));
            running.named += 1;
            running.own -= 1;
        }
    }

    /// A sequence is out of the batch. Its whole blocks may be of use to others.
    fn release(&mut self, mut running: Running) {
        self.name(&mut running);
        for index in (0..running.named).rev() {
            self.pool.leave(running.of.chain.block(index, self.spec.block));
        }
        self.pool.give_back(u64::from(running.own));
    }

    /// A sequence is taken out, in an iteration or between two; the one under way takes as long as it would have.
    pub fn remove(&mut self, handle: Handle) {
        if let Some(at) = self.running.iter().position(|running| running.of.handle == handle) {
            let running = self.running.remove(at);
            self.release(running);
        }
    }

    /// All is lost, the memory too: who was in the batch, in the order of coming in.
    pub fn crash(&mut self) -> Vec<Handle> {
        let lost = std::mem::take(&mut self.running);
        let number = self.number;
        *self = Self {
            number,
            ..Self::new(self.spec)
        };
        lost.into_iter().map(|running| running.of.handle).collect()
    }
}
