//! Any text at all, run as a golden script: each line is refused or says the same each time, and no invariant of
//! Raft breaks. A panic that the script expects, with a `!`, is found too.

#![no_main]

use raft::scripts;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(bytes) else { return Corpus::Reject };
    scripts::check(text);
    Corpus::Keep
});
