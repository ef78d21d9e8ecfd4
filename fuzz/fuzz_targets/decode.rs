//! Any bytes at all, shown to the decoder. What it must not do is written down in `kvstore::wire::promises`.

#![no_main]

use kvstore::wire::promises;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|datagram: &[u8]| promises::check(datagram));
