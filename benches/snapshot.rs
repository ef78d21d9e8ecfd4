//! Memory and pauses of a state machine with a million keys, at rest and while a snapshot is taken.
//!
//! `cargo bench --bench snapshot`
//!
//! Keys have 32 bytes and values 100. A client that counts sets them, so the session of that client
//! is part of the state.

use std::fs;
use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use kvstore::bytes::Bytes;
use kvstore::command::Proposal;
use kvstore::id::Id;
use kvstore::operation::Operation;
use kvstore::request::RequestId;
use kvstore::state_machine::snapshot::{Decoder, Encoder};
use kvstore::state_machine::{Settings, StateMachine};
use rustix::time::{ClockId, clock_gettime};

const KEYS: u32 = 1_000_000;
const UPDATES: u32 = 200_000;
const VALUE_BYTES: usize = 100;
/// As on all machines with x86.
const PAGE_BYTES: f64 = 4_096.0;
/// Between the steps in which a copy is freed.
const PAUSE: Duration = Duration::from_micros(200);
/// A chunk for a connection between replicas.
const CHUNK_BYTES: usize = 64 << 10;

fn main() {
    let begun = memory_mb();
    let mut log = Log { machine: StateMachine::new(Settings::default()), rng: fastrand::Rng::with_seed(1) };
    for n in 0..KEYS {
        log.set(n);
    }
    println!("at rest: {:.0} MB, {:.0} MB of them before the first key", memory_mb(), begun);
    log.updates("without a copy", UPDATES);

    log.while_encoding();
    let copy = log.machine.clone();
    log.updates("with a copy that lives", UPDATES);
    println!("with a copy that lives: {:.0} MB", memory_mb());
    log.updates("with a copy that shares little", 3 * KEYS);
    println!("with a copy that shares little: {:.0} MB", memory_mb());
    log.beside(move || free(copy), "a copy that shares little is freed");
    println!("without the copy: {:.0} MB", memory_mb());

    let chunks = chunks(&log.machine);
    let before = memory_mb();
    let begun = Instant::now();
    let mut decoder = Decoder::new(Settings::default());
    let mut longest = 0.0_f64;
    for chunk in &chunks {
        let begun = thread_ns();
        decoder.push(chunk).expect("a good stream");
        longest = longest.max((thread_ns() - begun) as f64 / 1e3);
    }
    let restored = decoder.finish().expect("a good stream");
    println!("decode: {:.2} s, longest chunk {longest:.0} us", begun.elapsed().as_secs_f64());
    println!("the restored state takes {:.0} MB", memory_mb() - before);
    assert!(restored == log.machine);

    let replaced = std::mem::replace(&mut log.machine, restored);
    log.machine.discard(replaced);
    log.updates("while a state that was replaced is freed", UPDATES);
}

/// A state machine, and a source of keys.
struct Log {
    machine: StateMachine,
    rng: fastrand::Rng,
}

impl Log {
    /// Sets a key, and returns the processor time in microseconds.
    fn set(&mut self, n: u32) -> f64 {
        let index = self.machine.applied() + 1;
        let key = Bytes::from(format!("{n:032x}"));
        let operation = Operation::set(key, vec![b'v'; VALUE_BYTES]);
        let client = Id::new(7).expect("not reserved");
        let request = Some(RequestId { client, mid: format!("{index:x}").into() });
        let proposal = Proposal { at: index as i64, request, command: operation.into() };
        let begun = thread_ns();
        black_box(self.machine.apply(index, &proposal));
        (thread_ns() - begun) as f64 / 1e3
    }

    fn update(&mut self) -> f64 {
        let n = self.rng.u32(..KEYS);
        self.set(n)
    }

    /// Prints the mean and the longest of some updates.
    fn updates(&mut self, name: &str, count: u32) {
        let times = (0..count).map(|_| self.update());
        let (sum, longest) = times.fold((0.0, 0.0_f64), |(sum, max), time| (sum + time, max.max(time)));
        let mean = sum / f64::from(count);
        println!("{name}: {mean:.2} us per update, longest {:.2} ms", longest / 1e3);
    }

    /// Takes a copy, which another thread encodes and drops.
    fn while_encoding(&mut self) {
        let begun = Instant::now();
        let mut encoder = Encoder::new(self.machine.clone());
        println!("copy: {:.3} ms", begun.elapsed().as_secs_f64() * 1e3);
        let encode = move || {
            let mut bytes = 0;
            while let Some(chunk) = encoder.next_chunk(CHUNK_BYTES) {
                bytes += chunk.len();
            }
            println!("stream: {:.1} bytes per key", bytes as f64 / f64::from(KEYS));
            free(encoder.into_state());
        };
        self.beside(encode, "a copy is encoded and freed");
    }

    /// Applies updates until another thread has done this, and some more.
    fn beside(&mut self, work: impl FnOnce() + Send + 'static, name: &str) {
        let begun = Instant::now();
        let worker = thread::spawn(work);
        let (mut count, mut longest, mut memory) = (0, 0.0_f64, 0.0_f64);
        let mut more = UPDATES / 4;
        while more > 0 {
            longest = longest.max(self.update());
            count += 1;
            if count % 1_000 == 0 {
                memory = memory.max(memory_mb());
            }
            if more == UPDATES / 4 && worker.is_finished() {
                println!("{name} in {:.2} s, beside {count} updates", begun.elapsed().as_secs_f64());
            }
            more -= u32::from(worker.is_finished());
        }
        println!("meanwhile and after it: longest {:.2} ms, at most {memory:.0} MB", longest / 1e3);
    }
}

/// Frees a copy as a thread with time does.
fn free(copy: StateMachine) {
    let mut remains = copy.into_remains();
    while remains.free_some() {
        thread::sleep(PAUSE);
    }
}

/// The stream of a state; prints how long the chunks take.
fn chunks(machine: &StateMachine) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(machine.clone());
    let (mut chunks, mut times) = (Vec::new(), Vec::new());
    loop {
        let begun = thread_ns();
        let Some(chunk) = encoder.next_chunk(CHUNK_BYTES) else { break };
        times.push((thread_ns() - begun) as f64 / 1e3);
        chunks.push(chunk);
    }
    let sum: f64 = times.iter().sum();
    times.sort_by(f64::total_cmp);
    let (median, longest) = (times[times.len() / 2], times[times.len() - 1]);
    println!("encode: {:.2} s, median of a 64 KB chunk {median:.0} us, longest {longest:.0} us", sum / 1e6);
    chunks
}

/// Processor time of this thread, in nanoseconds.
fn thread_ns() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// The memory of this process, in megabytes.
fn memory_mb() -> f64 {
    let text = fs::read_to_string("/proc/self/statm").expect("Linux has it");
    let pages: f64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * PAGE_BYTES / 1e6
}
