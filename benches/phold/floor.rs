//! What the machine can do: PHOLD on a ring of unsorted buckets whose width is known beforehand, with 16-byte entries, coming
//! processes prefetched, and neither steps nor sequence numbers nor a fingerprint.

use super::{Process, checksum, processes, rate};
use quorate::kernel::{SimTime, prefetch};

/// Time, and (sender's rank, destination).
type Event = (u64, u32, u32);

struct Ring {
    buckets: Vec<Vec<Event>>,
    width_bits: u32,
    /// The bucket that is current.
    now: u64,
    current: Vec<Event>,
    cursor: usize,
}

impl Ring {
    /// A ring for so many pending events of a mean delay of a second.
    fn new(pending: u64) -> Self {
        let occupancy = (pending / 256).clamp(64, 4096);
        let width_bits = (1_000_000_000 * occupancy / pending).ilog2();
        // A rare delay is longer than the ring, and goes round.
        let buckets = vec![Vec::new(); (8_000_000_000u64 >> width_bits).next_power_of_two() as usize];
        Self {
            buckets,
            width_bits,
            now: 0,
            current: Vec::new(),
            cursor: 0,
        }
    }

    #[inline]
    fn push(&mut self, event: Event) {
        let bucket = event.0 >> self.width_bits;
        if bucket > self.now {
            let slot = bucket as usize & (self.buckets.len() - 1);
            self.buckets[slot].push(event);
        } else {
            let place = self.current[self.cursor..].partition_point(|other| *other < event);
            self.current.insert(self.cursor + place, event);
        }
    }

    #[inline]
    fn pop(&mut self, processes: &[Process]) -> Event {
        while self.cursor == self.current.len() {
            self.advance();
            let coming = self.current.iter().take(16);
            coming.for_each(|event| prefetch(&processes[event.2 as usize]));
        }
        if let Some(event) = self.current.get(self.cursor + 16) {
            prefetch(&processes[event.2 as usize]);
        }
        self.cursor += 1;
        self.current[self.cursor - 1]
    }

    fn advance(&mut self) {
        self.now += 1;
        self.cursor = 0;
        self.current.clear();
        let slot = self.now as usize & (self.buckets.len() - 1);
        std::mem::swap(&mut self.current, &mut self.buckets[slot]);
        let (now, width_bits, later) = (self.now, self.width_bits, &mut self.buckets[slot]);
        self.current.retain(|event| {
            let due = event.0 >> width_bits <= now;
            if !due {
                later.push(*event);
            }
            due
        });
        self.current.sort_unstable();
    }
}

/// Events per second, and the checksum.
pub fn run(n: usize, per_process: u64, events: u64) -> (f64, u64) {
    let mut all = processes(n);
    let mut ring = Ring::new(n as u64 * per_process);
    for process in &all {
        for round in 0..per_process {
            let (at, to) = process.first(round, n as u64);
            ring.push((at.as_nanos(), process.origin.rank(), to));
        }
    }
    let rate = rate(events, || {
        for _ in 0..events {
            let (time, _, target) = ring.pop(&all);
            let process = &mut all[target as usize];
            let time = SimTime::from_nanos(time);
            process.count(time);
            let (at, to) = process.next(time, n as u64);
            ring.push((at.as_nanos(), process.origin.rank(), to));
        }
    });
    (rate, checksum(&all))
}
