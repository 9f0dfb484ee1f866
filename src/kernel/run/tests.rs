//! The loop, on a model that does everything a model may do.

use super::*;
use crate::kernel::{Key, Print, Purpose, permute_ranks};

const TICK: u16 = 0;
const ECHO: u16 = 1;
const DECOY: u16 = 2;
const TIMER: u16 = 3;

/// How a timer that is postponed reaches its deadline.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Timers {
    None,
    /// It's scheduled for its deadline.
    Direct,
    /// It's scheduled too early, and re-posts itself in its own place.
    Postponed,
}

/// Nodes that tick at random, send each other ticks, and react to some without delay.
#[derive(Debug, Clone)]
struct Toy {
    nodes: Vec<(Key, Origin, u64)>,
    /// Origins of their own for what mustn't shift the nodes' numbers.
    decoys: Option<Vec<Origin>>,
    timers: Timers,
    alarms: Vec<Origin>,
    log: u64,
    touched: std::cell::Cell<u64>,
    stop_after: u64,
}

impl Toy {
    fn kernel(seed: u64, decoys: bool, timers: Timers) -> Kernel<Self> {
        let root = Key::root(seed, 0);
        let keys: Vec<Key> = (0..200).map(|n| root.member(n)).collect();
        let ranks = permute_ranks(&keys, root.child("ranks"));
        let nodes = keys.into_iter().zip(&ranks);
        let toy = Self {
            nodes: nodes.map(|(key, &rank)| (key, Origin::new(rank), 0)).collect(),
            decoys: decoys.then(|| (0..200).map(|n| Origin::new(1_000 + n)).collect()),
            timers,
            alarms: (0..200).map(|n| Origin::new(5_000 + n)).collect(),
            log: 0,
            touched: std::cell::Cell::new(0),
            stop_after: u64::MAX,
        };
        let mut kernel = Kernel::new(toy, SimDuration::from_millis(1));
        kernel.prepare(|toy, prepare| {
            for (target, (key, origin, _)) in (0..).zip(&mut toy.nodes) {
                let at = SimTime::from_nanos(key.draw(Purpose(0), 0) % 1_000_000);
                prepare.schedule(origin, at, TICK, target, target as u64);
            }
        });
        kernel
    }
}

impl Model for Toy {
    type Body = u64;

    fn handle(&mut self, entry: &Entry<u64>, out: &mut Out<'_, u64>) {
        assert_eq!((out.now(), out.step()), (entry.time, entry.step));
        self.log = (self.log ^ entry.body ^ entry.time.as_nanos()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if entry.kind != TICK {
            return;
        }
        let (key, origin, count) = &mut self.nodes[entry.target as usize];
        *count += 1;
        let mut draws = key.stream(Purpose(1), *count);
        // On a grid, so that many entries share an instant.
        let next = entry.time + SimDuration::from_nanos((1 + draws.below(20)) * 50_000);
        let to = draws.below(200) as u32;
        out.schedule(origin, next, TICK, to, draws.next_u64());
        for _ in 0..draws.below(3) {
            out.schedule(origin, entry.time, ECHO, to, draws.next_u64());
        }
        if let Some(decoys) = &mut self.decoys {
            let decoy = &mut decoys[entry.target as usize];
            out.schedule(decoy, next, DECOY, to, 0);
            out.schedule(decoy, entry.time, DECOY, to, 0);
        }
        let alarm = &mut self.alarms[entry.target as usize];
        let deadline = entry.time + SimDuration::from_nanos(7_000_000);
        match self.timers {
            Timers::None => {}
            Timers::Direct => out.schedule(alarm, deadline, TIMER, to, deadline.as_nanos()),
            Timers::Postponed => out.schedule(alarm, next, TIMER, to, deadline.as_nanos()),
        }
        self.stop_after = self.stop_after.saturating_sub(1);
        if self.stop_after == 0 {
            out.stop();
        }
    }

    fn digest(&self, entry: &Entry<u64>, words: &mut Words) -> Liveness {
        words.push(entry.body);
        words.push(!entry.body);
        match entry.kind {
            DECOY => Liveness::Stale,
            TIMER if entry.time.as_nanos() < entry.body => Liveness::Stale,
            _ => Liveness::Live,
        }
    }

    fn skip(&mut self, entry: &Entry<u64>, out: &mut Out<'_, u64>) {
        if entry.kind == TIMER {
            let ticket = Ticket {
                rank: entry.origin,
                number: entry.number,
            };
            out.schedule_in_place(ticket, SimTime::from_nanos(entry.body), TIMER, entry.target, entry.body);
        }
    }

    fn touch(&self, _: &Entry<u64>) {
        self.touched.set(self.touched.get() + 1);
    }
}

const END: SimTime = SimTime::from_nanos(40_000_000);

fn outcome(kernel: &Kernel<Toy>) -> (Print, u64, u64) {
    let fingerprint = kernel.fingerprint();
    (fingerprint.print(), fingerprint.handled(), kernel.model().log)
}

#[test]
fn two_runs_are_equal_and_seeds_differ() {
    let run = |seed| {
        let mut kernel = Toy::kernel(seed, false, Timers::None);
        assert_eq!(kernel.run(END, u64::MAX), End::TimeReached);
        assert!(kernel.model().touched.get() > 0);
        (outcome(&kernel), kernel.fingerprint().checkpoints().to_vec())
    };
    let first = run(1);
    assert!(first.0.1 > 10_000 && first.1.len() > 30, "{first:?}");
    assert_eq!(first, run(1));
    assert_ne!(first.0.0, run(2).0.0);
}

#[test]
fn a_run_in_pieces_is_the_same_run() {
    let mut whole = Toy::kernel(1, true, Timers::Postponed);
    whole.run(END, u64::MAX);
    let mut pieces = Toy::kernel(1, true, Timers::Postponed);
    for piece in 0..400 {
        pieces.run(SimTime::from_nanos(piece * 70_001), 37);
        // A clone goes on alike: the original may be left behind anywhere.
        if piece % 50 == 0 {
            pieces = pieces.clone();
        }
    }
    pieces.run(END, u64::MAX);
    assert_eq!(outcome(&whole), outcome(&pieces));
    assert_eq!(whole.fingerprint().checkpoints(), pieces.fingerprint().checkpoints());
    assert_eq!((whole.now(), whole.waiting()), (pieces.now(), pieces.waiting()));
}

#[test]
fn stale_entries_leave_no_trace() {
    let (mut plain, mut decoyed) = (Toy::kernel(3, false, Timers::None), Toy::kernel(3, true, Timers::None));
    plain.run(END, u64::MAX);
    decoyed.run(END, u64::MAX);
    assert_eq!(plain.skipped(), 0);
    assert!(decoyed.skipped() > 10_000);
    assert_eq!(outcome(&plain), outcome(&decoyed));
}

#[test]
fn a_postponed_timer_keeps_its_place() {
    let (mut direct, mut postponed) = (
        Toy::kernel(4, false, Timers::Direct),
        Toy::kernel(4, false, Timers::Postponed),
    );
    direct.run(END, u64::MAX);
    postponed.run(END, u64::MAX);
    assert!(postponed.skipped() > 1_000 && direct.skipped() == 0);
    assert_eq!(outcome(&direct), outcome(&postponed));
}

#[test]
fn a_perturbation_shows_first_where_it_was_made() {
    let run = |perturbation: Option<Perturbation>| {
        let mut kernel = Toy::kernel(5, false, Timers::None);
        kernel.witness(Focus::Stretch(0, 3_000));
        if let Some(perturbation) = perturbation {
            kernel.perturb(perturbation);
        }
        kernel.run(SimTime::NEVER, 3_000);
        (
            kernel.witnessed().to_vec(),
            kernel.fingerprint().print(),
            kernel.model().log,
        )
    };
    let (seen, print, log) = run(None);
    assert_eq!(seen.len(), 3_000);
    assert!(seen.iter().zip(0..).all(|(handled, index)| handled.index == index));
    assert!(seen.is_sorted_by_key(|handled| (handled.time, handled.step, handled.origin, handled.number)));
    for index in [0, 1, 777, 2_999] {
        // Three words of fields and two of payload; the sixth is the first again.
        for word in 0..6 {
            for mask in [1, 1 << 63] {
                let (spoilt, other, same) = run(Some(Perturbation { index, word, mask }));
                let first = seen.iter().zip(&spoilt).position(|(a, b)| a != b);
                assert_eq!(first, Some(index as usize));
                assert_ne!(print, other);
                assert_eq!(log, same, "the model itself sees nothing of it");
            }
        }
    }
    let (_, other, _) = run(Some(Perturbation {
        index: 3_000,
        word: 0,
        mask: 1,
    }));
    assert_eq!(print, other, "this entry wasn't handled");
}

#[test]
fn a_witness_sees_its_stretch_and_changes_nothing() {
    let (mut plain, mut witnessed) = (Toy::kernel(6, false, Timers::None), Toy::kernel(6, false, Timers::None));
    witnessed.witness(Focus::Stretch(100, 110));
    plain.run(END, u64::MAX);
    witnessed.run(END, u64::MAX);
    let places: Vec<u64> = witnessed.witnessed().iter().map(|handled| handled.index).collect();
    assert_eq!(places, (100..110).collect::<Vec<_>>());
    assert_eq!(outcome(&plain), outcome(&witnessed));
    assert!(plain.witnessed().is_empty());
}

#[test]
fn a_run_ends_for_each_reason() {
    let mut kernel = Toy::kernel(7, false, Timers::None);
    assert_eq!(kernel.run(END, 0), End::EventLimit);
    assert_eq!(kernel.fingerprint().handled(), 0);
    assert_eq!(kernel.run(END, 100), End::EventLimit);
    assert_eq!(kernel.fingerprint().handled(), 100);
    kernel.model_mut().stop_after = 1;
    assert_eq!(kernel.run(END, u64::MAX), End::Stopped);
    assert_eq!(kernel.model().stop_after, 0);
    kernel.model_mut().stop_after = u64::MAX;
    assert_eq!(kernel.run(END, u64::MAX), End::TimeReached);
    assert!(kernel.now() <= END);
    let mut empty = Kernel::new(kernel.into_model(), SimDuration::from_secs(1));
    assert_eq!(empty.run(SimTime::NEVER, u64::MAX), End::Drained);
    assert_eq!(empty.now(), SimTime::ZERO);
}

/// Reacts to itself without delay, so many times (or for ever), and acts once where it shouldn't.
struct Loop {
    origin: Origin,
    rounds: u64,
    back: bool,
}

impl Model for Loop {
    type Body = ();

    fn handle(&mut self, entry: &Entry<()>, out: &mut Out<'_, ()>) {
        let at = if self.back {
            SimTime::from_nanos(entry.time.as_nanos() - 1)
        } else {
            entry.time
        };
        if self.rounds > 0 {
            self.rounds -= 1;
            out.schedule(&mut self.origin, at, 0, entry.target + 1, ());
        }
    }

    fn digest(&self, _: &Entry<()>, _: &mut Words) -> Liveness {
        Liveness::Live
    }
}

fn looping(rounds: u64, back: bool) -> Kernel<Loop> {
    let mut kernel = Kernel::new(
        Loop {
            origin: Origin::new(0),
            rounds,
            back,
        },
        SimDuration::from_secs(1),
    );
    kernel.prepare(|model, prepare| {
        prepare.schedule(&mut model.origin, SimTime::from_nanos(5), 0, 1_000, ());
    });
    kernel
}

#[test]
fn an_instant_that_never_ends_is_reported_with_its_target() {
    let mut kernel = looping(u64::MAX, false);
    let end = kernel.run(SimTime::NEVER, u64::MAX);
    // Steps 0 to 65,535 were handled; the next one would have been for the target behind.
    assert_eq!(
        end,
        End::Livelock {
            at: SimTime::from_nanos(5),
            target: 1_000 + 65_536
        }
    );
    assert_eq!(kernel.fingerprint().handled(), 65_536);
}

/// Is stale for ever, and postponed to the same instant.
struct Procrastination;

impl Model for Procrastination {
    type Body = ();

    fn handle(&mut self, _: &Entry<()>, _: &mut Out<'_, ()>) {
        unreachable!("nothing is ever live");
    }

    fn digest(&self, _: &Entry<()>, _: &mut Words) -> Liveness {
        Liveness::Stale
    }

    fn skip(&mut self, entry: &Entry<()>, out: &mut Out<'_, ()>) {
        let ticket = Ticket {
            rank: entry.origin,
            number: entry.number,
        };
        out.schedule_in_place(ticket, entry.time, 0, entry.target, ());
    }
}

#[test]
fn postponing_to_the_same_instant_for_ever_is_a_livelock_too() {
    let mut kernel = Kernel::new(Procrastination, SimDuration::from_secs(1));
    kernel.prepare(|_, prepare| prepare.schedule(&mut Origin::new(0), SimTime::from_nanos(5), 0, 3, ()));
    let livelock = End::Livelock {
        at: SimTime::from_nanos(5),
        target: 3,
    };
    assert_eq!(kernel.run(SimTime::NEVER, u64::MAX), livelock);
}

#[test]
fn an_instant_may_have_as_many_steps_as_there_are() {
    let mut kernel = looping(65_535, false);
    assert_eq!(kernel.run(SimTime::NEVER, u64::MAX), End::Drained);
    assert_eq!(kernel.fingerprint().handled(), 65_536);
}

#[test]
#[should_panic(expected = "an entry for 4ns was scheduled at 5ns: time never goes back")]
fn the_past_is_closed_to_models() {
    looping(1, true).run(SimTime::NEVER, u64::MAX);
}

#[test]
#[should_panic(expected = "an entry for 0s was scheduled at 5ns: time never goes back")]
fn the_past_is_closed_to_preparations() {
    let mut kernel = looping(0, false);
    kernel.run(SimTime::NEVER, u64::MAX);
    kernel.prepare(|model, prepare| prepare.schedule(&mut model.origin, SimTime::ZERO, 0, 0, ()));
}

#[test]
fn a_preparation_may_follow_a_run() {
    let mut kernel = looping(0, false);
    kernel.run(SimTime::NEVER, u64::MAX);
    kernel.prepare(|model, prepare| prepare.schedule(&mut model.origin, SimTime::from_nanos(5), 0, 0, ()));
    assert_eq!(kernel.run(SimTime::NEVER, u64::MAX), End::Drained);
    assert_eq!(kernel.fingerprint().handled(), 2);
}

/// Nodes that set off each other, mostly without delay.
#[derive(Debug, Clone)]
struct Cascade {
    key: Key,
    origins: Vec<Origin>,
    handled: Vec<(SimTime, u16, u32, u32)>,
}

impl Cascade {
    /// What the handling of an entry sets off: its ticket, its delay and its target.
    fn consequences(&mut self, entry: (SimTime, u16, u32, u32), target: u32) -> Vec<(Ticket, u64, u32)> {
        self.handled.push(entry);
        let mut draws = self.key.stream(Purpose(2), self.handled.len() as u64);
        let nodes = self.origins.len() as u64;
        // One for one, so that it neither dies out nor grows without end.
        let count = if self.handled.len() < 200 {
            1 + draws.below(2)
        } else {
            draws.below(3)
        };
        let consequences = (0..count).map(|_| {
            let delay = [0, 0, 0, 1, 3, 1_000, 100_000, 90_000_000][draws.below(8) as usize];
            let ticket = self.origins[target as usize].take();
            (ticket, delay, draws.below(nodes) as u32)
        });
        consequences.collect()
    }
}

impl Model for Cascade {
    type Body = ();

    fn handle(&mut self, entry: &Entry<()>, out: &mut Out<'_, ()>) {
        let order = (entry.time, entry.step, entry.origin, entry.number);
        for (ticket, delay, target) in self.consequences(order, entry.target) {
            let at = entry.time + SimDuration::from_nanos(delay);
            out.schedule_in_place(ticket, at, TICK, target, ());
        }
    }

    fn digest(&self, _: &Entry<()>, _: &mut Words) -> Liveness {
        Liveness::Live
    }
}

#[test]
fn entries_of_one_instant_come_in_their_order_whether_or_not_they_pass_through_the_queue() {
    const EACH: usize = 3_000;
    for seed in 0..60u64 {
        let nodes = [1, 2, 30, 700][seed as usize % 4];
        let cascade = || Cascade {
            key: Key::root(seed, 0),
            origins: (0..nodes).map(|rank| Origin::new(rank * 7 % 701)).collect(),
            handled: Vec::new(),
        };
        let mut kernel = Kernel::new(cascade(), SimDuration::from_millis(1));
        let mut plain = cascade();
        let mut waiting = std::collections::BTreeMap::new();
        kernel.prepare(|model, prepare| {
            for target in 0..nodes {
                let at = SimTime::from_nanos(u64::from(target % 5));
                prepare.schedule(&mut model.origins[target as usize], at, TICK, target, ());
                let ticket = plain.origins[target as usize].take();
                waiting.insert((at, 0, ticket.rank, ticket.number), target);
            }
        });
        while plain.handled.len() < EACH
            && let Some((entry, target)) = waiting.pop_first()
        {
            for (ticket, delay, target) in plain.consequences(entry, target) {
                let step = if delay == 0 { entry.1 + 1 } else { 0 };
                let at = entry.0 + SimDuration::from_nanos(delay);
                waiting.insert((at, step, ticket.rank, ticket.number), target);
            }
        }
        // In pieces, so that runs end in the middle of instants.
        let piece = [1, 2, 7, 10_000][seed as usize / 4 % 4];
        while kernel.model().handled.len() < plain.handled.len() {
            kernel.run(
                SimTime::NEVER,
                piece.min((plain.handled.len() - kernel.model().handled.len()) as u64),
            );
        }
        assert_eq!(kernel.model().handled, plain.handled, "seed {seed}");
        assert_eq!(kernel.waiting(), waiting.len(), "seed {seed}");
    }
}
