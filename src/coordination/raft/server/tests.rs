//! What a group of servers promises, judged from its notes alone: under random faults first, and then healed.

use super::{Rules, Server, notes};
use crate::coordination::bench::{Bench, Weather};
use crate::coordination::member::event;
use crate::coordination::raft::{Flaw, Settings};
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
        disk: 2 * MS,
    }
}

/// A run of twenty seconds of faults and twenty without: what its notes breach, and which proposals were never answered.
fn run(seed: u64, flaw: Flaw, pre_vote: bool) -> (Vec<String>, usize) {
    let mut rules = rules(flaw);
    rules.settings.pre_vote = pre_vote;
    let stormy = Weather {
        least: MS,
        most: 30 * MS,
        loss: 0.05,
        doubled: 0.05,
    };
    let make = |rules: &Rules, place: u32, key: Key| Server::new(rules, place, key);
    let mut bench = Bench::new(seed, rules, 5, stormy, make);
    let mut random = Key::root(seed, 7).stream(Purpose(2), 0);
    let (mut identity, mut asked) = (0, BTreeMap::new());
    for step in 1..200u64 {
        bench.run_until(step * 100 * MS);
        let member = random.below(5) as u32;
        match random.below(12) {
            0 => bench.crash(member, true),
            1 | 2 => (0..5).for_each(|member| bench.restart(member)),
            3 => {
                let side = random.below(32);
                bench.cut(|member| (side >> member & 1) as u32);
            }
            4 | 5 => bench.heal(),
            6 => bench.seats[member as usize].skew += random.below(400 * MS) as i64 - 200 * MS as i64,
            _ => {}
        }
        identity += 1;
        let token = bench.ask(random.below(5) as u32, identity, 0);
        asked.insert(token, identity);
    }
    bench.heal();
    (0..5).for_each(|member| bench.restart(member));
    bench.weather = Weather {
        loss: 0.0,
        doubled: 0.0,
        ..stormy
    };
    // Whoever asked a server that crashed asks again, under the same name.
    let known: BTreeSet<u64> = bench.answers.iter().map(|(_, _, answer)| answer.token).collect();
    let open: Vec<u64> = asked
        .iter()
        .filter(|(token, _)| !known.contains(token))
        .map(|(_, name)| *name)
        .collect();
    let again: Vec<u64> = open.into_iter().map(|name| bench.ask(0, name, 0)).collect();
    bench.run_until(40_000 * MS);
    let known: BTreeSet<u64> = bench.answers.iter().map(|(_, _, answer)| answer.token).collect();
    let unanswered = again.iter().filter(|token| !known.contains(token)).count();
    (breaches(&bench), unanswered)
}

/// One leader a term, one vote a term, the same log everywhere, and everything once.
fn breaches(bench: &Bench<Server>) -> Vec<String> {
    let (mut leaders, mut votes, mut applied, mut decided) =
        (BTreeMap::new(), BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    let mut found = Vec::new();
    for (_, member, note) in &bench.notes {
        let (about, word) = (note.about, note.word);
        match note.event {
            event::LEADS => {
                if *leaders.entry(about).or_insert(*member) != *member {
                    found.push(format!("two lead in term {about}"));
                }
            }
            notes::VOTED => {
                if *votes.entry((*member, about)).or_insert(word) != word {
                    found.push(format!("member {member} votes twice in term {about}"));
                }
            }
            notes::APPLIED => {
                if *applied.entry(about).or_insert(word) != word {
                    found.push(format!("entry {about} differs"));
                }
            }
            event::DECIDED => {
                if *decided.entry(about).or_insert(word) != word {
                    found.push(format!("proposal {about} takes effect twice"));
                }
            }
            _ => {}
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
