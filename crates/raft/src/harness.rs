//! A cluster of cores for tests. Messages wait in one queue until a test delivers, loses or repeats
//! them. Time stands still until a test moves it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::{self, Write as _};

use super::action::{ReadId, SnapshotChunk};
use super::invariants::ClusterInvariants;
use super::text::describe;
use super::tuning::{Detection, Tuning};
use super::types::{Configuration, EntryId, Index, Payload, Term};
use crate::id::Id;
use crate::micros::Micros;

/// The command that these clusters replicate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Put {
    key: String,
    value: String,
}

impl fmt::Display for Put {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.key, self.value)
    }
}

pub(super) type Action = super::action::Action<Put>;
pub(super) type Entry = super::types::Entry<Put>;
pub(super) type Input = super::action::Input<Put>;
#[cfg(test)]
pub(super) type Log = super::log::Log<Put>;
pub(super) type Message = super::message::Message<Put>;
pub(super) type Node = super::node::Node<Put>;
pub(super) type Persist = super::action::Persist<Put>;
pub(super) type PersistentState = super::types::PersistentState<Put>;
pub(super) type Settings = super::settings::Settings<Put>;

pub(super) const SETTINGS: Settings = Settings {
    election_timeout_us: 1_000_000,
    idle_election_timeout_us: 1_000_000,
    check_quorum_timeout_us: 1_000_000,
    heartbeat_interval_us: 250_000,
    lease_us: 900_000,
    max_append_bytes: 1_000,
    entry_len: |_| 100,
    max_in_flight: 4,
    applied_at_once: 1_000,
    applied_bytes_at_once: 1_000_000,
    weigh: |_| 100,
    tail_bytes: 300,
    max_log_bytes: 1_000_000,
    tuning: Tuning { detection: Detection::Heartbeats, ..Tuning::DEFAULT },
};

/// The same with failure detection on demand: silence costs nothing, and requests detect a dead
/// leader.
#[cfg(test)]
pub(super) const ON_DEMAND: Settings = Settings {
    idle_election_timeout_us: 10_000_000,
    check_quorum_timeout_us: 500_000,
    heartbeat_interval_us: 3_000_000,
    tuning: Tuning { detection: Detection::OnDemand, ..Tuning::DEFAULT },
    ..SETTINGS
};

/// No test has so many messages or timers at a time.
const NEVER_ENDS: usize = 20_000;

/// A message in flight.
#[derive(Clone, Debug)]
pub(super) struct Envelope {
    pub(super) from: Id,
    pub(super) to: Id,
    pub(super) message: Message,
}

/// A replica's disk.
#[derive(Debug, Default)]
struct Disk {
    log: PersistentState,
    snapshot: EntryId,
    unsynced: VecDeque<Write>,
    receiving: Option<EntryId>, // a snapshot of which all chunks are there
}

/// A change of a log on its way to the disk.
#[derive(Debug)]
enum Write {
    Persist(Persist),
    Compact(EntryId),
}

/// The cores of several replicas, their disks and the network between them.
#[derive(Debug)]
pub(super) struct Cluster {
    pub(super) nodes: BTreeMap<Id, Node>,
    pub(super) network: VecDeque<Envelope>,
    pub(super) blocked: BTreeSet<(Id, Id)>,
    pub(super) now: Micros,
    pub(super) applied: BTreeMap<Id, Vec<Entry>>,
    pub(super) slow_disks: bool, // a write is on disk only after `sync`, not at once
    disks: BTreeMap<Id, Disk>,
    chunks: Vec<Input>, // those that were read for the replica that is performing its actions
    snapshots: BTreeMap<EntryId, Vec<Entry>>, // all that were sent: the entries that their replica had applied
    configuration: Configuration,
    settings: Settings,
    pub(super) asked: BTreeMap<ReadId, Index>, // by read: the highest commit index of all replicas when it arrived
    invariants: ClusterInvariants,
    transcript: String,
}

pub(super) fn id(number: u16) -> Id {
    Id::new(number).expect("not reserved")
}

impl Cluster {
    /// Replicas 1 to `size`, each with its own jitter drawn from `seed`.
    pub(super) fn new(size: u16, seed: u64, settings: Settings) -> Self {
        let configuration = Configuration::new((1..=size).map(id));
        let node = |n| {
            let rng = fastrand::Rng::with_seed(seed.wrapping_add(n));
            Node::new(id(n as u16), configuration.clone(), settings, rng, PersistentState::default(), 0)
        };
        Self {
            nodes: (1..=u64::from(size)).map(|n| (id(n as u16), node(n))).collect(),
            network: VecDeque::new(),
            blocked: BTreeSet::new(),
            now: 0,
            applied: BTreeMap::new(),
            slow_disks: false,
            disks: BTreeMap::new(),
            chunks: Vec::new(),
            snapshots: BTreeMap::new(),
            configuration: configuration.clone(),
            settings,
            asked: BTreeMap::new(),
            invariants: ClusterInvariants::default(),
            transcript: String::new(),
        }
    }

    pub(super) fn node(&mut self, id: Id) -> &mut Node {
        self.nodes.get_mut(&id).expect("a replica of this cluster")
    }

    /// Gives a replica a log with entries of these terms, and `term` or the last of them as its
    /// term.
    pub(super) fn preset(&mut self, id: Id, terms: &[Term], term: Option<Term>) {
        let node = self.node(id);
        for &term in terms {
            node.log.append(term, Payload::Noop);
        }
        node.hard_state.current_term = term.unwrap_or(node.log.last_term());
        let now = self.now;
        for action in self.node(id).drain(now) {
            self.perform(id, action);
        }
        self.sync(id);
    }

    /// One batch of inputs for one replica.
    pub(super) fn step(&mut self, id: Id, inputs: impl IntoIterator<Item = Input>) {
        let now = self.now;
        let committed = self.nodes.values().map(Node::commit_index).max().unwrap_or(0);
        let node = self.nodes.get_mut(&id).expect("a replica of this cluster");
        let before = describe(node);
        for input in inputs {
            if let Input::Read(read) = input {
                self.asked.insert(read, committed);
            }
            node.step(now, input);
        }
        let actions = node.drain(now);
        let after = describe(node);
        if before != after {
            self.say(format_args!("{} {after}", id.number()));
        }
        for action in actions {
            self.perform(id, action);
        }
        if !self.chunks.is_empty() {
            let chunks = std::mem::take(&mut self.chunks);
            self.step(id, chunks);
        }
        let checked = self.invariants.check(self.nodes.values());
        assert_eq!(checked, Ok(()), "after this:\n{}", self.transcript);
        if !self.slow_disks {
            self.sync(id);
        }
    }

    /// Puts all writes of this replica on its disk.
    pub(super) fn sync(&mut self, id: Id) {
        let disk = self.disks.entry(id).or_default();
        let mut inputs = Vec::new();
        for write in disk.unsynced.drain(..) {
            match write {
                Write::Persist(persist) => {
                    inputs.push(Input::Persisted(persist.number));
                    persist.apply_to(&mut disk.log);
                }
                Write::Compact(base) => disk.log.compact(base),
            }
        }
        if let Some(snapshot) = disk.receiving.take() {
            disk.snapshot = disk.snapshot.max(snapshot);
            inputs.push(Input::SnapshotReceived(snapshot));
        }
        if !inputs.is_empty() {
            self.step(id, inputs);
        }
    }

    /// This replica takes a snapshot of all that it has applied.
    pub(super) fn take_snapshot(&mut self, id: Id) {
        let node = &self.nodes[&id];
        let index = node.commit_index();
        let term = node.log().term_at(index).expect("the base is not behind the commit index");
        self.disks.entry(id).or_default().snapshot = EntryId { index, term };
        self.step(id, [Input::SnapshotTaken(index)]);
    }

    /// Stops this replica and starts it again from its disk.
    pub(super) fn restart(&mut self, id: Id) {
        let disk = self.disks.entry(id).or_default();
        disk.unsynced.clear();
        disk.receiving = None;
        disk.log.install(disk.snapshot);
        let snapshot = disk.log.snapshot;
        let rng = fastrand::Rng::with_seed(u64::from(id.number()) + self.now);
        let (configuration, saved) = (self.configuration.clone(), disk.log.clone());
        let node = Node::new(id, configuration, self.settings, rng, saved, self.now);
        self.invariants.restarted(id);
        self.applied.entry(id).or_default().truncate(snapshot.index as usize);
        self.say(format_args!("{} restarts and {}", id.number(), describe(&node)));
        self.nodes.insert(id, node);
    }

    fn perform(&mut self, from: Id, action: Action) {
        match action {
            Action::Persist(persist) => self.write(from, Write::Persist(persist)),
            Action::Compact(base) => {
                self.say(format_args!("{} compacts its log up to {base}", from.number()));
                self.write(from, Write::Compact(base));
            }
            Action::ReadSnapshot { to, snapshot, chunk } => self.read_snapshot(from, to, snapshot, chunk),
            Action::ReceiveSnapshot { snapshot, is_last, .. } => {
                self.disks.entry(from).or_default().receiving = Some(snapshot).filter(|_| is_last);
            }
            Action::InstallSnapshot(snapshot) => {
                self.say(format_args!("{} installs the snapshot {snapshot}", from.number()));
                self.applied.insert(from, self.snapshots[&snapshot].clone());
            }
            Action::Send { to, message } => {
                let lost = if self.blocked.contains(&(from, to)) { " (lost)" } else { "" };
                self.say(format_args!("{} → {} {message}{lost}", from.number(), to.number()));
                if lost.is_empty() {
                    self.network.push_back(Envelope { from, to, message });
                }
            }
            Action::Apply(entry) => {
                self.say(format_args!("{} applies {entry}", from.number()));
                self.applied.entry(from).or_default().push(entry);
            }
            Action::ReadReady(read) => {
                self.say(format_args!("{} serves read {read}", from.number()));
                let (needed, has) = (self.asked[&read], self.nodes[&from].commit_index());
                assert!(has >= needed, "{from} serves {read} without {needed}:\n{}", self.transcript);
            }
            Action::DropPending => self.say(format_args!("{} abandons what it was asked", from.number())),
        }
    }

    fn write(&mut self, id: Id, write: Write) {
        self.disks.entry(id).or_default().unsynced.push_back(write);
    }

    /// A snapshot has two chunks, and the harness keeps what they stand for.
    fn read_snapshot(&mut self, from: Id, to: Id, snapshot: EntryId, chunk: u64) {
        let applied = self.applied.entry(from).or_default();
        if chunk == 0 && applied.len() as Index == snapshot.index {
            let earlier = self.snapshots.entry(snapshot).or_insert_with(|| applied.clone());
            assert_eq!(earlier, applied, "two states at {snapshot}");
        }
        assert!(self.snapshots.contains_key(&snapshot), "{from} sends {snapshot}, which it never had");
        let (is_last, data) = (chunk == 1, vec![chunk as u8]);
        let chunk = SnapshotChunk { to, snapshot, chunk, is_last, data };
        self.chunks.push(Input::SnapshotChunk(chunk));
    }

    /// The leader of the latest term.
    #[cfg(test)]
    pub(super) fn leader(&self) -> Option<Id> {
        let leaders = self.nodes.values().filter(|node| node.is_leader());
        leaders.max_by_key(|node| node.hard_state.current_term).map(Node::id)
    }

    /// Delivers the message at this place in the queue.
    pub(super) fn deliver(&mut self, position: usize) {
        if let Some(Envelope { from, to, message }) = self.network.remove(position) {
            self.step(to, [Input::Receive { from, message }]);
        }
    }

    /// Delivers until no message is in flight.
    pub(super) fn stabilize(&mut self) {
        for _ in 0..NEVER_ENDS {
            if self.network.is_empty() {
                return;
            }
            self.deliver(0);
        }
        panic!("messages never end after this:\n{}", self.last_lines());
    }

    /// Lets time pass, with every timer in its order; messages stay where they are.
    pub(super) fn elapse(&mut self, span_us: Micros, deliver: bool) {
        let end = self.now + span_us;
        for _ in 0..NEVER_ENDS {
            let due = self.nodes.values().map(|node| (node.deadline(), node.id())).min();
            let Some((at, id)) = due.filter(|(at, _)| *at <= end) else {
                self.now = end;
                return;
            };
            self.now = self.now.max(at);
            self.step(id, [Input::Tick]);
            if deliver {
                self.stabilize();
            }
        }
        panic!("a timer is always due after this:\n{}", self.last_lines());
    }

    fn last_lines(&self) -> String {
        let lines: Vec<&str> = self.transcript.lines().collect();
        lines[lines.len().saturating_sub(100)..].join("\n")
    }

    /// Moves time to the deadline of this replica, and ticks it alone.
    pub(super) fn timeout(&mut self, id: Id) {
        self.now = self.now.max(self.node(id).deadline());
        self.step(id, [Input::Tick]);
    }

    /// Lets only replicas of one group hear each other. The replicas in no group are one more
    /// group.
    pub(super) fn partition(&mut self, groups: &[Vec<Id>]) {
        let named = |id: &Id| groups.iter().any(|group| group.contains(id));
        let together = |a: &Id, b: &Id| groups.iter().any(|group| group.contains(a) && group.contains(b));
        let pairs = self.nodes.keys().flat_map(|a| self.nodes.keys().map(move |b| (*a, *b)));
        self.blocked = pairs.filter(|(a, b)| (named(a) || named(b)) && !together(a, b)).collect();
        let blocked = &self.blocked;
        self.network.retain(|envelope| !blocked.contains(&(envelope.from, envelope.to)));
    }

    /// The transcript since the last call, one line per event.
    pub(super) fn take_transcript(&mut self) -> String {
        std::mem::take(&mut self.transcript)
    }

    fn say(&mut self, line: std::fmt::Arguments<'_>) {
        writeln!(self.transcript, "{line}").expect("a string takes everything");
    }
}

/// A write.
pub(super) fn put(key: &str, value: &str) -> Input {
    Input::Propose(Put { key: key.into(), value: value.into() })
}

pub(super) fn describe_log(node: &Node) -> String {
    let entry = |entry: &Entry| match entry.index {
        index if index == node.commit_index => format!("{entry}]"),
        _ => entry.to_string(),
    };
    let base = Some(node.log.base()).filter(|base| base.index > 0);
    let base = base.map_or(String::new(), |base| format!("({base}) "));
    let open = match node.commit_index {
        0 => "[] ",
        index if index == node.log.base().index => "[] ",
        _ => "[",
    };
    let entries: Vec<String> = node.log.entries().iter().map(entry).collect();
    format!("{base}{open}{}", entries.join(" "))
}
