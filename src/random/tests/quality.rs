//! The addressed generator of the kernel: its bits are uniform and independent along every part of the address.

use super::*;
use crate::random::math::sqrt;
use std::collections::BTreeSet;

const DRAWS: u64 = 1 << 17;

/// Consecutive addresses along one part of it: numbers, members, purposes, names, seeds; or one stream's own outputs.
fn walks() -> Vec<(&'static str, Vec<u64>)> {
    let key = Key::root(7, 0).child("quality");
    let mut own = key.stream(TEST, 0);
    vec![
        ("numbers", (0..DRAWS).map(|n| key.draw(TEST, n)).collect()),
        ("numbers by 2^20", (0..DRAWS).map(|n| key.draw(TEST, n << 20)).collect()),
        ("members", (0..DRAWS).map(|n| key.member(n).draw(TEST, 0)).collect()),
        (
            "members of members",
            (0..DRAWS)
                .map(|n| key.member(n >> 9).member(n & 511).draw(TEST, 5))
                .collect(),
        ),
        (
            "members and numbers",
            (0..DRAWS).map(|n| key.member(n).draw(TEST, n)).collect(),
        ),
        (
            "purposes",
            (0..DRAWS)
                .map(|n| key.member(n >> 16).draw(Purpose(n as u16), 3))
                .collect(),
        ),
        (
            "names",
            (0..DRAWS)
                .map(|n| key.child(&format!("agent-{n}")).draw(TEST, 0))
                .collect(),
        ),
        ("seeds", (0..DRAWS / 4).map(|n| Key::root(n, 0).draw(TEST, 0)).collect()),
        (
            "replicates",
            (0..DRAWS / 4).map(|n| Key::root(1, n).draw(TEST, 0)).collect(),
        ),
        ("stream", (0..DRAWS).map(|_| own.next_u64()).collect()),
        (
            "second outputs",
            (0..DRAWS)
                .map(|n| {
                    let mut s = key.stream(TEST, n);
                    s.next_u64();
                    s.next_u64()
                })
                .collect(),
        ),
    ]
}

/// Whether a chi-square statistic is within five standard deviations of what chance gives.
fn plausible(counts: &[u64]) -> bool {
    let expected = counts.iter().sum::<u64>() as f64 / counts.len() as f64;
    let statistic: f64 = counts
        .iter()
        .map(|&c| (c as f64 - expected) * (c as f64 - expected) / expected)
        .sum();
    let freedom = (counts.len() - 1) as f64;
    (statistic - freedom).abs() < 5.0 * sqrt(2.0 * freedom)
}

#[test]
fn every_byte_is_uniform_along_every_walk() {
    for (walk, draws) in walks() {
        for byte in 0..8 {
            let mut counts = [0u64; 256];
            for draw in &draws {
                counts[(draw >> (8 * byte)) as usize & 0xff] += 1;
            }
            assert!(plausible(&counts), "byte {byte} along {walk}");
        }
    }
}

#[test]
fn neighbours_are_independent() {
    for (walk, draws) in walks() {
        for (lag, shift) in [(1, 56), (1, 0), (2, 56), (7, 30)] {
            // Pairs of four bits each, and the differences of whole bytes.
            let (mut pairs, mut changes) = ([0u64; 256], [0u64; 256]);
            for (a, b) in draws.iter().zip(&draws[lag..]) {
                pairs[((a >> shift & 15) << 4 | (b >> shift & 15)) as usize] += 1;
                changes[((a ^ b) >> shift & 255) as usize] += 1;
            }
            assert!(
                plausible(&pairs) && plausible(&changes),
                "lag {lag}, bits from {shift}, along {walk}"
            );
        }
    }
}

#[test]
fn every_bit_of_an_address_moves_every_bit_of_its_draw() {
    const TRIALS: u64 = 4096;
    let key = Key::root(11, 4);
    let base = move |t: u64| (key.member(t), (t * 77) as u16, t.wrapping_mul(0x1234_5677));
    type Flipped = Box<dyn Fn(u64) -> u64>;
    let mut flips: Vec<(String, Flipped)> = Vec::new();
    for bit in 0..48 {
        flips.push((
            format!("bit {bit} of the number"),
            Box::new(move |t| {
                let (k, p, n) = base(t);
                k.draw(Purpose(p), n ^ 1 << bit)
            }),
        ));
    }
    for bit in 0..16 {
        flips.push((
            format!("bit {bit} of the purpose"),
            Box::new(move |t| {
                let (k, p, n) = base(t);
                k.draw(Purpose(p ^ 1 << bit), n)
            }),
        ));
    }
    for bit in 0..32 {
        flips.push((
            format!("bit {bit} of the member"),
            Box::new(move |t| {
                let (_, p, n) = base(t);
                key.member(t ^ 1 << bit).draw(Purpose(p), n)
            }),
        ));
    }
    for (what, flipped) in flips {
        let mut moved = [0u64; 64];
        for t in 0..TRIALS {
            let (k, p, n) = base(t);
            let change = k.draw(Purpose(p), n) ^ flipped(t);
            for (bit, count) in moved.iter_mut().enumerate() {
                *count += change >> bit & 1;
            }
        }
        // A binomial of 4096 halves has a standard deviation of 32; there are 6144 of them.
        for (bit, count) in moved.iter().enumerate() {
            assert!(
                count.abs_diff(TRIALS / 2) < 32 * 5 + 16,
                "{what} moves bit {bit} {count} times of {TRIALS}"
            );
        }
    }
}

#[test]
fn addresses_and_their_streams_do_not_collide() {
    let key = Key::root(1, 1).child("agents");
    let mut seen = BTreeSet::new();
    for member in 0..64 {
        for purpose in 0..8 {
            for number in 0..128 {
                let mut stream = key.member(member).stream(Purpose(purpose), number);
                for _ in 0..3 {
                    assert!(seen.insert(stream.next_u64()), "{member}, {purpose}, {number}");
                }
            }
        }
    }
}

#[test]
fn units_and_bounded_integers_are_uniform() {
    let (mut units, mut open, mut below) = ([0u64; 100], [0u64; 100], [0u64; 97]);
    for n in 0..DRAWS * 2 {
        let mut s = stream(n);
        units[(s.unit() * 100.0) as usize] += 1;
        open[(s.open_unit() * 100.0) as usize] += 1;
        below[s.below(97) as usize] += 1;
    }
    assert!(plausible(&units) && plausible(&open) && plausible(&below));
}
