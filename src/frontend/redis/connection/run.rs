//! Runs one request: the store's commands, local ones, and those that change how others run.

use super::super::arguments::is;
use super::super::client::Client;
use super::super::facts::Facts;
use super::super::failure::Failure;
use super::super::named::named_request;
use super::super::pending::{Kind, Pending, Prepared, scan};
use super::super::request::Arguments;
use super::super::scripts::{self, Script};
use super::super::subscriptions;
use super::super::table::{self, Control, Entry, Run};
use super::super::transaction::{self, Transaction};
use super::super::translate::{Shape, Translation};
use super::super::value::Value;
use super::Connection;
use crate::bytes::Bytes;
use crate::command::{Command, MAX_BATCH};
use crate::operation::Operation;
use crate::reply::Reply;

/// Whether the store does the command, or a part of it.
fn needs_store(entry: &Entry) -> bool {
    match entry.run {
        Run::Store(_) => true,
        Run::Control(control) => matches!(
            control,
            Control::Exec
                | Control::Watch
                | Control::Keys
                | Control::RandomKey
                | Control::Do
                | Control::Script
        ),
        Run::Local(_) | Run::Container => false,
    }
}

impl Connection {
    pub(super) fn push(&mut self, value: Value) {
        self.replies.push(&value, self.client.protocol);
    }

    /// Refuses a command before it runs or waits for EXEC. Refused itself, EXEC ends its
    /// transaction.
    fn reject(&mut self, words: &[Bytes], failure: Failure) {
        if words.first().is_some_and(|word| is(word, "EXEC")) {
            self.forget_transaction();
            return self.push(failure.aborts().into());
        }
        if self.transaction.is_open() {
            self.transaction.break_up();
        }
        self.push(failure.into());
    }

    pub(super) fn run(&mut self, words: Arguments, facts: &mut dyn Facts) {
        self.client.active_us = facts.now_us();
        let entry = match table::find(&words) {
            Ok(entry) => entry,
            Err(failure) => return self.reject(&words, failure),
        };
        self.client.command = entry.name;
        if self.client.is_stranger && !entry.is_open {
            return self.reject(&words, Failure::NO_AUTH);
        }
        if self.takes_memory(entry, facts) {
            if entry.name == "watch" {
                self.transaction.break_up(); // EXEC must not run as if the keys were watched
            }
            return self.reject(&words, Failure::OUT_OF_MEMORY);
        }
        if let Err(failure) = subscriptions::check(entry.name, &self.client) {
            return self.reject(&words, failure);
        }
        match entry.run {
            Run::Control(control) => {
                self.control(control, entry, words, facts);
                if self.prepared.is_none() {
                    facts.note_reply(entry.name, self.client.active_us);
                }
            }
            _ if self.transaction.is_open() => self.queue(entry, words),
            Run::Store(translate) => match translate(&table::call(entry, &words)) {
                Ok(Translation { operation, shape }) => {
                    self.prepare(vec![operation.into()], Kind::Store { name: entry.name, shape });
                }
                Err(failure) => self.push(failure.into()),
            },
            Run::Local(local) => {
                let result = local(&table::call(entry, &words), &mut self.client, facts);
                self.push(result.unwrap_or_else(Value::from));
                facts.note_reply(entry.name, self.client.active_us);
            }
            Run::Container => self.push(Failure::arity(entry.name).into()),
        }
    }

    /// Whether there is no memory for the command here. Whether the store has memory for a write, its
    /// leader decides. Like Redis, this replica lets no command wait for EXEC when the store has none.
    fn takes_memory(&self, entry: &Entry, facts: &dyn Facts) -> bool {
        let waits =
            self.transaction.is_open() && !matches!(entry.name, "exec" | "discard" | "quit" | "reset");
        needs_store(entry) && !facts.has_memory() || waits && facts.is_full()
    }

    /// A command between MULTI and EXEC. An argument that makes no sense shows at EXEC.
    fn queue(&mut self, entry: &Entry, words: Arguments) {
        let limit = self.settings.requests.request_bytes;
        let added = match entry.run {
            Run::Store(translate) => match translate(&table::call(entry, &words)) {
                Ok(translation) => self.transaction.add(entry.name, translation, limit),
                Err(failure) => self.transaction.add_known(failure.into(), limit),
            },
            Run::Local(local) => self.transaction.add_local(entry.name, local, words, limit),
            Run::Control(_) => self.transaction.add_known(Value::OK, limit),
            Run::Container => Err(Failure::arity(entry.name)),
        };
        self.client.queued = Some(self.transaction.queued());
        match added {
            Ok(()) => self.push(Value::Status("QUEUED".into())),
            Err(failure) => self.reject(&[], failure),
        }
    }

    fn control(&mut self, control: Control, entry: &Entry, words: Arguments, facts: &mut dyn Facts) {
        let is_open = self.transaction.is_open();
        match control {
            Control::Multi if is_open => {
                self.push(Failure::new("ERR MULTI calls can not be nested").into());
            }
            Control::Multi => {
                self.transaction.open();
                self.client.queued = Some(0);
                self.push(Value::OK);
            }
            Control::Exec => self.exec(facts),
            Control::Discard if !is_open => self.push(Failure::new("ERR DISCARD without MULTI").into()),
            Control::Discard => {
                self.forget_transaction();
                self.push(Value::OK);
            }
            Control::Watch if is_open => {
                self.push(Failure::new("ERR WATCH inside MULTI is not allowed").into());
            }
            Control::Watch => self.watch(&words),
            Control::Unwatch if is_open => self.queue(entry, words),
            Control::Unwatch => {
                self.transaction.unwatch();
                self.push(Value::OK);
            }
            Control::Reset => {
                self.forget_transaction();
                self.client.reset();
                self.push(Value::Status("RESET".into()));
            }
            Control::Quit => {
                self.push(Value::OK);
                self.client.closes = true;
            }
            Control::Keys | Control::RandomKey | Control::Do | Control::Script if is_open => {
                let name = entry.name.to_ascii_uppercase();
                self.reject(&words, Failure::new(format!("ERR {name} inside MULTI is not allowed")));
            }
            Control::Keys => {
                let pattern = words.get(1).cloned().unwrap_or_default();
                let first = scan(0, u32::MAX, Some(&pattern));
                let kind = Kind::Keys { pattern, found: Vec::new(), bytes: 0 };
                // One at a time, because their keys take memory until the last one is known.
                self.prepare(vec![first], kind).is_barrier = true;
            }
            Control::RandomKey => {
                let first = scan(facts.random(), 1, None);
                self.prepare(vec![first], Kind::RandomKey { is_second_round: false });
            }
            Control::Do => self.run_named(&words, &*facts),
            Control::Script => self.run_script(entry, &words),
        }
    }

    /// EVALSHA
    fn run_script(&mut self, entry: &Entry, words: &[Bytes]) {
        match scripts::named(&table::call(entry, words)) {
            Ok(Script::Once(command)) => {
                self.prepare(vec![command], Kind::Store { name: entry.name, shape: Shape::Plain });
            }
            Ok(Script::Extend(extend)) => {
                let look = extend.look();
                // Its second step must not overtake later commands.
                self.prepare(vec![look], Kind::Extend(extend)).is_barrier = true;
            }
            Err(failure) => self.push(failure.into()),
        }
    }

    fn prepare(&mut self, commands: Vec<Command>, kind: Kind) -> &mut Prepared {
        let Client { protocol, command, active_us: since_us, .. } = self.client;
        let pending = Pending { protocol, command, since_us, kind };
        let prepared = Prepared { commands, request: None, pending, is_barrier: false };
        self.prepared.insert(prepared)
    }

    fn forget_transaction(&mut self) {
        self.transaction = Transaction::default();
        self.client.queued = None;
    }

    fn exec(&mut self, facts: &mut dyn Facts) {
        let taken = self.transaction.take();
        self.client.queued = None;
        let (batch, parts) = match taken {
            Ok(taken) => taken,
            Err(failure) => return self.push(failure.into()),
        };
        if batch.watches.is_empty() && batch.operations.is_empty() {
            let value = transaction::replied(parts, Reply::Array(Vec::new()), &mut self.client, facts);
            return self.push(value);
        }
        // Commands that need no store run with the reply, and may change the protocol.
        let is_barrier = parts.iter().any(|part| matches!(part, transaction::Part::Local { .. }));
        self.prepare(vec![Command::Batch(batch)], Kind::Exec(parts)).is_barrier = is_barrier;
    }

    fn watch(&mut self, words: &[Bytes]) {
        let keys = words.get(1..).unwrap_or_default().to_vec();
        if !self.transaction.has_room_to_watch(keys.len()) {
            let text = format!("ERR a transaction watches at most {MAX_BATCH} keys");
            self.transaction.break_up(); // as if a key had no revision
            return self.push(Failure::new(text).into());
        }
        let commands = keys.iter().map(|key| Operation::Revision { key: key.clone() }.into()).collect();
        let (missing, revisions) = (keys.len(), vec![None; keys.len()]);
        let kind = Kind::Watch { keys, revisions, missing, failure: None };
        self.prepare(commands, kind).is_barrier = true;
    }

    /// KV.DO: a command under the name that the client gives it.
    fn run_named(&mut self, words: &[Bytes], facts: &dyn Facts) {
        match named_request(words, &facts.members()) {
            Ok((request, entry, Translation { operation, shape })) => {
                let kind = Kind::Store { name: entry.name, shape };
                self.prepare(vec![operation.into()], kind).request = Some(request);
            }
            Err(failure) => self.push(failure.into()),
        }
    }
}
