//! What stores under Raft promise, judged from the histories of runs with random faults.

use super::recording::Recorder;
use super::{Budget, Model, Spec, Verdict, judge};
use crate::kernel::{Key, Purpose, SimDuration, Stream};
use crate::network::{Cut, Group, InTransit, Latency, LinkSpec, Loss, NetworkSpec, SiteId};
use crate::random::Law;
use crate::state::{Clock, KeyType, LastWriteWins, Op};
use crate::stores::raft::{Leaders, Reads, Sharding};
use crate::stores::testing::{Act, Bench, FaultAction, ms};
use crate::stores::{Protocol, RaftSpec, StoreSpec};
use crate::world::record::{Batch, Mask, Observer};
use std::sync::{Arc, Mutex};

/// A recorder that the test keeps as well.
struct Kept(Arc<Mutex<Recorder>>);

impl Observer for Kept {
    fn wants(&self) -> Mask {
        self.0.lock().unwrap().wants()
    }

    fn batch(&mut self, batch: Batch<'_>) {
        self.0.lock().unwrap().batch(batch);
    }

    fn into_any(self: Box<Self>) -> Box<dyn std::any::Any> {
        self
    }
}

/// What a run may suffer.
#[derive(Debug, Clone, Copy)]
struct Suffering {
    clock_steps: bool,
    disks_die: bool,
    /// How much slower the first replica's clock runs, in parts per billion.
    slow: i64,
}

const FAULTS: Suffering = Suffering {
    clock_steps: false,
    disks_die: false,
    slow: 0,
};

fn quick(reads: Reads) -> RaftSpec {
    RaftSpec {
        election_min: SimDuration::from_millis(150),
        election_max: SimDuration::from_millis(300),
        heartbeat: SimDuration::from_millis(40),
        timeout: SimDuration::from_millis(900),
        snapshot_every: 10,
        batch: 3,
        in_flight: 2,
        reads,
        ..RaftSpec::default()
    }
}

fn below(random: &mut Stream, bound: u32) -> u32 {
    random.below(u64::from(bound)) as u32
}

/// Agents that read and write two registers at any of the replicas, for six seconds of random faults.
fn bench(seed: u64, replicas: u32, raft: RaftSpec, suffering: Suffering) -> Bench {
    let mut random = Key::root(seed, 1).stream(Purpose(1), 0);
    let link = LinkSpec {
        latency: Latency::Law(Law::Exponential { mean: 8e6 }),
        loss: Loss::Independent(0.03),
        duplication: 0.03,
        ..LinkSpec::default()
    };
    let names: Vec<String> = (0..replicas).map(|n| format!("site{n}")).collect();
    let keys = [("a", KeyType::Register), ("b", KeyType::Register)];
    let mut spec = StoreSpec::new(keys, (0..replicas).map(SiteId));
    spec.protocol = Protocol::Raft(Box::new(raft));
    let mut clock = Clock::default();
    if suffering.clock_steps {
        clock = Clock::new(0, -suffering.slow).unwrap();
    } else {
        // It slows down when it may have been elected: a slow one hardly is.
        clock.adjust(ms(2_000), 0, Some(-suffering.slow)).unwrap();
    }
    spec.replicas[0].clock = clock;
    let model = crate::stores::Model::LastWriteWins(LastWriteWins);
    let mut bench = Bench::new(model, spec, NetworkSpec::uniform(names, link));
    bench.seed = seed;
    bench.idempotent = random.chance(0.7);
    if bench.idempotent {
        bench.attempts = 1 + u16::from(random.chance(0.5));
    } else {
        // Without keys each copy of a request takes effect, and the later one may undo what came between.
        bench.network.classes[1].duplication = 0.0;
    }
    for client in 0..4u32 {
        let mut script = Vec::new();
        let mut at = 400 + u64::from(below(&mut random, 50));
        for n in 0..40 {
            at += 20 + u64::from(below(&mut random, 200));
            let (key, replica) = (below(&mut random, 2), below(&mut random, replicas));
            let act = match random.chance(0.5) {
                true => Act::Read { key, replica },
                false => Act::Update {
                    key,
                    replica,
                    op: Op::Write(u64::from(client) * 1_000 + n),
                    aware: false,
                },
            };
            script.push((ms(at), act));
        }
        bench.clients.push((SiteId(client % replicas), script));
    }
    for _ in 0..10 {
        let from = 300 + u64::from(below(&mut random, 5_000));
        let to = from + 50 + u64::from(below(&mut random, 900));
        let target = below(&mut random, replicas);
        let action = match below(&mut random, 6) {
            0..=2 => {
                // Nobody is on both sides, and nobody's side is empty. Some cuts are between two replicas, and both hear a third.
                let first = below(&mut random, replicas);
                let second = (first + 1 + below(&mut random, replicas - 1)) % replicas;
                let mut side: Vec<Option<bool>> = (0..replicas).map(|_| Some(random.chance(0.5))).collect();
                if random.chance(0.5) {
                    side.fill(None);
                }
                (side[first as usize], side[second as usize]) = (Some(true), Some(false));
                let of = |which| Group::sites((0..replicas).filter(|n| side[*n as usize] == Some(which)).map(SiteId));
                let fate = |held| if held { InTransit::Held } else { InTransit::Lost };
                bench.network.cuts.push(Cut {
                    name: format!("cut {}", bench.network.cuts.len()),
                    from: of(true),
                    to: of(false),
                    both_ways: random.chance(0.7),
                    in_flight: fate(random.chance(0.3)),
                    sent: fate(random.chance(0.3)),
                });
                FaultAction::Cut(bench.network.cuts.len() as u32 - 1)
            }
            3 => FaultAction::Pause { targets: vec![target] },
            4 if suffering.clock_steps => FaultAction::ClockStep {
                targets: vec![target],
                by: (i64::from(below(&mut random, 2_000)) - 1_000) * 1_000_000,
            },
            _ => FaultAction::Crash {
                targets: vec![target],
                // The disks of one replica at most, so that a majority keeps its own.
                keep_state: !suffering.disks_die || target != 1,
            },
        };
        bench.faults.push((ms(from), ms(to), action));
    }
    bench
}

fn verdict(bench: Bench) -> Verdict {
    let recorder = Arc::new(Mutex::new(Recorder::default()));
    bench.run(ms(9_000), vec![Box::new(Kept(recorder.clone()))]);
    let recorder = std::mem::take(&mut *recorder.lock().unwrap());
    let keys = vec![
        ("a".to_string(), KeyType::Register),
        ("b".to_string(), KeyType::Register),
    ];
    let recording = recorder
        .finish(&[("store".to_string(), keys)])
        .expect("registers have one value");
    assert!(recording.history.operations().len() > 20, "something is judged");
    let judged = judge(
        &recording.history,
        Model::Linearizable,
        Spec::Register,
        Budget::default(),
    );
    judged.expect("registers can be judged").verdict
}

fn all_hold(seeds: u64, replicas: u32, raft: &RaftSpec, suffering: Suffering) {
    for seed in 0..seeds {
        let verdict = verdict(bench(seed, replicas, raft.clone(), suffering));
        assert_eq!(
            verdict,
            Verdict::Holds,
            "seed {seed} of {replicas} replicas under {raft:?}, {suffering:?}"
        );
    }
}

fn some_break(seeds: u64, replicas: u32, raft: &RaftSpec, suffering: Suffering) {
    let broken = |seed: &u64| verdict(bench(*seed, replicas, raft.clone(), suffering)) == Verdict::Violated;
    assert!(
        (0..seeds).any(|seed| broken(&seed)),
        "none of {seeds} seeds breaks {raft:?}, {suffering:?}"
    );
}

#[test]
fn reads_by_round_trip_are_linearizable_whatever_clocks_do() {
    let suffering = Suffering {
        clock_steps: true,
        slow: 700_000_000,
        ..FAULTS
    };
    all_hold(60, 3, &quick(Reads::RoundTrip), suffering);
    let no_pre_vote = RaftSpec {
        pre_vote: false,
        ..quick(Reads::RoundTrip)
    };
    all_hold(40, 5, &no_pre_vote, suffering);
}

#[test]
fn a_member_that_loses_its_disk_breaks_nothing() {
    let suffering = Suffering {
        disks_die: true,
        ..FAULTS
    };
    all_hold(40, 3, &quick(Reads::RoundTrip), suffering);
    all_hold(20, 4, &quick(Reads::Lease(0)), suffering);
}

#[test]
fn a_lease_is_linearizable_within_its_bound_and_only_there() {
    all_hold(60, 3, &quick(Reads::Lease(0)), FAULTS);
    let slow = Suffering {
        slow: 700_000_000,
        ..FAULTS
    };
    // Of two clocks one runs at three tenths of the other's speed: it gains seven thirds on it.
    all_hold(60, 3, &quick(Reads::Lease(2_333_333_334)), slow);
    some_break(400, 3, &quick(Reads::Lease(0)), slow);
}

#[test]
fn local_reads_are_not_linearizable() {
    some_break(20, 3, &quick(Reads::Local), FAULTS);
}

/// Each of the two registers is decided about by a group of its own.
fn in_two_groups(reads: Reads, leaders: Leaders) -> RaftSpec {
    RaftSpec {
        sharding: Sharding::by_range(2, 2),
        leaders,
        ..quick(reads)
    }
}

#[test]
fn keys_of_several_groups_are_linearizable_wherever_their_leaders_are() {
    let steps = Suffering {
        clock_steps: true,
        slow: 700_000_000,
        ..FAULTS
    };
    all_hold(40, 3, &in_two_groups(Reads::RoundTrip, Leaders::Spread), steps);
    all_hold(20, 4, &in_two_groups(Reads::RoundTrip, Leaders::Elected), steps);
    // Who hands over doesn't answer by its lease any more.
    all_hold(60, 3, &in_two_groups(Reads::Lease(0), Leaders::Spread), FAULTS);
    all_hold(30, 3, &in_two_groups(Reads::Lease(0), Leaders::At(2)), FAULTS);
    let disks = Suffering {
        disks_die: true,
        ..FAULTS
    };
    all_hold(30, 3, &in_two_groups(Reads::Lease(0), Leaders::Spread), disks);
}

#[test]
fn a_key_that_two_groups_decide_about_is_found_out() {
    let misrouted = RaftSpec {
        misroutes: true,
        ..in_two_groups(Reads::RoundTrip, Leaders::Spread)
    };
    some_break(10, 3, &misrouted, FAULTS);
}
