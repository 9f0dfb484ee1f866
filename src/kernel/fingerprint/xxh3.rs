//! XXH3-128 of a few whole words, written out so that the compiler sees the length: it's on the path of every handled entry,
//! and costs half of what the general function does there.
//!
//! The result is that of XXH3-128 with seed 0 over the words' little-endian bytes, on every platform (tested against
//! `twox-hash`). After the specification of xxHash 0.8, section XXH3, inputs of 17 to 128 bytes.

const PRIME_1: u64 = 0x9e37_79b1_85eb_ca87;
const PRIME_2: u64 = 0xc2b2_ae3d_27d4_eb4f;
const PRIME_4: u64 = 0x85eb_ca77_c2b2_ae63;
const AVALANCHE: u64 = 0x1656_6791_9e37_79f9;

/// The first 128 bytes of the default secret, as little-endian words.
const SECRET: [u64; 16] = secret(*b"\
    \xb8\xfe\x6c\x39\x23\xa4\x4b\xbe\x7c\x01\x81\x2c\xf7\x21\xad\x1c\xde\xd4\x6d\xe9\x83\x90\x97\xdb\x72\x40\xa4\xa4\xb7\xb3\x67\x1f\
    \xcb\x79\xe6\x4e\xcc\xc0\xe5\x78\x82\x5a\xd0\x7d\xcc\xff\x72\x21\xb8\x08\x46\x74\xf7\x43\x24\x8e\xe0\x35\x90\xe6\x81\x3a\x26\x4c\
    \x3c\x28\x52\xbb\x91\xc3\x00\xcb\x88\xd0\x65\x8b\x1b\x53\x2e\xa3\x71\x64\x48\x97\xa2\x0d\xf9\x4e\x38\x19\xef\x46\xa9\xde\xac\xd8\
    \xa8\xfa\x76\x3f\xe3\x9c\x34\x3f\xf9\xdc\xbb\xc7\xc7\x0b\x4f\x1d\x8a\x51\xe0\x4b\xcd\xb4\x59\x31\xc8\x9f\x7e\xc9\xd9\x78\x73\x64");

const fn secret(bytes: [u8; 128]) -> [u64; 16] {
    let mut words = [0; 16];
    let mut at = 0;
    while at < 128 {
        words[at / 8] |= (bytes[at] as u64) << (at % 8 * 8);
        at += 1;
    }
    words
}

#[inline(always)]
const fn mix_pair(low: u64, high: u64, secret: usize) -> u64 {
    let product = (low ^ SECRET[secret]) as u128 * (high ^ SECRET[secret + 1]) as u128;
    product as u64 ^ (product >> 64) as u64
}

#[inline(always)]
const fn avalanche(mut hash: u64) -> u64 {
    hash = (hash ^ (hash >> 37)).wrapping_mul(AVALANCHE);
    hash ^ (hash >> 32)
}

/// The hash of 3 to 16 words.
///
/// # Panics
/// Panics if there are fewer or more.
#[inline(always)]
pub(super) fn hash(words: &[u64]) -> u128 {
    /// One arm for each number of words: each is code without loops, bounds or look-ups of the secret.
    macro_rules! by_length {
        ($($count:literal)*) => {
            match words.len() {
                $($count => hash_of::<$count>(words.try_into().expect("the slice has this length")),)*
                other => panic!("the hash of 3 to 16 words, not of {other}"),
            }
        };
    }
    by_length!(3 4 5 6 7 8 9 10 11 12 13 14 15 16)
}

#[inline(always)]
fn hash_of<const COUNT: usize>(words: &[u64; COUNT]) -> u128 {
    let length = COUNT as u64 * 8;
    let (mut low, mut high) = (length.wrapping_mul(PRIME_1), 0u64);
    // From the inside out: two words from the left and two from the right in each round.
    for round in (0..COUNT.div_ceil(4)).rev() {
        let (left, right) = (2 * round, COUNT - 2 * round - 2);
        let (a, b, c, d) = (words[left], words[left + 1], words[right], words[right + 1]);
        low = low.wrapping_add(mix_pair(a, b, 4 * round)) ^ c.wrapping_add(d);
        high = high.wrapping_add(mix_pair(c, d, 4 * round + 2)) ^ a.wrapping_add(b);
    }
    let first = low.wrapping_add(high);
    let second = low
        .wrapping_mul(PRIME_1)
        .wrapping_add(high.wrapping_mul(PRIME_4))
        .wrapping_add(length.wrapping_mul(PRIME_2));
    (avalanche(second).wrapping_neg() as u128) << 64 | avalanche(first) as u128
}

#[cfg(test)]
mod tests {
    use twox_hash::XxHash3_128;

    #[test]
    fn it_is_xxh3_for_every_count_of_words() {
        for seed in 0..500u64 {
            let draws = crate::kernel::Key::root(seed, 0);
            let words: Vec<u64> = (0..16).map(|n| draws.draw(crate::kernel::Purpose(0), n)).collect();
            for count in 3..=16 {
                let bytes: Vec<u8> = words[..count].iter().flat_map(|word| word.to_le_bytes()).collect();
                assert_eq!(
                    super::hash(&words[..count]),
                    XxHash3_128::oneshot(&bytes),
                    "{count} words"
                );
            }
        }
        let zeroes = [0u64; 3];
        assert_eq!(super::hash(&zeroes), XxHash3_128::oneshot(&[0; 24]));
    }
}
