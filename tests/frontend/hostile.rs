//! Bytes of hostile clients, and requests in pieces of any length.

use proptest::collection::vec;
use proptest::prelude::*;

use kvstore::bytes::Bytes;
use kvstore::frontend::redis::connection::Settings;
use kvstore::frontend::redis::request::{Arguments, Parser, ProtocolError, RequestLimits};

use super::world::{World, request};

/// Pieces of requests, right ones and wrong ones.
const TOKENS: [&[u8]; 28] = [
    b"*1\r\n",
    b"*2\r\n",
    b"*3\r\n",
    b"*-1\r\n",
    b"*0\r\n",
    b"*99999999\r\n",
    b"$3\r\nGET\r\n",
    b"$3\r\nSET\r\n",
    b"$1\r\na\r\n",
    b"$0\r\n\r\n",
    b"$-1\r\n",
    b"$9999999999\r\n",
    b"*",
    b"$",
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b"\xff",
    b"PING\r\n",
    b"\"",
    b"'a b'",
    b"MULTI\r\n",
    b"EXEC\r\n",
    b"WATCH a b\r\n",
    b"KEYS *\r\n",
    b"HELLO 3\r\n",
    b"RANDOMKEY\r\n",
];

const SMALL: RequestLimits = RequestLimits { argument_bytes: 100, arguments: 10, request_bytes: 500 };

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        4 => (0..TOKENS.len()).prop_map(|token| TOKENS[token].to_vec()),
        1 => vec(any::<u8>(), 0..20),
        1 => vec(vec(any::<u8>(), 0..5), 1..4).prop_map(|words| request(&words)),
    ];
    vec(token, 0..30).prop_map(|tokens| tokens.concat())
}

/// All requests in bytes that come in these pieces, and the fault that ends them.
fn parsed<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Arguments>, Option<ProtocolError>) {
    let (mut parser, mut requests) = (Parser::new(SMALL), Vec::new());
    for piece in pieces {
        parser.add(piece);
        loop {
            match parser.next(false) {
                Ok(Some(request)) => requests.push(request),
                Ok(None) => break,
                Err(fault) => return (requests, Some(fault)),
            }
        }
    }
    (requests, None)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_of_any_length_are_the_same_requests(bytes in hostile(), size in 1_usize..40) {
        let whole = parsed(std::iter::once(&bytes[..]));
        prop_assert_eq!(&parsed(bytes.chunks(size)), &whole);
        prop_assert_eq!(&parsed(bytes.chunks(1)), &whole);
    }

    #[test]
    fn request_comes_out_as_it_went_in(words in vec(vec(any::<u8>(), 0..70), 1..5)) {
        let expected: Arguments = words.iter().map(|word| Bytes::from(&word[..])).collect();
        prop_assert_eq!(parsed(request(&words).chunks(3)), (vec![expected], None));
    }

    #[test]
    fn hostile_bytes_end_in_replies_or_a_closed_connection(bytes in hostile(), size in 1_usize..40) {
        let settings = Settings { requests: SMALL, ..Settings::default() };
        let (mut whole, mut pieces) = (World::new(settings.clone()), World::new(settings));
        let output: Vec<u8> = bytes.chunks(size).flat_map(|piece| pieces.send(1, piece)).collect();
        prop_assert_eq!(whole.send(1, &bytes), output);
        prop_assert_eq!(whole.connection(1).is_over(), pieces.connection(1).is_over());
        prop_assert!(pieces.connection(1).describe(0).waiting_bytes <= bytes.len());
    }
}

#[test]
fn line_without_an_end_is_a_fault_at_its_bound() {
    let faults = [
        (&b"PING "[..], ProtocolError::LongLine),
        (b"*1", ProtocolError::LongCount),
        (b"*1\r\n$1", ProtocolError::LongLength),
    ];
    for (beginning, fault) in faults {
        let mut parser = Parser::new(RequestLimits::default());
        parser.add(beginning);
        let mut added = beginning.len();
        let found = loop {
            match parser.next(false) {
                Ok(None) if added < 100_000 => parser.add(&[b'1'; 1_000]),
                other => break other,
            }
            added += 1_000;
        };
        assert_eq!(found, Err(fault));
        assert!((64 << 10..66 << 10).contains(&added), "{added}");
    }
}

#[test]
fn request_in_single_bytes_is_looked_at_once() {
    // A parser that began anew with each byte would look at 5 * 10^11 bytes.
    let mut parser = Parser::new(RequestLimits::default());
    let bytes = request(&[vec![b'a'; 1 << 20]]);
    let mut found = Vec::new();
    for byte in &bytes {
        parser.add(std::slice::from_ref(byte));
        found.extend(parser.next(false).expect("no fault"));
    }
    assert_eq!(found.len(), 1);
    assert_eq!(parser.waiting_bytes(), 0);
}

#[test]
fn announced_arguments_take_no_memory_and_their_sum_is_bounded() {
    let limits = RequestLimits { argument_bytes: 1_000, arguments: 1 << 20, request_bytes: 10_000 };
    let mut parser = Parser::new(limits);
    parser.add(b"*1000000\r\n");
    let fault = (0..1_000).find_map(|_| {
        parser.add(b"$3\r\nabc\r\n");
        parser.next(false).err()
    });
    assert_eq!(fault, Some(ProtocolError::Request));
}
