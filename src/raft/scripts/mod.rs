//! Runs the golden scripts beside this file: commands in, a transcript of what the
//! replicas say and do out. `UPDATE_GOLDENFILES=1 cargo test scripts` writes the transcripts anew;
//! commit a changed one only when every changed line is understood.

use std::error::Error;

use goldenscript::{Context, Runner};

use super::Settings;
use super::action::Input;
use super::harness::{Cluster, SETTINGS, describe_log, id, put};
use super::text::describe;
use super::types::Term;
use crate::id::Id;

/// What a script can say. Replicas are numbers from 1.
#[derive(goldenscript::Command)]
enum Command {
    /// A new cluster of this many replicas; `entries` is how many fit into a message, 10 unless given.
    Cluster {
        size: u16,
        #[arg(key)]
        entries: Option<usize>,
    },
    /// `log 2 1 1 4`: replica 2 starts with entries of these terms, and in the last of them or in `term`.
    Log {
        number: u16,
        terms: Vec<Term>,
        #[arg(key)]
        term: Option<Term>,
    },
    /// Time moves to where this replica's timer is due, and it alone notices.
    Timeout(u16),
    /// This many milliseconds pass and nobody notices.
    Wait(u64),
    /// This many milliseconds pass, with all timers; messages wait.
    Elapse(u64),
    /// The same, but every message arrives at once.
    Run(u64),
    /// The oldest messages arrive, or those of one sender or for one receiver.
    Deliver {
        #[arg(key)]
        from: Option<u16>,
        #[arg(key)]
        to: Option<u16>,
        #[arg(key)]
        limit: Option<usize>,
    },
    /// The same messages are lost.
    Drop {
        #[arg(key)]
        from: Option<u16>,
        #[arg(key)]
        to: Option<u16>,
        #[arg(key)]
        limit: Option<usize>,
    },
    /// The oldest message for a receiver arrives, and will arrive once more.
    Repeat {
        #[arg(key)]
        to: u16,
    },
    /// Everything arrives, and what follows from it, until nothing is on its way.
    Stabilize,
    /// `propose 1 a=1 b=2`: one batch of writes for a replica.
    Propose(u16, Vec<(String, String)>),
    /// `read 1 7 8`: one batch of reads, named by numbers.
    Read(u16, Vec<u64>),
    /// `partition "1 2" "3 4 5"`: only replicas of the same group hear each other.
    Partition(Vec<String>),
    /// Everybody hears everybody.
    Heal,
    /// From now on what is written is on disk only when `sync` says so.
    SlowDisks,
    /// All that this replica has written is on disk.
    Sync(u16),
    /// This replica stops and starts again with what is on its disk.
    Restart(u16),
    /// Every replica's role and log, committed entries in brackets.
    Status,
}

struct Script {
    cluster: Cluster,
}

impl Script {
    /// Where in the queue the messages are that a command names, oldest first.
    fn matching(&self, from: Option<u16>, to: Option<u16>) -> impl Iterator<Item = usize> {
        let wanted = |number: Option<u16>, actual: Id| number.is_none_or(|number| id(number) == actual);
        let queue = self.cluster.network.iter().enumerate();
        let named = queue.filter(move |(_, message)| wanted(from, message.from) && wanted(to, message.to));
        named.map(|(position, _)| position)
    }
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _context: &Context) -> Result<String, Box<dyn Error>> {
        let cluster = &mut self.cluster;
        match command {
            Command::Cluster { size, entries } => {
                let settings =
                    entries.map_or(SETTINGS, |n| Settings { max_append_bytes: 100 * n, ..SETTINGS });
                *cluster = Cluster::new(*size, 1, settings);
            }
            Command::Log { number, terms, term } => cluster.preset(id(*number), terms, *term),
            Command::Wait(ms) => cluster.now += ms * 1_000,
            Command::Timeout(number) => cluster.timeout(id(*number)),
            Command::Elapse(ms) => cluster.elapse(ms * 1_000, false),
            Command::SlowDisks => cluster.slow_disks = true,
            Command::Sync(number) => cluster.sync(id(*number)),
            Command::Restart(number) => cluster.restart(id(*number)),
            Command::Run(ms) => cluster.elapse(ms * 1_000, true),
            Command::Deliver { from, to, limit } => {
                for _ in 0..limit.unwrap_or_else(|| self.matching(*from, *to).count()) {
                    let position = self.matching(*from, *to).next().ok_or("no such message")?;
                    self.cluster.deliver(position);
                }
            }
            Command::Drop { from, to, limit } => {
                for _ in 0..limit.unwrap_or_else(|| self.matching(*from, *to).count()) {
                    let position = self.matching(*from, *to).next().ok_or("no such message")?;
                    self.cluster.network.remove(position);
                }
            }
            Command::Repeat { to } => {
                let position = self.matching(None, Some(*to)).next().ok_or("no such message")?;
                let again = self.cluster.network[position].clone();
                self.cluster.deliver(position);
                self.cluster.network.push_front(again);
            }
            Command::Stabilize => cluster.stabilize(),
            Command::Propose(number, writes) => {
                cluster.step(id(*number), writes.iter().map(|(key, value)| put(key, value)));
            }
            Command::Read(number, reads) => {
                cluster.step(id(*number), reads.iter().map(|read| Input::Read(*read)))
            }
            Command::Partition(groups) => {
                let group = |text: &String| text.split(' ').map(|number| number.parse().map(id)).collect();
                let groups: Result<Vec<Vec<Id>>, _> = groups.iter().map(group).collect();
                cluster.partition(&groups?);
            }
            Command::Heal => cluster.blocked.clear(),
            Command::Status => {
                let line = |node: &super::Node| {
                    format!("{} {}: {}\n", node.id().number(), describe(node), describe_log(node))
                };
                return Ok(cluster.nodes.values().map(line).collect());
            }
        }
        Ok(self.cluster.take_transcript())
    }
}

/// One test per script, so that a failure names it.
macro_rules! scripts {
    ($($name:ident),* $(,)?) => {
        $(
            #[test]
            fn $name() -> std::io::Result<()> {
                let path = concat!("src/raft/scripts/", stringify!($name), ".script");
                goldenscript::run(&mut Script { cluster: Cluster::new(5, 1, SETTINGS) }, path)
            }
        )*

        #[test]
        fn every_script_is_run() -> std::io::Result<()> {
            let mut listed: Vec<_> = vec![$(concat!(stringify!($name), ".script").to_owned()),*];
            let mut present = Vec::new();
            for file in std::fs::read_dir("src/raft/scripts")? {
                present.push(file?.file_name().to_string_lossy().into_owned());
            }
            present.retain(|name| name.ends_with(".script"));
            listed.sort();
            present.sort();
            assert_eq!(listed, present);
            Ok(())
        }
    };
}

scripts! {
    batching,
    check_quorum,
    conflict_hint,
    election,
    figure_7,
    figure_8,
    promises_wait_for_the_disk,
    restart,
    in_flight,
    late_answers,
    log_freshness,
    pre_vote,
    reads,
    repeated_append,
    retransmission,
    rotation,
    vote_refused_while_leader_is_heard,
}
