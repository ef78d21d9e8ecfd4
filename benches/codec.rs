//! The cost of reading and of writing one message. Beside the decoder, which validates as well,
//! stand simd-json and `serde_json`, which only parse the same bytes into a struct.
//!
//! `cargo bench --bench codec`

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kvstore::replication::Message;
use kvstore::request::Response;
use kvstore::wire::{self, Decoder};
use serde::Deserialize;
use simd_json::Buffers;

mod samples;
#[path = "../tests/testkit/mod.rs"]
mod testkit;

use samples::{acknowledgement, append};
use testkit::{CLIENT, id, response, value};

/// Every key that the messages of this file have.
#[derive(Deserialize)]
#[expect(dead_code, reason = "the bench only drops the parsed struct")]
struct Flat<'a> {
    src: &'a str,
    dst: &'a str,
    leader: &'a str,
    r#type: &'a str,
    #[serde(rename = "MID")]
    mid: Option<&'a str>,
    key: Option<&'a str>,
    value: Option<&'a str>,
    term: Option<u64>,
    prev_log_index: Option<u64>,
    prev_log_term: Option<u64>,
    leader_commit: Option<u64>,
    sent_at: Option<u64>,
    match_index: Option<u64>,
    entries: Option<Vec<FlatEntry<'a>>>,
}

/// Index, term, client, `MID`, key and value.
type FlatEntry<'a> = (u64, u64, &'a str, &'a str, &'a str, &'a str);

fn encoded(message: Message) -> Vec<u8> {
    let mut buffer = Vec::new();
    wire::encode_peer(&mut buffer, id(1), id(0), Some(id(1)), &[message]);
    buffer
}

fn put_request() -> Vec<u8> {
    let (mid, key, value) = ("A".repeat(32), "k".repeat(32), "0123456789ABCDEF".repeat(2));
    let ids = r#""src":"0015","dst":"0000","leader":"FFFF""#;
    format!(r#"{{{ids},"type":"put","MID":"{mid}","key":"{key}","value":"{value}"}}"#).into_bytes()
}

fn decode(c: &mut Criterion) {
    let datagrams = [
        ("put", put_request()),
        ("append of 1", encoded(append(1))),
        ("append of 64", encoded(append(64))),
        ("acknowledgement", encoded(acknowledgement())),
    ];
    let mut decoder = Decoder::new(id(0), [id(1)]);
    let mut out = Vec::new();
    for (name, datagram) in datagrams {
        let mut group = c.benchmark_group(format!("decode/{name}"));
        group.throughput(Throughput::Bytes(datagram.len() as u64));
        group.bench_function("wire", |b| {
            let read = |datagram: &mut Vec<u8>| {
                out.clear();
                decoder.decode(datagram, &mut out).expect("well formed");
                black_box(&out);
            };
            b.iter_batched_ref(|| datagram.clone(), read, BatchSize::SmallInput);
        });
        let mut buffers = Buffers::default();
        group.bench_function("simd-json into a struct", |b| {
            let read = |datagram: &mut Vec<u8>| {
                let flat = simd_json::serde::from_slice_with_buffers::<Flat<'_>>(datagram, &mut buffers);
                black_box(flat.expect("JSON"));
            };
            b.iter_batched_ref(|| datagram.clone(), read, BatchSize::SmallInput);
        });
        group.bench_function("serde_json into a struct", |b| {
            let read = |datagram: &mut Vec<u8>| {
                black_box(serde_json::from_slice::<Flat<'_>>(datagram).expect("JSON"));
            };
            b.iter_batched_ref(|| datagram.clone(), read, BatchSize::SmallInput);
        });
    }
}

fn encode(c: &mut Criterion) {
    let mut buffer = Vec::new();
    let messages = [
        ("append of 1", vec![append(1)]),
        ("append of 64", vec![append(64)]),
        ("acknowledgement", vec![acknowledgement()]),
        ("bundle of 2", vec![acknowledgement(), append(1)]),
    ];
    for (name, messages) in messages {
        c.bench_function(&format!("encode/{name}"), |b| {
            b.iter(|| wire::encode_peer(&mut buffer, id(1), id(0), Some(id(1)), black_box(&messages)));
        });
    }
    let found = response(CLIENT, "A".repeat(32), value("0".repeat(32)));
    let response = Response { leader: Some(id(1)), ..found };
    c.bench_function("encode/answer", |b| {
        b.iter(|| wire::encode_response(&mut buffer, id(1), black_box(&response)));
    });
    let message = append(64);
    c.bench_function("length of an append of 64", |b| {
        b.iter(|| wire::message_len_at_most(black_box(&message)));
    });
}

criterion_group!(benches, decode, encode);
criterion_main!(benches);
