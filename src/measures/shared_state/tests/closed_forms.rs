//! Shares that are known in closed form, and what must not depend on clocks.

use super::{LWW, bench, judge, read, update};
use crate::kernel::{Key, Purpose, SimDuration, SimTime};
use crate::network::{NetworkSpec, SiteId};
use crate::random::Law;
use crate::random::math::exp;
use crate::state::{Clock, KeyType, Op};
use crate::stores::StoreSpec;
use crate::stores::testing::FaultAction;
use crate::stores::testing::{Bench, ms};

fn secs(s: f64) -> SimDuration {
    SimDuration::from_nanos_f64(s * 1e9)
}

/// Times of a Poisson process of `rate` a second.
fn poisson(key: Key, rate: f64, until: f64) -> Vec<SimTime> {
    let mut stream = key.stream(Purpose(0x7000), 0);
    let (mut at, mut times) = (0.0, Vec::new());
    loop {
        at -= crate::random::math::ln(stream.open_unit()) / rate;
        if at > until {
            return times;
        }
        times.push(SimTime::ZERO + secs(at));
    }
}

#[test]
fn read_your_writes_fails_as_often_as_it_should() {
    // One write, then a read at one of n replicas, x later, under delays of mean m: (n - 1) / n exp(-x / m).
    let trials = 6000;
    let keys = (0..trials).map(|n| (format!("k{n}"), KeyType::Register));
    let spec = StoreSpec::new(keys, (0..3).map(SiteId));
    let mut bench = Bench::new(LWW, spec, NetworkSpec::instant(["a", "b", "c"]));
    bench.spec.replication.delay = Some(Law::Exponential { mean: 0.5e9 });
    let place = Key::root(3, 0);
    for n in 0..trials {
        let replica = place.stream(Purpose(0x7001), u64::from(n)).below(3) as u32;
        bench.clients.push((
            SiteId(0),
            vec![(ms(1), update(n, 0, Op::Write(1))), (ms(101), read(n, replica))],
        ));
    }
    let s = judge(bench, ms(60_000));
    let (p, n) = (2.0 / 3.0 * exp(-0.2), f64::from(trials));
    let share = s.measure("state.read_your_writes.share").unwrap();
    assert!((share - p).abs() < 4.0 * (p * (1.0 - p) / n).sqrt(), "{share} {p}");
    assert_eq!(s.read_your_writes, s.stale_reads);
}

/// Poisson writers, one at each replica.
fn writers(n: u32, rate: f64, delay_ms: u64, until: f64, seed: u64) -> Bench {
    let mut bench = bench(LWW, n, delay_ms);
    for writer in 0..n {
        let times = poisson(Key::root(seed, 0).member(u64::from(writer)), rate, until);
        let script = times
            .into_iter()
            .map(|at| (at, update(0, writer, Op::Write(at.as_nanos()))));
        bench.clients.push((SiteId(writer), script.collect()));
    }
    bench
}

#[test]
fn poisson_writers_overwrite_each_other_as_often_as_they_should() {
    // One write in (0, d) after it by any other makes it lose, one within d on either side makes it concurrent.
    for (n, delay) in [(2u32, 350u64), (3, 100)] {
        let until = 12_000.0;
        let s = judge(writers(n, 1.0, delay, until, 5), SimTime::ZERO + secs(until + 10.0));
        let rate = f64::from(n - 1) * delay as f64 / 1e3;
        let expected = (1.0 - exp(-rate), 1.0 - exp(-2.0 * rate));
        // Neighbouring writes share their fates, so the tolerance is that of a third of the sample.
        let error = |p: f64| 4.0 * (p * (1.0 - p) / (s.writes as f64 / 3.0)).sqrt();
        for (name, expected) in [
            ("overwritten_unseen", expected.0),
            ("concurrent", expected.1),
            ("conflicts", expected.1),
        ] {
            let share = s.measure(&format!("state.{name}.share")).unwrap();
            assert!(
                (share - expected).abs() < error(expected),
                "{n} {name}: {share}, not {expected}"
            );
        }
    }
}

#[test]
fn reads_are_stale_as_often_as_they_should_be() {
    // The newest write is younger than the delay: 1 - exp(-rate d).
    for (rate, delay) in [(1.0, 350u64), (10.0, 50)] {
        let mut bench = bench(LWW, 2, delay);
        let key = Key::root(8, 0);
        let until = 20_000.0 / rate;
        let writes = poisson(key.member(0), rate, until);
        bench.clients.push((
            SiteId(0),
            writes
                .into_iter()
                .map(|at| (at, update(0, 0, Op::Write(at.as_nanos()))))
                .collect(),
        ));
        let reads = poisson(key.member(1), rate, until);
        bench
            .clients
            .push((SiteId(1), reads.into_iter().map(|at| (at, read(0, 1))).collect()));
        let s = judge(bench, SimTime::ZERO + secs(until + 10.0));
        let p = 1.0 - exp(-rate * delay as f64 / 1e3);
        let share = s.measure("state.stale_reads.share").unwrap();
        assert!(
            (share - p).abs() < 4.0 * (p * (1.0 - p) / (s.reads as f64 / 2.0)).sqrt(),
            "{share} {p}"
        );
        assert!(s.stale_age.max <= delay * 1_000_000);
        assert_eq!((s.concurrent, s.overwritten_unseen, s.lost_updates), (0, 0, 0));
    }
}

#[test]
fn a_broken_clock_changes_no_measured_concurrency() {
    let run = |clock: Option<Clock>, step: i64| {
        let mut bench = writers(3, 2.0, 100, 200.0, 9);
        if let Some(clock) = clock {
            bench.spec.replicas[1].clock = clock;
        }
        if step != 0 {
            bench.faults.push((
                ms(50_000),
                ms(50_001),
                FaultAction::ClockStep {
                    targets: vec![0],
                    by: step,
                },
            ));
        }
        judge(bench, ms(300_000))
    };
    let good = run(None, 0);
    assert!(good.concurrent > 100);
    for (clock, step) in [
        (Some(Clock::new(-3_000_000_000, 0).unwrap()), 0),
        (Some(Clock::new(0, 50_000_000).unwrap()), 0),
        (None, 5_000_000_000),
        (Some(Clock::new(i64::MAX, 0).unwrap()), -7_000_000_000),
    ] {
        let broken = run(clock, step);
        assert_eq!(
            (good.writes, good.concurrent, good.conflicts, &good.conflicts_over_time),
            (
                broken.writes,
                broken.concurrent,
                broken.conflicts,
                &broken.conflicts_over_time
            )
        );
        assert!(
            broken.overwritten_unseen > good.overwritten_unseen,
            "but the store does worse by it"
        );
    }
}
