use super::super::{SessionLimits, Settings, StateMachine};
use super::*;
use crate::command::{Command, Proposal};
use crate::id::Id;
use crate::operation::{Deadline, Operation};
use crate::request::RequestId;

/// A state machine and its log.
struct Log {
    machine: StateMachine,
    at: i64,
}

impl Log {
    fn new(settings: Settings) -> Self {
        Self { machine: StateMachine::new(settings), at: 1_000 }
    }

    fn apply(&mut self, request: Option<(u16, String)>, command: impl Into<Command>) {
        let of = |(client, mid): (u16, String)| RequestId {
            client: Id::new(client).expect("not reserved"),
            mid: mid.into(),
        };
        let proposal = Proposal { at: self.at, request: request.map(of), command: command.into() };
        self.machine.apply(self.machine.applied() + 1, &proposal);
    }
}

/// A state with records of every kind.
fn small() -> StateMachine {
    let sessions = SessionLimits { count: 2, ..SessionLimits::default() };
    let mut log = Log::new(Settings { sessions, ..Settings::default() });
    log.apply(None, Operation::set("a", "1"));
    log.apply(None, Operation::Delete { keys: vec!["a".into()] });
    log.apply(None, Operation::Flush);
    log.apply(None, Operation::set("deleted", "1"));
    log.apply(None, Operation::Delete { keys: vec!["deleted".into()] });
    log.apply(None, Operation::set("k", "value"));
    log.apply(None, Operation::set("l", "1"));
    log.apply(None, Operation::set("m", ""));
    log.apply(None, Operation::Expire { key: "l".into(), deadline: Deadline::After(5), condition: None });
    for client in 1..=3 {
        log.apply(Some((client, "7".into())), Operation::Append { key: "k".into(), value: "v".into() });
        log.apply(Some((client, "name".into())), Operation::GetDelete { key: "k".into() });
    }
    log.machine
}

fn encoded(machine: &StateMachine) -> Vec<u8> {
    let mut encoder = Encoder::new(machine.clone());
    std::iter::from_fn(|| encoder.next_chunk(64 << 10)).flatten().collect()
}

fn decoded(stream: &[u8]) -> Result<StateMachine, Malformed> {
    restored(small().settings, stream)
}

fn restored(settings: Settings, stream: &[u8]) -> Result<StateMachine, Malformed> {
    let mut decoder = Decoder::new(settings);
    decoder.push(stream)?;
    decoder.finish()
}

/// The records of a stream, each with its length.
fn records(stream: &[u8]) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    let mut rest = stream;
    while let Some(length) = rest.first_chunk::<LENGTH_BYTES>() {
        let (record, after) = rest.split_at(LENGTH_BYTES + u32::from_le_bytes(*length) as usize);
        records.push(record.to_vec());
        rest = after;
    }
    records
}

#[test]
fn bytes_of_a_snapshot_never_change() {
    let lines: Vec<String> = records(&encoded(&small()))
        .iter()
        .map(|record| record.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n")
        .collect();
    let expected = include_str!("snapshot.golden");
    assert_eq!(lines.concat(), expected, "a snapshot that was written before must be read");
}

#[test]
fn stream_with_records_that_are_missing_doubled_or_swapped_is_refused() {
    let machine = small();
    let stream = encoded(&machine);
    assert_eq!(decoded(&stream), Ok(machine));
    let records = records(&stream);
    let kinds: std::collections::BTreeSet<u8> = records.iter().map(|record| record[LENGTH_BYTES]).collect();
    assert_eq!(kinds, (kind::HEADER..=kind::FOOTER).collect(), "each kind is there");
    for n in 0..records.len() {
        let (before, after) = (records[..n].concat(), records[n + 1..].concat());
        assert!(decoded(&[&before[..], &after].concat()).is_err(), "{n} is missing");
        assert!(decoded(&[&before[..], &records[n], &records[n], &after].concat()).is_err(), "{n} twice");
        for m in n + 1..records.len() {
            let mut swapped = records.clone();
            swapped.swap(n, m);
            assert!(decoded(&swapped.concat()).is_err(), "{n} and {m} swapped");
        }
    }
}

#[test]
fn stream_that_is_cut_or_followed_by_more_is_refused() {
    let stream = encoded(&small());
    for len in 0..stream.len() {
        assert!(decoded(&stream[..len]).is_err(), "{len}");
    }
    for more in [&[0][..], &[0; 64], &stream] {
        assert_eq!(decoded(&[&stream, more].concat()), Err(Malformed::Trailing));
    }
}

#[test]
fn decoder_refuses_all_after_a_fault() {
    let stream = encoded(&small());
    let mut decoder = Decoder::new(Settings::default());
    let fault = decoder.push(&[1, 0, 0, 0, 99]);
    assert_eq!(fault, Err(Malformed::UnknownKind("record")));
    assert_eq!(decoder.push(&stream), fault);
    assert_eq!(decoder.finish().err(), fault.err());
    let mut newer = stream;
    newer[LENGTH_BYTES + 1] = VERSION + 1;
    assert_eq!(decoded(&newer), Err(Malformed::UnknownVersion(VERSION + 1)));
}

#[test]
fn index_that_was_not_applied_is_refused() {
    let machine = small();
    let ahead = |change: fn(&mut StateMachine)| {
        let mut machine = machine.clone();
        change(&mut machine);
        decoded(&encoded(&machine))
    };
    assert_eq!(ahead(|machine| machine.applied = 3).err(), Some(Malformed::BadField("revision")));
    assert_eq!(ahead(|machine| machine.applied = 2).err(), Some(Malformed::BadField("floor")));
    let mut records = records(&encoded(&machine));
    let session = records.iter_mut().find(|record| record[LENGTH_BYTES] == kind::SESSION);
    let last_used = &mut session.expect("it has sessions")[LENGTH_BYTES + 3];
    *last_used = machine.applied as u8 + 1;
    assert_eq!(decoded(&records.concat()), Err(Malformed::BadField("last_used")));
}

#[test]
fn values_that_are_longer_than_chunks_are_cut() {
    let mut log = Log::new(Settings { max_value_bytes: 1 << 20, ..Settings::default() });
    for n in 0..3_u8 {
        log.apply(None, Operation::set(n.to_string(), vec![n; (1 << 20) - usize::from(n)]));
    }
    let machine = log.machine;
    let mut encoder = Encoder::new(machine.clone());
    let mut decoder = Decoder::new(machine.settings);
    let mut positions = Vec::new();
    let mut chunks = Vec::new();
    loop {
        positions.push(encoder.position());
        let Some(chunk) = encoder.next_chunk(16 << 10) else { break };
        assert!(chunk.capacity() <= 32 << 10, "{}", chunk.capacity());
        decoder.push(&chunk).expect("a good stream");
        chunks.push(chunk);
    }
    assert_eq!(decoder.finish(), Ok(machine.clone()));
    assert!(chunks.iter().rev().skip(1).all(|chunk| chunk.len() == 16 << 10));
    for (n, position) in positions.iter().enumerate().rev() {
        encoder.seek(position);
        assert_eq!(encoder.next_chunk(16 << 10).as_ref(), chunks.get(n));
        encoder.seek(position);
        assert_eq!(
            encoder.next_chunk(1).unwrap_or_default()[..],
            chunks.get(n).map_or(&[][..], |chunk| &chunk[..1])[..]
        );
    }
    assert_eq!(encoder.into_state(), machine);
}

#[test]
fn sessions_of_any_length_are_restored() {
    let mut log = Log::new(Settings::default());
    let mut states = Vec::new();
    for n in 0..12_000_u64 {
        let key = || (n % 5).to_string().into();
        let operation = match n % 3 {
            0 => Operation::Increment { key: key(), by: 1 },
            1 => Operation::GetDelete { key: key() },
            _ => Operation::set(key(), vec![b'v'; 100]),
        };
        let client = (n.trailing_zeros() % 4) as u16;
        let mid = if client == 1 { format!("name-{n}") } else { format!("{n:x}") };
        log.apply(Some((client, mid)), operation);
        if n % 1_999 == 0 {
            states.push(log.machine.clone());
        }
    }
    for state in states {
        assert_eq!(restored(state.settings, &encoded(&state)), Ok(state));
    }
}

#[test]
fn states_and_streams_go_to_other_threads() {
    fn is_send<T: Send + 'static>() {}
    is_send::<StateMachine>();
    is_send::<Encoder>();
    is_send::<Position>();
    is_send::<Decoder>();
}
