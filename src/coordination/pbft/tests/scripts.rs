//! What happens, message for message, in situations that are set up by hand.

use super::judge::{Asking, judge};
use super::*;
use crate::coordination::member::Input;

/// Messages of a kind.
fn sent(bench: &Bench<Node>, kind: &str) -> u64 {
    bench.sent[kind]
}

/// Who executed what, in order.
fn executed(bench: &Bench<Node>, replica: u32) -> Vec<u64> {
    let decided =
        |note: &&(u64, u32, crate::coordination::member::Note)| note.1 == replica && note.2.event == event::DECIDED;
    bench
        .notes
        .iter()
        .filter(decided)
        .map(|(_, _, note)| note.about)
        .collect()
}

#[test]
fn a_request_costs_what_the_paper_says() {
    for faulty in [1, 2, 3, 10] {
        let rules = Rules::new(faulty);
        let n = u64::from(rules.replicas);
        let mut bench = bench(1, &rules, 1);
        bench.ask(rules.replicas, 7, 70);
        bench.run_until(10 * MS);
        // Request, pre-prepare, prepare, commit, reply: a hop each.
        assert_eq!(bench.answers.len(), 1);
        assert_eq!(bench.answers[0].0, 5 * MS);
        let counts = ["request", "pre_prepare", "prepare", "commit", "reply"].map(|kind| sent(&bench, kind));
        assert_eq!(counts, [1, n - 1, (n - 1) * (n - 1), n * (n - 1), n], "f = {faulty}");
        assert_eq!(bench.messages(), counts.iter().sum::<u64>());
        bench.run_until(20_000 * MS);
        assert_eq!(bench.messages(), counts.iter().sum::<u64>(), "then all is quiet");
        assert!((0..rules.replicas).all(|replica| executed(&bench, replica) == [7]));
    }
}

#[test]
fn a_batch_shares_its_votes() {
    let rules = Rules {
        batch: 8,
        in_flight: 1,
        ..Rules::new(1)
    };
    let mut bench = bench(2, &rules, 1);
    (1..=17).for_each(|identity| {
        bench.ask(4, identity, identity);
    });
    bench.run_until(100 * MS);
    assert_eq!(bench.answers.len(), 17);
    // The first alone, then all that came meanwhile, in batches.
    assert_eq!(sent(&bench, "pre_prepare"), 3 * 3);
    assert_eq!(sent(&bench, "reply"), 4 * 17);
    assert!((0..4).all(|replica| executed(&bench, replica) == (1..=17).collect::<Vec<_>>()));
}

#[test]
fn signatures_take_their_time() {
    let rules = Rules {
        sign: 100_000,
        verify: 10_000,
        ..Rules::new(1)
    };
    let mut bench = bench(3, &rules, 1);
    bench.ask(4, 1, 1);
    bench.run_until(100 * MS);
    let (at, ..) = bench.answers[0];
    // Client, primary, backup, then a replica's commit and its reply are signed one after the other: five signatures at least.
    assert!(at >= 5 * MS + 5 * 100_000, "{at}");
    assert!(at <= 5 * MS + 1_000_000, "{at}");
}

#[test]
fn checkpoints_cut_the_log_and_bring_back_who_fell_behind() {
    let rules = rules(1);
    let mut bench = bench(4, &rules, 1);
    bench.cut(|member| u32::from(member == 3));
    for identity in 1..=30 {
        bench.ask(4, identity, identity);
        bench.run_until(identity * 20 * MS);
    }
    let low = |bench: &Bench<Node>, replica: usize| bench.seats[replica].member.replica().map(Replica::low);
    assert_eq!([0, 1, 2].map(|replica| low(&bench, replica)), [Some(28); 3]);
    assert_eq!(low(&bench, 3), Some(0));
    bench.heal();
    for identity in 31..=40 {
        bench.ask(4, identity, identity);
        bench.run_until(identity * 20 * MS);
    }
    bench.run_until(3_000 * MS);
    assert_eq!(bench.answers.len(), 40);
    let installed = bench.notes.iter().filter(|(_, _, note)| note.event == notes::INSTALLED);
    assert!(installed.clone().all(|(_, who, _)| *who == 3) && installed.count() > 0);
    assert_eq!(bench.seats[3].member.replica().map(Replica::executed), Some(40));
    assert_eq!(low(&bench, 3), Some(40));
}

#[test]
fn a_silent_primary_costs_a_view() {
    let rules = Rules {
        byzantine: vec![(0, Behaviour::Silent)],
        ..rules(1)
    };
    let mut bench = bench(5, &rules, 1);
    bench.ask(4, 1, 10);
    bench.run_until(1_000 * MS);
    assert_eq!(bench.answers.len(), 1);
    // The client's patience, the replicas' patience, and the way through a view change.
    let at = bench.answers[0].0;
    assert!(at > 350 * MS && at < 375 * MS, "{at}");
    let views = [1, 2, 3].map(|replica: usize| bench.seats[replica].member.replica().map(Replica::view));
    assert_eq!(views, [Some((1, true)); 3]);
    // The client knows the primary by now.
    let before = sent(&bench, "request");
    bench.ask(4, 2, 20);
    bench.run_until(1_100 * MS);
    assert_eq!((bench.answers.len(), sent(&bench, "request")), (2, before + 1));
}

#[test]
fn several_silent_primaries_cost_doubled_patience() {
    let rules = Rules {
        byzantine: (0..3).map(|replica| (replica, Behaviour::Silent)).collect(),
        ..rules(3)
    };
    let mut bench = bench(6, &rules, 1);
    bench.ask(10, 1, 10);
    bench.run_until(3_000 * MS);
    // Views 0 and 1 have 200 ms each, view 2 has 400 ms.
    let at = bench.answers[0].0;
    assert!(
        at > (150 + 200 + 200 + 400) * MS && at < (150 + 200 + 200 + 400 + 40) * MS,
        "{at}"
    );
}

/// A request that three of four have executed, the fourth being cut off; then `lost` of the three lose their disks, the last is cut off in
/// the fourth's place, and another client asks.
fn lose_disks(lost: &[u32]) -> (Bench<Node>, Vec<Asking>) {
    let mut bench = bench(7, &rules(1), 1);
    bench.cut(|member| u32::from(member == 3));
    let first = bench.ask(4, 1, 10);
    bench.run_until(100 * MS);
    assert!((0..3).all(|replica| executed(&bench, replica) == [1]));
    for replica in lost {
        bench.crash(*replica, false);
        bench.restart(*replica);
    }
    bench.cut(|member| u32::from(member == 0));
    let second = bench.ask(4, 2, 20);
    bench.run_until(5_000 * MS);
    let asking = |(identity, token): (u64, u64)| Asking {
        identity,
        value: identity * 10,
        at: if identity == 1 { 0 } else { 100 * MS },
        token,
    };
    (bench, [(1, first), (2, second)].map(asking).to_vec())
}

#[test]
fn as_many_lost_disks_as_may_be_faulty_lose_nothing() {
    let (bench, asked) = lose_disks(&[2]);
    assert_eq!(bench.answers.len(), 2);
    assert_eq!(executed(&bench, 1), [1, 2]);
    assert_eq!(executed(&bench, 3), [1, 2]);
    assert_eq!(judge(&bench, &asked, &[], |who| who != 2), Ok(()));
}

#[test]
fn more_lost_disks_than_may_be_faulty_break_agreement() {
    let (bench, asked) = lose_disks(&[1, 2]);
    // Both are answered, at the same place of the order.
    assert_eq!(bench.answers.len(), 2);
    assert_eq!((executed(&bench, 0), executed(&bench, 3)), (vec![1], vec![2]));
    let why = judge(&bench, &asked, &[], |who| who == 0 || who == 3);
    assert!(why.is_err_and(|why| why.contains("disagree")));
}

#[test]
fn forged_messages_are_recognised() {
    let rules = Rules {
        byzantine: vec![(0, Behaviour::Forge)],
        ..rules(1)
    };
    let mut bench = bench(8, &rules, 1);
    bench.ask(4, 1, 10);
    bench.run_until(1_000 * MS);
    assert_eq!(bench.answers.len(), 1);
    assert_eq!(bench.answers[0].2.value, 10);
    let rejected = |kind: u64| {
        let is_it = |note: &&(u64, u32, crate::coordination::member::Note)| {
            (note.2.event, note.2.about, note.2.word) == (notes::REJECTED, 0, kind)
        };
        bench.notes.iter().filter(is_it).count()
    };
    // Its order, by each of the others, as often as it sends it; its made-up certificates, by those who got them.
    assert!(rejected(1) >= 3);
    assert!(rejected(6) > 0);
    assert!(
        bench
            .notes
            .iter()
            .all(|(_, _, note)| note.event != notes::REJECTED || note.about == 0)
    );
}

#[test]
fn a_request_that_comes_again_is_answered_from_what_is_kept() {
    let mut bench = bench(9, &rules(1), 2);
    bench.ask(4, 1, 10);
    bench.run_until(50 * MS);
    bench.ask(5, 1, 10);
    bench.run_until(1_000 * MS);
    // The primary alone has been asked at first, and the replies go to whoever asked first; then all are asked.
    assert_eq!(bench.answers.len(), 2);
    assert!((0..4).all(|replica| executed(&bench, replica) == [1]));
}

#[test]
fn whoever_does_not_wait_any_more_is_forgotten() {
    let mut bench = bench(10, &rules(1), 1);
    let token = bench.ask(4, 1, 10);
    bench.hand(4, Input::Withdrawn(token));
    bench.run_until(1_000 * MS);
    assert_eq!(bench.answers.len(), 0);
    assert_eq!(sent(&bench, "request"), 1);
}
