//! What changes a fingerprint, and what doesn't.

use super::*;
use crate::kernel::{Key, Purpose};

fn entry(n: u64) -> Entry<()> {
    Entry {
        time: SimTime::from_nanos(n * 100),
        body: (),
        origin: n as u32 % 7,
        number: n as u32,
        target: !n as u32,
        step: n as u16 % 3,
        kind: n as u16 % 5,
    }
}

fn hash(entry: &Entry<()>, payload: &[u64]) -> u128 {
    let mut words = Words::new();
    words.restart(entry);
    payload.iter().for_each(|word| words.push(*word));
    words.hash()
}

/// The fingerprint of these hashes at these times, with a checkpoint each microsecond.
fn print(entries: &[(u64, u128)]) -> (Print, Vec<Checkpoint>) {
    let mut fingerprint = Fingerprint::new(SimDuration::from_nanos(1_000));
    for (time, hash) in entries {
        fingerprint.add(SimTime::from_nanos(*time), *hash);
    }
    (fingerprint.print(), fingerprint.checkpoints().to_vec())
}

#[test]
fn every_bit_of_every_word_counts() {
    for payload in [0, 1, 2, 5, 11, 12, 13, 24, 40] {
        let mut words = Words::new();
        words.restart(&entry(5));
        (0..payload).for_each(|n| words.push(Key::root(1, 0).draw(Purpose(0), n)));
        let mut seen = vec![words.hash()];
        for word in 0..words.count() {
            for bit in 0..64 {
                let mut spoilt = words.clone();
                spoilt.flip(word, 1 << bit);
                seen.push(spoilt.hash());
            }
        }
        let all = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), all, "{payload} words of payload");
    }
}

#[test]
fn every_bit_of_every_field_counts() {
    let mut seen = vec![hash(&entry(5), &[])];
    let mut spoil = |bits: u32, change: &dyn Fn(&mut Entry<()>, u32)| {
        for bit in 0..bits {
            let mut spoilt = entry(5);
            change(&mut spoilt, bit);
            seen.push(hash(&spoilt, &[]));
        }
    };
    spoil(64, &|entry, bit| {
        entry.time = SimTime::from_nanos(entry.time.as_nanos() ^ 1 << bit)
    });
    spoil(32, &|entry, bit| entry.origin ^= 1 << bit);
    spoil(32, &|entry, bit| entry.number ^= 1 << bit);
    spoil(32, &|entry, bit| entry.target ^= 1 << bit);
    spoil(16, &|entry, bit| entry.step ^= 1 << bit);
    spoil(16, &|entry, bit| entry.kind ^= 1 << bit);
    let all = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((seen.len(), all), (193, 193));
}

#[test]
fn every_bit_of_a_long_payload_counts_and_so_does_its_length() {
    let payload: Vec<u64> = (0..100).map(|n| Key::root(2, 0).draw(Purpose(0), n)).collect();
    let mut seen: Vec<u128> = (0..=100).map(|length| hash(&entry(5), &payload[..length])).collect();
    for word in 0..100 {
        for bit in 0..64 {
            let mut spoilt = payload.clone();
            spoilt[word] ^= 1 << bit;
            seen.push(hash(&entry(5), &spoilt));
        }
    }
    // Zeroes are words, too.
    seen.extend((1..40).map(|length| hash(&entry(5), &vec![0; length])));
    let all = seen.len();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), all);
}

#[test]
fn a_buffer_keeps_nothing_of_the_entry_before() {
    let mut words = Words::new();
    words.restart(&entry(1));
    (0..30).for_each(|n| words.push(n));
    words.restart(&entry(2));
    words.push(9);
    assert_eq!(words.count(), 4);
    assert_eq!(words.hash(), hash(&entry(2), &[9]));
}

#[test]
fn the_order_within_a_checkpoint_leaves_no_trace_but_the_checkpoint_does() {
    let entries: Vec<(u64, u128)> = (0..10).map(|n| (n * 100, hash(&entry(n), &[]))).collect();
    let mut swapped = entries.clone();
    swapped.reverse();
    swapped
        .iter_mut()
        .zip(&entries)
        .for_each(|(swapped, entry)| swapped.0 = entry.0);
    assert_eq!(print(&entries), print(&swapped));
    // The same hashes, the last of them behind the end of the checkpoint.
    let mut late = entries.clone();
    late[9].0 = 1_000;
    assert_ne!(print(&entries).0, print(&late).0);
    assert_ne!(print(&entries).0, print(&entries[..9]).0);
    assert_ne!(print(&entries[..1]).0, print(&[]).0);
    // Swapping two hashes across a checkpoint shows.
    let both = [(900, 1), (1_100, 2)];
    assert_ne!(print(&both).0, print(&[(900, 2), (1_100, 1)]).0);
}

#[test]
fn checkpoints_chain() {
    let run = |first: u128| {
        let entries: Vec<(u64, u128)> = (0..100)
            .map(|n| (n * 100, if n == 0 { first } else { n as u128 }))
            .collect();
        print(&entries)
    };
    let ((print_a, a), (print_b, b)) = (run(1), run(2));
    assert_eq!(a.len(), 9);
    assert!(
        a.iter()
            .zip(1..)
            .all(|(point, n)| point.until.as_nanos() == n * 1_000 && point.handled == n * 10)
    );
    // What differs in the first one differs in all: the first differing checkpoint can be found by bisection.
    assert!(a.iter().zip(&b).all(|(a, b)| a.print != b.print));
    assert_ne!(print_a, print_b);
}

#[test]
fn silence_takes_one_checkpoint() {
    let (_, points) = print(&[(10, 1), (1_000_000, 2), (1_000_001, 3), (u64::MAX, 4), (u64::MAX, 5)]);
    let ends: Vec<(u64, u64)> = points
        .iter()
        .map(|point| (point.until.as_nanos(), point.handled))
        .collect();
    assert_eq!(ends, [(1_000, 1), (1_001_000, 3)]);
}

#[test]
fn the_same_sum_of_other_entries_is_another_print() {
    // Two entries that cancel out are still counted.
    let one = print(&[(1, 5)]);
    let three = print(&[(1, 5), (1, 7), (1, 7u128.wrapping_neg())]);
    assert_ne!(one.0, three.0);
}

#[test]
fn a_print_is_32_digits() {
    assert_eq!(Print(0xabc).to_string(), "00000000000000000000000000000abc");
    assert_eq!(format!("{:?}", Print(u128::MAX)), "f".repeat(32));
}
