//! Snapshots: the state machine's state, as a file per snapshot.
//!
//! A snapshot is written under a temporary name, synced, renamed, and the directory is synced. Only
//! then older ones are removed. So a crash leaves the old one or the new one, and a file with the
//! name of a snapshot is complete.

use std::io;
use std::sync::Arc;

use raft::types::EntryId;

use super::counters::Counters;
use super::error::{OpenError, Reason};
use super::files::{FileHandle, Files, temporary};
use super::form::{self, Form};
use super::identity::Owner;

const PREFIX: &str = "snapshot-";
/// Chunks are gathered to writes of this size.
const WRITE_BYTES: usize = 256 << 10;
/// The file is synced each time it has grown by this, because the log writer's syncs wait behind it.
/// Their 99th percentile beside snapshots of 150 MB: 24 ms with one sync, 14 ms with one per 8 MiB,
/// 7 ms with one per MiB. With one per 256 KiB a snapshot takes 0.6 s, and a pause after each sync
/// would gain nothing.
const SYNC_BYTES: u64 = 256 << 10;

/// The name of the snapshot that ends with this entry.
pub fn name(id: EntryId) -> String {
    format!("{PREFIX}{}-{}", id.index, id.term)
}

/// The last entry of the snapshot with this name.
pub fn id(file: &str) -> Option<EntryId> {
    let (index, term) = file.strip_prefix(PREFIX)?.split_once('-')?;
    let id = EntryId { index: index.parse().ok()?, term: term.parse().ok()? };
    (name(id) == file).then_some(id)
}

/// The snapshots of a replica. One owner.
pub struct Snapshots<F: Files> {
    pub(super) files: F,
    pub(super) owner: Owner,
    pub(super) newest: Option<EntryId>,
    /// Distinguishes the names of snapshots that are not finished.
    pub(super) begun: u64,
    pub(super) has_failed: bool,
    pub(super) counters: Arc<Counters>,
    pub(super) _lock: Arc<F::Lock>,
}

impl<F: Files> Snapshots<F> {
    /// The last entry that the newest snapshot covers.
    pub fn newest(&self) -> Option<EntryId> {
        self.newest
    }

    /// Saves a snapshot of the state after this entry. `next` returns its chunks. When this returns,
    /// the snapshot is durable and older ones are gone.
    ///
    /// # Errors
    ///
    /// The first error is final. The process must end: later calls fail, too.
    pub fn save(&mut self, id: EntryId, mut next: impl FnMut() -> Option<Vec<u8>>) -> io::Result<()> {
        let mut unfinished = self.begin(id)?;
        while let Some(chunk) = next() {
            self.guard(|_| unfinished.push(&chunk))?;
        }
        self.finish(unfinished)
    }

    /// Begins a snapshot whose chunks come one by one. Several can be written at a time; dropping
    /// one is fine.
    ///
    /// # Errors
    ///
    /// As for [`Self::save`].
    pub fn begin(&mut self, id: EntryId) -> io::Result<Unfinished<F>> {
        self.guard(|snapshots| {
            snapshots.begun += 1;
            let name = temporary(&format!("{}.{}", name(id), snapshots.begun));
            let file = snapshots.files.create(&name)?;
            Ok(Unfinished::new(snapshots.owner, id, name, file))
        })
    }

    /// Makes a snapshot durable that is complete, and removes older ones. A snapshot that is not
    /// newer than the newest one is dropped.
    ///
    /// # Errors
    ///
    /// As for [`Self::save`].
    pub fn finish(&mut self, unfinished: Unfinished<F>) -> io::Result<()> {
        self.guard(|snapshots| {
            let (id, temporary) = (unfinished.id, unfinished.name.clone());
            if snapshots.newest.is_some_and(|newest| id.index <= newest.index) {
                return snapshots.files.remove(&temporary);
            }
            let bytes = unfinished.finish()?;
            snapshots.files.rename(&temporary, &name(id))?;
            snapshots.files.sync_directory()?;
            snapshots.counters.count_bytes(bytes);
            if let Some(older) = snapshots.newest.replace(id) {
                snapshots.files.remove(&name(older))?;
            }
            Ok(())
        })
    }

    /// Reads the newest snapshot, if there is one, and hands each chunk to `take`. A chunk that
    /// `take` refuses is damage.
    ///
    /// # Errors
    ///
    /// If the file is damaged or unreadable.
    pub fn load(&self, take: impl FnMut(&[u8]) -> Result<(), Reason>) -> Result<(), OpenError> {
        match self.newest {
            Some(id) => load(&self.files, self.owner, id, take),
            None => Ok(()),
        }
    }

    /// The refusal of a newest snapshot that makes no sense, although its checksums fit.
    pub fn damaged(&self, reason: Reason) -> OpenError {
        let file = self.files.path(&name(self.newest.unwrap_or_default()));
        OpenError::Damaged { file, offset: 0, reason }
    }

    fn guard<T>(&mut self, work: impl FnOnce(&mut Self) -> io::Result<T>) -> io::Result<T> {
        if self.has_failed {
            return Err(io::Error::other("a write of a snapshot failed before"));
        }
        let result = work(self);
        self.has_failed = result.is_err();
        result
    }
}

/// A snapshot that is not complete.
pub struct Unfinished<F: Files> {
    id: EntryId,
    name: String,
    file: F::File,
    form: Form,
    /// How much of the file is written, and how much is synced.
    written: u64,
    synced: u64,
}

impl<F: Files> Unfinished<F> {
    fn new(owner: Owner, id: EntryId, name: String, file: F::File) -> Self {
        Self { id, name, file, form: Form::new(owner, id), written: 0, synced: 0 }
    }

    /// The last entry that it covers.
    pub fn id(&self) -> EntryId {
        self.id
    }

    /// Appends a chunk.
    ///
    /// # Errors
    ///
    /// The first error is final, as for [`Snapshots::save`].
    ///
    /// # Panics
    ///
    /// If the chunk is longer than [`MAX_CHUNK_BYTES`](super::MAX_CHUNK_BYTES).
    pub fn push(&mut self, chunk: &[u8]) -> io::Result<()> {
        self.form.push(chunk);
        if self.form.pending.len() >= WRITE_BYTES {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(&self.form.pending, self.written)?;
        self.written += self.form.pending.len() as u64;
        self.form.pending.clear();
        if self.written - self.synced >= SYNC_BYTES {
            self.synced = self.written;
            self.file.sync()?;
        }
        Ok(())
    }

    /// Writes the end of the file, and returns the length of the file.
    fn finish(mut self) -> io::Result<u64> {
        self.form.end();
        self.flush()?;
        self.file.sync()?;
        Ok(self.written)
    }
}

/// Reads a snapshot and checks all of it.
pub fn load<F: Files>(
    files: &F,
    owner: Owner,
    id: EntryId,
    take: impl FnMut(&[u8]) -> Result<(), Reason>,
) -> Result<(), OpenError> {
    let accept = |found: Owner, of: EntryId| match () {
        () if found != owner => Err(Reason::Owner),
        () if of != id => Err(Reason::Place),
        () => Ok(()),
    };
    form::read(files, &name(id), accept, take).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_finished_snapshots_only() {
        let entry = EntryId { index: 12, term: 3 };
        assert_eq!(id(&name(entry)), Some(entry));
        for wrong in ["snapshot-12", "snapshot-12-", "snapshot-012-3", "snapshot-12-3.1.tmp", "log-12-3"] {
            assert_eq!(id(wrong), None, "{wrong}");
        }
    }
}
