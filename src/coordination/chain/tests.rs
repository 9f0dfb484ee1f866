//! Chains under faults, forks and attacks, held against closed forms.

use super::super::bench::{Bench, Weather, calm};
use super::*;
use crate::coordination::member::{Member, Note};
use crate::random::math;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const SECOND: u64 = 1_000_000_000;

fn bench(seed: u64, rules: &Rules, weather: Weather) -> Bench<Node> {
    Bench::new(seed, rules.clone(), rules.nodes(), weather, |_, number, _| {
        Node::new(number)
    })
}

fn noted(bench: &Bench<Node>, event: u16) -> impl Iterator<Item = &(u64, u32, Note)> {
    bench.notes.iter().filter(move |(_, _, note)| note.event == event)
}

#[test]
fn a_request_is_answered_after_its_confirmations() {
    let rules = Rules {
        confirmations: 3,
        ..Rules::new(4)
    };
    let mut bench = bench(1, &rules, calm(SECOND / 10));
    bench.ask(2, 7, 70);
    bench.run_until(20_000 * SECOND);
    assert_eq!(bench.answers.len(), 1);
    assert_eq!(bench.answers[0].2.value, 70);
    // The node that was asked had its chain three blocks high just then.
    let at = bench.answers[0].0;
    let heights = noted(&bench, notes::ADOPTED).filter(|(time, who, _)| *who == 2 && *time <= at);
    assert_eq!(heights.map(|(.., note)| note.about).max(), Some(3));
    assert_eq!(noted(&bench, event::DECIDED).count(), 4, "every node");
}

#[test]
fn blocks_are_found_at_their_rate_and_in_their_shares() {
    let rules = Rules {
        shares: vec![0.5, 0.3, 0.2, 0.0],
        ..Rules::new(4)
    };
    let mut bench = bench(2, &rules, calm(1));
    let blocks = 20_000.0;
    bench.run_until(20_000 * 600 * SECOND);
    let found = noted(&bench, notes::FOUND).count() as f64;
    // A Poisson count: four standard deviations.
    assert!((found - blocks).abs() < 4.0 * blocks.sqrt(), "{found}");
    for (node, share) in rules.shares.iter().enumerate() {
        let own = noted(&bench, notes::FOUND)
            .filter(|(_, who, _)| *who as usize == node)
            .count() as f64;
        let mean = blocks * share;
        assert!((own - mean).abs() <= 4.0 * mean.sqrt(), "{node}: {own}");
    }
}

/// The share of heights at which more than one block was found.
fn forks(seed: u64, rules: &Rules, delay: u64, heights: u64) -> (f64, f64) {
    let mut bench = bench(seed, rules, calm(delay));
    bench.run_until(heights * rules.interval as u64);
    let mut found: BTreeMap<u64, u64> = BTreeMap::new();
    noted(&bench, notes::FOUND).for_each(|(.., note)| *found.entry(note.about).or_default() += 1);
    let forked = found.values().filter(|count| **count > 1).count() as f64;
    (forked / found.len() as f64, found.len() as f64)
}

#[test]
fn forks_are_as_frequent_as_delays_make_them() {
    for (nodes, percent) in [(5, 2), (5, 5), (10, 3)] {
        let rules = Rules::new(nodes);
        let delay = rules.interval as u64 * percent / 100;
        let (rate, heights) = forks(3, &rules, delay, 12_000);
        // Whoever else works on the same height has not heard of the first block for one delay.
        let others = 1.0 - 1.0 / f64::from(nodes);
        let share = others * percent as f64 / 100.0;
        let expected = -math::exp_m1(-share);
        let error = (expected * (1.0 - expected) / heights).sqrt();
        // Miners who are a block behind at that moment aren't in the formula: a share of `share` of the cases.
        assert!(
            (rate - expected).abs() < 4.0 * error + expected * share,
            "{nodes}, {percent}: {rate} {expected}"
        );
    }
}

/// The probability that a double spend works: see `attack`.
fn double_spend(q: f64, k: u64) -> f64 {
    let (p, mut fails) = (1.0 - q, 0.0);
    // C(m + k - 1, m) p^k q^m, from one m to the next.
    let mut found = (0..k).fold(1.0, |product, _| product * p);
    for m in 0..=k {
        let behind = (0..k - m + 1).fold(1.0, |product, _| product * q / p);
        fails += found * (1.0 - behind);
        found *= q * (m + k) as f64 / (m + 1) as f64;
    }
    1.0 - fails
}

#[test]
fn double_spends_work_as_often_as_they_should() {
    for (q, k) in [(0.3, 1), (0.3, 3), (0.2, 2), (0.4, 4)] {
        let rules = Rules {
            shares: vec![q, (1.0 - q) / 2.0, (1.0 - q) / 2.0],
            confirmations: k,
            attack: Some(Attack { by: 0, gives_up: 40 }),
            ..Rules::new(3)
        };
        let trials = 1_500u64;
        let worked = (0..trials).filter(|seed| {
            let mut bench = bench(*seed, &rules, calm(1));
            bench.ask(1, 1, 1);
            let over = |bench: &Bench<Node>| {
                [notes::PUBLISHED, notes::GAVE_UP]
                    .iter()
                    .any(|event| noted(bench, *event).next().is_some())
            };
            while !over(&bench) {
                let next = bench.now + 20 * rules.interval as u64;
                bench.run_until(next);
            }
            let worked = noted(&bench, notes::PUBLISHED).next().is_some();
            // Whoever was convinced is undeceived, and the request can't come back.
            let undone: BTreeSet<u32> = noted(&bench, notes::UNDONE).map(|(_, who, _)| *who).collect();
            assert_eq!(undone.contains(&1), worked);
            assert!(!worked || bench.seats.iter().all(|seat| seat.member.ledger().is_empty()));
            worked
        });
        let (rate, expected) = (worked.count() as f64 / trials as f64, double_spend(q, k));
        let error = (expected * (1.0 - expected) / trials as f64).sqrt();
        assert!(
            (rate - expected).abs() < 4.0 * error,
            "q = {q}, k = {k}: {rate} {expected}"
        );
    }
}

#[test]
fn the_closed_form_is_that_of_the_papers() {
    // With a block mined beforehand, so one less to catch up, it is Rosenfeld's: 20 %, 5.6 % and 0.059 % in his table for a tenth of the work.
    let rosenfeld = |q: f64, n: u64| {
        let p = 1.0 - q;
        let (mut found, mut fails) = ((0..n).fold(1.0, |product, _| product * p), 0.0);
        for m in 0..=n {
            let behind = (0..n - m).fold(1.0, |product, _| product * q / p);
            fails += found * (1.0 - behind);
            found *= q * (m + n) as f64 / (m + 1) as f64;
        }
        1.0 - fails
    };
    for (n, known, precision) in [(1, 0.2, 1e-9), (2, 0.056, 1e-9), (6, 0.00059, 5e-6)] {
        assert!((rosenfeld(0.1, n) - known).abs() < precision, "{n}");
    }
    assert!(double_spend(0.1, 6) < rosenfeld(0.1, 6));
    // Without a wait the attacker only has to be one ahead.
    assert!((double_spend(0.3, 0) - 0.3 / 0.7).abs() < 1e-12);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nodes_agree_once_healed_and_nothing_is_in_a_chain_twice(
        seed: u64,
        nodes in 2u32..8,
        peers in prop::option::of(2u32..4),
        announces: bool,
        loss in 0.0f64..0.3,
        doubled in 0.0f64..0.2,
    ) {
        let rules = Rules { peers, announces, confirmations: 2, block: 3, ..Rules::new(nodes) };
        let weather = Weather { least: SECOND / 10, most: 30 * SECOND, loss, doubled };
        let mut bench = bench(seed, &rules, weather);
        let mut random = crate::kernel::Key::root(seed, 3).stream(crate::kernel::Purpose(3), 0);
        for step in 1..=60u64 {
            let member = random.below(u64::from(nodes)) as u32;
            match random.below(12) {
                0 => bench.crash(member, random.chance(0.7)),
                1 | 2 => (0..nodes).for_each(|member| bench.restart(member)),
                3 => {
                    let key = random.next_u64();
                    bench.cut(|member| (key >> member & 1) as u32);
                }
                4 | 5 => bench.heal(),
                _ => drop(bench.ask(member, step, step)),
            }
            bench.run_until(step * 300 * SECOND);
        }
        bench.heal();
        bench.weather = calm(SECOND / 10);
        (0..nodes).for_each(|member| bench.restart(member));
        // Blocks that come bring those before them; a tie lasts until somebody is ahead.
        let agree = |bench: &Bench<Node>| {
            let ledger = bench.seats[0].member.ledger();
            bench.seats.iter().all(|seat| seat.member.ledger() == ledger)
        };
        for _ in 0..200 {
            let next = bench.now + 300 * SECOND;
            bench.run_until(next);
            if bench.seats.iter().all(|seat| seat.member.is_at_rest()) && agree(&bench) {
                break;
            }
        }
        prop_assert!(agree(&bench));
        prop_assert!(bench.seats.iter().all(|seat| seat.member.is_at_rest()), "all are answered");
        let ledger = bench.seats[0].member.ledger();
        let once: BTreeSet<u64> = ledger.iter().copied().collect();
        prop_assert_eq!(once.len(), ledger.len());
    }
}
