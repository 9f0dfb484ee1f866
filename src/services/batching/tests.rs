//! The batch against a slow one that moves token by token over slots of memory, and against closed forms.

use super::*;
use crate::world::slab::Handle;
use proptest::prelude::*;
use std::collections::VecDeque;

/// A request: when it comes, its tokens, and what they are.
#[derive(Debug, Clone, Copy)]
struct Asked {
    at: u64,
    tokens_in: u32,
    tokens_out: u32,
    chain: Chain,
}

/// What became of one: when its first token was there, when its last, how often it was put out, and how many tokens were there when it
/// came in, each time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Course {
    first: u64,
    last: u64,
    put_out: u32,
    there: Vec<u32>,
}

/// What becomes of requests at the batch; the second number is how many iterations there were.
fn fast(spec: Batching, asked: &[Asked]) -> (Vec<Course>, u64) {
    let mut engine = Engine::new(spec);
    let mut courses = vec![Course::default(); asked.len()];
    let (mut queue, mut next, mut now, mut iterations) = (VecDeque::new(), 0, 0u64, 0);
    let sequence = |n: usize| Sequence {
        handle: Handle::from_word(n as u64),
        chain: asked[n].chain,
        tokens_in: asked[n].tokens_in,
        tokens_out: asked[n].tokens_out,
        made: 0,
    };
    loop {
        if queue.is_empty() && engine.len() == 0 {
            let Some(coming) = asked.get(next) else {
                assert_eq!(engine.used(), 0);
                return (courses, iterations);
            };
            now = now.max(coming.at);
            queue.push_back(sequence(next));
            next += 1;
        }
        for out in engine.begin() {
            courses[out.handle.index() as usize].put_out += 1;
            queue.push_front(out);
        }
        while engine.has_room()
            && let Some(first) = queue.front()
            && let Some(there) = engine.admit(*first)
        {
            courses[first.handle.index() as usize].there.push(there);
            queue.pop_front();
        }
        assert!(engine.len() > 0 && engine.used() <= spec.kv);
        iterations += 1;
        now += engine.duration().as_nanos();
        while asked.get(next).is_some_and(|coming| coming.at <= now) {
            queue.push_back(sequence(next));
            next += 1;
        }
        for finished in engine.end() {
            let course = &mut courses[finished.handle.index() as usize];
            if finished.first {
                course.first = now;
            }
            if finished.last {
                course.last = now;
            }
        }
    }
}

/// A slot of memory for one block.
#[derive(Debug, Clone, Default)]
struct Slot {
    name: Option<(u64, u32)>,
    users: u32,
    left: u64,
}

/// A sequence in the slow batch: its slots, and the tokens that are still to be computed before it makes one.
#[derive(Debug, Clone)]
struct Slow {
    n: usize,
    slots: Vec<usize>,
    held: u32,
    to_read: u32,
    reads_now: u32,
    made: u32,
}

struct SlowBatch<'a> {
    spec: Batching,
    asked: &'a [Asked],
    slots: Vec<Slot>,
    left: u64,
}

impl SlowBatch<'_> {
    /// A slot that nobody uses: one without a name, or the one that was left first.
    fn free_slot(&mut self) -> Option<usize> {
        let unused = || (0..self.slots.len()).filter(|at| self.slots[*at].users == 0);
        let at = unused()
            .find(|at| self.slots[*at].name.is_none())
            .or_else(|| unused().min_by_key(|at| self.slots[*at].left))?;
        self.slots[at] = Slot {
            users: 1,
            ..Slot::default()
        };
        Some(at)
    }

    fn name_of(&self, n: usize, index: u32) -> (u64, u32) {
        let Chain {
            shared: (name, tokens),
            own,
        } = self.asked[n].chain;
        let end = (index + 1) * self.spec.block;
        if end <= tokens { (name, index) } else { (own, index) }
    }

    fn find(&self, name: (u64, u32)) -> Option<usize> {
        (0..self.slots.len()).find(|at| self.slots[*at].name == Some(name))
    }

    /// Names the full slots of a sequence; one that is there already takes the place of its own.
    fn name_full(&mut self, slow: &mut Slow) {
        if !self.spec.prefix_cache {
            return;
        }
        for index in 0..slow.held / self.spec.block {
            let at = slow.slots[index as usize];
            if self.slots[at].name.is_some() {
                continue;
            }
            let name = self.name_of(slow.n, index);
            match self.find(name) {
                Some(other) => {
                    self.slots[at] = Slot::default();
                    self.slots[other].users += 1;
                    slow.slots[index as usize] = other;
                }
                None => self.slots[at].name = Some(name),
            }
        }
    }

    fn leave(&mut self, mut slow: Slow) {
        self.name_full(&mut slow);
        for at in slow.slots.into_iter().rev() {
            self.slots[at].users -= 1;
            if self.slots[at].users == 0 {
                self.slots[at].left = self.left;
                self.left += 1;
            }
        }
    }

    fn run(&mut self) -> (Vec<Course>, u64) {
        let (asked, block) = (self.asked, self.spec.block);
        let mut courses = vec![Course::default(); asked.len()];
        let (mut waiting, mut batch): (Vec<(usize, u32)>, Vec<Slow>) = (Vec::new(), Vec::new());
        let (mut next, mut now, mut iterations) = (0, 0u64, 0);
        loop {
            if waiting.is_empty() && batch.is_empty() {
                if next == asked.len() {
                    return (courses, iterations);
                }
                now = now.max(asked[next].at);
                waiting.push((next, 0));
                next += 1;
            }
            let mut time = self.spec.base.as_nanos();
            let (mut budget, mut anyone_out, mut decoding) = (self.spec.tokens, false, Vec::new());
            let held_by: Vec<(usize, u32)> = batch.iter().map(|slow| (slow.n, slow.held)).collect();
            // Decoding first, in the order of coming in; who finds no slot puts out the last.
            let mut at = 0;
            'all: while at < batch.len() {
                if batch[at].to_read == 0 {
                    if batch[at].held == batch[at].slots.len() as u32 * block {
                        loop {
                            if let Some(slot) = self.free_slot() {
                                batch[at].slots.push(slot);
                                break;
                            }
                            let last = batch.pop().unwrap();
                            courses[last.n].put_out += 1;
                            waiting.insert(0, (last.n, last.made));
                            self.leave(last);
                            anyone_out = true;
                            if at == batch.len() {
                                break 'all;
                            }
                        }
                    }
                    decoding.push(at);
                    budget -= 1;
                    time += self.spec.each_out.as_nanos();
                }
                at += 1;
            }
            for slow in &mut batch {
                while slow.to_read > slow.reads_now && budget > 0 {
                    slow.reads_now += 1;
                    budget -= 1;
                }
            }
            while !anyone_out && batch.len() < self.spec.max_batch as usize && budget > 0 && !waiting.is_empty() {
                let (n, made) = waiting[0];
                let target = asked[n].tokens_in.max(1) + made;
                let mut slow = Slow {
                    n,
                    slots: Vec::new(),
                    held: 0,
                    to_read: target,
                    reads_now: 0,
                    made,
                };
                let before = self.slots.clone();
                while self.spec.prefix_cache && slow.held + block < target {
                    let Some(slot) = self.find(self.name_of(n, slow.held / block)) else {
                        break;
                    };
                    self.slots[slot].users += 1;
                    slow.slots.push(slot);
                    slow.held += block;
                }
                let mut fits = true;
                while fits && (slow.slots.len() as u32) * block < target {
                    match self.free_slot() {
                        Some(slot) => slow.slots.push(slot),
                        None => fits = false,
                    }
                }
                if !fits {
                    self.slots = before;
                    break;
                }
                waiting.remove(0);
                courses[n].there.push(slow.held);
                slow.to_read -= slow.held;
                while slow.to_read > slow.reads_now && budget > 0 {
                    slow.reads_now += 1;
                    budget -= 1;
                }
                batch.push(slow);
            }
            for slow in &batch {
                for _ in 0..slow.reads_now {
                    time += self.spec.each_in.as_nanos();
                }
                // What it held when the iteration began, or found when it came in.
                let before = held_by
                    .iter()
                    .find(|(n, _)| *n == slow.n)
                    .map_or(slow.held, |(_, held)| *held);
                for _ in 0..before {
                    time += self.spec.each_held.as_nanos();
                }
            }
            iterations += 1;
            now += time;
            while next < asked.len() && asked[next].at <= now {
                waiting.push((next, 0));
                next += 1;
            }
            let mut left = Vec::new();
            for (at, mut slow) in std::mem::take(&mut batch).into_iter().enumerate() {
                let mut makes = decoding.contains(&at);
                slow.held += u32::from(makes);
                let was_reading = slow.reads_now > 0;
                while slow.reads_now > 0 {
                    slow.reads_now -= 1;
                    slow.to_read -= 1;
                    slow.held += 1;
                }
                let is_read = was_reading && slow.to_read == 0;
                makes |= is_read;
                if makes {
                    slow.made += 1;
                    if slow.made == 1 {
                        courses[slow.n].first = now;
                    }
                    if slow.made >= asked[slow.n].tokens_out {
                        courses[slow.n].last = now;
                        self.leave(slow);
                        continue;
                    }
                }
                if is_read {
                    self.name_full(&mut slow);
                }
                left.push(slow);
            }
            batch = left;
        }
    }
}

fn slow(spec: Batching, asked: &[Asked]) -> (Vec<Course>, u64) {
    let mut batch = SlowBatch {
        spec,
        asked,
        slots: vec![Slot::default(); spec.blocks() as usize],
        left: 0,
    };
    batch.run()
}

fn ns(nanos: u64) -> SimDuration {
    SimDuration::from_nanos(nanos)
}

fn spec(max_batch: u32, tokens: u32, kv: u64, block: u32) -> Batching {
    Batching {
        max_batch,
        tokens,
        kv,
        block,
        prefix_cache: false,
        base: ns(1000),
        each_in: ns(10),
        each_out: ns(100),
        each_held: ns(0),
    }
}

fn asked(at: u64, tokens_in: u32, tokens_out: u32) -> Asked {
    Asked {
        at,
        tokens_in,
        tokens_out,
        chain: Chain::of(None, at),
    }
}

#[test]
fn one_request_alone_takes_its_chunks_and_then_an_iteration_for_each_token() {
    // Chunks of 64, 64 and 22 tokens, of which the last makes the first token; then four more.
    let (courses, iterations) = fast(spec(8, 64, 1000, 16), &[asked(5, 150, 5)]);
    let first = 5 + 3 * 1000 + 150 * 10;
    assert_eq!((courses[0].first, courses[0].last), (first, first + 4 * (1000 + 100)));
    assert_eq!(iterations, 7);
    // Nothing to say, nothing to read: still one iteration each.
    let (courses, _) = fast(spec(8, 64, 1000, 16), &[asked(0, 0, 0), asked(9000, 3, 1)]);
    assert_eq!((courses[0].last, courses[1].last), (1010, 9000 + 1030));
}

#[test]
fn who_finds_no_room_for_its_next_token_puts_out_the_last() {
    // Three blocks of 8. The first has two of them, for its 14 tokens and two more; the second has one. In the fourth iteration the first needs
    // a third block, and takes that of the second, which has made two tokens by then.
    let both = [asked(0, 14, 6), asked(0, 1, 6)];
    let tight = spec(8, 64, 24, 8);
    let (courses, iterations) = fast(tight, &both);
    assert_eq!((courses[0].put_out, courses[1].put_out), (0, 1));
    // The first is done after six iterations, and then the second makes its other four.
    assert_eq!(iterations, 10);
    assert_eq!(slow(tight, &both).0, courses);
}

#[test]
fn a_prompt_that_begins_with_what_is_there_is_read_from_there_on() {
    let chain = Chain {
        shared: (7, 33),
        own: 1,
    };
    let other = Chain {
        shared: (7, 33),
        own: 2,
    };
    let asked = [
        Asked {
            chain,
            ..asked(0, 40, 1)
        },
        Asked {
            chain: other,
            ..asked(100_000, 40, 1)
        },
        Asked {
            chain,
            ..asked(200_000, 40, 1)
        },
        Asked {
            chain,
            ..asked(300_000, 32, 1)
        },
    ];
    let (courses, _) = fast(
        Batching {
            prefix_cache: true,
            ..spec(8, 64, 1000, 8)
        },
        &asked,
    );
    // Four whole blocks are shared; of its own there are all but the last token.
    let there: Vec<u32> = courses.iter().map(|course| course.there[0]).collect();
    assert_eq!(there, [0, 32, 32, 24]);
    assert_eq!(courses[1].last, 100_000 + 1000 + 8 * 10);
}

#[test]
fn a_full_batch_makes_as_many_tokens_in_a_time_as_it_has_sequences() {
    let all: Vec<Asked> = (0..64).map(|n| asked(n, 1, 1000)).collect();
    let (courses, _) = fast(spec(64, 64, 1_000_000, 16), &all);
    let last = courses.iter().map(|course| course.last).max().unwrap();
    // But for the first iterations, an iteration has all: (1000 + 64 * 100) / 64 a token.
    let limit = 64_000.0 * (1000.0 + 6400.0) / 64.0;
    assert!((last as f64 / limit - 1.0).abs() < 0.01, "{last} {limit}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    /// Whatever comes: the batch does what the slow one does, to the nanosecond, in memory that is too small, too.
    #[test]
    fn the_batch_is_the_slow_one(
        gaps in prop::collection::vec((0u64..6_000, 0u32..40, 0u32..25, 0u8..4), 1..30),
        max_batch in 1u32..6,
        more_tokens in 0u32..30,
        block in 1u32..9,
        more_blocks in 0u64..12,
        prefix_cache in any::<bool>(),
        each_held in 0u64..4,
    ) {
        let mut at = 0;
        let all: Vec<Asked> = gaps.iter().zip(0u64..).map(|((gap, tokens_in, tokens_out, kind), n)| {
            at += gap;
            let chain = match kind {
                0 => Chain::of(None, n),
                1 => Chain { shared: (9, 20), own: n },
                2 => Chain { shared: (0, 0), own: 77 },
                _ => Chain { shared: (9, 12), own: 78 },
            };
            Asked { at, tokens_in: *tokens_in, tokens_out: *tokens_out, chain }
        }).collect();
        // Just enough for the largest, and a little more.
        let largest = all.iter().map(|asked| Batching::held(asked.tokens_in, asked.tokens_out)).max().unwrap_or(1);
        let blocks = largest.div_ceil(u64::from(block)) + more_blocks;
        let spec = Batching {
            prefix_cache,
            each_held: ns(each_held),
            ..spec(max_batch, max_batch + more_tokens, blocks * u64::from(block), block)
        };
        prop_assert!(all.iter().all(|asked| spec.fits(asked.tokens_in, asked.tokens_out)));
        prop_assert_eq!(fast(spec, &all), slow(spec, &all));
    }
}
