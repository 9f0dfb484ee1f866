//! Order, reordering and bandwidth.

use super::*;
use proptest::prelude::*;

#[test]
fn independent_delays_overtake_and_fifo_doesn_t() {
    let deliveries = |fifo| {
        let mut world = World::new(build(three_sites(LinkSpec {
            fifo,
            ..link(Law::Exponential { mean: 1000.0 })
        })));
        (0..500).for_each(|k| world.send(message(0, 1, k, t(k * 10))));
        world.run();
        world.arrivals().iter().map(|(number, _)| *number).collect::<Vec<_>>()
    };
    assert!(!deliveries(Fifo::No).is_sorted());
    assert!(deliveries(Fifo::PerLink).is_sorted());
    assert!(deliveries(Fifo::PerPair).is_sorted());
}

#[test]
fn order_per_pair_lets_other_pairs_pass() {
    let by_kind = vec![None, Some(Law::Constant(500.0))];
    let spec = |fifo| {
        three_sites(LinkSpec {
            fifo,
            by_kind: by_kind.clone(),
            ..link(Law::Constant(10.0))
        })
    };
    for (fifo, expected) in [(Fifo::PerPair, [500, 11, 502]), (Fifo::PerLink, [500, 500, 502])] {
        let mut network = build(spec(fifo));
        let slow = |number, now| Outgoing {
            kind: 1,
            ..message(0, 1, number, t(now))
        };
        let found = [
            due(network.route(&slow(0, 0))),
            due(network.route(&Outgoing {
                pair: 77,
                ..message(0, 1, 1, t(1))
            })),
            due(network.route(&slow(2, 2))),
        ];
        assert_eq!(found, expected.map(t), "{fifo:?}");
    }
}

#[test]
fn pairs_that_are_past_take_no_memory() {
    let mut network = build(three_sites(LinkSpec {
        fifo: Fifo::PerPair,
        ..link(Law::Constant(50.0))
    }));
    for k in 0..100_000 {
        network.route(&Outgoing {
            pair: k,
            ..message(0, 1, k, t(k))
        });
    }
    let floors = serde_json::to_value(&network).unwrap()["floors"]["places"]
        .as_array()
        .unwrap()
        .len();
    assert!(floors <= 256, "{floors} places for 50 pairs under way");
}

#[test]
fn reordering_delays_its_share_by_its_law() {
    let reordering = Some(Reordering {
        chance: 0.25,
        extra: Law::Constant(1000.0),
    });
    let mut network = build(three_sites(LinkSpec {
        reordering,
        ..link(Law::Constant(5.0))
    }));
    let late = (0..40_000)
        .filter(|&k| due(network.route(&message(0, 1, k, t(0)))) == t(1005))
        .count();
    assert!((late as f64 - 10_000.0).abs() < 4.0 * 86.6, "{late}");
    let early = (0..40_000)
        .filter(|&k| due(network.route(&message(0, 1, k, t(0)))) == t(5))
        .count();
    assert_eq!(early + late, 40_000);
}

fn narrow(queue: Option<u64>) -> NetworkSpec {
    // 1000 bytes a second: 100 bytes take 100 ms.
    let mut spec = three_sites(LinkSpec {
        bandwidth: Some(Bandwidth { rate: 1000.0, queue }),
        ..link(Law::Constant(5e6))
    });
    spec.degradations = vec![Degradation {
        name: "half".into(),
        from: Group::All,
        to: Group::All,
        both_ways: false,
        latency_factor: 1.0,
        latency_added: SimDuration::ZERO,
        loss: 0.0,
        bandwidth_factor: 0.5,
    }];
    spec
}

const fn ms(ms: u64) -> SimTime {
    t(ms * 1_000_000)
}

#[test]
fn a_narrow_link_sends_one_after_the_other() {
    let mut network = build(narrow(None));
    let mut at = |to, number, now, bytes| {
        due(network.route(&Outgoing {
            bytes,
            ..message(0, to, number, ms(now))
        }))
    };
    assert_eq!(at(1, 0, 0, 100), ms(105));
    assert_eq!(at(1, 1, 0, 50), ms(155), "behind the first");
    assert_eq!(at(1, 2, 40, 200), ms(355), "behind both");
    assert_eq!(at(2, 3, 40, 10), ms(55), "another link");
    assert_eq!(
        at(1, 4, 350, 0),
        ms(355),
        "nothing to transmit, and the transmitter is just free"
    );
    assert_eq!(at(1, 5, 900, 100), ms(1005), "idle again");
    network.degrade(0);
    assert_eq!(
        due(network.route(&message(0, 1, 6, ms(950)))),
        ms(1205),
        "after the one before, at half the rate"
    );
}

#[test]
fn a_full_queue_drops_the_last() {
    let mut network = build(narrow(Some(250)));
    let big = Outgoing {
        bytes: 1000,
        ..message(0, 2, 0, ms(0))
    };
    assert_eq!(due(network.route(&big)), ms(1005), "an idle transmitter takes anything");
    let verdicts: Vec<bool> = (0..4)
        .map(|k| {
            matches!(
                network.route(&message(0, 1, k, ms(0))),
                Verdict::Lost(LossCause::Overflow)
            )
        })
        .collect();
    assert_eq!(verdicts, [false, false, true, true]);
    // 50 ms later 150 bytes are left, and 100 more fit.
    assert_eq!(due(network.route(&message(0, 1, 4, ms(50)))), ms(305));
    assert_eq!(network.counters().lost_to(LossCause::Overflow), 2);
    assert!(network.counters().balances());
}

#[test]
fn lost_messages_use_the_link_too() {
    let mut spec = narrow(None);
    spec.classes[1].loss = Loss::Independent(0.5);
    let mut network = build(spec);
    let last = (0..100).filter_map(|k| match network.route(&message(0, 1, k, ms(0))) {
        Verdict::At(leg) => Some((k, leg.at)),
        _ => None,
    });
    for (k, at) in last.collect::<Vec<_>>() {
        assert_eq!(at, ms(100 * (k + 1) + 5));
    }
}

proptest! {
    // A fixed seed: a test that fails once in a hundred runs helps nobody. Change it, and raise the cases, to search.
    #![proptest_config(ProptestConfig {
        cases: 200,
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn fifo_never_overtakes(
        per_pair: bool,
        copies in 0.0f64..0.5,
        sends in prop::collection::vec((0u64..200, 0u32..3, 0u32..3, 0u64..3, 0u8..2), 1..150),
    ) {
        let fifo = if per_pair { Fifo::PerPair } else { Fifo::PerLink };
        let class = LinkSpec {
            fifo,
            duplication: copies,
            by_kind: vec![None, Some(Law::Pareto { scale: 10.0, shape: 0.7 })],
            ..link(Law::Exponential { mean: 300.0 })
        };
        let mut spec = NetworkSpec::uniform(["a", "b", "c"], class);
        spec.local = 1;
        let mut network = build(spec);
        let mut latest = std::collections::BTreeMap::new();
        let mut now = 0;
        for (number, (gap, from, to, agent, kind)) in sends.into_iter().enumerate() {
            now += gap;
            let m = message(from, to, number as u64, t(now));
            let m = Outgoing { kind, pair: m.pair << 2 | agent, ..m };
            let line = if per_pair { m.pair } else { u64::from(from << 2 | to) };
            let (first, last) = match network.route(&m) {
                Verdict::At(leg) => (leg.at, leg.at),
                Verdict::Twice(a, b) => (a.at.min(b.at), a.at.max(b.at)),
                other => panic!("{other:?}"),
            };
            let before = latest.insert(line, last).unwrap_or(SimTime::ZERO);
            prop_assert!(first >= before, "message {number} is due at {first}, one before it at {before}");
        }
    }
}
