//! W1, PHOLD, on the public kernel API as a user would write it, against a plain binary heap and a floor in the same run; then
//! the same for few pending entries.
//!
//! N processes with 64 B of state. At time 0 each sends E events; on an event at time t a process adds 1 to its count, folds t
//! into its checksum, draws a delay 0.1 + Exp(mean 0.9) seconds and a uniform destination, and sends one event there.
//! `cargo bench --bench phold -- [EVENTS [N [E]]] [alone | sparse]`
//!
//! Rates are events per second of processor time: other programs on the machine slow the caches, but don't count as time.
#![allow(clippy::disallowed_types)] // A benchmark reads the clock.

#[path = "phold/floor.rs"]
mod floor;
#[path = "phold/sparse.rs"]
mod sparse;

use quorate::kernel::*;
use quorate::random::standard_exponential;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

/// Time that this thread has spent on a processor, or the wall clock where the system doesn't tell.
fn processor_time(start: Instant) -> Duration {
    let schedule = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanos = schedule.split(' ').next().and_then(|nanos| nanos.parse().ok());
    nanos.map_or_else(|| start.elapsed(), Duration::from_nanos)
}

/// The rate at which `act` handles `events`.
fn rate(events: u64, act: impl FnOnce()) -> f64 {
    let start = Instant::now();
    let before = processor_time(start);
    act();
    events as f64 / (processor_time(start) - before).as_secs_f64()
}

/// The largest amount of memory that this program has held so far, in MiB.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    Some(line.split_whitespace().nth(1)?.parse::<u64>().ok()? / 1024)
}

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

    /// One of the events that are sent at time 0.
    fn first(&self, round: u64, n: u64) -> (SimTime, u32) {
        let mut draws = self.key.stream(Purpose(2), round);
        let delay = 1e8 + 9e8 * standard_exponential(&mut draws);
        (
            SimTime::ZERO + SimDuration::from_nanos_f64(delay),
            draws.below(n) as u32,
        )
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
                let (at, to) = process.first(round, n as u64);
                prepare.schedule(&mut process.origin, at, 0, to, ());
            }
        }
    });
    let rate = rate(events, || {
        kernel.run(SimTime::NEVER, events);
    });
    (rate, checksum(&kernel.model().processes), kernel.fingerprint().print())
}

/// The same with std's binary heap, without a fingerprint: the reference for the checksum and for the ratio.
fn reference(n: usize, per_process: u64, events: u64) -> (f64, u64) {
    let mut all = processes(n);
    let mut heap = BinaryHeap::new();
    for process in &mut all {
        for round in 0..per_process {
            let (at, to) = process.first(round, n as u64);
            let ticket = process.origin.take();
            heap.push(Reverse((at, ticket.rank, ticket.number, to)));
        }
    }
    let rate = rate(events, || {
        for _ in 0..events {
            let Reverse((time, _, _, target)) = heap.pop().expect("PHOLD never drains");
            let process = &mut all[target as usize];
            process.count(time);
            let (at, to) = process.next(time, n as u64);
            let ticket = process.origin.take();
            heap.push(Reverse((at, ticket.rank, ticket.number, to)));
        }
    });
    (rate, checksum(&all))
}

fn main() {
    let numbers: Vec<u64> = std::env::args().filter_map(|arg| arg.parse().ok()).collect();
    let events = numbers.first().copied().unwrap_or(20_000_000);
    let alone = std::env::args().any(|arg| arg == "alone");
    if std::env::args().any(|arg| arg == "sparse") {
        return sparse::compare(events / 2);
    }
    println!("PHOLD, million events per second");
    println!("        N   E  quorate    heap  ratio   floor  ratio  peak MiB  fingerprint");
    for (n, per_process) in [(1_024, 1), (65_536, 1), (65_536, 16), (1_048_576, 1)] {
        let wanted = [n as u64, per_process];
        if numbers.iter().skip(1).zip(wanted).any(|(only, this)| *only != this) {
            continue;
        }
        let (rate, sum, print) = quorate(n, per_process, events);
        let memory = peak_memory().map_or("-".to_string(), |mib| mib.to_string());
        print!("{n:>9} {per_process:>3} {:>8.1}", rate / 1e6);
        if alone {
            println!("{:>40}{memory:>9}  {print}", "");
            continue;
        }
        let (slow, expected) = reference(n, per_process, events);
        assert_eq!(sum, expected, "both queues must give the same run");
        let (fast, expected) = floor::run(n, per_process, events);
        assert_eq!(sum, expected, "the floor must give the same run");
        println!(
            " {:>7.2} {:>6.1} {:>7.1} {:>6.2} {memory:>9}  {print}",
            slow / 1e6,
            rate / slow,
            fast / 1e6,
            rate / fast
        );
    }
    if numbers.len() < 2 {
        sparse::compare(events / 2);
    }
}
