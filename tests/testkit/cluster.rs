//! Replicas in memory: their network is a loop, and a test moves their time. Real pipelines with
//! threads have clusters of their own (`tests/pipeline/cluster.rs`, `benches/latency/cluster.rs`).

use std::collections::{BTreeMap, BTreeSet};

use kvstore::exchange::{Inbound, Outbound};
use kvstore::id::Id;
use kvstore::micros::Micros;
use kvstore::replica::{LogLimits, Options, Replica, Saved};
use kvstore::request::{Outcome, Request, Response};
use kvstore::transport::SEQPACKET_MAX_DATAGRAM;
use kvstore::tuning::Tuning;
use kvstore::wire::{CHECKSUM_BYTES, Limits};

use super::{STORED, id};

/// How a replica takes one batch at a time, and where its messages go.
pub type Step = Box<dyn FnMut(&mut Replica, Micros, Vec<Inbound>, &mut Vec<Outbound>)>;

/// Replicas 0000, 0001 ... with a network that loses nothing, unless it is blocked.
pub struct Cluster {
    pub replicas: BTreeMap<Id, Replica>, // a test may take one away: it is dead then
    pub blocked: BTreeSet<Id>,           // replicas that neither send nor receive
    pub loses_read_indexes: bool,        // messages about reads of followers are lost
    pub now: Micros,
    pub hop_us: Micros,             // how long each message is on its way
    responses: Vec<(Id, Response)>, // each answer and its sender, in order
    inboxes: BTreeMap<Id, Vec<Inbound>>,
    step: Step,
}

impl Cluster {
    /// Replicas without disks, and messages that arrive at once.
    pub fn new(size: u16) -> Self {
        Self::stepping(size, Box::new(|replica, now, inbox, out| replica.step_in_memory(now, inbox, out)))
    }

    /// The same, but each replica takes its batches in this way.
    pub fn stepping(size: u16, step: Step) -> Self {
        Self::with(size, |options| options, step)
    }

    /// The same as [`new`](Self::new), but the replicas forward requests.
    pub fn forwarding(size: u16) -> Self {
        Self::forwarding_with(size, Tuning::DEFAULT)
    }

    /// The same with these switches.
    pub fn forwarding_with(size: u16, tuning: Tuning) -> Self {
        let step = Box::new(|replica: &mut Replica, now, inbox, out: &mut _| {
            replica.step_in_memory(now, inbox, out)
        });
        Self::with(size, |options| Options { forwards: true, tuning, ..options }, step)
    }

    /// The same as [`new`](Self::new), but with these bounds of the logs.
    pub fn with_log(size: u16, log: LogLimits) -> Self {
        let step = Box::new(|replica: &mut Replica, now, inbox, out: &mut _| {
            replica.step_in_memory(now, inbox, out)
        });
        Self::with(size, |options| Options { log, ..options }, step)
    }

    /// The same as [`forwarding`](Self::forwarding), but the keys and values have so much memory.
    pub fn with_memory(size: u16, max_data_bytes: usize) -> Self {
        let step = Box::new(|replica: &mut Replica, now, inbox, out: &mut _| {
            replica.step_in_memory(now, inbox, out)
        });
        let max_data_bytes = Some(max_data_bytes);
        Self::with(size, |options| Options { forwards: true, max_data_bytes, ..options }, step)
    }

    fn with(size: u16, change: impl Fn(Options) -> Options, step: Step) -> Self {
        let replica = |own| {
            let peers = (0..size).filter(|&peer| peer != own).map(id).collect();
            let options = change(Options::new(id(own), peers, u64::from(own)));
            let max_message = SEQPACKET_MAX_DATAGRAM - CHECKSUM_BYTES;
            let limits = Limits::new(max_message, options.tuning.topology, options.peers.len());
            (id(own), Replica::new(&options, limits, Saved::default(), 0))
        };
        Self {
            replicas: (0..size).map(replica).collect(),
            blocked: BTreeSet::new(),
            loses_read_indexes: false,
            now: 0,
            hop_us: 0,
            responses: Vec::new(),
            inboxes: BTreeMap::new(),
            step,
        }
    }

    /// The replica that leads.
    pub fn leader(&self) -> Id {
        self.find_leader().expect("a leader")
    }

    fn find_leader(&self) -> Option<Id> {
        self.replicas.values().map(Replica::node).find(|node| node.is_leader()).map(|node| node.id())
    }

    /// A replica that does not lead.
    pub fn follower(&self) -> Id {
        let leader = self.leader();
        self.replicas.keys().copied().find(|&id| id != leader).expect("more than one")
    }

    /// One batch for one replica, and all that follows from it: a batch of each replica that has
    /// messages, and again, until none has any.
    pub fn batch(&mut self, at: Id, inputs: Vec<Inbound>) {
        self.inboxes.insert(at, inputs);
        while !self.inboxes.is_empty() {
            self.now += self.hop_us;
            for (at, inbox) in std::mem::take(&mut self.inboxes) {
                self.step(at, inbox);
            }
        }
    }

    fn step(&mut self, at: Id, inbox: Vec<Inbound>) {
        let Some(replica) = self.replicas.get_mut(&at) else { return };
        let mut out = Vec::new();
        (self.step)(replica, self.now, inbox, &mut out);
        for outbound in out {
            let (to, inbound) = match outbound {
                Outbound::Client(response) => {
                    self.responses.push((at, response));
                    continue;
                }
                Outbound::Peer { to, message, .. } => (to, Inbound::Peer { from: at, message }),
                Outbound::Forward { to, request } => (to, Inbound::Client(request)),
                Outbound::ReadIndex { .. } if self.loses_read_indexes => continue,
                Outbound::ReadIndex { to, message } => (to, Inbound::ReadIndex { from: at, message }),
            };
            if !self.blocked.contains(&at) && !self.blocked.contains(&to) {
                self.inboxes.entry(to).or_default().push(inbound);
            }
        }
    }

    /// One batch of requests for one replica.
    pub fn ask(&mut self, at: Id, requests: &[Request]) {
        self.batch(at, requests.iter().cloned().map(Inbound::Client).collect());
    }

    /// Lets this much time pass.
    pub fn run(&mut self, span_us: Micros) {
        let end = self.now + span_us;
        while self.next_deadline().0 <= end {
            self.pass_deadline();
        }
        self.now = end;
    }

    /// Lets time pass until the next deadline of a replica has come.
    pub fn pass_deadline(&mut self) {
        let (due, at) = self.next_deadline();
        self.now = self.now.max(due);
        self.batch(at, Vec::new());
    }

    fn next_deadline(&self) -> (Micros, Id) {
        self.replicas.iter().map(|(id, replica)| (replica.deadline(), *id)).min().expect("there are some")
    }

    /// Lets time pass until a replica leads, and returns that one.
    pub fn elect(&mut self) -> Id {
        loop {
            if let Some(leader) = self.find_leader() {
                return leader;
            }
            self.pass_deadline();
        }
    }

    /// The answers since the last call: sender, request, outcome, and the leader that it names.
    pub fn answers(&mut self) -> Vec<(Id, String, Outcome, Option<Id>)> {
        let answer = |(from, response): (Id, Response)| {
            (from, response.id.mid.to_string(), response.outcome, response.leader)
        };
        self.responses.drain(..).map(answer).collect()
    }

    /// How many puts took effect since the last call of this or of [`answers`](Self::answers).
    pub fn stored(&mut self) -> usize {
        self.responses.drain(..).filter(|(_, response)| response.outcome == STORED).count()
    }
}
