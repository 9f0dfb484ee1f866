//! Stores of several groups in a world: who leads them, what that costs, and what is left to the others when one leader is gone.

use super::super::testing::{Act, Bench, FaultAction, ms};
use super::super::tests::{agree_on, busy, run, write};
use super::tests::{cut_off, group, quick};
use super::{Leaders, RaftSpec, Reads, Sharding};
use crate::network::SiteId;
use crate::state::Op;
use crate::world::call::Outcome;
use crate::world::record::What;

/// The three keys of three replicas, each in a group of its own.
fn spread(reads: Reads) -> RaftSpec {
    RaftSpec {
        sharding: Sharding::by_range(3, 3),
        leaders: Leaders::Spread,
        reads,
        ..quick()
    }
}

fn op(key: u32, n: u64) -> Op {
    match key {
        0 => Op::Write(n),
        1 => Op::Add(1),
        _ => Op::Insert(n),
    }
}

/// A client at each site that updates all three keys at its own replica, at each of these times, and then reads them, one after the other:
/// reads that come together share rounds of heartbeats.
fn probe(bench: &mut Bench, times: &[u64]) {
    for site in 0..3 {
        let mut script = Vec::new();
        for at in times {
            for key in 0..3 {
                script.push((ms(*at), write(key, site, op(key, at + u64::from(site)))));
            }
            for key in 0..3 {
                let turn = u64::from(3 * site + key);
                script.push((ms(at + 200 + 60 * turn), Act::Read { key, replica: site }));
            }
        }
        bench.clients.push((SiteId(site), script));
    }
}

/// How long the acts of a probe took, in milliseconds: by site, act by act. 10 000 stands for a refusal.
fn took(bench: Bench, until: u64) -> Vec<Vec<u64>> {
    let (ran, _) = run(bench, ms(until), &[]);
    let of_site = |site: u32| {
        let mut acts: Vec<_> = ran.log.iter().filter(|(client, _)| *client == site).collect();
        acts.sort_by_key(|(_, seen)| seen.act);
        let took = |outcome, took: u64| if outcome == Outcome::Done { took } else { 10_000 };
        let all = acts
            .iter()
            .map(|(_, seen)| took(seen.outcome, seen.parts.total().as_nanos() / 1_000_000));
        all.collect()
    };
    (0..3).map(of_site).collect()
}

#[test]
fn each_group_is_led_from_a_site_of_its_own() {
    for (reads, of_leader) in [(Reads::RoundTrip, 20), (Reads::Lease(0), 0)] {
        let mut bench = group(3, 10, spread(reads));
        probe(&mut bench, &[1500]);
        for (site, took) in took(bench, 3000).into_iter().enumerate() {
            // An update of what is led here takes the way to a majority and back, of all else the way to its leader as well.
            let near = |key: usize, near: u64| if key == site { near } else { near + 20 };
            let updates: Vec<u64> = (0..3).map(|key| near(key, 20)).collect();
            let asked: Vec<u64> = (0..3).map(|key| near(key, of_leader)).collect();
            assert_eq!(took, [updates, asked].concat(), "{reads:?} at site {site}");
        }
    }
}

#[test]
fn one_replica_leads_all_groups_if_that_is_wanted() {
    let raft = RaftSpec {
        leaders: Leaders::At(1),
        ..spread(Reads::Lease(0))
    };
    let mut bench = group(3, 10, raft);
    probe(&mut bench, &[1500]);
    let near = [vec![20; 3], vec![0; 3]].concat();
    let far = [vec![40; 3], vec![20; 3]].concat();
    assert_eq!(took(bench, 3000), [far.clone(), near, far]);
}

#[test]
fn what_others_lead_goes_on_while_a_leader_is_gone_and_it_leads_again_afterwards() {
    // Both ways of being gone: down, and cut off.
    for is_down in [true, false] {
        let mut bench = group(3, 10, spread(Reads::RoundTrip));
        if is_down {
            let crash = FaultAction::Crash {
                targets: vec![0],
                keep_state: true,
            };
            bench.faults.push((ms(2000), ms(4000), crash));
        } else {
            cut_off(&mut bench, &[0], 3, 2000, 4000);
        }
        probe(&mut bench, &[2010, 3000, 7000]);
        let took = took(bench, 9000);
        for site in [1, 2] {
            let of = &took[site];
            // At once after it is gone: only its own group waits, for an election.
            assert_eq!(of[site], 20, "site {site}: {of:?}");
            assert_eq!(of[3 - site], 40, "site {site}: {of:?}");
            assert!(of[0] > 100 && of[0] < 10_000, "site {site}: {of:?}");
            // A second later somebody else leads it.
            assert!(of[6] <= 40, "site {site}: {of:?}");
            // And in the end it leads again.
            assert_eq!((of[12], of[12 + site]), (40, 20), "site {site}: {of:?}");
        }
        let back = if is_down { took[0].len() - 6 } else { 12 };
        assert_eq!(took[0][back..back + 3], [20, 40, 40], "{:?}", took[0]);
    }
}

#[test]
fn groups_cost_heartbeats_of_their_own() {
    let sent = |shards: u32| {
        let raft = RaftSpec {
            sharding: Sharding::by_range(shards, 3),
            ..spread(Reads::RoundTrip)
        };
        let (_, records) = run(group(3, 10, raft), ms(10_000), &[What::Sent]);
        records.len()
    };
    let (one, three) = (sent(1), sent(3));
    // Nobody asks anything: two heartbeats and their answers for each group, 25 times a second.
    assert!((950..1_050).contains(&one), "{one}");
    assert!(
        (3 * one - 60..3 * one + 60).contains(&three),
        "{three} for three groups, {one} for one"
    );
}

#[test]
fn a_group_takes_over_the_state_of_its_own_keys_alone() {
    // The log is compacted while one replica is cut off and another has lost its disk: both get states, group by group.
    let mut bench = group(3, 10, spread(Reads::RoundTrip));
    bench.idempotent = true;
    busy(&mut bench, 3, 500, 5000);
    let crash = FaultAction::Crash {
        targets: vec![1],
        keep_state: false,
    };
    bench.faults.push((ms(3000), ms(3500), crash));
    cut_off(&mut bench, &[2], 3, 1000, 2500);
    let (ran, records) = run(bench, ms(12_000), &[What::Visible, What::Accepted]);
    assert!((0..3).all(|key| agree_on(&records, key, 3)));
    let accepted = records
        .iter()
        .filter(|(record, _)| record.what == What::Accepted)
        .count();
    let done = ran.log.iter().filter(|(_, seen)| seen.outcome == Outcome::Done).count();
    assert!(done > 200 && accepted >= done, "{done} of {accepted}");
}

#[test]
fn an_added_group_changes_nothing_about_the_others() {
    // The keys of the first group are asked alone: that there is another one, which nobody asks, doesn't move a draw.
    let took = |shards: u32| {
        let raft = RaftSpec {
            sharding: Sharding::by_range(shards, 3),
            ..quick()
        };
        let mut bench = group(3, 10, raft);
        let script = (0..40)
            .map(|n| (ms(500 + n * 100), write(0, 0, Op::Write(n))))
            .collect();
        bench.clients.push((SiteId(0), script));
        bench.network.classes[1].loss = crate::network::Loss::Independent(0.05);
        let (ran, _) = run(bench, ms(6_000), &[]);
        ran.log
            .into_iter()
            .map(|(_, seen)| (seen.at, seen.outcome))
            .collect::<Vec<_>>()
    };
    assert_eq!(took(1), took(3));
}
