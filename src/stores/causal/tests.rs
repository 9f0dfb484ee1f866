//! Causal order in a world: when updates and requests wait, for how long, and what they wait for no more.

use super::super::testing::{Act, Bench, FaultAction, Ran, ms};
use super::super::tests::{MODELS, agree_on, bench, busy, run, write};
use super::super::{AntiEntropy, Protocol};
use super::{After, CausalSpec};
use crate::kernel::{End, SimDuration};
use crate::network::{Cut, Group, InTransit, Latency, LinkSpec, Loss, SiteId};
use crate::random::Law;
use crate::state::{Dot, Memory, Op, Origin};
use crate::world::call::{Outcome, Part};
use crate::world::record::{Record, What};

fn millis(ms: u64) -> SimDuration {
    SimDuration::from_millis(ms)
}

/// Three replicas, 10 ms from each other, but for the way from the first to the third, which takes 300.
fn uneven() -> Bench {
    let mut bench = bench(MODELS[0], 3, 10);
    let far = LinkSpec {
        latency: Latency::Law(Law::Constant(300e6)),
        ..LinkSpec::default()
    };
    bench.network.classes.push(far);
    bench.network.pairs.insert((0, 2), 2);
    bench.spec.protocol = Protocol::Causal(CausalSpec::causal());
    bench.memory = Memory::Nearest;
    bench
}

fn read(key: u32, replica: u32) -> Act {
    Act::Read { key, replica }
}

/// The first replica's update of the note reaches the third one after 300 ms. Meanwhile somebody at the second one has read it, and
/// has counted; that takes 10 ms to the third.
fn overtaken() -> Bench {
    let mut bench = uneven();
    bench.clients = vec![
        (SiteId(0), vec![(ms(0), write(0, 0, Op::Write(1)))]),
        (SiteId(1), vec![(ms(20), read(0, 1)), (ms(30), write(1, 1, Op::Add(1)))]),
    ];
    bench
}

/// The updates that a replica took in: which, when they had come, and when that was, in milliseconds.
fn taken(records: &[(Record, Vec<u64>)], replica: u32) -> Vec<(Dot, u64, u64)> {
    let mine = records
        .iter()
        .filter(|(record, _)| record.what == What::Ordered && record.subject == replica);
    let taken = mine.map(|(record, _)| {
        (
            Dot::from_bits(record.b),
            record.c / 1_000_000,
            record.time.as_nanos() / 1_000_000,
        )
    });
    taken.collect()
}

fn dot(replica: u16, number: u32) -> Dot {
    Dot::new(Origin::new(replica, 0), number)
}

#[test]
fn an_update_waits_in_the_buffer_for_what_it_depends_on() {
    let (_, records) = run(overtaken(), ms(2000), &[What::Ordered]);
    assert_eq!(taken(&records, 1), [(dot(0, 1), 10, 10)]);
    assert_eq!(taken(&records, 2), [(dot(0, 1), 300, 300), (dot(1, 1), 40, 300)]);
    // It brings its number, and a vector of one component; the first update depends on nothing.
    let bytes = records.iter().map(|(record, extra)| (record.b >> 48, extra[0]));
    assert!(
        bytes.clone().all(|(replica, bytes)| bytes == 8 + 4 + 8 * replica),
        "{:?}",
        bytes.collect::<Vec<_>>()
    );
}

#[test]
fn an_update_does_not_wait_for_what_its_client_has_not_seen() {
    let mut bench = overtaken();
    // It counts before it has read.
    bench.clients[1].1 = vec![(ms(20), write(1, 1, Op::Add(1))), (ms(30), read(0, 1))];
    let (_, records) = run(bench, ms(2000), &[What::Ordered]);
    assert_eq!(taken(&records, 2), [(dot(1, 1), 30, 30), (dot(0, 1), 300, 300)]);
    // On a key it is made on what its replica has of that.
    let mut bench = overtaken();
    bench.clients[1].1 = vec![(ms(30), write(0, 1, Op::Write(2)))];
    let (_, records) = run(bench, ms(2000), &[What::Ordered]);
    assert_eq!(taken(&records, 2), [(dot(0, 1), 300, 300), (dot(1, 1), 40, 300)]);
}

#[test]
fn what_an_earlier_update_has_carried_need_not_be_carried_again() {
    let mut bench = overtaken();
    bench.clients[1]
        .1
        .extend([(ms(40), read(0, 1)), (ms(50), write(1, 1, Op::Add(1)))]);
    let (_, records) = run(bench, ms(2000), &[What::Ordered]);
    assert_eq!(
        taken(&records, 2),
        [(dot(0, 1), 300, 300), (dot(1, 1), 40, 300), (dot(1, 2), 60, 300)]
    );
    let carried = |number| {
        let of = |record: &Record| record.subject == 2 && Dot::from_bits(record.b) == dot(1, number);
        records.iter().find(|(record, _)| of(record)).map(|(_, extra)| extra[0])
    };
    assert_eq!((carried(1), carried(2)), (Some(8 + 4 + 8), Some(8 + 4)));
}

/// A client that has read at the second replica reads at the third, which lacks that.
fn wanderer(wait: u64) -> Bench {
    let mut bench = uneven();
    bench.spec.protocol = Protocol::Causal(CausalSpec {
        wait: millis(wait),
        ..CausalSpec::causal()
    });
    bench.clients = vec![
        (SiteId(0), vec![(ms(0), write(0, 0, Op::Write(1)))]),
        (
            SiteId(2),
            vec![(ms(20), read(0, 1)), (ms(50), read(1, 2)), (ms(400), read(1, 2))],
        ),
    ];
    bench
}

fn answers(ran: &Ran) -> Vec<(u64, Outcome, SimDuration)> {
    let mine = ran.log.iter().filter(|(client, _)| *client == 1);
    let answers = mine.map(|(_, seen)| {
        let at = seen.at.as_nanos() / 1_000_000;
        (at, seen.outcome, seen.parts.of(Part::Coordination))
    });
    answers.collect()
}

#[test]
fn a_request_waits_for_what_its_client_has_seen_or_is_refused() {
    let (ran, _) = run(wanderer(1000), ms(2000), &[]);
    let done = [(40, millis(0)), (300, millis(250)), (400, millis(0))];
    assert_eq!(answers(&ran), done.map(|(at, waited)| (at, Outcome::Done, waited)));
    let refused = Outcome::Refused { retry_after: None };
    let (ran, _) = run(wanderer(100), ms(2000), &[]);
    let expected = [
        (40, Outcome::Done, millis(0)),
        (150, refused, millis(100)),
        (400, Outcome::Done, millis(0)),
    ];
    assert_eq!(answers(&ran), expected);
    let (ran, _) = run(wanderer(0), ms(2000), &[]);
    assert_eq!(answers(&ran)[1], (50, refused, millis(0)));
    // Who remembers nothing waits for nothing.
    let mut forgetful = wanderer(1000);
    forgetful.memory = Memory::None;
    let (ran, _) = run(forgetful, ms(2000), &[]);
    assert_eq!(answers(&ran)[1], (50, Outcome::Done, millis(0)));
}

#[test]
fn a_replica_that_stands_still_keeps_what_it_held_back_and_that_is_down_time() {
    let mut bench = wanderer(400);
    let pause = FaultAction::Pause { targets: vec![2] };
    bench.faults.push((ms(100), ms(350), pause));
    let (ran, _) = run(bench, ms(2000), &[]);
    // The update came at 300, and is taken in at 350.
    let parts = &ran
        .log
        .iter()
        .find(|(client, seen)| (*client, seen.act) == (1, 1))
        .expect("it was answered")
        .1
        .parts;
    assert_eq!(
        (parts.of(Part::Coordination), parts.of(Part::Down)),
        (millis(50), millis(250))
    );
    let mut bench = wanderer(1000);
    let crash = FaultAction::Crash {
        targets: vec![2],
        keep_state: true,
    };
    bench.faults.push((ms(100), ms(200), crash));
    let (ran, records) = run(bench, ms(3000), &[What::RequestDropped]);
    assert_eq!((ran.log.len(), records.len(), ran.end), (3, 1, End::Drained));
}

#[test]
fn what_a_replica_missed_it_asks_for_without_anti_entropy() {
    let mut bench = overtaken();
    bench.network.cuts.push(Cut {
        name: "one way".into(),
        from: Group::sites([SiteId(0)]),
        to: Group::sites([SiteId(2)]),
        both_ways: false,
        in_flight: InTransit::Lost,
        sent: InTransit::Lost,
    });
    bench.faults.push((ms(0), ms(5), FaultAction::Cut(0)));
    bench.clients[0].1[0].0 = ms(1);
    bench.clients[1].1[0].0 = ms(21);
    // What came at 40 ms has waited for a second: the second replica is asked, and has both.
    let (ran, records) = run(bench, ms(5000), &[What::Visible, What::Ordered]);
    assert_eq!(ran.end, End::Drained);
    assert_eq!(taken(&records, 2), []);
    assert!(agree_on(&records, 0, 3) && agree_on(&records, 1, 3));
    let last = records.iter().rfind(|(record, _)| record.what == What::Visible);
    assert_eq!(last.expect("something is shown").0.time, ms(40 + 1000 + 20));
}

#[test]
fn replicas_of_every_model_agree_after_loss_copies_crashes_and_batches() {
    for model in MODELS {
        for (batch, keep_state) in [
            (None, true),
            (Some(millis(70)), true),
            (None, false),
            (Some(millis(70)), false),
        ] {
            let mut bench = bench(model, 3, 40);
            busy(&mut bench, 3, 10, 2000);
            bench.memory = Memory::Nearest;
            bench.spec.protocol = Protocol::Causal(CausalSpec {
                wait: millis(300),
                ..CausalSpec::causal()
            });
            bench.network.classes[1].loss = Loss::Independent(0.3);
            bench.network.classes[1].duplication = 0.3;
            bench.spec.replication.delay = Some(Law::Exponential { mean: 5e7 });
            bench.spec.replication.batch = batch;
            bench.spec.anti_entropy = Some(AntiEntropy {
                every: millis(200),
                jitter: None,
                until: Some(ms(2500)),
            });
            for (replica, at) in [(0, 500), (1, 900), (0, 1400)] {
                let crash = FaultAction::Crash {
                    targets: vec![replica],
                    keep_state,
                };
                bench.faults.push((ms(at), ms(at + 250), crash));
            }
            let (ran, records) = run(bench, ms(60_000), &[What::Visible]);
            assert_eq!(ran.end, End::Drained, "{model:?} {batch:?} {keep_state}");
            assert!(
                (0..3).all(|key| agree_on(&records, key, 3)),
                "{model:?} {batch:?} {keep_state}"
            );
        }
    }
}

#[test]
fn a_session_at_one_replica_is_followed_by_what_that_has_seen() {
    let mut bench = overtaken();
    bench.memory = Memory::None;
    let after = |after| {
        Protocol::Causal(CausalSpec {
            after,
            ..CausalSpec::causal()
        })
    };
    bench.spec.protocol = after(After::Replica);
    let (_, records) = run(bench, ms(2000), &[What::Ordered]);
    assert_eq!(taken(&records, 2), [(dot(0, 1), 300, 300), (dot(1, 1), 40, 300)]);
    let mut bench = overtaken();
    bench.memory = Memory::None;
    bench.spec.protocol = after(After::Nothing);
    let (_, records) = run(bench, ms(2000), &[What::Ordered]);
    assert_eq!(taken(&records, 2), [(dot(1, 1), 40, 40), (dot(0, 1), 300, 300)]);
}
