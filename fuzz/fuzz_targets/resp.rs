//! Bytes of a Redis client: in pieces they have the same replies as in one piece, and nothing panics.
#![no_main]

#[allow(dead_code, reason = "the tests use all of it")]
#[path = "../../tests/frontend/world.rs"]
mod world;

use kvstore::frontend::redis::connection::Settings;
use kvstore::frontend::redis::request::RequestLimits;
use libfuzzer_sys::fuzz_target;
use world::World;

// The first byte is the size of the pieces.
fuzz_target!(|input: &[u8]| {
    let Some((size, bytes)) = input.split_first() else { return };
    let requests = RequestLimits { argument_bytes: 1_000, arguments: 100, request_bytes: 10_000 };
    let settings = Settings { requests, ..Settings::default() };
    let (mut whole, mut pieces) = (World::new(settings.clone()), World::new(settings));
    let pieces_output: Vec<u8> =
        bytes.chunks(usize::from(*size).max(1)).flat_map(|piece| pieces.send(1, piece)).collect();
    assert_eq!(whole.send(1, bytes), pieces_output);
    assert_eq!(whole.connection(1).is_over(), pieces.connection(1).is_over());
    assert!(pieces.connection(1).describe(0).waiting_bytes <= bytes.len());
});
