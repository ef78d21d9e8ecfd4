//! Facts from outside of a connection that some replies need. The caller knows them: the clock, the
//! cluster, the other connections.

use crate::bytes::Bytes;

/// The version of Redis that clients are told: the first with all that they look for.
pub const REDIS_VERSION: &str = "7.2.0";

/// The surroundings of a connection.
pub trait Facts {
    /// The wall clock, in microseconds since 1970.
    fn now_us(&self) -> i64;

    /// A number that no client can foresee.
    fn random(&mut self) -> u64;

    /// All replicas, this one included.
    fn members(&self) -> Vec<Member>;

    /// The sections of INFO, each with its name and its lines.
    fn info(&self) -> Vec<Section>;

    /// The settings, by the names that Redis gives them where it has one: lower case.
    fn configuration(&self) -> Vec<(String, String)>;

    /// The other connections of this replica.
    fn others(&self) -> Vec<Description>;

    /// Whether there is memory for another command on keys of this connection.
    fn has_memory(&self) -> bool {
        true
    }

    /// Whether the store has no memory for commands that could need more, as far as this replica knows.
    fn is_full(&self) -> bool {
        false
    }

    /// A command has its reply. The connection ran it at `since_us` of [`now_us`](Self::now_us).
    fn note_reply(&mut self, _command: &'static str, _since_us: i64) {}
}

/// A replica, as this replica knows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Member {
    /// Its ID.
    pub id: String,
    /// The host of its port for Redis clients.
    pub host: String,
    /// That port.
    pub port: u16,
    /// The index of the last entry that it has applied.
    pub applied: u64,
    /// Whether it is the leader.
    pub leads: bool,
    /// Whether it answers.
    pub is_up: bool,
    /// Whether it is the replica that this connection leads to.
    pub is_own: bool,
}

/// One section of INFO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// Its name, like `Server`.
    pub name: &'static str,
    /// Keys and values.
    pub lines: Vec<(String, String)>,
}

/// A connection, as CLIENT LIST shows it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Description {
    /// Its ID.
    pub id: u64,
    /// The address of the client.
    pub address: String,
    /// The address of the replica.
    pub local_address: String,
    /// The name that the client gave it.
    pub name: Bytes,
    /// The library that the client uses.
    pub library: Bytes,
    /// The version of that library.
    pub library_version: Bytes,
    /// Seconds since it was opened.
    pub age_s: i64,
    /// Seconds since its last command.
    pub idle_s: i64,
    /// Commands that wait for EXEC; `None` without MULTI.
    pub queued: Option<usize>,
    /// Bytes that have arrived and are no command yet.
    pub waiting_bytes: usize,
    /// Bytes that the client has not taken yet.
    pub output_bytes: usize,
    /// The last command.
    pub command: &'static str,
    /// The version of the protocol.
    pub protocol: u8,
    /// Whether the client reads this replica's own state.
    pub reads_locally: bool,
    /// Whether it closes after its last reply.
    pub closes: bool,
    /// The channels that the client has subscribed to.
    pub channels: usize,
    /// The patterns of channels that it has subscribed to.
    pub patterns: usize,
}

impl Description {
    /// The line of CLIENT LIST. Facts that only Redis has are left out or zero.
    pub fn line(&self) -> String {
        let flags = self.flags();
        let queued = self.queued.map_or(-1, |queued| queued as i64);
        let command = if self.command.is_empty() { "NULL" } else { self.command };
        format!(
            "id={} addr={} laddr={} fd=-1 name={} age={} idle={} flags={flags} db=0 sub={} psub={} ssub=0 \
             multi={queued} qbuf={} qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl={} oll=0 omem=0 \
             tot-mem=0 events=r cmd={command} user=default redir=-1 resp={} lib-name={} lib-ver={}\n",
            self.id,
            self.address,
            self.local_address,
            self.name.to_text(),
            self.age_s,
            self.idle_s,
            self.channels,
            self.patterns,
            self.waiting_bytes,
            self.output_bytes,
            self.protocol,
            self.library.to_text(),
            self.library_version.to_text(),
        )
    }

    fn flags(&self) -> String {
        let flags = [
            (self.channels + self.patterns > 0, 'P'),
            (self.reads_locally, 'r'),
            (self.queued.is_some(), 'x'),
            (self.closes, 'c'),
        ];
        let flags: String = flags.iter().filter_map(|(is_set, flag)| is_set.then_some(flag)).collect();
        if flags.is_empty() { "N".to_owned() } else { flags }
    }
}
