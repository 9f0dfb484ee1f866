//! The same measures from an explicit graph: every event of an agent and every acceptance is a node, causes are edges, and a
//! past is whatever a search from a node reaches. Slow, and independent of clocks, frontiers and pruning.

use super::{Act, Bench, SharedStateJudge, bench, models, ms, watched};
use crate::kernel::SimTime;
use crate::network::{Loss, SiteId};
use crate::random::Law;
use crate::state::{Dot, Keeping, Op, Versions};
use crate::stores::words::{of_op_words, of_range_words, of_store_key, of_version_words};
use crate::stores::{AntiEntropy, Model};
use crate::world::record::{Batch, Mask, Observer, Record, What};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// Keeps every record.
#[derive(Default)]
struct Tape(Vec<(Record, Vec<u64>)>);

impl Observer for Tape {
    fn wants(&self) -> Mask {
        Mask::ALL
    }

    fn batch(&mut self, batch: Batch<'_>) {
        self.0.extend(
            batch
                .records
                .iter()
                .map(|record| (*record, batch.extra(record).to_vec())),
        );
    }
}

#[derive(Debug, Clone)]
struct Version {
    identity: u64,
    key: u32,
    dot: Dot,
    stamp: i64,
    op: Op,
    started: usize,
    accepted: usize,
}

/// What both sides count.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    concurrent: usize,
    conflicts: usize,
    overwritten_unseen: usize,
    lost_updates: usize,
    stale: Vec<(u64, u64)>,
    causal_violations: usize,
    read_your_writes: usize,
    divergence: Vec<u64>,
}

#[derive(Default)]
struct Graph {
    causes: Vec<Vec<usize>>,
}

impl Graph {
    fn node(&mut self, causes: Vec<usize>) -> usize {
        self.causes.push(causes);
        self.causes.len() - 1
    }

    fn past(&self, node: usize) -> BTreeSet<usize> {
        let (mut past, mut todo) = (BTreeSet::new(), vec![node]);
        while let Some(node) = todo.pop() {
            if past.insert(node) {
                todo.extend(&self.causes[node]);
            }
        }
        past
    }
}

fn conflict(a: Op, b: Op) -> bool {
    match (a, b) {
        (Op::Write(_), Op::Write(_)) => true,
        (Op::Insert(a), Op::Remove(b)) | (Op::Remove(b), Op::Insert(a)) => a == b,
        _ => false,
    }
}

fn by_search(model: &Model, kinds: &[crate::state::KeyType], replicas: u32, tape: &[(Record, Vec<u64>)]) -> Counts {
    let mut graph = Graph::default();
    // The latest nodes of each agent.
    let mut latest: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    let mut started: BTreeMap<u64, usize> = BTreeMap::new();
    let mut began: BTreeMap<u64, usize> = BTreeMap::new();
    let mut sent: BTreeMap<u64, Vec<usize>> = BTreeMap::new();
    let mut versions: Vec<Version> = Vec::new();
    let mut heard: BTreeMap<(u32, u32), BTreeSet<usize>> = BTreeMap::new();
    let mut held: BTreeMap<(u32, u32), BTreeSet<usize>> = BTreeMap::new();
    let mut bases: Vec<(usize, usize)> = Vec::new();
    let mut acked: BTreeMap<usize, (usize, SimTime)> = BTreeMap::new();
    let mut served: BTreeMap<u64, (Vec<usize>, Option<(u64, u64)>, bool, bool)> = BTreeMap::new();
    let mut overwritten = BTreeSet::new();
    let mut winners: BTreeSet<(usize, usize)> = BTreeSet::new();
    let mut shown: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    let mut spans: Vec<(SimTime, Vec<bool>)> = Vec::new();
    let mut counts = Counts::default();
    for (place, (record, extra)) in tape.iter().enumerate() {
        let key = of_store_key(record.a).1;
        let find = |versions: &[Version], key, bits| {
            versions
                .iter()
                .position(|version| version.key == key && version.dot == Dot::from_bits(bits))
        };
        let keeping = |key: u32| model.keeping(kinds[key as usize]);
        match record.what {
            What::CallStarted => {
                let node = graph.node(latest.get(&record.subject).cloned().unwrap_or_default());
                latest.insert(record.subject, vec![node]);
                started.insert(record.a, node);
                began.insert(record.a, place);
            }
            What::Sent if record.a & 0xff <= 2 => {
                sent.insert(record.c, latest.get(&record.subject).cloned().unwrap_or_default());
            }
            What::Delivered if record.a & 0xff <= 2 => {
                let mut causes = latest.get(&record.subject).cloned().unwrap_or_default();
                causes.extend(&sent[&record.c]);
                let node = graph.node(causes);
                latest.insert(record.subject, vec![node]);
            }
            What::Accepted => {
                let key = of_store_key(record.b).1;
                let agent = extra[1] as u32;
                let mut causes = vec![started[&record.a]];
                if extra[1] >> 32 & 1 == 1 {
                    let before = heard.get(&(record.subject, key));
                    causes.extend(before.into_iter().flatten().map(|version| versions[*version].accepted));
                }
                let accepted = graph.node(causes);
                latest.entry(agent).or_default().push(accepted);
                versions.push(Version {
                    identity: record.a,
                    key,
                    dot: Dot::from_bits(record.c),
                    stamp: extra[2] as i64,
                    op: of_op_words([extra[3], extra[4]]),
                    started: started[&record.a],
                    accepted,
                });
            }
            What::Applied => {
                for dot in of_range_words(record.b, record.c).dots() {
                    if let Some(version) = find(&versions, key, dot.bits()) {
                        heard.entry((record.subject, key)).or_default().insert(version);
                        held.entry((record.subject, key)).or_default().insert(version);
                    }
                }
            }
            What::Outranked => {
                let loser = find(&versions, key, record.b).expect("a loser was accepted");
                heard.entry((record.subject, key)).or_default().insert(loser);
                held.entry((record.subject, key)).or_default().remove(&loser);
                winners.extend(find(&versions, key, record.c).map(|winner| (loser, winner)));
                if let Some(winner) = find(&versions, key, record.c)
                    && !graph.past(versions[winner].accepted).contains(&versions[loser].started)
                {
                    overwritten.insert(loser);
                }
            }
            What::BuiltOn => bases.push((
                find(&versions, key, record.b).expect("it was accepted"),
                find(&versions, key, record.c).expect("it was accepted"),
            )),
            What::ReadServed => {
                let key = of_store_key(record.b).1;
                let seen: Vec<usize> = match of_version_words(&extra[2..]) {
                    Versions::Heads(heads) => heads
                        .iter()
                        .filter_map(|dot| find(&versions, key, dot.bits()))
                        .collect(),
                    Versions::Effects(set) => set.dots().filter_map(|dot| find(&versions, key, dot.bits())).collect(),
                };
                let heard = heard.get(&(record.subject, key)).cloned().unwrap_or_default();
                let top = heard
                    .iter()
                    .map(|version| (versions[*version].stamp, versions[*version].dot))
                    .max();
                let mine = graph.past(started[&record.a]);
                let (mut stale, mut causal, mut own) = (None::<(u64, u64)>, false, false);
                for (place, version) in versions.iter().enumerate().filter(|(_, version)| version.key == key) {
                    let superseded = || {
                        let held = held.get(&(record.subject, key)).cloned().unwrap_or_default();
                        let mut above = BTreeSet::from([place]);
                        for _ in 0..versions.len() {
                            above.extend(
                                winners
                                    .iter()
                                    .filter(|(loser, _)| above.contains(loser))
                                    .map(|(_, winner)| *winner)
                                    .collect::<Vec<_>>(),
                            );
                        }
                        !above.is_disjoint(&heard)
                            || held
                                .iter()
                                .any(|h| graph.past(versions[*h].accepted).contains(&version.started))
                    };
                    let lacks = !heard.contains(&place)
                        && match keeping(key) {
                            Keeping::Ranked => top.is_none_or(|top| (version.stamp, version.dot) > top),
                            Keeping::Causal => !superseded(),
                            Keeping::All => true,
                        };
                    if !lacks {
                        continue;
                    }
                    let mut answered = false;
                    if let Some((at, time)) = acked.get(&place).filter(|(at, _)| *at < began[&record.a]) {
                        let _ = at;
                        let age = (record.time - *time).as_nanos();
                        stale = Some(stale.map_or((age, 1), |(oldest, lag)| (oldest.max(age), lag + 1)));
                        answered = true;
                    }
                    let is_own = version.identity >> 32 == record.a >> 32;
                    own |= is_own && answered;
                    causal |= mine.contains(&version.started) && (answered || !is_own);
                }
                served.insert(record.a, (seen, stale, causal, own));
            }
            What::OperationAcknowledged => {
                if record.c & 1 == 1 {
                    let version = versions.iter().position(|version| version.identity == record.a);
                    acked.insert(version.expect("it was accepted"), (place, record.time));
                } else {
                    let (seen, stale, causal, own) = served.remove(&record.a).expect("it was served");
                    let mut causes = latest.get(&record.subject).cloned().unwrap_or_default();
                    causes.extend(seen.iter().map(|version| versions[*version].accepted));
                    let node = graph.node(causes);
                    latest.insert(record.subject, vec![node]);
                    counts.stale.extend(stale);
                    counts.causal_violations += usize::from(causal);
                    counts.read_your_writes += usize::from(own);
                }
            }
            What::Visible => {
                shown.insert((record.subject, key), record.b);
                let differs = |key: u32| {
                    let empty = kinds[key as usize].empty().digest();
                    let of = |replica| shown.get(&(replica, key)).copied().unwrap_or(empty);
                    (1..replicas).any(|replica| of(replica) != of(0))
                };
                spans.push((record.time, (0..kinds.len() as u32).map(differs).collect()));
            }
            _ => {}
        }
    }
    counts.divergence = vec![0; kinds.len()];
    let end = ms(100_000);
    for (place, (from, differ)) in spans.iter().enumerate() {
        let to = spans.get(place + 1).map_or(end, |(to, _)| *to);
        for (sum, _) in counts
            .divergence
            .iter_mut()
            .zip(differ)
            .filter(|(_, differs)| **differs)
        {
            *sum += (to - *from).as_nanos();
        }
    }
    let pasts: Vec<BTreeSet<usize>> = versions.iter().map(|version| graph.past(version.accepted)).collect();
    let concurrent = |a: usize, b: usize| {
        versions[a].key == versions[b].key
            && versions[a].identity >> 32 != versions[b].identity >> 32
            && !pasts[a].contains(&versions[b].started)
            && !pasts[b].contains(&versions[a].started)
    };
    let mut contained: BTreeSet<usize> = BTreeSet::new();
    for ((_, key), heard) in &heard {
        if model.keeping(kinds[*key as usize]) == Keeping::All {
            contained.extend(heard);
        }
    }
    let mut todo: Vec<usize> = held.values().flatten().copied().collect();
    while let Some(version) = todo.pop() {
        if contained.insert(version) {
            todo.extend(bases.iter().filter(|(it, _)| *it == version).map(|(_, base)| base));
        }
    }
    let all = 0..versions.len();
    for a in all.clone() {
        counts.concurrent += usize::from(all.clone().any(|b| concurrent(a, b)));
        counts.conflicts += usize::from(
            all.clone()
                .any(|b| concurrent(a, b) && conflict(versions[a].op, versions[b].op)),
        );
        let seen = all
            .clone()
            .any(|b| a != b && versions[a].key == versions[b].key && pasts[b].contains(&versions[a].started));
        counts.lost_updates += usize::from(acked.contains_key(&a) && !contained.contains(&a) && !seen);
    }
    counts.overwritten_unseen = overwritten.len();
    counts.stale.sort_unstable();
    counts
}

fn by_judge(judge: &mut SharedStateJudge) -> Counts {
    let s = judge.results(ms(100_000));
    let mut stale: Vec<_> = s
        .stale_age
        .kept
        .iter()
        .copied()
        .zip(s.stale_lag.kept.iter().copied())
        .collect();
    stale.sort_unstable();
    Counts {
        concurrent: s.concurrent as usize,
        conflicts: s.conflicts as usize,
        overwritten_unseen: s.overwritten_unseen as usize,
        lost_updates: s.lost_updates as usize,
        stale,
        causal_violations: s.causal_violations as usize,
        read_your_writes: s.read_your_writes as usize,
        divergence: s.divergence,
    }
}

/// What a client does next, and how long after its last act.
fn act() -> impl Strategy<Value = (u64, Act)> {
    let op = |key: u32, value: u64| match key {
        0 => Op::Write(value),
        1 => Op::Add(value as i64),
        _ if value < 2 => Op::Insert(value % 2),
        _ => Op::Remove(value % 2),
    };
    let act = prop_oneof![
        3 => (0u32..3, 0u32..3, 0u64..4, any::<bool>())
            .prop_map(move |(key, replica, value, aware)| Act::Update { key, replica, op: op(key, value), aware }),
        3 => (0u32..3, 0u32..3).prop_map(|(key, replica)| Act::Read { key, replica }),
        1 => (0u32..3).prop_map(Act::Tell),
    ];
    // An operation takes at most 2 x 40 ms, so that an agent waits for its answer.
    (81u64..300, act)
}

fn history() -> impl Strategy<Value = Vec<Vec<(u64, Act)>>> {
    prop::collection::vec(prop::collection::vec(act(), 0..12), 3)
}

fn prepared(model: Model, scripts: &[Vec<(u64, Act)>], slow: u64, loss: f64, entropy: bool) -> Bench {
    let mut bench = bench(model, 3, 40);
    bench.spec.replication.delay = Some(Law::Uniform {
        low: 0.0,
        high: slow as f64 * 1e6,
    });
    // Only what goes between replicas is lost.
    bench.network.classes[1].loss = Loss::Independent(0.0);
    bench.spec.replicas[2].clock = crate::state::Clock::new(60_000_000, 0).unwrap();
    if entropy {
        bench.spec.anti_entropy = Some(AntiEntropy {
            every: crate::kernel::SimDuration::from_millis(300),
            jitter: None,
            until: Some(ms(6_000)),
        });
    }
    if loss > 0.0 {
        bench.spec.replication.batch = Some(crate::kernel::SimDuration::from_millis(150));
    }
    for (client, script) in scripts.iter().enumerate() {
        let mut at = 10 + client as u64;
        let times = script.iter().map(|(gap, act)| {
            at += gap;
            (ms(at), *act)
        });
        bench.clients.push((SiteId(client as u32), times.collect()));
    }
    bench
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, ..ProptestConfig::default() })]

    #[test]
    fn the_judge_agrees_with_a_search_of_the_graph_of_causes(
        scripts in history(),
        slow in 0u64..1500,
        batches in any::<bool>(),
        entropy in any::<bool>(),
    ) {
        for model in models() {
            let bench = prepared(model, &scripts, slow, f64::from(u8::from(batches)), entropy);
            let kinds: Vec<_> = bench.spec.keys.iter().map(|(_, key)| *key).collect();
            let judge = Arc::new(Mutex::new(SharedStateJudge::new(&watched(&bench))));
            let tape = Arc::new(Mutex::new(Tape::default()));
            bench.run(ms(100_000), vec![Box::new(judge.clone()), Box::new(tape.clone())]);
            let expected = by_search(&model, &kinds, 3, &tape.lock().unwrap().0);
            let mut judge = judge.lock().unwrap();
            prop_assert_eq!(by_judge(&mut judge), expected, "{:?}", model);
            prop_assert_eq!(judge.breaches(), &[] as &[String]);
        }
    }
}
