//! The cost of reading and of writing one message. Beside the decoder, which validates as well,
//! stand simd-json and `serde_json`, which only parse the same bytes into a struct.
//!
//! `cargo bench --bench codec`

use std::hint::black_box;

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use kvstore::bytes::Bytes;
use kvstore::cluster;
use kvstore::codec;
use kvstore::command::{Batch, Command, Proposal, Watch};
use kvstore::dialect::Dialect;
use kvstore::operation::{Deadline, Operation};
use kvstore::replication::Message;
use kvstore::request::Response;
use kvstore::wire::{self, Decoder, Form};
use serde::Deserialize;
use simd_json::Buffers;

mod samples;
#[path = "../tests/testkit/mod.rs"]
mod testkit;

use samples::{acknowledgement, append};
use testkit::{CLIENT, entry, id, request_id, response, value};

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

/// Index, term, time, client, `MID`, key and value.
type FlatEntry<'a> = (u64, u64, u64, &'a str, &'a str, &'a str, &'a str);

fn encoded(message: Message) -> Vec<u8> {
    let mut buffer = Vec::new();
    wire::encode_peer(&mut buffer, id(1), id(0), Some(id(1)), &[message]);
    buffer
}

fn sealed(message: Message) -> Vec<u8> {
    let mut buffer = Vec::new();
    wire::encode_sealed(&mut buffer, id(1), id(0), Some(id(1)), &[message]);
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

/// The messages of `decode` as the simulators carry them: with a checksum.
fn decode_sealed(c: &mut Criterion) {
    let mut decoder = Decoder::new(id(0), [id(1)]).with_checksums();
    let mut out = Vec::new();
    for (name, message) in
        [("append of 1", append(1)), ("append of 64", append(64)), ("acknowledgement", acknowledgement())]
    {
        let datagram = sealed(message);
        c.bench_function(&format!("decode/{name}/wire with a checksum"), |b| {
            let read = |datagram: &mut Vec<u8>| {
                out.clear();
                decoder.decode(datagram, &mut out).expect("well formed");
                black_box(&out);
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
        c.bench_function(&format!("encode/{name} with a checksum"), |b| {
            b.iter(|| wire::encode_sealed(&mut buffer, id(1), id(0), Some(id(1)), black_box(&messages)));
        });
    }
    let found = response(CLIENT, "A".repeat(32), value("0".repeat(32)));
    let response = Response { leader: Some(id(1)), ..found };
    c.bench_function("encode/answer", |b| {
        b.iter(|| wire::encode_response(&mut buffer, id(1), black_box(&response)));
    });
    let message = append(64);
    let value = Bytes::from(vec![0xFF; 1 << 20]);
    let put =
        Proposal { command: Operation::set("k", value).into(), ..testkit::proposal(CLIENT, "1", "", "") };
    let put = entry(1, 1, put);
    for form in [Form::Json, Form::Binary] {
        c.bench_function(&format!("length/{form:?} of an append of 64"), |b| {
            b.iter(|| form.message_len_at_most(black_box(&message)));
        });
        c.bench_function(&format!("length/{form:?} of a megabyte that is no text"), |b| {
            b.iter(|| form.entry_len()(black_box(&put)));
        });
    }
}

/// The binary form of an entry, for the log on disk.
fn binary(c: &mut Criterion) {
    let (key, value) = (|| Bytes::from("k".repeat(32)), || Bytes::from("v".repeat(100)));
    let batch = Batch {
        watches: vec![Watch { key: key(), unchanged_since: 5_000_000 }],
        operations: vec![
            Operation::set(key(), value()),
            Operation::Increment { key: key(), by: 1 },
            Operation::Delete { keys: vec![key(), key()] },
            Operation::set(key(), value()),
        ],
    };
    let deadline = Deadline::After(60_000);
    let commands: [(_, Command); 3] = [
        ("put", Operation::set(key(), value()).into()),
        ("batch", Command::Batch(batch)),
        ("expire", Operation::Expire { key: key(), deadline, condition: None }.into()),
    ];
    for (name, command) in commands {
        let request = Some(request_id(CLIENT, "12D687"));
        let entry = entry(5_000_000, 7, Proposal { at: 1_764_200_000_000, request, command });
        let mut bytes = Vec::new();
        codec::encode_entry(&entry, &mut bytes);
        println!("binary/{name}: {} bytes", bytes.len());
        c.bench_function(&format!("binary/decode {name}"), |b| {
            b.iter(|| black_box(codec::decode_entry(black_box(&bytes)).expect("well formed")));
        });
        c.bench_function(&format!("binary/encode {name}"), |b| {
            b.iter(|| {
                bytes.clear();
                codec::encode_entry(black_box(&entry), &mut bytes);
            });
        });
    }
}

/// The datagrams of a real cluster, beside the JSON of `decode` and `encode`.
fn datagrams(c: &mut Criterion) {
    let Dialect { mut decoder, .. } = cluster::dialect(id(0), &[id(1)]);
    let Dialect { encoder, .. } = cluster::dialect(id(1), &[id(0)]);
    let (mut datagram, mut out) = (Vec::new(), Vec::new());
    for (name, message) in
        [("append of 1", append(1)), ("append of 64", append(64)), ("acknowledgement", acknowledgement())]
    {
        let messages = [message];
        encoder.peer(&mut datagram, id(0), Some(id(1)), &messages);
        let json = encoded(messages[0].clone()).len();
        println!("binary/{name}: {} bytes, as JSON {json}", datagram.len());
        c.bench_function(&format!("binary/decode {name}"), |b| {
            b.iter(|| {
                out.clear();
                decoder.decode(black_box(&mut datagram), &mut out).expect("well formed");
                black_box(&out);
            });
        });
        c.bench_function(&format!("binary/encode {name}"), |b| {
            b.iter(|| encoder.peer(&mut datagram, id(0), Some(id(1)), black_box(&messages)));
        });
    }
}

criterion_group!(benches, decode, decode_sealed, encode, binary, datagrams);
criterion_main!(benches);
