//! Runs the golden scripts beside this file: commands in, a transcript of the replicas' messages
//! and changes out. `UPDATE_GOLDENFILES=1 cargo test scripts` writes the transcripts anew; commit a
//! changed one only when every changed line is understood.
//!
//! The core must be right in every script that makes sense, so this file refuses the others. It
//! refuses replicas that do not exist, logs that no cluster of Raft could have, and waits without
//! end. No other script may panic; `properties.rs` and the fuzz target `script` look for one that
//! does. A broken invariant panics.

#[cfg(test)]
mod properties;

use std::error::Error;
use std::io;

use goldenscript::{Context, Runner};

use super::action::Input;
use super::harness::{Cluster, Node, SETTINGS, Settings, describe_log, put};
use super::text::describe;
use super::tuning::{Detection, Topology};
use super::types::{Configuration, Term};
use crate::id::Id;
use crate::micros::Micros;

/// As many replicas as any script needs; every step compares all logs with each other.
const MAX_REPLICAS: u16 = 9;

/// The most entries that a log starts with, or that fit into a message.
const MAX_ENTRIES: usize = 100;

/// The latest term that a log starts with.
const MAX_TERM: Term = 1_000_000;

/// The end of a cluster's time: 60 s, an hour of reading.
const END_US: Micros = 60_000_000;

/// The reason why a command can't be executed.
type Refusal = Box<dyn Error>;

/// Runs any text as a script, and then line by line, where it goes on after a line that is refused.
/// The same lines must have the same output each time.
///
/// # Panics
///
/// If the outputs differ, or if an invariant of Raft is broken.
pub fn check(text: &str) {
    let _refused_or_not = transcript(text);
    assert_eq!(line_by_line(text), line_by_line(text), "the second time");
}

/// A script with its present output, or the line that makes no sense and why.
fn transcript(script: &str) -> io::Result<String> {
    goldenscript::generate(&mut Script::new(), script)
}

/// The same for each line, all with one cluster.
fn line_by_line(text: &str) -> Vec<Result<String, String>> {
    let mut script = Script::new();
    let mut run = |line| goldenscript::generate(&mut script, &format!("{line}\n---\n"));
    text.lines().map(|line| run(line).map_err(|refusal| refusal.to_string())).collect()
}

/// The commands of a script. Replicas are numbers from 1.
#[derive(goldenscript::Command)]
enum Command {
    /// A new cluster of this many replicas; a message carries up to `entries`, 10 unless given.
    /// With a `patience` in milliseconds, the idle election time-out, failure detection is on
    /// demand, otherwise by heartbeats. With `relay=true` entries go from follower to follower,
    /// otherwise the leader sends to each follower.
    Cluster {
        size: u16,
        #[arg(key)]
        entries: Option<usize>,
        #[arg(key)]
        patience: Option<u64>,
        #[arg(key)]
        relay: Option<bool>,
    },
    /// `log 2 1 1 4`: replica 2 starts with entries of these terms, and in the last of them or in
    /// `term`. Logs are given before all other commands. A quorum must start in the latest term or
    /// a later one, as it must have voted in it.
    Log {
        number: u16,
        #[arg(optional)]
        terms: Vec<Term>,
        #[arg(key)]
        term: Option<Term>,
    },
    /// Time moves to this replica's deadline, and its timer alone fires.
    Timeout(u16),
    /// This many milliseconds pass, and no timer fires.
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
    /// Delivers all messages, also new ones, until the network is empty.
    Stabilize,
    /// `propose 1 a=1 b=2`: one batch of writes for a replica.
    Propose(u16, Vec<(String, String)>),
    /// A client of this replica comes back from the leader without an answer.
    Suspect(u16),
    /// `read 1 7 8`: one batch of reads, named by numbers.
    Read(u16, Vec<u64>),
    /// This replica hands its leadership over, if it leads.
    Transfer(u16),
    /// `partition "1 2" "3 4 5"`: only replicas that are in a group together hear each other.
    Partition(Vec<String>),
    /// All replicas hear each other.
    Heal,
    /// From now on a write is on disk only after `sync`.
    SlowDisks,
    /// Puts all writes of this replica on its disk.
    Sync(u16),
    /// This replica takes a snapshot of what it has applied.
    TakeSnapshot(u16),
    /// Stops this replica and starts it again from its disk.
    Restart(u16),
    /// Every replica's role and log, committed entries in brackets.
    Status,
}

struct Script {
    cluster: Cluster,
    begun: bool, // a command other than `cluster` and `log` was run
}

impl Script {
    fn new() -> Self {
        Self { cluster: Cluster::new(5, 1, SETTINGS), begun: false }
    }

    fn replica(&self, number: u16) -> Result<Id, Refusal> {
        let id = Id::new(number).filter(|id| self.cluster.nodes.contains_key(id));
        Ok(id.ok_or_else(|| format!("there is no replica {number}"))?)
    }

    /// The named replica, or `None` for all.
    fn anybody_or(&self, number: Option<u16>) -> Result<Option<Id>, Refusal> {
        number.map(|number| self.replica(number)).transpose()
    }

    /// The replicas of one group, written as numbers with spaces between them.
    fn group(&self, text: &str) -> Result<Vec<Id>, Refusal> {
        let member = |number: &str| {
            let number = number.parse().map_err(|_| format!("no numbers of replicas: {text:?}"))?;
            self.replica(number)
        };
        text.split(' ').map(member).collect()
    }

    /// This many milliseconds, if that much time is left.
    fn span(&self, ms: u64) -> Result<Micros, Refusal> {
        let span_us = ms.checked_mul(1_000).filter(|span_us| *span_us <= END_US);
        let span_us = span_us.filter(|span_us| self.cluster.now + span_us <= END_US);
        Ok(span_us.ok_or_else(|| format!("time ends after {} ms", END_US / 1_000))?)
    }

    fn new_cluster(
        &mut self,
        size: u16,
        entries: Option<usize>,
        patience: Option<u64>,
        relay: bool,
    ) -> Result<(), Refusal> {
        if !(1..=MAX_REPLICAS).contains(&size) {
            return Err(format!("a cluster has 1 to {MAX_REPLICAS} replicas").into());
        }
        if entries.is_some_and(|entries| !(1..=MAX_ENTRIES).contains(&entries)) {
            return Err(format!("a message has room for 1 to {MAX_ENTRIES} entries").into());
        }
        let mut settings = entries.map_or(SETTINGS, |n| Settings { max_append_bytes: 100 * n, ..SETTINGS });
        if let Some(patience) = patience {
            settings.idle_election_timeout_us = self.span(patience)?;
            if settings.idle_election_timeout_us < SETTINGS.election_timeout_us {
                return Err("patience lasts as long as an election time-out at least".into());
            }
            settings.heartbeat_interval_us = settings.idle_election_timeout_us / 3;
            settings.tuning.detection = Detection::OnDemand;
        }
        settings.tuning.topology = if relay { Topology::Relay } else { Topology::Star };
        *self = Self { cluster: Cluster::new(size, 1, settings), begun: false };
        Ok(())
    }

    fn preset(&mut self, id: Id, terms: &[Term], term: Option<Term>) -> Result<(), Refusal> {
        if self.begun {
            return Err("logs are given before anything else".into());
        }
        let last = terms.last().copied().unwrap_or(0);
        let in_order = terms.is_sorted() && terms.first() != Some(&0) && term.is_none_or(|term| last <= term);
        if !in_order {
            return Err("terms start at 1 and never decrease".into());
        }
        if terms.len() > MAX_ENTRIES || term.unwrap_or(last) > MAX_TERM {
            return Err(
                format!("a log starts with {MAX_ENTRIES} entries and in term {MAX_TERM} at most").into()
            );
        }
        if self.cluster.nodes[&id].hard_state().current_term > 0 {
            return Err(format!("replica {} was given a log before", id.number()).into());
        }
        if let Some(other) = self.cluster.nodes.values().find(|other| !match_each_other(terms, other)) {
            return Err(
                format!("no log has these terms if replica {} has its own", other.id().number()).into()
            );
        }
        self.cluster.preset(id, terms, term);
        Ok(())
    }

    /// Begins the run. Entries of a term had a leader, so a quorum has seen that term. It grants no
    /// other candidate a pre-vote in it, and so the term gets no second leader.
    fn begin(&mut self) -> Result<(), Refusal> {
        let nodes = &self.cluster.nodes;
        let latest = nodes.values().map(|node| node.log().last_term()).max().unwrap_or(0);
        let has_seen_it = |id| nodes[&id].hard_state().current_term >= latest;
        if !Configuration::new(nodes.keys().copied()).is_quorum(has_seen_it) {
            return Err(format!("no quorum can have elected the leader of term {latest}").into());
        }
        self.begun = true;
        Ok(())
    }

    /// The place in the queue of the oldest message that a command names.
    fn oldest(&self, from: Option<Id>, to: Option<Id>) -> Result<usize, Refusal> {
        Ok(self.matching(from, to).next().ok_or("no such message")?)
    }

    /// The places in the queue of the messages that a command names, oldest first.
    fn matching(&self, from: Option<Id>, to: Option<Id>) -> impl Iterator<Item = usize> {
        let wanted = |wanted: Option<Id>, actual: Id| wanted.is_none_or(|wanted| wanted == actual);
        let queue = self.cluster.network.iter().enumerate();
        let named = queue.filter(move |(_, message)| wanted(from, message.from) && wanted(to, message.to));
        named.map(|(position, _)| position)
    }

    /// Takes the messages that a command names off the queue, one after the other; others may join
    /// meanwhile.
    fn each_message(
        &mut self,
        (from, to): (Option<u16>, Option<u16>),
        limit: Option<usize>,
        take: impl Fn(&mut Cluster, usize),
    ) -> Result<(), Refusal> {
        let (from, to) = (self.anybody_or(from)?, self.anybody_or(to)?);
        for _ in 0..limit.unwrap_or_else(|| self.matching(from, to).count()) {
            let position = self.oldest(from, to)?;
            take(&mut self.cluster, position);
        }
        Ok(())
    }

    fn timeout(&mut self, id: Id) -> Result<(), Refusal> {
        self.span(self.cluster.nodes[&id].deadline().saturating_sub(self.cluster.now) / 1_000)?;
        self.cluster.timeout(id);
        Ok(())
    }

    fn read(&mut self, id: Id, reads: &[u64]) -> Result<(), Refusal> {
        // The harness finds the arrival of a read by its name.
        let is_known =
            |(position, read)| self.cluster.asked.contains_key(read) || reads[..position].contains(read);
        if reads.iter().enumerate().any(is_known) {
            return Err("two reads have the same name".into());
        }
        self.cluster.step(id, reads.iter().map(|read| Input::Read(*read)));
        Ok(())
    }

    fn status(&self) -> String {
        let line =
            |node: &Node| format!("{} {}: {}\n", node.id().number(), describe(node), describe_log(node));
        self.cluster.nodes.values().map(line).collect()
    }
}

/// Log matching: once two logs differ, they differ at every index after that.
fn match_each_other(terms: &[Term], other: &Node) -> bool {
    let pairs = terms.iter().zip(other.log().entries().iter().map(|entry| &entry.term));
    pairs.skip_while(|(a, b)| a == b).all(|(a, b)| a != b)
}

impl Runner for Script {
    type Command = Command;

    fn run(&mut self, command: &Command, _context: &Context) -> Result<String, Refusal> {
        if !self.begun && !matches!(command, Command::Cluster { .. } | Command::Log { .. }) {
            self.begin()?;
        }
        match command {
            Command::Cluster { size, entries, patience, relay } => {
                self.new_cluster(*size, *entries, *patience, relay.unwrap_or(false))?;
            }
            Command::Log { number, terms, term } => self.preset(self.replica(*number)?, terms, *term)?,
            Command::Wait(ms) => self.cluster.now += self.span(*ms)?,
            Command::Timeout(number) => self.timeout(self.replica(*number)?)?,
            Command::Elapse(ms) => self.cluster.elapse(self.span(*ms)?, false),
            Command::Run(ms) => self.cluster.elapse(self.span(*ms)?, true),
            Command::SlowDisks => self.cluster.slow_disks = true,
            Command::Sync(number) => self.cluster.sync(self.replica(*number)?),
            Command::TakeSnapshot(number) => self.cluster.take_snapshot(self.replica(*number)?),
            Command::Restart(number) => self.cluster.restart(self.replica(*number)?),
            Command::Deliver { from, to, limit } => {
                self.each_message((*from, *to), *limit, Cluster::deliver)?;
            }
            Command::Drop { from, to, limit } => {
                let lose = |cluster: &mut Cluster, position| drop(cluster.network.remove(position));
                self.each_message((*from, *to), *limit, lose)?;
            }
            Command::Repeat { to } => {
                let position = self.oldest(None, Some(self.replica(*to)?))?;
                let again = self.cluster.network[position].clone();
                self.cluster.deliver(position);
                self.cluster.network.push_front(again);
            }
            Command::Stabilize => self.cluster.stabilize(),
            Command::Propose(number, writes) => {
                let writes = writes.iter().map(|(key, value)| put(key, value));
                self.cluster.step(self.replica(*number)?, writes);
            }
            Command::Suspect(number) => {
                let id = self.replica(*number)?;
                self.cluster.step(id, [Input::Suspect]);
            }
            Command::Transfer(number) => {
                let id = self.replica(*number)?;
                self.cluster.step(id, [Input::TransferLeadership]);
            }
            Command::Read(number, reads) => self.read(self.replica(*number)?, reads)?,
            Command::Partition(groups) => {
                let groups: Result<Vec<_>, _> = groups.iter().map(|group| self.group(group)).collect();
                self.cluster.partition(&groups?);
            }
            Command::Heal => self.cluster.blocked.clear(),
            Command::Status => return Ok(self.status()),
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
                let path = concat!("src/scripts/", stringify!($name), ".script");
                goldenscript::run(&mut Script::new(), path)
            }
        )*

        #[test]
        fn every_script_is_run() -> std::io::Result<()> {
            let mut listed: Vec<_> = vec![$(concat!(stringify!($name), ".script").to_owned()),*];
            let mut present = Vec::new();
            for file in std::fs::read_dir("src/scripts")? {
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
    suspicion,
    suspicion_is_mistaken,
    suspicion_under_vote_lease,
    election,
    figure_7,
    figure_8,
    messages_wait_for_the_disk,
    restart,
    in_flight,
    install_snapshot,
    late_answers,
    log_freshness,
    pre_vote,
    reads,
    relay,
    relay_answer_is_lost,
    relay_is_lost,
    relay_is_refused,
    repeated_append,
    retransmission,
    rotation,
    transfer,
    transfer_fails,
    vote_refused_while_leader_is_heard,
}
