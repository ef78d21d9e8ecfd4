//! Clients that send their next request as soon as they have an answer, and the routing between
//! them and the replicas.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::network::{Network, SILENCE};

/// Clients have the IDs from here on.
pub const FIRST_CLIENT: u16 = 0x1000;

/// Where a request has the ID that sends it.
pub const SRC: Range<usize> = 8..12;
/// Where it has the ID that is to receive it.
pub const DST: Range<usize> = 21..25;
/// Where it has the ID of the leader.
pub const LEADER: Range<usize> = 37..41;
const KIND: Range<usize> = 51..54;
const MID: Range<usize> = 63..95;
const KEY: Range<usize> = 104..136;

/// More than any datagram has.
pub const MAX_BYTES: usize = 65_536;

/// The ID that the wire has for "all others" and for "no leader".
const NOBODY: u16 = 0xFFFF;

/// After how many silences in a row the bench gives up.
const PATIENCE: u32 = (10_000 / SILENCE.as_millis()) as u32;

/// The requests that clients send.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    Put,
    Get,
    /// Nothing: the bytes of a put, which look like an answer. The receiver only passes them on.
    Floor,
}

impl Operation {
    pub fn name(self) -> &'static str {
        match self {
            Self::Put => "put",
            Self::Get => "get",
            Self::Floor => "floor",
        }
    }
}

/// The answers to a load.
pub struct Run {
    latencies: Vec<Duration>, // in order
    took: Duration,
    /// How many answers were not `ok`.
    pub refused: u64,
    /// How often a client asked again.
    pub repeated: u64,
}

impl Run {
    /// The latency that this share of the requests did not exceed.
    pub fn latency_us(&self, share: f64) -> f64 {
        percentile(&self.latencies, share).as_secs_f64() * 1e6
    }

    /// How many requests were answered.
    pub fn answered(&self) -> usize {
        self.latencies.len()
    }

    pub fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }
}

/// The duration that this share of them does not exceed.
pub fn percentile(sorted: &[Duration], share: f64) -> Duration {
    sorted[((sorted.len() - 1) as f64 * share).round() as usize]
}

/// The request whose answer a client awaits.
#[derive(Clone, Copy)]
struct Asked {
    number: u64, // its MID
    at: Instant,
}

/// All clients, and the network that they and the replicas use.
pub struct Clients {
    network: Box<dyn Network>,
    replicas: u16,
    leader: u16,
    last: u64,
    request: Vec<u8>,
    buffer: Vec<u8>,
    cut_off: Option<u16>,
}

impl Clients {
    pub fn new(network: Box<dyn Network>, replicas: u16) -> Self {
        let (request, buffer) = (Vec::new(), vec![0; MAX_BYTES]);
        Self { network, replicas, leader: 0, last: 0, request, buffer, cut_off: None }
    }

    /// Cuts a replica that does not lead off from the others.
    pub fn cut_off_a_follower(&mut self) {
        self.cut_off = Some((self.leader + 1) % self.replicas);
    }

    /// Connects all replicas again.
    pub fn heal(&mut self) {
        self.cut_off = None;
    }

    /// Lets so many clients ask for so long, at least once each, and waits for all answers.
    pub fn run(&mut self, operation: Operation, clients: u16, span: Duration) -> Run {
        self.request = request(operation);
        let begin = Instant::now();
        let mut run = Run { latencies: Vec::new(), took: span, refused: 0, repeated: 0 };
        let mut asked: Vec<Option<Asked>> =
            (0..clients).map(|client| Some(self.ask(client, begin))).collect();
        let mut waiting = clients;
        while waiting > 0 {
            let Some((client, length)) = self.next_answer() else {
                run.repeated += self.repeat(&asked);
                continue;
            };
            let answer = &self.buffer[..length];
            let waits_for = asked[usize::from(client)];
            let Some(request) = waits_for.filter(|request| Some(request.number) == number_in(answer)) else {
                continue; // the answer to a request that was asked twice
            };
            if find(answer, br#""type":"ok"#).is_none() {
                run.refused += 1;
                self.follow(length);
                self.send(client, request.number);
                continue;
            }
            let now = Instant::now();
            run.latencies.push(now - request.at);
            asked[usize::from(client)] = (now - begin < span).then(|| self.ask(client, now));
            waiting -= u16::from(asked[usize::from(client)].is_none());
        }
        run.took = begin.elapsed();
        run.latencies.sort_unstable();
        run
    }

    fn ask(&mut self, client: u16, at: Instant) -> Asked {
        self.last += 1;
        self.send(client, self.last);
        Asked { number: self.last, at }
    }

    fn send(&mut self, client: u16, number: u64) {
        write_hex(&mut self.request[SRC], FIRST_CLIENT + client);
        write_hex(&mut self.request[DST], self.leader);
        write_hex(&mut self.request[MID.end - 16..MID.end], number);
        write_hex(&mut self.request[KEY.end - 4..KEY.end], client);
        self.network.deliver(self.leader, &self.request);
    }

    /// Repeats the request of each waiting client, because no message moves any more.
    fn repeat(&mut self, asked: &[Option<Asked>]) -> u64 {
        let mut repeated = 0;
        for (client, asked) in (0..).zip(asked) {
            if let Some(asked) = asked {
                assert!(asked.at.elapsed() < SILENCE * PATIENCE, "no answer");
                self.send(client, asked.number);
                repeated += 1;
            }
        }
        repeated
    }

    /// Turns to the leader that this answer names, or to another replica.
    fn follow(&mut self, length: usize) {
        let named = id_after(&self.buffer[..length], br#""leader":""#);
        self.leader = named.filter(|&id| id != NOBODY).unwrap_or((self.leader + 1) % self.replicas);
    }

    /// Carries datagrams until one is for a client: returns that client, and how much of the buffer
    /// the datagram takes.
    fn next_answer(&mut self) -> Option<(u16, usize)> {
        loop {
            let length = self.network.receive(&mut self.buffer)?;
            let datagram = &self.buffer[..length];
            // Replicas write it before any text of a client, so no other text can look like it.
            let to = id_after(datagram, br#""dst":""#).expect("replicas name the receiver");
            let from = id_after(datagram, br#""src":""#);
            if self.cut_off.is_some_and(|cut_off| to == cut_off || from == Some(cut_off)) {
                continue;
            }
            if to == NOBODY {
                let reached = (0..self.replicas).filter(|&other| Some(other) != from);
                for other in reached.filter(|&other| Some(other) != self.cut_off) {
                    self.network.deliver(other, datagram);
                }
            } else if to < self.replicas {
                self.network.deliver(to, datagram);
            } else {
                return Some((to - FIRST_CLIENT, length));
            }
        }
    }
}

/// A request as the simulator's clients write it, with room for the parts that change.
fn request(operation: Operation) -> Vec<u8> {
    let zeros = "0".repeat(32);
    let value = "0123456789ABCDEF".repeat(2);
    let ids = r#""src":"0000","dst":"0000","leader":"FFFF""#;
    let kind = if operation == Operation::Get { "get" } else { "put" };
    let text = match operation {
        Operation::Get => format!(r#"{{{ids},"type":"{kind}","MID":"{zeros}","key":"{zeros}"}}"#),
        _ => format!(r#"{{{ids},"type":"{kind}","MID":"{zeros}","key":"{zeros}","value":"{value}"}}"#),
    };
    let mut request = text.into_bytes();
    if operation == Operation::Floor {
        request[KIND].copy_from_slice(b"ok ");
    }
    request
}

/// The number that an answer has as its MID.
fn number_in(answer: &[u8]) -> Option<u64> {
    let at = find(answer, br#""MID":""#)?;
    let digits = std::str::from_utf8(answer.get(at + 16..at + 32)?).ok()?;
    u64::from_str_radix(digits, 16).ok()
}

fn id_after(datagram: &[u8], name: &[u8]) -> Option<u16> {
    let at = find(datagram, name)?;
    datagram.get(at..at + 4).map(read_hex)
}

/// Where the first such text ends.
fn find(datagram: &[u8], text: &[u8]) -> Option<usize> {
    datagram.windows(text.len()).position(|window| window == text).map(|at| at + text.len())
}

/// The ID that these four digits spell.
pub fn read_hex(digits: &[u8]) -> u16 {
    let digit = |digit: &u8| char::from(*digit).to_digit(16).expect("a hexadecimal digit") as u16;
    digits.iter().fold(0, |number, next| number << 4 | digit(next))
}

/// Spells this number in so many digits.
pub fn write_hex(digits: &mut [u8], number: impl Into<u64>) {
    let mut left = number.into();
    for digit in digits.iter_mut().rev() {
        *digit = b"0123456789ABCDEF"[(left % 16) as usize];
        left /= 16;
    }
}
