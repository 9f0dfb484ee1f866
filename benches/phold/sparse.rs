//! Few pending entries: so many independent M/M/1 queues, each with an arrival and perhaps a service to come.

use super::rate;
use quorate::kernel::*;
use quorate::random::standard_exponential;
use std::cmp::Reverse;
use std::collections::BinaryHeap;

const ARRIVAL: u16 = 0;
const SERVED: u16 = 1;

#[derive(Clone)]
struct Station {
    key: Key,
    origin: Origin,
    arrived: u64,
    served: u64,
    sum: u64,
}

impl Station {
    /// Handles one event, and calls `send` with each that follows from it.
    #[inline]
    fn handle(&mut self, time: SimTime, kind: u16, mut send: impl FnMut(&mut Origin, SimTime, u16)) {
        self.sum = (self.sum ^ time.as_nanos()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let begin = if kind == ARRIVAL {
            let gap = standard_exponential(&mut self.key.stream(Purpose(1), self.arrived)) / 0.9;
            self.arrived += 1;
            send(&mut self.origin, time + SimDuration::from_nanos_f64(1e9 * gap), ARRIVAL);
            self.arrived - self.served == 1
        } else {
            self.served += 1;
            self.arrived > self.served
        };
        if begin {
            let service = standard_exponential(&mut self.key.stream(Purpose(2), self.served));
            send(
                &mut self.origin,
                time + SimDuration::from_nanos_f64(1e9 * service),
                SERVED,
            );
        }
    }
}

struct Stations(Vec<Station>);

impl Model for Stations {
    type Body = ();

    #[inline]
    fn handle(&mut self, entry: &Entry<()>, out: &mut Out<'_, ()>) {
        let target = entry.target;
        self.0[target as usize].handle(entry.time, entry.kind, |origin, at, kind| {
            out.schedule(origin, at, kind, target, ());
        });
    }

    #[inline]
    fn digest(&self, _: &Entry<()>, _: &mut Words) -> Liveness {
        Liveness::Live
    }
}

fn stations(count: u32) -> Vec<Station> {
    let station = |n| Station {
        key: Key::root(1, 0).member(n as u64),
        origin: Origin::new(n),
        arrived: 0,
        served: 0,
        sum: 0,
    };
    (0..count).map(station).collect()
}

fn checksum(stations: &[Station]) -> u64 {
    stations.iter().fold(0, |all, station| all ^ station.sum)
}

/// Prints the rates for 1, 5 and 50 stations: about 2, 10 and 100 pending entries.
pub fn compare(events: u64) {
    println!("\nM/M/1 stations, million events per second");
    println!("stations  quorate    heap  ratio");
    for count in [1, 5, 50] {
        let mut kernel = Kernel::new(Stations(stations(count)), SimDuration::from_secs(1_000));
        kernel.prepare(|model, prepare| {
            for (station, target) in model.0.iter_mut().zip(0..) {
                prepare.schedule(&mut station.origin, SimTime::ZERO, ARRIVAL, target, ());
            }
        });
        let fast = rate(events, || {
            kernel.run(SimTime::NEVER, events);
        });
        let mut all = stations(count);
        let mut heap = BinaryHeap::new();
        for (station, target) in all.iter_mut().zip(0u32..) {
            let ticket = station.origin.take();
            heap.push(Reverse((SimTime::ZERO, ticket.rank, ticket.number, ARRIVAL, target)));
        }
        let slow = rate(events, || {
            for _ in 0..events {
                let Reverse((time, _, _, kind, target)) = heap.pop().expect("arrivals never end");
                all[target as usize].handle(time, kind, |origin, at, kind| {
                    let ticket = origin.take();
                    heap.push(Reverse((at, ticket.rank, ticket.number, kind, target)));
                });
            }
        });
        assert_eq!(
            checksum(&kernel.model().0),
            checksum(&all),
            "both queues must give the same run"
        );
        println!(
            "{count:>8} {:>8.1} {:>7.1} {:>6.2}",
            fast / 1e6,
            slow / 1e6,
            fast / slow
        );
    }
}
