//! The operations of clients beside plain puts and gets: how a planned request becomes a command.
//!
//! | keys | operations | judged by |
//! |---|---|---|
//! | `register-0`, ... | put, compare-and-set, and more with a deadline | the history |
//! | `counter-0`, ... | increment | the history |
//! | `text-0`, ... | append | the history |
//! | `any-0`, ... | all that there are | the invariants |
//! | `lock-0`, `work-0`, ... | locks ([`locks`]) | the history, and a rule of its own |
//!
//! Gets and deletes ask for keys of each of the first three kinds that are written. The rules for
//! these, without deadlines and transactions, are those of `run.py` (`simulator/operations.py`).

use std::collections::BTreeMap;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use super::{all_operations, locks};
use crate::bytes::Bytes;
use crate::command::{Batch, Command, Watch};
use crate::operation::{Condition, Deadline, Expiry, Operation, Revision, Set};
use crate::reply::Reply;

/// The number of keys of a kind, unless the workload says it.
const KEYS_OF_A_KIND: usize = 3;

/// The greatest number that an increment adds.
const GREATEST_INCREMENT: i64 = 999_999;

/// A client deletes a text of this length instead of growing it, so that it fits into a message.
pub(super) const LONG_TEXT: usize = 256;

/// Shares of the operations. Without any, clients put and get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Operations {
    /// The share of compare-and-sets among the writes. The rest of the writes are puts.
    pub cas: f64,
    /// The share of increments among the writes.
    pub increment: f64,
    /// The share of appends among the writes.
    pub append: f64,
    /// The share of deletes among the writes.
    pub delete: f64,
    /// The share of puts and deletes that set, keep or clear deadlines instead, or get and delete at
    /// once.
    pub deadlines: f64,
    /// The share of transactions among all requests: a client reads a revision, and then sends a
    /// batch that watches the key.
    pub transactions: f64,
    /// The share of requests for locks among all requests.
    pub locks: f64,
    /// The share of requests that are drawn of all operations, with keys of their own. If it is 1,
    /// clients sometimes delete all keys.
    pub all: f64,
}

impl Operations {
    /// Whether there are any.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Whether the shares make sense.
    pub fn is_sane(&self) -> bool {
        let Self { cas, increment, append, delete, deadlines, transactions, locks, all } = *self;
        let writes = [cas, increment, append, delete];
        let requests = [transactions, locks, all];
        let shares = [deadlines, writes.iter().sum(), requests.iter().sum()];
        let mut each = writes.iter().chain(&requests);
        each.all(|share| (0.0..=1.0).contains(share))
            // The sum of shares such as 0.1 may exceed 1 by the error of binary fractions.
            && shares.iter().all(|share| (0.0..=1.0 + 1e-9).contains(share))
    }
}

/// The purpose of a request, which decides what its client does after the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A request by itself.
    Alone,
    /// The client reads the revision of a key, and perhaps its value. A batch that watches the key
    /// follows.
    Look {
        /// The key.
        key: Bytes,
        /// Decides the batch.
        seed: u64,
    },
    /// The batch, with the value that the key had if the client knows it.
    Transact {
        /// The value; none if there was no such key.
        seen: Option<Option<Bytes>>,
    },
    /// A step of a client that wants or holds a lock.
    Lock(locks::Step),
}

/// A command to be sent, and its purpose. Each attempt replaces values that are empty by one that
/// names the attempt.
#[derive(Clone, Debug)]
pub(super) struct Task {
    pub(super) command: Command,
    pub(super) step: Step,
}

impl From<Operation> for Task {
    fn from(operation: Operation) -> Self {
        Self { command: operation.into(), step: Step::Alone }
    }
}

/// The values of keys in the last answers to a client.
#[derive(Debug, Default)]
pub(super) struct Known {
    values: BTreeMap<Bytes, Bytes>, // empty: there is no such key
    lengths: BTreeMap<Bytes, usize>,
}

impl Known {
    /// Takes in an answer.
    pub(super) fn learn(&mut self, command: &Command, reply: &Reply) {
        match (command, reply) {
            (Command::One(operation), reply) => self.learn_one(operation, reply),
            (Command::Batch(batch), Reply::Array(replies)) => {
                let results = batch.operations.iter().zip(replies);
                results.for_each(|(operation, reply)| self.learn_one(operation, reply));
            }
            _ => {}
        }
    }

    fn learn_one(&mut self, operation: &Operation, reply: &Reply) {
        match (operation, reply) {
            (Operation::Append { key, .. } | Operation::SetRange { key, .. }, Reply::Integer(length)) => {
                self.lengths.insert(key.clone(), usize::try_from(*length).unwrap_or(0));
            }
            (Operation::Get { key } | Operation::GetExpire { key, .. }, Reply::Bytes(value)) => {
                self.set(key, value);
            }
            (Operation::Set(set), Reply::Ok) => self.set(&set.key, &set.value),
            (Operation::Get { key } | Operation::GetDelete { key }, _) => self.set(key, &Bytes::default()),
            (Operation::Delete { keys }, _) => keys.iter().for_each(|key| self.set(key, &Bytes::default())),
            _ => {}
        }
    }

    fn set(&mut self, key: &Bytes, value: &Bytes) {
        self.lengths.insert(key.clone(), value.len());
        self.values.insert(key.clone(), value.clone());
    }

    /// The value of a key, if the client knows one.
    pub(super) fn value(&self, key: &Bytes) -> Option<&Bytes> {
        self.values.get(key).filter(|value| !value.is_empty())
    }

    /// Whether a key has a text that should not grow.
    pub(super) fn is_long(&self, key: &Bytes) -> bool {
        self.lengths.get(key).is_some_and(|length| *length >= LONG_TEXT)
    }
}

/// Draws the requests of a workload.
#[derive(Debug)]
pub(super) struct Draw<'a> {
    pub(super) shares: Operations,
    pub(super) gets: f64,
    /// Number of keys of each kind; 0 stands for the default.
    pub(super) keys: usize,
    /// The last answers to this client, and those to any client.
    pub(super) known: [&'a Known; 2],
    pub(super) rng: Rng,
}

impl Draw<'_> {
    /// The task of a client that knows so much by now.
    pub(super) fn task(&mut self) -> Task {
        let Operations { transactions, locks, all, .. } = self.shares;
        let choice = self.rng.f64();
        if choice < transactions {
            return self.look();
        }
        if choice < transactions + locks {
            return locks::acquire(&mut self.rng);
        }
        if choice < transactions + locks + all {
            let has_flush = all >= 1.0;
            return all_operations::draw(&mut self.rng, self.known[1], has_flush);
        }
        if self.rng.f64() < self.gets {
            return Operation::get(self.written()).into();
        }
        self.write().into()
    }

    fn key(&mut self, kind: &str) -> Bytes {
        let keys = if self.keys == 0 { KEYS_OF_A_KIND } else { self.keys };
        format!("{kind}-{}", self.rng.usize(0..keys)).into()
    }

    /// A key of any kind that the workload writes.
    fn written(&mut self) -> Bytes {
        let Operations { cas, increment, append, delete, .. } = self.shares;
        let puts = 1.0 - cas - increment - append - delete;
        let mut kinds = Vec::new();
        if cas > 0.0 || puts > 1e-9 || (increment == 0.0 && append == 0.0) {
            kinds.push("register");
        }
        if increment > 0.0 {
            kinds.push("counter");
        }
        if append > 0.0 {
            kinds.push("text");
        }
        let kind = kinds[self.rng.usize(0..kinds.len())];
        self.key(kind)
    }

    fn write(&mut self) -> Operation {
        let Operations { cas, increment, append, delete, deadlines, .. } = self.shares;
        let choice = self.rng.f64();
        if choice < increment {
            let key = self.key("counter");
            return Operation::Increment { key, by: self.rng.i64(1..=GREATEST_INCREMENT) };
        }
        if choice < increment + append {
            let key = self.key("text");
            return match self.known[1].is_long(&key) {
                true => Operation::Delete { keys: vec![key] },
                false => Operation::Append { key, value: Bytes::default() },
            };
        }
        if choice < increment + append + cas {
            return self.compare_and_set();
        }
        if deadlines > 0.0 && self.rng.f64() < deadlines {
            return self.with_deadline();
        }
        if choice < increment + append + cas + delete {
            return Operation::Delete { keys: vec![self.written()] };
        }
        Operation::set(self.key("register"), "")
    }

    /// The value that a client believes a key to have: the last one that it has learned, or the last
    /// one that any client has learned.
    fn believed(&mut self, key: &Bytes) -> Option<Bytes> {
        self.known[usize::from(self.rng.bool())].value(key).cloned()
    }

    /// A client without a value to compare with sets the register.
    fn compare_and_set(&mut self) -> Operation {
        let key = self.key("register");
        let condition = self.believed(&key).map(Condition::Equal);
        Operation::Set(Set { condition, ..Set::new(key, "") })
    }

    /// An operation that the judge knows, beside those of `run.py`.
    fn with_deadline(&mut self) -> Operation {
        let key = self.written();
        let after = Deadline::After(lifetime_ms(&mut self.rng));
        match self.rng.u8(0..9) {
            0 | 1 => Operation::Set(Set { expiry: Expiry::Set(after), ..Set::new(self.key("register"), "") }),
            2 => {
                let set = Set::new(self.key("register"), "");
                Operation::Set(Set { expiry: Expiry::Keep, condition: Some(Condition::Present), ..set })
            }
            3 => {
                let set = Set::new(self.key("register"), "");
                Operation::Set(Set { expiry: Expiry::Set(after), condition: Some(Condition::Absent), ..set })
            }
            4 => Operation::Expire { key, deadline: after, condition: None },
            5 => Operation::Persist { key },
            6 => Operation::GetDelete { key },
            7 => Operation::GetExpire { key, expiry: Expiry::Set(after) },
            _ => {
                let value = self.believed(&key).unwrap_or_else(|| "none".into());
                Operation::DeleteIfEqual { key, value }
            }
        }
    }

    /// Reads the revision of a key, in half of the cases with its value at the same moment.
    fn look(&mut self) -> Task {
        let key = self.written();
        let seed = self.rng.u64(..);
        let revision = Operation::Revision { key: key.clone() };
        let command = match self.rng.bool() {
            true => Command::One(revision),
            false => {
                let operations = vec![revision, Operation::get(key.clone())];
                Command::Batch(Batch { watches: Vec::new(), operations })
            }
        };
        Task { command, step: Step::Look { key, seed } }
    }

    /// A batch that watches a key, after the client looked at it.
    pub(super) fn transaction(
        &mut self,
        key: Bytes,
        revision: Revision,
        seen: Option<Option<Bytes>>,
    ) -> Task {
        let mut operations = vec![Operation::set(self.key("register"), "")];
        if self.rng.bool() {
            // A text is no number, so this is refused. The others take effect all the same.
            let key = self.written();
            operations.push(Operation::Increment { key, by: 1 });
        }
        operations.push(self.write());
        if self.rng.bool() {
            operations.push(Operation::get(self.written()));
        }
        let watches = vec![Watch { key, unchanged_since: revision }];
        Task { command: Command::Batch(Batch { watches, operations }), step: Step::Transact { seen } }
    }
}

/// The revision in the answer to a look, and the value that the key had if the client asked.
pub(super) fn seen(reply: &Reply) -> Option<(Revision, Option<Option<Bytes>>)> {
    let revision = |reply: &Reply| match reply {
        Reply::Integer(revision) => Revision::try_from(*revision).ok(),
        _ => None,
    };
    match reply {
        Reply::Array(replies) => match replies.as_slice() {
            [first, Reply::Bytes(value)] => Some((revision(first)?, Some(Some(value.clone())))),
            [first, Reply::Nil] => Some((revision(first)?, Some(None))),
            _ => None,
        },
        reply => Some((revision(reply)?, None)),
    }
}

/// A time to live: some pass within an election, some during the run, some never.
pub(super) fn lifetime_ms(rng: &mut Rng) -> i64 {
    match rng.u8(0..5) {
        0 | 1 => rng.i64(1..300),
        2 | 3 => rng.i64(300..3_000),
        _ => 60_000,
    }
}

/// Replaces all values that are empty by this one.
pub(super) fn stamp(command: &mut Command, value: &Bytes) {
    let operations = match command {
        Command::One(operation) => std::slice::from_mut(operation),
        Command::Batch(batch) => batch.operations.as_mut_slice(),
    };
    for operation in operations {
        match operation {
            Operation::Set(Set { value: empty, .. })
            | Operation::Append { value: empty, .. }
            | Operation::SetRange { value: empty, .. }
                if empty.is_empty() =>
            {
                *empty = value.clone();
            }
            Operation::SetMany { pairs, .. } => {
                let empty = pairs.iter_mut().filter(|(_, value)| value.is_empty());
                empty.for_each(|(_, empty)| *empty = value.clone());
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(shares: Operations, gets: f64, seeds: u64) -> Vec<Task> {
        let known = Known::default();
        let draw =
            |seed| Draw { shares, gets, keys: 0, known: [&known; 2], rng: Rng::with_seed(seed) }.task();
        (0..seeds).map(draw).collect()
    }

    fn count(tasks: &[Task], is: impl Fn(&Operation) -> bool) -> usize {
        tasks.iter().filter(|task| is(&task.command.operations()[0])).count()
    }

    #[test]
    fn shares_are_those_of_the_writes() {
        let shares = Operations { increment: 0.3, append: 0.2, delete: 0.1, ..Operations::default() };
        let tasks = draw(shares, 0.5, 10_000);
        let near = |found: usize, expected: usize| found.abs_diff(expected) < 200;
        assert!(near(count(&tasks, |operation| matches!(operation, Operation::Get { .. })), 5_000));
        assert!(near(count(&tasks, |operation| matches!(operation, Operation::Increment { .. })), 1_500));
        assert!(near(count(&tasks, |operation| matches!(operation, Operation::Append { .. })), 1_000));
        assert!(near(count(&tasks, |operation| matches!(operation, Operation::Delete { .. })), 500));
        assert!(near(count(&tasks, |operation| matches!(operation, Operation::Set(_))), 2_000));
    }

    #[test]
    fn no_request_asks_for_a_kind_of_key_that_is_never_written() {
        let keys = |shares: Operations| {
            let tasks = draw(shares, 0.5, 300);
            let keys = tasks.iter().flat_map(|task| task.command.operations()[0].keys());
            keys.map(|key| key.to_text().split('-').next().unwrap_or_default().to_owned())
                .collect::<std::collections::BTreeSet<_>>()
        };
        let only = Operations::default();
        assert_eq!(keys(Operations { increment: 1.0, ..only }), ["counter".to_owned()].into());
        assert_eq!(keys(Operations { cas: 1.0, ..only }), ["register".to_owned()].into());
        assert_eq!(keys(Operations { delete: 1.0, ..only }), ["register".to_owned()].into());
        let both = ["counter".to_owned(), "text".to_owned()].into();
        assert_eq!(keys(Operations { increment: 0.5, append: 0.5, ..only }), both);
    }

    #[test]
    fn client_compares_with_the_value_that_it_got_last_and_deletes_long_texts() {
        let mut known = Known::default();
        for key in ["register-0", "register-1", "register-2"] {
            known.learn(&Operation::get(key).into(), &Reply::Bytes("old".into()));
        }
        for key in ["text-0", "text-1", "text-2"] {
            let append = Operation::Append { key: key.into(), value: "x".into() };
            known.learn(&append.into(), &Reply::Integer(LONG_TEXT as i64));
        }
        let shares = Operations { cas: 0.5, append: 0.5, ..Operations::default() };
        for seed in 0..100 {
            let rng = Rng::with_seed(seed);
            let task = Draw { shares, gets: 0.0, keys: 0, known: [&known; 2], rng }.task();
            match &task.command.operations()[0] {
                Operation::Set(set) => assert_eq!(set.condition, Some(Condition::Equal("old".into()))),
                operation => assert!(matches!(operation, Operation::Delete { .. }), "{operation}"),
            }
        }
    }

    #[test]
    fn attempt_fills_in_only_values_that_are_empty() {
        let task = Operation::SetMany {
            pairs: vec![("a".into(), Bytes::default()), ("b".into(), "7".into())],
            if_absent: false,
        };
        let mut command: Command = task.into();
        stamp(&mut command, &"v1".into());
        assert_eq!(command.operations()[0].values(), [&Bytes::from("v1"), &Bytes::from("7")]);
    }
}
