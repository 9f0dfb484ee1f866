//! The queue against a plain binary heap, on schedules that take every path inside.

use super::*;
use crate::kernel::{Key, Purpose, Stream};
use proptest::prelude::*;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The latest time that the schedules use.
const LAST: u64 = 1 << 63;

/// What an entry is, in its total order: time, step, origin, number, and a body that tells it from all others.
type Line = (u64, u16, u32, u32, u64);

/// A queue and its reference, driven together.
struct Pair {
    queue: Queue<u64>,
    heap: BinaryHeap<Reverse<Line>>,
    draws: Stream,
    pushed: u64,
    /// The entry handed out last.
    last: Line,
    touched: u64,
    popped: u64,
}

impl Pair {
    fn new(seed: u64) -> Self {
        Self {
            queue: Queue::new(),
            heap: BinaryHeap::new(),
            draws: Key::root(seed, 0).stream(Purpose(0), 0),
            pushed: 0,
            last: (0, 0, 0, 0, 0),
            touched: 0,
            popped: 0,
        }
    }

    /// A gap of about `2^scale` nanoseconds: of no lookahead, and now and then far longer.
    fn gap(&mut self, scale: u32) -> u64 {
        let gap = self.draws.unit() * (1u64 << scale) as f64 * if self.draws.chance(0.02) { 300.0 } else { 1.0 };
        gap as u64
    }

    fn push(&mut self, gap: u64) {
        let mut time = self.last.0.saturating_add(gap).min(LAST);
        let mut step = 0;
        if time == self.last.0 {
            match self.last.1.checked_add(1) {
                Some(next) => step = next,
                // The kernel would call it a livelock: here, life goes on.
                None => time += 1,
            }
        }
        // Origins are drawn and numbers are unique, so neither follows the order of pushes.
        let (origin, number) = (self.draws.below(50) as u32, self.pushed as u32);
        let line = (time, step, origin, number, self.pushed * 7 + 1);
        self.pushed += 1;
        self.heap.push(Reverse(line));
        self.queue.push(Entry {
            time: SimTime::from_nanos(time),
            body: line.4,
            origin,
            number,
            target: !number,
            step,
            kind: 3,
        });
        assert_eq!(self.queue.len(), self.heap.len());
    }

    /// Takes the next entry of both, if it isn't later than `end`. False if there is none.
    fn pop(&mut self, end: u64) -> bool {
        let expected = match self.heap.peek() {
            Some(Reverse(line)) if line.0 <= end => self.heap.pop().map(|Reverse(line)| line),
            _ => None,
        };
        let touched = &mut self.touched;
        let popped = self
            .queue
            .pop_until(SimTime::from_nanos(end), |_| *touched += 1)
            .copied();
        let line = popped.map(|entry| {
            assert_eq!((entry.target, entry.kind), (!entry.number, 3));
            (
                entry.time.as_nanos(),
                entry.step,
                entry.origin,
                entry.number,
                entry.body,
            )
        });
        assert_eq!(line, expected);
        assert_eq!(self.queue.len(), self.heap.len());
        let Some(line) = line else { return false };
        self.last = line;
        self.popped += 1;
        true
    }

    fn drain(&mut self) {
        while self.pop(u64::MAX) {}
        assert!(self.queue.is_empty());
    }

    fn play(&mut self, phase: &Phase) {
        match *phase {
            Phase::Fill { count, scale } => (0..count).for_each(|_| {
                let gap = self.gap(scale);
                self.push(gap);
            }),
            Phase::Hold { count, scale } => (0..count).for_each(|_| {
                self.pop(u64::MAX);
                let gap = self.gap(scale);
                self.push(gap);
            }),
            Phase::Chain { count } => (0..count).for_each(|_| {
                self.pop(u64::MAX);
                self.push(0);
            }),
            Phase::Burst { count, scale } => {
                let gap = self.gap(scale);
                (0..count).for_each(|_| self.push(gap));
            }
            Phase::Grid { count, scale, bits } => (0..count).for_each(|_| {
                self.pop(u64::MAX);
                let gap = self.gap(scale);
                // Onto a coarse grid of absolute times, so that many pushes meet there.
                let grid = (self.last.0.saturating_add(gap) >> bits).saturating_add(1) << bits.min(20);
                self.push(grid.saturating_sub(self.last.0));
            }),
            Phase::Until { scale } => {
                let end = self.last.0.saturating_add(self.gap(scale));
                while self.pop(end) {}
            }
            Phase::Drain { count } => {
                for _ in 0..count {
                    self.pop(u64::MAX);
                }
            }
        }
    }
}

#[derive(Debug, Clone)]
enum Phase {
    Fill { count: u32, scale: u32 },
    Hold { count: u32, scale: u32 },
    Chain { count: u32 },
    Burst { count: u32, scale: u32 },
    Grid { count: u32, scale: u32, bits: u32 },
    Until { scale: u32 },
    Drain { count: u32 },
}

fn phase() -> impl Strategy<Value = Phase> {
    let count = prop_oneof![1u32..10, 1u32..300, 1u32..4000];
    // Most runs stay in one part of the range of time for a while; some leap to its end.
    let scale = prop_oneof![4 => 0u32..40, 1 => 40u32..63];
    prop_oneof![
        (count.clone(), scale.clone()).prop_map(|(count, scale)| Phase::Fill { count, scale }),
        (count.clone(), scale.clone()).prop_map(|(count, scale)| Phase::Hold { count, scale }),
        count.clone().prop_map(|count| Phase::Chain { count }),
        (count.clone(), scale.clone()).prop_map(|(count, scale)| Phase::Burst { count, scale }),
        (count.clone(), scale.clone(), 0u32..30).prop_map(|(count, scale, bits)| Phase::Grid { count, scale, bits }),
        scale.prop_map(|scale| Phase::Until { scale }),
        count.prop_map(|count| Phase::Drain { count }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn it_hands_out_what_a_binary_heap_does(seed in any::<u64>(), phases in prop::collection::vec(phase(), 1..14)) {
        let mut pair = Pair::new(seed);
        for phase in &phases {
            pair.play(phase);
        }
        pair.drain();
    }

    #[test]
    fn a_clone_goes_on_alike(seed in any::<u64>(), phases in prop::collection::vec(phase(), 1..6)) {
        let mut pair = Pair::new(seed);
        for phase in &phases {
            pair.play(phase);
        }
        let mut copy = pair.queue.clone();
        while let Some(entry) = pair.queue.pop_until(SimTime::NEVER, |_| ()).copied() {
            prop_assert_eq!(Some(&entry), copy.pop_until(SimTime::NEVER, |_| ()));
        }
        prop_assert!(copy.is_empty());
    }
}

#[test]
fn a_hundred_thousand_entries_are_rebuilt_and_touched_ahead() {
    let mut pair = Pair::new(1);
    pair.play(&Phase::Fill {
        count: 100_000,
        scale: 30,
    });
    pair.play(&Phase::Hold {
        count: 150_000,
        scale: 30,
    });
    assert!(pair.queue.inside.rebuilds > 0);
    assert!(
        pair.touched > pair.popped * 9 / 10,
        "{} of {}",
        pair.touched,
        pair.popped
    );
    // Much happens at once, far faster than before: it narrows its buckets.
    let before = (pair.queue.width_bits, pair.queue.inside.rebuilds);
    pair.play(&Phase::Fill {
        count: 100_000,
        scale: 12,
    });
    pair.play(&Phase::Hold {
        count: 100_000,
        scale: 12,
    });
    assert!(pair.queue.width_bits < before.0 && pair.queue.inside.rebuilds > before.1);
    // One gap in fifty is far longer than the ring.
    pair.drain();
    assert!(pair.queue.inside.cascaded > 1000, "{:?}", pair.queue.inside);
}

#[test]
fn few_entries_are_kept_in_one_sorted_run() {
    for scale in [0, 10, 30, 55] {
        let mut pair = Pair::new(2);
        pair.play(&Phase::Fill { count: 5, scale });
        pair.play(&Phase::Hold { count: 20_000, scale });
        let before = pair.queue.inside.in_place;
        pair.play(&Phase::Hold { count: 1_000, scale });
        assert!(
            pair.queue.inside.in_place - before > 500,
            "scale {scale}: {:?}",
            pair.queue.inside
        );
        pair.drain();
    }
}

#[test]
fn one_instant_that_explodes_relieves_the_heap() {
    let mut pair = Pair::new(3);
    pair.play(&Phase::Fill {
        count: 2_000,
        scale: 30,
    });
    pair.play(&Phase::Hold {
        count: 10_000,
        scale: 30,
    });
    // Each of thousands of entries of one instant has a consequence in the same instant.
    pair.play(&Phase::Burst {
        count: 30_000,
        scale: 0,
    });
    pair.play(&Phase::Chain { count: 100_000 });
    assert!(
        pair.queue.inside.heaped > 0 && pair.queue.inside.relieved > 0,
        "{:?}",
        pair.queue.inside
    );
    pair.drain();
}

#[test]
fn what_happens_in_front_of_many_long_timers_gets_buckets_of_its_own() {
    let mut pair = Pair::new(4);
    (0..100_000).for_each(|n| pair.push(30_000_000_000 + n * 1_000_003));
    (0..2_000).for_each(|n| pair.push(1 + n * 500));
    for _ in 0..400_000 {
        pair.pop(u64::MAX);
        let gap = 500_000 + pair.draws.below(1_000_000);
        pair.push(gap);
    }
    // A bucket for each 512 of the timers alone would be 2^28 ns wide, and hold all messages in flight.
    assert!(pair.queue.width_bits < 22, "2^{} ns", pair.queue.width_bits);
    pair.drain();
}

#[test]
fn long_silences_are_skipped_at_once() {
    let mut pair = Pair::new(5);
    // Enough of them, and not in their order, for the queue to have buckets.
    (0..2 * tuning::RUN as u64).for_each(|n| pair.push((n * 7919) % 1_000));
    assert!(pair.queue.next_bucket != NO_BUCKETS);
    for exponent in 0..63 {
        pair.push(1 << exponent);
        pair.push((1 << exponent) + 1);
    }
    pair.drain();
    for exponent in (0..62).rev() {
        pair.push(1 << exponent);
        pair.pop(u64::MAX);
    }
    assert!(pair.queue.inside.skipped_blocks > 30, "{:?}", pair.queue.inside);
}

#[test]
fn the_end_of_time_is_a_time_like_any_other() {
    let mut queue = Queue::new();
    let entry = |time, number| Entry {
        time: SimTime::from_nanos(time),
        body: (),
        origin: 0,
        number,
        target: 0,
        step: 0,
        kind: 0,
    };
    for number in 0..3_000 {
        queue.push(entry(u64::MAX - number as u64 % 3, number));
    }
    let mut last = 0;
    for _ in 0..3_000 {
        let time = queue
            .pop_until(SimTime::NEVER, |_| ())
            .map(|entry| entry.time.as_nanos());
        assert!(time >= Some(last) && time >= Some(u64::MAX - 2));
        last = time.unwrap();
    }
    assert!(queue.pop_until(SimTime::NEVER, |_| ()).is_none());
}

#[test]
fn a_horizon_hides_what_lies_behind_and_lets_earlier_entries_come() {
    let mut pair = Pair::new(6);
    pair.push(1_000_000_000);
    assert!(!pair.pop(999_999_999));
    // The bucket of the first entry is current by now; what comes before it is late, and still first.
    pair.push(500_000_000);
    pair.push(999_999_999);
    assert!(pair.pop(999_999_999) && pair.pop(999_999_999) && !pair.pop(999_999_999));
    assert!(pair.pop(1_000_000_000));
    assert!(!pair.pop(u64::MAX));
}
