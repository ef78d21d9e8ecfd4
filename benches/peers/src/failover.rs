//! Clients that know all servers, and go on with the next one when a write fails. The caller kills
//! the leader meanwhile. The time without service is the longest time between two acknowledgements.

use std::cell::RefCell;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::{Duration, Instant};

use clap::Args;
use tokio::task::JoinSet;

use crate::connection::Connection;
use crate::{Target, key};

/// A client pauses for so long after a write that failed, so that a port without a server does not
/// keep it busy.
const PAUSE: Duration = Duration::from_millis(10);

/// Writes of unique keys.
#[derive(Args, Clone)]
pub(crate) struct Plan {
    /// How long clients write once each of them has an acknowledgement
    #[arg(long, default_value_t = 6.0)]
    seconds: f64,
    /// A client that waits so many milliseconds for a reply goes on with the next server
    #[arg(long, default_value_t = 200)]
    give_up_ms: u64,
    /// The number of the first key; no earlier run may have written it or a later one
    #[arg(long, default_value_t = 0)]
    first_key: u64,
}

/// All clients together.
struct Record {
    next_key: u64,
    acknowledged: Vec<u64>,
    /// Attempts that failed, or that clients gave up.
    failed: u64,
    last_at: Instant,
    longest_gap: Duration,
    /// When clients stop, once all of them have an acknowledgement.
    until: Option<Instant>,
}

impl Record {
    fn acknowledge(&mut self, key: u64, now: Instant) {
        self.acknowledged.push(key);
        self.longest_gap = self.longest_gap.max(now - self.last_at);
        self.last_at = now;
    }

    /// A cluster that serves no more at the end counts, too.
    fn end(&mut self, now: Instant) {
        self.longest_gap = self.longest_gap.max(now - self.last_at);
    }

    fn is_over(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| now >= until)
    }
}

/// Writes, then reads back each key whose write was acknowledged. Says `ready` when the caller may
/// kill the leader.
pub(crate) async fn run(target: Target, plan: Plan) -> io::Result<String> {
    let record = Rc::new(RefCell::new(Record {
        next_key: plan.first_key,
        acknowledged: Vec::new(),
        failed: 0,
        last_at: Instant::now(),
        longest_gap: Duration::ZERO,
        until: None,
    }));
    let mut clients = JoinSet::new();
    let warm = Rc::new(RefCell::new(target.clients));
    for number in 0..target.clients {
        let client = Client { target: target.clone(), server: number, connection: None };
        clients.spawn_local(client.write(plan.clone(), record.clone(), warm.clone()));
    }
    while let Some(ended) = clients.join_next().await {
        ended.map_err(io::Error::other)??;
    }
    record.borrow_mut().end(Instant::now());
    let lost = count_lost(&target, &plan, &record).await?;
    let record = record.borrow();
    Ok(format!(
        r#"{{"acknowledged": {}, "failed": {}, "lost": {lost}, "longest_gap_ms": {:.1}, "next_key": {}}}"#,
        record.acknowledged.len(),
        record.failed,
        record.longest_gap.as_secs_f64() * 1e3,
        record.next_key,
    ))
}

/// One client, and the server that it asks now.
struct Client {
    target: Target,
    server: usize,
    connection: Option<Connection>,
}

impl Client {
    async fn write(
        mut self,
        plan: Plan,
        record: Rc<RefCell<Record>>,
        warm: Rc<RefCell<usize>>,
    ) -> io::Result<()> {
        let mut is_warm = false;
        while !record.borrow().is_over(Instant::now()) {
            let number = {
                let mut record = record.borrow_mut();
                record.next_key += 1;
                record.next_key - 1
            };
            if self.attempt(&plan, number).await.is_err() {
                record.borrow_mut().failed += 1;
                tokio::time::sleep(PAUSE).await;
                continue;
            }
            let now = Instant::now();
            record.borrow_mut().acknowledge(number, now);
            if !is_warm {
                is_warm = true;
                *warm.borrow_mut() -= 1;
                if *warm.borrow() == 0 {
                    begin(&plan, &mut record.borrow_mut(), now)?;
                }
            }
        }
        Ok(())
    }

    /// Writes one key. After a failure the next attempt is at the next server.
    async fn attempt(&mut self, plan: &Plan, number: u64) -> io::Result<()> {
        let patience = Duration::from_millis(plan.give_up_ms);
        let value = vec![b'v'; self.target.value_bytes];
        let done = tokio::time::timeout(patience, async {
            self.connection().await?.set(&key(number), &value).await
        });
        let done = done.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
        if done.is_err() {
            self.connection = None;
            self.server += 1;
        }
        done
    }

    async fn connection(&mut self) -> io::Result<&mut Connection> {
        let address = &self.target.addresses[self.server % self.target.addresses.len()];
        let connection = match self.connection.take() {
            Some(connection) => connection,
            None => Connection::open(self.target.protocol, address, false).await?,
        };
        Ok(self.connection.insert(connection))
    }
}

/// The time without service counts from here on.
fn begin(plan: &Plan, record: &mut Record, now: Instant) -> io::Result<()> {
    record.longest_gap = Duration::ZERO;
    record.until = Some(now + Duration::from_secs_f64(plan.seconds));
    println!("ready");
    io::stdout().flush()
}

/// How many keys are absent although their writes were acknowledged.
async fn count_lost(target: &Target, plan: &Plan, record: &Rc<RefCell<Record>>) -> io::Result<usize> {
    let mut readers: JoinSet<io::Result<usize>> = JoinSet::new();
    let unread = Rc::new(RefCell::new(record.borrow().acknowledged.clone()));
    for number in 0..target.clients {
        let mut client = Client { target: target.clone(), server: number, connection: None };
        let (unread, plan) = (unread.clone(), plan.clone());
        readers.spawn_local(async move {
            let mut lost = 0;
            loop {
                let Some(number) = unread.borrow_mut().pop() else { return Ok(lost) };
                lost += usize::from(!client.finds(&plan, number).await?);
            }
        });
    }
    let mut lost = 0;
    while let Some(ended) = readers.join_next().await {
        lost += ended.map_err(io::Error::other)??;
    }
    Ok(lost)
}

impl Client {
    /// Whether the key is there, by the first server that answers.
    async fn finds(&mut self, plan: &Plan, number: u64) -> io::Result<bool> {
        // A cluster without a leader answers after some seconds.
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let patience = Duration::from_millis(plan.give_up_ms);
            let found =
                tokio::time::timeout(patience, async { self.connection().await?.get(&key(number)).await });
            match found.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(value) => return Ok(value.is_some()),
                Err(error) if Instant::now() > deadline => return Err(error),
                Err(_) => {
                    self.connection = None;
                    self.server += 1;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_without_service_is_the_longest_between_two_acknowledgements() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut record = Record {
            next_key: 0,
            acknowledged: Vec::new(),
            failed: 0,
            last_at: start,
            longest_gap: Duration::ZERO,
            until: Some(at(900)),
        };
        for (key, ms) in [10, 310, 320].into_iter().enumerate() {
            record.acknowledge(key as u64, at(ms));
        }
        assert_eq!(record.longest_gap, Duration::from_millis(300));
        record.end(at(900));
        assert_eq!(record.longest_gap, Duration::from_millis(580));
        assert!(record.is_over(at(900)) && !record.is_over(at(899)));
    }
}
