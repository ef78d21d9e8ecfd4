//! Threads count together, and the checker judges the numbers that they received.
//!
//! `cargo run -p linearizability --example counter` counts correctly. With the argument `racy` each
//! thread reads the number and writes it back in two steps, so that some additions are lost.

use std::sync::atomic::{AtomicI64, Ordering};
use std::thread;
use std::time::Instant;

use linearizability::models::{Counter, CounterCall};
use linearizability::{Limits, Operation, Verdict, check};

const THREADS: usize = 4;
const ADDITIONS: usize = 500;

fn main() {
    let add: fn(&AtomicI64) -> i64 = match std::env::args().nth(1).as_deref() {
        None => |counter: &AtomicI64| counter.fetch_add(1, Ordering::SeqCst) + 1,
        Some("racy") => add_in_two_steps,
        Some(_) => return eprintln!("usage: counter [racy]"),
    };
    match check(&Counter, &record(add), Limits::default()) {
        Verdict::Linearizable => println!("linearizable"),
        Verdict::NotLinearizable(found) => println!("not linearizable\n\n{found}"),
        Verdict::Undecided { exhausted, .. } => println!("undecided: the search ran out of {exhausted:?}"),
    }
}

fn add_in_two_steps(counter: &AtomicI64) -> i64 {
    let number = counter.load(Ordering::SeqCst) + 1;
    thread::yield_now();
    counter.store(number, Ordering::SeqCst);
    number
}

/// The history of all threads. Each reads the clock right before and right after its call.
fn record(add: fn(&AtomicI64) -> i64) -> Vec<Operation<CounterCall, i64>> {
    let (counter, start) = (AtomicI64::new(0), Instant::now());
    let now = || u64::try_from(start.elapsed().as_nanos()).unwrap_or(u64::MAX);
    let add_often = |thread: usize| -> Vec<Operation<CounterCall, i64>> {
        let addition = |_| {
            let call = CounterCall::Add("total".into(), 1);
            let operation = Operation::pending(format!("thread {thread}"), call, now());
            let number = add(&counter);
            operation.returned(now(), number)
        };
        (0..ADDITIONS).map(addition).collect()
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                scope.spawn({
                    let add_often = &add_often;
                    move || add_often(thread)
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    })
}
