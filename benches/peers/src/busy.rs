//! How long the threads of this program have run: a reader of the figures must see whether the
//! generator was the limit.

use std::fs;
use std::io;

/// Seconds of processor time of all threads of this program so far.
pub(crate) fn processor_seconds() -> io::Result<f64> {
    let mut nanoseconds = 0_u64;
    for thread in fs::read_dir("/proc/self/task")? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let first = text.split(' ').next().and_then(|word| word.parse::<u64>().ok());
        nanoseconds += first.ok_or_else(|| io::Error::other("schedstat has another format"))?;
    }
    Ok(nanoseconds as f64 / 1e9)
}
