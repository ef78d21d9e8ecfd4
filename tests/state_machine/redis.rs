//! The state machine against a real Redis 7: random sequences of commands, each reply and the whole
//! final state.
//!
//! `REDIS_SEQUENCES` is the number of sequences, `REDIS_SEED` the seed of the first one. Where
//! `redis-server` 7 is not installed, the test says so and passes.
//!
//! The state machine's time stands still at the beginning of a sequence. So deadlines that Redis
//! counts from its own clock may be later by the time that the sequence took, and by no more.

use std::time::{SystemTime, UNIX_EPOCH};

use kvstore::bytes::Bytes;
use kvstore::command::{Batch, Command, Proposal, Watch};
use kvstore::operation::{Operation, UnixMillis};
use kvstore::reply::{Refusal, Reply};
use kvstore::state_machine::{Settings, StateMachine};

use super::client::{Answer, Client};
use super::generate::{APART_MS, Generator, MAX_VALUE_BYTES, Partner};
use super::redis_server::RedisServer;
use super::translate::words;

const SEQUENCES: u64 = 1_000;
const STEPS: usize = 20;

/// The clock may be set back by so much while a sequence runs.
const CLOCK_STEP_MS: i64 = 1_000;

/// A step of a sequence.
#[derive(Debug)]
enum Step {
    One(Operation),
    /// Keys are watched, some operations follow, then a batch.
    Batch {
        watched: Vec<Bytes>,
        between: Vec<Operation>,
        operations: Vec<Operation>,
    },
    /// All keys that match.
    Keys(Bytes),
}

/// The state machine, and the log of one replica.
struct Own {
    machine: StateMachine,
    index: u64,
    now: UnixMillis,
}

impl Own {
    fn apply(&mut self, command: Command) -> Reply {
        self.index += 1;
        self.machine.apply(self.index, &Proposal { at: self.now, request: None, command })
    }

    fn watch(&self, key: &Bytes) -> Watch {
        match self.machine.read(self.now, &Operation::Revision { key: key.clone() }) {
            Some(Reply::Integer(revision)) => Watch { key: key.clone(), unchanged_since: revision as u64 },
            reply => panic!("no revision: {reply:?}"),
        }
    }

    /// All keys that match, by a scan in small steps.
    fn keys(&self, pattern: &Bytes) -> Vec<Bytes> {
        let (mut cursor, mut keys) = (0, Vec::new());
        loop {
            let scan = Operation::Scan { cursor, count: 2, pattern: Some(pattern.clone()) };
            let Some(Reply::Array(reply)) = self.machine.read(self.now, &scan) else { panic!("no keys") };
            let [Reply::Bytes(next), Reply::Array(found)] = &*reply else { panic!("{reply:?}") };
            keys.extend(found.iter().map(|key| match key {
                Reply::Bytes(key) => key.clone(),
                other => panic!("no key: {other:?}"),
            }));
            cursor = next.to_text().parse().expect("a number");
            if cursor == 0 {
                keys.sort();
                return keys;
            }
        }
    }
}

fn now() -> UnixMillis {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_millis() as UnixMillis
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: {text}")))
}

#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "Redis has another format for decimal numbers here")]
fn replies_and_states_are_those_of_redis() {
    let Some(mut server) = start() else { return };
    let mut client = Client::new(server.connect());
    let first = number("REDIS_SEED", 1);
    for seed in first..first + number("REDIS_SEQUENCES", SEQUENCES) {
        run(seed, &mut client);
    }
}

/// Sums at the limits of the format. Redis adds in another one on other processors.
#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "Redis has another format for decimal numbers here")]
fn sums_of_decimal_numbers_are_those_of_redis() {
    let Some(mut server) = start() else { return };
    let mut client = Client::new(server.connect());
    let mut own = Own { machine: StateMachine::new(Settings::default()), index: 0, now: 1 };
    let mut generator = Generator::new(number("REDIS_SEED", 1), Partner::Redis, 1);
    for _ in 0..number("REDIS_SEQUENCES", SEQUENCES).div_ceil(20) {
        let operations: Vec<Operation> = (0..200)
            .flat_map(|_| {
                let set = Operation::set("f", generator.any_decimal());
                [set, Operation::IncrementFloat { key: "f".into(), by: generator.any_decimal() }]
            })
            .collect();
        operations.iter().for_each(|operation| client.add(&words(operation)));
        client.send();
        for operation in &operations {
            let (reply, answer) = (own.apply(operation.clone().into()), client.answer());
            let compared = Compared { now: 1, late: 0 }.reply(operation, &reply, &answer);
            compared.unwrap_or_else(|text| panic!("{text}\n{operations:?}"));
        }
    }
}

/// A Redis, if it is installed.
fn start() -> Option<RedisServer> {
    RedisServer::start(MAX_VALUE_BYTES, &[])
}

fn steps(seed: u64, now: UnixMillis) -> Vec<Step> {
    let mut generator = Generator::new(seed, Partner::Redis, now);
    let mut step = || match generator.rng.u8(..12) {
        0 => Step::Keys(generator.pattern()),
        1 => Step::Batch {
            watched: (0..generator.rng.usize(..3)).map(|_| generator.key()).collect(),
            between: (0..generator.rng.usize(..3))
                .map(|_| if generator.rng.bool() { generator.read() } else { generator.write() })
                .collect(),
            operations: (0..generator.rng.usize(..5)).map(|_| generator.operation()).collect(),
        },
        _ => Step::One(generator.operation()),
    };
    (0..STEPS).map(|_| step()).collect()
}

fn run(seed: u64, client: &mut Client) {
    let now_ms = now();
    let settings = Settings { max_value_bytes: MAX_VALUE_BYTES, ..Settings::default() };
    let mut own = Own { machine: StateMachine::new(settings), index: 0, now: now_ms };
    own.apply(Operation::Flush.into());
    let steps = steps(seed, now_ms);
    client.add(&["FLUSHALL"]);
    steps.iter().for_each(|step| ask(client, step));
    client.send();
    assert_eq!(client.answer(), Answer::Status("OK".into()));
    // All replies must be here before it is known how long Redis took.
    let answers: Vec<Vec<Answer>> =
        steps.iter().map(|step| (0..replies(step)).map(|_| client.answer()).collect()).collect();
    let compared = Compared { now: now_ms, late: now() - now_ms + 1 };
    for (n, (step, answers)) in steps.iter().zip(&answers).enumerate() {
        if let Err(text) = compared.step(&mut own, step, answers) {
            panic!("seed {seed}, step {n}: {text}\n{:#?}", &steps[..=n]);
        }
    }
    if let Err(text) = compared.state(&own, client) {
        panic!("seed {seed}, at the end: {text}\n{steps:#?}");
    }
}

fn ask(client: &mut Client, step: &Step) {
    match step {
        Step::One(operation) => client.add(&words(operation)),
        Step::Keys(pattern) => client.add(&[b"KEYS", &**pattern]),
        Step::Batch { watched, between, operations } => {
            for key in watched {
                client.add(&[b"WATCH", &**key]);
            }
            between.iter().for_each(|operation| client.add(&words(operation)));
            client.add(&["MULTI"]);
            operations.iter().for_each(|operation| client.add(&words(operation)));
            client.add(&["EXEC"]);
        }
    }
}

/// How many replies a step has.
fn replies(step: &Step) -> usize {
    match step {
        Step::One(_) | Step::Keys(_) => 1,
        Step::Batch { watched, between, operations } => watched.len() + between.len() + operations.len() + 2,
    }
}

/// Compares replies.
struct Compared {
    now: UnixMillis,
    late: i64, // how much later Redis may have set a deadline, or looked at one
}

impl Compared {
    fn step(&self, own: &mut Own, step: &Step, answers: &[Answer]) -> Result<(), String> {
        match step {
            Step::One(operation) => self.reply(operation, &own.apply(operation.clone().into()), &answers[0]),
            Step::Keys(pattern) => {
                let (own, theirs) = (own.keys(pattern), keys(&answers[0]));
                if own == theirs { Ok(()) } else { Err(format!("keys {own:?}, Redis {theirs:?}")) }
            }
            Step::Batch { watched, between, operations } => {
                let watches = watched.iter().map(|key| own.watch(key)).collect();
                for (operation, answer) in between.iter().zip(&answers[watched.len()..]) {
                    self.reply(operation, &own.apply(operation.clone().into()), answer)?;
                }
                let batch = Batch { watches, operations: operations.clone() };
                let reply = own.apply(Command::Batch(batch));
                match (&reply, answers.last()) {
                    (Reply::Nil, Some(Answer::Array(None))) => Ok(()),
                    (Reply::Array(own), Some(Answer::Array(Some(theirs)))) if own.len() == theirs.len() => {
                        let mut replies = operations.iter().zip(own.iter().zip(theirs));
                        replies.try_for_each(|(operation, (own, theirs))| self.reply(operation, own, theirs))
                    }
                    (own, theirs) => Err(format!("batch {own:?}, Redis {theirs:?}")),
                }
            }
        }
    }

    fn reply(&self, operation: &Operation, own: &Reply, theirs: &Answer) -> Result<(), String> {
        let equal = match (own, theirs) {
            (Reply::Ok, Answer::Status(text)) => text == "OK",
            (Reply::Nil, answer) => *answer == Answer::Bulk(None),
            (Reply::Bytes(own), Answer::Bulk(theirs)) => {
                theirs.as_ref().is_some_and(|theirs| **theirs == **own)
            }
            (Reply::Bytes(own), Answer::Status(theirs)) => **own == *theirs.as_bytes(),
            (Reply::Integer(own), Answer::Integer(theirs)) => match operation {
                Operation::TimeToLive { .. } if *own >= 0 => {
                    (own - self.late..=own + CLOCK_STEP_MS).contains(theirs)
                }
                Operation::Deadline { .. } => self.same_deadline(*own, *theirs),
                _ => own == theirs,
            },
            (Reply::Array(own), Answer::Array(Some(theirs))) => {
                let is_equal = |(own, theirs)| self.reply(operation, own, theirs).is_ok();
                own.len() == theirs.len() && own.iter().zip(theirs).all(is_equal)
            }
            // Redis adds the name of the command.
            (Reply::Error(Refusal::InvalidDeadline), Answer::Error(text)) => {
                text.starts_with(&Refusal::InvalidDeadline.to_string())
            }
            (Reply::Error(own), Answer::Error(theirs)) => own.to_string() == *theirs,
            _ => false,
        };
        if equal { Ok(()) } else { Err(format!("{operation:?}: {own:?}, Redis {theirs:?}")) }
    }

    /// A deadline in absolute time is exact, one that was relative may be later.
    fn same_deadline(&self, own: i64, theirs: i64) -> bool {
        let relative = own >= 0 && (own - self.now).rem_euclid(APART_MS) == 0;
        if relative { (own - CLOCK_STEP_MS..=own + self.late).contains(&theirs) } else { own == theirs }
    }

    /// Compares all keys with their values and deadlines.
    fn state(&self, own: &Own, client: &mut Client) -> Result<(), String> {
        let all = Bytes::from("*");
        let (own_keys, theirs) = (own.keys(&all), keys(&client.ask(&[b"KEYS", &*all])));
        if own_keys != theirs {
            return Err(format!("keys {own_keys:?}, Redis {theirs:?}"));
        }
        let reads =
            own_keys.into_iter().flat_map(|key| [Operation::get(key.clone()), Operation::Deadline { key }]);
        for read in reads.chain([Operation::Count]) {
            let own = own.machine.read(self.now, &read).ok_or("an expiry that no entry has")?;
            self.reply(&read, &own, &client.ask(&words(&read)))?;
        }
        Ok(())
    }
}

fn keys(answer: &Answer) -> Vec<Bytes> {
    let Answer::Array(Some(answers)) = answer else { panic!("no keys: {answer:?}") };
    let key = |answer: &Answer| match answer {
        Answer::Bulk(Some(key)) => Bytes::from(&**key),
        other => panic!("no key: {other:?}"),
    };
    let mut keys: Vec<Bytes> = answers.iter().map(key).collect();
    keys.sort();
    keys
}
