//! Judging histories of 100,000 operations: reading them, and deciding them, where they hold and where one read is wrong.
//!
//! `cargo bench --bench judge -- [name]`. Histories are made by a store that answers rightly, at a concurrency of 16, without a
//! seed from outside. Memory is the peak of the process so far.

#![allow(clippy::disallowed_types)] // A bench reads the wall clock.

use quorate::check::history::{Builder, Event, EventKind, History, Limits, Raw, Reading, Writing, read, write};
use quorate::check::{Budget, Model, Spec, Verdict, judge};
use std::time::Instant;

const OPERATIONS: usize = 100_000;
const CONCURRENCY: u64 = 16;

/// SplitMix64.
struct Mix(u64);

impl Mix {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }
}

/// What a history is made of.
#[derive(Clone, Copy)]
struct Kind {
    /// How many values there are; 0: each is written once.
    values: u64,
    keys: u64,
    with_cas: bool,
    /// Of 10,000 operations, how many have an unknown outcome.
    unsure: u64,
    /// Whether one read, at three quarters, returns what was there long before.
    is_wrong: bool,
}

#[derive(Clone, Copy)]
struct Open {
    key: u64,
    what: u64,
    from: i64,
    to: i64,
    /// What it returned, once it has taken effect; for a `cas`, whether it did.
    result: Option<i64>,
}

fn history(kind: Kind) -> History {
    let mut mix = Mix(7);
    let mut builder = Builder::new(Limits::default());
    let mut open: Vec<Option<Open>> = vec![None; CONCURRENCY as usize];
    let mut processes: Vec<u64> = (0..CONCURRENCY).collect();
    let mut held = vec![0i64; kind.keys as usize];
    let mut old: Vec<Vec<i64>> = vec![vec![0]; kind.keys as usize];
    let (mut next, mut fresh, mut asked, mut done, mut line) = (CONCURRENCY, 0, 0, 0, 0);
    let mut is_wrong = kind.is_wrong;
    while done < OPERATIONS {
        line += 1;
        let at = mix.below(CONCURRENCY) as usize;
        let mut event = |of: &Open, process: u64, end: EventKind, value: Option<Raw>, swapped: bool| {
            let key = Raw::Int(of.key as i64);
            builder.event(Event {
                line,
                process,
                kind: end,
                op: Some(["read", "write", "cas"][of.what as usize]),
                key: Some(&key),
                value: value.as_ref(),
                tuples: false,
                swapped,
                time: None,
                id: None,
            });
        };
        let Some(of) = &mut open[at] else {
            if asked < OPERATIONS {
                asked += 1;
                fresh += 1;
                let value = |mix: &mut Mix| {
                    if kind.values == 0 {
                        fresh
                    } else {
                        1 + mix.below(kind.values) as i64
                    }
                };
                let key = mix.below(kind.keys);
                let to = value(&mut mix);
                let of = Open {
                    key,
                    what: mix.below(if kind.with_cas { 3 } else { 2 }),
                    from: if kind.values == 0 {
                        held[key as usize]
                    } else {
                        value(&mut mix)
                    },
                    to,
                    result: None,
                };
                let asks = [
                    None,
                    Some(Raw::Int(to)),
                    Some(Raw::List(vec![Raw::Int(of.from), Raw::Int(to)])),
                ];
                event(
                    &of,
                    processes[at],
                    EventKind::Invoke,
                    asks[of.what as usize].clone(),
                    true,
                );
                open[at] = Some(of);
            }
            continue;
        };
        let register = &mut held[of.key as usize];
        match of.result {
            None => {
                let swaps = *register == of.from;
                if of.what == 1 || of.what == 2 && swaps {
                    old[of.key as usize].push(of.to);
                }
                of.result = Some(match of.what {
                    0 => *register,
                    1 => {
                        *register = of.to;
                        0
                    }
                    _ => {
                        if swaps {
                            *register = of.to;
                        }
                        i64::from(swaps)
                    }
                });
            }
            Some(result) => {
                done += 1;
                let of = open[at].take().expect("it is open");
                if mix.below(10_000) < kind.unsure {
                    event(&of, processes[at], EventKind::Info, None, true);
                    processes[at] = next;
                    next += 1;
                    continue;
                }
                let mut result = result;
                if is_wrong && of.what == 0 && done > OPERATIONS / 4 * 3 {
                    is_wrong = false;
                    let written = &old[of.key as usize];
                    result = written[written.len().saturating_sub(60)];
                }
                let value = if result == 0 { Raw::Nil } else { Raw::Int(result) };
                let value = (of.what == 0).then_some(value);
                event(&of, processes[at], EventKind::Ok, value, of.what != 2 || result == 1);
            }
        }
    }
    builder
        .finish()
        .unwrap_or_else(|problems| panic!("{}", problems.shown("made")))
}

/// The peak of this process's memory in MiB, where the system says it.
fn peak_memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok())
        .unwrap_or(f64::NAN)
        / 1024.0
}

fn main() {
    let wanted: Vec<String> = std::env::args().skip(1).filter(|arg| !arg.starts_with('-')).collect();
    let once = Kind {
        values: 0,
        keys: 1,
        with_cas: false,
        unsure: 0,
        is_wrong: false,
    };
    let histories = [
        ("once", once),
        ("once, 0.2 % unknown", Kind { unsure: 20, ..once }),
        ("once, one wrong", Kind { is_wrong: true, ..once }),
        ("5 values", Kind { values: 5, ..once }),
        ("100 values", Kind { values: 100, ..once }),
        (
            "5 values, cas, 0.1 % unknown",
            Kind {
                values: 5,
                with_cas: true,
                unsure: 10,
                ..once
            },
        ),
        (
            "20 values, cas, one wrong",
            Kind {
                values: 20,
                with_cas: true,
                is_wrong: true,
                ..once
            },
        ),
        (
            "5 values, cas, 100 keys",
            Kind {
                values: 5,
                keys: 100,
                with_cas: true,
                ..once
            },
        ),
    ];
    println!(
        "{:>30} {:>19} {:>9} {:>9} {:>10} {:>11} {:>9}",
        "history", "model", "MB", "read s", "judged s", "steps", "peak MiB"
    );
    for (name, kind) in histories {
        if !wanted.is_empty() && !wanted.iter().any(|of| name.contains(of.as_str())) {
            continue;
        }
        let made = history(kind);
        let mut text = Vec::new();
        write(&made, Writing::JsonLines, &mut text).expect("memory takes all");
        let start = Instant::now();
        let history =
            read(text.as_slice(), Reading::default()).unwrap_or_else(|problems| panic!("{}", problems.shown(name)));
        let reading = start.elapsed().as_secs_f64();
        let models: &[Model] = if kind.values == 0 && kind.unsure == 0 {
            &[
                Model::Linearizable,
                Model::Sequential,
                Model::Causal,
                Model::CausalConvergence,
                Model::Pram,
                Model::MonotonicReads,
            ]
        } else {
            &[Model::Linearizable]
        };
        for model in models {
            let start = Instant::now();
            let spec = if kind.with_cas {
                Spec::CasRegister
            } else {
                Spec::Register
            };
            let judgement = judge(&history, *model, spec, Budget::default()).expect("it is supported");
            let judged = start.elapsed().as_secs_f64();
            assert!(
                kind.is_wrong || judgement.verdict == Verdict::Holds,
                "{name}: {judgement:?}"
            );
            assert!(
                !kind.is_wrong || *model != Model::Linearizable || judgement.verdict == Verdict::Violated,
                "{name}: {judgement:?}"
            );
            println!(
                "{name:>30} {:>19} {:>9.1} {reading:>9.2} {judged:>10.3} {:>11} {:>9.0}",
                model.name(),
                text.len() as f64 / 1e6,
                judgement.steps,
                peak_memory()
            );
        }
    }
}
