//! W1, PHOLD, on the public kernel API as a user would write it, against a plain binary heap in the same run.
//!
//! N processes with 64 B of state. At time 0 each sends E events; on an event at time t a process adds 1 to its count, folds t
//! into its checksum, draws a delay 0.1 + Exp(mean 0.9) seconds and a uniform destination, and sends one event there.
//! `cargo bench --bench phold -- [EVENTS]`

use quorate::kernel::*;
use quorate::random::standard_exponential;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

const PURPOSE: Purpose = Purpose(1);

#[derive(Clone)]
#[repr(align(64))]
struct Process {
    key: Key,
    origin: Origin,
    count: u64,
    sum: u64,
    _rest: [u64; 3],
}

struct Phold {
    processes: Vec<Process>,
}

impl Process {
    /// The next delay and destination: a function of the process and its count alone.
    #[inline]
    fn next(&mut self, time: SimTime, n: u64) -> (SimTime, u32) {
        let mut draws = self.key.stream(PURPOSE, self.count);
        let delay = 1e8 + 9e8 * standard_exponential(&mut draws);
        (time + SimDuration::from_nanos_f64(delay), draws.below(n) as u32)
    }

    #[inline]
    fn count(&mut self, time: SimTime) {
        self.count += 1;
        self.sum = (self.sum ^ time.as_nanos()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

impl Model for Phold {
    type Body = ();

    #[inline]
    fn handle(&mut self, entry: &Entry<()>, out: &mut Out<'_, ()>) {
        let n = self.processes.len() as u64;
        let process = &mut self.processes[entry.target as usize];
        process.count(entry.time);
        let (at, to) = process.next(entry.time, n);
        out.schedule(&mut process.origin, at, 0, to, ());
    }

    #[inline]
    fn digest(&self, _: &Entry<()>, _: &mut Words) -> Liveness {
        Liveness::Live
    }

    #[inline]
    fn touch(&self, entry: &Entry<()>) {
        prefetch(&self.processes[entry.target as usize]);
    }
}

fn processes(n: usize) -> Vec<Process> {
    let root = Key::root(1, 0);
    let keys: Vec<Key> = (0..n as u64).map(|index| root.member(index)).collect();
    let ranks = permute_ranks(&keys, root.child("ranks"));
    let process = |(&key, &rank)| Process {
        key,
        origin: Origin::new(rank),
        count: 0,
        sum: 0,
        _rest: [0; 3],
    };
    keys.iter().zip(&ranks).map(process).collect()
}

fn checksum(processes: &[Process]) -> u64 {
    processes.iter().fold(0, |all, process| all ^ process.sum)
}

/// Events per second, and the checksum.
fn quorate(n: usize, per_process: u64, events: u64) -> (f64, u64, Print) {
    let mut kernel = Kernel::new(
        Phold {
            processes: processes(n),
        },
        SimDuration::from_secs(1),
    );
    kernel.prepare(|model, prepare| {
        for index in 0..n {
            for round in 0..per_process {
                let process = &mut model.processes[index];
                let mut draws = process.key.stream(Purpose(2), round);
                let delay = 1e8 + 9e8 * standard_exponential(&mut draws);
                let (at, to) = (
                    SimTime::ZERO + SimDuration::from_nanos_f64(delay),
                    draws.below(n as u64) as u32,
                );
                prepare.schedule(&mut process.origin, at, 0, to, ());
            }
        }
    });
    let start = Instant::now();
    kernel.run(SimTime::NEVER, events);
    let seconds = start.elapsed().as_secs_f64();
    (
        events as f64 / seconds,
        checksum(&kernel.model().processes),
        kernel.fingerprint().print(),
    )
}

/// The same with std's binary heap, without a fingerprint: the reference for the checksum and for the ratio.
fn reference(n: usize, per_process: u64, events: u64) -> (f64, u64) {
    let mut all = processes(n);
    let mut heap = BinaryHeap::new();
    for process in &mut all {
        for round in 0..per_process {
            let mut draws = process.key.stream(Purpose(2), round);
            let delay = 1e8 + 9e8 * standard_exponential(&mut draws);
            let (at, to) = (
                SimTime::ZERO + SimDuration::from_nanos_f64(delay),
                draws.below(n as u64) as u32,
            );
            let ticket = process.origin.take();
            heap.push(Reverse((at, ticket.rank, ticket.number, to)));
        }
    }
    let start = Instant::now();
    for _ in 0..events {
        let Reverse((time, _, _, target)) = heap.pop().expect("PHOLD never drains");
        let process = &mut all[target as usize];
        process.count(time);
        let (at, to) = process.next(time, n as u64);
        let ticket = process.origin.take();
        heap.push(Reverse((at, ticket.rank, ticket.number, to)));
    }
    (events as f64 / start.elapsed().as_secs_f64(), checksum(&all))
}

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let events = numbers.first().copied().unwrap_or(20_000_000);
    let alone = std::env::args().any(|arg| arg == "alone");
    println!(
        "{:>9} {:>3} {:>16} {:>16} {:>7}  fingerprint",
        "N", "E", "quorate M/s", "binary heap M/s", "ratio"
    );
    for (n, per_process) in [(1_024, 1), (65_536, 1), (65_536, 16), (1_048_576, 1)] {
        if numbers.get(1).is_some_and(|only| *only != n as u64 * per_process) {
            continue;
        }
        let (rate, sum, print) = quorate(n, per_process, events);
        if alone {
            println!(
                "{n:>9} {per_process:>3} {:>16.1} {:>16} {:>7}  {print}",
                rate / 1e6,
                "-",
                "-"
            );
            continue;
        }
        let (slow, expected) = reference(n, per_process, events);
        assert_eq!(sum, expected, "both queues must give the same run");
        println!(
            "{n:>9} {per_process:>3} {:>16.1} {:>16.2} {:>7.1}  {print}",
            rate / 1e6,
            slow / 1e6,
            rate / slow
        );
    }
}
