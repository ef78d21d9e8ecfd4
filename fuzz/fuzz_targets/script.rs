//! Runs any text as a golden script: the runner refuses each line or answers it the same each time,
//! and no invariant of Raft breaks. A panic that the script expects, with a `!`, counts as a crash,
//! too.

#![no_main]

use raft::scripts;
use libfuzzer_sys::{Corpus, fuzz_target};

fuzz_target!(|bytes: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(bytes) else { return Corpus::Reject };
    scripts::check(text);
    Corpus::Keep
});
