//! Gossip on the bench: against exact chains, against the cycle model of the paper, and under faults.

mod faults;
mod reference;

use super::*;
use crate::coordination::bench::{Bench, Weather, calm};
use crate::coordination::member::Note;

const SECOND: u64 = 1_000_000_000;
const MS: u64 = 1_000_000;

/// One item at member 0, at the beginning.
const FIRST: Planted = Planted {
    origin: 0,
    number: 1,
    at: 0,
    value: 7,
    bytes: 100,
};

fn rumours(members: u32, exchange: Exchange, feedback: bool, rule: Rule) -> Rules {
    Rules {
        exchange,
        spread: Spread::Rumours(Stopping { feedback, rule }),
        ..Rules::new(members).plant(vec![FIRST])
    }
}

fn bench(seed: u64, rules: Rules, weather: Weather) -> Bench<Gossiper> {
    let count = rules.members;
    Bench::new(seed, rules, count, weather, |_, _, _| Gossiper::new())
}

/// What became of one item.
#[derive(Debug, Clone, Copy, Default)]
struct Came {
    /// The share of members that never heard.
    residue: f64,
    /// How often a member told of it, on average.
    traffic: f64,
    /// The round in which the last member heard.
    last: f64,
}

fn came(notes: &[(u64, u32, Note)], members: u32) -> Came {
    let of = |event| notes.iter().filter(move |(_, _, note)| note.event == event);
    let has = of(note::LEARNT).count() + of(note::BEGUN).count();
    Came {
        residue: 1.0 - has as f64 / f64::from(members),
        traffic: of(note::PASSED).count() as f64 / f64::from(members),
        last: of(note::LEARNT).map(|(_, _, note)| note.word >> 32).max().unwrap_or(0) as f64,
    }
}

fn run(seed: u64, rules: &Rules, weather: Weather, rounds: u64) -> Came {
    let mut bench = bench(seed, rules.clone(), weather);
    for round in 1..=rounds {
        bench.run_until((round + 1) * SECOND - 1);
        if rules.stopping().is_some() && bench.seats.iter().all(|seat| seat.member.rumours() == 0) {
            break;
        }
    }
    came(&bench.notes, rules.members)
}

/// Mean and standard error.
fn mean(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let values: Vec<f64> = values.collect();
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let variance = values.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / (count - 1.0);
    (mean, (variance / count).sqrt())
}

#[test]
fn a_simple_epidemic_takes_as_many_rounds_as_the_exact_chain_says() {
    let rows = [
        (Exchange::Push, reference::Chain::Push),
        (Exchange::Pull, reference::Chain::Pull),
        (Exchange::PushPull, reference::Chain::PushPull),
    ];
    for members in [2, 3, 20] {
        for (exchange, chain) in rows {
            for loss in [0.0, 0.2] {
                // A pull takes two messages.
                let exact = reference::rounds(chain, members, 1.0 - loss, (1.0 - loss) * (1.0 - loss));
                let rules = Rules {
                    exchange,
                    ..Rules::new(members).plant(vec![FIRST])
                };
                let weather = Weather { loss, ..calm(0) };
                let runs = (1..=200).map(|seed| run(seed, &rules, weather, 80));
                let runs: Vec<Came> = runs.collect();
                assert!(runs.iter().all(|came| came.residue == 0.0));
                let (found, error) = mean(runs.iter().map(|came| came.last));
                let within = 4.0 * error + 1e-9;
                assert!(
                    (found - exact).abs() <= within,
                    "{exchange:?} among {members} with loss {loss}: {found} +- {error}, exactly {exact}"
                );
            }
        }
    }
}

#[test]
fn the_chains_agree_with_those_that_others_have_computed() {
    // Karp et al. (FOCS 2000) and Pittel (1987) give the asymptotics; these are exact.
    let known = [
        (reference::Chain::Push, 64, 11.158_119),
        (reference::Chain::Pull, 64, 8.963_724_8),
        (reference::Chain::PushPull, 64, 5.988_758_3),
    ];
    for (chain, members, expected) in known {
        let rounds = reference::rounds(chain, members, 1.0, 1.0);
        assert!((rounds - expected).abs() < 1e-5, "{chain:?}: {rounds}");
    }
}

#[test]
fn it_makes_no_difference_in_which_order_the_messages_of_a_round_come() {
    let rules = Rules::new(64).plant(vec![FIRST]);
    let weather = Weather {
        most: 400 * MS,
        ..calm(0)
    };
    let exact = reference::rounds(reference::Chain::PushPull, 64, 1.0, 1.0);
    let (found, error) = mean((1..=400).map(|seed| run(seed, &rules, weather, 40).last));
    assert!(
        (found - exact).abs() <= 4.0 * error,
        "{found} +- {error}, exactly {exact}"
    );
}

#[test]
fn rumours_die_as_in_the_cycle_model_under_every_stopping_rule() {
    let members = 60;
    for exchange in [Exchange::Push, Exchange::Pull, Exchange::PushPull] {
        for feedback in [false, true] {
            for rule in [Rule::Coin(1), Rule::Coin(3), Rule::Counter(2)] {
                let rules = rumours(members, exchange, feedback, rule);
                let model = (1..=600).map(|seed| reference::rumour(seed, members, exchange, feedback, rule));
                let model: Vec<Came> = model.collect();
                let ours: Vec<Came> = (1..=80).map(|seed| run(seed, &rules, calm(0), 200)).collect();
                type Read = fn(&Came) -> f64;
                let reads: [(&str, Read); 3] = [
                    ("residue", |came| came.residue),
                    ("traffic", |came| came.traffic),
                    ("last round", |came| came.last),
                ];
                for (name, read) in reads {
                    let ((found, a), (wanted, b)) = (mean(ours.iter().map(read)), mean(model.iter().map(read)));
                    // 54 comparisons are made: five standard errors of their difference.
                    let within = 5.0 * (a * a + b * b).sqrt() + 1e-12;
                    assert!(
                        (found - wanted).abs() <= within,
                        "{exchange:?}, feedback {feedback}, {rule:?}: {name} is {found}, in the model {wanted} +- {within}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_member_is_small() {
    assert!(size_of::<Gossiper>() <= 96, "{}", size_of::<Gossiper>());
    assert!(size_of::<Talk>() <= 72, "{}", size_of::<Talk>());
}

#[test]
fn views_are_random_graphs_whose_links_go_both_ways() {
    let root = crate::kernel::Key::root(3, 0);
    let views = Views::random(500, 3, |member| root.member(member.into()));
    let mut links = 0;
    for member in 0..500 {
        let known = views.of(member);
        assert!(known.len() >= 3 && !known.contains(&member) && known.is_sorted_by(|a, b| a < b));
        assert!(known.iter().all(|peer| views.of(*peer).contains(&member)));
        links += known.len();
    }
    assert!((2900..=3000).contains(&links), "{links}");
    assert_eq!(views.unreachable_from(0), 0);
    let all = Views::random(5, 9, |member| root.member(member.into()));
    assert_eq!(all.of(2), [0, 1, 3, 4]);
}
