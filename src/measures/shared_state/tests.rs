//! The judge against schedules computed by hand, against closed forms, and (in [`oracle`]) against an explicit graph of causes.

mod closed_forms;
mod cost;
mod forgetting;
mod oracle;
mod quorums;

use super::{MEASURES, SharedState, SharedStateJudge, Watched, WatchedStore};
use crate::kernel::{SimDuration, SimTime};
use crate::network::{Cut, Group, InTransit, Latency, LinkSpec, Loss, NetworkSpec, SiteId};
use crate::random::Law;
use crate::state::crdt::{SetType, Ship};
use crate::state::siblings::Blind;
use crate::state::{Clock, Crdt, DottedVersionVectors, KeyType, LastWriteWins, Op, VersionVectors};
use crate::stores::testing::FaultAction;
use crate::stores::testing::{Act, Bench, Log, Ran, ms};
use crate::stores::{AntiEntropy, Model, Protocol, StoreSpec};
use std::sync::{Arc, Mutex};

pub(super) const LWW: Model = Model::LastWriteWins(LastWriteWins);

pub(super) fn crdt() -> Model {
    Model::Crdt(Crdt::default())
}

pub(super) fn models() -> [Model; 8] {
    let of = |set, ship| {
        Model::Crdt(Crdt {
            set,
            ship,
            ..Crdt::default()
        })
    };
    [
        LWW,
        Model::VersionVectors(VersionVectors::default()),
        Model::DottedVersionVectors(DottedVersionVectors::default()),
        crdt(),
        Model::Crdt(Crdt {
            blind: Blind::Overwrite,
            ..Crdt::default()
        }),
        of(SetType::RemoveWins, Ship::Delta),
        of(SetType::TwoPhase, Ship::State),
        of(SetType::AddWins, Ship::Operation),
    ]
}

pub(super) fn link(ns: f64) -> LinkSpec {
    LinkSpec {
        latency: Latency::Law(Law::Constant(ns)),
        ..LinkSpec::default()
    }
}

/// A note, a count and tags at replicas that are `latency` apart.
pub(super) fn bench(model: Model, replicas: u32, latency_ms: u64) -> Bench {
    let keys = [
        ("note", KeyType::Register),
        ("count", KeyType::Counter),
        ("tags", KeyType::Set),
        ("draft", KeyType::Text),
        ("sheet", KeyType::Map),
    ];
    let has_texts = model.supports(KeyType::Text).is_ok();
    let keys = keys
        .into_iter()
        .filter(|(_, key)| has_texts || KeyType::PLAIN.contains(key));
    let spec = StoreSpec::new(keys, (0..replicas).map(SiteId));
    let names = (0..replicas).map(|site| format!("site{site}"));
    Bench::new(model, spec, NetworkSpec::uniform(names, link(latency_ms as f64 * 1e6)))
}

pub(super) fn update(key: u32, replica: u32, op: Op) -> Act {
    Act::Update {
        key,
        replica,
        op,
        aware: false,
    }
}

pub(super) fn aware(key: u32, replica: u32, op: Op) -> Act {
    Act::Update {
        key,
        replica,
        op,
        aware: true,
    }
}

pub(super) fn read(key: u32, replica: u32) -> Act {
    Act::Read { key, replica }
}

pub(super) fn watched(bench: &Bench) -> Watched {
    Watched {
        stores: vec![WatchedStore::new(&bench.model, &bench.spec, 0)],
        cuts: (0..bench.faults.len() as u32)
            .filter(|n| matches!(bench.faults[*n as usize].2, FaultAction::Cut(_)))
            .collect(),
        may_lose_state: bench
            .faults
            .iter()
            .any(|(_, _, what)| matches!(what, FaultAction::Crash { keep_state: false, .. })),
        each_once: bench.attempts == 1 && matches!(bench.spec.protocol, Protocol::Alone),
        from: SimTime::ZERO,
    }
}

pub(super) fn judge(bench: Bench, until: SimTime) -> SharedState {
    let judge = Arc::new(Mutex::new(SharedStateJudge::new(&watched(&bench))));
    let _: Ran = bench.run(until, vec![Box::new(judge.clone())]);
    let mut judge = judge.lock().unwrap();
    let results = judge.results(until);
    assert_eq!(judge.breaches(), &[] as &[String]);
    results
}

#[test]
fn two_writes_that_cross() {
    let mut bench = bench(LWW, 2, 100);
    bench.clients = vec![
        (SiteId(0), vec![(ms(10), update(0, 0, Op::Write(1)))]),
        (SiteId(1), vec![(ms(50), update(0, 1, Op::Write(2)))]),
        (
            SiteId(0),
            vec![(ms(5), read(0, 0)), (ms(120), read(0, 0)), (ms(200), read(0, 0))],
        ),
    ];
    let s = judge(bench, ms(1000));
    assert_eq!((s.writes, s.acknowledged, s.concurrent, s.conflicts), (2, 2, 2, 2));
    assert_eq!((s.overwritten_unseen, s.lost_updates, s.lost_effects), (1, 1, 1));
    assert_eq!((s.reads, s.stale_reads), (3, 1));
    assert_eq!((s.stale_age.kept, s.stale_lag.kept), (vec![70_000_000], vec![1]));
    assert_eq!(s.divergence, [140_000_000, 0, 0, 0, 0]);
    assert_eq!((s.causal_violations, s.monotonic_reads, s.read_your_writes), (0, 0, 0));
}

#[test]
fn an_own_write_that_gives_way_to_what_it_had_seen_is_missed_and_one_that_is_overwritten_is_not() {
    // The second replica's clock is five seconds ahead. Its client's write reaches the first at 20 ms, whose client reads it,
    // writes, and reads what it had read before. Where it writes without having read, the replica had, and it is the same.
    for (act, before) in [
        (aware(0, 0, Op::Write(2)), 1),
        (update(0, 0, Op::Write(2)), 1),
        (update(0, 0, Op::Write(2)), 0),
    ] {
        let mut bench = bench(LWW, 2, 10);
        bench.spec.replicas[1].clock = Clock::new(5_000_000_000, 0).unwrap();
        let mut script = vec![(ms(100), act), (ms(200), read(0, 0)), (ms(300), read(0, 0))];
        if before == 1 {
            script.insert(0, (ms(50), read(0, 0)));
        }
        bench.clients = vec![
            (SiteId(1), vec![(ms(10), update(0, 1, Op::Write(1)))]),
            (SiteId(0), script),
        ];
        let s = judge(bench, ms(1000));
        assert_eq!((s.acknowledged, s.lost_updates, s.overwritten_unseen), (2, 1, 1));
        assert_eq!(
            (s.read_your_writes, s.stale_reads, s.causal_violations),
            (2, 0, 0),
            "{act:?}"
        );
    }
    // Written at the same time at both, the later stamp replaces the other: its client missed nothing that it could know of.
    let mut bench = bench(LWW, 2, 10);
    bench.spec.replicas[1].clock = Clock::new(5_000_000_000, 0).unwrap();
    bench.clients = vec![
        (SiteId(1), vec![(ms(100), update(0, 1, Op::Write(1)))]),
        (
            SiteId(0),
            vec![(ms(100), update(0, 0, Op::Write(2))), (ms(200), read(0, 0))],
        ),
    ];
    let s = judge(bench, ms(1000));
    assert_eq!((s.overwritten_unseen, s.read_your_writes), (1, 0));
}

#[test]
fn increments_commute_and_last_write_wins_loses_them_all_the_same() {
    for (model, lost) in [(LWW, 2), (crdt(), 0)] {
        let mut bench = bench(model, 2, 100);
        bench.clients = vec![
            (
                SiteId(0),
                vec![(ms(10), update(1, 0, Op::Add(1))), (ms(20), update(1, 0, Op::Add(1)))],
            ),
            (SiteId(1), vec![(ms(30), update(1, 1, Op::Add(1)))]),
        ];
        let s = judge(bench, ms(1000));
        assert_eq!((s.writes, s.concurrent, s.conflicts), (3, 3, 0));
        // The second increment had seen the first one, so only one of the two was seen by nobody.
        assert_eq!((s.lost_effects, s.lost_updates), (lost, lost / 2));
    }
}

#[test]
fn sets_conflict_by_element() {
    let mut bench = bench(crdt(), 2, 100);
    bench.clients = vec![
        (
            SiteId(0),
            vec![
                (ms(10), update(2, 0, Op::Insert(1))),
                (ms(200), update(2, 0, Op::Remove(1))),
                (ms(500), update(2, 0, Op::Remove(7))),
            ],
        ),
        (
            SiteId(1),
            vec![
                (ms(20), update(2, 1, Op::Insert(1))),
                (ms(30), update(2, 1, Op::Insert(2))),
                (ms(210), update(2, 1, Op::Insert(1))),
                (ms(510), update(2, 1, Op::Remove(7))),
            ],
        ),
    ];
    let s = judge(bench, ms(2000));
    assert_eq!((s.writes, s.concurrent, s.conflicts, s.lost_effects), (7, 7, 2, 0));
}

#[test]
fn a_chain_over_messages_orders_writes() {
    let script = |tell: bool| {
        let mut bench = bench(LWW, 2, 100);
        let mut first = vec![(ms(10), update(0, 0, Op::Write(1)))];
        first.extend(tell.then_some((ms(11), Act::Tell(1))));
        bench.network.classes[1].by_kind = vec![Some(Law::Constant(5e6))];
        bench.clients = vec![
            (SiteId(0), first),
            (
                SiteId(1),
                vec![(ms(50), update(0, 1, Op::Write(2))), (ms(60), read(0, 1))],
            ),
        ];
        judge(bench, ms(1000))
    };
    let (told, untold) = (script(true), script(false));
    assert_eq!(
        (
            untold.concurrent,
            untold.conflicts,
            untold.overwritten_unseen,
            untold.lost_updates
        ),
        (2, 2, 1, 1)
    );
    assert_eq!(
        (
            told.concurrent,
            told.conflicts,
            told.overwritten_unseen,
            told.lost_updates
        ),
        (0, 0, 0, 0)
    );
}

#[test]
fn a_reply_that_arrives_before_what_it_answers_breaks_causality() {
    // Agent 0 writes the note at site 0; agent 1 reads it there and puts a tag at site 1, which is near site 2; the note is slow.
    for (model, writes_follow_reads) in models().map(|model| (model, 1)) {
        let mut bench = bench(model, 3, 10);
        bench.network.classes.push(link(300e6));
        bench.network.pairs.insert((0, 2), 2);
        bench.clients = vec![
            (SiteId(0), vec![(ms(10), update(0, 0, Op::Write(1)))]),
            (
                SiteId(0),
                vec![(ms(20), read(0, 0)), (ms(30), update(2, 1, Op::Insert(5)))],
            ),
            (
                SiteId(2),
                vec![
                    (ms(40), read(2, 2)),
                    (ms(100), read(2, 2)),
                    (ms(110), read(0, 2)),
                    (ms(400), read(0, 2)),
                ],
            ),
        ];
        let s = judge(bench, ms(1000));
        assert_eq!(
            (s.writes_follow_reads, s.monotonic_writes),
            (writes_follow_reads, 0),
            "{model:?}"
        );
        assert_eq!((s.causal_violations, s.stale_reads), (1, 1), "{model:?}");
    }
}

#[test]
fn sessions_that_move_between_replicas_go_backwards() {
    for model in models() {
        let mut bench = bench(model, 2, 0);
        bench.spec.replication.delay = Some(Law::Constant(500e6));
        bench.clients = vec![
            (
                SiteId(0),
                vec![
                    (ms(10), update(0, 0, Op::Write(1))),
                    (ms(20), read(0, 1)),
                    (ms(600), read(0, 1)),
                ],
            ),
            (
                SiteId(0),
                vec![(ms(30), read(0, 0)), (ms(40), read(0, 1)), (ms(50), read(0, 0))],
            ),
        ];
        let s = judge(bench, ms(2000));
        assert_eq!((s.reads, s.read_your_writes, s.monotonic_reads), (5, 1, 1), "{model:?}");
        assert_eq!((s.stale_reads, s.causal_violations), (2, 2));
    }
}

#[test]
fn writes_that_overtake_each_other_break_monotonic_writes() {
    for model in models() {
        let mut bench = bench(model, 2, 0);
        bench.network.classes[1].latency = Latency::Law(Law::Constant(10e6));
        bench.network.cuts.push(Cut {
            name: "hold".into(),
            from: Group::sites([SiteId(0)]),
            to: Group::sites([SiteId(1)]),
            both_ways: false,
            in_flight: InTransit::Lost,
            sent: InTransit::Held,
        });
        bench.faults.push((ms(5), ms(15), FaultAction::Cut(0)));
        bench.network.classes[1].by_kind = vec![None, None, None, None, None, Some(Law::Constant(30e6))];
        // The insert is held until 15 and arrives at 45; the write is made at the other replica.
        bench.clients = vec![(
            SiteId(0),
            vec![
                (ms(10), update(2, 0, Op::Insert(1))),
                (ms(16), update(0, 1, Op::Write(1))),
            ],
        )];
        let s = judge(bench, ms(2000));
        assert_eq!((s.monotonic_writes, s.writes_follow_reads), (1, 0), "{model:?}");
    }
}

#[test]
fn what_loses_and_what_converges_after_a_partition() {
    for (model, loses) in [(LWW, true), (crdt(), false)] {
        let mut bench = bench(model, 3, 40);
        for client in 0..3u32 {
            let ops = (0..100u64).map(|n| {
                let op = [Op::Add(1), Op::Insert(u64::from(client) * 1000 + n)][n as usize % 2];
                (
                    ms(100 * n + 13 * u64::from(client)),
                    update(1 + n as u32 % 2, client, op),
                )
            });
            bench.clients.push((SiteId(client), ops.collect()));
        }
        bench.network.cuts.push(Cut {
            name: "split".into(),
            from: Group::sites([SiteId(0)]),
            to: Group::sites([SiteId(1), SiteId(2)]),
            both_ways: true,
            in_flight: InTransit::Lost,
            sent: InTransit::Lost,
        });
        bench.faults.push((ms(2000), ms(6000), FaultAction::Cut(0)));
        bench.spec.anti_entropy = Some(AntiEntropy {
            every: SimDuration::from_millis(500),
            jitter: None,
            until: Some(ms(20_000)),
        });
        let s = judge(bench, ms(60_000));
        assert_eq!((s.writes, s.acknowledged, s.unavailable_updates), (300, 300, 0));
        assert_eq!(
            s.lost_effects > 0,
            loses,
            "{} lost under {}",
            s.lost_effects,
            model.name()
        );
        assert_eq!(s.lost_updates > 0, loses);
        let healed = s.measure("state.healed").unwrap();
        assert!(healed > 0.0 && healed < 4.0, "{healed}");
        assert!(s.measure("state.divergence.max").unwrap() > 4.0);
        assert_eq!(s.diverged_over_time.buckets.last().unwrap().0, 0);
        assert_eq!(
            s.diverged_over_time.buckets.iter().map(|(_, high)| *high).max(),
            Some(2)
        );
        assert!(s.metadata_bytes > 0);
    }
}

#[test]
fn a_crash_that_loses_the_state_loses_acknowledged_updates() {
    for model in models() {
        let mut bench = bench(model, 2, 40);
        bench.network.classes[1].loss = Loss::Independent(1.0);
        bench.clients.push((
            SiteId(0),
            vec![(ms(10), update(1, 0, Op::Add(1))), (ms(20), update(1, 0, Op::Add(1)))],
        ));
        bench.clients.push((SiteId(0), vec![(ms(600), read(1, 0))]));
        bench.faults.push((
            ms(100),
            ms(500),
            FaultAction::Crash {
                targets: vec![0],
                keep_state: false,
            },
        ));
        let s = judge(bench, ms(2000));
        assert_eq!((s.lost_updates, s.lost_effects, s.stale_reads), (1, 2, 1), "{model:?}");
        assert_eq!(s.stale_lag.kept, [2]);
        // From the first update to the crash; while the replica is down, the other is alone.
        assert_eq!(s.divergence[1], 90_000_000);
    }
}

#[test]
fn a_retry_without_an_identity_is_a_duplicate_effect() {
    for (idempotent, duplicates) in [(true, 0), (false, 2)] {
        let mut bench = bench(crdt(), 2, 40);
        (bench.idempotent, bench.attempts) = (idempotent, 3);
        bench
            .clients
            .push((SiteId(0), vec![(ms(10), update(1, 0, Op::Add(1)))]));
        let s = judge(bench, ms(2000));
        assert_eq!(
            (s.writes, s.acknowledged, s.duplicate_effects, s.concurrent),
            (1, 1, duplicates, 0)
        );
    }
}

#[test]
fn a_write_with_a_context_has_seen_what_it_read_and_no_more() {
    for (thinks, overwritten) in [(true, 1), (false, 0)] {
        let mut bench = bench(LWW, 1, 0);
        let last = if thinks {
            aware(0, 0, Op::Write(2))
        } else {
            update(0, 0, Op::Write(2))
        };
        bench.clients = vec![
            (SiteId(0), vec![(ms(10), read(0, 0)), (ms(50), last)]),
            (SiteId(0), vec![(ms(30), update(0, 0, Op::Write(1)))]),
        ];
        let s = judge(bench, ms(1000));
        assert_eq!(
            (s.overwritten_unseen, s.conflicts, s.lost_updates),
            (overwritten, 2 * overwritten, overwritten)
        );
    }
}

#[test]
fn failed_operations_and_the_warm_up() {
    use crate::kernel::Ticket;
    use crate::world::record::{Records, What};
    let bench = bench(LWW, 2, 10);
    let watched = Watched {
        from: ms(100),
        ..watched(&bench)
    };
    let judge = Arc::new(Mutex::new(SharedStateJudge::new(&watched)));
    let mut records = Records::new(vec![Box::new(judge.clone())]);
    let mut say = |at, what, identity: u64, update| {
        let words = if what == What::CallStarted {
            [identity, 1, 0]
        } else {
            [identity, 0, update]
        };
        records.push(
            ms(at),
            Ticket {
                rank: 1,
                number: at as u32,
            },
            what,
            300,
            words,
            &[],
        );
    };
    // Begun in the warm-up, and failed after it; then a read and two updates.
    for (identity, began, failed, update) in [(0, 50, 150, 1), (1, 200, 300, 0), (2, 400, 500, 1), (3, 600, 700, 1)] {
        let identity = 300 << 32 | identity;
        say(began, What::CallStarted, identity, 0);
        say(failed, What::OperationFailed, identity, update);
    }
    records.flush();
    let s = judge.lock().unwrap().results(ms(1000));
    assert_eq!((s.unavailable_reads, s.unavailable_updates), (1, 2));
    assert_eq!(s.measure("state.unavailable.share"), Some(1.0));

    let mut bench = super::tests::bench(LWW, 2, 100);
    bench.clients.push((
        SiteId(0),
        vec![
            (ms(10), update(0, 0, Op::Write(1))),
            (ms(200), update(0, 0, Op::Write(2))),
        ],
    ));
    bench
        .clients
        .push((SiteId(1), vec![(ms(20), read(0, 1)), (ms(250), read(0, 1))]));
    let watched = Watched {
        from: ms(100),
        ..super::tests::watched(&bench)
    };
    let judge = Arc::new(Mutex::new(SharedStateJudge::new(&watched)));
    bench.run(ms(1000), vec![Box::new(judge.clone())]);
    let s = judge.lock().unwrap().results(ms(1000));
    assert_eq!((s.writes, s.acknowledged, s.reads, s.stale_reads), (1, 1, 1, 1));
}

#[test]
fn keys_of_several_stores_are_kept_apart() {
    use super::ledger::Ledger;
    let store = |replicas: Vec<u32>, keys: usize| WatchedStore {
        replicas,
        keys: vec![(KeyType::Counter, crate::state::Keeping::All); keys],
        ..WatchedStore::default()
    };
    let stores = vec![store(vec![0, 1], 3), store(vec![256, 257, 258], 2)];
    let ledger = Ledger::new(&Watched {
        stores,
        ..Watched::default()
    });
    let key = |store, key| ledger.key(crate::stores::words::store_key(store, key));
    assert_eq!([key(0, 0), key(0, 2), key(1, 0), key(1, 1)], [0, 2, 3, 4]);
    assert_eq!(
        [1, 2, 256, 258, 999].map(|id| ledger.replica(id)),
        [Some(1), None, Some(2), Some(4), None]
    );
    assert_eq!(*ledger.keys[4].replicas, [2, 3, 4]);
    assert_eq!(
        (0..5).map(|key| ledger.store_of(key)).collect::<Vec<_>>(),
        [0, 0, 0, 1, 1]
    );
}

#[test]
fn the_dictionary_names_every_measure_once() {
    let mut names: Vec<&str> = MEASURES.iter().map(|measure| measure.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), MEASURES.len());
    assert!(
        MEASURES
            .iter()
            .all(|measure| measure.name.starts_with("state.") && measure.doc.ends_with('.'))
    );
    let s = judge(bench(LWW, 2, 10), ms(10));
    assert_eq!(s.measures().len(), MEASURES.len());
    assert_eq!(
        (s.measure("state.writes"), s.measure("state.stale_reads.share")),
        (Some(0.0), None)
    );
    let _: Log = Log::default();
}

#[test]
fn what_is_lost_stays_lost_however_often_the_key_is_written_again() {
    // Two clients that know nothing of each other; the second replica's write outranks the first one's when they meet.
    let crossing = |later: bool| {
        let mut second = vec![(ms(50), update(0, 1, Op::Write(2)))];
        second.extend(later.then_some((ms(900), update(0, 1, Op::Write(3)))));
        let mut bench = bench(LWW, 2, 100);
        bench.clients = vec![
            (SiteId(0), vec![(ms(10), update(0, 0, Op::Write(1)))]),
            (SiteId(1), second),
        ];
        judge(bench, ms(3000))
    };
    for later in [false, true] {
        let s = crossing(later);
        assert_eq!((s.lost_updates, s.lost_effects), (1, 1), "{later}");
    }
    // A clock that is five seconds behind: nothing that its client writes is ever held. Of values only the last one is missed by
    // anybody, since its client has replaced the others itself; of increments each one.
    for (op, key, effects) in [(Op::Write(7), 0, 1), (Op::Add(1), 1, 4)] {
        let mut bench = bench(LWW, 2, 10);
        bench.spec.replicas[1].clock = Clock::new(-5_000_000_000, 0).unwrap();
        let every = |first: u64, replica| {
            (0..4)
                .map(move |n| (ms(first + 200 * n), update(key, replica, op)))
                .collect()
        };
        bench.clients = vec![(SiteId(0), every(6000, 0)), (SiteId(1), every(6100, 1))];
        let s = judge(bench, ms(9000));
        assert_eq!(
            (s.overwritten_unseen, s.lost_updates, s.lost_effects),
            (4, 1, effects),
            "{op:?}"
        );
    }
}
