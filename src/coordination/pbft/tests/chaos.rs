//! A run with everything that may go wrong, then one in which nothing does.

use super::judge::{Asking, judge};
use super::*;
use crate::coordination::bench::Weather;
use crate::kernel::{Key, Purpose, Stream};

/// What may go wrong.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chaos {
    /// The probability that a message is lost.
    pub loss: f64,
    /// The probability that it comes twice.
    pub doubled: f64,
    /// How often something happens to a member or the network, per step of 20 ms.
    pub trouble: f64,
}

impl Default for Chaos {
    fn default() -> Self {
        Self {
            loss: 0.03,
            doubled: 0.03,
            trouble: 0.15,
        }
    }
}

const DESKS: u32 = 2;

struct Run {
    bench: Bench<Node>,
    asked: Vec<Asking>,
    random: Stream,
    correct: Vec<bool>,
    /// Who crashed, and when.
    crashes: Vec<(u64, u32)>,
}

impl Run {
    fn ask(&mut self, identity: u64) {
        let desk = self.bench.rules.replicas + self.random.below(u64::from(DESKS)) as u32;
        if self.bench.seats[desk as usize].down {
            return;
        }
        let value = identity * 2;
        let at = self.bench.now;
        let token = self.bench.ask(desk, identity, value);
        self.asked.push(Asking {
            identity,
            value,
            at,
            token,
        });
    }

    fn trouble(&mut self) {
        let (members, replicas) = (self.bench.seats.len() as u64, u64::from(self.bench.rules.replicas));
        let member = self.random.below(members) as u32;
        match self.random.below(8) {
            0 => {
                let key = self.random.next_u64();
                self.bench.cut(|member| (key >> (member % 64) & 1) as u32);
            }
            1 => {
                // The primary of some view alone.
                let alone = self.random.below(replicas) as u32;
                self.bench.cut(|member| u32::from(member == alone));
            }
            2 | 3 => self.bench.heal(),
            4 => {
                self.crashes.push((self.bench.now, member));
                self.bench.crash(member, true);
            }
            5 => (0..members as u32).for_each(|member| self.bench.restart(member)),
            6 => {
                let step = self.random.below(400 * MS) as i64 - 200 * MS as i64;
                self.bench.seats[member as usize].skew += step;
            }
            _ => self.bench.weather.most = (1 + self.random.below(40)) * MS,
        }
    }

    fn judge(&self) -> Result<(), String> {
        let is_correct = |member: u32| self.correct.get(member as usize).copied().unwrap_or(true);
        judge(&self.bench, &self.asked, &self.crashes, is_correct)
    }
}

/// Runs members of which some are Byzantine, at most `faulty` of them, through random trouble; then, if that is asked for, without any:
/// whatever is still waited for must be answered. Says how often each event was taken down, or which
/// promise was broken.
pub(super) fn run(
    seed: u64,
    mut rules: Rules,
    behaviours: &[Behaviour],
    chaos: Chaos,
    recovers: bool,
) -> Result<BTreeMap<u16, u64>, String> {
    let mut random = Key::root(seed, 1).stream(Purpose(2), 0);
    let mut correct = vec![true; rules.replicas as usize];
    for behaviour in behaviours.iter().take(rules.faulty as usize) {
        // Early views are the ones that are reached.
        let who = random.below(u64::from(rules.replicas).min(3)) as u32;
        if std::mem::take(&mut correct[who as usize]) {
            rules.byzantine.push((who, *behaviour));
        }
    }
    let mut bench = bench(seed, &rules, DESKS);
    bench.weather = Weather {
        least: MS,
        most: 10 * MS,
        loss: chaos.loss,
        doubled: chaos.doubled,
    };
    let mut run = Run {
        bench,
        asked: Vec::new(),
        random,
        correct,
        crashes: Vec::new(),
    };
    let mut identity = 0;
    for step in 1..=150 {
        for _ in 0..run.random.below(3) {
            identity += 1;
            run.ask(identity);
        }
        if identity > 0 && run.random.chance(0.1) {
            // Somebody asks again, perhaps at another desk.
            let again = 1 + run.random.below(identity);
            run.ask(again);
        }
        if run.random.chance(chaos.trouble) {
            run.trouble();
        }
        run.bench.run_until(step * 20 * MS);
    }
    run.judge()?;
    if recovers {
        run.bench.heal();
        run.bench.weather = calm(5 * MS);
        (0..run.bench.seats.len() as u32).for_each(|member| run.bench.restart(member));
        for _ in 0..5 {
            identity += 1;
            run.ask(identity);
        }
        let end = run.bench.now + 60_000 * MS;
        while run.bench.now < end && run.waits() {
            let next = run.bench.now + 200 * MS;
            run.bench.run_until(next);
        }
        run.judge()?;
        if run.waits() {
            let views = run.bench.seats.iter().filter_map(|seat| seat.member.replica());
            let said = |replica: &Replica| format!("{:?} {} {}", replica.view(), replica.low(), replica.executed());
            let views: Vec<String> = views.map(said).collect();
            return Err(format!(
                "somebody still waits: {views:?}, {:?}",
                run.bench.rules.byzantine
            ));
        }
    }
    let mut counts = BTreeMap::new();
    for (_, _, note) in &run.bench.notes {
        *counts.entry(note.event).or_insert(0) += 1;
    }
    Ok(counts)
}

impl Run {
    /// Whether a desk still waits for an answer.
    fn waits(&self) -> bool {
        self.bench.seats.iter().any(|seat| match &seat.member {
            Node::Desk(desk) => desk.waits_for() > 0,
            Node::Replica(_) => false,
        })
    }
}
