//! The order of entries, and the ranks of their origins.

use super::*;
use proptest::prelude::*;

fn keys(seed: u64, count: u64) -> Vec<Key> {
    (0..count).map(|n| Key::root(seed, 0).member(n)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig {
        rng_seed: proptest::test_runner::RngSeed::Fixed(1),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_order_is_that_of_time_step_origin_number(a in any::<(u64, u16, u32, u32)>(), b in any::<(u64, u16, u32, u32)>(), same in 0usize..4) {
        let mut b = b;
        // Equal up to a field, so that each of them gets to decide.
        if same > 0 { b.0 = a.0; }
        if same > 1 { b.1 = a.1; }
        if same > 2 { b.2 = a.2; }
        let entry = |(time, step, origin, number)| Entry {
            time: SimTime::from_nanos(time), body: (), origin, number, target: !number, step, kind: number as u16,
        };
        prop_assert_eq!(entry(a).order(&entry(b)), a.cmp(&b));
    }

    #[test]
    fn ranks_are_a_permutation_that_newcomers_leave_in_order(seed in any::<u64>(), count in 1u64..300, newcomer in any::<u64>()) {
        let (few, shuffle) = (keys(seed, count), Key::root(seed, 1));
        let ranks = permute_ranks(&few, shuffle);
        let mut sorted = ranks.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, (0..count as u32).collect::<Vec<_>>());
        // One more key, anywhere among them.
        let at = (newcomer % (count + 1)) as usize;
        let mut more = few.clone();
        more.insert(at, Key::root(seed, 2).member(newcomer));
        let mut others = permute_ranks(&more, shuffle);
        let rank = others.remove(at);
        others.iter_mut().for_each(|other| *other -= u32::from(*other > rank));
        prop_assert_eq!(ranks, others);
    }
}

#[test]
fn ranks_depend_on_the_shuffle_and_favour_nobody() {
    let all = keys(1, 100);
    let (rounds, mut first) = (2_000, vec![0u32; 100]);
    let mut sums = vec![0u64; 100];
    for round in 0..rounds {
        let ranks = permute_ranks(&all, Key::root(round, 0));
        sums.iter_mut()
            .zip(&ranks)
            .for_each(|(sum, rank)| *sum += u64::from(*rank));
        first[ranks.iter().position(|rank| *rank == 0).unwrap()] += 1;
    }
    // A mean rank of 49.5 with a standard error of 28.9 / sqrt(2000) = 0.65; 20 wins with a standard deviation of 4.5.
    assert!(
        sums.iter()
            .all(|sum| (*sum as f64 / rounds as f64 - 49.5).abs() < 4.0 * 0.65)
    );
    assert!(first.iter().all(|wins| (3..45).contains(wins)), "{first:?}");
    assert_ne!(
        permute_ranks(&all, Key::root(1, 0)),
        permute_ranks(&all, Key::root(2, 0))
    );
}

#[test]
fn an_origin_counts_its_tickets() {
    let mut origin = Origin::new(9);
    assert_eq!(origin.take(), Ticket { rank: 9, number: 0 });
    assert_eq!(origin.take(), Ticket { rank: 9, number: 1 });
    assert_eq!((origin.rank(), origin.scheduled()), (9, 2));
}

#[test]
#[should_panic(expected = "one origin schedules fewer than 2^32 entries")]
fn an_origin_never_gives_a_number_twice() {
    let mut origin = Origin {
        rank: 0,
        next: u32::MAX - 1,
    };
    origin.take();
    origin.take();
}

#[test]
fn an_entry_without_payload_is_24_bytes() {
    assert_eq!(size_of::<Entry<()>>(), 24);
    assert_eq!(size_of::<Entry<u64>>(), 32);
}
