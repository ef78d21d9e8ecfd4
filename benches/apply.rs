//! How long the state machine takes to apply an operation of each kind, among a million keys.
//!
//! `cargo bench --bench apply [-- KIND]`
//!
//! Then it looks for the longest entries: expiry of all keys at once, their removal, a flush and the
//! entries after it, batches, and sessions that expire.

use std::hint::black_box;
use std::time::Instant;

use criterion::Criterion;
use kvstore::bytes::Bytes;
use kvstore::command::{Batch, Command, MAX_BATCH, Proposal};
use kvstore::id::Id;
use kvstore::operation::{Condition, Deadline, Expiry, Operation, Set, UnixMillis};
use kvstore::request::RequestId;
use kvstore::state_machine::{Settings, StateMachine};
use rustix::time::{ClockId, clock_gettime};

const KEYS: u32 = 1_000_000;
/// So many clients as there can be.
const CLIENTS: u16 = u16::MAX;
const VALUE: &str = "0123456789ABCDEF0123456789ABCDEF";

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    kinds(&mut criterion);
    longest();
    criterion.final_summary();
}

/// A state machine, its log, and a source of keys.
struct Log {
    machine: StateMachine,
    index: u64,
    at: UnixMillis,
    rng: fastrand::Rng,
}

impl Log {
    fn new(settings: Settings) -> Self {
        Self { machine: StateMachine::new(settings), index: 0, at: 1, rng: fastrand::Rng::with_seed(1) }
    }

    /// One with a million keys, and with a number under each of them.
    fn full(deadline: Option<UnixMillis>) -> Self {
        let mut log = Self::new(Settings::default());
        let expiry = deadline.map_or(Expiry::Never, |deadline| Expiry::Set(Deadline::At(deadline)));
        for n in 0..KEYS {
            let set = Set { expiry, ..Set::new(name("number", n), n.to_string()) };
            log.apply(None, Operation::Set(set).into());
        }
        log
    }

    fn apply(&mut self, request: Option<RequestId>, command: Command) {
        self.index += 1;
        let proposal = Proposal { at: self.at, request, command };
        black_box(self.machine.apply(self.index, &proposal));
    }

    fn key(&mut self) -> Bytes {
        name("number", self.rng.u32(..KEYS))
    }

    /// The longest of these entries, in milliseconds of processor time.
    fn longest(&mut self, commands: impl IntoIterator<Item = (Option<RequestId>, Command)>) -> f64 {
        let mut longest = 0.0_f64;
        for (request, command) in commands {
            let begun = thread_ns();
            self.apply(request, command);
            longest = longest.max((thread_ns() - begun) as f64 / 1e6);
        }
        longest
    }
}

/// Processor time of this thread, in nanoseconds.
fn thread_ns() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

fn name(kind: &str, n: u32) -> Bytes {
    format!("{kind}:{n:08}").into()
}

fn request(client: u16, mid: u64) -> RequestId {
    RequestId { client: Id::new(client).expect("not reserved"), mid: format!("{mid:x}").into() }
}

type Make = fn(Bytes, u32) -> Operation;

const MAKES: &[(&str, Make)] = &[
    ("get", |key, _| Operation::Get { key }),
    ("get range", |key, _| Operation::GetRange { key, start: 0, end: 3 }),
    ("time to live", |key, _| Operation::TimeToLive { key }),
    ("revision", |key, _| Operation::Revision { key }),
    ("get with revision", |key, _| Operation::GetWithRevision { key }),
    ("count", |_, _| Operation::Count),
    ("scan 10 keys", |_, n| Operation::Scan {
        cursor: u64::from(n) << 32,
        count: 10,
        pattern: Some("*:0*".into()),
    }),
    ("set", |key, _| Operation::set(key, VALUE)),
    ("set a new key", |_, n| Operation::set(name("new", n), VALUE)),
    ("set if equal", |key, _| {
        Operation::Set(Set {
            condition: Some(Condition::Equal("x".into())),
            get: true,
            ..Set::new(key, VALUE)
        })
    }),
    ("set with deadline", |key, n| {
        let expiry = Expiry::Set(Deadline::After(1_000_000 + i64::from(n % 3_600_000)));
        Operation::Set(Set { expiry, ..Set::new(key, VALUE) })
    }),
    ("set 10 keys", |_, n| Operation::SetMany {
        pairs: (0..10).map(|one| (name("many", n ^ one << 16), VALUE.into())).collect(),
        if_absent: false,
    }),
    ("increment", |key, _| Operation::Increment { key, by: 1 }),
    ("increment float", |key, _| Operation::IncrementFloat { key, by: "0.25".into() }),
    ("append", |key, _| Operation::Append { key, value: "x".into() }),
    ("set range", |key, _| Operation::SetRange { key, offset: 2, value: "x".into() }),
    ("expire", |key, n| Operation::Expire {
        key,
        deadline: Deadline::After(1_000_000 + i64::from(n % 3_600_000)),
        condition: None,
    }),
    ("persist", |key, _| Operation::Persist { key }),
    ("get and delete", |key, _| Operation::GetDelete { key }),
    ("delete", |key, _| Operation::Delete { keys: vec![key] }),
    ("delete if equal", |key, _| Operation::DeleteIfEqual { key, value: "x".into() }),
];

/// Each kind of operation, as an entry of a leader and as one of a client that counts.
fn kinds(criterion: &mut Criterion) {
    let full = Log::full(None).machine;
    for (kind, make) in MAKES {
        bench(criterion, &format!("apply/{kind}"), &full, *make, None);
    }
    for (kind, make) in MAKES.iter().filter(|(kind, _)| ["set", "increment"].contains(kind)) {
        bench(criterion, &format!("apply/{kind}, of a client"), &full, *make, Some(7));
    }
}

fn bench(criterion: &mut Criterion, name: &str, full: &StateMachine, make: Make, client: Option<u16>) {
    let mut log = Log { machine: full.clone(), ..Log::new(Settings::default()) };
    log.index = u64::from(KEYS);
    let mut mid = 0;
    criterion.bench_function(name, |bencher| {
        bencher.iter_custom(|iterations| {
            let mut proposals = (0..iterations).map(|_| {
                mid += 1;
                let (key, n) = (log.key(), log.rng.u32(..));
                let request = client.map(|client| request(client, mid));
                (request, Command::from(make(key, n)))
            });
            let proposals: Vec<_> = proposals.by_ref().collect();
            let begun = Instant::now();
            for (request, command) in proposals {
                log.apply(request, command);
            }
            begun.elapsed()
        });
    });
}

/// Prints the longest entries of those that concern many keys or sessions.
fn longest() {
    let operation = |operation: Operation| [(None, Command::from(operation))];
    let mut log = Log::full(Some(100));
    log.at = 200;
    print("a million keys expire", log.longest(operation(Operation::Count)));
    let removals = (0..1_000).flat_map(|_| operation(Operation::RemoveExpired { limit: u32::MAX }));
    print("expired keys are removed", log.longest(removals));
    assert_eq!(log.machine.next_deadline(), None);

    let mut log = Log::full(Some(1_000_000));
    print("flush of a million keys", log.longest(operation(Operation::Flush)));
    print("after the flush", log.longest((0..10_000).flat_map(|_| operation(Operation::Count))));

    let mut log = Log::new(Settings::default());
    let long = Bytes::from(vec![b'x'; Settings::default().max_value_bytes - MAX_BATCH]);
    log.apply(None, Operation::set("long", long).into());
    let append = Operation::Append { key: "long".into(), value: "x".into() };
    let batch = |operation: Operation| {
        let operations = vec![operation; MAX_BATCH];
        [(None, Command::Batch(Batch { watches: Vec::new(), operations }))]
    };
    print("a batch that appends to a long value", log.longest(batch(append)));
    log.apply(None, Operation::set("float", "1e4900").into());
    let add = Operation::IncrementFloat { key: "float".into(), by: "1".into() };
    print("a batch that adds to a number of 4,900 digits", log.longest(batch(add)));

    let mut log = Log::new(Settings::default());
    let mut commands = Vec::new();
    for mid in 0..4 * 65_536 {
        let client = if mid % 4 == 0 { 1 } else { 2 + (mid % u64::from(CLIENTS - 2)) as u16 };
        let request = request(client, mid.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        commands.push((Some(request), Operation::Increment { key: "n".into(), by: 1 }.into()));
    }
    print("sessions of 65,535 clients", log.longest(commands));
    let copy = log.machine.clone();
    let again = Operation::Increment { key: "n".into(), by: 1 };
    print("the same after a copy was made", log.longest([(Some(request(1, u64::MAX)), again.into())]));
    let (count, bytes) = copy.sessions();
    println!("{count} sessions take {} MB by the estimate", bytes / 1_000_000);
}

fn print(name: &str, milliseconds: f64) {
    println!("longest entry: {name}: {milliseconds:.2} ms");
}
