//! The promises of the core over random schedules, and planted flaws that break them.

mod group;
mod scripts;

use super::*;
use group::{Chaos, Group, MS, settings};
use proptest::prelude::*;

/// Runs a group through random faults, lets it recover, and says which promise was broken first.
fn run(seed: u64, members: u32, settings: Settings, chaos: Chaos) -> Result<Group, String> {
    let mut group = Group::new(seed, members, settings, chaos);
    group.suffer(6_000 * MS)?;
    group.recover()?;
    Ok(group)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    #[test]
    fn promises_hold_whatever_happens_to_messages_and_members(
        seed: u64,
        members in prop::sample::select(vec![1u32, 2, 3, 4, 5]),
        pre_vote: bool,
        loss in 0.0f64..0.25,
        disks_die: bool,
        lease: bool,
    ) {
        let chaos = Chaos { loss, disks_die: disks_die && members > 2, ..Chaos::default() };
        let settings = Settings { pre_vote, lease: lease.then_some(140 * MS), ..settings() };
        let ran = run(seed, members, settings, chaos);
        prop_assert!(ran.is_ok(), "{}", ran.err().unwrap_or_default());
    }
}

/// A planted flaw breaks a promise in one of many runs, and without it none is broken in as many.
fn finds(flaw: Flaw, (members, batch): (u32, usize), chaos: Chaos, what: &str) {
    let run = |flaw, seed| {
        let settings = Settings {
            flaw,
            batch,
            pre_vote: false,
            // The log stays whole: a flawed member mustn't stumble over its own compaction.
            snapshot_every: u64::MAX / 2,
            ..settings()
        };
        Group::new(seed, members, settings, chaos).suffer(6_000 * MS).err()
    };
    let (mut seeds, mut whys) = (0..400, Vec::new());
    let found = seeds.find(|seed| {
        whys.extend(run(flaw, *seed));
        whys.last().is_some_and(|why| why.contains(what))
    });
    assert!(
        found.is_some(),
        "{} runs were broken, none by {what}: {:?}",
        whys.len(),
        whys.first()
    );
    assert!((0..found.unwrap_or(0).max(20)).all(|seed| run(Flaw::None, seed).is_none()));
}

#[test]
fn a_voter_that_compares_no_logs_elects_a_leader_that_lacks_what_is_committed() {
    finds(Flaw::VotesForShortLogs, (5, 4), Chaos::default(), "lacks");
}

#[test]
fn a_follower_that_cuts_matching_entries_loses_what_is_committed() {
    let chaos = Chaos {
        slow: 0.3,
        ..Chaos::default()
    };
    finds(Flaw::CutsMatching, (5, 4), chaos, "lacks");
}

#[test]
fn clocks_beyond_the_bound_break_the_lease_and_nothing_else() {
    // The leader's clock may run at a quarter of the speed of the others'.
    let chaos = Chaos {
        drift: 0.75,
        transfers: 3.0,
        ..Chaos::default()
    };
    let run_in = |chaos: Chaos, lease, seed| {
        let settings = Settings { lease, ..settings() };
        Group::new(seed, 3, settings, chaos).suffer(6_000 * MS)
    };
    let run = |lease, seed| run_in(chaos, lease, seed);
    assert!(
        (0..40).all(|seed| run(None, seed).is_ok()),
        "round trips need no clocks"
    );
    let within = Some(150 / 4 * MS);
    assert!(
        (0..40).all(|seed| run(within, seed).is_ok()),
        "a lease of a quarter is within the bound"
    );
    let worse = Chaos {
        drift: 0.9,
        cuts: 3.0,
        ..chaos
    };
    let mut broken = (0..2_000).filter_map(|seed| run_in(worse, Some(150 * MS), seed).err());
    let first: Vec<String> = broken.by_ref().take(1).collect();
    assert!(
        !first.is_empty() && first.iter().all(|why| why.contains("stale")),
        "{first:?}"
    );
}

#[test]
fn a_leader_hands_over_to_whom_it_is_asked_to() {
    let mut group = Group::new(3, 3, settings(), Chaos::none());
    group.pass(1_000 * MS).unwrap();
    let leader = group.leader().expect("somebody leads");
    let to = (leader + 1) % 3;
    let term = group.term(leader);
    assert!(group.transfer(leader, to));
    group.pass(100 * MS).unwrap();
    assert_eq!(
        (group.leader(), group.term(to)),
        (Some(to), term + 1),
        "without a wait for a timeout"
    );
}

#[test]
fn a_member_that_lost_its_disk_votes_only_as_a_new_member() {
    let mut group = Group::new(5, 3, settings(), Chaos::none());
    group.pass(1_000 * MS).unwrap();
    let leader = group.leader().expect("somebody leads");
    let lost = (leader + 1) % 3;
    group.lose(lost);
    group.pass(50 * MS).unwrap();
    assert!(group.is_joining(lost), "it isn't a voter at once");
    group.pass(2_000 * MS).unwrap();
    assert!(!group.is_joining(lost));
    let members = group.members(leader);
    assert_eq!(members.voters.len(), 3);
    assert!(!members.has_voter(Id(lost)), "its old self is out");
}

#[test]
fn a_majority_that_lost_its_disks_decides_nothing_ever_again() {
    let mut group = Group::new(6, 3, settings(), Chaos::none());
    group.pass(1_000 * MS).unwrap();
    let leader = group.leader().expect("somebody leads");
    group.lose((leader + 1) % 3);
    group.lose((leader + 2) % 3);
    let before = group.decided();
    group.pass(5_000 * MS).unwrap();
    assert_eq!(group.leader(), None);
    // What was on its way when the disks died may still have been decided.
    assert!(group.decided() <= before + 2);
}

#[test]
fn a_follower_far_behind_gets_a_snapshot_and_then_the_rest() {
    let mut group = Group::new(8, 3, settings(), Chaos::none());
    group.pass(1_000 * MS).unwrap();
    let leader = group.leader().expect("somebody leads");
    let behind = (leader + 1) % 3;
    group.cut_off(behind);
    group.pass(3_000 * MS).unwrap();
    group.heal();
    group.pass(1_000 * MS).unwrap();
    assert!(
        group.installed(behind) > 0,
        "the entries that it lacks aren't in the log any more"
    );
    group.recover().unwrap();
}
