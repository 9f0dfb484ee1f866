//! Stores under Raft in a world: what operations take, who is asked, and what faults leave.

use super::super::Protocol;
use super::super::testing::{Act, Bench, FaultAction, ms};
use super::super::tests::{MODELS, agree_on, bench, busy, run, write};
use super::super::words::of_op_words;
use super::{RaftSpec, Reads};
use crate::kernel::{End, SimDuration};
use crate::network::{Cut, Group, InTransit, SiteId};
use crate::state::Op;
use crate::world::call::{Outcome, Part};
use crate::world::record::What;

fn millis(ms: u64) -> SimDuration {
    SimDuration::from_millis(ms)
}

pub(super) fn quick() -> RaftSpec {
    RaftSpec {
        election_min: millis(150),
        election_max: millis(300),
        heartbeat: millis(40),
        timeout: millis(900),
        snapshot_every: 20,
        ..RaftSpec::default()
    }
}

pub(super) fn group(replicas: u32, latency: u64, raft: RaftSpec) -> Bench {
    let mut bench = bench(MODELS[0], replicas, latency);
    bench.spec.protocol = Protocol::Raft(Box::new(raft));
    bench
}

pub(super) fn cut_off(bench: &mut Bench, alone: &[u32], replicas: u32, from: u64, to: u64) {
    let of = |is: bool| Group::sites((0..replicas).filter(|n| alone.contains(n) == is).map(SiteId));
    bench.network.cuts.push(Cut {
        name: format!("cut {}", bench.network.cuts.len()),
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
fn an_operation_takes_the_ways_to_the_leader_and_to_a_majority() {
    // Who leads is a matter of chance: whoever is asked by its own client waits for one round trip if it leads, else for two.
    for (reads, of_leader) in [(Reads::RoundTrip, 20), (Reads::Lease(0), 0), (Reads::Local, 0)] {
        let mut bench = group(3, 10, RaftSpec { reads, ..quick() });
        for site in 0..3 {
            let script = vec![
                (
                    ms(1000 + u64::from(site) * 200),
                    write(0, site, Op::Write(u64::from(site))),
                ),
                (ms(2000 + u64::from(site) * 200), Act::Read { key: 0, replica: site }),
            ];
            bench.clients.push((SiteId(site), script));
        }
        let (ran, _) = run(bench, ms(3000), &[]);
        let took = |act: u32| {
            let of_act = ran.log.iter().filter(|(_, seen)| seen.act == act);
            let mut took: Vec<u64> = of_act
                .map(|(_, seen)| seen.parts.total().as_nanos() / 1_000_000)
                .collect();
            took.sort_unstable();
            took
        };
        // From a follower: to the leader, from there to the other follower and back, and back here.
        assert_eq!(took(0), [20, 40, 40], "{reads:?}");
        let of_follower = if reads == Reads::Local { 0 } else { of_leader + 20 };
        assert_eq!(took(1), [of_leader, of_follower, of_follower], "{reads:?}");
        for (_, seen) in &ran.log {
            assert_eq!(seen.parts.of(Part::Coordination), seen.parts.total());
        }
    }
}

#[test]
fn nothing_is_decided_without_a_majority_and_everything_after_the_heal() {
    let mut bench = group(3, 10, quick());
    cut_off(&mut bench, &[0], 3, 2000, 4000);
    for site in [0, 1] {
        let script = (0..40)
            .map(|n| (ms(1000 + n * 100), write(1, site, Op::Add(1))))
            .collect();
        bench.clients.push((SiteId(site), script));
    }
    let (ran, records) = run(bench, ms(8000), &[What::Visible, What::Accepted]);
    let outcomes = |site: u32, from: u32, to: u32| -> Vec<Outcome> {
        let acts = ran
            .log
            .iter()
            .filter(|(client, seen)| *client == site && (from..to).contains(&seen.act));
        acts.map(|(_, seen)| seen.outcome).collect()
    };
    let done = |all: Vec<Outcome>| all.iter().filter(|outcome| **outcome == Outcome::Done).count();
    // On the minority side what is asked until a timeout before the heal is refused; on the other side all is done.
    let alone = outcomes(0, 11, 21);
    assert_eq!(alone.len(), 10);
    assert!(
        alone.iter().all(|outcome| matches!(outcome, Outcome::Refused { .. })),
        "{alone:?}"
    );
    assert_eq!(done(outcomes(1, 0, 40)), 40);
    assert_eq!(done(outcomes(0, 32, 40)), 8, "it works again");
    assert!(agree_on(&records, 1, 3));
    let done = done(outcomes(0, 0, 40)) + 40;
    let accepted = records
        .iter()
        .filter(|(record, _)| record.what == What::Accepted)
        .count();
    assert!(accepted >= done, "what is acknowledged is accepted");
}

/// Everything goes wrong, one after the other.
fn battered(raft: RaftSpec, lost: bool) -> Bench {
    let mut bench = group(3, 10, raft);
    bench.idempotent = true;
    bench.attempts = 2;
    bench.network.classes[1].loss = crate::network::Loss::Independent(0.05);
    bench.network.classes[1].duplication = 0.05;
    busy(&mut bench, 3, 500, 5000);
    let down = |replica, keep_state| FaultAction::Crash {
        targets: vec![replica],
        keep_state,
    };
    bench.faults = vec![
        (ms(1000), ms(1500), down(0, true)),
        (ms(2000), ms(2600), down(1, !lost)),
        (ms(3500), ms(3900), FaultAction::Pause { targets: vec![2] }),
        (
            ms(4200),
            ms(4201),
            FaultAction::ClockStep {
                targets: vec![0],
                by: -400_000_000,
            },
        ),
    ];
    cut_off(&mut bench, &[1, 2], 3, 4000, 4600);
    bench
}

#[test]
fn replicas_agree_in_all_types_of_keys_after_any_fault_and_updates_take_effect_once() {
    for lost in [false, true] {
        let kinds = [What::Visible, What::Accepted, What::Executed];
        let (ran, records) = run(battered(quick(), lost), ms(12_000), &kinds);
        assert_eq!(ran.end, End::TimeReached);
        assert!((0..3).all(|key| agree_on(&records, key, 3)), "lost: {lost}");
        let accepted: Vec<u64> = records
            .iter()
            .filter(|(record, _)| record.what == What::Accepted)
            .map(|(record, _)| record.a)
            .collect();
        let once: std::collections::BTreeSet<u64> = accepted.iter().copied().collect();
        assert_eq!(accepted.len(), once.len(), "two attempts of a call are one update");
        let executed = records
            .iter()
            .filter(|(record, _)| record.what == What::Executed)
            .count();
        assert_eq!(executed, accepted.len());
        let acknowledged = ran.log.iter().filter(|(_, seen)| seen.outcome == Outcome::Done).count();
        assert!(
            acknowledged > 250 && accepted.len() >= acknowledged,
            "{acknowledged} of {}",
            accepted.len()
        );
        // The counter is the number of increments that took effect: nothing is lost.
        let adds = records.iter().filter(|(record, _)| record.what == What::Accepted);
        let adds = adds.filter(|(_, extra)| matches!(of_op_words([extra[3], extra[4]]), Op::Add(1)));
        let shown = records
            .iter()
            .rev()
            .find(|(record, _)| record.what == What::Visible && record.a & 0xffff == 1);
        let sum = crate::state::Value::Counter(adds.count() as i64).digest();
        assert_eq!(shown.expect("it is shown").0.b, sum);
    }
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let print = |raft| run(battered(raft, true), ms(12_000), &[]).0.print;
    assert_eq!(print(quick()), print(quick()));
    let other = RaftSpec {
        reads: Reads::Lease(1_000_000),
        ..quick()
    };
    assert_eq!(print(other.clone()), print(other));
    let watched = run(
        battered(quick(), true),
        ms(12_000),
        &[What::Accepted, What::ReadServed, What::Visible],
    );
    assert_eq!(watched.0.print, print(quick()), "watching changes nothing");
}

#[test]
fn a_single_replica_is_a_group_too() {
    let mut bench = group(1, 10, quick());
    bench.clients = vec![(
        SiteId(0),
        vec![
            (ms(1000), write(0, 0, Op::Write(1))),
            (ms(2000), Act::Read { key: 0, replica: 0 }),
        ],
    )];
    let (ran, _) = run(bench, ms(3000), &[]);
    assert!(
        ran.log
            .iter()
            .all(|(_, seen)| seen.outcome == Outcome::Done && seen.parts.total() == SimDuration::ZERO)
    );
    assert_eq!(ran.log.len(), 2);
}

#[test]
fn where_a_majority_lost_its_disks_nothing_is_decided_any_more() {
    let mut bench = group(3, 10, quick());
    let script = (0..60)
        .map(|n| (ms(500 + n * 100), write(0, 0, Op::Write(n))))
        .collect();
    bench.clients.push((SiteId(0), script));
    let crash = FaultAction::Crash {
        targets: vec![1, 2],
        keep_state: false,
    };
    bench.faults = vec![(ms(2000), ms(2100), crash)];
    let (ran, _) = run(bench, ms(9000), &[]);
    let late = ran.log.iter().filter(|(_, seen)| seen.act > 16);
    assert!(late.clone().count() > 40);
    assert!(
        late.clone()
            .all(|(_, seen)| matches!(seen.outcome, Outcome::Refused { .. }))
    );
}
