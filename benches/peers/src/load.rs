//! Clients in a closed loop: each one waits for its reply, then sends its next request.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Args;
use hdrhistogram::Histogram;
use tokio::task::JoinSet;

use crate::busy::processor_seconds;
use crate::connection::Connection;
use crate::{Target, key};

/// A reply that takes longer than this counts as so long.
const LONGEST_US: u64 = 60_000_000;

/// Requests for some seconds.
#[derive(Args, Clone)]
pub(crate) struct Plan {
    /// How long requests are counted
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// How long they are sent before that
    #[arg(long, default_value_t = 0.5)]
    warm_up: f64,
    /// How many of a hundred requests read; the others write
    #[arg(long, default_value_t = 0)]
    reads: u32,
    /// Of the choice of keys
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

/// Replies that came while requests were counted.
struct Tally {
    latencies_us: Histogram<u64>,
    reads: u64,
}

/// Writes each key once.
pub(crate) async fn fill(target: Target) -> io::Result<String> {
    let next = Rc::new(Cell::new(0_u64));
    let mut clients = JoinSet::new();
    for mut connection in open(&target).await? {
        let (next, target) = (next.clone(), target.clone());
        clients.spawn_local(async move {
            let value = vec![b'v'; target.value_bytes];
            loop {
                let number = next.get();
                if number >= target.keys {
                    return Ok(());
                }
                next.set(number + 1);
                connection.set(&key(number), &value).await?;
            }
        });
    }
    finish(clients).await?;
    Ok(format!(r#"{{"keys": {}}}"#, target.keys))
}

/// Sends requests, and returns rate and latencies as JSON.
pub(crate) async fn run(target: Target, plan: Plan) -> io::Result<String> {
    let connections = open(&target).await?;
    let latencies_us = Histogram::new_with_max(LONGEST_US, 3).map_err(io::Error::other)?;
    let tally = Rc::new(RefCell::new(Tally { latencies_us, reads: 0 }));
    let from = Instant::now() + Duration::from_secs_f64(plan.warm_up);
    let until = from + Duration::from_secs_f64(plan.seconds);
    let mut clients = JoinSet::new();
    for (number, connection) in connections.into_iter().enumerate() {
        let random = fastrand::Rng::with_seed(plan.seed << 32 | number as u64);
        let client = Client { connection, random, reads: plan.reads, target: target.clone(), from, until };
        clients.spawn_local(client.run(tally.clone()));
    }
    let busy = tokio::task::spawn_local(async move {
        tokio::time::sleep_until(from.into()).await;
        let before = processor_seconds()?;
        tokio::time::sleep_until(until.into()).await;
        processor_seconds().map(|after| after - before)
    });
    finish(clients).await?;
    let busy = busy.await.map_err(io::Error::other)??;
    Ok(tally.borrow().as_json(plan.seconds, busy))
}

/// One client and its connection.
struct Client {
    connection: Connection,
    random: fastrand::Rng,
    reads: u32,
    target: Target,
    from: Instant,
    until: Instant,
}

impl Client {
    async fn run(mut self, tally: Rc<RefCell<Tally>>) -> io::Result<()> {
        let value = vec![b'v'; self.target.value_bytes];
        loop {
            let is_read = self.random.u32(0..100) < self.reads;
            let key = key(self.random.u64(0..self.target.keys));
            let sent = Instant::now();
            if is_read {
                self.read(&key).await?;
            } else {
                self.connection.set(&key, &value).await?;
            }
            let replied = Instant::now();
            if replied >= self.until {
                return Ok(());
            }
            if replied >= self.from {
                tally.borrow_mut().count(replied - sent, is_read);
            }
        }
    }

    /// A read must find its key, as `fill` has stored it.
    async fn read(&mut self, key: &[u8]) -> io::Result<()> {
        let value = self.connection.get(key).await?;
        if value.is_none_or(|value| value.len() != self.target.value_bytes) {
            return Err(io::Error::other("a key is absent, or has a value of another length"));
        }
        Ok(())
    }
}

impl Tally {
    fn count(&mut self, latency: Duration, is_read: bool) {
        self.latencies_us.saturating_record(latency.as_micros() as u64);
        self.reads += u64::from(is_read);
    }

    fn as_json(&self, seconds: f64, busy: f64) -> String {
        let requests = self.latencies_us.len();
        let latency = |quantile| self.latencies_us.value_at_quantile(quantile);
        format!(
            r#"{{"requests": {requests}, "reads": {}, "rate": {:.1}, "p50_us": {}, "p99_us": {}, "p999_us": {}, "busy": {:.3}}}"#,
            self.reads,
            requests as f64 / seconds,
            latency(0.5),
            latency(0.99),
            latency(0.999),
            busy / seconds,
        )
    }
}

/// The connections of all clients to the first address.
async fn open(target: &Target) -> io::Result<Vec<Connection>> {
    let address = &target.addresses[0];
    let mut connections: Vec<Connection> = Vec::with_capacity(target.clients);
    for _ in 0..target.clients {
        let shared = connections.last().filter(|_| target.shared);
        connections.push(match shared.and_then(Connection::share) {
            Some(connection) => connection,
            None => Connection::open(target.protocol, address, target.shared).await?,
        });
    }
    Ok(connections)
}

/// Waits for all clients. The first error ends the others.
async fn finish(mut clients: JoinSet<io::Result<()>>) -> io::Result<()> {
    while let Some(ended) = clients.join_next().await {
        ended.map_err(io::Error::other)??;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_has_the_rate_and_the_share_of_a_processor() {
        let latencies_us = Histogram::new_with_max(LONGEST_US, 3).expect("valid bounds");
        let mut tally = Tally { latencies_us, reads: 0 };
        for latency in 1..=1_000 {
            tally.count(Duration::from_micros(latency), latency % 4 == 0);
        }
        assert_eq!(
            tally.as_json(2.0, 0.5),
            r#"{"requests": 1000, "reads": 250, "rate": 500.0, "p50_us": 500, "p99_us": 990, "p999_us": 999, "busy": 0.250}"#
        );
    }
}
