//! What a group of servers promises, judged from its notes alone: under random faults first, and then healed.

use super::{Change, Planned, Rules, Server, notes, place_of};
use crate::coordination::bench::{Bench, Weather};
use crate::coordination::member::event;
use crate::coordination::raft::{Flaw, Role, Settings};
use crate::kernel::{Key, Purpose};
use std::collections::{BTreeMap, BTreeSet};

const MS: u64 = 1_000_000;

fn rules(flaw: Flaw) -> Rules {
    Rules {
        settings: Settings {
            election_min: 150 * MS as i64,
            election_max: 300 * MS as i64,
            heartbeat: 40 * MS as i64,
            pre_vote: true,
            lease: None,
            batch: 4,
            in_flight: 3,
            snapshot_every: 12,
            trailing: 6,
            remember: 1000,
            flaw,
        },
        servers: 5,
        first: None,
        disk: 2 * MS,
        changes: Vec::new(),
        tells: false,
    }
}

/// A run of twenty seconds of faults and twenty without: what its notes breach, and which proposals were never answered.
fn run(seed: u64, flaw: Flaw, pre_vote: bool) -> (Vec<String>, usize) {
    let mut rules = rules(flaw);
    rules.settings.pre_vote = pre_vote;
    let (bench, unanswered) = suffer(seed, rules);
    (breaches(&bench), unanswered)
}

/// The same: the servers as they are at the end, of which the fourth is one of the group all the time.
fn suffer(seed: u64, rules: Rules) -> (Bench<Server>, usize) {
    let count = rules.servers;
    let stormy = Weather {
        least: MS,
        most: 30 * MS,
        loss: 0.05,
        doubled: 0.05,
    };
    let make = |rules: &Rules, place: u32, key: Key| Server::new(rules, place, key);
    let mut bench = Bench::new(seed, rules, count, stormy, make);
    let mut random = Key::root(seed, 7).stream(Purpose(2), 0);
    let (mut identity, mut asked) = (0, BTreeMap::new());
    for step in 1..200u64 {
        bench.run_until(step * 100 * MS);
        let member = random.below(u64::from(count)) as u32;
        match random.below(12) {
            0 => bench.crash(member, true),
            1 | 2 => (0..count).for_each(|member| bench.restart(member)),
            3 => {
                let side = random.below(1 << count);
                bench.cut(|member| (side >> member & 1) as u32);
            }
            4 | 5 => bench.heal(),
            6 => bench.seats[member as usize].skew += random.below(400 * MS) as i64 - 200 * MS as i64,
            _ => {}
        }
        identity += 1;
        let token = bench.ask(random.below(u64::from(count)) as u32, identity, 0);
        asked.insert(token, identity);
    }
    bench.heal();
    (0..count).for_each(|member| bench.restart(member));
    bench.weather = Weather {
        loss: 0.0,
        doubled: 0.0,
        ..stormy
    };
    // Whoever asked a server that crashed, or isn't one of the group, asks another one, under the same name.
    let done = |bench: &Bench<Server>| -> BTreeSet<u64> {
        let done = bench.answers.iter().filter(|(_, _, answer)| answer.done);
        done.map(|(_, _, answer)| answer.token).collect()
    };
    let known = done(&bench);
    let open: Vec<u64> = asked
        .iter()
        .filter(|(token, _)| !known.contains(token))
        .map(|(_, name)| *name)
        .collect();
    let again: Vec<u64> = open.into_iter().map(|name| bench.ask(3, name, 0)).collect();
    bench.run_until(40_000 * MS);
    let known = done(&bench);
    let unanswered = again.iter().filter(|token| !known.contains(token)).count();
    (bench, unanswered)
}

/// One leader a term, one vote a term, the same log everywhere, and everything once.
fn breaches(bench: &Bench<Server>) -> Vec<String> {
    let (mut leaders, mut votes, mut applied, mut decided) =
        (BTreeMap::new(), BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut found = Vec::new();
    for (_, member, note) in &bench.notes {
        let (about, word) = (note.about, note.word);
        let (what, is_wrong) = match note.event {
            event::LEADS => ("leaders of term", *leaders.entry(about).or_insert(*member) != *member),
            notes::VOTED => (
                "votes of one server in term",
                *votes.entry((*member, about)).or_insert(word) != word,
            ),
            notes::APPLIED => ("entries at place", *applied.entry(about).or_insert(word) != word),
            event::DECIDED => ("effects of proposal", *decided.entry(about).or_insert(word) != word),
            _ => continue,
        };
        if is_wrong {
            found.push(format!("two {what} {about}"));
        }
    }
    found
}

#[test]
fn servers_are_safe_under_faults_and_answer_everybody_once_healed() {
    for seed in 0..150 {
        let (found, unanswered) = run(seed, Flaw::None, seed % 2 == 0);
        assert_eq!(found, Vec::<String>::new(), "seed {seed}");
        assert_eq!(unanswered, 0, "seed {seed}");
    }
}

#[test]
fn planted_bugs_are_found_in_the_notes() {
    for flaw in [Flaw::ForgetsVote, Flaw::VotesForShortLogs] {
        let found = (0..300).any(|seed| !run(seed, flaw, false).0.is_empty());
        assert!(found, "{flaw:?} isn't found");
    }
}

fn planned(all: &[(u64, Planned)]) -> Vec<Change> {
    let change = |(seconds, what): &(u64, Planned)| Change {
        at: (seconds * 1_000 * MS) as i64,
        what: *what,
    };
    all.iter().map(change).collect()
}

/// The places of those who belong to the group, as its leader says.
fn members_of(bench: &Bench<Server>) -> Vec<u32> {
    let leader = bench
        .seats
        .iter()
        .find(|seat| seat.member.node().role() == Role::Leader);
    let members = leader
        .map(|seat| seat.member.node().members().clone())
        .unwrap_or_default();
    assert_eq!(members.learners, [], "nobody is half in");
    members.voters.into_iter().map(place_of).collect()
}

#[test]
fn servers_join_and_leave_as_planned_whatever_happens_meanwhile() {
    let changes = planned(&[
        (3, Planned::Add(5)),
        (6, Planned::Remove(0)),
        (9, Planned::Transfer(2)),
        (10, Planned::Add(6)),
        (13, Planned::Remove(1)),
        (14, Planned::Remove(2)),
        (17, Planned::Transfer(6)),
    ]);
    for seed in 0..80 {
        let mut rules = rules(Flaw::None);
        (rules.servers, rules.changes) = (7, changes.clone());
        rules.settings.pre_vote = seed % 2 == 0;
        let (bench, unanswered) = suffer(seed, rules);
        assert_eq!(breaches(&bench), Vec::<String>::new(), "seed {seed}");
        assert_eq!(unanswered, 0, "seed {seed}");
        assert_eq!(members_of(&bench), [3, 4, 5, 6], "seed {seed}");
        let committed = bench.notes.iter().filter(|(_, _, note)| note.event == notes::MEMBERS);
        let committed: BTreeSet<u64> = committed.map(|(_, _, note)| note.about).collect();
        // Two steps for each that joins, one for each that leaves; a leader may have begun one that was never committed.
        assert!(committed.len() >= 7, "seed {seed}: {}", committed.len());
    }
}

/// Without faults: the bench at the end, and when each server came to lead.
fn calmly(changes: Vec<Change>, servers: u32, seconds: u64) -> (Bench<Server>, Vec<(u64, u32)>) {
    let rules = Rules {
        servers,
        first: Some(0),
        changes,
        ..rules(Flaw::None)
    };
    let make = |rules: &Rules, place: u32, key: Key| Server::new(rules, place, key);
    let mut bench = Bench::new(1, rules, servers, crate::coordination::bench::calm(10 * MS), make);
    bench.run_until(seconds * 1_000 * MS);
    let leads = bench.notes.iter().filter(|(_, _, note)| note.event == event::LEADS);
    let led = leads.map(|(at, member, _)| (*at, *member)).collect();
    (bench, led)
}

#[test]
fn a_planned_hand_over_takes_no_timeout() {
    let (bench, led) = calmly(planned(&[(5, Planned::Transfer(3))]), 5, 20);
    let [(_, 0), (at, 3)] = led[..] else {
        panic!("the first leads, then the one that is to: {led:?}");
    };
    let handed = bench.notes.iter().find(|(_, _, note)| note.event == notes::HANDS_OVER);
    let (begun, by, _) = handed.expect("it is noted");
    assert_eq!(*by, 0);
    assert!(
        (5_000 * MS..5_000 * MS + 50 * MS).contains(begun),
        "when it is planned, or at the next input"
    );
    // The word to stand, a vote there and back; its own vote, the others' and its first entry are written.
    assert_eq!(at - begun, 3 * 10 * MS + 3 * 2 * MS);
}

#[test]
fn a_leader_takes_itself_out_last_and_a_new_server_is_told_everything() {
    let changes = planned(&[(4, Planned::Add(3)), (8, Planned::Remove(0))]);
    let rules = Rules {
        servers: 4,
        first: Some(0),
        changes,
        ..rules(Flaw::None)
    };
    let make = |rules: &Rules, place: u32, key: Key| Server::new(rules, place, key);
    let mut bench = Bench::new(1, rules, 4, crate::coordination::bench::calm(10 * MS), make);
    bench.run_until(2_000 * MS);
    let before = bench.ask(1, 1, 0);
    let outside = bench.ask(3, 2, 0);
    bench.run_until(20_000 * MS);
    assert_eq!(members_of(&bench), [1, 2, 3]);
    let answered = |token: u64| bench.answers.iter().find(|(_, _, answer)| answer.token == token);
    assert!(answered(before).is_some_and(|(_, _, answer)| answer.done));
    assert!(
        answered(outside).is_some_and(|(_, _, answer)| !answer.done),
        "a server that isn't one yet takes nothing"
    );
    assert_eq!(bench.seats[3].member.state(), bench.seats[1].member.state());
    let gone = bench.seats[0].member.node();
    assert!(gone.role() != Role::Leader, "it leads no more");
}
