//! Random trees under random faults, judged from outside: by notes and answers, and by the sum of all that members hold of the quota.

use super::*;
use crate::kernel::{Purpose, Stream};
use std::collections::{BTreeMap, BTreeSet};

fn stormy() -> Weather {
    Weather {
        least: MS,
        most: 30 * MS,
        loss: 0.05,
        doubled: 0.05,
    }
}

fn forest(random: &mut Stream) -> Tree {
    let roots = 1 + u32::from(random.chance(0.3));
    let count = 4 + random.below(7) as u32;
    let parents = (0..count).map(|at| (at >= roots).then(|| random.below(u64::from(at)) as u32));
    Tree::of(parents.collect()).expect("parents come first")
}

fn rules(random: &mut Stream, failover: Failover, alone: Alone) -> Rules {
    let tree = forest(random);
    let limits: Vec<Option<u64>> = (0..tree.depth())
        .map(|tier| (tier > 0).then(|| 40 / u64::from(tier)))
        .collect();
    let mut rules = Rules::new(tree, &limits);
    for tier in &mut rules.tiers {
        tier.decides = Law::Constant((random.below(20) * MS) as f64);
    }
    // One desk for all leaves, and one for each: submissions come in at several places.
    let leaves: Vec<u32> = (0..rules.tree.len()).filter(|at| rules.tree.is_leaf(*at)).collect();
    let mut desks: Vec<Vec<u32>> = leaves.iter().map(|leaf| vec![*leaf]).collect();
    desks.push(leaves);
    rules.set_desks(desks);
    (rules.failover, rules.alone) = (failover, alone);
    rules.abroad = 0.2;
    rules.report = Some(200 * MS as i64);
    rules.heartbeat = 100 * MS as i64;
    rules.after = 400 * MS as i64;
    rules.cut_off = 900 * MS as i64;
    rules.patience = 300 * MS as i64;
    let total = 500 + random.below(3_000);
    rules.quota = Some(Quota {
        total,
        lease: 1 + random.below(100),
        reserve: random.below(total / 2),
    });
    rules
}

/// Twenty seconds with faults in which agents submit, and half a minute to come together again.
fn run(seed: u64, failover: Failover, alone: Alone, flaw: Flaw) -> (Bench<Node>, BTreeSet<u64>) {
    let mut random = Key::root(seed, 11).stream(Purpose(3), 0);
    let mut rules = rules(&mut random, failover, alone);
    rules.flaw = flaw;
    let (members, desks) = (rules.members(), rules.desks.len() as u64);
    let first = rules.first_desk();
    let mut bench = bench(seed, rules, stormy());
    let mut asked = BTreeSet::new();
    for step in 1..400u64 {
        bench.run_until(step * 50 * MS);
        if random.chance(0.5) {
            let identity = identity(random.below(20), step);
            asked.insert(identity);
            bench.ask(first + random.below(desks) as u32, identity, 1 + random.below(60));
        }
        if random.chance(0.02) {
            bench.crash(random.below(u64::from(first)) as u32, true);
        }
        if random.chance(0.03) {
            bench.restart(random.below(u64::from(first)) as u32);
        }
        if random.chance(0.02) {
            let sides: Vec<u32> = (0..members).map(|_| u32::from(random.chance(0.4))).collect();
            bench.cut(|member| sides[member as usize]);
        }
        if random.chance(0.04) {
            bench.heal();
        }
    }
    bench.heal();
    for member in 0..members {
        bench.restart(member);
    }
    bench.run_until(50_000 * MS);
    (bench, asked)
}

/// What is wrong with a run.
fn problems(bench: &Bench<Node>, asked: &BTreeSet<u64>) -> Vec<String> {
    let (mut problems, rules) = (Vec::new(), &bench.rules);
    if bench.answers.len() != asked.len() {
        problems.push(format!("{} of {} were answered", bench.answers.len(), asked.len()));
        for seat in &bench.seats {
            match &seat.member {
                Node::Coordinator(one) if !one.is_at_rest() => {
                    problems.push(format!(
                        "{} has yet to do {:?}, with {:?}",
                        one.me, one.desktop, one.purse
                    ));
                }
                Node::Desk(desk) if !desk.is_at_rest() => problems.push(format!("{desk:?}")),
                _ => {}
            }
        }
    }
    let noted = |event: u16| bench.notes.iter().filter(move |(_, _, note)| note.event == event);
    let decided: BTreeSet<u64> = noted(event::DECIDED).map(|(_, _, note)| note.about).collect();
    if !decided.is_subset(asked) {
        problems.push("something was decided that nobody had asked for".to_string());
    }
    let coordinators: Vec<&Coordinator> = bench
        .seats
        .iter()
        .filter_map(|seat| seat.member.coordinator())
        .collect();
    // Each position has one who is active.
    let mut active = BTreeMap::new();
    for coordinator in coordinators.iter().filter(|one| one.active) {
        if active.insert(coordinator.position, *coordinator).is_some() {
            problems.push(format!("two are active at {}", coordinator.position));
        }
    }
    if active.len() as u32 != rules.tree.len() {
        problems.push(format!(
            "{} of {} positions have somebody",
            active.len(),
            rules.tree.len()
        ));
    }
    // The sums at the roots are all that was decided, each once.
    let roots = rules.tree.roots().iter().filter_map(|root| active.get(root));
    let sums = roots.fold((0, 0), |sums, root| {
        let (decided, _, value) = root.totals(rules);
        (sums.0 + decided, sums.1 + value)
    });
    if sums.0 != decided.len() as u64 {
        problems.push(format!(
            "the roots know of {}, and {} were decided",
            sums.0,
            decided.len()
        ));
    }
    let mut counted: BTreeMap<u64, u32> = BTreeMap::new();
    for coordinator in active.values() {
        for entry in coordinator.log.counted() {
            *counted.entry(entry.identity).or_default() += 1;
        }
    }
    for identity in &decided {
        let times = counted.get(identity).copied().unwrap_or(0);
        if times != 1 {
            let logs = coordinators
                .iter()
                .filter_map(|one| Some((one.me, one.log.get(*identity)?)));
            let notes = bench.notes.iter().filter(|(_, _, note)| note.about == *identity);
            problems.push(format!(
                "{identity} counts {times} times: {:?}, {:?}",
                logs.collect::<Vec<_>>(),
                notes.collect::<Vec<_>>()
            ));
        }
    }
    // All of the quota is somewhere.
    let total = rules.quota.map_or(0, |quota| quota.total);
    let purses = coordinators.iter().map(|coordinator| coordinator.holds()).sum::<u64>();
    let (over, on_the_way) = (
        coordinators
            .iter()
            .map(|coordinator| coordinator.purse.over)
            .sum::<u64>(),
        coordinators
            .iter()
            .map(|coordinator| coordinator.on_the_way(&coordinators))
            .sum::<u64>(),
    );
    let uncovered: u64 = noted(notes::UNCOVERED).map(|(_, _, note)| note.word).sum();
    let (there, given) = (purses + on_the_way + sums.1, total + over + uncovered);
    if there != given {
        problems.push(format!(
            "of {total} there are {purses} left and {on_the_way} on the way, {} granted, {over} beyond it, {uncovered} uncovered",
            sums.1
        ));
    }
    if rules.alone == Alone::Stop && noted(notes::OVER).count() > 0 {
        problems.push("granted beyond what was there".to_string());
    }
    problems
}

impl Coordinator {
    fn holds(&self) -> u64 {
        self.purse.free + self.purse.reserve + self.watch.handed_over()
    }

    /// What it has given and nobody has.
    fn on_the_way(&self, all: &[&Coordinator]) -> u64 {
        let given = self.purse.given().iter();
        given
            .map(|(child, given)| given - all[*child as usize].purse.seen().get(&self.me).copied().unwrap_or(0))
            .sum()
    }
}

const SEEDS: u64 = 20;

#[test]
fn whatever_happens_all_are_answered_counted_once_and_paid_for() {
    for seed in 0..SEEDS {
        for failover in [Failover::None, Failover::Deputy, Failover::Sibling] {
            for alone in [Alone::Stop, Alone::GoOn] {
                let (bench, asked) = run(seed, failover, alone, Flaw::None);
                let problems = problems(&bench, &asked);
                assert!(
                    problems.is_empty(),
                    "{failover:?}, {alone:?}, seed {seed}: {problems:?}"
                );
            }
        }
    }
}

/// How many of some seeds show that something is wrong.
fn found(flaw: Flaw, failover: Failover, alone: Alone) -> usize {
    let is_found = |seed: &u64| {
        let (bench, asked) = run(*seed, failover, alone, flaw);
        !problems(&bench, &asked).is_empty()
    };
    (0..10).filter(is_found).count()
}

#[test]
fn planted_mistakes_are_found() {
    assert!(found(Flaw::CountsTwice, Failover::Sibling, Alone::GoOn) > 3);
    assert!(found(Flaw::InheritsLease, Failover::Deputy, Alone::Stop) > 3);
    assert!(found(Flaw::ForgetsDecided, Failover::None, Alone::Stop) > 3);
}
