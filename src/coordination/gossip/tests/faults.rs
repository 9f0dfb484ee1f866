//! Gossip on thousands of seeds with loss, doubled and late messages, cuts and crashes.

use super::*;
use crate::kernel::{Key, Purpose, Stream};
use std::collections::{BTreeMap, BTreeSet};

/// What may be wrong with a run, from what its members were seen to do alone.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fault {
    /// A member's agent was told of something more often than the member can have learnt it.
    ToldAgain { member: u32 },
    /// A member has learnt something that never came into the world, or that it had.
    Unfounded { member: u32, id: u64 },
    /// A member tells of something that it hasn't.
    Invented { member: u32, id: u64 },
}

/// Checks the notes of a run in which each member was emptied at the times listed.
fn faults(bench: &Bench<Gossiper>, emptied: &[(u64, u32)]) -> Vec<Fault> {
    let mut found = Vec::new();
    let mut has: BTreeSet<(u32, u64)> = BTreeSet::new();
    let mut begun: BTreeSet<u64> = BTreeSet::new();
    let mut learnt: BTreeMap<u32, usize> = BTreeMap::new();
    let mut emptied = emptied.iter().peekable();
    for (at, member, note) in &bench.notes {
        while let Some((_, gone)) = emptied.next_if(|(when, _)| when <= at) {
            has.retain(|(member, _)| member != gone);
        }
        let (member, id) = (*member, note.about);
        match note.event {
            note::BEGUN => {
                *learnt.entry(member).or_default() += 1;
                begun.insert(id);
                has.insert((member, id));
            }
            note::LEARNT => {
                *learnt.entry(member).or_default() += 1;
                if !begun.contains(&id) || !has.insert((member, id)) {
                    found.push(Fault::Unfounded { member, id });
                }
            }
            note::PASSED if !has.contains(&(member, id)) => found.push(Fault::Invented { member, id }),
            _ => {}
        }
    }
    for member in 0..bench.seats.len() as u32 {
        let told = bench.told.iter().filter(|(_, to, _)| *to == member).count();
        if told > learnt.get(&member).copied().unwrap_or(0) {
            found.push(Fault::ToldAgain { member });
        }
    }
    found
}

/// Rules that leave nothing to be desired, drawn at random.
fn any_rules(random: &mut Stream) -> Rules {
    let members = 2 + random.below(12) as u32;
    let exchange = [Exchange::Push, Exchange::Pull, Exchange::PushPull][random.below(3) as usize];
    let rule = match random.below(2) {
        0 => Rule::Coin(1 + random.below(4) as u32),
        _ => Rule::Counter(1 + random.below(4) as u32),
    };
    let feedback = random.chance(0.5);
    let (spread, anti_entropy) = match random.below(3) {
        0 => (Spread::Nothing, Some(2 * SECOND)),
        1 => (Spread::Rumours(Stopping { feedback, rule }), Some(3 * SECOND)),
        _ => (Spread::Everything, None),
    };
    let pace = match random.below(2) {
        0 => Pace::Together { every: SECOND },
        _ => Pace::Apart {
            every: SECOND,
            jitter: random.unit(),
        },
    };
    let root = Key::root(random.next_u64(), 0);
    // Two links for each make a graph that may fall apart, if only rarely; three among these few never do.
    let views = random
        .chance(0.3)
        .then(|| Views::random(members, 3, |member| root.member(member.into())));
    let planted = (0..1 + random.below(5)).map(|number| Planted {
        origin: random.below(members.into()) as u32,
        number: number as u32,
        at: random.below(8 * SECOND) as i64,
        value: number,
        bytes: 10,
    });
    let planted = planted.collect();
    Rules {
        exchange,
        spread,
        pace,
        fan_out: 1 + random.below(3) as u32,
        anti_entropy,
        views,
        ..Rules::new(members).plant(planted)
    }
}

/// Twenty seconds of trouble, after which all is well.
fn trouble(bench: &mut Bench<Gossiper>, random: &mut Stream) {
    let count = bench.seats.len() as u64;
    for step in 1..=40 {
        bench.run_until(step * SECOND / 2);
        let who = random.below(count) as u32;
        match random.below(8) {
            0 => bench.cut(|member| member % 2),
            1 => bench.heal(),
            // What an origin forgets before it has told anybody is lost for good: only disks that last are tried here.
            2 => bench.crash(who, true),
            3 => bench.restart(who),
            4 => bench.seats[who as usize].skew += random.below(SECOND) as i64 - SECOND as i64 / 2,
            _ => {}
        }
    }
    bench.heal();
    (0..count as u32).for_each(|member| bench.restart(member));
    bench.weather = Weather {
        loss: 0.0,
        doubled: 0.0,
        ..bench.weather
    };
}

#[test]
fn everything_is_everywhere_once_the_network_is_whole_and_nothing_is_told_twice() {
    let mut disturbed = 0;
    for seed in 1..=1500 {
        let mut random = Key::root(seed, 5).stream(Purpose(1), 0);
        let rules = any_rules(&mut random);
        let items = rules.planted.clone();
        let weather = Weather {
            least: 0,
            most: random.below(1500) * MS,
            loss: 0.5 * random.unit(),
            doubled: 0.3 * random.unit(),
        };
        let mut bench = bench(seed, rules, weather);
        trouble(&mut bench, &mut random);
        bench.run_until(80 * SECOND);
        disturbed += u64::from(bench.notes.iter().any(|(_, _, note)| note.event == note::AGAIN));
        assert_eq!(faults(&bench, &[]), [], "seed {seed}");
        // What a member was down for never came into the world.
        let begun: BTreeSet<u64> = bench
            .notes
            .iter()
            .filter(|(_, _, note)| note.event == note::BEGUN)
            .map(|(_, _, note)| note.about)
            .collect();
        assert!(begun.len() <= items.len());
        for (number, seat) in bench.seats.iter().enumerate() {
            let lacks: Vec<u64> = begun.iter().copied().filter(|id| !seat.member.knows(*id)).collect();
            assert!(
                lacks.is_empty(),
                "seed {seed}: member {number} of {} under {:?}",
                bench.seats.len(),
                bench.rules
            );
        }
    }
    assert!(disturbed > 1000, "{disturbed}");
}

#[test]
fn who_has_lost_its_memory_is_brought_up_to_date() {
    for seed in 1..=200 {
        let rules = Rules {
            anti_entropy: Some(2 * SECOND),
            ..rumours(8, Exchange::Push, true, Rule::Counter(2))
        };
        let mut bench = bench(seed, rules, calm(20 * MS));
        bench.run_until(40 * SECOND);
        assert!(bench.seats.iter().all(|seat| seat.member.knows(FIRST.identity())));
        bench.crash(3, false);
        assert!(!bench.seats[3].member.knows(FIRST.identity()));
        bench.run_until(45 * SECOND);
        bench.restart(3);
        bench.run_until(80 * SECOND);
        assert!(bench.seats[3].member.knows(FIRST.identity()), "seed {seed}");
        assert_eq!(faults(&bench, &[(40 * SECOND, 3)]), []);
    }
}

#[test]
fn an_agent_that_is_told_again_of_what_it_was_told_is_found_out() {
    let caught = (1..=20).filter(|seed| {
        let rules = Rules {
            flaw: Flaw::TellsAgain,
            ..Rules::new(6).plant(vec![FIRST])
        };
        let mut bench = bench(*seed, rules, calm(20 * MS));
        bench.run_until(10 * SECOND);
        faults(&bench, &[])
            .iter()
            .any(|fault| matches!(fault, Fault::ToldAgain { .. }))
    });
    assert_eq!(caught.count(), 20);
}

#[test]
fn a_rumour_that_is_hot_again_whenever_it_comes_never_dies() {
    let run = |flaw, seed| {
        let rules = Rules {
            flaw,
            ..rumours(30, Exchange::Push, true, Rule::Counter(2))
        };
        let mut bench = bench(seed, rules, calm(20 * MS));
        bench.run_until(300 * SECOND);
        bench.seats.iter().map(|seat| seat.member.rumours()).sum::<usize>()
    };
    for seed in 1..=20 {
        assert_eq!(run(Flaw::None, seed), 0, "seed {seed}");
        assert!(run(Flaw::ForwardsAgain, seed) > 0, "seed {seed}");
    }
}

#[test]
fn what_is_asked_for_twice_is_one_item() {
    let mut bench = bench(1, Rules::new(5), calm(10 * MS));
    bench.ask(2, 99, 4);
    bench.run_until(3 * SECOND);
    bench.ask(2, 99, 4);
    bench.run_until(20 * SECOND);
    bench.ask(0, 99, 4);
    bench.run_until(40 * SECOND);
    assert_eq!(bench.answers.len(), 3);
    assert!(bench.answers.iter().all(|(_, _, answer)| answer.done));
    assert_eq!(bench.told.iter().filter(|(_, _, value)| *value == 4).count(), 5);
    assert_eq!(faults(&bench, &[]), []);
}
