//! Clients in a closed loop: each sends its next put as soon as it has the answer to the last one.

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::figures::percentile_us;
use crate::network::{DST, FIRST_CLIENT, LEADER, NOBODY, Network, Place, REPLICAS, SRC, read_hex, write_hex};

/// The bytes of the key of a put.
pub const KEY_BYTES: usize = 32;
/// The bytes of its value.
pub const VALUE_BYTES: usize = 100;

/// Where a put has its name.
pub const MID: Range<usize> = 63..95;
/// Where an answer `ok` has the name of the put.
pub const MID_OF_OK: Range<usize> = 62..94;
const KIND: usize = 51;
const KEY: Range<usize> = 104..136;

/// No put takes longer, unless the cluster hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// The answers to a load.
#[derive(Default)]
pub struct Run {
    pub latencies: Vec<Duration>,
    pub took: Duration,
    /// How many answers were redirects.
    pub redirected: u64,
}

impl Run {
    pub fn per_second(&self) -> f64 {
        self.latencies.len() as f64 / self.took.as_secs_f64()
    }

    /// Adds another run after this one.
    pub fn add(&mut self, run: Self) {
        self.latencies.extend(run.latencies);
        self.took += run.took;
        self.redirected += run.redirected;
    }

    pub fn latency_us(&self, share: f64) -> f64 {
        percentile_us(&mut self.latencies.clone(), share)
    }
}

/// All clients of a cluster.
pub struct Clients {
    place: Place,
    pub leader: u16,
    /// How many puts were sent. The names of the puts count them.
    pub sent: u64,
    request: Vec<u8>,
}

impl Clients {
    pub fn new(place: Place) -> Self {
        let (zeros, value) = ("0".repeat(KEY_BYTES), "v".repeat(VALUE_BYTES));
        let request = format!(
            r#"{{"src":"0000","dst":"0000","leader":"FFFF","type":"put","MID":"{zeros}","key":"{zeros}","value":"{value}"}}"#
        );
        Self { place, leader: 0, sent: 0, request: request.into_bytes() }
    }

    /// The size of a request.
    pub fn request_bytes(&self) -> usize {
        self.request.len()
    }

    /// Lets so many clients put until so many puts are answered in all.
    pub fn put(&mut self, network: &mut Network, clients: u16, puts: u64, key: impl FnMut() -> u64) -> Run {
        let last = self.sent + puts.saturating_sub(u64::from(clients));
        self.put_while(network, clients, key, |_, sent| sent <= last)
    }

    /// Lets so many clients put for so long.
    pub fn put_for(
        &mut self,
        network: &mut Network,
        clients: u16,
        span: Duration,
        key: impl FnMut() -> u64,
    ) -> Run {
        let begun = Instant::now();
        self.put_while(network, clients, key, |_, _| begun.elapsed() < span)
    }

    /// Lets so many clients put, at least once each, until `goes_on` says no, and waits for all
    /// answers. `goes_on` learns how many puts were sent.
    pub fn put_while(
        &mut self,
        network: &mut Network,
        clients: u16,
        mut key: impl FnMut() -> u64,
        mut goes_on: impl FnMut(&Network, u64) -> bool,
    ) -> Run {
        let begun = Instant::now();
        let mut run = Run::default();
        let mut asked: Vec<Asked> = (0..clients).map(|client| self.ask(network, client, key())).collect();
        let mut waiting = clients;
        while waiting > 0 {
            let (place, length) = network.next_answer(PATIENCE).expect("an answer");
            let answer = network.answer(length);
            let client = read_hex(&answer[DST]) - FIRST_CLIENT;
            if place != self.place || client >= clients {
                continue;
            }
            let this = asked[usize::from(client)];
            if !answer[KIND..].starts_with(br#"ok""#) {
                assert!(answer[KIND..].starts_with(b"redirect"), "{}", String::from_utf8_lossy(answer));
                run.redirected += 1;
                let named = read_hex(&answer[LEADER]);
                self.leader = if named == NOBODY { (self.leader + 1) % REPLICAS } else { named };
                self.send(network, client, this);
                continue;
            }
            if read_hex(&answer[MID_OF_OK][28..]) != this.number as u16 {
                continue; // the answer to an earlier attempt
            }
            let now = Instant::now();
            run.latencies.push(now - this.at);
            if goes_on(network, self.sent) {
                asked[usize::from(client)] = self.ask(network, client, key());
            } else {
                waiting -= 1;
            }
        }
        run.took = begun.elapsed();
        run
    }

    /// Sends two puts with one name, of which a replica refuses the second at once, also when it has
    /// no leader.
    pub fn put_in_vain(&mut self, network: &mut Network) {
        let first = self.ask(network, 0, 0);
        self.send(network, 0, Asked { key: 1, ..first });
    }

    fn ask(&mut self, network: &mut Network, client: u16, key: u64) -> Asked {
        self.sent += 1;
        let asked = Asked { number: self.sent, key, at: Instant::now() };
        self.send(network, client, asked);
        asked
    }

    fn send(&mut self, network: &mut Network, client: u16, asked: Asked) {
        write_hex(&mut self.request[SRC], FIRST_CLIENT + client);
        write_hex(&mut self.request[DST], self.leader);
        write_hex(&mut self.request[MID][16..], asked.number);
        write_hex(&mut self.request[KEY][16..], asked.key);
        network.deliver(self.place, self.leader, &self.request);
    }
}

/// A put that waits for its answer.
#[derive(Clone, Copy)]
struct Asked {
    number: u64,
    key: u64,
    at: Instant,
}
