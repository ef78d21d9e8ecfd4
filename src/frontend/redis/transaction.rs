//! MULTI, EXEC, WATCH: commands that take effect at once, if no watched key has changed.
//!
//! The commands wait here until EXEC makes one batch of them, which is one entry of the log. The
//! store checks the watched revisions when it applies the batch, so no write comes between the
//! check and the commands. Commands that need no store run when the batch has its reply.

use super::arguments::Call;
use super::client::Client;
use super::facts::Facts;
use super::failure::Failure;
use super::local::Local;
use super::request::Arguments;
use super::translate::{Shape, Translation};
use super::value::Value;
use crate::command::{Batch, MAX_BATCH, Watch};
use crate::reply::{Refusal, Reply};

/// The state between MULTI and EXEC, and the watched keys.
#[derive(Debug, Default)]
pub struct Transaction {
    is_open: bool,
    is_broken: bool,  // a command was refused, or a key could not be watched
    batch: Batch,     // at most MAX_BATCH operations and watches
    parts: Vec<Part>, // one for each command that waits; at most MAX_BATCH
    bytes: usize,     // of all operations and words
}

/// One command of a transaction.
#[derive(Debug)]
pub enum Part {
    /// Its operation is the next one of the batch.
    Store {
        /// The command's name.
        name: &'static str,
        /// How its reply reads.
        shape: Shape,
    },
    /// It needs no store.
    Local {
        /// The command's name.
        name: &'static str,
        /// Its effect.
        run: Local,
        /// Its words.
        words: Arguments,
    },
    /// Its reply is known.
    Known(Value),
}

impl Transaction {
    /// Whether commands wait for EXEC.
    pub fn is_open(&self) -> bool {
        self.is_open
    }

    /// How many commands wait.
    pub fn queued(&self) -> usize {
        self.parts.len()
    }

    /// The bytes of the commands that wait for EXEC.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether keys are watched.
    pub fn is_watching(&self) -> bool {
        !self.batch.watches.is_empty()
    }

    /// Commands wait from now on.
    pub fn open(&mut self) {
        self.is_open = true;
    }

    /// EXEC will refuse.
    pub fn break_up(&mut self) {
        self.is_broken = true;
    }

    /// Forgets the watched keys.
    pub fn unwatch(&mut self) {
        self.batch.watches.clear();
        self.is_broken &= self.is_open;
    }

    /// Watches keys, whose revisions have been read. Of a key that is watched already the earlier
    /// revision stays.
    pub fn watch(&mut self, watches: Vec<Watch>) {
        for watch in watches {
            if !self.batch.watches.iter().any(|other| other.key == watch.key) {
                self.batch.watches.push(watch);
            }
        }
    }

    /// Whether so many more keys can be watched.
    pub fn has_room_to_watch(&self, keys: usize) -> bool {
        self.batch.watches.len() + keys <= MAX_BATCH
    }

    /// Adds a command of the store, unless the transaction gets too large.
    pub fn add(&mut self, name: &'static str, translation: Translation, limit: usize) -> Result<(), Failure> {
        let Translation { operation, shape } = translation;
        let bytes = self.bytes + operation.text_len();
        self.check(bytes, limit)?;
        self.bytes = bytes;
        self.batch.operations.push(operation);
        self.parts.push(Part::Store { name, shape });
        Ok(())
    }

    /// Adds a command that needs no store.
    pub fn add_local(
        &mut self,
        name: &'static str,
        run: Local,
        words: Arguments,
        limit: usize,
    ) -> Result<(), Failure> {
        let bytes = self.bytes + words.iter().map(|word| word.len()).sum::<usize>();
        self.check(bytes, limit)?;
        self.bytes = bytes;
        self.parts.push(Part::Local { name, run, words });
        Ok(())
    }

    /// Adds a command whose reply is known.
    pub fn add_known(&mut self, value: Value, limit: usize) -> Result<(), Failure> {
        self.check(self.bytes, limit)?;
        self.parts.push(Part::Known(value));
        Ok(())
    }

    fn check(&self, bytes: usize, limit: usize) -> Result<(), Failure> {
        if self.parts.len() >= MAX_BATCH {
            return Err(Failure::new(format!("ERR a transaction has at most {MAX_BATCH} commands")));
        }
        if bytes > limit {
            return Err(Failure::new(format!("ERR a transaction has at most {limit} bytes")));
        }
        Ok(())
    }

    /// Ends the transaction. Returns the batch and the commands.
    pub fn take(&mut self) -> Result<(Batch, Vec<Part>), Failure> {
        if !self.is_open {
            return Err(Failure::new("ERR EXEC without MULTI"));
        }
        let Self { is_broken, batch, parts, .. } = std::mem::take(self);
        if is_broken {
            return Err(Failure::new("EXECABORT Transaction discarded because of previous errors."));
        }
        Ok((batch, parts))
    }
}

/// The reply to EXEC, from that of the batch.
pub fn replied(parts: Vec<Part>, reply: Reply, client: &mut Client, facts: &mut dyn Facts) -> Value {
    let replies = match reply {
        Reply::Nil => return Value::NullArray,
        Reply::Array(replies) => replies,
        Reply::Error(Refusal::OutOfMemory) => return Failure::OUT_OF_MEMORY.aborts().into(),
        other => return Shape::Plain.value("exec", other),
    };
    let mut replies = replies.into_iter();
    let values = parts.into_iter().map(|part| match part {
        Part::Known(value) => value,
        Part::Local { name, run, words } => {
            run(&Call { name, words: &words }, client, facts).unwrap_or_else(Value::from)
        }
        Part::Store { name, shape } => shape.value(name, replies.next().unwrap_or(Reply::Nil)),
    });
    Value::Array(values.collect())
}
