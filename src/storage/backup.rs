//! How the data of a cluster gets into a new one: backups, and directories that are made anew.
//!
//! A backup is a snapshot that belongs to no directory. Every replica of the new cluster is made from
//! the same one, so all of them begin behind the same entry, and none of them can lead without it.
//!
//! A replica whose quorum is gone for good can be the origin of a new cluster, too, with its snapshot
//! and its log. Entries of it that were not committed are then in the logs of all new replicas, so
//! the new cluster commits them.

use raft::types::{EntryId, HardState, Term};

use super::error::{OpenError, Reason};
use super::files::Files;
use super::form::{self, Form};
use super::identity::{Identity, Owner};
use super::{Opened, Settings, open};
use crate::replication::{Entry, Persist};

/// In the place of the owner of a directory. Owners are digests, so none of them is this number but
/// by a chance that does not happen.
const NO_DIRECTORY: Owner = 0;

/// Writes a backup as bytes, piece by piece.
pub struct Backup(Form);

impl Backup {
    /// The backup of the state after this entry.
    pub fn new(id: EntryId) -> Self {
        Self(Form::new(NO_DIRECTORY, id))
    }

    /// The next bytes: those of a chunk, and of the header before the first one.
    ///
    /// # Panics
    ///
    /// If the chunk is longer than [`MAX_CHUNK_BYTES`](super::MAX_CHUNK_BYTES).
    pub fn push(&mut self, chunk: &[u8]) -> Vec<u8> {
        self.0.push(chunk);
        std::mem::take(&mut self.0.pending)
    }

    /// The last bytes.
    pub fn end(mut self) -> Vec<u8> {
        self.0.end();
        self.0.pending
    }
}

/// Reads the backup with this name and checks all of it. Returns its last entry, and hands its chunks
/// to `take`.
///
/// # Errors
///
/// If the file is no backup, or damaged, or unreadable, or `take` refuses a chunk.
pub fn read_backup<F: Files>(
    files: &F,
    name: &str,
    take: impl FnMut(&[u8]) -> Result<(), Reason>,
) -> Result<EntryId, OpenError> {
    let accept = |owner, _| if owner == NO_DIRECTORY { Ok(()) } else { Err(Reason::NoBackup) };
    form::read(files, name, accept, take)
}

/// The data of a new directory.
#[derive(Clone, Debug, Default)]
pub struct Origin {
    /// The last entry of the snapshot; 0 if there is none.
    pub snapshot: EntryId,
    /// The term from which the replica goes on, without a vote.
    pub term: Term,
    /// The entries behind the snapshot.
    pub entries: Vec<Entry>,
}

/// Makes an empty directory that of a replica with these data. `load` hands over the chunks of the
/// snapshot. A crash before the end leaves a directory that must not be used.
///
/// # Errors
///
/// If the directory has a replica's data already, or a system call or `load` fails.
pub fn rebuild<F: Files>(
    files: &F,
    identity: &Identity,
    settings: &Settings,
    origin: Origin,
    load: impl FnOnce(&mut dyn FnMut(&[u8]) -> Result<(), Reason>) -> Result<(), OpenError>,
) -> Result<(), OpenError> {
    let Opened { mut log, mut snapshots, state, .. } = open(files, identity, settings, &mut |_, _| {})?;
    if state.last() != EntryId::default() || state.hard_state != HardState::default() {
        return Err(OpenError::NotEmpty { directory: files.directory() });
    }
    let Origin { snapshot, term, entries } = origin;
    let base = (snapshot != EntryId::default()).then_some(snapshot);
    if let Some(id) = base {
        let mut unfinished = snapshots.begin(id)?;
        let mut written = Ok(());
        let loaded = load(&mut |chunk| {
            written = unfinished.push(chunk);
            if written.is_ok() { Ok(()) } else { Err(Reason::Contents) }
        });
        written?;
        loaded?;
        snapshots.finish(unfinished)?;
    }
    let hard_state = HardState { current_term: term, voted_for: None };
    log.write(&[Persist { number: 1, hard_state, base, first_index: snapshot.index + 1, entries }])?;
    Ok(log.close()?)
}

#[cfg(test)]
mod tests {
    use raft::id::Id;

    use super::super::{Directory, identity_of};
    use super::*;
    use crate::replication::Payload;

    const SNAPSHOT: EntryId = EntryId { index: 7, term: 3 };

    fn identity() -> Identity {
        let id = |number| Id::new(number).expect("not reserved");
        Identity { cluster: "new".into(), own: id(1), members: [id(1), id(2), id(3)].into() }
    }

    fn settings() -> Settings {
        Settings { segment_bytes: 1 << 16, ..Settings::default() }
    }

    fn files(place: &tempfile::TempDir, name: &str) -> Directory {
        Directory::create(&place.path().join(name)).expect("writable")
    }

    fn chunks(opened: &Opened<Directory>) -> Vec<Vec<u8>> {
        let mut chunks = Vec::new();
        let take = |chunk: &[u8]| {
            chunks.push(chunk.to_vec());
            Ok(())
        };
        opened.snapshots.load(take).expect("undamaged");
        chunks
    }

    /// A backup with two chunks.
    fn write_backup(place: &tempfile::TempDir) -> Vec<u8> {
        let mut backup = Backup::new(SNAPSHOT);
        let bytes = [backup.push(b"one"), backup.push(b"two"), backup.end()].concat();
        std::fs::write(place.path().join("backup"), &bytes).expect("writable");
        bytes
    }

    #[test]
    fn directory_that_is_made_from_a_backup_begins_behind_its_last_entry() {
        let place = tempfile::tempdir().expect("a directory");
        write_backup(&place);
        let backups = Directory::open(place.path()).expect("it exists");
        let snapshot = read_backup(&backups, "backup", |_| Ok(())).expect("undamaged");
        let origin = Origin { snapshot, term: snapshot.term, entries: Vec::new() };
        let new = files(&place, "new");
        let load = |take: &mut dyn FnMut(&[u8]) -> Result<(), Reason>| {
            read_backup(&backups, "backup", take).map(drop)
        };
        rebuild(&new, &identity(), &settings(), origin, load).expect("empty");
        let opened = open(&new, &identity(), &settings(), &mut |_, _| {}).expect("complete");
        assert_eq!(chunks(&opened), [b"one", b"two"]);
        let state = opened.state;
        assert_eq!((state.snapshot, state.base, state.last()), (SNAPSHOT, SNAPSHOT, SNAPSHOT));
        assert_eq!(state.hard_state, HardState { current_term: SNAPSHOT.term, voted_for: None });
        assert_eq!(identity_of(&new).expect("it has one"), identity());
    }

    #[test]
    fn directory_that_is_made_from_a_log_has_its_entries() {
        let place = tempfile::tempdir().expect("a directory");
        let entry = |index| Entry { index, term: 2, payload: Payload::Noop };
        let entries = vec![entry(1), entry(2)];
        let origin = Origin { snapshot: EntryId::default(), term: 4, entries: entries.clone() };
        let new = files(&place, "new");
        rebuild(&new, &identity(), &settings(), origin, |_| Ok(())).expect("empty");
        let state = open(&new, &identity(), &settings(), &mut |_, _| {}).expect("complete").state;
        assert_eq!((state.entries, state.hard_state.current_term), (entries, 4));
    }

    #[test]
    fn directory_with_data_is_not_made_anew() {
        let place = tempfile::tempdir().expect("a directory");
        let new = files(&place, "new");
        let origin = || Origin { term: 4, ..Origin::default() };
        rebuild(&new, &identity(), &settings(), origin(), |_| Ok(())).expect("empty");
        let refused = rebuild(&new, &identity(), &settings(), origin(), |_| Ok(()));
        assert!(matches!(refused, Err(OpenError::NotEmpty { .. })), "{refused:?}");
    }

    #[test]
    fn backup_with_any_byte_changed_or_missing_is_refused() {
        let place = tempfile::tempdir().expect("a directory");
        let bytes = write_backup(&place);
        let backups = Directory::open(place.path()).expect("it exists");
        let read = |bytes: &[u8]| {
            std::fs::write(place.path().join("backup"), bytes).expect("writable");
            read_backup(&backups, "backup", |_| Ok(()))
        };
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1;
            assert!(read(&damaged).is_err(), "byte {at}");
            assert!(read(&bytes[..at]).is_err(), "{at} bytes");
        }
        assert_eq!(read(&bytes).expect("undamaged"), SNAPSHOT);
    }

    #[test]
    fn snapshot_of_a_directory_is_no_backup() {
        let place = tempfile::tempdir().expect("a directory");
        let of = files(&place, "of");
        let mut opened = open(&of, &identity(), &settings(), &mut |_, _| {}).expect("empty");
        let mut chunk = Some(b"one".to_vec());
        opened.snapshots.save(SNAPSHOT, || chunk.take()).expect("writable");
        let refused = read_backup(&of, "snapshot-7-3", |_| Ok(()));
        assert!(matches!(&refused, Err(OpenError::Damaged { reason: Reason::NoBackup, .. })), "{refused:?}");
    }
}
