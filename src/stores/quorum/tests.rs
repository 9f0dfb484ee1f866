//! Quorums in a world: what operations take, who is asked, and what faults leave.

use super::super::Protocol;
use super::super::testing::{Act, Bench, FaultAction, ms};
use super::super::tests::{MODELS, agree_on, bench, busy, run, write};
use super::super::{HintedHandoff, Model, Placement, QuorumSpec};
use crate::kernel::{End, SimDuration};
use crate::network::{Cut, Group, InTransit, Latency, LinkSpec, SiteId};
use crate::random::Law;
use crate::state::{KeyType, Op};
use crate::world::call::{Outcome, Part};
use crate::world::record::What;
use std::sync::Arc;

fn millis(ms: u64) -> SimDuration {
    SimDuration::from_millis(ms)
}

fn quorum(n: u32, r: u32, w: u32) -> QuorumSpec {
    QuorumSpec {
        r,
        w,
        ..QuorumSpec::majority(n)
    }
}

fn handoff(keep: SimDuration) -> HintedHandoff {
    HintedHandoff {
        after: millis(200),
        retry: millis(500),
        keep,
    }
}

fn down(replica: u32, keep_state: bool) -> FaultAction {
    FaultAction::Crash {
        targets: vec![replica],
        keep_state,
    }
}

/// Three replicas, of which the third is 300 ms from the first.
fn uneven(spec: QuorumSpec) -> Bench {
    let mut bench = bench(MODELS[0], 3, 10);
    let far = LinkSpec {
        latency: Latency::Law(Law::Constant(300e6)),
        ..LinkSpec::default()
    };
    bench.network.classes.push(far);
    bench.network.pairs.extend([((0, 2), 2), ((2, 0), 2)]);
    bench.spec.protocol = Protocol::Quorum(Box::new(spec));
    let read = Act::Read { key: 0, replica: 0 };
    bench.clients = vec![(SiteId(0), vec![(ms(0), write(0, 0, Op::Write(1))), (ms(2000), read)])];
    bench
}

#[test]
fn an_operation_takes_until_enough_have_answered_and_that_is_coordination() {
    for (r, w, expected) in [(1, 1, [0, 0]), (2, 2, [20, 20]), (3, 1, [0, 600]), (1, 3, [600, 0])] {
        let (ran, _) = run(uneven(quorum(3, r, w)), ms(5000), &[]);
        let took: Vec<u64> = ran
            .log
            .iter()
            .map(|(_, seen)| seen.parts.total().as_nanos() / 1_000_000)
            .collect();
        assert_eq!(took, expected, "{r} {w}");
        for (_, seen) in &ran.log {
            assert_eq!(seen.parts.of(Part::Coordination), seen.parts.total());
        }
    }
}

#[test]
fn legs_take_their_own_time_and_a_coordinator_has_them_without_the_network() {
    let mut spec = quorum(3, 2, 2);
    let law = |ms: f64| Some(Law::Constant(ms * 1e6));
    (spec.legs.write, spec.legs.ack) = (law(40.0), law(7.0));
    (spec.legs.read, spec.legs.reply) = (law(5.0), law(1.0));
    let mut bench = uneven(spec);
    bench.spec.processing = law(3.0);
    let (ran, _) = run(bench, ms(5000), &[]);
    let took = |act: usize, part| ran.log[act].1.parts.of(part);
    // The second answer is that of the replica next door: two journeys beside the legs.
    assert_eq!(
        (took(0, Part::Coordination), took(0, Part::Service)),
        (millis(40 + 7 + 20), millis(3))
    );
    assert_eq!(
        (took(1, Part::Coordination), took(1, Part::Service)),
        (millis(5 + 1 + 20), millis(3))
    );
}

#[test]
fn updates_that_are_still_logged_build_on_each_other() {
    // Two increments and two inserts within the time that a coordinator's own write takes.
    for model in MODELS {
        let mut bench = bench(model, 3, 10);
        let mut spec = quorum(3, 3, 1);
        spec.legs.write = Some(Law::Uniform { low: 0.0, high: 300e6 });
        bench.spec.protocol = Protocol::Quorum(Box::new(spec));
        let script = (0..8).map(|n| (ms(10 + n), write(1, 0, Op::Add(1))));
        bench.clients = vec![(SiteId(0), script.collect())];
        let (ran, records) = run(bench, ms(60_000), &[What::Visible, What::Holds]);
        assert_eq!(ran.end, End::Drained);
        assert!(agree_on(&records, 1, 3));
        let mut holds = records.iter().filter(|(record, _)| record.what == What::Visible);
        let last = holds.next_back().expect("something was shown").0.b;
        assert_eq!(last, crate::state::Value::Counter(8).digest(), "{model:?}");
    }
}

#[test]
fn too_few_answers_are_a_refusal_after_the_timeout() {
    let mut bench = uneven(quorum(3, 2, 2));
    bench.faults = vec![(ms(0), ms(9000), down(1, true)), (ms(0), ms(9000), down(2, true))];
    bench.clients[0].1[0].0 = ms(100);
    let (ran, _) = run(bench, ms(8000), &[]);
    assert_eq!(ran.log.len(), 2);
    for (_, seen) in &ran.log {
        assert_eq!(seen.outcome, Outcome::Refused { retry_after: None });
        assert_eq!(seen.parts.of(Part::Coordination), millis(1000));
    }
}

#[test]
fn a_coordinator_that_stands_still_counts_as_down_and_one_that_crashes_says_nothing() {
    let mut paused = uneven(quorum(3, 2, 2));
    paused
        .faults
        .push((ms(5), ms(105), FaultAction::Pause { targets: vec![0] }));
    let (ran, _) = run(paused, ms(5000), &[]);
    let parts = &ran.log[0].1.parts;
    assert_eq!(
        (parts.of(Part::Down), parts.of(Part::Coordination)),
        (millis(100), millis(5))
    );
    let mut crashed = uneven(quorum(3, 2, 2));
    crashed.faults.push((ms(5), ms(105), down(0, true)));
    let (ran, records) = run(crashed, ms(5000), &[What::RequestDropped]);
    assert_eq!((ran.log.len(), records.len(), ran.end), (1, 1, End::Drained));
}

#[test]
fn an_update_is_passed_on_to_whoever_keeps_its_key() {
    let placement = Placement::ring(["note", "count", "tags"], &["a", "b", "c"]);
    let order: Vec<u32> = placement.order(0).iter().map(|member| u32::from(*member)).collect();
    for (n, first_is_down, expected) in [
        (1, false, Some(40)),
        (2, false, Some(40)),
        (2, true, Some(250 + 40)),
        (1, true, None),
    ] {
        let mut spec = quorum(n, 1, 1);
        spec.placement = Arc::new(placement.clone());
        let mut bench = bench(MODELS[2], 3, 10);
        bench.spec.protocol = Protocol::Quorum(Box::new(spec));
        let asked = order[2];
        let client = SiteId(order[0]);
        let read = Act::Read { key: 0, replica: asked };
        bench.clients = vec![(client, vec![(ms(100), write(0, asked, Op::Write(1))), (ms(3000), read)])];
        if first_is_down {
            bench.faults.push((ms(50), ms(2000), down(order[0], true)));
        }
        let (ran, records) = run(bench, ms(9000), &[What::Executed, What::RequestArrived]);
        let seen = &ran.log[0].1;
        // The journey to the replica that is asked, to the one that keeps the key, and from there to the client, which is in
        // the site of the first of them.
        let back = if first_is_down { 10 } else { 0 };
        match expected {
            Some(took) => {
                assert_eq!(seen.outcome, Outcome::Done, "{n} {first_is_down}");
                assert_eq!(seen.parts.total(), millis(took - 20 + back), "{n} {first_is_down}");
                assert_eq!(seen.parts.of(Part::Coordination), millis(took - 30));
            }
            None => assert_eq!(seen.outcome, Outcome::Refused { retry_after: None }),
        }
        let executed: Vec<u32> = records
            .iter()
            .filter(|(record, _)| record.what == What::Executed)
            .map(|(record, _)| record.subject)
            .collect();
        assert_eq!(
            executed,
            expected
                .map(|_| order[usize::from(first_is_down)])
                .into_iter()
                .collect::<Vec<_>>()
        );
        // Anybody coordinates reads.
        assert_eq!(ran.log[1].1.outcome, Outcome::Done);
    }
}

#[test]
fn hints_are_handed_off_unless_they_are_too_old() {
    for (keep, arrives) in [(60_000, true), (1000, false)] {
        for model in MODELS {
            let mut bench = bench(model, 3, 10);
            let mut spec = quorum(3, 2, 2);
            spec.hinted_handoff = Some(handoff(millis(keep)));
            bench.spec.protocol = Protocol::Quorum(Box::new(spec));
            bench.faults.push((ms(50), ms(5000), down(2, true)));
            bench.clients = vec![(SiteId(0), vec![(ms(100), write(2, 0, Op::Insert(4)))])];
            let (ran, records) = run(bench, ms(60_000), &[What::Visible]);
            assert_eq!((ran.end, ran.log[0].1.outcome), (End::Drained, Outcome::Done));
            assert_eq!(agree_on(&records, 2, 3), arrives, "{model:?} {keep}");
        }
    }
}

#[test]
fn a_crash_loses_hints_with_the_state_and_keeps_them_with_it() {
    for keep_state in [true, false] {
        let mut bench = bench(MODELS[0], 3, 10);
        let mut spec = quorum(3, 2, 2);
        spec.hinted_handoff = Some(handoff(millis(60_000)));
        bench.spec.protocol = Protocol::Quorum(Box::new(spec));
        bench.faults = vec![
            (ms(50), ms(5000), down(2, true)),
            (ms(1000), ms(2000), down(0, keep_state)),
        ];
        bench.clients = vec![(SiteId(0), vec![(ms(100), write(0, 0, Op::Write(4)))])];
        let (_, records) = run(bench, ms(60_000), &[What::Visible, What::Applied]);
        let arrived = records
            .iter()
            .any(|(record, _)| record.what == What::Applied && record.subject == 2);
        assert_eq!(arrived, keep_state);
    }
}

/// Everything at once: legs, losses, copies, a cut, a crash, a pause, repair, stand-ins, anti-entropy.
fn busy_quorum(model: crate::stores::Model) -> Bench {
    let mut bench = bench(model, 5, 20);
    busy(&mut bench, 5, 10, 4000);
    (bench.network.classes[1].loss, bench.network.classes[1].duplication) =
        (crate::network::Loss::Independent(0.2), 0.2);
    let law = || Some(Law::Exponential { mean: 15e6 });
    let mut spec = quorum(3, 2, 2);
    spec.placement = Arc::new(Placement::ring(["note", "count", "tags"], &["a", "b", "c", "d", "e"]));
    (spec.legs.write, spec.legs.ack, spec.legs.read, spec.legs.reply) = (law(), law(), law(), law());
    (spec.read_repair, spec.sloppy, spec.hinted_handoff) = (true, true, Some(handoff(millis(600_000))));
    bench.spec.protocol = Protocol::Quorum(Box::new(spec));
    bench.spec.anti_entropy = Some(crate::stores::AntiEntropy {
        every: millis(300),
        jitter: None,
        until: Some(ms(5000)),
    });
    bench.network.cuts.push(Cut {
        name: "split".into(),
        from: Group::sites([SiteId(0), SiteId(1)]),
        to: Group::sites([SiteId(2), SiteId(3), SiteId(4)]),
        both_ways: true,
        in_flight: InTransit::Lost,
        sent: InTransit::Lost,
    });
    bench.faults = vec![
        (ms(500), ms(1500), FaultAction::Cut(0)),
        (ms(800), ms(2500), down(3, true)),
        (ms(1800), ms(2600), down(1, false)),
        (ms(2000), ms(2300), FaultAction::Pause { targets: vec![4] }),
    ];
    (bench.idempotent, bench.attempts) = (true, 2);
    bench
}

#[test]
fn everything_at_once_comes_to_rest_repeats_and_is_the_same_watched_or_not() {
    for model in MODELS {
        let until = ms(600_000);
        let (watched, _) = run(
            busy_quorum(model),
            until,
            &[What::Visible, What::EntryRead, What::ReadServed, What::Accepted],
        );
        let alone = busy_quorum(model).run(until, Vec::new());
        assert_eq!(watched.end, End::Drained, "{model:?}");
        assert_eq!((&watched.print, watched.log.len()), (&alone.print, alone.log.len()));
        let other = Bench {
            seed: 2,
            ..busy_quorum(model)
        };
        assert_ne!(other.run(until, Vec::new()).print, alone.print);
    }
}

#[test]
fn an_edit_counts_the_characters_that_its_agent_was_shown_whoever_brought_them() {
    let mut bench = uneven(quorum(3, 2, 2));
    bench.model = MODELS
        .into_iter()
        .find(|model| matches!(model, Model::Crdt(_)))
        .expect("one of them is");
    let key = bench.spec.keys.len() as u32;
    bench.spec.keys.push(("text".into(), KeyType::Text));
    let typed = Op::InsertText {
        at: 0,
        from: 0,
        length: 4,
    };
    let delete = Act::Update {
        key,
        replica: 0,
        op: Op::DeleteText { at: 1, length: 2 },
        aware: true,
    };
    // What is typed far away comes to the first replica after 300 ms, and to its neighbour at once, which answers the read as well.
    bench.clients = vec![
        (SiteId(2), vec![(ms(0), write(key, 2, typed))]),
        (
            SiteId(0),
            vec![(ms(50), Act::Read { key, replica: 0 }), (ms(100), delete)],
        ),
    ];
    let (_, records) = run(bench, ms(5000), &[What::Took]);
    let took: Vec<u64> = records.iter().map(|(_, extra)| extra[0]).collect();
    assert_eq!(took, [1 << 32 | 2], "the second and the third character");
}

#[test]
fn a_sloppy_write_goes_to_whoever_is_healthy_where_nobody_keeps_its_key() {
    for sloppy in [true, false] {
        let mut bench = bench(MODELS[0], 5, 10);
        let sites = ["a", "b", "c", "d", "e"];
        let is_over_there = |name: &String| {
            let mut list = Placement::ring([name.as_str()], &sites).order(0)[..3].to_vec();
            list.sort_unstable();
            list == [2, 3, 4]
        };
        let name = (0..).map(|n| format!("key{n}")).find(is_over_there);
        bench.spec.keys[0].0 = name.expect("there are enough names");
        let names = bench.spec.keys.iter().map(|(name, _)| name.as_str());
        let placement = Arc::new(Placement::ring(names, &sites));
        bench.spec.protocol = Protocol::Quorum(Box::new(QuorumSpec {
            n: 3,
            placement,
            sloppy,
            hinted_handoff: Some(handoff(millis(600_000))),
            ..quorum(5, 2, 2)
        }));
        bench.network.cuts.push(Cut {
            name: "split".into(),
            from: Group::sites([SiteId(0), SiteId(1)]),
            to: Group::sites([SiteId(2), SiteId(3), SiteId(4)]),
            both_ways: true,
            in_flight: InTransit::Lost,
            sent: InTransit::Lost,
        });
        bench.faults = vec![(ms(100), ms(9000), FaultAction::Cut(0))];
        let writes = [1000, 3000].map(|at| (ms(at), write(0, 0, Op::Write(at))));
        bench.clients = vec![(SiteId(0), writes.to_vec())];
        let (ran, records) = run(bench, ms(60_000), &[What::Visible]);
        let seen = ran
            .log
            .iter()
            .map(|(_, seen)| (seen.outcome, seen.parts.of(Part::Coordination)));
        let seen: Vec<_> = seen.collect();
        if !sloppy {
            assert!(
                seen.iter()
                    .all(|(outcome, _)| matches!(outcome, Outcome::Refused { .. }))
            );
            continue;
        }
        // A quarter of the timeout for each of the list, and then the way to the neighbour and back; next time all are suspected.
        assert_eq!(seen, [(Outcome::Done, millis(750 + 20)), (Outcome::Done, millis(20))]);
        assert_eq!(ran.end, End::Drained);
        let last = |replica: u32| {
            let mut shown = records.iter().filter(|(record, _)| record.subject == replica);
            shown.next_back().map(|(record, _)| record.b)
        };
        let value = Some(crate::state::Value::Register(vec![3000]).digest());
        assert_eq!([0, 1, 2, 3, 4].map(last), [None, None, value, value, value]);
    }
}
