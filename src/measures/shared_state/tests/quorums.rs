//! Quorums as the judge sees them: what their numbers promise, what breaks the promise, and reads that show what they shouldn't.

use super::oracle::Tape;
use super::{LWW, aware, bench, crdt, judge, models, read, update, watched};
use crate::kernel::SimDuration;
use crate::measures::shared_state::{SharedState, SharedStateJudge};
use crate::network::{Cut, Group, InTransit, Loss, SiteId};
use crate::random::Law;
use crate::state::{DottedVersionVectors, Op};
use crate::stores::testing::{Act, Bench, FaultAction, ms};
use crate::stores::words::{of_reply_words, push_reply};
use crate::stores::{HintedHandoff, Model, Placement, Protocol, QuorumSpec};
use crate::world::record::{Record, Records, What};
use proptest::prelude::*;
use std::sync::{Arc, Mutex};

fn dotted() -> Model {
    Model::DottedVersionVectors(DottedVersionVectors::default())
}

fn quorum(n: u32, r: u32, w: u32) -> QuorumSpec {
    QuorumSpec {
        r,
        w,
        ..QuorumSpec::majority(n)
    }
}

fn handoff() -> HintedHandoff {
    HintedHandoff {
        after: SimDuration::from_millis(200),
        retry: SimDuration::from_millis(500),
        keep: SimDuration::from_secs(600),
    }
}

/// A cut between the sites below and above.
fn cut(bench: &mut Bench, low: &[u32], high: &[u32], from: u64, to: u64) {
    let group = |sites: &[u32]| Group::sites(sites.iter().map(|site| SiteId(*site)));
    bench.network.cuts.push(Cut {
        name: format!("cut {}", bench.network.cuts.len()),
        from: group(low),
        to: group(high),
        both_ways: true,
        in_flight: InTransit::Lost,
        sent: InTransit::Lost,
    });
    let number = bench.network.cuts.len() as u32 - 1;
    bench.faults.push((ms(from), ms(to), FaultAction::Cut(number)));
}

/// A write at one replica, and a read at another one after it is acknowledged.
fn write_then_read(model: Model, spec: QuorumSpec) -> SharedState {
    let mut bench = bench(model, 3, 10);
    // The third replica is far from the first.
    bench.network.classes.push(super::link(300e6));
    bench.network.pairs.extend([((0, 2), 2), ((2, 0), 2)]);
    bench.spec.protocol = Protocol::Quorum(Box::new(spec));
    bench.clients = vec![
        (SiteId(0), vec![(ms(10), update(0, 0, Op::Write(1)))]),
        (SiteId(2), vec![(ms(800), update(0, 2, Op::Write(2)))]),
        (SiteId(0), vec![(ms(900), read(0, 0))]),
        (SiteId(2), vec![(ms(40), read(0, 2)), (ms(700), read(0, 2))]),
    ];
    judge(bench, ms(5000))
}

#[test]
fn what_the_numbers_promise_holds_and_what_they_do_not_is_seen() {
    for model in models() {
        // The first write is acknowledged with the one of its own replica, and the read asks the third one alone.
        let loose = write_then_read(model, quorum(3, 1, 1));
        assert_eq!((loose.reads, loose.stale_reads), (3, 2), "{model:?}");
        for (r, w) in [(2, 2), (1, 3), (3, 1), (3, 3)] {
            let strict = write_then_read(model, quorum(3, r, w));
            assert_eq!((strict.reads, strict.stale_reads), (3, 0), "{model:?} {r} {w}");
        }
    }
}

/// What a client does, and how long after its last act.
type Script = Vec<(u64, Act)>;
/// Which replica stops or stands still, when, for how long, and whether it stops.
type Strike = (u32, u64, u64, bool);

/// A history with faults: what each client does and how long after its last act, which replica stops or stands still and when.
fn history() -> impl Strategy<Value = (Vec<Script>, Vec<Strike>)> {
    let op = |key: u32, value: u64| match key {
        0 => Op::Write(value),
        1 => Op::Add(value as i64),
        _ if value < 2 => Op::Insert(value % 2),
        _ => Op::Remove(value % 2),
    };
    let act = prop_oneof![
        (0u32..3, 0u32..5, 0u64..4, any::<bool>()).prop_map(move |(key, replica, value, is_aware)| {
            let op = op(key, value);
            if is_aware {
                aware(key, replica, op)
            } else {
                update(key, replica, op)
            }
        }),
        (0u32..3, 0u32..5).prop_map(|(key, replica)| read(key, replica)),
    ];
    let scripts = prop::collection::vec(prop::collection::vec((1u64..2_500, act), 0..14), 4);
    let faults = prop::collection::vec((0u32..5, 0u64..15_000, 1u64..4_000, any::<bool>()), 0..5);
    (scripts, faults)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, ..ProptestConfig::default() })]

    #[test]
    fn quorums_that_meet_never_miss_what_was_acknowledged(
        (scripts, faults) in history(),
        n in 2u32..=5,
        r in 1u32..=5,
        extra in 0u32..3,
        slow in 0u64..400,
        repair: bool,
        hints: bool,
        retries in 1u16..3,
    ) {
        let r = r.min(n);
        let w = (n - r + 1 + extra).min(n);
        for model in [dotted(), crdt()] {
            let mut bench = bench(model, 5, 30);
            bench.network.classes[1].loss = Loss::Independent(0.1);
            bench.network.classes[1].duplication = 0.1;
            let mut spec = quorum(n, r, w);
            spec.placement = Arc::new(if n == 5 {
                Placement::everywhere(5)
            } else {
                Placement::ring(["note", "count", "tags"], &["a", "b", "c", "d", "e"])
            });
            spec.legs.write = Some(Law::Uniform { low: 0.0, high: slow as f64 * 1e6 });
            (spec.legs.read, spec.legs.reply) = (spec.legs.write.clone(), spec.legs.write.clone());
            spec.read_repair = repair;
            spec.hinted_handoff = hints.then(handoff);
            bench.spec.protocol = Protocol::Quorum(Box::new(spec));
            (bench.idempotent, bench.attempts) = (true, retries);
            for (client, script) in scripts.iter().enumerate() {
                let mut at = 10 + client as u64;
                let times = script.iter().map(|(gap, act)| {
                    at += gap;
                    (ms(at), *act)
                });
                bench.clients.push((SiteId(client as u32), times.collect()));
            }
            for &(replica, from, lasts, crashes) in &faults {
                let targets = vec![replica];
                let what = if crashes {
                    FaultAction::Crash { targets, keep_state: true }
                } else {
                    FaultAction::Pause { targets }
                };
                bench.faults.push((ms(from), ms(from + lasts), what));
            }
            let s = judge(bench, ms(100_000));
            prop_assert_eq!((s.stale_reads, s.read_your_writes), (0, 0), "{:?} {} {} {}", model, n, r, w);
        }
    }
}

/// Two of five keep the key; both are cut off from two others, and from a fifth that asks later. Who keeps it depends on names.
fn sloppy(sloppy: bool) -> (SharedState, Vec<u8>) {
    let mut bench = bench(dotted(), 5, 10);
    let placement = Placement::ring(["note", "count", "tags"], &["a", "b", "c", "d", "e"]);
    let order: Vec<u8> = placement.order(0).to_vec();
    let list = [u32::from(order[0]), u32::from(order[1]), u32::from(order[2])];
    let rest = [u32::from(order[3]), u32::from(order[4])];
    let mut spec = quorum(3, 2, 2);
    spec.placement = Arc::new(placement);
    (spec.hinted_handoff, spec.sloppy) = (Some(handoff()), sloppy);
    bench.spec.protocol = Protocol::Quorum(Box::new(spec));
    // The first of the list is alone with those beyond it.
    cut(&mut bench, &[list[0], rest[0], rest[1]], &[list[1], list[2]], 100, 5000);
    let (near, far) = (list[0], list[1]);
    bench.clients = vec![
        (SiteId(near), vec![(ms(200), update(0, near, Op::Write(1)))]),
        (SiteId(far), vec![(ms(3000), read(0, far)), (ms(9000), read(0, far))]),
    ];
    (judge(bench, ms(20_000)), order)
}

#[test]
fn sloppy_quorums_stay_available_and_break_the_promise_until_hints_are_handed_off() {
    let (strict, _) = sloppy(false);
    assert_eq!((strict.acknowledged, strict.unavailable_updates), (0, 1));
    assert_eq!((strict.reads, strict.stale_reads), (2, 0));
    let (sloppy, _) = sloppy(true);
    assert_eq!((sloppy.acknowledged, sloppy.unavailable_updates), (1, 0));
    assert_eq!(
        (sloppy.reads, sloppy.stale_reads),
        (2, 1),
        "the first read meets none of the writers"
    );
    assert_eq!((sloppy.lost_updates, sloppy.diverged_keys), (0, 0));
}

#[test]
fn read_repair_and_hints_make_good_what_a_crash_has_missed() {
    for (repair, hints, apart) in [(false, false, 1), (true, false, 0), (false, true, 0)] {
        for model in models() {
            let mut bench = bench(model, 3, 10);
            let mut spec = quorum(3, 2, 2);
            (spec.read_repair, spec.hinted_handoff) = (repair, hints.then(handoff));
            bench.spec.protocol = Protocol::Quorum(Box::new(spec));
            bench.faults.push((
                ms(50),
                ms(4000),
                FaultAction::Crash {
                    targets: vec![2],
                    keep_state: true,
                },
            ));
            bench.clients = vec![
                (SiteId(0), vec![(ms(100), update(0, 0, Op::Write(1)))]),
                (SiteId(1), vec![(ms(6000), read(0, 1))]),
            ];
            let s = judge(bench, ms(20_000));
            assert_eq!((s.reads, s.stale_reads, s.lost_updates), (1, 0, 0));
            assert_eq!(s.diverged_keys, apart, "{model:?} {repair} {hints}");
        }
    }
}

#[test]
fn a_disk_that_is_lost_breaks_the_promise() {
    let mut bench = bench(dotted(), 3, 10);
    bench.spec.protocol = Protocol::Quorum(Box::new(quorum(3, 2, 2)));
    // The write reaches the first two; the second forgets it, and is asked together with the third.
    cut(&mut bench, &[0, 1], &[2], 0, 500);
    cut(&mut bench, &[0], &[1, 2], 600, 9000);
    bench.faults.push((
        ms(510),
        ms(590),
        FaultAction::Crash {
            targets: vec![1],
            keep_state: false,
        },
    ));
    bench.clients = vec![
        (SiteId(0), vec![(ms(100), update(0, 0, Op::Write(1)))]),
        (SiteId(2), vec![(ms(1000), read(0, 2))]),
    ];
    let s = judge(bench, ms(5000));
    assert_eq!((s.acknowledged, s.reads, s.stale_reads), (1, 1, 1));
}

#[test]
fn a_refused_write_stays_where_it_came_and_another_attempt_goes_on_with_it() {
    for (idempotent, duplicates) in [(true, 0), (false, 1)] {
        let mut bench = bench(crdt(), 3, 10);
        bench.spec.protocol = Protocol::Quorum(Box::new(quorum(3, 1, 2)));
        (bench.idempotent, bench.attempts) = (idempotent, 2);
        cut(&mut bench, &[0], &[1, 2], 50, 5000);
        bench.clients = vec![
            (SiteId(0), vec![(ms(100), update(1, 0, Op::Add(1)))]),
            (SiteId(0), vec![(ms(3000), read(1, 0))]),
        ];
        let s = judge(bench, ms(9000));
        assert_eq!((s.acknowledged, s.unavailable_updates), (0, 1));
        assert_eq!((s.writes, s.duplicate_effects, s.diverged_keys), (1, duplicates, 1));
    }
}

/// What a judge says of a run whose records were changed on the way.
fn tampered(bench: Bench, change: impl Fn(&Record, Vec<u64>) -> Vec<u64>) -> (SharedState, Vec<String>) {
    let tape = Arc::new(Mutex::new(Tape::default()));
    let judge = Arc::new(Mutex::new(SharedStateJudge::new(&watched(&bench))));
    bench.run(ms(20_000), vec![Box::new(tape.clone())]);
    let mut records = Records::new(vec![Box::new(judge.clone())]);
    for (record, extra) in &tape.lock().unwrap().0 {
        let extra = change(record, extra.clone());
        let words = [record.a, record.b, record.c];
        records.push(record.time, record.entry, record.what, record.subject, words, &extra);
    }
    records.flush();
    let mut judge = judge.lock().unwrap();
    (judge.results(ms(20_000)), judge.breaches().to_vec())
}

/// A write that two of three replicas have, and a read of the third and one of them.
fn met(model: Model) -> Bench {
    let mut bench = bench(model, 3, 10);
    bench.spec.protocol = Protocol::Quorum(Box::new(quorum(3, 2, 2)));
    cut(&mut bench, &[0, 1], &[2], 0, 500);
    bench.clients = vec![
        (
            SiteId(0),
            vec![
                (ms(100), update(0, 0, Op::Write(1))),
                (ms(200), update(1, 0, Op::Add(1))),
            ],
        ),
        (SiteId(2), vec![(ms(1000), read(0, 2)), (ms(1100), read(1, 2))]),
    ];
    bench
}

#[test]
fn a_coordinator_that_drops_answers_or_makes_them_up_is_found_out() {
    // A coordinator that shows its own answer alone: the first that comes.
    let first_alone = |record: &Record, extra: Vec<u64>| {
        if record.what != What::ReadServed {
            return extra;
        }
        let reply = of_reply_words(&extra[2..]);
        let nothing = match &reply.versions {
            crate::state::Versions::Heads(_) => crate::state::Versions::Heads(Vec::new()),
            crate::state::Versions::Effects(_) => crate::state::Versions::Effects(Default::default()),
        };
        let mut changed = extra[..2].to_vec();
        let kept = reply.kept.as_ref().map(|_| &[][..]);
        push_reply(&reply.marks, &nothing, kept, &Default::default(), &mut changed);
        changed
    };
    // One that claims to have accounted for a version, and shows nothing of it.
    let claims = |record: &Record, extra: Vec<u64>| {
        if record.what != What::ReadServed {
            return extra;
        }
        let reply = of_reply_words(&extra[2..]);
        let Some((_, seen)) = &reply.kept else { return extra };
        let mut changed = extra[..2].to_vec();
        let nothing = crate::state::Versions::Heads(Vec::new());
        push_reply(&reply.marks, &nothing, Some(&[]), seen, &mut changed);
        changed
    };
    // A replica that answers with nothing, whatever it holds.
    let empty = |record: &Record, extra: Vec<u64>| match record.what {
        What::EntryRead => {
            let reply = of_reply_words(&extra);
            let mut changed = Vec::new();
            let kept = reply.kept.as_ref().map(|_| &[][..]);
            let nothing = match &reply.versions {
                crate::state::Versions::Heads(_) => crate::state::Versions::Heads(Vec::new()),
                crate::state::Versions::Effects(_) => crate::state::Versions::Effects(Default::default()),
            };
            push_reply(&[], &nothing, kept, &Default::default(), &mut changed);
            changed
        }
        _ => extra,
    };
    for model in models() {
        let (honest, breaches) = tampered(met(model), |_, extra| extra);
        assert_eq!(
            (honest.reads, honest.stale_reads, breaches.len()),
            (2, 0, 0),
            "{model:?}"
        );
        let (dropped, breaches) = tampered(met(model), first_alone);
        assert_eq!((dropped.stale_reads, breaches.len()), (2, 2), "{model:?}");
        let (_, breaches) = tampered(met(model), empty);
        assert!(breaches.len() >= 2, "{model:?}: {breaches:?}");
    }
    let (_, breaches) = tampered(met(dotted()), claims);
    assert_eq!(breaches.len(), 2, "{breaches:?}");
}

/// Independent WARS: consistent reads of so many trials (Bailis et al., VLDB 2012), by plain draws.
fn wars(legs: &crate::stores::Legs, (n, r, w): (usize, usize, usize), trials: u64) -> f64 {
    use crate::kernel::{Key, Purpose};
    let (law, key) = (|law: &Option<Law>| law.clone().unwrap(), Key::root(77, 0));
    let laws = [law(&legs.write), law(&legs.ack), law(&legs.read), law(&legs.reply)];
    let mut consistent = 0;
    for trial in 0..trials {
        let draw = |leg: usize| -> Vec<f64> {
            let of = |replica: usize| {
                let address = trial << 8 | (leg * n + replica) as u64;
                laws[leg].sample(&mut key.stream(Purpose(0x7200), address), address)
            };
            (0..n).map(of).collect()
        };
        let [writes, acks, reads, replies] = [draw(0), draw(1), draw(2), draw(3)];
        let mut commits: Vec<f64> = (0..n).map(|i| writes[i] + acks[i]).collect();
        commits.sort_by(f64::total_cmp);
        let mut answers: Vec<usize> = (0..n).collect();
        answers.sort_by(|a, b| (reads[*a] + replies[*a]).total_cmp(&(reads[*b] + replies[*b])));
        consistent += u64::from(answers[..r].iter().any(|i| commits[w - 1] + reads[*i] >= writes[*i]));
    }
    consistent as f64 / trials as f64
}

#[test]
fn reads_are_as_stale_as_the_legs_say_for_any_numbers() {
    let legs = crate::stores::Legs {
        write: Some(Law::Exponential { mean: 10e6 }),
        ack: Some(Law::Uniform { low: 0.0, high: 5e6 }),
        read: Some(Law::Exponential { mean: 2e6 }),
        reply: Some(Law::Uniform { low: 0.0, high: 8e6 }),
    };
    let trials = 1500;
    for (n, r, w) in [
        (1u32, 1u32, 1u32),
        (2, 1, 1),
        (3, 1, 1),
        (3, 2, 1),
        (3, 1, 2),
        (5, 2, 2),
        (5, 1, 3),
    ] {
        let mut bench = bench(LWW, n, 0);
        let mut spec = quorum(n, r, w);
        spec.legs = legs.clone();
        bench.spec.protocol = Protocol::Quorum(Box::new(spec));
        let keys = (0..trials).map(|n| (format!("k{n}"), crate::state::KeyType::Register));
        bench.spec.keys = keys.collect();
        bench.in_turn = true;
        for key in 0..trials {
            bench.clients.push((
                SiteId(0),
                vec![(ms(1), update(key, 0, Op::Write(1))), (ms(1), read(key, 0))],
            ));
        }
        let s = judge(bench, ms(60_000));
        assert_eq!(s.reads, u64::from(trials));
        let (expected, found) = (
            wars(&legs, (n as usize, r as usize, w as usize), 100_000),
            1.0 - s.stale_reads as f64 / s.reads as f64,
        );
        // Four standard errors of both samples.
        let error = 4.0 * (expected * (1.0 - expected) * (1.0 / f64::from(trials) + 1e-5)).sqrt();
        assert!(
            (found - expected).abs() <= error,
            "{n} {r} {w}: {found}, not {expected} ± {error}"
        );
    }
}

#[test]
fn what_a_read_makes_of_an_answer_that_waits_and_one_that_it_waits_for_is_before_its_agents_eyes() {
    let mut bench = bench(crdt(), 3, 10);
    bench.spec.protocol = Protocol::Quorum(Box::new(quorum(3, 2, 2)));
    // The first insertion doesn't get to the second replica, and the second one, which comes after it, not to the first.
    cut(&mut bench, &[1], &[2], 0, 50);
    cut(&mut bench, &[0], &[2], 51, 100);
    let stands = FaultAction::Pause { targets: vec![2] };
    bench.faults.push((ms(150), ms(1000), stands));
    let typed = |at, length| Op::InsertText { at, from: at, length };
    let delete = aware(3, 0, Op::DeleteText { at: 2, length: 2 });
    bench.clients = vec![
        (
            SiteId(2),
            vec![(ms(10), update(3, 2, typed(0, 2))), (ms(60), update(3, 2, typed(2, 3)))],
        ),
        (SiteId(0), vec![(ms(200), read(3, 0)), (ms(300), delete)]),
    ];
    // The two together show both, and the agent deletes two characters of the second.
    let found = judge(bench, ms(5000));
    assert_eq!((found.writes, found.acknowledged, found.reads), (3, 3, 1));
    assert_eq!((found.lost_characters, found.lost_effects), (0, 0));
}
