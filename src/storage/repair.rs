//! Cuts damage off the end of a log, when the operator asks for it. This is never safe for the
//! promises of the replica, so a start never does it.
//!
//! The damaged record and all later ones are set aside: the directory keeps them under names that
//! begin with `cut-`. The replica then starts with the state before the damage, as if it had never
//! acknowledged anything later.

use std::fmt;
use std::io;
use std::sync::Arc;

use raft::types::EntryId;

use super::error::{OpenError, Reason};
use super::files::{FileHandle, Files, publish, read_up_to, write_zeros};
use super::identity::{self, Owner};
use super::open::{check_snapshot, lock, owner_of};
use super::pool::Pool;
use super::recovery::{self, Fault};
use super::segment::{self, Position};
use super::{Settings, snapshots};

/// Files that are set aside have this before their names.
const PREFIX: &str = "cut-";

/// A log with damage that can be cut off.
pub struct Repair<F: Files> {
    files: F,
    owner: Owner,
    fault: Fault,
    /// The end of the log after the cut.
    kept: Position,
    snapshot: EntryId,
    /// The segments behind the damage, and the damaged one if nothing of it is kept.
    later: Vec<u64>,
    /// The length of the part of the damaged segment that is set aside, if a part is kept.
    cut_bytes: Option<u64>,
    _lock: F::Lock,
}

/// Looks for damage, and changes nothing. Returns `None` if a replica can start from the directory.
///
/// # Errors
///
/// If a cut cannot make the directory usable, with the reason why a replica does not start from it.
pub fn examine<F: Files>(files: &F) -> Result<Option<Repair<F>>, OpenError> {
    let names = files.list()?;
    let owner = match owner_of(files, &names)? {
        Some(owner) => owner,
        None if is_of_replica(&names) => {
            let file = files.path(identity::FILE);
            return Err(OpenError::Damaged { file, offset: 0, reason: Reason::Missing });
        }
        None => return Err(OpenError::NoReplica { directory: files.directory() }),
    };
    let lock = lock(files)?;
    let names = files.list()?;
    let snapshot = check_snapshot(files, &names, owner)?;
    let (kept, fault) = recovery::examine(files, &names, owner)?;
    let Some(fault) = fault else {
        recovery::read(files, &names, owner, &mut |_, _| {})?.check_gap(files, snapshot)?;
        return Ok(None);
    };
    // A log without its beginning has no term and no vote, and so nothing to start from. A newer
    // format is no damage.
    let is_hopeless = matches!(fault.reason, Reason::Version(_));
    let Some(kept) = kept.filter(|_| !is_hopeless) else { return Err(fault.into_error(files)) };
    let first_record = segment::HEADER_BYTES;
    let is_partial = fault.offset > first_record;
    let numbers = names.iter().filter_map(|name| segment::number(name));
    let mut later: Vec<u64> =
        numbers.filter(|&number| number > fault.segment || number == fault.segment && !is_partial).collect();
    later.sort_unstable();
    let damaged = segment::name(fault.segment);
    let cut_bytes = if is_partial { Some(files.open(&damaged)?.size()? - fault.offset) } else { None };
    Ok(Some(Repair { files: files.clone(), owner, fault, kept, snapshot, later, cut_bytes, _lock: lock }))
}

/// Whether some of these files are those of a replica.
fn is_of_replica(names: &[String]) -> bool {
    names.iter().any(|name| segment::number(name).is_some() || snapshots::id(name).is_some())
}

impl<F: Files> Repair<F> {
    /// Cuts the damage off. When this returns, a replica can start from the directory.
    ///
    /// # Errors
    ///
    /// If a system call fails. The repair can be tried again.
    pub fn carry_out(self) -> Result<(), OpenError> {
        // From the end, so that a crash leaves a log without a gap.
        for &number in self.later.iter().rev() {
            let name = segment::name(number);
            self.files.rename(&name, &self.free_name(&name)?)?;
            self.files.sync_directory()?;
        }
        if self.cut_bytes.is_some() {
            self.cut()?;
        }
        let names = self.files.list()?;
        if let (_, Some(fault)) = recovery::examine(&self.files, &names, self.owner)?
            && fault.reason == Reason::Missing
        {
            // The last segment that is left is sealed, and needs a successor.
            self.pool().prepare(fault.segment)?;
        }
        let names = self.files.list()?;
        recovery::read(&self.files, &names, self.owner, &mut |_, _| {})?.check_gap(&self.files, self.snapshot)
    }

    /// Sets the end of the damaged segment aside.
    fn cut(&self) -> io::Result<()> {
        let name = segment::name(self.fault.segment);
        let mut file = self.files.open(&name)?;
        publish(&self.files, &self.free_name(&name)?, &read_up_to(&file, u64::MAX)?)?;
        let size = file.size()?;
        write_zeros(&mut file, self.fault.offset, size)?;
        file.sync()
    }

    /// A name for a file that is set aside, which no other file has.
    fn free_name(&self, name: &str) -> io::Result<String> {
        let names = self.files.list()?;
        let names_of_copies =
            std::iter::once(format!("{PREFIX}{name}")).chain((2..).map(|n| format!("{PREFIX}{name}.{n}")));
        let free = names_of_copies.into_iter().find(|name| !names.contains(name));
        free.ok_or_else(|| io::Error::other("no name is free"))
    }

    fn pool(&self) -> Pool<F> {
        Pool {
            files: self.files.clone(),
            owner: self.owner,
            segment_bytes: Settings::default().segment_bytes(),
            most_spares: 0,
            spares: Vec::new(),
            counters: Arc::default(),
        }
    }
}

/// The damage, the cut, and what it loses.
impl<F: Files> fmt::Display for Repair<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { segment, offset, reason } = &self.fault;
        let path = |number| self.files.path(&segment::name(number));
        writeln!(f, "{} is damaged at byte {offset}: {reason}.", path(*segment))?;
        let Position { hard_state, last } = self.kept;
        let kept = if last.index < self.snapshot.index { self.snapshot } else { last };
        write!(f, "\nThe state before the damage ends with entry {} of term {}, ", kept.index, kept.term)?;
        match hard_state.voted_for {
            Some(candidate) => {
                writeln!(f, "in term {} with a vote for {candidate}.", hard_state.current_term)?
            }
            None => writeln!(f, "in term {} without a vote.", hard_state.current_term)?,
        }
        writeln!(f, "A repair keeps this state, and sets aside as {PREFIX}*:")?;
        if let Some(bytes) = self.cut_bytes {
            writeln!(f, "  {} from byte {offset} on ({bytes} bytes)", path(*segment))?;
        }
        self.later.iter().try_for_each(|&number| writeln!(f, "  {}", path(number)))?;
        f.write_str(CONSEQUENCES)
    }
}

const CONSEQUENCES: &str = "
What a repair can lose: every write that this replica acknowledged after this state, and every vote.
The replica then counts for a quorum again, although it has forgotten its promises. If another
replica has lost data, too, writes that clients saw succeed can be gone, and two leaders can be
elected in one term.

If the other replicas still are a quorum, do not repair. Remove this replica from the cluster, empty
its directory, and let it join again: it then gets everything from the leader. Repair only if too
few replicas are left without this one.
";
