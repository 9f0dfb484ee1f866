//! A judge that forgets what is over finds what one finds that forgets nothing, and keeps no more than what is live.

use super::{LWW, SharedState, SharedStateJudge, Watched, crdt, link, read, update, watched};
use crate::kernel::SimDuration;
use crate::network::{Cut, Group, InTransit, NetworkSpec, SiteId};
use crate::random::Law;
use crate::state::{Clock, KeyType, Op};
use crate::stores::testing::{Act, Bench, FaultAction, ms};
use crate::stores::{Model, StoreSpec};
use proptest::prelude::*;
use std::sync::{Arc, Mutex};

/// Three replicas of keys of one kind.
fn simple(model: Model, kind: KeyType, keys: u32, replicas: u32) -> Bench {
    let names: Vec<String> = (0..keys).map(|key| format!("k{key}")).collect();
    let spec = StoreSpec::new(
        names.iter().map(|name| (name.as_str(), kind)),
        (0..replicas).map(SiteId),
    );
    let sites = (0..replicas).map(|site| format!("site{site}"));
    Bench::new(model, spec, NetworkSpec::uniform(sites, link(40e6)))
}

/// Nobody says what he had read.
fn blind(bench: &Bench) -> Watched {
    let mut watched = watched(bench);
    watched.stores.iter_mut().for_each(|store| store.blind = true);
    watched
}

/// What a judge finds that forgets nothing, and one that forgets at once; and how many updates that remembers in the end.
fn both(bench: Bench) -> [(SharedState, Vec<String>, usize); 2] {
    let watched = blind(&bench);
    let judges = [false, true].map(|forgets| {
        let mut judge = SharedStateJudge::new(&watched);
        assert!(judge.ledger.forgotten.allowed);
        judge.ledger.forgotten.allowed = forgets;
        judge.ledger.forgotten.at_least(0);
        Arc::new(Mutex::new(judge))
    });
    bench.run(
        ms(60_000),
        vec![Box::new(judges[0].clone()), Box::new(judges[1].clone())],
    );
    judges.map(|judge| {
        let mut judge = judge.lock().unwrap();
        let results = judge.results(ms(60_000));
        (results, judge.breaches().to_vec(), judge.ledger.writes.len())
    })
}

fn op_of(kind: KeyType, value: u64) -> Op {
    match kind {
        KeyType::Counter => Op::Add(3 - (value % 7) as i64),
        _ => Op::Write(value),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn what_is_found_is_the_same(
        scripts in prop::collection::vec(
            prop::collection::vec((0u64..500, 0u32..2, 0u32..3, any::<bool>(), 0u64..100), 0..40),
            3,
        ),
        slow in 0u64..1500,
        batches in any::<bool>(),
        behind in prop::sample::select(vec![0i64, -300_000_000, 60_000_000]),
        cut in any::<bool>(),
    ) {
        for (model, kind) in [(LWW, KeyType::Register), (crdt(), KeyType::Counter)] {
            let mut bench = simple(model, kind, 2, 3);
            bench.spec.replication.delay = Some(Law::Uniform { low: 0.0, high: slow as f64 * 1e6 });
            bench.spec.replication.batch = batches.then(|| SimDuration::from_millis(700));
            bench.spec.replicas[2].clock = Clock::new(behind, 0).unwrap();
            if cut {
                let held = if batches { InTransit::Held } else { InTransit::Lost };
                bench.network.cuts.push(Cut {
                    name: "cut".into(),
                    from: Group::sites([SiteId(0), SiteId(2)]),
                    to: Group::sites([SiteId(1)]),
                    both_ways: true,
                    in_flight: held,
                    sent: held,
                });
                bench.faults.push((ms(2_000), ms(5_000), FaultAction::Cut(0)));
            }
            for (client, script) in (0u32..).zip(&scripts) {
                let mut at = 10 + u64::from(client);
                let acts = script.iter().map(|(gap, key, replica, updates, value)| {
                    at += gap;
                    let act = match updates {
                        true => update(*key, *replica, op_of(kind, *value)),
                        false => read(*key, *replica),
                    };
                    (ms(at), act)
                });
                let acts: Vec<(crate::kernel::SimTime, Act)> = acts.collect();
                bench.clients.push((SiteId(client), acts));
            }
            let [(all, breaches, _), (some, other_breaches, _)] = both(bench);
            prop_assert_eq!(some, all, "{:?}", model);
            prop_assert_eq!((&breaches, &other_breaches), (&Vec::new(), &Vec::new()));
        }
    }
}

#[test]
fn what_is_remembered_is_what_is_live() {
    for (model, kind) in [(LWW, KeyType::Register), (crdt(), KeyType::Counter)] {
        let remembered = [100u64, 800].map(|count| {
            let mut bench = simple(model, kind, 6, 3);
            for client in 0..3 {
                let act = |n: u64| match n % 2 {
                    0 => update((n / 2 % 6) as u32, client, op_of(kind, n)),
                    _ => read((n * 5 % 6) as u32, client),
                };
                let acts = (0..count).map(|n| (ms(10 + 60 * n + u64::from(client)), act(n)));
                bench.clients.push((SiteId(client), acts.collect()));
            }
            let [(s, _, all), (_, _, live)] = both(bench);
            assert_eq!(
                (s.writes as usize, all),
                (3 * count as usize / 2, 3 * count as usize / 2)
            );
            live
        });
        // A register's update that is held is live, and so are the latest of all, which nobody has heard of after the last look.
        assert!(remembered.iter().all(|live| *live <= 24), "{model:?}: {remembered:?}");
    }
}
