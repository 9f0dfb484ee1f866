//! What hierarchies promise: times to the nanosecond in small cases; under random faults every submission is answered, counted once at the root, and paid
//! for by the quota; and mistakes that are planted are found.

mod chaos;

use super::*;
use crate::coordination::bench::{Bench, Weather, calm};
use crate::kernel::Key;

const MS: u64 = 1_000_000;

/// A root, a region and an edge, one below the other, and a desk: edges decide up to 10, regions up to 100.
fn chain() -> Rules {
    let tree = Tree::of(vec![None, Some(0), Some(1)]).expect("no circle");
    let mut rules = Rules::new(tree, &[None, Some(100), Some(10)]);
    for (tier, took) in rules.tiers.iter_mut().zip([11, 7, 5]) {
        tier.decides = Law::Constant((took * MS) as f64);
    }
    rules
}

fn bench(seed: u64, rules: Rules, weather: Weather) -> Bench<Node> {
    let members = rules.members();
    Bench::new(seed, rules, members, weather, |rules, number, _| {
        Node::new(rules, number)
    })
}

fn identity(agent: u64, number: u64) -> u64 {
    agent << 32 | number
}

/// When each submission was answered, by its token, in milliseconds, and what the answer was.
fn answers(bench: &Bench<Node>) -> Vec<(u64, u64, u64)> {
    let answer = |(at, _, answer): &(u64, u32, crate::coordination::member::Answer)| {
        assert_eq!(at % MS, 0);
        (answer.token, at / MS, answer.value)
    };
    bench.answers.iter().map(answer).collect()
}

#[test]
fn a_case_goes_as_high_as_it_must_and_waits_for_those_before_it() {
    let mut bench = bench(1, chain(), calm(MS));
    let desk = bench.rules.first_desk();
    for (number, value) in [(0, 5), (1, 50), (2, 500), (3, 10)] {
        bench.ask(desk, identity(7, number), value);
    }
    bench.run_until(100 * MS);
    // There and back in 2 ms at the edge, 4 at the region, 6 at the root; 5, 7 and 11 to decide. The fourth waits at the edge until 6 ms.
    assert_eq!(answers(&bench), [(1, 7, 1), (2, 11, 1), (4, 12, 1), (3, 17, 1)]);
    let escalated = bench.notes.iter().filter(|(_, _, note)| note.event == notes::ESCALATES);
    assert_eq!(
        escalated.count(),
        3,
        "once by the edge, and once more on its way to the root"
    );
    assert_eq!(bench.sent["case"], 4 + 2 + 1);
    assert_eq!(bench.sent["verdict"], 4 + 2 + 1);
}

#[test]
fn sums_at_the_root_are_a_period_old_for_each_tier_below_it() {
    let mut rules = chain();
    rules.report = Some(100 * MS as i64);
    let mut bench = bench(1, rules, calm(MS));
    let desk = bench.rules.first_desk();
    bench.ask(desk, identity(1, 0), 8);
    bench.ask(desk, identity(1, 1), 80);
    bench.run_until(301 * MS);
    let totals = bench.notes.iter().filter(|(_, _, note)| note.event == notes::TOTALS);
    let totals: Vec<_> = totals
        .map(|(at, _, note)| (at / MS, note.about, note.word, note.extra[0] / MS))
        .collect();
    // A report that is sent when the next one above goes out comes too late for it: what the edge said at 100 is at the root at 201, what the region
    // decided itself at 101.
    assert_eq!(totals, [(100, 0, 0, 100), (200, 1, 80, 200), (300, 2, 88, 200)]);
    assert_eq!(bench.sent["report"], 2 * 3, "one for each child and period");
}

#[test]
fn who_needs_quota_gets_a_lease_and_draws_on_it() {
    let mut rules = chain();
    let (total, lease, reserve) = (10, 4, 0);
    rules.quota = Some(Quota { total, lease, reserve });
    for tier in &mut rules.tiers {
        tier.decides = Law::Constant(0.0);
    }
    let mut bench = bench(1, rules, calm(MS));
    let desk = bench.rules.first_desk();
    bench.ask(desk, identity(1, 0), 3);
    bench.run_until(10 * MS);
    bench.ask(desk, identity(1, 1), 1);
    bench.run_until(20 * MS);
    bench.ask(desk, identity(1, 2), 7);
    bench.run_until(30 * MS);
    bench.ask(desk, identity(1, 3), 6);
    bench.run_until(40 * MS);
    // A lease of 4 takes 4 ms to come down; the second draws on what is left of it. There are 6 yet: too little for 7. They come down all the
    // same, since what is needed may be for several: the root has no more for the region at 26, nor that for the edge at 31. So they are there for the last.
    assert_eq!(answers(&bench), [(1, 6, 1), (2, 12, 1), (3, 32, 0), (4, 32, 1)]);
}

#[test]
fn a_deputy_takes_over_after_a_silence_and_the_other_one_steps_down() {
    let mut rules = chain();
    rules.failover = Failover::Deputy;
    let mut bench = bench(1, rules, calm(MS));
    let (region, deputy, desk) = (1, 4, bench.rules.first_desk());
    bench.run_until(10_250 * MS);
    bench.crash(region, true);
    bench.ask(desk, identity(1, 0), 50);
    bench.run_until(15_000 * MS);
    let covers = |bench: &Bench<Node>, event: u16| {
        let notes = bench
            .notes
            .iter()
            .filter(|(at, _, note)| note.event == event && *at > 0);
        notes.map(|(at, member, _)| (at / MS, *member)).collect::<Vec<_>>()
    };
    // The last beat came at 10.001 s. The case is sent again when the deputy's beat comes, and takes 2 ms up, 7 there and 2 down.
    assert_eq!(covers(&bench, notes::COVERS), [(12_001, deputy)]);
    assert_eq!(answers(&bench), [(1, 12_001 + 1 + 1 + 7 + 1 + 1, 1)]);
    bench.restart(region);
    bench.run_until(20_000 * MS);
    assert!(
        !bench.seats[region as usize]
            .member
            .coordinator()
            .expect("one")
            .is_active()
    );
    assert!(
        bench.seats[deputy as usize]
            .member
            .coordinator()
            .expect("one")
            .is_active()
    );
    assert_eq!(
        covers(&bench, notes::COVERS).len(),
        1,
        "it sees that it has a successor"
    );
}

#[test]
fn two_who_are_active_at_once_come_together_again() {
    let mut rules = chain();
    rules.failover = Failover::Deputy;
    let mut bench = bench(1, rules, calm(MS));
    let (region, desk) = (1, bench.rules.first_desk());
    bench.run_until(1_000 * MS);
    // The region's first coordinator is cut off with the edge and the desk; its deputy is with the root.
    bench.cut(|member| u32::from(member == region || member == 2 || member == desk));
    bench.ask(desk, identity(1, 0), 50);
    bench.run_until(10_000 * MS);
    assert_eq!(answers(&bench).len(), 1);
    bench.heal();
    bench.run_until(20_000 * MS);
    let stepped_down = bench.notes.iter().filter(|(_, _, note)| note.event == notes::UNCOVERS);
    // So is the edge, whose deputy is with the root as well.
    assert_eq!(
        stepped_down.map(|(_, member, _)| *member).collect::<Vec<_>>(),
        [region, 2]
    );
    // The deputy knows what the other one had decided.
    let deputy = bench.seats[4].member.coordinator().expect("one");
    assert_eq!(deputy.totals(&bench.rules), (1, 1, 50));
}

#[test]
fn a_region_that_is_cut_off_goes_on_alone_and_what_was_promised_twice_is_taken_back() {
    let mut rules = chain();
    (rules.alone, rules.report) = (Alone::GoOn, Some(500 * MS as i64));
    rules.quota = Some(Quota {
        total: 1_000,
        lease: 1,
        reserve: 0,
    });
    let mut bench = bench(1, rules, calm(MS));
    let desk = bench.rules.first_desk();
    bench.run_until(1_000 * MS);
    // The root decides the first one; its answer gets lost.
    bench.ask(desk, identity(1, 0), 600);
    bench.run_until(1_005 * MS);
    bench.cut(|member| u32::from(member == 0));
    bench.run_until(2_000 * MS);
    bench.ask(desk, identity(1, 1), 300);
    bench.ask(desk, identity(1, 2), 400);
    bench.run_until(9_000 * MS);
    assert_eq!(bench.answers.len(), 3, "it goes on");
    assert!(bench.answers.iter().all(|(_, _, answer)| answer.value == 1));
    bench.heal();
    bench.run_until(30_000 * MS);
    let sum = |event: u16| -> u64 {
        let notes = bench.notes.iter().filter(|(_, _, note)| note.event == event);
        notes.map(|(_, _, note)| note.word).sum()
    };
    let reconciled = bench
        .notes
        .iter()
        .filter(|(_, _, note)| note.event == notes::RECONCILED);
    // The root's grant stands, and the region's is taken back.
    assert_eq!(
        reconciled
            .map(|(_, member, note)| (*member, note.about))
            .collect::<Vec<_>>(),
        [(1, identity(1, 0))]
    );
    assert_eq!(sum(notes::OVER), 1_300);
    let root = bench.seats[0].member.coordinator().expect("one");
    assert_eq!(root.totals(&bench.rules), (3, 3, 1_300));
    // 1,300 of 1,000 are granted. The region had gone 1,300 beyond its lease of nothing, of which 600 come back and 400 were left.
    assert_eq!((sum(notes::COVERED), sum(notes::UNCOVERED)), (1_000, 300));
}

#[test]
fn children_of_a_silent_coordinator_go_to_a_sibling_and_come_back() {
    // A root over 1 and 2, each over an edge.
    let tree = Tree::of(vec![None, Some(0), Some(0), Some(1), Some(2)]).expect("no circle");
    let mut rules = Rules::new(tree, &[None, Some(100), Some(10)]);
    (rules.failover, rules.report) = (Failover::Sibling, Some(500 * MS as i64));
    let mut bench = bench(1, rules, calm(MS));
    let desk = bench.rules.first_desk();
    bench.run_until(10_250 * MS);
    bench.crash(1, true);
    bench.ask(desk, identity(1, 0), 50);
    bench.run_until(20_000 * MS);
    let adopts: Vec<_> = bench
        .notes
        .iter()
        .filter(|(_, _, note)| note.event == notes::ADOPTS)
        .collect();
    assert_eq!(adopts.len(), 1);
    assert_eq!((adopts[0].0 / MS, adopts[0].1, adopts[0].2.about), (12_002, 2, 3));
    assert_eq!(answers(&bench), [(1, 12_001 + 3, 1)], "it goes along with its cases");
    let root = |bench: &Bench<Node>| bench.seats[0].member.coordinator().expect("one").totals(&bench.rules);
    assert_eq!(root(&bench), (1, 1, 50));
    bench.restart(1);
    bench.ask(desk, identity(1, 1), 60);
    bench.run_until(30_000 * MS);
    assert_eq!(root(&bench), (2, 2, 110));
    assert_eq!(bench.sent["leave"], 1);
}

#[test]
fn a_matter_of_another_system_is_decided_there() {
    let tree = Tree::of(vec![None, None, Some(0), Some(1)]).expect("no circle");
    let mut rules = Rules::new(tree, &[None, Some(1_000)]);
    rules.abroad = 1.0;
    let mut bench = bench(1, rules, calm(MS));
    let desk = bench.rules.first_desk();
    bench.ask(desk, identity(1, 0), 5);
    bench.run_until(100 * MS);
    // Up, across, and back: three there, three back.
    assert_eq!(answers(&bench), [(1, 6, 1)]);
    let decided = bench.notes.iter().find(|(_, _, note)| note.event == event::DECIDED);
    assert_eq!(decided.map(|(_, member, _)| *member), Some(1));
}
