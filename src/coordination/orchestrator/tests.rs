//! What orchestrators promise, judged from their notes: nothing that is in the log is done again, and every job comes to its end.

use super::*;
use crate::coordination::bench::{Bench, Weather, calm};
use crate::coordination::work::Task;
use crate::kernel::{Key, Purpose};

const MS: u64 = 1_000_000;

fn graph() -> TaskGraph {
    let task = |name: &str, needs: &[u16]| Task {
        name: name.to_string(),
        crew: 0,
        topic: 0,
        needs: needs.to_vec(),
        checks: None,
        rounds: 1,
        bytes: 0,
        result: 0,
    };
    TaskGraph {
        tasks: vec![
            task("a", &[]),
            task("b", &[]),
            task("c", &[0, 1]),
            task("d", &[2]),
            task("e", &[2]),
        ],
        crews: vec![(100, 6)],
    }
}

fn rules(members: u32) -> Rules {
    Rules {
        graph: graph(),
        at_once: 1,
        timeout: 800 * MS as i64,
        attempts: 50,
        decides: Law::Constant(MS as f64),
        log: Some(2 * MS),
        standby: (members > 1).then_some(Standby {
            heartbeat: 50 * MS as i64,
            after: 250 * MS as i64,
            members,
        }),
    }
}

fn stormy() -> Weather {
    Weather {
        least: MS,
        most: 20 * MS,
        loss: 0.05,
        doubled: 0.05,
    }
}

/// Twenty seconds with faults in which jobs are submitted, and then time to finish them. Who isn't answered asks again, as policies do.
fn run(seed: u64, members: u32, log: bool) -> Bench<Orchestrator> {
    let mut rules = rules(members);
    if !log {
        rules.log = None;
    }
    let make = |rules: &Rules, place: u32, _: Key| Orchestrator::new(rules, place);
    let mut bench = Bench::new(seed, rules, members, stormy(), make);
    bench.agents = (50 * MS, 400 * MS, 0.1);
    let mut random = Key::root(seed, 3).stream(Purpose(2), 0);
    let mut asked: BTreeMap<u64, u64> = BTreeMap::new();
    for step in 1..400u64 {
        bench.run_until(step * 100 * MS);
        let faults = step < 200;
        let member = random.below(u64::from(members)) as u32;
        match random.below(16) {
            0 if faults => bench.crash(member, true),
            1 if faults => bench.cut(|member| member % 2),
            2..=4 => bench.heal(),
            5 | 6 => (0..members).for_each(|member| bench.restart(member)),
            _ => {}
        }
        if step == 200 {
            bench.heal();
            (0..members).for_each(|member| bench.restart(member));
            bench.weather = calm(5 * MS);
            bench.agents.2 = 0.0;
        }
        if step % 5 == 0 && faults {
            let token = bench.ask(member, step, 0);
            asked.insert(token, step);
        }
        if step % 20 == 0 {
            let answered: BTreeSet<u64> = bench.answers.iter().map(|(_, _, answer)| answer.token).collect();
            let jobs: BTreeSet<u64> = asked
                .iter()
                .filter(|(token, _)| answered.contains(token))
                .map(|(_, job)| *job)
                .collect();
            let open: BTreeSet<u64> = asked.values().copied().filter(|job| !jobs.contains(job)).collect();
            for job in open {
                let token = bench.ask(random.below(u64::from(members)) as u32, job, 0);
                asked.insert(token, job);
            }
        }
    }
    let answered: BTreeSet<u64> = bench.answers.iter().map(|(_, _, answer)| answer.token).collect();
    let done: BTreeSet<u64> = asked
        .iter()
        .filter(|(token, _)| answered.contains(token))
        .map(|(_, job)| *job)
        .collect();
    let all: BTreeSet<u64> = asked.values().copied().collect();
    assert_eq!(done, all, "seed {seed}: jobs that nobody was told the end of");
    bench
}

/// Tasks that were given after their result was taken, by the same member's log, and jobs that ended twice.
fn done_again(bench: &Bench<Orchestrator>) -> usize {
    let (mut used, mut over, mut found) = (BTreeSet::new(), BTreeSet::new(), 0);
    for (_, _, note) in &bench.notes {
        match note.event {
            notes::USED => drop(used.insert((note.about, note.extra[0]))),
            notes::GIVEN => found += usize::from(used.contains(&(note.about, note.extra[0]))),
            notes::OVER => found += usize::from(!over.insert(note.about)),
            _ => {}
        }
    }
    found
}

#[test]
fn with_a_log_nothing_that_was_taken_is_given_again_and_every_job_ends() {
    for seed in 0..150 {
        assert_eq!(done_again(&run(seed, 1, true)), 0, "seed {seed}");
    }
}

#[test]
fn without_a_log_work_is_done_again() {
    assert!((0..20).any(|seed| done_again(&run(seed, 1, false)) > 0));
}

#[test]
fn with_standbys_every_job_ends_however_they_take_over() {
    let mut took_over = 0;
    for seed in 0..150 {
        let bench = run(seed, 3, true);
        let leads = bench.notes.iter().filter(|(_, _, note)| note.event == event::LEADS);
        took_over += usize::from(leads.count() > 1);
        // No two members are ever active under one number.
        let mut of_epoch = BTreeMap::new();
        for (_, member, note) in bench.notes.iter().filter(|(_, _, note)| note.event == event::LEADS) {
            assert_eq!(*of_epoch.entry(note.about).or_insert(*member), *member, "seed {seed}");
        }
    }
    assert!(took_over > 100, "{took_over}");
}

#[test]
fn a_standby_goes_on_with_what_the_active_one_had_taken() {
    let make = |rules: &Rules, place: u32, _: Key| Orchestrator::new(rules, place);
    let mut bench = Bench::new(1, rules(2), 2, calm(MS), make);
    bench.agents = (100 * MS, 100 * MS, 0.0);
    bench.ask(0, 7, 0);
    bench.run_until(150 * MS);
    bench.crash(0, true);
    bench.run_until(2_000 * MS);
    let again = bench.ask(1, 7, 0);
    bench.run_until(3_000 * MS);
    assert!(
        bench
            .answers
            .iter()
            .any(|(_, _, answer)| answer.token == again && answer.done)
    );
    let given = bench
        .notes
        .iter()
        .filter(|(_, member, note)| *member == 1 && note.event == notes::GIVEN);
    let given: Vec<u64> = given.map(|(_, _, note)| note.extra[0]).collect();
    assert_eq!(given, [2, 3, 4], "the first two were taken before the crash");
}

#[test]
fn a_task_that_takes_too_long_is_given_to_another_agent_and_the_first_result_counts() {
    let make = |rules: &Rules, place: u32, _: Key| Orchestrator::new(rules, place);
    let mut slow = rules(1);
    slow.timeout = 50 * MS as i64;
    slow.attempts = 2;
    let mut bench = Bench::new(1, slow, 1, calm(MS), make);
    bench.agents = (80 * MS, 80 * MS, 0.0);
    bench.ask(0, 7, 0);
    bench.run_until(5_000 * MS);
    let count = |event: u16| bench.notes.iter().filter(|(_, _, note)| note.event == event).count();
    assert_eq!((count(notes::USED), count(notes::OVER)), (5, 1));
    assert_eq!((count(notes::LATE), count(notes::GIVEN)), (5, 10));
}
