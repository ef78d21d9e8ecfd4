//! Opens a directory: reads and checks all of it first, and only then changes it.

use std::io;
use std::sync::Arc;

use raft::types::EntryId;

use super::counters::Counters;
use super::error::{OpenError, Reason};
use super::files::{FileHandle, Files, is_temporary, publish, read_up_to};
use super::identity::{self, Identity, Owner};
use super::pool::{Pool, Prepared, Worker};
use super::record::{self, Salt};
use super::recovery::{self, Progress, Recovered, Tail};
use super::segment::{self, Extent, Position};
use super::snapshots::{self, Snapshots};
use super::writer::{Current, LogWriter, POSITION_BYTES, Staged, max_record_bytes, position_record};
use super::{Cut, Opened, Settings};
use crate::replication::PersistentState;

/// The file that keeps other processes out.
const LOCK: &str = "lock";

/// Opens the directory of a replica, and makes an empty one its own. `progress` hears how many bytes
/// of the log have been read, of how many.
///
/// # Errors
///
/// If the directory belongs to another replica, is in use, is damaged, is of a newer format, or
/// cannot be read or written. A directory that is refused for another reason than a failed system
/// call is not changed.
pub fn open<F: Files>(
    files: &F,
    identity: &Identity,
    settings: &Settings,
    progress: &mut Progress<'_>,
) -> Result<Opened<F>, OpenError> {
    let lock = Arc::new(lock(files)?);
    // A replica acts on the state that it finds, so a power cut must not undo it.
    files.sync_directory()?;
    let names = files.list()?;
    let owner = match check_identity(files, &names, identity)? {
        Some(owner) => owner,
        None => create(files, &names, identity, settings)?,
    };
    let names = files.list()?;
    let snapshot = check_snapshot(files, &names, owner)?;
    let recovered = recovery::read(files, &names, owner, progress)?;
    recovered.check_gap(files, snapshot)?;
    let counters = Arc::new(Counters::default());
    let opening = Opening { files, owner, settings, counters, lock };
    remove_leftovers(files, &names, snapshot)?;
    opening.take_over(&names, recovered, snapshot).map_err(OpenError::Io)
}

/// Keeps other processes out.
pub(super) fn lock<F: Files>(files: &F) -> Result<F::Lock, OpenError> {
    files.lock(LOCK).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => OpenError::InUse { directory: files.directory() },
        _ => OpenError::Io(error),
    })
}

/// Whether this is the directory of this replica. `None` if it is no replica's.
fn check_identity<F: Files>(
    files: &F,
    names: &[String],
    expected: &Identity,
) -> Result<Option<Owner>, OpenError> {
    let Some((found, owner)) = read_identity(files, names)? else { return Ok(None) };
    let directory = files.directory();
    if (&found.cluster, &found.members) != (&expected.cluster, &expected.members) {
        let (found, expected) = (found.describe_cluster(), expected.describe_cluster());
        return Err(OpenError::OtherCluster { directory, found, expected });
    }
    if found.own != expected.own {
        return Err(OpenError::OtherReplica { directory, found: found.own, expected: expected.own });
    }
    Ok(Some(owner))
}

/// The owner of the directory. `None` if it has none.
pub(super) fn owner_of<F: Files>(files: &F, names: &[String]) -> Result<Option<Owner>, OpenError> {
    Ok(read_identity(files, names)?.map(|(_, owner)| owner))
}

/// The replica that owns the directory.
///
/// # Errors
///
/// If the directory is no replica's, or its identity is damaged or unreadable.
pub fn identity_of<F: Files>(files: &F) -> Result<Identity, OpenError> {
    let found = read_identity(files, &files.list()?)?;
    found.map(|(identity, _)| identity).ok_or_else(|| OpenError::NoReplica { directory: files.directory() })
}

fn read_identity<F: Files>(files: &F, names: &[String]) -> Result<Option<(Identity, Owner)>, OpenError> {
    if !names.iter().any(|name| name == identity::FILE) {
        return Ok(None);
    }
    let bytes = read_up_to(&files.open(identity::FILE)?, identity::MAX_FILE_BYTES)?;
    let file = files.path(identity::FILE);
    let found = identity::decode(&bytes).map_err(|reason| match reason {
        Reason::Version(found) => OpenError::NewerFormat { file, found, known: identity::VERSION },
        reason => OpenError::Damaged { file, offset: 0, reason },
    })?;
    Ok(Some((found, identity::owner(&bytes))))
}

/// Makes an empty directory that of a replica. The file with the identity comes last: a directory
/// that has it has a log.
fn create<F: Files>(
    files: &F,
    names: &[String],
    identity: &Identity,
    settings: &Settings,
) -> Result<Owner, OpenError> {
    let unowned = names
        .iter()
        .any(|name| snapshots::id(name).is_some() || segment::number(name).is_some_and(|number| number != 1));
    let first = segment::name(1);
    let has_records = names.contains(&first) && has_records(&read_up_to(&files.open(&first)?, u64::MAX)?);
    if unowned || has_records {
        let file = files.path(identity::FILE);
        return Err(OpenError::Damaged { file, offset: 0, reason: Reason::Unowned });
    }
    let file = identity::encode(identity, settings.salt);
    let owner = identity::owner(&file);
    for name in names.iter().filter(|name| is_temporary(name) || **name == first) {
        files.remove(name)?;
    }
    let counters = Arc::default();
    let segment_bytes = settings.segment_bytes();
    let mut pool =
        Pool { files: files.clone(), owner, segment_bytes, most_spares: 0, spares: vec![], counters };
    let mut segment = pool.prepare(1)?;
    let mut record = position_record(Position::default());
    record::finish(Salt { segment: 1, owner }, 1, &mut record);
    segment.file.write_at(&record, segment::HEADER_BYTES)?;
    segment.file.sync()?;
    publish(files, identity::FILE, &file)?;
    Ok(owner)
}

/// Whether more stands in the first segment than its first record, which precedes the identity.
fn has_records(bytes: &[u8]) -> bool {
    let first = segment::HEADER_BYTES as usize + record::size_of(POSITION_BYTES);
    bytes.get(first..).is_some_and(|rest| rest.iter().any(|&byte| byte != 0))
}

/// Checks the newest snapshot, and returns its last entry.
pub(super) fn check_snapshot<F: Files>(
    files: &F,
    names: &[String],
    owner: Owner,
) -> Result<EntryId, OpenError> {
    let newest = names.iter().filter_map(|name| snapshots::id(name)).max_by_key(|id| (id.index, id.term));
    if let Some(id) = newest {
        snapshots::load(files, owner, id, |_| Ok(()))?;
    }
    Ok(newest.unwrap_or_default())
}

/// Removes files that were not finished, and older snapshots.
fn remove_leftovers<F: Files>(files: &F, names: &[String], snapshot: EntryId) -> io::Result<()> {
    let is_older = |name: &str| snapshots::id(name).is_some_and(|id| id != snapshot);
    for name in names.iter().filter(|name| is_temporary(name) || is_older(name)) {
        files.remove(name)?;
    }
    Ok(())
}

/// A directory that was checked.
struct Opening<'a, F: Files> {
    files: &'a F,
    owner: Owner,
    settings: &'a Settings,
    counters: Arc<Counters>,
    lock: Arc<F::Lock>,
}

impl<F: Files> Opening<'_, F> {
    /// Makes durable what was recovered, and prepares to go on behind it.
    fn take_over(self, names: &[String], recovered: Recovered, snapshot: EntryId) -> io::Result<Opened<F>> {
        let Recovered { hard_state, mut terms, mut entries, mut extents, tail, empty, next_record } =
            recovered;
        let last = terms.last();
        let extent = extents.pop().expect("a log has a segment with records");
        let cut =
            tail.torn_at.map(|offset| Cut { file: self.files.path(&segment::name(extent.number)), offset });
        let mut pool = self.pool(names)?;
        let mut empty = empty.into_iter();
        let current = self.settle(&tail, extent, &mut empty, &mut extents)?;
        let ready = empty.next().map(|number| self.adopt(number)).transpose()?;
        for number in empty {
            pool.free(number)?;
        }
        let has_ready = ready.is_some();
        let current_number = current.extent.number;
        let is_new = current.offset == segment::HEADER_BYTES;
        let mut log = LogWriter {
            owner: self.owner,
            max_record_bytes: max_record_bytes(self.settings.segment_bytes()),
            current,
            earlier: extents.into(),
            next_record,
            position: Position { hard_state, last },
            terms: terms.clone(),
            worker: Worker::new(pool, self.settings.in_background, ready)?,
            staged: Staged::new(hard_state),
            has_failed: false,
            counters: self.counters.clone(),
            _lock: self.lock.clone(),
        };
        if is_new {
            log.write_position()?;
        } else {
            log.write_mark()?;
        }
        if !has_ready {
            log.worker.prepare(current_number + 1)?;
        }
        if terms.get(snapshot.index) != Some(snapshot) {
            // The log ends before the snapshot, or contradicts it.
            log.begin(snapshot);
            log.commit()?;
            terms = log.terms.clone();
            entries.clear();
        }
        let state = PersistentState { hard_state, snapshot, base: terms.base(), entries };
        let snapshots = Snapshots {
            files: self.files.clone(),
            owner: self.owner,
            newest: (snapshot != EntryId::default()).then_some(snapshot),
            begun: 0,
            has_failed: false,
            counters: self.counters,
            _lock: self.lock,
        };
        Ok(Opened { log, snapshots, state, cut })
    }

    fn pool(&self, names: &[String]) -> io::Result<Pool<F>> {
        let segment_bytes = self.settings.segment_bytes();
        let mut spares = Vec::new();
        for number in names.iter().filter_map(|name| segment::spare_number(name)) {
            let name = segment::spare_name(number);
            let is_usual = self.files.open(&name)?.size()? == segment_bytes;
            if is_usual && spares.len() < self.settings.most_spares {
                spares.push(number);
            } else {
                self.files.remove(&name)?;
            }
        }
        Ok(Pool {
            files: self.files.clone(),
            owner: self.owner,
            segment_bytes,
            most_spares: self.settings.most_spares,
            spares,
            counters: self.counters.clone(),
        })
    }

    /// Makes the last record durable, and finds the place for the next one.
    ///
    /// The process may have ended before the last sync, or because it failed. In both cases the
    /// record can be read, but need not be on disk; and after a failed sync the system takes the
    /// contents for written. So the record is written again, and then synced.
    ///
    /// A torn record behind it stays until the next record overwrites its front. Its rest is never
    /// valid, because no record begins there.
    fn settle(
        &self,
        tail: &Tail,
        extent: Extent,
        empty: &mut impl Iterator<Item = u64>,
        extents: &mut Vec<Extent>,
    ) -> io::Result<Current<F>> {
        let Prepared { mut file, file_bytes, .. } = self.adopt(extent.number)?;
        file.write_at(&tail.last_bytes, tail.last_record_at)?;
        file.sync()?;
        if !tail.is_sealed {
            return Ok(Current { extent, file, file_bytes, offset: tail.offset() });
        }
        extents.push(extent);
        let number = empty.next().expect("a sealed segment has a successor");
        let Prepared { file, file_bytes, .. } = self.adopt(number)?;
        Ok(Current { extent: Extent::new(number), file, file_bytes, offset: segment::HEADER_BYTES })
    }

    fn adopt(&self, number: u64) -> io::Result<Prepared<F>> {
        let file = self.files.open(&segment::name(number))?;
        let file_bytes = file.size()?;
        Ok(Prepared { number, file, file_bytes })
    }
}
