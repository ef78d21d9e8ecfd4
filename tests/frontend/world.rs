//! Connections with a state machine behind them, which answers each ask at once.

use std::collections::BTreeMap;

use kvstore::command::{Command, Proposal};
use kvstore::frontend::redis::ask::Ask;
use kvstore::frontend::redis::connection::{Connection, Ends, Settings};
use kvstore::frontend::redis::facts::{Description, Facts, Member, Section};
use kvstore::operation::UnixMillis;
use kvstore::reply::{Refusal, Reply};
use kvstore::request::Outcome;
use kvstore::state_machine::{Settings as MachineSettings, StateMachine};

/// The limit of values, for this state machine and for Redis.
pub const MAX_VALUE_BYTES: usize = 1 << 20;

/// A cluster of three replicas in which this one leads.
#[derive(Default)]
pub struct World {
    pub machine: StateMachine,
    pub index: u64,
    pub connections: BTreeMap<u64, Connection>,
    pub surroundings: Surroundings,
    pub settings: Settings,
    pub is_full: bool, // the leader
}

/// Facts that do not change by themselves.
pub struct Surroundings {
    pub now_ms: UnixMillis,
    pub random: u64,
    pub leader: Option<usize>,
    pub others: Vec<Description>,
    pub is_full: bool,
    pub lacks_memory: bool, // for the buffers of connections
}

impl Default for Surroundings {
    fn default() -> Self {
        let (now_ms, leader) = (1_700_000_000_123, Some(0));
        Self { now_ms, random: 0, leader, others: Vec::new(), is_full: false, lacks_memory: false }
    }
}

impl Facts for Surroundings {
    fn now_us(&self) -> i64 {
        self.now_ms * 1_000
    }

    fn random(&mut self) -> u64 {
        self.random
    }

    fn members(&self) -> Vec<Member> {
        let member = |number: usize| Member {
            id: format!("000{number}"),
            host: format!("10.0.0.{number}"),
            port: 6_379,
            applied: 40 + number as u64,
            leads: self.leader == Some(number),
            is_up: number < 2,
            is_own: number == 0,
        };
        (0..3).map(member).collect()
    }

    fn info(&self) -> Vec<Section> {
        let line = |key: &str, value: &str| vec![(key.to_string(), value.to_string())];
        vec![
            Section { name: "Server", lines: line("redis_mode", "standalone") },
            Section { name: "Replication", lines: line("role", "master") },
        ]
    }

    fn configuration(&self) -> Vec<(String, String)> {
        let pairs = [("save", ""), ("appendonly", "yes"), ("maxmemory", "0")];
        pairs.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
    }

    fn others(&self) -> Vec<Description> {
        self.others.clone()
    }

    fn has_memory(&self) -> bool {
        !self.lacks_memory
    }

    fn is_full(&self) -> bool {
        self.is_full
    }
}

impl World {
    pub fn new(settings: Settings) -> Self {
        let limits = MachineSettings { max_value_bytes: MAX_VALUE_BYTES, ..MachineSettings::default() };
        Self { machine: StateMachine::new(limits), settings, ..Self::default() }
    }

    /// A connection, which is opened when it is first used.
    pub fn connection(&mut self, id: u64) -> &mut Connection {
        let Self { settings, surroundings, .. } = self;
        let ends = Ends { id, address: format!("10.0.1.1:{id}"), local_address: "10.0.0.0:6379".to_string() };
        self.connections
            .entry(id)
            .or_insert_with(|| Connection::new(ends, settings.clone(), surroundings.now_us()))
    }

    /// Gives bytes to a connection, answers its asks, and returns its output.
    pub fn send(&mut self, id: u64, bytes: &[u8]) -> Vec<u8> {
        let mut output = Vec::new();
        self.connection(id);
        let Some(mut connection) = self.connections.remove(&id) else { return output };
        connection.receive(bytes, &mut self.surroundings);
        loop {
            let asks = connection.take_asks();
            let is_idle = asks.is_empty() && connection.output().is_empty();
            for ask in asks {
                let outcome = self.apply(&ask);
                connection.answer(ask.ticket, outcome, &mut self.surroundings);
            }
            output.extend_from_slice(connection.output());
            connection.sent(connection.output().len(), &mut self.surroundings);
            if is_idle {
                break;
            }
        }
        self.connections.insert(id, connection);
        output
    }

    /// The outcome of an ask.
    pub fn apply(&mut self, ask: &Ask) -> Outcome {
        let now = self.surroundings.now_ms;
        if self.is_full && ask.command.may_grow() {
            return Outcome::Done(Reply::Error(Refusal::OutOfMemory));
        }
        if let Command::One(operation) = &ask.command
            && let Some(reply) = self.machine.read(now, operation)
        {
            return Outcome::Done(reply);
        }
        Outcome::Done(self.write(ask.command.clone(), ask))
    }

    fn write(&mut self, command: Command, ask: &Ask) -> Reply {
        self.index += 1;
        let proposal = Proposal { at: self.surroundings.now_ms, request: ask.request.clone(), command };
        self.machine.apply(self.index, &proposal)
    }
}

/// A request as an array of bulk strings.
pub fn request(words: &[impl AsRef<[u8]>]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend(format!("${}\r\n", word.as_ref().len()).bytes());
        bytes.extend(word.as_ref());
        bytes.extend(b"\r\n");
    }
    bytes
}

/// The words of a line, as the front end splits it.
pub fn words(line: &str) -> Vec<Vec<u8>> {
    let words = kvstore::frontend::redis::inline::split(line.as_bytes()).expect("no open quotes");
    words.iter().map(|word| word.to_vec()).collect()
}
