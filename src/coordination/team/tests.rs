//! What teams promise, judged from their notes, under faults and with flaws that have to be found.

use super::*;
use crate::coordination::bench::{Bench, Weather, calm};
use crate::coordination::work::Task;
use crate::kernel::Purpose;
use crate::world::population::purpose;

const MS: u64 = 1_000_000;

fn task(name: &str, crew: u16, needs: &[u16]) -> Task {
    Task {
        name: name.to_string(),
        crew,
        topic: 0,
        needs: needs.to_vec(),
        checks: None,
        rounds: 1,
        bytes: 0,
        result: 1000,
    }
}

/// Tasks of two crews, of which each has `each` members, in turn.
fn rules(tasks: Vec<Task>, each: u32) -> Rules {
    let post = |member: u32| Post {
        agent: 100 * (1 + member % 2) + member / 2,
        crew: Some((member % 2) as u16),
    };
    Rules {
        graph: TaskGraph {
            tasks,
            crews: vec![(100, each), (200, each)],
        },
        posts: (0..2 * each).map(post).collect(),
        period: 50 * MS as i64,
        fan_out: 1,
        take: Take::Ranked(200 * MS as i64),
        settle: 0,
        timeout: 1500 * MS as i64,
        decides: Law::Constant(0.0),
        disk: 0,
        speculate: None,
        key: Key::root(0, 9),
        flaw: Flaw::None,
    }
}

fn diamond() -> Vec<Task> {
    vec![
        task("a", 0, &[]),
        task("b", 1, &[]),
        task("c", 0, &[0, 1]),
        task("d", 1, &[2]),
        task("e", 0, &[2]),
    ]
}

fn bench(seed: u64, rules: Rules, weather: Weather) -> Bench<Mate> {
    let members = rules.posts.len() as u32;
    Bench::new(seed, rules, members, weather, |_, _, _| Mate::new())
}

/// What came of a run.
struct Course {
    bench: Bench<Mate>,
    /// The jobs that nobody was told the end of.
    open: BTreeSet<u64>,
    /// When members lost their disks.
    losses: Vec<(u64, u32)>,
}

/// Twenty seconds with faults in which jobs are submitted, and then time to finish them. Who isn't answered asks again, as policies do.
fn run(seed: u64, rules: Rules) -> Course {
    let stormy = Weather {
        least: MS,
        most: 20 * MS,
        loss: 0.1,
        doubled: 0.1,
    };
    let members = rules.posts.len() as u32;
    let mut bench = bench(seed, rules, stormy);
    bench.agents = (50 * MS, 400 * MS, 0.05);
    let mut random = Key::root(seed, 3).stream(Purpose(2), 0);
    let mut asked: BTreeMap<u64, u64> = BTreeMap::new();
    let (mut open, mut losses) = (BTreeSet::new(), Vec::new());
    for step in 1..500u64 {
        bench.run_until(step * 100 * MS);
        let faults = step < 200;
        let member = random.below(u64::from(members)) as u32;
        match random.below(20) {
            0 if faults => bench.crash(member, true),
            1 if faults => {
                losses.push((bench.now, member));
                bench.crash(member, false);
            }
            2 if faults => bench.cut(|member| member / 2 % 2),
            3..=5 => bench.heal(),
            6..=9 => (0..members).for_each(|member| bench.restart(member)),
            _ => {}
        }
        if step == 200 {
            bench.heal();
            (0..members).for_each(|member| bench.restart(member));
            bench.weather = calm(5 * MS);
            bench.agents.2 = 0.0;
        }
        if step % 5 == 0 && faults {
            asked.insert(bench.ask(member, step, 0), step);
        }
        if step % 20 == 0 {
            let answered: BTreeSet<u64> = bench.answers.iter().map(|(_, _, answer)| answer.token).collect();
            let ended = |(token, _): &(&u64, &u64)| answered.contains(token);
            let over: BTreeSet<u64> = asked.iter().filter(ended).map(|(_, job)| *job).collect();
            open = asked.values().copied().filter(|job| !over.contains(job)).collect();
            for job in open.clone() {
                let token = bench.ask(random.below(u64::from(members)) as u32, job, 0);
                asked.insert(token, job);
            }
        }
    }
    Course { bench, open, losses }
}

/// What is wrong with what members noted: work that was begun before what it needs was done, or on drafts where nobody speculates;
/// results that a member took twice with the same disk; members that know different things in the end.
fn breaches(course: &Course) -> BTreeSet<&'static str> {
    let Course { bench, open, losses } = course;
    let mut found = BTreeSet::new();
    if !open.is_empty() {
        found.insert("a job doesn't end");
    }
    let mut used: BTreeMap<(u64, u64), BTreeSet<(u32, usize)>> = BTreeMap::new();
    for (at, member, note) in &bench.notes {
        match note.event {
            notes::USED => {
                let lives = losses.iter().filter(|loss| loss.1 == *member && loss.0 <= *at).count();
                if !used
                    .entry((note.about, note.extra[0]))
                    .or_default()
                    .insert((*member, lives))
                {
                    found.insert("a member takes a result twice");
                }
            }
            notes::GIVEN => {
                let task = &bench.rules.graph.tasks[note.extra[0] as usize];
                let is_done = |need: &u16| used.contains_key(&(note.about, u64::from(*need)));
                let on_drafts = note.extra[4] == 1;
                if !on_drafts && !task.needs.iter().all(is_done) {
                    found.insert("a task begins before what it needs");
                }
                if on_drafts && bench.rules.speculate.is_none() {
                    found.insert("a task begins on drafts");
                }
            }
            _ => {}
        }
    }
    let mut members = bench.seats.iter().map(|seat| seat.member.knowledge());
    let first = members.next().expect("there are members");
    if members.any(|other| other != first) {
        found.insert("members know different things");
    }
    // Each fact of a kind that its maker makes once is there once.
    for seat in &bench.seats {
        let mut seen = BTreeSet::new();
        for run in seat.member.knowledge().beyond(&Vector::new()) {
            for fact in run.facts {
                if let Fact::Over { job, .. } = fact
                    && !seen.insert((run.origin, job))
                {
                    found.insert("a fact is known twice");
                }
            }
        }
    }
    found
}

#[test]
fn under_faults_every_job_ends_and_no_task_begins_before_what_it_needs() {
    for seed in 0..20 {
        let course = run(seed, rules(diamond(), 3));
        assert_eq!(breaches(&course), BTreeSet::new(), "seed {seed}");
    }
}

#[test]
fn with_speculation_every_job_ends_as_well() {
    let mut on_drafts = 0;
    for seed in 0..20 {
        let mut rules = rules(diamond(), 3);
        rules.speculate = Some(Speculate {
            after: 20 * MS as i64,
            holds: [0.5; 2],
        });
        rules.take = [Take::AtOnce, Take::Random(100 * MS as i64)][seed as usize % 2];
        rules.settle = 30 * MS as i64;
        let course = run(seed, rules);
        assert_eq!(breaches(&course), BTreeSet::new(), "seed {seed}");
        let given = course
            .bench
            .notes
            .iter()
            .filter(|(_, _, note)| note.event == notes::GIVEN);
        on_drafts += given.filter(|(_, _, note)| note.extra[4] == 1).count();
    }
    assert!(on_drafts > 100, "{on_drafts}");
}

#[test]
fn flaws_are_found() {
    for (flaw, sign) in [
        (Flaw::NoDeduplication, "members know different things"),
        (Flaw::NeverLapses, "a job doesn't end"),
        (Flaw::NoNeeds, "a task begins before what it needs"),
        (Flaw::TakesTwice, "a member takes a result twice"),
    ] {
        let found = (0..20).any(|seed| {
            let mut flawed = rules(diamond(), 3);
            flawed.flaw = flaw;
            // Agents that take too long work twice, and both answers come.
            if flaw == Flaw::TakesTwice {
                flawed.timeout = 150 * MS as i64;
            }
            breaches(&run(seed, flawed)).contains(sign)
        });
        assert!(found, "{flaw:?} isn't found");
    }
}

/// When member `to` knows what member `from` comes to know at `at`, of two whose comparisons are at all times that are a phase and a multiple of
/// the period, with `way` between them: the one that lacks it asks, or the other tells that it has it and is asked.
fn told(rules: &Rules, phases: [u64; 2], way: u64, (from, to): (usize, usize), at: u64) -> u64 {
    let period = rules.period as u64;
    let next = |phase: u64, since: u64| phase + since.saturating_sub(phase).div_ceil(period) * period;
    let asks = next(phases[to], at.saturating_sub(way)) + 2 * way;
    let tells = next(phases[from], at) + 3 * way;
    asks.min(tells)
}

#[test]
fn a_job_takes_its_tasks_and_the_time_in_which_news_travel() {
    let (way, work) = (7 * MS, 1000 * MS);
    for seed in 0..30 {
        let mut two = rules(vec![task("a", 0, &[]), task("b", 1, &[0])], 1);
        two.period = 97 * MS as i64;
        let root = Key::root(seed, 0);
        let phase = |member: u64| root.member(member).stream(purpose::PROTOCOL, 0).below(97 * MS);
        let phases = [phase(0), phase(1)];
        let mut bench = bench(seed, two.clone(), calm(way));
        bench.agents = (work, work, 0.0);
        bench.ask(0, 7, 0);
        bench.run_until(5000 * MS);
        let begins = told(&two, phases, way, (0, 1), work);
        let over = told(&two, phases, way, (1, 0), begins + work);
        let given = bench.notes.iter().filter(|(_, _, note)| note.event == notes::GIVEN);
        assert_eq!(
            given.map(|(at, member, _)| (*at, *member)).collect::<Vec<_>>(),
            [(0, 0), (begins, 1)],
            "seed {seed}"
        );
        assert_eq!(bench.answers.iter().map(|(at, ..)| *at).collect::<Vec<_>>(), [over]);
    }
}

#[test]
fn what_is_begun_on_a_draft_that_holds_saves_the_wait_for_the_result() {
    let (way, work) = (7 * MS, 1000 * MS);
    for (holds, seed) in (0..10).flat_map(|seed| [(1.0, seed), (0.0, seed)]) {
        let mut two = rules(vec![task("a", 0, &[]), task("b", 1, &[0])], 1);
        two.period = 97 * MS as i64;
        two.timeout = NEVER;
        let after = 300 * MS;
        two.speculate = Some(Speculate {
            after: after as i64,
            holds: [holds, 0.0],
        });
        let root = Key::root(seed, 0);
        let phase = |member: u64| root.member(member).stream(purpose::PROTOCOL, 0).below(97 * MS);
        let phases = [phase(0), phase(1)];
        let mut bench = bench(seed, two.clone(), calm(way));
        bench.agents = (work, work, 0.0);
        bench.ask(0, 7, 0);
        bench.run_until(6000 * MS);
        let begins = told(&two, phases, way, (0, 1), after);
        let known = told(&two, phases, way, (0, 1), work);
        // The draft was known long before the result: both are at work at once. What doesn't hold is done again, once the agent is through.
        let answered = begins + work;
        assert!(known < answered, "the agent is at it when the result comes");
        let done = match holds {
            1.0 => answered,
            _ => answered + work,
        };
        let over = told(&two, phases, way, (1, 0), done);
        assert_eq!(
            bench.answers.iter().map(|(at, ..)| *at).collect::<Vec<_>>(),
            [over],
            "{holds}, seed {seed}"
        );
        let settled = bench.notes.iter().filter(|(_, _, note)| note.event == notes::SETTLED);
        let settled: Vec<(u64, u64)> = settled.map(|(at, _, note)| (*at, note.extra[1])).collect();
        assert_eq!(settled, [(known, holds as u64)]);
    }
}

#[test]
fn of_two_claims_the_earlier_stands_and_the_other_is_given_up_before_work_begins() {
    let mut four = rules(vec![task("a", 0, &[])], 2);
    (four.take, four.settle) = (Take::AtOnce, 400 * MS as i64);
    let mut bench = bench(3, four, calm(5 * MS));
    bench.agents = (1000 * MS, 1000 * MS, 0.0);
    // Both members of the crew hear of it themselves, the second later.
    bench.ask(2, 7, 0);
    bench.run_until(MS);
    bench.ask(0, 7, 0);
    bench.run_until(5000 * MS);
    let of = |event: u16| -> Vec<u32> {
        let of = bench.notes.iter().filter(|(_, _, note)| note.event == event);
        of.map(|(_, member, _)| *member).collect()
    };
    assert_eq!(of(notes::CLAIMED), [2, 0]);
    assert_eq!((of(notes::YIELDED), of(notes::GIVEN)), (vec![0], vec![2]));
    // Both who asked are told.
    assert_eq!(bench.answers.len(), 2);
}

#[test]
fn a_task_of_a_member_that_is_gone_is_taken_up_when_its_claim_lapses() {
    let mut four = rules(vec![task("a", 0, &[])], 2);
    four.take = Take::AtOnce;
    let timeout = four.timeout as u64;
    let mut bench = bench(3, four, calm(5 * MS));
    bench.agents = (3000 * MS, 3000 * MS, 0.0);
    bench.ask(0, 7, 0);
    bench.run_until(800 * MS);
    bench.crash(0, true);
    bench.run_until(9000 * MS);
    let given = bench.notes.iter().filter(|(_, _, note)| note.event == notes::GIVEN);
    let given: Vec<(u64, u32)> = given.map(|(at, member, _)| (*at, *member)).collect();
    assert_eq!((given[0], given[1].1), ((0, 0), 2));
    let taken_up = given[1].0 - timeout;
    assert!(
        taken_up < 300 * MS,
        "it was heard of within a few periods, and lapses then"
    );
}

#[test]
fn an_order_of_preference_keeps_members_out_of_each_others_way() {
    let given = |take: Take| {
        let (mut given, mut used) = (0, 0);
        for seed in 0..10 {
            let mut many = rules(diamond(), 5);
            (many.take, many.timeout) = (take, NEVER);
            let mut bench = bench(seed, many, calm(5 * MS));
            bench.agents = (300 * MS, 600 * MS, 0.0);
            for job in 0..10 {
                bench.ask(job as u32, job, 0);
                bench.run_until((job + 1) * 1000 * MS);
            }
            bench.run_until(100_000 * MS);
            assert_eq!(bench.answers.len(), 10);
            let count = |event: u16| bench.notes.iter().filter(|(_, _, note)| note.event == event).count();
            given += count(notes::GIVEN);
            used += count(notes::USED);
        }
        given as f64 / used as f64
    };
    let (at_once, ranked) = (given(Take::AtOnce), given(Take::Ranked(300 * MS as i64)));
    assert!(at_once > 1.2 && ranked < 1.05, "{at_once} {ranked}");
}
