//! Random commands to a real cluster and to a real Redis, both over TCP: every reply must be the same to
//! the byte.
//!
//! Two connections lead to each of the three replicas, one with RESP2 and one with RESP3, and six lead
//! to Redis. A batch of commands goes in one write to a connection and to its counterpart. The next batch
//! begins when all replies are there, so the order of all commands is defined, and the
//! connections get in the way of each other's WATCH.
//!
//! `REDIS_COMMANDS` is the number of commands, `REDIS_SEED` the seed. `docs/redis.md` lists the
//! differences from Redis. These meet the commands here, and [`Expected`] has each of them:
//!
//! * Times to live change while the test runs.
//! * KEYS and SCAN return keys in the order of this store.
//! * HELLO names another version and another connection.
//! * The generator keeps to what is the same in MULTI: HELLO, KEYS and SCAN stay outside, since this store
//!   refuses KEYS there, and runs all of a transaction under the protocol of its EXEC.
//! * A cluster without a leader answers `CLUSTERDOWN` or `UNKNOWN`, which may happen on a busy machine. The
//!   test then goes on with another cluster and another Redis.

use crate::processes::Cluster;
use crate::random_commands::{command, is_lasting, is_open_after, is_timed, number, shown};
use crate::redis_server::RedisServer;
use crate::resp::{Client, Reply, is_leaderless, request};
use crate::service::served;

const COMMANDS: u64 = 4_000;

/// As many commands are sent in one go at most.
const PIPELINE: usize = 48;

/// A test that meets a leaderless cluster so often has not compared the rest either.
const INTERRUPTIONS: usize = 20;

/// As many commands are shown before a difference.
const SHOWN: usize = 60;

/// Commands that have a rule of their own, or that change the connection.
const SPECIAL: [&str; 8] =
    ["hello 2", "hello 3", "reset", "keys *", "keys a", "scan 0 count 1000", "hello 4", "hello"];

/// The part of a reply that must be the same.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// Every byte.
    Bytes,
    /// Every byte if there is no time to live, and else that there is one.
    Presence,
    /// Every line, in any order.
    Lines,
    /// The type and the number of parts.
    Shape,
}

impl Expected {
    fn of(command: &[&str]) -> Self {
        match command {
            ["keys" | "scan", ..] => Self::Lines,
            ["hello"] | ["hello", "2" | "3"] => Self::Shape,
            _ if is_timed(command) => Self::Presence,
            _ => Self::Bytes,
        }
    }

    fn holds(self, own: &[u8], theirs: &[u8]) -> bool {
        let lines = |reply: &[u8]| {
            let mut lines: Vec<Vec<u8>> = reply.split(|&byte| byte == b'\n').map(<[u8]>::to_vec).collect();
            lines.sort();
            lines
        };
        let first = |reply: &[u8]| reply.split(|&byte| byte == b'\n').next().map(<[u8]>::to_vec);
        own == theirs
            || match self {
                Self::Bytes => false,
                Self::Presence => !is_lasting(own) && !is_lasting(theirs),
                Self::Lines => lines(own) == lines(theirs),
                Self::Shape => first(own) == first(theirs),
            }
    }
}

/// A connection to a replica, and its counterpart.
struct Pair {
    name: String,
    own: Client,
    theirs: Client,
    is_open: bool, // between MULTI and EXEC
}

/// A cluster and a Redis, both without keys. Both end with it.
struct World {
    _cluster: Cluster,
    _redis: RedisServer,
    pairs: Vec<Pair>,
}

impl World {
    /// `None` if Redis is not installed.
    fn start() -> Option<Self> {
        let cluster = Cluster::start();
        let (host, port) = cluster.free_address();
        let options = ["--bind", &host, "--port", &port.to_string(), "--protected-mode", "no"];
        let mut redis = RedisServer::start(1 << 20, &options)?;
        drop(redis.connect()); // now it listens
        let mut pairs = Vec::new();
        for (replica, protocol) in [(0, 2), (1, 3), (2, 2), (0, 3), (1, 2), (2, 3)] {
            assert_eq!(served(&mut cluster.client(replica), &["GET", "key"]), Reply::Nil);
            let mut own = cluster.client(replica);
            let mut theirs = Client::connect(&format!("{host}:{port}")).expect("it listens");
            for client in [&mut own, &mut theirs] {
                client.send(&["HELLO", &protocol.to_string()]).expect("the connection lives");
                client.reply_bytes().expect("an answer");
            }
            let name = format!("replica {replica}, connection {}", pairs.len());
            pairs.push(Pair { name, own, theirs, is_open: false });
        }
        Some(Self { _cluster: cluster, _redis: redis, pairs })
    }
}

impl Pair {
    fn draw(&mut self, rng: &mut fastrand::Rng) -> Vec<&'static str> {
        let command = match rng.u8(..40) {
            0 if !self.is_open => SPECIAL[rng.usize(..SPECIAL.len())].split(' ').collect(),
            _ => command(rng, self.is_open),
        };
        self.is_open = is_open_after(&command, self.is_open);
        command
    }

    /// Compares the replies to a batch. False if the cluster could not serve all of it.
    fn compare(&mut self, batch: &[Vec<&str>], history: &mut Vec<String>) -> bool {
        let bytes: String = batch.iter().map(|command| request(command)).collect();
        for client in [&mut self.own, &mut self.theirs] {
            client.send_bytes(bytes.as_bytes()).expect("the connection lives");
        }
        for command in batch {
            history.push(format!("{}: {}", self.name, shown(command.join(" ").as_bytes())));
            history.drain(..history.len().saturating_sub(SHOWN));
            let told = |reply: std::io::Result<Vec<u8>>| {
                reply.unwrap_or_else(|error| panic!("{error}\n{}", history.join("\n")))
            };
            let own = told(self.own.reply_bytes());
            if is_leaderless(shown(&own).trim_start_matches('-')) {
                return false;
            }
            let theirs = told(self.theirs.reply_bytes());
            assert!(
                Expected::of(command).holds(&own, &theirs),
                "{}\nRedis: {}\n{}",
                shown(&own),
                shown(&theirs),
                history.join("\n")
            );
        }
        true
    }
}

#[test]
#[cfg_attr(not(target_arch = "x86_64"), ignore = "Redis has another format for decimal numbers here")]
fn replies_of_a_cluster_to_random_commands_are_those_of_redis() {
    let (all, seed) = (number("REDIS_COMMANDS", COMMANDS), number("REDIS_SEED", 1));
    println!("REDIS_COMMANDS={all} REDIS_SEED={seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let (mut sent, mut interruptions) = (0, 0);
    let Some(mut world) = World::start() else { return };
    let mut history = Vec::new();
    while sent < all {
        let pair = rng.usize(..world.pairs.len());
        let pair = &mut world.pairs[pair];
        let batch: Vec<_> = (0..rng.usize(1..=PIPELINE)).map(|_| pair.draw(&mut rng)).collect();
        sent += batch.len() as u64;
        if !pair.compare(&batch, &mut history) {
            interruptions += 1;
            assert!(interruptions <= INTERRUPTIONS, "no cluster keeps its leader");
            world = World::start().expect("Redis is installed");
            history.clear();
        }
    }
    println!("{sent} commands, {interruptions} changes of the leader");
}
