//! A primary in a world: what operations take, what they cost, and what faults leave.

use super::super::Protocol;
use super::super::testing::{Act, Bench, FaultAction, ms};
use super::super::tests::{MODELS, agree_on, bench, busy, run, write};
use super::{Copies, Failover, PrimarySpec, Reads};
use crate::kernel::{End, SimDuration};
use crate::network::{Cut, Group, InTransit, Latency, LinkSpec, Loss, SiteId};
use crate::random::Law;
use crate::state::Op;
use crate::world::call::{Outcome, Part};
use crate::world::message::MessageKind;
use crate::world::record::What;

fn millis(ms: u64) -> SimDuration {
    SimDuration::from_millis(ms)
}

/// Three replicas, of which the third is 300 ms from the first, which is the primary.
fn uneven(copies: Copies) -> Bench {
    let mut bench = bench(MODELS[0], 3, 10);
    let far = LinkSpec {
        latency: Latency::Law(Law::Constant(300e6)),
        ..LinkSpec::default()
    };
    bench.network.classes.push(far);
    bench.network.pairs.extend([((0, 2), 2), ((2, 0), 2)]);
    let spec = PrimarySpec {
        copies,
        ..PrimarySpec::new()
    };
    bench.spec.protocol = Protocol::Primary(Box::new(spec));
    let read = Act::Read { key: 0, replica: 0 };
    bench.clients = vec![(SiteId(0), vec![(ms(0), write(0, 0, Op::Write(1))), (ms(2000), read)])];
    bench
}

fn rules(bench: &mut Bench) -> &mut PrimarySpec {
    match &mut bench.spec.protocol {
        Protocol::Primary(rules) => rules,
        _ => panic!("the store has a primary"),
    }
}

#[test]
fn an_update_takes_until_its_copies_are_there_and_a_read_no_time() {
    for (copies, took) in [(Copies::All, 600), (Copies::Count(1), 20), (Copies::None, 0)] {
        let (ran, _) = run(uneven(copies), ms(5000), &[]);
        let parts: Vec<_> = ran.log.iter().map(|(_, seen)| (seen.outcome, seen.parts)).collect();
        assert_eq!(parts[0].0, Outcome::Done);
        assert_eq!(parts[0].1.of(Part::Coordination), millis(took), "{copies:?}");
        assert_eq!(parts[0].1.total(), millis(took), "{copies:?}");
        assert_eq!(parts[1].1.total(), SimDuration::ZERO);
    }
}

#[test]
fn a_backup_forwards_and_the_primary_answers() {
    let mut bench = uneven(Copies::Count(1));
    bench.spec.processing = Some(Law::Constant(3e6));
    let read = Act::Read { key: 0, replica: 1 };
    bench.clients = vec![(SiteId(1), vec![(ms(0), write(0, 1, Op::Write(1))), (ms(2000), read)])];
    let (ran, _) = run(bench, ms(5000), &[]);
    let parts = |n: usize| ran.log[n].1.parts;
    // To the primary, the copy to the backup next door and its confirmation; from the primary straight to the client.
    assert_eq!(parts(0).of(Part::Coordination), millis(10 + 20));
    assert_eq!(
        (parts(0).of(Part::Service), parts(0).of(Part::Network)),
        (millis(3), millis(10))
    );
    assert_eq!(parts(1).of(Part::Coordination), millis(10));
    assert_eq!(
        (parts(1).of(Part::Service), parts(1).of(Part::Network)),
        (millis(3), millis(10))
    );
}

#[test]
fn a_backup_that_may_answers_reads_from_what_it_knows_to_be_acknowledged() {
    let mut bench = uneven(Copies::Count(1));
    rules(&mut bench).reads = Reads::Nearest;
    // The far one gets the update after 300 ms, and the word that it is acknowledged with it or after it.
    let read = |at| (ms(at), Act::Read { key: 0, replica: 2 });
    bench.clients.push((SiteId(2), vec![read(10), read(301), read(400)]));
    let (_, records) = run(bench, ms(5000), &[What::ReadServed]);
    let heads: Vec<u64> = records
        .iter()
        .filter(|(it, _)| it.subject == 2)
        .map(|(_, extra)| extra[3])
        .collect();
    assert_eq!(heads, [0, 0, 1]);
}

#[test]
fn an_update_is_a_letter_its_confirmation_and_the_word_that_it_is_acknowledged() {
    for (copies, letters) in [(Copies::All, 8), (Copies::None, 4)] {
        let mut bench = uneven(copies);
        bench.clients[0].1.truncate(1);
        let (ran, records) = run(bench, ms(5000), &[What::Sent]);
        let peer = |a: u64| a & 0xff == MessageKind::Peer as u64;
        let sent = records.iter().filter(|(record, _)| peer(record.a)).count();
        assert_eq!((sent, ran.end), (letters, End::Drained), "{copies:?}");
    }
}

#[test]
fn too_few_copies_are_a_refusal_after_the_timeout_and_the_update_comes_all_the_same() {
    let mut bench = uneven(Copies::All);
    let crash = FaultAction::Crash {
        targets: vec![1],
        keep_state: true,
    };
    bench.faults.push((ms(0), ms(9000), crash));
    bench.clients[0].1[0].0 = ms(100);
    let (ran, records) = run(bench, ms(60_000), &[What::Visible]);
    assert_eq!(ran.log[0].1.outcome, Outcome::Refused { retry_after: None });
    assert_eq!(ran.log[0].1.parts.of(Part::Coordination), millis(1000));
    assert!(agree_on(&records, 0, 3), "once the backup is back everybody has it");
    let first = records.iter().map(|(record, _)| record.time).min();
    assert!(first > Some(ms(9000)), "and nobody had seen it before");
}

#[test]
fn a_primary_goes_on_without_who_is_out_of_step_and_waits_again_once_he_is_back() {
    let mut bench = uneven(Copies::All);
    rules(&mut bench).in_sync = Some(millis(2000));
    rules(&mut bench).timeout = millis(4000);
    let crash = FaultAction::Crash {
        targets: vec![1],
        keep_state: true,
    };
    bench.faults.push((ms(50), ms(9000), crash));
    let at = [100, 5000, 20_000];
    bench.clients = vec![(SiteId(0), at.map(|at| (ms(at), write(0, 0, Op::Write(at)))).to_vec())];
    let (ran, records) = run(bench, ms(60_000), &[What::Visible]);
    let took: Vec<_> = ran.log.iter().map(|(_, seen)| seen.parts.total()).collect();
    assert_eq!(took, [millis(2000), millis(600), millis(600)]);
    assert!(agree_on(&records, 0, 3));
}

#[test]
fn another_takes_over_and_the_old_one_follows_it() {
    let mut bench = uneven(Copies::Count(1));
    rules(&mut bench).failover = Some(Failover {
        after: millis(2000),
        heartbeat: millis(500),
        lease: None,
        majority: false,
    });
    bench.faults.push((
        ms(1000),
        ms(20_000),
        FaultAction::Crash {
            targets: vec![0],
            keep_state: true,
        },
    ));
    let script = vec![
        (ms(10), write(0, 1, Op::Write(1))),
        (ms(8000), write(0, 1, Op::Write(2))),
        (ms(30_000), Act::Read { key: 0, replica: 0 }),
    ];
    bench.clients = vec![(SiteId(1), script)];
    let (ran, records) = run(bench, ms(40_000), &[What::Visible, What::ReadServed]);
    assert!(
        ran.log.iter().all(|(_, seen)| seen.outcome == Outcome::Done),
        "{:?}",
        ran.log
    );
    let (served, _) = records
        .iter()
        .find(|(record, _)| record.what == What::ReadServed)
        .expect("it was read");
    assert_eq!(served.subject, 1, "the old primary forwards to the new one");
    assert!(agree_on(&records, 0, 3));
}

/// Cuts a replica off from the others.
fn cut_off(bench: &mut Bench, alone: u32, from: u64, to: u64) {
    let of = |is: bool| Group::sites((0..3).filter(|n| (*n == alone) == is).map(SiteId));
    bench.network.cuts.push(Cut {
        name: "alone".into(),
        from: of(true),
        to: of(false),
        both_ways: true,
        in_flight: InTransit::Lost,
        sent: InTransit::Lost,
    });
    let number = bench.network.cuts.len() as u32 - 1;
    bench.faults.push((ms(from), ms(to), FaultAction::Cut(number)));
}

#[test]
fn a_backup_that_is_cut_off_refuses_what_it_cannot_forward() {
    let mut bench = uneven(Copies::Count(1));
    cut_off(&mut bench, 1, 100, 3000);
    let read = Act::Read { key: 0, replica: 1 };
    let script = vec![
        (ms(200), write(0, 1, Op::Write(1))),
        (ms(300), read),
        (ms(4000), write(0, 1, Op::Write(2))),
    ];
    bench.clients = vec![(SiteId(1), script)];
    let (ran, _) = run(bench, ms(20_000), &[]);
    let seen: Vec<_> = ran.log.iter().map(|(_, seen)| (seen.outcome, seen.parts)).collect();
    assert_eq!(seen.len(), 3, "{seen:?}");
    for (outcome, parts) in &seen[..2] {
        assert_eq!(*outcome, Outcome::Refused { retry_after: None });
        assert_eq!(parts.of(Part::Coordination), millis(1000));
    }
    assert_eq!(seen[2].0, Outcome::Done);
    assert_eq!(ran.end, End::Drained, "and nothing is left waiting");
}

#[test]
fn a_request_that_has_come_to_the_primary_is_refused_by_nobody_else() {
    // Each waits for less than the whole takes.
    let mut bench = uneven(Copies::All);
    rules(&mut bench).timeout = millis(700);
    bench.clients = vec![(SiteId(2), vec![(ms(0), write(0, 2, Op::Write(1)))])];
    let (ran, _) = run(bench, ms(20_000), &[]);
    assert_eq!(ran.log.len(), 1);
    // There, the copies and their confirmations, and back to the client.
    assert_eq!(ran.log[0].1.outcome, Outcome::Done);
    assert_eq!(ran.log[0].1.parts.total(), millis(300 + 600 + 300));
}

#[test]
fn what_a_backup_lacks_is_sent_as_soon_as_a_later_letter_shows_it() {
    let mut bench = uneven(Copies::All);
    // Everybody is near, and one letter is lost.
    bench.network.pairs.clear();
    cut_off(&mut bench, 1, 90, 105);
    let at = [100, 110, 120];
    bench.clients = vec![(SiteId(0), at.map(|at| (ms(at), write(0, 0, Op::Write(at)))).to_vec())];
    let (ran, records) = run(bench, ms(20_000), &[What::Sent]);
    let mut done: Vec<_> = ran.log.iter().map(|(_, seen)| seen.at).collect();
    done.sort_unstable();
    // The second letter comes at 120, the word of the gap at 130, the missing one at 140, its confirmation at 150.
    assert_eq!(done, [ms(150), ms(150), ms(150)]);
    let peer = |a: u64| a & 0xff == MessageKind::Peer as u64;
    let sent = records.iter().filter(|(record, _)| peer(record.a)).count();
    // Three letters to each backup, one word each, and one letter again, less the confirmation of the lost one.
    assert_eq!(sent, 2 * (3 + 3 + 1 + 1) + 2 - 1);
}

#[test]
fn a_backup_is_caught_up_within_a_resend_of_the_end_of_a_long_cut() {
    let mut bench = uneven(Copies::All);
    bench.network.pairs.clear();
    cut_off(&mut bench, 1, 50, 8500);
    let script = vec![
        (ms(100), write(0, 0, Op::Write(1))),
        (ms(10_000), write(0, 0, Op::Write(2))),
    ];
    bench.clients = vec![(SiteId(0), script)];
    let (ran, records) = run(bench, ms(60_000), &[What::Visible]);
    assert_eq!(ran.log[0].1.outcome, Outcome::Refused { retry_after: None });
    assert_eq!(
        (ran.log[1].1.outcome, ran.log[1].1.parts.total()),
        (Outcome::Done, millis(20))
    );
    let first = records.iter().map(|(record, _)| record.time).min();
    // A sign of life each second, its answer, the letter and its confirmation.
    assert!(first.is_some_and(|first| first <= ms(8500 + 1000 + 40)), "{first:?}");
}

/// Five replicas whose primary, which waits for no copies, is cut off with another one, and who acknowledges what at either side.
fn cut_off_with_one(majority: bool) -> (Vec<Vec<bool>>, bool) {
    let mut bench = bench(MODELS[0], 5, 20);
    bench.spec.protocol = Protocol::Primary(Box::new(PrimarySpec {
        copies: Copies::None,
        resend: millis(100),
        failover: Some(Failover {
            after: millis(2000),
            heartbeat: millis(500),
            lease: None,
            majority,
        }),
        ..PrimarySpec::new()
    }));
    bench.network.cuts.push(Cut {
        name: "split".into(),
        from: Group::sites([SiteId(0), SiteId(1)]),
        to: Group::sites([SiteId(2), SiteId(3), SiteId(4)]),
        both_ways: true,
        in_flight: InTransit::Lost,
        sent: InTransit::Lost,
    });
    bench.faults.push((ms(5000), ms(20_000), FaultAction::Cut(0)));
    // Before, right after the cut, later on, and after the heal.
    let at = [1000, 5500, 15_000, 30_000];
    for site in [0, 1, 3] {
        let script = at
            .map(|at| (ms(at), write(0, site, Op::Write(at + u64::from(site)))))
            .to_vec();
        bench.clients.push((SiteId(site), script));
    }
    let (ran, records) = run(bench, ms(40_000), &[What::Visible]);
    // What was forwarded into the cut is never answered.
    let was_done = |client, act| {
        let mut log = ran.log.iter();
        log.any(|(by, seen)| (*by, seen.act, seen.outcome) == (client, act, Outcome::Done))
    };
    let done = |client| (0..4).map(|act| was_done(client, act)).collect();
    ((0..3).map(done).collect(), agree_on(&records, 0, 5))
}

#[test]
fn a_minority_has_no_primary_for_long_where_a_majority_votes() {
    // The old primary goes on until it has missed a majority for two seconds; on the other side one is found in the meantime.
    let (done, agree) = cut_off_with_one(true);
    assert_eq!(
        done,
        [
            [true, true, false, true],
            [true, true, false, true],
            [true, false, true, true]
        ]
    );
    assert!(agree);
    // Without votes both sides have one for as long as the cut lasts.
    let (done, agree) = cut_off_with_one(false);
    assert_eq!(done, [[true; 4], [true; 4], [true, false, true, true]]);
    assert!(agree);
}

/// Everything at once: losses, copies, a cut, crashes, a pause, several updates of each attempt.
fn busy_primary() -> Bench {
    let mut bench = bench(MODELS[0], 5, 20);
    busy(&mut bench, 5, 10, 4000);
    (bench.network.classes[1].loss, bench.network.classes[1].duplication) = (Loss::Independent(0.2), 0.2);
    bench.spec.protocol = Protocol::Primary(Box::new(PrimarySpec {
        copies: Copies::Count(2),
        resend: millis(100),
        failover: Some(Failover {
            after: millis(900),
            heartbeat: millis(100),
            lease: Some(millis(400)),
            majority: false,
        }),
        ..PrimarySpec::new()
    }));
    bench.network.cuts.push(Cut {
        name: "split".into(),
        from: Group::sites([SiteId(0), SiteId(1)]),
        to: Group::sites([SiteId(2), SiteId(3), SiteId(4)]),
        both_ways: true,
        in_flight: InTransit::Lost,
        sent: InTransit::Lost,
    });
    bench.faults = vec![
        (ms(500), ms(1800), FaultAction::Cut(0)),
        (
            ms(2200),
            ms(2900),
            FaultAction::Crash {
                targets: vec![3],
                keep_state: true,
            },
        ),
        (
            ms(2600),
            ms(3000),
            FaultAction::Crash {
                targets: vec![1],
                keep_state: false,
            },
        ),
        (ms(3100), ms(3400), FaultAction::Pause { targets: vec![4] }),
    ];
    (bench.idempotent, bench.attempts) = (true, 2);
    bench
}

#[test]
fn everything_at_once_repeats_and_is_the_same_watched_or_not() {
    let until = ms(20_000);
    let kinds = [What::Visible, What::ReadServed, What::Accepted, What::TakenBack];
    let (watched, records) = run(busy_primary(), until, &kinds);
    let alone = busy_primary().run(until, Vec::new());
    assert_eq!((&watched.print, watched.log.len()), (&alone.print, alone.log.len()));
    assert!((0..3).all(|key| agree_on(&records, key, 5)));
    let taken: Vec<_> = records
        .iter()
        .filter(|(record, _)| record.what == What::Accepted)
        .map(|(it, _)| it.a)
        .collect();
    let once: std::collections::BTreeSet<_> = taken.iter().collect();
    assert_eq!(
        taken.len(),
        once.len(),
        "what is acknowledged is recognised by whoever is the primary"
    );
    let other = Bench {
        seed: 2,
        ..busy_primary()
    };
    assert_ne!(other.run(until, Vec::new()).print, alone.print);
}
