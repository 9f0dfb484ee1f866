//! Tests of the network as a whole: a small world that sends, falls, heals and delivers in the order of time, and what
//! must hold in it.

mod conditions;
mod order;
mod partitions;
mod tables;

use super::*;
use crate::kernel::SimDuration;
use crate::random::Law;
use std::collections::BTreeMap;
use std::sync::Arc;

const fn t(ns: u64) -> SimTime {
    SimTime::from_nanos(ns)
}

fn link(latency: Law) -> LinkSpec {
    LinkSpec {
        latency: Latency::Law(latency),
        ..LinkSpec::default()
    }
}

fn build(spec: NetworkSpec) -> Network {
    Network::new(Arc::new(spec), Key::root(11, 0)).unwrap_or_else(|problems| panic!("{problems:?}"))
}

/// Sites a, b and c, with such links between them.
fn three_sites(link: LinkSpec) -> NetworkSpec {
    NetworkSpec::uniform(["a", "b", "c"], link)
}

/// Message number `number` of the one sender of site `from` (its tag is the site's number).
fn message(from: u32, to: u32, number: u64, now: SimTime) -> Outgoing {
    Outgoing {
        from: SiteId(from),
        to: SiteId(to),
        from_tag: from,
        to_tag: to,
        kind: 0,
        bytes: 100,
        key: Key::root(12, 0).member(u64::from(from)),
        number,
        now,
        pair: u64::from(from) << 32 | u64::from(to),
    }
}

fn due(verdict: Verdict) -> SimTime {
    match verdict {
        Verdict::At(leg) => leg.at,
        other => panic!("not on its way: {other:?}"),
    }
}

/// The mean, the standard deviation, and the standard errors of both.
fn moments(values: &[f64]) -> (f64, f64, f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let power = |k: i32| {
        values
            .iter()
            .map(|v| (0..k).fold(1.0, |p, _| p * (v - mean)))
            .sum::<f64>()
            / n
    };
    let (variance, fourth) = (power(2), power(4));
    let sd = variance.sqrt();
    (
        mean,
        sd,
        sd / n.sqrt(),
        ((fourth - variance * variance) / n).sqrt() / (2.0 * sd),
    )
}

/// Something to happen in a [`World`].
#[derive(Debug, Clone, Copy)]
enum Event {
    Send(Outgoing),
    Arrive(Outgoing, u32),
    Fall(u32),
    Heal(u32),
    Degrade(u32),
    Restore(u32),
}

/// A world of messages and faults, which checks the books after every event.
struct World {
    network: Network,
    queue: BTreeMap<(SimTime, u64), Event>,
    scheduled: u64,
    held: BTreeMap<u32, Outgoing>,
    delivered: Vec<(Outgoing, SimTime)>,
    lost: Vec<(Outgoing, LossCause)>,
}

impl World {
    fn new(network: Network) -> Self {
        let (queue, held) = (BTreeMap::new(), BTreeMap::new());
        Self {
            network,
            queue,
            scheduled: 0,
            held,
            delivered: Vec::new(),
            lost: Vec::new(),
        }
    }

    fn at(&mut self, time: SimTime, event: Event) {
        self.queue.insert((time, self.scheduled), event);
        self.scheduled += 1;
    }

    fn send(&mut self, m: Outgoing) {
        self.at(m.now, Event::Send(m));
    }

    fn run(&mut self) {
        while let Some(((now, _), event)) = self.queue.pop_first() {
            match event {
                Event::Send(m) => {
                    let verdict = self.network.route(&m);
                    self.follow(m, verdict, now);
                }
                Event::Arrive(m, epoch) => match self.network.arrive(epoch, || Outgoing { now, ..m }) {
                    Arrival::Deliver => self.delivered.push((m, now)),
                    Arrival::Lost(cause) => self.lost.push((m, cause)),
                    Arrival::Later(leg) => self.follow(m, Verdict::At(leg), now),
                    Arrival::Held(ticket) => assert!(self.held.insert(ticket, m).is_none(), "a ticket given twice"),
                },
                Event::Fall(cut) => self.network.fall(cut, now),
                Event::Heal(cut) => {
                    for release in self.network.heal(cut, now) {
                        let m = self.held.remove(&release.ticket).expect("what is released was held");
                        self.follow(m, release.verdict, now);
                    }
                }
                Event::Degrade(index) => self.network.degrade(index),
                Event::Restore(index) => self.network.restore(index),
            }
            self.check_books();
        }
    }

    fn follow(&mut self, m: Outgoing, verdict: Verdict, now: SimTime) {
        let mut leave = |leg: Leg| {
            assert!(leg.at >= now, "it arrives before it left");
            self.at(leg.at, Event::Arrive(m, leg.epoch));
        };
        match verdict {
            Verdict::At(leg) => leave(leg),
            Verdict::Twice(first, second) => {
                leave(first);
                leave(second);
            }
            Verdict::Lost(cause) => self.lost.push((m, cause)),
            Verdict::Held(ticket) => assert!(self.held.insert(ticket, m).is_none(), "a ticket given twice"),
        }
    }

    fn check_books(&self) {
        let books = self.network.counters();
        assert!(books.balances(), "{books:?}");
        let arriving = self
            .queue
            .values()
            .filter(|event| matches!(event, Event::Arrive(..)))
            .count();
        assert_eq!(books.in_flight, arriving as u64);
        assert_eq!(books.held, self.held.len() as u64);
        assert_eq!(books.delivered, self.delivered.len() as u64);
        assert_eq!(books.lost_in_all(), self.lost.len() as u64);
    }

    /// The numbers of the delivered messages and their times, in the order of delivery.
    fn arrivals(&self) -> Vec<(u64, u64)> {
        self.delivered.iter().map(|(m, at)| (m.number, at.as_nanos())).collect()
    }
}
