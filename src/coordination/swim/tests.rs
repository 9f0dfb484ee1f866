//! SWIM on the bench: against the paper's formulas, and under faults.

use super::*;
use crate::coordination::bench::{Bench, Weather, calm};
use crate::kernel::{Key, Purpose, Stream};
use crate::random::math::pow;

const SECOND: u64 = 1_000_000_000;
const MS: u64 = 1_000_000;

fn bench(seed: u64, rules: Rules, weather: Weather) -> Bench<Prober> {
    let count = rules.members;
    Bench::new(seed, rules, count, weather, |rules, member, _| {
        Prober::new(rules, member)
    })
}

fn count(bench: &Bench<Prober>, event: u16) -> u64 {
    bench.notes.iter().filter(|(_, _, note)| note.event == event).count() as u64
}

/// Whoever believes something else of somebody than what is true: (who, of whom, what).
fn mistakes(bench: &Bench<Prober>) -> Vec<(u32, u32, State)> {
    let members = 0..bench.seats.len() as u32;
    let up: Vec<bool> = bench.seats.iter().map(|seat| !seat.down).collect();
    let pairs = members
        .clone()
        .flat_map(|who| members.clone().map(move |whom| (who, whom)));
    let believes = |who: u32, whom| bench.seats[who as usize].member.believes(whom);
    let is_wrong = |who, whom: u32| match believes(who, whom) {
        State::Alive => !up[whom as usize],
        State::Suspect => true,
        State::Failed | State::Absent => up[whom as usize],
    };
    let wrong = pairs.filter(|(who, whom)| up[*who as usize] && is_wrong(*who, *whom));
    wrong.map(|(who, whom)| (who, whom, believes(who, whom))).collect()
}

#[test]
fn a_crash_is_found_out_in_as_many_periods_as_the_paper_says() {
    // Section 3.3: a live member probes the crashed one with probability 1 / (n - 1), each on its own.
    for members in [3, 8, 20] {
        let others = f64::from(members - 1);
        let found_in_one = 1.0 - pow(1.0 - 1.0 / others, others);
        let expected = 1.0 / found_in_one;
        let runs = 800;
        let mut total = 0;
        for seed in 1..=runs {
            let rules = Rules {
                targets: Targets::Random,
                pace: Pace::Together,
                ..Rules::new(members)
            };
            let mut bench = bench(seed, rules, calm(5 * MS));
            bench.run_until(3 * SECOND + SECOND / 2);
            bench.crash(1, true);
            let mut periods = 0;
            while !bench.notes.iter().any(|(_, _, note)| note.event == note::UNHEARD) {
                periods += 1;
                // A probe is given up when the next period begins.
                bench.run_until((4 + periods) * SECOND + SECOND / 2);
            }
            total += periods;
        }
        let mean = total as f64 / runs as f64;
        let error = ((1.0 - found_in_one).sqrt() / found_in_one) / (runs as f64).sqrt();
        assert!(
            (mean - expected).abs() < 4.0 * error,
            "{members}: {mean} +- {error}, exactly {expected}"
        );
    }
}

#[test]
fn a_live_member_goes_unheard_as_often_as_the_paper_says() {
    for (loss, helpers) in [(0.1, 3), (0.1, 0), (0.25, 2)] {
        let rules = Rules {
            targets: Targets::Random,
            helpers,
            suspicion: Some(1000 * SECOND),
            ..Rules::new(16)
        };
        let weather = Weather { loss, ..calm(10 * MS) };
        let mut bench = bench(7, rules, weather);
        bench.run_until(6000 * SECOND);
        let through: f64 = 1.0 - loss;
        let expected = (1.0 - pow(through, 2.0)) * pow(1.0 - pow(through, 4.0), f64::from(helpers));
        let probes = count(&bench, note::PROBED) as f64;
        let found = count(&bench, note::UNHEARD) as f64 / probes;
        let error = (expected * (1.0 - expected) / probes).sqrt();
        assert!(
            (found - expected).abs() < 4.0 * error,
            "{loss}, {helpers}: {found} +- {error}, exactly {expected}"
        );
        assert_eq!(count(&bench, note::BURIES), 0);
    }
}

#[test]
fn in_turns_a_crash_is_found_out_within_a_bounded_time() {
    for seed in 1..=200 {
        let members = 9;
        let mut bench = bench(seed, Rules::new(members), calm(5 * MS));
        bench.run_until(20 * SECOND + seed * 37 * MS);
        let at = bench.now;
        bench.crash(4, true);
        bench.run_until(at + 60 * SECOND);
        let (first, ..) = *bench
            .notes
            .iter()
            .find(|(_, _, note)| note.event == note::SUSPECTS)
            .expect("it is suspected");
        // Section 4.3: within 2 n - 1 periods it is probed by everybody, and a probe is given up after a period.
        let most = at + u64::from(2 * members) * SECOND;
        assert!(first <= most, "seed {seed}: after {} s", (first - at) / SECOND);
        assert_eq!(mistakes(&bench), [], "seed {seed}");
        // Nobody was taken for failed who wasn't, and everybody has found out or was told.
        assert_eq!(count(&bench, note::BURIES), u64::from(members) - 1);
        assert!(
            bench
                .notes
                .iter()
                .all(|(_, _, note)| note.event != note::BURIES || note.about == 4)
        );
    }
}

#[test]
fn news_are_passed_on_a_bounded_number_of_times() {
    let mut bench = bench(3, Rules::new(40), calm(5 * MS));
    bench.run_until(5 * SECOND);
    bench.crash(7, true);
    bench.run_until(120 * SECOND);
    assert_eq!(mistakes(&bench), []);
    assert!(bench.seats.iter().all(|seat| seat.member.news() == 0));
    // A period of a quiet group is a ping and an answer for each.
    let before = bench.messages();
    let synced = bench.sent["sync"];
    bench.run_until(130 * SECOND);
    assert_eq!(bench.messages() - before - (bench.sent["sync"] - synced), 39 * 2 * 10);
}

#[test]
fn whoever_joins_is_known_to_all_and_knows_all() {
    for seed in 1..=100 {
        let rules = Rules {
            initial: 3,
            joins: vec![SECOND as i64, 2 * SECOND as i64, 2 * SECOND as i64, 30 * SECOND as i64],
            ..Rules::new(9)
        };
        let weather = Weather {
            loss: 0.1,
            ..calm(10 * MS)
        };
        let mut bench = bench(seed, rules, weather);
        bench.run_until(29 * SECOND);
        assert_eq!(bench.seats[0].member.believes(6), State::Absent);
        bench.run_until(60 * SECOND);
        bench.weather = calm(10 * MS);
        bench.run_until(90 * SECOND);
        assert_eq!(mistakes(&bench), [], "seed {seed}");
        assert_eq!(count(&bench, note::JOINED), 6);
    }
}

fn trouble(bench: &mut Bench<Prober>, random: &mut Stream) {
    let count = bench.seats.len() as u64;
    for step in 1..=60 {
        bench.run_until(step * SECOND);
        let who = random.below(count) as u32;
        match random.below(8) {
            0 => bench.cut(|member| member % 2),
            1 | 2 => bench.heal(),
            // Somebody must be left who lets others in.
            3 if who > 1 => bench.crash(who, random.chance(0.5)),
            4 => bench.restart(who),
            5 if who > 1 => bench.crash(who, true),
            _ => {}
        }
    }
    bench.heal();
    bench.weather = Weather {
        loss: 0.0,
        doubled: 0.0,
        ..bench.weather
    };
}

fn troubled(seed: u64, flaw: Flaw) -> Bench<Prober> {
    let mut random = Key::root(seed, 5).stream(Purpose(1), 0);
    let members = 3 + random.below(8) as u32;
    let rules = Rules {
        initial: 2 + random.below(u64::from(members) - 1) as u32,
        joins: (0..members).map(|_| random.below(40 * SECOND) as i64).collect(),
        helpers: random.below(4) as u32,
        suspicion: random.chance(0.7).then(|| (1 + random.below(8)) * SECOND),
        targets: [Targets::Random, Targets::RoundRobin][random.below(2) as usize],
        pace: [Pace::Together, Pace::Apart][random.below(2) as usize],
        piggyback: 1 + random.below(6) as u32,
        sync: Some(8 * SECOND),
        flaw,
        ..Rules::new(members)
    };
    let weather = Weather {
        least: MS,
        most: MS + random.below(60) * MS,
        loss: 0.3 * random.unit(),
        doubled: 0.2 * random.unit(),
    };
    let mut bench = bench(seed, rules, weather);
    trouble(&mut bench, &mut random);
    bench.run_until(300 * SECOND);
    bench
}

#[test]
fn once_the_network_is_whole_everybody_is_right_about_everybody() {
    let (mut refuted, mut buried_alive) = (0, 0);
    for seed in 1..=1000 {
        let bench = troubled(seed, Flaw::None);
        assert_eq!(mistakes(&bench), [], "seed {seed} under {:?}", bench.rules);
        refuted += count(&bench, note::REFUTES);
        buried_alive += count(&bench, note::TRUSTS);
    }
    assert!(refuted > 800 && buried_alive > 800, "{refuted}, {buried_alive}");
}

#[test]
fn a_group_whose_suspects_are_silent_is_found_out() {
    let caught = (1..=60).filter(|seed| !mistakes(&troubled(*seed, Flaw::Silent)).is_empty());
    assert!(caught.count() > 40);
}

#[test]
fn a_group_that_passes_nothing_on_is_found_out() {
    for seed in 1..=20 {
        let mistakes_under = |flaw| {
            let rules = Rules {
                initial: 6,
                joins: vec![5 * SECOND as i64],
                sync: None,
                flaw,
                ..Rules::new(7)
            };
            let mut bench = bench(seed, rules, calm(10 * MS));
            bench.run_until(40 * SECOND);
            mistakes(&bench).len()
        };
        assert_eq!(mistakes_under(Flaw::None), 0, "seed {seed}");
        assert!(mistakes_under(Flaw::Mute) >= 4, "seed {seed}");
    }
}
