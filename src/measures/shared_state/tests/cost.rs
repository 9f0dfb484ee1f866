//! What judging costs, in things looked at: as much for the last operation as for the first.

use super::{LWW, SharedStateJudge, crdt, link, models, read, update, watched};
use crate::kernel::SimDuration;
use crate::measures::shared_state::SharedState;
use crate::network::{NetworkSpec, SiteId};
use crate::state::{KeyType, Op};
use crate::stores::testing::{Bench, ms};
use crate::stores::{Model, StoreSpec};
use std::sync::{Arc, Mutex};

/// Replicas, each with a client whose keys nobody else updates, and everybody reads.
const REPLICAS: u32 = 8;
const KEYS: u32 = 4 * REPLICAS;

/// So many operations of each client, one in five an update; in batches, and 40 ms between replicas.
fn looked_at(model: Model, kind: KeyType, count: u64) -> (u64, SharedState) {
    let names: Vec<String> = (0..KEYS).map(|key| format!("k{key:02}")).collect();
    let keys = names.iter().map(|name| (name.as_str(), kind));
    let spec = StoreSpec::new(keys, (0..REPLICAS).map(SiteId));
    let sites = (0..REPLICAS).map(|site| format!("site{site}"));
    let mut bench = Bench::new(model, spec, NetworkSpec::uniform(sites, link(40e6)));
    bench.spec.replication.batch = Some(SimDuration::from_millis(700));
    let op = |n: u64| match kind {
        KeyType::Counter => Op::Add(1),
        KeyType::Set => Op::Insert(n % 16),
        _ => Op::Write(n),
    };
    for client in 0..REPLICAS {
        let act = |n: u64| match n % 5 {
            0 => update(client + REPLICAS * (n / 5 % 4) as u32, client, op(n)),
            _ => read((n * 7 + u64::from(client)) as u32 % KEYS, client),
        };
        let script = (0..count).map(|n| (ms(10 + 100 * n + u64::from(client)), act(n)));
        bench.clients.push((SiteId(client), script.collect()));
    }
    let until = ms(100 * count + 5000);
    let mut watched = watched(&bench);
    watched.stores.iter_mut().for_each(|store| store.blind = true);
    let mut judge = SharedStateJudge::new(&watched);
    judge.ledger.forgotten.at_least(64);
    let judge = Arc::new(Mutex::new(judge));
    bench.run(until, vec![Box::new(judge.clone())]);
    let mut judge = judge.lock().unwrap();
    let results = judge.results(until);
    assert_eq!(results.conflicts, 0, "{model:?}");
    (judge.ledger.steps(), results)
}

#[test]
fn judging_costs_the_same_for_every_operation_where_nothing_conflicts() {
    for (model, kind) in [
        (LWW, KeyType::Register),
        (LWW, KeyType::Counter),
        (crdt(), KeyType::Counter),
        (crdt(), KeyType::Register),
        (crdt(), KeyType::Set),
        (models()[1], KeyType::Register),
        (models()[2], KeyType::Register),
    ] {
        let (few, s) = looked_at(model, kind, 200);
        let (many, _) = looked_at(model, kind, 1600);
        assert!(
            s.reads > 1000 && s.stale_reads > 0,
            "{model:?}: there is something to judge"
        );
        // The first operations find little to look at, so the later ones cost a little more than those.
        assert!(
            few > 0 && many as f64 <= 8.0 * 1.1 * few as f64,
            "{model:?} of {kind:?}: {few} for one part, {many} for eight"
        );
    }
}
