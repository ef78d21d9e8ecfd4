//! Snapshots at random moments of random histories: the state that is restored is the one that was
//! encoded, and has the same future.
//!
//! `MODEL_SEED` is the seed of the first history.

use kvstore::command::Proposal;
use kvstore::reply::Reply;
use kvstore::state_machine::snapshot::{Decoder, Encoder, Malformed};
use kvstore::state_machine::{Settings, StateMachine};

use super::generate::{Generator, Partner};
use super::properties;

const HISTORIES: u64 = 400;
const ENTRIES: u64 = 90;

/// Few sessions and deletions, so that these expire.
fn settings(rng: &mut fastrand::Rng) -> Settings {
    let mut settings = properties::settings();
    (settings.sessions.count, settings.sessions.bytes, settings.deletions) = (2, 6_000, 3);
    settings.sessions.reply_bytes = rng.usize(..200);
    settings
}

/// A history of one seed.
struct History {
    settings: Settings,
    log: Vec<Proposal>,
    rng: fastrand::Rng,
}

impl History {
    fn new(seed: u64) -> Self {
        let mut generator = Generator::new(seed, Partner::Model, 1_000);
        let mut log: Vec<Proposal> = Vec::new();
        for index in 1..=ENTRIES {
            let at = 1_000 + 5 * index as i64;
            generator.advance(at);
            let before = (!log.is_empty()).then(|| generator.rng.usize(..log.len()));
            log.push(properties::proposal(&mut generator, index, at, before.map(|n| &log[n])));
        }
        let mut rng = generator.rng;
        Self { settings: settings(&mut rng), log, rng }
    }

    /// The state after so many entries.
    fn state(&self, entries: u64) -> StateMachine {
        let mut state = StateMachine::new(self.settings);
        self.apply(&mut state, 0..entries);
        state
    }

    /// The replies to these entries.
    fn apply(&self, state: &mut StateMachine, entries: std::ops::Range<u64>) -> Vec<Reply> {
        entries.map(|n| state.apply(n + 1, &self.log[n as usize])).collect()
    }
}

fn first_seed() -> u64 {
    properties::number("MODEL_SEED", 1)
}

/// The stream in chunks of random lengths. Now and then the encoder goes back and gives the same
/// again.
fn encoded(state: &StateMachine, rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut encoder = Encoder::new(state.clone());
    let mut stream = Vec::new();
    let mut positions = vec![(encoder.position(), 0)];
    loop {
        let max_bytes = if rng.bool() { rng.usize(1..20) } else { rng.usize(1..400) };
        let Some(chunk) = encoder.next_chunk(max_bytes) else { break };
        stream.extend_from_slice(&chunk);
        positions.push((encoder.position(), stream.len()));
        assert!(chunk.len() == max_bytes || encoder.next_chunk(1).is_none(), "it is short at the end alone");
        encoder.seek(&positions[positions.len() - 1].0);
        if rng.u8(..6) == 0 {
            let (position, at) = &positions[rng.usize(..positions.len())];
            encoder.seek(position);
            let again = encoder.next_chunk(rng.usize(1..100)).unwrap_or_default();
            let len = again.len().min(stream.len() - at);
            assert_eq!(again[..len], stream[*at..][..len]);
            encoder.seek(&positions[positions.len() - 1].0);
        }
    }
    assert_eq!(encoder.next_chunk(9), None);
    stream
}

fn decoded(settings: Settings, stream: &[u8], rng: &mut fastrand::Rng) -> Result<StateMachine, Malformed> {
    let mut decoder = Decoder::new(settings);
    let mut rest = stream;
    while !rest.is_empty() {
        let (chunk, after) = rest.split_at(rng.usize(..=rest.len().min(300)));
        decoder.push(chunk)?;
        rest = after;
    }
    decoder.finish()
}

#[test]
fn restored_state_is_equal_and_has_the_same_future() {
    for seed in first_seed()..first_seed() + HISTORIES {
        let mut history = History::new(seed);
        let at = history.rng.u64(..=ENTRIES);
        let mut state = history.state(at);
        let stream = encoded(&state, &mut history.rng);
        let restored = decoded(history.settings, &stream, &mut history.rng);
        let mut restored = restored.unwrap_or_else(|refused| panic!("seed {seed}: {refused}"));
        assert_eq!(restored, state, "seed {seed}");
        assert_eq!(restored.sessions(), state.sessions(), "seed {seed}");
        let (replies, expected) =
            (history.apply(&mut restored, at..ENTRIES), history.apply(&mut state, at..ENTRIES));
        assert_eq!(replies, expected, "seed {seed}");
        assert_eq!(restored, state, "seed {seed}, at the end");
    }
}

#[test]
fn replicas_with_the_same_state_write_the_same_bytes() {
    for seed in first_seed()..first_seed() + 50 {
        let mut history = History::new(seed);
        let at = history.rng.u64(..=ENTRIES);
        let state = history.state(at);
        let stream = encoded(&state, &mut history.rng);
        // The other replica was restored in the middle of the history.
        let middle = history.rng.u64(..=at);
        let half = encoded(&history.state(middle), &mut history.rng);
        let mut other = decoded(history.settings, &half, &mut history.rng).expect("a good stream");
        history.apply(&mut other, middle..at);
        assert_eq!(encoded(&other, &mut history.rng), stream, "seed {seed}");
    }
}

/// Damages a stream.
fn damage(stream: &[u8], rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut damaged = stream.to_vec();
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(..damaged.len());
        match rng.u8(..8) {
            0..4 => damaged[at] ^= 1 << rng.u8(..8),
            4 => damaged[at] = rng.u8(..),
            5 => damaged.insert(at, rng.u8(..)),
            6 => {
                let part = damaged[at..damaged.len().min(at + rng.usize(1..80))].to_vec();
                damaged.splice(at..at, part);
            }
            _ => damaged.truncate(at + 1),
        }
    }
    damaged
}

#[test]
fn damaged_stream_is_refused_or_a_state_that_works() {
    let mut accepted = 0;
    for seed in first_seed()..first_seed() + HISTORIES {
        let mut history = History::new(seed);
        let at = history.rng.u64(ENTRIES / 2..ENTRIES);
        let stream = encoded(&history.state(at), &mut history.rng);
        for _ in 0..20 {
            let damaged = damage(&stream, &mut history.rng);
            let Ok(mut state) = decoded(history.settings, &damaged, &mut history.rng) else { continue };
            accepted += 1;
            let again = encoded(&state, &mut history.rng);
            assert_eq!(
                decoded(history.settings, &again, &mut history.rng).as_ref(),
                Ok(&state),
                "seed {seed}"
            );
            let next = state.applied().checked_add(1).filter(|next| *next < u64::MAX - ENTRIES);
            for (index, proposal) in next.into_iter().flat_map(|next| next..).zip(&history.log) {
                state.apply(index, proposal);
            }
        }
    }
    assert!(accepted > 100, "{accepted} streams were worth a look");
}
