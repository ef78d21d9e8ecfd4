//! The state machine against the model, and two replicas of it against each other.
//!
//! `MODEL_SEQUENCES` is the number of random sequences, `MODEL_SEED` the seed of the first one.

use kvstore::bytes::Bytes;
use kvstore::command::{Batch, Command, Proposal, Watch};
use kvstore::id::Id;
use kvstore::operation::{Operation, UnixMillis};
use kvstore::reply::Reply;
use kvstore::request::RequestId;
use kvstore::state_machine::{SessionLimits, Settings, StateMachine};

use super::generate::{Generator, MAX_VALUE_BYTES, Partner};
use super::model::Model;

const SEQUENCES: u64 = 20_000;
const STEPS: u64 = 20;

/// The model forgets no reply.
pub fn settings() -> Settings {
    let sessions = SessionLimits { reply_bytes: usize::MAX, ..SessionLimits::default() };
    Settings { max_value_bytes: MAX_VALUE_BYTES, sessions, ..Settings::default() }
}

pub fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}: {text}")))
}

fn command(generator: &mut Generator, index: u64) -> Command {
    if generator.rng.u8(..8) > 0 {
        return generator.operation().into();
    }
    let watches = (0..generator.rng.usize(..3))
        .map(|_| Watch { key: generator.key(), unchanged_since: generator.rng.u64(index / 2..index) })
        .collect();
    let operations = (0..generator.rng.usize(..5)).map(|_| generator.operation()).collect();
    Command::Batch(Batch { watches, operations })
}

/// A proposal: often a new request, sometimes a repetition of `before`, or of its name alone.
pub fn proposal(
    generator: &mut Generator,
    index: u64,
    at: UnixMillis,
    before: Option<&Proposal>,
) -> Proposal {
    let client = Id::new(generator.rng.u16(..3)).expect("not reserved");
    let new = RequestId { client, mid: format!("{index:x}").into() };
    match (generator.rng.u8(..12), before) {
        (0, Some(before)) => Proposal { at, ..before.clone() },
        (1, Some(before)) => {
            Proposal { at, request: before.request.clone(), command: command(generator, index) }
        }
        (2, _) => Proposal { at, request: None, command: command(generator, index) },
        _ => Proposal { at, request: Some(new), command: command(generator, index) },
    }
}

fn scanned(machine: &StateMachine) -> Vec<Bytes> {
    let mut keys = Vec::new();
    let mut cursor = 0;
    loop {
        let scan = Operation::Scan { cursor, count: 3, pattern: None };
        let Some(Reply::Array(reply)) = machine.read(machine.time(), &scan) else { panic!("no keys") };
        let [Reply::Bytes(next), Reply::Array(found)] = &*reply else { panic!("{reply:?}") };
        keys.extend(
            found.iter().filter_map(|key| if let Reply::Bytes(key) = key { Some(key.clone()) } else { None }),
        );
        cursor = next.to_text().parse().expect("a number");
        if cursor == 0 {
            keys.sort();
            return keys;
        }
    }
}

#[test]
fn replies_and_states_are_those_of_the_model() {
    let first = number("MODEL_SEED", 1);
    for seed in first..first + number("MODEL_SEQUENCES", SEQUENCES) {
        let mut generator = Generator::new(seed, Partner::Model, 1_000);
        let (mut machine, mut model) = (StateMachine::new(settings()), Model::default());
        let mut proposals: Vec<Proposal> = Vec::new();
        let mut clock = 1_000;
        for index in 1..=STEPS {
            // The clocks of two leaders differ.
            clock += generator.rng.i64(0..12);
            let at = clock - if generator.rng.bool() { 7 } else { 0 };
            generator.advance(at);
            let before = (!proposals.is_empty()).then(|| generator.rng.usize(..proposals.len()));
            let proposal = proposal(&mut generator, index, at, before.map(|n| &proposals[n]));
            if let Some(id) = &proposal.request {
                let known = machine.remembered(id, &proposal.command);
                if let Some(known) = known {
                    assert_eq!(model.clone().apply(index, &proposal), known, "seed {seed}: {proposal:?}");
                }
            }
            let (reply, expected) = (machine.apply(index, &proposal), model.apply(index, &proposal));
            if model.gave_up {
                break;
            }
            assert_eq!(reply, expected, "seed {seed}, entry {index}: {proposal:#?}");
            proposals.push(proposal);
            assert_eq!((machine.time(), machine.len()), (model.time, model.live().len()), "seed {seed}");
            let (read, ahead) = (generator.read(), generator.rng.i64(0..9));
            let reply = machine.read(model.time + ahead, &read);
            if model.expires_before(model.time + ahead, &read) {
                assert_eq!(reply, None, "seed {seed}, entry {index}: {read:?}");
            } else {
                let mut later = model.clone();
                later.time += ahead;
                assert_eq!(reply, later.read(&read), "seed {seed}, entry {index}: {read:?}");
            }
        }
        assert!(model.gave_up || scanned(&machine) == model.live(), "seed {seed}: {machine:#?}\n{model:#?}");
    }
}

#[test]
fn replicas_that_apply_the_same_log_are_equal_and_copies_independent() {
    for seed in 1..200 {
        let mut generator = Generator::new(seed, Partner::Model, 1_000);
        let mut settings = settings();
        (settings.sessions.count, settings.sessions.bytes, settings.deletions) = (2, 6_000, 3);
        let mut machine = StateMachine::new(settings);
        let mut other = machine.clone();
        let mut log: Vec<Proposal> = Vec::new();
        let mut copy = None;
        for index in 1..=90 {
            let before = (!log.is_empty()).then(|| generator.rng.usize(..log.len()));
            let proposal = proposal(&mut generator, index, 1_000 + 5 * index as i64, before.map(|n| &log[n]));
            let reply = machine.apply(index, &proposal);
            if index == 40 {
                copy = Some((machine.clone(), format!("{machine:?}")));
            }
            // The other replica is told the same after a copy of it was made and thrown away.
            drop(other.clone());
            assert_eq!(other.apply(index, &proposal), reply);
            log.push(proposal);
        }
        assert_eq!(machine, other, "seed {seed}");
        let (mut copy, shown) = copy.expect("it was made");
        assert_ne!(machine, copy);
        assert_eq!(copy.len(), format!("{copy:?}").len().min(copy.len()), "it is shown");
        assert_eq!(format!("{copy:?}").len(), shown.len());
        for (index, proposal) in (41..).zip(&log[40..]) {
            copy.apply(index, proposal);
        }
        assert_eq!(machine, copy, "seed {seed}");
    }
}
