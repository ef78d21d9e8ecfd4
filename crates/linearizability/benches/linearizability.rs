//! The time to judge a history.
//!
//! `cargo bench --bench linearizability`

use std::collections::HashMap;
use std::fmt::Write;
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fastrand::Rng;
use linearizability::command::{self, Command, Reply};
use linearizability::key_value::{Kind, Operation, Verdict, check};
use linearizability::models::{CasAnswer, CasCall, CasRegister};
use linearizability::{Limits, Outcome, read};

/// A history that an execution could have had.
#[derive(Clone, Copy)]
struct Shape {
    operations: usize,
    keys: u64,
    clients: usize,
    /// The number of different values; `u64::MAX` for a new one in every put.
    values: u64,
    /// The fraction of puts that are pending. The client repeats half of them, with the same value.
    unknown: f64,
}

const MANY_KEYS: Shape =
    Shape { operations: 100_000, keys: 1_000, clients: 64, values: u64::MAX, unknown: 0.05 };
const ONE_KEY: Shape = Shape { operations: 2_000, keys: 1, clients: 16, ..MANY_KEYS };

/// The longest time from the invocation of a pending put to its effect, in ns. Other operations
/// take a hundredth.
const LATEST_EFFECT: u64 = 200_000;

impl Shape {
    fn generate(self) -> Vec<Operation> {
        let mut rng = Rng::with_seed(1);
        let mut free_at = vec![0; self.clients];
        let mut asked_again = None;
        let mut effects: Vec<(u64, Operation)> = Vec::new();
        while effects.len() < self.operations {
            let client = (0..self.clients).min_by_key(|&client| free_at[client]).expect("a client");
            let invoked = free_at[client] + rng.u64(1..500);
            let again: Option<(Arc<str>, Arc<str>)> = asked_again.take();
            let is_put = again.is_some() || rng.bool();
            let is_unknown = is_put && rng.f64() < self.unknown;
            let (key, value) = again.unwrap_or_else(|| {
                let value = if self.values == u64::MAX { rng.u64(..) } else { rng.u64(..self.values) };
                (format!("key {}", rng.u64(..self.keys)).into(), format!("{value:016X}").into())
            });
            let effect = match is_unknown {
                true if rng.bool() => u64::MAX, // never
                true => invoked + rng.u64(1..LATEST_EFFECT),
                false => invoked + rng.u64(1..LATEST_EFFECT / 200),
            };
            let returned = (!is_unknown).then(|| effect + rng.u64(1..LATEST_EFFECT / 200));
            free_at[client] = returned.unwrap_or(invoked + LATEST_EFFECT / 100);
            if is_unknown && rng.bool() {
                asked_again = Some((Arc::clone(&key), Arc::clone(&value)));
            }
            let (name, client) = (effects.len().to_string().into(), format!("{client:04X}").into());
            let kind = if is_put { Kind::Put { value } } else { Kind::Get { value } };
            let operation =
                Operation { name, client, key, kind, invoked, returned, declined: None, retry_of: None };
            effects.push((effect, operation));
        }
        execute(effects)
    }
}

/// Gives each get the value of the latest put.
fn execute(mut effects: Vec<(u64, Operation)>) -> Vec<Operation> {
    effects.sort_by_key(|&(effect, _)| effect);
    let mut values = std::collections::HashMap::new();
    for (_, operation) in &mut effects {
        match &mut operation.kind {
            Kind::Put { value } => drop(values.insert(Arc::clone(&operation.key), Arc::clone(value))),
            Kind::Get { value } => *value = values.get(&operation.key).cloned().unwrap_or_else(|| "".into()),
        }
    }
    effects.into_iter().map(|(_, operation)| operation).collect()
}

impl Shape {
    /// The same history, but half of the puts are compare-and-set from the value that the last get
    /// of their key has found.
    fn commands(self) -> Vec<command::Operation> {
        let mut rng = Rng::with_seed(2);
        let mut values: HashMap<Arc<str>, Arc<str>> = HashMap::new();
        let mut found: HashMap<Arc<str>, Arc<str>> = HashMap::new();
        let convert = |own: Operation| {
            let current = values.get(&own.key).cloned();
            let (command, reply) = match own.kind {
                Kind::Get { .. } => {
                    found.extend(current.clone().map(|value| (Arc::clone(&own.key), value)));
                    (Command::Get, Reply::Value(current))
                }
                Kind::Put { value } => {
                    let from = found.get(&own.key);
                    let is_cas = rng.bool();
                    let is_done = !is_cas || from == current.as_ref();
                    if is_done {
                        values.insert(Arc::clone(&own.key), Arc::clone(&value));
                    }
                    let from = from.map(|from| &**from);
                    (
                        if is_cas { Command::cas(from, value) } else { Command::set(value) },
                        Reply::Done(is_done),
                    )
                }
            };
            let operation = command::Operation::new(own.name, own.client, own.key, command, own.invoked);
            match own.returned {
                Some(at) => operation.replied(at, reply),
                None => operation,
            }
        };
        self.generate().into_iter().map(convert).collect()
    }
}

/// The same history for the search of any model.
fn for_any_model(operations: &[Operation]) -> Vec<linearizability::Operation<CasCall, CasAnswer>> {
    let convert = |operation: &Operation| {
        let (key, value) = (operation.key.to_string(), operation.value().to_string());
        let (call, answer) = match operation.kind {
            Kind::Put { .. } => (CasCall::Write(key, value), CasAnswer::Written),
            Kind::Get { .. } => {
                (CasCall::Read(key), CasAnswer::Value(Some(value).filter(|value| !value.is_empty())))
            }
        };
        let returned = |at| Outcome::Returned { at, answer };
        let outcome = operation.returned.map_or(Outcome::Pending { until: None }, returned);
        linearizability::Operation {
            client: Arc::clone(&operation.client),
            call,
            invoked: operation.invoked,
            outcome,
        }
    };
    operations.iter().map(convert).collect()
}

/// The same history as `run.py --history` writes it.
fn lines(operations: &[Operation]) -> String {
    let mut text = String::new();
    for operation in operations {
        let Operation { name, client, key, .. } = operation;
        let (kind, value) = (if operation.is_get() { "get" } else { "put" }, operation.value());
        let seconds = |ns: u64| format!("{}.{:09}", ns / 1_000_000_000, ns % 1_000_000_000);
        let returned = operation.returned.map_or("null".to_owned(), seconds);
        let outcome = if operation.returned.is_some() { "ok" } else { "unknown" };
        writeln!(
            text,
            r#"{{"id": "{name}", "client": "{client}", "type": "{kind}", "key": "{key}", "value": "{value}", "invoked": {}, "returned": {returned}, "outcome": "{outcome}"}}"#,
            seconds(operation.invoked)
        )
        .expect("a String takes all");
    }
    text
}

fn linearizability(c: &mut Criterion) {
    let shapes = [
        ("100000 on 1000 keys", MANY_KEYS),
        ("2000 on 1 key", ONE_KEY),
        ("2000 on 1 key, 64 clients", Shape { clients: 64, ..ONE_KEY }),
        ("2000 on 1 key, half unknown", Shape { unknown: 0.5, ..ONE_KEY }),
        ("2000 on 1 key, 50 values", Shape { values: 50, ..ONE_KEY }),
        (
            "1000 on 1 key, 64 clients, 50 values",
            Shape { operations: 1_000, clients: 64, values: 50, ..ONE_KEY },
        ),
        (
            "50000 on 1 key, 5 clients, 5 values, 15 % unknown",
            Shape { operations: 50_000, clients: 5, values: 5, unknown: 0.15, ..ONE_KEY },
        ),
    ];
    let mut group = c.benchmark_group("check");
    group.sample_size(10);
    for (name, shape) in shapes {
        let history = shape.generate();
        group.throughput(Throughput::Elements(history.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| assert_eq!(check(black_box(&history), Limits::default()), Verdict::Linearizable));
        });
    }
    let history = for_any_model(&MANY_KEYS.generate());
    group.bench_function("100000 on 1000 keys, as any model", |b| {
        let verdict = || linearizability::check(&CasRegister, black_box(&history), Limits::default());
        b.iter(|| assert_eq!(verdict(), linearizability::Verdict::Linearizable));
    });
    let shapes = [
        ("100000 commands with compare-and-set on 1000 keys", MANY_KEYS),
        ("2000 commands with compare-and-set on 1 key", ONE_KEY),
    ];
    for (name, shape) in shapes {
        let history = shape.commands();
        group.throughput(Throughput::Elements(history.len() as u64));
        group.bench_function(name, |b| {
            let verdict = || command::check(black_box(&history), Duration::ZERO, Limits::default());
            b.iter(|| assert_eq!(verdict(), linearizability::Verdict::Linearizable));
        });
    }
    let text = lines(&MANY_KEYS.generate());
    group.bench_function("read 100000", |b| {
        b.iter(|| read::read(black_box(text.as_bytes())).expect("a good history"));
    });
}

criterion_group!(benches, linearizability);
criterion_main!(benches);
