//! Stores in a world: what their clients get, what it costs in time, and what survives which fault.

use super::testing::{Act, Bench, Ran, ms};
use super::words::{of_store_key, of_version_words};
use super::{AntiEntropy, Model, Replication, Stamping, StoreSpec};
use crate::kernel::{End, SimDuration, SimTime};
use crate::network::{Cut, Group, InTransit, Latency, LinkSpec, NetworkSpec, SiteId};
use crate::random::Law;
use crate::state::{Clock, Crdt, DottedVersionVectors, KeyType, LastWriteWins, Op, VersionVectors, Versions};
use crate::stores::testing::FaultAction;
use crate::world::call::{Outcome, Part};
use crate::world::record::{Batch, Mask, Observer, Record, What};
use std::sync::{Arc, Mutex};

pub(super) const MODELS: [Model; 4] = [
    Model::LastWriteWins(LastWriteWins),
    Model::VersionVectors(VersionVectors {
        rules: crate::state::siblings::MergeRules {
            register: crate::state::siblings::MergeRule::KeepAll,
            counter: crate::state::siblings::MergeRule::Max,
            set: crate::state::siblings::MergeRule::Union,
        },
        blind: crate::state::siblings::Blind::Sibling,
    }),
    Model::DottedVersionVectors(DottedVersionVectors {
        rules: crate::state::siblings::MergeRules {
            register: crate::state::siblings::MergeRule::KeepAll,
            counter: crate::state::siblings::MergeRule::Max,
            set: crate::state::siblings::MergeRule::Union,
        },
        blind: crate::state::siblings::Blind::Sibling,
    }),
    Model::Crdt(Crdt {
        register: crate::state::crdt::RegisterType::MultiValue,
        counter: crate::state::crdt::CounterType::UpAndDown,
        set: crate::state::crdt::SetType::AddWins,
        ship: crate::state::crdt::Ship::Delta,
        blind: crate::state::siblings::Blind::Sibling,
    }),
];

type Kept = Arc<Mutex<Vec<(Record, Vec<u64>)>>>;

/// Keeps records of some kinds.
struct Keep(Mask, Kept);

impl Observer for Keep {
    fn wants(&self) -> Mask {
        self.0
    }

    fn batch(&mut self, batch: Batch<'_>) {
        let mine = batch.records.iter().filter(|record| self.0.has(record.what));
        self.1
            .lock()
            .unwrap()
            .extend(mine.map(|record| (*record, batch.extra(record).to_vec())));
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}

fn link(latency: u64) -> LinkSpec {
    LinkSpec {
        latency: Latency::Law(Law::Constant(latency as f64 * 1e6)),
        ..LinkSpec::default()
    }
}

fn sites(n: u32) -> Vec<SiteId> {
    (0..n).map(SiteId).collect()
}

fn names(n: u32) -> Vec<String> {
    (0..n).map(|n| format!("site{n}")).collect()
}

fn spec(replicas: u32) -> StoreSpec {
    let keys = [
        ("note", KeyType::Register),
        ("count", KeyType::Counter),
        ("tags", KeyType::Set),
    ];
    StoreSpec::new(keys, sites(replicas))
}

pub(super) fn bench(model: Model, replicas: u32, latency: u64) -> Bench {
    Bench::new(
        model,
        spec(replicas),
        NetworkSpec::uniform(names(replicas), link(latency)),
    )
}

pub(super) fn write(key: u32, replica: u32, op: Op) -> Act {
    Act::Update {
        key,
        replica,
        op,
        aware: false,
    }
}

pub(super) fn run(bench: Bench, until: SimTime, kinds: &[What]) -> (Ran, Vec<(Record, Vec<u64>)>) {
    let kept = Kept::default();
    let ran = bench.run(until, vec![Box::new(Keep(Mask::of(kinds), kept.clone()))]);
    let kept = std::mem::take(&mut *kept.lock().unwrap());
    (ran, kept)
}

/// The digests that replicas show at the end: (replica, key, digest).
fn shown(records: &[(Record, Vec<u64>)]) -> Vec<(u32, u32, u64)> {
    let mut last = std::collections::BTreeMap::new();
    for (record, _) in records.iter().filter(|(record, _)| record.what == What::Visible) {
        last.insert((record.subject, of_store_key(record.a).1), record.b);
    }
    last.into_iter()
        .map(|((replica, key), digest)| (replica, key, digest))
        .collect()
}

fn agree(records: &[(Record, Vec<u64>)], replicas: u32) -> bool {
    (0..3).all(|key| agree_on(records, key, replicas))
}

/// Whether all replicas show something of a key, and the same.
pub(super) fn agree_on(records: &[(Record, Vec<u64>)], key: u32, replicas: u32) -> bool {
    let shown = shown(records);
    let of_key: Vec<u64> = shown
        .iter()
        .filter(|(_, of, _)| *of == key)
        .map(|(_, _, digest)| *digest)
        .collect();
    of_key.len() == replicas as usize && of_key.iter().all(|digest| *digest == of_key[0])
}

fn split(n: u32, held: InTransit) -> Cut {
    Cut {
        name: "split".into(),
        from: Group::sites([SiteId(0)]),
        to: Group::Sites((1..n).map(SiteId).collect()),
        both_ways: true,
        in_flight: held,
        sent: held,
    }
}

/// Each client writes all three keys at its own replica, each 100 ms.
pub(super) fn busy(bench: &mut Bench, clients: u32, from: u64, to: u64) {
    for client in 0..clients {
        let mut script = Vec::new();
        for (n, at) in (from..to).step_by(100).enumerate() {
            let value = u64::from(client) * 1000 + n as u64;
            let at = at + u64::from(client) * 7;
            script.push((ms(at), write(0, client, Op::Write(value))));
            script.push((ms(at + 1), write(1, client, Op::Add(1))));
            script.push((ms(at + 2), write(2, client, Op::Insert(value))));
        }
        bench.clients.push((SiteId(client), script));
    }
}

#[test]
fn an_operation_takes_its_legs_and_its_processing() {
    for model in MODELS {
        let mut bench = bench(model, 2, 40);
        bench.spec.processing = Some(Law::Constant(3e6));
        let script = vec![
            (ms(0), write(1, 1, Op::Add(5))),
            (ms(200), Act::Read { key: 1, replica: 1 }),
            (ms(400), Act::Read { key: 1, replica: 0 }),
        ];
        bench.clients.push((SiteId(0), script));
        let (ran, _) = run(bench, ms(1000), &[]);
        let took: Vec<_> = ran
            .log
            .iter()
            .map(|(_, seen)| (seen.act, seen.at, seen.parts.of(Part::Network)))
            .collect();
        let round = SimDuration::from_millis(80);
        assert_eq!(
            took,
            [(0, ms(83), round), (1, ms(283), round), (2, ms(403), SimDuration::ZERO)]
        );
        for (_, seen) in &ran.log {
            assert_eq!(seen.outcome, Outcome::Done);
            assert_eq!(seen.parts.of(Part::Service), SimDuration::from_millis(3));
        }
        assert_eq!(ran.end, End::Drained);
    }
}

#[test]
fn replicas_agree_once_everything_has_arrived() {
    for model in MODELS {
        let mut bench = bench(model, 3, 40);
        busy(&mut bench, 3, 10, 1000);
        let (ran, records) = run(bench, ms(5000), &[What::Visible]);
        assert_eq!(ran.end, End::Drained);
        assert!(agree(&records, 3), "{model:?}");
    }
}

#[test]
fn observers_change_nothing_and_runs_repeat() {
    for model in MODELS {
        let made = || {
            let mut bench = bench(model, 3, 40);
            busy(&mut bench, 3, 10, 1000);
            bench.network.classes[1].duplication = 0.2;
            bench.spec.replication.delay = Some(Law::Exponential { mean: 3e7 });
            bench.spec.anti_entropy = Some(AntiEntropy {
                every: SimDuration::from_millis(250),
                jitter: Some(Law::Uniform { low: 0.0, high: 1e7 }),
                until: Some(ms(1500)),
            });
            bench
        };
        let quiet = made().run(ms(9000), Vec::new());
        let (watched, _) = run(
            made(),
            ms(9000),
            &[What::Visible, What::Accepted, What::Applied, What::Holds],
        );
        assert_eq!(quiet.print, watched.print);
        assert_eq!(quiet.end, End::Drained, "{model:?}");
        let other = Bench { seed: 2, ..made() };
        assert_ne!(quiet.print, other.run(ms(9000), Vec::new()).print);
    }
}

#[test]
fn the_fingerprint_covers_what_travels_between_replicas() {
    for model in MODELS {
        let print = |value| {
            let mut bench = bench(model, 2, 40);
            bench
                .clients
                .push((SiteId(0), vec![(ms(1), write(0, 0, Op::Write(value)))]));
            bench.run(ms(1000), Vec::new()).print
        };
        assert_ne!(print(1), print(2));
    }
}

#[test]
fn batches_delays_losses_and_copies_end_in_agreement_with_anti_entropy() {
    for model in MODELS {
        for batch in [None, Some(SimDuration::from_millis(70))] {
            let mut bench = bench(model, 3, 40);
            busy(&mut bench, 3, 10, 2000);
            bench.network.classes[1].loss = crate::network::Loss::Independent(0.3);
            bench.network.classes[1].duplication = 0.3;
            bench.spec.replication = Replication {
                delay: Some(Law::Exponential { mean: 2e7 }),
                batch,
            };
            bench.spec.anti_entropy = Some(AntiEntropy {
                every: SimDuration::from_millis(200),
                jitter: None,
                until: Some(ms(2500)),
            });
            let (ran, records) = run(bench, ms(60_000), &[What::Visible, What::Metadata]);
            assert_eq!(
                ran.end,
                End::Drained,
                "anti-entropy stops when nothing differs any more"
            );
            assert!(agree(&records, 3), "{model:?} {batch:?}");
            assert!(
                records
                    .iter()
                    .filter(|(record, _)| record.what == What::Metadata)
                    .all(|(record, _)| record.b > 0)
            );
        }
    }
}

#[test]
fn a_partition_heals_by_anti_entropy_or_by_held_messages() {
    for model in MODELS {
        for held in [InTransit::Held, InTransit::Lost] {
            let mut bench = bench(model, 3, 40);
            busy(&mut bench, 3, 10, 3000);
            bench.network.cuts.push(split(3, held));
            bench.faults.push((ms(500), ms(2000), FaultAction::Cut(0)));
            if held == InTransit::Lost {
                bench.spec.anti_entropy = Some(AntiEntropy {
                    every: SimDuration::from_millis(200),
                    jitter: None,
                    until: Some(ms(3000)),
                });
            }
            let (ran, records) = run(bench, ms(60_000), &[What::Visible]);
            assert_eq!(ran.end, End::Drained);
            assert!(agree(&records, 3), "{model:?} {held:?}");
        }
    }
}

#[test]
fn a_replica_that_forgets_comes_back_as_another_origin_and_catches_up() {
    for model in MODELS {
        for keep_state in [true, false] {
            let mut bench = bench(model, 3, 40);
            busy(&mut bench, 3, 10, 3000);
            bench.spec.anti_entropy = Some(AntiEntropy {
                every: SimDuration::from_millis(400),
                jitter: None,
                until: Some(ms(3000)),
            });
            bench.faults.push((
                ms(1000),
                ms(1500),
                FaultAction::Crash {
                    targets: vec![1],
                    keep_state,
                },
            ));
            let (ran, records) = run(bench, ms(60_000), &[What::Visible, What::Applied, What::RequestDropped]);
            assert_eq!(ran.end, End::Drained);
            assert!(agree(&records, 3), "{model:?} {keep_state}");
            let dropped = records
                .iter()
                .filter(|(record, _)| record.what == What::RequestDropped)
                .count();
            assert_eq!(dropped, 15, "five rounds of three updates fall into the crash");
            let lives = records
                .iter()
                .filter(|(record, _)| record.what == What::Applied && record.b & 0xffff == 1);
            assert_eq!(lives.count() > 0, !keep_state);
        }
    }
}

#[test]
fn a_pause_is_down_time_and_keeps_the_order_of_arrival() {
    for model in MODELS {
        let mut bench = bench(model, 2, 40);
        bench.spec.processing = Some(Law::Constant(20e6));
        let script = vec![
            (ms(90), write(1, 0, Op::Add(1))),
            (ms(120), write(1, 0, Op::Add(1))),
            (ms(150), Act::Read { key: 1, replica: 0 }),
        ];
        bench.clients.push((SiteId(0), script));
        bench
            .faults
            .push((ms(100), ms(200), FaultAction::Pause { targets: vec![0] }));
        let (ran, _) = run(bench, ms(1000), &[]);
        let seen: Vec<_> = ran
            .log
            .iter()
            .map(|(_, seen)| {
                (
                    seen.act,
                    seen.at,
                    seen.parts.of(Part::Down).as_millis_f64(),
                    seen.parts.of(Part::Service).as_millis_f64(),
                )
            })
            .collect();
        // Half of the first one's work was done before the pause.
        assert_eq!(
            seen,
            [
                (0, ms(210), 100.0, 20.0),
                (1, ms(220), 80.0, 20.0),
                (2, ms(220), 50.0, 20.0)
            ]
        );
        for (at, (_, seen)) in [90, 120, 150].into_iter().zip(&ran.log) {
            assert_eq!(seen.parts.total(), seen.at - ms(at));
        }
    }
}

#[test]
fn an_idempotent_update_is_applied_once_by_a_replica() {
    for model in MODELS {
        for (idempotent, expected) in [(true, 1), (false, 3)] {
            for processing in [None, Some(Law::Constant(5e6))] {
                let mut bench = bench(model, 2, 10);
                bench.idempotent = idempotent;
                bench.attempts = 3;
                bench.spec.processing = processing;
                bench.clients.push((SiteId(0), vec![(ms(1), write(1, 1, Op::Add(1)))]));
                let (_, records) = run(bench, ms(1000), &[What::Accepted, What::Executed]);
                for what in [What::Accepted, What::Executed] {
                    assert_eq!(
                        records.iter().filter(|(record, _)| record.what == what).count(),
                        expected
                    );
                }
            }
        }
    }
}

#[test]
fn a_step_of_the_clock_shows_in_the_stamps() {
    let mut bench = bench(MODELS[0], 2, 10);
    bench.clients.push((
        SiteId(0),
        vec![(ms(1), write(0, 0, Op::Write(1))), (ms(20), write(0, 0, Op::Write(2)))],
    ));
    bench.faults.push((
        ms(10),
        ms(11),
        FaultAction::ClockStep {
            targets: vec![0],
            by: -15_000_000,
        },
    ));
    let (_, records) = run(bench, ms(1000), &[What::Accepted, What::Outranked, What::Holds]);
    let accepted: Vec<_> = records
        .iter()
        .filter(|(record, _)| record.what == What::Accepted)
        .collect();
    assert_eq!([accepted[0].1[2], accepted[1].1[2]], [1_000_000, 5_000_000]);
    let holds: Vec<_> = records
        .iter()
        .filter(|(record, _)| record.what == What::Holds)
        .collect();
    assert_eq!(of_version_words(&holds[0].1), of_version_words(&holds[1].1));
    let Versions::Heads(heads) = of_version_words(&holds[0].1) else {
        panic!("a register has heads")
    };
    assert_eq!(heads[0].number, 2);
}

#[test]
fn turns_of_two_clients_pile_up_siblings_under_version_vectors_only() {
    for (model, expected) in [(MODELS[1], 20), (MODELS[2], 2)] {
        let mut bench = bench(model, 1, 10);
        for client in 0..2u64 {
            let script = (0..10).map(|n| {
                let act = Act::Update {
                    key: 0,
                    replica: 0,
                    op: Op::Write(n),
                    aware: n > 0,
                };
                (ms(100 * n + 50 * client), act)
            });
            bench.clients.push((SiteId(0), script.collect()));
        }
        let (_, records) = run(bench, ms(3000), &[What::Holds]);
        let Versions::Heads(heads) = of_version_words(&records[0].1) else {
            panic!("a register has heads")
        };
        assert_eq!(heads.len(), expected);
    }
}

#[test]
fn a_logical_clock_keeps_an_update_that_has_seen_what_a_slow_wall_clock_loses_to() {
    for (stamping, kept) in [(Stamping::Wall, 1), (Stamping::Lamport, 2), (Stamping::Hybrid, 2)] {
        let mut bench = bench(MODELS[0], 2, 10);
        bench.spec.stamping = stamping;
        bench.spec.replicas[1].clock = Clock::new(-1_000_000_000, 0).unwrap();
        bench
            .clients
            .push((SiteId(0), vec![(ms(1), write(0, 0, Op::Write(1)))]));
        // By 100 ms the second replica holds the first one's version, and its clock is still a second behind it.
        bench
            .clients
            .push((SiteId(1), vec![(ms(100), write(0, 1, Op::Write(2)))]));
        let (_, records) = run(bench, ms(1000), &[What::Accepted, What::Holds]);
        let of = |what| records.iter().filter(move |(record, _)| record.what == what);
        let dots: Vec<_> = of(What::Accepted).map(|(record, _)| record.c).collect();
        let held: Vec<_> = of(What::Holds)
            .map(|(_, words)| match of_version_words(words) {
                Versions::Heads(heads) => heads[0].bits(),
                Versions::Effects(_) => panic!("a register has heads"),
            })
            .collect();
        assert_eq!(held, [dots[kept - 1]; 2], "{stamping:?}");
    }
}
