//! The count of votes, against a brute force over all that the missing ballots could say.

use super::*;
use crate::coordination::member::Wishes;
use crate::kernel::Key;
use proptest::prelude::*;

fn rules(rule: Rule, voters: Vec<Voter>, quorum: u32) -> Rules {
    Rules {
        voters,
        topic: 0,
        rule,
        quorum,
        timeout: 1_000,
        verify: 0,
        flaw: Flaw::None,
    }
}

/// What comes of a vote whose ballots come in this order; `None`: it isn't over. And how many were needed.
fn count(rules: &Rules, ballots: &[(usize, u64)]) -> (Option<u64>, usize) {
    let (mut teller, mut wishes) = (Teller::default(), Wishes::default());
    let key = Key::root(1, 0);
    let asked = Asked {
        token: 9,
        identity: 77,
        value: 1,
        bytes: 0,
    };
    teller.on(rules, Input::Asked(asked), &mut Io::new(0, 0, key, &mut wishes));
    let tokens: Vec<u64> = wishes.engaged.iter().map(|engagement| engagement.token).collect();
    for (used, (place, answer)) in ballots.iter().enumerate() {
        let input = Input::Engaged {
            token: tokens[*place],
            answer: *answer,
        };
        teller.on(rules, input, &mut Io::new(0, 1, key, &mut wishes));
        if let Some(answer) = wishes.answers.first() {
            let note = wishes.notes.iter().find(|note| note.event == event::DECIDED).unwrap();
            assert_eq!(answer.value, note.extra[0] & 1);
            return (Some(note.extra[0]), used + 1);
        }
    }
    (None, ballots.len())
}

/// The result when all ballots are in, by the words of the reference.
fn tally(rules: &Rules, ballots: &[u64]) -> u64 {
    let sum = |of: u64| -> u64 {
        let cast = rules.voters.iter().zip(ballots).filter(|(_, ballot)| **ballot == of);
        cast.map(|(voter, _)| voter.weight).sum()
    };
    let (yes, no) = (sum(1), sum(0));
    let vetoed = rules
        .voters
        .iter()
        .zip(ballots)
        .any(|(voter, ballot)| voter.vetoes && *ballot == 0);
    let approved = match rules.rule {
        Rule::Majority => yes > no,
        Rule::Share(share) => yes > 0 && yes as f64 >= share * (yes + no) as f64,
        Rule::AtLeast(weight) => yes >= weight,
        Rule::Unanimous => no == 0 && yes > 0,
    };
    u64::from(approved && !vetoed)
}

fn any_rule() -> impl Strategy<Value = Rule> {
    prop_oneof![
        Just(Rule::Majority),
        (0.1f64..1.0).prop_map(Rule::Share),
        (1u64..6).prop_map(Rule::AtLeast),
        Just(Rule::Unanimous),
    ]
}

proptest! {
    #[test]
    fn a_vote_is_over_exactly_when_nothing_can_change_its_result(
        rule in any_rule(),
        voters in prop::collection::vec((1u64..4, prop::bool::weighted(0.2)), 1..6),
        ballots in prop::collection::vec(0u64..3, 6),
        quorum in 0u32..4,
    ) {
        let voters: Vec<Voter> = voters
            .into_iter()
            .map(|(weight, vetoes)| Voter { agent: 0, weight, vetoes })
            .collect();
        let quorum = quorum.min(voters.len() as u32);
        let rules = rules(rule, voters, quorum);
        let ballots = &ballots[..rules.voters.len()];
        let order: Vec<(usize, u64)> = ballots.iter().copied().enumerate().collect();
        let (result, used) = count(&rules, &order);
        prop_assert_eq!(result, Some(tally(&rules, ballots)));
        // All ways in which the rest could have voted come to the same, and one ballot less would have left it open.
        let all_ways = |known: usize| -> std::collections::BTreeSet<u64> {
            let rest = rules.voters.len() - known;
            (0..3usize.pow(rest as u32)).map(|way| {
                let mut all = ballots[..known].to_vec();
                all.extend((0..rest).map(|place| (way / 3usize.pow(place as u32) % 3) as u64));
                tally(&rules, &all)
            }).collect()
        };
        prop_assert_eq!(all_ways(used).len(), 1);
        let vetoed = rules.voters[used - 1].vetoes && ballots[used - 1] == 0;
        if used > 1 && used > rules.quorum as usize && !vetoed {
            prop_assert!(all_ways(used - 1).len() > 1, "it was clear a ballot earlier");
        }
    }
}

#[test]
fn planted_mistakes_change_results() {
    let voter = Voter {
        agent: 0,
        weight: 1,
        vetoes: false,
    };
    let mut rules = rules(Rule::Majority, vec![voter; 4], 0);
    let even = [(0, 1), (1, 0), (2, 1), (3, 0)];
    assert_eq!(count(&rules, &even).0, Some(result::NO));
    rules.flaw = Flaw::HalfIsEnough;
    assert_eq!(count(&rules, &even).0, Some(result::YES));
    rules.flaw = Flaw::None;
    let twice = [(0, 1), (0, 1), (0, 1), (1, 0), (2, 0)];
    assert_eq!(count(&rules, &twice).0, Some(result::NO));
    rules.flaw = Flaw::CountsTwice;
    assert_eq!(count(&rules, &twice).0, Some(result::YES));
}

#[test]
fn a_vote_without_a_quorum_is_undecided_when_its_time_is_over() {
    let voter = Voter {
        agent: 0,
        weight: 1,
        vetoes: false,
    };
    let rules = rules(Rule::Majority, vec![voter; 5], 3);
    let (mut teller, mut wishes, key) = (Teller::default(), Wishes::default(), Key::root(1, 0));
    let asked = Asked {
        token: 1,
        identity: 2,
        value: 1,
        bytes: 0,
    };
    teller.on(&rules, Input::Asked(asked), &mut Io::new(0, 0, key, &mut wishes));
    let token = wishes.engaged[0].token;
    teller.on(
        &rules,
        Input::Engaged { token, answer: 1 },
        &mut Io::new(0, 10, key, &mut wishes),
    );
    assert!(wishes.answers.is_empty());
    assert_eq!(teller.due(10), 1_000);
    teller.on(&rules, Input::Due, &mut Io::new(0, 1_000, key, &mut wishes));
    assert_eq!(wishes.notes[0].extra[0], result::UNDECIDED);
    assert_eq!(wishes.answers[0].value, 0);
    assert_eq!(wishes.dismissed.len(), 4);
}
