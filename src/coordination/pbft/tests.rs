//! What PBFT promises, over random faults; what it costs when nothing goes wrong; and planted flaws that break the promises.

mod chaos;
mod judge;
mod scripts;

use super::super::bench::{Bench, calm};
use super::*;
use chaos::{Chaos, run};
use proptest::prelude::*;
use std::collections::BTreeMap;

const MS: u64 = 1_000_000;

/// Rules with timeouts that suit the weather of tests.
fn rules(faulty: u32) -> Rules {
    Rules {
        in_flight: 8,
        checkpoint_every: 4,
        window: 12,
        view_timeout: 200 * MS as i64,
        client_timeout: 150 * MS as i64,
        status_every: 50 * MS as i64,
        delay: 160 * MS as i64,
        ..Rules::new(faulty)
    }
}

fn bench(seed: u64, rules: &Rules, desks: u32) -> Bench<Node> {
    let members = rules.replicas + desks;
    Bench::new(seed, rules.clone(), members, calm(MS), |rules, number, _| {
        Node::new(rules, number)
    })
}

const ALL: [Behaviour; 5] = [
    Behaviour::Silent,
    Behaviour::Equivocate,
    Behaviour::Delay,
    Behaviour::Forge,
    Behaviour::Collude,
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn promises_hold_whatever_happens_to_messages_and_members(
        seed: u64,
        faulty in 1u32..=2,
        spare in 0u32..=2,
        batch in prop::sample::select(vec![1u32, 3]),
        loss in 0.0f64..0.15,
        doubled in 0.0f64..0.1,
        behaviours in prop::collection::vec(prop::sample::select(ALL.to_vec()), 0..=2),
        costs: bool,
    ) {
        let costs = if costs { 20_000 } else { 0 };
        let rules = Rules {
            replicas: 3 * faulty + 1 + spare,
            batch,
            sign: 5 * costs,
            verify: costs,
            execute: costs,
            ..rules(faulty)
        };
        let chaos = Chaos { loss, doubled, ..Chaos::default() };
        let ran = run(seed, rules, &behaviours, chaos, true);
        prop_assert!(ran.is_ok(), "{}", ran.err().unwrap_or_default());
    }
}

#[test]
fn one_kind_of_fault_at_a_time_and_none() {
    let mut seen = BTreeMap::new();
    for seed in 0..600u64 {
        let behaviours: &[Behaviour] = match seed % 5 {
            4 => &[],
            kind => &[ALL[kind as usize]],
        };
        match run(seed, rules(1), behaviours, Chaos::default(), true) {
            Ok(events) => events
                .into_iter()
                .for_each(|(event, count)| *seen.entry(event).or_insert(0) += count),
            Err(why) => panic!("seed {seed}: {why}"),
        }
    }
    // What the promises are worth: all of this has happened, often.
    let often = [
        event::STANDS,
        notes::ENTERED,
        notes::STABLE,
        notes::INSTALLED,
        notes::REJECTED,
    ];
    assert!(often.iter().all(|event| seen.get(event) > Some(&500)), "{seen:?}");
}

/// A planted flaw breaks a promise in one of many runs, and without it none is broken in as many.
fn finds(flaw: Flaw, behaviours: &[Behaviour], chaos: Chaos, what: &str) {
    let run = |flaw, seed| {
        let rules = Rules {
            flaw,
            batch: 2,
            ..rules(1)
        };
        run(seed, rules, behaviours, chaos, false).err()
    };
    let mut whys = Vec::new();
    let found = (0..400).find(|seed| {
        whys.extend(run(flaw, *seed));
        whys.last().is_some_and(|why| why.contains(what))
    });
    assert!(
        found.is_some(),
        "{} runs were broken, none by {what}: {:?}",
        whys.len(),
        whys.first()
    );
    assert!((0..found.unwrap_or(0).max(20)).all(|seed| run(Flaw::None, seed).is_none()));
}

#[test]
fn a_quorum_of_one_more_than_may_be_faulty_is_found() {
    finds(
        Flaw::SmallQuorum,
        &[Behaviour::Equivocate],
        Chaos::default(),
        "disagree",
    );
}

#[test]
fn a_view_change_that_forgets_what_was_prepared_is_found() {
    finds(Flaw::ForgetsPrepared, &[], Chaos::default(), "disagree");
}

#[test]
fn executing_without_commits_is_found() {
    finds(
        Flaw::ExecutesPrepared,
        &[Behaviour::Equivocate],
        Chaos::default(),
        "disagree",
    );
}

#[test]
fn seals_that_nobody_verifies_are_found() {
    finds(
        Flaw::TrustsEverybody,
        &[Behaviour::Forge],
        Chaos::default(),
        "nobody asked",
    );
}

#[test]
fn requests_that_take_effect_again_are_found() {
    finds(Flaw::ForgetsServed, &[], Chaos::default(), "twice");
}

#[test]
fn a_client_that_takes_the_first_reply_is_found() {
    finds(Flaw::TakesFirstReply, &[Behaviour::Forge], Chaos::default(), "is told");
}

/// No replica breaks the protocol, and yet whoever believes `f + 1` that say the same is deceived.
#[test]
fn one_colluder_of_four_is_not_believed_and_two_are() {
    for seed in 0..20 {
        let told = |colluders: &[u32]| {
            let byzantine = colluders.iter().map(|who| (*who, Behaviour::Collude)).collect();
            let rules = Rules { byzantine, ..rules(1) };
            run(seed, rules, &[], Chaos::default(), true).err()
        };
        assert_eq!(told(&[1]), None);
        let deceived = told(&[0, 1]);
        assert!(
            deceived.as_ref().is_some_and(|said| said.contains("is told")),
            "{deceived:?}"
        );
    }
}

#[test]
fn a_vote_given_twice_is_found() {
    finds(Flaw::VotesTwice, &[Behaviour::Equivocate], Chaos::default(), "disagree");
}

#[test]
fn a_new_view_that_nobody_checks_is_found() {
    finds(Flaw::TrustsNewViews, &[Behaviour::Forge], Chaos::default(), "disagree");
}

#[test]
fn executing_across_gaps_is_found() {
    finds(Flaw::SkipsGaps, &[], Chaos::default(), "");
}
