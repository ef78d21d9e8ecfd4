//! A 64-bit digest of byte strings. Replicas compare state that they derive from it, so it is the same in
//! every process and every build. The standard library's hash functions do not guarantee that.

/// Odd, with bits set evenly: the fractional part of the golden ratio.
const MULTIPLIER: u64 = 0x9E37_79B9_7F4A_7C15;

/// The digest of these byte strings in this order. Two lists that differ have the same digest by
/// chance only, once in 2^64. A client that looks for such a pair can only harm its own requests.
pub fn digest(texts: &[&[u8]]) -> u64 {
    texts.iter().fold(MULTIPLIER, |digest, text| add(digest, text))
}

/// The length goes in first, so no two lists are the same bytes.
fn add(digest: u64, bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let words = words.iter().chain([&last]).map(|word| u64::from_le_bytes(*word));
    words.fold(mix(digest ^ bytes.len() as u64), |digest, word| mix(digest ^ word))
}

/// A bijection in which every bit of the argument reaches every bit of the result.
fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 32)).wrapping_mul(MULTIPLIER);
    let word = (word ^ (word >> 29)).wrapping_mul(MULTIPLIER);
    word ^ (word >> 32)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn texts_that_differ_little_have_digests_that_differ_much() {
        let number = |n: u32| digest(&[format!("{n:032x}").as_bytes()]);
        let differing = (0..1_000).map(|n| (number(n) ^ number(n + 1)).count_ones());
        assert!(differing.clone().all(|bits| bits > 10), "{:?}", differing.min());
        assert_eq!((0..100_000).map(number).collect::<HashSet<_>>().len(), 100_000);
    }

    #[test]
    fn texts_that_are_split_elsewhere_have_another_digest() {
        let lists: [&[&[u8]]; 6] =
            [&[b"ab", b"c"], &[b"a", b"bc"], &[b"abc"], &[b"abc", b""], &[b"abc\0"], &[b"12345678"]];
        let digests: HashSet<u64> = lists.iter().map(|texts| digest(texts)).collect();
        assert_eq!(digests.len(), lists.len());
    }

    #[test]
    fn digest_is_the_same_in_every_build() {
        assert_eq!(digest(&[b"key", b"a value of more than eight bytes"]), 9_873_524_852_489_487_330);
    }
}
