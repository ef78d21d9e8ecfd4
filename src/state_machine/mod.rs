//! The replicated state machine: keys with values, deadlines and revisions, and a session per
//! client. Every replica applies the same log to it and reaches the same state.
//!
//! # Operations
//!
//! An operation means what the command of Redis 7 means, with the same replies, limits and oddities
//! ([`operation`](crate::operation)). A command is one operation or a batch, and takes effect at one
//! index of the log. An operation that is refused changes nothing; in a batch the others still take
//! effect, as in Redis.
//!
//! # Time is data
//!
//! A leader writes its clock into each proposal. The time of the state machine is the greatest that
//! it has seen, so it never goes back, whatever the clocks of later leaders show. A key has expired
//! when the time has reached its deadline. From then on no operation finds it, though it stays in
//! memory until a write or a watch names it, or an entry of the leader removes it
//! ([`Operation::RemoveExpired`]).
//!
//! ```text
//! entry             1: set a, 5 s      2: get b         3: get a           4: remove expired
//! proposed at       100.0              104.9            105.2              105.2
//! time after it     100.0              104.9            105.2              105.2
//! a                 until 105.0                         has expired        is removed
//! ```
//!
//! A leader serves most reads without an entry. If its clock is past a deadline that the time has
//! not reached, the answer depends on the clock, and another leader might answer otherwise. So
//! [`read`](StateMachine::read) returns nothing, and the leader proposes the operation instead. The
//! entry moves the time, and all later leaders agree that the key has expired.
//!
//! # Revisions
//!
//! The revision of a key is the index of the entry that changed it last. To delete a key changes
//! it, so a key that comes back has a greater revision. For keys that do not exist, a table keeps
//! the latest deletions, and one bound stands for all older ones. A batch may watch keys: it takes
//! effect only if none of them has changed after a given index. That is checked when the batch is
//! applied.
//!
//! # Sessions
//!
//! A client's session remembers its requests and their replies, so each takes effect at most once,
//! however often it stands in the log (`session`). A read changes nothing, so sessions do not know
//! reads.
//!
//! # Costs
//!
//! A copy takes constant time, and shares all parts that neither side changes. No entry takes longer
//! than some milliseconds, however many keys there are: work on many keys is done in steps. An
//! exception is a batch that adds to many decimal numbers of thousands of digits: 0.15 ms for each.
//!
//! | file | job |
//! |---|---|
//! | `settings` | the limits, which are the same on all replicas |
//! | `keys` | the map from keys to values |
//! | `deadlines` | the deadlines in their order, and the time |
//! | `counts` | how many deadlines lie in a span of time |
//! | `trash` | frees the memory of all keys gradually after a flush |
//! | `revisions` | when keys were deleted |
//! | `reads` | the reads, except for a scan |
//! | `scan` | some keys after a cursor |
//! | `glob` | the patterns of a scan |
//! | `set` | sets keys if a condition holds, and deletes them |
//! | `strings` | changes a value: numbers, and parts of texts |
//! | `float` | decimal numbers, added as Redis does |
//! | `expiry` | changes deadlines, and removes expired keys |
//! | `snapshot` | the state as a stream of bytes, and back |
//! | `chunk` | some requests that one client made in a row |
//! | `session` | the requests of one client that were done |
//! | `sessions` | the sessions of all clients, and how they expire |

mod chunk;
mod counts;
mod deadlines;
mod expiry;
mod float;
pub(crate) mod glob;
mod keys;
mod reads;
mod revisions;
mod scan;
mod session;
mod sessions;
mod set;
mod settings;
pub mod snapshot;
mod strings;
mod trash;

use std::ops::Bound;

use imbl::OrdMap;

use crate::bytes::Bytes;
use crate::command::{Batch, Command, MAX_BATCH, Proposal};
use crate::operation::{Operation, Revision, UnixMillis};
use crate::reply::{Refusal, Reply};
use crate::request::RequestId;

use keys::{Keys, Value, Wanted};
use revisions::Deletions;
use session::Request;
use sessions::Sessions;

pub use expiry::MAX_REMOVED;
pub use session::{NAMES_WINDOW, SESSION_WINDOW};
pub use settings::{SessionLimits, Settings};
pub use trash::Remains;

/// The state that every replica reaches by applying the same log. A clone is cheap and independent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StateMachine {
    settings: Settings,
    applied: Revision, // the index of the last entry; never decreases
    keys: Keys,
    deletions: Deletions,
    sessions: Sessions,
}

impl StateMachine {
    /// The state before the first entry.
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Its limits.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Applies a committed proposal, and returns the reply to its client. A request that is not new
    /// changes no key, and is answered from its session.
    pub fn apply(&mut self, index: u64, proposal: &Proposal) -> Reply {
        debug_assert!(index > self.applied);
        self.applied = index;
        self.keys.advance(proposal.at);
        let command = &proposal.command;
        let Some(id) = proposal.request.as_ref().filter(|_| !command.is_read()) else {
            return self.execute(command);
        };
        let request = Request::of(id, command);
        if let Some(reply) = self.sessions.admit(index, id.client, &request, &self.settings.sessions) {
            return reply;
        }
        let reply = self.execute(command);
        self.sessions.record(id.client, &request, &reply, &self.settings.sessions);
        reply
    }

    /// The reply to an operation that changes nothing, at this time of a leader's clock. `None` if
    /// the leader must propose the operation: it is no read, or it would find that a key has expired
    /// at a time that no entry has.
    pub fn read(&self, now: UnixMillis, operation: &Operation) -> Option<Reply> {
        self.answer(now.max(self.time()), operation)
    }

    /// The reply to a request that was done or refused before; `None` if it is new, or a read, or if
    /// its refusal must stand in the log.
    pub fn remembered(&self, id: &RequestId, command: &Command) -> Option<Reply> {
        if command.is_read() {
            return None;
        }
        self.sessions.remembered(id.client, &Request::of(id, command))
    }

    /// Whether a key that exists has expired by `now`, and no entry says so.
    pub fn expires_by(&self, now: UnixMillis) -> bool {
        self.keys.deadlines().any_until(now)
    }

    /// The earliest deadline of a key, which may have passed.
    pub fn next_deadline(&self) -> Option<UnixMillis> {
        self.keys.deadlines().first()
    }

    /// The time: the greatest that an entry was proposed at.
    pub fn time(&self) -> UnixMillis {
        self.keys.deadlines().time()
    }

    /// How many keys there are that have not expired.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// About how much memory the keys and values take: their bytes, and 160 for each key. Replicas that
    /// have applied the same entries count the same. Sessions and deletions do not count.
    pub fn data_bytes(&self) -> usize {
        self.keys.memory_bytes()
    }

    /// The index of the last entry that was applied.
    pub fn applied(&self) -> Revision {
        self.applied
    }

    /// Takes a state machine that is no longer needed, to give its memory back by and by. To drop one
    /// with a million keys takes a few hundred milliseconds.
    pub fn discard(&mut self, other: Self) {
        self.keys.discard(other.into_remains());
    }

    /// The memory of a state machine that is no longer needed, for a thread with time to free it.
    pub fn into_remains(self) -> Remains {
        let Self { keys, deletions, sessions, .. } = self;
        keys.into_remains(deletions, sessions)
    }

    /// How many sessions there are, and how many bytes they take, about.
    pub fn sessions(&self) -> (usize, usize) {
        self.sessions.size()
    }

    fn execute(&mut self, command: &Command) -> Reply {
        match command {
            Command::One(operation) => self.operate(operation),
            Command::Batch(Batch { watches, operations }) => {
                debug_assert!(watches.len() + operations.len() <= 2 * MAX_BATCH);
                for watch in watches {
                    self.remove_if_expired(&watch.key);
                    if self.revision(&watch.key) > watch.unchanged_since {
                        return Reply::Nil;
                    }
                }
                Reply::Array(operations.iter().map(|operation| self.operate(operation)).collect())
            }
        }
    }

    fn operate(&mut self, operation: &Operation) -> Reply {
        if let Some(reply) = self.answer(self.time(), operation) {
            return reply;
        }
        if self.keys.deadlines().passed() > 0 {
            operation.keys().into_iter().for_each(|key| self.remove_if_expired(key));
        }
        self.change(operation).unwrap_or_else(Reply::Error)
    }

    /// Applies an operation that is no read. The keys that it names have not expired, or do not
    /// exist.
    fn change(&mut self, operation: &Operation) -> Result<Reply, Refusal> {
        match operation {
            Operation::Set(set) => self.set(set),
            Operation::SetMany { pairs, if_absent } => self.set_many(pairs, *if_absent),
            Operation::GetDelete { key } => Ok(self.get_delete(key)),
            Operation::GetExpire { key, expiry } => self.get_expire(key, *expiry),
            Operation::Delete { keys } => Ok(self.delete(keys)),
            Operation::DeleteIfEqual { key, value } => Ok(self.delete_if_equal(key, value)),
            Operation::Increment { key, by } => self.increment(key, *by),
            Operation::IncrementFloat { key, by } => self.increment_float(key, by),
            Operation::Append { key, value } => self.append(key, value),
            Operation::SetRange { key, offset, value } => self.set_range(key, *offset, value),
            Operation::Expire { key, deadline, condition } => self.expire(key, *deadline, *condition),
            Operation::Persist { key } => Ok(self.persist(key)),
            Operation::Flush => Ok(self.flush()),
            Operation::RemoveExpired { limit } => Ok(self.remove_expired(*limit)),
            Operation::Get { .. }
            | Operation::GetMany { .. }
            | Operation::GetRange { .. }
            | Operation::Strlen { .. }
            | Operation::Exists { .. }
            | Operation::Type { .. }
            | Operation::TimeToLive { .. }
            | Operation::Deadline { .. }
            | Operation::Revision { .. }
            | Operation::GetWithRevision { .. }
            | Operation::Count
            | Operation::Scan { .. } => unreachable!("at the state machine's time a read has an answer"),
        }
    }

    /// The index of the entry that changed a key last, or a later one if that is forgotten.
    fn revision(&self, key: &Bytes) -> Revision {
        let wanted = Wanted::of(key);
        match self.keys.get(wanted) {
            Some(value) => value.revision,
            None => self.deletions.last(wanted.digest),
        }
    }

    fn remove_if_expired(&mut self, key: &Bytes) {
        if self.keys.deadlines().passed() == 0 {
            return;
        }
        let wanted = Wanted::of(key);
        if self.keys.get(wanted).is_some_and(|value| value.deadline.is_some_and(|at| at <= self.time())) {
            self.remove(wanted);
        }
    }

    /// Deletes a key, and returns what it had.
    fn remove(&mut self, wanted: Wanted<'_>) -> Option<Value> {
        let value = self.keys.remove(wanted)?;
        self.deletions.add(wanted.digest, self.applied, self.settings.deletions);
        Some(value)
    }

    /// Sets a key in this entry.
    fn put(&mut self, wanted: Wanted<'_>, bytes: Bytes, deadline: Option<UnixMillis>) {
        self.keys.insert(wanted, Value { bytes, deadline, revision: self.applied });
    }

    fn check_len(&self, len: usize) -> Result<(), Refusal> {
        if len > self.settings.max_value_bytes { Err(Refusal::TooLong) } else { Ok(()) }
    }
}

/// The elements of a map after this key; all of them without one.
fn after<'a, K: Ord, V>(
    map: &'a OrdMap<K, V>,
    key: Option<&K>,
) -> impl Iterator<Item = (&'a K, &'a V)> + use<'a, K, V> {
    map.range::<_, K>((key.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded))
}

#[cfg(test)]
mod tests;
